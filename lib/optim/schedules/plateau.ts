/** A schedule by a measured quantity instead of the epoch. */
import { ArgumentError } from '../../errors';
import { checkOptions } from '../../ops/define';
import { refuseInTrace } from '../../runtime/tape';
import { checkChoice } from '../../tensor/checks';
import { describe, shown } from '../../tensor/describe';
import { checkOptimizer, translated, type ScheduledOptimizer, type ScheduleState } from './schedule';

export interface ReduceLROnPlateauOptions {
  /** Whether less is better, or more; `min` unless given. */
  readonly mode?: 'min' | 'max';
  /** What the rate is multiplied with; 0.1 unless given. */
  readonly factor?: number;
  /** How many epochs without improvement are let pass; 10 unless given. */
  readonly patience?: number;
  /** How much better counts as better; 1e-4 unless given. */
  readonly threshold?: number;
  /** Whether the threshold is relative to the best value, or a difference from it; `rel` unless given. */
  readonly thresholdMode?: 'rel' | 'abs';
  /** Epochs after a change in which nothing is counted; 0 unless given. */
  readonly cooldown?: number;
  /** The smallest rate, of each group; 0 unless given. */
  readonly minLr?: number | readonly number[];
  /** Changes smaller than this are left out; 1e-8 unless given. */
  readonly epsilon?: number;
}

/**
 * Lowers the rate when a quantity such as the validation loss has not improved for a while.
 *
 * @example
 * const schedule = new optim.ReduceLROnPlateau(optimizer, { patience: 3 });
 * schedule.step(validationLoss);
 */
export class ReduceLROnPlateau {
  private state = { lastEpoch: 0, badEpochs: 0, cooldown: 0 };
  private best: number | undefined;

  constructor(
    readonly optimizer: ScheduledOptimizer,
    private readonly options: ReduceLROnPlateauOptions = {},
  ) {
    checkOptimizer('ReduceLROnPlateau', optimizer);
    checkOptions('ReduceLROnPlateau', options);
    const { factor = 0.1, minLr = 0, mode = 'min', thresholdMode = 'rel' } = options;
    checkChoice('ReduceLROnPlateau', 'mode', mode, ['min', 'max']);
    checkChoice('ReduceLROnPlateau', 'thresholdMode', thresholdMode, ['rel', 'abs']);
    if (!(factor < 1)) {
      throw new ArgumentError(`ReduceLROnPlateau: factor: got ${shown(factor)}, expected a number below 1`);
    }
    const count = optimizer.groups.length;
    if (typeof minLr !== 'number' && (!Array.isArray(minLr) || minLr.length !== count)) {
      throw new ArgumentError(`ReduceLROnPlateau: minLr: got ${describe(minLr)}, expected a number or ${count}`);
    }
  }

  /** Takes the value of an epoch. */
  step(metric: number): void {
    refuseInTrace(`${this.constructor.name}.step`, 'changes learning rates from JavaScript');
    if (typeof (metric as unknown) !== 'number') {
      throw new ArgumentError(
        `ReduceLROnPlateau: step: got ${describe(metric)}, expected the measured number; a trainer gives the one that scheduleMonitor names`,
      );
    }
    const { patience = 10, cooldown = 0 } = this.options;
    const { state } = this;
    state.lastEpoch++;
    if (this.isBetter(metric)) {
      this.best = metric;
      state.badEpochs = 0;
    } else {
      state.badEpochs++;
    }
    if (state.cooldown > 0) {
      state.cooldown--;
      state.badEpochs = 0;
    }
    if (state.badEpochs <= patience) return;
    this.reduce();
    state.cooldown = cooldown;
    state.badEpochs = 0;
  }

  /** The rates of all groups. */
  getLastLr(): readonly number[] {
    return this.optimizer.groups.map(({ lr }) => lr);
  }

  stateDict(): ScheduleState {
    return { ...this.state, best: this.best ?? null };
  }

  loadStateDict(state: ScheduleState): void {
    const {
      best,
      lastLr: _,
      ...rest
    } = translated('ReduceLROnPlateau', state) as typeof this.state & {
      best: number | null;
      lastLr: unknown;
    };
    const missing = Object.keys(this.state).filter((name) => typeof rest[name as keyof typeof rest] !== 'number');
    if (missing.length > 0) {
      throw new ArgumentError(`ReduceLROnPlateau: state: got no ${missing.join(', ')}, expected numbers`);
    }
    this.state = { ...rest };
    this.best = best ?? undefined;
  }

  private isBetter(metric: number): boolean {
    const { mode = 'min', threshold = 1e-4, thresholdMode = 'rel' } = this.options;
    const sign = mode === 'min' ? -1 : 1;
    const best = this.best ?? sign * -Infinity;
    const bound = thresholdMode === 'rel' ? best * (1 + sign * threshold) : best + sign * threshold;
    return mode === 'min' ? metric < bound : metric > bound;
  }

  private reduce(): void {
    const { factor = 0.1, minLr = 0, epsilon = 1e-8 } = this.options;
    this.optimizer.groups.forEach((group, i) => {
      const lr = Math.max(group.lr * factor, typeof minLr === 'number' ? minLr : (minLr[i] ?? 0));
      if (group.lr - lr > epsilon) group.lr = lr;
    });
  }
}
