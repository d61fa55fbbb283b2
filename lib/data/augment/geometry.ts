/** Augmentations that move pixels: crop, flip, resize, rotate, shear. */
import { ArgumentError, ShapeError } from '../../errors';
import { arange, tensor } from '../../ops/creation';
import { checkGivenOptions, checkOptions } from '../../ops/define';
import { gather } from '../../ops/indexing';
import { interpolate } from '../../ops/interpolate';
import { cat, flip, pad, type PadMode } from '../../ops/movement';
import { where } from '../../ops/pointwise';
import { checkCount, checkFinite, checkNumber } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { isFloat } from '../../tensor/dtype';
import type { Shape } from '../../tensor/shape-types';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import {
  augmentation,
  checkPair,
  checkRange,
  chosen,
  cropEach,
  drawSize,
  rangeOf,
  sizeOf,
  type Augmentation,
} from './images';

export interface RandomCropOptions {
  /** Height and width of the part; the image's own unless given. */
  readonly size?: number | readonly [height: number, width: number];
  /** Pixels added on every side first; 0 unless given. */
  readonly padding?: number;
  /** Where they come from; `'constant'` (zeros) unless given. */
  readonly mode?: PadMode;
}

/**
 * A part of each image at a place of its own, behind an edge of padding.
 *
 * @throws ShapeError when the part is larger than the padded image.
 * @example
 * const augment = data.augment.randomCrop({ padding: 4 }); // as for CIFAR
 */
export function randomCrop(options: RandomCropOptions = {}): Augmentation {
  const op = 'randomCrop';
  checkOptions(op, options);
  const { padding = 0, mode = 'constant' } = options;
  const size = options.size === undefined ? undefined : sizeOf(op, options.size);
  checkCount(op, 'padding', padding, 0);
  return augmentation(op, 'any', (images, random) => {
    const [, , h, w] = images.shape as [number, number, number, number];
    const [height, width] = size ?? [h, w];
    const [rows, columns] = [h + 2 * padding - height, w + 2 * padding - width];
    if (!(rows >= 0 && columns >= 0)) {
      throw new ShapeError(
        `${op}: size: got [${height}, ${width}], expected at most [${h + 2 * padding}, ${w + 2 * padding}]`,
      );
    }
    const sides = [padding, padding] as const;
    const padded = padding === 0 ? images : (pad(images, [sides, sides], { mode }) as AnyTensor);
    return cropEach(padded, () => [random.integer(rows + 1), random.integer(columns + 1)], height, width);
  });
}

export interface RandomResizedCropOptions {
  /** From which to which share of the image is kept; [0.08, 1] unless given. */
  readonly scale?: readonly [number, number];
  /** From which to which height / width; [3 / 4, 4 / 3] unless given. */
  readonly ratio?: readonly [number, number];
}

/**
 * A part of each image, of a size and at a place of its own, at the size given, as {@link resize} makes it. Where ten parts that were drawn do not fit, it is the largest in the
 * middle whose height / width does.
 *
 * @see Szegedy et al., 2015, Going deeper with convolutions, section 6.
 * @example
 * const augment = data.augment.randomResizedCrop(32, { scale: [0.2, 1] });
 */
export function randomResizedCrop(
  size: number | readonly [height: number, width: number],
  options: RandomResizedCropOptions = {},
): Augmentation {
  const op = 'randomResizedCrop';
  const target = sizeOf(op, size);
  checkOptions(op, options);
  const scale = checkRange(op, 'scale', options.scale ?? [0.08, 1]);
  const ratio = checkRange(op, 'ratio', options.ratio ?? [3 / 4, 4 / 3]);
  checkNumber(op, 'scale', scale[0], 0);
  for (const aspect of ratio) {
    if (!(aspect > 0)) throw new ArgumentError(`${op}: ratio: got ${aspect}, expected more than 0`);
  }
  return augmentation(op, 'float', (images, random) => {
    const [n, , h, w] = images.shape as [number, number, number, number];
    const aspect = Math.min(Math.max(h / w, ratio[0]), ratio[1]);
    const largest = [Math.min(h, Math.round(w * aspect)), Math.min(w, Math.round(h / aspect))] as const;
    const parts = Array.from({ length: n }, (_, i) => {
      const drawn = drawSize(random, [h, w], [h, w], scale, ratio);
      const [height, width] = drawn ?? largest;
      const [top, left] =
        drawn === undefined
          ? [(h - height) >> 1, (w - width) >> 1]
          : [random.integer(h - height + 1), random.integer(w - width + 1)];
      const part = images.narrow(0, i, 1).narrow(2, top, height).narrow(3, left, width) as AnyTensor;
      return interpolate(part, { size: target, mode: 'bilinear', antialias: true }) as AnyTensor;
    });
    return cat(parts);
  });
}

/** The middle of each image. */
export function centerCrop(size: number | readonly [height: number, width: number]): Augmentation {
  const [height, width] = sizeOf('centerCrop', size);
  return augmentation('centerCrop', 'any', (images) => {
    const [, , h, w] = images.shape as [number, number, number, number];
    if (height > h || width > w) {
      throw new ShapeError(`centerCrop: size: got [${height}, ${width}], expected at most [${h}, ${w}]`);
    }
    return images
      .narrow(2, Math.floor((h - height) / 2), height)
      .narrow(3, Math.floor((w - width) / 2), width) as AnyTensor;
  });
}

const flipped = (op: string, axis: number, chance: number): Augmentation => {
  checkNumber(op, 'chance', chance, 0, 1);
  return augmentation(op, 'any', (images, random) => {
    const mask = chosen(images, random, chance);
    return where(mask, flip(images, [axis]), images);
  });
};

/**
 * Mirrors images left to right, each with the given chance.
 *
 * @example
 * const augment = data.augment.horizontalFlip(0.5);
 */
export function horizontalFlip(chance = 0.5): Augmentation {
  return flipped('horizontalFlip', 3, chance);
}

/** Mirrors images top to bottom, each with the given chance. */
export function verticalFlip(chance = 0.5): Augmentation {
  return flipped('verticalFlip', 2, chance);
}

/**
 * All images at another size, bilinearly; where they shrink, each pixel takes all that it covers into account.
 *
 * @example
 * const augment = data.augment.resize([64, 64]);
 */
export function resize(size: readonly [height: number, width: number]): Augmentation {
  const [height, width] = sizeOf('resize', size);
  return augmentation('resize', 'float', (images) =>
    interpolate(images, { size: [height, width], mode: 'bilinear', antialias: true }),
  );
}

export interface RandomAffineOptions {
  /** Degrees, up to which either way or from which to which; 0 unless given. */
  readonly degrees?: number | readonly [number, number];
  /** Shares of height and width, up to which images are moved; 0 unless given. */
  readonly translate?: readonly [vertical: number, horizontal: number];
  /** From which to which factor images are scaled; 1 unless given. */
  readonly scale?: readonly [number, number];
  /** Degrees, as `degrees`, by which the horizontal is slanted; 0 unless given. */
  readonly shear?: number | readonly [number, number];
  /** `'bilinear'` unless given. */
  readonly mode?: 'bilinear' | 'nearest';
  /** Of pixels that come from outside; 0 unless given. */
  readonly fill?: number;
}

/**
 * Rotates (counter-clockwise), slants, scales and moves each image by amounts of its own, around its middle.
 *
 * @example
 * const augment = data.augment.randomAffine({ degrees: 15, translate: [0.1, 0.1] });
 */
export function randomAffine(options: RandomAffineOptions): Augmentation {
  const op = 'randomAffine';
  checkGivenOptions(op, options);
  const { scale = [1, 1], mode = 'bilinear', fill = 0 } = options;
  const translate = checkPair(op, 'translate', options.translate ?? [0, 0]);
  const degrees = rangeOf(op, 'degrees', options.degrees ?? 0, 0);
  const shear = rangeOf(op, 'shear', options.shear ?? 0, 0);
  const [least, most] = rangeOf(op, 'scale', scale, 1);
  if (!(least > 0)) throw new ArgumentError(`${op}: scale: got ${least}, expected more than 0`);
  if (mode !== 'bilinear' && mode !== 'nearest') {
    throw new ArgumentError(`${op}: mode: got ${shown(mode)}, expected bilinear or nearest`);
  }
  checkFinite(op, 'fill', fill);
  return augmentation(op, 'float', (images, random) => {
    const [n, , h, w] = images.shape as [number, number, number, number];
    const matrices = Array.from({ length: n }, () =>
      inverseAffine({
        angle: random.between(...degrees),
        shear: random.between(...shear),
        scale: random.between(least, most),
        down: h * random.between(-translate[0], translate[0]),
        right: w * random.between(-translate[1], translate[1]),
      }),
    );
    return warp(images, matrices, mode, fill);
  });
}

/** Rotates each image by an angle of its own, in degrees. */
export function randomRotation(
  degrees: number | readonly [number, number],
  options: Pick<RandomAffineOptions, 'mode' | 'fill'> = {},
): Augmentation {
  checkOptions('randomRotation', options);
  return randomAffine({ ...options, degrees });
}

export interface AffineParts {
  /** Degrees, counter-clockwise. */
  readonly angle?: number;
  /** Degrees. */
  readonly shear?: number;
  readonly scale?: number;
  /** Pixels. */
  readonly down?: number;
  readonly right?: number;
}

/** From a pixel of the result to its source, both counted from the middle: x' = a·x + b·y + c, y' = d·x + e·y + f. */
export type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** The inverse of: slant, scale, rotate, move. */
export function inverseAffine({ angle = 0, shear = 0, scale = 1, down = 0, right = 0 }: AffineParts): Matrix {
  const turn = (-angle * Math.PI) / 180; // y points down
  const slant = Math.tan((shear * Math.PI) / 180);
  const [cos, sin] = [Math.cos(turn) / scale, Math.sin(turn) / scale];
  // R⁻¹ / scale, then the slant undone: x − slant·y.
  const [a, b, d, e] = [cos + slant * sin, sin - slant * cos, -sin, cos];
  return [a, b, -a * right - b * down, d, e, -d * right - e * down];
}

/** Each image seen through its matrix. */
export function warp(
  images: AnyTensor,
  matrices: readonly Matrix[],
  mode: 'bilinear' | 'nearest',
  fill: number,
): AnyTensor {
  const [n, c, h, w] = images.shape as [number, number, number, number];
  const { device } = images;
  const flat = images.reshape([n, c, h * w]) as AnyTensor;
  const coefficient = (i: number): AnyTensor =>
    tensor(
      Float32Array.from(matrices, (matrix) => matrix[i]!),
      { shape: [n, 1, 1], device },
    ) as AnyTensor;
  const [midX, midY] = [(w - 1) / 2, (h - 1) / 2];
  const column = arange(w, { device }).sub(midX).reshape([1, 1, w]) as AnyTensor;
  const row = arange(h, { device }).sub(midY).reshape([1, h, 1]) as AnyTensor;
  const source = (first: number, middle: number): AnyTensor =>
    column
      .mul(coefficient(first))
      .add(row.mul(coefficient(first + 1)))
      .add(coefficient(first + 2))
      .add(middle) as AnyTensor;
  const [x, y] = [source(0, midX), source(3, midY)];
  /** The pixels at whole coordinates [n, h, w]; `fill` outside. */
  const at = (px: AnyTensor, py: AnyTensor): AnyTensor => {
    const inside = px
      .greaterEqual(0)
      .logicalAnd(px.lessEqual(w - 1))
      .logicalAnd(py.greaterEqual(0))
      .logicalAnd(py.lessEqual(h - 1));
    const index = py
      .clamp(0, h - 1)
      .mul(w)
      .add(px.clamp(0, w - 1))
      .to('int32')
      .reshape([n, 1, h * w])
      .expand([n, c, h * w]) as Tensor<Shape, 'int32'>;
    const pixels = gather(flat, 2, index).reshape([n, c, h, w]) as AnyTensor;
    return where(inside.reshape([n, 1, h, w]) as AnyTensor, pixels, fill);
  };
  if (mode === 'nearest') return at(x.round() as AnyTensor, y.round() as AnyTensor).to(images.dtype) as AnyTensor;
  const [x0, y0] = [x.floor() as AnyTensor, y.floor() as AnyTensor];
  const [x1, y1] = [x0.add(1) as AnyTensor, y0.add(1) as AnyTensor];
  const dtype = isFloat(images.dtype) ? images.dtype : 'float32';
  const share = (part: AnyTensor): AnyTensor => part.reshape([n, 1, h, w]).to(dtype) as AnyTensor;
  const [fx, fy] = [share(x.sub(x0) as AnyTensor), share(y.sub(y0) as AnyTensor)];
  const top = at(x0, y0).mul(fx.neg().add(1)).add(at(x1, y0).mul(fx));
  const bottom = at(x0, y1).mul(fx.neg().add(1)).add(at(x1, y1).mul(fx));
  return top.mul(fy.neg().add(1)).add(bottom.mul(fy)) as AnyTensor;
}
