/** Pooling over two spatial axes. */
import { ArgumentError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { ImageCheck, Pool2d } from '../tensor/layer-shape-types';
import type { Ok, Resize, Shape } from '../tensor/shape-types';
import { show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { pair, windowCount, type Pair } from './convolution';
import { checkDType, checkTensor, defineOp, floats, installMethods, run, runMany, type NativeOp } from './define';

export interface Pool2dOptions<
  Stride extends Pair = Pair,
  Padding extends Pair = Pair,
  Ceil extends boolean = boolean,
> {
  /** Of the window; the window's size unless given. */
  readonly stride?: Stride;
  /** Added on each side, at most half the window; 0 unless given. */
  readonly padding?: Padding;
  /** Rounds the output's size up instead of down. */
  readonly ceilMode?: Ceil;
}

export interface MaxPool2dOptions<
  Stride extends Pair = Pair,
  Padding extends Pair = Pair,
  Ceil extends boolean = boolean,
  Dilation extends Pair = Pair,
> extends Pool2dOptions<Stride, Padding, Ceil> {
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Dilation;
}

/** The shape of a pooled S; with `ceilMode` the spatial sizes are left open. */
type Pooled<
  S extends Shape,
  K extends Pair,
  Stride extends Pair,
  Padding extends Pair,
  Ceil extends boolean,
  Dilation extends Pair,
> = Ceil extends false ? Pool2d<S, K, Stride, Padding, Dilation> : Resize<Resize<S, -1, number>, -2, number>;

export interface AvgPool2dOptions<
  Stride extends Pair = Pair,
  Padding extends Pair = Pair,
  Ceil extends boolean = boolean,
> extends Pool2dOptions<Stride, Padding, Ceil> {
  /** Whether zeros of the padding count in the divisor; true unless given. */
  readonly countPadding?: boolean;
}

/** x as [n, c, h, w]; a missing batch axis is added. */
function planes(op: string, x: AnyTensor): AnyTensor {
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  if (x.rank === 4) return x;
  if (x.rank === 3) return x.unsqueeze(0);
  throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, h, w] or [c, h, w]`);
}

function checkPadding(op: string, padding: readonly number[], kernel: readonly number[]): void {
  if (padding.some((count, i) => count > kernel[i]! / 2)) {
    throw new ArgumentError(`${op}: padding: got ${show(padding)}, expected at most half the window ${show(kernel)}`);
  }
}

const maxPool2dOp = defineOp('maxPool2d', {
  dtypes: floats,
  saves: { outputs: true },
  gradient: (g, node) => {
    const index = node.output(1);
    return [run(maxPool2dBackwardOp, [g, index], node.shape(0), g.dtype, undefined, { index })];
  },
});
const maxPool2dBackwardOp = defineOp<{ readonly index: AnyTensor }>('maxPool2dBackward', {
  dtypes: floats,
  // The adjoint of scattering to the maxima is gathering from them.
  gradient: (gg, { context: { index } }) => {
    const [n, c] = gg.shape as [number, number];
    const plane = gg.reshape([n, c, sizeOf(gg.shape.slice(2))]);
    const places = index.reshape([n, c, sizeOf(index.shape.slice(2))]) as Tensor<Shape, 'int64'>;
    return [plane.gather(2, places).reshape(index.shape)];
  },
});

/**
 * The largest element of each window of x [n, c, h, w], and where it is in its flattened plane (int64).
 *
 * @see maxPool2d
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
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool2d'>>,
  kernelSize: K,
  options?: MaxPool2dOptions<Stride, Padding, Ceil, Dilation>,
): [
  Tensor<Pooled<S, K, Stride, Padding, Ceil, Dilation>, D>,
  Tensor<Pooled<S, K, Stride, Padding, Ceil, Dilation>, 'int64'>,
];
export function maxPool2dWithIndices(x: AnyTensor, kernelSize: Pair, options: MaxPool2dOptions = {}): AnyTensor[] {
  const op = 'maxPool2d';
  const input = planes(op, x);
  const kernel = pair(op, 'kernelSize', kernelSize, kernelSize, 1);
  const stride = pair(op, 'stride', options.stride, kernel, 1);
  const padding = pair(op, 'padding', options.padding, 0, 0);
  const dilation = pair(op, 'dilation', options.dilation, 1, 1);
  checkPadding(op, padding, kernel);
  const spatial = [0, 1].map((i) => {
    const extent = dilation[i]! * (kernel[i]! - 1) + 1;
    return windowCount(op, input.shape[2 + i]!, extent, stride[i]!, padding[i]!, options.ceilMode);
  });
  const shape = [input.shape[0]!, input.shape[1]!, ...spatial];
  const outputs = [
    { shape, dtype: x.dtype },
    { shape, dtype: 'int64' as const },
  ];
  const results = runMany(maxPool2dOp, [input], outputs, [...kernel, ...stride, ...padding, ...dilation]);
  return x.rank === 4 ? results : results.map((result) => result.squeeze(0));
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
  x: Tensor<S, D> & Ok<ImageCheck<S, 'maxPool2d'>>,
  kernelSize: K,
  options?: MaxPool2dOptions<Stride, Padding, Ceil, Dilation>,
): Tensor<Pooled<S, K, Stride, Padding, Ceil, Dilation>, D>;
export function maxPool2d(x: AnyTensor, kernelSize: Pair, options?: MaxPool2dOptions): AnyTensor {
  return maxPool2dWithIndices(x, kernelSize, options)[0];
}

interface AvgContext {
  readonly attributes: readonly number[];
}

const avgPool2dOp: NativeOp<AvgContext> = defineOp<AvgContext>('avgPool2d', {
  dtypes: floats,
  gradient: (g, node) => [run(avgPool2dBackwardOp, [g], node.shape(0), g.dtype, node.context.attributes, node.context)],
});
const avgPool2dBackwardOp = defineOp<AvgContext>('avgPool2dBackward', {
  dtypes: floats,
  gradient: (gg, node) => [run(avgPool2dOp, [gg], node.shape(0), gg.dtype, node.context.attributes, node.context)],
});

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
  x: Tensor<S, D> & Ok<ImageCheck<S, 'avgPool2d'>>,
  kernelSize: K,
  options?: AvgPool2dOptions<Stride, Padding, Ceil>,
): Tensor<Pooled<S, K, Stride, Padding, Ceil, 1>, D>;
export function avgPool2d(x: AnyTensor, kernelSize: Pair, options: AvgPool2dOptions = {}): AnyTensor {
  const op = 'avgPool2d';
  const input = planes(op, x);
  const kernel = pair(op, 'kernelSize', kernelSize, kernelSize, 1);
  const stride = pair(op, 'stride', options.stride, kernel, 1);
  const padding = pair(op, 'padding', options.padding, 0, 0);
  checkPadding(op, padding, kernel);
  const spatial = [0, 1].map((i) =>
    windowCount(op, input.shape[2 + i]!, kernel[i]!, stride[i]!, padding[i]!, options.ceilMode),
  );
  const shape = [input.shape[0]!, input.shape[1]!, ...spatial];
  const attributes = [...kernel, ...stride, ...padding, Number(options.countPadding ?? true)];
  const result = run(avgPool2dOp, [input], shape, x.dtype, attributes, { attributes });
  return x.rank === 4 ? result : result.squeeze(0);
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
      kernelSize: K & Ok<ImageCheck<S, 'maxPool2d'>>,
      options?: MaxPool2dOptions<Stride, Padding, Ceil, Dilation>,
    ): Tensor<Pooled<S, K, Stride, Padding, Ceil, Dilation>, D>;
    avgPool2d<
      const K extends Pair,
      const Stride extends Pair = K,
      const Padding extends Pair = 0,
      const Ceil extends boolean = false,
    >(
      kernelSize: K & Ok<ImageCheck<S, 'avgPool2d'>>,
      options?: AvgPool2dOptions<Stride, Padding, Ceil>,
    ): Tensor<Pooled<S, K, Stride, Padding, Ceil, 1>, D>;
  }
}
installMethods({ maxPool2d, avgPool2d });
