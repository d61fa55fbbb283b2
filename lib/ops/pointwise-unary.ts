/** Pointwise mathematics of one operand: powers, exponentials, trigonometry, special functions, rounding, and questions about values. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import { isFloat, toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { zerosLike } from './creation';
import {
  allDTypes,
  checkDType,
  checkOptions,
  checkTensor,
  defineOp,
  floats,
  installMethods,
  integersAndBool,
  numbers,
} from './define';
import { addcmul } from './pointwise-binary';
import { floating, ofInput, ofOutput, predicate, unary } from './pointwise-run';
import { wide } from './wide';

const ln2 = Math.LN2;
const ln10 = Math.LN10;
const twoOverRootPi = 2 / Math.sqrt(Math.PI);

/** The gradient of a step function. */
const flat = (g: AnyTensor): AnyTensor[] => [zerosLike(g)];

const absOp = defineOp('abs', {
  dtypes: numbers,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [g.mul(node.input(0).sign())],
});

/**
 * The absolute value `|x|`. All dtypes but bool.
 *
 * @throws DTypeError for bool.
 * @example
 * abs(tensor([-2, 0, 3])); // [2, 0, 3]
 */
export function abs<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(absOp, x);
}

const negOp = defineOp('neg', { dtypes: numbers, pointwise: true, gradient: (g) => [g.neg()] });

/**
 * The negative `-x`. All dtypes but bool; uint8 wraps around.
 *
 * @throws DTypeError for bool: use logicalNot.
 * @example
 * neg(tensor([1, -2])); // [-1, 2]
 */
export function neg<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(negOp, x);
}

const signOp = defineOp('sign', { dtypes: numbers, pointwise: true, gradient: flat });

/**
 * The sign: -1, 0 or 1; 0 for NaN. All dtypes but bool.
 *
 * @throws DTypeError for bool.
 * @example
 * sign(tensor([-3, 0, 5])); // [-1, 0, 1]
 */
export function sign<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(signOp, x);
}

const expOp = ofOutput('exp', (g, y) => g.mul(y), 'float32');

/**
 * The exponential `e^x`. Integers and bool become float32.
 *
 * @example
 * exp(tensor([0, 1])); // [1, 2.7183]
 */
export function exp<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(expOp, x);
}

const exp2Op = ofOutput('exp2', (g, y) => g.mul(y).mul(ln2));

/**
 * The power of two `2^x`. Integers and bool become float32.
 *
 * @example
 * exp2(tensor([0, 3, -1])); // [1, 8, 0.5]
 */
export function exp2<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(exp2Op, x);
}

const expm1Op = ofOutput('expm1', (g, y) => g.mul(y.add(1)), 'float32');

/**
 * `e^x - 1`, exact for small x too. Integers and bool become float32.
 *
 * @example
 * expm1(tensor([0, 1])); // [0, 1.7183]
 */
export function expm1<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(expm1Op, x);
}

const logOp = ofInput('log', (g, x) => g.div(x), 'float32');

/**
 * The natural logarithm `ln x`; -inf at 0, NaN below. Integers and bool become float32.
 *
 * @example
 * log(tensor([1, Math.E])); // [0, 1]
 */
export function log<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(logOp, x);
}

const log2Op = ofInput('log2', (g, x) => g.div(x.mul(ln2)), 'float32');

/**
 * The logarithm to base 2. Integers and bool become float32.
 *
 * @example
 * log2(tensor([1, 8, 0.5])); // [0, 3, -1]
 */
export function log2<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(log2Op, x);
}

const log10Op = ofInput('log10', (g, x) => g.div(x.mul(ln10)), 'float32');

/**
 * The logarithm to base 10. Integers and bool become float32.
 *
 * @example
 * log10(tensor([1, 1000])); // [0, 3]
 */
export function log10<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(log10Op, x);
}

const log1pOp = ofInput('log1p', (g, x) => g.div(x.add(1)), 'float32');

/**
 * `ln(1 + x)`, exact for small x too. Integers and bool become float32.
 *
 * @example
 * log1p(tensor([0, Math.E - 1])); // [0, 1]
 */
export function log1p<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(log1pOp, x);
}

const sqrtOp = ofOutput('sqrt', (g, y) => g.div(y.mul(2)));

/**
 * The square root; NaN below 0. Integers and bool become float32.
 *
 * @example
 * sqrt(tensor([4, 9])); // [2, 3]
 */
export function sqrt<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(sqrtOp, x);
}

const rsqrtOp = ofOutput('rsqrt', (g, y) => g.mul(y.mul(y.square())).mul(-0.5), 'float32');

/**
 * The reciprocal of the square root `1 / √x`. Integers and bool become float32.
 *
 * @example
 * rsqrt(tensor([4, 16])); // [0.5, 0.25]
 */
export function rsqrt<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(rsqrtOp, x);
}

const squareOp = defineOp('square', {
  dtypes: numbers,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [addcmul(0, g, node.input(0), { value: 2 })],
});

/**
 * The square `x²`. All dtypes but bool.
 *
 * @throws DTypeError for bool.
 * @example
 * square(tensor([3, -2])); // [9, 4]
 */
export function square<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(squareOp, x);
}

const reciprocalOp = ofOutput('reciprocal', (g, y) => g.mul(y.square()).neg(), 'float32');

/**
 * `1 / x`. Integers and bool become float32.
 *
 * @example
 * reciprocal(tensor([2, -4])); // [0.5, -0.25]
 */
export function reciprocal<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(reciprocalOp, x);
}

const sinOp = ofInput('sin', (g, x) => g.mul(x.cos()));

/**
 * The sine of x in radians. Integers and bool become float32.
 *
 * @example
 * sin(tensor([0, Math.PI / 2])); // [0, 1]
 */
export function sin<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(sinOp, x);
}

const cosOp = ofInput('cos', (g, x) => g.mul(x.sin()).neg());

/**
 * The cosine of x in radians. Integers and bool become float32.
 *
 * @example
 * cos(tensor([0, Math.PI])); // [1, -1]
 */
export function cos<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(cosOp, x);
}

const tanOp = ofOutput('tan', (g, y) => g.mul(y.square().add(1)), 'float32');

/**
 * The tangent of x in radians. Integers and bool become float32.
 *
 * @example
 * tan(tensor([0, Math.PI / 4])); // [0, 1]
 */
export function tan<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(tanOp, x);
}

const asinOp = ofInput('asin', (g, x) => g.mul(x.square().neg().add(1).rsqrt()), 'float32');

/**
 * The angle in [-π/2, π/2] whose sine is x; NaN outside [-1, 1]. Integers and bool become float32.
 *
 * @example
 * asin(tensor([0, 1])); // [0, 1.5708]
 */
export function asin<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(asinOp, x);
}

const acosOp = ofInput('acos', (g, x) => g.mul(x.square().neg().add(1).rsqrt()).neg(), 'float32');

/**
 * The angle in [0, π] whose cosine is x; NaN outside [-1, 1]. Integers and bool become float32.
 *
 * @example
 * acos(tensor([1, 0])); // [0, 1.5708]
 */
export function acos<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(acosOp, x);
}

const atanOp = ofInput('atan', (g, x) => g.div(x.square().add(1)));

/**
 * The angle in (-π/2, π/2) whose tangent is x. Integers and bool become float32.
 *
 * @example
 * atan(tensor([0, 1])); // [0, 0.7854]
 */
export function atan<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(atanOp, x);
}

const sinhOp = ofInput('sinh', (g, x) => g.mul(x.cosh()), 'float32');

/**
 * The hyperbolic sine `(e^x - e^-x) / 2`. Integers and bool become float32.
 *
 * @example
 * sinh(tensor([0, 1])); // [0, 1.1752]
 */
export function sinh<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(sinhOp, x);
}

const coshOp = ofInput('cosh', (g, x) => g.mul(x.sinh()), 'float32');

/**
 * The hyperbolic cosine `(e^x + e^-x) / 2`. Integers and bool become float32.
 *
 * @example
 * cosh(tensor([0, 1])); // [1, 1.5431]
 */
export function cosh<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(coshOp, x);
}

const asinhOp = ofInput('asinh', (g, x) => g.mul(x.square().add(1).rsqrt()));

/**
 * The inverse hyperbolic sine `ln(x + √(x² + 1))`. Integers and bool become float32.
 *
 * @example
 * asinh(tensor([0, 1])); // [0, 0.8814]
 */
export function asinh<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(asinhOp, x);
}

const acoshOp = ofInput('acosh', (g, x) => g.mul(x.square().sub(1).rsqrt()));

/**
 * The inverse hyperbolic cosine `ln(x + √(x² - 1))`; NaN below 1. Integers and bool become float32.
 *
 * @example
 * acosh(tensor([1, 2])); // [0, 1.317]
 */
export function acosh<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(acoshOp, x);
}

const atanhOp = ofInput('atanh', (g, x) => g.div(x.square().neg().add(1)));

/**
 * The inverse hyperbolic tangent `ln((1 + x) / (1 - x)) / 2`; NaN outside [-1, 1]. Integers and bool become float32.
 *
 * @example
 * atanh(tensor([0, 0.5])); // [0, 0.5493]
 */
export function atanh<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(atanhOp, x);
}

const erfOp = ofInput('erf', (g, x) => g.mul(x.square().neg().exp()).mul(twoOverRootPi));

/**
 * The error function `2/√π ∫₀ˣ e^(-t²) dt`. Integers and bool become float32.
 *
 * @example
 * erf(tensor([0, 1])); // [0, 0.8427]
 */
export function erf<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(erfOp, x);
}

const erfcOp = ofInput('erfc', (g, x) => g.mul(x.square().neg().exp()).mul(-twoOverRootPi));

/**
 * The complement `1 - erf(x)`, exact for large x too. Integers and bool become float32.
 *
 * @example
 * erfc(tensor([0, 1])); // [1, 0.1573]
 */
export function erfc<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(erfcOp, x);
}

/**
 * The distribution function of the standard normal distribution `Φ(x) = erfc(-x / √2) / 2`, exact in the lower tail too. Integers and bool become float32.
 *
 * @example
 * ndtr(tensor([-1, 0, 1])); // [0.1587, 0.5, 0.8413]
 */
export function ndtr<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>>;
export function ndtr(x: AnyTensor): AnyTensor {
  checkTensor('ndtr', x);
  const dtype = toFloat(x.dtype);
  return erfc(wide(x.cast(dtype)).mul(-Math.SQRT1_2))
    .mul(0.5)
    .cast(dtype) as AnyTensor;
}

const erfinvOp = ofOutput('erfinv', (g, y) => g.mul(y.square().exp()).mul(1 / twoOverRootPi), 'float32');

/**
 * The inverse of {@link erf}; ±inf at ±1, NaN outside. Integers and bool become float32.
 *
 * @example
 * erfinv(tensor([0, 0.5])); // [0, 0.4769]
 */
export function erfinv<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(erfinvOp, x);
}

const lgammaOp = ofInput('lgamma', (g, x) => g.mul(x.digamma()));

/**
 * The logarithm of the absolute value of the gamma function `ln |Γ(x)|`. Integers and bool become float32.
 *
 * @example
 * lgamma(tensor([1, 5])); // [0, 3.1781]
 */
export function lgamma<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(lgammaOp, x);
}

const digammaOp = ofInput('digamma', (g, x) => g.mul(x.polygamma(1)));

/**
 * The derivative of {@link lgamma}, `ψ(x) = Γ'(x) / Γ(x)`. Integers and bool become float32.
 *
 * @example
 * digamma(tensor([1, 2])); // [-0.5772, 0.4228]
 */
export function digamma<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(digammaOp, x);
}

const polygammaOp = defineOp('polygamma', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [g.mul(node.input(0).polygamma(node.context[0]! + 1))],
});

/**
 * The derivative of {@link digamma} of the given order, `ψ⁽ⁿ⁾(x)`. Integers and bool become float32.
 *
 * @throws ArgumentError unless the order is a non-negative integer.
 * @example
 * polygamma(tensor([1, 2]), 1); // [1.6449, 0.6449]
 */
export function polygamma<S extends Shape, D extends DType>(x: Tensor<S, D>, order: number): Tensor<S, ToFloat<D>> {
  if (!Number.isSafeInteger(order) || order < 0) {
    throw new ArgumentError(`polygamma: order: got ${shown(order)}, expected a non-negative integer`);
  }
  return order === 0 ? digamma(x) : floating(polygammaOp, x, [order]);
}

const floorOp = defineOp('floor', { dtypes: floats, pointwise: true, gradient: flat });
const ceilOp = defineOp('ceil', { dtypes: floats, pointwise: true, gradient: flat });
const roundOp = defineOp('round', { dtypes: floats, pointwise: true, gradient: flat });
const truncOp = defineOp('trunc', { dtypes: floats, pointwise: true, gradient: flat });

/** Integers are whole already. */
function rounded<S extends Shape, D extends DType>(op: typeof floorOp, x: Tensor<S, D>): Tensor<S, D> {
  checkTensor(op.name, x);
  return isFloat(x.dtype) ? unary(op, x) : x;
}

/**
 * The greatest whole number ≤ x. Integers stay as they are.
 *
 * @example
 * floor(tensor([1.7, -1.2])); // [1, -2]
 */
export function floor<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return rounded(floorOp, x);
}

/**
 * The least whole number ≥ x. Integers stay as they are.
 *
 * @example
 * ceil(tensor([1.2, -1.7])); // [2, -1]
 */
export function ceil<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return rounded(ceilOp, x);
}

export interface RoundOptions {
  /** To how many decimal places; negative ones are before the point: -2 rounds to hundreds. 0 unless given. */
  readonly decimals?: number;
}

/**
 * The nearest whole number, or the nearest with so many decimal places, as far as the dtype has it; halves go to the even one. Integers stay as they are.
 *
 * @throws ArgumentError for decimals that are no integer; DTypeError for negative ones of integers.
 * @example
 * round(tensor([0.5, 1.5, 2.6])); // [0, 2, 3]
 * round(tensor([1.234, -5.678]), { decimals: 1 }); // [1.2, -5.7]
 */
export function round<S extends Shape, D extends DType>(x: Tensor<S, D>, options?: RoundOptions): Tensor<S, D>;
export function round(x: AnyTensor, options?: RoundOptions): AnyTensor {
  checkOptions('round', options);
  const decimals = options?.decimals ?? 0;
  if (!Number.isSafeInteger(decimals)) {
    throw new ArgumentError(`round: decimals: got ${shown(decimals)}, expected an integer`);
  }
  checkTensor('round', x);
  if (decimals < 0) checkDType('round', x.dtype, floats);
  if (decimals === 0 || !isFloat(x.dtype)) return rounded(roundOp, x);
  const power = 10 ** Math.abs(decimals);
  const scaled = decimals > 0 ? wide(x).mul(power) : wide(x).div(power);
  const near = scaled.round() as AnyTensor;
  return (decimals > 0 ? near.div(power) : near.mul(power)).cast(x.dtype) as AnyTensor;
}

/**
 * x without its fraction. Integers stay as they are.
 *
 * @example
 * trunc(tensor([1.7, -1.7])); // [1, -1]
 */
export function trunc<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return rounded(truncOp, x);
}

const fracOp = defineOp('frac', { dtypes: numbers, pointwise: true, gradient: (g) => [g] });

/**
 * The fraction `x - trunc(x)`, with the sign of x.
 *
 * @example
 * frac(tensor([1.75, -1.25])); // [0.75, -0.25]
 */
export function frac<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(fracOp, x);
}

const isNaNOp = defineOp('isNaN', { dtypes: allDTypes, pointwise: true });
const isInfOp = defineOp('isInf', { dtypes: allDTypes, pointwise: true });
const isFiniteOp = defineOp('isFinite', { dtypes: allDTypes, pointwise: true });
const logicalNotOp = defineOp('logicalNot', { dtypes: allDTypes, pointwise: true });

/**
 * Whether each element is NaN. Bool.
 *
 * @example
 * isNaN(tensor([1, NaN])); // [0, 1]
 */
export function isNaN<S extends Shape>(x: Tensor<S, DType>): Tensor<S, 'bool'> {
  return predicate(isNaNOp, x);
}

/**
 * Whether each element is inf or -inf. Bool.
 *
 * @example
 * isInf(tensor([1, -Infinity, NaN])); // [0, 1, 0]
 */
export function isInf<S extends Shape>(x: Tensor<S, DType>): Tensor<S, 'bool'> {
  return predicate(isInfOp, x);
}

/**
 * Whether each element is neither infinite nor NaN. Bool.
 *
 * @example
 * isFinite(tensor([1, -Infinity, NaN])); // [1, 0, 0]
 */
export function isFinite<S extends Shape>(x: Tensor<S, DType>): Tensor<S, 'bool'> {
  return predicate(isFiniteOp, x);
}

/**
 * Whether each element is 0. Bool.
 *
 * @example
 * logicalNot(tensor([0, 2])); // [1, 0]
 */
export function logicalNot<S extends Shape>(x: Tensor<S, DType>): Tensor<S, 'bool'> {
  return predicate(logicalNotOp, x);
}

const bitwiseNotOp = defineOp('bitwiseNot', { dtypes: integersAndBool, pointwise: true });

/**
 * All bits inverted; for bool the logical not. Integers and bool only.
 *
 * @throws DTypeError for floats.
 * @example
 * bitwiseNot(tensor([0, 5], { dtype: 'int32' })); // [-1, -6]
 */
export function bitwiseNot<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(bitwiseNotOp, x);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    abs(): Tensor<S, D>;
    neg(): Tensor<S, D>;
    sign(): Tensor<S, D>;
    exp(): Tensor<S, ToFloat<D>>;
    exp2(): Tensor<S, ToFloat<D>>;
    expm1(): Tensor<S, ToFloat<D>>;
    log(): Tensor<S, ToFloat<D>>;
    log2(): Tensor<S, ToFloat<D>>;
    log10(): Tensor<S, ToFloat<D>>;
    log1p(): Tensor<S, ToFloat<D>>;
    sqrt(): Tensor<S, ToFloat<D>>;
    rsqrt(): Tensor<S, ToFloat<D>>;
    square(): Tensor<S, D>;
    reciprocal(): Tensor<S, ToFloat<D>>;
    sin(): Tensor<S, ToFloat<D>>;
    cos(): Tensor<S, ToFloat<D>>;
    tan(): Tensor<S, ToFloat<D>>;
    asin(): Tensor<S, ToFloat<D>>;
    acos(): Tensor<S, ToFloat<D>>;
    atan(): Tensor<S, ToFloat<D>>;
    sinh(): Tensor<S, ToFloat<D>>;
    cosh(): Tensor<S, ToFloat<D>>;
    asinh(): Tensor<S, ToFloat<D>>;
    acosh(): Tensor<S, ToFloat<D>>;
    atanh(): Tensor<S, ToFloat<D>>;
    erf(): Tensor<S, ToFloat<D>>;
    erfc(): Tensor<S, ToFloat<D>>;
    ndtr(): Tensor<S, ToFloat<D>>;
    erfinv(): Tensor<S, ToFloat<D>>;
    lgamma(): Tensor<S, ToFloat<D>>;
    digamma(): Tensor<S, ToFloat<D>>;
    polygamma(order: number): Tensor<S, ToFloat<D>>;
    floor(): Tensor<S, D>;
    ceil(): Tensor<S, D>;
    round(options?: RoundOptions): Tensor<S, D>;
    trunc(): Tensor<S, D>;
    frac(): Tensor<S, D>;
    isNaN(): Tensor<S, 'bool'>;
    isInf(): Tensor<S, 'bool'>;
    isFinite(): Tensor<S, 'bool'>;
    logicalNot(): Tensor<S, 'bool'>;
    bitwiseNot(): Tensor<S, D>;
  }
}
// prettier-ignore
installMethods({
  abs, neg, sign, exp, exp2, expm1, log, log2, log10, log1p, sqrt, rsqrt, square, reciprocal,
  sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh,
  erf, erfc, ndtr, erfinv, lgamma, digamma, polygamma, floor, ceil, round, trunc, frac,
  isNaN, isInf, isFinite, logicalNot, bitwiseNot,
});
