/** Integers that stand for real numbers: quantised tensors and products of them. */
import * as ops from '../../ops';

import type { DType } from '../../tensor/dtype';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator } from '../call';
import { dtypeOf } from '../tensors';
import { convolve } from './convolution';
import { axisOf } from './shapes';

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  int16: [-32768, 32767],
};

/** A scale or a zero point laid out so that it broadcasts with x: one for all, one along an axis, or one for each block of it. */
function spread(call: Call, x: AnyTensor, y: AnyTensor): AnyTensor {
  const block = call.int('block_size', 0);
  const axis = call.int('axis', 1);
  if (block > 0) {
    const along = axisOf(call, axis, x.shape);
    return ops.repeatInterleave(y, block, { axis: along }).narrow(along, 0, x.shape[along]!);
  }
  if (y.size === 1) return y.reshape([]);
  const along = axisOf(call, axis, x.shape);
  return y.reshape(x.shape.map((_, i) => (i === along ? y.size : 1)));
}

/** round(x / scale) + zero in the range of a dtype; halves go to the even number. */
function quantized(x: AnyTensor, scale: AnyTensor, zero: AnyTensor | undefined, dtype: DType): AnyTensor {
  const [least, most] = ranges[dtype]!;
  const whole = x.div(scale).round();
  return (zero === undefined ? whole : whole.add(zero.cast(whole.dtype))).clamp(least, most).cast(dtype);
}

function quantize(call: Call): AnyTensor {
  const given = call.tensor(0);
  const x = given.dtype === 'int32' ? given.cast('float32') : given;
  const scale = spread(call, x, call.tensor(1));
  const zero = call.optional(2);
  const output = call.int('output_dtype', 0);
  const dtype = zero?.dtype ?? (output === 0 ? 'uint8' : dtypeOf(call.what, output));
  if (ranges[dtype] === undefined) call.refuse('dtype', dtype, Object.keys(ranges).join(', '));
  return quantized(x.cast(scale.dtype), scale, zero && spread(call, x, zero), dtype);
}

/** (x − zero) · scale in the dtype of the scale. */
function real(call: Call, x: AnyTensor, scale: AnyTensor, zero: AnyTensor | undefined): AnyTensor {
  const from = zero === undefined ? x.cast('float32') : x.cast('float32').sub(spread(call, x, zero).cast('float32'));
  return from.mul(spread(call, x, scale).cast('float32')).cast(scale.dtype);
}

const dynamically: Operator = (call) => {
  const x = call.tensor(0);
  const high = x.amax().maximum(0);
  const low = x.amin().minimum(0);
  const scale = high.sub(low).div(255);
  const zero = low.neg().div(scale).clamp(0, 255).round().cast('uint8');
  return outputs(quantized(x, scale, zero, 'uint8'), scale, zero);
};

/** Integers without their zero point, as floats that hold their products' sums: exactly up to 2^53. */
const centered = (x: AnyTensor, zero: AnyTensor | undefined): AnyTensor =>
  zero === undefined ? x.cast('float64') : x.cast('float64').sub(zero.cast('float64'));

/** A zero point of each row of the left matrix, or each column of the right one. */
const perRow = (zero: AnyTensor | undefined): AnyTensor | undefined =>
  zero?.rank === 1 && zero.size > 1 ? zero.unsqueeze(-1) : zero;

const perFilter = (zero: AnyTensor, weight: AnyTensor): AnyTensor =>
  zero.size === 1 ? zero.reshape([]) : zero.reshape([-1, ...weight.shape.slice(1).map(() => 1)]);

function linearConv(call: Call): AnyTensor {
  const [x, xs, xz, w, ws, wz, ys, yz] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => call.tensor(i)) as AnyTensor[];
  const bias = call.optional(8);
  const space = x!.shape.slice(2).map(() => 1);
  const sums = convolve(call, centered(x!, xz!.reshape([])), centered(w!, perFilter(wz!, w!)));
  const whole = bias === undefined ? sums : sums.add(bias.cast('float64').reshape([-1, ...space]));
  const factor = xs!.cast('float64').mul(ws!.cast('float64')).div(ys!.cast('float64'));
  const scaled = whole.mul(factor.size === 1 ? factor.reshape([]) : factor.reshape([-1, ...space]));
  return quantized(scaled, ops.ones([], { dtype: 'float64', device: x!.device }), yz!.reshape([]), yz!.dtype);
}

function linearMatMul(call: Call): AnyTensor {
  const [a, as, az, b, bs, bz, ys, yz] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => call.tensor(i)) as AnyTensor[];
  const sums = centered(a!, perRow(az)).matmul(centered(b!, bz));
  const factor = perRow(as)!.cast('float64').mul(bs!.cast('float64'));
  return quantized(sums.mul(factor), ys!.cast('float64'), yz, yz!.dtype);
}

/** Scales and zero points are no parameters. */
export const quantization: Readonly<Record<string, Operator>> = {
  ConvInteger: knowing([2, 3], (call) => {
    const [x, w] = [call.tensor(0), call.tensor(1)];
    const zero = call.optional(3);
    return convolve(call, centered(x, call.optional(2)), centered(w, zero && perFilter(zero, w))).cast('int32');
  }),
  DequantizeLinear: knowing([1, 2], (call) => real(call, call.tensor(0), call.tensor(1), call.optional(2))),
  DynamicQuantizeLinear: dynamically,
  MatMulInteger: knowing([2, 3], (call) =>
    centered(call.tensor(0), perRow(call.optional(2)))
      .matmul(centered(call.tensor(1), call.optional(3)))
      .cast('int32'),
  ),
  QLinearConv: knowing([1, 2, 4, 5, 6, 7], linearConv),
  QLinearMatMul: knowing([1, 2, 4, 5, 6, 7], linearMatMul),
  QuantizeLinear: knowing([1, 2], quantize),
};
