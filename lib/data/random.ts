/** Random numbers on the JS side, that a seed decides: the same on every machine. For data; tensors draw from the device's Philox stream. */

import { nextRandomBlocks } from '../runtime/random';
import { checkCount, checkFinite, maxEntries } from '../tensor/checks';

const { imul } = Math; // in inner loops: looking up a global costs more than the function does

/**
 * xoshiro128** (Blackman and Vigna, 2018), its state filled from the seed and a stream number by splitmix32: streams of one seed are independent.
 *
 * @example
 * new Random(7).integer(10); // one of 0 … 9
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, index = 0) {
    checkFinite('Random', 'seed', seed);
    checkFinite('Random', 'index', index);
    let state = imul((seed % 2 ** 32) | 0, 0x9e3779b1);
    const next = (word: number): number => {
      state = (imul(state ^ word, 0x85ebca6b) + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = imul(mixed, 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = next(Math.floor(seed / 2 ** 32));
    this.#b = next(index);
    this.#c = next(seed);
    this.#d = next(~index) | 1; // never all zero
  }

  bits(): number {
    const product = imul(this.#b, 5);
    const result = imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** From 0 up to 1. */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** From 0 up to and without `end`. */
  integer(end: number): number {
    return Math.floor(this.uniform() * end);
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /**
   * The sum of four bytes, scaled to mean 0 and deviation 1: close enough to normal for grain, and ten times as fast.
   */
  roughlyNormal(): number {
    const bits = this.bits();
    return ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510) / 147.8;
  }

  /**
   * The numbers below `count` in random order (Fisher–Yates).
   *
   * @example
   * new Random(7).permutation(3); // one of [0, 1, 2] … [2, 1, 0]
   */
  permutation(count: number): number[] {
    checkCount('Random', 'count', count, 0, maxEntries);
    const order = [...Array(count).keys()];
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

/** Numbers that follow from where the generator of tensors is when the first of them is drawn, which moves it on. */
export class ContinuedRandom extends Random {
  #drawn: Random | undefined;

  constructor() {
    super(0);
  }

  override bits(): number {
    if (this.#drawn === undefined) {
      const [low, high, offset] = nextRandomBlocks(1);
      // As many of the seed's 64 bits as a number holds.
      this.#drawn = new Random((high % 2 ** 21) * 2 ** 32 + low, offset);
    }
    return this.#drawn.bits();
  }
}
