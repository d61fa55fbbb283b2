/** Metrics of how samples are ordered by their scores. Unlike the other metrics they keep all scores: the value follows from their order. */
import { noGrad } from '../../autograd/modes';
import { ShapeError } from '../../errors';
import { arange, zeros } from '../../ops/creation';
import { checkObject, checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { checkCount, checkList } from '../../tensor/checks';
import { scope } from '../../tensor/scope';
import { sameShape, show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { checkInputs, type Metric, type MetricState } from './metric';

/** Scores are those of class 1, [n]; or [n, classes], where the values of each class against the rest are averaged. */
abstract class RankingMetric implements Metric<[scores: AnyTensor, targets: AnyTensor], number> {
  readonly #classes: number;
  #scores: AnyTensor[] = [];
  #targets: AnyTensor[] = [];

  constructor(options: { readonly classes?: number } = {}) {
    checkOptions(this.constructor.name, options);
    this.#classes = options.classes ?? 2;
    checkCount(this.constructor.name, 'classes', this.#classes, 2);
  }

  /** The value of each class, float64 [classes], from scores [classes, n] and whether the sample is of the class as float64; NaN where it has none. */
  protected abstract values(scores: AnyTensor, isClass: AnyTensor): AnyTensor;

  update(scores: AnyTensor, targets: AnyTensor): void {
    const name = this.constructor.name;
    checkInputs(name, scores, targets, 'scores');
    const [n] = targets.shape;
    const perClass = sameShape(scores.shape, [n ?? 0, this.#classes]);
    if (targets.rank !== 1 || !(perClass || (this.#classes === 2 && sameShape(scores.shape, targets.shape)))) {
      const expected = this.#classes === 2 ? '[n] or [n, 2]' : `[n, ${this.#classes}]`;
      throw new ShapeError(
        `${name}: scores: got shape ${show(scores.shape)} for targets ${show(targets.shape)}, expected ${expected} for [n]`,
      );
    }
    noGrad(() => {
      const kept = (this.#classes === 2 && perClass ? scores.select(1, 1) : scores) as AnyTensor;
      this.#scores.push(kept.clone().keep());
      this.#targets.push(targets.clone().keep());
    });
  }

  async compute(): Promise<number> {
    if (this.#targets.length === 0) return NaN;
    const values = (await noGrad(() => scope(() => this.#valuesOfAll())).data()) as Float64Array;
    const known = values.filter((value) => !Number.isNaN(value));
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  }

  #valuesOfAll(): AnyTensor {
    const targets = cat(this.#targets) as AnyTensor;
    const all = cat(this.#scores) as AnyTensor;
    const lines = (all.rank === 1 ? all.unsqueeze(0) : all.transpose(0, 1).contiguous()) as AnyTensor;
    const first = lines.shape[0] === 1 ? 1 : 0;
    const classes = arange(first, first + lines.shape[0]!, { dtype: 'int64', device: targets.device });
    const isClass = targets.cast('int64').equalTo(classes.unsqueeze(1)).cast('float64') as AnyTensor;
    return this.values(lines, isClass);
  }

  reset(): void {
    this.#scores = [];
    this.#targets = [];
  }

  stateDict(): MetricState {
    return { scores: [...this.#scores], targets: [...this.#targets] };
  }

  loadStateDict(state: MetricState): void {
    this.#checkState(state);
    this.reset();
    this.merge(state);
  }

  merge(state: MetricState): void {
    this.#checkState(state);
    const copies = (tensors: unknown): AnyTensor[] =>
      noGrad(() => (tensors as readonly AnyTensor[]).map((x) => x.clone().keep()));
    this.#scores.push(...copies(state['scores']));
    this.#targets.push(...copies(state['targets']));
  }

  #checkState(state: MetricState): void {
    const name = this.constructor.name;
    checkObject(name, state, 'state');
    checkList(name, 'state: scores', state['scores']);
    checkList(name, 'state: targets', state['targets']);
  }
}

/**
 * The area under the receiver operating characteristic: how probable it is that a sample of a class scores higher than one that is not, equal scores
 * counting half. Scores are those of class 1, [n]; or [n, classes], where the areas of each class against the rest are averaged, without those of
 * classes that never or always occur. All scores are kept, on their device, until `reset`.
 *
 * @see Fawcett, 2006, An introduction to ROC analysis.
 * @example
 * const auroc = new train.Auroc();
 * auroc.update(tensor([0.1, 0.4, 0.35, 0.8]), tensor([0, 0, 1, 1], { dtype: 'int32' }));
 * await auroc.compute(); // 0.75
 */
export class Auroc extends RankingMetric {
  protected values(scores: AnyTensor, isClass: AnyTensor): AnyTensor {
    const [sorted] = scores.sort() as [AnyTensor, AnyTensor];
    const below = sorted.searchSorted(scores) as AnyTensor;
    const notAbove = sorted.searchSorted(scores, { right: true }) as AnyTensor;
    const rank = (below.add(notAbove).cast('float64') as AnyTensor).add(1).div(2);
    const positive = isClass.sum(1) as AnyTensor;
    const negative = positive.mul(-1).add(scores.shape[1]!);
    const least = positive.mul(positive.add(1)).div(2); // the sum of the ranks of samples that are all below the rest
    return rank.mul(isClass).sum(1).sub(least).div(positive.mul(negative)) as AnyTensor;
  }
}

/**
 * The average precision, which sums up the curve of precision over recall: the mean over the samples of a class of the precision among all that score
 * as high or higher. Scores are those of class 1, [n]; or [n, classes], where the values of each class against the rest are averaged, without
 * those of classes that never occur. All scores are kept, on their device, until `reset`.
 *
 * @see Buckley and Voorhees, 2000, Evaluating evaluation measure stability.
 * @example
 * const precision = new train.AveragePrecision();
 * precision.update(tensor([0.1, 0.4, 0.35, 0.8]), tensor([0, 0, 1, 1], { dtype: 'int32' }));
 * await precision.compute(); // 0.8333
 */
export class AveragePrecision extends RankingMetric {
  protected values(scores: AnyTensor, isClass: AnyTensor): AnyTensor {
    const [sorted, order] = scores.sort() as [AnyTensor, AnyTensor];
    const below = sorted.searchSorted(scores) as AnyTensor;
    const none = zeros([scores.shape[0]!, 1], { dtype: 'float64', device: scores.device });
    const upTo = cat([none, isClass.gather(1, order as never).cumsum(1)] as AnyTensor[], 1) as AnyTensor;
    const positive = isClass.sum(1) as AnyTensor;
    const positiveFrom = positive.unsqueeze(1).sub(upTo.gather(1, below as never));
    const precision = positiveFrom.div(below.cast('float64').mul(-1).add(scores.shape[1]!));
    return precision.mul(isClass).sum(1).div(positive) as AnyTensor;
  }
}
