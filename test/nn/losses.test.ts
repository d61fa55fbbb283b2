// Losses against PyTorch, values and gradients.
import { nn, tensor, zeros, type AnyTensor } from '../../lib/index';
import { compareLoss, type LossCase } from '../golden/compare-loss';

const { crossEntropy, mseLoss, bceWithLogits } = nn.functional;

const cases: Record<string, LossCase> = {
  ce: (x, { target }) => crossEntropy(x, target!),
  'ce-none': (x, { target }) => crossEntropy(x, target!, { reduction: 'none' }),
  'ce-sum': (x, { target, weight }) => crossEntropy(x, target!, { weight: weight!, reduction: 'sum' }),
  'ce-weight': (x, { target, weight }) => crossEntropy(x, target!, { weight: weight! }),
  'ce-smooth': (x, { target }) => crossEntropy(x, target!, { labelSmoothing: 0.2 }),
  'ce-smooth-weight-ignore': (x, { target, weight }) =>
    crossEntropy(x, target!, { weight: weight!, ignoreIndex: 3, labelSmoothing: 0.2 }),
  'ce-soft': (x, { target, weight }) => crossEntropy(x, target!, { weight: weight!, labelSmoothing: 0.1 }),
  'ce-spatial': (x, { target, weight }) => crossEntropy(x, target!, { weight: weight! }),
  'ce-row': (x, { target }) => crossEntropy(x, target!),
  mse: (x, { target }) => mseLoss(x, target!),
  'mse-none': (x, { target }) => mseLoss(x, target!, { reduction: 'none' }),
  bce: (x, { target }) => bceWithLogits(x, target!),
  'bce-hard': (x, { target }) => bceWithLogits(x, target!, { reduction: 'sum' }),
  'bce-weights': (x, { target, weight, posWeight }) =>
    bceWithLogits(x, target!, { weight: weight!, posWeight: posWeight! }),
};

test.each(Object.entries(cases))('%s', (name, loss) => compareLoss(name, loss));

test('bceWithLogits keeps its digits at both ends', () => {
  const x = tensor([20, -20, 30, -30]);
  const loss = bceWithLogits(x, tensor([1, 0, 1, 0]), { reduction: 'none' }).dataSync();
  [Math.exp(-20), Math.exp(-20), Math.exp(-30), Math.exp(-30)].forEach((expected, i) => {
    expect(Math.abs(loss[i]! / Math.log1p(expected) - 1)).toBeLessThan(1e-6);
  });
});

test('gradients of bceWithLogits keep their digits, and stay finite at any logit', () => {
  const x = tensor([20, -20, 1e4, -1e4, 3e38]).requiresGrad_();
  bceWithLogits(x, tensor([1, 0, 0, 1, 1]), { reduction: 'sum' }).backward();
  const tail = Math.exp(-20);
  const gradient = Array.from(x.grad!.dataSync());
  [-tail, tail, 1, -1, 0].forEach((expected, i) => {
    expect(Math.abs(gradient[i]! - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
  });
});

test('a loss has the dtype of the logits', () => {
  const logits = tensor([[2, 1, 0]], { dtype: 'bfloat16' });
  for (const reduction of ['mean', 'sum', 'none'] as const) {
    const loss = crossEntropy(logits, tensor([0], { dtype: 'int32' }), { reduction });
    expect([loss.dtype, loss.shape]).toEqual(['bfloat16', reduction === 'none' ? [1] : []]);
    expect(Number(loss.sum().itemSync())).toBeCloseTo(0.4076, 2);
  }
});

test('all targets ignored: the mean is NaN, the sum zero, the gradient zero', () => {
  const logits = tensor([[2, 1, 0]]).requiresGrad_();
  const target = tensor([-100], { dtype: 'int64' });
  expect(crossEntropy(logits, target).itemSync()).toBeNaN();
  const sum = crossEntropy(logits, target, { reduction: 'sum' });
  expect(sum.itemSync()).toBe(0);
  sum.backward();
  expect(logits.grad!.toArraySync()).toEqual([[0, 0, 0]]);
});

describe('what losses refuse', () => {
  const logits = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const int = (data: number[]): AnyTensor => tensor(data, { dtype: 'int32' });
  test.each<[() => unknown, string]>([
    [
      () => crossEntropy(logits as AnyTensor, int([0, 1, 2])),
      'crossEntropy: target does not fit: got shape [3] for logits [2, 3], expected [2]',
    ],
    [
      () => crossEntropy(zeros([2, 5, 7]) as AnyTensor, zeros([2, 5], { dtype: 'int32' }) as AnyTensor),
      'crossEntropy: target does not fit: got shape [2, 5] for logits [2, 5, 7], expected [2, 7]: the classes are axis 1 of the logits',
    ],
    [
      () => nn.functional.nllLoss(logits as AnyTensor, int([0, 1, 2])),
      'nllLoss: target does not fit: got shape [3] for input [2, 3], expected [2]',
    ],
    [
      () => crossEntropy(logits, tensor([0, 1], { dtype: 'uint8' })),
      'crossEntropy: target: got dtype uint8, expected int32 or int64',
    ],
    [
      () => crossEntropy(logits, int([0, 1]), { labelSmoothing: 2 }),
      'crossEntropy: labelSmoothing: got 2, expected a number from 0 to 1',
    ],
    [
      () => crossEntropy(logits, int([0, 1]), { weight: tensor([1, 2]) }),
      'crossEntropy: weight does not fit: got shape [2], expected [3]',
    ],
    [
      () => crossEntropy(logits, int([0, 1]), { reduction: 'max' as 'mean' }),
      'crossEntropy: reduction: got max, expected mean, sum or none',
    ],
    [
      () => crossEntropy(logits as AnyTensor, tensor([0.5, 0.5]) as AnyTensor),
      'crossEntropy: target does not fit: got float32 [2], expected probabilities [2, 3] as the logits, or classes of int32 or int64',
    ],
    [
      () => mseLoss(logits as AnyTensor, tensor([1, 2]) as AnyTensor),
      'mseLoss: shapes differ: got input [2, 3] and target [2], expected one shape',
    ],
    [
      () => bceWithLogits(tensor([1]) as AnyTensor, int([1])),
      'bceWithLogits: target: got dtype int32, expected a floating dtype',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });

  test('a target that is no class, at the next read', async () => {
    await expect(crossEntropy(logits, int([0, 3])).data()).rejects.toThrow(
      new Error('crossEntropy: target 3 at position 1 out of range for 3 classes'),
    );
  });
});
