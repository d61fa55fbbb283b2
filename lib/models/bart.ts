/** BART and its relatives Marian and Pegasus: Transformers that read a text and write another, to translate or to sum up. */
import { Embedding } from '../nn/embedding';
import { Module, type StateDict } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { TransformerDecoderLayer, TransformerEncoderLayer } from '../nn/transformer';
import { arange, zeros } from '../ops/creation';
import { checkOptions } from '../ops/define';
import type { FeedForwardActivation } from '../ops/feed-forward';
import { checkChoice, checkCount } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { checkTokenOptions, coderSizes, type CoderOptions } from './coder-options';
import { EncoderDecoder, type OutputLayer, type Source } from './encoder-decoder';
import { checkTokens, type LanguageModelCall } from './generation/language-model';
import { initialize } from './initialize';
import { layerNames } from './layer-names';
import { checkConfigured, configured, readPublished, translated, type Translation } from './published';
import { sinusoids } from './sinusoids';

export interface BartOptions extends CoderOptions {
  /** How many tokens there are; 50,265 unless given. */
  readonly vocabulary?: number;
  /** The longest source and the longest target; 1,024 unless given. */
  readonly context?: number;
  /** Features of a token; 768 unless given. */
  readonly width?: number;
  /** Of the encoder; 6 unless given. */
  readonly layers?: number;
  /** Of the encoder; 12 unless given. */
  readonly heads?: number;
  /** Of embeddings, attention weights, the layers' results and the features within, in training; 0.1 unless given. */
  readonly dropout?: number;
  /** Of the feed-forward parts; `'gelu'` unless given. */
  readonly activation?: FeedForwardActivation;
  /** Where tokens stand: by trained tables, or by sines and cosines as in Marian and Pegasus; `'learned'` unless given. */
  readonly positions?: 'learned' | 'sinusoidal';
  /** Whether what the table holds for a token is multiplied by √width, as in Marian; false unless given. */
  readonly scaledEmbedding?: boolean;
  /** Whether embedded tokens are normalised; true unless given, false in Marian and Pegasus. */
  readonly embeddingNorm?: boolean;
  /** Whether norms come before attention and feed-forward parts, and one behind all layers, as in Pegasus; false unless given. */
  readonly normFirst?: boolean;
  /** The token before the first one of a target; 2 unless given. */
  readonly start?: number;
}

type Sizes = Required<Omit<BartOptions, 'padding'>> & BartOptions;

/** Published tables of positions have so many rows before the first position. */
const ROWS_BEFORE = 2;

/** Where tokens [b, t] stand behind `past` others: [t]. */
const placesOf = ({ shape, device }: AnyTensor, past: number): AnyTensor =>
  arange(past, past + shape[1]!, { dtype: 'int32', device });

/** What the encoder and the decoder share: where tokens stand, layers one after the other, and the norms before and behind them. */
class BartStack<L extends Module> extends Module {
  readonly positions: Embedding | undefined;
  readonly embeddingNorm: LayerNorm | undefined;
  readonly layers: readonly L[];
  readonly norm: LayerNorm | undefined;
  readonly drop: Dropout;

  constructor(sizes: Sizes, count: number, makeLayer: () => L) {
    super();
    const { context, width } = sizes;
    if (sizes.positions === 'learned') this.positions = new Embedding(ROWS_BEFORE + context, width);
    if (sizes.embeddingNorm) this.embeddingNorm = new LayerNorm(width);
    this.layers = Array.from({ length: count }, makeLayer);
    if (sizes.normFirst) this.norm = new LayerNorm(width);
    this.drop = new Dropout(sizes.dropout);
  }

  /** x [b, t, width], embedded, of tokens at `places`, [t] or [b, t]. */
  forward(x: AnyTensor, places: AnyTensor, apply: (layer: L, y: AnyTensor, index: number) => AnyTensor): AnyTensor {
    const { positions, embeddingNorm, norm } = this;
    const placed = x.add(
      positions?.forward(places.add(ROWS_BEFORE) as AnyTensor) ?? sinusoids(places, x.shape[2]!, x.dtype),
    );
    const start: AnyTensor = this.drop.forward(embeddingNorm?.forward(placed) ?? placed);
    const y = this.layers.reduce((each, layer, i) => apply(layer, each, i), start);
    return norm?.forward(y) ?? y;
  }
}

const published: Translation = {
  prefix: 'model.',
  // The table of tokens has other names too.
  left: /embed_tokens\.|^lm_head\./,
  names: [
    [/^final_logits_bias$/, 'logit_bias'],
    [/^shared\./, 'tokens.'],
    [/\.embed_positions\./, '.positions.'],
    [/\.layernorm_embedding\./, '.embedding_norm.'],
    ...layerNames,
  ],
};

/** What `activation_function` stands for. */
const activations: Readonly<Record<string, FeedForwardActivation>> = {
  gelu: 'gelu',
  relu: 'relu',
  swish: 'silu',
  silu: 'silu',
  gelu_new: 'geluTanh',
};

/** What a `model_type` stands for, and which tokens begin and fill up where the file does not say. */
const kinds = {
  bart: { positions: 'learned', embeddingNorm: true, normFirst: false, start: 2, padding: 1 },
  marian: { positions: 'sinusoidal', embeddingNorm: false, normFirst: false, start: 58100, padding: 58100 },
  pegasus: { positions: 'sinusoidal', embeddingNorm: false, normFirst: true, start: 0, padding: 0 },
} as const;

/**
 * BART: token numbers of a source [b, s] and of a target [b, t] to logits [b, t, vocabulary] of what follows each token of the target. Sizes are those of
 * bart-base unless given. By its options it is Marian, whose models translate (OPUS-MT), or Pegasus too, which `load` reads.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for tokens that are not [b, t], or more than the context.
 * @see Lewis et al., 2020, BART: denoising sequence-to-sequence pre-training for natural language generation, translation, and comprehension; Junczys-Dowmunt et
 * al., 2018, Marian: fast neural machine translation in C++; Tiedemann and Thottingal, 2020, OPUS-MT; Zhang et al., 2020, PEGASUS: pre-training with extracted
 * gap-sentences for abstractive summarization.
 * @example
 * const model = new models.Bart({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4 });
 * const source = randint(0, 100, [2, 7]);
 * model.forward(source, full([2, 1], model.start, { dtype: 'int32' })).shape; // [2, 1, 100]
 * model.loss(source, randint(0, 100, [2, 5])).backward();
 * // As Marian, whose token 99 fills up and begins targets.
 * const marian = new models.Bart({
 *   vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, activation: 'silu', positions: 'sinusoidal', scaledEmbedding: true, embeddingNorm: false,
 *   start: 99, never: [99],
 * });
 * for await (const token of models.generate(marian.eval(), [5, 4, 0], { maxTokens: 4, temperature: 0, stop: 0 })) console.log(token);
 */
export class Bart extends EncoderDecoder {
  readonly start: number;
  readonly context: number;
  override readonly never: readonly number[];
  readonly tokens: Embedding;
  readonly encoder: BartStack<TransformerEncoderLayer>;
  readonly decoder: BartStack<TransformerDecoderLayer>;
  /** [1, vocabulary], not trained: zeros but in published models. */
  readonly logitBias: AnyTensor;
  readonly #scale: number;

  constructor(options: BartOptions = {}) {
    super();
    checkOptions('Bart', options);
    const sizes: Sizes = {
      ...coderSizes({ width: 768, layers: 6, heads: 12, ...options }),
      vocabulary: 50265,
      context: 1024,
      dropout: 0.1,
      activation: 'gelu',
      positions: 'learned',
      scaledEmbedding: false,
      embeddingNorm: true,
      normFirst: false,
      start: 2,
      ...options,
    };
    const { vocabulary, context, width, layers, heads, hidden, dropout, activation, normFirst } = sizes;
    const { start, padding, never } = sizes;
    checkChoice('Bart', 'positions', sizes.positions, ['learned', 'sinusoidal']);
    checkCount('Bart', 'context', context);
    checkTokenOptions('Bart', vocabulary, { start }, { never });
    this.start = start;
    this.context = context;
    this.never = never;
    this.tokens = new Embedding(vocabulary, width, padding === undefined ? {} : { paddingIndex: padding });
    const layer = { dropout, activation, normFirst };
    this.encoder = new BartStack(sizes, layers, () => new TransformerEncoderLayer(width, heads, { ...layer, hidden }));
    const { decoderLayers, decoderHeads, decoderHidden } = sizes;
    this.decoder = new BartStack(
      sizes,
      decoderLayers,
      () => new TransformerDecoderLayer(width, decoderHeads, { ...layer, hidden: decoderHidden }),
    );
    this.logitBias = zeros([1, vocabulary]);
    this.#scale = sizes.scaledEmbedding ? Math.sqrt(width) : 1;
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is bart, marian or pegasus. What a file says of how to generate is left out, but that Marian does not write the token that fills up.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model, or ask for what `BartOptions` does not have.
   */
  static async load(folder: string): Promise<Bart> {
    const { config, weights } = await readPublished('Bart', folder);
    checkConfigured('Bart', config, { model_type: Object.keys(kinds) });
    const type = (config['model_type'] ?? 'bart') as keyof typeof kinds;
    const kind = kinds[type];
    checkConfigured('Bart', config, {
      activation_function: Object.keys(activations),
      scale_embedding: [false, true],
      normalize_before: [kind.normFirst],
      add_final_layer_norm: [kind.normFirst],
      normalize_embedding: [kind.embeddingNorm],
      share_encoder_decoder_embeddings: [true],
      tie_word_embeddings: [true],
    });
    const number = (name: string, fallback?: number): number => configured('Bart', config, name, fallback);
    const padding = number('pad_token_id', kind.padding);
    const model = new Bart({
      ...kind,
      vocabulary: number('vocab_size'),
      context: number('max_position_embeddings'),
      width: number('d_model'),
      layers: number('encoder_layers'),
      decoderLayers: number('decoder_layers'),
      heads: number('encoder_attention_heads'),
      decoderHeads: number('decoder_attention_heads'),
      hidden: number('encoder_ffn_dim'),
      decoderHidden: number('decoder_ffn_dim'),
      dropout: number('dropout', 0.1),
      activation: activations[(config['activation_function'] ?? 'gelu') as string]!,
      scaledEmbedding: config['scale_embedding'] === true,
      start: number('decoder_start_token_id', kind.start),
      padding,
      never: type === 'marian' ? [padding] : [],
    });
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    const own = translated('Bart', weights, published);
    if (this.encoder.positions === undefined) {
      // Early files have the sines and cosines.
      delete own['encoder.positions.weight'];
      delete own['decoder.positions.weight'];
    }
    this.loadStateDict({ logit_bias: this.logitBias, ...own });
  }

  protected override layerCount(): number {
    return this.decoder.layers.length;
  }

  protected override output(): OutputLayer {
    return { weight: this.tokens.weight, bias: this.logitBias.squeeze(0) as AnyTensor };
  }

  protected override read(source: AnyTensor, keyMask: AnyTensor | undefined): AnyTensor {
    checkTokens('Bart', source, 0, this.context);
    const places = placesOf(source, 0);
    return this.encoder.forward(this.embed(source), places, (layer, x) => layer.forward(x, { keyMask }));
  }

  protected override features(target: AnyTensor, call: LanguageModelCall, source: Source): AnyTensor {
    const { caches, keyMask, lastOnly = false } = call;
    const past = caches?.[0]?.length ?? 0;
    checkTokens('Bart', target, past, this.context);
    const { memory, keyMask: memoryKeyMask } = source;
    const { positions = placesOf(target, past) } = call;
    const y = this.decoder.forward(this.embed(target), positions, (layer, x, i) => {
      const [cache, memoryCache] = [caches?.[i], source.caches?.[i]];
      return layer.forward(x, memory, { keyMask, cache, memoryKeyMask, memoryCache });
    });
    return lastOnly ? y.narrow(1, -1, 1) : y;
  }

  private embed(tokens: AnyTensor): AnyTensor {
    const x = this.tokens.forward(tokens);
    return this.#scale === 1 ? x : (x.mul(this.#scale) as AnyTensor);
  }
}
