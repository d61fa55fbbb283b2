// Every distribution and transform, made and asked with wrong arguments: a HadalError or a result, and the process goes on.
import { distributions as d, full, manualSeed, ones, rand, Tensor, tensor, type AnyTensor } from '../../lib/index';
import { attempt, replaced, wrongTensors, wrongValues } from '../wrong-arguments';

type Any = any;
manualSeed(0);
const positive = (...shape: number[]): AnyTensor => rand(shape).add(0.5).keep();
const chance = (): AnyTensor => rand([3]).keep();
const rows = positive(2, 3);
const lower = tensor([
  [1, 0],
  [0.5, 2],
]).keep();
const normal = new d.Normal(positive(3), 1);

/** Arguments, and a value of it. */
const cases: Record<string, readonly [args: readonly unknown[], value: AnyTensor]> = {
  Normal: [[positive(3), positive(3)], positive(3)],
  HalfNormal: [[positive(3)], positive(3)],
  LogNormal: [[positive(3), 2], positive(3)],
  Laplace: [[positive(3), 2], positive(3)],
  Cauchy: [[positive(3), 2], positive(3)],
  Gumbel: [[positive(3), 2], positive(3)],
  Uniform: [[-1, positive(3)], chance()],
  Exponential: [[positive(3)], positive(3)],
  Weibull: [[positive(3), 2], positive(3)],
  Pareto: [[0.1, positive(3)], positive(3)],
  Gamma: [[positive(3), 2], positive(3)],
  Chi2: [[positive(3)], positive(3)],
  Beta: [[positive(3), 2], chance()],
  Dirichlet: [[positive(3)], full([3], 1 / 3).keep()],
  StudentT: [[positive(3), 0, 2], positive(3)],
  Bernoulli: [[{ probs: chance(), logits: undefined }], ones([3]).keep()],
  Geometric: [[{ probs: undefined, logits: chance() }], ones([3]).keep()],
  Binomial: [[4, { probs: chance() }], ones([3]).keep()],
  NegativeBinomial: [[4, { logits: chance() }], ones([3]).keep()],
  Poisson: [[positive(3)], ones([3]).keep()],
  Categorical: [[{ probs: rows }], ones([2], { dtype: 'int64' }).keep()],
  OneHotCategorical: [[{ logits: rows }], tensor([0, 1, 0]).keep()],
  OneHotCategoricalStraightThrough: [[{ logits: rows }], tensor([0, 1, 0]).keep()],
  Multinomial: [[5, { probs: rows }], tensor([1, 4, 0]).keep()],
  RelaxedBernoulli: [[0.5, { probs: chance() }], chance()],
  RelaxedOneHotCategorical: [[0.5, { logits: rows }], full([3], 1 / 3).keep()],
  MultivariateNormal: [[positive(2), { scaleTril: lower }], positive(2)],
  Independent: [[normal, 1], positive(3)],
  MixtureSameFamily: [[new d.Categorical({ probs: positive(3) }), normal], tensor(1).keep()],
  TransformedDistribution: [[normal, [new d.ExpTransform()]], positive(3)],
};
const transforms: Record<string, readonly unknown[]> = {
  ExpTransform: [],
  SigmoidTransform: [],
  TanhTransform: [],
  SoftplusTransform: [],
  StickBreakingTransform: [],
  PowerTransform: [2],
  AffineTransform: [1, positive(3), { eventDims: 1 }],
  ComposeTransform: [[new d.ExpTransform()]],
};
const classes = d as unknown as Record<string, new (...args: Any[]) => Any>;

test('every class is among the cases', () => {
  const all = Object.keys(classes).filter((name) => /^[A-Z]/.test(name));
  expect(all.sort()).toEqual([...Object.keys(cases), ...Object.keys(transforms), 'Distribution', 'Transform'].sort());
});

const substitutes = (value: unknown) =>
  value instanceof Tensor ? [...wrongTensors(value as AnyTensor), ...wrongValues] : wrongValues;
const ask = (made: d.Distribution, value: Any): unknown[] => [
  made.logProb(value),
  made.sample([2]),
  ...(made.hasRsample ? [made.rsample()] : []),
];

test.each(Object.entries(cases))('%s', (name, [args, value]) => {
  const Made = classes[name]!;
  const failures: string[] = [];
  const whole = new Made(...args) as d.Distribution;
  expect(ask(whole, value).length).toBeGreaterThan(1);
  attempt(failures, 'no arguments', () => new Made());
  for (const [what, given] of replaced(args, substitutes)) {
    attempt(failures, `made with ${what}`, () => ask(new Made(...given) as d.Distribution, value));
  }
  for (const [what, wrong] of substitutes(value)) {
    attempt(failures, `logProb(${what})`, () => whole.logProb(wrong as Any));
    attempt(failures, `cdf(${what})`, () => whole.cdf(wrong as Any));
    attempt(failures, `icdf(${what})`, () => whole.icdf(wrong as Any));
  }
  for (const [what, wrong] of wrongValues) {
    attempt(failures, `sample(${what})`, () => whole.sample(wrong as Any));
    attempt(failures, `rsample(${what})`, () => whole.rsample(wrong as Any));
    attempt(failures, `klDivergence(${what})`, () => d.klDivergence(whole, wrong as Any));
  }
  for (const get of ['mean', 'variance', 'stddev', 'mode'] as const) attempt(failures, get, () => whole[get]);
  attempt(failures, 'entropy', () => whole.entropy());
  for (const [other, [theirs]] of Object.entries(cases)) {
    attempt(failures, `klDivergence(${other})`, () => d.klDivergence(whole, new classes[other]!(...theirs)));
  }
  expect(failures).toEqual([]);
});

test.each(Object.entries(transforms))('%s', (name, args) => {
  const Made = classes[name]!;
  const failures: string[] = [];
  const whole = new Made(...args) as d.Transform;
  const x = positive(3);
  for (const [what, given] of replaced(args, substitutes)) {
    attempt(failures, `made with ${what}`, () => (new Made(...given) as d.Transform).forward(x));
  }
  for (const [what, wrong] of substitutes(x)) {
    attempt(failures, `forward(${what})`, () => whole.forward(wrong as Any));
    attempt(failures, `inverse(${what})`, () => whole.inverse(wrong as Any));
  }
  expect(failures).toEqual([]);
});

test.each<[() => unknown, string]>([
  [() => new d.Normal(0, -1), 'Normal: scale: got number -1, expected a positive number or a tensor'],
  [() => new d.Normal('0' as Any, 1), 'Normal: loc: got string 0, expected a finite number or a tensor'],
  [() => new d.Normal(ones([2]), ones([3])), 'Normal: shapes [2] and [3] do not broadcast: 2 vs 3 at axis -1'],
  [
    () => new d.Exponential(ones([2], { dtype: 'int32' })),
    'Exponential: rate: got dtype int32, expected float64, float32, float16, bfloat16',
  ],
  [() => new d.Uniform(2, 1), 'Uniform: high: got number 1, expected a finite number above low or a tensor'],
  [
    () => new d.Bernoulli({ probs: 0.5, logits: 0 } as Any),
    'Bernoulli: options: got probs and logits, expected one of probs, logits',
  ],
  [() => new d.Bernoulli({} as Any), 'Bernoulli: options: got none of them, expected one of probs, logits'],
  [
    () => new d.Bernoulli({ probs: 1.5 }),
    'Bernoulli: probs: got number 1.5, expected a number from 0 to 1 or a tensor',
  ],
  [() => new d.Categorical({ probs: 0.5 as Any }), 'Categorical: probs: got number 0.5, expected a tensor'],
  [
    () => new d.Categorical({ probs: ones([2, 0]) }),
    'Categorical: probs: got shape [2, 0], expected [..., n] with n > 0',
  ],
  [
    () => new d.MultivariateNormal(ones([2]), { scaleTril: ones([3, 3]) }),
    'MultivariateNormal: scaleTril: got shape [3, 3], expected [..., 2, 2] for loc [2]',
  ],
  [() => new d.Poisson(1).rsample(), 'Poisson.rsample: samples do not depend smoothly on the parameters: use sample'],
  [() => new d.Beta(1, 1).cdf(0.5), 'Beta.cdf: there is no closed form'],
  [
    () => new d.Normal(0, 1).sample([-1]),
    'Normal.sample: not a size: got -1 in shape [-1], expected a non-negative integer',
  ],
  [
    () => new d.Dirichlet(ones([3])).logProb(ones([2])),
    'Dirichlet.logProb: value: got shape [2], expected one that ends in [3]',
  ],
  [
    () => new d.Normal(ones([3]), 1).logProb(ones([2])),
    'Normal.logProb: shapes [2] and [3] do not broadcast: 2 vs 3 at axis -1',
  ],
  [
    () => new d.TransformedDistribution(new d.Normal(0, 1), [new d.AffineTransform(ones([3]), 1)]),
    'TransformedDistribution: the transforms broadcast the base: got shape [], expected [3] before its events',
  ],
  [
    () => d.klDivergence(new d.Normal(0, 1), new d.Poisson(1)),
    'klDivergence: there is no closed form: got Normal and Poisson, expected two of one family',
  ],
])('%s', (call, message) => {
  expect(call).toThrow(message);
});
