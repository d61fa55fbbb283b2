// Every layer against PyTorch: outputs and gradients from the same weights and inputs, and the names of its state.
import {
  allCloseSync,
  compile,
  gradients,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  stack,
  tensor,
  variance,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { compareLayer, type LayerCase } from '../golden/compare-layer';

const attend = (causal: boolean) => (module: nn.MultiHeadAttention, inputs: readonly AnyTensor[]) =>
  module.forward(inputs[0]!, inputs[1], inputs[2], { causal });
const decode = (module: nn.TransformerDecoderLayer, [x, memory]: readonly AnyTensor[]) => module.forward(x!, memory!);
const post = { hidden: 12, dropout: 0 };
const pre = { ...post, normFirst: true };

const cases: Record<string, LayerCase> = {
  linear: { make: () => new nn.Linear(5, 3) },
  'linear-no-bias': { make: () => new nn.Linear(4, 2, { bias: false }) },
  conv2d: {
    make: () => new nn.Conv2d(4, 6, [3, 2], { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 }),
  },
  'conv2d-same': { make: () => new nn.Conv2d(2, 3, [4, 3], { padding: 'same' }) },
  'batch-norm-1d': { make: () => new nn.BatchNorm1d(3) },
  'batch-norm-1d-length': { make: () => new nn.BatchNorm1d(3, { momentum: 0.3, epsilon: 1e-3 }) },
  'batch-norm-2d': { make: () => new nn.BatchNorm2d(3) },
  'batch-norm-2d-eval': { make: () => new nn.BatchNorm2d(3), eval: true },
  'batch-norm-2d-plain': { make: () => new nn.BatchNorm2d(3, { affine: false }) },
  'layer-norm': { make: () => new nn.LayerNorm(6) },
  'layer-norm-2': { make: () => new nn.LayerNorm([4, 6], { epsilon: 1e-3 }) },
  'layer-norm-no-bias': { make: () => new nn.LayerNorm(6, { bias: false }) },
  embedding: { make: () => new nn.Embedding(7, 4, { paddingIndex: 2 }) },
  'max-pool': { make: () => new nn.MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true }) },
  'max-pool-dilated': { make: () => new nn.MaxPool2d([2, 3], { stride: [1, 2], dilation: 2 }) },
  'avg-pool': { make: () => new nn.AvgPool2d(3, { stride: 2, padding: 1 }) },
  'avg-pool-ceil': { make: () => new nn.AvgPool2d([3, 2], { stride: 2, padding: 1, ceilMode: true }) },
  'avg-pool-uncounted': {
    make: () => new nn.AvgPool2d(3, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }),
  },
  attention: { make: () => new nn.MultiHeadAttention(8, 2), call: attend(false) },
  'attention-causal': { make: () => new nn.MultiHeadAttention(8, 2), call: attend(true) },
  'attention-cross': { make: () => new nn.MultiHeadAttention(8, 2), call: attend(false) },
  'encoder-post': { make: () => new nn.TransformerEncoderLayer(8, 2, post) },
  'encoder-pre': { make: () => new nn.TransformerEncoderLayer(8, 2, { ...pre, activation: 'gelu' }) },
  'decoder-post': { make: () => new nn.TransformerDecoderLayer(8, 2, post), call: decode },
  'decoder-pre': { make: () => new nn.TransformerDecoderLayer(8, 2, pre), call: decode },
};

test.each(Object.entries(cases))('%s', (name, layer) => compareLayer(name, layer));

describe('layers without a state', () => {
  const x = (): AnyTensor => tensor([-2, -0.5, 0, 0.5, 2]);

  test.each([
    [new nn.ReLU(), [0, 0, 0, 0.5, 2]],
    [new nn.LeakyReLU(0.1), [-0.2, -0.05, 0, 0.5, 2]],
    [new nn.ELU(2), [-1.7293294, -0.7869387, 0, 0.5, 2]],
    [new nn.GELU(), [-0.0455003, -0.1542688, 0, 0.3457312, 1.9544997]],
    [new nn.GELU({ approximate: 'tanh' }), [-0.0454023, -0.154286, 0, 0.345714, 1.9545977]],
    [new nn.SiLU(), [-0.2384058, -0.1887703, 0, 0.3112297, 1.7615942]],
    [new nn.Mish(), [-0.2525015, -0.2207438, 0, 0.3752452, 1.943959]],
    [new nn.Sigmoid(), [0.1192029, 0.3775407, 0.5, 0.6224593, 0.880797]],
    [new nn.Tanh(), [-0.9640276, -0.4621172, 0, 0.4621172, 0.9640276]],
    [new nn.Softplus(), [0.126928, 0.474077, 0.6931472, 0.974077, 2.126928]],
  ] as const)('%s', (layer, expected) => {
    const y = layer.forward(x()).dataSync() as Float32Array;
    expected.forEach((value, i) => expect(y[i]).toBeCloseTo(value, 6));
  });

  test('Softmax and LogSoftmax', () => {
    const powers = [-2, -0.5, 0, 0.5, 2].map(Math.exp);
    const total = powers.reduce((a, b) => a + b);
    const shares = new nn.Softmax().forward(x()).dataSync();
    const logs = new nn.LogSoftmax(0).forward(x()).dataSync();
    powers.forEach((power, i) => {
      expect(shares[i]).toBeCloseTo(power / total, 6);
      expect(logs[i]).toBeCloseTo(Math.log(power / total), 6);
    });
  });

  test('Flatten keeps the batch, GlobalAvgPool2d takes means', () => {
    const image = tensor(Float32Array.from({ length: 24 }, (_, i) => i)).reshape([2, 3, 2, 2]);
    expect(new nn.Flatten().forward(image).shape).toEqual([2, 12]);
    expect(new nn.GlobalAvgPool2d().forward(image).toArraySync()).toEqual([
      [1.5, 5.5, 9.5],
      [13.5, 17.5, 21.5],
    ]);
  });

  test('Dropout zeroes its share in training, scales the rest, and passes through otherwise', () => {
    manualSeed(1);
    const layer = new nn.Dropout(0.25);
    const values = Array.from(layer.forward(ones([4000])).dataSync(), Number);
    expect(new Set(values.map((value) => value.toFixed(5)))).toEqual(new Set(['0.00000', '1.33333']));
    const dropped = values.filter((value) => value === 0).length;
    expect(Math.abs(dropped - 1000)).toBeLessThan(5 * Math.sqrt(4000 * 0.25 * 0.75));
    expect(
      layer
        .eval()
        .forward(ones([3]))
        .toArraySync(),
    ).toEqual([1, 1, 1]);
  });
});

test('without momentum, running statistics are the means over all batches; eagerly and compiled', () => {
  manualSeed(3);
  const batches = Array.from({ length: 5 }, () => randn([6, 3]));
  const mean = (all: AnyTensor[]): AnyTensor => stack(all).mean(0) as AnyTensor;
  for (const dtype of ['float32', 'float64'] as const) {
    const layer = new nn.BatchNorm1d(3, { momentum: null }).to(dtype);
    const inputs = batches.map((x) => x.cast(dtype) as AnyTensor);
    for (const run of [(x: AnyTensor) => layer.forward(x), compile((x: AnyTensor) => layer.forward(x))]) {
      layer.resetRunningStats();
      for (const x of inputs) run(x);
      const near = (got: AnyTensor, expected: AnyTensor): void =>
        expect(got.sub(expected).abs().max().itemSync()).toBeLessThan(dtype === 'float64' ? 1e-12 : 1e-6);
      near(layer.runningMean!, mean(inputs.map((x) => x.mean(0) as AnyTensor)));
      near(layer.runningVar!, mean(inputs.map((x) => variance(x, 0) as AnyTensor)));
    }
  }
});

test('an empty batch leaves running statistics as they are', () => {
  const layer = new nn.BatchNorm1d(2);
  expect(layer.forward(zeros([0, 2, 3])).shape).toEqual([0, 2, 3]);
  expect([layer.runningMean!, layer.runningVar!].map((x) => x.toArraySync())).toEqual([
    [0, 0],
    [1, 1],
  ]);
});

test.each<[string, nn.Layer]>([
  ['LayerNorm', new nn.LayerNorm(4)],
  ['RMSNorm', new nn.RMSNorm(4)],
  ['BatchNorm1d', new nn.BatchNorm1d(4)],
])('%s: recorded gradients of float16 hold squares that float16 does not', (_, layer) => {
  layer.to('float16');
  const x = tensor(
    [
      [300, -500, 900, 40],
      [-700, 20, 400, 640],
    ],
    { dtype: 'float16', requiresGrad: true },
  );
  const inputs = [x, ...layer.parameters()];
  const loss = layer
    .forward(x)
    .mul(tensor([1, 2, -1, 3], { dtype: 'float16' }))
    .square()
    .sum();
  const [fused, recorded] = [false, true].map((createGraph) =>
    gradients([loss], inputs, { createGraph, retainGraph: true }).map((g) => g!.cast('float32') as AnyTensor),
  );
  for (const [i, g] of fused!.entries()) expect(allCloseSync(recorded![i]!, g, { rtol: 1e-2, atol: 1e-3 })).toBe(true);
});

test('norms without a shift or running statistics', () => {
  for (const layer of [
    new nn.BatchNorm2d(4, { bias: false }),
    new nn.GroupNorm(2, 4, { bias: false }),
    new nn.InstanceNorm2d(4, { affine: true, bias: false, trackRunningStats: true }),
  ]) {
    expect(layer.namedParameters().map(([name]) => name)).toEqual(['weight']);
    layer
      .forward(randn([2, 4, 3, 3]))
      .sum()
      .backward();
  }
  const layer = new nn.BatchNorm1d(3, { trackRunningStats: false });
  expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
  const x = randn([5, 3]).mul(7);
  const trained = layer.forward(x).toArraySync();
  // The batch's own statistics outside training too.
  layer.eval();
  expect(layer.forward(x).toArraySync()).toEqual(trained);
});

test('the last row of a table as its padding', () => {
  const table = new nn.Embedding(3, 2, { paddingIndex: -1 });
  expect(table.weight.select(0, 2).toArraySync()).toEqual([0, 0]);
});

// From PyTorch: nn.Embedding(4, 2, max_norm=1.5, norm_type=p) on these indices, then SGD of the mean square with a rate of 0.5, four times.
test.each([
  [2, [[0.2847656, 0.3796875], [0.3, 0.4], [-6, 8], [0.3355995, -0.3355995]]], // prettier-ignore
  [1, [[0.2034040, 0.2712054], [0.3, 0.4], [-6, 8], [0.2373047, -0.2373047]]], // prettier-ignore
])('a table whose rows are kept within a norm with p = %i, also in compiled steps', (normType, expected) => {
  for (const isCompiled of [false, true]) {
    const table = new nn.Embedding(4, 2, { maxNorm: 1.5, normType });
    noGrad(() => table.weight.copy_(tensor([[3, 4], [0.3, 0.4], [-6, 8], [2, -2]]))); // prettier-ignore
    const optimizer = new optim.SGD([table.weight], { lr: 0.5 });
    const step = (index: AnyTensor): AnyTensor => {
      optimizer.zeroGrad();
      const loss = table.forward(index).square().mean() as AnyTensor;
      loss.backward();
      optimizer.step();
      return loss;
    };
    const run = isCompiled ? compile(step) : step;
    for (let i = 0; i < 4; i++) run(tensor([[0, 3], [3, 0]], { dtype: 'int32' }) as AnyTensor); // prettier-ignore
    // The rest stays as it is: it has not been read.
    const got = table.weight.toArraySync() as number[][];
    got.flat().forEach((value, i) => expect(value).toBeCloseTo(expected.flat()[i]!, 6));
  }
});

describe('what layers refuse', () => {
  test.each([
    [() => new nn.Linear(0, 3), 'Linear: inFeatures: got 0, expected a positive integer'],
    [() => new nn.Conv2d(3, 4, 3, { groups: 2 }), 'Conv2d: inChannels / groups: got 1.5, expected a positive integer'],
    [() => new nn.Conv2d(4, 3, 3, { groups: 2 }), 'Conv2d: outChannels / groups: got 1.5, expected a positive integer'],
    [() => new nn.Conv2d(3, 4, 0), 'Conv2d: kernelSize: got 0, expected one or two integers of at least 1'],
    [() => new nn.Embedding(3, 4, { paddingIndex: -4 }), 'Embedding: paddingIndex: got -4, expected a row of 3'],
    [() => new nn.Embedding(3, 4, { maxNorm: 0 }), 'Embedding: maxNorm: got 0, expected a positive number'],
    [() => new nn.Dropout(1.5), 'Dropout: probability: got 1.5, expected a number from 0 to 1'],
    [() => new nn.MultiHeadAttention(8, 3), 'MultiHeadAttention: heads: got 3, expected a divisor of the size 8'],
    [
      () => new nn.TransformerEncoderLayer(8, 2, { activation: 'selu' as 'gelu' }),
      'TransformerEncoderLayer: activation: got selu, expected relu, gelu, geluTanh, silu or a function',
    ],
    [() => new nn.Linear(4, 2).forward(ones([3, 5])), 'linear: inner sizes differ: x [3, 5] · weight [2, 4]ᵀ (5 vs 4)'],
    [
      () => new nn.Conv2d(3, 4, 3).forward(ones([1, 2, 8, 8])),
      'conv2d: channels differ: x [1, 2, 8, 8] has 2, weight [4, 3, 3, 3] with 1 groups takes 3',
    ],
    [
      () => new nn.BatchNorm2d(3).forward(ones([4, 3])),
      'BatchNorm2d: wrong rank: got shape [4, 3], expected [n, c, h, w]',
    ],
    [
      () => new nn.BatchNorm2d(3).forward(ones([4, 3, 2, 2]), ones([4, 3, 1, 1])),
      'batchNorm: residual does not fit: got shape [4, 3, 1, 1], expected [4, 3, 2, 2]',
    ],
    [
      () => new nn.BatchNorm1d(3, { activation: 'gelu' as 'relu' }).forward(ones([4, 3])),
      'batchNorm: activation: got gelu, expected relu',
    ],
    [
      () => new nn.BatchNorm2d(3, { epsilon: -1 }).forward(ones([2, 3, 1, 1])),
      'batchNorm: epsilon: got -1, expected a positive number',
    ],
    [
      () => new nn.BatchNorm1d(3).forward(ones([1, 3])),
      'batchNorm: one value per channel has no variance: got shape [1, 3], expected more in training',
    ],
    [
      () => new nn.LayerNorm(4).forward(ones([2, 5])),
      "layerNorm: shape is not the end of the input's: got [4], expected the last axes of [2, 5]",
    ],
    [
      () => new nn.MultiHeadAttention(8, 2).forward(ones([8])),
      'MultiHeadAttention: input: got shape [8], expected [b, t, 8]',
    ],
    [
      () => new nn.MultiHeadAttention(8, 2).forward(ones([2, 8]), ones([1, 2, 8])),
      'MultiHeadAttention: input: got shape [1, 2, 8], expected [t, 8]',
    ],
    [() => new nn.Sequential('relu' as never), 'Sequential: layers[0]: got string relu, expected a module'],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });

  test('an index outside the table, at the next read', async () => {
    const y = new nn.Embedding(3, 2).forward(tensor([0, 3], { dtype: 'int32' }));
    await expect(y.data()).rejects.toThrow(new Error('embedding: index 3 at position 1 out of range for 3 rows'));
  });
});
