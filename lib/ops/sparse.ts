/** Sparse matrices by compressed rows, and their products with dense ones. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import type { IndexDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { checkShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ones, zeros } from './creation';
import { checkDType, checkTensor, describe, floats } from './define';
import { checkIndex } from './indexing';
import { cat } from './movement';

type Index = Tensor<Shape, IndexDType>;

/** A sparse matrix by compressed rows. */
export interface CsrMatrix {
  readonly shape: readonly [rows: number, columns: number];
  /** [rows + 1]: where each row's entries begin and the last one's end. */
  readonly rowPointers: AnyTensor;
  /** [k], of each entry, in the order of rows. */
  readonly rows: AnyTensor;
  /** [k], of each entry. */
  readonly columns: AnyTensor;
  /** [k] */
  readonly values: AnyTensor;
}

function checkEntries(op: string, parts: Readonly<Record<string, AnyTensor>>): void {
  const counts = Object.entries(parts).map(([name, x]) => {
    checkTensor(op, x, name);
    if (x.rank !== 1) throw new ShapeError(`${op}: ${name}: got shape ${show(x.shape)}, expected [k]`);
    return x.size;
  });
  if (counts.some((count) => count !== counts[0])) {
    throw new ShapeError(`${op}: entries do not fit: got ${counts.join(', ')}, expected as many of each`);
  }
}

function checkSize(op: string, shape: unknown): asserts shape is readonly [rows: number, columns: number] {
  if (Array.isArray(shape) && shape.length === 2) {
    checkShape(op, shape as Shape);
    return;
  }
  throw new ArgumentError(`${op}: shape: got ${describe(shape)}, expected [rows, columns]`);
}

function checkMatrix(op: string, matrix: unknown): asserts matrix is CsrMatrix {
  if (typeof matrix !== 'object' || matrix === null) {
    throw new ArgumentError(`${op}: sparse: got ${describe(matrix)}, expected a matrix by csrFromCoo`);
  }
  const { shape, rows, columns, values } = matrix as CsrMatrix;
  checkSize(op, shape);
  checkIndex(op, rows, 'rows');
  checkIndex(op, columns, 'columns');
  checkEntries(op, { rows, columns, values });
}

/**
 * A sparse matrix from the rows, columns and values of its entries [k], in any order; entries at one place add up in products. Without values they
 * are ones.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read for a row outside the matrix.
 * @example
 * const index = { rows: tensor([1, 0], { dtype: 'int64' }), columns: tensor([0, 1], { dtype: 'int64' }) };
 * csrFromCoo(index.rows, index.columns, undefined, [2, 2]).rowPointers; // [0, 1, 2]
 */
export function csrFromCoo(
  rows: AnyTensor,
  columns: AnyTensor,
  values: AnyTensor | undefined,
  shape: readonly [rows: number, columns: number],
): CsrMatrix {
  const op = 'csrFromCoo';
  checkIndex(op, rows, 'rows');
  checkIndex(op, columns, 'columns');
  checkEntries(op, { rows, columns, ...(values && { values }) });
  checkSize(op, shape);
  const { device } = rows;
  const order = (rows as AnyTensor).argsort({ axis: 0 }) as Index;
  const one: AnyTensor = ones([rows.size], { dtype: 'int64', device });
  const nothing: AnyTensor = zeros([shape[0]], { dtype: 'int64', device });
  const counts: AnyTensor = nothing.indexAdd(0, rows, one);
  const entries: AnyTensor = values ?? ones([rows.size], { device });
  return {
    shape,
    rowPointers: cat([zeros([1], { dtype: 'int64', device }) as AnyTensor, counts.cumsum(0)], 0),
    rows: (rows as AnyTensor).indexSelect(0, order),
    columns: (columns as AnyTensor).indexSelect(0, order),
    values: entries.indexSelect(0, order),
  };
}

/**
 * The product of a sparse matrix [n, m] and a dense one [m, d]: [n, d], with gradients of the values and of the dense matrix. Sums are formed in the order
 * of the entries.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read for a column outside the matrix.
 * @example
 * const index = { rows: tensor([1, 0], { dtype: 'int64' }), columns: tensor([0, 1], { dtype: 'int64' }) };
 * spmm(csrFromCoo(index.rows, index.columns, tensor([2, 3]), [2, 2]), tensor([[1, 2], [3, 4]])); // [[9, 12], [2, 4]]
 */
export function spmm(sparse: CsrMatrix, dense: AnyTensor): AnyTensor {
  const op = 'spmm';
  checkTensor(op, dense, 'dense');
  checkDType(op, dense.dtype, floats);
  checkMatrix(op, sparse);
  const { shape, rows, columns, values } = sparse;
  if (dense.rank !== 2 || dense.shape[0] !== shape[1]) {
    throw new ShapeError(`${op}: inner sizes differ: sparse ${show(shape)} · dense ${show(dense.shape)}`);
  }
  if (values.dtype !== dense.dtype) {
    throw new DTypeError(`${op}: dense: got dtype ${dense.dtype}, expected ${values.dtype} as the values`);
  }
  const parts: AnyTensor = dense.indexSelect(0, columns as Index).mul(values.unsqueeze(1));
  const nothing: AnyTensor = zeros([shape[0], dense.shape[1]!], { dtype: dense.dtype, device: dense.device });
  return nothing.indexAdd(0, rows as Index, parts);
}
