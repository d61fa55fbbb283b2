/** The state of sequences that a model continues: their tokens, and what it has read of them. */
import { ArgumentError, ShapeError } from '../../errors';
import { deviceOf } from '../../nn/module';
import type { AttentionCache } from '../../nn/multi-head-attention';
import { arange, tensor } from '../../ops/creation';
import type { Device } from '../../runtime/device';
import { checkList, checkMethods } from '../../tensor/checks';
import { show } from '../../tensor/shapes';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import type { LanguageModel, SequenceToSequenceModel } from './language-model';

type Tokens = readonly number[];

interface Row {
  readonly tokens: number[];
  /** The first of its tokens that are in the caches. */
  start: number;
  /** How many places in the caches are before these. */
  padding: number;
  /** Which of the sources it is written for. */
  readonly source: number;
}

const lengthOf = ({ tokens, start }: Row): number => tokens.length - start;

/**
 * Sequences that grow by one token at a time. Each time only what is new is read; when one of them is longer than the context its later half is read anew, and all
 * of them where the model's positions depend on their length. The shorter ones begin behind places that nobody sees.
 */
export class Decoding {
  #model: LanguageModel;
  #rows: Row[];
  #caches: readonly AttentionCache[];
  /** How many tokens each sequence has grown by. */
  made = 0;

  constructor(
    model: LanguageModel,
    sequences: readonly Tokens[],
    readonly device: Device,
  ) {
    const { context } = model;
    this.#model = model;
    this.#caches = model.makeCaches();
    this.#rows = sequences.map((tokens, source) => {
      return { tokens: [...tokens], start: Math.max(tokens.length - context, 0), padding: 0, source };
    });
  }

  get sequences(): readonly Tokens[] {
    return this.#rows.map(({ tokens }) => tokens);
  }

  /** Tokens that the model does not make now. */
  get never(): Tokens {
    const { never = [], neverFirst = [] } = this.#model;
    return this.made === 0 ? [...never, ...neverFirst] : never;
  }

  /** Reads what is new: the logits of what follows each sequence, [sequences, vocabulary], in float32. */
  logits(): AnyTensor {
    const past = this.#prepare();
    const rows = this.#rows;
    const { device } = this;
    const length = rows[0]!.padding + lengthOf(rows[0]!);
    const count = length - past;
    const unread = rows.map((row) => {
      const own = row.tokens.slice(Math.max(row.start, row.tokens.length - count));
      return [...Array<number>(count - own.length).fill(0), ...own];
    });
    const padded = rows.some((row) => row.padding > 0) ? places(rows, past, length, device) : {};
    const call = { caches: this.#caches, lastOnly: true, ...padded };
    return this.#model
      .forward(tensor(unread, { dtype: 'int32', device }), call)
      .select(1, -1)
      .cast('float32') as AnyTensor;
  }

  /** Puts a token behind each sequence. */
  append(tokens: Tokens): void {
    this.#rows.forEach((row, i) => row.tokens.push(tokens[i]!));
    this.made++;
  }

  /** Goes on with those sequences that `parents` names, in its order: some may be there several times. */
  select(parents: readonly number[]): void {
    const rows = this.#rows;
    if (parents.length === rows.length && parents.every((parent, i) => parent === i)) return;
    const index = tensor([...parents], { dtype: 'int32', device: this.device });
    this.#rows = parents.map((parent) => ({ ...rows[parent]!, tokens: [...rows[parent]!.tokens] }));
    this.#caches = this.#caches.map((cache) => {
      const chosen = cache.select(index);
      cache.clear();
      return chosen;
    });
    const sameSources =
      this.#rows.length === rows.length && this.#rows.every(({ source }, i) => source === rows[i]!.source);
    if (!sameSources) this.#model = this.#model.select?.(index) ?? this.#model;
  }

  /** Where something is to be read anew, forgets what has been read. Answers how many places are in the caches. */
  #prepare(): number {
    const { context, rereadAfter } = this.#model;
    const past = this.#caches[0]?.length ?? 0;
    const rows = this.#rows;
    if (past > 0 && past !== rereadAfter && rows[0]!.padding + lengthOf(rows[0]!) <= context) return past;
    for (const cache of this.#caches) cache.clear();
    const half = Math.max(1, Math.floor(context / 2));
    for (const row of rows) if (lengthOf(row) > context) row.start = row.tokens.length - half;
    const longest = Math.max(...rows.map(lengthOf));
    for (const row of rows) row.padding = longest - lengthOf(row);
    return 0;
  }
}

/** What rows with places before their tokens ask of a model: which places are seen, and where the tokens behind `past` stand. */
function places(rows: readonly Row[], past: number, length: number, device: Device) {
  const where = { dtype: 'int32', device } as const;
  const padding = tensor(
    rows.map((row) => [row.padding]),
    where,
  );
  const all = arange(length, where);
  const positions = all
    .narrow(0, past, length - past)
    .sub(padding)
    .clamp(0);
  return { keyMask: all.greaterEqual(padding) as AnyTensor, positions: positions as AnyTensor };
}

/**
 * The sequences of prompts that a model is to continue, or the targets of sources, which begin with its `start` and `begin`. `prompts` are lists of tokens or, as a
 * tensor, a batch of what the model reads; `isOne` says that errors are to tell of one prompt.
 */
export function decodingOf(
  owner: string,
  model: LanguageModel | SequenceToSequenceModel,
  prompts: readonly Tokens[] | AnyTensor,
  begin: Tokens = [],
  isOne = false,
): Decoding {
  const reader = readerOf(model);
  if (reader === undefined) checkMethods(owner, 'model', model, ['forward', 'makeCaches']);
  checkList(owner, 'begin', begin);
  if (reader === undefined && begin.length > 0) {
    throw new ArgumentError(`${owner}: begin: got tokens for a model without a source, expected them in the prompt`);
  }
  const device = deviceOf(model);
  const targets = (count: number): Tokens[] => Array.from({ length: count }, () => [reader!.start, ...begin]);
  if (reader !== undefined && prompts instanceof Tensor) {
    const [count = 0] = prompts.shape;
    if (count > 0 && (!isOne || count === 1)) return new Decoding(reader.given(prompts), targets(count), device);
    const [name, expected] = isOne ? ['prompt', 'a batch of one'] : ['prompts', 'a batch'];
    throw new ShapeError(`${owner}: ${name}: got shape ${show(prompts.shape)}, expected ${expected}`);
  }
  checkList(owner, isOne ? 'prompt' : 'prompts', prompts);
  const lists = (prompts as readonly Tokens[]).map((prompt, i) => {
    const name = isOne ? 'prompt' : `prompts[${i}]`;
    checkList(owner, name, prompt);
    if (prompt.length > 0) return prompt;
    throw new ArgumentError(`${owner}: ${name}: got no tokens, expected at least one`);
  });
  if (lists.length === 0) throw new ArgumentError(`${owner}: prompts: got none, expected at least one`);
  if (reader === undefined) return new Decoding(model as LanguageModel, lists, device);
  return new Decoding(givenLists(reader, lists, device), targets(lists.length), device);
}

/** Reads sources of several lengths, each followed by places that nobody sees. */
function givenLists(reader: SequenceToSequenceModel, lists: readonly Tokens[], device: Device): LanguageModel {
  const longest = Math.max(...lists.map(({ length }) => length));
  const filled = lists.map((tokens) => [...tokens, ...Array<number>(longest - tokens.length).fill(0)]);
  const source = tensor(filled, { dtype: 'int32', device });
  if (lists.every(({ length }) => length === longest)) return reader.given(source);
  const lengths = tensor(
    lists.map(({ length }) => [length]),
    { dtype: 'int32', device },
  );
  return reader.given(source, { keyMask: arange(longest, { dtype: 'int32', device }).less(lengths) as AnyTensor });
}

function readerOf(model: object | undefined): SequenceToSequenceModel | undefined {
  const reader = model as Partial<SequenceToSequenceModel> | undefined;
  return typeof reader?.given === 'function' ? (reader as SequenceToSequenceModel) : undefined;
}
