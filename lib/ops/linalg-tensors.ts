/** Tensors as the matrices that they are when their leading and their other axes are flattened: tensorinv, tensorsolve. Both are solve and inv. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { normalizeAxes, sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkOptions, checkTensor, installMethods } from './define';
import { inv, solve } from './linalg-factor';
import { lapackDTypes } from './linalg-shared';

/** The tensor as a square matrix with its first `count` axes as rows, and what the other axes are. */
function flattened(op: string, x: AnyTensor, count: number): { matrix: AnyTensor; rows: Shape; columns: Shape } {
  const [rows, columns] = [x.shape.slice(0, count), x.shape.slice(count)];
  const [m, n] = [sizeOf(rows), sizeOf(columns)];
  if (m !== n) {
    throw new ShapeError(
      `${op}: not square: got ${show(rows)} and ${show(columns)} (${m} vs ${n}), expected as many elements`,
    );
  }
  return { matrix: x.reshape([m, n]), rows, columns };
}

/**
 * The inverse y of x under {@link tensordot} over as many axes: the first `axes` of x, 2 unless given, have as many elements as the others, and they come last in y.
 *
 * @throws ShapeError unless the axes have as many elements; ArgumentError for another number of axes; DTypeError unless x is float32 or float64; LinAlgError at the next read when it is singular.
 * @example
 * tensorinv(eye(6).reshape([2, 3, 6])).shape; // [6, 2, 3]
 */
export function tensorinv<D extends DType>(x: Tensor<Shape, D>, axes?: number): Tensor<Shape, D>;
export function tensorinv(x: AnyTensor, axes = 2): AnyTensor {
  checkTensor('tensorinv', x);
  checkDType('tensorinv', x.dtype, lapackDTypes);
  if (!Number.isSafeInteger(axes) || axes < 1) {
    throw new ArgumentError(`tensorinv: axes: got ${shown(axes)}, expected a positive integer`);
  }
  const { matrix, rows, columns } = flattened('tensorinv', x, axes);
  return inv(matrix).reshape([...columns, ...rows]);
}

export interface TensorSolveOptions {
  /** Axes of a that are moved behind the others first, in this order. */
  readonly axes?: readonly number[];
}

/**
 * The x for which a·x = b, summed over as many axes as x has: a has the axes of b and then those of x, with as many elements.
 *
 * @throws ShapeError unless a has the axes of b and as many elements in the others; DTypeError unless both are float32 or float64; LinAlgError at the next read when a is singular.
 * @example
 * tensorsolve(eye(6).reshape([2, 3, 6]), ones([2, 3])); // [1, 1, 1, 1, 1, 1]
 */
export function tensorsolve<D extends DType>(
  a: Tensor<Shape, D>,
  b: Tensor<Shape, D>,
  options?: TensorSolveOptions,
): Tensor<Shape, D>;
export function tensorsolve(a: AnyTensor, b: AnyTensor, options: TensorSolveOptions = {}): AnyTensor {
  checkOptions('tensorsolve', options);
  checkTensor('tensorsolve', a, 'a');
  checkTensor('tensorsolve', b, 'b');
  checkDType('tensorsolve', a.dtype, lapackDTypes);
  const { axes = [] } = options;
  const last = normalizeAxes('tensorsolve', axes, a.shape).map((_, i, all) => i - all.length);
  const { matrix, rows, columns } = flattened('tensorsolve', a.moveAxis(axes, last), b.rank);
  if (!sameShape(rows, b.shape)) {
    throw new ShapeError(
      `tensorsolve: b does not fit: got shape ${show(b.shape)} for a ${show(a.shape)}, expected ${show(rows)}`,
    );
  }
  return solve(matrix, b.reshape([-1])).reshape(columns);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    tensorinv(axes?: number): Tensor<Shape, D>;
    tensorsolve(b: Tensor<Shape, D>, options?: TensorSolveOptions): Tensor<Shape, D>;
  }
}
installMethods({ tensorinv, tensorsolve });
