// Every layer and loss, made and called with wrong arguments: a HadalError or a result, and the process goes on.
import { manualSeed, nn, ones, rand, randint, randn, Tensor, tensor, type AnyTensor } from '../../lib/index';
import { attempt, replaced, wrongTensors, wrongValues } from '../wrong-arguments';

const x = (...shape: number[]): AnyTensor => randn(shape).keep();
const chance = (...shape: number[]): AnyTensor => rand(shape).keep();
const index = (shape: number[], count: number): AnyTensor => randint(0, count, shape, { dtype: 'int64' }).keep();

interface Case {
  readonly args?: readonly unknown[];
  readonly inputs: readonly unknown[];
}
const one = (input: AnyTensor, ...args: unknown[]): Case => ({ args, inputs: [input] });
const two = (shape: number[], options: object = {}): Case => ({ args: [options], inputs: [x(...shape), x(...shape)] });

manualSeed(0);
const rows = x(2, 4);
const sequence = x(2, 3, 8);
const attend = { mask: undefined, causal: true };
const edges = index([2, 6], 5);

const cases: Record<string, Case> = {
  Threshold: one(rows, 0.1, 1),
  Softmax2d: one(x(2, 3, 4, 4)),
  PReLU: one(rows, 4, 0.1),
  Flatten: one(x(2, 3, 4), 1, -1),
  Unflatten: one(rows, 1, [2, 2]),
  CosineSimilarity: two([2, 3], { axis: 1, epsilon: 1e-8 }),
  PairwiseDistance: two([2, 3], { p: 2, epsilon: 1e-6, keepDims: true }),
  Embedding: {
    args: [5, 3, { paddingIndex: 1, maxNorm: 1, normType: 2, scaleGradByFrequency: true }],
    inputs: [index([2, 3], 5)],
  },
  EmbeddingBag: {
    args: [5, 3, { mode: 'sum', paddingIndex: 1 }],
    inputs: [index([6], 5), tensor([0, 3], { dtype: 'int64' }).keep(), x(6)],
  },
  Linear: one(rows, 4, 3, { bias: true }),
  Bilinear: { args: [4, 3, 2, { bias: true }], inputs: [rows, x(2, 3)] },
  LayerNorm: one(rows, [4], { epsilon: 1e-3, affine: true, bias: true }),
  RMSNorm: one(rows, [4], { epsilon: 1e-3, affine: true, zeroCentered: true }),
  GroupNorm: one(x(2, 4, 3), 2, 4, { epsilon: 1e-3, affine: true }),
  LocalResponseNorm: one(x(2, 4, 3, 3), 3, { alpha: 1e-3, beta: 0.5, k: 1 }),
  Upsample: one(x(1, 2, 4, 4), { scaleFactor: 2, mode: 'bilinear', alignCorners: true }),
  ChannelShuffle: one(x(1, 6, 2), 3),
  PixelShuffle: one(x(1, 4, 3, 3), 2),
  PixelUnshuffle: one(x(1, 1, 4, 4), 2),
  Unfold: one(x(1, 2, 4, 4), 2, { stride: 1, padding: 1, dilation: 1 }),
  Fold: one(x(1, 8, 4), [4, 4], 2, { stride: 2, padding: 0, dilation: 1 }),
  GlobalAvgPool2d: one(x(1, 2, 3, 3)),
  MultiHeadAttention: {
    args: [
      8,
      2,
      {
        bias: true,
        outputBias: false,
        dropout: 0.1,
        keyHeads: 1,
        headSize: 6,
        rotary: true,
        queryKeyNorm: true,
        scale: 0.5,
        window: 2,
      },
    ],
    inputs: [sequence, x(2, 3, 8), x(2, 3, 8), { ...attend, positions: index([2, 3], 9) }],
  },
  TransformerEncoderLayer: {
    args: [8, 2, { hidden: 8, dropout: 0.1, activation: 'gelu', normFirst: true }],
    inputs: [sequence, attend],
  },
  TransformerDecoderLayer: {
    args: [8, 2, { hidden: 8, dropout: 0.1, activation: 'gelu', normFirst: true }],
    inputs: [sequence, x(2, 4, 8), attend],
  },
  TransformerEncoder: {
    args: [() => new nn.TransformerEncoderLayer(8, 2, { hidden: 4 }), 1, {}],
    inputs: [sequence, attend],
  },
  TransformerDecoder: {
    args: [() => new nn.TransformerDecoderLayer(8, 2, { hidden: 4 }), 1, {}],
    inputs: [sequence, x(2, 4, 8), attend],
  },
  Transformer: {
    args: [8, 2, { encoderLayers: 1, decoderLayers: 1, hidden: 4, dropout: 0 }],
    inputs: [sequence, x(2, 4, 8), attend],
  },
  RNN: one(x(2, 5, 4), 4, 3, { layers: 2, bidirectional: true, dropout: 0.1, nonlinearity: 'relu' }),
  GRU: one(x(2, 5, 4), 4, 3, { layers: 2, bidirectional: true, dropout: 0.1, bias: true }),
  LSTM: one(x(2, 5, 4), 4, 3, { layers: 1, bidirectional: true, batchFirst: true, projection: 2 }),
  RNNCell: { args: [4, 3, { bias: true, nonlinearity: 'relu' }], inputs: [rows, x(2, 3)] },
  GRUCell: { args: [4, 3, { bias: true }], inputs: [rows, x(2, 3)] },
  LSTMCell: { args: [4, 3, { bias: true }], inputs: [rows, x(2, 3), x(2, 3)] },
  GCNConv: { args: [4, 3, { bias: true }], inputs: [x(5, 4), edges, chance(6)] },
  GATConv: {
    args: [4, 3, { heads: 2, concat: true, dropout: 0.1, edgeFeatures: 2 }],
    inputs: [x(5, 4), edges, x(6, 2)],
  },
  GATv2Conv: {
    args: [4, 3, { heads: 2, slope: 0.1, shareWeights: true, edgeFeatures: 2 }],
    inputs: [x(5, 4), edges, x(6, 2)],
  },
  GINConv: {
    args: [4, new nn.Linear(4, 3), { epsilon: 0.1, trainEpsilon: true, edgeFeatures: 2 }],
    inputs: [x(5, 4), edges, x(6, 2)],
  },
  SAGEConv: { args: [4, 3, { aggregation: 'max' }], inputs: [x(5, 4), edges] },
  MixtureOfExperts: one(x(5, 4), 4, { experts: 3, hidden: 8, topK: 2, capacityFactor: 1, noise: true }),
  Sequential: one(rows, new nn.Linear(4, 3), new nn.ReLU()),
  Residual: one(rows, new nn.Linear(4, 4), new nn.Linear(4, 4)),
  ModuleList: { args: [[new nn.ReLU()]], inputs: [] },
  ModuleDict: { args: [{ a: new nn.ReLU() }], inputs: [] },
  ParameterList: { args: [[ones([2])]], inputs: [] },
  ParameterDict: { args: [{ a: ones([2]) }], inputs: [] },
  AdaptiveLogSoftmaxWithLoss: {
    args: [4, 6, [2], { divValue: 2, headBias: true }],
    inputs: [x(4, 4), index([4], 6)],
  },
  Lambda: { args: [(y: AnyTensor) => y], inputs: [rows] },
  SmoothL1Loss: two([2, 3], { reduction: 'mean', beta: 1 }),
  HuberLoss: two([2, 3], { reduction: 'sum', delta: 1 }),
  CrossEntropyLoss: {
    args: [{ reduction: 'mean', weight: ones([3]), ignoreIndex: 0, labelSmoothing: 0.1 }],
    inputs: [x(4, 3), index([4], 3)],
  },
  NLLLoss: { args: [{ reduction: 'mean', weight: ones([3]), ignoreIndex: 0 }], inputs: [x(4, 3), index([4], 3)] },
  BCELoss: { args: [{ reduction: 'mean', weight: ones([3]) }], inputs: [chance(4, 3), chance(4, 3)] },
  BCEWithLogitsLoss: {
    args: [{ weight: ones([3]), posWeight: ones([3]) }],
    inputs: [x(4, 3), chance(4, 3)],
  },
  KLDivLoss: two([4, 3], { reduction: 'sum', logTarget: true }),
  PoissonNLLLoss: {
    args: [{ logInput: true, full: true, epsilon: 1e-8 }],
    inputs: [x(4, 3), chance(4, 3)],
  },
  HingeEmbeddingLoss: { args: [{ margin: 1 }], inputs: [x(4, 3), ones([4, 3]).keep()] },
  MultiLabelMarginLoss: { args: [{ reduction: 'none' }], inputs: [x(4, 3), index([4, 3], 3)] },
  MultiLabelSoftMarginLoss: { args: [{ weight: ones([3]) }], inputs: [x(4, 3), chance(4, 3)] },
  MultiMarginLoss: { args: [{ p: 1, margin: 1, weight: ones([3]) }], inputs: [x(4, 3), index([4], 3)] },
  GaussianNLLLoss: { args: [{ full: true, epsilon: 1e-6 }], inputs: [x(4, 3), x(4, 3), chance(4, 3)] },
  CosineEmbeddingLoss: { args: [{ margin: 0.1 }], inputs: [x(4, 3), x(4, 3), ones([4]).keep()] },
  MarginRankingLoss: { args: [{ margin: 0.1 }], inputs: [x(4), x(4), ones([4]).keep()] },
  TripletMarginLoss: {
    args: [{ margin: 1, p: 2, epsilon: 1e-6, swap: true }],
    inputs: [x(4, 3), x(4, 3), x(4, 3)],
  },
  TripletMarginWithDistanceLoss: {
    args: [{ margin: 1, swap: true, distance: (a: AnyTensor, b: AnyTensor) => a.sub(b).abs().sum(-1) }],
    inputs: [x(4, 3), x(4, 3), x(4, 3)],
  },
  InfoNCELoss: { args: [{ temperature: 0.1, reduction: 'mean' }], inputs: [x(4, 3), x(4, 3)] },
  CTCLoss: {
    args: [{ blank: 0, reduction: 'mean', zeroInfinity: true }],
    inputs: [x(5, 2, 4).logSoftmax(2).keep(), index([2, 3], 3).add(1).keep(), [5, 5], [2, 3]],
  },
};
for (const name of ['L1Loss', 'MSELoss', 'SoftMarginLoss']) cases[name] = two([2, 3], { reduction: 'sum' });
for (const name of ['ReLU', 'SiLU', 'Mish', 'Sigmoid', 'Tanh', 'ReLU6', 'SELU', 'Softsign', 'Identity'])
  cases[name] = one(rows);
for (const name of ['LogSigmoid', 'Hardsigmoid', 'Hardswish', 'Tanhshrink']) cases[name] = one(rows);
for (const name of ['LeakyReLU', 'ELU', 'CELU', 'Softshrink', 'Hardshrink']) cases[name] = one(rows, 0.5);
for (const name of ['Softmax', 'LogSoftmax', 'Softmin', 'GLU']) cases[name] = one(rows, 1);
for (const name of ['Dropout', 'AlphaDropout', 'FeatureAlphaDropout']) cases[name] = one(x(2, 3, 4), 0.2);
cases['StochasticDepth'] = one(x(2, 3, 4), 0.2, { mode: 'batch' });
cases['Hardtanh'] = one(rows, -1, 1);
cases['RReLU'] = one(rows, 0.1, 0.3);
cases['GELU'] = one(rows, { approximate: 'tanh' });
cases['Softplus'] = one(rows, { beta: 2, threshold: 3 });
for (const [rank, space] of [[6], [5, 6], [5, 5, 4]].entries()) {
  const d = `${rank + 1}d`;
  const image = x(2, 2, ...space);
  const [places, indices] = [x(1, 2, ...space.map(() => 2)), index([1, 2, ...space.map(() => 2)], 2 ** space.length)];
  cases[`Conv${d}`] = one(image, 2, 4, 3, { stride: 1, padding: 1, dilation: 1, groups: 2, paddingMode: 'reflect' });
  cases[`ConvTranspose${d}`] = one(image, 2, 4, 3, { stride: 2, padding: 1, outputPadding: 1, dilation: 1, groups: 2 });
  cases[`MaxPool${d}`] = one(image, 2, { stride: 2, padding: 1, dilation: 1, ceilMode: true });
  cases[`MaxUnpool${d}`] = { args: [2, { stride: 2, padding: 0 }], inputs: [places, indices] };
  cases[`AvgPool${d}`] = one(image, 2, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false });
  cases[`LPPool${d}`] = one(image, 2, 2, { stride: 2, ceilMode: true });
  for (const kind of ['Avg', 'Max']) cases[`Adaptive${kind}Pool${d}`] = one(image, 2);
  if (d !== '1d') cases[`FractionalMaxPool${d}`] = one(image, 2, { outputSize: 2 });
  cases[`BatchNorm${d}`] = one(image, 2, { epsilon: 1e-3, momentum: 0.1, affine: true });
  cases[`InstanceNorm${d}`] = one(image, 2, { epsilon: 1e-3, momentum: 0.1, trackRunningStats: true });
  cases[`Dropout${d}`] = one(image, 0.2);
  for (const kind of ['Zero', 'Reflection', 'Replication', 'Circular']) cases[`${kind}Pad${d}`] = one(image, 1);
  cases[`ConstantPad${d}`] = one(image, 1, 0.5);
}

/** Bases, and what is no layer. */
const others = [
  'BatchNorm',
  'Module',
  'Parameter',
  'Parametrization',
  'LoraAdapters',
  'QuantizedWeight',
  'AttentionCache',
  'ModelSummary',
];

type Make = new (...args: unknown[]) => nn.Module & { forward(...inputs: unknown[]): unknown };
const classes = Object.entries(nn as unknown as Record<string, unknown>).filter(
  (entry): entry is [string, Make] => typeof entry[1] === 'function' && /^[A-Z]/.test(entry[0]),
);

test('every class is among the cases', () => {
  const listed = [...Object.keys(cases), ...others].sort();
  expect(classes.map(([name]) => name).sort()).toEqual(listed);
});

test.each(classes.filter(([name]) => !others.includes(name)))('%s', (name, Layer) => {
  const { args = [], inputs } = cases[name]!;
  const failures: string[] = [];
  const call = (layer: ReturnType<typeof make>, given: readonly unknown[]): unknown =>
    inputs.length === 0 ? undefined : layer.forward(...given);
  const make = (...given: readonly unknown[]): InstanceType<Make> => new Layer(...given);
  call(make(...args), inputs);

  attempt(failures, 'no arguments', () => call(make(), inputs));
  for (const [what, given] of replaced(args, () => wrongValues)) {
    attempt(failures, `made with ${what}`, () => {
      const layer = make(...given);
      layer.toString();
      return call(layer, inputs);
    });
  }
  const substitutes = (input: unknown) => (input instanceof Tensor ? wrongTensors(input as AnyTensor) : wrongValues);
  for (const [what, given] of replaced(inputs, substitutes)) {
    attempt(failures, `called with ${what}`, () => call(make(...args), given));
    attempt(failures, `evaluated with ${what}`, () => call(make(...args).eval(), given));
  }
  for (const [what, value] of wrongValues) {
    attempt(failures, `loadStateDict(${what})`, () => void make(...args).loadStateDict(value as never));
    attempt(failures, `to(${what})`, () => void make(...args).to(value as never));
    attempt(failures, `apply(${what})`, () => void make(...args).apply(value as never));
    attempt(failures, `registerForwardHook(${what})`, () => void make(...args).registerForwardHook(value as never));
  }
  expect(failures).toEqual([]);
  call(make(...args), inputs);
});
