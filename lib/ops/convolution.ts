/** Convolution over two spatial axes. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Conv2d, Conv2dCheck } from '../tensor/layer-shape-types';
import type { Ok, Resize, Shape, SizeAt } from '../tensor/shape-types';
import type { Multiply } from '../tensor/size-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkTensor, defineOp, floats, installMethods, run } from './define';

/** One number for both spatial axes, or `[height, width]`. */
export type Pair = number | readonly [number, number];

export interface Conv2dOptions<
  Stride extends Pair = Pair,
  Padding extends Pair | 'same' | 'valid' = Pair | 'same' | 'valid',
  Dilation extends Pair = Pair,
  Groups extends number = number,
> {
  /** Of the window, in elements; 1 unless given. */
  readonly stride?: Stride;
  /** Zeros added on each side, or `'same'` for an output of the input's size (stride 1 only), or `'valid'` for none; 0 unless given. */
  readonly padding?: Padding;
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Dilation;
  /** Independent groups of channels; 1 unless given. */
  readonly groups?: Groups;
}

/** The two numbers of a pair, which must be integers of at least `least`. */
export function pair(
  op: string,
  name: string,
  value: Pair | undefined,
  otherwise: Pair,
  least: number,
): [number, number] {
  const given = value ?? otherwise;
  const result: readonly number[] = typeof given === 'number' ? [given, given] : given;
  const valid = (list: unknown): boolean =>
    Array.isArray(list) && list.length === 2 && list.every((n) => Number.isSafeInteger(n) && n >= least);
  if (!valid(result)) {
    throw new ArgumentError(
      `${op}: ${name}: got ${JSON.stringify(given)}, expected one or two integers of at least ${least}`,
    );
  }
  return [result[0]!, result[1]!];
}

/** The sizes that a window of `extent` takes along an axis of `size`. Throws when it does not fit once. */
export function windowCount(
  op: string,
  size: number,
  extent: number,
  stride: number,
  padding: number,
  ceilMode = false,
): number {
  const room = size + 2 * padding - extent;
  if (room < 0) {
    throw new ShapeError(
      `${op}: window larger than the input: got ${extent}, expected at most ${size + 2 * padding}, padding included`,
    );
  }
  const count = (ceilMode ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  // A last window that begins in the padding after the input is left out.
  return ceilMode && (count - 1) * stride >= size + padding ? count - 1 : count;
}

/** The shape of a convolution of S with a weight of shape W. */
type Convolved<
  S extends Shape,
  W extends Shape,
  Stride extends Pair,
  Padding extends Pair | 'same' | 'valid',
  Dilation extends Pair,
> = Padding extends 'same'
  ? Resize<S, 1, SizeAt<W, 0>>
  : Conv2d<
      S,
      SizeAt<W, 0>,
      readonly [SizeAt<W, 2>, SizeAt<W, 3>],
      Stride,
      Padding extends Pair ? Padding : 0,
      Dilation
    >;

/** What all three convolution kernels are told. */
interface Geometry {
  readonly attributes: readonly number[];
}

const conv2dOp = defineOp<Geometry>('conv2d', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (g, node) => [
    node.needs(0) ? inputGradient(g, node.input(1), node.shape(0), node.context) : undefined,
    node.needs(1) ? weightGradient(g, node.input(0), node.shape(1), node.context) : undefined,
    node.needs(2) ? g.sum([0, 2, 3]) : undefined,
  ],
});

// The gradients are convolutions themselves: linear in each of their inputs, so their gradients are the other two kernels.
const inputGradOp = defineOp<Geometry>('conv2dInputGrad', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (gg, node) => [
    node.needs(0)
      ? run(conv2dOp, [gg, node.input(1), undefined], node.shape(0), gg.dtype, node.context.attributes, node.context)
      : undefined,
    node.needs(1) ? weightGradient(node.input(0), gg, node.shape(1), node.context) : undefined,
  ],
});
const weightGradOp = defineOp<Geometry>('conv2dWeightGrad', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (gg, node) => [
    node.needs(0)
      ? run(conv2dOp, [node.input(1), gg, undefined], node.shape(0), gg.dtype, node.context.attributes, node.context)
      : undefined,
    node.needs(1) ? inputGradient(node.input(0), gg, node.shape(1), node.context) : undefined,
  ],
});

function inputGradient(g: AnyTensor, weight: AnyTensor, shape: Shape, geometry: Geometry): AnyTensor {
  return run(inputGradOp, [g, weight], shape, g.dtype, geometry.attributes, geometry);
}

function weightGradient(g: AnyTensor, x: AnyTensor, shape: Shape, geometry: Geometry): AnyTensor {
  return run(weightGradOp, [g, x], shape, g.dtype, geometry.attributes, geometry);
}

/**
 * Two-dimensional convolution (cross-correlation, as in every deep-learning library) of x [n, c, h, w] with weight [o, c / groups, kh, kw], plus bias
 * [o]: y [n, o, h', w'] with h' = ⌊(h + 2·padding − dilation·(kh − 1) − 1) / stride⌋ + 1.
 *
 * @throws ShapeError when channels, groups, bias or window do not fit.
 * @see LeCun et al., 1989, Backpropagation applied to handwritten zip code recognition.
 * @example
 * conv2d(ones([1, 3, 8, 8]), ones([16, 3, 3, 3]), undefined, { padding: 'same' }).shape; // [1, 16, 8, 8]
 */
export function conv2d<
  S extends Shape,
  D extends DType,
  W extends Shape,
  const Stride extends Pair = 1,
  const Padding extends Pair | 'same' | 'valid' = 0,
  const Dilation extends Pair = 1,
  const Groups extends number = 1,
>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<Conv2dCheck<S, Multiply<SizeAt<W, 1>, Groups>>>,
  bias?: Tensor<Shape, D>,
  options?: Conv2dOptions<Stride, Padding, Dilation, Groups>,
): Tensor<Convolved<S, W, Stride, Padding, Dilation>, D>;
export function conv2d(x: AnyTensor, weight: AnyTensor, bias?: AnyTensor, options: Conv2dOptions = {}): AnyTensor {
  checkTensor('conv2d', x);
  checkTensor('conv2d', weight, 'weight');
  checkDType('conv2d', x.dtype, floats);
  if (weight.dtype !== x.dtype) {
    throw new DTypeError(`conv2d: weight: got dtype ${weight.dtype}, expected ${x.dtype} as x`);
  }
  if (x.rank !== 4 || weight.rank !== 4) {
    throw new ShapeError(
      `conv2d: wrong rank: got x ${show(x.shape)} and weight ${show(weight.shape)}, expected [n, c, h, w] and [o, c / groups, kh, kw]`,
    );
  }
  const [strideH, strideW] = pair('conv2d', 'stride', options.stride, 1, 1);
  const [dilationH, dilationW] = pair('conv2d', 'dilation', options.dilation, 1, 1);
  const { groups = 1 } = options;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const [out, perGroup, kernelH, kernelW] = weight.shape as [number, number, number, number];
  if (!Number.isSafeInteger(groups) || groups < 1 || channels % groups !== 0 || out % groups !== 0) {
    throw new ShapeError(
      `conv2d: groups: got ${groups}, expected a divisor of ${channels} input and ${out} output channels`,
    );
  }
  if (perGroup * groups !== channels) {
    throw new ShapeError(
      `conv2d: channels differ: x ${show(x.shape)} has ${channels}, weight ${show(weight.shape)} with ${groups} groups takes ${perGroup * groups}`,
    );
  }
  if (bias !== undefined) {
    checkTensor('conv2d', bias, 'bias');
    if (bias.dtype !== x.dtype) throw new DTypeError(`conv2d: bias: got dtype ${bias.dtype}, expected ${x.dtype} as x`);
    if (bias.rank !== 1 || bias.shape[0] !== out) {
      throw new ShapeError(`conv2d: bias does not fit: got shape ${show(bias.shape)}, expected [${out}]`);
    }
  }
  const extentH = dilationH * (kernelH - 1) + 1;
  const extentW = dilationW * (kernelW - 1) + 1;
  let input = x;
  let padding = options.padding;
  if (padding === 'same') {
    if (strideH !== 1 || strideW !== 1) {
      throw new ArgumentError(`conv2d: padding: got 'same' with stride ${strideH}, ${strideW}, expected stride 1`);
    }
    // An even extent needs one more zero after than before.
    if (extentH % 2 === 0 || extentW % 2 === 0)
      input = x.pad([
        [0, (extentH - 1) % 2],
        [0, (extentW - 1) % 2],
      ]);
    padding = [Math.floor((extentH - 1) / 2), Math.floor((extentW - 1) / 2)];
  } else if (padding === 'valid') {
    padding = 0;
  }
  const [padH, padW] = pair('conv2d', 'padding', padding, 0, 0);
  const shape = [
    n,
    out,
    windowCount('conv2d', input.shape[2] ?? height, extentH, strideH, padH),
    windowCount('conv2d', input.shape[3] ?? width, extentW, strideW, padW),
  ];
  const attributes = [strideH, strideW, padH, padW, dilationH, dilationW, groups];
  return run(conv2dOp, [input, weight, bias], shape, x.dtype, attributes, { attributes });
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    conv2d<
      W extends Shape,
      const Stride extends Pair = 1,
      const Padding extends Pair | 'same' | 'valid' = 0,
      const Dilation extends Pair = 1,
      const Groups extends number = 1,
    >(
      weight: Tensor<W, D> & Ok<Conv2dCheck<S, Multiply<SizeAt<W, 1>, Groups>>>,
      bias?: Tensor<Shape, D>,
      options?: Conv2dOptions<Stride, Padding, Dilation, Groups>,
    ): Tensor<Convolved<S, W, Stride, Padding, Dilation>, D>;
  }
}
installMethods({ conv2d });
