// Every function of `io`, called with wrong arguments: a HadalError or a result, the process goes on, and no file is lost.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { io, ones, Tensor, type AnyTensor } from '../../lib/index';
import { attemptLater, replaced, wrongTensors, wrongValues } from '../wrong-arguments';

type Call = (...args: any[]) => unknown;

const x = ones([2, 3]).keep() as AnyTensor;
const folder = mkdtempSync(join(tmpdir(), 'hadal-wrong-'));
const before = process.cwd();
const file = (name: string): string => join(folder, name);
const idx = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6);
beforeAll(async () => {
  process.chdir(folder); // a wrong path is one in here
  writeFileSync(file('x.idx'), idx);
  await io.writeNpy(file('x.npy'), x);
  await io.writeNpz(file('x.npz'), { x });
  await io.writeSafetensors(file('x.safetensors'), { x });
  await io.writeShardedSafetensors(folder, { x });
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const plain = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };
const cases: Record<string, readonly [call: Call, ...args: unknown[]]> = {
  load: [io.load, file('x.npy'), { device: 'cpu' }],
  parseIdx: [io.parseIdx, idx, 'x'],
  readIdx: [io.readIdx, file('x.idx')],
  readMnist: [async (path) => io.readMnist(path as string).catch(ofMissing), folder],
  readNpy: [io.readNpy, file('x.npy'), { device: 'cpu' }],
  readNpz: [io.readNpz, file('x.npz'), { names: ['x'], device: 'cpu' }],
  readPyTorch: [io.readPyTorch, join(__dirname, '../golden/io/zip.pt'), { device: 'cpu' }],
  readSafetensors: [io.readSafetensors, file('x.safetensors'), { names: ['x'], device: 'cpu' }],
  readSafetensorsArrays: [io.readSafetensorsArrays, file('x.safetensors'), ['x']],
  readShardedSafetensors: [io.readShardedSafetensors, file('model.safetensors.index.json'), { names: ['x'] }],
  writeNpy: [io.writeNpy, file('out'), x],
  writeNpz: [io.writeNpz, file('out'), { x }, { compress: true, signal: undefined }],
  writeSafetensors: [io.writeSafetensors, file('out'), { x }, { metadata: { a: 'b' }, signal: undefined }],
  writeSafetensorsArrays: [io.writeSafetensorsArrays, file('out'), { x: plain }, { metadata: { a: 'b' } }],
  writeShardedSafetensors: [io.writeShardedSafetensors, file('out-folder'), { x }, { maxShardBytes: 10, name: 'a' }],
  'NpzFile.read': [
    async (name, options) => {
      await using opened = await io.NpzFile.open(file('x.npz'));
      return await opened.read(name as string, options as object);
    },
    'x',
    { device: 'cpu' },
  ],
  NpzFile: [(path) => io.NpzFile.open(path as string).then((opened) => opened.close()), file('x.npz')],
  'SafetensorsFile.read': [
    async (name) => {
      await using opened = await io.SafetensorsFile.open(file('x.safetensors'));
      return await opened.read(name as string);
    },
    'x',
  ],
  SafetensorsFile: [
    (path) => io.SafetensorsFile.open(path as string).then((opened) => opened.close()),
    file('x.safetensors'),
  ],
  ShardedSafetensors: [
    (path) => io.ShardedSafetensors.open(path as string).then((opened) => opened.close()),
    file('model.safetensors.index.json'),
  ],
};

/** There are no such files here: what is looked at is how wrong folders are refused. */
function ofMissing(error: Error): void {
  if (!error.message.endsWith('no such file, with or without .gz')) throw error;
}

test('everything is among the cases', () => {
  expect(Object.keys(io).filter((name) => !(name in cases))).toEqual([]);
});

test.each(Object.entries(cases))('%s', async (name, [call, ...args]) => {
  const failures: string[] = [];
  await call(...args);
  await attemptLater(failures, 'no arguments', () => call());
  const substitutes = (value: unknown) =>
    value instanceof Tensor ? [...wrongTensors(value as AnyTensor), ...wrongValues] : wrongValues;
  for (const [what, given] of replaced(args, substitutes)) await attemptLater(failures, what, () => call(...given));
  if (name === 'writeSafetensorsArrays') {
    for (const [what, [wrong]] of replaced([plain], () => wrongValues)) {
      await attemptLater(failures, `x: ${what}`, () => call(file('out'), { x: wrong }));
    }
  }
  expect(failures).toEqual([]);
  await call(...args);
});

test('messages name what was called, and a file is as it was', async () => {
  await io.writeNpy(file('kept.npy'), x);
  const bytes = readFileSync(file('kept.npy'));
  await expect(io.writeNpy(file('kept.npy'), null as never)).rejects.toThrow(
    'writeNpy: input: got null, expected a tensor',
  );
  await expect(io.writeNpz(file('kept.npy'), null as never)).rejects.toThrow(
    'writeNpz: tensors: got null, expected an object',
  );
  await expect(io.writeNpz(file('kept.npy'), { x: 3 as never })).rejects.toThrow(
    'writeNpz: input: got number 3, expected a tensor',
  );
  expect(readFileSync(file('kept.npy'))).toEqual(bytes);
  await expect(io.load(null as never)).rejects.toThrow('load: path: got null, expected a path as a string');
  await expect(io.readNpy('')).rejects.toThrow('readNpy: path: got "", expected a path as a string');
  await expect(io.readNpy('missing.npy')).rejects.toMatchObject({
    // Windows names the whole path.
    message: expect.stringMatching(/^readNpy: missing\.npy: ENOENT: no such file or directory, open '.*missing\.npy'$/),
    code: 'ENOENT',
  });
});
