// Trains a digit classifier in several processes, each on its share of every batch.
//   npx hadal launch --processes 2 examples/distributed.ts
import { data, distributed, manualSeed, nn, optim, tensor, train, type AnyTensor } from 'hadal';

distributed.init();
const [rank, world] = [distributed.rank(), distributed.worldSize()];

manualSeed(0);
const digits = data.renderDigits(2000);
const images = tensor(digits.images).reshape([digits.count, 784]).cast('float32').div(255);
const set = new data.TensorDataset(images, tensor(Int32Array.from(digits.labels)));
const sampler = new data.DistributedSampler(digits.count, { world, rank, seed: 1 });
const loader = new data.DataLoader(set, { sampler, batchSize: 128 / world });

const network = new nn.Sequential(new nn.Linear(784, 64), new nn.ReLU(), new nn.Linear(64, 10));
const model = new distributed.DistributedDataParallel(network);

const trainer = new train.Trainer({
  model,
  optimizer: new optim.AdamW(model.parameters(), { lr: 2e-3 }),
  step: ([x, y]: AnyTensor[]) => {
    const predictions = model.forward(x!);
    return { loss: nn.functional.crossEntropy(predictions, y!), predictions, targets: y! };
  },
  metrics: () => ({ accuracy: new train.Accuracy() }),
  loggers: [new train.ConsoleLogger()],
  logEvery: 16,
});
void trainer.fit(loader, { epochs: 4 });
