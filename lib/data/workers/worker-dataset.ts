/** Data sets that live in threads of their own, which decode, augment and join items while the main thread trains. */
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ArgumentError } from '../../errors';
import { checkPath } from '../../io/paths';
import { checkOptions } from '../../ops/define';
import { checkList, checkString } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import type { Dataset, IterableDataset, Pass } from '../dataset';
import { Draw } from '../draw';
import { unpack, type DrawState } from './messages';
import { WorkerPool } from './worker-pool';

export interface WorkerOptions {
  /** How many threads; 2 unless given. */
  readonly workers?: number;
  /** Handed to the module's function that makes the data set; anything that can be posted to a thread. */
  readonly argument?: unknown;
  /** Node's flags for the threads, those of this process unless given: `['--require', 'tsx/cjs']` for a module in TypeScript. */
  readonly execArgv?: readonly string[];
}

/** A data set whose items are made by threads. Close it, or hold it with `await using`. */
export class WorkerDataset<Item> implements Dataset<Item>, AsyncDisposable {
  /** @internal */
  constructor(
    private readonly pool: WorkerPool,
    readonly length: number,
  ) {}

  get concurrency(): number {
    return this.pool.threads.length;
  }

  async get(index: number, draw: Draw = new Draw()): Promise<Item> {
    return (await unpack(await this.pool.run({ kind: 'item', index, draw: stateOf(draw) }))) as Item;
  }

  async getBatch(indices: readonly number[], draw: Draw = new Draw()): Promise<unknown> {
    return unpack(await this.pool.run({ kind: 'batch', indices, draw: stateOf(draw) }));
  }

  async close(): Promise<void> {
    await this.pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A data set that is only iterated, each thread its share. Batches come from the threads in turn, so their order does not depend on timing. */
export class WorkerIterable<Item> implements IterableDataset<Item>, AsyncDisposable {
  #passes = 0;

  /** @internal */
  constructor(private readonly pool: WorkerPool) {}

  get concurrency(): number {
    return this.pool.threads.length;
  }

  async *iterate(pass: Pass): AsyncGenerator<Item, void, undefined> {
    for await (const batch of this.iterateBatches(1, false, pass)) yield batch as Item;
  }

  async *iterateBatches(
    batchSize: number,
    dropLast: boolean,
    { draw }: Pass,
  ): AsyncGenerator<unknown, void, undefined> {
    const number = this.#passes++;
    const { threads } = this.pool;
    try {
      for (const thread of threads) {
        await thread.request({ kind: 'open', pass: number, batchSize, dropLast, draw: stateOf(draw) });
      }
      // Each thread is a batch ahead, besides the one it is making.
      const ask = (thread: (typeof threads)[number]): ReturnType<typeof thread.request> => {
        const reply = thread.request({ kind: 'next', pass: number });
        reply.catch(() => {}); // handled where it is awaited
        return reply;
      };
      let live = threads.map((thread) => ({ thread, reply: ask(thread) }));
      while (live.length > 0) {
        for (const turn of [...live]) {
          const { value, done } = await turn.reply;
          if (done === true) {
            live = live.filter((other) => other !== turn);
            continue;
          }
          turn.reply = ask(turn.thread);
          yield await unpack(value);
        }
      }
    } finally {
      for (const thread of threads) void thread.request({ kind: 'close', pass: number }).catch(() => {});
    }
  }

  async close(): Promise<void> {
    await this.pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a data set in threads of its own. `module` is the absolute path or URL of a module whose default export is the data set, or a function
 * `(argument, { worker, workers }) => dataset` that makes it in each thread, and which may export `collate` too. Items should be plain: numbers,
 * strings, typed arrays, {@link ArrayItem}s, and arrays and records of them. Threads join them to batches, whose memory is handed over
 * without being copied; the loader's threads and its number of batches ahead bound what is held at a time. The same seed gives the same batches on any
 * number of threads.
 *
 * ```ts
 * // photos.mjs
 * import { data } from 'hadal';
 * export default (folder) => data.ImageFolder.open(folder, { size: [64, 64] });
 * ```
 *
 * @throws HadalError with the thread's error, when the module or its data set fails; an item's error has its index in `fields`.
 * @example
 * await using set = await data.openWorkers(new URL('./photos.mjs', import.meta.url), { workers: 4, argument: 'photos' });
 * for await (const { image, label } of new data.DataLoader(set, { batchSize: 32, shuffle: true })) train(image, label);
 */
export async function openWorkers<Item = any>(
  module: string | URL,
  options: WorkerOptions = {},
): Promise<WorkerDataset<Item>> {
  const { pool, length } = await open('openWorkers', module, options);
  if (length !== undefined) return new WorkerDataset<Item>(pool, length);
  await pool.close();
  throw new ArgumentError(
    `openWorkers: ${String(module)}: got a data set that is only iterated; use openIterableWorkers`,
  );
}

/**
 * Opens a data set that is only iterated in threads of its own; see {@link openWorkers}. Each thread iterates over its share, which the data set tells by
 * `pass.worker` and `pass.workers`.
 *
 * @throws HadalError with the thread's error, when the module or its data set fails.
 * @example
 * await using lines = await data.openIterableWorkers('/srv/lines.mjs', { workers: 2 });
 */
export async function openIterableWorkers<Item = any>(
  module: string | URL,
  options: WorkerOptions = {},
): Promise<WorkerIterable<Item>> {
  const { pool, length } = await open('openIterableWorkers', module, options);
  if (length === undefined) return new WorkerIterable<Item>(pool);
  await pool.close();
  throw new ArgumentError(`openIterableWorkers: ${String(module)}: got a data set of numbered items; use openWorkers`);
}

async function open(
  op: string,
  module: string | URL,
  options: WorkerOptions,
): Promise<{ pool: WorkerPool; length: number | undefined }> {
  if (!(module instanceof URL)) checkPath(op, module, 'module');
  checkOptions(op, options);
  const { workers = 2, argument, execArgv } = options;
  if (!Number.isSafeInteger(workers) || workers < 1 || workers > 256) {
    throw new ArgumentError(`${op}: workers: got ${shown(workers)}, expected an integer from 1 to 256`);
  }
  if (execArgv !== undefined) {
    checkList(op, 'execArgv', execArgv);
    execArgv.forEach((flag, i) => checkString(op, `execArgv[${i}]`, flag));
  }
  const text = String(module);
  const url =
    module instanceof URL || /^\w{2,}:/.test(text) ? text : pathToFileURL(isAbsolute(text) ? text : resolve(text)).href;
  return WorkerPool.open({ module: url, argument, workers, ...(execArgv !== undefined && { execArgv }) });
}

const stateOf = ({ seed, epoch }: Draw): DrawState => ({ seed, epoch });
