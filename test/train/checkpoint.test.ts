// Checkpoints as files: what goes in comes out, nothing else is written or read, and files that are no checkpoints are refused.
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ArgumentError, FormatError } from '../../lib/errors';
import { data, getRandomState, io, manualSeed, nn, optim, rand, tensor, train, type AnyTensor } from '../../lib/index';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hadal-'));
  path = join(folder, 'run.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

test('plain data and tensors come back as they were', async () => {
  const shared = tensor([1, 2, 3]);
  const plain = {
    numbers: [0, -0, 1 / 3, 1e-320, 2 ** 53, NaN, Infinity, -Infinity],
    text: 'ü\n$',
    none: null,
    nested: [{ yes: true }, [[]], {}],
    $tensor: 'not one',
    $object: { $number: 1 },
    ['__proto__']: { polluted: true },
  };
  Object.defineProperty(plain, '__proto__', { value: { polluted: true }, enumerable: true });
  await train.saveCheckpoint(path, { plain, tensors: { a: shared, list: [shared, tensor([true, false])] } });
  const back = await train.loadCheckpoint(path);
  expect(back['plain']).toEqual(plain);
  expect(Object.getPrototypeOf(back['plain'])).toBe(Object.prototype);
  const { a, list } = back['tensors'] as { a: AnyTensor; list: AnyTensor[] };
  expect([...a.dataSync()]).toEqual([1, 2, 3]);
  expect(list[0]).toBe(a);
  expect([list[1]!.dtype, ...list[1]!.dataSync()]).toEqual(['bool', 1, 0]);
  await using file = await io.SafetensorsFile.open(path);
  expect([...file.tensors.keys()].sort()).toEqual(['tensors.a', 'tensors.list.1']);
});

test('names that meet are kept apart', async () => {
  await train.saveCheckpoint(path, { m: { 'a.b': tensor([1]), a: { b: tensor([2]) } } });
  const { m } = (await train.loadCheckpoint(path)) as { m: { 'a.b': AnyTensor; a: { b: AnyTensor } } };
  expect([m['a.b'].dataSync()[0], m.a.b.dataSync()[0]]).toEqual([1, 2]);
});

test.each(['Adafactor', 'Adam', 'LBFGS', 'Muon', 'SGD'] as const)('the settings of %s come back', async (name) => {
  const optimizer = new optim[name]([new nn.Parameter(rand([2, 2]))], { lr: 0.5 });
  await train.saveCheckpoint(path, { optimizer });
  const other = new optim[name]([new nn.Parameter(rand([2, 2]))]);
  await train.loadCheckpoint(path, { optimizer: other });
  expect(other.stateDict()).toEqual(optimizer.stateDict());
});

test('model, optimizer, loader and random state go on', async () => {
  const setup = () => {
    const model = new nn.Linear(3, 2);
    return {
      model,
      optimizer: new optim.Adam(model.parameters()),
      loader: new data.DataLoader(set, { shuffle: true }),
    };
  };
  const set = new data.TensorDataset(rand([10, 3]) as AnyTensor);
  const first = setup();
  for await (const [x] of first.loader) {
    first.optimizer.zeroGrad();
    first.model
      .forward(x as AnyTensor)
      .sum()
      .backward();
    first.optimizer.step();
    if (first.loader.state().batch === 4) break;
  }
  manualSeed(5);
  rand([100]);
  const state = getRandomState();
  await train.saveCheckpoint(path, { ...first, step: 4 });
  const next = rand([4]).dataSync();
  const second = setup();
  expect(await train.loadCheckpoint(path, second)).toEqual({ step: 4 });
  expect(getRandomState()).toEqual(state);
  expect(rand([4]).dataSync()).toEqual(next);
  expect(second.loader.state()).toEqual({ epoch: 0, batch: 4 });
  expect(second.model.weight.dataSync()).toEqual(first.model.weight.dataSync());
  const moments = ({ optimizer }: typeof first): unknown =>
    Object.values(optimizer.stateDict().state[0]!).map((x) =>
      'dataSync' in Object(x) ? (x as AnyTensor).dataSync() : x,
    );
  expect(moments(second)).toEqual(moments(first));
  manualSeed(8);
  await train.loadCheckpoint(path, {}, { random: false });
  expect(getRandomState()).toEqual({ seed: [8, 0], offset: 0 });
});

test.each([
  [{ x: { y: new Map() } }, 'saveCheckpoint: x.y: got a Map'],
  [{ x: [1, () => 1] }, 'saveCheckpoint: x.1: got '],
  [{ x: 1n }, 'saveCheckpoint: x: got '],
  [{ x: new Float32Array(2) }, 'saveCheckpoint: x: got '],
])('what cannot be saved: %#', async (parts, message) => {
  const saving = train.saveCheckpoint(path, parts);
  await expect(saving).rejects.toThrow(ArgumentError);
  await expect(saving).rejects.toThrow(message);
  expect(await readdir(folder)).toEqual([]);
});

test.each([
  ['no checkpoint', undefined],
  ['no JSON', '{'],
  ['another version', '{"version":2,"random":{},"parts":{}}'],
  ['no parts', '{"version":1,"random":{"seed":[1,2],"offset":0}}'],
  ['a tensor that is not there', '{"version":1,"random":{},"parts":{"x":{"$tensor":"y"}}}'],
  ['a number that is none', '{"version":1,"random":{},"parts":{"x":{"$number":"12"}}}'],
  ['a name that is none', '{"version":1,"random":{},"parts":{"x":{"$tensor":7}}}'],
])('a file that is no checkpoint: %s', async (_, text) => {
  await io.writeSafetensors(
    path,
    { x: tensor([1]) },
    text === undefined ? {} : { metadata: { 'hadal.checkpoint': text } },
  );
  await expect(train.loadCheckpoint(path)).rejects.toThrow(FormatError);
});

test('a part that was not saved', async () => {
  await train.saveCheckpoint(path, { model: new nn.Linear(1, 1), step: 1 });
  await expect(train.loadCheckpoint(path, { optimizer: new nn.Linear(1, 1) })).rejects.toThrow(
    `loadCheckpoint: ${path}: no part "optimizer": got model, step`,
  );
});

describe('a folder', () => {
  const write = (path: string): Promise<void> => writeFile(path, path);

  test('keeps the last few and the best', async () => {
    const checkpoints = new train.CheckpointFolder(join(folder, 'runs', 'a'), { keepLast: 2 });
    expect([await checkpoints.steps(), await checkpoints.latest()]).toEqual([[], undefined]);
    for (const step of [5, 10, 100]) await checkpoints.save(step, write, step === 5);
    expect(await checkpoints.steps()).toEqual([10, 100]);
    expect(await checkpoints.latest()).toBe(checkpoints.fileOf(100));
    expect((await readdir(checkpoints.path)).sort()).toEqual([
      'best.safetensors',
      'step-000000010.safetensors',
      'step-000000100.safetensors',
    ]);
    expect((await stat(checkpoints.best)).size).toBe(checkpoints.fileOf(5).length);
    await checkpoints.save(100, write, true);
    expect((await readdir(checkpoints.path)).length).toBe(3);
  });

  test('loses nothing when a new one cannot be written', async () => {
    const checkpoints = new train.CheckpointFolder(folder, { keepLast: 1 });
    await checkpoints.save(1, write, true);
    await expect(checkpoints.save(2, () => Promise.reject(new Error('disk full')), true)).rejects.toThrow('disk full');
    expect(await checkpoints.steps()).toEqual([1]);
    expect((await stat(checkpoints.best)).size).toBe(checkpoints.fileOf(1).length);
  });

  test('keeps at least one', () => {
    expect(() => new train.CheckpointFolder(folder, { keepLast: 0 })).toThrow(
      'CheckpointFolder: keepLast: got 0, expected an integer of at least 1',
    );
  });
});
