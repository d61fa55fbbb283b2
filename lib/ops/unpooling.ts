/** Maxima put back where maximum pooling found them; what was not the largest of its window becomes 0. */
import { ArgumentError, ShapeError } from '../errors';
import { describe } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { IndexTensor } from '../tensor/index-types';
import type { ImageCheck } from '../tensor/layer-shape-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { MaxUnpool } from '../tensor/vision-shape-types';
import { zeros } from './creation';
import { checkDType, checkOptions, checkTensor, floats, installMethods } from './define';
import { checkIndex } from './indexing';
import { batched, perAxis, type Pair, type Single, type SpatialRank, type Triple } from './window';

export interface MaxUnpoolOptions<
  Stride = number | readonly number[],
  Padding = Stride,
  Size extends Shape | undefined = Shape | undefined,
> {
  /** Of the windows; their size unless given. */
  readonly stride?: Stride;
  /** Of the pooling; 0 unless given. */
  readonly padding?: Padding;
  /** The spatial sizes (or all) of what was pooled, less than a stride from (size − 1)·stride − 2·padding + kernel, which it is unless given. */
  readonly outputSize?: Size;
}

function maxUnpool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  indices: AnyTensor,
  kernelSize: number | readonly number[],
  options: MaxUnpoolOptions,
): AnyTensor {
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  checkIndex(op, indices, 'indices');
  const input = batched(op, x, rank);
  if (!sameShape(x.shape, indices.shape)) {
    throw new ShapeError(`${op}: indices do not fit: got shape ${show(indices.shape)}, expected ${show(x.shape)}`);
  }
  const kernel = perAxis(op, 'kernelSize', kernelSize, kernelSize, 1, rank);
  const stride = perAxis(op, 'stride', options.stride, kernel, 1, rank);
  const padding = perAxis(op, 'padding', options.padding, 0, 0, rank);
  const least = kernel.map((size, i) => (input.shape[2 + i]! - 1) * stride[i]! - 2 * padding[i]! + size);
  const space = sizesOf(op, options.outputSize, least, stride);
  const [n, c] = input.shape as [number, number];
  const flat = (y: AnyTensor): AnyTensor => y.reshape([n, c, sizeOf(input.shape.slice(2))]) as AnyTensor;
  const nothing = zeros([n, c, sizeOf(space)], { dtype: x.dtype, device: x.device }) as AnyTensor;
  const y = nothing.scatter(2, flat(indices), flat(input));
  return y.reshape([...x.shape.slice(0, -rank), ...space]);
}

function sizesOf(
  op: string,
  outputSize: Shape | undefined,
  least: readonly number[],
  stride: readonly number[],
): readonly number[] {
  if (outputSize === undefined) {
    if (least.every((size) => size >= 1)) return least;
    throw new ShapeError(`${op}: nothing is left: got sizes ${show(least)}, expected at least 1`);
  }
  const space = Array.isArray(outputSize) ? (outputSize as Shape).slice(-least.length) : [];
  const fits = (size: number, i: number): boolean =>
    Number.isSafeInteger(size) && size >= 1 && Math.abs(size - least[i]!) < stride[i]!;
  if (space.length === least.length && space.every(fits)) return space;
  throw new ArgumentError(
    `${op}: outputSize: got ${Array.isArray(outputSize) ? show(outputSize) : describe(outputSize)}, ` +
      `expected less than ${show(stride)} from ${show(least)}`,
  );
}

/**
 * The inverse of {@link maxPool1dWithIndices}: zeros with the elements of x [n, c, l] (or [c, l]) at `indices`, the places of the maxima: [n, c, l'] with
 * l' = (l − 1)·stride − 2·padding + k. Of elements for one place the last stays.
 *
 * @throws ShapeError, ArgumentError, DTypeError; IndexError at the next read for a place outside.
 * @see Zeiler and Fergus, 2014, Visualizing and understanding convolutional networks.
 * @example
 * const [y, indices] = maxPool1dWithIndices(tensor([[1, 3, 2, 5]]), 2);
 * maxUnpool1d(y, indices, 2); // [[0, 3, 0, 5]]
 */
export function maxUnpool1d<
  S extends Shape,
  D extends DType,
  E extends DType,
  const K extends Single,
  const Stride extends Single = K,
  const Padding extends Single = 0,
  Size extends Shape | undefined = undefined,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxUnpool1d', 1>>,
  indices: IndexTensor<Shape, E, 'maxUnpool1d'>,
  kernelSize: K,
  options?: MaxUnpoolOptions<Stride, Padding, Size>,
): Tensor<MaxUnpool<S, 1, K, Stride, Padding, Size>, D>;
export function maxUnpool1d(
  x: AnyTensor,
  indices: AnyTensor,
  kernelSize: Single,
  options: MaxUnpoolOptions = {},
): AnyTensor {
  checkOptions('maxUnpool1d', options);
  return maxUnpool('maxUnpool1d', 1, x, indices, kernelSize, options);
}

/**
 * The inverse of {@link maxPool2dWithIndices}: zeros with the elements of x [n, c, h, w] (or [c, h, w]) at `indices`, the places of the maxima in the flattened plane.
 *
 * @throws ShapeError, ArgumentError, DTypeError; IndexError at the next read for a place outside.
 * @see Zeiler and Fergus, 2014, Visualizing and understanding convolutional networks.
 * @example
 * const [y, indices] = maxPool2dWithIndices(tensor([[[[1, 2], [4, 3]]]]), 2);
 * maxUnpool2d(y, indices, 2); // [[[[0, 0], [4, 0]]]]
 */
export function maxUnpool2d<
  S extends Shape,
  D extends DType,
  E extends DType,
  const K extends Pair,
  const Stride extends Pair = K,
  const Padding extends Pair = 0,
  Size extends Shape | undefined = undefined,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxUnpool2d', 2>>,
  indices: IndexTensor<Shape, E, 'maxUnpool2d'>,
  kernelSize: K,
  options?: MaxUnpoolOptions<Stride, Padding, Size>,
): Tensor<MaxUnpool<S, 2, K, Stride, Padding, Size>, D>;
export function maxUnpool2d(
  x: AnyTensor,
  indices: AnyTensor,
  kernelSize: Pair,
  options: MaxUnpoolOptions = {},
): AnyTensor {
  checkOptions('maxUnpool2d', options);
  return maxUnpool('maxUnpool2d', 2, x, indices, kernelSize, options);
}

/**
 * The inverse of {@link maxPool3dWithIndices}: zeros with the elements of x [n, c, d, h, w] (or [c, d, h, w]) at `indices`, the places of the maxima in the flattened volume.
 *
 * @throws ShapeError, ArgumentError, DTypeError; IndexError at the next read for a place outside.
 * @see Zeiler and Fergus, 2014, Visualizing and understanding convolutional networks.
 * @example
 * const [y, indices] = maxPool3dWithIndices(ones([1, 1, 2, 2, 2]), 2);
 * maxUnpool3d(y, indices, 2); // [[[[[1, 0], [0, 0]], [[0, 0], [0, 0]]]]]
 */
export function maxUnpool3d<
  S extends Shape,
  D extends DType,
  E extends DType,
  const K extends Triple,
  const Stride extends Triple = K,
  const Padding extends Triple = 0,
  Size extends Shape | undefined = undefined,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxUnpool3d', 3>>,
  indices: IndexTensor<Shape, E, 'maxUnpool3d'>,
  kernelSize: K,
  options?: MaxUnpoolOptions<Stride, Padding, Size>,
): Tensor<MaxUnpool<S, 3, K, Stride, Padding, Size>, D>;
export function maxUnpool3d(
  x: AnyTensor,
  indices: AnyTensor,
  kernelSize: Triple,
  options: MaxUnpoolOptions = {},
): AnyTensor {
  checkOptions('maxUnpool3d', options);
  return maxUnpool('maxUnpool3d', 3, x, indices, kernelSize, options);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    maxUnpool2d<
      E extends DType,
      const K extends Pair,
      const Stride extends Pair = K,
      const Padding extends Pair = 0,
      Size extends Shape | undefined = undefined,
    >(
      indices: IndexTensor<Shape, E, 'maxUnpool2d'> & Ok<ImageCheck<S, 'maxUnpool2d', 2>>,
      kernelSize: K,
      options?: MaxUnpoolOptions<Stride, Padding, Size>,
    ): Tensor<MaxUnpool<S, 2, K, Stride, Padding, Size>, D>;
  }
}
installMethods({ maxUnpool2d });
