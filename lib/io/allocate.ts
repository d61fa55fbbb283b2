/** Memory for what a file's header claims, once the claim has been checked against the file's size. Used by the readers. */
import { OutOfMemoryError } from '../errors';

/** A zeroed array of `length` bytes, or `OutOfMemoryError` where the engine would throw a bare RangeError. */
export function allocateBytes(length: number, file: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    throw new OutOfMemoryError(`${file}: its data needs ${length} bytes in one array, more than could be allocated`, {
      file,
      length,
    });
  }
}
