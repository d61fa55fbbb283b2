/** A model of an ONNX file as a module: its parameters, its declared inputs and outputs, and `forward`, which runs the graph's plan. */
import { isGradEnabled } from '../autograd/modes';
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { Module, type Parameter } from '../nn/module';
import { getDefaultDevice, type Device } from '../runtime/device';
import { describe } from '../tensor/describe';
import { encode, type DType } from '../tensor/dtype';
import { show } from '../tensor/shapes';
import { scope } from '../tensor/scope';
import { Tensor, type AnyTensor, type NestedNumbers } from '../tensor/tensor';
import { run, type Plan } from './graph';
import { Known, type Value } from './value';

/** What a model says about an input or an output. */
export interface Signature {
  readonly name: string;
  /** Undefined for a sequence, or an input that is optional. */
  readonly dtype: DType | undefined;
  /** Sizes, or the names of those that are open; undefined where nothing is said. */
  readonly shape: readonly (number | string)[] | undefined;
}

/**
 * What `forward` takes for an input: a tensor; or numbers, which are known, so that they may decide shapes (a target size, an axis, a condition); or a list of tensors for
 * a sequence; undefined for an optional input that is left out.
 */
export type Input = AnyTensor | NestedNumbers | boolean | readonly AnyTensor[] | undefined;

/** A graph that is ready to run. */
export interface Loaded {
  readonly plan: Plan;
  readonly inputs: readonly Signature[];
  readonly outputs: readonly Signature[];
  readonly tensors: Readonly<Record<string, AnyTensor | Parameter>>;
  /** The elements of those that are known. */
  readonly known: ReadonlyMap<string, Known>;
}

/**
 * A model of an ONNX file; see {@link load}. Its floating initializers are parameters, under their names in the file, all others buffers: integers, and floats that are settings
 * or state (the statistics of batch norm, the scales of a resize or a quantisation). Results are differentiable. Whether batch norm and dropout behave as in training is the
 * graph's own decision; those that it puts in training do so unless the model is in evaluation mode, after {@link Module.eval}.
 *
 * `Y` is what {@link forward} answers: a tensor unless given, `AnyTensor[]` for a model of several outputs.
 */
export class Model<Y = AnyTensor> extends Module {
  /** In the order in which `forward` takes them. */
  readonly inputs: readonly Signature[];
  readonly outputs: readonly Signature[];
  readonly #plan: Plan;
  readonly #known: ReadonlyMap<string, Known>;
  private readonly tensors: Record<string, AnyTensor>;

  /** @internal */
  constructor({ plan, inputs, outputs, tensors, known }: Loaded) {
    super();
    this.inputs = inputs;
    this.outputs = outputs;
    this.#plan = plan;
    this.tensors = tensors;
    this.#known = known;
  }

  /**
   * Runs the model on its inputs in their order, or on one record of them by name, and answers its only output, or the list of all if there are several. Nothing is read back
   * from the device, except by operators whose result has as many elements as their input's values say (NonZero, NonMaxSuppression, Unique, Compress): those block the thread.
   *
   * @throws ArgumentError when inputs are missing or too many, or where a tensor is given and shapes depend on its elements: give numbers; ShapeError, DTypeError
   * for an input that is not as declared, and whatever the ops throw, with the node's name.
   */
  forward(...inputs: Input[] | [Readonly<Record<string, Input>>]): Y {
    const values = this.#ordered(inputs).map((value, i) => checked(this.inputs[i]!, value));
    const device = [...values, ...Object.values(this.tensors)].find((value) => value instanceof Tensor)?.device;
    const running = { device: (device ?? getDefaultDevice()) as Device, training: this.training };
    const found = (): AnyTensor[] =>
      run(this.#plan, values, this.#initializers(), running).map((value) => result(value, running.device));
    // Where nothing is recorded, nothing but the result is needed later.
    const results = isGradEnabled() ? found() : scope(found);
    return (results.length === 1 ? results[0] : results) as Y;
  }

  *#initializers(): Generator<[string, Value]> {
    for (const [name, tensor] of Object.entries(this.tensors)) yield [name, this.#known.get(name) ?? tensor];
  }

  #ordered(given: readonly unknown[]): readonly unknown[] {
    const [first] = given;
    const names = this.inputs.map(({ name }) => name);
    if (given.length !== 1 || !isRecord(first)) {
      if (given.length === names.length) return given;
      throw new ArgumentError(`onnx: inputs: got ${given.length}, expected ${names.length}: ${names.join(', ')}`);
    }
    const unknown = Object.keys(first).find((name) => !names.includes(name));
    if (unknown !== undefined) {
      throw new ArgumentError(`onnx: inputs: got ${unknown}, expected ${names.join(', ')}`);
    }
    return names.map((name) => first[name]);
  }

  protected override fields(): Iterable<[string, unknown]> {
    return Object.entries(this.tensors);
  }

  protected override slot(name: string): [holder: object, key: string] {
    return [this.tensors, name];
  }

  protected override describe(): string {
    return [this.inputs, this.outputs].map((list) => list.map(({ name }) => name).join(', ')).join(' → ');
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !(value instanceof Tensor) && !Array.isArray(value);
}

/** An input as a value of the graph. */
function checked(signature: Signature, given: unknown): Value {
  const { name, dtype, shape } = signature;
  if (dtype === undefined) {
    if (given === undefined || given instanceof Tensor) return given as AnyTensor | undefined;
    if (Array.isArray(given) && given.every((each) => each instanceof Tensor)) return given as AnyTensor[];
    throw new ArgumentError(`onnx: input ${name}: got ${describe(given)}, expected a list of tensors`);
  }
  const value = given instanceof Tensor ? (given as AnyTensor) : numbers(name, dtype, given);
  if (value.dtype !== dtype) throw new DTypeError(`onnx: input ${name}: got ${value.dtype}, expected ${dtype}`);
  if (shape === undefined) return value;
  const fits =
    value.shape.length === shape.length &&
    shape.every((size, axis) => typeof size === 'string' || size === value.shape[axis]);
  if (fits) return value;
  throw new ShapeError(`onnx: input ${name}: got shape ${show(value.shape)}, expected [${shape.join(', ')}]`);
}

function numbers(name: string, dtype: DType, given: unknown): Known {
  const shape: number[] = [];
  for (let level: unknown = given; Array.isArray(level); level = level[0]) shape.push(level.length);
  const flat = (Array.isArray(given) ? given.flat(Infinity) : [given]) as unknown[];
  const isNumber = (value: unknown): boolean => ['number', 'boolean', 'bigint'].includes(typeof value);
  if (!flat.every(isNumber) || flat.length !== shape.reduce((product, size) => product * size, 1)) {
    throw new ArgumentError(`onnx: input ${name}: got ${describe(given)}, expected a tensor, or numbers`);
  }
  return new Known(dtype, shape, encode(dtype, flat as number[], `onnx: input ${name}`));
}

/** An output as a tensor of the caller's. */
function result(value: Value, device: Device): AnyTensor {
  if (value instanceof Known) return value.tensor(device).clone() as AnyTensor;
  if (Array.isArray(value)) return value.map((each) => result(each as Value, device)) as never;
  return value as AnyTensor;
}
