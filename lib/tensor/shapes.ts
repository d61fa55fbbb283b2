/** Shapes at run time: sizes, strides, axes and broadcasting, with the errors users see. The compile-time twins are in shape-types.ts. */
import { ArgumentError, ShapeError } from '../errors';
import { describe, shown } from './describe';
import type { Shape } from './shape-types';

/** The highest rank that native code takes (kMaxRank in native/runtime/tensor_view.h). */
export const maxRank = 8;

/** The number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let axis = 0; axis < shape.length; axis++) size *= shape[axis]!;
  return size;
}

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * The strides of a dense tensor of `shape` whose axes lie in memory in the order of those of a tensor with `strides`, axis by axis; row-major where that
 * has shared elements or its last axis is not the innermost one.
 */
export function stridesInOrderOf(strides: readonly number[], shape: Shape): number[] {
  const innermost = shape.length - 1;
  const order = shape.map((_, axis) => axis).sort((a, b) => strides[b]! - strides[a]! || a - b);
  if (order[innermost] !== innermost || strides.includes(0)) return contiguousStrides(shape);
  const inOrder = contiguousStrides(order.map((axis) => shape[axis]!));
  const result = new Array<number>(shape.length);
  order.forEach((axis, i) => (result[axis] = inOrder[i]!));
  return result;
}

/** The strides of a dense tensor [n, c, …] in the order of [n, …, c]: the channels of a position side by side. */
export function channelsLastStrides(shape: Shape): number[] {
  const [n, ...rest] = contiguousStrides([shape[0]!, ...shape.slice(2), shape[1]!]);
  return [n!, rest.at(-1)!, ...rest.slice(0, -1)];
}

/** Whether a tensor [n, c, …] lies so, and not in row-major order as well. */
export function isChannelsLast(shape: Shape, strides: readonly number[]): boolean {
  if (shape.length < 3 || strides[1] !== 1 || isContiguous(shape, strides)) return false;
  let expected = shape[1]!;
  for (let i = shape.length - 1; i >= 1; i--) {
    const axis = i === 1 ? 0 : i; // the positions, then the images around them
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** Row-major strides with gaps, so that rows of 16-bit elements begin at multiples of 16 bytes; undefined where there need be none, or rows are short. */
export function alignedRowStrides(shape: Shape): number[] | undefined {
  const width = shape.at(-1) ?? 0;
  if (width % 8 === 0 || width < 1024) return undefined;
  return contiguousStrides([...shape.slice(0, -1), width + 8 - (width % 8)]);
}

/** How many elements a fresh tensor with these strides, row-major ones unless given, takes in memory. */
export function extentOf(shape: Shape, strides?: readonly number[]): number {
  const size = sizeOf(shape);
  if (strides === undefined || size === 0) return size;
  let last = 0;
  for (let axis = 0; axis < shape.length; axis++) last += (shape[axis]! - 1) * strides[axis]!;
  return last + 1;
}

/** Whether elements with these strides lie in row-major order without gaps. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return shape.includes(0);
    expected *= shape[axis]!;
  }
  return true;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** A shape as errors print it. */
export function show(shape: Shape): string {
  return `[${(shape as readonly unknown[]).map(shown).join(', ')}]`;
}

/** The axis counted from the front. Throws `ShapeError` when it is out of range. */
export function normalizeAxis(op: string, axis: number, shape: Shape): number {
  const rank = shape.length;
  if (!Number.isInteger(axis)) {
    throw new ArgumentError(`${op}: axis: got ${shown(axis)}, expected an integer`);
  }
  if (axis < -rank || axis >= rank) {
    throw new ShapeError(`${op}: axis ${axis} out of range for shape ${show(shape)}`, { op, axis, shape });
  }
  return axis < 0 ? axis + rank : axis;
}

/** The axes counted from the front, ascending; all of them for `undefined`. Throws on duplicates. */
export function normalizeAxes(op: string, axes: number | readonly number[] | undefined, shape: Shape): number[] {
  if (axes === undefined) return shape.map((_, axis) => axis);
  if (typeof axes !== 'number' && !Array.isArray(axes)) {
    throw new ArgumentError(`${op}: axes: got ${describe(axes)}, expected an integer or a list of them`);
  }
  const list = (typeof axes === 'number' ? [axes] : (axes as readonly number[])).map((axis) =>
    normalizeAxis(op, axis, shape),
  );
  list.sort((a, b) => a - b);
  for (let i = 1; i < list.length; i++) {
    if (list[i] === list[i - 1]) {
      throw new ShapeError(`${op}: axis ${list[i]} given twice for shape ${show(shape)}`, { op, axes, shape });
    }
  }
  return list;
}

/** Throws unless every entry is a size: a non-negative safe integer, at most 8 of them, whose product is safe too. */
export function checkShape(op: string, shape: Shape): void {
  if (!Array.isArray(shape)) {
    throw new ArgumentError(`${op}: shape: got ${shown(shape)}, expected an array of sizes`);
  }
  if (shape.length > maxRank) {
    throw new ShapeError(`${op}: too many axes: got ${shape.length}, expected at most ${maxRank}`, { op, shape });
  }
  let size = 1;
  for (const entry of shape as readonly unknown[]) {
    if (typeof entry !== 'number' || !Number.isSafeInteger(entry) || entry < 0) {
      throw new ShapeError(
        `${op}: not a size: got ${shown(entry)} in shape [${shape.map(shown).join(', ')}], expected a non-negative integer`,
        {
          op,
          shape,
        },
      );
    }
    size *= entry;
  }
  if (!Number.isSafeInteger(size)) {
    throw new ShapeError(`${op}: too many elements: got shape ${show(shape)}, expected at most 2^53 - 1 elements`, {
      op,
      shape,
    });
  }
}

/** The common shape of two operands under NumPy's broadcasting rules. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  return sameShape(a, b) ? a : broadcast(op, a, b);
}

function broadcast(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let axis = 0; axis < rank; axis++) {
    const sizeA = a[axis - rank + a.length] ?? 1;
    const sizeB = b[axis - rank + b.length] ?? 1;
    if (sizeA !== sizeB && sizeA !== 1 && sizeB !== 1) {
      throw new ShapeError(
        `${op}: shapes ${show(a)} and ${show(b)} do not broadcast: ${sizeA} vs ${sizeB} at axis ${axis - rank}`,
        { op, a, b },
      );
    }
    shape[axis] = sizeA === 1 ? sizeB : sizeA;
  }
  return shape;
}
