/** Recordings at another sample rate, by windowed-sinc interpolation. */
import { ArgumentError, DTypeError, ShapeError } from '../../errors';
import { conv1d } from '../../ops/convolution';
import { tensor } from '../../ops/creation';
import { checkOptions, checkTensor } from '../../ops/define';
import { pad } from '../../ops/movement';
import { checkCount } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { isFloat } from '../../tensor/dtype';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';

export interface ResampleOptions {
  /** Zero crossings on each side of the filter: more is sharper and slower; 6 unless given. */
  readonly filterWidth?: number;
  /** Where the filter cuts off, as a share of the lower of the two Nyquist frequencies; 0.99 unless given. */
  readonly rolloff?: number;
}

/** Throws unless `x` is [..., time] of a floating dtype. */
export function checkSound(op: string, x: unknown): asserts x is AnyTensor {
  checkTensor(op, x, 'waveform');
  const { rank, shape, dtype } = x;
  if (rank === 0) throw new ShapeError(`${op}: waveform: got shape ${show(shape)}, expected [..., time]`);
  if (!isFloat(dtype)) throw new DTypeError(`${op}: waveform: got ${dtype}, expected a floating dtype`);
}

/**
 * A waveform [..., time] recorded at `from` samples per second, as it is at `to`: [..., ⌈time · to / from⌉]. The filter is a sinc under a Hann window, cut off below
 * both Nyquist frequencies: one phase of it for each of to / gcd results, as in torchaudio.
 *
 * @throws ArgumentError when a rate is no positive integer.
 * @see Smith, 2002, Digital audio resampling.
 * @example
 * const slower = data.audio.resample(waveform, 44100, 16000);
 */
export function resample(waveform: AnyTensor, from: number, to: number, options: ResampleOptions = {}): AnyTensor {
  const op = 'resample';
  checkSound(op, waveform);
  checkCount(op, 'from', from);
  checkCount(op, 'to', to);
  checkOptions(op, options);
  const { filterWidth = 6, rolloff = 0.99 } = options;
  checkCount(op, 'filterWidth', filterWidth);
  if (!(typeof rolloff === 'number' && rolloff > 0 && rolloff <= 1))
    throw new ArgumentError(`${op}: rolloff: got ${shown(rolloff)}, expected more than 0, at most 1`);
  if (from === to) return waveform;
  const common = gcd(from, to);
  const [source, target] = [from / common, to / common];
  const { kernels, width, length } = sincKernels(source, target, filterWidth, rolloff);
  const time = waveform.shape.at(-1)!;
  const outer = waveform.shape.slice(0, -1);
  const rows = outer.reduce((product, size) => product * size, 1);
  const padded = pad(waveform.reshape([rows, 1, time]) as AnyTensor, [[width, width + source]]) as AnyTensor;
  const weight = tensor(kernels, { shape: [target, 1, length], device: waveform.device }).to(
    waveform.dtype,
  ) as AnyTensor;
  const phases = conv1d(padded, weight, undefined, { stride: source }) as AnyTensor; // [rows, target, frames]
  const result = phases.transpose(1, 2).reshape([rows, phases.shape[2]! * target]) as AnyTensor;
  const size = Math.ceil((target * time) / source);
  return result.narrow(1, 0, size).reshape([...outer, size]) as AnyTensor;
}

function sincKernels(
  source: number,
  target: number,
  filterWidth: number,
  rolloff: number,
): { kernels: Float64Array; width: number; length: number } {
  const base = Math.min(source, target) * rolloff;
  const width = Math.ceil((filterWidth * source) / base);
  const length = 2 * width + source;
  const kernels = new Float64Array(target * length);
  for (let phase = 0; phase < target; phase++) {
    for (let i = 0; i < length; i++) {
      const position = (-phase / target + (i - width) / source) * base;
      const t = Math.min(filterWidth, Math.max(-filterWidth, position));
      const window = Math.cos((t * Math.PI) / filterWidth / 2) ** 2;
      const sinc = t === 0 ? 1 : Math.sin(t * Math.PI) / (t * Math.PI);
      kernels[phase * length + i] = (sinc * window * base) / source;
    }
  }
  return { kernels, width, length };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
