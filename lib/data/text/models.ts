/** The models that turn a word into the numbers of its parts: byte-pair encoding, WordPiece, unigrams and whole words. */
import type { JsonValue } from '../../io/json-text';
import { ArgumentError } from '../../errors';
import { excerpt } from '../../io/malformed';
import { MergeTable } from './merges';
import type { Model } from './stages';

export type TokenNumbers = ReadonlyMap<string, number>;

const CACHE_SIZE = 65_536;
/** Longer words are too seldom the same to be worth keeping. */
const CACHED_LENGTH = 64;

/** By number. */
function tokensOf(numbers: TokenNumbers): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  for (const [token, number] of numbers) tokens[number] = token;
  return tokens;
}

function noneFor(text: string): never {
  throw new ArgumentError(
    `encode: text: got ${excerpt(text)}, for which there is no token, nor one for what is unknown`,
  );
}

abstract class TokenModel implements Model {
  readonly tokens: readonly (string | undefined)[];
  readonly #cache = new Map<string, readonly number[]>();

  constructor(
    protected readonly numbers: TokenNumbers,
    readonly json: JsonValue,
  ) {
    this.tokens = tokensOf(numbers);
  }

  number(token: string): number | undefined {
    return this.numbers.get(token);
  }

  encode(word: string, into: number[]): void {
    let found = this.#cache.get(word);
    if (found === undefined) {
      found = this.compute(word);
      if (word.length <= CACHED_LENGTH) {
        if (this.#cache.size >= CACHE_SIZE) this.#cache.clear();
        this.#cache.set(word, found);
      }
    }
    for (const number of found) into.push(number);
  }

  protected abstract compute(word: string): readonly number[];

  /** The numbers of a text's bytes as tokens `<0x41>`, where the vocabulary has all of them. */
  protected byBytes(text: string): number[] | undefined {
    const found: number[] = [];
    for (const byte of Buffer.from(text)) {
      const number = this.numbers.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
      if (number === undefined) return undefined;
      found.push(number);
    }
    return found;
  }
}

export interface BpeOptions {
  readonly unknown?: number | undefined;
  readonly fuseUnknown?: boolean;
  readonly byteFallback?: boolean;
  /** Whether a word that is a token is that token, whatever its merges. */
  readonly ignoreMerges?: boolean;
  readonly continuingPrefix?: string;
  readonly wordSuffix?: string;
}

export class BpeModel extends TokenModel {
  readonly #merges: MergeTable;

  constructor(
    numbers: TokenNumbers,
    merges: Iterable<readonly [left: number, right: number, result: number]>,
    private readonly options: BpeOptions,
    json: JsonValue,
  ) {
    super(numbers, json);
    this.#merges = new MergeTable(this.tokens.length);
    for (const [left, right, result] of merges) this.#merges.add(left, right, result);
  }

  protected compute(word: string): readonly number[] {
    const { unknown, fuseUnknown = false, byteFallback = false, continuingPrefix = '', wordSuffix = '' } = this.options;
    if (this.options.ignoreMerges === true) {
      const whole = this.numbers.get(word);
      if (whole !== undefined) return [whole];
    }
    const symbols: number[] = [];
    let wasUnknown = false;
    const characters = Array.from(word);
    characters.forEach((character, i) => {
      const symbol = `${i > 0 ? continuingPrefix : ''}${character}${i === characters.length - 1 ? wordSuffix : ''}`;
      const known = this.numbers.get(symbol);
      const found = known === undefined ? (byteFallback ? this.byBytes(symbol) : undefined) : [known];
      if (found !== undefined) symbols.push(...found);
      else if (unknown !== undefined && !(wasUnknown && fuseUnknown)) symbols.push(unknown);
      wasUnknown = found === undefined;
    });
    return this.#merges.apply(symbols);
  }
}

/** The longest token that begins the word, then the longest that continues it (Schuster and Nakajima, 2012). */
export class WordPieceModel extends TokenModel {
  constructor(
    numbers: TokenNumbers,
    private readonly unknown: number,
    private readonly prefix: string,
    private readonly maxCharacters: number,
    json: JsonValue,
  ) {
    super(numbers, json);
  }

  protected compute(word: string): readonly number[] {
    const characters = Array.from(word);
    if (characters.length > this.maxCharacters) return [this.unknown];
    const found: number[] = [];
    for (let start = 0; start < characters.length;) {
      let end = characters.length;
      let number: number | undefined;
      for (; end > start && number === undefined; end--) {
        number = this.numbers.get(`${start > 0 ? this.prefix : ''}${characters.slice(start, end).join('')}`);
        if (number !== undefined) break;
      }
      if (number === undefined) return [this.unknown];
      found.push(number);
      start = end;
    }
    return found;
  }
}

/** The likeliest cut into tokens with a probability each (Kudo, 2018), by Viterbi's algorithm. */
export class UnigramModel extends TokenModel {
  readonly #root = new TrieNode();
  readonly #unknownScore: number;

  constructor(
    private readonly pieces: readonly (readonly [token: string, score: number])[],
    private readonly unknown: number | undefined,
    private readonly byteFallback: boolean,
    json: JsonValue,
  ) {
    super(new Map(pieces.map(([token], i) => [token, i])), json);
    let least = Infinity;
    for (const [i, [token, score]] of pieces.entries()) {
      let node = this.#root;
      for (const character of token) {
        let child = node.children.get(character);
        if (child === undefined) node.children.set(character, (child = new TrieNode()));
        node = child;
      }
      node.number ??= i;
      least = Math.min(least, score);
    }
    this.#unknownScore = least - 10; // as SentencePiece does
  }

  protected compute(word: string): readonly number[] {
    const characters = Array.from(word);
    const count = characters.length;
    const scores = new Float64Array(count + 1).fill(-Infinity);
    const starts = new Int32Array(count + 1);
    const numbers = new Int32Array(count + 1);
    scores[0] = 0;
    const offer = (start: number, end: number, number: number, score: number): void => {
      if (scores[start]! + score <= scores[end]!) return;
      scores[end] = scores[start]! + score;
      starts[end] = start;
      numbers[end] = number;
    };
    for (let start = 0; start < count; start++) {
      let node: TrieNode | undefined = this.#root;
      let hasSingle = false;
      for (let end = start; end < count; end++) {
        node = node.children.get(characters[end]!);
        if (node === undefined) break;
        if (node.number === undefined) continue;
        offer(start, end + 1, node.number, this.pieces[node.number]![1]);
        hasSingle ||= end === start;
      }
      if (!hasSingle) offer(start, start + 1, -1, this.#unknownScore);
    }
    const cut: { number: number; text: string }[] = [];
    for (let end = count; end > 0; end = starts[end]!) {
      const text = characters.slice(starts[end], end).join('');
      const last = cut.at(-1);
      const number = numbers[end] === this.unknown ? -1 : numbers[end]!;
      // Unknown characters next to each other are one unknown token.
      if (number === -1 && last?.number === -1) last.text = text + last.text;
      else cut.push({ number, text });
    }
    return cut.reverse().flatMap(({ number, text }) => {
      const known = number >= 0 ? number : this.numbers.get(text);
      if (known !== undefined) return [known];
      return (this.byteFallback ? this.byBytes(text) : undefined) ?? [this.unknown ?? noneFor(text)];
    });
  }
}

class TrieNode {
  readonly children = new Map<string, TrieNode>();
  number: number | undefined;
}

export class WordLevelModel extends TokenModel {
  constructor(
    numbers: TokenNumbers,
    private readonly unknown: number | undefined,
    json: JsonValue,
  ) {
    super(numbers, json);
  }

  protected compute(word: string): readonly number[] {
    return [this.numbers.get(word) ?? this.unknown ?? noneFor(word)];
  }
}
