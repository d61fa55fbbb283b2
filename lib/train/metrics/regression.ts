/** Metrics of numbers: means, squared errors, the share of variance explained. */
import { ShapeError } from '../../errors';
import { cat } from '../../ops/movement';
import { checkOptions, checkTensor } from '../../ops/define';
import { full } from '../../ops/creation';
import { checkCount, checkFinite } from '../../tensor/checks';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { checkSameShape, sumsOf, SumMetric } from './metric';

const count = (value: number, like: AnyTensor): AnyTensor =>
  full([], value, { dtype: 'float64', device: like.device }) as AnyTensor;

/**
 * The weighted mean of values, such as the losses of batches weighted by their sizes.
 *
 * @example
 * const mean = new train.Mean();
 * mean.update(tensor(0.5), 32);
 * mean.update(tensor(0.8), 16);
 * await mean.compute(); // 0.6
 */
export class Mean extends SumMetric<[values: AnyTensor, weight?: number]> {
  protected readonly length = 2;

  protected measure(values: AnyTensor, weight = 1): AnyTensor {
    checkTensor('Mean', values, 'values');
    checkFinite('Mean', 'weight', weight);
    const total = (values.detach().cast('float64') as AnyTensor).sum().mul(weight);
    return sumsOf(total, count(weight * values.size, values));
  }

  protected evaluate(sums: Float64Array): number {
    return sums[0]! / sums[1]!;
  }
}

/**
 * The mean of (prediction − target)², or its square root.
 *
 * @example
 * const mse = new train.MeanSquaredError();
 * mse.update(tensor([1, 2]), tensor([1, 4]));
 * await mse.compute(); // 2
 */
export class MeanSquaredError extends SumMetric<[predictions: AnyTensor, targets: AnyTensor]> {
  protected readonly length = 2;
  readonly #root: boolean;

  constructor(options: { readonly root?: boolean } = {}) {
    super();
    checkOptions('MeanSquaredError', options);
    this.#root = options.root ?? false;
  }

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    checkSameShape('MeanSquaredError', predictions, targets);
    const error = (predictions.detach().cast('float64') as AnyTensor).sub(targets);
    return sumsOf(error.square().sum(), count(targets.size, targets));
  }

  protected evaluate(sums: Float64Array): number {
    const mean = sums[0]! / sums[1]!;
    return this.#root ? Math.sqrt(mean) : mean;
  }
}

/** Up to which share of a sum of squares what is left of a difference is rounding. */
const ROUNDING = 2 ** -46;

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
export class R2Score extends SumMetric<[predictions: AnyTensor, targets: AnyTensor]> {
  protected readonly length: number;
  readonly #outputs: number;

  constructor(options: { readonly outputs?: number } = {}) {
    super();
    checkOptions('R2Score', options);
    const { outputs = 1 } = options;
    checkCount('R2Score', 'outputs', outputs);
    this.#outputs = outputs;
    this.length = 1 + 3 * outputs;
  }

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    checkSameShape('R2Score', predictions, targets);
    const { rank, shape } = targets;
    if (!(rank === 2 && shape[1] === this.#outputs) && !(rank === 1 && this.#outputs === 1)) {
      throw new ShapeError(`R2Score: targets: got shape ${show(shape)}, expected [n, ${this.#outputs}]`);
    }
    const t = (targets.detach().cast('float64') as AnyTensor).reshape([-1, this.#outputs]) as AnyTensor;
    const error = (predictions.detach().cast('float64') as AnyTensor).reshape([-1, this.#outputs]).sub(t);
    const samples = count(shape[0]!, targets).reshape([1]) as AnyTensor;
    return cat([samples, t.sum(0), t.square().sum(0), error.square().sum(0)] as AnyTensor[]) as AnyTensor;
  }

  protected evaluate(sums: Float64Array): number {
    const [samples] = sums as unknown as [number];
    const part = (i: number): Float64Array => sums.subarray(1 + i * this.#outputs, 1 + (i + 1) * this.#outputs);
    const [total, squares, residual] = [part(0), part(1), part(2)];
    const scores = Array.from(residual, (rest, i) => {
      if (samples < 2) return NaN;
      const spread = squares[i]! - total[i]! ** 2 / samples;
      const isConstant = spread <= squares[i]! * ROUNDING;
      return isConstant ? Number(rest === 0) : 1 - rest / spread;
    });
    return scores.reduce((sum, score) => sum + score, 0) / this.#outputs;
  }
}
