/** Probability distributions. */
export { Distribution, type ProbsOrLogits } from './distribution';
export { HalfNormal, LogNormal, Normal } from './normal';
export { Cauchy, Gumbel, Laplace, Uniform } from './location-scale';
export { Exponential, Pareto, Weibull } from './half-line';
export { Beta, Chi2, Dirichlet, Gamma, StudentT } from './gamma';
export { Bernoulli, Binomial, Geometric, NegativeBinomial, Poisson } from './discrete';
export {
  Categorical,
  Multinomial,
  OneHotCategorical,
  OneHotCategoricalStraightThrough,
  type CategoryProbsOrLogits,
} from './categorical';
export { RelaxedBernoulli, RelaxedOneHotCategorical } from './relaxed';
export { MultivariateNormal, type MultivariateNormalOptions } from './multivariate-normal';
export { Independent, MixtureSameFamily } from './independent';
export { TransformedDistribution } from './transformed';
export {
  AffineTransform,
  ComposeTransform,
  ExpTransform,
  PowerTransform,
  SigmoidTransform,
  SoftplusTransform,
  StickBreakingTransform,
  TanhTransform,
  Transform,
  type AffineOptions,
} from './transforms';
export { klDivergence, registerKl } from './kl';
