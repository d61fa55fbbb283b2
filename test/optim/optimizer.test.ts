// What all optimizers share: groups, state, state dicts, and what they refuse.
import { getHeapSpaceStatistics } from 'node:v8';

import { manualSeed, memory, nn, ones, optim, randn, tensor, type AnyTensor } from '../../lib/index';
import { collectGarbage } from '../../lib/runtime/native';

const { Adam, AdamW, SGD } = optim;

interface Stepping {
  zeroGrad(): void;
  step(): unknown;
  stateDict(): unknown;
  loadStateDict(dict: never): void;
}
const makers: [string, (parameters: readonly AnyTensor[]) => Stepping][] = [
  ['SGD with momentum', (p) => new SGD(p, { lr: 0.05, momentum: 0.9, nesterov: true })],
  ['Adam', (p) => new Adam(p, { lr: 0.05, amsgrad: true })],
  ['AdamW', (p) => new AdamW(p, { lr: 0.05 })],
  ['NAdam', (p) => new optim.NAdam(p, { lr: 0.05 })],
  ['RAdam', (p) => new optim.RAdam(p, { lr: 0.05 })],
  ['Adamax', (p) => new optim.Adamax(p, { lr: 0.05 })],
  ['Adagrad', (p) => new optim.Adagrad(p, { lr: 0.05 })],
  ['Adadelta', (p) => new optim.Adadelta(p)],
  ['RMSprop', (p) => new optim.RMSprop(p, { centered: true, momentum: 0.5 })],
  ['Lion', (p) => new optim.Lion(p, { lr: 0.05 })],
  ['LAMB', (p) => new optim.LAMB(p, { lr: 0.05 })],
  ['Adafactor', (p) => new optim.Adafactor(p)],
  [
    'Muon',
    (p) =>
      new optim.Muon(
        p.filter(({ rank }) => rank === 2),
        { lr: 0.05 },
      ),
  ],
];

const makeModel = (): nn.Sequential => new nn.Sequential(new nn.Linear(3, 8), new nn.Tanh(), new nn.Linear(8, 1));

function train(model: nn.Sequential, optimizer: Stepping, steps: number, start = 0): void {
  for (let step = start; step < start + steps; step++) {
    manualSeed(100 + step);
    const x = randn([16, 3]);
    optimizer.zeroGrad();
    model
      .forward(x)
      .sub(x.sum(1, { keepDims: true }))
      .square()
      .mean()
      .backward();
    optimizer.step();
  }
}

const bits = (model: nn.Module): unknown => Object.values(model.stateDict()).map((x) => x.dataSync());

test.each(makers)('%s: state dicts carry on bit for bit', (_, make) => {
  manualSeed(1);
  const straight = makeModel();
  const start = Object.fromEntries(Object.entries(straight.stateDict()).map(([name, x]) => [name, x.clone()]));
  train(straight, make(straight.parameters()), 12);

  const first = makeModel();
  first.loadStateDict(start);
  const before = make(first.parameters());
  train(first, before, 7);
  const second = makeModel();
  second.loadStateDict(first.stateDict());
  const after = make(second.parameters());
  after.loadStateDict(before.stateDict() as never);
  // The state was copied: what becomes of the first optimizer does not matter.
  train(first, before, 2);
  train(second, after, 5, 7);
  expect(bits(second)).toEqual(bits(straight));
});

test('a state dict numbers parameters through all groups and holds their settings', () => {
  const [a, b, c] = [ones([2]).requiresGrad_(), ones([3]).requiresGrad_(), ones([4]).requiresGrad_()];
  const optimizer = new Adam([{ parameters: [a, b] }, { parameters: [c], lr: 0.5 }], { lr: 0.1 });
  b.sum().add(c.sum()).backward();
  optimizer.step();
  const { state, groups } = optimizer.stateDict();
  expect(Object.keys(state)).toEqual(['1', '2']);
  expect(
    Object.entries(state[1]!).map(([name, value]) => [
      name,
      typeof value === 'number' ? value : (value as AnyTensor).shape,
    ]),
  ).toEqual([
    ['step', 1],
    ['exp_avg', [3]],
    ['exp_avg_sq', [3]],
  ]);
  const shared = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0, amsgrad: false, maximize: false };
  expect(groups).toEqual([
    { ...shared, lr: 0.1, parameters: [0, 1] },
    { ...shared, lr: 0.5, parameters: [2] },
  ]);
});

test('loading takes over settings too', () => {
  const p = ones([1]).requiresGrad_();
  const source = new SGD([p], { lr: 0.25, momentum: 0.5 });
  const target = new SGD([p]);
  target.loadStateDict(source.stateDict());
  expect(target.groups[0]).toEqual({ ...source.groups[0], parameters: [p] });
});

test('settings may change between steps, amsgrad and momentum included', () => {
  const p = tensor([1, 2]).requiresGrad_();
  const sgd = new SGD([p], { lr: 1 });
  p.sum().backward();
  sgd.step();
  expect(p.toArraySync()).toEqual([0, 1]);
  sgd.groups[0]!.lr = 0.5;
  sgd.groups[0]!.momentum = 0.5;
  sgd.step();
  sgd.step();
  expect(p.toArraySync()).toEqual([-1.25, -0.25]);
  const adam = new Adam([p], { lr: 0.1 });
  adam.step();
  adam.groups[0]!.amsgrad = true;
  adam.step();
  expect(Array.from(p.dataSync())).toEqual([expect.closeTo(-1.45, 5), expect.closeTo(-0.45, 5)]);
});

test('a parameter without a gradient stays, and its steps are counted on their own', () => {
  const [a, b] = [ones([1]).requiresGrad_(), ones([1]).requiresGrad_()];
  const optimizer = new Adam([a, b], { lr: 0.1 });
  a.sum().backward();
  optimizer.step();
  expect(b.itemSync()).toBe(1);
  b.sum().backward();
  optimizer.step();
  // The first step of Adam moves by lr against the sign, whatever the gradient.
  expect(b.itemSync()).toBeCloseTo(0.9, 5);
  expect(optimizer.stateDict().state[0]!['step']).toBe(2);
  expect(optimizer.stateDict().state[1]!['step']).toBe(1);
});

test('parameters that are added later start their own count', () => {
  const [a, b] = [ones([1]).requiresGrad_(), ones([1]).requiresGrad_()];
  const optimizer = new Adam([a], { lr: 0.1, betas: [0.5, 0.5] });
  a.sum().backward();
  optimizer.step();
  optimizer.addParamGroup({ parameters: [b], lr: 0.25 });
  expect(optimizer.groups[1]).toEqual({ ...optimizer.groups[0], parameters: [b], lr: 0.25 });
  b.sum().backward();
  optimizer.step();
  expect(b.itemSync()).toBeCloseTo(0.75, 5);
  expect(() => optimizer.addParamGroup({ parameters: [a] })).toThrow(
    new Error('Adam: parameters: got a tensor twice, expected each once'),
  );
  expect(optimizer.groups).toHaveLength(2);
});

test.each(makers)('%s steps 16-bit parameters', (_, make) => {
  const p = new nn.Parameter(ones([4, 4], { dtype: 'bfloat16' }));
  const optimizer = make([p]);
  for (let step = 0; step < 3; step++) {
    optimizer.zeroGrad();
    p.square().sum().backward();
    optimizer.step();
  }
  expect(p.dtype).toBe('bfloat16');
  for (const value of p.cast('float32').dataSync()) expect(value).toBeLessThan(1);
});

test('a 16-bit parameter has its moments in float32 and moves', () => {
  const p = ones([4], { dtype: 'bfloat16' }).requiresGrad_();
  const optimizer = new Adam([p], { lr: 0.125 });
  p.sum().backward();
  optimizer.step();
  expect(p.toArraySync()).toEqual([0.875, 0.875, 0.875, 0.875]);
  expect((optimizer.stateDict().state[0]!['exp_avg'] as AnyTensor).dtype).toBe('float32');
});

test('several dtypes in one group', () => {
  const p = (['float64', 'float32', 'bfloat16'] as const).map((dtype) => ones([2], { dtype }).requiresGrad_());
  const optimizer = new SGD(p, { lr: 0.5, momentum: 0.9 });
  for (const one of p as AnyTensor[]) one.sum().backward();
  optimizer.step();
  expect(p.map((one) => one.toArraySync())).toEqual([
    [0.5, 0.5],
    [0.5, 0.5],
    [0.5, 0.5],
  ]);
});

test.each(makers)('%s holds on to no memory', (_, make) => {
  const model = makeModel();
  const optimizer = make(model.parameters());
  const gradients = model.parameters().map((parameter) => ones(parameter.shape));
  model.parameters().forEach((parameter, i) => (parameter.grad = gradients[i]!));
  optimizer.step();
  const before = memory().liveBytes;
  for (let i = 0; i < 50; i++) optimizer.step();
  expect(memory().liveBytes).toBeLessThanOrEqual(before);
});

// A step must leave nothing that only a full collection frees, such as hidden classes. What leaves something at each step does so
// in every window of steps; what V8 compiles and promotes meanwhile comes and goes.
test.each(makers.slice(0, 3))('%s leaves nothing in the old generation', (_, make) => {
  const oldBytes = (): number =>
    getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size;
  const model = makeModel();
  const optimizer = make(model.parameters());
  model.parameters().forEach((parameter) => (parameter.grad = ones(parameter.shape)));
  const growthPerStep = (steps: number): number => {
    const before = oldBytes();
    for (let i = 0; i < steps; i++) optimizer.step();
    return (oldBytes() - before) / steps;
  };
  growthPerStep(3000);
  collectGarbage();
  expect(Math.min(...Array.from({ length: 4 }, () => growthPerStep(2000)))).toBeLessThan(40);
});

describe('what optimizers refuse', () => {
  const p = ones([2]).requiresGrad_();
  const q = ones([3]).requiresGrad_();
  const dict = new Adam([q]).stateDict();
  test.each<[() => unknown, string]>([
    [() => new SGD([]), 'SGD: parameters: got none, expected at least one'],
    [() => new SGD(p as never), 'SGD: parameters: got a Tensor, expected a list of them or of groups'],
    [
      () => new SGD([p], { learningRate: 0.1 } as never),
      'SGD: settings: got learningRate, expected names among lr, momentum, dampening, weightDecay, nesterov, maximize',
    ],
    [
      () => new SGD([{ parameters: [p], learningRate: 0.1 } as never]),
      'SGD: group: got learningRate, expected names among parameters, initialLr, lr, momentum, dampening, weightDecay, nesterov, maximize',
    ],
    [() => new SGD([p], 0.1 as never), 'SGD: options: got number 0.1, expected an object'],
    [() => new AdamW([p], 0.1 as never), 'AdamW: options: got number 0.1, expected an object'],
    [() => new SGD([p.mul(2)]), 'SGD: parameters: got the result of an op, expected leaf tensors'],
    [() => new SGD([p, p]), 'SGD: parameters: got a tensor twice, expected each once'],
    [() => new SGD([p], { lr: -1 }), 'SGD: lr: got -1, expected a number at least 0'],
    [() => new SGD([p], { momentum: NaN }), 'SGD: momentum: got NaN, expected a number at least 0'],
    [() => new SGD([p], { nesterov: true }), 'SGD: nesterov: got true, expected a momentum and no dampening with it'],
    [() => new Adam([p], { betas: [0.9, 1] }), 'Adam: betas[1]: got 1, expected a number from 0 to below 1'],
    [() => new AdamW([p], { weightDecay: -1 }), 'AdamW: weightDecay: got -1, expected a number at least 0'],
    [() => new Adam([p, q]).loadStateDict(dict), 'Adam: state: got groups of 1 parameters, expected 2'],
    [
      () =>
        new Adam([p]).loadStateDict({ ...dict, state: { 0: { step: 1, exp_avg: ones([3]), exp_avg_sq: ones([3]) } } }),
      'Adam: state: exp_avg of parameter 0: got shape [3], expected [2]',
    ],
    [() => new optim.Muon([p]), 'Muon: parameters: got shape [2], expected matrices'],
    [
      () => new optim.Muon([ones([2, 2])], { adjustLrFn: 'rms' as 'original' }),
      'Muon: adjustLrFn: got rms, expected original or match_rms_adamw',
    ],
    [
      () => new optim.LBFGS([p], { lineSearchFn: 'strongWolfe' as 'strong_wolfe' }),
      'LBFGS: lineSearchFn: got strongWolfe, expected strong_wolfe or undefined',
    ],
    [() => new optim.LBFGS([p]).addParamGroup({ parameters: [q] }), 'LBFGS: groups: got a second one, expected one'],
    [
      () => new optim.LBFGS([p]).stepSync(undefined as never),
      'LBFGS: closure: got undefined, expected a function that answers the loss',
    ],
    [() => new optim.Adafactor([p], { beta2Decay: 1 }), 'Adafactor: beta2Decay: got 1, expected a number at most 0'],
    [
      () => new Adam([p]).loadStateDict({ ...dict, state: { 3: { step: 1 } } }),
      'Adam: state: got parameter 3, expected at most 0',
    ],
    [
      () => new Adam([p]).loadStateDict({ state: {}, groups: [{ ...dict.groups[0]!, lr: -2 }] }),
      'Adam: lr: got -2, expected a number at least 0',
    ],
    [
      () => new Adam([p]).loadStateDict({ ...dict, state: { 0: { momentum_buffer: ones([2]) } } }),
      'Adam: state: parameter 0: got momentum_buffer, expected step, exp_avg, exp_avg_sq',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });
});

test('ASGD averages the values of a parameter from a step on', () => {
  const x = new nn.Parameter(tensor([1, -2], { dtype: 'float64' }));
  const optimizer = new optim.ASGD([x], { lr: 0.1, t0: 1 });
  const values: number[][] = [];
  for (let i = 0; i < 6; i++) {
    optimizer.zeroGrad();
    x.mul(x).sum().backward();
    optimizer.step();
    values.push([...(x.detach().dataSync() as Float64Array)]);
  }
  const average = optimizer.stateDict().state[0]!['ax'] as AnyTensor;
  // The rate of the average is 1 / max(1, step − t0) of the step before.
  const counted = values.slice(2);
  const mean = [0, 1].map((i) => counted.reduce((sum, value) => sum + value[i]!, 0) / counted.length);
  expect([...(average.dataSync() as Float64Array)].map((v) => v.toFixed(12))).toEqual(mean.map((v) => v.toFixed(12)));
});
