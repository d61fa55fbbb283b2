// Products and convolutions of 16-bit floats through every way that kernels take by size and layout: rounded once from sums of at least float, whatever the
// number of threads.
import { createHash } from 'node:crypto';

import { getNumThreads, manualSeed, matmul, nn, randn, setNumThreads, type AnyTensor } from '../../lib';

const sizes = [
  [1, 40, 9],
  [5, 3000, 40],
  [17, 33, 5],
  [32, 32, 32],
  [100, 70, 130],
  [256, 2500, 96],
  [300, 777, 333],
  [512, 512, 640],
] as const;

/** Largest error in units of the sum of absolute products: half a unit in the last place and float's own rounding are allowed. */
function error(y: AnyTensor, a: AnyTensor, b: AnyTensor, bias?: AnyTensor): number {
  const [wideA, wideB] = [a.cast('float64'), b.cast('float64')];
  const exact: AnyTensor = bias === undefined ? matmul(wideA, wideB) : matmul(wideA, wideB).add(bias.cast('float64'));
  const scale = matmul(wideA.abs(), wideB.abs());
  const rounding = exact.abs().mul(y.dtype === 'bfloat16' ? 2 ** -8 : 2 ** -11);
  return y.cast('float64').sub(exact).abs().sub(rounding).div(scale).max().itemSync();
}

const digest = (x: AnyTensor): string =>
  createHash('sha1')
    .update(Buffer.from(x.cast('float32').dataSync().buffer))
    .digest('hex');

describe.each(['bfloat16', 'float16'] as const)('%s', (dtype) => {
  test.each(sizes)('%d × %d × %d in every layout', (m, k, n) => {
    manualSeed(m + k + n);
    const a = { rows: randn([m, k]).cast(dtype), columns: randn([k, m]).cast(dtype).transpose(0, 1) };
    const b = { rows: randn([k, n]).cast(dtype), columns: randn([n, k]).cast(dtype).transpose(0, 1) };
    const bias = randn([n]).cast(dtype);
    for (const left of [a.rows, a.columns] as AnyTensor[]) {
      for (const right of [b.rows, b.columns] as AnyTensor[]) {
        expect(error(matmul(left, right), left, right)).toBeLessThan(1e-6);
        const y: AnyTensor = nn.functional.linear(left, right.transpose(0, 1), bias);
        expect(error(y, left, right, bias)).toBeLessThan(1e-6);
      }
    }
  });

  test('the same bits at any number of threads', () => {
    manualSeed(1);
    const a = randn([300, 777]).cast(dtype);
    const b = randn([777, 333]).cast(dtype);
    const before = getNumThreads();
    try {
      const results = [1, 2, 3].map((threads) => {
        setNumThreads(threads);
        return digest(matmul(a, b));
      });
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    } finally {
      setNumThreads(before);
    }
  });

  // Batch, channels in and out, height, width, kernel, stride, padding, dilation, groups.
  test.each([
    [2, 64, 64, 14, 14, 3, 1, 1, 1, 1],
    [2, 3, 64, 30, 28, 7, 2, 3, 1, 1],
    [1, 16, 16, 32, 32, 3, 1, 1, 1, 1],
    [1, 32, 40, 17, 19, 3, 2, 1, 1, 1],
    [2, 64, 32, 8, 8, 1, 2, 0, 1, 1],
    [1, 64, 64, 12, 13, 3, 1, 2, 2, 2],
    [1, 5, 3, 9, 40, 3, 1, 1, 1, 1],
    [1, 8, 8, 9, 9, 3, 1, 1, 1, 8],
    [3, 40, 70, 31, 45, 3, 1, 1, 1, 1],
    [2, 256, 64, 28, 28, 1, 1, 0, 1, 1],
    [5, 71, 45, 14, 13, 1, 1, 0, 1, 1],
    [3, 128, 330, 5, 57, 1, 1, 0, 1, 1],
    [1, 20, 24, 3, 1500, 3, 1, 1, 1, 1],
    [2, 48, 16, 20, 21, 5, 3, 2, 1, 1],
    [3, 4, 40, 17, 19, 3, 1, 0, 1, 1],
    [1, 2, 33, 20, 145, 5, 3, 4, 1, 1],
    [2, 1, 16, 45, 43, 4, 2, 1, 3, 1],
  ])(
    'conv2d [%d, %d→%d, %d, %d] %d, stride %d, padding %d, dilation %d, groups %d',
    (n, c, o, h, w, k, stride, padding, dilation, groups) => {
      manualSeed(n + c + o + h + w);
      const halves = [randn([n, c, h, w]), randn([o, c / groups, k, k]), randn([o])].map((x) =>
        x.cast(dtype).requiresGrad_(),
      ) as AnyTensor[];
      const doubles = halves.map((x) => x.detach().cast('float64').requiresGrad_());
      const [y, exactY] = [halves, doubles].map(([x, weight, bias]): AnyTensor =>
        nn.functional.conv2d(x!, weight!, bias, { stride, padding, dilation, groups }),
      ) as [AnyTensor, AnyTensor];
      const gradient = randn(y.shape).cast(dtype);
      y.backward({ gradient });
      exactY.backward({ gradient: gradient.cast('float64') });
      const pairs = [[y, exactY], ...halves.slice(0, 2).map((x, i) => [x.grad!, doubles[i]!.grad!])] as [
        AnyTensor,
        AnyTensor,
      ][];
      for (const [rounded, exact] of pairs) {
        const difference = rounded.detach().cast('float64').sub(exact.detach());
        const largest = exact.detach().abs().max().itemSync();
        expect(difference.abs().max().itemSync() / largest).toBeLessThan(dtype === 'bfloat16' ? 2 ** -8 : 2 ** -10);
      }
    },
  );

  test('convolutions and their gradients: the same bits at any number of threads, and of channels-last images', () => {
    manualSeed(2);
    const weight = randn([40, 48, 3, 3]).cast(dtype).requiresGrad_() as AnyTensor;
    const planes = randn([4, 48, 30, 33]).cast(dtype) as AnyTensor;
    const lastChannels = planes.permute([0, 2, 3, 1]).clone().permute([0, 3, 1, 2]);
    const gradient = randn([4, 40, 30, 33]).cast(dtype) as AnyTensor;
    const before = getNumThreads();
    const run = (image: AnyTensor, threads: number): string[] => {
      setNumThreads(threads);
      const x = image.detach().requiresGrad_();
      weight.grad = undefined;
      const y: AnyTensor = nn.functional.conv2d(x, weight, undefined, { padding: 1 });
      y.backward({ gradient });
      return [y.detach(), x.grad!, weight.grad!].map(digest);
    };
    try {
      const expected = run(planes, 1);
      for (const threads of [2, 3]) expect(run(planes, threads)).toEqual(expected);
      expect(run(lastChannels, 2)).toEqual(expected);
    } finally {
      setNumThreads(before);
    }
  });

  test('what is infinite beside a window does not reach it', () => {
    const x = randn([1, 3, 6, 6]).cast(dtype);
    const weight = randn([4, 3, 3, 3]).cast(dtype);
    const y: AnyTensor = nn.functional.conv2d(x, weight);
    const infinite = nn.functional.conv2d(
      x.pad(
        [
          [0, 0],
          [0, 1],
        ],
        { value: Infinity },
      ),
      weight,
    ) as AnyTensor;
    expect(infinite.slice(-1, 0, 4).cast('float32').dataSync()).toEqual(y.cast('float32').dataSync());

    // The last column is in no window of stride 2.
    const gradientOf = (image: AnyTensor): unknown => {
      const kernel = weight.detach().requiresGrad_() as AnyTensor;
      (nn.functional.conv2d(image, kernel, undefined, { stride: 2 }) as AnyTensor).sum().backward();
      return kernel.grad!.cast('float32').dataSync();
    };
    const even = randn([1, 3, 7, 6]).cast(dtype) as AnyTensor;
    even.select(-1, 5).fill_(Infinity);
    expect(gradientOf(even)).toEqual(gradientOf(even.slice(-1, 0, 5)));
  });
});
