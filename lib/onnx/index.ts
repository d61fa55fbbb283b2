/** ONNX files, as `onnx`. */
export { save, type SaveOptions } from './save';
