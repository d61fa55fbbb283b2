/** What the ops of linear algebra share: their dtypes, the checks of matrices, and right-hand sides that are vectors. */
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkDType, checkTensor } from './define';
import { broadcastBatch } from './matmul';

/** The dtypes that LAPACK computes in. */
export const lapackDTypes: readonly DType[] = ['float64', 'float32'];

export const epsilonOf = (dtype: DType): number => (dtype === 'float64' ? 2 ** -52 : 2 ** -23);

/** Throws unless `x` holds matrices of a dtype that LAPACK takes. */
export function checkMatrices(op: string, x: AnyTensor, name = 'x'): void {
  checkTensor(op, x, name);
  checkDType(op, x.dtype, lapackDTypes);
  if (x.rank < 2) {
    throw new ShapeError(`${op}: no matrices: got ${name} of shape ${show(x.shape)}, expected [..., m, n]`, {
      shape: x.shape,
    });
  }
}

/** Throws unless `x` holds square matrices of a dtype that LAPACK takes. */
export function checkSquare(op: string, x: AnyTensor, name = 'x'): void {
  checkTensor(op, x, name);
  checkDType(op, x.dtype, lapackDTypes);
  if (x.rank < 2 || x.shape[x.rank - 1] !== x.shape[x.rank - 2]) {
    throw new ShapeError(`${op}: not square: got ${name} of shape ${show(x.shape)}, expected [..., n, n]`, {
      shape: x.shape,
    });
  }
}

/** The axes before the matrices. */
export const batchOf = (x: AnyTensor): Shape => x.shape.slice(0, -2);

/**
 * Calls `f` with matrices and right-hand sides of one batch shape. b is vectors if it has one axis, or the shape of a without its last; then so is
 * the result.
 */
export function withRightSides<T>(
  op: string,
  a: AnyTensor,
  b: AnyTensor,
  f: (a: AnyTensor, b: AnyTensor, back: (x: AnyTensor) => AnyTensor) => T,
): T {
  checkTensor(op, b, 'b');
  if (a.dtype !== b.dtype) {
    throw new DTypeError(`${op}: dtypes differ: got a ${a.dtype} and b ${b.dtype}, expected one dtype`, { op });
  }
  const isVectors = b.rank === 1 || sameShape(b.shape, a.shape.slice(0, -1));
  const right = isVectors ? b.unsqueeze(-1) : b;
  if (right.rank < 2 || right.shape[right.rank - 2] !== a.shape[a.rank - 2]) {
    throw new ShapeError(
      `${op}: rows differ: got a ${show(a.shape)} and b ${show(b.shape)}, expected as many rows in both`,
      { a: a.shape, b: b.shape },
    );
  }
  const batch = broadcastShapes(op, batchOf(a), batchOf(right));
  return f(broadcastBatch(a, batch), broadcastBatch(right, batch), (x) => (isVectors ? x.squeeze(-1) : x));
}
