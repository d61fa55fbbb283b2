/**
 * Byte-pair merging (Sennrich et al., 2016): a word's symbols, joined pair by pair, the pair learnt first before the others. A heap keeps long words
 * from costing their length squared.
 */
import { Heap } from './heap';

/** Two neighbours that may join: their rank, the place of the left one, and the pair as a number. */
interface Pair {
  readonly rank: number;
  readonly left: number;
  readonly key: number;
}

/** Which pairs of symbols join: by pair, the rank and the symbol they become. */
export class MergeTable {
  readonly #ranks = new Map<number, number>();
  readonly #results = new Map<number, number>();

  constructor(private readonly symbols: number) {}

  /** Adds the next pair; a pair that is there already keeps its rank. */
  add(left: number, right: number, result: number): void {
    const key = left * this.symbols + right;
    if (!this.#ranks.has(key)) this.#ranks.set(key, this.#ranks.size);
    this.#results.set(key, result);
  }

  get size(): number {
    return this.#ranks.size;
  }

  /** Joins the symbols of a word, and answers what is left. */
  apply(word: readonly number[]): number[] {
    const count = word.length;
    if (count < 2) return [...word];
    const symbols = [...word];
    // A list of the symbols that are left; a place that was joined into another has symbol -1.
    const next = Array.from(symbols, (_, i) => i + 1);
    const previous = Array.from(symbols, (_, i) => i - 1);
    const heap = new Heap<Pair>((a, b) => a.rank < b.rank || (a.rank === b.rank && a.left < b.left));
    const consider = (left: number, right: number): void => {
      const key = symbols[left]! * this.symbols + symbols[right]!;
      const rank = this.#ranks.get(key);
      if (rank !== undefined) heap.push({ rank, left, key });
    };
    for (let i = 0; i + 1 < count; i++) consider(i, i + 1);
    for (let pair = heap.pop(); pair !== undefined; pair = heap.pop()) {
      const { left, key } = pair;
      const right = next[left]!;
      if (symbols[left] === -1 || right >= count) continue;
      if (symbols[left]! * this.symbols + symbols[right]! !== key) continue; // one of the two has changed since
      symbols[left] = this.#results.get(key)!;
      symbols[right] = -1;
      const after = next[right]!;
      next[left] = after;
      if (after < count) {
        previous[after] = left;
        consider(left, after);
      }
      if (previous[left]! >= 0) consider(previous[left]!, left);
    }
    return symbols.filter((symbol) => symbol !== -1);
  }
}
