/** Batches of a data set, in order or shuffled, made ahead of their use. */
import { ArgumentError } from '../errors';
import { collate, type Dataset } from './dataset';
import { shuffled } from './random';

export interface DataLoaderOptions<Item, Batch> {
  /** 1 unless given. */
  readonly batchSize?: number;
  /** Whether every epoch has an order of its own; false unless given. */
  readonly shuffle?: boolean;
  /** Of the shuffling: the same seed and epoch give the same order; 0 unless given. */
  readonly seed?: number;
  /** Leaves out a last batch that is not full; false unless given. */
  readonly dropLast?: boolean;
  /** How many batches are made before they are asked for; 2 unless given. */
  readonly prefetch?: number;
  /** How items become a batch; {@link collate} unless given. */
  readonly collate?: (items: Item[]) => Batch;
  /** Ends the iteration with the signal's reason, also while a batch is being waited for. */
  readonly signal?: AbortSignal;
}

/**
 * Iterates over a data set in batches. Each iteration is an epoch, with its own order when shuffled.
 *
 * @example
 * const loader = new DataLoader(set, { batchSize: 32, shuffle: true });
 * for await (const [x, y] of loader) console.log(x.shape, y.shape);
 */
export class DataLoader<Item, Batch = Item> implements AsyncIterable<Batch> {
  /** The number of the next epoch, counted from 0; decides the order. */
  epoch = 0;
  readonly batchSize: number;
  private readonly prefetch: number;

  constructor(
    readonly dataset: Dataset<Item>,
    readonly options: DataLoaderOptions<Item, Batch> = {},
  ) {
    const { batchSize = 1, prefetch = 2 } = options;
    for (const [name, value, least] of [
      ['batchSize', batchSize, 1],
      ['prefetch', prefetch, 0],
    ] as const) {
      if (!Number.isSafeInteger(value) || value < least) {
        throw new ArgumentError(`DataLoader: ${name}: got ${String(value)}, expected an integer of at least ${least}`);
      }
    }
    this.batchSize = batchSize;
    this.prefetch = prefetch;
  }

  /** Batches in an epoch. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.options.dropLast === true ? Math.floor(batches) : Math.ceil(batches);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    const { signal } = this.options;
    const order = this.nextOrder();
    const pending: Promise<Batch>[] = [];
    let next = 0;
    const refill = (): void => {
      while (next < this.length && pending.length <= this.prefetch) {
        const batch = this.load(order.slice(next * this.batchSize, ++next * this.batchSize));
        batch.catch(() => {}); // handled where it is awaited below
        pending.push(batch);
      }
    };
    for (refill(); pending.length > 0; refill()) {
      signal?.throwIfAborted();
      yield await unlessAborted(pending.shift()!, signal);
    }
  }

  private nextOrder(): readonly number[] {
    const { shuffle = false, seed = 0 } = this.options;
    const epoch = this.epoch++;
    return shuffle ? shuffled(this.dataset.length, seed, epoch) : [...Array(this.dataset.length).keys()];
  }

  private async load(indices: readonly number[]): Promise<Batch> {
    const { collate: join } = this.options;
    if (join === undefined && this.dataset.getBatch !== undefined) return this.dataset.getBatch(indices) as Batch;
    const items = await Promise.all(indices.map((index) => this.dataset.get(index)));
    return join === undefined ? (collate(items) as Batch) : join(items);
  }
}

/** `promise`, or a rejection with the signal's reason if that comes first. (Promise.race would hold every batch until the signal goes.) */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
