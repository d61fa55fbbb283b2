/** Wrong arguments, as errors name them. */

/** What kind of value it is, and which one where that is short. Never throws. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value)
        ? 'an array'
        : `a ${(value as { constructor?: { name?: string } }).constructor?.name ?? 'object'}`;
    case 'function':
      return 'a function';
    case 'undefined':
      return 'undefined';
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'symbol':
      return `${typeof value} ${String(value)}`;
  }
}

/** A value that is none of those wanted: numbers and words as they are. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'symbol':
      return String(value);
    default:
      return describe(value);
  }
}
