/**
 * Images as the patches that a window sees (unfold), patches as images (fold), and channels as space (pixelShuffle) or in another order. A patch is picked by
 * the rows and the columns that it covers, so fold, which adds where unfold picks, is its adjoint, and each is the other's gradient.
 */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { checkShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, installMethods, numbers } from './define';
import { batched, perAxis, windowCount, type Pair } from './window';

export interface PatchOptions {
  /** From one window to the next, in elements; 1 unless given. */
  readonly stride?: Pair;
  /** Zeros around the image; 0 unless given. */
  readonly padding?: Pair;
  /** Between the elements of a window; 1 unless given. */
  readonly dilation?: Pair;
}

/** Along one spatial axis: the window, how many there are, and the places they see in the padded axis, window element by window element. */
interface Patches {
  readonly kernel: number;
  readonly count: number;
  readonly padding: number;
  readonly places: Tensor<Shape, 'int64'>;
}

function patchesOf(
  op: string,
  space: Shape,
  kernelSize: Pair,
  options: PatchOptions,
  x: AnyTensor,
): [Patches, Patches] {
  const kernel = perAxis(op, 'kernelSize', kernelSize, kernelSize, 1, 2);
  const stride = perAxis(op, 'stride', options.stride, 1, 1, 2);
  const padding = perAxis(op, 'padding', options.padding, 0, 0, 2);
  const dilation = perAxis(op, 'dilation', options.dilation, 1, 1, 2);
  return [0, 1].map((axis): Patches => {
    const extent = dilation[axis]! * (kernel[axis]! - 1) + 1;
    const count = windowCount(op, space[axis]!, extent, stride[axis]!, padding[axis]!);
    checkShape(op, [kernel[axis]!, count]);
    const { device } = x;
    const within = arange(kernel[axis]!, { dtype: 'int64', device }).mul(dilation[axis]!).unsqueeze(1) as AnyTensor;
    const starts = arange(count, { dtype: 'int64', device }).mul(stride[axis]!) as AnyTensor;
    const places = within.add(starts).reshape([-1]) as Tensor<Shape, 'int64'>;
    return { kernel: kernel[axis]!, count, padding: padding[axis]!, places };
  }) as [Patches, Patches];
}

/**
 * The patches of x [n, c, h, w] (or [c, h, w]) that a window sees, as columns: [n, c · kh · kw, windows], known as im2col.
 *
 * @throws ShapeError when the window is larger than the image; DTypeError for bool.
 * @example
 * unfold(tensor([[[1, 2, 3], [4, 5, 6]]]), 2); // [[1, 2], [2, 3], [4, 5], [5, 6]]
 */
export function unfold<D extends DType>(
  x: Tensor<Shape, D>,
  kernelSize: Pair,
  options?: PatchOptions,
): Tensor<Shape, D>;
export function unfold(x: AnyTensor, kernelSize: Pair, options: PatchOptions = {}): AnyTensor {
  checkOptions('unfold', options);
  checkTensor('unfold', x);
  checkDType('unfold', x.dtype, numbers);
  const input = batched('unfold', x, 2);
  const [n, c, h, w] = input.shape as [number, number, number, number];
  const [rows, columns] = patchesOf('unfold', [h, w], kernelSize, options, x);
  const padded = input.pad([rows, columns].map(({ padding }) => [padding, padding] as const));
  const picked = padded.indexSelect(2, rows.places).indexSelect(3, columns.places) as AnyTensor;
  const windows = picked
    .reshape([n, c, rows.kernel, rows.count, columns.kernel, columns.count])
    .permute([0, 1, 2, 4, 3, 5]);
  const y = windows.reshape([n, c * rows.kernel * columns.kernel, rows.count * columns.count]) as AnyTensor;
  return x.rank === 4 ? y : y.squeeze(0);
}

/**
 * Patches x [n, c · kh · kw, windows] (or without n), as {@link unfold} makes them, added up to images [n, c, h, w] of the given size: its adjoint.
 *
 * @throws ShapeError when the patches are not those of such images; DTypeError for bool.
 * @example
 * fold(ones([4, 2]), [2, 3], 2); // [[[1, 2, 1], [1, 2, 1]]]
 */
export function fold<D extends DType>(
  x: Tensor<Shape, D>,
  outputSize: Pair,
  kernelSize: Pair,
  options?: PatchOptions,
): Tensor<Shape, D>;
export function fold(x: AnyTensor, outputSize: Pair, kernelSize: Pair, options: PatchOptions = {}): AnyTensor {
  checkOptions('fold', options);
  checkTensor('fold', x);
  checkDType('fold', x.dtype, numbers);
  const [h, w] = perAxis('fold', 'outputSize', outputSize, outputSize, 0, 2) as [number, number];
  const [rows, columns] = patchesOf('fold', [h, w], kernelSize, options, x);
  const input: AnyTensor = x.rank === 2 ? x.unsqueeze(0) : x;
  const window = rows.kernel * columns.kernel;
  const [n, features, count] = input.shape as [number, number, number];
  if (input.rank !== 3 || features % window !== 0 || count !== rows.count * columns.count) {
    throw new ShapeError(
      `fold: patches do not fit: got shape ${show(x.shape)}, expected [n, c · ${window}, ${rows.count * columns.count}]`,
    );
  }
  const c = features / window;
  const windows = input
    .reshape([n, c, rows.kernel, columns.kernel, rows.count, columns.count])
    .permute([0, 1, 2, 4, 3, 5]);
  const seen = windows.reshape([n, c, rows.places.size, columns.places.size]) as AnyTensor;
  const [height, width] = [h + 2 * rows.padding, w + 2 * columns.padding];
  const nothing = (shape: Shape): AnyTensor => zeros(shape, { dtype: x.dtype, device: x.device });
  const wide = nothing([n, c, rows.places.size, width]).indexAdd(3, columns.places, seen);
  const padded = nothing([n, c, height, width]).indexAdd(2, rows.places, wide);
  const y = padded.narrow(2, rows.padding, h).narrow(3, columns.padding, w) as AnyTensor;
  return x.rank === 3 ? y : y.squeeze(0);
}

function checkFactor(op: string, x: AnyTensor, factor: number): void {
  checkTensor(op, x);
  if (x.rank < 3) throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [..., c, h, w]`);
  if (Number.isSafeInteger(factor) && factor > 0) return;
  throw new ArgumentError(`${op}: factor: got ${shown(factor)}, expected a positive integer`);
}

/**
 * Channels laid out as space: x [..., c · r², h, w] becomes [..., c, h · r, w · r], as sub-pixel convolution wants it.
 *
 * @throws ShapeError when the channels do not divide by r².
 * @see Shi et al., 2016, Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network.
 * @example
 * pixelShuffle(tensor([[[1]], [[2]], [[3]], [[4]]]), 2); // [[[1, 2], [3, 4]]]
 */
export function pixelShuffle<D extends DType>(x: Tensor<Shape, D>, factor: number): Tensor<Shape, D>;
export function pixelShuffle(x: AnyTensor, factor: number): AnyTensor {
  checkFactor('pixelShuffle', x, factor);
  const [c, h, w] = x.shape.slice(-3) as [number, number, number];
  if (c % factor ** 2 !== 0) {
    throw new ShapeError(`pixelShuffle: channels do not divide: got ${c}, expected a multiple of ${factor ** 2}`);
  }
  const leading = x.shape.slice(0, -3);
  const blocks = x.reshape([sizeOf(leading), c / factor ** 2, factor, factor, h, w]).permute([0, 1, 4, 2, 5, 3]);
  return blocks.reshape([...leading, c / factor ** 2, h * factor, w * factor]);
}

/**
 * Space laid out as channels, the inverse of {@link pixelShuffle}: x [..., c, h · r, w · r] becomes [..., c · r², h, w].
 *
 * @throws ShapeError when the spatial sizes do not divide by r.
 * @example
 * pixelUnshuffle(tensor([[[1, 2], [3, 4]]]), 2); // [[[1]], [[2]], [[3]], [[4]]]
 */
export function pixelUnshuffle<D extends DType>(x: Tensor<Shape, D>, factor: number): Tensor<Shape, D>;
export function pixelUnshuffle(x: AnyTensor, factor: number): AnyTensor {
  checkFactor('pixelUnshuffle', x, factor);
  const [c, h, w] = x.shape.slice(-3) as [number, number, number];
  if (h % factor !== 0 || w % factor !== 0) {
    throw new ShapeError(`pixelUnshuffle: sizes do not divide: got ${h} and ${w}, expected multiples of ${factor}`);
  }
  const leading = x.shape.slice(0, -3);
  const blocks = x.reshape([sizeOf(leading), c, h / factor, factor, w / factor, factor]).permute([0, 1, 3, 5, 2, 4]);
  return blocks.reshape([...leading, c * factor ** 2, h / factor, w / factor]);
}

/**
 * Channels dealt out anew: those of x [n, c, …] are `groups` runs, of which the result takes one channel each in turn, so that a grouped convolution after another
 * sees all of them.
 *
 * @throws ShapeError for fewer than two axes or channels that do not divide by the groups; ArgumentError.
 * @see Zhang et al., 2018, ShuffleNet: an extremely efficient convolutional neural network for mobile devices.
 * @example
 * channelShuffle(tensor([[1, 2, 3, 4, 5, 6]]), 2); // [[1, 4, 2, 5, 3, 6]]
 */
export function channelShuffle<S extends Shape, D extends DType>(x: Tensor<S, D>, groups: number): Tensor<S, D>;
export function channelShuffle(x: AnyTensor, groups: number): AnyTensor {
  const op = 'channelShuffle';
  checkTensor(op, x);
  if (x.rank < 2) throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, …]`);
  if (!Number.isSafeInteger(groups) || groups < 1) {
    throw new ArgumentError(`${op}: groups: got ${shown(groups)}, expected a positive integer`);
  }
  const [n, c] = x.shape as unknown as [number, number];
  if (c % groups !== 0) {
    throw new ShapeError(`${op}: channels do not divide: got ${c}, expected a multiple of ${groups}`);
  }
  const runs = x.reshape([n, groups, c / groups, sizeOf(x.shape.slice(2))]);
  return (runs.transpose(1, 2) as AnyTensor).reshape(x.shape);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    unfold(kernelSize: Pair, options?: PatchOptions): Tensor<Shape, D>;
    fold(outputSize: Pair, kernelSize: Pair, options?: PatchOptions): Tensor<Shape, D>;
    pixelShuffle(factor: number): Tensor<Shape, D>;
    pixelUnshuffle(factor: number): Tensor<Shape, D>;
    channelShuffle(groups: number): Tensor<S, D>;
  }
}
installMethods({ unfold, fold, pixelShuffle, pixelUnshuffle, channelShuffle });
