/** Weights of layers that are kept in another form than as a tensor. The functions that take a weight [out, in] ask it for what they need; nn has such forms. */
import type { Device } from '../runtime/device';
import type { DType } from '../tensor/dtype';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** Marks what is a form of a matrix. */
export const matrixForm = Symbol('matrixForm');

/** A matrix [out, in] in a form of its own, such as whole numbers of few bits. */
export interface MatrixForm {
  readonly shape: readonly [out: number, width: number];
  readonly dtype: DType;
  readonly device: Device;
  readonly [matrixForm]: true;
  /** x·Wᵀ + bias for x [..., in]. */
  linear(x: AnyTensor, bias: AnyTensor | undefined): AnyTensor;
  /** Rows of W: [...index.shape, in]. */
  rows(index: AnyTensor): AnyTensor;
  /** Some rows of W, one after the other, in such a form. */
  narrow(axis: 0, start: number, length: number): MatrixForm;
  /** W itself. */
  dense(): AnyTensor;
}

/** The form that a weight is kept in, unless it is a tensor. */
export const formOf = (weight: unknown): MatrixForm | undefined =>
  weight instanceof Tensor || typeof weight !== 'object' || weight === null || !(matrixForm in weight)
    ? undefined
    : (weight as MatrixForm);

/** A weight as a tensor. */
export const denseOf = (weight: AnyTensor): AnyTensor => formOf(weight)?.dense() ?? weight;
