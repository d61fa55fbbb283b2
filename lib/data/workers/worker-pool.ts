/** The threads that make batches, and the requests under way. A thread keeps the process alive only while it owes an answer. */
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HadalError } from '../../errors';
import type { Failure, Reply, Request, Task, WorkerSetup } from './messages';

export interface PoolOptions {
  readonly module: string;
  readonly argument: unknown;
  readonly workers: number;
  readonly execArgv?: readonly string[];
}

interface Waiting {
  readonly resolve: (reply: { value: unknown; done?: boolean }) => void;
  readonly reject: (error: Error) => void;
}

/** One thread, with its requests. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #ended: Error | undefined;
  readonly ready: Promise<{ length: number | undefined }>;

  constructor(
    readonly number: number,
    { module, argument, workers, execArgv }: PoolOptions,
  ) {
    const setup: WorkerSetup = { module, argument, worker: number, workers };
    this.#worker = new Worker(join(__dirname, `worker${extname(__filename)}`), {
      workerData: setup,
      ...(execArgv !== undefined && { execArgv: [...execArgv] }),
    });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (reply: Reply) => {
        if ('ready' in reply) {
          resolve(reply.ready);
          this.restWhenIdle();
        } else if ('id' in reply) {
          this.answer(reply);
        } else {
          reject(errorOf(reply.failure, number));
        }
      });
      this.#worker.on('error', (error) =>
        this.end(new HadalError(`data: worker ${number} failed: ${error.message}`, { worker: number, cause: error })),
      );
      this.#worker.on('exit', (code) =>
        this.end(new HadalError(`data: worker ${number} ended with code ${code}`, { worker: number, exitCode: code })),
      );
      this.#reject = reject;
    });
    this.ready.catch(() => {}); // whoever opens the pool waits for it
  }
  #reject: (error: Error) => void = () => {};

  get load(): number {
    return this.#waiting.size;
  }

  request(task: Task): Promise<{ value: unknown; done?: boolean }> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, task } satisfies Request);
    });
  }

  async close(): Promise<void> {
    this.end(new HadalError('data: the workers were closed', { worker: this.number }));
    await this.#worker.terminate();
  }

  private answer(reply: Extract<Reply, { readonly id: number }>): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    this.restWhenIdle();
    if ('failure' in reply) waiting?.reject(errorOf(reply.failure, this.number));
    else waiting?.resolve(reply);
  }

  private restWhenIdle(): void {
    if (this.#waiting.size === 0 && this.#ended === undefined) this.#worker.unref();
  }

  /** The first reason counts. */
  private end(error: Error): void {
    this.#ended ??= error;
    this.#reject(this.#ended);
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

export class WorkerPool {
  private constructor(readonly threads: readonly Thread[]) {}

  /** Starts the threads; answers when all have their data set. */
  static async open(options: PoolOptions): Promise<{ pool: WorkerPool; length: number | undefined }> {
    const pool = new WorkerPool(Array.from({ length: options.workers }, (_, number) => new Thread(number, options)));
    try {
      const [first] = await Promise.all(pool.threads.map(({ ready }) => ready));
      return { pool, length: first!.length };
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  /** Gives the task to the thread that has the least to do. */
  async run(task: Task): Promise<unknown> {
    const free = this.threads.reduce((best, thread) => (thread.load < best.load ? thread : best));
    return (await free.request(task)).value;
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}

function errorOf({ name, message, stack, index }: Failure, worker: number): HadalError {
  const place = index === undefined ? `worker ${worker}` : `item ${index} (worker ${worker})`;
  const error = new HadalError(`data: ${place}: ${message}`, {
    worker,
    ...(index !== undefined && { index }),
    cause: { name, message, stack },
  });
  error.stack = `${error.name}: ${error.message}\n${stack.split('\n').slice(1).join('\n')}`;
  return error;
}
