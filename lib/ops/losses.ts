/** Losses: how far predictions are from targets, as one number, or one per element or row. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { isFloat, promote, type DType } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { CrossEntropyCheck, Loss, Reduction, Targets } from '../tensor/layer-shape-types';
import type { Ok, SameCheck, Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { fullPrecision, operand, operandDType } from './autocast';
import { oneHot } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, run, runMany, type NativeOp } from './define';
import { checkIndex } from './indexing';
import { where } from './pointwise-compare';

export type { Reduction };

export interface LossOptions<R extends Reduction = Reduction> {
  /** `'mean'` unless given. */
  readonly reduction?: R;
}

/** A loss of elements reduced. `others` are the reductions that the op has besides, for the message. */
export function reduceLoss(op: string, loss: AnyTensor, reduction: Reduction = 'mean', others = ''): AnyTensor {
  switch (reduction) {
    case 'mean':
      return loss.mean();
    case 'sum':
      return loss.sum();
    case 'none':
      return loss;
    default:
      throw new ArgumentError(`${op}: reduction: got ${shown(reduction)}, expected mean, sum${others} or none`);
  }
}

export interface CrossEntropyContext {
  /** [n] */
  readonly target: AnyTensor;
  /** Of the classes. */
  readonly weight: AnyTensor | undefined;
  /** ignoreIndex and labelSmoothing. */
  readonly attributes: readonly [number, number];
}

// Mixed precision gets the loss in float32; logits of 16 bits stay so, since the kernels compute in float32 whatever they read.
export const crossEntropyOp = defineOp<CrossEntropyContext>('crossEntropy', {
  dtypes: floats,
  autocast: 'float32',
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const logits = node.input(0);
    const { target, weight, attributes } = node.context;
    if (recording.enabled) return [composedGradient(g, logits, node.context)];
    const inputs = [g, logits, target, weight, node.output(1)];
    return [run(crossEntropyBackwardOp, inputs, logits.shape, logits.dtype, attributes)];
  },
});
export const crossEntropyBackwardOp = defineOp('crossEntropyBackward', { dtypes: floats, rows: 'aligned' });

/** The gradient by the logits over ops: each row is softmax · Σ targets − targets, for the weighted and smoothed targets. */
export function composedGradient(
  g: AnyTensor,
  logits: AnyTensor,
  { target, weight, attributes }: CrossEntropyContext,
): AnyTensor {
  const [ignoreIndex, smoothing] = attributes;
  const { dtype } = g;
  const classes = logits.shape[1]!;
  const counted = target.notEqual(ignoreIndex);
  const safe = where(counted, target, 0);
  let targets: AnyTensor = oneHot(safe, classes, { dtype }).mul(1 - smoothing);
  if (weight === undefined) targets = targets.add(smoothing / classes);
  else targets = targets.add(smoothing / classes).mul(weight);
  return logits
    .cast(dtype)
    .softmax(1)
    .mul(targets.sum(1, { keepDims: true }))
    .sub(targets)
    .mul(where(counted, g, 0).unsqueeze(1))
    .cast(logits.dtype);
}

export interface CrossEntropyOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Of each class, [classes]. The mean is then weighted too. */
  readonly weight?: AnyTensor;
  /** A target that contributes nothing; -100 unless given. */
  readonly ignoreIndex?: number;
  /** The share of the target spread evenly over all classes; 0 unless given. */
  readonly labelSmoothing?: number;
}

/**
 * The negative log-likelihood of targets under softmax(logits): −log softmax(x)[t], for logits [n, classes] and integer targets [n] (or logits
 * [classes] and a scalar; or logits [n, classes, d…] and targets [n, d…]; or target probabilities in the shape of the logits).
 *
 * @throws ShapeError, DTypeError; ArgumentError for an ignoreIndex beside probabilities; IndexError at the next read when a target is no class.
 * @example
 * crossEntropy(tensor([[2, 1, 0]]), tensor([0], { dtype: 'int32' })); // 0.4076
 */
export function crossEntropy<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  logits: Tensor<S, D>,
  target: Tensor<T, DType> & Ok<CrossEntropyCheck<S, T>>,
  options?: CrossEntropyOptions<R>,
): Tensor<Loss<Targets<S>, R>, D>;
export function crossEntropy(logits: AnyTensor, target: AnyTensor, options: CrossEntropyOptions = {}): AnyTensor {
  checkOptions('crossEntropy', options);
  const op = 'crossEntropy';
  checkTensor(op, logits, 'logits');
  checkTensor(op, target, 'target');
  checkDType(op, logits.dtype, floats);
  if (logits.rank === 0)
    throw new ShapeError(`${op}: logits: got a scalar, expected [classes], [n, classes] or [n, classes, …]`);
  const classAxis = logits.rank === 1 ? 0 : 1;
  const classes = logits.shape[classAxis]!;
  checkClasses(op, classes, options);
  if (isFloat(target.dtype) && (options.ignoreIndex ?? -1) >= 0) {
    throw new ArgumentError(
      `${op}: ignoreIndex: got ${options.ignoreIndex}, expected none for probabilities as target`,
    );
  }
  if (isFloat(target.dtype)) return softCrossEntropy(operand(crossEntropyOp, logits), target, classAxis, options);
  checkTarget(op, logits, 'logits', target);
  checkIndex(op, target, 'target');
  const rows = logits.rank === 2 ? logits : movedToLast(logits, classAxis).reshape([target.size, classes]);
  const context = rowContext(target, logits.dtype, options);
  const output = { shape: [target.size], dtype: lossDType(logits.dtype) } as const;
  const inputs = [rows, context.target, context.weight];
  const loss = runMany(crossEntropyOp, inputs, [output, output], context.attributes, context)[0]!;
  return reduceRows(op, loss, context, target.shape, logits.dtype, options);
}

/** The dtype of the losses of rows. */
export const lossDType = (dtype: DType): DType => (dtype === 'float64' ? 'float64' : 'float32');

/** Throws unless options that concern classes are right. */
export function checkClasses(op: string, classes: number, { weight, labelSmoothing = 0 }: CrossEntropyOptions): void {
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new ArgumentError(`${op}: labelSmoothing: got ${labelSmoothing}, expected a number from 0 to 1`);
  }
  if (weight === undefined) return;
  checkTensor(op, weight, 'weight');
  if (!sameShape(weight.shape, [classes])) {
    throw new ShapeError(`${op}: weight does not fit: got shape ${show(weight.shape)}, expected [${classes}]`);
  }
}

/** What the loss of rows of logits in `dtype` is computed from beside them. */
export function rowContext(
  target: AnyTensor,
  dtype: DType,
  { weight, ignoreIndex = -100, labelSmoothing = 0 }: CrossEntropyOptions,
): CrossEntropyContext {
  return {
    target: target.reshape([target.size]),
    weight: weight?.cast(lossDType(dtype)),
    attributes: [ignoreIndex, labelSmoothing],
  };
}

/** The losses of rows as they are asked for, where the targets have `shape` and the logits `dtype`. */
export function reduceRows(
  op: string,
  loss: AnyTensor,
  { target, weight, attributes }: CrossEntropyContext,
  shape: Shape,
  dtype: DType,
  { reduction = 'mean' }: CrossEntropyOptions,
): AnyTensor {
  const resultDType = operandDType(crossEntropyOp, dtype);
  if (reduction !== 'mean') {
    const result = reduceLoss(op, loss, reduction);
    return (reduction === 'none' ? result.reshape(shape) : result).cast(resultDType);
  }
  // The mean is over the rows that count, by their weights.
  const counted = target.notEqual(attributes[0]).cast(loss.dtype);
  const total =
    weight === undefined
      ? counted.sum()
      : counted.mul(weight.gather(0, target.clamp(0, weight.size - 1) as never)).sum();
  return loss.sum().div(total).cast(resultDType);
}

/** Throws unless `target` has the shape of `input` [classes], [n, classes] or [n, classes, …] without the classes. */
export function checkTarget(op: string, input: AnyTensor, name: string, target: AnyTensor): void {
  const expected = input.shape.toSpliced(input.rank === 1 ? 0 : 1, 1);
  if (sameShape(target.shape, expected)) return;
  const places = input.rank > 2 ? `: the classes are axis 1 of the ${name}` : '';
  throw new ShapeError(
    `${op}: target does not fit: got shape ${show(target.shape)} for ${name} ${show(input.shape)}, expected ${show(expected)}${places}`,
    { [name]: input.shape, target: target.shape },
  );
}

/** x with `axis` as its last axis, the others in order. */
const movedToLast = (x: AnyTensor, axis: number): AnyTensor =>
  x.permute([...x.shape.keys()].filter((other) => other !== axis).concat(axis));

function softCrossEntropy(
  logits: AnyTensor,
  target: AnyTensor,
  classAxis: number,
  { weight, labelSmoothing = 0, reduction = 'mean' }: CrossEntropyOptions,
): AnyTensor {
  if (!sameShape(target.shape, logits.shape)) {
    throw new ShapeError(
      `crossEntropy: target does not fit: got ${target.dtype} ${show(target.shape)}, expected probabilities ${show(logits.shape)} as the logits, or classes of int32 or int64`,
    );
  }
  const classes = logits.shape[classAxis]!;
  const smooth = labelSmoothing === 0 ? target : target.mul(1 - labelSmoothing).add(labelSmoothing / classes);
  let terms: AnyTensor = smooth.mul(logits.logSoftmax(classAxis));
  if (weight !== undefined) {
    terms = terms.mul(weight.reshape(logits.shape.map((_, axis) => (axis === classAxis ? classes : 1))));
  }
  return reduceLoss('crossEntropy', terms.sum(classAxis).neg(), reduction);
}

/** Throws unless both tensors have one shape and a floating dtype. Answers both; mixed precision leaves losses in float32. */
export function checkPrediction(op: string, input: AnyTensor, target: AnyTensor): [AnyTensor, AnyTensor] {
  checkTensor(op, input);
  checkTensor(op, target, 'target');
  checkDType(op, input.dtype, floats);
  if (!sameShape(input.shape, target.shape)) {
    throw new ShapeError(
      `${op}: shapes differ: got input ${show(input.shape)} and target ${show(target.shape)}, expected one shape`,
    );
  }
  if (!isFloat(target.dtype))
    throw new DTypeError(`${op}: target: got dtype ${target.dtype}, expected a floating dtype`);
  return [operand(fullPrecision, input), operand(fullPrecision, target)];
}

/** A target seen in the shape of the input, which it broadcasts to. */
export function broadcastTarget(op: string, input: AnyTensor, target: AnyTensor, name = 'target'): AnyTensor {
  checkTensor(op, input);
  checkTensor(op, target, name);
  if (sameShape(broadcastShapes(op, input.shape, target.shape), input.shape)) return target.expand(input.shape);
  throw new ShapeError(
    `${op}: ${name} does not fit: got shape ${show(target.shape)}, expected one that broadcasts to ${show(input.shape)}`,
  );
}

/**
 * The squared error (input − target)².
 *
 * @example
 * mseLoss(tensor([1, 2]), tensor([1, 4])); // 2
 */
export function mseLoss<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'mseLoss'>>,
  options?: LossOptions<R>,
): Tensor<Loss<S, R>, D>;
export function mseLoss(input: AnyTensor, target: AnyTensor, options: LossOptions = {}): AnyTensor {
  checkOptions('mseLoss', options);
  [input, target] = checkPrediction('mseLoss', input, target);
  return reduceLoss('mseLoss', input.sub(target).square(), options.reduction);
}

// Two terms of one sign: neither loses digits to the other, whatever the sign and size of the logits.
const bceWithLogitsOp = defineOp('bceWithLogits', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const [x, target] = [node.input(0), node.input(1)];
    return [
      node.needs(0) ? run(bceWithLogitsBackwardOp, [g, x, target], g.shape, g.dtype) : undefined,
      node.needs(1) ? g.mul(x).neg() : undefined,
    ];
  },
});
// g·((1 − t)·σ(x) − t·σ(−x))
const bceWithLogitsBackwardOp: NativeOp = defineOp<unknown>('bceWithLogitsBackward', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const [g, x, target] = [0, 1, 2].map((i) => node.input(i)) as [AnyTensor, AnyTensor, AnyTensor];
    const slope = (): AnyTensor => x.sigmoid().mul(x.neg().sigmoid());
    return [
      node.needs(0) ? run(bceWithLogitsBackwardOp, [gg, x, target], gg.shape, gg.dtype) : undefined,
      node.needs(1) ? gg.mul(g).mul(slope()) : undefined,
      node.needs(2) ? gg.mul(g).neg() : undefined,
    ];
  },
});

export interface BceWithLogitsOptions<R extends Reduction = Reduction> extends LossOptions<R> {
  /** Of each element; broadcasts to the input. */
  readonly weight?: AnyTensor;
  /** Of the positive class; broadcasts to the input. */
  readonly posWeight?: AnyTensor;
}

/**
 * Binary cross entropy of sigmoid(x) and targets t in [0, 1], without overflow: −t·log σ(x) − (1 − t)·log σ(−x).
 *
 * @example
 * bceWithLogits(tensor([0]), tensor([1])); // 0.6931
 */
export function bceWithLogits<S extends Shape, D extends DType, T extends Shape, const R extends Reduction = 'mean'>(
  input: Tensor<S, D>,
  target: Tensor<T, D> & Ok<SameCheck<S, T, 'bceWithLogits'>>,
  options?: BceWithLogitsOptions<R>,
): Tensor<Loss<S, R>, D>;
export function bceWithLogits(input: AnyTensor, target: AnyTensor, options: BceWithLogitsOptions = {}): AnyTensor {
  checkOptions('bceWithLogits', options);
  [input, target] = checkPrediction('bceWithLogits', input, target);
  const { posWeight, weight } = options;
  let loss: AnyTensor;
  if (posWeight === undefined) {
    const dtype = promote(input.dtype, target.dtype);
    loss = run(bceWithLogitsOp, [input.cast(dtype), target.cast(dtype)], input.shape, dtype);
  } else {
    const positive = input.logSigmoid().mul(target.mul(posWeight));
    const negative = input.neg().logSigmoid().mul(target.neg().add(1));
    loss = positive.add(negative).neg();
  }
  if (weight !== undefined) loss = loss.mul(weight);
  return reduceLoss('bceWithLogits', loss, options.reduction);
}
