// Readers of data files: pictures, CIFAR, tables, lines, recordings.
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { gzipSync } from 'node:zlib';

import sharp from 'sharp';

import { FormatError } from '../../lib/errors';
import { data, io, tensor, type AnyTensor } from '../../lib/index';
import { optionalPackage } from '../../lib/io/optional-package';

const shared = process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data');
const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, bytes: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};

describe('pictures', () => {
  // Red, green; blue, white.
  const pixels = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255);
  const picture = sharp(pixels, { raw: { width: 2, height: 2, channels: 3 } });

  test('PNG, channel by channel', async () => {
    const { dtype, shape, data: values } = await data.decodeImage(await picture.clone().png().toBuffer());
    expect([dtype, shape, [...values]]).toEqual(['uint8', [3, 2, 2], [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]]);
  });

  test('grey, with transparency, and scaled', async () => {
    const png = await picture.clone().png().toBuffer();
    expect((await data.decodeImage(png, { channels: 1 })).shape).toEqual([1, 2, 2]);
    const clear = await data.decodeImage(png, { channels: 4 });
    expect([...clear.data.subarray(12)]).toEqual([255, 255, 255, 255]);
    expect((await data.decodeImage(png, { size: [5, 7] })).shape).toEqual([3, 5, 7]);
  });

  test('JPEG in folders of classes', async () => {
    const root = join(folder, 'photos');
    for (const name of ['cats', 'ants']) mkdirSync(join(root, name), { recursive: true });
    const jpeg = await picture.clone().resize(8, 8).jpeg().toBuffer();
    for (const name of ['cats/b.jpg', 'cats/a.JPEG', 'ants/z.jpg', 'ants/notes.txt'])
      writeFileSync(join(root, name), jpeg);
    const set = await data.ImageFolder.open(root, { size: [4, 4] });
    expect([
      set.classes,
      set.files.map(({ path, label }) => [path.slice(root.length).replaceAll(sep, '/'), label]),
    ]).toEqual([
      ['ants', 'cats'],
      [
        ['/ants/z.jpg', 0],
        ['/cats/a.JPEG', 1],
        ['/cats/b.jpg', 1],
      ],
    ]);
    for await (const batch of new data.DataLoader(set, { batchSize: 3 })) {
      const { image, label } = batch as unknown as Record<string, AnyTensor>;
      expect([image!.dtype, image!.shape, label!.toArraySync()]).toEqual(['uint8', [3, 3, 4, 4], [0, 1, 1]]);
    }
  });

  // On Windows links need a privilege.
  (process.platform === 'win32' ? test.skip : test)('classes may be links to folders elsewhere', async () => {
    const [root, elsewhere] = [join(folder, 'linked'), join(folder, 'elsewhere')];
    for (const path of [root, elsewhere]) mkdirSync(path);
    writeFileSync(join(elsewhere, 'a.png'), await picture.clone().png().toBuffer());
    symlinkSync(elsewhere, join(root, 'cats'));
    symlinkSync(join(folder, 'nowhere'), join(root, 'dogs'));
    const { classes, files } = await data.ImageFolder.open(root);
    expect([classes, files]).toEqual([['cats'], [{ path: join(root, 'cats/a.png'), label: 0 }]]);
  });

  test('no picture', async () => {
    await expect(data.decodeImage(new Uint8Array())).rejects.toThrow(FormatError);
    await expect(data.decodeImage(file('x.png', 'nothing'))).rejects.toThrow(
      /^decodeImage: .*x\.png: no picture that can/,
    );
    mkdirSync(join(folder, 'empty/one'), { recursive: true });
    await expect(data.ImageFolder.open(join(folder, 'empty'))).rejects.toThrow(FormatError);
  });
});

test('a missing package is named, with the remedy', () => {
  expect(() => optionalPackage('readX', 'no-such-package')).toThrow(
    expect.objectContaining({
      code: 'MISSING_PACKAGE',
      message: 'readX: the package no-such-package is missing: npm install no-such-package',
    }),
  );
});

describe('CIFAR', () => {
  const record = (labels: number[], value: number): Buffer =>
    Buffer.concat([Buffer.from(labels), Buffer.alloc(3072, value)]);
  test('ten classes, gzipped or not', async () => {
    const bytes = Buffer.concat([record([3], 1), record([9], 2)]);
    for (const path of [file('a.bin', bytes), file('a.bin.gz', gzipSync(bytes))]) {
      const { images, labels, count } = await data.readCifar(path);
      expect([count, [...labels], images.length, images[3071], images[3072]]).toEqual([2, [3, 9], 6144, 1, 2]);
    }
  });
  test('a hundred classes in twenty groups', async () => {
    const { labels, coarseLabels } = await data.readCifar(file('b.bin', record([19, 99], 0)), { classes: 100 });
    expect([[...labels], [...coarseLabels!]]).toEqual([[99], [19]]);
  });
  const original = join(shared, 'cifar10_jpeg_subset/test.bin.gz');
  (existsSync(original) ? test : test.skip)('a real file', async () => {
    const { labels, count } = await data.readCifar(original);
    expect(count).toBe(3000);
    expect(labels.filter((label) => label === 7)).toHaveLength(300);
  });
});

describe('tables', () => {
  test('quotes, numbers, and what is missing', async () => {
    const table = await data.readCsv(file('t.csv', '\ufeffname,x,y\r\n"a, ""b""",1,-2e1\r\n"two\nlines",,0.5\r\n'));
    expect(table.columns).toEqual(['name', 'x', 'y']);
    expect(table.column('name')).toEqual(['a, "b"', 'two\nlines']);
    expect(table.numbers(['y', 'x'], { missing: 7 })).toEqual({
      dtype: 'float32',
      shape: [2, 2],
      data: Float32Array.of(-20, 1, 0.5, 7),
    });
    expect(() => table.numbers(['x'])).toThrow(
      /field at line 4, column "x": got "", expected a number, or `missing` to be given for empty fields$/,
    );
    expect(() => table.column('z')).toThrow('CsvTable: column: got "z", expected one of name, x, y');
  });
  test('lines may end in different ways', async () => {
    const table = await data.readCsv(file('ends.csv', 'a,b\n1,x\r\n2,y\r3,"z\r\nz"\n'));
    expect(table.rows).toEqual([['1', 'x'], ['2', 'y'], ['3', 'z\r\nz']]); // prettier-ignore
    const long = await data.readCsv(file('long.csv', `a\r\n${'1\r\n22\n333\r'.repeat(30_000)}`));
    expect([long.rows.length, new Set(long.column('a'))]).toEqual([90_000, new Set(['1', '22', '333'])]);
  });
  test('infinity is a number, what is not decimal is none', async () => {
    const table = await data.readCsv(file('inf.csv', 'a,b\ninf,0x10\n-INF,0b1\nInfinity,0\n'));
    expect([...table.numbers(['a']).data]).toEqual([Infinity, -Infinity, Infinity]);
    expect(() => table.numbers(['b'])).toThrow('line 2, column "b": got "0x10", expected a number');
  });
  test('without a header, with tabs, gzipped', async () => {
    const table = await data.readCsv(file('t.tsv.gz', gzipSync('1\t2\n3\t4\n')), { delimiter: '\t', header: false });
    expect([...table.numbers().data]).toEqual([1, 2, 3, 4]);
  });
  const housing = join(shared, 'california_housing/housing.csv');
  (existsSync(housing) ? test : test.skip)('a real file', async () => {
    const table = await data.readCsv(housing);
    expect(table.rows).toHaveLength(20640);
    const { shape } = table.numbers(
      table.columns.filter((name) => name !== 'ocean_proximity'),
      { missing: NaN },
    );
    expect(shape).toEqual([20640, 9]);
  });
});

describe('lines', () => {
  test('of text, whatever ends them', async () => {
    const long = 'é'.repeat(100_000);
    const path = file('l.txt', `a\r\n\n${long}\nlast`);
    expect(await new data.TextLines(path).read()).toEqual(['a', '', long, 'last']);
    expect(await new data.TextLines(file('l.txt.gz', gzipSync('x\ny\n'))).read()).toEqual(['x', 'y']);
    const mine: string[] = [];
    for await (const line of new data.TextLines(path).iterate({ worker: 1, workers: 2 })) mine.push(line);
    expect(mine).toEqual(['', 'last']);
  });
  test('of JSON', async () => {
    const set = new data.JsonLines<{ n: number }>(file('j.jsonl', '{"n": 1}\n\n{"n": 2}\n'));
    expect(await set.read()).toEqual([{ n: 1 }, { n: 2 }]);
    const batches: unknown[] = [];
    for await (const { n } of new data.DataLoader<{ n: number }, { n: AnyTensor }>(set, { batchSize: 2 }))
      batches.push(n.toArraySync());
    expect(batches).toEqual([[1, 2]]);
  });
});

/** A WAV file of chunks. */
export function wav(code: number, bits: number, channels: number, samples: Uint8Array, extension?: Buffer): Buffer {
  const format = Buffer.alloc(16);
  format.writeUInt16LE(code, 0);
  format.writeUInt16LE(channels, 2);
  format.writeUInt32LE(8000, 4);
  format.writeUInt32LE((8000 * channels * bits) / 8, 8);
  format.writeUInt16LE((channels * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  const chunk = (name: string, bytes: Uint8Array): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bytes.length);
    return Buffer.concat([Buffer.from(name), size, bytes, Buffer.alloc(bytes.length % 2)]);
  };
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    chunk('fmt ', extension === undefined ? format : Buffer.concat([format, extension])),
    chunk('LIST', Buffer.from('odd')),
    chunk('data', samples),
  ]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(body.length);
  return Buffer.concat([Buffer.from('RIFF'), size, body]);
}

describe('recordings', () => {
  const bytesOf = (values: NodeJS.TypedArray): Buffer => Buffer.from(values.buffer);
  const extension = Buffer.alloc(24);
  extension.writeUInt16LE(22, 0);
  extension.writeUInt16LE(1, 8);
  test.each<[string, Buffer, number[]]>([
    ['8 bits', wav(1, 8, 1, Uint8Array.of(0, 128, 255)), [-1, 0, 127 / 128]],
    ['16 bits', wav(1, 16, 1, bytesOf(Int16Array.of(-32768, 16384))), [-1, 0.5]],
    ['24 bits', wav(1, 24, 1, Uint8Array.of(0, 0, 0x80, 0, 0, 0x40, 0xff, 0xff, 0xff)), [-1, 0.5, -1 / 8388608]],
    ['32 bits', wav(1, 32, 1, bytesOf(Int32Array.of(-(2 ** 31), 2 ** 30))), [-1, 0.5]],
    ['floats', wav(3, 32, 1, bytesOf(Float32Array.of(-0.25, 2))), [-0.25, 2]],
    ['doubles', wav(3, 64, 1, bytesOf(Float64Array.of(-0.25))), [-0.25]],
    ['extensible', wav(0xfffe, 16, 1, bytesOf(Int16Array.of(8192)), extension), [0.25]],
  ])('%s', (_, bytes, expected) => {
    const { samples, sampleRate } = data.parseWav(bytes);
    expect([sampleRate, samples.shape, [...samples.data]]).toEqual([
      8000,
      [1, expected.length],
      expected.map(Math.fround),
    ]);
  });
  test('two channels, one behind the other', () => {
    const { samples } = data.parseWav(wav(1, 8, 2, Uint8Array.of(128, 64, 192, 0)));
    expect([samples.shape, [...samples.data]]).toEqual([[2, 2], [0, 0.5, -0.5, -1]]); // prettier-ignore
  });
  const digit = join(shared, 'spoken_digits/7_theo_0.wav');
  (existsSync(digit) ? test : test.skip)('a real file', async () => {
    const { samples, sampleRate } = await data.readWav(digit);
    expect([sampleRate, samples.shape[0]]).toEqual([8000, 1]);
    const peak = Math.max(...(samples.data as Float32Array).map(Math.abs));
    expect(peak).toBeGreaterThan(0.01);
    expect(peak).toBeLessThanOrEqual(1);
  });
});

test('NumPy’s files as data sets', async () => {
  const path = join(folder, 'set.npz');
  await io.writeNpz(path, { x: tensor([[1, 2], [3, 4]]), y: tensor([5, 6]) }); // prettier-ignore
  const set = await data.openArrays(path, ['y', 'x']);
  expect(set.get(1).map((x) => x.toArraySync())).toEqual([6, [3, 4]]);
  await io.writeNpy(join(folder, 'x.npy'), tensor([1, 2]));
  expect((await data.openArrays(join(folder, 'x.npy'))).length).toBe(2);
});
