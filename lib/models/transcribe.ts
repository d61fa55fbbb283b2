/** What is said in recordings of any length, by Whisper. */
import { noGrad } from '../autograd/modes';
import { checkSound } from '../data/audio/resample';
import { ArgumentError, ShapeError } from '../errors';
import { checkOptions } from '../ops/define';
import { checkCount, checkList } from '../tensor/checks';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { beamSearch, generate, type BeamSearchOptions } from './generation';
import { Whisper } from './whisper';
import { heard, HOP } from './whisper-features';
import {
  checkedTimes,
  FRAMES_PER_SECOND,
  segmentsOf,
  whisperTimes,
  type WhisperSegment,
  type WhisperTimesOptions,
} from './whisper-times';

export interface TranscribeOptions
  extends WhisperTimesOptions, Pick<BeamSearchOptions, 'begin' | 'maxTokens' | 'repetitionPenalty' | 'noRepeatNgram'> {
  /** How many sequences are continued at a time, as in {@link beamSearch}; 1, for the likeliest token each time, unless given. */
  readonly beams?: number;
}

/**
 * What is said in a recording of any length, [time] at 16,000 samples per second within ±1, as {@link whisperFeatures} hears it: yields segments as soon as they are
 * known. The model hears a window at a time, in published models of 30 seconds; the next window begins at the last time that it has written, so that nothing is cut in
 * two. `begin` is the language and the task, in models that have such tokens. Windows do not know the text of those before, and none is decoded again at random.
 *
 * @throws ArgumentError for another model, and one without `end` or `noTimes`; ShapeError for samples of another shape; DTypeError for those of no floating dtype.
 * @see Radford et al., 2022, Robust speech recognition via large-scale weak supervision, section 4.5.
 * @example
 * const model = new models.Whisper({
 *   vocabulary: 100, sourceContext: 50, context: 16, width: 32, layers: 1, heads: 4, start: 41, end: 40, noTimes: 48,
 * }).eval();
 * for await (const { start, end, tokens } of models.transcribe(model, randn([40000]).mul(0.1), { begin: [42, 43] })) {
 *   console.log(start, end, tokens);
 * }
 */
export async function* transcribe(
  model: Whisper,
  samples: AnyTensor,
  options: TranscribeOptions = {},
): AsyncGenerator<WhisperSegment, void, undefined> {
  const owner = 'transcribe';
  checkOptions(owner, options);
  if (!(model instanceof Whisper)) throw new ArgumentError(`${owner}: model: got another one, expected a Whisper`);
  checkSound(owner, samples);
  if (samples.rank !== 1) {
    throw new ShapeError(`${owner}: samples: got shape ${show(samples.shape)}, expected [time]`);
  }
  const { beams = 1, latestStart, begin = [], maxTokens = model.context - 1 - begin.length, ...rest } = options;
  checkCount(owner, 'beams', beams);
  checkList(owner, 'begin', begin);
  const { end, firstTime } = checkedTimes(owner, model);
  const times = whisperTimes(model, latestStart === undefined ? {} : { latestStart });
  const decoding = { maxTokens, begin, stop: end, logitsProcessor: times, ...rest };
  const [frames, window] = [Math.floor(samples.size / HOP), 2 * model.encoder.positions.shape[0]!];
  const speech = heard(samples.unsqueeze(0) as AnyTensor, model.mels, frames + window);
  for (let frame = 0; frame < frames;) {
    const target = await targetOf(
      model,
      noGrad(() => speech.narrow(2, frame, window)),
      beams,
      decoding,
    );
    const spoken = target.at(-1) === end ? target.slice(0, -1) : target;
    const { segments, move } = segmentsOf(spoken, firstTime, Math.min(window, frames - frame));
    for (const { start, end: until, tokens } of segments) {
      yield { start: (frame + start) / FRAMES_PER_SECOND, end: (frame + until) / FRAMES_PER_SECOND, tokens };
    }
    frame += move;
  }
}

async function targetOf(
  model: Whisper,
  speech: AnyTensor,
  beams: number,
  options: BeamSearchOptions,
): Promise<readonly number[]> {
  if (beams > 1) return (await beamSearch(model, speech, { ...options, beams }))[0]?.tokens ?? [];
  const tokens: number[] = [];
  for await (const token of generate(model, speech, { ...options, temperature: 0 })) tokens.push(token);
  return tokens;
}
