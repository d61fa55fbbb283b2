/** What all augmentations share: their shape as functions, the check of a batch of images, and numbers drawn per image. */
import { ArgumentError, DTypeError, ShapeError } from '../../errors';
import { noGrad } from '../../autograd/modes';
import { scope } from '../../tensor/scope';
import { tensor } from '../../ops/creation';
import { checkTensor } from '../../ops/define';
import { stack } from '../../ops/movement';
import { checkCount } from '../../tensor/checks';
import { describe, shown } from '../../tensor/describe';
import { isFloat } from '../../tensor/dtype';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { ContinuedRandom, Random } from '../random';

/** Changes a batch of images [n, c, h, w] by what it draws from `random`. */
export type Change = (images: AnyTensor, random: Random) => AnyTensor;

/** Changes a batch of images [n, c, h, w]; what it draws comes from `random`, unless given from the generator that {@link manualSeed} starts. */
export type Augmentation = (images: AnyTensor, random?: Random) => AnyTensor;

/** An augmentation with its check, its memory given back but for the result, and no gradient recorded. */
export function augmentation(op: string, needs: 'any' | 'float', change: Change): Augmentation {
  return (images, random = new ContinuedRandom()) => {
    checkImages(op, images, random);
    if (needs === 'float' && !isFloat(images.dtype)) {
      throw new DTypeError(`${op}: images: got ${images.dtype}, expected a floating dtype; toFloat() comes first`);
    }
    return images.size === 0 && images.shape[0] === 0 ? images : scope(() => noGrad(() => change(images, random)));
  };
}

/** Throws unless `images` is a batch of them and `random` gives random numbers. */
export function checkImages(op: string, images: unknown, random: unknown): asserts images is AnyTensor {
  checkTensor(op, images, 'images');
  if (images.rank !== 4) {
    throw new ShapeError(`${op}: images: got shape ${show(images.shape)}, expected [n, c, h, w]`);
  }
  checkRandom(op, random);
}

/** Throws unless `random` gives random numbers. */
export function checkRandom(op: string, random: unknown): void {
  if (random instanceof Random) return;
  throw new ArgumentError(`${op}: random: got ${describe(random)}, expected a Random`);
}

/** A number for each image, shaped to broadcast over its other axes. */
export function perImage(images: AnyTensor, draw: (i: number) => number): AnyTensor {
  const { shape, dtype, device } = images;
  const values = Float32Array.from({ length: shape[0]! }, (_, i) => draw(i));
  return tensor(values, { shape: [shape[0]!, 1, 1, 1], device }).to(isFloat(dtype) ? dtype : 'float32') as AnyTensor;
}

/** A choice for each image: `chance` of true. */
export function chosen(images: AnyTensor, random: Random, chance: number): AnyTensor {
  const flags = Uint8Array.from({ length: images.shape[0]! }, () => (random.uniform() < chance ? 1 : 0));
  return tensor(flags, { dtype: 'bool', shape: [images.shape[0]!, 1, 1, 1], device: images.device }) as AnyTensor;
}

/** A part of each image, by its place. */
export function cropEach(
  images: AnyTensor,
  place: (i: number) => readonly [top: number, left: number],
  height: number,
  width: number,
): AnyTensor {
  const parts = Array.from({ length: images.shape[0]! }, (_, i) => {
    const [top, left] = place(i);
    return (images.select(0, i) as AnyTensor).narrow(1, top, height).narrow(2, left, width) as AnyTensor;
  });
  return stack(parts);
}

/**
 * Height and width of a box, at most `most`, with a share of [h, w] and a height / width drawn from these ranges; none when ten that were drawn did not fit.
 */
export function drawSize(
  random: Random,
  [h, w]: readonly [number, number],
  most: readonly [number, number],
  scale: readonly [number, number],
  ratio: readonly [number, number],
): readonly [height: number, width: number] | undefined {
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = h * w * random.between(...scale);
    const aspect = Math.exp(random.between(Math.log(ratio[0]), Math.log(ratio[1])));
    const [height, width] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    if (height > 0 && width > 0 && height <= most[0] && width <= most[1]) return [height, width];
  }
  return undefined;
}

/** A number as the range around 0 or 1 that it stands for, or the range itself. */
export function rangeOf(
  op: string,
  name: string,
  value: number | readonly [number, number],
  middle: number,
): readonly [number, number] {
  if (typeof value !== 'number') return checkRange(op, name, value);
  return checkRange(op, name, [middle - value, middle + value]);
}

/** Throws unless `value` is a range: two finite numbers in order. */
export function checkRange(op: string, name: string, value: unknown): readonly [number, number] {
  const [low, high] = checkPair(op, name, value);
  if (!(low <= high)) throw new ArgumentError(`${op}: ${name}: got [${low}, ${high}], expected a range`);
  return [low, high];
}

/** Throws unless `value` is two finite numbers. */
export function checkPair(op: string, name: string, value: unknown): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(Number.isFinite)) {
    const got = Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : describe(value);
    throw new ArgumentError(`${op}: ${name}: got ${got}, expected two finite numbers`);
  }
  return value as [number, number];
}

/** Height and width; one number stands for both. */
export function sizeOf(op: string, size: number | readonly [number, number]): readonly [height: number, width: number] {
  const [height, width] = typeof size === 'number' ? [size, size] : checkPair(op, 'size', size);
  checkCount(op, 'size', height);
  checkCount(op, 'size', width);
  return [height, width];
}
