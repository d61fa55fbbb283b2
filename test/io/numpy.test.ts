// NumPy's files: what NumPy wrote is read (golden/make-io.py), and what is written is what NumPy reads.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DTypeError } from '../../lib/errors';
import { io, tensor, zeros, type AnyTensor } from '../../lib/index';

const golden = join(__dirname, '../golden/io');
const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rows = [
  [0, 1, 2],
  [3, 4, 5],
];
const shifted = (by: number): number[][] => rows.map((row) => row.map((value) => value + by));

describe.each(['stored.npz', 'deflated.npz'])('%s', (name) => {
  let all: Record<string, AnyTensor>;
  beforeAll(async () => {
    all = await io.readNpz(join(golden, name));
  });

  test.each<[string, string, unknown]>([
    ['f4', 'float32', rows],
    ['f8', 'float64', rows],
    ['f2', 'float16', rows],
    ['i8', 'int64', shifted(-(2 ** 40))],
    ['i4', 'int32', rows],
    ['i2', 'int16', rows],
    ['i1', 'int8', rows],
    ['u1', 'uint8', rows],
    ['u2', 'int32', shifted(65530)],
    ['u4', 'int64', shifted(2 ** 32 - 6)],
    [
      'b1',
      'bool',
      [
        [0, 0, 0],
        [1, 1, 1],
      ],
    ],
    ['big', 'float32', rows],
    ['big-i8', 'int64', rows],
    ['fortran', 'float32', rows],
    ['scalar', 'float32', 3.5],
    ['empty', 'float32', []],
    ['line', 'float32', [0, 1, 2]],
  ])('%s is %s', (key, dtype, expected) => {
    expect([all[key]!.dtype, all[key]!.toArraySync()]).toEqual([dtype, expected]);
  });

  test('only the named arrays, and only they, are read', async () => {
    const some = await io.readNpz(join(golden, name), { names: ['line', 'scalar'] });
    expect(Object.keys(some)).toEqual(['line', 'scalar']);
    await expect(io.readNpz(join(golden, name), { names: ['absent'] })).rejects.toThrow('no array named "absent"');
  });
});

test('Fortran’s order is a transposed view', async () => {
  const x = await io.readNpy(join(golden, 'fortran.npy'));
  expect([x.shape, x.strides, x.toArraySync()]).toEqual([[2, 3], [1, 2], rows]);
});

test('complex numbers are refused by name', async () => {
  await expect(io.readNpy(join(golden, 'complex.npy'))).rejects.toThrow(
    'dtype at byte 10: got "<c8", expected f8 f4 f2 i8 i4 i2 i1 u4 u2 u1 b1',
  );
});

test('written files are those that NumPy writes, byte by byte', async () => {
  const path = join(folder, 'x.npy');
  const original = join(golden, 'stored.npz');
  await using npz = await io.NpzFile.open(original);
  const whole = await readFile(original);
  for (const name of ['f4', 'f8', 'f2', 'i8', 'i4', 'i2', 'i1', 'u1', 'b1', 'scalar', 'empty', 'line']) {
    await io.writeNpy(path, await npz.read(name));
    expect([name, whole.includes(readFileSync(path))]).toEqual([name, true]);
  }
});

test.each([false, true])('an archive comes back as it was written (compressed: %s)', async (compress) => {
  const path = join(folder, 'x.npz');
  const written = {
    x: tensor(rows).transpose(),
    'a/b': zeros([300, 200], { dtype: 'int64' }),
    é: tensor([true, false]),
    empty: zeros([0, 2]),
  };
  await io.writeNpz(path, written, { compress });
  if (compress) expect(readFileSync(path).length).toBeLessThan(5_000);
  const read = await io.readNpz(path);
  expect(Object.keys(read)).toEqual(Object.keys(written));
  for (const [name, x] of Object.entries(written as Record<string, AnyTensor>)) {
    expect([read[name]!.dtype, read[name]!.toArraySync()]).toEqual([x.dtype, x.toArraySync()]);
  }
  expect(Object.keys((await io.load(path)) as object)).toEqual(Object.keys(written));
});

test('bfloat16 is refused', async () => {
  await expect(io.writeNpy(join(folder, 'b.npy'), zeros([2], { dtype: 'bfloat16' }))).rejects.toThrow(
    new DTypeError('writeNpy: NumPy has no dtype for bfloat16; cast the tensor to float32'),
  );
});

const mnist1d = join(process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data'), 'mnist1d/mnist1d.npz');
(existsSync(mnist1d) ? test : test.skip)('MNIST-1D', async () => {
  const all = await io.readNpz(mnist1d);
  const shapes = Object.fromEntries(Object.entries(all).map(([name, x]) => [name, [x.dtype, ...x.shape]]));
  expect(shapes).toEqual({
    x: ['float32', 4000, 40],
    y: ['uint8', 4000],
    x_test: ['float32', 1000, 40],
    y_test: ['uint8', 1000],
  });
});
