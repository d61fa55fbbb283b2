/** Metrics of classes: the shares of samples that are predicted, and what is counted of predictions and targets for the metrics of class-scores.ts and confusion.ts. */
import { ShapeError } from '../../errors';
import { ones, zeros } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { where } from '../../ops/pointwise-compare';
import { checkCount, checkFinite } from '../../tensor/checks';
import { isFloat, type IndexDType } from '../../tensor/dtype';
import type { Shape } from '../../tensor/shape-types';
import { sameShape, show } from '../../tensor/shapes';
import type { AnyTensor, Tensor } from '../../tensor/tensor';
import { checkInputs, countOf, RatioMetric, sumsOf, SumMetric } from './metric';

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
export class Accuracy extends RatioMetric<Classified> {
  constructor(private readonly options: ClassificationOptions = {}) {
    super();
    checkClassification('Accuracy', options);
  }

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    const { ignoreIndex, threshold } = this.options;
    const right = classesOf('Accuracy', predictions, targets, threshold).equalTo(targets) as AnyTensor;
    return shareOf(right, targets, ignoreIndex);
  }
}

/** How many are true and how many count. */
function shareOf(right: AnyTensor, targets: AnyTensor, ignoreIndex: number | undefined): AnyTensor {
  if (ignoreIndex === undefined) {
    return sumsOf(right.cast('float64').sum(), countOf(targets.size, targets));
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
export class TopKAccuracy extends RatioMetric<Classified> {
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
}

/** A metric out of counts of samples by their predicted and their true class. */
export abstract class CountMetric<Value> extends SumMetric<Classified, Value> {
  constructor(
    readonly classes: number,
    private readonly options: ClassificationOptions = {},
  ) {
    super();
    checkCount(this.constructor.name, 'classes', classes, 2);
    checkClassification(this.constructor.name, options);
  }

  /** Which of the `length` counts each sample raises by one, from its predicted and its true class: vectors of int64. */
  protected abstract counts(guess: AnyTensor, truth: AnyTensor): readonly AnyTensor[];

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    const { classes, options, length } = this;
    const name = this.constructor.name;
    checkClasses(name, predictions, targets, classes);
    const guess = checkedClasses(flat(classesOf(name, predictions, targets, options.threshold)), classes);
    const truth = checkedClasses(flat(targets), classes);
    const indices = this.counts(guess, truth).map((index) =>
      unlessIgnored(index, flat(targets), options.ignoreIndex, length),
    );
    return counted(cat(indices) as AnyTensor, length);
  }
}
