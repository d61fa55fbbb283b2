/** Norms of matrices, and how much inverting one makes of an error: matrixNorm, cond. Composed of other ops. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Batch } from '../tensor/linalg-shape-types';
import type { AxisCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { normalizeAxes, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkOptions, checkTensor, floats, installMethods } from './define';
import { inv, slogdet } from './linalg-factor';
import { checkMatrices, checkSquare, identity, lapackDTypes, perMatrix, sizesOf } from './linalg-shared';
import { svdvals } from './linalg-spectral';
import { where } from './pointwise-compare';
import { checkNotEmpty, type ReduceOptions } from './reduction';

/**
 * Which norm of a matrix: `'fro'` the root of the sum of squares, `'nuc'` the sum of singular values, 2 the largest of them, 1 the largest sum of magnitudes in a column, Infinity
 * that in a row; -2, -1 and -Infinity the smallest.
 */
export type MatrixNormOrder = 'fro' | 'nuc' | number;

const orders: readonly unknown[] = ['fro', 'nuc', Infinity, -Infinity, 1, -1, 2, -2];

function checkOrder(op: string, order: MatrixNormOrder): void {
  if (orders.includes(order)) return;
  throw new ArgumentError(`${op}: order: got ${shown(order)}, expected one of ${orders.join(', ')}`);
}

/** Whether a norm is made of singular values. */
const isSpectral = (order: MatrixNormOrder): boolean => order === 'nuc' || order === 2 || order === -2;

function normOf(op: string, x: AnyTensor, order: MatrixNormOrder): AnyTensor {
  if (order === 'fro') return x.norm([-2, -1]);
  if (order === 'nuc') return svdvals(x).sum(-1);
  const sizes: AnyTensor = isSpectral(order) ? svdvals(x) : x.norm(Math.abs(order) === 1 ? -2 : -1, { p: 1 });
  if (order < 0) {
    checkNotEmpty(op, sizes, -1);
    return sizes.min(-1);
  }
  // No size is below 0, which is what is the largest of none.
  return sizes.shape[sizes.rank - 1] === 0 ? sizes.sum(-1) : sizes.max(-1);
}

export interface MatrixNormOptions<
  A extends readonly [number, number] = readonly [number, number],
  K extends boolean = boolean,
> extends ReduceOptions<K> {
  /** The axes of rows and of columns; the last two unless given. */
  readonly axes?: A;
}

/**
 * A norm of matrices [..., m, n]: Frobenius' unless an order is given. Of a matrix without elements it is 0, where there is one.
 *
 * @throws ShapeError when x has no matrices or the smallest of nothing is wanted; ArgumentError for another order; DTypeError unless x is float, and float32 or float64 for `'nuc'`, 2 and -2;
 * LinAlgError at the next read when those meet what is not finite.
 * @example
 * matrixNorm(tensor([[3, 0], [4, 5]]), 1); // 7
 */
export function matrixNorm<
  S extends Shape,
  D extends DType,
  const A extends readonly [number, number] = readonly [-2, -1],
  const K extends boolean = false,
>(
  x: Tensor<S, D> & Ok<AxisCheck<S, A, 'matrixNorm'>>,
  order?: MatrixNormOrder,
  options?: MatrixNormOptions<A, K>,
): Tensor<Reduce<S, A, K>, D>;
export function matrixNorm(x: AnyTensor, order: MatrixNormOrder = 'fro', options: MatrixNormOptions = {}): AnyTensor {
  checkOptions('matrixNorm', options);
  checkTensor('matrixNorm', x);
  checkOrder('matrixNorm', order);
  checkDType('matrixNorm', x.dtype, isSpectral(order) ? lapackDTypes : floats);
  const { axes = [-2, -1], keepDims = false } = options;
  const along = normalizeAxes('matrixNorm', axes, x.shape);
  if (along.length !== 2) {
    throw new ShapeError(
      `matrixNorm: axes: got ${along.length} for shape ${show(x.shape)}, expected 2, of rows and of columns`,
    );
  }
  const y = normOf('matrixNorm', x.moveAxis(axes, [-2, -1]), order);
  return keepDims ? y.reshape(x.shape.map((size, axis) => (along.includes(axis) ? 1 : size))) : y;
}

/**
 * The condition number of matrices [..., m, n] in the norm of an order, as for {@link matrixNorm}: ‖x‖·‖x⁻¹‖, or the largest singular value over the smallest for 2, which is what is
 * taken unless an order is given, and the smallest over the largest for -2. Infinity for a singular matrix (up to rounding of singular values), 0 for one without elements.
 *
 * @throws ShapeError when x has no matrices, or is not square and the order neither 2 nor -2; ArgumentError for another order; DTypeError unless x is float32 or float64; LinAlgError at the next
 * read when singular values meet what is not finite.
 * @example
 * cond(tensor([[4, 0], [0, 2]])); // 2
 */
export function cond<S extends Shape, D extends DType>(x: Tensor<S, D>, order?: MatrixNormOrder): Tensor<Batch<S>, D>;
export function cond(x: AnyTensor, order: MatrixNormOrder = 2): AnyTensor {
  checkOrder('cond', order);
  if (order === 2 || order === -2) checkMatrices('cond', x);
  else checkSquare('cond', x);
  if (sizesOf(x).includes(0)) return x.sum([-2, -1]);
  if (isSpectral(order)) {
    const s = svdvals(x);
    // ‖x⁻¹‖ is one of 1 / s, so that no inverse is needed.
    if (order === 'nuc') return s.sum(-1).mul(s.reciprocal().sum(-1));
    const [largest, smallest] = [s.select(-1, 0), s.select(-1, -1)];
    return order === 2 ? largest.div(smallest) : smallest.div(largest);
  }
  const isSingular = slogdet(x.detach())[0].equalTo(0) as AnyTensor;
  const regular = where(perMatrix(isSingular), identity(x, sizesOf(x)[0]), x) as AnyTensor;
  const product = normOf('cond', regular, order).mul(normOf('cond', inv(regular), order));
  return where(isSingular, Infinity, product) as AnyTensor;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    matrixNorm<const A extends readonly [number, number] = readonly [-2, -1], const K extends boolean = false>(
      order?: MatrixNormOrder,
      options?: MatrixNormOptions<A, K>,
    ): Tensor<Reduce<S, A, K>, D>;
    cond(order?: MatrixNormOrder): Tensor<Batch<S>, D>;
  }
}
installMethods({ matrixNorm, cond });
