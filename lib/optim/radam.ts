/** RAdam. */
import { adamStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { checkMoments } from './adam';
import { FusedOptimizer } from './fused-optimizer';
import type { Group, ParameterGroup, ParameterState } from './optimizer';

export interface RAdamSettings {
  /** The learning rate; 1e-3 unless given. */
  lr: number;
  /** Decay rates of the two moments; [0.9, 0.999] unless given. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 unless given. */
  epsilon: number;
  /** 0 unless given. */
  weightDecay: number;
  /** Whether weight decay shrinks the parameter itself, as in AdamW; false unless given. */
  decoupledWeightDecay: boolean;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Adam that rectifies the variance of its early steps: until the second moment rests on enough gradients (a moving average of length ρ > 5), the step is that
 * of momentum alone.
 *
 * @see Liu et al., 2020, On the variance of the adaptive learning rate and beyond.
 * @example
 * const optimizer = new optim.RAdam(model.parameters(), { lr: 1e-3 });
 */
export class RAdam extends FusedOptimizer<RAdamSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<RAdamSettings>[],
    settings: Partial<RAdamSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-3,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        weightDecay: 0,
        decoupledWeightDecay: false,
        maximize: false,
      },
      settings,
    );
  }

  protected check(settings: RAdamSettings): void {
    checkMoments('RAdam', settings);
  }

  protected stateNames(): readonly string[] {
    return ['exp_avg', 'exp_avg_sq'];
  }

  protected advance(group: Group<RAdamSettings>, tensors: StepTensors, counts: ParameterState): void {
    adamStep(tensors, () => {
      const { lr, betas, epsilon, weightDecay, decoupledWeightDecay, maximize } = group;
      const [beta1, beta2] = betas;
      const step = counts['step'] as number;
      const correction = 1 - beta2 ** step;
      const longest = 2 / (1 - beta2) - 1;
      const length = longest - (2 * step * beta2 ** step) / correction;
      const isRectified = length > 5;
      const rectification = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length);
      return {
        beta1,
        beta2,
        shrink: decoupledWeightDecay ? 1 - lr * weightDecay : 1,
        decay: decoupledWeightDecay ? 0 : weightDecay,
        gradientRate: 0,
        meanRate: (lr / (1 - beta1 ** step)) * (isRectified ? Math.sqrt(correction * rectification) : 1),
        rootScale: isRectified ? 1 : 0,
        epsilon: isRectified ? epsilon : 1,
        amsgrad: false,
        maximize,
      };
    });
  }
}
