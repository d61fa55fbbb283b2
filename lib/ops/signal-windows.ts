/** Windows for frames of a signal, as torch names them. Computed in float64 and rounded once. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Tensor } from '../tensor/tensor';
import { tensor } from './creation';
import { creation, type CreationOptions } from './creation-options';
import { checkDType, checkOptions, floats } from './define';

export interface WindowOptions<D extends DType = DType> extends CreationOptions<D> {
  /** Whether the window begins anew where it ends, as transforms want it; with false it is symmetric. True unless given. */
  readonly periodic?: boolean;
}

/** JavaScript computes the elements, on the thread of the caller. */
const mostElements = 2 ** 22;

/** f(i / N) for each element, where N is the size of a periodic window and one less for a symmetric one. */
function windowOf<N extends number, D extends DType>(
  op: string,
  size: N,
  options: WindowOptions<D>,
  f: (position: number) => number,
): Tensor<[N], D> {
  const { periodic = true, ...rest } = options;
  if (!Number.isSafeInteger(size) || size < 0 || size > mostElements) {
    throw new ArgumentError(`${op}: size: got ${shown(size)}, expected an integer from 0 to ${mostElements}`);
  }
  const { dtype } = creation(op, rest);
  checkDType(op, dtype, floats);
  const period = periodic ? size : size - 1;
  // A symmetric window of one element is its peak.
  const values = Float64Array.from({ length: size }, (_, i) => (size === 1 ? 1 : f(i / period)));
  return tensor(values, { ...rest, dtype, shape: [size] }) as unknown as Tensor<[N], D>;
}

/** Σₖ (−1)ᵏ·aₖ·cos 2πkx. */
const cosines =
  (...factors: readonly number[]) =>
  (x: number): number =>
    factors.reduce((sum, factor, k) => sum + (k % 2 === 0 ? factor : -factor) * Math.cos(2 * Math.PI * k * x), 0);

/**
 * Hann's window: sin² πx at x = i / size.
 *
 * @throws ArgumentError when the size is none; DTypeError unless the dtype is floating.
 * @example
 * hannWindow(4); // [0, 0.5, 1, 0.5]
 */
export function hannWindow<const N extends number, D extends DType = 'float32'>(
  size: N,
  options?: WindowOptions<D>,
): Tensor<[N], NoInfer<D>>;
export function hannWindow(size: number, options: WindowOptions = {}): Tensor<[number], DType> {
  checkOptions('hannWindow', options);
  return windowOf('hannWindow', size, options, cosines(0.5, 0.5));
}

export interface HammingOptions<D extends DType = DType> extends WindowOptions<D> {
  /** The mean; 0.54 unless given. */
  readonly alpha?: number;
  /** The factor of the cosine; 0.46 unless given. */
  readonly beta?: number;
}

/**
 * Hamming's window: alpha − beta·cos 2πx at x = i / size.
 *
 * @throws ArgumentError when the size is none; DTypeError unless the dtype is floating.
 * @example
 * hammingWindow(4); // [0.08, 0.54, 1, 0.54]
 */
export function hammingWindow<const N extends number, D extends DType = 'float32'>(
  size: N,
  options?: HammingOptions<D>,
): Tensor<[N], NoInfer<D>>;
export function hammingWindow(size: number, options: HammingOptions = {}): Tensor<[number], DType> {
  checkOptions('hammingWindow', options);
  const { alpha = 0.54, beta = 0.46, ...rest } = options;
  for (const [name, factor] of Object.entries({ alpha, beta })) checkNumber('hammingWindow', name, factor);
  return windowOf('hammingWindow', size, rest, cosines(alpha, beta));
}

/**
 * Blackman's window: 0.42 − 0.5·cos 2πx + 0.08·cos 4πx at x = i / size.
 *
 * @throws ArgumentError when the size is none; DTypeError unless the dtype is floating.
 * @example
 * blackmanWindow(4); // [0, 0.34, 1, 0.34]
 */
export function blackmanWindow<const N extends number, D extends DType = 'float32'>(
  size: N,
  options?: WindowOptions<D>,
): Tensor<[N], NoInfer<D>>;
export function blackmanWindow(size: number, options: WindowOptions = {}): Tensor<[number], DType> {
  checkOptions('blackmanWindow', options);
  return windowOf('blackmanWindow', size, options, cosines(0.42, 0.5, 0.08));
}

/**
 * Bartlett's window, a triangle: 1 − |2x − 1| at x = i / size.
 *
 * @throws ArgumentError when the size is none; DTypeError unless the dtype is floating.
 * @example
 * bartlettWindow(4); // [0, 0.5, 1, 0.5]
 */
export function bartlettWindow<const N extends number, D extends DType = 'float32'>(
  size: N,
  options?: WindowOptions<D>,
): Tensor<[N], NoInfer<D>>;
export function bartlettWindow(size: number, options: WindowOptions = {}): Tensor<[number], DType> {
  checkOptions('bartlettWindow', options);
  return windowOf('bartlettWindow', size, options, (x) => 1 - Math.abs(2 * x - 1));
}

export interface KaiserOptions<D extends DType = DType> extends WindowOptions<D> {
  /** How narrow the window is; 12 unless given. */
  readonly beta?: number;
}

/**
 * Kaiser's window: I₀(beta·√(1 − (2x − 1)²)) / I₀(beta) at x = i / size, with the modified Bessel function I₀.
 *
 * @throws ArgumentError when the size or beta is none; DTypeError unless the dtype is floating.
 * @see Kaiser and Schafer, 1980, On the use of the I₀-sinh window for spectrum analysis.
 * @example
 * kaiserWindow(3, { periodic: false, beta: 0 }); // [1, 1, 1]
 */
export function kaiserWindow<const N extends number, D extends DType = 'float32'>(
  size: N,
  options?: KaiserOptions<D>,
): Tensor<[N], NoInfer<D>>;
export function kaiserWindow(size: number, options: KaiserOptions = {}): Tensor<[number], DType> {
  checkOptions('kaiserWindow', options);
  const { beta = 12, ...rest } = options;
  checkNumber('kaiserWindow', 'beta', beta);
  const f = (x: number): number => bessel(beta * Math.sqrt(Math.max(0, 1 - (2 * x - 1) ** 2))) / bessel(beta);
  return windowOf('kaiserWindow', size, rest, f);
}

function checkNumber(op: string, name: string, value: number): void {
  if (typeof value === 'number' && Math.abs(value) <= 700) return;
  throw new ArgumentError(`${op}: ${name}: got ${shown(value)}, expected a number from -700 to 700`);
}

/** The modified Bessel function I₀(x) = Σₖ ((x/2)ᵏ / k!)². */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-17; k++) sum += term *= (x / 2 / k) ** 2;
  return sum;
}
