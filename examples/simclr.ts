/**
 * Learns from images without labels: two views of the same image are to look alike to the network, those of different images not. Then a few labels do.
 *
 *   npx tsx examples/simclr.ts                  coloured digits that the library renders itself
 *   npx tsx examples/simclr.ts --data DIR       CIFAR-10's binary files
 *   npx tsx examples/simclr.ts --labels 100     with fewer labels; --help lists the options
 *
 * Chen et al., 2020, A simple framework for contrastive learning of visual representations.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import {
  arange,
  autocast,
  cat,
  compile,
  data,
  eye,
  io,
  manualSeed,
  nn,
  noGrad,
  optim,
  scope,
  tensor,
  train,
} from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with CIFAR-10's binary files, whose names begin with data_batch or train and with test; may be gzipped
  --out DIR        where the encoder goes (out/simclr)
  --epochs N       passes over the images without labels (30)
  --batch N        images per step, of which each is told from all others (256)
  --lr RATE        the highest learning rate of the first phase (0.002)
  --temperature T  how much the most similar ones count (0.2)
  --width N        channels of the encoder's first level (32)
  --labels N       labelled images of the second phase (500)
  --tune N         steps of the second phase (400)
  --train N        rendered training images (5000)
  --test N         rendered test images (1000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'out/simclr' },
    epochs: { type: 'string', default: '30' },
    batch: { type: 'string', default: '256' },
    lr: { type: 'string', default: '0.002' },
    temperature: { type: 'string', default: '0.2' },
    width: { type: 'string', default: '32' },
    labels: { type: 'string', default: '500' },
    tune: { type: 'string', default: '400' },
    train: { type: 'string', default: '5000' },
    test: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

/** Images as bytes [n, 3, 32, 32] and labels [n]. */
interface Split {
  readonly images: AnyTensor;
  readonly labels: AnyTensor;
}

const splitOf = ({ images, labels, count }: data.CifarImages): Split => ({
  images: tensor(images).reshape([count, 3, 32, 32]),
  labels: tensor(Int32Array.from(labels)),
});

/** All files of a folder whose names begin like that, joined. */
async function readSplit(folder: string, names: RegExp): Promise<Split> {
  const files = readdirSync(folder).filter((name) => names.test(name));
  if (files.length === 0) throw new Error(`${folder}: got no file ${names.source}, expected CIFAR-10's`);
  const parts = (await Promise.all(files.sort().map((name) => data.readCifar(join(folder, name))))).map(splitOf);
  return { images: cat(parts.map(({ images }) => images)), labels: cat(parts.map(({ labels }) => labels)) };
}

/** Digits in a colour of their own on paper of another. */
function colouredDigits(count: number, seed: number): Split {
  const { images, labels } = data.renderDigits(count, { seed });
  const random = new data.Random(seed);
  const colours = (low: number, high: number): AnyTensor =>
    tensor(Float32Array.from({ length: 3 * count }, () => random.between(low, high))).reshape([count, 3, 1, 1]);
  const [ink, paper] = [colours(0, 120), colours(135, 255)];
  const strength: AnyTensor = tensor(images).reshape([count, 1, 28, 28]).cast('float32').div(255);
  const margin = [2, 2] as const;
  return {
    images: paper.lerp(ink, strength.pad([margin, margin])).cast('uint8') as AnyTensor,
    labels: tensor(Int32Array.from(labels)),
  };
}

const conv = (channels: number, width: number, size: number, stride = 1): nn.Sequential =>
  new nn.Sequential(
    new nn.Conv2d(channels, width, size, { stride, padding: size >> 1, bias: false }),
    new nn.BatchNorm2d(width),
  );

const block = (channels: number, width: number, stride: number): nn.Sequential =>
  new nn.Sequential(
    new nn.Residual(
      new nn.Sequential(conv(channels, width, 3, stride), new nn.ReLU(), conv(width, width, 3)),
      stride === 1 ? undefined : conv(channels, width, 1, stride),
    ),
    new nn.ReLU(),
  );

/** A ResNet with eight layers: images [n, 3, 32, 32] to features [n, 4 · width]. */
const encoderOf = (width: number): nn.Sequential =>
  new nn.Sequential(
    conv(3, width, 3, 2),
    new nn.ReLU(),
    block(width, width, 1),
    block(width, 2 * width, 2),
    block(2 * width, 4 * width, 2),
    new nn.AdaptiveAvgPool2d(1),
    new nn.Flatten(),
  );

const { augment } = data;
const toFloat = augment.toFloat();
const normalize = augment.normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25]);
const prepare = (images: AnyTensor, random: data.Random): AnyTensor => normalize(toFloat(images, random), random);

/** What makes another view of an image, with its own numbers as input. A digit's mirror image is none, and small parts of different digits are alike. */
const viewsOf = (isDigits: boolean): data.augment.Augmentation =>
  augment.compose(
    toFloat,
    augment.randomResizedCrop(32, { scale: isDigits ? [0.5, 1] : [0.2, 1] }),
    augment.horizontalFlip(isDigits ? 0 : 0.5),
    augment.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: isDigits ? 0.5 : 0.1 }),
    augment.randomGrayscale(0.2),
    normalize,
  );

/** The normalised temperature-scaled cross entropy of projections [2n, size], of which i and n + i are views of the same image. */
function contrastiveLoss(projections: AnyTensor, temperature: number): AnyTensor {
  const z: AnyTensor = nn.functional.normalize(projections);
  const count = z.shape[0]!;
  const self = eye(count, count, { dtype: 'bool' });
  const similarities = z.matmul(z.transpose()).div(temperature).maskedFill(self, -Infinity) as AnyTensor;
  const others: AnyTensor = arange(count, { dtype: 'int32' }).roll(count / 2);
  return nn.functional.crossEntropy(similarities, others);
}

/** What an encoder makes of images, as it stands, [n, features]. */
async function featuresOf(encoder: nn.Sequential, images: AnyTensor): Promise<AnyTensor> {
  encoder.eval();
  const random = new data.Random(0);
  const parts: AnyTensor[] = [];
  for await (const [x] of new data.DataLoader(new data.TensorDataset(images), { batchSize: 250 }))
    parts.push(noGrad(() => scope(() => encoder.forward(prepare(x, random)))));
  encoder.train();
  return cat(parts);
}

const accuracyOf = async (scores: AnyTensor, labels: AnyTensor): Promise<number> =>
  100 * Number(await scores.argmax(1).equalTo(labels).cast('float32').mean().item());

/** The test accuracy of one linear layer upon the encoder's features, trained with all labels; the encoder stays as it is. */
async function probe(encoder: nn.Sequential, trainSplit: Split, testSplit: Split): Promise<number> {
  const features = await featuresOf(encoder, trainSplit.images);
  const [mean, deviation] = [features.mean(0), features.std(0).add(1e-5)];
  const standardized = (x: AnyTensor): AnyTensor => x.sub(mean).div(deviation);
  const layer = new nn.Linear(features.shape[1]!, 10);
  const optimizer = new optim.AdamW(layer.parameters(), { lr: 0.01, weightDecay: 0.01 });
  const step = compile((x: AnyTensor, y: AnyTensor) => {
    optimizer.zeroGrad();
    nn.functional.crossEntropy(layer.forward(x), y).backward();
    optimizer.step();
  });
  const inputs = standardized(features);
  for (let i = 0; i < 300; i++) step(inputs, trainSplit.labels);
  const testFeatures = standardized(await featuresOf(encoder, testSplit.images));
  return accuracyOf(
    noGrad(() => layer.forward(testFeatures)),
    testSplit.labels,
  );
}

/** The test accuracy after training an encoder, and a linear layer upon it, with some labels. */
async function tune(encoder: nn.Sequential, some: Split, testSplit: Split, isDigits: boolean): Promise<number> {
  const [steps, peak] = [Number(values.tune), 0.001];
  const layer = new nn.Linear(4 * Number(values.width), 10);
  const classifier = new nn.Sequential(encoder, layer);
  const optimizer = new optim.AdamW(classifier.parameters(), { lr: peak, weightDecay: 0.05 });
  const step = compile((x: AnyTensor, y: AnyTensor) => {
    optimizer.zeroGrad();
    nn.functional.crossEntropy(classifier.forward(x), y).backward();
    optimizer.step();
  });
  const random = new data.Random(Number(values.seed));
  const crop = augment.randomCrop({ padding: 4 });
  const change = augment.compose(isDigits ? crop : augment.compose(crop, augment.horizontalFlip()), prepare);
  const count = some.labels.size;
  for (let i = 0; i < steps; i++) {
    optimizer.groups[0]!.lr = (peak / 2) * (1 + Math.cos((Math.PI * i) / steps));
    const picked = tensor(Int32Array.from({ length: 64 }, () => random.integer(count)));
    step(change(some.images.indexSelect(0, picked), random), some.labels.indexSelect(0, picked));
  }
  const testFeatures = await featuresOf(encoder, testSplit.images);
  return accuracyOf(
    noGrad(() => layer.forward(testFeatures)),
    testSplit.labels,
  );
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, width, seed] = [values.epochs, values.batch, values.width, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const [peak, temperature] = [Number(values.lr), Number(values.temperature)];
  manualSeed(seed);
  const isDigits = values.data === undefined;
  const [trainSplit, testSplit] =
    values.data === undefined
      ? [colouredDigits(Number(values.train), 1), colouredDigits(Number(values.test), 2)]
      : await Promise.all([readSplit(values.data, /^(data_batch|train)/), readSplit(values.data, /^test/)]);
  const some = {
    images: trainSplit.images.slice(0, 0, Number(values.labels)),
    labels: trainSplit.labels.slice(0, 0, Number(values.labels)),
  };

  const [encoder, untrained] = [encoderOf(width), encoderOf(width)];
  const features = 4 * width;
  const head = new nn.Sequential(new nn.Linear(features, features), new nn.ReLU(), new nn.Linear(features, 64));
  const model = new nn.Sequential(encoder, head);
  const optimizer = new optim.AdamW(model.parameters(), { lr: peak, weightDecay: 0.01 });
  const step = compile((both: AnyTensor) => {
    optimizer.zeroGrad();
    const loss = autocast('bfloat16', () => contrastiveLoss(model.forward(both), temperature));
    loss.backward();
    optimizer.step();
    return loss;
  });

  const set = new data.TensorDataset(trainSplit.images);
  const loader = new data.DataLoader(set, { batchSize, shuffle: true, seed, dropLast: true });
  console.log(`${set.length} images without labels, ${some.labels.size} with; ${testSplit.labels.size} test images`);
  const views = viewsOf(isDigits);
  const random = new data.Random(seed);
  const steps = epochs * loader.length;
  using progress = new train.ProgressBar({ total: steps * batchSize, unit: 'images' });
  let done = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let loss: AnyTensor | undefined;
    for await (const [images] of loader) {
      optimizer.groups[0]!.lr =
        peak * Math.min((done + 1) / (0.05 * steps), 0.5 * (1 + Math.cos((Math.PI * done) / steps)));
      loss = step(views(cat([images, images]), random));
      progress.update(++done * batchSize, { epoch: `${epoch}/${epochs}` });
    }
    progress.log(`epoch ${epoch}: loss ${(await loss!.item()).toFixed(3)}`);
  }
  progress.stop();
  mkdirSync(values.out, { recursive: true });
  await io.writeSafetensors(join(values.out, 'encoder.safetensors'), encoder.stateDict());
  console.log(`Encoder: ${join(values.out, 'encoder.safetensors')}`);

  // What an encoder's start is worth: its norms have seen images, its weights have not.
  await optim.updateBatchNorm(untrained, loader, ([images]) => untrained.forward(prepare(images!, random)));
  const probes = [encoder, untrained].map((other) => probe(other, trainSplit, testSplit));
  const [learned, start] = (await Promise.all(probes)).map((share) => share.toFixed(1));
  console.log(`Linear probe: test accuracy ${learned} %, with an untrained encoder ${start} %`);
  const tuned = [encoder, untrained].map((other) => tune(other, some, testSplit, isDigits));
  const [transferred, scratch] = (await Promise.all(tuned)).map((share) => share.toFixed(1));
  console.log(`${some.labels.size} labels: test accuracy ${transferred} % fine-tuned, from scratch ${scratch} %`);
}

void main();
