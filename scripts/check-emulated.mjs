// Builds the CUDA backend for a GPU that is emulated on the CPU (test/native/cuda/emulator), and runs the checks of
// test/native/cuda/gpu-check.ts there: every kernel, and no speed.
//
//   node scripts/check-emulated.mjs [--every 10] [--only basics,ops] [--order forward|reverse|<seed>] [--capability 90]
//                                   [--sanitize address,alignment|races] [--out .build/check-emulated] [--budget 36000]
import { spawnSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from '../test/native/cuda/emulator/build.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    every: { type: 'string', default: '1' },
    only: { type: 'string', default: 'basics,elsewhere,ops,gradients,products,rows,random,compile' },
    order: { type: 'string', default: 'forward' },
    capability: { type: 'string', default: '86' },
    sanitize: { type: 'string', default: 'OFF' },
    out: { type: 'string', default: '.build/check-emulated' },
    budget: { type: 'string', default: '36000' },
  },
});
const { every, only, order, budget } = values;
const { status } = spawnSync(
  process.execPath,
  [
    ...['--import', 'tsx', join(root, 'test/native/cuda/gpu-check.ts'), '--device', 'cuda:0', '--patience', '100'],
    ...['--every', every, '--only', only, '--budget', budget, '--out', resolve(root, values.out)],
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...build(values), HADAL_EMULATOR_ORDER: order },
  },
);
process.exitCode = status ?? 1;
