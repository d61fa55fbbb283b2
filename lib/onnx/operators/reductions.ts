/** Operators over axes: reductions, running sums, softmax, and the places of extremes. */
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator } from '../call';
import { axisOf, reducedAxes } from './shapes';

type Options = { readonly keepDims: boolean };

/** A reduction in the dtype of its input; `empty` is the answer for no elements where the op has none. */
const reduction = (
  f: (x: AnyTensor, axes: readonly number[], options: Options) => AnyTensor,
  empty?: number,
): Operator =>
  knowing([1], (call) => {
    const x = call.tensor(0);
    const { axes, keep: keepDims } = reducedAxes(call, x.shape);
    if (axes.length === 0) return f(x.unsqueeze(0), [0], { keepDims: false });
    if (empty !== undefined && axes.some((axis) => x.shape[axis] === 0)) {
      const shape = x.shape.flatMap((size, axis) => (!axes.includes(axis) ? [size] : keepDims ? [1] : []));
      return ops.full(shape, x.dtype === 'bool' ? Number(empty > 0) : empty, {
        dtype: x.dtype,
        device: x.device,
      });
    }
    return f(x, axes, { keepDims }).cast(x.dtype);
  });

/** Bools have an order as integers. */
const ordered =
  (f: (x: AnyTensor, axes: readonly number[], options: Options) => AnyTensor) =>
  (x: AnyTensor, axes: readonly number[], options: Options): AnyTensor =>
    f(x.dtype === 'bool' ? x.cast('uint8') : x, axes, options);

const sum = (x: AnyTensor, axes: readonly number[], options: Options): AnyTensor => ops.sum(x, axes, options);

const extremePlace =
  (f: (x: AnyTensor, axis: number, options: Options) => AnyTensor): Operator =>
  (call) => {
    const x = call.tensor(0);
    const axis = axisOf(call, call.int('axis', 0), x.shape);
    const options = { keepDims: call.int('keepdims', 1) !== 0 };
    if (call.int('select_last_index', 0) === 0) return f(x, axis, options);
    return ops.sub(x.shape[axis]! - 1, f(x.flip([axis]), axis, options));
  };

/** Before version 13 the axes from `axis` on are taken as one. */
const alongAxis =
  (f: (x: AnyTensor, axis: number) => AnyTensor): Operator =>
  (call) => {
    const x = call.tensor(0);
    const axis = axisOf(call, call.int('axis', call.version < 13 ? 1 : -1), x.shape);
    if (call.version >= 13) return f(x, axis);
    const rows = x.shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const columns = x.shape.slice(axis).reduce((a, b) => a * b, 1);
    return f(x.reshape([rows, columns]), 1).reshape(x.shape);
  };

const hardmax = (x: AnyTensor, axis: number): AnyTensor => {
  const place = ops.argmax(x, axis);
  return ops.oneHot(place, x.shape[axis]!, { dtype: x.dtype }).moveAxis(-1, axis);
};

/** A running sum or product; `identity` is what an exclusive one begins with. */
const running = (f: (x: AnyTensor, axis: number) => AnyTensor, identity: number): Operator =>
  knowing([1], (call) => {
    const x = call.tensor(0);
    const axis = axisOf(call, call.knownScalar(1), x.shape);
    const reverse = call.int('reverse', 0) !== 0;
    const turned = reverse ? x.flip([axis]) : x;
    const size = x.shape[axis]!;
    const padding = x.shape.map((_, i) => [i === axis ? 1 : 0, 0] as const);
    const shifted =
      call.int('exclusive', 0) === 0 || size === 0
        ? turned
        : turned.narrow(axis, 0, size - 1).pad(padding, { value: identity });
    const result = f(shifted, axis).cast(x.dtype);
    return reverse ? result.flip([axis]) : result;
  });

function topK(call: Call): ReturnType<typeof outputs> {
  const x = call.tensor(0);
  const count = call.version >= 10 ? call.knownScalar(1) : call.int('k');
  const axis = axisOf(call, call.int('axis', -1), x.shape);
  return outputs(...(ops.topk(x, count, { axis, largest: call.int('largest', 1) !== 0 }) as unknown as AnyTensor[]));
}

export const reductions: Readonly<Record<string, Operator>> = {
  ArgMax: extremePlace(ops.argmax),
  ArgMin: extremePlace(ops.argmin),
  CumProd: running((x, axis) => ops.cumprod(x, axis), 1),
  CumSum: running((x, axis) => ops.cumsum(x, axis), 0),
  Hardmax: alongAxis(hardmax),
  LogSoftmax: alongAxis((x, axis) => ops.logSoftmax(x, axis)),
  ReduceL1: reduction((x, axes, options) => sum(x.abs(), axes, options)),
  ReduceL2: reduction((x, axes, options) => sum(x.square(), axes, options).sqrt()),
  ReduceLogSum: reduction((x, axes, options) => sum(x, axes, options).log()),
  ReduceLogSumExp: reduction((x, axes, options) => ops.logSumExp(x, axes, options), -Infinity),
  ReduceMax: reduction(ordered(ops.amax), -Infinity),
  ReduceMean: reduction((x, axes, options) => ops.mean(x, axes, options)),
  ReduceMin: reduction(ordered(ops.amin), Infinity),
  ReduceProd: reduction((x, axes, options) => ops.prod(x, axes, options)),
  ReduceSum: reduction(sum),
  ReduceSumSquare: reduction((x, axes, options) => sum(x.square(), axes, options)),
  Softmax: alongAxis((x, axis) => ops.softmax(x, axis)),
  TopK: knowing([1], topK),
};
