/** Metrics: values over many batches. */
export {
  F1Score,
  JaccardIndex,
  Precision,
  Recall,
  Specificity,
  type Average,
  type AverageOptions,
} from './class-scores';
export { Accuracy, TopKAccuracy, type ClassificationOptions, type Classified } from './classification';
export { CohenKappa, ConfusionMatrix, MatthewsCorrCoef, type CohenKappaOptions } from './confusion';
export { PeakSignalNoiseRatio, StructuralSimilarity } from './images';
export type { Metric, MetricState } from './metric';
export { mergeMetrics } from './merge';
export { Auroc, AveragePrecision } from './ranking';
export {
  ExplainedVariance,
  Mean,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanSquaredError,
  PearsonCorrelation,
  R2Score,
} from './regression';
export { Bleu, CharErrorRate, Perplexity, Rouge, WordErrorRate, type BleuOptions, type Tokens } from './text';
