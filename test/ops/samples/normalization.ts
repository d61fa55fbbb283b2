// Samples of softmax and the normalisations.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { ravel, unravel, type Plain, type Sample, type Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

/** The elements that agree with each one in all but the given axes, joined to one number. */
function grouped(x: Plain, axes: readonly number[], join: (values: number[]) => number): number[] {
  const groups = new Map<number, number[]>();
  const keyOf = (flat: number): number =>
    ravel(
      unravel(flat, x.shape).map((p, axis) => (axes.includes(axis) ? 0 : p)),
      x.shape,
    );
  x.values.forEach((value, flat) => {
    const key = keyOf(flat);
    groups.set(key, [...(groups.get(key) ?? []), value]);
  });
  const joined = new Map([...groups].map(([key, values]) => [key, join(values)]));
  return x.values.map((_, flat) => joined.get(keyOf(flat))!);
}

function logSoftmax(x: Plain, axis: number): Plain {
  const tops = grouped(x, [axis], (values) => Math.max(...values));
  const logs = grouped(x, [axis], (values) => {
    const top = Math.max(...values);
    return Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
  });
  return { shape: x.shape, values: x.values.map((v, i) => v - tops[i]! - logs[i]!) };
}
const softmax = (x: Plain, axis: number): Plain => {
  const { shape, values } = logSoftmax(x, axis);
  return { shape, values: values.map(Math.exp) };
};

/** (x − mean) / √(variance + ε) over axes. */
function normalized(x: Plain, axes: readonly number[], epsilon = 1e-5): number[] {
  const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const means = grouped(x, axes, mean);
  const variances = grouped(x, axes, (values) => mean(values.map((v) => (v - mean(values)) ** 2)));
  return x.values.map((v, i) => (v - means[i]!) / Math.sqrt(variances[i]! + epsilon));
}

type AxisCall = (x: AnyTensor, axis: number) => AnyTensor;
const softmaxes: Sample[] = (
  [
    ['last axis', [3, 5], -1],
    ['first axis', [4, 3], 0],
    ['middle axis', [2, 3, 2], 1],
    ['one element', [3, 1], 1],
    ['0-d', [], 0],
    ['no rows', [0, 3], 1],
    ['no columns', [3, 0], 1],
  ] as const
).flatMap(([variant, shape, axis]) =>
  (
    [
      ['softmax', hadal.softmax as AxisCall, softmax],
      ['logSoftmax', hadal.logSoftmax as AxisCall, logSoftmax],
    ] as const
  ).map(([op, f, reference]) => ({
    op,
    variant,
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
    call: (x) => f(x, axis),
    reference: (x) => reference(x, axis < 0 ? axis + shape.length : axis),
    order: 2,
  })),
);
const extremes: Sample[] = (
  [
    ['softmax', hadal.softmax as AxisCall, softmax],
    ['logSoftmax', hadal.logSoftmax as AxisCall, logSoftmax],
  ] as const
).flatMap(([op, f, reference]): Sample[] => [
  {
    op,
    variant: 'large numbers, an infinity and NaN',
    dtypes: ['float64', 'float32'],
    inputs: (_, dtype) => [
      hadal.tensor([1e30, 1e30, -1e30, 1000, 1001, 999, 0, -Infinity, 1, 0, NaN, 1], { dtype, shape: [4, 3] }),
    ],
    call: (x) => f(x, 1),
    reference: (x) => {
      const { shape, values } = reference(x, 1);
      return { shape, values: values.map((v, i) => (i >= 9 ? NaN : v)) };
    },
    order: 0,
  },
  {
    op,
    variant: 'long rows and long columns',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([3, 531, 2], dtype)],
    call: (x) => f(x, 1),
    reference: (x) => reference(x, 1),
    order: 0,
  },
  {
    op,
    variant: 'integers',
    dtypes: ['int32', 'bool'],
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype)],
    call: (x) => f(x, -1),
    reference: (x) => reference(x, 1),
    result: () => 'float32',
    order: 0,
  },
]);

// x − mean is what is rounded, and 16-bit gradients pass through several sums of it.
const centred: Partial<Record<DType, Tolerance>> = {
  float32: { rtol: 1.3e-6, atol: 2e-5 },
  float16: { rtol: 2e-3, atol: 2e-3 },
  bfloat16: { rtol: 1.6e-2, atol: 1.6e-2 },
};

type LayerNorm = (
  x: AnyTensor,
  shape: Shape,
  weight?: AnyTensor,
  bias?: AnyTensor,
  options?: hadal.NormOptions,
) => AnyTensor;
const layerNorm = hadal.layerNorm as LayerNorm;
const layerNorms: Sample[] = (
  [
    ['last axis', [3, 5], [5], 2],
    ['without parameters', [3, 5], [5], 0],
    ['without a bias', [2, 2, 4], [4], 1],
    ['two axes', [2, 3, 4], [3, 4], 2],
    ['no rows', [0, 4], [4], 2],
    ['one row', [6], [6], 2],
  ] as const
).map(([variant, shape, end, parameters]) => ({
  op: 'layerNorm',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [
    draw.tensor(shape, dtype),
    ...[draw.tensor(end, dtype, 0.5, 1.5), draw.tensor(end, dtype)].slice(0, parameters),
  ],
  call: (x, weight, bias) => layerNorm(x, end, weight, bias, { epsilon: 1e-3 }),
  reference: (x, weight, bias) => {
    const axes = end.map((_, i) => shape.length - end.length + i);
    const size = end.reduce<number>((a, b) => a * b, 1);
    return {
      shape,
      values: normalized(x, axes, 1e-3).map(
        (v, i) => v * (weight?.values[i % size] ?? 1) + (bias?.values[i % size] ?? 0),
      ),
    };
  },
  order: 2,
  tolerance: centred,
}));

type BatchNorm = (
  x: AnyTensor,
  mean: AnyTensor | undefined,
  variance: AnyTensor | undefined,
  weight?: AnyTensor,
  bias?: AnyTensor,
  options?: hadal.BatchNormOptions,
) => AnyTensor;
const batchNorm = hadal.batchNorm as BatchNorm;
const channelOf = (shape: Shape, flat: number): number => unravel(flat, shape)[1]!;
const batchNorms: Sample[] = (
  [
    ['rows', [5, 3], true],
    ['rows without parameters', [5, 3], false],
    ['sequences', [2, 3, 4], true],
    ['images', [2, 2, 2, 3], true],
  ] as const
).flatMap(([variant, shape, affine]): Sample[] => {
  const parameters = (draw: Parameters<Sample['inputs']>[0], dtype: DType): AnyTensor[] =>
    affine ? [draw.tensor([shape[1]], dtype, 0.5, 1.5), draw.tensor([shape[1]], dtype)] : [];
  const shifted = (values: number[], weight?: Plain, bias?: Plain): Plain => ({
    shape,
    values: values.map((v, i) => {
      const c = channelOf(shape, i);
      return v * (weight?.values[c] ?? 1) + (bias?.values[c] ?? 0);
    }),
  });
  const ofBatch = (x: Plain, weight?: Plain, bias?: Plain): Plain => {
    const axes = shape.map((_, axis) => axis).filter((axis) => axis !== 1);
    return shifted(normalized(x, axes, 1e-3), weight, bias);
  };
  const relu = ({ values }: Plain): Plain => ({ shape, values: values.map((v) => Math.max(v, 0)) });
  const running = (first: number): number[] => Array.from({ length: shape[1] }, (_, c) => first + 0.25 * c);
  return [
    {
      op: 'batchNorm',
      variant,
      dtypes: floats,
      inputs: (draw, dtype) => [draw.tensor(shape, dtype), ...parameters(draw, dtype)],
      call: (x, weight, bias) => batchNorm(x, undefined, undefined, weight, bias, { training: true, epsilon: 1e-3 }),
      reference: ofBatch,
      order: 2,
      tolerance: centred,
    },
    {
      op: 'batchNorm',
      variant: `${variant}, and ReLU`,
      dtypes: floats,
      inputs: (draw, dtype) => [draw.tensor(shape, dtype), ...parameters(draw, dtype)],
      call: (x, weight, bias) =>
        batchNorm(x, undefined, undefined, weight, bias, { training: true, epsilon: 1e-3, activation: 'relu' }),
      reference: (x, weight, bias) => relu(ofBatch(x, weight, bias)),
      order: 2,
      tolerance: centred,
    },
    ...(['relu', undefined] as const).map((activation): Sample => ({
      op: 'batchNorm',
      variant: `${variant}, and a residual${activation === undefined ? '' : ', and ReLU'}`,
      dtypes: floats,
      inputs: (draw, dtype) => [draw.tensor(shape, dtype), draw.tensor(shape, dtype), ...parameters(draw, dtype)],
      call: (x, residual, weight, bias) =>
        batchNorm(x, undefined, undefined, weight, bias, {
          training: true,
          epsilon: 1e-3,
          residual: residual!,
          ...(activation && { activation }),
        }),
      reference: (x, residual, weight, bias) => {
        const { values } = ofBatch(x, weight, bias);
        const sum = { shape, values: values.map((v, i) => v + residual!.values[i]!) };
        return activation === undefined ? sum : relu(sum);
      },
      order: 2,
      tolerance: centred,
    })),
    {
      op: 'batchNorm',
      variant: `${variant}, by running statistics`,
      dtypes: floats,
      inputs: (draw, dtype) => [draw.tensor(shape, dtype), ...parameters(draw, dtype)],
      call: (x, weight, bias) => {
        const options = { dtype: x.dtype };
        return batchNorm(x, hadal.tensor(running(-0.5), options), hadal.tensor(running(1), options), weight, bias);
      },
      reference: (x, weight, bias) =>
        shifted(
          x.values.map((v, i) => {
            const c = channelOf(shape, i);
            return (v - running(-0.5)[c]!) / Math.sqrt(running(1)[c]! + 1e-5);
          }),
          weight,
          bias,
        ),
      order: 2,
      tolerance: centred,
    },
  ];
});

export const samples: Sample[] = [...softmaxes, ...extremes, ...layerNorms, ...batchNorms];
