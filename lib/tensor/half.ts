/**
 * Owns the 16-bit floats on the JS side: float16 and bfloat16 as their bits in a `Uint16Array`, to and from `Float32Array`.
 * Rounds to nearest, ties to even, as native/runtime/half.h does. Called by dtype.ts and by whoever reads raw 16-bit data.
 */

const one = new Float32Array(1);
const oneBits = new Uint32Array(one.buffer);

/** The bits of the bfloat16 nearest to `value`. */
export function toBFloat16Bits(value: number): number {
  one[0] = value;
  const word = oneBits[0]!;
  // A NaN keeps its sign and becomes quiet; rounding it could carry into infinity.
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x0040;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The value of a bfloat16. */
export function fromBFloat16Bits(bits: number): number {
  oneBits[0] = bits << 16;
  return one[0]!;
}

/** The bits of the float16 nearest to `value`, which is first rounded to float32, as on the native side. */
export function toFloat16Bits(value: number): number {
  one[0] = value;
  const word = oneBits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Subnormal: adding 0.5 aligns the mantissa so that the float32 addition rounds at the right bit.
  oneBits[0] = magnitude;
  one[0] = one[0] + 0.5;
  return sign | (oneBits[0] - 0x3f000000);
}

/** The value of a float16. */
export function fromFloat16Bits(bits: number): number {
  const magnitude = bits & 0x7fff;
  if (magnitude < 0x0400) return (bits & 0x8000 ? -magnitude : magnitude) * 2 ** -24;
  const word = magnitude >= 0x7c00 ? 0x7f800000 | ((magnitude & 0x3ff) << 13) : (magnitude << 13) + 0x38000000;
  oneBits[0] = ((bits & 0x8000) << 16) | word;
  return one[0]!;
}

/** `values` as float16 or bfloat16 bits. */
export function encodeHalf(dtype: 'float16' | 'bfloat16', values: Float32Array): Uint16Array<ArrayBuffer> {
  const convert = dtype === 'float16' ? toFloat16Bits : toBFloat16Bits;
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = convert(values[i]!);
  return bits;
}

/** The values behind float16 or bfloat16 bits. Every one is exact. */
export function decodeHalf(dtype: 'float16' | 'bfloat16', bits: Uint16Array): Float32Array<ArrayBuffer> {
  const convert = dtype === 'float16' ? fromFloat16Bits : fromBFloat16Bits;
  const values = new Float32Array(bits.length);
  for (let i = 0; i < values.length; i++) values[i] = convert(bits[i]!);
  return values;
}
