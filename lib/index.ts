/** The public exports of hadal, and nothing else. */
export * from './errors';
export { Tensor, type AnyTensor, type Operand } from './tensor/tensor';
export type { Shape, Axes } from './tensor/shape-types';
export type { Index, Range } from './tensor/index-types';
export type { DType, FloatDType, IndexDType, IntDType } from './tensor/dtype';
import './tensor/print';
export { keep, scope } from './tensor/scope';
export { getRandomState, manualSeed, setRandomState, type RandomState } from './runtime/random';
export {
  devices,
  setDefaultDevice,
  getDefaultDevice,
  memory,
  resetPeakMemory,
  releaseMemory,
  setMemoryLimit,
  setNumThreads,
  getNumThreads,
  synchronize,
  type Device,
  type DeviceInfo,
  type MemoryInfo,
} from './runtime/device';
export * from './ops';
export * from './autograd';
export * as nn from './nn';
export * as optim from './optim';
export * as data from './data';
export * as io from './io';
export * as distributed from './distributed';
export * as distributions from './distributions';
export * as train from './train';
export * as models from './models';
export * as onnx from './onnx';
