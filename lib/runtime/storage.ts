/**
 * Owns the lifetime of device memory: `Storage` names a block, scopes and the garbage collector free it. It does not know
 * tensors; lib/tensor builds on it.
 */
import { DisposedError } from '../errors';
import { callNative, native, words } from './native';
import { tape } from './tape';

// Of what every op makes (Storage, Tensor, Node, Edge) the fields are declared and then assigned: V8 initializes fields in a function of their own.
/** A block of device memory, shared by every view into it. */
export class Storage {
  declare readonly device: number;
  declare readonly bytes: number;
  declare readonly madeBy: string;
  declare slot: number;
  declare generation: number;
  /** Counts in-place writes, so that `backward` notices when a saved tensor has changed. */
  declare version: number;
  declare released: string | undefined;
  /** The scope that frees this storage at its end; undefined when the garbage collector does. */
  declare scope: Scope | undefined;
  /** Gradients in flight that live in this storage; see autograd/backward.ts. */
  declare pendingUses: number;
  /** Whether a leaf that lies here collects gradients. */
  declare collects: boolean;

  constructor(device: number, bytes: number, madeBy: string) {
    this.device = device;
    this.bytes = bytes;
    this.madeBy = madeBy;
    this.slot = 0;
    this.generation = 0;
    this.version = 0;
    this.released = undefined;
    this.scope = undefined;
    this.pendingUses = 0;
    this.collects = false;
  }

  /** Frees the memory now. `how` completes the sentence "tensor … was released …" of a later DisposedError. */
  release(how: string): void {
    if (this.released !== undefined) return;
    this.released = how;
    words[0] = this.slot;
    words[1] = this.generation;
    native.release(1);
  }
}

/** What a `scope` call owns: the storages made inside it. */
export class Scope {
  readonly storages: Storage[] = [];
  constructor(readonly parent: Scope | undefined) {}

  /** Takes a storage that no scope owns. */
  adopt(storage: Storage): void {
    storage.scope = this;
    this.storages.push(storage);
  }
}

let currentScope: Scope | undefined;

/** The innermost scope that is open, which frees what is made. */
export const openedScope = (): Scope | undefined => currentScope;

/** Gives a storage that has just got its memory to the current scope, or else to the garbage collector. */
export function adopt(storage: Storage): void {
  if (currentScope !== undefined) currentScope.adopt(storage);
  else native.track(storage, storage.slot, storage.generation);
}

/** Opens a scope; every storage made from now on belongs to it until {@link closeScope}. */
export function openScope(): Scope {
  currentScope = new Scope(currentScope);
  return currentScope;
}

/** Moves a storage out of `scope` into the one around it. */
export function promote(storage: Storage, scope: Scope): void {
  if (storage.scope !== scope || storage.released !== undefined) return;
  storage.scope = undefined;
  if (scope.parent !== undefined) scope.parent.adopt(storage);
  else native.track(storage, storage.slot, storage.generation);
}

/** Takes a storage out of every scope: from now on the garbage collector frees it. */
export function detachFromScopes(storage: Storage): void {
  if (storage.scope === undefined || storage.released !== undefined) return;
  storage.scope = undefined;
  native.track(storage, storage.slot, storage.generation);
}

/** Ends `scope`, which must be the innermost one, and frees what it still owns. */
export function closeScope(scope: Scope): void {
  currentScope = scope.parent;
  const capacity = words.length >> 1;
  let count = 0;
  for (const storage of scope.storages) {
    if (storage.scope !== scope || storage.released !== undefined) continue;
    storage.released = 'when its scope ended; return it from the scope or keep() it';
    words[2 * count] = storage.slot;
    words[2 * count + 1] = storage.generation;
    if (++count === capacity) {
      native.release(count);
      count = 0;
    }
  }
  if (count > 0) native.release(count);
}

/** Allocates a storage that no command fills. Throws `OutOfMemoryError`. */
export function allocateStorage(device: number, bytes: number, madeBy: string): Storage {
  const storage = new Storage(device, bytes, madeBy);
  callNative(() => native.allocate(device, bytes), madeBy);
  storage.slot = words[0]! | 0;
  storage.generation = words[1]! | 0;
  tape?.allocated(storage);
  adopt(storage);
  return storage;
}

/** Copies bytes from the host into a storage, `offset` bytes after its start. */
export function writeStorage(storage: Storage, offset: number, bytes: ArrayBufferView, op: string): void {
  callNative(() => native.write(storage.slot, storage.generation, offset, bytes), op);
  tape?.uploaded(storage, offset, bytes);
}

/** The error for an op that was given a released tensor. */
export function disposedError(op: string, storage: Storage, shape: readonly number[]): DisposedError {
  return new DisposedError(
    `${op}: tensor [${shape.join(', ')}] made by ${storage.madeBy} was released ${storage.released ?? ''}`,
    { op, madeBy: storage.madeBy, shape },
  );
}
