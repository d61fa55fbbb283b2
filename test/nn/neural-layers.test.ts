// Normalisations, bags, distances, activations and dropouts as layers: against PyTorch, and what they refuse.
import { cat, manualSeed, nn, ones, randn, tensor, zeros, type AnyTensor } from '../../lib/index';
import { compareLayer, type LayerCase } from '../golden/compare-layer';

const pair =
  (f: (a: AnyTensor, b: AnyTensor) => AnyTensor) =>
  (_: nn.Module, [a, b]: readonly AnyTensor[]): AnyTensor =>
    f(a!, b!);
class Identity extends nn.Module {
  forward(x: AnyTensor): AnyTensor {
    return x;
  }
}
const functional = (call: LayerCase['call']): LayerCase => ({ make: () => new Identity(), ...(call && { call }) });
const { cdist, normalize, scaledDotProductAttention } = nn.functional;

const cases: Record<string, LayerCase> = {
  'group-norm': { make: () => new nn.GroupNorm(2, 6) },
  'group-norm-plain': { make: () => new nn.GroupNorm(3, 6, { epsilon: 1e-3, affine: false }) },
  'rms-norm': { make: () => new nn.RMSNorm(6) },
  'rms-norm-2': { make: () => new nn.RMSNorm([4, 6], { epsilon: 1e-3 }) },
  'instance-norm-1d': { make: () => new nn.InstanceNorm1d(3, { affine: true }) },
  'instance-norm-2d': { make: () => new nn.InstanceNorm2d(3, { trackRunningStats: true }) },
  'instance-norm-3d': { make: () => new nn.InstanceNorm3d(2) },
  'instance-norm-2d-eval': {
    make: () => new nn.InstanceNorm2d(3, { affine: true, trackRunningStats: true }),
    eval: true,
  },
  'batch-norm-3d': { make: () => new nn.BatchNorm3d(2) },
  'local-response-norm': { make: () => new nn.LocalResponseNorm(3, { alpha: 0.5, beta: 0.6, k: 2 }) },
  'local-response-norm-even': { make: () => new nn.LocalResponseNorm(4) },
  bilinear: { make: () => new nn.Bilinear(3, 4, 2), call: (m: nn.Bilinear, [a, b]) => m.forward(a!, b!) },
  'cosine-similarity': {
    make: () => new nn.CosineSimilarity(),
    call: (m: nn.CosineSimilarity, [a, b]) => m.forward(a!, b!),
  },
  'pairwise-distance': {
    make: () => new nn.PairwiseDistance({ p: 3 }),
    call: (m: nn.PairwiseDistance, [a, b]) => m.forward(a!, b!),
  },
  normalize: functional((_, [x]) => normalize(x!, { p: 3, axis: 0 })),
  prelu: { make: () => new nn.PReLU() },
  'prelu-channels': { make: () => new nn.PReLU(3, 0.1) },
  'attention-grouped': functional((_, [q, k, v]) =>
    (scaledDotProductAttention as (...x: unknown[]) => AnyTensor)(q, k, v, { causal: true }),
  ),
  'embedding-bag-weights': {
    make: () => new nn.EmbeddingBag(7, 4, { mode: 'sum', paddingIndex: 6 }),
    call: (m: nn.EmbeddingBag, [index, offsets, weights]) => m.forward(index!, offsets, weights),
  },
};
for (const p of [0.5, 1, 2, 3, Infinity]) {
  cases[`cdist-${p === Infinity ? 'inf' : p}`] = functional(pair((a, b) => cdist(a, b, { p })));
}
for (const mode of ['sum', 'mean', 'max'] as const) {
  const bag: LayerCase = {
    make: () => new nn.EmbeddingBag(7, 4, { mode }),
    call: (m: nn.EmbeddingBag, [index, offsets]) => m.forward(index!, offsets),
  };
  cases[`embedding-bag-${mode}`] = bag;
  cases[`embedding-bag-${mode}-offsets`] = bag;
}

test.each(Object.entries(cases))('%s', (name, layer) => compareLayer(name, layer, 'neural'));

describe('activations', () => {
  const x = (): AnyTensor => tensor([-4, -0.4, 0, 0.4, 4]);
  test.each<[nn.Layer, number[]]>([
    [new nn.ReLU6(), [0, 0, 0, 0.4, 4]],
    [new nn.SELU(), [-1.7258986, -0.5796136, 0, 0.4202804, 4.2028041]],
    [new nn.CELU(2), [-1.7293294, -0.3625385, 0, 0.4, 4]],
    [new nn.Softsign(), [-0.8, -0.2857143, 0, 0.2857143, 0.8]],
    [new nn.LogSigmoid(), [-4.01815, -0.9130153, -0.6931472, -0.5130153, -0.0181499]],
    [new nn.Hardsigmoid(), [0, 0.4333333, 0.5, 0.5666667, 1]],
    [new nn.Hardswish(), [0, -0.1733333, 0, 0.2266667, 4]],
    [new nn.Tanhshrink(), [-3.0006707, -0.0200511, 0, 0.0200511, 3.0006707]],
    [new nn.Softshrink(0.3), [-3.7, -0.1, 0, 0.1, 3.7]],
    [new nn.Hardshrink(), [-4, 0, 0, 0, 4]],
    [new nn.Hardtanh(-0.5, 1), [-0.5, -0.4, 0, 0.4, 1]],
    [new nn.Threshold(0.1, 7), [7, 7, 7, 0.4, 4]],
    [new nn.Softplus({ beta: 2 }), [0.0001677, 0.1855504, 0.3465736, 0.5855504, 4.0001677]],
  ])('%s', (layer, expected) => {
    const y = layer.forward(x()).dataSync() as Float32Array;
    expected.forEach((value, i) => expect(y[i]).toBeCloseTo(value, 5));
  });

  test('GLU halves an axis, Softmin and Softmax2d sum to one', () => {
    expect(new nn.GLU(0).forward(tensor([2, 4, 0, 0])).toArraySync()).toEqual([1, 2]);
    const small = new nn.Softmin().forward(tensor([1, 1, 40])).toArraySync() as number[];
    expect(small[0]).toBeCloseTo(0.5, 6);
    const image = new nn.Softmax2d()
      .forward(randn([1, 3, 2, 2]))
      .sum(1)
      .dataSync();
    for (const total of image) expect(total).toBeCloseTo(1, 5);
  });
});

describe('dropouts', () => {
  const whole = { '1d': [500, 4, 3], '2d': [500, 4, 3, 2], '3d': [500, 4, 3, 2, 1] };
  test.each([
    [new nn.Dropout1d(0.25), whole['1d']],
    [new nn.Dropout2d(0.25), whole['2d']],
    [new nn.Dropout3d(0.25), whole['3d']],
  ])('%s drops whole channels', (layer, shape) => {
    manualSeed(2);
    const y = layer.forward(ones(shape)).reshape([2000, -1]) as AnyTensor;
    const [low, high] = [y.min(1) as AnyTensor, y.max(1) as AnyTensor];
    expect(low.toArraySync()).toEqual(high.toArraySync());
    const dropped = low.equalTo(0).sum().itemSync();
    expect(Math.abs(dropped - 500)).toBeLessThan(5 * Math.sqrt(2000 * 0.25 * 0.75));
    expect(layer.eval().forward(ones(shape)).sum().itemSync()).toBe(shape.reduce((a, b) => a * b));
  });

  test('StochasticDepth drops whole rows, or the whole batch', () => {
    manualSeed(6);
    const [rows, batch] = [new nn.StochasticDepth(0.25), new nn.StochasticDepth(0.25, { mode: 'batch' })];
    const x = ones([2000, 3, 2]).requiresGrad_();
    const y = rows.forward(x);
    y.sum().backward();
    // The gradient of a row is what the row was scaled by.
    expect(x.grad!.equalSync(y)).toBe(true);
    expect((y.min([1, 2]) as AnyTensor).equalSync(y.max([1, 2]) as AnyTensor)).toBe(true);
    // 0 or 1 / (1 - 0.25) in float32.
    expect(new Set(y.dataSync() as Float32Array)).toEqual(new Set([0, Math.fround(4 / 3)]));
    const dropped = y.select(1, 0).equalTo(0).sum().itemSync() / 2;
    // Five standard deviations of a binomial distribution.
    expect(Math.abs(dropped - 500)).toBeLessThan(5 * Math.sqrt(2000 * 0.25 * 0.75));

    const together = Array.from({ length: 400 }, () => new Set(batch.forward(ones([3, 2])).dataSync() as Float32Array));
    expect(together.every(({ size }) => size === 1)).toBe(true);
    const none = together.filter((values) => values.has(0)).length;
    expect(Math.abs(none - 100)).toBeLessThan(5 * Math.sqrt(400 * 0.25 * 0.75));
    for (const layer of [rows.eval(), batch.eval(), new nn.StochasticDepth(0)]) expect(layer.forward(x)).toBe(x);
  });

  test.each([new nn.AlphaDropout(0.3), new nn.FeatureAlphaDropout(0.3)])('%s keeps mean and variance', (layer) => {
    manualSeed(4);
    const y = layer.forward(randn([400, 50, 2]));
    expect(Math.abs(y.mean().itemSync())).toBeLessThan(0.05);
    expect(Math.abs(y.var().itemSync() - 1)).toBeLessThan(0.05);
    if (layer instanceof nn.FeatureAlphaDropout) {
      const values = layer.forward(zeros([30, 20, 5]));
      expect((values.min(2) as AnyTensor).toArraySync()).toEqual((values.max(2) as AnyTensor).toArraySync());
    }
    expect(
      layer
        .eval()
        .forward(ones([2, 3]))
        .sum()
        .itemSync(),
    ).toBe(6);
  });
});

test('gumbelSoftmax draws categories by their probabilities', () => {
  manualSeed(5);
  const logits = tensor([Math.log(0.7), Math.log(0.2), Math.log(0.1)]).expand([4000, 3]) as AnyTensor;
  const chosen = nn.functional.gumbelSoftmax(logits, { hard: true });
  const shares = (chosen.mean(0) as AnyTensor).toArraySync() as number[];
  [0.7, 0.2, 0.1].forEach((p, i) => expect(Math.abs(shares[i]! - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 4000)));
  const x = logits.detach().requiresGrad_();
  nn.functional.gumbelSoftmax(x, { hard: true }).select(1, 0).sum().backward();
  expect(x.grad!.abs().sum().itemSync()).toBeGreaterThan(0);
});

const longrope = {
  kind: 'longrope',
  factor: 8,
  short: [1, 1, 1.25, 1.5, 1.75, 2, 2.5, 3],
  long: [1, 1.5, 2, 3, 5, 8, 13, 21],
} as const;

// Speeds of transformers 5.18 (ROPE_INIT_FUNCTIONS) for heads of 16.
test.each([
  [
    { base: 500, scaling: { kind: 'llama3', factor: 8, slow: 1, fast: 4, originalContext: 64 } },
    [1, 0.45986328, 0.09761663, 0.01215616, 0.00559017, 0.00257071, 0.00118218, 0.00054364],
  ],
  [
    { scaling: { kind: 'linear', factor: 4 } },
    [0.25, 0.07905694, 0.025, 0.00790569, 0.0025, 0.00079057, 0.00025, 0.00007906],
  ],
  [
    { base: 500, scaling: { kind: 'dynamic', factor: 4, originalContext: 30 } },
    [1, 0.38001657, 0.14441258, 0.05487917, 0.02085499, 0.00792524, 0.00301172, 0.0011445],
  ],
  // Not longer than the original context: as without scaling.
  [
    { base: 500, scaling: { kind: 'dynamic', factor: 4, originalContext: 51 } },
    [1, 0.45986328, 0.21147424, 0.09724925, 0.04472136, 0.02056571, 0.00945742, 0.00434912],
  ],
  [
    { base: 500, scaling: { kind: 'yarn', factor: 8, originalContext: 400 } },
    [1, 0.39279988, 0.14979425, 0.0547027, 0.0186339, 0.00556988, 0.00118218, 0.00054364],
    1.20794415,
  ],
  [
    {
      base: 500,
      scaling: {
        kind: 'yarn',
        factor: 8,
        slow: 0.5,
        fast: 4,
        originalContext: 64,
        attentionFactor: 0.9,
        truncate: false,
      },
    },
    [1, 0.45986328, 0.15639758, 0.04013292, 0.00559017, 0.00257071, 0.00118218, 0.00054364],
    0.9,
  ],
  // 51 positions: the numbers for short sequences serve up to the original context, those for long ones beyond it.
  [
    { base: 500, scaling: { ...longrope, originalContext: 51 } },
    [1, 0.45986328, 0.16917939, 0.06483283, 0.02555506, 0.01028286, 0.00378297, 0.00144971],
    Math.sqrt(1 + Math.log(8) / Math.log(51)),
  ],
  [
    { base: 500, scaling: { ...longrope, originalContext: 32 } },
    [1, 0.30657554, 0.10573712, 0.03241641, 0.00894427, 0.00257071, 0.00072749, 0.0002071],
    1.26491106,
  ],
  [
    { base: 500, scaling: { ...longrope, originalContext: 50, attentionFactor: 0.9 } },
    [1, 0.30657554, 0.10573712, 0.03241641, 0.00894427, 0.00257071, 0.00072749, 0.0002071],
    0.9,
  ],
] as const)('rotary positions, scaled: %o', (options, speeds, attentionFactor: number = 1) => {
  const x = cat([ones([1, 8]), zeros([1, 8])], 1) as AnyTensor;
  const turned = nn.functional
    .rotaryEmbedding(x, { ...options, offset: 50 })
    .flatten()
    .toArraySync() as number[];
  speeds.forEach((speed, i) => {
    expect(turned[i]!).toBeCloseTo(attentionFactor * Math.cos(50 * speed), 4);
    expect(turned[i + 8]!).toBeCloseTo(attentionFactor * Math.sin(50 * speed), 4);
  });
});

test.each([0, 2, 6, 8])('the first %i features of 8 are rotated, as if they were alone', async (size) => {
  const x = randn([3, 5, 8]);
  const found = nn.functional.rotaryEmbedding(x, { size, offset: 7, interleaved: true });
  const first = nn.functional.rotaryEmbedding(x.narrow(-1, 0, size), { offset: 7, interleaved: true });
  expect(await found.equal(cat([first, x.narrow(-1, size, 8 - size)], -1) as never)).toBe(true);
});

test('a zero-centred norm scales by 1 + weight', () => {
  const [norm, plain] = [new nn.RMSNorm(6, { zeroCentered: true }), new nn.RMSNorm(6)];
  const x = randn([4, 6]);
  expect(norm.forward(x).sub(plain.forward(x)).abs().max().itemSync()).toBe(0);
  nn.init.constant_(norm.weight!, 2 ** -10);
  nn.init.constant_(plain.weight!, 1 + 2 ** -10);
  const expected = plain.forward(x);
  expect(norm.forward(x).sub(expected).abs().max().itemSync()).toBe(0);
  norm.forward(x).sum().backward();
  plain.forward(x).sum().backward();
  expect(norm.weight!.grad!.sub(plain.weight!.grad!).abs().max().itemSync()).toBe(0);
  // In bfloat16 1 + 2⁻¹⁰ would be 1, which rounds some of many products otherwise.
  const many = randn([200, 6]).cast('bfloat16') as AnyTensor;
  const narrow = norm.to('bfloat16').forward(many);
  expect(narrow.dtype).toBe('bfloat16');
  const exact = plain.forward(many.cast('float32') as AnyTensor).cast('bfloat16') as AnyTensor;
  expect(narrow.cast('float32').sub(exact.cast('float32')).abs().max().itemSync()).toBe(0);
});

test('beside positions an offset tells the length, for rotations that depend on it', () => {
  const x = randn([2, 3, 4]);
  const options = { offset: 6, scaling: { kind: 'dynamic', factor: 2, originalContext: 8 } } as const;
  const positions = tensor([6, 7, 8], { dtype: 'int32' });
  const [found, expected] = [{ ...options, positions }, options].map((each) => nn.functional.rotaryEmbedding(x, each));
  expect(found!.sub(expected!).abs().max().itemSync()).toBe(0);
});

describe('what layers refuse', () => {
  test.each<[() => unknown, string]>([
    [() => new nn.GroupNorm(4, 6), 'GroupNorm: channels / groups: got 1.5, expected a positive integer'],
    [() => nn.functional.groupNorm(ones([2, 6]), 4), 'groupNorm: groups: got 4, expected a divisor of the 6 channels'],
    [
      () => new nn.InstanceNorm2d(3).forward(ones([2, 3])),
      'InstanceNorm2d: wrong rank: got shape [2, 3], expected [n, c, h, w] or [c, h, w]',
    ],
    [
      () => new nn.InstanceNorm1d(3).forward(ones([2, 3, 1])),
      'instanceNorm: one value per channel has no variance: got shape [2, 3, 1], expected more along [1]',
    ],
    [
      () => new nn.RMSNorm(4).forward(ones([2, 5])),
      "rmsNorm: shape is not the end of the input's: got [4], expected the last axes of [2, 5]",
    ],
    [() => new nn.LocalResponseNorm(0), 'LocalResponseNorm: size: got 0, expected a positive integer'],
    [
      () => new nn.Bilinear(2, 3, 1).forward(ones([4, 2]), ones([5, 3])),
      'bilinear: shapes do not fit: got a [4, 2], b [5, 3] and weight [1, 2, 3], expected [..., i], [..., j] and [o, i, j]',
    ],
    [
      () => nn.functional.embeddingBag(ones([3, 2]), tensor([1], { dtype: 'int64' })),
      'embeddingBag: shapes do not fit: got weight [3, 2] and index [1], expected [count, d] and [bags, k], or [k] with offsets',
    ],
    [
      () => nn.functional.rotaryEmbedding(ones([2, 3])),
      'rotaryEmbedding: got shape [2, 3], expected [..., t, d] with an even d',
    ],
    [
      () => nn.functional.rotaryEmbedding(ones([2, 4]), { scaling: { kind: 'axial' as 'linear', factor: 2 } }),
      'rotaryEmbedding: scaling.kind: got axial, expected linear, dynamic, llama3, yarn or longrope',
    ],
    [
      () =>
        nn.functional.rotaryEmbedding(ones([2, 4]), {
          scaling: { kind: 'dynamic', factor: 2, originalContext: 8 },
          positions: tensor([0, 1], { dtype: 'int64' }),
        }),
      'rotaryEmbedding: positions: got some with dynamic scaling, expected an offset, which tells the length',
    ],
    [
      () =>
        nn.functional.rotaryEmbedding(ones([2, 4]), { scaling: { kind: 'dynamic', factor: 2, originalContext: 0 } }),
      'rotaryEmbedding: scaling.originalContext: got 0, expected a number of at least 1',
    ],
    [
      () =>
        nn.functional.rotaryEmbedding(ones([2, 4]), {
          scaling: { kind: 'yarn', factor: 2, originalContext: 8, slow: 40 },
        }),
      'rotaryEmbedding: scaling.fast: got 32, expected more than slow, 40',
    ],
    [
      () =>
        nn.functional.rotaryEmbedding(ones([2, 4]), {
          scaling: { kind: 'yarn', factor: 2, originalContext: 8, attentionFactor: NaN },
        }),
      'rotaryEmbedding: scaling.attentionFactor: got NaN, expected a number of at least 0',
    ],
    [
      () => nn.functional.rotaryEmbedding(ones([2, 4]), { scaling: { kind: 'linear', factor: 0.5 } }),
      'rotaryEmbedding: scaling.factor: got 0.5, expected a number of at least 1',
    ],
    [
      () =>
        nn.functional.rotaryEmbedding(ones([2, 4]), {
          scaling: { ...longrope, originalContext: 8 },
          positions: tensor([0, 1], { dtype: 'int64' }),
        }),
      'rotaryEmbedding: positions: got some with longrope scaling, expected an offset, which tells the length',
    ],
    [
      () => nn.functional.rotaryEmbedding(ones([2, 4]), { scaling: { ...longrope, originalContext: 8 } }),
      'rotaryEmbedding: scaling.short: got 8 numbers, expected one for each of 2 pairs',
    ],
    [
      () =>
        nn.functional.rotaryEmbedding(ones([2, 4]), {
          scaling: { ...longrope, long: [1, NaN], originalContext: 1 },
        }),
      'rotaryEmbedding: scaling.long[1]: got NaN, expected a number of at least 0',
    ],
    [
      () => nn.functional.rotaryEmbedding(ones([2, 4]), { size: 6 }),
      'rotaryEmbedding: size: got 6, expected an integer from 0 to 4',
    ],
    [
      () => nn.functional.rotaryEmbedding(ones([2, 4]), { size: 3 }),
      'rotaryEmbedding: got shape [2, 3], expected [..., t, d] with an even d',
    ],
    [() => new nn.FeatureAlphaDropout(2), 'FeatureAlphaDropout: probability: got 2, expected a number from 0 to 1'],
    [() => new nn.StochasticDepth(-1), 'StochasticDepth: probability: got -1, expected a number from 0 to 1'],
    [
      () => new nn.StochasticDepth(0.1, { mode: 'column' as never }),
      'StochasticDepth: mode: got column, expected row or batch',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });
});
