/**
 * Trains a deep belief network on handwritten digits: layers that learn by themselves how digits look, one after the other, and only then what they mean.
 *
 *   npx tsx examples/dbn.ts                     digits that the library renders itself
 *   npx tsx examples/dbn.ts --data DIR          MNIST's IDX files
 *   npx tsx examples/dbn.ts --labels 500        with few labels; compare --epochs 0, which learns from them alone; --help lists the options
 *
 * Hinton, Osindero and Teh, 2006, A fast learning algorithm for deep belief nets.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { bernoulli, cat, compile, data, io, manualSeed, nn, noGrad, optim, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with MNIST's IDX files; without it, digits are rendered
  --out DIR        where the model and the pictures go (out/dbn)
  --hidden N,N,…   units of each hidden layer (500,500)
  --epochs N       passes over the training images for each layer (5)
  --tune N         passes over the labelled images to fine-tune all layers (5)
  --labels N       labelled training images; all unless given
  --batch N        images per step (100)
  --lr RATE        of contrastive divergence (0.02)
  --train N        rendered training images (20000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'out/dbn' },
    hidden: { type: 'string', default: '500,500' },
    epochs: { type: 'string', default: '5' },
    tune: { type: 'string', default: '5' },
    labels: { type: 'string', default: 'Infinity' },
    batch: { type: 'string', default: '100' },
    lr: { type: 'string', default: '0.02' },
    train: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

const PIXELS = 28 * 28;

/** A restricted Boltzmann machine: binary units in two layers, and connections from each unit of one to each of the other. */
class RBM extends nn.Module {
  readonly up: nn.Linear;
  readonly bias: nn.Parameter;

  constructor(visible: number, hidden: number) {
    super();
    this.up = new nn.Linear(visible, hidden);
    nn.init.normal_(this.up.weight, 0, 0.01);
    nn.init.zeros_(this.up.bias!);
    this.bias = new nn.Parameter(tensor(new Float32Array(visible)));
  }

  /** How probable each hidden unit is, [n, hidden], given visible ones [n, visible]. */
  forward(visible: AnyTensor): AnyTensor {
    return this.up.forward(visible).sigmoid();
  }

  /** How probable each visible unit is, [n, visible], given hidden ones [n, hidden]. */
  backwards(hidden: AnyTensor): AnyTensor {
    return hidden.matmul(this.up.weight).add(this.bias).sigmoid() as AnyTensor;
  }

  /** A step of Gibbs sampling: zeros and ones drawn for all hidden units, and from them for all visible ones. */
  gibbs(visible: AnyTensor): AnyTensor {
    return bernoulli(this.backwards(bernoulli(this.forward(visible))));
  }

  /** −log of the sum of exp(−energy) over all hidden states, the mean of visible ones [n, visible]. */
  freeEnergy(visible: AnyTensor): AnyTensor {
    const hidden = nn.functional.softplus(this.up.forward(visible)).sum(1) as AnyTensor;
    return (visible.matmul(this.bias) as AnyTensor).add(hidden).mean().neg();
  }

  /** Lowers the energy of what is seen and raises that of what the machine makes of it: the gradient is contrastive divergence's. */
  divergence(visible: AnyTensor): AnyTensor {
    const dreamt = noGrad(() => this.gibbs(visible));
    return this.freeEnergy(visible).sub(this.freeEnergy(dreamt));
  }
}

/** Writes images [n, pixels] of 0 to 1 into one picture, twenty to a row. */
async function writePicture(file: string, images: AnyTensor): Promise<void> {
  const rows = images
    .reshape([-1, 20, 28, 28])
    .transpose(1, 2)
    .reshape([-1, 20 * 28]);
  const pixels = (await rows.clamp(0, 1).mul(255).cast('uint8').data()) as Uint8Array;
  writeFileSync(file, train.encodePng(pixels, 20 * 28, rows.shape[0]!));
}

/** Bytes to grey values from 0 to 1, [n, pixels]. */
const grey = (images: AnyTensor): AnyTensor => images.cast('float32').div(255);

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, tune, batchSize, seed] = [values.epochs, values.tune, values.batch, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  manualSeed(seed);
  const splits =
    values.data === undefined
      ? { train: data.renderDigits(Number(values.train), { seed: 1 }), test: data.renderDigits(2000, { seed: 2 }) }
      : await io.readMnist(values.data);
  const tensorsOf = ({ images, labels, count }: io.DigitSplit): [images: AnyTensor, labels: AnyTensor] => [
    tensor(images).reshape([count, PIXELS]),
    tensor(Int32Array.from(labels)),
  ];
  const trainSet = new data.TensorDataset(...tensorsOf(splits.train));
  const labelled = new data.Subset(trainSet, [...Array(Math.min(trainSet.length, Number(values.labels))).keys()]);
  const [testImages, testLabels] = tensorsOf(splits.test);
  const loaderOf = (set: data.Dataset<[AnyTensor, AnyTensor]>) =>
    new data.DataLoader(set, { batchSize, shuffle: true, seed });
  const [all, some] = [loaderOf(trainSet), loaderOf(labelled)];

  const sizes = [PIXELS, ...values.hidden.split(',').map(Number)];
  const machines = sizes.slice(1).map((size, i) => new RBM(sizes[i]!, size));
  /** What the layers below the given one make of images: what that one sees. */
  const seenBy = (layer: number, images: AnyTensor): AnyTensor =>
    noGrad(() => machines.slice(0, layer).reduce((x, machine) => machine.forward(x), grey(images)));

  for (const [layer, machine] of machines.entries()) {
    const optimizer = new optim.SGD(machine.parameters(), { lr: Number(values.lr), momentum: 0.9, weightDecay: 2e-4 });
    const step = compile((images: AnyTensor) => {
      optimizer.zeroGrad();
      machine.divergence(bernoulli(seenBy(layer, images))).backward();
      optimizer.step();
    });
    for (let epoch = 0; epoch < epochs; epoch++) for await (const [images] of all) step(images);
    const error = noGrad(() => {
      const seen = seenBy(layer, testImages);
      return nn.functional.mseLoss(machine.backwards(machine.forward(seen)), seen);
    });
    console.log(`Layer ${layer + 1}: reconstruction error ${(await error.item()).toFixed(4)}`);
  }

  mkdirSync(values.out, { recursive: true });
  // Weights of a hundred units, grey where they are 0.
  const filters = machines[0]!.up.weight.detach().slice(0, 0, 100);
  await writePicture(join(values.out, 'filters.png'), filters.div(filters.std().mul(6)).add(0.5));
  // Chains of the last machine, begun at test images: each row of the picture is 100 steps further.
  const top = machines.length - 1;
  let chains = seenBy(top, testImages.slice(0, 0, 20));
  const rows: AnyTensor[] = [];
  for (let row = 0; row < 8; row++) {
    rows.push(noGrad(() => machines.slice(0, top).reduceRight((x, machine) => machine.backwards(x), chains)));
    for (let i = 0; i < 100; i++) chains = noGrad(() => scope(() => machines[top]!.gibbs(chains)));
  }
  await writePicture(join(values.out, 'samples.png'), cat(rows, 0));

  const classifier = new nn.Sequential(
    ...machines.flatMap(({ up }) => [up, new nn.Sigmoid()]),
    new nn.Linear(sizes.at(-1)!, 10),
  );
  const optimizer = new optim.Adam(classifier.parameters(), { lr: 0.001 });
  const step = compile((images: AnyTensor, labels: AnyTensor) => {
    optimizer.zeroGrad();
    nn.functional.crossEntropy(classifier.forward(grey(images)), labels).backward();
    optimizer.step();
  });
  for (let epoch = 0; epoch < tune; epoch++) for await (const [images, labels] of some) step(images!, labels!);
  const accuracy = new train.Accuracy();
  accuracy.update(
    noGrad(() => classifier.forward(grey(testImages))),
    testLabels,
  );
  await io.writeSafetensors(join(values.out, 'model.safetensors'), classifier.stateDict());
  console.log(`Test accuracy ${(100 * (await accuracy.compute())).toFixed(2)} %, with ${labelled.length} labels`);
  console.log(`Model and pictures: ${values.out}`);
}

void main();
