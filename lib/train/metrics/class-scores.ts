/** Scores of each class against the rest, and their averages. */
import { ArgumentError } from '../../errors';
import { where } from '../../ops/pointwise-compare';
import { shown } from '../../tensor/describe';
import type { Shape } from '../../tensor/shape-types';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { CountMetric, type ClassificationOptions } from './classification';

/**
 * How values of classes become one: `'macro'`, their mean over the classes that occur; `'weighted'`, that mean weighted by how often each is true;
 * `'micro'`, the value over all samples; `'binary'`, that of class 1; `'none'`, all of them.
 */
export type Average = 'macro' | 'weighted' | 'micro' | 'binary' | 'none';

export interface AverageOptions<A extends Average> extends ClassificationOptions {
  /** `'macro'` unless given. */
  readonly average?: A;
}

/** Counts of one class, or of several together. */
interface Counts {
  /** How many were predicted and true. */
  readonly both: number;
  readonly predicted: number;
  readonly actual: number;
  /** How many there are of all classes. */
  readonly samples: number;
}

abstract class ClassScore<A extends Average> extends CountMetric<A extends 'none' ? number[] : number> {
  protected readonly length: number;
  readonly #average: Average;

  constructor(classes: number, options: AverageOptions<A> = {}) {
    super(classes, options);
    this.#average = options.average ?? 'macro';
    if (!['macro', 'weighted', 'micro', 'binary', 'none'].includes(this.#average)) {
      throw new ArgumentError(
        `${this.constructor.name}: average: got ${shown(this.#average)}, expected macro, weighted, micro, binary or none`,
      );
    }
    if (this.#average === 'binary' && classes !== 2) {
      throw new ArgumentError(`${this.constructor.name}: average: got binary for ${classes} classes, expected 2`);
    }
    this.length = 3 * classes;
  }

  /** The score of a class; 0 where it is 0/0. */
  protected abstract score(counts: Counts): number;

  /** The classes that the averages `'macro'` and `'micro'` are of. */
  protected averaged(all: readonly Counts[]): readonly Counts[] {
    return all;
  }

  protected counts(guess: AnyTensor, truth: AnyTensor): readonly AnyTensor[] {
    const { classes, length } = this;
    const both = where(guess.equalTo(truth) as Tensor<Shape, 'bool'>, truth, length) as AnyTensor;
    return [both, guess.add(classes) as AnyTensor, truth.add(2 * classes) as AnyTensor];
  }

  protected evaluate(sums: Float64Array): A extends 'none' ? number[] : number {
    const { classes } = this;
    const samples = sums.subarray(2 * classes).reduce((sum, actual) => sum + actual, 0);
    const all = Array.from({ length: classes }, (_, i): Counts => {
      return { both: sums[i]!, predicted: sums[classes + i]!, actual: sums[2 * classes + i]!, samples };
    });
    return this.#combine(all, samples) as A extends 'none' ? number[] : number;
  }

  #combine(all: readonly Counts[], samples: number): number | number[] {
    if (samples === 0) return this.#average === 'none' ? all.map(() => NaN) : NaN;
    switch (this.#average) {
      case 'none':
        return all.map((counts) => this.score(counts));
      case 'binary':
        return this.score(all[1]!);
      case 'micro':
        return this.score(this.averaged(all).reduce(together));
      case 'weighted':
        return all.reduce((sum, counts) => sum + counts.actual * this.score(counts), 0) / samples;
      case 'macro': {
        const occurring = this.averaged(all).filter(({ predicted, actual }) => predicted + actual > 0);
        return occurring.reduce((sum, counts) => sum + this.score(counts), 0) / occurring.length;
      }
    }
  }
}

const together = (a: Counts, b: Counts): Counts => ({
  both: a.both + b.both,
  predicted: a.predicted + b.predicted,
  actual: a.actual + b.actual,
  samples: a.samples + b.samples,
});

/**
 * Of the samples predicted as a class, the share that are of it. Predictions are as for {@link Accuracy}.
 *
 * @example
 * const precision = new train.Precision(3, { average: 'none' });
 */
export class Precision<A extends Average = 'macro'> extends ClassScore<A> {
  protected score({ both, predicted }: Counts): number {
    return both / Math.max(predicted, 1);
  }
}

/**
 * Of the samples of a class, the share predicted as it. Predictions are as for {@link Accuracy}.
 *
 * @example
 * const recall = new train.Recall(2, { average: 'binary' });
 */
export class Recall<A extends Average = 'macro'> extends ClassScore<A> {
  protected score({ both, actual }: Counts): number {
    return both / Math.max(actual, 1);
  }
}

/**
 * The harmonic mean of {@link Precision} and {@link Recall} of each class.
 *
 * @example
 * const f1 = new train.F1Score(10, { average: 'weighted' });
 */
export class F1Score<A extends Average = 'macro'> extends ClassScore<A> {
  protected score({ both, predicted, actual }: Counts): number {
    return (2 * both) / Math.max(predicted + actual, 1);
  }
}

/**
 * Of the samples that are not of a class, the share not predicted as it. Predictions are as for {@link Accuracy}.
 *
 * @example
 * const specificity = new train.Specificity(2, { average: 'binary' });
 */
export class Specificity<A extends Average = 'macro'> extends ClassScore<A> {
  protected score({ both, predicted, actual, samples }: Counts): number {
    return (samples - predicted - actual + both) / Math.max(samples - actual, 1);
  }
}

/**
 * The intersection over union of each class: of the samples predicted as it or of it, the share that are both. With `'macro'` it is the mean IoU
 * of segmentation, of scores [n, classes, height, width] and targets [n, height, width], say. Predictions are as for {@link Accuracy}. The
 * class `ignoreIndex`, if it is one, is left out of the averages.
 *
 * @see Everingham et al., 2010, The PASCAL visual object classes (VOC) challenge.
 * @example
 * const iou = new train.JaccardIndex(2);
 * iou.update(tensor([[0, 1], [1, 1]], { dtype: 'int32' }), tensor([[0, 1], [0, 1]], { dtype: 'int32' }));
 * await iou.compute(); // 0.5833
 */
export class JaccardIndex<A extends Average = 'macro'> extends ClassScore<A> {
  readonly #ignoreIndex: number | undefined;

  constructor(classes: number, options: AverageOptions<A> = {}) {
    super(classes, options);
    this.#ignoreIndex = options.ignoreIndex;
  }

  protected score({ both, predicted, actual }: Counts): number {
    return both / Math.max(predicted + actual - both, 1);
  }

  protected override averaged(all: readonly Counts[]): readonly Counts[] {
    return all.filter((_, index) => index !== this.#ignoreIndex);
  }
}
