// Samples: of the right shape, dtype and distribution, with the right gradients. Seeds are fixed, so a test passes always or never; bounds are those that a right
// sampler passes with all but one of thousands of seeds.
import {
  compile,
  distributions as d,
  full,
  gradients,
  grad,
  manualSeed,
  noGrad,
  ones,
  scope,
  tensor,
  zeros,
  type AnyTensor,
  type DType,
} from '../../lib/index';

const count = 50_000;
const numbers = (x: AnyTensor): number[] => Array.from(x.dataSync(), Number);
const mean = (x: readonly number[]): number => x.reduce((sum, value) => sum + value, 0) / x.length;
const f64 = (data: number | readonly number[] | readonly number[][]): AnyTensor =>
  tensor(data as number[], { dtype: 'float64' });

beforeEach(() => manualSeed(5));

/** Distributions of numbers by their parameters, and where the distribution has no cdf here its own. */
const continuous: Record<
  string,
  [make: (a: AnyTensor, b: AnyTensor) => d.Distribution, parameters: [number, number], cdf?: (x: number) => number]
> = {
  Normal: [(a, b) => new d.Normal(a, b), [-1, 0.3]],
  HalfNormal: [(a) => new d.HalfNormal(a), [2, 0]],
  LogNormal: [(a, b) => new d.LogNormal(a, b), [0.5, 0.7]],
  Laplace: [(a, b) => new d.Laplace(a, b), [1, 2]],
  Cauchy: [(a, b) => new d.Cauchy(a, b), [1, 2]],
  Gumbel: [(a, b) => new d.Gumbel(a, b), [1, 2]],
  Uniform: [(a, b) => new d.Uniform(a, b), [-1, 3]],
  Exponential: [(a) => new d.Exponential(a), [3, 0]],
  Weibull: [(a, b) => new d.Weibull(a, b), [2, 0.8]],
  Pareto: [(a, b) => new d.Pareto(a, b), [2, 1.5]],
  'Gamma of 0.2': [(a, b) => new d.Gamma(a, b), [0.2, 2]],
  'Gamma of 0.7': [(a, b) => new d.Gamma(a, b), [0.7, 2]],
  'Gamma of 1': [(a, b) => new d.Gamma(a, b), [1, 0.5]],
  'Gamma of 60': [(a, b) => new d.Gamma(a, b), [60, 3]],
  Chi2: [(a) => new d.Chi2(a), [3, 0]],
  Beta: [(a, b) => new d.Beta(a, b), [2, 3], (x) => 6 * x ** 2 - 8 * x ** 3 + 3 * x ** 4],
  'Beta of small concentrations': [
    (a, b) => new d.Beta(a, b),
    [0.5, 0.5],
    (x) => (2 / Math.PI) * Math.asin(Math.sqrt(x)),
  ],
  StudentT: [(a, b) => new d.StudentT(a, b, 3), [2, 1], (x) => 0.5 + (x - 1) / 6 / Math.sqrt(2 + ((x - 1) / 3) ** 2)],
  squashed: [(a, b) => new d.TransformedDistribution(new d.Normal(a, b), [new d.TanhTransform()]), [0.5, 0.6]],
  falling: [(a, b) => new d.TransformedDistribution(new d.Normal(a, b), [new d.AffineTransform(1, -2)]), [0.5, 0.6]],
  softplus: [(a, b) => new d.TransformedDistribution(new d.Normal(a, b), [new d.SoftplusTransform()]), [0.5, 0.6]],
  RelaxedBernoulli: [
    (a, b) => new d.RelaxedBernoulli(a, { logits: b }),
    [0.7, 1],
    (x) => 1 / (1 + Math.exp(1 - 0.7 * Math.log(x / (1 - x)))),
  ],
};

describe.each(Object.entries(continuous))('%s', (name, [make, parameters, cdf]) => {
  test.each<DType>(['float64', 'float32'])('%s samples lie where they should', (dtype) => {
    const made = make(...(parameters.map((p): AnyTensor => full([], p, { dtype })) as [AnyTensor, AnyTensor]));
    const drawn = made.sample([count]);
    expect([drawn.shape, drawn.dtype, drawn.requiresGrad]).toEqual([[count], dtype, false]);
    const below = (cdf === undefined ? numbers(made.cdf(drawn.cast('float64'))) : numbers(drawn).map(cdf)).sort(
      (a, b) => a - b,
    );
    // Kolmogorov and Smirnov: beyond 2.2 / √n by chance once in 8,000 times.
    const apart = Math.max(...below.map((p, i) => Math.max(p - i / count, (i + 1) / count - p)));
    expect(apart).toBeLessThan(2.2 / Math.sqrt(count));
  });

  if (cdf === undefined) {
    test('a sample moves with the parameters as its share of the probability says', () => {
      const leaves = parameters.map((p) => f64(p).requiresGrad_()) as [AnyTensor, AnyTensor];
      // The concentration has tests of its own: its cdf has no gradient.
      const wanted = parameters
        .map((p, i) => [p, leaves[i]!] as const)
        .filter(([p], i) => p !== 0 && !(i === 0 && /Gamma|Chi2/.test(name)))
        .map(([, leaf]) => leaf);
      if (wanted.length === 0) return;
      const made = make(...leaves);
      const x = made.rsample([50]);
      const fixed = x.detach();
      const isFixed = /Gamma|Chi2/.test(name);
      const share = make(isFixed ? leaves[0].detach() : leaves[0], leaves[1])
        .cdf(fixed)
        .div(noGrad(() => made.logProb(fixed).exp()));
      const moves = gradients([x.sum()], wanted, { retainGraph: true });
      const shares = gradients([share.sum().neg()], wanted);
      moves.forEach((g, i) => {
        const want = numbers(shares[i]!)[0]!;
        expect(Math.abs(numbers(g!)[0]! - want)).toBeLessThan(1e-6 * (1 + Math.abs(want)));
      });
    });
  }
});

/** The gradient of the mean of f over samples against that of the expected value, within 4 % of the largest. */
test.each<
  [
    name: string,
    make: (x: AnyTensor) => d.Distribution,
    at: number[],
    f: (x: AnyTensor) => AnyTensor,
    expected: (x: AnyTensor) => AnyTensor,
  ]
>([
  ['Gamma, x', (a) => new d.Gamma(a, 2), [0.2, 1, 7], (x) => x, (a) => a.div(2)],
  ['Gamma, ln x', (a) => new d.Gamma(a, 2), [0.2, 1, 7], (x) => x.log(), (a) => a.digamma()],
  ['Gamma, x²', (a) => new d.Gamma(a, 2), [0.2, 1, 7], (x) => x.square(), (a) => a.mul(a.add(1)).div(4)],
  ['Chi2, x', (a) => new d.Chi2(a), [0.5, 3, 20], (x) => x, (a) => a],
  ['Beta, x', (a) => new d.Beta(a, 2), [0.3, 1, 5], (x) => x, (a) => a.div(a.add(2))],
  ['Beta, ln x', (a) => new d.Beta(2, a), [0.3, 1, 5], (x) => x.log(), (a) => a.add(2).digamma().neg()],
  [
    'Dirichlet, x²',
    (a) => new d.Dirichlet(a),
    [0.3, 1, 5],
    (x) => x.square(),
    (a) => a.mul(a.add(1)).div(a.sum().mul(a.sum().add(1))),
  ],
])('gradients of %s by the concentration', (_, make, at, f, expected) => {
  const a = f64(at).requiresGrad_() as AnyTensor;
  const weights = f64([1, -2, 0.5]);
  const [got] = gradients(
    [
      f(make(a).rsample([count]))
        .mean(0)
        .mul(weights)
        .sum(),
    ],
    [a],
  );
  const [want] = gradients([expected(a).mul(weights).sum()], [a]);
  const largest = Math.max(...numbers(want!).map(Math.abs));
  numbers(got!).forEach((g, i) => expect(Math.abs(g - numbers(want!)[i]!)).toBeLessThan(0.04 * largest));
});

test('gradients of Student’s t by the degrees of freedom are those of its spread', () => {
  // E|x| = 2 √ν Γ((ν + 1) / 2) / (√π Γ(ν / 2) (ν - 1)).
  const moment = (df: AnyTensor): AnyTensor => {
    const half = df.div(2);
    return half
      .add(0.5)
      .lgamma()
      .sub(half.lgamma())
      .exp()
      .mul(df.sqrt())
      .div(df.sub(1))
      .mul(2 / Math.sqrt(Math.PI));
  };
  const want = grad((df: AnyTensor) => moment(df))(f64(5)).itemSync();
  const got = grad((df: AnyTensor) => new d.StudentT(df).rsample([200_000]).abs().mean())(f64(5)).itemSync();
  expect(Math.abs(got / want - 1)).toBeLessThan(0.03);
});

/** Counts by their probabilities; k from 0 on. */
test.each<[string, () => d.Distribution, most: number]>([
  ['Bernoulli', () => new d.Bernoulli({ probs: 0.3 }), 1],
  ['Geometric', () => new d.Geometric({ probs: 0.3 }), 20],
  ['Geometric of float64 logits', () => new d.Geometric({ logits: f64(-0.5) }), 20],
  ['Binomial', () => new d.Binomial(6, { probs: 0.3 }), 6],
  ['NegativeBinomial', () => new d.NegativeBinomial(2.5, { probs: 0.4 }), 12],
  ['Poisson', () => new d.Poisson(3.5), 14],
  ['Categorical', () => new d.Categorical({ probs: tensor([1, 0, 3, 0.5]) }), 3],
  ['Categorical of bfloat16', () => new d.Categorical({ logits: tensor([0, 1, -1]).cast('bfloat16') }), 2],
])('%s draws each number as often as it should', (name, make, most) => {
  // Probabilities of 16 bits are rounded.
  const slack = name.includes('bfloat16') ? 2 ** -7 : 2 ** -16;
  const made = make();
  const drawn = numbers(made.sample([count]));
  const ks = Array.from({ length: most + 1 }, (_, k) => k);
  const probabilities = numbers(made.logProb(tensor(ks)).cast('float64').exp());
  for (const k of ks) {
    const p = probabilities[k]!;
    const share = drawn.filter((x) => x === k).length / count;
    expect([k, Math.abs(share - p) < 4.5 * Math.sqrt((p * (1 - p)) / count) + slack * p]).toEqual([k, true]);
  }
  expect(drawn.every((x) => Number.isInteger(x) && x >= 0)).toBe(true);
});

test('categories of a batch keep their rows', () => {
  const rows = new d.Categorical({
    probs: tensor([
      [
        [1, 0, 0],
        [0, 1, 0],
      ],
      [
        [0, 0, 1],
        [0, 0.5, 0.5],
      ],
    ]),
  });
  const drawn = rows.sample([2, 4000]);
  expect([drawn.shape, drawn.dtype]).toEqual([[2, 4000, 2, 2], 'int64']);
  const table = drawn.reshape([8000, 4]).toArraySync() as number[][];
  expect(table.every(([a, b, c]) => a === 0 && b === 1 && c === 2)).toBe(true);
  expect(Math.abs(mean(table.map((row) => row[3]!)) - 1.5)).toBeLessThan(0.03);
});

test('vectors have their means and covariances', () => {
  const covariance = tensor([
    [2, 0.5, -0.3],
    [0.5, 1, 0.1],
    [-0.3, 0.1, 0.7],
  ]);
  const normal = new d.MultivariateNormal(tensor([1, -1, 0]), { covarianceMatrix: covariance });
  const x = normal.sample([count]);
  const apart = (a: AnyTensor, b: AnyTensor): number => Math.max(...numbers(a.sub(b).abs()));
  expect(apart(x.mean(0), normal.mean)).toBeLessThan(5 * Math.sqrt(2 / count));
  expect(apart(x.transpose(0, 1).cov(), covariance)).toBeLessThan(5 * 2 * Math.sqrt(2 / count));
  expect(
    apart(
      normal.covarianceMatrix.matmul(normal.precisionMatrix),
      tensor([
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ]),
    ),
  ).toBeLessThan(1e-5);

  const shares = new d.Dirichlet(tensor([0.5, 2, 3]));
  const parts = shares.sample([count]);
  expect(apart(parts.mean(0), shares.mean)).toBeLessThan(0.005);
  expect(apart(parts.var(0), shares.variance)).toBeLessThan(0.002);
  expect(apart(parts.sum(-1), ones([count]))).toBeLessThan(1e-5);

  const draws = new d.Multinomial(5, { probs: tensor([0.2, 0.3, 0.5]) });
  const counts = draws.sample([count]);
  expect(apart(counts.mean(0), draws.mean)).toBeLessThan(0.03);
  expect(apart(counts.var(0), draws.variance)).toBeLessThan(0.05);
  expect(apart(counts.sum(-1), full([count], 5))).toBe(0);

  // The largest share is that of each category as often as it is drawn without relaxing, and its density is that of the samples.
  const relaxed = new d.RelaxedOneHotCategorical(0.7, { probs: tensor([0.2, 0.3, 0.5]) });
  const soft = relaxed.rsample([count]);
  const hits = numbers(soft.argmax(-1));
  [0.2, 0.3, 0.5].forEach((p, k) =>
    expect(Math.abs(hits.filter((hit) => hit === k).length / count - p)).toBeLessThan(0.011),
  );

  const mixture = new d.MixtureSameFamily(
    new d.Categorical({ probs: tensor([0.25, 0.75]) }),
    new d.Independent(
      new d.Normal(
        tensor([
          [-3, 0],
          [3, 1],
        ]),
        0.5,
      ),
      1,
    ),
  );
  const mixed = mixture.sample([count]);
  expect(apart(mixed.mean(0), mixture.mean)).toBeLessThan(0.06);
  expect(apart(mixed.var(0), mixture.variance)).toBeLessThan(0.15);
});

test('a relaxed density integrates to 1', () => {
  // Over the triangle of shares of three categories, by the midpoints of a grid.
  const n = 600;
  const places: number[][] = [];
  for (let i = 0; i < n; i++)
    for (let j = 0; i + j < n - 1; j++) places.push([(i + 0.5) / n, (j + 0.5) / n, 1 - (i + j + 1) / n]);
  const relaxed = new d.RelaxedOneHotCategorical(0.9, { logits: f64([0.3, -0.2, 0]) });
  expect(
    relaxed
      .logProb(f64(places))
      .exp()
      .sum()
      .div(n * n)
      .itemSync(),
  ).toBeCloseTo(1, 1);
});

test('one-hot samples have the gradient of the probabilities', () => {
  const logits = tensor([0.5, -1, 2]).requiresGrad_();
  const made = new d.OneHotCategoricalStraightThrough({ logits });
  const x = made.rsample([7]);
  expect(numbers(x.sum(-1))).toEqual([1, 1, 1, 1, 1, 1, 1]);
  const weights = tensor([1, 2, 3]);
  const got = gradients([x.select(0, 0).mul(weights).sum()], [logits])[0]!;
  const want = gradients([logits.softmax(-1).mul(weights).sum()], [logits])[0]!;
  expect(numbers(got.sub(want).abs()).every((off) => off < 1e-6)).toBe(true);
});

test.each<[string, () => d.Distribution, shape: number[]]>([
  ['Normal', () => new d.Normal(zeros([3, 1]), ones([4])), [3, 4]],
  ['Bernoulli', () => new d.Bernoulli({ logits: zeros([2]) }), [2]],
  ['Binomial', () => new d.Binomial(tensor([3, 4]), { probs: zeros([3, 1]) }), [3, 2]],
  ['Categorical', () => new d.Categorical({ logits: zeros([2, 5]) }), [2]],
  ['OneHotCategorical', () => new d.OneHotCategorical({ logits: zeros([2, 5]) }), [2, 5]],
  ['Multinomial', () => new d.Multinomial(0, { logits: zeros([2, 5]) }), [2, 5]],
  ['Dirichlet', () => new d.Dirichlet(ones([2, 5])), [2, 5]],
  [
    'RelaxedOneHotCategorical',
    () => new d.RelaxedOneHotCategorical(ones([3, 1]), { logits: zeros([2, 5]) }),
    [3, 2, 5],
  ],
  ['MultivariateNormal', () => new d.MultivariateNormal(zeros([2]), { scaleTril: ones([3, 2, 2]).tril() }), [3, 2]],
  ['Independent', () => new d.Independent(new d.Gamma(ones([3, 4]), 1), 2), [3, 4]],
  [
    'sticks',
    () => new d.TransformedDistribution(new d.Normal(zeros([2, 3]), 1), [new d.StickBreakingTransform()]),
    [2, 4],
  ],
  ['nothing', () => new d.Categorical({ logits: zeros([0, 5]) }), [0]],
])('shapes of %s', (_, make, shape) => {
  const made = make();
  expect([...made.batchShape, ...made.eventShape]).toEqual(shape);
  for (const outer of [[], [7], [2, 0], [1, 3]]) {
    const x = made.sample(outer);
    expect(x.shape).toEqual([...outer, ...shape]);
    expect(made.logProb(x).shape).toEqual([...outer, ...made.batchShape]);
  }
});

test.each<DType>(['float16', 'bfloat16'])('samples of %s parameters keep their dtype and are not coarse', (dtype) => {
  const zero = full([], 0, { dtype });
  const one = full([], 1, { dtype });
  const small = full([], 0.001, { dtype });
  for (const made of [
    new d.Normal(zero, one),
    new d.Gumbel(zero, one),
    new d.Gamma(one, one),
    new d.Beta(one, one),
    new d.StudentT(one),
  ]) {
    const x = made.sample([100]);
    expect([x.dtype, numbers(x.cast('float64')).every(Number.isFinite)]).toEqual([dtype, true]);
  }
  const hits = mean(numbers(new d.Bernoulli({ probs: small }).sample([400_000]).cast('float32')));
  expect(Math.abs(hits - 0.001)).toBeLessThan(2.5e-4);
});

describe('extreme values', () => {
  test('logits of ±100, and of -∞', () => {
    const certain = new d.Bernoulli({ logits: tensor([-100, 100]) });
    expect(numbers(certain.logProb(tensor([0, 1])))).toEqual([-0, -0].map((x) => expect.closeTo(x, 6) as number));
    expect(numbers(certain.logProb(tensor([1, 0])))).toEqual([-100, -100]);
    expect(numbers(certain.sample())).toEqual([0, 1]);
    const logits = tensor([0, -Infinity, 0]).requiresGrad_();
    const masked = new d.Categorical({ logits });
    expect(numbers(masked.entropy())[0]).toBeCloseTo(Math.LN2, 6);
    expect(numbers(masked.logProb(tensor([0, 1])))).toEqual([expect.closeTo(-Math.LN2, 6), -Infinity]);
    const loss = masked.logProb(0).add(masked.entropy()).add(d.klDivergence(masked, masked));
    expect(numbers(gradients([loss], [logits])[0]!)).toEqual([expect.closeTo(0.5, 6), 0, expect.closeTo(-0.5, 6)]);
    expect(numbers(masked.sample([10_000])).includes(1)).toBe(false);
    expect(numbers(d.klDivergence(new d.Categorical({ probs: ones([3]) }), masked))).toEqual([Infinity]);
  });

  test('certain and hardly possible successes', () => {
    const never = new d.Geometric({ probs: tensor([1e-10, 1]) });
    expect(numbers(never.mean)).toEqual([expect.closeTo(1e10, -4), 0]);
    expect(numbers(never.logProb(tensor([0, 0])))).toEqual([expect.closeTo(Math.log(1e-10), 5), 0]);
    expect(numbers(never.logProb(tensor([1e10, 1])))).toEqual([expect.closeTo(Math.log(1e-10) - 1, 5), -Infinity]);
    const certainly = new d.Geometric({ logits: f64(Infinity) });
    expect(numbers(certainly.logProb(f64([0, 1, 2])))).toEqual([0, -Infinity, -Infinity]);
    const probs = f64([1, 0.25]).requiresGrad_();
    const certain = new d.Bernoulli({ probs });
    expect(numbers(certain.stddev)).toEqual([0, Math.sqrt(0.1875)]);
    expect(numbers(gradients([certain.variance.sum()], [probs])[0]!)).toEqual([-1, 0.5]);
    const density = new d.Geometric({ probs }).logProb(f64([0, 2]));
    expect(numbers(gradients([density.sum()], [probs])[0]!)).toEqual([1, 4 - 2 / 0.75]);
  });

  test('few degrees of freedom', () => {
    const df = f64([0.5, 1, 1.5, 2, 4]).requiresGrad_();
    const { variance } = new d.StudentT(df);
    expect(numbers(variance)).toEqual([NaN, NaN, Infinity, Infinity, 2]);
    expect(numbers(gradients([variance.sum()], [df])[0]!)).toEqual([0, 0, 0, 0, -0.5]);
  });

  test('small and large concentrations', () => {
    for (const concentration of [1e-6, 1e-3, 0.05, 1e6]) {
      const made = new d.Beta(concentration, concentration);
      const x = made.sample([1000]);
      expect(numbers(x).every((p) => p > 0 && p < 1)).toBe(true);
      expect(numbers(made.logProb(x)).every(Number.isFinite)).toBe(true);
      expect(numbers(new d.Dirichlet(full([3], concentration)).sample([1000])).every((p) => p > 0 && p < 1)).toBe(true);
      const a = full([1000], concentration).requiresGrad_();
      const g = gradients([new d.Gamma(a, 1).rsample().sum()], [a])[0]!;
      expect(numbers(g).every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
    }
  });

  test('a squashed normal number near ±1', () => {
    const loc = tensor([20, -20, 0]).requiresGrad_();
    const policy = new d.TransformedDistribution(new d.Normal(loc, 0.1), [new d.TanhTransform()]);
    const action = policy.rsample();
    expect(numbers(action).slice(0, 2)).toEqual([1, -1]);
    const density = policy.logProb(action);
    expect(numbers(density).every(Number.isFinite)).toBe(true);
    // ln p(x) of the normal number, whose gradient by the mean is 0 along a sample, and -2 (ln 2 - x - softplus(-2x)).
    const got = numbers(gradients([density.sum()], [loc])[0]!);
    expect([got[0], got[1]]).toEqual([expect.closeTo(2, 3), expect.closeTo(-2, 3)]);
    // What was not made here is inverted; what is between the floats ±1 stays finite.
    expect(numbers(policy.logProb(tensor([0.9999999, -0.9999999, 0.5]))).every(Number.isFinite)).toBe(true);
  });

  test('a squashed normal number between bounds', () => {
    const bounds = tensor([2, 3]);
    const squash = [new d.TanhTransform(), new d.AffineTransform(1, bounds)];
    const policy = new d.TransformedDistribution(new d.Normal(tensor([20, -20]), 0.1), squash);
    const action = policy.sample();
    expect(numbers(action)).toEqual([3, -2]);
    expect(numbers(policy.logProb(action)).every(Number.isFinite)).toBe(true);
  });

  test('learnt bounds have their gradients, of samples without and with one', () => {
    const scale = f64([2, 3]).requiresGrad_();
    const made = new d.TransformedDistribution(new d.Normal(f64([0.5, -1]), 0.3), [new d.AffineTransform(0, scale)]);
    const x = made.sample();
    const fresh = x.clone();
    const [got, want] = [x, fresh].map((value) => numbers(gradients([made.logProb(value).sum()], [scale])[0]!));
    expect(got).toEqual(want);
    // Along a sample ln p(x) changes with the width alone.
    const along = numbers(gradients([made.logProb(made.rsample()).sum()], [scale])[0]!);
    expect(along).toEqual([expect.closeTo(-1 / 2, 12), expect.closeTo(-1 / 3, 12)]);
  });

  test('a remembered source ends with its memory, and passes no gradient that its image has not', () => {
    const tanh = new d.TanhTransform();
    const x = tensor([0.5]).requiresGrad_();
    const y = noGrad(() => tanh.forward(x));
    expect(tanh.inverse(y).requiresGrad).toBe(false);
    const kept = scope(() => tanh.forward(tensor([0.25]).mul(2)));
    expect(numbers(tanh.inverse(kept))[0]).toBeCloseTo(0.5, 6);
  });
});

describe('inside', () => {
  const step = (loc: AnyTensor): AnyTensor => {
    const posterior = new d.Normal(loc, loc.exp());
    const z = posterior.rsample([2]);
    return posterior
      .logProb(z)
      .sum()
      .add(d.klDivergence(posterior, new d.Normal(0, 1)).sum());
  };

  test('a scope, and noGrad', () => {
    const made = scope(() => new d.Normal(tensor([1]).add(1), 2));
    expect(numbers(made.mean)).toEqual([2]);
    expect(numbers(scope(() => made.logProb(2)))[0]).toBeCloseTo(-1.6121, 4);
    const loc = tensor([0.5]).requiresGrad_();
    expect(noGrad(() => new d.Normal(loc, 1).rsample()).requiresGrad).toBe(false);
    expect(new d.Normal(loc, 1).sample().requiresGrad).toBe(false);
  });

  test('a compiled step, which draws anew', () => {
    const x = tensor([0.1, 0.2]).keep();
    const compiled = compile(step);
    manualSeed(3);
    const eager = [1, 2, 3, 4, 5].map(() => numbers(step(x))[0]!);
    manualSeed(3);
    const replayed = [1, 2, 3, 4, 5].map(() => numbers(compiled(x))[0]!);
    replayed.forEach((value, i) => expect(value).toBeCloseTo(eager[i]!, 5));
    expect(new Set(replayed).size).toBe(5);
  });

  test('a compiled policy and a compiled gamma posterior learn', () => {
    const logits = tensor([0.1, 0.2, 0.3]).keep();
    const policy = compile((x: AnyTensor) => {
      const made = new d.Categorical({ logits: x });
      return made
        .logProb(made.sample([4]))
        .sum()
        .add(new d.Gamma(x.exp(), 1).rsample().sum());
    });
    const values = [1, 2, 3, 4].map(() => numbers(policy(logits))[0]!);
    expect(values.every(Number.isFinite)).toBe(true);
    expect(new Set(values).size).toBe(4);
  });
});

test('all outcomes', () => {
  const probs = f64([0.2, 0.3]);
  expect(new d.Bernoulli({ probs }).enumerateSupport().toArraySync()).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect(new d.Binomial(2, { probs }).enumerateSupport(false).toArraySync()).toEqual([[0], [1], [2]]);
  expect(new d.Categorical({ probs }).enumerateSupport().toArraySync()).toEqual([0, 1]);
  const rows = new d.OneHotCategorical({ probs: ones([4, 3]) });
  expect(rows.enumerateSupport().shape).toEqual([3, 4, 3]);
  expect(numbers(rows.logProb(rows.enumerateSupport()).exp().sum(0))).toEqual(Array(4).fill(expect.closeTo(1, 6)));
  expect(() => new d.Poisson(1).enumerateSupport()).toThrow('Poisson.enumerateSupport: there is no closed form');
  expect(() => new d.Binomial(ones([2]), { probs: 0.5 }).enumerateSupport()).toThrow(
    'Binomial.enumerateSupport: totalCount: got a Tensor, expected a number',
  );
});

test('a larger batch', () => {
  const rows = f64([
    [1, 2, 3],
    [3, 2, 1],
  ]);
  const nested = new d.Independent(new d.Normal(rows, 2), 1);
  const bases = [
    new d.HalfNormal(f64([1, 2])),
    new d.LogNormal(f64([1, 2]), 0.5),
    new d.Binomial(5, { probs: f64([0.2, 0.3]) }),
    new d.OneHotCategorical({ probs: rows }),
    new d.Dirichlet(rows),
    nested,
    new d.MixtureSameFamily(new d.Categorical({ probs: rows }), new d.Normal(rows, 1)),
    new d.TransformedDistribution(nested, [new d.StickBreakingTransform()]),
  ];
  for (const base of bases) {
    const larger = base.expand([4, 2]);
    expect(larger).toBeInstanceOf(base.constructor);
    const drawn = larger.sample([3]);
    expect(drawn.shape).toEqual([3, 4, 2, ...base.eventShape]);
    const [got, want] = [numbers(larger.logProb(drawn)), numbers(base.logProb(drawn))];
    expect([base.constructor.name, got]).toEqual([
      base.constructor.name,
      want.map((x) => expect.closeTo(x, 10) as number),
    ]);
  }
  expect(() => nested.expand([2, 1])).toThrow(
    'Independent.expand: got batch shape [2, 1], expected one that [2] broadcasts to',
  );
});

test('divergences of a user come first', () => {
  class Near extends d.Normal {}
  d.registerKl(Near, d.Normal, (p) => p.loc.mul(0).add(7));
  expect(numbers(d.klDivergence(new Near(0, 1), new d.Normal(0, 1)))).toEqual([7]);
  expect(numbers(d.klDivergence(new d.Normal(0, 1), new Near(0, 1)))).toEqual([0]);
  expect(() => d.registerKl(Near, d.Normal, 3 as never)).toThrow(
    'registerKl: divergence: got number 3, expected a function',
  );
});
