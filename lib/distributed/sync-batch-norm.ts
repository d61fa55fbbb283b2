/** Batch normalisation over the batches of all processes. */
import { noGrad } from '../autograd/modes';
import { checkModule } from '../nn/container';
import type { Module } from '../nn/module';
import { BatchNorm } from '../nn/normalization';
import { full } from '../ops/creation';
import { cat } from '../ops/movement';
import { batchNorm, finishBatchNorm, perChannel } from '../ops/normalization';
import type { AnyTensor } from '../tensor/tensor';
import { allReduce } from './collectives';
import { worldSize } from './process-group';

/**
 * Makes every batch norm of a model take, in training, the mean and variance of the batches of all processes together, which may differ in size: for few samples in each
 * process. All processes must then call the model together, and `backward` too. Parameters, buffers and evaluation are as before. Answers the model.
 *
 * @throws ArgumentError when `model` is no module.
 * @example
 * distributed.syncBatchNorm(new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm2d(8)));
 */
export function syncBatchNorm<M extends Module>(model: M): M {
  checkModule('syncBatchNorm', 'model', model);
  for (const module of model.modules()) if (module instanceof BatchNorm) module.normalize = normalizeTogether;
  return model;
}

const normalizeTogether: BatchNorm['normalize'] = (x, runningMean, runningVar, weight, bias, options) => {
  if (options.training !== true || worldSize() === 1) {
    return batchNorm(x, runningMean, runningVar, weight, bias, options);
  }
  const channels = x.shape[1]!;
  const axes = [...x.shape.keys()].filter((axis) => axis !== 1);
  const values: AnyTensor = x.dtype === 'float64' ? x : x.cast('float32');
  const { dtype, device } = values;
  const own = full([1], x.size / channels, { dtype, device });
  const totals = allReduce(cat([values.sum(axes), own], 0));
  const count = totals.narrow(0, channels, 1).detach();
  const mean = totals.narrow(0, 0, channels).div(count);
  const centred = values.sub(perChannel(mean, x));
  const variance = allReduce(centred.square().sum(axes)).div(count);
  const { epsilon = 1e-5, momentum = 0.1, numBatchesTracked } = options;
  noGrad(() => {
    numBatchesTracked?.add_(1);
    runningMean?.lerp_(mean.cast(runningMean.dtype), momentum);
    runningVar?.lerp_(variance.mul(count.div(count.sub(1))).cast(runningVar.dtype), momentum);
  });
  const rstd = variance.add(epsilon).rsqrt();
  const scaled = centred.mul(perChannel(weight === undefined ? rstd : rstd.mul(weight), x));
  const y = bias === undefined ? scaled : scaled.add(perChannel(bias, x));
  return finishBatchNorm(y.cast(x.dtype), options);
};
