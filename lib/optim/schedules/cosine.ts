/** Cosine annealing, once or with restarts. */
import { refuseInTrace } from '../../runtime/tape';
import { checkCount, expect, Schedule, type ScheduleOptions } from './schedule';

export interface CosineAnnealingLROptions extends ScheduleOptions {
  /** Epochs from the largest rate to the smallest. */
  readonly tMax: number;
  /** The smallest rate; 0 unless given. */
  readonly etaMin?: number;
}

/**
 * Moves the rate along half a cosine from where it is to `etaMin` in `tMax` epochs, and up again after them.
 *
 * @see Loshchilov and Hutter, 2017, SGDR: stochastic gradient descent with warm restarts (here without restarts).
 * @example
 * const schedule = new optim.CosineAnnealingLR(optimizer, { tMax: 100 });
 */
export class CosineAnnealingLR extends Schedule<CosineAnnealingLROptions> {
  protected override prepare(): void {
    checkCount(this, 'tMax', this.options.tMax);
  }

  protected rates(): readonly number[] {
    const { tMax, etaMin = 0 } = this.options;
    const { lastEpoch, stepCount } = this.state;
    if (this.isInitial) return this.current;
    if (stepCount === 1 && lastEpoch > 0) return this.ratesAnywhere();
    // At the bottom the rate before says nothing of the height.
    if ((lastEpoch - 1 - tMax) % (2 * tMax) === 0) {
      const rise = (1 - Math.cos(Math.PI / tMax)) / 2;
      return this.current.map((lr, i) => lr + (this.baseLrs[i]! - etaMin) * rise);
    }
    const height = (epoch: number): number => 1 + Math.cos((Math.PI * epoch) / tMax);
    const factor = height(lastEpoch) / height(lastEpoch - 1);
    return this.current.map((lr) => factor * (lr - etaMin) + etaMin);
  }

  protected override ratesAnywhere(): readonly number[] {
    const { tMax, etaMin = 0 } = this.options;
    return this.baseLrs.map((base) => annealed(base, etaMin, this.state.lastEpoch / tMax));
  }
}

const annealed = (from: number, to: number, share: number): number =>
  to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;

export interface CosineAnnealingWarmRestartsOptions extends ScheduleOptions {
  /** Epochs until the first restart. */
  readonly t0: number;
  /** By how much each period is longer than the one before; 1 unless given. */
  readonly tMult?: number;
  /** The smallest rate; 0 unless given. */
  readonly etaMin?: number;
}

/**
 * Cosine annealing that starts again from the full rate after `t0` epochs, then after periods that are `tMult` times as long each. `step` takes fractions of
 * epochs too.
 *
 * @see Loshchilov and Hutter, 2017, SGDR: stochastic gradient descent with warm restarts.
 * @example
 * const schedule = new optim.CosineAnnealingWarmRestarts(optimizer, { t0: 10, tMult: 2 });
 */
export class CosineAnnealingWarmRestarts extends Schedule<CosineAnnealingWarmRestartsOptions> {
  protected override prepare(): void {
    const { t0, tMult = 1 } = this.options;
    checkCount(this, 't0', t0);
    checkCount(this, 'tMult', tMult);
    this.state['period'] = t0;
    this.state['position'] = this.state.lastEpoch;
  }

  protected rates(): readonly number[] {
    const { etaMin = 0 } = this.options;
    const { position, period } = this.state as Record<string, number>;
    return this.baseLrs.map((base) => annealed(base, etaMin, position! / period!));
  }

  override step(epoch?: number): void {
    refuseInTrace(`${this.constructor.name}.step`, 'changes learning rates from JavaScript');
    const { t0, tMult = 1 } = this.options;
    const { state } = this;
    const target = epoch ?? (state.lastEpoch < 0 ? 0 : undefined);
    if (target === undefined) {
      state['position']! += 1;
      if (state['position']! >= state['period']!) {
        state['position']! %= state['period']!;
        state['period']! *= tMult;
      }
    } else {
      expect(this, 'epoch', target, target >= 0, 'a number of at least 0');
      const periods =
        target < t0 ? 0 : tMult === 1 ? 0 : Math.floor(Math.log((target / t0) * (tMult - 1) + 1) / Math.log(tMult));
      const begun = tMult === 1 ? Math.floor(target / t0) * t0 : (t0 * (tMult ** periods - 1)) / (tMult - 1);
      state['position'] = target - begun;
      state['period'] = t0 * tMult ** periods;
    }
    state.lastEpoch = Math.floor(target ?? state.lastEpoch + 1);
    this.set(this.rates());
  }
}
