// Samples of matrix products and linear layers.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, type Plain, type Sample } from '../sample';

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
  reference: (x, weight, shift) =>
    generated([...shape.slice(0, -1), out], (position) => {
      const to = position[position.length - 1]!;
      let sum = shift?.values[to] ?? 0;
      const size = shape[shape.length - 1]!;
      for (let k = 0; k < size; k++) {
        sum += x.values[ravel([...position.slice(0, -1), k], shape)]! * weight.values[to * size + k]!;
      }
      return sum;
    }),
  order: 2,
}));

export const samples: Sample[] = [...products, ...larger, promoted, ...layers];
