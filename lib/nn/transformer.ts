/** The Transformer: its encoder and decoder layers, stacks of them, and the whole. Batches come first: x [b, t, size]. Vaswani et al., 2017. */
import { ArgumentError } from '../errors';
import { checkOptions, checkTensor } from '../ops/define';
import { feedForward, writtenActivations, type FeedForwardActivation } from '../ops/feed-forward';
import { checkCount, checkFunction, maxEntries } from '../tensor/checks';
import { shown } from '../tensor/describe';
import type { AnyTensor } from '../tensor/tensor';
import { checkModule } from './container';
import { xavierUniform_ } from './init';
import { Linear } from './linear';
import { Module } from './module';
import { MultiHeadAttention, type AttentionCache, type AttentionCall } from './multi-head-attention';
import { LayerNorm } from './normalization';
import { checkSizes } from './options';
import { Dropout } from './regularization';

export interface TransformerLayerOptions {
  /** Of the hidden layer of the feed-forward part; four times the size unless given. */
  readonly hidden?: number;
  /** 0.1 unless given. */
  readonly dropout?: number;
  /** `'relu'` unless given. By name it is part of {@link feedForward} where there is no dropout. */
  readonly activation?: FeedForwardActivation | ((x: AnyTensor) => AnyTensor);
  /** Normalise before attention and feed-forward instead of after; false unless given. */
  readonly normFirst?: boolean;
  /** Whether projections and norms add biases; true unless given. */
  readonly bias?: boolean;
  /** Of the norms; 1e-5 unless given. */
  readonly epsilon?: number;
}

/** What the encoder and the decoder layer share: the feed-forward part, and how a sublayer is joined to the residual stream. */
abstract class TransformerLayer extends Module {
  readonly selfAttn: MultiHeadAttention;
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  protected readonly dropoutLayer: Dropout;
  protected readonly activation: NonNullable<TransformerLayerOptions['activation']>;
  protected readonly normFirst: boolean;

  constructor(
    readonly size: number,
    heads: number,
    options: TransformerLayerOptions,
  ) {
    super();
    checkOptions(new.target.name, options);
    const { hidden = 4 * size, dropout = 0.1, activation = 'relu', normFirst = false, bias = true } = options;
    checkSizes(this.constructor.name, { size, heads, hidden });
    if (typeof activation !== 'function' && !Object.hasOwn(writtenActivations, activation)) {
      const known = Object.keys(writtenActivations).join(', ');
      throw new ArgumentError(
        `${this.constructor.name}: activation: got ${shown(activation)}, expected ${known} or a function`,
      );
    }
    this.selfAttn = new MultiHeadAttention(size, heads, { dropout, bias });
    this.linear1 = new Linear(size, hidden, { bias });
    this.linear2 = new Linear(hidden, size, { bias });
    this.norm1 = normOf(size, options);
    this.norm2 = normOf(size, options);
    this.dropoutLayer = new Dropout(dropout);
    this.activation = activation;
    this.normFirst = normFirst;
  }

  /** x + dropout(f(x)), normalised before f or after the sum. */
  protected sublayer(x: AnyTensor, norm: LayerNorm, f: (x: AnyTensor) => AnyTensor): AnyTensor {
    checkTensor(this.constructor.name, x, 'x');
    if (this.normFirst) return x.add(this.dropoutLayer.forward(f(norm.forward(x))));
    return norm.forward(x.add(this.dropoutLayer.forward(f(x))));
  }

  protected feedForward(x: AnyTensor): AnyTensor {
    const { activation, linear1, linear2, dropoutLayer } = this;
    const isPlain = linear1.forward === plainLinear && linear2.forward === plainLinear;
    const drops = dropoutLayer.forward !== plainDropout || (dropoutLayer.training && dropoutLayer.probability > 0);
    if (typeof activation === 'string' && isPlain && !drops) {
      return feedForward(x, linear1.weight, linear1.bias, linear2.weight, linear2.bias, { activation });
    }
    const hidden = linear1.forward(x);
    const active = typeof activation === 'string' ? writtenActivations[activation].of(hidden) : activation(hidden);
    return linear2.forward(dropoutLayer.forward(active));
  }
}

// Layers with hooks, or put in the place of these, have a `forward` of their own, which is to be called.
const { forward: plainLinear } = Linear.prototype;
const { forward: plainDropout } = Dropout.prototype;

const normOf = (size: number, { bias = true, epsilon = 1e-5 }: TransformerLayerOptions): LayerNorm =>
  new LayerNorm(size, { bias, epsilon });

/**
 * Self-attention and a feed-forward network, each with a residual connection and layer norm. State names are PyTorch's.
 *
 * @example
 * new nn.TransformerEncoderLayer(16, 4).forward(randn([2, 5, 16])).shape; // [2, 5, 16]
 */
export class TransformerEncoderLayer extends TransformerLayer {
  constructor(size: number, heads: number, options: TransformerLayerOptions = {}) {
    super(size, heads, options);
  }

  forward(x: AnyTensor, options: AttentionCall = {}): AnyTensor {
    checkOptions('TransformerEncoderLayer', options, 'TransformerEncoderLayer.forward');
    const attended = this.sublayer(x, this.norm1, (y) => this.selfAttn.forward(y, y, y, options));
    return this.sublayer(attended, this.norm2, (y) => this.feedForward(y));
  }
}

export interface DecoderCall {
  /** For self-attention; causal unless `causal` is false. */
  readonly causal?: boolean;
  readonly mask?: AnyTensor | undefined;
  /** Of the decoder's own positions, [b, t]: bool (true: attend) or added to the scores. */
  readonly keyMask?: AnyTensor | undefined;
  /** For attention to the memory. */
  readonly memoryMask?: AnyTensor | undefined;
  /** Of the memory's positions, [b, s]: bool (true: attend) or added to the scores. */
  readonly memoryKeyMask?: AnyTensor | undefined;
}

export interface DecoderLayerCall extends DecoderCall {
  /** Of the layer's own earlier positions: this call's are added to it. */
  readonly cache?: AttentionCache | undefined;
  /** Of the memory, which is read where nothing is cached yet. */
  readonly memoryCache?: AttentionCache | undefined;
}

/**
 * Causal self-attention, attention to an encoder's output, and a feed-forward network, each with a residual connection and layer norm. State names are
 * PyTorch's.
 *
 * @example
 * new nn.TransformerDecoderLayer(16, 4).forward(randn([2, 5, 16]), randn([2, 7, 16])).shape; // [2, 5, 16]
 */
export class TransformerDecoderLayer extends TransformerLayer {
  readonly multiheadAttn: MultiHeadAttention;
  readonly norm3: LayerNorm;

  constructor(size: number, heads: number, options: TransformerLayerOptions = {}) {
    super(size, heads, options);
    const { dropout = 0.1, bias = true } = options;
    this.multiheadAttn = new MultiHeadAttention(size, heads, { dropout, bias });
    this.norm3 = normOf(size, options);
  }

  forward(x: AnyTensor, memory: AnyTensor, options: DecoderLayerCall = {}): AnyTensor {
    checkOptions('TransformerDecoderLayer', options, 'TransformerDecoderLayer.forward');
    const { causal = true, mask, keyMask, cache, memoryMask, memoryKeyMask, memoryCache } = options;
    const own = this.sublayer(x, this.norm1, (y) => this.selfAttn.forward(y, y, y, { causal, mask, keyMask, cache }));
    // What a cache has seen of the memory is all of it.
    const unseen = memoryCache === undefined || memoryCache.length === 0 ? memory : memory.narrow(-2, 0, 0);
    const crossed = this.sublayer(own, this.norm2, (y) =>
      this.multiheadAttn.forward(y, unseen, unseen, { mask: memoryMask, keyMask: memoryKeyMask, cache: memoryCache }),
    );
    return this.sublayer(crossed, this.norm3, (y) => this.feedForward(y));
  }
}

export interface TransformerStackOptions {
  /** Applied to the last layer's output. */
  readonly norm?: LayerNorm | undefined;
}

/** Layers made one by one, and a norm behind them. */
abstract class Stack<L extends TransformerLayer> extends Module {
  readonly layers: readonly L[];
  readonly norm: LayerNorm | undefined;

  constructor(makeLayer: (index: number) => L, count: number, options: TransformerStackOptions = {}) {
    super();
    const name = new.target.name;
    checkFunction(name, 'makeLayer', makeLayer);
    checkCount(name, 'count', count, 1, maxEntries);
    checkOptions(name, options);
    this.layers = Array.from({ length: count }, (_, i) => makeLayer(i));
    this.layers.forEach((layer, i) => checkModule(name, `layers[${i}]`, layer));
    if (options.norm !== undefined) checkModule(name, 'norm', options.norm);
    this.norm = options.norm;
  }

  protected run(x: AnyTensor, apply: (layer: L, x: AnyTensor) => AnyTensor): AnyTensor {
    let y = x;
    for (const layer of this.layers) y = apply(layer, y);
    return this.norm === undefined ? y : this.norm.forward(y);
  }
}

/**
 * Encoder layers one after the other. State names are PyTorch's.
 *
 * @example
 * new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(16, 4), 2).forward(randn([2, 5, 16])).shape; // [2, 5, 16]
 */
export class TransformerEncoder extends Stack<TransformerEncoderLayer> {
  forward(x: AnyTensor, options: AttentionCall = {}): AnyTensor {
    checkOptions('TransformerEncoder', options, 'TransformerEncoder.forward');
    return this.run(x, (layer, y) => layer.forward(y, options));
  }
}

/**
 * Decoder layers one after the other. State names are PyTorch's.
 *
 * @example
 * const decoder = new nn.TransformerDecoder(() => new nn.TransformerDecoderLayer(16, 4), 2);
 * decoder.forward(randn([2, 5, 16]), randn([2, 7, 16])).shape; // [2, 5, 16]
 */
export class TransformerDecoder extends Stack<TransformerDecoderLayer> {
  forward(x: AnyTensor, memory: AnyTensor, options: DecoderCall = {}): AnyTensor {
    checkOptions('TransformerDecoder', options, 'TransformerDecoder.forward');
    return this.run(x, (layer, y) => layer.forward(y, memory, options));
  }
}

export interface TransformerOptions extends TransformerLayerOptions {
  /** 6 unless given. */
  readonly encoderLayers?: number;
  /** 6 unless given. */
  readonly decoderLayers?: number;
}

export interface TransformerCall extends DecoderCall {
  /** For the encoder's self-attention. */
  readonly sourceMask?: AnyTensor | undefined;
  /** Of the source's positions, [b, s]: bool (true: attend) or added to the scores. */
  readonly sourceKeyMask?: AnyTensor | undefined;
}

/**
 * Encoder and decoder, each with a norm at its end; matrices start uniform by Xavier's rule. State names are PyTorch's.
 *
 * @example
 * const model = new nn.Transformer(16, 4, { encoderLayers: 1, decoderLayers: 1 });
 * model.forward(randn([2, 7, 16]), randn([2, 5, 16])).shape; // [2, 5, 16]
 */
export class Transformer extends Module {
  readonly encoder: TransformerEncoder;
  readonly decoder: TransformerDecoder;

  constructor(size = 512, heads = 8, options: TransformerOptions = {}) {
    super();
    checkOptions('Transformer', options);
    const { encoderLayers = 6, decoderLayers = 6, ...layer } = options;
    for (const [name, count] of Object.entries({ encoderLayers, decoderLayers })) {
      checkCount('Transformer', name, count, 1, maxEntries);
    }
    this.encoder = new TransformerEncoder(() => new TransformerEncoderLayer(size, heads, layer), encoderLayers, {
      norm: normOf(size, layer),
    });
    this.decoder = new TransformerDecoder(() => new TransformerDecoderLayer(size, heads, layer), decoderLayers, {
      norm: normOf(size, layer),
    });
    for (const parameter of this.parameters()) if (parameter.rank > 1) xavierUniform_(parameter);
  }

  /** source [b, s, size] and target [b, t, size]: [b, t, size]. The decoder sees the encoder's output and, unless `causal` is false, earlier targets only. */
  forward(source: AnyTensor, target: AnyTensor, options: TransformerCall = {}): AnyTensor {
    checkOptions('Transformer', options, 'Transformer.forward');
    const { sourceMask, sourceKeyMask, ...own } = options;
    const memory = this.encoder.forward(source, { mask: sourceMask, keyMask: sourceKeyMask });
    return this.decoder.forward(target, memory, own);
  }
}
