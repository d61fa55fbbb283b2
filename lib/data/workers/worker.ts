/** The body of a thread that makes batches: loads the module that exports the data set, and answers requests in the order they come. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { joinItems } from '../collate';
import type { Dataset, IterableDataset } from '../dataset';
import { Draw } from '../draw';
import { grouped } from '../loader';
import { arrayJoiner, pack, type Failure, type Reply, type Request, type Task, type WorkerSetup } from './messages';

type Exported = Dataset<unknown> | IterableDataset<unknown>;
interface DatasetModule {
  readonly default?: unknown;
  readonly collate?: (items: readonly unknown[]) => unknown;
}

const port = parentPort!;
const setup = workerData as WorkerSetup;
const passes = new Map<number, AsyncIterator<unknown>>();

/** An error with the item that was being made. */
class ItemError extends Error {
  constructor(
    readonly index: number,
    override readonly cause: unknown,
  ) {
    super(`item ${index}`);
  }
}

async function load(): Promise<{ dataset: Exported; collate: (items: readonly unknown[]) => unknown }> {
  const loaded = (await importModule(setup.module)) as DatasetModule;
  // A CommonJS module that was an ES module before has its default export one level down.
  const inner = loaded.default as DatasetModule | undefined;
  const found = (inner as { __esModule?: boolean } | undefined)?.__esModule === true ? inner! : loaded;
  const { worker, workers, argument } = setup;
  const exported: unknown = found.default;
  const dataset = typeof exported === 'function' ? await (exported as Make)(argument, { worker, workers }) : exported;
  const { get, iterate } = (dataset ?? {}) as Partial<Dataset<unknown> & IterableDataset<unknown>>;
  if (typeof get !== 'function' && typeof iterate !== 'function') {
    throw new Error(
      `${setup.module}: default export: got ${typeof dataset}, expected a data set or a function that makes one`,
    );
  }
  return {
    dataset: dataset as Exported,
    collate: found.collate ?? ((items) => joinItems(items, arrayJoiner)),
  };
}

/** Requires a module, or imports one that cannot be required: the hooks of programs that run TypeScript reach only `require` in a thread. */
async function importModule(url: string): Promise<unknown> {
  if (!url.startsWith('file:')) return import(url);
  try {
    return createRequire(url)(fileURLToPath(url)) as unknown;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_REQUIRE_ESM' && code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return import(url);
  }
}

/** A module's function that makes its data set. */
type Make = (argument: unknown, place: { worker: number; workers: number }) => unknown;

async function main(): Promise<void> {
  const { dataset, collate } = await load();

  const itemOf = async (source: Dataset<unknown>, index: number, draw: Draw): Promise<unknown> => {
    try {
      return await source.get(index, draw);
    } catch (error) {
      throw new ItemError(index, error);
    }
  };
  const perform = async (task: Task): Promise<{ value: unknown; done?: boolean }> => {
    if (task.kind === 'next') {
      const next = await passes.get(task.pass)!.next();
      if (next.done !== true) return { value: next.value };
      passes.delete(task.pass);
      return { value: undefined, done: true };
    }
    if (task.kind === 'close') {
      await passes.get(task.pass)?.return?.();
      passes.delete(task.pass);
      return { value: undefined };
    }
    const draw = new Draw(task.draw.seed, task.draw.epoch);
    if (task.kind === 'open') {
      const { worker, workers } = setup;
      const items = (dataset as IterableDataset<unknown>).iterate({ draw, worker, workers });
      passes.set(task.pass, collated(grouped(items, task.batchSize, task.dropLast), collate));
      return { value: undefined };
    }
    const source = dataset as Dataset<unknown>;
    if (task.kind === 'item') return { value: await itemOf(source, task.index, draw) };
    if (source.getBatch !== undefined) return { value: await source.getBatch(task.indices, draw) };
    return { value: collate(await Promise.all(task.indices.map((index) => itemOf(source, index, draw)))) };
  };

  // One after the other: the next request is begun when this one's batch is on its way.
  let last = Promise.resolve();
  port.on('message', ({ id, task }: Request) => {
    last = last.then(async () => {
      try {
        const { value, done } = await perform(task);
        const packed = pack(value);
        port.postMessage(
          { id, value: packed.value, ...(done !== undefined && { done }) } satisfies Reply,
          packed.transfer,
        );
      } catch (error) {
        port.postMessage({ id, failure: failureOf(error) } satisfies Reply);
      }
    });
  });
  const length = 'iterate' in dataset ? undefined : dataset.length;
  port.postMessage({ ready: { length } } satisfies Reply);
}

async function* collated(
  groups: AsyncIterable<unknown[]>,
  collate: (items: readonly unknown[]) => unknown,
): AsyncGenerator<unknown, void, undefined> {
  for await (const items of groups) yield collate(items);
}

function failureOf(thrown: unknown): Failure {
  const [error, index] = thrown instanceof ItemError ? [thrown.cause, thrown.index] : [thrown];
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { name, message, stack: stack ?? '', ...(index !== undefined && { index }) };
}

main().catch((error: unknown) => port.postMessage({ failure: failureOf(error) } satisfies Reply));
