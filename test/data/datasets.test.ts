// Data sets made of others, iterables, padded batches, and batches of graphs.
import { allCloseSync, data, nn, ones, segmentSum, stack, tensor, type AnyTensor } from '../../lib/index';

const { ConcatDataset, DataLoader, ListDataset, MapDataset, padCollate, graphCollate, randomSplit, collate } = data;
const upTo = (length: number, from = 0): data.Dataset<number> => ({ length, get: (i) => from + i });
const asIs = (items: number[]): number[] => items;
async function batchesOf<B>(loader: AsyncIterable<B>): Promise<B[]> {
  const batches: B[] = [];
  for await (const batch of loader) batches.push(batch);
  return batches;
}

test('of a list', async () => {
  const items = ['a', 'b', 'c'].map((text, label) => ({ text, label }));
  const loader = new DataLoader(new ListDataset(items), { batchSize: 2 });
  const batches = await batchesOf(loader);
  expect(batches.map(({ text }) => text)).toEqual([['a', 'b'], ['c']]);
  expect(batches.map(({ label }) => label.toArraySync())).toEqual([[0, 1], [2]]);
  expect(() => new DataLoader(items as never)).toThrow(
    'expected a data set with length and get, such as new ListDataset(items)',
  );
});

test('one behind the other', async () => {
  const set = new ConcatDataset([upTo(2), upTo(0), upTo(3, 10)]);
  expect(await batchesOf(new DataLoader(set, { batchSize: 5, collate: asIs }))).toEqual([[0, 1, 10, 11, 12]]);
  expect(() => set.get(5)).toThrow('ConcatDataset: index: got 5, expected an item of 5');
});

test('changed items draw from numbers of their own, which the epoch changes', async () => {
  const set = new MapDataset(upTo(6), (item, random, index) => [item, index, random.bits()]);
  const run = async (epoch: number, batchSize: number): Promise<unknown[]> => {
    const loader = new DataLoader<number[], number[][]>(set, { batchSize, seed: 4, collate: (items) => items });
    loader.epoch = epoch;
    return (await batchesOf(loader)).flat();
  };
  const first = await run(0, 2);
  expect(first.map((item) => (item as number[]).slice(0, 2))).toEqual([0, 1, 2, 3, 4, 5].map((i) => [i, i]));
  expect(await run(0, 5)).toEqual(first);
  expect(await run(1, 2)).not.toEqual(first);
});

test('random parts: by share, by count, all of it', () => {
  const set = upTo(10);
  expect(randomSplit(set, [0.85, 0.15]).map(({ length }) => length)).toEqual([9, 1]);
  const parts = randomSplit(set, [3, 7], { seed: 2 });
  expect(parts.flatMap(({ indices }) => indices).sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
  expect(randomSplit(set, [3, 7], { seed: 2 })[0]!.indices).toEqual(parts[0]!.indices);
  expect(() => randomSplit(set, [3, 3])).toThrow(
    'randomSplit: lengths: got [3, 3], expected counts of 10 items or fractions of 1',
  );
});

describe('iterables', () => {
  const set: data.IterableDataset<number> = {
    async *iterate() {
      for (let i = 0; i < 5; i++) {
        await Promise.resolve();
        yield i;
      }
    },
  };
  test('in batches, and from a place in the middle', async () => {
    const loader = new DataLoader(set, { batchSize: 2, collate: asIs });
    expect(loader.length).toBeNaN();
    expect(await batchesOf(loader)).toEqual([[0, 1], [2, 3], [4]]);
    loader.restore({ epoch: 7, batch: 1 });
    expect(await batchesOf(loader)).toEqual([[2, 3], [4]]);
    expect(loader.state()).toEqual({ epoch: 8, batch: 0 });
    const full = new DataLoader(set, { batchSize: 2, dropLast: true, collate: asIs });
    expect(await batchesOf(full)).toEqual([[0, 1], [2, 3]]); // prettier-ignore
  });

  test('are ended when the loop is left', async () => {
    let ended = false;
    const watched: data.IterableDataset<number> = {
      *iterate() {
        try {
          for (let i = 0; ; i++) yield i;
        } finally {
          ended = true;
        }
      },
    };
    for await (const _ of new DataLoader(watched, { batchSize: 2 })) break;
    await new Promise(setImmediate);
    expect(ended).toBe(true);
  });
});

describe('padded batches', () => {
  test('of sequences, with their lengths', () => {
    const batch = padCollate({ value: -1 })([
      { ids: Int32Array.of(1, 2, 3), length: 3 },
      { ids: Int32Array.of(4), length: 1 },
    ]) as Record<string, AnyTensor>;
    expect(batch['ids']!.toArraySync()).toEqual([[1, 2, 3], [4, -1, -1]]); // prettier-ignore
    expect(batch['length']!.toArraySync()).toEqual([3, 1]);
  });
  test('of arrays and tensors of two axes', () => {
    const expected = [
      [
        [1, 2, 0, 0],
        [3, 4, 0, 0],
      ],
      [
        [5, 6, 7, 0],
        [0, 0, 0, 0],
      ],
    ];
    const join = padCollate({ multipleOf: 2 });
    const items = [
      { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
      { dtype: 'float32', shape: [1, 3], data: Float32Array.of(5, 6, 7) },
    ];
    expect((join(items) as AnyTensor).toArraySync()).toEqual(expected);
    expect(
      (join(items.map(({ shape, data: values }) => tensor(values, { shape }))) as AnyTensor).toArraySync(),
    ).toEqual(expected);
  });
  test('of int64, and of nothing', () => {
    const join = padCollate({ value: 9 });
    expect((join([BigInt64Array.of(1n), BigInt64Array.of()]) as AnyTensor).toArraySync()).toEqual([[1], [9]]);
    expect((join([Float32Array.of(), Float32Array.of()]) as AnyTensor).shape).toEqual([2, 0]);
  });
});

describe('batches of graphs', () => {
  const edges = (...ends: number[]): data.ArrayItem<'int32'> => ({
    dtype: 'int32',
    shape: [2, ends.length / 2],
    data: Int32Array.from(ends),
  });
  const pair = { nodes: Float32Array.of(1, 2), edges: edges(0, 1, 1, 0), bonds: Int32Array.of(7, 8), name: 'pair' };
  const alone = { nodes: Float32Array.of(3), edges: edges(), bonds: Int32Array.of(), name: 'alone' };
  const chain = {
    nodes: Float32Array.of(4, 5, 6),
    edges: edges(0, 1, 1, 2),
    bonds: Int32Array.of(9, 10),
    name: 'chain',
  };

  test('are one graph of parts without edges between them', () => {
    const { nodes, edges: all, bonds, name, graphs, count } = graphCollate({ concatenate: ['bonds'] })([pair, alone, chain]); // prettier-ignore
    expect(nodes.toArraySync()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(all.toArraySync()).toEqual([[0, 1, 3, 4], [1, 0, 4, 5]]); // prettier-ignore
    expect(bonds.toArraySync()).toEqual([7, 8, 9, 10]);
    expect(name).toEqual(['pair', 'alone', 'chain']);
    expect(graphs.toArraySync()).toEqual([0, 0, 1, 2, 2, 2]);
    expect(count).toBe(3);
  });
  test('of tensors with features, and a single number for each', () => {
    const items = [1, 2].map((n) => ({ nodes: ones([n, 3]) as AnyTensor, edges: edges(), y: n }));
    const { nodes, edges: none, y } = graphCollate()(items);
    expect([nodes.shape, none.shape]).toEqual([[3, 3], [2, 0]]); // prettier-ignore
    expect(y.toArraySync()).toEqual([1, 2]);
  });
  test('a layer treats them as it does each alone', () => {
    const conv = new nn.GCNConv(1, 2);
    const { nodes, edges: all, graphs, count } = graphCollate()([pair, chain]);
    const together = segmentSum(conv.forward(nodes.unsqueeze(1), all), graphs, count);
    const each = [pair, chain].map((graph) =>
      conv.forward(tensor(graph.nodes).unsqueeze(1), tensor(graph.edges)).sum(0),
    );
    expect(allCloseSync(together, stack(each))).toBe(true);
  });
  test.each<[unknown, string]>([
    [{ ...pair, nodes: null }, 'graphCollate: nodes of item 1: got null, expected an array or a tensor'],
    [{ ...pair, nodes: tensor(1) }, 'graphCollate: nodes of item 1: got shape [], expected [n, …]'],
    [{ ...pair, edges: edges(0, 2) }, 'graphCollate: edges of item 1: got node 2, expected one of 2'],
    [{ ...pair, edges: edges(0, -1) }, 'graphCollate: edges of item 1: got node -1, expected one of 2'],
    [
      { ...pair, edges: [[0], [1]] },
      "graphCollate: edges of item 1: got an array, expected { dtype: 'int32', shape: [2, e], data }",
    ],
    [
      { ...pair, edges: { ...edges(0, 1), dtype: 'float32' } },
      'graphCollate: edges of item 1: got float32, expected int32',
    ],
    [
      { ...pair, edges: { ...edges(0, 1), shape: [1, 2] } },
      'graphCollate: edges of item 1: got shape [1, 2], expected [2, e]',
    ],
    [
      { ...pair, edges: { ...edges(0, 1), shape: [2, 4] } },
      'graphCollate: edges of item 1: got 2 elements, expected those of shape [2, 4]',
    ],
  ])('%#: refuse', (item, message) => {
    expect(() => graphCollate()([pair, item as never])).toThrow(new Error(message));
  });
});

test.each<[() => unknown, string]>([
  [
    () => collate([Float32Array.of(1), Float32Array.of(1, 2)]),
    'collate: item 1 of the batch: got shape [2], expected [1] as the first',
  ],
  [
    () => collate([Float32Array.of(1), Int32Array.of(1)]),
    'collate: item 1 of the batch: got int32, expected float32 as the first',
  ],
  [
    () => padCollate()([Float32Array.of(1), { dtype: 'float32', shape: [1, 1], data: Float32Array.of(1) }]),
    'collate: got Object, expected Float64Array, Float32Array, BigInt64Array, Int32Array, Int16Array, Int8Array, Uint8Array, Uint8ClampedArray',
  ],
  [
    () => collate([{ dtype: 'float32', shape: [3], data: Float32Array.of(1) }]),
    'collate: item 0 of the batch: got 1 elements, expected those of shape [3]',
  ],
])('%#: refuses: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});
