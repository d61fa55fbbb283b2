/** Random changes to batches of images, as `data.augment`. */
export {
  colorJitter,
  cutout,
  normalize,
  randomErasing,
  randomGrayscale,
  toFloat,
  type ColorJitterOptions,
  type RandomErasingOptions,
} from './colour';
export {
  centerCrop,
  horizontalFlip,
  randomAffine,
  randomCrop,
  randomResizedCrop,
  randomRotation,
  resize,
  verticalFlip,
  type RandomAffineOptions,
  type RandomCropOptions,
  type RandomResizedCropOptions,
} from './geometry';
export { type Augmentation } from './images';
export { cutMix, mixUp, type Mix, type Mixed, type MixOptions } from './mix';
export { compose, randAugment, type RandAugmentOptions } from './rand-augment';
