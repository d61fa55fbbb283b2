/**
 * Trains a diffusion model on handwritten digits and draws new ones: a small U-Net learns to tell noise and image apart.
 *
 *   npx tsx examples/ddpm.ts                    digits that the library renders itself
 *   npx tsx examples/ddpm.ts --data DIR         MNIST's IDX files
 *   npx tsx examples/ddpm.ts --judge            asks a classifier how sure it is of the new digits; --help lists the options
 *
 * Ho, Jain and Abbeel, 2020, Denoising diffusion probabilistic models; the cosine of Nichol and Dhariwal, 2021; velocities as in Salimans and Ho, 2022; fewer
 * steps of sampling as in Song, Meng and Ermon, 2021.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import {
  autocast,
  cat,
  compile,
  data,
  io,
  manualSeed,
  models,
  nn,
  noGrad,
  optim,
  pixelShuffle,
  pixelUnshuffle,
  randint,
  randn,
  randnLike,
  scope,
  tensor,
  train,
} from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with MNIST's IDX files; without it, digits are rendered
  --out DIR        where the model and the samples go (out/ddpm)
  --weights FILE   a saved model to go on from
  --minutes T      how long to train; wins over --steps
  --steps N        training steps (4000)
  --batch N        images per step (64)
  --lr RATE        the highest learning rate (0.002)
  --width N        channels of the network's first level (32)
  --samples N      digits to draw (64)
  --sampling N     steps from noise to digit, at most 1000 (200)
  --judge          trains a LeNet on the same digits and prints how sure it is of the new ones
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'out/ddpm' },
    weights: { type: 'string' },
    minutes: { type: 'string' },
    steps: { type: 'string', default: '4000' },
    batch: { type: 'string', default: '64' },
    lr: { type: 'string', default: '0.002' },
    width: { type: 'string', default: '32' },
    samples: { type: 'string', default: '64' },
    sampling: { type: 'string', default: '200' },
    judge: { type: 'boolean', default: false },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

/** How many degrees of noise there are; ᾱ[t] is the share of the image's variance that is left at t, the square of a cosine. */
const T = 1000;
const alphaBar = Float32Array.from({ length: T }, (_, t) =>
  Math.max(1e-5, Math.cos((((t + 1) / T + 0.008) / 1.008) * (Math.PI / 2)) ** 2),
);

/** Two normalised convolutions around which the input passes, told the time in between. */
class Block extends nn.Module {
  readonly norm1: nn.GroupNorm;
  readonly conv1: nn.Conv2d;
  readonly time: nn.Linear;
  readonly norm2: nn.GroupNorm;
  readonly conv2: nn.Conv2d;
  readonly skip: nn.Conv2d | undefined;

  constructor(channels: number, width: number, timeSize: number) {
    super();
    this.norm1 = new nn.GroupNorm(8, channels);
    this.conv1 = new nn.Conv2d(channels, width, 3, { padding: 1 });
    this.time = new nn.Linear(timeSize, width);
    this.norm2 = new nn.GroupNorm(8, width);
    this.conv2 = new nn.Conv2d(width, width, 3, { padding: 1 });
    // A block starts as its shortcut alone.
    nn.init.zeros_(this.conv2.weight);
    if (channels !== width) this.skip = new nn.Conv2d(channels, width, 1);
  }

  forward(x: AnyTensor, time: AnyTensor): AnyTensor {
    const y = this.conv1.forward(this.norm1.forward(x).silu()).add(this.time.forward(time).unsqueeze(-1).unsqueeze(-1));
    return this.conv2.forward(this.norm2.forward(y).silu()).add(this.skip?.forward(x) ?? x);
  }
}

/** Noisy images √ᾱ·x + √(1−ᾱ)·ε [n, 1, 28, 28] and times [n] to their velocities √ᾱ·ε − √(1−ᾱ)·x: 14 × 14 places of four pixels, 7 × 7 below, and back. */
class UNet extends nn.Module {
  readonly time: nn.Sequential;
  readonly first: nn.Conv2d;
  readonly above: Block;
  readonly down: nn.Conv2d;
  readonly below: readonly Block[];
  readonly up: nn.ConvTranspose2d;
  readonly joined: Block;
  readonly last: nn.Sequential;

  constructor(width: number) {
    super();
    const timeSize = 2 * width;
    // Sines and cosines of the time at many frequencies, then two layers.
    const table = Float32Array.from({ length: T * width }, (_, i) => {
      const [t, k] = [Math.floor(i / width), i % width];
      const angle = t * 10_000 ** -((k >> 1) / (width >> 1));
      return k % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    const sines = new nn.Embedding(T, width);
    sines.loadStateDict({ weight: tensor(table).reshape([T, width]) });
    sines.requiresGrad_(false);
    this.time = new nn.Sequential(
      sines,
      new nn.Linear(width, timeSize),
      new nn.SiLU(),
      new nn.Linear(timeSize, timeSize),
      new nn.SiLU(),
    );
    this.first = new nn.Conv2d(4, width, 3, { padding: 1 });
    this.above = new Block(width, width, timeSize);
    this.down = new nn.Conv2d(width, 2 * width, 3, { stride: 2, padding: 1 });
    this.below = [new Block(2 * width, 2 * width, timeSize), new Block(2 * width, 2 * width, timeSize)];
    this.up = new nn.ConvTranspose2d(2 * width, width, 2, { stride: 2 });
    this.joined = new Block(2 * width, width, timeSize);
    this.last = new nn.Sequential(
      new nn.GroupNorm(8, width),
      new nn.SiLU(),
      new nn.Conv2d(width, 4, 3, { padding: 1 }),
    );
  }

  forward(images: AnyTensor, times: AnyTensor): AnyTensor {
    const time = this.time.forward(times);
    const above = this.above.forward(this.first.forward(pixelUnshuffle(images, 2)), time);
    const below = this.below.reduce((x, block) => block.forward(x, time), this.down.forward(above));
    const y = this.joined.forward(cat([this.up.forward(below), above], 1), time);
    return pixelShuffle(this.last.forward(y), 2);
  }
}

/** Bytes to numbers from −1 to 1. */
const scaled = (pixels: AnyTensor): AnyTensor => pixels.cast('float32').div(127.5).sub(1);

/** The squared error of the velocities that the network sees at random times. */
function lossOf(model: UNet, images: AnyTensor): AnyTensor {
  const times = randint(0, T, [images.shape[0]!], { dtype: 'int32' }) as AnyTensor;
  const left: AnyTensor = tensor(alphaBar)
    .indexSelect(0, times as never)
    .reshape([-1, 1, 1, 1]);
  const noise = randnLike(images) as AnyTensor;
  const [share, rest] = [left.sqrt(), left.neg().add(1).sqrt()];
  const noisy = images.mul(share).add(noise.mul(rest));
  return nn.functional.mseLoss(model.forward(noisy, times), noise.mul(share).sub(images.mul(rest)));
}

/** New images [count, 1, 28, 28]: from noise through `steps` of the T times, each drawn from what the network says of the one before. */
function sample(model: UNet, count: number, steps: number): AnyTensor {
  return noGrad(() => {
    let x: AnyTensor = randn([count, 1, 28, 28]);
    for (let i = steps; i > 0; i--) {
      const [t, next] = [i, i - 1].map((part) => Math.round((part * T) / steps) - 1) as [number, number];
      const [now, then] = [alphaBar[t]!, next < 0 ? 1 : alphaBar[next]!];
      const deviation = Math.sqrt(((1 - then) / (1 - now)) * (1 - now / then));
      x = scope(() => {
        const velocity = model.forward(x, tensor(new Int32Array(count).fill(t)));
        const clean: AnyTensor = x
          .mul(Math.sqrt(now))
          .sub(velocity.mul(Math.sqrt(1 - now)))
          .clamp(-1, 1);
        // What the noise is if the image is `clean`.
        const direction = x.sub(clean.mul(Math.sqrt(now))).div(Math.sqrt(1 - now));
        const mean = clean.mul(Math.sqrt(then)).add(direction.mul(Math.sqrt(Math.max(0, 1 - then - deviation ** 2))));
        return mean.add((randnLike(x) as AnyTensor).mul(deviation));
      });
    }
    return x;
  });
}

/** Trains a classifier on digits, and answers its probabilities for others. */
async function classify(split: io.DigitSplit, others: AnyTensor): Promise<{ digits: number[]; confidence: number }> {
  const model = new models.LeNet5();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.002 });
  const set = new data.TensorDataset(imagesOf(split), tensor(Int32Array.from(split.labels)));
  const loader = new data.DataLoader(set, { batchSize: 100, shuffle: true });
  for (let epoch = 0; epoch < Math.ceil(120_000 / split.count); epoch++) {
    for await (const [x, y] of loader) {
      optimizer.zeroGrad();
      scope(() => nn.functional.crossEntropy(model.forward(scaled(x)), y).backward());
      optimizer.step();
    }
  }
  const probabilities: AnyTensor = noGrad(() => model.forward(others).softmax(1));
  const digits = Array.from(await probabilities.argmax(1).data(), Number);
  return { digits, confidence: await (probabilities.max(1) as AnyTensor).mean().item() };
}

/** Digits as bytes [n, 1, 28, 28]. */
const imagesOf = ({ images, count }: io.DigitSplit): AnyTensor => tensor(images).reshape([count, 1, 28, 28]);

/** Writes images of −1 to 1 into one picture, eight to a row. */
async function writePicture(file: string, images: AnyTensor): Promise<void> {
  const [count, , h, w] = images.shape as [number, number, number, number];
  const pixels = await images.add(1).mul(127.5).clamp(0, 255).data();
  const [columns, rows] = [8, Math.ceil(count / 8)];
  const picture = new Uint8Array(columns * w * rows * h);
  for (let i = 0; i < pixels.length; i++) {
    const [image, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    picture[(Math.floor(image / columns) * h + y) * columns * w + (image % columns) * w + x] = Number(pixels[i]);
  }
  writeFileSync(file, train.encodePng(picture, columns * w, rows * h));
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [steps, batchSize, seed] = [Number(values.steps), Number(values.batch), Number(values.seed)];
  const peak = Number(values.lr);
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  manualSeed(seed);
  const digits =
    values.data === undefined ? data.renderDigits(20_000, { seed }) : (await io.readMnist(values.data)).train;

  const model = new UNet(Number(values.width));
  if (values.weights !== undefined) model.loadStateDict(await io.readSafetensors(values.weights));
  const parameters = model.parameters();
  const optimizer = new optim.AdamW(parameters, { lr: peak, weightDecay: 0.01 });
  const average = new optim.AveragedModel(model, { decay: 0.995, warmUp: true }); // draws better
  const trainStep = compile((images: AnyTensor) => {
    optimizer.zeroGrad();
    const loss = autocast('bfloat16', () => lossOf(model, scaled(images)));
    loss.backward();
    optim.clipGradNorm(parameters, 1);
    optimizer.step();
    return loss;
  });
  const set = new data.TensorDataset(imagesOf(digits));
  const loader = new data.DataLoader(set, { batchSize, shuffle: true, seed, dropLast: true });
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  console.log(`${digits.count.toLocaleString('en')} digits, ${count.toLocaleString('en')} parameters`);

  const start = performance.now();
  /** How much of the run is over, 0 to 1. */
  const elapsed = (step: number): number =>
    minutes === undefined ? step / steps : (performance.now() - start) / (minutes * 60_000);
  using progress = new train.ProgressBar({ total: 1000, unit: '‰' });
  let mean = NaN;
  for (let step = 0, done = 0; done < 1;) {
    for await (const [images] of loader) {
      optimizer.groups[0]!.lr = peak * Math.min((step + 1) / 200, 0.02 + 0.49 * (1 + Math.cos(Math.PI * done)));
      const loss = trainStep(images);
      average.update();
      done = elapsed(++step);
      if (step % 20 === 0) {
        const value = await loss.item();
        mean = Number.isNaN(mean) ? value : 0.9 * mean + 0.1 * value;
        progress.update(Math.round(1000 * done), { step, loss: mean.toFixed(4) });
      }
      if (done >= 1) break;
    }
  }
  progress.stop();
  console.log(`Loss ${mean.toFixed(4)} after ${((performance.now() - start) / 60_000).toFixed(1)} minutes`);

  average.swap();
  mkdirSync(values.out, { recursive: true });
  await io.writeSafetensors(join(values.out, 'model.safetensors'), model.stateDict());
  const drawn = sample(model, Number(values.samples), Number(values.sampling));
  await writePicture(join(values.out, 'samples.png'), drawn);
  console.log(`Model:   ${join(values.out, 'model.safetensors')}\nSamples: ${join(values.out, 'samples.png')}`);
  if (values.judge) {
    const { digits: seen, confidence } = await classify(digits, drawn);
    const counts = Array.from({ length: 10 }, (_, digit) => seen.filter((other) => other === digit).length);
    console.log(
      `A classifier is ${(100 * confidence).toFixed(1)} % sure of the samples; it sees ${counts.join(', ')} of 0 to 9`,
    );
  }
}

void main();
