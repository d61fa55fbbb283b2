/** RandAugment, and several augmentations one after the other. */
import { ShapeError } from '../../errors';
import { ones, tensor, zeros } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { gather, scatterAdd } from '../../ops/indexing';
import { cumsum } from '../../ops/reduce';
import type { Shape } from '../../tensor/shape-types';
import { indexSelect } from '../../ops/index-select';
import { cat } from '../../ops/movement';
import { where } from '../../ops/pointwise';
import { checkCount, checkFinite, checkFunction, checkNumber } from '../../tensor/checks';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { ContinuedRandom, type Random } from '../random';
import { adjust } from './colour';
import { inverseAffine, warp, type AffineParts } from './geometry';
import { augmentation, perImage, type Augmentation, type Change } from './images';

/**
 * Augmentations one after the other.
 *
 * @example
 * const { augment } = data;
 * const change = augment.compose(augment.randomCrop({ padding: 4 }), augment.horizontalFlip());
 * const changed = change(images, new data.Random(0));
 */
export function compose(...augmentations: readonly Change[]): Augmentation {
  augmentations.forEach((change, i) => checkFunction('compose', `augmentations[${i}]`, change));
  return (images, random = new ContinuedRandom()) =>
    augmentations.reduce((result, change) => change(result, random), images);
}

export interface RandAugmentOptions {
  /** How many changes each image gets; 2 unless given. */
  readonly count?: number;
  /** How strong they are, 0 to 30; 9 unless given. */
  readonly magnitude?: number;
  /** Of pixels that come from outside; 0 unless given. */
  readonly fill?: number;
}

/** A change of the given strength, 0 to 1, to images that all get it. */
type StrongChange = (images: AnyTensor, strength: number, random: Random, fill: number) => AnyTensor;

const moved =
  (parts: (amount: number, images: AnyTensor) => AffineParts): StrongChange =>
  (images, strength, random, fill) => {
    const matrices = Array.from({ length: images.shape[0]! }, () =>
      inverseAffine(parts(random.uniform() < 0.5 ? strength : -strength, images)),
    );
    return warp(images, matrices, 'nearest', fill);
  };
const recoloured =
  (change: (images: AnyTensor, factor: AnyTensor) => AnyTensor): StrongChange =>
  (images, strength, random) =>
    change(
      images,
      perImage(images, () => 1 + (random.uniform() < 0.5 ? 0.9 : -0.9) * strength),
    );

const degrees = (radians: number): number => (Math.atan(radians) * 180) / Math.PI;

// The changes and their ranges, as in torchvision.
const changes: Readonly<Record<string, StrongChange>> = {
  identity: (images) => images,
  shearX: moved((amount) => ({ shear: degrees(0.3 * amount) })),
  // A slant of the vertical: the horizontal's, in an image turned by a quarter.
  shearY: (images, strength, random, fill) =>
    changes['shearX']!(images.transpose(2, 3) as AnyTensor, strength, random, fill).transpose(2, 3) as AnyTensor,
  translateX: moved((amount, images) => ({ right: Math.trunc((150 / 331) * images.shape[3]! * amount) })),
  translateY: moved((amount, images) => ({ down: Math.trunc((150 / 331) * images.shape[2]! * amount) })),
  rotate: moved((amount) => ({ angle: 30 * amount })),
  brightness: recoloured(adjust.brightness),
  color: recoloured(adjust.saturation),
  contrast: recoloured(adjust.contrast),
  sharpness: recoloured(sharpness),
  posterize: (images, strength) => {
    const levels = 2 ** (8 - Math.round(4 * strength));
    return images
      .mul(255)
      .mul(levels / 256)
      .floor()
      .mul(256 / levels / 255) as AnyTensor;
  },
  solarize: (images, strength) =>
    where(images.greaterEqual(1 - strength) as AnyTensor, images.neg().add(1) as AnyTensor, images),
  autoContrast: (images) => {
    const low = images.min([2, 3], { keepDims: true }) as AnyTensor;
    const range = images.max([2, 3], { keepDims: true }).sub(low) as AnyTensor;
    const flat = range.equalTo(0) as AnyTensor;
    return where(flat, images, images.sub(low).div(where(flat, 1, range) as AnyTensor) as AnyTensor);
  },
  equalize,
};
const names = Object.keys(changes);

/** Between the image and itself smoothed by [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, whose edge stays. */
function sharpness(images: AnyTensor, factor: AnyTensor): AnyTensor {
  const [, , h, w] = images.shape as [number, number, number, number];
  if (h < 3 || w < 3) return images;
  let sum = images
    .narrow(2, 1, h - 2)
    .narrow(3, 1, w - 2)
    .mul(4) as AnyTensor;
  for (const down of [0, 1, 2]) {
    for (const right of [0, 1, 2]) sum = sum.add(images.narrow(2, down, h - 2).narrow(3, right, w - 2)) as AnyTensor;
  }
  const middle = sum.mul(1 / 13) as AnyTensor;
  const rows = cat(
    [
      images.narrow(2, 1, h - 2).narrow(3, 0, 1) as AnyTensor,
      middle,
      images.narrow(2, 1, h - 2).narrow(3, w - 1, 1) as AnyTensor,
    ],
    3,
  );
  const smooth = cat([images.narrow(2, 0, 1) as AnyTensor, rows, images.narrow(2, h - 1, 1) as AnyTensor], 2);
  return images
    .mul(factor)
    .add(smooth.mul(factor.neg().add(1)))
    .clamp(0, 1) as AnyTensor;
}

/** Spreads each channel's 256 levels evenly, as PIL does. */
function equalize(images: AnyTensor): AnyTensor {
  const [n, c, h, w] = images.shape as [number, number, number, number];
  const { device } = images;
  const levels = images
    .mul(255)
    .round()
    .clamp(0, 255)
    .to('int64')
    .reshape([n, c, h * w]) as Tensor<Shape, 'int64'>;
  const counts = scatterAdd(zeros([n, c, 256], { device }), 2, levels, ones([n, c, h * w], { device })) as AnyTensor;
  const last = gather(counts, 2, levels.max(2, { keepDims: true }) as typeof levels) as AnyTensor;
  const step = last
    .neg()
    .add(h * w)
    .div(255)
    .floor() as AnyTensor;
  const before = cumsum(counts, 2).sub(counts) as AnyTensor;
  const table = before.add(step.div(2).floor()).div(step.clamp(1)).floor().clamp(0, 255) as AnyTensor;
  const spread = gather(table, 2, levels)
    .mul(1 / 255)
    .to(images.dtype) as AnyTensor;
  return where(step.equalTo(0) as AnyTensor, images.reshape([n, c, h * w]) as AnyTensor, spread).reshape([
    n,
    c,
    h,
    w,
  ]) as AnyTensor;
}

/**
 * RandAugment (Cubuk et al., 2020): each image gets `count` of fourteen changes, drawn anew for each image. Values are 0 … 1.
 *
 * @throws ArgumentError for a magnitude outside 0 … 30.
 * @example
 * const augment = data.augment.randAugment({ count: 2, magnitude: 9 });
 */
export function randAugment(options: RandAugmentOptions = {}): Augmentation {
  const op = 'randAugment';
  checkOptions(op, options);
  const { count = 2, magnitude = 9, fill = 0 } = options;
  checkCount(op, 'count', count, 0);
  checkNumber(op, 'magnitude', magnitude, 0, 30);
  checkFinite(op, 'fill', fill);
  return augmentation(op, 'float', (images, random) => {
    if (images.shape[1] !== 1 && images.shape[1] !== 3) {
      throw new ShapeError(`${op}: images: got ${images.shape[1]} channels, expected 1 or 3`);
    }
    let result = images;
    for (let round = 0; round < count; round++) result = eachOne(result, magnitude / 30, random, fill);
    return result;
  });
}

/** One change for each image: those with the same are changed together, then put back in their places. */
function eachOne(images: AnyTensor, strength: number, random: Random, fill: number): AnyTensor {
  const groups = new Map<string, number[]>();
  for (let i = 0; i < images.shape[0]!; i++) {
    const name = names[random.integer(names.length)]!;
    groups.set(name, [...(groups.get(name) ?? []), i]);
  }
  const order = [...groups.values()].flat();
  const changed = [...groups].map(([name, members]) =>
    changes[name]!(pick(images, members), strength, random, fill).to(images.dtype),
  ) as AnyTensor[];
  const places = new Array<number>(order.length);
  order.forEach((image, place) => (places[image] = place));
  return pick(cat(changed, 0), places);
}

const pick = (images: AnyTensor, indices: readonly number[]): AnyTensor =>
  indexSelect(images, 0, tensor(Int32Array.from(indices), { device: images.device })) as AnyTensor;
