/** How far distributions are from each other. */
import { ArgumentError } from '../errors';
import { where } from '../ops/pointwise-compare';
import type { AnyTensor } from '../tensor/tensor';
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
  within(Independent, (p, q) => (p.dims === q.dims ? sumLast(klDivergence(p.base, q.base), p.dims) : undefined)),
  within<TransformedDistribution>(TransformedDistribution, (p, q) => {
    if (!p.transform.equals(q.transform)) return undefined;
    const more = p.eventShape.length + p.transform.domainDims - p.transform.codomainDims - p.base.eventShape.length;
    return sumLast(klDivergence(p.base, q.base), more);
  }),
];

/**
 * The Kullback-Leibler divergence `KL(p ‖ q) = E_p[ln p(x) - ln q(x)]` in nats, of the batch shape of both, which broadcast. In closed form between distributions of one
 * family (normal ones of numbers and vectors, half-normal, Bernoulli, binomial, geometric, Poisson, categorical, gamma, beta, Dirichlet, exponential, Laplace, uniform, Gumbel, Cauchy, Pareto;
 * `Independent` ones and those with the same transforms of such), from an exponential, gamma, beta, Pareto, Laplace, uniform or Gumbel one to a normal one, from a gamma, beta or Pareto one to
 * an exponential one, and from an exponential one to a gamma one.
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
  for (const rule of rules) {
    if (!(p instanceof rule.p && q instanceof rule.q)) continue;
    const found = rule.divergence(p, q);
    if (found !== undefined) return found;
  }
  throw new ArgumentError(
    `klDivergence: there is no closed form: got ${p.constructor.name} and ${q.constructor.name}, expected two of one family`,
  );
}
