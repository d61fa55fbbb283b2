// topk of lines longer than a block of keys, where candidates are picked by a limit: the first of what sort gives, whatever the
// order, the ties and the layout.
import { arange, cat, full, manualSeed, randint, randn, tensor, type AnyTensor, type DType } from '../../lib/index';

const values = (x: AnyTensor): unknown => x.toArraySync();

function check(x: AnyTensor, k: number, axis: number): void {
  for (const largest of [true, false]) {
    const [top, at] = x.topk(k, { axis, largest });
    const [sorted, order] = x.sort({ axis, descending: largest });
    const label = `${k} of ${x.shape.join('×')}, ${largest}`;
    expect([label, values(at)]).toEqual([label, values(order.narrow(axis, 0, k))]);
    expect([label, values(top)]).toEqual([label, values(sorted.narrow(axis, 0, k))]);
  }
}

beforeEach(() => manualSeed(3));

describe.each<DType>(['float32', 'bfloat16', 'float64', 'float16', 'int64', 'int16', 'uint8'])('%s', (dtype) => {
  const made = (shape: number[]): AnyTensor =>
    dtype.includes('float') ? randn(shape).cast(dtype) : randint(0, 120, shape).cast(dtype);

  test.each([5, 63, 64, 65, 200, 1000, 1024, 1100, 5000])('lines of %d', (n) => {
    for (const k of [1, 5, 16, 100].filter((k) => k <= n)) {
      check(made([3, n]), k, 1);
      check(made([n, 3]), k, 0);
      check(made([3, 2 * n]).slice(1, 0, 2 * n, 2), k, 1);
    }
  });

  test('lines in order, of one value, of two', () => {
    const ascending = arange(0, 300).remainder(100).cast(dtype).sort()[0] as AnyTensor;
    for (const line of [
      ascending,
      ascending.flip(0),
      full([300], 7).cast(dtype),
      arange(300).remainder(2).cast(dtype),
    ]) {
      for (const k of [1, 5, 16]) check(line.expand([2, 300]) as AnyTensor, k, 1);
    }
  });
});

test.each<DType>(['float32', 'bfloat16', 'float64'])('%s: NaN is above infinity, -0 equals 0', (dtype) => {
  const odd = tensor([NaN, Infinity, -Infinity, 0, -0, NaN, 1e-40, -1e-40], { dtype });
  const line = cat([randn([150]).cast(dtype), odd, randn([90]).cast(dtype), odd, full([70], NaN, { dtype })]);
  for (const k of [1, 3, 9, 80]) check(line, k, 0);
  check(full([1000], NaN, { dtype }), 4, 0);
  check(full([1000], -Infinity, { dtype }), 4, 0);
});

test('few long lines', () => {
  check(randn([2, 200_000]), 5, 1);
  check(randn([200_000]), 1000, 0);
  check(randint(0, 3, [200_000], { dtype: 'int32' }), 100, 0);
});
