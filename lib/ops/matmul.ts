/** Matrix products. One kernel serves them all: transposed and broadcast operands are views, and a bias is added as the result is written. */
import { ShapeError } from '../errors';
import { promote, type DType, type Promote } from '../tensor/dtype';
import type { Linear, LinearCheck, MatMul, MatMulCheck } from '../tensor/layer-shape-types';
import type { Ok, Shape, SizeAt } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show, sizeOf } from '../tensor/shapes';
import { recording } from '../tensor/node';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { operand } from './autocast';
import { formOf } from './matrix-form';
import {
  checkDType,
  checkTensor,
  defineOp,
  floats,
  installMethods,
  numbers,
  run,
  runMany,
  withGradient,
} from './define';

/** The attributes of a product alone. */
export const noActivation: readonly number[] = [0];

export const matmulOp = defineOp('matmul', {
  dtypes: numbers,
  autocast: 'lower',
  saves: { inputs: true },
  // y = a·b: ga = g·bᵀ, gb = aᵀ·g, each summed over the batch axes along which its operand was broadcast.
  gradient: (g, node) => [
    node.needs(0) ? g.matmul(node.input(1).transpose()).sumTo(node.shape(0)) : undefined,
    node.needs(1) ? node.input(0).transpose().matmul(g).sumTo(node.shape(1)) : undefined,
    undefined,
  ],
});

/**
 * The product of matrices a [..., m, k] · b [..., k, n], with batch axes broadcast; a vector stands for a row on the left and a column on the
 * right, and its axis disappears from the result.
 *
 * @throws ShapeError when the inner sizes differ or the batch axes do not broadcast.
 * @example
 * matmul(ones([2, 3]), ones([3, 4])).shape; // [2, 4]
 */
export function matmul<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<MatMulCheck<S, T>>,
): Tensor<MatMul<S, T>, Promote<D, E>>;
export function matmul(a: AnyTensor, b: AnyTensor): AnyTensor {
  checkTensor('matmul', a, 'a');
  checkTensor('matmul', b, 'b');
  if (a.rank === 0 || b.rank === 0) {
    throw new ShapeError(
      `matmul: no axes to multiply: got a ${show(a.shape)} · b ${show(b.shape)}, expected at least vectors`,
    );
  }
  const inner = b.shape[b.rank === 1 ? 0 : b.rank - 2]!;
  if (a.shape[a.rank - 1] !== inner) {
    throw new ShapeError(
      `matmul: inner sizes differ: a ${show(a.shape)} · b ${show(b.shape)} (${a.shape[a.rank - 1]} vs ${inner})`,
      { a: a.shape, b: b.shape },
    );
  }
  const [p, q] = [operand(matmulOp, a), operand(matmulOp, b)];
  const dtype = promote(p.dtype, q.dtype);
  checkDType('matmul', dtype, numbers);
  const left = p.cast(dtype);
  const right = q.cast(dtype);
  if (a.rank === 1) {
    const row = product(left.unsqueeze(0), b.rank === 1 ? right.unsqueeze(1) : right);
    return b.rank === 1 ? row.reshape([]) : row.squeeze(-2);
  }
  if (b.rank === 1) return product(left, right.unsqueeze(1)).squeeze(-1);
  return product(left, right);
}

/** The product of two operands with at least two axes and one dtype, which mixed precision leaves as it is. */
export function product(a: AnyTensor, b: AnyTensor): AnyTensor {
  const m = a.shape[a.rank - 2]!;
  const n = b.shape[b.rank - 1]!;
  // A stack of rows against one matrix is one larger product.
  if (b.rank === 2 && a.rank > 2 && a.isContiguous) {
    const rows = a.reshape([sizeOf(a.shape.slice(0, -1)), a.shape[a.rank - 1]!]);
    return product(rows, b).reshape([...a.shape.slice(0, -1), n]);
  }
  const batch = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const left = broadcastBatch(a, batch);
  const right = broadcastBatch(b, batch);
  return run(matmulOp, [left, right, undefined], [...batch, m, n], a.dtype, noActivation);
}

/** Matrices with the batch axes `batch`. */
export function broadcastBatch(x: AnyTensor, batch: Shape): AnyTensor {
  return sameShape(x.shape.slice(0, -2), batch) ? x : x.expand([...batch, ...x.shape.slice(-2)]);
}

const matmulRowSumsOp = defineOp('matmulRowSums', { dtypes: floats });

/**
 * The gradients of wᵀ and the bias of a linear layer, those that are wanted, from its rows x [n, in] and g [n, out]. gᵀ·x comes out in the layout of
 * w [out, in].
 */
export function parameterGradients(
  g: AnyTensor,
  x: AnyTensor,
  ofWeight: boolean,
  ofBias: boolean,
): readonly [AnyTensor | undefined, AnyTensor | undefined] {
  if (ofWeight && ofBias && !recording.enabled) {
    const [out, dtype] = [g.shape[1]!, g.dtype];
    const [gw, sums] = runMany(
      matmulRowSumsOp,
      [g.transpose(), x],
      [
        { shape: [out, x.shape[1]!], dtype },
        { shape: [out, 1], dtype },
      ],
    );
    return [gw!.transpose(), sums!.reshape([out])];
  }
  return [ofWeight ? g.transpose().matmul(x).transpose() : undefined, ofBias ? g.sum(0) : undefined];
}

const linearOp = withGradient(
  matmulOp,
  // The kernel is given x [rows, in] and the view wᵀ, which are the graph's inputs, with the bias.
  (g, node) => [
    node.needs(0) ? g.matmul(node.input(1).transpose()) : undefined,
    ...parameterGradients(g, node.input(0), node.needs(1), node.needs(2)),
  ],
  { inputs: true },
  'aligned',
);

/** Throws unless a layer of `weight` and `bias` takes rows of x. */
export function checkLayer(
  op: string,
  x: Shape,
  weight: AnyTensor,
  bias: AnyTensor | undefined,
  names: readonly [string, string, string] = ['x', 'weight', 'bias'],
): void {
  const [rows, matrix, shift] = names;
  checkTensor(op, weight, matrix);
  if (x.length === 0 || weight.rank !== 2) {
    throw new ShapeError(
      `${op}: wrong rank: got ${rows} ${show(x)} and ${matrix} ${show(weight.shape)}, expected [..., in] and [out, in]`,
      { [rows]: x, [matrix]: weight.shape },
    );
  }
  const features = x[x.length - 1]!;
  const [out, width] = weight.shape as [number, number];
  if (features !== width) {
    throw new ShapeError(
      `${op}: inner sizes differ: ${rows} ${show(x)} · ${matrix} ${show(weight.shape)}ᵀ (${features} vs ${width})`,
      { [rows]: x, [matrix]: weight.shape },
    );
  }
  if (bias === undefined) return;
  checkTensor(op, bias, shift);
  if (bias.rank !== 1 || bias.shape[0] !== out) {
    throw new ShapeError(`${op}: ${shift} does not fit: got shape ${show(bias.shape)}, expected [${out}]`);
  }
}

/**
 * y = x·wᵀ + bias, for x [..., in], weight [out, in] and bias [out].
 *
 * @throws ShapeError when the sizes differ.
 * @example
 * linear(ones([8, 3]), ones([2, 3]), zeros([2])).shape; // [8, 2]
 */
export function linear<S extends Shape, D extends DType, W extends Shape, E extends DType>(
  x: Tensor<S, D>,
  weight: Tensor<W, E> & Ok<LinearCheck<S, SizeAt<W, 1>>>,
  bias?: AnyTensor,
): Tensor<Linear<S, SizeAt<W, 0>>, Promote<D, E>>;
export function linear(x: AnyTensor, weight: AnyTensor, bias?: AnyTensor): AnyTensor {
  checkTensor('linear', x);
  const form = formOf(weight);
  if (form !== undefined) return form.linear(x, bias);
  checkLayer('linear', x.shape, weight, bias);
  x = operand(matmulOp, x);
  weight = operand(matmulOp, weight);
  const dtype = promote(x.dtype, weight.dtype);
  checkDType('linear', dtype, numbers);
  const rows = rowsOf(x);
  const [count, out] = [rows.shape[0]!, weight.shape[0]!];
  const inputs = [rows.cast(dtype), weight.cast(dtype).transpose(), operand(matmulOp, bias)?.cast(dtype)];
  const y = run(linearOp, inputs, [count, out], dtype, noActivation);
  return x.rank === 2 ? y : y.reshape([...x.shape.slice(0, -1), out]);
}

/** x [..., features] as a matrix. */
export const rowsOf = (x: AnyTensor): AnyTensor =>
  x.rank === 2 ? x : x.reshape([sizeOf(x.shape.slice(0, -1)), x.shape[x.rank - 1]!]);

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    matmul<T extends Shape, E extends DType>(
      other: Tensor<T, E> & Ok<MatMulCheck<S, T>>,
    ): Tensor<MatMul<S, T>, Promote<D, E>>;
  }
}
installMethods({ matmul });
