/** The normal distribution and its relatives. */
import { randn } from '../ops/random';
import { where } from '../ops/pointwise-compare';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { Distribution, finite, parameters, positive } from './distribution';
import { TransformedDistribution } from './transformed';
import { ExpTransform } from './transforms';

const logRootTau = Math.log(2 * Math.PI) / 2;

/**
 * The normal distribution, `p(x) = exp(-((x - μ) / σ)² / 2) / (σ √(2π))`, of location μ and scale σ, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * const policy = new distributions.Normal(tensor([0, 1]), 2);
 * policy.logProb(tensor([0, 3])); // [-1.6121, -2.1121]
 * policy.rsample([5]).shape; // [5, 2]
 */
export class Normal extends Distribution {
  override readonly hasRsample = true;
  readonly loc: AnyTensor;
  readonly scale: AnyTensor;

  constructor(loc: Operand, scale: Operand) {
    const p = parameters('Normal', { loc: [loc, finite], scale: [scale, positive] });
    super(p.loc.shape, [], p.loc);
    [this.loc, this.scale] = [p.loc, p.scale];
  }

  override get mean(): AnyTensor {
    return this.loc;
  }
  override get mode(): AnyTensor {
    return this.loc;
  }
  override get stddev(): AnyTensor {
    return this.scale;
  }
  override get variance(): AnyTensor {
    return this.scale.square();
  }
  override entropy(): AnyTensor {
    return this.scale.log().add(0.5 + logRootTau);
  }

  protected override draw(shape: Shape): AnyTensor {
    const noise: AnyTensor = randn(shape, { dtype: this.loc.dtype as 'float32', device: this.loc.device });
    return noise.mul(this.scale).add(this.loc);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return value.sub(this.loc).div(this.scale).square().mul(-0.5).sub(this.scale.log()).sub(logRootTau);
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return value.sub(this.loc).div(this.scale).ndtr();
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return probability.ndtri().mul(this.scale).add(this.loc);
  }
}

/**
 * The distribution of |x| for x from a normal distribution around 0 of the given scale.
 *
 * @throws ArgumentError for a number out of range; DTypeError.
 * @example
 * new distributions.HalfNormal(2).cdf(2); // 0.6827
 */
export class HalfNormal extends Distribution {
  override readonly hasRsample = true;
  readonly scale: AnyTensor;
  private readonly whole: Normal;

  constructor(scale: Operand) {
    const p = parameters('HalfNormal', { scale: [scale, positive] });
    super(p.scale.shape, [], p.scale);
    this.scale = p.scale;
    this.whole = new Normal(0, p.scale);
  }

  override get mean(): AnyTensor {
    return this.scale.mul(Math.sqrt(2 / Math.PI));
  }
  override get mode(): AnyTensor {
    return this.scale.mul(0);
  }
  override get variance(): AnyTensor {
    return this.whole.variance.mul(1 - 2 / Math.PI);
  }
  override entropy(): AnyTensor {
    return this.whole.entropy().sub(Math.LN2);
  }

  protected override draw(shape: Shape): AnyTensor {
    return this.whole.rsample(this.outer(shape)).abs();
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return where(value.less(0), -Infinity, this.whole.logProb(value).add(Math.LN2)) as AnyTensor;
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return value.div(this.scale.mul(Math.SQRT2)).erf();
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return this.whole.icdf(probability.add(1).div(2));
  }
}

/**
 * The distribution of eˣ for x from a normal distribution of location μ and scale σ.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.LogNormal(0, 1).mean; // 1.6487
 */
export class LogNormal extends TransformedDistribution<Normal> {
  constructor(loc: Operand, scale: Operand) {
    const p = parameters('LogNormal', { loc: [loc, finite], scale: [scale, positive] });
    super(new Normal(p.loc, p.scale), [new ExpTransform()]);
  }

  get loc(): AnyTensor {
    return this.base.loc;
  }
  get scale(): AnyTensor {
    return this.base.scale;
  }
  override get mean(): AnyTensor {
    return this.base.variance.div(2).add(this.loc).exp();
  }
  override get mode(): AnyTensor {
    return this.loc.sub(this.base.variance).exp();
  }
  override get variance(): AnyTensor {
    return this.base.variance.expm1().mul(this.base.variance.add(this.loc.mul(2)).exp());
  }
  override entropy(): AnyTensor {
    return this.base.entropy().add(this.loc);
  }
}
