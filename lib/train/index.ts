/** What surrounds a training loop, as `train`. */
export * from './metrics';
export * from './progress';
export { buildReport, writeReport, type HistoryPoint, type Report, type ReportSample } from './report';
