// Makes a folder with everything that test/native/cuda/gpu-check.ts needs on a bare Linux machine with a GPU: the sources as
// JavaScript, the native build, PyTorch's side of the benches, and Node itself, packed. Where the CUDA backend has not been built, its
// sources go along, and are built there: that takes nvcc, and with many cores two minutes.
//
//   node scripts/gpu-check.mjs [--out .build/gpu-check] [--from build/Release] [--cuda 90a] [--no-binaries]
//
// There: <folder>/gpu-check [--out results] [--budget 570] [--only 'ops,speed'].
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: '.build/gpu-check' },
    from: { type: 'string', default: 'build/Release' },
    cuda: { type: 'string', default: '90a' },
    'no-binaries': { type: 'boolean', default: false },
  },
});
const out = resolve(root, values.out);
const binaries = !values['no-binaries'];

const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true };

/** Every TypeScript file of a folder becomes JavaScript in the same place. */
function transpile(folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) transpile(path);
    else if (/\.ts$/.test(entry.name) && !/\.(test|test-d|d)\.ts$/.test(entry.name)) {
      const { outputText } = ts.transpileModule(readFileSync(join(root, path), 'utf8'), {
        compilerOptions,
        fileName: join(root, path),
      });
      mkdirSync(join(out, folder), { recursive: true });
      writeFileSync(join(out, path.replace(/\.ts$/, '.js')), outputText);
    }
  }
}

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `status ${status}`}`);
}

/** Without what only a debugger needs. */
function copyStripped(from, to) {
  copyFileSync(from, to);
  spawnSync('strip', ['--strip-unneeded', to]);
}

rmSync(out, { recursive: true, force: true });
for (const folder of ['lib', 'test/ops', 'test/distributed', 'test/native/cuda', 'bench']) transpile(folder);
cpSync(join(root, 'bench/peers'), join(out, 'bench/peers'), { recursive: true });
// The benches import the package by its name.
mkdirSync(join(out, 'node_modules/hadal'), { recursive: true });
writeFileSync(
  join(out, 'node_modules/hadal/package.json'),
  JSON.stringify({ name: 'hadal', main: '../../lib/index.js' }),
);
cpSync(join(root, 'node_modules/node-gyp-build'), join(out, 'node_modules/node-gyp-build'), { recursive: true });
writeFileSync(join(out, 'package.json'), '{"type":"commonjs"}\n');

if (binaries) {
  const built = resolve(root, values.from);
  mkdirSync(join(out, 'native'));
  for (const file of readdirSync(built).filter((name) => /\.(node|so)$/.test(name))) {
    copyStripped(join(built, file), join(out, 'native', file));
  }
  copyStripped(process.execPath, join(out, 'node'));
  run(
    'xz',
    '-T0',
    '-1',
    join(out, 'node'),
    ...readdirSync(join(out, 'native')).map((file) => join(out, 'native', file)),
  );
}
if (binaries && !existsSync(join(out, 'native/libhadal-cuda.so.xz'))) {
  for (const folder of ['cuda', 'kernels', 'runtime', 'system']) {
    cpSync(join(root, 'native', folder), join(out, 'src/native', folder), { recursive: true });
  }
  cpSync(join(root, 'native/ops.def'), join(out, 'src/native/ops.def'));
  cpSync(join(root, 'native/cpu/op_names.cc'), join(out, 'src/native/cpu/op_names.cc'));
}
const flags = `-O3 -std=c++20 -DNDEBUG -Inative --expt-relaxed-constexpr -diag-suppress=186 -Xcompiler=-fPIC,-fvisibility=hidden -gencode=arch=compute_${values.cuda},code=sm_${values.cuda}`;
writeFileSync(
  join(out, 'gpu-check'),
  `#!/bin/sh
# Unpacks what is packed beside it, builds what has not been built, and runs the checks.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
unpack='import lzma, os, shutil, sys
for path in sys.argv[1:]:
    shutil.copyfileobj(lzma.open(path), open(path[:-3], "wb"))
    os.remove(path)'
packed=$(find "$here" -name '*.xz')
if [ -n "$packed" ]; then xz -d $packed 2>/dev/null || python3 -c "$unpack" $(find "$here" -name '*.xz'); fi
if [ -d "$here/src" ] && [ ! -e "$here/native/libhadal-cuda.so" ]; then
  cd "$here/src"
  echo "building the CUDA backend: $(date +%T)"
  # The longest first. Kernels that do not build are missing, and cost no others.
  ls native/cuda/attention*.cu native/cuda/pointwise*.cu native/cuda/*.cu native/cuda/*.cc native/runtime/allocator.cc \
    native/runtime/command_queue.cc native/runtime/command_words.cc native/runtime/profiler.cc native/cpu/op_names.cc native/system/linux/fence.cc | awk '!seen[$0]++' |
    xargs -P "$(nproc)" -I{} sh -c 'nvcc ${flags} -c {} -o "$(basename {}).o" || echo "failed: {}"'
  nvcc -shared -cudart static -Xlinker --exclude-libs,ALL ./*.o -o "$here/native/libhadal-cuda.so" -lpthread -ldl
  strip --strip-unneeded "$here/native/libhadal-cuda.so"
  echo "built: $(date +%T)"
  cd - >/dev/null
fi
if [ -e "$here/native/hadal.node" ]; then export HADAL_BINARY="$here/native/hadal.node"; fi
node="$here/node"
if [ -e "$node" ]; then chmod +x "$node"; else node=node; fi
exec "$node" "$here/test/native/cuda/gpu-check.js" "$@"
`,
);
chmodSync(join(out, 'gpu-check'), 0o755);

const bytes = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);
console.log(`${out}: ${(bytes(out) / 2 ** 20).toFixed(1)} MiB`);
