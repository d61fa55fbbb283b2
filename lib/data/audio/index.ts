/** Recordings to features, as `data.audio`. */
export {
  melFilterBank,
  melSpectrogram,
  mfcc,
  toDecibels,
  type DecibelOptions,
  type FilterBankOptions,
  type MelOptions,
  type MelScale,
  type MfccOptions,
  type SpectrogramOptions,
} from './mel';
export { resample, type ResampleOptions } from './resample';
export { specAugment, type SpecAugmentOptions } from './spec-augment';
