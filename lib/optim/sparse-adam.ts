/** SparseAdam. */
import { liveNumber, type StepTensors } from '../ops/optimizer-steps';
import { where } from '../ops/pointwise';
import type { AnyTensor } from '../tensor/tensor';
import { checkMoments } from './adam';
import { FusedOptimizer } from './fused-optimizer';
import type { Group, ParameterGroup, ParameterState } from './optimizer';

export interface SparseAdamSettings {
  /** The learning rate; 1e-3 unless given. */
  lr: number;
  /** Decay rates of the two moments; [0.9, 0.999] unless given. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 unless given. */
  epsilon: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Adam for tables of which a step reads few rows: rows whose gradient is zero throughout stay as they are, moments and all. Gradients here are dense
 * tensors, so it saves no memory; what it keeps is that rare rows do not move between their turns.
 *
 * @example
 * const optimizer = new optim.SparseAdam(model.parameters(), { lr: 1e-3 });
 */
export class SparseAdam extends FusedOptimizer<SparseAdamSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<SparseAdamSettings>[],
    settings: Partial<SparseAdamSettings> = {},
  ) {
    super(parameters, { lr: 1e-3, betas: [0.9, 0.999], epsilon: 1e-8, maximize: false }, settings);
  }

  protected check(settings: SparseAdamSettings): void {
    checkMoments('SparseAdam', { ...settings, weightDecay: 0 });
  }

  protected stateNames(): readonly string[] {
    return ['exp_avg', 'exp_avg_sq'];
  }

  protected override isLive(setting: string): boolean {
    return setting === 'lr';
  }

  protected advance(group: Group<SparseAdamSettings>, tensors: StepTensors, counts: ParameterState): void {
    const { betas, epsilon, maximize } = group;
    const [beta1, beta2] = betas;
    const rateNow = (): number => {
      const step = counts['step'] as number;
      return (group.lr * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
    };
    tensors.parameters.forEach((parameter, i) => {
      const [mean, square] = tensors.states.map((state) => state[i]!) as [AnyTensor, AnyTensor];
      const gradient = tensors.gradients[i]!.cast(mean.dtype) as AnyTensor;
      const rate = liveNumber(mean, rateNow);
      const inRow = gradient.shape.map((_, axis) => axis).slice(1);
      const isRead = gradient.notEqual(0).any(inRow, { keepDims: true });
      mean.copy_(where(isRead, mean.lerp(maximize ? gradient.neg() : gradient, 1 - beta1), mean) as AnyTensor);
      square.copy_(where(isRead, square.lerp(gradient.square(), 1 - beta2), square) as AnyTensor);
      parameter.sub_(where(isRead, mean.div(square.sqrt().add(epsilon)).mul(rate), 0).cast(parameter.dtype));
    });
  }
}
