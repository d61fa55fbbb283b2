/** Files, as `io`. */
export { parseIdx, readIdx, readMnist, type DigitSplit, type IdxArray } from './idx';
export * from './safetensors';
export * from './safetensors-file';
