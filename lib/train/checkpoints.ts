/** Saves the checkpoints of a run as it goes, and lets it go on from the last one. */
import { rank } from '../distributed/process-group';
import { ArgumentError } from '../errors';
import { CheckpointFolder } from './checkpoint-folder';
import { checkPath } from '../io/paths';
import { checkOptions } from '../ops/define';
import { checkCount, checkFunction, checkString } from '../tensor/checks';
import { checkMode, isBetter, modeOf, worstOf, type Callback, type Mode, type Run, type Values } from './callback';
import { checkValidates, monitored } from './early-stopping';

export interface CheckpointsOptions {
  /** How often one is saved, in optimizer steps; never between epochs' ends unless given. */
  readonly everySteps?: number;
  /** How many are kept beside the best one; 3 unless given. */
  readonly keepLast?: number;
  /** Whether the run goes on from the last one in the folder, if there is one; false unless given. */
  readonly resume?: boolean;
  /** Which value of validation decides what is best; none unless given. */
  readonly monitor?: string;
  /** Whether it is to fall or to rise; `'max'` for accuracies and the like, else `'min'`, unless given. */
  readonly mode?: Mode;
  /** Called once a checkpoint is on the disk. */
  readonly onSave?: (path: string, step: number) => void;
}

/**
 * A callback that saves a checkpoint at the end of each epoch and of the run, and every so many steps: `step-000000100.safetensors` and so on, and the best one as
 * `best.safetensors`. A run that is started again with `resume` goes on bit by bit as if it had not been stopped.
 * Of several processes rank 0 writes them.
 *
 * @example
 * const checkpoints = new train.Checkpoints('runs/digits', { everySteps: 500, monitor: 'valLoss', resume: true });
 */
export class Checkpoints implements Callback {
  readonly folder: CheckpointFolder;
  readonly options: CheckpointsOptions;
  readonly #mode: Mode;
  best: number;
  #isBest = false;
  #saved = 0;

  constructor(folder: string, options: CheckpointsOptions = {}) {
    checkPath('Checkpoints', folder, 'folder');
    checkOptions('Checkpoints', options);
    const { everySteps, keepLast, monitor, mode, onSave } = options;
    if (everySteps !== undefined) checkCount('Checkpoints', 'everySteps', everySteps);
    if (monitor !== undefined) checkString('Checkpoints', 'monitor', monitor);
    if (mode !== undefined) checkMode('Checkpoints', mode);
    if (onSave !== undefined) checkFunction('Checkpoints', 'onSave', onSave);
    this.folder = new CheckpointFolder(folder, keepLast === undefined ? {} : { keepLast });
    this.options = options;
    this.#mode = mode ?? modeOf(monitor ?? '');
    this.best = worstOf(this.#mode);
  }

  /** @throws ArgumentError when the folder holds another run and this one is not to go on with it, or nothing would be measured. */
  async onFitStart(run: Run): Promise<void> {
    if (this.options.monitor !== undefined) checkValidates('Checkpoints', run);
    const latest = await this.folder.latest();
    if (latest === undefined) return;
    if (this.options.resume === true && run.step === 0) {
      await run.load(latest);
      this.#saved = run.step;
    } else if (this.folder.fileOf(run.step) !== latest) {
      throw new ArgumentError(
        `Checkpoints: ${this.folder.path}: got checkpoints of another run, expected none; resume it, or give another folder`,
      );
    }
  }

  async onStepEnd(run: Run): Promise<void> {
    const { everySteps } = this.options;
    if (this.#isBest || (everySteps !== undefined && run.step % everySteps === 0)) await this.#save(run);
  }

  onValidationEnd(_run: Run, values: Values): void {
    const { monitor } = this.options;
    if (monitor === undefined) return;
    const value = monitored('Checkpoints', monitor, values);
    if (!isBetter(value, this.best, this.#mode)) return;
    this.best = value;
    this.#isBest = true;
  }

  async onEpochEnd(run: Run): Promise<void> {
    await this.#save(run);
  }

  async onFitEnd(run: Run): Promise<void> {
    if (run.finished && this.#saved !== run.step) await this.#save(run);
  }

  async #save(run: Run): Promise<void> {
    const { step } = run;
    const isBest = this.#isBest;
    this.#isBest = false; // before the state is saved
    this.#saved = step;
    if (rank() !== 0) return run.save(this.folder.fileOf(step)); // takes part, and writes nothing
    const file = await this.folder.save(step, (path) => run.save(path), isBest);
    this.options.onSave?.(file, step);
  }

  stateDict(): unknown {
    return { best: this.best };
  }

  loadStateDict(state: { best: number }): void {
    this.best = state.best;
  }
}
