// Ops whose elements depend on a whole axis, or on all of it before them: reductions, norms, softmax, losses and scans.
import type { AnyTensor } from '../../../../lib/index';
import { ops, type Kind } from '../call';
import { count } from '../chance';

const { argsort, batchNorm, crossEntropy, groupNorm, kthValue, layerNorm, logCumSumExp, norm, rmsNorm } = ops;

const reduction =
  (roundings: number, ...names: readonly (keyof typeof ops)[]): Kind =>
  (chance) => {
    const shape = chance.shape();
    const op = chance.pick(...names);
    const axes = chance.axes(shape.length);
    const keepDims = chance.pick(true, false);
    const f = (x: AnyTensor): AnyTensor => ops[op](x, axes, { keepDims });
    return { inputs: [chance.normal(...shape)], f, options: { op, axes, keepDims }, roundings };
  };

export const rows: Readonly<Record<string, Kind>> = {
  sums: reduction(2, 'sum', 'mean'),
  extremes: reduction(2, 'amax', 'amin'),
  // The gradient comes of the rounded result, of up to 12.
  logSumExp: reduction(12, 'logSumExp'),
  'a standard deviation'(chance) {
    const shape = chance.shape();
    const axes = chance.axes(shape.length);
    if (axes.reduce((product, axis) => product * shape[axis]!, 1) < 4) return;
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => x.std(axes),
      options: axes,
      roundings: 4,
      terms: 0.1,
      varies: true,
    };
  },
  norm(chance) {
    const shape = chance.shape();
    const axis = chance.between(0, shape.length - 1);
    const p = chance.pick(1, 2, 3, Infinity);
    return { inputs: [chance.normal(...shape)], f: (x) => norm(x, axis, { p }), options: { p, axis }, roundings: 4 };
  },
  softmax(chance) {
    const shape = chance.shape();
    const axis = chance.between(0, shape.length - 1);
    const op = chance.pick('softmax', 'logSoftmax');
    return {
      inputs: [chance.normal(...shape).mul(3) as AnyTensor],
      f: (x) => x[op](axis),
      options: { op, axis },
      roundings: 20,
      terms: 0.1,
    };
  },
  'running products'(chance) {
    const shape = chance.shape(3, 0.1);
    const axis = chance.between(0, shape.length - 1);
    // Factors of about 1, some of them 0.
    const x = chance
      .normal(...shape)
      .mul(0.1)
      .add(1);
    const some = x.mul(chance.below(40, ...shape).greater(0)) as AnyTensor;
    return { inputs: [some], f: (t) => t.cumprod(axis), options: axis, roundings: 8, varies: true };
  },
  scan(chance) {
    const shape = chance.shape(4, 0.3);
    const axis = chance.between(0, shape.length - 1);
    const op = chance.pick('cumsum', 'logCumSumExp');
    const f = (x: AnyTensor): AnyTensor => (op === 'cumsum' ? x.cumsum(axis) : logCumSumExp(x, axis));
    return { inputs: [chance.normal(...shape)], f, options: { op, axis }, roundings: 4 };
  },
  'layer norm'(chance) {
    const shape = chance.shape();
    const over = shape.slice(-chance.between(1, Math.min(2, shape.length)));
    if (count(over) < 8) return;
    const inputs = [shape, over, over].map((each) => chance.normal(...each));
    return {
      inputs,
      f: (x, weight, bias) => layerNorm(x, over, weight, bias),
      options: over,
      roundings: 4,
      varies: true,
    };
  },
  'RMS norm'(chance) {
    const shape = chance.shape();
    const length = shape.at(-1)!;
    if (length < 8) return;
    return {
      inputs: [chance.normal(...shape), chance.normal(length)],
      f: (x, weight) => rmsNorm(x, [length], weight, { epsilon: 1e-6 }),
      roundings: 4,
    };
  },
  'group norm'(chance) {
    const groups = chance.between(1, 8);
    const channels = groups * chance.between(1, 12);
    const shape = [chance.size(12), channels, ...Array.from({ length: chance.between(0, 2) }, () => chance.size(40))];
    if (count(shape.slice(1)) / groups < 8 || count(shape) > chance.most) return;
    const inputs = [shape, [channels], [channels]].map((each) => chance.normal(...each));
    return {
      inputs,
      f: (x, weight, bias) => groupNorm(x, groups, weight, bias),
      options: groups,
      roundings: 4,
      varies: true,
    };
  },
  'batch norm'(chance) {
    const channels = chance.size(100);
    const shape = [
      chance.between(4, 20),
      channels,
      ...Array.from({ length: chance.between(0, 3) }, () => chance.size(24)),
    ];
    if (count(shape) / channels < 8 || count(shape) > chance.most) return;
    const activation = chance.pick('relu', undefined);
    const inputs = [shape, [channels], [channels]].map((each) => chance.normal(...each));
    const options = { training: true, activation };
    return {
      inputs,
      f: (x, weight, bias) => batchNorm(x, undefined, undefined, weight, bias, options),
      options,
      // ReLU leaves out what is next to nothing, or not.
      roundings: activation ? 8 : 4,
      varies: true,
    };
  },
  'cross entropy'(chance) {
    const [count, classes] = [chance.size(200), chance.size(3000)] as const;
    if (count * classes > chance.most) return;
    const target = chance.below(classes, count);
    const options = { labelSmoothing: chance.pick(0, 0.1) };
    return {
      inputs: [chance.normal(count, classes)],
      f: (x) => crossEntropy(x, target.to(x.device), options),
      options,
      roundings: 2,
    };
  },
  'sorted elements'(chance) {
    const shape = chance.shape(3, 0.3);
    const axis = chance.between(0, shape.length - 1);
    const descending = chance.pick(true, false);
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => x.sort({ axis, descending })[0] as AnyTensor,
      options: { axis, descending },
    };
  },
  'largest elements'(chance) {
    const shape = chance.shape(3, 0.3);
    const axis = chance.between(0, shape.length - 1);
    const k = chance.between(1, shape[axis]!);
    // Which of equal ones is taken is open: their gradients are compared in order of the places.
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => x.topk(k, { axis })[0] as AnyTensor,
      options: { axis, k },
      dtypes: ['float32'],
    };
  },
  'the k-th element'(chance) {
    const shape = chance.shape(3, 0.3);
    const axis = chance.between(0, shape.length - 1);
    const k = chance.between(1, shape[axis]!);
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => (kthValue(x, k, { axis }) as unknown as readonly AnyTensor[])[0]!,
      options: { axis, k },
      dtypes: ['float32'],
    };
  },
  'elements in the order of others'(chance) {
    const length = chance.size(2000);
    const order = argsort(chance.normal(length));
    return {
      inputs: [chance.normal(length, chance.size(20))],
      f: (x) => x.indexSelect(0, order.to(x.device)),
    };
  },
};
