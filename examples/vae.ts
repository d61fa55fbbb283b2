/**
 * Trains a variational autoencoder on handwritten digits, and draws new ones from its latent space.
 *
 *   npx tsx examples/vae.ts                     digits that the library renders itself
 *   npx tsx examples/vae.ts --data DIR          MNIST's IDX files
 *   npx tsx examples/vae.ts --latent 2          with two latent numbers also a map of what lies where; --help lists the options
 *
 * Kingma and Welling, 2014, Auto-encoding variational Bayes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { cat, data, distributions, io, manualSeed, nn, noGrad, optim, randn, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with MNIST's IDX files; without it, digits are rendered
  --out DIR        where the model and the pictures go (out/vae)
  --epochs N       passes over the training images (10)
  --batch N        images per step (128)
  --lr RATE        (0.001)
  --hidden N       width of the layers between image and latent numbers (400)
  --latent N       latent numbers (20)
  --train N        rendered training images (20000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'out/vae' },
    epochs: { type: 'string', default: '10' },
    batch: { type: 'string', default: '128' },
    lr: { type: 'string', default: '0.001' },
    hidden: { type: 'string', default: '400' },
    latent: { type: 'string', default: '20' },
    train: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

const PIXELS = 28 * 28;

class VAE extends nn.Module {
  readonly encoder: nn.Sequential;
  readonly decoder: nn.Sequential;

  constructor(
    hidden: number,
    readonly latent: number,
  ) {
    super();
    this.encoder = new nn.Sequential(new nn.Linear(PIXELS, hidden), new nn.ReLU(), new nn.Linear(hidden, 2 * latent));
    this.decoder = new nn.Sequential(new nn.Linear(latent, hidden), new nn.ReLU(), new nn.Linear(hidden, PIXELS));
  }

  /** Images [n, pixels] to the distribution of their latent numbers [n, latent]. */
  encode(x: AnyTensor): distributions.Normal {
    const [mean, logVariance] = this.encoder.forward(x).split(this.latent, 1) as [AnyTensor, AnyTensor];
    return new distributions.Normal(mean, logVariance.div(2).exp());
  }

  /** The negative evidence lower bound in nats per image: what the pixels cost, and what the latent numbers cost beyond the prior. */
  forward(x: AnyTensor): { pixels: AnyTensor; divergence: AnyTensor } {
    const posterior = this.encode(x);
    const pixels = nn.functional.bceWithLogits(this.decoder.forward(posterior.rsample()), x, { reduction: 'sum' });
    const divergence = distributions.klDivergence(posterior, new distributions.Normal(0, 1)).sum();
    return { pixels: pixels.div(x.shape[0]!), divergence: divergence.div(x.shape[0]!) };
  }
}

/** Bytes to grey values from 0 to 1, [n, pixels]. */
const grey = (images: AnyTensor): AnyTensor => images.cast('float32').div(255);

/** Writes images [n, pixels] of 0 to 1 into one picture. */
async function writePicture(file: string, images: AnyTensor, columns: number): Promise<void> {
  const rows = Math.ceil(images.shape[0]! / columns);
  const pixels = await images.mul(255).data();
  const picture = new Uint8Array(rows * columns * PIXELS);
  for (let i = 0; i < pixels.length; i++) {
    const [image, y, x] = [Math.floor(i / PIXELS), Math.floor(i / 28) % 28, i % 28];
    picture[(Math.floor(image / columns) * 28 + y) * columns * 28 + (image % columns) * 28 + x] = Number(pixels[i]);
  }
  writeFileSync(file, train.encodePng(picture, columns * 28, rows * 28));
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, latent, seed] = [values.epochs, values.batch, values.latent, values.seed].map(Number) as [
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
  const setOf = ({ images, count }: io.DigitSplit): data.TensorDataset<[AnyTensor]> =>
    new data.TensorDataset(tensor(images).reshape([count, PIXELS]));
  const [trainSet, testSet] = [setOf(splits.train), setOf(splits.test)];

  const model = new VAE(Number(values.hidden), latent);
  const optimizer = new optim.Adam(model.parameters(), { lr: Number(values.lr) });
  const loader = new data.DataLoader(trainSet, { batchSize, shuffle: true, seed, dropLast: true });
  console.log(model.toString());

  /** Mean over the test images. */
  async function evaluate(): Promise<{ pixels: number; divergence: number }> {
    const sum = { pixels: 0, divergence: 0 };
    for await (const [images] of new data.DataLoader(testSet, { batchSize: 500 })) {
      const cost = noGrad(() => scope(() => model.forward(grey(images))));
      const share = images.shape[0]! / testSet.length;
      sum.pixels += share * Number(await cost.pixels.item());
      sum.divergence += share * Number(await cost.divergence.item());
    }
    return sum;
  }

  const steps = epochs * loader.length;
  using progress = new train.ProgressBar({ total: steps * batchSize, unit: 'images' });
  let step = 0;
  let test = { pixels: NaN, divergence: NaN };
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for await (const [images] of loader) {
      optimizer.zeroGrad();
      const loss = scope(() => {
        const { pixels, divergence } = model.forward(grey(images));
        const bound = pixels.add(divergence);
        bound.backward();
        return bound.detach();
      });
      optimizer.step();
      if (++step % 20 === 0) progress.update(step * batchSize, { bound: (await loss.item()).toFixed(1) });
    }
    test = await evaluate();
    progress.log(`epoch ${epoch}: test bound ${(test.pixels + test.divergence).toFixed(2)} nats`);
  }
  progress.stop();
  console.log(
    `Test bound ${(test.pixels + test.divergence).toFixed(2)} nats per image: pixels ${test.pixels.toFixed(2)}, latent ${test.divergence.toFixed(2)}`,
  );

  mkdirSync(values.out, { recursive: true });
  await io.writeSafetensors(join(values.out, 'model.safetensors'), model.stateDict());
  const draw = (z: AnyTensor): AnyTensor => noGrad(() => scope(() => model.decoder.forward(z).sigmoid()));
  await writePicture(join(values.out, 'samples.png'), draw(randn([64, latent])), 8);
  const originals = grey((testSet.getBatch([...Array(32).keys()]) as [AnyTensor])[0]);
  const rebuilt = draw(noGrad(() => model.encode(originals).mean));
  await writePicture(join(values.out, 'rebuilt.png'), cat([originals, rebuilt], 0), 32);
  if (latent === 2) {
    const line = Array.from({ length: 20 }, (_, i) => -2.5 + (5 * i) / 19);
    await writePicture(join(values.out, 'map.png'), draw(tensor(line.flatMap((y) => line.map((x) => [x, y])))), 20);
  }
  console.log(`Model and pictures: ${values.out}`);
}

void main();
