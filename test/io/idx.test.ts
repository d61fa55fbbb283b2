import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FormatError } from '../../lib/errors';
import { parseIdx, readIdx, readMnist } from '../../lib/io/idx';

const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A file written from its parts; plain or gzipped. */
function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function idx(type: number, shape: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, type, shape.length]);
  shape.forEach((size, axis) => header.writeUInt32BE(size, 4 + 4 * axis));
  return Buffer.concat([header, data]);
}

const zeros = (length: number): Uint8Array => new Uint8Array(length);

test.each([
  ['uint8', 0x08, Uint8Array.of(0, 127, 255), [0, 127, 255]],
  ['int8', 0x09, Int8Array.of(-128, -1, 127), [0x80, 0xff, 0x7f]],
  ['int16', 0x0b, Int16Array.of(-2, 258), [0xff, 0xfe, 1, 2]],
  ['int32', 0x0c, Int32Array.of(-2, 0x01020304), [0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4]],
  ['float32', 0x0d, Float32Array.of(-1.5, 0.25), [0xbf, 0xc0, 0, 0, 0x3e, 0x80, 0, 0]],
  ['float64', 0x0e, Float64Array.of(-1.5), [0xbf, 0xf8, 0, 0, 0, 0, 0, 0]],
])('%s elements, from memory, from a file and from a gzipped file', async (dtype, type, data, bytes) => {
  const expected = { dtype, shape: [1, data.length], data };
  const plain = idx(type, [1, data.length], Uint8Array.from(bytes));
  expect(parseIdx(plain)).toEqual(expected);
  expect(await readIdx(file('plain', plain))).toEqual(expected);
  expect(await readIdx(file('zipped', gzipSync(plain)))).toEqual(expected);
});

test('an axis of size 0, and two gzip members one behind the other', async () => {
  expect(parseIdx(idx(0x08, [0, 28, 28], zeros(0)))).toEqual({ dtype: 'uint8', shape: [0, 28, 28], data: zeros(0) });
  const plain = idx(0x08, [4], Uint8Array.of(1, 2, 3, 4));
  const members = Buffer.concat([gzipSync(plain.subarray(0, 6)), gzipSync(plain.subarray(6))]);
  expect((await readIdx(file('members', members))).data).toEqual(Uint8Array.of(1, 2, 3, 4));
});

test('a file of several megabytes arrives whole', async () => {
  const data = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * i) >> 8);
  const plain = idx(0x08, [3000, 1000], data);
  expect(Buffer.compare((await readIdx(file('plain', plain))).data as Uint8Array, data)).toBe(0);
  expect(Buffer.compare((await readIdx(file('zipped', gzipSync(plain)))).data as Uint8Array, data)).toBe(0);
});

describe('malformed files', () => {
  const large = 2 ** 32 - 1;
  const cases: [name: string, bytes: Uint8Array, message: string][] = [
    ['an empty file', zeros(0), 'file is cut off at byte 0: got 0 bytes, expected a header of 4'],
    ['2 bytes', zeros(2), 'file is cut off at byte 2: got 2 bytes, expected a header of 4'],
    [
      'a header cut off',
      idx(8, [2, 3], zeros(6)).subarray(0, 11),
      'file is cut off at byte 11: got 11 bytes, expected a header of 12',
    ],
    ['another magic', Buffer.from('PNG.....'), 'magic at byte 0: got 0x504e, expected 0x0000'],
    ['a second byte that is not zero', Buffer.from([0, 1, 8, 1]), 'magic at byte 0: got 0x0001, expected 0x0000'],
    [
      'an unknown element type',
      idx(0x0a, [1], zeros(1)),
      'element type at byte 2: got 0x0a, expected 0x08, 0x09, 0x0b, 0x0c, 0x0d or 0x0e',
    ],
    ['rank 0', idx(8, [], zeros(1)), 'rank at byte 3: got 0, expected 1 to 8'],
    ['rank 9', idx(8, [1, 1, 1, 1, 1, 1, 1, 1, 1], zeros(1)), 'rank at byte 3: got 9, expected 1 to 8'],
    [
      'one element too few',
      idx(8, [2, 3], zeros(5)),
      'sizes at byte 4: got [2, 3] of uint8 (a file of 18 bytes), expected 17 bytes, as the file’s size allows',
    ],
    [
      'one byte too many',
      idx(8, [2, 3], zeros(7)),
      'sizes at byte 4: got [2, 3] of uint8 (a file of 18 bytes), expected 19 bytes, as the file’s size allows',
    ],
    [
      'bytes for another element type',
      idx(0x0c, [2, 3], zeros(6)),
      'sizes at byte 4: got [2, 3] of int32 (a file of 36 bytes), expected 18 bytes, as the file’s size allows',
    ],
    [
      'sizes whose product overflows',
      idx(8, [large, large, large], zeros(8)),
      `sizes at byte 4: got [${large}, ${large}, ${large}] of uint8 (a file of 7.9228162458924105e+28 bytes), expected 24 bytes, as the file’s size allows`,
    ],
  ];
  test.each(cases)('%s', async (_, bytes, message) => {
    expect(() => parseIdx(bytes, 'x.idx')).toThrow(new FormatError(`readIdx: x.idx: ${message}`));
    const path = file('x.idx', bytes);
    await expect(readIdx(path)).rejects.toThrow(new FormatError(`readIdx: ${path}: ${message}`));
  });

  test('an error carries the file, the offset, what was got and what was expected', () => {
    expect(() => parseIdx(idx(8, [], zeros(1)), 'x')).toThrow(
      expect.objectContaining({ code: 'FORMAT', fields: { file: 'x', offset: 3, got: '0', expected: '1 to 8' } }),
    );
  });
});

describe('malformed gzip files', () => {
  const good = gzipSync(idx(8, [100], zeros(100)));
  const cases: [name: string, bytes: Uint8Array, message: (path: string) => string][] = [
    [
      'a gzip header alone',
      good.subarray(0, 10),
      (path) => `readIdx: ${path}: damaged gzip data: unexpected end of file`,
    ],
    [
      'gzip data cut off',
      good.subarray(0, -9),
      (path) => `readIdx: ${path}: damaged gzip data: unexpected end of file`,
    ],
    [
      'a wrong checksum',
      Buffer.concat([good.subarray(0, -8), Buffer.from([1, 2, 3, 4]), good.subarray(-4)]),
      (path) => `readIdx: ${path}: damaged gzip data: incorrect data check`,
    ],
    [
      'text behind the gzip data',
      Buffer.concat([good, Buffer.from('extra')]),
      (path) => `readIdx: ${path}: damaged gzip data: incorrect header check`,
    ],
    [
      'zeros behind the gzip data',
      Buffer.concat([good, zeros(5)]),
      (path) =>
        `readIdx: ${path}: bytes behind the gzip data at byte ${good.length}: got ${good.length + 5} bytes, expected ${good.length}`,
    ],
    [
      'too few elements',
      gzipSync(idx(8, [100], zeros(99))),
      (path) => `readIdx: ${path}: file is cut off at byte 107: got 107 bytes, expected 108`,
    ],
    [
      'too many elements',
      gzipSync(idx(8, [100], zeros(101))),
      (path) => `readIdx: ${path}: bytes behind the last element at byte 108: got more, expected 108 bytes in all`,
    ],
    [
      'an empty member',
      gzipSync(zeros(0)),
      (path) => `readIdx: ${path}: file is cut off at byte 0: got 0 bytes, expected a header of 4`,
    ],
  ];
  test.each(cases)('%s', async (_, bytes, message) => {
    const path = file('x.gz', bytes);
    await expect(readIdx(path)).rejects.toThrow(new FormatError(message(path)));
  });

  test('a header that claims more than the compressed bytes can hold allocates nothing', async () => {
    const bytes = gzipSync(idx(8, [2 ** 31, 4], zeros(100)));
    const path = file('claim.gz', bytes);
    const most = String(bytes.length * 1032);
    await expect(readIdx(path)).rejects.toThrow(
      new FormatError(
        `readIdx: ${path}: sizes at byte 4: got [2147483648, 4] of uint8 (a file of 8589934604 bytes), expected at most ${most} bytes, as the file’s size allows`,
      ),
    );
  });

  test('a gzip bomb is stopped as soon as it holds more than its header says', async () => {
    // Its checksum is wrong, which shows only to who inflates all of it.
    const bomb = gzipSync(idx(8, [10], zeros(2 ** 26)));
    const path = file('bomb.gz', Buffer.concat([bomb.subarray(0, -8), zeros(8)]));
    await expect(readIdx(path)).rejects.toThrow(
      new FormatError(`readIdx: ${path}: bytes behind the last element at byte 18: got more, expected 18 bytes in all`),
    );
  });
});

describe('MNIST folders', () => {
  const images = idx(
    8,
    [2, 2, 3],
    Uint8Array.from({ length: 12 }, (_, i) => i),
  );
  const labels = idx(8, [2], Uint8Array.of(7, 0));

  function mnist(name: string, files: Record<string, Uint8Array>): string {
    const own = join(folder, name);
    mkdirSync(own);
    for (const [part, bytes] of Object.entries(files)) writeFileSync(join(own, part), bytes);
    return own;
  }

  test('four files, gzipped or not', async () => {
    const own = mnist('mixed', {
      'train-images-idx3-ubyte.gz': gzipSync(images),
      'train-labels-idx1-ubyte': labels,
      't10k-images-idx3-ubyte': images,
      't10k-labels-idx1-ubyte.gz': gzipSync(labels),
    });
    const split = {
      images: Uint8Array.from({ length: 12 }, (_, i) => i),
      labels: Uint8Array.of(7, 0),
      count: 2,
      height: 2,
      width: 3,
    };
    expect(await readMnist(own)).toEqual({ train: split, test: split });
  });

  const cases: [string, Record<string, Uint8Array>, string][] = [
    ['no files', {}, 'train-images-idx3-ubyte: no such file, with or without .gz'],
    ['no labels', { 'train-images-idx3-ubyte': images }, 'train-labels-idx1-ubyte: no such file, with or without .gz'],
    [
      'images that are labels',
      { 'train-images-idx3-ubyte': labels },
      'train-images-idx3-ubyte: contents at byte 2: got uint8 of rank 1, expected uint8 of rank 3',
    ],
    [
      'labels of another type',
      { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte.gz': gzipSync(idx(9, [2], zeros(2))) },
      'train-labels-idx1-ubyte.gz: contents at byte 2: got int8 of rank 1, expected uint8 of rank 1',
    ],
    [
      'fewer labels than images',
      { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': idx(8, [1], zeros(1)) },
      'train-labels-idx1-ubyte: count at byte 4: got 1 labels, expected 2, one for each image',
    ],
    [
      'a label that is no digit',
      { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': idx(8, [2], Uint8Array.of(9, 10)) },
      'train-labels-idx1-ubyte: label at byte 9: got 10, expected 0 to 9',
    ],
  ];
  test.each(cases)('%s', async (name, files, message) => {
    const own = mnist(name, files);
    await expect(readMnist(own)).rejects.toThrow(new FormatError(`readMnist: ${join(own, message)}`));
  });

  const shared = join(process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data'), 'mnist');
  (existsSync(shared) ? test : test.skip)('the original files', async () => {
    const { train, test: held } = await readMnist(shared);
    expect([train.count, train.height, train.width, held.count]).toEqual([60_000, 28, 28, 10_000]);
    expect([...train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    const counts = Array.from({ length: 10 }, (_, digit) => train.labels.filter((label) => label === digit).length);
    expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    let sum = 0;
    for (const value of train.images) sum += value;
    expect(sum / train.images.length / 255).toBeCloseTo(0.1307, 4);
  });
});
