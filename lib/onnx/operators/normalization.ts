/** Normalisation, dropout, and losses over classes. */
import * as ops from '../../ops';
import { sameShape, sizeOf } from '../../tensor/shapes';
import { isFloat } from '../../tensor/dtype';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator, type Outputs } from '../call';
import { axesOf, axisOf } from './shapes';

const channelwise = (x: AnyTensor, like: AnyTensor): AnyTensor => x.reshape([-1, ...like.shape.slice(2).map(() => 1)]);

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
    const y = ops.batchNorm(x, mean, variance, weight, bias, { epsilon });
    return outputs(y, mean, variance);
  }
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const [batchVariance, batchMean] = ops.varMean(x, axes, { correction: 0 }) as unknown as [AnyTensor, AnyTensor];
  const scale = weight.mul(batchVariance.add(epsilon).rsqrt());
  const y = x.sub(channelwise(batchMean, x)).mul(channelwise(scale, x)).add(channelwise(bias, x));
  const momentum = call.float('momentum', 0.9);
  const moved = (from: AnyTensor, to: AnyTensor): AnyTensor => from.mul(momentum).add(to.mul(1 - momentum));
  return outputs(y.cast(x.dtype), moved(mean, batchMean), moved(variance, batchVariance));
}

function dropout(call: Call): Outputs {
  const x = call.tensor(0);
  const ratio = call.version >= 12 ? call.knownScalar(1, 0.5) : call.float('ratio', 0.5);
  const mode = call.version >= 12 ? call.knownScalar(2, 0) : 0;
  const isApplied = trains(call, mode) && ratio > 0;
  if (!isApplied || !call.wants(1)) {
    const mask = (): AnyTensor => ops.ones(x.shape, { dtype: 'bool', device: x.device });
    return outputs(isApplied ? ops.dropout(x, ratio) : x, call.wants(1) ? mask() : undefined);
  }
  const kept = ops.dropout(ops.onesLike(x), ratio);
  return outputs(x.mul(kept), kept.notEqual(0));
}

/** In float32 where the input has fewer bits, as `stash_type` asks for. */
const wide = (x: AnyTensor): AnyTensor => (x.dtype === 'float16' || x.dtype === 'bfloat16' ? x.cast('float32') : x);

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
    return outputs(ops.layerNorm(x, shape, weight, bias, { epsilon }));
  }
  const axes = shape.map((_, i) => start + i);
  const input = wide(x);
  const [variance, mean] = ops.varMean(input, axes, { correction: 0, keepDims: true }) as unknown as [
    AnyTensor,
    AnyTensor,
  ];
  const rstd = variance.add(epsilon).rsqrt();
  const normal = input.sub(mean).mul(rstd).cast(x.dtype);
  const scaled = weight === undefined ? normal : normal.mul(weight);
  return outputs(bias === undefined ? scaled : scaled.add(bias), mean, rstd);
}

const rmsNorm: Operator = (call) => {
  const x = call.tensor(0);
  const weight = call.tensor(1);
  const start = axisOf(call, call.int('axis', -1), x.shape);
  const shape = x.shape.slice(start);
  const epsilon = call.float('epsilon', 1e-5);
  if (sameShape(weight.shape, shape)) return ops.rmsNorm(x, shape, weight, { epsilon });
  return ops.rmsNorm(x, shape, undefined, { epsilon }).mul(weight);
};

const groupNorm: Operator = (call) => {
  const x = call.tensor(0);
  const groups = call.int('num_groups');
  const perChannel = (i: number): AnyTensor => {
    const given = call.tensor(i);
    // Before version 21 there is one number per group.
    return call.version >= 21 ? given : ops.repeatInterleave(given, x.shape[1]! / groups);
  };
  const epsilon = call.float('epsilon', 1e-5);
  return ops.groupNorm(x, groups, perChannel(1), perChannel(2), { epsilon });
};

const localResponseNorm: Operator = (call) => {
  const x = call.tensor(0);
  const size = call.int('size');
  const options = { alpha: call.float('alpha', 1e-4), beta: call.float('beta', 0.75), k: call.float('bias', 1) };
  // A window of even size reaches one channel further ahead; ours reaches further back.
  const turned = size % 2 === 0 ? x.flip([1]) : x;
  const y = ops.localResponseNorm(turned, size, options);
  return size % 2 === 0 ? y.flip([1]) : y;
};

const meanVarianceNorm: Operator = (call) => {
  const x = call.tensor(0);
  const axes = axesOf(call, call.ints('axes', [0, 2, 3]), x.shape);
  const [variance, mean] = ops.varMean(x, axes, { correction: 0, keepDims: true }) as unknown as [AnyTensor, AnyTensor];
  return x.sub(mean).div(variance.sqrt().add(1e-9));
};

const lpNorm: Operator = (call) => {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', -1), x.shape);
  const norm = ops.norm(x, [axis], { p: call.int('p', 2), keepDims: true });
  // Lines of zeros stay.
  return x.div(ops.where(norm.equalTo(0), 1, norm)).cast(x.dtype);
};

function classLoss(call: Call, logProbs: AnyTensor): AnyTensor {
  const reduction = call.choice('reduction', 'mean', 'sum', 'none');
  const weight = call.optional(2);
  const ignoreIndex = call.attributes.protos.has('ignore_index') ? { ignoreIndex: call.int('ignore_index') } : {};
  const [n, c, ...space] = logProbs.shape as [number, number, ...number[]];
  const target = call.tensor(1);
  const index = target.dtype === 'int32' || target.dtype === 'int64' ? target : target.cast('int64');
  // Spatial axes are laid flat, so that there may be any number of them.
  const input = logProbs.reshape([n, c, sizeOf(space)]);
  const loss = ops.nllLoss(input, index.reshape([n, sizeOf(space)]), {
    reduction,
    ...(weight !== undefined && { weight: weight }),
    ...ignoreIndex,
  });
  return reduction === 'none' ? loss.reshape([n, ...space]) : loss;
}

const softmaxLoss: Operator = (call) => {
  const logProbs = ops.logSoftmax(call.tensor(0), 1);
  return outputs(classLoss(call, logProbs), logProbs);
};

/** What `epsilon` and the axes make of an input is in the op; nothing but floats has a norm. */
const instanceNorm: Operator = (call) => {
  const x = call.tensor(0);
  if (!isFloat(x.dtype)) call.refuse('dtype', x.dtype, 'floats');
  const epsilon = call.float('epsilon', 1e-5);
  return ops.instanceNorm(x, undefined, undefined, call.tensor(1), call.tensor(2), {
    epsilon,
  });
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
