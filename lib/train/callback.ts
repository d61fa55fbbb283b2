/** What a callback of a training run may do, and what it sees of the run. */
import { ArgumentError } from '../errors';
import type { Module } from '../nn/module';
import type { AveragedModel } from '../optim/averaging';
import { shown } from '../tensor/describe';

/** Named numbers, such as `{ loss, accuracy }`; those of validation are `{ valLoss, valAccuracy }`. */
export type Values = Readonly<Record<string, number>>;

/** A training run as callbacks see it. */
export interface Run {
  readonly model: Module;
  /** The average of the model's weights, if the run keeps one. */
  readonly average?: AveragedModel | undefined;
  /** Optimizer steps done. */
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  /** Batches done in this epoch. */
  readonly batch: number;
  /** Optimizer steps in all; NaN where it is not known. */
  readonly totalSteps: number;
  /** Whether the run has come to its end, rather than failed or been aborted. */
  readonly finished: boolean;
  /** Whether `fit` was given a validation. */
  readonly validates: boolean;
  /** The latest of each value that was measured. */
  readonly values: Values;
  /** Hands values to the loggers. */
  log(values: Values): Promise<void>;
  /** Ends the run after what is under way. */
  stop(): void;
  /** Saves everything that the run needs to go on. */
  save(path: string): Promise<void>;
  /** Goes on from what {@link save} saved. */
  load(path: string): Promise<void>;
}

/**
 * What is called in the course of a run, in this order. Promises are waited for. A callback with a state is saved in checkpoints.
 *
 * @example
 * const announce: train.Callback = { onEpochEnd: (run) => console.log(run.epoch, run.values) };
 */
export interface Callback {
  onFitStart?(run: Run): void | Promise<void>;
  onEpochStart?(run: Run): void | Promise<void>;
  /** After each optimizer step, and the validation that follows it. */
  onStepEnd?(run: Run): void | Promise<void>;
  /** After each validation, with what it measured. */
  onValidationEnd?(run: Run, values: Values): void | Promise<void>;
  /** After the epoch's validation. */
  onEpochEnd?(run: Run): void | Promise<void>;
  /** At the end, also of a run that failed or was aborted. */
  onFitEnd?(run: Run): void | Promise<void>;
  stateDict?(): unknown;
  loadStateDict?(state: never): void;
}

/** Whether a lower or a higher value is better. */
export type Mode = 'min' | 'max';

/** Accuracies and the like are to rise, anything else is to fall. */
export const modeOf = (name: string): Mode =>
  /accuracy|precision|recall|f1|auroc|bleu|r2/i.test(name) ? 'max' : 'min';

/** Whether `value` is better than `best` by more than `minDelta`. */
export const isBetter = (value: number, best: number, mode: Mode, minDelta = 0): boolean =>
  mode === 'min' ? value < best - minDelta : value > best + minDelta;

/** Throws unless `mode` is one. */
export function checkMode(owner: string, mode: unknown): void {
  if (mode === 'min' || mode === 'max') return;
  throw new ArgumentError(`${owner}: mode: got ${shown(mode)}, expected min or max`);
}

export const worstOf = (mode: Mode): number => (mode === 'min' ? Infinity : -Infinity);
