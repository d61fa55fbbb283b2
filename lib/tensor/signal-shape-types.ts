/** Owns the shape types of Fourier transforms, frames and windows. Written under the rules of shape-types.ts. */
import type { Axes, Bad, Good, May, Resize, Shape, Show, SizeAt } from './shape-types';
import type { Add, Divide, Multiply, Subtract } from './size-types';

/** The bins of a real transform of `Size` elements. */
export type Bins<Size extends number> = Add<Divide<Size, 2>, 1>;

/** S with axis A, of N elements where given, replaced by its bins, and pairs as the last axis. */
export type Rfft<S extends Shape, N extends number | undefined, A extends number> = [
  ...Resize<S, A, Bins<N extends number ? N : SizeAt<S, A>>>,
  2,
];

/** The axes of pairs. */
type Paired<S extends Shape> = S extends readonly [...infer Front extends Shape, number] ? Front : Shape;

/** S without the pairs, and axis A with the N elements of its bins. */
export type Irfft<S extends Shape, N extends number | undefined, A extends number> = Resize<
  Paired<S>,
  A,
  N extends number ? N : Multiply<Subtract<SizeAt<Paired<S>, A>, 1>, 2>
>;

/** S with axis A, not counting the pairs, of N elements where given. */
export type Fft<S extends Shape, N extends number | undefined, A extends number> = N extends number
  ? [...Resize<Paired<S>, A, N>, 2]
  : S;

type LastOf<A extends Axes> = A extends undefined
  ? -1
  : A extends number
    ? A
    : A extends readonly [...(readonly number[]), infer Last extends number]
      ? Last
      : number;

/** As `Rfft` along the last of the axes A; with lengths N it is not known. */
export type Rfftn<S extends Shape, N extends readonly number[] | undefined, A extends Axes> = N extends undefined
  ? Rfft<S, undefined, LastOf<A>>
  : Shape;

/** As `Irfft` along the last of the axes A; with lengths N it is not known. */
export type Irfftn<S extends Shape, N extends readonly number[] | undefined, A extends Axes> = N extends undefined
  ? Irfft<S, undefined, LastOf<A>>
  : Shape;

/** Verdict: the last axis holds real and imaginary parts. */
export type PairsCheck<S extends Shape, Op extends string> = S extends readonly []
  ? Bad<`${Op}: not pairs: got shape [], expected a last axis of real and imaginary parts`>
  : May<SizeAt<S, -1>, 2> extends false
    ? Bad<`${Op}: not pairs: got shape ${Show<S>}, expected a last axis of real and imaginary parts`>
    : Good;

/** [..., time] → [..., bins, frames, 2]. */
export type Stft<S extends Shape, N extends number> = S extends readonly [...infer Front extends Shape, number]
  ? [...Front, Bins<N>, number, 2]
  : Shape;

/** [..., bins, frames, 2] → [..., time]. */
export type Istft<S extends Shape, L extends number | undefined> = S extends readonly [
  ...infer Front extends Shape,
  number,
  number,
  number,
]
  ? [...Front, L extends number ? L : number]
  : Shape;

/** [..., time] → [..., frames, Size]. */
export type Framed<S extends Shape, Size extends number> = S extends readonly [...infer Front extends Shape, number]
  ? [...Front, number, Size]
  : Shape;

/** [..., frames, size] → [..., time]. */
export type OverlapAdded<S extends Shape> = S extends readonly [...infer Front extends Shape, number, number]
  ? [...Front, number]
  : Shape;
