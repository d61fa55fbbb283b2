/** Convolutions and their transposed forms, over one to three spatial axes. */
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { outputs, type Call, type Operator } from '../call';
import { byRank, halves, padded, symmetric, windowsOf, type Windows } from './windows';

type Convolution = (x: AnyTensor, weight: AnyTensor, bias: AnyTensor | undefined, options: object) => AnyTensor;
const convolutions = [ops.conv1d, ops.conv2d, ops.conv3d] as unknown as [Convolution, Convolution, Convolution];
const transposed = [ops.convTranspose1d, ops.convTranspose2d, ops.convTranspose3d] as unknown as typeof convolutions;

/** The convolution that a node's attributes ask for. */
export function convolve(call: Call, x: AnyTensor, weight: AnyTensor, bias?: AnyTensor): AnyTensor {
  const space = x.shape.slice(2);
  const { stride, dilation, pads } = windowsOf(call, space, weight.shape.slice(2));
  const groups = call.int('group', 1);
  const padding = symmetric(pads);
  const input = padding === undefined ? padded(x, pads) : x;
  const conv = byRank(call, space.length, convolutions);
  return conv(input, weight, bias, { stride, dilation, groups, padding: padding ?? space.map(() => 0) });
}

/** How much is cut from each side of a transposed convolution's output, and added at its end before. */
function cuts(
  call: Call,
  space: readonly number[],
  windows: Windows,
): { pads: Windows['pads']; more: readonly number[] } {
  const { kernel, stride, dilation, pads } = windows;
  const more = call.ints(
    'output_padding',
    space.map(() => 0),
  );
  const auto = call.choice('auto_pad', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID');
  const isSame = auto.startsWith('SAME');
  const given = call.ints('output_shape') ?? (isSame ? space.map((size, i) => size * stride[i]!) : undefined);
  if (given === undefined) return { pads, more };
  const wanted = given.slice(-space.length);
  const cut = space.map((size, i): readonly [number, number] => {
    const extent = (kernel[i]! - 1) * dilation[i]! + 1;
    const whole = (size - 1) * stride[i]! + extent + more[i]!;
    return halves(whole - wanted[i]!, auto !== 'SAME_LOWER' && isSame);
  });
  return { pads: cut, more };
}

const convTranspose: Operator = (call) => {
  const x = call.tensor(0);
  const weight = call.tensor(1);
  const space = x.shape.slice(2);
  const windows = windowsOf(call, space, weight.shape.slice(2));
  const { stride, dilation } = windows;
  const { pads, more } = cuts(call, space, windows);
  const conv = byRank(call, space.length, transposed);
  const options = { stride, dilation, groups: call.int('group', 1) };
  const padding = symmetric(pads);
  const fits = more.every((count, i) => count < Math.max(stride[i]!, dilation[i]!));
  if (padding !== undefined && fits)
    return conv(x, weight, call.optional(2), { ...options, padding, outputPadding: more });
  const whole = conv(x, weight, undefined, options);
  const cut = pads.map(([before, after], i) => [-before, more[i]! - after] as const);
  const y = padded(whole, cut);
  const bias = call.optional(2);
  return bias === undefined ? y : y.add(bias.reshape([-1, ...space.map(() => 1)]));
};

/** A convolution of each channel that sees no later steps; those before the first are the state that it is given, or zeros. */
const causalConv: Operator = (call) => {
  const x = call.tensor(0);
  const weight = call.tensor(1);
  const [n, channels] = x.shape as [number, number];
  const before = weight.shape[2]! - 1;
  const past = call.optional(3) ?? ops.zeros([n, channels, before], { dtype: x.dtype as 'float32', device: x.device });
  const whole = ops.cat([past, x], 2);
  const y = convolutions[0](whole, weight, call.optional(2), { groups: channels });
  const activated = call.choice('activation', 'none', 'silu', 'swish') === 'none' ? y : ops.silu(y);
  return outputs(activated, whole.narrow(2, whole.shape[2]! - before, before));
};

export const convolution: Readonly<Record<string, Operator>> = {
  CausalConvWithState: causalConv,
  Conv: (call) => convolve(call, call.tensor(0), call.tensor(1), call.optional(2)),
  ConvTranspose: convTranspose,
};
