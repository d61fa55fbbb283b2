// Models and modules as ONNX files, run by ONNX Runtime and by onnx.load at sizes that they were not traced at, against themselves.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { manualSeed, models, nn, noGrad, onnx, randint, randn, Tensor, tensor, type AnyTensor } from '../../lib/index';
import { expectClose, plain } from '../ops/sample';
import { Runtime } from './runtime';

const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
const runtime = new Runtime();
afterAll(async () => {
  await runtime.close();
  rmSync(folder, { recursive: true });
});

type Given = readonly (AnyTensor | object)[];
/** The title, the module, what it is given for sizes n and t, and the sizes that may differ. */
type Case = [string, () => unknown, (n: number, t: number) => Given, Record<string, Record<number, string>>?];

const img = (c: number, s: number) => (n: number) => [randn([n, c, s, s])];
const B = { input: { 0: 'batch' } };
const BT = { input: { 0: 'batch', 1: 'time' } };
const BHW = { input: { 0: 'batch', 2: 'height', 3: 'width' } };
const imghw = (c: number) => (n: number, t: number) => [randn([n, c, 8 * t, 8 * t])];
const tok = (n: number, t: number) => [randint(0, 50, [n, t], { dtype: 'int64' })];
const tiny = { vocabulary: 50, context: 32, width: 16, layers: 2, heads: 4 };
const t5 = { vocabulary: 50, width: 16, layers: 2, heads: 4, headSize: 6, hidden: 24, buckets: 8, maxDistance: 12 };
const llama = { ...tiny, hidden: 24 };
const seq = (n: number, t: number) => [randn([n, t, 16])];
const tseq = (n: number, t: number) => [randn([t, n, 3])];
const TB = { input: { 0: 'time', 1: 'batch' } };
const edges = () =>
  tensor(
    [
      [0, 1, 2, 0],
      [1, 2, 0, 2],
    ],
    { dtype: 'int64' },
  );
const cases: Case[] = [
  ['LeNet5', () => new models.LeNet5(), img(1, 28), B],
  ['VGG11', () => new models.VGG(11, { numClasses: 4, hidden: 8 }), img(3, 32), B],
  ['ResNet18', () => new models.ResNet(18, { numClasses: 4 }), img(3, 32), B],
  ['CifarResNet20', () => new models.CifarResNet(20), img(3, 32), B],
  [
    'ViT',
    () => new models.ViT({ imageSize: 32, patchSize: 8, width: 16, layers: 2, heads: 4, hidden: 32, numClasses: 5 }),
    img(3, 32),
    B,
  ],
  ['Bert', () => new models.Bert({ ...tiny, hidden: 32 } as never), tok, BT],
  [
    'BertMask',
    () => new models.Bert({ ...tiny, hidden: 32 } as never),
    (n, t) => [
      ...tok(n, t),
      { keyMask: randn([n, t]).greater(-0.5), types: randint(0, 2, [n, t], { dtype: 'int64' }) },
    ],
    { input_0: { 0: 'batch', 1: 'time' }, keyMask: { 0: 'batch', 1: 'time' }, types: { 0: 'batch', 1: 'time' } },
  ],
  ['BertMLM', () => new models.BertMaskedLM({ ...tiny, hidden: 32 } as never), tok, BT],
  ['RoBERTa', () => new models.Bert({ ...tiny, hidden: 32, types: 1, padding: 1 }), tok, BT],
  [
    'BertClassifier',
    () => new models.BertClassifier({ ...tiny, types: 0, pooler: 'relu', labels: ['no', 'yes'] }),
    tok,
    BT,
  ],
  [
    'T5',
    () => new models.T5({ ...t5, tied: false, gated: true, activation: 'geluTanh' }),
    (n, t) => [...tok(n, t), ...tok(n, t + 1)],
    { input_0: { 0: 'batch', 1: 'source' }, input_1: { 0: 'batch', 1: 'target' } },
  ],
  ['GPT2', () => new models.GPT2(tiny), tok, BT],
  [
    'GPT2mask',
    () => new models.GPT2(tiny),
    (n, t) => [...tok(n, t), { keyMask: randn([n, t]).greater(-2) }],
    { input_0: { 0: 'batch', 1: 'time' }, keyMask: { 0: 'batch', 1: 'time' } },
  ],
  ['Llama', () => new models.Llama(llama), tok, BT],
  ['LlamaGQA', () => new models.Llama({ ...llama, keyHeads: 2, tied: true }), tok, BT],
  ['LlamaWindow', () => new models.Llama({ ...llama, window: 3 }), tok, BT],
  [
    'LlamaGemma',
    () => new models.Llama({ ...llama, activation: 'geluTanh', logitSoftCap: 30, tied: true } as never),
    tok,
    BT,
  ],
  [
    'LlamaYarn',
    () => new models.Llama({ ...llama, rotaryScaling: { kind: 'yarn', factor: 4, originalContext: 16 } } as never),
    tok,
    BT,
  ],
  [
    'LlamaLlama3',
    () =>
      new models.Llama({
        ...llama,
        rotaryScaling: { kind: 'llama3', factor: 8, slow: 1, fast: 4, originalContext: 16 },
      } as never),
    tok,
    BT,
  ],
  ['LlamaBias', () => new models.Llama({ ...llama, attentionBias: true, hiddenBias: true }), tok, BT],
  ['Encoder', () => new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(16, 4), 2), seq, BT],
  [
    'EncoderPre',
    () =>
      new nn.TransformerEncoder(
        () => new nn.TransformerEncoderLayer(16, 4, { normFirst: true, activation: 'gelu' } as never),
        2,
      ),
    seq,
    BT,
  ],
  [
    'Decoder',
    () => new nn.TransformerDecoder(() => new nn.TransformerDecoderLayer(16, 4), 2),
    (n, t) => [randn([n, t, 16]), randn([n, 7, 16])],
    { input_0: { 0: 'batch', 1: 'time' }, input_1: { 0: 'batch' } },
  ],
  [
    'Transformer',
    () => new nn.Transformer(16, 4, { encoderLayers: 1, decoderLayers: 1 } as never),
    (n, t) => [randn([n, t, 16]), randn([n, t + 1, 16])],
    { input_0: { 0: 'batch', 1: 'source' }, input_1: { 0: 'batch', 1: 'target' } },
  ],
  [
    'MHA',
    () => new nn.MultiHeadAttention(16, 4),
    (n, t) => [randn([n, t, 16]), randn([n, t + 2, 16]), randn([n, t + 2, 16])],
    { input_0: { 0: 'batch', 1: 'q' }, input_1: { 0: 'batch', 1: 'k' }, input_2: { 0: 'batch', 1: 'k' } },
  ],
  ['MHArotary', () => new nn.MultiHeadAttention(16, 4, { keyHeads: 2, headSize: 6, rotary: true, window: 3 }), seq, BT],
  ['RNN', () => new nn.RNN(3, 4, { layers: 2 }), tseq, TB],
  ['RNNrelu', () => new nn.RNN(3, 4, { nonlinearity: 'relu', bidirectional: true }), tseq, TB],
  ['GRU', () => new nn.GRU(3, 4, { layers: 2, bidirectional: true }), tseq, TB],
  ['GRUnobias', () => new nn.GRU(3, 4, { bias: false }), tseq, TB],
  ['LSTM', () => new nn.LSTM(3, 4, { layers: 2, bidirectional: true, dropout: 0.3 }), tseq, TB],
  ['LSTMbatchFirst', () => new nn.LSTM(3, 4, { batchFirst: true }), (n, t) => [randn([n, t, 3])], BT],
  [
    'LSTMlengths',
    () => new nn.LSTM(3, 4, { bidirectional: true }),
    (n, t) => [randn([t, n, 3]), { lengths: randint(1, t, [n], { dtype: 'int64' }) }],
    { input_0: { 0: 'time', 1: 'batch' }, lengths: { 0: 'batch' } },
  ],
  [
    'LSTMhidden',
    () => new nn.LSTM(3, 4),
    (n, t) => [randn([t, n, 3]), { hidden: randn([1, n, 4]), cell: randn([1, n, 4]) }],
    { input_0: { 0: 'time', 1: 'batch' }, hidden: { 1: 'batch' }, cell: { 1: 'batch' } },
  ],
  [
    'LSTMproj',
    () => new nn.LSTM(3, 4, { projection: 2 } as never),
    (n) => [randn([5, n, 3])],
    { input: { 1: 'batch' } },
  ],
  ['LSTMCell', () => new nn.LSTMCell(3, 4), (n) => [randn([n, 3])], B],
  ['GRUCell', () => new nn.GRUCell(3, 4), (n) => [randn([n, 3])], B],
  ['RNNCell', () => new nn.RNNCell(3, 4), (n) => [randn([n, 3])], B],
  ['Embedding', () => new nn.Embedding(50, 4), tok, BT],
  ['EmbeddingBag', () => new nn.EmbeddingBag(50, 4), tok, BT],
  ['EmbeddingBagMax', () => new nn.EmbeddingBag(50, 4, { mode: 'max' }), tok, BT],
  ['EmbeddingBagPad', () => new nn.EmbeddingBag(50, 4, { mode: 'sum', paddingIndex: 3 } as never), tok, BT],
  [
    'ConvTranspose1d',
    () => new nn.ConvTranspose1d(3, 4, 3, { stride: 2, outputPadding: 1 }),
    (n, t) => [randn([n, 3, t])],
    { input: { 0: 'batch', 2: 'time' } },
  ],
  [
    'ConvTranspose2d',
    () => new nn.ConvTranspose2d(4, 6, 3, { stride: 2, padding: 1, groups: 2, outputPadding: 1 }),
    imghw(4),
    BHW,
  ],
  ['ConvTranspose3d', () => new nn.ConvTranspose3d(2, 3, 2), (n) => [randn([n, 2, 4, 4, 4])], B],
  [
    'Conv1d',
    () => new nn.Conv1d(3, 4, 3, { padding: 'same' } as never),
    (n, t) => [randn([n, 3, t])],
    { input: { 0: 'batch', 2: 'time' } },
  ],
  ['Conv2dsame', () => new nn.Conv2d(3, 4, 4, { padding: 'same', dilation: 2 } as never), imghw(3), BHW],
  ['Conv2dcircular', () => new nn.Conv2d(3, 4, 3, { padding: 1, paddingMode: 'circular' } as never), imghw(3), BHW],
  ['Conv3d', () => new nn.Conv3d(2, 3, 3, { padding: 1 }), (n) => [randn([n, 2, 4, 4, 4])], B],
  ['MaxPool1d', () => new nn.MaxPool1d(2), (n, t) => [randn([n, 3, 2 * t])], { input: { 0: 'batch', 2: 'time' } }],
  ['MaxPool2dceil', () => new nn.MaxPool2d(3, { stride: 2, ceilMode: true } as never), imghw(3), BHW],
  ['MaxPool3d', () => new nn.MaxPool3d(2), (n) => [randn([n, 2, 4, 4, 4])], B],
  ['AvgPool2d', () => new nn.AvgPool2d(3, { stride: 2, padding: 1 } as never), imghw(3), BHW],
  ['AvgPool3d', () => new nn.AvgPool3d(2), (n) => [randn([n, 2, 4, 4, 4])], B],
  ['LPPool2d', () => new nn.LPPool2d(2, 2), imghw(3), BHW],
  ['AdaptiveAvg2d', () => new nn.AdaptiveAvgPool2d(3), img(3, 8), B],
  ['AdaptiveAvg1', () => new nn.AdaptiveAvgPool2d(1), imghw(3), BHW],
  ['AdaptiveMax2d', () => new nn.AdaptiveMaxPool2d(3), img(3, 8), B],
  ['GlobalAvg', () => new nn.GlobalAvgPool2d(), imghw(3), BHW],
  ['BatchNorm1d', () => new nn.BatchNorm1d(3), (n) => [randn([n, 3])], B],
  ['BatchNorm2d', () => new nn.BatchNorm2d(3), imghw(3), BHW],
  ['InstanceNorm2d', () => new nn.InstanceNorm2d(3, { affine: true } as never), imghw(3), BHW],
  ['GroupNorm', () => new nn.GroupNorm(3, 6), imghw(6), BHW],
  ['LayerNorm', () => new nn.LayerNorm(16), seq, BT],
  ['RMSNorm', () => new nn.RMSNorm(16), seq, BT],
  ['LocalResponseNorm', () => new nn.LocalResponseNorm(3), imghw(6), BHW],
  ...(
    [
      'ReLU',
      'LeakyReLU',
      'ELU',
      'GELU',
      'SiLU',
      'Mish',
      'Sigmoid',
      'Tanh',
      'Softplus',
      'ReLU6',
      'SELU',
      'Softsign',
      'LogSigmoid',
      'Hardsigmoid',
      'Hardswish',
      'Tanhshrink',
      'CELU',
      'Softshrink',
      'Hardshrink',
      'RReLU',
      'Hardtanh',
      'PReLU',
    ] as const
  ).map((k): Case => [k, () => new (nn[k] as new () => nn.Module)(), seq, BT]),
  ['GLU', () => new nn.GLU(), seq, BT],
  ['GLUtime', () => new nn.GLU(1 as never), (n, t) => [randn([n, 2 * t, 4])], BT],
  ['Threshold', () => new nn.Threshold(0.1, 20), seq, BT],
  ['Softmax', () => new nn.Softmax(1 as never), seq, BT],
  ['LogSoftmax', () => new nn.LogSoftmax(-1 as never), seq, BT],
  ['Softmin', () => new nn.Softmin(-1 as never), seq, BT],
  ['Softmax2d', () => new nn.Softmax2d(), imghw(3), BHW],
  ['Flatten', () => new nn.Flatten(), imghw(3), { input: { 0: 'batch' } }],
  ['Flattenhw', () => new nn.Flatten(2 as never), imghw(3), BHW],
  ['UpsampleNearest', () => new nn.Upsample({ scaleFactor: 2 } as never), imghw(3), BHW],
  ['UpsampleBilinear', () => new nn.Upsample({ scaleFactor: 2, mode: 'bilinear' } as never), imghw(3), BHW],
  [
    'UpsampleCorners',
    () => new nn.Upsample({ scaleFactor: 2, mode: 'bilinear', alignCorners: true } as never),
    imghw(3),
    BHW,
  ],
  ['UpsampleCubicSize', () => new nn.Upsample({ size: 11, mode: 'bicubic' } as never), imghw(3), BHW],
  ['PixelShuffle', () => new nn.PixelShuffle(2), imghw(4), BHW],
  ['PixelUnshuffle', () => new nn.PixelUnshuffle(2), imghw(4), BHW],
  ['ChannelShuffle', () => new nn.ChannelShuffle(2), imghw(4), BHW],
  ['Unfold', () => new nn.Unfold(3), img(3, 8), B],
  ['Fold', () => new nn.Fold(8 as never, 2 as never, { stride: 2 } as never), (n) => [randn([n, 12, 16])], B],
  [
    'Bilinear',
    () => new nn.Bilinear(3, 4, 5),
    (n) => [randn([n, 3]), randn([n, 4])],
    { input_0: { 0: 'batch' }, input_1: { 0: 'batch' } },
  ],
  [
    'CosineSimilarity',
    () => new nn.CosineSimilarity(),
    (n) => [randn([n, 3]), randn([n, 3])],
    { input_0: { 0: 'batch' }, input_1: { 0: 'batch' } },
  ],
  [
    'PairwiseDistance',
    () => new nn.PairwiseDistance(),
    (n) => [randn([n, 3]), randn([n, 3])],
    { input_0: { 0: 'batch' }, input_1: { 0: 'batch' } },
  ],
  ...(['ConstantPad1d', 'ReflectionPad1d', 'ReplicationPad1d', 'CircularPad1d'] as const).map((k): Case => [
    k,
    () => new (nn[k] as new (...a: unknown[]) => nn.Module)(2, 0.5),
    (n, t) => [randn([n, 3, t])],
    { input: { 0: 'batch', 2: 'time' } },
  ]),
  ['MoE', () => new nn.MixtureOfExperts(16, { experts: 4 }), () => [randn([2, 6, 16])]],
  ['MoEdyn', () => new nn.MixtureOfExperts(16, { experts: 4, capacityFactor: 4 }), seq, BT],
  ['GCN', () => new nn.GCNConv(4, 2), () => [randn([3, 4]), edges()]],
  [
    'GCNdyn',
    () => new nn.GCNConv(4, 2),
    (n, t) => [randn([t, 4]), randint(0, 2, [2, n], { dtype: 'int64' })],
    { input_0: { 0: 'nodes' }, input_1: { 1: 'edges' } },
  ],
  [
    'GAT',
    () => new nn.GATConv(4, 2, { heads: 3 }),
    (n, t) => [randn([t, 4]), randint(0, 2, [2, n], { dtype: 'int64' })],
    { input_0: { 0: 'nodes' }, input_1: { 1: 'edges' } },
  ],
  [
    'GATv2',
    () => new nn.GATv2Conv(4, 2, { heads: 3, edgeFeatures: 5 }),
    (n, t) => [randn([t, 4]), randint(0, 2, [2, n], { dtype: 'int64' }), randn([n, 5])],
    { input_0: { 0: 'nodes' }, input_1: { 1: 'edges' }, input_2: { 0: 'edges' } },
  ],
  [
    'GIN',
    () => new nn.GINConv(4, new nn.Linear(4, 2), { edgeFeatures: 5 }),
    (n, t) => [randn([t, 4]), randint(0, 2, [2, n], { dtype: 'int64' }), randn([n, 5])],
    { input_0: { 0: 'nodes' }, input_1: { 1: 'edges' }, input_2: { 0: 'edges' } },
  ],
  [
    'SAGE',
    () => new nn.SAGEConv(4, 2),
    (n, t) => [randn([t, 4]), randint(0, 2, [2, n], { dtype: 'int64' })],
    { input_0: { 0: 'nodes' }, input_1: { 1: 'edges' } },
  ],
  [
    'SAGEmax',
    () => new nn.SAGEConv(4, 2, { aggregation: 'max' }),
    (n, t) => [randn([t, 4]), randint(0, 2, [2, n], { dtype: 'int64' })],
    { input_0: { 0: 'nodes' }, input_1: { 1: 'edges' } },
  ],
  ['Dropout', () => new nn.Sequential(new nn.Linear(16, 4), new nn.Dropout(0.5)), seq, BT],
  [
    'CrossEntropyLoss',
    () => new nn.CrossEntropyLoss(),
    (n) => [randn([n, 5]), randint(0, 5, [n], { dtype: 'int64' })],
    { input_0: { 0: 'batch' }, input_1: { 0: 'batch' } },
  ],
  [
    'MSELoss',
    () => new nn.MSELoss(),
    (n) => [randn([n, 5]), randn([n, 5])],
    { input_0: { 0: 'batch' }, input_1: { 0: 'batch' } },
  ],
];

/** The tensors in a value, in order. */
const tensorsIn = (value: unknown): AnyTensor[] => {
  if (value === undefined) return [];
  return value instanceof Tensor ? [value as AnyTensor] : Object.values(value as object).flatMap(tensorsIn);
};

/** Whose second size is not in `dynamicAxes`. */
const fixed = ['MoE', 'LSTMproj', 'Flatten'];

// With rest parameters: a missing fourth would be jest's callback.
test.each(cases)('%s', async (...[title, make, inputs, axes]: Case) => {
  manualSeed(1);
  const model = make() as nn.Module & { forward(...given: unknown[]): unknown };
  noGrad(() => {
    for (const [, buffer] of model.namedBuffers()) if (buffer.dtype === 'float32') buffer.uniform_(0.5, 2);
  });
  const path = join(folder, 'model.onnx');
  await onnx.save(path, model, inputs(2, 4), axes && { dynamicAxes: axes });
  model.eval();
  const given = axes === undefined ? inputs(2, 4) : inputs(3, fixed.includes(title) ? 4 : 5);
  const expected = tensorsIn(noGrad(() => model.forward(...given)));
  const got = Object.values(await runtime.run(path, tensorsIn(given)));
  const again = await onnx.load(path);
  const loaded = tensorsIn(noGrad(() => again.forward(...tensorsIn(given)) as AnyTensor | AnyTensor[]));
  expect(got).toHaveLength(expected.length);
  expected.forEach((result, i) => {
    expect(got[i]!.dtype).toBe(result.dtype);
    // Layers of sums in another order.
    const tolerance = { rtol: 1e-5, atol: 1e-5 };
    expectClose(plain(got[i]!), plain(result), tolerance, `${title}, result ${i}`);
    expectClose(plain(loaded[i]!), plain(result), tolerance, `${title}, loaded again, result ${i}`);
  });
});
