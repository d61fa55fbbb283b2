/** Adam and AdamW. */
import { checkOptions } from '../ops/define';
import { adamStep, type StepTensors } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { FusedOptimizer } from './fused-optimizer';
import { checkNumbers, checkSetting, type Group, type ParameterGroup, type ParameterState } from './optimizer';

export interface AdamSettings {
  /** The learning rate; 1e-3 unless given. */
  lr: number;
  /** Decay rates of the two moments; [0.9, 0.999] unless given. */
  betas: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 unless given. */
  epsilon: number;
  /** 0 for Adam, 0.01 for AdamW unless given. */
  weightDecay: number;
  /** Divide by the largest second moment so far; false unless given. Reddi et al., 2018. */
  amsgrad: boolean;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/** Throws unless the settings that the family of Adam shares are in range. */
export function checkMoments(
  name: string,
  s: Pick<AdamSettings, 'lr' | 'betas' | 'weightDecay'> & { readonly epsilon?: number },
): void {
  checkSetting(name, 'lr', s.lr);
  checkNumbers(name, 'betas', s.betas, 2);
  checkSetting(name, 'betas[0]', s.betas[0], 0, 1);
  checkSetting(name, 'betas[1]', s.betas[1], 0, 1);
  if (s.epsilon !== undefined) checkSetting(name, 'epsilon', s.epsilon);
  checkSetting(name, 'weightDecay', s.weightDecay);
}

/**
 * Adam: p ← p − lr·m̂ / (√v̂ + ε), with moving means m of the gradient and v of its square, corrected for their start at zero. Weight decay is added to the
 * gradient.
 *
 * @see Kingma and Ba, 2015, Adam: a method for stochastic optimization.
 * @example
 * const optimizer = new optim.Adam(model.parameters(), { lr: 3e-4 });
 */
export class Adam extends FusedOptimizer<AdamSettings> {
  /** Whether weight decay acts on the parameter itself. */
  protected readonly decoupled: boolean = false;

  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-3,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        weightDecay: 0,
        amsgrad: false,
        maximize: false,
      },
      settings,
    );
  }

  protected check(settings: AdamSettings): void {
    checkMoments(this.constructor.name, settings);
  }

  protected stateNames({ amsgrad }: AdamSettings): readonly string[] {
    return amsgrad ? ['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq'] : ['exp_avg', 'exp_avg_sq'];
  }

  protected advance(group: Group<AdamSettings>, tensors: StepTensors, counts: ParameterState): void {
    adamStep(tensors, () => {
      const { lr, betas, epsilon, weightDecay, amsgrad, maximize } = group;
      const [beta1, beta2] = betas;
      const step = counts['step'] as number;
      return {
        beta1,
        beta2,
        shrink: this.decoupled ? 1 - lr * weightDecay : 1,
        decay: this.decoupled ? 0 : weightDecay,
        gradientRate: 0,
        meanRate: lr / (1 - beta1 ** step),
        rootScale: 1 / Math.sqrt(1 - beta2 ** step),
        epsilon,
        amsgrad,
        maximize,
      };
    });
  }
}

/**
 * Adam whose weight decay shrinks the parameter itself: p ← p·(1 − lr·λ) before the step.
 *
 * @see Loshchilov and Hutter, 2019, Decoupled weight decay regularization.
 * @example
 * const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-4, weightDecay: 0.1 });
 */
export class AdamW extends Adam {
  protected override readonly decoupled = true;

  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    checkOptions('AdamW', settings);
    super(parameters, { weightDecay: 0.01, ...settings });
  }
}
