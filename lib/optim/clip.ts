/** Gradient clipping. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { zeros } from '../ops/creation';
import { scaleToNorm, totalNorm } from '../ops/optimizer-steps';
import type { AnyTensor } from '../tensor/tensor';

/**
 * Scales the gradients of `parameters` in place so that their norm, all taken as one vector, is at most `maxNorm`. Answers the norm before, as a 0-d
 * tensor: nothing waits for the device.
 *
 * @see Pascanu et al., 2013, On the difficulty of training recurrent neural networks.
 * @example
 * loss.backward();
 * clipGradNorm(model.parameters(), 1);
 * optimizer.step();
 */
export function clipGradNorm(
  parameters: readonly AnyTensor[],
  maxNorm: number,
  options: { readonly order?: 1 | 2 | typeof Infinity } = {},
): AnyTensor {
  if (!(maxNorm >= 0))
    throw new ArgumentError(`clipGradNorm: maxNorm: got ${String(maxNorm)}, expected a non-negative number`);
  const { order = 2 } = options;
  if (order !== 1 && order !== 2 && order !== Infinity) {
    throw new ArgumentError(`clipGradNorm: order: got ${String(order)}, expected 1, 2 or Infinity`);
  }
  const gradients = parameters.flatMap((parameter) => parameter.edge?.grad ?? []);
  if (gradients.length === 0) return zeros([]);
  return noGrad(() => {
    const norm = totalNorm(gradients, order);
    scaleToNorm(gradients, norm, maxNorm);
    return norm;
  });
}
