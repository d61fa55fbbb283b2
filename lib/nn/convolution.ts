/** Convolution layers. */
import { conv2d, type Conv2dOptions } from '../ops/convolution';
import { perAxis, type Pair } from '../ops/window';
import { empty } from '../ops/creation';
import type { AnyTensor } from '../tensor/tensor';
import { calculateFans, heUniform_, uniform_ } from './init';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

export interface Conv2dLayerOptions extends Conv2dOptions {
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/**
 * Convolution over images: x [n, inChannels, h, w] to [n, outChannels, h', w']; see `nn.functional.conv2d`. Weights and bias start uniform on
 * ±1/√fanIn, as in PyTorch.
 *
 * @example
 * new nn.Conv2d(3, 16, 3, { padding: 'same' }).forward(randn([1, 3, 8, 8])).shape; // [1, 16, 8, 8]
 */
export class Conv2d extends Module {
  /** [outChannels, inChannels / groups, kernelH, kernelW] */
  readonly weight: Parameter;
  /** [outChannels] */
  readonly bias: Parameter | undefined;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernelSize: Pair,
    readonly options: Conv2dLayerOptions = {},
  ) {
    super();
    const { groups = 1 } = options;
    const kernel = perAxis('Conv2d', 'kernelSize', kernelSize, kernelSize, 1, 2);
    checkSizes('Conv2d', {
      inChannels,
      outChannels,
      groups,
      'inChannels / groups': inChannels / groups,
      'outChannels / groups': outChannels / groups,
    });
    const weight = empty([outChannels, inChannels / groups, ...kernel]);
    this.weight = new Parameter(heUniform_(weight, { slope: Math.sqrt(5) }));
    if (options.bias ?? true) {
      const bound = 1 / Math.sqrt(calculateFans(weight).fanIn);
      this.bias = new Parameter(uniform_(empty([outChannels]), -bound, bound));
    }
  }

  forward(x: AnyTensor): AnyTensor {
    return conv2d(x, this.weight, this.bias, this.options);
  }

  protected override describe(): string {
    return `${this.inChannels} → ${this.outChannels}, kernel ${JSON.stringify(this.kernelSize)}`;
  }
}
