// Samples of distances and of the losses that are composed of ops. test/nn compares their values with PyTorch's; here are dtypes, layouts,
// gradients, and references for what PyTorch lacks.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, type Draw, type Plain, type Sample, type Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
// Losses are sums of differences and logarithms that are rounded one by one.
const rounded: Partial<Record<DType, Tolerance>> = {
  float32: { rtol: 1e-5, atol: 1e-5 },
  float16: { rtol: 1e-2, atol: 1e-2 },
  bfloat16: { rtol: 6e-2, atol: 6e-2 },
};

type Inputs = (draw: Draw, dtype: DType) => readonly AnyTensor[];
const sample = (
  op: string,
  variant: string,
  inputs: Inputs,
  call: Sample['call'],
  more: Partial<Sample> = {},
): Sample => ({
  op,
  variant,
  dtypes: floats,
  inputs,
  call,
  order: 2,
  tolerance: rounded,
  ...more,
});

/** The shape of the input, and of each loss. */
const shapes: readonly (readonly [string, Shape])[] = [
  ['a matrix', [3, 4]],
  ['a scalar', []],
  ['nothing', [0, 3]],
];
const int = (values: readonly number[], shape: Shape = [values.length]): AnyTensor =>
  hadal.tensor([...values], { dtype: 'int64', shape });

type Same = (x: AnyTensor, target: AnyTensor, options?: object) => AnyTensor;
const none = { reduction: 'none' } as const;
/** Kinks are kept away from: x is drawn away from 0, and the target is that of `make`. */
const alike = (op: string, f: Same, make: Inputs, options: object = none): Sample[] =>
  shapes.map(([variant]) =>
    sample(
      op,
      variant,
      (draw, dtype) => make(drawOf(draw, variant), dtype),
      (x, t) => f(x!, t!, options),
    ),
  );
const shapeOf = new Map(shapes);
/** A draw whose tensors have the shape of the variant. */
const drawOf = (draw: Draw, variant: string): Draw =>
  Object.assign(Object.create(draw) as Draw, {
    tensor: (_: Shape, ...rest: [DType, number?, number?, number[]?]) => draw.tensor(shapeOf.get(variant)!, ...rest),
  });

const apart: Inputs = (draw, dtype) => [draw.tensor([], dtype, 1.1, 2, [1.5]), draw.tensor([], dtype, 0, 0.4)];
const near: Inputs = (draw, dtype) => [draw.tensor([], dtype, 0.6, 0.9), draw.tensor([], dtype, 0, 0.4)];
const shares: Inputs = (draw, dtype) => [draw.tensor([], dtype, 0.1, 0.9), draw.tensor([], dtype, 0.1, 0.9)];
const signs: Inputs = (draw, dtype) => [
  draw.tensor([], dtype, -2, 2, [-1, 0, 1]),
  draw.tensor([], 'int32', 0, 1).mul(2).sub(1).cast(dtype),
];
const counts: Inputs = (draw, dtype) => [draw.tensor([], dtype, 0.2, 2), draw.tensor([], 'int32', 0, 4).cast(dtype)];
const h = hadal as unknown as Record<string, Same>;
const elementwise: Sample[] = [
  ...alike('l1Loss', h['l1Loss']!, apart),
  ...alike('smoothL1Loss', h['smoothL1Loss']!, apart, { ...none, beta: 0.5 }),
  ...alike('smoothL1Loss', h['smoothL1Loss']!, near, { ...none, beta: 2 }).map((one) => ({
    ...one,
    variant: `near, ${one.variant}`,
  })),
  ...alike('huberLoss', h['huberLoss']!, apart, { ...none, delta: 0.5 }),
  ...alike('huberLoss', h['huberLoss']!, near, { ...none, delta: 2 }).map((one) => ({
    ...one,
    variant: `near, ${one.variant}`,
  })),
  ...alike('bceLoss', h['bceLoss']!, shares),
  ...alike('klDiv', h['klDiv']!, shares),
  ...alike('klDiv', h['klDiv']!, shares, { ...none, logTarget: true }).map((one) => ({
    ...one,
    variant: `logarithms, ${one.variant}`,
  })),
  ...alike('poissonNllLoss', h['poissonNllLoss']!, counts),
  ...alike('softMarginLoss', h['softMarginLoss']!, signs),
  ...alike('hingeEmbeddingLoss', h['hingeEmbeddingLoss']!, signs),
];

const vectors =
  (...sizes: Shape[]): Inputs =>
  (draw, dtype) =>
    sizes.map((shape) => draw.tensor(shape, dtype, 0.2, 1.5));
const reductions = ['none', 'sum', 'mean'] as const;
const structured: Sample[] = reductions.flatMap((reduction) => [
  sample('nllLoss', reduction, vectors([4, 3], [3]), (x, weight) =>
    hadal.nllLoss(x!, int([0, 2, -100, 1]) as never, { weight: weight!, reduction }),
  ),
  sample('gaussianNllLoss', reduction, vectors([3, 2], [3, 2], [3, 1]), (x, t, v) =>
    hadal.gaussianNllLoss(x!, t! as never, v!, { reduction, full: true }),
  ),
  sample('cosineEmbeddingLoss', reduction, vectors([3, 4], [3, 4]), (a, b) =>
    hadal.cosineEmbeddingLoss(a!, b!, hadal.tensor([1, -1, 1]), { reduction, margin: 0.1 }),
  ),
  sample('marginRankingLoss', reduction, vectors([3], [3]), (a, b) =>
    hadal.marginRankingLoss(a!, b! as never, hadal.tensor([1, -1, 1]), { reduction, margin: 2 }),
  ),
  sample('tripletMarginLoss', reduction, vectors([3, 2], [3, 2], [3, 2]), (a, p, n) =>
    hadal.tripletMarginLoss(a!, p!, n!, { reduction, margin: 3 }),
  ),
  sample('tripletMarginWithDistanceLoss', reduction, vectors([3, 2], [3, 2], [3, 2]), (a, p, n) =>
    hadal.tripletMarginWithDistanceLoss(a!, p!, n!, {
      reduction,
      margin: 3,
      distance: (x, y) => x.sub(y).square().sum(-1) as AnyTensor,
    }),
  ),
  sample(
    'multiLabelMarginLoss',
    reduction,
    (draw, dtype) => [draw.tensor([2, 4], dtype, 0, 0.8)],
    (x) => hadal.multiLabelMarginLoss(x!, int([3, 0, -1, 1, 1, -1, 0, 2], [2, 4]), { reduction }),
  ),
  sample('multiLabelSoftMarginLoss', reduction, vectors([2, 3], [3]), (x, weight) =>
    hadal.multiLabelSoftMarginLoss(
      x!,
      hadal.tensor(
        [
          [1, 0, 1],
          [0, 0, 1],
        ],
        { dtype: x!.dtype },
      ),
      { reduction, weight: weight! },
    ),
  ),
  sample(
    'multiMarginLoss',
    reduction,
    (draw, dtype) => [draw.tensor([2, 3], dtype, 0, 0.8), draw.tensor([3], dtype, 0.5, 1)],
    (x, weight) => hadal.multiMarginLoss(x!, int([2, 0]), { reduction, p: 2, weight: weight! }),
  ),
  sample(
    'ctcLoss',
    reduction,
    (draw, dtype) => [draw.tensor([4, 3, 3], dtype)],
    (x) =>
      hadal.ctcLoss(x!.logSoftmax(-1) as AnyTensor, int([1, 1, 2, 1, 1, 2], [3, 2]), [4, 2, 4], [2, 1, 0], {
        reduction,
      }),
  ),
]);

const unit = (x: Plain, row: number): number[] => {
  const size = x.shape[1]!;
  const own = x.values.slice(row * size, (row + 1) * size);
  const norm = Math.hypot(...own);
  return own.map((v) => v / norm);
};
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

const contrastive: Sample[] = [
  sample(
    'infoNce',
    'with negatives',
    vectors([3, 2], [3, 2], [2, 2]),
    (q, p, negatives) => hadal.infoNce(q!, p!, { negatives: negatives!, temperature: 0.5, reduction: 'none' }),
    {
      reference: (q, p, negatives) =>
        generated([3], ([i]) => {
          const scores = [0, 1, 2].map((j) => dot(unit(q, i!), unit(p, j)) / 0.5);
          const others = [0, 1].map((j) => dot(unit(q, i!), unit(negatives, j)) / 0.5);
          return Math.log([...scores, ...others].reduce((sum, v) => sum + Math.exp(v), 0)) - scores[i!]!;
        }),
    },
  ),
  sample(
    'ctcLoss',
    'joined targets, one sequence without a batch',
    (draw, dtype) => [draw.tensor([3, 4], dtype)],
    (x) => hadal.ctcLoss(x!.logSoftmax(-1) as AnyTensor, int([1, 3]), [3], [2], { reduction: 'none' }),
  ),
];

const power = (p: number): ((values: readonly number[]) => number) =>
  p === Infinity
    ? (values) => Math.max(0, ...values.map(Math.abs))
    : (values) => values.reduce((sum, v) => sum + Math.abs(v) ** p, 0) ** (1 / p);
const row = (x: Plain, i: number): number[] => x.values.slice(i * x.shape.at(-1)!, (i + 1) * x.shape.at(-1)!);

const distances: Sample[] = [1, 2, 3, Infinity, -1.5].flatMap((p) => [
  sample('normalize', `p = ${p}`, vectors([3, 2]), (x) => hadal.normalize(x!, { p }), {
    reference: (x) => generated([3, 2], ([i, j]) => x.values[2 * i! + j!]! / power(p)(row(x, i!))),
  }),
  sample(
    'pairwiseDistance',
    `p = ${p}`,
    vectors([3, 2], [2]),
    (a, b) => hadal.pairwiseDistance(a!, b!, { p, epsilon: 0 }),
    {
      reference: (a, b) => generated([3], ([i]) => power(p)(row(a, i!).map((v, k) => v - b.values[k]!))),
    },
  ),
  ...(p < 0
    ? []
    : [
        sample('cdist', `p = ${p}`, vectors([3, 2], [2, 2]), (a, b) => hadal.cdist(a!, b!, { p }), {
          reference: (a, b) => generated([3, 2], ([i, j]) => power(p)(row(a, i!).map((v, k) => v - row(b, j!)[k]!))),
        }),
      ]),
]);
const similar: Sample[] = [
  sample(
    'cosineSimilarity',
    'broadcast, first axis',
    vectors([3, 2], [3, 1]),
    (a, b) => hadal.cosineSimilarity(a!, b!, { axis: 0 }),
    {
      reference: (a, b) =>
        generated([2], ([j]) => {
          const [x, y] = [[0, 1, 2].map((i) => a.values[2 * i + j!]!), b.values];
          return dot(x, y) / Math.hypot(...x) / Math.hypot(...y);
        }),
    },
  ),
  sample('cdist', 'by the product of matrices', vectors([27, 2], [3, 2]), (a, b) => hadal.cdist(a!, b!), {
    dtypes: ['float64'],
    reference: (a, b) => generated([27, 3], ([i, j]) => Math.hypot(...row(a, i!).map((v, k) => v - row(b, j!)[k]!))),
  }),
  ...[1, 2, 3, Infinity].map((p) =>
    sample('pdist', `p = ${p}`, vectors([4, 2]), (x) => hadal.pdist(x!, { p }), {
      reference: (x) => {
        const pairs = [0, 1, 2, 3].flatMap((i) => [0, 1, 2, 3].filter((j) => j > i).map((j) => [i, j] as const));
        return { shape: [6], values: pairs.map(([i, j]) => power(p)(row(x, i).map((v, k) => v - row(x, j)[k]!))) };
      },
    }),
  ),
  sample('pdist', 'one row', vectors([1, 2]), (x) => hadal.pdist(x!)),
  sample('cdist', 'no rows', vectors([0, 2], [3, 2]), (a, b) => hadal.cdist(a!, b!)),
];

export const samples: Sample[] = [...elementwise, ...structured, ...contrastive, ...distances, ...similar];
