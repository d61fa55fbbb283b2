/** MobileNetV2. */
import { Sequential, type Layer } from '../nn/container';
import { normal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { checkPositive } from '../nn/options';
import { Dropout } from '../nn/regularization';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';
import {
  convNorm,
  initializeLayers,
  invertedLayers,
  InvertedResidual,
  scaledChannels,
  type ConvNormOptions,
  type InvertedResidualSizes,
} from './inverted-residual';

const norm: ConvNormOptions = { activation: 'relu6' };

/** Published weights name the block after its convolutions, and the last one's parts singly. */
class Block extends InvertedResidual {
  constructor(sizes: InvertedResidualSizes) {
    const layers = invertedLayers(sizes, norm);
    super([...layers.slice(0, -1), ...(layers.at(-1) as Sequential).layers], sizes);
  }

  protected override fields(): Iterable<[string, unknown]> {
    return [['conv', this.block]];
  }
}

/** Expansion, channels, blocks and stride of each stage. */
const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

export interface MobileNetV2Options {
  /** Factor of the channels, rounded to multiples of 8; 1 unless given. */
  readonly width?: number;
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability before the classifier; 0.2 unless given. */
  readonly dropout?: number;
}

/**
 * MobileNetV2: images [n, 3, h, w] to scores [n, numClasses].
 *
 * @see Sandler et al., 2018, MobileNetV2: inverted residuals and linear bottlenecks.
 * @example
 * new models.MobileNetV2({ numClasses: 10 }).forward(randn([2, 3, 64, 64])).shape; // [2, 10]
 */
export class MobileNetV2 extends Module {
  readonly features: Sequential;
  classifier: Sequential;

  constructor(options: MobileNetV2Options = {}) {
    super();
    checkOptions('MobileNetV2', options);
    const { width = 1, numClasses = 1000, dropout = 0.2 } = options;
    checkPositive('MobileNetV2', 'width', width);
    let channels = scaledChannels(32, width);
    const layers: Layer[] = [convNorm(3, channels, 3, norm, { stride: 2 })];
    for (const [expansion, count, blocks, first] of stages) {
      const out = scaledChannels(count, width);
      for (let i = 0; i < blocks; i++) {
        const stride = i === 0 ? first : 1;
        layers.push(new Block({ channels, expanded: expansion * channels, out, kernelSize: 3, stride }));
        channels = out;
      }
    }
    const last = scaledChannels(1280, Math.max(1, width));
    this.features = new Sequential(...layers, convNorm(channels, last, 1, norm));
    this.classifier = new Sequential(new Dropout(dropout), new Linear(last, numClasses));
    initializeLayers(this, ({ weight }) => normal_(weight, 0, 0.01));
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.features.forward(x).mean([-2, -1]));
  }
}
