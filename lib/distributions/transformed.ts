/** The distribution of a transformed random value. */
import { ArgumentError, ShapeError } from '../errors';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkDistribution, Distribution, drawnFrom, sumLast } from './distribution';
import { ComposeTransform, type Transform } from './transforms';

/**
 * The distribution of y = f(x) for x from a base distribution and transforms f that follow each other: `ln p(y) = ln p(x) - ln |det dy/dx|`. A squashed Gaussian is a
 * normal distribution through {@link TanhTransform}.
 *
 * @throws ArgumentError unless the base is a distribution and the others are transforms; ShapeError when they would broadcast it.
 * @example
 * const normal = new distributions.Normal(zeros([3]), 1);
 * const policy = new distributions.TransformedDistribution(normal, [new distributions.TanhTransform()]);
 * policy.logProb(tensor([0, 0.5, -0.5])); // [-0.9189, -0.7821, -0.7821]
 */
export class TransformedDistribution<B extends Distribution = Distribution> extends Distribution {
  override readonly hasRsample: boolean;
  /** All transforms as one. */
  readonly transform: ComposeTransform;

  constructor(
    readonly base: B,
    readonly transforms: readonly Transform[],
  ) {
    checkDistribution('TransformedDistribution', 'base', base);
    const transform = new ComposeTransform(transforms);
    const from = [...base.batchShape, ...base.eventShape];
    const shape = transform.forwardShape(from);
    const outside = (all: Shape, dims: number): Shape => all.slice(0, Math.max(0, all.length - dims));
    const wanted = outside(shape, transform.codomainDims);
    if (!sameShape(outside(from, transform.domainDims), wanted)) {
      throw new ShapeError(
        `TransformedDistribution: the transforms broadcast the base: got shape ${show(from)}, expected ${show(wanted)} before its events`,
      );
    }
    const dims = transform.codomainDims + Math.max(base.eventShape.length - transform.domainDims, 0);
    super(outside(shape, dims), shape.slice(Math.max(0, shape.length - dims)), base.like);
    this.transform = transform;
    this.hasRsample = base.hasRsample;
  }

  protected override draw(shape: Shape): AnyTensor {
    return this.transform.forward(drawnFrom(this.base, this.outer(shape)));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    let [y, dims]: [AnyTensor, number] = [value, this.eventShape.length];
    const stretches = [...this.transforms].reverse().map((transform) => {
      const x = transform.inverse(y);
      dims += transform.domainDims - transform.codomainDims;
      const stretch = sumLast(transform.logAbsDetJacobian(x, y), dims - transform.domainDims);
      y = x;
      return stretch;
    });
    const density = sumLast(this.base.logProb(y), dims - this.base.eventShape.length);
    return stretches.reduce((sum, stretch) => sum.sub(stretch), density);
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.turned('cdf', this.base.cdf(this.transform.inverse(value)));
  }
  protected override quantile(probability: AnyTensor): AnyTensor {
    return this.transform.forward(this.base.icdf(this.turned('icdf', probability)));
  }

  /** A probability of at most x as one of at most y. */
  private turned(method: string, probability: AnyTensor): AnyTensor {
    const { sign } = this.transform;
    if (sign === undefined || this.eventShape.length > 0) {
      throw new ArgumentError(`${this.named(method)}: got events of shape ${show(this.eventShape)}, expected numbers`);
    }
    return sign === 1 ? probability : probability.sub(0.5).mul(sign).add(0.5);
  }
}
