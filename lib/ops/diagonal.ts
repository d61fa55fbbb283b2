/** Diagonals and triangles of matrices. */
import { ArgumentError, ShapeError } from '../errors';
import type { Device } from '../runtime/device';
import { shown } from '../tensor/describe';
import type { DType, IndexDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { checkShape, normalizeAxis, show } from '../tensor/shapes';
import type { Tensor, AnyTensor } from '../tensor/tensor';
import { ones, zeros, type CreationOptions } from './creation';
import {
  allDTypes,
  checkDType,
  checkOptions,
  checkTensor,
  defineOp,
  defineView,
  installMethods,
  recorded,
  run,
  view,
} from './define';
import { nonzeroPlaces } from './masks';
import { stack } from './movement';

/** How many elements the diagonal of a matrix has that begins `offset` columns to the right of the corner. */
const lengthOf = (rows: number, columns: number, offset: number): number =>
  Math.max(0, Math.min(rows + Math.min(offset, 0), columns - Math.max(offset, 0)));

function checkOffset(op: string, offset: number): void {
  if (Number.isSafeInteger(offset)) return;
  throw new ArgumentError(`${op}: offset: got ${shown(offset)}, expected an integer`);
}

/** Two different axes of `shape`, counted from the front. */
function checkAxes(op: string, axes: readonly number[], shape: Shape): readonly [rows: number, columns: number] {
  if (!Array.isArray(axes) || axes.length !== 2) {
    throw new ArgumentError(`${op}: axes: got ${shown(axes)}, expected two axes`);
  }
  const [rows, columns] = axes.map((axis: number) => normalizeAxis(op, axis, shape)) as [number, number];
  if (rows === columns) {
    throw new ShapeError(`${op}: axis ${rows} given twice for shape ${show(shape)}`, { axes, shape });
  }
  return [rows, columns];
}

/** The diagonal of the last two axes. */
function lastDiagonal(x: AnyTensor, offset: number): AnyTensor {
  const rank = x.shape.length;
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const [down, right] = x.strides.slice(-2) as [number, number];
  const length = lengthOf(rows, columns, offset);
  const skipped = length === 0 ? 0 : offset >= 0 ? offset * right : -offset * down;
  const shape = [...x.shape.slice(0, rank - 2), length];
  const strides = [...x.strides.slice(0, rank - 2), down + right];
  return view(diagonalOp, x, shape, strides, x.offset + skipped, offset);
}

const diagonalOp = defineView<number>('diagonal', (g, node) => {
  const [rows, columns] = node.shape(0).slice(-2) as [number, number];
  return [placed(g, rows, columns, node.context)];
});

const placedOp = defineView<number>('diagEmbed', (g, node) => [lastDiagonal(g, node.context)]);

/** Matrices of zeros with the rows of `x` as diagonals: the elements of a diagonal are `columns + 1` apart in the flattened matrix. */
function placed(x: AnyTensor, rows: number, columns: number, offset: number): AnyTensor {
  const batch = x.shape.slice(0, -1);
  const length = x.shape[x.rank - 1]!;
  const size = rows * columns;
  if (length === 0) return zeros([...batch, rows, columns], { dtype: x.dtype, device: x.device });
  const spread = x
    .detach()
    .unsqueeze(-1)
    .pad([[0, columns]]) as AnyTensor;
  const reach = (length - 1) * (columns + 1) + 1;
  const first = offset >= 0 ? offset : -offset * columns;
  let flat = spread.reshape([...batch, length * (columns + 1)]).narrow(-1, 0, reach) as AnyTensor;
  if (reach < size) flat = flat.pad([[first, size - first - reach]]);
  return recorded(placedOp, [x], flat.reshape([...batch, rows, columns]), offset);
}

export interface DiagonalOptions {
  /** How many columns to the right of the corner the diagonals begin; 0 unless given. */
  readonly offset?: number;
  /** The axes of the matrices; the last two unless given. */
  readonly axes?: readonly [rows: number, columns: number];
}

/**
 * The diagonals of the matrices that two axes span, as a new last axis. A view.
 *
 * @throws ShapeError when x has fewer than two axes.
 * @example
 * diagonal(tensor([[1, 2], [3, 4]])); // [1, 4]
 */
export function diagonal<D extends DType>(x: Tensor<Shape, D>, options?: DiagonalOptions): Tensor<Shape, D>;
export function diagonal(x: AnyTensor, options: DiagonalOptions = {}): AnyTensor {
  checkOptions('diagonal', options);
  checkTensor('diagonal', x);
  const { offset = 0, axes = [-2, -1] } = options;
  checkOffset('diagonal', offset);
  const [rows, columns] = checkAxes('diagonal', axes, x.shape);
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== rows && axis !== columns);
  const isLast = rows === x.rank - 2 && columns === x.rank - 1;
  return lastDiagonal(isLast ? x : x.permute([...others, rows, columns]), offset);
}

/**
 * Matrices that are 0 but for their diagonals, the lines of the last axis of x: the inverse of {@link diagonal}.
 *
 * @throws ShapeError for a scalar or axes that are none; ArgumentError.
 * @example
 * diagEmbed(tensor([[1, 2]])); // [[[1, 0], [0, 2]]]
 */
export function diagEmbed<D extends DType>(x: Tensor<Shape, D>, options?: DiagonalOptions): Tensor<Shape, D>;
export function diagEmbed(x: AnyTensor, options: DiagonalOptions = {}): AnyTensor {
  checkOptions('diagEmbed', options);
  checkTensor('diagEmbed', x);
  const { offset = 0, axes = [-2, -1] } = options;
  if (x.rank === 0) throw new ShapeError('diagEmbed: got shape [], expected at least one axis');
  checkOffset('diagEmbed', offset);
  const size = x.shape[x.rank - 1]! + Math.abs(offset);
  const places = checkAxes('diagEmbed', axes, [...x.shape.slice(0, -1), size, size]);
  return placed(x, size, size, offset).moveAxis([-2, -1], places) as AnyTensor;
}

/**
 * The diagonal of a matrix, or the matrix with a vector as its diagonal.
 *
 * @throws ShapeError when x is neither.
 * @example
 * diag(tensor([1, 2])); // [[1, 0], [0, 2]]
 */
export function diag<D extends DType>(x: Tensor<Shape, D>, offset?: number): Tensor<Shape, D>;
export function diag(x: AnyTensor, offset = 0): AnyTensor {
  checkTensor('diag', x);
  checkOffset('diag', offset);
  if (x.rank === 2) return lastDiagonal(x, offset).contiguous();
  if (x.rank !== 1) throw new ShapeError(`diag: got shape ${show(x.shape)}, expected a vector or a matrix`);
  const size = x.size + Math.abs(offset);
  checkShape('diag', [size, size]);
  return placed(x, size, size, offset);
}

/**
 * The identity matrix, or the first `columns` columns of a wide one.
 *
 * @throws ShapeError when a size is none.
 * @example
 * eye(2); // [[1, 0], [0, 1]]
 * eye(2, { dtype: 'bool' }); // [[true, false], [false, true]]
 */
export function eye<const N extends number, const M extends number = N, D extends DType = 'float32'>(
  rows: N,
  columns?: M,
  options?: CreationOptions<D>,
): Tensor<[N, M], D>;
export function eye<const N extends number, D extends DType = 'float32'>(
  rows: N,
  options: CreationOptions<D>,
): Tensor<[N, N], D>;
export function eye(rows: number, second?: number | CreationOptions, third?: CreationOptions): AnyTensor {
  const [columns = rows, options = {}] = typeof second === 'object' ? [undefined, second] : [second, third];
  checkOptions('eye', options);
  const { requiresGrad = false, ...rest } = options;
  checkShape('eye', [rows, columns]);
  const matrix: AnyTensor = zeros([rows, columns], rest);
  lastDiagonal(matrix, 0).fill_(1);
  return requiresGrad ? matrix.requiresGrad_() : matrix;
}

const trilOp = defineOp('tril', { dtypes: allDTypes, gradient: (g, { context }) => [g.tril(context[0])] });
const triuOp = defineOp('triu', { dtypes: allDTypes, gradient: (g, { context }) => [g.triu(context[0])] });

function triangle<S extends Shape, D extends DType>(op: typeof trilOp, x: Tensor<S, D>, offset: number): Tensor<S, D> {
  checkTensor(op.name, x);
  checkOffset(op.name, offset);
  if (x.rank < 2) throw new ShapeError(`${op.name}: got shape ${show(x.shape)}, expected at least two axes`);
  return run(op, [x], x.shape, x.dtype, [offset]) as unknown as Tensor<S, D>;
}

/**
 * The matrices in the last two axes with zeros above the diagonal that begins `offset` columns to the right of the corner.
 *
 * @throws ShapeError when x has fewer than two axes.
 * @example
 * tril(ones([2, 2])); // [[1, 0], [1, 1]]
 */
export function tril<S extends Shape, D extends DType>(x: Tensor<S, D>, offset = 0): Tensor<S, D> {
  return triangle(trilOp, x, offset);
}

/**
 * The matrices in the last two axes with zeros below the diagonal that begins `offset` columns to the right of the corner.
 *
 * @throws ShapeError when x has fewer than two axes.
 * @example
 * triu(ones([2, 2]), 1); // [[0, 1], [0, 0]]
 */
export function triu<S extends Shape, D extends DType>(x: Tensor<S, D>, offset = 0): Tensor<S, D> {
  return triangle(triuOp, x, offset);
}

export interface TriangleIndicesOptions<D extends IndexDType = IndexDType> extends Pick<
  CreationOptions<D>,
  'dtype' | 'device'
> {
  /** Of the diagonal that bounds the triangle, in columns to the right of the corner; 0 unless given. */
  readonly offset?: number;
}

/** Which triangle of a matrix is meant: the elements from a diagonal on to the right, or up to it. */
interface Triangle {
  readonly rows: number;
  readonly columns: number;
  /** Of the diagonal, in columns to the right of the corner. */
  readonly offset: number;
  readonly isUpper: boolean;
}

/** How many elements of a matrix are left of the diagonal that begins `offset` columns to the right of the corner. */
function countBefore(rows: number, columns: number, offset: number): number {
  const clipped = (row: number): number => Math.min(Math.max(row, 0), rows);
  // The first row whose diagonal is in the matrix, and the first whose diagonal is behind it.
  const [first, whole] = [clipped(-offset), clipped(columns - offset)];
  return ((whole - first) * (first + whole - 1 + 2 * offset)) / 2 + columns * (rows - whole);
}

/** The places of a triangle in the flattened matrix, row by row. */
export function trianglePlaces({ rows, columns, offset, isUpper }: Triangle, device?: Device): AnyTensor {
  const all = ones([rows, columns], { dtype: 'bool', ...(device === undefined ? {} : { device }) }) as AnyTensor;
  const count = isUpper ? rows * columns - countBefore(rows, columns, offset) : countBefore(rows, columns, offset + 1);
  return nonzeroPlaces(isUpper ? triu(all, offset) : tril(all, offset)).build(count) as unknown as AnyTensor;
}

/** Places [2, count] of a triangle: row numbers, and below them column numbers. */
function trianglePositions(
  op: string,
  { offset = 0, dtype = 'int64', device }: TriangleIndicesOptions,
  triangle: Omit<Triangle, 'offset'>,
): AnyTensor {
  checkShape(op, [triangle.rows, triangle.columns]);
  checkOffset(op, offset);
  checkDType(op, dtype, ['int64', 'int32']);
  const places = trianglePlaces({ ...triangle, offset }, device);
  const width = Math.max(triangle.columns, 1);
  return stack([places.floorDivide(width) as AnyTensor, places.remainder(width) as AnyTensor]).cast(dtype) as AnyTensor;
}

/**
 * The places of the lower triangle of a matrix, row by row: row numbers, and below them column numbers. int64 unless given; int32 is possible.
 *
 * @throws ShapeError when a size is none; DTypeError for other dtypes.
 * @example
 * trilIndices(2); // [[0, 1, 1], [0, 0, 1]]
 */
export function trilIndices<D extends IndexDType = 'int64'>(
  rows: number,
  columns?: number,
  options?: TriangleIndicesOptions<D>,
): Tensor<[2, number], NoInfer<D>>;
export function trilIndices(rows: number, columns = rows, options: TriangleIndicesOptions = {}): AnyTensor {
  checkOptions('trilIndices', options);
  return trianglePositions('trilIndices', options, { rows, columns, isUpper: false });
}

/**
 * The places of the upper triangle of a matrix, row by row: row numbers, and below them column numbers. int64 unless given; int32 is possible.
 *
 * @throws ShapeError when a size is none; DTypeError for other dtypes.
 * @example
 * triuIndices(3, 3, { offset: 1 }); // [[0, 0, 1], [1, 2, 2]]
 */
export function triuIndices<D extends IndexDType = 'int64'>(
  rows: number,
  columns?: number,
  options?: TriangleIndicesOptions<D>,
): Tensor<[2, number], NoInfer<D>>;
export function triuIndices(rows: number, columns = rows, options: TriangleIndicesOptions = {}): AnyTensor {
  checkOptions('triuIndices', options);
  return trianglePositions('triuIndices', options, { rows, columns, isUpper: true });
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    diagonal(options?: DiagonalOptions): Tensor<Shape, D>;
    diagEmbed(options?: DiagonalOptions): Tensor<Shape, D>;
    diag(offset?: number): Tensor<Shape, D>;
    tril(offset?: number): Tensor<S, D>;
    triu(offset?: number): Tensor<S, D>;
  }
}
installMethods({ diagonal, diagEmbed, diag, tril, triu });
