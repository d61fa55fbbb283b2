/** Views, and ops that move elements: between axes, together, to the side, and by index. */
import { isFloat } from '../../tensor/dtype';
import { Varying, type Event, type Size, type Value } from '../trace';
import { sameSize, type Graph, type Table, type Writer } from './graph';
import { operandOf } from './reduce';
import { computed } from './pointwise';

const reshape: Writer = (graph, event) =>
  graph.reshape(graph.name(operandOf(event)), operandOf(event).shape, event.outputs[0]!.shape);

const permute: Writer = (graph, event) =>
  graph.node('Transpose', [graph.name(operandOf(event))], { perm: event.context as number[] });

/** Axes that stay as they are expand to 1. */
const expand: Writer = (graph, event) => {
  const { shape } = operandOf(event);
  const target = event.outputs[0]!.shape;
  const missing = target.length - shape.length;
  const sizes = target.map((size, axis) => (sameSize(size, shape[axis - missing]) ? 1 : size));
  return graph.node('Expand', [graph.name(operandOf(event)), graph.sizes(sizes)]);
};

/** The numbers of a size at each size of the pass. */
const valuesOf = (size: Size, like: readonly Size[]): readonly number[] => {
  if (size instanceof Varying) return size.values;
  const other = like.find((each) => each instanceof Varying);
  return other === undefined ? [size] : other.values.map(() => size);
};

const END = Number.MAX_SAFE_INTEGER;

const slice: Writer = (graph, event) => {
  const { shape } = operandOf(event);
  const { axis, start, step } = event.context as { axis: number; start: Size; step: number };
  const total = shape[axis]!;
  const count = event.outputs[0]!.shape[axis]!;
  const all = [total, count, start];
  const [totals, counts, starts] = all.map((size) => valuesOf(size, all)) as [number[], number[], number[]];
  const ends = starts.map((from, i) => from + (counts[i]! - 1) * step + 1);
  // A range that ends with the axis, or as far from its end at every size, is one from the end.
  const toEnd = ends.map((end, i) => totals[i]! - end);
  const left = toEnd[0]!;
  let end: Size = ends.every((own) => own === ends[0]) ? ends[0]! : new Varying(ends);
  if (toEnd.every((own, i) => own < step && counts[i]! > 0) && total instanceof Varying) end = END;
  else if (end instanceof Varying && toEnd.every((own) => own === left)) end = -left;
  if (counts.every((own) => own === 0)) end = start;
  let from = start;
  if (start instanceof Varying) {
    const fromEnd = starts.map((own, i) => own - totals[i]!);
    if (fromEnd.every((own) => own === fromEnd[0] && own < 0)) from = fromEnd[0]!;
  }
  const inputs = [[from], [end], [axis], [step]].map((sizes) => graph.sizes(sizes));
  return graph.node('Slice', [graph.name(operandOf(event)), ...inputs]);
};

/** Elements at places of the last axes that do not change from size to size, as one axis after another. */
function pickedAtEnd(
  graph: Graph,
  event: Event,
  joined: number,
  places: readonly number[],
  shape: readonly number[],
): string {
  const x = operandOf(event);
  const front = x.shape.slice(0, x.shape.length - joined);
  const flat = graph.reshape(graph.name(x), x.shape, [
    ...front,
    graph.fixedAll(x.shape.slice(-joined), 'a size').reduce((a, b) => a * b, 1),
  ]);
  return graph.node('Gather', [flat, graph.constant('int64', shape, places)], { axis: front.length });
}

const diagonal: Writer = (graph, event) => {
  const offset = event.context as number;
  const [, columns] = graph.fixedAll(operandOf(event).shape.slice(-2), 'a size of matrices with a diagonal') as [
    number,
    number,
  ];
  const length = graph.fixed(event.outputs[0]!.shape.at(-1)!, 'the length of a diagonal');
  const first = offset >= 0 ? offset : -offset * columns;
  const places = Array.from({ length }, (_, i) => first + i * (columns + 1));
  return pickedAtEnd(graph, event, 2, places, [length]);
};

const frame: Writer = (graph, event) => {
  const [count, size] = graph.fixedAll(event.outputs[0]!.shape.slice(-2), 'the number of frames') as [number, number];
  const { hop } = event.context as { hop: number };
  const places = Array.from({ length: count * size }, (_, i) => Math.floor(i / size) * hop + (i % size));
  return pickedAtEnd(graph, event, 1, places, [count, size]);
};

/** Where the elements of a view lie in the memory that it looks at. */
function placesIn(graph: Graph, { context }: Event): { readonly shape: number[]; readonly places: number[] } {
  const own = context as { shape: Size[]; strides: Size[]; offset: Size };
  const [shape, strides, [offset]] = [own.shape, own.strides, [own.offset]].map((sizes) =>
    graph.fixedAll(sizes, 'a place in memory'),
  ) as [number[], number[], [number]];
  const places = shape.reduce(
    (all, size, axis) => all.flatMap((place) => Array.from({ length: size }, (_, i) => place + i * strides[axis]!)),
    [offset],
  );
  return { shape, places };
}

const flattened = (graph: Graph, value: Value): string => graph.node('Reshape', [graph.name(value), graph.sizes([-1])]);

const strided: Writer = (graph, event) => {
  const { shape, places } = placesIn(graph, event);
  const flat = flattened(graph, operandOf(event));
  return graph.node('Gather', [flat, graph.constant('int64', shape, places)], { axis: 0 });
};

/** All of a memory after a part of it was written in place. */
const write: Writer = (graph, event) => {
  const { places } = placesIn(graph, event);
  const [whole, part] = [operandOf(event, 0), operandOf(event, 1)];
  const inputs = [flattened(graph, whole), graph.constant('int64', [places.length], places), flattened(graph, part)];
  return graph.reshape(graph.node('ScatterElements', inputs, { axis: 0 }), [], event.outputs[0]!.shape);
};

const cat: Writer = (graph, { inputs, attributes: [axis] }) =>
  graph.node(
    'Concat',
    inputs.map((input) => graph.operand(input)),
    { axis: graph.fixed(axis!, 'an axis') },
  );

const padModes = ['constant', 'reflect', 'edge', 'wrap'];

const pad: Writer = (graph, event) => {
  const x = operandOf(event);
  const { dtype, shape } = event.outputs[0]!;
  const [mode, value, ...before] = event.attributes as [number, Size, ...Size[]];
  const all = [...before, ...shape, ...x.shape];
  const after = shape.map((size, axis): Size => {
    const [to, from, first] = [size, x.shape[axis]!, before[axis]!].map((own) => valuesOf(own, all)) as number[][];
    const counts = to!.map((own, i) => own - from![i]! - first![i]!);
    return counts.every((count) => count === counts[0]) ? counts[0]! : new Varying(counts);
  });
  const own = isFloat(dtype) ? dtype : computed(dtype);
  const fill = mode === 0 ? graph.number(value, own) : '';
  const inputs = [graph.cast(graph.name(x), dtype, own), graph.sizes([...before, ...after]), fill];
  return graph.cast(graph.node('Pad', inputs, { mode: padModes[mode] }), own, dtype);
};

const flip: Writer = (graph, event) => {
  const [mask] = graph.fixedAll(event.attributes, 'axes') as [number];
  const axes = operandOf(event).shape.flatMap((_, axis) => ((mask >> axis) & 1 ? [axis] : []));
  if (axes.length === 0) return graph.name(operandOf(event));
  const inputs = [axes.map(() => -1), axes.map(() => -END), axes, axes.map(() => -1)].map((sizes) =>
    graph.sizes(sizes),
  );
  return graph.node('Slice', [graph.name(operandOf(event)), ...inputs]);
};

const embedding: Writer = (graph, { inputs: [weight, index] }) =>
  graph.node('Gather', [graph.operand(weight), graph.operand(index)], { axis: 0 });

const embeddingBag: Writer = (graph, event) => {
  const [weight, index, offsets] = event.inputs;
  const rows = graph.node('Gather', [graph.operand(weight), graph.operand(index)], { axis: 0 });
  const isMean = graph.fixed(event.attributes[0]!, 'a mode') === 1;
  if (offsets === undefined) {
    return graph.node(isMean ? 'ReduceMean' : 'ReduceSum', [rows, graph.sizes([1])], { keepdims: 0 });
  }
  // By a matrix of the indices that are in each bag.
  const count = operandOf(event, 1).shape[0]!;
  const begins = graph.cast(graph.operand(offsets), operandOf(event, 2).dtype, 'int64');
  const later = graph.node('Slice', [begins, ...[1, END, 0].map((size) => graph.sizes([size]))]);
  const ends = graph.node('Concat', [later, graph.sizes([count])], { axis: 0 });
  const columnOf = (bounds: string): string => graph.node('Unsqueeze', [bounds, graph.sizes([1])]);
  const places = graph.node('Range', [graph.number(0, 'int64'), graph.number(count, 'int64'), graph.number(1, 'int64')]); // prettier-ignore
  const isInside = graph.node('And', [
    graph.node('GreaterOrEqual', [places, columnOf(begins)]),
    graph.node('Less', [places, columnOf(ends)]),
  ]);
  const { dtype } = event.outputs[0]!;
  const shares = graph.cast(isInside, 'bool', dtype);
  if (!isMean) return graph.node('MatMul', [shares, rows]);
  const sizes = graph.node('ReduceSum', [shares, graph.sizes([1])], { keepdims: 1 });
  const divisors = graph.node('Max', [sizes, graph.number(1, dtype)]);
  return graph.node('MatMul', [graph.node('Div', [shares, divisors]), rows]);
};

const nonzero: Writer = (graph, { inputs: [x] }) => {
  const flat = graph.node('Reshape', [graph.operand(x), graph.sizes([-1])]);
  return graph.node('Reshape', [graph.node('NonZero', [flat]), graph.sizes([-1])]);
};

const indexSelect: Writer = (graph, { inputs: [x, index], attributes: [axis] }) =>
  graph.node('Gather', [graph.operand(x), graph.operand(index)], { axis: graph.fixed(axis!, 'an axis') });

const gather: Writer = (graph, { inputs: [x, index], attributes: [axis] }) =>
  graph.node('GatherElements', [graph.operand(x), graph.operand(index)], { axis: graph.fixed(axis!, 'an axis') });

const reductions = [undefined, 'add', 'mul', 'max', 'min'];

/** Elements written to places along an axis; runtimes combine wide numbers. */
function scattered(
  graph: Graph,
  x: Value,
  places: string,
  source: Value,
  from: string,
  axis: number,
  how: number,
): string {
  const own = how === 0 ? x.dtype : isFloat(x.dtype) ? x.dtype : computed(x.dtype);
  const inputs = [graph.cast(graph.name(x), x.dtype, own), places, graph.cast(from, source.dtype, own)];
  return graph.cast(graph.node('ScatterElements', inputs, { axis, reduction: reductions[how] }), own, x.dtype);
}

const scatter: Writer = (graph, event) => {
  const [axis, how] = graph.fixedAll(event.attributes, 'an axis') as [number, number];
  const [x, index, source] = [0, 1, 2].map((at) => operandOf(event, at)) as [Value, Value, Value];
  // The source may be larger than the index.
  const cut = source.shape.flatMap((size, i) => (sameSize(size, index.shape[i]) ? [] : [i]));
  const ends = graph.sizes(cut.map((i) => index.shape[i]!));
  const inputs = [graph.name(source), graph.sizes(cut.map(() => 0)), ends, graph.sizes(cut)];
  const from = cut.length === 0 ? graph.name(source) : graph.node('Slice', inputs);
  return scattered(graph, x, graph.name(index), source, from, axis, how);
};

const indexAdd: Writer = (graph, event) => {
  const [axis] = graph.fixedAll(event.attributes, 'an axis') as [number];
  const [x, index, source] = [0, 1, 2].map((at) => operandOf(event, at)) as [Value, Value, Value];
  const others = source.shape.flatMap((_, i) => (i === axis ? [] : [i]));
  const line =
    others.length === 0 ? graph.name(index) : graph.node('Unsqueeze', [graph.name(index), graph.sizes(others)]);
  const places = graph.node('Expand', [line, graph.node('Shape', [graph.name(source)])]);
  return scattered(graph, x, places, source, graph.name(source), axis, 1);
};

export const movement: Table = {
  reshape,
  permute,
  expand,
  slice,
  diagonal,
  frame,
  strided,
  write,
  cat,
  pad,
  flip,
  embedding,
  embeddingBag,
  indexSelect,
  nonzero,
  gather,
  scatter,
  indexAdd,
};
