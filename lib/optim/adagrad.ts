/** Adagrad. */
import { adagradStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { FusedOptimizer } from './fused-optimizer';
import { checkSetting, type Group, type ParameterGroup, type ParameterState } from './optimizer';

export interface AdagradSettings {
  /** The learning rate; 0.01 unless given. */
  lr: number;
  /** The rate of step t is lr / (1 + (t − 1)·lrDecay); 0 unless given. */
  lrDecay: number;
  /** What the sums of squares start with; 0 unless given. */
  initialAccumulatorValue: number;
  /** Added to the root of the sum; 1e-10 unless given. */
  epsilon: number;
  /** L2 penalty, added to the gradient; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Adagrad: every element has a rate that falls with the sum of its squared gradients, p ← p − lr·g / (√Σg² + ε).
 *
 * @see Duchi et al., 2011, Adaptive subgradient methods for online learning and stochastic optimization.
 * @example
 * const optimizer = new optim.Adagrad(model.parameters(), { lr: 0.01 });
 */
export class Adagrad extends FusedOptimizer<AdagradSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdagradSettings>[],
    settings: Partial<AdagradSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-2,
        lrDecay: 0,
        initialAccumulatorValue: 0,
        epsilon: 1e-10,
        weightDecay: 0,
        maximize: false,
      },
      settings,
    );
  }

  protected check(s: AdagradSettings): void {
    checkSetting('Adagrad', 'lr', s.lr);
    checkSetting('Adagrad', 'lrDecay', s.lrDecay);
    checkSetting('Adagrad', 'initialAccumulatorValue', s.initialAccumulatorValue);
    checkSetting('Adagrad', 'epsilon', s.epsilon);
    checkSetting('Adagrad', 'weightDecay', s.weightDecay);
  }

  protected stateNames(): readonly string[] {
    return ['sum'];
  }

  protected override initial({ initialAccumulatorValue }: AdagradSettings): number {
    return initialAccumulatorValue;
  }

  protected advance(group: Group<AdagradSettings>, tensors: StepTensors, counts: ParameterState): void {
    adagradStep(tensors, () => {
      const { lr, lrDecay, epsilon, weightDecay: decay, maximize } = group;
      const rate = lr / (1 + ((counts['step'] as number) - 1) * lrDecay);
      return { rate, epsilon, decay, maximize };
    });
  }
}
