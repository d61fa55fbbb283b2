/** What the files of Llama and its relatives, as the library transformers writes them, ask of the model. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import type { LlamaOptions } from './llama';
import { rotary, rotaryByLayer } from './llama-rotary';
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
    [/\.(mlp|block_sparse_moe)\./, '.feed_forward.'],
    [/\.feed_forward\.gate\./, '.feed_forward.router.'],
    [/\.gate_up_proj\./, '.(gate|up).'],
    [/\.(gate|up|down)_proj\./, '.$1.'],
    // Mixtral's have the names of its first files.
    [/\.w1\./, '.gate.'],
    [/\.w2\./, '.down.'],
    [/\.w3\./, '.up.'],
    [/\.experts\.(\d+)\.(gate|up|down)\.weight$/, '.$2@$1'],
    [/\.shared_expert\./, '.shared.'],
    [/\.shared_expert_gate\./, '.shared_gate.'],
  ],
});

/** What a `model_type` stands for. */
interface Kind {
  /** What a file means that leaves something out, so far as it is not the same for all. */
  readonly defaults?: Config;
  /** What a file may ask for, so far as it is not the same for all; the first where it leaves it out. */
  readonly known?: Readonly<Record<string, readonly unknown[]>>;
  /** Whether it has experts. */
  readonly isMixture?: boolean;
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

/** What mixtures of experts share. */
const mixture = {
  isMixture: true,
  known: { output_router_logits: [false, true], norm_topk_prob: [false, true], use_sliding_window: [false] },
  defaults: { router_aux_loss_coef: 0.001 },
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
  mixtral: {
    ...mixture,
    defaults: {
      ...mixture.defaults,
      num_key_value_heads: 8,
      num_local_experts: 8,
      norm_topk_prob: true,
      rms_norm_eps: 1e-5,
      rope_theta: 1e6,
    },
  },
  qwen2_moe: {
    ...mixture,
    defaults: {
      ...mixture.defaults,
      num_key_value_heads: 16,
      num_experts: 60,
      num_experts_per_tok: 4,
      moe_intermediate_size: 1408,
      shared_expert_intermediate_size: 5632,
      qkv_bias: true,
    },
    options: { outputBias: false },
  },
  qwen3_moe: {
    ...mixture,
    defaults: {
      ...mixture.defaults,
      num_key_value_heads: 4,
      num_experts: 128,
      num_experts_per_tok: 8,
      moe_intermediate_size: 768,
    },
    options: { queryKeyNorm: true },
  },
  olmoe: {
    ...mixture,
    known: { ...mixture.known, clip_qkv: [null] },
    defaults: { num_experts: 64, num_experts_per_tok: 8, router_aux_loss_coef: 0.01, rms_norm_eps: 1e-5 },
    options: { queryKeyNorm: 'acrossHeads' },
  },
  olmo2: {
    defaults: { rms_norm_eps: 1e-5 },
    options: { queryKeyNorm: 'acrossHeads', preNorm: false, postNorm: true },
  },
  granite: { defaults: { attention_multiplier: 1 } },
  smollm3: {
    known: { use_sliding_window: [false] },
    defaults: { num_key_value_heads: 4, no_rope_layer_interval: 4, rope_theta: 2e6, tie_word_embeddings: true },
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

/** Whether files name windows that are used only where they say so. */
const namesUnused = ({ model_type }: Config): boolean => /^(qwen|smollm)/.test(model_type as string);

/** Whether each layer has a sliding window. Where nothing is said, they begin in Qwen at a layer, and in Gemma each so many-th layer has none. */
function slidingLayers(config: Config, layers: number): boolean[] {
  const { layer_types } = config;
  const from = namesUnused(config) ? configured('Llama', config, 'max_window_layers', layers) : 0;
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

/** The size of the windows that there are. */
function windowSize(config: Config): number | undefined {
  const { sliding_window, use_sliding_window } = config;
  if ((sliding_window ?? null) === null || (namesUnused(config) && use_sliding_window !== true)) return undefined;
  return configured('Llama', config, 'sliding_window');
}

/** The experts that a `config.json` describes: in Qwen some layers may have none. */
function expertsOf(config: Config, layers: number): LlamaOptions {
  const { norm_topk_prob, output_router_logits, mlp_only_layers, shared_expert_intermediate_size } = config;
  const number = (name: string, fallback?: number): number => configured('Llama', config, name, fallback);
  // Newer files of Qwen3-MoE have the name that those of Mixtral have.
  const count = number(config['num_local_experts'] === undefined ? 'num_experts' : 'num_local_experts');
  const every = number('decoder_sparse_step', 1);
  const dense = mlp_only_layers ?? [];
  if (!Array.isArray(dense)) {
    throw new ArgumentError(`Llama: config.json: mlp_only_layers: got ${shown(dense)}, expected numbers of layers`);
  }
  return {
    experts: Array.from({ length: layers }, (_, i) => (dense.includes(i) || (i + 1) % every !== 0 ? 0 : count)),
    expertsPerToken: number('num_experts_per_tok', 2),
    expertHidden: number('moe_intermediate_size', number('intermediate_size')),
    normalizedShares: norm_topk_prob === true,
    sharedHidden:
      (shared_expert_intermediate_size ?? null) === null ? undefined : number('shared_expert_intermediate_size'),
    balance: output_router_logits === true ? number('router_aux_loss_coef') : 0,
  };
}

/** Which layers have rotary positions: all, unless a list tells them with 1, or a distance those that have none. */
function rotaryLayers(config: Config, layers: number): boolean | boolean[] {
  const list = config['no_rope_layers'] ?? null;
  const every = configured('Llama', config, 'no_rope_layer_interval', Infinity);
  if (list === null) return every === Infinity || Array.from({ length: layers }, (_, i) => (i + 1) % every !== 0);
  if (Array.isArray(list) && list.length >= layers) return list.slice(0, layers).map((each) => each === 1);
  throw new ArgumentError(
    `Llama: config.json: no_rope_layers: got ${shown(list)}, expected 0 or 1 for each of ${layers} layers`,
  );
}

/** The options of the model that a `config.json` describes. */
export function publishedOptions(stated: Config): LlamaOptions {
  const type = (stated['model_type'] ?? 'llama') as string;
  checkConfigured('Llama', stated, { model_type: Object.keys(kinds) });
  const { defaults, known, isMixture = false, options } = kinds[type]!;
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
  const { attention_bias, qkv_bias } = config;
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
    rotary: rotaryLayers(config, layers),
    attentionBias: attention_bias === true || qkv_bias === true,
    hiddenBias: config['mlp_bias'] === true,
    attentionScale: queryScalar === undefined ? optional('attention_multiplier') : queryScalar ** -0.5,
    attentionSoftCap: optional('attn_logit_softcapping'),
    logitSoftCap: optional('final_logit_softcapping'),
    window: isSliding.map((each) => (each ? window : undefined)),
    scaledEmbedding: optional('embedding_multiplier') ?? false,
    residualScale: number('residual_multiplier', 1),
    logitScale: 1 / number('logits_scaling', 1),
    ...(isMixture && expertsOf(config, layers)),
    tied: config['tie_word_embeddings'] === true,
    ...options,
  };
}
