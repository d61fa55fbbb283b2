/** How long the event loop waits while models train: nothing may block it. */
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { createHistogram, monitorEventLoopDelay, type Histogram } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';

import { data, models, nn, optim, train } from 'hadal';
import type { AnyTensor } from 'hadal';

import { prepareGpt } from './training';

const shown = (histogram: Histogram, unit: number): string => {
  const ms = (value: number): string => `${(value / unit).toFixed(1)} ms`;
  return `p50 ${ms(histogram.percentile(50))}, p99 ${ms(histogram.percentile(99))}, max ${ms(histogram.max)}`;
};

/** Trains for some seconds, awaiting each step, and reports the delay of the event loop. */
export async function measureEventLoop(seconds = 10): Promise<string> {
  const { trainStep } = prepareGpt();
  await trainStep();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const end = performance.now() + 1000 * seconds;
  let steps = 0;
  for (; performance.now() < end; steps++) await trainStep();
  delay.disable();
  return `event-loop delay over ${steps} GPT steps: ${shown(delay, 1e6)} (goal: p99 < 10 ms)`;
}

interface Digits {
  readonly image: AnyTensor;
  readonly label: AnyTensor;
}

/** Asks a server in another thread 100 times a second and sends how long each answer took, in microseconds. */
const client = `
  const { get, Agent } = require('node:http');
  const { parentPort, workerData } = require('node:worker_threads');
  const agent = new Agent({ keepAlive: true });
  setInterval(() => {
    const start = performance.now();
    get(workerData, { agent }, (response) => {
      response.resume().on('end', () => parentPort.postMessage(Math.ceil(1000 * (performance.now() - start))));
    });
  }, 10);
`;

/** The same while a Trainer trains LeNet on what two threads make, with validation, logs and checkpoints' worth of callbacks, and a server answers. */
export async function measureTrainerLoop(seconds = 10): Promise<string> {
  await using set = await data.openWorkers(join(__dirname, 'event-loop-items.ts'), {
    workers: 2,
    argument: 2000,
    execArgv: ['--require', 'tsx/cjs'],
  });
  const loader = new data.DataLoader<unknown, Digits>(set, { batchSize: 32, shuffle: true });
  const model = new models.LeNet5();
  const page = new train.RunPage({ title: 'Event loop' });
  const trainer = new train.Trainer<Digits, { accuracy: train.Accuracy }>({
    model,
    optimizer: new optim.Adam(model.parameters(), { lr: 1e-3 }),
    step: ({ image, label }) => {
      const predictions: AnyTensor = model.forward(image);
      return { loss: nn.functional.crossEntropy(predictions, label as never), predictions, targets: label };
    },
    metrics: () => ({ accuracy: new train.Accuracy() }),
    loggers: [page],
  });
  await trainer.fit(loader, { maxSteps: 20 });
  await using _live = await page.serve();
  const server = createServer((_, response) => response.end('here')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const answers = createHistogram();
  const asking = new Worker(client, { eval: true, workerData: url });
  asking.on('message', (microseconds: number) => answers.record(microseconds));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const before = trainer.step;
  const ended = AbortSignal.timeout(1000 * seconds);
  await trainer.fit(loader, { maxSteps: 1e9, signal: ended }).catch((error: unknown) => {
    if (!ended.aborted) throw error;
  });
  delay.disable();
  await asking.terminate();
  server.close();
  server.closeAllConnections();

  const steps = trainer.step - before;
  return (
    `event-loop delay over ${steps} Trainer steps fed by 2 threads: ${shown(delay, 1e6)} (goal: p99 < 10 ms); ` +
    `${answers.count} HTTP answers: ${shown(answers, 1000)}`
  );
}
