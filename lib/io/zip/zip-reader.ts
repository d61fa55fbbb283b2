/**
 * Zip archives (PKWARE APPNOTE 6.3.10, with ZIP64), read by their table of contents: an entry's bytes are fetched when they are asked for. It
 * trusts nothing: every size is checked against the archive's, what deflate could expand to at most is checked before anything is
 * allocated, and no two entries may claim the same bytes. Used by npz and by PyTorch's checkpoints.
 */
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { FormatError } from '../../errors';
import type { ByteSource } from '../byte-source';
import { crc32 } from '../crc32';
import { excerpt, malformed } from '../malformed';

export interface ZipEntry {
  readonly name: string;
  /** Bytes in the archive, and unpacked. */
  readonly packedSize: number;
  readonly size: number;
  readonly deflated: boolean;
  readonly crc: number;
  /** Where its local header begins. */
  readonly offset: number;
}

const END_LENGTH = 22;
const END = 0x06054b50;
const LOCATOR_LENGTH = 20;
const LOCATOR = 0x07064b50;
const END64_LENGTH = 56;
const END64 = 0x06064b50;
const CENTRAL_LENGTH = 46;
const CENTRAL = 0x02014b50;
const LOCAL_LENGTH = 30;
const LOCAL = 0x04034b50;
const MAX_COMMENT = 0xffff;
/** Deflate cannot express more than 258 bytes by 2 bits. */
export const MAX_DEFLATE_RATIO = 1032;

const inflate = promisify(inflateRaw) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

/** An archive with a checked table of contents. The source stays the caller's to close. */
export class ZipReader {
  private constructor(
    readonly source: ByteSource,
    /** By name, in the archive's order. */
    readonly entries: ReadonlyMap<string, ZipEntry>,
    private readonly op: string,
  ) {}

  /** Reads and checks the table of contents; `op` begins the message of an error. */
  static async open(source: ByteSource, op: string): Promise<ZipReader> {
    const directory = await findDirectory(source, op);
    const bytes = bufferOf(await source.read(directory.offset, directory.size));
    return new ZipReader(source, parseEntries(bytes, directory, source, op), op);
  }

  /** An entry's bytes, unpacked and checked against their checksum. */
  async read(entry: ZipEntry): Promise<Uint8Array> {
    const { source, op } = this;
    const start = await this.dataOffset(entry);
    const packed = await source.read(start, entry.packedSize);
    const bytes = entry.deflated ? await this.inflated(entry, start, packed) : packed;
    const crc = crc32(bytes);
    if (crc !== entry.crc) {
      throw malformed(op, source.name, start, `checksum of ${excerpt(entry.name)}`, hex(crc), hex(entry.crc));
    }
    return bytes;
  }

  private async dataOffset(entry: ZipEntry): Promise<number> {
    const { source, op } = this;
    const header = bufferOf(await source.read(entry.offset, LOCAL_LENGTH));
    const label = excerpt(entry.name);
    if (header.readUInt32LE(0) !== LOCAL) {
      throw malformed(
        op,
        source.name,
        entry.offset,
        `local header of ${label}`,
        hex(header.readUInt32LE(0)),
        hex(LOCAL),
      );
    }
    const start = entry.offset + LOCAL_LENGTH + header.readUInt16LE(26) + header.readUInt16LE(28);
    if (start + entry.packedSize > source.size) {
      const got = `${entry.packedSize} bytes`;
      throw malformed(
        op,
        source.name,
        start,
        `${label} is cut off`,
        got,
        `at most ${Math.max(0, source.size - start)}`,
      );
    }
    return start;
  }

  private async inflated(entry: ZipEntry, start: number, packed: Uint8Array): Promise<Uint8Array> {
    const { source, op } = this;
    const label = excerpt(entry.name);
    let bytes: Buffer;
    try {
      bytes = await inflate(packed, { maxOutputLength: Math.max(entry.size, 1) });
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_BUFFER_TOO_LARGE') {
        throw malformed(op, source.name, start, `unpacked size of ${label}`, 'more', `${entry.size} bytes`);
      }
      if (!code.startsWith('Z_')) throw error;
      throw new FormatError(`${op}: ${source.name}: damaged deflate data of ${label} at byte ${start}: ${message}`, {
        file: source.name,
        offset: start,
        cause: error,
      });
    }
    if (bytes.length !== entry.size) {
      throw malformed(op, source.name, start, `unpacked size of ${label}`, `${bytes.length} bytes`, `${entry.size}`);
    }
    return bytes;
  }
}

/** Where the table of contents lies: from the record at the archive's end, or from its 64-bit twin just before. */
async function findDirectory(source: ByteSource, op: string): Promise<Directory> {
  const { name, size } = source;
  if (size < END_LENGTH) throw malformed(op, name, 0, 'file is too short', `${size} bytes`, `at least ${END_LENGTH}`);
  const length = Math.min(size, END_LENGTH + MAX_COMMENT);
  const tail = bufferOf(await source.read(size - length, length));
  let at = length - END_LENGTH;
  while (at >= 0 && !(tail.readUInt32LE(at) === END && at + END_LENGTH + tail.readUInt16LE(at + 20) === length)) at--;
  if (at < 0) throw malformed(op, name, size - END_LENGTH, 'zip end record', 'none', 'one in the last 65,557 bytes');
  const end = size - length + at;
  let directory: Directory = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  };
  let limit = end;
  const isLarge = directory.count === 0xffff || directory.size === 0xffffffff || directory.offset === 0xffffffff;
  if (isLarge && end >= LOCATOR_LENGTH + END64_LENGTH) {
    const locator = bufferOf(await source.read(end - LOCATOR_LENGTH, LOCATOR_LENGTH));
    if (locator.readUInt32LE(0) === LOCATOR) {
      limit = read64(locator, 8);
      if (limit > end - LOCATOR_LENGTH - END64_LENGTH) {
        throw malformed(
          op,
          name,
          end - LOCATOR_LENGTH + 8,
          'zip64 end record',
          `byte ${limit}`,
          'a place before this one',
        );
      }
      const large = bufferOf(await source.read(limit, END64_LENGTH));
      if (large.readUInt32LE(0) !== END64) {
        throw malformed(op, name, limit, 'zip64 end record', hex(large.readUInt32LE(0)), hex(END64));
      }
      directory = { count: read64(large, 32), size: read64(large, 40), offset: read64(large, 48) };
    }
  }
  if (directory.offset + directory.size > limit) {
    const got = `bytes ${directory.offset} to ${directory.offset + directory.size}`;
    throw malformed(op, name, end, 'zip directory', got, `a place before byte ${limit}`);
  }
  if (directory.count * CENTRAL_LENGTH > directory.size) {
    const got = `${directory.count} entries in ${directory.size} bytes`;
    throw malformed(op, name, end + 10, 'zip directory', got, `at least ${CENTRAL_LENGTH} bytes each`);
  }
  return directory;
}

function parseEntries(bytes: Buffer, directory: Directory, source: ByteSource, op: string): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  const fail = (at: number, what: string, got: string, expected: string): never => {
    throw malformed(op, source.name, directory.offset + at, what, got, expected);
  };
  let at = 0;
  let claimed = 0;
  for (let i = 0; i < directory.count; i++) {
    if (at + CENTRAL_LENGTH > bytes.length) fail(at, 'zip directory', 'its end', `entry ${i} of ${directory.count}`);
    if (bytes.readUInt32LE(at) !== CENTRAL) fail(at, 'zip directory', hex(bytes.readUInt32LE(at)), hex(CENTRAL));
    const flags = bytes.readUInt16LE(at + 8);
    const method = bytes.readUInt16LE(at + 10);
    const nameEnd = at + CENTRAL_LENGTH + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const next = extraEnd + bytes.readUInt16LE(at + 32);
    if (next > bytes.length) fail(at, 'zip directory', 'its end', `the rest of entry ${i}`);
    const name = bytes.toString('utf8', at + CENTRAL_LENGTH, nameEnd);
    const label = excerpt(name);
    if (entries.has(name)) fail(at, 'zip entry', `${label} a second time`, 'every name once');
    if ((flags & 1) !== 0) fail(at, `zip entry ${label}`, 'encrypted data', 'none');
    if (method !== 0 && method !== 8)
      fail(at, `compression of ${label}`, `method ${method}`, '0 (stored) or 8 (deflate)');
    const fields = sizesOf(bytes, at, nameEnd, extraEnd);
    if (fields === undefined) return fail(at, `zip64 sizes of ${label}`, 'too few', 'one for each that says so');
    const { size, packedSize, offset } = fields;
    if (offset + LOCAL_LENGTH + packedSize > source.size) {
      fail(at, `place of ${label}`, `${packedSize} bytes from ${offset} on`, `a place in the ${source.size} bytes`);
    }
    const most = method === 0 ? packedSize : packedSize * MAX_DEFLATE_RATIO;
    if (size > most || (method === 0 && size !== packedSize)) {
      const expected = method === 0 ? `${packedSize}, as it is stored` : `at most ${most} from ${packedSize}`;
      fail(at, `size of ${label}`, `${size} bytes`, expected);
    }
    claimed += packedSize;
    if (claimed > source.size) fail(at, 'zip entries', 'data that overlaps', 'bytes of their own for each');
    entries.set(name, { name, packedSize, size, deflated: method === 8, crc: bytes.readUInt32LE(at + 16), offset });
    at = next;
  }
  if (at !== bytes.length) fail(at, 'zip directory', `${bytes.length - at} bytes left over`, 'none');
  return entries;
}

/** Sizes and place of the entry at `at`; those that do not fit 32 bits stand in the extra field numbered 1. */
function sizesOf(
  bytes: Buffer,
  at: number,
  extraStart: number,
  extraEnd: number,
): Pick<ZipEntry, 'size' | 'packedSize' | 'offset'> | undefined {
  let field = extraStart;
  let fieldEnd = extraStart;
  for (let i = extraStart; i + 4 <= extraEnd; i += 4 + bytes.readUInt16LE(i + 2)) {
    if (bytes.readUInt16LE(i) !== 1) continue;
    field = i + 4;
    fieldEnd = Math.min(extraEnd, field + bytes.readUInt16LE(i + 2));
    break;
  }
  const values: number[] = [];
  for (const place of [at + 24, at + 20, at + 42]) {
    const value = bytes.readUInt32LE(place);
    if (value !== 0xffffffff) {
      values.push(value);
      continue;
    }
    if (field + 8 > fieldEnd) return undefined;
    values.push(read64(bytes, field));
    field += 8;
  }
  const [size = 0, packedSize = 0, offset = 0] = values;
  return { size, packedSize, offset };
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const read64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));
const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
