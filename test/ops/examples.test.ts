// Every @example in lib/ops runs, and gives what the comment behind it says.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScriptTarget, transpile } from 'typescript';

import * as hadal from '../../lib/index';
import { expectClose, type Plain } from './sample';

const folder = join(__dirname, '../../lib/ops');

interface Example {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The examples of a file: what stands behind @example, up to the end of the comment or the next tag. */
function examplesOf(file: string): Example[] {
  const text = readFileSync(join(folder, file), 'utf8');
  return [...text.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s*(?:export )?(?:async )?function (\w+)/g)].flatMap(
    ([, comment, name]) => {
      const start = comment!.indexOf('@example');
      if (start < 0) return [];
      const body = comment!.slice(start + '@example'.length).split(/^\s*\* @/m)[0]!;
      const lines = body.split('\n').map((line) => line.replace(/^\s*\* ?/, '').trimEnd());
      return [{ title: `${file}: ${name}`, lines: lines.filter((line) => line !== '') }];
    },
  );
}

const examples = readdirSync(folder)
  .filter((name) => name.endsWith('.ts'))
  .flatMap(examplesOf);

const isTensor = (value: unknown): value is hadal.AnyTensor => value instanceof hadal.Tensor;
const numbersOf = (value: unknown): unknown => (isTensor(value) ? value.toArraySync() : value);

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
    const declared = /^const (\w+) =/.exec(code);
    return declared ? `${code}; check(${declared[1]}, ${comment});` : `check(${code}, ${comment});`;
  });
  const api = { ...hadal, check };
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
  expect(examples.length).toBeGreaterThan(170);
  expect(checked).toBeGreaterThan(150);
});
