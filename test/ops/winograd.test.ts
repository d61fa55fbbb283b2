// Kernels of 3 × 3 in Winograd's form (native/cpu/conv_winograd.cc), whose rounding errors are larger than those of a sum tap by tap: against the same convolution in
// float64, which is such a sum.
import { getNumThreads, manualSeed, nn, ones, randn, setNumThreads, tensor, type AnyTensor } from '../../lib';

// Batch, channels in and out, height, width, padding.
const sizes = [
  [1, 16, 16, 16, 16, 1],
  [2, 17, 37, 15, 22, 1],
  [3, 64, 48, 13, 14, 0],
  [2, 40, 33, 9, 95, 2],
  [2, 160, 180, 14, 14, 1],
  [17, 250, 129, 5, 6, 1],
] as const;
type Size = (typeof sizes)[number];

type Results = readonly [y: AnyTensor, gx: AnyTensor, gw: AnyTensor, gb: AnyTensor];

function convolved(given: readonly AnyTensor[], padding: number): Results {
  const [x, weight, bias, g] = given.map((t) => t.detach().requiresGrad_(true));
  const y: AnyTensor = nn.functional.conv2d(x!, weight!, bias!, { padding });
  y.backward({ gradient: g!.detach() });
  return [y, x!.grad!, weight!.grad!, bias!.grad!];
}

function inputs([batch, from, to, height, width, padding]: Size): AnyTensor[] {
  manualSeed(from * to);
  return [
    randn([batch, from, height, width]),
    randn([to, from, 3, 3]),
    randn([to]),
    randn([batch, to, height + 2 * padding - 2, width + 2 * padding - 2]),
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
    for (const size of [sizes[1], sizes[4]]) {
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

test("a volume's weight gradient, a tap in depth at a time", () => {
  manualSeed(1);
  const given: AnyTensor[] = [randn([2, 16, 4, 13, 12]), randn([24, 16, 3, 3, 3])];
  const [found, right] = (['float32', 'float64'] as const).map((dtype) => {
    const [x, weight] = given.map((t) => t.cast(dtype).detach().requiresGrad_(true));
    nn.functional.conv3d(x!, weight!, undefined, { padding: 1 }).square().sum().backward();
    return weight!.grad!;
  });
  expect(error(found!, right!)).toBeLessThan(2e-5);
});

test('a NaN reaches all pixels that depend on it, and none of another tile', () => {
  const values = new Float32Array(16 * 32 * 32).fill(1);
  values[17 * 32 + 18] = NaN;
  const y = nn.functional.conv2d(tensor(values).reshape([1, 16, 32, 32]), ones([16, 16, 3, 3]), undefined, {
    padding: 1,
  });
  const found = y.dataSync() as Float32Array;
  const at = (row: number, column: number): number => found[(3 * 32 + row) * 32 + column]!;
  for (const row of [16, 17, 18]) for (const column of [17, 18, 19]) expect(at(row, column)).toBeNaN();
  expect(at(15, 17)).toBeCloseTo(144, 3);
});
