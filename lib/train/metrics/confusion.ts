/** The confusion matrix, and what follows from all of it: how far predictions and truth agree beyond chance. */
import { checkChoice } from '../../tensor/checks';
import type { AnyTensor } from '../../tensor/tensor';
import { CountMetric, type ClassificationOptions } from './classification';

type Matrix = readonly (readonly number[])[];

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
/** How many are of each class, and are predicted as each. */
const actual = (matrix: Matrix): number[] => matrix.map(sum);
const predicted = (matrix: Matrix): number[] => matrix.map((_, j) => sum(matrix.map((row) => row[j]!)));

abstract class ConfusionMetric<Value> extends CountMetric<Value> {
  protected readonly length = this.classes ** 2;

  /** The value that follows from `matrix[truth][prediction]`. */
  protected abstract valueFrom(matrix: number[][]): Value;

  protected counts(guess: AnyTensor, truth: AnyTensor): readonly AnyTensor[] {
    return [truth.mul(this.classes).add(guess) as AnyTensor];
  }

  protected evaluate(sums: Float64Array): Value {
    const { classes } = this;
    return this.valueFrom(
      Array.from({ length: classes }, (_, i) => [...sums.subarray(i * classes, (i + 1) * classes)]),
    );
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
export class ConfusionMatrix extends ConfusionMetric<number[][]> {
  protected valueFrom(matrix: number[][]): number[][] {
    return matrix;
  }
}

/**
 * The correlation of predicted and true classes, -1 to 1: 1 is perfect, 0 no better than chance, whatever the classes' frequencies. Predictions
 * are as for {@link Accuracy}. It is 0 where all predictions or all targets are of one class, as in scikit-learn.
 *
 * @throws ShapeError; IndexError at `compute` when a target or a prediction is no class.
 * @see Gorodkin, 2004, Comparing two K-category assignments by a K-category correlation coefficient.
 * @example
 * const mcc = new train.MatthewsCorrCoef(2);
 * mcc.update(tensor([0, 1, 0, 0], { dtype: 'int32' }), tensor([1, 1, 0, 0], { dtype: 'int32' }));
 * await mcc.compute(); // 0.5774
 */
export class MatthewsCorrCoef extends ConfusionMetric<number> {
  protected valueFrom(matrix: number[][]): number {
    const [truth, guess] = [actual(matrix), predicted(matrix)];
    const samples = sum(truth);
    if (samples === 0) return NaN;
    const covariance = sum(matrix.map((row, k) => row[k]! * samples - truth[k]! * guess[k]!));
    const spread = (counts: readonly number[]): number => Math.sqrt(sum(counts.map((n) => n * (samples - n))));
    return covariance === 0 ? 0 : covariance / (spread(truth) * spread(guess));
  }
}

export interface CohenKappaOptions extends ClassificationOptions {
  /** How much a confusion counts: by how far apart the classes are, or by its square; all the same unless given. */
  readonly weights?: 'linear' | 'quadratic';
}

/**
 * The agreement of predicted and true classes beyond what chance gives: 1 − Σ w·n / Σ w·e over the confusion matrix n and the one e that is expected of
 * independent classes of the same frequencies. Predictions are as for {@link Accuracy}. NaN where one class is all that is predicted and true.
 *
 * @throws ShapeError; IndexError at `compute` when a target or a prediction is no class.
 * @see Cohen, 1960, A coefficient of agreement for nominal scales; for weights Cohen, 1968.
 * @example
 * const kappa = new train.CohenKappa(2);
 * kappa.update(tensor([0, 1, 0, 0], { dtype: 'int32' }), tensor([1, 1, 0, 0], { dtype: 'int32' }));
 * await kappa.compute(); // 0.5
 */
export class CohenKappa extends ConfusionMetric<number> {
  readonly #weights: CohenKappaOptions['weights'];

  constructor(classes: number, options: CohenKappaOptions = {}) {
    super(classes, options);
    this.#weights = options.weights;
    if (this.#weights !== undefined) checkChoice('CohenKappa', 'weights', this.#weights, ['linear', 'quadratic']);
  }

  protected valueFrom(matrix: number[][]): number {
    const [truth, guess] = [actual(matrix), predicted(matrix)];
    const samples = sum(truth);
    const power = { linear: 1, quadratic: 2, none: 0 }[this.#weights ?? 'none'];
    const weighted = (count: (i: number, j: number) => number): number =>
      sum(truth.flatMap((_, i) => guess.map((_, j) => (i === j ? 0 : Math.abs(i - j) ** power * count(i, j)))));
    return 1 - weighted((i, j) => matrix[i]![j]!) / weighted((i, j) => (truth[i]! * guess[j]!) / samples);
  }
}
