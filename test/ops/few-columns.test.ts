// Products of few rows or columns with a large matrix, which is read where it lies (Product::run_dots in native/cpu/gemm.cc): through every cut into tiles, blocks and
// tasks, against float64.
import { getNumThreads, manualSeed, matmul, nn, noGrad, randn, setNumThreads, type AnyTensor } from '../../lib';

// Rows, steps, columns.
const sizes = [
  [5, 256, 512],
  [6, 301, 500],
  [7, 2000, 97],
  [12, 768, 1031],
  [18, 1500, 130],
  [49, 1024, 257],
  [100, 2048, 66],
  [196, 1024, 130],
] as const;
const dtypes = ['float32', 'float64', 'bfloat16'] as const;
// In units of the sum of absolute products, beside the rounding of a 16-bit result.
const bounds = { float32: 1e-6, float64: 1e-15, bfloat16: 1e-6 } as const;

function error(y: AnyTensor, a: AnyTensor, b: AnyTensor, bias?: AnyTensor): number {
  const [wideA, wideB] = [a.cast('float64'), b.cast('float64')];
  const product: AnyTensor = matmul(wideA, wideB);
  const exact: AnyTensor = bias === undefined ? product : product.add(bias.cast('float64'));
  const rounding = exact.abs().mul(y.dtype === 'bfloat16' ? 2 ** -8 : 0);
  return y.cast('float64').sub(exact).abs().sub(rounding).div(matmul(wideA.abs(), wideB.abs())).max().itemSync();
}

const turned = (x: AnyTensor): AnyTensor => x.transpose(0, 1) as AnyTensor;

describe.each(dtypes)('%s', (dtype) => {
  const random = (...shape: number[]): AnyTensor => randn(shape).cast(dtype);

  test.each(sizes)('%d × %d × %d in every layout', (m, k, n) => {
    manualSeed(m + k + n);
    const bias = random(n);
    for (const a of [random(m, k), turned(random(k, m)), random(m, k, 2).select(2, 1)] as AnyTensor[]) {
      for (const b of [random(k, n), turned(random(n, k)), turned(random(n, k + 3)).slice(0, 1, k + 1)]) {
        expect(error(matmul(a, b), a, b)).toBeLessThan(bounds[dtype]);
        expect(error(nn.functional.linear(a, turned(b), bias), a, b, bias)).toBeLessThan(bounds[dtype]);
        expect(error(matmul(turned(b), turned(a)), turned(b), turned(a))).toBeLessThan(bounds[dtype]);
      }
    }
  });

  test('an activation is what it is of the product', () => {
    manualSeed(3);
    const [x, up, bias, down] = [random(9, 300), random(600, 300), random(600), random(320, 600)];
    const exact = noGrad(() => nn.functional.linear(nn.functional.linear(x, up, bias).relu(), down));
    const found = noGrad(() => nn.functional.feedForward(x, up, bias, down, undefined, { activation: 'relu' }));
    expect(found.equalSync(exact)).toBe(true);
  });

  test('the same bits at any number of threads', () => {
    const before = getNumThreads();
    try {
      for (const [m, k, n] of sizes) {
        manualSeed(m);
        const [a, b] = [random(m, k), random(n, k)];
        const results = [1, 2, 3].map((threads) => {
          setNumThreads(threads);
          return Buffer.from(nn.functional.linear(a, b).dataSync().buffer);
        });
        expect(results.every((bits) => bits.equals(results[0]!))).toBe(true);
      }
    } finally {
      setNumThreads(before);
    }
  });
});

test('a NaN reaches the products with its row, and no other', () => {
  const [a, b] = [randn([6, 512]), randn([300, 512])] as AnyTensor[];
  a!.select(0, 2).slice(0, 511, 512).fill_(NaN);
  const found = nn.functional.linear(a!, b!).dataSync() as Float32Array;
  expect(found.every((value, i) => Number.isNaN(value) === (Math.floor(i / 300) === 2))).toBe(true);
});
