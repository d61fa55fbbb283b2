/** One function for every format of tensors, told by a file's first bytes. */
import { FormatError } from '../errors';
import type { Device } from '../runtime/device';
import { openSource } from './byte-source';
import { readIdx } from './idx';
import { tensor } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { excerpt } from './malformed';
import { NpzFile, readNpy, readNpz } from './numpy/npy';
import { readPyTorch } from './pytorch/checkpoint';
import { readSafetensors } from './safetensors';
import { readShardedSafetensors } from './safetensors-sharded';

/**
 * Reads a file of tensors, whatever its name: safetensors and sharded safetensors (by their index), .npz and PyTorch's checkpoints give
 * what they hold by name; .npy and IDX give one tensor.
 *
 * @throws FormatError when the file is none of these, or malformed.
 * @example
 * const state = await io.load('model.safetensors');
 */
export async function load(path: string, options: { readonly device?: Device } = {}): Promise<unknown> {
  checkOptions('load', options);
  const source = await openSource('load', path);
  let start: Buffer;
  try {
    start = Buffer.from(await source.read(0, Math.min(16, source.size)));
  } finally {
    await source.close();
  }
  const text = start.toString('latin1');
  if (text.startsWith('\x93NUMPY')) return readNpy(path, options);
  if (text.startsWith('PK')) return (await holdsArrays(path)) ? readNpz(path, options) : readPyTorch(path, options);
  if (text[8] === '{') return readSafetensors(path, options);
  if (text.startsWith('\x80')) return readPyTorch(path, options);
  if (/^\s*\{/.test(text)) return readShardedSafetensors(path, options);
  if (text.startsWith('\0\0') || text.startsWith('\x1f\x8b')) {
    const { data, dtype, shape } = await readIdx(path);
    return tensor(data, { dtype, shape, ...options });
  }
  throw new FormatError(
    `load: ${path}: start at byte 0: got ${excerpt(text)}, expected that of safetensors, NumPy, PyTorch or IDX`,
    { file: path, offset: 0 },
  );
}

async function holdsArrays(path: string): Promise<boolean> {
  await using file = await NpzFile.open(path);
  return file.names.length > 0;
}
