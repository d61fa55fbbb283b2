/** Normalisation layers. */
import { ShapeError } from '../errors';
import { ones, zeros } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import {
  groupNorm,
  instanceNorm,
  localResponseNorm,
  rmsNorm,
  type LocalResponseNormOptions,
} from '../ops/group-normalization';
import { batchNorm, layerNorm, type BatchNormOptions } from '../ops/normalization';
import { wide } from '../ops/wide';
import type { Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

export interface LayerNormOptions {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number;
  /** Whether to scale by a trained weight; true unless given. */
  readonly affine?: boolean;
  /** Whether to add a trained bias to a scaled output; true unless given. */
  readonly bias?: boolean;
}

/**
 * Normalisation over the last axes, of the given shape; see `nn.functional.layerNorm`.
 *
 * @example
 * new nn.LayerNorm(16).forward(randn([8, 16])).shape; // [8, 16]
 */
export class LayerNorm extends Module {
  readonly shape: Shape;
  readonly epsilon: number;
  weight: Parameter | undefined;
  bias: Parameter | undefined;

  constructor(shape: number | Shape, options: LayerNormOptions = {}) {
    super();
    checkOptions('LayerNorm', options);
    this.shape = typeof shape === 'number' ? [shape] : shape;
    this.epsilon = options.epsilon ?? 1e-5;
    if (options.affine ?? true) {
      this.weight = new Parameter(ones(this.shape));
      if (options.bias ?? true) this.bias = new Parameter(zeros(this.shape));
    }
  }

  forward(x: AnyTensor): AnyTensor {
    return layerNorm(x, this.shape, this.weight, this.bias, { epsilon: this.epsilon });
  }

  protected override describe(): string {
    return show(this.shape);
  }
}

export interface BatchNormLayerOptions {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number;
  /** How far running statistics move per batch; 0.1 unless given. With null they are the means over all batches. */
  readonly momentum?: number | null;
  /** Whether to scale and shift by trained parameters; true unless given. */
  readonly affine?: boolean;
  /** Whether the trained parameters have a shift among them; true unless given. */
  readonly bias?: boolean;
  /** Whether to keep running statistics, and use them outside training, in place of the batch's; true unless given. */
  readonly trackRunningStats?: boolean;
  /** What the result goes through, in training in the same pass over memory; nothing unless given. */
  readonly activation?: 'relu';
}

/** What the ops take of a layer's options. */
const epsilonOf = ({ epsilon }: { readonly epsilon?: number }): { readonly epsilon?: number } =>
  epsilon === undefined ? {} : { epsilon };

/** The trained parameters per channel, those that there are. */
function scaleAndShift(
  channels: number,
  { affine = false, bias = true }: Pick<BatchNormLayerOptions, 'affine' | 'bias'>,
): [weight: Parameter | undefined, bias: Parameter | undefined] {
  if (!affine) return [undefined, undefined];
  return [new Parameter(ones([channels])), bias ? new Parameter(zeros([channels])) : undefined];
}

/** The running mean and variance per channel, and the number of batches that have moved them, if they are tracked. */
function runningStats(
  channels: number,
  { trackRunningStats = false }: Pick<BatchNormLayerOptions, 'trackRunningStats'>,
): [mean?: AnyTensor, variance?: AnyTensor, batches?: AnyTensor] {
  if (!trackRunningStats) return [];
  return [zeros([channels]).keep(), ones([channels]).keep(), zeros([], { dtype: 'int64' }).keep()];
}

/** Normalisation per channel over a batch; see `nn.functional.batchNorm`. The base of the layers for inputs of certain ranks. */
export abstract class BatchNorm extends Module {
  /** What normalises; `distributed.syncBatchNorm` puts another in its place. */
  normalize: (
    x: AnyTensor,
    runningMean: AnyTensor | undefined,
    runningVar: AnyTensor | undefined,
    weight: AnyTensor | undefined,
    bias: AnyTensor | undefined,
    options: BatchNormOptions,
  ) => AnyTensor = batchNorm;
  weight: Parameter | undefined;
  bias: Parameter | undefined;
  readonly runningMean: AnyTensor | undefined;
  readonly runningVar: AnyTensor | undefined;
  readonly numBatchesTracked: AnyTensor | undefined;
  /** How far running statistics move per batch; null where they are the means over all. */
  momentum: number | null;

  constructor(
    readonly features: number,
    readonly options: BatchNormLayerOptions = {},
  ) {
    super();
    checkOptions(this.constructor.name, options);
    checkSizes(this.constructor.name, { features });
    this.momentum = options.momentum === undefined ? 0.1 : options.momentum;
    [this.weight, this.bias] = scaleAndShift(features, { affine: true, ...options });
    [this.runningMean, this.runningVar, this.numBatchesTracked] = runningStats(features, {
      trackRunningStats: true,
      ...options,
    });
  }

  /** The ranks of input that this layer takes, and how errors write them. */
  protected abstract get expects(): { readonly ranks: readonly number[]; readonly text: string };

  /** `residual`, of x's shape, is added before the activation. */
  forward(x: AnyTensor, residual?: AnyTensor): AnyTensor {
    checkTensor(this.constructor.name, x, 'x');
    if (!this.expects.ranks.includes(x.rank)) {
      throw new ShapeError(
        `${this.constructor.name}: wrong rank: got shape ${show(x.shape)}, expected ${this.expects.text}`,
      );
    }
    const { runningMean, numBatchesTracked } = this;
    const momentum = this.momentum ?? (runningMean && numBatchesTracked?.add(1).cast(runningMean.dtype).reciprocal());
    return this.normalize(x, runningMean, this.runningVar, this.weight, this.bias, {
      training: this.training || runningMean === undefined,
      ...(momentum !== undefined && { momentum }),
      ...(this.training && numBatchesTracked !== undefined && { numBatchesTracked }),
      ...(residual !== undefined && { residual }),
      ...(this.options.activation !== undefined && { activation: this.options.activation }),
      ...epsilonOf(this.options),
    });
  }

  /** Forgets the running statistics: means become 0, variances 1. */
  resetRunningStats(): void {
    this.runningMean?.copy_(0);
    this.runningVar?.copy_(1);
    this.numBatchesTracked?.copy_(0);
  }

  protected override describe(): string {
    return `${this.features}`;
  }
}

/** Batch normalisation of x [n, c] or [n, c, length]. */
export class BatchNorm1d extends BatchNorm {
  protected get expects(): { ranks: number[]; text: string } {
    return { ranks: [2, 3], text: '[n, c] or [n, c, length]' };
  }
}

/** Batch normalisation of x [n, c, h, w]. */
export class BatchNorm2d extends BatchNorm {
  protected get expects(): { ranks: number[]; text: string } {
    return { ranks: [4], text: '[n, c, h, w]' };
  }
}

/** Batch normalisation of x [n, c, d, h, w]. */
export class BatchNorm3d extends BatchNorm {
  protected get expects(): { ranks: number[]; text: string } {
    return { ranks: [5], text: '[n, c, d, h, w]' };
  }
}

export interface RMSNormOptions {
  /** Added to the mean square; the dtype's own epsilon unless given. */
  readonly epsilon?: number;
  /** Whether to scale by a trained weight; true unless given. */
  readonly affine?: boolean;
  /** Whether to scale by 1 + weight, which begins with zeros, as Gemma does: weight decay then leads to 1. False unless given. */
  readonly zeroCentered?: boolean;
}

/**
 * Normalisation by the root mean square over the last axes, of the given shape; see `nn.functional.rmsNorm`.
 *
 * @example
 * new nn.RMSNorm(16).forward(randn([8, 16])).shape; // [8, 16]
 */
export class RMSNorm extends Module {
  readonly shape: Shape;
  weight: Parameter | undefined;

  constructor(
    shape: number | Shape,
    readonly options: RMSNormOptions = {},
  ) {
    super();
    checkOptions('RMSNorm', options);
    this.shape = typeof shape === 'number' ? [shape] : shape;
    const initial = (options.zeroCentered ?? false) ? zeros : ones;
    if (options.affine ?? true) this.weight = new Parameter(initial(this.shape));
  }

  forward(x: AnyTensor): AnyTensor {
    const { shape, weight, options } = this;
    if (weight === undefined || !(options.zeroCentered ?? false)) return rmsNorm(x, shape, weight, epsilonOf(options));
    checkTensor('RMSNorm', x);
    // 16 bits hold the weight more exactly than 1 + weight.
    return rmsNorm(wide(x), shape, wide(weight).add(1), epsilonOf(options)).cast(x.dtype) as AnyTensor;
  }

  protected override describe(): string {
    return show(this.shape);
  }
}

export interface GroupNormOptions {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number;
  /** Whether to scale and shift by trained parameters; true unless given. */
  readonly affine?: boolean;
  /** Whether the trained parameters have a shift among them; true unless given. */
  readonly bias?: boolean;
}

/**
 * Normalisation over groups of channels; see `nn.functional.groupNorm`.
 *
 * @example
 * new nn.GroupNorm(2, 6).forward(randn([4, 6, 8])).shape; // [4, 6, 8]
 */
export class GroupNorm extends Module {
  weight: Parameter | undefined;
  bias: Parameter | undefined;

  constructor(
    readonly groups: number,
    readonly channels: number,
    readonly options: GroupNormOptions = {},
  ) {
    super();
    checkOptions('GroupNorm', options);
    checkSizes('GroupNorm', { groups, channels, 'channels / groups': channels / groups });
    [this.weight, this.bias] = scaleAndShift(channels, { affine: true, ...options });
  }

  forward(x: AnyTensor): AnyTensor {
    return groupNorm(x, this.groups, this.weight, this.bias, epsilonOf(this.options));
  }

  protected override describe(): string {
    return `${this.groups} groups of ${this.channels / this.groups}`;
  }
}

export interface InstanceNormLayerOptions {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number;
  /** How far running statistics move per batch; 0.1 unless given. */
  readonly momentum?: number;
  /** Whether to scale and shift by trained parameters; false unless given. */
  readonly affine?: boolean;
  /** Whether the trained parameters have a shift among them; true unless given. */
  readonly bias?: boolean;
  /** Whether to keep running statistics, and use them outside training; false unless given. */
  readonly trackRunningStats?: boolean;
}

/** Normalisation per channel and instance; see `nn.functional.instanceNorm`. */
abstract class InstanceNorm extends Module {
  weight: Parameter | undefined;
  bias: Parameter | undefined;
  readonly runningMean: AnyTensor | undefined;
  readonly runningVar: AnyTensor | undefined;
  readonly numBatchesTracked: AnyTensor | undefined;

  constructor(
    readonly features: number,
    readonly options: InstanceNormLayerOptions = {},
  ) {
    super();
    checkOptions(this.constructor.name, options);
    checkSizes(this.constructor.name, { features });
    [this.weight, this.bias] = scaleAndShift(features, options);
    [this.runningMean, this.runningVar, this.numBatchesTracked] = runningStats(features, options);
  }

  /** The spatial axes of an input, and how errors write it. */
  protected abstract get expects(): { readonly axes: number; readonly text: string };

  forward(x: AnyTensor): AnyTensor {
    checkTensor(this.constructor.name, x, 'x');
    const { axes, text } = this.expects;
    if (x.rank === axes + 1) return this.forward(x.unsqueeze(0)).squeeze(0);
    if (x.rank !== axes + 2) {
      throw new ShapeError(`${this.constructor.name}: wrong rank: got shape ${show(x.shape)}, expected ${text}`);
    }
    const { momentum } = this.options;
    return instanceNorm(x, this.runningMean, this.runningVar, this.weight, this.bias, {
      ...(momentum !== undefined && { momentum }),
      ...epsilonOf(this.options),
      useInputStatistics: this.training || this.runningMean === undefined,
    });
  }

  protected override describe(): string {
    return `${this.features}`;
  }
}

/** Instance normalisation of x [n, c, length], or [c, length]. */
export class InstanceNorm1d extends InstanceNorm {
  protected get expects(): { axes: number; text: string } {
    return { axes: 1, text: '[n, c, length] or [c, length]' };
  }
}

/** Instance normalisation of x [n, c, h, w], or [c, h, w]. */
export class InstanceNorm2d extends InstanceNorm {
  protected get expects(): { axes: number; text: string } {
    return { axes: 2, text: '[n, c, h, w] or [c, h, w]' };
  }
}

/** Instance normalisation of x [n, c, d, h, w], or [c, d, h, w]. */
export class InstanceNorm3d extends InstanceNorm {
  protected get expects(): { axes: number; text: string } {
    return { axes: 3, text: '[n, c, d, h, w] or [c, d, h, w]' };
  }
}

/** Normalisation over neighbouring channels; see `nn.functional.localResponseNorm`. */
export class LocalResponseNorm extends Module {
  constructor(
    readonly size: number,
    readonly options: LocalResponseNormOptions = {},
  ) {
    super();
    checkOptions('LocalResponseNorm', options);
    checkSizes('LocalResponseNorm', { size });
  }

  forward(x: AnyTensor): AnyTensor {
    return localResponseNorm(x, this.size, this.options);
  }

  protected override describe(): string {
    return `${this.size}`;
  }
}
