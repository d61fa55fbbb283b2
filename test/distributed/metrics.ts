// What is measured in the tests of metrics over several processes: each metric, and a run of the Trainer, of whose samples every process has a share of
// another size, one of them none. Started alone it is the reference.
import { join } from 'node:path';

import { distributed, manualSeed, nn, optim, rand, randint, randn, train, type AnyTensor } from '../../lib/index';

const samples = 23;
/** Where the shares of three processes begin and end. */
const bounds = [0, 14, 14, samples] as const;
const classes = 3;
const batch = 4;

/** Of each kind predictions and targets. */
type Inputs = Readonly<Record<string, readonly [unknown[] | AnyTensor, unknown[] | AnyTensor]>>;

function inputs(): Inputs {
  manualSeed(5);
  const letters = (text: string): string[] => [...text];
  const texts = Array.from({ length: samples }, (_, i) => (0.1234567 * (i + 1) ** 2).toFixed(6));
  const others = texts.map((text, i) => text.slice(i % 3) + '17');
  const scores = randn([samples, classes]).softmax(-1) as AnyTensor;
  return {
    classes: [scores, randint(0, classes, [samples], { dtype: 'int64' }) as AnyTensor],
    // Far from zero, where sums of squares would cancel.
    numbers: [randn([samples]).add(1000) as AnyTensor, randn([samples]).add(1000) as AnyTensor],
    images: [rand([samples, 2, 7, 8]) as AnyTensor, rand([samples, 2, 7, 8]) as AnyTensor],
    tokens: [others.map(letters), texts.map((text) => [letters(text)])],
    strings: [others.map((text) => text.replaceAll('1', ' ')), texts.map((text) => text.replaceAll('1', ' '))],
  };
}

/** The confidences, sorted: a metric of a user's own, whose state is lists, objects and strings around tensors. */
export class Confidences implements train.Metric<[AnyTensor, AnyTensor], number[]> {
  #found: { readonly kind: string; readonly best: AnyTensor }[] = [];

  update(predictions: AnyTensor): void {
    this.#found.push({ kind: 'max', best: predictions.max(-1) as AnyTensor });
  }
  async compute(): Promise<number[]> {
    const best = await Promise.all(this.#found.map(async (each) => Array.from(await each.best.data(), Number)));
    if (this.#found.some(({ kind }) => kind !== 'max')) return [];
    return best.flat().sort((a, b) => a - b);
  }
  reset(): void {
    this.#found.length = 0;
  }
  stateDict(): train.MetricState {
    return { found: this.#found };
  }
  loadStateDict(state: train.MetricState): void {
    this.reset();
    this.merge(state);
  }
  merge(state: train.MetricState): void {
    this.#found.push(...(state['found'] as []));
  }
}

type Any = any;

/** Every metric of `train`, by what it is fed with. */
export const metrics = (): Readonly<Record<string, Readonly<Record<string, train.Metric<Any>>>>> => ({
  classes: {
    Accuracy: new train.Accuracy(),
    Auroc: new train.Auroc({ classes }),
    AveragePrecision: new train.AveragePrecision({ classes }),
    CohenKappa: new train.CohenKappa(classes, { weights: 'linear' }),
    ConfusionMatrix: new train.ConfusionMatrix(classes),
    F1Score: new train.F1Score(classes),
    JaccardIndex: new train.JaccardIndex(classes),
    MatthewsCorrCoef: new train.MatthewsCorrCoef(classes),
    Perplexity: new train.Perplexity(),
    Precision: new train.Precision(classes, { average: 'none' }),
    Recall: new train.Recall(classes, { average: 'weighted' }),
    Specificity: new train.Specificity(classes),
    TopKAccuracy: new train.TopKAccuracy(2),
    Confidences: new Confidences(),
  },
  numbers: {
    ExplainedVariance: new train.ExplainedVariance(),
    MeanAbsoluteError: new train.MeanAbsoluteError(),
    MeanAbsolutePercentageError: new train.MeanAbsolutePercentageError(),
    MeanSquaredError: new train.MeanSquaredError({ root: true }),
    PeakSignalNoiseRatio: new train.PeakSignalNoiseRatio(1),
    PearsonCorrelation: new train.PearsonCorrelation(),
    R2Score: new train.R2Score(),
  },
  images: { StructuralSimilarity: new train.StructuralSimilarity(1) },
  tokens: { Bleu: new train.Bleu(), Rouge: new train.Rouge() },
  strings: { CharErrorRate: new train.CharErrorRate(), WordErrorRate: new train.WordErrorRate() },
  losses: { Mean: new train.Mean() },
});

/** The samples of a process, in batches. */
function shares<T>(values: T): T[] {
  const [rank, world] = [distributed.rank(), distributed.worldSize()];
  const [from, to] = world === 1 ? [0, samples] : [bounds[rank]!, bounds[rank + 1]!];
  const cut = (start: number, end: number): unknown =>
    Array.isArray(values) ? values.slice(start, end) : (values as unknown as AnyTensor).narrow(0, start, end - start);
  const starts = Array.from({ length: Math.ceil((to - from) / batch) }, (_, i) => from + i * batch);
  return starts.map((start) => cut(start, Math.min(start + batch, to)) as T);
}

/** The value of each metric over all samples. */
export async function measured(): Promise<Record<string, unknown>> {
  const all = inputs();
  const values: Record<string, unknown> = {};
  for (const [kind, some] of Object.entries(metrics())) {
    for (const metric of Object.values(some)) {
      if (kind === 'losses') for (const loss of shares(all['numbers']![0])) metric.update(loss, 2);
      else {
        const [first, second] = all[kind]!.map((each) => shares(each)) as [unknown[], unknown[]];
        first.forEach((x, i) => metric.update(x, second[i]!));
      }
    }
    await train.mergeMetrics(some);
    for (const [name, metric] of Object.entries(some)) values[name] = await metric.compute();
  }
  return values;
}

/** What a run logs, once through and once with a stop in the middle of what is logged, and what an evaluation gives. */
export async function trained(folder: string): Promise<Record<string, unknown>> {
  const [rank, world] = [distributed.rank(), distributed.worldSize()];
  const [scores, targets] = inputs()['classes'] as [AnyTensor, AnyTensor];
  const logged: object[] = [];
  const logger: train.Logger = {
    scalars: (step, values) =>
      void logged.push({ step, f1: values['f1'], auroc: values['auroc'], valF1: values['valF1'] }),
    confusion: (step, name, matrix) => void logged.push({ step, name, matrix }),
  };
  const make = () => {
    manualSeed(0);
    const model = new distributed.DistributedDataParallel(new nn.Linear(classes, classes));
    return new train.Trainer({
      model,
      optimizer: new optim.SGD(model.parameters(), { lr: 0 }), // the same predictions whoever has the samples
      step: ([x, y]: AnyTensor[]) => {
        const predictions = model.forward(x as never) as AnyTensor;
        return { loss: nn.functional.crossEntropy(predictions, y as never) as AnyTensor, predictions, targets: y! };
      },
      metrics: () => ({
        f1: new train.F1Score(classes),
        auroc: new train.Auroc({ classes }),
        confusion: new train.ConfusionMatrix(classes),
      }),
      loggers: [logger],
      logEvery: 2,
    });
  };
  // Of each batch, which has six samples, rank r has r + 1.
  const rows = (x: AnyTensor): AnyTensor[] =>
    [0, 6, 12].map(
      (start) =>
        (world === 1 ? x.narrow(0, start, 6) : x.narrow(0, start + (rank * (rank + 1)) / 2, rank + 1)) as AnyTensor,
    );
  const batches = rows(scores).map((x, i) => [x, rows(targets)[i]!]);
  const validation = shares(scores).map((x, i) => [x, shares(targets)[i]!]);
  await make().fit(batches, { epochs: 1, maxSteps: 2, validation });
  const through = logged.splice(0);
  const stopped = make();
  await stopped.fit(batches, { maxSteps: 1 });
  await stopped.save(join(folder, `stopped-${world}`));
  const resumed = make();
  await resumed.load(join(folder, `stopped-${world}`));
  await resumed.fit(batches, { maxSteps: 2, validation });
  return { through, resumed: logged, evaluated: await resumed.evaluate(validation) };
}
