/** AlexNet. */
import { ReLU } from '../nn/activation';
import { Sequential } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pooling';
import { Dropout } from '../nn/regularization';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';

export interface AlexNetOptions {
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability in the classifier; 0.5 unless given. */
  readonly dropout?: number;
  /** Width of the classifier's hidden layers; 4096 unless given. */
  readonly hidden?: number;
}

/**
 * AlexNet in the form with one column of 64 to 384 channels: images [n, 3, h, w] of at least 63 × 63 to scores [n, numClasses].
 *
 * @see Krizhevsky, 2014, One weird trick for parallelizing convolutional neural networks.
 * @example
 * new models.AlexNet({ numClasses: 10, hidden: 16 }).forward(randn([1, 3, 64, 64])).shape; // [1, 10]
 */
export class AlexNet extends Module {
  readonly features = new Sequential(
    new Conv2d(3, 64, 11, { stride: 4, padding: 2 }),
    new ReLU(),
    new MaxPool2d(3, { stride: 2 }),
    new Conv2d(64, 192, 5, { padding: 2 }),
    new ReLU(),
    new MaxPool2d(3, { stride: 2 }),
    new Conv2d(192, 384, 3, { padding: 1 }),
    new ReLU(),
    new Conv2d(384, 256, 3, { padding: 1 }),
    new ReLU(),
    new Conv2d(256, 256, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(3, { stride: 2 }),
  );
  readonly avgpool = new AdaptiveAvgPool2d(6);
  classifier: Sequential;

  constructor(options: AlexNetOptions = {}) {
    super();
    checkOptions('AlexNet', options);
    const { numClasses = 1000, dropout = 0.5, hidden = 4096 } = options;
    this.classifier = new Sequential(
      new Dropout(dropout),
      new Linear(256 * 6 * 6, hidden),
      new ReLU(),
      new Dropout(dropout),
      new Linear(hidden, hidden),
      new ReLU(),
      new Linear(hidden, numClasses),
    );
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.avgpool.forward(this.features.forward(x)).flatten(1));
  }
}
