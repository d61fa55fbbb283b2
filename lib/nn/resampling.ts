/** Layers that change the spatial size of images, or lay it out as channels, and back. */
import { checkGivenOptions, checkOptions } from '../ops/define';
import { interpolate, type InterpolateOptions } from '../ops/interpolate';
import { channelShuffle, fold, pixelShuffle, pixelUnshuffle, unfold, type PatchOptions } from '../ops/patches';
import type { Pair } from '../ops/window';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';
import { checkSizes } from './options';

/**
 * Interpolation to another size; see `nn.functional.interpolate`.
 *
 * @example
 * new nn.Upsample({ scaleFactor: 2, mode: 'bilinear' }).forward(randn([1, 3, 4, 4])).shape; // [1, 3, 8, 8]
 */
export class Upsample extends Module {
  constructor(readonly options: InterpolateOptions) {
    super();
    checkGivenOptions('Upsample', options);
  }

  forward(x: AnyTensor): AnyTensor {
    return interpolate(x, this.options);
  }

  protected override describe(): string {
    const { mode = 'nearest', size, scaleFactor } = this.options;
    return `${size === undefined ? `× ${JSON.stringify(scaleFactor)}` : `to ${JSON.stringify(size)}`}, ${mode}`;
  }
}

/** Channels laid out as space: [n, c · r², h, w] to [n, c, h · r, w · r]; see `nn.functional.pixelShuffle`. Shi et al., 2016. */
export class PixelShuffle extends Module {
  constructor(readonly factor: number) {
    super();
  }

  forward(x: AnyTensor): AnyTensor {
    return pixelShuffle(x, this.factor);
  }

  protected override describe(): string {
    return `${this.factor}`;
  }
}

/** Space laid out as channels: [n, c, h · r, w · r] to [n, c · r², h, w]; see `nn.functional.pixelUnshuffle`. */
export class PixelUnshuffle extends Module {
  constructor(readonly factor: number) {
    super();
  }

  forward(x: AnyTensor): AnyTensor {
    return pixelUnshuffle(x, this.factor);
  }

  protected override describe(): string {
    return `${this.factor}`;
  }
}

/** Channels of x [n, c, …] dealt out anew; see `nn.functional.channelShuffle`. Zhang et al., 2018. */
export class ChannelShuffle extends Module {
  constructor(readonly groups: number) {
    super();
    checkSizes('ChannelShuffle', { groups });
  }

  forward(x: AnyTensor): AnyTensor {
    return channelShuffle(x, this.groups);
  }

  protected override describe(): string {
    return `${this.groups} groups`;
  }
}

/** Patches of images as columns: [n, c, h, w] to [n, c · kh · kw, windows]; see `nn.functional.unfold`. */
export class Unfold extends Module {
  constructor(
    readonly kernelSize: Pair,
    readonly options: PatchOptions = {},
  ) {
    super();
    checkOptions('Unfold', options);
  }

  forward(x: AnyTensor): AnyTensor {
    return unfold(x, this.kernelSize, this.options);
  }

  protected override describe(): string {
    return `kernel ${JSON.stringify(this.kernelSize)}`;
  }
}

/** Columns of patches added up to images: [n, c · kh · kw, windows] to [n, c, h, w]; see `nn.functional.fold`. */
export class Fold extends Module {
  constructor(
    readonly outputSize: Pair,
    readonly kernelSize: Pair,
    readonly options: PatchOptions = {},
  ) {
    super();
    checkOptions('Fold', options);
  }

  forward(x: AnyTensor): AnyTensor {
    return fold(x, this.outputSize, this.kernelSize, this.options);
  }

  protected override describe(): string {
    return `to ${JSON.stringify(this.outputSize)}, kernel ${JSON.stringify(this.kernelSize)}`;
  }
}
