/** Tensors made from sizes alone, copies, and conversions. */
import { isFloat } from '../../tensor/dtype';
import { dataTypes, isValue, wideFloat, type Table, type Writer } from './graph';

const triangle =
  (upper: number): Writer =>
  (graph, { inputs: [x], attributes: [diagonal], outputs }) => {
    const { dtype } = outputs[0]!;
    // Runtimes have it for wide numbers alone.
    const own = isFloat(dtype) ? wideFloat(dtype) : dtype === 'bool' ? dtype : 'int64';
    const wide = graph.cast(graph.operand(x), dtype, own);
    return graph.cast(graph.node('Trilu', [wide, graph.number(diagonal!, 'int64')], { upper }), own, dtype);
  };

export const creation: Table = {
  fill: (graph, { outputs, attributes: [value] }) => {
    const { dtype, shape } = outputs[0]!;
    return graph.node('Expand', [graph.number(value!, dtype), graph.sizes(shape)]);
  },
  arange: (graph, { outputs, attributes: [start, step] }) => {
    const { dtype, shape } = outputs[0]!;
    const [count] = shape;
    if (typeof count === 'number' && typeof start === 'number' && typeof step === 'number') {
      const numbers = Array.from({ length: count }, (_, i) => start + i * step);
      return graph.constant(dtype, [count], numbers);
    }
    const own = isFloat(dtype) ? 'float64' : 'int64';
    const places = graph.node('Range', [
      graph.number(0, 'int64'),
      graph.number(count!, 'int64'),
      graph.number(1, 'int64'),
    ]);
    const steps = graph.node('Mul', [graph.cast(places, 'int64', own), graph.number(step!, own)]);
    return graph.cast(graph.node('Add', [steps, graph.number(start!, own)]), own, dtype);
  },
  linspace: (graph, { outputs, attributes }) => {
    const { dtype, shape } = outputs[0]!;
    const [start, end] = graph.fixedAll(attributes, 'a bound') as [number, number];
    const count = graph.fixed(shape[0]!, 'the number of elements');
    const share = (i: number): number => (count > 1 ? i / (count - 1) : 0);
    return graph.constant(
      dtype,
      [count],
      Array.from({ length: count }, (_, i) => start * (1 - share(i)) + end * share(i)),
    );
  },
  copy: (graph, { inputs: [x], outputs }) => {
    const { dtype } = outputs[0]!;
    if (!isValue(x)) return graph.node('Expand', [graph.operand(x, dtype), graph.sizes(outputs[0]!.shape)]);
    return graph.cast(graph.name(x), x.dtype, dtype);
  },
  oneHot: (graph, { inputs: [index], outputs }) => {
    const { dtype, shape } = outputs[0]!;
    const classes = graph.fixed(shape.at(-1)!, 'the number of classes');
    const all = graph.constant(
      'int64',
      [classes],
      Array.from({ length: classes }, (_, i) => i),
    );
    const own = isValue(index) ? graph.cast(graph.name(index), index.dtype, 'int64') : '';
    const column = graph.node('Unsqueeze', [own, graph.sizes([-1])]);
    return graph.node('Cast', [graph.node('Equal', [column, all])], { to: dataTypes[dtype] });
  },
  tril: triangle(0),
  triu: triangle(1),
};
