/** Metrics of numbers: means, errors, correlation, the share of variance explained. */
import { ShapeError } from '../../errors';
import { full } from '../../ops/creation';
import { checkOptions, checkTensor } from '../../ops/define';
import { cat, stack } from '../../ops/movement';
import { checkCount, checkFinite } from '../../tensor/checks';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { checkSameShape, countOf, RatioMetric, sumsOf, SumMetric } from './metric';

/** Predictions and targets, numbers of one shape. */
export type Numbers = [predictions: AnyTensor, targets: AnyTensor];

const float64 = (x: AnyTensor): AnyTensor => x.detach().cast('float64') as AnyTensor;

/**
 * The weighted mean of values, such as the losses of batches weighted by their sizes.
 *
 * @example
 * const mean = new train.Mean();
 * mean.update(tensor(0.5), 32);
 * mean.update(tensor(0.8), 16);
 * await mean.compute(); // 0.6
 */
export class Mean extends RatioMetric<[values: AnyTensor, weight?: number]> {
  protected measure(values: AnyTensor, weight = 1): AnyTensor {
    checkTensor('Mean', values, 'values');
    checkFinite('Mean', 'weight', weight);
    return sumsOf(float64(values).sum().mul(weight), countOf(weight * values.size, values));
  }
}

/** The mean over all numbers of what is wrong with each. */
abstract class MeanError extends RatioMetric<Numbers> {
  /** The error of each number; all are float64. */
  protected abstract error(predictions: AnyTensor, targets: AnyTensor): AnyTensor;

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    checkSameShape(this.constructor.name, predictions, targets);
    const error = this.error(float64(predictions), float64(targets));
    return sumsOf(error.sum(), countOf(targets.size, targets));
  }
}

/**
 * The mean of (prediction − target)², or its square root. Both are of one shape, any.
 *
 * @example
 * const mse = new train.MeanSquaredError();
 * mse.update(tensor([1, 2]), tensor([1, 4]));
 * await mse.compute(); // 2
 */
export class MeanSquaredError extends MeanError {
  readonly #root: boolean;

  constructor(options: { readonly root?: boolean } = {}) {
    super();
    checkOptions('MeanSquaredError', options);
    this.#root = options.root ?? false;
  }

  protected error(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    return predictions.sub(targets).square() as AnyTensor;
  }

  protected override evaluate(sums: Float64Array): number {
    const mean = super.evaluate(sums);
    return this.#root ? Math.sqrt(mean) : mean;
  }
}

/**
 * The mean of |prediction − target|. Both are of one shape, any.
 *
 * @example
 * const mae = new train.MeanAbsoluteError();
 * mae.update(tensor([1, 2]), tensor([1, 4]));
 * await mae.compute(); // 1
 */
export class MeanAbsoluteError extends MeanError {
  protected error(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    return predictions.sub(targets).abs() as AnyTensor;
  }
}

/**
 * The mean of |prediction − target| / |target|, a share and not in percent. Targets closer to zero than 1.17e-6 count as that, as in torchmetrics.
 * Both are of one shape, any.
 *
 * @see de Myttenaere et al., 2016, Mean absolute percentage error for regression models.
 * @example
 * const mape = new train.MeanAbsolutePercentageError();
 * mape.update(tensor([1, 2]), tensor([1, 4]));
 * await mape.compute(); // 0.25
 */
export class MeanAbsolutePercentageError extends MeanError {
  protected error(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    return predictions.sub(targets).abs().div(targets.abs().clamp(1.17e-6)) as AnyTensor;
  }
}

/** Moments of pairs (x, y). */
interface Moments {
  readonly count: number;
  readonly meanX: number;
  /** Σ(x − mean x)², and the same of y. */
  readonly squaresX: number;
  readonly squaresY: number;
  /** Σ(x − mean x)·(y − mean y). */
  readonly products: number;
}

/** The products xx, yy and xy, [3, …], of pairs [2, …]. */
const products = (pairs: AnyTensor): AnyTensor =>
  cat([pairs.square(), pairs.prod(0, { keepDims: true })] as AnyTensor[]) as AnyTensor;

/** Up to which share of n · mean² a sum of squares about the mean is rounding, which leaves the mean some 2⁻⁴⁸ of itself. */
const ROUNDING = 2 ** -96;

/**
 * A metric that follows from the moments of pairs, of each output by itself; it is averaged over them. The sums are [6, outputs]: counts, means of x and y,
 * and the sums of {@link products} about them, of which those of two batches are merged without the cancellation that sums of squares have.
 *
 * @see Chan, Golub and LeVeque, 1979, Updating formulae and a pairwise algorithm for computing sample variances.
 */
abstract class MomentMetric extends SumMetric<Numbers> {
  protected readonly outputs: number = 1;

  protected get length(): number {
    return 6 * this.outputs;
  }

  protected abstract score(moments: Moments): number;

  /** The moments of float64 [n, outputs]. */
  protected moments(x: AnyTensor, y: AnyTensor): AnyTensor {
    const n = x.shape[0]!;
    const pairs = stack([x, y]) as AnyTensor;
    const means = pairs.sum(1).div(Math.max(n, 1)) as AnyTensor;
    const counts = full([1, this.outputs], n, { dtype: 'float64', device: x.device });
    const sums = products(pairs.sub(means.unsqueeze(1)) as AnyTensor).sum(1);
    return cat([counts, means, sums] as AnyTensor[]).reshape([-1]) as AnyTensor;
  }

  protected override accumulate(sums: AnyTensor, added: AnyTensor): void {
    const parts = (all: AnyTensor): AnyTensor[] => all.reshape([6, this.outputs]).split([1, 2, 3]) as AnyTensor[];
    const [count, means, about] = parts(sums) as [AnyTensor, AnyTensor, AnyTensor];
    const [addedCount, addedMeans, addedAbout] = parts(added) as [AnyTensor, AnyTensor, AnyTensor];
    const total = count.add(addedCount) as AnyTensor;
    const share = addedCount.div(total.clamp(1)) as AnyTensor;
    const apart = addedMeans.sub(means) as AnyTensor;
    const between = products(apart).mul(count.mul(share));
    const merged = [total, means.add(apart.mul(share)), about.add(addedAbout).add(between)] as AnyTensor[];
    sums.copy_(cat(merged).reshape([-1]) as AnyTensor);
  }

  protected evaluate(sums: Float64Array): number {
    const { outputs } = this;
    const scores = Array.from({ length: outputs }, (_, i) => {
      const [count, meanX, meanY, squaresX, squaresY, products] = Array.from(
        { length: 6 },
        (_, row) => sums[row * outputs + i]!,
      ) as [number, number, number, number, number, number];
      const unlessRounding = (squares: number, mean: number): number =>
        squares <= count * mean ** 2 * ROUNDING ? 0 : squares;
      return this.score({
        count,
        meanX,
        squaresX: unlessRounding(squaresX, meanX),
        squaresY: unlessRounding(squaresY, meanY),
        products,
      });
    });
    return scores.reduce((sum, score) => sum + score, 0) / outputs;
  }
}

/**
 * The Pearson correlation coefficient, -1 to 1: how far predictions are a linear function of the targets. Both are of one shape, any. NaN where the ones or
 * the others are all alike.
 *
 * @see Pearson, 1895, Note on regression and inheritance in the case of two parents.
 * @example
 * const correlation = new train.PearsonCorrelation();
 * correlation.update(tensor([1, 2, 4]), tensor([10, 20, 20]));
 * await correlation.compute(); // 0.7559
 */
export class PearsonCorrelation extends MomentMetric {
  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    checkSameShape('PearsonCorrelation', predictions, targets);
    return this.moments(float64(predictions).reshape([-1, 1]), float64(targets).reshape([-1, 1]));
  }

  protected score({ squaresX, squaresY, products }: Moments): number {
    const correlation = products / (Math.sqrt(squaresX) * Math.sqrt(squaresY));
    return squaresX === 0 || squaresY === 0 ? NaN : Math.max(-1, Math.min(1, correlation));
  }
}

/** One minus what is left of the targets' variance, from the moments of error and target. */
abstract class VarianceScore extends MomentMetric {
  protected override readonly outputs: number;

  constructor(options: { readonly outputs?: number } = {}) {
    super();
    checkOptions(this.constructor.name, options);
    const { outputs = 1 } = options;
    checkCount(this.constructor.name, 'outputs', outputs);
    this.outputs = outputs;
  }

  /** What counts as not explained, of the errors' moments. */
  protected abstract rest(errors: Moments): number;

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    const { name } = this.constructor;
    checkSameShape(name, predictions, targets);
    const { rank, shape } = targets;
    if (!(rank === 2 && shape[1] === this.outputs) && !(rank === 1 && this.outputs === 1)) {
      throw new ShapeError(`${name}: targets: got shape ${show(shape)}, expected [n, ${this.outputs}]`);
    }
    const rows = [shape[0]!, this.outputs];
    const t = float64(targets).reshape(rows) as AnyTensor;
    return this.moments(float64(predictions).reshape(rows).sub(t) as AnyTensor, t);
  }

  protected score(moments: Moments): number {
    if (moments.count === 0) return NaN;
    const rest = this.rest(moments);
    return moments.squaresY === 0 && !Number.isNaN(rest) ? Number(rest === 0) : 1 - rest / moments.squaresY;
  }
}

/**
 * The coefficient of determination: 1 − Σ(t − p)² / Σ(t − mean t)², for numbers [n], or [n, outputs], over which it is averaged. 1 is perfect, 0 as good
 * as the mean. Of targets that are all alike it is 1 for what meets them and otherwise 0, and NaN of a single one, as in scikit-learn.
 *
 * @throws ShapeError when the numbers of a batch are neither.
 * @example
 * const r2 = new train.R2Score();
 * r2.update(tensor([2.5, 0, 2, 8]), tensor([3, -0.5, 2, 7]));
 * await r2.compute(); // 0.9486
 */
export class R2Score extends VarianceScore {
  protected rest({ count, meanX, squaresX }: Moments): number {
    return count < 2 ? NaN : squaresX + count * meanX ** 2;
  }
}

/**
 * The share of the targets' variance that is explained: 1 − var(t − p) / var(t), which unlike {@link R2Score} forgives a constant error. For numbers [n], or
 * [n, outputs], over which it is averaged. Of targets that are all alike it is 1 for what meets them but for a constant and otherwise 0, as in
 * scikit-learn.
 *
 * @throws ShapeError when the numbers of a batch are neither.
 * @example
 * const explained = new train.ExplainedVariance();
 * explained.update(tensor([2.5, 0, 2, 8]), tensor([3, -0.5, 2, 7]));
 * await explained.compute(); // 0.9572
 */
export class ExplainedVariance extends VarianceScore {
  protected rest({ squaresX }: Moments): number {
    return squaresX;
  }
}
