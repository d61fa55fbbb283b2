/** Whole slices addressed by a vector of indices. One out of range is an `IndexError` at the next read. */
import { ShapeError } from '../errors';
import type { DType, IndexDType } from '../tensor/dtype';
import type { IndexTensor } from '../tensor/index-types';
import type { AxisCheck, Ok, Resize, Shape, SizeAt } from '../tensor/shape-types';
import { normalizeAxis, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { zeros } from './creation';
import { allDTypes, checkDType, checkTensor, defineOp, installMethods, numbers, run } from './define';
import { checkIndex } from './indexing';

type Index = Tensor<Shape, IndexDType>;

const indexSelectOp = defineOp<number>('indexSelect', {
  dtypes: allDTypes,
  saves: { inputs: true },
  gradient: (g, node) => {
    const nothing: AnyTensor = zeros(node.shape(0), { dtype: g.dtype, device: g.device });
    return [nothing.indexAdd(node.context, node.input(1), g), undefined];
  },
});
const indexAddOp = defineOp<number>('indexAdd', {
  dtypes: numbers,
  saves: { inputs: true },
  gradient: (g, node) => [g, undefined, node.needs(2) ? g.indexSelect(node.context, node.input(1)) : undefined],
});

/** For scatter.ts too: throws unless `index` is a vector of int32 or int64. */
export function checkVector(op: string, index: unknown): asserts index is Index {
  checkIndex(op, index);
  if (index.rank !== 1) throw new ShapeError(`${op}: index: got shape ${show(index.shape)}, expected one axis`);
}

/** For scatter.ts too: throws unless source holds a slice of x for each index. */
export function checkSlices(op: string, x: AnyTensor, axis: number, index: AnyTensor, source: AnyTensor): void {
  checkTensor(op, source, 'source');
  const expected = x.shape.map((size, i) => (i === axis ? index.size : size));
  if (sameShape(source.shape, expected)) return;
  throw new ShapeError(`${op}: source does not fit: got shape ${show(source.shape)}, expected ${show(expected)}`, {
    source: source.shape,
    expected,
  });
}

/**
 * The slices of x at `index` along an axis: y[…, i, …] = x[…, index[i], …].
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * indexSelect(tensor([[1, 2], [3, 4]]), 0, tensor([1, 1], { dtype: 'int32' })); // [[3, 4], [3, 4]]
 */
export function indexSelect<S extends Shape, D extends DType, const A extends number, I extends Shape, E extends DType>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'indexSelect'>>,
  index: IndexTensor<I, E, 'indexSelect'>,
): Tensor<Resize<S, A, SizeAt<I, 0>>, D>;
export function indexSelect(x: AnyTensor, axis: number, index: AnyTensor): AnyTensor {
  checkTensor('indexSelect', x);
  checkVector('indexSelect', index);
  const along = normalizeAxis('indexSelect', axis, x.shape);
  const shape = x.shape.map((size, i) => (i === along ? index.size : size));
  return run(indexSelectOp, [x, index], shape, x.dtype, [along], along);
}

/**
 * x with slices of `source` added at `index` along an axis: y[…, index[i], …] += source[…, i, …]. Sums are formed in the order of the index.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * indexAdd(zeros([2]), 0, tensor([1, 1], { dtype: 'int32' }), tensor([3, 4])); // [0, 7]
 */
export function indexAdd<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'indexAdd'>,
  source: AnyTensor,
): Tensor<S, D>;
export function indexAdd(x: AnyTensor, axis: number, index: AnyTensor, source: AnyTensor): AnyTensor {
  checkTensor('indexAdd', x);
  checkVector('indexAdd', index);
  checkDType('indexAdd', x.dtype, numbers);
  const along = normalizeAxis('indexAdd', axis, x.shape);
  checkSlices('indexAdd', x, along, index, source);
  return run(indexAddOp, [x, index, source.cast(x.dtype)], x.shape, x.dtype, [along], along);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    indexSelect<E extends DType>(axis: number, index: IndexTensor<Shape, E, 'indexSelect'>): Tensor<Shape, D>;
    indexAdd<E extends DType>(axis: number, index: IndexTensor<Shape, E, 'indexAdd'>, source: AnyTensor): Tensor<S, D>;
  }
}
installMethods({ indexSelect, indexAdd });
