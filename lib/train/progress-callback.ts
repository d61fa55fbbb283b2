/** The progress line as a callback of the trainer; progress.ts draws it. */
import { rank } from '../distributed/process-group';
import { shownValue } from './format';
import type { Callback, Run, Values } from './callback';
import { checkProgress, ProgressBar, type ProgressOptions } from './progress';

/** What a line has no room for. */
const hidden = /^epoch$|PerSecond$|Bytes$/;

/**
 * Shows the progress of a run with its latest values, and a line for each validation; of several processes in rank 0 alone.
 *
 * @example
 * const trainer = new train.Trainer({ model, optimizer, step, callbacks: [new train.Progress()] });
 */
export class Progress implements Callback {
  #bar: ProgressBar | undefined;

  constructor(private readonly options: Omit<ProgressOptions, 'total' | 'done' | 'unit'> = {}) {
    checkProgress('Progress', options);
  }

  onStepEnd(run: Run): void {
    if (rank() === 0) this.#barOf(run).update(run.step, shown(run.values));
  }

  onValidationEnd(run: Run, values: Values): void {
    if (rank() !== 0) return;
    const list = Object.entries(shown(values)).map(([name, value]) => `${name} ${value}`);
    this.#barOf(run).log(`step ${run.step}: ${list.join(', ')}`);
  }

  onFitEnd(run: Run): void {
    this.#bar?.update(run.step, shown(run.values));
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #barOf(run: Run): ProgressBar {
    this.#bar ??= new ProgressBar({
      total: run.totalSteps,
      done: Math.max(run.step - 1, 0),
      unit: 'steps',
      ...this.options,
    });
    return this.#bar;
  }
}

function shown(values: Values): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (hidden.test(name) ? [] : [[name, shownValue(name, value)]])),
  );
}
