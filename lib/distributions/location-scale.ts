/** Distributions on the whole line or an interval that are sampled by inversion. */
import { where } from '../ops/pointwise-compare';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { Distribution, finite, parameters, positive } from './distribution';

/** The number of Euler and Mascheroni. */
export const euler = 0.5772156649015329;

abstract class LocationScale extends Distribution {
  override readonly hasRsample = true;
  readonly loc: AnyTensor;
  readonly scale: AnyTensor;

  constructor(owner: string, loc: Operand, scale: Operand) {
    const p = parameters(owner, { loc: [loc, finite], scale: [scale, positive] });
    super(p.loc.shape, [], p.loc);
    [this.loc, this.scale] = [p.loc, p.scale];
  }

  override get mode(): AnyTensor {
    return this.loc;
  }

  /** (x - μ) / σ. */
  protected standardized(value: AnyTensor): AnyTensor {
    return value.sub(this.loc).div(this.scale);
  }
  /** x·σ + μ. */
  protected placed(standard: AnyTensor): AnyTensor {
    return standard.mul(this.scale).add(this.loc);
  }
}

/**
 * The Laplace distribution, `p(x) = exp(-|x - μ| / b) / (2b)`, of location μ and scale b, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.Laplace(0, 1).logProb(tensor([0, -2])); // [-0.6931, -2.6931]
 */
export class Laplace extends LocationScale {
  constructor(loc: Operand, scale: Operand) {
    super('Laplace', loc, scale);
  }

  override get mean(): AnyTensor {
    return this.loc;
  }
  override get variance(): AnyTensor {
    return this.scale.square().mul(2);
  }
  override entropy(): AnyTensor {
    return this.scale.mul(2).log().add(1);
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    return this.standardized(value).abs().add(this.scale.mul(2).log()).neg();
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    const x = this.standardized(value);
    return x.abs().neg().expm1().mul(x.sign()).mul(-0.5).add(0.5);
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    const beside = probability.sub(0.5);
    return this.placed(beside.abs().mul(-2).log1p().mul(beside.sign()).neg());
  }
}

/**
 * The Cauchy distribution, `p(x) = 1 / (πγ (1 + ((x - μ) / γ)²))`, of location μ and scale γ, which broadcast. It has no mean; its variance is infinite.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.Cauchy(0, 1).cdf(tensor([0, 1])); // [0.5, 0.75]
 */
export class Cauchy extends LocationScale {
  constructor(loc: Operand, scale: Operand) {
    super('Cauchy', loc, scale);
  }

  override get mean(): AnyTensor {
    return this.loc.mul(NaN);
  }
  override get variance(): AnyTensor {
    return this.scale.mul(Infinity);
  }
  override entropy(): AnyTensor {
    return this.scale.log().add(Math.log(4 * Math.PI));
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    return this.standardized(value).square().log1p().add(this.scale.log()).neg().sub(Math.log(Math.PI));
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.standardized(value).atan().div(Math.PI).add(0.5);
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return this.placed(probability.sub(0.5).mul(Math.PI).tan());
  }
}

/**
 * The Gumbel distribution of the largest of many, `P(X ≤ x) = exp(-exp(-(x - μ) / β))`, of location μ and scale β, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.Gumbel(0, 1).mean; // 0.5772
 */
export class Gumbel extends LocationScale {
  constructor(loc: Operand, scale: Operand) {
    super('Gumbel', loc, scale);
  }

  override get mean(): AnyTensor {
    return this.scale.mul(euler).add(this.loc);
  }
  override get variance(): AnyTensor {
    return this.scale.square().mul(Math.PI ** 2 / 6);
  }
  override entropy(): AnyTensor {
    return this.scale.log().add(1 + euler);
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    const y = this.standardized(value).neg();
    return y.sub(y.exp()).sub(this.scale.log());
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.standardized(value).neg().exp().neg().exp();
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return this.placed(probability.log().neg().log().neg());
  }
}

/**
 * The uniform distribution on [low, high), which broadcast.
 *
 * @throws ArgumentError for a number out of range, or two of which the first is not the smaller one; ShapeError, DTypeError.
 * @example
 * new distributions.Uniform(-1, 3).logProb(tensor([0, 3])).exp(); // [0.25, 0]
 */
export class Uniform extends Distribution {
  override readonly hasRsample = true;
  readonly low: AnyTensor;
  readonly high: AnyTensor;

  constructor(low: Operand, high: Operand) {
    const above = typeof low === 'number' ? low : -Infinity;
    const p = parameters('Uniform', {
      low: [low, finite],
      high: [high, [(x) => x > above && x < Infinity, `a finite number above low`]],
    });
    super(p.low.shape, [], p.low);
    [this.low, this.high] = [p.low, p.high];
  }

  private get width(): AnyTensor {
    return this.high.sub(this.low);
  }
  override get mean(): AnyTensor {
    return this.low.add(this.high).div(2);
  }
  override get variance(): AnyTensor {
    return this.width.square().div(12);
  }
  override entropy(): AnyTensor {
    return this.width.log();
  }

  protected override logDensity(value: AnyTensor): AnyTensor {
    const inside = value.greaterEqual(this.low).logicalAnd(value.less(this.high));
    return where(inside, this.width.log().neg(), -Infinity) as AnyTensor;
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return value.sub(this.low).div(this.width).clamp(0, 1);
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return probability.mul(this.width).add(this.low);
  }
}
