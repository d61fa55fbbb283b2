// An option that nobody has is an error and not passed over, and so is a value for what is true or false that is neither: everything public that takes
// options is called with one.
import * as hadal from '../lib/index';
import { CsvTable } from '../lib/data/readers/csv';
import { NpzFile } from '../lib/io/numpy/npy';
import { optionNames } from '../lib/ops/option-names';

type Call = (...args: unknown[]) => unknown;
type Holder = Record<string, Call>;

/** All that the library exports, namespaces opened. */
function* members(holder: object): Generator<[string, Call]> {
  for (const [name, value] of Object.entries(holder)) {
    if (typeof value === 'function') yield [name, value as Call];
    else if (typeof value === 'object' && value !== null) yield* members(value as object);
  }
}
const exported = new Map(members(hadal));
/** Classes that are exported as types. */
const hidden: Record<string, Call> = { CsvTable: CsvTable as never, NpzFile: NpzFile as never };

/** What comes before the options, where things of one kind in all places are complained of first. */
const before: Record<string, readonly unknown[]> = {
  TransformerEncoder: [() => model, 1],
  TransformerDecoder: [() => model, 1],
  resample: [hadal.ones([4]), 2, 1],
  writeNpz: ['nowhere/at/all', {}],
  writeSafetensors: ['nowhere/at/all', {}],
  writeSafetensorsArrays: ['nowhere/at/all', {}],
  writeShardedSafetensors: ['nowhere/at/all', {}],
  saveCheckpoint: ['nowhere/at/all', {}],
  save: ['nowhere/at/all', () => model, []],
  'ImageFolder.open': ['nowhere/at/all'],
  gradcheck: [() => model, []],
};
const model = new hadal.nn.Linear(2, 3);
const fillers: readonly unknown[] = [
  undefined,
  hadal.ones([2, 3]),
  3,
  'nowhere/at/all',
  [hadal.ones([2])],
  [0.5, 0.5],
  () => model,
  model,
  new hadal.optim.SGD([hadal.ones([2]).requiresGrad_()], { lr: 1 }),
  new hadal.data.TensorDataset(hadal.ones([2])),
  new hadal.data.SequentialSampler(3),
];

/** Calls what takes options with wrong ones in each place of an argument, other things before it, until a message has `complaint`. */
async function refusal(taker: string, options: object, complaint: string): Promise<string> {
  const [name, method] = taker.split('.') as [string, string?];
  const target = exported.get(name) ?? hidden[name]!;
  const made: unknown = method === undefined ? undefined : Object.create(target.prototype as object);
  const call = (args: unknown[]): unknown => {
    if (method !== undefined) return ((method in target ? target : made) as Holder)[method]!.apply(made, args);
    return /^class /.test(String(target)) ? Reflect.construct(target, args) : target(...args);
  };
  const lists =
    taker in before ? [before[taker]!] : [[], ...fillers.flatMap((x) => [1, 2, 3, 4, 5].map((n) => Array(n).fill(x)))];
  const answers = new Set<string>();
  for (const list of lists) {
    try {
      const result = call([...(list as unknown[]), options]);
      await (result instanceof Object && 'next' in result ? (result as AsyncGenerator).next() : result);
    } catch (error) {
      const { message } = error as Error;
      if (message.includes(complaint)) return message;
      answers.add(message);
    }
  }
  return `nothing said of it, but ${[...answers].slice(0, 4).join(' | ')}`;
}

test('whatever takes options refuses names that it does not have', async () => {
  const wrong: string[] = [];
  for (const [taker, names] of optionNames) {
    const message = await refusal(taker, { nonsense: 1 }, 'options: got nonsense');
    if (!message.endsWith(`: options: got nonsense, expected ${[...names.keys()].join(', ')}`))
      wrong.push(`${taker}: ${message}`);
  }
  expect(wrong).toEqual([]);
});

test('what is true or false takes nothing else', async () => {
  const wrong: string[] = [];
  for (const [taker, names] of optionNames) {
    for (const [name, isFlag] of names) {
      if (!isFlag) continue;
      const message = await refusal(taker, { [name]: 'False' }, `: ${name}: got False, expected true or false`);
      if (message.startsWith('nothing said')) wrong.push(`${taker}, ${name}: ${message}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(() => new hadal.optim.SGD(model.parameters(), { lr: 1, nesterov: 1 as never })).toThrow(
    new hadal.ArgumentError('SGD: nesterov: got 1, expected true or false'),
  );
});
