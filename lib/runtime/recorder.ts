/**
 * Writes records, the form in which an op crosses into native code (native/binding/decode.h describes the words), and submits
 * them. It knows storages and numbers, not tensors; lib/ops/define.ts is its only caller.
 */
import type { NativeError } from '../native/addon';
import { native, recover, words } from './native';
import { adopt, disposedError, openedScope, type Storage } from './storage';

/** What the recorder needs of a tensor. */
export interface RecordedTensor {
  readonly storage: Storage;
  readonly dtypeCode: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly isContiguous: boolean;
}

const buffer = words;

/** As in native/binding/decode.h. */
const enum Kind {
  Stored,
  Contiguous,
  Fresh,
  Immediate,
  Absent,
  Arranged,
}

let at = 0;
let name = '';

/** Starts the record of an op. */
export function beginRecord(
  opName: string,
  opcode: number,
  device: number,
  inputs: number,
  outputs: number,
  attributes: number,
): void {
  const record = buffer;
  record[0] = opcode;
  record[1] = device;
  record[2] = inputs;
  record[3] = outputs;
  record[4] = attributes;
  name = opName;
  at = 5;
}

/** Writes a tensor with its own shape and strides. */
export function recordTensor(tensor: RecordedTensor): void {
  const { isContiguous } = tensor;
  recordView(tensor, isContiguous ? Kind.Contiguous : Kind.Stored, tensor.shape);
  if (!isContiguous) recordSizes(tensor.strides);
}

/** Writes a tensor as it looks broadcast to `shape`, which its own shape must allow. */
export function recordBroadcast(tensor: RecordedTensor, shape: readonly number[]): void {
  const { strides } = tensor;
  const rank = shape.length;
  const missing = rank - tensor.shape.length;
  recordView(tensor, Kind.Stored, shape);
  for (let axis = 0; axis < rank; axis++) {
    const own = axis - missing;
    buffer[at++] = own < 0 || tensor.shape[own] === 1 ? 0 : strides[own]!;
  }
}

/** Writes a tensor up to its shape. */
function recordView(tensor: RecordedTensor, kind: Kind, shape: readonly number[]): void {
  const { storage } = tensor;
  if (storage.released !== undefined) throwDisposed(tensor);
  const record = buffer;
  const word = at;
  record[word] = kind + 16 * tensor.dtypeCode + 256 * shape.length;
  record[word + 1] = storage.slot;
  record[word + 2] = storage.generation;
  record[word + 3] = tensor.offset;
  at = word + 4;
  recordSizes(shape);
}

/** Writes a shape or strides. */
function recordSizes(sizes: readonly number[]): void {
  const record = buffer;
  let word = at;
  for (let axis = 0; axis < sizes.length; axis++) record[word++] = sizes[axis]!;
  at = word;
}

function throwDisposed({ storage, shape }: RecordedTensor): never {
  throw disposedError(name, storage, shape);
}

/** Writes a number, which the kernel sees as a tensor of `shape` with that value everywhere. */
export function recordNumber(value: number, dtypeCode: number, shape: readonly number[]): void {
  buffer[at++] = Kind.Immediate + 16 * dtypeCode + 256 * shape.length;
  buffer[at++] = value;
  recordSizes(shape);
}

/** Writes that an optional tensor is not there. */
export function recordAbsent(): void {
  buffer[at++] = Kind.Absent;
}

/**
 * Writes an output that gets new memory, row-major unless strides are given; {@link claimOutput} makes its storage after {@link submitRecord}.
 * Answers where it stands.
 */
export function recordFresh(dtypeCode: number, shape: readonly number[], strides?: readonly number[]): number {
  const position = at;
  buffer[position] = (strides === undefined ? Kind.Fresh : Kind.Arranged) + 16 * dtypeCode + 256 * shape.length;
  at = position + 3;
  recordSizes(shape);
  if (strides !== undefined) recordSizes(strides);
  return position;
}

export function recordAttribute(value: number): void {
  buffer[at++] = value;
}

/** Told of each submission and when it began and ended, in milliseconds of `performance.now`. */
export type SubmissionObserver = (op: string, start: number, end: number) => void;

let observer: SubmissionObserver | undefined;

/** Has submissions observed, or no longer: for profiles. */
export function observeSubmissions(observe: SubmissionObserver | undefined): void {
  observer = observe;
}

/**
 * Runs the record; the memory of its one output, a fresh one, is freed when `owner`, if given, is collected. Errors of the op's arguments are thrown
 * here, with the caller on the stack.
 */
export function submitRecord(owner?: Storage): void {
  const failure = observer === undefined ? submit(owner) : submitObserved(observer, owner);
  if (failure !== undefined) submitAgain(failure, owner);
}

function submit(owner: Storage | undefined): NativeError | undefined {
  return owner === undefined ? native.submit() : native.submit(owner);
}

function submitObserved(observe: SubmissionObserver, owner: Storage | undefined): NativeError | undefined {
  const start = performance.now();
  const failure = submit(owner);
  observe(name, start, performance.now());
  return failure;
}

function submitAgain(failure: NativeError, owner: Storage | undefined): void {
  const again = (): void => {
    const next = submit(owner);
    if (next !== undefined) throw next;
  };
  recover(failure, again, name);
}

/** Runs a record whose one output is fresh and stands at `position`, and claims it. */
export function submitFresh(storage: Storage, position: number): void {
  const scope = openedScope();
  submitRecord(scope === undefined ? storage : undefined);
  fillIn(storage, position);
  scope?.adopt(storage);
}

/** Fills in the storage of a fresh output and gives it to the current scope or the garbage collector. */
export function claimOutput(storage: Storage, position: number): void {
  fillIn(storage, position);
  adopt(storage);
}

function fillIn(storage: Storage, position: number): void {
  // As small integers: a double in a field is an object of its own.
  storage.slot = buffer[position + 1]! | 0;
  storage.generation = buffer[position + 2]! | 0;
}
