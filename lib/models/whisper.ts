/** Whisper: a Transformer that hears speech and writes what is said. */
import { noGrad } from '../autograd/modes';
import { ArgumentError, FormatError, ShapeError } from '../errors';
import { Conv1d } from '../nn/convolution';
import { Embedding } from '../nn/embedding';
import { Module, type StateDict } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { TransformerDecoderLayer, TransformerEncoderLayer } from '../nn/transformer';
import { arange, zerosLike } from '../ops/creation';
import { checkObject, checkOptions, checkTensor } from '../ops/define';
import { gelu } from '../ops/pointwise-activation';
import { checkCount } from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import { scope } from '../tensor/scope';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkTokenOptions, coderSizes, type CoderOptions } from './coder-options';
import { EncoderDecoder, type OutputLayer, type Source } from './encoder-decoder';
import { checkTokens, type LanguageModelCall } from './generation/language-model';
import { initialize } from './initialize';
import { layerNames } from './layer-names';
import {
  checkConfigured,
  configured,
  configuredList,
  readGeneration,
  readPublished,
  translated,
  type Config,
  type Translation,
} from './published';
import { sinusoids } from './sinusoids';
import { firstLogits, languagesOf, type WhisperLanguage } from './whisper-language';

export interface WhisperOptions extends CoderOptions {
  /** How many tokens there are; 51,865 unless given. */
  readonly vocabulary?: number;
  /** The mel bands of what it hears; 80 unless given. */
  readonly mels?: number;
  /** How many features the encoder makes, each of two frames: 50 for each second; 1,500 unless given. */
  readonly sourceContext?: number;
  /** The longest target; 448 unless given. */
  readonly context?: number;
  /** Features of a token and of two frames; 384 unless given. */
  readonly width?: number;
  /** Of the encoder; 4 unless given. */
  readonly layers?: number;
  /** Of the encoder; 6 unless given. */
  readonly heads?: number;
  /** Of embeddings, attention weights, the layers' results and the features within, in training; 0 unless given. */
  readonly dropout?: number;
  /** The token before the first one of a target; 50,258 unless given. */
  readonly start?: number;
  /** The token at the end of targets, for `models.transcribe`; none unless given. */
  readonly end?: number | undefined;
  /** The token that says that no times are written, for the same; those behind it are times, 0.02 seconds apart, from 0 on. None unless given. */
  readonly noTimes?: number | undefined;
  /** Tokens that it does not make first, as the end and a space; none unless given. */
  readonly neverFirst?: readonly number[];
  /** The token of each language that it knows, by the language's code, as `en`; none unless given. */
  readonly languages?: TokensByName;
  /** The token of each task, which are `transcribe` and `translate` in published models; none unless given. */
  readonly tasks?: TokensByName;
}

/** Tokens by what they stand for. */
export type TokensByName = Readonly<Record<string, number>>;

type Sizes = Required<Omit<WhisperOptions, 'padding' | 'end' | 'noTimes'>> & WhisperOptions;

/** Two convolutions, of which the second leaves half of the frames, positions as sines and cosines, and layers. */
class WhisperEncoder extends Module {
  readonly conv1: Conv1d;
  readonly conv2: Conv1d;
  /** [sourceContext, width], not trained. */
  readonly positions: AnyTensor;
  readonly layers: readonly TransformerEncoderLayer[];
  readonly norm: LayerNorm;
  readonly drop: Dropout;

  constructor({ mels, sourceContext, width, layers, heads, hidden, dropout }: Sizes) {
    super();
    this.conv1 = new Conv1d(mels, width, 3, { padding: 1 });
    this.conv2 = new Conv1d(width, width, 3, { stride: 2, padding: 1 });
    // The last of the width / 2 frequencies is 1 / 10000.
    this.positions = sinusoids(arange(sourceContext), width, 'float32', width / 2 - 1);
    const layer = { hidden, dropout, activation: 'gelu', normFirst: true } as const;
    this.layers = Array.from({ length: layers }, () => new TransformerEncoderLayer(width, heads, layer));
    this.norm = new LayerNorm(width);
    this.drop = new Dropout(dropout);
  }

  /** x [b, mels, 2 · sourceContext]: [b, sourceContext, width] */
  forward(x: AnyTensor, keyMask: AnyTensor | undefined): AnyTensor {
    const heard = gelu(this.conv2.forward(gelu(this.conv1.forward(x)))).transpose(1, 2);
    const start: AnyTensor = this.drop.forward(heard.add(this.positions) as AnyTensor);
    return this.norm.forward(this.layers.reduce((y, layer) => layer.forward(y, { keyMask }), start));
  }
}

class WhisperDecoder extends Module {
  readonly positions: Embedding;
  readonly layers: readonly TransformerDecoderLayer[];
  readonly norm: LayerNorm;
  readonly drop: Dropout;

  constructor({ context, width, decoderLayers, decoderHeads, decoderHidden, dropout }: Sizes) {
    super();
    this.positions = new Embedding(context, width);
    const layer = { hidden: decoderHidden, dropout, activation: 'gelu', normFirst: true } as const;
    this.layers = Array.from({ length: decoderLayers }, () => new TransformerDecoderLayer(width, decoderHeads, layer));
    this.norm = new LayerNorm(width);
    this.drop = new Dropout(dropout);
  }

  /** x [b, t, width], embedded. */
  forward(x: AnyTensor, call: LanguageModelCall, source: Source): AnyTensor {
    const { caches, keyMask } = call;
    const past = caches?.[0]?.length ?? 0;
    const { positions = arange(past, past + x.shape[1]!, { dtype: 'int32', device: x.device }) } = call;
    const start: AnyTensor = this.drop.forward(x.add(this.positions.forward(positions)) as AnyTensor);
    const { memory, keyMask: memoryKeyMask } = source;
    const y = this.layers.reduce((each, layer, i) => {
      const [cache, memoryCache] = [caches?.[i], source.caches?.[i]];
      return layer.forward(each, memory, { keyMask, cache, memoryKeyMask, memoryCache });
    }, start);
    return this.norm.forward(y);
  }
}

const published: Translation = {
  prefix: 'model.',
  // The table of tokens has another name too.
  left: /^proj_out\./,
  names: [
    [/^decoder\.embed_tokens\./, 'tokens.'],
    [/^encoder\.embed_positions\.weight$/, 'encoder.positions'],
    [/\.embed_positions\./, '.positions.'],
    ...layerNames,
  ],
};

const prefixed = (prefix: string, tokens: TokensByName): TokensByName =>
  Object.fromEntries(Object.entries(tokens).map(([name, token]) => [`${prefix}.${name}`, token]));

/** Tokens of a configuration by their names, without the signs around those of languages; none where it is left out. */
function tokensByName(config: Config, name: string): TokensByName {
  const tokens = config[name] ?? {};
  if (typeof tokens !== 'object') {
    throw new FormatError(`Whisper: ${name}: got ${describe(tokens)}, expected tokens by their names`);
  }
  const named = Object.keys(tokens).map((key) => [
    key.replace(/^<\|(.*)\|>$/, '$1'),
    configured('Whisper', tokens as Config, key),
  ]);
  return Object.fromEntries(named) as TokensByName;
}

/**
 * Whisper: speech [b, mels, frames], as {@link whisperFeatures} makes it of recordings, and token numbers of a target [b, t] to logits [b, t, vocabulary] of what
 * follows each token of the target. Sizes are those of whisper-tiny unless given. The keys of attention have biases, which published models have not: they are zeros
 * there, and as they change all scores of a query alike, they change nothing.
 *
 * A target begins with `start`, and in models of many languages with the tokens of a language, of a task and of whether times are written, which are `begin` of
 * `models.generate`. {@link transcribe} writes down whole recordings, with times, which come by rules ({@link whisperTimes}).
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for speech that is not [b, mels, 2 · sourceContext], and for tokens that are not [b, t] or more than the
 * context.
 * @see Radford et al., 2022, Robust speech recognition via large-scale weak supervision, arXiv:2212.04356.
 * @example
 * const model = new models.Whisper({ vocabulary: 100, sourceContext: 50, context: 16, width: 32, layers: 2, heads: 4, start: 90, never: [99] });
 * const speech = models.whisperFeatures(randn([2, 16000]).mul(0.1), { seconds: 1 });
 * model.forward(speech, full([2, 1], model.start, { dtype: 'int32' })).shape; // [2, 1, 100]
 * model.loss(speech, randint(0, 100, [2, 5])).backward();
 * // What the first one says, behind the tokens 91 and 92.
 * const target = models.generate(model.eval(), speech.narrow(0, 0, 1), { begin: [91, 92], maxTokens: 4, temperature: 0 });
 * for await (const token of target) console.log(token);
 */
export class Whisper extends EncoderDecoder {
  readonly start: number;
  readonly end: number | undefined;
  readonly noTimes: number | undefined;
  readonly context: number;
  readonly mels: number;
  override readonly never: readonly number[];
  override readonly neverFirst: readonly number[];
  readonly languages: TokensByName;
  readonly tasks: TokensByName;
  readonly tokens: Embedding;
  readonly encoder: WhisperEncoder;
  readonly decoder: WhisperDecoder;

  constructor(options: WhisperOptions = {}) {
    super();
    checkOptions('Whisper', options);
    const sizes: Sizes = {
      ...coderSizes({ width: 384, layers: 4, heads: 6, ...options }),
      vocabulary: 51865,
      mels: 80,
      sourceContext: 1500,
      context: 448,
      dropout: 0,
      start: 50258,
      neverFirst: [],
      languages: {},
      tasks: {},
      ...options,
    };
    const { vocabulary, context, width, mels, start, end, noTimes, padding, never, neverFirst } = sizes;
    const { languages, tasks } = sizes;
    for (const name of ['mels', 'sourceContext', 'context', 'layers', 'decoderLayers'] as const) {
      checkCount('Whisper', name, sizes[name]);
    }
    if (width % 2 !== 0 || width < 4) {
      throw new ArgumentError(`Whisper: width: got ${shown(width)}, expected an even number of at least 4`);
    }
    checkObject('Whisper', languages, 'languages');
    checkObject('Whisper', tasks, 'tasks');
    const named = { ...prefixed('languages', languages), ...prefixed('tasks', tasks) };
    checkTokenOptions('Whisper', vocabulary, { start, end, noTimes, ...named }, { never, neverFirst });
    this.start = start;
    this.end = end;
    this.noTimes = noTimes;
    this.context = context;
    this.mels = mels;
    this.never = never;
    this.neverFirst = neverFirst;
    this.languages = languages;
    this.tasks = tasks;
    this.tokens = new Embedding(vocabulary, width, padding === undefined ? {} : { paddingIndex: padding });
    this.encoder = new WhisperEncoder(sizes);
    this.decoder = new WhisperDecoder(sizes);
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json`, weights (safetensors, sharded or not, or PyTorch's) and, where it
   * has one, `generation_config.json`. Its `model_type` is whisper. Of what the files say of how to generate, tokens are read: those that are not made
   * (`suppress_tokens` and `begin_suppress_tokens`), `eos_token_id`, `no_timestamps_token_id`, `lang_to_id` and `task_to_id`.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model, or ask for what `WhisperOptions` does not have.
   */
  static async load(folder: string): Promise<Whisper> {
    const { config, weights } = await readPublished('Whisper', folder);
    checkConfigured('Whisper', config, {
      model_type: ['whisper'],
      activation_function: ['gelu'],
      scale_embedding: [false],
      tie_word_embeddings: [true],
    });
    const generation = (await readGeneration('Whisper', folder)) ?? config;
    const number = (name: string, fallback?: number): number => configured('Whisper', config, name, fallback);
    const token = (name: string): number | undefined =>
      (generation[name] ?? null) === null ? undefined : configured('Whisper', generation, name);
    const model = new Whisper({
      vocabulary: number('vocab_size'),
      mels: number('num_mel_bins'),
      sourceContext: number('max_source_positions'),
      context: number('max_target_positions'),
      width: number('d_model'),
      layers: number('encoder_layers'),
      decoderLayers: number('decoder_layers'),
      heads: number('encoder_attention_heads'),
      decoderHeads: number('decoder_attention_heads'),
      hidden: number('encoder_ffn_dim'),
      decoderHidden: number('decoder_ffn_dim'),
      dropout: number('dropout', 0),
      start: number('decoder_start_token_id', 50257),
      end: token('eos_token_id'),
      noTimes: token('no_timestamps_token_id'),
      padding: config['pad_token_id'] === null ? undefined : number('pad_token_id', 50256),
      never: configuredList('Whisper', generation, 'suppress_tokens'),
      neverFirst: configuredList('Whisper', generation, 'begin_suppress_tokens'),
      languages: tokensByName(generation, 'lang_to_id'),
      tasks: tokensByName(generation, 'task_to_id'),
    });
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    const biases = Object.entries(weights)
      .filter(([name]) => name.endsWith('.v_proj.bias'))
      .map(([name, value]) => [name.replace('v_proj', 'k_proj'), zerosLike(value)] as const);
    const own = translated('Whisper', { ...Object.fromEntries(biases), ...weights }, published);
    this.loadStateDict({ 'encoder.positions': this.encoder.positions, ...own });
  }

  /**
   * The likeliest language of each source [b, mels, 2 · sourceContext], and how likely it is among those that the model knows: by what it would write first.
   *
   * @throws ArgumentError for a model without `languages`; ShapeError for sources of another shape.
   * @example
   * const sizes = { vocabulary: 100, sourceContext: 50, context: 16, width: 32, layers: 1, heads: 4, start: 41 };
   * const model = new models.Whisper({ ...sizes, languages: { en: 42, de: 43 } }).eval();
   * const [{ language, probability }] = await model.detectLanguage(models.whisperFeatures(randn([16000]).mul(0.1), { seconds: 1 }));
   * console.log(language, probability);
   */
  async detectLanguage(source: AnyTensor): Promise<WhisperLanguage[]> {
    return languagesOf(
      'detectLanguage',
      this,
      noGrad(() => scope(() => firstLogits(this, this.given(source), source))),
    );
  }

  protected override layerCount(): number {
    return this.decoder.layers.length;
  }

  protected override output(): OutputLayer {
    return { weight: this.tokens.weight };
  }

  protected override read(source: AnyTensor, keyMask: AnyTensor | undefined): AnyTensor {
    checkTensor('Whisper', source, 'source');
    const expected = [this.mels, 2 * this.encoder.positions.shape[0]!];
    if (source.rank !== 3 || expected.some((size, i) => source.shape[i + 1] !== size)) {
      throw new ShapeError(`Whisper: source: got shape ${show(source.shape)}, expected [b, ${expected.join(', ')}]`);
    }
    return this.encoder.forward(source, keyMask);
  }

  protected override features(target: AnyTensor, call: LanguageModelCall, source: Source): AnyTensor {
    checkTokens('Whisper', target, call.caches?.[0]?.length ?? 0, this.context);
    const y = this.decoder.forward(this.tokens.forward(target), call, source);
    return call.lastOnly === true ? y.narrow(1, -1, 1) : y;
  }
}
