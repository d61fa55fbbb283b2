/**
 * Adaptive pooling over one to three spatial axes: the windows follow from the output's size. Window i of an axis is the elements
 * [⌊i·in/out⌋, ⌈(i+1)·in/out⌉). Means are resampling; maxima are pooled from the windows laid out one after the other.
 */
import { ArgumentError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { ImageCheck } from '../tensor/layer-shape-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { Resized } from '../tensor/vision-shape-types';
import { tensor } from './creation';
import { checkDType, checkTensor, floats } from './define';
import { resample } from './interpolate';
import { adaptiveWindows, avgPool, maxPool, sharedAvgPool, sharedMaxPool } from './pool-planes';
import { batched, perAxis, type SpatialRank } from './window';

/** The size of an axis of the output; null for that of the input. */
export type AdaptiveSize = number | null;
export type AdaptiveSingle = AdaptiveSize | readonly [AdaptiveSize];
export type AdaptivePair = AdaptiveSize | readonly [AdaptiveSize, AdaptiveSize];
export type AdaptiveTriple = AdaptiveSize | readonly [AdaptiveSize, AdaptiveSize, AdaptiveSize];

function prepare(op: string, rank: SpatialRank, x: AnyTensor): AnyTensor {
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  const input = batched(op, x, rank);
  if (input.shape.slice(2).includes(0)) {
    throw new ShapeError(`${op}: nothing to pool: got shape ${show(x.shape)}, expected spatial sizes of at least 1`);
  }
  return input;
}

function sizesOf(op: string, outputSize: AdaptiveSize | readonly AdaptiveSize[], space: readonly number[]): number[] {
  const chosen = (size: AdaptiveSize, i: number): number => (size === null ? space[i]! : size);
  const given = Array.isArray(outputSize)
    ? (outputSize as readonly AdaptiveSize[]).map(chosen)
    : (outputSize as AdaptiveSize);
  return perAxis(op, 'outputSize', given === null ? space : given, [], 1, space.length as SpatialRank);
}

function adaptiveAvgPool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  outputSize: AdaptiveSize | readonly AdaptiveSize[],
): AnyTensor {
  const input = prepare(op, rank, x);
  const space = input.shape.slice(2);
  const sizes = sizesOf(op, outputSize, space);
  let y: AnyTensor;
  if (sizes.every((size) => size === 1))
    y = input.mean(
      space.map((_, i) => 2 + i),
      { keepDims: true },
    );
  else if (rank < 3 && sizes.every((size, i) => space[i]! % size === 0)) {
    y = avgPool(
      op,
      rank,
      input,
      sizes.map((size, i) => space[i]! / size),
      {},
    );
  } else if (rank < 3) {
    y = sharedAvgPool(input, sizes);
  } else {
    y = resample(
      input,
      'area',
      sizes,
      sizes.map((size, i) => space[i]! / size),
    );
  }
  return x.rank === input.rank ? y : y.squeeze(0);
}

/** Windows are listed on the JS thread, so there is a bound. */
const mostWindows = 2 ** 16;

function adaptiveMaxPool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  outputSize: AdaptiveSize | readonly AdaptiveSize[],
): { values: AnyTensor; index: () => AnyTensor } {
  const input = prepare(op, rank, x);
  const space = input.shape.slice(2);
  const sizes = sizesOf(op, outputSize, space);
  if (sizes.some((size) => size > mostWindows)) {
    throw new ArgumentError(`${op}: outputSize: got ${show(sizes)}, expected at most ${mostWindows} along an axis`);
  }
  const lowered = (y: AnyTensor): AnyTensor => (x.rank === input.rank ? y : y.squeeze(0));
  if (rank < 3 && sizes.some((size, i) => space[i]! % size !== 0)) {
    const { values, index } = sharedMaxPool(input, sizes);
    return { values: lowered(values), index: () => lowered(index()) };
  }
  const windows = sizes.map((size, i) => adaptiveWindows(space[i]!, size));
  const kernel = windows.map((window) => window.kernel);
  const whole = windows.every(({ places }, i) => places.length === space[i]!);
  const laidOut = whole
    ? input
    : windows.reduce<AnyTensor>(
        (y, { places }, i) =>
          places.length === space[i]! ? y : y.indexSelect(2 + i, tensor(places, { dtype: 'int32', device: x.device })),
        input,
      );
  const { values, index } = maxPool(op, rank, laidOut, kernel, {});
  const placed = (): AnyTensor => {
    if (whole) return lowered(index());
    // Where each element that was laid out came from.
    const origin = windows.reduce(
      (flat, { places }, i) => flat.flatMap((p) => places.map((q) => p * space[i]! + q)),
      [0],
    );
    const at = index();
    const table = tensor(origin, { dtype: 'float64', device: x.device }).cast('int64') as AnyTensor;
    return lowered(table.indexSelect(0, at.reshape([sizeOf(at.shape)]) as Tensor<Shape, 'int64'>).reshape(at.shape));
  };
  return { values: lowered(values), index: placed };
}

/**
 * The means of as many windows of x [n, c, length] (or [c, length]) as `outputSize` tells.
 *
 * @throws ShapeError, ArgumentError, DTypeError.
 * @example
 * adaptiveAvgPool1d(tensor([[1, 2, 3, 4]]), 3); // [[1.5, 2.5, 3.5]]
 */
export function adaptiveAvgPool1d<S extends Shape, D extends DType, const P extends AdaptiveSingle>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveAvgPool1d', 1>>,
  outputSize: P,
): Tensor<Resized<S, P, 1>, D>;
export function adaptiveAvgPool1d(x: AnyTensor, outputSize: AdaptiveSingle): AnyTensor {
  return adaptiveAvgPool('adaptiveAvgPool1d', 1, x, outputSize);
}

/**
 * The largest elements of as many windows of x [n, c, length] (or [c, length]) as `outputSize` tells.
 *
 * @throws ShapeError, ArgumentError, DTypeError.
 * @example
 * adaptiveMaxPool1d(tensor([[1, 2, 5, 4]]), 3); // [[2, 5, 5]]
 */
export function adaptiveMaxPool1d<S extends Shape, D extends DType, const P extends AdaptiveSingle>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveMaxPool1d', 1>>,
  outputSize: P,
): Tensor<Resized<S, P, 1>, D>;
export function adaptiveMaxPool1d(x: AnyTensor, outputSize: AdaptiveSingle): AnyTensor {
  return adaptiveMaxPool('adaptiveMaxPool1d', 1, x, outputSize).values;
}

/**
 * As {@link adaptiveMaxPool1d}, with the places of the maxima: positions (int64) among the flattened spatial axes of x.
 *
 * @example
 * adaptiveMaxPool1dWithIndices(tensor([[1, 2, 5, 4]]), 3)[1]; // [[1, 2, 2]]
 */
export function adaptiveMaxPool1dWithIndices<S extends Shape, D extends DType, const P extends AdaptiveSingle>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveMaxPool1d', 1>>,
  outputSize: P,
): [Tensor<Resized<S, P, 1>, D>, Tensor<Resized<S, P, 1>, 'int64'>];
export function adaptiveMaxPool1dWithIndices(x: AnyTensor, outputSize: AdaptiveSingle): AnyTensor[] {
  const { values, index } = adaptiveMaxPool('adaptiveMaxPool1d', 1, x, outputSize);
  return [values, index()];
}

/**
 * The means of as many windows of x [n, c, h, w] (or [c, h, w]) as `outputSize` tells.
 *
 * @throws ShapeError, ArgumentError, DTypeError.
 * @example
 * adaptiveAvgPool2d(ones([1, 8, 7, 5]), 3).shape; // [1, 8, 3, 3]
 */
export function adaptiveAvgPool2d<S extends Shape, D extends DType, const P extends AdaptivePair>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveAvgPool2d', 2>>,
  outputSize: P,
): Tensor<Resized<S, P, 2>, D>;
export function adaptiveAvgPool2d(x: AnyTensor, outputSize: AdaptivePair): AnyTensor {
  return adaptiveAvgPool('adaptiveAvgPool2d', 2, x, outputSize);
}

/**
 * The largest elements of as many windows of x [n, c, h, w] (or [c, h, w]) as `outputSize` tells.
 *
 * @throws ShapeError, ArgumentError, DTypeError.
 * @example
 * adaptiveMaxPool2d(ones([1, 8, 7, 5]), 3).shape; // [1, 8, 3, 3]
 */
export function adaptiveMaxPool2d<S extends Shape, D extends DType, const P extends AdaptivePair>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveMaxPool2d', 2>>,
  outputSize: P,
): Tensor<Resized<S, P, 2>, D>;
export function adaptiveMaxPool2d(x: AnyTensor, outputSize: AdaptivePair): AnyTensor {
  return adaptiveMaxPool('adaptiveMaxPool2d', 2, x, outputSize).values;
}

/**
 * As {@link adaptiveMaxPool2d}, with the places of the maxima: positions (int64) among the flattened spatial axes of x.
 *
 * @example
 * adaptiveMaxPool2dWithIndices(arange(4).cast('float32').reshape([1, 2, 2]), 1)[1]; // [[[3]]]
 */
export function adaptiveMaxPool2dWithIndices<S extends Shape, D extends DType, const P extends AdaptivePair>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveMaxPool2d', 2>>,
  outputSize: P,
): [Tensor<Resized<S, P, 2>, D>, Tensor<Resized<S, P, 2>, 'int64'>];
export function adaptiveMaxPool2dWithIndices(x: AnyTensor, outputSize: AdaptivePair): AnyTensor[] {
  const { values, index } = adaptiveMaxPool('adaptiveMaxPool2d', 2, x, outputSize);
  return [values, index()];
}

/**
 * The means of as many windows of x [n, c, d, h, w] (or [c, d, h, w]) as `outputSize` tells.
 *
 * @throws ShapeError, ArgumentError, DTypeError.
 * @example
 * adaptiveAvgPool3d(ones([1, 8, 7, 5, 4]), [3, null, 1]).shape; // [1, 8, 3, 5, 1]
 */
export function adaptiveAvgPool3d<S extends Shape, D extends DType, const P extends AdaptiveTriple>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveAvgPool3d', 3>>,
  outputSize: P,
): Tensor<Resized<S, P, 3>, D>;
export function adaptiveAvgPool3d(x: AnyTensor, outputSize: AdaptiveTriple): AnyTensor {
  return adaptiveAvgPool('adaptiveAvgPool3d', 3, x, outputSize);
}

/**
 * The largest elements of as many windows of x [n, c, d, h, w] (or [c, d, h, w]) as `outputSize` tells.
 *
 * @throws ShapeError, ArgumentError, DTypeError.
 * @example
 * adaptiveMaxPool3d(ones([1, 8, 7, 5, 4]), [3, null, 1]).shape; // [1, 8, 3, 5, 1]
 */
export function adaptiveMaxPool3d<S extends Shape, D extends DType, const P extends AdaptiveTriple>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveMaxPool3d', 3>>,
  outputSize: P,
): Tensor<Resized<S, P, 3>, D>;
export function adaptiveMaxPool3d(x: AnyTensor, outputSize: AdaptiveTriple): AnyTensor {
  return adaptiveMaxPool('adaptiveMaxPool3d', 3, x, outputSize).values;
}

/**
 * As {@link adaptiveMaxPool3d}, with the places of the maxima: positions (int64) among the flattened spatial axes of x.
 *
 * @example
 * adaptiveMaxPool3dWithIndices(ones([1, 2, 2, 2]), 1)[1]; // [[[[0]]]]
 */
export function adaptiveMaxPool3dWithIndices<S extends Shape, D extends DType, const P extends AdaptiveTriple>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'adaptiveMaxPool3d', 3>>,
  outputSize: P,
): [Tensor<Resized<S, P, 3>, D>, Tensor<Resized<S, P, 3>, 'int64'>];
export function adaptiveMaxPool3dWithIndices(x: AnyTensor, outputSize: AdaptiveTriple): AnyTensor[] {
  const { values, index } = adaptiveMaxPool('adaptiveMaxPool3d', 3, x, outputSize);
  return [values, index()];
}
