/** The normal distribution of vectors. */
import { DTypeError, ShapeError } from '../errors';
import { eye } from '../ops/diagonal';
import { randn } from '../ops/random';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkParameter, Distribution, oneOf } from './distribution';

/** How the coordinates vary together, a matrix [..., n, n]: one of the three. */
export interface MultivariateNormalOptions {
  /** L with a positive diagonal, lower triangular, of the covariance L·Lᵀ: the form that costs least. */
  readonly scaleTril?: AnyTensor;
  readonly covarianceMatrix?: AnyTensor;
  /** The inverse of the covariance. */
  readonly precisionMatrix?: AnyTensor;
}

/**
 * The normal distribution of vectors, `p(x) ∝ exp(-(x - μ)ᵀ Σ⁻¹ (x - μ) / 2)`, of location μ [..., n] and a covariance [..., n, n].
 *
 * @throws ArgumentError unless exactly one matrix is given; ShapeError when it does not fit; DTypeError unless both are float32 or both float64; LinAlgError at the next
 * read for a covariance or precision that is not positive definite.
 * @example
 * const pair = new distributions.MultivariateNormal(zeros([2]), { covarianceMatrix: tensor([[2, 1], [1, 2]]) });
 * pair.logProb(tensor([1, 0])); // -2.7205
 * pair.rsample([4]).shape; // [4, 2]
 */
export class MultivariateNormal extends Distribution {
  override readonly hasRsample = true;
  readonly loc: AnyTensor;
  /** L of the covariance L·Lᵀ. */
  readonly scaleTril: AnyTensor;

  constructor(loc: AnyTensor, options: MultivariateNormalOptions) {
    const owner = 'MultivariateNormal';
    checkParameter(owner, 'loc', loc, 1);
    const given = oneOf(owner, options, ['scaleTril', 'covarianceMatrix', 'precisionMatrix']);
    const matrix: unknown = options[given];
    checkParameter(owner, given, matrix, 2);
    const n = loc.shape.at(-1)!;
    if (matrix.dtype !== loc.dtype) {
      throw new DTypeError(`${owner}: ${given}: got ${matrix.dtype}, expected that of loc, ${loc.dtype}`);
    }
    if (matrix.shape.at(-1) !== n || matrix.shape.at(-2) !== n) {
      throw new ShapeError(
        `${owner}: ${given}: got shape ${show(matrix.shape)}, expected [..., ${n}, ${n}] for loc ${show(loc.shape)}`,
      );
    }
    const batch = broadcastShapes(owner, loc.shape.slice(0, -1), matrix.shape.slice(0, -2));
    super(batch, [n], loc);
    const tril =
      given === 'scaleTril' ? matrix : given === 'covarianceMatrix' ? matrix.cholesky() : trilOfPrecision(matrix);
    this.loc = loc.expand([...batch, n]);
    this.scaleTril = tril.expand([...batch, n, n]);
  }

  get covarianceMatrix(): AnyTensor {
    return this.scaleTril.matmul(this.scaleTril.transpose());
  }
  get precisionMatrix(): AnyTensor {
    const inverse = inverseTriangle(this.scaleTril);
    return inverse.transpose().matmul(inverse);
  }
  override get mean(): AnyTensor {
    return this.loc;
  }
  override get mode(): AnyTensor {
    return this.loc;
  }
  /** Of each coordinate. */
  override get variance(): AnyTensor {
    return this.scaleTril.square().sum(-1);
  }
  /** ln det Σ / 2. */
  get halfLogDet(): AnyTensor {
    return this.scaleTril.diagonal().log().sum(-1);
  }
  override entropy(): AnyTensor {
    return this.halfLogDet.add((this.eventShape[0]! * (1 + Math.log(2 * Math.PI))) / 2);
  }

  protected override draw(shape: Shape): AnyTensor {
    const noise: AnyTensor = randn(shape, { dtype: this.like.dtype as 'float32', device: this.like.device });
    return this.scaleTril.matmul(noise.unsqueeze(-1)).squeeze(-1).add(this.loc);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return mahalanobis(this.scaleTril, value.sub(this.loc))
      .add(this.eventShape[0]! * Math.log(2 * Math.PI))
      .div(-2)
      .sub(this.halfLogDet);
  }
}

/** |L⁻¹·x|² of vectors x [..., n]. */
export function mahalanobis(tril: AnyTensor, x: AnyTensor): AnyTensor {
  return tril.triangularSolve(x.unsqueeze(-1)).squeeze(-1).square().sum(-1);
}

/** L⁻¹. */
export function inverseTriangle(tril: AnyTensor): AnyTensor {
  return tril.triangularSolve(eye(tril.shape.at(-1)!, undefined, { dtype: tril.dtype, device: tril.device }));
}

/** L of the inverse of P = U·Uᵀ with U upper triangular, which the factor of P read backwards is: P⁻¹ = U⁻ᵀ·U⁻¹. */
function trilOfPrecision(precision: AnyTensor): AnyTensor {
  const upper = precision.flip([-2, -1]).cholesky().flip([-2, -1]) as AnyTensor;
  return inverseTriangle(upper.transpose());
}
