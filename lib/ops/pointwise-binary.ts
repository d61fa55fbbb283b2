/** Pointwise arithmetic of two and three operands, and its in-place forms. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import { isFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { zerosLike } from './creation';
import {
  allDTypes,
  checkDType,
  checkOptions,
  defineOp,
  floats,
  installMethods,
  integers,
  integersAndBool,
  numbers,
} from './define';
import {
  as,
  binary,
  checkNumber,
  choice,
  common,
  fitted,
  floatingBinary,
  inPlace,
  nary,
  type Arithmetic,
  type ArithmeticWith,
  type Fits,
  type FitsIn,
  type Quotient,
  type QuotientWith,
} from './pointwise-run';
import { equalTo, less, where } from './pointwise-compare';
import { wide } from './wide';

// --------------------------------------------------------------------------------------------------------------- arithmetic

const addOp = defineOp('add', {
  dtypes: allDTypes,
  pointwise: true,
  gradient: (g, node) => [
    node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
    node.needs(1) ? g.sumTo(node.shape(1)) : undefined,
  ],
});

/**
 * The sum `a + b` in the common dtype; for bool the logical or.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * add(tensor([[1], [2]]), tensor([10, 20])); // [[11, 21], [12, 22]]
 */
export function add<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'add'>): Arithmetic<A, B> {
  return binary(addOp, a, b);
}

const subOp = defineOp('sub', {
  dtypes: numbers,
  pointwise: true,
  gradient: (g, node) => [
    node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
    node.needs(1) ? g.neg().sumTo(node.shape(1)) : undefined,
  ],
});

/**
 * The difference `a - b` in the common dtype.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for bool: use logicalXor.
 * @example
 * sub(tensor([5, 7]), 2); // [3, 5]
 */
export function sub<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'sub'>): Arithmetic<A, B> {
  return binary(subOp, a, b);
}

const mulOp = defineOp('mul', {
  dtypes: allDTypes,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [
    node.needs(0) ? g.mul(node.operand(1)!).sumTo(node.shape(0)) : undefined,
    node.needs(1) ? g.mul(node.operand(0)!).sumTo(node.shape(1)) : undefined,
  ],
});

/**
 * The product `a · b` in the common dtype; for bool the logical and.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * mul(tensor([1, 2]), tensor([3, 4])); // [3, 8]
 */
export function mul<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'mul'>): Arithmetic<A, B> {
  return binary(mulOp, a, b);
}

const divOp = defineOp('div', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const b = node.operand(1)!;
    return [
      node.needs(0) ? g.div(b).sumTo(node.shape(0)) : undefined,
      // a/b first: g/b may overflow where it does not.
      node.needs(1)
        ? g
            .mul((div(node.operand(0)!, b) as AnyTensor).div(b))
            .neg()
            .sumTo(node.shape(1))
        : undefined,
    ];
  },
});

export interface DivOptions {
  /** Towards zero, or down as `floorDivide`. */
  readonly rounding: 'trunc' | 'floor';
}

/**
 * The quotient `a / b`. Integers and bool become float32; a division by 0 gives ±inf or NaN. Rounded quotients are in the common dtype, those of
 * integers exact.
 *
 * @throws ShapeError when the shapes do not broadcast; ArgumentError for another rounding; DTypeError for rounded quotients of bool.
 * @example
 * div(tensor([1, 2], { dtype: 'int32' }), 4); // [0.25, 0.5]
 * div(tensor([7, -7]), 2, { rounding: 'trunc' }); // [3, -3]
 */
export function div<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'div'>): Quotient<A, B>;
export function div<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'div'>,
  options: DivOptions,
): Arithmetic<A, B>;
export function div(a: Operand, b: Operand, options?: Partial<DivOptions>): AnyTensor {
  checkOptions('div', options);
  const rounding = options?.rounding;
  if (rounding === undefined) return floatingBinary(divOp, a, b);
  if (rounding === 'floor') return floorDivide(a, b) as AnyTensor;
  if (rounding !== 'trunc') throw new ArgumentError(`div: rounding: got ${shown(rounding)}, expected trunc or floor`);
  const { dtype } = common('div', [a, b]);
  if (!isFloat(dtype)) return floorDivide(sub(a, fmod(a, b)), b) as AnyTensor;
  // The quotient of 16-bit floats may round up to a whole number.
  const [x, y] = [a, b].map((each) => (typeof each === 'number' ? each : wide(each))) as [Operand, Operand];
  return (div(x, y) as AnyTensor).trunc().cast(dtype) as AnyTensor;
}

const floorDivideOp = defineOp('floorDivide', { dtypes: numbers, pointwise: true });

/**
 * The quotient rounded down, `⌊a / b⌋`, in the common dtype. Has no gradient.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for bool.
 * @example
 * floorDivide(tensor([7, -7]), 2); // [3, -4]
 */
export function floorDivide<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'floorDivide'>,
): Arithmetic<A, B> {
  return binary(floorDivideOp, a, b);
}

const remainderOp = defineOp('remainder', {
  dtypes: numbers,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [
    node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
    node.needs(1)
      ? g
          .mul(floorDivide(node.operand(0)!, node.operand(1)!) as AnyTensor)
          .neg()
          .sumTo(node.shape(1))
      : undefined,
  ],
});

/**
 * The remainder `a - b · ⌊a / b⌋`, with the sign of b, in the common dtype.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for bool.
 * @example
 * remainder(tensor([7, -7]), 3); // [1, 2]
 */
export function remainder<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'remainder'>,
): Arithmetic<A, B> {
  return binary(remainderOp, a, b);
}

const fmodOp = defineOp('fmod', {
  dtypes: numbers,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => [
    node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
    node.needs(1)
      ? g
          .mul((div(node.operand(0)!, node.operand(1)!) as AnyTensor).trunc())
          .neg()
          .sumTo(node.shape(1))
      : undefined,
  ],
});

/**
 * The remainder `a - b · trunc(a / b)`, with the sign of a, in the common dtype.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for bool.
 * @example
 * fmod(tensor([7, -7]), 3); // [1, -1]
 */
export function fmod<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'fmod'>): Arithmetic<A, B> {
  return binary(fmodOp, a, b);
}

const powOp = defineOp('pow', {
  dtypes: numbers,
  autocast: 'float32',
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const base = node.operand(0)!;
    const exponent = node.operand(1)!;
    return [
      node.needs(0) ? powBase(g, base as AnyTensor, exponent).sumTo(node.shape(0)) : undefined,
      node.needs(1) ? powExponent(g, base, exponent as AnyTensor).sumTo(node.shape(1)) : undefined,
    ];
  },
});

/** `g · b · a^(b - 1)`, and 0 for b = 0 whatever a is. */
function powBase(g: AnyTensor, a: AnyTensor, b: Operand): AnyTensor {
  if (typeof b !== 'number') return where(b.equalTo(0), 0, a.pow(b.sub(1)).mul(b).mul(g));
  if (b === 0) return zerosLike(g);
  return (b === 2 ? a : a.pow(b - 1)).mul(b).mul(g);
}

/** `g · a^b · ln a`, and 0 where that is 0 · -inf. */
function powExponent(g: AnyTensor, a: Operand, b: AnyTensor): AnyTensor {
  const power = g.mul(pow(a, b));
  if (typeof a === 'number' && a !== 0) return power.mul(Math.log(a));
  const vanishes = typeof a === 'number' ? b.greaterEqual(0) : a.equalTo(0).logicalAnd(b.greaterEqual(0));
  return where(vanishes as AnyTensor, 0, power.mul(typeof a === 'number' ? -Infinity : a.log()));
}

/**
 * The power `a^b` in the common dtype; NaN for a negative base and a fractional exponent.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for bool.
 * @throws ArgumentError for integers to a negative number.
 * @example
 * pow(tensor([1, 2, 3]), 2); // [1, 4, 9]
 */
export function pow<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'pow'>): Arithmetic<A, B> {
  const isTensor = typeof a === 'object' && (a as AnyTensor | null) !== null;
  if (typeof b === 'number' && b < 0 && isTensor && !isFloat(a.dtype) && Number.isInteger(b)) {
    throw new ArgumentError(
      `pow: exponent: got ${b}, expected at least 0 for a base of ${a.dtype}; cast it to a float`,
    );
  }
  return binary(powOp, a, b);
}

const atan2Op = defineOp('atan2', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const a = node.operand(0)!;
    const b = node.operand(1)!;
    const distance = hypot(a, b) as AnyTensor;
    // 0 at the origin, as in PyTorch, and so close to it that the slope is out of range.
    const length = where(distance.reciprocal().isInf(), Infinity, distance);
    const scaled = g.div(length);
    return [
      node.needs(0) ? scaled.mul(div(b, length)).sumTo(node.shape(0)) : undefined,
      node.needs(1) ? scaled.mul(div(a, length)).neg().sumTo(node.shape(1)) : undefined,
    ];
  },
});

/**
 * The angle in (-π, π] of the point (b, a), in radians. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * atan2(tensor([1, 1]), tensor([1, -1])); // [0.7854, 2.3562]
 */
export function atan2<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'atan2'>): Quotient<A, B> {
  return floatingBinary(atan2Op, a, b);
}

const hypotOp = defineOp('hypot', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const y = node.output();
    // 0 at the origin, as in PyTorch.
    const part = (i: 0 | 1): AnyTensor =>
      where(y.equalTo(0), 0, div(node.operand(i)!, y))
        .mul(g)
        .sumTo(node.shape(i));
    return [node.needs(0) ? part(0) : undefined, node.needs(1) ? part(1) : undefined];
  },
});

/**
 * `√(a² + b²)`, without overflow in between. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * hypot(tensor([3, 5]), tensor([4, 12])); // [5, 13]
 */
export function hypot<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'hypot'>): Quotient<A, B> {
  return floatingBinary(hypotOp, a, b);
}

const nextAfterOp = defineOp('nextAfter', { dtypes: ['float64', 'float32'], pointwise: true });

/**
 * The float next to a in the direction of b; b where they are equal. Integers and bool become float32. No gradient.
 *
 * @throws ShapeError when the shapes do not broadcast; DTypeError for 16-bit floats.
 * @example
 * nextAfter(tensor([1, 0]), tensor([2, -1])); // [1.0000001192092896, -1.401298464324817e-45]
 */
export function nextAfter<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'nextAfter'>): Quotient<A, B> {
  return floatingBinary(nextAfterOp, a, b);
}

const gcdOp = defineOp('gcd', { dtypes: integers, pointwise: true });

/**
 * The greatest common divisor of |a| and |b|; 0 of two zeros. Integers.
 *
 * @throws ShapeError when the shapes do not broadcast; DTypeError for floats and bool.
 * @example
 * gcd(tensor([12, -6], { dtype: 'int32' }), 8); // [4, 2]
 */
export function gcd<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'gcd'>): Arithmetic<A, B> {
  return binary(gcdOp, a, b);
}

/**
 * The least common multiple of |a| and |b|; 0 where one is. Integers; products wrap around.
 *
 * @throws ShapeError when the shapes do not broadcast; DTypeError for floats and bool.
 * @example
 * lcm(tensor([4, -6], { dtype: 'int32' }), 10); // [20, 30]
 */
export function lcm<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'lcm'>): Arithmetic<A, B>;
export function lcm(a: Operand, b: Operand): AnyTensor {
  const { dtype } = common('lcm', [a, b]);
  checkDType('lcm', dtype, integers);
  const divisor = gcd(a, b as AnyTensor) as AnyTensor;
  return floorDivide(as(a, dtype), divisor.maximum(1)).mul(as(b, dtype)).abs() as AnyTensor;
}

/** The share of `g` that an operand gets: none where it has lost, half of it where both are equal. */
const share = (g: AnyTensor, lost: AnyTensor, equal: AnyTensor): AnyTensor =>
  where(lost, 0, where(equal, g.mul(0.5), g));

const maximumOp = defineOp('maximum', {
  dtypes: allDTypes,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const a = node.operand(0)!;
    const b = node.operand(1)!;
    return [
      node.needs(0) ? share(g, less(a, b), equalTo(a, b)).sumTo(node.shape(0)) : undefined,
      node.needs(1) ? share(g, less(b, a), equalTo(a, b)).sumTo(node.shape(1)) : undefined,
    ];
  },
});

/**
 * The larger of a and b in the common dtype; NaN where either is NaN. Equal operands share the gradient.
 *
 * @throws ShapeError when the shapes do not broadcast; DTypeError for a number that the integers of a tensor do not hold.
 * @example
 * maximum(tensor([1, 5]), 3); // [3, 5]
 */
export function maximum<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'maximum'>): Arithmetic<A, B> {
  return choice(maximumOp, a, b);
}

const minimumOp = defineOp('minimum', {
  dtypes: allDTypes,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const a = node.operand(0)!;
    const b = node.operand(1)!;
    return [
      node.needs(0) ? share(g, less(b, a), equalTo(a, b)).sumTo(node.shape(0)) : undefined,
      node.needs(1) ? share(g, less(a, b), equalTo(a, b)).sumTo(node.shape(1)) : undefined,
    ];
  },
});

/**
 * The smaller of a and b in the common dtype; NaN where either is NaN. Equal operands share the gradient.
 *
 * @throws ShapeError when the shapes do not broadcast; DTypeError for a number that the integers of a tensor do not hold.
 * @example
 * minimum(tensor([1, 5]), 3); // [1, 3]
 */
export function minimum<A extends Operand, B extends Operand>(a: A, b: B & Fits<A, B, 'minimum'>): Arithmetic<A, B> {
  return choice(minimumOp, a, b);
}

// --------------------------------------------------------------------------------------------------------------------- bits

const bitwiseAndOp = defineOp('bitwiseAnd', { dtypes: integersAndBool, pointwise: true });
const bitwiseOrOp = defineOp('bitwiseOr', { dtypes: integersAndBool, pointwise: true });
const bitwiseXorOp = defineOp('bitwiseXor', { dtypes: integersAndBool, pointwise: true });
const leftShiftOp = defineOp('leftShift', { dtypes: integers, pointwise: true });
const rightShiftOp = defineOp('rightShift', { dtypes: integers, pointwise: true });

/**
 * The bits that are set in both. Integers and bool only.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for floats.
 * @example
 * bitwiseAnd(tensor([6, 5], { dtype: 'int32' }), 3); // [2, 1]
 */
export function bitwiseAnd<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'bitwiseAnd'>,
): Arithmetic<A, B> {
  return binary(bitwiseAndOp, a, b);
}

/**
 * The bits that are set in at least one. Integers and bool only.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for floats.
 * @example
 * bitwiseOr(tensor([6, 5], { dtype: 'int32' }), 3); // [7, 7]
 */
export function bitwiseOr<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'bitwiseOr'>,
): Arithmetic<A, B> {
  return binary(bitwiseOrOp, a, b);
}

/**
 * The bits that are set in exactly one. Integers and bool only.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for floats.
 * @example
 * bitwiseXor(tensor([6, 5], { dtype: 'int32' }), 3); // [5, 6]
 */
export function bitwiseXor<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'bitwiseXor'>,
): Arithmetic<A, B> {
  return binary(bitwiseXorOp, a, b);
}

/**
 * `a · 2^b` by moving bits up; 0 when they all fall off. Integers only.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for floats and bool.
 * @example
 * leftShift(tensor([1, 3], { dtype: 'int32' }), 2); // [4, 12]
 */
export function leftShift<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'leftShift'>,
): Arithmetic<A, B> {
  return binary(leftShiftOp, a, b);
}

/**
 * `⌊a / 2^b⌋` by moving bits down, keeping the sign. Integers only.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for floats and bool.
 * @example
 * rightShift(tensor([12, -5], { dtype: 'int32' }), 2); // [3, -2]
 */
export function rightShift<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'rightShift'>,
): Arithmetic<A, B> {
  return binary(rightShiftOp, a, b);
}

// ----------------------------------------------------------------------------------------------------------- three operands

const lerpOp = defineOp('lerp', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const weight = node.operand(2)!;
    const toEnd = g.mul(weight);
    return [
      node.needs(0) ? g.sub(toEnd).sumTo(node.shape(0)) : undefined,
      node.needs(1) ? toEnd.sumTo(node.shape(1)) : undefined,
      node.needs(2) ? g.mul(sub(node.operand(1)!, node.operand(0)!) as AnyTensor).sumTo(node.shape(2)) : undefined,
    ];
  },
});

/**
 * The point between a (weight 0) and b (weight 1): `a + weight · (b - a)`. All three broadcast. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * lerp(tensor([0, 10]), tensor([4, 20]), 0.25); // [1, 12.5]
 */
export function lerp<A extends Operand, B extends Operand>(
  a: A,
  b: B & Fits<A, B, 'lerp'>,
  weight: number,
): Quotient<A, B>;
export function lerp(a: Operand, b: Operand, weight: Operand): AnyTensor;
export function lerp(a: Operand, b: Operand, weight: Operand): AnyTensor {
  return nary(lerpOp, [a, b, weight], true);
}

export interface ScaledOptions {
  /** The factor of the product or the quotient; 1 unless given. */
  readonly value?: number;
}

const addcmulOp = defineOp('addcmul', {
  dtypes: numbers,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const scaled = g.mul(node.context[0]!);
    return [
      node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
      node.needs(1) ? scaled.mul(node.operand(2)!).sumTo(node.shape(1)) : undefined,
      node.needs(2) ? scaled.mul(node.operand(1)!).sumTo(node.shape(2)) : undefined,
    ];
  },
});

/**
 * `x + value · a · b` in the common dtype; a fractional value makes integers float32. All three broadcast.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws DTypeError for bool.
 * @example
 * addcmul(tensor([1, 1]), tensor([2, 3]), tensor([4, 5]), { value: 0.5 }); // [5, 8.5]
 */
export function addcmul(x: Operand, a: Operand, b: Operand, options: ScaledOptions = {}): AnyTensor {
  checkOptions('addcmul', options);
  const { value = 1 } = options;
  checkNumber('addcmul', 'value', value);
  return nary(addcmulOp, [x, a, b], !Number.isInteger(value), [value]);
}

const addcdivOp = defineOp('addcdiv', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const b = node.operand(2)!;
    const scaled = g.mul(node.context[0]!).div(b);
    return [
      node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
      node.needs(1) ? scaled.sumTo(node.shape(1)) : undefined,
      node.needs(2) ? scaled.mul(node.operand(1)!).div(b).neg().sumTo(node.shape(2)) : undefined,
    ];
  },
});

/**
 * `x + value · a / b`. All three broadcast. Integers and bool become float32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * addcdiv(tensor([1, 1]), tensor([2, 3]), tensor([4, 6]), { value: 2 }); // [2, 2]
 */
export function addcdiv(x: Operand, a: Operand, b: Operand, options: ScaledOptions = {}): AnyTensor {
  checkOptions('addcdiv', options);
  const { value = 1 } = options;
  checkNumber('addcdiv', 'value', value);
  return nary(addcdivOp, [x, a, b], true, [value]);
}

// ----------------------------------------------------------------------------------------------------------------- in place

/**
 * Adds `other` to x in place. Not recorded; other broadcasts to the shape of x and is of its kind.
 *
 * @throws ShapeError, DTypeError when other does not fit; ArgumentError when x requires a gradient and recording is on.
 * @example
 * tensor([1, 2]).add_(1); // [2, 3]
 */
function add_<T extends AnyTensor>(x: T, other: Operand): T {
  return inPlace('add_', addOp, x, [other]);
}

/** Subtracts `other` from x in place; see {@link add_}. */
function sub_<T extends AnyTensor>(x: T, other: Operand): T {
  return inPlace('sub_', subOp, x, [other]);
}

/** Multiplies x by `other` in place; see {@link add_}. */
function mul_<T extends AnyTensor>(x: T, other: Operand): T {
  return inPlace('mul_', mulOp, x, [other]);
}

/** Divides x by `other` in place; see {@link add_}. Floats only. */
function div_<T extends AnyTensor>(x: T, other: Operand): T {
  return inPlace('div_', divOp, x, [other]);
}

/** Moves x towards `end` in place; see {@link lerp} and {@link add_}. Floats only. */
function lerp_<T extends AnyTensor>(x: T, end: Operand, weight: Operand): T {
  return inPlace('lerp_', lerpOp, x, [end, weight]);
}

/** Adds `value · a · b` to x in place; see {@link add_}. */
function addcmul_<T extends AnyTensor>(x: T, a: Operand, b: Operand, options: ScaledOptions = {}): T {
  const { value = 1 } = options;
  fitted('addcmul_', x, value);
  return inPlace('addcmul_', addcmulOp, x, [a, b], [value]);
}

/** Adds `value · a / b` to x in place; see {@link add_}. Floats only. */
function addcdiv_<T extends AnyTensor>(x: T, a: Operand, b: Operand, options: ScaledOptions = {}): T {
  return inPlace('addcdiv_', addcdivOp, x, [a, b], [options.value ?? 1]);
}

// What leaves the integers has type parameters of its own: with S and D the compiler could not prove that Tensor is covariant.
declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    add<O extends Operand>(other: O & FitsIn<S, O, 'add'>): ArithmeticWith<S, D, O>;
    sub<O extends Operand>(other: O & FitsIn<S, O, 'sub'>): ArithmeticWith<S, D, O>;
    mul<O extends Operand>(other: O & FitsIn<S, O, 'mul'>): ArithmeticWith<S, D, O>;
    div<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'div'>,
    ): QuotientWith<A, E, O>;
    div<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'div'>,
      options: DivOptions,
    ): ArithmeticWith<A, E, O>;
    floorDivide<O extends Operand>(other: O & FitsIn<S, O, 'floorDivide'>): ArithmeticWith<S, D, O>;
    remainder<O extends Operand>(other: O & FitsIn<S, O, 'remainder'>): ArithmeticWith<S, D, O>;
    fmod<O extends Operand>(other: O & FitsIn<S, O, 'fmod'>): ArithmeticWith<S, D, O>;
    pow<O extends Operand>(exponent: O & FitsIn<S, O, 'pow'>): ArithmeticWith<S, D, O>;
    atan2<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'atan2'>,
    ): QuotientWith<A, E, O>;
    hypot<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'hypot'>,
    ): QuotientWith<A, E, O>;
    nextAfter<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      other: O & FitsIn<A, O, 'nextAfter'>,
    ): QuotientWith<A, E, O>;
    gcd<O extends Operand>(other: O & FitsIn<S, O, 'gcd'>): ArithmeticWith<S, D, O>;
    lcm<O extends Operand>(other: O & FitsIn<S, O, 'lcm'>): ArithmeticWith<S, D, O>;
    maximum<O extends Operand>(other: O & FitsIn<S, O, 'maximum'>): ArithmeticWith<S, D, O>;
    minimum<O extends Operand>(other: O & FitsIn<S, O, 'minimum'>): ArithmeticWith<S, D, O>;
    bitwiseAnd<O extends Operand>(other: O & FitsIn<S, O, 'bitwiseAnd'>): ArithmeticWith<S, D, O>;
    bitwiseOr<O extends Operand>(other: O & FitsIn<S, O, 'bitwiseOr'>): ArithmeticWith<S, D, O>;
    bitwiseXor<O extends Operand>(other: O & FitsIn<S, O, 'bitwiseXor'>): ArithmeticWith<S, D, O>;
    leftShift<O extends Operand>(other: O & FitsIn<S, O, 'leftShift'>): ArithmeticWith<S, D, O>;
    rightShift<O extends Operand>(other: O & FitsIn<S, O, 'rightShift'>): ArithmeticWith<S, D, O>;
    lerp<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      end: O & FitsIn<A, O, 'lerp'>,
      weight: number,
    ): QuotientWith<A, E, O>;
    lerp(end: Operand, weight: Operand): AnyTensor;
    addcmul(a: Operand, b: Operand, options?: ScaledOptions): AnyTensor;
    addcdiv(a: Operand, b: Operand, options?: ScaledOptions): AnyTensor;
    add_(other: Operand): this;
    sub_(other: Operand): this;
    mul_(other: Operand): this;
    div_(other: Operand): this;
    lerp_(end: Operand, weight: Operand): this;
    addcmul_(a: Operand, b: Operand, options?: ScaledOptions): this;
    addcdiv_(a: Operand, b: Operand, options?: ScaledOptions): this;
  }
}
// prettier-ignore
installMethods({
  add, sub, mul, div, floorDivide, remainder, fmod, pow, atan2, hypot, nextAfter, gcd, lcm, maximum, minimum,
  bitwiseAnd, bitwiseOr, bitwiseXor, leftShift, rightShift, lerp, addcmul, addcdiv,
  add_, sub_, mul_, div_, lerp_, addcmul_, addcdiv_,
});
