// Everything of `data`, called with wrong arguments: a HadalError or a result, and the process goes on.
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { data, io, rand, randint, randn, Tensor, train, zeros, type AnyTensor } from '../../lib/index';
import { attempt, attemptLater, replaced, wrongTensors, wrongValues } from '../wrong-arguments';

type Any = any;
type Call = (...args: Any[]) => unknown;

const images = rand([3, 3, 8, 8]).keep() as AnyTensor;
const labels = randint(0, 4, [3], { dtype: 'int64' }).keep() as AnyTensor;
const sound = randn([2, 1200]).keep() as AnyTensor;
const items = new data.TensorDataset(images, labels);
const random = (): data.Random => new data.Random(0);
const texts = ['one two', 'two three'];

const folder = mkdtempSync(join(tmpdir(), 'hadal-wrong-'));
const before = process.cwd();
const file = (name: string): string => join(folder, name);
beforeAll(async () => {
  process.chdir(folder); // a wrong path is one in here
  writeFileSync(file('table.csv'), 'a,b\n1,2\n3,4\n');
  writeFileSync(file('lines.txt'), 'one\ntwo\n');
  writeFileSync(file('lines.jsonl'), '{"a": 1}\n{"a": 2}\n');
  writeFileSync(file('cifar.bin'), new Uint8Array(2 * 3073));
  writeFileSync(file('encoder.json'), '{"a": 0, "b": 1, "ab": 2}');
  writeFileSync(file('vocab.bpe'), 'a b\n');
  mkdirSync(file('photos/cats'), { recursive: true });
  writeFileSync(file('photos/cats/one.png'), train.encodePng(new Uint8Array(64), 8, 8));
  await io.writeNpz(file('arrays.npz'), { x: images, y: labels });
  await data.text.trainBpe(texts, { vocabSize: 260 }).save(file('tokenizer.json'));
  await data.text.Vocabulary.build([['a']]).save(file('vocabulary.json'));
  writeFileSync(file('sound.wav'), wave());
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

function wave(): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.write('RIFF....WAVEfmt ', 'latin1');
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20); // PCM
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(8000, 24);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36, 'latin1');
  bytes.writeUInt32LE(4, 40);
  return bytes;
}

interface Case {
  readonly call: Call;
  readonly args: () => readonly unknown[];
  /** What is done with the result: what only then runs is attempted too. */
  readonly use?: (result: Any) => unknown;
}

const made = (
  Class: new (...args: Any[]) => unknown,
  args: readonly unknown[],
  use?: (result: Any) => unknown,
): Case => ({
  call: (...given) => new Class(...given),
  args: () => args,
  ...(use !== undefined && { use }),
});
const called = (call: Call, args: readonly unknown[], use?: (result: Any) => unknown): Case => ({
  call,
  args: () => args,
  ...(use !== undefined && { use }),
});
const augments = (make: Call, ...args: readonly unknown[]): Case =>
  called(make, args, (change: Call) => change(images, random()));
const mixes = (make: Call, ...args: readonly unknown[]): Case =>
  called(make, args, (mix: Call) => mix(images, labels, random()));
const samples = (Class: new (...args: Any[]) => unknown, ...args: readonly unknown[]): Case =>
  made(Class, args, (sampler: data.Sampler) => [...sampler.indices(0)].length);

const { audio, augment, text } = data;
const affine = { degrees: 10, translate: [0.1, 0.1], scale: [0.9, 1.1], shear: 5, mode: 'nearest', fill: 0 };
const whole: Record<string, Case> = {
  'augment.centerCrop': augments(augment.centerCrop, 4),
  'augment.colorJitter': augments(augment.colorJitter, {
    brightness: 0.4,
    contrast: [0.5, 1],
    saturation: 0.4,
    hue: 0.1,
  }),
  'augment.compose': augments(augment.compose, augment.horizontalFlip(), augment.verticalFlip()),
  'augment.cutMix': mixes(augment.cutMix, { classes: 4, alpha: 1 }),
  'augment.cutout': augments(augment.cutout, 2, { value: 0.5 }),
  'augment.horizontalFlip': augments(augment.horizontalFlip, 0.5),
  'augment.mixUp': mixes(augment.mixUp, { classes: 4, alpha: 1 }),
  'augment.normalize': augments(augment.normalize, [0.5, 0.5, 0.5], [0.2, 0.2, 0.2]),
  'augment.randAugment': augments(augment.randAugment, { count: 2, magnitude: 9, fill: 0 }),
  'augment.randomAffine': augments(augment.randomAffine, affine),
  'augment.randomCrop': augments(augment.randomCrop, { size: 6, padding: 1, mode: 'reflect' }),
  'augment.randomErasing': augments(augment.randomErasing, { chance: 1, scale: [0.1, 0.3], ratio: [0.3, 3], value: 0 }),
  'augment.randomGrayscale': augments(augment.randomGrayscale, 0.5),
  'augment.randomResizedCrop': augments(augment.randomResizedCrop, 6, { scale: [0.3, 1], ratio: [0.5, 2] }),
  'augment.randomRotation': augments(augment.randomRotation, 10, { mode: 'nearest', fill: 0 }),
  'augment.resize': augments(augment.resize, [4, 4]),
  'augment.toFloat': augments(augment.toFloat),
  'augment.verticalFlip': augments(augment.verticalFlip, 0.5),
  'audio.melFilterBank': called(audio.melFilterBank, [
    33,
    { sampleRate: 8000, mels: 8, lowest: 0, highest: 4000, scale: 'slaney', normalize: true },
  ]),
  'audio.melSpectrogram': called(audio.melSpectrogram, [sound, { sampleRate: 8000, mels: 8, frame: 64, hop: 32 }]),
  'audio.mfcc': called(audio.mfcc, [sound, { sampleRate: 8000, mels: 8, frame: 64, coefficients: 4 }]),
  'audio.resample': called(audio.resample, [sound, 8000, 6000, { filterWidth: 6, rolloff: 0.9 }]),
  'audio.specAugment': called(
    audio.specAugment,
    [{ frequencyMasks: 1, frequencyWidth: 2, timeMasks: 1, timeWidth: 2, timeShare: 0.5, value: 0 }],
    (change: Call) => change(images, random()),
  ),
  'audio.toDecibels': called(audio.toDecibels, [sound, { range: 80 }]),
  'text.Tokenizer.encode': called(
    (...args) => text.trainBpe(texts, { vocabSize: 260 }).encode(...(args as [Any, Any])),
    ['one', { addSpecialTokens: true }],
  ),
  'text.Tokenizer.decode': called(
    (...args) => text.trainBpe(texts, { vocabSize: 260 }).decode(...(args as [Any, Any])),
    [[1, 2], { skipSpecialTokens: true }],
  ),
  'text.Tokenizer.save': called(
    (path) => text.trainBpe(texts, { vocabSize: 260 }).save(path as string),
    [file('t.json')],
  ),
  'text.Vocabulary': made(text.Vocabulary, [['a', 'b'], { unknown: 'a' }], (words: data.text.Vocabulary) =>
    words.decode(words.encode(['a'])),
  ),
  'text.Vocabulary.build': called(text.Vocabulary.build.bind(text.Vocabulary), [
    [['a'], ['b']],
    { specials: ['x'], unknown: 'x', minFrequency: 1, maxSize: 3 },
  ]),
  'text.Vocabulary.encode': called((tokens) => text.Vocabulary.build([['a']]).encode(tokens as string[]), [['a']]),
  'text.Vocabulary.decode': called((numbers) => text.Vocabulary.build([['a']]).decode(numbers as number[]), [[0]]),
  'text.Vocabulary.load': called(text.Vocabulary.load.bind(text.Vocabulary), [file('vocabulary.json')]),
  'text.Vocabulary.save': called((path) => text.Vocabulary.build([['a']]).save(path as string), [file('v.json')]),
  'text.loadGpt2Tokenizer': called(text.loadGpt2Tokenizer, [file('encoder.json'), file('vocab.bpe')]),
  'text.loadTokenizer': called(text.loadTokenizer, [file('tokenizer.json')]),
  'text.trainBpe': called(text.trainBpe, [texts, { vocabSize: 260, minFrequency: 1, specials: ['x'] }]),
  collate: called(data.collate, [
    [
      { x: Float32Array.of(1, 2), y: 0 },
      { x: Float32Array.of(3, 4), y: 1 },
    ],
  ]),
  padCollate: called(data.padCollate, [{ value: 1, multipleOf: 2 }], (join: Call) =>
    join([Int32Array.of(1, 2, 3), Int32Array.of(4)]),
  ),
  graphCollate: called(data.graphCollate, [{ concatenate: ['bonds'] }], (join: Call) =>
    join([
      {
        nodes: Float32Array.of(1, 2),
        edges: { dtype: 'int32', shape: [2, 1], data: Int32Array.of(0, 1) },
        bonds: Int32Array.of(1),
      },
    ]),
  ),
  DataLoader: made(
    data.DataLoader,
    [
      items,
      {
        batchSize: 2,
        shuffle: true,
        seed: 1,
        dropLast: false,
        sampler: undefined,
        batchSampler: undefined,
        prefetch: 1,
        collate: undefined,
        signal: undefined,
      },
    ],
    async (loader: data.DataLoader<unknown>) => {
      for await (const batch of loader) void batch;
    },
  ),
  'DataLoader.restore': called(
    (state) => new data.DataLoader(items).restore(state as data.LoaderState),
    [{ epoch: 1, batch: 1 }],
  ),
  TensorDataset: made(data.TensorDataset, [images, labels], (set: data.TensorDataset<AnyTensor[]>) =>
    set.getBatch([0, 1]),
  ),
  ListDataset: made(data.ListDataset, [[1, 2]], (set: data.ListDataset<unknown>) => set.get(0)),
  Subset: made(data.Subset, [items, [0, 1]], (set: data.Subset<unknown>) => set.get(0)),
  ConcatDataset: made(data.ConcatDataset, [[items, items]], (set: data.ConcatDataset<unknown>) => set.get(4)),
  MapDataset: made(data.MapDataset, [items, (item: unknown) => item], (set: data.MapDataset<unknown, unknown>) =>
    set.get(0),
  ),
  randomSplit: called(data.randomSplit, [items, [2, 1], { seed: 1 }]),
  Draw: made(data.Draw, [1, 2], (draw: data.Draw) => draw.random(1).uniform()),
  Random: made(data.Random, [1, 2], (numbers: data.Random) => [numbers.integer(10), numbers.permutation(3)]),
  renderDigits: called(data.renderDigits, [2, { seed: 1, size: 16 }]),
  ImageFolder: called(
    data.ImageFolder.open.bind(data.ImageFolder),
    [file('photos'), { size: [4, 4], channels: 1 }],
    (set: data.ImageFolder) => set.get(0),
  ),
  JsonLines: made(data.JsonLines, [file('lines.jsonl')], (lines: data.JsonLines) => lines.read()),
  TextLines: made(data.TextLines, [file('lines.txt')], (lines: data.TextLines) => lines.read()),
  decodeImage: called(data.decodeImage, [file('photos/cats/one.png'), { size: [4, 4], channels: 3 }]),
  openArrays: called(data.openArrays, [file('arrays.npz'), ['x']]),
  parseWav: called(data.parseWav, [wave(), 'sound']),
  readCifar: called(data.readCifar, [file('cifar.bin'), { classes: 10 }]),
  readCsv: called(data.readCsv, [file('table.csv'), { delimiter: ',', header: true }]),
  'CsvTable.column': called(async (name) => (await data.readCsv(file('table.csv'))).column(name as string), ['a']),
  'CsvTable.numbers': called(
    async (...args) => (await data.readCsv(file('table.csv'))).numbers(...(args as [Any, Any])),
    [['a', 'b'], { missing: 0 }],
  ),
  readWav: called(data.readWav, [file('sound.wav')]),
  BucketSampler: made(
    data.BucketSampler,
    [[3, 1, 2], 2, { seed: 1 }],
    (sampler: data.BucketSampler) => [...sampler.batches(0)].length,
  ),
  DistributedSampler: samples(data.DistributedSampler, 10, {
    world: 2,
    rank: 1,
    shuffle: true,
    dropLast: true,
    seed: 1,
  }),
  GroupSampler: made(
    data.GroupSampler,
    [new data.SequentialSampler(3), 2, { dropLast: true }],
    (sampler: data.GroupSampler) => [...sampler.batches(0)].length,
  ),
  RandomSampler: samples(data.RandomSampler, 10, { seed: 1, replacement: true, count: 4 }),
  SequentialSampler: samples(data.SequentialSampler, 10),
  StratifiedSampler: samples(data.StratifiedSampler, [0, 1, 1], { seed: 1 }),
  WeightedSampler: samples(data.WeightedSampler, [1, 2], 3, { seed: 1, replacement: true }),
};

test('everything is among the cases', () => {
  const names = (prefix: string, exports: object): string[] =>
    Object.entries(exports).flatMap(([name, value]) => (typeof value === 'function' ? [`${prefix}${name}`] : []));
  const elsewhere = [
    'checkDataset',
    'openWorkers',
    'openIterableWorkers',
    'WorkerDataset',
    'WorkerIterable',
    'text.Tokenizer',
  ];
  const all = [...names('', data), ...names('augment.', augment), ...names('audio.', audio), ...names('text.', text)];
  expect(all.filter((name) => !(name in whole) && !elsewhere.includes(name))).toEqual([]);
});

test.each(Object.entries(whole))('%s', async (_, { call, args, use = (result) => result }) => {
  const failures: string[] = [];
  const run = async (given: readonly unknown[]): Promise<unknown> => use(await call(...given)) as unknown;
  await run(args());
  await attemptLater(failures, 'no arguments', () => run([]));
  // A sampler's or a picture's size is a count that may be large: what is made of it is not made here.
  const isLong = (what: string): boolean => /9007199254740992/.test(what);
  const substitutes = (value: unknown) => (value instanceof Tensor ? wrongTensors(value as AnyTensor) : wrongValues);
  for (const [what, given] of replaced(args(), substitutes)) {
    if (isLong(what)) await attemptLater(failures, what, () => call(...given));
    else await attemptLater(failures, what, () => run(given));
  }
  expect(failures).toEqual([]);
  await run(args());
});

test.each(Object.entries(whole).filter(([name]) => /^augment|specAugment/.test(name)))(
  '%s of wrong images',
  (name, { call, args }) => {
    const change = call(...args()) as Call;
    const failures: string[] = [];
    const inputs = /[mM]ix/.test(name) ? [images, labels, random()] : [images, random()];
    attempt(failures, 'no arguments', () => change());
    for (const [what, given] of replaced(inputs, (value) =>
      value instanceof Tensor ? wrongTensors(value as AnyTensor) : wrongValues,
    )) {
      attempt(failures, what, () => change(...given));
    }
    expect(failures).toEqual([]);
  },
);

test('messages name what was called', () => {
  expect(() => data.augment.colorJitter(null as never)).toThrow('colorJitter: options: got null, expected an object');
  expect(() => data.augment.compose(null as never)).toThrow('compose: augmentations[0]: got null, expected a function');
  expect(() => data.augment.horizontalFlip()(zeros([1, 1, 2, 2]), null as never)).toThrow(
    'horizontalFlip: random: got null, expected a Random',
  );
  expect(() => data.audio.mfcc(sound, null as never)).toThrow('mfcc: options: got null, expected an object');
});

test.each([['openWorkers'], ['openIterableWorkers']] as const)(
  '%s opens no thread for wrong arguments',
  async (name) => {
    const open = data[name] as (...args: unknown[]) => Promise<unknown>;
    const refused = (args: unknown[], message: string): Promise<void> =>
      expect(open(...args)).rejects.toThrow(`${name}: ${message}`);
    await refused([], 'module: got undefined, expected a path as a string');
    await refused(['set.mjs', null], 'options: got null, expected an object');
    await refused(['set.mjs', { workers: '3' }], 'workers: got 3, expected an integer from 1 to 256');
    await refused(['set.mjs', { execArgv: [1] }], 'execArgv[0]: got number 1, expected a string');
  },
);
