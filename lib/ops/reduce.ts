/** Reductions over axes, and scans along one. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { sumDType, toFloat, type DType, type SumDType, type ToFloat } from '../tensor/dtype';
import type { Axes, AxisCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { checkShape, normalizeAxis, sameShape, show, sizeOf } from '../tensor/shapes';
import type { Tensor, AnyTensor } from '../tensor/tensor';
import { fullPrecision, operand } from './autocast';
import {
  allDTypes,
  checkDType,
  checkOptions,
  checkTensor,
  defineOp,
  floats,
  installMethods,
  type NativeOp,
  nativeOps,
  numbers,
  run,
  runMany,
  withGradient,
} from './define';
import { where } from './pointwise-compare';
import { unary } from './pointwise-run';
import './pointwise-unary';
import { checkNotEmpty, reduce, reduction, spread, type ReduceOptions, type Reduction } from './reduction';
import { wide } from './wide';

export type { ReduceOptions } from './reduction';

const sumOp = defineOp<Reduction>('sum', {
  dtypes: allDTypes,
  autocast: 'float32',
  gradient: (g, node) => [spread(g, node.context, node.shape(0))],
});

/**
 * The sum over `axes`, all of them unless given: y = Σ x. Integers and bool are summed in int64.
 *
 * @example
 * tensor([[1, 2], [3, 4]]).sum(0); // [4, 6]
 */
export function sum<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'sum'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, SumDType<D>>;
export function sum(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('sum', options);
  checkTensor('sum', x);
  const input = operand(sumOp, x);
  return reduce(sumOp, input, axes, options, sumDType(input.dtype));
}

/**
 * `x` summed down to `shape`, which must broadcast to its own: the inverse of `expand`, and so its gradient. Integers and bool are summed in int64.
 *
 * @example
 * ones([4, 3]).sumTo([3]); // [4, 4, 4]
 */
export function sumTo<const T extends Shape, D extends DType>(x: Tensor<Shape, D>, shape: T): Tensor<T, SumDType<D>>;
export function sumTo(x: AnyTensor, shape: Shape): AnyTensor {
  checkTensor('sumTo', x);
  checkShape('sumTo', shape);
  const dtype = sumDType(x.dtype);
  if (sameShape(x.shape, shape)) return x.cast(dtype);
  const missing = x.rank - shape.length;
  const axes: number[] = [];
  for (let axis = 0; axis < x.rank; axis++) {
    const size = axis < missing ? 1 : shape[axis - missing]!;
    if (size === x.shape[axis] && axis >= missing) continue;
    if (size !== 1) {
      throw new ShapeError(
        `sumTo: shape does not fit: got ${show(x.shape)}, expected one that ${show(shape)} broadcasts to`,
      );
    }
    axes.push(axis);
  }
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  return run(sumOp, [x], shape, dtype, undefined, { axes, kept, shape }, dtype, kept);
}

const meanOp = defineOp<Reduction>('mean', {
  dtypes: floats,
  gradient: (g, node) => {
    const count = sizeOf(node.shape(0)) / sizeOf(node.context.kept);
    return [spread(g.mul(1 / count), node.context, node.shape(0))];
  },
});

/**
 * The mean over `axes`, all of them unless given: y = Σ x / n. Integers give float32.
 *
 * @example
 * tensor([[1, 2], [3, 4]]).mean(1); // [1.5, 3.5]
 */
export function mean<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'mean'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, ToFloat<D>>;
export function mean(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('mean', options);
  checkTensor('mean', x);
  const dtype = toFloat(x.dtype);
  return reduce(meanOp, x.cast(dtype), axes, options, dtype);
}

/** The gradient of an extremum goes to where it is; elements that tie share it equally. */
const extremumGradient: NonNullable<NativeOp<Reduction>['gradient']> = (g, node) => {
  const x = node.input(0);
  const y = node.output().reshape(node.context.kept);
  const at = x.equalTo(y).cast(g.dtype);
  return [at.mul(g.reshape(node.context.kept).div(at.sum(node.context.axes, { keepDims: true })))];
};
const amaxOp = defineOp<Reduction>('amax', {
  dtypes: allDTypes,
  saves: { inputs: true, outputs: true },
  gradient: extremumGradient,
});
const aminOp = defineOp<Reduction>('amin', {
  dtypes: allDTypes,
  saves: { inputs: true, outputs: true },
  gradient: extremumGradient,
});

/**
 * The largest element over `axes`, all of them unless given. NaN wins. Elements that tie share the gradient.
 *
 * @throws ShapeError over an axis of size 0.
 * @example
 * tensor([[1, 5], [3, 4]]).max(1); // [5, 4]
 */
export function max<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(x: Tensor<S, D>, axes?: A & Ok<AxisCheck<S, A, 'max'>>, options?: ReduceOptions<K>): Tensor<Reduce<S, A, K>, D>;
export function max(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('max', options);
  checkNotEmpty('max', x, axes);
  return reduce(amaxOp, x, axes, options, x.dtype);
}

/**
 * The smallest element over `axes`, all of them unless given. NaN wins. Elements that tie share the gradient.
 *
 * @throws ShapeError over an axis of size 0.
 * @example
 * tensor([[1, 5], [3, 4]]).min(); // 1
 */
export function min<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(x: Tensor<S, D>, axes?: A & Ok<AxisCheck<S, A, 'min'>>, options?: ReduceOptions<K>): Tensor<Reduce<S, A, K>, D>;
export function min(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('min', options);
  checkNotEmpty('min', x, axes);
  return reduce(aminOp, x, axes, options, x.dtype);
}

const anyOp = defineOp<Reduction>('any', { dtypes: allDTypes });
const allOp = defineOp<Reduction>('all', { dtypes: allDTypes });

/** Whether any element over `axes` is not 0. Of nothing: false. */
export function any<S extends Shape, const A extends Axes = undefined, const K extends boolean = false>(
  x: Tensor<S, DType>,
  axes?: A & Ok<AxisCheck<S, A, 'any'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, 'bool'>;
export function any(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('any', options);
  return reduce(anyOp, x, axes, options, 'bool');
}

/** Whether every element over `axes` is not 0. Of nothing: true. */
export function all<S extends Shape, const A extends Axes = undefined, const K extends boolean = false>(
  x: Tensor<S, DType>,
  axes?: A & Ok<AxisCheck<S, A, 'all'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, 'bool'>;
export function all(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('all', options);
  return reduce(allOp, x, axes, options, 'bool');
}

const logSumExpOp = defineOp<Reduction>('logSumExp', {
  dtypes: floats,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const { kept } = node.context;
    return [g.reshape(kept).mul(node.input(0).sub(node.output().reshape(kept)).exp())];
  },
});

/**
 * log Σ exp(x) over `axes`, all of them unless given, without overflow.
 *
 * @example
 * tensor([1000, 1000]).logSumExp(); // 1000.6931
 */
export function logSumExp<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'logSumExp'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, ToFloat<D>>;
export function logSumExp(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('logSumExp', options);
  checkTensor('logSumExp', x);
  const dtype = toFloat(x.dtype);
  return reduce(logSumExpOp, x.cast(dtype), axes, options, dtype);
}

const varMeanOp = defineOp<Reduction & { readonly correction: number }>('varMean', {
  dtypes: floats,
  saves: { inputs: true, outputs: true },
  differentiableOutputs: 2,
  gradient: (g, node, [gMean]) => {
    const { kept, correction } = node.context;
    const x = node.input(0);
    const count = sizeOf(x.shape) / sizeOf(kept);
    const centred = x.sub(node.output(1).reshape(kept));
    const fromVariance = centred.mul(g.reshape(kept).mul(2 / (count - correction)));
    return [gMean === undefined ? fromVariance : fromVariance.add(gMean.reshape(kept).mul(1 / count))];
  },
});

export interface VarianceOptions<K extends boolean = boolean> extends ReduceOptions<K> {
  /** Subtracted from the count in the divisor: 1 (unless given) for the unbiased estimate, 0 for the variance of the data itself. */
  readonly correction?: number;
}

/**
 * Variance and mean over `axes` in one pass: Σ (x − mean)² / (n − correction).
 *
 * @example
 * const [variance, average] = varMean(tensor([1, 2, 3, 4])); // 1.6667, 2.5
 */
export function varMean<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'varMean'>>,
  options?: VarianceOptions<K>,
): [Tensor<Reduce<S, A, K>, ToFloat<D>>, Tensor<Reduce<S, A, K>, ToFloat<D>>];
export function varMean(x: AnyTensor, axes?: Axes, options: VarianceOptions = {}): AnyTensor[] {
  return moments('varMean', x, axes, options);
}

function moments(op: string, x: AnyTensor, axes: Axes, options: VarianceOptions): AnyTensor[] {
  checkOptions(op, options);
  const r = reduction(op, x, axes, options.keepDims);
  const { correction = 1 } = options;
  if (typeof correction !== 'number' || !(correction >= 0)) {
    throw new ArgumentError(`${op}: correction: got ${shown(correction)}, expected a non-negative number`);
  }
  const dtype = toFloat(x.dtype);
  const outputs = [
    { shape: r.kept, dtype },
    { shape: r.kept, dtype },
  ];
  const results = runMany(varMeanOp, [x.cast(dtype)], outputs, [correction], { correction, ...r });
  return results.map((result) => result.reshape(r.shape));
}

/** The variance over `axes`, all of them unless given; see {@link varMean}. */
export function variance<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'var'>>,
  options?: VarianceOptions<K>,
): Tensor<Reduce<S, A, K>, ToFloat<D>>;
export function variance(x: AnyTensor, axes?: Axes, options: VarianceOptions = {}): AnyTensor {
  return moments('variance', x, axes, options)[0]!;
}

/** sqrt whose gradient is 0 and not infinite at 0, as in PyTorch: a line of equal elements has one. */
const deviationOp = withGradient(
  nativeOps.get('sqrt')!,
  (g, node) => {
    const y = node.output();
    return [where(y.equalTo(0), 0, g.div(y.mul(2)))];
  },
  { outputs: true },
);

/** The standard deviation over `axes`, all of them unless given: the root of {@link variance}. */
export function std<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'std'>>,
  options?: VarianceOptions<K>,
): Tensor<Reduce<S, A, K>, ToFloat<D>>;
export function std(x: AnyTensor, axes?: Axes, options: VarianceOptions = {}): AnyTensor {
  checkTensor('std', x);
  // In 16 bits a variance overflows, or vanishes, where its root does not.
  return unary<AnyTensor, unknown>(deviationOp, moments('std', wide(x), axes, options)[0]!).cast(toFloat(x.dtype));
}

const argmaxOp = defineOp('argmax', { dtypes: numbers });
const argminOp = defineOp('argmin', { dtypes: numbers });

function argReduce(op: NativeOp, x: AnyTensor, axis: number | undefined, options: ReduceOptions = {}): AnyTensor {
  checkNotEmpty(op.name, x, axis);
  checkDType(op.name, x.dtype, op.dtypes);
  const r = reduction(op.name, x, axis, options.keepDims);
  const along = axis === undefined ? -1 : r.axes[0]!;
  return run(op, [x], r.shape, 'int64', [along], undefined, 'int64', r.kept);
}

/**
 * The position of the largest element along `axis`, or in the flattened tensor when it is left out, as int64. The first one of equals; NaN
 * counts as largest.
 *
 * @throws ShapeError over an axis of size 0.
 * @example
 * tensor([[1, 5], [3, 4]]).argmax(1); // [1, 1]
 */
export function argmax<
  S extends Shape,
  const A extends number | undefined = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, DType>,
  axis?: A & Ok<AxisCheck<S, A, 'argmax'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, 'int64'>;
export function argmax(x: AnyTensor, axis?: number, options?: ReduceOptions): AnyTensor {
  checkOptions('argmax', options);
  return argReduce(argmaxOp, x, axis, options);
}

/** The position of the smallest element; see {@link argmax}. NaN counts as smallest. */
export function argmin<
  S extends Shape,
  const A extends number | undefined = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, DType>,
  axis?: A & Ok<AxisCheck<S, A, 'argmin'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, 'int64'>;
export function argmin(x: AnyTensor, axis?: number, options?: ReduceOptions): AnyTensor {
  checkOptions('argmin', options);
  return argReduce(argminOp, x, axis, options);
}

interface ScanContext {
  readonly axis: number;
  readonly reverse: boolean;
}

const cumsumOp = defineOp<ScanContext>('cumsum', {
  dtypes: allDTypes,
  gradient: (g, { context }) => [scanSum(g, context.axis, !context.reverse)],
});

function scanSum(x: AnyTensor, axis: number, reverse: boolean): AnyTensor {
  return run(cumsumOp, [x], x.shape, sumDType(x.dtype), [axis, Number(reverse)], { axis, reverse });
}

/**
 * The running sum along `axis`: yᵢ = x₀ + … + xᵢ, or from the end with `reverse`. Integers and bool are summed in int64.
 *
 * @example
 * tensor([1, 2, 3]).cumsum(0); // [1, 3, 6]
 */
export function cumsum<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  axis: number,
  options: { readonly reverse?: boolean } = {},
): Tensor<S, SumDType<D>> {
  checkOptions('cumsum', options);
  checkTensor('cumsum', x);
  return scanSum(
    operand(fullPrecision, x) as AnyTensor,
    normalizeAxis('cumsum', axis, x.shape),
    options.reverse ?? false,
  ) as Tensor<S, SumDType<D>>;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    sum<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'sum'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, SumDType<D>>;
    sumTo<const T extends Shape>(shape: T): Tensor<T, SumDType<D>>;
    mean<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'mean'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, ToFloat<D>>;
    max<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'max'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, D>;
    min<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'min'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, D>;
    /** The same as {@link max}, under PyTorch's name for extremes over several axes. */
    amax<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'max'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, D>;
    /** The same as {@link min}, under PyTorch's name for extremes over several axes. */
    amin<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'min'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, D>;
    any<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'any'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, 'bool'>;
    all<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'all'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, 'bool'>;
    logSumExp<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'logSumExp'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, ToFloat<D>>;
    var<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'var'>>,
      options?: VarianceOptions<K>,
    ): Tensor<Reduce<S, A, K>, ToFloat<D>>;
    std<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'std'>>,
      options?: VarianceOptions<K>,
    ): Tensor<Reduce<S, A, K>, ToFloat<D>>;
    argmax<const A extends number | undefined = undefined, const K extends boolean = false>(
      axis?: A & Ok<AxisCheck<S, A, 'argmax'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, 'int64'>;
    argmin<const A extends number | undefined = undefined, const K extends boolean = false>(
      axis?: A & Ok<AxisCheck<S, A, 'argmin'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, 'int64'>;
    cumsum(axis: number, options?: { readonly reverse?: boolean }): Tensor<S, SumDType<D>>;
  }
}
installMethods({
  sum,
  sumTo,
  mean,
  max,
  min,
  amax: max,
  amin: min,
  any,
  all,
  logSumExp,
  var: variance,
  std,
  argmax,
  argmin,
  cumsum,
});
