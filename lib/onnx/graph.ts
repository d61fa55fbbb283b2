/**
 * Graphs as they run: `Planner` turns the nodes of a file into steps and checks names, operators and functions on the way; `run` computes a plan's outputs. Knows
 * operators by their tables, and nothing of parameters.
 */
import { FormatError, HadalError, OutOfMemoryError } from '../errors';
import { Call, Outputs, type Attributes, type Body, type Operator, type Running } from './call';
import type { AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto } from './messages';
import { foldings, operatorOf, type Folding } from './operators';
import { Known, mostKnown, type Value } from './value';

export interface Plan {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Initializers of a subgraph. */
  readonly constants: ReadonlyMap<string, Known>;
  readonly steps: readonly Step[];
}

interface Step {
  /** The beginning of errors: the operator, and which node it is. */
  readonly what: string;
  readonly run: Operator;
  /** How the step is computed where all that it is given is known. */
  readonly fold: Folding | undefined;
  readonly version: number;
  readonly names: { readonly inputs: readonly string[]; readonly outputs: readonly string[] };
  readonly attributes: Attributes;
  readonly bodies: ReadonlyMap<string, Plan>;
  /** Of a function of the model. */
  readonly inner: Plan | undefined;
  /** Values that no later step wants. */
  readonly dropped: string[];
}

type Versions = ReadonlyMap<string, number>;

/** Where the nodes being planned stand. */
interface Place {
  readonly versions: Versions;
  /** Names that can be used. */
  readonly seen: ReadonlySet<string>;
  /** Names that later nodes define, for a better error. */
  readonly depth: number;
  /** In a function: the attributes that it was called with. */
  readonly given: ReadonlyMap<string, AttributeProto> | undefined;
}

const deepest = 32;
const mostSteps = 200_000;

/** '' is the domain of ONNX's own operators. */
const domainOf = (domain = ''): string => (domain === 'ai.onnx' ? '' : domain);

const functionKey = ({ domain, overload = '' }: FunctionProto | NodeProto, name = ''): string =>
  [domainOf(domain), name, overload].join(' ');

export class Planner {
  /** Operators of the model that are not known. */
  readonly unknown = new Set<string>();
  readonly #what: string;
  readonly #file: string;
  readonly #functions: ReadonlyMap<string, FunctionProto>;
  readonly #tensors: ReadonlyMap<TensorProto, Known>;
  #steps = 0;

  /** `tensors` are those of attributes and of the initializers of subgraphs. `what` begins the message of an error. */
  constructor(
    what: string,
    file: string,
    functions: readonly FunctionProto[],
    tensors: ReadonlyMap<TensorProto, Known>,
  ) {
    this.#what = what;
    this.#file = file;
    this.#functions = new Map(functions.map((each) => [functionKey(each, each.name), each]));
    this.#tensors = tensors;
  }

  /** The plan of a model's graph, given the names of its inputs and initializers. */
  plan(graph: GraphProto, inputs: readonly string[], initializers: Iterable<string>, versions: Versions): Plan {
    const names = new Set<string>();
    for (const name of [...inputs, ...initializers]) this.#define(names, name);
    const place: Place = { versions, seen: names, depth: 0, given: undefined };
    const outputs = (graph.output ?? []).map(({ name = '' }) => name);
    return this.#planned(graph.node ?? [], inputs, outputs, new Map(), place);
  }

  #subgraph(graph: GraphProto, place: Place): Plan {
    const inputs = (graph.input ?? []).map(({ name = '' }) => name);
    const constants = new Map(
      (graph.initializer ?? []).map((proto) => [proto.name ?? '', this.#tensors.get(proto)!] as const),
    );
    const seen = new Set(place.seen);
    for (const name of new Set([...inputs, ...constants.keys()])) seen.add(name);
    const outputs = (graph.output ?? []).map(({ name = '' }) => name);
    return this.#planned(graph.node ?? [], inputs, outputs, constants, { ...place, seen, depth: place.depth + 1 });
  }

  #function(proto: FunctionProto, node: NodeProto, place: Place): Plan {
    const given = new Map((proto.attributeProto ?? []).map((each) => [each.name ?? '', each]));
    for (const each of node.attribute ?? []) given.set(each.name ?? '', each);
    const inputs = proto.input ?? [];
    const versions = versionsOf(proto.opsetImport ?? []);
    const seen = new Set(inputs);
    return this.#planned(proto.node ?? [], inputs, proto.output ?? [], new Map(), {
      versions: versions.size === 0 ? place.versions : versions,
      seen,
      depth: place.depth + 1,
      given,
    });
  }

  #planned(
    nodes: readonly NodeProto[],
    inputs: readonly string[],
    outputs: readonly string[],
    constants: ReadonlyMap<string, Known>,
    place: Place,
  ): Plan {
    if (place.depth > deepest) this.#fail(`graphs: got more than ${deepest} inside each other, expected fewer`);
    const seen = new Set(place.seen);
    const own = new Set(inputs);
    const steps = nodes.map((node) => {
      const step = this.#step(node, { ...place, seen }, nodes);
      for (const name of step.names.outputs) {
        if (name === '') continue;
        this.#define(seen, name);
        own.add(name);
      }
      return step;
    });
    for (const name of outputs) {
      if (!seen.has(name)) this.#fail(`output ${JSON.stringify(name)}: got no node that makes it, expected one`);
    }
    const wanted = new Set(outputs);
    for (const step of steps.toReversed()) {
      for (const name of usedBy(step)) {
        if (own.has(name) && !wanted.has(name)) step.dropped.push(name);
        wanted.add(name);
      }
    }
    return { inputs, outputs, constants, steps };
  }

  #step(node: NodeProto, place: Place, nodes: readonly NodeProto[]): Step {
    if (++this.#steps > mostSteps) this.#fail(`nodes: got more than ${mostSteps}, functions included, expected fewer`);
    const { opType = '', name = '', input = [], output = [] } = node;
    const what = `onnx: ${opType} ${JSON.stringify(name === '' ? (output[0] ?? '') : name)}`;
    for (const each of input) {
      if (each === '' || place.seen.has(each)) continue;
      const later = nodes.some((other) => other.output?.includes(each));
      const got = later ? 'a value that a later node makes, or the node itself' : 'one that nothing makes';
      this.#fail(
        `${opType} ${JSON.stringify(name)}: input ${JSON.stringify(each)}: got ${got}, expected an earlier one`,
      );
    }
    const protos = this.#attributes(node, place);
    const tensors = new Map<string, Known>();
    const bodies = new Map<string, Plan>();
    for (const [key, proto] of protos) {
      if (proto.t !== undefined) tensors.set(key, this.#tensors.get(proto.t)!);
      if (proto.g !== undefined) bodies.set(key, this.#subgraph(proto.g, place));
    }
    const domain = domainOf(node.domain);
    const local = this.#functions.get(functionKey(node, opType));
    const known = local === undefined ? operatorOf(domain, opType) : missing;
    if (known === undefined) this.unknown.add(domain === '' ? opType : `${domain}.${opType}`);
    return {
      what,
      run: known ?? missing,
      fold: local === undefined && domain === '' ? foldings.get(opType) : undefined,
      version: place.versions.get(domain) ?? 1,
      names: { inputs: input, outputs: output },
      attributes: { protos, tensors },
      bodies,
      inner: local && this.#function(local, node, place),
      dropped: [],
    };
  }

  /** The node's attributes by name, in a function with those that it refers to. */
  #attributes(node: NodeProto, place: Place): Map<string, AttributeProto> {
    const protos = new Map<string, AttributeProto>();
    for (const proto of node.attribute ?? []) {
      const reference = proto.refAttrName ?? '';
      const value = reference === '' ? proto : place.given?.get(reference);
      if (value !== undefined) protos.set(proto.name ?? '', value);
    }
    return protos;
  }

  #define(names: Set<string>, name: string): void {
    if (names.has(name)) this.#fail(`names: got ${JSON.stringify(name)} twice, expected one value of that name`);
    names.add(name);
  }

  #fail(message: string): never {
    throw new FormatError(`${this.#what}: ${message}`, { file: this.#file });
  }
}

/** Stands for an operator that is not known, or is a function: never called. */
const missing: Operator = () => undefined;

/** The version of each domain's operators. */
export const versionsOf = (imports: readonly { domain?: string; version?: number }[]): Map<string, number> =>
  new Map(imports.map(({ domain, version = 1 }) => [domainOf(domain), version]));

/** The names of other values that a step, or a graph in it, uses. */
function* usedBy({ names, bodies }: Step): Generator<string> {
  yield* names.inputs;
  for (const body of bodies.values()) {
    yield* body.outputs;
    for (const step of body.steps) yield* usedBy(step);
  }
}

/** Adds to `wanted` the names of all values that are to be known so that those in it, and the inputs of operators that say so, are. */
export function markKnown({ steps }: Plan, wanted: Set<string>): void {
  for (const { names, run, fold, bodies, inner } of steps.toReversed()) {
    const isWanted = names.outputs.some((name) => wanted.has(name));
    for (const [i, name] of names.inputs.entries()) {
      if (run.known?.includes(i) === true || (isWanted && fold !== undefined)) wanted.add(name);
    }
    for (const plan of [...bodies.values(), ...(inner === undefined ? [] : [inner])]) {
      const within = plan === inner ? new Set<string>() : wanted;
      if (isWanted) for (const name of plan.outputs) within.add(name);
      markKnown(plan, within);
      // A function's inputs are the node's; of a loop's, which are its state and more, all count.
      for (const [i, name] of plan.inputs.entries()) {
        if (!within.has(name)) continue;
        for (const input of plan === inner ? names.inputs.slice(i, i + 1) : names.inputs) wanted.add(input);
      }
    }
  }
}

/** Values by name, those of graphs around included. */
class Frame {
  readonly #values = new Map<string, Value>();
  readonly #around: Frame | undefined;

  constructor(around?: Frame) {
    this.#around = around;
  }

  get(name: string): Value {
    return this.#values.has(name) ? this.#values.get(name) : this.#around?.get(name);
  }
  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
  delete(name: string): void {
    this.#values.delete(name);
  }
}

/** The outputs of a plan for its inputs, and for the values that it finds around it. */
export function run(
  plan: Plan,
  inputs: readonly Value[],
  around: Iterable<[string, Value]>,
  running: Running,
): Value[] {
  const frame = new Frame();
  for (const [name, value] of around) frame.set(name, value);
  return runIn(frame, plan, inputs, running);
}

function runIn(frame: Frame, plan: Plan, inputs: readonly Value[], running: Running): Value[] {
  for (const [name, value] of plan.constants) frame.set(name, value);
  for (const [i, name] of plan.inputs.entries()) frame.set(name, inputs[i]);
  for (const step of plan.steps) {
    const { names, what } = step;
    const made = described(what, () => compute(step, frame, running));
    for (const [i, name] of names.outputs.entries()) {
      if (name === '') continue;
      if (i >= made.length) throw new FormatError(`${what}: outputs: got ${i + 1}, expected at most ${made.length}`);
      frame.set(name, made[i]);
    }
    for (const name of step.dropped) frame.delete(name);
  }
  return plan.outputs.map((name) => frame.get(name));
}

function compute(step: Step, frame: Frame, running: Running): readonly Value[] {
  const { names, what, version, attributes, fold, inner } = step;
  const given = names.inputs.map((name) => (name === '' ? undefined : frame.get(name)));
  if (inner !== undefined) return runIn(new Frame(), inner, given, running);
  const bodies = new Map<string, Body>();
  for (const [name, plan] of step.bodies) {
    bodies.set(name, (...inputs) => runIn(new Frame(frame), plan, inputs, running));
  }
  const call = new Call(what, version, given, names, attributes, bodies, running);
  const present = given.filter((value) => value !== undefined);
  if (fold !== undefined && present.length >= (fold.least ?? 1) && present.every(isSmall)) {
    const folded = fold(call, present);
    if (folded !== undefined) return folded;
  }
  const made = step.run(call);
  return made instanceof Outputs ? made.values : [made];
}

const isSmall = (value: Value): value is Known => value instanceof Known && value.size <= mostKnown;

/** Errors of ops say which node they come from. */
function described<T>(what: string, f: () => T): T {
  try {
    return f();
  } catch (error) {
    // Lists longer than the engine has, of sizes that nobody means.
    if (error instanceof RangeError) throw new OutOfMemoryError(`${what}: ${error.message}`);
    if (error instanceof HadalError && !error.message.startsWith('onnx: ')) error.message = `${what}: ${error.message}`;
    throw error;
  }
}
