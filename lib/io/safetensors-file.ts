/**
 * Safetensors files on disk as plain arrays: reads the header and then only what is asked for; writes tensor by tensor.
 * The format and its checks are safetensors-format.ts, replacing the file in one step is atomic-file.ts; safetensors.ts
 * puts tensors on top.
 */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { checkObject } from '../ops/define';
import { replaceFile, writeFully } from './atomic-file';
import { openSource, type ByteSource } from './byte-source';
import { checkPath, checkReadOptions, checkWriteOptions } from './paths';
import {
  buildHeader,
  byteLengthOf,
  isWellFormed,
  MAX_HEADER_LENGTH,
  parseHeader,
  parseHeaderLength,
  viewAs,
  type ArrayRecord,
  type SafetensorsHeader,
  type TensorInfo,
} from './safetensors-format';
import { checkList } from '../tensor/checks';
import { shown } from '../tensor/describe';
import { arrays, isDType, type ArrayOf, type DType } from '../tensor/dtype';

/**
 * What is to be written: its data at hand, or a function that brings it when its turn comes, so that one is held at a
 * time.
 */
export interface ArraySource {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayOf<DType> | (() => ArrayOf<DType> | Promise<ArrayOf<DType>>);
}

export interface WriteOptions {
  /** Strings kept in the file's header under `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Stops the writing; the file that was there before stays. */
  readonly signal?: AbortSignal;
}

/**
 * An open safetensors file with a checked header; tensors are read one by one. Close it, or hold it with `await using`.
 */
export class SafetensorsFile implements AsyncDisposable {
  readonly path: string;
  readonly #source: ByteSource;
  readonly #header: SafetensorsHeader;

  private constructor(path: string, source: ByteSource, header: SafetensorsHeader) {
    this.path = path;
    this.#source = source;
    this.#header = header;
  }

  /**
   * Opens a file and checks its whole header. Throws `FormatError` when the file is not exactly what its header says.
   */
  static async open(path: string): Promise<SafetensorsFile> {
    const source = await openSource('safetensors', path);
    try {
      const { size } = source;
      const headerLength = parseHeaderLength(await source.read(0, Math.min(8, size)), size, path);
      const header = parseHeader(await source.read(8, headerLength), size, path);
      return new SafetensorsFile(path, source, header);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#header.metadata;
  }

  /** What the file holds, by name, in the header's order. */
  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.#header.tensors;
  }

  /** Reads one tensor's data. */
  async read(name: string): Promise<ArrayRecord> {
    const info = this.tensors.get(name);
    if (!info) throw new ArgumentError(`safetensors: ${this.path}: no tensor named ${JSON.stringify(name)}`);
    const { dtype, shape, begin, end } = info;
    const bytes = await this.#source.read(this.#header.dataStart + begin, end - begin);
    return { dtype, shape, data: viewAs(dtype, bytes) };
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Reads the tensors of a file, all or those named. */
export async function readSafetensorsArrays(path: string, names?: Iterable<string>): Promise<Map<string, ArrayRecord>> {
  checkReadOptions('readSafetensorsArrays', { names });
  const file = await SafetensorsFile.open(path);
  try {
    const records = new Map<string, ArrayRecord>();
    for (const name of names ?? file.tensors.keys()) records.set(name, await file.read(name));
    return records;
  } finally {
    await file.close();
  }
}

/**
 * Writes tensors to a file in a fixed order, with the same bytes as the reference implementation. The file appears, or
 * is replaced, only once all of it is on the disk; after any failure what was there before is unchanged.
 */
export async function writeSafetensorsArrays(
  path: string,
  tensors: Readonly<Record<string, ArraySource>>,
  options: WriteOptions = {},
): Promise<void> {
  const op = 'writeSafetensors';
  checkPath(op, path);
  checkObject(op, tensors, 'tensors');
  checkWriteOptions(op, options);
  const { metadata = {}, signal } = options;
  const sources = new Map(Object.entries(tensors));
  for (const [name, source] of sources) {
    checkObject(op, source, JSON.stringify(name));
    const { dtype, shape, data } = source;
    checkSource(name, dtype, shape);
    if (typeof data !== 'function') checkData(name, dtype, shape, data);
  }
  checkMetadata(metadata);
  const header = buildHeader(sources, metadata);
  if (header.bytes.length - 8 > MAX_HEADER_LENGTH) {
    const got = `${header.bytes.length - 8} bytes`;
    throw new ArgumentError(
      `writeSafetensors: names, shapes and metadata are too long: got ${got}, expected at most ${MAX_HEADER_LENGTH}`,
    );
  }
  signal?.throwIfAborted();
  await replaceFile(op, path, async (file) => {
    await writeFully(file, header.bytes, signal);
    for (const name of header.order) {
      const source = sources.get(name) as ArraySource;
      const { dtype, shape, data } = source;
      const array = typeof data === 'function' ? await data.call(source) : data;
      checkData(name, dtype, shape, array);
      await writeFully(file, new Uint8Array(array.buffer, array.byteOffset, array.byteLength), signal);
    }
  });
}

function checkSource(name: string, dtype: DType, shape: readonly number[]): void {
  const label = JSON.stringify(name);
  if (name === '__metadata__' || !isWellFormed(name)) {
    throw new ArgumentError(`writeSafetensors: ${label} cannot be a tensor's name in a safetensors file`);
  }
  if (!isDType(dtype))
    throw new DTypeError(`writeSafetensors: dtype of ${label}: got ${shown(dtype)}, expected a dtype`);
  checkList('writeSafetensors', `shape of ${label}`, shape);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || byteLengthOf(dtype, shape) === undefined) {
    throw new ShapeError(
      `writeSafetensors: shape of ${label}: got [${shape.join(', ')}], expected whole numbers below 2^53`,
    );
  }
}

function checkData(name: string, dtype: DType, shape: readonly number[], data: ArrayOf<DType>): void {
  const wanted = arrays[dtype].name;
  const label = JSON.stringify(name);
  const got = Object.prototype.toString.call(data).slice(8, -1); // arrays of another realm are as good
  if (got !== wanted)
    throw new DTypeError(`writeSafetensors: data of ${label} (${dtype}): got ${got}, expected ${wanted}`);
  const expected = byteLengthOf(dtype, shape);
  if (data.byteLength !== expected) {
    const sizes = `${data.byteLength} bytes, expected ${expected} for [${shape.join(', ')}]`;
    throw new ShapeError(`writeSafetensors: data of ${label} (${dtype}): got ${sizes}`);
  }
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries<unknown>(metadata)) {
    if (typeof value === 'string' && isWellFormed(value) && isWellFormed(key)) continue;
    throw new ArgumentError(
      `writeSafetensors: metadata ${JSON.stringify(key)}: got ${typeof value}, expected a string`,
    );
  }
}
