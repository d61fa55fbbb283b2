/**
 * Owns the element types: names, codes, sizes, type promotion (at run time and as types, from one table), and how elements are stored
 * in typed arrays. Knows no tensors. Used by the recorder, by every op's dtype rule, and by reading and writing data.
 */
import { ArgumentError, DTypeError } from '../errors';
import { decodeHalf, encodeHalf } from './half';

/** The code of every dtype, as in native/runtime/dtype.h. */
export const codes = {
  float64: 0,
  float32: 1,
  float16: 2,
  bfloat16: 3,
  int64: 4,
  int32: 5,
  int16: 6,
  int8: 7,
  uint8: 8,
  bool: 9,
} as const;

/** An element type. */
export type DType = keyof typeof codes;
export type FloatDType = 'float64' | 'float32' | 'float16' | 'bfloat16';
export type IntDType = 'int64' | 'int32' | 'int16' | 'int8' | 'uint8';
/** What an index may be: a class, a position, a row of a table. */
export type IndexDType = 'int64' | 'int32';

/** All dtypes, in the order of their codes. */
export const dtypes = Object.keys(codes) as readonly DType[];

/** Bytes per element. */
export const sizes: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

// Looking a name up in a table takes 25 ns where many names have been seen; the usual dtype is spared it. With a number instead of an entry V8 counts these functions as
// small, which it always inlines.
/** The code of a dtype. */
export function codeOf(dtype: DType): number {
  return dtype === 'float32' ? 1 : codes[dtype];
}
/** The bytes per element of a dtype. */
export function bytesOf(dtype: DType): number {
  return dtype === 'float32' ? 4 : sizes[dtype];
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(codes, value);
}
export function isFloat(dtype: DType): dtype is FloatDType {
  return codeOf(dtype) <= codes.bfloat16;
}
/** Integers without bool. */
export function isInt(dtype: DType): dtype is IntDType {
  return codes[dtype] >= codes.int64 && codes[dtype] <= codes.uint8;
}
export function isIndex(dtype: DType): dtype is IndexDType {
  return dtype === 'int64' || dtype === 'int32';
}

// Promotion, as PyTorch's torch.promote_types: rows and columns in the order of the codes.
const f64 = 'float64';
const f32 = 'float32';
const f16 = 'float16';
const bf16 = 'bfloat16';
const i64 = 'int64';
const i32 = 'int32';
const i16 = 'int16';
const i8 = 'int8';
const u8 = 'uint8';
const b = 'bool';
// prettier-ignore
const promotions = [
  [f64, f64, f64,  f64,  f64,  f64,  f64,  f64,  f64,  f64],
  [f64, f32, f32,  f32,  f32,  f32,  f32,  f32,  f32,  f32],
  [f64, f32, f16,  f32,  f16,  f16,  f16,  f16,  f16,  f16],
  [f64, f32, f32,  bf16, bf16, bf16, bf16, bf16, bf16, bf16],
  [f64, f32, f16,  bf16, i64,  i64,  i64,  i64,  i64,  i64],
  [f64, f32, f16,  bf16, i64,  i32,  i32,  i32,  i32,  i32],
  [f64, f32, f16,  bf16, i64,  i32,  i16,  i16,  i16,  i16],
  [f64, f32, f16,  bf16, i64,  i32,  i16,  i8,   i16,  i8],
  [f64, f32, f16,  bf16, i64,  i32,  i16,  i16,  u8,   u8],
  [f64, f32, f16,  bf16, i64,  i32,  i16,  i8,   u8,   b],
] as const;

type Codes = typeof codes;
type Promotions = typeof promotions;
interface Floats {
  float64: 'float64';
  float32: 'float32';
  float16: 'float16';
  bfloat16: 'bfloat16';
  int64: 'float32';
  int32: 'float32';
  int16: 'float32';
  int8: 'float32';
  uint8: 'float32';
  bool: 'float32';
}

// The types below look D up by index and never put it on the right of `extends`: that is what lets the compiler prove that
// Tensor is covariant (see shape-types.ts).

/** The dtype of arithmetic between tensors of dtypes A and B. */
export type Promote<A extends DType, B extends DType> = Promotions[Codes[A]][Codes[B]];

/** The dtype of `op(tensor of D, number N)`: a number never widens, but a fraction makes an integer tensor float32. */
export type PromoteNumber<D extends DType, N extends number> = D extends FloatDType
  ? D
  : number extends N
    ? D extends 'bool'
      ? 'int64' | 'float32'
      : D | 'float32'
    : `${N}` extends `${bigint}`
      ? D extends 'bool'
        ? 'int64'
        : D
      : 'float32';

/** The dtype of functions that leave the integers (exp, div): floats stay, the rest becomes float32. */
export type ToFloat<D extends DType> = Floats[D];

/** The dtype of a sum or a product over an axis: floats stay, integers and bool are counted in int64. */
export type SumDType<D extends DType> = D extends FloatDType ? D : 'int64';

/** The dtype of arithmetic between tensors of dtypes `x` and `y`. */
export function promote<A extends DType, B extends DType>(x: A, y: B): Promote<A, B> {
  return promotions[codes[x]][codes[y]];
}

/** The dtype of arithmetic between a tensor of `dtype` and a JS number. */
export function promoteNumber<D extends DType>(dtype: D, value: number): PromoteNumber<D, number>;
export function promoteNumber(dtype: DType, value: number): DType {
  if (isFloat(dtype)) return dtype;
  if (!Number.isInteger(value)) return 'float32';
  return dtype === 'bool' ? 'int64' : dtype;
}

/**
 * The dtype of arithmetic between two tensors. A tensor of rank 0 does not widen one that has axes: only its kind counts
 * (float above integer above bool).
 */
export function promoteOperands(x: DType, xRank: number, y: DType, yRank: number): DType {
  if (x === y) return x;
  if (xRank > 0 && yRank === 0) return kind(x) >= kind(y) ? x : promote(x, y);
  if (yRank > 0 && xRank === 0) return kind(y) >= kind(x) ? y : promote(x, y);
  return promote(x, y);
}

export function toFloat<D extends DType>(dtype: D): ToFloat<D>;
export function toFloat(dtype: DType): DType {
  return isFloat(dtype) ? dtype : 'float32';
}

export function sumDType<D extends DType>(dtype: D): SumDType<D>;
export function sumDType(dtype: DType): DType {
  return isFloat(dtype) ? dtype : 'int64';
}

function kind(dtype: DType): number {
  return isFloat(dtype) ? 2 : dtype === 'bool' ? 0 : 1;
}

/** The array that stores elements of each dtype: 16-bit floats as their bits (see half.ts), bool as bytes 0 and 1. */
export interface TypedArrays {
  float64: Float64Array;
  float32: Float32Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}
export type ArrayOf<D extends DType> = TypedArrays[D];
/** An array with numbers in it. */
export type NumberArray = Exclude<ArrayOf<DType>, BigInt64Array>;

interface ArrayConstructor<A> {
  new (length: number): A;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): A;
}
/** The class of the array that stores each dtype. */
export const arrays: { readonly [D in DType]: ArrayConstructor<ArrayOf<D>> } = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** The least and the greatest number that each dtype of integers holds; for int64 the greatest double below 2^63. */
const ranges = {
  int64: [-(2 ** 63), 2 ** 63 - 1024],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int16: [-32768, 32767],
  int8: [-128, 127],
  uint8: [0, 255],
} as const satisfies Record<IntDType, readonly [number, number]>;

/**
 * Stores JS values as elements of `dtype`. Fractions are cut off for integers; in bool everything but 0 is true.
 * `op` begins the message of an error.
 *
 * @throws ArgumentError for a value that is not a number, bigint or boolean.
 * @throws DTypeError for a value that an integer dtype cannot hold, NaN among them.
 */
export function encode<D extends DType>(dtype: D, values: ArrayLike<number | bigint | boolean>, op: string): ArrayOf<D>;
export function encode(dtype: DType, values: ArrayLike<number | bigint | boolean>, op: string): ArrayOf<DType> {
  const count = values.length;
  if (dtype === 'int64') {
    const out = new BigInt64Array(count);
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      out[i] =
        typeof value === 'bigint' ? checkedBigInt(value, op) : BigInt(checkedInteger(dtype, numberOf(value, op), op));
    }
    return out;
  }
  if (dtype === 'float16' || dtype === 'bfloat16') return encodeHalf(dtype, encode('float32', values, op));
  const out = new arrays[dtype](count);
  if (isFloat(dtype)) {
    for (let i = 0; i < count; i++) out[i] = numberOf(values[i], op);
  } else if (dtype === 'bool') {
    for (let i = 0; i < count; i++) out[i] = numberOf(values[i], op) === 0 ? 0 : 1;
  } else {
    for (let i = 0; i < count; i++) out[i] = checkedInteger(dtype, numberOf(values[i], op), op);
  }
  return out;
}

/** The elements as numbers: 16-bit floats decoded, int64 rounded to the nearest double; any other array is returned as it is. */
export function decode<D extends DType>(dtype: D, data: ArrayOf<D>): NumberArray;
export function decode(dtype: DType, data: ArrayOf<DType>): NumberArray {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number);
  return data instanceof Uint16Array && (dtype === 'float16' || dtype === 'bfloat16') ? decodeHalf(dtype, data) : data;
}

function numberOf(value: unknown, op: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
  const got = value === null ? 'null' : typeof value;
  throw new ArgumentError(`${op}: an element is not a number: got ${got}, expected number, bigint or boolean`, { got });
}

function checkedInteger(dtype: IntDType, value: number, op: string): number {
  const whole = Math.trunc(value);
  const [least, greatest] = ranges[dtype];
  if (whole >= least && whole <= greatest) return whole;
  throw unfit(dtype, value, op);
}

function checkedBigInt(value: bigint, op: string): bigint {
  if (BigInt.asIntN(64, value) === value) return value;
  throw unfit('int64', value, op);
}

function unfit(dtype: IntDType, value: number | bigint, op: string): DTypeError {
  return new DTypeError(`${op}: ${dtype} cannot hold a value: got ${String(value)}`, { dtype, value });
}
