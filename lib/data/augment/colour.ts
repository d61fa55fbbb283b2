/** Augmentations that change values in place: scale, normalize, colour jitter, erasing. */
import { ArgumentError, ShapeError } from '../../errors';
import { tensor } from '../../ops/creation';
import { checkGivenOptions, checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { maximum, where } from '../../ops/pointwise';
import { checkCount, checkFinite, checkList, checkNumber } from '../../tensor/checks';
import type { AnyTensor } from '../../tensor/tensor';
import type { Random } from '../random';
import { augmentation, checkRange, chosen, drawSize, perImage, rangeOf, type Augmentation } from './images';

/** Bytes 0 … 255 to float32 0 … 1; what is floating already stays. */
export function toFloat(): Augmentation {
  return augmentation('toFloat', 'any', (images) =>
    images.dtype === 'uint8' ? (images.to('float32').mul(1 / 255) as AnyTensor) : images,
  );
}

/**
 * (x − mean) / deviation, channel by channel.
 *
 * @throws ShapeError when there is not one mean and one deviation for each channel.
 * @example
 * const augment = data.augment.normalize([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);
 */
export function normalize(mean: readonly number[], deviation: readonly number[]): Augmentation {
  for (const [name, values] of Object.entries({ mean, deviation })) {
    checkList('normalize', name, values);
    values.forEach((value, i) => checkFinite('normalize', `${name}[${i}]`, value));
  }
  return augmentation('normalize', 'float', (images) => {
    const channels = images.shape[1]!;
    if (mean.length !== channels || deviation.length !== channels) {
      throw new ShapeError(
        `normalize: got ${mean.length} means and ${deviation.length} deviations, expected ${channels} of each`,
      );
    }
    const channelwise = (values: readonly number[]): AnyTensor =>
      tensor(Float32Array.from(values), { shape: [1, channels, 1, 1], device: images.device }).to(
        images.dtype,
      ) as AnyTensor;
    return images.sub(channelwise(mean)).div(channelwise(deviation)) as AnyTensor;
  });
}

const blended = (images: AnyTensor, other: AnyTensor, factor: AnyTensor): AnyTensor =>
  images
    .mul(factor)
    .add(other.mul(factor.neg().add(1)))
    .clamp(0, 1) as AnyTensor;

/** [n, 1, h, w]: the brightness that eyes see (ITU-R 601). */
export function grey(images: AnyTensor): AnyTensor {
  if (images.shape[1] === 1) return images;
  const weights = tensor([0.299, 0.587, 0.114], { device: images.device })
    .reshape([1, 3, 1, 1])
    .to(images.dtype) as AnyTensor;
  return images.mul(weights).sum(1, { keepDims: true }) as AnyTensor;
}

/** The single changes, each by a factor per image [n, 1, 1, 1]; values are 0 … 1. */
export const adjust = {
  brightness: (images: AnyTensor, factor: AnyTensor): AnyTensor => images.mul(factor).clamp(0, 1) as AnyTensor,
  contrast: (images: AnyTensor, factor: AnyTensor): AnyTensor =>
    blended(images, grey(images).mean([2, 3], { keepDims: true }).mean(1, { keepDims: true }) as AnyTensor, factor),
  saturation: (images: AnyTensor, factor: AnyTensor): AnyTensor => blended(images, grey(images), factor),
  hue,
} as const;

/** Turns the hue by a share of the whole circle, through HSV (Smith, 1978). */
function hue(images: AnyTensor, shift: AnyTensor): AnyTensor {
  const [r, g, b] = [0, 1, 2].map((channel) => images.narrow(1, channel, 1) as AnyTensor) as [
    AnyTensor,
    AnyTensor,
    AnyTensor,
  ];
  const value = images.max(1, { keepDims: true }) as AnyTensor;
  const range = value.sub(images.min(1, { keepDims: true })) as AnyTensor;
  const divisor = where(range.equalTo(0) as AnyTensor, 1, range) as AnyTensor;
  const sector = (first: AnyTensor, second: AnyTensor, offset: number): AnyTensor =>
    first.sub(second).div(divisor).add(offset) as AnyTensor;
  const angle = where(
    value.equalTo(r) as AnyTensor,
    sector(g, b, 0),
    where(value.equalTo(g) as AnyTensor, sector(b, r, 2), sector(r, g, 4)),
  ) as AnyTensor;
  const turned = angle.add(shift.mul(6)) as AnyTensor;
  // Channel by channel: v − range · max(0, min(k, 4 − k, 1)), k = n + h modulo 6 with n = 5, 3, 1.
  const channels = [5, 3, 1].map((offset) => {
    const k = turned.add(offset).remainder(6) as AnyTensor;
    const weight = maximum(k.neg().add(4).minimum(k).clamp(undefined, 1) as AnyTensor, 0) as AnyTensor;
    return value.sub(range.mul(weight)) as AnyTensor;
  });
  return cat(channels, 1);
}

export interface ColorJitterOptions {
  /** Factors from 1 − b to 1 + b, or from which to which; none unless given. */
  readonly brightness?: number | readonly [number, number];
  readonly contrast?: number | readonly [number, number];
  readonly saturation?: number | readonly [number, number];
  /** Shares of the colour circle, up to 0.5 either way. */
  readonly hue?: number | readonly [number, number];
}

/**
 * Changes brightness, contrast, saturation and hue of each image by amounts of its own, in an order drawn per batch. Values are 0 … 1.
 *
 * @throws ArgumentError for a hue beyond half the circle.
 * @example
 * const augment = data.augment.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 });
 */
export function colorJitter(options: ColorJitterOptions): Augmentation {
  const op = 'colorJitter';
  checkGivenOptions(op, options);
  const changes = (['brightness', 'contrast', 'saturation', 'hue'] as const).flatMap((name) => {
    const given = options[name];
    if (given === undefined || given === 0) return [];
    const middle = name === 'hue' ? 0 : 1;
    const [low, high] = rangeOf(op, name, given, middle);
    if (name === 'hue' && !(low >= -0.5 && high <= 0.5)) {
      throw new ArgumentError(`${op}: hue: got [${low}, ${high}], expected -0.5 to 0.5`);
    }
    return [{ name, range: [name === 'hue' ? low : Math.max(0, low), high] as const }];
  });
  return augmentation(op, 'float', (images, random) => {
    if (images.shape[1] !== 1 && images.shape[1] !== 3) {
      throw new ShapeError(`${op}: images: got ${images.shape[1]} channels, expected 1 or 3`);
    }
    const left = changes.filter(({ name }) => images.shape[1] === 3 || name === 'brightness' || name === 'contrast');
    let result = images;
    while (left.length > 0) {
      const [{ name, range }] = left.splice(random.integer(left.length), 1) as [(typeof changes)[number]];
      result = adjust[name](
        result,
        perImage(images, () => random.between(...range)),
      );
    }
    return result;
  });
}

export interface RandomErasingOptions {
  /** Chance that an image is changed; 0.5 unless given. */
  readonly chance?: number;
  /** From which to which share of the image is erased; [0.02, 0.33] unless given. */
  readonly scale?: readonly [number, number];
  /** From which to which height / width; [0.3, 3.3] unless given. */
  readonly ratio?: readonly [number, number];
  /** What is put in its place; 0 unless given. */
  readonly value?: number;
}

/**
 * Erases a rectangle in some images (Zhong et al., 2020).
 *
 * @example
 * const augment = data.augment.randomErasing({ chance: 0.25 });
 */
export function randomErasing(options: RandomErasingOptions = {}): Augmentation {
  const op = 'randomErasing';
  checkOptions(op, options);
  const { chance = 0.5, value = 0 } = options;
  checkNumber(op, 'chance', chance, 0, 1);
  checkFinite(op, 'value', value);
  const scale = checkRange(op, 'scale', options.scale ?? [0.02, 0.33]);
  const ratio = checkRange(op, 'ratio', options.ratio ?? [0.3, 3.3]);
  checkNumber(op, 'scale', scale[0], 0);
  checkNumber(op, 'ratio', ratio[0], 0);
  return augmentation(op, 'any', (images, random) => {
    const [, , h, w] = images.shape as [number, number, number, number];
    const boxes = Array.from({ length: images.shape[0]! }, () => {
      if (random.uniform() >= chance) return undefined;
      const size = drawSize(random, [h, w], [h - 1, w - 1], scale, ratio);
      return size && boxAt(random, h, w, ...size);
    });
    return erased(images, boxes, value);
  });
}

/**
 * Cutout (DeVries and Taylor, 2017): a square of each image is erased, its middle anywhere, so that it may reach over the edge.
 *
 * @example
 * const augment = data.augment.cutout(16);
 */
export function cutout(size: number, options: { readonly value?: number } = {}): Augmentation {
  checkCount('cutout', 'size', size);
  checkOptions('cutout', options);
  const { value = 0 } = options;
  checkFinite('cutout', 'value', value);
  return augmentation('cutout', 'any', (images, random) => {
    const [n, , h, w] = images.shape as [number, number, number, number];
    const half = Math.floor(size / 2);
    const boxes = Array.from({ length: n }, (): Box => {
      const [top, left] = [random.integer(h) - half, random.integer(w) - half];
      return { top, left, bottom: top + size, right: left + size };
    });
    return erased(images, boxes, value);
  });
}

export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export function boxAt(random: Random, h: number, w: number, height: number, width: number): Box {
  const [top, left] = [random.integer(h - height + 1), random.integer(w - width + 1)];
  return { top, left, bottom: top + height, right: left + width };
}

/** True inside each image's box: [n, 1, h, w]. */
export function boxMask(images: AnyTensor, boxes: readonly (Box | undefined)[]): AnyTensor {
  const [n, , h, w] = images.shape as [number, number, number, number];
  const mask = new Uint8Array(n * h * w);
  boxes.forEach((box, i) => {
    if (box === undefined) return;
    const [left, right] = [Math.max(0, box.left), Math.min(w, box.right)];
    for (let row = Math.max(0, box.top); row < Math.min(h, box.bottom); row++) {
      mask.fill(1, (i * h + row) * w + left, (i * h + row) * w + right);
    }
  });
  return tensor(mask, { dtype: 'bool', shape: [n, 1, h, w], device: images.device }) as AnyTensor;
}

function erased(images: AnyTensor, boxes: readonly (Box | undefined)[], value: number): AnyTensor {
  return where(boxMask(images, boxes), value, images).to(images.dtype) as AnyTensor;
}

/** Grey instead of colour, with the given chance per image; as many channels as before. */
export function randomGrayscale(chance = 0.1): Augmentation {
  checkNumber('randomGrayscale', 'chance', chance, 0, 1);
  return augmentation('randomGrayscale', 'float', (images, random) =>
    where(chosen(images, random, chance), grey(images).expand(images.shape) as AnyTensor, images),
  );
}
