/** Tokenizers: text to numbers and back, in the stages of Hugging Face's library. */
import { ArgumentError } from '../../errors';
import { replaceFile, writeFully } from '../../io/atomic-file';
import type { JsonValue } from '../../io/json-text';
import { checkOptions } from '../../ops/define';
import { checkIterable, checkString } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { isWellFormed } from '../../io/safetensors-format';
import {
  whiteSpace,
  wordCharacters,
  type Decoder,
  type Model,
  type Normalizer,
  type PostProcessor,
  type PreTokenizer,
} from './stages';

/** A token beside the model's, found in the text before anything else happens to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether decoding may leave it out. */
  readonly special: boolean;
  /** Whether it is found in the normalized text instead. */
  readonly normalized: boolean;
  /** Whether it must not touch letters or digits. */
  readonly singleWord: boolean;
  /** Whether it takes the white space before and behind it. */
  readonly leftStrip: boolean;
  readonly rightStrip: boolean;
}

export interface TokenizerStages {
  readonly model: Model;
  readonly normalizer?: Normalizer | undefined;
  readonly preTokenizer?: PreTokenizer | undefined;
  readonly postProcessor?: PostProcessor | undefined;
  readonly decoder?: Decoder | undefined;
  readonly addedTokens?: readonly AddedToken[];
}

export interface EncodeOptions {
  /** Whether the tokens that begin and end a text are added, where the tokenizer has such; true unless given. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Whether special tokens are left out; true unless given. */
  readonly skipSpecialTokens?: boolean;
}

/** Text to numbers and back. Get one from {@link loadTokenizer}, {@link loadGpt2Tokenizer} or {@link trainBpe}. */
export class Tokenizer {
  readonly #added: ReadonlyMap<number, AddedToken>;
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #raw: Finder | undefined;
  readonly #normalized: Finder | undefined;

  /** @internal */
  constructor(readonly stages: TokenizerStages) {
    const { addedTokens = [], normalizer } = stages;
    this.#added = new Map(addedTokens.map((token) => [token.id, token]));
    this.#addedIds = new Map(addedTokens.map((token) => [token.content, token.id]));
    this.#raw = finder(addedTokens.filter(({ normalized }) => !normalized));
    // A normalized token is looked for as the normalizer leaves it.
    const normalized = addedTokens.filter((token) => token.normalized);
    this.#normalized = finder(
      normalized.map((token) => ({ ...token, content: normalizer?.apply(token.content) ?? token.content })),
    );
  }

  /** One more than the greatest number. */
  get vocabSize(): number {
    return Math.max(this.stages.model.tokens.length, ...[...this.#added.keys()].map((id) => id + 1));
  }

  /** The number of a token, if there is such a token. */
  tokenToId(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.stages.model.number(token);
  }

  /** The token of a number, if there is such a number. */
  idToToken(id: number): string | undefined {
    return this.#added.get(id)?.content ?? this.stages.model.tokens[id];
  }

  /**
   * The numbers of a text's tokens.
   *
   * @example
   * const ids = tokenizer.encode('Hello, world');
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    checkString('encode', 'text', text);
    checkOptions('encode', options, 'Tokenizer.encode');
    const { addSpecialTokens = true } = options;
    const ids: number[] = [];
    const { normalizer, preTokenizer, model, postProcessor } = this.stages;
    let isFirst = true;
    const words = (piece: string): void => {
      const cut = preTokenizer === undefined ? [piece] : preTokenizer.apply(piece, isFirst);
      isFirst = false;
      for (const word of cut) model.encode(word, ids);
    };
    const found = (id: number): void => {
      isFirst = false;
      ids.push(id);
    };
    inPieces(
      isWellFormed(text) ? text : Buffer.from(text).toString(),
      this.#raw,
      (piece) => inPieces(normalizer?.apply(piece) ?? piece, this.#normalized, words, found),
      found,
    );
    return addSpecialTokens && postProcessor !== undefined ? postProcessor.apply(ids) : ids;
  }

  /** The tokens of a text, as strings. */
  tokenize(text: string, options?: EncodeOptions): string[] {
    return this.encode(text, options).map((id) => this.idToToken(id) ?? '');
  }

  /**
   * The text of numbers. Numbers without a token are an error; bytes that are no UTF-8 become U+FFFD.
   *
   * @throws ArgumentError for a number that the tokenizer does not have.
   * @example
   * tokenizer.decode(tokenizer.encode('Hello, world')); // 'Hello, world'
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    checkIterable('decode', 'ids', ids);
    checkOptions('decode', options, 'Tokenizer.decode');
    const { skipSpecialTokens = true } = options;
    const tokens: string[] = [];
    for (const id of ids) {
      if (skipSpecialTokens && this.#added.get(id)?.special === true) continue;
      const token = this.idToToken(id);
      if (token === undefined)
        throw new ArgumentError(`decode: got ${shown(id)}, expected a token's number below ${this.vocabSize}`);
      tokens.push(token);
    }
    const { decoder } = this.stages;
    return decoder === undefined ? tokens.join(' ') : decoder.apply(tokens).join('');
  }

  /** What `tokenizer.json` holds, for Hugging Face's libraries and for {@link loadTokenizer}. */
  toJSON(): JsonValue {
    const { model, normalizer, preTokenizer, postProcessor, decoder, addedTokens = [] } = this.stages;
    return {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens.map((token) => ({
        id: token.id,
        content: token.content,
        single_word: token.singleWord,
        lstrip: token.leftStrip,
        rstrip: token.rightStrip,
        normalized: token.normalized,
        special: token.special,
      })),
      normalizer: normalizer?.json ?? null,
      pre_tokenizer: preTokenizer?.json ?? null,
      post_processor: postProcessor?.json ?? null,
      decoder: decoder?.json ?? null,
      model: model.json,
    };
  }

  /** Writes it as `tokenizer.json`, in the place of what was there only once all of it is on the disk. */
  async save(path: string): Promise<void> {
    const text = `${JSON.stringify(this.toJSON(), undefined, 2)}\n`;
    await replaceFile('Tokenizer', path, (file) => writeFully(file, Buffer.from(text)));
  }
}

interface Finder {
  readonly pattern: RegExp;
  readonly tokens: ReadonlyMap<string, AddedToken>;
}

const wordBefore = new RegExp(`[${wordCharacters}]$`, 'u');
const wordBehind = new RegExp(`^[${wordCharacters}]`, 'u');

function finder(tokens: readonly AddedToken[]): Finder | undefined {
  const real = tokens.filter(({ content }) => content !== '');
  if (real.length === 0) return undefined;
  const longestFirst = [...real].sort((a, b) => b.content.length - a.content.length);
  const alternatives = longestFirst.map(({ content }) => content.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'));
  return {
    pattern: new RegExp(alternatives.join('|'), 'gu'),
    tokens: new Map(real.map((token) => [token.content, token])),
  };
}

const spaceBefore = new RegExp(`${whiteSpace}+$`, 'u');
const spaceBehind = new RegExp(`^${whiteSpace}+`, 'u');

/** Calls `piece` for each stretch of text between added tokens, and `token` for each of those, in order. */
function inPieces(
  text: string,
  find: Finder | undefined,
  piece: (text: string) => void,
  token: (id: number) => void,
): void {
  let at = 0;
  if (find !== undefined) {
    for (const match of text.matchAll(find.pattern)) {
      const found = find.tokens.get(match[0])!;
      const end = match.index + match[0].length;
      if (match.index < at) continue; // within the space that the token before took
      if (
        found.singleWord &&
        (wordBefore.test(text.slice(Math.max(0, match.index - 2), match.index)) ||
          wordBehind.test(text.slice(end, end + 2)))
      ) {
        continue;
      }
      const before = text.slice(at, match.index);
      const kept = found.leftStrip ? before.replace(spaceBefore, '') : before;
      if (kept !== '') piece(kept);
      token(found.id);
      at = end + (found.rightStrip ? (spaceBehind.exec(text.slice(end))?.[0].length ?? 0) : 0);
    }
  }
  if (at < text.length) piece(text.slice(at));
}
