/** Sparse matrices by compressed rows, and their products with dense ones. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import type { IndexDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { checkShape, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { lowerPrecision, operand } from './autocast';
import { ones, zeros } from './creation';
import { checkDType, checkTensor, defineOp, floats, run } from './define';
import { describe } from '../tensor/describe';
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

/** The entries of a matrix without their values, and those of its transpose once somebody asks for them. */
class Pattern {
  #turned: { readonly pattern: Pattern; readonly order: Index } | undefined;

  constructor(
    readonly shape: readonly [rows: number, columns: number],
    readonly rowPointers: AnyTensor,
    readonly rows: AnyTensor,
    readonly columns: AnyTensor,
  ) {}

  /** The transpose, and the order in which it takes the entries. */
  get turned(): { readonly pattern: Pattern; readonly order: Index } {
    if (this.#turned === undefined) {
      this.#turned = patternOf(this.columns, this.rows, [this.shape[1], this.shape[0]]);
      const { pattern, order } = this.#turned;
      // Made inside the scope of a backward pass, and wanted in the next.
      for (const part of [pattern.rowPointers, pattern.rows, pattern.columns, order]) part.keep();
    }
    return this.#turned;
  }
}

/** The pattern of entries in any order, and the order in which it takes them. */
function patternOf(
  rows: AnyTensor,
  columns: AnyTensor,
  shape: readonly [rows: number, columns: number],
): { pattern: Pattern; order: Index } {
  const { device } = rows;
  const order = rows.argsort({ axis: 0 });
  const one: AnyTensor = ones([rows.size], { dtype: 'int64', device });
  const nothing: AnyTensor = zeros([shape[0]], { dtype: 'int64', device });
  const counts: AnyTensor = nothing.indexAdd(0, rows, one);
  const pointers = cat([zeros([1], { dtype: 'int64', device }) as AnyTensor, counts.cumsum(0)], 0);
  return { pattern: new Pattern(shape, pointers, rows.indexSelect(0, order), columns.indexSelect(0, order)), order };
}

const csrMatmulOp = defineOp<Pattern>('csrMatmul', {
  dtypes: floats,
  saves: { inputs: true },
  // y = V·x: gV at its entries of g·xᵀ, gx = Vᵀ·g.
  gradient: (g, node) => {
    const pattern = node.context;
    return [
      undefined,
      undefined,
      node.needs(2) ? sampled(pattern, g, node.input(3)) : undefined,
      node.needs(3) ? turnedProduct(pattern, node.input(2), g) : undefined,
    ];
  },
});
const sampledMatmulOp = defineOp<Pattern>('sampledMatmul', {
  dtypes: floats,
  saves: { inputs: true },
  // v = a·bᵀ at the entries: ga = G·b and gb = Gᵀ·a, for the matrix G of the entries' gradients.
  gradient: (g, node) => [
    undefined,
    undefined,
    node.needs(2) ? product(node.context, g, node.input(3)) : undefined,
    node.needs(3) ? turnedProduct(node.context, g, node.input(2)) : undefined,
  ],
});

/** By row pointers, so that a matrix that stays is turned once. */
const patterns = new WeakMap<AnyTensor, Pattern>();
function patternFor({ shape, rowPointers, rows, columns }: CsrMatrix): Pattern {
  const known = patterns.get(rowPointers);
  if (known?.rows === rows && known.columns === columns && known.shape[1] === shape[1]) return known;
  const pattern = new Pattern(shape, rowPointers, rows, columns);
  patterns.set(rowPointers, pattern);
  return pattern;
}

/** x with adjacent rows, as the kernels want it. */
const adjacent = (x: AnyTensor): AnyTensor => (x.strides[1] === 1 || x.shape[1] === 1 ? x : x.contiguous());

function product(pattern: Pattern, values: AnyTensor, x: AnyTensor): AnyTensor {
  const shape = [pattern.shape[0], x.shape[1]!];
  return run(
    csrMatmulOp,
    [pattern.rowPointers, pattern.columns, values, adjacent(x)],
    shape,
    x.dtype,
    undefined,
    pattern,
  );
}
function turnedProduct({ turned: { pattern, order } }: Pattern, values: AnyTensor, x: AnyTensor): AnyTensor {
  return product(pattern, values.indexSelect(0, order), x);
}
function sampled(pattern: Pattern, a: AnyTensor, b: AnyTensor): AnyTensor {
  const { rows, columns } = pattern;
  return run(sampledMatmulOp, [rows, columns, adjacent(a), adjacent(b)], rows.shape, a.dtype, undefined, pattern);
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
  const { pattern, order } = patternOf(rows, columns, shape);
  const entries: AnyTensor = values ?? ones([rows.size], { device: rows.device });
  const { rowPointers } = pattern;
  return { shape, rowPointers, rows: pattern.rows, columns: pattern.columns, values: entries.indexSelect(0, order) };
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
  const { shape, rowPointers } = sparse;
  const values = operand(lowerPrecision, sparse.values);
  dense = operand(lowerPrecision, dense);
  if (dense.rank !== 2 || dense.shape[0] !== shape[1]) {
    throw new ShapeError(`${op}: inner sizes differ: sparse ${show(shape)} · dense ${show(dense.shape)}`);
  }
  if (values.dtype !== dense.dtype) {
    throw new DTypeError(`${op}: dense: got dtype ${dense.dtype}, expected ${values.dtype} as the values`);
  }
  checkIndex(op, rowPointers, 'rowPointers');
  if (!sameShape(rowPointers.shape, [shape[0] + 1])) {
    throw new ShapeError(
      `${op}: rowPointers do not fit: got shape ${show(rowPointers.shape)}, expected [${shape[0] + 1}]`,
    );
  }
  return product(patternFor(sparse), values, dense);
}
