/** ONNX models. */
export { load, type LoadOptions } from './load';
export { Model, type Input, type Signature } from './model';
