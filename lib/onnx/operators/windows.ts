/** Where windows stand: kernels, strides and pads of convolutions and pools, from their attributes. */
import { ShapeError } from '../../errors';
import * as ops from '../../ops';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import type { Call } from '../call';

export interface Windows {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** Elements before and after each spatial axis. */
  readonly pads: readonly (readonly [number, number])[];
}

/** One of the forms of an op over one, two or three spatial axes. */
export function byRank<F>(call: Call, rank: number, forms: readonly [F, F, F]): F {
  const form = forms[rank - 1];
  if (form !== undefined) return form;
  throw new ShapeError(`${call.what}: spatial axes: got ${rank}, expected 1 to 3`);
}

const pairs = (pads: readonly number[]): (readonly [number, number])[] =>
  pads.slice(0, pads.length / 2).map((before, i) => [before, pads[i + pads.length / 2]!] as const);

/** `kernel` is the weight's window, for operators that have one. */
export function windowsOf(call: Call, space: readonly number[], kernel = call.ints('kernel_shape', [])): Windows {
  const rank = space.length;
  const list = (name: string): readonly number[] => call.ints(name, new Array<number>(rank).fill(1));
  const stride = list('strides');
  const dilation = list('dilations');
  const given = call.ints('pads', new Array<number>(2 * rank).fill(0));
  if ([kernel, stride, dilation].some((each) => each.length !== rank) || given.length !== 2 * rank) {
    throw new ShapeError(
      `${call.what}: attributes do not fit: got kernel ${show(kernel)}, strides ${show(stride)}, dilations ${show(dilation)}, pads ${show(given)}, expected ${rank} axes`,
    );
  }
  const auto = call.choice('auto_pad', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID');
  if (auto === 'NOTSET') return { kernel, stride, dilation, pads: pairs(given) };
  const pads = space.map((size, i): readonly [number, number] => {
    if (auto === 'VALID') return [0, 0];
    const extent = (kernel[i]! - 1) * dilation[i]! + 1;
    const total = Math.max((Math.ceil(size / stride[i]!) - 1) * stride[i]! + extent - size, 0);
    return halves(total, auto === 'SAME_UPPER');
  });
  return { kernel, stride, dilation, pads };
}

/** A number of elements before and after an axis; where it is odd, one more after it, or before. */
export const halves = (total: number, upper: boolean): readonly [number, number] => {
  const less = Math.floor(total / 2);
  return upper ? [less, total - less] : [total - less, less];
};

/** The same number before and after every axis, where there is one. */
export function symmetric(pads: Windows['pads']): readonly number[] | undefined {
  return pads.every(([before, after]) => before === after && before >= 0) ? pads.map(([before]) => before) : undefined;
}

/** x [n, c, …space] with elements of a value around its space. */
export const padded = (x: AnyTensor, pads: Windows['pads'], value = 0): AnyTensor =>
  pads.every(([before, after]) => before === 0 && after === 0) ? x : ops.pad(x, pads, { value });
