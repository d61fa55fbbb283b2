// Whether what docs/pytorch.md says is there is there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as hadal from 'hadal';

const page = readFileSync(join(__dirname, '../../docs/pytorch.md'), 'utf8');
/** The names in the right columns: `x.equal`, `nn.Linear`, `heNormal_`. */
const names = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (PyTorch|---)/.test(line))
  .flatMap((line) => [...line.split(' | ')[1]!.matchAll(/`(?:(?:await|new|const .* =) )*([a-zA-Z][\w.]*)[^`]*`/g)])
  .map(([, name]) => name!)
  .filter((name) => name.includes('.') || name in hadal);

function found(name: string): unknown {
  const [first, ...rest] = name.split('.');
  const start: unknown = first === 'x' ? hadal.zeros([1]) : hadal[first as keyof typeof hadal];
  return rest.reduce<unknown>((holder, key) => (holder as Record<string, unknown> | undefined)?.[key], start);
}

test('the page is read', () => {
  expect(names.length).toBeGreaterThan(60);
});

test.each([...new Set(names)].filter((name) => !/^(copy|lstm|model|optimizer|p)\./.test(name)))('%s', (name) => {
  expect(found(name)).toBeDefined();
});
