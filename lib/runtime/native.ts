/**
 * Owns the word buffer shared with the addon and the translation of its errors into hadal's classes; the floors above reach the addon
 * through here.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  DeviceError,
  DisposedError,
  DistributedError,
  DTypeError,
  HadalError,
  IndexError,
  LinAlgError,
  OutOfMemoryError,
  ShapeError,
} from '../errors';
import type { NativeError } from '../native/addon';
import { native as addon } from '../native/load';

/** The addon. A constant of this module: reading one through another module is a call. */
export const native = addon;

/** Records are written here. */
export const words = native.words;

/** In the order of ErrorCode in native/runtime/error.h. */
const errorClasses = [
  HadalError,
  ShapeError,
  DTypeError,
  DeviceError,
  DisposedError,
  OutOfMemoryError,
  IndexError,
  LinAlgError,
  DistributedError,
];
const outOfMemory = errorClasses.indexOf(OutOfMemoryError);

/** The hadal error for one thrown by the addon; anything else is returned as it is. */
export function translated(error: unknown): unknown {
  const code = (error as NativeError).nativeCode;
  const errorClass = code === undefined ? undefined : errorClasses[code];
  return errorClass === undefined ? error : new errorClass((error as Error).message);
}

let forceCollection: (() => void) | undefined;

/** Runs a full garbage collection now, so that the storages of unreachable tensors are freed. */
export function collectGarbage(): void {
  if (forceCollection === undefined) {
    setFlagsFromString('--expose-gc');
    forceCollection = runInNewContext('gc') as () => void;
  }
  forceCollection();
}

/**
 * Calls into the addon for `op`. Native errors become hadal's; when memory has run out, unreachable tensors are collected and the
 * call is tried once more.
 */
export function callNative(call: () => void, op: string): void {
  try {
    call();
  } catch (error) {
    recover(error, call, op);
  }
}

/** The second half of {@link callNative}, for hot paths that make the first call themselves. */
export function recover(error: unknown, call: () => void, op: string): void {
  if ((error as NativeError).nativeCode !== outOfMemory) throw translated(error);
  collectGarbage();
  try {
    call();
  } catch (again) {
    const message = (again as Error).message;
    if ((again as NativeError).nativeCode !== outOfMemory || message.startsWith(`${op}: `)) throw translated(again);
    throw new OutOfMemoryError(`${op}: ${message}`);
  }
}
