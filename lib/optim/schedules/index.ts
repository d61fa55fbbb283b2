/** Schedules of learning rates. */
export * from './combined';
export * from './cosine';
export * from './cyclic';
export * from './decay';
export * from './lambda';
export * from './linear';
export * from './plateau';
export {
  Schedule,
  type ScheduledGroup,
  type ScheduledOptimizer,
  type ScheduleOptions,
  type ScheduleState,
} from './schedule';
export * from './swa';
