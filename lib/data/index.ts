/** Data sets and loaders, as `data`. */
export * as audio from './audio';
export * as augment from './augment';
export type { ArrayItem } from '../tensor/array-item';
export { collate, padCollate, type Collated, type PadCollateOptions } from './collate';
export * from './dataset';
export * from './draw';
export * from './graphs';
export { DataLoader, type DataLoaderOptions, type LoaderState } from './loader';
export { Random } from './random';
export { renderDigits, type RenderedDigits } from './rendered-digits';
export * from './readers';
export * from './samplers';
export * as text from './text';
export {
  openIterableWorkers,
  openWorkers,
  WorkerDataset,
  WorkerIterable,
  type WorkerOptions,
} from './workers/worker-dataset';
