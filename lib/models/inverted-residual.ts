/** What MobileNets and EfficientNets are made of: blocks whose middle is wide and whose ends are narrow. */
import { Hardswish, ReLU6, SiLU } from '../nn/activation';
import { Sequential, type Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { heNormal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module } from '../nn/module';
import { BatchNorm2d, type BatchNormLayerOptions } from '../nn/normalization';
import { StochasticDepth } from '../nn/regularization';
import type { AnyTensor } from '../tensor/tensor';

/** How the convolutions of a network are normalised, and what follows. */
export interface ConvNormOptions extends Pick<BatchNormLayerOptions, 'epsilon' | 'momentum'> {
  /** Nothing unless given. */
  readonly activation?: 'relu' | 'relu6' | 'hardswish' | 'silu';
}

const activations = { relu6: ReLU6, hardswish: Hardswish, silu: SiLU };

/** A convolution of odd size, around which as much is added as keeps an image's size at stride 1; batch normalisation; an activation. */
export function convNorm(
  channels: number,
  out: number,
  kernelSize: number,
  { activation, ...norm }: ConvNormOptions,
  { stride = 1, groups = 1 } = {},
): Sequential {
  const conv = new Conv2d(channels, out, kernelSize, { stride, padding: (kernelSize - 1) / 2, groups, bias: false });
  if (activation === undefined) return new Sequential(conv, new BatchNorm2d(out, norm));
  if (activation === 'relu') return new Sequential(conv, new BatchNorm2d(out, { ...norm, activation }));
  return new Sequential(conv, new BatchNorm2d(out, norm), new activations[activation]());
}

/**
 * Scales each channel by what two layers make of the means of all channels.
 *
 * @see Hu et al., 2018, Squeeze-and-excitation networks.
 */
export class SqueezeExcitation extends Module {
  readonly fc1: Conv2d;
  readonly fc2: Conv2d;

  constructor(
    channels: number,
    squeezed: number,
    readonly activation: Layer,
    readonly scaleActivation: Layer,
  ) {
    super();
    this.fc1 = new Conv2d(channels, squeezed, 1);
    this.fc2 = new Conv2d(squeezed, channels, 1);
  }

  forward(x: AnyTensor): AnyTensor {
    const squeezed = this.activation.forward(this.fc1.forward(x.mean([-2, -1], { keepDims: true })));
    return x.mul(this.scaleActivation.forward(this.fc2.forward(squeezed))) as AnyTensor;
  }
}

/** Channels of an inverted residual, and its convolution of each channel by itself. */
export interface InvertedResidualSizes {
  readonly channels: number;
  readonly expanded: number;
  readonly out: number;
  readonly kernelSize: number;
  readonly stride: number;
}

/** A 1 × 1 convolution that widens, where it does; one of each channel by itself; a squeeze, if any; a 1 × 1 convolution that narrows. */
export function invertedLayers(
  { channels, expanded, out, kernelSize, stride }: InvertedResidualSizes,
  options: ConvNormOptions,
  squeeze?: SqueezeExcitation,
): Layer[] {
  const { activation: _, ...linear } = options;
  return [
    ...(expanded === channels ? [] : [convNorm(channels, expanded, 1, options)]),
    convNorm(expanded, expanded, kernelSize, options, { stride, groups: expanded }),
    ...(squeeze === undefined ? [] : [squeeze]),
    convNorm(expanded, out, 1, linear),
  ];
}

/**
 * Layers around which the input passes where it is of the output's size; in training they are left out with a probability.
 *
 * @see Sandler et al., 2018, MobileNetV2: inverted residuals and linear bottlenecks.
 */
export class InvertedResidual extends Module {
  readonly block: Sequential;
  readonly passes: boolean;
  readonly stochasticDepth: StochasticDepth;

  constructor(layers: readonly Layer[], { channels, out, stride }: InvertedResidualSizes, dropped = 0) {
    super();
    this.block = new Sequential(...layers);
    this.passes = stride === 1 && channels === out;
    this.stochasticDepth = new StochasticDepth(dropped);
  }

  forward(x: AnyTensor): AnyTensor {
    const y = this.block.forward(x);
    return this.passes ? (this.stochasticDepth.forward(y).add(x) as AnyTensor) : y;
  }
}

/** A number of channels times `width`, as a multiple of 8 that is not much less. */
export function scaledChannels(channels: number, width: number): number {
  const wanted = channels * width;
  const rounded = Math.max(8, Math.floor((wanted + 4) / 8) * 8);
  return rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

/** Initial weights: He's of convolutions, those that `fill` gives of linear layers, biases of zero. */
export function initializeLayers(model: Module, fill: (linear: Linear) => void): void {
  model.apply((module) => {
    if (module instanceof Conv2d) heNormal_(module.weight, { mode: 'fanOut' });
    else if (module instanceof Linear) fill(module);
    else return;
    if (module.bias !== undefined) zeros_(module.bias);
  });
}
