/** What operators' attributes and known inputs say about shapes: one reading of each, for tensors and for known values. */
import { FormatError } from '../../errors';
import { normalizeAxis, show, sizeOf } from '../../tensor/shapes';
import type { Call } from '../call';

export const axisOf = (call: Call, axis: number, shape: readonly number[]): number =>
  normalizeAxis(call.what, axis, shape);

export const axesOf = (call: Call, axes: readonly number[], shape: readonly number[]): number[] =>
  axes.map((axis) => axisOf(call, axis, shape));

/** A list that is an attribute before a version, and from it on an input. */
export function listOf(call: Call, name: string, input: number, since: number): readonly number[] | undefined {
  return call.version >= since ? call.knownOptional(input) : call.ints(name);
}

/** Since when the axes of a reduction are an input. */
const axesAreInput = (call: Call): number => (call.what.startsWith('onnx: ReduceSum ') ? 13 : 18);

/** The axes that a reduction is over, and whether they stay with size 1. */
export function reducedAxes(call: Call, shape: readonly number[]): { axes: readonly number[]; keep: boolean } {
  const given = listOf(call, 'axes', 1, axesAreInput(call)) ?? [];
  const all = given.length === 0 && call.int('noop_with_empty_axes', 0) === 0;
  return {
    axes: all ? shape.map((_, axis) => axis) : axesOf(call, given, shape),
    keep: call.int('keepdims', 1) !== 0,
  };
}

/** The shape that Reshape asks for. */
export function resolvedShape(call: Call, from: readonly number[]): readonly number[] {
  const wanted = call.version >= 5 ? call.known(1) : call.ints('shape', []);
  const copies = call.int('allowzero', 0) === 0;
  const shape = wanted.map((size, axis) => (size === 0 && copies ? (from[axis] ?? 0) : size));
  const open = shape.indexOf(-1);
  const rest = sizeOf(shape.filter((size) => size !== -1));
  const target = open < 0 ? shape : shape.with(open, rest === 0 ? 0 : sizeOf(from) / rest);
  if (target.every((size) => Number.isSafeInteger(size) && size >= 0) && sizeOf(target) === sizeOf(from)) return target;
  throw new FormatError(`${call.what}: shape: got ${show(wanted)}, expected one for the elements of ${show(from)}`);
}

export function squeezedShape(call: Call, shape: readonly number[]): readonly number[] {
  const axes = listOf(call, 'axes', 1, 13);
  const gone =
    axes === undefined ? shape.flatMap((size, axis) => (size === 1 ? [axis] : [])) : axesOf(call, axes, shape);
  const wrong = gone.find((axis) => shape[axis] !== 1);
  if (wrong !== undefined)
    throw new FormatError(`${call.what}: axis ${wrong}: got shape ${show(shape)}, expected size 1`);
  return shape.filter((_, axis) => !gone.includes(axis));
}

export function unsqueezedShape(call: Call, shape: readonly number[]): readonly number[] {
  const axes = listOf(call, 'axes', 1, 13) ?? [];
  const result = new Array<number>(shape.length + axes.length).fill(NaN);
  for (const axis of axesOf(call, axes, result)) result[axis] = 1;
  let next = 0;
  return result.map((size) => (Number.isNaN(size) ? shape[next++]! : size));
}

export function concatenated(
  call: Call,
  inputs: readonly { readonly shape: readonly number[] }[],
): { shape: readonly number[]; axis: number } {
  const first = inputs[0]?.shape ?? call.refuse('inputs', 'none', 'at least one');
  const axis = axisOf(call, call.int('axis', call.version < 4 ? 1 : undefined), first);
  for (const { shape } of inputs) {
    if (shape.length === first.length && shape.every((size, i) => i === axis || size === first[i])) continue;
    throw new FormatError(`${call.what}: shapes differ: got ${show(first)} and ${show(shape)}, axis ${axis} apart`);
  }
  return {
    shape: first.with(
      axis,
      inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0),
    ),
    axis,
  };
}

/** The sizes that Split cuts an axis into. */
export function splitSizes(call: Call, shape: readonly number[], axis: number): readonly number[] {
  const given = listOf(call, 'split', 1, 13);
  const size = shape[axis]!;
  if (given !== undefined && given.length > 0) return given;
  const count = call.int('num_outputs', call.names.outputs.length);
  const part = Math.ceil(size / count);
  return Array.from({ length: count }, (_, i) => Math.max(Math.min(part, size - i * part), 0));
}

/** What Slice takes of an axis: `count` positions from `start` on. */
interface SliceRun {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

export function sliceRuns(call: Call, shape: readonly number[]): SliceRun[] {
  const isInput = call.version >= 10;
  const starts = isInput ? call.known(1) : call.ints('starts', []);
  const ends = isInput ? call.known(2) : call.ints('ends', []);
  const axes = (isInput ? call.knownOptional(3) : call.ints('axes')) ?? starts.map((_, axis) => axis);
  const steps = (isInput ? call.knownOptional(4) : undefined) ?? starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    throw new FormatError(
      `${call.what}: lengths differ: got ${starts.length} starts, ${ends.length} ends, ${axes.length} axes, ${steps.length} steps`,
    );
  }
  return axes.map((given, i) => {
    const axis = axisOf(call, given, shape);
    const size = shape[axis]!;
    const step = steps[i]!;
    if (step === 0) throw new FormatError(`${call.what}: steps: got 0, expected another number`);
    const place = (position: number, least: number, most: number): number =>
      Math.min(Math.max(position < 0 ? position + size : position, least), most);
    const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
    const start = place(starts[i]!, step > 0 ? 0 : Math.min(0, most), most);
    const end = place(ends[i]!, least, most);
    return { axis, start: Math.max(start, 0), step, count: Math.max(Math.ceil((end - start) / step), 0) };
  });
}
