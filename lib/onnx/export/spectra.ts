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

export const spectra: Table = { rfft, irfft };
