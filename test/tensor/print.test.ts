// What tensors look like as text.
import { inspect } from 'node:util';

import { arange, noGrad, scope, tensor, zeros, type AnyTensor } from '../../lib/index';

const text = (x: AnyTensor): string => x.toString();

test('whole numbers, fractions and signs stand in columns', () => {
  expect(text(tensor([1, -20, 300]))).toBe('tensor([  1., -20., 300.])');
  expect(
    text(
      tensor([
        [1, 2.5],
        [-3.14159, 4],
      ]),
    ),
  ).toBe('tensor([[ 1.0000,  2.5000],\n        [-3.1416,  4.0000]])');
  expect(text(tensor([-0, 0]))).toBe('tensor([-0.,  0.])');
});

test('a wide range, tiny and huge numbers are written with exponents', () => {
  expect(text(tensor([0.001, 1000.5]))).toBe('tensor([1.0000e-03, 1.0005e+03])');
  expect(text(tensor([1e-7, 2e-7]))).toBe('tensor([1.0000e-07, 2.0000e-07])');
  expect(text(tensor([1e10]))).toBe('tensor([1.0000e+10])');
  expect(text(tensor([1, 5000]))).toBe('tensor([   1., 5000.])');
});

test('NaN and the infinities do not change how the others are written', () => {
  expect(text(tensor([NaN, 1.5, -Infinity]))).toBe('tensor([      NaN,    1.5000, -Infinity])');
});

test('what is not usual stands behind', () => {
  expect(text(tensor([1, 2], { dtype: 'int32' }))).toBe("tensor([1, 2], { dtype: 'int32' })");
  expect(text(tensor([1n << 62n]))).toBe("tensor([4611686018427387904], { dtype: 'int64' })");
  expect(text(tensor([true, false]))).toBe("tensor([ true, false], { dtype: 'bool' })");
  expect(text(tensor([0.5], { dtype: 'bfloat16' }))).toBe("tensor([0.5000], { dtype: 'bfloat16' })");
  expect(text(tensor([1], { requiresGrad: true, dtype: 'float64' }))).toBe(
    "tensor([1.], { dtype: 'float64', requiresGrad: true })",
  );
});

test('scalars and empty tensors', () => {
  expect(text(tensor(3.25))).toBe('tensor(3.2500)');
  expect(text(tensor([]))).toBe('tensor([])');
  expect(text(zeros([2, 0]))).toBe('tensor([], { shape: [2, 0] })');
});

test('more than two axes are separated by empty lines', () => {
  expect(text(arange(4).reshape([2, 1, 2]))).toBe('tensor([[[0., 1.]],\n\n        [[2., 3.]]])');
});

test('long rows are broken', () => {
  const lines = text(arange(40).add(0.5)).split('\n');
  expect(lines).toHaveLength(5);
  expect(lines.every((line) => line.length <= 80)).toBe(true);
  expect(lines[1]).toMatch(/^ {8}(\d+|\s\d)\.5000,/);
});

test('large tensors are shortened in the middle, also strided ones', () => {
  expect(text(arange(2000))).toBe('tensor([   0.,    1.,    2., …, 1997., 1998., 1999.], { shape: [2000] })');
  const grid = arange(2000).reshape([1000, 2]).transpose();
  expect(text(grid)).toBe(
    'tensor([[   0.,    2.,    4., …, 1994., 1996., 1998.],\n' +
      '        [   1.,    3.,    5., …, 1995., 1997., 1999.]], { shape: [2, 1000] })',
  );
});

test('a released tensor says so', () => {
  const x = zeros([2, 3]);
  x.dispose();
  expect(text(x)).toBe('tensor(<released by dispose()>, { shape: [2, 3] })');
  let inside: AnyTensor | undefined;
  scope(() => void (inside = zeros([1])));
  expect(text(inside!)).toMatch(/^tensor\(<released when its scope ended/);
});

test('a tensor is text in templates and sums of text, and no number', () => {
  const x = tensor([1, 2]) as AnyTensor & number;
  expect(`${x} ${'' + x}`).toBe('tensor([1., 2.]) tensor([1., 2.])');
  const message =
    'number: got a tensor of float32 [2], expected a method such as x.mul(y) or x.greater(y), or what was';
  for (const f of [() => x * 2, () => x > 2, () => Math.max(x, 0)]) expect(f).toThrow(message);
});

test('inspect indents a tensor inside an object', () => {
  const x = noGrad(() =>
    tensor([
      [1, 2],
      [3, 4],
    ]),
  );
  expect(inspect({ x })).toBe('{\n  x: tensor([[1., 2.],\n          [3., 4.]])\n}');
});
