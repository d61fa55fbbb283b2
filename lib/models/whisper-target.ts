/** What Whisper writes of one window, again where that is doubtful. */
import { deflateSync } from 'node:zlib';

import { noGrad } from '../autograd/modes';
import { stack } from '../ops/movement';
import { checkCount, checkList, checkNumber } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { beamSearch, generate, type BeamSearchOptions, type LanguageModel, type LogitsProcessor } from './generation';

export interface FallbackOptions {
  /**
   * Where what was written of a window repeats itself or is unlikely, it is written again at the next of these; what is written at the last one stays. 0 takes the
   * likeliest tokens, others draw; [0] unless given. OpenAI has [0, 0.2, 0.4, 0.6, 0.8, 1].
   */
  readonly temperatures?: readonly number[];
  /** The least mean of the logarithms of the tokens' probabilities at which a target is not unlikely; −1 unless given. */
  readonly logProbabilityThreshold?: number;
  /** By how much zlib may compress the tokens, as whole bytes each, of a target that does not repeat itself; 1.35 unless given. */
  readonly compressionThreshold?: number;
  /** Nothing is said in a window whose target is unlikely and which is likelier than this to hold no speech, as 0.6; unused unless given. */
  readonly noSpeechThreshold?: number | undefined;
}

interface Decoding extends BeamSearchOptions {
  readonly beams: number;
  readonly logitsProcessor: LogitsProcessor;
}

/** When a window is written again, with what is not given, and the other options. */
export function fallbackOf<O extends FallbackOptions>(
  owner: string,
  options: O,
): { fallback: Required<FallbackOptions>; rest: Omit<O, keyof FallbackOptions> } {
  const {
    temperatures = [0],
    logProbabilityThreshold = -1,
    compressionThreshold = 1.35,
    noSpeechThreshold,
    ...rest
  } = options;
  checkList(owner, 'temperatures', temperatures);
  checkCount(owner, 'temperatures.length', temperatures.length);
  temperatures.forEach((temperature, i) => checkNumber(owner, `temperatures[${i}]`, temperature, 0));
  checkNumber(owner, 'logProbabilityThreshold', logProbabilityThreshold, -Infinity);
  checkNumber(owner, 'compressionThreshold', compressionThreshold, 0);
  if (noSpeechThreshold !== undefined) checkNumber(owner, 'noSpeechThreshold', noSpeechThreshold, 0, 1);
  return { fallback: { temperatures, logProbabilityThreshold, compressionThreshold, noSpeechThreshold }, rest };
}

interface Attempt {
  readonly tokens: readonly number[];
  /** The mean of the logarithms of the tokens' probabilities. */
  readonly likelihood: number;
}

/** A window as the decoder hears it. */
export interface HeardWindow {
  readonly decoder: LanguageModel;
  /** What its target begins with. */
  readonly prompt: readonly number[];
  /** Of how many tokens. */
  readonly vocabulary: number;
  /** How likely it is that nothing is said. */
  noSpeechChance(): Promise<number>;
}

/** The target of a window; undefined where nothing is said. */
export async function windowTarget(
  { decoder, prompt, vocabulary, noSpeechChance }: HeardWindow,
  fallback: Required<FallbackOptions>,
  decoding: Decoding,
): Promise<readonly number[] | undefined> {
  const { temperatures, logProbabilityThreshold, compressionThreshold, noSpeechThreshold } = fallback;
  for (const [i, temperature] of temperatures.entries()) {
    const isSearched = temperature === 0 && decoding.beams > 1;
    const { tokens, likelihood } = isSearched
      ? await search(decoder, prompt, decoding)
      : await draw(decoder, prompt, temperature, decoding);
    const isUnlikely = likelihood < logProbabilityThreshold;
    if (isUnlikely && noSpeechThreshold !== undefined && (await noSpeechChance()) > noSpeechThreshold) return undefined;
    const repeats = compression(tokens, vocabulary) > compressionThreshold;
    if (i === temperatures.length - 1 || !(isUnlikely || repeats)) return tokens;
  }
  return undefined;
}

async function search(decoder: LanguageModel, prompt: readonly number[], options: Decoding): Promise<Attempt> {
  const [best] = await beamSearch(decoder, prompt, options);
  return { tokens: best?.tokens ?? [], likelihood: best?.score ?? 0 };
}

async function draw(
  decoder: LanguageModel,
  prompt: readonly number[],
  temperature: number,
  { beams: _, logitsProcessor, ...options }: Decoding,
): Promise<Attempt> {
  const tokens: number[] = [];
  const likelihoods: AnyTensor[] = [];
  let all: AnyTensor;
  const noted: LogitsProcessor = (...call) => {
    const allowed = logitsProcessor(...call);
    all = (allowed.logSoftmax(-1) as AnyTensor).keep();
    return allowed;
  };
  for await (const token of generate(decoder, prompt, { ...options, temperature, logitsProcessor: noted })) {
    tokens.push(token);
    likelihoods.push(noGrad(() => all.select(1, token).clone() as AnyTensor));
    all!.dispose();
  }
  const likelihood = likelihoods.length === 0 ? 0 : await noGrad(() => stack(likelihoods).mean()).item();
  return { tokens, likelihood };
}

/** How many times as long as their compressed form tokens are, as whole bytes, the lowest ones first. */
export function compression(tokens: readonly number[], vocabulary: number): number {
  const width = Math.floor(Math.log2(vocabulary) / 8) + 1;
  const bytes = Buffer.alloc(tokens.length * width);
  tokens.forEach((token, i) => bytes.writeUIntLE(token, i * width, width));
  return bytes.length / deflateSync(bytes).length;
}
