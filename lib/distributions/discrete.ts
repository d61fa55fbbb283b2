/** Distributions over 0 and 1 and over counts. */
import { arange } from '../ops/creation';
import { where } from '../ops/pointwise-compare';
import { bernoulli, binomial, poisson } from '../ops/random';
import { wide } from '../ops/wide';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand } from '../tensor/tensor';
import {
  clampProbability,
  count,
  Distribution,
  fail,
  nonNegative,
  number,
  oneOf,
  openUniform,
  parameters,
  positive,
  probability,
  type ProbsOrLogits,
  type Range,
} from './distribution';
import { Gamma } from './gamma';

/** What counts trials that succeed with one probability. */
export abstract class OfTrials extends Distribution {
  /** The probability of success. */
  readonly probs: AnyTensor;
  /** The logarithm of the odds of success. */
  readonly logits: AnyTensor;
  /** The probability of failure, exact where it is small. */
  protected readonly misses: AnyTensor;
  /** Parameters beside the probability, by name. */
  protected readonly others: Readonly<Record<string, AnyTensor>>;

  constructor(
    owner: string,
    options: ProbsOrLogits,
    others: Readonly<Record<string, readonly [value: Operand, range: Range]>> = {},
  ) {
    const given = oneOf(owner, options, ['probs', 'logits']);
    const p = parameters(owner, { ...others, [given]: [options[given], given === 'probs' ? probability : number] });
    const x = p[given]!;
    super(x.shape, [], x);
    this.others = p;
    this.probs = given === 'probs' ? x : x.sigmoid();
    this.logits = given === 'logits' ? x : logitOf(x);
    this.misses = given === 'logits' ? x.neg().sigmoid() : x.neg().add(1);
  }

  /** ln of the probability of so many successes and failures in one order. */
  protected logOfTrials(successes: AnyTensor, failures: AnyTensor): AnyTensor {
    return this.logits.logSigmoid().mul(successes).add(this.logits.neg().logSigmoid().mul(failures));
  }
  /** The entropy of one trial. */
  protected entropyOfTrial(): AnyTensor {
    return this.logOfTrials(this.probs, this.misses).neg();
  }
}

function logitOf(probs: AnyTensor): AnyTensor {
  const inside = clampProbability(probs);
  return inside.log().sub(inside.neg().log1p());
}

/** ln of how many ways there are to choose k of n, for real n too. */
const logChoose = (n: AnyTensor, k: AnyTensor): AnyTensor =>
  n.add(1).lgamma().sub(k.add(1).lgamma()).sub(n.sub(k).add(1).lgamma());

/**
 * 1 with the probability `probs`, else 0; or given `logits`, the logarithm of the odds.
 *
 * @throws ArgumentError unless exactly one of the two is given, in range; DTypeError.
 * @example
 * new distributions.Bernoulli({ probs: 0.25 }).logProb(tensor([0, 1])); // [-0.2877, -1.3863]
 * new distributions.Bernoulli({ logits: tensor([-100, 100]) }).entropy(); // [0, 0]
 */
export class Bernoulli extends OfTrials {
  constructor(options: ProbsOrLogits) {
    super('Bernoulli', options);
  }

  override get mean(): AnyTensor {
    return this.probs;
  }
  /** 1 or 0; NaN where both are as probable. */
  override get mode(): AnyTensor {
    const { probs } = this;
    return where(probs.equalTo(0.5), NaN, probs.greater(0.5).cast(probs.dtype)) as AnyTensor;
  }
  override get variance(): AnyTensor {
    return this.probs.mul(this.misses);
  }
  override entropy(): AnyTensor {
    return this.entropyOfTrial();
  }

  protected override draw(shape: Shape): AnyTensor {
    return bernoulli(wide(this.probs).expand(shape)).cast(this.like.dtype);
  }
  protected override outcomes(): AnyTensor {
    return countsTo(1, 0, this.like);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return this.logOfTrials(value, value.neg().add(1));
  }
}

/**
 * How many trials fail before the first success: 0, 1, …, each with the probability `probs` of success, or its `logits`.
 *
 * @throws ArgumentError unless exactly one of the two is given, in range; DTypeError.
 * @example
 * new distributions.Geometric({ probs: 0.25 }).mean; // 3
 */
export class Geometric extends OfTrials {
  private readonly isOfProbs: boolean;

  constructor(options: ProbsOrLogits) {
    super('Geometric', options);
    this.isOfProbs = options.probs !== undefined;
  }

  override get mean(): AnyTensor {
    return this.isOfProbs ? this.misses.div(this.probs) : this.logits.neg().exp();
  }
  override get mode(): AnyTensor {
    return this.probs.mul(0);
  }
  override get variance(): AnyTensor {
    return this.mean.div(this.probs);
  }
  override entropy(): AnyTensor {
    return this.entropyOfTrial().div(this.probs);
  }

  protected override draw(shape: Shape): AnyTensor {
    const logOfMiss = this.isOfProbs ? this.probs.neg().log1p() : this.logits.neg().logSigmoid();
    const trials = openUniform(shape, this.like).log().div(logOfMiss);
    return trials.floor().cast(this.like.dtype);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const { probs } = this;
    // Certain success leaves nothing to count.
    if (!this.isOfProbs) {
      const misses = where(value.equalTo(0), 0, this.logits.neg().logSigmoid().mul(value)) as AnyTensor;
      return this.logits.logSigmoid().add(misses);
    }
    const isCertain = value.equalTo(0).logicalAnd(probs.equalTo(1));
    const chance = where(isCertain, 0, probs) as AnyTensor;
    return value.mul(chance.neg().log1p()).add(probs.log());
  }
}

/**
 * How many of `totalCount` trials succeed, each with the probability `probs`, or its `logits`. The entropy is there for a count that is a number.
 *
 * @throws ArgumentError unless exactly one of the two is given, in range; ShapeError, DTypeError.
 * @example
 * new distributions.Binomial(4, { probs: 0.5 }).logProb(2).exp(); // 0.375
 */
export class Binomial extends OfTrials {
  readonly totalCount: AnyTensor;
  private readonly given: Operand;

  constructor(totalCount: Operand, options: ProbsOrLogits) {
    super('Binomial', options, { totalCount: [totalCount, count] });
    this.totalCount = this.others['totalCount']!;
    this.given = totalCount;
  }

  override get mean(): AnyTensor {
    return this.totalCount.mul(this.probs);
  }
  override get mode(): AnyTensor {
    return this.totalCount.add(1).mul(this.probs).floor().minimum(this.totalCount);
  }
  override get variance(): AnyTensor {
    return this.mean.mul(this.misses);
  }
  override entropy(): AnyTensor {
    const log = this.logDensity(countsTo(this.counted('entropy'), this.batchShape.length, this.like));
    return log.exp().mul(log).sum(0).neg();
  }
  private counted(method: string): number {
    return typeof this.given === 'number' ? this.given : fail(this.named(method), 'totalCount', this.given, 'a number');
  }
  protected override outcomes(): AnyTensor {
    return countsTo(this.counted('enumerateSupport'), 0, this.like);
  }

  protected override draw(shape: Shape): AnyTensor {
    return binomial(this.totalCount, this.probs.expand(shape));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return logChoose(this.totalCount, value).add(this.logOfTrials(value, this.totalCount.sub(value)));
  }
}

/** 0, 1, …, n before `axes` more axes. */
export function countsTo(n: number, axes: number, like: AnyTensor): AnyTensor {
  const counts: AnyTensor = arange(n + 1, { dtype: like.dtype as 'float32', device: like.device });
  return counts.reshape([n + 1, ...Array.from({ length: axes }, () => 1)]);
}

/**
 * How many trials succeed before `totalCount` (which need not be whole) have failed, each with the probability `probs` of success, or its `logits`.
 *
 * @throws ArgumentError unless exactly one of the two is given, in range; ShapeError, DTypeError.
 * @example
 * new distributions.NegativeBinomial(3, { probs: 0.5 }).mean; // 3
 */
export class NegativeBinomial extends OfTrials {
  readonly totalCount: AnyTensor;

  constructor(totalCount: Operand, options: ProbsOrLogits) {
    super('NegativeBinomial', options, { totalCount: [totalCount, positive] });
    this.totalCount = this.others['totalCount']!;
  }

  override get mean(): AnyTensor {
    return this.totalCount.mul(this.logits.exp());
  }
  override get mode(): AnyTensor {
    return this.totalCount.sub(1).mul(this.logits.exp()).floor().clamp(0);
  }
  override get variance(): AnyTensor {
    return this.mean.div(this.misses);
  }

  protected override draw(shape: Shape): AnyTensor {
    const rates = new Gamma(this.totalCount, this.logits.neg().exp());
    return poisson(rates.sample(this.outer(shape)));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const ways = logChoose(this.totalCount.add(value).sub(1), value);
    return ways.add(this.logOfTrials(value, this.totalCount));
  }
}

/**
 * The Poisson distribution of counts, `P(k) = λᵏ exp(-λ) / k!`, of rate λ.
 *
 * @throws ArgumentError for a number out of range; DTypeError.
 * @example
 * new distributions.Poisson(4).logProb(tensor([0, 4])); // [-4, -1.6329]
 */
export class Poisson extends Distribution {
  readonly rate: AnyTensor;

  constructor(rate: Operand) {
    const p = parameters('Poisson', { rate: [rate, nonNegative] });
    super(p.rate.shape, [], p.rate);
    this.rate = p.rate;
  }

  override get mean(): AnyTensor {
    return this.rate;
  }
  override get mode(): AnyTensor {
    return this.rate.floor();
  }
  override get variance(): AnyTensor {
    return this.rate;
  }

  protected override draw(shape: Shape): AnyTensor {
    return poisson(this.rate.expand(shape));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return value.xlogy(this.rate).sub(this.rate).sub(value.add(1).lgamma());
  }
}
