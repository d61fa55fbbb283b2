// What stands in the place of options is refused and not ignored.
import * as hadal from '../../lib/index';
import { tensor } from '../../lib/index';

const x = tensor([
  [1, 2],
  [3, 4],
]);

test('an error names the op that was called', () => {
  const calls: [() => unknown, string][] = [
    [() => hadal.countNonzero(x, 3 as never), 'countNonzero: axis 3 out of range for shape [2, 2]'],
    [() => hadal.nanSum(x, 3 as never), 'nanSum: axis 3 out of range for shape [2, 2]'],
    [() => hadal.nanMean(x, 3 as never), 'nanMean: axis 3 out of range for shape [2, 2]'],
    [() => hadal.norm(x, 3 as never, { p: 3 }), 'norm: axis 3 out of range for shape [2, 2]'],
    [() => hadal.argsort(x, { axis: 3 }), 'argsort: axis 3 out of range for shape [2, 2]'],
    [() => hadal.std(x, 3 as never), 'std: axis 3 out of range for shape [2, 2]'],
    [() => hadal.variance(x, 0, { correction: -1 }), 'variance: correction: got -1, expected a non-negative number'],
    [
      () => hadal.pad(x, [[-2, -1]]),
      'pad: more is removed than there is: got padding [-2, -1], expected at most 2 at axis 1',
    ],
    [() => hadal.multiDot([x]), 'multiDot: matrices: got 1 in an array, expected two or more in an array'],
    [
      () => hadal.multiDot([x, hadal.ones([3, 2])]),
      'multiDot: inner sizes differ: matrices[0] [2, 2] · matrices[1] [3, 2] (2 vs 3)',
    ],
    [() => hadal.pdist(hadal.ones([3])), 'pdist: got shape [3], expected [n, d]'],
    [
      () => hadal.mode(hadal.ones([0])),
      'mode: nothing to reduce: got size 0 at axis 0 of shape [0], expected at least 1',
    ],
    [
      () => (hadal.eye as () => unknown)(),
      'eye: not a size: got undefined in shape [undefined, undefined], expected a non-negative integer',
    ],
    [() => hadal.trilIndices(2, 2, { offset: 0.5 }), 'trilIndices: offset: got 0.5, expected an integer'],
    [
      () => hadal.logdet(hadal.ones([2, 3]) as never),
      'logdet: not square: got x of shape [2, 3], expected [..., n, n]',
    ],
  ];
  for (const [call, message] of calls) expect(call).toThrow(new Error(message));
});

test('a value in the place of an option, or null, is an error that says so', () => {
  expect(() => x.sum(0, true as never)).toThrow('sum: options: got boolean true, expected an object');
  expect(() => hadal.maxPool2d(hadal.ones([1, 4, 4]), 2, 2 as never)).toThrow(
    'maxPool2d: options: got number 2, expected an object',
  );
  expect(() => hadal.zeros([2], null as never)).toThrow('zeros: options: got null, expected an object');
  expect(() => hadal.mseLoss(x, x, 'sum' as never)).toThrow('mseLoss: options: got string sum, expected an object');
  expect(() => hadal.normalize(x, null as never)).toThrow(hadal.ArgumentError);
  expect(x.sum(0, undefined).toArraySync()).toEqual([4, 6]);
});

test('names that an op or a class does not have are refused', () => {
  const calls: [() => unknown, string][] = [
    [() => hadal.sum(x, 0, { keepDim: true } as never), 'sum: options: got keepDim, expected keepDims'],
    [() => x.sum(0, { dim: 0 } as never), 'sum: options: got dim, expected keepDims'],
    [() => new hadal.nn.Linear(3, 4, { bais: false } as never), 'Linear: options: got bais, expected bias'],
    [() => hadal.randn([2], { dtpye: 1 } as never), 'randn: options: got dtpye, expected dtype, device, requiresGrad'],
  ];
  for (const [call, message] of calls) expect(call).toThrow(new Error(message));
  class Wide extends hadal.nn.Conv2d {
    constructor(options: object) {
      super(1, 1, 1, { ...options });
    }
  }
  expect(() => new Wide({ own: 1 })).not.toThrow();
  expect(() => new Wide({ padding_mode: 'zeros' })).toThrow(
    new Error('Wide: options: got padding_mode, expected paddingMode'),
  );
});

test("names of PyTorch's options are refused", () => {
  const calls: [() => unknown, string][] = [
    [() => hadal.sum(x, 0, { keepdim: true } as never), 'sum: options: got keepdim, expected keepDims'],
    [() => hadal.argsort(x, { dim: 0 } as never), 'argsort: options: got dim, expected axis'],
    [() => new hadal.nn.BatchNorm2d(2, { eps: 1e-3 } as never), 'BatchNorm2d: options: got eps, expected epsilon'],
    [
      () => hadal.nn.functional.crossEntropy(x, tensor([0, 1], { dtype: 'int64' }), { label_smoothing: 0.1 } as never),
      'crossEntropy: options: got label_smoothing, expected labelSmoothing',
    ],
  ];
  for (const [call, message] of calls) expect(call).toThrow(new Error(message));
});

test('tensors and arrays in the place of options are refused', () => {
  const { LSTM } = hadal.nn;
  const calls: [() => unknown, string][] = [
    [() => new LSTM(2, 3).forward(x, [x, x] as never), 'LSTM: options: got an array, expected an object'],
    [() => new hadal.distributions.Categorical(x as never), 'Categorical: options: got a Tensor, expected an object'],
  ];
  for (const [call, message] of calls) expect(call).toThrow(new Error(message));
});
