/** Pooling layers. */
import type { Pair } from '../ops/window';
import type { AvgPoolOptions, MaxPoolOptions } from '../ops/pool-planes';
import { avgPool2d, maxPool2d } from '../ops/pooling';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

/** The largest element of each window; see `nn.functional.maxPool2d`. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernelSize: Pair,
    readonly options: MaxPoolOptions<Pair> = {},
  ) {
    super();
  }

  forward(x: AnyTensor): AnyTensor {
    return maxPool2d(x, this.kernelSize, this.options);
  }

  protected override describe(): string {
    return `kernel ${JSON.stringify(this.kernelSize)}`;
  }
}

/** The mean of each window; see `nn.functional.avgPool2d`. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernelSize: Pair,
    readonly options: AvgPoolOptions<Pair> = {},
  ) {
    super();
  }

  forward(x: AnyTensor): AnyTensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }

  protected override describe(): string {
    return `kernel ${JSON.stringify(this.kernelSize)}`;
  }
}

/** The mean over all of h and w: x [n, c, h, w] to [n, c]. */
export class GlobalAvgPool2d extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.mean([-2, -1]);
  }
}
