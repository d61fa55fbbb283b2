/** Pointwise ops composed of others: logarithms of sums, products with logarithms, signs, steps. */
import { ArgumentError } from '../errors';
import { getDefaultDevice } from '../runtime/device';
import { shown } from '../tensor/describe';
import { isFloat, toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { backward, logitBackwardOp, type Attributed } from './activation-slopes';
import { full } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, installMethods, numbers, run } from './define';
import { sub } from './pointwise-binary';
import { equalTo, where } from './pointwise-compare';
import {
  checkHeld,
  common,
  floating,
  floatingBinary,
  nary,
  type Arithmetic,
  type ArithmeticWith,
  type Fits,
  type FitsIn,
  type Quotient,
  type QuotientWith,
} from './pointwise-run';
import { wide } from './wide';

/** Two operands as tensors of one dtype, their common one or the float that takes its place; each keeps its shape. */
function operands(op: string, a: Operand, b: Operand, convert: (dtype: DType) => DType): [AnyTensor, AnyTensor] {
  const { dtype: promoted } = common(op, [a, b]);
  const dtype = convert(promoted);
  checkDType(op, dtype, numbers);
  checkHeld(op, dtype, a, b);
  const device = [a, b].find((operand) => typeof operand !== 'number')?.device ?? getDefaultDevice();
  const tensorOf = (x: Operand): AnyTensor =>
    typeof x === 'number' ? full([], x, { dtype, device }) : (x.cast(dtype) as AnyTensor);
  return [tensorOf(a), tensorOf(b)];
}
const kept = (dtype: DType): DType => dtype;

const logAddExpOp = defineOp<readonly number[]>('logAddExp', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const [a, b] = [node.operand(0)!, node.operand(1)!];
    const share = (own: Operand, other: Operand): AnyTensor =>
      run(logAddExpBackwardOp, [g, own, other], g.shape, g.dtype, node.context);
    return [
      node.needs(0) ? share(a, b).sumTo(node.shape(0)) : undefined,
      node.needs(1) ? share(b, a).sumTo(node.shape(1)) : undefined,
    ];
  },
});
/** `(g, a, b) → g · sigmoid(unit (a - b))`, half of g for equal ones. */
const logAddExpBackwardOp: Attributed = defineOp<readonly number[]>('logAddExpBackward', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const [a, b] = [node.operand(1)!, node.operand(2)!];
    const { context } = node;
    const slope = (): AnyTensor => {
      const distance = where(equalTo(a, b), 0, sub(a, b)).mul(context[0]!) as AnyTensor;
      const second = distance.sigmoid().mul(distance.neg().sigmoid()).mul(context[0]!);
      return gg.mul(node.operand(0)!).mul(second) as AnyTensor;
    };
    return [
      node.needs(0)
        ? run(logAddExpBackwardOp, [gg, a, b], gg.shape, gg.dtype, context).sumTo(node.shape(0))
        : undefined,
      node.needs(1) ? slope().sumTo(node.shape(1)) : undefined,
      node.needs(2) ? slope().neg().sumTo(node.shape(2)) : undefined,
    ];
  },
});

/**
 * `ln(eᵃ + eᵇ)`, without overflow. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * logAddExp(tensor([0, 1000]), tensor([0, 1000])); // [0.6931, 1000.6931]
 */
export function logAddExp<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'logAddExp'>): Quotient<A, B>;
export function logAddExp(a: Operand, b: Operand): AnyTensor {
  return nary(logAddExpOp, [a, b], true, [1]);
}

/**
 * `log₂(2ᵃ + 2ᵇ)`, without overflow. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * logAddExp2(tensor([0, 1000]), tensor([0, 1000])); // [1, 1001]
 */
export function logAddExp2<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'logAddExp2'>): Quotient<A, B>;
export function logAddExp2(a: Operand, b: Operand): AnyTensor {
  return nary(logAddExpOp, [a, b], true, [Math.LN2]);
}

/**
 * `a · ln b`, and 0 for a = 0 unless b is NaN. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * xlogy(tensor([0, 2]), tensor([0, Math.E])); // [0, 2]
 */
export function xlogy<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'xlogy'>): Quotient<A, B>;
export function xlogy(a: Operand, b: Operand): AnyTensor {
  const [p, q] = operands('xlogy', a, b, toFloat);
  const [x, y] = [wide(p), wide(q)];
  // For b > 0 the product is 0 by itself, and its slope in a is ln b.
  const vanishes = x.equalTo(0).logicalAnd(y.lessEqual(0).logicalOr(y.equalTo(Infinity)));
  const inside = where(vanishes, 1, y) as AnyTensor;
  return where(vanishes, 0, x.mul(inside.log())).cast(p.dtype) as AnyTensor;
}

/**
 * `a · ln(1 + b)`, and 0 for a = 0 unless b is NaN; exact for small b. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * xlog1py(tensor([0, 2]), tensor([-1, 1e-9])); // [0, 2e-9]
 */
export function xlog1py<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'xlog1py'>): Quotient<A, B>;
export function xlog1py(a: Operand, b: Operand): AnyTensor {
  const [p, q] = operands('xlog1py', a, b, toFloat);
  const [x, y] = [wide(p), wide(q)];
  const vanishes = x.equalTo(0).logicalAnd(y.lessEqual(-1).logicalOr(y.equalTo(Infinity)));
  const inside = where(vanishes, 0, y) as AnyTensor;
  return where(vanishes, 0, x.mul(inside.log1p())).cast(p.dtype) as AnyTensor;
}

/**
 * What each probability adds to an entropy: `−x · ln x`, 0 at 0, and −∞ below. Integers and bool become float32. At 0 the gradient is taken to be 0.
 *
 * @example
 * entr(tensor([0, 0.5, 1])); // [0, 0.3466, 0]
 */
export function entr<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>>;
export function entr(x: AnyTensor): AnyTensor {
  checkTensor('entr', x);
  const share = x.cast(toFloat(x.dtype)) as AnyTensor;
  return where(share.less(0), -Infinity, xlogy(share, share).neg()) as AnyTensor;
}

/**
 * Whether the sign of an element is negative, that of −0 too.
 *
 * @example
 * signBit(tensor([-1, 0, -0])); // [1, 0, 1]
 */
export function signBit<S extends Shape>(x: Tensor<S, DType>): Tensor<S, 'bool'>;
export function signBit(x: AnyTensor): AnyTensor {
  checkTensor('signBit', x);
  const negative = x.less(0) as AnyTensor;
  return isFloat(x.dtype)
    ? (negative.logicalOr(x.equalTo(0).logicalAnd(x.reciprocal().less(0))) as AnyTensor)
    : negative;
}

const copySignOp = defineOp('copySign', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => [g.mul(node.input(0).sign().mul(node.output().sign())).sumTo(node.shape(0)), undefined],
});

/**
 * The magnitude of a with the sign of b, which counts for −0 too. Integers and bool become float32. The sign of b has no gradient.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * copySign(tensor([1, -2]), tensor([-3, 4])); // [-1, 2]
 */
export function copySign<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'copySign'>): Quotient<A, B>;
export function copySign(a: Operand, b: Operand): AnyTensor {
  if (typeof b === 'number') return floatingBinary(copySignOp, a, b);
  checkTensor('copySign', b, 'second operand');
  return floatingBinary(copySignOp, a, b.detach());
}

/**
 * The step function: 0 for x < 0, 1 for x > 0, and `values` at 0, in the common dtype.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * heaviside(tensor([-2, 0, 3]), 0.5); // [0, 0.5, 1]
 */
export function heaviside<A extends Operand, B extends Operand>(
  x: A,
  values: B & Fits<A, B, 'heaviside'>,
): Arithmetic<A, B>;
export function heaviside(x: Operand, values: Operand): AnyTensor {
  const [at, middle] = operands('heaviside', x, values, kept);
  return where(at.equalTo(0), middle, at.greater(0).cast(middle.dtype)) as AnyTensor;
}

/**
 * The larger of a and b in the common dtype; where one is NaN, the other. Of equal ones a gets the gradient.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * fmax(tensor([1, NaN]), 0); // [1, 0]
 */
export function fmax<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'fmax'>): Arithmetic<A, B>;
export function fmax(a: Operand, b: Operand): AnyTensor {
  const [x, y] = operands('fmax', a, b, kept);
  return where(x.greaterEqual(y).logicalOr(y.notEqual(y)), x, y) as AnyTensor;
}

/**
 * The smaller of a and b in the common dtype; where one is NaN, the other. Of equal ones a gets the gradient.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * fmin(tensor([-1, NaN]), 0); // [-1, 0]
 */
export function fmin<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'fmin'>): Arithmetic<A, B>;
export function fmin(a: Operand, b: Operand): AnyTensor {
  const [x, y] = operands('fmin', a, b, kept);
  return where(x.lessEqual(y).logicalOr(y.notEqual(y)), x, y) as AnyTensor;
}
/**
 * `sin(πx) / πx`, and 1 at 0. Integers and bool become float32.
 *
 * @example
 * sinc(tensor([0, 0.5])); // [1, 0.6366]
 */
export function sinc<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>>;
export function sinc(x: AnyTensor): AnyTensor {
  checkTensor('sinc', x);
  const dtype = toFloat(x.dtype);
  const angle = wide(x.cast(dtype) as AnyTensor).mul(Math.PI) as AnyTensor;
  const isZero = angle.equalTo(0);
  const safe = where(isZero, 1, angle) as AnyTensor;
  return where(isZero, 1, safe.sin().div(safe)).cast(dtype) as AnyTensor;
}

const logitOp = defineOp<readonly number[]>('logit', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [backward(logitBackwardOp, g, node.input(0), node.context)],
});

export interface LogitOptions {
  /** Moves x into [ε, 1 − ε] first; 0 unless given. */
  readonly epsilon?: number;
}

/**
 * `ln(x / (1 − x))`, the inverse of the sigmoid: ±∞ at 1 and 0, NaN outside. Integers and bool become float32.
 *
 * @throws ArgumentError when epsilon is not in [0, 0.5].
 * @example
 * logit(tensor([0.5, 0.9])); // [0, 2.1972]
 */
export function logit<S extends Shape, D extends DType>(x: Tensor<S, D>, options?: LogitOptions): Tensor<S, ToFloat<D>>;
export function logit(x: AnyTensor, options: LogitOptions = {}): AnyTensor {
  checkOptions('logit', options);
  checkTensor('logit', x);
  const { epsilon = 0 } = options;
  if (typeof epsilon !== 'number' || !(epsilon >= 0 && epsilon <= 0.5)) {
    throw new ArgumentError(`logit: epsilon: got ${shown(epsilon)}, expected a number in [0, 0.5]`);
  }
  return floating(logitOp, x, [epsilon]);
}

// What leaves the integers has type parameters of its own: with S and D the compiler could not prove that Tensor is covariant.
declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    logAddExp<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'logAddExp'>,
    ): QuotientWith<A, E, O>;
    xlogy<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'xlogy'>,
    ): QuotientWith<A, E, O>;
    logAddExp2<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'logAddExp2'>,
    ): QuotientWith<A, E, O>;
    xlog1py<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'xlog1py'>,
    ): QuotientWith<A, E, O>;
    copySign<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'copySign'>,
    ): QuotientWith<A, E, O>;
    heaviside<O extends Operand>(values: O & FitsIn<S, O, 'heaviside'>): ArithmeticWith<S, D, O>;
    fmax<O extends Operand>(other: O & FitsIn<S, O, 'fmax'>): ArithmeticWith<S, D, O>;
    fmin<O extends Operand>(other: O & FitsIn<S, O, 'fmin'>): ArithmeticWith<S, D, O>;
    signBit(): Tensor<S, 'bool'>;
    entr(): Tensor<S, ToFloat<D>>;
    sinc(): Tensor<S, ToFloat<D>>;
    logit(options?: LogitOptions): Tensor<S, ToFloat<D>>;
  }
}
installMethods({ logAddExp, logAddExp2, xlogy, xlog1py, entr, copySign, heaviside, fmax, fmin, signBit, sinc, logit });
