/** Layers that act in training only. */
import { dropout } from '../ops/random';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';
import { checkProbability } from './options';

/**
 * Zeroes each element with a probability and scales the rest by 1 / (1 − probability), in training; passes through otherwise. Srivastava et al., 2014.
 *
 * @example
 * new nn.Dropout(0.5).eval().forward(ones([2])); // [1, 1]
 */
export class Dropout extends Module {
  constructor(readonly probability = 0.5) {
    super();
    checkProbability('Dropout', 'probability', probability);
  }

  forward(x: AnyTensor): AnyTensor {
    return dropout(x, this.probability, { training: this.training });
  }

  protected override describe(): string {
    return `${this.probability}`;
  }
}
