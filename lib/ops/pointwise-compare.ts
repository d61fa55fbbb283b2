/** Comparisons, logic, choice (`where`), and questions about whole tensors. */
import { ArgumentError, DTypeError } from '../errors';
import { getDefaultDevice, type Device } from '../runtime/device';
import { shown } from '../tensor/describe';
import type { DType, FloatDType } from '../tensor/dtype';
import { isFloat } from '../tensor/dtype';
import type { PromoteOperand, PromoteOperands } from '../tensor/operand-types';
import type { Broadcast, BroadcastCheck, Ok, Shape, ShapeOf } from '../tensor/shape-types';
import { broadcastShapes, sameShape } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { full } from './creation';
import { allDTypes, checkOptions, checkTensor, defineOp, floats, installMethods, run } from './define';
import {
  as,
  checkHeld,
  common,
  comparison,
  unary,
  type Comparison,
  type ComparisonWith,
  type Fits,
  type FitsIn,
} from './pointwise-run';

const equalToOp = defineOp('equalTo', { dtypes: allDTypes, pointwise: true });
const notEqualOp = defineOp('notEqual', { dtypes: allDTypes, pointwise: true });
const lessOp = defineOp('less', { dtypes: allDTypes, pointwise: true });
const lessEqualOp = defineOp('lessEqual', { dtypes: allDTypes, pointwise: true });
const greaterOp = defineOp('greater', { dtypes: allDTypes, pointwise: true });
const greaterEqualOp = defineOp('greaterEqual', { dtypes: allDTypes, pointwise: true });
const logicalAndOp = defineOp('logicalAnd', { dtypes: allDTypes, pointwise: true });
const logicalOrOp = defineOp('logicalOr', { dtypes: allDTypes, pointwise: true });
const logicalXorOp = defineOp('logicalXor', { dtypes: allDTypes, pointwise: true });

/**
 * Whether `a = b`, element by element, in the common dtype; NaN equals nothing. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * equalTo(tensor([1, 2]), 2); // [0, 1]
 */
export function equalTo<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'equalTo'>): Comparison<A, B> {
  return comparison(equalToOp, a, b);
}

/**
 * Whether `a ≠ b`, element by element, in the common dtype; NaN differs from everything. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * notEqual(tensor([1, 2]), 2); // [1, 0]
 */
export function notEqual<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'notEqual'>): Comparison<A, B> {
  return comparison(notEqualOp, a, b);
}

/**
 * Whether `a < b`, element by element, in the common dtype. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * less(tensor([1, 2, 3]), 2); // [1, 0, 0]
 */
export function less<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'less'>): Comparison<A, B> {
  return comparison(lessOp, a, b);
}

/**
 * Whether `a ≤ b`, element by element, in the common dtype. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * lessEqual(tensor([1, 2, 3]), 2); // [1, 1, 0]
 */
export function lessEqual<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'lessEqual'>,
): Comparison<A, B> {
  return comparison(lessEqualOp, a, b);
}

/**
 * Whether `a > b`, element by element, in the common dtype. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * greater(tensor([1, 2, 3]), 2); // [0, 0, 1]
 */
export function greater<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'greater'>): Comparison<A, B> {
  return comparison(greaterOp, a, b);
}

/**
 * Whether `a ≥ b`, element by element, in the common dtype. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * greaterEqual(tensor([1, 2, 3]), 2); // [0, 1, 1]
 */
export function greaterEqual<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'greaterEqual'>,
): Comparison<A, B> {
  return comparison(greaterEqualOp, a, b);
}

/**
 * Whether both are not 0. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * logicalAnd(tensor([0, 2]), tensor([1, 1])); // [0, 1]
 */
export function logicalAnd<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'logicalAnd'>,
): Comparison<A, B> {
  return comparison(logicalAndOp, a, b);
}

/**
 * Whether at least one is not 0. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * logicalOr(tensor([0, 2]), tensor([0, 0])); // [0, 1]
 */
export function logicalOr<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'logicalOr'>,
): Comparison<A, B> {
  return comparison(logicalOrOp, a, b);
}

/**
 * Whether exactly one is not 0. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * logicalXor(tensor([0, 2]), tensor([1, 1])); // [1, 0]
 */
export function logicalXor<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'logicalXor'>,
): Comparison<A, B> {
  return comparison(logicalXorOp, a, b);
}

const whereOp = defineOp('where', {
  dtypes: ['bool'],
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const condition = node.input(0);
    return [
      undefined,
      node.needs(1) ? where(condition, g, 0).sumTo(node.shape(1)) : undefined,
      node.needs(2) ? where(condition, 0, g).sumTo(node.shape(2)) : undefined,
    ];
  },
});

/** What {@link where} makes of a condition of shape C and two operands. */
export type Chosen<C extends Shape, A, B> = Tensor<
  Broadcast<C, Broadcast<ShapeOf<A>, ShapeOf<B>>>,
  PromoteOperands<A, B>
>;

/**
 * `a` where the condition holds, else `b`, in their common dtype (float32 for two numbers). All three broadcast; the gradient goes to the
 * chosen side.
 *
 * @throws DTypeError unless the condition is bool.
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * where(tensor([true, false]), tensor([1, 2]), 0); // [1, 0]
 */
export function where<C extends Shape, A extends Operand, B extends Operand>(
  condition: Tensor<C, DType>,
  a: A & Ok<BroadcastCheck<C, ShapeOf<A>, 'where'>>,
  b: B & Ok<BroadcastCheck<Broadcast<C, ShapeOf<A>>, ShapeOf<B>, 'where'>>,
): Chosen<C, A, B>;
export function where(condition: AnyTensor, a: Operand, b: Operand): AnyTensor {
  checkTensor('where', condition, 'condition');
  if (condition.dtype !== 'bool') throw new DTypeError(`where: condition: got ${condition.dtype}, expected bool`);
  if (typeof a === 'number' && typeof b === 'number') {
    return run(whereOp, [condition, a, b], condition.shape, 'float32');
  }
  const { dtype, shape } = common('where', [a, b]);
  checkHeld('where', dtype, a, b);
  return run(whereOp, [condition, as(a, dtype), as(b, dtype)], broadcastShapes('where', condition.shape, shape), dtype);
}

export interface NanToNumOptions {
  /** What NaN becomes; 0 unless given. */
  readonly nan?: number;
  /** What inf becomes; the greatest number of the dtype unless given. */
  readonly posInf?: number;
  /** What -inf becomes; the least number of the dtype unless given. */
  readonly negInf?: number;
}

const greatest: Record<FloatDType, number> = {
  float64: Number.MAX_VALUE,
  float32: (2 - 2 ** -23) * 2 ** 127,
  float16: 65504,
  bfloat16: (2 - 2 ** -7) * 2 ** 127,
};

const nanToNumOp = defineOp<readonly number[]>('nanToNum', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [where(node.input(0).isFinite(), g, 0)],
});

/**
 * x with numbers in place of NaN and the infinities. Integers and bool stay as they are.
 *
 * @example
 * nanToNum(tensor([NaN, Infinity, 1]), { posInf: 9 }); // [0, 9, 1]
 */
export function nanToNum<S extends Shape, D extends DType>(x: Tensor<S, D>, options?: NanToNumOptions): Tensor<S, D>;
export function nanToNum(x: AnyTensor, options: NanToNumOptions = {}): AnyTensor {
  checkOptions('nanToNum', options);
  checkTensor('nanToNum', x);
  if (!isFloat(x.dtype)) return x;
  const { nan = 0, posInf = greatest[x.dtype], negInf = -greatest[x.dtype] } = options;
  return unary(nanToNumOp, x, [nan, posInf, negInf]);
}

export interface CloseOptions {
  /** The relative tolerance, of b; 1e-5 unless given. */
  readonly rtol?: number;
  /** The absolute tolerance; 1e-8 unless given. */
  readonly atol?: number;
  /** Whether NaN is close to NaN. */
  readonly equalNaN?: boolean;
}

/**
 * Whether `|a - b| ≤ atol + rtol · |b|`, element by element; an infinity is close to itself. Bool.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * isClose(tensor([1, 2]), tensor([1.000001, 2.1])); // [1, 0]
 */
export function isClose<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'isClose'>,
  options?: CloseOptions,
): Comparison<A, B>;
export function isClose(a: Operand, b: Operand, options: CloseOptions = {}): AnyTensor {
  checkOptions('isClose', options);
  const { rtol = 1e-5, atol = 1e-8, equalNaN = false } = options;
  const isTolerance = (value: unknown): boolean => typeof value === 'number' && value >= 0;
  if (!isTolerance(rtol) || !isTolerance(atol)) {
    throw new ArgumentError(
      `isClose: tolerances: got rtol ${shown(rtol)} and atol ${shown(atol)}, expected numbers of at least 0`,
    );
  }
  const { dtype: promoted } = common('isClose', [a, b]);
  // Differences of integers may not fit their dtype.
  const dtype = isFloat(promoted) ? promoted : 'float64';
  const device = [a, b].find((operand) => typeof operand !== 'number')?.device ?? getDefaultDevice();
  const x = tensorOf(a, dtype, device);
  const y = tensorOf(b, dtype, device);
  const difference = x.sub(y).abs();
  const near = difference.isFinite().logicalAnd(difference.lessEqual(y.abs().mul(rtol).add(atol)));
  const close = near.logicalOr(x.equalTo(y));
  return equalNaN ? close.logicalOr(x.isNaN().logicalAnd(y.isNaN())) : close;
}

function tensorOf(operand: Operand, dtype: DType, device: Device): AnyTensor {
  return typeof operand === 'number' ? full([], operand, { dtype, device }) : operand.cast(dtype);
}

/**
 * Whether all elements are close; see {@link isClose}.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * await allClose(tensor([1, 2]), tensor([1.000001, 2])); // true
 */
export async function allClose(a: Operand, b: Operand, options?: CloseOptions): Promise<boolean> {
  checkOptions('allClose', options);
  return (await everywhereClose(a, b, options).item()) === 1;
}

/** The same as {@link allClose}, but blocks the thread. */
export function allCloseSync(a: Operand, b: Operand, options?: CloseOptions): boolean {
  checkOptions('allCloseSync', options);
  return everywhereClose(a, b, options).itemSync() === 1;
}

function everywhereClose(a: Operand, b: Operand, options?: CloseOptions): AnyTensor {
  return (isClose as (a: Operand, b: Operand, options?: CloseOptions) => AnyTensor)(a, b, options).all();
}

/**
 * Whether two tensors have the same shape, dtype and elements.
 *
 * @example
 * await equal(tensor([1, 2]), tensor([1, 2])); // true
 */
export async function equal(a: AnyTensor, b: AnyTensor): Promise<boolean> {
  return alike(a, b) && (await a.equalTo(b).all().item()) === 1;
}

/** The same as {@link equal}, but blocks the thread. */
export function equalSync(a: AnyTensor, b: AnyTensor): boolean {
  return alike(a, b) && a.equalTo(b).all().itemSync() === 1;
}

function alike(a: AnyTensor, b: AnyTensor): boolean {
  checkTensor('equal', a, 'first operand');
  checkTensor('equal', b, 'second operand');
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

// Read as `x.where(condition, other)`: x where the condition holds.
function choose(x: AnyTensor, condition: AnyTensor, other: Operand): AnyTensor {
  return where(condition, x, other);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    equalTo<O extends Operand>(other: O & FitsIn<S, O, 'equalTo'>): ComparisonWith<S, O>;
    notEqual<O extends Operand>(other: O & FitsIn<S, O, 'notEqual'>): ComparisonWith<S, O>;
    less<O extends Operand>(other: O & FitsIn<S, O, 'less'>): ComparisonWith<S, O>;
    lessEqual<O extends Operand>(other: O & FitsIn<S, O, 'lessEqual'>): ComparisonWith<S, O>;
    greater<O extends Operand>(other: O & FitsIn<S, O, 'greater'>): ComparisonWith<S, O>;
    greaterEqual<O extends Operand>(other: O & FitsIn<S, O, 'greaterEqual'>): ComparisonWith<S, O>;
    logicalAnd<O extends Operand>(other: O & FitsIn<S, O, 'logicalAnd'>): ComparisonWith<S, O>;
    logicalOr<O extends Operand>(other: O & FitsIn<S, O, 'logicalOr'>): ComparisonWith<S, O>;
    logicalXor<O extends Operand>(other: O & FitsIn<S, O, 'logicalXor'>): ComparisonWith<S, O>;
    /** This tensor where the condition holds, else `other`. */
    where<C extends Shape, O extends Operand>(
      condition: Tensor<C, DType> & Ok<BroadcastCheck<S, C, 'where'>>,
      other: O & FitsIn<S, O, 'where'>,
    ): Tensor<Broadcast<C, Broadcast<S, ShapeOf<O>>>, PromoteOperand<S, D, O>>;
    nanToNum(options?: NanToNumOptions): Tensor<S, D>;
    isClose<O extends Operand>(other: O & FitsIn<S, O, 'isClose'>, options?: CloseOptions): ComparisonWith<S, O>;
    allClose(other: Operand, options?: CloseOptions): Promise<boolean>;
    allCloseSync(other: Operand, options?: CloseOptions): boolean;
    equal(other: AnyTensor): Promise<boolean>;
    equalSync(other: AnyTensor): boolean;
  }
}
// prettier-ignore
installMethods({
  equalTo, notEqual, less, lessEqual, greater, greaterEqual, logicalAnd, logicalOr, logicalXor,
  where: choose, nanToNum, isClose, allClose, allCloseSync, equal, equalSync,
});
