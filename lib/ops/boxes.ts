/** Operations of detectors on boxes (x1, y1, x2, y2): features of regions, overlaps, and the best of boxes that overlap. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { promote, type DType, type Promote } from '../tensor/dtype';
import type { Ok, Shape, SizeAt } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { BoxesCheck, RoiAlign } from '../tensor/vision-shape-types';
import { full } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, installMethods, type NativeOp, run } from './define';
import { checkIndex } from './indexing';
import { later, now, type KnownLater } from './known-later';
import { nonzeroPlaces } from './masks';
import { cat } from './movement';
import { wide } from './wide';
import { perAxis, type Pair } from './window';

function checkBoxes(op: string, boxes: unknown, sides: number, name = 'boxes'): asserts boxes is AnyTensor {
  checkTensor(op, boxes, name);
  checkDType(op, boxes.dtype, floats);
  if (boxes.rank === 2 && boxes.shape[1] === sides) return;
  throw new ShapeError(`${op}: ${name}: got shape ${show(boxes.shape)}, expected [k, ${sides}]`);
}

// ------------------------------------------------------------------------------------------------------------------ regions

interface Regions {
  readonly boxes: AnyTensor;
  readonly attributes: readonly number[];
}

// Linear in x: the two are each other's adjoint.
const roiAlignOp: NativeOp<Regions> = defineOp<Regions>('roiAlign', {
  dtypes: floats,
  gradient: (g, node) => regions(roiAlignBackwardOp, g, node.context, node.shape(0)),
});
const roiAlignBackwardOp: NativeOp<Regions> = defineOp<Regions>('roiAlignBackward', {
  dtypes: floats,
  gradient: (gg, node) => regions(roiAlignOp, gg, node.context, node.shape(0)),
});
const regions = (op: NativeOp<Regions>, x: AnyTensor, context: Regions, shape: Shape): AnyTensor[] => [
  run(op, [x, context.boxes.to(x.device)], shape, x.dtype, context.attributes, context),
];

export interface RoiAlignOptions<P extends Pair = Pair> {
  /** The size of what a region is pooled to, or [height, width]; 1 unless given. */
  readonly outputSize?: P;
  /** What the boxes are multiplied by: the size of x over that of the image they are about; 1 unless given. */
  readonly spatialScale?: number;
  /** Samples along each axis of a bin; 0, which it is unless given, for one per element of x. */
  readonly samplingRatio?: number;
  /** Whether boxes are moved by half an element, so that they are about centres; false, as in torchvision, unless given. */
  readonly aligned?: boolean;
}

/**
 * Features of regions of x [n, c, h, w]: each of `boxes` is cut into bins, which are sampled at equal distances by bilinear interpolation and averaged: y
 * [k, c, ph, pw]. Boxes are [k, 5] with the number of the image first, or a list of [kᵢ, 4] for each image. They get no gradient.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read for a box that is not finite or names no image.
 * @see He et al., 2017, Mask R-CNN.
 * @example
 * const x = arange(16).cast('float32').reshape([1, 1, 4, 4]);
 * roiAlign(x, tensor([[0, 0, 0, 2, 2]]), { outputSize: 1, samplingRatio: 2 }); // [[[[5]]]]
 */
export function roiAlign<S extends Shape, D extends DType, B extends AnyTensor, const P extends Pair = 1>(
  x: Tensor<S, D>,
  boxes: B & Ok<BoxesCheck<B['shape'], 5, 'roiAlign'>>,
  options?: RoiAlignOptions<P>,
): Tensor<RoiAlign<S, B, P>, D>;
export function roiAlign<S extends Shape, D extends DType, const P extends Pair = 1>(
  x: Tensor<S, D>,
  boxes: readonly AnyTensor[],
  options?: RoiAlignOptions<P>,
): Tensor<RoiAlign<S, undefined, P>, D>;
export function roiAlign(
  x: AnyTensor,
  boxes: AnyTensor | readonly AnyTensor[],
  options: RoiAlignOptions = {},
): AnyTensor {
  checkOptions('roiAlign', options);
  const op = 'roiAlign';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  if (x.rank !== 4 || x.shape.slice(2).includes(0)) {
    throw new ShapeError(`${op}: got shape ${show(x.shape)}, expected [n, c, h, w] with sizes of at least 1`);
  }
  const all = Array.isArray(boxes) ? joined(op, x, boxes as readonly unknown[]) : (boxes as AnyTensor);
  checkBoxes(op, all, 5);
  const { outputSize = 1, spatialScale = 1, samplingRatio = 0, aligned = false } = options;
  const size = perAxis(op, 'outputSize', outputSize, outputSize, 1, 2);
  if (!Number.isFinite(spatialScale)) {
    throw new ArgumentError(`${op}: spatialScale: got ${shown(spatialScale)}, expected a number`);
  }
  if (!Number.isInteger(samplingRatio) || samplingRatio > 1024) {
    throw new ArgumentError(`${op}: samplingRatio: got ${shown(samplingRatio)}, expected an integer of at most 1024`);
  }
  const attributes = [spatialScale, Math.max(0, samplingRatio), Number(Boolean(aligned))];
  const context = { boxes: all.detach().cast(x.dtype) as AnyTensor, attributes };
  return run(roiAlignOp, [x, context.boxes], [all.shape[0]!, x.shape[1]!, ...size], x.dtype, attributes, context);
}

/** The boxes of each image as one tensor, with the image's number before each. */
function joined(op: string, x: AnyTensor, boxes: readonly unknown[]): AnyTensor {
  if (boxes.length !== x.shape[0]) {
    throw new ArgumentError(`${op}: boxes: got ${boxes.length} tensors, expected one for each of ${x.shape[0]} images`);
  }
  if (boxes.length === 0) return full([0, 5], 0, { dtype: x.dtype, device: x.device });
  const parts = boxes.map((own, i) => {
    checkBoxes(op, own, 4, `boxes[${i}]`);
    const number: AnyTensor = full([own.shape[0]!, 1], i, { dtype: own.dtype, device: own.device });
    return cat([number, own], 1) as AnyTensor;
  });
  return cat(parts, 0) as AnyTensor;
}

// ------------------------------------------------------------------------------------------------------------------ overlaps

/**
 * The overlap of each of the boxes a [k, 4] with each of b [m, 4]: the area of the intersection over that of the union, [k, m].
 *
 * @throws ShapeError, DTypeError.
 * @example
 * boxIou(tensor([[0, 0, 2, 2]]), tensor([[0, 0, 2, 2], [1, 0, 3, 2]])); // [[1, 0.3333]]
 */
export function boxIou<A extends Shape, B extends Shape, D extends DType, E extends DType>(
  a: Tensor<A, D> & Ok<BoxesCheck<A, 4, 'boxIou'>>,
  b: Tensor<B, E> & Ok<BoxesCheck<B, 4, 'boxIou'>>,
): Tensor<[SizeAt<A, 0>, SizeAt<B, 0>], Promote<D, E>>;
export function boxIou(a: AnyTensor, b: AnyTensor): AnyTensor {
  checkBoxes('boxIou', a, 4, 'a');
  checkBoxes('boxIou', b, 4, 'b');
  const dtype = promote(a.dtype, b.dtype);
  const [left, right] = [wide(a.cast(dtype) as AnyTensor), wide(b.cast(dtype) as AnyTensor)];
  const area = (corners: AnyTensor): AnyTensor => {
    const sides: AnyTensor = corners.narrow(1, 2, 2).sub(corners.narrow(1, 0, 2));
    return sides.select(1, 0).mul(sides.select(1, 1)) as AnyTensor;
  };
  const from = left
    .narrow(1, 0, 2)
    .unsqueeze(1)
    .maximum(right.narrow(1, 0, 2).unsqueeze(0)) as AnyTensor;
  const to = left
    .narrow(1, 2, 2)
    .unsqueeze(1)
    .minimum(right.narrow(1, 2, 2).unsqueeze(0)) as AnyTensor;
  const sides: AnyTensor = to.sub(from).relu();
  const both: AnyTensor = sides.select(2, 0).mul(sides.select(2, 1));
  const union = area(left).unsqueeze(1).add(area(right).unsqueeze(0)).sub(both);
  return both.div(union).cast(dtype) as AnyTensor;
}

const suppressionOp = defineOp('nonMaxSuppression', { dtypes: floats });

export interface NonMaxSuppressionOptions {
  /** Boxes that overlap a better one by more are dropped: intersection over union, 0.5 unless given. */
  readonly iouThreshold?: number;
  /** Boxes with no higher score are dropped; none are unless given. */
  readonly scoreThreshold?: number;
  /** The most boxes that are kept; all unless given. */
  readonly maxCount?: number;
  /** The class [k] of each box: only boxes of one class drop each other. */
  readonly classes?: AnyTensor;
}

function best(
  boxes: AnyTensor,
  scores: AnyTensor,
  options: NonMaxSuppressionOptions,
): KnownLater<Tensor<[number], 'int64'>> {
  const op = 'nonMaxSuppression';
  checkBoxes(op, boxes, 4);
  checkTensor(op, scores, 'scores');
  checkDType(op, scores.dtype, floats);
  const { iouThreshold = 0.5, scoreThreshold, maxCount, classes } = options;
  const perBox = (x: AnyTensor, name: string): void => {
    if (x.rank === 1 && x.shape[0] === boxes.shape[0]) return;
    throw new ShapeError(`${op}: ${name}: got shape ${show(x.shape)}, expected [${boxes.shape[0]}]`);
  };
  perBox(scores, 'scores');
  if (classes !== undefined) {
    checkIndex(op, classes, 'classes');
    perBox(classes, 'classes');
  }
  for (const [name, value] of Object.entries({ iouThreshold, scoreThreshold: scoreThreshold ?? 0 })) {
    if (typeof value !== 'number' || Number.isNaN(value)) {
      throw new ArgumentError(`${op}: ${name}: got ${shown(value)}, expected a number`);
    }
  }
  if (maxCount !== undefined && !(Number.isSafeInteger(maxCount) && maxCount >= 0)) {
    throw new ArgumentError(`${op}: maxCount: got ${shown(maxCount)}, expected an integer of at least 0`);
  }
  const order = scores.detach().argsort({ descending: true }) as Tensor<Shape, 'int64'>;
  const sorted = (x: AnyTensor): AnyTensor => x.detach().indexSelect(0, order) as AnyTensor;
  const inputs = [sorted(boxes), classes && sorted(classes)];
  const kept = run(suppressionOp, inputs, [boxes.shape[0]!], 'bool', [iouThreshold]);
  const wanted = (
    scoreThreshold === undefined ? kept : kept.logicalAnd(sorted(scores).greater(scoreThreshold))
  ) as AnyTensor;
  const { count, build } = nonzeroPlaces(wanted);
  return {
    count,
    build: (n) => {
      const places = build(n) as AnyTensor;
      const first = maxCount === undefined || maxCount >= n ? places : places.narrow(0, 0, maxCount);
      return order.indexSelect(0, first as Tensor<Shape, 'int64'>) as unknown as Tensor<[number], 'int64'>;
    },
  };
}

/**
 * The boxes [k, 4] that are left when each, from the highest of their `scores` [k] down, drops those that overlap it too much: their numbers (int64), the
 * best first. With `classes` each class is treated by itself. Waits for the device without blocking.
 *
 * @throws ShapeError, DTypeError, ArgumentError.
 * @see Girshick et al., 2014, Rich feature hierarchies for accurate object detection and semantic segmentation.
 * @example
 * const boxes = tensor([[0, 0, 4, 4], [0, 0, 4, 5], [6, 6, 8, 8]]);
 * await nonMaxSuppression(boxes, tensor([0.8, 0.9, 0.5])); // [1, 2]
 */
export async function nonMaxSuppression<B extends Shape>(
  boxes: Tensor<B, DType> & Ok<BoxesCheck<B, 4, 'nonMaxSuppression'>>,
  scores: Tensor<Shape, DType>,
  options: NonMaxSuppressionOptions = {},
): Promise<Tensor<[number], 'int64'>> {
  checkOptions('nonMaxSuppression', options);
  return later(best(boxes, scores, options));
}

/** The same as {@link nonMaxSuppression}, but blocks the thread. */
export function nonMaxSuppressionSync<B extends Shape>(
  boxes: Tensor<B, DType> & Ok<BoxesCheck<B, 4, 'nonMaxSuppression'>>,
  scores: Tensor<Shape, DType>,
  options: NonMaxSuppressionOptions = {},
): Tensor<[number], 'int64'> {
  checkOptions('nonMaxSuppressionSync', options);
  return now(best(boxes, scores, options));
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    roiAlign<B extends AnyTensor, const P extends Pair = 1>(
      boxes: B & Ok<BoxesCheck<B['shape'], 5, 'roiAlign'>>,
      options?: RoiAlignOptions<P>,
    ): Tensor<RoiAlign<S, B, P>, D>;
  }
}
installMethods({ roiAlign });
