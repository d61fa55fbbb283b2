/** Batches of a data set, in order or shuffled, made ahead of their use. */
import { ArgumentError } from '../errors';
import { checkSignal } from '../io/paths';
import { checkObject, checkOptions } from '../ops/define';
import { checkCount, checkFinite, checkFunction, checkMethods } from '../tensor/checks';
import { collate, type Collated } from './collate';
import { checkDataset, type Dataset, type IterableDataset, type Pass } from './dataset';
import { Draw } from './draw';
import { GroupSampler, RandomSampler, SequentialSampler, type BatchSampler, type Sampler } from './samplers';

export interface DataLoaderOptions<Item, Batch> {
  /** 1 unless given. */
  readonly batchSize?: number;
  /** Whether every epoch has an order of its own; false unless given. */
  readonly shuffle?: boolean;
  /** Of the shuffling and of the items' random changes: the same seed and epoch give the same batches; 0 unless given. */
  readonly seed?: number;
  /** Leaves out a last batch that is not full; false unless given. */
  readonly dropLast?: boolean;
  /** In which order items come, instead of `shuffle`. */
  readonly sampler?: Sampler;
  /** Which items make which batch, instead of `batchSize`, `shuffle`, `dropLast` and `sampler`. */
  readonly batchSampler?: BatchSampler;
  /**
   * How many batches are made before they are asked for, and no more: 2 for each thread that makes them (`concurrency` of the data set) unless
   * given.
   */
  readonly prefetch?: number;
  /** How items become a batch; {@link collate} unless given. */
  readonly collate?: (items: Item[]) => Batch;
  /** Ends the iteration with the signal's reason, also while a batch is being waited for. */
  readonly signal?: AbortSignal;
}

/** Where a loader is: `batch` batches of `epoch` have been handed out. Plain data, for checkpoints. */
export interface LoaderState {
  readonly epoch: number;
  readonly batch: number;
}

/**
 * Iterates over a data set in batches. Each iteration is an epoch, with its own order when shuffled. For threads that make the batches, give it a
 * data set opened with {@link openWorkers}.
 *
 * @example
 * const loader = new DataLoader(set, { batchSize: 32, shuffle: true });
 * for await (const [x, y] of loader) console.log(x.shape, y.shape);
 */
export class DataLoader<Item, Batch = Collated<Item>> implements AsyncIterable<Batch> {
  /** The number of the next epoch, counted from 0; decides the order. */
  epoch = 0;
  readonly batchSize: number;
  private readonly prefetch: number;
  private readonly sampler: BatchSampler | undefined;
  /** The iteration under way or broken off. */
  #current: { epoch: number; batch: number } | undefined;
  /** How many batches the next iteration leaves out. */
  #skip = 0;

  constructor(
    readonly dataset: Dataset<Item> | IterableDataset<Item>,
    readonly options: DataLoaderOptions<Item, Batch> = {},
  ) {
    checkOptions('DataLoader', options);
    if (!isIterable(dataset)) checkDataset('DataLoader', dataset);
    const { batchSize = 1, prefetch = 2 * (dataset.concurrency ?? 1) } = options;
    checkCount('DataLoader', 'batchSize', batchSize);
    checkCount('DataLoader', 'prefetch', prefetch, 0);
    if (options.collate !== undefined) checkFunction('DataLoader', 'collate', options.collate);
    checkSignal('DataLoader', options.signal);
    this.batchSize = batchSize;
    this.prefetch = prefetch;
    if (isIterable(dataset)) {
      for (const name of ['shuffle', 'sampler', 'batchSampler'] as const) {
        if (options[name] === undefined || options[name] === false) continue;
        throw new ArgumentError(`DataLoader: ${name}: got one, expected none for a data set that is only iterated`);
      }
      return;
    }
    const { length } = dataset;
    const { shuffle = false, seed = 0, dropLast = false } = options;
    checkFinite('DataLoader', 'seed', seed);
    if (options.sampler !== undefined) checkMethods('DataLoader', 'sampler', options.sampler, ['indices']);
    if (options.batchSampler !== undefined)
      checkMethods('DataLoader', 'batchSampler', options.batchSampler, ['batches']);
    const sampler = options.sampler ?? (shuffle ? new RandomSampler(length, { seed }) : new SequentialSampler(length));
    this.sampler = options.batchSampler ?? new GroupSampler(sampler, batchSize, { dropLast });
  }

  /** Batches in an epoch; NaN for a data set that is only iterated. */
  get length(): number {
    return this.sampler?.length ?? NaN;
  }

  /**
   * Where it is: during an iteration, or after one was broken off, behind the last batch that was handed out.
   *
   * @example
   * const state = loader.state(); // { epoch: 3, batch: 120 }, say
   */
  state(): LoaderState {
    return this.#current === undefined ? { epoch: this.epoch, batch: this.#skip } : { ...this.#current };
  }

  /**
   * Makes the next iteration begin where `state` says, with the very batches that would have followed.
   *
   * @throws ArgumentError when the state is none of a loader.
   */
  restore(state: LoaderState): void {
    checkObject('DataLoader', state, 'restore: state');
    const { epoch, batch } = state;
    checkCount('DataLoader', 'restore: epoch', epoch, 0);
    checkCount('DataLoader', 'restore: batch', batch, 0);
    this.epoch = epoch;
    this.#skip = batch;
    this.#current = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    const { signal } = this.options;
    const current = { epoch: this.epoch++, batch: this.#skip };
    this.#current = current;
    this.#skip = 0;
    const source = this.batches(current.epoch, current.batch);
    const pending: Promise<IteratorResult<Batch>>[] = [];
    const refill = (): void => {
      while (pending.length <= this.prefetch) {
        const next = source.next();
        if (next === undefined) return;
        next.catch(() => {}); // handled where it is awaited below
        pending.push(next);
      }
    };
    try {
      for (refill(); pending.length > 0; refill()) {
        signal?.throwIfAborted();
        const next = await unlessAborted(pending.shift()!, signal);
        if (next.done === true) break;
        current.batch++;
        yield next.value;
      }
    } finally {
      source.end?.();
    }
    if (this.#current === current) this.#current = undefined;
  }

  /** An epoch's batches from the given one on. */
  private batches(epoch: number, from: number): BatchSource<Batch> {
    const draw = new Draw(this.options.seed ?? 0, epoch);
    const { dataset } = this;
    if (isIterable(dataset)) {
      const iterator = this.iterateBatches(dataset, from, { draw, worker: 0, workers: 1 });
      return { next: () => iterator.next(), end: () => void iterator.return(undefined).catch(() => {}) };
    }
    const batches = this.sampler!.batches(epoch)[Symbol.iterator]();
    for (let skipped = 0; skipped < from; skipped++) batches.next();
    return {
      next: () => {
        const next = batches.next();
        return next.done === true ? undefined : this.load(dataset, next.value, draw).then((value) => ({ value }));
      },
    };
  }

  private async load(dataset: Dataset<Item>, indices: readonly number[], draw: Draw): Promise<Batch> {
    const { collate: join } = this.options;
    if (join === undefined && dataset.getBatch !== undefined) return (await dataset.getBatch(indices, draw)) as Batch;
    return this.join(await Promise.all(indices.map((index) => dataset.get(index, draw))));
  }

  private join(items: Item[]): Batch {
    const { collate: join } = this.options;
    return join === undefined ? (collate(items) as Batch) : join(items);
  }

  private async *iterateBatches(
    dataset: IterableDataset<Item>,
    from: number,
    pass: Pass,
  ): AsyncGenerator<Batch, void, undefined> {
    const { dropLast = false, collate: join } = this.options;
    let left = from;
    if (join === undefined && dataset.iterateBatches !== undefined) {
      for await (const batch of dataset.iterateBatches(this.batchSize, dropLast, pass)) {
        if (left-- <= 0) yield batch as Batch;
      }
      return;
    }
    for await (const items of grouped(dataset.iterate(pass), this.batchSize, dropLast)) {
      if (left-- <= 0) yield this.join(items);
    }
  }
}

interface BatchSource<Batch> {
  /** The next batch, or undefined where it is known that there is none. */
  next(): Promise<IteratorResult<Batch>> | undefined;
  end?(): void;
}

const isIterable = <Item>(dataset: Dataset<Item> | IterableDataset<Item>): dataset is IterableDataset<Item> =>
  typeof (dataset as Partial<IterableDataset<Item>> | null | undefined)?.iterate === 'function';

/** Items in groups of `size`. */
export async function* grouped<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  size: number,
  dropLast: boolean,
): AsyncGenerator<Item[], void, undefined> {
  let group: Item[] = [];
  for await (const item of items) {
    if (group.push(item) < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0 && !dropLast) yield group;
}

/** `promise`, or a rejection with the signal's reason if that comes first. (Promise.race would hold every batch until the signal goes.) */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
