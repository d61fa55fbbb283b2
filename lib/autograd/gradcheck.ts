/** Checks gradients against differences: for the tests of hadal's ops, and for functions that users define. */
import { ArgumentError, AutogradError } from '../errors';
import { tensor, zerosLike } from '../ops/creation';
import { getRandomState, setRandomState } from '../runtime/random';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { enableGrad, noGrad } from './modes';
import { gradients } from './transforms';

export interface GradcheckOptions {
  /** 2 checks the gradient of the gradient as well; 1 unless given. */
  readonly order?: 1 | 2;
  /** Half the distance of the points that are compared; 1e-5 unless given. */
  readonly step?: number;
  /** The relative tolerance; 1e-5 unless given. */
  readonly rtol?: number;
  /** The absolute tolerance; 1e-7 unless given. */
  readonly atol?: number;
}

type Checked = (...inputs: AnyTensor[]) => AnyTensor | readonly (AnyTensor | undefined)[];

/**
 * Compares the gradients that backward finds with central differences, `(f(x + h) - f(x - h)) / 2h`, for every element of every input that requires
 * a gradient. Those inputs are float64. Several outputs are weighted with fixed random numbers. Random ops inside f draw the
 * same numbers at every call. Blocks the thread.
 *
 * @throws AutogradError that names the first element where they differ.
 * @example
 * gradcheck((x) => x.exp(), [tensor([0.5, 1], { dtype: 'float64', requiresGrad: true })], { order: 2 });
 */
export function gradcheck(f: Checked, inputs: readonly AnyTensor[], options: GradcheckOptions = {}): void {
  const leaves = inputs.map((input, i) => {
    if (!input.requiresGrad) return input;
    if (input.dtype === 'float64') return input.detach().clone().requiresGrad_();
    throw new ArgumentError(`gradcheck: inputs[${i}]: got ${input.dtype}, expected float64`);
  });
  const checked = leaves.map((_, i) => i).filter((i) => leaves[i]!.requiresGrad);
  if (checked.length === 0) throw new ArgumentError('gradcheck: inputs: got none that requires a gradient');
  const repeatable = withFixedRandomness(f);
  compare('gradient', repeatable, leaves, checked, options);
  if (options.order !== 2) return;

  // The gradient as a function of the inputs and of what it is weighted with.
  const weights = outputsOf(repeatable, leaves).map((output, i) => weightsLike(output, 7 + i).requiresGrad_());
  const gradient: Checked = (...all) => {
    const xs = all.slice(0, leaves.length);
    return enableGrad(() => {
      const outputs = outputsOf(repeatable, xs);
      const wanted = checked.map((i) => xs[i]!);
      if (wanted.some((x) => !x.requiresGrad)) {
        // Called for a difference: leaves of its own stand in for the inputs.
        wanted.forEach((x) => x.requiresGrad_());
      }
      const differentiable = outputs.map((_, i) => i).filter((i) => outputs[i]!.requiresGrad);
      return gradients(
        differentiable.map((i) => outputs[i]!),
        wanted,
        { gradients: differentiable.map((i) => all[leaves.length + i]!), createGraph: true },
      );
    });
  };
  const both = [...leaves, ...weights];
  const bothChecked = [...checked, ...weights.map((_, i) => leaves.length + i)];
  compare('gradient of the gradient', gradient, both, bothChecked, options);
}
