/** Eigenvalues and vectors of matrices that need not be symmetric: eig, eigvals. Complex numbers are pairs of real and imaginary parts along a last axis. Through LAPACK. */
import type { DType } from '../tensor/dtype';
import type { Eigenvalues, Pairs, SquareCheck } from '../tensor/linalg-shape-types';
import { recording } from '../tensor/node';
import type { Ok, Shape } from '../tensor/shape-types';
import { checkShape } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { defineOp, installMethods, run, runMany } from './define';
import { solve } from './linalg-factor';
import { batchOf, checkSquare, identity, lapackDTypes, timesColumns } from './linalg-shared';
import { cat, stack } from './movement';

const dtypes = lapackDTypes;

/** A complex product of pairs [..., 2]. */
function timesPairs(a: AnyTensor, b: AnyTensor): AnyTensor {
  const [ar, ai] = a.unbind(-1) as [AnyTensor, AnyTensor];
  const [br, bi] = b.unbind(-1) as [AnyTensor, AnyTensor];
  return stack([ar.mul(br).sub(ai.mul(bi)), ar.mul(bi).add(ai.mul(br))], -1);
}

// A complex matrix [m, n, 2] multiplies, and is inverted, as the real one [[Re, -Im], [Im, Re]], whose transpose is that of its conjugate transpose. Half of its columns, [Re, Im] over each
// other, say all.

/** [..., m, n, 2] → [..., 2m, n]. */
function halfOf(z: AnyTensor): AnyTensor {
  const [m, n] = z.shape.slice(-3) as [number, number];
  return z.moveAxis(-1, -3).reshape([...z.shape.slice(0, -3), 2 * m, n]);
}
/** [..., m, n, 2] → [..., 2m, 2n]. */
function wholeOf(z: AnyTensor): AnyTensor {
  const [real, imaginary] = z.unbind(-1) as [AnyTensor, AnyTensor];
  return cat([halfOf(z), cat([imaginary.neg(), real], -2)], -1);
}
/** [..., 2m, n] → [..., m, n, 2]. */
function pairsOf(half: AnyTensor): AnyTensor {
  const [rows, n] = half.shape.slice(-2) as [number, number];
  return half.reshape([...batchOf(half), 2, rows / 2, n]).moveAxis(-3, -1);
}

const eigOp = defineOp('eig', {
  dtypes,
  onHost: true,
  saves: { outputs: true },
  differentiableOutputs: 2,
  // gx = Re V⁻ᴴ·M·Vᴴ with M = diag gw + (Vᴴ·gV - VᴴV·diag Re(Vᴴ·gV)) / E off the diagonal, E[i, j] = conj(w[j] - w[i]): what lengthens a vector does not count, nor what turns its phase.
  // Boeddeker et al. 2017, On the computation of complex-valued gradients, arXiv:1701.00392.
  gradient: (gw, node, [gv]) => {
    const [w, v] = [node.output(0), node.output(1)];
    const n = w.shape[w.rank - 2]!;
    const vh = wholeOf(v).transpose();
    const one = identity(w, n).unsqueeze(-1) as AnyTensor;
    let middle = one.mul(gw.unsqueeze(-2));
    if (gv !== undefined) {
      const lengthening = v.mul(gv).sum([-3, -1]);
      const rotation = pairsOf(vh.matmul(halfOf(gv).sub(timesColumns(halfOf(v), lengthening))));
      const gaps = w.unsqueeze(-3).sub(w.unsqueeze(-2)).add(one);
      const quotient = timesPairs(rotation, gaps).div(gaps.square().sum(-1, { keepDims: true }));
      middle = middle.add(quotient.mul(one.neg().add(1)));
    }
    const product = wholeOf(middle).matmul(vh.narrow(-1, 0, n));
    return [(solve(vh, product) as AnyTensor).narrow(-2, 0, n)];
  },
});

/**
 * Eigenvalues w [..., n, 2] and eigenvectors v [..., n, n, 2] of matrices [..., n, n], one per column and of length 1: x·v = v·diag(w). The last axis holds real and imaginary parts; complex
 * eigenvalues come in conjugate pairs, the order is that of LAPACK. Phases of vectors are arbitrary, and only a loss that does not depend on them has a gradient; through v it wants distinct
 * eigenvalues, through w independent eigenvectors (LinAlgError, or a large gradient, where there are none).
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @see {@link eigh} for symmetric matrices.
 * @example
 * eig(tensor([[0, 1], [-1, 0]]))[0]; // [[0, 1], [0, -1]]
 */
export function eig<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'eig'>>,
): [w: Tensor<Pairs<Eigenvalues<S>>, D>, v: Tensor<Pairs<S>, D>];
export function eig(x: AnyTensor): AnyTensor[] {
  checkSquare('eig', x);
  return decomposed('eig', x);
}

function decomposed(op: string, x: AnyTensor): AnyTensor[] {
  const shape = [...x.shape, 2];
  checkShape(op, shape);
  return runMany(
    eigOp,
    [x],
    [
      { shape: [...x.shape.slice(0, -1), 2], dtype: x.dtype },
      { shape, dtype: x.dtype },
    ],
  );
}

const eigvalsOp = defineOp('eigvals', { dtypes, onHost: true });

/**
 * The eigenvalues of matrices [..., n, n] as pairs of real and imaginary parts [..., n, 2], in LAPACK's order. Quicker than {@link eig} where no gradient is wanted.
 *
 * @throws ShapeError when x is not square; DTypeError unless it is float32 or float64; LinAlgError at the next read when x is not finite.
 * @example
 * eigvals(tensor([[2, 0], [0, 3]])); // [[2, 0], [3, 0]]
 */
export function eigvals<S extends Shape, D extends DType>(
  x: Tensor<S, D> & Ok<SquareCheck<S, 'eigvals'>>,
): Tensor<Pairs<Eigenvalues<S>>, D>;
export function eigvals(x: AnyTensor): AnyTensor {
  checkSquare('eigvals', x);
  if (recording.enabled && x.requiresGrad) return decomposed('eigvals', x)[0]!;
  return run(eigvalsOp, [x], [...x.shape.slice(0, -1), 2], x.dtype);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    eig(): [w: Tensor<Pairs<Eigenvalues<S>>, D>, v: Tensor<Pairs<S>, D>];
    eigvals(): Tensor<Pairs<Eigenvalues<S>>, D>;
  }
}
installMethods({ eig, eigvals });
