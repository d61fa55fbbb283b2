/**
 * What is told of a step while it is traced. Ops and storages tell the listener, of which there is one at a time: the tape of lib/autograd/compile.ts, which
 * notes records with the storages they name by number in the order of their first use, and everything else that a replay would have to know or cannot
 * repeat; or the notes of lib/onnx/trace.ts. Of tensors they know the storage here.
 */
import { CompileError } from '../errors';
import { opSignatures, type OpName } from '../native/opcodes';
import { words } from './native';
import type { Storage } from './storage';

/** Attributes that are computed for each run of an op anew, such as a learning rate. */
export type LiveAttributes = () => readonly number[];

/** A record as the addon takes it (native/binding/decode.h), except that a slot is the number of a storage on the tape and no output is fresh. */
export interface TapedRecord {
  readonly op: string;
  readonly words: number[];
  /** Where `words` has the headers of tensors with a storage; the number of the storage follows. */
  readonly tensors: readonly number[];
  readonly outputs: ReadonlySet<number>;
  /** Where `words` has the offset of a random stream. */
  readonly randomOffset: number | undefined;
  live: LiveAttributes | undefined;
}

/** What the tape needs of a tensor. */
interface Stored {
  readonly storage: Storage;
}

/** Bytes that came from the host. */
export interface Upload {
  readonly storage: Storage;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

// TensorKind of native/binding/decode.h.
const stored = 0;
const contiguous = 1;
const fresh = 2;
const immediate = 3;
const absent = 4;
const arranged = 5;

/** Whether the shape at `at` is followed by its row-major strides: one tensor is then recorded in one way. */
function isRowMajor(words: Float64Array, at: number, rank: number): boolean {
  let stride = 1;
  for (let axis = rank - 1; axis >= 0; axis--) {
    if (words[at + rank + axis] !== stride) return false;
    stride *= Math.max(words[at + axis]!, 1);
  }
  return true;
}

/** A tensor of a record as the kernel sees it: broadcast, and with the axes that a reduction drops afterwards. A number has its value. */
export interface SeenTensor {
  readonly dtypeCode: number;
  readonly shape: readonly number[];
  readonly value: number | undefined;
  /** Whether the record makes it. */
  readonly isFresh: boolean;
}

/** What the words hold after an op was submitted: its tensors, those left out undefined, and its attributes. */
export function lastRecord(): { readonly tensors: (SeenTensor | undefined)[]; readonly attributes: number[] } {
  let at = 5;
  const tensors = Array.from({ length: words[2]! + words[3]! }, (): SeenTensor | undefined => {
    const header = words[at++]!;
    const kind = header & 15;
    if (kind === absent) return undefined;
    const rank = header >> 8;
    const isFresh = kind === fresh || kind === arranged;
    const value = kind === immediate ? words[at] : undefined;
    at += kind === immediate ? 1 : isFresh ? 2 : 3;
    const shape = Array.from(words.subarray(at, at + rank));
    at += kind === stored || kind === arranged ? 2 * rank : rank;
    return { dtypeCode: (header >> 4) & 15, shape, value, isFresh };
  });
  return { tensors, attributes: Array.from(words.subarray(at, at + words[4]!)) };
}

/** What listens to a step. */
export abstract class Listener {
  /** Gradients that a leaf has no more, and which user code has seen. */
  readonly droppedGradients = new Set<Storage>();
  /** What must hold for a replay to be right; see {@link guard}. */
  readonly guards: (() => boolean)[] = [];
  /** Whose modes the step has set itself: what it reads of them decides nothing from outside. */
  readonly moded = new Set<object>();
  /** What JavaScript does at each replay, before the commands run. */
  readonly repeats: (() => void)[] = [];

  /** The record of `op` in the words has been submitted, and its fresh outputs have their storages. */
  abstract take(
    op: OpName,
    inputs: readonly (Stored | number | undefined)[],
    outputs: readonly (Stored | undefined)[],
  ): void;
  /** The record just taken gets its attributes from `attributes`. */
  abstract live(attributes: LiveAttributes): void;
  /** The op `name` looks at the memory of `x` differently. */
  abstract view(name: string, x: Stored, output: Stored, context: unknown): void;
  /** Memory was allocated that no record fills. */
  abstract allocated(storage: Storage): void;
  /** The host wrote into `storage`. */
  abstract uploaded(storage: Storage, offset: number, view: ArrayBufferView): void;
  /** Throws: `op` does `what`, which cannot be part of the step. */
  abstract refuse(op: string, what: string): never;
}

export class Tape extends Listener {
  readonly records: TapedRecord[] = [];
  /** By number. */
  readonly storages: Storage[] = [];
  readonly uploads: Upload[] = [];
  readonly #numbers = new Map<Storage, number>();
  readonly #made = new Set<Storage>();

  /** Whether the storage was made since the tape began. */
  made(storage: Storage): boolean {
    return this.#made.has(storage);
  }

  numberOf(storage: Storage): number | undefined {
    return this.#numbers.get(storage);
  }

  take(op: OpName, inputs: readonly (Stored | number | undefined)[], outputs: readonly (Stored | undefined)[]): void {
    const taken: number[] = [];
    const tensors: number[] = [];
    let at = 0;
    const copy = (words_: number): void => {
      for (let i = 0; i < words_; i++) taken.push(words[at++]!);
    };
    copy(5);
    for (const tensor of [...inputs, ...outputs]) {
      const header = words[at]!;
      const kind = header & 15;
      const rank = header >> 8;
      if (kind === absent) copy(1);
      else if (kind === immediate) copy(2 + rank);
      else {
        const { storage } = tensor as Stored;
        tensors.push(taken.length);
        const isNew = kind === fresh || kind === arranged;
        if (isNew) this.#made.add(storage);
        const number = this.#number(storage);
        if (isNew) {
          taken.push(header - kind + (kind === fresh ? contiguous : stored), number, 0, 0);
          at += 3;
          copy(kind === fresh ? rank : 2 * rank);
        } else {
          const isDense = kind === contiguous || isRowMajor(words, at + 4, rank);
          taken.push(isDense ? header - kind + contiguous : header, number, 0, words[at + 3]!);
          at += 4;
          copy(rank);
          if (!isDense) copy(rank);
          else if (kind !== contiguous) at += rank;
        }
      }
    }
    const attributes = taken.length;
    copy(words[4]!);
    const random = opSignatures[op].attributes.indexOf('offset');
    const draws = random !== -1 && taken[attributes + random]! >= 0;
    const randomOffset = draws ? attributes + random : undefined;
    const numbers = new Set(outputs.flatMap((output) => (output === undefined ? [] : [this.#number(output.storage)])));
    this.records.push({ op, words: taken, tensors, outputs: numbers, randomOffset, live: undefined });
  }

  live(attributes: LiveAttributes): void {
    this.records.at(-1)!.live = attributes;
  }

  // A record has the strides of what it is given.
  view(): void {}

  allocated(storage: Storage): void {
    this.#made.add(storage);
  }

  uploaded(storage: Storage, offset: number, view: ArrayBufferView): void {
    if (!this.#made.has(storage)) refuse(storage.madeBy, 'writes from JavaScript into a tensor made outside');
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
    this.uploads.push({ storage, offset, bytes });
  }

  refuse(op: string, what: string): never {
    refuse(op, what);
  }

  #number(storage: Storage): number {
    let number = this.#numbers.get(storage);
    if (number === undefined) {
      number = this.storages.push(storage) - 1;
      this.#numbers.set(storage, number);
    }
    return number;
  }
}

/** What is listening, if anything. */
export let tape: Listener | undefined;

/** Runs `f` with `listener` listening. */
export function heard<T>(listener: Listener, f: () => T): T {
  tape = listener;
  try {
    return f();
  } finally {
    tape = undefined;
  }
}

/** Runs `f` with a new tape listening. */
export function taped<T>(f: () => T): { readonly result: T; readonly tape: Tape } {
  const listening = new Tape();
  return { result: heard(listening, f), tape: listening };
}

/**
 * Tells a trace that `value()` was read and decided something: a replay is right only while it stays as it is.
 */
export function guard<T>(value: () => T): T {
  const now = value();
  tape?.guards.push(() => value() === now);
  return now;
}

/** Runs `f` now, and again at each replay of the step that is being traced, if there is one. */
export function everyTime(f: () => void): void {
  tape?.repeats.push(f);
  f();
}

/** Throws: the op cannot be part of a step that is compiled. */
export function refuse(op: string, what: string): never {
  throw new CompileError(`compile: ${op} ${what}: a compiled step cannot repeat that`);
}

/** Throws in a traced step: `op` does `what`, which is not repeated with it. */
export function refuseInTrace(op: string, what: string): void {
  tape?.refuse(op, what);
}
