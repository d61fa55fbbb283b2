/** Pooling layers over one to three spatial axes. */
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices,
  type AdaptivePair,
  type AdaptiveSingle,
  type AdaptiveTriple,
} from '../ops/adaptive-pooling';
import {
  fractionalMaxPool2d,
  fractionalMaxPool2dWithIndices,
  fractionalMaxPool3d,
  fractionalMaxPool3dWithIndices,
  type FractionalPoolOptions,
} from '../ops/fractional-pool';
import { lpPool1d, lpPool2d, lpPool3d, type LpPoolOptions } from '../ops/lp-pool';
import type { AvgPoolOptions, MaxPoolOptions } from '../ops/pool-planes';
import {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxPool3dWithIndices,
} from '../ops/pooling';
import { checkOptions } from '../ops/define';
import { mean } from '../ops/reduce';
import { maxUnpool1d, maxUnpool2d, maxUnpool3d, type MaxUnpoolOptions } from '../ops/unpooling';
import type { Pair, Single, Triple } from '../ops/window';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

/** What all windows have: a size and options. */
abstract class Pool<Size, Options> extends Module {
  constructor(
    readonly kernelSize: Size,
    readonly options: Options = {} as Options,
  ) {
    super();
    checkOptions(new.target.name, options);
  }

  protected override describe(): string {
    return `kernel ${JSON.stringify(this.kernelSize)}`;
  }
}

/** The largest element of each window; see `nn.functional.maxPool1d`. */
export class MaxPool1d extends Pool<Single, MaxPoolOptions<Single>> {
  forward(x: AnyTensor): AnyTensor {
    return maxPool1d(x, this.kernelSize, this.options);
  }

  /** The maxima and their places, which `MaxUnpool1d` takes. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return maxPool1dWithIndices(x, this.kernelSize, this.options);
  }
}

/** The largest element of each window; see `nn.functional.maxPool2d`. */
export class MaxPool2d extends Pool<Pair, MaxPoolOptions<Pair>> {
  forward(x: AnyTensor): AnyTensor {
    return maxPool2d(x, this.kernelSize, this.options);
  }

  /** The maxima and their places, which `MaxUnpool2d` takes. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return maxPool2dWithIndices(x, this.kernelSize, this.options);
  }
}

/** The largest element of each window; see `nn.functional.maxPool3d`. */
export class MaxPool3d extends Pool<Triple, MaxPoolOptions<Triple>> {
  forward(x: AnyTensor): AnyTensor {
    return maxPool3d(x, this.kernelSize, this.options);
  }

  /** The maxima and their places, which `MaxUnpool3d` takes. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return maxPool3dWithIndices(x, this.kernelSize, this.options);
  }
}

/** Windows at places that are drawn, or at given ones, which are a buffer. */
abstract class FractionalPool<Size> extends Pool<Size, FractionalPoolOptions<Size>> {
  private readonly _randomSamples: AnyTensor | undefined;

  constructor(kernelSize: Size, options: FractionalPoolOptions<Size> = {}) {
    checkOptions(new.target.name, options);
    const { samples, ...others } = options;
    super(kernelSize, others);
    this._randomSamples = samples;
  }

  protected get placed(): FractionalPoolOptions<Size> {
    const { _randomSamples: samples } = this;
    return samples === undefined ? this.options : { ...this.options, samples };
  }
}

/** The largest elements of windows whose places are drawn; see `nn.functional.fractionalMaxPool2d`. */
export class FractionalMaxPool2d extends FractionalPool<Pair> {
  forward(x: AnyTensor): AnyTensor {
    return fractionalMaxPool2d(x, this.kernelSize, this.placed);
  }

  /** The maxima and their places. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return fractionalMaxPool2dWithIndices(x, this.kernelSize, this.placed);
  }
}

/** The largest elements of windows whose places are drawn; see `nn.functional.fractionalMaxPool3d`. */
export class FractionalMaxPool3d extends FractionalPool<Triple> {
  forward(x: AnyTensor): AnyTensor {
    return fractionalMaxPool3d(x, this.kernelSize, this.placed);
  }

  /** The maxima and their places. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return fractionalMaxPool3dWithIndices(x, this.kernelSize, this.placed);
  }
}

/** The inverse of `MaxPool1d`, from its maxima and their places; see `nn.functional.maxUnpool1d`. */
export class MaxUnpool1d extends Pool<Single, Omit<MaxUnpoolOptions<Single>, 'outputSize'>> {
  forward(x: AnyTensor, indices: AnyTensor, outputSize?: Shape): AnyTensor {
    const options = outputSize === undefined ? this.options : { ...this.options, outputSize };
    return maxUnpool1d(x, indices, this.kernelSize, options);
  }
}

/** The inverse of `MaxPool2d`, from its maxima and their places; see `nn.functional.maxUnpool2d`. */
export class MaxUnpool2d extends Pool<Pair, Omit<MaxUnpoolOptions<Pair>, 'outputSize'>> {
  forward(x: AnyTensor, indices: AnyTensor, outputSize?: Shape): AnyTensor {
    const options = outputSize === undefined ? this.options : { ...this.options, outputSize };
    return maxUnpool2d(x, indices, this.kernelSize, options);
  }
}

/** The inverse of `MaxPool3d`, from its maxima and their places; see `nn.functional.maxUnpool3d`. */
export class MaxUnpool3d extends Pool<Triple, Omit<MaxUnpoolOptions<Triple>, 'outputSize'>> {
  forward(x: AnyTensor, indices: AnyTensor, outputSize?: Shape): AnyTensor {
    const options = outputSize === undefined ? this.options : { ...this.options, outputSize };
    return maxUnpool3d(x, indices, this.kernelSize, options);
  }
}

/** The mean of each window; see `nn.functional.avgPool1d`. */
export class AvgPool1d extends Pool<Single, AvgPoolOptions<Single>> {
  forward(x: AnyTensor): AnyTensor {
    return avgPool1d(x, this.kernelSize, this.options);
  }
}

/** The mean of each window; see `nn.functional.avgPool2d`. */
export class AvgPool2d extends Pool<Pair, AvgPoolOptions<Pair>> {
  forward(x: AnyTensor): AnyTensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
}

/** The mean of each window; see `nn.functional.avgPool3d`. */
export class AvgPool3d extends Pool<Triple, AvgPoolOptions<Triple>> {
  forward(x: AnyTensor): AnyTensor {
    return avgPool3d(x, this.kernelSize, this.options);
  }
}

abstract class LPPool<Size> extends Module {
  constructor(
    readonly normType: number,
    readonly kernelSize: Size,
    readonly options: LpPoolOptions<Size> = {},
  ) {
    super();
    checkOptions(new.target.name, options);
  }

  protected override describe(): string {
    return `norm ${this.normType}, kernel ${JSON.stringify(this.kernelSize)}`;
  }
}

/** The power sum of each window; see `nn.functional.lpPool1d`. */
export class LPPool1d extends LPPool<Single> {
  forward(x: AnyTensor): AnyTensor {
    return lpPool1d(x, this.normType, this.kernelSize, this.options);
  }
}

/** The power sum of each window; see `nn.functional.lpPool2d`. */
export class LPPool2d extends LPPool<Pair> {
  forward(x: AnyTensor): AnyTensor {
    return lpPool2d(x, this.normType, this.kernelSize, this.options);
  }
}

/** The power sum of each window; see `nn.functional.lpPool3d`. */
export class LPPool3d extends LPPool<Triple> {
  forward(x: AnyTensor): AnyTensor {
    return lpPool3d(x, this.normType, this.kernelSize, this.options);
  }
}

abstract class AdaptivePool<Size> extends Module {
  constructor(readonly outputSize: Size) {
    super();
  }

  protected override describe(): string {
    return `to ${JSON.stringify(this.outputSize)}`;
  }
}

/** The means of windows that give an output of one size; see `nn.functional.adaptiveAvgPool1d`. */
export class AdaptiveAvgPool1d extends AdaptivePool<AdaptiveSingle> {
  forward(x: AnyTensor): AnyTensor {
    return adaptiveAvgPool1d(x, this.outputSize);
  }
}

/** The maxima of windows that give an output of one size; see `nn.functional.adaptiveMaxPool1d`. */
export class AdaptiveMaxPool1d extends AdaptivePool<AdaptiveSingle> {
  forward(x: AnyTensor): AnyTensor {
    return adaptiveMaxPool1d(x, this.outputSize);
  }

  /** The maxima and their places. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return adaptiveMaxPool1dWithIndices(x, this.outputSize);
  }
}

/** The means of windows that give an output of one size; see `nn.functional.adaptiveAvgPool2d`. */
export class AdaptiveAvgPool2d extends AdaptivePool<AdaptivePair> {
  forward(x: AnyTensor): AnyTensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}

/** The maxima of windows that give an output of one size; see `nn.functional.adaptiveMaxPool2d`. */
export class AdaptiveMaxPool2d extends AdaptivePool<AdaptivePair> {
  forward(x: AnyTensor): AnyTensor {
    return adaptiveMaxPool2d(x, this.outputSize);
  }

  /** The maxima and their places. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return adaptiveMaxPool2dWithIndices(x, this.outputSize);
  }
}

/** The means of windows that give an output of one size; see `nn.functional.adaptiveAvgPool3d`. */
export class AdaptiveAvgPool3d extends AdaptivePool<AdaptiveTriple> {
  forward(x: AnyTensor): AnyTensor {
    return adaptiveAvgPool3d(x, this.outputSize);
  }
}

/** The maxima of windows that give an output of one size; see `nn.functional.adaptiveMaxPool3d`. */
export class AdaptiveMaxPool3d extends AdaptivePool<AdaptiveTriple> {
  forward(x: AnyTensor): AnyTensor {
    return adaptiveMaxPool3d(x, this.outputSize);
  }

  /** The maxima and their places. */
  forwardWithIndices(x: AnyTensor): [AnyTensor, AnyTensor] {
    return adaptiveMaxPool3dWithIndices(x, this.outputSize);
  }
}

/** The mean over all of h and w: x [n, c, h, w] to [n, c]. */
export class GlobalAvgPool2d extends Module {
  forward(x: AnyTensor): AnyTensor {
    return mean(x, [-2, -1]);
  }
}
