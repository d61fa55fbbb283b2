// Makes a folder with everything that test/native/cuda/gpu-check.ts needs on a bare Linux machine with a GPU: the sources as
// JavaScript, the native build, PyTorch's side of the benches, and Node itself, packed.
//
//   node scripts/gpu-check.mjs [--out .build/gpu-check] [--no-binaries]
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
  options: { out: { type: 'string', default: '.build/gpu-check' }, 'no-binaries': { type: 'boolean', default: false } },
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
for (const folder of ['lib', 'test/ops', 'test/native/cuda', 'bench']) transpile(folder);
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
  const built = join(root, 'build/Release');
  if (!existsSync(join(built, 'libhadal-cuda.so'))) {
    throw new Error('build/Release has no CUDA backend: npm run build:native -- --levels v4 --cuda 90a');
  }
  mkdirSync(join(out, 'native'));
  for (const file of readdirSync(built).filter((name) => /\.(node|so)$/.test(name))) {
    copyStripped(join(built, file), join(out, 'native', file));
  }
  copyStripped(process.execPath, join(out, 'node'));
  run(
    'xz',
    '-T0',
    '-3',
    join(out, 'node'),
    ...readdirSync(join(out, 'native')).map((file) => join(out, 'native', file)),
  );
}
writeFileSync(
  join(out, 'gpu-check'),
  `#!/bin/sh
# Unpacks what is packed beside it, once, and runs the checks.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
find "$here" -name '*.xz' | while read -r packed; do
  { xz -d "$packed" || python3 -c "import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[1][:-3], 'wb'))" "$packed"; } 2>/dev/null
done
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
