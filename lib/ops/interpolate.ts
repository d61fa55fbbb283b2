/** Resampling of one to three spatial axes: interpolation to another size and adaptive means, both linear in their input. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Ok, Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { Interpolated, SpaceCheck } from '../tensor/vision-shape-types';
import { checkDType, checkOptions, checkTensor, defineOp, floats, type NativeOp, run } from './define';
import { perAxis, type SpatialRank } from './window';

/** The codes are native/kernels/resample.h's. */
const kinds = { nearest: 0, nearestExact: 1, linear: 2, cubic: 3, area: 4, smoothLinear: 5, smoothCubic: 6 } as const;

const modes = {
  nearest: { kind: 'nearest', ranks: [1, 2, 3], corners: false },
  'nearest-exact': { kind: 'nearestExact', ranks: [1, 2, 3], corners: false },
  linear: { kind: 'linear', ranks: [1], corners: true },
  bilinear: { kind: 'linear', ranks: [2], corners: true },
  trilinear: { kind: 'linear', ranks: [3], corners: true },
  bicubic: { kind: 'cubic', ranks: [2], corners: true },
  area: { kind: 'area', ranks: [1, 2, 3], corners: false },
} as const;
export type InterpolateMode = keyof typeof modes;

export interface InterpolateOptions<P = number | readonly number[]> {
  /** The sizes of the result's spatial axes; either this or `scaleFactor`. */
  readonly size?: P;
  /** What the spatial sizes are multiplied by (and rounded down). */
  readonly scaleFactor?: number | readonly number[];
  /** How values between elements are made; `'nearest'` unless given. */
  readonly mode?: InterpolateMode;
  /** Whether the centres of the corner elements of input and output coincide, instead of their outer edges; false unless given. */
  readonly alignCorners?: boolean;
  /**
   * Whether a smaller result takes all that its elements cover into account, with linear and cubic modes (cubic with a = −0.5 then), as libraries for
   * images do; otherwise what lies between the nearest elements is lost. Not with `alignCorners`. False unless given.
   */
  readonly antialias?: boolean;
}

const smooth = { linear: 'smoothLinear', cubic: 'smoothCubic' } as const;

interface Resampling {
  readonly attributes: readonly number[];
}

const resampleOp: NativeOp<Resampling> = defineOp<Resampling>('resample', {
  dtypes: floats,
  channels: 'kept',
  gradient: (g, node) => [run(backwardOp, [g], node.shape(0), g.dtype, node.context.attributes, node.context)],
});
const backwardOp = defineOp<Resampling>('resampleBackward', {
  dtypes: floats,
  channels: 'kept',
  gradient: (gg, node) => [run(resampleOp, [gg], node.shape(0), gg.dtype, node.context.attributes, node.context)],
});

/** x [n, c, …space] with space resampled to `size`; `ratios` are the distances in x from one element of the result to the next. */
export function resample(
  x: AnyTensor,
  kind: keyof typeof kinds,
  size: readonly number[],
  ratios: readonly number[],
  alignCorners = false,
): AnyTensor {
  const missing = 3 - size.length;
  const ones = new Array<number>(missing).fill(1);
  const volume = (space: readonly number[]): number[] => [x.shape[0]!, x.shape[1]!, ...ones, ...space];
  const attributes = [kinds[kind], Number(alignCorners), ...ones, ...ratios];
  const input = x.reshape(volume(x.shape.slice(2)));
  const y = run(resampleOp, [input], volume(size), x.dtype, attributes, { attributes });
  return y.reshape([x.shape[0]!, x.shape[1]!, ...size]);
}

/** Throws unless x is [n, c, …space] with 1 to 3 axes of space, none empty. Answers their number. */
function checkSpace(op: string, x: AnyTensor): SpatialRank {
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  if (x.rank < 3 || x.rank > 5) {
    throw new ShapeError(
      `${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, …] with one to three axes more`,
    );
  }
  if (x.shape.slice(2).includes(0)) {
    throw new ShapeError(
      `${op}: nothing to resample: got shape ${show(x.shape)}, expected spatial sizes of at least 1`,
    );
  }
  return (x.rank - 2) as SpatialRank;
}

/**
 * x [n, c, …space] with one to three spatial axes resampled to another size, given as `size` or as `scaleFactor`. The modes `'linear'`, `'bilinear'`
 * and `'trilinear'` (for one, two and three axes) weigh the nearest elements, `'bicubic'` (two axes) takes Keys' cubic with a = −0.75, `'area'` the mean
 * of what an element covers, `'nearest-exact'` the nearest centre, and `'nearest'` what OpenCV's does. Floats, and uint8, whose results are rounded.
 * Images that shrink want `antialias`.
 *
 * @throws ArgumentError when not exactly one of `size` and `scaleFactor` is given or the mode does not fit; ShapeError.
 * @see Keys, 1981, Cubic convolution interpolation for digital image processing.
 * @example
 * interpolate(tensor([[[1, 3]]]), { scaleFactor: 2, mode: 'linear' }); // [[[1, 1.5, 2.5, 3]]]
 */
export function interpolate<
  S extends Shape,
  D extends DType,
  const P extends number | readonly number[] = readonly number[],
>(x: Tensor<S, D> & Ok<SpaceCheck<S, 'interpolate'>>, options: InterpolateOptions<P>): Tensor<Interpolated<S, P>, D>;
export function interpolate(x: AnyTensor, options: InterpolateOptions = {}): AnyTensor {
  checkOptions('interpolate', options);
  const op = 'interpolate';
  checkTensor(op, x);
  if (x.dtype === 'uint8') return interpolate(x.cast('float32'), options).round().cast('uint8') as AnyTensor;
  const rank = checkSpace(op, x);
  const { size: wanted, scaleFactor, mode = 'nearest', alignCorners = false, antialias = false } = options;
  if (!Object.hasOwn(modes, mode)) {
    throw new ArgumentError(`${op}: mode: got ${shown(mode)}, expected ${Object.keys(modes).join(', ')}`);
  }
  const { kind: plain, ranks, corners } = modes[mode];
  if (!(ranks as readonly number[]).includes(rank)) {
    throw new ArgumentError(
      `${op}: mode: got ${mode} for shape ${show(x.shape)}, expected ${ranks.join(', ')} spatial axes`,
    );
  }
  if (alignCorners && !corners) {
    throw new ArgumentError(`${op}: alignCorners: got true with mode ${mode}, expected a linear or cubic one`);
  }
  if (antialias && !Object.hasOwn(smooth, plain)) {
    throw new ArgumentError(`${op}: antialias: got true with mode ${mode}, expected a linear or cubic one`);
  }
  if (antialias && alignCorners) {
    throw new ArgumentError(`${op}: alignCorners: got true with antialias, expected one of them`);
  }
  const kind = antialias ? smooth[plain as keyof typeof smooth] : plain;
  if ((wanted === undefined) === (scaleFactor === undefined)) {
    throw new ArgumentError(
      `${op}: size and scaleFactor: got ${wanted === undefined ? 'neither' : 'both'}, expected one of them`,
    );
  }
  const space = x.shape.slice(2);
  if (wanted !== undefined) {
    const size = perAxis(op, 'size', wanted, wanted, 1, rank);
    return resample(x, kind, size, ratiosOf(space, size, alignCorners), alignCorners);
  }
  const factors = typeof scaleFactor === 'number' ? space.map(() => scaleFactor) : scaleFactor!;
  if (
    !Array.isArray(factors) ||
    factors.length !== rank ||
    !factors.every((factor) => Number.isFinite(factor) && factor > 0)
  ) {
    throw new ArgumentError(
      `${op}: scaleFactor: got ${JSON.stringify(scaleFactor)}, expected one or ${rank} numbers above 0`,
    );
  }
  const size = space.map((n, i) => Math.floor(n * factors[i]!));
  if (size.includes(0)) {
    throw new ShapeError(
      `${op}: nothing is left: got ${show(space)} scaled by ${show(factors)}, expected sizes of at least 1`,
    );
  }
  // As in PyTorch, the given factor sets the distance, not the ratio of the rounded sizes, and a linear mode copies an axis that keeps its size.
  const copied = (i: number): boolean => kind === 'linear' && size[i] === space[i];
  const ratios = alignCorners ? ratiosOf(space, size, true) : factors.map((factor, i) => (copied(i) ? 1 : 1 / factor));
  return resample(x, kind, size, ratios, alignCorners);
}

/** The distance in the input from one element of the output to the next. */
const ratiosOf = (from: readonly number[], to: readonly number[], alignCorners: boolean): number[] =>
  from.map((n, i) => (alignCorners ? (to[i] === 1 ? 0 : (n - 1) / (to[i]! - 1)) : n / to[i]!));
