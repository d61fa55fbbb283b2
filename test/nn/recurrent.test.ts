// Recurrent layers against PyTorch, and what they refuse.
import {
  cat,
  nn,
  ones,
  setNumThreads,
  getNumThreads,
  manualSeed,
  randn,
  tensor,
  zeros,
  type AnyTensor,
  type LstmResult,
} from '../../lib/index';
import { compareLayer, type LayerCase } from '../golden/compare-layer';

type Any = nn.RNN | nn.GRU | nn.LSTM;

/** Output, states and cells, one after the other. */
const joined = (...parts: (AnyTensor | undefined)[]): AnyTensor =>
  cat(
    parts.flatMap((part) => part ?? []).map((part) => part.flatten() as AnyTensor),
    0,
  );
const all =
  (call: (inputs: readonly AnyTensor[]) => nn.RecurrentCall = () => ({})) =>
  (module: Any, inputs: readonly AnyTensor[]): AnyTensor => {
    const result = module.forward(inputs[0]!, call(inputs));
    return joined(result.output, result.hidden, (result as Partial<LstmResult>).cell);
  };

const cases: Record<string, LayerCase> = {
  'rnn-relu': { make: () => new nn.RNN(4, 3, { nonlinearity: 'relu' }), call: all() },
  'lstm-projected': {
    make: () => new nn.LSTM(4, 5, { layers: 2, projection: 3, bidirectional: true }),
    call: all(),
  },
  'rnn-cell': { make: () => new nn.RNNCell(4, 3), call: (cell: nn.RNNCell, [x]) => cell.forward(x!).flatten() },
  'gru-cell': { make: () => new nn.GRUCell(4, 3), call: (cell: nn.GRUCell, [x]) => cell.forward(x!).flatten() },
  'lstm-cell': { make: () => new nn.LSTMCell(4, 3), call: (cell: nn.LSTMCell, [x]) => joined(...cell.forward(x!)) },
};
for (const kind of ['RNN', 'GRU', 'LSTM'] as const) {
  const name = kind.toLowerCase();
  const deep = { layers: 2, bidirectional: true, batchFirst: true };
  const lengths = tensor([3, 5, 1], { dtype: 'int64' });
  cases[name] = { make: () => new nn[kind](4, 3), call: all() };
  cases[`${name}-deep`] = { make: () => new nn[kind](4, 3, deep), call: all() };
  cases[`${name}-lengths`] = { make: () => new nn[kind](4, 3, deep), call: all(() => ({ lengths })) };
  cases[`${name}-initial`] = {
    make: () => new nn[kind](4, 3, { bias: false }),
    call: all(([, hidden, cell]) => ({ hidden, ...(cell && { cell }) })),
  };
}

test.each(Object.entries(cases))('%s', (name, layer) => compareLayer(name, layer, 'neural'));

test('a sequence without a batch gives what a batch of one does', () => {
  const layer = new nn.LSTM(2, 3, { bidirectional: true });
  const x = randn([4, 2]);
  const one = layer.forward(x);
  const batch = layer.forward(x.unsqueeze(1));
  expect(one.output.shape).toEqual([4, 6]);
  expect(one.cell.shape).toEqual([2, 3]);
  expect(one.output.toArraySync()).toEqual(batch.output.squeeze(1).toArraySync());
});

test.each(['RNN', 'GRU', 'LSTM'] as const)('a batch of many sequences gives what they give one by one: %s', (kind) => {
  const layer = new nn[kind](5, 19, { bidirectional: true });
  const [steps, count] = [4, 21];
  const data = randn([steps, count, 5]);
  const lengths = tensor(
    Array.from({ length: count }, (_, i) => i % (steps + 1)),
    { dtype: 'int64' },
  );
  const run = (x: AnyTensor, own: AnyTensor): AnyTensor => {
    const input = x.detach().contiguous().requiresGrad_();
    const { output, hidden } = layer.forward(input, { lengths: own });
    output.square().sum().add(hidden.sum()).backward();
    return joined(output.transpose(0, 1), hidden.transpose(0, 1), input.grad!.transpose(0, 1)).detach();
  };
  const batch = run(data, lengths);
  const byParameter = layer.parameters().map((p) => p.grad!);
  for (const p of layer.parameters()) p.grad = undefined;
  const single = Array.from({ length: count }, (_, i) => run(data.narrow(1, i, 1), lengths.narrow(0, i, 1)));
  const sizes = [steps * 38, 38, steps * 5];
  const starts = sizes.map((_, part) => sizes.slice(0, part).reduce((sum, size) => sum + size, 0));
  const parts = sizes.map((size, part) =>
    cat(
      single.map((one) => one.narrow(0, starts[part]!, size)),
      0,
    ),
  );
  expect(batch.sub(cat(parts, 0)).abs().max().itemSync()).toBeLessThan(1e-5);
  layer.parameters().forEach((p, i) => {
    expect(p.grad!.sub(byParameter[i]!).abs().max().itemSync()).toBeLessThan(1e-4);
  });
});

// A weight that fits a core's cache and one that does not.
test.each([70, 300])('the same bits at any number of threads: %i units', (units) => {
  const threads = getNumThreads();
  const run = (count: number): unknown => {
    setNumThreads(count);
    manualSeed(3);
    const layer = new nn.LSTM(20, units);
    const x = randn([6, 33, 20]).requiresGrad_();
    layer.forward(x).output.square().sum().backward();
    return [x.grad!.toArraySync(), ...layer.parameters().map((p) => p.grad!.toArraySync())];
  };
  try {
    expect(run(3)).toEqual(run(1));
  } finally {
    setNumThreads(threads);
  }
});

test('dropout acts between layers, in training only', () => {
  const layer = new nn.GRU(2, 3, { layers: 2, dropout: 1 });
  const x = randn([4, 1, 2]);
  // With everything dropped the second layer sees zeros, whatever x is.
  expect(layer.forward(x).output.toArraySync()).toEqual(layer.forward(zeros([4, 1, 2])).output.toArraySync());
  layer.eval();
  expect(layer.forward(x).output.toArraySync()).not.toEqual(layer.forward(zeros([4, 1, 2])).output.toArraySync());
});

describe('what recurrent layers refuse', () => {
  const weights = { weightIh: zeros([4, 3]), weightHh: zeros([4, 4]) };
  const { rnn, gru, lstmCell } = nn.functional;
  test.each<[() => unknown, string]>([
    [
      () => new nn.LSTM(3, 4, { projection: 4 }),
      'LSTM: projection: got 4, expected an integer from 0 to below the hidden size 4',
    ],
    [() => new nn.GRU(3, 0), 'GRU: hiddenSize: got 0, expected a positive integer'],
    [
      () => new nn.GRU(3, 4).forward(ones([5, 2, 4])),
      'gru: layers[0].weightIh does not fit: got shape [12, 3], expected [12, 4]',
    ],
    [() => rnn(ones([5]), [weights]), 'rnn: wrong rank: got shape [5], expected [t, b, in] or [t, in]'],
    [() => rnn(ones([5, 2, 3]), []), 'rnn: layers: got 0 sets of weights, expected at least one'],
    [
      () => rnn(ones([5, 2, 3]), [weights], { bidirectional: true }),
      'rnn: layers: got 1 sets of weights, expected two for each layer',
    ],
    [
      () => rnn(ones([5, 2, 3]), [weights], { nonlinearity: 'gelu' as 'relu' }),
      'rnn: nonlinearity: got gelu, expected tanh or relu',
    ],
    [
      () => rnn(ones([5, 2, 3]), [weights], { lengths: tensor([5], { dtype: 'int32' }) }),
      'rnn: lengths do not fit: got shape [1], expected [2]',
    ],
    [
      () => rnn(ones([5, 2, 3]), [{ ...weights, weightHr: zeros([2, 4]) }]),
      'rnn: layers[0].weightHr: got a projection, expected none outside lstm',
    ],
    [
      () => gru(ones([5, 2, 3]), [weights]),
      'gru: layers[0].weightIh does not fit: got shape [4, 3], expected [3 · h, 3]',
    ],
    [
      () => rnn(ones([5, 2, 3]), [weights], { hidden: zeros([1, 2, 2]) }),
      'rnn: hidden does not fit: got shape [1, 2, 2], expected [1, 2, 4]',
    ],
    [
      () => lstmCell(ones([2, 3]), zeros([2, 1]), zeros([1, 1]), { weightIh: zeros([4, 3]), weightHh: zeros([4, 1]) }),
      'lstmCell: c does not fit: got shape [1, 1], expected [2, 1]',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });

  test('a length out of range, at the next read', async () => {
    const lengths = tensor([2, 6], { dtype: 'int32' });
    await expect(rnn(ones([5, 2, 3]), [weights], { lengths }).output.data()).rejects.toThrow(
      new Error('recurrent: length 6 at position 1 out of range for 5 steps'),
    );
  });
});
