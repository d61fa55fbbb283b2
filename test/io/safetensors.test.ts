import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { io, manualSeed, nn, tensor, zeros, type AnyTensor } from 'hadal';
import { ArgumentError, DisposedError } from '../../lib/errors';

const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
const path = join(folder, 'model.safetensors');
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const { readSafetensors, SafetensorsFile, writeSafetensors } = io;

test('a file of the reference implementation reads as tensors and is written back as the same bytes', async () => {
  const original = join(__dirname, '../golden/safetensors/all.safetensors');
  const tensors = await readSafetensors(original);
  expect(tensors['float32']?.shape).toEqual([3, 2]);
  expect(tensors['float16']?.dtype).toBe('float16');
  expect(await tensors['bfloat16']?.toArray()).toEqual([-1.5, 0, 1, 65536, Infinity, NaN]);
  expect(await tensors['int64']?.data()).toEqual(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n));
  expect(await tensors['scalar']?.item()).toBe(3.25);
  expect(tensors['empty']?.shape).toEqual([0, 3]);

  await using file = await SafetensorsFile.open(original);
  await writeSafetensors(path, tensors, { metadata: file.metadata });
  expect((await readFile(path)).equals(await readFile(original))).toBe(true);
});

test('views are written as what they show', async () => {
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  await writeSafetensors(path, {
    transposed: x.transpose(0, 1),
    row: x.select(0, 1),
    wide: x.select(0, 0).expand([2, 3]),
  });
  const { transposed, row, wide } = await readSafetensors(path);
  expect(await transposed?.toArray()).toEqual([
    [1, 4],
    [2, 5],
    [3, 6],
  ]);
  expect(await row?.toArray()).toEqual([4, 5, 6]);
  expect(await wide?.toArray()).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
});

test('a model reads what another has written', async () => {
  manualSeed(1);
  const make = (): nn.Sequential => new nn.Sequential(new nn.Linear(4, 3), new nn.ReLU(), new nn.Linear(3, 2));
  const [first, second] = [make(), make()];
  await writeSafetensors(path, first.stateDict());
  second.loadStateDict(await readSafetensors(path));
  const x = tensor([[1, -2, 3, -4]]);
  expect(await second.forward(x).toArray()).toEqual(await first.forward(x).toArray());
});

test('only the named tensors', async () => {
  await writeSafetensors(path, { a: zeros([2]), b: zeros([3]), c: zeros([4]) });
  expect(Object.keys(await readSafetensors(path, { names: ['c', 'a'] }))).toEqual(['c', 'a']);
});

test('bytes other than 0 and 1 become true, as nothing else may be in a bool tensor', async () => {
  const header = Buffer.from('{"a":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}}');
  await writeFile(
    path,
    Buffer.concat([Buffer.of(header.length, 0, 0, 0, 0, 0, 0, 0), header, Buffer.of(0, 1, 2, 255)]),
  );
  const { a } = await readSafetensors(path);
  expect(await a?.data()).toEqual(Uint8Array.of(0, 1, 1, 1));
});

describe('what cannot be written leaves the previous file', () => {
  let before: Buffer;
  beforeEach(async () => {
    await writeSafetensors(path, { a: zeros([2]) });
    before = await readFile(path);
  });
  afterEach(async () => {
    expect((await readFile(path)).equals(before)).toBe(true);
    expect(await readdir(folder)).toEqual(['model.safetensors']);
  });

  test('no tensor', async () => {
    await expect(writeSafetensors(path, { a: 3 as unknown as AnyTensor })).rejects.toThrow(
      new ArgumentError('writeSafetensors: "a": got number 3, expected a tensor'),
    );
  });

  test('a tensor that changes before its turn comes', async () => {
    const [a, b] = [zeros([1000]), zeros([1000])];
    const write = writeSafetensors(path, { a, b });
    b.fill_(1);
    await expect(write).rejects.toThrow(
      new ArgumentError(
        'writeSafetensors: "b" was changed in place before it was written; wait for the end, or write a clone',
      ),
    );
  });

  test('a released tensor', async () => {
    const a = zeros([2]);
    a.dispose();
    await expect(writeSafetensors(path, { a })).rejects.toThrow(DisposedError);
  });
});
