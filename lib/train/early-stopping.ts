/** Stops a run that no longer improves. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import type { StateDict } from '../nn/module';
import { checkOptions } from '../ops/define';
import { checkCount, checkNumber, checkString } from '../tensor/checks';
import { checkMode, isBetter, modeOf, worstOf, type Callback, type Mode, type Run, type Values } from './callback';

export interface EarlyStoppingOptions {
  /** Which value is watched, after each validation; `'valLoss'` unless given. */
  readonly monitor?: string;
  /** Whether it is to fall or to rise; `'max'` for accuracies and the like, else `'min'`, unless given. */
  readonly mode?: Mode;
  /** After how many measurements in a row without an improvement the run stops; 3 unless given. */
  readonly patience?: number;
  /** By how much a value must be better to be an improvement; 0 unless given. */
  readonly minDelta?: number;
  /** Whether the model, and the average of its weights, get their best state back when the run stops for this; false unless given. */
  readonly restoreBest?: boolean;
}

/**
 * Stops a run whose watched value has not improved for a while. A callback of the trainer; in a loop of one's own, {@link update} tells whether to stop.
 *
 * @example
 * const stopping = new train.EarlyStopping({ patience: 2 });
 * for (const loss of [1, 0.5, 0.6, 0.7]) if (stopping.update(loss)) console.log('stop at', loss); // stop at 0.7
 */
export class EarlyStopping implements Callback {
  readonly monitor: string;
  readonly mode: Mode;
  readonly patience: number;
  readonly minDelta: number;
  readonly restoreBest: boolean;
  best: number;
  /** Measurements since the last improvement. */
  waited = 0;
  #bestState: StateDict | undefined;
  #bestAverage: StateDict | undefined;

  constructor(options: EarlyStoppingOptions = {}) {
    checkOptions('EarlyStopping', options);
    this.monitor = options.monitor ?? 'valLoss';
    this.mode = options.mode ?? modeOf(this.monitor);
    this.patience = options.patience ?? 3;
    this.minDelta = options.minDelta ?? 0;
    this.restoreBest = options.restoreBest ?? false;
    checkString('EarlyStopping', 'monitor', this.monitor);
    checkMode('EarlyStopping', this.mode);
    checkCount('EarlyStopping', 'patience', this.patience);
    checkNumber('EarlyStopping', 'minDelta', this.minDelta, 0);
    this.best = worstOf(this.mode);
  }

  /** Takes a measurement; true when it is time to stop. */
  update(value: number): boolean {
    if (isBetter(value, this.best, this.mode, this.minDelta)) {
      this.best = value;
      this.waited = 0;
    } else this.waited++;
    return this.waited >= this.patience;
  }

  /** @throws ArgumentError when nothing would be measured. */
  onFitStart(run: Run): void {
    checkValidates('EarlyStopping', run);
  }

  onValidationEnd(run: Run, values: Values): void {
    const stops = this.update(monitored('EarlyStopping', this.monitor, values));
    if (this.restoreBest && this.waited === 0) {
      this.#bestState = copyOf(run.model.stateDict());
      if (run.average !== undefined) this.#bestAverage = copyOf(run.average.stateDict());
    }
    if (!stops) return;
    if (this.#bestState !== undefined) run.model.loadStateDict(this.#bestState);
    if (this.#bestAverage !== undefined) run.average?.loadStateDict(this.#bestAverage);
    run.stop();
  }

  stateDict(): unknown {
    return { best: this.best, waited: this.waited, bestState: this.#bestState, bestAverage: this.#bestAverage };
  }

  loadStateDict(state: { best: number; waited: number; bestState?: StateDict; bestAverage?: StateDict }): void {
    this.best = state.best;
    this.waited = state.waited;
    this.#bestState = state.bestState;
    this.#bestAverage = state.bestAverage;
  }
}

const copyOf = (state: StateDict): StateDict =>
  noGrad(() => Object.fromEntries(Object.entries(state).map(([name, x]) => [name, x.clone().keep()])));

/** Throws unless the run measures what a callback watches. */
export function checkValidates(owner: string, run: Run): void {
  if (!run.validates) throw new ArgumentError(`${owner}: validation: got none, expected one in the options of fit`);
}

/** The value that is watched. */
export function monitored(owner: string, name: string, values: Values, option = 'monitor'): number {
  const value = values[name];
  if (value !== undefined) return value;
  throw new ArgumentError(
    `${owner}: ${option}: got ${JSON.stringify(name)}, expected one of ${Object.keys(values).join(', ')}`,
  );
}
