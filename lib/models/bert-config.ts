/** What the files of BERT and its relatives, as the library transformers writes them, ask of the model. */
import type { StateDict } from '../nn/module';
import type { BertOptions } from './bert';
import { checkConfigured, configured, type Config, type Translation } from './published';

/** Names of the encoder, whatever stands before them. */
const encoderNames: Translation['names'] = [
  [/^(bert|roberta|distilbert)\./, ''],
  [/\.gamma$/, '.weight'],
  [/\.beta$/, '.bias'],
  [/^embeddings\.word_embeddings\./, 'tokens.'],
  [/^embeddings\.position_embeddings\./, 'positions.'],
  [/^embeddings\.token_type_embeddings\./, 'types.'],
  [/^embeddings\.LayerNorm\./, 'norm.'],
  [/^(?:encoder|transformer)\.layer\./, 'encoder.layers.'],
  [/\.attention\.(?:self\.query|q_lin)\.(weight|bias)$/, '.self_attn.in_proj_$1#0'],
  [/\.attention\.(?:self\.key|k_lin)\.(weight|bias)$/, '.self_attn.in_proj_$1#1'],
  [/\.attention\.(?:self\.value|v_lin)\.(weight|bias)$/, '.self_attn.in_proj_$1#2'],
  [/\.attention\.(?:output\.dense|out_lin)\./, '.self_attn.out_proj.'],
  [/\.(?:attention\.output\.LayerNorm|sa_layer_norm)\./, '.norm1.'],
  [/\.(?:intermediate\.dense|ffn\.lin1)\./, '.linear1.'],
  [/\.(?:output\.dense|ffn\.lin2)\./, '.linear2.'],
  [/\.(?:output\.LayerNorm|output_layer_norm)\./, '.norm2.'],
  [/^pooler\.dense\./, 'pooler.'],
];

/** The same in a model that holds the encoder. */
const heldNames: Translation['names'] = [
  ...encoderNames,
  [/^(tokens|positions|types|norm|encoder|pooler)\./, 'bert.$1.'],
];

export const encoderTranslation: Translation = {
  prefix: '',
  left: /position_ids$|^(cls|lm_head|vocab_\w+|pre_classifier|classifier|qa_outputs)\./,
  names: encoderNames,
};

export const maskedTranslation: Translation = {
  prefix: '',
  left: /position_ids$|^cls\.(seq_relationship|predictions\.decoder)\.|^lm_head\.decoder\.|^vocab_projector\.weight$/,
  names: [
    ...heldNames,
    [/^(?:cls\.predictions\.transform\.dense|lm_head\.dense|vocab_transform)\./, 'transform.'],
    [/^(?:cls\.predictions\.transform\.LayerNorm|lm_head\.layer_norm|vocab_layer_norm)\./, 'norm.'],
    [/^(?:cls\.predictions|lm_head|vocab_projector)\.bias$/, 'bias'],
  ],
};

/** RoBERTa's head has a layer of its own in place of the pooler. */
export const classifierTranslation: Translation = {
  prefix: '',
  left: /position_ids$|^roberta\.pooler\.|^(cls|lm_head|vocab_\w+|qa_outputs)\./,
  names: [
    ...heldNames,
    [/^(?:classifier\.dense|pre_classifier)\./, 'bert.pooler.'],
    [/^classifier\.out_proj\./, 'classifier.'],
  ],
};

export const tokenClassifierTranslation: Translation = {
  prefix: '',
  left: /position_ids$|^((bert|roberta)\.)?pooler\.|^(cls|lm_head|vocab_\w+|qa_outputs)\./,
  names: heldNames,
};

/** The options of the encoder that a `config.json` asks for. */
export function publishedOptions(owner: string, config: Config, weights: Readonly<StateDict>): BertOptions {
  checkConfigured(owner, config, { model_type: ['bert', 'roberta', 'xlm-roberta', 'distilbert'] });
  const number = (name: string, fallback?: number): number => configured(owner, config, name, fallback);
  if (config['model_type'] === 'distilbert') {
    checkConfigured(owner, config, { activation: ['gelu'] });
    return {
      vocabulary: number('vocab_size'),
      context: number('max_position_embeddings'),
      types: 0,
      width: number('dim'),
      layers: number('n_layers'),
      heads: number('n_heads'),
      hidden: number('hidden_dim'),
      dropout: number('dropout', 0.1),
      pooler: false,
    };
  }
  checkConfigured(owner, config, {
    hidden_act: ['gelu'],
    position_embedding_type: ['absolute'],
    is_decoder: [false],
  });
  const padding = isBert(config) ? undefined : number('pad_token_id', 1);
  return {
    vocabulary: number('vocab_size'),
    context: number('max_position_embeddings') - (padding === undefined ? 0 : padding + 1),
    types: number('type_vocab_size', 2),
    width: number('hidden_size'),
    layers: number('num_hidden_layers'),
    heads: number('num_attention_heads'),
    hidden: number('intermediate_size'),
    dropout: number('hidden_dropout_prob', 0.1),
    epsilon: number('layer_norm_eps', 1e-12),
    pooler: Object.keys(weights).some((name) => name.includes('pooler.')),
    padding,
  };
}

/** Whether it is a BERT itself, of which files may leave the type out. */
export const isBert = ({ model_type }: Config): boolean => (model_type ?? 'bert') === 'bert';
