/**
 * Trains a generative adversarial network on handwritten digits: a network that draws digits, and one that tells them from real ones.
 *
 *   npx tsx examples/gan.ts                     digits that the library renders itself
 *   npx tsx examples/gan.ts --data DIR          MNIST's IDX files
 *   npx tsx examples/gan.ts --judge             asks a classifier what it sees in the new digits; --help lists the options
 *
 * Goodfellow et al., 2014, Generative adversarial nets, with the loss that does not saturate; networks and rates of Radford, Metz and Chintala, 2016,
 * Unsupervised representation learning with deep convolutional generative adversarial networks; the score of Salimans et al., 2016, Improved techniques for
 * training GANs.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { cat, compile, data, io, manualSeed, models, nn, noGrad, optim, randn, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with MNIST's IDX files; without it, digits are rendered
  --out DIR        where the generator and its samples go (out/gan)
  --epochs N       passes over the training images (5)
  --batch N        images per step (64)
  --lr RATE        of both networks (0.0005)
  --width N        channels of the layers next to the image; those further away have twice as many (32)
  --latent N       numbers that a digit is drawn from (64)
  --judge          trains a LeNet on the same digits and prints its inception score of the new ones
  --train N        rendered training images (20000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'out/gan' },
    epochs: { type: 'string', default: '5' },
    batch: { type: 'string', default: '64' },
    lr: { type: 'string', default: '0.0005' },
    width: { type: 'string', default: '32' },
    latent: { type: 'string', default: '64' },
    judge: { type: 'boolean', default: false },
    train: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

/** Latent numbers [n, latent] to images [n, 1, 28, 28] of −1 to 1. */
const generatorOf = (latent: number, width: number): nn.Sequential =>
  new nn.Sequential(
    new nn.Unflatten(1, [latent, 1, 1]),
    new nn.ConvTranspose2d(latent, 2 * width, 7, { bias: false }),
    new nn.BatchNorm2d(2 * width),
    new nn.ReLU(),
    new nn.ConvTranspose2d(2 * width, width, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(width),
    new nn.ReLU(),
    new nn.ConvTranspose2d(width, 1, 4, { stride: 2, padding: 1 }),
    new nn.Tanh(),
  );

/** Images to scores [n, 1]: high for real ones. */
const discriminatorOf = (width: number): nn.Sequential =>
  new nn.Sequential(
    new nn.Conv2d(1, width, 4, { stride: 2, padding: 1 }),
    new nn.LeakyReLU(0.2),
    new nn.Conv2d(width, 2 * width, 4, { stride: 2, padding: 1, bias: false }),
    new nn.BatchNorm2d(2 * width),
    new nn.LeakyReLU(0.2),
    new nn.Conv2d(2 * width, 1, 7),
    new nn.Flatten(),
  );

/** Normal weights of a fiftieth; factors of norms around 1. */
function initialize(model: nn.Module): void {
  for (const [, parameter] of model.namedParameters()) {
    if (parameter.rank === 4) nn.init.normal_(parameter, 0, 0.02);
  }
}

/** Digits as bytes [n, 1, 28, 28]. */
const imagesOf = ({ images, count }: io.DigitSplit): AnyTensor => tensor(images).reshape([count, 1, 28, 28]);

/** Bytes to numbers from −1 to 1. */
const scaled = (pixels: AnyTensor): AnyTensor => pixels.cast('float32').div(127.5).sub(1);

/** Trains a classifier on digits. */
async function classifierOf(split: io.DigitSplit): Promise<models.LeNet5> {
  const model = new models.LeNet5();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.003 });
  const step = compile((x: AnyTensor, y: AnyTensor) => {
    optimizer.zeroGrad();
    nn.functional.crossEntropy(model.forward(scaled(x)), y).backward();
    optimizer.step();
  });
  const set = new data.TensorDataset(imagesOf(split), tensor(Int32Array.from(split.labels)));
  const loader = new data.DataLoader(set, { batchSize: 100, shuffle: true });
  const epochs = Math.ceil(120_000 / split.count);
  for (let epoch = 0; epoch < epochs; epoch++) {
    optimizer.groups[0]!.lr = 0.003 * (1 - epoch / epochs);
    for await (const [x, y] of loader) step(x, y);
  }
  return model;
}

/** The inception score, from 1 to 10: high when a classifier is sure of each image, and finds as many of each class. */
async function inceptionScore(probabilities: AnyTensor): Promise<number> {
  const divergence = probabilities
    .xlogy(probabilities)
    .sub(probabilities.xlogy(probabilities.mean(0)))
    .sum(1);
  return Math.exp(Number(await divergence.mean().item()));
}

/** Writes images of −1 to 1 into one picture, ten to a row. */
async function writePicture(file: string, images: AnyTensor): Promise<void> {
  const rows = images
    .reshape([-1, 10, 28, 28])
    .transpose(1, 2)
    .reshape([-1, 10 * 28]);
  const pixels = (await rows.add(1).mul(127.5).cast('uint8').data()) as Uint8Array;
  writeFileSync(file, train.encodePng(pixels, 10 * 28, rows.shape[0]!));
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, latent, width, seed, lr] = [
    values.epochs,
    values.batch,
    values.latent,
    values.width,
    values.seed,
    values.lr,
  ].map(Number) as [number, number, number, number, number, number];
  manualSeed(seed);
  const splits =
    values.data === undefined
      ? { train: data.renderDigits(Number(values.train), { seed: 1 }), test: data.renderDigits(2000, { seed: 2 }) }
      : await io.readMnist(values.data);

  const [generator, discriminator] = [generatorOf(latent, width), discriminatorOf(width)];
  for (const model of [generator, discriminator]) initialize(model);
  const [generatorOptimizer, discriminatorOptimizer] = [generator, discriminator].map(
    (model) => new optim.Adam(model.parameters(), { lr, betas: [0.5, 0.999] }),
  ) as [optim.Adam, optim.Adam];
  const average = new optim.AveragedModel(generator, { decay: 0.999, warmUp: true, useBuffers: true }); // draws better

  /** A step of the one that tells drawn from real, then one of the one that draws: both losses are −ln of the probability of what they want. */
  const step = compile((bytes: AnyTensor) => {
    const real = scaled(bytes);
    const drawn = generator.forward(randn([batchSize, latent]));
    discriminatorOptimizer.zeroGrad();
    const [yes, no] = [discriminator.forward(real), discriminator.forward(drawn.detach())];
    const telling = nn.functional.softplus(yes.neg()).add(nn.functional.softplus(no)).mean().div(2) as AnyTensor;
    telling.backward();
    discriminatorOptimizer.step();

    generatorOptimizer.zeroGrad();
    const fooling = nn.functional.softplus(discriminator.forward(drawn).neg()).mean() as AnyTensor;
    fooling.backward();
    generatorOptimizer.step();
    return [telling, fooling] as const;
  });

  /** New images [count, 1, 28, 28]; the running statistics of the norms stand for those of a batch. */
  const draw = (z: AnyTensor): AnyTensor => {
    generator.eval();
    const images = noGrad(() => scope(() => generator.forward(z)));
    generator.train();
    return images;
  };
  const [some, many] = [randn([100, latent]), randn([2000, latent])];
  const before = draw(many);

  const set = new data.TensorDataset(imagesOf(splits.train));
  const loader = new data.DataLoader(set, { batchSize, shuffle: true, seed, dropLast: true });
  using progress = new train.ProgressBar({ total: epochs * loader.length * batchSize, unit: 'images' });
  let steps = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let losses: readonly AnyTensor[] = [];
    for await (const [images] of loader) {
      losses = step(images);
      average.update();
      if (++steps % 20 === 0) {
        const [telling, fooling] = await Promise.all(losses.map((loss) => loss.item()));
        progress.update(steps * batchSize, {
          telling: Number(telling).toFixed(3),
          fooling: Number(fooling).toFixed(3),
        });
      }
    }
    const [telling, fooling] = await Promise.all(losses.map((loss) => loss.item()));
    progress.log(`epoch ${epoch}: losses ${Number(telling).toFixed(3)} and ${Number(fooling).toFixed(3)}`);
  }
  progress.stop();
  average.swap();

  mkdirSync(values.out, { recursive: true });
  await io.writeSafetensors(join(values.out, 'generator.safetensors'), generator.stateDict());
  await writePicture(join(values.out, 'samples.png'), draw(some));
  // Between each two digits of a row the way from one to the other.
  const ends = some.reshape([10, 10, latent]).slice(1, 0, 2);
  const ways = Array.from({ length: 10 }, (_, i) => ends.select(1, 0).lerp(ends.select(1, 1), i / 9));
  await writePicture(join(values.out, 'ways.png'), draw(cat(ways, 1).reshape([100, latent])));
  console.log(`Generator and pictures: ${values.out}`);

  if (values.judge) {
    const classifier = await classifierOf(splits.train);
    const judge = (images: AnyTensor): AnyTensor => noGrad(() => scope(() => classifier.forward(images).softmax(1)));
    const probabilities = judge(draw(many));
    const scores = [probabilities, judge(scaled(imagesOf(splits.test))), judge(before)].map(inceptionScore);
    const [drawn, real, untrained] = (await Promise.all(scores)).map((score) => score.toFixed(2));
    const counts = await Promise.all(
      Array.from({ length: 10 }, (_, digit) => probabilities.argmax(1).equalTo(digit).sum().item()),
    );
    console.log(`Inception score ${drawn}; real digits ${real}, before training ${untrained}`);
    console.log(`A classifier sees ${counts.join(', ')} of 0 to 9`);
  }
}

void main();
