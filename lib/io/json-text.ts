/** JSON from outside, read with the place of everything wrong: the byte where it is no JSON, the key where it says something unexpected. */
import { isUtf8 } from 'node:buffer';
import { FormatError } from '../errors';
import { excerpt, malformed } from './malformed';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A value in a JSON text and the path of keys that leads to it, such as `model.vocab.the`. */
export class JsonText {
  private constructor(
    private readonly op: string,
    private readonly file: string,
    /** The keys that lead here. */
    readonly place: string,
    readonly value: JsonValue,
  ) {}

  /** Parses a whole text; `op` begins the message of an error. */
  static parse(op: string, file: string, bytes: Uint8Array): JsonText {
    if (!isUtf8(bytes)) throw malformed(op, file, 0, 'text', 'invalid UTF-8', 'UTF-8');
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    try {
      return new JsonText(op, file, '', JSON.parse(text) as JsonValue);
    } catch (error) {
      const { message } = error as Error;
      const at = Buffer.byteLength(text.slice(0, placeOf(text)));
      throw new FormatError(`${op}: ${file}: invalid JSON at byte ${at}: ${message}`, {
        file,
        offset: at,
        cause: error,
      });
    }
  }

  private child(key: string, value: JsonValue): JsonText {
    return new JsonText(this.op, this.file, this.place === '' ? key : `${this.place}.${key}`, value);
  }

  object(): JsonObject {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) this.wrong('an object');
    const record = this.value as Readonly<Record<string, JsonValue>>;
    return new JsonObject(record, (key, value) => this.child(key, value), this);
  }
  array(): JsonText[] {
    if (!Array.isArray(this.value)) return this.wrong('an array');
    return (this.value as readonly JsonValue[]).map((value, i) => this.child(String(i), value));
  }
  string(): string {
    return typeof this.value === 'string' ? this.value : this.wrong('a string');
  }
  number(): number {
    return typeof this.value === 'number' ? this.value : this.wrong('a number');
  }
  /** A whole number from 0 on. */
  count(): number {
    return Number.isSafeInteger(this.value) && (this.value as number) >= 0
      ? (this.value as number)
      : this.wrong('a whole number from 0 on');
  }
  boolean(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.wrong('true or false');
  }
  /** One of the names. */
  oneOf<Name extends string>(...names: readonly Name[]): Name {
    const found = names.find((name) => name === this.value);
    return found ?? this.wrong(names.map((name) => JSON.stringify(name)).join(' or '));
  }
  wrong(expected: string): never {
    const got = Array.isArray(this.value)
      ? 'an array'
      : typeof this.value === 'object' && this.value !== null
        ? 'an object'
        : excerpt(String(this.value));
    throw malformed(this.op, this.file, this.place === '' ? 'the top' : this.place, 'value', got, expected);
  }
}

/** The members of an object. */
export class JsonObject {
  constructor(
    private readonly record: Readonly<Record<string, JsonValue>>,
    private readonly child: (key: string, value: JsonValue) => JsonText,
    private readonly text: JsonText,
  ) {}

  /** A member; `undefined` when it is missing or null. */
  optional(key: string): JsonText | undefined {
    const value = Object.hasOwn(this.record, key) ? this.record[key] : undefined;
    return value === undefined || value === null ? undefined : this.child(key, value);
  }
  required(key: string): JsonText {
    return this.optional(key) ?? this.text.wrong(`an object with ${JSON.stringify(key)}`);
  }
  entries(): [string, JsonText][] {
    return Object.entries(this.record).map(([key, value]) => [key, this.child(key, value)]);
  }
  plain(): Readonly<Record<string, JsonValue>> {
    return this.record;
  }
}

/** Where a text stops to be the beginning of JSON: found by halving, as the engine's message does not always say. */
function placeOf(text: string): number {
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (begins(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return begins(text) ? text.length : good;
}

function begins(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    return /end of JSON|Unterminated/.test(message) || Number(/position (\d+)/.exec(message)?.[1]) === text.length;
  }
}
