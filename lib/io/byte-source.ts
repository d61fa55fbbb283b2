/**
 * Bytes that are read from any position: a file's or those in memory. The readers of formats with a table of contents (safetensors, zip) stand
 * on it; they check a length against `size` before they ask for that many bytes.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { FormatError } from '../errors';
import { allocateBytes } from './allocate';
import { malformed } from './malformed';
import { checkPath, refusal } from './paths';

export interface ByteSource {
  /** What errors call it: the file's path. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes from `position` on; both within `size`. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Opens a regular file. `op` begins the message of an error. */
export async function openSource(op: string, path: string): Promise<ByteSource> {
  checkPath(op, path);
  const file = await open(path, 'r').catch((error: unknown) => {
    throw refusal(op, path, error);
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new FormatError(`${op}: ${path}: not a regular file`, { file: path });
    return {
      name: path,
      size: stats.size,
      read: (position, length) => readAt(op, file, position, length, path),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Bytes in memory; what is read from it shares them. */
export function memorySource(bytes: Uint8Array, name = 'bytes'): ByteSource {
  return {
    name,
    size: bytes.length,
    read: (position, length) => Promise.resolve(bytes.subarray(position, position + length)),
    close: () => Promise.resolve(),
  };
}

/** All bytes of a regular file. */
export async function readWhole(op: string, path: string): Promise<Uint8Array> {
  const source = await openSource(op, path);
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

async function readAt(
  op: string,
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array> {
  const bytes = allocateBytes(length, `${op}: ${path}`);
  // One call reads at most 2 GiB on Linux.
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), position + done);
    if (bytesRead === 0) {
      throw malformed(op, path, position + done, 'file became shorter', 'its end', `${length - done} more bytes`);
    }
    done += bytesRead;
  }
  return bytes;
}
