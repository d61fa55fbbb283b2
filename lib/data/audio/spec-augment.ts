/** SpecAugment: random bands of a spectrogram are silenced. */
import { ShapeError } from '../../errors';
import { noGrad } from '../../autograd/modes';
import { tensor } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { where } from '../../ops/pointwise';
import { checkCount, checkFinite, checkNumber } from '../../tensor/checks';
import { describe } from '../../tensor/describe';
import { scope } from '../../tensor/scope';
import { show } from '../../tensor/shapes';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import { checkRandom } from '../augment/images';
import { ContinuedRandom, type Random } from '../random';

export interface SpecAugmentOptions {
  /** How many bands of frequencies; 2 unless given. */
  readonly frequencyMasks?: number;
  /** A band covers less than this many frequencies; 27 unless given. */
  readonly frequencyWidth?: number;
  /** How many stretches of time; 2 unless given. */
  readonly timeMasks?: number;
  /** A stretch covers less than this many frames; 100 unless given. */
  readonly timeWidth?: number;
  /** And at most this share of the frames; 1 unless given. */
  readonly timeShare?: number;
  /** What is put in their place; 0 unless given. */
  readonly value?: number;
}

/**
 * SpecAugment (Park et al., 2019) without warping: bands of frequencies and stretches of time of each spectrogram of a batch [n, …, frequencies, frames] are replaced, at places of its
 * own, drawn from `random` or, unless it is given, from the generator that {@link manualSeed} starts.
 *
 * @throws ShapeError when the spectrograms have no axis for the batch.
 * @example
 * const augment = data.audio.specAugment({ timeWidth: 40 });
 * const changed = augment(logMel, new data.Random(0));
 */
export function specAugment(options: SpecAugmentOptions = {}): (spectrograms: AnyTensor, random?: Random) => AnyTensor {
  const op = 'specAugment';
  checkOptions(op, options);
  const { frequencyMasks = 2, frequencyWidth = 27, timeMasks = 2, timeWidth = 100, timeShare = 1, value = 0 } = options;
  for (const [name, given] of Object.entries({ frequencyMasks, timeMasks })) checkCount(op, name, given, 0);
  for (const [name, given] of Object.entries({ frequencyWidth, timeWidth })) checkNumber(op, name, given, 0);
  checkNumber(op, 'timeShare', timeShare, 0, 1);
  checkFinite(op, 'value', value);
  return (spectrograms, random = new ContinuedRandom()) => {
    if (!(spectrograms instanceof Tensor) || spectrograms.rank < 3) {
      const got = spectrograms instanceof Tensor ? `shape ${show(spectrograms.shape)}` : describe(spectrograms);
      throw new ShapeError(`${op}: got ${got}, expected [n, …, frequencies, frames]`);
    }
    checkRandom(op, random);
    const { shape } = spectrograms;
    const [n, frequencies, frames] = [shape[0]!, shape.at(-2)!, shape.at(-1)!];
    const mask = new Uint8Array(n * frequencies * frames);
    const stretch = (size: number, width: number): [number, number] => {
      const length = random.uniform() * Math.min(width, size);
      const start = Math.floor(random.uniform() * (size - length));
      return [start, start + Math.floor(length)];
    };
    for (let i = 0; i < n; i++) {
      const base = i * frequencies * frames;
      for (let k = 0; k < frequencyMasks; k++) {
        const [start, end] = stretch(frequencies, frequencyWidth);
        mask.fill(1, base + start * frames, base + end * frames);
      }
      for (let k = 0; k < timeMasks; k++) {
        const [start, end] = stretch(frames, Math.min(timeWidth, timeShare * frames));
        for (let row = 0; row < frequencies; row++)
          mask.fill(1, base + row * frames + start, base + row * frames + end);
      }
    }
    const between = new Array<number>(shape.length - 3).fill(1);
    return scope(() =>
      noGrad(() => {
        const placed = { shape: [n, ...between, frequencies, frames], device: spectrograms.device };
        const isMasked = tensor(mask, { dtype: 'bool', ...placed }) as AnyTensor;
        return where(isMasked, value, spectrograms).to(spectrograms.dtype) as AnyTensor;
      }),
    );
  };
}
