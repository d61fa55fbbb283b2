/** Adam and AdamW. */
import { zeros } from '../ops/creation';
import { adamStep } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { checkSetting, Optimizer, partition, type Group, type ParameterGroup, type ParameterState } from './optimizer';

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

/**
 * Adam: p ← p − lr·m̂ / (√v̂ + ε), with moving means m of the gradient and v of its square, corrected for their start at zero. Weight decay is added to the
 * gradient.
 *
 * @see Kingma and Ba, 2015, Adam: a method for stochastic optimization.
 * @example
 * const optimizer = new optim.Adam(model.parameters(), { lr: 3e-4 });
 */
export class Adam extends Optimizer<AdamSettings> {
  protected readonly stateNames = ['step', 'exp_avg', 'exp_avg_sq'];
  /** Whether weight decay acts on the parameter itself. */
  protected readonly decoupled: boolean = false;

  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdamSettings>[],
    settings: Partial<AdamSettings> = {},
  ) {
    super(parameters, {
      lr: 1e-3,
      betas: [0.9, 0.999],
      epsilon: 1e-8,
      weightDecay: 0,
      amsgrad: false,
      maximize: false,
      ...settings,
    });
  }

  protected check(s: AdamSettings): void {
    const name = this.constructor.name;
    checkSetting(name, 'lr', s.lr);
    checkSetting(name, 'betas[0]', s.betas[0], 0, 1);
    checkSetting(name, 'betas[1]', s.betas[1], 0, 1);
    checkSetting(name, 'epsilon', s.epsilon);
    checkSetting(name, 'weightDecay', s.weightDecay);
  }

  protected update(
    group: Group<AdamSettings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void {
    const { amsgrad } = group;
    for (const parameter of parameters) {
      const own = this.state.get(parameter) ?? this.start(parameter);
      own['step'] = (own['step'] as number) + 1;
      if (amsgrad) own['max_exp_avg_sq'] ??= this.zeros(parameter);
      this.state.set(parameter, own);
    }
    const tensorsOf = (piece: readonly AnyTensor[], name: string): AnyTensor[] =>
      piece.map((parameter) => this.state.get(parameter)![name] as AnyTensor);
    const stepOf = (parameter: AnyTensor): number => this.state.get(parameter)!['step'] as number;
    for (const piece of partition(parameters, gradients, (p) => `${p.dtype} ${stepOf(p)}`)) {
      adamStep(
        piece.parameters,
        piece.gradients,
        tensorsOf(piece.parameters, 'exp_avg'),
        tensorsOf(piece.parameters, 'exp_avg_sq'),
        amsgrad ? tensorsOf(piece.parameters, 'max_exp_avg_sq') : [],
        {
          learningRate: group.lr,
          beta1: group.betas[0],
          beta2: group.betas[1],
          epsilon: group.epsilon,
          weightDecay: group.weightDecay,
          decoupled: this.decoupled,
          amsgrad,
          maximize: group.maximize,
          step: stepOf(piece.parameters[0]!),
        },
      );
    }
  }

  private start(parameter: AnyTensor): ParameterState {
    return { step: 0, exp_avg: this.zeros(parameter), exp_avg_sq: this.zeros(parameter) };
  }

  /** 16-bit parameters keep their moments in float32. */
  private zeros(parameter: AnyTensor): AnyTensor {
    const dtype = parameter.dtype === 'float64' ? 'float64' : 'float32';
    return zeros(parameter.shape, { dtype, device: parameter.device }).keep();
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
    super(parameters, { weightDecay: 0.01, ...settings });
  }
}
