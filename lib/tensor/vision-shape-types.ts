/** Owns the shape types of sampling grids, unpooling and boxes. Written under the rules of shape-types.ts. */
import type { Bad, Good, May, Resize, Shape, Show, SizeAt } from './shape-types';
import type { Add, Multiply, Subtract } from './size-types';

/** x [n, c, …space] sampled by a grid [n, …out, axes]: [n, c, …out]. */
export type GridSample<S extends Shape, G extends Shape> = G extends readonly [
  infer N extends number,
  ...infer Out extends Shape,
  number,
]
  ? S extends readonly [infer M extends number, infer C extends number, ...Shape]
    ? [N extends M ? N : M, C, ...Out]
    : Shape
  : Shape;

/** Verdict: x and the grid have the ranks and the batch size of one another, and the grid a coordinate for each axis of space. */
export type GridSampleCheck<S extends Shape, G extends Shape, Op extends string = 'gridSample'> = S extends readonly [
  infer N extends number,
  number,
  number,
  number,
  ...infer Rest extends readonly [] | readonly [number],
]
  ? G extends readonly [
      infer M extends number,
      number,
      number,
      ...infer Depth extends readonly [] | readonly [number],
      infer Axes extends number,
    ]
    ? May<Rest['length'], Depth['length']> | May<Axes, Rest extends readonly [] ? 2 : 3> | May<N, M> extends true
      ? Good
      : GridMisfit<S, G, Op>
    : number extends G['length']
      ? Good
      : GridMisfit<S, G, Op>
  : number extends S['length']
    ? Good
    : Bad<`${Op}: wrong rank: got shape ${Show<S>}, expected [n, c, h, w] or [n, c, d, h, w]`>;
type GridMisfit<
  S extends Shape,
  G extends Shape,
  Op extends string,
> = Bad<`${Op}: grid does not fit: got shape ${Show<G>} for x ${Show<S>}, expected [n, …, axes] of its rank and batch`>;

/** The grid for an output of size [n, c, …space]: [n, …space, axes]. */
export type AffineGrid<Size extends Shape> = Size extends readonly [
  infer N extends number,
  number,
  ...infer Space extends Shape,
]
  ? [N, ...Space, Space['length'] & number]
  : Shape;

/** The number of `P` for axis I: P itself, or its place in a list. */
type At<P, I> = P extends number ? P : I extends keyof P ? P[I] & number : number;

/** (size − 1)·stride − 2·padding + kernel along each axis. */
type Unpooled<Sizes extends Shape, K, Stride, Padding> = {
  [I in keyof Sizes]: Subtract<
    Add<Multiply<Subtract<Sizes[I], 1>, At<Stride, I>>, At<K, I>>,
    Multiply<At<Padding, I>, 2>
  >;
};

/** S [...batch, c, …space] unpooled along its N last axes; these are open where another size than the least is asked for. */
export type MaxUnpool<
  S extends Shape,
  N extends 1 | 2 | 3,
  K,
  Stride,
  Padding,
  Size extends Shape | undefined,
> = Size extends undefined
  ? N extends 1
    ? S extends readonly [...infer Front extends Shape, infer L extends number]
      ? [...Front, ...Unpooled<[L], K, Stride, Padding>]
      : Shape
    : N extends 2
      ? S extends readonly [...infer Front extends Shape, infer H extends number, infer W extends number]
        ? [...Front, ...Unpooled<[H, W], K, Stride, Padding>]
        : Shape
      : S extends readonly [
            ...infer Front extends Shape,
            infer D extends number,
            infer H extends number,
            infer W extends number,
          ]
        ? [...Front, ...Unpooled<[D, H, W], K, Stride, Padding>]
        : Shape
  : N extends 1
    ? Resize<S, -1, number>
    : N extends 2
      ? Resize<Resize<S, -1, number>, -2, number>
      : Resize<Resize<Resize<S, -1, number>, -2, number>, -3, number>;

/** Verdict: boxes [k, N]. */
export type BoxesCheck<B extends Shape, N extends number, Op extends string> = B extends readonly [
  number,
  infer M extends number,
]
  ? May<M, N> extends false
    ? Bad<`${Op}: boxes: got shape ${Show<B>}, expected [k, ${N}]`>
    : Good
  : number extends B['length']
    ? Good
    : Bad<`${Op}: boxes: got shape ${Show<B>}, expected [k, ${N}]`>;

/** Regions of x [n, c, h, w] for boxes [k, 5], pooled to P: [k, c, ph, pw]. */
export type RoiAlign<S extends Shape, B, P> = S extends readonly [number, infer C extends number, number, number]
  ? [B extends { readonly shape: infer T extends Shape } ? SizeAt<T, 0> : number, C, At<P, '0'>, At<P, '1'>]
  : Shape;

/** The sizes `P` (one, or a list) for the N spatial axes of S, which keeps its other axes; null is the axis's own. Open for anything else. */
export type Resized<S extends Shape, P, N extends 1 | 2 | 3> = N extends 1
  ? S extends readonly [...infer Front extends Shape, infer L extends number]
    ? [...Front, SizeOr<P, '0', L>]
    : Shape
  : N extends 2
    ? S extends readonly [...infer Front extends Shape, infer H extends number, infer W extends number]
      ? [...Front, SizeOr<P, '0', H>, SizeOr<P, '1', W>]
      : Shape
    : S extends readonly [
          ...infer Front extends Shape,
          infer D extends number,
          infer H extends number,
          infer W extends number,
        ]
      ? [...Front, SizeOr<P, '0', D>, SizeOr<P, '1', H>, SizeOr<P, '2', W>]
      : Shape;
type SizeOr<P, I, Own extends number> = P extends null
  ? Own
  : P extends number
    ? P
    : I extends keyof P
      ? P[I] extends null
        ? Own
        : P[I] extends number
          ? P[I]
          : number
      : number;

/** x [n, c, …space] interpolated to `P`, or to sizes that follow from factors. */
export type Interpolated<S extends Shape, P> = S extends readonly [
  infer N extends number,
  infer C extends number,
  ...infer Space extends Shape,
]
  ? [N, C, ...{ [I in keyof Space]: P extends number ? P : I extends keyof P ? P[I] & number : number }]
  : Shape;

/** Verdict: one to three axes of space behind batch and channels. */
export type SpaceCheck<S extends Shape, Op extends string> = S extends
  readonly [] | readonly [number] | readonly [number, number]
  ? Bad<`${Op}: wrong rank: got shape ${Show<S>}, expected [n, c, …] with one to three axes more`>
  : Good;

/** Rows [k, …] reduced to N segments. */
export type Segments<S extends Shape, N extends number> = S extends readonly [number, ...infer Rest extends Shape]
  ? [N, ...Rest]
  : Shape;

/** Verdict: an index [k] for rows [k, …]. */
export type SegmentsCheck<S extends Shape, I extends Shape, Op extends string> = I extends readonly [
  infer K extends number,
]
  ? May<SizeAt<S, 0>, K> extends false
    ? Bad<`${Op}: index does not fit: got shape ${Show<I>} for x ${Show<S>}, expected one place for each row`>
    : Good
  : number extends I['length']
    ? Good
    : Bad<`${Op}: index does not fit: got shape ${Show<I>} for x ${Show<S>}, expected one place for each row`>;
