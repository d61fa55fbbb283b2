/** Softmax and the normalisations. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { toFloat, type DType, type ToFloat } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { EndCheck } from '../tensor/layer-shape-types';
import type { AxisCheck, Ok, Shape } from '../tensor/shape-types';
import { checkShape, normalizeAxis, sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { backward, reluBackwardOp } from './activation-slopes';
import { operand, operandDType } from './autocast';
import { checkDType, checkOptions, checkTensor, defineOp, floats, installMethods, run, runMany } from './define';
import { addcmul } from './pointwise-binary';
import { wide } from './wide';

interface AxisContext {
  readonly axis: number;
}

const softmaxOp = defineOp<AxisContext>('softmax', {
  dtypes: floats,
  autocast: 'float32',
  saves: { outputs: true },
  gradient: (g, node) => {
    const { axis } = node.context;
    return [run(softmaxBackwardOp, [g, node.output()], g.shape, g.dtype, [axis], { axis })];
  },
});
// gx = y ∘ (g − Σ g∘y)
const softmaxBackwardOp = defineOp<AxisContext>('softmaxBackward', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const { axis } = node.context;
    const g = node.input(0);
    const y = node.input(1);
    const total = (x: AnyTensor): AnyTensor => x.sum(axis, { keepDims: true });
    return [
      node.needs(0) ? y.mul(gg.sub(total(gg.mul(y)))) : undefined,
      node.needs(1) ? gg.mul(g.sub(total(g.mul(y)))).sub(g.mul(total(gg.mul(y)))) : undefined,
    ];
  },
});

/**
 * exp(x) / Σ exp(x) along `axis`, without overflow.
 *
 * @example
 * tensor([1, 1]).softmax(-1); // [0.5, 0.5]
 */
export function softmax<S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'softmax'>>,
): Tensor<S, ToFloat<D>>;
export function softmax(x: AnyTensor, axis: number): AnyTensor {
  checkTensor('softmax', x);
  const along = x.rank === 0 ? 0 : normalizeAxis('softmax', axis, x.shape);
  if (x.rank === 0) return softmax(x.reshape([1]), 0).reshape([]);
  const input: AnyTensor = x.cast(operandDType(softmaxOp, toFloat(x.dtype)));
  return run(softmaxOp, [input], input.shape, input.dtype, [along], { axis: along });
}

const logSoftmaxOp = defineOp<AxisContext>('logSoftmax', {
  dtypes: floats,
  autocast: 'float32',
  saves: { outputs: true },
  gradient: (g, node) => {
    const { axis } = node.context;
    return [run(logSoftmaxBackwardOp, [g, node.output()], g.shape, g.dtype, [axis], { axis })];
  },
});
// gx = g − exp(y) Σ g
const logSoftmaxBackwardOp = defineOp<AxisContext>('logSoftmaxBackward', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const { axis } = node.context;
    const total = (x: AnyTensor): AnyTensor => x.sum(axis, { keepDims: true });
    const p = node.input(1).exp();
    return [
      node.needs(0) ? gg.sub(total(gg.mul(p))) : undefined,
      node.needs(1)
        ? gg
            .mul(p)
            .mul(total(node.input(0)))
            .neg()
        : undefined,
    ];
  },
});

/**
 * x − log Σ exp(x) along `axis`, without overflow.
 *
 * @example
 * tensor([1, 1]).logSoftmax(-1); // [-0.6931, -0.6931]
 */
export function logSoftmax<S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'logSoftmax'>>,
): Tensor<S, ToFloat<D>>;
export function logSoftmax(x: AnyTensor, axis: number): AnyTensor {
  checkTensor('logSoftmax', x);
  if (x.rank === 0) return logSoftmax(x.reshape([1]), 0).reshape([]);
  const along = normalizeAxis('logSoftmax', axis, x.shape);
  const input: AnyTensor = x.cast(operandDType(logSoftmaxOp, toFloat(x.dtype)));
  return run(logSoftmaxOp, [input], input.shape, input.dtype, [along], { axis: along });
}

/** The dtype of means and deviations: float64 for float64, else float32. */
export const statisticsDType = (dtype: DType): DType => (dtype === 'float64' ? 'float64' : 'float32');

/**
 * The gradients (gx, gw, gb) of y = x̂·weight + bias, x̂ = (x − mean)·rstd with statistics over `axes`, written over ops; gx in the dtype of x, the
 * others wide and of its shape. Used in place of the fused kernel when the backward pass is itself recorded. `weight` broadcasts against x.
 */
export function composedGradients(
  gradient: AnyTensor,
  input: AnyTensor,
  weight: AnyTensor | undefined,
  axes: readonly number[],
  epsilon: number,
): [gx: AnyTensor, gw: AnyTensor, gb: AnyTensor] {
  const [g, x] = [wide(gradient), wide(input)];
  const average = (t: AnyTensor): AnyTensor => t.mean(axes, { keepDims: true });
  const centred = x.sub(average(x));
  const rstd = average(centred.square()).add(epsilon).rsqrt();
  const normalized = centred.mul(rstd);
  const inner = weight === undefined ? g : g.mul(wide(weight));
  const gx = inner
    .sub(average(inner))
    .sub(normalized.mul(average(inner.mul(normalized))))
    .mul(rstd);
  return [gx.cast(input.dtype), g.mul(normalized), g];
}

export interface NormContext {
  readonly epsilon: number;
}

const layerNormOp = defineOp<NormContext>('layerNorm', {
  dtypes: floats,
  autocast: 'float32',
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const x = node.input(0);
    const weight = node.operand(1) as AnyTensor | undefined;
    const size = x.shape[x.rank - 1]!;
    const parameter = { dtype: weight?.dtype ?? x.dtype, shape: [size] };
    if (recording.enabled) {
      const [gx, gw, gb] = composedGradients(g, x, weight, [-1], node.context.epsilon);
      const own = (t: AnyTensor): AnyTensor => t.sumTo([size]).cast(parameter.dtype);
      return [gx, node.needs(1) ? own(gw) : undefined, node.needs(2) ? own(gb) : undefined];
    }
    const inputs = [g, x, weight, node.output(1), node.output(2)];
    const [gx, gw, gb] = runMany(layerNormBackwardOp, inputs, [x, parameter, parameter]);
    return [gx, node.needs(1) ? gw : undefined, node.needs(2) ? gb : undefined];
  },
});
const layerNormBackwardOp = defineOp('layerNormBackward', { dtypes: floats });

/** Throws unless `parameter` is a vector of `size`, or left out. */
export function checkParameter(op: string, name: string, parameter: AnyTensor | undefined, size: number): void {
  if (parameter === undefined) return;
  checkTensor(op, parameter, name);
  if (parameter.rank !== 1 || parameter.shape[0] !== size) {
    throw new ShapeError(`${op}: ${name} does not fit: got shape ${show(parameter.shape)}, expected [${size}]`);
  }
}

export interface NormOptions {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number;
}

/**
 * Layer normalisation over the last axes, as many as `shape` has: y = (x − mean) / √(var + ε) · weight + bias, with weight and bias of `shape`.
 *
 * @throws ShapeError when `shape` is not the end of x's shape, or weight or bias have another one.
 * @see Ba, Kiros and Hinton, 2016, Layer normalization.
 * @example
 * layerNorm(randn([8, 16]), [16]).shape; // [8, 16]
 */
export function layerNorm<S extends Shape, D extends DType, const N extends number | Shape>(
  x: Tensor<S, D>,
  shape: N & Ok<EndCheck<S, N extends number ? readonly [N] : N extends Shape ? N : Shape>>,
  weight?: Tensor<Shape, D>,
  bias?: Tensor<Shape, D>,
  options?: NormOptions,
): Tensor<S, D>;
export function layerNorm(
  x: AnyTensor,
  shape: number | Shape,
  weight?: AnyTensor,
  bias?: AnyTensor,
  options: NormOptions = {},
): AnyTensor {
  checkOptions('layerNorm', options);
  const op = 'layerNorm';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  x = operand(layerNormOp, x);
  const normalized = typeof shape === 'number' ? [shape] : shape;
  checkShape(op, normalized);
  const rows = x.shape.slice(0, x.rank - normalized.length);
  if (normalized.length === 0 || !sameShape([...rows, ...normalized], x.shape)) {
    throw new ShapeError(
      `${op}: shape is not the end of the input's: got ${show(normalized)}, expected the last axes of ${show(x.shape)}`,
    );
  }
  const size = sizeOf(normalized);
  const flat = (parameter: AnyTensor | undefined, name: string): AnyTensor | undefined => {
    if (parameter === undefined || normalized.length === 1) return parameter;
    checkTensor(op, parameter, name);
    if (!sameShape(parameter.shape, normalized)) {
      throw new ShapeError(
        `${op}: ${name} does not fit: got shape ${show(parameter.shape)}, expected ${show(normalized)}`,
      );
    }
    return parameter.reshape([size]);
  };
  const scale = flat(weight, 'weight');
  const shift = flat(bias, 'bias');
  checkParameter(op, 'weight', scale, size);
  checkParameter(op, 'bias', shift, size);
  const { epsilon = 1e-5 } = options;
  const input = normalized.length === 1 ? x : x.reshape([...rows, size]);
  const statistics = { dtype: statisticsDType(x.dtype), shape: rows };
  const outputs = [{ shape: input.shape, dtype: x.dtype }, statistics, statistics];
  const y = runMany(layerNormOp, [input, scale, shift], outputs, [epsilon], { epsilon })[0]!;
  return normalized.length === 1 ? y : y.reshape(x.shape);
}

/** The activations that batch norm applies as it writes, by their codes in native/kernels/activation.h. */
const batchNormActivations = { relu: 1 };

interface BatchNormContext extends NormContext {
  readonly activation: number;
}

const batchNormOp = defineOp<BatchNormContext>('batchNorm', {
  dtypes: floats,
  channels: 'kept',
  saves: { inputs: true, outputs: true },
  gradient: (gradient, node) => {
    const x = node.input(0);
    const [weight, bias, residual] = [1, 2, 3].map((i) => node.operand(i) as AnyTensor | undefined);
    const { epsilon } = node.context;
    const parameter = { dtype: weight?.dtype ?? x.dtype, shape: [x.shape[1]!] };
    // The kernel knows what ReLU was given from x alone.
    const activation = recording.enabled || residual !== undefined ? 0 : node.context.activation;
    const g = activation === node.context.activation ? gradient : backward(reluBackwardOp, gradient, node.output(0));
    if (recording.enabled) {
      const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
      const [gx, gw, gb] = composedGradients(g, x, weight && perChannel(weight, x), axes, epsilon);
      const own = (t: AnyTensor): AnyTensor => t.sum(axes).cast(parameter.dtype);
      return [gx, node.needs(1) ? own(gw) : undefined, node.needs(2) ? own(gb) : undefined, g];
    }
    const inputs = [g, x, weight, bias, node.output(1), node.output(2)];
    const input = { dtype: x.dtype, shape: x.shape };
    const [gx, gw, gb] = runMany(batchNormBackwardOp, inputs, [input, parameter, parameter], [activation]);
    return [gx, node.needs(1) ? gw : undefined, node.needs(2) ? gb : undefined, g];
  },
});
const batchNormBackwardOp = defineOp('batchNormBackward', { dtypes: floats, channels: 'kept' });

/** A vector of one value per channel, seen so that it broadcasts against x [n, c, …]. */
export const perChannel = (vector: AnyTensor, x: AnyTensor): AnyTensor =>
  vector.reshape([vector.shape[0]!, ...new Array<number>(x.rank - 2).fill(1)]);

export interface BatchNormOptions extends NormOptions {
  /** Normalise with the statistics of this batch, and move the running ones towards them. Otherwise the running ones are used. */
  readonly training?: boolean;
  /** How far the running statistics move: running = (1 − momentum)·running + momentum·batch; 0.1 unless given. May be a tensor of one element. */
  readonly momentum?: Operand;
  /** How many batches have moved the running statistics: int64, of rank 0; one more after a call in training. */
  readonly numBatchesTracked?: AnyTensor;
  /** Added to the normalised values, of x's shape: the path around a block of a residual network. */
  readonly residual?: AnyTensor;
  /** What the sum goes through; nothing unless given. In training it takes no pass over memory of its own. */
  readonly activation?: 'relu';
}

/** What is behind the normalisation, as ops of their own. */
export function finishBatchNorm(
  y: AnyTensor,
  { residual, activation }: Pick<BatchNormOptions, 'residual' | 'activation'>,
): AnyTensor {
  const sum = residual === undefined ? y : y.add(residual);
  return activation === undefined ? sum : sum.relu();
}

/**
 * Batch normalisation of x [n, c, …] per channel: y = (x − mean) / √(var + ε) · weight + bias, and behind it the sum with a residual and ReLU where
 * they are given, as `batchNorm(…).add(residual).relu()` without rounding between. In training, mean and (biased) variance are those of the
 * batch, and the running ones, if given, are updated in place (with the unbiased variance).
 *
 * @throws ShapeError when a parameter is not [c], the residual not of x's shape, or a training batch has one value per channel; ArgumentError for
 * another activation, and unless epsilon is positive.
 * @see Ioffe and Szegedy, 2015, Batch normalization.
 * @example
 * batchNorm(randn([8, 4, 5, 5]), undefined, undefined, undefined, undefined, { training: true }).shape; // [8, 4, 5, 5]
 */
export function batchNorm<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  runningMean: Tensor<Shape, DType> | undefined,
  runningVar: Tensor<Shape, DType> | undefined,
  weight?: Tensor<Shape, D>,
  bias?: Tensor<Shape, D>,
  options?: BatchNormOptions,
): Tensor<S, D>;
export function batchNorm(
  x: AnyTensor,
  runningMean: AnyTensor | undefined,
  runningVar: AnyTensor | undefined,
  weight?: AnyTensor,
  bias?: AnyTensor,
  options: BatchNormOptions = {},
): AnyTensor {
  checkOptions('batchNorm', options);
  const op = 'batchNorm';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  if (x.rank < 2) throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, …]`);
  const channels = x.shape[1]!;
  checkParameter(op, 'runningMean', runningMean, channels);
  checkParameter(op, 'runningVar', runningVar, channels);
  checkParameter(op, 'weight', weight, channels);
  checkParameter(op, 'bias', bias, channels);
  const { epsilon = 1e-5, momentum = 0.1, training = false, numBatchesTracked, residual, activation } = options;
  if (typeof epsilon !== 'number' || !(epsilon > 0)) {
    throw new ArgumentError(`${op}: epsilon: got ${shown(epsilon)}, expected a positive number`);
  }
  if (residual !== undefined) {
    checkTensor(op, residual, 'residual');
    if (!sameShape(residual.shape, x.shape)) {
      throw new ShapeError(
        `${op}: residual does not fit: got shape ${show(residual.shape)}, expected ${show(x.shape)}`,
      );
    }
  }
  if (activation !== undefined && !Object.hasOwn(batchNormActivations, activation)) {
    throw new ArgumentError(`${op}: activation: got ${shown(activation)}, expected relu`);
  }
  if (!training) {
    if (runningMean === undefined || runningVar === undefined) {
      throw new ArgumentError(
        `${op}: running statistics: got none, expected runningMean and runningVar outside training`,
      );
    }
    const rstd = runningVar.add(epsilon).rsqrt();
    const scale = weight === undefined ? rstd : rstd.mul(weight);
    const shift = bias === undefined ? runningMean.mul(scale).neg() : bias.sub(runningMean.mul(scale));
    const y = addcmul(perChannel(shift, x).cast(x.dtype), x, perChannel(scale, x).cast(x.dtype));
    return finishBatchNorm(y, options);
  }
  const count = x.size / Math.max(channels, 1);
  if (count === 1) {
    throw new ShapeError(
      `${op}: one value per channel has no variance: got shape ${show(x.shape)}, expected more in training`,
    );
  }
  for (const running of [runningMean, runningVar]) if (running !== undefined) checkDType(op, running.dtype, floats);
  if (numBatchesTracked !== undefined) checkCounter(op, numBatchesTracked);
  const statistics = { dtype: statisticsDType(x.dtype), shape: [channels] };
  const outputs = [{ shape: x.shape, dtype: x.dtype }, statistics, statistics];
  const [rate, weighs] = typeof momentum === 'number' ? [momentum] : [0, oneElement(op, momentum, statistics.dtype)];
  // An empty batch has no statistics.
  const updates = [...(count === 0 ? [undefined, undefined] : [runningMean, runningVar]), numBatchesTracked];
  const joins = residual === undefined || residual.dtype === x.dtype;
  const code = joins && activation !== undefined ? batchNormActivations[activation] : 0;
  const inputs = [x, weight, bias, joins ? residual : undefined, weighs];
  const context = { epsilon, activation: code };
  const normalized = runMany(batchNormOp, inputs, outputs, [epsilon, code, rate], context, updates)[0]!;
  return joins ? normalized : finishBatchNorm(normalized, options);
}

/** The momentum as the kernel takes it. */
function oneElement(op: string, momentum: AnyTensor, dtype: DType): AnyTensor {
  checkTensor(op, momentum, 'momentum');
  const vector = momentum.detach().reshape([momentum.size]).cast(dtype);
  checkParameter(op, 'momentum', vector, 1);
  return vector;
}

function checkCounter(op: string, batches: AnyTensor): void {
  checkTensor(op, batches, 'numBatchesTracked');
  checkDType(op, batches.dtype, ['int64']);
  if (batches.rank === 0) return;
  throw new ShapeError(`${op}: numBatchesTracked does not fit: got shape ${show(batches.shape)}, expected []`);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    softmax<const A extends number>(axis: A & Ok<AxisCheck<S, A, 'softmax'>>): Tensor<S, ToFloat<D>>;
    logSoftmax<const A extends number>(axis: A & Ok<AxisCheck<S, A, 'logSoftmax'>>): Tensor<S, ToFloat<D>>;
  }
}
installMethods({ softmax, logSoftmax });
