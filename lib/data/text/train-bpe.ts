/** Training a byte-pair tokenizer: which pairs of symbols are joined, the most frequent first. */
import { ArgumentError } from '../../errors';
import { checkGivenOptions } from '../../ops/define';
import { checkIterable, checkList, checkNumber, checkString } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import { byteCharacters } from './byte-level';
import { Heap } from './heap';
import { byteLevel } from './pre-tokenizers';
import type { Tokenizer } from './tokenizer';
import { byteLevelTokenizer } from './tokenizer-json';

export interface TrainBpeOptions {
  /** How many tokens: the specials, the 256 bytes and the merges. */
  readonly vocabSize: number;
  /** Pairs that occur less often are not joined; 2 unless given. */
  readonly minFrequency?: number;
  /** Tokens with the first numbers that texts do not make; `['<|endoftext|>']` unless given. */
  readonly specials?: readonly string[];
}

/**
 * Trains a byte-level tokenizer like GPT-2's (Sennrich et al., 2016; Radford et al., 2019): its words never unknown, its merges those that occur most
 * often in the texts. Ties go to the pair of the lowest numbers, as in Hugging Face's library.
 *
 * @throws ArgumentError when the vocabulary has no room for the bytes and the specials.
 * @example
 * const tokenizer = data.text.trainBpe(['low lower lowest'], { vocabSize: 260 });
 */
export function trainBpe(texts: Iterable<string>, options: TrainBpeOptions): Tokenizer {
  checkIterable('trainBpe', 'texts', texts);
  checkGivenOptions('trainBpe', options);
  const { vocabSize, minFrequency = 2, specials = ['<|endoftext|>'] } = options;
  checkNumber('trainBpe', 'minFrequency', minFrequency, 0);
  checkList('trainBpe', 'specials', specials);
  specials.forEach((special, i) => checkString('trainBpe', `specials[${i}]`, special));
  const least = 256 + specials.length;
  if (!Number.isSafeInteger(vocabSize) || vocabSize < least || vocabSize > 2 ** 24) {
    throw new ArgumentError(`trainBpe: vocabSize: got ${shown(vocabSize)}, expected an integer from ${least} to 2^24`);
  }
  const alphabet = [...byteCharacters].sort();
  const tokens = [...specials, ...alphabet];
  const numberOf = new Map(tokens.map((token, i) => [token, i]));
  const trainer = new Trainer(countWords(texts), (character) => numberOf.get(character)!);
  const merges: [left: number, right: number, result: number][] = [];
  const mergesText: [string, string][] = [];
  while (tokens.length < vocabSize) {
    const best = trainer.best(minFrequency);
    if (best === undefined) break;
    const [left, right] = best;
    const token = tokens[left]! + tokens[right]!;
    // Two ways to the same token share its number.
    const result = numberOf.get(token) ?? tokens.push(token) - 1;
    numberOf.set(token, result);
    merges.push([left, right, result]);
    mergesText.push([tokens[left]!, tokens[right]!]);
    trainer.join(left, right, result);
  }
  return byteLevelTokenizer(numberOf, merges, mergesText, specials);
}

/** How often each word occurs, its bytes as characters. */
function countWords(texts: Iterable<string>): Map<string, number> {
  const cut = byteLevel(false, true);
  const counts = new Map<string, number>();
  let i = 0;
  for (const text of texts) {
    checkString('trainBpe', `texts[${i++}]`, text);
    for (const word of cut(text, true)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

const PAIR = 2 ** 24;

/** A pair of symbols as a number, and how often it occurred when this was noted. */
interface Counted {
  readonly key: number;
  readonly count: number;
}

/** Words as symbols, and how often each pair of neighbours occurs. A heap holds the pairs; entries whose count has changed are put back. */
class Trainer {
  readonly #words: { symbols: number[]; readonly count: number }[] = [];
  readonly #counts = new Map<number, number>();
  /** The words that a pair has occurred in. */
  readonly #places = new Map<number, Set<number>>();
  readonly #heap = new Heap<Counted>((a, b) => a.count > b.count || (a.count === b.count && a.key < b.key));

  constructor(words: ReadonlyMap<string, number>, numberOf: (character: string) => number) {
    for (const [word, count] of words) this.#words.push({ symbols: Array.from(word, numberOf), count });
    this.#words.forEach(({ symbols, count }, i) => {
      for (let at = 0; at + 1 < symbols.length; at++) this.change(symbols[at]!, symbols[at + 1]!, count, i);
    });
    for (const [key, count] of this.#counts) this.#heap.push({ key, count });
  }

  /** The most frequent pair, if any occurs often enough. */
  best(minFrequency: number): [left: number, right: number] | undefined {
    for (let top = this.#heap.pop(); top !== undefined; top = this.#heap.pop()) {
      const count = this.#counts.get(top.key) ?? 0;
      if (count !== top.count) {
        if (count > 0) this.#heap.push({ key: top.key, count });
        continue;
      }
      return count < Math.max(minFrequency, 1) ? undefined : [Math.floor(top.key / PAIR), top.key % PAIR];
    }
    return undefined;
  }

  /** Joins a pair wherever it occurs. */
  join(left: number, right: number, result: number): void {
    const key = left * PAIR + right;
    const changed = new Set<number>();
    for (const i of this.#places.get(key) ?? []) {
      const word = this.#words[i]!;
      const { symbols, count } = word;
      const joined: number[] = [];
      for (let at = 0; at < symbols.length; at++) {
        if (symbols[at] !== left || symbols[at + 1] !== right) {
          joined.push(symbols[at]!);
          continue;
        }
        const before = joined.at(-1);
        const after = symbols[at + 2];
        if (before !== undefined) {
          this.change(before, left, -count, i);
          changed.add(this.change(before, result, count, i));
        }
        if (after !== undefined) {
          this.change(right, after, -count, i);
          changed.add(this.change(result, after, count, i));
        }
        joined.push(result);
        at++;
      }
      word.symbols = joined;
    }
    this.#counts.delete(key);
    this.#places.delete(key);
    for (const pair of changed) {
      const count = this.#counts.get(pair) ?? 0;
      if (count > 0) this.#heap.push({ key: pair, count });
    }
  }

  private change(left: number, right: number, by: number, word: number): number {
    const key = left * PAIR + right;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
    if (by > 0) {
      const places = this.#places.get(key);
      if (places === undefined) this.#places.set(key, new Set([word]));
      else places.add(word);
    }
    return key;
  }
}
