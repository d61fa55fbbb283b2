/** Densely connected networks. */
import type { Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { heNormal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { BatchNorm2d } from '../nn/normalization';
import { AvgPool2d, MaxPool2d } from '../nn/pooling';
import { Dropout } from '../nn/regularization';
import { checkOptions } from '../ops/define';
import { cat } from '../ops/movement';
import type { AnyTensor } from '../tensor/tensor';
import { ofDepth } from './depth';

/** Layers under names, applied in their order. */
abstract class Named extends Module {
  /** The state is named after the layers alone. */
  protected abstract readonly layers: Readonly<Record<string, Layer>>;

  protected override fields(): Iterable<[string, unknown]> {
    return Object.entries(this.layers);
  }

  forward(x: AnyTensor): AnyTensor {
    return Object.values(this.layers).reduce((y, layer) => layer.forward(y), x);
  }
}

/** A narrow 1 × 1 and a 3 × 3 convolution whose few channels are added to the input's. */
class DenseLayer extends Module {
  readonly norm1: BatchNorm2d;
  readonly conv1: Conv2d;
  readonly norm2: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly dropout: Dropout;

  constructor(channels: number, growth: number, dropout: number) {
    super();
    this.norm1 = new BatchNorm2d(channels, { activation: 'relu' });
    this.conv1 = new Conv2d(channels, 4 * growth, 1, { bias: false });
    this.norm2 = new BatchNorm2d(4 * growth, { activation: 'relu' });
    this.conv2 = new Conv2d(4 * growth, growth, 3, { padding: 1, bias: false });
    this.dropout = new Dropout(dropout);
  }

  forward(x: AnyTensor): AnyTensor {
    const narrow = this.conv1.forward(this.norm1.forward(x));
    const added = this.conv2.forward(this.norm2.forward(narrow));
    return cat([x, this.dropout.forward(added)], 1) as AnyTensor;
  }
}

class DenseBlock extends Named {
  protected readonly layers: Record<string, Layer>;

  constructor(count: number, channels: number, growth: number, dropout: number) {
    super();
    this.layers = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `denselayer${i + 1}`,
        new DenseLayer(channels + i * growth, growth, dropout),
      ]),
    );
  }
}

/** Half the channels, and half the height and width. */
class Transition extends Named {
  protected readonly layers: Record<string, Layer>;

  constructor(channels: number) {
    super();
    this.layers = {
      norm: new BatchNorm2d(channels, { activation: 'relu' }),
      conv: new Conv2d(channels, channels / 2, 1, { bias: false }),
      pool: new AvgPool2d(2),
    };
  }
}

class Features extends Named {
  protected readonly layers: Record<string, Layer>;

  constructor(layers: Record<string, Layer>) {
    super();
    this.layers = layers;
  }
}

/** New channels per layer, channels of the first convolution, and layers in each block. */
const depths = {
  121: { growth: 32, first: 64, blocks: [6, 12, 24, 16] },
  161: { growth: 48, first: 96, blocks: [6, 12, 36, 24] },
  169: { growth: 32, first: 64, blocks: [6, 12, 32, 32] },
  201: { growth: 32, first: 64, blocks: [6, 12, 48, 32] },
} as const;

export interface DenseNetOptions {
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability in each dense layer; 0 unless given. */
  readonly dropout?: number;
}

/**
 * DenseNet with 121, 161, 169 or 201 layers: images [n, 3, h, w] of at least 32 × 32 to scores [n, numClasses].
 *
 * @see Huang et al., 2016, Densely connected convolutional networks.
 * @example
 * new models.DenseNet(121, { numClasses: 10 }).forward(randn([1, 3, 64, 64])).shape; // [1, 10]
 */
export class DenseNet extends Module {
  readonly features: Module & Layer;
  classifier: Linear;

  constructor(depth: keyof typeof depths, options: DenseNetOptions = {}) {
    super();
    checkOptions('DenseNet', options);
    const { numClasses = 1000, dropout = 0 } = options;
    const { growth, first, blocks } = ofDepth('DenseNet', depths, depth);
    const layers: Record<string, Layer> = {
      conv0: new Conv2d(3, first, 7, { stride: 2, padding: 3, bias: false }),
      norm0: new BatchNorm2d(first, { activation: 'relu' }),
      pool0: new MaxPool2d(3, { stride: 2, padding: 1 }),
    };
    let channels: number = first;
    blocks.forEach((count, i) => {
      layers[`denseblock${i + 1}`] = new DenseBlock(count, channels, growth, dropout);
      channels += count * growth;
      if (i === blocks.length - 1) return;
      layers[`transition${i + 1}`] = new Transition(channels);
      channels /= 2;
    });
    layers['norm5'] = new BatchNorm2d(channels);
    this.features = new Features(layers);
    this.classifier = new Linear(channels, numClasses);
    this.apply((module) => {
      if (module instanceof Conv2d) heNormal_(module.weight);
      if (module instanceof Linear && module.bias !== undefined) zeros_(module.bias);
    });
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.features.forward(x).relu().mean([-2, -1]));
  }
}
