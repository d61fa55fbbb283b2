/** Muon. */
import { ArgumentError } from '../errors';
import { zeros } from '../ops/creation';
import { liveNumber, totalNorm } from '../ops/optimizer-steps';
import { checkChoice } from '../tensor/checks';
import type { FloatDType } from '../tensor/dtype';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import {
  checkNumbers,
  checkParameters,
  checkSetting,
  GradientOptimizer,
  stateDType,
  type Group,
  type ParameterGroup,
} from './optimizer';

export interface MuonSettings {
  /** The learning rate; 1e-3 unless given. */
  lr: number;
  /** Shrinks the parameter itself; 0.1 unless given. */
  weightDecay: number;
  /** 0.95 unless given. */
  momentum: number;
  /** Look ahead along the momentum; true unless given. */
  nesterov: boolean;
  /** Of the polynomial a·x + b·x³ + c·x⁵ that drives singular values towards 1; [3.4445, −4.775, 2.0315] unless given. */
  nsCoefficients: readonly [number, number, number];
  /** The least norm that the update is divided by; 1e-7 unless given. */
  epsilon: number;
  /** How often the polynomial is applied; 5 unless given. */
  nsSteps: number;
  /**
   * How the rate follows from a matrix [n, m]: `original` multiplies it with √max(1, n/m), `match_rms_adamw` with 0.2·√max(n, m), so that rates of AdamW serve;
   * original unless given.
   */
  adjustLrFn: 'original' | 'match_rms_adamw';
  /** What the polynomial is computed in; bfloat16 unless given. */
  precision: FloatDType;
}

/**
 * Muon, for the matrices of hidden layers: the momentum is made orthogonal by a Newton-Schulz iteration, so that the step is equally large in all directions.
 * Train embeddings, heads, biases and norms with AdamW beside it.
 *
 * @throws ArgumentError when a parameter is not a matrix.
 * @see Jordan et al., 2024, Muon: an optimizer for hidden layers in neural networks; Liu et al., 2025, Muon is scalable for LLM training.
 * @example
 * const optimizer = new optim.Muon(matrices, { lr: 0.02 });
 */
export class Muon extends GradientOptimizer<MuonSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<MuonSettings>[],
    settings: Partial<MuonSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-3,
        weightDecay: 0.1,
        momentum: 0.95,
        nesterov: true,
        nsCoefficients: [3.4445, -4.775, 2.0315],
        epsilon: 1e-7,
        nsSteps: 5,
        adjustLrFn: 'original',
        precision: 'bfloat16',
      },
      settings,
    );
  }

  override addParamGroup(group: ParameterGroup<MuonSettings>): void {
    checkParameters('Muon', group);
    const other = group.parameters.find((parameter) => parameter.rank !== 2);
    if (other !== undefined) {
      throw new ArgumentError(`Muon: parameters: got shape ${show(other.shape)}, expected matrices`);
    }
    super.addParamGroup(group);
  }

  protected check(s: MuonSettings): void {
    checkSetting('Muon', 'lr', s.lr);
    checkSetting('Muon', 'weightDecay', s.weightDecay);
    checkSetting('Muon', 'momentum', s.momentum);
    checkSetting('Muon', 'epsilon', s.epsilon);
    checkSetting('Muon', 'nsSteps', s.nsSteps, 0, 100);
    checkNumbers('Muon', 'nsCoefficients', s.nsCoefficients, 3);
    checkChoice('Muon', 'adjustLrFn', s.adjustLrFn, ['original', 'match_rms_adamw']);
  }

  protected requiredState(): readonly string[] {
    return ['momentum_buffer'];
  }

  protected override isLive(setting: string): boolean {
    return setting === 'lr';
  }

  protected update(
    group: Group<MuonSettings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void {
    const { weightDecay, momentum, nesterov, adjustLrFn } = group;
    parameters.forEach((parameter, i) => {
      const options = { dtype: stateDType(parameter), device: parameter.device };
      const own = this.state.get(parameter) ?? { momentum_buffer: zeros(parameter.shape, options).keep() };
      this.state.set(parameter, own);
      const gradient = gradients[i]!.cast(options.dtype);
      const buffer = (own['momentum_buffer'] as AnyTensor).lerp_(gradient, 1 - momentum);
      const update = orthogonal(nesterov ? gradient.lerp(buffer, momentum) : buffer, group);
      const [n, m] = parameter.shape as [number, number];
      const ratio = adjustLrFn === 'original' ? Math.sqrt(Math.max(1, n / m)) : 0.2 * Math.sqrt(Math.max(n, m));
      const shrink = liveNumber(buffer, () => 1 - group.lr * weightDecay);
      const rate = liveNumber(buffer, () => group.lr * ratio);
      parameter.copy_(parameter.cast(options.dtype).mul(shrink).sub(update.cast(options.dtype).mul(rate)));
    });
  }
}

/** Roughly U·Vᵀ of the singular value decomposition U·S·Vᵀ of a matrix: its singular values come out between 0.7 and 1.2. */
function orthogonal(matrix: AnyTensor, s: MuonSettings): AnyTensor {
  const [a, b, c] = s.nsCoefficients;
  const isTall = matrix.shape[0]! > matrix.shape[1]!;
  let x: AnyTensor = matrix.cast(s.precision);
  if (isTall) x = x.transpose();
  x = x.div(totalNorm([x], 2).maximum(s.epsilon));
  for (let i = 0; i < s.nsSteps; i++) {
    const gram = x.matmul(x.transpose()) as AnyTensor;
    x = x.mul(a).add(gram.mul(b).add(gram.matmul(gram).mul(c)).matmul(x));
  }
  return isTall ? x.transpose() : x;
}
