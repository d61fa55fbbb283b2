/** Adafactor. */
import { ArgumentError } from '../errors';
import { zeros } from '../ops/creation';
import { liveNumber, totalNorm } from '../ops/optimizer-steps';
import { shown } from '../tensor/describe';
import type { FloatDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { everyTime } from '../runtime/tape';
import type { AnyTensor } from '../tensor/tensor';
import {
  checkSetting,
  GradientOptimizer,
  stateDType,
  type Group,
  type ParameterGroup,
  type ParameterState,
} from './optimizer';

export interface AdafactorSettings {
  /** The largest learning rate; 0.01 unless given. */
  lr: number;
  /** The second moment's decay rate in step t is 1 − t^beta2Decay; −0.8 unless given. */
  beta2Decay: number;
  /** The least second moment's root, the dtype's precision where it is null, and the least size of a parameter; [null, 1e-3] unless given. */
  epsilon: readonly [number | null, number];
  /** The largest root mean square of an update; 1 unless given. */
  d: number;
  /** Shrinks the parameter itself; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

const precisions: Readonly<Record<FloatDType, number>> = {
  float64: 2 ** -52,
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

/**
 * Adafactor: the second moment of a matrix is kept as the outer product of its means over rows and columns, n + m numbers instead of n·m; the rate is relative
 * to the size of the parameter, at most min(lr, 1/√t).
 *
 * @see Shazeer and Stern, 2018, Adafactor: adaptive learning rates with sublinear memory cost.
 * @example
 * const optimizer = new optim.Adafactor(model.parameters());
 */
export class Adafactor extends GradientOptimizer<AdafactorSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<AdafactorSettings>[],
    settings: Partial<AdafactorSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-2,
        beta2Decay: -0.8,
        epsilon: [null, 1e-3],
        d: 1,
        weightDecay: 0,
        maximize: false,
      },
      settings,
    );
  }

  protected check(s: AdafactorSettings): void {
    checkSetting('Adafactor', 'lr', s.lr);
    if (!(s.beta2Decay <= 0)) {
      throw new ArgumentError(`Adafactor: beta2Decay: got ${s.beta2Decay}, expected a number at most 0`);
    }
    if (!Array.isArray(s.epsilon)) {
      throw new ArgumentError(`Adafactor: epsilon: got ${shown(s.epsilon)}, expected two numbers`);
    }
    checkSetting('Adafactor', 'epsilon[0]', s.epsilon[0] ?? 0);
    checkSetting('Adafactor', 'epsilon[1]', s.epsilon[1]);
    checkSetting('Adafactor', 'd', s.d, 1);
    checkSetting('Adafactor', 'weightDecay', s.weightDecay);
  }

  protected requiredState(): readonly string[] {
    return ['step'];
  }

  protected override stateShape(name: string, { shape }: AnyTensor): Shape {
    if (name === 'variance') return shape;
    const collapsed = shape.length - (name === 'row_var' ? 1 : 2);
    return shape.map((size, axis) => (axis === collapsed ? 1 : size));
  }

  protected override isLive(setting: string): boolean {
    return setting === 'lr';
  }

  protected update(
    group: Group<AdafactorSettings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void {
    const { beta2Decay, epsilon, d, weightDecay, maximize } = group;
    parameters.forEach((parameter, i) => {
      const own = this.state.get(parameter) ?? this.start(parameter);
      this.state.set(parameter, own);
      everyTime(() => (own['step'] = (own['step'] as number) + 1));
      const step = (): number => own['step'] as number;
      const gradient = gradients[i]!.cast(stateDType(parameter));
      const least = epsilon[0] ?? precisions[parameter.dtype as FloatDType];
      const root = Math.sqrt(parameter.size);
      const size = totalNorm([parameter], 2).div(root).maximum(epsilon[1]);
      const weight = liveNumber(gradient, () => step() ** beta2Decay);
      const variance = secondMoment(own, gradient.square(), weight, least);
      const update = variance
        .maximum(least * least)
        .rsqrt()
        .mul(gradient);
      const excess = totalNorm([update], 2)
        .div(root * d)
        .maximum(1);
      const rate = liveNumber(gradient, () => Math.min(group.lr, 1 / Math.sqrt(step())) * (maximize ? -1 : 1));
      const value: AnyTensor = parameter.cast(gradient.dtype);
      const kept = weightDecay === 0 ? value : value.mul(liveNumber(gradient, () => 1 - group.lr * weightDecay));
      parameter.copy_(kept.sub(update.mul(size.div(excess).mul(rate))));
    });
  }

  private start(parameter: AnyTensor): ParameterState {
    const names = parameter.rank > 1 ? ['row_var', 'col_var'] : ['variance'];
    const options = { dtype: stateDType(parameter), device: parameter.device };
    const tensors = names.map((name) => [name, zeros(this.stateShape(name, parameter), options).keep()]);
    return { step: 0, ...Object.fromEntries(tensors) } as ParameterState;
  }
}

/** Moves the moving means on and answers what they say of each element's second moment. */
function secondMoment(own: ParameterState, squares: AnyTensor, weight: AnyTensor | number, least: number): AnyTensor {
  if (squares.rank < 2) return (own['variance'] as AnyTensor).lerp_(squares, weight);
  const rows = (own['row_var'] as AnyTensor).lerp_(squares.mean(-1, { keepDims: true }), weight);
  const columns = (own['col_var'] as AnyTensor).lerp_(squares.mean(-2, { keepDims: true }), weight);
  return rows.mul(columns).div(rows.mean(-2, { keepDims: true }).maximum(least));
}
