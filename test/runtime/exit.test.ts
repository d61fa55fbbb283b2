// A process may end while its kernels run, by process.exit or by an error that nobody catches.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

test.each([
  ['exit', 3, 0],
  ['exit', 3, 100],
  ['throw', 1, 50],
])('%s', (how, code, delay) => {
  const script = join(__dirname, 'exiting-run.ts');
  const { status, signal, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', script, how, String(delay)], {
    encoding: 'utf8',
  });
  expect({ status, signal, sanitizer: /Sanitizer/.exec(stderr) }).toEqual({
    status: code,
    signal: null,
    sanitizer: null,
  });
});
