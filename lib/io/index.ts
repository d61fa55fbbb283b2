/** Files, as `io`. */
export { parseIdx, readIdx, readMnist, type DigitSplit, type IdxArray } from './idx';
export { load } from './load';
export * from './numpy/npy';
export { readPyTorch, type PyTorchReadOptions } from './pytorch/checkpoint';
export * from './safetensors';
export * from './safetensors-file';
export * from './safetensors-sharded';
