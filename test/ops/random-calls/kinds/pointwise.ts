// Ops of single elements: broadcast, one after the other, and with choices.
import type { AnyTensor } from '../../../../lib/index';
import { ops, type Kind } from '../call';

const { addcmul, copySign, gelu, glu, lerp, logit, maximum, prelu, where } = ops;

/** Functions whose slopes are bounded. */
const activations = [
  'sigmoid',
  'tanh',
  'softplus',
  'gelu',
  'silu',
  'mish',
  'elu',
  'selu',
  'hardswish',
  'logSigmoid',
  'softsign',
  'relu6',
  'hardsigmoid',
  'softshrink',
  'hardshrink',
  'tanhshrink',
] as const;
const functions = ['exp', 'sin', 'cos', 'erf', 'expm1', 'asinh', 'atan', 'abs', 'square', 'neg'] as const;
const special = ['erfc', 'erfcx', 'i0', 'i0e', 'i1', 'i1e', 'lgamma', 'digamma'] as const;

export const pointwise: Readonly<Record<string, Kind>> = {
  'an activation'(chance) {
    const name = chance.pick(...activations);
    return { inputs: [chance.normal(...chance.shape())], f: (x) => ops[name](x), options: name, roundings: 4 };
  },
  // Of positive numbers away from 0, where the gamma functions have poles; erfcx and the Bessel functions are even longer sums than e^x.
  'a special function'(chance) {
    const name = chance.pick(...special);
    const x = chance
      .normal(...chance.shape())
      .abs()
      .add(0.5) as AnyTensor;
    return { inputs: [x], f: (t) => ops[name](t), options: name, roundings: 8 };
  },
  'an activation with a number'(chance) {
    const [name, ...rest] = chance.pick(
      ['celu', 1.5] as const,
      ['threshold', 0.1, 2] as const,
      ['nanToNum'] as const,
      ['frac'] as const,
    );
    const f = (x: AnyTensor): AnyTensor => ops[name](x, ...rest);
    return { inputs: [chance.normal(...chance.shape())], f, options: [name, ...rest], roundings: 4 };
  },
  logit(chance) {
    const epsilon = chance.pick(0, 0.2);
    // Away from where the slope is infinite.
    const shares = chance
      .normal(...chance.shape())
      .sigmoid()
      .clamp(0.05, 0.95) as AnyTensor;
    return { inputs: [shares], f: (x) => logit(x, { epsilon }), options: epsilon, roundings: 8 };
  },
  signs(chance) {
    const shape = chance.shape();
    const inputs = [chance.narrowed(shape), chance.narrowed(shape)].map((each) => chance.normal(...each));
    return { inputs, f: (a, b) => copySign(a, b).add(b), roundings: 2 };
  },
  'a function'(chance) {
    const name = chance.pick(...functions);
    return { inputs: [chance.normal(...chance.shape())], f: (x) => ops[name](x), options: name, roundings: 4 };
  },
  arithmetic(chance) {
    const shape = chance.shape();
    const op = chance.pick('add', 'sub', 'mul', 'atan2', 'hypot', 'logAddExp');
    const inputs = [chance.narrowed(shape), chance.narrowed(shape)].map(
      (each) => chance.normal(...each).add(op === 'hypot' ? 3 : 0) as AnyTensor,
    );
    return { inputs, f: (a, b) => ops[op](a, b), options: op, roundings: op === 'atan2' ? 20 : 4 };
  },
  division(chance) {
    const shape = chance.shape();
    const [a, b] = [chance.narrowed(shape), chance.narrowed(shape)].map((each) => chance.normal(...each));
    return { inputs: [a!, b!.abs().add(0.5) as AnyTensor], f: (x, y) => x.div(y), roundings: 6 };
  },
  'ops in a row'(chance) {
    const shape = chance.shape(3);
    const inputs = [shape, chance.narrowed(shape)].map((each) => chance.normal(...each));
    const f = (a: AnyTensor, b: AnyTensor): AnyTensor => gelu(a.mul(b).add(1)).mul(a.sigmoid()).sub(b.tanh());
    return { inputs, f, roundings: 12 };
  },
  choices(chance) {
    const shape = chance.shape();
    const inputs = [chance.narrowed(shape), chance.narrowed(shape), shape].map((each) => chance.normal(...each));
    return { inputs, f: (a, b, c) => maximum(where(c.greater(0), a, b), c) };
  },
  lerp(chance) {
    const shape = chance.shape();
    const inputs = [shape, chance.narrowed(shape), chance.narrowed(shape)].map((each) => chance.normal(...each));
    return { inputs, f: (a, b, c) => addcmul(lerp(a, b, 0.25), b, c), roundings: 6 };
  },
  glu(chance) {
    const shape = chance.shape();
    const axis = chance.between(0, shape.length - 1);
    shape[axis]! *= 2;
    return { inputs: [chance.normal(...shape)], f: (x) => glu(x, axis), options: axis, roundings: 2 };
  },
  prelu(chance) {
    const shape = [chance.size(20), chance.size(60), chance.size(60)];
    return {
      inputs: [chance.normal(...shape), chance.normal(shape[1]!)],
      f: (x, weight) => prelu(x, weight),
      roundings: 2,
    };
  },
};
