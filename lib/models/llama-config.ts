/** What the files of Llama and its relatives, as the library transformers writes them, ask of the model. */
import { ArgumentError, FormatError } from '../errors';
import type { RotaryScaling } from '../ops/rotary';
import { describe, shown } from '../tensor/describe';
import type { LlamaOptions } from './llama';
import { checkConfigured, configured, type Config, type Translation } from './published';

/** The names of weights; those of norms differ where there are norms behind attention too. */
export const translationOf = (postNorm: boolean): Translation => ({
  prefix: 'model.',
  left: /rotary_emb\.inv_freq$/,
  names: [
    [/^lm_head\./, 'head.'],
    [/^embed_tokens\./, 'tokens.'],
    [/^layers\./, 'blocks.'],
    [/\.input_layernorm\./, '.norm1.'],
    [/\.post_attention_layernorm\./, postNorm ? '.post_norm1.' : '.norm2.'],
    [/\.pre_feedforward_layernorm\./, '.norm2.'],
    [/\.post_feedforward_layernorm\./, '.post_norm2.'],
    [/\.self_attn\.q_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#0'],
    [/\.self_attn\.k_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#1'],
    [/\.self_attn\.v_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#2'],
    [/\.self_attn\.qkv_proj\./, '.self_attn.in_proj_'],
    [/\.self_attn\.o_proj\./, '.self_attn.out_proj.'],
    [/\.mlp\.gate_up_proj\./, '.(gate|up).'],
    [/\.mlp\.(gate|up|down)_proj\./, '.$1.'],
  ],
});

/** What a `model_type` stands for. */
interface Kind {
  /** What a file means that leaves something out, so far as it is not the same for all. */
  readonly defaults?: Config;
  /** What a file may ask for, so far as it is not the same for all; the first where it leaves it out. */
  readonly known?: Readonly<Record<string, readonly unknown[]>>;
  /** What no file says. */
  readonly options?: LlamaOptions;
}

const gemma = {
  defaults: { num_key_value_heads: 16, head_dim: 256, tie_word_embeddings: true },
  // The first files say gelu and mean the other.
  known: { hidden_act: ['gelu_pytorch_tanh', 'gelu'], use_bidirectional_attention: [false] },
  options: { activation: 'geluTanh', zeroCenteredNorm: true, scaledEmbedding: true },
} as const satisfies Kind;

/** What Gemma 2 and 3 share. */
const laterGemma = {
  defaults: { ...gemma.defaults, num_key_value_heads: 4, query_pre_attn_scalar: 256, sliding_window: 4096 },
  known: { ...gemma.known, hidden_activation: ['gelu_pytorch_tanh'] },
  options: { ...gemma.options, postNorm: true },
} satisfies Kind;

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
  gemma: { ...gemma, known: { ...gemma.known, sliding_window: [null] } },
  gemma2: {
    ...laterGemma,
    defaults: {
      ...laterGemma.defaults,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      sliding_window_pattern: 2,
    },
  },
  gemma3_text: {
    defaults: { ...laterGemma.defaults, sliding_window_pattern: 6, rope_theta: 1e6, rope_local_base_freq: 1e4 },
    known: { ...laterGemma.known, attn_logit_softcapping: [null] },
    options: { ...laterGemma.options, queryKeyNorm: true },
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

/** The same for Gemma 3, whose layers with sliding windows have positions of their own. The longest sequence is that of the others. */
function rotaryByLayer(config: Config, headSize: number, isSliding: readonly boolean[]): LlamaOptions {
  const { rope_parameters, rope_scaling, rope_local_base_freq } = config;
  const stated = (rope_parameters ?? { full_attention: rope_scaling }) as Readonly<Record<string, unknown>>;
  const full = rotary({ ...config, rope_parameters: stated['full_attention'] ?? {} }, headSize);
  const local = { ...config, rope_theta: rope_local_base_freq, rope_parameters: stated['sliding_attention'] ?? {} };
  const layers = isSliding.map((each) => (each ? rotary(local, headSize) : full));
  return {
    ...full,
    rotaryBase: layers.map(({ rotaryBase }) => rotaryBase),
    rotaryScaling: layers.map((each) => each.rotaryScaling),
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

const isQwen = ({ model_type }: Config): boolean => model_type === 'qwen2' || model_type === 'qwen3';

/** Whether each layer has a sliding window. Where nothing is said, they begin in Qwen at a layer, and in Gemma each so many-th layer has none. */
function slidingLayers(config: Config, layers: number): boolean[] {
  const { layer_types } = config;
  const from = isQwen(config) ? configured('Llama', config, 'max_window_layers', layers) : 0;
  const pattern = configured('Llama', config, 'sliding_window_pattern', Infinity);
  const isFull = (i: number): boolean => i < from || (i + 1) % pattern === 0;
  const known = ['full_attention', 'sliding_attention'];
  const types = layer_types ?? Array.from({ length: layers }, (_, i) => known[isFull(i) ? 0 : 1]);
  if (!Array.isArray(types) || types.length !== layers || !types.every((type) => known.includes(type as string))) {
    throw new ArgumentError(
      `Llama: config.json: layer_types: got ${shown(types)}, expected ${known.join(' or ')} for each of ${layers} layers`,
    );
  }
  return types.map((type) => type === known[1]);
}

/** The size of the windows that there are. Files of Qwen name one that may not be used. */
function windowSize(config: Config): number | undefined {
  const { sliding_window, use_sliding_window } = config;
  if ((sliding_window ?? null) === null || (isQwen(config) && use_sliding_window !== true)) return undefined;
  return configured('Llama', config, 'sliding_window');
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
  const [isSliding, window] = [slidingLayers(config, layers), windowSize(config)];
  const optional = (name: string): number | undefined => ((config[name] ?? null) === null ? undefined : number(name));
  const queryScalar = optional('query_pre_attn_scalar');
  return {
    vocabulary: number('vocab_size'),
    width,
    layers,
    heads,
    keyHeads: number('num_key_value_heads', heads),
    headSize,
    hidden: number('intermediate_size'),
    epsilon: number('rms_norm_eps', 1e-6),
    ...(type === 'gemma3_text' ? rotaryByLayer(config, headSize, isSliding) : rotary(config, headSize)),
    attentionBias: config['attention_bias'] === true,
    hiddenBias: config['mlp_bias'] === true,
    attentionScale: queryScalar && queryScalar ** -0.5,
    attentionSoftCap: optional('attn_logit_softcapping'),
    logitSoftCap: optional('final_logit_softcapping'),
    window: isSliding.map((each) => (each ? window : undefined)),
    tied: config['tie_word_embeddings'] === true,
    ...options,
  };
}
