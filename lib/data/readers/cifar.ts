/** The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): records of labels and 32 × 32 pixels in three planes. */
import { ArgumentError } from '../../errors';
import { readUnpacked } from '../../io/gzip';
import { malformed } from '../../io/malformed';
import { checkOptions } from '../../ops/define';
import { shown } from '../../tensor/describe';

export interface CifarImages {
  /** Bytes of shape [count, 3, 32, 32]. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  /** CIFAR-100's twenty groups of classes. */
  readonly coarseLabels?: Uint8Array;
  readonly count: number;
}

const PIXELS = 3 * 32 * 32;

/**
 * Reads a file of CIFAR-10 (`data_batch_1.bin`) or, with `classes: 100`, of CIFAR-100 (`train.bin`); gzipped or not.
 *
 * @throws FormatError when the file is no whole number of records, or a label is none.
 * @example
 * const { images, labels, count } = await data.readCifar('data_batch_1.bin');
 */
export async function readCifar(path: string, options: { readonly classes?: 10 | 100 } = {}): Promise<CifarImages> {
  checkOptions('readCifar', options);
  const { classes = 10 } = options;
  if (classes !== 10 && classes !== 100) {
    throw new ArgumentError(`readCifar: classes: got ${shown(classes)}, expected 10 or 100`);
  }
  const bytes = await readUnpacked('readCifar', path);
  const labelBytes = classes === 100 ? 2 : 1;
  const record = labelBytes + PIXELS;
  const count = Math.floor(bytes.length / record);
  if (count === 0 || bytes.length % record !== 0) {
    const what = count === 0 ? 'file is too short' : 'file is cut off';
    throw malformed('readCifar', path, count * record, what, `${bytes.length % record} bytes`, `records of ${record}`);
  }
  const images = new Uint8Array(count * PIXELS);
  const columns = Array.from({ length: labelBytes }, () => new Uint8Array(count));
  for (let i = 0; i < count; i++) {
    const start = i * record;
    images.set(bytes.subarray(start + labelBytes, start + record), i * PIXELS);
    for (const [j, column] of columns.entries()) {
      const label = bytes[start + j]!;
      const most = j === labelBytes - 1 ? classes : 20;
      if (label >= most) throw malformed('readCifar', path, start + j, 'label', String(label), `0 to ${most - 1}`);
      column[i] = label;
    }
  }
  const labels = columns.at(-1)!;
  return { images, labels, count, ...(classes === 100 && { coarseLabels: columns[0]! }) };
}
