// Builds the CUDA backend for an emulated device, into a folder with a copy of the addon: with HADAL_BINARY naming that addon and the
// folder in LD_LIBRARY_PATH, a process has a GPU that runs on the CPU.
//
//   node test/native/cuda/emulator/build.mjs [--capability 90] [--sanitize address,alignment|races]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..', '..');

const filesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();

/** What C++ takes for `__shared__`: a static variable, that the first thread of a block to pass it finds filled anew. */
function withoutShared(text) {
  return text
    .replace(
      /extern __shared__ (\w+) (\w+)\[\];/g,
      (_, type, name) => `auto* const ${name} = static_cast<${type}*>(::emulator::dynamic_shared());`,
    )
    .replace(/^( +)__shared__ ([^;]+);/gm, (_, indent, declaration) => {
      const names = declaration
        .replace(/<[^;]*?>/g, '')
        .split(',')
        .map((declarator) => /(\w+)(?:\[[^\]]*\])*$/.exec(declarator.trim())[1]);
      const fills = names.map(
        (name) =>
          ` { static uint64_t filled_in; ::emulator::fill_shared(filled_in, (void*)&${name}, sizeof(${name})); }`,
      );
      return `${indent}static ${declaration};${fills.join('')}`;
    });
}

/** Copies of native/cuda, and of the emulator's test, that a C++ compiler takes; only what has changed is written. */
function prepareSources(folder) {
  const from = join(root, 'native', 'cuda');
  const prepare = (file, to) => {
    const text = `#line 1 "${file}"\n${withoutShared(readFileSync(file, 'utf8'))}`;
    if (existsSync(to) && readFileSync(to, 'utf8') === text) return;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, text);
  };
  for (const file of filesOf(from)) prepare(file, join(folder, 'cuda', file.slice(from.length)));
  prepare(join(here, 'emulator_test.cc'), join(folder, 'test', 'emulator_test.cc'));
  for (const file of filesOf(join(folder, 'cuda'))) {
    if (!existsSync(join(from, file.slice(join(folder, 'cuda').length)))) rmSync(file);
  }
}

function run(...command) {
  const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${error?.message ?? `${stdout}\n${stderr}`}`);
}

/**
 * Builds what is not built yet, and answers the environment of a process that has the device.
 *
 * @throws Error with what the compiler says.
 */
export function build({ capability = '86', sanitize = 'OFF' } = {}) {
  const name = `emulator-${capability}${sanitize === 'OFF' ? '' : `-${sanitize.replace(',', '-')}`}`;
  const objects = join(root, '.build', name);
  const out = join(root, 'build', name);
  const given = process.env['HADAL_BINARY'];
  const release = given ? dirname(given) : join(root, 'build', 'Release');

  const digest = createHash('sha256');
  for (const file of [...filesOf(join(root, 'native')), ...filesOf(here)]) {
    digest.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  const hash = digest.digest('hex');
  const stamp = join(out, 'sources.sha256');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== hash) {
    rmSync(stamp, { force: true });
    prepareSources(join(objects, 'sources'));
    const options = {
      SOURCES: join(objects, 'sources'),
      CMAKE_LIBRARY_OUTPUT_DIRECTORY: out,
      CAPABILITY: capability,
      SANITIZE: sanitize,
    };
    run('cmake', '-S', here, '-B', objects, ...Object.entries(options).map(([key, value]) => `-D${key}=${value}`));
    const jobs = process.env['CMAKE_BUILD_PARALLEL_LEVEL'] ?? `${availableParallelism()}`;
    run('cmake', '--build', objects, '--parallel', jobs);
    writeFileSync(stamp, hash);
  }
  for (const file of readdirSync(release).filter((file) => /^(hadal\.node|libhadal-cpu-.*\.so)$/.test(file))) {
    rmSync(join(out, file), { force: true }); // processes may have it open
    copyFileSync(join(release, file), join(out, file));
  }
  const environment = { HADAL_BINARY: join(out, 'hadal.node'), LD_LIBRARY_PATH: out };
  if (sanitize === 'OFF' || sanitize === 'races') return environment;
  // Node is built without sanitizers, so what they run on is loaded before it; libstdc++ too, whose functions they look up.
  const libraries = sanitize.split(',').map((name) => (name === 'address' ? 'libasan.so' : 'libubsan.so'));
  const pathOf = (library) =>
    spawnSync(process.env['CXX'] ?? 'c++', [`-print-file-name=${library}`], { encoding: 'utf8' }).stdout.trim();
  return {
    ...environment,
    LD_PRELOAD: [...libraries, 'libstdc++.so.6'].map(pathOf).join(':'),
    // Node frees little at its end.
    ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { capability: { type: 'string' }, sanitize: { type: 'string' } } });
  console.log(build(values));
}
