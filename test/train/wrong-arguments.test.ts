// Everything of `train`, called with wrong arguments: a HadalError or a result, and the process goes on.
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { autocast, nn, ones, optim, rand, randint, randn, Tensor, train, type AnyTensor } from '../../lib/index';
import { attempt, attemptLater, replaced, wrongTensors, wrongValues } from '../wrong-arguments';

type Any = any;
type Call = (...args: Any[]) => unknown;

const folder = mkdtempSync(join(tmpdir(), 'hadal-wrong-'));
const before = process.cwd();
const file = (name: string): string => join(folder, name);
beforeAll(async () => {
  process.chdir(folder); // a wrong path is one in here
  await train.saveCheckpoint(file('checkpoint'), { a: 1 });
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const batches = [[randn([4, 3]).keep(), randn([4, 2]).keep()]] as const;
const model = (): nn.Linear => new nn.Linear(3, 2);

function trainerOptions(): Record<string, unknown> {
  const net = model();
  const optimizer = new optim.SGD(net.parameters(), { lr: 0.1 });
  return {
    model: net,
    optimizer,
    step: (batch: unknown) => {
      const [x, y] = (Array.isArray(batch) ? batch : []) as AnyTensor[] as [AnyTensor, AnyTensor];
      const predictions = net.forward(x);
      return { loss: nn.functional.mseLoss(predictions, y), predictions, targets: y };
    },
    metrics: () => ({ error: new train.MeanSquaredError() }),
    schedule: new optim.StepLR(optimizer, { stepSize: 1 }),
    scheduleEvery: 'step',
    scheduleMonitor: undefined,
    scaler: undefined,
    autocast: (f: () => unknown) => autocast('bfloat16', f),
    accumulate: 1,
    clipValue: 1,
    clipNorm: 1,
    average: undefined,
    callbacks: [new train.EarlyStopping()],
    loggers: [new train.ConsoleLogger(() => {})],
    logEvery: 1,
    allowNaN: true,
  };
}
const fitOptions = { epochs: 1, maxSteps: 1, validation: batches, validateEvery: 1 };
const trainer = (options = trainerOptions()): train.Trainer<Any> => new train.Trainer(options as never);

async function everyWrong(args: readonly unknown[], call: (given: Any[]) => unknown): Promise<void> {
  const failures: string[] = [];
  await call([...args]);
  await attemptLater(failures, 'no arguments', () => call([]));
  for (const [what, given] of replaced(args, () => wrongValues)) await attemptLater(failures, what, () => call(given));
  expect(failures).toEqual([]);
  await call([...args]);
}

describe('Trainer', () => {
  test('made with wrong options', () =>
    everyWrong([trainerOptions()], ([options]) => trainer(options as never).fit(batches, fitOptions)));
  test('a step function that answers nonsense', () =>
    everyWrong([{ loss: ones([]), predictions: ones([2]), targets: ones([2]) }], ([answer]) =>
      trainer({ ...trainerOptions(), step: () => answer as unknown, autocast: undefined, callbacks: [] })
        .fit(batches, { maxSteps: 1 })
        .catch(unlessNoGraph),
    ));
  test('metrics that are none', () =>
    everyWrong([{ error: new train.MeanSquaredError() }], ([metrics]) =>
      trainer({ ...trainerOptions(), metrics: () => metrics as unknown, callbacks: [] }).fit(batches, { maxSteps: 1 }),
    ));
  test('fit', () =>
    everyWrong([batches, fitOptions], ([loader, options]) => trainer().fit(loader as never, options as never)));
  test('fit of wrong batches', () =>
    everyWrong([batches[0]], ([batch]) =>
      trainer({
        ...trainerOptions(),
        metrics: undefined,
        callbacks: [],
        step: (given: unknown) =>
          nn.functional.mseLoss(model().forward((given as AnyTensor[])?.[0] as never), ones([4, 2])),
      }).fit([batch], { maxSteps: 1 }),
    ));
  test('evaluate', () =>
    everyWrong([batches, { signal: undefined }], ([loader, options]) =>
      trainer().evaluate(loader as never, options as never),
    ));
  test('predict', () =>
    everyWrong([batches, (batch: unknown) => batch], async ([loader, f]) => {
      for await (const result of trainer().predict(loader as never, f as never)) void result;
    }));
  test('log', () => everyWrong([{ a: 1 }, 2], ([values, step]) => trainer().log(values as never, step as never)));
  test('save and load', async () => {
    await everyWrong([file('run')], ([path]) => trainer().save(path as never));
    await everyWrong([file('run')], ([path]) => trainer().load(path as never));
  });
  test('messages name what was called', async () => {
    const made = (options: object) => () => trainer({ ...trainerOptions(), ...options });
    expect(() => new train.Trainer(null as never)).toThrow('Trainer: options: got null, expected an object');
    expect(made({ model: 3 })).toThrow('Trainer: model: got number 3, expected a Module');
    expect(made({ optimizer: {} })).toThrow(
      'Trainer: optimizer: got an object, expected an object with step, zeroGrad, stateDict, loadStateDict',
    );
    expect(made({ step: undefined })).toThrow('Trainer: step: got undefined, expected a function');
    expect(made({ clipNorm: '1' })).toThrow('Trainer: clipNorm: got 1, expected a number of at least 0');
    await expect(trainer().fit(null as never, { epochs: 1 })).rejects.toThrow(
      'fit: loader: got null, expected something that can be iterated',
    );
    await expect(trainer().fit(batches, null as never)).rejects.toThrow('fit: options: got null, expected an object');
  });
});

/** A loss without a graph is refused, as it must be. */
function unlessNoGraph(error: Error): void {
  if (!error.message.startsWith('backward: nothing to differentiate')) throw error;
}

const run = {
  step: 1,
  epoch: 1,
  batch: 1,
  totalSteps: 2,
  finished: true,
  values: { valLoss: 1 },
  model: model(),
  save: (path: string) => writeFile(path, ''),
  stop: () => {},
};
const classified = [rand([4, 3]).keep(), randint(0, 3, [4], { dtype: 'int64' }).keep()];
const numbers = [rand([4]).keep(), rand([4]).keep()];
const pictures = [rand([1, 2, 6, 7]).keep(), rand([1, 2, 6, 7]).keep()];
const transcripts = [['a b'], ['a c']];
const metric = (Class: new (...args: Any[]) => unknown, args: unknown[], inputs: unknown[] = classified) =>
  [
    (...given: Any[]) => new Class(...given),
    args,
    async (made: train.Metric, given: Any[] = inputs) => {
      made.update(...(given as never[]));
      await made.compute();
      made.loadStateDict(made.stateDict());
    },
    inputs,
  ] as const;
type Row = readonly [call: Call, args: unknown[], use?: (made: Any) => unknown, inputs?: unknown[]];
const logs = async (logger: train.Logger): Promise<void> => {
  await logger.scalars(1, { a: 1 });
  await logger.resume?.(0);
};
const stream = { write: () => {} };
const picture = { pixels: new Uint8Array(4), width: 2, height: 2 };
const report = {
  title: 'T',
  history: [{ step: 1, loss: 1 }],
  confusion: [
    [1, 0],
    [0, 1],
  ],
  classNames: ['a', 'b'],
  samples: [{ ...picture, label: 0, prediction: 1, confidence: 0.5 }],
  pictures: [{ ...picture, name: 'p', step: 1 }],
  texts: [{ name: 't', step: 1, text: 'x' }],
  facts: { a: 'b' },
};

const cases: Record<string, Row> = {
  Accuracy: metric(train.Accuracy, [{ ignoreIndex: 0, threshold: 0.5 }]),
  Auroc: metric(train.Auroc, [{ classes: 3 }]),
  AveragePrecision: metric(train.AveragePrecision, [{ classes: 3 }]),
  Bleu: metric(train.Bleu, [{ maxOrder: 2, smooth: true }], [[['a', 'b']], [[['a', 'b']]]]),
  CharErrorRate: metric(train.CharErrorRate, [], transcripts),
  CohenKappa: metric(train.CohenKappa, [3, { weights: 'linear', ignoreIndex: 0, threshold: 0.5 }]),
  ConfusionMatrix: metric(train.ConfusionMatrix, [3, { ignoreIndex: 0, threshold: 0.5 }]),
  ExplainedVariance: metric(train.ExplainedVariance, [{ outputs: 1 }], numbers),
  F1Score: metric(train.F1Score, [3, { average: 'micro', ignoreIndex: 0, threshold: 0.5 }]),
  JaccardIndex: metric(train.JaccardIndex, [3, { average: 'macro', ignoreIndex: 0, threshold: 0.5 }]),
  MatthewsCorrCoef: metric(train.MatthewsCorrCoef, [3, { ignoreIndex: 0, threshold: 0.5 }]),
  Mean: metric(train.Mean, [], [ones([]), 2]),
  MeanAbsoluteError: metric(train.MeanAbsoluteError, [], numbers),
  MeanAbsolutePercentageError: metric(train.MeanAbsolutePercentageError, [], numbers),
  MeanSquaredError: metric(train.MeanSquaredError, [{ root: true }], numbers),
  PeakSignalNoiseRatio: metric(train.PeakSignalNoiseRatio, [1], numbers),
  PearsonCorrelation: metric(train.PearsonCorrelation, [], numbers),
  Perplexity: metric(train.Perplexity, [{ ignoreIndex: 0 }]),
  Precision: metric(train.Precision, [3, { average: 'none', ignoreIndex: 0, threshold: 0.5 }]),
  R2Score: metric(train.R2Score, [{ outputs: 1 }], numbers),
  Recall: metric(train.Recall, [3, { average: 'macro', ignoreIndex: 0, threshold: 0.5 }]),
  Rouge: metric(train.Rouge, [2], [[['a', 'b']], [[['a', 'b']]]]),
  Specificity: metric(train.Specificity, [3, { average: 'macro', ignoreIndex: 0, threshold: 0.5 }]),
  StructuralSimilarity: metric(train.StructuralSimilarity, [1], pictures),
  TopKAccuracy: metric(train.TopKAccuracy, [2, { ignoreIndex: 0 }]),
  WordErrorRate: metric(train.WordErrorRate, [], transcripts),
  CheckpointFolder: [
    (...args) => new train.CheckpointFolder(...(args as [Any, Any])),
    [file('kept'), { keepLast: 2 }],
    (kept: train.CheckpointFolder) => kept.latest(),
  ],
  Checkpoints: [
    (...args) => new train.Checkpoints(...(args as [Any, Any])),
    [file('saved'), { everySteps: 1, keepLast: 2, resume: true, monitor: 'valLoss', mode: 'min', onSave: () => {} }],
    async (saved: train.Checkpoints) => {
      saved.onValidationEnd(run as never, run.values);
      await saved.onStepEnd(run as never);
    },
  ],
  ConsoleLogger: [(print) => new train.ConsoleLogger(print as never), [() => {}], logs],
  CsvLogger: [(path) => new train.CsvLogger(path as string), [file('a.csv')], logs],
  EarlyStopping: [
    (options) => new train.EarlyStopping(options as object),
    [{ monitor: 'valLoss', mode: 'min', patience: 2, minDelta: 0, restoreBest: true }],
    (stopping: train.EarlyStopping) => stopping.onValidationEnd(run as never, run.values),
  ],
  JsonLinesLogger: [(path) => new train.JsonLinesLogger(path as string), [file('a.jsonl')], logs],
  Progress: [
    (options) => new train.Progress(options as object),
    [{ stream, plainInterval: 1, now: () => 1 }],
    (progress: train.Progress) => {
      progress.onStepEnd(run as never);
      progress.onFitEnd(run as never);
    },
  ],
  ProgressBar: [
    (options) => new train.ProgressBar(options as never),
    [{ total: 2, done: 0, unit: 'steps', stream, plainInterval: 1, now: () => 1 }],
    (progress: train.ProgressBar) => {
      progress.update(1, { a: 1 });
      progress.stop();
    },
  ],
  RunPage: [
    (options) => new train.RunPage(options as never),
    [{ title: 'T', report: file('page.html'), classNames: ['a'], facts: { a: 'b' } }],
    async (page: train.RunPage) => {
      await logs(page);
      await page.flush();
    },
  ],
  TensorBoardLogger: [(path) => new train.TensorBoardLogger(path as string), [file('board')], logs],
  buildReport: [train.buildReport, [report]],
  encodePng: [train.encodePng, [picture.pixels, 2, 2]],
  formatDuration: [train.formatDuration, [1000]],
  mergeMetrics: [train.mergeMetrics, [{ accuracy: new train.Accuracy() }]],
  loadCheckpoint: [train.loadCheckpoint, [file('checkpoint'), {}, { device: 'cpu', random: false }]],
  modeOf: [train.modeOf, ['accuracy']],
  profile: [train.profile, [() => ones([2]), { device: 'cpu', peaks: false }]],
  region: [train.region, ['name', () => 1]],
  saveCheckpoint: [train.saveCheckpoint, [file('made'), { a: 1 }, { signal: undefined }]],
  writeReport: [train.writeReport, [file('report.html'), report]],
};

test('everything is among the cases', () => {
  expect(Object.keys(train).filter((name) => !(name in cases) && !['Profile', 'Trainer'].includes(name))).toEqual([]);
});

test.each(Object.entries(cases))('%s', async (_, [call, args, use = (result) => result as unknown]) => {
  await everyWrong(args, async (given) => use(await call(...given)));
});

test.each(Object.entries(cases).filter(([, row]) => row[3] !== undefined))(
  '%s of wrong batches',
  (_, [call, args, , inputs]) => {
    const failures: string[] = [];
    for (const [what, given] of replaced(inputs!, (value) =>
      value instanceof Tensor ? [...wrongTensors(value as AnyTensor), ...wrongValues] : wrongValues,
    )) {
      attempt(failures, what, () => (call(...args) as train.Metric).update(...(given as never[])));
    }
    expect(failures).toEqual([]);
  },
);
