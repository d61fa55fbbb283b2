/** Normalisation over groups of channels, single channels, the root mean square, and neighbouring channels. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { EndCheck } from '../tensor/layer-shape-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { checkShape, sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ones, zeros } from './creation';
import { operand } from './autocast';
import { checkDType, checkOptions, checkTensor, defineOp, floats, runMany } from './define';
import {
  batchNorm,
  checkParameter,
  composedGradients,
  statisticsDType,
  type NormContext,
  type NormOptions,
} from './normalization';
import { wide } from './wide';

const groupNormOp = defineOp<NormContext>('groupNorm', {
  dtypes: floats,
  autocast: 'float32',
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const x = node.input(0);
    const weight = node.operand(1) as AnyTensor | undefined;
    const [mean, rstd] = [node.output(1), node.output(2)];
    const channels = x.shape[1]!;
    const parameter = { dtype: weight?.dtype ?? x.dtype, shape: [channels] };
    if (recording.enabled) {
      const [n, groups] = mean.shape as [number, number];
      const space = sizeOf(x.shape.slice(2));
      const grouped = (t: AnyTensor): AnyTensor => t.reshape([n, groups, channels / groups, space]);
      const scale = weight?.reshape([groups, channels / groups, 1]);
      const [gx, gw, gb] = composedGradients(grouped(g), grouped(x), scale, [2, 3], node.context.epsilon);
      const own = (t: AnyTensor): AnyTensor => t.sum([0, 3]).reshape([channels]).cast(parameter.dtype);
      return [gx.reshape(x.shape), node.needs(1) ? own(gw) : undefined, node.needs(2) ? own(gb) : undefined];
    }
    const [gx, gw, gb] = runMany(
      groupNormBackwardOp,
      [g.contiguous(), x, weight, mean, rstd],
      [{ dtype: x.dtype, shape: x.shape }, parameter, parameter],
    );
    return [gx, node.needs(1) ? gw : undefined, node.needs(2) ? gb : undefined];
  },
});
const groupNormBackwardOp = defineOp('groupNormBackward', { dtypes: floats });

/**
 * Normalisation of x [n, c, …] over each of `groups` groups of channels: y = (x − mean) / √(var + ε) · weight + bias, with weight and bias [c].
 *
 * @throws ShapeError when the groups do not divide the channels or a parameter does not fit.
 * @see Wu and He, 2018, Group normalization.
 * @example
 * groupNorm(randn([2, 6, 4, 4]), 3).shape; // [2, 6, 4, 4]
 */
export function groupNorm<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  groups: number,
  weight?: Tensor<Shape, D>,
  bias?: Tensor<Shape, D>,
  options?: NormOptions,
): Tensor<S, D>;
export function groupNorm(
  x: AnyTensor,
  groups: number,
  weight?: AnyTensor,
  bias?: AnyTensor,
  options: NormOptions = {},
): AnyTensor {
  checkOptions('groupNorm', options);
  const op = 'groupNorm';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  x = operand(groupNormOp, x);
  if (x.rank < 2) throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, …]`);
  const [n, channels] = x.shape as [number, number];
  if (!(Number.isInteger(groups) && groups > 0 && channels % groups === 0)) {
    throw new ShapeError(`${op}: groups: got ${shown(groups)}, expected a divisor of the ${channels} channels`);
  }
  checkParameter(op, 'weight', weight, channels);
  checkParameter(op, 'bias', bias, channels);
  const { epsilon = 1e-5 } = options;
  const statistics = { shape: [n, groups], dtype: statisticsDType(x.dtype) };
  const outputs = [{ shape: x.shape, dtype: x.dtype }, statistics, statistics];
  return runMany(groupNormOp, [x.contiguous(), weight, bias], outputs, [epsilon], { epsilon })[0]!;
}

export interface InstanceNormOptions extends NormOptions {
  /** Normalise with the statistics of each instance, and move the running ones towards them; otherwise with the running ones. True unless given. */
  readonly useInputStatistics?: boolean;
  /** How far the running statistics move; 0.1 unless given. */
  readonly momentum?: number;
}

/**
 * Normalisation of x [n, c, …] over each channel of each instance: y = (x − mean) / √(var + ε) · weight + bias, with weight and bias [c]. Running
 * statistics, if given, are updated in place with the means over the batch (and the unbiased variance).
 *
 * @throws ShapeError when a parameter is not [c], or a channel has one value.
 * @see Ulyanov, Vedaldi and Lempitsky, 2016, Instance normalization.
 * @example
 * instanceNorm(randn([2, 3, 4, 4])).shape; // [2, 3, 4, 4]
 */
export function instanceNorm<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  runningMean?: Tensor<Shape, DType>,
  runningVar?: Tensor<Shape, DType>,
  weight?: Tensor<Shape, D>,
  bias?: Tensor<Shape, D>,
  options?: InstanceNormOptions,
): Tensor<S, D>;
export function instanceNorm(
  x: AnyTensor,
  runningMean?: AnyTensor,
  runningVar?: AnyTensor,
  weight?: AnyTensor,
  bias?: AnyTensor,
  options: InstanceNormOptions = {},
): AnyTensor {
  checkOptions('instanceNorm', options);
  const op = 'instanceNorm';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  const { useInputStatistics = true, momentum = 0.1, epsilon = 1e-5 } = options;
  if (!useInputStatistics) return batchNorm(x, runningMean, runningVar, weight, bias, { epsilon });
  if (x.rank < 3) throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, …]`);
  const [n, channels, ...rest] = x.shape as [number, number, ...number[]];
  if (sizeOf(rest) === 1) {
    throw new ShapeError(
      `${op}: one value per channel has no variance: got shape ${show(x.shape)}, expected more along [${rest.join(', ')}]`,
    );
  }
  checkParameter(op, 'runningMean', runningMean, channels);
  checkParameter(op, 'runningVar', runningVar, channels);
  checkParameter(op, 'weight', weight, channels);
  checkParameter(op, 'bias', bias, channels);
  // Every channel of every instance is a channel of one batch.
  const each = (parameter: AnyTensor | undefined): AnyTensor | undefined =>
    parameter?.expand([n, channels]).reshape([n * channels]);
  const statistics = (running: AnyTensor | undefined): AnyTensor | undefined =>
    running && zeros([n * channels], { dtype: running.dtype, device: x.device });
  const [mean, variance] = [statistics(runningMean), statistics(runningVar)];
  const whole = x.reshape([1, n * channels, ...rest]);
  const settings = { training: true, momentum: 1, epsilon };
  const y = batchNorm(whole, mean, variance, each(weight), each(bias), settings).reshape(x.shape);
  runningMean?.lerp_(mean!.reshape([n, channels]).mean(0), momentum);
  runningVar?.lerp_(variance!.reshape([n, channels]).mean(0), momentum);
  return y;
}

const rmsNormOp = defineOp<NormContext>('rmsNorm', {
  dtypes: floats,
  autocast: 'float32',
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const x = node.input(0);
    const weight = node.operand(1) as AnyTensor | undefined;
    const parameter = { dtype: weight?.dtype ?? x.dtype, shape: [x.shape[x.rank - 1]!] };
    if (recording.enabled) {
      const average = (t: AnyTensor): AnyTensor => t.mean(-1, { keepDims: true });
      const [outer, input] = [wide(g), wide(x)];
      const rstd = average(input.square()).add(node.context.epsilon).rsqrt();
      const unit = input.mul(rstd);
      const inner = weight === undefined ? outer : outer.mul(wide(weight));
      const gx = inner.sub(unit.mul(average(inner.mul(unit)))).mul(rstd);
      const gw = node.needs(1) ? outer.mul(unit).sumTo(parameter.shape).cast(parameter.dtype) : undefined;
      return [gx.cast(x.dtype), gw];
    }
    const [gx, gw] = runMany(rmsNormBackwardOp, [g, x, weight, node.output(1)], [x, parameter]);
    return [gx, node.needs(1) ? gw : undefined];
  },
});
const rmsNormBackwardOp = defineOp('rmsNormBackward', { dtypes: floats });

const machineEpsilon: Partial<Record<DType, number>> = {
  float64: 2 ** -52,
  float32: 2 ** -23,
  // Of the statistics, which are float32.
  float16: 2 ** -23,
  bfloat16: 2 ** -23,
};

/**
 * Normalisation by the root mean square over the last axes, as many as `shape` has: y = x / √(mean(x²) + ε) · weight, with weight of `shape`. ε is that
 * of float64, or of float32 for narrower dtypes, unless given.
 *
 * @throws ShapeError when `shape` is not the end of x's shape, or weight has another one.
 * @see Zhang and Sennrich, 2019, Root mean square layer normalization.
 * @example
 * rmsNorm(tensor([3, 4]), [2]); // [0.8485, 1.1314]
 */
export function rmsNorm<S extends Shape, D extends DType, const N extends number | Shape>(
  x: Tensor<S, D>,
  shape: N & Ok<EndCheck<S, N extends number ? readonly [N] : N extends Shape ? N : Shape, 'rmsNorm'>>,
  weight?: Tensor<Shape, D>,
  options?: NormOptions,
): Tensor<S, D>;
export function rmsNorm(x: AnyTensor, shape: number | Shape, weight?: AnyTensor, options: NormOptions = {}): AnyTensor {
  checkOptions('rmsNorm', options);
  const op = 'rmsNorm';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  x = operand(rmsNormOp, x);
  const normalized = typeof shape === 'number' ? [shape] : shape;
  checkShape(op, normalized);
  const axes = normalized.map((_, i) => i - normalized.length);
  if (axes.length === 0 || axes.length > x.rank || axes.some((axis, i) => x.shape.at(axis) !== normalized[i])) {
    throw new ShapeError(
      `${op}: shape is not the end of the input's: got ${show(normalized)}, expected the last axes of ${show(x.shape)}`,
    );
  }
  if (weight !== undefined) {
    checkTensor(op, weight, 'weight');
    if (!sameShape(weight.shape, normalized)) {
      throw new ShapeError(`${op}: weight does not fit: got shape ${show(weight.shape)}, expected ${show(normalized)}`);
    }
  }
  const { epsilon = machineEpsilon[x.dtype]! } = options;
  const size = sizeOf(normalized);
  const rows = x.shape.slice(0, x.rank - normalized.length);
  const inputs = [x.reshape([...rows, size]), weight?.reshape([size])];
  const statistics = { shape: rows, dtype: statisticsDType(x.dtype) };
  const outputs = [{ shape: [...rows, size], dtype: x.dtype }, statistics];
  return runMany(rmsNormOp, inputs, outputs, [epsilon], { epsilon })[0]!.reshape(x.shape);
}

export interface LocalResponseNormOptions {
  /** 1e-4 unless given. */
  readonly alpha?: number;
  /** 0.75 unless given. */
  readonly beta?: number;
  /** 1 unless given. */
  readonly k?: number;
}

/**
 * x / (k + α · mean of x² over `size` neighbouring channels)^β, for x [n, c, …]; channels beyond the ends count as zeros.
 *
 * @throws ShapeError, ArgumentError.
 * @see Krizhevsky, Sutskever and Hinton, 2012, ImageNet classification with deep convolutional neural networks.
 * @example
 * localResponseNorm(ones([1, 3, 2]), 3, { alpha: 3, beta: 1 }).select(1, 1); // [[0.25, 0.25]]
 */
export function localResponseNorm<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  size: number,
  options?: LocalResponseNormOptions,
): Tensor<S, D>;
export function localResponseNorm(x: AnyTensor, size: number, options: LocalResponseNormOptions = {}): AnyTensor {
  checkOptions('localResponseNorm', options);
  const op = 'localResponseNorm';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  if (x.rank < 3) throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, …]`);
  if (!(Number.isInteger(size) && size > 0)) {
    throw new ArgumentError(`${op}: size: got ${shown(size)}, expected a positive integer`);
  }
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  const channels = x.shape[1]!;
  // Sums over a window of channels are a product with a band of ones.
  const band = ones([channels, channels], { dtype: x.dtype, device: x.device })
    .tril(Math.ceil(size / 2) - 1)
    .triu(-Math.floor(size / 2));
  const flat = x.square().reshape([x.shape[0]!, channels, sizeOf(x.shape.slice(2))]);
  const sums: AnyTensor = band.matmul(flat).reshape(x.shape);
  return x.div(
    sums
      .mul(alpha / size)
      .add(k)
      .pow(beta),
  );
}
