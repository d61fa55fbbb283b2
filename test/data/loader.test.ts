// Data sets and loaders: which items come in which order, how they are joined, and when they are fetched.
import { data, ones, tensor, type AnyTensor } from '../../lib/index';

const { collate, ConcatDataset, DataLoader, MapDataset, randomSplit, Subset, TensorDataset } = data;

/** Counts from 0 and notes what is asked for. */
class Numbers implements data.Dataset<number> {
  readonly asked: number[] = [];
  constructor(readonly length: number) {}
  async get(index: number): Promise<number> {
    this.asked.push(index);
    await new Promise(setImmediate);
    return index;
  }
}

async function batchesOf<B>(loader: AsyncIterable<B>): Promise<B[]> {
  const batches: B[] = [];
  for await (const batch of loader) batches.push(batch);
  return batches;
}
const asIs = (items: number[]): number[] => items;

describe('batches', () => {
  test('come in order, the last one short', async () => {
    const loader = new DataLoader(new Numbers(5), { batchSize: 2, collate: asIs });
    expect(loader.length).toBe(3);
    expect(await batchesOf(loader)).toEqual([[0, 1], [2, 3], [4]]);
  });

  test('with dropLast all are full', async () => {
    const loader = new DataLoader(new Numbers(5), { batchSize: 2, dropLast: true, collate: asIs });
    expect(loader.length).toBe(2);
    expect(await batchesOf(loader)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  test('of an empty data set there are none', async () => {
    expect(await batchesOf(new DataLoader(new Numbers(0), { batchSize: 2 }))).toEqual([]);
  });

  test('are joined by collate unless told otherwise', async () => {
    const [batch] = await batchesOf<unknown>(new DataLoader(new Numbers(3), { batchSize: 3 }));
    expect([(batch as AnyTensor).dtype, (batch as AnyTensor).toArraySync()]).toEqual(['int32', [0, 1, 2]]);
  });
});

describe('shuffling', () => {
  const orders = async (seed: number, epochs: number): Promise<number[][]> => {
    const loader = new DataLoader(new Numbers(50), { batchSize: 50, shuffle: true, seed, collate: asIs });
    const found: number[][] = [];
    for (let i = 0; i < epochs; i++) found.push(...(await batchesOf(loader)));
    return found;
  };

  test('gives every item once, in an order that seed and epoch decide', async () => {
    const [first, second, third] = await Promise.all([orders(1, 2), orders(1, 2), orders(2, 2)]);
    expect(first).toEqual(second);
    expect(first[0]).not.toEqual(first[1]);
    expect(first[0]).not.toEqual(third[0]);
    for (const order of [...first, ...third]) {
      expect([...order].sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
      expect(order).not.toEqual([...Array(50).keys()]);
    }
  });

  test('resumes at an epoch', async () => {
    const all = await orders(7, 3);
    const loader = new DataLoader(new Numbers(50), { batchSize: 50, shuffle: true, seed: 7, collate: asIs });
    loader.epoch = 2;
    expect(await batchesOf(loader)).toEqual([all[2]]);
    expect(loader.epoch).toBe(3);
  });

  test('every item comes first about equally often', async () => {
    const counts = new Array<number>(5).fill(0);
    const loader = new DataLoader(new Numbers(5), { batchSize: 5, shuffle: true, seed: 3, collate: asIs });
    for (let i = 0; i < 500; i++) for await (const [first] of loader) counts[first!]!++;
    // Chi squared with 4 degrees of freedom: above 23.5 once in 10,000 draws.
    expect(counts.reduce((sum, n) => sum + (n - 100) ** 2 / 100, 0)).toBeLessThan(23.5);
  });
});

describe('prefetching', () => {
  test.each([0, 1, 3])('makes %i batches ahead', async (prefetch) => {
    const set = new Numbers(20);
    const iterator = new DataLoader(set, { batchSize: 2, prefetch, collate: asIs })[Symbol.asyncIterator]();
    expect(set.asked).toEqual([]);
    await iterator.next();
    expect(set.asked).toHaveLength(2 * (1 + prefetch));
    await iterator.next();
    expect(set.asked).toHaveLength(2 * (2 + prefetch));
    await iterator.return();
    expect(set.asked).toHaveLength(2 * (2 + prefetch));
  });

  test('an item that fails ends the iteration with its error, at its place', async () => {
    const set = { length: 6, get: (i: number) => (i === 3 ? Promise.reject(new Error('item 3')) : i) };
    const seen: number[][] = [];
    const run = async (): Promise<void> => {
      for await (const batch of new DataLoader<number, number[]>(set, { batchSize: 2, prefetch: 5, collate: asIs })) {
        seen.push(batch);
      }
    };
    await expect(run()).rejects.toThrow(new Error('item 3'));
    expect(seen).toEqual([[0, 1]]);
  });
});

describe('aborting', () => {
  test('ends the iteration between batches, with the reason', async () => {
    const controller = new AbortController();
    const seen: number[][] = [];
    const run = async (): Promise<void> => {
      const loader = new DataLoader(new Numbers(6), { batchSize: 2, collate: asIs, signal: controller.signal });
      for await (const batch of loader) {
        seen.push(batch);
        if (seen.length === 2) controller.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow(new Error('enough'));
    expect(seen).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  test('does not wait for an item that never comes', async () => {
    const set = { length: 1, get: () => new Promise<number>(() => undefined) };
    const controller = new AbortController();
    const next = new DataLoader(set, { signal: controller.signal })[Symbol.asyncIterator]().next();
    setImmediate(() => controller.abort(new Error('no more')));
    await expect(next).rejects.toThrow(new Error('no more'));
  });
});

describe('TensorDataset', () => {
  const set = new TensorDataset(
    tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ]),
    tensor([7, 8, 9], { dtype: 'int32' }),
  );

  test('gives rows, one by one and gathered', async () => {
    expect(set.length).toBe(3);
    expect(set.get(1).map((x) => x.toArraySync())).toEqual([[3, 4], 8]);
    const batches = await batchesOf(new DataLoader(set, { batchSize: 2 }));
    expect(batches.map((batch) => batch.map((x) => [x.dtype, x.toArraySync()]))).toEqual([
      [
        [
          'float32',
          [
            [1, 2],
            [3, 4],
          ],
        ],
        ['int32', [7, 8]],
      ],
      [
        ['float32', [[5, 6]]],
        ['int32', [9]],
      ],
    ]);
  });

  test('as a subset, of which there is a subset', async () => {
    const part = new Subset(new Subset(set, [2, 0]), [0]);
    expect(part.length).toBe(1);
    expect((await part.get(0)).map((x) => x.toArraySync())).toEqual([[5, 6], 9]);
    const [batch] = await batchesOf(new DataLoader(part));
    expect(batch!.map((x) => x.toArraySync())).toEqual([[[5, 6]], [9]]);
  });
});

test('a subset of items one by one', async () => {
  const loader = new DataLoader(new Subset(new Numbers(10), [9, 3, 3]), { batchSize: 2, collate: asIs });
  expect(await batchesOf(loader)).toEqual([[9, 3], [3]]);
});

describe('collate', () => {
  const describeTensor = (x: unknown): unknown => [(x as AnyTensor).dtype, (x as AnyTensor).toArraySync()];

  test.each<[string, unknown[], unknown]>([
    ['whole numbers', [1, 2], ['int32', [1, 2]]],
    ['numbers', [1, 2.5], ['float32', [1, 2.5]]],
    ['booleans', [true, false], ['bool', [1, 0]]],
    [
      'typed arrays',
      [Float64Array.of(1, 2), Float64Array.of(3, 4)],
      [
        'float64',
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ],
    [
      'tensors',
      [ones([2]), tensor([3, 4])],
      [
        'float32',
        [
          [1, 1],
          [3, 4],
        ],
      ],
    ],
  ])('%s', (_, items, expected) => {
    expect(describeTensor(collate(items))).toEqual(expected);
  });

  test('arrays and records by their entries, anything else to an array', () => {
    const pairs = collate([
      [1, 'a'],
      [2, 'b'],
    ]) as unknown[];
    expect([describeTensor(pairs[0]), pairs[1]]).toEqual([
      ['int32', [1, 2]],
      ['a', 'b'],
    ]);
    const records = collate([
      { x: 0.5, name: 'a' },
      { x: 1.5, name: 'b' },
    ]) as Record<string, unknown>;
    expect([describeTensor(records['x']), records['name']]).toEqual([
      ['float32', [0.5, 1.5]],
      ['a', 'b'],
    ]);
  });
});

test.each<[() => unknown, string]>([
  [
    () => new DataLoader(new Numbers(1), { batchSize: 0 }),
    'DataLoader: batchSize: got 0, expected an integer of at least 1',
  ],
  [
    () => new DataLoader(new Numbers(1), { prefetch: -1 }),
    'DataLoader: prefetch: got -1, expected an integer of at least 0',
  ],
  [() => new TensorDataset(), 'TensorDataset: tensors: got none with an axis, expected at least one'],
  [
    () => new TensorDataset(ones([2, 3]), ones([3])),
    'TensorDataset: tensors[1]: got 3 rows, expected 2 as in tensors[0]',
  ],
  [
    () => new DataLoader([1, 2] as never),
    'DataLoader: dataset: got an array, expected a data set with length and get, such as new ListDataset(items)',
  ],
  [() => new TensorDataset([1, 2] as never), 'TensorDataset: tensors[0]: got an array, expected a tensor'],
  [() => new TensorDataset(ones([2, 3])).getBatch([0, NaN]), 'tensor: int64 cannot hold a value: got NaN'],
  [() => new MapDataset(new Numbers(3), 3 as never), 'MapDataset: change: got number 3, expected a function'],
  [
    () => new ConcatDataset([new Numbers(3), null as never]),
    'ConcatDataset: datasets[1]: got null, expected a data set with length and get',
  ],
  [() => randomSplit(new Numbers(3), 2 as never), 'randomSplit: lengths: got number 2, expected an array'],
  [() => new Subset(new Numbers(3), [0, 3]), 'Subset: indices[1]: got 3, expected an item of 3'],
])('%#: refuses: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});
