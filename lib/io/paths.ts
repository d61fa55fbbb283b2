/** Paths as arguments, and how errors of the system are passed on. */
import { ArgumentError, HadalError } from '../errors';
import { checkObject, checkOptions } from '../ops/define';
import { checkIterable } from '../tensor/checks';
import { describe } from '../tensor/describe';

/** Throws unless `path` can be the path of a file or a folder. */
export function checkPath(op: string, path: unknown, name = 'path'): asserts path is string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return;
  const got = typeof path === 'string' ? JSON.stringify(path) : describe(path);
  throw new ArgumentError(`${op}: ${name}: got ${got}, expected a path as a string`, { op });
}

/** Throws unless `bytes` are bytes in memory. */
export function checkBytes(op: string, bytes: unknown): asserts bytes is Uint8Array {
  if (bytes instanceof Uint8Array || Object.prototype.toString.call(bytes) === '[object Uint8Array]') return;
  throw new ArgumentError(`${op}: bytes: got ${describe(bytes)}, expected a Uint8Array`, { op });
}

/** Throws unless `signal` is left out or an AbortSignal. */
export function checkSignal(op: string, signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new ArgumentError(`${op}: signal: got ${describe(signal)}, expected an AbortSignal`, { op });
}

/** Throws unless `options` are those of reading: which tensors, and where they are to live. */
export function checkReadOptions(op: string, options: { readonly names?: unknown; readonly device?: unknown }): void {
  checkOptions(op, options);
  if (options.names !== undefined) checkIterable(op, 'names', options.names);
}

/** Throws unless `options` are those of writing. */
export function checkWriteOptions(
  op: string,
  options: { readonly metadata?: unknown; readonly signal?: unknown },
): void {
  checkOptions(op, options);
  if (options.metadata !== undefined) checkObject(op, options.metadata, 'metadata');
  checkSignal(op, options.signal);
}

/** What the system refused, as a HadalError with its code, such as `'ENOENT'`; any other error as it is. */
export function refusal(op: string, path: string, error: unknown): Error {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined) return error as Error;
  return new HadalError(`${op}: ${path}: ${message}`, { file: path, cause: error }, code);
}
