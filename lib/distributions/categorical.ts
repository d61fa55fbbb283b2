/** Distributions over categories. */
import { arange, oneHot } from '../ops/creation';
import { eye } from '../ops/diagonal';
import { where } from '../ops/pointwise-compare';
import { multinomial } from '../ops/random';
import { wide } from '../ops/wide';
import { checkCount } from '../tensor/checks';
import type { IndexDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { Binomial, countsTo } from './discrete';
import { checkParameter, clampProbability, Distribution, limitsOf, oneOf } from './distribution';

/** Probabilities or logits [..., categories]: one of the two. */
export type CategoryProbsOrLogits =
  | { readonly probs: AnyTensor; readonly logits?: undefined }
  | { readonly logits: AnyTensor; readonly probs?: undefined };

/** What both make of the last axis: probabilities that sum to 1, and their logarithms. */
export function categories(owner: string, options: CategoryProbsOrLogits): { probs: AnyTensor; logits: AnyTensor } {
  const given = oneOf(owner, options, ['probs', 'logits']);
  const x: unknown = options[given];
  checkParameter(owner, given, x, 1);
  if (given === 'logits') return { probs: x.softmax(-1), logits: x.logSoftmax(-1) };
  const probs = x.div(x.sum(-1, { keepDims: true }));
  return { probs, logits: clampProbability(probs).log() };
}

/** Logarithms that can be multiplied with a probability of 0. */
export const finiteLogs = (logits: AnyTensor): AnyTensor => logits.clamp(-limitsOf(logits)[2]);

/**
 * One of the categories 0, 1, …, k - 1, by their `probs` [..., k], which need not sum to 1, or their `logits` [..., k], the logarithms up to a constant. A sample is an int64
 * tensor; {@link logProb} takes indices of any dtype.
 *
 * @throws ArgumentError unless exactly one of the two is given, a tensor; ShapeError unless it has an axis; DTypeError. IndexError for a category that does not exist, at
 * the next read.
 * @example
 * const policy = new distributions.Categorical({ logits: zeros([2, 4]) });
 * const action = policy.sample();
 * policy.logProb(action); // [-1.3863, -1.3863]
 * policy.entropy(); // [1.3863, 1.3863]
 */
export class Categorical extends Distribution {
  /** Probabilities that sum to 1. */
  readonly probs: AnyTensor;
  /** Their logarithms. */
  readonly logits: AnyTensor;

  constructor(options: CategoryProbsOrLogits) {
    const { probs, logits } = categories('Categorical', options);
    super(probs.shape.slice(0, -1), [], probs);
    [this.probs, this.logits] = [probs, logits];
  }

  /** How many categories there are. */
  get count(): number {
    return this.probs.shape.at(-1)!;
  }
  override get mode(): Tensor<Shape, 'int64'> {
    return this.probs.argmax(-1);
  }
  override entropy(): AnyTensor {
    return this.probs.mul(finiteLogs(this.logits)).sum(-1).neg();
  }
  override sample(shape: Shape = []): Tensor<Shape, 'int64'> {
    return super.sample(shape) as Tensor<Shape, 'int64'>;
  }

  protected override outcomes(): AnyTensor {
    return arange(this.count, { dtype: 'int64', device: this.like.device });
  }
  protected override draw(shape: Shape): AnyTensor {
    const rows = sizeOf(this.batchShape);
    const count = rows === 0 ? 0 : sizeOf(shape) / rows;
    const drawn = multinomial(wide(this.probs).reshape([rows, this.count]), count, { replacement: true });
    return drawn.transpose(0, 1).reshape(shape);
  }
  protected override checked(method: string, value: Operand): AnyTensor {
    const index = super.checked(method, value, ['int64', 'int32']);
    return index.dtype === 'int32' ? index : index.cast('int64');
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    const shape = broadcastShapes('Categorical.logProb', value.shape, this.batchShape);
    const index = value.expand(shape).unsqueeze(-1);
    return this.logits
      .expand([...shape, this.count])
      .gather(-1, index)
      .squeeze(-1);
  }
}

/** What is made of a categorical distribution and has an event axis for the categories. */
abstract class OverCategories extends Distribution {
  readonly probs: AnyTensor;
  readonly logits: AnyTensor;
  protected readonly categorical: Categorical;

  constructor(owner: string, options: CategoryProbsOrLogits) {
    oneOf(owner, options, ['probs', 'logits']);
    const categorical = new Categorical(options);
    super(categorical.batchShape, [categorical.count], categorical.probs);
    this.categorical = categorical;
    [this.probs, this.logits] = [categorical.probs, categorical.logits];
  }

  protected encoded(index: Tensor<Shape, IndexDType>): AnyTensor {
    return oneHot(index, this.categorical.count, { dtype: this.like.dtype });
  }
}

/**
 * {@link Categorical} whose values are one-hot vectors [..., k] in the dtype of the parameters.
 *
 * @throws ArgumentError unless exactly one of the two is given, a tensor; ShapeError unless it has an axis; DTypeError.
 * @example
 * new distributions.OneHotCategorical({ probs: tensor([0, 1, 0]) }).sample(); // [0, 1, 0]
 */
export class OneHotCategorical extends OverCategories {
  constructor(options: CategoryProbsOrLogits) {
    super('OneHotCategorical', options);
  }

  override get mean(): AnyTensor {
    return this.probs;
  }
  override get mode(): AnyTensor {
    return this.encoded(this.categorical.mode);
  }
  override get variance(): AnyTensor {
    return this.probs.sub(this.probs.square());
  }
  override entropy(): AnyTensor {
    return this.categorical.entropy();
  }

  protected override outcomes(): AnyTensor {
    return eye(this.categorical.count, undefined, { dtype: this.like.dtype, device: this.like.device });
  }
  protected override draw(shape: Shape): AnyTensor {
    return this.encoded(this.categorical.sample(this.outer(shape)));
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    return this.categorical.logProb(value.argmax(-1));
  }
}

/**
 * {@link OneHotCategorical} whose samples have the gradient of the probabilities in place of their own.
 *
 * @throws ArgumentError unless exactly one of the two is given, a tensor; ShapeError unless it has an axis; DTypeError.
 * @see Bengio, Léonard and Courville, 2013, Estimating or propagating gradients through stochastic neurons.
 * @example
 * new distributions.OneHotCategoricalStraightThrough({ logits: zeros([3]) }).rsample().sum(); // 1
 */
export class OneHotCategoricalStraightThrough extends OneHotCategorical {
  override readonly hasRsample = true;

  override rsample(shape: Shape = []): AnyTensor {
    return this.sample(shape).add(this.probs.sub(this.probs.detach()));
  }
}

/**
 * How often each of k categories comes in `totalCount` draws, by their `probs` or `logits` [..., k].
 *
 * @throws ArgumentError unless the count is a whole number and exactly one of the two is given, a tensor; ShapeError, DTypeError.
 * @example
 * const draws = new distributions.Multinomial(10, { probs: tensor([1, 1, 2]) });
 * draws.mean; // [2.5, 2.5, 5]
 * draws.sample().sum(); // 10
 */
export class Multinomial extends OverCategories {
  constructor(
    readonly totalCount: number,
    options: CategoryProbsOrLogits,
  ) {
    checkCount('Multinomial', 'totalCount', totalCount, 0);
    super('Multinomial', options);
  }

  override get mean(): AnyTensor {
    return this.probs.mul(this.totalCount);
  }
  override get variance(): AnyTensor {
    return this.probs.sub(this.probs.square()).mul(this.totalCount);
  }
  override entropy(): AnyTensor {
    const n = this.totalCount;
    const counts = countsTo(n, this.batchShape.length + 1, this.like);
    const each = new Binomial(n, { probs: this.probs }).logProb(counts).exp().mul(counts.add(1).lgamma());
    const factorial = counts.narrow(0, n, 1).add(1).lgamma().reshape([]);
    return this.categorical
      .entropy()
      .mul(n)
      .sub(factorial)
      .add(each.sum([0, -1]));
  }

  protected override draw(shape: Shape): AnyTensor {
    const drawn = this.categorical.sample([this.totalCount, ...this.outer(shape)]);
    return this.encoded(drawn).sum(0);
  }
  protected override logDensity(value: AnyTensor): AnyTensor {
    // What never comes and cannot come counts nothing.
    const powers = where(value.equalTo(0), 0, this.logits.mul(value)) as AnyTensor;
    const ways = value.sum(-1).add(1).lgamma().sub(value.add(1).lgamma().sum(-1));
    return ways.add(powers.sum(-1));
  }
}
