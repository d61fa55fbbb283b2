// Puts the binaries for this platform into prebuilds/, which the package ships: prebuildify calls node-gyp, whose binding.gyp
// calls the real build. Node's own headers are used where they came with it, so that node-gyp downloads none.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const prefix = dirname(dirname(process.execPath));
const hasHeaders = existsSync(join(prefix, 'include/node/node_api.h'));

rmSync(join(root, 'prebuilds'), { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [
    createRequire(import.meta.url).resolve('prebuildify/bin.js'),
    '--napi',
    '--strip',
    '--tag-libc',
    '--target',
    process.versions.node,
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(hasHeaders && { npm_config_nodedir: prefix }) } },
);
process.exit(status ?? 1);
