import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';

import { prepareTraining } from './training';

const binary = process.env['HADAL_BINARY'] ?? join(__dirname, '../../build/Release/hadal.node');
let folder: string;
let script: string;

// One file with the library in it: a hundred workers that each translate the sources take minutes.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hadal-workers-'));
  script = join(folder, 'worker.js');
  buildSync({
    entryPoints: [join(__dirname, 'worker.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    target: 'node20',
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a worker that trains; the promise is of the losses of its first five steps. */
function startTraining(steps: number): { worker: Worker; losses: Promise<number[]>; ended: Promise<number> } {
  const worker = new Worker(script, { workerData: { steps }, env: { ...process.env, HADAL_BINARY: binary } });
  const losses = new Promise<number[]>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  losses.catch(() => {}); // a worker that is terminated early tells nothing
  const ended = new Promise<number>((resolve) => worker.once('exit', resolve));
  return { worker, losses, ended };
}

test('eight workers train at once, each as the main thread does', async () => {
  const { step } = prepareTraining();
  const expected = Array.from({ length: 5 }, () => step().itemSync());
  const workers = Array.from({ length: 8 }, () => startTraining(20));
  for (const { losses, ended } of workers) {
    expect(await losses).toEqual(expected);
    expect(await ended).toBe(0);
  }
}, 300_000);

test('a hundred workers are terminated in the middle of kernels', async () => {
  const rounds = 25;
  for (let round = 0; round < rounds; round++) {
    const workers = Array.from({ length: 4 }, () => startTraining(1_000_000));
    await Promise.all(workers.map(({ losses }) => losses));
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
  }
  const { step } = prepareTraining();
  expect(step().itemSync()).toBeGreaterThan(0);
}, 600_000);
