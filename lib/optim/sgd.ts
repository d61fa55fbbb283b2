/** Stochastic gradient descent. */
import { ArgumentError } from '../errors';
import { emptyLike } from '../ops/creation';
import { sgdStep } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';
import { checkSetting, GradientOptimizer, partition, type Group, type ParameterGroup } from './optimizer';

export interface SGDSettings {
  /** The learning rate; 1e-3 unless given. */
  lr: number;
  /** 0 unless given. */
  momentum: number;
  /** How much of a new gradient the momentum leaves out; 0 unless given. */
  dampening: number;
  /** L2 penalty, added to the gradient; 0 unless given. */
  weightDecay: number;
  /** Look ahead along the momentum; false unless given. */
  nesterov: boolean;
  /** Ascend instead of descending; false unless given. */
  maximize: boolean;
}

/**
 * Stochastic gradient descent with momentum: b ← μ·b + (1 − dampening)·g, p ← p − lr·b. Sutskever et al., 2013, for Nesterov's form; the formulas are
 * PyTorch's.
 *
 * @example
 * const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
 */
export class SGD extends GradientOptimizer<SGDSettings> {
  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<SGDSettings>[],
    settings: Partial<SGDSettings> = {},
  ) {
    super(
      parameters,
      {
        lr: 1e-3,
        momentum: 0,
        dampening: 0,
        weightDecay: 0,
        nesterov: false,
        maximize: false,
      },
      settings,
    );
  }

  protected check(s: SGDSettings): void {
    checkSetting('SGD', 'lr', s.lr);
    checkSetting('SGD', 'momentum', s.momentum);
    checkSetting('SGD', 'weightDecay', s.weightDecay);
    if (s.nesterov && (s.momentum === 0 || s.dampening !== 0)) {
      throw new ArgumentError('SGD: nesterov: got true, expected a momentum and no dampening with it');
    }
  }

  protected requiredState({ momentum }: SGDSettings): readonly string[] {
    return momentum === 0 ? [] : ['momentum_buffer'];
  }

  protected update(group: Group<SGDSettings>, parameters: readonly AnyTensor[], gradients: readonly AnyTensor[]): void {
    const { momentum } = group;
    const isNew = (parameter: AnyTensor): boolean => momentum !== 0 && !this.state.has(parameter);
    for (const piece of partition(parameters, gradients, (a, b) => isNew(a) === isNew(b))) {
      const firstStep = isNew(piece.parameters[0]!);
      const states: AnyTensor[][] = [];
      if (momentum !== 0) states.push(piece.parameters.map((parameter) => this.momentumOf(parameter)));
      sgdStep({ states, ...piece }, () => ({ learningRate: group.lr, firstStep, ...group }));
    }
  }

  private momentumOf(parameter: AnyTensor): AnyTensor {
    const own = this.state.get(parameter) ?? { momentum_buffer: emptyLike(parameter.detach()).keep() };
    this.state.set(parameter, own);
    return own['momentum_buffer'] as AnyTensor;
  }
}
