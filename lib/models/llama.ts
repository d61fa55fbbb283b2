/** Llama: a Transformer that predicts the next token, with rotary positions, grouped queries and gated feed-forward parts. */
import { ArgumentError } from '../errors';
import { Embedding } from '../nn/embedding';
import { normal_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, type StateDict } from '../nn/module';
import { AttentionCache, MultiHeadAttention, type AttentionCall } from '../nn/multi-head-attention';
import { RMSNorm } from '../nn/normalization';
import { checkOptions } from '../ops/define';
import { linear } from '../ops/matmul';
import type { RotaryScaling } from '../ops/rotary';
import { shown } from '../tensor/describe';
import type { AnyTensor } from '../tensor/tensor';
import { checkTokens, type LanguageModel, type LanguageModelCall } from './generate';
import { checkConfigured, configured, readPublished, translated, type Config, type Translation } from './published';

export interface LlamaOptions {
  /** How many tokens there are; 32,000 unless given. */
  readonly vocabulary?: number;
  /** The longest sequence; 2,048 unless given. */
  readonly context?: number;
  /** Features of a token; 2,048 unless given. */
  readonly width?: number;
  /** 22 unless given. */
  readonly layers?: number;
  /** Of the queries; 32 unless given. */
  readonly heads?: number;
  /** Of keys and values, each shared by as many queries; as many as `heads` unless given. */
  readonly keyHeads?: number;
  /** Of the feed-forward parts; 5,632 unless given. */
  readonly hidden?: number;
  /** Of the norms; 1e-5 unless given. */
  readonly epsilon?: number;
  /** Of the rotary positions; 10,000 unless given. */
  readonly rotaryBase?: number;
  /** Slows the rotary positions down, as Llama 3.1 does; none unless given. */
  readonly rotaryScaling?: RotaryScaling | undefined;
  /** Whether the table of tokens gives the logits too; false unless given. */
  readonly tied?: boolean;
}

const published: Translation = {
  prefix: 'model.',
  left: /rotary_emb\.inv_freq$/,
  names: [
    [/^lm_head\./, 'head.'],
    [/^embed_tokens\./, 'tokens.'],
    [/^layers\./, 'blocks.'],
    [/\.input_layernorm\./, '.norm1.'],
    [/\.post_attention_layernorm\./, '.norm2.'],
    [/\.self_attn\.q_proj\.weight$/, '.self_attn.in_proj_weight#0'],
    [/\.self_attn\.k_proj\.weight$/, '.self_attn.in_proj_weight#1'],
    [/\.self_attn\.v_proj\.weight$/, '.self_attn.in_proj_weight#2'],
    [/\.self_attn\.o_proj\./, '.self_attn.out_proj.'],
    [/\.mlp\.(gate|up|down)_proj\./, '.$1.'],
  ],
};

/** The rotary positions that a `config.json` asks for, in the older form or the newer one. */
function rotary(config: Config): Pick<LlamaOptions, 'rotaryBase' | 'rotaryScaling'> {
  const scaling = (config['rope_parameters'] ?? config['rope_scaling'] ?? {}) as Config;
  const kind = scaling['rope_type'] ?? scaling['type'] ?? 'default';
  const number = (name: string, fallback?: number): number => configured('Llama', scaling, name, fallback);
  const rotaryBase = number('rope_theta', configured('Llama', config, 'rope_theta', 10000));
  if (kind === 'default') return { rotaryBase };
  if (kind === 'linear') return { rotaryBase, rotaryScaling: { kind, factor: number('factor') } };
  if (kind !== 'llama3') {
    throw new ArgumentError(`Llama: config.json: rope_type: got ${shown(kind)}, expected default, linear or llama3`);
  }
  const [slow, fast] = [number('low_freq_factor'), number('high_freq_factor')];
  const originalContext = number('original_max_position_embeddings');
  return { rotaryBase, rotaryScaling: { kind, factor: number('factor'), slow, fast, originalContext } };
}

type Sizes = Required<Omit<LlamaOptions, 'rotaryScaling'>> & Pick<LlamaOptions, 'rotaryScaling'>;

/** x + attention(norm(x)), then x + down(silu(gate(norm(x))) · up(norm(x))). */
class LlamaBlock extends Module {
  readonly norm1: RMSNorm;
  readonly selfAttn: MultiHeadAttention;
  readonly norm2: RMSNorm;
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;

  constructor({ width, heads, keyHeads, hidden, epsilon, rotaryBase, rotaryScaling }: Sizes) {
    super();
    this.norm1 = new RMSNorm(width, { epsilon });
    const rotary = { base: rotaryBase, scaling: rotaryScaling };
    this.selfAttn = new MultiHeadAttention(width, heads, { keyHeads, bias: false, rotary });
    this.norm2 = new RMSNorm(width, { epsilon });
    this.gate = new Linear(width, hidden, { bias: false });
    this.up = new Linear(width, hidden, { bias: false });
    this.down = new Linear(hidden, width, { bias: false });
  }

  forward(x: AnyTensor, call: AttentionCall): AnyTensor {
    const normed = this.norm1.forward(x);
    const attended = x.add(this.selfAttn.forward(normed, normed, normed, call));
    const y = this.norm2.forward(attended);
    return attended.add(this.down.forward(this.gate.forward(y).silu().mul(this.up.forward(y))));
  }
}

/**
 * Llama: token numbers [b, t] to logits [b, t, vocabulary]. Sizes are those of TinyLlama 1.1B unless given.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Touvron et al., 2023, Llama 2: open foundation and fine-tuned chat models.
 * @example
 * const model = new models.Llama({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, keyHeads: 2, hidden: 64 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).shape; // [2, 5, 100]
 */
export class Llama extends Module implements LanguageModel {
  readonly context: number;
  readonly tokens: Embedding;
  readonly blocks: readonly LlamaBlock[];
  readonly norm: RMSNorm;
  head: Linear | undefined;

  constructor(options: LlamaOptions = {}) {
    super();
    checkOptions('Llama', options);
    const { heads = 32 } = options;
    const sizes: Sizes = {
      vocabulary: 32000,
      context: 2048,
      width: 2048,
      layers: 22,
      heads,
      keyHeads: heads,
      hidden: 5632,
      epsilon: 1e-5,
      rotaryBase: 10000,
      tied: false,
      ...options,
    };
    const { vocabulary, width, epsilon } = sizes;
    this.context = sizes.context;
    this.tokens = new Embedding(vocabulary, width);
    this.blocks = Array.from({ length: sizes.layers }, () => new LlamaBlock(sizes));
    this.norm = new RMSNorm(width, { epsilon });
    if (!sizes.tied) this.head = new Linear(width, vocabulary, { bias: false });
    for (const parameter of this.parameters()) if (parameter.rank === 2) normal_(parameter, 0, 0.02);
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's).
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of a Llama, or its positions are scaled otherwise than
   * linearly or as in Llama 3.1.
   */
  static async load(folder: string): Promise<Llama> {
    const { config, weights } = await readPublished('Llama', folder);
    const number = (name: string, fallback?: number): number => configured('Llama', config, name, fallback);
    const [width, heads] = [number('hidden_size'), number('num_attention_heads')];
    checkConfigured('Llama', config, {
      model_type: ['llama', 'mistral'],
      hidden_act: ['silu'],
      head_dim: [width / heads],
      attention_bias: [false],
      mlp_bias: [false],
      sliding_window: [null],
    });
    const model = new Llama({
      vocabulary: number('vocab_size'),
      context: number('max_position_embeddings'),
      width,
      layers: number('num_hidden_layers'),
      heads,
      keyHeads: number('num_key_value_heads', heads),
      hidden: number('intermediate_size'),
      epsilon: number('rms_norm_eps', 1e-6),
      ...rotary(config),
      tied: config['tie_word_embeddings'] === true,
    });
    model.loadPublished(weights);
    return model.eval();
  }

  /** Takes over weights under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    const own = translated('Llama', weights, published);
    if (this.head === undefined) delete own['head.weight'];
    this.loadStateDict(own);
  }

  makeCaches(): AttentionCache[] {
    return this.blocks.map(() => new AttentionCache());
  }

  forward(tokens: AnyTensor, call: LanguageModelCall = {}): AnyTensor {
    checkOptions('Llama', call, 'Llama.forward');
    const { caches, keyMask, lastOnly = false } = call;
    checkTokens('Llama', tokens, caches?.[0]?.length ?? 0, this.context);
    let x: AnyTensor = this.tokens.forward(tokens);
    this.blocks.forEach((block, i) => {
      x = block.forward(x, { causal: true, cache: caches?.[i], keyMask });
    });
    if (lastOnly) x = x.narrow(1, -1, 1);
    const y = this.norm.forward(x);
    return this.head === undefined ? linear(y, this.tokens.weight) : this.head.forward(y);
  }
}
