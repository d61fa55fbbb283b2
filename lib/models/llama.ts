/** Llama and its relatives Mistral and Qwen: Transformers that predict the next token, with rotary positions, grouped queries and gated feed-forward parts. */
import { ArgumentError } from '../errors';
import { Embedding } from '../nn/embedding';
import { normal_, zeros_ } from '../nn/init';
import { Linear } from '../nn/linear';
import { Module, type StateDict } from '../nn/module';
import { AttentionCache, MultiHeadAttention, type AttentionCall } from '../nn/multi-head-attention';
import { RMSNorm } from '../nn/normalization';
import { checkOptions } from '../ops/define';
import { linearCrossEntropy } from '../ops/linear-cross-entropy';
import { linear } from '../ops/matmul';
import type { RotaryScaling } from '../ops/rotary';
import { shown } from '../tensor/describe';
import type { AnyTensor } from '../tensor/tensor';
import { checkTokens, type LanguageModel, type LanguageModelCall, type LanguageModelLossOptions } from './generate';
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
  /** Features of a head; width / heads unless given. */
  readonly headSize?: number;
  /** Of the feed-forward parts; 5,632 unless given. */
  readonly hidden?: number;
  /** Of the norms; 1e-5 unless given. */
  readonly epsilon?: number;
  /** Of the rotary positions; 10,000 unless given. */
  readonly rotaryBase?: number;
  /** Slows the rotary positions down, as Llama 3.1 and YaRN do; none unless given. */
  readonly rotaryScaling?: RotaryScaling | undefined;
  /** Whether the projections of attention add biases, as those of Qwen2; false unless given. */
  readonly attentionBias?: boolean;
  /** Whether the last of them adds one; as `attentionBias` unless given, false for Qwen2. */
  readonly outputBias?: boolean;
  /** Whether the feed-forward parts add biases; false unless given. */
  readonly hiddenBias?: boolean;
  /** Whether queries and keys are normalised in each head, as those of Qwen3; false unless given. */
  readonly queryKeyNorm?: boolean;
  /** How many tokens each one sees, up to itself, as in Mistral: in all layers, or in each; all tokens unless given. */
  readonly window?: number | readonly (number | undefined)[] | undefined;
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
    [/\.self_attn\.q_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#0'],
    [/\.self_attn\.k_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#1'],
    [/\.self_attn\.v_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#2'],
    [/\.self_attn\.o_proj\./, '.self_attn.out_proj.'],
    [/\.mlp\.(gate|up|down)_proj\./, '.$1.'],
  ],
};

/** What files of each `model_type` mean where they leave something out, so far as it is not the same for all. */
const kinds: Readonly<Record<string, Config>> = {
  llama: {},
  mistral: { num_key_value_heads: 8, sliding_window: 4096 },
  qwen2: { num_key_value_heads: 32, sliding_window: 4096, max_window_layers: 28 },
  qwen3: { num_key_value_heads: 32, sliding_window: 4096, max_window_layers: 28, head_dim: 128 },
};

/** The rotary positions that a `config.json` asks for, in the older form or the newer one, and the longest sequence that they are meant for. */
function rotary(config: Config): Pick<LlamaOptions, 'context' | 'rotaryBase' | 'rotaryScaling'> {
  const { rope_theta, partial_rotary_factor } = config;
  const stated = (config['rope_parameters'] ?? config['rope_scaling']) as Config | undefined;
  const scaling: Config = { rope_theta, partial_rotary_factor, ...stated };
  const number = (name: string, fallback?: number): number => configured('Llama', scaling, name, fallback);
  checkConfigured('Llama', scaling, { partial_rotary_factor: [1] });
  const kind = scaling['rope_type'] ?? scaling['type'] ?? 'default';
  const context = configured('Llama', config, 'max_position_embeddings');
  const rotaryBase = number('rope_theta', 10000);
  if (kind === 'default') return { context, rotaryBase };
  if (kind === 'linear') return { context, rotaryBase, rotaryScaling: { kind, factor: number('factor') } };
  if (kind === 'dynamic') {
    const factor = number('factor');
    return {
      context: Math.floor(context * factor),
      rotaryBase,
      rotaryScaling: { kind, factor, originalContext: context },
    };
  }
  const original = 'original_max_position_embeddings';
  const originalContext = configured('Llama', config, original, number(original, context));
  if (kind === 'llama3') {
    const [slow, fast] = [number('low_freq_factor'), number('high_freq_factor')];
    return { context, rotaryBase, rotaryScaling: { kind, factor: number('factor'), slow, fast, originalContext } };
  }
  if (kind !== 'yarn') {
    throw new ArgumentError(
      `Llama: config.json: rope_type: got ${shown(kind)}, expected default, linear, dynamic, llama3 or yarn`,
    );
  }
  const factor = number('factor', context / originalContext);
  const magnitude = (scale: number): number => (factor > 1 ? 0.1 * scale * Math.log(factor) + 1 : 1);
  const [mscale, mscaleAll] = [number('mscale', 0), number('mscale_all_dim', 0)];
  const inferred = mscale !== 0 && mscaleAll !== 0 ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1);
  return {
    context: Math.max(context, Math.floor(originalContext * factor)),
    rotaryBase,
    rotaryScaling: {
      kind,
      factor,
      slow: number('beta_slow', 1),
      fast: number('beta_fast', 32),
      originalContext,
      attentionFactor: number('attention_factor', inferred),
      truncate: scaling['truncate'] !== false,
    },
  };
}

/** The window of each layer that a `config.json` asks for. Those of Qwen name one that may not be used, or in the later layers only. */
function windows(config: Config, layers: number): (number | undefined)[] | undefined {
  const { model_type, sliding_window, use_sliding_window, layer_types } = config;
  const isQwen = model_type === 'qwen2' || model_type === 'qwen3';
  if ((sliding_window ?? null) === null || (isQwen && use_sliding_window !== true)) return undefined;
  const window = configured('Llama', config, 'sliding_window');
  const from = isQwen ? configured('Llama', config, 'max_window_layers') : 0;
  const types =
    layer_types ?? Array.from({ length: layers }, (_, i) => (i < from ? 'full_attention' : 'sliding_attention'));
  const known = ['full_attention', 'sliding_attention'];
  if (!Array.isArray(types) || types.length !== layers || !types.every((type) => known.includes(type as string))) {
    throw new ArgumentError(
      `Llama: config.json: layer_types: got ${shown(types)}, expected ${known.join(' or ')} for each of ${layers} layers`,
    );
  }
  return types.map((type) => (type === 'sliding_attention' ? window : undefined));
}

type Sizes = Required<Omit<LlamaOptions, 'rotaryScaling' | 'window' | 'headSize'>> & LlamaOptions;

/** x + attention(norm(x)), then x + down(silu(gate(norm(x))) · up(norm(x))). */
class LlamaBlock extends Module {
  readonly norm1: RMSNorm;
  readonly selfAttn: MultiHeadAttention;
  readonly norm2: RMSNorm;
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;

  constructor(sizes: Sizes, window: number | undefined) {
    super();
    const { width, heads, hidden, epsilon, rotaryBase, rotaryScaling } = sizes;
    this.norm1 = new RMSNorm(width, { epsilon });
    this.selfAttn = new MultiHeadAttention(width, heads, {
      keyHeads: sizes.keyHeads,
      headSize: sizes.headSize,
      bias: sizes.attentionBias,
      outputBias: sizes.outputBias,
      rotary: { base: rotaryBase, scaling: rotaryScaling },
      queryKeyNorm: sizes.queryKeyNorm && { epsilon },
      window,
    });
    this.norm2 = new RMSNorm(width, { epsilon });
    this.gate = new Linear(width, hidden, { bias: sizes.hiddenBias });
    this.up = new Linear(width, hidden, { bias: sizes.hiddenBias });
    this.down = new Linear(hidden, width, { bias: sizes.hiddenBias });
  }

  forward(x: AnyTensor, call: AttentionCall): AnyTensor {
    const normed = this.norm1.forward(x);
    const attended = x.add(this.selfAttn.forward(normed, normed, normed, call));
    const y = this.norm2.forward(attended);
    return attended.add(this.down.forward(this.gate.forward(y).silu().mul(this.up.forward(y))));
  }
}

/**
 * Llama: token numbers [b, t] to logits [b, t, vocabulary]. Sizes are those of TinyLlama 1.1B unless given. By its options it is Mistral, Qwen2, Qwen2.5 or
 * Qwen3 too, which `load` reads.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Touvron et al., 2023, Llama 2: open foundation and fine-tuned chat models; Jiang et al., 2023, Mistral 7B; Yang et al., 2024, Qwen2 technical report;
 * Yang et al., 2025, Qwen3 technical report.
 * @example
 * const model = new models.Llama({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, keyHeads: 2, hidden: 64 });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).shape; // [2, 5, 100]
 * // Heads of another size, normalised as in Qwen3; a window in the second layer only; positions scaled by YaRN from 16 to 64.
 * const scaled = new models.Llama({
 *   vocabulary: 100, context: 64, width: 32, layers: 2, heads: 4, headSize: 12, hidden: 64, tied: true, queryKeyNorm: true, window: [undefined, 8],
 *   rotaryScaling: { kind: 'yarn', factor: 4, originalContext: 16 },
 * });
 * scaled.forward(zeros([1, 40], { dtype: 'int32' })).shape; // [1, 40, 100]
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
    const { heads = 32, attentionBias = false, window } = options;
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
      attentionBias,
      outputBias: attentionBias,
      hiddenBias: false,
      queryKeyNorm: false,
      tied: false,
      ...options,
    };
    const { vocabulary, width, layers, epsilon } = sizes;
    if (Array.isArray(window) && window.length !== layers) {
      throw new ArgumentError(`Llama: window: got ${window.length} numbers, expected one for each of ${layers} layers`);
    }
    this.context = sizes.context;
    this.tokens = new Embedding(vocabulary, width);
    this.blocks = Array.from(
      { length: layers },
      (_, i) => new LlamaBlock(sizes, typeof window === 'object' ? window[i] : window),
    );
    this.norm = new RMSNorm(width, { epsilon });
    if (!sizes.tied) this.head = new Linear(width, vocabulary, { bias: false });
    for (const [name, parameter] of this.namedParameters()) {
      if (parameter.rank === 2) normal_(parameter, 0, 0.02);
      else if (name.endsWith('bias')) zeros_(parameter);
    }
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's). Its
   * `model_type` is llama, mistral, qwen2 or qwen3. Scaled positions let sequences grow to the length that they are scaled for.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model, or ask for what `LlamaOptions` does not have.
   */
  static async load(folder: string): Promise<Llama> {
    const { config: stated, weights } = await readPublished('Llama', folder);
    const kind = stated['model_type'] ?? 'llama';
    checkConfigured('Llama', stated, {
      model_type: Object.keys(kinds),
      hidden_act: ['silu'],
      attention_bias: [false, true],
      mlp_bias: [false, true],
      use_sliding_window: [false, true],
      ...(kind === 'llama' && { sliding_window: [null] }),
    });
    const config: Config = { ...kinds[kind as string], ...stated };
    const number = (name: string, fallback?: number): number => configured('Llama', config, name, fallback);
    const [width, heads, layers] = [number('hidden_size'), number('num_attention_heads'), number('num_hidden_layers')];
    const attentionBias = kind === 'qwen2' || config['attention_bias'] === true;
    const model = new Llama({
      vocabulary: number('vocab_size'),
      width,
      layers,
      heads,
      keyHeads: number('num_key_value_heads', heads),
      headSize: number('head_dim', width / heads),
      hidden: number('intermediate_size'),
      epsilon: number('rms_norm_eps', 1e-6),
      ...rotary(config),
      attentionBias,
      outputBias: attentionBias && kind !== 'qwen2',
      hiddenBias: config['mlp_bias'] === true,
      queryKeyNorm: kind === 'qwen3',
      window: windows(config, layers),
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
    const y = this.features(tokens, call);
    return this.head === undefined ? linear(y, this.tokens.weight) : this.head.forward(y);
  }

  /**
   * The cross entropy of the logits of `tokens` [b, t] and the tokens that follow each, `targets` [b, t], without all logits at once: by
   * `nn.functional.linearCrossEntropy`, whose memory and time it has.
   */
  loss(tokens: AnyTensor, targets: AnyTensor, options: LanguageModelLossOptions = {}): AnyTensor {
    checkOptions('Llama', options, 'Llama.loss');
    const { keyMask, ...rest } = options;
    return linearCrossEntropy(this.features(tokens, { keyMask }), (this.head ?? this.tokens).weight, targets, rest);
  }

  /** [b, t, width], of which the logits are made. */
  private features(tokens: AnyTensor, call: LanguageModelCall): AnyTensor {
    const { caches, keyMask, lastOnly = false } = call;
    checkTokens('Llama', tokens, caches?.[0]?.length ?? 0, this.context);
    let x: AnyTensor = this.tokens.forward(tokens);
    this.blocks.forEach((block, i) => {
      x = block.forward(x, { causal: true, cache: caches?.[i], keyMask });
    });
    if (lastOnly) x = x.narrow(1, -1, 1);
    return this.norm.forward(x);
  }
}
