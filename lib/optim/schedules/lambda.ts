/** Schedules by a function of the epoch, and the usual warm-up. */
import { checkChoice } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { checkCount, expect, perGroup, Schedule, type ScheduleOptions, type Stepping } from './schedule';

export interface LambdaLROptions extends ScheduleOptions {
  /** The factor of an epoch, one for all groups or one for each. It is no part of the state. */
  readonly lrLambda: ((epoch: number) => number) | readonly ((epoch: number) => number)[];
}

function lambdasOf(schedule: Stepping, { lrLambda }: LambdaLROptions): readonly ((epoch: number) => number)[] {
  const lambdas = perGroup(schedule, 'lrLambda', lrLambda);
  for (const each of lambdas)
    expect(schedule, 'lrLambda', shown(each), typeof each === 'function', 'functions of the epoch');
  return lambdas;
}

/**
 * Multiplies the initial rate with a function of the epoch.
 *
 * @example
 * const schedule = new optim.LambdaLR(optimizer, { lrLambda: (epoch) => 0.95 ** epoch });
 */
export class LambdaLR extends Schedule<LambdaLROptions> {
  protected rates(): readonly number[] {
    const lambdas = lambdasOf(this, this.options);
    return this.baseLrs.map((base, i) => base * lambdas[i]!(this.state.lastEpoch));
  }
}

/**
 * Multiplies the rate with a function of the epoch, every epoch but the first.
 *
 * @example
 * const schedule = new optim.MultiplicativeLR(optimizer, { lrLambda: () => 0.95 });
 */
export class MultiplicativeLR extends Schedule<LambdaLROptions> {
  protected rates(): readonly number[] {
    const lambdas = lambdasOf(this, this.options);
    return this.isInitial ? this.current : this.current.map((lr, i) => lr * lambdas[i]!(this.state.lastEpoch));
  }
}

export interface WarmupLROptions extends ScheduleOptions {
  /** Steps in which the rate rises from 0. */
  readonly warmupSteps: number;
  /** Steps of the whole training, for all decays but `constant`. */
  readonly totalSteps?: number;
  /** What follows: `constant`, a line to 0, or half a cosine to 0; `constant` unless given. */
  readonly decay?: 'constant' | 'linear' | 'cosine';
}

/**
 * Raises the rate in a line from 0, then holds it or lowers it to 0: the usual schedule of Transformers. Step it after every batch.
 *
 * @example
 * const schedule = new optim.WarmupLR(optimizer, { warmupSteps: 100, totalSteps: 5000, decay: 'cosine' });
 */
export class WarmupLR extends Schedule<WarmupLROptions> {
  protected override prepare(): void {
    const { warmupSteps, totalSteps, decay = 'constant' } = this.options;
    checkCount(this, 'warmupSteps', warmupSteps, 0);
    checkChoice('WarmupLR', 'decay', decay, ['constant', 'linear', 'cosine']);
    if (decay !== 'constant') checkCount(this, 'totalSteps', totalSteps!);
  }

  protected rates(): readonly number[] {
    const { warmupSteps, totalSteps = 0, decay = 'constant' } = this.options;
    const { lastEpoch } = this.state;
    let factor = 1;
    if (lastEpoch < warmupSteps) factor = lastEpoch / warmupSteps;
    else if (decay !== 'constant') {
      const share = Math.min(1, (lastEpoch - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
      factor = decay === 'linear' ? 1 - share : 0.5 * (1 + Math.cos(Math.PI * share));
    }
    return this.baseLrs.map((base) => base * factor);
  }
}
