/** A folder of checkpoints: the last few of a run by their steps, and the best. The files themselves are checkpoint.ts. */
import { randomBytes } from 'node:crypto';
import { copyFile, link, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { renameOver } from '../io/atomic-file';
import { checkPath, refusal } from '../io/paths';
import { checkOptions } from '../ops/define';
import { checkCount } from '../tensor/checks';

const fileName = /^step-(\d+)\.safetensors$/;

/**
 * The checkpoints of one run: `step-000000100.safetensors` and so on, and `best.safetensors`. Old ones are removed only once a new one is on the disk.
 *
 * @throws ArgumentError when `keepLast` is no positive integer.
 * @example
 * const checkpoints = new train.CheckpointFolder('runs/digits', { keepLast: 3 });
 * await checkpoints.save(step, (path) => train.saveCheckpoint(path, { model, optimizer, loader }));
 * const latest = await checkpoints.latest();
 */
export class CheckpointFolder {
  /** How many are kept beside the best one. */
  readonly keepLast: number;

  constructor(
    readonly path: string,
    options: { readonly keepLast?: number } = {},
  ) {
    checkPath('CheckpointFolder', path);
    checkOptions('CheckpointFolder', options);
    const { keepLast = 3 } = options;
    if (keepLast !== Infinity) checkCount('CheckpointFolder', 'keepLast', keepLast);
    this.keepLast = keepLast;
  }

  /** The file of a step. */
  fileOf(step: number): string {
    return join(this.path, `step-${String(step).padStart(9, '0')}.safetensors`);
  }

  /** The file of the best checkpoint, whether there is one or not. */
  get best(): string {
    return join(this.path, 'best.safetensors');
  }

  /** The steps that have a checkpoint, in order. */
  async steps(): Promise<number[]> {
    const names = await readdir(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw refusal('CheckpointFolder', this.path, error);
    });
    return names
      .flatMap((name) => fileName.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** The file of the last step that has a checkpoint. */
  async latest(): Promise<string | undefined> {
    const last = (await this.steps()).at(-1);
    return last === undefined ? undefined : this.fileOf(last);
  }

  /** Has `write` write the checkpoint of a step, marks it as the best if it is, and removes old ones. Answers the file. */
  async save(step: number, write: (path: string) => Promise<void>, isBest = false): Promise<string> {
    await mkdir(this.path, { recursive: true }).catch((error: unknown) => {
      throw refusal('CheckpointFolder', this.path, error);
    });
    const file = this.fileOf(step);
    await write(file);
    if (isBest) await this.#replaceBest(file);
    const old = (await this.steps()).filter((other) => other <= step).slice(0, -this.keepLast);
    for (const other of this.keepLast === Infinity ? [] : old) await rm(this.fileOf(other), { force: true });
    return file;
  }

  /** The best one is a second name of the same file where the file system has such, else a copy. */
  async #replaceBest(file: string): Promise<void> {
    const temporary = join(this.path, `.best-${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
    try {
      await link(file, temporary).catch(() => copyFile(file, temporary));
      await renameOver(temporary, this.best);
    } finally {
      await rm(temporary, { force: true }); // renaming one name of a file to another leaves both
    }
  }
}
