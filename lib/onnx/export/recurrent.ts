/** Recurrent layers: one direction of one layer is one node. */
import type { Event, Value } from '../trace';
import type { Graph, Table, Writer } from './graph';
import { operandOf } from './reduce';

/** By their codes in the kernels: ONNX's op, and which of our gates is each of its gates. */
const cells = [
  { opType: 'RNN', order: [0], activations: ['Tanh'] },
  { opType: 'RNN', order: [0], activations: ['Relu'] },
  // Ours are reset, update, new; ONNX's update, reset, hidden.
  { opType: 'GRU', order: [1, 0, 2], activations: undefined },
  // Ours are input, forget, cell, output; ONNX's input, output, forget, cell.
  { opType: 'LSTM', order: [0, 3, 1, 2], activations: undefined },
] as const;

/** The inputs [t, b, in], the weight [gates · h, in] and the bias that made the gates' sums, where a linear layer did. */
function layerOf(sums: Value): { x: Value; weight: Value; bias: Value | undefined } | undefined {
  const product = sums.maker?.op === 'reshape' ? operandOf(sums.maker).maker : undefined;
  if (product?.op !== 'matmul') return undefined;
  const [rows, turned, bias] = product.inputs as [Value, Value, Value | undefined];
  if (rows.maker?.op !== 'reshape' || turned.maker?.op !== 'permute') return undefined;
  const x = operandOf(rows.maker);
  if (x.shape.length !== 3) return undefined;
  return { x, weight: operandOf(turned.maker), bias };
}

/** Blocks of rows in ONNX's order, for one direction. */
function gatesOf(graph: Graph, name: string, order: readonly number[], units: number): string {
  const rows = order.flatMap((gate) => Array.from({ length: units }, (_, i) => gate * units + i));
  const sorted = order.length === 1 ? name : graph.node('Gather', [name, graph.constant('int64', [rows.length], rows)], { axis: 0 }); // prettier-ignore
  return graph.node('Unsqueeze', [sorted, graph.sizes([0])]);
}

const recurrent: Writer = (graph, event: Event) => {
  const [sums, weight, stateBias, h0, c0, lengths] = event.inputs as [Value, Value, Value?, Value?, Value?, Value?];
  const [cell, reverse] = graph.fixedAll(event.attributes, 'a setting') as [number, number];
  const { opType, order, activations } = cells[cell]!;
  const [rows, units] = graph.fixedAll(weight.shape, 'a size of weights') as [number, number];
  const { dtype } = sums;
  const gates = (name: string): string => gatesOf(graph, name, order, units);
  const layer = layerOf(sums);
  const identity = Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? 1 : 0));
  const [x, byInput] =
    layer === undefined
      ? [graph.name(sums), graph.constant(dtype, [rows, rows], identity)]
      : [graph.name(layer.x), graph.name(layer.weight)];
  const none = graph.constant(dtype, [1, rows], new Array<number>(rows).fill(0));
  const bias = (value: Value | undefined): string => (value === undefined ? none : gates(graph.name(value)));
  const isBiased = layer?.bias !== undefined || stateBias !== undefined;
  const state = (value: Value | undefined): string =>
    value === undefined ? '' : graph.node('Unsqueeze', [graph.name(value), graph.sizes([0])]);
  const inputs = [
    x,
    gates(byInput),
    gates(graph.name(weight)),
    isBiased ? graph.node('Concat', [bias(layer?.bias), bias(stateBias)], { axis: 1 }) : '',
    lengths === undefined ? '' : graph.cast(graph.name(lengths), lengths.dtype, 'int32'),
    state(h0),
    state(c0),
  ];
  const attributes = {
    hidden_size: units,
    direction: reverse === 1 ? 'reverse' : 'forward',
    activations,
    linear_before_reset: opType === 'GRU' ? 1 : undefined,
  };
  const [y, ...ends] = graph.nodeOf(opType, inputs, attributes, opType === 'LSTM' ? 3 : 2) as [string, ...string[]];
  const last = ends.map((name) => graph.node('Squeeze', [name, graph.sizes([0])]));
  return [graph.node('Squeeze', [y, graph.sizes([1])]), last[0], last[1] ?? graph.constant(dtype, [0], [])];
};

export const recurrence: Table = { recurrent };
