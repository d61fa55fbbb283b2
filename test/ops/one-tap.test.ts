// Kernels of 1 × 1, forward and backward, against products in float64: through every cut into panels, strips and shares.
import {
  cat,
  full,
  getNumThreads,
  manualSeed,
  matmul,
  nn,
  randn,
  setNumThreads,
  zeros,
  type AnyTensor,
} from '../../lib';

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
  // Large enough for sums of three bfloat16.
  [3, 70, 90, 55, 57, 1],
  [4, 64, 256, 32, 32, 1],
  [3, 65, 97, 60, 61, 2],
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

// Results are rounded to 8 bits.
test.each(sizes.map((size) => ({ size })))('$size in bfloat16', ({ size }) => {
  const given = inputs(size).map((t): AnyTensor => t.cast('bfloat16'));
  const right = multiplied(given, size[5]);
  const shifted = given.map((t) => (t.rank < 4 ? t : t.transpose(2, 3).contiguous().transpose(2, 3)));
  // Pixels that begin at an odd one.
  const [x, ...others] = given as [AnyTensor, ...AnyTensor[]];
  const odd = [
    cat([zeros([1], { dtype: 'bfloat16' }), x.flatten()], 0)
      .slice(0, 1)
      .reshape(x.shape),
    ...others,
  ];
  for (const layout of [given, shifted, odd]) {
    convolved(layout, size[5]).forEach((found, i) => {
      const wrong = found
        .cast('float64')
        .sub(right[i]!)
        .abs()
        .sub(right[i]!.abs().mul(2 ** -8));
      expect(wrong.max().div(right[i]!.square().mean().sqrt()).itemSync()).toBeLessThan(1e-4);
    });
  }
});

test.each(['float32', 'bfloat16'] as const)('the same bits at any number of threads, in %s', (dtype) => {
  const before = getNumThreads();
  try {
    for (const size of [...sizes.slice(3, 9), ...sizes.slice(11)]) {
      const given = inputs(size).map((x): AnyTensor => x.cast(dtype));
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

// What is not the sum of three bfloat16, see float-products.test.ts: pixels of one image, or weights, and a NaN.
test.each([
  ['pixels of 2⁻¹¹⁰', 2 ** -110, 1],
  ['the largest float', 3.4028234663852886e38, 2 ** -20],
  ['weights of 2⁻¹¹⁰', 2 ** 100, 2 ** -110],
])('%s keep their accuracy', (_, pixel, factor) => {
  manualSeed(5);
  const x = cat([randn([2, 64, 56, 56]), full([1, 64, 56, 56], pixel)], 0) as AnyTensor;
  const weight = randn([80, 64, 1, 1]).mul(factor) as AnyTensor;
  const [found, right] = (['float32', 'float64'] as const).map((dtype) =>
    nn.functional.conv2d(x.cast(dtype), weight.cast(dtype)).cast('float64'),
  ) as [AnyTensor, AnyTensor];
  for (let image = 0; image < 3; ++image) {
    const [y, exact] = [found.select(0, image), right.select(0, image)];
    expect(y.sub(exact).abs().max().div(exact.square().mean().sqrt()).itemSync()).toBeLessThan(64 * 2 ** -24);
  }
});

test('a NaN reaches the channels of its pixel, and no other', () => {
  const x = full([2, 64, 56, 56], 1) as AnyTensor;
  x.select(0, 1).select(0, 63).select(0, 7).slice(0, 9, 10).fill_(NaN);
  const y = nn.functional.conv2d(x, full([96, 64, 1, 1], 1)) as AnyTensor;
  const found = y.dataSync() as Float32Array;
  expect(found.every((value, i) => Number.isNaN(value) === (i >= 96 * 3136 && i % 3136 === 7 * 56 + 9))).toBe(true);
});
