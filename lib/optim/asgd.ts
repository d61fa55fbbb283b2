/** Averaged SGD. */
import { noGrad } from '../autograd/modes';
import { zeros } from '../ops/creation';
import { liveNumber } from '../ops/optimizer-steps';
import { everyTime } from '../runtime/tape';
import type { AnyTensor } from '../tensor/tensor';
import { checkSetting, GradientOptimizer, stateDType, type Group, type ParameterGroup } from './optimizer';

export interface ASGDSettings {
  /** The learning rate at the start; 0.01 unless given. */
  lr: number;
  /** How fast the rate falls and parameters shrink; 1e-4 unless given. */
  lambd: number;
  /** The power by which the rate falls; 0.75 unless given. */
  alpha: number;
  /** After how many steps the average begins; 1e6 unless given. */
  t0: number;
  /** L2 penalty, added to the gradient; 0 unless given. */
  weightDecay: number;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Averaged stochastic gradient descent: p ← p·(1 − λ·η) − η·g with a rate η = lr / (1 + λ·lr·t)^α that falls. From step t₀ on the state `ax` of a parameter is the
 * average of its values since then; before, its value.
 *
 * @see Polyak and Juditsky, 1992, Acceleration of stochastic approximation by averaging.
 * @example
 * const optimizer = new optim.ASGD(model.parameters(), { lr: 0.1, t0: 1000 });
 */
export class ASGD extends GradientOptimizer<ASGDSettings> {
  protected override readonly counts = ['step', 'eta', 'mu'];

  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<ASGDSettings>[],
    settings: Partial<ASGDSettings> = {},
  ) {
    super(parameters, { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6, weightDecay: 0, maximize: false }, settings);
  }

  protected check(s: ASGDSettings): void {
    for (const name of ['lr', 'lambd', 'alpha', 't0', 'weightDecay'] as const) checkSetting('ASGD', name, s[name]);
  }

  protected requiredState(): readonly string[] {
    return [...this.counts, 'ax'];
  }

  protected override isLive(setting: string): boolean {
    return setting === 'lr';
  }

  protected update(
    group: Group<ASGDSettings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void {
    const { lambd, alpha, t0, weightDecay, maximize } = group;
    parameters.forEach((parameter, i) => {
      const own = this.state.get(parameter) ?? { step: 0, eta: group.lr, mu: 1, ax: averageOf(parameter) };
      this.state.set(parameter, own);
      const now = { eta: 0, mu: 0 };
      everyTime(() => {
        Object.assign(now, { eta: own['eta'], mu: own['mu'] });
        const step = (own['step'] as number) + 1;
        const eta = group.lr / (1 + lambd * group.lr * step) ** alpha;
        Object.assign(own, { step, eta, mu: 1 / Math.max(1, step - t0) });
      });
      const average = own['ax'] as AnyTensor;
      const value: AnyTensor = parameter.cast(average.dtype);
      const gradient = gradients[i]!.cast(average.dtype)
        .mul(maximize ? -1 : 1)
        .add(value.mul(weightDecay));
      const [shrink, eta] = [liveNumber(average, () => 1 - lambd * now.eta), liveNumber(average, () => now.eta)];
      parameter.copy_(value.mul(shrink).sub(gradient.mul(eta)));
      average.add_(
        parameter
          .detach()
          .sub(average)
          .mul(liveNumber(average, () => now.mu)),
      );
    });
  }
}

const averageOf = (parameter: AnyTensor): AnyTensor =>
  noGrad(() => zeros(parameter.shape, { dtype: stateDType(parameter), device: parameter.device })).keep() as AnyTensor;
