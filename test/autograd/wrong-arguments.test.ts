// Everything that takes a function or options for differentiation, called with wrong ones: a HadalError or a result, and the process goes on.
import * as hadal from '../../lib/index';
import { ones, scope, type AnyTensor } from '../../lib/index';
import { attempt, replaced, wrongTensors, wrongValues } from '../wrong-arguments';

const leaf = (): AnyTensor => ones([2, 3], { dtype: 'float64' }).requiresGrad_() as AnyTensor;
const square = (x: AnyTensor): AnyTensor => x.mul(x).sum() as AnyTensor;
const wrongResults = [() => 1, () => undefined, () => null, () => [], () => ({}), () => Promise.resolve(1)];

type Call = (...args: any[]) => unknown;
/** Each with arguments that are right, and what is done with the result. */
const cases: Record<string, { readonly args: () => unknown[]; readonly use?: (result: Call) => unknown }> = {
  autocast: { args: () => ['bfloat16', () => leaf()] },
  backward: { args: () => [square(leaf()), { gradient: ones([]), retainGraph: true, createGraph: false }] },
  checkpoint: { args: () => [square, leaf()] },
  compile: { args: () => [square], use: (step) => step(ones([2])) },
  defineFunction: {
    args: () => [
      {
        name: 'twice',
        forward: (_: unknown, x: AnyTensor) => x.mul(2),
        backward: (_: unknown, g: AnyTensor) => [g.mul(2)],
      },
    ],
    use: (twice) => twice(leaf()),
  },
  detectAnomaly: { args: () => [() => square(leaf()).backward()] },
  enableGrad: { args: () => [() => square(leaf())] },
  grad: { args: () => [square], use: (gradient) => gradient(leaf()) },
  gradcheck: { args: () => [square, [leaf()], { order: 1, step: 1e-5, rtol: 1e-3, atol: 1e-3 }] },
  gradients: {
    args: () => {
      const x = leaf();
      return [[square(x)], [x], { gradients: [ones([])], retainGraph: true }];
    },
  },
  hessian: { args: () => [square], use: (second) => second(leaf()) },
  inferenceMode: { args: () => [() => square(leaf())] },
  jacobian: { args: () => [square], use: (first) => first(leaf()) },
  jvp: { args: () => [square, [leaf()], [leaf()]] },
  noGrad: { args: () => [() => square(leaf())] },
  scope: { args: () => [() => square(leaf())] },
  valueAndGrad: { args: () => [square], use: (both) => both(leaf()) },
  vjp: { args: () => [square, leaf()] },
};

const called = new Map(Object.entries(hadal as unknown as Record<string, Call>));

test.each(Object.entries(cases))('%s', (name, { args, use = (result) => result }) => {
  const call = (given: readonly unknown[]): unknown => use(called.get(name)!(...given) as Call);
  const failures: string[] = [];
  scope(() => void call(args()));
  attempt(failures, 'no arguments', () => call([]));
  const functions = wrongResults.map((f) => [`a function that gives ${JSON.stringify(f())}`, f] as const);
  const substitutes = (value: unknown) => [
    ...wrongValues,
    ...(typeof value === 'function' ? functions : []),
    ...(value instanceof hadal.Tensor ? wrongTensors(value as AnyTensor) : []),
  ];
  for (const [what, given] of replaced(args(), substitutes)) attempt(failures, what, () => call(given));
  expect(failures).toEqual([]);
  scope(() => void call(args()));
});

test('a function that is none is named', () => {
  const wrong = null as never;
  expect(() => scope(wrong)).toThrow('scope: f: got null, expected a function');
  expect(() => hadal.noGrad(wrong)).toThrow('noGrad: f: got null, expected a function');
  expect(() => hadal.grad(wrong)).toThrow('grad: f: got null, expected a function');
  expect(() => hadal.checkpoint(wrong)).toThrow('checkpoint: f: got null, expected a function');
});
