/** How far distributions are from each other. */
import { ArgumentError } from '../errors';
import { full } from '../ops/creation';
import { where } from '../ops/pointwise-compare';
import { checkFunction } from '../tensor/checks';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Categorical, finiteLogs, OneHotCategorical } from './categorical';
import { Bernoulli, Binomial, Geometric, Poisson } from './discrete';
import { checkDistribution, type Distribution, sumLast } from './distribution';
import { Beta, Dirichlet, Gamma } from './gamma';
import { Exponential, Pareto } from './half-line';
import { Independent } from './independent';
import { Cauchy, euler, Gumbel, Laplace, Uniform } from './location-scale';
import { inverseTriangle, mahalanobis, MultivariateNormal } from './multivariate-normal';
import { HalfNormal, Normal } from './normal';
import { TransformedDistribution } from './transformed';

type Class<T> = abstract new (...args: never[]) => T;
interface Rule {
  readonly p: Class<Distribution>;
  readonly q: Class<Distribution>;
  /** Nothing where it does not hold for these two. */
  readonly divergence: (p: Distribution, q: Distribution) => AnyTensor | undefined;
}
const rule = <P extends Distribution, Q extends Distribution>(
  p: Class<P>,
  q: Class<Q>,
  divergence: (p: P, q: Q) => AnyTensor | undefined,
): Rule => ({ p, q, divergence: divergence as Rule['divergence'] });
const within = <P extends Distribution>(p: Class<P>, divergence: (p: P, q: P) => AnyTensor | undefined): Rule =>
  rule(p, p, divergence);

/** r - 1 - ln r. */
const excess = (r: AnyTensor): AnyTensor => r.sub(1).sub(r.log());

/** Σ over the outcomes of p·(ln p - ln q): nothing for what p never gives, infinite for what only q never gives. */
function outcomes(p: AnyTensor, logP: AnyTensor, q: AnyTensor, logQ: AnyTensor): AnyTensor {
  const terms = p.mul(finiteLogs(logP).sub(finiteLogs(logQ)));
  return where(p.equalTo(0), 0, where(q.equalTo(0), Infinity, terms)) as AnyTensor;
}

const ofCategories = (p: Categorical | OneHotCategorical, q: Categorical | OneHotCategorical): AnyTensor =>
  outcomes(p.probs, p.logits, q.probs, q.logits).sum(-1);

function ofTrials(p: Bernoulli | Geometric | Binomial, q: Bernoulli | Geometric | Binomial): AnyTensor {
  const misses = [p, q].map(({ probs }) => probs.neg().add(1)) as [AnyTensor, AnyTensor];
  const logs = [p, q].map(({ logits }) => logits.neg().logSigmoid()) as [AnyTensor, AnyTensor];
  const success = outcomes(p.probs, p.logits.logSigmoid(), q.probs, q.logits.logSigmoid());
  return success.add(outcomes(misses[0], logs[0], misses[1], logs[1]));
}

/** Of E[x²] and E[x] of p to a normal distribution: the cross entropy. */
function crossNormal(mean: AnyTensor, variance: AnyTensor, q: Normal): AnyTensor {
  const spread = mean.sub(q.loc).square().add(variance).div(q.variance);
  return spread
    .div(2)
    .add(q.scale.log())
    .add(Math.log(2 * Math.PI) / 2);
}

/** Of p to a gamma distribution: the cross entropy, from E[x] and E[ln x]. */
function crossGamma(mean: AnyTensor, meanLog: AnyTensor, q: Gamma): AnyTensor {
  const { concentration: a, rate } = q;
  return a.lgamma().sub(a.mul(rate.log())).sub(a.sub(1).mul(meanLog)).add(rate.mul(mean));
}
const meanLog = (p: Gamma): AnyTensor => p.concentration.digamma().sub(p.rate.log());

/** Of p to a Gumbel distribution: the cross entropy, from E[x] and E[exp(t·x)] at t = -1 / β. */
function crossGumbel(mean: AnyTensor, moment: (t: AnyTensor) => AnyTensor, q: Gumbel): AnyTensor {
  const tail = q.loc.div(q.scale).exp().mul(moment(q.scale.reciprocal().neg()));
  return mean.sub(q.loc).div(q.scale).add(tail).add(q.scale.log());
}

/** E[ln x] of a uniform distribution on positive numbers. */
const meanLogOf = (low: AnyTensor, high: AnyTensor): AnyTensor =>
  high.xlogy(high).sub(low.xlogy(low)).div(high.sub(low)).sub(1);

const infiniteUnless = (holds: AnyTensor, divergence: AnyTensor): AnyTensor =>
  where(holds as Tensor<Shape, 'bool'>, divergence, Infinity) as AnyTensor;

/** Between distributions of which the first gives values that the second never gives. */
const infinite = (ps: readonly Class<Distribution>[], qs: readonly Class<Distribution>[]): Rule[] =>
  ps.flatMap((P) =>
    qs.map((Q) =>
      rule(P, Q, (p, q) => {
        const { dtype, device } = p.like;
        return full(broadcastShapes('klDivergence', p.batchShape, q.batchShape), Infinity, { dtype, device });
      }),
    ),
  );

/** Those that users have added, the latest first. */
const registered: Rule[] = [];

/** Tried in order. */
const rules: readonly Rule[] = [
  within(Normal, (p, q) => {
    const ratio = p.scale.div(q.scale).square();
    return p.loc.sub(q.loc).div(q.scale).square().add(excess(ratio)).div(2);
  }),
  within(HalfNormal, (p, q) => excess(p.scale.div(q.scale).square()).div(2)),
  within(MultivariateNormal, (p, q) => {
    const turned = inverseTriangle(q.scaleTril).matmul(p.scaleTril).square().sum([-2, -1]);
    const apart = mahalanobis(q.scaleTril, q.loc.sub(p.loc));
    return turned.add(apart).sub(p.eventShape[0]!).div(2).add(q.halfLogDet).sub(p.halfLogDet);
  }),
  within(Bernoulli, ofTrials),
  within(Geometric, (p, q) => ofTrials(p, q).div(p.probs)),
  within(Binomial, (p, q) => {
    const same = p.totalCount.equalTo(q.totalCount);
    return where(same, p.totalCount.mul(ofTrials(p, q)), NaN) as AnyTensor;
  }),
  within(Poisson, (p, q) => p.rate.xlogy(p.rate).sub(p.rate.xlogy(q.rate)).sub(p.rate.sub(q.rate))),
  within(Categorical, ofCategories),
  within(OneHotCategorical, ofCategories),
  within(Gamma, (p, q) => crossGamma(p.mean, meanLog(p), q).sub(p.entropy())),
  rule(Exponential, Gamma, (p, q) => crossGamma(p.mean, p.rate.log().add(euler).neg(), q).sub(p.entropy())),
  within(Beta, (p, q) => {
    const [a, b] = [p, q].map(({ concentration1: one, concentration0: zero }) => ({ one, zero, sum: one.add(zero) }));
    const norm = [a!, b!].map(({ one, zero, sum }) => one.lgamma().add(zero.lgamma()).sub(sum.lgamma()));
    const slope = (key: 'one' | 'zero' | 'sum'): AnyTensor => a![key].sub(b![key]).mul(a![key].digamma());
    return norm[1]!.sub(norm[0]!).add(slope('one')).add(slope('zero')).sub(slope('sum'));
  }),
  within(Dirichlet, (p, q) => {
    const [a, b] = [p.concentration, q.concentration];
    const slopes = a.digamma().sub(a.sum(-1, { keepDims: true }).digamma());
    const parts = b.lgamma().sub(a.lgamma()).add(a.sub(b).mul(slopes)).sum(-1);
    return parts.add(a.sum(-1).lgamma()).sub(b.sum(-1).lgamma());
  }),
  within(Exponential, (p, q) => excess(q.rate.div(p.rate))),
  within(Laplace, (p, q) => {
    const apart = p.loc.sub(q.loc).abs();
    const overlap = p.scale.mul(apart.div(p.scale).neg().exp()).add(apart).div(q.scale);
    return overlap.sub(1).sub(p.scale.div(q.scale).log());
  }),
  within(Uniform, (p, q) => {
    const inside = q.low.lessEqual(p.low).logicalAnd(q.high.greaterEqual(p.high));
    return where(inside, q.entropy().sub(p.entropy()), Infinity) as AnyTensor;
  }),
  within(Gumbel, (p, q) => {
    const ratio = p.scale.div(q.scale);
    const apart = p.loc.sub(q.loc).div(q.scale);
    const tail = ratio.add(1).lgamma().sub(apart).exp();
    return apart
      .add(tail)
      .add(ratio.mul(euler))
      .sub(ratio.log())
      .sub(1 + euler);
  }),
  within(Cauchy, (p, q) => {
    const apart = p.scale.add(q.scale).square().add(p.loc.sub(q.loc).square());
    return apart.log().sub(p.scale.log()).sub(q.scale.log()).sub(Math.log(4));
  }),
  within(Pareto, (p, q) => {
    const ratio = q.alpha.div(p.alpha);
    const inside = q.alpha.mul(p.scale.log().sub(q.scale.log())).add(excess(ratio));
    return where(p.scale.less(q.scale), Infinity, inside) as AnyTensor;
  }),
  ...[Gamma, Beta, Pareto].map((other) =>
    rule<Distribution, Exponential>(other, Exponential, (p, q) =>
      q.rate.mul(p.mean).sub(q.rate.log()).sub(p.entropy()),
    ),
  ),
  ...[Exponential, Gamma, Beta, Pareto, Laplace, Uniform, Gumbel].map((other) =>
    rule<Distribution, Normal>(other, Normal, (p, q) => crossNormal(p.mean, p.variance, q).sub(p.entropy())),
  ),
  rule(Bernoulli, Poisson, (p, q) => q.rate.sub(p.probs.xlogy(q.rate)).sub(p.entropy())),
  rule(Beta, Gamma, (p, q) => {
    const { concentration1: a, concentration0: b } = p;
    return crossGamma(p.mean, a.digamma().sub(a.add(b).digamma()), q).sub(p.entropy());
  }),
  rule(Beta, Uniform, (p, q) => {
    return infiniteUnless(q.low.lessEqual(0).logicalAnd(q.high.greaterEqual(1)), q.entropy().sub(p.entropy()));
  }),
  rule(Exponential, Gumbel, (p, q) => {
    return crossGumbel(p.mean, (t) => p.rate.div(p.rate.sub(t)), q).sub(p.entropy());
  }),
  rule(Gamma, Gumbel, (p, q) => {
    return crossGumbel(p.mean, (t) => p.concentration.neg().mul(t.div(p.rate).neg().log1p()).exp(), q).sub(p.entropy());
  }),
  rule(Normal, Gumbel, (p, q) => {
    return crossGumbel(p.mean, (t) => t.mul(p.loc).add(t.mul(p.scale).square().div(2)).exp(), q).sub(p.entropy());
  }),
  rule(Normal, Laplace, (p, q) => {
    const apart = p.loc.sub(q.loc);
    const z = apart.div(p.scale).mul(Math.SQRT1_2);
    const distance = z
      .square()
      .neg()
      .exp()
      .mul(p.scale)
      .mul(Math.sqrt(2 / Math.PI))
      .add(apart.mul(z.erf()));
    return distance.div(q.scale).add(q.scale.mul(2).log()).sub(p.entropy());
  }),
  rule(Pareto, Gamma, (p, q) => {
    return crossGamma(p.mean, p.scale.log().add(p.alpha.reciprocal()), q).sub(p.entropy());
  }),
  rule(Uniform, Beta, (p, q) => {
    const { concentration1: a, concentration0: b } = q;
    const logs = a
      .sub(1)
      .mul(meanLogOf(p.low, p.high))
      .add(b.sub(1).mul(meanLogOf(p.high.neg().add(1), p.low.neg().add(1))));
    const norm = a.lgamma().add(b.lgamma()).sub(a.add(b).lgamma());
    const inside = p.low.greaterEqual(0).logicalAnd(p.high.lessEqual(1));
    return infiniteUnless(inside, norm.sub(logs).sub(p.entropy()));
  }),
  rule(Uniform, Exponential, (p, q) => {
    return infiniteUnless(p.low.greaterEqual(0), q.rate.mul(p.mean).sub(q.rate.log()).sub(p.entropy()));
  }),
  rule(Uniform, Gamma, (p, q) => {
    const inside = crossGamma(p.mean, meanLogOf(p.low, p.high), q).sub(p.entropy());
    return infiniteUnless(p.low.greaterEqual(0), inside);
  }),
  rule(Uniform, Gumbel, (p, q) => {
    const moment = (t: AnyTensor): AnyTensor => {
      return t
        .mul(p.high)
        .exp()
        .sub(t.mul(p.low).exp())
        .div(t.mul(p.high.sub(p.low)));
    };
    return crossGumbel(p.mean, moment, q).sub(p.entropy());
  }),
  rule(Uniform, Pareto, (p, q) => {
    const logs = q.alpha.add(1).mul(meanLogOf(p.low, p.high)).sub(q.alpha.mul(q.scale.log())).sub(q.alpha.log());
    return infiniteUnless(p.low.greaterEqual(q.scale), logs.sub(p.entropy()));
  }),
  ...infinite([Exponential, Gamma, Pareto, Gumbel, Laplace, Normal], [Beta, Uniform]),
  ...infinite([Gumbel, Laplace, Normal], [Exponential, Gamma, Pareto]),
  ...infinite([Beta, Exponential, Gamma], [Pareto]),
  ...infinite([Poisson], [Bernoulli, Binomial]),
  within(Independent, (p, q) => (p.dims === q.dims ? sumLast(klDivergence(p.base, q.base), p.dims) : undefined)),
  within<TransformedDistribution>(TransformedDistribution, (p, q) => {
    if (!p.transform.equals(q.transform)) return undefined;
    const more = p.eventShape.length + p.transform.domainDims - p.transform.codomainDims - p.base.eventShape.length;
    return sumLast(klDivergence(p.base, q.base), more);
  }),
];

/**
 * Adds a divergence that {@link klDivergence} answers from then on between distributions of two classes, those that extend them too. The latest one added
 * goes first. Where `divergence` answers undefined, others are tried.
 *
 * @throws ArgumentError unless the first two are classes and the third is a function.
 * @example
 * distributions.registerKl(distributions.Weibull, distributions.Exponential, (p, q) =>
 *   q.rate.mul(p.mean).sub(q.rate.log()).sub(p.entropy()),
 * );
 */
export function registerKl<P extends Distribution, Q extends Distribution>(
  p: Class<P>,
  q: Class<Q>,
  divergence: (p: P, q: Q) => AnyTensor | undefined,
): void {
  for (const [name, value] of Object.entries({ p, q, divergence })) checkFunction('registerKl', name, value);
  registered.unshift(rule(p, q, divergence));
}

/**
 * The Kullback-Leibler divergence `KL(p ‖ q) = E_p[ln p(x) - ln q(x)]` in nats, of the batch shape of both, which broadcast. In closed form between distributions of one
 * family (normal ones of numbers and vectors, half-normal, Bernoulli, binomial, geometric, Poisson, categorical, gamma, beta, Dirichlet, exponential, Laplace, uniform, Gumbel, Cauchy, Pareto;
 * `Independent` ones and those with the same transforms of such), and between the others of which PyTorch has it; {@link registerKl} adds more.
 *
 * @throws ArgumentError where there is no closed form here; ShapeError when the batches do not broadcast.
 * @see Kullback and Leibler, 1951, On information and sufficiency.
 * @example
 * const posterior = new distributions.Normal(tensor([0, 1]), 2);
 * distributions.klDivergence(posterior, new distributions.Normal(0, 1)); // [0.8069, 1.3069]
 */
export function klDivergence(p: Distribution, q: Distribution): AnyTensor {
  checkDistribution('klDivergence', 'p', p);
  checkDistribution('klDivergence', 'q', q);
  for (const rule of [...registered, ...rules]) {
    if (!(p instanceof rule.p && q instanceof rule.q)) continue;
    const found = rule.divergence(p, q);
    if (found !== undefined) return found;
  }
  throw new ArgumentError(
    `klDivergence: there is no closed form: got ${p.constructor.name} and ${q.constructor.name}, expected two of one family`,
  );
}
