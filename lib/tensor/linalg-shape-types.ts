/** Owns the shape types of linear algebra. Written under the rules of shape-types.ts. */
import type { Bad, Good, May, Rank, Shape, Show } from './shape-types';

/** Verdict: the last two sizes are equal. */
export type SquareCheck<S extends Shape, Op extends string, Name extends string = 'x'> = S extends readonly [
  ...Shape,
  infer M extends number,
  infer N extends number,
]
  ? May<M, N> extends false
    ? Bad<`${Op}: not square: got ${Name} of shape ${Show<S>}, expected [..., n, n]`>
    : Good
  : S extends readonly [] | readonly [number]
    ? Bad<`${Op}: not square: got ${Name} of shape ${Show<S>}, expected [..., n, n]`>
    : Good;

/** The batch axes of matrices. */
export type Batch<S extends Shape> = S extends readonly [...infer Front extends Shape, number, number] ? Front : Shape;

type Smaller<M extends number, N extends number> = [M] extends [N] ? ([N] extends [M] ? M : number) : number;

/** [..., n, n] → [..., n]. */
export type Eigenvalues<S extends Shape> = S extends readonly [...infer Front extends Shape, number] ? Front : Shape;

/** Complex numbers of shape S as pairs along a last axis. */
export type Pairs<S extends Shape> = S['length'] extends Rank ? [...S, 2] : Shape;

/** [..., m, n] → [..., k], where k is the smaller size; known where they are equal. */
export type SingularValues<S extends Shape> = S extends readonly [
  ...infer Front extends Shape,
  infer M extends number,
  infer N extends number,
]
  ? [...Front, Smaller<M, N>]
  : Shape;

/** [..., m, n] → [..., m, m], a permutation of the rows. */
export type RowPermutation<S extends Shape> = S extends readonly [
  ...infer Front extends Shape,
  infer M extends number,
  number,
]
  ? [...Front, M, M]
  : Shape;

/** [..., m, n] → [..., m, k], where k is the smaller size. */
export type LowerFactor<S extends Shape> = S extends readonly [
  ...infer Front extends Shape,
  infer M extends number,
  infer N extends number,
]
  ? [...Front, M, Smaller<M, N>]
  : Shape;

/** [..., m, n] → [..., k, n], where k is the smaller size. */
export type UpperFactor<S extends Shape> = S extends readonly [
  ...infer Front extends Shape,
  infer M extends number,
  infer N extends number,
]
  ? [...Front, Smaller<M, N>, N]
  : Shape;
