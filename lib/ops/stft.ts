/** Short-time Fourier transforms: signals as spectra of frames under a window, and back by overlapping the frames. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Ok, Shape } from '../tensor/shape-types';
import { checkShape, sameShape, show } from '../tensor/shapes';
import type { Framed, Istft, OverlapAdded, PairsCheck, Stft } from '../tensor/signal-shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ones, zeros } from './creation';
import {
  checkDType,
  checkOptions,
  checkTensor,
  defineView,
  floats,
  installMethods,
  numbers,
  recorded,
  view,
} from './define';
import { checkPairs } from './fft';
import type { PadMode } from './movement';
import { where } from './pointwise-compare';
import { wide } from './wide';

function checkPositive(op: string, name: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new ArgumentError(`${op}: ${name}: got ${shown(value)}, expected a positive integer`);
}

// ------------------------------------------------------------------------------------------------------------------ frames

interface Frames {
  readonly size: number;
  readonly hop: number;
}

const frameOp = defineView<Frames>('frame', (g, node) => {
  const time = node.shape(0)[node.shape(0).length - 1]!;
  const sum = overlapped(g, node.context.hop);
  return [sum.pad([[0, time - sum.shape[sum.rank - 1]!]])];
});
const overlapAddOp = defineView<Frames>('overlapAdd', (g, node) => [framed(g, node.context)]);

function framed(x: AnyTensor, { size, hop }: Frames): AnyTensor {
  const last = x.rank - 1;
  const count = Math.max(0, Math.floor((x.shape[last]! - size) / hop) + 1);
  const stride = x.strides[last]!;
  const shape = [...x.shape.slice(0, last), count, size];
  return view(frameOp, x, shape, [...x.strides.slice(0, last), hop * stride, stride], x.offset, { size, hop });
}

function overlapped(x: AnyTensor, hop: number): AnyTensor {
  const [count, size] = x.shape.slice(-2) as [number, number];
  const front = x.shape.slice(0, -2);
  // Room for whole hops: the pieces of all frames that begin so many hops in lie side by side.
  const pieces = Math.ceil(size / hop);
  const frames = wide(x.detach());
  const sum: AnyTensor = zeros([...front, (count + pieces) * hop], { dtype: frames.dtype, device: x.device });
  for (let i = 0; i < pieces; i++) {
    const width = Math.min(hop, size - i * hop);
    const place = sum.narrow(-1, i * hop, count * hop).reshape([...front, count, hop]) as AnyTensor;
    place.narrow(-1, 0, width).add_(frames.narrow(-1, i * hop, width));
  }
  const y = sum.narrow(-1, 0, count === 0 ? 0 : (count - 1) * hop + size).cast(x.dtype) as AnyTensor;
  return recorded(overlapAddOp, [x], y, { size, hop });
}

/**
 * Frames of signals x [..., time], each `hop` elements after the last: y [..., frames, size] with 1 + ⌊(time − size) / hop⌋ frames. A view: frames that overlap share
 * memory.
 *
 * @throws ShapeError when the signal is shorter than a frame; ArgumentError unless size and hop are positive integers.
 * @example
 * frame(tensor([1, 2, 3, 4, 5]), 3, 2); // [[1, 2, 3], [3, 4, 5]]
 */
export function frame<S extends Shape, D extends DType, const N extends number>(
  x: Tensor<S, D>,
  size: N,
  hop: number,
): Tensor<Framed<S, N>, D>;
export function frame(x: AnyTensor, size: number, hop: number): AnyTensor {
  checkTensor('frame', x);
  checkPositive('frame', 'size', size);
  checkPositive('frame', 'hop', hop);
  checkShape('frame', [...x.shape, size]);
  if (x.rank === 0 || x.shape[x.rank - 1]! < size) {
    throw new ShapeError(`frame: too short: got shape ${show(x.shape)}, expected at least ${size} elements of time`);
  }
  return framed(x, { size, hop });
}

/**
 * Signals from frames x [..., frames, size] that are added where they overlap, each `hop` elements after the last: y [..., (frames − 1)·hop + size]; the adjoint of
 * {@link frame}.
 *
 * @throws ShapeError when x has fewer than two axes; ArgumentError unless hop is a positive integer; DTypeError for bool.
 * @example
 * overlapAdd(tensor([[1, 2, 3], [4, 5, 6]]), 2); // [1, 2, 7, 5, 6]
 */
export function overlapAdd<S extends Shape, D extends DType>(x: Tensor<S, D>, hop: number): Tensor<OverlapAdded<S>, D>;
export function overlapAdd(x: AnyTensor, hop: number): AnyTensor {
  checkTensor('overlapAdd', x);
  checkDType('overlapAdd', x.dtype, numbers);
  checkPositive('overlapAdd', 'hop', hop);
  if (x.rank < 2) {
    throw new ShapeError(`overlapAdd: no frames: got shape ${show(x.shape)}, expected [..., frames, size]`);
  }
  const [count, size] = x.shape.slice(-2) as [number, number];
  checkShape('overlapAdd', [...x.shape.slice(0, -2), count * hop + size + hop]);
  return overlapped(x, hop);
}

// ------------------------------------------------------------------------------------------------------------- transforms

export interface StftOptions {
  /** From one frame to the next, in elements; a quarter of `nFft` unless given. */
  readonly hopLength?: number;
  /** The size of the window, which stands in the middle of a frame; `nFft` unless given. */
  readonly winLength?: number;
  /** The window [winLength]; ones unless given. */
  readonly window?: Tensor<Shape, DType>;
  /** Whether frames are centred on the elements that they begin at, with `nFft / 2` elements added at both ends; true unless given. */
  readonly center?: boolean;
  /** Where the elements that are added come from; `'reflect'` unless given. */
  readonly padMode?: PadMode;
  /** Whether spectra are divided by √nFft; false unless given. */
  readonly normalized?: boolean;
}

interface Setting {
  readonly hop: number;
  /** Of the size of a frame. */
  readonly window: AnyTensor;
  readonly center: boolean;
  readonly norm: 'ortho' | 'backward';
}

function settingOf(op: string, x: AnyTensor, nFft: number, options: StftOptions): Setting {
  checkPositive(op, 'nFft', nFft);
  const {
    hopLength = Math.max(1, Math.floor(nFft / 4)),
    winLength = nFft,
    center = true,
    normalized = false,
  } = options;
  checkPositive(op, 'hopLength', hopLength);
  checkPositive(op, 'winLength', winLength);
  if (winLength > nFft) {
    throw new ArgumentError(`${op}: winLength: got ${winLength}, expected at most ${nFft} as nFft`);
  }
  const own = options.window ?? (ones([winLength], { dtype: x.dtype, device: x.device }) as AnyTensor);
  checkTensor(op, own, 'window');
  checkDType(op, own.dtype, floats);
  if (!sameShape(own.shape, [winLength])) {
    throw new ShapeError(`${op}: window does not fit: got shape ${show(own.shape)}, expected [${winLength}]`);
  }
  const before = Math.floor((nFft - winLength) / 2);
  const window: AnyTensor = own.cast(x.dtype).pad([[before, nFft - winLength - before]]);
  return { hop: hopLength, window, center, norm: normalized ? 'ortho' : 'backward' };
}

/**
 * The spectra of frames of signals x [..., time] under a window: X[…, k, f] = Σⱼ w[j]·x[f·hop + j]·e^(−2πijk/nFft), of shape [..., nFft/2 + 1, frames, 2]. The last axis
 * holds real and imaginary parts.
 *
 * @throws ShapeError when the signal is shorter than a frame or the window does not fit; ArgumentError for sizes that are none; DTypeError unless x is float32 or float64.
 * @see Allen, 1977, Short term spectral analysis, synthesis, and modification by discrete Fourier transform.
 * @example
 * stft(ones([2, 100]), 16, { window: hannWindow(16) }).shape; // [2, 9, 26, 2]
 */
export function stft<S extends Shape, D extends DType, const N extends number>(
  x: Tensor<S, D>,
  nFft: N,
  options?: StftOptions,
): Tensor<Stft<S, N>, D>;
export function stft(x: AnyTensor, nFft: number, options: StftOptions = {}): AnyTensor {
  checkOptions('stft', options);
  const op = 'stft';
  checkTensor(op, x);
  checkDType(op, x.dtype, ['float64', 'float32']);
  const { hop, window, center, norm } = settingOf(op, x, nFft, options);
  const { padMode = 'reflect' } = options;
  const half = center ? Math.floor(nFft / 2) : 0;
  const time = x.shape[x.rank - 1] ?? 0;
  if (time + 2 * half < nFft || (center && padMode === 'reflect' && time <= half)) {
    const least = center ? half + 1 : nFft;
    throw new ShapeError(`${op}: too short: got shape ${show(x.shape)}, expected at least ${least} elements of time`);
  }
  const rows = x.reshape([-1, time]);
  const padded = center ? (rows.pad([[half, half]], { mode: padMode }) as AnyTensor) : rows;
  const frames = framed(padded, { size: nFft, hop });
  const spectra: AnyTensor = frames.mul(window).rfft({ norm });
  return spectra.transpose(1, 2).reshape([...x.shape.slice(0, -1), ...[2, 1, 3].map((axis) => spectra.shape[axis]!)]);
}

export interface IstftOptions<L extends number | undefined = number | undefined> extends Omit<StftOptions, 'padMode'> {
  /** The elements of time that are wanted: further ones are cut, missing ones are zeros. */
  readonly length?: L;
}

/**
 * Signals [..., time] from the spectra of their frames x [..., nFft/2 + 1, frames, 2]: the inverse of {@link stft} with the same options. Frames are
 * weighted by the window, added, and divided by the sum of the squares of the windows there: the signal whose spectra are nearest to x. Elements that no window
 * sees are zeros.
 *
 * @throws ShapeError unless x has such a shape or when the window does not fit; ArgumentError for sizes that are none; DTypeError unless x is float32 or float64.
 * @see Griffin and Lim, 1984, Signal estimation from modified short-time Fourier transform.
 * @example
 * const options = { window: hannWindow(4) };
 * istft(stft(tensor([1, 2, 3, 4, 5, 6]), 4, options), 4, options); // [1, 2, 3, 4, 5, 6]
 */
export function istft<S extends Shape, D extends DType, const L extends number | undefined = undefined>(
  x: Tensor<S, D> & Ok<PairsCheck<S, 'istft'>>,
  nFft: number,
  options?: IstftOptions<L>,
): Tensor<Istft<S, L>, D>;
export function istft(x: AnyTensor, nFft: number, options: IstftOptions = {}): AnyTensor {
  checkOptions('istft', options);
  const op = 'istft';
  checkPairs(op, x);
  const { hop, window, center, norm } = settingOf(op, x, nFft, options);
  const [bins, count] = x.shape.slice(-3) as [number, number];
  if (x.rank < 3 || bins !== Math.floor(nFft / 2) + 1 || count === 0) {
    throw new ShapeError(
      `${op}: spectra do not fit: got shape ${show(x.shape)}, expected [..., ${Math.floor(nFft / 2) + 1}, frames, 2]`,
    );
  }
  const frames: AnyTensor = x.reshape([-1, bins, count, 2]).transpose(1, 2).irfft({ n: nFft, norm });
  const signal = overlapped(frames.mul(window), hop);
  const weights = overlapped(window.square().expand([count, nFft]) as AnyTensor, hop);
  const inverse = where(weights.greater(1e-11), weights, 1) as AnyTensor;
  const half = center ? Math.floor(nFft / 2) : 0;
  const total = signal.shape[1]!;
  const { length = Math.max(0, total - 2 * half) } = options;
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new ArgumentError(`${op}: length: got ${shown(length)}, expected a non-negative integer`);
  }
  const available = Math.min(length, Math.max(0, total - half));
  const cut = signal.div(inverse).narrow(1, Math.min(half, total), available) as AnyTensor;
  const whole = available === length ? cut : cut.pad([[0, length - available]]);
  return whole.reshape([...x.shape.slice(0, -3), length]);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    frame<const N extends number>(size: N, hop: number): Tensor<Framed<S, N>, D>;
    overlapAdd(hop: number): Tensor<OverlapAdded<S>, D>;
    stft<const N extends number>(nFft: N, options?: StftOptions): Tensor<Stft<S, N>, D>;
    istft<const L extends number | undefined = undefined>(
      nFft: number,
      options?: IstftOptions<L>,
    ): Tensor<Istft<S, L>, D>;
  }
}
installMethods({ frame, overlapAdd, stft, istft });
