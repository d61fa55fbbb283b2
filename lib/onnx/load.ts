/** Reads an ONNX file: its messages, its tensors, and the plan of its graph. */
import { ArgumentError, FormatError } from '../errors';
import { readWhole } from '../io/byte-source';
import { Parameter } from '../nn/module';
import { checkOptions } from '../ops/define';
import { getDefaultDevice, type Device } from '../runtime/device';
import { isFloat } from '../tensor/dtype';
import { noGrad } from '../autograd/modes';
import type { AnyTensor } from '../tensor/tensor';
import { markKnown, Planner, versionsOf } from './graph';
import {
  decodeModel,
  type FunctionProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './messages';
import { Model, type Signature } from './model';
import { dtypeOf, knownOf, TensorReader, tensorOf } from './tensors';
import { mostKnown, type Known } from './value';

/** The versions of ONNX's operators that are read. */
const versions = { oldest: 7, newest: 28 } as const;

export interface LoadOptions {
  /** Where the parameters are to live; the default device unless given. */
  readonly device?: Device;
}

/**
 * Reads an ONNX model (.onnx, with external data where it has some) as a module that runs, and can be trained further. Wants the package protobufjs:
 * `npm install protobufjs`. Operators that are supported are listed in docs/onnx.md.
 *
 * @throws FormatError when the file is malformed, ArgumentError naming all operators that are not supported; DTypeError for tensors of a dtype that hadal lacks.
 * @see https://onnx.ai
 * @example
 * const model = await onnx.load('model.onnx');
 * const y = model.forward(zeros([1, 4]));
 */
export async function load<Y = AnyTensor>(path: string, options: LoadOptions = {}): Promise<Model<Y>> {
  checkOptions('load', options);
  const { device = getDefaultDevice() } = options;
  const op = 'onnx.load';
  const proto = decodeModel(op, path, await readWhole(op, path));
  await using reader = new TensorReader(op, path);
  return await build<Y>(`${op}: ${path}`, path, proto, reader, device);
}

async function build<Y>(
  what: string,
  file: string,
  proto: ModelProto,
  reader: TensorReader,
  device: Device,
): Promise<Model<Y>> {
  const fail = (message: string): never => {
    throw new FormatError(`${what}: ${message}`, { file });
  };
  const graph = proto.graph ?? fail('graph: got none, expected one');
  const imports = versionsOf(proto.opsetImport ?? []);
  const version = imports.get('');
  if (version !== undefined && (version < versions.oldest || version > versions.newest)) {
    fail(`opset: got version ${version}, expected ${versions.oldest} to ${versions.newest}`);
  }
  if (graph.sparseInitializer !== undefined) fail('sparse initializers: got some, expected none');
  const initializers = graph.initializer ?? [];
  const names = initializers.map(({ name = '' }) => name);
  // Before version 4 of the format initializers were inputs too.
  const initialized = new Set(names);
  const inputs = (graph.input ?? []).filter(({ name = '' }) => !initialized.has(name));
  const signature = (value: ValueInfoProto): Signature => signatureOf(what, value);

  const constants = new Map<TensorProto, Known>();
  for (const tensor of constantsOf(graph, proto.functions ?? [])) {
    constants.set(tensor, knownOf(await reader.read(tensor)));
  }
  const planner = new Planner(what, file, proto.functions ?? [], constants);
  const plan = planner.plan(
    graph,
    inputs.map(({ name = '' }) => name),
    names,
    imports,
  );
  if (planner.unknown.size > 0) {
    const operators = [...planner.unknown].sort();
    throw new ArgumentError(
      `${what}: operators that are not supported: got ${operators.join(', ')}, expected those of docs/onnx.md`,
      { operators },
    );
  }

  const wanted = new Set<string>();
  markKnown(plan, wanted);
  const tensors = Object.create(null) as Record<string, AnyTensor>;
  const known = new Map<string, Known>();
  for (const tensorProto of initializers) {
    const name = tensorProto.name ?? '';
    const elements = await reader.read(tensorProto);
    const { dtype } = elements;
    const isState = !isFloat(dtype) || wanted.has(name);
    tensors[name] = noGrad(() => {
      const made = tensorOf(elements, device);
      return isState ? made.keep() : new Parameter(made);
    });
    const size = tensors[name].size;
    if (isState && size <= mostKnown)
      known.set(
        name,
        knownOf(elements, () => tensors[name]!),
      );
  }
  return new Model<Y>({
    plan,
    inputs: inputs.map(signature),
    outputs: (graph.output ?? []).map(signature),
    tensors,
    known,
  });
}

/** What the file says about an input or an output. */
function signatureOf(what: string, { name = '', type }: ValueInfoProto): Signature {
  const tensor = type?.tensorType;
  if (tensor === undefined) return { name, dtype: undefined, shape: undefined };
  const dtype = dtypeOf(`${what}: ${name}`, tensor.elemType);
  // A size that is not said has no name either.
  const shape = tensor.shape && (tensor.shape.dim ?? []).map(({ dimValue, dimParam = '' }) => dimValue ?? dimParam);
  return { name, dtype, shape };
}

/** The tensors that are attributes of nodes, or initializers of subgraphs and so of functions. */
function* constantsOf(
  graph: { readonly node?: NodeProto[] },
  functions: readonly FunctionProto[],
): Generator<TensorProto> {
  for (const { attribute = [] } of [graph, ...functions].flatMap(({ node = [] }) => node)) {
    for (const { t, g } of attribute) {
      if (t !== undefined) yield t;
      if (g === undefined) continue;
      yield* g.initializer ?? [];
      yield* constantsOf(g, []);
    }
  }
  for (const { attributeProto = [] } of functions) {
    for (const { t } of attributeProto) if (t !== undefined) yield t;
  }
}
