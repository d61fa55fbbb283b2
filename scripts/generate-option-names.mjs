// Writes lib/ops/option-names.ts: what options every public function, class and method takes, read from their types. With --check it writes nothing
// and fails when the file is stale.
import { format, resolveConfig } from 'prettier';
import { optionNames, writeOrCheck } from './declarations.mjs';

const target = 'lib/ops/option-names.ts';
const takers = new Map();
for (const [taker, names] of optionNames()) {
  const key = names.join(' ');
  if (key !== '') takers.set(key, [...(takers.get(key) ?? []), taker]);
}
const wanted = `/** What options every public function, class and method takes. Written by \`npm run generate\`: do not edit. */

const takersByNames: Readonly<Record<string, string>> = {
${[...takers].map(([names, list]) => `  '${names}': '${list.join(' ')}',`).join('\n')}
};

/** The names of options, with whether they are true or false, by who takes them; a method is \`Class.method\`. */
export const optionNames: ReadonlyMap<string, ReadonlyMap<string, boolean>> = new Map(
  Object.entries(takersByNames).flatMap(([list, takers]) => {
    const names = new Map(list.split(' ').map((name) => [name.replace('?', ''), name.endsWith('?')]));
    return takers.split(' ').map((taker) => [taker, names]);
  }),
);
`;

process.exit(writeOrCheck(target, await format(wanted, { ...(await resolveConfig(target)), filepath: target })));
