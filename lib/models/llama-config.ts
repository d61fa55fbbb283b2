/** What the files of Llama and its relatives, as the library transformers writes them, ask of the model. */
import { ArgumentError, FormatError } from '../errors';
import type { RotaryScaling } from '../ops/rotary';
import { describe, shown } from '../tensor/describe';
import type { LlamaOptions } from './llama';
import { checkConfigured, configured, type Config, type Translation } from './published';

/** The names of weights. */
export const translation: Translation = {
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
    [/\.self_attn\.qkv_proj\./, '.self_attn.in_proj_'],
    [/\.self_attn\.o_proj\./, '.self_attn.out_proj.'],
    [/\.mlp\.gate_up_proj\./, '.(gate|up).'],
    [/\.mlp\.(gate|up|down)_proj\./, '.$1.'],
  ],
};

/** What a `model_type` stands for. */
interface Kind {
  /** What a file means that leaves something out, so far as it is not the same for all. */
  readonly defaults?: Config;
  /** What a file may ask for, so far as it is not the same for all; the first where it leaves it out. */
  readonly known?: Readonly<Record<string, readonly unknown[]>>;
  /** What no file says. */
  readonly options?: LlamaOptions;
}

const gemma: LlamaOptions = { activation: 'geluTanh', zeroCenteredNorm: true, scaledEmbedding: true };

const kinds: Readonly<Record<string, Kind>> = {
  llama: { known: { sliding_window: [null] } },
  mistral: { defaults: { num_key_value_heads: 8, sliding_window: 4096 } },
  qwen2: {
    defaults: { num_key_value_heads: 32, sliding_window: 4096, max_window_layers: 28 },
    options: { attentionBias: true, outputBias: false },
  },
  qwen3: {
    defaults: { num_key_value_heads: 32, sliding_window: 4096, max_window_layers: 28, head_dim: 128 },
    options: { queryKeyNorm: true },
  },
  phi3: { defaults: { rms_norm_eps: 1e-5, original_max_position_embeddings: 4096 } },
  gemma: {
    defaults: { num_key_value_heads: 16, head_dim: 256, tie_word_embeddings: true },
    // The first files say gelu and mean the other.
    known: { hidden_act: ['gelu_pytorch_tanh', 'gelu'], sliding_window: [null], use_bidirectional_attention: [false] },
    options: gemma,
  },
};

/** The rotary positions that a `config.json` asks for, in the older form or the newer one, and the longest sequence that they are meant for. */
function rotary(config: Config, headSize: number) {
  const { model_type, rope_theta, partial_rotary_factor } = config;
  const stated = (config['rope_parameters'] ?? config['rope_scaling']) as Config | undefined;
  const scaling: Config = { rope_theta, partial_rotary_factor, ...stated };
  const number = (name: string, fallback?: number): number => configured('Llama', scaling, name, fallback);
  const isPhi = model_type === 'phi3';
  if (!isPhi) checkConfigured('Llama', scaling, { partial_rotary_factor: [1] });
  const share = number('partial_rotary_factor', 1);
  const kind = scaling['rope_type'] ?? scaling['type'] ?? 'default';
  return {
    context: configured('Llama', config, 'max_position_embeddings'),
    rotaryBase: number('rope_theta', 10000),
    rotarySize: share === 1 ? undefined : Math.floor(headSize * share),
    // Early files of Phi-3 have other names for it.
    ...rotaryScaling(isPhi && (kind === 'su' || kind === 'yarn') ? 'longrope' : kind, config, scaling),
  };
}

/** How rotary positions of that kind are scaled, and the longest sequence where that changes it. */
function rotaryScaling(
  kind: unknown,
  config: Config,
  scaling: Config,
): { context?: number; rotaryScaling?: RotaryScaling } {
  const number = (name: string, fallback?: number): number => configured('Llama', scaling, name, fallback);
  const context = configured('Llama', config, 'max_position_embeddings');
  if (kind === 'default') return {};
  if (kind === 'linear') return { rotaryScaling: { kind, factor: number('factor') } };
  if (kind === 'dynamic') {
    const factor = number('factor');
    return { context: Math.floor(context * factor), rotaryScaling: { kind, factor, originalContext: context } };
  }
  const original = 'original_max_position_embeddings';
  const originalContext = configured('Llama', config, original, number(original, context));
  if (kind === 'llama3') {
    const [slow, fast] = [number('low_freq_factor'), number('high_freq_factor')];
    return { rotaryScaling: { kind, factor: number('factor'), slow, fast, originalContext } };
  }
  const factor = number('factor', context / originalContext);
  if (kind === 'longrope') {
    const [short, long] = [numbers(scaling, 'short_factor'), numbers(scaling, 'long_factor')];
    const inferred = Math.sqrt(1 + Math.log(Math.max(factor, 1)) / Math.log(originalContext));
    const attentionFactor = number('attention_factor', inferred);
    return { rotaryScaling: { kind, factor: Math.max(factor, 1), short, long, originalContext, attentionFactor } };
  }
  if (kind !== 'yarn') {
    throw new ArgumentError(
      `Llama: config.json: rope_type: got ${shown(kind)}, expected default, linear, dynamic, llama3, yarn or longrope`,
    );
  }
  const magnitude = (scale: number): number => (factor > 1 ? 0.1 * scale * Math.log(factor) + 1 : 1);
  const [mscale, mscaleAll] = [number('mscale', 0), number('mscale_all_dim', 0)];
  const inferred = mscale !== 0 && mscaleAll !== 0 ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1);
  return {
    context: Math.max(context, Math.floor(originalContext * factor)),
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

function numbers(config: Config, name: string): readonly number[] {
  const list = config[name];
  if (Array.isArray(list) && list.every((each) => typeof each === 'number')) return list;
  throw new FormatError(`Llama: config.json: ${name}: got ${describe(list)}, expected an array of numbers`);
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

/** The options of the model that a `config.json` describes. */
export function publishedOptions(stated: Config): LlamaOptions {
  const type = (stated['model_type'] ?? 'llama') as string;
  checkConfigured('Llama', stated, { model_type: Object.keys(kinds) });
  const { defaults, known, options } = kinds[type]!;
  checkConfigured('Llama', stated, {
    hidden_act: ['silu'],
    attention_bias: [false, true],
    mlp_bias: [false, true],
    use_sliding_window: [false, true],
    ...known,
  });
  const config: Config = { ...defaults, ...stated };
  const number = (name: string, fallback?: number): number => configured('Llama', config, name, fallback);
  const [width, heads, layers] = [number('hidden_size'), number('num_attention_heads'), number('num_hidden_layers')];
  const headSize = number('head_dim', width / heads);
  return {
    vocabulary: number('vocab_size'),
    width,
    layers,
    heads,
    keyHeads: number('num_key_value_heads', heads),
    headSize,
    hidden: number('intermediate_size'),
    epsilon: number('rms_norm_eps', 1e-6),
    ...rotary(config, headSize),
    attentionBias: config['attention_bias'] === true,
    hiddenBias: config['mlp_bias'] === true,
    window: windows(config, layers),
    tied: config['tie_word_embeddings'] === true,
    ...options,
  };
}
