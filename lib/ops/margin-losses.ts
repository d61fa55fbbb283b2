/** Losses that want scores and distances apart by a margin, and contrastive losses. */
import { ArgumentError, ShapeError } from '../errors';
import { describe, shown } from '../tensor/describe';
import { isFloat, type DType } from '../tensor/dtype';
import type { Loss, Reduction } from '../tensor/layer-shape-types';
import type { Ok, SameCheck, Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, zeros } from './creation';
import { fullPrecision, operand } from './autocast';
import { checkDType, checkOptions, checkTensor, floats } from './define';
import { normalize, pairwiseDistance } from './distances';
import { checkIndex } from './indexing';
import { broadcastTarget, checkPrediction, crossEntropy, reduceLoss, type LossOptions } from './losses';
import { cat } from './movement';
import { where } from './pointwise-compare';

export interface MarginOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** What is wanted between the two. */
  readonly margin?: number;
}

/** max(0, x) with a slope at 0, as PyTorch has it in these losses. */
const positivePart = (x: AnyTensor): AnyTensor => x.clamp(0) as AnyTensor;

/** Throws unless all have one shape and a floating dtype. */
function checkAlike(op: string, inputs: Readonly<Record<string, AnyTensor>>): void {
  const [[, first], ...rest] = Object.entries(inputs) as [[string, AnyTensor], ...[string, AnyTensor][]];
  checkTensor(op, first);
  checkDType(op, first.dtype, floats);
  for (const [name, x] of rest) {
    checkTensor(op, x, name);
    if (!sameShape(x.shape, first.shape)) {
      throw new ShapeError(`${op}: ${name} does not fit: got shape ${show(x.shape)}, expected ${show(first.shape)}`);
    }
  }
}

/**
 * log(1 + exp(−t·x)) for scores x and targets t of 1 or −1.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * softMarginLoss(tensor([0]), tensor([1])); // 0.6931
 */
export function softMarginLoss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'softMarginLoss'>>,
  options?: LossOptions<R>,
): Tensor<Loss<S, R>, D>;
export function softMarginLoss(input: AnyTensor, target: AnyTensor, options: LossOptions = {}): AnyTensor {
  checkOptions('softMarginLoss', options);
  [input, target] = checkPrediction('softMarginLoss', input, target);
  return reduceLoss('softMarginLoss', input.mul(target).logSigmoid().neg(), options.reduction);
}

/**
 * x where the target is 1, max(0, margin − x) where it is −1, for distances x. The margin is 1 unless given.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * hingeEmbeddingLoss(tensor([0.3, 0.4]), tensor([1, -1]), { reduction: 'none' }); // [0.3, 0.6]
 */
export function hingeEmbeddingLoss<
  S extends Shape,
  D extends DType,
  T extends Shape,
  const R extends Reduction = 'mean',
>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'hingeEmbeddingLoss'>>,
  options?: MarginOptions<R>,
): Tensor<Loss<S, R>, D>;
export function hingeEmbeddingLoss(input: AnyTensor, target: AnyTensor, options: MarginOptions = {}): AnyTensor {
  checkOptions('hingeEmbeddingLoss', options);
  [input, target] = checkPrediction('hingeEmbeddingLoss', input, target);
  const { margin = 1, reduction } = options;
  const near = where(target.equalTo(-1), 0, input) as AnyTensor;
  const far = where(target.equalTo(1), 0, positivePart(input.neg().add(margin))) as AnyTensor;
  return reduceLoss('hingeEmbeddingLoss', near.add(far), reduction);
}

/**
 * max(0, −t·(a − b) + margin): a is to rank above b where the target t is 1, below where it is −1. The margin is 0 unless given.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * marginRankingLoss(tensor([1]), tensor([3]), tensor([1])); // 2
 */
export function marginRankingLoss<
  S extends Shape,
  D extends DType,
  T extends Shape,
  const R extends Reduction = 'mean',
>(
  a: Tensor<S, D>,
  b: Tensor<T, D> & Ok<SameCheck<S, T, 'marginRankingLoss'>>,
  target: Tensor<Shape, DType>,
  options?: MarginOptions<R>,
): Tensor<Loss<S, R>, D>;
export function marginRankingLoss(
  a: AnyTensor,
  b: AnyTensor,
  target: AnyTensor,
  options: MarginOptions = {},
): AnyTensor {
  checkOptions('marginRankingLoss', options);
  checkAlike('marginRankingLoss', { a, b });
  target = broadcastTarget('marginRankingLoss', a, target);
  [a, b] = [operand(fullPrecision, a), operand(fullPrecision, b)];
  const { margin = 0, reduction } = options;
  const loss = positivePart(a.sub(b).mul(target.cast(a.dtype)).neg().add(margin));
  return reduceLoss('marginRankingLoss', loss, reduction);
}

/**
 * 1 − cos(a, b) for pairs [n, d] whose target [n] is 1, max(0, cos(a, b) − margin) where it is −1; or for one pair [d]. The margin is 0 unless given.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * cosineEmbeddingLoss(tensor([[1, 0]]), tensor([[0, 1]]), tensor([1])); // 1
 */
export function cosineEmbeddingLoss(
  a: AnyTensor,
  b: AnyTensor,
  target: AnyTensor,
  options: MarginOptions = {},
): AnyTensor {
  checkOptions('cosineEmbeddingLoss', options);
  const op = 'cosineEmbeddingLoss';
  checkAlike(op, { a, b });
  [a, b] = [operand(fullPrecision, a), operand(fullPrecision, b)];
  checkTensor(op, target, 'target');
  if ((a.rank !== 1 && a.rank !== 2) || !sameShape(target.shape, a.shape.slice(0, -1))) {
    throw new ShapeError(
      `${op}: shapes do not fit: got a ${show(a.shape)} and target ${show(target.shape)}, expected [n, d] and [n], or [d] and []`,
    );
  }
  const { margin = 0, reduction } = options;
  const size = (x: AnyTensor): AnyTensor => x.square().sum(-1).add(1e-12);
  const cosine = a
    .mul(b)
    .sum(-1)
    .div(size(a).mul(size(b)).sqrt());
  const apart = where(target.equalTo(-1), positivePart(cosine.sub(margin)), 0) as AnyTensor;
  return reduceLoss(op, where(target.equalTo(1), cosine.neg().add(1), apart), reduction);
}

export interface TripletMarginOptions<R extends Reduction = Reduction> extends MarginOptions<R> {
  /** Of the norm; 2 unless given. */
  readonly p?: number;
  /** Added to each difference; 1e-6 unless given. */
  readonly epsilon?: number;
  /** Whether the negative's distance from the positive counts where it is smaller; false unless given. */
  readonly swap?: boolean;
}

/**
 * max(0, d(anchor, positive) − d(anchor, negative) + margin) with d the distance along the last axis. The margin is 1 unless given. Schroff et al.,
 * 2015, FaceNet; swap: Balntas et al., 2016.
 *
 * @throws ShapeError, DTypeError; ArgumentError unless the margin is above 0.
 * @example
 * tripletMarginLoss(tensor([[0, 0]]), tensor([[0, 3]]), tensor([[4, 0]])); // 0
 */
export function tripletMarginLoss(
  anchor: AnyTensor,
  positive: AnyTensor,
  negative: AnyTensor,
  options: TripletMarginOptions = {},
): AnyTensor {
  checkOptions('tripletMarginLoss', options);
  checkAlike('tripletMarginLoss', { anchor, positive, negative });
  const { p = 2, epsilon = 1e-6, ...rest } = options;
  const distance = (a: AnyTensor, b: AnyTensor): AnyTensor => pairwiseDistance(a, b, { p, epsilon });
  return tripletLoss('tripletMarginLoss', anchor, positive, negative, { ...rest, distance });
}

export interface TripletMarginWithDistanceOptions<R extends Reduction = Reduction> extends MarginOptions<R> {
  /** How far two are apart; `pairwiseDistance` unless given. */
  readonly distance?: (a: AnyTensor, b: AnyTensor) => AnyTensor;
  /** Whether the negative's distance from the positive counts where it is smaller; false unless given. */
  readonly swap?: boolean;
}

/**
 * max(0, d(anchor, positive) − d(anchor, negative) + margin) with any distance d, as {@link tripletMarginLoss} otherwise.
 *
 * @throws ArgumentError when the distance is no function; what the distance throws.
 * @example
 * const distance = (a: AnyTensor, b: AnyTensor) => a.sub(b).abs().max(-1);
 * tripletMarginWithDistanceLoss(tensor([[0, 0]]), tensor([[0, 3]]), tensor([[3, 2]]), { distance }); // 1
 */
export function tripletMarginWithDistanceLoss(
  anchor: AnyTensor,
  positive: AnyTensor,
  negative: AnyTensor,
  options: TripletMarginWithDistanceOptions = {},
): AnyTensor {
  const op = 'tripletMarginWithDistanceLoss';
  checkOptions(op, options);
  const { distance = pairwiseDistance } = options;
  if (typeof distance !== 'function') {
    throw new ArgumentError(`${op}: distance: got ${describe(distance)}, expected a function`);
  }
  checkTensor(op, anchor, 'anchor');
  checkTensor(op, positive, 'positive');
  checkTensor(op, negative, 'negative');
  return tripletLoss(op, anchor, positive, negative, { ...options, distance });
}

function tripletLoss(
  op: string,
  anchor: AnyTensor,
  positive: AnyTensor,
  negative: AnyTensor,
  options: TripletMarginWithDistanceOptions & Required<Pick<TripletMarginWithDistanceOptions, 'distance'>>,
): AnyTensor {
  const { distance, margin = 1, swap = false, reduction } = options;
  if (typeof margin !== 'number' || !(margin > 0)) {
    throw new ArgumentError(`${op}: margin: got ${shown(margin)}, expected a number above 0`);
  }
  const near = distance(anchor, positive);
  checkTensor(op, near, 'distance');
  let far = distance(anchor, negative);
  if (swap) far = far.minimum(distance(positive, negative));
  return reduceLoss(op, positivePart(near.sub(far).add(margin)), reduction);
}

/** Input and target as rows [n, classes]; a single row gets a batch axis. */
function rowsOf(op: string, input: AnyTensor): AnyTensor {
  checkTensor(op, input);
  checkDType(op, input.dtype, floats);
  if (input.rank !== 1 && input.rank !== 2) {
    throw new ShapeError(`${op}: wrong rank: got shape ${show(input.shape)}, expected [n, classes] or [classes]`);
  }
  const x = operand(fullPrecision, input);
  return x.rank === 1 ? x.unsqueeze(0) : x;
}

/**
 * Σ max(0, 1 − (x[t] − x[k])) / classes over all target classes t and others k of a row of scores. A row of targets lists classes up to the first −1.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when a target is no class.
 * @example
 * multiLabelMarginLoss(tensor([0.1, 0.2, 0.4, 0.8]), tensor([3, 0, -1, 1], { dtype: 'int64' })); // 0.85
 */
export function multiLabelMarginLoss(input: AnyTensor, target: AnyTensor, options: LossOptions = {}): AnyTensor {
  checkOptions('multiLabelMarginLoss', options);
  const op = 'multiLabelMarginLoss';
  const x = rowsOf(op, input);
  checkIndex(op, target, 'target');
  if (!sameShape(target.shape, input.shape)) {
    throw new ShapeError(`${op}: target does not fit: got shape ${show(target.shape)}, expected ${show(input.shape)}`);
  }
  const classes = x.shape[1]!;
  const labels: AnyTensor = target.reshape(x.shape);
  const listed: AnyTensor = labels.greaterEqual(0).cast(x.dtype).cumprod(1);
  const safe = where(listed.equalTo(1), labels, 0);
  const isTarget = zeros(x.shape, { dtype: x.dtype, device: x.device }).scatterAdd(1, safe, listed).clamp(0, 1);
  const gaps = x.unsqueeze(1).sub(x.gather(1, safe).unsqueeze(2)).add(1);
  const pairs = listed.unsqueeze(2).mul(isTarget.neg().add(1).unsqueeze(1));
  const loss: AnyTensor = gaps.relu().mul(pairs).sum([1, 2]).div(classes);
  return reduceLoss(op, input.rank === 1 ? loss.squeeze(0) : loss, options.reduction);
}

export interface MultiLabelSoftMarginOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Of each class; broadcasts to the input. */
  readonly weight?: AnyTensor;
}

/**
 * The mean over the classes (the last axis) of −t·log σ(x) − (1 − t)·log σ(−x), for scores x and targets t of 0 or 1.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * multiLabelSoftMarginLoss(tensor([[0, 0]]), tensor([[1, 0]])); // 0.6931
 */
export function multiLabelSoftMarginLoss(
  input: AnyTensor,
  target: AnyTensor,
  options: MultiLabelSoftMarginOptions = {},
): AnyTensor {
  checkOptions('multiLabelSoftMarginLoss', options);
  const op = 'multiLabelSoftMarginLoss';
  checkTensor(op, input);
  checkTensor(op, target, 'target');
  [input, target] = checkPrediction(op, input, isFloat(target.dtype) ? target : target.cast(input.dtype));
  if (input.rank === 0) throw new ShapeError(`${op}: got a scalar, expected [..., classes]`);
  const { weight, reduction } = options;
  const negative = target.neg().add(1).mul(input.neg().logSigmoid());
  const loss: AnyTensor = target.mul(input.logSigmoid()).add(negative).neg();
  return reduceLoss(op, (weight === undefined ? loss : loss.mul(weight)).mean(-1), reduction);
}

export interface MultiMarginOptions<R extends Reduction = Reduction> extends MarginOptions<R> {
  /** The power of each term, 1 or 2; 1 unless given. */
  readonly p?: 1 | 2;
  /** Of each class, [classes]. */
  readonly weight?: AnyTensor;
}

/**
 * Σ max(0, margin − x[t] + x[k])^p / classes over the classes k other than the target t, for rows of scores [n, classes] and targets [n], or one row. The
 * margin is 1 unless given.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read when a target is no class.
 * @example
 * multiMarginLoss(tensor([[0.1, 0.2, 0.4, 0.8]]), tensor([3], { dtype: 'int64' })); // 0.325
 */
export function multiMarginLoss(input: AnyTensor, target: AnyTensor, options: MultiMarginOptions = {}): AnyTensor {
  checkOptions('multiMarginLoss', options);
  const op = 'multiMarginLoss';
  const x = rowsOf(op, input);
  checkIndex(op, target, 'target');
  if (!sameShape(target.shape, input.shape.slice(0, -1))) {
    throw new ShapeError(
      `${op}: target does not fit: got shape ${show(target.shape)}, expected ${show(input.shape.slice(0, -1))}`,
    );
  }
  const { margin = 1, p = 1, weight, reduction } = options;
  if (p !== 1 && p !== 2) throw new ArgumentError(`${op}: p: got ${shown(p)}, expected 1 or 2`);
  const [n, classes] = x.shape as [number, number];
  const index = target.reshape([n, 1]);
  const gaps = (x.sub(x.gather(1, index)).add(margin) as AnyTensor).relu();
  const terms = p === 1 ? gaps : gaps.square();
  const own = arange(classes, { dtype: index.dtype, device: x.device }).equalTo(index);
  let loss: AnyTensor = (where(own, 0, terms) as AnyTensor).sum(1).div(classes);
  if (weight !== undefined) {
    checkTensor(op, weight, 'weight');
    if (!sameShape(weight.shape, [classes])) {
      throw new ShapeError(`${op}: weight does not fit: got shape ${show(weight.shape)}, expected [${classes}]`);
    }
    loss = loss.mul(weight.cast(x.dtype).gather(0, index.squeeze(1)));
  }
  return reduceLoss(op, input.rank === 1 ? loss.squeeze(0) : loss, reduction);
}

export interface InfoNceOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** What similarities are divided by; 0.1 unless given. */
  readonly temperature?: number;
  /** Vectors [m, d] that no query belongs to, besides the positives of the other queries. */
  readonly negatives?: AnyTensor;
}

/**
 * The cross entropy of finding each query's own positive among all of them by cosine similarity: −log softmax(q̂·p̂ᵀ / τ)[i, i], for query and positive
 * [n, d].
 *
 * @throws ShapeError, DTypeError, ArgumentError.
 * @see van den Oord et al., 2018, Representation learning with contrastive predictive coding.
 * @example
 * infoNce(eye(2), eye(2), { temperature: 1 }); // 0.3133
 */
export function infoNce(query: AnyTensor, positive: AnyTensor, options: InfoNceOptions = {}): AnyTensor {
  checkOptions('infoNce', options);
  const op = 'infoNce';
  checkAlike(op, { query, positive });
  if (query.rank !== 2) throw new ShapeError(`${op}: wrong rank: got shape ${show(query.shape)}, expected [n, d]`);
  const { temperature = 0.1, negatives, reduction = 'mean' } = options;
  if (!(temperature > 0)) {
    throw new ArgumentError(`${op}: temperature: got ${shown(temperature)}, expected a positive number`);
  }
  let keys: AnyTensor = positive;
  if (negatives !== undefined) {
    checkTensor(op, negatives, 'negatives');
    if (negatives.rank !== 2 || negatives.shape[1] !== query.shape[1] || !isFloat(negatives.dtype)) {
      throw new ShapeError(
        `${op}: negatives do not fit: got ${negatives.dtype} of shape ${show(negatives.shape)}, expected [m, ${query.shape[1]}]`,
      );
    }
    keys = cat([positive, negatives.cast(query.dtype)], 0);
  }
  const similarities: AnyTensor = normalize(query).matmul((normalize(keys) as AnyTensor).transpose());
  const own: AnyTensor = arange(query.shape[0]!, { dtype: 'int64', device: query.device });
  return crossEntropy(similarities.div(temperature), own, { reduction });
}
