/**
 * How pointwise ops run: one value of the output from one value of each operand, with broadcasting and PyTorch's type promotion. The ops
 * themselves are in the other pointwise-*.ts, the only callers.
 */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import type { OpName } from '../native/opcodes';
import type { Device } from '../runtime/device';
import { describe } from '../tensor/describe';
import { encode, isFloat, promoteNumber, promoteOperands, toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { PromoteOperand, PromoteOperands } from '../tensor/operand-types';
import type { Broadcast, BroadcastCheck, Ok, Shape, ShapeOf } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { operand, operandDType, type AutocastPolicy } from './autocast';
import { full } from './creation';
import {
  checkDType,
  checkTaken,
  checkTensor,
  defineOp,
  floats,
  run,
  runInto,
  type Argument,
  type NativeOp,
} from './define';

/** Demands of an operand that it broadcasts with `A`. */
export type Fits<A, B, Op extends string> = Ok<BroadcastCheck<ShapeOf<A>, ShapeOf<B>, Op>>;
/** What arithmetic on two operands makes. */
export type Arithmetic<A, B> = Tensor<Broadcast<ShapeOf<A>, ShapeOf<B>>, PromoteOperands<A, B>>;
/** What arithmetic makes that leaves the integers. */
export type Quotient<A, B> = Tensor<Broadcast<ShapeOf<A>, ShapeOf<B>>, ToFloat<PromoteOperands<A, B>>>;
/** What a comparison makes. */
export type Comparison<A, B> = Tensor<Broadcast<ShapeOf<A>, ShapeOf<B>>, 'bool'>;

// The same for methods of a tensor with shape S and dtype D.
export type FitsIn<S extends Shape, O, Op extends string> = Ok<BroadcastCheck<S, ShapeOf<O>, Op>>;
export type ArithmeticWith<S extends Shape, D extends DType, O> = Tensor<
  Broadcast<S, ShapeOf<O>>,
  PromoteOperand<S, D, O>
>;
export type QuotientWith<S extends Shape, D extends DType, O> = Tensor<
  Broadcast<S, ShapeOf<O>>,
  ToFloat<PromoteOperand<S, D, O>>
>;
export type ComparisonWith<S extends Shape, O> = Tensor<Broadcast<S, ShapeOf<O>>, 'bool'>;

/** Defines an op of one floating operand whose gradient follows from its input. */
export function ofInput(
  name: OpName,
  gradient: (g: AnyTensor, x: AnyTensor) => AnyTensor,
  autocast?: AutocastPolicy,
): NativeOp {
  return defineOp(name, {
    dtypes: floats,
    pointwise: true,
    saves: { inputs: true },
    gradient: (g, node) => [gradient(g, node.input(0))],
    autocast,
  });
}

/** Defines an op of one floating operand whose gradient follows from its output. */
export function ofOutput(
  name: OpName,
  gradient: (g: AnyTensor, y: AnyTensor) => AnyTensor,
  autocast?: AutocastPolicy,
): NativeOp {
  return defineOp(name, {
    dtypes: floats,
    pointwise: true,
    saves: { outputs: true },
    gradient: (g, node) => [gradient(g, node.output())],
    autocast,
  });
}

/** Runs an op of one operand in the operand's dtype. */
export function unary<T extends AnyTensor, C>(op: NativeOp<C>, x: AnyTensor, attributes?: readonly number[]): T {
  checkTensor(op.name, x);
  checkTaken(op, x.dtype);
  return run(op, [x], x.shape, x.dtype, attributes) as T;
}

/** Runs an op of one operand that leaves the integers: they and bool become float32. */
export function floating<T extends AnyTensor, C>(op: NativeOp<C>, x: AnyTensor, attributes?: readonly number[]): T {
  checkTensor(op.name, x);
  const input = operand(op, x);
  return run(op, [isFloat(x.dtype) ? input : x.cast('float32')], x.shape, toFloat(input.dtype), attributes) as T;
}

/** Runs an op of one operand that answers yes or no. */
export function predicate<T extends AnyTensor, C>(op: NativeOp<C>, x: AnyTensor): T {
  checkTensor(op.name, x);
  return run(op, [x], x.shape, 'bool') as T;
}

/** Runs an op of two operands in their common dtype. */
export function binary<T extends AnyTensor, C>(op: NativeOp<C>, a: Operand, b: Operand): T {
  const dtype = operandDType(op, commonDType(op.name, a, b));
  return typed(op, a, b, dtype, dtype, numberDType(dtype)) as T;
}

/** Runs an op that answers one of its two operands. */
export function choice<T extends AnyTensor, C>(op: NativeOp<C>, a: Operand, b: Operand): T {
  checkHeld(op.name, commonDType(op.name, a, b), a, b);
  return binary(op, a, b);
}

/** Throws when a number is to become an element that `dtype` does not hold. In arithmetic it wraps around, as its results do. */
export function checkHeld(name: string, dtype: DType, ...operands: readonly Operand[]): void {
  if (isFloat(dtype)) return;
  for (const operand of operands) if (typeof operand === 'number') encode(dtype, [operand], name);
}

/** What numbers come to arithmetic in `dtype` as: not rounded to the 16 bits that it is not done in. */
function numberDType(dtype: DType): DType {
  return dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
}

/** Runs an op of two operands that leaves the integers: they and bool become float32. */
export function floatingBinary<T extends AnyTensor, C>(op: NativeOp<C>, a: Operand, b: Operand): T {
  const dtype = operandDType(op, toFloat(commonDType(op.name, a, b)));
  return typed(op, a, b, dtype, dtype, numberDType(dtype)) as T;
}

/** Runs an op of two operands that answers yes or no. A number is rounded to their dtype, so that it equals what it was stored as. */
export function comparison<T extends AnyTensor, C>(op: NativeOp<C>, a: Operand, b: Operand): T {
  let dtype = commonDType(op.name, a, b);
  // Arithmetic wraps around in small integers; a comparison with a number they cannot hold must not.
  const number = typeof a === 'number' ? a : b;
  if (typeof number === 'number' && !isFloat(dtype) && !(number >= 0 && number <= 127)) dtype = wider(dtype, number);
  return typed(op, a, b, dtype, 'bool', dtype) as T;
}

/** A dtype that holds the elements of `dtype` and `value`. */
function wider(dtype: DType, value: number): DType {
  const bits = { int8: 7, uint8: 8, int16: 15, int32: 31, int64: 63 }[dtype as 'int8'];
  const least = dtype === 'uint8' ? 0 : -(2 ** bits);
  return value >= least && value < 2 ** bits ? dtype : 'float64';
}

function commonDType(name: string, a: Operand, b: Operand): DType {
  if (typeof a === 'number') {
    if (typeof b === 'number') throw new ArgumentError(`${name}: got two numbers, expected at least one tensor`);
    checkTensor(name, b, 'second operand');
    return promoteNumber(b.dtype, a);
  }
  checkTensor(name, a, 'first operand');
  if (typeof b === 'number') return promoteNumber(a.dtype, b);
  checkTensor(name, b, 'second operand');
  return a.dtype === b.dtype ? a.dtype : promoteOperands(a.dtype, a.shape.length, b.dtype, b.shape.length);
}

function typed<C>(op: NativeOp<C>, a: Operand, b: Operand, dtype: DType, result: DType, numbers: DType): AnyTensor {
  checkTaken(op, dtype);
  const shape =
    typeof a === 'number'
      ? (b as AnyTensor).shape
      : typeof b === 'number'
        ? a.shape
        : broadcastShapes(op.name, a.shape, b.shape);
  const first = typeof a === 'number' || a.dtype === dtype ? a : a.cast(dtype);
  const second = typeof b === 'number' || b.dtype === dtype ? b : b.cast(dtype);
  return run(op, [first, second], shape, result, undefined, undefined, numbers);
}

/** The dtype and shape of several operands together, at least one of them a tensor. */
export function common(name: string, operands: readonly Operand[]): { dtype: DType; shape: Shape; device: Device } {
  const tensors = operands.filter((operand) => typeof operand !== 'number');
  tensors.forEach((tensor: unknown) => checkTensor(name, tensor, 'operand'));
  const first = tensors[0];
  if (first === undefined) throw new ArgumentError(`${name}: got only numbers, expected at least one tensor`);
  let { dtype, shape } = first;
  for (const tensor of tensors) {
    dtype = promoteOperands(dtype, shape.length, tensor.dtype, tensor.shape.length);
    shape = broadcastShapes(name, shape, tensor.shape);
  }
  for (const operand of operands) if (typeof operand === 'number') dtype = promoteNumber(dtype, operand);
  return { dtype, shape, device: first.device };
}

/** Runs an op of any number of operands; `leaves` says whether it leaves the integers. */
export function nary<T extends AnyTensor, C>(
  op: NativeOp<C>,
  operands: readonly Operand[],
  leaves: boolean,
  attributes?: readonly number[],
): T {
  const { dtype: promoted, shape } = common(op.name, operands);
  const dtype = leaves ? toFloat(promoted) : promoted;
  checkTaken(op, dtype);
  return run(
    op,
    operands.map((operand) => as(operand, dtype)),
    shape,
    dtype,
    attributes,
    undefined,
    numberDType(dtype),
  ) as T;
}

/** An operand in another dtype; numbers take any. */
export function as(operand: Operand, dtype: DType): Operand {
  return typeof operand === 'number' ? operand : operand.cast(dtype);
}

/**
 * Runs `op` in place: `x` is its first operand and its output. The other operands must broadcast to the shape of `x`, and are converted
 * to its dtype, which must be of their kind. Not recorded.
 */
export function inPlace<T extends AnyTensor, C>(
  name: string,
  op: NativeOp<C>,
  x: T,
  others: readonly Operand[],
  attributes?: readonly number[],
): T {
  checkTensor(name, x);
  checkDType(name, x.dtype, op.dtypes);
  const inputs: Argument[] = [x];
  for (const other of others) inputs.push(fitted(name, x, other));
  runInto(op, inputs, [x], attributes, numberDType(x.dtype));
  return x;
}

/** Throws unless an argument is a number, and not NaN. */
export function checkNumber(name: string, argument: string, value: unknown): void {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new ArgumentError(`${name}: ${argument}: got ${describe(value)}, expected a number`);
  }
}

/** What may take the place of elements of a tensor: an operand, or `true` and `false` among bools. */
export type Replacement = Operand | boolean;

/** A replacement as {@link fitted} has it; among bools 1 and 0 are `true` and `false`. */
export function replacing(name: string, x: AnyTensor, value: Replacement, argument = 'value'): Operand {
  if (x.dtype === 'bool' && (typeof value === 'boolean' || value === 1 || value === 0)) {
    return full([], value, { dtype: 'bool', device: x.device });
  }
  if (typeof value !== 'boolean') {
    const operand = fitted(name, x, value, argument);
    checkHeld(name, x.dtype, operand);
    return operand;
  }
  throw new ArgumentError(`${name}: ${argument}: got boolean ${value}, expected a number or a tensor`);
}

/** An operand as one that broadcasts to the shape of `x` and has its dtype, which must be of the operand's kind. */
export function fitted(name: string, x: AnyTensor, other: Operand, argument = 'operand'): Operand {
  const isNumber = typeof other === 'number';
  if (!isNumber) checkTensor(name, other, argument);
  const promoted = isNumber ? promoteNumber(x.dtype, other) : promoteOperands(x.dtype, 1, other.dtype, 0);
  if (promoted !== x.dtype) {
    const got = isNumber ? `the number ${other}` : other.dtype;
    const held = x.dtype === 'bool' ? 'bool holds: true or false' : `${x.dtype} holds`;
    throw new DTypeError(`${name}: the result does not fit into the tensor: got ${got}, expected what ${held}`);
  }
  if (isNumber) return other;
  if (!sameShape(broadcastShapes(name, x.shape, other.shape), x.shape)) {
    throw new ShapeError(
      `${name}: operand does not fit: got ${show(other.shape)}, expected one that broadcasts to ${show(x.shape)}`,
      { x: x.shape, operand: other.shape },
    );
  }
  if (other.dtype !== x.dtype) return other.cast(x.dtype);
  // Another view of the same memory would be read while it changes.
  const aliased =
    other.storage === x.storage &&
    !(other.offset === x.offset && sameShape(other.strides, x.strides) && sameShape(other.shape, x.shape));
  return aliased ? other.clone() : other;
}
