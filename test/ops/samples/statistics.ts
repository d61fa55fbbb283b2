// Samples of norms, order statistics, searches and counts.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape, Tensor } from '../../../lib/index';
import { dtypes as everyDType, isFloat, toFloat } from '../../../lib/tensor/dtype';
import { count, mapped, type Draw, type Plain, type Sample } from '../sample';
import { lines, ordering, reduced } from './reduce';

const numbers = everyDType.filter((dtype) => dtype !== 'bool');
const int64 = (): DType => 'int64';
const rooted = { float16: { rtol: 4e-3, atol: 4e-3 }, bfloat16: { rtol: 3.2e-2, atol: 3.2e-2 } };

type Case = readonly [variant: string, shape: Shape, axes: number | readonly number[] | undefined, keep: boolean];
const cases: readonly Case[] = [
  ['all', [3, 4], undefined, false],
  ['the last axis kept', [3, 5], -1, true],
  ['the first axis', [4, 3], 0, false],
  ['0-d', [], undefined, false],
  ['another axis empty', [0, 3], 1, false],
];
const listed = (axes: number | readonly number[] | undefined): readonly number[] | undefined =>
  typeof axes === 'number' ? [axes] : axes;

const normOf = (p: number) => (line: number[]) => {
  const sizes = line.map(Math.abs);
  if (p === Infinity) return Math.max(...sizes);
  if (p === -Infinity) return Math.min(...sizes);
  if (p === 0) return sizes.filter((size) => size !== 0).length;
  return sizes.reduce((sum, size) => sum + size ** p, 0) ** (1 / p);
};
const norms: Sample[] = [0, 1, 2, 3, 0.5, -1, Infinity, -Infinity].flatMap((p) => {
  const more: Case[] = [
    ['two axes', [2, 3, 2], [0, 2], false],
    ['long', [20_000], undefined, false],
  ];
  const empty: Case[] = [['nothing', [2, 0], 1, false]];
  return [...cases, ...(p >= 0 && p !== Infinity ? empty : []), ...(p === 2 ? more : [])].map(
    ([variant, shape, axes, keep]): Sample => ({
      op: 'norm',
      variant: `p = ${p}, ${variant}`,
      dtypes: p === 2 || p === 1 ? numbers : ['float64', 'float32', 'float16', 'bfloat16', 'int32'],
      // Far from 0, where powers bend sharply, and all different where one is picked.
      inputs: (draw, dtype) => [
        !Number.isFinite(p)
          ? draw.distinct(shape, dtype).add(isFloat(dtype) ? 0.03125 : 0)
          : draw.tensor(shape, dtype, 0.5, 2).mul(draw.tensor(shape, 'bool').cast(dtype).mul(2).sub(1)),
      ],
      call: (x) => hadal.norm(x, axes as 0, { p, keepDims: keep }),
      reference: reduced(listed(axes), keep, normOf(p)),
      result: toFloat,
      tolerance: rooted,
      order: count(shape) > 1000 ? 0 : 2,
    }),
  );
});

const extremes: Sample = {
  op: 'norm',
  variant: 'squares that the dtype does not hold',
  dtypes: ['float16', 'float32'],
  inputs: (_, dtype) => [hadal.tensor(dtype === 'float16' ? [300, -400] : [3e30, -4e30], { dtype })],
  call: (x) => hadal.norm(x),
  reference: (x) => ({ shape: [], values: [Math.hypot(...x.values)] }),
  order: 0,
};

const countNonzero: Sample[] = cases.map(([variant, shape, axes, keep]) => ({
  op: 'countNonzero',
  variant,
  dtypes: everyDType,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype, 0, 1).mul(draw.tensor(shape, 'bool')).cast(dtype)],
  call: (x) => hadal.countNonzero(x, axes as 0, { keepDims: keep }),
  reference: reduced(listed(axes), keep, (line) => line.filter((v) => v !== 0).length),
  result: int64,
  order: 0,
}));

// ------------------------------------------------------------------------------------------------------ order statistics

const sorted = (line: readonly number[]): number[] => [...line].sort((a, b) => a - b);
const kthValues: Sample[] = (
  [
    ['the last axis', [3, 5], undefined, 2, false],
    ['the first axis kept', [5, 3], 0, 5, true],
    ['0-d', [], undefined, 1, false],
    ['a long line', [1, 3000], 1, 700, false],
  ] as const
).map(([variant, shape, axis, k, keep]): Sample => {
  const along = axis ?? shape.length - 1;
  return {
    op: 'kthValue',
    variant,
    dtypes: variant === 'a long line' ? ['float64', 'float32', 'int32'] : numbers,
    inputs: (draw, dtype) => [draw.distinct(shape, dtype)],
    call: (x) => hadal.kthValue(x, k, { keepDims: keep, ...(axis === undefined ? {} : { axis: axis as number }) }),
    reference: (x) =>
      shape.length === 0
        ? [x, { shape: [], values: [0] }]
        : [
            reduced([along], keep, (line) => sorted(line)[k - 1]!)(x),
            reduced([along], keep, (line) => ordering(1)(line)[k - 1]!)(x),
          ],
    order: variant === 'a long line' ? 0 : 2,
  };
});

const medians: Sample[] = [...cases, ['an even number', [2, 6], 1, false] as Case].map(
  ([variant, shape, axis, keep]): Sample => ({
    op: 'median',
    variant,
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.distinct(shape, dtype)],
    call: (x) => hadal.median(x, axis as 0, { keepDims: keep }),
    reference: reduced(listed(axis), keep, (line) => sorted(line)[Math.ceil(line.length / 2) - 1]!),
    order: 2,
  }),
);

const present = (line: number[]): number[] => line.filter((value) => !Number.isNaN(value));
/** Distinct elements, of which some are NaN: in [3, 4] all of the last line. */
const withGaps = (draw: Draw, shape: Shape, dtype: DType): AnyTensor => {
  const x = draw.distinct(shape, dtype);
  const gaps = hadal.tensor(
    Array.from({ length: x.size }, (_, i) => i % 4 === 1 || i >= 8),
    { dtype: 'bool' },
  );
  return hadal.where(gaps.reshape(shape) as Tensor<Shape, 'bool'>, NaN, x) as AnyTensor;
};
const nanMedians: Sample[] = [
  ...cases.map(([variant, shape, axis, keep]): Sample => ({
    op: 'nanMedian',
    variant,
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.distinct(shape, dtype)],
    call: (x) => hadal.nanMedian(x, axis as 0, { keepDims: keep }),
    reference: reduced(listed(axis), keep, (line) => sorted(line)[Math.ceil(line.length / 2) - 1]!),
    order: 2,
  })),
  {
    op: 'nanMedian',
    variant: 'of what is not NaN',
    dtypes: everyDType.filter(isFloat),
    inputs: (draw, dtype) => [withGaps(draw, [3, 4], dtype)],
    call: (x) => hadal.nanMedian(x, 1),
    reference: reduced([1], false, (line) => sorted(present(line))[Math.ceil(present(line).length / 2) - 1] ?? NaN),
    order: 0,
  },
];

const frequent = (line: number[]): number => {
  const counts = line.map((value) => line.filter((other) => other === value).length);
  return Math.min(...line.filter((_, i) => counts[i] === Math.max(...counts)));
};
const modes: Sample[] = cases
  .filter(([, , axis]) => typeof axis !== 'object')
  .map(([variant, shape, axis, keep]) => {
    const along = (axis as number | undefined) ?? -1;
    const reference = (f: (line: number[]) => number) => reduced(shape.length === 0 ? undefined : [along], keep, f);
    return {
      op: 'mode',
      variant,
      dtypes: numbers,
      inputs: (draw, dtype) => [draw.tensor(shape, 'int32', 0, 2).cast(dtype)],
      call: (x) => hadal.mode(x, along, { keepDims: keep }),
      reference: (x) => [reference(frequent)(x), reference((line) => line.lastIndexOf(frequent(line)))(x)],
      order: 0,
    };
  });
const modeGradients: Sample = {
  op: 'mode',
  variant: 'of different elements',
  dtypes: ['float64', 'float32'],
  inputs: (draw, dtype) => [draw.distinct([3, 4], dtype)],
  call: (x) => hadal.mode(x, 0)[0],
  reference: reduced([0], false, frequent),
  order: 2,
};

const between: Record<hadal.Interpolation, (line: number[], place: number) => number> = {
  linear: (line, place) => {
    const below = Math.floor(place);
    return line[below]! + (place - below) * ((line[below + 1] ?? 0) - line[below]!);
  },
  lower: (line, place) => line[Math.floor(place)]!,
  higher: (line, place) => line[Math.ceil(place)]!,
  midpoint: (line, place) => (line[Math.floor(place)]! + line[Math.ceil(place)]!) / 2,
  nearest: (line, place) => line[place % 1 === 0.5 ? 2 * Math.round(place / 2) : Math.round(place)]!,
};
const quantileOf = (q: number, interpolation: hadal.Interpolation) => (line: number[]) => {
  const place = q * (line.length - 1);
  return Number.isInteger(place) ? sorted(line)[place]! : between[interpolation](sorted(line), place);
};
const quantiles: Sample[] = [
  ...cases.map(([variant, shape, axis, keep]): Sample => ({
    op: 'quantile',
    variant,
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.distinct(shape, dtype)],
    call: (x) => hadal.quantile(x, 0.3, axis as 0, { keepDims: keep }),
    reference: reduced(listed(axis), keep, quantileOf(0.3, 'linear')),
    result: toFloat,
    tolerance: rooted,
    order: 2,
  })),
  ...cases.map(([variant, shape, axis, keep]): Sample => ({
    op: 'nanQuantile',
    variant,
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.distinct(shape, dtype)],
    call: (x) => hadal.nanQuantile(x, 0.3, axis as 0, { keepDims: keep }),
    reference: reduced(listed(axis), keep, quantileOf(0.3, 'linear')),
    result: toFloat,
    tolerance: rooted,
    order: 2,
  })),
  ...(Object.keys(between) as hadal.Interpolation[]).map((interpolation): Sample => ({
    op: 'nanQuantile',
    variant: `of what is not NaN, ${interpolation}`,
    dtypes: ['float64', 'float32'],
    inputs: (draw, dtype) => [withGaps(draw, [3, 4], dtype)],
    call: (x) => hadal.nanQuantile(x, 0.7, 1, { interpolation }),
    reference: reduced([1], false, (line) => {
      const rest = present(line);
      return rest.length === 0 ? NaN : quantileOf(0.7, interpolation)(rest);
    }),
    order: 0,
  })),
  ...(['quantile', 'nanQuantile'] as const).map((op): Sample => ({
    op,
    variant: 'infinite elements',
    dtypes: ['float64', 'float32'],
    inputs: (_, dtype) => [hadal.tensor([Infinity, 1, -Infinity, 2, Infinity], { dtype })],
    call: (x) => hadal[op](x, [0, 0.25, 1]),
    reference: () => ({ shape: [3], values: [-Infinity, 1, Infinity] }),
    order: 0,
  })),
  ...(Object.keys(between) as hadal.Interpolation[]).map((interpolation): Sample => ({
    op: 'quantile',
    variant: `several, ${interpolation}`,
    dtypes: ['float64', 'float32'],
    inputs: (draw, dtype) => [draw.distinct([3, 8], dtype)],
    call: (x) => hadal.quantile(x, [0, 0.5, 0.77, 1], 1, { interpolation }),
    reference: (x) => ({
      shape: [4, 3],
      values: [0, 0.5, 0.77, 1].flatMap((q) => reduced([1], false, quantileOf(q, interpolation))(x).values),
    }),
    order: 2,
  })),
];

// ---------------------------------------------------------------------------------------------------- searches and counts

const placeOf = (line: readonly number[], x: number, right: boolean): number =>
  line.filter((value) => value < x || (right && value === x)).length;
const ascending = (draw: Draw, shape: Shape, dtype: DType): AnyTensor => {
  const drawn = draw.tensor(shape, dtype === 'bool' ? 'uint8' : dtype, 0, dtype === 'bool' ? 1 : 5);
  return drawn.sort()[0].cast(dtype);
};
const searches: Sample[] = [false, true].flatMap((right): Sample[] => [
  {
    op: 'searchSorted',
    variant: `one line${right ? ', right' : ''}`,
    dtypes: everyDType,
    inputs: (draw, dtype) => [ascending(draw, [7], dtype), draw.tensor([2, 5], dtype, -1, 6)],
    call: (line, x) => hadal.searchSorted(line, x!, { right }),
    reference: (line, x) => mapped((value) => placeOf(line.values, value, right), x!),
    result: int64,
    order: 0,
  },
  {
    op: 'searchSorted',
    variant: `a line for each${right ? ', right' : ''}`,
    dtypes: numbers,
    inputs: (draw, dtype) => [ascending(draw, [2, 3, 6], dtype), draw.tensor([2, 3, 4], dtype, -1, 6)],
    call: (line, x) => hadal.searchSorted(line, x!, { right }),
    reference: (line, x) => {
      const all = lines(line, [2]).lines;
      return { shape: x!.shape, values: x!.values.map((value, i) => placeOf(all[Math.floor(i / 4)]!, value, right)) };
    },
    result: int64,
    order: 0,
  },
  {
    op: 'bucketize',
    variant: right ? 'right' : 'left',
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.tensor([2, 5], dtype, -1, 6), ascending(draw, [4], dtype)],
    call: (x, line) => hadal.bucketize(x, line!, { right }),
    reference: (x, line) => mapped((value) => placeOf(line!.values, value, right), x),
    result: int64,
    order: 0,
  },
]);
const emptyLine: Sample = {
  op: 'searchSorted',
  variant: 'no line, no values',
  dtypes: ['float32'],
  inputs: (draw, dtype) => [draw.tensor([0], dtype), draw.tensor([3], dtype)],
  call: (line, x) => hadal.searchSorted(line, x!),
  reference: () => ({ shape: [3], values: [0, 0, 0] }),
  result: int64,
  order: 0,
};

const binsOf = (x: Plain, edges: readonly number[], weights?: Plain): number[] => {
  const counts = new Array<number>(edges.length - 1).fill(0);
  x.values.forEach((value, i) => {
    if (!(value >= edges[0]! && value <= edges.at(-1)!)) return;
    counts[Math.min(placeOf(edges, value, true), counts.length) - 1]! += weights?.values[i] ?? 1;
  });
  return counts;
};
const histograms: Sample[] = [
  {
    op: 'histogram',
    variant: 'a range',
    dtypes: ['float64', 'float32', 'int32', 'uint8'],
    inputs: (draw, dtype) => [draw.tensor([5, 9], dtype, -3, 3)],
    call: (x) => hadal.histogram(x, 4, { range: [-2, 2] }),
    reference: (x) => [
      { shape: [4], values: binsOf(x, [-2, -1, 0, 1, 2]) },
      { shape: [5], values: [-2, -1, 0, 1, 2] },
    ],
    result: toFloat,
    order: 0,
  },
  {
    op: 'histogram',
    variant: 'edges, weights, density',
    dtypes: ['float64', 'float32'],
    inputs: (draw, dtype) => [draw.tensor([20], dtype, -1, 5), draw.tensor([20], dtype, 0, 2)],
    call: (x, weights) => hadal.histogram(x, [0, 1, 4], { weights: weights!, density: true }),
    reference: (x, weights) => {
      const counts = binsOf(x, [0, 1, 4], weights);
      const total = counts[0]! + counts[1]!;
      return { shape: [2], values: [counts[0]! / total, counts[1]! / total / 3] };
    },
    order: 0,
  },
  {
    op: 'histogram',
    variant: 'from the least to the greatest',
    dtypes: ['float64', 'float32'],
    inputs: (_, dtype) => [hadal.tensor([1, 5, 2, 2, 4.5, 3], { dtype })],
    call: (x) => hadal.histogram(x, 4),
    reference: () => [
      { shape: [4], values: [1, 2, 1, 2] },
      { shape: [5], values: [1, 2, 3, 4, 5] },
    ],
    order: 0,
  },
  {
    op: 'histogram',
    variant: 'equal elements',
    dtypes: ['float64', 'float32'],
    inputs: (_, dtype) => [hadal.tensor([3, 3], { dtype })],
    call: (x) => hadal.histogram(x, 2),
    reference: () => [
      { shape: [2], values: [0, 2] },
      { shape: [3], values: [2.5, 3, 3.5] },
    ],
    order: 0,
  },
];
const bincounts: Sample[] = [
  {
    op: 'bincountSync',
    variant: 'at least six',
    dtypes: ['int64', 'int32', 'int16', 'int8', 'uint8'],
    inputs: (draw, dtype) => [draw.tensor([20], dtype, 0, 3)],
    call: (x) => hadal.bincountSync(x, { minLength: 6 }),
    reference: (x) => ({ shape: [6], values: [0, 1, 2, 3, 4, 5].map((n) => x.values.filter((v) => v === n).length) }),
    result: int64,
    order: 0,
  },
  {
    op: 'bincountSync',
    variant: 'weights',
    dtypes: ['int32'],
    inputs: (draw) => [hadal.tensor([2, 0, 2], { dtype: 'int32' }), draw.tensor([3], 'float64')],
    call: (x, weights) => hadal.bincountSync(x, { weights: weights! }),
    reference: (_, weights) => {
      const [a, b, c] = weights!.values as [number, number, number];
      return { shape: [3], values: [b, 0, a + c] };
    },
    result: () => 'float64',
    order: 0,
  },
  {
    op: 'bincountSync',
    variant: 'nothing',
    dtypes: ['int32'],
    inputs: (_, dtype) => [hadal.zeros([0], { dtype })],
    call: (x) => hadal.bincountSync(x),
    reference: () => ({ shape: [0], values: [] }),
    result: int64,
    order: 0,
  },
];

const uniqueResults = ({ values, inverse, counts }: ReturnType<typeof hadal.uniqueSync>): AnyTensor[] => [
  values,
  inverse,
  counts,
];
const groupsOf = (keys: readonly string[], order: readonly string[]): [inverse: number[], counts: number[]] => [
  keys.map((key) => order.indexOf(key)),
  order.map((key) => keys.filter((other) => other === key).length),
];
const uniques: Sample[] = [
  {
    op: 'uniqueSync',
    variant: 'elements',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([4, 5], isFloat(dtype) ? 'int8' : dtype, -2, 2).cast(dtype)],
    call: (x) => uniqueResults(hadal.uniqueSync(x)),
    reference: (x) => {
      const values = sorted([...new Set(x.values)]);
      const [inverse, counts] = groupsOf(x.values.map(String), values.map(String));
      return [
        { shape: [values.length], values },
        { shape: x.shape, values: inverse },
        { shape: [values.length], values: counts },
      ];
    },
    order: 0,
  },
  {
    op: 'uniqueSync',
    variant: 'columns',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 12], isFloat(dtype) ? 'int8' : dtype, 0, 1).cast(dtype)],
    call: (x) => uniqueResults(hadal.uniqueSync(x, { axis: 1 })),
    reference: (x) => {
      const keys = Array.from({ length: 12 }, (_, j) => `${x.values[j]!}${x.values[12 + j]!}`);
      const order = [...new Set(keys)].sort();
      const [inverse, counts] = groupsOf(keys, order);
      return [
        { shape: [2, order.length], values: [0, 1].flatMap((row) => order.map((key) => Number(key[row]))) },
        { shape: [12], values: inverse },
        { shape: [order.length], values: counts },
      ];
    },
    order: 0,
  },
  {
    op: 'uniqueSync',
    variant: 'consecutive',
    dtypes: numbers,
    inputs: (_, dtype) => [hadal.tensor([2, 2, 1, 1, 1, 2], { dtype })],
    call: (x) => uniqueResults(hadal.uniqueSync(x, { consecutive: true })),
    reference: () => [
      { shape: [3], values: [2, 1, 2] },
      { shape: [6], values: [0, 0, 1, 1, 1, 2] },
      { shape: [3], values: [2, 3, 1] },
    ],
    order: 0,
  },
  {
    op: 'uniqueSync',
    variant: 'nothing',
    dtypes: numbers,
    inputs: (_, dtype) => [hadal.zeros([0], { dtype })],
    call: (x) => uniqueResults(hadal.uniqueSync(x)),
    reference: () => [
      { shape: [0], values: [] },
      { shape: [0], values: [] },
      { shape: [0], values: [] },
    ],
    order: 0,
  },
];

export const samples: Sample[] = [
  ...norms,
  extremes,
  ...countNonzero,
  ...kthValues,
  ...medians,
  ...modes,
  modeGradients,
  ...nanMedians,
  ...quantiles,
  ...searches,
  emptyLine,
  ...histograms,
  ...bincounts,
  ...uniques,
];
