/** Optimizers whose step is one command for many tensors. */
import { full } from '../ops/creation';
import type { StepTensors } from '../ops/optimizer-steps';
import { everyTime } from '../runtime/tape';
import type { AnyTensor } from '../tensor/tensor';
import { GradientOptimizer, partition, stateDType, type Group, type ParameterState } from './optimizer';

export abstract class FusedOptimizer<Settings extends object> extends GradientOptimizer<Settings> {
  /** The names of a parameter's state tensors, in the order of the kernel. */
  protected abstract stateNames(settings: Settings): readonly string[];

  /** What new state tensors are filled with. */
  protected initial(_settings: Settings): number {
    return 0;
  }

  /** Runs the step of parameters whose counts are all the same. Settings and counts are to be read where the command asks for them. */
  protected abstract advance(group: Group<Settings>, tensors: StepTensors, counts: ParameterState): void;

  protected override isLive(_setting: string): boolean {
    return true;
  }

  /** Moves the counts of a parameter on by a step. */
  protected count(own: ParameterState, _group: Group<Settings>): void {
    own['step'] = (own['step'] as number) + 1;
  }

  protected requiredState(settings: Settings): readonly string[] {
    return [...this.counts, ...this.stateNames(settings)];
  }

  /** The counts of a parameter that has made no step. */
  protected start(): ParameterState {
    return { step: 0 };
  }

  protected update(group: Group<Settings>, parameters: readonly AnyTensor[], gradients: readonly AnyTensor[]): void {
    const names = this.stateNames(group);
    for (const parameter of parameters) {
      const own = this.state.get(parameter) ?? this.start();
      for (const name of names) own[name] ??= this.stateTensor(parameter, this.initial(group));
      this.state.set(parameter, own);
    }
    everyTime(() => {
      for (const parameter of parameters) this.count(this.state.get(parameter)!, group);
    });
    const haveEqualCounts = (a: AnyTensor, b: AnyTensor): boolean =>
      this.counts.every((name) => this.state.get(a)![name] === this.state.get(b)![name]);
    for (const piece of partition(parameters, gradients, haveEqualCounts)) {
      const states = names.map((name) =>
        piece.parameters.map((parameter) => this.state.get(parameter)![name] as AnyTensor),
      );
      this.advance(group, { states, ...piece }, this.state.get(piece.parameters[0]!)!);
    }
  }

  private stateTensor(parameter: AnyTensor, value: number): AnyTensor {
    return full(parameter.shape, value, { dtype: stateDType(parameter), device: parameter.device }).keep();
  }
}
