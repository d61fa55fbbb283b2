/** Residual networks for images of the size of CIFAR's. */
import { Sequential, type Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { heNormal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { BatchNorm2d } from '../nn/normalization';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';
import { ofDepth } from './depth';

/** Two 3 × 3 convolutions around which the input passes: of every other pixel and with channels of zeros added, where sizes differ. */
class CifarBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;

  constructor(
    readonly channels: number,
    readonly width: number,
    readonly stride: number,
  ) {
    super();
    this.conv1 = new Conv2d(channels, width, 3, { stride, padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(width, { activation: 'relu' });
    this.conv2 = new Conv2d(width, width, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(width, { activation: 'relu' });
  }

  forward(x: AnyTensor): AnyTensor {
    const y = this.bn1.forward(this.conv1.forward(x));
    return this.bn2.forward(this.conv2.forward(y), this.shortcut(x));
  }

  private shortcut(x: AnyTensor): AnyTensor {
    if (this.stride === 1 && this.channels === this.width) return x;
    const added = (this.width - this.channels) / 2;
    const [rows, columns] = [x.slice(-2, 0, Infinity, this.stride), this.stride];
    return rows.slice(-1, 0, Infinity, columns).pad([
      [added, added],
      [0, 0],
      [0, 0],
    ]);
  }
}

/** Blocks in each of the three stages. */
const depths = { 20: 3, 32: 5, 44: 7, 56: 9, 110: 18 } as const;

export interface CifarResNetOptions {
  /** 10 unless given. */
  readonly numClasses?: number;
}

/**
 * ResNet with 20, 32, 44, 56 or 110 layers, 16 to 64 channels wide and with parameter-free shortcuts (option A of the paper): images [n, 3, 32, 32] to
 * scores [n, numClasses]. Parameters are named as in github.com/akamaster/pytorch_resnet_cifar10.
 *
 * @see He et al., 2015, Deep residual learning for image recognition, section 4.2.
 * @example
 * new models.CifarResNet(20).forward(randn([1, 3, 32, 32])).shape; // [1, 10]
 */
export class CifarResNet extends Module {
  readonly conv1 = new Conv2d(3, 16, 3, { padding: 1, bias: false });
  readonly bn1 = new BatchNorm2d(16, { activation: 'relu' });
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  linear: Linear;

  constructor(depth: keyof typeof depths, options: CifarResNetOptions = {}) {
    super();
    checkOptions('CifarResNet', options);
    const { numClasses = 10 } = options;
    const count = ofDepth('CifarResNet', depths, depth);
    const stage = (channels: number, width: number): Sequential =>
      new Sequential(
        ...Array.from({ length: count }, (_, i): Layer => {
          return i === 0 ? new CifarBlock(channels, width, width / channels) : new CifarBlock(width, width, 1);
        }),
      );
    this.layer1 = stage(16, 16);
    this.layer2 = stage(16, 32);
    this.layer3 = stage(32, 64);
    this.linear = new Linear(64, numClasses);
    this.apply((module) => {
      if (module instanceof Conv2d || module instanceof Linear) heNormal_(module.weight);
    });
  }

  forward(x: AnyTensor): AnyTensor {
    let y = this.bn1.forward(this.conv1.forward(x));
    for (const layer of [this.layer1, this.layer2, this.layer3]) y = layer.forward(y);
    return this.linear.forward(y.mean([-2, -1]));
  }
}
