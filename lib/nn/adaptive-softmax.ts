/** A softmax over many classes of which few are frequent. */
import { ArgumentError } from '../errors';
import { checkOptions, checkTensor } from '../ops/define';
import { crossEntropy } from '../ops/losses';
import { cat } from '../ops/movement';
import { logSoftmax } from '../ops/normalization';
import { where } from '../ops/pointwise-compare';
import { shown } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ModuleList, Sequential } from './container';
import { Linear } from './linear';
import { Module } from './module';
import { checkSizes } from './options';

export interface AdaptiveLogSoftmaxOptions {
  /** By how much the inputs of each cluster are narrower than those of the one before; 4 unless given. */
  readonly divValue?: number;
  /** Whether the head has a bias; false unless given. */
  readonly headBias?: boolean;
}

/** No class: places of other clusters, which add nothing to a loss. */
const none = -(2 ** 31);

/**
 * The log-probabilities of many classes, sorted by falling frequency: those before the first cutoff are told apart by the head, the others in clusters, of which the head
 * has one output each, from inputs projected to fewer dimensions. `forward` answers the log-probability of each target and their mean,
 * negated; every row goes through all clusters, so that nothing waits for the device. Grave et al., Efficient softmax approximation for GPUs, 2017.
 *
 * @throws ArgumentError unless the cutoffs rise from at least 1 to less than the classes.
 * @example
 * const softmax = new nn.AdaptiveLogSoftmaxWithLoss(16, 1000, [10, 100]);
 * const { output, loss } = softmax.forward(randn([4, 16]), tensor([0, 5, 50, 500], { dtype: 'int64' }));
 * output.shape; // [4]
 */
export class AdaptiveLogSoftmaxWithLoss extends Module {
  readonly head: Linear;
  readonly tail: ModuleList<Sequential>;
  /** The first class of each cluster, and the number of classes. */
  readonly cutoffs: readonly number[];

  constructor(
    readonly inFeatures: number,
    readonly classes: number,
    cutoffs: readonly number[],
    options: AdaptiveLogSoftmaxOptions = {},
  ) {
    super();
    const name = 'AdaptiveLogSoftmaxWithLoss';
    checkOptions(name, options);
    checkSizes(name, { inFeatures, classes });
    const { divValue = 4, headBias = false } = options;
    const bounds: readonly number[] = Array.isArray(cutoffs) ? [0, ...(cutoffs as number[]), classes] : [];
    const rises = bounds.every((bound, i) => Number.isSafeInteger(bound) && (i === 0 || bound > bounds[i - 1]!));
    if (bounds.length < 3 || !rises) {
      const got = Array.isArray(cutoffs) ? `[${cutoffs.map(shown).join(', ')}]` : shown(cutoffs);
      throw new ArgumentError(
        `${name}: cutoffs: got ${got}, expected integers that rise from 1 to ${classes - 1} at most`,
      );
    }
    this.cutoffs = bounds.slice(1);
    const clusters = bounds.length - 2;
    const widths = Array.from({ length: clusters }, (_, i) => Math.floor(inFeatures / divValue ** (i + 1)));
    if (!widths.every((width) => width >= 1 && width <= inFeatures)) {
      throw new ArgumentError(
        `${name}: divValue: got ${shown(divValue)}, expected a number of at least 1 that leaves ${clusters} clusters inputs of ${inFeatures}`,
      );
    }
    this.head = new Linear(inFeatures, bounds[1]! + clusters, { bias: headBias });
    this.tail = new ModuleList(
      widths.map((width, i) => {
        const size = bounds[i + 2]! - bounds[i + 1]!;
        return new Sequential(new Linear(inFeatures, width, { bias: false }), new Linear(width, size, { bias: false }));
      }),
    );
  }

  /**
   * For inputs [n, inFeatures] (or [inFeatures]) and targets [n] (or a scalar): the log-probability of each target, and minus their mean.
   *
   * @throws ShapeError, DTypeError; IndexError at the next read when a target is no class.
   */
  forward(x: AnyTensor, target: AnyTensor): { output: AnyTensor; loss: AnyTensor } {
    checkTensor('AdaptiveLogSoftmaxWithLoss', x, 'x');
    checkTensor('AdaptiveLogSoftmaxWithLoss', target, 'target');
    const options = { reduction: 'none', ignoreIndex: none } as const;
    const losses = (logits: AnyTensor, classes: AnyTensor): AnyTensor =>
      crossEntropy(logits, classes, options) as AnyTensor;
    let first: AnyTensor = target;
    const rest = [...this.tail].map((layer, i) => {
      const [from, end] = [this.cutoffs[i]!, this.cutoffs[i + 1]!];
      const isHere = target.greaterEqual(from).logicalAnd(target.less(end)) as Tensor<Shape, 'bool'>;
      first = where(isHere, this.cutoffs[0]! + i, first) as AnyTensor;
      return losses(layer.forward(x), where(isHere, target.sub(from), none) as AnyTensor);
    });
    const total = rest.reduce((sum, one) => sum.add(one) as AnyTensor, losses(this.head.forward(x), first));
    return { output: total.neg(), loss: total.mean() };
  }

  /** The log-probabilities of all classes: [n, classes] (or [classes]). */
  logProb(x: AnyTensor): AnyTensor {
    const head: AnyTensor = logSoftmax(this.head.forward(x), -1);
    const [frequent, ...clusters] = head.split([this.cutoffs[0]!, ...[...this.tail].map(() => 1)], -1);
    const rare = [...this.tail].map((layer, i) => logSoftmax(layer.forward(x), -1).add(clusters[i]!) as AnyTensor);
    return cat([frequent!, ...rare], -1) as AnyTensor;
  }

  /** The most probable class of each row, as int64. */
  predict(x: AnyTensor): AnyTensor {
    return this.logProb(x).argmax(-1) as AnyTensor;
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.classes}, cutoffs ${this.cutoffs.slice(0, -1).join(', ')}`;
  }
}
