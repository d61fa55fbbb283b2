// Builds the native addon with cmake-js: objects go to .build/<name>, hadal.node and its kernel libraries to build/Release.
//
//   node scripts/build-native.mjs [--levels own] [--sanitize address,undefined] [--debug] [--name release] [--out build/Release]
//                                [--cuda 90a [--unoptimized]] [--target hadal-cuda] [--glibc 2.28] [--platform win32] [--arch arm64]
//
// --levels builds a subset of the instruction-set levels (own: the one that this processor runs; v3,v4: these), which is quicker. --cuda builds the CUDA
// backend too, for the architectures named (all: every one that is supported); it needs nvcc, and no GPU. --unoptimized makes its
// kernels slow and its build quick. --target builds one of CMake's targets and nothing else. --glibc links what runs on systems with that version of glibc and newer ones, where there is a glibc. --platform and --arch
// build for another system or processor than this machine's (scripts/target.mjs), into build/<platform>, build/<arch> or build/<platform>-<arch>.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeGlibcStubs, missingSymbols } from './glibc-stubs.mjs';
import nodeApi from 'node-api-headers';
import { targetOf, targetOptions } from './target.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampName = 'sources.sha256';

/** Whether build/Release holds a build of the sources as they are, with these levels or all. */
export function isBuilt(levels) {
  const stamp = join(root, 'build/Release', stampName);
  if (!existsSync(join(root, 'build/Release/hadal.node')) || !existsSync(stamp)) return false;
  const [built, which] = readFileSync(stamp, 'utf8').split(' ');
  return built === hash() && (which === 'all' || which === levels);
}

// Of everything that the build depends on and a checkout can change.
function hash({ platform, arch, openBlas } = targetOf()) {
  const native = readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true });
  const sources = native
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const digest = createHash('sha256').update(`${platform} ${arch} ${openBlas}\n`);
  for (const file of [...sources.sort(), join(root, 'CMakeLists.txt')]) {
    digest.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  return digest.digest('hex');
}

function cmakeJs(name, command, ...options) {
  const program = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  const folder = join(root, '.build', name);
  const { status } = spawnSync(
    process.execPath,
    [program, command, '--log-level', 'error', '--out', folder, ...options],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  if (status !== 0) process.exit(status ?? 1);
}

/** The path of nvcc: on the PATH, in CUDA_PATH or where NVIDIA's packages put it; undefined when there is none. */
export function findNvcc() {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    join(process.env.CUDA_PATH ?? '/usr/local/cuda', 'bin'),
  ];
  return folders.map((folder) => join(folder, 'nvcc')).find(existsSync);
}

function main() {
  const { values } = parseArgs({
    options: {
      levels: { type: 'string', default: 'all' },
      sanitize: { type: 'string', default: 'OFF' },
      debug: { type: 'boolean', default: false },
      cuda: { type: 'string', default: 'OFF' },
      unoptimized: { type: 'boolean', default: false },
      target: { type: 'string' },
      glibc: { type: 'string' },
      ...targetOptions,
      name: { type: 'string', default: 'release' },
      out: { type: 'string' },
    },
  });
  const target = targetOf(values);
  if (!target.openBlas) {
    console.error('libopenblas.a not found: run `npm run setup`, or set OPENBLAS_LIBRARY to its path');
    process.exit(1);
  }
  if (values.cuda !== 'OFF' && !findNvcc()) {
    console.error('nvcc not found: install the CUDA toolkit, or set CUDA_PATH to where it is');
    process.exit(1);
  }
  const onWindows = target.platform === 'win32';
  const build = [values.name, target.name].filter(Boolean).join('-');
  const glibc = target.platform === 'linux' ? values.glibc : undefined;
  const stubs = glibc === undefined ? '' : join(root, '.build', `glibc-${glibc}-${target.arch}`);
  if (stubs) makeGlibcStubs(glibc, stubs, target.compiler);
  const out = resolve(root, values.out ?? join('build', target.name || 'Release'));
  const built = hash(target);
  // Libraries that are not built now would be of other sources.
  if (existsSync(out)) {
    for (const name of readdirSync(out)) {
      if (name === stampName || name.startsWith('libhadal-')) rmSync(join(out, name));
    }
  }
  // Configured anew each time: it takes half a second, and the options are always those asked for.
  cmakeJs(
    build,
    'configure',
    '--config',
    values.debug ? 'RelWithDebInfo' : 'Release',
    `--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=${out}`,
    `--CDOPENBLAS_LIBRARY=${target.openBlas}`,
    `--CDHADAL_CPU_LEVELS=${values.levels.replaceAll(',', ';')}`,
    `--CDHADAL_CUDA=${values.cuda.replaceAll(',', ';')}`,
    `--CDHADAL_CUDA_OPTIMIZE=${values.unoptimized ? 'OFF' : 'ON'}`,
    ...(values.cuda === 'OFF' ? [] : [`--CDCMAKE_CUDA_COMPILER=${findNvcc()}`]),
    `--CDHADAL_GLIBC_STUBS=${stubs}`,
    `--CDHADAL_SANITIZE=${values.sanitize}`,
    ...target.cmakeOptions().map((option) => `--CD${option}`),
    ...(onWindows ? [`--CDNODE_API_DEFINITION=${nodeApi.def_paths.node_api_def}`, '--generator', 'Ninja'] : []),
  );
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? `${availableParallelism()}`;
  cmakeJs(build, 'build', '--parallel', jobs, ...(values.target === undefined ? [] : ['--target', values.target]));
  for (const name of glibc ? readdirSync(out).filter((name) => /\.(node|so)$/.test(name)) : []) {
    const missing = missingSymbols(join(out, name), glibc);
    if (missing.length > 0) throw new Error(`${name} does not run with glibc ${glibc}: ${missing.join(', ')}`);
  }
  const isWhole = values.target === undefined && values.sanitize === 'OFF' && !values.debug;
  if (isWhole) writeFileSync(join(out, stampName), `${built} ${values.levels}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
