/** Transposed convolution over one to three spatial axes: the gradient of a convolution by its input, as an op of its own. */
import { ArgumentError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { ConvCheck, ConvTranspose } from '../tensor/layer-shape-types';
import type { Ok, Shape, SizeAt } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { lowerPrecision, lowerPrecisionOfImages, operand } from './autocast';
import { checkBias, checkConvolution, kernelsOf } from './convolution';
import { batched, perAxis, type Pair, type Single, type SpatialRank, type Triple } from './window';
import { checkOptions } from './define';

export interface ConvTransposeOptions<Sizes> {
  /** How many elements of the output lie between the windows of neighbouring inputs; 1 unless given. */
  readonly stride?: Sizes;
  /** How many elements are cut from each side of the output; 0 unless given. */
  readonly padding?: Sizes;
  /** Elements added at the end of each axis of the output, fewer than the stride or the dilation; 0 unless given. */
  readonly outputPadding?: Sizes;
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Sizes;
  /** Independent groups of channels; 1 unless given. */
  readonly groups?: number;
}

function transposed(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | undefined,
  options: ConvTransposeOptions<number | readonly number[]>,
): AnyTensor {
  [x, weight] = [operand(lowerPrecisionOfImages, x), operand(lowerPrecisionOfImages, weight)];
  bias = operand(lowerPrecision, bias);
  checkConvolution(op, rank, x, weight, bias, 'c, o / groups');
  const input = batched(op, x, rank);
  const stride = perAxis(op, 'stride', options.stride, 1, 1, rank);
  const padding = perAxis(op, 'padding', options.padding, 0, 0, rank);
  const outputPadding = perAxis(op, 'outputPadding', options.outputPadding, 0, 0, rank);
  const dilation = perAxis(op, 'dilation', options.dilation, 1, 1, rank);
  const { groups = 1 } = options;
  const [channels, perGroup] = weight.shape as [number, number];
  if (!Number.isSafeInteger(groups) || groups < 1 || channels % groups !== 0) {
    throw new ShapeError(`${op}: groups: got ${groups}, expected a divisor of ${channels} input channels`);
  }
  if (input.shape[1] !== channels) {
    throw new ShapeError(
      `${op}: channels differ: x ${show(x.shape)} has ${input.shape[1]!}, weight ${show(weight.shape)} takes ${channels}`,
    );
  }
  const out = perGroup * groups;
  checkBias(op, bias, out);
  const space = stride.map((step, i) => {
    if (outputPadding[i]! >= Math.max(step, dilation[i]!)) {
      throw new ArgumentError(
        `${op}: outputPadding: got ${outputPadding[i]!}, expected less than the stride ${step} or the dilation ${dilation[i]!}`,
      );
    }
    const inner = (input.shape[2 + i]! - 1) * step + dilation[i]! * (weight.shape[2 + i]! - 1) + outputPadding[i]! + 1;
    const size = inner - 2 * padding[i]!;
    if (size < 1) {
      throw new ShapeError(`${op}: nothing is left: got x ${show(x.shape)} with padding ${padding[i]!} of ${inner}`);
    }
    return size;
  });
  const { family, lift, lower, sizes } = kernelsOf(rank);
  const attributes = [...sizes(stride, 1), ...sizes(padding, 0), ...sizes(dilation, 1), groups];
  const shape = [input.shape[0]!, out, ...sizes(space, 1)];
  let y = lower(family.inputGradient(lift(input), lift(weight), shape, { attributes }));
  if (bias !== undefined) y = y.add(bias.reshape([out, ...space.map(() => 1)]));
  return x.rank === input.rank ? y : y.squeeze(0);
}

/**
 * Transposed convolution of x [n, c, length] (or [c, length]) with weight [c, o / groups, k], plus bias [o]: y [n, o, l'] with
 * l' = (length − 1)·stride − 2·padding + dilation·(k − 1) + outputPadding + 1.
 *
 * @throws ShapeError when channels, groups or bias do not fit.
 * @example
 * convTranspose1d(tensor([[[1, 2]]]), tensor([[[1, 10]]]), undefined, { stride: 2 }); // [[[1, 10, 2, 20]]]
 */
export function convTranspose1d<S extends Shape, D extends DType, W extends Shape>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<ConvCheck<S, -2, SizeAt<W, 0>, 'convTranspose1d'>>,
  bias?: Tensor<Shape, D>,
  options?: ConvTransposeOptions<Single>,
): Tensor<ConvTranspose<S, 1>, D>;
export function convTranspose1d(
  x: AnyTensor,
  weight: AnyTensor,
  bias?: AnyTensor,
  options: ConvTransposeOptions<Single> = {},
): AnyTensor {
  checkOptions('convTranspose1d', options);
  return transposed('convTranspose1d', 1, x, weight, bias, options);
}

/**
 * Transposed convolution of x [n, c, h, w] (or [c, h, w]) with weight [c, o / groups, kh, kw], plus bias [o]: y [n, o, h', w'] with
 * h' = (h − 1)·stride − 2·padding + dilation·(kh − 1) + outputPadding + 1.
 *
 * @throws ShapeError when channels, groups or bias do not fit.
 * @see Zeiler et al., 2010, Deconvolutional networks.
 * @example
 * convTranspose2d(ones([1, 3, 4, 4]), ones([3, 8, 2, 2]), undefined, { stride: 2 }).shape; // [1, 8, 8, 8]
 */
export function convTranspose2d<S extends Shape, D extends DType, W extends Shape>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<ConvCheck<S, -3, SizeAt<W, 0>, 'convTranspose2d'>>,
  bias?: Tensor<Shape, D>,
  options?: ConvTransposeOptions<Pair>,
): Tensor<ConvTranspose<S, 2>, D>;
export function convTranspose2d(
  x: AnyTensor,
  weight: AnyTensor,
  bias?: AnyTensor,
  options: ConvTransposeOptions<Pair> = {},
): AnyTensor {
  checkOptions('convTranspose2d', options);
  return transposed('convTranspose2d', 2, x, weight, bias, options);
}

/**
 * Transposed convolution of x [n, c, d, h, w] (or [c, d, h, w]) with weight [c, o / groups, kd, kh, kw], plus bias [o]: y [n, o, d', h', w'] with sizes as
 * in {@link convTranspose2d}.
 *
 * @throws ShapeError when channels, groups or bias do not fit.
 * @example
 * convTranspose3d(ones([1, 1, 2, 2, 2]), ones([1, 4, 2, 2, 2]), undefined, { stride: 2 }).shape; // [1, 4, 4, 4, 4]
 */
export function convTranspose3d<S extends Shape, D extends DType, W extends Shape>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<ConvCheck<S, -4, SizeAt<W, 0>, 'convTranspose3d'>>,
  bias?: Tensor<Shape, D>,
  options?: ConvTransposeOptions<Triple>,
): Tensor<ConvTranspose<S, 3>, D>;
export function convTranspose3d(
  x: AnyTensor,
  weight: AnyTensor,
  bias?: AnyTensor,
  options: ConvTransposeOptions<Triple> = {},
): AnyTensor {
  checkOptions('convTranspose3d', options);
  return transposed('convTranspose3d', 3, x, weight, bias, options);
}
