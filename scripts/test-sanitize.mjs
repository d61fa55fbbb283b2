// Builds the addon with sanitizers and runs the tests on it:  npm run test:sanitize [-- thread] [jest's arguments]
// The default is address,undefined. The sanitizers' run-time libraries are preloaded, since Node itself is built without them.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const sanitizers = args[0] === 'thread' ? args.shift() : 'address,undefined';
const name = sanitizers.replace(',', '-');
const out = `build/${name}`;

function run(command, commandArgs, env = {}) {
  const { status } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (status !== 0) process.exit(status ?? 1);
}

run(process.execPath, ['scripts/setup.mjs']);
run(process.execPath, ['scripts/build-native.mjs', '--sanitize', sanitizers, '--name', name, '--out', out]);

const libraryPath = (library) =>
  spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${library}`], { encoding: 'utf8' }).stdout.trim();
// libstdc++ comes along because the sanitizers look up its functions when they start, before the addon brings it in.
const libraries = { 'address,undefined': ['libasan.so', 'libubsan.so'], thread: ['libtsan.so'] }[sanitizers];
// What runs no kernel in its own process: type checks, the package (whose binaries are the usual ones), scripts, and host programs for CUDA.
const left = ['types', 'packaging', 'scripts', 'native/cuda'].map((folder) => `<rootDir>/test/${folder}/`);
// Everything takes several times as long.
run(
  process.execPath,
  ['node_modules/jest/bin/jest.js', ...args, '--testTimeout=600000', '--testPathIgnorePatterns', ...left],
  {
    HADAL_FUZZ_CALLS: process.env.HADAL_FUZZ_CALLS ?? '20000',
    HADAL_BINARY: join(root, out, 'hadal.node'),
    LD_PRELOAD: [...libraries, 'libstdc++.so.6'].map(libraryPath).join(':'),
    // Node does not free everything at exit, so a leak report would be about Node.
    ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    TSAN_OPTIONS: 'second_deadlock_stack=1',
  },
);
