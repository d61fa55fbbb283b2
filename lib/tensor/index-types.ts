/** What an index picks, as types: the compile-time twin of lib/ops/advanced-indexing.ts. */
import type { DType, IndexDType } from './dtype';
import type { Bad, Good, Ok, Shape } from './shape-types';
import type { Tensor } from './tensor';

/** Positions along an axis, of a dtype that is or may be one of integers. */
export type IndexTensor<I extends Shape, E extends DType, Op extends string> = Tensor<I, E> & Ok<IndexCheck<E, Op>>;
/** Verdict: E is, or may be, a dtype of positions. */
export type IndexCheck<E extends DType, Op extends string, Name extends string = 'index'> = [
  Extract<E, IndexDType>,
] extends [never]
  ? Bad<`${Op}: ${Name}: got dtype ${E}, expected int32 or int64`>
  : Good;

/** A mask, of a dtype that is or may be bool. */
export type MaskTensor<E extends DType, Op extends string> = Tensor<Shape, E> & Ok<MaskCheck<E, Op>>;
/** Verdict: E is, or may be, bool. */
export type MaskCheck<E extends DType, Op extends string> = 'bool' extends E
  ? Good
  : Bad<`${Op}: mask: got dtype ${E}, expected bool`>;

/** Positions of an axis: `start`, `start + step`, … before `stop`, as NumPy's start:stop:step. */
export interface Range {
  readonly start?: number | undefined;
  readonly stop?: number | undefined;
  readonly step?: number | undefined;
}

/**
 * An index of one axis, or of several: a position, a range as an object or as NumPy writes it (`'1:4'`, `'::2'`), `'...'` for all axes that the
 * other entries leave, null for a new axis, positions as a list or an integer tensor, or a bool tensor that picks where it is true.
 */
export type Index = number | string | null | Range | readonly number[] | Tensor<Shape, DType>;

/** Verdict: each tensor among the indices has, or may have, a dtype that an index may have. */
export type IndicesCheck<Ix extends readonly unknown[], Op extends string> = true extends {
  readonly [K in keyof Ix]: Ix[K] extends Tensor<Shape, infer E>
    ? [Extract<E, IndexDType | 'bool'>] extends [never]
      ? true
      : false
    : false;
}[number]
  ? Bad<`${Op}: index: got another dtype, expected integers or bool`>
  : Good;

/** The shape of what `Ix` picks; `Shape` where tensors, lists or an ellipsis with more behind it decide. */
export type At<S extends Shape, Ix extends readonly unknown[]> = S extends readonly [
  infer Size extends number,
  ...infer Others extends Shape,
]
  ? Ix extends readonly [infer First, ...infer Rest]
    ? First extends null
      ? [1, ...At<S, Rest>]
      : First extends '...'
        ? Last<S, Rest>
        : First extends number
          ? At<Others, Rest>
          : First extends ':'
            ? [Size, ...At<Others, Rest>]
            : First extends string | Span
              ? string extends First
                ? Shape
                : [number, ...At<Others, Rest>]
              : Shape
    : Last<S, Ix>
  : S extends readonly []
    ? OfScalar<Ix>
    : Shape;
/** S where no index is left. */
type Last<S extends Shape, Ix extends readonly unknown[]> = Ix extends readonly [] ? S : Shape;
type OfScalar<Ix extends readonly unknown[]> = Ix extends readonly ['...' | null, ...infer Rest]
  ? [...(Ix[0] extends null ? [1] : []), ...OfScalar<Rest>]
  : Last<[], Ix>;
/** A range that is an object, not a list or a tensor. */
type Span = Range & { readonly shape?: undefined; readonly length?: undefined };

/** Whether an index is a mask, may be one, or is none. */
type MaskOf<I> =
  I extends Tensor<Shape, infer D> ? ([D] extends ['bool'] ? 'mask' : 'bool' extends D ? 'maybe' : never) : never;

/** What `at` answers: a promise where a mask decides the size. */
export type Picked<S extends Shape, D extends DType, Ix extends readonly unknown[]> = [MaskOf<Ix[number]>] extends [
  never,
]
  ? Tensor<At<S, Ix>, D>
  : 'mask' extends MaskOf<EntriesOf<Ix>>
    ? Promise<Tensor<Shape, D>>
    : Tensor<Shape, D> | Promise<Tensor<Shape, D>>;
/** The entries that are certainly there: those of a tuple. */
type EntriesOf<Ix extends readonly unknown[]> = number extends Ix['length'] ? never : Ix[number];
