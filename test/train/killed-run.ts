// A run that tests kill: trains with frequent checkpoints and tells on standard output what it has saved and, at the end, that it is done.
//   node --require tsx/cjs killed-run.ts FOLDER STEPS
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

import { data, manualSeed, nn, optim, train, type AnyTensor } from '../../lib/index';

const [folder, steps] = [process.argv[2]!, Number(process.argv[3])];

/** Numbers and their sum's sign; each item changes a little in each epoch. */
const set = new data.MapDataset({ length: 96, get: (i: number) => Promise.resolve(i) }, (i: number, random) => {
  const x = Float32Array.from({ length: 8 }, (_, j) => Math.sin(i * 8 + j) + 0.1 * random.uniform());
  return { x, y: Number(x.reduce((sum, value) => sum + value) > 0) };
});

interface Batch {
  readonly x: AnyTensor;
  readonly y: AnyTensor;
}

async function main(): Promise<void> {
  manualSeed(21);
  const model = new nn.Sequential(
    new nn.Linear(8, 64),
    new nn.BatchNorm1d(64),
    new nn.ReLU(),
    new nn.Dropout(0.3),
    new nn.Linear(64, 2),
  );
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 });
  // Losses are written at once, so that those of steps behind the last checkpoint are on the disk too.
  const log: train.Logger = {
    scalars: (step, { loss, valLoss }) => {
      appendFileSync(join(folder, 'losses.jsonl'), `${JSON.stringify([step, loss ?? null, valLoss ?? null])}\n`);
    },
  };
  const trainer = new train.Trainer<Batch>({
    model,
    optimizer,
    step: ({ x, y }) => nn.functional.crossEntropy(model.forward(x), y as never) as AnyTensor,
    clipNorm: 1,
    logEvery: 1,
    loggers: [log],
    callbacks: [
      new train.EarlyStopping({ patience: 1000, restoreBest: true }),
      new train.Checkpoints(join(folder, 'checkpoints'), {
        everySteps: 3,
        resume: true,
        monitor: 'valLoss',
        onSave: (_, step) => void process.stdout.write(`saved ${step}\n`),
      }),
    ],
  });
  const loader = new data.DataLoader<unknown, Batch>(set, { batchSize: 10, shuffle: true, seed: 4 });
  const validation = new data.DataLoader<unknown, Batch>(set, { batchSize: 48 });
  process.stdout.write('starting\n');
  await trainer.fit(loader, { maxSteps: steps, validation });
  await trainer.save(join(folder, 'final.safetensors'));
  process.stdout.write('done\n');
}

void main();
