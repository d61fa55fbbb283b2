// Samples of matrix products and linear layers.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import type { FeedForwardActivation } from '../../../lib/ops/feed-forward';
import { generated, ravel, type Plain, type Sample } from '../sample';
import { erfc } from '../special-functions';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const numbers: readonly DType[] = [...floats, 'int64', 'int32', 'int16', 'int8', 'uint8'];
const matmul = hadal.matmul as (a: AnyTensor, b: AnyTensor) => AnyTensor;
const linear = hadal.linear as (x: AnyTensor, weight: AnyTensor, bias?: AnyTensor) => AnyTensor;

/** a · b by the definition, vectors as rows and columns. */
function product(a: Plain, b: Plain): Plain {
  if (a.shape.length === 1) {
    const row = product({ shape: [1, ...a.shape], values: a.values }, b);
    return {
      shape: row.shape.filter((_, axis) => axis !== row.shape.length - (b.shape.length === 1 ? 1 : 2)),
      values: row.values,
    };
  }
  if (b.shape.length === 1) {
    const column = product(a, { shape: [...b.shape, 1], values: b.values });
    return { shape: column.shape.slice(0, -1), values: column.values };
  }
  const batch = batchOf(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const inner = a.shape[a.shape.length - 1]!;
  return generated([...batch, a.shape[a.shape.length - 2]!, b.shape[b.shape.length - 1]!], (position) => {
    const [i, j] = position.slice(-2) as [number, number];
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += at(a, position.slice(0, -2), i, k) * at(b, position.slice(0, -2), k, j);
    return sum;
  });
}

function batchOf(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const size = a[axis - rank + a.length] ?? 1;
    return size === 1 ? (b[axis - rank + b.length] ?? 1) : size;
  });
}

function at(x: Plain, batch: readonly number[], i: number, j: number): number {
  const own = x.shape.slice(0, -2);
  const position = own.map((size, axis) => (size === 1 ? 0 : batch[batch.length - own.length + axis]!));
  return x.values[ravel([...position, i, j], x.shape)]!;
}

const products: Sample[] = (
  [
    ['matrices', [3, 4], [4, 2]],
    ['one row', [1, 5], [5, 3]],
    ['one column', [3, 5], [5, 1]],
    ['vectors', [4], [4]],
    ['a vector and a matrix', [4], [4, 3]],
    ['a matrix and a vector', [3, 4], [4]],
    ['a vector and a batch', [3], [2, 3, 2]],
    ['a batch and a vector', [2, 2, 3], [3]],
    ['batches', [2, 3, 4], [2, 4, 2]],
    ['a batch and a matrix', [2, 3, 4], [4, 2]],
    ['a matrix and a batch', [3, 4], [2, 4, 2]],
    ['batches that broadcast', [2, 1, 2, 3], [3, 3, 2]],
    ['no rows', [0, 3], [3, 2]],
    ['nothing to sum', [2, 0], [0, 3]],
    ['a batch of nothing', [2, 3, 0], [0, 2]],
    ['an empty batch', [0, 2, 3], [3, 2]],
  ] as const
).map(([variant, a, b]) => ({
  op: 'matmul',
  variant,
  dtypes: numbers,
  inputs: (draw, dtype) => [draw.tensor(a, dtype), draw.tensor(b, dtype)],
  call: (x, y) => matmul(x, y),
  reference: (x, y) => product(x, y),
  order: 2,
}));

// Sizes at the edges of the kernels' tiles; too large for differences.
const larger: Sample[] = (
  [
    [1, 33, 65],
    [17, 129, 31],
    [65, 40, 97],
  ] as const
).map(([m, k, n]) => ({
  op: 'matmul',
  variant: `${m} × ${k} × ${n}`,
  dtypes: ['float64', 'float32', 'bfloat16', 'int32'],
  inputs: (draw, dtype) => [draw.tensor([m, k], dtype), draw.tensor([k, n], dtype)],
  call: (x, y) => matmul(x, y),
  reference: (x, y) => product(x, y),
  order: 0,
}));

const promoted: Sample = {
  op: 'matmul',
  variant: 'two dtypes',
  dtypes: ['float64', 'int32'],
  inputs: (draw, dtype) => [draw.tensor([2, 3], dtype), draw.tensor([3, 2], 'float32')],
  call: (x, y) => matmul(x, y),
  reference: (x, y) => product(x, y),
  result: (dtype) => (dtype === 'float64' ? 'float64' : 'float32'),
  order: 0,
};

const layers: Sample[] = (
  [
    ['rows', [3, 4], 2, true],
    ['rows without a bias', [3, 4], 2, false],
    ['one row', [4], 3, true],
    ['a batch', [2, 2, 3], 2, true],
    ['no rows', [0, 3], 2, true],
    ['no features', [2, 0], 3, true],
    ['no features in a batch', [2, 2, 0], 3, false],
  ] as const
).map(([variant, shape, out, bias]) => ({
  op: 'linear',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [
    draw.tensor(shape, dtype),
    draw.tensor([out, shape[shape.length - 1]!], dtype),
    ...(bias ? [draw.tensor([out], dtype)] : []),
  ],
  call: (x, weight, shift) => linear(x, weight, shift),
  reference: layer,
  order: 2,
}));

/** x·weightᵀ + shift by the definition. */
function layer(x: Plain, weight: Plain, shift?: Plain): Plain {
  const [out, size] = weight.shape as [number, number];
  return generated([...x.shape.slice(0, -1), out], (position) => {
    const to = position[position.length - 1]!;
    let sum = shift?.values[to] ?? 0;
    for (let k = 0; k < size; k++) {
      sum += x.values[ravel([...position.slice(0, -1), k], x.shape)]! * weight.values[to * size + k]!;
    }
    return sum;
  });
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const activations: Record<FeedForwardActivation, (x: number) => number> = {
  relu: (x) => Math.max(x, 0),
  gelu: (x) => (x * erfc(-x / Math.SQRT2)) / 2,
  geluTanh: (x) => x * sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)),
  silu: (x) => x * sigmoid(x),
};
const feedForward = hadal.feedForward as (
  x: AnyTensor,
  weight1: AnyTensor,
  bias1: AnyTensor | undefined,
  weight2: AnyTensor,
  bias2: AnyTensor | undefined,
  options: hadal.FeedForwardOptions,
) => AnyTensor;

// Of one sign in each unit, away from relu's kink. The hidden layer is rounded to 16 bits between the two sums.
const networks: Sample[] = (
  [
    ['rows', [3, 4], 5, 2, 'geluTanh', true],
    ['rows without biases', [3, 4], 5, 2, 'geluTanh', false],
    ['widths of eight', [5, 8], 16, 8, 'geluTanh', true],
    ['widths of eight without biases', [5, 8], 16, 8, 'geluTanh', false],
    ['relu', [3, 8], 8, 16, 'relu', true],
    ['gelu', [3, 4], 5, 2, 'gelu', true],
    ['silu', [3, 4], 5, 2, 'silu', true],
    ['one row', [4], 3, 4, 'relu', true],
    ['a batch', [2, 2, 3], 4, 3, 'gelu', true],
    ['no rows', [0, 3], 4, 3, 'geluTanh', true],
    ['no features', [2, 0], 3, 2, 'geluTanh', true],
    ['no units', [2, 3], 0, 2, 'geluTanh', true],
  ] as const
).map(([variant, shape, hidden, out, activation, bias]) => ({
  op: 'feedForward',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => {
    const signs = hadal.arange(hidden).remainder(2).mul(2).sub(1).reshape([hidden, 1]).cast(dtype) as AnyTensor;
    const weight1 = draw.tensor([hidden, shape[shape.length - 1]!], dtype, 0.25, 1).mul(signs) as AnyTensor;
    const biases = bias ? [draw.tensor([hidden], dtype, -0.25, 0.25, [0]), draw.tensor([out], dtype)] : [];
    return [draw.tensor(shape, dtype, 0.5, 1), weight1, draw.tensor([out, hidden], dtype), ...biases];
  },
  call: (x, weight1, weight2, bias1, bias2) => feedForward(x, weight1, bias1, weight2, bias2, { activation }),
  reference: (x, weight1, weight2, bias1, bias2) => {
    const pre = layer(x, weight1, bias1);
    return layer({ shape: pre.shape, values: pre.values.map(activations[activation]) }, weight2, bias2);
  },
  order: 2,
  // Hidden values are rounded to 16 bits before the second product, whose terms cancel.
  tolerance: { float16: { rtol: 2e-3, atol: 1e-2 }, bfloat16: { rtol: 1.6e-2, atol: 8e-2 } },
}));

export const samples: Sample[] = [...products, ...larger, promoted, ...layers, ...networks];
