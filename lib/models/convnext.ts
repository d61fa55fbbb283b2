/** ConvNeXt. */
import { GELU } from '../nn/activation';
import { Flatten, Lambda, Sequential, type Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { truncNormal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, Parameter } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { StochasticDepth } from '../nn/regularization';
import { full } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { checkChoice } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { channelsFirst, channelsLast } from './channels';

/** Layer normalisation over the channels of x [n, c, h, w]. */
class ChannelNorm extends LayerNorm {
  constructor(channels: number) {
    super(channels, { epsilon: 1e-6 });
  }

  override forward(x: AnyTensor): AnyTensor {
    return channelsFirst(super.forward(channelsLast(x)));
  }
}

/** A wide convolution of each channel by itself and two layers over channels, scaled, around which the input passes. */
class Block extends Module {
  readonly block: Sequential;
  readonly layerScale: Parameter;
  readonly stochasticDepth: StochasticDepth;

  constructor(channels: number, layerScale: number, dropped: number) {
    super();
    this.block = new Sequential(
      new Conv2d(channels, channels, 7, { padding: 3, groups: channels }),
      new Lambda(channelsLast),
      new LayerNorm(channels, { epsilon: 1e-6 }),
      new Linear(channels, 4 * channels),
      new GELU(),
      new Linear(4 * channels, channels),
      new Lambda(channelsFirst),
    );
    this.layerScale = new Parameter(full([channels, 1, 1], layerScale));
    this.stochasticDepth = new StochasticDepth(dropped);
  }

  forward(x: AnyTensor): AnyTensor {
    const y = this.block.forward(x).mul(this.layerScale) as AnyTensor;
    return this.stochasticDepth.forward(y).add(x) as AnyTensor;
  }
}

/** Channels of the first stage, doubled from one to the next; blocks of each stage; and how often the last block is left out. */
const sizes = {
  tiny: { width: 96, depths: [3, 3, 9, 3], dropped: 0.1 },
  small: { width: 96, depths: [3, 3, 27, 3], dropped: 0.4 },
  base: { width: 128, depths: [3, 3, 27, 3], dropped: 0.5 },
  large: { width: 192, depths: [3, 3, 27, 3], dropped: 0.5 },
} as const;

export interface ConvNeXtOptions {
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability with which the last block is left out in training; earlier ones are less often. 0.1 to 0.5, by the size, unless given. */
  readonly stochasticDepth?: number;
  /** What the results of blocks are scaled by at first; 1e-6 unless given. */
  readonly layerScale?: number;
}

/**
 * ConvNeXt, tiny, small, base or large: images [n, 3, h, w] of at least 32 × 32 to scores [n, numClasses].
 *
 * @see Liu et al., 2022, A ConvNet for the 2020s.
 * @example
 * new models.ConvNeXt('tiny', { numClasses: 10 }).forward(randn([2, 3, 32, 32])).shape; // [2, 10]
 */
export class ConvNeXt extends Module {
  readonly features: Sequential;
  classifier: Sequential;

  constructor(size: keyof typeof sizes, options: ConvNeXtOptions = {}) {
    super();
    checkOptions('ConvNeXt', options);
    checkChoice('ConvNeXt', 'size', size, Object.keys(sizes));
    const { width, depths, dropped } = sizes[size];
    const { numClasses = 1000, stochasticDepth = dropped, layerScale = 1e-6 } = options;
    const last = depths.reduce((sum, depth) => sum + depth, -1);
    const layers: Layer[] = [new Sequential(new Conv2d(3, width, 4, { stride: 4 }), new ChannelNorm(width))];
    let before = 0;
    let channels: number = width;
    depths.forEach((depth, stage) => {
      if (stage > 0) {
        const down = new Conv2d(channels, 2 * channels, 2, { stride: 2 });
        layers.push(new Sequential(new ChannelNorm(channels), down));
        channels *= 2;
      }
      const block = (): Block => new Block(channels, layerScale, (stochasticDepth * before++) / last);
      layers.push(new Sequential(...Array.from({ length: depth }, block)));
    });
    this.features = new Sequential(...layers);
    this.classifier = new Sequential(new ChannelNorm(channels), new Flatten(), new Linear(channels, numClasses));
    this.apply((module) => {
      if (!(module instanceof Conv2d || module instanceof Linear)) return;
      truncNormal_(module.weight, 0, 0.02);
      zeros_(module.bias!);
    });
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.features.forward(x).mean([-2, -1], { keepDims: true }));
  }
}
