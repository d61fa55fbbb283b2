/** Normalisation, dropout, and losses over classes. */
import * as ops from '../../ops';
import { sameShape, sizeOf } from '../../tensor/shapes';
import { isFloat } from '../../tensor/dtype';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator, type Outputs } from '../call';
import { axesOf, axisOf } from './shapes';

const channelwise = (x: AnyTensor, like: AnyTensor): AnyTensor =>
  x.reshape([-1, ...like.shape.slice(2).map(() => 1)]) as AnyTensor;

/** Whether a node that can train does: its own mode says so, unless the model is in evaluation mode. */
const trains = (call: Call, mode: number): boolean => mode !== 0 && call.running.training;

function batchNorm(call: Call): Outputs | AnyTensor {
  const x = call.tensor(0);
  const [weight, bias, mean, variance] = [1, 2, 3, 4].map((i) => call.tensor(i)) as [
    AnyTensor,
    AnyTensor,
    AnyTensor,
    AnyTensor,
  ];
  const epsilon = call.float('epsilon', 1e-5);
  const mode = call.version >= 14 ? call.int('training_mode', 0) : Number(call.names.outputs.length > 1);
  if (!trains(call, mode)) {
    const y = ops.batchNorm(x as never, mean, variance, weight as never, bias as never, { epsilon }) as AnyTensor;
    return outputs(y, mean, variance);
  }
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const [batchVariance, batchMean] = ops.varMean(x as never, axes as never, { correction: 0 }) as unknown as [
    AnyTensor,
    AnyTensor,
  ];
  const scale = weight.mul(batchVariance.add(epsilon).rsqrt()) as AnyTensor;
  const y = x.sub(channelwise(batchMean, x)).mul(channelwise(scale, x)).add(channelwise(bias, x)) as AnyTensor;
  const momentum = call.float('momentum', 0.9);
  const moved = (from: AnyTensor, to: AnyTensor): AnyTensor =>
    from.mul(momentum).add(to.mul(1 - momentum)) as AnyTensor;
  return outputs(y.cast(x.dtype) as AnyTensor, moved(mean, batchMean), moved(variance, batchVariance));
}

function dropout(call: Call): Outputs {
  const x = call.tensor(0);
  const ratio = call.version >= 12 ? call.knownScalar(1, 0.5) : call.float('ratio', 0.5);
  const mode = call.version >= 12 ? call.knownScalar(2, 0) : 0;
  const isApplied = trains(call, mode) && ratio > 0;
  if (!isApplied || !call.wants(1)) {
    const mask = (): AnyTensor => ops.ones(x.shape, { dtype: 'bool', device: x.device }) as AnyTensor;
    return outputs(isApplied ? (ops.dropout(x as never, ratio) as AnyTensor) : x, call.wants(1) ? mask() : undefined);
  }
  const kept = ops.dropout(ops.onesLike(x) as never, ratio) as AnyTensor;
  return outputs(x.mul(kept) as AnyTensor, kept.notEqual(0) as AnyTensor);
}

/** In float32 where the input has fewer bits, as `stash_type` asks for. */
const wide = (x: AnyTensor): AnyTensor =>
  (x.dtype === 'float16' || x.dtype === 'bfloat16' ? x.cast('float32') : x) as AnyTensor;

/** y, mean and 1 / deviation of the axes from `start` on. */
export function layerNorm(
  call: Call,
  x: AnyTensor,
  weight: AnyTensor | undefined,
  bias: AnyTensor | undefined,
  start: number,
  usual = 1e-5,
): Outputs {
  const epsilon = call.float('epsilon', usual);
  const shape = x.shape.slice(start);
  const isPlain = [weight, bias].every((each) => each === undefined || sameShape(each.shape, shape));
  const wantsMore = call.wants(1) || call.wants(2);
  if (isPlain && !wantsMore) {
    return outputs(ops.layerNorm(x as never, shape as never, weight as never, bias as never, { epsilon }) as AnyTensor);
  }
  const axes = shape.map((_, i) => start + i);
  const input = wide(x);
  const [variance, mean] = ops.varMean(input as never, axes as never, { correction: 0, keepDims: true }) as unknown as [
    AnyTensor,
    AnyTensor,
  ];
  const rstd = variance.add(epsilon).rsqrt() as AnyTensor;
  const normal = input.sub(mean).mul(rstd).cast(x.dtype) as AnyTensor;
  const scaled = (weight === undefined ? normal : normal.mul(weight)) as AnyTensor;
  return outputs((bias === undefined ? scaled : scaled.add(bias)) as AnyTensor, mean, rstd);
}

const rmsNorm: Operator = (call) => {
  const x = call.tensor(0);
  const weight = call.tensor(1);
  const start = axisOf(call, call.int('axis', -1), x.shape);
  const shape = x.shape.slice(start);
  const epsilon = call.float('epsilon', 1e-5);
  if (sameShape(weight.shape, shape))
    return ops.rmsNorm(x as never, shape as never, weight as never, { epsilon }) as AnyTensor;
  return (ops.rmsNorm(x as never, shape as never, undefined, { epsilon }) as AnyTensor).mul(weight) as AnyTensor;
};

const groupNorm: Operator = (call) => {
  const x = call.tensor(0);
  const groups = call.int('num_groups');
  const perChannel = (i: number): AnyTensor => {
    const given = call.tensor(i);
    // Before version 21 there is one number per group.
    return (call.version >= 21 ? given : ops.repeatInterleave(given, x.shape[1]! / groups)) as AnyTensor;
  };
  const epsilon = call.float('epsilon', 1e-5);
  return ops.groupNorm(x as never, groups, perChannel(1) as never, perChannel(2) as never, { epsilon }) as AnyTensor;
};

const localResponseNorm: Operator = (call) => {
  const x = call.tensor(0);
  const size = call.int('size');
  const options = { alpha: call.float('alpha', 1e-4), beta: call.float('beta', 0.75), k: call.float('bias', 1) };
  // A window of even size reaches one channel further ahead; ours reaches further back.
  const turned = (size % 2 === 0 ? x.flip([1]) : x) as AnyTensor;
  const y = ops.localResponseNorm(turned as never, size, options) as AnyTensor;
  return (size % 2 === 0 ? y.flip([1]) : y) as AnyTensor;
};

const meanVarianceNorm: Operator = (call) => {
  const x = call.tensor(0);
  const axes = axesOf(call, call.ints('axes', [0, 2, 3]), x.shape);
  const [variance, mean] = ops.varMean(x as never, axes as never, { correction: 0, keepDims: true }) as unknown as [
    AnyTensor,
    AnyTensor,
  ];
  return x.sub(mean).div(variance.sqrt().add(1e-9)) as AnyTensor;
};

const lpNorm: Operator = (call) => {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', -1), x.shape);
  const norm = ops.norm(x as never, [axis] as never, { p: call.int('p', 2), keepDims: true }) as AnyTensor;
  // Lines of zeros stay.
  return x.div(ops.where(norm.equalTo(0), 1, norm) as AnyTensor).cast(x.dtype) as AnyTensor;
};

function classLoss(call: Call, logProbs: AnyTensor): AnyTensor {
  const reduction = call.choice('reduction', 'mean', 'sum', 'none');
  const weight = call.optional(2);
  const ignoreIndex = call.attributes.protos.has('ignore_index') ? { ignoreIndex: call.int('ignore_index') } : {};
  const [n, c, ...space] = logProbs.shape as [number, number, ...number[]];
  const target = call.tensor(1);
  const index = (target.dtype === 'int32' || target.dtype === 'int64' ? target : target.cast('int64')) as AnyTensor;
  // Spatial axes are laid flat, so that there may be any number of them.
  const input = logProbs.reshape([n, c, sizeOf(space)]) as AnyTensor;
  const loss = ops.nllLoss(input as never, index.reshape([n, sizeOf(space)]) as never, {
    reduction,
    ...(weight !== undefined && { weight: weight as never }),
    ...ignoreIndex,
  }) as AnyTensor;
  return (reduction === 'none' ? loss.reshape([n, ...space]) : loss) as AnyTensor;
}

const softmaxLoss: Operator = (call) => {
  const logProbs = ops.logSoftmax(call.tensor(0) as never, 1 as never) as AnyTensor;
  return outputs(classLoss(call, logProbs), logProbs);
};

/** What `epsilon` and the axes make of an input is in the op; nothing but floats has a norm. */
const instanceNorm: Operator = (call) => {
  const x = call.tensor(0);
  if (!isFloat(x.dtype)) call.refuse('dtype', x.dtype, 'floats');
  const epsilon = call.float('epsilon', 1e-5);
  return ops.instanceNorm(x as never, undefined, undefined, call.tensor(1) as never, call.tensor(2) as never, {
    epsilon,
  }) as AnyTensor;
};

export const normalization: Readonly<Record<string, Operator>> = {
  BatchNormalization: knowing([3, 4], batchNorm),
  Dropout: knowing([1, 2], dropout),
  GroupNormalization: groupNorm,
  InstanceNormalization: instanceNorm,
  LRN: localResponseNorm,
  LayerNormalization: (call) => {
    const x = call.tensor(0);
    return layerNorm(call, x, call.tensor(1), call.optional(2), axisOf(call, call.int('axis', -1), x.shape));
  },
  LpNormalization: lpNorm,
  MeanVarianceNormalization: meanVarianceNorm,
  NegativeLogLikelihoodLoss: (call) => classLoss(call, call.tensor(0)),
  RMSNormalization: rmsNorm,
  SoftmaxCrossEntropyLoss: softmaxLoss,
};
