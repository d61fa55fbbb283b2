/** Fourier transforms of real sequences and back. Spectra are real tensors whose last axis holds real and imaginary parts. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Ok, Shape } from '../tensor/shape-types';
import { normalizeAxis, show } from '../tensor/shapes';
import type { Irfft, PairsCheck, Rfft } from '../tensor/signal-shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkOptions, checkTensor, defineOp, installMethods, type NativeOp, run } from './define';

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
  const op = 'rfft';
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
  const op = 'irfft';
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

/** Throws unless the last axis of `x` holds pairs. */
export function checkPairs(op: string, x: AnyTensor): void {
  checkTensor(op, x);
  checkDType(op, x.dtype, dtypes);
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
  }
}
installMethods({ rfft, irfft });
