/**
 * Operators on known values, computed in JavaScript: what exporters make of shapes. An operator that is here is also in the table of its family, for tensors, and
 * for what a folding leaves to it by giving undefined.
 */
import { DTypeError } from '../../errors';
import { broadcastShapes, contiguousStrides, sizeOf } from '../../tensor/shapes';
import { isFloat, type DType } from '../../tensor/dtype';
import type { Call } from '../call';
import { dtypeOf } from '../tensors';
import { Known, mostKnown } from '../value';
import {
  axisOf,
  concatenated,
  reducedAxes,
  sliceRuns,
  splitSizes,
  squeezedShape,
  unsqueezedShape,
  resolvedShape,
} from './shapes';

/** Outputs of a node all of whose inputs are known and small; undefined where they are better left to tensors. */
export interface Folding {
  (call: Call, inputs: readonly Known[]): readonly Known[] | undefined;
  /** How many inputs there are at least; 1 unless given. */
  readonly least?: number;
}

const needing = (least: number, fold: Folding): Folding =>
  Object.assign((call: Call, inputs: readonly Known[]) => fold(call, inputs), { least });

/** The elements at `offset + Σ position · stride`. */
function strided(x: Known, shape: readonly number[], strides: readonly number[], offset = 0): Known {
  const values = new Array<number>(sizeOf(shape));
  const place = new Array<number>(shape.length).fill(0);
  let from = offset;
  for (let i = 0; i < values.length; i++) {
    values[i] = x.values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++place[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      place[axis] = 0;
    }
  }
  return new Known(x.dtype, shape, values);
}

function broadcast(x: Known, shape: readonly number[]): Known {
  const own = contiguousStrides(x.shape);
  const missing = shape.length - x.shape.length;
  return strided(
    x,
    shape,
    shape.map((_, axis) => (axis < missing || x.shape[axis - missing] === 1 ? 0 : own[axis - missing]!)),
  );
}

const reshaped = (x: Known, shape: readonly number[]): readonly Known[] => [new Known(x.dtype, shape, x.values)];

/** A pointwise operator of any number of operands; its result has the dtype of the last, or bool. */
function pointwise(f: (...values: number[]) => number, bool = false): Folding {
  return needing(Math.max(f.length, 1), (call, inputs) => {
    const shape = inputs.map((x) => x.shape).reduce((a, b) => broadcastShapes(call.what, a, b));
    if (sizeOf(shape) > mostKnown) return undefined;
    const operands = inputs.map((x) => broadcast(x, shape).values);
    const dtype = bool ? 'bool' : inputs.at(-1)!.dtype;
    const values = operands[0]!.map((_, i) => f(...operands.map((each) => each[i]!)));
    // Past 2^53 doubles are no integers any more, and a division by zero has no answer: devices have their own.
    if (!bool && !isFloat(dtype) && !values.every(Number.isSafeInteger)) return undefined;
    return [Known.of(dtype, shape, values)];
  });
}

/** The same for operators of two operands whose dtype decides. */
const byDType = (f: (dtype: DType, call: Call) => (...values: number[]) => number): Folding =>
  needing(2, (call, inputs) => pointwise(f(inputs[0]!.dtype, call))(call, inputs));

const remainder = (a: number, b: number): number => a - b * Math.floor(a / b);
const halfToEven = (x: number): number => {
  const below = Math.floor(x);
  const fraction = x - below;
  return fraction < 0.5 || (fraction === 0.5 && below % 2 === 0) ? below : below + 1;
};

const reduction =
  (f: (values: readonly number[]) => number): Folding =>
  (call, [x]) => {
    const { axes, keep } = reducedAxes(call, x!.shape);
    const strides = contiguousStrides(x!.shape);
    const outer = x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const inner = axes.map((axis) => x!.shape[axis]!);
    const firsts = strided(positions(x!.shape), outer, strides);
    const values = firsts.values.map((first) =>
      f(
        strided(
          x!,
          inner,
          axes.map((axis) => strides[axis]!),
          first,
        ).values,
      ),
    );
    const shape = keep ? outer : outer.filter((_, axis) => !axes.includes(axis));
    return sizeOf(x!.shape) === 0 ? undefined : [Known.of(x!.dtype, shape, values)];
  };

const positions = (shape: readonly number[]): Known =>
  new Known(
    'int64',
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i),
  );

const converted = (call: Call, x: Known, dtype: DType): readonly Known[] => {
  if (!isFloat(dtype) && !x.values.every(Number.isFinite)) {
    throw new DTypeError(`${call.what}: ${dtype} cannot hold a value: got one that is not finite`, { dtype });
  }
  return [Known.of(dtype, x.shape, x.values)];
};

function gathered(call: Call, x: Known, index: Known): readonly Known[] | undefined {
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  const size = x.shape[axis]!;
  const before = x.shape.slice(0, axis);
  const after = x.shape.slice(axis + 1);
  const shape = [...before, ...index.shape, ...after];
  if (sizeOf(shape) > mostKnown || !index.values.every((place) => place >= -size && place < size)) return undefined;
  const step = sizeOf(after);
  const values = Array.from({ length: sizeOf(before) }, (_, row) =>
    index.values.flatMap((place) => {
      const start = (row * size + (place < 0 ? place + size : place)) * step;
      return x.values.slice(start, start + step);
    }),
  ).flat();
  return [new Known(x.dtype, shape, values)];
}

function sliced(call: Call, x: Known): readonly Known[] {
  const strides = [...contiguousStrides(x.shape)];
  const shape = [...x.shape];
  let offset = 0;
  for (const { axis, start, step, count } of sliceRuns(call, x.shape)) {
    offset += start * strides[axis]!;
    strides[axis]! *= step;
    shape[axis] = count;
  }
  return [strided(x, shape, strides, offset)];
}

function split(call: Call, x: Known): readonly Known[] {
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  const strides = contiguousStrides(x.shape);
  let start = 0;
  return splitSizes(call, x.shape, axis).map((size) => {
    const part = strided(x, x.shape.with(axis, size), strides, start * strides[axis]!);
    start += size;
    return part;
  });
}

function joined(call: Call, inputs: readonly Known[]): readonly Known[] | undefined {
  const { shape, axis } = concatenated(call, inputs);
  if (sizeOf(shape) > mostKnown) return undefined;
  const rows = sizeOf(shape.slice(0, axis));
  const values = Array.from({ length: rows }, (_, row) =>
    inputs.flatMap((x) => {
      const length = x.size / rows;
      return x.values.slice(row * length, (row + 1) * length);
    }),
  ).flat();
  return [new Known(inputs[0]!.dtype, shape, values)];
}

function permuted(call: Call, x: Known): readonly Known[] {
  const order = call.ints('perm', x.shape.map((_, axis) => axis).reverse()).map((axis) => axisOf(call, axis, x.shape));
  const strides = contiguousStrides(x.shape);
  return [
    strided(
      x,
      order.map((axis) => x.shape[axis]!),
      order.map((axis) => strides[axis]!),
    ),
  ];
}

/** As ONNX names them, in the domain of its own operators. */
export const foldings: ReadonlyMap<string, Folding> = new Map<string, Folding>(
  Object.entries({
    Abs: pointwise(Math.abs),
    Add: pointwise((a, b) => a + b),
    And: pointwise((a, b) => a & b, true),
    Cast: (call, [x]) => converted(call, x!, dtypeOf(call.what, call.int('to'))),
    CastLike: needing(2, (call, [x, like]) => converted(call, x!, like!.dtype)),
    Ceil: pointwise(Math.ceil),
    Concat: joined,
    Div: byDType((dtype) => (isFloat(dtype) ? (a, b) => a / b : (a, b) => Math.trunc(a / b))),
    Equal: pointwise((a, b) => Number(a === b), true),
    Expand: needing(2, (call, [x, sizes]) => {
      const shape = broadcastShapes(call.what, x!.shape, sizes!.values);
      return sizeOf(shape) > mostKnown ? undefined : [broadcast(x!, shape)];
    }),
    Floor: pointwise(Math.floor),
    Gather: needing(2, (call, [x, index]) => gathered(call, x!, index!)),
    Greater: pointwise((a, b) => Number(a > b), true),
    GreaterOrEqual: pointwise((a, b) => Number(a >= b), true),
    Identity: (_, [x]) => [x!],
    Less: pointwise((a, b) => Number(a < b), true),
    LessOrEqual: pointwise((a, b) => Number(a <= b), true),
    Max: pointwise((...values) => Math.max(...values)),
    Min: pointwise((...values) => Math.min(...values)),
    Mod: byDType((_, call) => (call.int('fmod', 0) === 1 ? (a, b) => a % b : remainder)),
    Mul: pointwise((a, b) => a * b),
    Neg: pointwise((a) => 0 - a),
    Not: pointwise((a) => 1 - a, true),
    Or: pointwise((a, b) => a | b, true),
    ReduceMax: reduction((values) => Math.max(...values)),
    ReduceMin: reduction((values) => Math.min(...values)),
    ReduceProd: reduction((values) => values.reduce((a, b) => a * b, 1)),
    ReduceSum: reduction((values) => values.reduce((a, b) => a + b, 0)),
    Relu: pointwise((a) => Math.max(a, 0)),
    Reshape: (call, [x]) => reshaped(x!, resolvedShape(call, x!.shape)),
    Round: pointwise(halfToEven),
    Slice: (call, [x]) => sliced(call, x!),
    Split: (call, [x]) => split(call, x!),
    Sqrt: pointwise(Math.sqrt),
    Squeeze: (call, [x]) => reshaped(x!, squeezedShape(call, x!.shape)),
    Sub: pointwise((a, b) => a - b),
    Transpose: (call, [x]) => permuted(call, x!),
    Unsqueeze: (call, [x]) => reshaped(x!, unsqueezedShape(call, x!.shape)),
    Where: pointwise((condition, a, b) => (condition === 0 ? b : a)),
    Xor: pointwise((a, b) => a ^ b, true),
  } satisfies Record<string, Folding>),
);
