/**
 * The safetensors format (https://github.com/huggingface/safetensors#format): bytes to checked header and back.
 * It owns every check on a header and touches no file; safetensors.ts does the reading and writing.
 *
 * A file is: the header's length N (8 bytes, little endian), N bytes of JSON, the tensors' bytes without gaps. Nothing
 * is allocated from a number in a file before that number has been checked against the file's true size. The header has
 * its own small parser, because JSON.parse drops duplicate keys silently and builds anything however large or deep it
 * is.
 */
import { isUtf8 } from 'node:buffer';
import type { FormatError } from '../errors';
import { arrays, sizes, type ArrayOf, type DType } from '../tensor/dtype';
import { maxRank } from '../tensor/shapes';
import { malformed as malformedFile } from './malformed';

/**
 * A tensor outside the library: float16 and bfloat16 are their bits in a `Uint16Array`, bool is 0 or 1 in a
 * `Uint8Array`.
 */
export interface ArrayRecord {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayOf<DType>;
}

/** Where a tensor lies: `begin` and `end` count bytes from the start of the data, just behind the header. */
export interface TensorInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Position in the file of the first tensor's first byte. */
  readonly dataStart: number;
}

// In the order in which the reference implementation writes them, and so do we: the largest elements first, so that
// every tensor is aligned to its element size.
const codes: Readonly<Record<DType, string>> = {
  int64: 'I64',
  float64: 'F64',
  float32: 'F32',
  int32: 'I32',
  bfloat16: 'BF16',
  float16: 'F16',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};
const writeOrder = Object.keys(codes) as DType[];
const dtypeOfCode = new Map(writeOrder.map((dtype) => [codes[dtype], dtype]));

/** The reference implementation refuses longer headers too. */
export const MAX_HEADER_LENGTH = 100_000_000;
const LENGTH_BYTES = 8;
const METADATA = '__metadata__';

/** Bytes of a contiguous tensor, or undefined when its sizes (zeros left out, for the strides) multiply beyond 2^53. */
export function byteLengthOf(dtype: DType, shape: readonly number[]): number | undefined {
  const bound = shape.reduce((product, size) => product * Math.max(size, 1), sizes[dtype]);
  if (!Number.isSafeInteger(bound)) return undefined;
  return shape.includes(0) ? 0 : bound;
}

/** Checks the first 8 bytes of a file of `fileLength` bytes and returns the header's length. */
export function parseHeaderLength(bytes: Uint8Array, fileLength: number, file: string): number {
  if (fileLength < LENGTH_BYTES) {
    throw malformed(file, 0, 'file is too short', `${fileLength} bytes`, 'at least 8');
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  if (length > MAX_HEADER_LENGTH) {
    throw malformed(file, 0, 'header length', String(length), `at most ${MAX_HEADER_LENGTH}`);
  }
  if (length > fileLength - LENGTH_BYTES) {
    const rest = String(fileLength - LENGTH_BYTES);
    throw malformed(file, 0, 'header length', String(length), `at most ${rest}, what the file has left`);
  }
  return Number(length);
}

/** Parses and checks a header completely: `bytes` are the JSON alone, `fileLength` is the size of the whole file. */
export function parseHeader(bytes: Uint8Array, fileLength: number, file: string): SafetensorsHeader {
  if (bytes[0] !== 0x7b) {
    const got = bytes.length === 0 ? 'nothing' : `byte 0x${hex(bytes[0] ?? 0)}`;
    throw malformed(file, LENGTH_BYTES, 'header start', got, '"{"');
  }
  if (!isUtf8(bytes)) throw malformed(file, LENGTH_BYTES, 'header', 'invalid UTF-8', 'UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const dataStart = LENGTH_BYTES + bytes.length;
  return { ...new HeaderParser(text, file).parse(fileLength - dataStart), dataStart };
}

/** Reads a whole safetensors file held in memory. Arrays share the memory of `bytes` where alignment allows. */
export function parseSafetensors(
  bytes: Uint8Array,
  file = 'bytes',
): { tensors: Map<string, ArrayRecord>; metadata: Readonly<Record<string, string>> } {
  const headerLength = parseHeaderLength(bytes, bytes.length, file);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headerLength), bytes.length, file);
  const tensors = new Map<string, ArrayRecord>();
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    const data = viewAs(dtype, bytes.subarray(header.dataStart + begin, header.dataStart + end));
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, metadata: header.metadata };
}

/** Bytes as the array of a dtype: a view where they are aligned for it, otherwise a copy. */
export function viewAs(dtype: DType, bytes: Uint8Array): ArrayOf<DType> {
  const size = sizes[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new arrays[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / size);
}

/** The start of a file (length and header) and the order of its tensors: by dtype, the largest first, then by name. */
export function buildHeader(
  tensors: ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly number[] }>,
  metadata: Readonly<Record<string, string>>,
): { bytes: Uint8Array; order: string[] } {
  const sorted = [...tensors]
    .map(([name, info]) => ({ name, key: Buffer.from(name), place: writeOrder.indexOf(info.dtype), info }))
    .sort((a, b) => a.place - b.place || Buffer.compare(a.key, b.key));
  const parts: string[] = [];
  if (Object.keys(metadata).length > 0) parts.push(`${quote(METADATA)}:${JSON.stringify(metadata)}`);
  let begin = 0;
  for (const { name, info } of sorted) {
    const end = begin + (byteLengthOf(info.dtype, info.shape) ?? NaN);
    const entry = { dtype: codes[info.dtype], shape: info.shape, data_offsets: [begin, end] };
    parts.push(`${quote(name)}:${JSON.stringify(entry)}`);
    begin = end;
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(LENGTH_BYTES + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length));
  json.copy(bytes, LENGTH_BYTES);
  return { bytes, order: sorted.map(({ name }) => name) };
}

/** A string that other implementations can read: lone surrogates have no UTF-8. */
export const isWellFormed = (text: string): boolean => !/\p{Cs}/u.test(text);

const malformed = (file: string, offset: number, what: string, got: string, expected: string): FormatError =>
  malformedFile('safetensors', file, offset, what, got, expected);

interface Entry {
  readonly name: string;
  readonly at: number; // position in the header's text, for messages
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A recursive descent over the only JSON that a header may be, then the checks of what it says. */
class HeaderParser {
  readonly #text: string;
  readonly #file: string;
  #at = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  parse(dataLength: number): Pick<SafetensorsHeader, 'metadata' | 'tensors'> {
    const metadata: [string, string][] = [];
    const entries: Entry[] = [];
    this.#object((name, start) => {
      if (name === METADATA) this.#object((key) => metadata.push([key, this.#string()]));
      else entries.push(this.#entry(name, start));
    });
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('header', this.#found(), 'its end');
    this.#checkLayout(entries, dataLength);
    const tensors = entries.map(({ name, dtype, shape, begin, end }) => [name, { dtype, shape, begin, end }] as const);
    return { metadata: Object.fromEntries(metadata), tensors: new Map(tensors) };
  }

  #entry(name: string, start: number): Entry {
    let dtype: DType | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object((field, at) => {
      if (field === 'dtype') dtype = this.#dtype(name);
      else if (field === 'shape') shape = this.#numbers(`shape of ${label(name)}`, maxRank);
      else if (field === 'data_offsets') offsets = this.#numbers(`data_offsets of ${label(name)}`, 2);
      else this.#fail(`field of ${label(name)}`, label(field), 'dtype, shape or data_offsets', at);
    });
    const missing = !dtype ? 'dtype' : !shape ? 'shape' : !offsets ? 'data_offsets' : undefined;
    if (missing !== undefined) {
      this.#fail(`tensor ${label(name)}`, `no ${missing}`, 'dtype, shape and data_offsets', start);
    }
    const [begin, end] = offsets ?? [];
    if (dtype === undefined || shape === undefined || begin === undefined || end === undefined) {
      this.#fail(`data_offsets of ${label(name)}`, `${offsets?.length} numbers`, '2', start);
    }
    return { name, at: start, dtype, shape, begin, end };
  }

  #dtype(name: string): DType {
    this.#skipSpace();
    const start = this.#at;
    const code = this.#string();
    const dtype = dtypeOfCode.get(code);
    if (!dtype) {
      this.#fail(`unsupported dtype of ${label(name)}`, label(code), [...dtypeOfCode.keys()].join(' '), start);
    }
    return dtype;
  }

  /** `{"key": value, …}`; `member` reads the value. */
  #object(member: (key: string, start: number) => void): void {
    this.#expect('{');
    if (this.#accept('}')) return;
    const seen = new Set<string>();
    do {
      this.#skipSpace();
      const start = this.#at;
      const key = this.#string();
      if (seen.has(key)) this.#fail('key', `${label(key)} a second time`, 'every key once', start);
      seen.add(key);
      this.#expect(':');
      member(key, start);
    } while (this.#accept(','));
    this.#expect('}');
  }

  #numbers(what: string, most: number): number[] {
    const numbers: number[] = [];
    this.#expect('[');
    if (this.#accept(']')) return numbers;
    do {
      this.#skipSpace();
      const start = this.#at;
      const token = this.#token();
      const size = /^(?:0|[1-9]\d{0,15})$/.test(token) ? Number(token) : NaN;
      if (!Number.isSafeInteger(size)) this.#fail(what, this.#found(start), 'a whole number from 0 to 2^53 - 1', start);
      if (numbers.length === most) this.#fail(what, `more than ${most} numbers`, `at most ${most}`, start);
      numbers.push(size);
    } while (this.#accept(','));
    this.#expect(']');
    return numbers;
  }

  #string(): string {
    this.#expect('"');
    const start = this.#at - 1;
    const text = this.#text;
    for (let closed = false; !closed; this.#at++) {
      if (this.#at >= text.length) this.#fail('string', 'no end', 'a closing quote', start);
      const code = text.charCodeAt(this.#at);
      if (code === 0x5c) this.#at++;
      else closed = code === 0x22;
    }
    let value: unknown;
    try {
      value = JSON.parse(text.slice(start, this.#at));
    } catch {
      // Left undefined: a bad escape or a raw control character.
    }
    if (typeof value !== 'string' || !isWellFormed(value)) {
      this.#fail('string', excerpt(text.slice(start, this.#at)), 'valid escapes and no control characters', start);
    }
    return value;
  }

  #token(): string {
    const pattern = /[\w.+-]*/y;
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += token.length;
    return token;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #accept(symbol: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== symbol) return false;
    this.#at++;
    return true;
  }

  #expect(symbol: string): void {
    if (!this.#accept(symbol)) this.#fail('header', this.#found(), symbol === '"' ? 'a string' : `"${symbol}"`);
  }

  #found(at = this.#at): string {
    return at < this.#text.length
      ? excerpt(this.#text.slice(at, at + 32).replace(/^([\w.+-]+|.).*$/su, '$1'))
      : 'its end';
  }

  #offset(at: number): number {
    return LENGTH_BYTES + Buffer.byteLength(this.#text.slice(0, at));
  }

  #fail(what: string, got: string, expected: string, at = this.#at): never {
    throw malformed(this.#file, this.#offset(at), what, got, expected);
  }

  /**
   * Shapes, sizes and offsets agree, and the tensors cover the data exactly: no holes, no overlaps, nothing left over.
   */
  #checkLayout(entries: readonly Entry[], dataLength: number): void {
    let previous = 0;
    const inOrder = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
    for (const { name, at, dtype, shape, begin, end } of inOrder) {
      const length = byteLengthOf(dtype, shape);
      const tensor = `tensor ${label(name)}`;
      if (length === undefined) this.#fail(`${tensor}: shape`, `[${shape.join(', ')}]`, 'at most 2^53 - 1 bytes', at);
      if (begin !== previous) {
        const what = `${tensor}: ${begin < previous ? 'overlap' : 'hole'} in the data`;
        this.#fail(what, `begin ${begin}`, String(previous), at);
      }
      if (end - begin !== length) {
        const expected = `${length} for ${codes[dtype]} [${shape.join(', ')}]`;
        this.#fail(`${tensor}: data_offsets`, `${end - begin} bytes`, expected, at);
      }
      previous = end;
    }
    if (previous !== dataLength) {
      const what = previous > dataLength ? 'file is cut off' : 'bytes behind the last tensor';
      this.#fail(what, `${dataLength} bytes of data`, String(previous), this.#text.length);
    }
  }
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
const excerpt = (text: string): string => (text.length > 80 ? `${text.slice(0, 79)}…` : text);
const quote = (text: string): string => JSON.stringify(text);
const label = (name: string): string => excerpt(quote(name));
