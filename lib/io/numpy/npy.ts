/** NumPy's files as tensors: .npy holds one array, .npz is a zip archive of them by name. */
import { ArgumentError } from '../../errors';
import type { Device } from '../../runtime/device';
import { tensor } from '../../ops/creation';
import { checkObject, checkOptions, checkTensor } from '../../ops/define';
import { permute } from '../../ops/movement';
import type { AnyTensor } from '../../tensor/tensor';
import { replaceFile, writeFully } from '../atomic-file';
import { openSource, readWhole, type ByteSource } from '../byte-source';
import { checkPath, checkReadOptions, checkSignal } from '../paths';
import type { ReadOptions } from '../safetensors';
import { ZipReader, type ZipEntry } from '../zip/zip-reader';
import { ZipWriter } from '../zip/zip-writer';
import { buildNpyHeader, parseNpy, type NpyArray } from './npy-format';

export interface NpyReadOptions {
  /** Where the tensor is to live; `'cpu'` unless given. */
  readonly device?: Device;
}

export interface NpzWriteOptions {
  /** Whether the arrays are deflated; false unless given. */
  readonly compress?: boolean;
  /** Stops the writing; the file that was there before stays. */
  readonly signal?: AbortSignal;
}

/**
 * Reads a .npy file. Unsigned 16- and 32-bit integers become int32 and int64; an array in Fortran's order becomes a transposed view.
 *
 * @throws FormatError when the file is not exactly what its header says, or holds a dtype that hadal lacks (complex, text, objects).
 * @example
 * const x = await io.readNpy('x.npy');
 */
export async function readNpy(path: string, options: NpyReadOptions = {}): Promise<AnyTensor> {
  checkOptions('readNpy', options);
  return toTensor(parseNpy(await readWhole('readNpy', path), path), options.device ?? 'cpu');
}

/**
 * Writes one tensor as a .npy file (version 1.0), in the place of what was there only once all of it is on the disk.
 *
 * @throws DTypeError for bfloat16, which NumPy lacks.
 * @example
 * await io.writeNpy('x.npy', x);
 */
export async function writeNpy(path: string, x: AnyTensor): Promise<void> {
  checkPath('writeNpy', path);
  const pieces = await npyPieces('writeNpy', x);
  await replaceFile('writeNpy', path, async (file) => {
    for (const piece of pieces) await writeFully(file, piece);
  });
}

/** An open .npz file with a checked table of contents; arrays are read one by one. Close it, or hold it with `await using`. */
export class NpzFile implements AsyncDisposable {
  private constructor(
    readonly path: string,
    private readonly source: ByteSource,
    private readonly zip: ZipReader,
    private readonly entries: ReadonlyMap<string, ZipEntry>,
  ) {}

  /** Opens a file and checks its table of contents. Throws `FormatError` when it is no zip archive. */
  static async open(path: string): Promise<NpzFile> {
    const source = await openSource('readNpz', path);
    try {
      const zip = await ZipReader.open(source, 'readNpz');
      const arrays = [...zip.entries.values()].filter(({ name }) => name.endsWith('.npy'));
      return new NpzFile(path, source, zip, new Map(arrays.map((entry) => [entry.name.slice(0, -4), entry])));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** The arrays' names, in the file's order. */
  get names(): string[] {
    return [...this.entries.keys()];
  }

  /** Reads one array. */
  async read(name: string, options: NpyReadOptions = {}): Promise<AnyTensor> {
    checkOptions('readNpz', options, 'NpzFile.read');
    const entry = this.entries.get(name);
    if (entry === undefined) throw new ArgumentError(`readNpz: ${this.path}: no array named ${JSON.stringify(name)}`);
    return toTensor(
      parseNpy(await this.zip.read(entry), `${this.path}: ${entry.name}`, 'readNpz'),
      options.device ?? 'cpu',
    );
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Reads the arrays of a .npz file, all or those named.
 *
 * @throws FormatError when the archive or an array in it is malformed, or has a dtype that hadal lacks.
 * @example
 * const { x, y } = await io.readNpz('data.npz');
 */
export async function readNpz(path: string, options: ReadOptions = {}): Promise<Record<string, AnyTensor>> {
  checkReadOptions('readNpz', options);
  await using file = await NpzFile.open(path);
  const found: [string, AnyTensor][] = [];
  const { names = file.names, ...place } = options;
  for (const name of names) found.push([name, await file.read(name, place)]);
  return Object.fromEntries(found);
}

/**
 * Writes tensors as a .npz file, in the place of what was there only once all of it is on the disk.
 *
 * @throws DTypeError for bfloat16, which NumPy lacks.
 * @example
 * await io.writeNpz('data.npz', { x, y }, { compress: true });
 */
export async function writeNpz(
  path: string,
  tensors: Readonly<Record<string, AnyTensor>>,
  options: NpzWriteOptions = {},
): Promise<void> {
  checkPath('writeNpz', path);
  checkObject('writeNpz', tensors, 'tensors');
  checkOptions('writeNpz', options);
  const { compress = false, signal } = options;
  checkSignal('writeNpz', signal);
  await replaceFile('writeNpz', path, async (file) => {
    const zip = new ZipWriter(file, signal);
    for (const [name, x] of Object.entries(tensors)) {
      await zip.add(`${name}.npy`, await npyPieces('writeNpz', x), { compress });
    }
    await zip.finish();
  });
}

function toTensor({ dtype, shape, data, fortranOrder }: NpyArray, device: Device): AnyTensor {
  if (!fortranOrder) return tensor(data, { dtype, shape, device });
  const axes = shape.map((_, axis) => axis).reverse();
  return permute(tensor(data, { dtype, shape: [...shape].reverse(), device }) as AnyTensor, axes);
}

async function npyPieces(op: string, x: AnyTensor): Promise<Uint8Array[]> {
  checkTensor(op, x);
  const header = buildNpyHeader(x.dtype, x.shape, op);
  const { buffer, byteOffset, byteLength } = await x.data();
  return [header, new Uint8Array(buffer, byteOffset, byteLength)];
}
