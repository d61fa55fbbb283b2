/** For ops composed of several steps: 16 bits hold neither the squares of what they hold nor more than one rounding. */
import type { AnyTensor } from '../tensor/tensor';

/** x as float32 where it has 16 bits. */
export const wide = (x: AnyTensor): AnyTensor =>
  x.dtype === 'float16' || x.dtype === 'bfloat16' ? (x.cast('float32') as AnyTensor) : x;
