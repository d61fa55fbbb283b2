/** A vocabulary: tokens by number and numbers by token. */
import { ArgumentError } from '../../errors';
import { replaceFile, writeFully } from '../../io/atomic-file';
import { readWhole } from '../../io/byte-source';
import { JsonText } from '../../io/json-text';
import { excerpt, malformed } from '../../io/malformed';
import { checkOptions } from '../../ops/define';
import { checkCount, checkIterable, checkList, checkNumber, checkString } from '../../tensor/checks';
import { shown } from '../../tensor/describe';

export interface VocabularyOptions {
  /** Tokens with the first numbers, whether they occur or not; none unless given. */
  readonly specials?: readonly string[];
  /** The special that stands for every token that is not there. */
  readonly unknown?: string;
  /** Leaves out rarer tokens; 1 unless given. */
  readonly minFrequency?: number;
  /** How many tokens there are at most, specials among them; all unless given. */
  readonly maxSize?: number;
}

const OP = 'Vocabulary';

/** A text as its tokens, or as its characters. */
function tokensOf(text: Iterable<string>): Iterable<string> {
  if (typeof text !== 'string') checkIterable(OP, 'text', text);
  return text;
}

/**
 * Tokens by number and numbers by token.
 *
 * @example
 * const words = data.text.Vocabulary.build([['a', 'b', 'a']], { specials: ['<unk>'], unknown: '<unk>' });
 * words.encode(['a', 'c']); // [1, 0]
 */
export class Vocabulary {
  readonly tokens: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #unknown: number | undefined;

  constructor(
    tokens: readonly string[],
    readonly options: Pick<VocabularyOptions, 'unknown'> = {},
  ) {
    checkIterable(OP, 'tokens', tokens);
    checkOptions(OP, options);
    this.tokens = [...tokens];
    this.tokens.forEach((token, i) => checkString(OP, `tokens[${i}]`, token));
    this.#numbers = new Map(this.tokens.map((token, i) => [token, i]));
    if (this.#numbers.size < tokens.length) {
      const twice = tokens.find((token, i) => this.#numbers.get(token) !== i);
      throw new ArgumentError(`${OP}: tokens: got ${JSON.stringify(twice)} twice, expected each once`);
    }
    const { unknown } = options;
    this.#unknown = unknown === undefined ? undefined : this.#numbers.get(unknown);
    if (unknown !== undefined && this.#unknown === undefined) {
      throw new ArgumentError(`${OP}: unknown: got ${JSON.stringify(unknown)}, expected one of the tokens`);
    }
  }

  /** Counts the tokens of texts: the most frequent first, equally frequent ones by their letters. */
  static build(texts: Iterable<Iterable<string>>, options: VocabularyOptions = {}): Vocabulary {
    checkIterable(OP, 'texts', texts);
    checkOptions(OP, options, 'Vocabulary.build');
    const { specials = [], unknown, minFrequency = 1, maxSize = Infinity } = options;
    checkList(OP, 'specials', specials);
    checkNumber(OP, 'minFrequency', minFrequency, 0);
    if (maxSize !== Infinity) checkCount(OP, 'maxSize', maxSize);
    const counts = new Map<string, number>();
    for (const text of texts) for (const token of tokensOf(text)) counts.set(token, (counts.get(token) ?? 0) + 1);
    for (const special of specials) counts.delete(special);
    const frequent = [...counts].filter(([, count]) => count >= minFrequency);
    frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    const tokens = [...specials, ...frequent.map(([token]) => token)].slice(0, maxSize);
    return new Vocabulary(tokens, unknown === undefined ? {} : { unknown });
  }

  get size(): number {
    return this.tokens.length;
  }

  has(token: string): boolean {
    return this.#numbers.has(token);
  }

  /** The number of a token; that of the unknown one if there is such. */
  number(token: string): number {
    const found = this.#numbers.get(token) ?? this.#unknown;
    if (found === undefined)
      throw new ArgumentError(`${OP}: got ${JSON.stringify(token)}, expected a token that is in it`);
    return found;
  }

  encode(tokens: Iterable<string>): number[] {
    return Array.from(tokensOf(tokens), (token) => this.number(token));
  }

  decode(numbers: Iterable<number>): string[] {
    checkIterable(OP, 'numbers', numbers);
    return Array.from(numbers, (number) => {
      const token = this.tokens[number];
      if (token === undefined) throw new ArgumentError(`${OP}: got ${shown(number)}, expected 0 to ${this.size - 1}`);
      return token;
    });
  }

  /** Writes it as JSON, in the place of what was there only once all of it is on the disk. */
  async save(path: string): Promise<void> {
    const text = JSON.stringify({ tokens: this.tokens, unknown: this.options.unknown }, undefined, 1);
    await replaceFile(OP, path, (file) => writeFully(file, Buffer.from(`${text}\n`)));
  }

  /**
   * Reads what {@link save} wrote.
   *
   * @throws FormatError when the file is something else.
   */
  static async load(path: string): Promise<Vocabulary> {
    const json = JsonText.parse(OP, path, await readWhole(OP, path)).object();
    const seen = new Set<string>();
    for (const entry of json.required('tokens').array()) {
      const token = entry.string();
      if (seen.has(token))
        throw malformed(OP, path, entry.place, 'token', `${excerpt(token)} a second time`, 'each once');
      seen.add(token);
    }
    const unknown = json.optional('unknown');
    if (unknown !== undefined && !seen.has(unknown.string())) unknown.wrong('one of the tokens');
    return new Vocabulary([...seen], unknown === undefined ? {} : { unknown: unknown.string() });
  }
}
