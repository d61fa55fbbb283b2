/** Distributions of several values, made of those of one. */
import { ShapeError } from '../errors';
import { checkCount } from '../tensor/checks';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { Categorical } from './categorical';
import { checkDistribution, Distribution, drawnFrom, fail, sumLast } from './distribution';

/**
 * A distribution whose last `dims` batch axes are taken as one event: `logProb` is the sum over them.
 *
 * @throws ArgumentError unless the base is a distribution with so many batch axes.
 * @example
 * const latent = new distributions.Independent(new distributions.Normal(zeros([2, 3]), 1), 1);
 * latent.logProb(zeros([2, 3])); // [-2.7568, -2.7568]
 */
export class Independent<B extends Distribution = Distribution> extends Distribution {
  override readonly hasRsample: boolean;

  constructor(
    readonly base: B,
    readonly dims: number,
  ) {
    checkDistribution('Independent', 'base', base);
    const { batchShape: batch, eventShape: event } = base;
    checkCount('Independent', 'dims', dims, 0, batch.length);
    super(batch.slice(0, batch.length - dims), [...batch.slice(batch.length - dims), ...event], base.like);
    this.hasRsample = base.hasRsample;
  }

  override get mean(): AnyTensor {
    return this.base.mean;
  }
  override get mode(): AnyTensor {
    return this.base.mode;
  }
  override get variance(): AnyTensor {
    return this.base.variance;
  }
  override entropy(): AnyTensor {
    return sumLast(this.base.entropy(), this.dims);
  }

  protected override draw(shape: Shape): AnyTensor {
    return drawnFrom(this.base, this.outer(shape));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return sumLast(this.base.logProb(value), this.dims);
  }
}

/**
 * A mixture: a component of the last batch axis, chosen by a categorical distribution over it.
 *
 * @throws ArgumentError unless the first is a `Categorical` and the second a distribution; ShapeError unless the batch of components is that of the first and an axis of
 * its categories.
 * @example
 * const chosen = new distributions.Categorical({ probs: tensor([1, 3]) });
 * const mixture = new distributions.MixtureSameFamily(chosen, new distributions.Normal(tensor([0, 4]), 1));
 * mixture.mean; // 3
 * mixture.logProb(4); // -1.2065
 */
export class MixtureSameFamily extends Distribution {
  constructor(
    readonly mixture: Categorical,
    readonly components: Distribution,
  ) {
    const given: unknown = mixture;
    if (!(given instanceof Categorical)) fail('MixtureSameFamily', 'mixture', given, 'a Categorical');
    checkDistribution('MixtureSameFamily', 'components', components);
    const wanted = [...mixture.batchShape, mixture.count];
    if (!sameShape(components.batchShape, wanted)) {
      throw new ShapeError(
        `MixtureSameFamily: components: got batch ${show(components.batchShape)}, expected ${show(wanted)}`,
      );
    }
    super(mixture.batchShape, components.eventShape, components.like);
  }

  /** The axis of the components in their means and samples. */
  private get axis(): number {
    return -1 - this.eventShape.length;
  }
  /** x per component, weighted and summed. */
  private averaged(x: AnyTensor): AnyTensor {
    const weights = this.mixture.probs.reshape([...this.mixture.probs.shape, ...this.eventShape.map(() => 1)]);
    return weights.mul(x).sum(this.axis);
  }
  override get mean(): AnyTensor {
    return this.averaged(this.components.mean);
  }
  override get variance(): AnyTensor {
    const { mean, variance } = this.components;
    return this.averaged(mean.sub(this.mean.unsqueeze(this.axis)).square().add(variance));
  }

  protected override draw(shape: Shape): AnyTensor {
    const outer = this.outer(shape);
    const drawn = this.components.sample(outer);
    const chosen = this.mixture.sample(outer);
    const index = chosen.reshape([...chosen.shape, 1, ...this.eventShape.map(() => 1)]);
    const wanted = [...chosen.shape, 1, ...this.eventShape];
    return drawn.gather(this.axis, index.expand(wanted) as Tensor<Shape, 'int64'>).squeeze(this.axis);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return this.components.logProb(value.unsqueeze(this.axis)).add(this.mixture.logits).logSumExp(-1);
  }
  protected override probabilityBelow(value: AnyTensor): AnyTensor {
    return this.mixture.probs.mul(this.components.cdf(value.unsqueeze(this.axis))).sum(-1);
  }
}
