/** The names that BART, its relatives and Whisper have for what is in their layers, in the library transformers. */
import type { Translation } from './published';

export const layerNames: Translation['names'] = [
  [/^(en|de)coder\.layer_norm\./, '$1coder.norm.'],
  [/\.self_attn_layer_norm\./, '.norm1.'],
  [/\.encoder_attn_layer_norm\./, '.norm2.'],
  [/^encoder(.*)\.final_layer_norm\./, 'encoder$1.norm2.'],
  [/^decoder(.*)\.final_layer_norm\./, 'decoder$1.norm3.'],
  [/\.encoder_attn\./, '.multihead_attn.'],
  [/_attn\.q_proj\.(weight|bias)$/, '_attn.in_proj_$1#0'],
  [/_attn\.k_proj\.(weight|bias)$/, '_attn.in_proj_$1#1'],
  [/_attn\.v_proj\.(weight|bias)$/, '_attn.in_proj_$1#2'],
  [/\.fc(1|2)\./, '.linear$1.'],
];
