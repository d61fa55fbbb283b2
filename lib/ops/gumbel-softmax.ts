/** Samples of categories that gradients pass through. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { normalizeAxis } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ones, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, floats } from './define';
import { exponential } from './random';

export interface GumbelSoftmaxOptions {
  /** How soft the choice is; 1 unless given. */
  readonly temperature?: number;
  /** Whether the result is one-hot, with the gradient of the soft one; false unless given. */
  readonly hard?: boolean;
  /** Of the categories; the last unless given. */
  readonly axis?: number;
}

/**
 * A sample of the relaxed categorical distribution of logits x: softmax((x + g) / τ) with g from the Gumbel distribution.
 *
 * @throws ArgumentError unless the temperature is positive; ShapeError, DTypeError.
 * @see Jang, Gu and Poole, 2017, Categorical reparameterization with Gumbel-softmax.
 * @example
 * gumbelSoftmax(zeros([2, 5]), { hard: true }).sum(-1); // [1, 1]
 */
export function gumbelSoftmax<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options?: GumbelSoftmaxOptions,
): Tensor<S, D>;
export function gumbelSoftmax(x: AnyTensor, options: GumbelSoftmaxOptions = {}): AnyTensor {
  checkOptions('gumbelSoftmax', options);
  const op = 'gumbelSoftmax';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  const { temperature = 1, hard = false, axis = -1 } = options;
  if (!(temperature > 0)) {
    throw new ArgumentError(`${op}: temperature: got ${shown(temperature)}, expected a positive number`);
  }
  const along = normalizeAxis(op, axis, x.shape);
  // Drawn in at least 32 bits and kept from zero, so that no noise is infinite.
  const dtype = x.dtype === 'float64' ? 'float64' : 'float32';
  const drawn: AnyTensor = exponential(x.shape, { dtype, device: x.device });
  const noise: AnyTensor = drawn
    .clamp(2 ** -126)
    .log()
    .neg()
    .cast(x.dtype);
  const soft = x.add(noise).div(temperature).softmax(along) as AnyTensor;
  if (!hard) return soft;
  const place = soft.argmax(along, { keepDims: true });
  const one: AnyTensor = ones(place.shape, { dtype: x.dtype, device: x.device });
  const chosen = (zeros(x.shape, { dtype: x.dtype, device: x.device }) as AnyTensor).scatterAdd(along, place, one);
  return chosen.sub(soft.detach()).add(soft);
}
