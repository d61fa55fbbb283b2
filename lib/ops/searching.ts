/** Places in sorted lines, and counts of what falls into bins. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { isInt, promote, promoteNumber, toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { Shape, ShapeOf } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { arange, full, linspace, ones, tensor, zeros } from './creation';
import { allDTypes, checkOptions, checkTensor, defineOp, installMethods, run } from './define';
import { describe } from '../tensor/describe';
import { checkIndex } from './indexing';
import { later, now, type KnownLater } from './known-later';
import { where } from './pointwise-compare';

const searchSortedOp = defineOp('searchSorted', { dtypes: allDTypes });

export interface SearchOptions {
  /** Behind equal elements, rather than before them. */
  readonly right?: boolean;
}

export interface SearchSortedOptions extends SearchOptions {
  /** The order that sorts lines which are not sorted, as `argsort` answers it: int32 or int64 in their shape. */
  readonly sorter?: AnyTensor;
}

/**
 * Where elements would have to be put into sorted lines to keep these sorted, as int64: how many elements of the line are below x, or with
 * `right` not above it. `sorted` is one line [n], or [..., n] with a line for each of the lines x [..., m]. NaN is above every number. A line that is not
 * sorted gives places without a meaning, unless `sorter` sorts it.
 *
 * @throws ShapeError when the lines do not fit x or the sorter the lines; DTypeError for a sorter of floats; IndexError at the next read when it
 * names no element.
 * @example
 * searchSorted(tensor([1, 3, 5]), tensor([3, 4])); // [1, 2]
 */
export function searchSorted<O extends Operand>(
  sorted: AnyTensor,
  x: O,
  options?: SearchSortedOptions,
): Tensor<ShapeOf<O>, 'int64'>;
export function searchSorted(sorted: AnyTensor, x: Operand, options: SearchSortedOptions = {}): AnyTensor {
  checkOptions('searchSorted', options);
  const { sorter, ...rest } = options;
  if (sorter === undefined) return search('searchSorted', sorted, x, rest);
  checkTensor('searchSorted', sorted, 'sorted');
  checkIndex('searchSorted', sorter);
  if (!sameShape(sorter.shape, sorted.shape)) {
    throw new ShapeError(`searchSorted: sorter: got shape ${show(sorter.shape)}, expected ${show(sorted.shape)}`);
  }
  return search(
    'searchSorted',
    sorted.rank === 0 ? sorted : (sorted.gather(-1, sorter as never) as AnyTensor),
    x,
    rest,
  );
}

function search(op: string, sorted: AnyTensor, x: Operand, { right = false }: SearchOptions): AnyTensor {
  checkTensor(op, sorted, op === 'bucketize' ? 'boundaries' : 'sorted');
  if (typeof x !== 'number') checkTensor(op, x);
  const dtype = typeof x === 'number' ? promoteNumber(sorted.dtype, x) : promote(sorted.dtype, x.dtype);
  const sought: AnyTensor = typeof x === 'number' ? full([], x, { dtype, device: sorted.device }) : x.cast(dtype);
  const fits = sorted.rank === 1 || sameShape(sorted.shape.slice(0, -1), sought.shape.slice(0, -1));
  if (sorted.rank === 0 || !fits || (sorted.rank > 1 && sorted.rank !== sought.rank)) {
    throw new ShapeError(
      `${op}: lines do not fit: got shape ${show(sorted.shape)}, expected [n] or [..., n] for x ${show(sought.shape)}`,
      { sorted: sorted.shape, x: sought.shape },
    );
  }
  return run(searchSortedOp, [sorted.cast(dtype), sought], sought.shape, 'int64', [right ? 1 : 0]);
}

/**
 * The bin of each element between sorted boundaries, as int64: i where boundaries[i − 1] < x ≤ boundaries[i], or with `right`
 * boundaries[i − 1] ≤ x < boundaries[i].
 *
 * @throws ShapeError unless the boundaries are one line.
 * @example
 * bucketize(tensor([1, 4, 9]), tensor([2, 4, 6])); // [0, 1, 3]
 */
export function bucketize<S extends Shape>(
  x: Tensor<S, DType>,
  boundaries: AnyTensor,
  options?: SearchOptions,
): Tensor<S, 'int64'>;
export function bucketize(x: AnyTensor, boundaries: AnyTensor, options: SearchOptions = {}): AnyTensor {
  checkOptions('bucketize', options);
  checkTensor('bucketize', x);
  checkTensor('bucketize', boundaries, 'boundaries');
  if (boundaries.rank !== 1) {
    throw new ShapeError(`bucketize: boundaries: got shape ${show(boundaries.shape)}, expected one axis`);
  }
  return search('bucketize', boundaries, x, options);
}

export interface HistogramOptions {
  /** From where to where the bins reach; from the smallest to the largest element unless given. */
  readonly range?: readonly [low: number, high: number];
  /** What each element counts; 1 unless given. */
  readonly weights?: AnyTensor;
  /** Divides by the total and by the width of each bin, so that the integral is 1. */
  readonly density?: boolean;
}

/** Fewer are counted one after the other. */
const fewElements = 2 ** 15;

/**
 * How many elements fall into each of `bins` equal bins, or between the given edges: `[counts, edges]`. A bin holds its lower edge, the last one both.
 * What lies outside, and NaN, does not count. Integers and bool give float32.
 *
 * @throws ArgumentError for bins or a range that are none; ShapeError when weights do not have the shape of x.
 * @example
 * histogram(tensor([1, 2, 2, 5]), 2)[0]; // [3, 1]
 */
export function histogram<D extends DType>(
  x: Tensor<Shape, D>,
  bins: number | readonly number[] | AnyTensor,
  options?: HistogramOptions,
): [counts: Tensor<[number], ToFloat<D>>, edges: Tensor<[number], ToFloat<D>>];
export function histogram(
  x: AnyTensor,
  bins: number | readonly number[] | AnyTensor,
  options: HistogramOptions = {},
): AnyTensor[] {
  checkOptions('histogram', options);
  checkTensor('histogram', x);
  const { weights, density = false } = options;
  if (weights !== undefined) {
    checkTensor('histogram', weights, 'weights');
    if (!sameShape(weights.shape, x.shape)) {
      throw new ShapeError(`histogram: weights: got shape ${show(weights.shape)}, expected ${show(x.shape)}`);
    }
  }
  const flat = x.detach().cast(toFloat(x.dtype)).reshape([-1]) as AnyTensor;
  const edges = edgesOf(flat, bins, options.range);
  const count = edges.size - 1;
  // What lies below goes before the bins, what lies above and NaN behind them; the upper edge belongs to the last bin.
  const place = edges.searchSorted(flat, { right: true });
  const index = where(flat.equalTo(edges.narrow(0, count, 1)) as Tensor<Shape, 'bool'>, count, place) as AnyTensor;
  const sums = sumsOfBins(
    index as Tensor<Shape, 'int64'>,
    count + 2,
    weights?.detach().reshape([-1]) as AnyTensor | undefined,
  );
  const counts = sums.narrow(0, 1, count).cast(flat.dtype) as AnyTensor;
  if (!density) return [counts, edges];
  const widths = edges.narrow(0, 1, count).sub(edges.narrow(0, 0, count));
  return [counts.div(counts.sum()).div(widths) as AnyTensor, edges];
}

/** How often each of `bins` numbers occurs in a vector, in int64, which does not stop at 2^24 as float32 does; or the sums of weights. */
function sumsOfBins(index: Tensor<Shape, 'int64'>, bins: number, weights: AnyTensor | undefined): AnyTensor {
  const { device, size } = index;
  // Many elements are counted in parts, at the same time, where these have few bins; what fills the last part goes to one more bin.
  const parts = size < fewElements || 64 * bins > size ? 1 : 64;
  const length = Math.ceil(size / parts);
  const missing = parts * length - size;
  const inParts = (values: AnyTensor, value: number): AnyTensor =>
    (missing === 0 ? values : values.pad([[0, missing]], { value })).reshape([parts, length]) as AnyTensor;
  const each =
    weights === undefined
      ? (ones([1], { dtype: 'int64', device }).expand([parts, length]) as AnyTensor)
      : inParts(weights, 0);
  const nothing = zeros([parts, bins + 1], { dtype: each.dtype, device }) as AnyTensor;
  const sums = nothing.scatterAdd(1, inParts(index as AnyTensor, bins) as Tensor<Shape, 'int64'>, each);
  return sums.sum(0).narrow(0, 0, bins).cast(each.dtype) as AnyTensor;
}

function edgesOf(
  x: AnyTensor,
  bins: number | readonly number[] | AnyTensor,
  range: readonly [number, number] | undefined,
): AnyTensor {
  const { dtype, device } = x;
  if (typeof bins !== 'number') {
    if (!Array.isArray(bins)) checkTensor('histogram', bins, 'bins');
    const edges = Array.isArray(bins)
      ? tensor(bins as number[], { dtype, device })
      : (bins as AnyTensor).detach().cast(dtype);
    if (edges.rank === 1 && edges.size > 1) return edges as AnyTensor;
    throw new ShapeError(`histogram: bins: got edges of shape ${show(edges.shape)}, expected at least two in one axis`);
  }
  if (!Number.isSafeInteger(bins) || bins < 1) {
    throw new ArgumentError(`histogram: bins: got ${bins}, expected a positive integer, or edges`);
  }
  if (range !== undefined) {
    const [low, high] = Array.isArray(range) ? (range as unknown[]) : [];
    if (!Number.isFinite(low) || !Number.isFinite(high) || (low as number) >= (high as number)) {
      throw new ArgumentError(
        `histogram: range: got ${Array.isArray(range) ? show(range) : describe(range)}, expected [low, high] in order`,
      );
    }
    return linspace(low as number, high as number, bins + 1, { dtype, device });
  }
  if (x.size === 0) return linspace(0, 1, bins + 1, { dtype, device });
  const [least, greatest] = [x.min() as AnyTensor, x.max() as AnyTensor];
  // Equal elements get bins around them.
  const isPoint = least.equalTo(greatest);
  const low = where(isPoint, least.sub(0.5), least);
  const high = where(isPoint, greatest.add(0.5), greatest);
  const share = arange(bins + 1, { dtype: 'float64', device })
    .div(bins)
    .cast(dtype) as AnyTensor;
  return (low as AnyTensor).lerp(high, share) as AnyTensor;
}

export interface BincountOptions<D extends DType = DType> {
  /** What each element counts; 1 unless given. */
  readonly weights?: Tensor<Shape, D>;
  /** The least number of bins. */
  readonly minLength?: number;
}

function counted(x: AnyTensor, options: BincountOptions): KnownLater<AnyTensor> {
  checkTensor('bincount', x);
  const { weights, minLength = 0 } = options;
  if (!isInt(x.dtype)) throw new DTypeError(`bincount: dtype: got ${x.dtype}, expected integers`);
  if (x.rank !== 1) throw new ShapeError(`bincount: got shape ${show(x.shape)}, expected one axis`);
  if (!Number.isSafeInteger(minLength) || minLength < 0) {
    throw new ArgumentError(`bincount: minLength: got ${shown(minLength)}, expected a non-negative integer`);
  }
  if (weights !== undefined) {
    checkTensor('bincount', weights, 'weights');
    if (!sameShape(weights.shape, x.shape)) {
      throw new ShapeError(`bincount: weights: got shape ${show(weights.shape)}, expected ${show(x.shape)}`);
    }
  }
  const { device } = x;
  const index = x.cast('int64') as Tensor<Shape, 'int64'>;
  const largest: AnyTensor = x.size === 0 ? full([], -1, { dtype: 'int64', device }) : (index.max() as AnyTensor);
  return {
    count: largest,
    build: (last) => sumsOfBins(index, Math.max(last + 1, minLength), weights?.detach()),
  };
}

/**
 * How often each of 0, 1, … occurs in a vector of integers, or the sums of the weights there: int64, or the weights' dtype. Waits for the device without
 * blocking, since the largest element decides the size.
 *
 * @throws ShapeError unless x is a vector and the weights fit it; DTypeError unless it holds integers; IndexError at the next read for a negative one.
 * @example
 * await bincount(tensor([0, 2, 2], { dtype: 'int32' })); // [1, 0, 2]
 */
export async function bincount<D extends DType = 'int64'>(
  x: AnyTensor,
  options: BincountOptions<D> = {},
): Promise<Tensor<[number], D>> {
  checkOptions('bincount', options);
  return (await later(counted(x, options))) as unknown as Tensor<[number], D>;
}

/** The same as {@link bincount}, but blocks the thread. */
export function bincountSync<D extends DType = 'int64'>(
  x: AnyTensor,
  options: BincountOptions<D> = {},
): Tensor<[number], D> {
  checkOptions('bincountSync', options);
  return now(counted(x, options)) as unknown as Tensor<[number], D>;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    searchSorted<O extends Operand>(x: O, options?: SearchOptions): Tensor<ShapeOf<O>, 'int64'>;
    bucketize(boundaries: AnyTensor, options?: SearchOptions): Tensor<S, 'int64'>;
    histogram(
      bins: number | readonly number[] | AnyTensor,
      options?: HistogramOptions,
    ): [counts: Tensor<[number], ToFloat<D>>, edges: Tensor<[number], ToFloat<D>>];
    bincount<E extends DType = 'int64'>(options?: BincountOptions<E>): Promise<Tensor<[number], E>>;
    bincountSync<E extends DType = 'int64'>(options?: BincountOptions<E>): Tensor<[number], E>;
  }
}
installMethods({ searchSorted, bucketize, histogram, bincount, bincountSync });
