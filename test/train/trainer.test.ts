// The loop: it does what a plain loop does, in the order it promises, and goes on from checkpoints bit by bit.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { autocast, data, manualSeed, nn, optim, scope, tensor, train, type AnyTensor } from '../../lib/index';

type Pair = [AnyTensor, AnyTensor];

const random = new data.Random(3);
const inputs = Array.from({ length: 60 }, () => Array.from({ length: 4 }, () => random.uniform() - 0.5));
const classOf = ([a, b, c]: readonly number[]): number => (a! + b! > c! ? 1 : 0);
const set = new data.TensorDataset(tensor(inputs) as AnyTensor, tensor(Int32Array.from(inputs, classOf)) as AnyTensor);
const loaderOf = (batchSize = 8): data.DataLoader<AnyTensor[], Pair> =>
  new data.DataLoader<AnyTensor[], Pair>(set, { batchSize, shuffle: true, seed: 5 });

const makeModel = (): nn.Sequential =>
  new nn.Sequential(new nn.Linear(4, 16), new nn.Tanh(), new nn.Dropout(0.2), new nn.Linear(16, 2));
const bits = (model: nn.Module): unknown => Object.values(model.stateDict()).map((x) => x.dataSync());

type Options = Partial<train.TrainerOptions<Pair, { accuracy: train.Accuracy }>>;
function setup(options: Options = {}) {
  manualSeed(11);
  const model = makeModel();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });
  const trainer = new train.Trainer({
    model,
    optimizer,
    step: ([x, targets]: Pair) => {
      const predictions = model.forward(x) as AnyTensor;
      return { loss: nn.functional.crossEntropy(predictions, targets as never) as AnyTensor, predictions, targets };
    },
    metrics: () => ({ accuracy: new train.Accuracy() }),
    ...options,
  });
  return { model, optimizer, trainer };
}

/** A logger that keeps what it gets. */
function recorder(): train.Logger & { readonly all: { step: number; values: train.Values }[] } {
  const all: { step: number; values: train.Values }[] = [];
  return { all, scalars: (step, values) => void all.push({ step, values }) };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hadal-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('fit', () => {
  test('does what a plain loop does', async () => {
    const { model, trainer } = setup({ clipNorm: 0.5, logEvery: 1, loggers: [] });
    await trainer.fit(loaderOf(), { epochs: 2 });
    manualSeed(11);
    const plain = makeModel();
    const optimizer = new optim.Adam(plain.parameters(), { lr: 0.02 });
    const loader = loaderOf();
    for (let epoch = 0; epoch < 2; epoch++) {
      for await (const [x, y] of loader) {
        optimizer.zeroGrad();
        scope(() => nn.functional.crossEntropy(plain.forward(x), y as never).backward());
        optim.clipGradNorm(plain.parameters(), 0.5);
        optimizer.step();
      }
    }
    expect(bits(model)).toEqual(bits(plain));
    expect([trainer.step, trainer.epoch, trainer.batch]).toEqual([16, 2, 0]);
  });

  test('learns, and measures training and validation', async () => {
    const logger = recorder();
    const { trainer } = setup({ loggers: [logger], logEvery: 8 });
    const values = await trainer.fit(loaderOf(), { epochs: 25, validation: loaderOf(20) });
    expect(values['valAccuracy']).toBeGreaterThan(0.9);
    expect(values['loss']).toBeLessThan(0.45);
    const steps = logger.all.map(
      ({ step, values }) => `${step} ${Object.keys(values).includes('valLoss') ? 'val' : 'train'}`,
    );
    expect(steps.slice(0, 4)).toEqual(['8 train', '8 val', '16 train', '16 val']);
    expect(logger.all[0]!.values).toEqual({
      epoch: 1,
      learningRate: 0.02,
      loss: expect.any(Number),
      accuracy: expect.any(Number),
      stepsPerSecond: expect.any(Number),
      samplesPerSecond: expect.any(Number),
      tensorBytes: expect.any(Number),
      processBytes: expect.any(Number),
    });
    expect(logger.all[1]!.values).toEqual({ epoch: 1, valLoss: expect.any(Number), valAccuracy: expect.any(Number) });
  });

  test('the logged loss is the mean since the last time', async () => {
    const losses = async (logEvery: number): Promise<number[]> => {
      const logger = recorder();
      const { trainer } = setup({ loggers: [logger], logEvery });
      await trainer.fit(loaderOf(), { maxSteps: 12 });
      return logger.all.map(({ values }) => values['loss']!);
    };
    const [each, means] = [await losses(1), await losses(4)];
    expect(each).toHaveLength(12);
    means.forEach((mean, i) => {
      expect(mean).toBeCloseTo(each.slice(4 * i, 4 * i + 4).reduce((sum, loss) => sum + loss, 0) / 4, 12);
    });
  });

  test('batches are gathered to steps, the rest of an epoch too', async () => {
    const seen: number[][] = [];
    const { trainer } = setup({
      accumulate: 3,
      callbacks: [{ onStepEnd: (run) => void seen.push([run.step, run.batch]) }],
    });
    await trainer.fit(loaderOf(), { epochs: 2 });
    expect(seen).toEqual([
      [1, 3],
      [2, 6],
      [3, 8],
      [4, 3],
      [5, 6],
      [6, 8],
    ]);
    // Three batches of one size make the step of one batch three times as large, but for the dropout.
    const linear = async (batchSize: number, accumulate: number): Promise<unknown> => {
      manualSeed(1);
      const model = new nn.Linear(4, 2);
      const optimizer = new optim.SGD(model.parameters(), { lr: 1 });
      const step = ([x, y]: Pair): AnyTensor => nn.functional.crossEntropy(model.forward(x), y as never) as AnyTensor;
      await new train.Trainer({ model, optimizer, step, accumulate }).fit(new data.DataLoader(set, { batchSize }), {
        maxSteps: 1,
      });
      return Array.from(model.weight.dataSync(), Number).map((value) => value.toFixed(5));
    };
    expect(await linear(10, 3)).toEqual(await linear(30, 1));
  });

  test('callbacks are called in order', async () => {
    const calls: string[] = [];
    const names = ['onFitStart', 'onEpochStart', 'onStepEnd', 'onValidationEnd', 'onEpochEnd', 'onFitEnd'] as const;
    const callback = Object.fromEntries(
      names.map((name) => [
        name,
        async (run: train.Run) => {
          await sleep(1);
          calls.push(`${name.slice(2)} ${run.epoch}/${run.step}`);
        },
      ]),
    );
    const { trainer } = setup({ callbacks: [callback] });
    await trainer.fit(loaderOf(30), { epochs: 2, validation: loaderOf(30) });
    expect(calls).toEqual([
      'FitStart 0/0',
      'EpochStart 0/0',
      'StepEnd 0/1',
      'StepEnd 0/2',
      'ValidationEnd 0/2',
      'EpochEnd 1/2',
      'EpochStart 1/2',
      'StepEnd 1/3',
      'StepEnd 1/4',
      'ValidationEnd 1/4',
      'EpochEnd 2/4',
      'FitEnd 2/4',
    ]);
  });

  test('validates every so many steps, and at the end', async () => {
    const seen: number[] = [];
    const { trainer } = setup({ callbacks: [{ onValidationEnd: (run) => void seen.push(run.step) }] });
    await trainer.fit(loaderOf(), { maxSteps: 11, validation: loaderOf(), validateEvery: 3 });
    expect(seen).toEqual([3, 6, 9, 11]);
  });

  test('validation leaves the modes of modules as they were', async () => {
    const { model, trainer } = setup();
    const frozen = model.namedModules()[2]![1];
    frozen.training = false;
    await trainer.evaluate(loaderOf());
    expect([model.training, frozen.training]).toEqual([true, false]);
  });

  test('schedules: by step, by epoch, and by what is measured', async () => {
    const calls: (number | undefined)[] = [];
    const schedule = {
      step: (value?: number) => void calls.push(value),
      stateDict: () => ({}),
      loadStateDict: () => {},
    };
    await setup({ schedule }).trainer.fit(loaderOf(20), { epochs: 2 });
    expect(calls.splice(0)).toEqual(new Array(6).fill(undefined));
    const options = { schedule, scheduleEvery: 'epoch', scheduleMonitor: 'valLoss' } as const;
    const values = await setup(options).trainer.fit(loaderOf(20), { epochs: 2, validation: loaderOf(60) });
    expect(calls).toEqual([expect.any(Number), values['valLoss']]);
  });

  test('a schedule that waits for a value that is not measured is refused after an epoch', async () => {
    const schedule = { step: () => {}, stateDict: () => ({}), loadStateDict: () => {} };
    const { trainer } = setup({ schedule, scheduleEvery: 'epoch', scheduleMonitor: 'valloss', logEvery: 1 });
    await expect(trainer.fit(loaderOf(), { epochs: 3, validation: loaderOf() })).rejects.toThrow(
      /^Trainer: scheduleMonitor: got "valloss", expected one of epoch, learningRate, loss, accuracy, .*, valLoss, valAccuracy$/,
    );
    expect(trainer.epoch).toBe(1);
  });

  test('a run too short to be logged answers its loss', async () => {
    const { loss } = await setup().trainer.fit(loaderOf(), { maxSteps: 2 });
    const logged = await setup({ logEvery: 2 }).trainer.fit(loaderOf(), { maxSteps: 2 });
    expect(loss).toBe(logged['loss']);
  });

  test('mixed precision: what a plain loop with autocast and a scaler does', async () => {
    // The first scale overflows float16 and is halved until it does not.
    const settings = { initScale: 2 ** 22, growthInterval: 4 };
    const logger = recorder();
    const scaler = new optim.GradScaler(settings);
    const { model, trainer } = setup({
      autocast: (f) => autocast('float16', f),
      scaler,
      clipValue: 0.03,
      clipNorm: 0.1,
      logEvery: 1,
      loggers: [logger],
    });
    await trainer.fit(loaderOf(), { epochs: 2 });
    manualSeed(11);
    const plain = makeModel();
    const optimizer = new optim.Adam(plain.parameters(), { lr: 0.02 });
    const other = new optim.GradScaler(settings);
    const loader = loaderOf();
    let stepped = 0;
    for (let epoch = 0; epoch < 2; epoch++) {
      for await (const [x, y] of loader) {
        optimizer.zeroGrad();
        const loss = autocast('float16', () => nn.functional.crossEntropy(plain.forward(x), y as never));
        other.scale(loss).backward();
        other.unscale_(optimizer);
        optim.clipGradValue(plain.parameters(), 0.03);
        optim.clipGradNorm(plain.parameters(), 0.1);
        if (await other.step(optimizer)) stepped++;
        other.update();
      }
    }
    expect(stepped).toBeGreaterThan(4);
    expect(stepped).toBeLessThan(15);
    expect(bits(model)).toEqual(bits(plain));
    expect(scaler.stateDict()).toEqual(other.stateDict());
    // No element is above 0.03, so the norm of all 114 is not above this.
    const norms = logger.all.map(({ values }) => values['gradNorm']!).filter(Number.isFinite);
    expect(Math.max(...norms)).toBeLessThanOrEqual(0.03 * Math.sqrt(114));
  });

  test('bfloat16 trains without a scaler', async () => {
    const dtypes = new Set<string>();
    const { trainer, model } = setup({ autocast: (f) => autocast('bfloat16', f) });
    model.namedModules()[1]![1].registerForwardHook((_, __, output) => void dtypes.add((output as AnyTensor).dtype));
    const values = await trainer.fit(loaderOf(), { epochs: 25, validation: loaderOf(20) });
    expect([...dtypes]).toEqual(['bfloat16']);
    expect(values['valAccuracy']).toBeGreaterThan(0.9);
  });

  test('what is validated is the average of the weights, where there is one', async () => {
    manualSeed(11);
    const model = makeModel();
    const average = new optim.AveragedModel(model, { decay: 0.9 });
    const step = ([x, targets]: Pair): AnyTensor =>
      nn.functional.crossEntropy(model.forward(x), targets as never) as AnyTensor;
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });
    const trainer = new train.Trainer({ model, optimizer, step, average });
    const before = await trainer.evaluate(loaderOf(60));
    const values = await trainer.fit(loaderOf(), { maxSteps: 6, validation: loaderOf(60) });
    expect(average.updates).toBe(6);
    const own = bits(model);
    const plain = new train.Trainer({ model, optimizer, step });
    const [last, averaged] = [
      await plain.evaluate(loaderOf(60)),
      await average.use(() => plain.evaluate(loaderOf(60))),
    ];
    expect(values['valLoss']).toBe(averaged.loss);
    expect(new Set([before.loss, last.loss, averaged.loss]).size).toBe(3);
    expect(bits(model)).toEqual(own);
  });

  test('an abort ends it with the reason, also while a batch is waited for', async () => {
    const controller = new AbortController();
    const ended: boolean[] = [];
    const { trainer } = setup({
      callbacks: [
        {
          onStepEnd: (run) => (run.step === 3 ? controller.abort(new Error('enough')) : undefined),
          onFitEnd: (run) => void ended.push(run.finished),
        },
      ],
    });
    await expect(trainer.fit(loaderOf(), { epochs: 5, signal: controller.signal })).rejects.toThrow('enough');
    expect([trainer.step, ended]).toEqual([3, [false]]);
    async function* stuck(): AsyncGenerator<Pair> {
      yield* loaderOf();
      await new Promise(() => {});
    }
    const signal = AbortSignal.timeout(50);
    await expect(setup().trainer.fit({ [Symbol.asyncIterator]: stuck }, { epochs: 5, signal })).rejects.toThrow(
      'timeout',
    );
  });

  test('a loss that is no number ends it', async () => {
    manualSeed(0);
    const model = new nn.Linear(4, 1);
    const optimizer = new optim.SGD(model.parameters(), { lr: 1e30 });
    const step = ([x]: Pair): AnyTensor => model.forward(x).square().mean().mul(1e30) as AnyTensor;
    const { rejects } = expect(new train.Trainer({ model, optimizer, step }).fit(loaderOf(), { epochs: 3 }));
    await rejects.toThrow(/^fit: loss: got (NaN|Infinity) at step \d, expected a finite number$/);
  });

  test.each([
    [{}, 'fit: epochs: got neither epochs nor maxSteps, expected at least one of them'],
    [{ epochs: 0 }, 'fit: epochs: got 0, expected an integer of at least 1'],
    [{ maxSteps: 2.5 }, 'fit: maxSteps: got 2.5, expected an integer of at least 1'],
  ])('options that make no sense: %j', async (options, message) => {
    await expect(setup().trainer.fit(loaderOf(), options)).rejects.toThrow(message);
  });

  test('step functions that answer no loss, or metrics without predictions', async () => {
    const wrong = (step: () => unknown): Promise<unknown> =>
      setup({ step: step as never }).trainer.fit(loaderOf(), { epochs: 1 });
    await expect(wrong(() => 3)).rejects.toThrow('Trainer: step: loss: got number 3, expected a tensor of one element');
    await expect(wrong(async () => tensor(1))).rejects.toThrow(
      'Trainer: step: loss: got a Promise, expected a tensor of one element',
    );
    await expect(wrong(() => tensor([1, 2]))).rejects.toThrow(
      'Trainer: step: loss: got shape [2], expected a tensor of one element',
    );
    await expect(wrong(() => tensor(1).requiresGrad_())).rejects.toThrow(
      'Trainer: step: got a loss alone, expected { loss, predictions, targets } for the metrics',
    );
    await expect(setup().trainer.fit([], { epochs: 1 })).rejects.toThrow(
      'fit: loader: got no batches, expected at least one',
    );
    const once = (function* (batch: Pair) {
      yield batch;
    })([tensor([[1, 2]]), tensor([0], { dtype: 'int32' })] as never);
    await expect(
      setup({ step: () => tensor(1).requiresGrad_().mul(1), metrics: undefined as never }).trainer.fit(once, {
        epochs: 2,
      }),
    ).rejects.toThrow(
      'fit: loader: got no batches, expected at least one in epoch 2; a generator can be iterated once',
    );
  });

  test('any iterable is a loader', async () => {
    const batches: Pair[] = [];
    for await (const batch of loaderOf()) batches.push(batch);
    const { trainer } = setup();
    await trainer.fit(batches, { epochs: 2 });
    expect(trainer.step).toBe(16);
  });
});

test('evaluate weighs batches by their samples', async () => {
  const { trainer } = setup();
  const [small, whole] = [await trainer.evaluate(loaderOf(7)), await trainer.evaluate(loaderOf(60))];
  expect(small.loss).toBeCloseTo(whole.loss, 5);
  expect(small.accuracy).toBe(whole.accuracy);
});

test('predict gives what the model makes of each batch', async () => {
  const { model, trainer } = setup();
  const rows: number[] = [];
  for await (const logits of trainer.predict(new data.DataLoader<AnyTensor[], Pair>(set, { batchSize: 25 }), ([x]) =>
    model.forward(x),
  )) {
    rows.push(logits.shape[0]!);
    expect(logits.requiresGrad).toBe(false);
  }
  expect(rows).toEqual([25, 25, 10]);
  expect(model.training).toBe(true);
});

describe('early stopping', () => {
  test('after so many measurements without an improvement', () => {
    const stopping = new train.EarlyStopping({ patience: 2, minDelta: 0.1 });
    expect([1, 0.5, 0.45, 0.3, 0.25, 0.21].map((loss) => stopping.update(loss))).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
    const rising = new train.EarlyStopping({ monitor: 'valAccuracy', patience: 1 });
    expect([0.5, 0.6, 0.55].map((value) => rising.update(value))).toEqual([false, false, true]);
  });

  test('ends the run with the best parameters', async () => {
    const measured: { loss: number; state: unknown }[] = [];
    const { model, trainer } = setup({
      callbacks: [
        { onValidationEnd: (run, values) => void measured.push({ loss: values['valLoss']!, state: bits(run.model) }) },
        new train.EarlyStopping({ patience: 2, restoreBest: true }),
      ],
    });
    // The validation is of the opposite: it gets worse and worse after the first.
    const opposite = new data.TensorDataset(
      tensor(inputs) as AnyTensor,
      tensor(Int32Array.from(inputs, (row) => 1 - classOf(row))) as AnyTensor,
    );
    await trainer.fit(loaderOf(), {
      epochs: 20,
      validation: new data.DataLoader<AnyTensor[], Pair>(opposite, { batchSize: 60 }),
    });
    const best = measured.reduce((a, b) => (b.loss < a.loss ? b : a));
    expect(measured.length).toBe(measured.indexOf(best) + 3);
    expect(bits(model)).toEqual(best.state);
  });

  test('the average of the weights is given back too', async () => {
    manualSeed(11);
    const model = makeModel();
    const average = new optim.AveragedModel(model, { decay: 0.5 });
    const measured: number[] = [];
    const trainer = new train.Trainer({
      model,
      average,
      optimizer: new optim.SGD(model.parameters(), { lr: 2, momentum: 0.9 }),
      step: ([x, y]: Pair) => nn.functional.crossEntropy(model.forward(x), y as never) as AnyTensor,
      callbacks: [
        { onValidationEnd: (_, values) => void measured.push(values['valLoss']!) },
        new train.EarlyStopping({ patience: 3, restoreBest: true }),
      ],
    });
    await trainer.fit(loaderOf(), { epochs: 60, validation: loaderOf(60), validateEvery: 2 });
    const best = Math.min(...measured);
    expect(measured.indexOf(best)).toBe(measured.length - 4);
    expect((await trainer.evaluate(loaderOf(60))).loss).toBeCloseTo(best, 6);
  });

  test('is refused where nothing is validated, as the best of checkpoints is', async () => {
    const watching = [new train.EarlyStopping(), new train.Checkpoints(join(tmpdir(), 'none'), { monitor: 'valLoss' })];
    for (const callback of watching) {
      const { trainer } = setup({ callbacks: [callback] });
      await expect(trainer.fit(loaderOf(), { epochs: 1 })).rejects.toThrow(
        new Error(`${callback.constructor.name}: validation: got none, expected one in the options of fit`),
      );
      expect(trainer.step).toBe(0);
    }
  });

  test('of a value that is not measured', async () => {
    const { trainer } = setup({ callbacks: [new train.EarlyStopping({ monitor: 'valF1' })] });
    await expect(trainer.fit(loaderOf(), { epochs: 1, validation: loaderOf() })).rejects.toThrow(
      'EarlyStopping: monitor: got "valF1", expected one of epoch, valLoss, valAccuracy',
    );
  });
});

describe('checkpoints', () => {
  const options = { epochs: 4, validation: new data.DataLoader<AnyTensor[], Pair>(set, { batchSize: 20 }) };
  const withCheckpoints = (more: train.CheckpointsOptions = {}, other: train.Callback = {}) => {
    const logger = recorder();
    const stopping = new train.EarlyStopping({ patience: 3, restoreBest: true });
    const checkpoints = new train.Checkpoints(folder, { everySteps: 3, resume: true, monitor: 'valLoss', ...more });
    const callbacks = [checkpoints, stopping, other];
    return { ...setup({ logEvery: 2, loggers: [logger], callbacks }), logger, stopping, checkpoints };
  };
  const losses = (logger: ReturnType<typeof recorder>): unknown[] =>
    logger.all.map(({ step, values }) => [step, values['loss'], values['accuracy'], values['valLoss']]);

  test.each([1, 4, 7, 8, 9, 13, 22])('a run broken off after step %i goes on bit by bit', async (at) => {
    const whole = withCheckpoints();
    await whole.trainer.fit(loaderOf(), options);
    await rm(folder, { recursive: true });
    const controller = new AbortController();
    const first = withCheckpoints({}, { onStepEnd: (run) => (run.step === at ? controller.abort() : undefined) });
    await expect(first.trainer.fit(loaderOf(), { ...options, signal: controller.signal })).rejects.toThrow();
    const second = withCheckpoints();
    if (at >= 3) manualSeed(99); // the checkpoint's random state holds
    let from = -1;
    second.logger.resume = (step) => void (from = step);
    await second.trainer.fit(loaderOf(), options);
    expect(from).toBe(
      [0, 3, 6, 8, 9, 12, 15, 16, 18, 21].findLast((step) => (step % 3 === 0 ? step <= at : step < at)),
    );
    expect(bits(second.model)).toEqual(bits(whole.model));
    const expected = losses(whole.logger);
    expect(losses(second.logger)).toEqual(expected.slice(expected.length - second.logger.all.length));
    expect([second.stopping.best, second.stopping.waited]).toEqual([whole.stopping.best, whole.stopping.waited]);
  });

  test('the scaler and the average of the weights go on too', async () => {
    const mixed = (stopAt = Infinity) => {
      manualSeed(11);
      const model = makeModel();
      const optimizer = new optim.AdamW(model.parameters(), { lr: 0.02 });
      const scaler = new optim.GradScaler({ initScale: 2 ** 20, growthInterval: 3 });
      const average = new optim.AveragedModel(model, { decay: 0.9, warmUp: true });
      const trainer = new train.Trainer({
        model,
        optimizer,
        scaler,
        average,
        schedule: new optim.WarmupLR(optimizer, { warmupSteps: 5, totalSteps: 24, decay: 'cosine' }),
        autocast: (f) => autocast('float16', f),
        step: ([x, y]: Pair) => nn.functional.crossEntropy(model.forward(x), y as never) as AnyTensor,
        callbacks: [
          new train.Checkpoints(folder, { everySteps: 5, resume: true }),
          { onStepEnd: (run) => (run.step === stopAt ? run.stop() : undefined) },
        ],
      });
      return { model, optimizer, scaler, average, trainer };
    };
    const whole = mixed();
    await whole.trainer.fit(loaderOf(), { epochs: 3 });
    await rm(folder, { recursive: true });
    await mixed(13).trainer.fit(loaderOf(), { epochs: 3 });
    const second = mixed();
    await second.trainer.fit(loaderOf(), { epochs: 3 });
    expect(second.trainer.step).toBe(24);
    expect(bits(second.model)).toEqual(bits(whole.model));
    expect(second.scaler.stateDict()).toEqual(whole.scaler.stateDict());
    const averages = [second, whole].map(({ model, average }) => average.use(() => bits(model)));
    expect(averages[0]).toEqual(averages[1]);
  });

  test('the last few are kept, and the best', async () => {
    const saved: number[] = [];
    const { trainer, checkpoints } = withCheckpoints({ keepLast: 2, onSave: (_, step) => void saved.push(step) });
    await trainer.fit(loaderOf(), { epochs: 2, validation: loaderOf(20) });
    expect(saved).toEqual([3, 6, 8, 9, 12, 15, 16]);
    expect((await readdir(folder)).sort()).toEqual([
      'best.safetensors',
      'step-000000015.safetensors',
      'step-000000016.safetensors',
    ]);
    const rest = await train.loadCheckpoint(checkpoints.folder.best);
    expect((rest['run'] as { values: train.Values }).values['valLoss']).toBe(checkpoints.best);
    expect(await train.loadCheckpoint((await checkpoints.folder.latest())!)).toHaveProperty('run.step', 16);
  });

  test('the end of a run is saved, wherever it is', async () => {
    const { trainer, checkpoints } = withCheckpoints({ everySteps: 100 });
    await trainer.fit(loaderOf(), { maxSteps: 5, validation: loaderOf(60) });
    expect(await checkpoints.folder.steps()).toEqual([5]);
    const more = withCheckpoints({ everySteps: 100 });
    await more.trainer.fit(loaderOf(), { maxSteps: 7, validation: loaderOf(60) });
    const whole = setup();
    await whole.trainer.fit(loaderOf(), { maxSteps: 7 });
    expect(bits(more.model)).toEqual(bits(whole.model));
  });

  test('a folder of another run is not written to', async () => {
    await withCheckpoints().trainer.fit(loaderOf(), { epochs: 1, validation: loaderOf(60) });
    const { trainer } = withCheckpoints({ resume: false });
    await expect(trainer.fit(loaderOf(), { epochs: 1, validation: loaderOf(60) })).rejects.toThrow(
      `Checkpoints: ${folder}: got checkpoints of another run, expected none; resume it, or give another folder`,
    );
  });

  test('save and load by hand, before fit', async () => {
    const path = join(folder, 'run.safetensors');
    const one = setup();
    await one.trainer.fit(loaderOf(), { maxSteps: 5 });
    await one.trainer.save(path);
    await one.trainer.fit(loaderOf(), { maxSteps: 9 });
    const other = setup();
    await other.trainer.load(path);
    await other.trainer.fit(loaderOf(), { maxSteps: 9 });
    expect([one.trainer.step, other.trainer.step]).toEqual([9, 9]);
    expect([await other.trainer.evaluate(loaderOf(60))]).toHaveLength(1);
  });
});

test('the progress callback shows values and validations', async () => {
  const lines: string[] = [];
  const stream = { write: (text: string) => void lines.push(text) };
  const { trainer } = setup({ logEvery: 1, callbacks: [new train.Progress({ stream, plainInterval: 1e9 })] });
  await trainer.fit(loaderOf(30), { epochs: 1, validation: loaderOf(60) });
  expect(lines[0]).toMatch(/^step 2: valLoss 0\.\d+, valAccuracy [\d.]+ %\n$/);
  expect(lines[1]).toMatch(
    /^100 % {2}learningRate 0.02 {2}loss 0\.\d+ {2}accuracy [\d.]+ % .* steps\/s {2}in 0:0\d\n$/,
  );
  expect(lines).toHaveLength(2);
});
