// Random numbers: repeatable, independent of the number of threads, of the right distribution, and what is refused.
import * as hadal from '../../lib/index';
import {
  alphaDropout,
  bernoulli,
  dropout,
  dropout1d,
  dropout2d,
  exponential,
  getRandomState,
  manualSeed,
  multinomial,
  normal,
  ones,
  rand,
  randint,
  randn,
  randperm,
  setNumThreads,
  setRandomState,
  tensor,
  uniform,
  zeros,
  type AnyTensor,
  type DType,
} from '../../lib/index';

const values = (x: AnyTensor): number[] => (x.cast('float64').flatten() as AnyTensor).toArraySync() as number[];
const mean = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
const deviation = (numbers: readonly number[]): number => {
  const center = mean(numbers);
  return Math.sqrt(mean(numbers.map((x) => (x - center) ** 2)));
};

beforeEach(() => manualSeed(42));

const sources: Record<string, () => AnyTensor> = {
  rand: () => rand([1001]),
  'rand of float64': () => rand([1001], { dtype: 'float64' }),
  'rand of float16': () => rand([1001], { dtype: 'float16' }),
  randn: () => randn([1001]),
  'randn of float64': () => randn([1001], { dtype: 'float64' }),
  exponential: () => exponential([1001]),
  randint: () => randint(-5, 10, [1001]),
  randperm: () => randperm(1001),
  bernoulli: () => bernoulli(0.3, [1001]),
  poisson: () => hadal.poisson(hadal.full([1001], 9)),
  binomial: () => hadal.binomial(30, hadal.full([1001], 0.4)),
  standardGamma: () => hadal.standardGamma(hadal.full([1001], 0.4)),
  multinomial: () => multinomial(tensor([1, 2, 3]), 100, { replacement: true }),
  dropout: () => dropout(ones([1001]), 0.5),
  uniform_: () => zeros([1001]).uniform_(-1, 1),
  normal_: () => zeros([1001]).normal_(1, 2),
};

describe.each(Object.entries(sources))('%s', (_, make) => {
  test('the same seed gives the same numbers, and the stream goes on', () => {
    const [first, second] = [values(make()), values(make())];
    manualSeed(42);
    expect([values(make()), values(make())]).toEqual([first, second]);
    expect(second).not.toEqual(first);
    manualSeed(43);
    expect(values(make())).not.toEqual(first);
  });

  test('a saved state continues', () => {
    make();
    const state = JSON.parse(JSON.stringify(getRandomState())) as hadal.RandomState;
    const next = values(make());
    setRandomState(state);
    expect(values(make())).toEqual(next);
  });
});

test('any number of threads draws the same numbers', () => {
  const threads = hadal.getNumThreads();
  const drawn = [1, 2, 3].map((count) => {
    setNumThreads(count);
    manualSeed(7);
    const gammas = hadal.standardGamma(hadal.full([50_000], 0.4));
    return [values(randn([200_000])), values(dropout(ones([200_000]), 0.5)), values(randperm(50_000)), values(gammas)];
  });
  setNumThreads(threads);
  expect(drawn[1]).toEqual(drawn[0]);
  expect(drawn[2]).toEqual(drawn[0]);
});

describe('distributions', () => {
  const count = 100_000;
  // Five standard errors of the mean, and about that of the deviation.
  const near = (x: AnyTensor, center: number, spread: number): void => {
    const numbers = values(x);
    expect(Math.abs(mean(numbers) - center)).toBeLessThan((5 * spread) / Math.sqrt(count));
    expect(Math.abs(deviation(numbers) / spread - 1)).toBeLessThan(0.02);
  };

  test.each<DType>(['float64', 'float32', 'float16', 'bfloat16'])('uniform and normal in %s', (dtype) => {
    const x = uniform(-1, 3, [count], { dtype });
    // bfloat16 has 8 bits: steps of 1/64 below, whose mean lies half a step lower.
    const step = dtype === 'bfloat16' ? 2 / 256 : 0;
    near(x.add(step), 1, 4 / Math.sqrt(12));
    const numbers = values(x);
    expect(Math.min(...numbers.slice(0, 50_000))).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...numbers.slice(0, 50_000))).toBeLessThan(3);
    near(normal(2, 0.5, [count], { dtype }), 2, 0.5);
  });

  test('the others', () => {
    near(exponential([count], { rate: 2 }), 0.5, 0.5);
    near(bernoulli(0.25, [count]), 0.25, Math.sqrt(0.25 * 0.75));
    near(bernoulli(hadal.full([count], 0.25)), 0.25, Math.sqrt(0.25 * 0.75));
    near(randint(0, 10, [count]), 4.5, Math.sqrt(99 / 12));
    near(normal(tensor([3]), zeros([count]).add(2)), 3, 2);
    near(dropout(ones([count]), 0.2), 1, 0.5);
  });

  test.each([0.7, 5, 40.5, 3000, 1e7, 1e13])('poisson of rate %p', (rate) => {
    const numbers = hadal.poisson(hadal.full([count], rate, { dtype: 'float64' }));
    near(numbers, rate, Math.sqrt(rate));
    expect(values(numbers).every((x) => x >= 0 && Number.isInteger(x))).toBe(true);
  });
  test.each([
    [1, 0.3],
    [20, 0.25],
    [1000, 0.999],
    [1e6, 0.4],
    [1e14, 0.5],
  ])('binomial of %p trials at %p', (trials, probability) => {
    const numbers = hadal.binomial(trials, hadal.full([count], probability, { dtype: 'float64' }));
    near(numbers, trials * probability, Math.sqrt(trials * probability * (1 - probability)));
    expect(values(numbers).every((x) => x >= 0 && x <= trials && Number.isInteger(x))).toBe(true);
  });
  test('poisson and binomial draw each number as often as they should', () => {
    const share = (x: AnyTensor, k: number): number =>
      values(x.equalTo(k).cast('float32')).filter(Boolean).length / count;
    const counts = hadal.poisson(hadal.full([count], 2.5));
    [0, 1, 2, 3, 6].forEach((k) => {
      const factorial = Array.from({ length: k }, (_, i) => i + 1).reduce((a, b) => a * b, 1);
      expect(share(counts, k)).toBeCloseTo((Math.exp(-2.5) * 2.5 ** k) / factorial, 2);
    });
    const hits = hadal.binomial(4, hadal.full([count], 0.25));
    [0.3164, 0.4219, 0.2109, 0.0469, 0.0039].forEach((expected, k) => expect(share(hits, k)).toBeCloseTo(expected, 2));
    // In the dtype of the parameters, NaN outside of what they can be.
    expect(hadal.poisson(tensor([3], { dtype: 'float16' })).dtype).toBe('float16');
    expect(values(hadal.poisson(tensor([0, 0])))).toEqual([0, 0]);
    expect(values(hadal.binomial(7, tensor([0, 1])))).toEqual([0, 7]);
    expect(values(hadal.binomial(tensor([0]), 0.5))).toEqual([0]);
    expect(values(hadal.poisson(tensor([-1, NaN])))).toEqual([NaN, NaN]);
    expect(values(hadal.binomial(tensor([3, -1]), tensor([1.5, 0.5])))).toEqual([NaN, NaN]);
    expect(() => hadal.poisson(tensor([1], { dtype: 'int32' }))).toThrow(
      'poisson: dtype: got int32, expected float64, float32, float16, bfloat16',
    );
  });

  test.each([0.01, 0.3, 1, 2.5, 1000, 1e9])('gamma numbers of concentration %p', (concentration) => {
    const numbers = hadal.standardGamma(hadal.full([count], concentration, { dtype: 'float64' }));
    const spread = Math.sqrt(concentration);
    expect(Math.abs(mean(values(numbers)) - concentration)).toBeLessThan((5 * spread) / Math.sqrt(count));
    // The deviation of heavy tails comes slowly.
    const error = Math.sqrt((2 + 6 / concentration) / count) / 2;
    expect(Math.abs(deviation(values(numbers)) / spread - 1)).toBeLessThan(5 * error);
  });
  test('gamma numbers of no concentration', () => {
    expect(values(hadal.standardGamma(tensor([0, -1, NaN, Infinity])))).toEqual([0, NaN, NaN, NaN]);
    expect(hadal.standardGamma(tensor([3], { dtype: 'bfloat16' })).dtype).toBe('bfloat16');
    expect(() => hadal.standardGamma(tensor([1], { dtype: 'int32' }))).toThrow(
      'standardGamma: dtype: got int32, expected float64, float32, float16, bfloat16',
    );
  });

  test('normal numbers lie in the tails as often as they should', () => {
    const numbers = values(randn([count]));
    const beyond = (bound: number): number => numbers.filter((x) => Math.abs(x) > bound).length / count;
    expect(beyond(1)).toBeCloseTo(0.3173, 2);
    expect(beyond(2)).toBeCloseTo(0.0455, 2);
    expect(beyond(3)).toBeCloseTo(0.0027, 3);
  });

  test('neighbours are independent', () => {
    const numbers = values(randn([count]));
    const products = numbers.slice(1).map((x, i) => x * numbers[i]!);
    expect(Math.abs(mean(products))).toBeLessThan(5 / Math.sqrt(count));
  });

  test('randint draws every value, randperm each once', () => {
    expect([...new Set(values(randint(-2, 3, [1000])))].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
    expect(values(randint(0, 2 ** 40, [100])).some((x) => x > 2 ** 32)).toBe(true);
    const order = values(randperm(1000, { dtype: 'int32' }));
    expect([...order].sort((a, b) => a - b)).toEqual(order.map((_, i) => i));
    expect(order).not.toEqual(order.map((_, i) => i));
    expect(values(randperm(0))).toEqual([]);
  });

  // The keys are what randint makes of the same words, up to 12 bits; up to 4096 are sorted in one part.
  test.each([2, 1000, 4097, 300_000])('randperm of %d puts random keys in order', (n) => {
    manualSeed(11);
    const keys = randint(0, 2 ** 52, [n], { dtype: 'int64' });
    manualSeed(11);
    expect(values(randperm(n))).toEqual(values(keys.argsort()));
  });

  test('like another tensor: its shape and dtype, where not given', () => {
    const x = zeros([3, 40], { dtype: 'float64' });
    for (const y of [hadal.randLike(x), hadal.randnLike(x), hadal.randintLike(x, 0, 100)]) {
      expect([y.shape, y.dtype, new Set(values(y)).size > 20]).toEqual([[3, 40], 'float64', true]);
    }
    expect(hadal.randLike(x, { dtype: 'float16' }).dtype).toBe('float16');
  });

  test('multinomial draws in proportion, and nothing twice without replacement', () => {
    const weights = tensor([
      [1, 0, 3],
      [0, 5, 0],
    ]);
    const drawn = multinomial(weights, 20_000, { replacement: true });
    const [first, second] = drawn.toArraySync() as number[][];
    expect(mean(first!.map((i) => (i === 2 ? 1 : 0)))).toBeCloseTo(0.75, 1);
    expect(first!.includes(1)).toBe(false);
    expect(new Set(second)).toEqual(new Set([1]));
    expect(multinomial(weights.cast('float16'), 5, { replacement: true }).shape).toEqual([2, 5]);
    const once = multinomial(tensor([1, 2, 3, 4]), 4).toArraySync() as number[];
    expect([...once].sort()).toEqual([0, 1, 2, 3]);
    const firsts = multinomial(tensor([1, 0, 3]).expand([20_000, 3]), 1)
      .flatten()
      .toArraySync() as number[];
    expect(mean(firsts.map((i) => (i === 2 ? 1 : 0)))).toBeCloseTo(0.75, 1);
  });
});

describe('dropout', () => {
  test('drops or scales, and the gradient takes the same elements', () => {
    const x = ones([1000], { requiresGrad: true });
    const y = dropout(x, 0.25);
    const kept = values(y);
    expect(new Set(kept.map((v) => Math.fround(v)))).toEqual(new Set([0, Math.fround(4 / 3)]));
    hadal.backward(y.sum());
    expect(values(x.grad!)).toEqual(kept);
  });

  test('does nothing outside training and at 0, everything at 1', () => {
    const x = tensor([1, 2]);
    expect(values(dropout(x, 0.9, { training: false }))).toEqual([1, 2]);
    expect(values(dropout(x, 0))).toEqual([1, 2]);
    expect(values(dropout(x, 1))).toEqual([0, 0]);
  });

  test('channels fall together', () => {
    for (const y of [
      dropout1d(ones([50, 4, 3]), 0.5),
      dropout2d(ones([50, 4, 3, 2]), 0.5),
      dropout2d(ones([40, 3, 2]), 0.5),
    ]) {
      const channels = y.flatten(-y.rank + (y.rank === 3 && y.shape[0] === 40 ? 1 : 2)).toArraySync() as
        number[][] | number[][][];
      const rows = (Array.isArray(channels[0]![0]) ? (channels as number[][][]).flat() : channels) as number[][];
      expect(rows.every((row) => new Set(row).size === 1)).toBe(true);
      expect(new Set(rows.map((row) => row[0]))).toEqual(new Set([0, 2]));
    }
  });

  test('alphaDropout keeps mean and deviation', () => {
    const y = values(alphaDropout(randn([100_000]), 0.3));
    expect(Math.abs(mean(y))).toBeLessThan(0.02);
    expect(Math.abs(deviation(y) - 1)).toBeLessThan(0.02);
  });
});

test.each<[string, () => unknown, string]>([
  ['a negative seed', () => manualSeed(-1), 'manualSeed: seed: got -1, expected a whole number in [0, 2^64)'],
  ['a fraction as a seed', () => manualSeed(0.5), 'manualSeed: seed: got 0.5, expected a whole number in [0, 2^64)'],
  [
    'a seed of 2^64',
    () => manualSeed(1n << 64n),
    'manualSeed: seed: got 18446744073709551616, expected a whole number in [0, 2^64)',
  ],
  [
    'a state that is none',
    () => setRandomState({} as never),
    'setRandomState: state: got {}, expected one from getRandomState: { seed: [low, high], offset }',
  ],
  ['an empty range', () => randint(3, 3, [1]), 'randint: range: got 3 and 3, expected integers with low < high'],
  [
    'integers for uniform',
    () => rand([1], { dtype: 'int32' }),
    'rand: dtype: got int32, expected float64, float32, float16, bfloat16',
  ],
  [
    'a negative deviation',
    () => normal(0, -1, [1]),
    'normal: deviation: got number -1, expected a finite number of at least 0',
  ],
  [
    'an impossible probability',
    () => bernoulli(1.5, [1]),
    'bernoulli: probability: got number 1.5, expected a number in [0, 1]',
  ],
  [
    'NaN as a probability',
    () => dropout(ones([1]), NaN),
    'dropout: probability: got number NaN, expected a number in [0, 1]',
  ],
  [
    'too many draws',
    () => multinomial(tensor([1, 2]), 3),
    'multinomial: too few columns: got 2, expected at least 3 for 3 draws',
  ],
  ['a matrix for dropout2d', () => dropout2d(ones([2, 2])), 'dropout2d: got shape [2, 2], expected 3 or 4 axes'],
])('refuses %s', (_, call, message) => {
  expect(call).toThrow(message);
});
