/** The gated feed-forward part of language models (Shazeer, 2020, GLU variants improve Transformer). */
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { writtenActivations, type FeedForwardActivation } from '../ops/feed-forward';
import type { AnyTensor } from '../tensor/tensor';

/** down(activation(gate(x)) · up(x)). */
export class GatedFeedForward extends Module {
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
  readonly #activation: FeedForwardActivation;

  constructor(width: number, hidden: number, activation: FeedForwardActivation, bias: boolean) {
    super();
    this.gate = new Linear(width, hidden, { bias });
    this.up = new Linear(width, hidden, { bias });
    this.down = new Linear(hidden, width, { bias });
    this.#activation = activation;
  }

  forward(x: AnyTensor): AnyTensor {
    const gate = writtenActivations[this.#activation].of(this.gate.forward(x));
    return this.down.forward(gate.mul(this.up.forward(x)) as AnyTensor);
  }
}
