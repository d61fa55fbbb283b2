/** Owns arrays that are no tensors yet: what readers and threads hand over. */
import { isDType, type ArrayOf, type DType } from './dtype';

/** An array outside the library, cheap to make and to hand to another thread; `tensor` and batches make tensors of it. */
export interface ArrayItem<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: ArrayOf<D>;
}

export const isArrayItem = (value: unknown): value is ArrayItem => {
  const { dtype, shape, data } = (value ?? {}) as Partial<ArrayItem>;
  return isDType(dtype) && Array.isArray(shape) && ArrayBuffer.isView(data);
};
