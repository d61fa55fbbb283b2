// Samples of rounding to decimal places and of quotients, of axes added and tensors stacked, of shifts and frequencies, of weighted covariances, and of slices
// combined at places.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { isFloat, toFloat } from '../../../lib/tensor/dtype';
import { generated, mapped, ravel, type Draw, type Plain, type Sample, type Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const integers: readonly DType[] = ['int64', 'int32', 'int16', 'int8'];
const numbers = [...floats, ...integers, 'uint8'] as const;
const signed = [...floats, ...integers];

interface Spec extends Pick<Sample, 'op' | 'variant' | 'call' | 'reference'> {
  readonly shapes?: readonly Shape[];
  readonly inputs?: Sample['inputs'];
  readonly dtypes?: readonly DType[];
  readonly order?: 0 | 1 | 2;
  readonly result?: (dtype: DType) => DType;
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
}
const sample = ({ shapes = [], ...rest }: Spec): Sample => ({
  dtypes: numbers,
  inputs: (draw, dtype) => shapes.map((shape) => draw.tensor(shape, dtype)),
  order: 2,
  ...rest,
});
const at = (x: Plain, ...position: number[]): number => x.values[ravel(position, x.shape)]!;
const as = (shape: Shape) => (x: Plain | undefined): Plain => ({ shape, values: x!.values }); // prettier-ignore
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const halfToEven = (x: number): number => {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (Math.abs(below) % 2) : Math.round(x);
};
const rounding: Sample[] = [
  ...([1, 2, -1] as const).map((decimals) =>
    sample({
      op: 'round',
      variant: `to ${decimals} decimals`,
      dtypes: decimals < 0 ? floats : numbers,
      inputs: (draw: Draw, dtype: DType) => [draw.tensor([3, 5], dtype, -60, 60)],
      call: (x) => hadal.round(x!, { decimals }),
      reference: (x) => mapped((value) => halfToEven(value * 10 ** decimals) / 10 ** decimals, x!),
      // The step is 1/100 where the dtype has it, so that it may go either way where that is not a place between two numbers.
      tolerance: { float32: { rtol: 1e-6, atol: 1e-5 }, float16: { rtol: 1e-3, atol: 1e-5 } },
    }),
  ),
  ...(['trunc', 'floor'] as const).flatMap((mode) =>
    (
      [
        [4, 4],
        [4, 1],
      ] as const
    ).map((shape) =>
      // prettier-ignore
      sample({
        op: 'div',
        variant: `${mode}, by [${shape.join(', ')}]`,
        inputs: (draw: Draw, dtype: DType) => {
          const divisor = draw.tensor(shape, dtype, 1, 5);
          const sign = dtype === 'uint8' ? divisor : (divisor.mul(divisor.greater(3).cast(dtype).mul(-2).add(1)) as AnyTensor);
          return [draw.tensor([4, shape[1] === 1 ? 3 : 4], dtype, -40, 40), sign];
        },
        order: mode === 'floor' ? 0 : 2,
        call: (a, b) => a!.div(b!, { rounding: mode }),
        reference: (a, b) => mapped((x, y) => Math[mode](x / y), a!, b!),
      }),
    ),
  ),
  sample({
    op: 'div',
    variant: 'trunc, of a number',
    inputs: (draw: Draw, dtype: DType) => [draw.tensor([5], dtype, 1, 9)],
    call: (b) => hadal.div(-20, b! as never, { rounding: 'trunc' }) as AnyTensor,
    dtypes: signed,
    reference: (b) => mapped((x) => Math.trunc(-20 / x), b!),
  }),
];

const axes: Sample[] = [
  ...(
    [
      ['atleast1d', hadal.atleast1d, [[1], [3], [2, 3], [2, 1, 2]]],
      ['atleast2d', hadal.atleast2d, [[1, 1], [1, 3], [2, 3], [2, 1, 2]]],
      ['atleast3d', hadal.atleast3d, [[1, 1, 1], [1, 3, 1], [2, 3, 1], [2, 1, 2]]],
    ] as const
  ).flatMap(([op, f, results]) =>
    [[], [3], [2, 3], [2, 1, 2]].map((shape, i) =>
      sample({ op, variant: `[${shape.join(', ')}]`, shapes: [shape], call: (x) => f(x!), reference: as(results[i]!) }),
    ),
  ), // prettier-ignore
  sample({
    op: 'dstack',
    variant: 'vectors',
    shapes: [[3], [3]],
    call: (...all) => hadal.dstack(all),
    reference: (...all) => generated([1, 3, 2], ([, i, k]) => all[k!]!.values[i!]!),
  }),
  sample({
    op: 'dstack',
    variant: 'a matrix and what has three axes',
    shapes: [
      [2, 3],
      [2, 3, 2],
    ],
    call: (...all) => hadal.dstack(all),
    reference: (a, b) => generated([2, 3, 3], ([i, j, k]) => (k === 0 ? at(a!, i!, j!) : at(b!, i!, j!, k! - 1))),
  }),
  sample({
    op: 'columnStack',
    variant: 'vectors and a matrix',
    shapes: [[3], [3, 2], [3]],
    call: (...all) => hadal.columnStack(all),
    reference: (a, b, c) =>
      generated([3, 4], ([i, j]) => (j === 0 ? at(a!, i!) : j === 3 ? at(c!, i!) : at(b!, i!, j! - 1))),
  }),
  sample({
    op: 'columnStack',
    variant: 'scalars',
    shapes: [[], []],
    call: (...all) => hadal.columnStack(all),
    reference: (a, b) => ({ shape: [1, 2], values: [...a!.values, ...b!.values] }),
  }),
];

/** Element i of the result is that at i moved by `by`. */
const moved = (x: Plain, along: readonly number[], by: (size: number) => number): Plain =>
  generated(x.shape, (position) =>
    at(x, ...position.map((i, axis) => {
      const size = x.shape[axis]!;
      return along.includes(axis) ? (i + by(size)) % size : i;
    })),
  ); // prettier-ignore
const shifts: Sample[] = (
  [
    ['fftshift', hadal.fftshift, (size: number) => Math.ceil(size / 2)],
    ['ifftshift', hadal.ifftshift, (size: number) => Math.floor(size / 2)],
  ] as const
).flatMap(([op, f, by]) =>
  (
    [
      ['spectra, all axes', [3, 4, 2], {}, [0, 1]],
      ['spectra, one axis', [3, 5, 2], { axes: -1 }, [1]],
      ['real numbers', [5, 4], { pairs: false }, [0, 1]],
      ['real numbers, one axis', [5, 2], { pairs: false, axes: [0] }, [0]],
      ['nothing', [0, 2], {}, []],
    ] as const
  ).map(([variant, shape, options, along]) =>
    sample({ op, variant, shapes: [shape], call: (x) => f(x!, options), reference: (x) => moved(x!, along, by) }),
  ),
);
const frequencies: Sample[] = [1, 4, 7].flatMap((n) => {
  const spacing = n === 4 ? 0.25 : 1;
  const options = { dtype: 'float64', spacing } as const;
  const common = { variant: `${n}`, dtypes: ['float64'] as const, order: 0 as const };
  return [
    sample({
      ...common,
      op: 'fftfreq',
      call: () => hadal.fftfreq(n, options),
      reference: () => generated([n], ([i]) => (i! < n / 2 ? i! : i! - n) / (n * spacing)),
    }),
    sample({
      ...common,
      op: 'rfftfreq',
      call: () => hadal.rfftfreq(n, options),
      reference: () => generated([Math.floor(n / 2) + 1], ([i]) => i! / (n * spacing)),
    }),
  ];
});

const often = [1, 3, 0, 2, 1];
const weighted = (x: Plain, analytic: readonly number[], counts: readonly number[], correction: number): Plain => {
  const w = analytic.map((a, i) => a * counts[i]!);
  const mean = [0, 1, 2].map((v) => total(w.map((each, k) => each * at(x, v, k))) / total(w));
  const divisor = total(w) - (correction * total(w.map((each, k) => each * analytic[k]!))) / total(w);
  return generated([3, 3], ([i, j]) =>
    total(w.map((each, k) => each * (at(x, i!, k) - mean[i!]!) * (at(x, j!, k) - mean[j!]!))) / divisor,
  ); // prettier-ignore
};
const ones = [1, 1, 1, 1, 1];
const frequencyWeights = (): AnyTensor => hadal.tensor(often, { dtype: 'int64' });
// Composed of several ops, each of which rounds to 16 bits: four roundings, of numbers up to 2.
const rounded = { float16: { rtol: 4e-3, atol: 8e-3 }, bfloat16: { rtol: 3.2e-2, atol: 6.4e-2 } };
const covariances: Sample[] = [
  sample({
    op: 'cov',
    variant: 'by frequencies',
    dtypes: signed,
    shapes: [[3, 5]],
    call: (x) => hadal.cov(x!, { frequencyWeights: frequencyWeights() }),
    reference: (x) => weighted(x!, ones, often, 1),
    result: toFloat,
    tolerance: rounded,
  }),
  ...[0, 1].map((correction) =>
    sample({
      op: 'cov',
      variant: `by both weights, less ${correction}`,
      dtypes: floats,
      inputs: (draw, dtype) => [draw.tensor([3, 5], dtype), draw.tensor([5], dtype, 0.5, 2)],
      call: (x, analyticWeights) =>
        hadal.cov(x!, { analyticWeights: analyticWeights!, frequencyWeights: frequencyWeights(), correction }),
      reference: (x, analytic) => weighted(x!, analytic!.values, often, correction),
      tolerance: rounded,
    }),
  ),
  sample({
    op: 'cov',
    variant: 'by analytic weights',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([3, 5], dtype), draw.tensor([5], dtype, 0.5, 2)],
    call: (x, analyticWeights) => hadal.cov(x!, { analyticWeights: analyticWeights! }),
    reference: (x, analytic) => weighted(x!, analytic!.values, ones, 1),
    tolerance: rounded,
  }),
];

const places = [2, 0, 2];
const combine = {
  sum: total,
  prod: (values: readonly number[]) => values.reduce((a, b) => a * b, 1),
  mean: (values: readonly number[]) => total(values) / values.length,
  amax: (values: readonly number[]) => Math.max(...values),
  amin: (values: readonly number[]) => Math.min(...values),
};
const slices: Sample[] = (['sum', 'prod', 'mean', 'amax', 'amin'] as const).flatMap((reduction) =>
  [true, false].map((includeSelf) =>
    sample({
      op: 'indexReduce',
      variant: `${reduction}${includeSelf ? '' : ' without what was there'}`,
      dtypes: reduction === 'mean' ? floats : [...floats, 'int64', 'int32', 'int16'], // a product is above 127
      inputs: (draw, dtype) =>
        [0, 1].map(
          (part) =>
            draw
              .distinct([2, 4, 3], dtype)
              .narrow(1, part, 3)
              .mul(isFloat(dtype) ? 0.75 : 1)
              .add(isFloat(dtype) ? part / 20 : 0) as AnyTensor, // no element of one is one of the other
        ),
      call: (x, source) =>
        x!.indexReduce(1, hadal.tensor(places, { dtype: 'int32' }), source!, reduction, { includeSelf }),
      reference: (x, source) =>
        generated([2, 3, 3], ([b, i, j]) => {
          const found = places.flatMap((place, k) => (place === i ? [at(source!, b!, k, j!)] : []));
          if (found.length === 0) return at(x!, b!, i!, j!);
          return combine[reduction](includeSelf ? [at(x!, b!, i!, j!), ...found] : found);
        }),
      tolerance: rounded,
    }),
  ),
);

const sorted: Sample[] = [
  sample({
    op: 'searchSorted',
    variant: 'lines in the order of a sorter',
    inputs: (draw, dtype) => {
      const lines = draw.distinct([2, 5], dtype);
      return [lines, lines.argsort() as AnyTensor, draw.tensor([2, 4], dtype)];
    },
    order: 0,
    result: () => 'int64',
    call: (lines, sorter, x) => hadal.searchSorted(lines!, x!, { sorter: sorter!, right: true }),
    reference: (lines, _, x) =>
      generated([2, 4], ([i, j]) => [0, 1, 2, 3, 4].filter((k) => at(lines!, i!, k) <= at(x!, i!, j!)).length),
  }),
];

export const samples: Sample[] = [
  ...rounding, ...axes, ...shifts, ...frequencies, ...covariances, ...slices, ...sorted,
]; // prettier-ignore
