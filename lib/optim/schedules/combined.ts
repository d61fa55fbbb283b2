/** Schedules made of schedules. */
import { ArgumentError } from '../../errors';
import { checkObject } from '../../ops/define';
import { describe } from '../../tensor/describe';
import { translated, type ScheduledOptimizer, type ScheduleState, type Stepping } from './schedule';

function checkSchedules(name: string, schedules: readonly Stepping[]): ScheduledOptimizer {
  if (!Array.isArray(schedules as unknown))
    throw new ArgumentError(`${name}: schedules: got ${describe(schedules)}, expected an array`);
  schedules.forEach((schedule, i) => checkObject(name, schedule, `schedules[${i}]`));
  const [first] = schedules;
  if (first === undefined) throw new ArgumentError(`${name}: schedules: got none, expected at least one`);
  const { optimizer } = first;
  if (schedules.some((schedule) => schedule.optimizer !== optimizer)) {
    throw new ArgumentError(`${name}: schedules: got some of different optimizers, expected one optimizer`);
  }
  if (schedules.some((schedule) => typeof schedule.begin !== 'function')) {
    throw new ArgumentError(`${name}: schedules: got one that steps by a value, expected ones that step by epochs`);
  }
  return optimizer;
}

abstract class Combined implements Stepping {
  readonly optimizer: ScheduledOptimizer;

  constructor(protected readonly schedules: readonly Stepping[]) {
    this.optimizer = checkSchedules(new.target.name, schedules);
  }

  abstract step(): void;
  abstract getLastLr(): readonly number[];

  begin(): void {
    this.step();
  }

  update(): void {
    this.step();
  }

  undo(): void {
    for (const schedule of this.schedules) schedule.undo();
  }

  stateDict(): ScheduleState {
    return { schedules: this.schedules.map((schedule) => schedule.stateDict()) };
  }

  loadStateDict(state: ScheduleState): void {
    const { schedules } = translated(this.constructor.name, state) as { schedules: readonly ScheduleState[] };
    if (!Array.isArray(schedules) || schedules.length !== this.schedules.length) {
      throw new ArgumentError(
        `${this.constructor.name}: state: got another number of schedules, expected ${this.schedules.length}`,
      );
    }
    this.schedules.forEach((schedule, i) => schedule.loadStateDict(schedules[i] as ScheduleState));
  }
}

/**
 * Steps several schedules of one optimizer together; each changes the rate that the one before has left.
 *
 * @example
 * const schedule = new optim.ChainedScheduler([
 *   new optim.ConstantLR(optimizer, { factor: 0.1, totalIters: 20 }),
 *   new optim.ExponentialLR(optimizer, { gamma: 0.9 }),
 * ]);
 */
export class ChainedScheduler extends Combined {
  step(): void {
    for (const schedule of this.schedules) schedule.step();
  }

  getLastLr(): readonly number[] {
    return this.optimizer.groups.map(({ lr }) => lr);
  }
}

/**
 * Runs schedules of one optimizer one after the other; each begins at its milestone, in epochs.
 *
 * @example
 * const warmUp = new optim.LinearLR(optimizer, { startFactor: 0.01, totalIters: 10 });
 * const cosine = new optim.CosineAnnealingLR(optimizer, { tMax: 90 });
 * const schedule = new optim.SequentialLR([warmUp, cosine], [10]);
 */
export class SequentialLR extends Combined {
  private lastEpoch = 0;

  constructor(
    schedules: readonly Stepping[],
    private readonly milestones: readonly number[],
  ) {
    super(schedules);
    if (!Array.isArray(milestones) || milestones.length !== schedules.length - 1) {
      throw new ArgumentError(
        `SequentialLR: milestones: got ${Array.isArray(milestones) ? milestones.length : describe(milestones)}, expected ${schedules.length - 1} for ${schedules.length} schedules`,
      );
    }
    // All schedules have set their rates of epoch 0; only the first is meant to.
    for (const group of this.optimizer.groups) group.lr = group.initialLr!;
    this.undo();
    this.running.begin();
  }

  private get running(): Stepping {
    return this.schedules[this.milestones.filter((milestone) => milestone <= this.lastEpoch).length]!;
  }

  step(): void {
    this.lastEpoch++;
    if (this.milestones.includes(this.lastEpoch)) this.running.update(0);
    else this.running.step();
  }

  getLastLr(): readonly number[] {
    return this.running.getLastLr();
  }

  override stateDict(): ScheduleState {
    return { ...super.stateDict(), lastEpoch: this.lastEpoch };
  }

  override loadStateDict(state: ScheduleState): void {
    super.loadStateDict(state);
    this.lastEpoch = translated('SequentialLR', state)['lastEpoch'] as number;
  }
}
