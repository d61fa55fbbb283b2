// Profiles: every command is counted with its bytes and operations, on the threads that ran it, and nothing is recorded without one.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { getNumThreads, nn, rand, scope, setNumThreads, train, zeros, type AnyTensor } from '../../lib/index';

const opOf = (profile: train.Profile, name: string): train.OpProfile => {
  const found = profile.ops.find((op) => op.name === name);
  if (found === undefined) throw new Error(`no ${name} among ${profile.ops.map((op) => op.name).join(', ')}`);
  return found;
};

test('counts calls, bytes and operations', async () => {
  const [a, b] = [rand([64, 32]), rand([32, 16])];
  const images = rand([2, 3, 8, 8]).requiresGrad_();
  const filters = rand([4, 3, 3, 3]).requiresGrad_();
  const result = await train.profile(() => {
    for (let i = 0; i < 3; i++) a.matmul(b);
    a.add(1).add(rand([32]));
    nn.functional.conv2d(images, filters, undefined, { padding: 1 }).sum().backward();
    return 7;
  });
  expect(result.result).toBe(7);
  const matmul = opOf(result, 'matmul');
  expect([matmul.calls, matmul.flops, matmul.bytes]).toEqual([
    3,
    3 * 2 * 64 * 32 * 16,
    3 * 4 * (64 * 32 + 32 * 16 + 64 * 16),
  ]);
  // A number has no bytes, and a row that is broadcast is read once.
  expect([opOf(result, 'add').calls, opOf(result, 'add').bytes]).toEqual([2, 4 * (4 * 64 * 32 + 32)]);
  const eachWay = 2 * (2 * 4 * 8 * 8) * (3 * 3 * 3);
  for (const name of ['conv2d', 'conv2dInputGrad', 'conv2dWeightGrad']) expect(opOf(result, name).flops).toBe(eachWay);
  expect(result.ops.reduce((sum, op) => sum + op.share, 0)).toBeCloseTo(1, 10);
  for (const op of result.ops) {
    expect(op.time).toBeGreaterThan(0);
    expect(op.submission).toBeGreaterThan(0);
    expect(op.peakShare).toBeGreaterThan(0);
  }
  const [head, ...rows] = String(result).split('\n');
  expect(head).toMatch(/^op +calls +time +share +each +bytes +GB\/s +GFLOP\/s +of peak +submitting$/);
  expect(rows.length).toBe(result.ops.length + 1);
  expect(rows.at(-1)).toMatch(/^[\d.]+ ms in all, ops [\d.]+ ms \(\d+ %\)$/);
});

test('attention counts its products, half of them behind a causal mask', async () => {
  const [q, k] = [rand([1, 2, 16, 8]), rand([1, 2, 32, 8])] as [AnyTensor, AnyTensor];
  const flops = async (causal: boolean): Promise<number> => {
    const f = (): void => void nn.functional.scaledDotProductAttention(q, causal ? q : k, causal ? q : k, { causal });
    return opOf(await train.profile(f, { peaks: false }), 'attention').flops;
  };
  expect(await flops(false)).toBe(4 * 2 * 16 * 32 * 8);
  expect(await flops(true)).toBe((4 * 2 * 16 * 16 * 8) / 2);
});

test('shows the threads in their order of time', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hadal-'));
  const threads = getNumThreads();
  setNumThreads(4);
  try {
    const x = rand([512, 512]);
    const result = await train.profile(
      () =>
        train.region('products', () => {
          for (let i = 0; i < 10; i++) scope(() => void x.matmul(x).exp());
        }),
      { peaks: false },
    );
    await result.writeTrace(join(folder, 'trace.json'));
    const { traceEvents } = JSON.parse(await readFile(join(folder, 'trace.json'), 'utf8')) as {
      traceEvents: {
        name: string;
        ph: string;
        tid: number;
        ts: number;
        dur: number;
        args?: { name?: string; bytes?: number };
      }[];
    };
    const names = new Map(traceEvents.filter(({ ph }) => ph === 'M').map(({ tid, args }) => [tid, args!.name!]));
    const spans = traceEvents.filter(({ ph }) => ph === 'X');
    const on = (thread: RegExp, name: string) =>
      spans.filter((span) => thread.test(names.get(span.tid)!) && span.name === name);
    expect(on(/^JS$/, 'products')).toHaveLength(1);
    expect(on(/^JS$/, 'matmul')).toHaveLength(10);
    expect(on(/^stream \d+$/, 'matmul')).toHaveLength(10);
    expect(on(/^pool \d$/, 'matmul').length).toBeGreaterThan(0);
    const [region] = on(/^JS$/, 'products');
    on(/^stream/, 'matmul').forEach((span, i) => {
      const submitted = on(/^JS$/, 'matmul')[i]!;
      expect(submitted.ts).toBeGreaterThanOrEqual(region!.ts);
      expect(span.ts).toBeGreaterThan(submitted.ts - 100); // two clocks, one origin
      expect(span.ts + span.dur).toBeLessThan(1000 * result.duration + 100);
    });
    expect(String(result)).not.toContain('%  %');
    expect(opOf(result, 'exp').peakShare).toBeUndefined();
  } finally {
    setNumThreads(threads);
    await rm(folder, { recursive: true });
  }
});

test('one at a time, and nothing is left when it fails', async () => {
  await expect(train.profile(() => train.profile(() => 1))).rejects.toThrow(
    'profile: f: got a profile inside another, expected one at a time',
  );
  await expect(train.profile(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  zeros([10]).add(1);
  const result = await train.profile(() => (zeros([10]) as AnyTensor).exp().data());
  expect(result.ops.map(({ name }) => name).sort()).toEqual(['exp', 'fill']);
  expect(await train.region('plain', () => Promise.resolve(3))).toBe(3);
});
