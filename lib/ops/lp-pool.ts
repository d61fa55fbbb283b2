/** Power-mean pooling, composed of average pooling. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkOptions, checkTensor, floats } from './define';
import { power } from './norm';
import { avgPool, type PoolOptions } from './pool-planes';
import { wide } from './wide';
import { perAxis, type Pair, type Single, type SpatialRank, type Triple } from './window';

export type LpPoolOptions<Sizes = number | readonly number[]> = Omit<PoolOptions<Sizes>, 'padding'>;

function lpPool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  normType: number,
  kernelSize: number | readonly number[],
  options: LpPoolOptions,
): AnyTensor {
  if (!(Number.isFinite(normType) && normType !== 0)) {
    throw new ArgumentError(`${op}: normType: got ${shown(normType)}, expected a number other than 0`);
  }
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  const elements = sizeOf(perAxis(op, 'kernelSize', kernelSize, kernelSize, 1, rank));
  const { stride, ceilMode } = options;
  const mean = avgPool(op, rank, wide(x).pow(normType) as AnyTensor, kernelSize, {
    ...(stride !== undefined && { stride }),
    ...(ceilMode !== undefined && { ceilMode }),
  });
  return power(mean.mul(elements) as AnyTensor, 1 / normType).cast(x.dtype) as AnyTensor;
}

/**
 * The power sum of each window of x [n, c, length] (or [c, length]): y = (Σ xᵖ)^(1/p) with p = `normType`, as PyTorch computes it. With `ceilMode` a window that reaches
 * past the end counts as if its mean went on.
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * lpPool1d(tensor([[3, 4]]), 2, 2); // [[5]]
 */
export function lpPool1d<D extends DType>(
  x: Tensor<Shape, D>,
  normType: number,
  kernelSize: Single,
  options?: LpPoolOptions<Single>,
): Tensor<Shape, D>;
export function lpPool1d(
  x: AnyTensor,
  normType: number,
  kernelSize: Single,
  options: LpPoolOptions<Single> = {},
): AnyTensor {
  checkOptions('lpPool1d', options);
  return lpPool('lpPool1d', 1, x, normType, kernelSize, options);
}

/**
 * The power sum of each window of x [n, c, h, w] (or [c, h, w]): y = (Σ xᵖ)^(1/p) with p = `normType`, as PyTorch computes it. With `ceilMode` a window that reaches
 * past the end counts as if its mean went on.
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * lpPool2d(ones([1, 1, 4, 4]), 2, 2); // [[[[2, 2], [2, 2]]]]
 */
export function lpPool2d<D extends DType>(
  x: Tensor<Shape, D>,
  normType: number,
  kernelSize: Pair,
  options?: LpPoolOptions<Pair>,
): Tensor<Shape, D>;
export function lpPool2d(
  x: AnyTensor,
  normType: number,
  kernelSize: Pair,
  options: LpPoolOptions<Pair> = {},
): AnyTensor {
  checkOptions('lpPool2d', options);
  return lpPool('lpPool2d', 2, x, normType, kernelSize, options);
}

/**
 * The power sum of each window of x [n, c, d, h, w] (or [c, d, h, w]): y = (Σ xᵖ)^(1/p) with p = `normType`, as PyTorch computes it. With `ceilMode` a window that reaches
 * past the end counts as if its mean went on.
 *
 * @throws ShapeError when the window does not fit.
 * @example
 * lpPool3d(ones([1, 1, 2, 2, 2]), 3, 2); // [[[[[2]]]]]
 */
export function lpPool3d<D extends DType>(
  x: Tensor<Shape, D>,
  normType: number,
  kernelSize: Triple,
  options?: LpPoolOptions<Triple>,
): Tensor<Shape, D>;
export function lpPool3d(
  x: AnyTensor,
  normType: number,
  kernelSize: Triple,
  options: LpPoolOptions<Triple> = {},
): AnyTensor {
  checkOptions('lpPool3d', options);
  return lpPool('lpPool3d', 3, x, normType, kernelSize, options);
}
