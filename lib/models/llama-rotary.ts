/** The rotary positions that the files of Llama and its relatives ask for; see llama-config.ts. */
import { ArgumentError, FormatError } from '../errors';
import type { RotaryScaling } from '../ops/rotary';
import { describe, shown } from '../tensor/describe';
import type { LlamaOptions } from './llama';
import { checkConfigured, configured, type Config } from './published';

/** The rotary positions that a `config.json` asks for, in the older form or the newer one, and the longest sequence that they are meant for. */
export function rotary(config: Config, headSize: number) {
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
export function rotaryByLayer(config: Config, headSize: number, isSliding: readonly boolean[]): LlamaOptions {
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
