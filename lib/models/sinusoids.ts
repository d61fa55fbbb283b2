/** Positions as sines and cosines of falling frequencies (Vaswani et al., 2017, Attention is all you need, section 3.5). */
import { arange } from '../ops/creation';
import { cat } from '../ops/movement';
import type { DType } from '../tensor/dtype';
import type { AnyTensor } from '../tensor/tensor';

/**
 * Of `places` [...], integers: [..., width] in the given dtype, of frequencies 10000^(−i/steps), for i from 0 to width / 2 − 1, all sines, then all cosines.
 */
export function sinusoids(places: AnyTensor, width: number, dtype: DType, steps = width / 2): AnyTensor {
  const numbers = { dtype: 'float64', device: places.device } as const;
  const frequencies = arange(0, width, 2, numbers)
    .mul(-Math.log(10000) / (2 * steps))
    .exp();
  const angles = places.cast('float64').unsqueeze(-1).mul(frequencies) as AnyTensor;
  return cat([angles.sin(), angles.cos()], -1).cast(dtype) as AnyTensor;
}
