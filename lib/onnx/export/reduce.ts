/** Reductions, scans, and what sorts or searches along an axis. */
import { isFloat, type DType } from '../../tensor/dtype';
import type { Event, Size, Value } from '../trace';
import { sameSize, type Graph, type Table, type Writer } from './graph';
import { computed } from './pointwise';

/** The operand of an op of one tensor. */
export const operandOf = ({ inputs }: Event, at = 0): Value => inputs[at] as Value;

/** Reduces over the axes that have size 1 for the kernel, and drops what the result has not. */
function reduced(graph: Graph, event: Event, name: string, opType: string): string {
  const { shape } = operandOf(event);
  const { shape: result } = event.outputs[0]!;
  const ones = shape.flatMap((_, axis) => (event.kept[axis] === 1 ? [axis] : []));
  // Over nothing is over an axis of size 1 behind the others.
  if (ones.length === 0) return graph.node(opType, [graph.node('Unsqueeze', [name, graph.sizes([-1])]), graph.sizes([-1])], { keepdims: 0 }); // prettier-ignore
  const keepdims = result.length === shape.length ? 1 : 0;
  const rest = shape.filter((_, axis) => !ones.includes(axis));
  if (keepdims === 1 || (rest.length === result.length && rest.every((size, i) => sameSize(size, result[i])))) {
    return graph.node(opType, [name, graph.sizes(ones)], { keepdims });
  }
  return graph.reshape(graph.node(opType, [name, graph.sizes(ones)], { keepdims: 1 }), event.kept, result);
}

/** A reduction in the dtype of its result, after `first`. */
const reduction =
  (opType: string, first: (graph: Graph, x: string, event: Event) => string = (_, x) => x): Writer =>
  (graph, event) => {
    const x = operandOf(event);
    const { dtype } = event.outputs[0]!;
    const own = computed(dtype);
    return graph.cast(
      reduced(graph, event, first(graph, graph.cast(graph.name(x), x.dtype, own), event), opType),
      own,
      dtype,
    );
  };

/** Whether some element is not 0, or is. */
const some =
  (isZero: boolean): Writer =>
  (graph, event) => {
    const x = operandOf(event);
    const bools = graph.cast(graph.name(x), x.dtype, 'bool');
    const asked = isZero ? graph.node('Not', [bools]) : bools;
    const found = graph.cast(reduced(graph, event, graph.cast(asked, 'bool', 'int32'), 'ReduceSum'), 'int32', 'bool');
    return isZero ? graph.node('Not', [found]) : found;
  };

const norm: Writer = (graph, event) => {
  const [order] = graph.fixedAll(event.attributes, 'the order of a norm');
  const { dtype } = event.outputs[0]!;
  const abs = (_: Graph, x: string): string => graph.node('Abs', [x]);
  if (order === 0) {
    const isThere = (x: string): string => graph.node('Not', [graph.node('Equal', [x, graph.number(0, dtype)])]);
    return reduction('ReduceSum', (_, x) => graph.cast(isThere(x), 'bool', dtype))(graph, event);
  }
  const named = new Map([
    [1, 'ReduceL1'],
    [2, 'ReduceL2'],
    [Infinity, 'ReduceMax'],
    [-Infinity, 'ReduceMin'],
  ]).get(order!);
  if (named !== undefined) return reduction(named, abs)(graph, event);
  const powers = reduction('ReduceSum', (_, x) => graph.node('Pow', [abs(graph, x), graph.number(order!, dtype)]));
  return graph.node('Pow', [powers(graph, event) as string, graph.number(1 / order!, dtype)]);
};

/** The norms of all differences of rows, for which there is room as for the kernel there need not be. */
const cdist: Writer = (graph, event) => {
  const [p] = graph.fixedAll(event.attributes, 'the order of a norm');
  const { dtype } = event.outputs[0]!;
  const [a, b] = [operandOf(event, 0), operandOf(event, 1)].map((x, i) =>
    graph.node('Unsqueeze', [graph.name(x), graph.sizes([i === 0 ? -2 : -3])]),
  ) as [string, string];
  const difference = graph.node('Sub', [a, b]);
  const over = (name: string, x: string): string => graph.node(name, [x, graph.sizes([-1])], { keepdims: 0 });
  if (p === 1) return over('ReduceL1', difference);
  if (p === 2) return over('ReduceL2', difference);
  const size = graph.node('Abs', [difference]);
  if (p === Infinity) return over('ReduceMax', size);
  if (p === 0) {
    const isThere = graph.node('Not', [graph.node('Equal', [size, graph.number(0, dtype)])]);
    return over('ReduceSum', graph.cast(isThere, 'bool', dtype));
  }
  const total = over('ReduceSum', graph.node('Pow', [size, graph.number(p!, dtype)]));
  return graph.node('Pow', [total, graph.number(1 / p!, dtype)]);
};

/** Mean and variance over the axes that the kernel keeps at size 1. */
const varMean: Writer = (graph, event) => {
  const x = operandOf(event);
  const axes = x.shape.flatMap((_, axis) => (event.kept[axis] === 1 ? [axis] : []));
  const name = graph.name(x);
  const mean = graph.node('ReduceMean', [name, graph.sizes(axes)]);
  const off = graph.node('Sub', [name, mean]);
  const total = graph.node('ReduceSum', [graph.node('Mul', [off, off]), graph.sizes(axes)]);
  const counts = axes.map((axis) => x.shape[axis]!);
  const count = counts
    .map((size) => graph.number(size, x.dtype))
    .reduce((a, b) => graph.node('Mul', [a, b]), graph.number(1, x.dtype));
  const [correction] = event.attributes;
  const divisor = correction === 0 ? count : graph.node('Sub', [count, graph.number(correction!, x.dtype)]);
  const kept = counts.every((size) => typeof size === 'number')
    ? graph.number(Math.max(counts.reduce((a, b) => a * b, 1) - (correction as number), 0), x.dtype)
    : divisor;
  return [graph.node('Div', [total, kept]), mean];
};

/** What runtimes compare elements in. */
const comparable = (dtype: DType): DType => (isFloat(dtype) ? dtype : dtype === 'int64' ? 'int64' : 'int32');

const extreme =
  (opType: string): Writer =>
  (graph, event) => {
    const x = operandOf(event);
    const [axis] = graph.fixedAll(event.attributes, 'an axis');
    const own = x.dtype === 'int64' ? 'float64' : comparable(x.dtype);
    const name = graph.cast(graph.name(x), x.dtype, own);
    const isWhole = axis === -1;
    const lines = isWhole ? graph.node('Reshape', [name, graph.sizes([-1])]) : name;
    const y = graph.node(opType, [lines], { axis: isWhole ? 0 : axis!, keepdims: 1 });
    return graph.reshape(y, isWhole ? [1] : event.kept, event.outputs[0]!.shape);
  };

/** The `count` first elements in order along an axis, and where they stand. */
function ordered(graph: Graph, event: Event, axis: number, largest: number, count: Size): [string, string] {
  const x = operandOf(event);
  const own = comparable(x.dtype);
  // A scalar is one line.
  const lines = x.shape.length === 0 ? graph.reshape(graph.name(x), [], [1]) : graph.name(x);
  const inputs = [graph.cast(lines, x.dtype, own), graph.sizes([count])];
  const [values, places] = graph.nodeOf('TopK', inputs, { axis, largest, sorted: 1 }, 2) as [string, string];
  return [graph.cast(values, own, x.dtype), places];
}

const inShape = (graph: Graph, { outputs }: Event, names: readonly string[], kept: readonly Size[]): string[] =>
  names.map((name) => (outputs[0]!.shape.length === kept.length ? name : graph.reshape(name, kept, outputs[0]!.shape)));

/** As many of the first elements as `shapeOf` has along the axis. */
const firsts =
  (shapeOf: (event: Event) => readonly Size[]): Writer =>
  (graph, event) => {
    const [axis, order] = graph.fixedAll(event.attributes, 'an axis') as [number, number];
    const shape = shapeOf(event);
    const picked = ordered(graph, event, axis, order, shape[axis] ?? 1);
    return inShape(graph, event, picked, shape.length === 0 ? [1] : shape);
  };
const sort = firsts((event) => operandOf(event).shape);
const topk = firsts(({ outputs }) => outputs[0]!.shape);

const kthValue: Writer = (graph, event) => {
  const [axis, descending, k] = event.attributes as [number, number, Size];
  const { shape } = operandOf(event);
  const size = shape[axis] ?? 1;
  const last = graph.node('Sub', [graph.sizes([k]), graph.sizes([1])]);
  const picked = ordered(graph, event, axis, descending, typeof k === 'number' ? k : size).map((name) =>
    graph.node('Gather', [name, last], { axis }),
  );
  return inShape(graph, event, picked, shape.length === 0 ? [1] : event.kept);
};

/** Each element of the result from all up to its place, where ONNX has no scan: a matrix of places times places. */
function overTriangle(graph: Graph, event: Event, outside: number): { square: string; axis: number } {
  const x = operandOf(event);
  const [axis] = graph.fixedAll(event.attributes.slice(0, 1), 'an axis') as [number];
  const { dtype } = event.outputs[0]!;
  const size = x.shape[axis]!;
  const places = graph.node('Range', [graph.number(0, 'int64'), graph.number(size, 'int64'), graph.number(1, 'int64')]);
  const upTo = graph.node('LessOrEqual', [places, graph.node('Unsqueeze', [places, graph.sizes([-1])])]);
  const behind = x.shape.length - 1 - axis;
  const seen =
    behind === 0 ? upTo : graph.node('Unsqueeze', [upTo, graph.sizes(Array.from({ length: behind }, (_, i) => 2 + i))]);
  const own = computed(dtype);
  const rows = graph.node('Unsqueeze', [graph.cast(graph.name(x), x.dtype, own), graph.sizes([axis])]);
  return { square: graph.node('Where', [seen, rows, graph.number(outside, own)]), axis: axis + 1 };
}

const scanned =
  (opType: string, outside: number): Writer =>
  (graph, event) => {
    const { square, axis } = overTriangle(graph, event, outside);
    const { dtype } = event.outputs[0]!;
    return graph.cast(graph.node(opType, [square, graph.sizes([axis])], { keepdims: 0 }), computed(dtype), dtype);
  };

const bounds = { int64: 2 ** 53, int32: 2 ** 31 - 1, int16: 2 ** 15, int8: 2 ** 7, uint8: 2 ** 8, bool: 2 } as const;

const scannedExtreme =
  (sign: 1 | -1): Writer =>
  (graph, event) => {
    const { dtype } = event.outputs[0]!;
    const outside = isFloat(dtype) ? -sign * Infinity : -sign * bounds[dtype as 'int64'];
    const { square, axis } = overTriangle(graph, event, outside);
    const own = computed(dtype);
    const values = graph.node(sign > 0 ? 'ReduceMax' : 'ReduceMin', [square, graph.sizes([axis])], { keepdims: 0 });
    const lines = own === 'int64' ? graph.cast(square, own, 'float64') : square;
    const places = graph.node(sign > 0 ? 'ArgMax' : 'ArgMin', [lines], { axis, keepdims: 0, select_last_index: 1 });
    return [graph.cast(values, own, dtype), places];
  };

const cumsum: Writer = (graph, event) => {
  const x = operandOf(event);
  const [axis, reverse] = graph.fixedAll(event.attributes, 'an axis') as [number, number];
  const { dtype } = event.outputs[0]!;
  const own = dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : computed(dtype);
  const inputs = [graph.cast(graph.name(x), x.dtype, own), graph.number(axis, 'int64')];
  return graph.cast(graph.node('CumSum', inputs, { reverse }), own, dtype);
};

/** A recurrence whose runs double: each sum takes in that of the run before it, or behind it in reverse, times the factors of its own run. */
const linearScan: Writer = (graph, event) => {
  const [a, b] = [operandOf(event, 0), operandOf(event, 1)];
  const [axis, reverse] = graph.fixedAll(event.attributes, 'an axis') as [number, number];
  const length = graph.fixed(b.shape[axis]!, 'the length of a recurrence');
  const part = (name: string, ...ends: readonly [start: number, end: number]): string =>
    graph.node('Slice', [name, ...[...ends, axis].map((size) => graph.sizes([size]))]);
  const joined = (...parts: readonly string[]): string => graph.node('Concat', parts, { axis });
  let [sums, factors] = [graph.name(b), graph.name(a)];
  for (let run = 1; run < length; run *= 2) {
    const rest = length - run;
    const own = part(factors, run, length);
    const [first, later] = [part(sums, 0, rest), part(sums, run, length)];
    const added = (sum: string, other: string): string => graph.node('Add', [sum, graph.node('Mul', [own, other])]);
    sums =
      reverse === 0
        ? joined(part(sums, 0, run), added(later, first))
        : joined(added(first, later), part(sums, rest, length));
    factors = joined(part(factors, 0, run), graph.node('Mul', [own, part(factors, 0, rest)]));
  }
  return sums;
};

/** The place of each number among sorted ones: how many of them are before it. */
const searchSorted: Writer = (graph, event) => {
  const [sorted, x] = [operandOf(event, 0), operandOf(event, 1)];
  const own = isFloat(sorted.dtype) ? sorted.dtype : comparable(sorted.dtype);
  const [all, sought] = [sorted, x].map((value) => graph.cast(graph.name(value), value.dtype, own)) as [string, string];
  const column = graph.node('Unsqueeze', [sought, graph.sizes([-1])]);
  const rows = sorted.shape.length === 1 ? all : graph.node('Unsqueeze', [all, graph.sizes([-2])]);
  const isBefore = graph.node(event.attributes[0] === 1 ? 'LessOrEqual' : 'Less', [rows, column]);
  return graph.node('ReduceSum', [graph.cast(isBefore, 'bool', 'int64'), graph.sizes([-1])], { keepdims: 0 });
};

export const reduce: Table = {
  sum: reduction('ReduceSum'),
  mean: reduction('ReduceMean'),
  prod: reduction('ReduceProd'),
  amax: reduction('ReduceMax'),
  amin: reduction('ReduceMin'),
  any: some(false),
  all: some(true),
  logSumExp: reduction('ReduceLogSumExp'),
  norm,
  cdist,
  varMean,
  argmax: extreme('ArgMax'),
  argmin: extreme('ArgMin'),
  cumsum,
  cumprod: scanned('ReduceProd', 1),
  logCumSumExp: scanned('ReduceLogSumExp', -Infinity),
  linearScan,
  cummax: scannedExtreme(1),
  cummin: scannedExtreme(-1),
  sort,
  topk,
  kthValue,
  searchSorted,
};
