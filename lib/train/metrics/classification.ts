/** Metrics of classes: what is taken for what, and the shares that follow from it. */
import { ArgumentError, ShapeError } from '../../errors';
import { full, ones, zeros } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { where } from '../../ops/pointwise-compare';
import { checkCount, checkFinite } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { isFloat, type IndexDType } from '../../tensor/dtype';
import type { Shape } from '../../tensor/shape-types';
import { sameShape, show } from '../../tensor/shapes';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { checkInputs, sumsOf, SumMetric } from './metric';

/** Predictions and targets: see {@link Accuracy}. */
export type Classified = [predictions: AnyTensor, targets: AnyTensor];

export interface ClassificationOptions {
  /** Samples with this target do not count. */
  readonly ignoreIndex?: number;
  /** From which probability on class 1 is predicted; 0.5 unless given. */
  readonly threshold?: number;
}

type Indices = Tensor<Shape, IndexDType>;

/** The predicted classes, in the shape of the targets. */
function classesOf(metric: string, predictions: AnyTensor, targets: AnyTensor, threshold = 0.5): AnyTensor {
  checkInputs(metric, predictions, targets);
  const scores = predictions.detach() as AnyTensor;
  if (sameShape(scores.shape, targets.shape)) return isFloat(scores.dtype) ? scores.greaterEqual(threshold) : scores;
  const rest = scores.shape.filter((_, axis) => axis !== 1);
  if (scores.rank < 2 || !sameShape(rest, targets.shape)) {
    throw new ShapeError(
      `${metric}: predictions: got shape ${show(scores.shape)} for targets ${show(targets.shape)}, expected their shape, or it with an axis of classes behind the first`,
    );
  }
  return scores.argmax(1);
}

/** Throws unless predictions that are scores are of `classes` classes. */
function checkClasses(metric: string, predictions: AnyTensor, targets: AnyTensor, classes: number): void {
  checkInputs(metric, predictions, targets);
  if (predictions.rank === targets.rank || predictions.shape[1] === classes) return;
  throw new ShapeError(
    `${metric}: predictions: got ${predictions.shape[1]} classes in ${show(predictions.shape)}, expected ${classes}`,
  );
}

/** Throws unless `options` are those of classification. */
function checkClassification(metric: string, options: ClassificationOptions): void {
  checkOptions(metric, options);
  if (options.ignoreIndex !== undefined) checkFinite(metric, 'ignoreIndex', options.ignoreIndex);
  if (options.threshold !== undefined) checkFinite(metric, 'threshold', options.threshold);
}

const flat = (x: AnyTensor): AnyTensor => x.detach().reshape([-1]) as AnyTensor;

/** How often each index in [0, length) occurs, as float64; indices of `length` are left out. */
function counted(index: AnyTensor, length: number): AnyTensor {
  const { device } = index;
  const each = ones([1], { dtype: 'float64', device }).expand(index.shape) as AnyTensor;
  const bins = zeros([length + 1], { dtype: 'float64', device }) as AnyTensor;
  return bins.scatterAdd(0, index as Indices, each).narrow(0, 0, length) as AnyTensor;
}

/** The predictions, where one that is no class points outside everything that is counted. */
function checkedClasses(predictions: AnyTensor, classes: number): AnyTensor {
  const index = predictions.cast('int64') as AnyTensor;
  return where(index.greaterEqual(0).logicalAnd(index.less(classes)) as Tensor<Shape, 'bool'>, index, -(2 ** 40));
}

/** `index`, or `otherwise` where the target is one that does not count. */
function unlessIgnored(index: AnyTensor, targets: AnyTensor, ignoreIndex: number | undefined, otherwise: number) {
  if (ignoreIndex === undefined) return index;
  return where(targets.equalTo(ignoreIndex) as Tensor<Shape, 'bool'>, otherwise, index) as AnyTensor;
}

/**
 * The share of samples whose class is predicted. Predictions are classes, in the shape of the targets; or scores with an axis of classes behind the first
 * ([n, classes] for targets [n]), of which the highest wins; or probabilities of class 1, floating and in the shape of the targets.
 *
 * @throws ShapeError when predictions fit in none of these ways.
 * @example
 * const accuracy = new train.Accuracy();
 * accuracy.update(tensor([[2, 1], [0, 3]]), tensor([0, 0], { dtype: 'int32' }));
 * await accuracy.compute(); // 0.5
 */
export class Accuracy extends SumMetric<Classified> {
  protected readonly length = 2;

  constructor(private readonly options: ClassificationOptions = {}) {
    super();
    checkClassification('Accuracy', options);
  }

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    const { ignoreIndex, threshold } = this.options;
    const right = classesOf('Accuracy', predictions, targets, threshold).equalTo(targets) as AnyTensor;
    return shareOf(right, targets, ignoreIndex);
  }

  protected evaluate(sums: Float64Array): number {
    return sums[0]! / sums[1]!;
  }
}

/** How many are true and how many count. */
function shareOf(right: AnyTensor, targets: AnyTensor, ignoreIndex: number | undefined): AnyTensor {
  if (ignoreIndex === undefined) {
    const { device, size } = targets;
    return sumsOf(right.cast('float64').sum(), full([], size, { dtype: 'float64', device }) as AnyTensor);
  }
  const counts = targets.notEqual(ignoreIndex) as AnyTensor;
  return sumsOf(right.logicalAnd(counts).cast('float64').sum(), counts.cast('float64').sum());
}

/**
 * The share of samples whose class is among the `k` with the highest scores. Scores are [n, classes] for targets [n], or have further axes behind.
 *
 * @throws ShapeError when scores do not fit the targets, or there are fewer than `k` classes.
 * @example
 * const top2 = new train.TopKAccuracy(2);
 * top2.update(tensor([[3, 2, 1], [3, 2, 1]]), tensor([1, 2], { dtype: 'int32' }));
 * await top2.compute(); // 0.5
 */
export class TopKAccuracy extends SumMetric<Classified> {
  protected readonly length = 2;

  constructor(
    readonly k: number,
    private readonly options: Pick<ClassificationOptions, 'ignoreIndex'> = {},
  ) {
    super();
    checkCount('TopKAccuracy', 'k', k);
    checkClassification('TopKAccuracy', options);
  }

  protected measure(scores: AnyTensor, targets: AnyTensor): AnyTensor {
    checkInputs('TopKAccuracy', scores, targets, 'scores');
    const rest = scores.shape.filter((_, axis) => axis !== 1);
    if (scores.rank < 2 || !sameShape(rest, targets.shape)) {
      throw new ShapeError(
        `TopKAccuracy: scores: got shape ${show(scores.shape)} for targets ${show(targets.shape)}, expected an axis of classes behind the first`,
      );
    }
    const [, best] = (scores.detach() as AnyTensor).topk(this.k, { axis: 1 }) as [AnyTensor, AnyTensor];
    const right = best.equalTo(targets.unsqueeze(1)).any(1) as AnyTensor;
    return shareOf(right, targets, this.options.ignoreIndex);
  }

  protected evaluate(sums: Float64Array): number {
    return sums[0]! / sums[1]!;
  }
}

/**
 * How often each class is taken for each: `matrix[truth][prediction]`. Predictions are as for {@link Accuracy}.
 *
 * @throws ShapeError; IndexError at `compute` when a target or a prediction is no class.
 * @example
 * const confusion = new train.ConfusionMatrix(2);
 * confusion.update(tensor([0, 1, 1], { dtype: 'int32' }), tensor([0, 0, 1], { dtype: 'int32' }));
 * await confusion.compute(); // [[1, 1], [0, 1]]
 */
export class ConfusionMatrix extends SumMetric<Classified, number[][]> {
  protected readonly length: number;

  constructor(
    readonly classes: number,
    private readonly options: ClassificationOptions = {},
  ) {
    super();
    checkCount('ConfusionMatrix', 'classes', classes, 2);
    checkClassification('ConfusionMatrix', options);
    this.length = classes * classes;
  }

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    const { classes, options, length } = this;
    checkClasses('ConfusionMatrix', predictions, targets, classes);
    const guess = checkedClasses(flat(classesOf('ConfusionMatrix', predictions, targets, options.threshold)), classes);
    const index = checkedClasses(flat(targets), classes).mul(classes).add(guess) as AnyTensor;
    return counted(unlessIgnored(index, flat(targets), options.ignoreIndex, length), length);
  }

  protected evaluate(sums: Float64Array): number[][] {
    return Array.from({ length: this.classes }, (_, i) => [...sums.subarray(i * this.classes, (i + 1) * this.classes)]);
  }
}

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
}

abstract class ClassScore<A extends Average> extends SumMetric<Classified, A extends 'none' ? number[] : number> {
  protected readonly length: number;
  readonly #average: Average;

  constructor(
    readonly classes: number,
    private readonly options: AverageOptions<A> = {},
  ) {
    super();
    checkCount(this.constructor.name, 'classes', classes, 2);
    checkClassification(this.constructor.name, options);
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

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    const { classes, options, length } = this;
    const name = this.constructor.name;
    checkClasses(name, predictions, targets, classes);
    const guess = checkedClasses(flat(classesOf(name, predictions, targets, options.threshold)), classes);
    const truth = checkedClasses(flat(targets), classes);
    const both = where(guess.equalTo(truth) as Tensor<Shape, 'bool'>, truth, length) as AnyTensor;
    const indices = [both, guess.add(classes), truth.add(2 * classes)].map((index) =>
      unlessIgnored(index as AnyTensor, flat(targets), options.ignoreIndex, length),
    );
    return counted(cat(indices) as AnyTensor, length);
  }

  protected evaluate(sums: Float64Array): A extends 'none' ? number[] : number {
    const { classes } = this;
    const all = Array.from({ length: classes }, (_, i): Counts => {
      return { both: sums[i]!, predicted: sums[classes + i]!, actual: sums[2 * classes + i]! };
    });
    return this.#combine(all) as A extends 'none' ? number[] : number;
  }

  #combine(all: readonly Counts[]): number | number[] {
    const total = (of: (counts: Counts) => number): number => all.reduce((sum, counts) => sum + of(counts), 0);
    const samples = total(({ actual }) => actual);
    if (samples === 0) return this.#average === 'none' ? all.map(() => NaN) : NaN;
    switch (this.#average) {
      case 'none':
        return all.map((counts) => this.score(counts));
      case 'binary':
        return this.score(all[1]!);
      case 'micro':
        return this.score({ both: total(({ both }) => both), predicted: samples, actual: samples });
      case 'weighted':
        return total((counts) => counts.actual * this.score(counts)) / samples;
      case 'macro': {
        const occurs = ({ predicted, actual }: Counts): boolean => predicted + actual > 0;
        return total((counts) => (occurs(counts) ? this.score(counts) : 0)) / all.filter(occurs).length;
      }
    }
  }
}

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
