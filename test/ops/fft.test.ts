// Fourier transforms: wrong arguments, any number of threads, and values of torch.stft.
import {
  arange,
  fft,
  fftn,
  frame,
  hannWindow,
  ifft,
  irfft,
  irfftn,
  istft,
  manualSeed,
  ones,
  overlapAdd,
  randn,
  rfft,
  rfftn,
  setNumThreads,
  stack,
  getNumThreads,
  stft,
  tensor,
  type AnyTensor,
} from '../../lib/index';
import { plain } from './sample';

test.each([
  [() => rfft(ones([]) as AnyTensor), 'rfft: axis -1 out of range for shape []'],
  [() => rfft(ones([2, 0])), 'rfft: n: got 0 for shape [2, 0], expected a length from 1 to 2^30 - 1'],
  [() => rfft(ones([4]), { norm: 'half' as 'ortho' }), 'rfft: norm: got half, expected backward, forward or ortho'],
  [() => rfft(ones([4], { dtype: 'int32' })), 'rfft: dtype: got int32, expected float64, float32'],
  [
    () => irfft(ones([4, 3]) as AnyTensor),
    'irfft: not pairs: got shape [4, 3], expected a last axis of real and imaginary parts',
  ],
  [() => irfft(ones([1, 2])), 'irfft: n: got 0 for shape [1, 2], expected a length from 1 to 2^30 - 1'],
  [
    () => fft(ones([4]) as AnyTensor),
    'fft: not pairs: got shape [4], expected a last axis of real and imaginary parts',
  ],
  [() => fft(ones([4, 2]), { axis: 1 }), 'fft: axis 1 out of range for shape [4]'],
  [() => ifft(ones([0, 2])), 'ifft: n: got 0 for shape [0, 2], expected a length from 1 to 2^30 - 1'],
  [() => rfftn(ones([])), 'rfftn: axes: got none for shape [], expected at least one'],
  [() => rfftn(ones([2, 3]), { axes: [1, -1] }), 'rfftn: axis 1 given twice for shape [2, 3]'],
  [() => rfftn(ones([2, 3]), { n: [4], axes: [0, 1] }), 'rfftn: n: got 1 lengths, expected 2, one for each axis'],
  [() => rfftn(ones([2, 3]), { n: [4, 4, 4] }), 'rfftn: n: got 3 lengths, expected 2, one for each axis'],
  [() => fftn(ones([2, 3, 2]), { n: [4, 0] }), 'fftn: n: got 0 for shape [4, 3, 2], expected a length from 1 to 2^30 - 1'], // prettier-ignore
  [() => irfftn(ones([2, 1, 2])), 'irfftn: n: got 0 for shape [2, 1, 2], expected a length from 1 to 2^30 - 1'],
  [() => frame(ones([3]), 4, 1), 'frame: too short: got shape [3], expected at least 4 elements of time'],
  [() => frame(ones([3]), 2, 0), 'frame: hop: got 0, expected a positive integer'],
  [() => overlapAdd(ones([3]), 1), 'overlapAdd: no frames: got shape [3], expected [..., frames, size]'],
  [() => stft(ones([2]), 4), 'stft: too short: got shape [2], expected at least 3 elements of time'],
  [() => stft(ones([9]), 4, { winLength: 5 }), 'stft: winLength: got 5, expected at most 4 as nFft'],
  [() => stft(ones([9]), 4, { window: ones([3]) }), 'stft: window does not fit: got shape [3], expected [4]'],
  [() => istft(ones([4, 2, 2]), 4), 'istft: spectra do not fit: got shape [4, 2, 2], expected [..., 3, frames, 2]'],
  [() => hannWindow(-1), 'hannWindow: size: got -1, expected an integer from 0 to 4194304'],
])('%#: refuses', (f, message) => {
  expect(f).toThrow(new Error(message));
});

test('the same bits at any number of threads, of many rows and of a long one', () => {
  manualSeed(0);
  const rows = randn([70, 600]);
  const long = randn([20_000]);
  const complex = randn([35, 300, 2]);
  const results = (threads: number): unknown[] => {
    setNumThreads(threads);
    return [
      rfft(rows),
      irfft(rfft(rows)),
      rfft(long),
      irfft(rfft(long)),
      rfft(long.narrow(0, 0, 10_007)),
      fft(complex),
      ifft(long.reshape([10_000, 2])),
    ].map((x) => plain(x as AnyTensor));
  };
  const before = getNumThreads();
  const one = results(1);
  const several = results(3);
  setNumThreads(before);
  expect(several).toEqual(one);
});

test('stft as torch computes it', () => {
  const x = arange(1, 11, 1, { dtype: 'float64' });
  const y = stft(x, 4, { hopLength: 2, window: hannWindow(4, { dtype: 'float64' }) });
  const expected = [
    ...[3, 0, 6, 0, 10, 0, 14, 0, 18, 0, 18, 0],
    ...[-1, 0, -3, 1, -5, 1, -7, 1, -9, 1, -9, -1],
    ...[-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ];
  expect(y.shape).toEqual([3, 6, 2]);
  plain(y).values.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 12));
});

describe.each(['float64', 'float32'] as const)('lengths of every kind in %s', (dtype) => {
  // Within lanes and beyond them, powers of two, composites whose rectangles are full and not, primes, and what all threads transform together.
  const lengths = [11, 16, 48, 64, 100, 128, 239, 256, 300, 441, 480, 509, 512, 1009, 1500, 4096, 4099, 5000, 8192, 32_768, 33_075, 65_536]; // prettier-ignore
  const tolerance = dtype === 'float64' ? 1e-14 : 4e-7;

  /** What a few bins of x [rows, n, 2] are by definition, [rows, bins, 2]. */
  function binsOf(x: AnyTensor, bins: readonly number[]): AnyTensor {
    const n = x.shape[1]!;
    const waves = [Math.cos, Math.sin].map((f) => {
      const turns = Float64Array.from({ length: n }, (_, i) => f((-2 * Math.PI * i) / n));
      const factors = new Float64Array(n * bins.length);
      for (let j = 0; j < n; j++) bins.forEach((k, b) => (factors[j * bins.length + b] = turns[(j * k) % n]!));
      return tensor(factors, { shape: [n, bins.length] }) as AnyTensor;
    });
    const [re, im] = x.cast('float64').unbind(-1) as [AnyTensor, AnyTensor];
    const [cosines, sines] = waves as [AnyTensor, AnyTensor];
    return stack([re.matmul(cosines).sub(im.matmul(sines)), re.matmul(sines).add(im.matmul(cosines))], -1) as AnyTensor;
  }

  test.each(lengths)('%i', (n) => {
    manualSeed(n);
    // Relative to the largest bin, whose size is about √n.
    const near = (got: AnyTensor, expected: AnyTensor, what: string): void => {
      const error = got.cast('float64').sub(expected).abs().max().itemSync();
      const size = expected.abs().max().itemSync();
      if (!(error <= tolerance * size * Math.log2(n))) throw new Error(`${what}: off by ${error} of ${size}`);
    };
    const bins = [0, 1, n >> 1, ...[0.13, 0.37, 0.71].map((part) => Math.floor(part * n)), n - 1];
    const places = tensor(Int32Array.from(bins));
    for (const rows of n > 5000 ? [1, 9] : [1, 3, 9, 37]) {
      const x = randn([rows, n, 2], { dtype }) as AnyTensor;
      const expected = binsOf(x, bins);
      const spectrum = fft(x) as AnyTensor;
      near(spectrum.indexSelect(1, places), expected, `${rows} rows`);
      near(ifft(spectrum) as AnyTensor, x, `${rows} rows and back`);
      const columns = x.transpose(0, 1).clone() as AnyTensor;
      near(fft(columns, { axis: 0 }).transpose(0, 1).indexSelect(1, places), expected, `${rows} columns`);
      near(fft(columns.transpose(0, 1)).indexSelect(1, places), expected, `${rows} rows that lie as columns`);
      const real = x.select(2, 0) as AnyTensor;
      const half = bins.filter((k) => k <= n >> 1);
      const alone = stack([real, real.mul(0)], -1) as AnyTensor;
      const halves = rfft(real) as AnyTensor;
      near(halves.indexSelect(1, tensor(Int32Array.from(half))), binsOf(alone, half), `${rows} real rows`);
      near(irfft(halves, { n }) as AnyTensor, real, `${rows} real rows and back`);
    }
  });
});
