/** Products of matrices, and attention. */
import { isFloat, type DType } from '../../tensor/dtype';
import type { Event, Value } from '../trace';
import { wideFloat, type Graph, type Table, type Writer } from './graph';
import { activations, computed } from './pointwise';
import { operandOf } from './reduce';

/** A matrix, or what it is the transpose of. */
function turned({ maker, shape }: Value): Value | undefined {
  const isTurned = maker?.op === 'permute' && shape.length === 2 && (maker.context as number[])[0] === 1;
  return isTurned ? operandOf(maker) : undefined;
}

/** a·b + bias: one node for matrices of floats. */
function product(graph: Graph, { inputs: [left, right, bias], outputs }: Event): string {
  const [a, b] = [left as Value, right as Value];
  const { dtype, shape } = outputs[0]!;
  if (isFloat(dtype) && shape.length === 2 && bias !== undefined) {
    const [ta, tb] = [turned(a), turned(b)];
    const inputs = [graph.name(ta ?? a), graph.name(tb ?? b), graph.operand(bias)];
    return graph.node('Gemm', inputs, { transA: ta && 1, transB: tb && 1 });
  }
  const own = computed(dtype);
  const y = graph.node(
    'MatMul',
    [a, b].map((x) => graph.cast(graph.name(x), x.dtype, own)),
  );
  const sum = bias === undefined ? y : graph.node('Add', [y, graph.operand(bias)]);
  return graph.cast(sum, own, dtype);
}

const matmul: Writer = (graph, event) =>
  activations[graph.fixed(event.attributes[0]!, 'an activation')]!(graph, product(graph, event));

const matmulActivation: Writer = (graph, event) => {
  const before = product(graph, event);
  return [activations[graph.fixed(event.attributes[0]!, 'an activation')]!(graph, before), before];
};

/** A mask without the axes that it was expanded to. */
const unexpanded = (mask: Value): Value => (mask.maker?.op === 'expand' ? operandOf(mask.maker) : mask);

/** softmax(q·kᵀ·scale + mask)·v. */
const attention: Writer = (graph, { inputs, attributes }) => {
  const [q, k, v, given] = inputs as [Value, Value, Value, Value | undefined];
  const [scale, causal, dropout] = graph.fixedAll(attributes.slice(0, 3), 'a setting of attention') as [
    number,
    number,
    number,
  ];
  if (dropout > 0) return [];
  const { dtype } = q;
  const [heads, shared] = [q, k].map(({ shape }) => graph.fixed(shape[1]!, 'the number of heads')) as [number, number];
  const perHead = (x: Value): string => {
    if (heads === shared) return graph.name(x);
    const repeat = graph.sizes([1, 1, heads / shared, 1, 1]);
    const repeated = graph.node('Expand', [graph.node('Unsqueeze', [graph.name(x), graph.sizes([2])]), repeat]);
    return graph.node('Reshape', [
      repeated,
      graph.sizes([0, heads, -1, graph.fixed(x.shape[3]!, 'the size of heads')]),
    ]);
  };
  const keys = graph.node('Transpose', [perHead(k)], { perm: [0, 1, 3, 2] });
  // Scores of 16 bits are summed and weighed in float32, as in the kernel.
  const own: DType = wideFloat(dtype);
  const queries = graph.node('Mul', [graph.cast(graph.name(q), dtype, own), graph.number(scale, own)]);
  let scores = graph.node('MatMul', [queries, graph.cast(keys, dtype, own)]);
  const nothing = graph.number(-Infinity, own);
  if (causal === 1) {
    const square = graph.node('Expand', [graph.number(1, 'bool'), graph.sizes([q.shape[2]!, k.shape[2]!])]);
    const seen = graph.node('Trilu', [square], { upper: 0 });
    scores = graph.node('Where', [seen, scores, nothing]);
  }
  if (given !== undefined) {
    const mask = unexpanded(given);
    scores =
      mask.dtype === 'bool'
        ? graph.node('Where', [graph.name(mask), scores, nothing])
        : graph.node('Add', [scores, graph.cast(graph.name(mask), mask.dtype, own)]);
  }
  let weights = graph.node('Softmax', [scores], { axis: -1 });
  if (given !== undefined) {
    // A query that sees no key has no weights: the softmax of nothing but −∞ would be NaN.
    const blind = graph.node('Equal', [graph.node('ReduceMax', [scores, graph.sizes([-1])]), nothing]);
    weights = graph.node('Where', [blind, graph.number(0, own), weights]);
  }
  return [graph.cast(graph.node('MatMul', [weights, graph.cast(perHead(v), dtype, own)]), own, dtype), undefined];
};

/** A sparse matrix times a dense one: each entry's row of x, weighed, added to the row that the entry is in. */
const csrMatmul: Writer = (graph, { inputs, outputs }) => {
  const [pointers, columns, values, x] = inputs as [Value, Value, Value, Value];
  const { dtype, shape } = outputs[0]!;
  const [count] = values.shape;
  const entries = graph.node('Range', [
    graph.number(0, 'int64'),
    graph.number(count!, 'int64'),
    graph.number(1, 'int64'),
  ]);
  const ends = graph.node('Slice', [
    graph.cast(graph.name(pointers), pointers.dtype, 'int64'),
    graph.sizes([1]),
    graph.sizes([Number.MAX_SAFE_INTEGER]),
  ]);
  const isPast = graph.node('LessOrEqual', [ends, graph.node('Unsqueeze', [entries, graph.sizes([1])])]);
  const rows = graph.node('ReduceSum', [graph.cast(isPast, 'bool', 'int64'), graph.sizes([1])]);
  const picked = graph.node('Gather', [graph.name(x), graph.name(columns)], { axis: 0 });
  const weighed = graph.node('Mul', [picked, graph.node('Unsqueeze', [graph.name(values), graph.sizes([1])])]);
  const zeros = graph.node('Expand', [graph.number(0, dtype), graph.sizes(shape)]);
  const places = graph.node('Expand', [rows, graph.node('Shape', [weighed])]);
  return graph.node('ScatterElements', [zeros, places, weighed], { axis: 0, reduction: 'add' });
};

export const products: Table = { matmul, matmulActivation, attention, csrMatmul };
