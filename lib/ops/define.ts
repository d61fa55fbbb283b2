/**
 * What an op is, and how one runs: `defineOp` binds a line of native/ops.def to its dtypes and its gradient rule, `defineView` does the
 * same for ops that only look at the same memory differently; `run` and its siblings encode a call, submit it and record it in
 * the autograd graph. Nothing here branches on an op's name. Gradient rules are written with tensor methods, so that op files need
 * not import each other in circles.
 */
import { ArgumentError, DeviceError, DTypeError } from '../errors';
import { Op, type OpName } from '../native/opcodes';
import { deviceName, hasTensorCores } from '../runtime/device';
import {
  beginRecord,
  claimOutput,
  recordAbsent,
  recordAttribute,
  recordBroadcast,
  recordFresh,
  recordNumber,
  recordTensor,
  submitFresh,
  submitRecord,
} from '../runtime/recorder';
import { Storage } from '../runtime/storage';
import { tape, type LiveAttributes } from '../runtime/tape';
import { bytesOf, codeOf, codes, isFloat, type DType } from '../tensor/dtype';
import { checkFlag } from '../tensor/checks';
import { describe } from '../tensor/describe';
import { Edge, Node, recording, type Differentiable, type GradientRule } from '../tensor/node';
import type { Shape } from '../tensor/shape-types';
import {
  alignedRowStrides,
  channelsLastStrides,
  contiguousStrides,
  extentOf,
  isChannelsLast,
  isContiguous,
  sameShape,
  show,
} from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import type { AutocastPolicy } from './autocast';
import { optionNames } from './option-names';

/** An argument of an op: a tensor, a number (an immediate operand of a pointwise op), or an optional tensor left out. */
export type Argument = AnyTensor | number | undefined;

export interface OpSpec<Context> {
  /** The dtypes that the kernels take for the first tensor; an op called with another throws `DTypeError`. */
  readonly dtypes: readonly DType[];
  /** How the gradient is computed; absent for an op whose result does not depend smoothly on its inputs. */
  readonly gradient?: GradientRule<Context> | undefined;
  /** What the rule reads: only that is kept alive by the graph. */
  readonly saves?: { readonly inputs?: boolean; readonly outputs?: boolean };
  /** Inputs are seen broadcast to the shape of the output, and may be numbers. */
  readonly pointwise?: boolean;
  /**
   * Whether fresh outputs [n, c, …] have the channels of a position side by side, on a device with tensor cores: `last`, if they have 16 bits; `kept`,
   * if an input of their rank has. Pointwise ops keep; other outputs are row-major.
   */
  readonly channels?: 'last' | 'kept' | undefined;
  /** Whether long rows of fresh outputs of 16 bits begin at multiples of 16 bytes, on a device with tensor cores, with gaps between them. */
  readonly rows?: 'aligned' | undefined;
  /** The highest order of gradient that the tests check; 2 unless given. 1 for rules over kernels without a gradient of their own. */
  readonly order?: 1 | 2;
  /** How many outputs take part in gradients; the first one of a native op unless given, all of a view. */
  readonly differentiableOutputs?: number;
  /** What the op computes in under mixed precision; its operands' own dtypes unless given. */
  readonly autocast?: AutocastPolicy | undefined;
  /** The kernel exists on the CPU alone: tensors on other devices are copied there, and the results back. */
  readonly onHost?: boolean;
}

/** An op of native/ops.def with its rules. */
export interface NativeOp<Context = unknown> extends OpSpec<Context>, Differentiable<Context> {
  readonly name: OpName;
  readonly opcode: number;
  /** `dtypes` as bits, by their codes. */
  readonly dtypeBits: number;
}

/** Every native op that has been defined, for the completeness test and docs/ops.md. */
export const nativeOps = new Map<OpName, NativeOp>();

/** Defines the op `name` of native/ops.def. */
export function defineOp<Context = readonly number[]>(name: OpName, spec: OpSpec<Context>): NativeOp<Context> {
  const op: NativeOp<Context> = {
    name,
    opcode: Op[name],
    dtypes: spec.dtypes,
    dtypeBits: spec.dtypes.reduce((bits, dtype) => bits | (1 << codeOf(dtype)), 0),
    gradient: spec.gradient,
    saves: spec.saves ?? nothing,
    pointwise: spec.pointwise ?? false,
    channels: spec.channels ?? (spec.pointwise === true ? 'kept' : undefined),
    rows: spec.rows,
    order: spec.order ?? 2,
    differentiableOutputs: spec.differentiableOutputs ?? 1,
    autocast: spec.autocast,
    onHost: spec.onHost ?? false,
  };
  nativeOps.set(name, op);
  return op;
}

const nothing = {};
const noAttributes: readonly number[] = [];
const noUpdates: readonly undefined[] = [];

export const allDTypes = Object.keys(codes) as DType[];
export const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
export const integers: readonly DType[] = ['int64', 'int32', 'int16', 'int8', 'uint8'];
export const numbers: readonly DType[] = [...floats, ...integers];
export const integersAndBool: readonly DType[] = [...integers, 'bool'];

/** Throws unless `dtype` is one that the op takes. */
export function checkDType(name: string, dtype: DType, allowed: readonly DType[]): void {
  if (allowed.includes(dtype)) return;
  throw new DTypeError(`${name}: dtype: got ${dtype}, expected ${allowed.join(', ')}`, { op: name, dtype });
}

/** Throws unless `dtype` is one that the op takes. */
export function checkTaken(op: NativeOp, dtype: DType): void {
  if (((op.dtypeBits >> codeOf(dtype)) & 1) === 0) checkDType(op.name, dtype, op.dtypes);
}

/** Throws `ArgumentError` unless `value` is a tensor. */
export function checkTensor(name: string, value: unknown, argument = 'input'): asserts value is AnyTensor {
  if (value instanceof Tensor) return;
  const got = describe(value);
  const expected = got === describe(Tensor.prototype) ? 'one of this copy of hadal: two are loaded' : 'a tensor';
  throw new ArgumentError(`${name}: ${argument}: got ${got}, expected ${expected}`, { op: name });
}

/** What PyTorch's options are called here, beside those of several words. */
const ownNames = new Map([
  ['dim', 'axis'],
  ['keepdim', 'keepDims'],
  ['eps', 'epsilon'],
]);

/**
 * Throws `ArgumentError` unless `options` is left out or an object whose names are those that `taker` has, with true or false where that is wanted. Of a taker that is not in the list, such as
 * a class of a user over one of ours, PyTorch's names alone are refused.
 */
export function checkOptions(name: string, options: unknown, taker = name): void {
  if (options === undefined) return;
  checkObject(name, options, 'options');
  const known = optionNames.get(taker);
  for (const given of Object.keys(options)) {
    const isFlag = known?.get(given);
    if (isFlag === undefined) checkName(name, given, known);
    else if (isFlag) checkFlag(name, given, (options as Readonly<Record<string, unknown>>)[given]);
  }
}

/** The same for options that may not be left out. */
export function checkGivenOptions(name: string, options: unknown, taker = name): asserts options is object {
  checkObject(name, options, 'options');
  checkOptions(name, options, taker);
}

function checkName(name: string, given: string, known: ReadonlyMap<string, boolean> | undefined): void {
  const own = given.includes('_')
    ? given.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase())
    : ownNames.get(given);
  const expected = own === undefined || known?.has(own) === false ? known && [...known.keys()].join(', ') : own;
  if (expected === undefined) return;
  throw new ArgumentError(`${name}: options: got ${given}, expected ${expected}`, { op: name });
}

/** Throws `ArgumentError` unless `value` is an object with named fields. */
export function checkObject(name: string, value: unknown, argument: string): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Tensor)) return;
  throw new ArgumentError(`${name}: ${argument}: got ${describe(value)}, expected an object`, { op: name });
}

/** The same kernel under another gradient rule, for a call whose gradient has a better form. */
export function withGradient<Context>(
  op: NativeOp,
  gradient: GradientRule<Context>,
  saves: OpSpec<Context>['saves'] = nothing,
  rows?: OpSpec<Context>['rows'],
): NativeOp<Context> {
  return { ...(op as NativeOp<Context>), gradient, saves, rows };
}

/** What an output is to be. */
export interface OutputSpec {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The strides; those that the op asks for by `channels` and `rows` unless given. */
  readonly layout?: readonly number[];
}

/** The strides of a fresh output that is not row-major. */
function layoutOf(
  op: NativeOp,
  inputs: readonly Argument[],
  shape: Shape,
  dtype: DType,
  device: number,
): readonly number[] | undefined {
  if (!hasTensorCores(device)) return undefined;
  if (op.rows === 'aligned') return bytesOf(dtype) === 2 ? alignedRowStrides(shape) : undefined;
  if (op.channels === undefined || shape.length < 3) return undefined;
  if (op.channels === 'last') {
    return bytesOf(dtype) === 2 ? arranged(shape, channelsLastStrides(shape)) : undefined;
  }
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i];
    if (typeof x !== 'object' || x.isContiguous || x.shape.length !== shape.length) continue;
    if (!isChannelsLast(x.shape, x.strides)) continue;
    return sameShape(x.shape, shape) ? x.strides : arranged(shape, channelsLastStrides(shape));
  }
  return undefined;
}

/** The strides, unless they are row-major ones. */
function arranged(shape: Shape, strides: readonly number[] | undefined): readonly number[] | undefined {
  return strides === undefined || isContiguous(shape, strides) ? undefined : strides;
}

function encodeInputs(op: NativeOp, inputs: readonly Argument[], shape: Shape, dtype: DType, device: number): void {
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    if (typeof input !== 'object') encodeNumber(input, shape, dtype);
    else if (input.storage.device !== device) throwDevices(op, inputs, device);
    else if (op.pointwise !== true || input.shape === shape) recordTensor(input);
    else encodeBroadcast(input, shape);
  }
}

function encodeBroadcast(input: AnyTensor, shape: Shape): void {
  if (sameShape(input.shape, shape)) recordTensor(input);
  else recordBroadcast(input, shape);
}

function encodeNumber(input: number | undefined, shape: Shape, dtype: DType): void {
  if (input === undefined) recordAbsent();
  else recordNumber(input, codeOf(dtype), shape);
}

/** The device that the first tensor among `inputs` is on; the CPU when there is none. */
function deviceOf(inputs: readonly Argument[]): number {
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    if (typeof input === 'object') return input.storage.device;
  }
  return 0;
}

function throwDevices(op: NativeOp, inputs: readonly Argument[], device: number): never {
  const devices = inputs.flatMap((input) => (typeof input === 'object' ? [input.storage.device] : []));
  const names = [...new Set([device, ...devices])].map(deviceName).join(' and ');
  throw new DeviceError(`${op.name}: tensors on different devices: got ${names}, expected one device`);
}

/** Whether an op with these inputs leaves a node. */
export function leavesNode(inputs: readonly Argument[]): boolean {
  if (!recording.enabled) return false;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    if (typeof input === 'object' && input.edge !== undefined) return true;
  }
  return false;
}

/** Runs an op on copies of its inputs on the CPU, and copies the results to where the inputs are. All is recorded, as ops of their own. */
function runOnHost(
  op: NativeOp,
  inputs: readonly Argument[],
  body: (inputs: readonly Argument[]) => AnyTensor[],
): AnyTensor[] {
  const [{ device, storage }, ...others] = inputs.filter((input) => typeof input === 'object') as [
    AnyTensor,
    ...AnyTensor[],
  ];
  if (others.some((input) => input.device !== device)) throwDevices(op, inputs, storage.device);
  return body(inputs.map((input) => (typeof input === 'object' ? input.to('cpu') : input))).map((y) => y.to(device));
}

// Not among the statements of run(): the closure would move its arguments to the heap, in every call.
function runOneOnHost<Context>(
  op: NativeOp<Context>,
  inputs: readonly Argument[],
  ...rest: [Shape, DType, readonly number[], Context, DType, Shape]
): AnyTensor {
  return runOnHost(op, inputs, (there) => [run(op, there, ...rest)])[0]!;
}

/**
 * Runs an op with one output, freshly allocated, and records it. `context` is what the gradient rule gets: the attributes, unless given.
 * `operandDType` is the dtype of number arguments and `nativeShape` the output's shape for the kernel (a reduction keeps its axes there),
 * where they differ from the output's own.
 */
export function run<Context>(
  op: NativeOp<Context>,
  inputs: readonly Argument[],
  shape: Shape,
  dtype: DType,
  attributes: readonly number[] = noAttributes,
  context: Context = attributes as Context,
  operandDType: DType = dtype,
  nativeShape: Shape = shape,
  device: number = deviceOf(inputs),
): AnyTensor {
  if (device !== 0 && op.onHost === true) {
    return runOneOnHost(op, inputs, shape, dtype, attributes, context, operandDType, nativeShape);
  }
  beginRecord(op.name, op.opcode, device, inputs.length, 1, attributes.length);
  encodeInputs(op, inputs, nativeShape, operandDType, device);
  const layout = layoutOf(op, inputs, shape, dtype, device);
  const position = recordFresh(codeOf(dtype), nativeShape, layout);
  for (let i = 0; i < attributes.length; i++) recordAttribute(attributes[i]!);
  const storage = new Storage(device, extentOf(shape, layout) * bytesOf(dtype), op.name);
  submitFresh(storage, position);
  const first = inputs[0];
  const sharesStrides = typeof first === 'object' && first.shape === shape && first.isContiguous;
  const strides = layout ?? (sharesStrides ? first.strides : contiguousStrides(shape));
  const output = new Tensor(storage, dtype, shape, strides, 0, layout === undefined) as AnyTensor;
  tape?.take(op.name, inputs, [output]);
  if (op.gradient !== undefined && leavesNode(inputs)) recordNode(op, inputs, output, undefined, context);
  return output;
}

/** Runs an op with several fresh outputs. Behind them come `updates`, tensors that it moves in place, as {@link runInto} does. */
export function runMany<Context>(
  op: NativeOp<Context>,
  inputs: readonly Argument[],
  outputs: readonly OutputSpec[],
  attributes: readonly number[] = noAttributes,
  context: Context = attributes as Context,
  updates: readonly (AnyTensor | undefined)[] = noUpdates,
): AnyTensor[] {
  const device = deviceOf(inputs);
  for (const update of updates) {
    if (update === undefined) continue;
    checkWritable(op.name, update);
    if (update.storage.device !== device) throwDevices(op, [...inputs, update], device);
  }
  if (device !== 0 && op.onHost === true) {
    return runOnHost(op, inputs, (there) => runMany(op, there, outputs, attributes, context));
  }
  beginRecord(op.name, op.opcode, device, inputs.length, outputs.length + updates.length, attributes.length);
  encodeInputs(op, inputs, outputs[0]!.shape, outputs[0]!.dtype, device);
  const layouts = outputs.map(({ shape, dtype, layout }) =>
    layout === undefined ? layoutOf(op, inputs, shape, dtype, device) : arranged(shape, layout),
  );
  const positions = outputs.map(({ shape, dtype }, i) => recordFresh(codeOf(dtype), shape, layouts[i]));
  for (const update of updates) {
    if (update === undefined) recordAbsent();
    else recordTensor(update);
  }
  for (let i = 0; i < attributes.length; i++) recordAttribute(attributes[i]!);
  submitRecord();
  // The words of all outputs are read before anything else is recorded.
  const results = outputs.map(({ shape, dtype }, i) => {
    const layout = layouts[i];
    const storage = new Storage(device, extentOf(shape, layout) * bytesOf(dtype), op.name);
    claimOutput(storage, positions[i]!);
    return new Tensor(storage, dtype, shape, layout ?? contiguousStrides(shape), 0, layout === undefined) as AnyTensor;
  });
  tape?.take(op.name, inputs, updates.length === 0 ? results : [...results, ...updates]);
  for (const update of updates) if (update !== undefined) update.storage.version++;
  if (op.gradient !== undefined && leavesNode(inputs)) recordNode(op, inputs, results[0]!, results, context);
  return results;
}

/**
 * Runs an op that writes into existing tensors, and bumps their versions. Attributes that differ from run to run come from a function, which a
 * compiled step calls again at each replay. It is not recorded: a tensor that the graph depends on must not be
 * written to, except under noGrad.
 */
export function runInto<Context>(
  op: NativeOp<Context>,
  inputs: readonly Argument[],
  outputs: readonly AnyTensor[],
  attributes: readonly number[] | LiveAttributes = noAttributes,
  operandDType: DType = outputs[0]!.dtype,
): void {
  for (let i = 0; i < outputs.length; i++) checkWritable(op.name, outputs[i]!);
  const device = deviceOf(outputs);
  const values = typeof attributes === 'function' ? attributes() : attributes;
  beginRecord(op.name, op.opcode, device, inputs.length, outputs.length, values.length);
  encodeInputs(op, inputs, outputs[0]!.shape, operandDType, device);
  for (let i = 0; i < outputs.length; i++) recordTensor(outputs[i]!);
  for (let i = 0; i < values.length; i++) recordAttribute(values[i]!);
  submitRecord();
  tape?.take(op.name, inputs, outputs);
  if (typeof attributes === 'function') tape?.live(attributes);
  for (let i = 0; i < outputs.length; i++) outputs[i]!.storage.version++;
}

/** Throws unless an op may write to the tensor. */
function checkWritable(name: string, x: AnyTensor): void {
  if (!x.isContiguous) checkDistinct(name, x);
  if (recording.enabled && x.edge !== undefined) {
    throw new ArgumentError(
      `${name}: in-place write to a tensor that requires a gradient: got ${x.isLeaf ? 'a leaf' : 'the result of a recorded op'}, ` +
        'expected noGrad(() => …) around it',
    );
  }
}

/** Throws when several elements of a tensor that is written to share their memory: the last to be written would stay. */
function checkDistinct(name: string, { shape, strides }: AnyTensor): void {
  for (let axis = 0; axis < shape.length; axis++) {
    if (strides[axis] !== 0 || shape[axis]! < 2) continue;
    throw new ArgumentError(
      `${name}: in-place write to an expanded tensor: got shape ${show(shape)} with elements that share memory, expected clone() before`,
    );
  }
}

function recordNode<Context>(
  op: Differentiable<Context> & Pick<OpSpec<Context>, 'saves' | 'differentiableOutputs'>,
  inputs: readonly Argument[],
  output: AnyTensor,
  outputs: readonly AnyTensor[] | undefined,
  context: Context,
): void {
  // A result that is no floating number takes no part in gradients.
  if (!isFloat(output.dtype)) return;
  const edges = new Array<Edge | undefined>(inputs.length);
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    edges[i] = typeof input === 'object' ? input.edge : undefined;
  }
  const node = new Node<Context>(op, edges, context);
  if (recording.anomaly) node.trace = new Error(op.name).stack;
  if (op.saves?.inputs === true) {
    node.inputs = inputs;
    const versions = new Array<number>(inputs.length);
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      versions[i] = typeof input === 'object' ? input.storage.version : 0;
    }
    node.inputVersions = versions;
  }
  if (outputs === undefined) {
    const edge = new Edge(node, 0, output.shape, output.dtype);
    output.edge = edge;
    node.outputEdges = [edge];
  } else {
    node.outputEdges = outputs.slice(0, op.differentiableOutputs).map((result, i) => {
      return (result.edge = new Edge(node, i, result.shape, result.dtype));
    });
  }
  if (op.saves?.outputs === true) {
    node.outputs = outputs ?? [output];
    node.outputVersions = node.outputs.map((saved) => saved.storage.version);
  }
}

/** An op that only looks at its input's memory differently, or several commands that are differentiated as one. */
export interface ViewOp<Context> extends Differentiable<Context>, Pick<OpSpec<Context>, 'saves'> {
  readonly gradient: GradientRule<Context>;
}

/** Every view op that has been defined, for the completeness test. */
export const viewOps = new Map<string, ViewOp<unknown>>();

export function defineView<Context>(
  name: string,
  gradient: GradientRule<Context>,
  saves: ViewOp<Context>['saves'] = nothing,
): ViewOp<Context> {
  const op: ViewOp<Context> = { name, gradient, saves };
  viewOps.set(name, op);
  return op;
}

/** Makes a view of `x` and records it. */
export function view<Context>(
  op: ViewOp<Context>,
  x: AnyTensor,
  shape: Shape,
  strides: readonly number[],
  offset: number,
  context: Context,
): AnyTensor {
  // Nothing may stand outside its storage, and a view of nothing need not stand anywhere.
  const start = offset !== 0 && shape.includes(0) ? 0 : offset;
  const output = new Tensor(x.storage, x.dtype, shape, strides, start, isContiguous(shape, strides)) as AnyTensor;
  tape?.view(op.name, x, output, context);
  return x.edge === undefined ? output : recorded(op, [x], output, context);
}

/**
 * Records `output` as the image of `inputs` under `op`: of a transfer, which no command makes, or of commands on detached tensors that are
 * differentiated as a whole.
 */
export function recorded<Context>(
  op: ViewOp<Context>,
  inputs: readonly Argument[],
  output: AnyTensor,
  context: Context,
): AnyTensor {
  if (leavesNode(inputs)) recordNode(op, inputs, output, undefined, context);
  return output;
}

/** Records `outputs` as views of parts of `x`. Their gradients reach the rule together: one that none arrived for is undefined, the first one zero. */
export function recordedParts<Context>(
  op: ViewOp<Context>,
  x: AnyTensor,
  outputs: readonly AnyTensor[],
  context: Context,
): void {
  const [first] = outputs;
  if (first !== undefined && leavesNode([x])) recordNode(op, [x], first, outputs, context);
}

/** Makes functions of a tensor into methods of it: `f(x, …)` becomes `x.f(…)`. Their types are declared by interface merging. */
export function installMethods(functions: Readonly<Record<string, (x: never, ...rest: never[]) => unknown>>): void {
  for (const [name, f] of Object.entries(functions)) {
    const call = f as (x: unknown, ...rest: unknown[]) => unknown;
    Object.defineProperty(Tensor.prototype, name, {
      value(this: AnyTensor, ...rest: unknown[]) {
        return call(this, ...rest);
      },
      writable: true,
      configurable: true,
    });
  }
}
