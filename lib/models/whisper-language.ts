/** What Whisper would write first: the language that is spoken, and whether anything is said. */
import { ArgumentError } from '../errors';
import { full, tensor } from '../ops/creation';
import { shown } from '../tensor/describe';
import { scope } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import type { LanguageModel } from './generation';

/** A language, by its code, and how likely it is among those that the model knows. */
export interface WhisperLanguage {
  readonly language: string;
  readonly probability: number;
}

/** What the decoder for sources would write behind the start: logits [b, vocabulary]. */
export function firstLogits(
  { start }: { readonly start: number },
  decoder: LanguageModel,
  { shape, device }: AnyTensor,
): AnyTensor {
  return decoder.forward(full([shape[0]!, 1], start, { dtype: 'int32', device })).select(1, -1) as AnyTensor;
}

/** The likeliest language for each row of such logits. */
export async function languagesOf(
  owner: string,
  { languages }: { readonly languages: Readonly<Record<string, number>> },
  logits: AnyTensor,
): Promise<WhisperLanguage[]> {
  const codes = Object.keys(languages);
  if (codes.length === 0) throw new ArgumentError(`${owner}: model.languages: got none, expected tokens of languages`);
  const places = tensor(Int32Array.from(Object.values(languages)), { device: logits.device });
  const chances = logits.indexSelect(1, places).softmax(-1);
  const rows = (await chances.toArray()) as number[][];
  return rows.map((row) => {
    const probability = Math.max(...row);
    return { language: codes[row.indexOf(probability)]!, probability };
  });
}

/** How likely such logits of one row are to stand before no speech: of the token in front of the one that says that no times are written. */
export async function noSpeechChance(
  { noTimes }: { readonly noTimes?: number | undefined },
  logits: AnyTensor,
): Promise<number> {
  return scope(() =>
    logits
      .softmax(-1)
      .select(1, noTimes! - 1)
      .clone(),
  ).item();
}

/** Tokens by what they stand for, of a model. */
interface Spoken {
  readonly languages: Readonly<Record<string, number>>;
  readonly tasks: Readonly<Record<string, number>>;
}

/** The tokens of a language and of a task, with which a target begins; none where neither is given. */
export function beginningIn(owner: string, model: Spoken, language?: string, task?: string): number[] {
  if (language === undefined && task === undefined) return [];
  const tokenOf = (name: 'language' | 'task', key: string | undefined): number => {
    const known = model[`${name}s`];
    if (key !== undefined && Object.hasOwn(known, key)) return known[key]!;
    throw new ArgumentError(
      `${owner}: ${name}: got ${shown(key)}, expected ${Object.keys(known).join(', ') || 'none, as the model knows none'}`,
    );
  };
  const ofTask = tokenOf('task', task ?? 'transcribe');
  return [tokenOf('language', language), ofTask];
}
