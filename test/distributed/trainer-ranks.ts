// Run by each of several processes: the Trainer with dropout, accumulation and checkpoints, once through, and once stopped and resumed. Prints what each
// logged, the parameters' digest, and which checkpoints there are.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { data, distributed, manualSeed, nn, optim, rand, train, type AnyTensor } from '../../lib/index';

distributed.init({ timeout: 60_000 });
const [rank, world] = [distributed.rank(), distributed.worldSize()];
const folder = process.argv[2]!;

class Recorder implements train.Logger {
  readonly values: Record<string, number>[] = [];
  scalars(step: number, { loss, learningRate }: train.Values): void {
    this.values.push({ step, loss: loss!, learningRate: learningRate! });
  }
}

async function run(name: string, maxSteps: number): Promise<object> {
  manualSeed(0);
  const set = new data.TensorDataset(rand([30, 4]), rand([30, 1]));
  manualSeed(100 + rank); // dropout differs
  const sampler = new data.DistributedSampler(30, { world, rank, seed: 3 });
  const loader = new data.DataLoader(set, { sampler, batchSize: 3 });
  const network = new nn.Sequential(new nn.Linear(4, 8), new nn.Dropout(0.3), new nn.Linear(8, 1));
  const model = new distributed.DistributedDataParallel(network);
  const recorder = new Recorder();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.05 });
  const trainer = new train.Trainer({
    model,
    optimizer,
    schedule: new optim.CosineAnnealingLR(optimizer, { tMax: 12 }),
    step: ([x, y]: AnyTensor[]) =>
      model
        .forward(x as never)
        .sub(y!)
        .square()
        .mean() as AnyTensor,
    accumulate: 2,
    logEvery: 1,
    loggers: [recorder],
    callbacks: [new train.Checkpoints(join(folder, name), { resume: true })],
  });
  await trainer.fit(loader, { maxSteps });
  const values = model.parameters().map((parameter) => parameter.dataSync());
  const digest = createHash('sha256');
  for (const value of values) digest.update(new Uint8Array(value.buffer));
  return { logged: recorder.values, digest: digest.digest('hex'), values: trainer.values['loss'] };
}

async function main(): Promise<void> {
  const through = await run('through', 8);
  await run('stopped', 3);
  const resumed = await run('stopped', 8);
  await distributed.barrier();
  const files = existsSync(folder) ? readdirSync(join(folder, 'stopped')) : [];
  console.log(JSON.stringify({ rank, through, resumed, files }));
}
void main();
