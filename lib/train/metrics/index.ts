/** Metrics: values over many batches. */
export { Auroc } from './auroc';
export {
  Accuracy,
  ConfusionMatrix,
  F1Score,
  Precision,
  Recall,
  TopKAccuracy,
  type Average,
  type AverageOptions,
  type ClassificationOptions,
  type Classified,
} from './classification';
export type { Metric, MetricState } from './metric';
export { Mean, MeanSquaredError, R2Score } from './regression';
export { Bleu, Perplexity, type BleuOptions, type Tokens } from './text';
