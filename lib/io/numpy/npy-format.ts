/**
 * The .npy format (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1 to 3: bytes to checked array and back. It
 * touches no file. The header is the text of a Python dictionary; it is parsed, never evaluated, and checked against the
 * file's size before anything is allocated.
 */
import { DTypeError } from '../../errors';
import { sizes, type ArrayOf, type DType } from '../../tensor/dtype';
import { maxRank } from '../../tensor/shapes';
import { excerpt, malformed } from '../malformed';
import { byteLengthOf, viewAs, type ArrayRecord } from '../safetensors-format';

/** An array as a .npy file holds it: column by column (Fortran's order) or row by row. */
export interface NpyArray extends ArrayRecord {
  readonly fortranOrder: boolean;
}

interface Kind {
  readonly dtype: DType;
  /** Bytes per element in the file; less than the dtype's where it is widened. */
  readonly size: number;
}

// The types that a dtype of hadal holds exactly. Unsigned 16- and 32-bit numbers become the next wider signed ones.
const kinds: Readonly<Record<string, Kind>> = {
  f8: { dtype: 'float64', size: 8 },
  f4: { dtype: 'float32', size: 4 },
  f2: { dtype: 'float16', size: 2 },
  i8: { dtype: 'int64', size: 8 },
  i4: { dtype: 'int32', size: 4 },
  i2: { dtype: 'int16', size: 2 },
  i1: { dtype: 'int8', size: 1 },
  u4: { dtype: 'int64', size: 4 },
  u2: { dtype: 'int32', size: 2 },
  u1: { dtype: 'uint8', size: 1 },
  b1: { dtype: 'bool', size: 1 },
};
const descriptions: Readonly<Partial<Record<DType, string>>> = {
  float64: '<f8',
  float32: '<f4',
  float16: '<f2',
  int64: '<i8',
  int32: '<i4',
  int16: '<i2',
  int8: '|i1',
  uint8: '|u1',
  bool: '|b1',
};

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** NumPy refuses longer headers too, unless told otherwise. */
const MAX_HEADER_LENGTH = 10_000;

/** Parses a whole .npy file held in memory. Arrays share the memory of `bytes` where alignment and byte order allow. */
export function parseNpy(bytes: Uint8Array, file: string, op = 'readNpy'): NpyArray {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (at: number, what: string, got: string, expected: string): never => {
    throw malformed(op, file, at, what, got, expected);
  };
  if (buffer.length < 10) fail(0, 'file is too short', `${buffer.length} bytes`, 'at least 10');
  if (!buffer.subarray(0, 6).equals(MAGIC)) fail(0, 'magic', `0x${buffer.toString('hex', 0, 6)}`, '0x934e554d5059');
  const version = buffer[6]!;
  if (version < 1 || version > 3 || buffer[7] !== 0) fail(6, 'version', `${version}.${buffer[7]}`, '1.0, 2.0 or 3.0');
  const headerStart = version === 1 ? 10 : 12;
  if (buffer.length < headerStart) fail(8, 'file is cut off', `${buffer.length} bytes`, 'a header length of 4');
  const headerLength = version === 1 ? buffer.readUInt16LE(8) : buffer.readUInt32LE(8);
  const most = Math.min(buffer.length - headerStart, MAX_HEADER_LENGTH);
  if (headerLength > most) fail(8, 'header length', String(headerLength), `at most ${most}`);
  const start = headerStart + headerLength;
  const text = buffer.toString(version === 3 ? 'utf8' : 'latin1', headerStart, start);
  const { description, fortranOrder, shape } = new HeaderParser(text, headerStart, fail).parse();

  const order = description[0]!;
  const kind = kinds[description.slice(1)];
  if (kind === undefined || !'<>|='.includes(order) || (order === '|' && kind.size > 1)) {
    return fail(headerStart, 'dtype', excerpt(description), Object.keys(kinds).join(' '));
  }
  const count = byteLengthOf('uint8', shape) ?? Infinity;
  const length = count * kind.size;
  if (length !== buffer.length - start) {
    const got = `[${shape.join(', ')}] of ${description} (${length} bytes)`;
    fail(start, 'size of the data', got, `${buffer.length - start} bytes, as the file has`);
  }
  const data = elements(bytes.subarray(start), kind, order === '>');
  if (kind.dtype === 'bool') {
    const wrong = (data as Uint8Array).findIndex((value) => value > 1);
    if (wrong >= 0) fail(start + wrong, 'boolean', String(data[wrong]), '0 or 1');
  }
  return { dtype: kind.dtype, shape, data, fortranOrder };
}

function elements(bytes: Uint8Array, kind: Kind, isBigEndian: boolean): ArrayOf<DType> {
  let own = bytes;
  if (isBigEndian) {
    const swapped = Buffer.from(bytes);
    if (kind.size === 2) swapped.swap16();
    if (kind.size === 4) swapped.swap32();
    if (kind.size === 8) swapped.swap64();
    own = swapped;
  }
  if (kind.size === sizes[kind.dtype]) return viewAs(kind.dtype, own);
  const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
  const count = own.length / kind.size;
  return kind.dtype === 'int32'
    ? Int32Array.from({ length: count }, (_, i) => view.getUint16(2 * i, true))
    : BigInt64Array.from({ length: count }, (_, i) => BigInt(view.getUint32(4 * i, true)));
}

/** The bytes in front of the data: magic, version, and the header padded so that the data is aligned to 64 bytes. */
export function buildNpyHeader(dtype: DType, shape: readonly number[], op: string): Buffer {
  const description = descriptions[dtype];
  if (description === undefined) {
    throw new DTypeError(`${op}: NumPy has no dtype for ${dtype}; cast the tensor to float32`, { dtype });
  }
  const sizesText = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': ${sizesText}, }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const start = Buffer.alloc(10);
  MAGIC.copy(start);
  start[6] = 1;
  start.writeUInt16LE(padded.length, 8);
  return Buffer.concat([start, Buffer.from(padded, 'latin1')]);
}

type Fail = (at: number, what: string, got: string, expected: string) => never;

/** A recursive descent over the only dictionary that a header may be. */
class HeaderParser {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly start: number,
    private readonly fail: Fail,
  ) {}

  parse(): { description: string; fortranOrder: boolean; shape: number[] } {
    let description: string | undefined;
    let fortranOrder: boolean | undefined;
    let shape: number[] | undefined;
    const seen = new Set<string>();
    this.expect('{');
    while (!this.accept('}')) {
      const at = this.#at;
      const key = this.string();
      if (seen.has(key)) this.wrong('key', `${excerpt(key)} a second time`, 'every key once', at);
      seen.add(key);
      this.expect(':');
      if (key === 'descr') description = this.string();
      else if (key === 'fortran_order') fortranOrder = this.boolean();
      else if (key === 'shape') shape = this.tuple();
      else this.wrong('key', excerpt(key), 'descr, fortran_order or shape', at);
      if (!this.accept(',')) {
        this.expect('}');
        break;
      }
    }
    this.skipSpace();
    if (this.#at < this.text.length) this.wrong('header', this.found(), 'its end');
    if (description === undefined || fortranOrder === undefined || shape === undefined) {
      return this.wrong('header', `only ${[...seen].join(', ') || 'nothing'}`, 'descr, fortran_order and shape', 0);
    }
    return { description, fortranOrder, shape };
  }

  private string(): string {
    return this.match(/(['"])([^'"\\]*)\1/y, 'a string')[2]!;
  }

  private boolean(): boolean {
    return this.match(/(True|False)\b/y, 'True or False')[1] === 'True';
  }

  private tuple(): number[] {
    const values: number[] = [];
    this.expect('(');
    while (!this.accept(')')) {
      const at = this.#at;
      const value = Number(this.match(/(\d{1,16})L?(?![\w.])/y, 'a whole number')[1]);
      if (!Number.isSafeInteger(value)) this.wrong('shape', String(value), 'sizes below 2^53', at);
      if (values.push(value) > maxRank) this.wrong('shape', 'more axes', `at most ${maxRank}`, at);
      if (!this.accept(',')) {
        this.expect(')');
        break;
      }
    }
    return values;
  }

  private match(pattern: RegExp, expected: string): RegExpExecArray {
    this.skipSpace();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text);
    if (found === null) return this.wrong('header', this.found(), expected);
    this.#at += found[0].length;
    return found;
  }

  private accept(symbol: string): boolean {
    this.skipSpace();
    if (this.text[this.#at] !== symbol) return false;
    this.#at++;
    return true;
  }

  private expect(symbol: string): void {
    if (!this.accept(symbol)) this.wrong('header', this.found(), `"${symbol}"`);
  }

  private skipSpace(): void {
    while (/[ \t\r\n]/.test(this.text[this.#at] ?? '')) this.#at++;
  }

  private found(): string {
    return this.#at < this.text.length ? excerpt(/^(\w+|[^])/.exec(this.text.slice(this.#at))![0]) : 'its end';
  }

  private wrong(what: string, got: string, expected: string, at = this.#at): never {
    return this.fail(this.start + at, what, got, expected);
  }
}
