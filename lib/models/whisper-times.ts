/** Times among the tokens of Whisper's targets: by which rules they are written, and into which segments they cut a target. */
import { ArgumentError } from '../errors';
import { arange, tensor } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { where } from '../ops/pointwise-compare';
import { checkNumber } from '../tensor/checks';
import { describe } from '../tensor/describe';
import type { AnyTensor } from '../tensor/tensor';
import type { LogitsProcessor } from './generation';

/** Of what is heard; see `whisperFeatures`. */
export const FRAMES_PER_SECOND = 100;
/** From one time to the next. */
const FRAMES_PER_TIME = 2;

/** The tokens of a model that rules for times are about. */
export interface TimedTokens {
  /** The token at the end of targets; what comes before it in the vocabulary is text. */
  readonly end?: number | undefined;
  /** The token that says that no times are written; those behind it are times. */
  readonly noTimes?: number | undefined;
}

/** The same, where there are such tokens. */
export function checkedTimes(owner: string, model: TimedTokens): { end: number; firstTime: number } {
  for (const name of ['end', 'noTimes'] as const) {
    if (typeof model[name] === 'number') continue;
    throw new ArgumentError(`${owner}: model.${name}: got ${describe(model[name])}, expected a token`);
  }
  return { end: model.end!, firstTime: model.noTimes! + 1 };
}

export interface WhisperTimesOptions {
  /** The latest first time, in seconds from the beginning of the window; 1 unless given. */
  readonly latestStart?: number;
}

/**
 * The rules by which Whisper writes times, as `logitsProcessor` of {@link generate}, {@link generateBatch} and {@link beamSearch}: the first token is a time, times come in
 * pairs around texts and do not fall, and one is written where all together are likelier than each token that is none.
 *
 * @throws ArgumentError for a model without `end` or `noTimes`.
 * @see Radford et al., 2022, Robust speech recognition via large-scale weak supervision, section 4.5.
 * @example
 * const model = new models.Whisper({
 *   vocabulary: 100, sourceContext: 50, context: 16, width: 32, layers: 1, heads: 4, start: 41, end: 40, noTimes: 48,
 * }).eval();
 * const speech = models.whisperFeatures(randn([16000]).mul(0.1), { seconds: 1 });
 * const times = models.whisperTimes(model);
 * for await (const token of models.generate(model, speech, { stop: 40, logitsProcessor: times })) console.log(token);
 */
export function whisperTimes(model: TimedTokens, options: WhisperTimesOptions = {}): LogitsProcessor {
  checkOptions('whisperTimes', options);
  const { latestStart = 1 } = options;
  checkNumber('whisperTimes', 'latestStart', latestStart, 0);
  const { end, firstTime } = checkedTimes('whisperTimes', model);
  const latestFirst = firstTime + Math.round((latestStart * FRAMES_PER_SECOND) / FRAMES_PER_TIME);
  return (logits, sequences, made) => {
    const { shape, device } = logits;
    const vocabulary = shape[1]!;
    const bounds = sequences.map((tokens) => {
      const written = tokens.slice(tokens.length - made);
      const isTime = (token: number | undefined): boolean => token === undefined || token >= firstTime;
      const last = written.findLast(isTime);
      // From which token on texts are allowed, from which on times, and up to which.
      if (last === undefined) return made === 0 ? [firstTime, firstTime, latestFirst + 1] : [0, firstTime, vocabulary];
      if (!isTime(written.at(-1))) return [0, last + 1, vocabulary];
      return isTime(written.at(-2)) ? [0, firstTime, firstTime] : [end, last, vocabulary];
    });
    const column = (i: number): AnyTensor => {
      const values = bounds.map((each) => [each[i]!]);
      return tensor(values, { dtype: 'int32', device });
    };
    const all = arange(vocabulary, { dtype: 'int32', device });
    const texts = all.greaterEqual(column(0)).logicalAnd(all.less(firstTime - 1));
    const times = all.greaterEqual(column(1)).logicalAnd(all.less(column(2)));
    const ofTexts = where(texts, logits, -Infinity) as AnyTensor;
    const ofTimes = where(times, logits, -Infinity) as AnyTensor;
    const prefersTimes = ofTimes.logSumExp(-1, { keepDims: true }).greater(ofTexts.amax(-1, { keepDims: true }));
    return where(times, logits, where(prefersTimes, -Infinity, ofTexts)) as AnyTensor;
  };
}

/** A piece of a recording and what is said in it. */
export interface WhisperSegment {
  /** In seconds. */
  readonly start: number;
  /** In seconds. */
  readonly end: number;
  /** Without those that are times. */
  readonly tokens: readonly number[];
}

/** With frames for seconds. */
type SegmentInFrames = WhisperSegment;

/**
 * The segments of a window's target without its end token, which is of `rest` frames, from which frame to which; and by how many frames the next window is behind
 * this one. A segment that does not end in the window belongs to the next.
 */
export function segmentsOf(
  target: readonly number[],
  firstTime: number,
  rest: number,
): { segments: SegmentInFrames[]; move: number } {
  const isTime = target.map((token) => token >= firstTime);
  const frameOf = (token: number): number => (token - firstTime) * FRAMES_PER_TIME;
  const segment = (start: number, end: number, tokens: readonly number[]): SegmentInFrames => {
    return { start, end, tokens: tokens.filter((token) => token < firstTime) };
  };
  const cuts = target.flatMap((_, i) => (i > 0 && isTime[i - 1]! && isTime[i]! ? [i] : []));
  if (cuts.length === 0) {
    const last = target.findLast((token) => token >= firstTime) ?? firstTime;
    const end = last === firstTime ? rest - (rest % FRAMES_PER_TIME) : frameOf(last);
    return { segments: [segment(0, end, target)], move: rest };
  }
  // A time behind a text, and none behind it: what follows is silence.
  const isDone = isTime.at(-1)! && !isTime.at(-2)!;
  const ends = isDone ? [...cuts, target.length] : cuts;
  const segments = ends.map((end, i) => {
    const tokens = target.slice(i === 0 ? 0 : ends[i - 1]!, end);
    return segment(frameOf(tokens[0]!), frameOf(tokens.at(-1)!), tokens);
  });
  return { segments, move: isDone ? rest : frameOf(target[cuts.at(-1)! - 1]!) };
}
