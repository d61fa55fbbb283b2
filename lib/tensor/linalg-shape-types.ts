/** Owns the shape types of linear algebra. Written under the rules of shape-types.ts. */
import type { Bad, Good, May, Shape, Show } from './shape-types';

/** Verdict: the last two sizes are equal. */
export type SquareCheck<S extends Shape, Op extends string> = S extends readonly [
  ...Shape,
  infer M extends number,
  infer N extends number,
]
  ? May<M, N> extends false
    ? Bad<`${Op}: not square: got x of shape ${Show<S>}, expected [..., n, n]`>
    : Good
  : S extends readonly [] | readonly [number]
    ? Bad<`${Op}: not square: got x of shape ${Show<S>}, expected [..., n, n]`>
    : Good;

/** The batch axes of matrices. */
export type Batch<S extends Shape> = S extends readonly [...infer Front extends Shape, number, number] ? Front : Shape;

type Smaller<M extends number, N extends number> = [M] extends [N] ? ([N] extends [M] ? M : number) : number;

/** [..., n, n] → [..., n]. */
export type Eigenvalues<S extends Shape> = S extends readonly [...infer Front extends Shape, number] ? Front : Shape;

/** [..., m, n] → [..., k], where k is the smaller size; known where they are equal. */
export type SingularValues<S extends Shape> = S extends readonly [
  ...infer Front extends Shape,
  infer M extends number,
  infer N extends number,
]
  ? [...Front, Smaller<M, N>]
  : Shape;
