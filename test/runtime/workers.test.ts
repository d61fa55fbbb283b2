import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { prepareTraining } from './training';

/** Starts a worker that trains; the promise is of the losses of its first five steps. */
function startTraining(steps: number): { worker: Worker; losses: Promise<number[]>; ended: Promise<number> } {
  const script = `require('tsx/cjs'); require(${JSON.stringify(join(__dirname, 'worker.ts'))})`;
  const worker = new Worker(script, { eval: true, workerData: { steps } });
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
