// Writes every generated file, or with --check fails when one is stale: lib/native/opcodes.ts, lib/ops/option-names.ts,
// docs/api.md, then docs/ops.md, which needs the addon.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

for (const script of [
  'generate-opcodes.mjs',
  'generate-option-names.mjs',
  'generate-api-doc.mjs',
  'generate-ops-doc.mjs',
]) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', path, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}
