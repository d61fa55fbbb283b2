import { gradients, manualSeed, nn, noGrad, ones, randn, scope, tensor, zeros, type AnyTensor } from '../../lib/index';

const values = (x: AnyTensor): number[] => Array.from(x.dataSync() as Float64Array);

test('tensors stand in for parameters for one call, and gradients flow to them', () => {
  manualSeed(2);
  const model = new nn.Sequential(new nn.Linear(3, 2), new nn.Tanh(), new nn.Linear(2, 1));
  const x = randn([4, 3]);
  const before = values(model.forward(x));
  const scale = tensor(2).requiresGrad_();
  const weight: AnyTensor = scale.mul(ones([2, 3]));
  const y = nn.functionalCall(model, { '0.weight': weight, '0.bias': zeros([2]) }, x) as AnyTensor;
  const last = model.namedParameters().find(([name]) => name === '2.weight')![1];
  const bias = model.namedParameters().find(([name]) => name === '2.bias')![1];
  const expected = x.sum(1, { keepDims: true }).mul(scale).tanh().expand([4, 2]).matmul(last.transpose()).add(bias);
  expect(
    y
      .sub(expected as never)
      .abs()
      .max()
      .itemSync(),
  ).toBeLessThan(1e-6);
  const slope = (of: AnyTensor): number => (gradients([of.sum()], [scale])[0] as AnyTensor).itemSync() as number;
  expect(slope(y)).toBeCloseTo(slope(expected as AnyTensor), 5);
  expect(values(model.forward(x))).toEqual(before);
});

test('the module is as before when forward throws, and when one tensor stands for two', () => {
  const model = new nn.Sequential(new nn.Linear(2, 2, { bias: false }), new nn.Linear(2, 2, { bias: false }));
  const own = model.parameters();
  const shared = ones([2, 2]);
  expect(values(nn.functionalCall(model, { '0.weight': shared, '1.weight': shared }, ones([1, 2])))).toEqual([4, 4]);
  expect(() => nn.functionalCall(model, { '0.weight': shared }, ones([1, 5]))).toThrow('inner sizes differ');
  expect(model.parameters()).toEqual(own);
  model.parameters().forEach((parameter, i) => expect(parameter).toBe(own[i]));
});

test('buffers are written where they stand', () => {
  const norm = new nn.BatchNorm1d(2);
  const mean = zeros([2]);
  nn.functionalCall(norm, { running_mean: mean }, randn([8, 2]).add(5));
  expect(values(norm.runningMean!)).toEqual([0, 0]);
  expect(values(mean)[0]).toBeGreaterThan(0.2);
});

test('the gradient through a step of gradient descent is that of finite differences', () => {
  manualSeed(1);
  const model = new nn.Sequential(new nn.Linear(2, 3), new nn.Tanh(), new nn.Linear(3, 1)).to('float64');
  const [x, y] = [randn([5, 2], { dtype: 'float64' }), randn([5, 1], { dtype: 'float64' })];
  const names = model.namedParameters().map(([name]) => name);
  const start: AnyTensor[] = model.parameters().map((p) => p.detach().clone().requiresGrad_());
  const dict = (list: readonly AnyTensor[]): nn.StateDict =>
    Object.fromEntries(names.map((name, i) => [name, list[i]!]));
  const loss = (list: readonly AnyTensor[]): AnyTensor =>
    (nn.functionalCall(model, dict(list), x) as AnyTensor)
      .sub(y as never)
      .square()
      .mean();
  const adapted = (createGraph: boolean): AnyTensor => {
    const steps = gradients([loss(start)], start, { createGraph });
    return loss(start.map((p, i) => p.sub(steps[i]!.mul(0.5)) as AnyTensor));
  };
  const found = gradients([adapted(true)], start)[0] as AnyTensor;
  const shifted = (by: number): number =>
    scope(() => {
      noGrad(() => start[0]!.narrow(0, 0, 1).narrow(1, 0, 1).add_(by));
      const value = adapted(false).itemSync();
      noGrad(() => start[0]!.narrow(0, 0, 1).narrow(1, 0, 1).sub_(by));
      return value;
    });
  expect(found.at(0, 0).itemSync()).toBeCloseTo((shifted(1e-5) - shifted(-1e-5)) / 2e-5, 7);
});

test('what the module has not is refused', () => {
  const model = new nn.Linear(2, 1);
  expect(() => nn.functionalCall(model, { wight: ones([1, 2]) }, ones([1, 2]))).toThrow(
    'functionalCall: tensors: got wight, expected names among weight, bias',
  );
  expect(() => nn.functionalCall(model, { weight: ones([2, 1]) }, ones([1, 2]))).toThrow(
    'functionalCall: weight: got shape [2, 1], expected [1, 2]',
  );
});
