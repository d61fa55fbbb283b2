/** Recordings as Whisper hears them. */
import { noGrad } from '../autograd/modes';
import { melSpectrogram, toDecibels } from '../data/audio';
import { checkSound } from '../data/audio/resample';
import { ShapeError } from '../errors';
import { checkOptions } from '../ops/define';
import { cat } from '../ops/movement';
import { checkCount } from '../tensor/checks';
import { scope } from '../tensor/scope';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';

export interface WhisperFeaturesOptions {
  /** How many mel bands, as many as the model has; 80 unless given, as in all published models but large-v3 and its relatives, which have 128. */
  readonly mels?: number;
  /** Of the window that the model hears; 30 unless given. */
  readonly seconds?: number;
}

/** Samples per second. */
const RATE = 16000;
/** Samples from one frame to the next. */
export const HOP = 160;

/** Of a recording, so that memory does not grow with its spectra. */
const FRAMES_AT_ONCE = 3000;

/** What is heard of samples [b, time], cut or followed by silence so that there are so many frames: [b, mels, frames]. */
export function heard(samples: AnyTensor, mels: number, frames: number): AnyTensor {
  return scope(() =>
    noGrad(() => {
      const length = frames * HOP;
      const part = samples.narrow(1, 0, Math.min(samples.shape[1]!, length));
      const window = part.pad([[0, length - part.shape[1]!]]) as AnyTensor;
      const bands = { sampleRate: RATE, frame: 400, hop: HOP, mels, scale: 'slaney', normalize: true } as const;
      const parts = Array.from({ length: Math.ceil(frames / FRAMES_AT_ONCE) }, (_, i) => {
        const first = i * FRAMES_AT_ONCE;
        const count = Math.min(FRAMES_AT_ONCE, frames - first);
        // Two frames more on each side, which reach beyond the part. The last one of all is left out: it begins where the window ends.
        const before = Math.min(first, 2);
        const [start, end] = [(first - before) * HOP, Math.min((first + count + 2) * HOP, length)];
        return scope(() => melSpectrogram(window.narrow(1, start, end - start), bands).narrow(-1, before, count));
      });
      return toDecibels(cat(parts, -1), { range: 80 }).div(40).add(1) as AnyTensor;
    }),
  );
}

/**
 * What Whisper hears of recordings at 16,000 samples per second, [time] or [b, time] within ±1: [b, mels, 100 · seconds], of [time] with b = 1. Silence is added to
 * what is shorter than the window, and what lasts longer is cut. A frame is the logarithm of the power in each mel band around every 160th sample, at most 8 powers of
 * ten below the loudest of its recording: (log₁₀ power + 4) / 4.
 *
 * @throws ShapeError for samples of another shape; DTypeError for those of no floating dtype.
 * @see Radford et al., 2022, Robust speech recognition via large-scale weak supervision, section 2.2.
 * @example
 * models.whisperFeatures(randn([16000]).mul(0.1)).shape; // [1, 80, 3000]
 */
export function whisperFeatures(samples: AnyTensor, options: WhisperFeaturesOptions = {}): AnyTensor {
  const op = 'whisperFeatures';
  checkSound(op, samples);
  checkOptions(op, options);
  const { mels = 80, seconds = 30 } = options;
  checkCount(op, 'mels', mels);
  checkCount(op, 'seconds', seconds);
  if (samples.rank > 2) {
    throw new ShapeError(`${op}: samples: got shape ${show(samples.shape)}, expected [time] or [b, time]`);
  }
  const batch = samples.reshape([-1, samples.shape.at(-1)!]) as AnyTensor;
  return heard(batch, mels, (seconds * RATE) / HOP);
}
