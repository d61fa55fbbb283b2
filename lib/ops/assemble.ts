/** Matrices and rows put together from vectors and blocks, products of their elements, and sums along diagonals. */
import { ArgumentError, ShapeError } from '../errors';
import { describe, shown } from '../tensor/describe';
import { isFloat, promote, type DType, type Promote, type SumDType } from '../tensor/dtype';
import type { IndexTensor } from '../tensor/index-types';
import type { ReplacementCheck } from '../tensor/operand-types';
import type { Broadcast, BroadcastCheck, Ok, Shape } from '../tensor/shape-types';
import { broadcastShapes, normalizeAxis, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { arange, meshgrid, ones, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, installMethods, numbers } from './define';
import { checkVector } from './index-select';
import { cat, stack } from './movement';
import { where } from './pointwise-compare';
import { replacing, type Replacement } from './pointwise-run';

function checkList(op: string, tensors: unknown): asserts tensors is readonly AnyTensor[] {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ArgumentError(`${op}: tensors: got ${describe(tensors)}, expected a list of at least one`);
  }
  tensors.forEach((x, i) => {
    checkTensor(op, x, `tensors[${i}]`);
  });
}

export interface VanderOptions<N extends number = number> {
  /** How many powers; as many as x has elements unless given. */
  readonly columns?: N;
  /** Whether the powers rise from 0 instead of falling to it. */
  readonly increasing?: boolean;
}

/**
 * The powers of the elements of x [..., n] as rows: y[…, i, j] = x[…, i]^(columns − 1 − j), or x[…, i]^j where they rise. Integers give int64.
 *
 * @throws ShapeError for a scalar; ArgumentError; DTypeError for bool.
 * @example
 * vander(tensor([1, 2, 3]), { increasing: true }); // [[1, 1, 1], [1, 2, 4], [1, 3, 9]]
 */
export function vander<S extends Shape, D extends DType, const N extends number = number>(
  x: Tensor<S, D>,
  options?: VanderOptions<N>,
): Tensor<S['length'] extends 1 | 2 | 3 ? [...S, N] : Shape, SumDType<D>>;
export function vander(x: AnyTensor, options: VanderOptions = {}): AnyTensor {
  checkOptions('vander', options);
  checkTensor('vander', x);
  checkDType('vander', x.dtype, numbers);
  if (x.rank === 0) throw new ShapeError('vander: got shape [], expected at least one axis');
  const { columns = x.shape[x.rank - 1]!, increasing = false } = options;
  if (!Number.isSafeInteger(columns) || columns < 0) {
    throw new ArgumentError(`vander: columns: got ${shown(columns)}, expected an integer of at least 0`);
  }
  const base = (isFloat(x.dtype) ? x : x.cast('int64')) as AnyTensor;
  const powers = arange(columns, { dtype: base.dtype, device: x.device }) as AnyTensor;
  return base.unsqueeze(-1).pow(increasing ? powers : (powers.flip(0) as AnyTensor)) as AnyTensor;
}

/**
 * Matrices along the diagonal of one that is 0 elsewhere, in their common dtype; vectors are rows, scalars [1, 1].
 *
 * @throws ShapeError for more than two axes; ArgumentError for no blocks.
 * @example
 * blockDiag([tensor([[1, 2]]), tensor([3])]); // [[1, 2, 0], [0, 0, 3]]
 */
export function blockDiag(tensors: readonly AnyTensor[]): Tensor<[number, number], DType>;
export function blockDiag(tensors: readonly AnyTensor[]): AnyTensor {
  checkList('blockDiag', tensors);
  const dtype = tensors.map((x) => x.dtype).reduce(promote);
  const blocks = tensors.map((x): AnyTensor => {
    if (x.rank > 2) throw new ShapeError(`blockDiag: got shape ${show(x.shape)}, expected at most two axes`);
    return (x.rank === 2 ? x : x.reshape([1, x.size])).cast(dtype) as AnyTensor;
  });
  const width = blocks.reduce((sum, { shape }) => sum + shape[1]!, 0);
  let before = 0;
  const rows = blocks.map((block) => {
    const own = block.shape[1]!;
    const row = block.pad([
      [0, 0],
      [before, width - before - own],
    ]);
    before += own;
    return row;
  });
  return cat(rows, 0) as AnyTensor;
}

/** S with axes of one element where it has fewer than one, two or three. */
type AtLeast1d<S extends Shape> = S extends readonly [] ? [1] : S;
type AtLeast2d<S extends Shape> = S extends readonly [] ? [1, 1] : S extends readonly [infer N] ? [1, N] : S;
type AtLeast3d<S extends Shape> = S extends readonly []
  ? [1, 1, 1]
  : S extends readonly [infer N]
    ? [1, N, 1]
    : S extends readonly [infer M, infer N]
      ? [M, N, 1]
      : S;

/**
 * x with one axis at least: a scalar becomes [1]. A view.
 *
 * @example
 * atleast1d(tensor(3)); // [3]
 */
export function atleast1d<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<AtLeast1d<S> & Shape, D>;
export function atleast1d(x: AnyTensor): AnyTensor {
  checkTensor('atleast1d', x);
  return x.rank === 0 ? x.unsqueeze(0) : x;
}

/**
 * x with two axes at least: a vector becomes a row, a scalar [1, 1]. A view.
 *
 * @example
 * atleast2d(tensor([1, 2])); // [[1, 2]]
 */
export function atleast2d<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<AtLeast2d<S> & Shape, D>;
export function atleast2d(x: AnyTensor): AnyTensor {
  checkTensor('atleast2d', x);
  return x.rank < 2 ? x.reshape([1, x.size]) : x;
}

/**
 * x with three axes at least: a matrix [m, n] becomes [m, n, 1], a vector [1, n, 1], a scalar [1, 1, 1]. A view.
 *
 * @example
 * atleast3d(tensor([1, 2])); // [[[1], [2]]]
 */
export function atleast3d<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<AtLeast3d<S> & Shape, D>;
export function atleast3d(x: AnyTensor): AnyTensor {
  checkTensor('atleast3d', x);
  return x.rank < 3 ? (atleast2d(x) as AnyTensor).unsqueeze(2) : x;
}

/**
 * Tensors side by side: along the second axis, scalars and vectors along their only one.
 *
 * @throws ShapeError when the other axes differ; ArgumentError for no tensors.
 * @example
 * hstack([tensor([[1], [2]]), tensor([[3], [4]])]); // [[1, 3], [2, 4]]
 */
export function hstack<D extends DType>(tensors: readonly Tensor<Shape, D>[]): Tensor<Shape, D>;
export function hstack(tensors: readonly AnyTensor[]): AnyTensor {
  checkList('hstack', tensors);
  const whole = tensors.map((x) => atleast1d(x) as AnyTensor);
  return cat(whole, whole[0]!.rank === 1 ? 0 : 1) as AnyTensor;
}

/**
 * Tensors one below the other, along the first axis; scalars and vectors are rows.
 *
 * @throws ShapeError when the other axes differ; ArgumentError for no tensors.
 * @example
 * vstack([tensor([1, 2]), tensor([3, 4])]); // [[1, 2], [3, 4]]
 */
export function vstack<D extends DType>(tensors: readonly Tensor<Shape, D>[]): Tensor<Shape, D>;
export function vstack(tensors: readonly AnyTensor[]): AnyTensor {
  checkList('vstack', tensors);
  return cat(tensors.map((x) => atleast2d(x) as AnyTensor)) as AnyTensor;
}

/**
 * Tensors one behind the other, along the third axis, which scalars, vectors and matrices get by {@link atleast3d}.
 *
 * @throws ShapeError when the other axes differ; ArgumentError for no tensors.
 * @example
 * dstack([tensor([1, 2]), tensor([3, 4])]); // [[[1, 3], [2, 4]]]
 */
export function dstack<D extends DType>(tensors: readonly Tensor<Shape, D>[]): Tensor<Shape, D>;
export function dstack(tensors: readonly AnyTensor[]): AnyTensor {
  checkList('dstack', tensors);
  return cat(
    tensors.map((x) => atleast3d(x) as AnyTensor),
    2,
  ) as AnyTensor;
}

/**
 * Vectors and scalars as columns, beside matrices and each other: along the second axis.
 *
 * @throws ShapeError when the other axes differ; ArgumentError for no tensors.
 * @example
 * columnStack([tensor([1, 2]), tensor([3, 4])]); // [[1, 3], [2, 4]]
 */
export function columnStack<D extends DType>(tensors: readonly Tensor<Shape, D>[]): Tensor<Shape, D>;
export function columnStack(tensors: readonly AnyTensor[]): AnyTensor {
  checkList('columnStack', tensors);
  return cat(
    tensors.map((x) => (x.rank < 2 ? x.reshape([x.size, 1]) : x)),
    1,
  ) as AnyTensor;
}

/**
 * All combinations of an element of each vector, as rows in the order of the first: [n₁ · n₂ · …, count]. Of one vector itself.
 *
 * @throws ShapeError unless each has one axis; ArgumentError for no vectors.
 * @example
 * cartesianProd([tensor([1, 2]), tensor([3, 4])]); // [[1, 3], [1, 4], [2, 3], [2, 4]]
 */
export function cartesianProd<D extends DType>(vectors: readonly Tensor<Shape, D>[]): Tensor<Shape, D>;
export function cartesianProd(vectors: readonly AnyTensor[]): AnyTensor {
  checkList('cartesianProd', vectors);
  for (const x of vectors) {
    if (x.rank !== 1) throw new ShapeError(`cartesianProd: got shape ${show(x.shape)}, expected one axis`);
  }
  if (vectors.length === 1) return vectors[0]!;
  const dtype = vectors.map((x) => x.dtype).reduce(promote);
  const grids = meshgrid(vectors.map((x) => x.cast(dtype) as AnyTensor)) as AnyTensor[];
  return stack(grids, -1).reshape([-1, vectors.length]) as AnyTensor;
}

/**
 * The sum of the diagonal of a matrix, or of each of several [..., m, n].
 *
 * @throws ShapeError when x has fewer than two axes.
 * @example
 * trace(tensor([[1, 2], [3, 4]])); // 5
 */
export function trace<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
): Tensor<S extends readonly [...infer Front extends Shape, number, number] ? Front : Shape, SumDType<D>>;
export function trace(x: AnyTensor): AnyTensor {
  checkTensor('trace', x);
  if (x.rank < 2) throw new ShapeError(`trace: got shape ${show(x.shape)}, expected at least two axes`);
  return x.diagonal().sum(-1) as AnyTensor;
}

/**
 * The cross product of vectors of three elements along an axis, which broadcast with each other: orthogonal to both, as long as the area between them.
 *
 * @throws ShapeError unless the axis has three elements in both; DTypeError for bool.
 * @example
 * cross(tensor([1, 0, 0]), tensor([0, 1, 0])); // [0, 0, 1]
 */
export function cross<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<BroadcastCheck<S, T, 'cross'>>,
  axis?: number,
): Tensor<Broadcast<S, T>, Promote<D, E>>;
export function cross(a: AnyTensor, b: AnyTensor, axis = -1): AnyTensor {
  checkTensor('cross', a, 'a');
  checkTensor('cross', b, 'b');
  checkDType('cross', promote(a.dtype, b.dtype), numbers);
  const shape = broadcastShapes('cross', a.shape, b.shape);
  const along = normalizeAxis('cross', axis, shape);
  const [x, y] = [a.expand(shape) as AnyTensor, b.expand(shape) as AnyTensor];
  if (
    shape[along] !== 3 ||
    a.shape[along - shape.length + a.rank] !== 3 ||
    b.shape[along - shape.length + b.rank] !== 3
  ) {
    throw new ShapeError(
      `cross: got shapes ${show(a.shape)} and ${show(b.shape)}, expected 3 elements along axis ${along}`,
    );
  }
  const turned = (t: AnyTensor, by: number): AnyTensor => t.roll(by, along) as AnyTensor;
  return turned(x, -1)
    .mul(turned(y, -2))
    .sub(turned(x, -2).mul(turned(y, -1))) as AnyTensor;
}

/**
 * x with `value` in the slices at `index` along an axis; among bools `true` or `false`, or 1 or 0.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * indexFill(zeros([3]), 0, tensor([0, 2], { dtype: 'int32' }), 7); // [7, 0, 7]
 */
export function indexFill<S extends Shape, D extends DType, E extends DType, V extends Replacement>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'indexFill'>,
  value: V & Ok<ReplacementCheck<V, D, 'indexFill'>>,
): Tensor<S, D>;
export function indexFill(x: AnyTensor, axis: number, index: AnyTensor, value: Replacement): AnyTensor {
  const op = 'indexFill';
  checkTensor(op, x);
  checkVector(op, index);
  const along = normalizeAxis(op, axis, x.shape);
  if (value instanceof Tensor && value.rank !== 0) {
    throw new ShapeError(`${op}: value: got shape ${show(value.shape)}, expected a scalar`);
  }
  const size = x.shape[along]!;
  const { device } = x;
  const untouched = zeros([size], { dtype: 'bool', device });
  // A mask, since an index may be there twice, and the value's gradient counts each element once.
  const mask = untouched.indexCopy(0, index, ones([index.size], { dtype: 'bool', device })) as AnyTensor;
  return where(mask.reshape([size, ...x.shape.slice(along + 1).map(() => 1)]), replacing(op, x, value), x) as AnyTensor;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    trace(): Tensor<S extends readonly [...infer Front extends Shape, number, number] ? Front : Shape, SumDType<D>>;
    cross<T extends Shape, E extends DType>(
      other: Tensor<T, E> & Ok<BroadcastCheck<S, T, 'cross'>>,
      axis?: number,
    ): Tensor<Broadcast<S, T>, Promote<D, E>>;
    indexFill<E extends DType, V extends Replacement>(
      axis: number,
      index: IndexTensor<Shape, E, 'indexFill'>,
      value: V & Ok<ReplacementCheck<V, D, 'indexFill'>>,
    ): Tensor<S, D>;
  }
}
installMethods({ trace, cross, indexFill });
