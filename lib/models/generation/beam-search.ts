/** The likeliest continuations of a sequence, by keeping several at a time. */
import { noGrad } from '../../autograd/modes';
import { ArgumentError } from '../../errors';
import { tensor } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { checkChoice, checkCount, checkFinite } from '../../tensor/checks';
import { scope } from '../../tensor/scope';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import { decodingOf } from './decoding';
import type { LengthOptions } from './generate';
import type { LanguageModel, SequenceToSequenceModel } from './language-model';
import { processorOf, stopsOf, type LogitsOptions } from './logits';

export interface BeamSearchOptions extends LengthOptions, LogitsOptions {
  /** How many sequences are continued at a time; 4 unless given. */
  readonly beams?: number;
  /** How many of them are answered, the best ones; 1 unless given. */
  readonly returned?: number;
  /** Scores are sums of logarithms of probabilities, divided by lengths to this power: above 0 for longer sequences, below for shorter; 1 unless given. */
  readonly lengthPenalty?: number;
  /**
   * Whether the search ends as soon as there are as many ended sequences as beams; or, with `false`, when the best one that goes on would score below all of these if
   * it ended now; or, with `'never'`, when it would if it had the length at which it scores best. False unless given.
   */
  readonly earlyStopping?: boolean | 'never';
}

/** A sequence that was found. */
export interface BeamSearchResult {
  /** What was made, up to a token to stop at. */
  readonly tokens: readonly number[];
  readonly score: number;
}

/**
 * Continues a sequence of tokens, or writes the target of a source (see {@link generate}), so that the whole is likely: of all continuations of so many sequences,
 * one for each beam, the likeliest go on, until none of them can be better than those that have ended. Best ones first. Tokens and scores are those of `generate` in the
 * library transformers with `num_beams`; options that change logits change the logarithms of probabilities here, as there.
 *
 * @throws ArgumentError for a prompt without tokens and for options outside their ranges; ShapeError for a source of more than one.
 * @see Wu et al., 2016, Google's neural machine translation system: bridging the gap between human and machine translation, section 7.
 * @example
 * const model = new models.T5({ vocabulary: 10, width: 8, layers: 1, heads: 2, headSize: 4, hidden: 16 }).eval();
 * const [best] = await models.beamSearch(model, [5, 4, 1], { beams: 3, maxTokens: 6, stop: 1 });
 * console.log(best.tokens, best.score);
 */
export async function beamSearch(
  model: LanguageModel | SequenceToSequenceModel,
  prompt: readonly number[] | AnyTensor,
  options: BeamSearchOptions = {},
): Promise<BeamSearchResult[]> {
  const owner = 'beamSearch';
  checkOptions(owner, options);
  const { beams = 4, returned = 1, maxTokens = 100, lengthPenalty = 1, earlyStopping = false } = options;
  checkCount(owner, 'beams', beams);
  checkCount(owner, 'returned', returned);
  if (returned > beams) throw new ArgumentError(`${owner}: returned: got ${returned}, expected at most ${beams} beams`);
  checkCount(owner, 'maxTokens', maxTokens);
  checkFinite(owner, 'lengthPenalty', lengthPenalty);
  checkChoice(owner, 'earlyStopping', earlyStopping, [false, true, 'never']);
  const stops = stopsOf(owner, options.stop);
  const process = processorOf(owner, options);
  const prompts = prompt instanceof Tensor ? prompt : [prompt];
  const decoding = noGrad(() => decodingOf(owner, model, prompts, options.begin, true));
  const begun = decoding.sequences[0]!.length;
  const scored = (sum: number, length: number): number => sum / length ** lengthPenalty;
  // As many go on even if every beam has its likeliest continuations at tokens to stop at.
  const considered = Math.max(2, 1 + stops.size) * beams;
  let ended: BeamSearchResult[] = [];
  let sums = [0];
  const likeliest = (): { likelihoods: AnyTensor; places: AnyTensor; vocabulary: number } => {
    const own = process(decoding.logits().logSoftmax(-1) as AnyTensor, decoding);
    const before = tensor(sums, { shape: [sums.length, 1], device: decoding.device });
    const all = own.add(before).flatten();
    const [likelihoods, places] = all.topk(Math.min(considered, all.size)) as [AnyTensor, AnyTensor];
    return { likelihoods, places, vocabulary: own.shape[1]! };
  };
  for (let length = 1; ; length++) {
    const { likelihoods, places, vocabulary } = noGrad(() => scope(likeliest));
    const [values, indices] = await Promise.all([likelihoods.data(), places.data()]);
    likelihoods.dispose();
    places.dispose();
    const found = Array.from(values, Number).flatMap((sum, i) => {
      const place = Number(indices[i]);
      return sum === -Infinity ? [] : [{ sum, parent: Math.floor(place / vocabulary), token: place % vocabulary }];
    });
    const ends = ({ token }: { token: number }): boolean => length === maxTokens || stops.has(token);
    const newlyEnded = found
      .slice(0, beams)
      .filter(ends)
      .map(({ sum, parent, token }) => {
        return { tokens: [...decoding.sequences[parent]!.slice(begun), token], score: scored(sum, length) };
      });
    ended = [...ended, ...newlyEnded].sort((a, b) => b.score - a.score).slice(0, beams);
    const going = found.filter((each) => !ends(each)).slice(0, beams);
    const [best] = going;
    if (best === undefined) break;
    const bestLength = earlyStopping === 'never' && lengthPenalty > 0 ? maxTokens : length;
    const hopeless = earlyStopping === true || scored(best.sum, bestLength) <= (ended.at(-1)?.score ?? -Infinity);
    if (ended.length === beams && hopeless) break;
    sums = going.map(({ sum }) => sum);
    noGrad(() => decoding.select(going.map(({ parent }) => parent)));
    decoding.append(going.map(({ token }) => token));
  }
  return ended.slice(0, returned);
}
