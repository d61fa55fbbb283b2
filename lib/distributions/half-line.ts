/** Distributions on the positive numbers that are sampled by inversion. */
import { where } from '../ops/pointwise-compare';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { Distribution, parameters, positive } from './distribution';
import { euler } from './location-scale';

/**
 * The exponential distribution, `p(x) = λ exp(-λx)`, of rate λ.
 *
 * @throws ArgumentError for a number out of range; DTypeError.
 * @example
 * new distributions.Exponential(2).logProb(tensor([0, 1])); // [0.6931, -1.3069]
 */
export class Exponential extends Distribution {
  override readonly hasRsample = true;
  readonly rate: AnyTensor;

  constructor(rate: Operand) {
    const p = parameters('Exponential', { rate: [rate, positive] });
    super(p.rate.shape, [], p.rate);
    this.rate = p.rate;
  }

  override get mean(): AnyTensor {
    return this.rate.reciprocal();
  }
  override get mode(): AnyTensor {
    return this.rate.mul(0);
  }
  override get variance(): AnyTensor {
    return this.rate.square().reciprocal();
  }
  override entropy(): AnyTensor {
    return this.rate.log().neg().add(1);
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    return this.rate.log().sub(this.rate.mul(value));
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.rate.mul(value).neg().expm1().neg();
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return probability.neg().log1p().div(this.rate).neg();
  }
}

/**
 * The Weibull distribution, `P(X ≤ x) = 1 - exp(-(x / λ)ᵏ)`, of scale λ and concentration k, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.Weibull(1, 2).cdf(tensor([0, 1])); // [0, 0.6321]
 */
export class Weibull extends Distribution {
  override readonly hasRsample = true;
  readonly scale: AnyTensor;
  readonly concentration: AnyTensor;

  constructor(scale: Operand, concentration: Operand) {
    const p = parameters('Weibull', { scale: [scale, positive], concentration: [concentration, positive] });
    super(p.scale.shape, [], p.scale);
    [this.scale, this.concentration] = [p.scale, p.concentration];
  }

  /** ln Γ(1 + n / k). */
  private logMoment(n: number): AnyTensor {
    return this.concentration.reciprocal().mul(n).add(1).lgamma();
  }
  /** (x / λ)ᵏ. */
  private hazard(value: AnyTensor): AnyTensor {
    return value.div(this.scale).pow(this.concentration);
  }
  override get mean(): AnyTensor {
    return this.logMoment(1).exp().mul(this.scale);
  }
  override get mode(): AnyTensor {
    const k = this.concentration;
    return k.sub(1).div(k).pow(k.reciprocal()).mul(this.scale);
  }
  override get variance(): AnyTensor {
    return this.logMoment(2).exp().sub(this.logMoment(1).mul(2).exp()).mul(this.scale.square());
  }
  override entropy(): AnyTensor {
    const k = this.concentration;
    return this.scale
      .div(k)
      .log()
      .add(1 + euler)
      .sub(k.reciprocal().mul(euler));
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    const k = this.concentration;
    return k
      .div(this.scale)
      .log()
      .add(k.sub(1).xlogy(value.div(this.scale)))
      .sub(this.hazard(value));
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.hazard(value).neg().expm1().neg();
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return probability.neg().log1p().neg().pow(this.concentration.reciprocal()).mul(this.scale);
  }
}

/**
 * The Pareto distribution, `P(X > x) = (m / x)^α` for x ≥ m, of scale m and shape α, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.Pareto(1, 3).mean; // 1.5
 */
export class Pareto extends Distribution {
  override readonly hasRsample = true;
  readonly scale: AnyTensor;
  readonly alpha: AnyTensor;

  constructor(scale: Operand, alpha: Operand) {
    const p = parameters('Pareto', { scale: [scale, positive], alpha: [alpha, positive] });
    super(p.scale.shape, [], p.scale);
    [this.scale, this.alpha] = [p.scale, p.alpha];
  }

  override get mean(): AnyTensor {
    const a = this.alpha.clamp(1);
    return a.mul(this.scale).div(a.sub(1));
  }
  override get mode(): AnyTensor {
    return this.scale;
  }
  override get variance(): AnyTensor {
    const a = this.alpha.clamp(2);
    return this.scale
      .square()
      .mul(a)
      .div(a.sub(1).square().mul(a.sub(2)));
  }
  override entropy(): AnyTensor {
    return this.scale.div(this.alpha).log().add(this.alpha.reciprocal()).add(1);
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    const x = value.log();
    const inside = this.alpha
      .log()
      .add(this.alpha.mul(this.scale.log().sub(x)))
      .sub(x);
    return where(value.less(this.scale), -Infinity, inside) as AnyTensor;
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.scale.log().sub(value.log()).mul(this.alpha).expm1().neg();
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return probability.neg().log1p().div(this.alpha).neg().exp().mul(this.scale);
  }
}
