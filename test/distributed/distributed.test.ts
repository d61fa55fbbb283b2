// Several processes on the CPU: collectives, data parallel training, and what happens when they do not agree or one is gone.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { distributed, nn, ones, tensor, train, zeros, type AnyTensor } from '../../lib/index';
import { measured, metrics, trained } from './metrics';
import { ranksOf } from './ranks';
import { trainVariant, variants } from './training';

// Processes start one after another on a busy machine.
jest.setTimeout(300_000);

const leftovers = (): string[] => {
  try {
    return readdirSync('/dev/shm').filter((name) => name.startsWith('hadal-'));
  } catch {
    return [];
  }
};

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'hadal-distributed-'))));
afterAll(() => {
  rmSync(folder, { recursive: true });
  expect(leftovers()).toEqual([]);
});

test.each([2, 3])('collectives of %i processes give what JavaScript computes', async (processes) => {
  for (const lines of await ranksOf(processes, 'collectives.ts')) {
    expect(lines).toEqual([expect.stringMatching(/^digest [\da-f]{64}$/)]);
  }
});

interface Line {
  readonly name: string;
  readonly digest?: string;
  readonly parameters?: readonly number[];
}

test.each([2, 3])('training in %i processes is training on the whole batch', async (processes) => {
  const lines = (await ranksOf(processes, 'train-ranks.ts')).map((own) => own.map((line) => JSON.parse(line) as Line));
  const ofRank0 = new Map(lines[0]!.map((line) => [line.name, line]));
  for (const [name, variant] of Object.entries(variants)) {
    const digests = lines.map((own) => own.find((line) => line.name === name)!.digest);
    expect(new Set(digests).size).toBe(1);
    const expected = trainVariant({ ...variant, accumulate: 1, compiled: false });
    const got = ofRank0.get(name)!.parameters!;
    expect(got.length).toBe(expected.length);
    // bfloat16 keeps 8 bits, and products of other rows round otherwise; Adam divides by small gradients.
    const tolerance = { float64: 1e-12, float32: variant.autocast === true ? 2e-2 : 1e-5 }[variant.dtype as 'float32'];
    for (let i = 0; i < got.length; i++) expect(Math.abs(got[i]! - expected[i]!)).toBeLessThan(tolerance);
  }
  for (const own of lines) {
    const others = new Map(own.map((line) => [line.name, line as unknown as Record<string, unknown>]));
    expect(others.get('buffers')).toMatchObject({ before: false, after: true });
    const unused = others.get('unused')!;
    expect(unused['message']).toBe(
      'DistributedDataParallel: parameters without a gradient: got none for left.weight, expected one for each; pass ' +
        'findUnusedParameters: true for a model that leaves some out',
    );
    expect(unused['used']).toEqual([[1, 2]]);
    const left = (unused['left'] as number[][])[0]!;
    (unused['expected'] as number[]).forEach((value, i) => expect(left[i]).toBeCloseTo(value, 6));
    expect(others.get('names')!['names']).toEqual(['used.weight', 'used.bias', 'left.weight']);
  }
});

test('a run of the Trainer that is stopped and goes on ends with the same bits; rank 0 logs and saves', async () => {
  interface Run {
    readonly logged: readonly { readonly step: number }[];
    readonly digest: string;
    readonly values: number;
  }
  interface Told {
    readonly through: Run;
    readonly resumed: Run;
    readonly files: readonly string[];
  }
  const [first, second] = (await ranksOf(2, 'trainer-ranks.ts', folder)).map((lines) => JSON.parse(lines[0]!) as Told);
  expect(first!.resumed.digest).toBe(first!.through.digest);
  expect(second!.through.digest).toBe(first!.through.digest);
  expect(second!.resumed.digest).toBe(first!.through.digest);
  expect(first!.through.logged.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(first!.resumed.logged).toEqual(first!.through.logged.slice(3));
  expect(second!.through.logged).toEqual([]);
  expect(second!.through.values).toBe(first!.through.values); // the mean of both
  expect(first!.files).toContain('step-000000008.safetensors');
});

describe('metrics', () => {
  test('every one is among those that are measured', () => {
    const isMetric = (value: unknown): boolean =>
      typeof value === 'function' &&
      typeof (value.prototype as Partial<train.Metric> | undefined)?.compute === 'function';
    const all = Object.entries(train).filter(([, value]) => isMetric(value));
    expect(all.length).toBeGreaterThan(20);
    const made = Object.values(metrics()).flatMap((some) => Object.keys(some));
    expect(all.map(([name]) => name).filter((name) => !made.includes(name))).toEqual([]);
  });

  test('are over all samples, whatever share of them a process has, also in a run that is stopped and goes on', async () => {
    const [told, ...others] = (await ranksOf(3, 'metric-ranks.ts', folder)).map(
      (lines) => JSON.parse(lines[0]!) as Record<string, Record<string, unknown>>,
    );
    const { values, runs, messages } = told!;
    const silent = { ...told, runs: { ...runs, through: [], resumed: [] } }; // rank 0 alone logs
    expect(others).toEqual([silent, silent]);
    // Sums of float64 in another order, and of losses in float32 over batches of other sizes.
    expect(values).toEqual(near(await measured(), 12));
    expect(runs).toEqual(near(await trained(folder), 6));
    expect(runs!['resumed']).toEqual(near(runs!['through'], 12));
    expect(messages).toEqual([
      'mergeMetrics: metrics: own: got a Unmerged, expected an object with stateDict, reset, merge',
      'Trainer: metrics: own: got a Unmerged, expected an object with update, compute, reset, stateDict, loadStateDict, merge',
    ]);
  });
});

/** What is as near as so many decimal places. */
function near(value: unknown, digits: number): unknown {
  if (typeof value === 'number') return expect.closeTo(value, digits);
  if (Array.isArray(value)) return value.map((each) => near(each, digits));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, near(each, digits)]));
}

test('the example of docs/distributed.md runs, and learns', async () => {
  const guide = readFileSync(join(__dirname, '../../docs/distributed.md'), 'utf8');
  const source = readFileSync(join(__dirname, '../../examples/distributed.ts'), 'utf8');
  expect(guide).toContain(source.slice(source.indexOf('import')));
  const [first, second] = await ranksOf(2, '../../examples/distributed.ts');
  expect(Number(/accuracy ([\d.]+)/.exec(first!.at(-1)!)?.[1])).toBeGreaterThan(75);
  expect(second).toEqual([]);
});

test('processes that do not agree are told so, each with the ranks', async () => {
  const told = (await ranksOf(2, 'failures.ts', folder)).map((lines) =>
    lines.map(
      (line) =>
        JSON.parse(line) as {
          readonly name: string;
          readonly code: string;
          readonly message: string;
          readonly later: string;
          readonly took: number;
        },
    ),
  );
  const expected: Record<string, string> = {
    shapes:
      'ranks differ: got allReduce sum of float32 [2, 3] on rank 0 and allReduce sum of float32 [3] on rank 1, expected the same on all',
    dtypes:
      'ranks differ: got allReduce sum of float32 [2] on rank 0 and allReduce sum of float64 [2] on rank 1, expected the same on all',
    ops: 'ranks differ: got allReduce sum of float32 [2] on rank 0 and broadcast from rank 0 of float32 [2] on rank 1, expected the same on all',
    reductions:
      'ranks differ: got allReduce sum of float32 [2] on rank 0 and allReduce max of float32 [2] on rank 1, expected the same on all',
    roots:
      'ranks differ: got broadcast from rank 0 of float32 [2] on rank 0 and broadcast from rank 1 of float32 [2] on rank 1, expected the same on all',
    barriers: 'ranks differ: got barrier on rank 0 and allReduce sum of float32 [] on rank 1, expected the same on all',
    lists:
      'ranks differ: got allReduce sum of 2 tensors with 10 elements, float32 on rank 0 and allReduce sum of 2 tensors with 10 elements, float32 on rank 1, ' +
      'in other shapes, expected the same on all',
    late: 'rank 1 has not come: got 200 ms of waiting on rank 0, expected it within the timeout',
  };
  for (const lines of told) {
    expect(lines.map(({ name }) => name)).toEqual(Object.keys(expected));
    for (const { name, code, message, later, took } of lines) {
      expect(message.replace(/^\w+: /, '')).toBe(expected[name]);
      expect(later).toBe(`allReduce: ${expected[name]}`);
      expect(code).toBe('DISTRIBUTED');
      expect(took).toBeLessThan(10_000);
    }
  }
});

test('when a process is killed the others hear of it', async () => {
  const processes = 3;
  // Without the launcher, which would end them.
  const path = join(folder, 'killed');
  closeSync(openSync(path, 'wx'));
  const ended = Array.from({ length: processes }, async (_, rank) => {
    const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'killed.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        HADAL_NUM_THREADS: '1',
        HADAL_RANK: String(rank),
        HADAL_WORLD_SIZE: String(processes),
        HADAL_RENDEZVOUS: path,
      },
    });
    const closed = new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_, signal) => resolve(signal)));
    return { printed: await text(child.stdout), signal: await closed };
  });
  const [first, second, killed] = await Promise.all(ended);
  if (process.platform !== 'win32') expect(killed!.signal).toBe('SIGKILL'); // Windows has no signals
  for (const { printed } of [first!, second!]) {
    const { code, message, waited } = JSON.parse(printed) as { code: string; message: string; waited: number };
    expect(code).toBe('DISTRIBUTED');
    expect(message).toBe('allReduce: rank 2 has died: got 2 of 3 ranks, expected all');
    expect(waited).toBeLessThan(10_000);
  }
});

describe('one process alone', () => {
  test('is a world of one', async () => {
    expect([distributed.rank(), distributed.worldSize()]).toEqual([0, 1]);
    const x = tensor([1, 2]);
    expect(await distributed.allReduce(x).toArray()).toEqual([1, 2]);
    expect(await distributed.allReduce(x, { reduction: 'mean' }).toArray()).toEqual([1, 2]);
    expect(await distributed.broadcast(x).toArray()).toEqual([1, 2]);
    expect(await distributed.allGather(x).toArray()).toEqual([[1, 2]]);
    expect(await distributed.reduceScatter(tensor([[1, 2]])).toArray()).toEqual([1, 2]);
    await distributed.barrier();
  });

  test('wrong arguments', () => {
    const { allReduce, broadcast, reduceScatter, init, DistributedDataParallel } = distributed;
    const bad = (value: unknown): never => value as never;
    const failures: [() => unknown, string][] = [
      [() => allReduce(bad(1)), 'allReduce: input: got number 1, expected a tensor'],
      [
        () => allReduce(zeros([2]), { reduction: bad('product') }),
        'allReduce: reduction: got product, expected sum, mean, max, min',
      ],
      [
        () => allReduce(zeros([2], { dtype: 'int32' }), { reduction: 'mean' }),
        'allReduce: dtype: got int32, expected a floating dtype for the mean',
      ],
      [
        () => allReduce(zeros([2], { dtype: 'bool' })),
        'allReduce: dtype: got bool, expected a dtype of numbers for the sum',
      ],
      [
        () => allReduce(zeros([2]).requiresGrad_(), { reduction: 'max' }),
        'allReduce: gradients do not pass between processes: got a tensor that requires one, expected x.detach()',
      ],
      [() => broadcast(zeros([2]), { root: 1 }), 'broadcast: root: got 1, expected a rank from 0 to 0'],
      [
        () => reduceScatter(zeros([2, 3]) as never),
        'reduceScatter: the first axis does not fit: got [2, 3], expected [1, …], one part for each process',
      ],
      [() => init({ device: bad('gpu') }), 'init: device: got gpu, expected cpu or cuda'],
      [() => init({ timeout: 0 }), 'init: timeout: got 0, expected a positive integer of milliseconds'],
      [
        () => new DistributedDataParallel(new nn.ReLU()),
        'DistributedDataParallel: module: got no parameter that requires a gradient, expected at least one',
      ],
      [
        () => new DistributedDataParallel(new nn.Linear(2, 2)).noSync(() => Promise.resolve()),
        'noSync: f: got an async function, expected one that returns when it is done',
      ],
    ];
    for (const [call, message] of failures) expect(call).toThrow(new Error(message));
  });

  test('sums carry gradients', () => {
    const x = ones([2]).requiresGrad_();
    distributed.allReduce(x).square().sum().backward();
    expect(x.grad!.toArraySync()).toEqual([2, 2]);
  });

  test('gradients cannot be averaged while they are recorded', () => {
    const model = new distributed.DistributedDataParallel(new nn.Linear(2, 1));
    expect(() => (model.forward(ones([3, 2])) as AnyTensor).square().sum().backward({ createGraph: true })).toThrow(
      'DistributedDataParallel: gradients do not pass between processes: got backward with createGraph, expected one without',
    );
  });
});
