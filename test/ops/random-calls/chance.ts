// Random sizes, layouts and choices, the same for the same seed.
import { cat, data, manualSeed, randint, randn, stack, type AnyTensor, type Shape } from '../../../lib/index';

export const count = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

/** Another order of axes, as `permute` takes it, and the one that undoes it. */
type Turn = readonly [there: readonly number[], back: readonly number[]];

export class Chance {
  readonly #random: data.Random;
  /** How many elements a tensor may have. */
  readonly most: number;

  constructor(seed: number, most: number) {
    this.#random = new data.Random(seed);
    this.most = most;
    manualSeed(seed);
  }

  /** One of these. */
  pick<T>(...choices: readonly T[]): T {
    return choices[this.#random.integer(choices.length)]!;
  }

  /** True with probability `p`. */
  happens(p: number): boolean {
    return this.#random.uniform() < p;
  }

  /** A whole number in [low, high], each as often. */
  between(low: number, high: number): number {
    return low + this.#random.integer(high - low + 1);
  }

  /** A size in [1, most + 1], small ones more often, and those beside powers of two: where another kernel begins. */
  size(most = 300): number {
    const bound = Math.min(most, this.most / 8);
    if (this.happens(0.3)) return Math.max(1, 2 ** this.between(0, Math.log2(bound)) + this.between(-1, 1));
    return Math.round(Math.exp(this.#random.uniform() * Math.log(bound)));
  }

  /** A shape of 1 to `rank` axes, of `share` of all elements that a tensor may have. */
  shape(rank = 4, share = 1): number[] {
    for (;;) {
      const shape = Array.from({ length: this.between(1, rank) }, () => this.size());
      if (count(shape) <= this.most * share) return shape;
    }
  }

  /** Some axes, at least one, in any order. */
  axes(rank: number): number[] {
    return [...this.#random.permutation(rank)].slice(0, this.between(1, rank));
  }

  /** `shape` with some sizes 1, with which it broadcasts. */
  narrowed(shape: Shape): number[] {
    return shape.map((size) => this.pick(size, size, 1));
  }

  /** Normal numbers. */
  normal(...shape: readonly number[]): AnyTensor {
    return randn(shape) as AnyTensor;
  }

  /** Whole numbers in [0, below), for places and classes. */
  below(below: number, ...shape: readonly number[]): AnyTensor {
    return randint(0, below, shape) as AnyTensor;
  }

  #turn(rank: number): Turn {
    const there = [...this.#random.permutation(rank)];
    return [there, there.map((_, axis) => there.indexOf(axis))];
  }

  /** A way to lay a tensor of this rank out in memory: as it is, in another order of axes, with gaps, or, unless it varies, repeated along an axis. */
  layout(rank: number, varies = false): (x: AnyTensor) => AnyTensor {
    const as = this.pick('is', 'is', 'is', 'turned', 'turned', 'apart', 'strided', varies ? 'is' : 'repeated');
    if (rank === 0 || as === 'is') return (x) => x;
    const axis = this.between(0, rank - 1);
    const [there, back] = this.#turn(rank);
    return (x) => {
      if (as === 'turned') return x.permute(there).contiguous().permute(back) as AnyTensor;
      if (as === 'apart') return cat([x, x], axis).narrow(axis, 0, x.shape[axis]!) as AnyTensor;
      if (as === 'strided') return stack([x, x], rank).select(rank, 0) as AnyTensor;
      return x.narrow(axis, 0, 1).expand(x.shape) as AnyTensor;
    };
  }
}
