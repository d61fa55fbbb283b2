/** Data sets: numbered items, and how several become a batch. */
import { ArgumentError, ShapeError } from '../errors';
import { noGrad } from '../autograd/modes';
import { tensor } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { embedding } from '../ops/indexing';
import { checkFunction, checkList } from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Draw } from './draw';
import { Random } from './random';

/** Items numbered from 0. `get` may wait, for a disk say. */
export interface Dataset<Item> {
  readonly length: number;
  /** `draw.random(index)` gives the numbers for random changes to the item. */
  get(index: number, draw?: Draw): Item | Promise<Item>;
  /** Many items at once, collated, where that is quicker than one by one. */
  getBatch?(indices: readonly number[], draw?: Draw): unknown;
  /** How many batches are worth making at once; 1 unless given. */
  readonly concurrency?: number;
}

/** What one pass over an iterable data set is: which epoch, and which part of the items where several threads share the work. */
export interface Pass {
  readonly draw: Draw;
  /** This thread's number, and how many there are: item i belongs to thread i mod `workers`, or what the data set makes of it. */
  readonly worker: number;
  readonly workers: number;
}

/** Items that come one after the other and cannot be asked for by number: a stream, lines of a large file. */
export interface IterableDataset<Item> {
  iterate(pass: Pass): Iterable<Item> | AsyncIterable<Item>;
  /** Batches at once, where the data set has a quicker way. */
  iterateBatches?(batchSize: number, dropLast: boolean, pass: Pass): AsyncIterable<unknown>;
  readonly concurrency?: number;
}

/**
 * Throws `ArgumentError` unless `dataset` has items by number.
 *
 * @internal
 */
export function checkDataset(owner: string, dataset: unknown, name = 'dataset'): void {
  const { length, get } = (dataset ?? {}) as Partial<Dataset<unknown>>;
  if (Number.isSafeInteger(length) && length! >= 0 && typeof get === 'function') return;
  const remedy = Array.isArray(dataset) ? ', such as new ListDataset(items)' : '';
  throw new ArgumentError(
    `${owner}: ${name}: got ${describe(dataset)}, expected a data set with length and get${remedy}`,
  );
}

/** One row of each tensor, or a batch of rows. */
export type Rows<T extends readonly AnyTensor[]> = {
  -readonly [K in keyof T]: T[K] extends Tensor<Shape, infer D> ? Tensor<Shape, D> : never;
};

/**
 * Tensors with a common first axis; item i holds row i of each. Batches are gathered on the device.
 *
 * @example
 * const set = new TensorDataset(randn([100, 4]), zeros([100], { dtype: 'int32' }));
 * set.length; // 100
 */
export class TensorDataset<T extends readonly AnyTensor[]> implements Dataset<Rows<T>> {
  readonly length: number;
  readonly tensors: T;

  constructor(...tensors: T) {
    tensors.forEach((one, i) => checkTensor('TensorDataset', one, `tensors[${i}]`));
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

  get(index: number): Rows<T> {
    return this.tensors.map((one) => one.select(0, index)) as Rows<T>;
  }

  getBatch(indices: readonly number[]): Rows<T> {
    const index = tensor([...indices], { dtype: 'int64' });
    return noGrad(() => this.tensors.map((one) => embedding(one, index))) as Rows<T>;
  }
}

/**
 * The items of a list.
 *
 * @example
 * const set = new ListDataset([{ text: 'good', label: 1 }, { text: 'bad', label: 0 }]);
 * set.length; // 2
 */
export class ListDataset<Item> implements Dataset<Item> {
  readonly length: number;

  constructor(readonly items: readonly Item[]) {
    checkList('ListDataset', 'items', items);
    this.length = items.length;
  }

  get(index: number): Item {
    return this.items[index]!;
  }
}

/** Part of a data set, by the numbers of its items. */
export class Subset<Item> implements Dataset<Item> {
  readonly length: number;
  declare readonly getBatch?: (indices: readonly number[], draw?: Draw) => unknown;

  constructor(
    readonly dataset: Dataset<Item>,
    readonly indices: readonly number[],
  ) {
    checkDataset('Subset', dataset);
    checkList('Subset', 'indices', indices);
    indices.forEach((index, i) => {
      if (!Number.isInteger(index) || index < 0 || index >= dataset.length) {
        throw new ArgumentError(`Subset: indices[${i}]: got ${shown(index)}, expected an item of ${dataset.length}`);
      }
    });
    this.length = indices.length;
    if (dataset.getBatch !== undefined) {
      this.getBatch = (batch, draw) =>
        dataset.getBatch!(
          batch.map((i) => indices[i]!),
          draw,
        );
    }
  }

  get concurrency(): number {
    return this.dataset.concurrency ?? 1;
  }

  get(index: number, draw?: Draw): Item | Promise<Item> {
    return this.dataset.get(this.indices[index]!, draw);
  }
}

/**
 * Data sets one behind the other.
 *
 * @example
 * new ConcatDataset([photos, drawings]).length; // photos.length + drawings.length
 */
export class ConcatDataset<Item> implements Dataset<Item> {
  readonly length: number;
  /** Where each data set ends. */
  readonly #ends: number[] = [];

  constructor(readonly datasets: readonly Dataset<Item>[]) {
    checkList('ConcatDataset', 'datasets', datasets);
    datasets.forEach((dataset, i) => checkDataset('ConcatDataset', dataset, `datasets[${i}]`));
    let length = 0;
    for (const dataset of datasets) this.#ends.push((length += dataset.length));
    this.length = length;
  }

  get concurrency(): number {
    return Math.max(1, ...this.datasets.map(({ concurrency = 1 }) => concurrency));
  }

  get(index: number, draw?: Draw): Item | Promise<Item> {
    const part = this.#ends.findIndex((end) => index < end);
    if (part < 0 || !(index >= 0)) {
      throw new ArgumentError(`ConcatDataset: index: got ${shown(index)}, expected an item of ${this.length}`);
    }
    return this.datasets[part]!.get(index - (part === 0 ? 0 : this.#ends[part - 1]!), draw);
  }
}

/**
 * A data set whose items are changed on their way: decoded, augmented, cut. The function gets random numbers of the item's own, so that a seed and
 * an epoch decide the result on any number of threads.
 *
 * @example
 * const noisy = new MapDataset(set, ([x, y], random) => [x.add(random.normal()), y]);
 */
export class MapDataset<Item, Mapped> implements Dataset<Mapped> {
  constructor(
    readonly dataset: Dataset<Item>,
    readonly change: (item: Item, random: Random, index: number) => Mapped | Promise<Mapped>,
  ) {
    checkDataset('MapDataset', dataset);
    checkFunction('MapDataset', 'change', change);
  }

  get length(): number {
    return this.dataset.length;
  }

  get concurrency(): number {
    return this.dataset.concurrency ?? 1;
  }

  async get(index: number, draw: Draw = new Draw()): Promise<Mapped> {
    return this.change(await this.dataset.get(index, draw), draw.random(index), index);
  }
}

/**
 * Divides a data set at random. `lengths` count items, or are fractions that add up to 1; what rounding leaves goes to the first parts.
 *
 * @throws ArgumentError when the lengths do not add up to the data set.
 * @example
 * const [train, test] = data.randomSplit(set, [0.9, 0.1], { seed: 1 });
 */
export function randomSplit<Item>(
  dataset: Dataset<Item>,
  lengths: readonly number[],
  options: { readonly seed?: number } = {},
): Subset<Item>[] {
  checkDataset('randomSplit', dataset);
  checkOptions('randomSplit', options);
  checkList('randomSplit', 'lengths', lengths);
  const sum = lengths.reduce((total, length) => total + length, 0);
  const isShare = Math.abs(sum - 1) < 1e-9 && dataset.length !== 1;
  const counts = isShare ? lengths.map((share) => Math.floor(share * dataset.length + 1e-9)) : [...lengths];
  let left = dataset.length - counts.reduce((total, count) => total + count, 0);
  if (isShare) for (let i = 0; left > 0; i = (i + 1) % counts.length, left--) counts[i]!++;
  if (left !== 0 || counts.some((count) => !Number.isInteger(count) || count < 0)) {
    throw new ArgumentError(
      `randomSplit: lengths: got [${lengths.join(', ')}], expected counts of ${dataset.length} items or fractions of 1`,
    );
  }
  const order = new Random(options.seed ?? 0).permutation(dataset.length);
  let start = 0;
  return counts.map((count) => new Subset(dataset, order.slice(start, (start += count))));
}
