/** Text from a language model, token by token. */
import { noGrad } from '../../autograd/modes';
import { checkOptions } from '../../ops/define';
import { checkCount } from '../../tensor/checks';
import { scope } from '../../tensor/scope';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import { decodingOf } from './decoding';
import type { LanguageModel, SequenceToSequenceModel } from './language-model';
import { checkChoiceOptions, chosen, processorOf, stopsOf, type ChoiceOptions, type LogitsOptions } from './logits';

/** How much is made, and what it begins with. */
export interface LengthOptions {
  /** How many tokens to make at most; 100 unless given. */
  readonly maxTokens?: number;
  /** The token, or the tokens, after which nothing follows; it is the last one that is made. */
  readonly stop?: number | readonly number[];
  /** What the target of a source begins with, behind the model's `start`, as the language and the task for Whisper; nothing unless given. */
  readonly begin?: readonly number[];
}

export interface GenerateOptions extends LengthOptions, ChoiceOptions, LogitsOptions {}

/**
 * Continues a sequence of tokens, or writes the target of a source: yields each new one as soon as it is known. A source is a list of tokens or, as a tensor, a batch
 * of one of what the model reads. Keys and values of earlier tokens are cached; when the context is full, the later half of the sequence is read anew, and all of it
 * where the model's positions depend on its length. The model should be in evaluation mode. Options have the effect that those of the library transformers have, one
 * after the other: `repetitionPenalty`, `noRepeatNgram`, what the model never makes, `logitsProcessor`, `temperature`, `topK`, `topP`, `minP`.
 *
 * @throws ArgumentError for a prompt without tokens and for options outside their ranges; ShapeError for a source of more than one.
 * @example
 * const model = new models.GPT2({ vocabulary: 10, context: 8, width: 8, layers: 1, heads: 2 }).eval();
 * for await (const token of models.generate(model, [1, 2, 3], { maxTokens: 4, topK: 3, repetitionPenalty: 1.2 })) console.log(token);
 * // The target of a source, up to the end token.
 * const reader = new models.T5({ vocabulary: 10, width: 8, layers: 1, heads: 2, headSize: 4, hidden: 16 }).eval();
 * for await (const token of models.generate(reader, [5, 4, 1], { maxTokens: 4, stop: 1 })) console.log(token);
 */
export async function* generate(
  model: LanguageModel | SequenceToSequenceModel,
  prompt: readonly number[] | AnyTensor,
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  const prompts = prompt instanceof Tensor ? prompt : [prompt];
  for await (const [token] of continued('generate', model, prompts, options, true)) yield token!;
}

/**
 * Continues several sequences of tokens at once, or writes the targets of several sources: yields the next token of each, in the order of the prompts, and
 * `undefined` for those that have ended. Sources are lists of tokens or, as a tensor, a batch of what the model reads. What is made for a prompt does not depend on
 * the others, whatever their lengths, but for what is drawn at random; positions that depend on the length (dynamic NTK, LongRoPE) are those of the longest. See
 * {@link generate}. Weights are read once for all sequences: on two busy cores GPT-2 makes four times as many tokens per second for
 * eight prompts at once as for one after the other.
 *
 * @throws ArgumentError for no prompts, a prompt without tokens and options outside their ranges.
 * @example
 * const model = new models.GPT2({ vocabulary: 10, context: 8, width: 8, layers: 1, heads: 2 }).eval();
 * const texts = [[1, 2, 3], [4]];
 * for await (const tokens of models.generateBatch(model, texts, { maxTokens: 4, stop: [0, 9] })) {
 *   tokens.forEach((token, i) => token !== undefined && texts[i].push(token));
 * }
 */
export async function* generateBatch(
  model: LanguageModel | SequenceToSequenceModel,
  prompts: readonly (readonly number[])[] | AnyTensor,
  options: GenerateOptions = {},
): AsyncGenerator<(number | undefined)[], void, undefined> {
  yield* continued('generateBatch', model, prompts, options);
}

async function* continued(
  owner: string,
  model: LanguageModel | SequenceToSequenceModel,
  prompts: readonly (readonly number[])[] | AnyTensor,
  options: GenerateOptions,
  isOne = false,
): AsyncGenerator<(number | undefined)[], void, undefined> {
  checkOptions(owner, options);
  const { maxTokens = 100 } = options;
  checkCount(owner, 'maxTokens', maxTokens, 0);
  checkChoiceOptions(owner, options);
  const stops = stopsOf(owner, options.stop);
  const process = processorOf(owner, options);
  const decoding = noGrad(() => decodingOf(owner, model, prompts, options.begin, isOne));
  const none = decoding.sequences.map(() => undefined);
  // Which of the prompts go on.
  let going = none.map((_, i) => i);
  while (decoding.made < maxTokens && going.length > 0) {
    const choice = noGrad(() => scope(() => chosen(process(decoding.logits(), decoding), options)));
    const tokens = Array.from(await choice.data(), Number);
    choice.dispose();
    decoding.append(tokens);
    const all: (number | undefined)[] = [...none];
    going.forEach((prompt, row) => (all[prompt] = tokens[row]));
    yield all;
    const rows = tokens.flatMap((token, row) => (stops.has(token) ? [] : [row]));
    going = rows.map((row) => going[row]!);
    if (rows.length > 0) noGrad(() => decoding.select(rows));
  }
}
