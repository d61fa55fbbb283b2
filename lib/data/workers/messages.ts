/**
 * What crosses between the main thread and those that make batches, and how a batch crosses without being copied: its arrays' memory is
 * handed over.
 */
import { isArrayItem, type ArrayItem } from '../../tensor/array-item';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import { stackArrays, type Joiner } from '../collate';
import { upload } from './upload';

export interface WorkerSetup {
  /** The URL of the module that exports the data set. */
  readonly module: string;
  readonly argument: unknown;
  readonly worker: number;
  readonly workers: number;
}

export interface DrawState {
  readonly seed: number;
  readonly epoch: number;
}

/** What is asked of a worker. */
export type Task =
  | { readonly kind: 'batch'; readonly indices: readonly number[]; readonly draw: DrawState }
  | { readonly kind: 'item'; readonly index: number; readonly draw: DrawState }
  | {
      readonly kind: 'open';
      readonly pass: number;
      readonly batchSize: number;
      readonly dropLast: boolean;
      readonly draw: DrawState;
    }
  | { readonly kind: 'next'; readonly pass: number }
  | { readonly kind: 'close'; readonly pass: number };

export interface Request {
  readonly id: number;
  readonly task: Task;
}

/** What went wrong in a worker: errors lose their class and their fields on the way, so they travel as this. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** The item that was being made. */
  readonly index?: number;
}

export type Reply =
  | { readonly ready: { readonly length: number | undefined } }
  | { readonly id: number; readonly value: unknown; readonly done?: boolean }
  | { readonly id: number; readonly failure: Failure }
  | { readonly failure: Failure };

/** In a worker a batch is made of arrays, not tensors: those are made where they are used. */
export const arrayJoiner: Joiner = {
  arrays: stackArrays,
  tensors: (items) => stackArrays(items.map(itemOf)),
};

function itemOf(x: AnyTensor): ArrayItem {
  return { dtype: x.dtype, shape: x.shape, data: x.dataSync() };
}

/** A batch ready to be posted: tensors as arrays, and the memory that is handed over with it. */
export function pack(value: unknown): { value: unknown; transfer: ArrayBuffer[] } {
  const transfer = new Set<ArrayBuffer>();
  const visit = (part: unknown): unknown => {
    if (part instanceof Tensor) return visit(itemOf(part as AnyTensor));
    if (ArrayBuffer.isView(part)) {
      // Only memory that is all this array's: a part of a larger one, such as of Node's pool of small buffers, is copied.
      const { buffer, byteLength } = part;
      if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) transfer.add(buffer);
      return part;
    }
    if (Array.isArray(part)) return part.map(visit);
    if (isPlain(part)) return Object.fromEntries(Object.entries(part).map(([key, entry]) => [key, visit(entry)]));
    return part;
  };
  return { value: visit(value), transfer: [...transfer] };
}

/** A batch as it arrived, its arrays as tensors. */
export async function unpack(value: unknown): Promise<unknown> {
  if (isArrayItem(value)) return upload(value);
  if (Array.isArray(value)) {
    const parts: unknown[] = [];
    for (const part of value) parts.push(await unpack(part));
    return parts;
  }
  if (!isPlain(value)) return value;
  const entries: [string, unknown][] = [];
  for (const [key, entry] of Object.entries(value)) entries.push([key, await unpack(entry)]);
  return Object.fromEntries(entries);
}

/** Whether it is a record, of this realm or another. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
