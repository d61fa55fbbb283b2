// Selections and counts of more elements than samples have: k-th values by the bytes of keys, in lines that one thread or all of them read, searches
// past a vector's width, and bins that are counted in parts.
import {
  arange,
  bincountSync,
  cat,
  full,
  histogram,
  kthValue,
  manualSeed,
  randint,
  randn,
  tensor,
} from '../../lib/index';
import type { AnyTensor, DType } from '../../lib/index';

beforeEach(() => manualSeed(5));

describe.each<DType>(['float32', 'bfloat16', 'float64', 'int64', 'int16', 'uint8'])('%s', (dtype) => {
  test.each([191, 192, 1000, 65536, 65537, 200_000])(
    'the k-th value of lines of %d is that of the sorted line',
    (n) => {
      const x: AnyTensor = dtype.includes('float') ? randn([2, n]).cast(dtype) : randint(0, 120, [2, n]).cast(dtype);
      const [sorted, order] = x.sort();
      for (const k of [1, 2, n >> 1, n]) {
        const [value, place] = kthValue(x, k);
        expect(value.toArraySync()).toEqual(sorted.select(1, k - 1).toArraySync());
        expect(place.toArraySync()).toEqual(order.select(1, k - 1).toArraySync());
      }
    },
  );
});

test('the k-th of equal elements, of NaN and of both zeros', () => {
  expect(kthValue(full([100_000], 3), 70_000).map((y) => y.itemSync())).toEqual([3, 69_999]);
  const x = cat([tensor([NaN, 0, -0, -Infinity]), full([500], 7)]);
  expect(kthValue(x, 504).map((y) => y.itemSync())).toEqual([NaN, 0]);
  expect(kthValue(x, 2)[1].itemSync()).toBe(1);
});

test('bins of many elements, with the upper edge, what lies outside and NaN', () => {
  const inside = arange(100_003, { dtype: 'float64' }).remainder(5).cast('float32') as AnyTensor;
  const x = cat([inside, tensor([-1, 5, NaN, Infinity, -Infinity])]) as AnyTensor;
  const [counts] = histogram(x, [0, 1, 2, 4]);
  // 100,003 = 5 · 20,000 + 3 remainders 0, 1 and 2; 4 is the upper edge.
  expect(counts.toArraySync()).toEqual([20_001, 20_001, 60_001]);
  const [weighted] = histogram(x, [0, 1, 2, 4], { weights: x.isNaN().logicalNot().cast('float32') as AnyTensor });
  expect(weighted.toArraySync()).toEqual([20_001, 20_001, 60_001]);
  expect(histogram(x, [0, Infinity])[0].toArraySync()).toEqual([100_005]);
});

test('many numbers are counted, few of them or as many as there are', () => {
  const x = arange(100_003, { dtype: 'int64' });
  expect(bincountSync(x.remainder(7) as AnyTensor).toArraySync()).toEqual(
    [0, 1, 2, 3, 4, 5, 6].map((i) => Math.ceil((100_003 - i) / 7)),
  );
  expect(bincountSync(x as AnyTensor).equalSync(full([100_003], 1, { dtype: 'int64' }))).toBe(true);
});

test.each([3, 100, 4096])('places among %d boundaries', (n) => {
  const sorted = arange(n);
  const x = randn([10_000]).mul(n) as AnyTensor;
  const expected = x
    .floor()
    .clamp(-1, n - 1)
    .add(1)
    .cast('int64') as AnyTensor;
  expect(sorted.searchSorted(x, { right: true }).equalSync(expected)).toBe(true);
  // Seen by other strides, and of more elements than are searched for.
  const apart = sorted.unsqueeze(1).expand([n, 2]).contiguous().select(1, 0) as AnyTensor;
  expect(apart.searchSorted(x.narrow(0, 0, 2), { right: true }).equalSync(expected.narrow(0, 0, 2))).toBe(true);
});
