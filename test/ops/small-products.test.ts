// Small products, which read what they can where it lies, and batches of them: every edge of tiles and panels, in every layout. Their numbers
// are whole, so that sums are exact and products of integers, another kernel, say what they are.
import { bmm, full, getNumThreads, manualSeed, matmul, randint, randn, setNumThreads, type AnyTensor } from '../../lib';

const dtypes = ['float32', 'float64', 'bfloat16'] as const;
type Float = (typeof dtypes)[number];

/** −1, 0 and 1: sums of up to 256 products of them are whole numbers that a bfloat16 holds. */
const whole = (shape: number[]): AnyTensor => randint(-1, 2, shape, { dtype: 'int32' });

/** The same numbers in each layout, which NaNs surround where it leaves room. */
function layouts(x: AnyTensor, dtype: Float): AnyTensor[] {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const dense = x.cast(dtype);
  const room = full([rows + 2, columns + 5], NaN, { dtype }) as AnyTensor;
  const inside = room.slice(0, 1, rows + 1).slice(1, 2, columns + 2) as AnyTensor;
  inside.copy_(dense);
  return [dense, dense.transpose(-2, -1).contiguous().transpose(-2, -1) as AnyTensor, inside];
}

function expectProduct(m: number, k: number, n: number, dtype: Float): void {
  manualSeed(m + 41 * k + 1681 * n);
  const [a, b] = [whole([m, k]), whole([k, n])];
  const exact = matmul(a, b).cast(dtype);
  for (const left of layouts(a, dtype)) {
    for (const right of layouts(b, dtype)) {
      if (!matmul(left, right).equalSync(exact)) {
        throw new Error(
          `${m} × ${k} × ${n}, strides ${left.strides.join()} and ${right.strides.join()}: got another product`,
        );
      }
    }
  }
}

describe.each(dtypes)('%s', (dtype) => {
  const steps = [0, 1, 2, 3, 8, 16, 17, 31, 40];
  test('every number of rows and columns up to 40', () => {
    for (let m = 1; m <= 40; ++m) for (let n = 1; n <= 40; ++n) expectProduct(m, steps[(m + 5 * n) % 9]!, n, dtype);
  });

  // At 256 × 256 float32 and 181 × 181 float64 b is the largest that is read where it lies.
  test.each([
    [128, 128, 128],
    [127, 129, 131],
    [30, 256, 256],
    [30, 256, 258],
    [25, 181, 181],
    [25, 182, 182],
    [200, 60, 80],
    [520, 70, 300],
  ])('%d × %d × %d', (m, k, n) => expectProduct(m, k, n, dtype));

  const batches = [
    [70, 16, 16, 16],
    [40, 5, 33, 18],
    [20, 64, 48, 100],
    [9, 128, 128, 128],
    [17, 130, 20, 129],
    [33, 3, 200, 70],
  ] as const;
  test.each(batches)('a batch of %d: %d × %d × %d', (count, m, k, n) => {
    manualSeed(count);
    const [a, b] = [whole([count, m, k]), whole([count, k, n])];
    const exact = bmm(a, b).cast(dtype);
    for (const left of layouts(a.reshape([count * m, k]), dtype).map((x) => x.unflatten(0, [count, m]))) {
      for (const right of [b.cast(dtype), b.cast(dtype).transpose(1, 2).contiguous().transpose(1, 2)] as AnyTensor[]) {
        expect(matmul(left, right).equalSync(exact)).toBe(true);
        // One matrix for all of the batch, on either side.
        const first = matmul(left, right.narrow(0, 0, 1));
        expect(first.select(0, count - 1).equalSync(matmul(a.select(0, count - 1), b.select(0, 0)).cast(dtype))).toBe(
          true,
        );
        const last = matmul(left.narrow(0, count - 1, 1).expand([count, m, k]), right);
        expect(last.select(0, 1).equalSync(matmul(a.select(0, count - 1), b.select(0, 1)).cast(dtype))).toBe(true);
      }
    }
  });

  test.each(batches)(
    'of a batch of %d the bits are those of each alone, at any number of threads: %d × %d × %d',
    (count, m, k, n) => {
      manualSeed(k);
      const before = getNumThreads();
      const [a, b] = [randn([count, m, k]).cast(dtype), randn([count, k, n]).cast(dtype)] as AnyTensor[];
      try {
        setNumThreads(1);
        const alone = Array.from({ length: count }, (_, i) => matmul(a!.select(0, i), b!.select(0, i)));
        for (const threads of [1, 2, 3]) {
          setNumThreads(threads);
          const all = matmul(a!, b!);
          alone.forEach((one, i) => expect(all.select(0, i).equalSync(one)).toBe(true));
        }
      } finally {
        setNumThreads(before);
      }
    },
  );
});
