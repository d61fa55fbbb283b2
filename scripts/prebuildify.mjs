// Puts the binaries for this platform into prebuilds/, which the package ships: prebuildify calls node-gyp, whose binding.gyp
// calls the real build. Node's own headers are used where they came with it, so that node-gyp downloads none.
//
//   node scripts/prebuildify.mjs [--arch arm64]
//
// --arch builds for another processor than this machine's, as scripts/build-native.mjs does.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { processorOf } from './openblas.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const prefix = dirname(dirname(process.execPath));
const hasHeaders = existsSync(join(prefix, 'include/node/node_api.h'));
const { arch } = parseArgs({ options: { arch: { type: 'string', default: process.arch } } }).values;

rmSync(join(root, 'prebuilds', `${process.platform}-${arch}`), { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [
    createRequire(import.meta.url).resolve('prebuildify/bin.js'),
    '--napi',
    '--strip',
    ...(process.platform === 'linux' ? ['--tag-libc'] : []),
    '--target',
    process.versions.node,
    '--arch',
    arch,
    ...(arch === process.arch ? [] : ['--strip-bin', `${processorOf(arch)}-linux-gnu-strip`]),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(hasHeaders && { npm_config_nodedir: prefix }) } },
);
process.exit(status ?? 1);
