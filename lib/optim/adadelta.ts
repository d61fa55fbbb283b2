/** Adadelta. */
import { adadeltaStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { FusedOptimizer } from './fused-optimizer';
import { checkSetting, type Group, type ParameterGroup } from './optimizer';

export interface AdadeltaSettings {
  /** What the step is multiplied with; 1 unless given. */
  lr: number;
  /** Decay rate of the two means; 0.9 unless given. */
  rho: number;
  /** Added to both means; 1e-6 unless given. */
  epsilon: number;
  /** L2 penalty, added to the gradient; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Adadelta: Δ = g·√(E[Δ²] + ε) / √(E[g²] + ε), p ← p − lr·Δ, with moving means E of the squares.
 *
 * @see Zeiler, 2012, ADADELTA: an adaptive learning rate method.
 * @example
 * const optimizer = new optim.Adadelta(model.parameters());
 */
export class Adadelta extends FusedOptimizer<AdadeltaSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdadeltaSettings>[],
    settings: Partial<AdadeltaSettings> = {},
  ) {
    super(parameters, { lr: 1, rho: 0.9, epsilon: 1e-6, weightDecay: 0, maximize: false }, settings);
  }

  protected check(s: AdadeltaSettings): void {
    checkSetting('Adadelta', 'lr', s.lr);
    checkSetting('Adadelta', 'rho', s.rho, 0, 1);
    checkSetting('Adadelta', 'epsilon', s.epsilon);
    checkSetting('Adadelta', 'weightDecay', s.weightDecay);
  }

  protected stateNames(): readonly string[] {
    return ['square_avg', 'acc_delta'];
  }

  protected advance(group: Group<AdadeltaSettings>, tensors: StepTensors): void {
    adadeltaStep(tensors, () => {
      const { lr: rate, rho, epsilon, weightDecay: decay, maximize } = group;
      return { rate, rho, epsilon, decay, maximize };
    });
  }
}
