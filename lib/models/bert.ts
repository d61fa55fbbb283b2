/** BERT: a Transformer that sees both sides of each token. */
import { Embedding } from '../nn/embedding';
import { normal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, Parameter, type StateDict } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { TransformerEncoder, TransformerEncoderLayer } from '../nn/transformer';
import { checkOptions } from '../ops/define';
import { arange, zeros, zerosLike } from '../ops/creation';
import { linear } from '../ops/matmul';
import type { AnyTensor } from '../tensor/tensor';
import { checkTokens } from './generate';
import { checkConfigured, configured, readPublished, translated, type Config, type Translation } from './published';

export interface BertOptions {
  /** How many tokens there are; 30,522 unless given. */
  readonly vocabulary?: number;
  /** The longest sequence; 512 unless given. */
  readonly context?: number;
  /** How many kinds of tokens there are: those of the first text and of the second; 2 unless given. */
  readonly types?: number;
  /** Features of a token; 768 unless given. */
  readonly width?: number;
  /** 12 unless given. */
  readonly layers?: number;
  /** 12 unless given. */
  readonly heads?: number;
  /** Of the feed-forward parts; four times the width unless given. */
  readonly hidden?: number;
  /** Of embeddings, attention weights and the layers' results, in training; 0.1 unless given. */
  readonly dropout?: number;
  /** Of the norms; 1e-12 unless given. */
  readonly epsilon?: number;
  /** Whether there is a layer that sums up the first token; true unless given. */
  readonly pooler?: boolean;
}

export interface BertCall {
  /** The kind of each token, [b, t]; 0 unless given. */
  readonly types?: AnyTensor;
  /** Which tokens are seen, [b, t]: bool (true: attend) or added to the scores. */
  readonly keyMask?: AnyTensor;
}

export interface BertResult {
  /** Of each token, [b, t, width]. */
  readonly hidden: AnyTensor;
  /** The whole, from the first token: [b, width]; undefined without a pooler. */
  readonly pooled: AnyTensor | undefined;
}

const encoderNames: Translation['names'] = [
  [/\.gamma$/, '.weight'],
  [/\.beta$/, '.bias'],
  [/embeddings\.word_embeddings\./, 'tokens.'],
  [/embeddings\.position_embeddings\./, 'positions.'],
  [/embeddings\.token_type_embeddings\./, 'types.'],
  [/embeddings\.LayerNorm\./, 'norm.'],
  [/encoder\.layer\./, 'encoder.layers.'],
  [/\.attention\.self\.query\.(weight|bias)$/, '.self_attn.in_proj_$1#0'],
  [/\.attention\.self\.key\.(weight|bias)$/, '.self_attn.in_proj_$1#1'],
  [/\.attention\.self\.value\.(weight|bias)$/, '.self_attn.in_proj_$1#2'],
  [/\.attention\.output\.dense\./, '.self_attn.out_proj.'],
  [/\.attention\.output\.LayerNorm\./, '.norm1.'],
  [/\.intermediate\.dense\./, '.linear1.'],
  [/\.output\.dense\./, '.linear2.'],
  [/\.output\.LayerNorm\./, '.norm2.'],
  [/pooler\.dense\./, 'pooler.'],
];

const published: Translation = {
  prefix: 'bert.',
  left: /position_ids$|^(cls|classifier|qa_outputs)\./,
  names: encoderNames,
};

const publishedMasked: Translation = {
  prefix: '',
  left: /position_ids$|^cls\.(seq_relationship|predictions\.decoder)\./,
  names: [
    ...encoderNames,
    [/^cls\.predictions\.transform\.dense\./, 'transform.'],
    [/^cls\.predictions\.transform\.LayerNorm\./, 'norm.'],
    [/^cls\.predictions\.bias$/, 'bias'],
  ],
};

/** The options that a `config.json` asks for. */
function optionsOf(owner: string, config: Config, weights: Readonly<StateDict>): BertOptions {
  checkConfigured(owner, config, {
    model_type: ['bert'],
    hidden_act: ['gelu'],
    position_embedding_type: ['absolute'],
    is_decoder: [false],
  });
  const number = (name: string, fallback?: number): number => configured(owner, config, name, fallback);
  return {
    vocabulary: number('vocab_size'),
    context: number('max_position_embeddings'),
    types: number('type_vocab_size', 2),
    width: number('hidden_size'),
    layers: number('num_hidden_layers'),
    heads: number('num_attention_heads'),
    hidden: number('intermediate_size'),
    dropout: number('hidden_dropout_prob', 0.1),
    epsilon: number('layer_norm_eps', 1e-12),
    pooler: Object.keys(weights).some((name) => name.includes('pooler.')),
  };
}

/** Small normal weights, biases of zero. */
function initialize(model: Module): void {
  for (const [name, parameter] of model.namedParameters()) {
    if (parameter.rank === 2) normal_(parameter, 0, 0.02);
    else if (name.endsWith('bias')) zeros_(parameter);
  }
}

/**
 * BERT's encoder: token numbers [b, t] to features of each token and of the whole.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Devlin et al., 2018, BERT: pre-training of deep bidirectional Transformers for language understanding.
 * @example
 * const model = new models.Bert({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).hidden.shape; // [2, 5, 32]
 */
export class Bert extends Module {
  readonly context: number;
  readonly tokens: Embedding;
  readonly positions: Embedding;
  readonly types: Embedding;
  readonly norm: LayerNorm;
  readonly drop: Dropout;
  readonly encoder: TransformerEncoder;
  readonly pooler: Linear | undefined;

  constructor(options: BertOptions = {}) {
    super();
    checkOptions('Bert', options);
    const { vocabulary = 30522, context = 512, types = 2, width = 768, layers = 12, heads = 12 } = options;
    const { hidden = 4 * width, dropout = 0.1, epsilon = 1e-12, pooler = true } = options;
    this.context = context;
    this.tokens = new Embedding(vocabulary, width);
    this.positions = new Embedding(context, width);
    this.types = new Embedding(types, width);
    this.norm = new LayerNorm(width, { epsilon });
    this.drop = new Dropout(dropout);
    this.encoder = new TransformerEncoder(
      () => new TransformerEncoderLayer(width, heads, { hidden, dropout, activation: 'gelu', epsilon }),
      layers,
    );
    if (pooler) this.pooler = new Linear(width, width);
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Heads
   * for tasks are left out.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a BERT.
   */
  static async load(folder: string): Promise<Bert> {
    const { config, weights } = await readPublished('Bert', folder);
    const model = new Bert(optionsOf('Bert', config, weights));
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('Bert', weights, published));
  }

  forward(tokens: AnyTensor, call: BertCall = {}): BertResult {
    checkOptions('Bert', call, 'Bert.forward');
    const length = checkTokens('Bert', tokens, 0, this.context);
    const { types = zerosLike(tokens), keyMask } = call;
    const places = arange(length, { dtype: 'int32', device: tokens.device });
    const embedded = this.tokens.forward(tokens).add(this.types.forward(types)).add(this.positions.forward(places));
    const hidden = this.encoder.forward(this.drop.forward(this.norm.forward(embedded)), { keyMask });
    return { hidden, pooled: this.pooler?.forward(hidden.select(1, 0)).tanh() };
  }
}

/**
 * BERT that guesses hidden tokens: token numbers [b, t] to logits [b, t, vocabulary].
 *
 * @see Devlin et al., 2018, section 3.1, task 1.
 * @example
 * const model = new models.BertMaskedLM({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).shape; // [2, 5, 100]
 */
export class BertMaskedLM extends Module {
  readonly bert: Bert;
  readonly transform: Linear;
  readonly norm: LayerNorm;
  readonly bias: Parameter;

  constructor(options: BertOptions = {}) {
    super();
    this.bert = new Bert({ pooler: false, ...options });
    const { vocabulary = 30522, width = 768, epsilon = 1e-12 } = options;
    this.transform = new Linear(width, width);
    this.norm = new LayerNorm(width, { epsilon });
    this.bias = new Parameter(zeros([vocabulary]));
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's).
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a BERT with its first task.
   */
  static async load(folder: string): Promise<BertMaskedLM> {
    const { config, weights } = await readPublished('BertMaskedLM', folder);
    checkConfigured('BertMaskedLM', config, { tie_word_embeddings: [true] });
    const model = new BertMaskedLM(optionsOf('BertMaskedLM', config, weights));
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('BertMaskedLM', weights, publishedMasked));
  }

  forward(tokens: AnyTensor, call: BertCall = {}): AnyTensor {
    checkOptions('BertMaskedLM', call, 'BertMaskedLM.forward');
    const { hidden } = this.bert.forward(tokens, call);
    const y = this.norm.forward(this.transform.forward(hidden).gelu());
    return linear(y, this.bert.tokens.weight, this.bias);
  }
}
