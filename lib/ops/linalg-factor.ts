/** Linear systems and what follows from triangular factors: solve, triangularSolve, inv, cholesky and solutions with it, det, slogdet, logdet. Through LAPACK. */
import type { DType } from '../tensor/dtype';
import type { Batch, SquareCheck } from '../tensor/linalg-shape-types';
import { recording } from '../tensor/node';
import type { Ok, Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkOptions, defineOp, installMethods, run, runMany } from './define';
import { batchOf, checkSquare, identity, lapackDTypes, perMatrix, withRightSides } from './linalg-shared';
import { where } from './pointwise-compare';

const dtypes = lapackDTypes;

// ------------------------------------------------------------------------------------------------------------- triangles

/** Of A·x = b: gb = A⁻ᵀ·g and gA = -gb·xᵀ, in the triangle that is read. */
const triangularSolveOp = defineOp<readonly [upper: number, unit: number]>('triangularSolve', {
  dtypes,
  onHost: true,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const [upper, unit] = node.context;
    const gb = solveTriangle(node.input(0).transpose(), g, upper === 0, unit === 1);
    if (!node.needs(0)) return [undefined, gb];
    const full = gb.matmul(node.output().transpose()).neg();
    return [upper === 1 ? full.triu(unit) : full.tril(-unit), node.needs(1) ? gb : undefined];
  },
});

/** Of matrices and right-hand sides of one batch shape. */
export function solveTriangle(a: AnyTensor, b: AnyTensor, upper: boolean, unit: boolean): AnyTensor {
  const attributes = [upper ? 1 : 0, unit ? 1 : 0] as const;
  return run(triangularSolveOp, [a, b], b.shape, b.dtype, attributes, attributes);
}

export interface TriangularSolveOptions {
  /** Which triangle of a is read; the lower unless given. */
  readonly upper?: boolean;
  /** Solves with aᵀ in place of a; `upper` is about a. */
  readonly transpose?: boolean;
  /** Whether a stands left of x; x·a = b is solved if not. True unless given. */
  readonly left?: boolean;
  /** Takes the diagonal for ones without reading it. */
  readonly unitriangular?: boolean;
}

/**
 * The solution x of a·x = b for triangular a [..., n, n] and b [..., n, k] or [n]. Batch axes broadcast. A zero on the diagonal gives infinities.
 *
 * @throws ShapeError when a is not square or b does not fit; DTypeError unless both are float32 or float64.
 * @example
 * triangularSolve(tensor([[2, 0], [1, 1]]), tensor([[2], [3]])); // [[1], [2]]
 */
export function triangularSolve<S extends Shape, D extends DType>(
  a: Tensor<Shape, D>,
  b: Tensor<S, D>,
  options?: TriangularSolveOptions,
): Tensor<Shape, D>;
export function triangularSolve(a: AnyTensor, b: AnyTensor, options: TriangularSolveOptions = {}): AnyTensor {
  checkOptions('triangularSolve', options);
  const { upper = false, transpose = false, left = true, unitriangular = false } = options;
  checkSquare('triangularSolve', a, 'a');
  const flip = transpose === left;
  return withRightSides(
    'triangularSolve',
    a,
    b,
    (matrices, right, back) =>
      back(solveTriangle(flip ? matrices.transpose() : matrices, right, upper !== flip, unitriangular)),
    { left },
  );
}

const choleskyOp = defineOp('cholesky', {
  dtypes,
  onHost: true,
  saves: { outputs: true },
  // With Φ the lower triangle, its diagonal halved: gA = L⁻ᵀ·Φ(Lᵀ·gL)·L⁻¹, made symmetric. Giles 2008, section 2.3 (reverse mode).
  gradient: (g, node) => {
    const turned = node.output().transpose();
    const product = turned.matmul(g);
    const phi = product.tril().add(product.tril(-1)).mul(0.5);
    const half = solveTriangle(turned, phi, true, false);
    const whole = solveTriangle(turned, half.transpose(), true, false);
    return [whole.add(whole.transpose()).mul(0.5)];
  },
});

export interface CholeskyOptions {
  /** Reads the upper triangle and gives the upper factor U = Lᵀ. */
  readonly upper?: boolean;
}

/**
 * The Cholesky factor L of symmetric positive-definite matrices [..., n, n]: x = L·Lᵀ with L lower triangular. Only the lower triangle of x is read;
 * the gradient is symmetric.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64; LinAlgError at the next read when a matrix is not positive
 * definite.
 * @example
 * cholesky(tensor([[4, 2], [2, 5]])); // [[2, 0], [1, 2]]
 */
export function cholesky<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'cholesky'>>,
  options?: CholeskyOptions,
): Tensor<S, D>;
export function cholesky(x: AnyTensor, options: CholeskyOptions = {}): AnyTensor {
  checkOptions('cholesky', options);
  checkSquare('cholesky', x);
  if (options.upper === true) return run(choleskyOp, [x.transpose()], x.transpose().shape, x.dtype).transpose();
  return run(choleskyOp, [x], x.shape, x.dtype);
}

/** L of x = L·Lᵀ, or of the upper factor Lᵀ. */
const lowerOf = (factor: AnyTensor, { upper = false }: CholeskyOptions): AnyTensor =>
  upper ? factor.transpose() : factor;

/**
 * The solution x of a·x = b from the Cholesky factor l of a [..., n, n], for b [..., n, k], [n], or one vector per matrix [..., n]. Batch axes broadcast.
 * With `upper`, l is the upper factor. Only its triangle is read; a zero on the diagonal gives infinities.
 *
 * @throws ShapeError when l is not square or b does not fit; DTypeError unless both are float32 or float64.
 * @example
 * choleskySolve(tensor([6, 7]), cholesky(tensor([[4, 2], [2, 5]]))); // [1, 1]
 */
export function choleskySolve<S extends Shape, D extends DType>(
  b: Tensor<Shape, D>,
  l: Tensor<S, D> & Ok<SquareCheck<S, 'choleskySolve', 'l'>>,
  options?: CholeskyOptions,
): Tensor<Shape, D>;
export function choleskySolve(b: AnyTensor, l: AnyTensor, options: CholeskyOptions = {}): AnyTensor {
  checkOptions('choleskySolve', options);
  checkSquare('choleskySolve', l, 'l');
  return withRightSides(
    'choleskySolve',
    l,
    b,
    (factors, right, back) => {
      const lower = lowerOf(factors, options);
      return back(solveTriangle(lower.transpose(), solveTriangle(lower, right, false, false), true, false));
    },
    { name: 'l' },
  );
}

/**
 * The inverse of a from its Cholesky factor l [..., n, n]; with `upper`, l is the upper factor. Only its triangle is read.
 *
 * @throws ShapeError when l is not square; DTypeError unless it is float32 or float64.
 * @example
 * choleskyInverse(tensor([[2, 0], [0, 1]])); // [[0.25, 0], [0, 1]]
 */
export function choleskyInverse<S extends Shape, D extends DType>(
  l: Tensor<S, D> & Ok<SquareCheck<S, 'choleskyInverse', 'l'>>,
  options?: CholeskyOptions,
): Tensor<S, D>;
export function choleskyInverse(l: AnyTensor, options: CholeskyOptions = {}): AnyTensor {
  checkOptions('choleskyInverse', options);
  checkSquare('choleskyInverse', l, 'l');
  const one: AnyTensor = identity(l, l.shape[l.rank - 1]!).expand(l.shape);
  const inverse = solveTriangle(lowerOf(l, options), one, false, false);
  return inverse.transpose().matmul(inverse);
}

// --------------------------------------------------------------------------------------------------------------- systems

const solveTransposedOp = defineOp('solveTransposed', { dtypes, onHost: true });

const solveOp = defineOp('solve', {
  dtypes,
  onHost: true,
  saves: { inputs: true, outputs: true },
  // gb = a⁻ᵀ·g and ga = -gb·xᵀ. The factors serve once more, but have no gradient of their own.
  gradient: (g, node) => {
    const gb = recording.enabled
      ? solveMatrices(node.input(0).transpose(), g)
      : run(solveTransposedOp, [node.output(1), node.output(2), g], g.shape, g.dtype);
    return [node.needs(0) ? gb.matmul(node.output(0).transpose()).neg() : undefined, node.needs(1) ? gb : undefined];
  },
});

function solveMatrices(a: AnyTensor, b: AnyTensor): AnyTensor {
  const outputs = [
    { shape: b.shape, dtype: a.dtype },
    { shape: a.shape, dtype: a.dtype },
    { shape: a.shape.slice(0, -1), dtype: 'int32' },
  ] as const;
  return runMany(solveOp, [a, b], outputs)[0]!;
}

export interface SolveOptions {
  /** Whether a stands left of x; x·a = b is solved if not, for b [..., k, n] or [n]. True unless given. */
  readonly left?: boolean;
}

/**
 * The solution x of a·x = b for a [..., n, n] and b [..., n, k], [n], or one vector per matrix [..., n]. Batch axes broadcast.
 *
 * @throws ShapeError when a is not square or b does not fit; DTypeError unless both are float32 or float64; LinAlgError at the next read when a
 * matrix is singular.
 * @example
 * solve(tensor([[2, 1], [1, 3]]), tensor([3, 5])); // [0.8, 1.4]
 */
export function solve<S extends Shape, T extends Shape, D extends DType>(
  a: Tensor<S, D> & Ok<SquareCheck<S, 'solve'>>,
  b: Tensor<T, D>,
  options?: SolveOptions,
): Tensor<Shape, D>;
export function solve(a: AnyTensor, b: AnyTensor, options: SolveOptions = {}): AnyTensor {
  checkOptions('solve', options);
  checkSquare('solve', a, 'a');
  const { left = true } = options;
  return withRightSides(
    'solve',
    a,
    b,
    (matrices, right, back) => back(solveMatrices(left ? matrices : matrices.transpose(), right)),
    { left },
  );
}

const invOp = defineOp('inv', {
  dtypes,
  onHost: true,
  saves: { outputs: true },
  // gx = -yᵀ·g·yᵀ
  gradient: (g, node) => {
    const turned = node.output().transpose();
    return [turned.matmul(g).matmul(turned).neg()];
  },
});

/**
 * The inverses of matrices [..., n, n]. To solve a system, {@link solve} is quicker and more accurate.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64; LinAlgError at the next read when a matrix is singular.
 * @example
 * inv(tensor([[2, 0], [0, 4]])); // [[0.5, 0], [0, 0.25]]
 */
export function inv<S extends Shape, D extends DType>(x: Tensor<S, D> & Ok<SquareCheck<S, 'inv'>>): Tensor<S, D>;
export function inv(x: AnyTensor): AnyTensor {
  checkSquare('inv', x);
  return run(invOp, [x], x.shape, x.dtype);
}

// ---------------------------------------------------------------------------------------------------------- determinants

const cofactorsOp = defineOp('cofactors', { dtypes, onHost: true });

const detOp = defineOp('det', {
  dtypes,
  onHost: true,
  saves: { inputs: true, outputs: true },
  // gx = g·C with C the cofactors, of singular matrices too; recorded it is g·det·x⁻ᵀ, which needs an inverse.
  gradient: (g, node) => {
    const x = node.input(0);
    if (!recording.enabled) return [run(cofactorsOp, [x], x.shape, x.dtype).mul(perMatrix(g))];
    return [
      inv(x)
        .transpose()
        .mul(perMatrix(g.mul(node.output()))),
    ];
  },
});

/**
 * The determinants of matrices [..., n, n]; 1 for a matrix without elements. The gradient of a singular matrix is right too; only its own gradient
 * needs an inverse.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64.
 * @example
 * det(tensor([[1, 2], [3, 4]])); // -2
 */
export function det<S extends Shape, D extends DType>(x: Tensor<S, D> & Ok<SquareCheck<S, 'det'>>): Tensor<Batch<S>, D>;
export function det(x: AnyTensor): AnyTensor {
  checkSquare('det', x);
  return run(detOp, [x], batchOf(x), x.dtype);
}

const slogdetOp = defineOp('slogdet', {
  dtypes,
  onHost: true,
  saves: { inputs: true },
  gradient: (g, node) => [inv(node.input(0)).transpose().mul(perMatrix(g))],
});

/**
 * Sign and logarithm of the magnitude of determinants, which neither overflow nor vanish: det x = sign · exp(log). A singular matrix has sign 0 and
 * -∞; the gradient needs an inverse.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64.
 * @example
 * slogdet(tensor([[1, 2], [3, 4]]))[1]; // 0.6931
 */
export function slogdet<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'slogdet'>>,
): [sign: Tensor<Batch<S>, D>, logarithm: Tensor<Batch<S>, D>];
export function slogdet(x: AnyTensor): AnyTensor[] {
  checkSquare('slogdet', x);
  const output = { shape: batchOf(x), dtype: x.dtype };
  const [logarithm, sign] = runMany(slogdetOp, [x], [output, output]);
  return [sign!, logarithm!];
}

/**
 * The logarithm of determinants: -∞ for a singular matrix, NaN for a negative determinant, which {@link slogdet} has an answer for. The gradient needs
 * an inverse.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64.
 * @example
 * logdet(tensor([[2, 1], [1, 2]])); // 1.0986
 */
export function logdet<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'logdet'>>,
): Tensor<Batch<S>, D>;
export function logdet(x: AnyTensor): AnyTensor {
  checkSquare('logdet', x);
  const [sign, logarithm] = slogdet(x);
  return where(sign.less(0), NaN, logarithm) as AnyTensor;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    cholesky(options?: CholeskyOptions): Tensor<S, D>;
    triangularSolve<T extends Shape>(b: Tensor<T, D>, options?: TriangularSolveOptions): Tensor<Shape, D>;
    choleskySolve(l: Tensor<Shape, D>, options?: CholeskyOptions): Tensor<Shape, D>;
    choleskyInverse(options?: CholeskyOptions): Tensor<S, D>;
    solve<T extends Shape>(b: Tensor<T, D>, options?: SolveOptions): Tensor<Shape, D>;
    inv(): Tensor<S, D>;
    det(): Tensor<Batch<S>, D>;
    slogdet(): [sign: Tensor<Batch<S>, D>, logarithm: Tensor<Batch<S>, D>];
    logdet(): Tensor<Batch<S>, D>;
  }
}
installMethods({
  cholesky,
  triangularSolve,
  choleskySolve,
  choleskyInverse,
  solve,
  inv,
  det,
  slogdet,
  logdet,
});
