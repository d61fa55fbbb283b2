/** The gamma distribution and what is made of it. */
import { oneHot } from '../ops/creation';
import { where } from '../ops/pointwise-compare';
import { randn, standardGamma } from '../ops/random';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { checkParameter, Distribution, finite, limitsOf, parameters, positive, sumLast } from './distribution';

/** Samples of the gamma distribution of rate 1 in float64, where those of small concentrations are not 0 so soon. */
function gammas(concentration: AnyTensor, shape: Shape): AnyTensor {
  const x: AnyTensor = standardGamma(concentration.cast('float64').expand(shape));
  return x.clamp(limitsOf(x)[1]);
}

/** Shares of a whole in another dtype, kept from 0 and 1. */
function shares(x: AnyTensor, like: AnyTensor): AnyTensor {
  const [epsilon, tiny] = limitsOf(like);
  return x.cast(like.dtype).clamp(tiny, 1 - epsilon / 2);
}

/**
 * The gamma distribution, `p(x) = λ^α x^(α-1) exp(-λx) / Γ(α)`, of concentration α and rate λ, which broadcast. Samples have gradients by the concentration too.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @see Marsaglia and Tsang, 2000, A simple method for generating gamma variables; Figurnov, Mohamed and Mnih, 2018, Implicit reparameterization gradients.
 * @example
 * const waiting = new distributions.Gamma(2, 4);
 * waiting.mean; // 0.5
 * waiting.cdf(1); // 0.9084
 */
export class Gamma extends Distribution {
  override readonly hasRsample = true;
  readonly concentration: AnyTensor;
  readonly rate: AnyTensor;

  constructor(concentration: Operand, rate: Operand) {
    const p = parameters('Gamma', { concentration: [concentration, positive], rate: [rate, positive] });
    super(p.rate.shape, [], p.rate);
    [this.concentration, this.rate] = [p.concentration, p.rate];
  }

  override get mean(): AnyTensor {
    return this.concentration.div(this.rate);
  }
  override get mode(): AnyTensor {
    return this.concentration.sub(1).div(this.rate).clamp(0);
  }
  override get variance(): AnyTensor {
    return this.mean.div(this.rate);
  }
  override entropy(): AnyTensor {
    const a = this.concentration;
    return a.sub(this.rate.log()).add(a.lgamma()).add(a.neg().add(1).mul(a.digamma()));
  }

  protected override draw(shape: Shape): AnyTensor {
    const x = gammas(this.concentration, shape).div(this.rate).cast(this.like.dtype) as AnyTensor;
    return x.clamp(limitsOf(x)[1]);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const { concentration: a, rate } = this;
    return a.mul(rate.log()).add(a.sub(1).xlogy(value)).sub(rate.mul(value)).sub(a.lgamma());
  }
  /** Gradients by the concentration are refused. */
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.concentration.gammainc(this.rate.mul(value));
  }
}

/**
 * The χ² distribution of the sum of `df` squares of standard normal numbers.
 *
 * @throws ArgumentError for a number out of range; DTypeError.
 * @example
 * new distributions.Chi2(3).variance; // 6
 */
export class Chi2 extends Gamma {
  readonly df: AnyTensor;

  constructor(df: Operand) {
    const p = parameters('Chi2', { df: [df, positive] });
    super(p.df.div(2), 0.5);
    this.df = p.df;
  }
}

/**
 * The beta distribution, `p(x) = x^(α-1) (1 - x)^(β-1) / B(α, β)` on (0, 1), of concentrations α and β, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.Beta(2, 3).logProb(tensor([0.25, 0.5])); // [0.5232, 0.4055]
 */
export class Beta extends Distribution {
  override readonly hasRsample = true;
  readonly concentration1: AnyTensor;
  readonly concentration0: AnyTensor;

  constructor(concentration1: Operand, concentration0: Operand) {
    const p = parameters('Beta', {
      concentration1: [concentration1, positive],
      concentration0: [concentration0, positive],
    });
    super(p.concentration1.shape, [], p.concentration1);
    [this.concentration1, this.concentration0] = [p.concentration1, p.concentration0];
  }

  /** α + β. */
  private get total(): AnyTensor {
    return this.concentration1.add(this.concentration0);
  }
  /** ln B(α, β). */
  private get logNorm(): AnyTensor {
    return this.concentration1.lgamma().add(this.concentration0.lgamma()).sub(this.total.lgamma());
  }
  override get mean(): AnyTensor {
    return this.concentration1.div(this.total);
  }
  /** Where both concentrations are below 1 the end that the larger one draws to. */
  override get mode(): AnyTensor {
    const [a, b] = [this.concentration1, this.concentration0].map((x) => x.sub(1).clamp(0)) as [AnyTensor, AnyTensor];
    const sum = a.add(b);
    const end = this.concentration1.greaterEqual(this.concentration0).cast(sum.dtype);
    return where(sum.greater(0), a.div(sum), end) as AnyTensor;
  }
  override get variance(): AnyTensor {
    const { total } = this;
    return this.concentration1.mul(this.concentration0).div(total.square().mul(total.add(1)));
  }
  override entropy(): AnyTensor {
    const { concentration1: a, concentration0: b, total } = this;
    return this.logNorm
      .sub(a.sub(1).mul(a.digamma()))
      .sub(b.sub(1).mul(b.digamma()))
      .add(total.sub(2).mul(total.digamma()));
  }

  protected override draw(shape: Shape): AnyTensor {
    const x = gammas(this.concentration1, shape);
    return shares(x.div(x.add(gammas(this.concentration0, shape))), this.like);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const first = this.concentration1.sub(1).xlogy(value);
    return first.add(this.concentration0.sub(1).xlog1py(value.neg())).sub(this.logNorm);
  }
}

/**
 * The Dirichlet distribution, `p(x) ∝ ∏ₖ xₖ^(αₖ-1)` over shares that sum to 1, of concentrations α [..., k].
 *
 * @throws ArgumentError unless the concentrations are a tensor; ShapeError unless it has an axis; DTypeError.
 * @example
 * const shares = new distributions.Dirichlet(tensor([1, 2, 3]));
 * shares.mean; // [0.1667, 0.3333, 0.5]
 * shares.sample([2]).sum(-1); // [1, 1]
 */
export class Dirichlet extends Distribution {
  override readonly hasRsample = true;

  constructor(readonly concentration: AnyTensor) {
    checkParameter('Dirichlet', 'concentration', concentration, 1);
    super(concentration.shape.slice(0, -1), concentration.shape.slice(-1), concentration);
  }

  /** Σ α, with the axis. */
  private get total(): AnyTensor {
    return this.concentration.sum(-1, { keepDims: true });
  }
  override get mean(): AnyTensor {
    return this.concentration.div(this.total);
  }
  /** Where all concentrations are below 1 the corner of the largest one. */
  override get mode(): AnyTensor {
    const a = this.concentration;
    const above = a.sub(1).clamp(0);
    const corner: AnyTensor = oneHot(a.argmax(-1), this.eventShape[0]!, { dtype: a.dtype });
    return where(above.any(-1, { keepDims: true }), above.div(above.sum(-1, { keepDims: true })), corner) as AnyTensor;
  }
  override get variance(): AnyTensor {
    const { mean } = this;
    return mean.sub(mean.square()).div(this.total.add(1));
  }
  override entropy(): AnyTensor {
    const { concentration: a, total } = this;
    const each = a.lgamma().sub(a.sub(1).mul(a.digamma()));
    const whole = total.sub(this.eventShape[0]!).mul(total.digamma()).sub(total.lgamma());
    return each.sum(-1).add(whole.squeeze(-1));
  }

  protected override draw(shape: Shape): AnyTensor {
    const x = gammas(this.concentration, shape);
    return shares(x.div(x.sum(-1, { keepDims: true })), this.like);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const a = this.concentration;
    return sumLast(a.sub(1).xlogy(value), 1).add(a.sum(-1).lgamma()).sub(a.lgamma().sum(-1));
  }
}

/**
 * Student's t distribution, `p(x) ∝ (1 + ((x - μ) / σ)² / ν)^(-(ν+1)/2)`, of ν degrees of freedom, location and scale, which broadcast.
 *
 * @throws ArgumentError for a number out of range; ShapeError, DTypeError.
 * @example
 * new distributions.StudentT(1).logProb(0); // -1.1447
 */
export class StudentT extends Distribution {
  override readonly hasRsample = true;
  readonly df: AnyTensor;
  readonly loc: AnyTensor;
  readonly scale: AnyTensor;

  constructor(df: Operand, loc: Operand = 0, scale: Operand = 1) {
    const p = parameters('StudentT', { df: [df, positive], loc: [loc, finite], scale: [scale, positive] });
    super(p.df.shape, [], p.df);
    [this.df, this.loc, this.scale] = [p.df, p.loc, p.scale];
  }

  /** ln of Γ(ν/2) / Γ((ν+1)/2) · √(πν): what the density is divided by, without the scale. */
  private get logNorm(): AnyTensor {
    const half = this.df.div(2);
    return half.lgamma().sub(half.add(0.5).lgamma()).add(this.df.mul(Math.PI).log().div(2));
  }
  /** NaN without more than one degree of freedom. */
  override get mean(): AnyTensor {
    return where(this.df.greater(1), this.loc, NaN) as AnyTensor;
  }
  override get mode(): AnyTensor {
    return this.loc;
  }
  /** Infinite up to two degrees of freedom, NaN up to one. */
  override get variance(): AnyTensor {
    const { df } = this;
    const isFinite = df.greater(2);
    const many = where(isFinite, df, 3) as AnyTensor;
    const some = where(isFinite, this.scale.square().mul(many).div(many.sub(2)), Infinity) as AnyTensor;
    return where(df.greater(1), some, NaN) as AnyTensor;
  }
  override entropy(): AnyTensor {
    const half = this.df.div(2);
    const slope = half.add(0.5).digamma().sub(half.digamma());
    return this.scale.log().add(this.logNorm).add(half.add(0.5).mul(slope));
  }

  protected override draw(shape: Shape): AnyTensor {
    const { df, like } = this;
    const normal: AnyTensor = randn(shape, { dtype: 'float64', device: like.device });
    const spread = gammas(df.div(2), shape).mul(2).div(df).rsqrt();
    return normal.mul(spread).mul(this.scale).add(this.loc).cast(like.dtype);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const y = value.sub(this.loc).div(this.scale);
    const tail = y.square().div(this.df).log1p().mul(this.df.add(1)).div(-2);
    return tail.sub(this.scale.log()).sub(this.logNorm);
  }
}
