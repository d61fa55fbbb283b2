/** VGG networks. */
import { ReLU } from '../nn/activation';
import { Sequential, type Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { heNormal_, normal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { BatchNorm2d } from '../nn/normalization';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pooling';
import { Dropout } from '../nn/regularization';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';
import { ofDepth } from './depth';

/** Convolutions in each of the five stages. */
const stages = { 11: [1, 1, 2, 2, 2], 13: [2, 2, 2, 2, 2], 16: [2, 2, 3, 3, 3], 19: [2, 2, 4, 4, 4] } as const;
const widths = [64, 128, 256, 512, 512];

export interface VGGOptions {
  /** Whether each convolution is followed by batch normalisation; false unless given. */
  readonly batchNorm?: boolean;
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability in the classifier; 0.5 unless given. */
  readonly dropout?: number;
  /** Width of the classifier's hidden layers; 4096 unless given. */
  readonly hidden?: number;
}

/**
 * VGG with 11, 13, 16 or 19 layers: images [n, 3, h, w] of at least 32 × 32 to scores [n, numClasses].
 *
 * @see Simonyan and Zisserman, 2014, Very deep convolutional networks for large-scale image recognition.
 * @example
 * new models.VGG(11, { numClasses: 10, hidden: 16 }).forward(randn([1, 3, 32, 32])).shape; // [1, 10]
 */
export class VGG extends Module {
  readonly features: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(7);
  classifier: Sequential;

  constructor(depth: keyof typeof stages, options: VGGOptions = {}) {
    super();
    checkOptions('VGG', options);
    const { batchNorm = false, numClasses = 1000, dropout = 0.5, hidden = 4096 } = options;
    const layers: Layer[] = [];
    let channels = 3;
    ofDepth('VGG', stages, depth).forEach((count, stage) => {
      for (let i = 0; i < count; i++) {
        const width = widths[stage]!;
        layers.push(new Conv2d(channels, width, 3, { padding: 1 }));
        if (batchNorm) layers.push(new BatchNorm2d(width));
        layers.push(new ReLU());
        channels = width;
      }
      layers.push(new MaxPool2d(2));
    });
    this.features = new Sequential(...layers);
    this.classifier = new Sequential(
      new Linear(512 * 7 * 7, hidden),
      new ReLU(),
      new Dropout(dropout),
      new Linear(hidden, hidden),
      new ReLU(),
      new Dropout(dropout),
      new Linear(hidden, numClasses),
    );
    this.apply((module) => {
      if (module instanceof Conv2d) heNormal_(module.weight, { mode: 'fanOut', nonlinearity: 'relu' });
      if (module instanceof Linear) normal_(module.weight, 0, 0.01);
      if ((module instanceof Conv2d || module instanceof Linear) && module.bias !== undefined) zeros_(module.bias);
    });
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.avgpool.forward(this.features.forward(x)).flatten(1));
  }
}
