/** Checks of arguments that are no tensors. Messages read `owner: name: got …, expected …`. */
import { ArgumentError } from '../errors';
import { describe, shown } from './describe';

/** Throws unless `value` is a function. */
export function checkFunction(owner: string, name: string, value: unknown): void {
  if (typeof value !== 'function') fail(owner, name, describe(value), 'a function');
}

/** Throws unless `value` is a string. */
export function checkString(owner: string, name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') fail(owner, name, describe(value), 'a string');
}

/** Throws unless `value` is true or false, or left out. */
export function checkFlag(owner: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') fail(owner, name, shown(value), 'true or false');
}

/** Throws unless `value` is an array. */
export function checkList(owner: string, name: string, value: unknown): void {
  if (!Array.isArray(value)) fail(owner, name, describe(value), 'an array');
}

/** Throws unless `value` can be iterated and is no string. */
export function checkIterable(owner: string, name: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && Symbol.iterator in value) return;
  fail(owner, name, describe(value), 'something that can be iterated');
}

/** Throws unless `value` is an object with the given methods. */
export function checkMethods(owner: string, name: string, value: unknown, methods: readonly string[]): void {
  const object = (typeof value === 'object' ? (value ?? {}) : {}) as Readonly<Record<string, unknown>>;
  if (methods.every((method) => typeof object[method] === 'function')) return;
  fail(owner, name, describe(value), `an object with ${methods.join(', ')}`);
}

/** How many entries an array can have. */
export const maxEntries = 2 ** 32 - 1;

/** Throws unless `value` is an integer of at least `least`, and at most `most`. */
export function checkCount(
  owner: string,
  name: string,
  value: unknown,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return;
  const range = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
  fail(owner, name, shown(value), `an integer ${range}`);
}

/** Throws unless `value` is a number from `least` to `most`, both included. */
export function checkNumber(owner: string, name: string, value: unknown, least: number, most = Infinity): void {
  if (typeof value === 'number' && value >= least && value <= most) return;
  const range = most < Infinity ? `from ${least} to ${most}` : `of at least ${least}`;
  fail(owner, name, shown(value), `a number ${range}`);
}

/** Throws unless `value` is a finite number. */
export function checkFinite(owner: string, name: string, value: unknown): void {
  if (!Number.isFinite(value)) fail(owner, name, shown(value), 'a finite number');
}

function fail(owner: string, name: string, got: string, expected: string): never {
  throw new ArgumentError(`${owner}: ${name}: got ${got}, expected ${expected}`, { op: owner });
}

/** Throws unless `value` is one of `choices`. */
export function checkChoice(owner: string, name: string, value: unknown, choices: readonly unknown[]): void {
  if (choices.includes(value)) return;
  fail(owner, name, shown(value), `${choices.slice(0, -1).join(', ')} or ${String(choices.at(-1))}`);
}
