/**
 * Trains a small convolutional network on handwritten digits and shows the result: test accuracy, a saved model and report.html.
 *
 *   npm start                          digits that the library renders itself
 *   npm start -- --data DIR            MNIST's IDX files
 *   npm start -- --epochs 10 --seed 1  and so on; --help lists the options
 */
import { mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { data, getNumThreads, io, manualSeed, nn, noGrad, optim, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with MNIST's IDX files; without it, digits are rendered
  --out DIR        where the model and the report go (out/digits)
  --epochs N       passes over the training images (6)
  --batch N        images per step (128)
  --lr RATE        the highest learning rate (0.004)
  --train N        rendered training images (30000)
  --test N         rendered test images (5000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'out/digits' },
    epochs: { type: 'string', default: '6' },
    batch: { type: 'string', default: '128' },
    lr: { type: 'string', default: '0.004' },
    train: { type: 'string', default: '30000' },
    test: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

/** LeNet's plan with today's parts. */
class DigitNet extends nn.Module {
  readonly features = new nn.Sequential(
    new nn.Conv2d(1, 16, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(16),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(16, 32, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(32),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
  );
  readonly classifier = new nn.Sequential(
    new nn.Flatten(),
    new nn.Dropout(0.25),
    new nn.Linear(32 * 7 * 7, 128),
    new nn.ReLU(),
    new nn.Linear(128, 10),
  );

  forward(images: AnyTensor): AnyTensor {
    return this.classifier.forward(this.features.forward(images));
  }
}

/** Bytes to numbers of mean 0 and deviation 1, about. */
const normalized = (pixels: AnyTensor): AnyTensor =>
  pixels
    .cast('float32')
    .mul(1 / 255)
    .sub(0.1307)
    .div(0.3081);

/** A split as images [n, 1, h, w] of bytes and labels [n]. */
function datasetOf({ images, labels, count, height, width }: io.DigitSplit) {
  return new data.TensorDataset(tensor(images).reshape([count, 1, height, width]), tensor(Int32Array.from(labels)));
}

/** Probabilities of the classes for all images of a set, row after row, and the mean loss. */
async function evaluate(model: DigitNet, set: ReturnType<typeof datasetOf>) {
  model.eval();
  const probabilities = new Float32Array(set.length * 10);
  let loss = 0;
  let done = 0;
  for await (const [images, labels] of new data.DataLoader(set, { batchSize: 500 })) {
    const [rows, total] = noGrad(() =>
      scope(() => {
        const logits = model.forward(normalized(images));
        return [logits.softmax(1), nn.functional.crossEntropy(logits, labels, { reduction: 'sum' })] as const;
      }),
    );
    probabilities.set(await rows.data(), done * 10);
    loss += await total.item();
    done += labels.size;
  }
  model.train();
  return { probabilities, loss: loss / set.length };
}

/** The most probable class of row `i`. */
function best(probabilities: Float32Array, i: number): number {
  const row = probabilities.subarray(i * 10, i * 10 + 10);
  return row.indexOf(Math.max(...row));
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, seed] = [Number(values.epochs), Number(values.batch), Number(values.seed)];
  const peak = Number(values.lr);
  manualSeed(seed);
  console.log(values.data === undefined ? 'Rendering digits …' : `Reading ${values.data} …`);
  const splits =
    values.data === undefined
      ? {
          train: data.renderDigits(Number(values.train), { seed: 2 * seed + 1 }),
          test: data.renderDigits(Number(values.test), { seed: 2 * seed + 2 }),
        }
      : await io.readMnist(values.data);
  const [trainSet, testSet] = [datasetOf(splits.train), datasetOf(splits.test)];

  const model = new DigitNet();
  const parameters = model.parameters();
  const optimizer = new optim.AdamW(parameters, { lr: peak, weightDecay: 0.05 });
  const loader = new data.DataLoader(trainSet, { batchSize, shuffle: true, seed, dropLast: true });
  const shift = data.augment.randomCrop({ padding: 2 });
  const random = new data.Random(seed);
  const steps = epochs * loader.length;
  const count = parameters.reduce((sum, parameter) => sum + parameter.size, 0);
  console.log(
    `Training ${count.toLocaleString('en')} parameters on ${trainSet.length.toLocaleString('en')} images, ${getNumThreads()} threads`,
  );

  const history: train.HistoryPoint[] = [];
  const start = performance.now();
  let step = 0;
  let accuracy = 0;
  let result = { probabilities: new Float32Array(), loss: NaN };
  using progress = new train.ProgressBar({ total: steps * batchSize, unit: 'images' });
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for await (const [images, labels] of loader) {
      // Warm up over a tenth of the run, then fall along a cosine.
      const done = step / steps;
      optimizer.groups[0]!.lr =
        peak * (done < 0.1 ? (done + 0.01) / 0.11 : 0.5 * (1 + Math.cos((Math.PI * (done - 0.1)) / 0.9)));
      optimizer.zeroGrad();
      const last = scope(() => {
        const logits = model.forward(normalized(shift(images, random)));
        const loss = nn.functional.crossEntropy(logits, labels);
        loss.backward();
        return [loss.detach(), logits.detach().argmax(1).equalTo(labels).cast('float32').mean()];
      });
      optimizer.step();
      step++;
      if (step % 20 === 0 || step === steps) {
        const [loss, right] = (await Promise.all(last.map((value) => value.item()))) as [number, number];
        history.push({ step, epoch: step / loader.length, loss, accuracy: right });
        progress.update(step * batchSize, {
          epoch: `${epoch}/${epochs}`,
          loss: loss.toFixed(3),
          accuracy: `${(100 * right).toFixed(1)} %`,
        });
      }
    }
    result = await evaluate(model, testSet);
    const { labels } = splits.test;
    accuracy =
      labels.reduce((right, label, i) => right + Number(best(result.probabilities, i) === label), 0) / testSet.length;
    history.push({ step, epoch, valLoss: result.loss, valAccuracy: accuracy });
    progress.log(`epoch ${epoch}: test loss ${result.loss.toFixed(4)}, test accuracy ${(100 * accuracy).toFixed(2)} %`);
  }
  progress.stop();
  const seconds = (performance.now() - start) / 1000;

  mkdirSync(values.out, { recursive: true });
  await io.writeSafetensors(join(values.out, 'model.safetensors'), model.stateDict());
  const confusion = Array.from({ length: 10 }, () => new Array<number>(10).fill(0));
  splits.test.labels.forEach((label, i) => confusion[label]![best(result.probabilities, i)]!++);
  const { images, labels, height, width } = splits.test;
  const samples = Array.from(labels, (label, i) => ({ i, label, prediction: best(result.probabilities, i) }))
    .sort((a, b) => Number(a.label === a.prediction) - Number(b.label === b.prediction) || a.i - b.i)
    .slice(0, 60)
    .map(({ i, label, prediction }) => ({
      pixels: images.subarray(i * height * width, (i + 1) * height * width),
      width,
      height,
      label,
      prediction,
      confidence: result.probabilities[i * 10 + prediction]!,
    }));
  await train.writeReport(join(values.out, 'report.html'), {
    title: values.data === undefined ? 'Rendered digits' : 'MNIST',
    history,
    confusion,
    classNames: [...'0123456789'],
    samples,
    facts: {
      'Training images': trainSet.length.toLocaleString('en'),
      'Test images': testSet.length.toLocaleString('en'),
      Parameters: count.toLocaleString('en'),
      'Training time': `${seconds.toFixed(1)} s`,
      Seed: String(seed),
      Processor: `${cpus()[0]?.model ?? 'unknown'}, ${getNumThreads()} threads`,
      Node: process.version,
    },
  });
  console.log(`Test accuracy ${(100 * accuracy).toFixed(2)} % after ${seconds.toFixed(1)} s`);
  console.log(`Model:  ${join(values.out, 'model.safetensors')}\nReport: ${join(values.out, 'report.html')}`);
}

void main();
