// Samples of statistics without NaN, differences, integrals, covariance, and of matrices put together.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { isFloat, toFloat } from '../../../lib/tensor/dtype';
import { generated, ravel, type Draw, type Plain, type Sample } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const integers: readonly DType[] = ['int64', 'int32', 'int16', 'int8'];
const numbers = [...floats, ...integers];
const sumOf = (dtype: DType): DType => (isFloat(dtype) ? dtype : 'int64');

interface Spec {
  readonly op: string;
  readonly variant: string;
  readonly shapes: readonly Shape[];
  readonly call: (...x: AnyTensor[]) => AnyTensor | readonly AnyTensor[];
  readonly reference: (...x: Plain[]) => Plain | readonly Plain[];
  readonly dtypes?: readonly DType[];
  readonly result?: (dtype: DType) => DType;
  readonly order?: 0 | 1 | 2;
  readonly inputs?: (draw: Draw, dtype: DType) => readonly AnyTensor[];
  readonly tolerance?: Sample['tolerance'];
}
const sample = (spec: Spec): Sample => ({
  op: spec.op,
  variant: spec.variant,
  dtypes: spec.dtypes ?? numbers,
  inputs: spec.inputs ?? ((draw, dtype) => spec.shapes.map((shape) => draw.tensor(shape, dtype))),
  call: spec.call,
  reference: spec.reference,
  order: spec.order ?? 2,
  ...(spec.result && { result: spec.result }),
  ...(spec.tolerance && { tolerance: spec.tolerance }),
});

const at = (x: Plain, ...position: number[]): number => x.values[ravel(position, x.shape)]!;
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

// -------------------------------------------------------------------------------------------------------------- statistics

/** Half of the elements are NaN. */
const holes = (draw: Draw, shape: Shape, dtype: DType): AnyTensor => {
  const x = draw.tensor(shape, dtype);
  return isFloat(dtype)
    ? (hadal.where(draw.tensor(shape, 'bool') as hadal.Tensor<Shape, 'bool'>, x, NaN) as AnyTensor)
    : x;
};
const lineOf = (x: Plain, row: number): number[] =>
  x.values.slice(row * x.shape[1]!, (row + 1) * x.shape[1]!).filter((value) => !Number.isNaN(value)) as number[];
const perRow = (x: Plain, f: (line: number[]) => number): Plain => generated([x.shape[0]!], ([i]) => f(lineOf(x, i!)));

const nan: Sample[] = (['some NaN', 'nothing'] as const).flatMap((variant) => {
  const shape = variant === 'nothing' ? [0, 3] : [4, 6];
  const base = {
    variant,
    shapes: [],
    inputs: (draw: Draw, dtype: DType) => [holes(draw, shape, dtype)],
    // NaN has no difference to compare with.
    order: 0 as const,
  };
  return [
    sample({
      ...base,
      op: 'nanSum',
      call: (x) => hadal.nanSum(x!, 1 as never),
      reference: (x) => perRow(x!, total),
      result: sumOf,
    }),
    sample({
      ...base,
      op: 'nanMean',
      call: (x) => hadal.nanMean(x!, 1 as never),
      reference: (x) => perRow(x!, (line) => total(line) / line.length),
      result: toFloat,
    }),
  ];
});
const whole: Sample[] = [
  sample({
    op: 'nanSum',
    variant: 'no NaN, all axes kept',
    shapes: [[2, 3]],
    call: (x) => hadal.nanSum(x!, undefined, { keepDims: true }),
    reference: (x) => ({ shape: [1, 1], values: [total(x!.values)] }),
    result: sumOf,
  }),
  sample({
    op: 'nanMean',
    variant: 'no NaN, 0-d',
    shapes: [[]],
    call: (x) => hadal.nanMean(x!),
    reference: (x) => x!,
    result: toFloat,
  }),
  sample({
    op: 'aminmax',
    variant: 'the last axis',
    shapes: [],
    inputs: (draw, dtype) => [draw.distinct([3, 5], dtype)],
    call: (x) => hadal.aminmax(x!, -1 as never),
    reference: (x) => [perRow(x!, (line) => Math.min(...line)), perRow(x!, (line) => Math.max(...line))],
  }),
];

const differences = (x: Plain): Plain =>
  generated([x.shape[0]!, Math.max(0, x.shape[1]! - 1)], ([i, j]) => at(x, i!, j! + 1) - at(x, i!, j!));
const diffs: Sample[] = [
  ...[
    [3, 4],
    [2, 1],
    [0, 3],
    [2, 0],
  ].map((shape) =>
    sample({
      op: 'diff',
      variant: `[${shape.join(', ')}]`,
      shapes: [shape],
      call: (x) => hadal.diff(x!),
      reference: (x) => differences(x!),
    }),
  ),
  sample({
    op: 'diff',
    variant: 'twice, along the first axis, continued',
    shapes: [[3, 2], [1, 2], [2, 2]], // prettier-ignore
    call: (x, before, behind) => hadal.diff(x!, { n: 2, axis: 0, prepend: before!, append: behind! }),
    reference: (x, before, behind) => {
      const rows = [...before!.values, ...x!.values, ...behind!.values];
      return generated([4, 2], ([i, j]) => rows[2 * i! + j!]! - 2 * rows[2 * i! + 2 + j!]! + rows[2 * i! + 4 + j!]!);
    },
    tolerance: { float16: { rtol: 4e-3, atol: 4e-3 }, bfloat16: { rtol: 3.2e-2, atol: 3.2e-2 } },
  }),
  sample({
    op: 'diff',
    variant: 'truth values',
    shapes: [[5]],
    dtypes: ['bool'],
    order: 0,
    call: (x) => hadal.diff(x!),
    reference: (x) => generated([4], ([i]) => Number(x!.values[i!] !== x!.values[i! + 1])),
  }),
];

const area = (y: Plain, i: number, j: number, width: number): number => ((at(y, i, j) + at(y, i, j + 1)) / 2) * width;
const rounded = { float16: { rtol: 4e-3, atol: 8e-3 }, bfloat16: { rtol: 3.2e-2, atol: 6.4e-2 } };
const integrals: Sample[] = (
  [
    ['by 0.5', [3, 4], undefined, 0.5],
    ['between places of all lines', [3, 4], [4], 0],
    ['between places of each line', [2, 3], [2, 3], 0],
    ['of one value', [2, 1], undefined, 1],
    ['of nothing', [0, 3], undefined, 1],
  ] as const
).flatMap(([variant, shape, places, dx]) => {
  const width = (x: Plain | undefined, i: number, j: number): number =>
    x === undefined ? dx : x.shape.length === 1 ? x.values[j + 1]! - x.values[j]! : at(x, i, j + 1) - at(x, i, j);
  const options = (x: AnyTensor | undefined): hadal.TrapezoidOptions => (x === undefined ? { dx } : { x });
  const parts = (y: Plain, x: Plain | undefined, i: number): number[] =>
    Array.from({ length: shape[1] - 1 }, (_, j) => area(y, i, j, width(x, i, j)));
  const base = {
    variant,
    shapes: places === undefined ? [shape] : [shape, places],
    result: toFloat,
    tolerance: rounded,
  };
  return [
    sample({
      ...base,
      op: 'trapezoid',
      call: (y, x) => hadal.trapezoid(y!, options(x)),
      reference: (y, x) => generated([shape[0]], ([i]) => total(parts(y!, x, i!))),
    }),
    sample({
      ...base,
      op: 'cumulativeTrapezoid',
      call: (y, x) => hadal.cumulativeTrapezoid(y!, options(x)),
      reference: (y, x) => generated([shape[0], shape[1] - 1], ([i, j]) => total(parts(y!, x, i!).slice(0, j! + 1))),
    }),
  ];
});

const covariance = (x: Plain, correction: number): Plain => {
  const [v, n] = x.shape as [number, number];
  const mean = Array.from({ length: v }, (_, i) => total(lineOf(x, i)) / n);
  return generated([v, v], ([i, j]) =>
    total(Array.from({ length: n }, (_, k) => (at(x, i!, k) - mean[i!]!) * (at(x, j!, k) - mean[j!]!))) /
    Math.max(0, n - correction),
  ); // prettier-ignore
};
const covariances: Sample[] = [
  ...[0, 1].map((correction) =>
    sample({
      op: 'cov',
      variant: `less ${correction}`,
      shapes: [[3, 5]],
      call: (x) => hadal.cov(x!, { correction }),
      reference: (x) => covariance(x!, correction),
      result: toFloat,
      tolerance: rounded,
    }),
  ),
  sample({
    op: 'cov',
    variant: 'one variable',
    shapes: [[4]],
    call: (x) => hadal.cov(x!),
    reference: (x) => ({ shape: [], values: covariance({ shape: [1, 4], values: x!.values }, 1).values }),
    result: toFloat,
    tolerance: rounded,
  }),
  sample({
    op: 'corrcoef',
    variant: 'three variables',
    shapes: [[3, 6]],
    dtypes: floats,
    call: (x) => hadal.corrcoef(x!),
    reference: (x) => {
      const c = covariance(x!, 1);
      return generated([3, 3], ([i, j]) => at(c, i!, j!) / Math.sqrt(at(c, i!, i!) * at(c, j!, j!)));
    },
    // The diagonal is at the end of its range, where the difference is one-sided.
    order: 0,
    tolerance: rounded,
  }),
  sample({
    op: 'renorm',
    variant: 'some rows',
    shapes: [],
    dtypes: floats,
    inputs: (draw, dtype) => [hadal.cat([draw.tensor([2, 3], dtype, 1, 2), draw.tensor([2, 3], dtype, 0.1, 0.2)], 0)],
    call: (x) => hadal.renorm(x!, 2, 0 as never, 1),
    reference: (x) =>
      generated(x!.shape, ([i, j]) => {
        const length = Math.hypot(...lineOf(x!, i!));
        return at(x!, i!, j!) * (length > 1 ? 1 / (length + 1e-7) : 1);
      }),
  }),
];

const memberships: Sample[] = (
  [
    ['some', [3, 4], [5]],
    ['among nothing', [3], [0]],
    ['nothing', [0], [3]],
    ['0-d', [], [2, 2]],
  ] as const
).flatMap(([variant, x, test]) =>
  [false, true].map((invert) =>
    sample({
      op: 'isIn',
      variant: invert ? `${variant}, inverted` : variant,
      shapes: [],
      dtypes: [...numbers, 'uint8'],
      inputs: (draw, dtype) => [
        draw.index(x, 5).cast(dtype) as AnyTensor,
        draw.index(test, 5).cast(dtype) as AnyTensor,
      ],
      call: (a, b) => hadal.isIn(a!, b!, { invert }),
      reference: (a, b) => ({ shape: x, values: a!.values.map((v) => Number(b!.values.includes(v) !== invert)) }),
      result: () => 'bool',
      order: 0,
    }),
  ),
);

// ------------------------------------------------------------------------------------------------------- put together

const powers: Sample[] = [false, true].map((increasing) =>
  sample({
    op: 'vander',
    result: sumOf,
    variant: increasing ? 'rising, four' : 'falling',
    shapes: [increasing ? [3] : [2, 3]],
    call: (x) => hadal.vander(x!, increasing ? { increasing, columns: 4 } : {}),
    reference: (x) =>
      increasing
        ? generated([3, 4], ([i, j]) => x!.values[i!]! ** j!)
        : generated([2, 3, 3], ([b, i, j]) => at(x!, b!, i!) ** (2 - j!)),
  }),
);
const blocks: Sample = sample({
  op: 'blockDiag',
  variant: 'a matrix, a vector, a scalar, nothing',
  shapes: [[2, 2], [3], [], [0, 1]], // prettier-ignore
  call: (...all) => hadal.blockDiag(all),
  reference: (a, b, c) =>
    generated([4, 7], ([i, j]) => {
      if (i! < 2) return j! < 2 ? at(a!, i!, j!) : 0;
      if (i === 2) return j! >= 2 && j! < 5 ? b!.values[j! - 2]! : 0;
      return j === 5 ? c!.values[0]! : 0;
    }),
});
const stacks: Sample[] = [
  sample({
    op: 'hstack',
    variant: 'matrices',
    shapes: [[2, 1], [2, 0], [2, 2]], // prettier-ignore
    call: (...all) => hadal.hstack(all),
    reference: (a, _, c) => generated([2, 3], ([i, j]) => (j === 0 ? at(a!, i!, 0) : at(c!, i!, j! - 1))),
  }),
  sample({
    op: 'hstack',
    variant: 'a scalar and a vector',
    shapes: [[], [3]],
    call: (...all) => hadal.hstack(all),
    reference: (a, b) => ({ shape: [4], values: [...a!.values, ...b!.values] }),
  }),
  sample({
    op: 'vstack',
    variant: 'a vector and a matrix',
    shapes: [[3], [2, 3]],
    call: (...all) => hadal.vstack(all),
    reference: (a, b) => ({ shape: [3, 3], values: [...a!.values, ...b!.values] }),
  }),
];
const products: Sample[] = [
  sample({
    op: 'cartesianProd',
    variant: 'three vectors',
    shapes: [[2], [3], [2]], // prettier-ignore
    call: (...all) => hadal.cartesianProd(all),
    reference: (a, b, c) =>
      generated(
        [12, 3],
        ([i, j]) => [a!.values[Math.floor(i! / 6)]!, b!.values[Math.floor(i! / 2) % 3]!, c!.values[i! % 2]!][j!]!,
      ),
  }),
  sample({
    op: 'cartesianProd',
    variant: 'with nothing',
    shapes: [[2], [0]], // prettier-ignore
    call: (...all) => hadal.cartesianProd(all),
    reference: () => ({ shape: [0, 2], values: [] }),
  }),
];
const embedded: Sample[] = (
  [
    ['matrices', [2, 3], 0],
    ['above', [3], 2],
    ['below', [2, 2], -1],
    ['nothing', [2, 0], 1],
  ] as const
).map(([variant, shape, offset]) =>
  sample({
    op: 'diagEmbed',
    variant,
    shapes: [shape],
    call: (x) => hadal.diagEmbed(x!, { offset }),
    reference: (x) => {
      const size = shape[shape.length - 1]! + Math.abs(offset);
      return generated([...shape.slice(0, -1), size, size], (position) => {
        const [i, j] = position.slice(-2) as [number, number];
        return j - i === offset ? at(x!, ...position.slice(0, -2), Math.min(i, j)) : 0;
      });
    },
  }),
);
const others: Sample[] = [
  sample({
    op: 'diagEmbed',
    variant: 'other axes',
    shapes: [[2, 3]],
    call: (x) => hadal.diagEmbed(x!, { axes: [0, 2] }),
    reference: (x) => generated([3, 2, 3], ([i, b, j]) => (i === j ? at(x!, b!, i!) : 0)),
  }),
  ...(
    [
      ['matrices', [2, 3, 4]],
      ['nothing', [0, 2]],
    ] as const
  ).map(([variant, shape]) =>
    sample({
      op: 'trace',
      variant,
      shapes: [shape],
      call: (x) => hadal.trace(x!),
      reference: (x) =>
        shape.length === 2
          ? { shape: [], values: [0] }
          : generated([2], ([b]) => total([0, 1, 2].map((i) => at(x!, b!, i, i)))),
      result: sumOf,
    }),
  ),
  ...(
    [
      ['rows', [2, 3], [2, 3], -1],
      ['broadcast, another axis', [3, 1], [3, 2], 0],
    ] as const
  ).map(([variant, a, b, axis]) =>
    sample({
      op: 'cross',
      variant,
      shapes: [a, b],
      call: (x, y) => hadal.cross(x! as hadal.Tensor, y! as hadal.Tensor, axis),
      reference: (x, y) =>
        generated(variant === 'rows' ? [2, 3] : [3, 2], (position) => {
          const along = axis === 0 ? 0 : 1;
          const get = (t: Plain, step: number): number =>
            at(t, ...position.map((p, i) => (t.shape[i] === 1 ? 0 : i === along ? (p + step) % 3 : p)));
          return get(x!, 1) * get(y!, 2) - get(x!, 2) * get(y!, 1);
        }),
      tolerance: { float16: { rtol: 4e-3, atol: 8e-3 }, bfloat16: { rtol: 3.2e-2, atol: 6.4e-2 } },
    }),
  ),
  sample({
    op: 'indexFill',
    variant: 'columns by a tensor',
    shapes: [[2, 4], []], // prettier-ignore
    call: (x, value) => hadal.indexFill(x!, 1, hadal.tensor([3, 0], { dtype: 'int32' }), value!),
    reference: (x, value) => generated([2, 4], ([i, j]) => (j === 0 || j === 3 ? value!.values[0]! : at(x!, i!, j!))),
  }),
  // The value's gradient counts the column that is named twice once.
  sample({
    op: 'indexFill',
    variant: 'a column twice',
    shapes: [[2, 4], []], // prettier-ignore
    call: (x, value) => hadal.indexFill(x!, 1, hadal.tensor([3, 0, 3], { dtype: 'int32' }), value!),
    reference: (x, value) => generated([2, 4], ([i, j]) => (j === 0 || j === 3 ? value!.values[0]! : at(x!, i!, j!))),
  }),
  sample({
    op: 'indexFill',
    variant: 'nothing, by a number',
    shapes: [[2, 3]],
    call: (x) => hadal.indexFill(x!, 0, hadal.zeros([0], { dtype: 'int64' }), 7),
    reference: (x) => x!,
  }),
];

export const samples: Sample[] = [
  ...nan, ...whole, ...diffs, ...integrals, ...covariances, ...memberships, ...powers, blocks, ...stacks, ...products, ...embedded, ...others,
]; // prettier-ignore
