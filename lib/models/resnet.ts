/** Residual networks for images of the size of ImageNet's; those for CIFAR are cifar-resnet.ts. */
import { ArgumentError } from '../errors';
import { Sequential, type Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { heNormal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { BatchNorm2d } from '../nn/normalization';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pooling';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';
import { ofDepth } from './depth';

/** A 1 × 1 convolution that fits the input of a block to its output, where they differ. */
function projection(channels: number, out: number, stride: number): Sequential | undefined {
  if (stride === 1 && channels === out) return undefined;
  return new Sequential(new Conv2d(channels, out, 1, { stride, bias: false }), new BatchNorm2d(out));
}

/** Two 3 × 3 convolutions around which the input passes. */
class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | undefined;

  constructor(channels: number, width: number, stride: number) {
    super();
    this.conv1 = new Conv2d(channels, width, 3, { stride, padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(width, { activation: 'relu' });
    this.conv2 = new Conv2d(width, width, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(width, { activation: 'relu' });
    this.downsample = projection(channels, width, stride);
  }

  forward(x: AnyTensor): AnyTensor {
    const y = this.bn1.forward(this.conv1.forward(x));
    return this.bn2.forward(this.conv2.forward(y), this.downsample?.forward(x) ?? x);
  }
}

/** A 3 × 3 convolution between 1 × 1 convolutions that narrow and widen, around which the input passes. */
class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: Sequential | undefined;

  constructor(channels: number, width: number, stride: number, groups: number, groupWidth: number) {
    super();
    const inner = Math.floor((width * groupWidth) / 64) * groups;
    this.conv1 = new Conv2d(channels, inner, 1, { bias: false });
    this.bn1 = new BatchNorm2d(inner, { activation: 'relu' });
    this.conv2 = new Conv2d(inner, inner, 3, { stride, padding: 1, groups, bias: false });
    this.bn2 = new BatchNorm2d(inner, { activation: 'relu' });
    this.conv3 = new Conv2d(inner, 4 * width, 1, { bias: false });
    this.bn3 = new BatchNorm2d(4 * width, { activation: 'relu' });
    this.downsample = projection(channels, 4 * width, stride);
  }

  forward(x: AnyTensor): AnyTensor {
    let y = this.bn1.forward(this.conv1.forward(x));
    y = this.bn2.forward(this.conv2.forward(y));
    return this.bn3.forward(this.conv3.forward(y), this.downsample?.forward(x) ?? x);
  }
}

const depths = {
  18: { block: BasicBlock, counts: [2, 2, 2, 2] },
  34: { block: BasicBlock, counts: [3, 4, 6, 3] },
  50: { block: Bottleneck, counts: [3, 4, 6, 3] },
  101: { block: Bottleneck, counts: [3, 4, 23, 3] },
  152: { block: Bottleneck, counts: [3, 8, 36, 3] },
} as const;

export interface ResNetOptions {
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Groups of channels in the 3 × 3 convolutions of 50 and more layers; 1 unless given, 32 or 64 in ResNeXt. */
  readonly groups?: number;
  /** Channels of such a group in the first stage; 64 unless given, 4 or 8 in ResNeXt, 128 in Wide ResNet. */
  readonly groupWidth?: number;
}

/**
 * ResNet with 18, 34, 50, 101 or 152 layers (the stride of a bottleneck in its 3 × 3 convolution): images [n, 3, h, w] to scores [n, numClasses]. ResNeXt-50 32x4d
 * is `new models.ResNet(50, { groups: 32, groupWidth: 4 })`, Wide ResNet-50-2 `new models.ResNet(50, { groupWidth: 128 })`.
 *
 * @throws ArgumentError for another depth, or groups of channels with less than 50 layers.
 * @see He et al., 2015, Deep residual learning for image recognition; Xie et al., 2017, Aggregated residual transformations for deep neural networks; Zagoruyko
 * and Komodakis, 2016, Wide residual networks.
 * @example
 * new models.ResNet(18, { numClasses: 10 }).forward(randn([1, 3, 64, 64])).shape; // [1, 10]
 */
export class ResNet extends Module {
  readonly conv1 = new Conv2d(3, 64, 7, { stride: 2, padding: 3, bias: false });
  readonly bn1 = new BatchNorm2d(64, { activation: 'relu' });
  readonly maxpool = new MaxPool2d(3, { stride: 2, padding: 1 });
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(1);
  fc: Linear;

  constructor(depth: keyof typeof depths, options: ResNetOptions = {}) {
    super();
    checkOptions('ResNet', options);
    const { numClasses = 1000, groups = 1, groupWidth = 64 } = options;
    const { block: Block, counts } = ofDepth('ResNet', depths, depth);
    if (Block === BasicBlock && (groups !== 1 || groupWidth !== 64)) {
      throw new ArgumentError(`ResNet: depth: got ${depth} with groups or groupWidth, expected 50, 101 or 152`);
    }
    let channels = 64;
    const stage = (index: number): Sequential => {
      const width = 64 * 2 ** index;
      const blocks = Array.from({ length: counts[index]! }, (_, i): Layer => {
        const block = new Block(channels, width, i === 0 && index > 0 ? 2 : 1, groups, groupWidth);
        channels = width * Block.expansion;
        return block;
      });
      return new Sequential(...blocks);
    };
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
    this.fc = new Linear(channels, numClasses);
    this.apply((module) => {
      if (module instanceof Conv2d) heNormal_(module.weight, { mode: 'fanOut', nonlinearity: 'relu' });
    });
  }

  forward(x: AnyTensor): AnyTensor {
    let y = this.maxpool.forward(this.bn1.forward(this.conv1.forward(x)));
    for (const layer of [this.layer1, this.layer2, this.layer3, this.layer4]) y = layer.forward(y);
    return this.fc.forward(this.avgpool.forward(y).flatten(1));
  }
}
