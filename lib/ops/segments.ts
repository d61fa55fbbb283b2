/**
 * Reductions of rows that an index assigns to segments (the nodes of a graph, the sequences of a batch), and products of sparse matrices. Sums are
 * formed in the order of the index, so results are the same at any thread count.
 */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Ok, Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { Segments, SegmentsCheck } from '../tensor/vision-shape-types';
import { full, ones, zeros } from './creation';
import { checkDType, checkTensor, floats, numbers } from './define';
import { checkIndex } from './indexing';
import { where } from './pointwise-compare';

function checkSegments(op: string, x: AnyTensor, index: AnyTensor, segments: number, allowed: readonly DType[]): void {
  checkTensor(op, x);
  checkDType(op, x.dtype, allowed);
  checkIndex(op, index);
  if (x.rank === 0 || index.rank !== 1 || index.shape[0] !== x.shape[0]) {
    throw new ShapeError(
      `${op}: index does not fit: got shape ${show(index.shape)} for x ${show(x.shape)}, expected one place for each row`,
    );
  }
  if (!(Number.isSafeInteger(segments) && segments >= 0)) {
    throw new ArgumentError(`${op}: segments: got ${shown(segments)}, expected an integer of at least 0`);
  }
}

const emptyOf = (x: AnyTensor, segments: number): AnyTensor =>
  zeros([segments, ...x.shape.slice(1)], { dtype: x.dtype, device: x.device });

/** A vector of one value per row, seen so that it broadcasts against x. */
const perRow = (vector: AnyTensor, x: AnyTensor): AnyTensor =>
  vector.reshape([vector.size, ...new Array<number>(x.rank - 1).fill(1)]);

/** How many rows each segment has, as `dtype`. */
function sizesOf(index: AnyTensor, segments: number, dtype: DType): AnyTensor {
  const one: AnyTensor = ones(index.shape, { dtype, device: index.device });
  return (zeros([segments], { dtype, device: index.device }) as AnyTensor).indexAdd(0, index, one);
}

/**
 * Sums of the rows of x [k, …] that `index` [k] assigns to each segment: y[s] = Σ x[i] over index[i] = s, of shape [segments, …].
 *
 * @throws ShapeError, DTypeError; IndexError at the next read for an index outside the segments.
 * @example
 * segmentSum(tensor([1, 2, 3]), tensor([0, 2, 0], { dtype: 'int32' }), 3); // [4, 0, 2]
 */
export function segmentSum<S extends Shape, D extends DType, I extends Shape, const N extends number>(
  x: Tensor<S, D>,
  index: Tensor<I, DType> & Ok<SegmentsCheck<S, I, 'segmentSum'>>,
  segments: N,
): Tensor<Segments<S, N>, D>;
export function segmentSum(x: AnyTensor, index: AnyTensor, segments: number): AnyTensor {
  checkSegments('segmentSum', x, index, segments, numbers);
  return emptyOf(x, segments).indexAdd(0, index, x);
}

/**
 * Means of the rows of x [k, …] that `index` [k] assigns to each segment; zero for a segment without rows.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read for an index outside the segments.
 * @example
 * segmentMean(tensor([1, 2, 3]), tensor([0, 2, 0], { dtype: 'int32' }), 3); // [2, 0, 2]
 */
export function segmentMean<S extends Shape, D extends DType, I extends Shape, const N extends number>(
  x: Tensor<S, D>,
  index: Tensor<I, DType> & Ok<SegmentsCheck<S, I, 'segmentMean'>>,
  segments: N,
): Tensor<Segments<S, N>, D>;
export function segmentMean(x: AnyTensor, index: AnyTensor, segments: number): AnyTensor {
  checkSegments('segmentMean', x, index, segments, floats);
  const dtype = x.dtype === 'float64' ? 'float64' : 'float32';
  const shares: AnyTensor = sizesOf(index, segments, dtype).clamp(1).reciprocal().cast(x.dtype);
  return segmentSum(x, index, segments).mul(perRow(shares, x));
}

/**
 * The largest element of the rows of x [k, …] that `index` [k] assigns to each segment; zero for a segment without rows. Elements that tie share the
 * gradient.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read for an index outside the segments.
 * @example
 * segmentMax(tensor([1, 2, 3]), tensor([0, 2, 0], { dtype: 'int32' }), 3); // [3, 0, 2]
 */
export function segmentMax<S extends Shape, D extends DType, I extends Shape, const N extends number>(
  x: Tensor<S, D>,
  index: Tensor<I, DType> & Ok<SegmentsCheck<S, I, 'segmentMax'>>,
  segments: N,
): Tensor<Segments<S, N>, D>;
export function segmentMax(x: AnyTensor, index: AnyTensor, segments: number): AnyTensor {
  checkSegments('segmentMax', x, index, segments, floats);
  const lowest: AnyTensor = full([segments, ...x.shape.slice(1)], -Infinity, { dtype: x.dtype, device: x.device });
  const places = perRow(index, x).expand(x.shape);
  const found = lowest.scatterReduce(0, places, x, 'amax') as AnyTensor;
  const empty = perRow(sizesOf(index, segments, 'float32').equalTo(0), x);
  return where(empty, 0, found) as AnyTensor;
}

/**
 * The softmax of x [k, …] within each segment: exp(x[i]) / Σ exp(x[j]) over the rows j of i's segment.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read for an index outside the segments.
 * @example
 * segmentSoftmax(tensor([1, 5, 1]), tensor([0, 1, 0], { dtype: 'int32' }), 2); // [0.5, 1, 0.5]
 */
export function segmentSoftmax<S extends Shape, D extends DType, I extends Shape>(
  x: Tensor<S, D>,
  index: Tensor<I, DType> & Ok<SegmentsCheck<S, I, 'segmentSoftmax'>>,
  segments: number,
): Tensor<S, D>;
export function segmentSoftmax(x: AnyTensor, index: AnyTensor, segments: number): AnyTensor {
  checkSegments('segmentSoftmax', x, index, segments, floats);
  const rows = index;
  // The shift changes nothing, so no gradient passes through it.
  const top: AnyTensor = segmentMax(x.detach(), index, segments).indexSelect(0, rows);
  const powers: AnyTensor = x.sub(top).exp();
  return powers.div(segmentSum(powers, index, segments).indexSelect(0, rows));
}
