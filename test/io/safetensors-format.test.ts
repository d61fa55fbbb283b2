import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '../../lib/errors';
import { SafetensorsFile } from '../../lib/io/safetensors-file';
import { parseSafetensors } from '../../lib/io/safetensors-format';

const golden = join(__dirname, '../golden/safetensors');

/** A file of a header and `dataLength` bytes counting up; `length` overrides what the first 8 bytes say. */
function build(header: unknown, dataLength = 0, length?: bigint): Buffer {
  const json = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([start, json, Buffer.from(Array.from({ length: dataLength }, (_, i) => i))]);
}

const f32 = (shape: unknown, ...offsets: unknown[]): object => ({ dtype: 'F32', shape, data_offsets: offsets });

describe('files of the reference implementation', () => {
  test('every dtype reads with its exact values', () => {
    const { tensors, metadata } = parseSafetensors(readFileSync(join(golden, 'all.safetensors')));
    expect(metadata).toEqual({ format: 'pt "é"\n' });
    const floats = [-1.5, 0, 1, 65504, Infinity, NaN];
    expect(Object.fromEntries(tensors)).toEqual({
      float64: { dtype: 'float64', shape: [2, 3], data: Float64Array.from(floats) },
      float32: { dtype: 'float32', shape: [3, 2], data: Float32Array.from(floats) },
      float16: { dtype: 'float16', shape: [6], data: Uint16Array.of(0xbe00, 0, 0x3c00, 0x7bff, 0x7c00, 0x7e00) },
      bfloat16: { dtype: 'bfloat16', shape: [6], data: Uint16Array.of(0xbfc0, 0, 0x3f80, 0x4780, 0x7f80, 0x7fc0) },
      int64: { dtype: 'int64', shape: [3], data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n) },
      int32: { dtype: 'int32', shape: [3], data: Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 5) },
      int16: { dtype: 'int16', shape: [3], data: Int16Array.of(-(2 ** 15), 2 ** 15 - 1, 5) },
      int8: { dtype: 'int8', shape: [6], data: Int8Array.of(-128, -1, 0, 1, 2, 127) },
      uint8: { dtype: 'uint8', shape: [3], data: Uint8Array.of(0, 1, 255) },
      bool: { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
      scalar: { dtype: 'float32', shape: [], data: Float32Array.of(3.25) },
      empty: { dtype: 'float32', shape: [0, 3], data: new Float32Array(0) },
      'layers.0."quoted"\né😀': { dtype: 'float32', shape: [2], data: Float32Array.of(0, 1) },
    });
  });

  test('a file without tensors reads', () => {
    const { tensors, metadata } = parseSafetensors(readFileSync(join(golden, 'none.safetensors')));
    expect(tensors.size).toBe(0);
    expect(metadata).toEqual({});
  });
});

describe('unusual but valid files', () => {
  test('data that is not aligned to its elements is copied', () => {
    const bytes = build(
      { a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, b: { dtype: 'I32', shape: [2], data_offsets: [1, 9] } },
      9,
    );
    const { tensors } = parseSafetensors(bytes);
    expect(tensors.get('b')?.data).toEqual(Int32Array.of(0x04030201, 0x08070605));
  });

  test('aligned data shares the memory of the bytes', () => {
    const buffer = new ArrayBuffer(8 + 64 + 4);
    const bytes = new Uint8Array(buffer);
    bytes.set(build(JSON.stringify({ a: f32([1], 0, 4) }).padEnd(64), 4));
    expect(parseSafetensors(bytes).tensors.get('a')?.data.buffer).toBe(buffer);
  });

  test('space between tokens, fields and tensors in any order, escapes, and names such as __proto__', () => {
    const header =
      '{ "later" : {"data_offsets":[4 , 8],\t"shape":[ 1 ],"dtype":"F32"},\r\n' +
      ' "\\u0061\\n\\ud83d\\ude00":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[8,8]},' +
      '"__metadata__":{"__proto__":"x"} }  ';
    const { tensors, metadata } = parseSafetensors(build(header, 8));
    expect([...tensors.keys()]).toEqual(['later', 'a\n😀', '__proto__']);
    expect(tensors.get('later')?.data).toEqual(new Float32Array(Uint8Array.of(4, 5, 6, 7).buffer));
    expect(Object.entries(metadata)).toEqual([['__proto__', 'x']]);
  });

  test('empty tensors may share an offset', () => {
    const header = { a: f32([0], 0, 0), b: f32([2, 0], 0, 0), c: f32([1], 0, 4), d: f32([0], 4, 4) };
    expect(parseSafetensors(build(header, 4)).tensors.size).toBe(4);
  });
});

const many = 2 ** 40;
const cases: [name: string, bytes: Buffer, message: string][] = [
  // The length.
  ['an empty file', Buffer.alloc(0), 'file is too short at byte 0: got 0 bytes, expected at least 8'],
  ['7 bytes', Buffer.alloc(7), 'file is too short at byte 0: got 7 bytes, expected at least 8'],
  ['a header of 0 bytes', build(''), 'header start at byte 8: got nothing, expected "{"'],
  [
    'a header longer than the file',
    build('{}', 0, 3n),
    'header length at byte 0: got 3, expected at most 2, what the file has left',
  ],
  [
    'a header longer than 100 MB',
    build('{}', 0, 100_000_001n),
    'header length at byte 0: got 100000001, expected at most 100000000',
  ],
  [
    'a header of 2^64 - 1 bytes',
    build('{}', 0, 2n ** 64n - 1n),
    'header length at byte 0: got 18446744073709551615, expected at most 100000000',
  ],
  // The JSON.
  ['a header that starts with a space', build(' {}'), 'header start at byte 8: got byte 0x20, expected "{"'],
  ['a header that is a list', build('[]'), 'header start at byte 8: got byte 0x5b, expected "{"'],
  ['a byte order mark', build('\ufeff{}'), 'header start at byte 8: got byte 0xef, expected "{"'],
  [
    'bytes that are no UTF-8',
    build(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    'header at byte 8: got invalid UTF-8, expected UTF-8',
  ],
  ['a header cut off', build('{"a"'), 'header at byte 12: got its end, expected ":"'],
  ['a header cut off in a name', build('{"a'), 'string at byte 9: got no end, expected a closing quote'],
  ['a header cut off in an escape', build('{"a\\'), 'string at byte 9: got no end, expected a closing quote'],
  ['something behind the header', build('{}}'), 'header at byte 10: got }, expected its end'],
  ['zeros behind the header', build('{}\0\0'), 'header at byte 10: got \0, expected its end'],
  [
    'a comma before the end',
    build('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},}', 1),
    'header at byte 60: got }, expected a string',
  ],
  ['a name without quotes', build('{a:1}'), 'header at byte 9: got a, expected a string'],
  ['a tensor that is a number', build('{"a":12}'), 'header at byte 13: got 12, expected "{"'],
  ['a tensor that is null', build('{"é":null}'), 'header at byte 14: got null, expected "{"'],
  ['lists nested deep', build(`{"a":${'['.repeat(100_000)}`), 'header at byte 13: got [, expected "{"'],
  [
    'an escape that does not exist',
    build('{"\\x":{}}'),
    'string at byte 9: got "\\x", expected valid escapes and no control characters',
  ],
  [
    'a line break in a name',
    build('{"a\n":{}}'),
    'string at byte 9: got "a\n", expected valid escapes and no control characters',
  ],
  [
    'half a surrogate pair in a name',
    build('{"\\ud83d":{}}'),
    'string at byte 9: got "\\ud83d", expected valid escapes and no control characters',
  ],
  // Keys.
  [
    'a tensor twice',
    build('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}', 2),
    'key at byte 60: got "a" a second time, expected every key once',
  ],
  [
    'a tensor twice, one of them escaped',
    build(
      '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}',
      2,
    ),
    'key at byte 60: got "a" a second time, expected every key once',
  ],
  [
    'a field twice',
    build('{"a":{"dtype":"U8","shape":[],"shape":[1],"data_offsets":[0,1]}}', 1),
    'key at byte 38: got "shape" a second time, expected every key once',
  ],
  [
    'metadata twice',
    build('{"__metadata__":{},"__metadata__":{}}'),
    'key at byte 27: got "__metadata__" a second time, expected every key once',
  ],
  [
    'a metadata key twice',
    build('{"__metadata__":{"k":"1","k":"2"}}'),
    'key at byte 33: got "k" a second time, expected every key once',
  ],
  ['metadata that is a string', build('{"__metadata__":"pt"}'), 'header at byte 24: got ", expected "{"'],
  ['a number in the metadata', build('{"__metadata__":{"epoch":3}}'), 'header at byte 33: got 3, expected a string'],
  // Fields.
  [
    'no dtype',
    build({ a: { shape: [], data_offsets: [0, 4] } }, 4),
    'tensor "a" at byte 9: got no dtype, expected dtype, shape and data_offsets',
  ],
  [
    'no shape',
    build({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4),
    'tensor "a" at byte 9: got no shape, expected dtype, shape and data_offsets',
  ],
  [
    'no offsets',
    build({ a: { dtype: 'F32', shape: [] } }, 4),
    'tensor "a" at byte 9: got no data_offsets, expected dtype, shape and data_offsets',
  ],
  [
    'a field too many',
    build({ a: { dtype: 'F32', shape: [], data_offsets: [0, 4], strides: [] } }, 4),
    'field of "a" at byte 60: got "strides", expected dtype, shape or data_offsets',
  ],
  [
    'a dtype that is a number',
    build({ a: { dtype: 1, shape: [], data_offsets: [0, 4] } }, 4),
    'header at byte 22: got 1, expected a string',
  ],
  [
    'an unsupported dtype',
    build({ a: { dtype: 'F8_E4M3', shape: [4], data_offsets: [0, 4] } }, 4),
    'unsupported dtype of "a" at byte 22: got "F8_E4M3", expected I64 F64 F32 I32 BF16 F16 I16 I8 U8 BOOL',
  ],
  [
    'a dtype in small letters',
    build({ a: { dtype: 'f32', shape: [], data_offsets: [0, 4] } }, 4),
    'unsupported dtype of "a" at byte 22: got "f32", expected I64 F64 F32 I32 BF16 F16 I16 I8 U8 BOOL',
  ],
  ['a shape that is a number', build({ a: f32(1, 0, 4) }, 4), 'header at byte 36: got 1, expected "["'],
  [
    'a negative size',
    build({ a: f32([-1], 0, 4) }, 4),
    'shape of "a" at byte 37: got -1, expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'a size with a fraction',
    build('{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', 4),
    'shape of "a" at byte 37: got 1.0, expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'a size with an exponent',
    build('{"a":{"dtype":"F32","shape":[1e3],"data_offsets":[0,4]}}', 4),
    'shape of "a" at byte 37: got 1e3, expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'a size with a leading zero',
    build('{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}', 4),
    'shape of "a" at byte 37: got 01, expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'a size of 2^53',
    build('{"a":{"dtype":"F32","shape":[9007199254740992],"data_offsets":[0,4]}}', 4),
    'shape of "a" at byte 37: got 9007199254740992, expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'a size that is a string',
    build({ a: f32(['1'], 0, 4) }, 4),
    'shape of "a" at byte 37: got ", expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'a missing size',
    build('{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}', 4),
    'shape of "a" at byte 39: got ], expected a whole number from 0 to 2^53 - 1',
  ],
  [
    'rank 9',
    build({ a: f32([1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 4) }, 4),
    'shape of "a" at byte 53: got more than 8 numbers, expected at most 8',
  ],
  [
    'a product that overflows',
    build({ a: f32([many, many], 0, 4) }, 4),
    `tensor "a": shape at byte 9: got [${many}, ${many}], expected at most 2^53 - 1 bytes`,
  ],
  [
    'a product that overflows beside a zero',
    build({ a: f32([0, many, many], 0, 0) }),
    `tensor "a": shape at byte 9: got [0, ${many}, ${many}], expected at most 2^53 - 1 bytes`,
  ],
  ['one offset', build({ a: f32([1], 0) }, 4), 'data_offsets of "a" at byte 9: got 1 numbers, expected 2'],
  ['no offset', build({ a: f32([1]) }, 4), 'data_offsets of "a" at byte 9: got 0 numbers, expected 2'],
  [
    'three offsets',
    build({ a: f32([1], 0, 4, 4) }, 4),
    'data_offsets of "a" at byte 60: got more than 2 numbers, expected at most 2',
  ],
  [
    'a negative offset',
    build({ a: f32([1], -4, 0) }, 4),
    'data_offsets of "a" at byte 56: got -4, expected a whole number from 0 to 2^53 - 1',
  ],
  // The layout.
  [
    'fewer bytes than the shape needs',
    build({ a: f32([2, 3], 0, 20) }, 20),
    'tensor "a": data_offsets at byte 9: got 20 bytes, expected 24 for F32 [2, 3]',
  ],
  [
    'the bytes of another dtype',
    build({ a: { dtype: 'F16', shape: [2], data_offsets: [0, 8] } }, 8),
    'tensor "a": data_offsets at byte 9: got 8 bytes, expected 4 for F16 [2]',
  ],
  [
    'an end before the begin',
    build({ a: f32([1], 0, 4), b: f32([1], 4, 0) }, 8),
    'tensor "b": data_offsets at byte 62: got -4 bytes, expected 4 for F32 [1]',
  ],
  [
    'tensors that overlap',
    build({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8),
    'tensor "b": overlap in the data at byte 62: got begin 4, expected 8',
  ],
  [
    'two tensors at one place',
    build({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4),
    'tensor "b": overlap in the data at byte 62: got begin 0, expected 4',
  ],
  [
    'a hole at the start',
    build({ a: f32([1], 4, 8) }, 8),
    'tensor "a": hole in the data at byte 9: got begin 4, expected 0',
  ],
  [
    'a hole between tensors',
    build({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12),
    'tensor "b": hole in the data at byte 62: got begin 8, expected 4',
  ],
  [
    'an empty tensor beyond the data',
    build({ a: f32([0], 4, 4) }),
    'tensor "a": hole in the data at byte 9: got begin 4, expected 0',
  ],
  ['data cut off', build({ a: f32([2], 0, 8) }, 7), 'file is cut off at byte 62: got 7 bytes of data, expected 8'],
  [
    'a terabyte in a small file',
    build({ a: f32([many / 4], 0, many) }, 8),
    'file is cut off at byte 85: got 8 bytes of data, expected 1099511627776',
  ],
  [
    'bytes behind the data',
    build({ a: f32([2], 0, 8) }, 9),
    'bytes behind the last tensor at byte 62: got 9 bytes of data, expected 8',
  ],
  [
    'bytes behind an empty header',
    build('{}', 1),
    'bytes behind the last tensor at byte 10: got 1 bytes of data, expected 0',
  ],
  [
    'a very long name',
    build({ ['n'.repeat(1000)]: f32([1], 4, 8) }, 8),
    `tensor "${'n'.repeat(78)}…: hole in the data at byte 9: got begin 4, expected 0`,
  ],
];

describe('malformed files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hadal-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test.each(cases)('%s', async (_, bytes, message) => {
    let error: unknown;
    try {
      parseSafetensors(bytes, 'x.safetensors');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toBe(`safetensors: x.safetensors: ${message}`);

    const path = join(folder, 'x.safetensors');
    await writeFile(path, bytes);
    await expect(SafetensorsFile.open(path)).rejects.toThrow(new FormatError(`safetensors: ${path}: ${message}`));
  });

  test('an error carries the file, the offset, what was got and what was expected', () => {
    expect(() => parseSafetensors(build('{}', 0, 3n), 'x')).toThrow(
      expect.objectContaining({
        code: 'FORMAT',
        fields: { file: 'x', offset: 0, got: '3', expected: 'at most 2, what the file has left' },
      }),
    );
  });

  test('a valid file with any one byte of its header changed, or cut anywhere, is read or refused, never worse', () => {
    const valid = build(
      { __metadata__: { k: 'v' }, a: f32([2], 0, 8), b: { dtype: 'U8', shape: [1, 3], data_offsets: [8, 11] } },
      11,
    );
    let refused = 0;
    const attempt = (bytes: Uint8Array): void => {
      try {
        const { tensors } = parseSafetensors(bytes);
        for (const { data } of tensors.values()) expect(data.byteLength).toBeLessThanOrEqual(bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        refused++;
      }
    };
    for (let length = 0; length < valid.length; length++) attempt(valid.subarray(0, length));
    expect(refused).toBe(valid.length);
    for (let at = 0; at < valid.length - 11; at++) {
      for (const byte of [0x00, 0x20, 0x22, 0x2c, 0x30, 0x39, 0x5b, 0x5c, 0x7b, 0x7d, 0x80, 0xff]) {
        const changed = Buffer.from(valid);
        changed[at] = byte;
        attempt(changed);
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
