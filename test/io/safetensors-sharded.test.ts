// A model in several safetensors files: how it is divided, and that only what is asked for is read.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { full, io, type AnyTensor } from '../../lib/index';

const root = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => rmSync(root, { recursive: true }));

const state = Object.fromEntries([1, 2, 3, 4].map((i) => [`layers.${i}.weight`, full([i, 10], i) as AnyTensor]));

test('is divided by size, indexed, and read again', async () => {
  const folder = join(root, 'model');
  const index = await io.writeShardedSafetensors(folder, state, { maxShardBytes: 130 });
  const names = ['00001', '00002', '00003'].map((n) => `model-${n}-of-00003.safetensors`);
  expect((await readdir(folder)).sort()).toEqual([...names, 'model.safetensors.index.json']);
  expect(JSON.parse(await readFile(index, 'utf8'))).toEqual({
    metadata: { total_size: 400 },
    weight_map: {
      'layers.1.weight': names[0],
      'layers.2.weight': names[0],
      'layers.3.weight': names[1],
      'layers.4.weight': names[2],
    },
  });
  const read = await io.readShardedSafetensors(index);
  expect(Object.keys(read)).toEqual(Object.keys(state));
  for (const [name, x] of Object.entries(state)) expect(read[name]!.toArraySync()).toEqual(x.toArraySync());
  expect(Object.keys((await io.load(index)) as object)).toEqual(Object.keys(state));

  // Files that hold nothing asked for are not even opened.
  await rm(join(folder, names[0]!));
  const last = await io.readShardedSafetensors(index, { names: ['layers.4.weight'] });
  expect(last['layers.4.weight']!.shape).toEqual([4, 10]);
  await expect(io.readShardedSafetensors(index)).rejects.toThrow('ENOENT');
});

test.each<[string, string, string]>([
  ['no JSON', '{"weight_map": {', 'invalid JSON at byte 16'],
  ['no map', '{"metadata": {}}', 'value at the top: got an object, expected an object with "weight_map"'],
  ['a list', '[]', 'value at the top: got an array, expected an object'],
  ['a number for a file', '{"weight_map": {"a": 3}}', 'value at weight_map.a: got "3", expected a string'],
  [
    'a file elsewhere',
    '{"weight_map": {"a": "../other/model.safetensors"}}',
    'file at weight_map.a: got "../other/model.safetensors", expected a name in the same folder',
  ],
])('refuses an index with %s', async (_, text, message) => {
  const path = join(root, 'bad.json');
  await writeFile(path, text);
  await expect(io.readShardedSafetensors(path)).rejects.toThrow(`safetensors: ${path}: ${message}`);
});

test('refuses an index that names a file without the tensor', async () => {
  const folder = join(root, 'lacking');
  const index = await io.writeShardedSafetensors(folder, state);
  await writeFile(index, JSON.stringify({ weight_map: { other: 'model-00001-of-00001.safetensors' } }));
  await expect(io.readShardedSafetensors(index)).rejects.toThrow('file at weight_map.other: got');
  expect(existsSync(index)).toBe(true);
});
