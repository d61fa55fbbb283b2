/** Fourier transforms. Complex numbers are real tensors whose last axis holds real and imaginary parts. */
import { ArgumentError, ShapeError } from '../errors';
import { checkCount, checkFinite, checkList } from '../tensor/checks';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Axes, Ok, Shape } from '../tensor/shape-types';
import { normalizeAxes, normalizeAxis, show } from '../tensor/shapes';
import type { Bins, Fft, Irfft, Irfftn, PairsCheck, Rfft, Rfftn } from '../tensor/signal-shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange } from './creation';
import { creation, type CreationOptions } from './creation-options';
import { checkDType, checkOptions, checkTensor, defineOp, floats, installMethods, type NativeOp, run } from './define';

const dtypes: readonly DType[] = ['float64', 'float32'];

// With one scale and weight the two are each other's adjoint.
const rfftOp: NativeOp<readonly number[]> = defineOp('rfft', {
  dtypes,
  gradient: (g, node) => [run(irfftOp, [g], node.shape(0), g.dtype, node.context)],
});
const irfftOp: NativeOp<readonly number[]> = defineOp('irfft', {
  dtypes,
  gradient: (g, node) => [run(rfftOp, [g], node.shape(0), g.dtype, node.context)],
});

// Attributes: scale, whether back, axis.
const fftOp: NativeOp<readonly number[]> = defineOp('fft', {
  dtypes,
  gradient: (g, node) => {
    const [scale, back, axis] = node.context as [number, number, number];
    return [run(fftOp, [g], node.shape(0), g.dtype, [scale, 1 - back, axis])];
  },
});

/** Which of the transforms divides: the one back by n, the one forth, or each by √n. */
export type FftNorm = 'backward' | 'forward' | 'ortho';

export interface FftOptions<N extends number | undefined = number | undefined, A extends number = number> {
  /** The length of the sequences: longer ones are cut, shorter ones continued by zeros. */
  readonly n?: N;
  /** The axis of the sequences, not counting the pairs; the last unless given. */
  readonly axis?: A;
  /** `'backward'` unless given: only the transform back divides, by n. */
  readonly norm?: FftNorm;
}

export interface FftnOptions<
  N extends readonly number[] | undefined = readonly number[] | undefined,
  A extends Axes = Axes,
> {
  /** The lengths of the sequences along each of the axes: longer ones are cut, shorter ones continued by zeros. */
  readonly n?: N;
  /** The axes of the sequences, not counting the pairs; unless given the last ones, as many as there are lengths, or all. */
  readonly axes?: A;
  /** `'backward'` unless given: only the transform back divides, by the product of the lengths. */
  readonly norm?: FftNorm;
}

function divisor(op: string, norm: FftNorm, n: number, isForward: boolean): number {
  if (norm === 'ortho') return Math.sqrt(n);
  if (norm === 'forward') return isForward ? n : 1;
  if (norm === 'backward') return isForward ? 1 : n;
  throw new ArgumentError(`${op}: norm: got ${shown(norm)}, expected backward, forward or ortho`);
}

function checkLength(op: string, n: number, shape: Shape): void {
  if (Number.isSafeInteger(n) && n >= 1 && n < 2 ** 30) return;
  throw new ShapeError(`${op}: n: got ${shown(n)} for shape ${show(shape)}, expected a length from 1 to 2^30 - 1`);
}

/** x with `axis` cut or continued by zeros to a size. */
function resized(x: AnyTensor, axis: number, size: number): AnyTensor {
  const own = x.shape[axis]!;
  if (own >= size) return own === size ? x : x.narrow(axis, 0, size);
  return x.pad(x.shape.map((_, i) => [0, i === axis ? size - own : 0] as const));
}

/** What a transform along several axes does along each, in the order in which they are given. */
function perAxis(op: string, options: FftnOptions, shape: Shape): FftOptions[] {
  const { n, norm = 'backward' } = options;
  if (n !== undefined) checkList(op, 'n', n);
  const all = shape.map((_, axis) => axis);
  const { axes: given = n === undefined ? all : all.slice(-n.length) } = options;
  if (normalizeAxes(op, given, shape).length === 0) {
    throw new ShapeError(`${op}: axes: got none for shape ${show(shape)}, expected at least one`);
  }
  const axes = typeof given === 'number' ? [given] : given;
  if (n !== undefined && n.length !== axes.length) {
    throw new ShapeError(`${op}: n: got ${n.length} lengths, expected ${axes.length}, one for each axis`);
  }
  return axes.map((axis, i) => ({ axis, n: n?.[i], norm }));
}

function realToSpectra(op: string, x: AnyTensor, options: FftOptions): AnyTensor {
  checkTensor(op, x);
  checkDType(op, x.dtype, dtypes);
  const axis = normalizeAxis(op, options.axis ?? -1, x.shape);
  const { n = x.shape[axis]!, norm = 'backward' } = options;
  checkLength(op, n, x.shape);
  const rows: AnyTensor = resized(x, axis, n).moveAxis(axis, -1);
  const scale = 1 / divisor(op, norm, n, true);
  const y = run(rfftOp, [rows], [...rows.shape.slice(0, -1), Math.floor(n / 2) + 1, 2], x.dtype, [scale, 1]);
  return y.moveAxis(-2, axis);
}

function spectraToReal(op: string, x: AnyTensor, options: FftOptions): AnyTensor {
  checkPairs(op, x);
  const axis = normalizeAxis(op, options.axis ?? -1, x.shape.slice(0, -1));
  const { n = 2 * (x.shape[axis]! - 1), norm = 'backward' } = options;
  checkLength(op, n, x.shape);
  const rows: AnyTensor = resized(x, axis, Math.floor(n / 2) + 1).moveAxis(axis, -2);
  // A bin stands for its mirror image too.
  const attributes = [1 / divisor(op, norm, n, false), 2];
  const y = run(irfftOp, [rows], [...rows.shape.slice(0, -2), n], x.dtype, attributes);
  return y.moveAxis(-1, axis);
}

function complexToComplex(op: string, x: AnyTensor, options: FftOptions, isForward: boolean): AnyTensor {
  checkPairs(op, x);
  const axis = normalizeAxis(op, options.axis ?? -1, x.shape.slice(0, -1));
  const { n = x.shape[axis]!, norm = 'backward' } = options;
  checkLength(op, n, x.shape);
  const whole = resized(x, axis, n);
  return run(fftOp, [whole], whole.shape, x.dtype, [1 / divisor(op, norm, n, isForward), Number(!isForward), axis]);
}

/** Complex transforms, one after the other. */
function complexAlong(op: string, x: AnyTensor, each: readonly FftOptions[], isForward: boolean): AnyTensor {
  return each.reduce((y, options) => complexToComplex(op, y, options, isForward), x);
}

/**
 * The Fourier transform of real sequences x [..., n]: X[k] = Σⱼ xⱼ·e^(−2πijk/n) for k = 0 … n/2, of shape [..., n/2 + 1, 2]. The last axis holds real and
 * imaginary parts; the other half of the spectrum is its conjugate mirror image. Any n, in O(n log n).
 *
 * @throws ShapeError when an axis is out of range or empty; DTypeError unless x is float32 or float64.
 * @see Cooley and Tukey, 1965, An algorithm for the machine calculation of complex Fourier series; Bluestein, 1970, A linear filtering approach.
 * @example
 * rfft(tensor([1, 2, 3, 4])); // [[10, 0], [-2, 2], [-2, 0]]
 */
export function rfft<
  S extends Shape,
  D extends DType,
  const N extends number | undefined = undefined,
  const A extends number = -1,
>(x: Tensor<S, D>, options?: FftOptions<N, A>): Tensor<Rfft<S, N, A>, D>;
export function rfft(x: AnyTensor, options: FftOptions = {}): AnyTensor {
  checkOptions('rfft', options);
  return realToSpectra('rfft', x, options);
}

/**
 * Real sequences from their spectra x [..., bins, 2], as {@link rfft} makes them: y [..., n], where n is 2·(bins − 1) unless given. Imaginary parts of the first bin, and
 * of the bin n/2, do not count.
 *
 * @throws ShapeError unless the last axis has size 2, when an axis is out of range or nothing comes out; DTypeError unless x is float32 or float64.
 * @example
 * irfft(tensor([[10, 0], [-2, 2], [-2, 0]])); // [1, 2, 3, 4]
 */
export function irfft<
  S extends Shape,
  D extends DType,
  const N extends number | undefined = undefined,
  const A extends number = -1,
>(x: Tensor<S, D> & Ok<PairsCheck<S, 'irfft'>>, options?: FftOptions<N, A>): Tensor<Irfft<S, N, A>, D>;
export function irfft(x: AnyTensor, options: FftOptions = {}): AnyTensor {
  checkOptions('irfft', options);
  return spectraToReal('irfft', x, options);
}

/**
 * The Fourier transform of complex sequences x [..., n, 2], whose last axis holds real and imaginary parts: X[k] = Σⱼ xⱼ·e^(−2πijk/n) for k = 0 … n − 1, of the same
 * shape. Any n, in O(n log n).
 *
 * @throws ShapeError unless the last axis has size 2, when an axis is out of range or empty; DTypeError unless x is float32 or float64.
 * @see {@link rfft} for real sequences.
 * @example
 * fft(tensor([[1, 0], [0, 1]])); // [[1, 1], [1, -1]]
 */
export function fft<
  S extends Shape,
  D extends DType,
  const N extends number | undefined = undefined,
  const A extends number = -1,
>(x: Tensor<S, D> & Ok<PairsCheck<S, 'fft'>>, options?: FftOptions<N, A>): Tensor<Fft<S, N, A>, D>;
export function fft(x: AnyTensor, options: FftOptions = {}): AnyTensor {
  checkOptions('fft', options);
  return complexToComplex('fft', x, options, true);
}

/**
 * Complex sequences from their spectra x [..., n, 2]: the inverse of {@link fft} with the same options, of the same shape.
 *
 * @throws ShapeError unless the last axis has size 2, when an axis is out of range or empty; DTypeError unless x is float32 or float64.
 * @example
 * ifft(tensor([[1, 1], [1, -1]])); // [[1, 0], [0, 1]]
 */
export function ifft<
  S extends Shape,
  D extends DType,
  const N extends number | undefined = undefined,
  const A extends number = -1,
>(x: Tensor<S, D> & Ok<PairsCheck<S, 'ifft'>>, options?: FftOptions<N, A>): Tensor<Fft<S, N, A>, D>;
export function ifft(x: AnyTensor, options: FftOptions = {}): AnyTensor {
  checkOptions('ifft', options);
  return complexToComplex('ifft', x, options, false);
}

/**
 * The Fourier transform of real x along several axes: {@link rfft} along the last of them, and {@link fft} along the others. Of [h, w] it gives [h, w/2 + 1, 2].
 *
 * @throws ShapeError when an axis is out of range, empty or given twice, and unless there are as many lengths as axes; DTypeError unless x is float32 or float64.
 * @example
 * const image = randn([8, 3, 32, 32]);
 * rfftn(image, { axes: [-2, -1] }).shape; // [8, 3, 32, 17, 2]
 */
export function rfftn<
  S extends Shape,
  D extends DType,
  const N extends readonly number[] | undefined = undefined,
  const A extends Axes = undefined,
>(x: Tensor<S, D>, options?: FftnOptions<N, A>): Tensor<Rfftn<S, N, A>, D>;
export function rfftn(x: AnyTensor, options: FftnOptions = {}): AnyTensor {
  checkOptions('rfftn', options);
  checkTensor('rfftn', x);
  const each = perAxis('rfftn', options, x.shape);
  return complexAlong('rfftn', realToSpectra('rfftn', x, each.at(-1)!), each.slice(0, -1), true);
}

/**
 * Real x from its spectrum along several axes [..., bins, 2], as {@link rfftn} makes it: {@link ifft} along all axes but the last one of them, and {@link irfft} along that.
 *
 * @throws ShapeError unless the last axis of x has size 2, when an axis is out of range, empty or given twice, and unless there are as many lengths as axes; DTypeError unless x is float32 or float64.
 * @example
 * const image = randn([3, 32, 32]);
 * irfftn(rfftn(image, { axes: [-2, -1] }), { axes: [-2, -1] }); // the image
 */
export function irfftn<
  S extends Shape,
  D extends DType,
  const N extends readonly number[] | undefined = undefined,
  const A extends Axes = undefined,
>(x: Tensor<S, D> & Ok<PairsCheck<S, 'irfftn'>>, options?: FftnOptions<N, A>): Tensor<Irfftn<S, N, A>, D>;
export function irfftn(x: AnyTensor, options: FftnOptions = {}): AnyTensor {
  checkOptions('irfftn', options);
  checkPairs('irfftn', x);
  const each = perAxis('irfftn', options, x.shape.slice(0, -1));
  return spectraToReal('irfftn', complexAlong('irfftn', x, each.slice(0, -1), false), each.at(-1)!);
}

/**
 * The Fourier transform of complex x [..., 2] along several axes, of the same shape: {@link fft} along each of them.
 *
 * @throws ShapeError unless the last axis has size 2, when an axis is out of range, empty or given twice, and unless there are as many lengths as axes; DTypeError unless x is float32 or float64.
 * @example
 * fftn(randn([8, 16, 16, 2]), { axes: [-2, -1] }).shape; // [8, 16, 16, 2]
 */
export function fftn<S extends Shape, D extends DType, const N extends readonly number[] | undefined = undefined>(
  x: Tensor<S, D> & Ok<PairsCheck<S, 'fftn'>>,
  options?: FftnOptions<N>,
): Tensor<N extends undefined ? S : Shape, D>;
export function fftn(x: AnyTensor, options: FftnOptions = {}): AnyTensor {
  checkOptions('fftn', options);
  checkPairs('fftn', x);
  return complexAlong('fftn', x, perAxis('fftn', options, x.shape.slice(0, -1)), true);
}

/**
 * Complex x from its spectrum [..., 2] along several axes, of the same shape: the inverse of {@link fftn} with the same options.
 *
 * @throws ShapeError unless the last axis has size 2, when an axis is out of range, empty or given twice, and unless there are as many lengths as axes; DTypeError unless x is float32 or float64.
 * @example
 * ifftn(fftn(randn([16, 16, 2]))).shape; // [16, 16, 2]
 */
export function ifftn<S extends Shape, D extends DType, const N extends readonly number[] | undefined = undefined>(
  x: Tensor<S, D> & Ok<PairsCheck<S, 'ifftn'>>,
  options?: FftnOptions<N>,
): Tensor<N extends undefined ? S : Shape, D>;
export function ifftn(x: AnyTensor, options: FftnOptions = {}): AnyTensor {
  checkOptions('ifftn', options);
  checkPairs('ifftn', x);
  return complexAlong('ifftn', x, perAxis('ifftn', options, x.shape.slice(0, -1)), false);
}

// ------------------------------------------------------------------------------------------------------------- frequencies

export interface FftShiftOptions {
  /** Which axes, not counting the pairs; all unless given. */
  readonly axes?: Axes;
  /** Whether the last axis holds real and imaginary parts, which stay together; true unless given. Of real numbers, such as magnitudes, it is false. */
  readonly pairs?: boolean;
}

/** Moves the first element along each axis to the place that `to` makes of the size. */
function shifted(op: string, x: AnyTensor, options: FftShiftOptions, to: (size: number) => number): AnyTensor {
  checkOptions(op, options);
  const { axes, pairs = true } = options;
  checkTensor(op, x);
  if (pairs) checkLastPairs(op, x);
  const along = normalizeAxes(op, axes, pairs ? x.shape.slice(0, -1) : x.shape);
  return x.roll(
    along.map((axis) => to(x.shape[axis]!)),
    along,
  ) as AnyTensor;
}

/**
 * Spectra x [..., 2], as {@link fft} and {@link fftn} answer them, with frequency 0 in the middle of each axis: negative frequencies before it. As in all
 * complex tensors the last axis holds real and imaginary parts, and is no axis to be shifted; with `pairs: false` x is real, and it is.
 *
 * @throws ShapeError unless the last axis of pairs has size 2, and when an axis is out of range.
 * @example
 * fftshift(fft(tensor([[1, 0], [0, 1]]))); // [[1, -1], [1, 1]]
 * fftshift(fftfreq(4), { pairs: false }); // [-0.5, -0.25, 0, 0.25]
 */
export function fftshift<S extends Shape, D extends DType>(x: Tensor<S, D>, options?: FftShiftOptions): Tensor<S, D>;
export function fftshift(x: AnyTensor, options: FftShiftOptions = {}): AnyTensor {
  return shifted('fftshift', x, options, (size) => Math.floor(size / 2));
}

/**
 * The inverse of {@link fftshift} with the same options: frequency 0 from the middle of each axis to its beginning.
 *
 * @throws ShapeError unless the last axis of pairs has size 2, and when an axis is out of range.
 * @example
 * ifftshift(tensor([-1, 0, 1]), { pairs: false }); // [0, 1, -1]
 */
export function ifftshift<S extends Shape, D extends DType>(x: Tensor<S, D>, options?: FftShiftOptions): Tensor<S, D>;
export function ifftshift(x: AnyTensor, options: FftShiftOptions = {}): AnyTensor {
  return shifted('ifftshift', x, options, (size) => -Math.floor(size / 2));
}

export interface FrequencyOptions<D extends DType = DType> extends CreationOptions<D> {
  /** How far apart the elements of the sequence are; 1 unless given. */
  readonly spacing?: number;
}

/** Whole numbers divided by the length of a sequence. */
function frequencies<D extends DType>(
  op: string,
  n: number,
  options: FrequencyOptions<D>,
  bins: (options: CreationOptions) => AnyTensor,
): AnyTensor {
  checkOptions(op, options);
  const { spacing = 1, requiresGrad = false, ...rest } = options;
  const { dtype } = creation(op, rest);
  checkDType(op, dtype, floats);
  checkCount(op, 'n', n, 1, 2 ** 30 - 1);
  checkFinite(op, 'spacing', spacing);
  const y = bins({ ...rest, dtype: 'float64' })
    .div(n * spacing)
    .cast(dtype) as AnyTensor;
  return requiresGrad ? y.requiresGrad_() : y;
}

/**
 * The frequencies of {@link fft} of sequences of n elements, in cycles per unit of the spacing: [0, 1, …, ⌈n/2⌉ − 1, −⌊n/2⌋, …, −1] / (n · spacing).
 *
 * @throws ArgumentError; DTypeError for integers.
 * @example
 * fftfreq(4, { spacing: 0.5 }); // [0, 0.5, -1, -0.5]
 */
export function fftfreq<const N extends number, D extends DType = 'float32'>(
  n: N,
  options: FrequencyOptions<D> = {},
): Tensor<[N], NoInfer<D>> {
  const bins = (float64: CreationOptions): AnyTensor => {
    const half = Math.floor(n / 2);
    return arange(-half, n - half, float64).roll(-half) as unknown as AnyTensor;
  };
  return frequencies('fftfreq', n, options, bins) as unknown as Tensor<[N], NoInfer<D>>;
}

/**
 * The frequencies of {@link rfft} of sequences of n elements, in cycles per unit of the spacing: [0, 1, …, ⌊n/2⌋] / (n · spacing).
 *
 * @throws ArgumentError; DTypeError for integers.
 * @example
 * rfftfreq(4); // [0, 0.25, 0.5]
 */
export function rfftfreq<const N extends number, D extends DType = 'float32'>(
  n: N,
  options: FrequencyOptions<D> = {},
): Tensor<[Bins<N>], NoInfer<D>> {
  const bins = (float64: CreationOptions): AnyTensor => arange(Math.floor(n / 2) + 1, float64) as unknown as AnyTensor;
  return frequencies('rfftfreq', n, options, bins) as unknown as Tensor<[Bins<N>], NoInfer<D>>;
}

/** Throws unless `x` is of a dtype that transforms take, and its last axis holds pairs. */
export function checkPairs(op: string, x: AnyTensor): void {
  checkTensor(op, x);
  checkDType(op, x.dtype, dtypes);
  checkLastPairs(op, x);
}

function checkLastPairs(op: string, x: AnyTensor): void {
  if (x.shape[x.rank - 1] === 2) return;
  throw new ShapeError(
    `${op}: not pairs: got shape ${show(x.shape)}, expected a last axis of real and imaginary parts`,
    { shape: x.shape },
  );
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    rfft<const N extends number | undefined = undefined, const A extends number = -1>(
      options?: FftOptions<N, A>,
    ): Tensor<Rfft<S, N, A>, D>;
    irfft<const N extends number | undefined = undefined, const A extends number = -1>(
      options?: FftOptions<N, A>,
    ): Tensor<Irfft<S, N, A>, D>;
    fft<const N extends number | undefined = undefined, const A extends number = -1>(
      options?: FftOptions<N, A>,
    ): Tensor<Fft<S, N, A>, D>;
    ifft<const N extends number | undefined = undefined, const A extends number = -1>(
      options?: FftOptions<N, A>,
    ): Tensor<Fft<S, N, A>, D>;
    rfftn<const N extends readonly number[] | undefined = undefined, const A extends Axes = undefined>(
      options?: FftnOptions<N, A>,
    ): Tensor<Rfftn<S, N, A>, D>;
    irfftn<const N extends readonly number[] | undefined = undefined, const A extends Axes = undefined>(
      options?: FftnOptions<N, A>,
    ): Tensor<Irfftn<S, N, A>, D>;
    fftn<const N extends readonly number[] | undefined = undefined>(
      options?: FftnOptions<N>,
    ): Tensor<N extends undefined ? S : Shape, D>;
    ifftn<const N extends readonly number[] | undefined = undefined>(
      options?: FftnOptions<N>,
    ): Tensor<N extends undefined ? S : Shape, D>;
    fftshift(options?: FftShiftOptions): Tensor<S, D>;
    ifftshift(options?: FftShiftOptions): Tensor<S, D>;
  }
}
installMethods({ rfft, irfft, fft, ifft, rfftn, irfftn, fftn, ifftn, fftshift, ifftshift });
