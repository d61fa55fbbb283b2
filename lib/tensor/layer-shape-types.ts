/**
 * Owns the shape types of products, convolutions, pooling, lookups, attention and losses. Written under the rules of shape-types.ts.
 */
import type {
  Bad,
  Broadcast,
  BroadcastCheck,
  Good,
  May,
  MaySame,
  Rank,
  Resize,
  Select,
  Shape,
  Show,
  SizeAt,
} from './shape-types';
import type { Add, Divide, Multiply, Subtract } from './size-types';

// ---------------------------------------------------------------------------------------------------------------- products

/** The shape of S · T: vectors and matrices contract, the axes before the matrices broadcast. */
export type MatMul<S extends Shape, T extends Shape> = S extends readonly [
  ...infer SBatch extends Shape,
  infer M extends number,
  number,
]
  ? T extends readonly [...infer TBatch extends Shape, number, infer N extends number]
    ? [...Broadcast<SBatch, TBatch>, M, N]
    : T extends readonly [number]
      ? [...SBatch, M]
      : Shape
  : S extends readonly [number]
    ? T extends readonly [...infer TBatch extends Shape, number, infer N extends number]
      ? [...TBatch, N]
      : T extends readonly [number]
        ? []
        : Shape
    : Shape;

/** Verdict: S · T has equal inner sizes and batch axes that broadcast. */
export type MatMulCheck<S extends Shape, T extends Shape, Op extends string = 'matmul'> = S extends readonly [
  ...infer SFront extends Shape,
  infer K extends number,
]
  ? T extends readonly [...infer TBatch extends Shape, infer L extends number, number]
    ? May<K, L> extends false
      ? Bad<`${Op}: inner sizes differ: ${K} vs ${L}`>
      : SFront extends readonly [...infer SBatch extends Shape, number]
        ? BroadcastCheck<SBatch, TBatch, Op>
        : Good
    : T extends readonly [infer L extends number]
      ? May<K, L> extends false
        ? Bad<`${Op}: inner sizes differ: ${K} vs ${L}`>
        : Good
      : T extends readonly []
        ? Bad<`${Op}: no axes to multiply: got a ${Show<S>} · b [], expected at least vectors`>
        : Good
  : S extends readonly []
    ? Bad<`${Op}: no axes to multiply: got a [] · b ${Show<T>}, expected at least vectors`>
    : Good;

/** The shape of a linear layer's result: the last size becomes `Out`. */
export type Linear<S extends Shape, Out extends number> = Resize<S, -1, Out>;

/** Verdict: the last size is `In`. */
export type LinearCheck<S extends Shape, In extends number, Op extends string = 'linear'> = SizeCheck<
  SizeAt<S, -1>,
  In,
  `${Op}: inner sizes differ`
>;

/** Verdict: two sizes are equal. Without a condition on S, so that classes with a type parameter `out In` can be proved. */
type SizeCheck<A extends number, B extends number, What extends string> =
  May<A, B> extends false ? Bad<`${What}: ${A} vs ${B}`> : Good;

// ------------------------------------------------------------------------------------------------- convolution and pooling

/** One size for both spatial axes, or [height, width]. */
export type Pair = number | readonly [number, number];
type First<P> = P extends number ? P : P extends readonly [infer H extends number, number] ? H : number;
type Second<P> = P extends number ? P : P extends readonly [number, infer W extends number] ? W : number;

/** How many places a window has along an axis: (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down. */
type Places<
  Size extends number,
  Kernel extends number,
  Stride extends number,
  Padding extends number,
  Dilation extends number,
> = Add<
  Divide<
    Subtract<
      Add<Size, Multiply<Padding, 2>>,
      Dilation extends 1 ? Kernel : Add<Multiply<Dilation, Subtract<Kernel, 1>>, 1>
    >,
    Stride
  >,
  1
>;

/** The shape of a convolution's result for kernels K (a size or [height, width]) and `Out` channels. S is [...batch, c, h, w]. */
export type Conv2d<
  S extends Shape,
  Out extends number,
  K extends Pair,
  Stride = 1,
  Padding = 0,
  Dilation = 1,
> = S extends readonly [...infer Batch extends Shape, number, infer H extends number, infer W extends number]
  ? [
      ...Batch,
      Out,
      Places<H, First<K>, First<Stride>, First<Padding>, First<Dilation>>,
      Places<W, Second<K>, Second<Stride>, Second<Padding>, Second<Dilation>>,
    ]
  : Shape;

/** The number of `P` for axis I: P itself, or its place in a list. */
type At<P, I> = P extends number ? P : I extends keyof P ? P[I] & number : number;

/** The sizes after windows K along each axis. */
type Spaces<Sizes extends Shape, K, Stride, Padding, Dilation> = {
  [I in keyof Sizes]: Places<Sizes[I], At<K, I>, At<Stride, I>, At<Padding, I>, At<Dilation, I>>;
};

/** As Conv2d, of S [...batch, c, length]. */
export type Conv1d<S extends Shape, Out extends number, K, Stride = 1, Padding = 0, Dilation = 1> = S extends readonly [
  ...infer Batch extends Shape,
  number,
  infer L extends number,
]
  ? [...Batch, Out, ...Spaces<[L], K, Stride, Padding, Dilation>]
  : Shape;

/** As Conv2d, of S [...batch, c, d, h, w]. */
export type Conv3d<S extends Shape, Out extends number, K, Stride = 1, Padding = 0, Dilation = 1> = S extends readonly [
  ...infer Batch extends Shape,
  number,
  infer Depth extends number,
  infer H extends number,
  infer W extends number,
]
  ? [...Batch, Out, ...Spaces<[Depth, H, W], K, Stride, Padding, Dilation>]
  : Shape;

/** The shape of a transposed convolution over N axes: channels and sizes are left open. */
export type ConvTranspose<S extends Shape, N extends 1 | 2 | 3> = N extends 1
  ? Resize<Resize<S, -1, number>, -2, number>
  : N extends 2
    ? Resize<ConvTranspose<S, 1>, -3, number>
    : Resize<ConvTranspose<S, 2>, -4, number>;

/** Verdict: axis A of the input has `In` channels. */
export type ConvCheck<S extends Shape, A extends number, In extends number, Op extends string> = SizeCheck<
  SizeAt<S, A>,
  In,
  `${Op}: channels differ`
>;

/** Verdict: the input [...batch, c, h, w] has `In` channels. */
export type Conv2dCheck<S extends Shape, In extends number, Op extends string = 'conv2d'> = SizeCheck<
  SizeAt<S, -3>,
  In,
  `${Op}: channels differ`
>;

/** The shape after pooling with windows K: channels stay. */
export type Pool2d<S extends Shape, K extends Pair, Stride = K, Padding = 0, Dilation = 1> = S extends readonly [
  ...Shape,
  infer C extends number,
  number,
  number,
]
  ? Conv2d<S, C, K, Stride, Padding, Dilation>
  : Shape;

/** As Pool2d, of S [...batch, c, length]. */
export type Pool1d<S extends Shape, K, Stride = K, Padding = 0, Dilation = 1> = S extends readonly [
  ...Shape,
  infer C extends number,
  number,
]
  ? Conv1d<S, C, K, Stride, Padding, Dilation>
  : Shape;

/** As Pool2d, of S [...batch, c, d, h, w]. */
export type Pool3d<S extends Shape, K, Stride = K, Padding = 0, Dilation = 1> = S extends readonly [
  ...Shape,
  infer C extends number,
  number,
  number,
  number,
]
  ? Conv3d<S, C, K, Stride, Padding, Dilation>
  : Shape;

/** The ranks of an input with channels and N axes of space, and how errors write them. */
interface Images {
  1: [readonly [] | readonly [number], '[n, c, length] or [c, length]'];
  2: [readonly [] | readonly [number] | readonly [number, number], '[n, c, h, w] or [c, h, w]'];
  3: [
    readonly [] | readonly [number] | readonly [number, number] | readonly [number, number, number],
    '[n, c, d, h, w] or [c, d, h, w]',
  ];
}

/** Verdict: the input has channels and N axes of space. */
export type ImageCheck<S extends Shape, Op extends string, N extends 1 | 2 | 3 = 2> = S extends Images[N][0]
  ? Bad<`${Op}: wrong rank: got shape ${Show<S>}, expected ${Images[N][1]}`>
  : Good;

/** Verdict: axis 1 has `C` channels. */
export type ChannelCheck<S extends Shape, C extends number, Op extends string> = SizeCheck<
  SizeAt<S, 1>,
  C,
  `${Op}: channels differ`
>;

// -------------------------------------------------------------------------------------------- lookups, attention and losses

/** Verdict: S ends in the sizes N. */
export type EndCheck<S extends Shape, N extends Shape, Op extends string = 'layerNorm'> = S extends unknown
  ? EndsIn<S, N> extends false
    ? Bad<`${Op}: shape is not the end of the input's: got ${Show<N>}, expected the last axes of ${Show<S>}`>
    : Good
  : never;
type EndsIn<S extends Shape, N extends Shape> = N extends readonly [
  ...infer NRest extends Shape,
  infer B extends number,
]
  ? S extends readonly [...infer SRest extends Shape, infer A extends number]
    ? May<A, B> extends false
      ? false
      : EndsIn<SRest, NRest>
    : S extends readonly []
      ? false
      : true
  : true;

/** The shape of rows of a table [rows, N] looked up at indices of shape S. */
export type Embedding<S extends Shape, N extends number> = S['length'] extends Rank ? [...S, N] : Shape;

/** The shape of indices S as rows of `Classes` zeros and a one. */
export type OneHot<S extends Shape, Classes extends number> = Embedding<S, Classes>;

/** The shape of attention: as the queries, with the values' width. */
export type Attention<Q extends Shape, V extends Shape> = Resize<Q, -1, SizeAt<V, -1>>;

/** Verdict: queries [..., t, d], keys [..., s, d] and values [..., s, e] fit. */
export type AttentionCheck<
  Q extends Shape,
  K extends Shape,
  V extends Shape,
  Op extends string = 'scaledDotProductAttention',
> = May<SizeAt<Q, -1>, SizeAt<K, -1>> | May<SizeAt<K, -2>, SizeAt<V, -2>> extends true
  ? Good
  : Bad<`${Op}: shapes do not fit: q ${Show<Q>}, k ${Show<K>}, v ${Show<V>}`>;

/** How a loss is made of its parts. */
export type Reduction = 'mean' | 'sum' | 'none';

/** The shape of a loss whose parts have shape S. */
export type Loss<S extends Shape, R extends Reduction = 'mean'> = R extends 'none' ? S : [];

/** The shape of the targets of logits S: without the axis of classes, which is 1, or 0 in a single row. */
export type Targets<S extends Shape> = S extends readonly [number] ? [] : Select<S, 1>;

/** Verdict: the targets T are a class for each row of logits S, or a probability for each logit. */
export type CrossEntropyCheck<
  S extends Shape,
  T extends Shape,
  Op extends string = 'crossEntropy',
> = S extends readonly []
  ? Bad<`${Op}: logits: got a scalar, expected [classes], [n, classes] or [n, classes, …]`>
  : MaySame<Targets<S>, T> | MaySame<S, T> extends false
    ? Bad<`${Op}: target does not fit: got shape ${Show<T>} for logits ${Show<S>}, expected ${Show<Targets<S>>}`>
    : Good;
