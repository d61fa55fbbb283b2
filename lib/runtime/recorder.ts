/**
 * Writes records, the form in which an op crosses into native code (native/binding/decode.h describes the words), and submits
 * them. It knows storages and numbers, not tensors; lib/ops/define.ts is its only caller.
 */
import { native, recover, words } from './native';
import { adopt, disposedError, isInScope, type Storage } from './storage';
import { tape } from './tape';

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
// TensorKind of native/binding/decode.h.
const stored = 0;
const contiguous = 1;
const fresh = 2;
const immediate = 3;
const absent = 4;

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
  name = opName;
  tape?.begin();
  buffer[0] = opcode;
  buffer[1] = device;
  buffer[2] = inputs;
  buffer[3] = outputs;
  buffer[4] = attributes;
  at = 5;
}

/** Writes a tensor with its own shape and strides. */
export function recordTensor(tensor: RecordedTensor): void {
  const { storage, shape, strides, isContiguous } = tensor;
  if (storage.released !== undefined) throw disposedError(name, storage, shape);
  const rank = shape.length;
  let word = recordStorage(tensor, isContiguous ? contiguous : stored, rank);
  for (let axis = 0; axis < rank; axis++) buffer[word++] = shape[axis]!;
  if (!isContiguous) for (let axis = 0; axis < rank; axis++) buffer[word++] = strides[axis]!;
  at = word;
}

/** Writes a tensor as it looks broadcast to `shape`, which its own shape must allow. */
export function recordBroadcast(tensor: RecordedTensor, shape: readonly number[]): void {
  const { storage, strides } = tensor;
  if (storage.released !== undefined) throw disposedError(name, storage, tensor.shape);
  const rank = shape.length;
  const missing = rank - tensor.shape.length;
  let word = recordStorage(tensor, stored, rank);
  for (let axis = 0; axis < rank; axis++) buffer[word++] = shape[axis]!;
  for (let axis = 0; axis < rank; axis++) {
    const own = axis - missing;
    buffer[word++] = own < 0 || tensor.shape[own] === 1 ? 0 : strides[own]!;
  }
  at = word;
}

/** Writes the words before a tensor's shape; answers where the shape goes. */
function recordStorage(tensor: RecordedTensor, kind: number, rank: number): number {
  tape?.refer(tensor.storage);
  const word = at;
  buffer[word] = kind + 16 * tensor.dtypeCode + 256 * rank;
  buffer[word + 1] = tensor.storage.slot;
  buffer[word + 2] = tensor.storage.generation;
  buffer[word + 3] = tensor.offset;
  return word + 4;
}

/** Writes a number, which the kernel sees as a tensor of `shape` with that value everywhere. */
export function recordNumber(value: number, dtypeCode: number, shape: readonly number[]): void {
  const rank = shape.length;
  let word = at;
  buffer[word++] = immediate + 16 * dtypeCode + 256 * rank;
  buffer[word++] = value;
  for (let axis = 0; axis < rank; axis++) buffer[word++] = shape[axis]!;
  at = word;
}

/** Writes that an optional tensor is not there. */
export function recordAbsent(): void {
  buffer[at++] = absent;
}

/** Writes an output that gets new memory; {@link claimOutput} makes its storage after {@link submitRecord}. Answers where it stands. */
export function recordFresh(dtypeCode: number, shape: readonly number[]): number {
  const position = at;
  const rank = shape.length;
  buffer[position] = fresh + 16 * dtypeCode + 256 * rank;
  let word = position + 3;
  for (let axis = 0; axis < rank; axis++) buffer[word++] = shape[axis]!;
  at = word;
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

/** Runs the record. Errors of the op's arguments are thrown here, with the caller on the stack. */
export function submitRecord(): void {
  submit(undefined);
}

/** Runs a record whose one output is fresh and stands at `position`, and claims it. */
export function submitFresh(storage: Storage, position: number): void {
  if (isInScope()) {
    submit(undefined);
    claimOutput(storage, position);
  } else {
    submit(storage);
    fillIn(storage, position);
  }
}

/** Runs the record; the memory of its fresh output is freed when `owner`, if given, is collected. */
function submit(owner: Storage | undefined): void {
  const start = observer === undefined ? 0 : performance.now();
  try {
    if (owner === undefined) native.submit();
    else native.submitOwned(owner);
  } catch (error) {
    recover(error, () => (owner === undefined ? native.submit() : native.submitOwned(owner)), name);
  }
  tape?.take(name, buffer, at);
  observer?.(name, start, performance.now());
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
  tape?.claim(storage, position);
}
