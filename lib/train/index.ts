/** What surrounds a training loop, as `train`. */
export { modeOf, type Callback, type Mode, type Run, type Values } from './callback';
export {
  loadCheckpoint,
  saveCheckpoint,
  type CheckpointData,
  type CheckpointPart,
  type LoadCheckpointOptions,
  type Positioned,
  type Stateful,
} from './checkpoint';
export { CheckpointFolder } from './checkpoint-folder';
export { Checkpoints, type CheckpointsOptions } from './checkpoints';
export { EarlyStopping, type EarlyStoppingOptions } from './early-stopping';
export { ConsoleLogger, CsvLogger, JsonLinesLogger } from './file-loggers';
export type { Logger, Picture } from './logger';
export * from './metrics';
export { encodePng } from './png';
export { formatDuration, ProgressBar, type ProgressOptions, type ProgressStream } from './progress';
export { Progress } from './progress-callback';
export { profile, Profile, region, type OpProfile, type Peaks, type Span } from './profiler';
export { RunPage, type LivePage, type RunPageOptions } from './run-page';
export { TensorBoardLogger } from './tensorboard';
export { buildReport, writeReport, type HistoryPoint, type Report, type ReportSample } from './report';
export {
  Trainer,
  type BatchSource,
  type FitOptions,
  type Measured,
  type Scaler,
  type Schedule,
  type StepOutput,
  type Stepper,
  type TrainerOptions,
} from './trainer';
