/**
 * Trains ResNet-20 on small colour images with the usual recipe: crops, flips, momentum and a cosine.
 *
 *   npx tsx examples/resnet20.ts                            coloured digits that the library renders itself
 *   npx tsx examples/resnet20.ts --data DIR                 CIFAR-10's binary files
 *   npx tsx examples/resnet20.ts --resume                   goes on with a run that was stopped
 *   npx tsx examples/resnet20.ts --weights FILE --epochs 0  tests published weights (.th or .safetensors); --help lists the options
 *
 * He et al., 2016, Deep residual learning for image recognition, section 4.2.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { data, io, manualSeed, models, nn, optim, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with CIFAR-10's binary files, whose names begin with data_batch or train and with test; may be gzipped
  --weights FILE   where to start from
  --out DIR        where the model, checkpoints, TensorBoard's events and the report go (out/resnet20)
  --resume         goes on from the last checkpoint in there
  --epochs N       passes over the training images (12)
  --batch N        images per step (128)
  --lr RATE        the highest learning rate (0.1)
  --train N        rendered training images (10000)
  --test N         rendered test images (2000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    weights: { type: 'string' },
    out: { type: 'string', default: 'out/resnet20' },
    resume: { type: 'boolean', default: false },
    epochs: { type: 'string', default: '12' },
    batch: { type: 'string', default: '128' },
    lr: { type: 'string', default: '0.1' },
    train: { type: 'string', default: '10000' },
    test: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

type Split = data.CifarImages;

/** All files of a folder whose names begin like that, joined. */
async function readSplit(folder: string, names: RegExp): Promise<Split> {
  const files = readdirSync(folder)
    .filter((name) => names.test(name))
    .sort();
  if (files.length === 0) throw new Error(`${folder}: got no file ${names.source}, expected CIFAR-10's`);
  const parts = await Promise.all(files.map((name) => data.readCifar(join(folder, name))));
  return {
    images: Buffer.concat(parts.map(({ images }) => images)),
    labels: Buffer.concat(parts.map(({ labels }) => labels)),
    count: parts.reduce((sum, { count }) => sum + count, 0),
  };
}

/** Digits in a colour of their own on paper of another, 32 × 32. */
function colouredDigits(count: number, seed: number): Split {
  const { images: grey, labels, height, width } = data.renderDigits(count, { seed });
  const random = new data.Random(seed);
  const images = new Uint8Array(count * 3 * 32 * 32);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const [ink, paper] = [random.between(0, 120), random.between(135, 255)];
      const plane = images.subarray((3 * i + channel) * 1024, (3 * i + channel + 1) * 1024).fill(paper);
      for (let p = 0; p < height * width; p++) {
        const [y, x] = [2 + Math.floor(p / width), 2 + (p % width)];
        plane[32 * y + x] = paper + ((ink - paper) * grey[i * height * width + p]!) / 255;
      }
    }
  }
  return { images, labels, count };
}

const datasetOf = ({ images, labels, count }: Split): data.TensorDataset<[AnyTensor, AnyTensor]> =>
  new data.TensorDataset(tensor(images).reshape([count, 3, 32, 32]), tensor(Int32Array.from(labels)));

/** As the published weights want it: by the means and deviations of ImageNet. */
const normalize = data.augment.compose(
  data.augment.toFloat(),
  data.augment.normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
);

/** Weights by name; those saved from a DataParallel have `module.` before each. */
async function readWeights(file: string): Promise<nn.StateDict> {
  const loaded = (await io.load(file)) as { state_dict?: nn.StateDict } & nn.StateDict;
  const entries = Object.entries(loaded.state_dict ?? loaded);
  return Object.fromEntries(entries.map(([name, value]) => [name.replace(/^module\./, ''), value]));
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, seed, peak] = [values.epochs, values.batch, values.seed, values.lr].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  manualSeed(seed);
  const [trainSet, testSet] = (
    values.data === undefined
      ? [colouredDigits(Number(values.train), 2 * seed + 1), colouredDigits(Number(values.test), 2 * seed + 2)]
      : await Promise.all([readSplit(values.data, /^(data_batch|train)/), readSplit(values.data, /^test/)])
  ).map(datasetOf) as [data.TensorDataset<[AnyTensor, AnyTensor]>, data.TensorDataset<[AnyTensor, AnyTensor]>];

  const model = new models.CifarResNet(20);
  // Files from before PyTorch 0.4 lack the counts of batches.
  if (values.weights !== undefined) model.loadStateDict(await readWeights(values.weights), { strict: false });
  const parameters = model.parameters();
  const optimizer = new optim.SGD(parameters, { lr: peak, momentum: 0.9, nesterov: true, weightDecay: 5e-4 });
  const loader = new data.DataLoader(trainSet, { batchSize, shuffle: true, seed, dropLast: true });
  const testLoader = new data.DataLoader(testSet, { batchSize: 250 });
  const crop = data.augment.randomCrop({ padding: 4 });
  // A digit's mirror image is none.
  const augment = values.data === undefined ? crop : data.augment.compose(crop, data.augment.horizontalFlip());
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  console.log(
    `${trainSet.length} training images, ${testSet.length} test images, ${count.toLocaleString('en')} parameters`,
  );

  const steps = Math.max(1, epochs) * loader.length;
  const checkpoints = join(values.out, 'checkpoints');
  if (!values.resume) rmSync(checkpoints, { recursive: true, force: true });
  const trainer = new train.Trainer({
    model,
    optimizer,
    step: ([images, targets]: [AnyTensor, AnyTensor]) => {
      // Drawn by the step's number: a run that goes on sees what it would have seen.
      const random = new data.Random(seed, trainer.step);
      const predictions = model.forward(normalize(model.training ? augment(images, random) : images, random));
      return { loss: nn.functional.crossEntropy(predictions, targets), predictions, targets };
    },
    metrics: () => ({ accuracy: new train.Accuracy() }),
    schedule: new optim.WarmupLR(optimizer, {
      warmupSteps: Math.ceil(0.1 * steps),
      totalSteps: steps,
      decay: 'cosine',
    }),
    callbacks: [new train.Progress(), new train.Checkpoints(checkpoints, { resume: values.resume })],
    loggers: [
      new train.TensorBoardLogger(join(values.out, 'events')),
      new train.RunPage({ title: 'ResNet-20', report: join(values.out, 'report.html') }),
    ],
    logEvery: 10,
  });
  const start = performance.now();
  if (epochs > 0) await trainer.fit(loader, { epochs, validation: testLoader });
  const { accuracy } = await trainer.evaluate(testLoader);
  console.log(
    `Test accuracy ${(100 * accuracy).toFixed(2)} % after ${((performance.now() - start) / 1000).toFixed(1)} s`,
  );
  mkdirSync(values.out, { recursive: true });
  await io.writeSafetensors(join(values.out, 'model.safetensors'), model.stateDict());
  console.log(`Model: ${join(values.out, 'model.safetensors')}`);
}

void main();
