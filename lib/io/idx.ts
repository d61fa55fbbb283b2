/**
 * IDX, the format of the MNIST files (http://yann.lecun.com/exdb/mnist/): plain or gzipped bytes to typed arrays. A
 * file is: two zero bytes, a type code, the rank, one big-endian 32-bit size per axis, the elements in big-endian
 * order. Nothing is allocated before the header has been checked against the number of bytes that the file can hold.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { FormatError } from '../errors';
import { maxRank } from '../tensor/shapes';
import { allocateBytes } from './allocate';
import { malformed as malformedFile } from './malformed';
import { checkBytes, checkPath, refusal } from './paths';
import { MAX_DEFLATE_RATIO } from './zip/zip-reader';

const kinds = {
  0x08: { dtype: 'uint8', array: Uint8Array },
  0x09: { dtype: 'int8', array: Int8Array },
  0x0b: { dtype: 'int16', array: Int16Array },
  0x0c: { dtype: 'int32', array: Int32Array },
  0x0d: { dtype: 'float32', array: Float32Array },
  0x0e: { dtype: 'float64', array: Float64Array },
} as const;
type Kind = (typeof kinds)[keyof typeof kinds];

export interface IdxArray {
  readonly dtype: Kind['dtype'];
  readonly shape: readonly number[];
  readonly data: InstanceType<Kind['array']>;
}

export interface DigitSplit {
  /** Grey values 0 to 255, image after image, row after row. */
  readonly images: Uint8Array;
  /** The digit of each image, 0 to 9. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Reads an IDX file, gzipped or not (told by its first bytes). Throws `FormatError` unless its size is exactly as its
 * header says.
 */
export async function readIdx(path: string): Promise<IdxArray> {
  checkPath('readIdx', path);
  const file = await open(path, 'r').catch((error: unknown) => {
    throw refusal('readIdx', path, error);
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new FormatError(`readIdx: ${path}: not a regular file`, { file: path });
    const start = new Uint8Array(2);
    await file.read(start, 0, 2, 0);
    const stream = file.createReadStream({ start: 0, autoClose: false, highWaterMark: 2 ** 18 });
    if (start[0] !== 0x1f || start[1] !== 0x8b) {
      const decoder = new IdxDecoder(path, stats.size, 'exactly');
      for await (const chunk of stream) decoder.push(chunk as Buffer);
      return decoder.finish();
    }
    const decoder = new IdxDecoder(path, stats.size * MAX_DEFLATE_RATIO, 'at most');
    const gunzip = createGunzip({ chunkSize: 2 ** 18 });
    stream.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
    try {
      for await (const chunk of gunzip) decoder.push(chunk as Buffer);
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (!/^Z_/.test(code)) throw error;
      throw new FormatError(`readIdx: ${path}: damaged gzip data: ${message}`, { file: path, cause: error });
    } finally {
      stream.destroy();
    }
    if (gunzip.bytesWritten !== stats.size) {
      throw malformed(
        path,
        gunzip.bytesWritten,
        'bytes behind the gzip data',
        `${stats.size} bytes`,
        String(gunzip.bytesWritten),
      );
    }
    return decoder.finish();
  } finally {
    await file.close();
  }
}

/** Parses an IDX file held in memory, not gzipped. */
export function parseIdx(bytes: Uint8Array, file = 'bytes'): IdxArray {
  checkBytes('parseIdx', bytes);
  const decoder = new IdxDecoder(file, bytes.length, 'exactly');
  decoder.push(bytes);
  return decoder.finish();
}

/** Reads the four MNIST files (`train-images-idx3-ubyte` and so on, with or without `.gz`) of a folder. */
export async function readMnist(folder: string): Promise<{ train: DigitSplit; test: DigitSplit }> {
  checkPath('readMnist', folder, 'folder');
  return { train: await readSplit(folder, 'train'), test: await readSplit(folder, 't10k') };
}

async function readSplit(folder: string, prefix: string): Promise<DigitSplit> {
  const images = await readEither(join(folder, `${prefix}-images-idx3-ubyte`), 3);
  const labels = await readEither(join(folder, `${prefix}-labels-idx1-ubyte`), 1);
  const [count = 0, height = 0, width = 0] = images.shape;
  if (labels.data.length !== count) {
    const got = `${labels.data.length} labels`;
    throw malformed(labels.path, 4, 'count', got, `${count}, one for each image`, 'readMnist');
  }
  const wrong = labels.data.findIndex((label) => label > 9);
  if (wrong >= 0) {
    throw malformed(labels.path, 8 + wrong, 'label', String(labels.data[wrong]), '0 to 9', 'readMnist');
  }
  return { images: images.data, labels: labels.data, count, height, width };
}

async function readEither(
  path: string,
  rank: number,
): Promise<{ path: string; shape: readonly number[]; data: Uint8Array }> {
  for (const candidate of [path, `${path}.gz`]) {
    const array = await readIdx(candidate).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!array) continue;
    const { dtype, shape, data } = array;
    if (dtype !== 'uint8' || shape.length !== rank || !(data instanceof Uint8Array)) {
      throw malformed(
        candidate,
        2,
        'contents',
        `${dtype} of rank ${shape.length}`,
        `uint8 of rank ${rank}`,
        'readMnist',
      );
    }
    return { path: candidate, shape, data };
  }
  throw new FormatError(`readMnist: ${path}: no such file, with or without .gz`, { file: path });
}

/** Takes a file's bytes in pieces: collects the header, checks it, then fills the one array it allocates. */
class IdxDecoder {
  readonly #file: string;
  readonly #limit: number;
  readonly #exact: boolean;
  #header = new Uint8Array(4);
  #position = 0;
  #array: { kind: Kind; shape: number[]; bytes: Uint8Array<ArrayBuffer> } | undefined;

  /** `limit`: how many bytes the file has, exactly or at most. */
  constructor(file: string, limit: number, known: 'exactly' | 'at most') {
    this.#file = file;
    this.#limit = limit;
    this.#exact = known === 'exactly';
  }

  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (!this.#array && rest.length > 0) {
      const taken = rest.subarray(0, this.#header.length - this.#position);
      this.#header.set(taken, this.#position);
      this.#position += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#position === this.#header.length) this.#readHeader();
    }
    if (!this.#array || rest.length === 0) return;
    const { bytes } = this.#array;
    const filled = this.#position - this.#header.length;
    if (rest.length > bytes.length - filled) {
      const end = this.#header.length + bytes.length;
      throw malformed(this.#file, end, 'bytes behind the last element', 'more', `${end} bytes in all`);
    }
    bytes.set(rest, filled);
    this.#position += rest.length;
  }

  finish(): IdxArray {
    if (!this.#array) {
      const got = `${this.#position} bytes`;
      throw malformed(this.#file, this.#position, 'file is cut off', got, `a header of ${this.#header.length}`);
    }
    const { kind, shape, bytes } = this.#array;
    const length = this.#header.length + bytes.length;
    if (this.#position < length) {
      throw malformed(this.#file, this.#position, 'file is cut off', `${this.#position} bytes`, String(length));
    }
    const { BYTES_PER_ELEMENT: size } = kind.array;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (size === 2) view.swap16();
    if (size === 4) view.swap32();
    if (size === 8) view.swap64();
    return { dtype: kind.dtype, shape, data: new kind.array(bytes.buffer, 0, bytes.length / size) };
  }

  /** Called with the first 4 bytes, which tell the header's length, and again with the whole header. */
  #readHeader(): void {
    const header = Buffer.from(this.#header);
    const [zero0 = 0, zero1 = 0, code = 0, rank = 0] = header;
    if (zero0 !== 0 || zero1 !== 0) {
      throw malformed(this.#file, 0, 'magic', `0x${header.toString('hex', 0, 2)}`, '0x0000');
    }
    if (!(code in kinds)) {
      const expected = '0x08, 0x09, 0x0b, 0x0c, 0x0d or 0x0e';
      throw malformed(this.#file, 2, 'element type', `0x${header.toString('hex', 2, 3)}`, expected);
    }
    if (rank < 1 || rank > maxRank) {
      throw malformed(this.#file, 3, 'rank', String(rank), `1 to ${maxRank}`);
    }
    if (header.length === 4) {
      this.#header = new Uint8Array(4 + 4 * rank);
      this.#header.set(header);
      return;
    }
    const kind = kinds[code as keyof typeof kinds];
    const shape = Array.from({ length: rank }, (_, axis) => header.readUInt32BE(4 + 4 * axis));
    const length = header.length + shape.reduce((product, size) => product * size, kind.array.BYTES_PER_ELEMENT);
    if (this.#exact ? length !== this.#limit : length > this.#limit) {
      const got = `[${shape.join(', ')}] of ${kind.dtype} (a file of ${length} bytes)`;
      const expected = `${this.#exact ? '' : 'at most '}${this.#limit} bytes, as the file’s size allows`;
      throw malformed(this.#file, 4, 'sizes', got, expected);
    }
    this.#array = { kind, shape, bytes: allocateBytes(length - header.length, `readIdx: ${this.#file}`) };
  }
}

function malformed(
  file: string,
  offset: number,
  what: string,
  got: string,
  expected: string,
  op = 'readIdx',
): FormatError {
  return malformedFile(op, file, offset, what, got, expected);
}
