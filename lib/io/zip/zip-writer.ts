/**
 * Zip archives, written entry by entry from front to back: stored or deflated, with 64-bit sizes where 32 do not do. Where the file goes
 * and how it replaces another is atomic-file.ts.
 */
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { writeFully } from '../atomic-file';
import { crc32 } from '../crc32';

const deflate = promisify(deflateRaw) as (bytes: Uint8Array) => Promise<Buffer>;

interface Written {
  readonly name: Buffer;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  readonly packedSize: number;
  readonly offset: number;
}

const MAX32 = 0xffffffff;
const UTF8_NAME = 0x0800;
// 1 January 1980, the first day that the format can express: the same contents give the same bytes.
const DATE = 0x0021;

export class ZipWriter {
  #offset = 0;
  readonly #entries: Written[] = [];

  constructor(
    private readonly file: FileHandle,
    private readonly signal?: AbortSignal,
  ) {}

  /** Adds an entry of the `pieces`, one behind the other. */
  async add(name: string, pieces: readonly Uint8Array[], { compress = false } = {}): Promise<void> {
    const size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    const crc = pieces.reduce((sum, piece) => crc32(piece, sum), 0);
    const packed = compress ? [await deflate(Buffer.concat(pieces))] : pieces;
    const packedSize = packed.reduce((sum, piece) => sum + piece.byteLength, 0);
    const entry = { name: Buffer.from(name), method: compress ? 8 : 0, crc, size, packedSize, offset: this.#offset };
    this.#entries.push(entry);
    await this.write(localHeader(entry));
    for (const piece of packed) await this.write(piece);
  }

  /** Writes the table of contents. */
  async finish(): Promise<void> {
    const start = this.#offset;
    for (const entry of this.#entries) await this.write(centralHeader(entry));
    await this.write(endRecords(this.#entries.length, this.#offset - start, start));
  }

  private async write(bytes: Uint8Array): Promise<void> {
    await writeFully(this.file, bytes, this.signal);
    this.#offset += bytes.byteLength;
  }
}

/** The extra field of 64-bit numbers. */
function large(values: readonly number[]): Buffer {
  if (values.length === 0) return Buffer.alloc(0);
  const bytes = Buffer.alloc(4 + 8 * values.length);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
  return bytes;
}

function localHeader(entry: Written): Buffer {
  const isLarge = Math.max(entry.size, entry.packedSize) >= MAX32;
  const extra = large(isLarge ? [entry.size, entry.packedSize] : []);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  writeCommon(header, 4, entry, isLarge ? [MAX32, MAX32] : [entry.packedSize, entry.size], extra.length);
  return Buffer.concat([header, entry.name, extra]);
}

function centralHeader(entry: Written): Buffer {
  const values = [entry.size, entry.packedSize, entry.offset];
  const [size = 0, packedSize = 0, offset = 0] = values.map((value) => Math.min(value, MAX32));
  const extra = large(values.filter((value) => value >= MAX32));
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(45, 4); // made by version 4.5
  writeCommon(header, 6, entry, [packedSize, size], extra.length);
  header.writeUInt32LE(offset, 42);
  return Buffer.concat([header, entry.name, extra]);
}

/** The fields that the two headers of an entry share. */
function writeCommon(header: Buffer, at: number, entry: Written, sizes: readonly number[], extra: number): void {
  header.writeUInt16LE(45, at); // version 4.5 reads it
  header.writeUInt16LE(UTF8_NAME, at + 2);
  header.writeUInt16LE(entry.method, at + 4);
  header.writeUInt16LE(DATE, at + 8);
  header.writeUInt32LE(entry.crc, at + 10);
  header.writeUInt32LE(sizes[0]!, at + 14);
  header.writeUInt32LE(sizes[1]!, at + 18);
  header.writeUInt16LE(entry.name.length, at + 22);
  header.writeUInt16LE(extra, at + 24);
}

function endRecords(count: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, 0xffff), 8);
  end.writeUInt16LE(Math.min(count, 0xffff), 10);
  end.writeUInt32LE(Math.min(size, MAX32), 12);
  end.writeUInt32LE(Math.min(offset, MAX32), 16);
  if (count < 0xffff && size < MAX32 && offset < MAX32) return end;
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeUInt16LE(45, 12);
  end64.writeUInt16LE(45, 14);
  [count, count, size, offset].forEach((value, i) => end64.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end64, locator, end]);
}
