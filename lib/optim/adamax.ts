/** Adamax. */
import { adamaxStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { checkMoments } from './adam';
import { FusedOptimizer } from './fused-optimizer';
import type { Group, ParameterGroup, ParameterState } from './optimizer';

export interface AdamaxSettings {
  /** The learning rate; 2e-3 unless given. */
  lr: number;
  /** Decay rates of the mean and of the largest magnitude; [0.9, 0.999] unless given. */
  betas: readonly [number, number];
  /** Added to the magnitude of a gradient; 1e-8 unless given. */
  epsilon: number;
  /** L2 penalty, added to the gradient; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Adam with the largest magnitude in place of the second moment: u ← max(β₂·u, |g| + ε), p ← p − lr·m̂ / u.
 *
 * @see Kingma and Ba, 2015, Adam: a method for stochastic optimization, section 7.1.
 * @example
 * const optimizer = new optim.Adamax(model.parameters(), { lr: 2e-3 });
 */
export class Adamax extends FusedOptimizer<AdamaxSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdamaxSettings>[],
    settings: Partial<AdamaxSettings> = {},
  ) {
    const defaults = { lr: 2e-3, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0, maximize: false } as const;
    super(parameters, defaults, settings);
  }

  protected check(settings: AdamaxSettings): void {
    checkMoments('Adamax', settings);
  }

  protected stateNames(): readonly string[] {
    return ['exp_avg', 'exp_inf'];
  }

  protected advance(group: Group<AdamaxSettings>, tensors: StepTensors, counts: ParameterState): void {
    adamaxStep(tensors, () => {
      const { lr, betas, epsilon, weightDecay: decay, maximize } = group;
      const [beta1, beta2] = betas;
      const rate = lr / (1 - beta1 ** (counts['step'] as number));
      return { rate, beta1, beta2, epsilon, decay, maximize };
    });
  }
}
