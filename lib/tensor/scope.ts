/** Scopes over tensors: what is made inside is freed at the end, except what is returned or kept. */
import { ArgumentError } from '../errors';
import { closeScope, openScope, promote, type Scope } from '../runtime/storage';
import { checkFunction } from './checks';
import { Tensor, type AnyTensor } from './tensor';

/**
 * Runs `f`; every tensor made inside is freed when it ends, except those in what it returns (looked for in arrays, plain objects, maps and
 * sets), those that were `keep()`-t, and the gradients of leaves. Scopes nest: what is returned belongs to the scope around. Inside a scope a
 * tensor costs no garbage-collector bookkeeping.
 *
 * @throws ArgumentError when `f` returns a promise: a scope ends when `f` returns.
 * @example
 * const norm = scope(() => x.mul(x).sum().sqrt()); // x·x and its sum are gone
 */
export function scope<T>(f: () => T): T {
  checkFunction('scope', 'f', f);
  const opened = openScope();
  let result: T;
  try {
    result = f();
    if (result instanceof Promise) {
      result.catch(() => undefined); // what becomes of it no longer matters
      throw new ArgumentError('scope: f: got an async function, expected one that returns when it is done');
    }
    keepResults(result, opened, 0);
  } finally {
    closeScope(opened);
  }
  return result;
}

/** How deep a result is searched for tensors. */
const maxDepth = 8;

function keepResults(value: unknown, scope: Scope, depth: number): void {
  if (typeof value !== 'object' || value === null || depth > maxDepth) return;
  if (value instanceof Tensor) promote((value as AnyTensor).storage, scope);
  else if (Array.isArray(value) || value instanceof Set)
    for (const entry of value) keepResults(entry, scope, depth + 1);
  else if (value instanceof Map) for (const entry of value.values()) keepResults(entry, scope, depth + 1);
  else if (!ArrayBuffer.isView(value)) for (const entry of Object.values(value)) keepResults(entry, scope, depth + 1);
}

/** Keeps a tensor alive beyond every scope; the garbage collector frees it. Answers the tensor. */
export function keep<T extends AnyTensor>(tensor: T): T {
  return tensor.keep();
}
