/** Data sets: numbered items, and how several become a batch. */
import { ArgumentError, ShapeError } from '../errors';
import { noGrad } from '../autograd/modes';
import { tensor } from '../ops/creation';
import { embedding } from '../ops/indexing';
import { stack } from '../ops/movement';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** Items numbered from 0. `get` may wait, for a disk say. */
export interface Dataset<Item> {
  readonly length: number;
  get(index: number): Item | Promise<Item>;
  /** Many items at once, collated, where that is quicker than one by one. */
  getBatch?(indices: readonly number[]): unknown;
}

/**
 * Tensors with a common first axis; item i holds row i of each. Batches are gathered on the device.
 *
 * @example
 * const set = new TensorDataset(randn([100, 4]), zeros([100], { dtype: 'int32' }));
 * set.length; // 100
 */
export class TensorDataset<T extends readonly AnyTensor[]> implements Dataset<AnyTensor[]> {
  readonly length: number;
  readonly tensors: T;

  constructor(...tensors: T) {
    const length = tensors[0]?.shape[0];
    if (length === undefined)
      throw new ArgumentError('TensorDataset: tensors: got none with an axis, expected at least one');
    tensors.forEach((one, i) => {
      if (one.shape[0] !== length) {
        throw new ShapeError(
          `TensorDataset: tensors[${i}]: got ${one.shape[0] ?? 'no'} rows, expected ${length} as in tensors[0]`,
        );
      }
    });
    this.length = length;
    this.tensors = tensors;
    for (const one of tensors) one.keep();
  }

  get(index: number): AnyTensor[] {
    return this.tensors.map((one) => one.select(0, index));
  }

  getBatch(indices: readonly number[]): AnyTensor[] {
    const index = tensor(Int32Array.from(indices));
    return noGrad(() => this.tensors.map((one) => embedding(one, index)));
  }
}

/** Part of a data set, by the numbers of its items. */
export class Subset<Item> implements Dataset<Item> {
  readonly length: number;
  declare readonly getBatch?: (indices: readonly number[]) => unknown;

  constructor(
    readonly dataset: Dataset<Item>,
    readonly indices: readonly number[],
  ) {
    indices.forEach((index, i) => {
      if (!Number.isInteger(index) || index < 0 || index >= dataset.length) {
        throw new ArgumentError(`Subset: indices[${i}]: got ${index}, expected an item of ${dataset.length}`);
      }
    });
    this.length = indices.length;
    if (dataset.getBatch !== undefined) {
      this.getBatch = (batch) => dataset.getBatch!(batch.map((i) => indices[i]!));
    }
  }

  get(index: number): Item | Promise<Item> {
    return this.dataset.get(this.indices[index]!);
  }
}

/**
 * Joins items to a batch, part by part: numbers to an int32 tensor if all are integers, else float32; booleans to bool; typed arrays and tensors of
 * one shape to a tensor with a new first axis; arrays and records by their entries; anything else to an array.
 */
export function collate(items: readonly unknown[]): unknown {
  const first = items[0];
  if (first instanceof Tensor) return stack(items as AnyTensor[]);
  if (typeof first === 'number') {
    const numbers = items as number[];
    return tensor(numbers, { dtype: numbers.every((n) => Number.isInteger(n)) ? 'int32' : 'float32' });
  }
  if (typeof first === 'boolean') return tensor(items as boolean[]);
  if (ArrayBuffer.isView(first)) return stack((items as Float32Array[]).map((item) => tensor(item)));
  if (Array.isArray(first)) return first.map((_, i) => collate((items as unknown[][]).map((item) => item[i])));
  if (typeof first === 'object' && first !== null) {
    const records = items as Record<string, unknown>[];
    return Object.fromEntries(Object.keys(first).map((key) => [key, collate(records.map((item) => item[key]))]));
  }
  return items;
}
