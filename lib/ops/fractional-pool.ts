/** Maximum pooling whose windows are placed at random, so that the output's size need not divide the input's. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import { sameShape, show, sizeOf } from '../tensor/shapes';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange } from './creation';
import { checkDType, checkOptions, checkTensor, floats } from './define';
import { cat } from './movement';
import { rand } from './random';
import { batched, perAxis, type Pair, type SpatialRank, type Triple } from './window';

export interface FractionalPoolOptions<Size = number | readonly number[]> {
  /** The output's spatial sizes. */
  readonly outputSize?: Size;
  /** The same as parts of the input's, between 0 and 1. One of the two is given. */
  readonly outputRatio?: Size;
  /** Where the windows of each channel lie: [n, c, axes] in [0, 1), that of the width first in a plane, as in PyTorch; drawn unless given. */
  readonly samples?: AnyTensor;
}

function outputSizes(op: string, rank: SpatialRank, from: readonly number[], options: FractionalPoolOptions): number[] {
  const { outputSize, outputRatio } = options;
  if ((outputSize === undefined) === (outputRatio === undefined)) {
    throw new ArgumentError(
      `${op}: outputSize and outputRatio: got ${outputSize === undefined ? 'neither' : 'both'}, expected one of them`,
    );
  }
  if (outputSize !== undefined) return perAxis(op, 'outputSize', outputSize, 1, 1, rank);
  const ratios = typeof outputRatio === 'number' ? from.map(() => outputRatio) : outputRatio!;
  if (!Array.isArray(ratios) || ratios.length !== rank || !ratios.every((ratio) => ratio > 0 && ratio < 1)) {
    throw new ArgumentError(
      `${op}: outputRatio: got ${shown(outputRatio)}, expected one or ${rank} numbers between 0 and 1`,
    );
  }
  return from.map((size, i) => Math.floor(size * (ratios[i] as number)));
}

function fractionalMaxPool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  kernelSize: number | readonly number[],
  options: FractionalPoolOptions = {},
): AnyTensor[] {
  checkOptions(op, options);
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  const input = batched(op, x, rank);
  const [n, c, ...space] = input.shape as [number, number, ...number[]];
  const kernel = perAxis(op, 'kernelSize', kernelSize, kernelSize, 1, rank);
  const sizes = outputSizes(op, rank, space, options);
  sizes.forEach((size, i) => {
    if (size >= 1 && size + kernel[i]! - 1 <= space[i]!) return;
    throw new ShapeError(
      `${op}: windows do not fit: got ${size} of ${kernel[i]!} along ${space[i]!}, expected from 1 to ${space[i]! - kernel[i]! + 1}`,
    );
  });
  const { samples = rand([n, c, rank], { dtype: x.dtype, device: x.device }) as AnyTensor } = options;
  checkTensor(op, samples, 'samples');
  if (!sameShape(samples.shape, [n, c, rank])) {
    throw new ShapeError(`${op}: samples do not fit: got shape ${show(samples.shape)}, expected ${show([n, c, rank])}`);
  }
  // The elements of each window by their places in the flattened space: [n, c, windows, elements], one axis joining after the other.
  let places: AnyTensor | undefined;
  space.forEach((size, i) => {
    const starts = windowStarts(samples.detach().select(2, rank === 2 ? 1 - i : i), size, sizes[i]!, kernel[i]!);
    const own = starts.unsqueeze(-1).add(arange(kernel[i]!, { dtype: 'int64', device: x.device })) as AnyTensor;
    if (places === undefined) {
      places = own;
      return;
    }
    const [before, elements] = places.shape.slice(2) as [number, number];
    places = places
      .mul(size)
      .reshape([n, c, before, 1, elements, 1])
      .add(own.reshape([n, c, 1, sizes[i]!, 1, kernel[i]!]))
      .reshape([n, c, before * sizes[i]!, elements * kernel[i]!]) as AnyTensor;
  });
  const index = places as Tensor<Shape, 'int64'>;
  const flat = input.reshape([n, c, sizeOf(space)]);
  const windows = flat.detach().gather(2, index.reshape([n, c, index.shape[2]! * index.shape[3]!]));
  const largest = windows.reshape(index.shape).argmax(-1, { keepDims: true }) as Tensor<Shape, 'int64'>;
  const found = index.gather(3, largest).squeeze(-1);
  const shape = [...x.shape.slice(0, -rank), ...sizes];
  return [flat.gather(2, found).reshape(shape), found.reshape(shape)];
}

/** Where the windows of an axis begin, [n, c, count]: at the steps of an irregular stair, the last one at the end. */
function windowStarts(sample: AnyTensor, size: number, count: number, kernel: number): AnyTensor {
  const last = sample
    .mul(0)
    .add(size - kernel)
    .unsqueeze(-1)
    .cast('int64') as AnyTensor;
  if (count === 1) return last;
  const alpha = (size - kernel) / (count - 1);
  const at = sample.unsqueeze(-1);
  const steps = at
    .add(arange(count - 1, { dtype: sample.dtype as 'float32', device: sample.device }))
    .mul(alpha)
    .floor();
  return cat([steps.sub(at.mul(alpha).floor()).cast('int64') as AnyTensor, last], -1) as AnyTensor;
}

/**
 * The largest element of each of a given number of windows, whose places are drawn for every channel: x [n, c, h, w] (or [c, h, w]) to the sizes that
 * `outputSize` or `outputRatio` asks for.
 *
 * @throws ArgumentError unless one of the two is given; ShapeError when the windows do not fit.
 * @see Graham, 2014, Fractional max-pooling, arXiv:1412.6071.
 * @example
 * fractionalMaxPool2d(rand([1, 3, 9, 9]), 2, { outputRatio: 0.7 }).shape; // [1, 3, 6, 6]
 */
export function fractionalMaxPool2d<D extends DType>(
  x: Tensor<Shape, D>,
  kernelSize: Pair,
  options: FractionalPoolOptions<Pair>,
): Tensor<Shape, D>;
export function fractionalMaxPool2d(x: AnyTensor, kernelSize: Pair, options: FractionalPoolOptions<Pair>): AnyTensor {
  return fractionalMaxPool('fractionalMaxPool2d', 2, x, kernelSize, options)[0]!;
}

/**
 * As {@link fractionalMaxPool2d}, with the places of the maxima: positions (int64) in the flattened plane.
 *
 * @example
 * fractionalMaxPool2dWithIndices(rand([1, 3, 9, 9]), 2, { outputSize: 5 })[1].dtype; // int64
 */
export function fractionalMaxPool2dWithIndices<D extends DType>(
  x: Tensor<Shape, D>,
  kernelSize: Pair,
  options: FractionalPoolOptions<Pair>,
): [values: Tensor<Shape, D>, indices: Tensor<Shape, 'int64'>];
export function fractionalMaxPool2dWithIndices(
  x: AnyTensor,
  kernelSize: Pair,
  options: FractionalPoolOptions<Pair>,
): AnyTensor[] {
  return fractionalMaxPool('fractionalMaxPool2dWithIndices', 2, x, kernelSize, options);
}

/**
 * {@link fractionalMaxPool2d} of volumes [n, c, d, h, w] (or [c, d, h, w]).
 *
 * @throws ArgumentError unless one of `outputSize` and `outputRatio` is given; ShapeError when the windows do not fit.
 * @example
 * fractionalMaxPool3d(rand([1, 2, 5, 5, 5]), 2, { outputSize: 3 }).shape; // [1, 2, 3, 3, 3]
 */
export function fractionalMaxPool3d<D extends DType>(
  x: Tensor<Shape, D>,
  kernelSize: Triple,
  options: FractionalPoolOptions<Triple>,
): Tensor<Shape, D>;
export function fractionalMaxPool3d(
  x: AnyTensor,
  kernelSize: Triple,
  options: FractionalPoolOptions<Triple>,
): AnyTensor {
  return fractionalMaxPool('fractionalMaxPool3d', 3, x, kernelSize, options)[0]!;
}

/**
 * As {@link fractionalMaxPool3d}, with the places of the maxima: positions (int64) in the flattened volume.
 *
 * @example
 * fractionalMaxPool3dWithIndices(rand([1, 2, 5, 5, 5]), 2, { outputSize: 3 })[1].dtype; // int64
 */
export function fractionalMaxPool3dWithIndices<D extends DType>(
  x: Tensor<Shape, D>,
  kernelSize: Triple,
  options: FractionalPoolOptions<Triple>,
): [values: Tensor<Shape, D>, indices: Tensor<Shape, 'int64'>];
export function fractionalMaxPool3dWithIndices(
  x: AnyTensor,
  kernelSize: Triple,
  options: FractionalPoolOptions<Triple>,
): AnyTensor[] {
  return fractionalMaxPool('fractionalMaxPool3dWithIndices', 3, x, kernelSize, options);
}
