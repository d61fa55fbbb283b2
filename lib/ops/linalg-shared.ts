/** What the ops of linear algebra share: their dtypes, the checks of matrices, identities and scaled rows, and right-hand sides that are vectors. */
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkDType, checkTensor } from './define';
import { eye } from './diagonal';
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
export const sizesOf = (x: AnyTensor): [m: number, n: number] => [x.shape[x.rank - 2]!, x.shape[x.rank - 1]!];

/** Ones on the diagonal, of the dtype and on the device of x. */
export const identity = (x: AnyTensor, m: number, n = m): AnyTensor => eye(m, n, { dtype: x.dtype, device: x.device });
/** X with its columns, or its rows, scaled. */
export const timesColumns = (x: AnyTensor, scale: AnyTensor): AnyTensor => x.mul(scale.unsqueeze(-2));
export const timesRows = (x: AnyTensor, scale: AnyTensor): AnyTensor => x.mul(scale.unsqueeze(-1));
/** A number per matrix, seen by each of its elements. */
export const perMatrix = (x: AnyTensor): AnyTensor => x.unsqueeze(-1).unsqueeze(-1);

export interface RightSides {
  /** Whether the matrix stands left of the unknown; if not, the rows of b are the right-hand sides. True unless given. */
  readonly left?: boolean;
  /** What the op calls the matrix; a unless given. */
  readonly name?: string;
}

/**
 * Calls `f` with matrices and right-hand sides of one batch shape, which are columns. b is vectors if it has one axis or, with the matrix on the left, the
 * shape of a without its last; then so is the result.
 */
export function withRightSides<T>(
  op: string,
  a: AnyTensor,
  b: AnyTensor,
  f: (a: AnyTensor, b: AnyTensor, back: (x: AnyTensor) => AnyTensor) => T,
  { left = true, name = 'a' }: RightSides = {},
): T {
  checkTensor(op, b, 'b');
  if (a.dtype !== b.dtype) {
    throw new DTypeError(`${op}: dtypes differ: got ${name} ${a.dtype} and b ${b.dtype}, expected one dtype`, { op });
  }
  const isVectors = b.rank === 1 || (left && sameShape(b.shape, a.shape.slice(0, -1)));
  const columns = left || b.rank < 2 ? b : b.transpose();
  const right = isVectors ? b.unsqueeze(-1) : columns;
  if (right.rank < 2 || right.shape[right.rank - 2] !== a.shape[a.rank - 2]) {
    const what = left ? 'rows' : 'columns';
    throw new ShapeError(
      `${op}: ${what} differ: got ${name} ${show(a.shape)} and b ${show(b.shape)}, expected as many ${what} in both`,
      { a: a.shape, b: b.shape },
    );
  }
  const batch = broadcastShapes(op, batchOf(a), batchOf(right));
  return f(broadcastBatch(a, batch), broadcastBatch(right, batch), (x) => {
    if (isVectors) return x.squeeze(-1);
    return left ? x : x.transpose();
  });
}
