// 100,000 random calls of every public op with arguments that are often wrong: each one returns or throws a HadalError, at once, in a
// promise or at the next read. A TypeError, a crash, a hang or memory beyond the limit is a bug. HADAL_FUZZ_SEED makes
// other calls, HADAL_FUZZ_CALLS changes how many.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const seed = process.env['HADAL_FUZZ_SEED'] ?? 'hadal';
const calls = process.env['HADAL_FUZZ_CALLS'] ?? '100000';

test(`${calls} random calls return or throw a HadalError`, () => {
  process.stdout.write(`fuzz: HADAL_FUZZ_SEED=${seed}\n`);
  const script = join(__dirname, 'fuzz-calls.ts');
  const options = ['--max-old-space-size=512', '--stack-trace-limit=8', '--import', 'tsx'];
  const child = spawnSync(process.execPath, [...options, script, seed, calls], { encoding: 'utf8', timeout: 170_000 });
  expect(child.stderr).toBe('');
  expect(child.signal).toBeNull();
  expect(child.status).toBe(0);
  expect((JSON.parse(child.stdout) as string[]).join('\n\n')).toBe('');
}, 180_000);
