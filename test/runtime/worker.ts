/** The body of the worker threads in workers.test.ts: trains, and tells the losses of the first steps. */
import { parentPort, workerData } from 'node:worker_threads';

import { prepareTraining } from './training';

const { steps } = workerData as { steps: number };
const { step } = prepareTraining();
const losses: number[] = [];
for (let i = 0; i < steps; i++) {
  const loss = step();
  if (i < 5) losses.push(loss.itemSync());
  if (i === 4) parentPort!.postMessage(losses);
}
