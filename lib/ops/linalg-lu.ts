/** Factors P·L·U of matrices, and solutions with them: lu, luFactor, luSolve. Through LAPACK. */
import { ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type {
  LowerFactor,
  RowPermutation,
  SingularValues,
  SquareCheck,
  UpperFactor,
} from '../tensor/linalg-shape-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { oneHot } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, installMethods, run, runMany } from './define';
import { solveTriangle, type SolveOptions } from './linalg-factor';
import { batchOf, checkMatrices, checkSquare, identity, lapackDTypes, sizesOf, withRightSides } from './linalg-shared';
import { broadcastBatch } from './matmul';
import { cat } from './movement';

const luPermutationOp = defineOp('luPermutation', { dtypes: ['int32'], onHost: true });

/** The rows of a matrix in the order in which they are those of L·U [..., m], from its pivots. */
const orderOf = (pivots: AnyTensor, m: number): AnyTensor =>
  run(luPermutationOp, [pivots], [...pivots.shape.slice(0, -1), m], 'int32');

/** Pᵀ·x, for an order of the batch of x. */
const permuted = (x: AnyTensor, order: AnyTensor): AnyTensor => x.takeAlongAxis(order.unsqueeze(-1), -2);
/** P·x. */
const permutedBack = (x: AnyTensor, order: AnyTensor): AnyTensor => permuted(x, order.argsort());

const luFactorOp = defineOp('luFactor', {
  dtypes: lapackDTypes,
  onHost: true,
  saves: { outputs: true },
  // Of a square matrix gx = P·L⁻ᵀ·C·U⁻ᵀ with C = tril(Lᵀ·g, -1) + triu(g·Uᵀ). Columns right of the square part, U₂ = L⁻¹·Pᵀ·x₂, take g₂·U₂ᵀ from the lower part of C
  // and add P·L⁻ᵀ·g₂; rows below it, L₂ = Pᵀ·x₂·U⁻¹, take L₂ᵀ·g₂ from the upper and add g₂·U⁻ᵀ.
  gradient: (g, node) => {
    const lu = node.output(0);
    const [m, n] = sizesOf(lu);
    const k = Math.min(m, n);
    const square = (x: AnyTensor): AnyTensor => x.narrow(-2, 0, k).narrow(-1, 0, k);
    const besides = (x: AnyTensor): AnyTensor => x.narrow(-1, k, n - k);
    const below = (x: AnyTensor): AnyTensor => x.narrow(-2, k, m - k);
    const [l, u] = [square(lu).transpose(), square(lu).triu().transpose()];
    const ahead = (x: AnyTensor): AnyTensor => solveTriangle(l, x, true, true);
    const behind = (x: AnyTensor): AnyTensor => solveTriangle(u.transpose(), x.transpose(), true, false).transpose();
    let lower = l.triu(1).add(identity(l, k)).matmul(square(g).tril(-1));
    let upper = square(g).triu().matmul(u);
    if (n > k) lower = lower.sub(besides(g).matmul(besides(lu).transpose()));
    if (m > k) upper = upper.sub(below(lu).transpose().matmul(below(g)));
    const inner = lower.tril(-1).add(upper.triu());
    const rows =
      m > k
        ? behind(cat([ahead(inner), below(g)], -2))
        : ahead(n > k ? cat([behind(inner), besides(g)], -1) : behind(inner));
    return [permutedBack(rows, orderOf(node.output(1), m))];
  },
});

/**
 * L and U of x = P·L·U in one matrix, and the pivots: `[lu, pivots]`, for matrices [..., m, n] with k = min(m, n). What is below the diagonal of lu [..., m, n] is L, whose
 * diagonal is 1, and the rest is U. Step i has exchanged row i and row pivots[i] − 1, as LAPACK counts, pivots [..., k] of int32. A singular matrix has factors too, with a zero on the
 * diagonal of U. The gradient wants the first k columns and rows of L·U to have an inverse.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64.
 * @example
 * const [factors, pivots] = luFactor(tensor([[1, 2], [2, 6]]));
 * luSolve(factors, pivots, tensor([5, 14])); // [1, 2]
 */
export function luFactor<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
): [lu: Tensor<S, D>, pivots: Tensor<SingularValues<S>, 'int32'>];
export function luFactor(x: AnyTensor): AnyTensor[] {
  checkMatrices('luFactor', x);
  return factor(x);
}

const factor = (x: AnyTensor): AnyTensor[] =>
  runMany(
    luFactorOp,
    [x],
    [
      { shape: x.shape, dtype: x.dtype },
      { shape: [...batchOf(x), Math.min(...sizesOf(x))], dtype: 'int32' },
    ],
  );

/**
 * A permutation p, a lower triangle l with ones on its diagonal and an upper one u with x = p·l·u: `[p, l, u]` of matrices [..., m, n], of shapes [..., m, m], [..., m, k] and
 * [..., k, n] with k = min(m, n). The gradient is that of {@link luFactor}.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64.
 * @example
 * lu(tensor([[1, 2], [2, 6]]))[2]; // [[2, 6], [0, -1]]
 */
export function lu<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
): [p: Tensor<RowPermutation<S>, D>, l: Tensor<LowerFactor<S>, D>, u: Tensor<UpperFactor<S>, D>];
export function lu(x: AnyTensor): AnyTensor[] {
  checkMatrices('lu', x);
  const [m, n] = sizesOf(x);
  const k = Math.min(m, n);
  const [factors, pivots] = factor(x);
  const p: AnyTensor = oneHot(orderOf(pivots!, m) as Tensor<Shape, 'int32'>, m, { dtype: x.dtype });
  const l = factors!
    .narrow(-1, 0, k)
    .tril(-1)
    .add(identity(x, m, k));
  return [p.transpose(), l, factors!.narrow(-2, 0, k).triu()];
}

export interface LuSolveOptions extends SolveOptions {
  /** Solves with aᵀ in place of a. */
  readonly transpose?: boolean;
}

/**
 * The solution x of a·x = b from the factors of a [..., n, n] that {@link luFactor} gives, for b [..., n, k], [n], or one vector per matrix [..., n]. Batch axes
 * broadcast. A zero on the diagonal of U gives infinities.
 *
 * @throws ShapeError when lu is not square or what is given does not fit; DTypeError unless lu and b are float32 or float64 and pivots int32; IndexError at the next read for a pivot that is
 * no row.
 * @example
 * const [factors, pivots] = luFactor(tensor([[2, 1], [1, 3]]));
 * luSolve(factors, pivots, tensor([3, 4])); // [1, 1]
 */
export function luSolve<S extends Shape, D extends DType>(
  lu: Tensor<S, D> & Ok<SquareCheck<S, 'luSolve', 'lu'>>,
  pivots: Tensor<Shape, 'int32'>,
  b: Tensor<Shape, D>,
  options?: LuSolveOptions,
): Tensor<Shape, D>;
export function luSolve(lu: AnyTensor, pivots: AnyTensor, b: AnyTensor, options: LuSolveOptions = {}): AnyTensor {
  checkOptions('luSolve', options);
  checkSquare('luSolve', lu, 'lu');
  checkTensor('luSolve', pivots, 'pivots');
  checkDType('luSolve', pivots.dtype, luPermutationOp.dtypes);
  if (!sameShape(pivots.shape, lu.shape.slice(0, -1))) {
    throw new ShapeError(
      `luSolve: pivots do not fit: got shape ${show(pivots.shape)} for lu ${show(lu.shape)}, expected ${show(lu.shape.slice(0, -1))}`,
      { lu: lu.shape, pivots: pivots.shape },
    );
  }
  const { left = true, transpose = false } = options;
  const order = orderOf(pivots, lu.shape[lu.rank - 1]!);
  return withRightSides(
    'luSolve',
    lu,
    b,
    (factors, right, back) => {
      const rows = broadcastBatch(order.unsqueeze(-1), batchOf(factors)).squeeze(-1) as AnyTensor;
      if (transpose !== left) {
        const y = solveTriangle(factors, permuted(right, rows), false, true);
        return back(solveTriangle(factors, y, true, false));
      }
      // aᵀ = Uᵀ·Lᵀ·Pᵀ
      const turned = factors.transpose();
      const y = solveTriangle(turned, right, false, false);
      return back(permutedBack(solveTriangle(turned, y, true, true), rows));
    },
    { left, name: 'lu' },
  );
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    lu(): [p: Tensor<RowPermutation<S>, D>, l: Tensor<LowerFactor<S>, D>, u: Tensor<UpperFactor<S>, D>];
    luFactor(): [lu: Tensor<S, D>, pivots: Tensor<SingularValues<S>, 'int32'>];
    luSolve(pivots: Tensor<Shape, 'int32'>, b: Tensor<Shape, D>, options?: LuSolveOptions): Tensor<Shape, D>;
  }
}
installMethods({ lu, luFactor, luSolve });
