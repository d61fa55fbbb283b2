/** A traced pass as a model: events written by the tables of export/, parameters and constants as initializers, inputs and outputs with their shapes. */
import { ArgumentError } from '../errors';
import { bytesOf } from '../tensor/dtype';
import type { AnyTensor } from '../tensor/tensor';
import { sizeOf } from '../tensor/shapes';
import { writers } from './export';
import { dataTypes, Graph } from './export/graph';
import type { Dimension, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './messages';
import type { Varying, Event, Pass, Size, Value } from './trace';

/** What inputs, outputs, tensors and sizes are called. */
export interface Names {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[] | undefined;
  /** Tensors of a module, by its name for them. */
  readonly state: Readonly<Record<string, AnyTensor>>;
  /** The sizes of `dynamicAxes`, as the pass has them. */
  readonly sizes: ReadonlyMap<string, Varying>;
}

/** A model whose larger tensors are still where they were. */
export interface Written {
  readonly model: ModelProto;
  readonly tensors: ReadonlyMap<TensorProto, AnyTensor>;
}

// Of the opsets with Gelu the oldest, for as many runtimes as can be; the oldest in which convolutions, pooling and recurrent layers take bfloat16.
const versions = { usual: { opset: 20, ir: 9 }, bfloat16: { opset: 22, ir: 10 } };

/** Throws unless every op that the results depend on has a form. */
function written(graph: Graph, event: Event): readonly (string | undefined)[] | undefined {
  graph.op = event.op;
  const names = Object.hasOwn(writers, event.op) ? writers[event.op]!(graph, event) : [];
  const outputs = typeof names === 'string' ? [names] : names;
  return event.outputs.every((output, i) => output?.used !== true || outputs[i] !== undefined) ? outputs : undefined;
}

const isSame = (a: AnyTensor, b: AnyTensor): boolean =>
  a.storage === b.storage &&
  a.offset === b.offset &&
  a.dtype === b.dtype &&
  `${a.shape.join()} ${a.strides.join()}` === `${b.shape.join()} ${b.strides.join()}`;

/** The model of a pass, before its larger tensors are read. `op` begins the messages of errors. */
export function modelOf(op: string, pass: Pass, names: Names): Written {
  const graph = new Graph();
  const tensors = new Map<TensorProto, AnyTensor>();
  const initializers = new Map<string, TensorProto>();
  pass.inputs.forEach((value, i) => graph.bind(value, names.inputs[i]!));
  const state = Object.entries(names.state);
  const bindOutside = (value: Value): void => {
    const { source, dtype } = value;
    if (source === undefined || source.kind === 'input' || graph.has(value)) return;
    const dims = value.shape as readonly number[];
    const own = source.kind === 'outside' ? state.find(([, tensor]) => isSame(tensor, source.tensor))?.[0] : undefined;
    const name = own ?? `tensor_${initializers.size}`;
    const proto: TensorProto = { name, dims: [...dims], dataType: dataTypes[dtype] };
    if (source.kind === 'outside') tensors.set(proto, source.tensor);
    else proto.rawData = source.bytes.subarray(0, sizeOf(dims) * bytesOf(dtype));
    initializers.set(name, proto);
    graph.bind(value, name);
  };
  const missing = new Set(pass.unwritten);
  for (const event of pass.events) {
    if (!event.outputs.some((output) => output?.used)) continue;
    for (const input of event.inputs) if (input !== undefined && 'shape' in input) bindOutside(input);
    const outputs = missing.size === 0 || Object.hasOwn(writers, event.op) ? written(graph, event) : undefined;
    if (outputs === undefined) missing.add(event.op);
    event.outputs.forEach((output, i) => output && graph.bind(output, outputs?.[i] ?? event.op));
  }
  if (missing.size > 0) {
    throw new ArgumentError(
      `${op}: ops without a form in ONNX: got ${[...missing].join(', ')}, expected those that docs/onnx.md lists`,
      { ops: [...missing] },
    );
  }
  for (const { value } of pass.results) bindOutside(value);
  const results = pass.results.map(({ path, value }, i) => {
    const name = names.outputs?.[i] ?? defaultName(path, pass.results.length, names);
    return { value, name, from: graph.name(value) };
  });
  const nodes = named(graph.nodes, results);
  const used = new Set([...nodes.flatMap(({ input }) => input!)]);
  const constants = [...graph.constants.values()].filter(({ name }) => used.has(name!));
  const order = new Map(state.map(([name], i) => [name, i]));
  const kept = [...initializers.values()]
    .filter(({ name }) => used.has(name!))
    .sort((a, b) => (order.get(a.name!) ?? order.size) - (order.get(b.name!) ?? order.size));
  const all = [...pass.events.flatMap(({ outputs }) => outputs), ...pass.inputs];
  const { opset, ir } = versions[all.some((value) => value?.dtype === 'bfloat16') ? 'bfloat16' : 'usual'];
  const described = (value: Value, name: string): ValueInfoProto => ({
    name,
    type: {
      tensorType: {
        elemType: dataTypes[value.dtype],
        shape: { dim: value.shape.map((size, axis) => dimension(size, `${name}_${axis}`, names.sizes)) },
      },
    },
  });
  const model = {
    irVersion: ir,
    opsetImport: [{ domain: '', version: opset }],
    producerName: 'hadal',
    graph: {
      name: 'main',
      node: nodes,
      initializer: [...kept, ...constants],
      input: pass.inputs.map((value, i) => described(value, names.inputs[i]!)),
      output: results.map(({ value, name }) => described(value, name)),
    },
  };
  return { model, tensors };
}

/** What a result is called unless the caller says so: the only one `output`, others after their place. */
function defaultName(path: string, count: number, { inputs, state }: Names): string {
  if (count === 1) return 'output';
  return /^\d/.test(path) || inputs.includes(path) || Object.hasOwn(state, path) ? `output_${path}` : path;
}

function dimension(size: Size, otherwise: string, sizes: ReadonlyMap<string, Varying>): Dimension {
  if (typeof size === 'number') return { dimValue: size };
  const known = [...sizes].find(([, own]) => own.key === size.key)?.[0];
  return { dimParam: known ?? otherwise };
}

/** The nodes that the results depend on, with the results called by their names. */
function named(
  all: readonly NodeProto[],
  results: readonly { readonly name: string; readonly from: string }[],
): NodeProto[] {
  const renamed = new Map<string, string>();
  const copies: NodeProto[] = [];
  const made = new Set(all.flatMap(({ output }) => output!));
  for (const { name, from } of results) {
    if (made.has(from) && !renamed.has(from)) renamed.set(from, name);
    else copies.push({ opType: 'Identity', name: `Identity_${name}`, input: [from], output: [name], attribute: [] });
  }
  const wanted = new Set(results.map(({ from }) => from));
  const kept = [...all].reverse().filter(({ input, output }) => {
    if (!output!.some((name) => wanted.has(name))) return false;
    for (const name of input!) wanted.add(name);
    return true;
  });
  const rename = (name: string): string => renamed.get(name) ?? name;
  return [...kept.reverse(), ...copies].map((node) => ({
    ...node,
    input: node.input!.map(rename),
    output: node.opType === 'Identity' && copies.includes(node) ? node.output! : node.output!.map(rename),
  }));
}
