/** NAdam. */
import { adamStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { checkMoments } from './adam';
import { FusedOptimizer } from './fused-optimizer';
import { checkSetting, type Group, type ParameterGroup, type ParameterState } from './optimizer';

export interface NAdamSettings {
  /** The learning rate; 2e-3 unless given. */
  lr: number;
  /** Decay rates of the two moments; [0.9, 0.999] unless given. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 unless given. */
  epsilon: number;
  /** 0 unless given. */
  weightDecay: number;
  /** How fast the momentum warms up; 4e-3 unless given. */
  momentumDecay: number;
  /** Whether weight decay shrinks the parameter itself, as in AdamW; false unless given. */
  decoupledWeightDecay: boolean;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Adam with Nesterov's momentum: the step takes this step's gradient and the mean as the next step will weigh it, p ← p − lr·((1 − μₜ)/(1 − Πμ)·g +
 * μₜ₊₁/(1 − Πμ·μₜ₊₁)·m) / (√v̂ + ε), with μₜ = β₁·(1 − 0.96^(t·ψ)/2).
 *
 * @see Dozat, 2016, Incorporating Nesterov momentum into Adam.
 * @example
 * const optimizer = new optim.NAdam(model.parameters(), { lr: 2e-3 });
 */
export class NAdam extends FusedOptimizer<NAdamSettings> {
  protected override readonly counts = ['step', 'mu_product'];

  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<NAdamSettings>[],
    settings: Partial<NAdamSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 2e-3,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        weightDecay: 0,
        momentumDecay: 4e-3,
        decoupledWeightDecay: false,
        maximize: false,
      },
      settings,
    );
  }

  protected check(settings: NAdamSettings): void {
    checkMoments('NAdam', settings);
    checkSetting('NAdam', 'momentumDecay', settings.momentumDecay);
  }

  protected stateNames(): readonly string[] {
    return ['exp_avg', 'exp_avg_sq'];
  }

  protected override start(): ParameterState {
    return { step: 0, mu_product: 1 };
  }

  protected override count(own: ParameterState, group: Group<NAdamSettings>): void {
    super.count(own, group);
    own['mu_product'] = (own['mu_product'] as number) * momentum(group, own['step'] as number);
  }

  protected advance(group: Group<NAdamSettings>, tensors: StepTensors, counts: ParameterState): void {
    adamStep(tensors, () => {
      const { lr, betas, epsilon, weightDecay, decoupledWeightDecay, maximize } = group;
      const step = counts['step'] as number;
      const product = counts['mu_product'] as number;
      const next = momentum(group, step + 1);
      return {
        beta1: betas[0],
        beta2: betas[1],
        shrink: decoupledWeightDecay ? 1 - lr * weightDecay : 1,
        decay: decoupledWeightDecay ? 0 : weightDecay,
        gradientRate: (lr * (1 - momentum(group, step))) / (1 - product),
        meanRate: (lr * next) / (1 - product * next),
        rootScale: 1 / Math.sqrt(1 - betas[1] ** step),
        epsilon,
        amsgrad: false,
        maximize,
      };
    });
  }
}

/** μ of a step, counted from 1. */
function momentum({ betas, momentumDecay }: NAdamSettings, step: number): number {
  return betas[0] * (1 - 0.5 * 0.96 ** (step * momentumDecay));
}
