/** Convolution over one, two and three spatial axes. One axis is two with a height of 1; the transposed forms are conv-transpose.ts. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Conv1d, Conv2d, Conv2dCheck, Conv3d, ConvCheck } from '../tensor/layer-shape-types';
import type { Ok, Resize, Shape, SizeAt } from '../tensor/shape-types';
import type { Multiply } from '../tensor/size-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { lowerPrecision, lowerPrecisionOfImages, operand } from './autocast';
import { checkDType, checkOptions, checkTensor, defineOp, floats, installMethods, type NativeOp, run } from './define';
import { batched, perAxis, windowCount, type Pair, type Single, type SpatialRank, type Triple } from './window';

export interface ConvOptions<Stride, Padding, Dilation, Groups extends number = number> {
  /** Of the window, in elements; 1 unless given. */
  readonly stride?: Stride;
  /** Zeros added on each side, or `'same'` for an output of the input's size (stride 1 only), or `'valid'` for none; 0 unless given. */
  readonly padding?: Padding;
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Dilation;
  /** Independent groups of channels; 1 unless given. */
  readonly groups?: Groups;
}

type Mode = 'same' | 'valid';
export type Conv1dOptions<
  Stride extends Single = Single,
  Padding extends Single | Mode = Single | Mode,
  Dilation extends Single = Single,
  Groups extends number = number,
> = ConvOptions<Stride, Padding, Dilation, Groups>;
export type Conv2dOptions<
  Stride extends Pair = Pair,
  Padding extends Pair | Mode = Pair | Mode,
  Dilation extends Pair = Pair,
  Groups extends number = number,
> = ConvOptions<Stride, Padding, Dilation, Groups>;
export type Conv3dOptions<
  Stride extends Triple = Triple,
  Padding extends Triple | Mode = Triple | Mode,
  Dilation extends Triple = Triple,
  Groups extends number = number,
> = ConvOptions<Stride, Padding, Dilation, Groups>;

/** The padding of a type rule: `'valid'` is none. */
type Amount<Padding> = Padding extends 'valid' ? 0 : Padding;

type Convolved1d<S extends Shape, W extends Shape, Stride, Padding, Dilation> = Padding extends 'same'
  ? Resize<S, -2, SizeAt<W, 0>>
  : Conv1d<S, SizeAt<W, 0>, SizeAt<W, 2>, Stride, Amount<Padding>, Dilation>;
type Convolved2d<S extends Shape, W extends Shape, Stride, Padding, Dilation> = Padding extends 'same'
  ? Resize<S, -3, SizeAt<W, 0>>
  : Conv2d<S, SizeAt<W, 0>, readonly [SizeAt<W, 2>, SizeAt<W, 3>], Stride, Amount<Padding>, Dilation>;
type Convolved3d<S extends Shape, W extends Shape, Stride, Padding, Dilation> = Padding extends 'same'
  ? Resize<S, -4, SizeAt<W, 0>>
  : Conv3d<S, SizeAt<W, 0>, readonly [SizeAt<W, 2>, SizeAt<W, 3>, SizeAt<W, 4>], Stride, Amount<Padding>, Dilation>;

/** What all three kernels of a convolution are told. */
interface Geometry {
  readonly attributes: readonly number[];
}

/** A convolution and its gradients, each linear in both of its tensors. */
interface Family {
  readonly forward: (
    x: AnyTensor,
    weight: AnyTensor,
    bias: AnyTensor | undefined,
    shape: Shape,
    how: Geometry,
  ) => AnyTensor;
  /** By the input; also the transposed convolution of g. */
  readonly inputGradient: (g: AnyTensor, weight: AnyTensor, shape: Shape, how: Geometry) => AnyTensor;
}

function defineFamily(name: 'conv2d' | 'conv3d'): Family {
  const forward: Family['forward'] = (x, weight, bias, shape, how) =>
    run(forwardOp, [x, weight, bias], shape, x.dtype, how.attributes, how);
  const inputGradient: Family['inputGradient'] = (g, weight, shape, how) =>
    run(inputGradOp, [g, weight], shape, g.dtype, how.attributes, how);
  const weightGradient = (g: AnyTensor, x: AnyTensor, shape: Shape, how: Geometry): AnyTensor =>
    run(weightGradOp, [g, x], shape, g.dtype, how.attributes, how);
  const spec = { dtypes: floats, saves: { inputs: true }, channels: 'last' } as const;
  const forwardOp: NativeOp<Geometry> = defineOp<Geometry>(name, {
    ...spec,
    gradient: (g, node) => [
      node.needs(0) ? inputGradient(g, node.input(1), node.shape(0), node.context) : undefined,
      node.needs(1) ? weightGradient(g, node.input(0), node.shape(1), node.context) : undefined,
      node.needs(2) ? g.sum(g.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]))) : undefined,
    ],
  });
  const inputGradOp: NativeOp<Geometry> = defineOp<Geometry>(`${name}InputGrad`, {
    ...spec,
    gradient: (gg, node) => [
      node.needs(0) ? forward(gg, node.input(1), undefined, node.shape(0), node.context) : undefined,
      node.needs(1) ? weightGradient(node.input(0), gg, node.shape(1), node.context) : undefined,
    ],
  });
  const weightGradOp: NativeOp<Geometry> = defineOp<Geometry>(`${name}WeightGrad`, {
    ...spec,
    gradient: (gg, node) => [
      node.needs(0) ? forward(node.input(1), gg, undefined, node.shape(0), node.context) : undefined,
      node.needs(1) ? inputGradient(node.input(0), gg, node.shape(1), node.context) : undefined,
    ],
  });
  return { forward, inputGradient };
}

const planar = defineFamily('conv2d');
const spatial = defineFamily('conv3d');

/** The kernels for `rank` spatial axes, and the way of tensors and sizes there and back. */
export function kernelsOf(rank: SpatialRank): {
  readonly family: Family;
  readonly lift: (x: AnyTensor) => AnyTensor;
  readonly lower: (x: AnyTensor) => AnyTensor;
  readonly sizes: (sizes: readonly number[], missing: number) => readonly number[];
} {
  if (rank === 1) {
    return {
      family: planar,
      lift: (x) => x.unsqueeze(-2),
      lower: (x) => x.squeeze(-2),
      sizes: (sizes, missing) => [missing, ...sizes],
    };
  }
  const same = (x: AnyTensor): AnyTensor => x;
  return { family: rank === 2 ? planar : spatial, lift: same, lower: same, sizes: (sizes) => sizes };
}

const kernelNames = { 1: 'length', 2: 'kh, kw', 3: 'kd, kh, kw' } as const;

/** Checks what convolutions and their transposed forms have in common. `out` is the number of output channels. */
export function checkConvolution(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | undefined,
  layout: string,
): void {
  checkTensor(op, x);
  checkTensor(op, weight, 'weight');
  checkDType(op, x.dtype, floats);
  if (weight.dtype !== x.dtype) {
    throw new DTypeError(`${op}: weight: got dtype ${weight.dtype}, expected ${x.dtype} as x`);
  }
  if (weight.rank !== rank + 2) {
    throw new ShapeError(
      `${op}: wrong rank: got weight ${show(weight.shape)}, expected [${layout}, ${kernelNames[rank]}]`,
    );
  }
  if (weight.shape.includes(0)) {
    throw new ShapeError(`${op}: weight is empty: got shape ${show(weight.shape)}, expected sizes of at least 1`);
  }
  if (bias === undefined) return;
  checkTensor(op, bias, 'bias');
  if (bias.dtype !== x.dtype) throw new DTypeError(`${op}: bias: got dtype ${bias.dtype}, expected ${x.dtype} as x`);
}

export function checkBias(op: string, bias: AnyTensor | undefined, out: number): void {
  if (bias !== undefined && (bias.rank !== 1 || bias.shape[0] !== out)) {
    throw new ShapeError(`${op}: bias does not fit: got shape ${show(bias.shape)}, expected [${out}]`);
  }
}

function convolve(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | undefined,
  options: ConvOptions<number | readonly number[], number | readonly number[] | Mode, number | readonly number[]>,
): AnyTensor {
  [x, weight] = [operand(lowerPrecisionOfImages, x), operand(lowerPrecisionOfImages, weight)];
  bias = operand(lowerPrecision, bias);
  checkConvolution(op, rank, x, weight, bias, 'o, c / groups');
  let input = batched(op, x, rank);
  const stride = perAxis(op, 'stride', options.stride, 1, 1, rank);
  const dilation = perAxis(op, 'dilation', options.dilation, 1, 1, rank);
  const { groups = 1 } = options;
  const channels = input.shape[1]!;
  const [out, perGroup] = weight.shape as [number, number];
  if (!Number.isSafeInteger(groups) || groups < 1 || channels % groups !== 0 || out % groups !== 0) {
    throw new ShapeError(
      `${op}: groups: got ${groups}, expected a divisor of ${channels} input and ${out} output channels`,
    );
  }
  if (perGroup * groups !== channels) {
    throw new ShapeError(
      `${op}: channels differ: x ${show(x.shape)} has ${channels}, weight ${show(weight.shape)} with ${groups} groups takes ${perGroup * groups}`,
    );
  }
  checkBias(op, bias, out);
  const extent = dilation.map((step, i) => step * (weight.shape[2 + i]! - 1) + 1);
  let padding: number[];
  if (options.padding === 'same') {
    if (stride.some((step) => step !== 1)) {
      throw new ArgumentError(`${op}: padding: got 'same' with stride ${stride.join(', ')}, expected stride 1`);
    }
    // An even extent needs one more zero after than before.
    if (extent.some((size) => size % 2 === 0)) input = input.pad(extent.map((size) => [0, (size - 1) % 2] as const));
    padding = extent.map((size) => Math.floor((size - 1) / 2));
  } else {
    padding = perAxis(op, 'padding', options.padding === 'valid' ? 0 : options.padding, 0, 0, rank);
  }
  const space = extent.map((size, i) => windowCount(op, input.shape[2 + i]!, size, stride[i]!, padding[i]!));
  const { family, lift, lower, sizes } = kernelsOf(rank);
  const attributes = [...sizes(stride, 1), ...sizes(padding, 0), ...sizes(dilation, 1), groups];
  const shape = [input.shape[0]!, out, ...sizes(space, 1)];
  const y = lower(family.forward(lift(input), lift(weight), bias, shape, { attributes }));
  return x.rank === input.rank ? y : y.squeeze(0);
}

/**
 * One-dimensional convolution (cross-correlation) of x [n, c, length] (or [c, length]) with weight [o, c / groups, k], plus bias [o]: y [n, o, l'] with
 * l' = ⌊(length + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1.
 *
 * @throws ShapeError when channels, groups, bias or window do not fit.
 * @example
 * conv1d(tensor([[[1, 2, 3, 4]]]), tensor([[[1, -1]]])); // [[[-1, -1, -1]]]
 */
export function conv1d<
  S extends Shape,
  D extends DType,
  W extends Shape,
  const Stride extends Single = 1,
  const Padding extends Single | Mode = 0,
  const Dilation extends Single = 1,
  const Groups extends number = 1,
>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<ConvCheck<S, -2, Multiply<SizeAt<W, 1>, Groups>, 'conv1d'>>,
  bias?: Tensor<Shape, D>,
  options?: Conv1dOptions<Stride, Padding, Dilation, Groups>,
): Tensor<Convolved1d<S, W, Stride, Padding, Dilation>, D>;
export function conv1d(x: AnyTensor, weight: AnyTensor, bias?: AnyTensor, options: Conv1dOptions = {}): AnyTensor {
  checkOptions('conv1d', options);
  return convolve('conv1d', 1, x, weight, bias, options);
}

/**
 * Two-dimensional convolution (cross-correlation, as in every deep-learning library) of x [n, c, h, w] (or [c, h, w]) with weight [o, c / groups, kh, kw],
 * plus bias [o]: y [n, o, h', w'] with h' = ⌊(h + 2·padding − dilation·(kh − 1) − 1) / stride⌋ + 1.
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
  const Padding extends Pair | Mode = 0,
  const Dilation extends Pair = 1,
  const Groups extends number = 1,
>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<Conv2dCheck<S, Multiply<SizeAt<W, 1>, Groups>>>,
  bias?: Tensor<Shape, D>,
  options?: Conv2dOptions<Stride, Padding, Dilation, Groups>,
): Tensor<Convolved2d<S, W, Stride, Padding, Dilation>, D>;
export function conv2d(x: AnyTensor, weight: AnyTensor, bias?: AnyTensor, options: Conv2dOptions = {}): AnyTensor {
  checkOptions('conv2d', options);
  return convolve('conv2d', 2, x, weight, bias, options);
}

/**
 * Three-dimensional convolution (cross-correlation) of x [n, c, d, h, w] (or [c, d, h, w]) with weight [o, c / groups, kd, kh, kw], plus bias [o]:
 * y [n, o, d', h', w'] with sizes as in {@link conv2d}.
 *
 * @throws ShapeError when channels, groups, bias or window do not fit.
 * @example
 * conv3d(ones([1, 2, 4, 8, 8]), ones([5, 2, 3, 3, 3])).shape; // [1, 5, 2, 6, 6]
 */
export function conv3d<
  S extends Shape,
  D extends DType,
  W extends Shape,
  const Stride extends Triple = 1,
  const Padding extends Triple | Mode = 0,
  const Dilation extends Triple = 1,
  const Groups extends number = 1,
>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<ConvCheck<S, -4, Multiply<SizeAt<W, 1>, Groups>, 'conv3d'>>,
  bias?: Tensor<Shape, D>,
  options?: Conv3dOptions<Stride, Padding, Dilation, Groups>,
): Tensor<Convolved3d<S, W, Stride, Padding, Dilation>, D>;
export function conv3d(x: AnyTensor, weight: AnyTensor, bias?: AnyTensor, options: Conv3dOptions = {}): AnyTensor {
  checkOptions('conv3d', options);
  return convolve('conv3d', 3, x, weight, bias, options);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    conv2d<
      W extends Shape,
      const Stride extends Pair = 1,
      const Padding extends Pair | Mode = 0,
      const Dilation extends Pair = 1,
      const Groups extends number = 1,
    >(
      weight: Tensor<W, D> & Ok<Conv2dCheck<S, Multiply<SizeAt<W, 1>, Groups>>>,
      bias?: Tensor<Shape, D>,
      options?: Conv2dOptions<Stride, Padding, Dilation, Groups>,
    ): Tensor<Convolved2d<S, W, Stride, Padding, Dilation>, D>;
  }
}
installMethods({ conv2d });
