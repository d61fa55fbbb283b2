/** Resilient backpropagation. */
import { ArgumentError } from '../errors';
import { full, zeros } from '../ops/creation';
import { where } from '../ops/pointwise';
import { everyTime } from '../runtime/tape';
import type { AnyTensor } from '../tensor/tensor';
import {
  checkNumbers,
  checkSetting,
  GradientOptimizer,
  stateDType,
  type Group,
  type ParameterGroup,
} from './optimizer';

export interface RpropSettings {
  /** The size of the first step; 0.01 unless given. */
  lr: number;
  /** What an element's step is multiplied with where the sign of its gradient has changed, and where it has not; [0.5, 1.2] unless given. */
  etas: readonly [number, number];
  /** The smallest and the largest step; [1e-6, 50] unless given. */
  stepSizes: readonly [number, number];
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Rprop, for whole data sets instead of batches: each element moves against the sign of its gradient by a step of its own, which grows while that sign stays and shrinks
 * where it changes; there the element rests for a step.
 *
 * @see Riedmiller and Braun, 1993, A direct adaptive method for faster backpropagation learning: the RPROP algorithm.
 * @example
 * const optimizer = new optim.Rprop(model.parameters(), { lr: 0.01 });
 */
export class Rprop extends GradientOptimizer<RpropSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<RpropSettings>[],
    settings: Partial<RpropSettings> = {},
  ) {
    super(parameters, { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false }, settings);
  }

  protected check({ lr, etas, stepSizes }: RpropSettings): void {
    checkSetting('Rprop', 'lr', lr);
    checkNumbers('Rprop', 'etas', etas, 2);
    checkNumbers('Rprop', 'stepSizes', stepSizes, 2);
    if (!(etas[0] > 0 && etas[0] < 1 && etas[1] > 1)) {
      throw new ArgumentError(`Rprop: etas: got [${etas.join(', ')}], expected one from 0 to 1 and one above 1`);
    }
    if (!(stepSizes[0] <= stepSizes[1])) {
      throw new ArgumentError(`Rprop: stepSizes: got [${stepSizes.join(', ')}], expected the smaller one first`);
    }
  }

  protected requiredState(): readonly string[] {
    return [...this.counts, 'prev', 'step_size'];
  }

  protected override isLive(setting: string): boolean {
    return setting === 'lr';
  }

  protected update(
    group: Group<RpropSettings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void {
    const { lr, etas, stepSizes, maximize } = group;
    parameters.forEach((parameter, i) => {
      const { shape, device } = parameter;
      const options = { dtype: stateDType(parameter), device };
      const own = this.state.get(parameter) ?? {
        step: 0,
        prev: zeros(shape, options).keep(),
        step_size: full(shape, lr, options).keep(),
      };
      this.state.set(parameter, own);
      everyTime(() => (own['step'] = (own['step'] as number) + 1));
      const [previous, size] = [own['prev'] as AnyTensor, own['step_size'] as AnyTensor];
      const gradient: AnyTensor = maximize ? gradients[i]!.neg() : gradients[i]!;
      const agreement: AnyTensor = previous.mul(gradient);
      const turned: AnyTensor = agreement.less(0);
      const grown = where(agreement.greater(0) as never, size.mul(etas[1]), size) as AnyTensor;
      size.copy_(where(turned as never, size.mul(etas[0]), grown).clamp(...stepSizes));
      previous.copy_(where(turned as never, 0, gradient) as AnyTensor);
      parameter.sub_(previous.sign().mul(size));
    });
  }
}
