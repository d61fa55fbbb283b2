/** Bad input costs a clear error and nothing else: each case asserts its whole message, and that the next step is right. */
import { cat, HadalError, nn, noGrad, ones, tensor, zeros } from '../lib';
import type { AnyTensor } from '../lib';

const { functional } = nn;
const any = (value: unknown): never => value as never;

const cases: readonly [name: string, call: () => unknown, code: string, message: string][] = [
  [
    'inner sizes of a product',
    () => (ones([32, 128]) as AnyTensor).matmul(ones([64, 10]) as AnyTensor),
    'SHAPE',
    'matmul: inner sizes differ: a [32, 128] · b [64, 10] (128 vs 64)',
  ],
  ['an axis', () => (ones([4, 5]) as AnyTensor).sum(3), 'SHAPE', 'sum: axis 3 out of range for shape [4, 5]'],
  [
    'an axis given twice',
    () => (ones([4, 5]) as AnyTensor).sum([0, -2]),
    'SHAPE',
    'sum: axis 0 given twice for shape [4, 5]',
  ],
  [
    'shapes that do not broadcast',
    () => (ones([2, 3]) as AnyTensor).add(ones([4, 3]) as AnyTensor),
    'SHAPE',
    'add: shapes [2, 3] and [4, 3] do not broadcast: 2 vs 4 at axis -2',
  ],
  [
    'a dtype without a kernel',
    () => functional.layerNorm(any(ones([2, 3], { dtype: 'int32' })), 3),
    'DTYPE',
    'layerNorm: dtype: got int32, expected float64, float32, float16, bfloat16',
  ],
  [
    'indices that are no integers',
    () => functional.embedding(ones([4, 2]), any(ones([2]))),
    'DTYPE',
    'embedding: index: got dtype float32, expected int32 or int64',
  ],
  [
    'a size that is NaN',
    () => zeros([2, NaN]),
    'SHAPE',
    'zeros: not a size: got NaN in shape [2, NaN], expected a non-negative integer',
  ],
  [
    'a negative size',
    () => zeros([-1]),
    'SHAPE',
    'zeros: not a size: got -1 in shape [-1], expected a non-negative integer',
  ],
  [
    'a size of 2^53',
    () => zeros([2 ** 53]),
    'SHAPE',
    'zeros: not a size: got 9007199254740992 in shape [9007199254740992], expected a non-negative integer',
  ],
  [
    'more elements than fit a number',
    () => zeros([2 ** 40, 2 ** 40]),
    'SHAPE',
    'zeros: too many elements: got shape [1099511627776, 1099511627776], expected at most 2^53 - 1 elements',
  ],
  [
    'too many axes',
    () => zeros([1, 1, 1, 1, 1, 1, 1, 1, 1]),
    'SHAPE',
    'zeros: too many axes: got 9, expected at most 8',
  ],
  [
    'a shape with other elements',
    () => (ones([2, 3]) as AnyTensor).reshape([4, 2]),
    'SHAPE',
    'reshape: number of elements differs: got shape [2, 3] with 6, expected [4, 2] with 8',
  ],
  [
    'a position outside an axis',
    () => ones([4, 5]).select(any(0), any(4)),
    'SHAPE',
    'select: index 4 out of range for axis 0 of shape [4, 5]',
  ],
  [
    'tensors that do not join',
    () => cat([ones([2, 3]), ones([2, 4])] as AnyTensor[], 0),
    'SHAPE',
    'cat: tensors[1] does not fit along axis 0: got shape [2, 4], expected [2, 3] except at that axis',
  ],
  [
    'channels of a convolution',
    () => functional.conv2d(ones([1, 3, 8, 8]) as AnyTensor, ones([4, 1, 3, 3]) as AnyTensor),
    'SHAPE',
    'conv2d: channels differ: x [1, 3, 8, 8] has 3, weight [4, 1, 3, 3] with 1 groups takes 1',
  ],
  [
    'something that is no tensor',
    () => functional.softmax(any('x'), 0),
    'ARGUMENT',
    'softmax: input: got string x, expected a tensor',
  ],
  [
    'an in-place write to what needs a gradient',
    () => ones([2]).requiresGrad_().copy_(3),
    'ARGUMENT',
    'copy: in-place write to a tensor that requires a gradient: got a leaf, expected noGrad(() => …) around it',
  ],
  [
    'an in-place write to an expanded tensor',
    () => ones([1, 3]).expand([2, 3]).add_(1),
    'ARGUMENT',
    'add: in-place write to an expanded tensor: got shape [2, 3] with elements that share memory, expected clone() before',
  ],
];

test.each(cases)('%s', (_, call, code, message) => {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(HadalError);
  expect((error as HadalError).message).toBe(message);
  expect((error as HadalError).code).toBe(code);
  expect(
    ones([2, 2])
      .matmul(ones([2, 2]))
      .sum()
      .itemSync(),
  ).toBe(8);
});

test('an index out of range is told at the next read, and leaves everything else right', async () => {
  const logits = tensor([[1, 2, 3]]);
  const loss = functional.crossEntropy(logits as AnyTensor, tensor([7], { dtype: 'int64' }) as AnyTensor);
  await expect(loss.item()).rejects.toThrow('crossEntropy: target 7');
  const good = functional.crossEntropy(logits as AnyTensor, tensor([2], { dtype: 'int64' }) as AnyTensor);
  expect(await good.item()).toBeCloseTo(0.4076, 4);
});

test('a step after an error trains on', () => {
  const layer = new nn.Linear(3, 2);
  expect(() => layer.forward(ones([4, 5]))).toThrow('linear: inner sizes differ: x [4, 5] · weight [2, 3]ᵀ (5 vs 3)');
  layer
    .forward(ones([4, 3]))
    .sum()
    .backward();
  expect(noGrad(() => (layer.weight.grad as AnyTensor).sum().itemSync())).toBe(24);
});
