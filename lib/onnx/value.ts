/**
 * Values in a running graph: a tensor; a known array, whose elements JavaScript has; or a sequence. Shapes and what is computed from them are known, so that
 * they decide the shapes of other tensors without a tensor being read. Known values become tensors where an operator wants one.
 */
import { tensor } from '../ops/creation';
import type { Device } from '../runtime/device';
import { tape } from '../runtime/tape';
import { decode, encode, type ArrayOf, type DType } from '../tensor/dtype';
import { decodeHalf, encodeHalf } from '../tensor/half';
import { sizeOf } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';

/** A value; undefined for an optional one that is not there. */
export type Value = AnyTensor | Known | readonly Value[] | undefined;

/** The most elements of an array that is computed with in JavaScript. */
export const mostKnown = 1024;

/** Elements in row-major order that JavaScript has; bools are 0 and 1. */
export class Known {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly #data: ArrayOf<DType> | readonly number[];
  readonly #own: (() => AnyTensor) | undefined;
  readonly #made = new Map<Device, AnyTensor>();
  #values: readonly number[] | undefined;

  /** `own` gives the tensor that the elements come from, where there is one. */
  constructor(dtype: DType, shape: readonly number[], data: ArrayOf<DType> | readonly number[], own?: () => AnyTensor) {
    this.dtype = dtype;
    this.shape = shape;
    this.#data = data;
    this.#own = own;
  }

  /** The result of a computation: elements rounded to what `dtype` holds. */
  static of(dtype: DType, shape: readonly number[], values: readonly number[]): Known {
    return new Known(dtype, shape, rounded(dtype, values));
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  /** The elements as numbers; int64 to the nearest double. */
  get values(): readonly number[] {
    const data = this.#data;
    this.#values ??= ArrayBuffer.isView(data)
      ? Array.from(decode(this.dtype, data), this.dtype === 'bool' ? (value) => Number(value !== 0) : undefined!)
      : data;
    return this.#values;
  }

  /** The elements as a tensor. It is made once, but anew in a step that is being traced, to which it then belongs. */
  tensor(device: Device): AnyTensor {
    const own = this.#own?.() ?? this.#made.get(device);
    if (own?.device === device) return own;
    const { dtype, shape } = this;
    const data = ArrayBuffer.isView(this.#data)
      ? this.#data
      : encode(dtype, this.#data.map(bounds[dtype] ?? same), 'onnx');
    const made = tensor(data, { dtype, shape, device }) as AnyTensor;
    if (tape === undefined) this.#made.set(device, made.keep());
    return made;
  }
}

const same = (value: number): number => value;
/** Sentinels such as the largest int64 are no exact doubles. */
const bounds: Partial<Record<DType, (value: number) => number>> = {
  int64: (value) => Math.min(Math.max(value, -(2 ** 63)), 2 ** 63 - 1024),
};

function rounded(dtype: DType, values: readonly number[]): readonly number[] {
  switch (dtype) {
    case 'float64':
      return values;
    case 'float32':
      return values.map(Math.fround);
    case 'float16':
    case 'bfloat16':
      return [...decodeHalf(dtype, encodeHalf(dtype, Float32Array.from(values)))];
    case 'int64':
      return values.map((value) => Math.trunc(value) + 0);
    case 'int32':
      return [...Int32Array.from(values)];
    case 'int16':
      return [...Int16Array.from(values)];
    case 'int8':
      return [...Int8Array.from(values)];
    case 'uint8':
      return [...Uint8Array.from(values)];
    case 'bool':
      return values.map((value) => (value === 0 ? 0 : 1));
  }
}
