/** MobileNetV3, small and large. */
import { Hardsigmoid, Hardswish, ReLU } from '../nn/activation';
import { Sequential, type Layer } from '../nn/container';
import { normal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { checkPositive } from '../nn/options';
import { Dropout } from '../nn/regularization';
import { checkOptions } from '../ops/define';
import { checkChoice } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import {
  convNorm,
  initializeLayers,
  invertedLayers,
  InvertedResidual,
  scaledChannels,
  SqueezeExcitation,
  type ConvNormOptions,
} from './inverted-residual';

type Row = readonly [
  kernelSize: number,
  expanded: number,
  out: number,
  squeezed: boolean,
  activation: 'relu' | 'hardswish',
  stride: number,
];

/** The blocks, and the width of the classifier's hidden layer. Tables 1 and 2 of the paper. */
const sizes: Record<'small' | 'large', { readonly blocks: readonly Row[]; readonly hidden: number }> = {
  small: {
    blocks: [
      [3, 16, 16, true, 'relu', 2],
      [3, 72, 24, false, 'relu', 2],
      [3, 88, 24, false, 'relu', 1],
      [5, 96, 40, true, 'hardswish', 2],
      [5, 240, 40, true, 'hardswish', 1],
      [5, 240, 40, true, 'hardswish', 1],
      [5, 120, 48, true, 'hardswish', 1],
      [5, 144, 48, true, 'hardswish', 1],
      [5, 288, 96, true, 'hardswish', 2],
      [5, 576, 96, true, 'hardswish', 1],
      [5, 576, 96, true, 'hardswish', 1],
    ],
    hidden: 1024,
  },
  large: {
    blocks: [
      [3, 16, 16, false, 'relu', 1],
      [3, 64, 24, false, 'relu', 2],
      [3, 72, 24, false, 'relu', 1],
      [5, 72, 40, true, 'relu', 2],
      [5, 120, 40, true, 'relu', 1],
      [5, 120, 40, true, 'relu', 1],
      [3, 240, 80, false, 'hardswish', 2],
      [3, 200, 80, false, 'hardswish', 1],
      [3, 184, 80, false, 'hardswish', 1],
      [3, 184, 80, false, 'hardswish', 1],
      [3, 480, 112, true, 'hardswish', 1],
      [3, 672, 112, true, 'hardswish', 1],
      [5, 672, 160, true, 'hardswish', 2],
      [5, 960, 160, true, 'hardswish', 1],
      [5, 960, 160, true, 'hardswish', 1],
    ],
    hidden: 1280,
  },
};

export interface MobileNetV3Options {
  /** Factor of the channels, rounded to multiples of 8; 1 unless given. */
  readonly width?: number;
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability in the classifier; 0.2 unless given. */
  readonly dropout?: number;
}

/**
 * MobileNetV3, small or large: images [n, 3, h, w] to scores [n, numClasses].
 *
 * @see Howard et al., 2019, Searching for MobileNetV3.
 * @example
 * new models.MobileNetV3('small', { numClasses: 10 }).forward(randn([2, 3, 64, 64])).shape; // [2, 10]
 */
export class MobileNetV3 extends Module {
  readonly features: Sequential;
  classifier: Sequential;

  constructor(size: 'small' | 'large', options: MobileNetV3Options = {}) {
    super();
    checkOptions('MobileNetV3', options);
    checkChoice('MobileNetV3', 'size', size, Object.keys(sizes));
    const { width = 1, numClasses = 1000, dropout = 0.2 } = options;
    checkPositive('MobileNetV3', 'width', width);
    const norm: ConvNormOptions = { epsilon: 1e-3, momentum: 0.01, activation: 'hardswish' };
    let channels = scaledChannels(16, width);
    const layers: Layer[] = [convNorm(3, channels, 3, norm, { stride: 2 })];
    for (const [kernelSize, wide, narrow, squeezed, activation, stride] of sizes[size].blocks) {
      const [expanded, out] = [scaledChannels(wide, width), scaledChannels(narrow, width)];
      const squeeze = squeezed
        ? new SqueezeExcitation(expanded, scaledChannels(Math.floor(expanded / 4), 1), new ReLU(), new Hardsigmoid())
        : undefined;
      const block = { channels, expanded, out, kernelSize, stride };
      layers.push(new InvertedResidual(invertedLayers(block, { ...norm, activation }, squeeze), block));
      channels = out;
    }
    const hidden = scaledChannels(sizes[size].hidden, width);
    this.features = new Sequential(...layers, convNorm(channels, 6 * channels, 1, norm));
    this.classifier = new Sequential(
      new Linear(6 * channels, hidden),
      new Hardswish(),
      new Dropout(dropout),
      new Linear(hidden, numClasses),
    );
    initializeLayers(this, ({ weight }) => normal_(weight, 0, 0.01));
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.features.forward(x).mean([-2, -1]));
  }
}
