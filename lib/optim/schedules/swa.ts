/** The schedule of stochastic weight averaging. */
import { checkChoice } from '../../tensor/checks';
import { checkCount, perGroup, Schedule, type ScheduleOptions } from './schedule';

export interface SWALROptions extends ScheduleOptions {
  /** The rate that is held in the end, of each group. */
  readonly swaLr: number | readonly number[];
  /** Epochs until then; 10 unless given. */
  readonly annealEpochs?: number;
  /** `cos` unless given. */
  readonly annealStrategy?: 'cos' | 'linear';
}

/**
 * Moves the rate from where it is to a constant, with which weights are then averaged.
 *
 * @see Izmailov et al., 2018, Averaging weights leads to wider optima and better generalization.
 * @example
 * const schedule = new optim.SWALR(optimizer, { swaLr: 0.05 });
 */
export class SWALR extends Schedule<SWALROptions> {
  protected override prepare(): void {
    const { annealEpochs = 10, annealStrategy = 'cos' } = this.options;
    checkCount(this, 'annealEpochs', annealEpochs, 0);
    checkChoice('SWALR', 'annealStrategy', annealStrategy, ['cos', 'linear']);
  }

  protected rates(): readonly number[] {
    const { swaLr, annealEpochs = 10, annealStrategy = 'cos' } = this.options;
    const step = Math.max(annealEpochs === 0 ? 1 : 0, this.state.stepCount - 1);
    const shareAt = (count: number): number => {
      const t = Math.max(0, Math.min(1, count / Math.max(1, annealEpochs)));
      return annealStrategy === 'linear' ? t : (1 - Math.cos(Math.PI * t)) / 2;
    };
    const [before, now] = [shareAt(step - 1), shareAt(step)];
    const targets = perGroup(this, 'swaLr', swaLr);
    // What the rate would be without annealing, from the annealed one of the step before.
    return this.current.map((lr, i) => {
      const target = targets[i]!;
      const plain = before === 1 ? target : (lr - before * target) / (1 - before);
      return target * now + plain * (1 - now);
    });
  }
}
