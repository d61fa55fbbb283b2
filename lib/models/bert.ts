/** BERT and its relatives RoBERTa and DistilBERT: Transformers that see both sides of each token. */
import { ArgumentError } from '../errors';
import { Embedding } from '../nn/embedding';
import { Linear } from '../nn/linear';
import { Module, Parameter, type StateDict } from '../nn/module';
import { LayerNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { TransformerEncoder, TransformerEncoderLayer } from '../nn/transformer';
import { checkOptions } from '../ops/define';
import { arange, zeros, zerosLike } from '../ops/creation';
import { linear } from '../ops/matmul';
import { checkChoice, checkCount } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { encoderTranslation, maskedTranslation, publishedOptions } from './bert-config';
import { checkTokens } from './generation/language-model';
import { initialize } from './initialize';
import { checkConfigured, readPublished, translated } from './published';

export interface BertOptions {
  /** How many tokens there are; 30,522 unless given. */
  readonly vocabulary?: number;
  /** The longest sequence; 512 unless given. */
  readonly context?: number;
  /** How many kinds of tokens there are: those of the first text and of the second, 0 for none of it; 2 unless given. */
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
  /** Whether there is a layer that sums up the first token, and what it applies; true, a tanh, unless given. */
  readonly pooler?: boolean | 'tanh' | 'relu';
  /**
   * The token that fills sequences up, as in RoBERTa: positions are counted over the others, from `padding` + 1 on, and it has row `padding` itself. Positions
   * are counted over all tokens, from 0 on, unless given.
   */
  readonly padding?: number | undefined;
}

export interface BertCall {
  /** The kind of each token, [b, t]; 0 unless given. */
  readonly types?: AnyTensor;
  /** Which tokens are seen, [b, t]: bool (true: attend) or added to the scores. All of them unless given, those of padding too. */
  readonly keyMask?: AnyTensor;
}

export interface BertResult {
  /** Of each token, [b, t, width]. */
  readonly hidden: AnyTensor;
  /** The whole, from the first token: [b, width]; undefined without a pooler. */
  readonly pooled: AnyTensor | undefined;
}

/**
 * BERT's encoder: token numbers [b, t] to features of each token and of the whole. By its options it is RoBERTa, XLM-RoBERTa (`padding`) or DistilBERT
 * (`types: 0`) too, which `load` reads.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Devlin et al., 2018, BERT: pre-training of deep bidirectional Transformers for language understanding; Liu et al., 2019, RoBERTa: a robustly optimized
 * BERT pretraining approach; Conneau et al., 2020, Unsupervised cross-lingual representation learning at scale; Sanh et al., 2019, DistilBERT, a distilled version
 * of BERT.
 * @example
 * const model = new models.Bert({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).hidden.shape; // [2, 5, 32]
 * // As RoBERTa, where token 1 fills up.
 * const roberta = new models.Bert({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, types: 1, epsilon: 1e-5, padding: 1 });
 * const tokens = tensor([[0, 5, 2, 1, 1]], { dtype: 'int32' });
 * roberta.forward(tokens, { keyMask: tokens.notEqual(1) }).hidden.shape; // [1, 5, 32]
 */
export class Bert extends Module {
  readonly context: number;
  readonly tokens: Embedding;
  readonly positions: Embedding;
  readonly types: Embedding | undefined;
  readonly norm: LayerNorm;
  readonly drop: Dropout;
  readonly encoder: TransformerEncoder;
  readonly pooler: Linear | undefined;
  readonly #padding: number | undefined;
  readonly #pooling: 'tanh' | 'relu';

  constructor(options: BertOptions = {}) {
    super();
    checkOptions('Bert', options);
    const { vocabulary = 30522, context = 512, types = 2, width = 768, layers = 12, heads = 12 } = options;
    const { hidden = 4 * width, dropout = 0.1, epsilon = 1e-12, pooler = true, padding } = options;
    checkChoice('Bert', 'pooler', pooler, [true, false, 'tanh', 'relu']);
    if (padding !== undefined) checkCount('Bert', 'padding', padding, 0);
    this.context = context;
    const table = (rows: number): Embedding =>
      new Embedding(rows, width, padding === undefined ? {} : { paddingIndex: padding });
    this.tokens = table(vocabulary);
    this.positions = table(padding === undefined ? context : padding + 1 + context);
    if (types !== 0) this.types = new Embedding(types, width);
    this.norm = new LayerNorm(width, { epsilon });
    this.drop = new Dropout(dropout);
    this.encoder = new TransformerEncoder(
      () => new TransformerEncoderLayer(width, heads, { hidden, dropout, activation: 'gelu', epsilon }),
      layers,
    );
    if (pooler !== false) this.pooler = new Linear(width, width);
    this.#pooling = pooler === 'relu' ? 'relu' : 'tanh';
    this.#padding = padding;
    initialize(this);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is bert, roberta, xlm-roberta or distilbert. Heads for tasks are left out.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model.
   */
  static async load(folder: string): Promise<Bert> {
    const { config, weights } = await readPublished('Bert', folder);
    const model = new Bert(publishedOptions('Bert', config, weights));
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('Bert', weights, encoderTranslation));
  }

  forward(tokens: AnyTensor, call: BertCall = {}): BertResult {
    checkOptions('Bert', call, 'Bert.forward');
    const length = checkTokens('Bert', tokens, 0, this.context);
    const { types, keyMask } = call;
    if (this.types === undefined && types !== undefined) {
      throw new ArgumentError('Bert: types: got a tensor, expected none where tokens are of one kind');
    }
    let embedded = this.tokens.forward(tokens);
    if (this.types !== undefined) embedded = embedded.add(this.types.forward(types ?? zerosLike(tokens)));
    embedded = embedded.add(this.positions.forward(this.places(tokens, length)));
    const hidden = this.encoder.forward(this.drop.forward(this.norm.forward(embedded)), { keyMask });
    const first = this.pooler?.forward(hidden.select(1, 0));
    return { hidden, pooled: this.#pooling === 'relu' ? first?.relu() : first?.tanh() };
  }

  /** The rows of the positions, [t] or [b, t]. */
  private places(tokens: AnyTensor, length: number): AnyTensor {
    const padding = this.#padding;
    if (padding === undefined) return arange(length, { dtype: 'int32', device: tokens.device });
    const counted = tokens.notEqual(padding).cast('int32');
    return counted.cumsum(1).mul(counted).add(padding) as AnyTensor;
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
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is bert, roberta, xlm-roberta or distilbert.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model with its first task.
   */
  static async load(folder: string): Promise<BertMaskedLM> {
    const { config, weights } = await readPublished('BertMaskedLM', folder);
    checkConfigured('BertMaskedLM', config, { tie_word_embeddings: [true] });
    const model = new BertMaskedLM(publishedOptions('BertMaskedLM', config, weights));
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('BertMaskedLM', weights, maskedTranslation));
  }

  forward(tokens: AnyTensor, call: BertCall = {}): AnyTensor {
    checkOptions('BertMaskedLM', call, 'BertMaskedLM.forward');
    const { hidden } = this.bert.forward(tokens, call);
    const y = this.norm.forward(this.transform.forward(hidden).gelu());
    return linear(y, this.bert.tokens.weight, this.bias);
  }
}
