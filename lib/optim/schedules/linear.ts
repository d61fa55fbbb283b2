/** Schedules that lead from one factor of the rate to another: at once, in a line, along a polynomial. */
import { checkCount, expect, Schedule, type ScheduleOptions } from './schedule';

export interface ConstantLROptions extends ScheduleOptions {
  /** 1/3 unless given. */
  readonly factor?: number;
  /** 5 unless given. */
  readonly totalIters?: number;
}

/**
 * Multiplies the rate with `factor` for the first `totalIters` epochs.
 *
 * @example
 * const schedule = new optim.ConstantLR(optimizer, { factor: 0.1, totalIters: 10 });
 */
export class ConstantLR extends Schedule<ConstantLROptions> {
  protected override prepare(): void {
    const { factor = 1 / 3 } = this.options;
    expect(this, 'factor', factor, factor >= 0 && factor <= 1, 'a number from 0 to 1');
  }

  protected rates(): readonly number[] {
    const { factor = 1 / 3, totalIters = 5 } = this.options;
    const { lastEpoch } = this.state;
    if (lastEpoch === 0) return this.current.map((lr) => lr * factor);
    return lastEpoch === totalIters ? this.current.map((lr) => lr * (1 / factor)) : this.current;
  }

  protected override ratesAnywhere(): readonly number[] {
    const { factor = 1 / 3, totalIters = 5 } = this.options;
    return this.baseLrs.map((base) => base * (this.state.lastEpoch >= totalIters ? 1 : factor));
  }
}

export interface LinearLROptions extends ScheduleOptions {
  /** 1/3 unless given. */
  readonly startFactor?: number;
  /** 1 unless given. */
  readonly endFactor?: number;
  /** Epochs from one to the other; 5 unless given. */
  readonly totalIters?: number;
}

/**
 * Multiplies the rate with a factor that moves in a line from `startFactor` to `endFactor`: a warm-up.
 *
 * @example
 * const schedule = new optim.LinearLR(optimizer, { startFactor: 0.01, totalIters: 100 });
 */
export class LinearLR extends Schedule<LinearLROptions> {
  protected override prepare(): void {
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = this.options;
    expect(this, 'startFactor', startFactor, startFactor > 0 && startFactor <= 1, 'a number above 0, at most 1');
    expect(this, 'endFactor', endFactor, endFactor >= 0 && endFactor <= 1, 'a number from 0 to 1');
    checkCount(this, 'totalIters', totalIters);
  }

  protected rates(): readonly number[] {
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = this.options;
    const { lastEpoch } = this.state;
    if (lastEpoch === 0) return this.current.map((lr) => lr * startFactor);
    if (this.isInitial || lastEpoch > totalIters) return this.current;
    // Parts of the way, so that what ends at 0 is 0 there, and not below it by a rounding.
    const parts = (epoch: number): number => totalIters * startFactor + epoch * (endFactor - startFactor);
    const factor = parts(lastEpoch) / parts(lastEpoch - 1);
    return this.current.map((lr) => lr * factor);
  }

  protected override ratesAnywhere(): readonly number[] {
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = this.options;
    const share = Math.min(totalIters, this.state.lastEpoch) / totalIters;
    return this.baseLrs.map((base) => base * (startFactor + (endFactor - startFactor) * share));
  }
}

export interface PolynomialLROptions extends ScheduleOptions {
  /** Epochs until the rate is 0; 5 unless given. */
  readonly totalIters?: number;
  /** 1 unless given. */
  readonly power?: number;
}

/**
 * Multiplies the rate with (1 − epoch / totalIters)^power.
 *
 * @example
 * const schedule = new optim.PolynomialLR(optimizer, { totalIters: 1000, power: 0.9 });
 */
export class PolynomialLR extends Schedule<PolynomialLROptions> {
  protected override prepare(): void {
    checkCount(this, 'totalIters', this.options.totalIters ?? 5);
  }

  protected rates(): readonly number[] {
    const { totalIters = 5, power = 1 } = this.options;
    const { lastEpoch } = this.state;
    if (this.isInitial || lastEpoch > totalIters) return this.current;
    const factor = ((1 - lastEpoch / totalIters) / (1 - (lastEpoch - 1) / totalIters)) ** power;
    return this.current.map((lr) => lr * factor);
  }

  protected override ratesAnywhere(): readonly number[] {
    const { totalIters = 5, power = 1 } = this.options;
    const left = 1 - Math.min(totalIters, this.state.lastEpoch) / totalIters;
    return this.baseLrs.map((base) => base * left ** power);
  }
}
