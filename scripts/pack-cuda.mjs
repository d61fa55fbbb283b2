// Makes the package hadal-cuda, which has the CUDA backend that the package hadal of the same version loads: for Linux on x86-64, for every
// architecture that is supported. It needs nvcc, and no GPU.
//
//   node scripts/pack-cuda.mjs [--cuda all] [--library FILE] [--out .build/hadal-cuda]
//
// --library takes a library that has been built instead. `npm pack` or `npm publish` of the folder does the rest.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    cuda: { type: 'string', default: 'all' },
    library: { type: 'string' },
    out: { type: 'string', default: '.build/hadal-cuda' },
  },
});

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `status ${status}`}`);
}

const { version, license, author } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const out = resolve(root, values.out);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

let { library } = values;
if (library === undefined) {
  const folder = join(root, '.build', 'cuda-library');
  run(process.execPath, 'scripts/build-native.mjs', '--target', 'hadal-cuda', '--cuda', values.cuda, '--name', 'cuda', '--glibc', '2.28', '--out', folder); // prettier-ignore
  library = join(folder, 'libhadal-cuda.so');
}
const packed = join(out, 'libhadal-cuda.so');
copyFileSync(library, packed);
run('strip', '--strip-unneeded', packed);
copyFileSync(join(root, 'LICENSE'), join(out, 'LICENSE'));

const manifest = {
  name: 'hadal-cuda',
  version,
  description: 'The CUDA backend of hadal',
  license,
  author,
  os: ['linux'],
  cpu: ['x64'],
  libc: ['glibc'],
  files: ['libhadal-cuda.so'],
};
writeFileSync(join(out, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
writeFileSync(
  join(out, 'README.md'),
  `# hadal-cuda

The CUDA backend of [hadal](https://www.npmjs.com/package/hadal) for NVIDIA GPUs of compute capability 8.0 and newer, on Linux (x86-64).

\`\`\`sh
npm install hadal@${version} hadal-cuda@${version}
\`\`\`

hadal finds it when a program first asks for a device such as \`cuda\`; \`hadal.devices()\` tells what it found. Both packages have the same
version. It needs NVIDIA's driver; cuBLAS, cuDNN and NCCL are used where they are installed.
`,
);
console.log(`${out}: ${(statSync(packed).size / 2 ** 20).toFixed(1)} MiB`);
