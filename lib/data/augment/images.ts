// What all augmentations share: their shape as functions, the check of a batch of images, and numbers drawn per image.

import { ArgumentError, DTypeError, ShapeError } from '../../errors';
import { noGrad } from '../../autograd/modes';
import { scope } from '../../tensor/scope';
import { tensor } from '../../ops/creation';
import { stack } from '../../ops/movement';
import { isFloat } from '../../tensor/dtype';
import { show } from '../../tensor/shapes';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import type { Random } from '../random';

/** Changes a batch of images [n, c, h, w]; what it draws comes from `random`, so a seed decides the result. */
export type Augmentation = (images: AnyTensor, random: Random) => AnyTensor;

/** An augmentation with its check, its memory given back but for the result, and no gradient recorded. */
export function augmentation(op: string, needs: 'any' | 'float', change: Augmentation): Augmentation {
  return (images, random) => {
    if (!(images instanceof Tensor)) throw new ArgumentError(`${op}: images: got ${typeof images}, expected a tensor`);
    if (images.rank !== 4) {
      throw new ShapeError(`${op}: images: got shape ${show(images.shape)}, expected [n, c, h, w]`);
    }
    if (needs === 'float' && !isFloat(images.dtype)) {
      throw new DTypeError(`${op}: images: got ${images.dtype}, expected a floating dtype; toFloat() comes first`);
    }
    return images.size === 0 && images.shape[0] === 0 ? images : scope(() => noGrad(() => change(images, random)));
  };
}

/** A number for each image, shaped to broadcast over its other axes. */
export function perImage(images: AnyTensor, draw: (i: number) => number): AnyTensor {
  const { shape, dtype } = images;
  const values = Float32Array.from({ length: shape[0]! }, (_, i) => draw(i));
  return tensor(values, { shape: [shape[0]!, 1, 1, 1] }).to(isFloat(dtype) ? dtype : 'float32') as AnyTensor;
}

/** A choice for each image: `chance` of true. */
export function chosen(images: AnyTensor, random: Random, chance: number): AnyTensor {
  const flags = Uint8Array.from({ length: images.shape[0]! }, () => (random.uniform() < chance ? 1 : 0));
  return tensor(flags, { dtype: 'bool', shape: [images.shape[0]!, 1, 1, 1] }) as AnyTensor;
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

export function expectChance(op: string, name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new ArgumentError(`${op}: ${name}: got ${value}, expected 0 to 1`);
}

/** A number as the range around 0 or 1 that it stands for, or the range itself. */
export function rangeOf(
  op: string,
  name: string,
  value: number | readonly [number, number],
  middle: number,
): readonly [number, number] {
  const [low, high] = typeof value === 'number' ? [middle - value, middle + value] : value;
  if (!(low <= high)) throw new ArgumentError(`${op}: ${name}: got [${low}, ${high}], expected a range`);
  return [low, high];
}
