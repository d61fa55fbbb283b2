/** What surrounds a training loop, as `train`. */
export * from './metrics';
export { encodePng } from './png';
export * from './progress';
export { buildReport, writeReport, type HistoryPoint, type Report, type ReportSample } from './report';
