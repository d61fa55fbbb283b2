// Kernels of 3 × 3 and 5 × 5 in Winograd's form (native/cpu/conv_winograd.cc), whose rounding errors are larger than those of a sum tap by tap: against the same convolution in
// float64, which is such a sum.
import { cat, getNumThreads, manualSeed, nn, ones, randn, setNumThreads, tensor, type AnyTensor } from '../../lib';

// Batch, channels in and out, height, width, padding.
const sizes = [
  [1, 16, 16, 16, 16, 1],
  [2, 17, 37, 15, 22, 1],
  [3, 64, 48, 13, 14, 0],
  [2, 40, 33, 9, 95, 2],
  [2, 160, 180, 14, 14, 1],
  [17, 250, 129, 5, 6, 1],
  // Narrower than a tile.
  [30, 64, 32, 3, 3, 1],
  [70, 17, 16, 2, 2, 1],
  [13, 16, 33, 9, 3, 1],
  [26, 32, 16, 5, 2, 1],
  [26, 16, 16, 12, 1, 1],
  [9, 20, 18, 3, 11, 1],
  // Large enough for sums of three bfloat16.
  [6, 80, 112, 23, 25, 1],
  [4, 64, 64, 29, 31, 1],
  // Output channels in blocks, the last of which is smaller.
  [12, 100, 140, 28, 27, 1],
  // With kernels of 5 × 5.
  [8, 33, 200, 17, 15, 2, 5],
  [1, 16, 16, 16, 16, 2, 5],
  [2, 17, 37, 15, 22, 2, 5],
  [3, 64, 48, 13, 14, 0, 5],
  [2, 40, 33, 9, 95, 4, 5],
  [2, 160, 180, 14, 14, 1, 5],
  [17, 250, 129, 5, 6, 2, 5],
  [70, 17, 16, 1, 2, 2, 5],
  [13, 16, 33, 9, 3, 2, 5],
  [26, 16, 16, 12, 1, 2, 5],
] as const;
type Size = (typeof sizes)[number];

type Results = readonly [y: AnyTensor, gx: AnyTensor, gw: AnyTensor, gb: AnyTensor];

function convolved(given: readonly AnyTensor[], padding: number): Results {
  const [x, weight, bias, g] = given.map((t) => t.detach().requiresGrad_(true));
  const y: AnyTensor = nn.functional.conv2d(x!, weight!, bias!, { padding });
  y.backward({ gradient: g!.detach() });
  return [y, x!.grad!, weight!.grad!, bias!.grad!];
}

function inputs(size: Size): AnyTensor[] {
  const [batch, from, to, height, width, padding, kernel = 3] = size as readonly number[] as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  manualSeed(from * to);
  return [
    randn([batch, from, height, width]),
    randn([to, from, kernel, kernel]),
    randn([to]),
    randn([batch, to, height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1]),
  ];
}

/** The largest error, relative to the root mean square of what is right. */
function error(found: AnyTensor, right: AnyTensor): number {
  return found.cast('float64').sub(right).abs().max().div(right.mul(right).mean().sqrt()).itemSync();
}

test.each(sizes)('%d images, %d to %d channels, %d × %d, padding %d', (...size) => {
  const padding = size[5];
  const given = inputs(size as unknown as Size);
  const right = convolved(
    given.map((t) => t.cast('float64')),
    padding,
  );
  const channelsLast = given.map((t) => (t.rank < 4 ? t : t.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])));
  for (const layout of [given, channelsLast]) {
    convolved(layout, padding).forEach((found, i) => expect(error(found, right[i]!)).toBeLessThan(2e-5));
  }
});

test('the same bits at any number of threads', () => {
  const before = getNumThreads();
  try {
    for (const size of [sizes[1], sizes[4], sizes[6], sizes[7], sizes[14], sizes[15], sizes[18]]) {
      const given = inputs(size);
      const [one, three] = [1, 3].map((threads) => {
        setNumThreads(threads);
        return convolved(given, size[5]).map((t) => Buffer.from(t.detach().dataSync().buffer));
      });
      expect(three!.every((bits, i) => bits.equals(one![i]!))).toBe(true);
    }
  } finally {
    setNumThreads(before);
  }
});

// Batch, channels in and out, slices, height, width; the kernel; the stride, padding and dilation in depth.
test.each([
  [[2, 16, 24, 4, 13, 12], [3, 3, 3], 1, 1, 1],
  [[1, 19, 37, 7, 9, 11], [2, 3, 3], 2, 0, 1],
  [[2, 20, 16, 6, 8, 10], [3, 5, 5], 1, 2, 2],
  [[2, 200, 130, 3, 7, 9], [3, 3, 3], 1, 1, 1],
  [[1, 16, 16, 1, 16, 17], [3, 3, 3], 1, 1, 1],
  [[1, 64, 64, 5, 14, 14], [1, 3, 3], 1, 0, 1],
] as const)('volumes of %j, kernel %j, stride %d, padding %d and dilation %d in depth', (size, kernel, s, p, d) => {
  manualSeed(size[1]);
  const [batch, from, to, ...extent] = size;
  const given: AnyTensor[] = [randn([batch, from, ...extent]), randn([to, from, ...kernel]), randn([to])];
  const [found, right] = (['float32', 'float64'] as const).map((dtype) => {
    const [x, weight, bias] = given.map((t) => t.cast(dtype).detach().requiresGrad_(true));
    const side = (kernel[1] - 1) / 2;
    const options = { stride: [s, 1, 1], padding: [p, side, side], dilation: [d, 1, 1] } as const;
    const y = nn.functional.conv3d(x!, weight!, bias, options) as AnyTensor;
    y.square().sum().backward();
    return [y, x!.grad!, weight!.grad!, bias!.grad!];
  });
  found!.forEach((y, i) => expect(error(y, right![i]!)).toBeLessThan(2e-5));
});

test.each([16, 64])('a NaN reaches all pixels that depend on it, and none of another tile: %d channels', (channels) => {
  const values = new Float32Array(channels * 64 * 64).fill(1);
  values[17 * 64 + 18] = NaN;
  const x = tensor(values).reshape([1, channels, 64, 64]);
  const y = nn.functional.conv2d(x, ones([channels, channels, 3, 3]), undefined, { padding: 1 });
  const found = y.dataSync() as Float32Array;
  const at = (row: number, column: number): number => found[(3 * 64 + row) * 64 + column]!;
  for (const row of [16, 17, 18]) for (const column of [17, 18, 19]) expect(at(row, column)).toBeNaN();
  expect(Math.abs(at(15, 17) / (9 * channels) - 1)).toBeLessThan(1e-5);
});

// What is not the sum of three bfloat16, see float-products.test.ts: pixels of one image, or weights.
test.each([
  ['pixels of 2⁻¹¹⁰', 2 ** -110, 1],
  ['pixels of 2¹²²', 2 ** 122, 2 ** -20],
  ['weights of 2⁻¹⁰⁴', 2 ** 100, 2 ** -104],
])('%s keep their accuracy', (_, pixel, factor) => {
  manualSeed(6);
  for (const channels of [64, 160]) {
    const image = (): AnyTensor => randn([1, channels, 32, 48]);
    const x = cat([image(), image(), image().mul(pixel)] as AnyTensor[], 0) as AnyTensor;
    const weight = randn([channels, channels, 3, 3]).mul(factor) as AnyTensor;
    const [found, right] = (['float32', 'float64'] as const).map((dtype) =>
      nn.functional.conv2d(x.cast(dtype), weight.cast(dtype), undefined, { padding: 1 }).cast('float64'),
    ) as [AnyTensor, AnyTensor];
    for (let at = 0; at < 3; ++at) expect(error(found.select(0, at), right.select(0, at))).toBeLessThan(2e-5);
  }
});
