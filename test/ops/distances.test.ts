// The euclidean distances that are computed from a product of matrices, and the two ways to the gradients of others.
import { allCloseSync, autocast, cat, gradients, manualSeed, nn, randn, zeros, type AnyTensor } from '../../lib';

const { cdist } = nn.functional as unknown as {
  cdist: (a: AnyTensor, b: AnyTensor, options?: { p: number }) => AnyTensor;
};

/** From the differences. */
const apart = (a: AnyTensor, b: AnyTensor): AnyTensor =>
  a.cast('float64').unsqueeze(-2).sub(b.cast('float64').unsqueeze(-3)).square().sum(-1).sqrt() as AnyTensor;
const difference = (y: AnyTensor, right: AnyTensor): number => y.cast('float64').sub(right).abs().max().itemSync();

// Of points of size √64, distances of some 11: squares are sums of 66 products.
test.each([
  [
    [300, 64],
    [40, 64],
  ],
  [
    [2, 30, 64],
    [2, 26, 64],
  ],
  [
    [3, 1, 30, 64],
    [2, 40, 64],
  ],
  [
    [1, 64],
    [33, 64],
  ],
])('of %j and %j', (from, to) => {
  manualSeed(1);
  const [a, b] = [randn(from), randn(to)] as [AnyTensor, AnyTensor];
  const y = cdist(a, b);
  expect(y.shape).toEqual(apart(a, b).shape);
  expect(difference(y, apart(a, b))).toBeLessThan(1e-5);
  const transposed = (x: AnyTensor): AnyTensor => x.transpose().contiguous().transpose() as AnyTensor;
  expect(difference(cdist(transposed(a), transposed(b)), apart(a, b))).toBeLessThan(1e-5);
});

test('points that meet are 0 apart, with a gradient of 0; a NaN stays one', () => {
  const points = cat([zeros([30, 3]), randn([10, 3]).add(5)] as AnyTensor[], 0).detach() as AnyTensor;
  const [a, b] = [points.clone().requiresGrad_(true), zeros([2, 3]).requiresGrad_(true)] as [AnyTensor, AnyTensor];
  const y = cdist(a, b);
  expect(y.slice(0, 0, 30).abs().max().itemSync()).toBe(0);
  y.sum().backward();
  expect(a.grad!.slice(0, 0, 30).abs().max().itemSync()).toBe(0);
  // Twice a vector of length 1.
  expect(
    difference(a.grad!.slice(0, 30, 40).square().sum(1).sqrt() as AnyTensor, zeros([10]).add(2) as AnyTensor),
  ).toBeLessThan(1e-6);
  const broken = points.clone() as AnyTensor;
  broken.select(0, 7).slice(0, 1, 2).fill_(NaN);
  const found = cdist(broken, zeros([2, 3])).dataSync() as Float32Array;
  found.forEach((value, i) => expect(Number.isNaN(value)).toBe(i >> 1 === 7));
});

test('of no coordinates they are 0', () => {
  expect(
    cdist(zeros([30, 0]), zeros([4, 0]))
      .abs()
      .max()
      .itemSync(),
  ).toBe(0);
});

test('mixed precision leaves them in float32', () => {
  manualSeed(2);
  const [a, b] = [randn([40, 7]), randn([30, 7])] as [AnyTensor, AnyTensor];
  const y = autocast('bfloat16', () => cdist(a, b));
  expect(y.dtype).toBe('float32');
  expect(y.equalSync(cdist(a, b))).toBe(true);
});

// The kernel gives one, ops that can be differentiated again the other; each rounds a sum of six terms of about 1 in its own order.
test.each([0, 0.5, 1, 1.5, 2, 3, Infinity])('gradients for p = %d, with and without a graph', (p) => {
  manualSeed(4);
  const [a, b] = [randn([2, 5, 3]).requiresGrad_(), randn([6, 3]).requiresGrad_()] as [AnyTensor, AnyTensor];
  const y = cdist(a, b, { p });
  const g = randn([2, 5, 6]);
  const [plain, graphed] = [false, true].map((createGraph) =>
    gradients([y.mul(g).sum() as AnyTensor], [a, b], { createGraph, retainGraph: true }),
  ) as [AnyTensor[], AnyTensor[]];
  plain.forEach((x, i) => expect(allCloseSync(x, graphed[i]!, { rtol: 1e-5, atol: 1e-5 })).toBe(true));
  expect(plain.every((x) => x.abs().sum().itemSync() > 0)).toBe(p > 0);
});
