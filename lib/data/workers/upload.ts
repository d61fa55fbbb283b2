/**
 * Arrays to tensors without keeping the event loop: memory that was never used is filled slowly, 12 MB in 35 ms on the machine where this was measured,
 * so a large array is copied in pieces with other events between them.
 */
import { setImmediate as otherEvents } from 'node:timers/promises';
import { empty } from '../../ops/creation';
import { writeStorage } from '../../runtime/storage';
import type { ArrayItem } from '../../tensor/array-item';
import type { AnyTensor } from '../../tensor/tensor';

/** Half a huge page: measured, 0.1 to 0.3 ms in memory that was used before; up to 14 ms on the first touch of one. */
const PIECE = 2 ** 20;

/** A tensor over a copy of the array. */
export async function upload({ dtype, shape, data }: ArrayItem): Promise<AnyTensor> {
  const x = empty([...shape], { dtype }) as AnyTensor;
  for (let start = 0; start < data.byteLength; start += PIECE) {
    if (start > 0) await otherEvents();
    const piece = new Uint8Array(data.buffer, data.byteOffset + start, Math.min(PIECE, data.byteLength - start));
    writeStorage(x.storage, start, piece, 'upload');
  }
  return x;
}
