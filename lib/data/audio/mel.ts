/** Spectrograms of recordings: power, mel, logarithmic, cepstral. */
import { ArgumentError, ShapeError } from '../../errors';
import { noGrad } from '../../autograd/modes';
import { tensor } from '../../ops/creation';
import { checkGivenOptions, checkOptions } from '../../ops/define';
import { matmul } from '../../ops/matmul';
import { maximum } from '../../ops/pointwise';
import { checkCount, checkNumber } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { scope } from '../../tensor/scope';
import type { AnyTensor } from '../../tensor/tensor';
import { checkSound } from './resample';
import { powerSpectrogram } from './spectrogram';

export type MelScale = 'htk' | 'slaney';

export interface FilterBankOptions {
  readonly sampleRate: number;
  /** How many filters; 128 unless given. */
  readonly mels?: number;
  /** Hertz; 0 unless given. */
  readonly lowest?: number;
  /** Hertz; half the sample rate unless given. */
  readonly highest?: number;
  /** Which formula; `'htk'` (2595 · log₁₀(1 + f / 700)) unless given. */
  readonly scale?: MelScale;
  /** Whether each filter has the area of the others instead of the height; false unless given. */
  readonly normalize?: boolean;
}

const SLANEY_STEP = 200 / 3;
const SLANEY_BREAK = 1000;
const SLANEY_LOG = Math.log(6.4) / 27;

const toMel = (hertz: number, scale: MelScale): number => {
  if (scale === 'htk') return 2595 * Math.log10(1 + hertz / 700);
  if (hertz < SLANEY_BREAK) return hertz / SLANEY_STEP;
  return SLANEY_BREAK / SLANEY_STEP + Math.log(hertz / SLANEY_BREAK) / SLANEY_LOG;
};
const toHertz = (mel: number, scale: MelScale): number => {
  if (scale === 'htk') return 700 * (10 ** (mel / 2595) - 1);
  const middle = SLANEY_BREAK / SLANEY_STEP;
  return mel < middle ? mel * SLANEY_STEP : SLANEY_BREAK * Math.exp(SLANEY_LOG * (mel - middle));
};

/**
 * Triangular filters, evenly spaced on the mel scale: [mels, frequencies], for spectra of `frequencies` from 0 to half the sample rate.
 *
 * @throws ArgumentError when the frequencies are no range below half the sample rate.
 * @see Stevens, Volkmann and Newman, 1937, A scale for the measurement of the psychological magnitude pitch.
 * @example
 * data.audio.melFilterBank(201, { sampleRate: 16000, mels: 80 }).shape; // [80, 201]
 */
export function melFilterBank(frequencies: number, options: FilterBankOptions): AnyTensor {
  const op = 'melFilterBank';
  checkGivenOptions(op, options);
  const { sampleRate, mels = 128, lowest = 0, highest = sampleRate / 2, scale = 'htk', normalize = false } = options;
  checkCount(op, 'frequencies', frequencies, 2);
  checkCount(op, 'mels', mels);
  if (!(Number.isFinite(sampleRate) && sampleRate > 0)) {
    throw new ArgumentError(`${op}: sampleRate: got ${shown(sampleRate)}, expected a positive number`);
  }
  checkNumber(op, 'lowest', lowest, 0);
  checkNumber(op, 'highest', highest, 0);
  if (scale !== 'htk' && scale !== 'slaney') {
    throw new ArgumentError(`${op}: scale: got ${shown(scale)}, expected htk or slaney`);
  }
  if (!(lowest >= 0 && lowest < highest && highest <= sampleRate / 2)) {
    throw new ArgumentError(
      `${op}: lowest and highest: got ${lowest} and ${highest}, expected a range from 0 to ${sampleRate / 2}`,
    );
  }
  const [first, last] = [toMel(lowest, scale), toMel(highest, scale)];
  const points = Array.from({ length: mels + 2 }, (_, i) => toHertz(first + ((last - first) * i) / (mels + 1), scale));
  const bank = new Float32Array(mels * frequencies);
  for (let mel = 0; mel < mels; mel++) {
    const [left, middle, right] = points.slice(mel, mel + 3) as [number, number, number];
    const height = normalize ? 2 / (right - left) : 1;
    for (let i = 0; i < frequencies; i++) {
      const hertz = (i * sampleRate) / 2 / (frequencies - 1);
      const slope = Math.min((hertz - left) / (middle - left), (right - hertz) / (right - middle));
      bank[mel * frequencies + i] = Math.max(0, slope) * height;
    }
  }
  return tensor(bank, { shape: [mels, frequencies] }) as AnyTensor;
}

export interface SpectrogramOptions {
  /** Samples per frame; 400 unless given. */
  readonly frame?: number;
  /** Samples from one frame to the next; half a frame unless given. */
  readonly hop?: number;
}

export type MelOptions = SpectrogramOptions & FilterBankOptions;

/**
 * The power of a waveform [..., time] in each mel band: [..., mels, frames], of frames under Hann's window around every `hop`-th sample, the ends mirrored.
 *
 * @example
 * const mel = data.audio.melSpectrogram(waveform, { sampleRate: 16000, mels: 80 });
 */
export function melSpectrogram(waveform: AnyTensor, options: MelOptions): AnyTensor {
  const op = 'melSpectrogram';
  checkSound(op, waveform);
  checkGivenOptions(op, options);
  const { frame = 400, hop = Math.floor(frame / 2), ...bands } = options;
  checkCount(op, 'frame', frame, 2);
  checkCount(op, 'hop', hop);
  if (waveform.shape.at(-1)! <= Math.floor(frame / 2)) {
    throw new ShapeError(
      `${op}: waveform: got ${waveform.shape.at(-1)} samples, expected more than ${Math.floor(frame / 2)}, half a frame`,
    );
  }
  return scope(() =>
    noGrad(() => {
      const power = powerSpectrogram(waveform, frame, hop);
      const bank = melFilterBank(Math.floor(frame / 2) + 1, bands)
        .to(power.device)
        .to(power.dtype) as AnyTensor;
      return matmul(bank, power) as AnyTensor;
    }),
  );
}

export interface DecibelOptions {
  /** Decibels below the loudest of each recording at which quieter parts are cut; none unless given. */
  readonly range?: number;
}

/**
 * Power as decibels: 10 · log₁₀(max(power, 10⁻¹⁰)).
 *
 * @example
 * const logMel = data.audio.toDecibels(data.audio.melSpectrogram(waveform, { sampleRate: 16000 }), { range: 80 });
 */
export function toDecibels(power: AnyTensor, options: DecibelOptions = {}): AnyTensor {
  checkSound('toDecibels', power);
  checkOptions('toDecibels', options);
  const { range } = options;
  if (range !== undefined) checkNumber('toDecibels', 'range', range, 0);
  const decibels = power.clamp(1e-10).log10().mul(10) as AnyTensor;
  if (range === undefined) return decibels;
  const axes = power.rank < 2 ? [0] : [-2, -1];
  return maximum(decibels, decibels.max(axes, { keepDims: true }).sub(range) as AnyTensor) as AnyTensor;
}

export interface MfccOptions extends MelOptions {
  /** How many coefficients; 40 unless given. */
  readonly coefficients?: number;
}

/**
 * Mel-frequency cepstral coefficients of a waveform [..., time]: [..., coefficients, frames], the orthonormal cosine transform (DCT-II) of the mel spectrogram in decibels
 * (with a range of 80).
 *
 * @throws ArgumentError when there are more coefficients than mel bands.
 * @see Davis and Mermelstein, 1980, Comparison of parametric representations for monosyllabic word recognition.
 * @example
 * const features = data.audio.mfcc(waveform, { sampleRate: 16000, coefficients: 13 });
 */
export function mfcc(waveform: AnyTensor, options: MfccOptions): AnyTensor {
  checkGivenOptions('mfcc', options);
  const { coefficients = 40, ...spectrum } = options;
  const { mels = 128 } = spectrum;
  checkCount('mfcc', 'coefficients', coefficients);
  if (coefficients > mels) {
    throw new ArgumentError(`mfcc: coefficients: got ${coefficients}, expected at most ${mels}, one for each mel band`);
  }
  return scope(() =>
    noGrad(() => {
      const decibels = toDecibels(melSpectrogram(waveform, spectrum), { range: 80 });
      const transform = Float32Array.from({ length: coefficients * mels }, (_, at) => {
        const [k, n] = [Math.floor(at / mels), at % mels];
        return Math.cos((Math.PI / mels) * (n + 0.5) * k) * Math.sqrt((k === 0 ? 1 : 2) / mels);
      });
      return matmul(
        tensor(transform, { shape: [coefficients, mels], device: decibels.device }).to(decibels.dtype) as AnyTensor,
        decibels,
      ) as AnyTensor;
    }),
  );
}
