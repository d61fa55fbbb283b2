// Products of long sums and small results, whose k is cut into slices that are added up: every layout, edges of tiles, and what comes after the sum.
// Numbers are whole where sums are exact, so that products of integers, another kernel, say what they are.
import {
  eye,
  full,
  getNumThreads,
  manualSeed,
  matmul,
  nn,
  noGrad,
  randint,
  randn,
  setNumThreads,
  type AnyTensor,
} from '../../lib';

const dtypes = ['float32', 'float64', 'bfloat16', 'float16'] as const;
type Float = (typeof dtypes)[number];

/** Mostly zeros, so that sums of many products are whole numbers that 16 bits hold. */
const sparse = (shape: number[]): AnyTensor => randint(-2, 62, shape, { dtype: 'int32' }).floorDivide(60);

/** The same numbers in each layout, which NaNs surround where it leaves room. */
function layouts(x: AnyTensor, dtype: Float): AnyTensor[] {
  const [rows, columns] = x.shape as [number, number];
  const dense = x.cast(dtype);
  const room = full([rows + 2, columns + 5], NaN, { dtype }) as AnyTensor;
  const inside = room.slice(0, 1, rows + 1).slice(1, 2, columns + 2) as AnyTensor;
  inside.copy_(dense);
  const sparse = full([rows, columns, 2], NaN, { dtype }) as AnyTensor;
  sparse.select(2, 0).copy_(dense);
  return [dense, dense.transpose(0, 1).contiguous().transpose(0, 1), inside, sparse.select(2, 0)] as AnyTensor[];
}

// Around the least k that is cut (1024), and the largest result (65,536 elements).
const sizes = [
  [1, 3000, 700],
  [3, 40000, 20],
  [7, 65536, 7],
  [10, 20001, 130],
  [130, 20001, 10],
  [15, 10007, 17],
  [31, 4097, 65],
  [64, 1023, 64],
  [64, 1024, 64],
  [64, 1025, 64],
  [128, 2050, 129],
  [256, 1100, 256],
  [257, 1100, 256],
  [16, 1100, 4096],
  [16, 1100, 4097],
] as const;

describe.each(dtypes)('%s', (dtype) => {
  test.each(sizes)('%d × %d × %d in every layout', (m, k, n) => {
    manualSeed(m + k);
    const [a, b] = [sparse([m, k]), sparse([k, n])];
    const exact = matmul(a, b).cast(dtype);
    for (const left of layouts(a, dtype)) {
      for (const right of layouts(b, dtype)) {
        if (!matmul(left, right).equalSync(exact)) {
          throw new Error(`strides ${left.strides.join()} and ${right.strides.join()}: got another product`);
        }
      }
    }
  });

  test.each([
    [40, 3000, 50],
    [50, 3000, 40],
    [5, 6001, 33],
  ])('a bias and an activation come after the sum of all slices: %d × %d × %d', (m, k, n) => {
    manualSeed(m);
    const [a, w, bias] = [sparse([m, k]), sparse([n, k]), randint(-3, 4, [n], { dtype: 'int32' })];
    const exact = matmul(a, w.transpose(0, 1)).add(bias).cast(dtype) as AnyTensor;
    const linear = (x: AnyTensor, y: AnyTensor): AnyTensor => nn.functional.linear(x, y, bias.cast(dtype));
    for (const left of layouts(a, dtype)) {
      for (const right of layouts(w, dtype)) expect(linear(left, right).equalSync(exact)).toBe(true);
    }
    // An identity behind the activation leaves it as it is.
    const [left, right] = [a, w].map((x) => x.cast(dtype)) as [AnyTensor, AnyTensor];
    const hidden = noGrad(() =>
      nn.functional.feedForward(left, right, bias.cast(dtype), eye(n, { dtype }), undefined, { activation: 'relu' }),
    );
    expect(hidden.equalSync(exact.relu())).toBe(true);
  });

  test.each([
    [64, 5000, 64],
    [10, 20001, 40],
    [3, 30000, 100],
  ])('the same bits at any number of threads, and in a batch: %d × %d × %d', (m, k, n) => {
    manualSeed(n);
    const count = 17;
    const [a, b] = [randn([count, m, k]).cast(dtype), randn([count, k, n]).cast(dtype)] as [AnyTensor, AnyTensor];
    const before = getNumThreads();
    try {
      setNumThreads(1);
      const alone = Array.from({ length: count }, (_, i) => matmul(a.select(0, i), b.select(0, i)));
      for (const threads of [1, 2, 3]) {
        setNumThreads(threads);
        expect(matmul(a.select(0, 1), b.select(0, 1)).equalSync(alone[1]!)).toBe(true);
        const all = matmul(a, b);
        alone.forEach((one, i) => expect(all.select(0, i).equalSync(one)).toBe(true));
      }
    } finally {
      setNumThreads(before);
    }
  });

  test('a NaN and an infinity of any slice reach their row and column, and nothing else', () => {
    const [a, b] = [full([20, 8000], 1, { dtype }), full([8000, 30], 0.125, { dtype })] as [AnyTensor, AnyTensor];
    a.select(0, 3).slice(0, 10, 11).fill_(NaN);
    a.select(0, 11).slice(0, 7999, 8000).fill_(Infinity);
    b.select(1, 29).slice(0, 4321, 4322).fill_(-Infinity);
    const y = matmul(a, b).cast('float64').dataSync() as Float64Array;
    y.forEach((value, at) => {
      const [row, column] = [Math.floor(at / 30), at % 30];
      const whole = row === 11 ? (column === 29 ? NaN : Infinity) : column === 29 ? -Infinity : 1000;
      expect(value).toBe(row === 3 ? NaN : whole);
    });
  });
});

test('as accurate as one sum: 20 × 100,000 × 30 of float32', () => {
  manualSeed(5);
  const [a, b] = [randn([20, 100_000]), randn([100_000, 30])];
  const [wideA, wideB] = [a.cast('float64'), b.cast('float64')];
  const error = matmul(a, b).cast('float64').sub(matmul(wideA, wideB)).abs().div(matmul(wideA.abs(), wideB.abs()));
  // A rounding of each of 16 slices' sums and of theirs; a slice itself came to 2 when this was written.
  expect(error.max().itemSync()).toBeLessThan(2 ** -24);
});
