import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Op, opSignatures } from '../../lib/native/opcodes';

const root = join(__dirname, '../..');

/** Evaluates an expression over the exports of scripts/generate-opcodes.mjs, an ES module, in a Node of its own. */
function evaluate(expression: string): unknown {
  const program = `import * as generator from './scripts/generate-opcodes.mjs';
    let result;
    try { result = ${expression}; } catch (error) { result = { error: error.message }; }
    console.log(JSON.stringify(result));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: root,
    encoding: 'utf8',
  });
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout);
}

test('lib/native/opcodes.ts matches native/ops.def', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/generate-opcodes.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('codes count from zero in the order of the list', () => {
  expect(Object.values(Op)).toEqual(Object.keys(Op).map((_, code) => code));
  expect(Op.fill).toBe(0);
  expect(opSignatures.matmul).toEqual({ inputs: ['a', 'b', 'bias?'], outputs: ['y'], attributes: ['activation'] });
});

test('the fingerprint is FNV-1a over names and lists', () => {
  // Published vectors of the 32-bit hash: "" and "foobar".
  expect(evaluate('generator.fingerprint([])')).toBe(0x811c9dc5);
  expect(evaluate("generator.fingerprint([{ name: 'foo', inputs: 'b', outputs: 'a', attributes: 'r' }])")).toBe(
    0xbf9cf968,
  );
});

test('a line that the preprocessor would read otherwise is refused with its number', () => {
  const parse = (text: string): unknown => evaluate(`generator.parseOps(${JSON.stringify(text)})`);
  const good = 'HADAL_OP(add, (a, b?), (y), (), pointwise)';
  expect(parse(`// a comment\n\n${good}\n`)).toEqual([
    { name: 'add', inputs: '(a, b?)', outputs: '(y)', attributes: '()' },
  ]);
  const refusal = 'native/ops.def:2: expected HADAL_OP(name, (a, b?), (y), (attribute), check)';
  for (const bad of [
    'HADAL_OP(sub, (a,b), (y), (), pointwise)',
    'HADAL_OP(sub, (a), (y), ())',
    '  HADAL_OP(sub, (), (y), (), x)',
    'sub',
  ]) {
    expect(parse(`${good}\n${bad}`)).toEqual({ error: refusal });
  }
  expect(parse(`${good}\n${good}`)).toEqual({ error: 'native/ops.def:2: add is listed twice' });
});
