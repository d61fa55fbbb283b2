/** Swin Transformers, of both versions. */
import { GELU, ReLU } from '../nn/activation';
import { Lambda, Sequential, type Layer } from '../nn/container';
import { Conv2d } from '../nn/convolution';
import { truncNormal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, Parameter } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { Dropout, StochasticDepth } from '../nn/regularization';
import { empty, full, tensor, zerosLike } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { linear } from '../ops/matmul';
import { cat } from '../ops/movement';
import { checkChoice } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { channelsLast } from './channels';

/** x [b, h, w, c] as windows [b, windows, window², c]. */
function windowsOf(x: AnyTensor, window: number): AnyTensor {
  const [b, h, w, c] = x.shape as [number, number, number, number];
  const [rows, columns] = [h / window, w / window];
  const grid = x.reshape([b, rows, window, columns, window, c]).permute([0, 1, 3, 2, 4, 5]);
  return grid.reshape([b, rows * columns, window ** 2, c]);
}

/** Windows [b, windows, window², c] as x [b, h, w, c]. */
function joined(windows: AnyTensor, window: number, [h, w]: readonly [number, number]): AnyTensor {
  const [b, , , c] = windows.shape as [number, number, number, number];
  const grid = windows.reshape([b, h / window, w / window, window, window, c]).permute([0, 1, 3, 2, 4, 5]);
  return grid.reshape([b, h, w, c]);
}

/**
 * What is added to the scores between places of a window, [windows, 1, window², window²]: much is taken from those that lie apart in the image, where rolling it
 * has brought its ends together.
 */
function apart(size: readonly [number, number], window: number, shift: readonly [number, number]): AnyTensor {
  const [row, column] = size.map((length, axis) => {
    const ends = shift[axis] === 0 ? [] : [length - window, length - shift[axis]!];
    return Array.from({ length }, (_, i) => ends.filter((end) => i >= end).length);
  }) as [number[], number[]];
  const regions = tensor(row.map((i) => column.map((j) => 3 * i + j))).reshape([1, ...size, 1]);
  const places = windowsOf(regions, window).reshape([-1, 1, window ** 2, 1]);
  return places.notEqual(places.transpose()).cast('float32').mul(-100) as AnyTensor;
}

/** Attention within windows of an image [b, h, w, c], which may be rolled by `shift` for it. */
abstract class WindowAttention extends Module {
  readonly qkv: Linear;
  readonly proj: Linear;
  /** The row of the table of offsets for each pair of places in a window, [window⁴]. */
  readonly relativePositionIndex: AnyTensor;
  readonly attentionDropout: Dropout;
  readonly dropout: Dropout;

  constructor(
    channels: number,
    readonly heads: number,
    readonly window: number,
    readonly shift: number,
    { dropout, attentionDropout }: { readonly dropout: number; readonly attentionDropout: number },
  ) {
    super();
    this.qkv = new Linear(channels, 3 * channels);
    this.proj = new Linear(channels, channels);
    const places = Array.from({ length: window ** 2 }, (_, i) => [Math.floor(i / window), i % window] as const);
    const offset = (difference: number): number => difference + window - 1;
    const index = places.flatMap(([h, w]) =>
      places.map(([h2, w2]) => offset(h - h2) * (2 * window - 1) + offset(w - w2)),
    );
    this.relativePositionIndex = tensor(index, { dtype: 'int64' }).keep();
    this.attentionDropout = new Dropout(attentionDropout);
    this.dropout = new Dropout(dropout);
  }

  /** What is added to scores for each offset between places, [(2 · window − 1)², heads]. */
  protected abstract offsets(): AnyTensor;

  /** The queries, keys and values of x, side by side. */
  protected abstract project(x: AnyTensor): AnyTensor;

  protected abstract scores(q: AnyTensor, k: AnyTensor): AnyTensor;

  forward(x: AnyTensor): AnyTensor {
    const [b, h, w, c] = x.shape as [number, number, number, number];
    const { heads, window } = this;
    const size = [h, w].map((length) => Math.ceil(length / window) * window) as [number, number];
    // One window over the whole length has all in it.
    const shift = size.map((length) => (length > window ? this.shift : 0)) as [number, number];
    const padded = x.pad([
      [0, size[0] - h],
      [0, size[1] - w],
      [0, 0],
    ]) as AnyTensor;
    const windows = windowsOf(padded.roll([-shift[0], -shift[1]], [1, 2]), window);
    const [, count, places] = windows.shape as [number, number, number];
    const parts = this.project(windows).reshape([b, count, places, 3, heads, c / heads]);
    const [q, k, v] = parts.permute([3, 0, 1, 4, 2, 5]).unbind() as unknown as [AnyTensor, AnyTensor, AnyTensor];
    let bias: AnyTensor = this.offsets()
      .indexSelect(0, this.relativePositionIndex)
      .reshape([places, places, heads])
      .permute([2, 0, 1]);
    if (shift.some((by) => by > 0)) bias = bias.add(apart(size, window, shift).to(x.device).cast(bias.dtype));
    const weights = this.attentionDropout.forward(this.scores(q, k).add(bias).softmax(-1));
    const y = this.dropout.forward(this.proj.forward(weights.matmul(v).transpose(2, 3).reshape(windows.shape)));
    return joined(y, window, size).roll(shift, [1, 2]).narrow(1, 0, h).narrow(2, 0, w);
  }
}

/** Scaled products, and a learned number for each offset. */
class WindowAttentionV1 extends WindowAttention {
  readonly relativePositionBiasTable: Parameter;

  constructor(...options: ConstructorParameters<typeof WindowAttention>) {
    super(...options);
    const table = empty([(2 * this.window - 1) ** 2, this.heads]);
    this.relativePositionBiasTable = new Parameter(truncNormal_(table, 0, 0.02));
  }

  protected offsets(): AnyTensor {
    return this.relativePositionBiasTable;
  }

  protected project(x: AnyTensor): AnyTensor {
    return this.qkv.forward(x);
  }

  protected scores(q: AnyTensor, k: AnyTensor): AnyTensor {
    return q.mul(q.shape.at(-1)! ** -0.5).matmul(k.transpose());
  }
}

/** Cosines of a learned scale, and what a network makes of each offset. */
class WindowAttentionV2 extends WindowAttention {
  readonly logitScale: Parameter;
  readonly cpbMlp: Sequential;
  /** Vertical and horizontal offsets on a logarithmic scale from −8 to 8, [1, 2 · window − 1, 2 · window − 1, 2]. */
  readonly relativeCoordsTable: AnyTensor;

  constructor(...options: ConstructorParameters<typeof WindowAttention>) {
    super(...options);
    const { heads, window } = this;
    this.logitScale = new Parameter(full([heads, 1, 1], Math.log(10)));
    this.cpbMlp = new Sequential(new Linear(2, 512), new ReLU(), new Linear(512, heads, { bias: false }));
    const steps = Array.from({ length: 2 * window - 1 }, (_, i) => (8 * (i - window + 1)) / (window - 1));
    const scaled = steps.map((step) => (Math.sign(step) * Math.log2(Math.abs(step) + 1)) / 3);
    this.relativeCoordsTable = tensor([scaled.map((h) => scaled.map((w) => [h, w]))]).keep();
  }

  protected offsets(): AnyTensor {
    return this.cpbMlp.forward(this.relativeCoordsTable).reshape([-1, this.heads]).sigmoid().mul(16) as AnyTensor;
  }

  /** A bias of keys would add the same to all scores of a query. */
  protected project(x: AnyTensor): AnyTensor {
    const { weight, bias } = this.qkv;
    const [q, , v] = bias!.chunk(3) as [AnyTensor, AnyTensor, AnyTensor];
    return linear(x, weight, cat([q, zerosLike(q), v], 0));
  }

  protected scores(q: AnyTensor, k: AnyTensor): AnyTensor {
    const scale = this.logitScale.clamp(undefined, Math.log(100)).exp();
    return q
      .normalize({ axis: -1 })
      .matmul(k.normalize({ axis: -1 }).transpose())
      .mul(scale) as AnyTensor;
  }
}

/** Four neighbouring places of an image [b, h, w, c] as one with twice the channels. */
class PatchMerging extends Module {
  readonly reduction: Linear;
  readonly norm: LayerNorm;

  constructor(
    channels: number,
    readonly normFirst: boolean,
  ) {
    super();
    this.reduction = new Linear(4 * channels, 2 * channels, { bias: false });
    this.norm = new LayerNorm(normFirst ? 4 * channels : 2 * channels);
  }

  forward(x: AnyTensor): AnyTensor {
    const [b, h, w, c] = x.shape as [number, number, number, number];
    const [rows, columns] = [Math.ceil(h / 2), Math.ceil(w / 2)];
    const even = x.pad([
      [0, 2 * rows - h],
      [0, 2 * columns - w],
      [0, 0],
    ]) as AnyTensor;
    const grid = even.reshape([b, rows, 2, columns, 2, c]).permute([0, 1, 3, 4, 2, 5]);
    const merged = grid.reshape([b, rows, columns, 4 * c]);
    if (this.normFirst) return this.reduction.forward(this.norm.forward(merged));
    return this.norm.forward(this.reduction.forward(merged));
  }
}

/** Attention within windows and a feed-forward part of an image [b, h, w, c], around both of which it passes. */
class Block extends Module {
  readonly norm1: LayerNorm;
  readonly stochasticDepth: StochasticDepth;
  readonly norm2: LayerNorm;
  readonly mlp: Sequential;

  constructor(
    channels: number,
    readonly attn: WindowAttention,
    readonly normFirst: boolean,
    dropout: number,
    dropped: number,
  ) {
    super();
    this.norm1 = new LayerNorm(channels);
    this.stochasticDepth = new StochasticDepth(dropped);
    this.norm2 = new LayerNorm(channels);
    this.mlp = new Sequential(
      new Linear(channels, 4 * channels),
      new GELU(),
      new Dropout(dropout),
      new Linear(4 * channels, channels),
      new Dropout(dropout),
    );
  }

  forward(x: AnyTensor): AnyTensor {
    return this.#added(this.#added(x, this.norm1, this.attn), this.norm2, this.mlp);
  }

  #added(x: AnyTensor, norm: LayerNorm, layer: Layer): AnyTensor {
    const y = this.normFirst ? layer.forward(norm.forward(x)) : norm.forward(layer.forward(x));
    return x.add(this.stochasticDepth.forward(y)) as AnyTensor;
  }
}

/** Channels of the first stage, doubled from one to the next; blocks of each stage; and how often the last block is left out. */
const sizes = {
  tiny: { width: 96, depths: [2, 2, 6, 2], dropped: 0.2 },
  small: { width: 96, depths: [2, 2, 18, 2], dropped: 0.3 },
  base: { width: 128, depths: [2, 2, 18, 2], dropped: 0.5 },
} as const;

const versions = {
  1: { Attention: WindowAttentionV1, window: 7, normFirst: true },
  2: { Attention: WindowAttentionV2, window: 8, normFirst: false },
} as const;

/** Channels of an attention head. */
const headSize = 32;

export interface SwinTransformerOptions {
  /** 2 for cosine attention, norms behind layers, and windows of 8 × 8 in place of 7 × 7; 1 unless given. */
  readonly version?: 1 | 2;
  /** 1000 unless given. */
  readonly numClasses?: number;
  /** Of the results of attention and in feed-forward parts; 0 unless given. */
  readonly dropout?: number;
  /** Of attention weights; 0 unless given. */
  readonly attentionDropout?: number;
  /** Probability with which the last block is left out in training; earlier ones are less often. 0.2 to 0.5, by the size, unless given. */
  readonly stochasticDepth?: number;
}

/**
 * The Swin Transformer, tiny, small or base: images [n, 3, h, w] to scores [n, numClasses], by attention within windows that are shifted from layer to layer.
 *
 * @see Liu et al., 2021, Swin Transformer: hierarchical vision Transformer using shifted windows; 2022, Swin Transformer V2: scaling up capacity and resolution.
 * @example
 * new models.SwinTransformer('tiny', { numClasses: 10 }).forward(randn([2, 3, 32, 32])).shape; // [2, 10]
 */
export class SwinTransformer extends Module {
  readonly features: Sequential;
  readonly norm: LayerNorm;
  head: Linear;

  constructor(size: keyof typeof sizes, options: SwinTransformerOptions = {}) {
    super();
    checkOptions('SwinTransformer', options);
    checkChoice('SwinTransformer', 'size', size, Object.keys(sizes));
    const { width, depths, dropped } = sizes[size];
    const { version = 1, numClasses = 1000, dropout = 0, attentionDropout = 0, stochasticDepth = dropped } = options;
    checkChoice('SwinTransformer', 'version', version, [1, 2]);
    const { Attention, window, normFirst } = versions[version];
    const last = depths.reduce((sum, depth) => sum + depth, -1);
    const patches = new Conv2d(3, width, 4, { stride: 4 });
    const layers: Layer[] = [new Sequential(patches, new Lambda(channelsLast), new LayerNorm(width))];
    let before = 0;
    let channels: number = width;
    depths.forEach((depth, stage) => {
      if (stage > 0) {
        layers.push(new PatchMerging(channels, normFirst));
        channels *= 2;
      }
      const block = (_: unknown, i: number): Block => {
        const shift = i % 2 === 0 ? 0 : Math.floor(window / 2);
        const attention = new Attention(channels, channels / headSize, window, shift, { dropout, attentionDropout });
        return new Block(channels, attention, normFirst, dropout, (stochasticDepth * before++) / last);
      };
      layers.push(new Sequential(...Array.from({ length: depth }, block)));
    });
    this.features = new Sequential(...layers);
    this.norm = new LayerNorm(channels);
    this.head = new Linear(channels, numClasses);
    this.apply((module) => {
      if (!(module instanceof Linear)) return;
      truncNormal_(module.weight, 0, 0.02);
      if (module.bias !== undefined) zeros_(module.bias);
    });
  }

  forward(x: AnyTensor): AnyTensor {
    return this.head.forward(this.norm.forward(this.features.forward(x)).mean([1, 2]));
  }
}
