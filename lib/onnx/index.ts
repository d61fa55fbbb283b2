/** ONNX models. */
export { load, type LoadOptions } from './load';
export { Model, type Input, type Signature } from './model';
export { save, type SaveOptions } from './save';
