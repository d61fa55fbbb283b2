// Samplers: how often items come, and that seed and epoch decide the order.
import { data } from '../../lib/index';

const {
  BucketSampler,
  DataLoader,
  DistributedSampler,
  GroupSampler,
  Random,
  RandomSampler,
  SequentialSampler,
  StratifiedSampler,
  WeightedSampler,
} = data;
const upTo = (n: number): number[] => [...Array(n).keys()];
const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);
const counts = (numbers: Iterable<number>, n: number): number[] => {
  const found = new Array<number>(n).fill(0);
  for (const number of numbers) found[number]!++;
  return found;
};

test('a permutation has each number once, and all orders are equally likely', () => {
  const random = new Random(5);
  const orders = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = random.permutation(3).join('');
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  expect([...orders.keys()].sort()).toEqual(['012', '021', '102', '120', '201', '210']);
  // 1000 each; five deviations of 29 about it.
  for (const count of orders.values()) expect(Math.abs(count - 1000)).toBeLessThan(145);
  expect(random.permutation(0)).toEqual([]);
  expect(() => random.permutation(-1)).toThrow('Random: count: got -1');
});

test('random: every item once, or drawn with replacement, or more than there are', () => {
  const sampler = new RandomSampler(20, { seed: 3 });
  expect(sorted(sampler.indices(0))).toEqual(upTo(20));
  expect(sampler.indices(0)).toEqual(sampler.indices(0));
  expect(sampler.indices(0)).not.toEqual(sampler.indices(1));
  const drawn = counts(new RandomSampler(4, { replacement: true, count: 4000 }).indices(0), 4);
  // Chi squared with 3 degrees of freedom: above 21.1 once in 10,000 draws.
  expect(drawn.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0)).toBeLessThan(21.1);
  expect(counts(new RandomSampler(4, { count: 10 }).indices(2), 4).every((n) => n === 2 || n === 3)).toBe(true);
});

test('weighted: in proportion with replacement; without, the heavy ones first', () => {
  const drawn = counts(new WeightedSampler([1, 0, 3], 4000).indices(0), 3);
  expect(drawn[1]).toBe(0);
  expect(Math.abs(drawn[0]! - 1000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75));
  const once = new WeightedSampler([1, 0, 3], 2, { replacement: false });
  let heavyFirst = 0;
  for (let epoch = 0; epoch < 1000; epoch++) {
    const order = once.indices(epoch);
    expect(sorted(order)).toEqual([0, 2]);
    if (order[0] === 2) heavyFirst++;
  }
  expect(Math.abs(heavyFirst - 750)).toBeLessThan(4 * Math.sqrt(1000 * 0.25 * 0.75));
});

test('stratified: every batch has the classes in their proportions', () => {
  const labels = Array.from({ length: 100 }, (_, i) => (i < 70 ? 'a' : i < 90 ? 'b' : 'c'));
  const sampler = new StratifiedSampler(labels, { seed: 1 });
  expect(sorted(sampler.indices(0))).toEqual(upTo(100));
  expect(sampler.indices(0)).not.toEqual(sampler.indices(1));
  for (const batch of new GroupSampler(sampler, 20).batches(4)) {
    const found = ['a', 'b', 'c'].map((name) => batch.filter((i) => labels[i] === name).length);
    found.forEach((n, i) => expect(Math.abs(n - [14, 4, 2][i]!)).toBeLessThanOrEqual(1));
  }
});

test('distributed: parts of one order, as many for each', () => {
  const parts = (options: object): number[][] =>
    [0, 1, 2].map((rank) => [...new DistributedSampler(10, { world: 3, rank, seed: 2, ...options }).indices(1)]);
  const padded = parts({});
  expect(padded.map((part) => part.length)).toEqual([4, 4, 4]);
  expect(sorted(new Set(padded.flat()))).toEqual(upTo(10));
  const cut = parts({ dropLast: true });
  expect(cut.map((part) => part.length)).toEqual([3, 3, 3]);
  expect(new Set(cut.flat()).size).toBe(9);
  expect(parts({ shuffle: false })).toEqual([[0, 3, 6, 9], [1, 4, 7, 0], [2, 5, 8, 1]]); // prettier-ignore
});

test('a loader takes a sampler or whole batches', async () => {
  const set = { length: 6, get: (i: number) => i };
  const collate = (items: number[]): number[] => items;
  const batches: number[][] = [];
  const sampler = { length: 3, indices: (epoch: number) => [5, 4, epoch] };
  const loader = new DataLoader(set, { batchSize: 2, sampler, collate });
  for (let epoch = 0; epoch < 2; epoch++) for await (const batch of loader) batches.push(batch);
  expect(batches).toEqual([[5, 4], [0], [5, 4], [1]]);
  const byBatch = new DataLoader(set, {
    batchSampler: new GroupSampler(new SequentialSampler(5), 2, { dropLast: true }),
    collate,
  });
  expect(byBatch.length).toBe(2);
  const found: number[][] = [];
  for await (const batch of byBatch) found.push(batch);
  expect(found).toEqual([[0, 1], [2, 3]]); // prettier-ignore
});

test.each<[() => unknown, string]>([
  [() => new WeightedSampler([1, -1]), 'WeightedSampler: weights[1]: got -1, expected a number of at least 0'],
  [() => new WeightedSampler([0, 0]), 'WeightedSampler: weights: got 0 above 0, expected at least 1'],
  [
    () => new WeightedSampler([1, 0], 2, { replacement: false }),
    'WeightedSampler: weights: got 1 above 0, expected at least 2',
  ],
  [() => new DistributedSampler(4, { world: 2, rank: 2 }), 'DistributedSampler: rank: got 2, expected 0 to 1'],
  [() => new RandomSampler(0, { count: 1 }), 'RandomSampler: count: got 1, expected 0 of no items'],
  [
    () => new GroupSampler(new SequentialSampler(2), 0),
    'GroupSampler: batchSize: got 0, expected an integer of at least 1',
  ],
  [
    () => new DataLoader({ iterate: () => [1] }, { shuffle: true }),
    'DataLoader: shuffle: got one, expected none for a data set that is only iterated',
  ],
])('%#: refuses: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});

test('buckets: every item once, batches of similar length in an order that seed and epoch decide', () => {
  const random = new data.Random(1);
  const lengths = Array.from({ length: 1003 }, () => 1 + random.integer(60));
  const sampler = new BucketSampler(lengths, 10, { seed: 2 });
  const batches = [...sampler.batches(0)];
  expect(batches).toHaveLength(sampler.length);
  expect(sorted(batches.flat())).toEqual(upTo(1003));
  expect([...sampler.batches(0)]).toEqual(batches);
  expect([...sampler.batches(1)]).not.toEqual(batches);
  const padding = (all: Iterable<readonly number[]>): number =>
    [...all].reduce((sum, batch) => {
      const longest = Math.max(...batch.map((i) => lengths[i]!));
      return sum + batch.reduce((of, i) => of + longest - lengths[i]!, 0);
    }, 0);
  const plain = padding(new GroupSampler(new RandomSampler(1003), 10).batches(0));
  expect(padding(batches)).toBeLessThan(plain / 10);
  const means = batches.map((batch) => batch.reduce((sum, i) => sum + lengths[i]!, 0) / batch.length);
  expect(means.slice(1).filter((mean, i) => mean < means[i]!).length).toBeGreaterThan(30);
});

test('buckets refuse what is no length', () => {
  expect(() => new BucketSampler([1, NaN], 2)).toThrow('BucketSampler: lengths[1]: got NaN, expected a finite number');
  expect(() => new BucketSampler(3 as never, 2)).toThrow('BucketSampler: lengths: got number 3, expected an array');
});
