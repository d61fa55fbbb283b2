/** EfficientNet and EfficientNetV2. */
import { Sigmoid, SiLU } from '../nn/activation';
import { Sequential, type Layer } from '../nn/container';
import { uniform_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
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
  type InvertedResidualSizes,
} from './inverted-residual';

/** Blocks of one width. Fused ones have one convolution of all channels in place of the first two. */
type Stage = readonly [
  kind: 'fused' | 'separate',
  expansion: number,
  kernelSize: number,
  stride: number,
  out: number,
  blocks: number,
];

interface Variant {
  /** Channels of the first convolution, and of the last. */
  readonly first: number;
  readonly last: number;
  readonly stages: readonly Stage[];
  readonly norm: Omit<ConvNormOptions, 'activation'>;
  readonly dropout: number;
}

/** Table 1 of the first paper. */
const baseline: readonly Stage[] = [
  ['separate', 1, 3, 1, 16, 1],
  ['separate', 6, 3, 2, 24, 2],
  ['separate', 6, 5, 2, 40, 2],
  ['separate', 6, 3, 2, 80, 3],
  ['separate', 6, 5, 1, 112, 3],
  ['separate', 6, 5, 2, 192, 4],
  ['separate', 6, 3, 1, 320, 1],
];

/** The baseline with more channels and more blocks. */
const scaled = (width: number, depth: number, dropout: number, norm: Variant['norm'] = {}): Variant => ({
  first: scaledChannels(32, width),
  last: 4 * scaledChannels(320, width),
  stages: baseline.map(([kind, expansion, kernelSize, stride, out, blocks]) => [
    kind,
    expansion,
    kernelSize,
    stride,
    scaledChannels(out, width),
    Math.ceil(blocks * depth),
  ]),
  norm,
  dropout,
});

const second = (first: number, dropout: number, stages: readonly Stage[]): Variant => ({
  first,
  last: 1280,
  stages,
  norm: { epsilon: 1e-3 },
  dropout,
});

/** Published weights of the larger ones were trained with other norms. */
const slow = { epsilon: 1e-3, momentum: 0.01 };

const variants = {
  b0: scaled(1, 1, 0.2),
  b1: scaled(1, 1.1, 0.2),
  b2: scaled(1.1, 1.2, 0.3),
  b3: scaled(1.2, 1.4, 0.3),
  b4: scaled(1.4, 1.8, 0.4),
  b5: scaled(1.6, 2.2, 0.4, slow),
  b6: scaled(1.8, 2.6, 0.5, slow),
  b7: scaled(2, 3.1, 0.5, slow),
  v2s: second(24, 0.2, [
    ['fused', 1, 3, 1, 24, 2],
    ['fused', 4, 3, 2, 48, 4],
    ['fused', 4, 3, 2, 64, 4],
    ['separate', 4, 3, 2, 128, 6],
    ['separate', 6, 3, 1, 160, 9],
    ['separate', 6, 3, 2, 256, 15],
  ]),
  v2m: second(24, 0.3, [
    ['fused', 1, 3, 1, 24, 3],
    ['fused', 4, 3, 2, 48, 5],
    ['fused', 4, 3, 2, 80, 5],
    ['separate', 4, 3, 2, 160, 7],
    ['separate', 6, 3, 1, 176, 14],
    ['separate', 6, 3, 2, 304, 18],
    ['separate', 6, 3, 1, 512, 5],
  ]),
  v2l: second(32, 0.4, [
    ['fused', 1, 3, 1, 32, 4],
    ['fused', 4, 3, 2, 64, 7],
    ['fused', 4, 3, 2, 96, 7],
    ['separate', 4, 3, 2, 192, 10],
    ['separate', 6, 3, 1, 224, 19],
    ['separate', 6, 3, 2, 384, 25],
    ['separate', 6, 3, 1, 640, 7],
  ]),
} satisfies Record<string, Variant>;

/** A convolution of all channels that widens, and a 1 × 1 convolution that narrows; one alone where nothing is widened. */
function fusedLayers(
  { channels, expanded, out, kernelSize, stride }: InvertedResidualSizes,
  options: ConvNormOptions,
): Layer[] {
  if (expanded === channels) return [convNorm(channels, out, kernelSize, options, { stride })];
  const { activation: _, ...linear } = options;
  return [convNorm(channels, expanded, kernelSize, options, { stride }), convNorm(expanded, out, 1, linear)];
}

export interface EfficientNetOptions {
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Probability before the classifier; 0.2 to 0.5, by the variant, unless given. */
  readonly dropout?: number;
  /** Probability with which the last block is left out in training; earlier ones are less often. 0.2 unless given. */
  readonly stochasticDepth?: number;
}

/**
 * EfficientNet B0 to B7, and EfficientNetV2 S, M and L: images [n, 3, h, w] to scores [n, numClasses].
 *
 * @see Tan and Le, 2019, EfficientNet: rethinking model scaling for convolutional neural networks; 2021, EfficientNetV2: smaller models and faster training.
 * @example
 * new models.EfficientNet('b0', { numClasses: 10 }).forward(randn([2, 3, 64, 64])).shape; // [2, 10]
 */
export class EfficientNet extends Module {
  readonly features: Sequential;
  classifier: Sequential;

  constructor(variant: keyof typeof variants, options: EfficientNetOptions = {}) {
    super();
    checkOptions('EfficientNet', options);
    checkChoice('EfficientNet', 'variant', variant, Object.keys(variants));
    const { first, last, stages, norm, dropout } = variants[variant];
    const { numClasses = 1000, stochasticDepth = 0.2 } = options;
    const silu: ConvNormOptions = { ...norm, activation: 'silu' };
    const total = stages.reduce((sum, [, , , , , blocks]) => sum + blocks, 0);
    let channels = first;
    let before = 0;
    const layers = stages.map(([kind, expansion, kernelSize, strideOfFirst, out, blocks]) => {
      const block = (_: unknown, i: number): Layer => {
        const stride = i === 0 ? strideOfFirst : 1;
        const sizes = { channels, expanded: scaledChannels(channels, expansion), out, kernelSize, stride };
        const inner =
          kind === 'fused'
            ? fusedLayers(sizes, silu)
            : invertedLayers(
                sizes,
                silu,
                new SqueezeExcitation(sizes.expanded, Math.floor(channels / 4), new SiLU(), new Sigmoid()),
              );
        channels = out;
        return new InvertedResidual(inner, sizes, (stochasticDepth * before++) / total);
      };
      return new Sequential(...Array.from({ length: blocks }, block));
    });
    this.features = new Sequential(
      convNorm(3, first, 3, silu, { stride: 2 }),
      ...layers,
      convNorm(channels, last, 1, silu),
    );
    this.classifier = new Sequential(new Dropout(options.dropout ?? dropout), new Linear(last, numClasses));
    const bound = 1 / Math.sqrt(numClasses);
    initializeLayers(this, ({ weight }) => uniform_(weight, -bound, bound));
  }

  forward(x: AnyTensor): AnyTensor {
    return this.classifier.forward(this.features.forward(x).mean([-2, -1]));
  }
}
