/** What becomes of logits before a token is chosen by them, and the choice: in the order in which the library transformers has it, for all ways of decoding. */
import { ArgumentError } from '../../errors';
import { tensor } from '../../ops/creation';
import { where } from '../../ops/pointwise-compare';
import { checkCount, checkFinite, checkFunction, checkNumber } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import type { AnyTensor } from '../../tensor/tensor';
import type { Decoding } from './decoding';

/**
 * Logits [b, vocabulary] in the place of those of what follows each of the sequences of tokens, of which the last `made` are new. It is called within `noGrad` and
 * a scope.
 */
export type LogitsProcessor = (logits: AnyTensor, sequences: readonly (readonly number[])[], made: number) => AnyTensor;

export interface LogitsOptions {
  /**
   * Divides the logits above 0 of tokens that are in the sequence, its prompt too, and multiplies those below: above 1 for fewer repetitions; 1 unless given (Keskar
   * et al., 2019, CTRL: a conditional Transformer language model for controllable generation).
   */
  readonly repetitionPenalty?: number;
  /** No so many tokens follow one another twice in a sequence, its prompt included; 0, for as often as you like, unless given. */
  readonly noRepeatNgram?: number;
  /** Answers other logits, behind the options above: for rules of your own, as a grammar. −∞ hides a token. */
  readonly logitsProcessor?: LogitsProcessor;
}

export interface ChoiceOptions {
  /** Divides the logits: below 1 for likelier tokens, 0 for the likeliest; 1 unless given. */
  readonly temperature?: number;
  /** Chooses among so many of the likeliest tokens; among all unless given. */
  readonly topK?: number;
  /** Chooses among the likeliest tokens that together have this probability; among all unless given (Holtzman et al., 2020). */
  readonly topP?: number;
  /** Chooses among the tokens with at least this share of the likeliest one's probability; among all unless given (Nguyen et al., 2024). */
  readonly minP?: number;
}

/** All that a decoding does to logits: the options, and what the model never makes. */
export function processorOf(
  owner: string,
  { repetitionPenalty = 1, noRepeatNgram = 0, logitsProcessor }: LogitsOptions,
): (logits: AnyTensor, decoding: Decoding) => AnyTensor {
  checkFinite(owner, 'repetitionPenalty', repetitionPenalty);
  if (repetitionPenalty <= 0) {
    throw new ArgumentError(`${owner}: repetitionPenalty: got ${shown(repetitionPenalty)}, expected a number above 0`);
  }
  checkCount(owner, 'noRepeatNgram', noRepeatNgram, 0);
  if (logitsProcessor !== undefined) checkFunction(owner, 'logitsProcessor', logitsProcessor);
  const processors: LogitsProcessor[] = [];
  if (repetitionPenalty !== 1) {
    processors.push((logits, sequences) => {
      const index = placesIn(
        logits,
        sequences.map((tokens) => [...new Set(tokens)]),
      );
      const all = logits.flatten();
      const seen = all.indexSelect(0, index);
      const penalized = where(seen.less(0), seen.mul(repetitionPenalty), seen.div(repetitionPenalty));
      return all.indexCopy(0, index, penalized).reshape(logits.shape);
    });
  }
  if (noRepeatNgram > 0) {
    processors.push((logits, sequences) =>
      hidden(
        logits,
        sequences.map((tokens) => repeating(tokens, noRepeatNgram)),
      ),
    );
  }
  return (logits, { sequences, made, never }) => {
    const processed = processors.reduce((each, process) => process(each, sequences, made), logits);
    const allowed = hidden(
      processed,
      sequences.map(() => never),
    );
    return logitsProcessor?.(allowed, sequences, made) ?? allowed;
  };
}

/** Where the tokens of each row are in logits [b, vocabulary], flattened. */
function placesIn({ shape, device }: AnyTensor, rows: readonly (readonly number[])[]): AnyTensor {
  const flat = rows.flatMap((tokens, row) => tokens.map((token) => row * shape[1]! + token));
  return tensor(flat, { dtype: 'int32', device });
}

/** The logits without those of tokens of each row. */
function hidden(logits: AnyTensor, rows: readonly (readonly number[])[]): AnyTensor {
  if (rows.every(({ length }) => length === 0)) return logits;
  return logits.flatten().indexFill(0, placesIn(logits, rows), -Infinity).reshape(logits.shape);
}

/** The tokens after which the last `size` ones would be there a second time. */
function repeating(tokens: readonly number[], size: number): number[] {
  const from = tokens.length - (size - 1);
  const found: number[] = [];
  for (let end = size - 1; end < tokens.length; end++) {
    let same = 0;
    while (same < size - 1 && tokens[end - size + 1 + same] === tokens[from + same]) same++;
    if (same === size - 1) found.push(tokens[end]!);
  }
  return found;
}

export function checkChoiceOptions(owner: string, { temperature = 1, topK, topP, minP }: ChoiceOptions): void {
  checkFinite(owner, 'temperature', temperature);
  checkNumber(owner, 'temperature', temperature, 0);
  if (topK !== undefined) checkCount(owner, 'topK', topK);
  if (topP !== undefined && !(topP > 0 && topP <= 1)) {
    throw new ArgumentError(`${owner}: topP: got ${shown(topP)}, expected a number in (0, 1]`);
  }
  if (minP !== undefined) checkNumber(owner, 'minP', minP, 0, 1);
}

/** One token for each row of logits [b, vocabulary]: [b] or [b, 1]. */
export function chosen(logits: AnyTensor, options: ChoiceOptions): AnyTensor {
  if (options.temperature === 0) return logits.argmax(-1);
  const { chances, places } = chancesOf(logits, options);
  const drawn = chances.multinomial(1);
  return places?.gather(-1, drawn) ?? drawn;
}

/** In proportion to what tokens are drawn, [b, n], and which tokens these are where they are not those of the vocabulary in their order. */
export function chancesOf(
  logits: AnyTensor,
  { temperature = 1, topK, topP, minP }: ChoiceOptions,
): { chances: AnyTensor; places: AnyTensor | undefined } {
  const scaled = logits.div(temperature) as AnyTensor;
  const [likeliest, places] = (
    topK === undefined && topP === undefined ? [scaled] : scaled.topk(Math.min(topK ?? Infinity, scaled.shape[1]!))
  ) as [AnyTensor, AnyTensor?];
  let chances: AnyTensor = likeliest.softmax(-1);
  const keep = (kept: AnyTensor): void => void (chances = chances.mul(kept.cast('float32')) as AnyTensor);
  if (topP !== undefined) keep(chances.cumsum(-1).sub(chances).less(topP) as AnyTensor);
  if (minP !== undefined) keep(chances.greaterEqual(chances.amax(-1, { keepDims: true }).mul(minP)) as AnyTensor);
  return { chances, places };
}

/** The tokens at which sequences end. */
export function stopsOf(owner: string, stop: number | readonly number[] = []): ReadonlySet<number> {
  const list = typeof stop === 'number' ? [stop] : stop;
  if (!Array.isArray(list) || !list.every((token) => Number.isSafeInteger(token) && token >= 0)) {
    throw new ArgumentError(`${owner}: stop: got ${shown(stop)}, expected a token or a list of tokens`);
  }
  return new Set(list as readonly number[]);
}
