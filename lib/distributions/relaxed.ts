/** Relaxations of discrete distributions, whose samples gradients pass through. */
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { categories, type CategoryProbsOrLogits } from './categorical';
import { OfTrials } from './discrete';
import {
  clampProbability,
  Distribution,
  number,
  openUniform,
  parameters,
  positive,
  type ProbsOrLogits,
} from './distribution';

/**
 * The relaxed one-hot distribution (Gumbel softmax, concrete distribution): softmax((logits + g) / τ) over the last axis, g from the Gumbel distribution, τ the
 * temperature, a number or a tensor that broadcasts with the batch.
 *
 * @throws ArgumentError unless the temperature is positive and exactly one of the two is given, a tensor; ShapeError, DTypeError.
 * @see Maddison, Mnih and Teh, 2017, The concrete distribution; Jang, Gu and Poole, 2017, Categorical reparameterization with Gumbel-softmax.
 * @example
 * new distributions.RelaxedOneHotCategorical(0.5, { logits: zeros([3]) }).rsample([2]).sum(-1); // [1, 1]
 */
export class RelaxedOneHotCategorical extends Distribution {
  override readonly hasRsample = true;
  readonly temperature: AnyTensor;
  readonly probs: AnyTensor;
  readonly logits: AnyTensor;

  constructor(temperature: Operand, options: CategoryProbsOrLogits) {
    const { probs, logits } = categories('RelaxedOneHotCategorical', options);
    const p = parameters('RelaxedOneHotCategorical', {
      temperature: [temperature, positive],
      batch: [logits.select(-1, 0), number],
    });
    const shape = [...p.batch.shape, logits.shape.at(-1)!];
    super(p.batch.shape, shape.slice(-1), logits);
    this.temperature = p.temperature;
    [this.probs, this.logits] = [probs.expand(shape), logits.expand(shape)];
  }

  protected override draw(shape: Shape): AnyTensor {
    const noise = openUniform(shape, this.like).log().neg().log().neg();
    return noise.add(this.logits).div(this.temperature.unsqueeze(-1)).softmax(-1).cast(this.like.dtype) as AnyTensor;
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const k = this.eventShape[0]!;
    const logs = value.log();
    const scores = this.logits.sub(logs.mul(this.temperature.unsqueeze(-1))).logSoftmax(-1) as AnyTensor;
    const norm = Array.from({ length: k - 1 }, (_, i) => Math.log(i + 1)).reduce((sum, x) => sum + x, 0);
    return scores
      .sub(logs)
      .sum(-1)
      .add(this.temperature.log().mul(k - 1))
      .add(norm);
  }
}

/**
 * The relaxed Bernoulli distribution on (0, 1): sigmoid((logits + l) / τ), l from the logistic distribution, τ the temperature.
 *
 * @throws ArgumentError unless the temperature is positive and exactly one of the two is given, in range; ShapeError, DTypeError.
 * @see Maddison, Mnih and Teh, 2017, The concrete distribution.
 * @example
 * new distributions.RelaxedBernoulli(1, { probs: 0.5 }).logProb(tensor([0.1, 0.7])); // [0, 0]
 */
export class RelaxedBernoulli extends OfTrials {
  override readonly hasRsample = true;
  readonly temperature: AnyTensor;

  constructor(temperature: Operand, options: ProbsOrLogits) {
    super('RelaxedBernoulli', options, { temperature: [temperature, positive] });
    this.temperature = this.others['temperature']!;
  }

  protected override draw(shape: Shape): AnyTensor {
    const u = openUniform(shape, this.like);
    const logistic = u.log().sub(u.neg().log1p());
    return clampProbability(logistic.add(this.logits).div(this.temperature).sigmoid().cast(this.like.dtype));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const [one, zero] = [value.log(), value.neg().log1p()];
    const beside = this.logits.sub(one.sub(zero).mul(this.temperature));
    return this.temperature.log().add(beside.logSigmoid()).add(beside.neg().logSigmoid()).sub(one).sub(zero);
  }
}
