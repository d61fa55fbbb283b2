/** The pointwise ops: one value of the output from one value of each operand, with broadcasting and type promotion. */
import { ArgumentError } from '../errors';
import type { OpName } from '../native/opcodes';
import {
  isFloat,
  promoteNumber,
  promoteOperands,
  toFloat,
  type DType,
  type Promote,
  type PromoteNumber,
  type ToFloat,
} from '../tensor/dtype';
import type { Broadcast, BroadcastCheck, Ok, Shape, ShapeOf } from '../tensor/shape-types';
import { broadcastShapes } from '../tensor/shapes';
import { Tensor, type AnyTensor, type Operand } from '../tensor/tensor';
import {
  allDTypes,
  checkDType,
  checkTensor,
  defineOp,
  describe,
  floats,
  installMethods,
  integersAndBool,
  numbers,
  run,
  type NativeOp,
} from './define';

/** Brings both operands to one dtype and runs the op over their common shape. `result` is the dtype of the output, where it differs. */
function binary<C>(op: NativeOp<C>, a: Operand, b: Operand, result?: DType, toFloating = false): AnyTensor {
  const { name } = op;
  if (typeof a === 'number') {
    if (typeof b === 'number') throw new ArgumentError(`${name}: got two numbers, expected at least one tensor`);
    checkTensor(name, b, 'second operand');
    return typed(op, a, b, promoteNumber(b.dtype, a), b.shape, result, toFloating);
  }
  checkTensor(name, a, 'first operand');
  if (typeof b === 'number') return typed(op, a, b, promoteNumber(a.dtype, b), a.shape, result, toFloating);
  checkTensor(name, b, 'second operand');
  const dtype = a.dtype === b.dtype ? a.dtype : promoteOperands(a.dtype, a.shape.length, b.dtype, b.shape.length);
  return typed(op, a, b, dtype, broadcastShapes(name, a.shape, b.shape), result, toFloating);
}

function typed<C>(
  op: NativeOp<C>,
  a: Operand,
  b: Operand,
  promoted: DType,
  shape: Shape,
  result: DType | undefined,
  toFloating: boolean,
): AnyTensor {
  const dtype = toFloating ? toFloat(promoted) : promoted;
  if (!op.dtypes.includes(dtype)) checkDType(op.name, dtype, op.dtypes);
  const first = typeof a === 'number' || a.dtype === dtype ? a : a.cast(dtype);
  const second = typeof b === 'number' || b.dtype === dtype ? b : b.cast(dtype);
  return run(op, [first, second], shape, result ?? dtype, undefined, undefined, dtype);
}

const addOp = defineOp('add', {
  dtypes: allDTypes,
  pointwise: true,
  gradient: (g, node) => [
    node.needs(0) ? g.sumTo(node.shape(0)) : undefined,
    node.needs(1) ? g.sumTo(node.shape(1)) : undefined,
  ],
});
