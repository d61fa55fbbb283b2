// Large products of float32, which processors with AMX compute from sums of three bfloat16: as accurate as multiply-adds in every layout and range.
import { cat, full, getNumThreads, manualSeed, matmul, nn, randn, setNumThreads, type AnyTensor } from '../../lib';

/** Ten roundings of float. A part that is missing costs twenty-five times as much. */
const bound = 10 * 2 ** -24;

/** Largest error in units of the sum of absolute products. */
function error(y: AnyTensor, a: AnyTensor, b: AnyTensor, bias?: AnyTensor): number {
  const [wideA, wideB] = [a.cast('float64'), b.cast('float64')];
  const product: AnyTensor = matmul(wideA, wideB);
  const exact = bias === undefined ? product : product.add(bias.cast('float64'));
  return y.cast('float64').sub(exact).abs().div(matmul(wideA.abs(), wideB.abs())).max().itemSync();
}
const bits = (y: AnyTensor): string => Buffer.from((y.dataSync() as Float32Array).slice().buffer).toString('latin1');

// Several strips and panels, none of them whole; one or several passes over k; and sums that wait beside c, whose rows are not whole vectors.
test.each([
  [256, 256, 256],
  [97, 2000, 533],
  [300, 777, 333],
  [1000, 33, 640],
  [130, 3000, 256],
])('%d × %d × %d in every layout', (m, k, n) => {
  manualSeed(m + k + n);
  const a = [
    randn([m, k]),
    randn([k, m]).transpose(0, 1),
    randn([2 * m, k, 2])
      .select(2, 0)
      .slice(0, 0, 2 * m, 2),
  ];
  const b = [randn([k, n]), randn([n, k]).transpose(0, 1), randn([k, n, 2]).select(2, 1)];
  const bias = randn([n]);
  for (const left of a as AnyTensor[]) {
    for (const right of b as AnyTensor[]) {
      expect(error(matmul(left, right), left, right)).toBeLessThan(bound);
      const y: AnyTensor = nn.functional.linear(left, right.transpose(0, 1), bias);
      expect(error(y, left, right, bias)).toBeLessThan(bound);
    }
  }
});

test('the same bits at any number of threads', () => {
  manualSeed(1);
  const [a, b] = [randn([500, 1700]), randn([1700, 450])];
  const before = getNumThreads();
  try {
    const results = [1, 2, 3].map((threads) => {
      setNumThreads(threads);
      return bits(matmul(a, b));
    });
    expect(results[1] === results[0]).toBe(true);
    expect(results[2] === results[0]).toBe(true);
  } finally {
    setNumThreads(before);
  }
});

test('whole numbers are multiplied exactly', () => {
  manualSeed(2);
  const whole = (shape: number[]): AnyTensor => randn(shape).mul(400).round() as AnyTensor;
  const [a, b] = [whole([600, 64]), whole([64, 700])];
  const exact = matmul(a.cast('float64'), b.cast('float64')) as AnyTensor;
  expect(exact.abs().max().itemSync()).toBeLessThan(2 ** 24);
  expect(bits(matmul(a, b)) === bits(exact.cast('float32'))).toBe(true);
});

// The last part of 2⁻¹¹⁰ can be subnormal and the first of the largest float is infinite: neither is the sum of its parts.
test.each([
  ['2⁻¹¹⁰', randn([7, 600]).mul(2 ** -110), 1],
  ['2⁻¹¹⁰ beside 2¹⁰⁰', randn([7, 600]).mul(2 ** -110), 2 ** 100],
  ['the largest float', full([7, 600], 3.4028234663852886e38), 2 ** -20],
])('rows and columns of %s keep their accuracy', (_, rows, scale) => {
  manualSeed(3);
  const a = cat([randn([250, 600]), rows, randn([60, 600])], 0) as AnyTensor;
  const b = randn([600, 400]).mul(scale) as AnyTensor;
  expect(error(matmul(a, b), a, b)).toBeLessThan(bound);
  const [left, right] = [b.transpose(0, 1), a.transpose(0, 1)];
  expect(error(matmul(left, right), left, right)).toBeLessThan(bound);
});

test('infinity and NaN reach what they are multiplied with, and nothing else', () => {
  manualSeed(4);
  const [a, b] = [randn([400, 300]), full([300, 500], 1)] as [AnyTensor, AnyTensor];
  const finite = matmul(a, b);
  a.select(0, 17).slice(0, 5, 6).fill_(Infinity);
  a.select(0, 333).slice(0, 299, 300).fill_(NaN);
  const y = matmul(a, b);
  expect([...y.select(0, 17).dataSync()].every((value) => value === Infinity)).toBe(true);
  expect([...y.select(0, 333).dataSync()].every(Number.isNaN)).toBe(true);
  const largest = (from: number, to: number): number =>
    y
      .slice(0, from, to)
      .sub(finite.slice(0, from, to))
      .abs()
      .max()
      .itemSync();
  expect(Math.max(largest(0, 17), largest(18, 333), largest(334, 400))).toBeLessThan(1e-4);
});
