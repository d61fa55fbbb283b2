/**
 * What a network has learned of some digits serves for others of which it sees a few: a new head on it, all its layers, or low-rank adapters, beside a
 * network from scratch.
 *
 *   npx tsx examples/transfer.ts                digits that the program draws: 0 to 4 first, then 5 to 9
 *   npx tsx examples/transfer.ts --data DIR     MNIST's IDX files
 *   npx tsx examples/transfer.ts --shots 20     labelled images of each new digit; --help lists the options
 *
 * Yosinski et al., 2014, How transferable are features in deep neural networks?; Hu et al., 2021, LoRA: low-rank adaptation of large language models.
 */
import { parseArgs } from 'node:util';

import { compile, data, io, manualSeed, nn, noGrad, optim, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       MNIST's IDX files; without it, digits are drawn
  --images N       images of the first digits (10000)
  --epochs N       passes over them (3)
  --shots N        labelled images of each new digit (5)
  --steps N        on the new digits (100)
  --draws N        how often other images are drawn, over which is averaged (3)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    images: { type: 'string', default: '10000' },
    epochs: { type: 'string', default: '3' },
    shots: { type: 'string', default: '5' },
    steps: { type: 'string', default: '100' },
    draws: { type: 'string', default: '3' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

class DigitNet extends nn.Module {
  readonly features = new nn.Sequential(
    ...[1, 16, 32].flatMap((channels) => [
      new nn.Conv2d(channels, channels === 1 ? 16 : 2 * channels, 3, { padding: 1, bias: false }),
      new nn.BatchNorm2d(channels === 1 ? 16 : 2 * channels),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
    ]),
    new nn.Flatten(),
  );
  readonly head = new nn.Linear(64 * 3 * 3, 5);

  forward(images: AnyTensor): AnyTensor {
    return this.head.forward(this.features.forward(images));
  }
}

interface Digits {
  /** [n, 1, 28, 28], from −0.5 to 0.5. */
  readonly images: AnyTensor;
  /** [n], from 0 to 4. */
  readonly labels: Int32Array;
}

/** The images of the five digits from `first` on, at most `limit`. */
function digitsFrom(first: number, { images, labels, count, height, width }: io.DigitSplit, limit = count): Digits {
  const places = Int32Array.from(labels.keys())
    .filter((i) => labels[i]! >= first && labels[i]! < first + 5)
    .slice(0, limit);
  const all: AnyTensor = tensor(images).reshape([count, 1, height, width]);
  return {
    images: all.indexSelect(0, tensor(places)).cast('float32').div(255).sub(0.5),
    labels: Int32Array.from(places, (i) => labels[i]! - first),
  };
}

async function accuracyOf(model: DigitNet, { images, labels }: Digits): Promise<number> {
  model.eval();
  const accuracy = new train.Accuracy();
  const set = new data.TensorDataset(images, tensor(labels));
  for await (const [some, targets] of new data.DataLoader(set, { batchSize: 500 })) {
    noGrad(() => scope(() => accuracy.update(model.forward(some), targets)));
  }
  return accuracy.compute();
}

/** A training step of `optimizer` over the digits, compiled. */
const stepOf = (model: DigitNet, optimizer: optim.Optimizer) =>
  compile((images: AnyTensor, labels: AnyTensor) => {
    optimizer.zeroGrad();
    nn.functional.crossEntropy(model.forward(images), labels).backward();
    optimizer.step();
  });

/** How a network that has learned other digits is made to learn new ones: in each case by what is trained, and how fast. */
const ways: Readonly<Record<string, (model: DigitNet) => optim.Optimizer>> = {
  'from scratch': (model) => {
    model.train();
    return new optim.AdamW(model.parameters(), { lr: 1e-3 });
  },
  'a new head': (model) => {
    model.features.requiresGrad_(false);
    return new optim.AdamW(model.head.parameters(), { lr: 1e-3 });
  },
  'all layers': (model) =>
    new optim.AdamW([
      { parameters: model.features.parameters(), lr: 1e-4 },
      { parameters: model.head.parameters(), lr: 1e-3 },
    ]),
  adapters: (model) => {
    const adapters = nn.lora(model.features, { rank: 4 });
    return new optim.AdamW([...adapters.parameters(), ...model.head.parameters()], { lr: 1e-3 });
  },
};

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [shots, steps, draws, seed] = [values.shots, values.steps, values.draws, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  manualSeed(seed);
  const splits =
    values.data === undefined
      ? { train: data.renderDigits(20000, { seed: 1 }), test: data.renderDigits(4000, { seed: 2 }) }
      : await io.readMnist(values.data);
  const first = digitsFrom(0, splits.train, Number(values.images));
  const [second, test] = [digitsFrom(5, splits.train), digitsFrom(5, splits.test)];

  const learned = new DigitNet();
  const step = stepOf(learned, new optim.AdamW(learned.parameters(), { lr: 2e-3 }));
  const set = new data.TensorDataset(first.images, tensor(first.labels));
  const loader = new data.DataLoader(set, { batchSize: 64, shuffle: true, seed, dropLast: true });
  for (let epoch = 0; epoch < Number(values.epochs); epoch++) {
    for await (const [images, labels] of loader) step(images, labels);
  }
  console.log(`0 to 4: ${(100 * (await accuracyOf(learned, digitsFrom(0, splits.test)))).toFixed(1)} % test accuracy`);

  const random = new data.Random(seed);
  const sums = new Map(Object.keys(ways).map((way) => [way, 0]));
  for (let draw = 0; draw < draws; draw++) {
    const order = random.permutation(second.labels.length);
    const places = [0, 1, 2, 3, 4].flatMap((digit) =>
      [...order].filter((i) => second.labels[i] === digit).slice(0, shots),
    );
    const images: AnyTensor = second.images.indexSelect(0, tensor(Int32Array.from(places)));
    const labels = tensor(Int32Array.from(places, (i) => second.labels[i]!));
    for (const [way, optimizerOf] of Object.entries(ways)) {
      const model = new DigitNet();
      if (way !== 'from scratch') model.features.loadStateDict(learned.features.stateDict());
      // Statistics of so few images say less than those that were learned.
      model.eval();
      const learn = stepOf(model, optimizerOf(model));
      for (let i = 0; i < steps; i++) learn(images, labels);
      sums.set(way, sums.get(way)! + (await accuracyOf(model, test)));
    }
  }
  for (const [way, sum] of sums) {
    console.log(`5 to 9 of ${5 * shots} images, ${way}: ${((100 * sum) / draws).toFixed(1)} % test accuracy`);
  }
}

void main();
