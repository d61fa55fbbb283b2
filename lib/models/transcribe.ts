/** What is said in recordings of any length, by Whisper. */
import { noGrad } from '../autograd/modes';
import { checkSound } from '../data/audio/resample';
import { ArgumentError, ShapeError } from '../errors';
import { checkOptions } from '../ops/define';
import { checkCount, checkList } from '../tensor/checks';
import { scope } from '../tensor/scope';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import type { BeamSearchOptions } from './generation';
import { Whisper } from './whisper';
import { heard, HOP } from './whisper-features';
import { beginningIn, firstLogits, languagesOf, noSpeechChance } from './whisper-language';
import { fallbackOf, windowTarget, type FallbackOptions } from './whisper-target';
import {
  checkedTimes,
  FRAMES_PER_SECOND,
  segmentsOf,
  whisperTimes,
  type WhisperSegment,
  type WhisperTimesOptions,
} from './whisper-times';

export interface TranscribeOptions
  extends
    WhisperTimesOptions,
    FallbackOptions,
    Pick<BeamSearchOptions, 'begin' | 'maxTokens' | 'repetitionPenalty' | 'noRepeatNgram'> {
  /** The language that is spoken, by its code, of a model that knows languages; the likeliest of the first window unless given. */
  readonly language?: string;
  /** What is done in such a model: `transcribe`, unless given, or `translate`, into English. */
  readonly task?: string;
  /** How many sequences are continued at a time, as in {@link beamSearch}; 1, for the likeliest token each time, unless given. */
  readonly beams?: number;
}

/** What is said in a piece of a recording. */
export interface Transcription extends WhisperSegment {
  /** Given or heard, in a model that knows languages. */
  readonly language?: string | undefined;
}

/**
 * What is said in a recording of any length, [time] at 16,000 samples per second within ±1, as {@link whisperFeatures} hears it: yields segments as soon as they are
 * known. The model hears a window at a time, in published models of 30 seconds; the next window begins at the last time that it has written, so that nothing is cut in
 * two. Targets begin with the language and the task, in models that have such tokens, or with `begin`. Windows do not know the text of those before.
 *
 * @throws ArgumentError for another model, one without `end` or `noTimes`, and a language or a task that it does not know; ShapeError for samples of another shape;
 * DTypeError for those of no floating dtype.
 * @see Radford et al., 2022, Robust speech recognition via large-scale weak supervision, section 4.5.
 * @example
 * const model = new models.Whisper({
 *   vocabulary: 100, sourceContext: 50, context: 16, width: 32, layers: 1, heads: 4, start: 41, end: 40, noTimes: 48,
 *   languages: { en: 42, de: 43 }, tasks: { transcribe: 44, translate: 45 },
 * }).eval();
 * for await (const { start, end, tokens, language } of models.transcribe(model, randn([40000]).mul(0.1), { temperatures: [0, 0.4, 0.8] })) {
 *   console.log(start, end, tokens, language);
 * }
 */
export async function* transcribe(
  model: Whisper,
  samples: AnyTensor,
  options: TranscribeOptions = {},
): AsyncGenerator<Transcription, void, undefined> {
  const owner = 'transcribe';
  checkOptions(owner, options);
  if (!(model instanceof Whisper)) throw new ArgumentError(`${owner}: model: got another one, expected a Whisper`);
  checkSound(owner, samples);
  if (samples.rank !== 1) {
    throw new ShapeError(`${owner}: samples: got shape ${show(samples.shape)}, expected [time]`);
  }
  const { latestStart, language: spoken, task, begin: given, beams = 1, ...others } = options;
  checkCount(owner, 'beams', beams);
  const { fallback, rest } = fallbackOf(owner, others);
  if (given !== undefined) checkList(owner, 'begin', given);
  if (given !== undefined && (spoken ?? task) !== undefined) {
    throw new ArgumentError(`${owner}: begin: got it beside a language or a task, expected one or the other`);
  }
  const { end, firstTime } = checkedTimes(owner, model);
  const logitsProcessor = whisperTimes(model, latestStart === undefined ? {} : { latestStart });
  const [frames, window] = [Math.floor(samples.size / HOP), 2 * model.encoder.positions.shape[0]!];
  const speech = heard(samples.unsqueeze(0) as AnyTensor, model.mels, frames + window);
  const hearsLanguage = given === undefined && Object.keys(model.languages).length > 0;
  let language = spoken;
  for (let frame = 0; frame < frames;) {
    const left = Math.min(window, frames - frame);
    const part = noGrad(() => speech.narrow(2, frame, window)) as AnyTensor;
    const decoder = noGrad(() => model.given(part));
    const first = (): AnyTensor => noGrad(() => scope(() => firstLogits(model, decoder, part)));
    if (hearsLanguage) language ??= (await languagesOf(owner, model, first()))[0]!.language;
    const begin = given ?? beginningIn(owner, model, language, task);
    const target = await windowTarget(
      {
        decoder,
        prompt: [model.start, ...begin],
        vocabulary: model.tokens.weight.shape[0]!,
        noSpeechChance: () => noSpeechChance(model, first()),
      },
      fallback,
      { maxTokens: model.context - 1 - begin.length, ...rest, beams, stop: end, logitsProcessor },
    );
    const text = target?.at(-1) === end ? target?.slice(0, -1) : target;
    const { segments, move } = text === undefined ? { segments: [], move: left } : segmentsOf(text, firstTime, left);
    for (const { start, end: until, tokens } of segments) {
      const [from, to] = [start, until].map((each) => (frame + each) / FRAMES_PER_SECOND) as [number, number];
      yield { start: from, end: to, tokens, language };
    }
    frame += move;
  }
}
