/** Lion. */
import { lionStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { checkMoments } from './adam';
import { FusedOptimizer } from './fused-optimizer';
import type { Group, ParameterGroup } from './optimizer';

export interface LionSettings {
  /** The learning rate; 1e-4 unless given. */
  lr: number;
  /** How much of the mean goes into the step, and how much of it is kept; [0.9, 0.99] unless given. */
  betas: readonly [number, number];
  /** Shrinks the parameter itself; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Lion: every element moves by the same amount, p ← p·(1 − lr·λ) − lr·sign(β₁·m + (1 − β₁)·g), then m ← β₂·m + (1 − β₂)·g. Its rate is three to ten times
 * smaller than AdamW's, its weight decay as much larger.
 *
 * @see Chen et al., 2023, Symbolic discovery of optimization algorithms.
 * @example
 * const optimizer = new optim.Lion(model.parameters(), { lr: 1e-4, weightDecay: 0.1 });
 */
export class Lion extends FusedOptimizer<LionSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<LionSettings>[],
    settings: Partial<LionSettings> = {},
  ) {
    super(parameters, { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0, maximize: false }, settings);
  }

  protected check(settings: LionSettings): void {
    checkMoments('Lion', settings);
  }

  protected stateNames(): readonly string[] {
    return ['exp_avg'];
  }

  protected advance(group: Group<LionSettings>, tensors: StepTensors): void {
    lionStep(tensors, () => {
      const { lr: rate, betas, weightDecay, maximize } = group;
      return { rate, beta1: betas[0], beta2: betas[1], shrink: 1 - rate * weightDecay, maximize };
    });
  }
}
