// Runs ONNX files by ONNX Runtime for browsers.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { tensor, type AnyTensor, type DType } from '../../lib/index';
import { arrays, decode, type ArrayOf } from '../../lib/tensor/dtype';

interface Answer {
  readonly error?: string;
  readonly outputs?: readonly {
    readonly name: string;
    readonly type: DType;
    readonly values: ArrayOf<DType>;
    readonly shape: readonly number[];
  }[];
}

/** ONNX Runtime in a thread of its own. */
export class Runtime {
  #worker = this.#begin();

  #begin(): Worker {
    return new Worker(join(__dirname, 'runtime-thread.mjs'));
  }

  /** What the model in a file makes of tensors, by its names for the outputs. */
  async run(path: string, inputs: readonly AnyTensor[], data?: string): Promise<Record<string, AnyTensor>> {
    const given = inputs.map((x) => ({ type: x.dtype, values: x.detach().dataSync(), shape: [...x.shape] }));
    const external = data && { path: data, data: readFileSync(join(path, '..', data)) };
    const { error, outputs } = await new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => {
        void this.#worker.terminate();
        this.#worker = this.#begin();
        reject(new Error('ONNX Runtime does not answer'));
      }, 20_000);
      this.#worker.removeAllListeners();
      this.#worker.once('message', (answer: Answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#worker.once('error', reject);
      this.#worker.postMessage({ model: readFileSync(path), data: external, inputs: given });
    });
    if (error !== undefined) throw new Error(error);
    return Object.fromEntries(
      // The thread's arrays are of another realm.
      outputs!.map(({ name, type, values, shape }) => {
        return [
          name,
          tensor(decode(type, new arrays[type](values as never)) as ArrayOf<'float32'>, {
            dtype: type,
            shape,
          }) as AnyTensor,
        ];
      }),
    );
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
