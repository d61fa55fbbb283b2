// Samples of convolution and pooling.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, type Plain, type Sample } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
type Two = readonly [number, number];

interface Window {
  readonly kernel: Two;
  readonly stride?: Two;
  /** Before the first element; as many behind the last, but for `after`. */
  readonly padding?: Two;
  readonly after?: Two;
  readonly dilation?: Two;
  readonly ceil?: boolean;
}

/** How many windows there are along both axes. */
function places(sizes: readonly number[], w: Window): number[] {
  return [0, 1].map((i) => {
    const { kernel, stride = kernel, padding = [0, 0], after = padding, dilation = [1, 1] } = w;
    const room = sizes[i]! + padding[i]! + after[i]! - dilation[i]! * (kernel[i]! - 1) - 1;
    const count = (w.ceil ? Math.ceil : Math.floor)(room / stride[i]!) + 1;
    return w.ceil && (count - 1) * stride[i]! >= sizes[i]! + padding[i]! ? count - 1 : count;
  });
}

/** The positions of a window: in the kernel, and in the image (perhaps outside it). */
function* positions(y: number, x: number, w: Window): Generator<{ kernel: Two; image: Two }> {
  const { kernel, stride = kernel, padding = [0, 0], dilation = [1, 1] } = w;
  for (let i = 0; i < kernel[0]; i++) {
    for (let j = 0; j < kernel[1]; j++) {
      const image = [
        y * stride[0] - padding[0] + i * dilation[0],
        x * stride[1] - padding[1] + j * dilation[1],
      ] as const;
      yield { kernel: [i, j], image };
    }
  }
}
const inside = ([i, j]: Two, shape: readonly number[]): boolean => i >= 0 && i < shape[2]! && j >= 0 && j < shape[3]!;

function convolved(x: Plain, weight: Plain, bias: Plain | undefined, groups: number, w: Window): Plain {
  const [n, , ...sizes] = x.shape as [number, number, number, number];
  const [out, perGroup] = weight.shape as [number, number];
  return generated([n, out, ...places(sizes, w)], ([image, o, i, j]) => {
    let sum = bias?.values[o!] ?? 0;
    const first = Math.floor(o! / (out / groups)) * perGroup;
    for (const at of positions(i!, j!, w)) {
      if (!inside(at.image, x.shape)) continue;
      for (let c = 0; c < perGroup; c++) {
        const value = x.values[ravel([image!, first + c, ...at.image], x.shape)]!;
        sum += value * weight.values[ravel([o!, c, ...at.kernel], weight.shape)]!;
      }
    }
    return sum;
  });
}

interface Convolution {
  readonly x: Shape;
  readonly out: number;
  readonly window: Window;
  readonly options?: hadal.Conv2dOptions;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly order?: 0 | 2;
}
const ones: Two = [1, 1];
const convolutions: Record<string, Convolution> = {
  'three by three': { x: [2, 2, 4, 5], out: 3, window: { kernel: [3, 3], stride: ones } },
  'one by one': { x: [2, 3, 2, 3], out: 2, window: { kernel: [1, 1], stride: ones }, bias: true },
  'strides and padding': {
    x: [1, 2, 5, 4],
    out: 2,
    window: { kernel: [3, 2], stride: [2, 1], padding: [1, 2] },
    options: { stride: [2, 1], padding: [1, 2] },
    bias: true,
  },
  dilation: {
    x: [1, 2, 6, 5],
    out: 2,
    window: { kernel: [2, 3], stride: ones, dilation: [3, 2] },
    options: { dilation: [3, 2] },
  },
  groups: { x: [2, 4, 3, 3], out: 6, window: { kernel: [2, 2], stride: ones }, groups: 2, bias: true },
  'one channel per group': { x: [1, 3, 4, 4], out: 3, window: { kernel: [3, 3], stride: ones }, groups: 3 },
  same: {
    x: [1, 1, 4, 3],
    out: 2,
    window: { kernel: [4, 3], stride: ones, padding: [1, 1], after: [2, 1] },
    options: { padding: 'same' },
  },
  'no images': { x: [0, 2, 4, 4], out: 3, window: { kernel: [3, 3], stride: ones }, bias: true },
  'more channels': {
    x: [2, 19, 9, 11],
    out: 33,
    window: { kernel: [3, 3], stride: ones, padding: ones },
    options: { padding: 1 },
    bias: true,
    order: 0,
  },
};
const conv2d = hadal.conv2d as (
  x: AnyTensor,
  weight: AnyTensor,
  bias?: AnyTensor,
  options?: hadal.Conv2dOptions,
) => AnyTensor;

const convolutionSamples: Sample[] = Object.entries(convolutions).map(
  ([variant, { x, out, window, options = {}, groups = 1, bias = false, order = 2 }]) => ({
    op: 'conv2d',
    variant,
    dtypes: floats,
    inputs: (draw, dtype) => [
      draw.tensor(x, dtype),
      draw.tensor([out, x[1]! / groups, ...window.kernel], dtype),
      ...(bias ? [draw.tensor([out], dtype)] : []),
    ],
    call: (image, weight, shift) => conv2d(image, weight, shift, { ...options, groups }),
    reference: (image, weight, shift) => convolved(image, weight, shift, groups, window),
    order,
    // Sums of up to 171 products, in another order than the reference's.
    tolerance: { float32: { rtol: 1.3e-6, atol: 4e-5 } },
  }),
);

function pooled(x: Plain, w: Window, join: (values: number[], outside: number, positions: number[]) => number): Plain {
  const [n, c, ...sizes] = x.shape as [number, number, number, number];
  return generated([n, c, ...places(sizes, w)], ([image, channel, i, j]) => {
    const values: number[] = [];
    const where: number[] = [];
    let outside = 0;
    for (const at of positions(i!, j!, w)) {
      if (inside(at.image, x.shape)) {
        values.push(x.values[ravel([image!, channel!, ...at.image], x.shape)]!);
        where.push(at.image[0] * x.shape[3]! + at.image[1]);
      } else {
        // Rounding up, a window may reach past the padding; what lies there does not count.
        const [top, left] = w.padding ?? [0, 0];
        if (at.image[0] < x.shape[2]! + top && at.image[1] < x.shape[3]! + left) outside++;
      }
    }
    return join(values, outside, where);
  });
}

interface Pooling {
  readonly x: Shape;
  readonly window: Window;
  readonly options?: hadal.AvgPool2dOptions;
}
const poolings: Record<string, Pooling> = {
  halves: { x: [2, 2, 4, 6], window: { kernel: [2, 2] } },
  'a rest': { x: [1, 2, 5, 4], window: { kernel: [2, 3] } },
  'windows that overlap': {
    x: [1, 2, 5, 5],
    window: { kernel: [3, 2], stride: [1, 2] },
    options: { stride: [1, 2] },
  },
  padding: {
    x: [1, 2, 4, 5],
    window: { kernel: [3, 3], stride: [2, 2], padding: [1, 1] },
    options: { stride: 2, padding: 1 },
  },
  'rounded up': {
    x: [1, 1, 6, 4],
    window: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], ceil: true },
    options: { stride: 2, padding: 1, ceilMode: true },
  },
  'no images': { x: [0, 2, 4, 4], window: { kernel: [2, 2] } },
};
const maxPool2d = hadal.maxPool2d as (x: AnyTensor, kernel: Two, options?: hadal.MaxPool2dOptions) => AnyTensor;
const withIndices = hadal.maxPool2dWithIndices as (
  x: AnyTensor,
  kernel: Two,
  options?: hadal.MaxPool2dOptions,
) => [AnyTensor, AnyTensor];
const avgPool2d = hadal.avgPool2d as (x: AnyTensor, kernel: Two, options?: hadal.AvgPool2dOptions) => AnyTensor;
const mean = (values: number[], outside: number): number =>
  values.reduce((a, b) => a + b, 0) / (values.length + outside);

const poolingSamples: Sample[] = Object.entries(poolings).flatMap(
  ([variant, { x, window, options = {} }]): Sample[] => {
    const base = { variant, dtypes: floats, order: 2 as const };
    return [
      {
        ...base,
        op: 'maxPool2d',
        inputs: (draw, dtype) => [draw.distinct(x, dtype)],
        call: (image) => maxPool2d(image, window.kernel, options),
        reference: (image) => pooled(image, window, (values) => Math.max(...values)),
      },
      {
        ...base,
        op: 'avgPool2d',
        inputs: (draw, dtype) => [draw.tensor(x, dtype)],
        call: (image) => avgPool2d(image, window.kernel, options),
        reference: (image) => pooled(image, window, mean),
      },
      {
        ...base,
        op: 'avgPool2d',
        variant: `${variant}, zeros not counted`,
        inputs: (draw, dtype) => [draw.tensor(x, dtype)],
        call: (image) => avgPool2d(image, window.kernel, { ...options, countPadding: false }),
        reference: (image) => pooled(image, window, (values) => mean(values, 0)),
      },
    ];
  },
);

const others: Sample[] = [
  {
    op: 'maxPool2d',
    variant: 'one image, dilated',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.distinct([2, 5, 6], dtype)],
    call: (image) => withIndices(image, [2, 3], { stride: [1, 2], dilation: 2 }),
    reference: (image) => {
      const window: Window = { kernel: [2, 3], stride: [1, 2], dilation: [2, 2] };
      const batch = { shape: [1, ...image.shape], values: image.values };
      const squeezed = ({ shape, values }: Plain): Plain => ({ shape: shape.slice(1), values });
      return [
        squeezed(pooled(batch, window, (values) => Math.max(...values))),
        squeezed(pooled(batch, window, (values, _, where) => where[values.indexOf(Math.max(...values))]!)),
      ];
    },
    order: 2,
  },
  {
    op: 'maxPool2d',
    variant: 'NaN and infinities',
    dtypes: floats,
    inputs: (_, dtype) => [
      hadal.tensor([1, NaN, -Infinity, -Infinity, 5, 2, 3, Infinity], { dtype, shape: [1, 1, 2, 4] }),
    ],
    call: (image) => maxPool2d(image, [2, 1]),
    reference: () => ({ shape: [1, 1, 1, 4], values: [5, NaN, 3, Infinity] }),
    order: 0,
  },
];

export const samples: Sample[] = [...convolutionSamples, ...poolingSamples, ...others];
