// Samples of convolution and its transposed form, in one to three axes.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { count, generated, ravel, unravel, type Plain, type Sample } from '../sample';
import { inside, places, positions, type Window } from '../windows';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
// Sums of up to 171 products, in another order than the reference's.
const tolerance = { float32: { rtol: 1.3e-6, atol: 4e-5 } };

function convolved(x: Plain, weight: Plain, bias: Plain | undefined, groups: number, w: Window): Plain {
  const [n, , ...sizes] = x.shape as [number, number, ...number[]];
  const [out, perGroup] = weight.shape as [number, number];
  return generated([n, out, ...places(sizes, w)], ([image, o, ...at]) => {
    let sum = bias?.values[o!] ?? 0;
    const first = Math.floor(o! / (out / groups)) * perGroup;
    for (const { kernel, image: place } of positions(at, w)) {
      if (!inside(place, sizes)) continue;
      for (let c = 0; c < perGroup; c++) {
        const value = x.values[ravel([image!, first + c, ...place], x.shape)]!;
        sum += value * weight.values[ravel([o!, c, ...kernel], weight.shape)]!;
      }
    }
    return sum;
  });
}

/** Every input spread over a window of the output. */
function spread(x: Plain, weight: Plain, bias: Plain | undefined, groups: number, w: Window, extra: Shape): Plain {
  const [n, channels, ...sizes] = x.shape as [number, number, ...number[]];
  const [, perGroup, ...kernel] = weight.shape as [number, number, ...number[]];
  const space = sizes.map((size, i) => {
    const reach = (w.dilation?.[i] ?? 1) * (kernel[i]! - 1) + 1;
    return (size - 1) * w.stride![i]! - 2 * (w.padding?.[i] ?? 0) + reach + (extra[i] ?? 0);
  });
  const shape = [n, perGroup * groups, ...space];
  const values = new Array<number>(count(shape)).fill(0).map((_, i) => bias?.values[unravel(i, shape)[1]!] ?? 0);
  x.values.forEach((value, flat) => {
    const [image, c, ...at] = unravel(flat, x.shape);
    const group = Math.floor(c! / (channels / groups));
    for (const { kernel: tap, image: place } of positions(at, w)) {
      if (!inside(place, space)) continue;
      for (let o = 0; o < perGroup; o++) {
        const factor = weight.values[ravel([c!, o, ...tap], weight.shape)]!;
        values[ravel([image!, group * perGroup + o, ...place], shape)]! += value * factor;
      }
    }
  });
  return { shape, values };
}

interface Convolution {
  readonly x: Shape;
  readonly out: number;
  readonly window: Window;
  readonly options?: object;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly order?: 0 | 1 | 2;
}
const ones = [1, 1, 1];
const single = { kernel: [3], stride: ones };
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
  // Of more than one slice of 64 channels and taps, or not a multiple of eight channels.
  'odd channels, strides and dilation': {
    x: [2, 9, 5, 6],
    out: 11,
    window: { kernel: [3, 2], stride: [2, 3], padding: [2, 1], dilation: [1, 3] },
    options: { stride: [2, 3], padding: [2, 1], dilation: [1, 3] },
    bias: true,
    order: 1,
  },
  'many channels': {
    x: [1, 128, 2, 2],
    out: 3,
    window: { kernel: [2, 2], stride: ones, padding: ones },
    options: { padding: 1 },
    order: 1,
  },
  'groups of many channels': {
    x: [1, 34, 3, 2],
    out: 32,
    window: { kernel: [2, 1], stride: [2, 1] },
    options: { stride: [2, 1] },
    groups: 2,
    bias: true,
    order: 1,
  },
  'many outputs': { x: [1, 2, 3, 3], out: 128, window: { kernel: [2, 1], stride: ones }, bias: true, order: 1 },
  'many outputs and positions': {
    x: [2, 2, 15, 14],
    out: 128,
    window: { kernel: [2, 1], stride: ones },
    bias: true,
    order: 0,
  },
  'padding beyond the kernel': {
    x: [1, 8, 2, 3],
    out: 8,
    window: { kernel: [2, 2], stride: [3, 1], padding: [4, 3] },
    options: { stride: [3, 1], padding: [4, 3] },
    order: 1,
  },
  'one by one, strides': {
    x: [2, 16, 3, 4],
    out: 9,
    window: { kernel: [1, 1], stride: [2, 2] },
    options: { stride: 2 },
    order: 1,
  },
  'seven by seven': {
    x: [1, 3, 8, 9],
    out: 8,
    window: { kernel: [7, 7], stride: [2, 2], padding: [3, 3] },
    options: { stride: 2, padding: 3 },
    order: 1,
  },
  patches: {
    x: [2, 3, 4, 6],
    out: 5,
    window: { kernel: [2, 3], stride: [2, 3] },
    options: { stride: [2, 3] },
    bias: true,
  },
  'patches and pixels beside them': {
    x: [2, 2, 5, 7],
    out: 3,
    window: { kernel: [2, 2], stride: [2, 2] },
    options: { stride: 2 },
  },
  'a row of three': { x: [2, 2, 6], out: 3, window: single, bias: true },
  'a row, strides and padding': {
    x: [1, 2, 7],
    out: 2,
    window: { kernel: [3], stride: [2], padding: [2], dilation: [2] },
    options: { stride: 2, padding: [2], dilation: 2 },
  },
  'a row, the same size': {
    x: [1, 2, 5],
    out: 2,
    window: { kernel: [4], stride: ones, padding: [1], after: [2] },
    options: { padding: 'same' },
  },
  'a row, one channel per group': { x: [1, 3, 6], out: 3, window: single, groups: 3, bias: true },
  'no rows': { x: [0, 2, 4], out: 3, window: single },
  // Long enough to be cut into pieces, for each of the three ways a pass is run.
  'a long row': { x: [1, 17, 700], out: 33, window: { ...single, padding: ones }, options: { padding: 1 }, order: 0 },
  'a long row to few channels': { x: [1, 40, 900], out: 2, window: single, bias: true, order: 0 },
  'a long row, one channel per group': { x: [1, 3, 4000], out: 3, window: single, groups: 3, order: 0 },
  'two by two by two': { x: [2, 2, 3, 3, 3], out: 2, window: { kernel: [2, 2, 2], stride: ones }, bias: true },
  'patches of a volume': {
    x: [2, 3, 4, 2, 6],
    out: 4,
    window: { kernel: [2, 2, 3], stride: [2, 2, 3] },
    options: { stride: [2, 2, 3] },
  },
  'a volume, strides, padding and dilation': {
    x: [1, 2, 4, 4, 3],
    out: 2,
    window: { kernel: [2, 3, 2], stride: [2, 1, 2], padding: [1, 1, 0], dilation: [2, 1, 1] },
    options: { stride: [2, 1, 2], padding: [1, 1, 0], dilation: [2, 1, 1] },
  },
  'a volume, one by one by one': {
    x: [2, 3, 2, 2, 2],
    out: 2,
    window: { kernel: [1, 1, 1], stride: ones },
    bias: true,
  },
  'a volume, groups': { x: [1, 4, 2, 3, 2], out: 4, window: { kernel: [2, 2, 1], stride: ones }, groups: 2 },
  'a volume, one channel per group': {
    x: [1, 2, 3, 3, 3],
    out: 2,
    window: { kernel: [3, 2, 2], stride: ones },
    groups: 2,
  },
  'a volume, the same size': {
    x: [1, 1, 3, 2, 3],
    out: 1,
    window: { kernel: [2, 3, 2], stride: ones, padding: [0, 1, 0], after: [1, 1, 1] },
    options: { padding: 'same' },
  },
  'no volumes': { x: [0, 1, 2, 2, 2], out: 1, window: { kernel: [2, 2, 2], stride: ones } },
  'a volume of more channels': {
    x: [2, 18, 4, 6, 7],
    out: 35,
    window: { kernel: [2, 2, 2], stride: ones, padding: ones },
    options: { padding: 1 },
    bias: true,
    order: 0,
  },
};

type Convolve = (x: AnyTensor, weight: AnyTensor, bias?: AnyTensor, options?: object) => AnyTensor;
const forward = [hadal.conv1d, hadal.conv2d, hadal.conv3d] as unknown as Convolve[];
const transposed = [hadal.convTranspose1d, hadal.convTranspose2d, hadal.convTranspose3d] as unknown as Convolve[];

const convolutionSamples: Sample[] = Object.entries(convolutions).map(
  ([variant, { x, out, window, options = {}, groups = 1, bias = false, order = 2 }]) => ({
    op: `conv${x.length - 2}d`,
    variant,
    dtypes: floats,
    inputs: (draw, dtype): AnyTensor[] => [
      draw.tensor(x, dtype),
      draw.tensor([out, x[1]! / groups, ...window.kernel], dtype),
      ...(bias ? [draw.tensor([out], dtype)] : []),
    ],
    call: (image, weight, shift) => forward[x.length - 3]!(image, weight, shift, { ...options, groups }),
    reference: (image, weight, shift) => convolved(image, weight, shift, groups, window),
    order,
    tolerance,
  }),
);

interface Transposed extends Convolution {
  readonly outputPadding?: readonly number[];
}
const transposedConvolutions: Record<string, Transposed> = {
  plain: { x: [2, 2, 3, 2], out: 3, window: { kernel: [2, 3], stride: ones }, bias: true },
  'strides, padding, output padding and dilation': {
    x: [1, 2, 3, 3],
    out: 2,
    window: { kernel: [3, 2], stride: [2, 3], padding: [1, 0], dilation: [1, 2] },
    outputPadding: [1, 2],
    options: { stride: [2, 3], padding: [1, 0], dilation: [1, 2], outputPadding: [1, 2] },
  },
  groups: { x: [1, 4, 2, 2], out: 2, window: { kernel: [2, 2], stride: ones }, groups: 2, bias: true },
  'one channel per group': { x: [1, 2, 3, 3], out: 2, window: { kernel: [3, 3], stride: ones }, groups: 2 },
  patches: {
    x: [2, 3, 3, 2],
    out: 4,
    window: { kernel: [2, 2], stride: [2, 2] },
    options: { stride: 2 },
    bias: true,
  },
  'no images': { x: [0, 2, 2, 2], out: 1, window: { kernel: [2, 2], stride: ones } },
  'a row': {
    x: [2, 2, 4],
    out: 3,
    window: { kernel: [4], stride: [2], padding: [1] },
    options: { stride: 2, padding: 1 },
    bias: true,
  },
  'a volume': {
    x: [1, 2, 2, 2, 3],
    out: 2,
    window: { kernel: [2, 2, 2], stride: [2, 2, 2] },
    options: { stride: 2 },
    bias: true,
  },
  'a volume, padding': {
    x: [1, 2, 3, 3, 2],
    out: 1,
    window: { kernel: [3, 2, 3], stride: [1, 2, 2], padding: [1, 0, 1] },
    outputPadding: [0, 1, 1],
    options: { stride: [1, 2, 2], padding: [1, 0, 1], outputPadding: [0, 1, 1] },
  },
};

const transposedSamples: Sample[] = Object.entries(transposedConvolutions).map(
  ([variant, { x, out, window, options = {}, groups = 1, bias = false, outputPadding = [] }]) => ({
    op: `convTranspose${x.length - 2}d`,
    variant,
    dtypes: floats,
    inputs: (draw, dtype): AnyTensor[] => [
      draw.tensor(x, dtype),
      draw.tensor([x[1]!, out / groups, ...window.kernel], dtype),
      ...(bias ? [draw.tensor([out], dtype)] : []),
    ],
    call: (image, weight, shift) => transposed[x.length - 3]!(image, weight, shift, { ...options, groups }),
    reference: (image, weight, shift) => spread(image, weight, shift, groups, window, outputPadding),
    order: 2,
    // The bias is added to a rounded sum.
    tolerance: { ...tolerance, float16: { rtol: 2e-3, atol: 4e-3 }, bfloat16: { rtol: 1.6e-2, atol: 4e-2 } },
  }),
);

const unbatched: Sample[] = [1, 2, 3].flatMap((axes): Sample[] => {
  const window = { kernel: [2, 2, 2].slice(0, axes), stride: ones };
  const lifted = ({ shape, values }: Plain): Plain => ({ shape: [1, ...shape], values });
  const lowered = ({ shape, values }: Plain): Plain => ({ shape: shape.slice(1), values });
  const base = {
    variant: 'no batch axis',
    dtypes: floats,
    inputs: (draw, dtype): AnyTensor[] => [
      draw.tensor([2, 3, 2, 3].slice(0, axes + 1), dtype),
      draw.tensor([2, 2, ...window.kernel], dtype),
    ],
    order: 2,
  } satisfies Partial<Sample>;
  return [
    {
      ...base,
      op: `conv${axes}d`,
      call: (x, weight) => forward[axes - 1]!(x!, weight!),
      reference: (x, weight) => lowered(convolved(lifted(x!), weight!, undefined, 1, window)),
    },
    {
      ...base,
      op: `convTranspose${axes}d`,
      call: (x, weight) => transposed[axes - 1]!(x!, weight!),
      reference: (x, weight) => lowered(spread(lifted(x!), weight!, undefined, 1, window, [])),
    },
  ];
});

export const samples: Sample[] = [...convolutionSamples, ...transposedSamples, ...unbatched];
