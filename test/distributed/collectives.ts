// Run by each of several processes: every collective in every dtype, at sizes from nothing to several rounds of shared memory, against what JavaScript
// computes. Prints one line with a digest of all results, which must be the same everywhere and every time. Started by distributed.test.ts and by
// test/native/cuda/parts.ts:
//   hadal launch --processes 3 test/distributed/collectives.ts [cuda]
import { createHash } from 'node:crypto';

import { distributed, manualSeed, randn, synchronize, tensor, type AnyTensor, type DType } from '../../lib/index';
import { decode } from '../../lib/tensor/dtype';

const { allGather, allReduce, barrier, broadcast, reduceScatter } = distributed;
const device = process.argv[2] === 'cuda' ? 'cuda' : 'cpu';
distributed.init({ device, timeout: 60_000 });
const [rank, world] = [distributed.rank(), distributed.worldSize()];
const ranks = Array.from({ length: world }, (_, i) => i);
const digest = createHash('sha256');

/** Small whole numbers: every dtype has them, and sums of them are exact in any order. */
const valueOf = (of: number, i: number): number => ((i * 7 + of * 3) % 5) + of;
const values = (of: number, size: number): number[] => Array.from({ length: size }, (_, i) => valueOf(of, i));
const make = (of: number, size: number, dtype: DType): AnyTensor => {
  const list = values(of, size).map((value) => (dtype === 'bool' ? value % 2 : value));
  return tensor(list, { dtype }) as AnyTensor;
};
const listOf = (x: AnyTensor): number[] => {
  const data = x.dataSync();
  digest.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return Array.from(decode(x.dtype, data), Number);
};

function expectEqual(got: readonly number[], expected: readonly number[], what: string): void {
  const at = expected.findIndex((value, i) => !Object.is(got[i], value));
  if (got.length === expected.length && at === -1) return;
  throw new Error(`${what} on rank ${rank}: got ${got[at]} at ${at} of ${got.length}, expected ${expected[at]}`);
}

const reduced = {
  sum: (list: number[]) => list.reduce((a, b) => a + b),
  mean: (list: number[]) => list.reduce((a, b) => a + b) / list.length,
  max: (list: number[]) => Math.max(...list),
  min: (list: number[]) => Math.min(...list),
};
type Reduction = keyof typeof reduced;

const floats: DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const integers: DType[] = ['int64', 'int32', 'int8', 'uint8', ...(device === 'cpu' ? (['int16'] as const) : [])];
const takes = (dtype: DType, reduction: Reduction): boolean =>
  reduction === 'mean' ? floats.includes(dtype) && world !== 3 : reduction !== 'sum' || dtype !== 'bool';

for (const dtype of [...floats, ...integers, 'bool'] as DType[]) {
  // The longest takes several rounds.
  for (const size of [0, 1, 7, 1000, ...(dtype === 'float32' ? [300_001] : [])]) {
    const own = make(rank, size, dtype);
    const all = ranks.map((of) => Array.from(decode(dtype, make(of, size, dtype).dataSync()), Number));
    const what = `of ${dtype} [${size}]`;
    for (const reduction of Object.keys(reduced) as Reduction[]) {
      if (!takes(dtype, reduction)) continue;
      const expected = Array.from({ length: size }, (_, i) => reduced[reduction](all.map((list) => list[i]!)));
      expectEqual(listOf(allReduce(own, { reduction })), expected, `allReduce ${reduction} ${what}`);
      // Rank r's part is shifted by r, so that parts differ.
      const parts = tensor(
        ranks.flatMap((part) => values(rank + part, size)).map((v) => (dtype === 'bool' ? v % 2 : v)),
        {
          dtype,
        },
      ).reshape([world, size]) as AnyTensor;
      const mine = ranks.map((of) => values(of + rank, size).map((v) => (dtype === 'bool' ? v % 2 : v)));
      const part = Array.from({ length: size }, (_, i) => reduced[reduction](mine.map((list) => list[i]!)));
      expectEqual(listOf(reduceScatter(parts as never, { reduction })), part, `reduceScatter ${reduction} ${what}`);
    }
    expectEqual(listOf(allGather(own)), all.flat(), `allGather ${what}`);
    for (const root of ranks) expectEqual(listOf(broadcast(own, { root })), all[root]!, `broadcast ${what}`);
  }
}

// No axes, and strides.
expectEqual(listOf(allReduce(tensor(rank + 1))), [(world * (world + 1)) / 2], 'allReduce of a number');
const square = tensor(values(rank, 12)).reshape([3, 4]).transpose() as AnyTensor;
const transposed = ranks.map((of) => listOf(tensor(values(of, 12)).reshape([3, 4]).transpose() as AnyTensor));
expectEqual(
  listOf(allReduce(square, { reduction: 'max' })),
  transposed[0]!.map((_, i) => Math.max(...transposed.map((list) => list[i]!))),
  'allReduce of a transposed matrix',
);

// Numbers that round: added in the order of the ranks.
if (device === 'cpu') {
  for (const dtype of floats) {
    manualSeed(rank);
    const own = randn([50_000]).cast(dtype) as AnyTensor;
    const gathered = allGather(own);
    const wide = dtype === 'float64' ? dtype : 'float32';
    const parts = ranks.map((of) => gathered.select(0, of).cast(wide) as AnyTensor);
    const sum = parts.reduce((a, b) => a.add(b) as AnyTensor);
    expectEqual(listOf(allReduce(own)), listOf(sum.cast(dtype) as AnyTensor), `allReduce of random ${dtype}`);
    const mean = sum.div(world).cast(dtype) as AnyTensor;
    expectEqual(listOf(allReduce(own, { reduction: 'mean' })), listOf(mean), `mean of random ${dtype}`);
  }
}
const withNaN = tensor([rank === 0 ? NaN : 1, 2]);
expectEqual(listOf(allReduce(withNaN, { reduction: 'sum' })), [NaN, 2 * world], 'the sum with a NaN');
if (device === 'cpu') expectEqual(listOf(allReduce(withNaN, { reduction: 'max' })), [NaN, 2], 'the maximum with a NaN');

async function main(): Promise<void> {
  // Nobody passes the barrier before the last has come.
  const start = Date.now();
  if (rank === world - 1) await new Promise((resolve) => setTimeout(resolve, 100));
  await barrier();
  if (world > 1 && rank === 0 && Date.now() - start < 50) throw new Error('the barrier did not wait');
  synchronize();
  console.log(`digest ${digest.digest('hex')}`);
}
void main();
