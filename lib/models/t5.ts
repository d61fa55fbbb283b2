/** T5: a Transformer that reads a text and writes another. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { Embedding } from '../nn/embedding';
import { normal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, type StateDict } from '../nn/module';
import { MultiHeadAttention, type AttentionCache, type AttentionCall } from '../nn/multi-head-attention';
import { RMSNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { arange } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { writtenActivations, type FeedForwardActivation } from '../ops/feed-forward';
import { embedding } from '../ops/indexing';
import { checkChoice, checkCount } from '../tensor/checks';
import { shown } from '../tensor/describe';
import type { AnyTensor } from '../tensor/tensor';
import { distanceBuckets } from './distance-buckets';
import { EncoderDecoder, type OutputLayer, type Source } from './encoder-decoder';
import { checkTokens, type LanguageModelCall } from './generation/language-model';
import { checkConfigured, configured, readPublished, translated, type Translation } from './published';

export interface T5Options {
  /** How many tokens there are; 32,128 unless given. */
  readonly vocabulary?: number;
  /** Features of a token; 512 unless given. */
  readonly width?: number;
  /** Of the encoder; 6 unless given. */
  readonly layers?: number;
  /** Of the decoder; as many as `layers` unless given. */
  readonly decoderLayers?: number;
  /** 8 unless given. */
  readonly heads?: number;
  /** Features of a head; 64 unless given. */
  readonly headSize?: number;
  /** Of the feed-forward parts; 2,048 unless given. */
  readonly hidden?: number;
  /** How many biases of attention there are by distance, a multiple of 4; 32 unless given. */
  readonly buckets?: number;
  /** The distance from which on all have the same bias; 128 unless given. */
  readonly maxDistance?: number;
  /** Of embeddings, attention weights, the layers' results and the features within and behind them, in training; 0.1 unless given. */
  readonly dropout?: number;
  /** Of the norms; 1e-6 unless given. */
  readonly epsilon?: number;
  /** Of the feed-forward parts; `'relu'` unless given. That of T5 1.1 is `'geluTanh'`. */
  readonly activation?: FeedForwardActivation;
  /** Whether it is applied to a gate beside the hidden features, as in T5 1.1; false unless given. */
  readonly gated?: boolean;
  /** Whether the table of tokens gives the logits too, of features that are scaled by 1 / √width; true unless given. T5 1.1 has a head in its place. */
  readonly tied?: boolean;
  /** The token before the first one of a target; 0 unless given. */
  readonly start?: number;
}

type Sizes = Required<T5Options>;

/** Attention to the layer's own tokens, in a decoder to a source too, and a feed-forward part: each adds dropout(f(norm(x))) to x. */
class T5Block extends Module {
  readonly norm1: RMSNorm;
  readonly selfAttn: MultiHeadAttention;
  readonly norm2: RMSNorm;
  readonly crossAttn: MultiHeadAttention | undefined;
  readonly norm3: RMSNorm | undefined;
  readonly gate: Linear | undefined;
  readonly up: Linear;
  readonly down: Linear;
  readonly drop: Dropout;
  readonly #activation: FeedForwardActivation;

  constructor(sizes: Sizes, isDecoder: boolean) {
    super();
    const { width, heads, headSize, hidden, dropout, epsilon } = sizes;
    const attention = (): MultiHeadAttention =>
      new MultiHeadAttention(width, heads, { headSize, bias: false, scale: 1, dropout });
    this.norm1 = new RMSNorm(width, { epsilon });
    this.selfAttn = attention();
    this.norm2 = new RMSNorm(width, { epsilon });
    if (isDecoder) {
      this.crossAttn = attention();
      this.norm3 = new RMSNorm(width, { epsilon });
    }
    if (sizes.gated) this.gate = new Linear(width, hidden, { bias: false });
    this.up = new Linear(width, hidden, { bias: false });
    this.down = new Linear(hidden, width, { bias: false });
    this.drop = new Dropout(dropout);
    this.#activation = sizes.activation;
  }

  forward(x: AnyTensor, call: AttentionCall, source?: Source, cache?: AttentionCache): AnyTensor {
    let y = this.sublayer(x, this.norm1, (own) => this.selfAttn.forward(own, own, own, call));
    if (source !== undefined) {
      const { memory, keyMask } = source;
      // What a cache has seen of the source is all of it.
      const unseen = cache === undefined || cache.length === 0 ? memory : memory.narrow(1, 0, 0);
      y = this.sublayer(y, this.norm2, (own) => this.crossAttn!.forward(own, unseen, unseen, { keyMask, cache }));
    }
    return this.sublayer(y, this.norm3 ?? this.norm2, (own) => this.feedForward(own));
  }

  private sublayer(x: AnyTensor, norm: RMSNorm, f: (x: AnyTensor) => AnyTensor): AnyTensor {
    return x.add(this.drop.forward(f(norm.forward(x))));
  }

  private feedForward(x: AnyTensor): AnyTensor {
    const { of } = writtenActivations[this.#activation];
    const up = this.up.forward(x);
    const hidden = this.gate === undefined ? of(up) : of(this.gate.forward(x)).mul(up);
    return this.down.forward(this.drop.forward(hidden as AnyTensor));
  }
}

/** The layers of the encoder or the decoder, biases of attention by distance that they share, and the norm behind them. */
class T5Stack extends Module {
  readonly positions: Embedding;
  readonly blocks: readonly T5Block[];
  readonly norm: RMSNorm;
  readonly drop: Dropout;
  readonly #isDecoder: boolean;
  readonly #maxDistance: number;

  constructor(sizes: Sizes, layers: number, isDecoder: boolean) {
    super();
    const { buckets, maxDistance, heads, width, epsilon } = sizes;
    this.positions = new Embedding(buckets, heads);
    this.blocks = Array.from({ length: layers }, () => new T5Block(sizes, isDecoder));
    this.norm = new RMSNorm(width, { epsilon });
    this.drop = new Dropout(sizes.dropout);
    this.#isDecoder = isDecoder;
    this.#maxDistance = maxDistance;
  }

  /** x [b, t, width], embedded. */
  forward(x: AnyTensor, { caches, keyMask, lastOnly = false }: LanguageModelCall, source?: Source): AnyTensor {
    const { blocks } = this;
    const past = caches?.[0]?.length ?? 0;
    const mask = this.biases(past, past + x.shape[1]!, x);
    let y: AnyTensor = this.drop.forward(x);
    blocks.forEach((block, i) => {
      const call = { causal: this.#isDecoder, mask, keyMask, cache: caches?.[i] };
      y = block.forward(y, call, source, source?.caches?.[i]);
    });
    if (lastOnly) y = y.narrow(1, -1, 1);
    return this.drop.forward(this.norm.forward(y));
  }

  /** What is added to the scores of the tokens from `start` to `end` and those from 0 to `end`: [1, heads, end − start, end]. */
  private biases(start: number, end: number, { device }: AnyTensor): AnyTensor {
    const places = { dtype: 'int32', device } as const;
    const buckets = distanceBuckets(
      arange(1 - end, end, places),
      this.positions.count,
      this.#maxDistance,
      !this.#isDecoder,
    );
    const queries = arange(start, end, places).unsqueeze(1);
    const index = arange(0, end, places)
      .sub(queries)
      .add(end - 1) as AnyTensor;
    return embedding(this.positions.forward(buckets), index as never)
      .permute([2, 0, 1])
      .unsqueeze(0) as AnyTensor;
  }
}

const published: Translation = {
  prefix: '',
  // Early files have copies of the table, and biases of attention to the source that nothing reads.
  left: /\.embed_tokens\.|EncDecAttention\.relative_attention_bias\./,
  names: [
    [/^shared\./, 'tokens.'],
    [/^lm_head\./, 'head.'],
    [/\.block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\./, '.positions.'],
    [/\.final_layer_norm\./, '.norm.'],
    [/\.block\./, '.blocks.'],
    [/\.layer\.0\.layer_norm\./, '.norm1.'],
    [/\.layer\.1\.layer_norm\./, '.norm2.'],
    [/\.layer\.2\.layer_norm\./, '.norm3.'],
    [/\.layer\.\d\.SelfAttention\./, '.self_attn.'],
    [/\.layer\.\d\.EncDecAttention\./, '.cross_attn.'],
    [/_attn\.q\.weight$/, '_attn.in_proj_weight#0'],
    [/_attn\.k\.weight$/, '_attn.in_proj_weight#1'],
    [/_attn\.v\.weight$/, '_attn.in_proj_weight#2'],
    [/_attn\.o\./, '_attn.out_proj.'],
    [/\.layer\.\d\.DenseReluDense\.wi_0\./, '.gate.'],
    [/\.layer\.\d\.DenseReluDense\.wi(?:_1)?\./, '.up.'],
    [/\.layer\.\d\.DenseReluDense\.wo\./, '.down.'],
  ],
};

/** What `feed_forward_proj` stands for. */
const feedForwards: Readonly<Record<string, Pick<T5Options, 'activation' | 'gated'>>> = {
  relu: {},
  'gated-gelu': { activation: 'geluTanh', gated: true },
  'gated-silu': { activation: 'silu', gated: true },
};

/**
 * T5: token numbers of a source [b, s] and of a target [b, t] to logits [b, t, vocabulary] of what follows each token of the target. Sizes are those of
 * t5-small unless given. By its options it is T5 1.1, FLAN-T5 or mT5 too, which `load` reads. Positions are biases of attention by distance, so that sequences
 * may have any length.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for tokens that are not [b, t].
 * @see Raffel et al., 2020, Exploring the limits of transfer learning with a unified text-to-text Transformer; Shazeer, 2020, GLU variants improve Transformer;
 * Xue et al., 2021, mT5: a massively multilingual pre-trained text-to-text Transformer; Chung et al., 2022, Scaling instruction-finetuned language models.
 * @example
 * const model = new models.T5({ vocabulary: 100, width: 32, layers: 2, heads: 4, headSize: 8, hidden: 64 });
 * const source = randint(0, 100, [2, 7]);
 * model.forward(source, zeros([2, 1], { dtype: 'int32' })).shape; // [2, 1, 100]
 * model.loss(source, randint(0, 100, [2, 5])).backward();
 * // As T5 1.1 has it.
 * new models.T5({ vocabulary: 100, width: 32, layers: 2, heads: 4, headSize: 8, hidden: 64, activation: 'geluTanh', gated: true, tied: false });
 */
export class T5 extends EncoderDecoder {
  readonly start: number;
  readonly context = Infinity;
  readonly tokens: Embedding;
  readonly encoder: T5Stack;
  readonly decoder: T5Stack;
  head: Linear | undefined;

  constructor(options: T5Options = {}) {
    super();
    checkOptions('T5', options);
    const { layers = 6 } = options;
    const sizes: Sizes = {
      vocabulary: 32128,
      width: 512,
      layers,
      decoderLayers: layers,
      heads: 8,
      headSize: 64,
      hidden: 2048,
      buckets: 32,
      maxDistance: 128,
      dropout: 0.1,
      epsilon: 1e-6,
      activation: 'relu',
      gated: false,
      tied: true,
      start: 0,
      ...options,
    };
    const { vocabulary, width, decoderLayers, heads, headSize, hidden, buckets, maxDistance, activation } = sizes;
    if (!Number.isInteger(buckets / 4) || buckets <= 0) {
      throw new ArgumentError(`T5: buckets: got ${shown(buckets)}, expected a positive multiple of 4`);
    }
    checkChoice('T5', 'activation', activation, Object.keys(writtenActivations));
    checkCount('T5', 'start', sizes.start, 0, vocabulary - 1);
    checkCount('T5', 'maxDistance', maxDistance, buckets / 2 + 1);
    this.start = sizes.start;
    this.tokens = new Embedding(vocabulary, width);
    this.encoder = new T5Stack(sizes, layers, false);
    this.decoder = new T5Stack(sizes, decoderLayers, true);
    if (!sizes.tied) this.head = new Linear(width, vocabulary, { bias: false });
    const inner = heads * headSize;
    for (const [name, parameter] of this.namedParameters()) {
      if (parameter.rank !== 2 || name === 'tokens.weight') continue;
      const inputs = { 'out_proj.weight': inner, 'down.weight': hidden }[name.split('.').slice(-2).join('.')] ?? width;
      normal_(parameter, 0, inputs ** -0.5);
      // Scores are not divided by √headSize: queries are smaller instead.
      if (name.endsWith('in_proj_weight')) noGrad(() => parameter.narrow(0, 0, inner).mul_(headSize ** -0.5));
    }
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is t5 or mt5.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a T5, or ask for what `T5Options` does not have.
   */
  static async load(folder: string): Promise<T5> {
    const { config, weights } = await readPublished('T5', folder);
    checkConfigured('T5', config, {
      model_type: ['t5', 'mt5'],
      feed_forward_proj: Object.keys(feedForwards),
      tie_word_embeddings: [true, false],
      scale_decoder_outputs: [true, false],
    });
    const { model_type, tie_word_embeddings, scale_decoder_outputs, feed_forward_proj } = config;
    const number = (name: string, fallback?: number): number => configured('T5', config, name, fallback);
    const layers = number('num_layers');
    const model = new T5({
      vocabulary: number('vocab_size'),
      width: number('d_model'),
      layers,
      decoderLayers: number('num_decoder_layers', layers),
      heads: number('num_heads'),
      headSize: number('d_kv'),
      hidden: number('d_ff'),
      buckets: number('relative_attention_num_buckets', 32),
      maxDistance: number('relative_attention_max_distance', 128),
      dropout: number('dropout_rate', 0.1),
      epsilon: number('layer_norm_epsilon', 1e-6),
      ...feedForwards[(feed_forward_proj ?? (model_type === 'mt5' ? 'gated-gelu' : 'relu')) as string],
      // Newer files say of every model that it is tied, and by the scale whether it is.
      tied: model_type !== 'mt5' && (scale_decoder_outputs ?? tie_word_embeddings) !== false,
      start: number('decoder_start_token_id', number('pad_token_id', 0)),
    });
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    const own = translated('T5', weights, published);
    if (this.head === undefined) delete own['head.weight'];
    this.loadStateDict(own);
  }

  protected override layerCount(): number {
    return this.decoder.blocks.length;
  }

  protected override output(): OutputLayer {
    return this.head ?? this.tokens;
  }

  protected override read(source: AnyTensor, keyMask: AnyTensor | undefined): AnyTensor {
    checkTokens('T5', source, 0, Infinity);
    return this.encoder.forward(this.tokens.forward(source), { keyMask });
  }

  protected override features(target: AnyTensor, call: LanguageModelCall, source: Source): AnyTensor {
    checkTokens('T5', target, 0, Infinity);
    const y = this.decoder.forward(this.tokens.forward(target), call, source);
    return this.head === undefined ? (y.mul(this.tokens.size ** -0.5) as AnyTensor) : y;
  }
}
