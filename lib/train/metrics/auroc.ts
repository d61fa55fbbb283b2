/** The area under the ROC curve. Unlike the other metrics it keeps all scores: the area follows from their order. */
import { noGrad } from '../../autograd/modes';
import { ShapeError } from '../../errors';
import { arange } from '../../ops/creation';
import { checkObject, checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { checkCount, checkList } from '../../tensor/checks';
import { scope } from '../../tensor/scope';
import { sameShape, show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { checkInputs, sumsOf, type Metric, type MetricState } from './metric';

/**
 * The area under the receiver operating characteristic: how probable it is that a sample of a class scores higher than one that is not, equal scores
 * counting half. Scores are those of class 1, [n]; or [n, classes], where the areas of each class against the rest are averaged. All
 * scores are kept, on their device, until `reset`.
 *
 * @see Fawcett, 2006, An introduction to ROC analysis.
 * @example
 * const auroc = new train.Auroc();
 * auroc.update(tensor([0.1, 0.4, 0.35, 0.8]), tensor([0, 0, 1, 1], { dtype: 'int32' }));
 * await auroc.compute(); // 0.75
 */
export class Auroc implements Metric<[scores: AnyTensor, targets: AnyTensor], number> {
  readonly #classes: number;
  #scores: AnyTensor[] = [];
  #targets: AnyTensor[] = [];

  constructor(options: { readonly classes?: number } = {}) {
    checkOptions('Auroc', options);
    this.#classes = options.classes ?? 2;
    checkCount('Auroc', 'classes', this.#classes, 2);
  }

  update(scores: AnyTensor, targets: AnyTensor): void {
    checkInputs('Auroc', scores, targets, 'scores');
    const [n] = targets.shape;
    const perClass = sameShape(scores.shape, [n ?? 0, this.#classes]);
    if (targets.rank !== 1 || !(perClass || (this.#classes === 2 && sameShape(scores.shape, targets.shape)))) {
      const expected = this.#classes === 2 ? '[n] or [n, 2]' : `[n, ${this.#classes}]`;
      throw new ShapeError(
        `Auroc: scores: got shape ${show(scores.shape)} for targets ${show(targets.shape)}, expected ${expected} for [n]`,
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
    const sums = noGrad(() => scope(() => this.#ranks()));
    const rows = (await sums.data()) as Float64Array;
    const areas = Array.from({ length: rows.length / 3 }, (_, i) => {
      const [ranks, positive, negative] = rows.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
      return (ranks - (positive * (positive + 1)) / 2) / (positive * negative);
    }).filter((area) => !Number.isNaN(area)); // a class that never or always occurs has none
    return areas.reduce((sum, area) => sum + area, 0) / areas.length;
  }

  /** Of each class: the sum of the ranks of its samples among all, and how many samples are of it and how many are not. */
  #ranks(): AnyTensor {
    const targets = cat(this.#targets) as AnyTensor;
    const all = cat(this.#scores) as AnyTensor;
    const lines = (all.rank === 1 ? all.unsqueeze(0) : all.transpose(0, 1).contiguous()) as AnyTensor;
    const first = lines.shape[0] === 1 ? 1 : 0;
    const classes = arange(first, first + lines.shape[0]!, { dtype: 'int64', device: targets.device });
    const isClass = targets.cast('int64').equalTo(classes.unsqueeze(1)).cast('float64') as AnyTensor;
    const [sorted] = lines.sort() as [AnyTensor, AnyTensor];
    const below = sorted.searchSorted(lines) as AnyTensor;
    const notAbove = sorted.searchSorted(lines, { right: true }) as AnyTensor;
    const rank = (below.add(notAbove).cast('float64') as AnyTensor).add(1).div(2);
    const positive = isClass.sum(1) as AnyTensor;
    const sums = [rank.mul(isClass).sum(1), positive, positive.mul(-1).add(targets.size)] as AnyTensor[];
    return sumsOf(...sums)
      .transpose(0, 1)
      .contiguous() as AnyTensor;
  }

  reset(): void {
    this.#scores = [];
    this.#targets = [];
  }

  stateDict(): MetricState {
    return { scores: [...this.#scores], targets: [...this.#targets] };
  }

  loadStateDict(state: MetricState): void {
    const copies = (tensors: unknown): AnyTensor[] =>
      noGrad(() => (tensors as readonly AnyTensor[]).map((x) => x.clone().keep()));
    checkObject('Auroc', state, 'state');
    checkList('Auroc', 'state: scores', state['scores']);
    checkList('Auroc', 'state: targets', state['targets']);
    this.#scores = copies(state['scores']);
    this.#targets = copies(state['targets']);
  }
}
