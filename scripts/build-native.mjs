// Builds the native addon with cmake-js: objects go to .build/<name>, hadal.node and its kernel libraries to build/Release.
//
//   node scripts/build-native.mjs [--levels v4] [--sanitize address,undefined] [--debug] [--name release] [--out build/Release]
//
// --levels builds a subset of the instruction-set levels, which is quicker while a kernel is being written.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    levels: { type: 'string', default: 'all' },
    sanitize: { type: 'string', default: 'OFF' },
    debug: { type: 'boolean', default: false },
    name: { type: 'string', default: 'release' },
    out: { type: 'string', default: 'build/Release' },
  },
});

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');

function run(command, ...options) {
  const { status } = spawnSync(
    process.execPath,
    [cmakeJs, command, '--log-level', 'error', '--out', join(root, '.build', values.name), ...options],
    { cwd: root, stdio: 'inherit' },
  );
  if (status !== 0) process.exit(status ?? 1);
}

// Configured anew each time: it takes a second, and the options are always those asked for.
run(
  'configure',
  '--config',
  values.debug ? 'RelWithDebInfo' : 'Release',
  `--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=${resolve(root, values.out)}`,
  `--CDHADAL_CPU_LEVELS:STRING=${values.levels.replaceAll(',', ';')}`,
  `--CDHADAL_SANITIZE:STRING=${values.sanitize}`,
);
run('build', '--parallel', process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(availableParallelism()));
