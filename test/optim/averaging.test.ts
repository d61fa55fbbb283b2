// Averages of weights, batch norm statistics for them, and gradients that are accumulated.
import { manualSeed, nn, noGrad, optim, randn, scope, tensor, type AnyTensor } from '../../lib/index';

const weightOf = (model: nn.Linear): number[] => Array.from(model.weight.dataSync() as Float32Array);

/** Trains nothing: sets the weights to noise `count` times and calls `each`. Answers the weights. */
function wander(model: nn.Linear, count: number, each: () => void): number[][] {
  return Array.from({ length: count }, (_, i) => {
    manualSeed(i);
    noGrad(() => model.weight.copy_(randn([2, 3])));
    each();
    return weightOf(model);
  });
}
const expectClose = (got: readonly number[], want: readonly number[]): void => {
  expect(got).toHaveLength(want.length);
  got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 5));
};
const column = (rows: number[][], i: number): number[] => rows.map((row) => row[i]!);

describe('AveragedModel', () => {
  test('without a decay all updates count equally', () => {
    const model = new nn.Linear(3, 2);
    const average = new optim.AveragedModel(model);
    const seen = wander(model, 5, () => average.update());
    const means = seen[0]!.map((_, i) => column(seen, i).reduce((a, b) => a + b) / 5);
    expectClose(
      average.use(() => weightOf(model)),
      means,
    );
    expect(average.updates).toBe(5);
  });

  test('with a decay the average is exponential, from the first update on', () => {
    const model = new nn.Linear(3, 2);
    const average = new optim.AveragedModel(model, { decay: 0.7 });
    const seen = wander(model, 5, () => average.update());
    const wanted = seen[0]!.map((_, i) => column(seen, i).reduce((kept, value) => 0.7 * kept + 0.3 * value));
    expectClose(
      average.use(() => weightOf(model)),
      wanted,
    );
  });

  test('a decay that warms up forgets the start', () => {
    const model = new nn.Linear(3, 2);
    const average = new optim.AveragedModel(model, { decay: 0.3, warmUp: true });
    const seen = wander(model, 5, () => average.update());
    const decays = [0, 2 / 11, 3 / 12, 0.3, 0.3];
    const wanted = seen[0]!.map((_, i) =>
      column(seen, i).reduce((kept, value, n) => decays[n]! * kept + (1 - decays[n]!) * value),
    );
    expectClose(
      average.use(() => weightOf(model)),
      wanted,
    );
  });

  test('use gives the weights back, whatever happens inside', async () => {
    const model = new nn.Linear(3, 2);
    const average = new optim.AveragedModel(model);
    const [, last] = wander(model, 2, () => average.update()) as [number[], number[]];
    const averaged = average.use(() => weightOf(model));
    expect(averaged).not.toEqual(last);
    expect(weightOf(model)).toEqual(last);
    expect(() =>
      average.use(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(weightOf(model)).toEqual(last);
    const later = average.use(async () => {
      await new Promise(setImmediate);
      return weightOf(model);
    });
    expect(await later).toEqual(averaged);
    expect(weightOf(model)).toEqual(last);
    average.swap();
    expect(weightOf(model)).toEqual(averaged);
  });

  test('buffers are those of the last update, or averaged', () => {
    for (const useBuffers of [false, true]) {
      const layer = new nn.BatchNorm1d(2);
      const average = new optim.AveragedModel(layer, { useBuffers });
      for (const value of [1, 2, 6]) {
        layer.runningMean!.copy_(value);
        layer.numBatchesTracked!.copy_(value);
        average.update();
      }
      const buffers = average.use(() => [layer.runningMean!.toArraySync(), layer.numBatchesTracked!.itemSync()]);
      expect(buffers).toEqual([useBuffers ? [3, 3] : [6, 6], 6]);
    }
  });

  test('state dicts carry on, under the names of PyTorch', () => {
    const models = [new nn.Linear(3, 2), new nn.Linear(3, 2)] as const;
    const first = new optim.AveragedModel(models[0]);
    wander(models[0], 3, () => first.update());
    expect(Object.keys(first.stateDict())).toEqual(['n_averaged', 'module.weight', 'module.bias']);
    const second = new optim.AveragedModel(models[1]);
    second.loadStateDict(first.stateDict());
    for (const [i, average] of [first, second].entries()) {
      models[1].loadStateDict(models[0].stateDict());
      wander(models[i]!, 1, () => average.update());
    }
    expect(second.use(() => weightOf(models[1]))).toEqual(first.use(() => weightOf(models[0])));
    expect(() => second.loadStateDict({ n_averaged: tensor(1) })).toThrow(
      new Error('AveragedModel: state: module.weight: got none, expected [2, 3]'),
    );
    expect(() => new optim.AveragedModel(models[0], { decay: 2 })).toThrow(
      new Error('AveragedModel: decay: got 2, expected a number from 0 to 1'),
    );
  });
});

test('updateBatchNorm measures the mean over all batches and leaves the rest as it was', async () => {
  manualSeed(1);
  const layer = new nn.BatchNorm1d(3);
  const model = new nn.Sequential(layer, new nn.Dropout(0.5));
  const batches = Array.from({ length: 4 }, () => randn([8, 3]).mul(2).add(1) as AnyTensor);
  model.forward(randn([8, 3]));
  model.eval();
  await optim.updateBatchNorm(model, batches, (batch) => model.forward(batch));
  const mean = batches
    .map((batch) => batch.mean(0))
    .reduce((a, b) => a.add(b))
    .div(4) as AnyTensor;
  const variance = batches
    .map((batch) => batch.var(0))
    .reduce((a, b) => a.add(b))
    .div(4) as AnyTensor;
  expectClose(Array.from(layer.runningMean!.dataSync() as Float32Array), Array.from(mean.dataSync() as Float32Array));
  expectClose(
    Array.from(layer.runningVar!.dataSync() as Float32Array),
    Array.from(variance.dataSync() as Float32Array),
  );
  expect([layer.momentum, layer.training, model.training, layer.numBatchesTracked!.itemSync()]).toEqual([
    0.1,
    false,
    false,
    4,
  ]);
});

test('gradients that are accumulated over micro-batches train like the large batch', () => {
  const train = (pieces: number): number[] => {
    manualSeed(2);
    const model = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Linear(8, 1));
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.05 });
    for (let step = 0; step < 10; step++) {
      const x = randn([24, 4]) as AnyTensor;
      const y = x.sum(1, { keepDims: true }) as AnyTensor;
      optimizer.zeroGrad();
      const inputs = x.chunk(pieces, 0);
      y.chunk(pieces, 0).forEach((target, i) =>
        // Each loss is a mean over its piece; their sum is to be the mean over all.
        scope(() => nn.functional.mseLoss(model.forward(inputs[i]!), target).div(pieces).backward()),
      );
      optim.clipGradNorm(model.parameters(), 1);
      optimizer.step();
    }
    return model.parameters().flatMap((parameter) => Array.from(parameter.dataSync() as Float32Array));
  };
  const whole = train(1);
  expectClose(train(4), whole);
  expectClose(train(24), whole);
});
