// Writes docs/ops.md: every public op with its signature, dtypes, orders of gradient, devices and one line of what it does. With --check it
// writes nothing and fails when the file is stale. Signatures and sentences are read from the sources; dtypes and orders are those that the
// samples of the tests use; an op runs on CUDA when native/cuda has all kernels that its samples ran. Needs the built addon, and tsx.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { byFamily, exportsOf, writeOrCheck } from './declarations.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const allFloats = ['float64', 'float32', 'float16', 'bfloat16'];
const allIntegers = ['int64', 'int32', 'int16', 'int8', 'uint8'];

/** The functions that lib/ops exports for users. */
const publicOps = () => exportsOf('lib/ops/index.ts').filter(({ kind }) => kind === 'function');

/** The ops that native/cuda has kernels for. */
function cudaKernels() {
  let files = [];
  try {
    files = readdirSync(join(root, 'native/cuda'), { recursive: true });
  } catch {
    // A checkout without CUDA sources.
  }
  const sources = files
    .filter((name) => /\.(cu|cc)$/.test(name))
    .map((name) => readFileSync(join(root, 'native/cuda', name), 'utf8'));
  return new Set(sources.flatMap((text) => [...text.matchAll(/HADAL_CUDA_KERNEL\((\w+)\)/g)].map(([, name]) => name)));
}

/** What the samples of each op tell: dtypes, the highest order of gradient, and the native ops that they ran. */
async function sampled() {
  const { samplesByOp } = await import('../test/ops/samples.ts');
  const { Draw, titleOf } = await import('../test/ops/sample.ts');
  const { observeSubmissions } = await import('../lib/runtime/recorder.ts');
  let executed = new Set();
  observeSubmissions((name) => executed.add(name));
  const found = new Map();
  for (const [op, samples] of samplesByOp) {
    const kernels = new Set();
    for (const sample of samples) {
      const inputs = sample.inputs(new Draw(titleOf(sample)), sample.dtypes[0]);
      executed = kernels;
      sample.call(...inputs);
      executed = new Set();
    }
    found.set(op, {
      dtypes: new Set(samples.flatMap(({ dtypes }) => dtypes)),
      order: Math.max(...samples.map(({ order }) => order)),
      kernels: [...kernels],
    });
  }
  return found;
}

function dtypesOf(dtypes) {
  const groups = [
    [allFloats, 'floats'],
    [allIntegers, 'integers'],
  ];
  const left = new Set(dtypes);
  const words = [];
  for (const [members, name] of groups) {
    if (!members.every((dtype) => left.has(dtype))) continue;
    words.push(name);
    members.forEach((dtype) => left.delete(dtype));
  }
  return [...words, ...left].join(', ');
}

function render(ops, samples, cuda) {
  const sections = [...byFamily(ops)].map(([family, members]) => {
    const rows = members.map(({ name, signature, sentence }) => {
      // The form that waits without blocking has the sample of the one that blocks.
      const sample = samples.get(name) ?? samples.get(`${name}Sync`);
      const dtypes = sample === undefined ? '' : dtypesOf(sample.dtypes);
      const order = sample === undefined ? '' : ['none', 'first', 'first, second'][sample.order];
      const devices =
        sample === undefined ? '' : sample.kernels.every((kernel) => cuda.has(kernel)) ? 'CPU, CUDA' : 'CPU';
      return `| \`${signature}\` | ${dtypes} | ${order} | ${devices} | ${sentence} |`;
    });
    return `## ${family}\n\n| op | dtypes | gradients | devices | |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Ops

Written by \`npm run generate\`: do not edit. ${ops.length} ops, each exported from \`hadal\`; most are methods of tensors too. Dtypes and orders of gradient are those that the tests
check; an op without entries has tests of its own. CUDA is listed where every kernel that the op runs is there.

${sections.join('\n')}`;
}

const isCheck = process.argv.includes('--check');
let samples;
try {
  samples = await sampled();
} catch (error) {
  console.error(
    `docs/ops.md: not ${isCheck ? 'checked' : 'written'}, as the ops do not run; build the addon first: ${error.message}`,
  );
  process.exit(isCheck ? 1 : 0);
}
process.exit(writeOrCheck('docs/ops.md', render(publicOps(), samples, cudaKernels())));
