/** Samplers: in which order, and how often, the items of a data set come. An epoch's order follows from the seed and the epoch alone. */
import { ArgumentError } from '../errors';
import { checkGivenOptions, checkOptions } from '../ops/define';
import { checkCount, checkFinite, checkMethods, maxEntries } from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import { Random } from './random';

/** The numbers of one epoch's items. */
export interface Sampler {
  /** How many numbers an epoch has. */
  readonly length: number;
  indices(epoch: number): Iterable<number>;
}

/** The items of one epoch, already in batches. */
export interface BatchSampler {
  /** How many batches an epoch has. */
  readonly length: number;
  batches(epoch: number): Iterable<readonly number[]>;
}

export interface SeedOptions {
  /** 0 unless given. */
  readonly seed?: number;
}

/** In order. */
export class SequentialSampler implements Sampler {
  constructor(readonly length: number) {
    checkCount('SequentialSampler', 'length', length, 0);
  }

  *indices(): Iterable<number> {
    for (let i = 0; i < this.length; i++) yield i;
  }
}

export interface RandomSamplerOptions extends SeedOptions {
  /** Whether an item may come several times; false unless given. */
  readonly replacement?: boolean;
  /** Numbers in an epoch; the data set's length unless given. More than that without replacement begins another order. */
  readonly count?: number;
}

/**
 * In random order, each item once; or drawn with replacement.
 *
 * @example
 * new RandomSampler(1000, { replacement: true, count: 100 }).length; // 100
 */
export class RandomSampler implements Sampler {
  readonly length: number;
  readonly #size: number;
  readonly #seed: number;
  readonly #replacement: boolean;

  constructor(size: number, options: RandomSamplerOptions = {}) {
    checkOptions('RandomSampler', options);
    const { seed = 0, replacement = false, count = size } = options;
    checkFinite('RandomSampler', 'seed', seed);
    checkCount('RandomSampler', 'size', size, 0);
    checkCount('RandomSampler', 'count', count, 0, maxEntries);
    if (size === 0 && count > 0) throw new ArgumentError(`RandomSampler: count: got ${count}, expected 0 of no items`);
    this.length = count;
    this.#size = size;
    this.#seed = seed;
    this.#replacement = replacement;
  }

  indices(epoch: number): readonly number[] {
    if (this.#replacement) {
      const random = new Random(this.#seed, epoch);
      return Array.from({ length: this.length }, () => random.integer(this.#size));
    }
    if (this.length <= this.#size) return new Random(this.#seed, epoch).permutation(this.#size).slice(0, this.length);
    const rounds = Math.ceil(this.length / this.#size);
    return Array.from({ length: rounds }, (_, round) =>
      new Random(this.#seed, epoch * rounds + round).permutation(this.#size),
    )
      .flat()
      .slice(0, this.length);
  }
}

/**
 * Draws items in proportion to their weights: with replacement, or without (Efraimidis and Spirakis, 2006).
 *
 * @throws ArgumentError for a negative or infinite weight, or fewer positive ones than are drawn without replacement.
 * @example
 * new WeightedSampler([0.9, 0.1], 100); // item 0 about 90 times
 */
export class WeightedSampler implements Sampler {
  readonly #ends: Float64Array;
  readonly #weights: Float64Array;
  readonly #options: RandomSamplerOptions;

  constructor(
    weights: ArrayLike<number>,
    readonly length: number = listed('WeightedSampler', 'weights', weights).length,
    options: Omit<RandomSamplerOptions, 'count'> = {},
  ) {
    checkCount('WeightedSampler', 'length', length, 0, maxEntries);
    checkOptions('WeightedSampler', options);
    checkFinite('WeightedSampler', 'seed', options.seed ?? 0);
    this.#weights = Float64Array.from(listed('WeightedSampler', 'weights', weights));
    this.#options = { replacement: true, ...options };
    let sum = 0;
    this.#ends = this.#weights.map((weight, i) => {
      if (!(weight >= 0 && weight < Infinity)) {
        throw new ArgumentError(`WeightedSampler: weights[${i}]: got ${weight}, expected a number of at least 0`);
      }
      return (sum += weight);
    });
    const positive = this.#weights.filter((weight) => weight > 0).length;
    const least = this.#options.replacement === true ? Math.min(length, 1) : length;
    if (positive < least) {
      throw new ArgumentError(`WeightedSampler: weights: got ${positive} above 0, expected at least ${least}`);
    }
  }

  indices(epoch: number): readonly number[] {
    const random = new Random(this.#options.seed ?? 0, epoch);
    if (this.#options.replacement === true) {
      const total = this.#ends.at(-1) ?? 0;
      return Array.from({ length: this.length }, () => firstAbove(this.#ends, random.uniform() * total));
    }
    // The items with the smallest of exponential times whose rates are the weights.
    const times = this.#weights.map((weight) => -Math.log(1 - random.uniform()) / weight);
    const order = [...times.keys()].filter((i) => this.#weights[i]! > 0);
    return order.sort((a, b) => times[a]! - times[b]! || a - b).slice(0, this.length);
  }
}

function firstAbove(ends: Float64Array, value: number): number {
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * In random order in which every stretch, so every batch, has the classes in their proportions: each class is shuffled and spread evenly.
 *
 * @example
 * new StratifiedSampler(labels, { seed: 1 });
 */
export class StratifiedSampler implements Sampler {
  readonly #classes: readonly (readonly number[])[];
  readonly #seed: number;

  constructor(labels: ArrayLike<number | string>, options: SeedOptions = {}) {
    checkOptions('StratifiedSampler', options);
    const { seed = 0 } = options;
    checkFinite('StratifiedSampler', 'seed', seed);
    const classes = new Map<number | string, number[]>();
    listed('StratifiedSampler', 'labels', labels);
    for (let i = 0; i < labels.length; i++) {
      const members = classes.get(labels[i]!);
      if (members === undefined) classes.set(labels[i]!, [i]);
      else members.push(i);
    }
    this.#classes = [...classes.values()];
    this.#seed = seed;
  }

  get length(): number {
    return this.#classes.reduce((sum, members) => sum + members.length, 0);
  }

  indices(epoch: number): readonly number[] {
    const random = new Random(this.#seed, epoch);
    const placed = this.#classes.flatMap((members) => {
      const seed = random.bits();
      const shift = random.uniform();
      return new Random(seed, epoch).permutation(members.length).map((member, rank) => ({
        index: members[member]!,
        place: (rank + shift) / members.length,
      }));
    });
    return placed.sort((a, b) => a.place - b.place || a.index - b.index).map(({ index }) => index);
  }
}

export interface DistributedSamplerOptions extends SeedOptions {
  /** How many processes share the data set, and which of them this is. */
  readonly world: number;
  readonly rank: number;
  /** True unless given. */
  readonly shuffle?: boolean;
  /** Leaves out items so that all have as many; without it the first ones come twice. False unless given. */
  readonly dropLast?: boolean;
}

/**
 * One process's share of a data set: every `world`-th item of an order that all agree on, as many for each.
 *
 * @example
 * new DistributedSampler(10, { world: 3, rank: 0 }).length; // 4
 */
export class DistributedSampler implements Sampler {
  readonly length: number;

  constructor(
    readonly size: number,
    readonly options: DistributedSamplerOptions,
  ) {
    checkGivenOptions('DistributedSampler', options);
    const { world, rank, dropLast = false, seed = 0 } = options;
    checkFinite('DistributedSampler', 'seed', seed);
    checkCount('DistributedSampler', 'size', size, 0);
    checkCount('DistributedSampler', 'world', world);
    if (!Number.isInteger(rank) || rank < 0 || rank >= world) {
      throw new ArgumentError(`DistributedSampler: rank: got ${shown(rank)}, expected 0 to ${world - 1}`);
    }
    this.length = dropLast ? Math.floor(size / world) : Math.ceil(size / world);
  }

  indices(epoch: number): readonly number[] {
    const { world, rank, shuffle = true, seed = 0 } = this.options;
    const order = shuffle ? new Random(seed, epoch).permutation(this.size) : undefined;
    return Array.from({ length: this.length }, (_, i) => {
      const place = (i * world + rank) % this.size;
      return order === undefined ? place : order[place]!;
    });
  }
}

/**
 * A sampler's numbers in batches.
 *
 * @example
 * [...new GroupSampler(new SequentialSampler(5), 2, { dropLast: true }).batches(0)]; // [[0, 1], [2, 3]]
 */
export class GroupSampler implements BatchSampler {
  readonly length: number;

  constructor(
    readonly sampler: Sampler,
    readonly batchSize: number,
    options: { readonly dropLast?: boolean } = {},
  ) {
    checkMethods('GroupSampler', 'sampler', sampler, ['indices']);
    checkOptions('GroupSampler', options);
    checkCount('GroupSampler', 'batchSize', batchSize);
    const batches = sampler.length / batchSize;
    this.length = options.dropLast === true ? Math.floor(batches) : Math.ceil(batches);
  }

  *batches(epoch: number): Iterable<readonly number[]> {
    let batch: number[] = [];
    let left = this.length;
    for (const index of this.sampler.indices(epoch)) {
      if (batch.push(index) < this.batchSize) continue;
      yield batch;
      left--;
      batch = [];
    }
    if (left > 0 && batch.length > 0) yield batch;
  }
}

/** Batches from which a stretch of the random order is sorted. */
const BUCKET = 50;

/**
 * Batches of items of similar length, so that padding adds little: stretches of 50 batches of a random order are sorted by length and cut, and
 * the batches come in random order. Each item comes once.
 *
 * @param lengths - of every item, in any unit
 * @example
 * [...new BucketSampler([9, 1, 8, 2], 2).batches(0)]; // [[1, 3], [2, 0]] or the other way round
 */
export class BucketSampler implements BatchSampler {
  readonly length: number;
  readonly #lengths: Float64Array;
  readonly #seed: number;

  constructor(
    lengths: ArrayLike<number>,
    readonly batchSize: number,
    options: SeedOptions = {},
  ) {
    checkOptions('BucketSampler', options);
    const { seed = 0 } = options;
    checkFinite('BucketSampler', 'seed', seed);
    checkCount('BucketSampler', 'batchSize', batchSize);
    this.#lengths = Float64Array.from(listed('BucketSampler', 'lengths', lengths));
    this.#lengths.forEach((length, i) => checkFinite('BucketSampler', `lengths[${i}]`, length));
    this.#seed = seed;
    this.length = Math.ceil(this.#lengths.length / batchSize);
  }

  *batches(epoch: number): Iterable<readonly number[]> {
    const random = new Random(this.#seed, epoch);
    const order = random.permutation(this.#lengths.length);
    const batches: number[][] = [];
    for (let begin = 0; begin < order.length; begin += BUCKET * this.batchSize) {
      const stretch = order.slice(begin, begin + BUCKET * this.batchSize);
      stretch.sort((a, b) => this.#lengths[a]! - this.#lengths[b]!);
      for (let i = 0; i < stretch.length; i += this.batchSize) batches.push(stretch.slice(i, i + this.batchSize));
    }
    for (const i of random.permutation(batches.length)) yield batches[i]!;
  }
}

function listed<T>(op: string, name: string, values: ArrayLike<T>): ArrayLike<T> {
  if (Array.isArray(values) || ArrayBuffer.isView(values)) return values;
  throw new ArgumentError(`${op}: ${name}: got ${describe(values)}, expected an array`);
}
