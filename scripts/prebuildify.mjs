// Puts the binaries for this platform into prebuilds/, which the package ships: prebuildify calls node-gyp, whose binding.gyp
// calls the real build. Node's own headers are used where they came with it, so that node-gyp downloads none.
//
//   node scripts/prebuildify.mjs [--platform win32] [--arch arm64]
//
// The options build for another system or processor than this machine's, as those of scripts/build-native.mjs do.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { targetOf, targetOptions } from './target.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const prefix = dirname(dirname(process.execPath));
const hasHeaders = existsSync(join(prefix, 'include/node/node_api.h'));
const { platform, arch, strip } = targetOf(parseArgs({ options: targetOptions }).values);

rmSync(join(root, 'prebuilds', `${platform}-${arch}`), { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [
    createRequire(import.meta.url).resolve('prebuildify/bin.js'),
    '--napi',
    '--strip',
    ...(platform === 'linux' ? ['--tag-libc'] : []),
    '--target',
    process.versions.node,
    '--platform',
    platform,
    '--arch',
    arch,
    '--strip-bin',
    strip,
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(hasHeaders && { npm_config_nodedir: prefix }) } },
);
process.exit(status ?? 1);
