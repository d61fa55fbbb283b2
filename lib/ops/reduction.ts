/** What reductions share: their axes and shapes, and how one runs. The ops themselves are in reduce.ts and norm.ts, the only callers. */
import { ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Axes, Shape } from '../tensor/shape-types';
import { normalizeAxes, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkDType, checkTensor, run, type NativeOp } from './define';

/** The shapes of a reduction: `kept` with size 1 along the reduced axes, as the kernel sees it; `shape` as the caller asked. */
export interface Reduction {
  readonly axes: readonly number[];
  readonly kept: Shape;
  readonly shape: Shape;
}

export interface ReduceOptions<K extends boolean = boolean> {
  /** Keeps the reduced axes with size 1. */
  readonly keepDims?: K;
}

export function reduction(op: string, x: AnyTensor, axes: Axes, keepDims = false): Reduction {
  checkTensor(op, x);
  const reduced = normalizeAxes(op, axes, x.shape);
  const kept = x.shape.map((size, axis) => (reduced.includes(axis) ? 1 : size));
  return { axes: reduced, kept, shape: keepDims ? kept : kept.filter((_, axis) => !reduced.includes(axis)) };
}

/** A gradient of the reduced shape, seen in the shape of the input. */
export function spread(g: AnyTensor, { kept }: Reduction, shape: Shape): AnyTensor {
  return g.reshape(kept).expand(shape);
}

export function reduce(
  op: NativeOp<Reduction>,
  x: AnyTensor,
  axes: Axes,
  options: ReduceOptions | undefined,
  dtype: DType,
  attributes?: readonly number[],
): AnyTensor {
  const r = reduction(op.name, x, axes, options?.keepDims);
  checkDType(op.name, x.dtype, op.dtypes);
  return run(op, [x], r.shape, dtype, attributes, r, dtype, r.kept);
}

/** Throws when a reduction without a neutral element has nothing to reduce. */
export function checkNotEmpty(op: string, x: AnyTensor, axes: Axes): void {
  checkTensor(op, x);
  for (const axis of normalizeAxes(op, axes, x.shape)) {
    if (x.shape[axis] === 0) {
      throw new ShapeError(
        `${op}: nothing to reduce: got size 0 at axis ${axis} of shape ${show(x.shape)}, expected at least 1`,
      );
    }
  }
}
