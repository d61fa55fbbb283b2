// Builds the addon with sanitizers and runs the tests on it:  npm run test:sanitize [-- thread] [jest's arguments]
// The default is address,undefined. HADAL_CPU_LEVEL=v4 builds and tests that instruction-set level alone, which is quicker.
// The sanitizers' run-time libraries are preloaded, since Node itself is built without them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const sanitizers = args[0] === 'thread' ? args.shift() : 'address,undefined';
const name = sanitizers.replace(',', '-');
const out = join(root, 'build', name);

const run = (command, commandArgs, env = {}) =>
  spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1;

function must(...command) {
  const status = run(process.execPath, command);
  if (status !== 0) process.exit(status);
}

must('scripts/setup.mjs');
const levels = process.env.HADAL_CPU_LEVEL ?? 'all';
must('scripts/build-native.mjs', '--sanitize', sanitizers, '--levels', levels, '--name', name, '--out', out);

const libraryPath = (library) =>
  spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${library}`], { encoding: 'utf8' }).stdout.trim();
// libstdc++ comes along because the sanitizers look up its functions when they start, before the addon brings it in.
const libraries = { 'address,undefined': ['libasan.so', 'libubsan.so'], thread: ['libtsan.so'] }[sanitizers];
// What runs no kernel in its own process: type checks, the package (whose binaries are the usual ones), scripts, host programs for CUDA, and what
// looks into binaries.
const left = ['types/', 'packaging/', 'scripts/', 'native/cuda/', 'native/levels'];

// Each process leaves its reports here: no one looks at what some of them print or at their exit status.
const reports = join(out, 'reports');
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports);
const common = `log_path=${join(reports, 'report')}`;
const status = run(
  process.execPath,
  [
    'node_modules/jest/bin/jest.js',
    ...args,
    '--testTimeout=600000', // everything takes several times as long
    '--testPathIgnorePatterns',
    ...left.map((path) => `<rootDir>/test/${path}`),
  ],
  {
    HADAL_FUZZ_CALLS: process.env.HADAL_FUZZ_CALLS ?? '20000',
    HADAL_BINARY: join(out, 'hadal.node'),
    LD_PRELOAD: [...libraries, 'libstdc++.so.6'].map(libraryPath).join(':'),
    // Node does not free everything at exit, so a leak report would be about Node.
    ASAN_OPTIONS: `detect_leaks=0:detect_stack_use_after_return=0:${common}`,
    UBSAN_OPTIONS: `print_stacktrace=1:${common}`,
    // What Node and V8 do among their own threads looks like races, since their atomics are not seen.
    TSAN_OPTIONS: `second_deadlock_stack=1:ignore_noninstrumented_modules=1:${common}`,
  },
);
const written = readdirSync(reports);
for (const file of written) console.error(readFileSync(join(reports, file), 'utf8'));
console.error(`${written.length} processes left reports in ${reports}`);
process.exit(written.length > 0 ? 1 : status);
