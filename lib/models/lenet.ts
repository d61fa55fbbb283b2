/** LeNet-5. */
import { AvgPool2d } from '../nn/pooling';
import { Conv2d } from '../nn/convolution';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';

export interface LeNet5Options {
  /** Of the images; 1 unless given. */
  readonly channels?: number;
  /** 10 unless given. */
  readonly numClasses?: number;
  /** Height and width of the images: 28 (which are padded to 32, unless given) or 32. */
  readonly imageSize?: 28 | 32;
}

/**
 * LeNet-5 with hyperbolic tangents and average pooling: images [n, channels, 28, 28] to scores [n, numClasses].
 *
 * @see LeCun et al., 1998, Gradient-based learning applied to document recognition.
 * @example
 * new models.LeNet5().forward(randn([2, 1, 28, 28])).shape; // [2, 10]
 */
export class LeNet5 extends Module {
  readonly conv1: Conv2d;
  readonly conv2 = new Conv2d(6, 16, 5);
  readonly fc1 = new Linear(16 * 5 * 5, 120);
  readonly fc2 = new Linear(120, 84);
  fc3: Linear;
  readonly pool = new AvgPool2d(2);

  constructor(options: LeNet5Options = {}) {
    super();
    checkOptions('LeNet5', options);
    this.conv1 = new Conv2d(options.channels ?? 1, 6, 5, { padding: (options.imageSize ?? 28) === 28 ? 2 : 0 });
    this.fc3 = new Linear(84, options.numClasses ?? 10);
  }

  forward(x: AnyTensor): AnyTensor {
    let y = this.pool.forward(this.conv1.forward(x).tanh());
    y = this.pool.forward(this.conv2.forward(y).tanh());
    y = this.fc1.forward(y.flatten(1)).tanh();
    return this.fc3.forward(this.fc2.forward(y).tanh());
  }
}
