/** What shapes as types cost the compiler: the examples against the same code with shapes erased. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import ts from 'typescript';

import { createProgram } from './diagnose';

const root = join(__dirname, '../..');
const rules = ['shape-types', 'layer-shape-types'].map((name) => join(root, `lib/tensor/${name}.ts`));
const examples = readdirSync(join(root, 'examples'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(root, 'examples', name));

/** The text of a file of shape rules with the rules taken out: every result is `Shape`, every verdict good. */
function erased(path: string): string {
  const text = readFileSync(path, 'utf8');
  const kept = ['Ok', 'Bad', 'ShapeError'];
  const simple = new Map([
    ['SizeAt', 'number'],
    ['May', 'boolean'],
    ['Show', 'string'],
  ]);
  const statements = ts.createSourceFile(path, text, ts.ScriptTarget.Latest).statements.map((statement) => {
    const isRule =
      ts.isTypeAliasDeclaration(statement) &&
      statement.typeParameters !== undefined &&
      statement.modifiers !== undefined &&
      !kept.includes(statement.name.text);
    if (!isRule) return text.slice(statement.pos, statement.end);
    const name = statement.name.text;
    const type = name.endsWith('Check') ? 'Good' : (simple.get(name) ?? 'Shape');
    return `${text.slice(statement.pos, statement.type.pos)} ${type};`;
  });
  return statements.join('');
}

/** Types that the compiler instantiates for `files`. Unlike its time, that is the same in every run. */
function instantiations(files: readonly string[], replaced?: ReadonlyMap<string, string>): number {
  const program = createProgram(files, replaced);
  for (const file of files) program.getSemanticDiagnostics(program.getSourceFile(file));
  return program.getInstantiationCount();
}

// Time is what counts, under twice as much; but it differs from run to run. At 2.7 times the instantiations the check of the examples took 1.45
// times as long (best of six, CPU time).
test('shapes cost the examples less than three times the instantiations', () => {
  expect(examples.length).toBeGreaterThan(0);
  const typed = instantiations(examples);
  const untyped = instantiations(examples, new Map(rules.map((path) => [path, erased(path)])));
  expect(untyped).toBeLessThan(typed);
  expect(typed / untyped).toBeLessThan(3);
});
