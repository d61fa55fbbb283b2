/** Elements by their rank along an axis: kthValue, median, quantile; and the most frequent ones: mode. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { isFloat, toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { AxisCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { normalizeAxis, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkOptions, checkTensor, installMethods, numbers } from './define';
import { arange } from './creation';
import { stack } from './movement';
import { where } from './pointwise-compare';
import { checkNotEmpty, type ReduceOptions } from './reduction';
import { kthOp, lineAxis, picked, sort } from './sorting';

export interface KthValueOptions<A extends number = number, K extends boolean = boolean> extends ReduceOptions<K> {
  /** The last axis unless given. */
  readonly axis?: A;
}

/**
 * The `k`-th smallest element of each line along an axis, counted from 1, and where it stands: `[values, indices]`. NaN counts as the largest; of
 * equal elements the first is the smaller.
 *
 * @throws ShapeError when the axis is shorter than k, or is none of x; DTypeError for bool.
 * @example
 * kthValue(tensor([30, 10, 20]), 2)[0]; // 20
 */
export function kthValue<
  S extends Shape,
  D extends DType,
  const A extends number = -1,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  k: number,
  options?: KthValueOptions<A, K>,
): [values: Tensor<Reduce<S, A, K>, D>, indices: Tensor<Reduce<S, A, K>, 'int64'>];
export function kthValue(x: AnyTensor, k: number, options: KthValueOptions = {}): AnyTensor[] {
  checkOptions('kthValue', options);
  checkTensor('kthValue', x);
  checkDType('kthValue', x.dtype, numbers);
  const axis = lineAxis('kthValue', options.axis, x.shape);
  const size = x.shape[axis] ?? 1;
  if (!Number.isSafeInteger(k) || k < 1) {
    throw new ArgumentError(`kthValue: k: got ${shown(k)}, expected a positive integer`);
  }
  if (k > size) {
    throw new ShapeError(
      `kthValue: k too large: got ${k}, expected at most ${size} at axis ${axis} of ${show(x.shape)}`,
    );
  }
  return kth(x, k, axis, options.keepDims);
}

function kth(x: AnyTensor, k: number, axis: number, keepDims = false): AnyTensor[] {
  const kept = x.shape.map((size, other) => (other === axis ? 1 : size));
  const results = picked(kthOp, x, kept, axis, false, k);
  return keepDims ? results : results.map((result) => (x.rank === 0 ? result : result.squeeze(axis)));
}

/** x with one axis to look along: `axis`, or all of them flattened to one. */
function lined(op: string, x: AnyTensor, axis: number | undefined): { lines: AnyTensor; along: number } {
  checkNotEmpty(op, x, axis);
  if (axis === undefined) return { lines: x.flatten(), along: 0 };
  return { lines: x, along: normalizeAxis(op, axis, x.shape) };
}

/** A result with the axes of `x` that disappeared, as size 1, if they are to stay. */
function withAxes(result: AnyTensor, x: AnyTensor, axis: number | undefined, keepDims = false): AnyTensor {
  if (!keepDims || axis !== undefined) return result;
  return result.reshape(x.shape.map(() => 1));
}

/**
 * The median of each line along an axis, or of all elements: the lower one of the two in the middle where their number is even, as in PyTorch. NaN where
 * the line has one. {@link kthValue} tells where it stands, {@link quantile} takes the mean of the two.
 *
 * @throws ShapeError over an axis of size 0; DTypeError for bool.
 * @example
 * median(tensor([[3, 1, 2], [6, 5, 4]]), 1); // [2, 5]
 */
export function median<
  S extends Shape,
  D extends DType,
  const A extends number | undefined = undefined,
  const K extends boolean = false,
>(x: Tensor<S, D>, axis?: A & Ok<AxisCheck<S, A, 'median'>>, options?: ReduceOptions<K>): Tensor<Reduce<S, A, K>, D>;
export function median(x: AnyTensor, axis?: number, options: ReduceOptions = {}): AnyTensor {
  checkOptions('median', options);
  checkTensor('median', x);
  checkDType('median', x.dtype, numbers);
  const { lines, along } = lined('median', x, axis);
  const size = lines.shape[along]!;
  const middle = kth(lines, Math.ceil(size / 2), along, options.keepDims)[0]!;
  const median = isFloat(x.dtype) ? where(lines.isNaN().any(along, options), NaN, middle) : middle;
  return withAxes(median as AnyTensor, x, axis, options.keepDims);
}

/** How many elements of each line are not NaN, in float64, with the axis kept. */
const countPresent = (lines: AnyTensor, along: number): AnyTensor =>
  (lines.isNaN().logicalNot() as AnyTensor).sum(along, { keepDims: true }).cast('float64') as AnyTensor;

/** The elements of lines at places of their own [..., 1, ...]. */
const atPlaces = (lines: AnyTensor, along: number, places: AnyTensor): AnyTensor =>
  lines.gather(along, places.clamp(0, Math.max(lines.shape[along]! - 1, 0)).cast('int64') as Tensor<Shape, 'int64'>);

/**
 * The median of the elements that are not NaN of each line along an axis, or of all elements: as {@link median}, and NaN where there are none.
 *
 * @throws ShapeError over an axis of size 0; DTypeError for bool.
 * @example
 * nanMedian(tensor([3, NaN, 1, 2])); // 2
 */
export function nanMedian<
  S extends Shape,
  D extends DType,
  const A extends number | undefined = undefined,
  const K extends boolean = false,
>(x: Tensor<S, D>, axis?: A & Ok<AxisCheck<S, A, 'nanMedian'>>, options?: ReduceOptions<K>): Tensor<Reduce<S, A, K>, D>;
export function nanMedian(x: AnyTensor, axis?: number, options: ReduceOptions = {}): AnyTensor {
  checkOptions('nanMedian', options);
  checkTensor('nanMedian', x);
  checkDType('nanMedian', x.dtype, numbers);
  const { keepDims = false } = options;
  const { lines, along } = lined('nanMedian', x, axis);
  const sorted = lines.sort({ axis: along })[0] as AnyTensor; // NaN last
  const places = countPresent(lines, along).sub(1).div(2).floor();
  const result = atPlaces(sorted, along, places);
  return keepDims ? withAxes(result, x, axis, keepDims) : result.squeeze(along);
}

/**
 * The element that each line along an axis holds most often, the smallest of several, and the last place where it stands: `[values, indices]`. Each NaN counts
 * as an element of its own.
 *
 * @throws ShapeError over an axis of size 0, or one that x does not have; DTypeError for bool.
 * @example
 * mode(tensor([3, 1, 2, 1]))[0]; // 1
 */
export function mode<S extends Shape, D extends DType, const A extends number = -1, const K extends boolean = false>(
  x: Tensor<S, D>,
  axis?: A & Ok<AxisCheck<S, A, 'mode'>>,
  options?: ReduceOptions<K>,
): [values: Tensor<Reduce<S, A, K>, D>, indices: Tensor<Reduce<S, A, K>, 'int64'>];
export function mode(x: AnyTensor, axis = -1, options: ReduceOptions = {}): AnyTensor[] {
  checkOptions('mode', options);
  checkTensor('mode', x);
  checkDType('mode', x.dtype, numbers);
  const along = lineAxis('mode', axis, x.shape);
  const whole: AnyTensor = x.rank === 0 ? x.reshape([1]) : x;
  checkNotEmpty('mode', whole, along);
  const [sorted, order] = sort(whole.detach(), { axis: along }) as readonly [AnyTensor, AnyTensor];
  const size = whole.shape[along]!;
  // How far the run of equal elements reaches at each place; the first of the longest ends where that is largest.
  const places = arange(size, { dtype: 'int64', device: x.device })
    .reshape(whole.shape.map((_, i) => (i === along ? size : 1)))
    .expand(whole.shape) as AnyTensor;
  const isSame = sorted.narrow(along, 1, size - 1).equalTo(sorted.narrow(along, 0, size - 1)) as AnyTensor;
  const starts = (where(isSame, 0, places.narrow(along, 1, size - 1)) as AnyTensor).pad(
    whole.shape.map((_, i) => [i === along ? 1 : 0, 0] as const),
  );
  const end = places.sub(starts.cummax(along)[0]).argmax(along, { keepDims: true });
  const indices = order.gather(along, end) as Tensor<Shape, 'int64'>;
  const results = [whole.gather(along, indices) as AnyTensor, indices as AnyTensor];
  return options.keepDims === true && x.rank > 0 ? results : results.map((result) => result.squeeze(along));
}

const interpolations = ['linear', 'lower', 'higher', 'midpoint', 'nearest'] as const;
export type Interpolation = (typeof interpolations)[number];

export interface QuantileOptions<K extends boolean = boolean> extends ReduceOptions<K> {
  /** What lies between two elements: on the line between them (unless given), one of them, their mean, or the nearer one. */
  readonly interpolation?: Interpolation;
}

/** The shape of quantiles: that of one, behind an axis for several. */
type Quantiles<S extends Shape, Q> = Q extends number
  ? S
  : readonly [number, ...S] extends infer T extends Shape
    ? T
    : Shape;

/**
 * The element below which a share `q` of each line along an axis lies, or of all elements; several shares make a new first axis. NaN where the line has
 * one. Integers and bool give float32.
 *
 * @throws ShapeError over an axis of size 0; ArgumentError for a share outside [0, 1].
 * @example
 * quantile(tensor([1, 2, 3, 4]), [0.5, 1]); // [2.5, 4]
 */
export function quantile<
  S extends Shape,
  D extends DType,
  const Q extends number | readonly number[],
  const A extends number | undefined = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  q: Q,
  axis?: A & Ok<AxisCheck<S, A, 'quantile'>>,
  options?: QuantileOptions<K>,
): Tensor<Quantiles<Reduce<S, A, K>, Q>, ToFloat<D>>;
export function quantile(
  x: AnyTensor,
  q: number | readonly number[],
  axis?: number,
  options: QuantileOptions = {},
): AnyTensor {
  const shares = checkQuantile('quantile', x, q, options);
  const { interpolation = 'linear', keepDims = false } = options;
  const { lines, along } = lined('quantile', x, axis);
  const last = lines.shape[along]! - 1;
  const sorted = lines.cast(toFloat(x.dtype)).sort({ axis: along })[0] as AnyTensor;
  const at = (place: number): AnyTensor => sorted.narrow(along, place, 1);
  const largest = at(last).detach();
  const results = shares.map((share) => {
    const place = share * last;
    const below = Math.floor(place);
    const value =
      place === below
        ? at(below)
        : between(interpolation, at, below, below + 1, { nearest: halfToEven(place), weight: place - below });
    const result = where(largest.isNaN(), largest, value) as AnyTensor;
    return keepDims ? withAxes(result, x, axis, keepDims) : result.squeeze(along);
  });
  return Array.isArray(q) ? stack(results) : results[0]!;
}

/** What lies between the elements at two neighbouring places. */
function between<Place>(
  interpolation: Interpolation,
  at: (place: Place) => AnyTensor,
  below: Place,
  above: Place,
  { nearest, weight }: { readonly nearest: Place; readonly weight: number | AnyTensor },
): AnyTensor {
  switch (interpolation) {
    case 'linear':
      return at(below).lerp(at(above), weight) as AnyTensor;
    case 'midpoint':
      return at(below).lerp(at(above), 0.5) as AnyTensor;
    case 'lower':
      return at(below);
    case 'higher':
      return at(above);
    case 'nearest':
      return at(nearest);
  }
}

/** Throws unless quantiles can be taken; answers their shares. */
function checkQuantile(op: string, x: AnyTensor, q: unknown, options: QuantileOptions): readonly number[] {
  checkOptions(op, options);
  checkTensor(op, x);
  const { interpolation = 'linear' } = options;
  if (!interpolations.includes(interpolation)) {
    throw new ArgumentError(`${op}: interpolation: got ${shown(interpolation)}, expected ${interpolations.join(', ')}`);
  }
  const shares: readonly unknown[] = Array.isArray(q) ? q : [q];
  if (shares.length === 0 || !shares.every((share) => typeof share === 'number' && share >= 0 && share <= 1)) {
    throw new ArgumentError(`${op}: q: got ${shares.map(shown).join(', ')}, expected numbers in [0, 1]`);
  }
  return shares as readonly number[];
}

/**
 * As {@link quantile}, of the elements that are not NaN; NaN where there are none.
 *
 * @throws ShapeError over an axis of size 0; ArgumentError for a share outside [0, 1].
 * @example
 * nanQuantile(tensor([1, NaN, 2, 4]), 0.5); // 2
 */
export function nanQuantile<
  S extends Shape,
  D extends DType,
  const Q extends number | readonly number[],
  const A extends number | undefined = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  q: Q,
  axis?: A & Ok<AxisCheck<S, A, 'nanQuantile'>>,
  options?: QuantileOptions<K>,
): Tensor<Quantiles<Reduce<S, A, K>, Q>, ToFloat<D>>;
export function nanQuantile(
  x: AnyTensor,
  q: number | readonly number[],
  axis?: number,
  options: QuantileOptions = {},
): AnyTensor {
  const shares = checkQuantile('nanQuantile', x, q, options);
  const { interpolation = 'linear', keepDims = false } = options;
  const { lines, along } = lined('nanQuantile', x, axis);
  const sorted = lines.cast(toFloat(x.dtype)).sort({ axis: along })[0] as AnyTensor; // NaN last
  const last = countPresent(lines, along).sub(1);
  const at = (places: AnyTensor): AnyTensor => atPlaces(sorted, along, places);
  const results = shares.map((share) => {
    const place = last.mul(share) as AnyTensor;
    const [below, above] = [place.floor(), place.ceil()] as [AnyTensor, AnyTensor];
    const weight = place.sub(below).cast(sorted.dtype) as AnyTensor;
    const value = between(interpolation, at, below, above, { nearest: place.round() as AnyTensor, weight });
    // Between an infinite element and itself there is none.
    const result = where(below.equalTo(above), at(below), value) as AnyTensor;
    return keepDims ? withAxes(result, x, axis, keepDims) : result.squeeze(along);
  });
  return Array.isArray(q) ? stack(results) : results[0]!;
}

function halfToEven(value: number): number {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    kthValue<const A extends number = -1, const K extends boolean = false>(
      k: number,
      options?: KthValueOptions<A, K>,
    ): [values: Tensor<Reduce<S, A, K>, D>, indices: Tensor<Reduce<S, A, K>, 'int64'>];
    mode<const A extends number = -1, const K extends boolean = false>(
      axis?: A & Ok<AxisCheck<S, A, 'mode'>>,
      options?: ReduceOptions<K>,
    ): [values: Tensor<Reduce<S, A, K>, D>, indices: Tensor<Reduce<S, A, K>, 'int64'>];
    median<const A extends number | undefined = undefined, const K extends boolean = false>(
      axis?: A & Ok<AxisCheck<S, A, 'median'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, D>;
    nanMedian<const A extends number | undefined = undefined, const K extends boolean = false>(
      axis?: A & Ok<AxisCheck<S, A, 'nanMedian'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, D>;
    nanQuantile<
      const Q extends number | readonly number[],
      const A extends number | undefined = undefined,
      const K extends boolean = false,
    >(
      q: Q,
      axis?: A & Ok<AxisCheck<S, A, 'nanQuantile'>>,
      options?: QuantileOptions<K>,
    ): Tensor<Quantiles<Reduce<S, A, K>, Q>, ToFloat<D>>;
    quantile<
      const Q extends number | readonly number[],
      const A extends number | undefined = undefined,
      const K extends boolean = false,
    >(
      q: Q,
      axis?: A & Ok<AxisCheck<S, A, 'quantile'>>,
      options?: QuantileOptions<K>,
    ): Tensor<Quantiles<Reduce<S, A, K>, Q>, ToFloat<D>>;
  }
}
installMethods({ kthValue, median, mode, nanMedian, nanQuantile, quantile });
