/**
 * Owns shapes as types: the compile-time twins of the shape rules in shapes.ts and lib/ops. Every rule has a result (`MatMul<S, T>`)
 * and, where it can fail, a verdict (`MatMulCheck<S, T>`), which a signature demands of an argument:
 *
 *     matmul<T extends Shape, E extends DType>(other: Tensor<T, E> & Ok<MatMulCheck<S, T>>): Tensor<MatMul<S, T>, Promote<D, E>>;
 *
 * Types never reject what runs: `number` fits every size, and a shape whose rank is not known (`Shape`) fits every rule and gives
 * `Shape`, or as much as is certain.
 *
 * Rules for writing them:
 * - S stands left of `extends` or indexes a table, never right of `extends`. So the compiler can prove `Tensor<out S>` (error TS2636
 *   where it cannot), and relates two tensor types by their parameters instead of by all their methods.
 * - The first condition tells tuples from `Shape`, so that code generic in S (checked with S = Shape) resolves at once.
 * - A bad result is as wide as need be: the verdict has reported it, and nothing that follows should.
 */
import type { Add, Divide, Multiply, Subtract } from './size-types';

/** The sizes of a tensor's axes: a tuple such as `[2, 3]` or `[number, 3]` where they are known, `number[]` where not. */
export type Shape = readonly number[];

/** The type of a tensor's shape for the argument S of a creation function: without `readonly`; `Shape` where the rank is not known. */
export type Sized<S extends Shape> = S['length'] extends Rank ? [...S] : Shape;

/** The shape of an operand: that of a tensor, `[]` of a number. */
export type ShapeOf<O> = O extends { readonly shape: infer S extends Shape } ? S : [];

/** What a method takes for its axes: one, several, or all of them. */
export type Axes = number | readonly number[] | undefined;

// ---------------------------------------------------------------------------------------------------------------- verdicts

declare const problem: unique symbol;

/** What no value is: an argument of this type is a compile error that shows `Message`. */
export interface ShapeError<Message extends string> {
  readonly [problem]: Message;
}
export interface Good {
  argument: unknown;
}
export interface Bad<Message extends string> {
  argument: ShapeError<Message>;
}
export type Verdict = { argument: unknown };

/**
 * `unknown` for a good verdict, `ShapeError<message>` for a bad one. An index and not a conditional type, because the compiler
 * replaces a type parameter in an index by its constraint: code that is generic in S passes.
 */
export type Ok<V extends Verdict> = V['argument'];

/** The first bad verdict of the two. */
type Both<V extends Verdict, W extends Verdict> = V extends Bad<string> ? V : W;

/** A shape as errors print it: `[32, number]`. */
export type Show<S extends Shape> = S extends readonly [infer Size extends number, ...infer Rest extends Shape]
  ? `[${ShowSize<Size>}${ShowRest<Rest>}`
  : S extends readonly []
    ? '[]'
    : 'Shape';
type ShowRest<S extends Shape> = S extends readonly [infer Size extends number, ...infer Rest extends Shape]
  ? `, ${ShowSize<Size>}${ShowRest<Rest>}`
  : ']';
type ShowSize<Size extends number> = number extends Size ? 'number' : `${Size}`;

/** Whether two sizes may be equal. Unions of sizes: whether any two may. */
export type May<A extends number, B extends number> = [A & B] extends [never] ? false : true;

type Product<S extends Shape, Total extends number = 1> = S extends readonly [
  infer Size extends number,
  ...infer Rest extends Shape,
]
  ? Product<Rest, Multiply<Total, Size>>
  : S extends readonly []
    ? Total
    : number;

// -------------------------------------------------------------------------------------------------------------------- axes

/**
 * The sizes before and after each axis, as patterns: `[...Before[A], Size, ...After[A]]` matches a tuple that has axis A, which may
 * be negative.
 */
interface Before {
  0: [];
  1: [number];
  2: [number, number];
  3: [number, number, number];
  4: [number, number, number, number];
  5: [number, number, number, number, number];
  6: [number, number, number, number, number, number];
  7: [number, number, number, number, number, number, number];
  [-1]: number[];
  [-2]: number[];
  [-3]: number[];
  [-4]: number[];
  [-5]: number[];
  [-6]: number[];
  [-7]: number[];
  [-8]: number[];
}
interface After {
  0: number[];
  1: number[];
  2: number[];
  3: number[];
  4: number[];
  5: number[];
  6: number[];
  7: number[];
  [-1]: [];
  [-2]: [number];
  [-3]: [number, number];
  [-4]: [number, number, number];
  [-5]: [number, number, number, number];
  [-6]: [number, number, number, number, number];
  [-7]: [number, number, number, number, number, number];
  [-8]: [number, number, number, number, number, number, number];
}
type Axis = keyof Before;
/** The ranks that tensors have; the length of a tuple is one of them, that of an array is not. */
export type Rank = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** The size of axis A; `number` where it is not known. */
export type SizeAt<S extends Shape, A extends number> = A extends Axis
  ? S extends readonly [...Before[A], infer Size extends number, ...After[A]]
    ? Size
    : number
  : number;

/** S with axis A replaced by the sizes X: none, one or several. */
type Replace<S extends Shape, A extends number, X extends Shape> = A extends Axis
  ? number extends Before[A]['length']
    ? ReplaceBack<S, After[A], X>
    : ReplaceFront<S, Before[A], X>
  : Shape;
type ReplaceFront<S extends Shape, Skip extends Shape, X extends Shape> = S extends readonly [
  infer Size extends number,
  ...infer Rest extends Shape,
]
  ? Skip extends readonly [number, ...infer Less extends Shape]
    ? [Size, ...ReplaceFront<Rest, Less, X>]
    : [...X, ...Rest]
  : Shape;
type ReplaceBack<S extends Shape, Skip extends Shape, X extends Shape> = S extends readonly [
  ...infer Rest extends Shape,
  infer Size extends number,
]
  ? Skip extends readonly [number, ...infer Less extends Shape]
    ? [...ReplaceBack<Rest, Less, X>, Size]
    : [...Rest, ...X]
  : Shape;

/** S with the size of axis A set to N: slice, split, cat, topk. */
export type Resize<S extends Shape, A extends number, N extends number> = Replace<S, A, [N]>;

/** Verdict: every axis of A is one of S, and none is given twice. */
export type AxisCheck<S extends Shape, A extends Axes, Op extends string = 'axis'> = S extends readonly unknown[]
  ? S['length'] extends Rank
    ? A extends number
      ? OneAxisCheck<S, A, Op>
      : A extends readonly number[]
        ? EachAxisCheck<S, A, Op>
        : Good
    : Good
  : never;
type OneAxisCheck<S extends Shape, A extends number, Op extends string> = A extends Axis
  ? S extends readonly [...Before[A], number, ...After[A]]
    ? Good
    : OutOfRange<S, A, Op>
  : number extends A
    ? Good
    : OutOfRange<S, A, Op>;
type OutOfRange<
  S extends Shape,
  A extends number,
  Op extends string,
> = Bad<`${Op}: axis ${A} out of range for shape ${Show<S>}`>;
type EachAxisCheck<S extends Shape, A extends Shape, Op extends string, Marked extends Shape = S> = A extends readonly [
  infer First extends number,
  ...infer Rest extends Shape,
]
  ? OneAxisCheck<S, First, Op> extends Bad<infer Message>
    ? Bad<Message>
    : SizeAt<Marked, First> extends Mark
      ? Bad<`${Op}: axis ${FromFront<S, First>} given twice for shape ${Show<S>}`>
      : EachAxisCheck<S, Rest, Op, Replace<Marked, First, [Mark]>>
  : Good;

/** The axis A counted from the front. */
type FromFront<S extends Shape, A extends number> = A extends Axis
  ? number extends Before[A]['length']
    ? S extends readonly [...infer Front, number, ...After[A]]
      ? Front['length'] & number
      : A
    : A
  : A;

/** Takes the place of the size of an axis while several are dealt with. */
type Mark = -1;

// -------------------------------------------------------------------------------------------------------------- reductions

/** The shape after a reduction over A (`undefined`: all axes). */
export type Reduce<
  S extends Shape,
  A extends Axes = undefined,
  KeepDims extends boolean = false,
> = boolean extends KeepDims
  ? Shape
  : A extends number
    ? Replace<S, A, KeepDims extends true ? [1] : []>
    : A extends readonly number[]
      ? number extends A['length']
        ? Shape
        : Unmark<MarkAll<S, A>, KeepDims>
      : KeepDims extends true
        ? Ones<S>
        : [];
type MarkAll<S extends Shape, A extends Shape> = A extends readonly [
  infer First extends number,
  ...infer Rest extends Shape,
]
  ? MarkAll<Replace<S, First, [Mark]>, Rest>
  : S;
type Unmark<S extends Shape, KeepDims extends boolean> = S extends readonly [
  infer Size extends number,
  ...infer Rest extends Shape,
]
  ? Size extends Mark
    ? [...(KeepDims extends true ? [1] : []), ...Unmark<Rest, KeepDims>]
    : [Size, ...Unmark<Rest, KeepDims>]
  : S extends readonly []
    ? []
    : Shape;
type Ones<S extends Shape> = S extends readonly [number, ...infer Rest extends Shape]
  ? [1, ...Ones<Rest>]
  : S extends readonly []
    ? []
    : Shape;

/** The shape without axis A: one index of it, as `x.select(axis, index)`. */
export type Select<S extends Shape, A extends number> = Replace<S, A, []>;

/** Verdict: axis A is there and has an index I, counted from the end when negative. */
export type SelectCheck<S extends Shape, A extends number, I extends number, Op extends string = 'select'> = Both<
  AxisCheck<S, A, Op>,
  S extends readonly unknown[]
    ? IsIndex<I, SizeAt<S, A>> extends false
      ? Bad<`${Op}: index ${I} out of range for axis ${A} of shape ${Show<S>}`>
      : Good
    : never
>;
/** Whether -Size <= I < Size; `boolean` where that is not known. */
type IsIndex<I extends number, Size extends number> = number extends I | Size
  ? boolean
  : `${I}` extends `-${infer Back extends number}`
    ? number extends Subtract<Size, Back>
      ? false
      : true
    : number extends Subtract<Size, Add<I, 1>>
      ? false
      : true;

// ------------------------------------------------------------------------------------------------------------ broadcasting

/** The common shape of operands. */
export type Broadcast<S extends Shape, T extends Shape> = BroadcastFrom<S, T, []>;
type BroadcastFrom<S extends Shape, T extends Shape, Done extends Shape> = S extends readonly [
  ...infer SRest extends Shape,
  infer A extends number,
]
  ? T extends readonly [...infer TRest extends Shape, infer B extends number]
    ? BroadcastFrom<SRest, TRest, [Wider<A, B>, ...Done]>
    : T extends readonly []
      ? [...S, ...Done]
      : Shape
  : S extends readonly []
    ? T extends readonly [unknown, ...unknown[]] | []
      ? [...T, ...Done]
      : Shape
    : Shape;
/** The size of two that broadcast. A literal other than 1 is certain, whatever `number` turns out to be. */
type Wider<A extends number, B extends number> = A extends 1
  ? B
  : B extends 1
    ? A
    : A extends B
      ? A
      : B extends A
        ? B
        : number;

/** Verdict: the shapes broadcast. */
export type BroadcastCheck<S extends Shape, T extends Shape, Op extends string = 'broadcast'> = S extends unknown
  ? T extends unknown
    ? Clash<S, T> extends infer Message extends string
      ? [Message] extends [never]
        ? Good
        : Bad<`${Op}: shapes ${Show<S>} and ${Show<T>} do not broadcast: ${Message}`>
      : never
    : never
  : never;
/** The first axis, counted from the end of both, where S and T clash; `never` for none. */
type Clash<
  S extends Shape,
  T extends Shape,
  Passed extends Shape = [0],
  Found extends string = never,
> = S extends readonly [...infer SRest extends Shape, infer A extends number]
  ? T extends readonly [...infer TRest extends Shape, infer B extends number]
    ? Clash<
        SRest,
        TRest,
        [...Passed, 0],
        May<A, B> | May<A, 1> | May<B, 1> extends false ? `${A} vs ${B} at axis -${Passed['length']}` : Found
      >
    : T extends readonly []
      ? Found
      : never
  : S extends readonly []
    ? Found
    : never;

/** The shape that `x.expand(T)` has: T, where -1 keeps the size. */
export type Expand<S extends Shape, T extends Shape> = T extends readonly [
  ...infer TRest extends Shape,
  infer B extends number,
]
  ? S extends readonly [...infer SRest extends Shape, infer A extends number]
    ? [...Expand<SRest, TRest>, B extends -1 ? A : B]
    : S extends readonly []
      ? [...T]
      : [...Expand<S, TRest>, B extends -1 ? number : B]
  : T extends readonly []
    ? []
    : Shape;

/** Verdict: S can be expanded to T: its sizes are those of T, -1 in T, or 1. */
export type ExpandCheck<S extends Shape, T extends Shape> = S extends unknown
  ? T extends unknown
    ? Stretches<S, T> extends false
      ? Bad<`expand: shape does not fit: got ${Show<S>}, expected one that broadcasts to ${Show<T>}`>
      : Good
    : never
  : never;
type Stretches<S extends Shape, T extends Shape> = S extends readonly [
  ...infer SRest extends Shape,
  infer A extends number,
]
  ? T extends readonly [...infer TRest extends Shape, infer B extends number]
    ? May<A, 1> | May<A, B> | May<B, -1> extends false
      ? false
      : Stretches<SRest, TRest>
    : T extends readonly []
      ? false
      : true
  : true;

// ---------------------------------------------------------------------------------------------------------- moving the axes

/** The shape with axes A and B exchanged. */
export type Transpose<S extends Shape, A extends number = -2, B extends number = -1> = Replace<
  Replace<S, A, [SizeAt<S, B>]>,
  B,
  [SizeAt<S, A>]
>;

/** The shape with the axes in the order P; all of them reversed for `undefined`. */
export type Permute<S extends Shape, P extends readonly number[] | undefined = undefined> = P extends readonly [
  infer First extends number,
  ...infer Rest extends Shape,
]
  ? [SizeAt<S, First>, ...Permute<S, Rest>]
  : P extends readonly []
    ? []
    : P extends undefined
      ? Reverse<S>
      : Shape;
type Reverse<S extends Shape> = S extends readonly [infer Size extends number, ...infer Rest extends Shape]
  ? [...Reverse<Rest>, Size]
  : S extends readonly []
    ? []
    : Shape;

/** Verdict: P names every axis of S once. */
export type PermuteCheck<
  S extends Shape,
  P extends readonly number[] | undefined,
  Op extends string = 'permute',
> = S extends unknown
  ? S['length'] extends Rank
    ? P extends Shape & { readonly length: Rank }
      ? Both<
          RangeCheck<S, P, Op>,
          AllMarked<MarkAll<S, P>> | May<S['length'], P['length']> extends true
            ? Good
            : Bad<`${Op}: axes: got ${Show<P>}, expected every axis of shape ${Show<S>} once`>
        >
      : Good
    : Good
  : never;
/** Verdict: every axis of A is one of S. */
type RangeCheck<S extends Shape, A extends Shape, Op extends string> = A extends readonly [
  infer First extends number,
  ...infer Rest extends Shape,
]
  ? Both<OneAxisCheck<S, First, Op>, RangeCheck<S, Rest, Op>>
  : Good;
type AllMarked<S extends Shape> = S extends readonly [infer Size extends number, ...infer Rest extends Shape]
  ? Size extends Mark
    ? AllMarked<Rest>
    : false
  : true;

/** The shape without axes of size 1: all of them, or only A where its size is 1 (of several axes it is not known). */
export type Squeeze<S extends Shape, A extends Axes = undefined> = A extends readonly number[]
  ? Shape
  : A extends number
    ? SizeAt<S, A> extends infer Size extends number
      ? number extends Size
        ? Shape
        : Size extends 1
          ? Replace<S, A, []>
          : S
      : never
    : SqueezeAll<S>;
type SqueezeAll<S extends Shape, Done extends Shape = []> = S extends readonly [
  infer Size extends number,
  ...infer Rest extends Shape,
]
  ? number extends Size
    ? Shape
    : SqueezeAll<Rest, Size extends 1 ? Done : [...Done, Size]>
  : S extends readonly []
    ? Done
    : Shape;

/** The shape with a new axis A of size N: unsqueeze, stack. */
export type Insert<S extends Shape, A extends number, N extends number = 1> = S['length'] extends Rank
  ? A extends Axis
    ? number extends Before[A]['length']
      ? InsertBack<S, After[A], N>
      : InsertFront<S, Before[A], N>
    : Shape
  : Shape;
type InsertFront<S extends Shape, Skip extends Shape, N extends number> = Skip extends readonly [
  number,
  ...infer Less extends Shape,
]
  ? S extends readonly [infer Size extends number, ...infer Rest extends Shape]
    ? [Size, ...InsertFront<Rest, Less, N>]
    : Shape
  : [N, ...S];
type InsertBack<S extends Shape, Skip extends Shape, N extends number> = Skip extends readonly [
  number,
  ...infer Less extends Shape,
]
  ? S extends readonly [...infer Rest extends Shape, infer Size extends number]
    ? [...InsertBack<Rest, Less, N>, Size]
    : Shape
  : [...S, N];

/** Verdict: a new axis A fits between, before or behind those of S. */
export type InsertCheck<S extends Shape, A extends number, Op extends string = 'unsqueeze'> = S extends unknown
  ? AxisCheck<[...S, 1], A, Op> extends Bad<string>
    ? Bad<`${Op}: axis ${A} out of range for shape ${Show<S>}`>
    : Good
  : never;

// ------------------------------------------------------------------------------------------------------------------ reshape

/** The shape T that S is viewed as; a -1 stands for the size that is left. */
export type Reshape<S extends Shape, T extends Shape> = -1 extends T[number] ? Fill<T, Remaining<S, T>> : Sized<T>;
type Fill<T extends Shape, N extends number> = T extends readonly [
  infer Size extends number,
  ...infer Rest extends Shape,
]
  ? [Size extends -1 ? N : Size, ...Fill<Rest, N>]
  : T extends readonly []
    ? []
    : Shape;
/** The size that -1 stands for. Sizes that S and T share cancel before anything is multiplied. */
type Remaining<S extends Shape, T extends Shape> =
  Cancel<S, T> extends [infer X extends Shape, infer Y extends Shape] ? Divide<Product<X>, Product<Y>> : number;
/** [S, T] without the literal sizes that both have, and without -1. Zeros stay. */
type Cancel<S extends Shape, T extends Shape, Done extends Shape = []> = S extends readonly [
  infer Size extends number,
  ...infer Rest extends Shape,
]
  ? Without<T, Size> extends infer Less extends Shape
    ? Less['length'] extends T['length']
      ? Cancel<Rest, T, [...Done, Size]>
      : Cancel<Rest, Less, Done>
    : never
  : S extends readonly []
    ? [Done, Without<T, -1>]
    : [Shape, T];
type Without<T extends Shape, N extends number, Done extends Shape = []> = number extends N
  ? T
  : N extends 0
    ? T
    : T extends readonly [infer Size extends number, ...infer Rest extends Shape]
      ? Size extends N
        ? [...Done, ...Rest]
        : Without<Rest, N, [...Done, Size]>
      : [...Done, ...T];

/** Verdict: S and T have the same number of elements, where both are known. */
export type ReshapeCheck<S extends Shape, T extends Shape, Op extends string = 'reshape'> = S extends unknown
  ? -1 extends T[number]
    ? Good
    : Cancel<S, T> extends [infer X extends Shape, infer Y extends Shape]
      ? May<Product<X>, Product<Y>> extends false
        ? Bad<`${Op}: number of elements differs: got shape ${Show<S>} with ${Product<S>}, expected ${Show<T>} with ${Product<T>}`>
        : Good
      : Good
  : never;

/** The shape with the axes from A to B, both included, made one. */
export type Flatten<S extends Shape, A extends number = 0, B extends number = -1> = S extends readonly []
  ? [1]
  : S['length'] extends Rank
    ? A extends Axis
      ? B extends Axis
        ? FlattenAfter<S, FrontOf<S, A>, BackOf<S, B>>
        : Shape
      : Shape
    : Shape;
type FlattenAfter<S extends Shape, Front extends Shape, Back extends Shape> = Front extends readonly [
  number,
  ...infer Less extends Shape,
]
  ? S extends readonly [infer Size extends number, ...infer Rest extends Shape]
    ? [Size, ...FlattenAfter<Rest, Less, Back>]
    : Shape
  : FlattenBefore<S, Back>;
type FlattenBefore<S extends Shape, Back extends Shape> = Back extends readonly [number, ...infer Less extends Shape]
  ? S extends readonly [...infer Rest extends Shape, infer Size extends number]
    ? [...FlattenBefore<Rest, Less>, Size]
    : Shape
  : [Product<S>];
/** The sizes before axis A, and those after it. */
type FrontOf<S extends Shape, A extends Axis> = number extends Before[A]['length']
  ? S extends readonly [...infer Front extends Shape, number, ...After[A]]
    ? Front
    : []
  : Before[A];
type BackOf<S extends Shape, A extends Axis> = number extends After[A]['length']
  ? S extends readonly [...Before[A], number, ...infer Back extends Shape]
    ? Back
    : []
  : After[A];

// -------------------------------------------------------------------------------------------------------- joining and slicing

/** The shape of tensors of shapes Ss joined along axis A. */
export type Cat<Ss extends readonly Shape[], A extends number> = Ss extends readonly [infer First extends Shape]
  ? Sized<First>
  : Ss extends readonly [infer First extends Shape, infer Second extends Shape, ...infer Rest extends readonly Shape[]]
    ? Cat<[Cat2<First, Second, A>, ...Rest], A>
    : Resize<Ss[number], A, number>;
type Cat2<S extends Shape, T extends Shape, A extends number> = Resize<Merge<S, T>, A, Add<SizeAt<S, A>, SizeAt<T, A>>>;
/** Of two sizes that must be equal, the one that is certain; `number` for sizes that differ. */
type Merge<S extends Shape, T extends Shape> = S extends readonly [infer A extends number, ...infer SRest extends Shape]
  ? T extends readonly [infer B extends number, ...infer TRest extends Shape]
    ? [A extends B ? A : B extends A ? B : number, ...Merge<SRest, TRest>]
    : Sized<S>
  : S extends readonly []
    ? []
    : Sized<T>;

/** Verdict: shapes Ss have axis A and differ only there. */
export type CatCheck<Ss extends readonly Shape[], A extends number, Op extends string = 'cat'> = Ss extends readonly [
  infer First extends Shape,
  ...infer Rest extends readonly Shape[],
]
  ? Both<AxisCheck<First, A, Op>, EachBesideCheck<First, Rest, A, Op>>
  : Good;
type EachBesideCheck<
  S extends Shape,
  Ts extends readonly Shape[],
  A extends number,
  Op extends string,
  Passed extends Shape = [0],
> = Ts extends readonly [infer T extends Shape, ...infer Rest extends readonly Shape[]]
  ? MaySame<Resize<S, A, number>, Resize<T, A, number>> extends false
    ? Bad<`${Op}: tensors[${Passed['length']}] does not fit along axis ${A}: got shape ${Show<T>}, expected ${Show<S>} except at that axis`>
    : EachBesideCheck<S, Rest, A, Op, [...Passed, 0]>
  : Good;

/** Whether two shapes may be equal. */
export type MaySame<S extends Shape, T extends Shape> = S extends readonly [
  infer A extends number,
  ...infer SRest extends Shape,
]
  ? T extends readonly [infer B extends number, ...infer TRest extends Shape]
    ? May<A, B> extends false
      ? false
      : MaySame<SRest, TRest>
    : T extends readonly []
      ? false
      : true
  : S extends readonly []
    ? T extends readonly [number, ...Shape]
      ? false
      : true
    : true;

/** Verdict: the shapes are equal. */
export type SameCheck<S extends Shape, T extends Shape, Op extends string> =
  MaySame<S, T> extends false
    ? Bad<`${Op}: shapes differ: got input ${Show<S>} and target ${Show<T>}, expected one shape`>
    : Good;

/** The shape of tensors of shapes Ss laid along a new axis A. */
export type Stack<Ss extends readonly Shape[], A extends number> = Ss extends readonly [
  infer First extends Shape,
  ...(readonly Shape[]),
]
  ? Insert<First, A, Ss['length']>
  : Insert<Ss[number], A, number>;

/** Verdict: shapes Ss are equal and a new axis A fits in. */
export type StackCheck<
  Ss extends readonly Shape[],
  A extends number,
  Op extends string = 'stack',
> = Ss extends readonly [infer First extends Shape, ...infer Rest extends readonly Shape[]]
  ? Both<InsertCheck<First, A, Op>, EachSameCheck<First, Rest, Op>>
  : Good;
type EachSameCheck<
  S extends Shape,
  Ts extends readonly Shape[],
  Op extends string,
  Passed extends Shape = [0],
> = Ts extends readonly [infer T extends Shape, ...infer Rest extends readonly Shape[]]
  ? MaySame<S, T> extends false
    ? Bad<`${Op}: tensors[${Passed['length']}] has another shape: got ${Show<T>}, expected ${Show<S>}`>
    : EachSameCheck<S, Rest, Op, [...Passed, 0]>
  : Good;

/** The shape of the indices from Start up to End along axis A. Both count from the end when negative and stop at the ends. */
export type Slice<
  S extends Shape,
  A extends number,
  Start extends number | undefined = undefined,
  End extends number | undefined = undefined,
> = Resize<
  S,
  A,
  Subtract<
    SliceEnd<SizeAt<S, A>, End extends number ? End : SizeAt<S, A>>,
    SliceEnd<SizeAt<S, A>, Start extends number ? Start : 0>
  >
>;
type SliceEnd<Size extends number, I extends number> = I extends 0
  ? 0
  : number extends I | Size
    ? number
    : `${I}` extends `-${infer Back extends number}`
      ? Subtract<Size, Back>
      : number extends Subtract<Size, I>
        ? Size
        : I;
