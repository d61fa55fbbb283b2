// Golden values of ops from PyTorch, forward and gradients; ops/make.py made them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { designTolerance } from '../ops/sample';
import { expectTiny, readFamily, replay, type Case, type Family, type ReplayOptions } from './replay';

/** Ops that choose between their argument and 0, which may be either zero, or that underflow. */
const anyZero = new Set(['relu6', 'softshrink', 'gelu', 'tanhshrink']);
/** Ops that are composed of others. */
const composed =
  /^(logSumExp|prod|norm|convTranspose.d|fold|segmentSoftmax|einsum|addmm|baddbmm|interpolate|lpPool.d|adaptiveAvgPool.d|embeddingBag|(batch|group|instance|localResponse)Norm|cosineSimilarity|cdist|pdist|pairwiseDistance|scaledDotProductAttention|(rnn|gru|lstm)(Cell)?)$/;
/** What differs from family to family. */
const options: Record<string, (item: Case, family: Family) => ReplayOptions> = {
  pointwise: ({ op }) => ({ inspect: (got, expected, dtype) => expectTiny(got, expected, dtype, !anyZero.has(op)) }),
  // Rounding errors grow with the condition of a matrix.
  linalg: () => ({ looser: { float32: { rtol: 3e-5, atol: 3e-5 } } }),
  factors: () => ({ looser: { float32: { rtol: 3e-5, atol: 3e-5 } } }),
  // A sum of k products of about 1 rounds k partial sums of up to √k: by k·2⁻²⁴ / √6 in standard deviation, in one accumulator, and more where
  // products round as well, on levels without fused multiply-adds.
  larger: ({ op, args }, { expected }) => {
    if (op !== 'matmul') return {};
    const { rtol, atol } = designTolerance('float32');
    const k = expected((args[0] as { $: number }).$).shape.at(-1)!;
    return { looser: { float32: { rtol, atol: Math.max(atol, k * 2 ** -24) } } };
  },
};

const families = readdirSync(join(__dirname, 'ops'))
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length));
const counts = new Map<string, number>();

test.each(families)('%s', async (name) => {
  const family = await readFamily(name);
  const failures: string[] = [];
  for (const [i, item] of family.cases.entries()) {
    try {
      await replay(family, item, { isComposed: composed.test(item.op), ...options[name]?.(item, family) });
    } catch (error) {
      failures.push(`case ${i}: ${item.op}(${JSON.stringify(item.args)}): ${(error as Error).message}`);
    }
  }
  counts.set(name, family.cases.length);
  expect(failures).toEqual([]);
});

afterAll(() => {
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  process.stdout.write(`golden: ${total} cases: ${[...counts].map(([name, n]) => `${name} ${n}`).join(', ')}\n`);
});
