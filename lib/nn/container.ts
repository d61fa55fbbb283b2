/** Modules made of modules. */
import { ArgumentError } from '../errors';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

/** A module that maps one tensor to one tensor. */
export interface Layer extends Module {
  forward(x: AnyTensor): AnyTensor;
}

/**
 * Layers applied one after the other; their state is named by position (`0.weight`).
 *
 * @example
 * new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2)).forward(ones([1, 4])).shape; // [1, 2]
 */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    layers.forEach((layer, i) => {
      if (!(layer instanceof Module))
        throw new ArgumentError(`Sequential: layers[${i}]: got ${typeof layer}, expected a module`);
    });
    this.layers = layers;
  }

  protected override fields(): Iterable<[string, unknown]> {
    return this.layers.map((layer, i) => [String(i), layer]);
  }

  forward(x: AnyTensor): AnyTensor {
    let y = x;
    for (const layer of this.layers) y = layer.forward(y);
    return y;
  }
}

/** The axes from `start` on merged into one, the batch axis kept unless given. */
export class Flatten extends Module {
  constructor(
    readonly start = 1,
    readonly end = -1,
  ) {
    super();
  }

  forward(x: AnyTensor): AnyTensor {
    return x.flatten(this.start, this.end);
  }
}
