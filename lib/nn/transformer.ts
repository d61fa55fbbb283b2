/** Multi-head attention and the Transformer's encoder and decoder layers. Batches come first: x [b, t, size]. */
import { ArgumentError, ShapeError } from '../errors';
import { scaledDotProductAttention } from '../ops/attention';
import { empty, zeros } from '../ops/creation';
import { linear } from '../ops/matmul';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { xavierUniform_ } from './init';
import { Linear } from './linear';
import { Module, Parameter } from './module';
import { LayerNorm } from './normalization';
import { checkProbability, checkSizes } from './options';
import { Dropout } from './regularization';

export interface MultiHeadAttentionOptions {
  /** Of attention weights, in training; 0 unless given. */
  readonly dropout?: number;
  /** Whether the projections add biases; true unless given. */
  readonly bias?: boolean;
}

export interface AttentionCall {
  /** Broadcasts to [b, heads, t, s]: bool (true: attend) or added to the scores. */
  readonly mask?: AnyTensor | undefined;
  /** Query i sees keys 0 … i only. */
  readonly causal?: boolean;
}

/**
 * Attention in several subspaces at once: softmax(q·kᵀ/√d)·v per head, over projections of the inputs, and a projection of the joined results. State names are
 * those of PyTorch's MultiheadAttention. Vaswani et al., 2017.
 *
 * @example
 * const x = randn([2, 5, 16]);
 * new nn.MultiHeadAttention(16, 4).forward(x, x, x).shape; // [2, 5, 16]
 */
export class MultiHeadAttention extends Module {
  /** The projections of query, key and value, one above the other: [3 · size, size]. */
  readonly inProjWeight: Parameter;
  readonly inProjBias: Parameter | undefined;
  readonly outProj: Linear;
  readonly dropout: number;

  constructor(
    readonly size: number,
    readonly heads: number,
    options: MultiHeadAttentionOptions = {},
  ) {
    super();
    checkSizes('MultiHeadAttention', { size, heads });
    if (size % heads !== 0) {
      throw new ArgumentError(`MultiHeadAttention: heads: got ${heads}, expected a divisor of the size ${size}`);
    }
    const { dropout = 0, bias = true } = options;
    checkProbability('MultiHeadAttention', 'dropout', dropout);
    this.dropout = dropout;
    this.inProjWeight = new Parameter(xavierUniform_(empty([3 * size, size])));
    if (bias) this.inProjBias = new Parameter(zeros([3 * size]));
    this.outProj = new Linear(size, size, { bias });
    if (this.outProj.bias !== undefined) this.outProj.bias.detach().copy_(0);
  }

  /** query [b, t, size], key and value [b, s, size]: [b, t, size]. Key and value are the query unless given. */
  forward(query: AnyTensor, key: AnyTensor = query, value: AnyTensor = key, options: AttentionCall = {}): AnyTensor {
    for (const x of [query, key, value]) {
      if (x.rank !== 3 || x.shape[2] !== this.size) {
        throw new ShapeError(
          `MultiHeadAttention: got an input of shape ${show(x.shape)}, expected [b, t, ${this.size}]`,
        );
      }
    }
    const [q, k, v] = this.project(query, key, value);
    const y = scaledDotProductAttention(q!, k!, v!, { ...options, dropout: this.training ? this.dropout : 0 });
    return this.outProj.forward(y.transpose(1, 2).reshape(query.shape));
  }

  /** Queries, keys and values as [b, heads, t, size / heads]; one product where the inputs are the same tensor. */
  private project(query: AnyTensor, key: AnyTensor, value: AnyTensor): AnyTensor[] {
    const { size } = this;
    const inputs = [query, key, value];
    if (key === query && value === query) {
      return linear(query, this.inProjWeight, this.inProjBias)
        .split(size, -1)
        .map((x) => this.perHead(x));
    }
    return inputs.map((x, i) => {
      const weight = this.inProjWeight.narrow(0, i * size, size);
      return this.perHead(linear(x, weight, this.inProjBias?.narrow(0, i * size, size)));
    });
  }

  private perHead(x: AnyTensor): AnyTensor {
    const [b, t] = x.shape as [number, number];
    return x.reshape([b, t, this.heads, this.size / this.heads]).transpose(1, 2);
  }

  protected override describe(): string {
    return `${this.size}, ${this.heads} heads`;
  }
}

export interface TransformerLayerOptions {
  /** Of the hidden layer of the feed-forward part; four times the size unless given. */
  readonly hidden?: number;
  /** 0.1 unless given. */
  readonly dropout?: number;
  /** `'relu'` unless given. */
  readonly activation?: 'relu' | 'gelu';
  /** Normalise before attention and feed-forward instead of after; false unless given. */
  readonly normFirst?: boolean;
}

/** What the encoder and the decoder layer share: the feed-forward part, and how a sublayer is joined to the residual stream. */
abstract class TransformerLayer extends Module {
  readonly selfAttn: MultiHeadAttention;
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  protected readonly dropoutLayer: Dropout;
  protected readonly activation: 'relu' | 'gelu';
  protected readonly normFirst: boolean;

  constructor(size: number, heads: number, options: TransformerLayerOptions) {
    super();
    const { hidden = 4 * size, dropout = 0.1, activation = 'relu', normFirst = false } = options;
    checkSizes(this.constructor.name, { size, heads, hidden });
    if (activation !== 'relu' && activation !== 'gelu') {
      throw new ArgumentError(`${this.constructor.name}: activation: got ${String(activation)}, expected relu or gelu`);
    }
    this.selfAttn = new MultiHeadAttention(size, heads, { dropout });
    this.linear1 = new Linear(size, hidden);
    this.linear2 = new Linear(hidden, size);
    this.norm1 = new LayerNorm(size);
    this.norm2 = new LayerNorm(size);
    this.dropoutLayer = new Dropout(dropout);
    this.activation = activation;
    this.normFirst = normFirst;
  }

  /** x + dropout(f(x)), normalised before f or after the sum. */
  protected sublayer(x: AnyTensor, norm: LayerNorm, f: (x: AnyTensor) => AnyTensor): AnyTensor {
    if (this.normFirst) return x.add(this.dropoutLayer.forward(f(norm.forward(x))));
    return norm.forward(x.add(this.dropoutLayer.forward(f(x))));
  }

  protected feedForward(x: AnyTensor): AnyTensor {
    const hidden = this.linear1.forward(x);
    const active = this.activation === 'relu' ? hidden.relu() : hidden.gelu();
    return this.linear2.forward(this.dropoutLayer.forward(active));
  }
}

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
    const attended = this.sublayer(x, this.norm1, (y) => this.selfAttn.forward(y, y, y, options));
    return this.sublayer(attended, this.norm2, (y) => this.feedForward(y));
  }
}

export interface DecoderCall {
  /** For self-attention; causal unless `causal` is false. */
  readonly causal?: boolean;
  readonly mask?: AnyTensor;
  /** For attention to the memory. */
  readonly memoryMask?: AnyTensor;
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
    this.multiheadAttn = new MultiHeadAttention(size, heads, { dropout: options.dropout ?? 0.1 });
    this.norm3 = new LayerNorm(size);
  }

  forward(x: AnyTensor, memory: AnyTensor, options: DecoderCall = {}): AnyTensor {
    const { causal = true, mask, memoryMask } = options;
    const own = this.sublayer(x, this.norm1, (y) => this.selfAttn.forward(y, y, y, { causal, mask }));
    const crossed = this.sublayer(own, this.norm2, (y) =>
      this.multiheadAttn.forward(y, memory, memory, { mask: memoryMask }),
    );
    return this.sublayer(crossed, this.norm3, (y) => this.feedForward(y));
  }
}
