/** Fourier transforms of fixed lengths, as products with their matrices, which every runtime has. */
import type { Table, Writer } from './graph';
import { operandOf } from './reduce';

/** The cosine and negative sine of each place in each bin, [n, 2 · bins], a bin's pair side by side, with the weight of bins that stand for their mirror image too. */
function matrixOf(n: number, scale: number, weight: number): number[][] {
  const bins = Math.floor(n / 2) + 1;
  return Array.from({ length: n }, (_, place) =>
    Array.from({ length: 2 * bins }, (_, i) => {
      const bin = i >> 1;
      const angle = (2 * Math.PI * ((place * bin) % n)) / n;
      const isMirrored = bin !== 0 && 2 * bin !== n;
      return (i % 2 === 0 ? Math.cos(angle) : isMirrored ? -Math.sin(angle) : 0) * scale * (isMirrored ? weight : 1);
    }),
  );
}

/** The same for complex sequences, [2 · n, 2 · n], which have pairs themselves. */
function complexMatrixOf(n: number, scale: number, isBack: boolean): number[][] {
  return Array.from({ length: 2 * n }, (_, row) =>
    Array.from({ length: 2 * n }, (_, column) => {
      const angle = (2 * Math.PI * (((row >> 1) * (column >> 1)) % n)) / n;
      const isSamePart = row % 2 === column % 2;
      const sine = (row % 2 === 0) === isBack ? Math.sin(angle) : -Math.sin(angle);
      return (isSamePart ? Math.cos(angle) : sine) * scale;
    }),
  );
}

const rfft: Writer = (graph, event) => {
  const x = operandOf(event);
  const { shape } = event.outputs[0]!;
  const matrix = matrixOf(graph.fixed(x.shape.at(-1)!, 'the length of a transform'), ...(graph.fixedAll(event.attributes, "a setting") as [number, number])); // prettier-ignore
  const width = matrix[0]!.length;
  const product = graph.node('MatMul', [graph.name(x), graph.constant(x.dtype, [matrix.length, width], matrix.flat())]);
  return graph.reshape(product, [...x.shape.slice(0, -1), width], shape);
};

const irfft: Writer = (graph, event) => {
  const x = operandOf(event);
  const { shape } = event.outputs[0]!;
  const matrix = matrixOf(graph.fixed(shape.at(-1)!, 'the length of a transform'), ...(graph.fixedAll(event.attributes, "a setting") as [number, number])); // prettier-ignore
  const width = matrix[0]!.length;
  const pairs = graph.reshape(graph.name(x), x.shape, [...x.shape.slice(0, -2), width]);
  const turned = Array.from({ length: width }, (_, i) => matrix.map((row) => row[i]!)).flat();
  return graph.node('MatMul', [pairs, graph.constant(x.dtype, [width, matrix.length], turned)]);
};

const fft: Writer = (graph, event) => {
  const x = operandOf(event);
  const [scale, back, axis] = graph.fixedAll(event.attributes, 'a setting') as [number, number, number];
  const matrix = complexMatrixOf(graph.fixed(x.shape[axis]!, 'the length of a transform'), scale, back !== 0);
  const width = matrix.length;
  // The axis goes beside the pairs and back, by one and the same exchange.
  const order = x.shape.map((_, i) => i);
  [order[axis], order[order.length - 2]] = [order.length - 2, axis];
  const exchanged = order.map((i) => x.shape[i]!);
  const exchange = (name: string): string => graph.node('Transpose', [name], { perm: order });
  const pairs = graph.reshape(exchange(graph.name(x)), exchanged, [...exchanged.slice(0, -2), width]);
  const product = graph.node('MatMul', [pairs, graph.constant(x.dtype, [width, width], matrix.flat())]);
  return exchange(graph.reshape(product, [...exchanged.slice(0, -2), width], exchanged));
};

export const spectra: Table = { rfft, irfft, fft };
