/** GPT-2: a Transformer that predicts the next token. */
import { Embedding } from '../nn/embedding';
import { normal_, zeros_ } from '../nn/init';
import { Module, type StateDict } from '../nn/module';
import { AttentionCache } from '../nn/multi-head-attention';
import { LayerNorm } from '../nn/normalization';
import { Dropout } from '../nn/regularization';
import { TransformerEncoderLayer } from '../nn/transformer';
import { checkOptions } from '../ops/define';
import { arange } from '../ops/creation';
import { linearCrossEntropy } from '../ops/linear-cross-entropy';
import { linear } from '../ops/matmul';
import type { AnyTensor } from '../tensor/tensor';
import {
  checkTokens,
  type LanguageModel,
  type LanguageModelCall,
  type LanguageModelLossOptions,
} from './generation/language-model';
import { checkConfigured, configured, readPublished, translated, type Translation } from './published';

export interface GPT2Options {
  /** How many tokens there are; 50,257 unless given. */
  readonly vocabulary?: number;
  /** The longest sequence; 1,024 unless given. */
  readonly context?: number;
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
  /** Of the norms; 1e-5 unless given. */
  readonly epsilon?: number;
}

const published: Translation = {
  prefix: 'transformer.',
  left: /(^|\.)attn\.(masked_)?bias$|^lm_head\./,
  names: [
    [/^wte\./, 'tokens.'],
    [/^wpe\./, 'positions.'],
    [/^ln_f\./, 'norm.'],
    [/^h\./, 'blocks.'],
    [/\.ln_(\d)\./, '.norm$1.'],
    [/\.attn\.c_attn\./, '.self_attn.in_proj_'],
    [/\.attn\.c_proj\./, '.self_attn.out_proj.'],
    [/\.mlp\.c_fc\./, '.linear1.'],
    [/\.mlp\.c_proj\./, '.linear2.'],
  ],
  transposed: /\.c_(attn|proj|fc)\.weight$/,
};

/**
 * GPT-2: token numbers [b, t] to logits [b, t, vocabulary], with norms first, learned positions and the table of tokens used for the logits too.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Radford et al., 2019, Language models are unsupervised multitask learners.
 * @example
 * const model = new models.GPT2({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).shape; // [2, 5, 100]
 */
export class GPT2 extends Module implements LanguageModel {
  readonly context: number;
  readonly tokens: Embedding;
  readonly positions: Embedding;
  readonly drop: Dropout;
  readonly blocks: readonly TransformerEncoderLayer[];
  readonly norm: LayerNorm;

  constructor(options: GPT2Options = {}) {
    super();
    checkOptions('GPT2', options);
    const { vocabulary = 50257, context = 1024, width = 768, layers = 12, heads = 12, dropout = 0.1 } = options;
    const { hidden = 4 * width, epsilon = 1e-5 } = options;
    this.context = context;
    this.tokens = new Embedding(vocabulary, width);
    this.positions = new Embedding(context, width);
    this.drop = new Dropout(dropout);
    this.blocks = Array.from(
      { length: layers },
      () =>
        new TransformerEncoderLayer(width, heads, {
          hidden,
          dropout,
          activation: 'geluTanh',
          normFirst: true,
          epsilon,
        }),
    );
    this.norm = new LayerNorm(width, { epsilon });
    for (const [name, parameter] of this.namedParameters()) {
      const intoResiduals = /(out_proj|linear2)\.weight$/.test(name);
      if (parameter.rank === 2) normal_(parameter, 0, intoResiduals ? 0.02 / Math.sqrt(2 * layers) : 0.02);
      else if (name.endsWith('bias')) zeros_(parameter);
    }
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's).
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a GPT-2.
   */
  static async load(folder: string): Promise<GPT2> {
    const { config, weights } = await readPublished('GPT2', folder);
    checkConfigured('GPT2', config, {
      model_type: ['gpt2'],
      activation_function: ['gelu_new', 'gelu_pytorch_tanh'],
      scale_attn_weights: [true],
      scale_attn_by_inverse_layer_idx: [false],
      tie_word_embeddings: [true],
    });
    const number = (name: string, fallback?: number): number => configured('GPT2', config, name, fallback);
    const width = number('n_embd');
    const model = new GPT2({
      vocabulary: number('vocab_size'),
      context: number('n_positions'),
      width,
      layers: number('n_layer'),
      heads: number('n_head'),
      hidden: number('n_inner', 4 * width),
      dropout: number('resid_pdrop', 0.1),
      epsilon: number('layer_norm_epsilon', 1e-5),
    });
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('GPT2', weights, published));
  }

  makeCaches(): AttentionCache[] {
    return this.blocks.map(() => new AttentionCache());
  }

  forward(tokens: AnyTensor, call: LanguageModelCall = {}): AnyTensor {
    checkOptions('GPT2', call, 'GPT2.forward');
    return linear(this.features(tokens, call), this.tokens.weight);
  }

  /**
   * The cross entropy of the logits of `tokens` [b, t] and the tokens that follow each, `targets` [b, t], without all logits at once: by
   * `nn.functional.linearCrossEntropy`, whose memory and time it has.
   *
   * @example
   * const model = new models.GPT2({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4 });
   * const text = randint(0, 100, [2, 9]);
   * model.loss(text.narrow(1, 0, 8), text.narrow(1, 1, 8)).backward();
   */
  loss(tokens: AnyTensor, targets: AnyTensor, options: LanguageModelLossOptions = {}): AnyTensor {
    checkOptions('GPT2', options, 'GPT2.loss');
    const { keyMask, ...rest } = options;
    return linearCrossEntropy(this.features(tokens, { keyMask }), this.tokens.weight, targets, rest);
  }

  /** [b, t, width], of which the logits are made. */
  private features(tokens: AnyTensor, call: LanguageModelCall): AnyTensor {
    const { caches, keyMask, lastOnly = false } = call;
    const past = caches?.[0]?.length ?? 0;
    const length = checkTokens('GPT2', tokens, past, this.context);
    const { positions = arange(past, past + length, { dtype: 'int32', device: tokens.device }) } = call;
    let x: AnyTensor = this.drop.forward(this.tokens.forward(tokens).add(this.positions.forward(positions)));
    this.blocks.forEach((block, i) => {
      x = block.forward(x, { causal: true, cache: caches?.[i], keyMask });
    });
    if (lastOnly) x = x.narrow(1, -1, 1);
    return this.norm.forward(x);
  }
}
