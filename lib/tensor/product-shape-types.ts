/** Owns the shape types of einsum and of products of tensors, matrices and vectors. Written under the rules of shape-types.ts. */
import type { MatMul, MatMulCheck } from './layer-shape-types';
import type { Bad, BroadcastCheck, Good, May, MaySame, Rank, Shape, Show } from './shape-types';
import type { Multiply } from './size-types';

// ------------------------------------------------------------------------------------------------------------ fixed ranks

/** The ranks of operands, and how errors write them. */
interface Ranked {
  vector: [1, '[n]'];
  matrix: [2, '[m, n]'];
  matrices: [3, '[b, m, n]'];
}

/** Verdict: S is a vector, a matrix or a batch of matrices. */
export type RankedCheck<S extends Shape, K extends keyof Ranked, Op extends string> = S['length'] extends Rank
  ? May<S['length'], Ranked[K][0]> extends false
    ? Bad<`${Op}: wrong rank: got shape ${Show<S>}, expected ${Ranked[K][1]}`>
    : Good
  : Good;

/** Verdict: S and T have the ranks A and B and equal inner sizes. */
export type RankedProductCheck<
  S extends Shape,
  A extends keyof Ranked,
  T extends Shape,
  B extends keyof Ranked,
  Op extends string,
> =
  RankedCheck<S, A, Op> extends Bad<infer Message>
    ? Bad<Message>
    : RankedCheck<T, B, Op> extends Bad<infer Message>
      ? Bad<Message>
      : MatMulCheck<S, T, Op>;

/** Vectors [m] and [n] → [m, n]. */
export type Outer<S extends Shape, T extends Shape> = S extends readonly [infer M extends number]
  ? T extends readonly [infer N extends number]
    ? [M, N]
    : [M, number]
  : Shape;

/** Verdict: X broadcasts to the product of S and T. */
export type AddedCheck<X extends Shape, S extends Shape, T extends Shape, Op extends string> = BroadcastCheck<
  X,
  MatMul<S, T>,
  Op
>;

/** The Kronecker product: sizes multiply, from the last axis. */
export type Kron<S extends Shape, T extends Shape, Done extends Shape = []> = S extends readonly [
  ...infer SRest extends Shape,
  infer A extends number,
]
  ? T extends readonly [...infer TRest extends Shape, infer B extends number]
    ? Kron<SRest, TRest, [Multiply<A, B>, ...Done]>
    : T extends readonly []
      ? [...S, ...Done]
      : Shape
  : S extends readonly []
    ? T extends readonly [unknown, ...unknown[]] | []
      ? [...T, ...Done]
      : Shape
    : Shape;

// -------------------------------------------------------------------------------------------------------------- tensordot

/** What `tensordot` takes for the axes to sum over: so many, or those of each operand. */
export type DotAxes = number | readonly [readonly number[], readonly number[]];

/** One entry for each axis to sum over, where their number is known. */
type Counted<A extends DotAxes> = A extends 0
  ? []
  : A extends 1
    ? [number]
    : A extends 2
      ? [number, number]
      : A extends 3
        ? [number, number, number]
        : undefined;

/** The axes of S without its last, then those of T without its first. */
export type TensorDot<S extends Shape, T extends Shape, A extends DotAxes> =
  Counted<A> extends infer N extends Shape ? [...WithoutLast<S, N>, ...WithoutFirst<T, N>] : Shape;
type WithoutLast<S extends Shape, N extends Shape> = N extends readonly [number, ...infer Fewer extends Shape]
  ? S extends readonly [...infer Front extends Shape, number]
    ? WithoutLast<Front, Fewer>
    : Shape
  : S;
type WithoutFirst<S extends Shape, N extends Shape> = N extends readonly [number, ...infer Fewer extends Shape]
  ? S extends readonly [number, ...infer Back extends Shape]
    ? WithoutFirst<Back, Fewer>
    : Shape
  : S;

/** Verdict: the last sizes of S are the first of T. */
export type TensorDotCheck<S extends Shape, T extends Shape, A extends DotAxes> =
  Counted<A> extends infer N extends Shape
    ? MaySame<LastOf<S, N>, FirstOf<T, N>> extends false
      ? Bad<`tensordot: sizes differ: got a ${Show<S>} and b ${Show<T>}, expected the last ${A & number} of a as the first of b`>
      : Good
    : Good;
/** As many of the last sizes as N has; -1, which no size is, for one that is missing. */
type LastOf<S extends Shape, N extends Shape> = N extends readonly [number, ...infer Fewer extends Shape]
  ? S extends readonly [...infer Front extends Shape, infer Size extends number]
    ? [...LastOf<Front, Fewer>, Size]
    : S extends readonly []
      ? [-1]
      : Shape
  : [];
type FirstOf<S extends Shape, N extends Shape> = N extends readonly [number, ...infer Fewer extends Shape]
  ? S extends readonly [infer Size extends number, ...infer Back extends Shape]
    ? [Size, ...FirstOf<Back, Fewer>]
    : S extends readonly []
      ? [-2]
      : Shape
  : [];

// ----------------------------------------------------------------------------------------------------------------- einsum

type Spaceless<E extends string> = E extends `${infer A} ${infer B}` ? Spaceless<`${A}${B}`> : E;
type Terms<E extends string> = E extends `${infer First},${infer Rest}` ? [First, ...Terms<Rest>] : [E];

/** [label, size] for each axis of each operand. */
type Pairs<Ts extends readonly string[], Ss extends readonly Shape[]> = Ts extends readonly [
  infer T extends string,
  ...infer TRest extends readonly string[],
]
  ? Ss extends readonly [infer S extends Shape, ...infer SRest extends readonly Shape[]]
    ? PairsOf<T, S> | Pairs<TRest, SRest>
    : never
  : never;
type PairsOf<T extends string, S extends Shape> = T extends `${infer Label}${infer Labels}`
  ? S extends readonly [infer Size extends number, ...infer Sizes extends Shape]
    ? [Label, Size] | PairsOf<Labels, Sizes>
    : S extends readonly []
      ? never
      : [Label, number]
  : never;

/** The size of a label: one of size 1 is stretched to the others. */
type LabelSize<P, Label> = Stretched<SizesFor<P, Label>>;
type SizesFor<P, Label> = P extends readonly [Label, infer Size extends number] ? Size : never;
type Stretched<Size extends number> = [Exclude<Size, 1>] extends [never]
  ? Size
  : IsUnion<Exclude<Size, 1>> extends true
    ? number
    : Exclude<Size, 1>;
type IsUnion<T, All = T> = [T] extends [never] ? false : T extends All ? ([All] extends [T] ? false : true) : never;

/** The shape that the equation E makes of operands of shapes Ss; `Shape` without an output or with an ellipsis. */
export type Einsum<E extends string, Ss extends readonly Shape[]> = string extends E
  ? Shape
  : Spaceless<E> extends `${infer Inputs}->${infer Output}`
    ? E extends `${string}.${string}`
      ? Shape
      : SizesOf<Output, Pairs<Terms<Inputs>, Ss>>
    : Shape;
type SizesOf<Output extends string, P> = Output extends `${infer Label}${infer Labels}`
  ? [LabelSize<P, Label>, ...SizesOf<Labels, P>]
  : [];

/** Verdict: E has a term for each operand, a label for each of its axes, and one size for each label. */
export type EinsumCheck<E extends string, Ss extends readonly Shape[]> = string extends E
  ? Good
  : E extends `${string}.${string}`
    ? Good
    : Spaceless<E> extends `${infer Inputs}->${string}`
      ? TermsCheck<Terms<Inputs>, Ss, Pairs<Terms<Inputs>, Ss>>
      : TermsCheck<Terms<Spaceless<E>>, Ss, Pairs<Terms<Spaceless<E>>, Ss>>;
type TermsCheck<Ts extends readonly string[], Ss extends readonly Shape[], P> = number extends Ss['length']
  ? Good
  : May<Ts['length'], Ss['length']> extends false
    ? Bad<`einsum: operands: got ${Ss['length']}, expected ${Ts['length']}`>
    : EachTermCheck<Ts, Ss> extends Bad<infer Message>
      ? Bad<Message>
      : [Differing<P>] extends [never]
        ? Good
        : Bad<`einsum: sizes of ${Differing<P>} differ`>;
type EachTermCheck<Ts extends readonly string[], Ss extends readonly Shape[]> = Ts extends readonly [
  infer T extends string,
  ...infer TRest extends readonly string[],
]
  ? Ss extends readonly [infer S extends Shape, ...infer SRest extends readonly Shape[]]
    ? Fits<T, S> extends false
      ? Bad<`einsum: wrong rank: got shape ${Show<S>}, expected one axis for each letter of ${T}`>
      : EachTermCheck<TRest, SRest>
    : Good
  : Good;
type Fits<T extends string, S extends Shape> = T extends `${string}${infer Labels}`
  ? S extends readonly [number, ...infer Sizes extends Shape]
    ? Fits<Labels, Sizes>
    : S extends readonly []
      ? false
      : true
  : S extends readonly [number, ...Shape]
    ? false
    : true;
/** The labels that have two certain sizes other than 1. */
type Differing<P, Labels = P extends readonly [infer Label, number] ? Label : never> = Labels extends string
  ? IsUnion<Exclude<SizesFor<P, Labels>, 1>> extends true
    ? Labels
    : never
  : never;
