/** LAMB. */
import { zerosLike } from '../ops/creation';
import { adamStep, liveNumber, totalNorm, type StepTensors } from '../ops/optimizer-steps';
import { where } from '../ops/pointwise';
import type { AnyTensor } from '../tensor/tensor';
import { checkMoments } from './adam';
import { FusedOptimizer } from './fused-optimizer';
import type { Group, ParameterGroup, ParameterState } from './optimizer';

export interface LAMBSettings {
  /** The learning rate; 1e-3 unless given. */
  lr: number;
  /** Decay rates of the two moments; [0.9, 0.999] unless given. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 1e-6 unless given. */
  epsilon: number;
  /** Added to the update; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * LAMB, for very large batches: each parameter takes Adam's step r = m̂ / (√v̂ + ε) + λ·p, scaled to its own norm, p ← p − lr·(‖p‖/‖r‖)·r; the ratio is 1
 * where a norm is 0.
 *
 * @see You et al., 2020, Large batch optimization for deep learning: training BERT in 76 minutes.
 * @example
 * const optimizer = new optim.LAMB(model.parameters(), { lr: 2e-3, weightDecay: 0.01 });
 */
export class LAMB extends FusedOptimizer<LAMBSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<LAMBSettings>[],
    settings: Partial<LAMBSettings> = {},
  ) {
    const defaults = { lr: 1e-3, betas: [0.9, 0.999], epsilon: 1e-6, weightDecay: 0, maximize: false } as const;
    super(parameters, defaults, settings);
  }

  protected check(settings: LAMBSettings): void {
    checkMoments('LAMB', settings);
  }

  protected stateNames(): readonly string[] {
    return ['exp_avg', 'exp_avg_sq'];
  }

  protected override isLive(setting: string): boolean {
    return setting === 'lr';
  }

  protected advance(group: Group<LAMBSettings>, tensors: StepTensors, counts: ParameterState): void {
    const { betas, epsilon, weightDecay, maximize } = group;
    const [beta1, beta2] = betas;
    const updates = tensors.parameters.map((parameter) => zerosLike(parameter.detach()) as AnyTensor);
    // From zero, the step is the update itself.
    adamStep({ ...tensors, parameters: updates }, () => ({
      beta1,
      beta2,
      shrink: 1,
      decay: 0,
      gradientRate: 0,
      meanRate: -1 / (1 - beta1 ** (counts['step'] as number)),
      rootScale: 1 / Math.sqrt(1 - beta2 ** (counts['step'] as number)),
      epsilon,
      amsgrad: false,
      maximize,
    }));
    tensors.parameters.forEach((parameter, i) => {
      const update = weightDecay === 0 ? updates[i]! : updates[i]!.add(parameter.mul(weightDecay));
      const own = totalNorm([parameter], 2);
      const other = totalNorm([update], 2);
      const ratio = where(own.greater(0).logicalAnd(other.greater(0)), own.div(other), 1);
      parameter.sub_(update.mul(ratio.mul(liveNumber(ratio, () => group.lr))));
    });
  }
}
