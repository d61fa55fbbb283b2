// The summary of a model: rows, totals by closed forms, and the printed table.
import { models, nn, ones, type AnyTensor } from '../../lib/index';

test('LeNet-5 as a table', () => {
  const summary = nn.summary(new models.LeNet5(), [2, 1, 28, 28]);
  expect(String(summary).split('\n')).toEqual([
    'Layer               Output shape     Parameters  Multiply-adds',
    '─'.repeat(62),
    'LeNet5              [2, 10]                   –              –',
    '  Conv2d (conv1)    [2, 6, 28, 28]          156        235,200',
    '  Conv2d (conv2)    [2, 16, 10, 10]       2,416        480,000',
    '  Linear (fc1)      [2, 120]             48,120         96,000',
    '  Linear (fc2)      [2, 84]              10,164         20,160',
    '  Linear (fc3)      [2, 10]                 850          1,680',
    '  AvgPool2d (pool)  [2, 16, 5, 5]             –              –',
    '─'.repeat(62),
    'Parameters     61,706, of which 61,706 are trained',
    'Multiply-adds  833,040',
    'Memory         0.24 MiB parameters, 0 MiB buffers, 0.01 MiB inputs, 0.06 MiB outputs',
  ]);
});

describe('multiply-adds', () => {
  test.each<[string, nn.Module, number[] | number[][], number]>([
    ['a grouped convolution', new nn.Conv2d(4, 6, 3, { groups: 2, padding: 1 }), [1, 4, 5, 5], 6 * 25 * 2 * 9],
    ['a transposed convolution', new nn.ConvTranspose2d(4, 6, 2, { stride: 2 }), [1, 4, 5, 5], 100 * 6 * 4],
    [
      'a bilinear layer',
      new nn.Bilinear(3, 4, 2),
      [
        [5, 3],
        [5, 4],
      ],
      5 * 2 * (3 * 4 + 4),
    ],
    ['an LSTM', new nn.LSTM(3, 4, { layers: 2, bidirectional: true }), [7, 2, 3], 7 * 2 * 2 * 16 * (3 + 4 + 8 + 4)],
    ['a cell', new nn.GRUCell(3, 4), [2, 3], 2 * 12 * 7],
    ['attention', new nn.MultiHeadAttention(8, 2), [3, 5, 8], 3 * (5 * 8 * 8 * 4 + 2 * 5 * 5 * 8)],
    [
      'attention to others',
      new nn.MultiHeadAttention(8, 4, { keyHeads: 2 }),
      [
        [1, 5, 8],
        [1, 6, 8],
      ],
      5 * 64 * 2 + 6 * 8 * 4 * 2 + 2 * 5 * 6 * 8,
    ],
    [
      'attention with heads of their own size',
      new nn.MultiHeadAttention(8, 2, { headSize: 3 }),
      [3, 5, 8],
      3 * (5 * 8 * 6 * 4 + 2 * 5 * 5 * 6),
    ],
  ])('%s', (_, module, shape, expected) => expect(nn.summary(module, shape).multiplyAdds).toBe(expected));
});

test('parts used twice and frozen, dtypes of inputs, modes and hooks', () => {
  class Twice extends nn.Module {
    readonly embedding = new nn.Embedding(5, 4);
    readonly layer = new nn.Linear(4, 4, { bias: false });
    readonly unused = new nn.Linear(2, 2);
    readonly norm = new nn.BatchNorm1d(4);
    forward(index: AnyTensor): AnyTensor {
      return this.norm.forward(this.layer.forward(this.layer.forward(this.embedding.forward(index))));
    }
  }
  const model = new Twice();
  model.embedding.requiresGrad_(false);
  model.norm.eval();
  const before = model.norm.stateDict()['num_batches_tracked']!.itemSync();
  const summary = nn.summary(model, [3], { dtype: 'int32' });
  expect(summary.rows.map(({ name, parameters, multiplyAdds }) => [name, parameters, multiplyAdds])).toEqual([
    ['', 0, 0],
    ['embedding', 20, 0],
    ['layer', 16, 96],
    ['unused', 6, 0],
    ['norm', 8, 0],
  ]);
  expect(summary.rows[3]!.shapes).toEqual([]);
  expect([summary.parameters, summary.trainable]).toEqual([50, 30]);
  expect(summary.memory).toEqual({ inputs: 12, outputs: 4 * 4 * 12, parameters: 200, buffers: 40 });
  expect([model.training, model.norm.training, model.layer.training]).toEqual([true, false, true]);
  expect(model.norm.stateDict()['num_batches_tracked']!.itemSync()).toBe(before);
  expect(model.layer.forward(ones([1, 4])).requiresGrad).toBe(true);
});

test('refused', () => {
  expect(() => nn.summary(new nn.ReLU(), [])).toThrow(
    new Error('summary: inputShape: got none, expected the shape of an input'),
  );
  expect(() => nn.summary(new nn.Linear(2, 3), ones([1, 2]) as never)).toThrow(
    'summary: inputShape: got a Tensor, expected an array',
  );
});
