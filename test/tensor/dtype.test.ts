import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  arrays,
  codes,
  decode,
  dtypes,
  encode,
  isDType,
  isFloat,
  isIndex,
  isInt,
  promote,
  promoteNumber,
  promoteOperands,
  sizes,
  sumDType,
  toFloat,
  type DType,
} from '../../lib/tensor/dtype';
import { ArgumentError, DTypeError } from '../../lib/errors';

const header = readFileSync(join(__dirname, '../../native/runtime/dtype.h'), 'utf8');

describe('codes and sizes', () => {
  test('agree with native/runtime/dtype.h', () => {
    const names = /kDTypeNames\[kDTypeCount\] = \{([^}]*)\}/.exec(header)![1]!;
    const bytes = /kDTypeSizes\[kDTypeCount\] = \{([^}]*)\}/.exec(header)![1]!;
    expect(dtypes).toEqual(names.split(',').map((name) => name.trim().replaceAll('"', '')));
    expect(dtypes.map((dtype) => codes[dtype])).toEqual(dtypes.map((_, i) => i));
    expect(dtypes.map((dtype) => sizes[dtype])).toEqual(bytes.split(',').map(Number));
  });

  test('arrays have elements of that size', () => {
    for (const dtype of dtypes) expect(new arrays[dtype](3).byteLength).toBe(3 * sizes[dtype]);
  });

  test('kinds', () => {
    expect(dtypes.filter(isFloat)).toEqual(['float64', 'float32', 'float16', 'bfloat16']);
    expect(dtypes.filter(isInt)).toEqual(['int64', 'int32', 'int16', 'int8', 'uint8']);
    expect(dtypes.filter(isIndex)).toEqual(['int64', 'int32']);
    expect(['bool', 'int64', 'uint16', 'toString', 3, undefined].map(isDType)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

// The rule in words: the higher kind wins; inside a kind the wider; two that cannot hold each other meet in the next wider one.
function expected(a: DType, b: DType): DType {
  if (a === b) return a;
  const kind = (dtype: DType): number => (isFloat(dtype) ? 2 : isInt(dtype) ? 1 : 0);
  if (kind(a) !== kind(b)) return kind(a) > kind(b) ? a : b;
  if (sizes[a] !== sizes[b]) return sizes[a] > sizes[b] ? a : b;
  return kind(a) === 2 ? 'float32' : 'int16';
}

describe('promotion', () => {
  test.each(dtypes)('%s with every dtype', (a) => {
    for (const b of dtypes) expect([a, b, promote(a, b)]).toEqual([a, b, expected(a, b)]);
  });

  test('a number never widens, a fraction makes integers float32', () => {
    expect(dtypes.map((dtype) => promoteNumber(dtype, 2))).toEqual([...dtypes.slice(0, 9), 'int64']);
    for (const value of [0.5, NaN, Infinity]) {
      expect(dtypes.map((dtype) => promoteNumber(dtype, value))).toEqual([
        ...dtypes.slice(0, 4),
        ...Array<DType>(6).fill('float32'),
      ]);
    }
  });

  test('a tensor of rank 0 does not widen one of its own or a higher kind', () => {
    expect(promoteOperands('float32', 2, 'float64', 0)).toBe('float32');
    expect(promoteOperands('float64', 0, 'bfloat16', 1)).toBe('bfloat16');
    expect(promoteOperands('uint8', 1, 'int64', 0)).toBe('uint8');
    expect(promoteOperands('float16', 1, 'int64', 0)).toBe('float16');
    expect(promoteOperands('int32', 1, 'float64', 0)).toBe('float64');
    expect(promoteOperands('bool', 1, 'int8', 0)).toBe('int8');
    expect(promoteOperands('float32', 0, 'float64', 0)).toBe('float64');
    expect(promoteOperands('float16', 3, 'bfloat16', 1)).toBe('float32');
  });

  test('toFloat and sumDType', () => {
    expect(dtypes.map(toFloat)).toEqual([...dtypes.slice(0, 4), ...Array<DType>(6).fill('float32')]);
    expect(dtypes.map(sumDType)).toEqual([...dtypes.slice(0, 4), ...Array<DType>(6).fill('int64')]);
  });
});

describe('encode and decode', () => {
  test('every dtype stores small integers exactly', () => {
    for (const dtype of dtypes) {
      const values = dtype === 'bool' ? [0, 1, 1] : [0, 1, 100];
      const data = encode(dtype, values, 'tensor');
      expect(data).toBeInstanceOf(arrays[dtype]);
      expect([dtype, ...decode(dtype, data)]).toEqual([dtype, ...values]);
    }
  });

  test('fractions are cut off for integers, true for bool', () => {
    expect([...encode('int8', [2.9, -2.9, -128.5], 'tensor')]).toEqual([2, -2, -128]);
    expect([...encode('int64', [2.9, -2.9, 7n, true], 'tensor')]).toEqual([2n, -2n, 7n, 1n]);
    expect([...encode('bool', [0.5, 0, NaN, -0, 3n], 'tensor')]).toEqual([1, 0, 1, 0, 1]);
  });

  test('int64 keeps every bit of a bigint', () => {
    const extremes = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n];
    expect([...encode('int64', extremes, 'tensor')]).toEqual(extremes);
    expect([...decode('int64', BigInt64Array.from([3n, -1n]))]).toEqual([3, -1]);
  });

  const unfit: [DType, number | bigint][] = [
    ['int32', NaN],
    ['int64', Infinity],
    ['uint8', -1],
    ['uint8', 256],
    ['int8', 128],
    ['int16', -32769],
    ['int32', 2 ** 31],
    ['int64', 2 ** 63],
    ['int64', 2n ** 63n],
  ];
  test.each(unfit)('%s cannot hold %s', (dtype, value) => {
    const attempt = (): unknown => encode(dtype, [0, value], 'tensor');
    expect(attempt).toThrow(DTypeError);
    expect(attempt).toThrow(new Error(`tensor: ${dtype} cannot hold a value: got ${value}`));
  });

  test('what is not a number is refused by every dtype', () => {
    for (const dtype of dtypes) {
      for (const [value, got] of [
        ['1', 'string'],
        [null, 'null'],
        [undefined, 'undefined'],
        [[1], 'object'],
      ]) {
        const attempt = (): unknown => encode(dtype, [0, value as unknown as number], 'full');
        expect(attempt).toThrow(ArgumentError);
        expect(attempt).toThrow(
          new Error(`full: an element is not a number: got ${String(got)}, expected number, bigint or boolean`),
        );
      }
    }
  });
});

// The value of 16-bit float `bits` from the definition: sign, exponent, mantissa.
function valueOf(bits: number, exponentBits: number): number {
  const mantissaBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >>> 15 ? -1 : 1;
  const exponent = (bits >>> mantissaBits) & (2 ** exponentBits - 1);
  const mantissa = bits & (2 ** mantissaBits - 1);
  if (exponent === 2 ** exponentBits - 1) return mantissa === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias);
}

describe.each([
  ['float16', 5],
  ['bfloat16', 8],
] as const)('%s', (dtype, exponentBits) => {
  const all = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
  const values = decode(dtype, all);

  test('decodes every pattern', () => {
    let wrong = 0;
    for (const bits of all) if (!Object.is(values[bits], valueOf(bits, exponentBits))) wrong++;
    expect(wrong).toBe(0);
  });

  test('encodes every value to its own pattern', () => {
    const bits = encode(dtype, values, 'tensor');
    let wrong = 0;
    for (const [i, value] of values.entries()) {
      if (Number.isNaN(value) ? !Number.isNaN(valueOf(bits[i]!, exponentBits)) : bits[i] !== i) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test('rounds to the nearest, ties to the even pattern', () => {
    let wrong = 0;
    // Positive finite neighbours; the last step goes to infinity, half a step beyond the greatest value.
    for (let low = 0; valueOf(low, exponentBits) < Infinity; low++) {
      const below = valueOf(low, exponentBits);
      const step = low === 0 ? valueOf(1, exponentBits) : below - valueOf(low - 1, exponentBits);
      const above = valueOf(low + 1, exponentBits) === Infinity ? below + step : valueOf(low + 1, exponentBits);
      const middle = (below + above) / 2;
      const apart = (above - below) / 64;
      const even = low % 2 === 0 ? low : low + 1;
      const bits = encode(dtype, [middle, middle - apart, middle + apart, -middle], 'tensor');
      if (bits[0] !== even || bits[1] !== low || bits[2] !== low + 1 || bits[3] !== even + 0x8000) wrong++;
    }
    expect(wrong).toBe(0);
  });
});
