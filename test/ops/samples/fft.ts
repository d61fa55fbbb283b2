// Samples of Fourier transforms, frames and windows, against the sums that define them.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, type Plain, type Sample } from '../sample';

const dtypes: readonly DType[] = ['float64', 'float32'];
const numbers: readonly DType[] = [...dtypes, 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8'];
// Sums of some hundred terms that cancel.
const tolerance = { float32: { rtol: 1e-5, atol: 3e-5 } };

/** cos and sin of −2πi/n. */
const waves = new Map<number, readonly [Float64Array, Float64Array]>();
function wave(n: number, part: number): Float64Array {
  if (!waves.has(n)) {
    const of = (f: (angle: number) => number): Float64Array =>
      Float64Array.from({ length: n }, (_, i) => f((-2 * Math.PI * i) / n));
    waves.set(n, [of(Math.cos), of(Math.sin)]);
  }
  return waves.get(n)![part]!;
}

/** The spectrum of the last axis by its definition. */
function spectrum({ shape, values }: Plain, n = shape[shape.length - 1]!, scale = 1): Plain {
  const time = shape[shape.length - 1]!;
  return generated([...shape.slice(0, -1), Math.floor(n / 2) + 1, 2], (position) => {
    const [k, part] = position.slice(-2) as [number, number];
    const row = ravel([...position.slice(0, -2), 0], shape);
    // Out of the loop, since jest's sandbox makes each look at Math a slow one.
    const [factors, end] = [wave(n, part), Math.min(n, time)];
    let sum = 0;
    for (let j = 0; j < end; j++) sum += values[row + j]! * factors[(k * j) % n]!;
    return sum * scale;
  });
}

/** The sequence of a spectrum [..., bins, 2] by its definition. */
function sequence({ shape, values }: Plain, n: number, scale = 1 / n): Plain {
  const bins = shape[shape.length - 2]!;
  return generated([...shape.slice(0, -2), n], (position) => {
    const j = position[position.length - 1]!;
    const row = ravel([...position.slice(0, -1), 0, 0], shape);
    const [cosines, sines, end] = [wave(n, 0), wave(n, 1), Math.min(bins, Math.floor(n / 2) + 1)];
    let sum = 0;
    for (let k = 0; k < end; k++) {
      const weight = k === 0 || 2 * k === n ? 1 : 2;
      const imaginary = weight === 1 ? 0 : values[row + 2 * k + 1]! * sines[(k * j) % n]!;
      sum += weight * (values[row + 2 * k]! * cosines[(k * j) % n]! + imaginary);
    }
    return sum * scale;
  });
}

const forth: Sample[] = (
  [
    ['four elements', [4], {}],
    ['one element', [1], {}],
    ['two elements', [2], {}],
    ['rows of an odd length', [3, 5], {}],
    ['rows of a prime length', [2, 7], {}],
    ['as many rows as no vector has', [19, 6], {}],
    ['cut', [2, 6], { n: 4 }],
    ['continued by zeros', [2, 3], { n: 5 }],
    ['orthonormal', [2, 6], { norm: 'ortho' }],
    ['divided forth', [5], { norm: 'forward' }],
    ['no rows', [0, 4], {}],
    ['a hundred elements', [2, 100], {}],
    ['a large prime', [2, 67], {}],
    ['few long rows', [1, 2048], {}],
    ['few long odd rows', [1, 1155], {}],
    ['a long prime', [1, 1031], {}],
    // More than a GPU's block has room for.
    ['long rows', [2, 8232], { norm: 'ortho' }],
    ['a longer prime', [1, 2053], { norm: 'ortho' }],
  ] as readonly (readonly [string, Shape, hadal.FftOptions])[]
).map(([variant, shape, options]) => {
  const n = (options.n as number | undefined) ?? shape[shape.length - 1]!;
  const scale = options.norm === 'ortho' ? 1 / Math.sqrt(n) : options.norm === 'forward' ? 1 / n : 1;
  return {
    op: 'rfft',
    variant,
    dtypes,
    inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
    call: (x) => hadal.rfft(x!, options) as AnyTensor,
    reference: (x) => spectrum(x!, n, scale),
    // Differences of longer ones take their time.
    order: n > 20 || shape[0] === 19 ? 0 : 2,
    tolerance,
  };
});

const back: Sample[] = (
  [
    ['three bins', [3, 2], {}],
    ['one bin', [1, 2], { n: 1 }],
    ['rows of an odd length', [2, 3, 2], { n: 5 }],
    ['rows of a prime length', [2, 4, 2], { n: 7 }],
    ['as many rows as no vector has', [19, 4, 2], {}],
    ['bins left out', [2, 5, 2], { n: 4 }],
    ['bins that are missing', [2, 2, 2], { n: 6 }],
    ['orthonormal', [2, 4, 2], { norm: 'ortho' }],
    ['divided forth', [4, 2], { norm: 'forward' }],
    ['no rows', [0, 3, 2], {}],
    ['a large prime', [2, 34, 2], { n: 67 }],
    ['few long rows', [1, 1025, 2], {}],
    ['few long odd rows', [1, 578, 2], { n: 1155 }],
    ['a long prime', [1, 516, 2], { n: 1031 }],
    ['long rows', [2, 4117, 2], { norm: 'ortho' }],
    ['a longer prime', [1, 1027, 2], { norm: 'ortho', n: 2053 }],
  ] as readonly (readonly [string, Shape, hadal.FftOptions])[]
).map(([variant, shape, options]) => {
  const n = (options.n as number | undefined) ?? 2 * (shape[shape.length - 2]! - 1);
  const scale = options.norm === 'ortho' ? 1 / Math.sqrt(n) : options.norm === 'forward' ? 1 : 1 / n;
  return {
    op: 'irfft',
    variant,
    dtypes,
    inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
    call: (x) => hadal.irfft(x!, options) as AnyTensor,
    reference: (x) => sequence(x!, n, scale),
    order: n > 20 || shape[0] === 19 ? 0 : 2,
    tolerance,
  };
});

/** The transform of complex x [..., n, 2] along an axis by its definition, back with sign 1. */
function complexSpectrum({ shape, values }: Plain, axis: number, n: number, sign: 1 | -1, scale: number): Plain {
  const size = shape[axis]!;
  const stride = shape.slice(axis + 1).reduce((product, own) => product * own, 1);
  return generated(
    shape.map((own, i) => (i === axis ? n : own)),
    (position) => {
      const k = position[axis]!;
      const part = position.at(-1)!;
      const start = ravel([...position.map((own, i) => (i === axis ? 0 : own)).slice(0, -1), 0], shape);
      const [cosines, sines, end] = [wave(n, 0), wave(n, 1), Math.min(n, size)];
      let sum = 0;
      for (let j = 0; j < end; j++) {
        const [re, im] = [values[start + j * stride]!, values[start + j * stride + 1]!];
        const [c, s] = [cosines[(k * j) % n]!, -sign * sines[(k * j) % n]!];
        sum += part === 0 ? re * c - im * s : re * s + im * c;
      }
      return sum * scale;
    },
  );
}

const complex: Sample[] = (
  [
    ['two points', [2, 2], {}],
    ['one point', [1, 2], {}],
    ['rows of an odd length', [3, 5, 2], {}],
    ['rows of a prime length', [2, 7, 2], {}],
    ['as many rows as no vector has', [19, 6, 2], {}],
    ['cut', [2, 6, 2], { n: 4 }],
    ['continued by zeros', [2, 3, 2], { n: 5 }],
    ['orthonormal', [2, 6, 2], { norm: 'ortho' }],
    ['divided forth', [5, 2], { norm: 'forward' }],
    ['another axis', [4, 3, 2], { axis: 0 }],
    ['an axis before one of size 1', [2, 5, 1, 2], { axis: 1 }],
    ['columns, more than a vector has', [2, 5, 37, 2], { axis: 1 }],
    ['columns of a large prime', [67, 3, 2], { axis: 0 }],
    ['long columns', [4116, 2, 2], { axis: 0, norm: 'ortho' }],
    ['no rows', [0, 4, 2], {}],
    ['a large prime', [2, 67, 2], {}],
    ['few long rows', [1, 1024, 2], {}],
    ['a long prime', [1, 1031, 2], {}],
    // More than a GPU's block has room for.
    ['long rows', [2, 4116, 2], { norm: 'ortho' }],
    ['a longer prime', [1, 2053, 2], { norm: 'ortho' }],
  ] as readonly (readonly [string, Shape, hadal.FftOptions])[]
).flatMap(([variant, shape, options]) =>
  (['fft', 'ifft'] as const).map((op): Sample => {
    const axis = options.axis ?? shape.length - 2;
    const n = options.n ?? shape[axis]!;
    const divides = op === 'fft' ? 'forward' : 'backward';
    const { norm = 'backward' } = options;
    const scale = norm === 'ortho' ? 1 / Math.sqrt(n) : norm === divides ? 1 / n : 1;
    return {
      op,
      variant,
      dtypes,
      inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
      call: (x) => hadal[op](x!, options) as AnyTensor,
      reference: (x) => complexSpectrum(x!, axis, n, op === 'fft' ? -1 : 1, scale),
      order: n > 20 || Math.max(...shape) > 18 ? 0 : 2,
      tolerance,
    };
  }),
);

const turned: Sample = {
  op: 'fft',
  variant: 'columns in another order of axes',
  dtypes,
  inputs: (draw, dtype) => [draw.tensor([4, 3, 2, 2], dtype)],
  call: (x) => hadal.fft(x!.transpose(1, 2), { axis: 0 }) as AnyTensor,
  reference: (x) => {
    const whole = complexSpectrum(x!, 0, 4, -1, 1);
    return generated([4, 2, 3, 2], ([k, i, j, part]) => whole.values[ravel([k!, j!, i!, part!], whole.shape)]!);
  },
  order: 2,
  tolerance,
};

/** Real x as pairs, with imaginary parts of zero. */
const withZeros = ({ shape, values }: Plain): Plain =>
  generated([...shape, 2], (position) => (position.at(-1) === 0 ? values[ravel(position.slice(0, -1), shape)]! : 0));

const severalAxes: Sample[] = [
  {
    op: 'rfftn',
    variant: 'all axes',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype)],
    call: (x) => hadal.rfftn(x!) as AnyTensor,
    reference: (x) => {
      const whole = complexSpectrum(complexSpectrum(withZeros(x!), 1, 4, -1, 1), 0, 3, -1, 1);
      return generated([3, 3, 2], (position) => whole.values[ravel(position, whole.shape)]!);
    },
    order: 2,
    tolerance,
  },
  {
    op: 'irfftn',
    variant: 'what rfftn makes, with lengths, in another order of axes',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([2, 5, 4], dtype)],
    call: (x) => hadal.irfftn(hadal.rfftn(x!, { axes: [2, 1] }), { axes: [2, 1], n: [4, 5] }) as AnyTensor,
    reference: (x) => x!,
    order: 2,
    tolerance,
  },
  {
    op: 'fftn',
    variant: 'two of three axes',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([3, 2, 5, 2], dtype)],
    call: (x) => hadal.fftn(x!, { axes: [0, -1], n: [4, 3] }) as AnyTensor,
    reference: (x) => complexSpectrum(complexSpectrum(x!, 0, 4, -1, 1), 2, 3, -1, 1),
    order: 2,
    tolerance,
  },
  {
    op: 'ifftn',
    variant: 'all axes',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([3, 4, 2], dtype)],
    call: (x) => hadal.ifftn(x!, { norm: 'ortho' }) as AnyTensor,
    reference: (x) => complexSpectrum(complexSpectrum(x!, 0, 3, 1, 3 ** -0.5), 1, 4, 1, 1 / 2),
    order: 2,
    tolerance,
  },
];

const alongAxis: Sample[] = [
  {
    op: 'rfft',
    variant: 'another axis',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([4, 3], dtype)],
    call: (x) => hadal.rfft(x!, { axis: 0 }).select(2, 1) as AnyTensor,
    reference: (x) =>
      generated([3, 3], ([k, row]) => {
        let sum = 0;
        for (let j = 0; j < 4; j++) sum += x!.values[j * 3 + row!]! * wave(4, 1)[(k! * j) % 4]!;
        return sum;
      }),
    order: 2,
    tolerance,
  },
  {
    op: 'irfft',
    variant: 'another axis',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([3, 2, 2], dtype)],
    call: (x) => hadal.irfft(x!, { axis: 0 }).transpose() as AnyTensor,
    reference: (x) =>
      sequence(
        { shape: [2, 3, 2], values: generated([2, 3, 2], ([r, k, c]) => x!.values[k! * 4 + r! * 2 + c!]!).values },
        4,
      ),
    order: 2,
    tolerance,
  },
];

const frames: Sample[] = (
  [
    ['that overlap', [7], 3, 2],
    ['side by side', [2, 6], 3, 3],
    ['with gaps and a rest', [2, 8], 2, 3],
    ['one', [4], 4, 1],
    ['of no signals', [0, 4], 2, 1],
  ] as const
).map(([variant, shape, size, hop]) => ({
  op: 'frame',
  variant,
  dtypes: numbers,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
  call: (x) => hadal.frame(x!, size, hop) as AnyTensor,
  reference: (x) => {
    const time = x!.shape[x!.shape.length - 1]!;
    const count = Math.floor((time - size) / hop) + 1;
    return generated([...x!.shape.slice(0, -1), count, size], (position) => {
      const [f, j] = position.slice(-2) as [number, number];
      return x!.values[ravel([...position.slice(0, -2), f * hop + j], x!.shape)]!;
    });
  },
  order: 2,
}));

const sums: Sample[] = (
  [
    ['overlapping', [3, 3], 2],
    ['overlapping much', [2, 4, 3], 1],
    ['side by side', [2, 2, 3], 3],
    ['with gaps', [2, 2], 3],
    ['one frame', [1, 4], 2],
    ['no frames', [0, 4], 2],
    ['no signals', [0, 2, 3], 2],
  ] as readonly (readonly [string, Shape, number])[]
).map(([variant, shape, hop]) => ({
  op: 'overlapAdd',
  variant,
  dtypes: ['float64', 'float32', 'int32'],
  inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
  call: (x) => hadal.overlapAdd(x!, hop) as AnyTensor,
  reference: (x) => {
    const [count, size] = shape.slice(-2) as [number, number];
    return generated([...shape.slice(0, -2), count === 0 ? 0 : (count - 1) * hop + size], (position) => {
      const t = position[position.length - 1]!;
      let sum = 0;
      for (let f = 0; f < count; f++) {
        const j = t - f * hop;
        if (j >= 0 && j < size) sum += x!.values[ravel([...position.slice(0, -1), f, j], shape)]!;
      }
      return sum;
    });
  },
  order: 2,
}));

const shortTime: Sample[] = (
  [
    ['centred', [10], 4, {}],
    ['a batch, not centred', [2, 9], 4, { center: false, hopLength: 2 }],
    ['an odd size', [9], 5, { hopLength: 3, padMode: 'constant' }],
    ['a short window, normalized', [8], 4, { winLength: 3, normalized: true }],
  ] as readonly (readonly [string, Shape, number, hadal.StftOptions])[]
).map(([variant, shape, size, options]) => ({
  op: 'stft',
  variant,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype), draw.tensor([options.winLength ?? size], dtype, 0.2, 1)],
  call: (x, window) => hadal.stft(x!, size, { ...options, window: window! }) as AnyTensor,
  reference: (x, window) => {
    const { hopLength: hop = Math.max(1, Math.floor(size / 4)), winLength = size, center = true } = options;
    const half = center ? Math.floor(size / 2) : 0;
    const time = shape[shape.length - 1]!;
    const before = Math.floor((size - winLength) / 2);
    const at = (row: number, t: number): number => {
      if (options.padMode === 'constant') return t < 0 || t >= time ? 0 : x!.values[row + t]!;
      return x!.values[row + (t < 0 ? -t : t >= time ? 2 * time - 2 - t : t)]!;
    };
    const count = Math.floor((time + 2 * half - size) / hop) + 1;
    return generated([...shape.slice(0, -1), Math.floor(size / 2) + 1, count, 2], (position) => {
      const [k, f, part] = position.slice(-3) as [number, number, number];
      const row = ravel([...position.slice(0, -3), 0], shape);
      let sum = 0;
      for (let j = 0; j < winLength; j++) {
        const value = window!.values[j]! * at(row, f * hop + before + j - half);
        sum += value * wave(size, part)[(k * (before + j)) % size]!;
      }
      return options.normalized === true ? sum / Math.sqrt(size) : sum;
    });
  },
  order: 2,
  tolerance,
}));

const longTime: Sample[] = (
  [
    ['of a signal', [10], 4, {}],
    ['of a batch, with a length', [2, 12], 4, { hopLength: 2, length: 11 }],
    ['of an odd size', [9], 5, { hopLength: 2, normalized: true, length: 9 }],
    ['past the last frame', [8], 4, { center: false, length: 10 }],
  ] as readonly (readonly [string, Shape, number, hadal.IstftOptions])[]
).map(([variant, shape, size, options]) => ({
  op: 'istft',
  variant,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype), draw.tensor([size], dtype, 0.2, 1)],
  call: (x, window) => {
    const { length: _length, ...rest } = options;
    const spectra = hadal.stft(x!, size, { ...rest, window: window! });
    return hadal.istft(spectra, size, { ...options, window: window! }) as AnyTensor;
  },
  // What went in comes out.
  reference: (x) => {
    const time = shape[shape.length - 1]!;
    return generated([...shape.slice(0, -1), (options.length as number | undefined) ?? time], (position) => {
      const t = position[position.length - 1]!;
      return t < time ? x!.values[ravel([...position.slice(0, -1), t], shape)]! : 0;
    });
  },
  order: 2,
  tolerance,
}));

const windows: Sample[] = (
  [
    ['hannWindow', (x: number) => Math.sin(Math.PI * x) ** 2],
    ['hammingWindow', (x: number) => 0.54 - 0.46 * Math.cos(2 * Math.PI * x)],
    ['blackmanWindow', (x: number) => 0.42 - 0.5 * Math.cos(2 * Math.PI * x) + 0.08 * Math.cos(4 * Math.PI * x)],
    ['bartlettWindow', (x: number) => 1 - Math.abs(2 * x - 1)],
    // I₀ at 12·√(1 − (2x − 1)²) over I₀(12), by numpy.i0.
    [
      'kaiserWindow',
      (x: number) =>
        new Map([
          [0, 5.2773441320097665e-5],
          [0.25, 0.2156727447589671],
          [0.5, 1],
          [0.75, 0.2156727447589671],
          [1, 5.2773441320097665e-5],
        ]).get(x)!,
    ],
  ] as const
).flatMap(([op, f]) =>
  ([true, false] as const).map((periodic): Sample => ({
    op,
    variant: periodic ? 'periodic' : 'symmetric',
    dtypes: ['float64'],
    inputs: () => [],
    call: () => hadal[op](periodic ? 4 : 5, { periodic, dtype: 'float64' }),
    result: () => 'float64',
    reference: () => generated([periodic ? 4 : 5], ([i]) => f(i! / 4)),
    order: 0,
  })),
);

export const samples: Sample[] = [
  ...forth,
  ...back,
  ...alongAxis,
  ...complex,
  turned,
  ...severalAxes,
  ...frames,
  ...sums,
  ...shortTime,
  ...longTime,
  ...windows,
];
