// Loss scaling: gradients come out unscaled, overflows are left out, and the scale follows.
import { autocast, manualSeed, nn, optim, randn, tensor, type AnyTensor } from '../../lib/index';

const { GradScaler, SGD } = optim;
const parameter = (...values: number[]): nn.Parameter => new nn.Parameter(tensor(values));

test('a step is that of the unscaled gradients', async () => {
  const p = parameter(1, 2);
  const optimizer = new SGD([p], { lr: 0.5 });
  const scaler = new GradScaler({ initScale: 1024 });
  const scaled = scaler.scale((p as AnyTensor).mul(tensor([1, 3])).sum());
  expect(scaled.itemSync()).toBe(7 * 1024);
  scaled.backward();
  expect(p.grad!.toArraySync()).toEqual([1024, 3072]);
  scaler.unscale_(optimizer);
  expect(p.grad!.toArraySync()).toEqual([1, 3]);
  expect(await scaler.step(optimizer)).toBe(true);
  scaler.update();
  expect(p.toArraySync()).toEqual([0.5, 0.5]);
});

test('an overflow leaves the step out and lowers the scale; steps without one raise it', async () => {
  const p = parameter(1);
  const q = parameter(1);
  const optimizers = [new SGD([p], { lr: 1 }), new SGD([q], { lr: 1 })] as const;
  const scaler = new GradScaler({ initScale: 8, growthInterval: 2, growthFactor: 4, backoffFactor: 0.25 });
  const run = async (slope: number): Promise<[boolean, boolean, number]> => {
    for (const optimizer of optimizers) optimizer.zeroGrad();
    scaler.scale((p as AnyTensor).mul(slope).add(q).sum()).backward();
    const stepped = [await scaler.step(optimizers[0]), await scaler.step(optimizers[1])] as const;
    scaler.update();
    return [...stepped, await scaler.getScale()];
  };
  expect(await run(1)).toEqual([true, true, 8]);
  expect(await run(1)).toEqual([true, true, 32]);
  expect(await run(1)).toEqual([true, true, 32]);
  // Each optimizer looks at its own gradients; the scale follows any of them.
  expect(await run(Infinity)).toEqual([false, true, 8]);
  expect(await run(NaN)).toEqual([false, true, 2]);
  expect(await run(1)).toEqual([true, true, 2]);
  expect(await run(1)).toEqual([true, true, 8]);
  expect([p.itemSync(), q.itemSync()]).toEqual([-4, -6]);
});

test('the scale does not grow beyond what float32 holds', async () => {
  const p = parameter(0);
  const scaler = new GradScaler({ initScale: 2 ** 127, growthInterval: 1 });
  scaler.scale((p as AnyTensor).mul(0).sum()).backward();
  await scaler.step(new SGD([p]));
  scaler.update();
  expect(await scaler.getScale()).toBe(2 ** 127);
});

test('small gradients survive float16', async () => {
  const gradientOf = async (enabled: boolean): Promise<number> => {
    const w = new nn.Parameter(tensor([[1e-4]]));
    const scaler = new GradScaler({ enabled, initScale: 1024 });
    const loss = autocast('float16', () => (tensor([[1e-4]]) as AnyTensor).matmul(w).mul(1e-4).sum());
    scaler.scale(loss).backward();
    const optimizer = new SGD([w], { lr: 0 });
    scaler.unscale_(optimizer);
    await scaler.step(optimizer);
    return w.grad!.itemSync();
  };
  expect(await gradientOf(false)).toBe(0);
  expect(Math.abs((await gradientOf(true)) / 1e-8 - 1)).toBeLessThan(0.02);
});

test('a network trains in float16', async () => {
  manualSeed(1);
  const model = new nn.Sequential(new nn.Linear(4, 16), new nn.ReLU(), new nn.Linear(16, 1));
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });
  const scaler = new GradScaler({ initScale: 2 ** 20, growthInterval: 10 });
  const x = randn([32, 4]);
  const y = x.sum(1, { keepDims: true });
  const losses: number[] = [];
  let skipped = 0;
  for (let step = 0; step < 60; step++) {
    optimizer.zeroGrad();
    const loss = autocast('float16', () => nn.functional.mseLoss(model.forward(x), y) as AnyTensor);
    scaler.scale(loss).backward();
    if (!(await scaler.step(optimizer))) skipped++;
    scaler.update();
    losses.push(loss.itemSync());
  }
  expect(skipped).toBeGreaterThan(0);
  expect(losses.at(-1)!).toBeLessThan(0.1 * losses[0]!);
});

test('state dicts carry on, as PyTorch writes them', async () => {
  const p = parameter(1);
  const optimizer = new SGD([p]);
  const first = new GradScaler({ initScale: 8, growthInterval: 3 });
  const run = async (scaler: optim.GradScaler): Promise<number> => {
    scaler.scale((p as AnyTensor).sum()).backward();
    await scaler.step(optimizer);
    scaler.update();
    return scaler.getScale();
  };
  await run(first);
  const state = first.stateDict();
  expect(state).toEqual({ scale: 8, growth_factor: 2, backoff_factor: 0.5, growth_interval: 3, _growth_tracker: 1 });
  const second = new GradScaler();
  second.loadStateDict(JSON.parse(JSON.stringify(state)) as optim.GradScalerState);
  expect(second.stateDict()).toEqual(state);
  expect([await run(second), await run(second)]).toEqual([8, 16]);
});

test('what it refuses', async () => {
  const p = parameter(1);
  const optimizer = new SGD([p]);
  const scaler = new GradScaler();
  expect(() => scaler.unscale_(optimizer)).toThrow(
    new Error('GradScaler: unscale_: got no loss yet, expected scale(loss) before'),
  );
  expect(() => scaler.update()).toThrow(
    new Error('GradScaler: update: got no step, expected scale(loss) and step(optimizer) before'),
  );
  scaler.scale((p as AnyTensor).sum()).backward();
  scaler.unscale_(optimizer);
  expect(() => scaler.unscale_(optimizer)).toThrow(
    new Error('GradScaler: unscale_: got an optimizer after its unscale_(), expected update() between'),
  );
  await scaler.step(optimizer);
  await expect(scaler.step(optimizer)).rejects.toThrow(
    new Error('GradScaler: step: got an optimizer twice, expected update() between'),
  );
  expect(() => new GradScaler({ growthFactor: 1 })).toThrow(
    new Error('GradScaler: growthFactor: got 1, expected a number above 1'),
  );
  expect(() => scaler.loadStateDict({} as never)).toThrow(
    new Error('GradScaler: state: scale: got undefined, expected a number'),
  );
});
