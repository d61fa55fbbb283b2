/** How rows share out what each of them chose. */
import { oneHot } from '../ops/creation';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';

/**
 * Of choices [n] among `count` things: `marks` [n, count], 1 where a thing was chosen, and `turns` [n], how many earlier choices are of the same thing; int64
 * both.
 */
export function turnsOf(choices: AnyTensor, count: number): { marks: AnyTensor; turns: AnyTensor } {
  const marks: AnyTensor = oneHot(choices as Tensor<Shape, 'int64'>, count, { dtype: 'int64' });
  const counted = (marks.cumsum(0) as AnyTensor).gather(1, choices.unsqueeze(1) as never) as AnyTensor;
  return { marks, turns: counted.squeeze(1).sub(1) as AnyTensor };
}
