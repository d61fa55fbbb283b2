/** What the files of CLIP, as the library transformers writes them, ask of the model. */
import type { CLIPOptions } from './clip';
import { checkConfigured, configured, type Config, type Translation } from './published';

export const clipTranslation: Translation = {
  prefix: '',
  // Early files have the numbers of positions.
  left: /\.position_ids$/,
  names: [
    [/^text_model\./, 'texts.'],
    [/^vision_model\./, 'images.'],
    [/^visual_projection\./, 'image_projection.'],
    [/\.embeddings\.token_embedding\./, '.tokens.'],
    [/\.embeddings\.position_embedding\./, '.positions.'],
    [/\.embeddings\.class_embedding$/, '.class_token'],
    [/\.embeddings\.patch_embedding\./, '.patches.'],
    [/\.pre_layrnorm\./, '.norm.'],
    [/\.(?:post_layernorm|final_layer_norm)\./, '.encoder.norm.'],
    [/\.layer_norm(\d)\./, '.norm$1.'],
    [/\.mlp\.fc(\d)\./, '.linear$1.'],
    [/\.self_attn\.q_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#0'],
    [/\.self_attn\.k_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#1'],
    [/\.self_attn\.v_proj\.(weight|bias)$/, '.self_attn.in_proj_$1#2'],
  ],
};

const activations = { quick_gelu: 'quickGelu', gelu: 'gelu' } as const;

/** The options of the model that a `config.json` describes. */
export function clipOptions(config: Config): CLIPOptions {
  checkConfigured('CLIP', config, { model_type: ['clip'] });
  // What early files say twice holds as they say it second.
  const part = (name: string): Config => ({ ...(config[name] as Config), ...(config[`${name}_dict`] as Config) });
  const [text, image] = [part('text_config'), part('vision_config')];
  checkConfigured('CLIP', text, { hidden_act: Object.keys(activations) });
  const activation = (text['hidden_act'] ?? 'quick_gelu') as keyof typeof activations;
  const epsilon = configured('CLIP', text, 'layer_norm_eps', 1e-5);
  const same = { hidden_act: [activation], layer_norm_eps: [epsilon] };
  checkConfigured('CLIP', { hidden_act: 'quick_gelu', layer_norm_eps: 1e-5, ...image }, same);
  const end = configured('CLIP', text, 'eos_token_id', 49407);
  const ofText = (name: string, fallback: number): number => configured('CLIP', text, name, fallback);
  const ofImage = (name: string, fallback: number): number => configured('CLIP', image, name, fallback);
  return {
    size: configured('CLIP', config, 'projection_dim', 512),
    imageSize: ofImage('image_size', 224),
    patchSize: ofImage('patch_size', 32),
    channels: ofImage('num_channels', 3),
    imageWidth: ofImage('hidden_size', 768),
    imageLayers: ofImage('num_hidden_layers', 12),
    imageHeads: ofImage('num_attention_heads', 12),
    imageHidden: ofImage('intermediate_size', 3072),
    vocabulary: ofText('vocab_size', 49408),
    context: ofText('max_position_embeddings', 77),
    textWidth: ofText('hidden_size', 512),
    textLayers: ofText('num_hidden_layers', 12),
    textHeads: ofText('num_attention_heads', 8),
    textHidden: ofText('intermediate_size', 2048),
    // Early files say 2 and mean the highest number.
    end: end === 2 ? undefined : end,
    activation: activations[activation],
    epsilon,
  };
}
