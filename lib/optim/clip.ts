/** Gradient clipping. */
import { noGrad } from '../autograd/modes';
import { ArgumentError, HadalError } from '../errors';
import { zeros } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { stack } from '../ops/movement';
import { clampTensors, scaleTensors, totalNorm } from '../ops/optimizer-steps';
import { describe } from '../tensor/describe';
import { scope } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import { stateDType } from './optimizer';

export interface ClipGradNormOptions {
  /** The p of the p-norm, a positive number or Infinity; 2 unless given. */
  readonly order?: number;
  /** Throw when the norm is infinite or NaN, before any gradient is changed. Waits for the device; false unless given. */
  readonly errorIfNonFinite?: boolean;
}

/**
 * Scales the gradients of `parameters` in place so that their norm, all taken as one vector, is at most `maxNorm`. Answers the norm before, as a 0-d
 * tensor: nothing waits for the device.
 *
 * @throws HadalError when `errorIfNonFinite` is set and the norm is not finite.
 * @see Pascanu et al., 2013, On the difficulty of training recurrent neural networks.
 * @example
 * loss.backward();
 * optim.clipGradNorm(model.parameters(), 1);
 * optimizer.step();
 */
export function clipGradNorm(
  parameters: readonly AnyTensor[],
  maxNorm: number,
  options: ClipGradNormOptions = {},
): AnyTensor {
  checkOptions('clipGradNorm', options);
  if (!(maxNorm >= 0))
    throw new ArgumentError(`clipGradNorm: maxNorm: got ${String(maxNorm)}, expected a non-negative number`);
  const { order = 2, errorIfNonFinite = false } = options;
  if (!(order > 0)) throw new ArgumentError(`clipGradNorm: order: got ${String(order)}, expected a positive number`);
  const gradients = gradientsOf('clipGradNorm', parameters);
  if (gradients.length === 0) return zeros([]);
  return noGrad(() =>
    scope(() => {
      const norm = normOf(gradients, order);
      if (errorIfNonFinite && !Number.isFinite(norm.itemSync())) {
        throw new HadalError(
          `clipGradNorm: the norm of the gradients: got ${norm.itemSync()}, expected a finite number`,
        );
      }
      scaleTensors(gradients, norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1));
      return norm;
    }),
  );
}

/**
 * Clamps every element of the gradients of `parameters` to [−limit, limit], in place.
 *
 * @example
 * loss.backward();
 * optim.clipGradValue(model.parameters(), 0.5);
 */
export function clipGradValue(parameters: readonly AnyTensor[], limit: number): void {
  if (!(limit >= 0))
    throw new ArgumentError(`clipGradValue: limit: got ${String(limit)}, expected a non-negative number`);
  clampTensors(gradientsOf('clipGradValue', parameters), limit);
}

function gradientsOf(op: string, parameters: readonly AnyTensor[]): AnyTensor[] {
  if (!Array.isArray(parameters)) {
    throw new ArgumentError(`${op}: parameters: got ${describe(parameters)}, expected an array of tensors`);
  }
  parameters.forEach((parameter, i) => checkTensor(op, parameter, `parameters[${i}]`));
  return (parameters as readonly AnyTensor[]).flatMap((parameter) => parameter.edge?.grad ?? []);
}

function normOf(tensors: readonly AnyTensor[], order: number): AnyTensor {
  if (order === 1 || order === 2 || order === Infinity) return totalNorm(tensors, order);
  const norms = tensors.map((tensor) => tensor.cast(stateDType(tensor)).norm(undefined, { p: order }));
  return stack(norms).norm(undefined, { p: order });
}
