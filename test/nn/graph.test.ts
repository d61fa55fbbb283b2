// Graph layers against their formulas over dense adjacency matrices.
import { eye, gradients, manualSeed, nn, ones, randn, tensor, where, type AnyTensor } from '../../lib/index';
import { expectClose, plain } from '../ops/sample';

const edges = tensor(
  [
    [0, 1, 2, 3, 3, 1],
    [1, 0, 1, 1, 2, 3],
  ],
  { dtype: 'int64' },
);
/** [target, source]; node 4 has no edges. */
const adjacency = tensor([
  [0, 1, 0, 0, 0],
  [1, 0, 1, 1, 0],
  [0, 0, 0, 1, 0],
  [0, 1, 0, 0, 0],
  [0, 0, 0, 0, 0],
]) as AnyTensor;

/** Values and gradients of two forms by the same tensors. */
function same(a: AnyTensor, b: AnyTensor, by: readonly AnyTensor[]): void {
  const tolerance = { rtol: 1e-5, atol: 1e-5 };
  expectClose(plain(a), plain(b), tolerance, 'output');
  const [got, expected] = [a, b].map((y) => gradients([y.square().sum()], by));
  got!.forEach((g, i) => expectClose(plain(g!), plain(expected![i]!), tolerance, `gradient ${i}`));
}

const input = (): AnyTensor => {
  manualSeed(1);
  return randn([5, 3]).requiresGrad_();
};

test('GCNConv is D^(-1/2) (A + I) D^(-1/2) X W + b', () => {
  const x = input();
  const layer = new nn.GCNConv(3, 2);
  expect(Object.keys(layer.stateDict()).sort()).toEqual(['bias', 'lin.weight']);
  const whole = adjacency.add(eye(5)) as AnyTensor;
  const scale = (whole.sum(1) as AnyTensor).rsqrt() as AnyTensor;
  const matrix = scale.unsqueeze(1).mul(whole).mul(scale) as AnyTensor;
  same(layer.forward(x, edges), matrix.matmul(layer.lin.forward(x)).add(layer.bias!), [x, ...layer.parameters()]);
});

test('GCNConv with weights, without self-loops: a node alone gets the bias', () => {
  const x = input();
  const layer = new nn.GCNConv(3, 2, { selfLoops: false });
  const weights = tensor([1, 2, 3, 4, 5, 6]).requiresGrad_();
  const dense = tensor([
    [0, 2, 0, 0, 0],
    [1, 0, 3, 4, 0],
    [0, 0, 0, 5, 0],
    [0, 6, 0, 0, 0],
    [0, 0, 0, 0, 0],
  ]) as AnyTensor;
  const degree = dense.sum(1) as AnyTensor;
  const scale = where(degree.greater(0), degree.add(1e-30).rsqrt(), 0) as AnyTensor;
  const matrix = scale.unsqueeze(1).mul(dense).mul(scale) as AnyTensor;
  const y = layer.forward(x, edges, weights);
  same(y, matrix.matmul(layer.lin.forward(x)).add(layer.bias!), [x]);
  const [g] = gradients([layer.forward(x, edges, weights).sum()], [weights]);
  expect(g!.isFinite().all().itemSync()).toBe(1);
  const plainSum = new nn.GCNConv(3, 2, { selfLoops: false, normalize: false, bias: false });
  same(plainSum.forward(x, edges, weights), dense.matmul(plainSum.lin.forward(x)), [x]);
});

test.each([true, false])('GATConv is a masked softmax per head (concat %s)', (concat) => {
  const x = input();
  const layer = new nn.GATConv(3, 4, { heads: 2, concat });
  expect(Object.keys(layer.stateDict()).sort()).toEqual(['att_dst', 'att_src', 'bias', 'lin.weight']);
  const h: AnyTensor = layer.lin.forward(x).reshape([5, 2, 4]);
  const [source, target] = [layer.attSrc, layer.attDst].map((a) => (h.mul(a).sum(-1) as AnyTensor).transpose());
  const scores = target!.unsqueeze(2).add(source!.unsqueeze(1)).leakyRelu(0.2) as AnyTensor;
  const seen = adjacency.add(eye(5)).greater(0);
  const weights = (where(seen, scores, -Infinity) as AnyTensor).softmax(-1) as AnyTensor;
  const joined = weights.matmul(h.transpose(0, 1)).transpose(0, 1) as AnyTensor;
  const y: AnyTensor = concat ? joined.reshape([5, 8]) : joined.mean(1);
  same(layer.forward(x, edges), y.add(layer.bias!), [x, ...layer.parameters()]);
});

test('SAGEConv joins means, sums or maxima with the node itself', () => {
  const x = input();
  const layer = new nn.SAGEConv(3, 2);
  expect(Object.keys(layer.stateDict()).sort()).toEqual(['lin_l.bias', 'lin_l.weight', 'lin_r.weight']);
  const counts = (adjacency.sum(1, { keepDims: true }) as AnyTensor).clamp(1) as AnyTensor;
  const mean = adjacency.matmul(x).div(counts);
  same(layer.forward(x, edges), layer.linL.forward(mean).add(layer.linR!.forward(x)), [x, ...layer.parameters()]);
  const summed = new nn.SAGEConv(3, 2, { aggregation: 'sum', rootWeight: false, normalize: true });
  const y = summed.linL.forward(adjacency.matmul(x));
  same(summed.forward(x, edges), y.div(y.square().sum(1, { keepDims: true }).sqrt()), [x]);
  const largest = new nn.SAGEConv(3, 2, { aggregation: 'max', rootWeight: false });
  const options = where(adjacency.unsqueeze(2).greater(0), x.unsqueeze(0), -Infinity) as AnyTensor;
  const best = options.max(1) as AnyTensor;
  same(largest.forward(x, edges), largest.linL.forward(where(best.isInf(), 0, best) as AnyTensor), [x]);
});

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
