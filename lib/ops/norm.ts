/** Norms over axes, and how many elements are not 0. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import { toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { Axes, AxisCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { normalizeAxes } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { fullPrecision, operandDType } from './autocast';
import { zeros } from './creation';
import { checkOptions, checkTensor, defineOp, floats, installMethods, type NativeOp, withGradient } from './define';
import { where } from './pointwise-compare';
import { checkNotEmpty, reduce, type ReduceOptions, type Reduction } from './reduction';
import { wide } from './wide';

const euclideanOp = defineOp<Reduction>('norm', {
  dtypes: floats,
  saves: { inputs: true, outputs: true },
  // Where the norm is 0, x is too: it has the subgradient 0 there.
  gradient: (g, node) => {
    const { kept } = node.context;
    const y = node.output().reshape(kept);
    // At most 1 before it meets the gradient.
    return [
      node
        .input(0)
        .div(where(y.equalTo(0), 1, y))
        .mul(g.reshape(kept)),
    ];
  },
});
const countOp = withGradient<Reduction>(euclideanOp as NativeOp, (g, node) => [
  zeros(node.shape(0), { dtype: g.dtype, device: g.device }),
]);
const sumOp = withGradient<Reduction>(
  euclideanOp as NativeOp,
  (g, node) => [node.input(0).sign().mul(g.reshape(node.context.kept))],
  { inputs: true },
);
/** Elements that tie share the gradient. */
const extremeOp = withGradient<Reduction>(
  euclideanOp as NativeOp,
  (g, node) => {
    const { kept, axes } = node.context;
    const x = node.input(0);
    const at = x.abs().equalTo(node.output().reshape(kept)).cast(g.dtype);
    return [
      x
        .sign()
        .mul(at)
        .mul(g.reshape(kept).div(at.sum(axes, { keepDims: true }))),
    ];
  },
  { inputs: true, outputs: true },
);

/** The orders that have a kernel. */
const kernels = new Map([
  [0, countOp],
  [1, sumOp],
  [2, euclideanOp],
  [Infinity, extremeOp],
  [-Infinity, extremeOp],
]);

export interface NormOrderOptions<K extends boolean = boolean> extends ReduceOptions<K> {
  /** The order p of the norm: 2 unless given. Infinity is the largest magnitude, -Infinity the smallest, 0 counts what is not 0. */
  readonly p?: number;
}

/**
 * The p-norm over `axes`, all of them unless given: (Σ |x|ᵖ)^(1/p). Integers and bool give float32. Where it is 0, so is its gradient.
 *
 * @throws ShapeError over an axis of size 0 when p is infinite or negative; ArgumentError when p is no number.
 * @example
 * norm(tensor([[3, 4], [6, 8]]), 1); // [5, 10]
 */
export function norm<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'norm'>>,
  options?: NormOrderOptions<K>,
): Tensor<Reduce<S, A, K>, ToFloat<D>>;
export function norm(x: AnyTensor, axes?: Axes, options: NormOrderOptions = {}): AnyTensor {
  checkOptions('norm', options);
  checkTensor('norm', x);
  const { p = 2, ...kept } = options;
  if (typeof p !== 'number' || Number.isNaN(p)) {
    throw new ArgumentError(`norm: p: got ${shown(p)}, expected a number`);
  }
  if (p < 0 || p === Infinity) checkNotEmpty('norm', x, axes);
  const floating: AnyTensor = x.cast(operandDType(fullPrecision, toFloat(x.dtype)));
  const op = kernels.get(p);
  if (op !== undefined) return reduce(op, floating, axes, options, floating.dtype, [p]);
  const size = wide(floating).abs() as AnyTensor;
  const along = normalizeAxes('norm', axes, x.shape);
  if (p < 0) {
    const isZero = size.equalTo(0);
    const total = (where(isZero, 1, size) as AnyTensor).pow(p).sum(along, kept);
    return where(isZero.any(along, kept), 0, total.pow(1 / p)).cast(floating.dtype) as AnyTensor;
  }
  const total = (p < 1 ? power(size, p) : size.pow(p)).sum(along, kept) as AnyTensor;
  return power(total, 1 / p).cast(floating.dtype) as AnyTensor;
}

/** A power below 1, which has no slope at 0: its gradient is 0 there. */
export function power(x: AnyTensor, exponent: number): AnyTensor {
  const isZero = x.equalTo(0);
  return where(isZero, 0, (where(isZero, 1, x) as AnyTensor).pow(exponent)) as AnyTensor;
}

/**
 * How many elements over `axes`, all of them unless given, are not 0, as int64. NaN is not 0.
 *
 * @example
 * countNonzero(tensor([[0, 2], [3, 4]]), 1); // [1, 2]
 */
export function countNonzero<S extends Shape, const A extends Axes = undefined, const K extends boolean = false>(
  x: Tensor<S, DType>,
  axes?: A & Ok<AxisCheck<S, A, 'countNonzero'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, 'int64'>;
export function countNonzero(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('countNonzero', options);
  checkTensor('countNonzero', x);
  return x.cast('bool').sum(normalizeAxes('countNonzero', axes, x.shape), options);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    norm<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'norm'>>,
      options?: NormOrderOptions<K>,
    ): Tensor<Reduce<S, A, K>, ToFloat<D>>;
    countNonzero<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'countNonzero'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, 'int64'>;
  }
}
installMethods({ norm, countNonzero });
