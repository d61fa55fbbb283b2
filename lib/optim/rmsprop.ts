/** RMSprop. */
import { rmsPropStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { FusedOptimizer } from './fused-optimizer';
import { checkSetting, type Group, type ParameterGroup } from './optimizer';

export interface RMSpropSettings {
  /** The learning rate; 0.01 unless given. */
  lr: number;
  /** Decay rate of the means; 0.99 unless given. */
  alpha: number;
  /** Added to the root; 1e-8 unless given. */
  epsilon: number;
  /** L2 penalty, added to the gradient; 0 unless given. */
  weightDecay: number;
  /** 0 unless given. */
  momentum: number;
  /** Divide by the standard deviation of the gradient instead of its root mean square; false unless given. */
  centered: boolean;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * RMSprop: p ← p − lr·g / (√E[g²] + ε) with a moving mean E, by way of a momentum if there is one.
 *
 * @see Tieleman and Hinton, 2012, Neural networks for machine learning, lecture 6.5; Graves, 2013, Generating sequences with recurrent neural networks, for
 * the centred form.
 * @example
 * const optimizer = new optim.RMSprop(model.parameters(), { lr: 1e-3, momentum: 0.9 });
 */
export class RMSprop extends FusedOptimizer<RMSpropSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<RMSpropSettings>[],
    settings: Partial<RMSpropSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-2,
        alpha: 0.99,
        epsilon: 1e-8,
        weightDecay: 0,
        momentum: 0,
        centered: false,
        maximize: false,
      },
      settings,
    );
  }

  protected check(s: RMSpropSettings): void {
    checkSetting('RMSprop', 'lr', s.lr);
    checkSetting('RMSprop', 'alpha', s.alpha);
    checkSetting('RMSprop', 'epsilon', s.epsilon);
    checkSetting('RMSprop', 'weightDecay', s.weightDecay);
    checkSetting('RMSprop', 'momentum', s.momentum);
  }

  protected stateNames({ centered, momentum }: RMSpropSettings): readonly string[] {
    return ['square_avg', ...(centered ? ['grad_avg'] : []), ...(momentum === 0 ? [] : ['momentum_buffer'])];
  }

  protected advance(group: Group<RMSpropSettings>, tensors: StepTensors): void {
    rmsPropStep(tensors, () => {
      const { lr: rate, alpha, epsilon, weightDecay: decay, momentum, centered, maximize } = group;
      return { rate, alpha, epsilon, decay, momentum, centered, maximize };
    });
  }
}
