/** Text from a language model, token by token. */
import { noGrad } from '../autograd/modes';
import { ArgumentError, ShapeError } from '../errors';
import { Module } from '../nn/module';
import type { AttentionCache } from '../nn/multi-head-attention';
import { tensor } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import type { LinearCrossEntropyOptions } from '../ops/linear-cross-entropy';
import { getDefaultDevice, type Device } from '../runtime/device';
import { checkCount, checkFinite, checkList, checkMethods, checkNumber } from '../tensor/checks';
import { shown } from '../tensor/describe';
import { scope } from '../tensor/scope';
import { show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';

export interface LanguageModelCall {
  /** Of the earlier tokens, as `makeCaches` makes them: this call's are added to them. */
  readonly caches?: readonly AttentionCache[];
  /** Which tokens are seen, [b, s]: bool (true: attend) or added to the scores. */
  readonly keyMask?: AnyTensor | undefined;
  /** Gives the logits of the last token alone, [b, 1, vocabulary]. */
  readonly lastOnly?: boolean;
}

export interface LanguageModelLossOptions
  extends
    Pick<LanguageModelCall, 'keyMask'>,
    Pick<LinearCrossEntropyOptions, 'reduction' | 'ignoreIndex' | 'labelSmoothing' | 'rowsAtOnce'> {}

/** What gives the logits [b, t, vocabulary] of what follows each token of [b, t]. */
export interface LanguageModel {
  /** The longest sequence; `Infinity` where there is none. */
  readonly context: number;
  /** A sequence that grows beyond this length is read anew, as its earlier tokens then differ from those in caches; none unless given. */
  readonly rereadAfter?: number | undefined;
  /** Tokens that `generate` does not make; none unless given. */
  readonly never?: readonly number[] | undefined;
  /** Tokens that it does not make first; none unless given. */
  readonly neverFirst?: readonly number[] | undefined;
  /** Caches of nothing, for the layers; the first one counts the tokens. */
  makeCaches(): AttentionCache[];
  forward(tokens: AnyTensor, call?: LanguageModelCall): AnyTensor;
}

/** What reads a source before it writes a target. */
export interface SequenceToSequenceModel {
  /** The token before the first one of a target. */
  readonly start: number;
  /** A model of the targets of a source, as token numbers [b, s]. */
  given(source: AnyTensor): LanguageModel;
}

/** Throws unless `tokens` are [b, t] and fit in the context behind those before. Answers t. */
export function checkTokens(owner: string, tokens: AnyTensor, past: number, context: number): number {
  checkTensor(owner, tokens, 'tokens');
  const length = tokens.shape[1] ?? 0;
  if (tokens.rank !== 2) throw new ShapeError(`${owner}: tokens: got shape ${show(tokens.shape)}, expected [b, t]`);
  if (past + length <= context) return length;
  throw new ShapeError(`${owner}: tokens: got ${past + length} in a sequence, expected at most ${context}`);
}

export interface GenerateOptions {
  /** How many tokens to make at most; 100 unless given. */
  readonly maxTokens?: number;
  /** Divides the logits: below 1 for likelier tokens, 0 for the likeliest; 1 unless given. */
  readonly temperature?: number;
  /** Chooses among so many of the likeliest tokens; among all unless given. */
  readonly topK?: number;
  /** Chooses among the likeliest tokens that together have this probability; among all unless given (Holtzman et al., 2020). */
  readonly topP?: number;
  /** The token after which nothing follows; it is the last one that is made. */
  readonly stop?: number;
  /** What the target of a source begins with, behind the model's `start`, as the language and the task for Whisper; nothing unless given. */
  readonly begin?: readonly number[];
}

/**
 * Continues a sequence of tokens, or writes the target of a source: yields each new one as soon as it is known. A source is a list of tokens or, as a tensor, a batch
 * of one of what the model reads. Keys and values of earlier tokens are cached; when the context is full, the later half of the sequence is read anew, and all of it
 * where the model's positions depend on its length. The model should be in evaluation mode.
 *
 * @throws ArgumentError for a prompt without tokens and for options outside their ranges; ShapeError for a source of more than one.
 * @example
 * const model = new models.GPT2({ vocabulary: 10, context: 8, width: 8, layers: 1, heads: 2 }).eval();
 * for await (const token of models.generate(model, [1, 2, 3], { maxTokens: 4, topK: 3 })) console.log(token);
 * // The target of a source, up to the end token.
 * const reader = new models.T5({ vocabulary: 10, width: 8, layers: 1, heads: 2, headSize: 4, hidden: 16 }).eval();
 * for await (const token of models.generate(reader, [5, 4, 1], { maxTokens: 4, stop: 1 })) console.log(token);
 */
export async function* generate(
  model: LanguageModel | SequenceToSequenceModel,
  prompt: readonly number[] | AnyTensor,
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  checkOptions('generate', options);
  const reader = readerOf(model);
  if (reader === undefined) checkMethods('generate', 'model', model, ['forward', 'makeCaches']);
  const { maxTokens = 100, temperature = 1, topK, topP, stop, begin = [] } = options;
  const given = reader !== undefined && prompt instanceof Tensor ? checkedSource(prompt) : checkedPrompt(prompt);
  checkCount('generate', 'maxTokens', maxTokens, 0);
  checkFinite('generate', 'temperature', temperature);
  checkNumber('generate', 'temperature', temperature, 0);
  if (topK !== undefined) checkCount('generate', 'topK', topK);
  if (topP !== undefined && !(topP > 0 && topP <= 1)) {
    throw new ArgumentError(`generate: topP: got ${shown(topP)}, expected a number in (0, 1]`);
  }
  checkList('generate', 'begin', begin);
  if (reader === undefined && begin.length > 0) {
    throw new ArgumentError('generate: begin: got tokens for a model without a source, expected them in the prompt');
  }
  const where = { dtype: 'int32', device: deviceOf(model) } as const;
  const source = (): AnyTensor => (given instanceof Tensor ? given : tensor([given], where));
  const decoder = noGrad(() => reader?.given(source())) ?? (model as LanguageModel);
  const tokens = reader === undefined ? (given as number[]) : [reader.start, ...begin];
  const { never = [], neverFirst = [] } = decoder;
  const half = Math.max(1, Math.floor(decoder.context / 2));
  let caches = decoder.makeCaches();
  let unread = tokens.slice(-decoder.context);
  for (let made = 0; made < maxTokens; made++) {
    const choice = noGrad(() =>
      scope(() => {
        const logits = decoder.forward(tensor([unread], where), { caches, lastOnly: true });
        const last = logits.select(1, -1).cast('float32') as AnyTensor;
        const hidden = made === 0 ? [...never, ...neverFirst] : never;
        const allowed = hidden.length === 0 ? last : last.indexFill(1, tensor(hidden, where), -Infinity);
        return chosen(allowed as AnyTensor, temperature, topK, topP);
      }),
    );
    const token = await choice.item();
    choice.dispose();
    tokens.push(token);
    yield token;
    if (token === stop) return;
    unread = [token];
    const read = caches[0]?.length ?? 0;
    const isFull = read >= decoder.context;
    if (isFull || read === decoder.rereadAfter) {
      caches = decoder.makeCaches();
      unread = tokens.slice(isFull ? -half : -(read + 1));
    }
  }
}

function checkedPrompt(prompt: unknown): number[] {
  checkList('generate', 'prompt', prompt);
  const tokens = [...(prompt as readonly number[])];
  if (tokens.length > 0) return tokens;
  throw new ArgumentError('generate: prompt: got no tokens, expected at least one');
}

function checkedSource(source: AnyTensor): AnyTensor {
  if (source.shape[0] === 1) return source;
  throw new ShapeError(`generate: prompt: got shape ${show(source.shape)}, expected a batch of one`);
}

/** Where a model's parameters are; of one that is no module, the default device. */
function deviceOf(model: unknown): Device {
  return (model instanceof Module ? model.parameters()[0]?.device : undefined) ?? getDefaultDevice();
}

function readerOf(model: object | undefined): SequenceToSequenceModel | undefined {
  const reader = model as Partial<SequenceToSequenceModel> | undefined;
  return typeof reader?.given === 'function' ? (reader as SequenceToSequenceModel) : undefined;
}

/** One token drawn by its logits [1, vocabulary]. */
function chosen(logits: AnyTensor, temperature: number, topK: number | undefined, topP: number | undefined): AnyTensor {
  if (temperature === 0) return logits.argmax(-1);
  const scaled = logits.div(temperature) as AnyTensor;
  if (topK === undefined && topP === undefined) return scaled.softmax(-1).multinomial(1);
  const [likeliest, places] = scaled.topk(Math.min(topK ?? Infinity, scaled.shape[1]!)) as [AnyTensor, AnyTensor];
  let chances: AnyTensor = likeliest.softmax(-1);
  if (topP !== undefined) {
    const before = chances.cumsum(-1).sub(chances);
    chances = chances.mul(before.less(topP).cast('float32')) as AnyTensor;
  }
  return places.gather(-1, chances.multinomial(1));
}
