// The losses of make-neural.py against PyTorch, as layers, and what they refuse.
import { nn, ones, tensor, type AnyTensor } from '../../lib/index';
import { compareLoss, type LossCase } from '../golden/compare-loss';

const cases: Record<string, LossCase> = {
  'l1-equal': (x, { target }) => new nn.L1Loss().forward(x, target!),
  'smooth-l1-zero-beta': (x, { target }) => new nn.SmoothL1Loss({ beta: 0 }).forward(x, target!),
  'bce-shares': (x, { target }) => new nn.BCELoss().forward(x, target!),
  'bce-shares-weight': (x, { target, weight }) =>
    new nn.BCELoss({ weight: weight!, reduction: 'sum' }).forward(x, target!),
  'kl-batchmean': (x, { target }) => new nn.KLDivLoss({ reduction: 'batchmean' }).forward(x, target!),
  'kl-log': (x, { target }) => new nn.KLDivLoss({ reduction: 'sum', logTarget: true }).forward(x, target!),
  'nll-spatial': (x, { target }) => new nn.NLLLoss({ ignoreIndex: 1 }).forward(x, target!),
  'cosine-embedding': (x, { other, target }) => new nn.CosineEmbeddingLoss({ margin: 0.2 }).forward(x, other!, target!),
  'margin-ranking': (x, { other, target }) => new nn.MarginRankingLoss({ margin: 0.3 }).forward(x, other!, target!),
  triplet: (x, { positive, negative }) => new nn.TripletMarginLoss({ margin: 0.8 }).forward(x, positive!, negative!),
  'triplet-swap': (x, { positive, negative }) =>
    new nn.TripletMarginLoss({ p: 1, swap: true, reduction: 'none' }).forward(x, positive!, negative!),
  'multi-label-margin': (x, { target }) => new nn.MultiLabelMarginLoss({ reduction: 'none' }).forward(x, target!),
  'multi-label-margin-row': (x, { target }) => new nn.MultiLabelMarginLoss().forward(x, target!),
  'multi-label-soft-margin': (x, { target, weight }) =>
    new nn.MultiLabelSoftMarginLoss({ weight: weight! }).forward(x, target!),
  'multi-margin': (x, { target }) => new nn.MultiMarginLoss().forward(x, target!),
  'multi-margin-2': (x, { target, weight }) =>
    new nn.MultiMarginLoss({ p: 2, margin: 0.6, weight: weight!, reduction: 'sum' }).forward(x, target!),
  poisson: (x, { target }) => new nn.PoissonNLLLoss().forward(x, target!),
  'poisson-full': (x, { target }) =>
    new nn.PoissonNLLLoss({ logInput: false, full: true, reduction: 'sum' }).forward(x, target!),
  gaussian: (x, { target, variance }) => new nn.GaussianNLLLoss().forward(x, target!, variance!),
  'gaussian-variance': (v, { target, mean }) =>
    new nn.GaussianNLLLoss({ full: true, reduction: 'none' }).forward(mean!, target!, v),
};
for (const reduction of ['none', 'mean', 'sum'] as const) {
  const options = { reduction };
  cases[`l1-${reduction}`] = (x, { target }) => new nn.L1Loss(options).forward(x, target!);
  cases[`smooth-l1-${reduction}`] = (x, { target }) =>
    new nn.SmoothL1Loss({ beta: 0.5, ...options }).forward(x, target!);
  cases[`huber-${reduction}`] = (x, { target }) => new nn.HuberLoss({ delta: 0.3, ...options }).forward(x, target!);
  cases[`soft-margin-${reduction}`] = (x, { target }) => new nn.SoftMarginLoss(options).forward(x, target!);
  cases[`hinge-embedding-${reduction}`] = (x, { target }) =>
    new nn.HingeEmbeddingLoss({ margin: 0.7, ...options }).forward(x, target!);
  cases[`kl-${reduction}`] = (x, { target }) => new nn.KLDivLoss(options).forward(x, target!);
  cases[`nll-${reduction}`] = (x, { target, weight }) =>
    new nn.NLLLoss({ weight: weight!, ...options }).forward(x, target!);
  cases[`ctc-${reduction}`] = (x, { target, inputLengths, targetLengths }) =>
    new nn.CTCLoss({ zeroInfinity: true, ...options }).forward(
      x.logSoftmax(-1) as AnyTensor,
      target!,
      inputLengths!,
      targetLengths!,
    );
}
cases['ctc-joined'] = (x, { target, inputLengths, targetLengths }) =>
  new nn.CTCLoss({ zeroInfinity: true }).forward(x.logSoftmax(-1) as AnyTensor, target!, inputLengths!, targetLengths!);
cases['ctc-blank'] = (x) =>
  new nn.CTCLoss({ blank: 4 }).forward(
    x.logSoftmax(-1) as AnyTensor,
    tensor(
      [
        [0, 1],
        [1, 3],
      ],
      { dtype: 'int32' },
    ),
    [6, 5],
    [2, 2],
  );

test.each(Object.entries(cases))('%s', (name, loss) => compareLoss(name, loss, 'neural'));

test('bceLoss bounds its logarithms', () => {
  const loss = nn.functional.bceLoss(tensor([0, 1, 0, 1]), tensor([0, 1, 1, 0]), { reduction: 'none' });
  expect(loss.abs().toArraySync()).toEqual([0, 0, 100, 100]);
});

test('ctcLoss without room for the labels is infinite, and without labels the blanks', () => {
  const logProbs = ones([3, 2, 4]).logSoftmax(-1);
  const loss = nn.functional.ctcLoss(
    logProbs,
    tensor(
      [
        [1, 1],
        [1, 2],
      ],
      { dtype: 'int64' },
    ),
    [2, 3],
    [2, 0],
    {
      reduction: 'none',
    },
  );
  const [first, second] = loss.toArraySync() as number[];
  expect(first).toBe(Infinity);
  expect(second).toBeCloseTo(3 * Math.log(4), 5);
});

test('the weights of a loss are its state', () => {
  const weight = tensor([1, 2]);
  expect(Object.keys(new nn.CrossEntropyLoss({ weight }).stateDict())).toEqual(['weight']);
  expect(Object.keys(new nn.BCEWithLogitsLoss({ posWeight: weight }).stateDict())).toEqual(['pos_weight']);
  const loss = new nn.CrossEntropyLoss({ weight }).forward(tensor([[1, 2]]), tensor([0], { dtype: 'int64' }));
  expect(loss.itemSync()).toBeCloseTo(1.3133, 4);
  expect(new nn.MSELoss().forward(tensor([1]), tensor([3])).itemSync()).toBe(4);
  const nce = new nn.InfoNCELoss({ temperature: 1 });
  expect(nce.forward(tensor([[1, 0]]), tensor([[1, 0]]), tensor([[0, 1]])).itemSync()).toBeCloseTo(0.3133, 4);
});

describe('what losses refuse', () => {
  const f = nn.functional;
  const x = ones([2, 3]);
  const int = (data: number[]): AnyTensor => tensor(data, { dtype: 'int64' });
  test.each<[() => unknown, string]>([
    [
      () => f.l1Loss(x as AnyTensor, ones([3]) as AnyTensor),
      'l1Loss: shapes differ: got input [2, 3] and target [3], expected one shape',
    ],
    [() => f.smoothL1Loss(x, x, { beta: -1 }), 'smoothL1Loss: beta: got -1, expected a number of at least 0'],
    [() => f.huberLoss(x, x, { delta: 0 }), 'huberLoss: delta: got 0, expected a positive number'],
    [() => f.multiMarginLoss(x, int([0, 1]), { p: 3 as 2 }), 'multiMarginLoss: p: got 3, expected 1 or 2'],
    [
      () => f.crossEntropy(x, x.div(3), { ignoreIndex: 1 }),
      'crossEntropy: ignoreIndex: got 1, expected none for probabilities as target',
    ],
    [() => f.tripletMarginLoss(x, x, x, { margin: 0 }), 'tripletMarginLoss: margin: got 0, expected a number above 0'],
    [
      () => f.multiLabelMarginLoss(x, int([0, 1])),
      'multiLabelMarginLoss: target does not fit: got shape [2], expected [2, 3]',
    ],
    [() => f.infoNce(x, x, { temperature: 0 }), 'infoNce: temperature: got 0, expected a positive number'],
    [
      () => f.klDiv(x, x, { reduction: 'max' as 'sum' }),
      'klDiv: reduction: got max, expected mean, sum, batchmean or none',
    ],
    [
      () => f.gaussianNllLoss(x, x, ones([4, 2, 3])),
      'gaussianNllLoss: variance does not fit: got shape [4, 2, 3], expected one that broadcasts to [2, 3]',
    ],
    [
      () => f.ctcLoss(ones([4, 2, 3]), int([1]), [4], [1, 0]),
      'ctcLoss: inputLengths do not fit: got shape [1], expected [2]',
    ],
    [
      () => f.ctcLoss(ones([4, 2, 3]), int([1]), [4, 4], [1, 0], { blank: 3 }),
      'ctcLoss: blank: got 3, expected a class of 3',
    ],
    [
      () => f.cdist(x, ones([2, 4])),
      'cdist: shapes do not fit: got a [2, 3] and b [2, 4], expected [..., n, d] and [..., m, d]',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });

  test.each<[() => AnyTensor, string]>([
    [
      () => f.ctcLoss(ones([4, 2, 3]), int([1]), [5, 4], [1, 0]),
      'ctc: input length 5 at position 0 out of range: expected 0 to 4',
    ],
    [
      () => f.ctcLoss(ones([4, 2, 3]), int([1]), [4, 4], [1, 1]),
      'ctc: target length 1 at position 1 out of range: expected 0 to 0',
    ],
    [() => f.ctcLoss(ones([4, 1, 3]), int([3]), [4], [1]), 'ctc: target 3 at position 0 out of range: expected 0 to 2'],
  ])('%#, at the next read: %s', async (act, message) => {
    await expect(act().data()).rejects.toThrow(new Error(message));
  });
});
