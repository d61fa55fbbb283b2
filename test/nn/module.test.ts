// What all modules share: finding their parts, state dicts, modes, hooks, conversion and printing.
import { cat, manualSeed, nn, noGrad, ones, randn, scope, tensor, zeros, type AnyTensor } from '../../lib/index';

class Scale extends nn.Module {
  readonly factor = new nn.Parameter(ones([1]));
  readonly runningMean = zeros([2]);
  forward(x: AnyTensor): AnyTensor {
    return x.mul(this.factor);
  }
}

/** Parts in arrays, records and fields, one of them twice. */
class Network extends nn.Module {
  readonly inputProjection = new nn.Linear(2, 3);
  readonly blocks = [new Scale(), new Scale()];
  readonly heads = { left: new nn.Linear(3, 1), right: new nn.Linear(3, 1, { bias: false }) };
  readonly weights = [new nn.Parameter(ones([2])), new nn.Parameter(zeros([]))];
  readonly settings = { rate: 3, names: ['a'] };
  readonly nothing = undefined;
  forward(x: AnyTensor): AnyTensor {
    return this.blocks.reduce((y: AnyTensor, block) => block.forward(y), this.inputProjection.forward(x));
  }
}

test('parameters, buffers and children are found, in the order of fields, under names like PyTorch’s', () => {
  const network = new Network();
  expect(network.namedParameters().map(([name]) => name)).toEqual([
    'weights.0',
    'weights.1',
    'input_projection.weight',
    'input_projection.bias',
    'blocks.0.factor',
    'blocks.1.factor',
    'heads.left.weight',
    'heads.left.bias',
    'heads.right.weight',
  ]);
  expect(network.parameters()).toEqual(network.namedParameters().map(([, parameter]) => parameter));
  expect(network.namedBuffers().map(([name]) => name)).toEqual(['blocks.0.running_mean', 'blocks.1.running_mean']);
  expect(network.namedModules().map(([name, module]) => [name, module.constructor.name])).toEqual([
    ['', 'Network'],
    ['input_projection', 'Linear'],
    ['blocks.0', 'Scale'],
    ['blocks.1', 'Scale'],
    ['heads.left', 'Linear'],
    ['heads.right', 'Linear'],
  ]);
  expect(network.modules()).toEqual(network.namedModules().map(([, module]) => module));
  expect(network.children()).toEqual(network.modules().slice(1));
});

test('a module that contains itself is walked once', () => {
  const network = new Network() as Network & { self?: nn.Module };
  network.self = network;
  expect(network.namedModules()).toHaveLength(6);
  expect(network.namedParameters()).toHaveLength(9);
});

describe('tied weights', () => {
  class Tied extends nn.Module {
    readonly embedding = new nn.Embedding(5, 4);
    readonly head = new nn.Linear(4, 5, { bias: false });
    constructor() {
      super();
      this.head.weight = this.embedding.weight;
    }
    forward(index: AnyTensor): AnyTensor {
      return this.head.forward(this.embedding.forward(index));
    }
  }

  test('are one parameter with both names in the state dict, and collect both gradients', () => {
    const model = new Tied();
    expect(model.namedParameters().map(([name]) => name)).toEqual(['embedding.weight']);
    expect(Object.keys(model.stateDict())).toEqual(['embedding.weight', 'head.weight']);
    model.loadStateDict({ 'embedding.weight': ones([5, 4]), 'head.weight': ones([5, 4]) });
    model
      .forward(tensor([2], { dtype: 'int32' }))
      .sum()
      .backward();
    // Row 2 feeds 5 outputs of weight 1 each, and every row of the head sees an input of ones.
    expect(model.embedding.weight.grad!.toArraySync()).toEqual([
      [1, 1, 1, 1],
      [1, 1, 1, 1],
      [6, 6, 6, 6],
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ]);
  });

  test('stay tied through to()', () => {
    const model = new Tied().to('float64');
    expect(model.head.weight).toBe(model.embedding.weight);
    expect(model.head.weight.dtype).toBe('float64');
  });
});

describe('state dicts', () => {
  const make = (): nn.Sequential => new nn.Sequential(new nn.Linear(2, 2), new nn.BatchNorm1d(2));

  test('carry a model over: the same outputs', () => {
    manualSeed(3);
    const [a, b] = [make(), make()];
    const x = randn([4, 2]);
    a.forward(x);
    expect(b.loadStateDict(a.stateDict())).toEqual({ missing: [], unexpected: [] });
    expect(Object.keys(a.stateDict())).toEqual([
      '0.weight',
      '0.bias',
      '1.weight',
      '1.bias',
      '1.running_mean',
      '1.running_var',
      '1.num_batches_tracked',
    ]);
    expect(b.eval().forward(x).dataSync()).toEqual(a.eval().forward(x).dataSync());
    expect(b.stateDict()['1.num_batches_tracked']!.itemSync()).toBe(1);
  });

  test('are in snake case, but for names that begin with a capital', () => {
    class Scores extends nn.Module {
      readonly W = new nn.Parameter(ones([2, 3]));
      readonly LayerNorm = new nn.LayerNorm(3, { bias: false });
      readonly headScale = new nn.Parameter(ones([3]));
    }
    const scores = new Scores();
    expect(Object.keys(scores.stateDict())).toEqual(['W', 'head_scale', 'LayerNorm.weight']);
    nn.weightNorm(scores, 'W');
    expect(Object.keys(scores.stateDict())).toContain('parametrizations.W.original0');
  });

  test('are copied, and converted to the module’s dtypes', () => {
    const layer = new nn.Linear(2, 1, { bias: false });
    const weight = tensor([[1.5, 2.5]], { dtype: 'float64' });
    layer.loadStateDict({ weight });
    expect([layer.weight.dtype, layer.weight.toArraySync()]).toEqual(['float32', [[1.5, 2.5]]]);
    noGrad(() => layer.weight.mul_(2));
    expect(weight.toArraySync()).toEqual([[1.5, 2.5]]);
  });

  test('with other names are refused, unless strict is false', () => {
    const layer = new nn.Linear(2, 1);
    const dict = { weight: ones([1, 2]), scale: ones([1]), shift: ones([1]) };
    expect(() => layer.loadStateDict(dict)).toThrow(
      new Error('loadStateDict: names differ: missing [bias], unexpected [scale, shift]'),
    );
    expect(layer.weight.toArraySync()).not.toEqual([[1, 1]]);
    expect(layer.loadStateDict(dict, { strict: false })).toEqual({ missing: ['bias'], unexpected: ['scale', 'shift'] });
    expect(layer.weight.toArraySync()).toEqual([[1, 1]]);
  });

  test('with other shapes are refused, and nothing changes', () => {
    const layer = new nn.Linear(2, 1);
    const before = layer.weight.toArraySync();
    expect(() => layer.loadStateDict({ weight: ones([1, 2]), bias: ones([2]) })).toThrow(
      new Error('loadStateDict: shapes differ: bias: got [2], expected [1]'),
    );
    expect(() => layer.loadStateDict({ weight: ones([2]), bias: ones([2]) }, { strict: false })).toThrow(
      new Error('loadStateDict: shapes differ: weight: got [2], expected [1, 2]; bias: got [2], expected [1]'),
    );
    expect(layer.weight.toArraySync()).toEqual(before);
  });
});

test('it is where its first parameter is, or where others will be made', () => {
  expect([nn.deviceOf(new nn.Linear(2, 3)), nn.deviceOf(new nn.ReLU())]).toEqual(['cpu', 'cpu']);
});

test('train and eval reach everything below', () => {
  const model = new nn.Sequential(new nn.Dropout(0.5), new nn.Sequential(new nn.BatchNorm1d(2)));
  expect(model.eval()).toBe(model);
  expect(model.namedModules().map(([, { training }]) => training)).toEqual([false, false, false, false]);
  model.train();
  expect(model.namedModules().map(([, { training }]) => training)).toEqual([true, true, true, true]);
});

test('batch norm in eval leaves its statistics alone', () => {
  const layer = new nn.BatchNorm1d(2).eval();
  layer.forward(randn([4, 2]));
  expect(layer.runningMean!.toArraySync()).toEqual([0, 0]);
  expect(layer.numBatchesTracked!.itemSync()).toBe(0);
});

test('apply, zeroGrad and requiresGrad_', () => {
  const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 1));
  const names: string[] = [];
  model.apply((module) => names.push(module.constructor.name));
  expect(names).toEqual(['Sequential', 'Linear', 'Linear']);
  model
    .forward(ones([1, 2]))
    .sum()
    .backward();
  expect(model.parameters().every(({ grad }) => grad !== undefined)).toBe(true);
  model.zeroGrad();
  expect(model.parameters().every(({ grad }) => grad === undefined)).toBe(true);
  model.requiresGrad_(false);
  expect(model.forward(ones([1, 2])).requiresGrad).toBe(false);
  model.requiresGrad_();
  expect(model.forward(ones([1, 2])).requiresGrad).toBe(true);
});

describe('a module without forward', () => {
  class ActorCritic extends nn.Module {
    readonly actor = new nn.Linear(4, 2);
    readonly critic = new nn.Linear(4, 1);
    act(x: AnyTensor): AnyTensor {
      return this.actor.forward(x).argmax(-1);
    }
  }
  class Agent extends nn.Module {
    readonly parts = new ActorCritic();
    forward(x: AnyTensor): AnyTensor {
      return this.parts.critic.forward(x);
    }
  }

  test('has parameters, a state, and a place in others and in their summary', () => {
    const agent = new Agent();
    expect(agent.parts.act(ones([3, 4])).shape).toEqual([3]);
    expect(Object.keys(agent.stateDict())[0]).toBe('parts.actor.weight');
    expect(agent.parts.registerForwardHook(() => 0)()).toBeUndefined();
    expect(nn.summary(agent, [3, 4]).parameters).toBe(15);
  });

  test('is refused where it would be called', () => {
    const message = (owner: string, name: string): string =>
      `${owner}: ${name}: got an ActorCritic, expected a module with forward`;
    const module = new ActorCritic() as unknown as nn.Linear;
    expect(() => new nn.Sequential(module)).toThrow(message('Sequential', 'layers[0]'));
    expect(() => new nn.Residual(module)).toThrow(message('Residual', 'block'));
    expect(() => nn.functionalCall(module, {}, ones([3, 4]))).toThrow(message('functionalCall', 'module'));
    expect(() => nn.summary(module, [3, 4])).toThrow(message('summary', 'model'));
  });
});

describe('forward hooks', () => {
  test('see inputs and output, in order, and replace the output', () => {
    const layer = new nn.ReLU();
    const seen: unknown[] = [];
    const x = tensor([-1, 2]);
    layer.registerForwardHook((module, inputs, output) => {
      seen.push(module, inputs[0], (output as AnyTensor).toArraySync());
    });
    layer.registerForwardHook((_, __, output) => (output as AnyTensor).mul(10));
    expect(new nn.Sequential(layer).forward(x).toArraySync()).toEqual([0, 20]);
    expect(seen).toEqual([layer, x, [0, 2]]);
  });

  test('are removed one by one, in any order', () => {
    const layer = new nn.ReLU();
    const add = (amount: number): (() => void) =>
      layer.registerForwardHook((_, __, output) => (output as AnyTensor).add(amount));
    const value = (): number => layer.forward(tensor(1)).itemSync();
    const [first, second] = [add(10), add(100)];
    expect(value()).toBe(111);
    first();
    expect(value()).toBe(101);
    second();
    expect(value()).toBe(1);
    second();
    add(5);
    expect(value()).toBe(6);
  });

  test('do not show in the state', () => {
    const layer = new nn.Linear(1, 1);
    layer.registerForwardHook(() => undefined);
    expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
  });
});

describe('to', () => {
  test('converts floating parameters and buffers, keeps the rest, and the model works on', () => {
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.BatchNorm1d(2));
    model.parameters()[1]!.requiresGrad_(false);
    expect(model.to('float64')).toBe(model);
    expect(Object.values(model.stateDict()).map(({ dtype }) => dtype)).toEqual([
      'float64',
      'float64',
      'float64',
      'float64',
      'float64',
      'float64',
      'int64',
    ]);
    expect(model.parameters().map(({ requiresGrad }) => requiresGrad)).toEqual([true, false, true, true]);
    const y = model.forward(randn([4, 2], { dtype: 'float64' }));
    expect(y.dtype).toBe('float64');
    y.sum().backward();
    expect(model.parameters()[0]!.grad!.dtype).toBe('float64');
  });

  test('leaves tensors that have the dtype already as they are', () => {
    const layer = new nn.Linear(1, 1);
    const { weight } = layer;
    expect(layer.to('float32').weight).toBe(weight);
  });

  test('refuses integers', () => {
    expect(() => new nn.Linear(1, 1).to('int32')).toThrow(new Error('to: dtype: got int32, expected a floating dtype'));
  });
});

test('a parameter is a leaf of its own, and outlives scopes', () => {
  const source = ones([2]).requiresGrad_();
  const parameter = scope(() => new nn.Parameter(source.mul(2)));
  expect([parameter.isLeaf, parameter.requiresGrad, parameter.toArraySync()]).toEqual([true, true, [2, 2]]);
  expect(new nn.Parameter(ones([1]), { requiresGrad: false }).requiresGrad).toBe(false);
  expect(() => new nn.Parameter(ones([1], { dtype: 'int32' }))).toThrow(
    new Error('requiresGrad_: dtype: got int32, expected a floating dtype'),
  );
});

test('printing', () => {
  const model = new nn.Sequential(
    new nn.Conv2d(1, 4, [3, 2]),
    new nn.Sequential(new nn.BatchNorm2d(4), new nn.ReLU(), new nn.MaxPool2d(2)),
    new nn.Flatten(),
    new nn.Linear(8, 2, { bias: false }),
    new nn.MultiHeadAttention(4, 2),
  );
  expect(String(model)).toBe(
    `Sequential(
  (0): Conv2d(1 → 4, kernel [3,2])
  (1): Sequential(
    (0): BatchNorm2d(4)
    (1): ReLU()
    (2): MaxPool2d(kernel 2)
  )
  (2): Flatten()
  (3): Linear(8 → 2, no bias)
  (4): MultiHeadAttention(4, 2 heads
    (out_proj): Linear(4 → 4)
  )
)`,
  );
});

describe('initialisers', () => {
  const spread = (x: AnyTensor): { mean: number; deviation: number; largest: number } => {
    const values = Array.from(x.dataSync(), Number);
    const mean = values.reduce((a, b) => a + b) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
    return { mean, deviation, largest: Math.max(...values.map(Math.abs)) };
  };
  const { init } = nn;

  test.each([
    ['xavierUniform_', init.xavierUniform_, Math.sqrt(2 / 300), Math.sqrt(6 / 300)],
    ['xavierNormal_', init.xavierNormal_, Math.sqrt(2 / 300), Infinity],
    ['heUniform_', init.heUniform_, Math.sqrt(2 / 200), Math.sqrt(6 / 200)],
    ['heNormal_', init.heNormal_, Math.sqrt(2 / 200), Infinity],
  ] as const)('%s has its deviation and stays within its bound', (_, fill, expected, bound) => {
    manualSeed(5);
    const { mean, deviation, largest } = spread(fill(zeros([100, 200])));
    expect(Math.abs(mean)).toBeLessThan((5 * expected) / Math.sqrt(20000));
    expect(Math.abs(deviation / expected - 1)).toBeLessThan(0.03);
    expect(largest).toBeLessThanOrEqual(bound);
    if (bound < Infinity) expect(largest).toBeGreaterThan(0.99 * bound);
  });

  test('layers start as in PyTorch', () => {
    manualSeed(6);
    const linear = new nn.Linear(400, 100);
    expect(spread(linear.weight).largest).toBeLessThanOrEqual(1 / 20);
    expect(spread(linear.weight).largest).toBeGreaterThan(0.99 / 20);
    const conv = new nn.Conv2d(16, 64, 5);
    expect(spread(conv.weight).largest).toBeLessThanOrEqual(1 / 20);
    expect(spread(conv.weight).largest).toBeGreaterThan(0.99 / 20);
    const embedding = new nn.Embedding(100, 50, { paddingIndex: 3 });
    expect(Math.abs(spread(embedding.weight).deviation - Math.sqrt(0.99))).toBeLessThan(0.03);
    expect(spread(embedding.weight.select(0, 3)).largest).toBe(0);
  });

  test.each([[[3, 5]], [[5, 3]], [[4, 4]], [[4, 2, 3, 3]], [[9, 2, 3]]])('orthogonal_ of %j', (shape) => {
    const q = init.orthogonal_(zeros(shape), 2).flatten(1) as AnyTensor;
    const [rows, columns] = q.shape as [number, number];
    const product = rows <= columns ? q.matmul(q.transpose()) : q.transpose().matmul(q);
    const size = Math.min(rows, columns);
    product.dataSync().forEach((value: number | bigint, i: number) => {
      expect(Number(value)).toBeCloseTo(i % (size + 1) === 0 ? 4 : 0, 5);
    });
  });

  test('orthogonal_ is uniform over the directions', () => {
    manualSeed(4);
    const corners = Array.from({ length: 200 }, () => init.orthogonal_(zeros([2, 2])).dataSync()[0]!);
    // The cosine of a uniform angle.
    expect(Math.abs(corners.reduce((sum, value) => sum + value, 0) / 200)).toBeLessThan(0.2);
    expect(Math.abs(corners.filter((value) => value > Math.SQRT1_2).length / 200 - 0.25)).toBeLessThan(0.12);
    expect(Math.abs(corners.filter((value) => value < 0).length / 200 - 0.5)).toBeLessThan(0.14);
  });

  test('eye_ and dirac_', () => {
    expect(init.eye_(zeros([2, 3])).toArraySync()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const x = randn([2, 4, 5, 6]) as AnyTensor;
    const kernel = init.dirac_(zeros([4, 4, 3, 3]));
    expect(nn.functional.conv2d(x, kernel, undefined, { padding: 1 }).toArraySync()).toEqual(x.toArraySync());
    const grouped = init.dirac_(zeros([4, 2, 3, 3]), 2);
    const passed = nn.functional.conv2d(x, grouped, undefined, { padding: 1, groups: 2 });
    expect(passed.toArraySync()).toEqual(x.toArraySync());
  });

  test('sparse_ leaves so many numbers in each column', () => {
    const x = init.sparse_(zeros([10, 4]), 0.25, 2) as AnyTensor;
    expect(x.notEqual(0).cast('int32').sum(0).toArraySync()).toEqual([7, 7, 7, 7]);
    expect(x.abs().max().itemSync()).toBeGreaterThan(1);
  });

  test('what they refuse', () => {
    expect(() => init.eye_(zeros([3]))).toThrow('eye_: got shape [3], expected two axes');
    expect(() => init.dirac_(zeros([3, 3]))).toThrow('dirac_: got shape [3, 3], expected three to five axes');
    expect(() => init.dirac_(zeros([3, 3, 3]), 2)).toThrow(
      'dirac_: groups: got 2, expected a divisor of the 3 outputs',
    );
    expect(() => init.sparse_(zeros([3, 3]), 2)).toThrow('sparse_: sparsity: got 2, expected a number from 0 to 1');
    expect(() => init.xavierUniform_(zeros([3]))).toThrow(
      new Error('init: fans: got shape [3], expected at least two axes'),
    );
    expect(() => init.calculateGain('gelu' as 'relu')).toThrow(
      new Error('calculateGain: nonlinearity: got gelu, expected linear, conv, sigmoid, tanh, relu, leakyRelu, selu'),
    );
    expect(() => init.heNormal_(zeros([2, 2]), { mode: 'fan_out' as 'fanOut' })).toThrow(
      new Error('heNormal_: mode: got fan_out, expected fanIn or fanOut'),
    );
  });
});

test('places given to fractional pooling are a buffer under PyTorch’s name', () => {
  const x = randn([1, 1, 6, 6]);
  const make = (first: number): nn.FractionalMaxPool2d =>
    new nn.FractionalMaxPool2d(2, { outputSize: 3, samples: tensor([[[first, 0.9]]]) });
  const [pool, other] = [make(0.1), make(0.8)];
  const y = pool.forward(x).dataSync();
  expect(pool.forward(x).dataSync()).toEqual(y);
  expect(Object.keys(pool.stateDict())).toEqual(['_random_samples']);
  other.loadStateDict(pool.stateDict());
  expect(other.forwardWithIndices(x)[0].dataSync()).toEqual(y);
  expect(new nn.FractionalMaxPool3d(2, { outputSize: 3 }).stateDict()).toEqual({});
});

test('dropout in attention acts in training only', () => {
  manualSeed(9);
  const layer = new nn.MultiHeadAttention(8, 2, { dropout: 0.5 });
  const x = randn([1, 6, 8]);
  const [a, b] = [layer.forward(x), layer.forward(x)];
  expect(a.dataSync()).not.toEqual(b.dataSync());
  layer.eval();
  const [c, d] = [layer.forward(x), layer.forward(x)];
  expect(c.dataSync()).toEqual(d.dataSync());
});

test('a masked-out key does not matter, as bool and as added mask', () => {
  manualSeed(10);
  const layer = new nn.MultiHeadAttention(8, 2);
  const x = randn([1, 4, 8]);
  const shorter = layer.forward(x.narrow(1, 0, 3));
  const keys = cat([x.narrow(1, 0, 3), x.narrow(1, 3, 1).mul(100)], 1);
  const mask = tensor([true, true, true, false]);
  const added = tensor([0, 0, 0, -Infinity]);
  for (const each of [mask, added]) {
    const y = layer.forward(x.narrow(1, 0, 3), keys, keys, { mask: each });
    const difference = y.sub(shorter).abs().max().itemSync();
    expect(difference).toBeLessThan(1e-6);
  }
});
