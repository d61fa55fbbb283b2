/** Whole files that may be gzipped, told by their first bytes. */
import { constants } from 'node:buffer';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { FormatError } from '../errors';
import { readWhole } from './byte-source';
import { MAX_DEFLATE_RATIO } from './zip/zip-reader';

const unzip = promisify(gunzip) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

/** All bytes of a regular file, unpacked where it is gzipped. */
export async function readUnpacked(op: string, path: string): Promise<Uint8Array> {
  const bytes = await readWhole(op, path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await unzip(bytes, { maxOutputLength: Math.min(bytes.length * MAX_DEFLATE_RATIO, constants.MAX_LENGTH) });
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (!code.startsWith('Z_')) throw error;
    throw new FormatError(`${op}: ${path}: damaged gzip data: ${message}`, { file: path, cause: error });
  }
}
