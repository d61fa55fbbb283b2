// Jacobians, Hessians and products with them, against closed forms and torch.autograd.functional.
import { grad, gradcheck, hessian, jacobian, jvp, ones, tensor, vjp, zeros, type AnyTensor } from '../../lib/index';

const vector = (data: number[]): AnyTensor => tensor(data, { dtype: 'float64' });
const matrix = (data: number[][]): AnyTensor => tensor(data, { dtype: 'float64' });
const values = (x: AnyTensor): unknown => x.toArraySync();
const near = (x: AnyTensor, expected: readonly number[]): void => {
  const got = Array.from(x.dataSync() as Float64Array);
  expect(got.length).toBe(expected.length);
  got.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 10));
};

const a = matrix([
  [1, 2, 3],
  [4, 5, 6],
]);

test('the Jacobian of a linear map is its matrix', () => {
  expect(values(jacobian((x: AnyTensor) => a.matmul(x) as AnyTensor)(vector([1, 1, 1])))).toEqual(values(a));
});

test('the Jacobian has the axes of the value and of the argument', () => {
  const x = matrix([
    [1, 2],
    [3, 4],
  ]);
  const j = jacobian((y: AnyTensor) => y.transpose() as AnyTensor)(x);
  expect(j.shape).toEqual([2, 2, 2, 2]);
  near(j, [1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  expect(jacobian((y: AnyTensor) => y.sum() as AnyTensor)(x).shape).toEqual([2, 2]);
  expect(jacobian((y: AnyTensor) => y.select(0, 0).narrow(0, 0, 0) as AnyTensor)(x).shape).toEqual([0, 2, 2]);
});

test('of several arguments, one that takes no part among them', () => {
  const [x, y, z] = [vector([1, 2]), vector([3, 4]), vector([5])];
  const all = jacobian((p: AnyTensor, q: AnyTensor, _unused: AnyTensor) => p.mul(q) as AnyTensor)(x, y, z);
  expect(all.map(values)).toEqual([
    [
      [3, 0],
      [0, 4],
    ],
    [
      [1, 0],
      [0, 2],
    ],
    [[0], [0]],
  ]);
  expect(values(jacobian(() => ones([2]) as AnyTensor)(z))).toEqual([[0], [0]]);
});

test('the Hessian of a quadratic form, and of e^(x·y) as torch computes it', () => {
  const form = (x: AnyTensor): AnyTensor => a.matmul(x).square().sum() as AnyTensor;
  near(hessian(form)(vector([1, 2, 3])), [34, 44, 54, 44, 58, 72, 54, 72, 90]);
  const blocks = hessian((x: AnyTensor, y: AnyTensor) => x.mul(y).sum().exp() as AnyTensor)(
    vector([0.5, -1]),
    vector([0.25, 0.5]),
  );
  // torch.autograd.functional.hessian; e^-0.375 = 0.6872892787909722.
  const e = Math.exp(-0.375);
  near(
    blocks[0][0],
    [0.0625, 0.125, 0.125, 0.25].map((value) => value * e),
  );
  near(
    blocks[0][1],
    [1.125, -0.25, 0.25, 0.5].map((value) => value * e),
  );
  near(
    blocks[1][1],
    [0.25, -0.5, -0.5, 1].map((value) => value * e),
  );
});

test('vjp goes back as often as is wanted, jvp forward', () => {
  const f = (x: AnyTensor, w: AnyTensor): AnyTensor => x.mul(w).sin() as AnyTensor;
  const [x, w] = [vector([0.5, 1]), vector([2, 3])];
  const [y, pullback] = vjp(f, x, w);
  near(y, [Math.sin(1), Math.sin(3)]);
  near(pullback(vector([1, 0]))[0], [2 * Math.cos(1), 0]);
  near(pullback(vector([0, 1]))[1], [0, Math.cos(3)]);
  const [value, tangent] = jvp(f, [x, w], [vector([1, 10]), vector([0, 100])]);
  near(value, [Math.sin(1), Math.sin(3)]);
  near(tangent, [2 * Math.cos(1), 130 * Math.cos(3)]);
  expect(tangent.requiresGrad).toBe(false);
  expect(values(jvp((_: AnyTensor) => ones([2]) as AnyTensor, [x], [x])[1])).toEqual([0, 0]);
});

test('jvp and vjp are adjoint: ⟨J·t, g⟩ = ⟨t, gᵀ·J⟩', () => {
  const f = (x: AnyTensor): AnyTensor => x.softmax(-1).matmul(a.transpose()).tanh() as AnyTensor;
  const [x, t, g] = [vector([0.1, -0.4, 0.7]), vector([1, -2, 0.5]), vector([0.3, 0.9])];
  const [, tangent] = jvp(f, [x], [t]);
  const [back] = vjp(f, x)[1](g);
  expect(tangent.mul(g).sum().itemSync()).toBeCloseTo(t.mul(back).sum().itemSync(), 12);
});

test('derivatives have derivatives', () => {
  const cubes = (x: AnyTensor): AnyTensor => jacobian((y: AnyTensor) => y.pow(3) as AnyTensor)(x).sum() as AnyTensor;
  near(grad(cubes)(vector([1, 2])), [6, 12]);
  const along = (x: AnyTensor): AnyTensor => jvp((y: AnyTensor) => y.pow(3) as AnyTensor, [x], [vector([1, 1])])[1];
  near(jacobian(along)(vector([1, 2])), [6, 0, 0, 12]);
  gradcheck((x) => along(x!), [vector([0.5, 1]).requiresGrad_()]);
});

test.each([
  [() => vjp((x: AnyTensor) => x, vector([1]))[1](zeros([2])), 'vjp: gradient: got shape [2], expected [1]'],
  [
    () => jvp((x: AnyTensor) => x, [vector([1])], [zeros([2]) as AnyTensor]),
    'jvp: tangents[0]: got shape [2], expected [1]',
  ],
  [() => jvp((x: AnyTensor) => x, [vector([1])], [] as never), 'jvp: tangents: got 0, expected 1, one for each input'],
  [() => jacobian((() => 3) as never)(vector([1])), 'jacobian: f: got number 3, expected a tensor'],
  [
    () => hessian((x: AnyTensor) => x)(vector([1, 2])),
    'valueAndGrad: f: got a result of shape [2], expected one element',
  ],
])('%#: refuses', (f, message) => {
  expect(f).toThrow(new Error(message));
});
