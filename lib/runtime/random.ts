/**
 * Owns the state of the random generator of this environment: a Philox key and a position in its stream. An op that draws numbers takes
 * them from here and carries them in its record, so that a gradient can draw the same numbers again.
 */
import { randomBytes } from 'node:crypto';

import { ArgumentError } from '../errors';

/** A place in a Philox stream, as ops.def has it: seedLow, seedHigh, offset. */
export type RandomStream = readonly [seedLow: number, seedHigh: number, offset: number];

/** What a checkpoint keeps of the generator. */
export interface RandomState {
  readonly seed: readonly [low: number, high: number];
  readonly offset: number;
}

const entropy = randomBytes(8);
let low = entropy.readUInt32LE(0);
let high = entropy.readUInt32LE(4);
let offset = 0;

/**
 * Starts the generator anew from `seed`, a whole number in [0, 2^64). The same seed draws the same numbers, on every device and at any
 * number of threads. Without a call the generator starts from the system's entropy.
 *
 * @throws ArgumentError when the seed is not such a number.
 * @example
 * manualSeed(0);
 * const a = randn([2]);
 * manualSeed(0);
 * await equal(a, randn([2])); // true
 */
export function manualSeed(seed: number | bigint): void {
  const whole = typeof seed === 'bigint' || Number.isSafeInteger(seed) ? BigInt(seed) : -1n;
  if (whole < 0n || whole >= 1n << 64n) {
    throw new ArgumentError(`manualSeed: seed: got ${String(seed)}, expected a whole number in [0, 2^64)`, { seed });
  }
  low = Number(whole & 0xffffffffn);
  high = Number(whole >> 32n);
  offset = 0;
}

/** The state of the generator, for a checkpoint. Plain numbers: it survives JSON. */
export function getRandomState(): RandomState {
  return { seed: [low, high], offset };
}

/**
 * Continues from a state that {@link getRandomState} gave.
 *
 * @throws ArgumentError when it is none.
 */
export function setRandomState(state: RandomState): void {
  const [seedLow, seedHigh] = Array.isArray(state?.seed) ? state.seed : [];
  const isWord = (value: unknown): value is number =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
  if (!isWord(seedLow) || !isWord(seedHigh) || !Number.isSafeInteger(state.offset) || state.offset < 0) {
    throw new ArgumentError(
      `setRandomState: state: got ${JSON.stringify(state)}, expected one from getRandomState: { seed: [low, high], offset }`,
    );
  }
  low = seedLow;
  high = seedHigh;
  offset = state.offset;
}

/**
 * Takes what `elements` elements draw from the stream, at one word each or two (native/runtime/philox.h says which ops need two).
 */
export function nextRandom(elements: number, wordsPerElement: 1 | 2 = 1): RandomStream {
  return nextRandomBlocks(Math.ceil((elements * wordsPerElement) / 4));
}

/** What an op that may draw gets instead when it does not. */
export const noRandom: RandomStream = [0, 0, -1];

/** Takes `blocks` of four words each from the stream. */
export function nextRandomBlocks(blocks: number): RandomStream {
  const stream: RandomStream = [low, high, offset];
  offset += blocks;
  return stream;
}
