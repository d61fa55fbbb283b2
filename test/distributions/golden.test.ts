// Distributions against PyTorch: densities, entropies, moments, quantiles, divergences, transforms, and gradients of them by the parameters.
import { join } from 'node:path';

import { distributions as d, gradients, io, noGrad, tensor, type AnyTensor } from '../../lib/index';
import { nativeOps } from '../../lib/ops/define';
import { nary } from '../../lib/ops/pointwise-run';
import { under, type Parts } from '../golden/golden';

const stored = io.readSafetensors(join(__dirname, '../golden/distributions.safetensors')) as Promise<Parts>;
const numbers = (x: AnyTensor): number[] => Array.from(x.dataSync(), Number);

/** Fails unless shapes are equal and each element is the wanted one, to `tolerance` of the largest finite one or of 1. */
function expectAlike(got: AnyTensor, want: AnyTensor, what: string, tolerance: number): void {
  expect([what, got.shape]).toEqual([what, want.shape]);
  const wanted = numbers(want);
  const bound = tolerance * Math.max(1, ...wanted.filter(Number.isFinite).map(Math.abs));
  const off = numbers(got).filter((x, i) => !(Object.is(x, wanted[i]) || Math.abs(x - wanted[i]!) <= bound));
  expect([what, off, off.length > 0 ? wanted : []]).toEqual([what, [], []]);
}

/** Σ y·w with w = sin of the position: what the stored gradients are those of. */
const weighted = (y: AnyTensor): AnyTensor =>
  y.mul(tensor(Float64Array.from({ length: y.size }, (_, i) => Math.sin(i))).reshape(y.shape)).sum();

type Make = (p: Parts) => d.Distribution;
const both = (make: (p: Parts, probsOrLogits: d.ProbsOrLogits & d.CategoryProbsOrLogits) => d.Distribution): Make => {
  return (p) => make(p, p['probs'] === undefined ? { logits: p['logits']! } : { probs: p['probs'] });
};
const symmetric = ({ matrix }: Parts): AnyTensor => matrix!.add(matrix!.transpose()).div(2);
const independent: Make = ({ loc, scale }) => new d.Independent(new d.Normal(loc!, scale!), 1);
const squashed: Make = ({ loc, scale }) =>
  new d.TransformedDistribution(new d.Normal(loc!, scale!), [new d.TanhTransform()]);
const standard = (): AnyTensor => tensor(new Float64Array(6)).reshape([2, 3]);

const cases: Record<string, Make> = {
  Normal: ({ loc, scale }) => new d.Normal(loc!, scale!),
  Laplace: ({ loc, scale }) => new d.Laplace(loc!, scale!),
  Cauchy: ({ loc, scale }) => new d.Cauchy(loc!, scale!),
  Gumbel: ({ loc, scale }) => new d.Gumbel(loc!, scale!),
  LogNormal: ({ loc, scale }) => new d.LogNormal(loc!, scale!),
  HalfNormal: ({ scale }) => new d.HalfNormal(scale!),
  Uniform: ({ low, high }) => new d.Uniform(low!, high!),
  Exponential: ({ rate }) => new d.Exponential(rate!),
  Weibull: ({ scale, concentration }) => new d.Weibull(scale!, concentration!),
  Pareto: ({ scale, alpha }) => new d.Pareto(scale!, alpha!),
  Gamma: ({ concentration, rate }) => new d.Gamma(concentration!, rate!),
  Chi2: ({ df }) => new d.Chi2(df!),
  Beta: ({ concentration1, concentration0 }) => new d.Beta(concentration1!, concentration0!),
  Dirichlet: ({ concentration }) => new d.Dirichlet(concentration!),
  StudentT: ({ df, loc, scale }) => new d.StudentT(df!, loc, scale),
  MultivariateNormal: ({ loc, tril }) => new d.MultivariateNormal(loc!, { scaleTril: tril! }),
  'MultivariateNormal.covariance': (p) => new d.MultivariateNormal(p['loc']!, { covarianceMatrix: symmetric(p) }),
  'MultivariateNormal.precision': (p) => new d.MultivariateNormal(p['loc']!, { precisionMatrix: symmetric(p) }),
  Bernoulli: both((_, options) => new d.Bernoulli(options)),
  Geometric: both((_, options) => new d.Geometric(options)),
  Binomial: both((_, options) => new d.Binomial(7, options)),
  NegativeBinomial: both(({ totalCount }, options) => new d.NegativeBinomial(totalCount!, options)),
  Poisson: ({ rate }) => new d.Poisson(rate!),
  Categorical: both((_, options) => new d.Categorical(options)),
  OneHotCategorical: both((_, options) => new d.OneHotCategorical(options)),
  Multinomial: both((_, options) => new d.Multinomial(6, options)),
  RelaxedOneHotCategorical: both(({ temperature }, options) => new d.RelaxedOneHotCategorical(temperature!, options)),
  RelaxedBernoulli: both(({ temperature }, options) => new d.RelaxedBernoulli(temperature!, options)),
  Independent: independent,
  MixtureSameFamily: ({ logits, loc, scale }) =>
    new d.MixtureSameFamily(new d.Categorical({ logits: logits! }), new d.Normal(loc!, scale!)),
  'MixtureSameFamily.vectors': ({ probs, loc }) =>
    new d.MixtureSameFamily(new d.Categorical({ probs: probs! }), new d.Independent(new d.Normal(loc!, 1), 1)),
  squashed,
  logistic: ({ loc, scale }) =>
    new d.TransformedDistribution(new d.Uniform(standard(), 1), [
      new d.SigmoidTransform().inv,
      new d.AffineTransform(loc!, scale!),
    ]),
  falling: ({ loc, scale }) =>
    new d.TransformedDistribution(new d.Normal(standard(), 1), [
      new d.AffineTransform(loc!, scale!.neg()),
      new d.ExpTransform(),
      new d.PowerTransform(-0.5),
    ]),
  sticks: ({ loc }) => new d.TransformedDistribution(new d.Normal(loc!, 1), [new d.StickBreakingTransform()]),
};
const trials = ['Bernoulli', 'Geometric', 'Binomial', 'NegativeBinomial', 'RelaxedBernoulli'];
const categories = ['Categorical', 'OneHotCategorical', 'Multinomial', 'RelaxedOneHotCategorical'];
for (const name of [...trials, ...categories]) cases[`${name}.logits`] = cases[name]!;

type Asked = (x: d.Distribution, parts: Parts) => AnyTensor;
const questions: Record<string, Asked> = {
  logProb: (x, parts) => x.logProb(parts['x']!),
  entropy: (x) => x.entropy(),
  cdf: (x, parts) => x.cdf(parts['x']!),
  icdf: (x, parts) => x.icdf(parts['u']!),
  mean: (x) => x.mean,
  variance: (x) => x.variance,
  mode: (x) => x.mode,
};

const names = Object.keys(cases);
const leavesOf = (parts: Parts, prefix: string): Parts =>
  Object.fromEntries(
    Object.entries(under(parts, prefix)).map(([name, x]) => [name, x.detach().clone().requiresGrad_()]),
  );
const narrow = (parts: Parts): Parts =>
  Object.fromEntries(Object.entries(parts).map(([name, x]) => [name, x.cast('float32') as AnyTensor]));

test('every stored distribution has its case', async () => {
  const others = /^kl\.|Transform$|^gamma-slope$/;
  const all = new Set(Object.keys(await stored).map((name) => name.split('/')[0]!));
  expect([...all].filter((name) => !others.test(name)).sort()).toEqual([...names].sort());
});

test.each(names)('%s', async (name) => {
  const parts = under(await stored, `${name}/`);
  for (const [what, ask] of Object.entries(questions)) {
    const want = parts[what];
    if (want === undefined) continue;
    const leaves = leavesOf(parts, 'p.');
    const got = ask(cases[name]!(leaves), parts);
    expectAlike(got.cast('float64'), want.cast('float64'), `${name} ${what}`, 1e-8);
    const stem = { logProb: 'g.', entropy: 'h.' }[what];
    const wanted = stem === undefined ? {} : under(parts, stem);
    if (Object.keys(wanted).length === 0) continue;
    const found = gradients(
      [weighted(got)],
      Object.keys(wanted).map((key) => leaves[key]!),
    );
    Object.entries(wanted).forEach(([key, gradient], i) => {
      expectAlike(found[i]!, gradient, `${name} gradient of ${what} by ${key}`, 1e-7);
    });
  }
});

test.each(names)('%s in float32', async (name) => {
  const parts = narrow(under(await stored, `${name}/`));
  const made = cases[name]!(under(parts, 'p.'));
  for (const [what, ask] of Object.entries(questions)) {
    const want = parts[what];
    if (want === undefined || name === 'squashed') continue;
    const got = ask(made, parts);
    const index = name.startsWith('Categorical') && what === 'mode';
    expect([name, what, got.dtype]).toEqual([
      name,
      what,
      index ? 'int64' : name === 'logistic' || name === 'falling' ? 'float64' : 'float32',
    ]);
    expectAlike(got.cast('float64'), want.cast('float64'), `${name} ${what}`, 2e-4);
  }
});

const divergences = [
  ...['Normal', 'Laplace', 'Gumbel', 'LogNormal', 'HalfNormal', 'Geometric', 'Binomial', 'Categorical'],
  ...['Bernoulli', 'OneHotCategorical', 'Gamma', 'Gamma.Exponential', 'Exponential.Gamma', 'Beta', 'Dirichlet'],
  ...['Exponential', 'Exponential.Normal', 'Laplace.Normal', 'Uniform', 'Uniform.Normal', 'Poisson'],
  ...['Cauchy', 'Pareto', 'Gamma.Normal', 'Beta.Normal', 'Pareto.Normal', 'Gumbel.Normal'],
  ...['Beta.Exponential', 'Pareto.Exponential', 'Beta.Gamma', 'Exponential.Gumbel', 'Gamma.Gumbel', 'Normal.Gumbel'],
  ...['Normal.Laplace', 'Pareto.Gamma', 'Uniform.Beta', 'Uniform.Exponential', 'Uniform.Gamma', 'Uniform.Gumbel'],
  ...['Bernoulli.Poisson', 'Beta.Uniform', 'Uniform.Pareto'],
  ...['MultivariateNormal', 'Independent', 'squashed'],
];

test('every stored divergence is compared', async () => {
  const all = Object.keys(await stored).filter((name) => name.startsWith('kl.') && name.endsWith('/kl'));
  expect(all.map((name) => name.slice(3, -3)).sort()).toEqual([...divergences].sort());
});

test.each(divergences)('the divergence of %s', async (name) => {
  const [first, second = first] = name.split('.') as [string, string?];
  const make = (kind: string): Make =>
    kind === 'Binomial'
      ? ({ probs }) => new d.Binomial(5, { probs: probs! })
      : cases[kind === 'MultivariateNormal' ? 'MultivariateNormal.covariance' : kind]!;
  const parts = under(await stored, `kl.${name}/`);
  const [p, q] = [leavesOf(parts, 'p.'), leavesOf(parts, 'q.')];
  const got = d.klDivergence(make(first)(p), make(second)(q));
  expectAlike(got, parts['kl']!, name, 1e-9);
  const total = weighted(
    noGrad(() => got.isInf())
      .logicalNot()
      .cast('float64')
      .mul(got.nanToNum({ posInf: 0 })),
  );
  for (const [letter, leaves] of Object.entries({ p, q })) {
    const found = gradients([total], Object.values(leaves), { retainGraph: true });
    Object.keys(leaves).forEach((key, i) => {
      expectAlike(found[i]!, parts[`g.${letter}.${key}`]!, `${name} gradient by ${letter}.${key}`, 1e-8);
    });
  }
});

const transforms: Record<string, d.Transform> = {
  ExpTransform: new d.ExpTransform(),
  SigmoidTransform: new d.SigmoidTransform(),
  TanhTransform: new d.TanhTransform(),
  SoftplusTransform: new d.SoftplusTransform(),
  PowerTransform: new d.PowerTransform(-1.5),
  AffineTransform: new d.AffineTransform(0.5, tensor([-2, 1, 0.1], { dtype: 'float64' }), { eventDims: 1 }),
  StickBreakingTransform: new d.StickBreakingTransform(),
  ComposeTransform: new d.ComposeTransform([
    new d.AffineTransform(0.5, 0.3),
    new d.StickBreakingTransform(),
    new d.ExpTransform(),
  ]),
};

test.each(Object.entries(transforms))('%s', async (name, f) => {
  const parts = under(await stored, `${name}/`);
  const x = parts['x']!.clone().requiresGrad_() as AnyTensor;
  const y = f.forward(x);
  expectAlike(y, parts['y']!, `${name} forward`, 1e-12);
  expect(y.shape).toEqual(f.forwardShape(x.shape));
  expectAlike(f.inverse(parts['y']!), parts['back']!, `${name} inverse`, 1e-9);
  const stretch = f.logAbsDetJacobian(x, y);
  expectAlike(stretch, parts['stretch']!, `${name} stretch`, 1e-9);
  expectAlike(gradients([weighted(stretch)], [x])[0]!, parts['g']!, `${name} gradient`, 1e-9);
  const back = f.inv;
  expectAlike(back.forward(parts['y']!), parts['back']!, `${name} inverted`, 1e-9);
  expectAlike(back.logAbsDetJacobian(y, x), parts['stretch']!.neg(), `${name} inverted`, 1e-9);
});

test('how numbers of the gamma distribution move with its concentration', async () => {
  const parts = under(await stored, 'gamma-slope/');
  const [a, x, wanted] = ['a', 'x', 'slope'].map((name) => numbers(parts[name]!)) as [number[], number[], number[]];
  const slopes: AnyTensor = nary(nativeOps.get('standardGammaSlope')!, [parts['a']!, parts['x']!], false);
  const off = numbers(slopes).flatMap((got, i) =>
    Math.abs(got / wanted[i]! - 1) < 1e-6 ? [] : [{ a: a[i], x: x[i], got, wanted: wanted[i] }],
  );
  expect(off).toEqual([]);
});
