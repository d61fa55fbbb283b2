/**
 * Owns the types of operands: what an argument that is a tensor or a number contributes to shape and dtype, and the shape and dtype
 * of nested arrays. The run-time twins are in dtype.ts (`promoteOperands`, `promoteNumber`) and in lib/ops (creation).
 */
import type { ArrayItem } from './array-item';
import type { ArrayOf, DType, FloatDType, Promote, PromoteNumber } from './dtype';
import type { Bad, Good, Shape } from './shape-types';

/** What these types need of a tensor. */
export interface TensorLike {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** The shapes of several tensors. */
export type ShapesOf<Ts extends readonly TensorLike[]> = { readonly [I in keyof Ts]: Ts[I]['shape'] };

/** The dtype of several tensors together. */
export type PromoteAll<Ts extends readonly TensorLike[]> = Ts extends readonly [infer T extends TensorLike]
  ? T['dtype']
  : Ts extends readonly [infer T extends TensorLike, ...infer Rest extends readonly TensorLike[]]
    ? Promote<T['dtype'], PromoteAll<Rest>>
    : Ts[number]['dtype'];

/** The dtype of a tensor of D that has axes with one of E that has none: D, unless E is of a higher kind. */
type Lead<D extends DType, E extends DType> = D extends FloatDType
  ? D
  : E extends FloatDType
    ? E
    : D extends 'bool'
      ? E
      : D;

/** The dtype of `op(a, b)` of a tensor with shape S and dtype D and an operand. */
export type PromoteOperand<S extends Shape, D extends DType, O> = O extends number
  ? PromoteNumber<D, O>
  : O extends { readonly shape: infer T; readonly dtype: infer E extends DType }
    ? D extends E
      ? Promote<D, E> | E
      : PromoteTensors<S, D, T, E>
    : never;
type PromoteTensors<S extends Shape, D extends DType, T, E extends DType> = S extends readonly []
  ? T extends readonly []
    ? Promote<D, E>
    : T extends readonly [number, ...Shape]
      ? Lead<E, D>
      : Promote<D, E> | Lead<E, D>
  : S extends readonly [number, ...Shape]
    ? T extends readonly []
      ? Lead<D, E>
      : T extends readonly [number, ...Shape]
        ? Promote<D, E>
        : Promote<D, E> | Lead<D, E>
    : Promote<D, E> | Lead<D, E> | Lead<E, D>;

/** The dtype of `op(a, b)` of two operands; two numbers make float32. */
export type PromoteOperands<A, B> = A extends TensorLike
  ? PromoteOperand<A['shape'], A['dtype'], B>
  : B extends TensorLike
    ? PromoteOperand<B['shape'], B['dtype'], A>
    : 'float32';

/** Verdict: V is no boolean, or D is, or may be, bool. */
export type ReplacementCheck<V, D extends DType, Op extends string> = V extends boolean
  ? 'bool' extends D
    ? Good
    : Bad<`${Op}: value: got boolean, expected what ${D} holds`>
  : Good;

// ------------------------------------------------------------------------------------------------------------ nested arrays

type Element = number | bigint | boolean;

/** What a tensor is made of: a value, nested arrays of values, or a typed array. `readonly []` makes the compiler keep lengths. */
export type NestedArray = Element | readonly [] | readonly NestedArray[] | ArrayOf<DType> | Uint8ClampedArray;

// `NestedArray extends A` tells a type that says nothing (NestedArray itself, any) and ends the recursion there.

/** The shape of a nested array: literal sizes for a literal. */
export type NestedShape<A> = Nest<A> extends infer S extends Shape ? S : Shape;
type Nest<A> = NestedArray extends A
  ? Shape
  : A extends readonly unknown[]
    ? A extends readonly []
      ? [0]
      : [A['length'], ...NestedShape<A[number]>]
    : A extends Element
      ? []
      : A extends ArrayItem
        ? Shape
        : [number];

/** Verdict: the arrays inside A have the same lengths. */
export type NestedCheck<A, Op extends string = 'tensor'> =
  true extends IsUnion<NestedShape<A>> ? Bad<`${Op}: ragged array: the lengths of its rows differ`> : Good;
/** Whether S is a union of shapes that cannot be equal. */
type IsUnion<S extends Shape, All extends Shape = S> = number extends All[number]
  ? false
  : S extends unknown
    ? [All] extends [S]
      ? false
      : true
    : never;

/** The dtype of a nested array: numbers make float32, booleans bool, bigints int64; a typed array keeps its own. */
export type NestedDType<A> = NestedArray extends A ? DType : LeafDType<Leaf<A>>;
type Leaf<A> = NestedArray extends A ? A : A extends readonly (infer E)[] ? Leaf<E> : A;
type LeafDType<L> = [L] extends [never]
  ? 'float32'
  : [L] extends [boolean]
    ? 'bool'
    : [L] extends [bigint]
      ? 'int64'
      : [L] extends [Element]
        ? 'float32'
        : [L] extends [ArrayItem]
          ? L['dtype']
          : TypedArrayDType<L>;
type TypedArrayDType<A> = A extends Float32Array
  ? 'float32'
  : A extends Float64Array
    ? 'float64'
    : A extends BigInt64Array
      ? 'int64'
      : A extends Int32Array
        ? 'int32'
        : A extends Int16Array
          ? 'int16'
          : A extends Int8Array
            ? 'int8'
            : A extends Uint8Array | Uint8ClampedArray
              ? 'uint8'
              : DType;
