// Kernels of 1 × 1, forward and backward, against products in float64: through every cut into panels, strips and shares.
import { getNumThreads, manualSeed, matmul, nn, randn, setNumThreads, type AnyTensor } from '../../lib';

// Batch, channels in and out, height, width, stride.
const sizes = [
  [2, 3, 5, 4, 6, 1],
  [3, 40, 30, 7, 7, 1],
  [3, 40, 30, 7, 7, 2],
  [2, 17, 33, 15, 22, 1],
  [2, 17, 33, 15, 70, 2],
  [1, 64, 48, 56, 57, 1],
  [2, 9, 20, 31, 30, 3],
  [5, 600, 300, 5, 3, 1],
  [5, 70, 600, 14, 14, 2],
  [1, 8, 8, 1, 1, 1],
  [4, 300, 20, 40, 1, 1],
] as const;
type Size = (typeof sizes)[number];

function inputs([batch, from, to, height, width, stride]: Size): AnyTensor[] {
  manualSeed(from * to + stride);
  const out = [Math.ceil(height / stride), Math.ceil(width / stride)] as const;
  return [randn([batch, from, height, width]), randn([to, from, 1, 1]), randn([to]), randn([batch, to, ...out])];
}

function gradients(
  f: (x: AnyTensor, weight: AnyTensor, bias: AnyTensor) => AnyTensor,
  given: readonly AnyTensor[],
): AnyTensor[] {
  const [x, weight, bias] = given.map((t) => t.detach().requiresGrad_(true)) as [AnyTensor, AnyTensor, AnyTensor];
  const y = f(x, weight, bias);
  y.backward({ gradient: given[3]!.detach() });
  return [y.detach(), x.grad!, weight.grad!];
}

const convolved = (given: readonly AnyTensor[], stride: number): AnyTensor[] =>
  gradients((x, weight, bias) => nn.functional.conv2d(x, weight, bias, { stride }), given);

function multiplied(given: readonly AnyTensor[], stride: number): AnyTensor[] {
  return gradients(
    (x, weight, bias) => {
      const pixels = x.slice(2, 0, Infinity, stride).slice(3, 0, Infinity, stride);
      const [n, c, h, w] = pixels.shape as [number, number, number, number];
      const products: AnyTensor = matmul(weight.reshape([-1, c]), pixels.reshape([n, c, h * w]));
      return products.reshape([n, -1, h, w]).add(bias.reshape([-1, 1, 1]));
    },
    given.map((t) => t.cast('float64')),
  );
}

test.each(sizes.map((size) => ({ size })))('$size', ({ size }) => {
  const given = inputs(size);
  const right = multiplied(given, size[5]);
  const shifted = given.map((t) => (t.rank < 4 ? t : t.transpose(2, 3).contiguous().transpose(2, 3)));
  for (const layout of [given, shifted, given.map((t) => t.cast('float64'))]) {
    convolved(layout, size[5]).forEach((found, i) => {
      const scale = right[i]!.square().mean().sqrt();
      expect(found.cast('float64').sub(right[i]!).abs().max().div(scale).itemSync()).toBeLessThan(1e-5);
    });
  }
});

test('the same bits at any number of threads', () => {
  const before = getNumThreads();
  try {
    for (const size of sizes.slice(3, 9)) {
      const given = inputs(size);
      const [one, three] = [1, 3].map((threads) => {
        setNumThreads(threads);
        return convolved(given, size[5]).map((t) => Buffer.from(t.dataSync().buffer));
      });
      expect(three!.every((bits, i) => bits.equals(one![i]!))).toBe(true);
    }
  } finally {
    setNumThreads(before);
  }
});
