/** Maximum and average pooling over one to three spatial axes. */
import type { DType } from '../tensor/dtype';
import type { ImageCheck, Pool1d, Pool2d, Pool3d } from '../tensor/layer-shape-types';
import type { Ok, Resize, Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkOptions, installMethods } from './define';
import { avgPool, maxPool, type AvgPoolOptions, type MaxPoolOptions } from './pool-planes';
import type { Pair, Single, SpatialRank, Triple } from './window';

/** The shape of a pooled S, for a pooled shape P with sizes rounded down; rounded up, the N spatial sizes are left open. */
type Rounded<S extends Shape, P extends Shape, Ceil extends boolean, N extends SpatialRank> = Ceil extends false
  ? P
  : N extends 1
    ? Resize<S, -1, number>
    : N extends 2
      ? Resize<Resize<S, -1, number>, -2, number>
      : Resize<Resize<Resize<S, -1, number>, -2, number>, -3, number>;
type Pooled1d<S extends Shape, K, Stride, Padding, Ceil extends boolean, Dilation = 1> = Rounded<
  S,
  Pool1d<S, K, Stride, Padding, Dilation>,
  Ceil,
  1
>;
type Pooled2d<
  S extends Shape,
  K extends Pair,
  Stride extends Pair,
  Padding extends Pair,
  Ceil extends boolean,
  Dilation extends Pair = 1,
> = Rounded<S, Pool2d<S, K, Stride, Padding, Dilation>, Ceil, 2>;
type Pooled3d<S extends Shape, K, Stride, Padding, Ceil extends boolean, Dilation = 1> = Rounded<
  S,
  Pool3d<S, K, Stride, Padding, Dilation>,
  Ceil,
  3
>;

/**
 * The largest element of each window of x [n, c, length] (or [c, length]): y [n, c, l'].
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * maxPool1d(tensor([[1, 3, 2, 5]]), 2); // [[3, 5]]
 */
export function maxPool1d<
  S extends Shape,
  D extends DType,
  const K extends Single,
  const Stride extends Single = K,
  const Padding extends Single = 0,
  const Ceil extends boolean = false,
  const Dilation extends Single = 1,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool1d', 1>>,
  kernelSize: K,
  options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
): Tensor<Pooled1d<S, K, Stride, Padding, Ceil, Dilation>, D>;
export function maxPool1d(x: AnyTensor, kernelSize: Single, options: MaxPoolOptions = {}): AnyTensor {
  checkOptions('maxPool1d', options);
  return maxPool('maxPool1d', 1, x, kernelSize, options).values;
}

/**
 * As {@link maxPool1d}, with the places of the maxima: positions (int64) in the row.
 *
 * @example
 * maxPool1dWithIndices(tensor([[1, 3, 2, 5]]), 2)[1]; // [[1, 3]]
 */
export function maxPool1dWithIndices<
  S extends Shape,
  D extends DType,
  const K extends Single,
  const Stride extends Single = K,
  const Padding extends Single = 0,
  const Ceil extends boolean = false,
  const Dilation extends Single = 1,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool1d', 1>>,
  kernelSize: K,
  options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
): [
  Tensor<Pooled1d<S, K, Stride, Padding, Ceil, Dilation>, D>,
  Tensor<Pooled1d<S, K, Stride, Padding, Ceil, Dilation>, 'int64'>,
];
export function maxPool1dWithIndices(x: AnyTensor, kernelSize: Single, options: MaxPoolOptions = {}): AnyTensor[] {
  checkOptions('maxPool1dWithIndices', options);
  const { values, index } = maxPool('maxPool1d', 1, x, kernelSize, options);
  return [values, index()];
}

/**
 * The mean of each window of x [n, c, length] (or [c, length]): y [n, c, l'].
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * avgPool1d(tensor([[1, 3, 2, 6]]), 2); // [[2, 4]]
 */
export function avgPool1d<
  S extends Shape,
  D extends DType,
  const K extends Single,
  const Stride extends Single = K,
  const Padding extends Single = 0,
  const Ceil extends boolean = false,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'avgPool1d', 1>>,
  kernelSize: K,
  options?: AvgPoolOptions<Stride, Padding, Ceil>,
): Tensor<Pooled1d<S, K, Stride, Padding, Ceil>, D>;
export function avgPool1d(x: AnyTensor, kernelSize: Single, options: AvgPoolOptions = {}): AnyTensor {
  checkOptions('avgPool1d', options);
  return avgPool('avgPool1d', 1, x, kernelSize, options);
}

/**
 * The largest element of each window of x [n, c, h, w] (or [c, h, w]): y [n, c, h', w'].
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * maxPool2d(arange(16).cast('float32').reshape([1, 1, 4, 4]), 2); // [[[[5, 7], [13, 15]]]]
 */
export function maxPool2d<
  S extends Shape,
  D extends DType,
  const K extends Pair,
  const Stride extends Pair = K,
  const Padding extends Pair = 0,
  const Ceil extends boolean = false,
  const Dilation extends Pair = 1,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool2d', 2>>,
  kernelSize: K,
  options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
): Tensor<Pooled2d<S, K, Stride, Padding, Ceil, Dilation>, D>;
export function maxPool2d(x: AnyTensor, kernelSize: Pair, options: MaxPoolOptions = {}): AnyTensor {
  checkOptions('maxPool2d', options);
  return maxPool('maxPool2d', 2, x, kernelSize, options).values;
}

/**
 * As {@link maxPool2d}, with the places of the maxima: positions (int64) in the flattened plane.
 *
 * @example
 * maxPool2dWithIndices(arange(16).cast('float32').reshape([1, 1, 4, 4]), 2)[1]; // [[[[5, 7], [13, 15]]]]
 */
export function maxPool2dWithIndices<
  S extends Shape,
  D extends DType,
  const K extends Pair,
  const Stride extends Pair = K,
  const Padding extends Pair = 0,
  const Ceil extends boolean = false,
  const Dilation extends Pair = 1,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool2d', 2>>,
  kernelSize: K,
  options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
): [
  Tensor<Pooled2d<S, K, Stride, Padding, Ceil, Dilation>, D>,
  Tensor<Pooled2d<S, K, Stride, Padding, Ceil, Dilation>, 'int64'>,
];
export function maxPool2dWithIndices(x: AnyTensor, kernelSize: Pair, options: MaxPoolOptions = {}): AnyTensor[] {
  checkOptions('maxPool2dWithIndices', options);
  const { values, index } = maxPool('maxPool2d', 2, x, kernelSize, options);
  return [values, index()];
}

/**
 * The mean of each window of x [n, c, h, w] (or [c, h, w]): y [n, c, h', w'].
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * avgPool2d(ones([1, 1, 4, 4]), 2).shape; // [1, 1, 2, 2]
 */
export function avgPool2d<
  S extends Shape,
  D extends DType,
  const K extends Pair,
  const Stride extends Pair = K,
  const Padding extends Pair = 0,
  const Ceil extends boolean = false,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'avgPool2d', 2>>,
  kernelSize: K,
  options?: AvgPoolOptions<Stride, Padding, Ceil>,
): Tensor<Pooled2d<S, K, Stride, Padding, Ceil>, D>;
export function avgPool2d(x: AnyTensor, kernelSize: Pair, options: AvgPoolOptions = {}): AnyTensor {
  checkOptions('avgPool2d', options);
  return avgPool('avgPool2d', 2, x, kernelSize, options);
}

/**
 * The largest element of each window of x [n, c, d, h, w] (or [c, d, h, w]): y [n, c, d', h', w'].
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * maxPool3d(arange(8).cast('float32').reshape([1, 1, 2, 2, 2]), 2); // [[[[[7]]]]]
 */
export function maxPool3d<
  S extends Shape,
  D extends DType,
  const K extends Triple,
  const Stride extends Triple = K,
  const Padding extends Triple = 0,
  const Ceil extends boolean = false,
  const Dilation extends Triple = 1,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool3d', 3>>,
  kernelSize: K,
  options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
): Tensor<Pooled3d<S, K, Stride, Padding, Ceil, Dilation>, D>;
export function maxPool3d(x: AnyTensor, kernelSize: Triple, options: MaxPoolOptions = {}): AnyTensor {
  checkOptions('maxPool3d', options);
  return maxPool('maxPool3d', 3, x, kernelSize, options).values;
}

/**
 * As {@link maxPool3d}, with the places of the maxima: positions (int64) in the flattened volume.
 *
 * @example
 * maxPool3dWithIndices(arange(8).cast('float32').reshape([1, 1, 2, 2, 2]), 2)[1]; // [[[[[7]]]]]
 */
export function maxPool3dWithIndices<
  S extends Shape,
  D extends DType,
  const K extends Triple,
  const Stride extends Triple = K,
  const Padding extends Triple = 0,
  const Ceil extends boolean = false,
  const Dilation extends Triple = 1,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool3d', 3>>,
  kernelSize: K,
  options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
): [
  Tensor<Pooled3d<S, K, Stride, Padding, Ceil, Dilation>, D>,
  Tensor<Pooled3d<S, K, Stride, Padding, Ceil, Dilation>, 'int64'>,
];
export function maxPool3dWithIndices(x: AnyTensor, kernelSize: Triple, options: MaxPoolOptions = {}): AnyTensor[] {
  checkOptions('maxPool3dWithIndices', options);
  const { values, index } = maxPool('maxPool3d', 3, x, kernelSize, options);
  return [values, index()];
}

/**
 * The mean of each window of x [n, c, d, h, w] (or [c, d, h, w]): y [n, c, d', h', w'].
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * avgPool3d(arange(8).cast('float32').reshape([1, 1, 2, 2, 2]), 2); // [[[[[3.5]]]]]
 */
export function avgPool3d<
  S extends Shape,
  D extends DType,
  const K extends Triple,
  const Stride extends Triple = K,
  const Padding extends Triple = 0,
  const Ceil extends boolean = false,
>(
  x: Tensor<S, D> & Ok<ImageCheck<S, 'avgPool3d', 3>>,
  kernelSize: K,
  options?: AvgPoolOptions<Stride, Padding, Ceil>,
): Tensor<Pooled3d<S, K, Stride, Padding, Ceil>, D>;
export function avgPool3d(x: AnyTensor, kernelSize: Triple, options: AvgPoolOptions = {}): AnyTensor {
  checkOptions('avgPool3d', options);
  return avgPool('avgPool3d', 3, x, kernelSize, options);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    maxPool2d<
      const K extends Pair,
      const Stride extends Pair = K,
      const Padding extends Pair = 0,
      const Ceil extends boolean = false,
      const Dilation extends Pair = 1,
    >(
      kernelSize: K & Ok<ImageCheck<S, 'maxPool2d', 2>>,
      options?: MaxPoolOptions<Stride, Padding, Ceil, Dilation>,
    ): Tensor<Pooled2d<S, K, Stride, Padding, Ceil, Dilation>, D>;
    avgPool2d<
      const K extends Pair,
      const Stride extends Pair = K,
      const Padding extends Pair = 0,
      const Ceil extends boolean = false,
    >(
      kernelSize: K & Ok<ImageCheck<S, 'avgPool2d', 2>>,
      options?: AvgPoolOptions<Stride, Padding, Ceil>,
    ): Tensor<Pooled2d<S, K, Stride, Padding, Ceil>, D>;
  }
}
installMethods({ maxPool2d, avgPool2d });
