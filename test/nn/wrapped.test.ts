// Layers whose weights are computed, masked, adapted or routed, containers and resampling: against PyTorch, and what they refuse.
import {
  allCloseSync,
  gradcheck,
  IndexError,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  tensor,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { compareLayer, type LayerCase } from '../golden/compare-layer';
import { expectNear, golden } from '../golden/golden';

const values = (x: AnyTensor): number[] => Array.from(x.dataSync(), Number);
const mixture = (topK: number, capacityFactor: number): LayerCase => ({
  make: () => new nn.MixtureOfExperts(6, { experts: 4, topK, hidden: 8, capacityFactor }),
  call: (m: nn.MixtureOfExperts, [x]) => {
    const { output, balanceLoss } = m.forward(x!);
    return output.add(balanceLoss);
  },
});

const cases: Record<string, LayerCase> = {
  'weight-norm': { make: () => nn.weightNorm(new nn.Linear(5, 3)) },
  'weight-norm-conv': { make: () => nn.weightNorm(new nn.Conv2d(2, 3, 3), 'weight', { axis: 1 }) },
  'spectral-norm': { make: () => nn.spectralNorm(new nn.Linear(5, 3)) },
  'spectral-norm-conv': { make: () => nn.spectralNorm(new nn.Conv2d(2, 3, 3), 'weight', { iterations: 3 }) },
  'spectral-norm-transposed': { make: () => nn.spectralNorm(new nn.ConvTranspose2d(2, 3, 3)) },
  'weight-and-spectral-norm': { make: () => nn.spectralNorm(nn.weightNorm(new nn.Linear(5, 3))) },
  'pruned-conv': { make: () => nn.prune.channels(new nn.Conv2d(3, 6, 3), 0.5) },
  'pruned-conv-inputs': { make: () => nn.prune.channels(new nn.Conv2d(4, 2, 3), 2, { axis: 1, order: 1 }) },
  'pruned-linear': { make: () => nn.prune.channels(new nn.Linear(6, 5), 2, { order: Infinity }) },
  'mixture-1': mixture(1, 4 / 3),
  'mixture-2': mixture(2, 5 / 6),
  'mixture-2-roomy': mixture(2, Infinity),
  'upsample-bilinear': { make: () => new nn.Upsample({ scaleFactor: 2, mode: 'bilinear' }) },
  'upsample-nearest': { make: () => new nn.Upsample({ size: [5, 7] }) },
  'pixel-shuffle': { make: () => new nn.PixelShuffle(2) },
  'pixel-unshuffle': { make: () => new nn.PixelUnshuffle(2) },
  unfold: { make: () => new nn.Unfold([2, 3], { padding: 1, stride: 2 }) },
  fold: { make: () => new nn.Fold([5, 6], [2, 3]) },
  unflatten: { make: () => new nn.Unflatten(1, [2, 3]) },
  residual: { make: () => new nn.Residual(new nn.Linear(5, 3), new nn.Linear(5, 3, { bias: false })) },
};
for (const name of ['spectral-norm', 'spectral-norm-conv', 'spectral-norm-transposed']) {
  cases[`${name}-eval`] = { ...cases[name]!, eval: true };
}
test.each(Object.entries(cases))('%s', (name, layer) => compareLayer(name, layer, 'wrapped'));

describe('parametrizations', () => {
  test('keep the value that there was, and give it back', () => {
    manualSeed(1);
    const layer = new nn.Conv2d(2, 3, 3);
    const before = values(layer.weight);
    nn.weightNorm(layer);
    values(layer.weight).forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 6));
    expect([nn.isParametrized(layer), nn.isParametrized(layer, 'bias')]).toEqual([true, false]);
    nn.removeParametrizations(layer, 'weight');
    expect(Object.keys(layer.stateDict()).sort()).toEqual(['bias', 'weight']);
    values(layer.weight).forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 6));
    expect(layer.weight.requiresGrad).toBe(true);
  });

  test('the largest singular value becomes 1', () => {
    manualSeed(2);
    const layer = nn.spectralNorm(new nn.Linear(6, 4), 'weight', { iterations: 50 });
    const weight = layer.weight as AnyTensor; // a read in training runs the power method
    expect(weight.square().sum().itemSync()).toBeGreaterThan(1);
    expect(Math.max(...values(nn.removeParametrizations(layer, 'weight').weight.svdvals() as AnyTensor))).toBeCloseTo(
      1,
      4,
    );
  });

  test('are converted, trained and loaded with the module', () => {
    manualSeed(3);
    const layer = nn.weightNorm(new nn.Linear(4, 2)).to('float64');
    expect((layer.weight as AnyTensor).dtype).toBe('float64');
    const before = values(layer.weight);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    layer
      .forward(ones([1, 4], { dtype: 'float64' }))
      .sum()
      .backward();
    optimizer.step();
    expect(values(layer.weight)).not.toEqual(before);
    const other = nn.weightNorm(new nn.Linear(4, 2)).to('float64');
    other.loadStateDict(layer.stateDict());
    expect(values(other.weight)).toEqual(values(layer.weight));
  });

  test('a chain of own ones', () => {
    class Symmetric extends nn.Parametrization {
      forward(x: AnyTensor): AnyTensor {
        return (x.triu() as AnyTensor).add((x.triu(1) as AnyTensor).transpose());
      }
    }
    class Doubled extends nn.Parametrization {
      forward(x: AnyTensor): AnyTensor {
        return x.mul(2);
      }
    }
    const layer = new nn.Linear(2, 2, { bias: false });
    nn.parametrize(nn.parametrize(layer, 'weight', new Symmetric()), 'weight', new Doubled());
    layer.loadStateDict({
      'parametrizations.weight.original': tensor([
        [1, 2],
        [9, 3],
      ]),
    });
    expect((layer.weight as AnyTensor).toArraySync()).toEqual([
      [2, 4],
      [4, 6],
    ]);
  });

  test.each<[() => unknown, string]>([
    [
      () => nn.weightNorm(new nn.Linear(2, 2), 'wheight'),
      'weightNorm: name: got wheight of Linear, expected weight, bias',
    ],
    [() => nn.weightNorm(new nn.ReLU()), 'weightNorm: name: got weight of ReLU, expected a parameter'],
    [
      () => nn.spectralNorm(new nn.Linear(2, 2), 'bias'),
      'spectralNorm: name: got bias of shape [2], expected a matrix',
    ],
    [
      () => nn.weightNorm(nn.weightNorm(new nn.Linear(2, 2))),
      'parametrize: parametrization: got WeightNorm of 2 tensors, expected one of a single tensor behind others',
    ],
    [
      () => nn.removeParametrizations(new nn.Linear(2, 2), 'weight'),
      'removeParametrizations: name: got weight of Linear, expected a parametrised one',
    ],
  ])('refused: %#', (call, message) => expect(call).toThrow(new Error(message)));
});

describe('pruning', () => {
  test.each<[string, (layer: nn.Module) => nn.Module, () => nn.Module]>([
    ['pruned-conv', (layer) => nn.prune.channels(layer, 0.5), () => new nn.Conv2d(3, 6, 3)],
    [
      'pruned-conv-inputs',
      (layer) => nn.prune.channels(layer, 0.5, { axis: 1, order: 1 }),
      () => new nn.Conv2d(4, 2, 3),
    ],
    ['pruned-linear', (layer) => nn.prune.channels(layer, 2, { order: Infinity }), () => new nn.Linear(6, 5)],
  ])('%s: PyTorch masks the same channels', async (name, prune, make) => {
    const layer = make();
    layer.loadStateDict(await golden(`${name}/before`, 'wrapped'));
    prune(layer);
    const { 'state.weight_mask': mask } = await golden(name, 'wrapped');
    expect(values(layer.stateDict()['weight_mask']!)).toEqual(values(mask!));
  });

  test('2 of 4 keeps the larger half of each four inputs', () => {
    const layer = new nn.Linear(8, 1, { bias: false });
    layer.loadStateDict({ weight: tensor([[1, -4, 3, 2, 0.5, 0.1, 0.2, -0.3]]) });
    nn.prune.nOfM(layer);
    expect((layer.weight as AnyTensor).toArraySync()).toEqual([[0, -4, 3, 0, 0.5, 0, 0, expect.closeTo(-0.3)]]);
    const conv = nn.prune.nOfM(new nn.Conv2d(8, 3, 3), 1, 4);
    const kept = conv.stateDict()['weight_mask']!.reshape([3, 2, 4, 9]).sum(2) as AnyTensor;
    expect(values(kept)).toEqual(new Array(54).fill(1));
  });

  test('a mask stops gradients, is replaced by the next, and can be made final', () => {
    const layer = new nn.Linear(4, 1, { bias: false });
    layer.loadStateDict({ weight: tensor([[1, 2, 3, 4]]) });
    nn.prune.nOfM(layer, 3, 4);
    layer
      .forward(ones([1, 4]))
      .sum()
      .backward();
    expect(layer.parameters().map((parameter) => parameter.grad!.toArraySync())).toEqual([[[0, 1, 1, 1]]]);
    nn.prune.nOfM(layer, 2, 4);
    expect(nn.prune.isPruned(layer)).toBe(true);
    nn.prune.remove(layer);
    expect([layer.weight.toArraySync(), Object.keys(layer.stateDict())]).toEqual([[[0, 0, 3, 4]], ['weight']]);
    expect(layer.weight).toBeInstanceOf(nn.Parameter);
  });

  test.each<[() => unknown, string]>([
    [() => nn.prune.channels(new nn.ReLU(), 0.5), 'channels: name: got weight of ReLU, expected a parameter'],
    [
      () => nn.prune.channels(new nn.Linear(2, 4), 4),
      'channels: amount: got 4, expected a share of the 4 channels, or fewer',
    ],
    [
      () => nn.prune.nOfM(new nn.Linear(6, 4)),
      'nOfM: got 2 of 4 for shape [4, 6], expected inputs (axis 1) that divide by m, and n of at most m',
    ],
    [() => nn.prune.remove(new nn.Linear(6, 4)), 'remove: name: got weight of Linear, expected a masked one'],
  ])('refused: %#', (call, message) => expect(call).toThrow(new Error(message)));
});

describe('weights of recurrent layers', () => {
  const layers: [string, () => nn.LSTM | nn.GRU | nn.RNN][] = [
    ['LSTM', () => new nn.LSTM(3, 4, { bidirectional: true, layers: 2, projection: 2 })],
    ['GRU', () => new nn.GRU(3, 4, { layers: 2, batchFirst: true })],
    ['RNN', () => new nn.RNN(3, 4, { bias: false })],
  ];
  const outputOf = (layer: nn.LSTM | nn.GRU | nn.RNN, x: AnyTensor): AnyTensor => layer.forward(x).output;

  test.each(layers)('%s: weight norm changes nothing but what is trained', (_, make) => {
    manualSeed(6);
    const layer = make();
    const x = randn([5, 2, 3]);
    const [before, names] = [values(outputOf(layer, x)), Object.keys(layer.stateDict())];
    const { weightHh } = layer.weights[0]!;
    nn.weightNorm(layer, 'weight_hh_l0');
    values(outputOf(layer, x)).forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 6));
    const original = 'parametrizations.weight_hh_l0.original';
    expect(Object.keys(layer.stateDict())).toEqual([
      ...names.filter((name) => name !== 'weight_hh_l0'),
      `${original}0`,
      `${original}1`,
    ]);
    // The gradient of the lengths by that of the whole matrix W = g·V / ‖V‖: the products of each row's with its direction.
    outputOf(layer, x).square().sum().backward();
    const lengths = layer.namedParameters().find(([name]) => name === `${original}0`)![1].grad!;
    nn.removeParametrizations(layer, 'weight_hh_l0');
    expect(Object.keys(layer.stateDict())).toEqual(names);
    layer.zeroGrad();
    outputOf(layer, x).square().sum().backward();
    const direction = weightHh.div(weightHh.square().sum(1, { keepDims: true }).sqrt()).detach();
    expectNear(
      lengths,
      layer.weights[0]!.weightHh.grad!.mul(direction).sum(1, { keepDims: true }) as AnyTensor,
      'gradient of the lengths',
      1e-5,
    );
  });

  test('spectral norm, read once in a pass however long the sequence', () => {
    manualSeed(7);
    const layer = nn.spectralNorm(new nn.LSTM(3, 4), 'weight_hh_l0');
    let reads = 0;
    layer
      .namedModules()
      .at(-1)![1]
      .registerForwardHook(() => void reads++);
    layer.forward(randn([9, 2, 3]));
    expect(reads).toBe(1);
    const { weightHh } = layer.eval().weights[0]!;
    expect(Math.max(...values(weightHh.svdvals() as AnyTensor))).toBeCloseTo(1, 2);
  });

  test('masks', () => {
    manualSeed(8);
    const layer = nn.prune.nOfM(new nn.GRU(4, 8), 2, 4, 'weight_hh_l0');
    expect(Object.keys(layer.stateDict())).toEqual([
      'weight_ih_l0',
      'bias_ih_l0',
      'bias_hh_l0',
      'weight_hh_l0_orig',
      'weight_hh_l0_mask',
    ]);
    layer
      .forward(randn([3, 2, 4]))
      .output.sum()
      .backward();
    const { weight_hh_l0_orig: original, weight_hh_l0_mask: mask } = layer.stateDict();
    const isMasked = values(mask!).map((value) => value === 0);
    expect(isMasked.filter(Boolean)).toHaveLength(24 * 4);
    values(original!.grad!).forEach((value, i) => expect(value === 0).toBe(isMasked[i]));
    nn.prune.remove(layer, 'weight_hh_l0');
    values(layer.weights[0]!.weightHh).forEach((value, i) => expect(value === 0).toBe(isMasked[i]));
    expect(layer.to('float64').weights[0]!.weightHh.dtype).toBe('float64');
  });

  test('adapters, and cells', () => {
    manualSeed(9);
    const layer = new nn.LSTM(3, 4);
    const adapters = nn.lora(layer, { rank: 2, match: /weight_hh/ });
    expect(adapters.names).toEqual(['weight_hh_l0']);
    layer
      .forward(randn([3, 2, 3]))
      .output.sum()
      .backward();
    expect(adapters.parameters().map(({ grad }) => grad!.shape)).toEqual([
      [2, 4],
      [16, 2],
    ]);
    const cell = new nn.GRUCell(3, 4);
    const x = randn([2, 3]);
    const before = values(cell.forward(x));
    values(nn.weightNorm(cell, 'weight_ih').forward(x)).forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 6));
  });

  test('refused', () => {
    expect(() => nn.weightNorm(new nn.RNN(2, 2, { bias: false }), 'weight')).toThrow(
      new Error('weightNorm: name: got weight of RNN, expected weight_ih_l0, weight_hh_l0'),
    );
  });
});

describe('adapters of low rank', () => {
  class Model extends nn.Module {
    readonly linear = new nn.Linear(5, 3);
    forward(x: AnyTensor): AnyTensor {
      return this.linear.forward(x);
    }
  }

  test('output and gradients of W + (α / r)·B·A', async () => {
    const parts = await golden('lora', 'wrapped');
    const model = new Model();
    model.loadStateDict({ 'linear.weight': parts['state.linear.weight']!, 'linear.bias': parts['state.linear.bias']! });
    const adapters = nn.lora(model, { rank: 2, alpha: 3 });
    const prefix = 'linear.parametrizations.weight.0.lora_';
    adapters.loadStateDict({ [`${prefix}A`]: parts['state.A']!, [`${prefix}B`]: parts['state.B']! });
    const x = parts['x0']!.clone().requiresGrad_();
    const y = model.forward(x);
    expectNear(y, parts['y']!, 'y');
    y.mul(tensor(Float32Array.from({ length: y.size }, (_, i) => Math.sin(i))).reshape(y.shape))
      .sum()
      .backward();
    expectNear(x.grad, parts['g0']!, 'gradient of x');
    const [a, b] = adapters.parameters();
    expectNear(a!.grad, parts['g.A']!, 'gradient of A');
    expectNear(b!.grad, parts['g.B']!, 'gradient of B');
    expect(model.parameters().filter(({ requiresGrad }) => requiresGrad)).toEqual([a, b]);
  });

  test('start without effect, are all that is trained and saved, and merge', () => {
    manualSeed(4);
    const model = new nn.TransformerEncoderLayer(8, 2, { dropout: 0 });
    const x = randn([2, 3, 8]);
    const before = values(model.forward(x));
    const weights = model.linear1.weight.clone();
    const adapters = nn.lora(model, { rank: 2, match: /self_attn.in_proj|linear1/ });
    expect(adapters.names).toEqual(['self_attn.in_proj_weight', 'linear1.weight']);
    expect(values(model.forward(x))).toEqual(before);
    expect(Object.keys(adapters.stateDict())).toEqual([
      'self_attn.parametrizations.in_proj_weight.0.lora_A',
      'self_attn.parametrizations.in_proj_weight.0.lora_B',
      'linear1.parametrizations.weight.0.lora_A',
      'linear1.parametrizations.weight.0.lora_B',
    ]);
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.1 });
    model.forward(x).square().sum().backward();
    optimizer.step();
    const after = values(model.forward(x));
    expect(after).not.toEqual(before);
    const original = model.stateDict()['linear1.parametrizations.weight.original']!;
    expect(values(original)).toEqual(values(weights));
    const names = Object.keys(new nn.TransformerEncoderLayer(8, 2).stateDict()).sort();
    expect(Object.keys(adapters.merge().stateDict()).sort()).toEqual(names);
    values(model.forward(x)).forEach((value, i) => expect(value).toBeCloseTo(after[i]!, 5));
  });

  test('refused', () => {
    expect(() => nn.lora(new Model(), { match: /attention/ })).toThrow(
      new Error('lora: match: got attention, expected one that fits any of linear.weight [3, 5]'),
    );
    expect(() => nn.lora(new Model(), { rank: 0 })).toThrow(
      new Error('lora: rank: got 0, expected a positive integer'),
    );
  });
});

describe('mixtures of experts', () => {
  test.each([['mixture-1'], ['mixture-2'], ['mixture-2-roomy']])('%s leaves out as many rows', async (name) => {
    const parts = await golden(name, 'wrapped');
    const module = cases[name]!.make() as nn.MixtureOfExperts;
    module.loadStateDict(
      Object.fromEntries(
        Object.entries(parts).flatMap(([key, x]) => (key.startsWith('state.') ? [[key.slice(6), x]] : [])),
      ),
    );
    expect(module.forward(parts['x0']!).dropped.itemSync()).toBeCloseTo(parts['dropped']!.itemSync() as number, 6);
  });

  test('gradients', () => {
    manualSeed(5);
    const module = new nn.MixtureOfExperts(3, { experts: 3, topK: 2, hidden: 2, capacityFactor: 1 }).to('float64');
    const x = randn([5, 3], { dtype: 'float64' }).requiresGrad_();
    gradcheck(
      (y: AnyTensor) => {
        const { output, balanceLoss } = module.forward(y);
        return output.add(balanceLoss);
      },
      [x],
    );
  });

  test('the loss of balance is 1 when all are used alike, and the number of experts when one is', () => {
    const module = new nn.MixtureOfExperts(4, { experts: 4, topK: 1 });
    const scores = noGrad(() =>
      tensor([
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
      ]).mul(100),
    );
    module.loadStateDict({ 'gate.weight': scores }, { strict: false });
    const balance = (x: AnyTensor): number => module.forward(x).balanceLoss.itemSync() as number;
    const all = tensor([
      [1, 0, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
    ]);
    expect(balance(all)).toBeCloseTo(1, 5);
    expect(balance(all.slice(0, 0, 1).expand([4, 4]) as AnyTensor)).toBeCloseTo(4, 5);
  });

  test('noise changes which experts are chosen, in training only', () => {
    manualSeed(6);
    const module = new nn.MixtureOfExperts(4, { experts: 8, noise: true });
    const x = randn([16, 4]);
    const run = (): number[] => values(module.forward(x).output);
    expect(run()).not.toEqual(run());
    module.eval();
    expect(run()).toEqual(run());
  });

  test.each<[() => unknown, string]>([
    [
      () => new nn.MixtureOfExperts(4, { experts: 2, topK: 3 }),
      'MixtureOfExperts: topK: got 3, expected at most the 2 experts',
    ],
    [
      () => new nn.MixtureOfExperts(4, { experts: 2, capacityFactor: 0 }),
      'MixtureOfExperts: capacityFactor: got 0, expected a positive number',
    ],
    [
      () => new nn.MixtureOfExperts(4, { experts: 2 }).forward(ones([2, 3])),
      'MixtureOfExperts: x: got shape [2, 3], expected [..., 4]',
    ],
  ])('refused: %#', (call, message) => expect(call).toThrow(new Error(message)));
});

describe('containers', () => {
  test('lists and dictionaries of modules are modules', () => {
    const list = new nn.ModuleList([new nn.Linear(2, 3)]);
    expect(list.push(new nn.Linear(3, 1))).toBe(2);
    expect([list.length, list.at(-1)!.toString()]).toEqual([2, 'Linear(3 → 1)']);
    expect(Object.keys(list.stateDict())).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
    expect([...list].reduce((x: AnyTensor, layer) => layer.forward(x), ones([4, 2])).shape).toEqual([4, 1]);
    const heads = new nn.ModuleDict({ left: new nn.Linear(2, 3), camelCase: new nn.Linear(2, 1) });
    expect(heads.namedParameters().map(([name]) => name)).toEqual([
      'left.weight',
      'left.bias',
      'camelCase.weight',
      'camelCase.bias',
    ]);
    expect([heads.size, heads.has('left'), [...heads].map(([key]) => key)]).toEqual([2, true, ['left', 'camelCase']]);
    expect(heads.to('float64').get('left').parameters()[0]!.dtype).toBe('float64');
  });

  test('lists and dictionaries of parameters are modules', () => {
    const list = new nn.ParameterList([tensor([1, 2])]);
    expect(list.push(new nn.Parameter(ones([3])))).toBe(2);
    expect([list.length, list.at(-1)!.shape, [...list].map((p) => p.requiresGrad)]).toEqual([2, [3], [true, true]]);
    expect(Object.keys(list.stateDict())).toEqual(['0', '1']);
    const gains = new nn.ParameterDict({ left: ones([2]), camelCase: ones([1]) });
    expect(gains.namedParameters().map(([name]) => name)).toEqual(['left', 'camelCase']);
    expect([gains.size, gains.has('left'), gains.has('toString'), [...gains].map(([key]) => key)]).toEqual([
      2,
      true,
      false,
      ['left', 'camelCase'],
    ]);
    gains.loadStateDict({ left: tensor([3, 4]), camelCase: tensor([5]) });
    gains.get('left').sum().backward();
    expect([gains.get('left').toArraySync(), gains.get('left').grad!.toArraySync()]).toEqual([
      [3, 4],
      [1, 1],
    ]);
    expect([gains.to('float64').get('left').dtype, list.to('float64').at(0)!.dtype]).toEqual(['float64', 'float64']);
  });

  test('an adaptive softmax is one over all classes', () => {
    const softmax = new nn.AdaptiveLogSoftmaxWithLoss(8, 11, [2, 5], { divValue: 2 });
    const [x, target] = [randn([6, 8]), tensor([0, 2, 10, 1, 4, 5], { dtype: 'int32' })];
    const all = softmax.logProb(x);
    const { output, loss } = softmax.forward(x, target);
    const close = (a: AnyTensor, b: AnyTensor): void => expect(allCloseSync(a, b, { atol: 1e-5 })).toBe(true);
    close(all.exp().sum(1), ones([6]));
    close(output, all.takeAlongAxis(target.unsqueeze(1), 1).squeeze(1));
    close(loss, output.mean().neg());
    expect(softmax.predict(x).toArraySync()).toEqual(all.argmax(1).toArraySync());
    close(softmax.forward(x.select(0, 2), target.select(0, 2)).output, output.select(0, 2));
    expect(Object.keys(softmax.stateDict())).toEqual([
      'head.weight',
      'tail.0.0.weight',
      'tail.0.1.weight',
      'tail.1.0.weight',
      'tail.1.1.weight',
    ]);
    expect(() => softmax.forward(x, target.add(1)).loss.itemSync()).toThrow(IndexError);
  });

  test('layers of functions, of nothing, and around others', () => {
    const square = new nn.Lambda((x) => x.square());
    expect(square.forward(tensor([3])).toArraySync()).toEqual([9]);
    const x = tensor([[1, 2]]);
    expect(new nn.Identity().forward(x)).toBe(x);
    expect(new nn.Residual(square).forward(x).toArraySync()).toEqual([[2, 6]]);
  });

  test.each<[() => unknown, string]>([
    [() => new nn.ModuleList([3 as never]), 'ModuleList: modules[0]: got number 3, expected a module'],
    [() => new nn.ModuleDict({ a: {} as never }), 'ModuleDict: modules.a: got an object, expected a module'],
    [() => new nn.ModuleDict({ 'a.b': new nn.ReLU() }), 'ModuleDict: key: got a.b, expected a name without dots'],
    [() => new nn.ModuleDict({ a: new nn.ReLU() }).get('b'), 'ModuleDict: key: got b, expected a'],
    [
      () => new nn.ParameterList([3 as never]),
      'ParameterList: parameters[0]: got number 3, expected a parameter or a floating tensor',
    ],
    [
      () => new nn.ParameterDict({ a: zeros([1], { dtype: 'int32' }) }),
      'ParameterDict: parameters.a: got a tensor of int32, expected a parameter or a floating tensor',
    ],
    [() => new nn.ParameterDict({ a: ones([1]) }).get('b'), 'ParameterDict: key: got b, expected a'],
    [
      () => new nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 10]),
      'AdaptiveLogSoftmaxWithLoss: cutoffs: got [2, 10], expected integers that rise from 1 to 9 at most',
    ],
    [
      () => new nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 5], { divValue: 4 }),
      'AdaptiveLogSoftmaxWithLoss: divValue: got 4, expected a number of at least 1 that leaves 2 clusters inputs of 8',
    ],
    [() => new nn.Lambda(3 as never), 'Lambda: f: got number 3, expected a function'],
    [() => new nn.Residual(undefined as never), 'Residual: block: got undefined, expected a module'],
    [() => new nn.Sequential({} as never), 'Sequential: layers[0]: got an object, expected a module'],
  ])('refused: %#', (call, message) => expect(call).toThrow(new Error(message)));
});
