/** Augmentations that mix images with each other, and their labels with them. */
import { ArgumentError, ShapeError } from '../../errors';
import { noGrad } from '../../autograd/modes';
import { oneHot, tensor } from '../../ops/creation';
import { checkGivenOptions, checkTensor } from '../../ops/define';
import { indexSelect } from '../../ops/index-select';
import { where } from '../../ops/pointwise';
import { checkCount } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { scope } from '../../tensor/scope';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { ContinuedRandom, type Random } from '../random';
import { boxMask } from './colour';
import { checkImages } from './images';

export interface Mixed {
  readonly images: AnyTensor;
  /** A probability for each class: [n, classes], float32. */
  readonly labels: AnyTensor;
}

export interface MixOptions {
  readonly classes: number;
  /** Of the Beta distribution that the share is drawn from; 1 (any share as likely) unless given. */
  readonly alpha?: number;
}

/** Mixes a batch [n, c, h, w] and its labels, numbers [n] or probabilities [n, classes]; `random` is as in {@link Augmentation}. */
export type Mix = (images: AnyTensor, labels: AnyTensor, random?: Random) => Mixed;

/**
 * MixUp (Zhang et al., 2018): each image becomes λ·image + (1 − λ)·another, its label likewise; λ is drawn per batch from Beta(α, α).
 *
 * @example
 * const mix = data.augment.mixUp({ classes: 10, alpha: 0.2 });
 * const { images, labels } = mix(x, y, new data.Random(0));
 */
export function mixUp(options: MixOptions): Mix {
  return mixing('mixUp', options, (images, others, share) => ({
    images: images.mul(share).add(others.mul(1 - share)) as AnyTensor,
    share,
  }));
}

/**
 * CutMix (Yun et al., 2019): a rectangle of each image, of the share 1 − λ, comes from another image; the label is mixed by the areas.
 *
 * @example
 * const mix = data.augment.cutMix({ classes: 10 });
 * const { images, labels } = mix(x, y, new data.Random(0));
 */
export function cutMix(options: MixOptions): Mix {
  return mixing('cutMix', options, (images, others, share, random) => {
    const [n, , h, w] = images.shape as [number, number, number, number];
    const [midX, midY] = [random.integer(w), random.integer(h)];
    const [halfX, halfY] = [w, h].map((size) => 0.5 * size * Math.sqrt(1 - share)) as [number, number];
    const box = {
      top: Math.max(0, Math.floor(midY - halfY)),
      bottom: Math.min(h, Math.floor(midY + halfY)),
      left: Math.max(0, Math.floor(midX - halfX)),
      right: Math.min(w, Math.floor(midX + halfX)),
    };
    const mask = boxMask(
      images,
      Array.from({ length: n }, () => box),
    );
    return {
      images: where(mask, others, images),
      share: 1 - ((box.bottom - box.top) * (box.right - box.left)) / (h * w),
    };
  });
}

type Blend = (
  images: AnyTensor,
  others: AnyTensor,
  share: number,
  random: Random,
) => { images: AnyTensor; share: number };

function mixing(op: string, options: MixOptions, blend: Blend): Mix {
  checkGivenOptions(op, options);
  const { classes, alpha = 1 } = options;
  checkCount(op, 'classes', classes);
  if (!Number.isFinite(alpha) || alpha <= 0) {
    throw new ArgumentError(`${op}: alpha: got ${shown(alpha)}, expected a number above 0`);
  }
  return (images, labels, random = new ContinuedRandom()) => {
    checkImages(op, images, random);
    checkTensor(op, labels, 'labels');
    const isSoft = labels.rank === 2;
    if (labels.shape[0] !== images.shape[0] || labels.rank > 2 || (isSoft && labels.shape[1] !== classes)) {
      throw new ShapeError(
        `${op}: labels: got shape ${show(labels.shape)}, expected [${images.shape[0]}] or [${images.shape[0]}, ${classes}]`,
      );
    }
    const [mixed, soft] = scope(() =>
      noGrad(() => {
        const order = Int32Array.from(random.permutation(images.shape[0]!));
        const rows = (x: AnyTensor): AnyTensor => indexSelect(x, 0, tensor(order, { device: x.device })) as AnyTensor;
        const hard = isSoft ? labels : (oneHot(labels.to('int64'), classes) as AnyTensor);
        const targets = hard.to('float32') as AnyTensor;
        const result = blend(images, rows(images), beta(random, alpha), random);
        const others = rows(targets).mul(1 - result.share);
        return [result.images, targets.mul(result.share).add(others) as AnyTensor] as const;
      }),
    );
    return { images: mixed, labels: soft };
  };
}

/** Beta(α, α): the share of one of two Gamma draws. */
function beta(random: Random, alpha: number): number {
  const [a, b] = [gamma(random, alpha), gamma(random, alpha)];
  return a + b === 0 ? 0.5 : a / (a + b);
}

/** Gamma(shape, 1), by rejection (Marsaglia and Tsang, 2000). */
function gamma(random: Random, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  for (;;) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
