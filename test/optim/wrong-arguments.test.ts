// Every optimizer with wrong parameters, settings, states and gradients: a HadalError or a step, and the process goes on.
import { cat, manualSeed, ones, optim, randn, zeros, type AnyTensor } from '../../lib/index';
import { attempt, replaced, wrongValues } from '../wrong-arguments';

interface AnyOptimizer {
  step(closure?: () => AnyTensor): unknown;
  stepSync?(closure: () => AnyTensor): unknown;
  stateDict(): { state: Record<number, Record<string, unknown>>; groups: object[] };
  loadStateDict(state: unknown): void;
  addParamGroup(group: unknown): void;
}
type Make = new (parameters: unknown, settings?: unknown) => AnyOptimizer;

const bases = ['Optimizer', 'GradientOptimizer', 'FusedOptimizer'];
const optimizers = Object.entries(optim as unknown as Record<string, Make>).filter(
  ([name, value]) => typeof value === 'function' && value.prototype instanceof optim.Optimizer && !bases.includes(name),
);

function withGradient(x: AnyTensor): AnyTensor {
  x.keep().requiresGrad_();
  x.mul(x).sum().backward();
  return x;
}
const parameter = (): AnyTensor => withGradient(randn([3, 4]));

function step(optimizer: AnyOptimizer): void {
  const closure = (): AnyTensor => ones([]);
  if (optimizer.stepSync !== undefined) optimizer.stepSync(closure);
  else optimizer.step();
}

beforeAll(() => {
  manualSeed(0);
});

test.each(optimizers)('%s', (name, Optimizer) => {
  const failures: string[] = [];
  const made = new Optimizer([parameter()]);
  step(made);
  const { parameters, initialLr, ...settings } = made.stateDict().groups[0] as Record<string, unknown>;
  expect([parameters, initialLr]).toEqual([[0], undefined]);

  for (const [what, args] of replaced([[parameter()], settings], () => wrongValues)) {
    attempt(failures, what, () => step(new Optimizer(...(args as [unknown, unknown]))));
  }
  for (const [what, value] of wrongValues) {
    attempt(failures, `group ${what}`, () => made.addParamGroup(value));
    attempt(failures, `group of ${what}`, () => made.addParamGroup({ parameters: [value] }));
    const load = (dict: unknown): void => {
      const optimizer = new Optimizer([parameter()]);
      optimizer.loadStateDict(dict);
      step(optimizer);
    };
    const { state, groups } = made.stateDict();
    attempt(failures, `state dict ${what}`, () => load(value));
    attempt(failures, `state ${what}`, () => load({ state: value, groups }));
    attempt(failures, `groups ${what}`, () => load({ state, groups: value }));
    attempt(failures, `one group ${what}`, () => load({ state, groups: [value] }));
    attempt(failures, `own state ${what}`, () => load({ state: { 0: value }, groups }));
    for (const key of Object.keys(state[0] ?? {})) {
      attempt(failures, `${key} ${what}`, () => load({ state: { 0: { ...state[0], [key]: value } }, groups }));
    }
  }
  const odd: Record<string, () => AnyTensor> = {
    'no elements': () => withGradient(zeros([0, 3])),
    'a scalar': () => withGradient(zeros([])),
    'a view': () => withGradient(zeros([4, 3]).permute().slice(0, 1, 3)),
    integers: () => zeros([2], { dtype: 'int32' }),
    'an expanded tensor': () => withGradient(zeros([1, 4]).expand([3, 4])),
    'a released parameter': () => {
      const x = parameter();
      x.dispose();
      return x;
    },
    'a released gradient': () => {
      const x = parameter();
      x.grad!.dispose();
      return x;
    },
    'gradients that are not finite': () => withGradient(cat([zeros([3, 2]), ones([3, 2]).div(0)], 1)),
  };
  for (const dtype of ['float64', 'float16', 'bfloat16'] as const) {
    odd[dtype] = () => withGradient(ones([3, 4]).cast(dtype));
  }
  for (const [what, make] of Object.entries(odd)) {
    attempt(failures, what, () => {
      const optimizer = new Optimizer([make()]);
      step(optimizer);
      step(optimizer);
    });
  }
  expect(failures).toEqual([]);
  step(new Optimizer([parameter()]));
});

test('a gradient has the shape and the dtype of its tensor', () => {
  const x = zeros([3, 4]).requiresGrad_();
  const assign = (value: unknown) => () => (x.grad = value as never);
  expect(assign(ones([7]))).toThrow('grad: gradient does not fit: got float32 [7], expected float32 [3, 4]');
  expect(assign(ones([3, 4], { dtype: 'float64' }))).toThrow('got float64 [3, 4], expected float32 [3, 4]');
  expect(assign(null)).toThrow('got null, expected float32 [3, 4]');
  expect(x.grad).toBeUndefined();
});
