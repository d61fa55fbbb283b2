/** Matrices of whole numbers of few bits: the file has the codes, and makes floats of them. */
import type { Event, Value } from '../trace';
import type { Graph, Table, Writer } from './graph';

/** The matrix [n, k] that codes and scales stand for. */
function matrixOf(graph: Graph, codes: Value, scales: Value): string {
  const [n, groups] = graph.fixedAll(scales.shape, 'a size') as [number, number];
  const bytes = graph.fixed(codes.shape[1]!, 'a size');
  const own = scales.dtype;
  const reshaped = (name: string, shape: readonly number[]): string =>
    graph.node('Reshape', [name, graph.sizes(shape)]);
  const halves = (): string => {
    const half = (name: string): string => reshaped(name, [n, bytes / 16, 1, 16]);
    const lower = graph.node('BitwiseAnd', [graph.name(codes), graph.number(15, 'uint8')]);
    const upper = graph.node('BitShift', [graph.name(codes), graph.number(4, 'uint8')], { direction: 'RIGHT' });
    const both = graph.node('Concat', [half(lower), half(upper)], { axis: 2 });
    return graph.node('Sub', [graph.cast(both, 'uint8', own), graph.number(8, own)]);
  };
  const isWhole = codes.dtype === 'int8';
  const numbers = isWhole ? graph.cast(graph.name(codes), 'int8', own) : halves();
  const scaled = graph.node('Mul', [reshaped(numbers, [n, groups, -1]), reshaped(graph.name(scales), [n, groups, 1])]);
  return reshaped(scaled, [n, isWhole ? bytes : 2 * bytes]);
}

const dequantize: Writer = (graph, { inputs: [codes, scales] }: Event) =>
  matrixOf(graph, codes as Value, scales as Value);

const quantizedMatmul: Writer = (graph, { inputs: [x, codes, scales, bias] }: Event) =>
  graph.node('Gemm', [graph.name(x as Value), matrixOf(graph, codes as Value, scales as Value), graph.operand(bias)], {
    transB: 1,
  });

export const quantized: Table = { dequantize, quantizedMatmul };
