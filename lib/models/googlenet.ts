/** GoogLeNet, with batch normalisation. */
import { ArgumentError } from '../errors';
import { Sequential } from '../nn/container';
import { Conv2d, type ConvLayerOptions } from '../nn/convolution';
import { truncNormal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { BatchNorm2d } from '../nn/normalization';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pooling';
import { Dropout } from '../nn/regularization';
import { checkOptions } from '../ops/define';
import { cat } from '../ops/movement';
import type { Pair } from '../ops/window';
import type { AnyTensor } from '../tensor/tensor';

class BasicConv extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm2d;

  constructor(channels: number, out: number, kernelSize: number, options: ConvLayerOptions<Pair> = {}) {
    super();
    this.conv = new Conv2d(channels, out, kernelSize, { bias: false, ...options });
    this.bn = new BatchNorm2d(out, { epsilon: 1e-3, activation: 'relu' });
  }

  forward(x: AnyTensor): AnyTensor {
    return this.bn.forward(this.conv.forward(x));
  }
}

/** Channels of an inception module: of the 1 × 1 branch, of both 3 × 3 branches (reduced, then out), after pooling. */
type Widths = readonly [number, number, number, number, number, number];

/** Four branches side by side, their channels joined. */
class Inception extends Module {
  readonly branch1: BasicConv;
  readonly branch2: Sequential;
  readonly branch3: Sequential;
  readonly branch4: Sequential;

  constructor(channels: number, [one, reduced2, two, reduced3, three, pooled]: Widths) {
    super();
    const twice = (reduced: number, out: number): Sequential =>
      new Sequential(new BasicConv(channels, reduced, 1), new BasicConv(reduced, out, 3, { padding: 1 }));
    this.branch1 = new BasicConv(channels, one, 1);
    this.branch2 = twice(reduced2, two);
    this.branch3 = twice(reduced3, three);
    const pool = new MaxPool2d(3, { stride: 1, padding: 1, ceilMode: true });
    this.branch4 = new Sequential(pool, new BasicConv(channels, pooled, 1));
  }

  forward(x: AnyTensor): AnyTensor {
    return cat(
      [this.branch1, this.branch2, this.branch3, this.branch4].map((branch) => branch.forward(x)),
      1,
    ) as AnyTensor;
  }
}

/** Scores from half-way, which help training. */
class Auxiliary extends Module {
  readonly conv: BasicConv;
  readonly fc1 = new Linear(2048, 1024);
  fc2: Linear;
  readonly dropout = new Dropout(0.7);
  readonly pool = new AdaptiveAvgPool2d(4);

  constructor(channels: number, numClasses: number) {
    super();
    this.conv = new BasicConv(channels, 128, 1);
    this.fc2 = new Linear(1024, numClasses);
  }

  forward(x: AnyTensor): AnyTensor {
    const y = this.fc1.forward(this.conv.forward(this.pool.forward(x)).flatten(1)).relu();
    return this.fc2.forward(this.dropout.forward(y));
  }
}

export interface GoogLeNetOptions {
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Whether there are the two auxiliary classifiers; true unless given. */
  readonly auxLogits?: boolean;
  /** Probability before the last layer; 0.2 unless given. */
  readonly dropout?: number;
}

/** Scores, and those of the two auxiliary classifiers. */
export interface GoogLeNetScores {
  readonly logits: AnyTensor;
  readonly aux1: AnyTensor;
  readonly aux2: AnyTensor;
}

/**
 * GoogLeNet in torchvision's form (batch normalisation, 3 × 3 in place of 5 × 5): images [n, 3, h, w] of at least 32 × 32 to scores [n, numClasses].
 *
 * @see Szegedy et al., 2014, Going deeper with convolutions.
 * @example
 * new models.GoogLeNet({ numClasses: 10, auxLogits: false }).forward(randn([2, 3, 64, 64])).shape; // [2, 10]
 */
export class GoogLeNet extends Module {
  readonly conv1 = new BasicConv(3, 64, 7, { stride: 2, padding: 3 });
  readonly conv2 = new BasicConv(64, 64, 1);
  readonly conv3 = new BasicConv(64, 192, 3, { padding: 1 });
  readonly inception3a = new Inception(192, [64, 96, 128, 16, 32, 32]);
  readonly inception3b = new Inception(256, [128, 128, 192, 32, 96, 64]);
  readonly inception4a = new Inception(480, [192, 96, 208, 16, 48, 64]);
  readonly inception4b = new Inception(512, [160, 112, 224, 24, 64, 64]);
  readonly inception4c = new Inception(512, [128, 128, 256, 24, 64, 64]);
  readonly inception4d = new Inception(512, [112, 144, 288, 32, 64, 64]);
  readonly inception4e = new Inception(528, [256, 160, 320, 32, 128, 128]);
  readonly inception5a = new Inception(832, [256, 160, 320, 32, 128, 128]);
  readonly inception5b = new Inception(832, [384, 192, 384, 48, 128, 128]);
  readonly aux1: Auxiliary | undefined;
  readonly aux2: Auxiliary | undefined;
  fc: Linear;
  readonly dropout: Dropout;
  readonly pool3 = new MaxPool2d(3, { stride: 2, ceilMode: true });
  readonly pool2 = new MaxPool2d(2, { stride: 2, ceilMode: true });

  constructor(options: GoogLeNetOptions = {}) {
    super();
    checkOptions('GoogLeNet', options);
    const { numClasses = 1000, auxLogits = true, dropout = 0.2 } = options;
    if (auxLogits) {
      this.aux1 = new Auxiliary(512, numClasses);
      this.aux2 = new Auxiliary(528, numClasses);
    }
    this.dropout = new Dropout(dropout);
    this.fc = new Linear(1024, numClasses);
    this.apply((module) => {
      if (module instanceof Conv2d || module instanceof Linear) truncNormal_(module.weight, 0, 0.01);
    });
  }

  forward(x: AnyTensor): AnyTensor {
    return this.#scores(x, () => undefined);
  }

  /** The scores of all three classifiers, for a weighted sum of losses (0.3 for each auxiliary one in the paper). */
  forwardWithAux(x: AnyTensor): GoogLeNetScores {
    const halfway: AnyTensor[] = [];
    const logits = this.#scores(x, (aux, y) => halfway.push(aux.forward(y)));
    if (halfway.length === 0)
      throw new ArgumentError('GoogLeNet: auxiliary scores: got auxLogits false, expected true');
    return { logits, aux1: halfway[0]!, aux2: halfway[1]! };
  }

  #scores(x: AnyTensor, visit: (aux: Auxiliary, y: AnyTensor) => void): AnyTensor {
    let y = this.pool3.forward(this.conv1.forward(x));
    y = this.pool3.forward(this.conv3.forward(this.conv2.forward(y)));
    y = this.pool3.forward(this.inception3b.forward(this.inception3a.forward(y)));
    y = this.inception4a.forward(y);
    if (this.aux1) visit(this.aux1, y);
    y = this.inception4d.forward(this.inception4c.forward(this.inception4b.forward(y)));
    if (this.aux2) visit(this.aux2, y);
    y = this.pool2.forward(this.inception4e.forward(y));
    y = this.inception5b.forward(this.inception5a.forward(y));
    return this.fc.forward(this.dropout.forward(y.mean([-2, -1])));
  }
}
