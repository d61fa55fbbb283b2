/** Normalisation layers. */
import { ShapeError } from '../errors';
import { ones, zeros } from '../ops/creation';
import { batchNorm, layerNorm } from '../ops/normalization';
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
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;

  constructor(shape: number | Shape, options: LayerNormOptions = {}) {
    super();
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
  /** How far running statistics move per batch; 0.1 unless given. */
  readonly momentum?: number;
  /** Whether to scale and shift by trained parameters; true unless given. */
  readonly affine?: boolean;
}

/** Normalisation per channel over a batch; see `nn.functional.batchNorm`. */
abstract class BatchNorm extends Module {
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;
  readonly runningMean: AnyTensor;
  readonly runningVar: AnyTensor;
  readonly numBatchesTracked: AnyTensor;

  constructor(
    readonly features: number,
    readonly options: BatchNormLayerOptions = {},
  ) {
    super();
    checkSizes(this.constructor.name, { features });
    if (options.affine ?? true) {
      this.weight = new Parameter(ones([features]));
      this.bias = new Parameter(zeros([features]));
    }
    this.runningMean = zeros([features]).keep();
    this.runningVar = ones([features]).keep();
    this.numBatchesTracked = zeros([], { dtype: 'int64' }).keep();
  }

  /** The ranks of input that this layer takes, and how errors write them. */
  protected abstract get expects(): { readonly ranks: readonly number[]; readonly text: string };

  forward(x: AnyTensor): AnyTensor {
    if (!this.expects.ranks.includes(x.rank)) {
      throw new ShapeError(
        `${this.constructor.name}: wrong rank: got shape ${show(x.shape)}, expected ${this.expects.text}`,
      );
    }
    if (this.training) this.numBatchesTracked.add_(1);
    const { epsilon, momentum } = this.options;
    return batchNorm(x, this.runningMean, this.runningVar, this.weight, this.bias, {
      training: this.training,
      ...(epsilon !== undefined && { epsilon }),
      ...(momentum !== undefined && { momentum }),
    });
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
