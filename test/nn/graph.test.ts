// Layers for graphs against PyTorch Geometric's, on a graph with edges from nodes to themselves, edges that occur twice, and a node without any.
import { nn, ones, randn, tensor, type AnyTensor } from '../../lib/index';
import { compareLayer, type LayerCase } from '../golden/compare-layer';

const edges = tensor(
  [
    [0, 1, 2, 3, 3, 1],
    [1, 0, 1, 1, 2, 3],
  ],
  { dtype: 'int64' },
);

type GraphLayer = nn.Module & { forward(x: AnyTensor, edges: AnyTensor, ofEdges?: AnyTensor): AnyTensor };
const layer = (make: () => GraphLayer): LayerCase => ({
  make,
  call: (module: GraphLayer, [x, ends, ofEdges]) => module.forward(x!, ends!, ofEdges),
});
const net = (): nn.Layer => new nn.Sequential(new nn.Linear(3, 7), new nn.ReLU(), new nn.Linear(7, 2));
const attention = { gat: nn.GATConv, gatv2: nn.GATv2Conv };

const cases: Record<string, LayerCase> = {
  gcn: layer(() => new nn.GCNConv(3, 2)),
  'gcn-weights': layer(() => new nn.GCNConv(3, 2)),
  'gcn-no-loops': layer(() => new nn.GCNConv(3, 2, { selfLoops: false })),
  'gcn-sums': layer(() => new nn.GCNConv(3, 2, { normalize: false, bias: false })),
  'gatv2-shared': layer(() => new nn.GATv2Conv(3, 2, { heads: 2, shareWeights: true })),
  gin: layer(() => new nn.GINConv(3, net(), { epsilon: 0.3 })),
  'gin-trained': layer(() => new nn.GINConv(3, net(), { trainEpsilon: true })),
  'gin-features': layer(() => new nn.GINConv(3, net(), { edgeFeatures: 5 })),
  'sage-normalized': layer(() => new nn.SAGEConv(3, 2, { rootWeight: false, normalize: true, bias: false })),
};
for (const aggregation of ['mean', 'sum', 'max'] as const) {
  cases[`sage-${aggregation}`] = layer(() => new nn.SAGEConv(3, 2, { aggregation }));
}
for (const [name, Layer] of Object.entries(attention)) {
  cases[name] = layer(() => new Layer(3, 2, { heads: 2 }));
  cases[`${name}-mean`] = layer(() => new Layer(3, 2, { heads: 2, concat: false, slope: 0.1, bias: false }));
  cases[`${name}-features`] = layer(() => new Layer(3, 2, { heads: 2, edgeFeatures: 5 }));
  cases[`${name}-no-loops`] = layer(() => new Layer(3, 2, { heads: 2, edgeFeatures: 5, selfLoops: false }));
}
test.each(Object.entries(cases))('%s', (name, graphLayer) => compareLayer(name, graphLayer, 'graphs'));

describe('what graph layers refuse', () => {
  const x = ones([5, 3]);
  test.each<[() => unknown, string]>([
    [() => new nn.GCNConv(3, 0), 'GCNConv: outFeatures: got 0, expected a positive integer'],
    [() => new nn.GCNConv(3, 2).forward(ones([5, 2]), edges), 'GCNConv: nodes: got shape [5, 2], expected [n, 3]'],
    [
      () => new nn.GATConv(3, 2).forward(x, tensor([0, 1], { dtype: 'int64' })),
      'GATConv: edges: got shape [2], expected [2, e]',
    ],
    [
      () => new nn.GCNConv(3, 2).forward(x, edges, ones([2])),
      'GCNConv: weights do not fit: got shape [2], expected [6]',
    ],
    [
      () => new nn.GATv2Conv(3, 2, { edgeFeatures: 4 }).forward(x, edges),
      'GATv2Conv: edgeFeatures: got none, expected [6, 4], as the layer was made',
    ],
    [
      () => new nn.GINConv(3, net()).forward(x, edges, randn([6, 2])),
      'GINConv: edgeFeatures: got some, expected none, as the layer was made',
    ],
    [
      () => new nn.GATConv(3, 2, { edgeFeatures: 2 }).forward(x, edges, randn([6, 3])),
      'GATConv: edgeFeatures do not fit: got shape [6, 3], expected [6, 2]',
    ],
    [() => new nn.GINConv(3, {} as nn.Layer), 'GINConv: net: got an object, expected a module'],
    [
      () => new nn.SAGEConv(3, 2, { aggregation: 'min' as 'max' }),
      'SAGEConv: aggregation: got min, expected mean, sum or max',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });

  test('an edge to no node, at the next read', async () => {
    const wrong = tensor([[0], [7]], { dtype: 'int64' });
    await expect(new nn.SAGEConv(3, 2).forward(x, wrong).data()).rejects.toThrow(/index 7 at position 0 out of range/);
  });
});
