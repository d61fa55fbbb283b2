// Samples of reductions, scans and orders.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { dtypes as everyDType, sumDType, toFloat } from '../../../lib/tensor/dtype';
import { count, generated, ravel, unravel, type Plain, type Sample, type Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const numbers = everyDType.filter((dtype) => dtype !== 'bool');
const int64 = (): DType => 'int64';
const bool = (): DType => 'bool';

const api = hadal as unknown as Record<string, (...args: unknown[]) => AnyTensor | AnyTensor[]>;

/** The lines of x along `axes`, one per element of the reduced tensor, whose axes stay with size 1. */
export function lines(x: Plain, axes: readonly number[]): { shape: number[]; lines: number[][] } {
  const shape = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const result = Array.from({ length: count(shape) }, () => [] as number[]);
  x.values.forEach((value, flat) => {
    const position = unravel(flat, x.shape).map((p, axis) => (axes.includes(axis) ? 0 : p));
    result[ravel(position, shape)]!.push(value);
  });
  return { shape, lines: result };
}

export const reduced =
  (axes: readonly number[] | undefined, keep: boolean, f: (line: number[]) => number) =>
  (x: Plain): Plain => {
    const all = (axes ?? x.shape.map((_, axis) => axis)).map((axis) => (axis < 0 ? axis + x.shape.length : axis));
    const found = lines(x, all);
    return {
      shape: keep ? found.shape : found.shape.filter((_, axis) => !all.includes(axis)),
      values: found.lines.map(f),
    };
  };

const sum = (line: readonly number[]): number => line.reduce((total, value) => total + value, 0);
const mean = (line: readonly number[]): number => sum(line) / line.length;
const variance = (correction: number) => (line: readonly number[]) => {
  const center = mean(line);
  return sum(line.map((value) => (value - center) ** 2)) / (line.length - correction);
};
const logSumExp = (line: readonly number[]): number => {
  const greatest = Math.max(...line);
  return greatest === -Infinity ? greatest : greatest + Math.log(sum(line.map((value) => Math.exp(value - greatest))));
};

interface Reduction {
  readonly of: (line: number[]) => number;
  readonly dtypes: readonly DType[];
  readonly order: 0 | 1 | 2;
  readonly result?: (dtype: DType) => DType;
  readonly options?: object;
  /** Whether a line of nothing has a value. */
  readonly empty: boolean;
  /** Values that all differ, so that the extreme is one element. */
  readonly distinct?: boolean;
  readonly oneAxis?: boolean;
  readonly low?: number;
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
}

// Several roundings to 16 bits in the composition.
const rooted = { float16: { rtol: 2e-3, atol: 1e-3 }, bfloat16: { rtol: 1.6e-2, atol: 1e-2 } };

const reductions: Record<string, Reduction> = {
  sum: { of: sum, dtypes: everyDType, order: 2, result: sumDType, empty: true },
  mean: { of: mean, dtypes: everyDType, order: 2, result: toFloat, empty: false },
  prod: { of: (line) => line.reduce((p, v) => p * v, 1), dtypes: numbers, order: 2, result: sumDType, empty: true },
  max: { of: (line) => Math.max(...line), dtypes: numbers, order: 2, empty: false, distinct: true },
  min: { of: (line) => Math.min(...line), dtypes: numbers, order: 2, empty: false, distinct: true },
  amax: { of: (line) => Math.max(...line), dtypes: numbers, order: 2, empty: false, distinct: true },
  amin: { of: (line) => Math.min(...line), dtypes: numbers, order: 2, empty: false, distinct: true },
  any: { of: (line) => Number(line.some((v) => v !== 0)), dtypes: everyDType, order: 0, result: bool, empty: true },
  all: { of: (line) => Number(line.every((v) => v !== 0)), dtypes: everyDType, order: 0, result: bool, empty: true },
  logSumExp: { of: logSumExp, dtypes: numbers, order: 2, result: toFloat, empty: true },
  variance: { of: variance(1), dtypes: numbers, order: 2, result: toFloat, empty: false, tolerance: rooted },
  std: {
    of: (line) => Math.sqrt(variance(0)(line)),
    dtypes: numbers,
    order: 2,
    result: toFloat,
    options: { correction: 0 },
    empty: false,
    tolerance: rooted,
  },
  argmax: {
    of: (line) => line.indexOf(Math.max(...line)),
    dtypes: numbers,
    order: 0,
    result: int64,
    empty: false,
    oneAxis: true,
  },
  argmin: {
    of: (line) => line.indexOf(Math.min(...line)),
    dtypes: numbers,
    order: 0,
    result: int64,
    empty: false,
    oneAxis: true,
  },
};

type Case = readonly [variant: string, shape: Shape, axes: readonly number[] | undefined, keep: boolean];
const cases: readonly Case[] = [
  ['all', [3, 4], undefined, false],
  ['all kept', [2, 3, 2], undefined, true],
  ['first axis', [4, 3], [0], false],
  ['last axis', [3, 5], [-1], true],
  ['middle axis', [2, 3, 4], [1], false],
  ['outer axes', [2, 3, 4], [0, 2], false],
  ['0-d', [], undefined, false],
  ['size 1', [3, 1], [1], false],
  ['other axis empty', [0, 3], [1], false],
];
const emptyCases: readonly Case[] = [
  ['nothing', [0], undefined, false],
  ['empty axis', [2, 0], [1], false],
];

const reductionSamples = Object.entries(reductions).flatMap(([op, r]) =>
  [...cases, ...(r.empty ? emptyCases : [])]
    .filter(([, , axes]) => !r.oneAxis || axes === undefined || axes.length === 1)
    .map(([variant, shape, axes, keep]): Sample => {
      const given = axes?.length === 1 ? axes[0] : axes;
      return {
        op,
        variant,
        dtypes: r.dtypes,
        inputs: (draw, dtype) => [r.distinct ? draw.distinct(shape, dtype) : draw.tensor(shape, dtype, r.low ?? -2, 2)],
        call: (x) => api[op]!(x, given, { ...r.options, keepDims: keep }),
        reference: reduced(axes, keep, r.of),
        ...(r.result === undefined ? {} : { result: r.result }),
        ...(r.tolerance === undefined ? {} : { tolerance: r.tolerance }),
        // The variance of one element is 0/0, and the root has no slope at 0.
        order: (op === 'variance' || op === 'std') && count(shape) <= 3 ? 0 : r.order,
      };
    }),
);

// Long lines, for the blocks that kernels sum in.
const long: Sample[] = ['sum', 'mean', 'max', 'logSumExp', 'variance'].flatMap((op) =>
  (
    [
      ['long rows', [3, 5000], [1]],
      ['long columns', [5000, 3], [0]],
      ['long', [20_000], [0]],
    ] as const
  ).map(([variant, shape, axes]): Sample => ({
    op,
    variant,
    dtypes: op === 'variance' ? ['float64', 'float32'] : floats,
    inputs: (draw, dtype) => [draw.tensor(shape, dtype, 0.5, 1.5)],
    call: (x) => api[op]!(x, axes[0]),
    reference: reduced(axes, false, reductions[op]!.of),
    order: 0,
  })),
);

const varMean: Sample = {
  op: 'varMean',
  variant: 'both results',
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor([3, 6], dtype)],
  call: (x) => hadal.varMean(x, 1),
  reference: (x) => [reduced([1], false, variance(1))(x), reduced([1], false, mean)(x)],
  // Of values around 0: the mean is small next to them, and its rounding next to itself large.
  tolerance: rooted,
  order: 2,
};

// Sums of squares of which little is left.
const offCentre: Sample[] = [0, 1].map((axis) => ({
  op: 'varMean',
  variant: `of a large mean, with an outlier first, along axis ${axis}`,
  dtypes: floats,
  inputs: (draw, dtype) => {
    const far = draw.tensor([80, 80], dtype, 1000, 1020);
    return [hadal.cat([hadal.full([1, 80], 2000, { dtype }), far.narrow(0, 1, 79)], 0)].map((x) =>
      axis === 0 ? x : x.transpose(0, 1),
    );
  },
  call: (x) => hadal.varMean(x, axis),
  reference: (x) => [reduced([axis], false, variance(1))(x), reduced([axis], false, mean)(x)],
  tolerance: rooted,
  order: 0,
}));

const sumTo: Sample[] = (
  [
    [[3, 4], [4]],
    [
      [3, 4],
      [3, 1],
    ],
    [
      [2, 3],
      [2, 3],
    ],
    [[3], []],
  ] as const
).map(([from, to]): Sample => ({
  op: 'sumTo',
  variant: `[${from.join(', ')}] to [${to.join(', ')}]`,
  dtypes: everyDType,
  result: sumDType,
  inputs: (draw, dtype) => [draw.tensor(from, dtype)],
  call: (x) => hadal.sumTo(x, to),
  reference: (x) => {
    const shape = from.map((_, axis) => to[axis - from.length + to.length] ?? 1);
    const axes = from.map((_, axis) => axis).filter((axis) => shape[axis] === 1);
    return { ...reduced(axes, true, sum)(x), shape: to };
  },
  order: 2,
}));

/** Applies `f` to every line along an axis. */
const alongLines = (x: Plain, axis: number, f: (line: number[]) => readonly number[]): Plain => {
  const found = lines(x, [axis]);
  const images = found.lines.map(f);
  return generated(
    x.shape,
    (position) =>
      images[
        ravel(
          position.map((p, a) => (a === axis ? 0 : p)),
          found.shape,
        )
      ]![position[axis]!]!,
  );
};
const running = (combine: (a: number, b: number) => number) => (line: number[]) => {
  let value = NaN;
  return line.map((next, i) => (value = i === 0 ? next : combine(value, next)));
};
const runningPlace = (wins: (a: number, b: number) => boolean) => (line: number[]) => {
  let place = 0;
  return line.map((next, i) => (place = wins(next, line[place]!) ? i : place));
};

const scanCases: readonly (readonly [string, Shape, number])[] = [
  ['vector', [7], 0],
  ['rows', [3, 5], 1],
  ['columns', [5, 3], 0],
  ['empty', [0, 2], 0],
];
interface Scan {
  readonly call: (x: AnyTensor, axis: number) => AnyTensor | AnyTensor[];
  readonly lines: readonly ((line: number[]) => readonly number[])[];
  readonly dtypes: readonly DType[];
  readonly order: 1 | 2;
  readonly result?: (dtype: DType) => DType;
  readonly distinct?: boolean;
}
export const ordering = (sign: 1 | -1) => (line: number[]) =>
  line.map((_, i) => i).sort((i, j) => sign * (line[i]! - line[j]!) || i - j);
const values = (f: (line: number[]) => readonly number[]) => (line: number[]) => f(line).map((i) => line[i]!);
const scans: readonly (readonly [op: string, name: string, scan: Scan])[] = [
  [
    'cumsum',
    '',
    {
      call: (x, axis) => hadal.cumsum(x, axis),
      lines: [running((a, b) => a + b)],
      dtypes: everyDType,
      order: 2,
      result: sumDType,
    },
  ],
  [
    'cumsum',
    'reverse ',
    {
      call: (x, axis) => hadal.cumsum(x, axis, { reverse: true }),
      lines: [(line) => running((a, b) => a + b)([...line].reverse()).reverse()],
      dtypes: numbers,
      order: 2,
      result: sumDType,
    },
  ],
  [
    'cumprod',
    '',
    {
      call: (x, axis) => hadal.cumprod(x, axis),
      lines: [running((a, b) => a * b)],
      dtypes: numbers,
      order: 2,
      result: sumDType,
    },
  ],
  [
    'logCumSumExp',
    '',
    {
      call: (x, axis) => hadal.logCumSumExp(x, axis),
      lines: [(line) => line.map((_, i) => logSumExp(line.slice(0, i + 1)))],
      dtypes: floats,
      order: 2,
    },
  ],
  [
    'cummax',
    '',
    {
      call: (x, axis) => hadal.cummax(x, axis),
      lines: [running(Math.max), runningPlace((a, b) => a >= b)],
      dtypes: numbers,
      order: 2,
      distinct: true,
    },
  ],
  [
    'cummin',
    '',
    {
      call: (x, axis) => hadal.cummin(x, axis),
      lines: [running(Math.min), runningPlace((a, b) => a <= b)],
      dtypes: numbers,
      order: 2,
      distinct: true,
    },
  ],
  [
    'sort',
    '',
    {
      call: (x, axis) => hadal.sort(x, { axis }),
      lines: [values(ordering(1)), ordering(1)],
      dtypes: numbers,
      order: 2,
      distinct: true,
    },
  ],
  [
    'sort',
    'descending ',
    {
      call: (x, axis) => hadal.sort(x, { axis, descending: true }),
      lines: [values(ordering(-1)), ordering(-1)],
      dtypes: numbers,
      order: 2,
      distinct: true,
    },
  ],
];

// A running sum is rounded to 16 bits at every step of the result, not of the sum; the gradient is one too.
const scanSamples = scans.flatMap(([op, name, scan]) =>
  scanCases.map(([variant, shape, axis]): Sample => ({
    op,
    variant: name + variant,
    dtypes: scan.dtypes,
    inputs: (draw, dtype) => [scan.distinct ? draw.distinct(shape, dtype) : draw.tensor(shape, dtype)],
    call: (x) => scan.call(x, axis),
    reference: (x) => scan.lines.map((f) => alongLines(x, axis, f)),
    ...(scan.result === undefined ? {} : { result: scan.result }),
    order: scan.order,
  })),
);

const recurrences: Sample[] = (
  [
    ['a factor for each', [2, 5], [2, 5], {}],
    ['one factor', [], [7], {}],
    ['from the end', [4, 3], [4, 3], { reverse: true }],
    ['along the first axis, a factor for each column', [3], [4, 3], { axis: 0 }],
    ['along the middle, from the end', [5, 1], [2, 5, 3], { axis: 1, reverse: true }],
    ['one element', [2, 1], [2, 1], {}],
    ['no elements', [1], [2, 0], {}],
  ] as readonly (readonly [string, Shape, Shape, hadal.LinearScanOptions])[]
).map(([variant, factors, shape, options]) => ({
  op: 'linearScan',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor(factors, dtype), draw.tensor(shape, dtype)],
  call: (a, b) => hadal.linearScan(a!, b!, options) as AnyTensor,
  reference: (a, b) => {
    const axis = (options.axis ?? -1) < 0 ? shape.length - 1 : options.axis!;
    const [length, step] = [shape[axis]!, options.reverse === true ? 1 : -1];
    const factorAt = (position: readonly number[]): number => {
      const own = position.slice(shape.length - factors.length).map((place, i) => Math.min(place, factors[i]! - 1));
      return a!.values[ravel(own, factors)]!;
    };
    return generated(shape, (position) => {
      const at = (i: number): number => {
        if (i < 0 || i >= length) return 0;
        const here = position.toSpliced(axis, 1, i);
        return b!.values[ravel(here, shape)]! + factorAt(here) * at(i + step);
      };
      return at(position[axis]!);
    });
  },
  order: 2,
}));

const withZeros: Sample[] = (['prod', 'cumprod'] as const).map((op) => ({
  op,
  variant: 'zeros among the factors',
  dtypes: floats,
  inputs: (_, dtype) => [
    hadal.tensor(
      [
        [2, 0, 3, 4],
        [0, 1.5, 0, 2],
        [1, 2, 3, 4],
      ],
      { dtype },
    ),
  ],
  call: (x) => (op === 'prod' ? hadal.prod(x, 1) : hadal.cumprod(x, 1)),
  reference: (x) =>
    op === 'prod'
      ? reduced([1], false, (line) => line.reduce((p, v) => p * v, 1))(x)
      : alongLines(
          x,
          1,
          running((a, b) => a * b),
        ),
  order: 2,
}));

const topk: Sample[] = (
  [
    ['largest', [3, 5], 1, 2, true],
    ['smallest', [5, 3], 0, 3, false],
    ['none', [4], 0, 0, true],
    ['all', [4], 0, 4, true],
  ] as const
).map(([variant, shape, axis, k, largest]): Sample => ({
  op: 'topk',
  variant,
  dtypes: numbers,
  inputs: (draw, dtype) => [draw.distinct(shape, dtype)],
  call: (x) => hadal.topk(x, k, { axis, largest }),
  reference: (x) => {
    const order = ordering(largest ? -1 : 1);
    const cut = (y: Plain): Plain =>
      generated(
        shape.map((size, a) => (a === axis ? k : size)),
        (position) => y.values[ravel(position, shape)]!,
      );
    return [cut(alongLines(x, axis, values(order))), cut(alongLines(x, axis, order))];
  },
  order: 2,
}));
const argsort: Sample = {
  op: 'argsort',
  variant: 'equal elements keep their order',
  dtypes: numbers,
  inputs: (_, dtype) => [hadal.tensor([2, 1, 2, 1, 0], { dtype })],
  call: (x) => hadal.argsort(x),
  reference: () => ({ shape: [5], values: [4, 1, 3, 0, 2] }),
  result: int64,
  order: 0,
};

export const samples: Sample[] = [
  ...reductionSamples,
  ...long,
  varMean,
  ...offCentre,
  ...sumTo,
  ...scanSamples,
  ...withZeros,
  ...recurrences,
  ...topk,
  argsort,
];
