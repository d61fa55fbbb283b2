/** Operators that treat each element by itself, with operands that broadcast. */
import * as ops from '../../ops';
import { isFloat, isInt, type DType } from '../../tensor/dtype';
import type { AnyTensor, Operand } from '../../tensor/tensor';
import type { Call, Operator } from '../call';
import { dtypeOf } from '../tensors';
import { Known } from '../value';
import { knowing } from '../call';

const unary =
  (f: (x: AnyTensor) => AnyTensor): Operator =>
  (call) =>
    f(call.tensor(0));

/** An input as an operand of another: a known scalar as a number, which takes no memory. */
export function operand(call: Call, i: number, other: number): Operand {
  const value = call.value(i);
  const isScalar = value instanceof Known && value.size === 1 && value.shape.length <= call.shape(other).length;
  return isScalar && isFloat(value.dtype) ? value.values[0]! : call.tensor(i);
}

/** The operands of a binary operator, at most one of them a number. */
export function pair(call: Call): [AnyTensor, Operand] {
  return [call.tensor(0), operand(call, 1, 0)];
}

type Binary = (a: AnyTensor, b: Operand) => AnyTensor;

const binary =
  (f: Binary): Operator =>
  (call) =>
    f(...pair(call));

/** Binary operators folded over any number of inputs. */
const variadic =
  (f: (a: AnyTensor, b: AnyTensor) => AnyTensor): Operator =>
  (call) =>
    call.tensors().reduce((a, b) => f(a, b));

/** Bools are compared as integers, which have an order. */
const ordered =
  (f: Binary): Operator =>
  (call) =>
    f(...pair(call));

/** What is left of a quotient of integers when its fraction is cut off. */
function truncatedQuotient(a: AnyTensor, b: AnyTensor): AnyTensor {
  const whole = a.dtype === 'uint8' ? a : ops.sub(a, ops.fmod(a, b));
  return ops.floorDivide(whole, b);
}

const divide: Operator = (call) => {
  const [a, b] = pair(call);
  return isInt(a.dtype) ? truncatedQuotient(a, call.tensor(1)) : ops.div(a, b);
};

const power: Operator = (call) => {
  const [a, b] = pair(call);
  const exponent = call.value(1);
  // Integers to powers of floats are computed as these, and cut off.
  if (typeof b === 'number') return isFloat(a.dtype) ? a.pow(b) : a.cast('float64').pow(b).cast(a.dtype);
  if (exponent instanceof Known && exponent.size === 1 && b.rank <= a.rank)
    return a.pow(exponent.values[0]!).cast(a.dtype);
  if (isFloat(a.dtype)) return a.pow(b.cast(a.dtype));
  return (isFloat(b.dtype) ? a.cast('float64').pow(b.cast('float64')) : a.pow(b)).cast(a.dtype);
};

const clip: Operator = (call) => {
  const x = call.tensor(0);
  if (call.version < 11) return x.clamp(call.float('min', -Infinity), call.float('max', Infinity));
  const bound = (i: number): number | undefined => {
    const value = call.inputs[i];
    return value instanceof Known ? value.values[0] : undefined;
  };
  const [least, most] = [bound(1), bound(2)];
  if ((call.has(1) ? least : 0) !== undefined && (call.has(2) ? most : 0) !== undefined && least! <= most!) {
    return x.clamp(least, most);
  }
  const raised = call.has(1) ? ops.maximum(x, call.tensor(1)) : x;
  return call.has(2) ? ops.minimum(raised, call.tensor(2)) : raised;
};

const shrink: Operator = (call) => {
  const x = call.tensor(0);
  const lambda = call.float('lambd', 0.5);
  const bias = call.float('bias', 0);
  const upper = ops.where(x.greater(lambda), x.sub(bias), 0);
  return ops.where(x.less(-lambda), x.add(bias), upper).cast(x.dtype);
};

const infinite: Operator = (call) => {
  const x = call.tensor(0);
  const [negative, positive] = [call.int('detect_negative', 1), call.int('detect_positive', 1)];
  if (negative !== 0 && positive !== 0) return x.isInf();
  if (negative !== 0) return x.equalTo(-Infinity);
  return positive !== 0 ? x.equalTo(Infinity) : x.equalTo(x).logicalNot().logicalAnd(x.equalTo(x));
};

const cast = (call: Call, dtype: DType): AnyTensor => call.tensor(0).cast(dtype);

const rectifiedBySlope: Operator = (call) => {
  const x = call.tensor(0);
  const slope = call.tensor(1);
  return ops.where(x.less(0), x.mul(slope), x);
};

const shifted: Operator = (call) => {
  const [a, b] = [call.tensor(0), call.tensor(1)];
  return call.choice('direction', 'LEFT', 'RIGHT') === 'LEFT' ? ops.leftShift(a, b) : ops.rightShift(a, b);
};

const flipped = (x: AnyTensor): AnyTensor => (x.dtype === 'uint8' ? ops.bitwiseXor(x, 255) : ops.bitwiseNot(x));

const selu: Operator = (call) => {
  const alpha = call.float('alpha', 1.67326319217681884765625);
  return ops.elu(call.tensor(0), alpha).mul(call.float('gamma', 1.05070102214813232421875));
};

export const swish = (x: AnyTensor, alpha: number): AnyTensor =>
  alpha === 1 ? ops.silu(x) : x.mul(x.mul(alpha).sigmoid());

export const pointwise: Readonly<Record<string, Operator>> = {
  Abs: unary(ops.abs),
  Acos: unary(ops.acos),
  Acosh: unary(ops.acosh),
  Add: binary(ops.add as Binary),
  And: binary(ops.logicalAnd as Binary),
  Asin: unary(ops.asin),
  Asinh: unary(ops.asinh),
  Atan: unary(ops.atan),
  Atanh: unary(ops.atanh),
  BitShift: shifted,
  BitwiseAnd: binary(ops.bitwiseAnd as Binary),
  BitwiseNot: unary(flipped),
  BitwiseOr: binary(ops.bitwiseOr as Binary),
  BitwiseXor: binary(ops.bitwiseXor as Binary),
  Cast: (call) => cast(call, dtypeOf(call.what, call.int('to'))),
  CastLike: (call) => {
    const like = call.value(1);
    return cast(call, like instanceof Known ? like.dtype : call.tensor(1).dtype);
  },
  Ceil: unary(ops.ceil),
  Celu: (call) => ops.celu(call.tensor(0), call.float('alpha', 1)),
  Clip: knowing([1, 2], clip),
  Cos: unary(ops.cos),
  Cosh: unary(ops.cosh),
  Div: divide,
  Elu: (call) => ops.elu(call.tensor(0), call.float('alpha', 1)),
  Equal: binary(ops.equalTo as Binary),
  Erf: unary(ops.erf),
  Exp: unary(ops.exp),
  Floor: unary(ops.floor),
  Gelu: (call) => ops.gelu(call.tensor(0), { approximate: call.choice('approximate', 'none', 'tanh') }),
  Greater: ordered(ops.greater as Binary),
  GreaterOrEqual: ordered(ops.greaterEqual as Binary),
  HardSigmoid: (call) => call.tensor(0).mul(call.float('alpha', 0.2)).add(call.float('beta', 0.5)).clamp(0, 1),
  HardSwish: unary(ops.hardswish),
  Identity: (call) => call.value(0),
  IsInf: infinite,
  IsNaN: unary(ops.isNaN),
  LeakyRelu: (call) => ops.leakyRelu(call.tensor(0), call.float('alpha', 0.01)),
  Less: ordered(ops.less as Binary),
  LessOrEqual: ordered(ops.lessEqual as Binary),
  Log: unary(ops.log),
  Max: variadic(ops.maximum),
  Mean: (call) =>
    call
      .tensors()
      .reduce((a, b) => a.add(b))
      .div(call.inputs.length),
  Min: variadic(ops.minimum),
  Mish: unary(ops.mish),
  Mod: (call) => {
    const [a, b] = [call.tensor(0), call.tensor(1)];
    return call.int('fmod', 0) === 1 ? ops.fmod(a, b) : ops.remainder(a, b);
  },
  Mul: binary(ops.mul as Binary),
  Neg: unary(ops.neg),
  Not: unary(ops.logicalNot),
  Or: binary(ops.logicalOr as Binary),
  PRelu: rectifiedBySlope,
  Pow: power,
  Reciprocal: unary(ops.reciprocal),
  Relu: unary(ops.relu),
  Round: unary(ops.round),
  Selu: selu,
  Shrink: shrink,
  Sigmoid: unary(ops.sigmoid),
  Sign: unary(ops.sign),
  Sin: unary(ops.sin),
  Sinh: unary(ops.sinh),
  Softplus: unary(ops.softplus),
  Softsign: unary(ops.softsign),
  Sqrt: unary(ops.sqrt),
  Sub: binary(ops.sub as Binary),
  Sum: variadic(ops.add),
  SwiGLU: (call) => swish(call.tensor(0), call.float('alpha', 1)).mul(call.tensor(1)),
  Swish: (call) => swish(call.tensor(0), call.float('alpha', 1)),
  Tan: unary(ops.tan),
  Tanh: unary(ops.tanh),
  ThresholdedRelu: (call) => ops.threshold(call.tensor(0), call.float('alpha', 1), 0),
  Where: (call) => ops.where(call.tensor(0), call.tensor(1), call.tensor(2)),
  Xor: binary(ops.logicalXor as Binary),
};
