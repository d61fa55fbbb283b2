/** Schedules that multiply the rate at certain epochs. */
import { shown } from '../../tensor/describe';
import { checkCount, expect, Schedule, type ScheduleOptions } from './schedule';

export interface StepLROptions extends ScheduleOptions {
  /** Epochs between two changes. */
  readonly stepSize: number;
  /** 0.1 unless given. */
  readonly gamma?: number;
}

/**
 * Multiplies the rate with `gamma` every `stepSize` epochs.
 *
 * @example
 * const schedule = new optim.StepLR(optimizer, { stepSize: 30 });
 */
export class StepLR extends Schedule<StepLROptions> {
  protected override prepare(): void {
    checkCount(this, 'stepSize', this.options.stepSize);
  }

  protected rates(): readonly number[] {
    const { stepSize, gamma = 0.1 } = this.options;
    const { lastEpoch } = this.state;
    if (lastEpoch === 0 || lastEpoch % stepSize !== 0) return this.current;
    return this.current.map((lr) => lr * gamma);
  }

  protected override ratesAnywhere(): readonly number[] {
    const { stepSize, gamma = 0.1 } = this.options;
    return this.baseLrs.map((base) => base * gamma ** Math.floor(this.state.lastEpoch / stepSize));
  }
}

export interface MultiStepLROptions extends ScheduleOptions {
  /** The epochs of the changes; one that is listed twice counts twice. */
  readonly milestones: readonly number[];
  /** 0.1 unless given. */
  readonly gamma?: number;
}

/**
 * Multiplies the rate with `gamma` at each milestone.
 *
 * @example
 * const schedule = new optim.MultiStepLR(optimizer, { milestones: [100, 150] });
 */
export class MultiStepLR extends Schedule<MultiStepLROptions> {
  protected override prepare(): void {
    const { milestones } = this.options;
    expect(this, 'milestones', shown(milestones), Array.isArray(milestones), 'an array of epochs');
  }

  protected rates(): readonly number[] {
    const { milestones, gamma = 0.1 } = this.options;
    const times = milestones.filter((milestone) => milestone === this.state.lastEpoch).length;
    return times === 0 ? this.current : this.current.map((lr) => lr * gamma ** times);
  }

  protected override ratesAnywhere(): readonly number[] {
    const { milestones, gamma = 0.1 } = this.options;
    const passed = milestones.filter((milestone) => milestone <= this.state.lastEpoch).length;
    return this.baseLrs.map((base) => base * gamma ** passed);
  }
}

export interface ExponentialLROptions extends ScheduleOptions {
  readonly gamma: number;
}

/**
 * Multiplies the rate with `gamma` every epoch.
 *
 * @example
 * const schedule = new optim.ExponentialLR(optimizer, { gamma: 0.95 });
 */
export class ExponentialLR extends Schedule<ExponentialLROptions> {
  protected rates(): readonly number[] {
    return this.isInitial ? this.current : this.current.map((lr) => lr * this.options.gamma);
  }

  protected override ratesAnywhere(): readonly number[] {
    return this.baseLrs.map((base) => base * this.options.gamma ** this.state.lastEpoch);
  }
}
