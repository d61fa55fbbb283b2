/** Schedules that cycle the rate, and the momentum against it: one cycle for a whole training, or cycle after cycle. */
import { checkChoice } from '../../tensor/checks';
import { checkCount, checkMomentum, expect, perGroup, Schedule, setMomentum, type ScheduleOptions } from './schedule';

type PerGroup = number | readonly number[];

export interface OneCycleLROptions extends ScheduleOptions {
  /** The largest rate, of each group. */
  readonly maxLr: PerGroup;
  /** Steps of the whole training; `epochs · stepsPerEpoch` unless given. */
  readonly totalSteps?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  /** The share of steps in which the rate rises; 0.3 unless given. */
  readonly pctStart?: number;
  /** `cos` unless given. */
  readonly annealStrategy?: 'cos' | 'linear';
  /** Whether the momentum falls while the rate rises; true unless given. */
  readonly cycleMomentum?: boolean;
  /** The smallest momentum, of each group; 0.85 unless given. */
  readonly baseMomentum?: PerGroup;
  /** The largest momentum, of each group; 0.95 unless given. */
  readonly maxMomentum?: PerGroup;
  /** How many times smaller than the largest rate the first one is; 25 unless given. */
  readonly divFactor?: number;
  /** How many times smaller than the first rate the last one is; 1e4 unless given. */
  readonly finalDivFactor?: number;
  /** Falls back to the first rate as fast as it rose, then to the last; false unless given: straight to the last. */
  readonly threePhase?: boolean;
}

interface Phase {
  readonly end: number;
  /** Of the rate, then of the momentum, from and to: indices into the levels of a group. */
  readonly levels: readonly [from: number, to: number, momentumFrom: number, momentumTo: number];
}

/**
 * Raises the rate from maxLr / divFactor to maxLr and lowers it far below where it began, while the momentum goes the other way. Step it after every batch,
 * `totalSteps − 1` times.
 *
 * @throws ArgumentError when it is stepped more often.
 * @see Smith and Topin, 2019, Super-convergence: very fast training of neural networks using large learning rates.
 * @example
 * const schedule = new optim.OneCycleLR(optimizer, { maxLr: 0.1, epochs: 10, stepsPerEpoch: loader.length });
 */
export class OneCycleLR extends Schedule<OneCycleLROptions> {
  private get totalSteps(): number {
    const { totalSteps, epochs, stepsPerEpoch } = this.options;
    return totalSteps ?? epochs! * stepsPerEpoch!;
  }

  protected override prepare(isFresh: boolean): void {
    const { pctStart = 0.3, maxLr, divFactor = 25, cycleMomentum = true, maxMomentum = 0.95 } = this.options;
    checkChoice('OneCycleLR', 'annealStrategy', this.options.annealStrategy ?? 'cos', ['cos', 'linear']);
    checkCount(this, 'totalSteps', this.totalSteps);
    expect(this, 'pctStart', pctStart, pctStart >= 0 && pctStart <= 1, 'a number from 0 to 1');
    if (cycleMomentum) checkMomentum(this);
    const largest = perGroup(this, 'maxLr', maxLr);
    const momenta = perGroup(this, 'maxMomentum', maxMomentum);
    if (!isFresh) return;
    this.optimizer.groups.forEach((group, i) => {
      group.initialLr = largest[i]! / divFactor;
      if (cycleMomentum) setMomentum(group, momenta[i]!);
    });
  }

  protected rates(): readonly number[] {
    const { maxLr, finalDivFactor = 1e4, cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95 } = this.options;
    const { annealStrategy = 'cos' } = this.options;
    const { lastEpoch } = this.state;
    const { totalSteps } = this;
    expect(this, 'step', `${lastEpoch} steps`, lastEpoch <= totalSteps, `at most ${totalSteps}`);
    const phases = this.phases();
    const found = phases.findIndex(({ end }) => lastEpoch <= end);
    const index = found < 0 ? phases.length - 1 : found;
    const begin = index === 0 ? 0 : phases[index - 1]!.end;
    const share = (lastEpoch - begin) / (phases[index]!.end - begin);
    const [from, to, momentumFrom, momentumTo] = phases[index]!.levels;
    const between = (a: number, b: number): number =>
      annealStrategy === 'cos' ? b + ((a - b) / 2) * (Math.cos(Math.PI * share) + 1) : (b - a) * share + a;
    const largest = perGroup(this, 'maxLr', maxLr);
    const momenta = [perGroup(this, 'baseMomentum', baseMomentum), perGroup(this, 'maxMomentum', maxMomentum)];
    return this.optimizer.groups.map((group, i) => {
      const first = group.initialLr!;
      const levels = [first, largest[i]!, first / finalDivFactor];
      if (cycleMomentum) setMomentum(group, between(momenta[momentumFrom]![i]!, momenta[momentumTo]![i]!));
      return between(levels[from]!, levels[to]!);
    });
  }

  private phases(): readonly Phase[] {
    const { pctStart = 0.3, threePhase = false } = this.options;
    const last = this.totalSteps - 1;
    const rise: Phase = { end: pctStart * this.totalSteps - 1, levels: [0, 1, 1, 0] };
    if (!threePhase) return [rise, { end: last, levels: [1, 2, 0, 1] }];
    const fall: Phase = { end: 2 * pctStart * this.totalSteps - 2, levels: [1, 0, 0, 1] };
    return [rise, fall, { end: last, levels: [0, 2, 1, 1] }];
  }
}

export interface CyclicLROptions extends ScheduleOptions {
  /** The smallest rate, of each group. */
  readonly baseLr: PerGroup;
  /** The largest rate, of each group. */
  readonly maxLr: PerGroup;
  /** Steps from the smallest rate to the largest; 2000 unless given. */
  readonly stepSizeUp?: number;
  /** Steps back; `stepSizeUp` unless given. */
  readonly stepSizeDown?: number;
  /** `triangular`: all cycles alike; `triangular2`: each half as high as the one before; `exp_range`: scaled by gamma^step. `triangular` unless given. */
  readonly mode?: 'triangular' | 'triangular2' | 'exp_range';
  /** 1 unless given. */
  readonly gamma?: number;
  /** How high a cycle is, in place of a mode. */
  readonly scaleFn?: (x: number) => number;
  /** What `scaleFn` is given: the number of the cycle, from 1, or of the step; `cycle` unless given. */
  readonly scaleMode?: 'cycle' | 'iterations';
  /** Whether the momentum falls while the rate rises; true unless given. */
  readonly cycleMomentum?: boolean;
  /** The smallest momentum, of each group; 0.8 unless given. */
  readonly baseMomentum?: PerGroup;
  /** The largest momentum, of each group; 0.9 unless given. */
  readonly maxMomentum?: PerGroup;
}

/**
 * Moves the rate up and down in lines between two bounds, and the momentum against it. Step it after every batch.
 *
 * @see Smith, 2017, Cyclical learning rates for training neural networks.
 * @example
 * const schedule = new optim.CyclicLR(optimizer, { baseLr: 0.001, maxLr: 0.1, stepSizeUp: 500 });
 */
export class CyclicLR extends Schedule<CyclicLROptions> {
  protected override prepare(isFresh: boolean): void {
    const { baseLr, maxLr, stepSizeUp = 2000, stepSizeDown = stepSizeUp } = this.options;
    const { cycleMomentum = true, maxMomentum = 0.9, mode = 'triangular', scaleMode = 'cycle' } = this.options;
    checkChoice('CyclicLR', 'mode', mode, ['triangular', 'triangular2', 'exp_range']);
    checkChoice('CyclicLR', 'scaleMode', scaleMode, ['cycle', 'iterations']);
    checkCount(this, 'stepSizeUp', stepSizeUp);
    checkCount(this, 'stepSizeDown', stepSizeDown);
    perGroup(this, 'maxLr', maxLr);
    if (cycleMomentum) checkMomentum(this);
    const smallest = perGroup(this, 'baseLr', baseLr);
    const momenta = perGroup(this, 'maxMomentum', maxMomentum);
    if (!isFresh) return;
    this.optimizer.groups.forEach((group, i) => {
      group.lr = smallest[i]!;
      if (cycleMomentum) setMomentum(group, momenta[i]!);
    });
  }

  protected rates(): readonly number[] {
    const { stepSizeUp = 2000, stepSizeDown = stepSizeUp, cycleMomentum = true } = this.options;
    const { baseMomentum = 0.8, maxMomentum = 0.9 } = this.options;
    const { lastEpoch } = this.state;
    const size = stepSizeUp + stepSizeDown;
    const turn = stepSizeUp / size;
    const cycle = Math.floor(1 + lastEpoch / size);
    const x = 1 + lastEpoch / size - cycle;
    const share = x <= turn ? x / turn : (x - 1) / (turn - 1);
    const scale = this.scale(cycle, lastEpoch);
    const [smallest, largest, low, high] = [this.options.baseLr, this.options.maxLr, baseMomentum, maxMomentum].map(
      (value, i) => perGroup(this, ['baseLr', 'maxLr', 'baseMomentum', 'maxMomentum'][i]!, value),
    ) as [readonly number[], readonly number[], readonly number[], readonly number[]];
    return this.optimizer.groups.map((group, i) => {
      if (cycleMomentum) setMomentum(group, high[i]! - (high[i]! - low[i]!) * share * scale);
      return smallest[i]! + (largest[i]! - smallest[i]!) * share * scale;
    });
  }

  private scale(cycle: number, step: number): number {
    const { mode = 'triangular', gamma = 1, scaleFn, scaleMode = 'cycle' } = this.options;
    if (scaleFn !== undefined) return scaleFn(scaleMode === 'cycle' ? cycle : step);
    if (mode === 'exp_range') return gamma ** step;
    return mode === 'triangular2' ? 1 / 2 ** (cycle - 1) : 1;
  }
}
