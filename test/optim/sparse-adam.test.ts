// SparseAdam against PyTorch's on gradients of an embedding, sparse there.
import { ArgumentError, embedding, optim, tensor } from '../../lib/index';

const steps = (settings: Partial<optim.SparseAdamSettings>): number[][] => {
  const weight = tensor([
    [0.5, -1],
    [2, 0.25],
    [-0.75, 1.5],
  ]).requiresGrad_();
  const optimizer = new optim.SparseAdam([weight], { lr: 0.1, betas: [0.8, 0.9], ...settings });
  const factors = tensor([
    [1, 2],
    [3, -1],
  ]);
  const sign = settings.maximize === true ? -1 : 1;
  for (const index of [
    [0, 2],
    [1, 1],
    [0, 1],
    [2, 0],
  ]) {
    optimizer.zeroGrad();
    const rows = embedding(weight, tensor(index, { dtype: 'int32' }));
    rows.mul(factors).square().sum().mul(sign).backward();
    optimizer.step();
  }
  return weight.toArraySync() as number[][];
};

test.each([{}, { maximize: true }])('rows that a step does not read stay as they are: %j', (settings) => {
  // torch.optim.SparseAdam of PyTorch 2.13
  const expected = [
    [0.2375508248806, -0.7341786623001099],
    [1.8359198570251465, 0.10736437141895294],
    [-0.5909520983695984, 1.3260679244995117],
  ];
  steps(settings).forEach((row, i) => row.forEach((value, j) => expect(value).toBeCloseTo(expected[i]![j]!, 6)));
});

test('wrong settings are refused', () => {
  expect(() => new optim.SparseAdam([tensor([1]).requiresGrad_()], { lr: -1 })).toThrow(
    new ArgumentError('SparseAdam: lr: got -1, expected a number at least 0'),
  );
});
