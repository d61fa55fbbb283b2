/** Losses of values, rates and probabilities against targets of the same shape, and of log-probabilities against classes. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { promote, type DType } from '../tensor/dtype';
import type { IndexCheck } from '../tensor/index-types';
import type { CrossEntropyCheck, Loss, Reduction, Targets } from '../tensor/layer-shape-types';
import type { BroadcastCheck, Ok, SameCheck, Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { fullPrecision, operand } from './autocast';
import { checkDType, checkOptions, checkTensor, defineOp, floats, run } from './define';
import { checkIndex } from './indexing';
import { broadcastTarget, checkPrediction, checkTarget, reduceLoss, type LossOptions } from './losses';
import { where } from './pointwise-compare';

/**
 * The absolute error |input − target|.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * l1Loss(tensor([1, 2]), tensor([1, 4])); // 1
 */
export function l1Loss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'l1Loss'>>,
  options?: LossOptions<R>,
): Tensor<Loss<S, R>, D>;
export function l1Loss(input: AnyTensor, target: AnyTensor, options: LossOptions = {}): AnyTensor {
  checkOptions('l1Loss', options);
  [input, target] = checkPrediction('l1Loss', input, target);
  return reduceLoss('l1Loss', input.sub(target).abs(), options.reduction);
}

export interface SmoothL1Options<R extends Reduction = Reduction> extends LossOptions<R> {
  /** The error from which the loss is linear; 1 unless given, and 0 for l1. */
  readonly beta?: number;
}

/**
 * d² / 2β for an error d = |input − target| below β, d − β/2 from there on. Girshick, 2015, Fast R-CNN.
 *
 * @throws ShapeError, DTypeError; ArgumentError for a negative β.
 * @example
 * smoothL1Loss(tensor([0.5, 3]), tensor([0, 0]), { reduction: 'none' }); // [0.125, 2.5]
 */
export function smoothL1Loss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'smoothL1Loss'>>,
  options?: SmoothL1Options<R>,
): Tensor<Loss<S, R>, D>;
export function smoothL1Loss(input: AnyTensor, target: AnyTensor, options: SmoothL1Options = {}): AnyTensor {
  checkOptions('smoothL1Loss', options);
  const op = 'smoothL1Loss';
  [input, target] = checkPrediction(op, input, target);
  const { beta = 1, reduction } = options;
  if (!(beta >= 0)) throw new ArgumentError(`${op}: beta: got ${shown(beta)}, expected a number of at least 0`);
  if (beta === 0) return reduceLoss(op, input.sub(target).abs(), reduction);
  return reduceLoss(op, huber(input, target, beta), reduction).div(beta);
}

const huberOp = defineOp<readonly number[]>('huber', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const delta = node.context[0]!;
    const slope = g.mul(node.input(0).sub(node.input(1)).clamp(-delta, delta));
    return [slope, node.needs(1) ? slope.neg() : undefined];
  },
});

/** d² / 2 for an error d = |input − target| up to δ, δ·(d − δ/2) from there on; of one shape, in the dtype of both. */
function huber(input: AnyTensor, target: AnyTensor, delta: number): AnyTensor {
  const dtype = promote(input.dtype, target.dtype);
  return run(huberOp, [input.cast(dtype), target.cast(dtype)], input.shape, dtype, [delta]);
}

export interface HuberOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** The error from which the loss is linear; 1 unless given. */
  readonly delta?: number;
}

/**
 * d² / 2 for an error d = |input − target| up to δ, δ·(d − δ/2) from there on. Huber, 1964.
 *
 * @throws ShapeError, DTypeError; ArgumentError unless δ is positive.
 * @example
 * huberLoss(tensor([0.5, 3]), tensor([0, 0]), { delta: 2, reduction: 'none' }); // [0.125, 4]
 */
export function huberLoss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'huberLoss'>>,
  options?: HuberOptions<R>,
): Tensor<Loss<S, R>, D>;
export function huberLoss(input: AnyTensor, target: AnyTensor, options: HuberOptions = {}): AnyTensor {
  checkOptions('huberLoss', options);
  const op = 'huberLoss';
  [input, target] = checkPrediction(op, input, target);
  const { delta = 1, reduction } = options;
  if (!(delta > 0)) throw new ArgumentError(`${op}: delta: got ${shown(delta)}, expected a positive number`);
  return reduceLoss(op, huber(input, target, delta), reduction);
}

export interface BceOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Of each element; broadcasts to the input. */
  readonly weight?: AnyTensor;
}

/** log x, but at least −100. */
function boundedLog(x: AnyTensor): AnyTensor {
  const low = x.lessEqual(Math.exp(-100));
  return where(low, -100, (where(low, 1, x) as AnyTensor).log()) as AnyTensor;
}

/**
 * Binary cross entropy of probabilities p and targets t in [0, 1]: −t·log p − (1 − t)·log(1 − p), with logarithms of at least −100.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * bceLoss(tensor([0.5]), tensor([1])); // 0.6931
 */
export function bceLoss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'bceLoss'>>,
  options?: BceOptions<R>,
): Tensor<Loss<S, R>, D>;
export function bceLoss(input: AnyTensor, target: AnyTensor, options: BceOptions = {}): AnyTensor {
  checkOptions('bceLoss', options);
  const { weight, reduction } = options;
  [input, target] = checkPrediction('bceLoss', input, target);
  const positive = target.mul(boundedLog(input));
  const negative = target
    .neg()
    .add(1)
    .mul(boundedLog(input.neg().add(1)));
  const loss: AnyTensor = positive.add(negative).neg();
  return reduceLoss('bceLoss', weight === undefined ? loss : loss.mul(weight), reduction);
}

export interface KlDivOptions {
  /** `'mean'` over all elements unless given; `'batchmean'`, the sum over the first size, is the divergence's own. */
  readonly reduction?: Reduction | 'batchmean';
  /** Whether the target holds log-probabilities too; false unless given. */
  readonly logTarget?: boolean;
}

/**
 * The Kullback–Leibler divergence of target probabilities t from log-probabilities x: t·(log t − x).
 *
 * @throws ShapeError, DTypeError.
 * @example
 * klDiv(tensor([Math.log(0.5), Math.log(0.5)]), tensor([1, 0]), { reduction: 'sum' }); // 0.6931
 */
export function klDiv<S extends Shape, D extends DType, T extends Shape>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'klDiv'>>,
  options?: KlDivOptions,
): Tensor<Shape, D>;
export function klDiv(input: AnyTensor, target: AnyTensor, options: KlDivOptions = {}): AnyTensor {
  checkOptions('klDiv', options);
  [input, target] = checkPrediction('klDiv', input, target);
  const { reduction, logTarget = false } = options;
  let loss: AnyTensor;
  if (logTarget) loss = target.exp().mul(target.sub(input));
  else {
    const logs: AnyTensor = (where(target.equalTo(0), 1, target) as AnyTensor).log();
    loss = target.mul(logs).sub(target.mul(input));
  }
  if (reduction !== 'batchmean') return reduceLoss('klDiv', loss, reduction, ', batchmean');
  return loss.sum().div(input.rank === 0 ? 1 : input.shape[0]!);
}

export interface NllOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Of each class, [classes]. The mean is then weighted too. */
  readonly weight?: AnyTensor;
  /** A target that contributes nothing; -100 unless given. */
  readonly ignoreIndex?: number;
}

/**
 * The negative log-likelihood −x[t] of integer targets t under log-probabilities x: [n, classes] and [n], [classes] and a scalar, or
 * [n, classes, d…] and [n, d…].
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when a target is no class.
 * @example
 * nllLoss(tensor([[-0.5, -1]]), tensor([1], { dtype: 'int32' })); // 1
 */
export function nllLoss<
  S extends Shape,
  D extends DType,
  T extends Shape,
  E extends DType,
  const R extends Reduction = 'mean',
>(
  input: Tensor<S, D>,
  target: Tensor<T, E> & Ok<IndexCheck<E, 'nllLoss', 'target'>> & Ok<CrossEntropyCheck<S, T, 'nllLoss'>>,
  options?: NllOptions<R>,
): Tensor<Loss<Targets<S>, R>, D>;
export function nllLoss(input: AnyTensor, target: AnyTensor, options: NllOptions = {}): AnyTensor {
  checkOptions('nllLoss', options);
  const op = 'nllLoss';
  checkTensor(op, input);
  checkDType(op, input.dtype, floats);
  input = operand(fullPrecision, input);
  checkIndex(op, target, 'target');
  if (input.rank === 0)
    throw new ShapeError(`${op}: input: got a scalar, expected [classes], [n, classes] or [n, classes, …]`);
  const classAxis = input.rank === 1 ? 0 : 1;
  checkTarget(op, input, 'input', target);
  const { weight, ignoreIndex = -100, reduction } = options;
  const classes = input.shape[classAxis]!;
  if (weight !== undefined) {
    checkTensor(op, weight, 'weight');
    if (!sameShape(weight.shape, [classes])) {
      throw new ShapeError(`${op}: weight does not fit: got shape ${show(weight.shape)}, expected [${classes}]`);
    }
  }
  const index: AnyTensor = target;
  const counted = index.notEqual(ignoreIndex);
  const safe = where(counted, index, 0);
  let loss = input.gather(classAxis, safe.unsqueeze(classAxis) as typeof safe).squeeze(classAxis) as AnyTensor;
  let weights: AnyTensor = counted;
  if (weight !== undefined) {
    const own = weight.cast(input.dtype).gather(0, safe.flatten() as typeof safe) as AnyTensor;
    weights = where(counted, own.reshape(target.shape), 0);
    loss = loss.mul(weights);
  }
  loss = where(counted, loss, 0);
  if (reduction !== undefined && reduction !== 'mean') return reduceLoss(op, loss.neg(), reduction);
  return loss.sum().div(weights.sum().neg());
}

export interface PoissonNllOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Whether the input is the logarithm of the rate; true unless given. */
  readonly logInput?: boolean;
  /** Whether Stirling's approximation of log t! is added for targets above 1; false unless given. */
  readonly full?: boolean;
  /** Added to a rate before its logarithm; 1e-8 unless given. */
  readonly epsilon?: number;
}

/**
 * The negative log-likelihood of counts t under a Poisson distribution: exp(x) − t·x for log-rates x, or x − t·log(x + ε) for rates.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * poissonNllLoss(tensor([0]), tensor([2])); // 1
 */
export function poissonNllLoss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'poissonNllLoss'>>,
  options?: PoissonNllOptions<R>,
): Tensor<Loss<S, R>, D>;
export function poissonNllLoss(input: AnyTensor, target: AnyTensor, options: PoissonNllOptions = {}): AnyTensor {
  checkOptions('poissonNllLoss', options);
  [input, target] = checkPrediction('poissonNllLoss', input, target);
  const { logInput = true, full = false, epsilon = 1e-8, reduction } = options;
  let loss: AnyTensor = logInput ? input.exp().sub(target.mul(input)) : input.sub(target.mul(input.add(epsilon).log()));
  if (full) {
    const few = target.lessEqual(1);
    const t = where(few, 1, target) as AnyTensor;
    const stirling = t
      .mul(t.log())
      .sub(t)
      .add(
        t
          .mul(2 * Math.PI)
          .log()
          .mul(0.5),
      );
    loss = loss.add(where(few, 0, stirling) as AnyTensor);
  }
  return reduceLoss('poissonNllLoss', loss, reduction);
}

export interface GaussianNllOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Whether the constant ½ log 2π is added; false unless given. */
  readonly full?: boolean;
  /** The least variance; 1e-6 unless given. */
  readonly epsilon?: number;
}

/**
 * The negative log-likelihood of targets under normal distributions: ½ (log v + (x − t)² / v). Target and variance broadcast to the input; a variance
 * of the input's shape without its last axis is one for each row.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * gaussianNllLoss(tensor([1]), tensor([3]), tensor([4])); // 1.1931
 */
export function gaussianNllLoss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<BroadcastCheck<S, T, 'gaussianNllLoss'>>,
  variance: Tensor<Shape, D>,
  options?: GaussianNllOptions<R>,
): Tensor<Loss<S, R>, D>;
export function gaussianNllLoss(
  input: AnyTensor,
  target: AnyTensor,
  variance: AnyTensor,
  options: GaussianNllOptions = {},
): AnyTensor {
  checkOptions('gaussianNllLoss', options);
  [input, target] = checkPrediction('gaussianNllLoss', input, broadcastTarget('gaussianNllLoss', input, target));
  checkTensor('gaussianNllLoss', variance, 'variance');
  if (input.rank > 0 && sameShape(variance.shape, input.shape.slice(0, -1))) variance = variance.unsqueeze(-1);
  variance = broadcastTarget('gaussianNllLoss', input, variance, 'variance');
  const { full = false, epsilon = 1e-6, reduction } = options;
  // The gradient passes the bound, as in PyTorch, so that training can leave it.
  const v = where(variance.less(epsilon), variance.sub(variance.detach()).add(epsilon), variance) as AnyTensor;
  const terms = v.log().add(input.sub(target).square().div(v)).mul(0.5);
  return reduceLoss('gaussianNllLoss', full ? terms.add(0.5 * Math.log(2 * Math.PI)) : terms, reduction);
}
