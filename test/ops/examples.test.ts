// Every @example in these folders of lib runs, and gives what the comment behind it says.
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { ScriptTarget, transpile } from 'typescript';

import * as hadal from '../../lib/index';
import { expectClose, type Plain } from './sample';

const lib = join(__dirname, '../../lib');
/** Those whose examples need no files, but for these. */
const folders = [
  ...['ops', 'autograd', 'nn', 'optim', 'distributions', 'models', 'runtime', 'tensor'],
  ...['data/audio', 'data/augment', 'data/text', 'train/metrics'],
];
const needsFiles = /: load(Gpt2)?Tokenizer$/;

interface Example {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The examples of a file: what stands behind @example, up to the end of the comment or the next tag. */
function examplesOf(file: string): Example[] {
  const text = readFileSync(join(lib, file), 'utf8');
  const documented =
    /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*(?:export )?(?:abstract )?(?:async )?(?:function\*?|class|const) (\w+)/g;
  return [...text.matchAll(documented)].flatMap(([, comment, name]) => {
    const start = comment!.indexOf('@example');
    if (start < 0) return [];
    const body = comment!.slice(start + '@example'.length).split(/^\s*\* @/m)[0]!;
    const lines = body.split('\n').map((line) => line.replace(/^\s*\* ?/, '').trimEnd());
    return [{ title: `${file}: ${name}`, lines: lines.filter((line) => line !== '') }];
  });
}

const examples = folders.flatMap((folder) =>
  readdirSync(join(lib, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => examplesOf(join(folder, name).replaceAll(sep, '/')))
    .filter(({ title }) => !needsFiles.test(title)),
);

/** What examples speak of without making it: recordings or pictures, or a small network, its data, its loss and its optimizer. */
function surroundings(title: string): Record<string, unknown> {
  if (title.startsWith('data/audio/')) return { waveform: hadal.randn([16000]), logMel: hadal.randn([2, 80, 50]) };
  if (title.startsWith('data/augment/')) {
    const images = hadal.rand([4, 3, 32, 32]);
    return { images, x: images, y: hadal.arange(4, { dtype: 'int32' }) };
  }
  const model = new hadal.nn.Sequential(new hadal.nn.Linear(4, 3));
  const x = hadal.randn([3, 4]);
  const loader = [{ image: x }];
  return {
    ...{ model, x, y: hadal.randn([3, 3]).softmax(-1), loader, epochs: 1, steps: 1 },
    block: new hadal.nn.Linear(4, 4),
    optimizer: new hadal.optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }),
    average: new hadal.optim.AveragedModel(model),
    loss: model.forward(x).sum(),
    matrices: model.parameters().filter(({ rank }) => rank === 2),
    evaluate: (network: hadal.nn.Layer) => network.forward(x),
    validationLoss: 0.5,
  };
}

const isTensor = (value: unknown): value is hadal.AnyTensor => value instanceof hadal.Tensor;
const numbersOf = (value: unknown): unknown =>
  isTensor(value) ? value.toArraySync() : Array.isArray(value) ? value.map(numbersOf) : value;

const flat = (value: unknown): Plain => {
  const values = ([value].flat(Infinity) as unknown[]).map(Number);
  return { shape: [values.length], values };
};

/** Whether a comment is a value: what JSON and JavaScript write as one. */
const isValue = (comment: string): boolean => /^(\[.*\]|-?[\d.]+(e-?\d+)?|true|false)$/.test(comment);

async function run({ title, lines }: Example): Promise<number> {
  // The names of the API, `log` and the rest, as variables; an expression's value and what its comment expects are handed to `check`.
  let checked = 0;
  const check = (value: unknown, expected: unknown): void => {
    checked++;
    const got = numbersOf(value);
    if (Array.isArray(expected) !== Array.isArray(got))
      throw new Error(`${title}: got ${String(got)}, expected ${String(expected)}`);
    expectClose(flat(got), flat(expected), { rtol: 1e-3, atol: 1e-4 }, title);
  };
  const statements = lines.map((line) => {
    const [, code, comment] = /^(.*?);?\s*(?:\/\/\s*(.*))?$/.exec(line) as unknown as [string, string, string?];
    if (comment === undefined || !isValue(comment)) return line;
    const declared = /^const (\w+|\[[\w, ]*\]) =/.exec(code);
    return declared ? `${code}; check(${declared[1]}, ${comment});` : `check(${code}, ${comment});`;
  });
  const api = { ...hadal, ...surroundings(title), check };
  const body = transpile(`async function example() { ${statements.join('\n')}\n}`, { target: ScriptTarget.ES2022 });
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  const example = new Function(...Object.keys(api), `${body}; return example();`) as (
    ...values: unknown[]
  ) => Promise<void>;
  await example(...Object.values(api));
  return checked;
}

test.each(examples.map((example) => [example.title, example] as const))('%s', async (_, example) => {
  await run(example);
});

test('most examples say what they give', async () => {
  hadal.manualSeed(0);
  let checked = 0;
  for (const example of examples) checked += await run(example);
  expect(examples.length).toBeGreaterThan(400);
  process.stdout.write(`examples: ${examples.length}, ${checked} values checked\n`);
  expect(checked).toBeGreaterThan(330);
});
