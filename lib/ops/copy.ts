/** Copies and conversions: contiguous, clone, casts, and writing into existing tensors. */
import { ArgumentError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import { isDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import { compacted, type Tensor, type AnyTensor, type Operand } from '../tensor/tensor';
import { allDTypes, checkTensor, defineOp, installMethods, run, runInto } from './define';

const copyOp = defineOp<DType>('copy', {
  dtypes: allDTypes,
  pointwise: true,
  // The context is the dtype of the input: the gradient goes back in it.
  gradient: (g, { context }) => [g.cast(context)],
});

/** `x` with its elements in row-major order: `x` itself if they are already. */
export function contiguous<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return x.isContiguous ? x : clone(x);
}

/** A copy of `x`, row-major. Gradients pass through. */
export function clone<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  checkTensor('clone', x);
  return run(copyOp, [x], x.shape, x.dtype, [], x.dtype) as unknown as Tensor<S, D>;
}

/**
 * `x` in another dtype: floats round to nearest, floats to integers truncate, anything to bool is `x != 0`. `x` itself if it has that dtype
 * already.
 *
 * @example
 * tensor([0.5, 2.7]).cast('int32'); // [0, 2]
 */
export function cast<S extends Shape, D extends DType>(x: Tensor<S, DType>, dtype: D): Tensor<S, D> {
  checkTensor('cast', x);
  if (!isDType(dtype)) throw new ArgumentError(`cast: dtype: got ${String(dtype)}, expected ${allDTypes.join(', ')}`);
  if (x.dtype === dtype) return x as unknown as Tensor<S, D>;
  return run(copyOp, [x], x.shape, dtype, [], x.dtype) as unknown as Tensor<S, D>;
}

/** Writes `source`, broadcast and converted, into `x` in place. Answers `x`. */
export function copy_<T extends AnyTensor>(x: T, source: Operand): T {
  checkTensor('copy_', x);
  if (typeof source !== 'number') {
    checkTensor('copy_', source, 'source');
    if (!sameShape(broadcastShapes('copy_', x.shape, source.shape), x.shape)) {
      throw new ShapeError(
        `copy_: source does not fit: got ${show(source.shape)}, expected one that broadcasts to ${show(x.shape)}`,
      );
    }
  }
  runInto(copyOp, [source], [x]);
  return x;
}

compacted.copy = (x) => clone(x);

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    contiguous(): Tensor<S, D>;
    clone(): Tensor<S, D>;
    cast<E extends DType>(dtype: E): Tensor<S, E>;
    copy_(source: Operand): this;
  }
}

installMethods({ contiguous, clone, cast, copy_ });
