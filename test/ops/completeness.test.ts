// Every native op is defined, and the samples run its kernel; every view op takes part in a gradient that the samples check; and every
// public op has a sample.
import * as hadal from '../../lib/index';
import { gradients, type AnyTensor } from '../../lib/index';
import { Op, type OpName } from '../../lib/native/opcodes';
import { nativeOps, viewOps } from '../../lib/ops/define';
import { observeSubmissions } from '../../lib/runtime/recorder';
import { isFloat } from '../../lib/tensor/dtype';
import { Draw, list, titleOf } from './sample';
import { samples, samplesByOp } from './samples';

/** Ops without samples, which have tests of their own (creation.test.ts, random.test.ts, distributed.test.ts). */
const withoutSamples: Record<string, () => AnyTensor> = {
  fill: () => hadal.zeros([3]),
  arange: () => hadal.arange(3),
  uniform: () => hadal.rand([3]),
  normal: () => hadal.randn([3]),
  randint: () => hadal.randint(0, 5, [3]),
  randperm: () => hadal.randperm(3),
  poisson: () => hadal.poisson(hadal.ones([3])),
  binomial: () => hadal.binomial(3, hadal.ones([3])),
  standardGamma: () => {
    const concentration = hadal.ones([3]).requiresGrad_();
    return gradients([hadal.standardGamma(concentration).sum()], [concentration])[0]!;
  },
  allReduce: () => hadal.distributed.allReduce(hadal.ones([3])),
  broadcast: () => hadal.distributed.broadcast(hadal.ones([3])),
  allGather: () => hadal.distributed.allGather(hadal.ones([3])),
  reduceScatter: () => hadal.distributed.reduceScatter(hadal.ones([1, 3])),
  barrier: () => {
    void hadal.distributed.barrier();
    return hadal.ones([]);
  },
};

const names = Object.keys(Op) as OpName[];

/** Runs all samples with their gradients; answers the native ops and the view ops that took part. */
function runEverything(): { executed: Set<OpName>; viewed: Set<string> } {
  const executed = new Set<OpName>();
  const viewed = new Set<string>();
  observeSubmissions((name) => {
    executed.add(name as OpName);
  });
  try {
    for (const make of Object.values(withoutSamples)) make().dataSync();
    for (const sample of samples) {
      const dtype = sample.dtypes[0]!;
      const inputs = sample.inputs(new Draw(titleOf(sample)), dtype);
      const leaves = inputs.map((x) => (sample.order > 0 && isFloat(x.dtype) ? x.detach().requiresGrad_() : x));
      const results = list(sample.call(...leaves)).filter(({ requiresGrad }) => requiresGrad);
      const wanted = leaves.filter(({ requiresGrad }) => requiresGrad);
      for (const result of results) for (const name of opsBehind(result)) if (viewOps.has(name)) viewed.add(name);
      if (results.length === 0) continue;
      // Under createGraph some rules are written over other ops than the fused kernel.
      const sums = results.map((result) => result.sum());
      gradients(sums, wanted, { createGraph: true });
      gradients(sums, wanted);
    }
    hadal.synchronize();
  } finally {
    observeSubmissions(undefined);
  }
  return { executed, viewed };
}

/** The names of the ops in the graph of a result. */
function opsBehind(result: AnyTensor): Set<string> {
  const found = new Set<string>();
  const stack = [result.edge?.node];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    found.add(node.op.name);
    for (const edge of node.edges) if (edge?.node !== undefined) stack.push(edge.node);
  }
  return found;
}

test('every line of native/ops.def is defined in lib/ops', () => {
  expect(names.filter((name) => !nativeOps.has(name))).toEqual([]);
});

test('the samples run every kernel and every view', () => {
  const { executed, viewed } = runEverything();
  expect(names.filter((name) => !executed.has(name))).toEqual([]);
  expect([...viewOps.keys()].filter((name) => !viewed.has(name))).toEqual([]);
});

test('every public op has a sample or a test of its own', () => {
  const elsewhere = [
    // creation.test.ts
    ...['zeros', 'ones', 'full', 'empty', 'zerosLike', 'onesLike', 'fullLike', 'emptyLike', 'tensor', 'fromBuffer'],
    ...['arange', 'linspace', 'logspace', 'meshgrid', 'eye'],
    // random.test.ts
    ...[
      'rand',
      'randn',
      'randint',
      'randperm',
      'uniform',
      'normal',
      'exponential',
      'bernoulli',
      'binomial',
      'poisson',
      'standardGamma',
      'multinomial',
    ],
    ...['randLike', 'randnLike', 'randintLike'],
    // known-later.test.ts: the forms that do not block
    ...['nonzero', 'maskedSelect', 'unique', 'bincount', 'nonMaxSuppression'],
    // golden/ops.test.ts
    ...['trilIndices', 'triuIndices'],
    // pointwise.test.ts
    ...['allClose', 'allCloseSync', 'equal', 'equalSync'],
  ];
  const internal = new Set(['creation', 'ownShape', 'checkDType']);
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const ops = Object.keys(require('../../lib/ops') as object).filter((name) => !internal.has(name));
  expect(ops.filter((name) => !samplesByOp.has(name) && !elsewhere.includes(name))).toEqual([]);
});
