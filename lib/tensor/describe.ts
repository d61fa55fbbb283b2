/** Wrong arguments, as errors name them. */

/** What kind of value it is, and which one where that is short. Never throws. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'object':
      if (value === null) return 'null';
      return withArticle(Array.isArray(value) ? 'array' : kindOf(value));
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

function kindOf(value: object): string {
  const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'Object';
  return name === 'Object' ? 'object' : name;
}
function withArticle(noun: string): string {
  return `${/^[aeio]/i.test(noun) ? 'an' : 'a'} ${noun}`;
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
