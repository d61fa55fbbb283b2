/**
 * What schedules share: how they reach the groups of an optimizer, when they step, and their state. A schedule sets the rate of epoch 0 when it is made, and that of
 * the next epoch whenever `step()` is called; an epoch may as well be a step of the optimizer.
 */
import { ArgumentError } from '../../errors';
import { checkGivenOptions, checkObject } from '../../ops/define';
import { refuseInTrace } from '../../runtime/tape';
import { describe, shown } from '../../tensor/describe';

/** The settings of a group that schedules change. */
export interface ScheduledGroup {
  lr: number;
  /** The learning rate before any schedule changed it. */
  initialLr?: number;
  momentum?: number;
  betas?: readonly [number, number];
}

/** Anything with groups that have a learning rate: an optimizer. */
export interface ScheduledOptimizer {
  readonly groups: readonly ScheduledGroup[];
}

/** Plain data: it survives JSON. */
export type ScheduleState = Readonly<Record<string, unknown>>;

/** How what changes is called in the state dicts of PyTorch. */
const names: Readonly<Record<string, string>> = {
  last_epoch: 'lastEpoch',
  _step_count: 'stepCount',
  base_lrs: 'baseLrs',
  _last_lr: 'lastLr',
  T_i: 'period',
  T_cur: 'position',
  num_bad_epochs: 'badEpochs',
  cooldown_counter: 'cooldown',
  best: 'best',
  _schedulers: 'schedules',
};

/** A state dict under our names. One of PyTorch, which holds the schedule's options as well, loses those. */
export function translated(name: string, state: unknown): ScheduleState {
  checkObject(name, state, 'state');
  const entries = Object.entries(state);
  if (!('_last_lr' in state)) return state as ScheduleState;
  return Object.fromEntries(
    entries.flatMap(([key, value]) => (Object.hasOwn(names, key) ? [[names[key]!, value]] : [])),
  );
}

/** What a loop needs of a schedule. */
export interface Stepping {
  readonly optimizer: ScheduledOptimizer;
  /** Goes on to the next epoch. */
  step(): void;
  /** The rates of all groups that were set last. */
  getLastLr(): readonly number[];
  stateDict(): ScheduleState;
  loadStateDict(state: ScheduleState): void;
  /** @internal Sets the rates of epoch 0. */
  begin(): void;
  /** @internal Sets the rates of an epoch. */
  update(epoch?: number): void;
  /** @internal Takes back the step that it was made with. */
  undo(): void;
}

export interface ScheduleOptions {
  /** The last epoch that has been trained, to go on with; the optimizer's groups must have their `initialLr` then. None unless given. */
  readonly lastEpoch?: number;
}

export abstract class Schedule<Options extends ScheduleOptions = ScheduleOptions> implements Stepping {
  /** What changes from step to step; subclasses keep more in it. */
  protected state: { lastEpoch: number; stepCount: number } & Record<string, number>;
  protected baseLrs: readonly number[];
  /** Whether the rates of epoch 0 are being set. */
  protected isInitial = false;
  private lastLr: readonly number[] = [];

  constructor(
    readonly optimizer: ScheduledOptimizer,
    protected readonly options: Options,
  ) {
    const name = new.target.name;
    checkOptimizer(name, optimizer);
    checkGivenOptions(name, options);
    const { lastEpoch = -1 } = options;
    this.state = { lastEpoch, stepCount: 0 };
    this.prepare(lastEpoch === -1);
    this.baseLrs = optimizer.groups.map((group) => {
      if (lastEpoch === -1) group.initialLr ??= group.lr;
      else if (group.initialLr === undefined) {
        throw new ArgumentError(
          `${name}: lastEpoch: got ${lastEpoch} for groups without initialLr, expected an optimizer whose state was loaded`,
        );
      }
      return group.initialLr;
    });
    this.begin();
  }

  /** Checks the options and, for a fresh start, sets what groups start with. Runs before anything else. */
  protected prepare(_isFresh: boolean): void {
    // Most schedules start from the groups as they are.
  }

  /** The rates of `lastEpoch`, often from those of the epoch before. */
  protected abstract rates(): readonly number[];

  /** The rates of `lastEpoch`, wherever the epochs before led; absent where there is no such formula. */
  protected ratesAnywhere?(): readonly number[];

  /** Goes on to the next epoch, or jumps to the one given. */
  step(epoch?: number): void {
    refuseInTrace(`${this.constructor.name}.step`, 'changes learning rates from JavaScript');
    this.state.stepCount++;
    this.update(epoch);
  }

  begin(): void {
    this.state.stepCount = 0;
    this.isInitial = true;
    try {
      this.step();
    } finally {
      this.isInitial = false;
    }
  }

  update(epoch?: number): void {
    this.state.lastEpoch = epoch ?? this.state.lastEpoch + 1;
    this.set(epoch === undefined ? this.rates() : (this.ratesAnywhere?.() ?? this.rates()));
  }

  undo(): void {
    this.state.lastEpoch--;
  }

  getLastLr(): readonly number[] {
    return this.lastLr;
  }

  stateDict(): ScheduleState {
    return { ...this.state, baseLrs: this.baseLrs, lastLr: this.lastLr };
  }

  /** Takes over a state dict, PyTorch's too; the options stay. The rates themselves are in the optimizer's. */
  loadStateDict(state: ScheduleState): void {
    const { baseLrs, lastLr, ...rest } = translated(this.constructor.name, state) as typeof this.state & {
      baseLrs: number[];
      lastLr: number[];
    };
    const missing = Object.keys(this.state).filter((name) => typeof (rest[name] as unknown) !== 'number');
    if (missing.length > 0 || !Array.isArray(baseLrs) || !Array.isArray(lastLr)) {
      throw new ArgumentError(
        `${this.constructor.name}: state: got ${Object.keys(state).join(', ')}, expected ${Object.keys(this.stateDict()).join(', ')}`,
      );
    }
    this.state = { ...rest };
    this.baseLrs = baseLrs;
    this.lastLr = lastLr;
  }

  protected get current(): readonly number[] {
    return this.optimizer.groups.map(({ lr }) => lr);
  }

  protected set(rates: readonly number[]): void {
    const { groups } = this.optimizer;
    if (groups.length !== rates.length) {
      throw new ArgumentError(
        `${this.constructor.name}: groups: got ${groups.length}, expected ${rates.length} as when the schedule was made`,
      );
    }
    groups.forEach((group, i) => (group.lr = rates[i]!));
    this.lastLr = rates;
  }
}

/** Throws unless `optimizer` has groups. */
export function checkOptimizer(name: string, optimizer: unknown): void {
  if (Array.isArray((optimizer as Partial<ScheduledOptimizer> | null | undefined)?.groups)) return;
  throw new ArgumentError(`${name}: optimizer: got ${describe(optimizer)}, expected an optimizer`);
}

/** One value for each group. */
export function perGroup<T>(schedule: Stepping, name: string, value: T | readonly T[]): readonly T[] {
  const count = schedule.optimizer.groups.length;
  if (!Array.isArray(value)) return new Array<T>(count).fill(value as T);
  if (value.length !== count) {
    throw new ArgumentError(`${schedule.constructor.name}: ${name}: got ${value.length} values, expected ${count}`);
  }
  return value as readonly T[];
}

/** Throws unless `value` is a whole number of at least `least`. */
export function checkCount(schedule: Stepping, name: string, value: number, least = 1): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new ArgumentError(
    `${schedule.constructor.name}: ${name}: got ${shown(value)}, expected a whole number of at least ${least}`,
  );
}

/** Throws unless `holds`. */
export function expect(schedule: Stepping, name: string, value: unknown, holds: boolean, expected: string): void {
  if (holds) return;
  throw new ArgumentError(`${schedule.constructor.name}: ${name}: got ${shown(value)}, expected ${expected}`);
}

/** Sets the momentum of a group: its `momentum`, or the first of its `betas`. */
export function setMomentum(group: ScheduledGroup, momentum: number): void {
  if (group.betas === undefined) group.momentum = momentum;
  else group.betas = [momentum, group.betas[1]];
}

/** Throws unless every group has a momentum. */
export function checkMomentum(schedule: Stepping): void {
  for (const { momentum, betas } of schedule.optimizer.groups) {
    const has = momentum !== undefined || betas !== undefined;
    expect(schedule, 'cycleMomentum', true, has, 'an optimizer with momentum or betas');
  }
}
