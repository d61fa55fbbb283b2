/** Convolution layers and their transposed forms, over one to three spatial axes. */
import { ArgumentError } from '../errors';
import { convTranspose1d, convTranspose2d, convTranspose3d } from '../ops/conv-transpose';
import { conv1d, conv2d, conv3d } from '../ops/convolution';
import { empty } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { pad } from '../ops/movement';
import { perAxis, type Pair, type Single, type SpatialRank, type Triple } from '../ops/window';
import type { AnyTensor } from '../tensor/tensor';
import { calculateFans, heUniform_, uniform_ } from './init';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

export interface ConvLayerOptions<Sizes = number | readonly number[]> {
  /** Of the window, in elements; 1 unless given. */
  readonly stride?: Sizes;
  /** Elements added on each side, or `'same'` for an output of the input's size (stride 1 only), or `'valid'` for none; 0 unless given. */
  readonly padding?: Sizes | 'same' | 'valid';
  /** What is added: zeros, unless given, or elements of the input as in `pad`. */
  readonly paddingMode?: 'zeros' | 'reflect' | 'replicate' | 'circular';
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Sizes;
  /** Independent groups of channels; 1 unless given. */
  readonly groups?: number;
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

export interface ConvTransposeLayerOptions<Sizes = number | readonly number[]> {
  /** How many elements of the output lie between the windows of neighbouring inputs; 1 unless given. */
  readonly stride?: Sizes;
  /** How many elements are cut from each side of the output; 0 unless given. */
  readonly padding?: Sizes;
  /** Elements added at the end of each axis of the output; 0 unless given. */
  readonly outputPadding?: Sizes;
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Sizes;
  /** Independent groups of channels; 1 unless given. */
  readonly groups?: number;
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/** Weight and bias, uniform on ±1/√fanIn as in PyTorch, and what the layer says of itself. */
abstract class ConvolutionLayer<Options extends { readonly groups?: number; readonly bias?: boolean }> extends Module {
  weight: Parameter;
  /** [outChannels] */
  bias: Parameter | undefined;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernelSize: number | readonly number[],
    readonly options: Options,
    rank: SpatialRank,
    transposed: boolean,
  ) {
    super();
    const name = new.target.name;
    checkOptions(name, options);
    const { groups = 1 } = options;
    const kernel = perAxis(name, 'kernelSize', kernelSize, kernelSize, 1, rank);
    checkSizes(name, {
      inChannels,
      outChannels,
      groups,
      'inChannels / groups': inChannels / groups,
      'outChannels / groups': outChannels / groups,
    });
    const channels = transposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups];
    const weight = empty([...channels, ...kernel]);
    this.weight = new Parameter(heUniform_(weight, { slope: Math.sqrt(5) }));
    if (options.bias ?? true) {
      const bound = 1 / Math.sqrt(calculateFans(weight).fanIn);
      this.bias = new Parameter(uniform_(empty([outChannels]), -bound, bound));
    }
  }

  protected override describe(): string {
    return `${this.inChannels} → ${this.outChannels}, kernel ${JSON.stringify(this.kernelSize)}`;
  }
}

type Convolve = (x: AnyTensor, weight: AnyTensor, bias: AnyTensor | undefined, options: object) => AnyTensor;

const paddingModes = ['zeros', 'reflect', 'replicate', 'circular'];

abstract class Convolution extends ConvolutionLayer<ConvLayerOptions> {
  readonly #rank: SpatialRank;
  readonly #convolve: Convolve;
  readonly #window: object;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvLayerOptions,
    rank: SpatialRank,
    convolve: unknown,
  ) {
    super(inChannels, outChannels, kernelSize, options, rank, false);
    const { stride, padding, dilation, groups, paddingMode = 'zeros' } = options;
    if (!paddingModes.includes(paddingMode)) {
      throw new ArgumentError(
        `${new.target.name}: paddingMode: got ${String(paddingMode)}, expected ${paddingModes.join(', ')}`,
      );
    }
    this.#rank = rank;
    this.#convolve = convolve as Convolve;
    this.#window = { stride, padding: paddingMode === 'zeros' ? padding : 0, dilation, groups };
  }

  forward(x: AnyTensor): AnyTensor {
    const { paddingMode = 'zeros' } = this.options;
    const padded = paddingMode === 'zeros' ? x : (pad(x, this.#amounts(), { mode: paddingMode }) as AnyTensor);
    return this.#convolve(padded, this.weight, this.bias, this.#window);
  }

  override multiplyAdds(_: readonly unknown[], output: AnyTensor): number {
    return (output.size * this.weight.size) / this.outChannels;
  }

  /** How much is added before and after each axis. */
  #amounts(): (readonly [number, number])[] {
    const { padding, dilation } = this.options;
    if (padding !== 'same') {
      const given = padding === 'valid' ? 0 : padding;
      return perAxis(this.constructor.name, 'padding', given, 0, 0, this.#rank).map((count) => [count, count]);
    }
    const steps = perAxis(this.constructor.name, 'dilation', dilation, 1, 1, this.#rank);
    return steps.map((step, i) => {
      const total = step * (this.weight.shape[2 + i]! - 1);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  }
}

/**
 * Convolution over sequences: x [n, inChannels, length] to [n, outChannels, l']; see `nn.functional.conv1d`. The weight is [outChannels, inChannels / groups, …kernelSize]; it and the bias
 * start uniform on ±1/√fanIn, as in PyTorch.
 *
 * @example
 * new nn.Conv1d(3, 16, 3, { padding: 'same' }).forward(randn([1, 3, 8])).shape; // [1, 16, 8]
 */
export class Conv1d extends Convolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Single, options: ConvLayerOptions<Single> = {}) {
    super(inChannels, outChannels, kernelSize, options, 1, conv1d);
  }
}

/**
 * Convolution over images: x [n, inChannels, h, w] to [n, outChannels, h', w']; see `nn.functional.conv2d`. The weight is [outChannels, inChannels / groups, …kernelSize]; it and the bias
 * start uniform on ±1/√fanIn, as in PyTorch.
 *
 * @example
 * new nn.Conv2d(3, 16, 3, { padding: 'same' }).forward(randn([1, 3, 8, 8])).shape; // [1, 16, 8, 8]
 */
export class Conv2d extends Convolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options: ConvLayerOptions<Pair> = {}) {
    super(inChannels, outChannels, kernelSize, options, 2, conv2d);
  }
}

/**
 * Convolution over volumes: x [n, inChannels, d, h, w] to [n, outChannels, d', h', w']; see `nn.functional.conv3d`. The weight is [outChannels, inChannels / groups, …kernelSize]; it and the bias
 * start uniform on ±1/√fanIn, as in PyTorch.
 *
 * @example
 * new nn.Conv3d(3, 16, 3, { padding: 1 }).forward(randn([1, 3, 4, 8, 8])).shape; // [1, 16, 4, 8, 8]
 */
export class Conv3d extends Convolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Triple, options: ConvLayerOptions<Triple> = {}) {
    super(inChannels, outChannels, kernelSize, options, 3, conv3d);
  }
}

type Transpose = (x: AnyTensor, weight: AnyTensor, bias: AnyTensor | undefined, options: object) => AnyTensor;

abstract class TransposedConvolution extends ConvolutionLayer<ConvTransposeLayerOptions> {
  readonly #rank: SpatialRank;
  readonly #transpose: Transpose;
  readonly #window: object;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvTransposeLayerOptions,
    rank: SpatialRank,
    transpose: unknown,
  ) {
    super(inChannels, outChannels, kernelSize, options, rank, true);
    this.#rank = rank;
    this.#transpose = transpose as Transpose;
    const { stride, padding, outputPadding, dilation, groups } = options;
    this.#window = { stride, padding, outputPadding, dilation, groups };
  }

  /** `outputSize`, one size per spatial axis, stands in for the option `outputPadding`. */
  forward(x: AnyTensor, outputSize?: readonly number[]): AnyTensor {
    if (outputSize === undefined) return this.#transpose(x, this.weight, this.bias, this.#window);
    const name = this.constructor.name;
    const sizes = perAxis(name, 'outputSize', outputSize, outputSize, 1, this.#rank);
    const [stride, padding, dilation] = (['stride', 'padding', 'dilation'] as const).map((option) =>
      perAxis(
        name,
        option,
        this.options[option],
        option === 'padding' ? 0 : 1,
        option === 'padding' ? 0 : 1,
        this.#rank,
      ),
    ) as [number[], number[], number[]];
    const space = x.shape.slice(-this.#rank);
    const outputPadding = sizes.map((size, i) => {
      const reach = dilation[i]! * (this.weight.shape[2 + i]! - 1) + 1;
      const least = (space[i]! - 1) * stride[i]! - 2 * padding[i]! + reach;
      if (size < least || size >= least + stride[i]!) {
        throw new ArgumentError(
          `${name}: outputSize: got ${size}, expected a size from ${least} to ${least + stride[i]! - 1}`,
        );
      }
      return size - least;
    });
    return this.#transpose(x, this.weight, this.bias, { ...this.#window, outputPadding });
  }

  override multiplyAdds([x]: readonly [AnyTensor]): number {
    return (x.size * this.weight.size) / this.inChannels;
  }
}

/**
 * Transposed convolution over sequences: x [n, inChannels, length] to [n, outChannels, l']; see `nn.functional.convTranspose1d`. The weight is
 * [inChannels, outChannels / groups, …kernelSize].
 *
 * @example
 * new nn.ConvTranspose1d(16, 3, 2, { stride: 2 }).forward(randn([1, 16, 8])).shape; // [1, 3, 16]
 */
export class ConvTranspose1d extends TransposedConvolution {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Single,
    options: ConvTransposeLayerOptions<Single> = {},
  ) {
    super(inChannels, outChannels, kernelSize, options, 1, convTranspose1d);
  }
}

/**
 * Transposed convolution over images: x [n, inChannels, h, w] to [n, outChannels, h', w']; see `nn.functional.convTranspose2d`. The weight is
 * [inChannels, outChannels / groups, …kernelSize].
 *
 * @example
 * new nn.ConvTranspose2d(16, 3, 2, { stride: 2 }).forward(randn([1, 16, 8, 8])).shape; // [1, 3, 16, 16]
 */
export class ConvTranspose2d extends TransposedConvolution {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Pair,
    options: ConvTransposeLayerOptions<Pair> = {},
  ) {
    super(inChannels, outChannels, kernelSize, options, 2, convTranspose2d);
  }
}

/**
 * Transposed convolution over volumes: x [n, inChannels, d, h, w] to [n, outChannels, d', h', w']; see `nn.functional.convTranspose3d`. The weight is
 * [inChannels, outChannels / groups, …kernelSize].
 *
 * @example
 * new nn.ConvTranspose3d(16, 3, 2, { stride: 2 }).forward(randn([1, 16, 2, 4, 4])).shape; // [1, 3, 4, 8, 8]
 */
export class ConvTranspose3d extends TransposedConvolution {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Triple,
    options: ConvTransposeLayerOptions<Triple> = {},
  ) {
    super(inChannels, outChannels, kernelSize, options, 3, convTranspose3d);
  }
}
