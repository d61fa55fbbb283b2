/** Softmax, normalisations over features and channels, and the loss of classes. */
import type { Operand, Value } from '../trace';
import { isValue, real, wideFloat, type Graph, type Table, type Writer } from './graph';
import { activations, pointwise } from './pointwise';
import { operandOf } from './reduce';

const alongAxis =
  (opType: string): Writer =>
  (graph, event) =>
    graph.node(opType, [graph.name(operandOf(event))], { axis: graph.fixed(event.attributes[0]!, 'an axis') });

const layerNorm: Writer = (graph, event) => {
  const [x, weight, bias] = event.inputs;
  const { dtype, shape } = event.outputs[0]!;
  const [epsilon] = graph.fixedAll(event.attributes, 'epsilon') as [number];
  const scale = weight === undefined ? graph.node('Expand', [graph.number(1, dtype), graph.sizes(shape.slice(-1))]) : graph.operand(weight); // prettier-ignore
  const inputs = [graph.operand(x), scale, graph.operand(bias)];
  return [graph.node('LayerNormalization', inputs, { axis: -1, epsilon: real(epsilon) })];
};

/** The square root of the mean of squares, and ε. */
const rmsNorm: Writer = (graph, event) => {
  const x = operandOf(event);
  const weight = event.inputs[1];
  const own = wideFloat(x.dtype);
  const wide = graph.cast(graph.name(x), x.dtype, own);
  const mean = graph.node('ReduceMean', [graph.node('Mul', [wide, wide]), graph.sizes([-1])]);
  const root = graph.node('Sqrt', [
    graph.node('Add', [mean, graph.number(graph.fixed(event.attributes[0]!, 'epsilon'), own)]),
  ]);
  const unit = graph.node('Div', [wide, root]);
  const y = weight === undefined ? unit : graph.node('Mul', [unit, graph.cast(graph.operand(weight), operandOf(event, 1).dtype, own)]); // prettier-ignore
  return [graph.cast(y, own, x.dtype)];
};

/** With the statistics of what is given: those of one instance are a node of their own. */
const batchNorm: Writer = (graph, event) => {
  const [x, weight, bias, residual] = event.inputs;
  const { dtype, shape } = event.outputs[0]!;
  const [epsilon, activation] = graph.fixedAll(event.attributes, 'a setting') as [number, number];
  const channel = (value: number): string =>
    graph.node('Expand', [graph.number(value, dtype), graph.sizes(shape.slice(1, 2))]);
  const scale = weight === undefined ? channel(1) : graph.operand(weight);
  const shift = bias === undefined ? channel(0) : graph.operand(bias);
  const normalized =
    shape[0] === 1 && shape.length > 2
      ? graph.node('InstanceNormalization', [graph.operand(x), scale, shift], { epsilon: real(epsilon) })
      : overBatch(graph, graph.operand(x), shape.length, [scale, shift], graph.number(epsilon, dtype));
  const sum = residual === undefined ? normalized : graph.node('Add', [normalized, graph.operand(residual)]);
  return [activations[activation]!(graph, sum)];
};

function overBatch(graph: Graph, x: string, rank: number, parameters: readonly string[], epsilon: string): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
  const off = graph.node('Sub', [x, graph.node('ReduceMean', [x, graph.sizes(axes)])]);
  const variance = graph.node('ReduceMean', [graph.node('Mul', [off, off]), graph.sizes(axes)]);
  const unit = graph.node('Div', [off, graph.node('Sqrt', [graph.node('Add', [variance, epsilon])])]);
  const [scale, shift] = parameters.map((name) => rank === 2 ? name : graph.node('Unsqueeze', [name, graph.sizes(axes.slice(1).map((axis) => axis - 1))])) as [string, string]; // prettier-ignore
  return graph.node('Add', [graph.node('Mul', [unit, scale]), shift]);
}

/** Groups are the channels of a row. */
const groupNorm: Writer = (graph, event) => {
  const [x, weight, bias] = event.inputs as [Value, Value?, Value?];
  const groups = graph.fixed(event.outputs[1]!.shape[1]!, 'the number of groups');
  const all = (value: number): string => graph.constant(x.dtype, [groups], new Array<number>(groups).fill(value));
  const rows = graph.node('Reshape', [graph.name(x), graph.sizes([0, groups, -1])]);
  const epsilon = real(graph.fixed(event.attributes[0]!, 'epsilon'));
  const unit = graph.node('InstanceNormalization', [rows, all(1), all(0)], { epsilon });
  const y = graph.node('Reshape', [unit, graph.node('Shape', [graph.name(x)])]);
  const behind = graph.sizes(x.shape.slice(2).map((_, i) => i + 1));
  const channels = (value: Value): string =>
    x.shape.length === 2 ? graph.name(value) : graph.node('Unsqueeze', [graph.name(value), behind]);
  const scaled = weight === undefined ? y : graph.node('Mul', [y, channels(weight)]);
  return [bias === undefined ? scaled : graph.node('Add', [scaled, channels(bias)])];
};

/** What made the value, if it is the op that is looked for. */
const madeBy = (op: string, value: Operand): readonly Operand[] | undefined =>
  isValue(value) && value.maker?.op === op ? value.maker.inputs : undefined;

/**
 * A sum with a product, or the batch normalisation in evaluation that it is: x · scale + shift with scale = weight / √(var + ε) and shift = bias − mean · scale,
 * each seen so that it broadcasts to [n, c, …].
 */
const addcmul: Writer = (graph, event) => {
  const [shift, x, scale] = event.inputs as [Value, Value, Value];
  const [vector] = madeBy('reshape', scale) ?? [scale];
  const [rstd, weight] = madeBy('mul', vector) ?? [vector];
  const [sum] = madeBy('rsqrt', rstd) ?? [];
  const [variance, epsilon] = madeBy('add', sum) ?? [];
  const [moved] = madeBy('reshape', shift) ?? [shift];
  const [bias, negated] = madeBy('sub', moved) ?? [undefined, madeBy('neg', moved)?.[0]];
  const [mean, same] = madeBy('mul', negated) ?? [];
  const isNorm =
    same !== undefined && same === vector && isValue(variance) && isValue(mean) && epsilon !== undefined && !isValue(epsilon) && scale.shape[0] === x.shape[1]; // prettier-ignore
  if (!isNorm || typeof epsilon.number !== 'number') return pointwise['addcmul']!(graph, event);
  const filled = (value: number): string => graph.node('Expand', [graph.number(value, x.dtype), graph.sizes(variance.shape)]); // prettier-ignore
  const inputs = [
    graph.name(x),
    weight === undefined ? filled(1) : graph.operand(weight),
    bias === undefined ? filled(0) : graph.operand(bias),
    graph.name(mean),
    graph.name(variance),
  ];
  return graph.node('BatchNormalization', inputs, { epsilon: real(epsilon.number) });
};

/** With smoothing, a share of the loss is that of all classes alike. */
const crossEntropy: Writer = (graph, event) => {
  const [ignored, smoothing] = graph.fixedAll(event.attributes, 'a setting') as [number, number];
  const { dtype } = event.outputs[0]!;
  const [logits, target, weight] = event.inputs as [Value, Value, Value?];
  const own = logits.dtype;
  const inputs = [logits, target, weight].map((input) => graph.operand(input));
  const loss = graph.node('SoftmaxCrossEntropyLoss', inputs, { ignore_index: ignored, reduction: 'none' });
  if (smoothing === 0) return [graph.cast(loss, own, dtype)];
  const logs = graph.node('LogSoftmax', [graph.name(logits)], { axis: 1 });
  const weighed = weight === undefined ? logs : graph.node('Mul', [logs, graph.name(weight)]);
  const all = graph.node('ReduceSum', [weighed, graph.sizes([1])], { keepdims: 0 });
  const share = -smoothing / graph.fixed(logits.shape[1]!, 'the number of classes');
  const isLeftOut = graph.node('Equal', [graph.name(target), graph.number(ignored, target.dtype)]);
  const smooth = graph.node('Where', [
    isLeftOut,
    graph.number(0, own),
    graph.node('Mul', [all, graph.number(share, own)]),
  ]);
  const sum = graph.node('Add', [graph.node('Mul', [loss, graph.number(1 - smoothing, own)]), smooth]);
  return [graph.cast(sum, own, dtype)];
};

export const normalization: Table = {
  softmax: alongAxis('Softmax'),
  logSoftmax: alongAxis('LogSoftmax'),
  layerNorm,
  groupNorm,
  rmsNorm,
  batchNorm,
  addcmul,
  crossEntropy,
};
