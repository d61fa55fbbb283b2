// Whether docs/onnx.md lists the operators that there are.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { families } from '../../lib/onnx/operators';

test('the table of operators', () => {
  const page = readFileSync(join(__dirname, '../../docs/onnx.md'), 'utf8');
  const listed = [...page.matchAll(/^\| (.+?) +\| (\w+(?:, \w+)*) +\|$/gm)].map(([, title, names]) => [title, names]);
  const known = families.map(({ title, operators }) => [title, Object.keys(operators).sort().join(', ')]);
  expect(listed.slice(1)).toEqual(known);
});
