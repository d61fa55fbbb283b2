/** Sums and means without NaN, extremes together, differences and integrals along an axis, covariance, membership. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { isFloat, promote, toFloat, type DType, type SumDType, type ToFloat } from '../tensor/dtype';
import type { Axes, AxisCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { normalizeAxes, normalizeAxis, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { zeros } from './creation';
import { checkDType, checkOptions, checkTensor, floats, installMethods, integers } from './define';
import { cat } from './movement';
import { where } from './pointwise-compare';
import { checkNotEmpty, type ReduceOptions } from './reduction';
import { wide } from './wide';

const isNaNOf = (x: AnyTensor): Tensor<Shape, 'bool'> => x.isNaN() as Tensor<Shape, 'bool'>;

/**
 * The sum over `axes`, all of them unless given, of the elements that are not NaN.
 *
 * @example
 * nanSum(tensor([[1, NaN], [3, 4]]), 1); // [1, 7]
 */
export function nanSum<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'nanSum'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, SumDType<D>>;
export function nanSum(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('nanSum', options);
  checkTensor('nanSum', x);
  const along = normalizeAxes('nanSum', axes, x.shape);
  return (isFloat(x.dtype) ? (where(isNaNOf(x), 0, x) as AnyTensor) : x).sum(along, options);
}

/**
 * The mean over `axes`, all of them unless given, of the elements that are not NaN; NaN where there are none. Integers and bool give float32.
 *
 * @example
 * nanMean(tensor([[1, NaN], [3, 5]]), 1); // [1, 4]
 */
export function nanMean<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'nanMean'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, ToFloat<D>>;
export function nanMean(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor {
  checkOptions('nanMean', options);
  checkTensor('nanMean', x);
  const along = normalizeAxes('nanMean', axes, x.shape);
  if (!isFloat(x.dtype)) return x.mean(along, options);
  const count = isNaNOf(x).logicalNot().sum(along, options) as AnyTensor;
  const wider = wide(x);
  return nanSum(wider, along, options).div(count.cast(wider.dtype)).cast(x.dtype) as AnyTensor;
}

/**
 * The smallest and the largest element over `axes`, all of them unless given: `[min, max]`.
 *
 * @throws ShapeError over an axis of size 0.
 * @example
 * aminmax(tensor([3, 1, 2]))[1]; // 3
 */
export function aminmax<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'aminmax'>>,
  options?: ReduceOptions<K>,
): [min: Tensor<Reduce<S, A, K>, D>, max: Tensor<Reduce<S, A, K>, D>];
export function aminmax(x: AnyTensor, axes?: Axes, options?: ReduceOptions): AnyTensor[] {
  checkOptions('aminmax', options);
  checkNotEmpty('aminmax', x, axes);
  return [x.min(axes, options), x.max(axes, options)];
}

// ------------------------------------------------------------------------------------------------- differences, integrals

export interface DiffOptions {
  /** How often differences are taken; once unless given. */
  readonly n?: number;
  /** The last axis unless given. */
  readonly axis?: number;
  /** What stands before x along the axis. */
  readonly prepend?: AnyTensor;
  /** What stands behind x along the axis. */
  readonly append?: AnyTensor;
}

/**
 * Differences of neighbours along an axis: y[i] = x[i + 1] − x[i]; for bool whether they differ.
 *
 * @throws ShapeError, ArgumentError.
 * @example
 * diff(tensor([1, 4, 9, 16])); // [3, 5, 7]
 * diff(tensor([1, 4, 9, 16]), { n: 2 }); // [2, 2]
 */
export function diff<D extends DType>(x: Tensor<Shape, D>, options?: DiffOptions): Tensor<Shape, D>;
export function diff(x: AnyTensor, options: DiffOptions = {}): AnyTensor {
  checkOptions('diff', options);
  checkTensor('diff', x);
  const { n = 1, axis = -1, prepend, append } = options;
  const along = normalizeAxis('diff', axis, x.shape);
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new ArgumentError(`diff: n: got ${shown(n)}, expected an integer of at least 0`);
  }
  if (n === 0) return x;
  let y: AnyTensor = x;
  if (prepend !== undefined || append !== undefined) {
    y = cat([...(prepend === undefined ? [] : [prepend]), x, ...(append === undefined ? [] : [append])], along);
  }
  for (let i = 0; i < n && y.shape[along]! > 0; i++) {
    const rest = y.shape[along]! - 1;
    const [behind, before] = [y.narrow(along, 1, rest) as AnyTensor, y.narrow(along, 0, rest) as AnyTensor];
    y = (y.dtype === 'bool' ? behind.notEqual(before) : behind.sub(before)) as AnyTensor;
  }
  return y;
}

export interface TrapezoidOptions {
  /** Where the values are: a vector, or of the shape of y with sizes that may be 1 but along the axis. */
  readonly x?: AnyTensor;
  /** The distance of the values, where `x` is not given; 1 unless given. */
  readonly dx?: number;
  /** The last axis unless given. */
  readonly axis?: number;
}

/** The areas between neighbours, not rounded to 16 bits. */
function areas(op: string, y: AnyTensor, { x, dx = 1, axis = -1 }: TrapezoidOptions): [AnyTensor, number] {
  checkTensor(op, y);
  const along = normalizeAxis(op, axis, y.shape);
  const values = wide(y.cast(toFloat(y.dtype)) as AnyTensor);
  const count = Math.max(0, y.shape[along]! - 1);
  const start = y.shape[along] === 0 ? 0 : 1;
  const heights = values
    .narrow(along, start, count)
    .add(values.narrow(along, 0, count))
    .mul(0.5) as AnyTensor;
  if (x === undefined) {
    if (typeof dx !== 'number') throw new ArgumentError(`${op}: dx: got ${shown(dx)}, expected a number`);
    return [heights.mul(dx) as AnyTensor, along];
  }
  checkTensor(op, x, 'x');
  const size = y.shape[along]!;
  const isVector = x.rank === 1 && x.shape[0] === size;
  const places = wide(isVector ? x.reshape(y.shape.map((_, i) => (i === along ? size : 1))) : x);
  const fits = (own: number, i: number): boolean => own === y.shape[i] || (own === 1 && i !== along);
  if (places.rank !== y.rank || !places.shape.every(fits)) {
    throw new ShapeError(
      `${op}: x does not fit: got shape ${show(x.shape)}, expected [${size}] or one that broadcasts to ${show(y.shape)}`,
    );
  }
  const widths = places.narrow(along, start, count).sub(places.narrow(along, 0, count));
  return [heights.mul(widths) as AnyTensor, along];
}

/**
 * The integral along an axis by the trapezoidal rule: Σ (y[i] + y[i + 1]) / 2 · (x[i + 1] − x[i]). Integers and bool become float32.
 *
 * @throws ShapeError, ArgumentError.
 * @example
 * trapezoid(tensor([1, 2, 3])); // 4
 */
export function trapezoid<D extends DType>(y: Tensor<Shape, D>, options?: TrapezoidOptions): Tensor<Shape, ToFloat<D>>;
export function trapezoid(y: AnyTensor, options: TrapezoidOptions = {}): AnyTensor {
  checkOptions('trapezoid', options);
  const [parts, along] = areas('trapezoid', y, options);
  return parts.sum(along).cast(toFloat(y.dtype)) as AnyTensor;
}

/**
 * The integrals up to each element but the first along an axis by the trapezoidal rule.
 *
 * @throws ShapeError, ArgumentError.
 * @example
 * cumulativeTrapezoid(tensor([1, 2, 3])); // [1.5, 4]
 */
export function cumulativeTrapezoid<D extends DType>(
  y: Tensor<Shape, D>,
  options?: TrapezoidOptions,
): Tensor<Shape, ToFloat<D>>;
export function cumulativeTrapezoid(y: AnyTensor, options: TrapezoidOptions = {}): AnyTensor {
  checkOptions('cumulativeTrapezoid', options);
  const [parts, along] = areas('cumulativeTrapezoid', y, options);
  return parts.cumsum(along).cast(toFloat(y.dtype)) as AnyTensor;
}

// ------------------------------------------------------------------------------------------------------------- covariance

export interface CovOptions {
  /** Subtracted from the count in the divisor; 1 unless given. */
  readonly correction?: number;
  /** How often each observation counts, integers [n]. */
  readonly frequencyWeights?: AnyTensor;
  /** How much each observation counts, floats [n], such as its certainty; a common factor of them changes nothing. */
  readonly analyticWeights?: AnyTensor;
}

/**
 * The covariances of variables, the rows of x [v, n]: [v, v]; of one variable [n] its variance. Integers and bool become float32. With weights w, the products of
 * those given, it is Σ w·(x − μ)(y − μ') / (Σ w − correction · Σ w·a / Σ w), where a are the analytic weights or 1, and means are weighted.
 *
 * @throws ShapeError for more than two axes, or weights that are not one for each observation; ArgumentError; DTypeError for frequencies that are no integers or
 * analytic weights that are no floats.
 * @example
 * cov(tensor([[0, 1, 2], [2, 1, 0]])); // [[1, -1], [-1, 1]]
 */
export function cov<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options?: CovOptions,
): Tensor<Covariances<S>, ToFloat<D>>;
export function cov(x: AnyTensor, options: CovOptions = {}): AnyTensor {
  checkOptions('cov', options);
  return covariances('cov', x, options).cast(toFloat(x.dtype)) as AnyTensor;
}
/** [v, n] → [v, v], [n] → []. */
type Covariances<S extends Shape> = S extends readonly [infer V extends number, number]
  ? [V, V]
  : S extends readonly [number]
    ? []
    : Shape;

/** Not rounded to 16 bits. */
function covariances(op: string, x: AnyTensor, options: CovOptions): AnyTensor {
  const { correction = 1, frequencyWeights, analyticWeights } = options;
  checkTensor(op, x);
  if (x.rank > 2) throw new ShapeError(`${op}: got shape ${show(x.shape)}, expected at most two axes`);
  if (typeof correction !== 'number' || Number.isNaN(correction)) {
    throw new ArgumentError(`${op}: correction: got ${shown(correction)}, expected a number`);
  }
  const rows = wide((x.rank === 2 ? x : x.reshape([1, x.size])).cast(toFloat(x.dtype)) as AnyTensor);
  const result = weightedCovariances(rows, correction, [
    weightsOf(op, 'frequencyWeights', frequencyWeights, rows, integers),
    weightsOf(op, 'analyticWeights', analyticWeights, rows, floats),
  ]);
  return x.rank === 2 ? result : result.reshape([]);
}

function weightedCovariances(
  rows: AnyTensor,
  correction: number,
  [frequencies, analytic]: readonly [AnyTensor | undefined, AnyTensor | undefined],
): AnyTensor {
  const weights = (frequencies === undefined ? analytic : analytic?.mul(frequencies)) ?? frequencies;
  if (weights === undefined) {
    const centred: AnyTensor = rows.sub(rows.mean(1, { keepDims: true }));
    return centred.matmul(centred.transpose()).div(Math.max(0, rows.shape[1]! - correction)) as AnyTensor;
  }
  const total = weights.sum() as AnyTensor;
  const centred: AnyTensor = rows.sub(rows.mul(weights).sum(1, { keepDims: true }).div(total));
  const lost = analytic === undefined ? correction : weights.mul(analytic).sum().div(total).mul(correction);
  return (centred.mul(weights) as AnyTensor).matmul(centred.transpose()).div(total.sub(lost).clamp(0)) as AnyTensor;
}

/** Weights of observations in the dtype of the rows. */
function weightsOf(
  op: string,
  name: string,
  weights: AnyTensor | undefined,
  rows: AnyTensor,
  dtypes: readonly DType[],
): AnyTensor | undefined {
  if (weights === undefined) return undefined;
  checkTensor(op, weights, name);
  checkDType(`${op}: ${name}`, weights.dtype, dtypes);
  if (sameShape(weights.shape, rows.shape.slice(1))) return weights.cast(rows.dtype) as AnyTensor;
  throw new ShapeError(`${op}: ${name}: got shape ${show(weights.shape)}, expected [${rows.shape[1]}]`);
}

/**
 * The coefficients of correlation of variables, the rows of x [v, n]: [v, v], from −1 to 1; of one variable [n] 1.
 *
 * @throws ShapeError for more than two axes.
 * @example
 * corrcoef(tensor([[0, 1, 2], [4, 2, 0]])); // [[1, -1], [-1, 1]]
 */
export function corrcoef<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<Covariances<S>, ToFloat<D>>;
export function corrcoef(x: AnyTensor): AnyTensor {
  const c = covariances('corrcoef', x, {});
  const dtype = toFloat(x.dtype);
  if (c.rank === 0) return c.div(c).cast(dtype) as AnyTensor;
  const deviations = c.diagonal().sqrt() as AnyTensor;
  return c.div(deviations.unsqueeze(1)).div(deviations.unsqueeze(0)).clamp(-1, 1).cast(dtype) as AnyTensor;
}

/**
 * x with each slice along `axis` whose p-norm is above `maxNorm` scaled down to it.
 *
 * @throws ShapeError, ArgumentError; DTypeError unless x is floating.
 * @example
 * renorm(tensor([[3, 4], [0.3, 0.4]]), 2, 0, 1); // [[0.6, 0.8], [0.3, 0.4]]
 */
export function renorm<S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D>,
  p: number,
  axis: A & Ok<AxisCheck<S, A, 'renorm'>>,
  maxNorm: number,
): Tensor<S, D>;
export function renorm(x: AnyTensor, p: number, axis: number, maxNorm: number): AnyTensor {
  checkTensor('renorm', x);
  checkDType('renorm', x.dtype, floats);
  const along = normalizeAxis('renorm', axis, x.shape);
  if (typeof p !== 'number' || !(p > 0))
    throw new ArgumentError(`renorm: p: got ${shown(p)}, expected a number above 0`);
  if (typeof maxNorm !== 'number' || !(maxNorm >= 0)) {
    throw new ArgumentError(`renorm: maxNorm: got ${shown(maxNorm)}, expected a number of at least 0`);
  }
  const others = x.shape.map((_, i) => i).filter((i) => i !== along);
  const values = wide(x);
  const norms = values.norm(others, { p, keepDims: true }) as AnyTensor;
  const isLong = norms.greater(maxNorm) as Tensor<Shape, 'bool'>;
  // As in PyTorch, a little below the norm itself.
  const scale = where(isLong, norms.add(1e-7).reciprocal().mul(maxNorm), 1);
  return values.mul(scale).cast(x.dtype) as AnyTensor;
}

export interface IsInOptions {
  /** Whether they are not among them instead. */
  readonly invert?: boolean;
}

/**
 * Whether each element of x is among the elements of `test`. NaN is not.
 *
 * @example
 * isIn(tensor([1, 2, 3]), tensor([3, 1])); // [1, 0, 1]
 */
export function isIn<S extends Shape>(x: Tensor<S, DType>, test: AnyTensor, options?: IsInOptions): Tensor<S, 'bool'>;
export function isIn(x: AnyTensor, test: AnyTensor, options: IsInOptions = {}): AnyTensor {
  checkOptions('isIn', options);
  checkTensor('isIn', x);
  checkTensor('isIn', test, 'test');
  const dtype = promote(x.dtype, test.dtype);
  const element = x.detach().cast(dtype) as AnyTensor;
  let found: AnyTensor;
  if (test.size === 0) found = zeros(x.shape, { dtype: 'bool', device: x.device });
  else {
    const sorted = test.detach().reshape([-1]).cast(dtype).sort()[0] as AnyTensor;
    const place = sorted.searchSorted(element).minimum(test.size - 1) as Tensor<Shape, 'int64'>;
    found = sorted.take(place).equalTo(element);
  }
  return options.invert === true ? (found.logicalNot() as AnyTensor) : found;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    nanSum<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'nanSum'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, SumDType<D>>;
    nanMean<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'nanMean'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, ToFloat<D>>;
    aminmax<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'aminmax'>>,
      options?: ReduceOptions<K>,
    ): [min: Tensor<Reduce<S, A, K>, D>, max: Tensor<Reduce<S, A, K>, D>];
    diff(options?: DiffOptions): Tensor<Shape, D>;
    cov(options?: CovOptions): Tensor<Shape, ToFloat<D>>;
    corrcoef(): Tensor<Shape, ToFloat<D>>;
    renorm(p: number, axis: number, maxNorm: number): Tensor<S, D>;
    isIn(test: AnyTensor, options?: IsInOptions): Tensor<S, 'bool'>;
  }
}
installMethods({ nanSum, nanMean, aminmax, diff, cov, corrcoef, renorm, isIn });
