/** Orthogonal factors and what follows from them: qr, householderProduct, svd, eigh, pinv, lstsq, matrixRank; and powers and exponentials of matrices. Through LAPACK. */
import { ArgumentError, AutogradError, DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Batch, Eigenvalues, SingularValues, SquareCheck } from '../tensor/linalg-shape-types';
import { recording } from '../tensor/node';
import type { Ok, Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ones, zeros, zerosLike } from './creation';
import { checkOptions, checkTensor, defineOp, installMethods, run, runMany } from './define';
import { describe } from '../tensor/describe';
import { inv, solveTriangle, triangularSolve } from './linalg-factor';
import {
  batchOf,
  checkMatrices,
  checkSquare,
  epsilonOf,
  identity,
  lapackDTypes,
  sizesOf,
  timesColumns,
  timesRows,
  withRightSides,
} from './linalg-shared';
import { cat } from './movement';
import { where } from './pointwise-compare';

const dtypes = lapackDTypes;

// -------------------------------------------------------------------------------------------------------------------- qr

const qrOp = defineOp('qr', {
  dtypes,
  onHost: true,
  saves: { outputs: true },
  differentiableOutputs: 2,
  // With M = gR·Rᵀ - Qᵀ·gQ: a tall matrix has (gQ + Q·sym(triu M))·R⁻ᵀ, a wide one Q·(gR + …) with its square part alone behind the
  // inverse. Roberts & Roberts 2020, QR and LQ decomposition matrix backpropagation algorithms.
  gradient: (gq, node, [gr]) => {
    const [q, r] = [node.output(0), node.output(1)];
    const [m, n] = [q.shape[q.rank - 2]!, r.shape[r.rank - 1]!];
    if (q.shape[q.rank - 1]! > Math.min(m, n)) {
      throw new AutogradError(
        `backward: qr of a tall matrix in mode complete has no gradient: got [${m}, ${n}], expected mode reduced`,
      );
    }
    const inner = q.transpose().matmul(gq).neg();
    const middle = gr === undefined ? inner : gr.matmul(r.transpose()).add(inner);
    const behind = (x: AnyTensor): AnyTensor =>
      triangularSolve(m < n ? r.narrow(-1, 0, m) : r, x, { upper: true, transpose: true, left: false });
    if (m >= n) {
      const upper = middle.triu();
      return [behind(gq.add(q.matmul(upper.add(upper.triu(1).transpose()))))];
    }
    // The square part's own share, and gR through Q.
    const lower = middle.transpose().sub(middle).tril();
    const square = behind(q.matmul(lower));
    const rest: AnyTensor = zeros([...batchOf(q), m, n - m], { dtype: q.dtype, device: q.device });
    const padded = cat([square, rest], -1);
    return [gr === undefined ? padded : padded.add(q.matmul(gr))];
  },
});

export interface QrOptions {
  /** `'reduced'` gives q [..., m, k] and r [..., k, n] with k = min(m, n), `'complete'` q [..., m, m] and r [..., m, n]; reduced unless given. */
  readonly mode?: 'reduced' | 'complete';
}

/**
 * Orthonormal q and upper triangular r with x = q·r, for matrices [..., m, n]. The gradient wants the first min(m, n) columns independent, and mode
 * reduced where m > n.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64.
 * @example
 * qr(tensor([[3, 0], [4, 5]]))[1]; // [[-5, -4], [0, 3]]
 */
export function qr<D extends DType>(
  x: Tensor<Shape, D>,
  options?: QrOptions,
): [q: Tensor<Shape, D>, r: Tensor<Shape, D>];
export function qr(x: AnyTensor, options: QrOptions = {}): AnyTensor[] {
  checkOptions('qr', options);
  checkMatrices('qr', x);
  const { mode = 'reduced' } = options;
  if (mode !== 'reduced' && mode !== 'complete') {
    throw new ArgumentError(`qr: mode: got ${describe(mode)}, expected 'reduced' or 'complete'`);
  }
  const [m, n] = sizesOf(x);
  const columns = mode === 'complete' ? m : Math.min(m, n);
  return runMany(
    qrOp,
    [x],
    [
      { shape: [...batchOf(x), m, columns], dtype: x.dtype },
      { shape: [...batchOf(x), columns, n], dtype: x.dtype },
    ],
  );
}

/**
 * The first n columns of H₁·H₂ … Hₖ with Hᵢ = 1 − τᵢ·vᵢ·vᵢᵀ, for x [..., m, n] with m ≥ n and tau [..., k] with k ≤ n: what LAPACK's factorisations leave of Q. Vector vᵢ is column i of x
 * with 0 above its diagonal and 1 on it, neither of which is read.
 *
 * @throws ShapeError when the shapes are not such; DTypeError unless both are float32 or float64.
 * @see Schreiber and Van Loan, 1989, A storage-efficient WY representation for products of Householder transformations.
 * @example
 * householderProduct(tensor([[0], [1]]), tensor([1])); // [[0], [-1]]
 */
export function householderProduct<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  tau: Tensor<Shape, D>,
): Tensor<S, D>;
export function householderProduct(x: AnyTensor, tau: AnyTensor): AnyTensor {
  checkMatrices('householderProduct', x);
  checkTensor('householderProduct', tau, 'tau');
  if (x.dtype !== tau.dtype) {
    throw new DTypeError(
      `householderProduct: dtypes differ: got x ${x.dtype} and tau ${tau.dtype}, expected one dtype`,
    );
  }
  const [m, n] = sizesOf(x);
  const k = tau.shape[tau.rank - 1] ?? Infinity;
  if (m < n || k > n || !sameShape(batchOf(x), tau.shape.slice(0, -1))) {
    throw new ShapeError(
      `householderProduct: tau does not fit: got x ${show(x.shape)} and tau ${show(tau.shape)}, expected [..., m, n] and [..., k] with m >= n >= k`,
      { x: x.shape, tau: tau.shape },
    );
  }
  // 1 - V·T·Vᵀ with T = diag τ·(1 + S·diag τ)⁻¹, where S is what of Vᵀ·V is above the diagonal.
  const v = x
    .narrow(-1, 0, k)
    .tril(-1)
    .add(identity(x, m, k));
  const inner = timesColumns(v.transpose().matmul(v), tau);
  const rows = solveTriangle(inner, v.narrow(-2, 0, n).transpose(), true, true);
  return identity(x, m, n).sub(v.matmul(timesRows(rows, tau)));
}

// ------------------------------------------------------------------------------------------------------- singular values

const svdOp = defineOp('svd', {
  dtypes,
  onHost: true,
  saves: { outputs: true },
  differentiableOutputs: 3,
  // gx = U·((skew(Uᵀ·gU)/E)·S + S·(skew(Vᵀ·gV)/E) + diag gs)·Vᵀ with E[i, j] = s[j]² - s[i]², and for a tall or wide matrix what of gU
  // or gV is orthogonal to U or V. Of all vectors only the first min(m, n) take part.
  gradient: (gs, node, [gu, gvt]) => {
    const s = node.output(0);
    const k = s.shape[s.rank - 1]!;
    const columns = (x: AnyTensor): AnyTensor => x.narrow(-1, 0, k);
    const u = columns(node.output(1));
    const v = columns(node.output(2).transpose());
    const vt = v.transpose();
    if (gu === undefined && gvt === undefined) return [timesColumns(u, gs).matmul(vt)];
    const one = identity(s, k);
    const squares = s.square();
    const gaps = squares.unsqueeze(-2).sub(squares.unsqueeze(-1)).add(one);
    const rotation = (x: AnyTensor, g: AnyTensor): AnyTensor => {
      const product = x.transpose().matmul(g);
      return product.sub(product.transpose()).div(gaps);
    };
    let inner = one.mul(gs.unsqueeze(-1));
    let result: AnyTensor | undefined;
    if (gu !== undefined) {
      const g = columns(gu);
      inner = inner.add(timesColumns(rotation(u, g), s));
      if (u.shape[u.rank - 2]! > k) {
        result = timesColumns(g.sub(u.matmul(u.transpose().matmul(g))), s.reciprocal()).matmul(vt);
      }
    }
    if (gvt !== undefined) {
      const g = columns(gvt.transpose());
      inner = inner.add(timesRows(rotation(v, g), s));
      if (v.shape[v.rank - 2]! > k) {
        const outside = timesColumns(g.sub(v.matmul(vt.matmul(g))), s.reciprocal());
        const part = u.matmul(outside.transpose());
        result = result === undefined ? part : result.add(part);
      }
    }
    const whole = u.matmul(inner).matmul(vt);
    return [result === undefined ? whole : whole.add(result)];
  },
});

export interface SvdOptions {
  /** Gives all m columns of u and n rows of vᵀ, not the first min(m, n) alone; true unless given. */
  readonly fullMatrices?: boolean;
}

/**
 * The singular value decomposition x = u·diag(s)·vᵀ of matrices [..., m, n]: `[u, s, vᵀ]`, with s [..., min(m, n)] descending. Signs of vectors are
 * arbitrary, and only a loss that does not depend on them has a gradient; through u and v it wants distinct singular values.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * svd(tensor([[3, 0], [0, -2]]))[1]; // [3, 2]
 */
export function svd<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options?: SvdOptions,
): [u: Tensor<Shape, D>, s: Tensor<SingularValues<S>, D>, vt: Tensor<Shape, D>];
export function svd(x: AnyTensor, options: SvdOptions = {}): AnyTensor[] {
  checkOptions('svd', options);
  checkMatrices('svd', x);
  const { fullMatrices = true } = options;
  const [m, n] = sizesOf(x);
  const k = Math.min(m, n);
  const [s, u, vt] = runMany(
    svdOp,
    [x],
    [
      { shape: [...batchOf(x), k], dtype: x.dtype },
      { shape: [...batchOf(x), m, fullMatrices ? m : k], dtype: x.dtype },
      { shape: [...batchOf(x), fullMatrices ? n : k, n], dtype: x.dtype },
    ],
  );
  return [u!, s!, vt!];
}

const svdvalsOp = defineOp('svdvals', { dtypes, onHost: true });

/**
 * The singular values of matrices [..., m, n], descending. Quicker than {@link svd} where no gradient is wanted.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * svdvals(tensor([[3, 0], [0, -2]])); // [3, 2]
 */
export function svdvals<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<SingularValues<S>, D>;
export function svdvals(x: AnyTensor): AnyTensor {
  checkMatrices('svdvals', x);
  if (recording.enabled && x.requiresGrad) return svd(x, { fullMatrices: false })[1];
  return run(svdvalsOp, [x], [...batchOf(x), Math.min(...sizesOf(x))], x.dtype);
}

export interface ToleranceOptions {
  /** Singular values up to this times the largest count as zero; max(m, n) · ε unless given. */
  readonly tolerance?: number;
}

function toleranceOf(op: string, x: AnyTensor, { tolerance }: ToleranceOptions): number {
  if (tolerance === undefined) return Math.max(...sizesOf(x)) * epsilonOf(x.dtype);
  if (typeof tolerance === 'number' && tolerance >= 0) return tolerance;
  throw new ArgumentError(`${op}: tolerance: got ${describe(tolerance)}, expected a non-negative number`);
}

/**
 * The number of singular values of matrices [..., m, n] that are not nearly zero.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * matrixRank(tensor([[1, 2], [2, 4]])); // 1
 */
export function matrixRank<S extends Shape>(x: Tensor<S, DType>, options?: ToleranceOptions): Tensor<Batch<S>, 'int64'>;
export function matrixRank(x: AnyTensor, options: ToleranceOptions = {}): AnyTensor {
  checkOptions('matrixRank', options);
  checkMatrices('matrixRank', x);
  const tolerance = toleranceOf('matrixRank', x, options);
  const s: AnyTensor = svdvals(x.detach());
  const limit = s.shape[s.rank - 1] === 0 ? s : s.narrow(-1, 0, 1).mul(tolerance);
  return s.greater(limit).sum(-1);
}

/** Of y = x⁺, from x and y. Golub & Pereyra 1973, The differentiation of pseudo-inverses, equation 4.12. */
function pinvGradient(g: AnyTensor, x: AnyTensor, y: AnyTensor): AnyTensor {
  const [m, n] = sizesOf(x);
  const [turned, gt] = [y.transpose(), g.transpose()];
  if (m <= n) {
    const k = gt.matmul(y);
    const outer = k.matmul(turned);
    return y
      .matmul(k)
      .transpose()
      .neg()
      .add(outer)
      .sub(x.matmul(y).matmul(outer))
      .add(turned.matmul(y).matmul(gt.sub(k.matmul(x))));
  }
  const k = y.matmul(gt);
  const outer = turned.matmul(k);
  return k
    .matmul(y)
    .transpose()
    .neg()
    .add(gt.sub(x.matmul(k)).matmul(y).matmul(turned))
    .add(outer)
    .sub(outer.matmul(y).matmul(x));
}

const pinvOp = defineOp('pinv', {
  dtypes,
  onHost: true,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => [pinvGradient(g, node.input(0), node.output())],
});

function pseudoinverse(x: AnyTensor, tolerance: number): AnyTensor {
  const [m, n] = sizesOf(x);
  return run(pinvOp, [x], [...batchOf(x), n, m], x.dtype, [tolerance]);
}

/**
 * The Moore-Penrose pseudoinverses [..., n, m] of matrices [..., m, n]. The gradient wants a rank that does not change nearby.
 *
 * @throws ShapeError when x has no matrices; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * pinv(tensor([[2, 0], [0, 0], [0, 4]])); // [[0.5, 0, 0], [0, 0, 0.25]]
 */
export function pinv<D extends DType>(x: Tensor<Shape, D>, options?: ToleranceOptions): Tensor<Shape, D>;
export function pinv(x: AnyTensor, options: ToleranceOptions = {}): AnyTensor {
  checkOptions('pinv', options);
  checkMatrices('pinv', x);
  return pseudoinverse(x, toleranceOf('pinv', x, options));
}

const lstsqOp = defineOp('lstsq', {
  dtypes,
  onHost: true,
  saves: { inputs: true },
  // x = a⁺·b: ga as that of a pseudoinverse with the gradient g·bᵀ, gb = a⁺ᵀ·g.
  gradient: (g, node) => {
    const [a, b] = [node.input(0), node.input(1)];
    const inverse = pseudoinverse(a, node.context[0]!);
    return [
      node.needs(0) ? pinvGradient(g.matmul(b.transpose()), a, inverse) : undefined,
      node.needs(1) ? inverse.transpose().matmul(g) : undefined,
    ];
  },
});

export interface LeastSquares<D extends DType = DType> {
  readonly solution: Tensor<Shape, D>;
  /** ‖a·x - b‖² of every column, also where PyTorch leaves it out. */
  readonly residuals: Tensor<Shape, D>;
  readonly rank: Tensor<Shape, 'int64'>;
  readonly singularValues: Tensor<Shape, D>;
}

/**
 * The x of least norm that minimises ‖a·x - b‖, for a [..., m, n] of any rank and b [..., m, k], [m], or one vector per matrix [..., m]. Batch axes
 * broadcast.
 *
 * @throws ShapeError when b does not fit; DTypeError unless both are float32 or float64; LinAlgError at the next read when an operand is not finite.
 * @example
 * lstsq(tensor([[1, 0], [1, 1], [1, 2]]), tensor([1, 2, 3])).solution; // [1, 1]
 */
export function lstsq<D extends DType>(
  a: Tensor<Shape, D>,
  b: Tensor<Shape, D>,
  options?: ToleranceOptions,
): LeastSquares<D>;
export function lstsq(a: AnyTensor, b: AnyTensor, options: ToleranceOptions = {}): LeastSquares {
  checkOptions('lstsq', options);
  checkMatrices('lstsq', a, 'a');
  const tolerance = toleranceOf('lstsq', a, options);
  return withRightSides('lstsq', a, b, (matrices, right, back) => {
    const [m, n] = sizesOf(matrices);
    const batch = batchOf(matrices);
    const [x, rank, singularValues] = runMany(
      lstsqOp,
      [matrices, right],
      [
        { shape: [...batch, n, right.shape[right.rank - 1]!], dtype: a.dtype },
        { shape: batch, dtype: 'int64' },
        { shape: [...batch, Math.min(m, n)], dtype: a.dtype },
      ],
      [tolerance],
    );
    const difference = matrices.matmul(x!).sub(right);
    return {
      solution: back(x!),
      residuals: back(difference.square().sum(-2)),
      rank: rank as Tensor<Shape, 'int64'>,
      singularValues: singularValues!,
    };
  });
}

// ------------------------------------------------------------------------------------------------------------ eigenvalues

const eighOp = defineOp('eigh', {
  dtypes,
  onHost: true,
  saves: { outputs: true },
  differentiableOutputs: 2,
  // gx = V·(diag gw + (Vᵀ·gV)/E off the diagonal)·Vᵀ with E[i, j] = w[j] - w[i]. Giles 2008, section 3.1.
  gradient: (gw, node, [gv]) => {
    const [w, v] = [node.output(0), node.output(1)];
    if (gv === undefined) return [timesColumns(v, gw).matmul(v.transpose())];
    const one = identity(w, w.shape[w.rank - 1]!);
    const gaps = w.unsqueeze(-2).sub(w.unsqueeze(-1)).add(one);
    const off = v.transpose().matmul(gv).div(gaps).mul(one.neg().add(1));
    return [v.matmul(off.add(one.mul(gw.unsqueeze(-1)))).matmul(v.transpose())];
  },
});

/**
 * Eigenvalues w [..., n], ascending, and orthonormal eigenvectors v [..., n, n], one per column, of symmetric matrices: x = v·diag(w)·vᵀ. Only the
 * lower triangle of x is read. Signs of vectors are arbitrary, and only a loss that does not depend on them has a gradient; through v it wants
 * distinct eigenvalues.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * eigh(tensor([[2, 1], [1, 2]]))[0]; // [1, 3]
 */
export function eigh<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'eigh'>>,
): [w: Tensor<Eigenvalues<S>, D>, v: Tensor<S, D>];
export function eigh(x: AnyTensor): AnyTensor[] {
  checkSquare('eigh', x);
  return runMany(
    eighOp,
    [x],
    [
      { shape: x.shape.slice(0, -1), dtype: x.dtype },
      { shape: x.shape, dtype: x.dtype },
    ],
  );
}

const eigvalshOp = defineOp('eigvalsh', { dtypes, onHost: true });

/**
 * The eigenvalues of symmetric matrices [..., n, n], ascending. Quicker than {@link eigh} where no gradient is wanted.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * eigvalsh(tensor([[2, 1], [1, 2]])); // [1, 3]
 */
export function eigvalsh<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'eigvalsh'>>,
): Tensor<Eigenvalues<S>, D>;
export function eigvalsh(x: AnyTensor): AnyTensor {
  checkSquare('eigvalsh', x);
  if (recording.enabled && x.requiresGrad) return eigh(x)[0];
  return run(eigvalshOp, [x], x.shape.slice(0, -1), x.dtype);
}

// ---------------------------------------------------------------------------------------------------------------- powers

/**
 * The matrix product of `exponent` copies of x [..., n, n], by repeated squaring; of its inverse for a negative exponent, the identity for zero.
 *
 * @throws ShapeError when x is not square; ArgumentError unless the exponent is an integer; DTypeError unless x is float32 or float64; LinAlgError at
 * the next read for a negative power of a singular matrix.
 * @example
 * matrixPower(tensor([[1, 1], [0, 1]]), 5); // [[1, 5], [0, 1]]
 */
export function matrixPower<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'matrixPower'>>,
  exponent: number,
): Tensor<S, D>;
export function matrixPower(x: AnyTensor, exponent: number): AnyTensor {
  checkSquare('matrixPower', x);
  if (!Number.isSafeInteger(exponent)) {
    throw new ArgumentError(`matrixPower: exponent: got ${describe(exponent)}, expected an integer`);
  }
  if (exponent === 0) {
    // Of x, so that its gradient is zero and not missing.
    const always = ones([], { dtype: 'bool', device: x.device });
    return where(always, identity(x, sizesOf(x)[0]), x) as AnyTensor;
  }
  let square = exponent < 0 ? inv(x) : x;
  let result: AnyTensor | undefined;
  for (let rest = Math.abs(exponent); ; square = square.matmul(square)) {
    if (rest % 2 === 1) result = result === undefined ? square : result.matmul(square);
    rest = Math.floor(rest / 2);
    if (rest === 0) return result!;
  }
}

const matrixExpOp = defineOp('matrixExp', {
  dtypes,
  onHost: true,
  saves: { inputs: true },
  // What e^x changes by in the direction g stands in the corner of the exponential of [[x, g], [0, x]] (Higham 2008, theorem 3.6); the
  // gradient is that of xᵀ.
  gradient: (g, node) => {
    const x = node.input(0).transpose();
    const n = x.shape[x.rank - 1]!;
    const upper = cat([x, g], -1);
    const lower = cat([zerosLike(x), x], -1);
    return [
      exponential(cat([upper, lower], -2))
        .narrow(-2, 0, n)
        .narrow(-1, n, n),
    ];
  },
});

const exponential = (x: AnyTensor): AnyTensor => run(matrixExpOp, [x], x.shape, x.dtype);

/**
 * The exponentials `Σ xᵏ / k!` of matrices [..., n, n], by scaling and squaring.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64.
 * @example
 * matrixExp(tensor([[0, 1], [0, 0]])); // [[1, 1], [0, 1]]
 */
export function matrixExp<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'matrixExp'>>,
): Tensor<S, D>;
export function matrixExp(x: AnyTensor): AnyTensor {
  checkSquare('matrixExp', x);
  return exponential(x);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    qr(options?: QrOptions): [q: Tensor<Shape, D>, r: Tensor<Shape, D>];
    householderProduct(tau: Tensor<Shape, D>): Tensor<S, D>;
    svd(options?: SvdOptions): [u: Tensor<Shape, D>, s: Tensor<SingularValues<S>, D>, vt: Tensor<Shape, D>];
    svdvals(): Tensor<SingularValues<S>, D>;
    matrixRank(options?: ToleranceOptions): Tensor<Batch<S>, 'int64'>;
    pinv(options?: ToleranceOptions): Tensor<Shape, D>;
    lstsq(b: Tensor<Shape, D>, options?: ToleranceOptions): LeastSquares<D>;
    eigh(): [w: Tensor<Eigenvalues<S>, D>, v: Tensor<S, D>];
    eigvalsh(): Tensor<Eigenvalues<S>, D>;
    matrixPower(exponent: number): Tensor<S, D>;
    matrixExp(): Tensor<S, D>;
  }
}
installMethods({
  qr,
  householderProduct,
  svd,
  svdvals,
  matrixRank,
  pinv,
  lstsq,
  eigh,
  eigvalsh,
  matrixPower,
  matrixExp,
});
