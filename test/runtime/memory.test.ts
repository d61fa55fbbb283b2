import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import {
  compile,
  DisposedError,
  keep,
  memory,
  nn,
  ones,
  OutOfMemoryError,
  randn,
  scope,
  synchronize,
  zeros,
} from '../../lib';
import type { AnyTensor } from '../../lib';
import { collectGarbage } from '../../lib/runtime/native';

/** How many tensors are alive once the unreachable ones are gone, so that no collection falls between two counts. */
function settled(): number {
  collectGarbage();
  return memory().tensors;
}

const thrownBy = (f: () => unknown): Error => {
  try {
    f();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
};

describe('scope', () => {
  test('frees what was made inside, but what is returned or kept', () => {
    const before = settled();
    let kept: AnyTensor | undefined;
    const { sum } = scope(() => {
      const x = ones([4, 4]);
      const doubled = x.add(x);
      kept = keep(doubled.mul(3));
      return { sum: doubled.sum() };
    });
    expect(memory().tensors - before).toBe(2);
    expect(sum.itemSync()).toBe(32);
    expect(kept!.sum().itemSync()).toBe(96);
  });

  test('nests: a result belongs to the scope around it', () => {
    const before = settled();
    const total = scope(() => {
      const inner = scope(() => ones([2]).add(1));
      expect(memory().tensors - before).toBe(1);
      return inner.sum();
    });
    expect(memory().tensors - before).toBe(1);
    expect(total.itemSync()).toBe(4);
  });

  test('frees when the function throws', () => {
    const before = settled();
    expect(() =>
      scope(() => {
        ones([2]).add(1);
        throw new RangeError('stop');
      }),
    ).toThrow(RangeError);
    expect(memory().tensors).toBe(before);
  });

  test('refuses an async function', () => {
    expect(() => scope(() => Promise.resolve(1))).toThrow(
      'scope: f: got an async function, expected one that returns when it is done',
    );
  });

  test('leaves the gradients of leaves alive', () => {
    const layer = new nn.Linear(3, 2);
    scope(() =>
      layer
        .forward(ones([1, 3]))
        .sum()
        .backward(),
    );
    expect((layer.weight.grad as AnyTensor).sum().itemSync()).toBe(6);
  });
});

test('of ever other sizes no more is kept than a gigabyte and twice what was in use', () => {
  // Sizes of which none serves the next, 128 MiB in use at a time: 3 GiB if all of it were kept.
  const script = `
    const { empty, memory, scope } = require(${JSON.stringify(join(__dirname, '../../lib/index.ts'))});
    let kept = 0;
    for (let size = 2 ** 21; size <= 2 ** 27; size *= 1.27) {
      const bytes = Math.ceil(size);
      scope(() => {
        for (let used = 0; used + bytes <= 2 ** 27; used += bytes) empty([bytes], { dtype: 'uint8' });
      });
      kept = Math.max(kept, memory().cachedBytes);
    }
    console.log(kept, memory().peakBytes);
  `;
  const child = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], { encoding: 'utf8' });
  expect(child.stderr).toBe('');
  const [kept, peak] = child.stdout.split(' ').map(Number) as [number, number];
  expect(peak).toBeLessThan(2 ** 28);
  expect(kept).toBeGreaterThan(2 ** 30);
  // What is freed after the last look comes on top.
  expect(kept).toBeLessThan(2 ** 30 + 3 * peak);
}, 60_000);

describe('a released tensor', () => {
  test('names the op that made it and how it was released', () => {
    let lost: AnyTensor | undefined;
    scope(() => {
      lost = ones([64, 10]).relu();
    });
    const error = thrownBy(() => lost!.add(1));
    expect(error).toBeInstanceOf(DisposedError);
    expect(error.message).toBe(
      'add: tensor [64, 10] made by relu was released when its scope ended; return it from the scope or keep() it',
    );
    const disposed = ones([2]).mul(2);
    disposed.dispose();
    expect(() => disposed.dataSync()).toThrow('dataSync: tensor [2] made by mul was released by dispose()');
  });

  test('is released for every view of it, and only once', () => {
    const x = ones([2, 3]);
    const view = x.transpose();
    const before = settled();
    x.dispose();
    x.dispose();
    expect(memory().tensors).toBe(before - 1);
    expect(() => view.sum()).toThrow(DisposedError);
  });

  test('is freed at the end of a block by `using`', () => {
    const before = settled();
    {
      using x = ones([8]);
      expect(x.size).toBe(8);
    }
    expect(memory().tensors).toBe(before);
  });
});

describe('memory', () => {
  test('what is more than the machine has is refused, and the next op works', () => {
    const error = thrownBy(() => zeros([2 ** 20, 2 ** 20]));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.message).toMatch(
      /^fill: out of memory: got 4398046511104 bytes wanted, expected at most \d+ free; \d+ are in live tensors$/,
    );
    expect(ones([2]).sum().itemSync()).toBe(2);
  });

  // In a process of its own: what other tests leave mapped counts towards a limit too.
  test('a limit holds, and unreachable tensors are collected before it is an error', () => {
    const script = `
      const { setMemoryLimit, zeros } = require(${JSON.stringify(join(__dirname, '../../lib/index.ts'))});
      setMemoryLimit(80 * 2 ** 20);
      for (let i = 0; i < 64; i++) zeros([2 ** 20]); // 256 MiB in all, each unreachable at once
      let code = '';
      try {
        zeros([2 ** 25]);
      } catch (error) {
        code = error.code;
      }
      console.log(code, zeros([2 ** 20]).sum().itemSync());
    `;
    const child = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    expect(child.stdout).toBe('OUT_OF_MEMORY 0\n');
  });

  test('backward frees what the graph and the gradients in flight took', () => {
    const w = randn([64, 64]).requiresGrad_();
    scope(() => {
      let y: AnyTensor = w;
      for (let i = 0; i < 10; i++) y = y.matmul(w).tanh();
      const before = settled();
      y.sum().backward();
      expect(memory().tensors - before).toBeLessThanOrEqual(3); // the sum, the gradient it starts from, and that of w
    });
  });

  test('a synchronous loop without dispose, scope or await stays flat', () => {
    const script = `
      const { prepareTraining } = require(${JSON.stringify(join(__dirname, 'training.ts'))});
      const { memory } = require(${JSON.stringify(join(__dirname, '../../lib/index.ts'))});
      const { step } = prepareTraining();
      let most = 0;
      for (let i = 0; i < 1500; i++) { step(); most = Math.max(most, memory().liveBytes); }
      console.log(most);
    `;
    const child = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    // A step makes some 8 MB of tensors: without collection the loop would reach 12 GB.
    expect(Number(child.stdout)).toBeLessThan(1e9);
  }, 300_000);
});

// Builds with sanitizers give a block only to as many bytes as it had.
const withOwnBuild = process.env['HADAL_BINARY'] === undefined ? test : test.skip;

withOwnBuild('tensors of ever smaller sizes share the memory of the first', () => {
  synchronize();
  const kept = (): number => memory().liveBytes + memory().cachedBytes;
  const before = kept();
  for (let size = 2 ** 24; size > 2 ** 19; size = Math.floor(0.9 * size)) scope(() => void zeros([size]));
  expect(kept() - before).toBeLessThanOrEqual(4 * 2 ** 25); // 64, 32, 16 … MiB
});

test('synchronize waits for everything', () => {
  const x = ones([512, 512]);
  let y: AnyTensor = x;
  for (let i = 0; i < 20; i++) y = y.matmul(x).mul(1 / 512);
  synchronize();
  expect(y.select(0, 0).select(0, 0).itemSync()).toBe(1);
});

test('the memory of a traced step makes room for that of its program', async () => {
  const held = (): number => memory().liveBytes + memory().cachedBytes;
  const x = keep(ones([2 ** 20, 8]));
  const step = compile((y: AnyTensor) => {
    const [a, b, c] = [2, 3, 4].map((by) => y.mul(by));
    return a!.matmul(ones([8, 8])).mul(b!.matmul(ones([8, 8]))).add(c!.matmul(ones([8, 8]))).sum(); // prettier-ignore
  });
  const first = await step(x).item();
  const before = held();
  // It is replayed once two traces have been alike.
  for (let i = 0; i < 4; i++) expect(await step(x).item()).toBe(first);
  expect(held()).toBeLessThan(before + 2 ** 25);
});
