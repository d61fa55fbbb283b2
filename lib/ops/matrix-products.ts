/** Products of operands with a fixed rank, under the names that linear algebra gives them, and the Kronecker product. All are matmul or mul. */
import { ArgumentError, ShapeError } from '../errors';
import { describe, shown } from '../tensor/describe';
import { isFloat, promote, type DType, type Promote, type SumDType } from '../tensor/dtype';
import type { MatMul } from '../tensor/layer-shape-types';
import type { AddedCheck, Kron, Outer, RankedCheck, RankedProductCheck } from '../tensor/product-shape-types';
import type { Broadcast, BroadcastCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { broadcastShapes, checkShape, maxRank, normalizeAxis, sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { checkDType, checkOptions, checkTensor, installMethods, numbers } from './define';
import { linear, matmul } from './matmul';
import { addcmul } from './pointwise-binary';

const forms = ['a number', '[n]', '[m, n]', '[b, m, n]'] as const;

function checkRank(op: string, x: AnyTensor, name: string, rank: 1 | 2 | 3): void {
  checkTensor(op, x, name);
  if (x.rank === rank) return;
  throw new ShapeError(`${op}: ${name}: wrong rank: got shape ${show(x.shape)}, expected ${forms[rank]}`);
}

/** a·b, where the inner sizes and those of a batch must be equal. */
function product(op: string, a: AnyTensor, rankA: 1 | 2 | 3, b: AnyTensor, rankB: 1 | 2 | 3): AnyTensor {
  checkRank(op, a, 'a', rankA);
  checkRank(op, b, 'b', rankB);
  const inner = b.shape[rankB === 1 ? 0 : rankB - 2];
  if (a.shape[rankA - 1] !== inner) {
    throw new ShapeError(
      `${op}: inner sizes differ: a ${show(a.shape)} · b ${show(b.shape)} (${a.shape[rankA - 1]} vs ${inner})`,
      { a: a.shape, b: b.shape },
    );
  }
  if (rankA === 3 && a.shape[0] !== b.shape[0]) {
    throw new ShapeError(`${op}: batches differ: got a ${show(a.shape)} and b ${show(b.shape)}, expected one size`);
  }
  checkDType(op, promote(a.dtype, b.dtype), numbers);
  return matmul(a, b);
}

/**
 * The inner product of vectors [n]: Σ aᵢ·bᵢ.
 *
 * @throws ShapeError unless both are vectors of one size; DTypeError for bool.
 * @example
 * dot(tensor([1, 2]), tensor([3, 4])); // 11
 */
export function dot<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<RankedProductCheck<S, 'vector', T, 'vector', 'dot'>>,
): Tensor<[], Promote<D, E>>;
export function dot(a: AnyTensor, b: AnyTensor): AnyTensor {
  return product('dot', a, 1, b, 1);
}

export interface VecdotOptions<A extends number = number> {
  /** The axis of the vectors after broadcasting; the last unless given. */
  readonly axis?: A;
}

/**
 * The inner products of vectors along an axis: Σ aᵢ·bᵢ. The others broadcast.
 *
 * @throws ShapeError when the shapes do not broadcast or the axis is out of range; DTypeError for bool.
 * @example
 * vecdot(tensor([[1, 2], [3, 4]]), tensor([1, 10])); // [21, 43]
 */
export function vecdot<S extends Shape, D extends DType, T extends Shape, E extends DType, const A extends number = -1>(
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<BroadcastCheck<S, T, 'vecdot'>>,
  options?: VecdotOptions<A>,
): Tensor<Reduce<Broadcast<S, T>, A>, SumDType<Promote<D, E>>>;
export function vecdot(a: AnyTensor, b: AnyTensor, options: VecdotOptions = {}): AnyTensor {
  checkOptions('vecdot', options);
  checkTensor('vecdot', a, 'a');
  checkTensor('vecdot', b, 'b');
  checkDType('vecdot', promote(a.dtype, b.dtype), numbers);
  const axis = normalizeAxis('vecdot', options.axis ?? -1, broadcastShapes('vecdot', a.shape, b.shape));
  return a.mul(b).sum(axis);
}

/**
 * The product of a matrix a [m, n] and a vector b [n]: y [m].
 *
 * @throws ShapeError unless the shapes are such; DTypeError for bool.
 * @example
 * mv(tensor([[1, 2], [3, 4]]), tensor([1, 1])); // [3, 7]
 */
export function mv<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<RankedProductCheck<S, 'matrix', T, 'vector', 'mv'>>,
): Tensor<MatMul<S, T>, Promote<D, E>>;
export function mv(a: AnyTensor, b: AnyTensor): AnyTensor {
  return product('mv', a, 2, b, 1);
}

/**
 * The products of as many matrices a [b, m, k] and b [b, k, n]: y [b, m, n]. Unlike {@link matmul} it broadcasts nothing.
 *
 * @throws ShapeError unless the shapes are such; DTypeError for bool.
 * @example
 * bmm(ones([5, 2, 3]), ones([5, 3, 4])).shape; // [5, 2, 4]
 */
export function bmm<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<RankedProductCheck<S, 'matrices', T, 'matrices', 'bmm'>>,
): Tensor<MatMul<S, T>, Promote<D, E>>;
export function bmm(a: AnyTensor, b: AnyTensor): AnyTensor {
  return product('bmm', a, 3, b, 3);
}

/**
 * The outer product of vectors [m] and [n]: y[i, j] = aᵢ·bⱼ.
 *
 * @throws ShapeError unless both are vectors; DTypeError for bool.
 * @example
 * outer(tensor([1, 2]), tensor([3, 4])); // [[3, 4], [6, 8]]
 */
export function outer<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D> & Ok<RankedCheck<S, 'vector', 'outer'>>,
  b: Tensor<T, E> & Ok<RankedCheck<T, 'vector', 'outer'>>,
): Tensor<Outer<S, T>, Promote<D, E>>;
export function outer(a: AnyTensor, b: AnyTensor): AnyTensor {
  checkRank('outer', a, 'a', 1);
  checkRank('outer', b, 'b', 1);
  checkDType('outer', promote(a.dtype, b.dtype), numbers);
  return a.unsqueeze(1).mul(b);
}

export interface AddedProductOptions {
  /** The factor of the product; 1 unless given. */
  readonly alpha?: number;
  /** The factor of what is added; 1 unless given. 0 leaves it out, NaNs and all. */
  readonly beta?: number;
}

function added(
  op: string,
  x: AnyTensor,
  a: AnyTensor,
  b: AnyTensor,
  rank: 2 | 3,
  { alpha = 1, beta = 1 }: AddedProductOptions,
): AnyTensor {
  checkTensor(op, x);
  checkRank(op, a, 'a', rank);
  checkRank(op, b, 'b', rank);
  const dtype = [a.dtype, b.dtype].reduce<DType>((found, other) => promote(found, other), x.dtype);
  checkDType(op, dtype, numbers);
  for (const [name, factor] of Object.entries({ alpha, beta })) {
    if (isFloat(dtype) ? typeof factor === 'number' : Number.isSafeInteger(factor)) continue;
    throw new ArgumentError(
      `${op}: ${name}: got ${shown(factor)}, expected ${isFloat(dtype) ? 'a number' : `an integer for ${dtype}`}`,
    );
  }
  const shape = [...a.shape.slice(0, -1), b.shape[rank - 1]!];
  const [left, right] = [a.cast(dtype), b.cast(dtype)];
  // A product writes a vector that is added to its rows as it goes.
  if (rank === 2 && alpha === 1 && beta === 1 && a.shape[1] === b.shape[0] && sameShape(x.shape, shape.slice(1))) {
    return linear(left, right.transpose(), x.cast(dtype));
  }
  const y = product(op, left, rank, right, rank);
  if (!sameShape(broadcastShapes(op, x.shape, shape), shape)) {
    throw new ShapeError(
      `${op}: x does not fit: got shape ${show(x.shape)}, expected one that broadcasts to ${show(shape)}`,
    );
  }
  if (beta === 0) return alpha === 1 ? y : y.mul(alpha);
  const base = x.cast(dtype);
  return addcmul(beta === 1 ? base : base.mul(beta), y, 1, { value: alpha });
}

/**
 * y = beta·x + alpha·(a·b) for matrices a [m, k] and b [k, n], and an x that broadcasts to [m, n].
 *
 * @throws ShapeError unless the shapes are such; ArgumentError for factors of integers that are none; DTypeError for bool.
 * @example
 * addmm(tensor([10, 20]), tensor([[1, 2]]), tensor([[1, 0], [0, 1]])); // [[11, 22]]
 * addmm(tensor([10, 20]), tensor([[1, 2]]), tensor([[1, 0], [0, 1]]), { alpha: 3, beta: 0.5 }); // [[8, 16]]
 */
export function addmm<
  X extends Shape,
  C extends DType,
  S extends Shape,
  D extends DType,
  T extends Shape,
  E extends DType,
>(
  x: Tensor<X, C> & Ok<AddedCheck<X, S, T, 'addmm'>>,
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<RankedProductCheck<S, 'matrix', T, 'matrix', 'addmm'>>,
  options?: AddedProductOptions,
): Tensor<MatMul<S, T>, Promote<C, Promote<D, E>>>;
export function addmm(x: AnyTensor, a: AnyTensor, b: AnyTensor, options: AddedProductOptions = {}): AnyTensor {
  checkOptions('addmm', options);
  return added('addmm', x, a, b, 2, options);
}

/**
 * y = beta·x + alpha·(a·b) for as many matrices a [b, m, k] and b [b, k, n], and an x that broadcasts to [b, m, n].
 *
 * @throws ShapeError unless the shapes are such; ArgumentError for factors of integers that are none; DTypeError for bool.
 * @example
 * baddbmm(zeros([]), ones([5, 2, 3]), ones([5, 3, 4]), { alpha: 2 }).shape; // [5, 2, 4]
 */
export function baddbmm<
  X extends Shape,
  C extends DType,
  S extends Shape,
  D extends DType,
  T extends Shape,
  E extends DType,
>(
  x: Tensor<X, C> & Ok<AddedCheck<X, S, T, 'baddbmm'>>,
  a: Tensor<S, D>,
  b: Tensor<T, E> & Ok<RankedProductCheck<S, 'matrices', T, 'matrices', 'baddbmm'>>,
  options?: AddedProductOptions,
): Tensor<MatMul<S, T>, Promote<C, Promote<D, E>>>;
export function baddbmm(x: AnyTensor, a: AnyTensor, b: AnyTensor, options: AddedProductOptions = {}): AnyTensor {
  checkOptions('baddbmm', options);
  return added('baddbmm', x, a, b, 3, options);
}

/**
 * The Kronecker product: every element of a times all of b, in blocks. Sizes multiply; the shorter shape gets leading axes of size 1.
 *
 * @throws ShapeError for more than four axes; DTypeError for bool.
 * @example
 * kron(tensor([[1, 2]]), tensor([[1], [10]])); // [[1, 2], [10, 20]]
 */
export function kron<S extends Shape, D extends DType, T extends Shape, E extends DType>(
  a: Tensor<S, D>,
  b: Tensor<T, E>,
): Tensor<Kron<S, T>, Promote<D, E>>;
export function kron(a: AnyTensor, b: AnyTensor): AnyTensor {
  checkTensor('kron', a, 'a');
  checkTensor('kron', b, 'b');
  checkDType('kron', promote(a.dtype, b.dtype), numbers);
  const rank = Math.max(a.rank, b.rank);
  if (2 * rank > maxRank) {
    throw new ShapeError(`kron: too many axes: got ${rank}, expected at most ${maxRank / 2}`);
  }
  const [left, right] = [a, b].map(({ shape }) => [...new Array<number>(rank - shape.length).fill(1), ...shape]) as [
    number[],
    number[],
  ];
  const shape = left.map((size, axis) => size * right[axis]!);
  checkShape('kron', shape);
  const blocks = a.reshape(left.flatMap((size) => [size, 1])).mul(b.reshape(right.flatMap((size) => [1, size])));
  return blocks.reshape(shape) as AnyTensor;
}

/**
 * The product of several matrices [m₀, m₁], [m₁, m₂], …, multiplied in the order that takes the fewest multiply-adds. The first and the last may be
 * vectors: a row and a column, whose axis the result lacks.
 *
 * @throws ShapeError unless there are two at least, with fitting sizes; DTypeError for bool.
 * @example
 * multiDot([ones([2, 9]), ones([9, 3]), ones([3])]); // [27, 27]
 */
export function multiDot<D extends DType>(matrices: readonly Tensor<Shape, D>[]): Tensor<Shape, D>;
export function multiDot(matrices: readonly AnyTensor[]): AnyTensor {
  const op = 'multiDot';
  if (!Array.isArray(matrices) || matrices.length < 2) {
    const got = Array.isArray(matrices) ? `${matrices.length} in an array` : describe(matrices);
    throw new ArgumentError(`${op}: matrices: got ${got}, expected two or more in an array`);
  }
  const end = matrices.length - 1;
  const factors = matrices.map((x: AnyTensor, i) => {
    if ((i === 0 || i === end) && x instanceof Tensor && x.rank === 1) return x.unsqueeze(i === 0 ? 0 : 1) as AnyTensor;
    checkRank(op, x, `matrices[${i}]`, 2);
    return x;
  });
  const sizes = [factors[0]!.shape[0]!, ...factors.map((x) => x.shape[1]!)];
  factors.forEach((x, i) => {
    if (x.shape[0] === sizes[i]) return;
    throw new ShapeError(
      `${op}: inner sizes differ: matrices[${i - 1}] ${show(factors[i - 1]!.shape)} · matrices[${i}] ${show(x.shape)} (${sizes[i]} vs ${x.shape[0]})`,
    );
  });
  const cuts = cheapestCuts(sizes);
  const chain = (from: number, to: number): AnyTensor =>
    from === to ? factors[from]! : product(op, chain(from, cuts[from]![to]!), 2, chain(cuts[from]![to]! + 1, to), 2);
  const whole = chain(0, end);
  const lacking = [0, end].map((i) => (matrices[i] as AnyTensor).rank === 1);
  return whole.reshape(whole.shape.filter((_, axis) => !lacking[axis]));
}

/** Where the products of factors from … to, of sizes[i] × sizes[i + 1], are best cut in two: behind factor cuts[from][to]. */
function cheapestCuts(sizes: readonly number[]): number[][] {
  const count = sizes.length - 1;
  const table = (): number[][] => Array.from({ length: count }, () => new Array<number>(count).fill(0));
  const [costs, cuts] = [table(), table()];
  for (let span = 1; span < count; span++) {
    for (let from = 0, to = span; to < count; from++, to++) {
      costs[from]![to] = Infinity;
      for (let cut = from; cut < to; cut++) {
        const own = sizes[from]! * sizes[cut + 1]! * sizes[to + 1]!;
        const cost = costs[from]![cut]! + costs[cut + 1]![to]! + own;
        if (cost >= costs[from]![to]!) continue;
        costs[from]![to] = cost;
        cuts[from]![to] = cut;
      }
    }
  }
  return cuts;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    dot<T extends Shape, E extends DType>(
      other: Tensor<T, E> & Ok<RankedProductCheck<S, 'vector', T, 'vector', 'dot'>>,
    ): Tensor<[], Promote<D, E>>;
    vecdot<T extends Shape, E extends DType, const A extends number = -1>(
      other: Tensor<T, E> & Ok<BroadcastCheck<S, T, 'vecdot'>>,
      options?: VecdotOptions<A>,
    ): Tensor<Reduce<Broadcast<S, T>, A>, SumDType<Promote<D, E>>>;
    mv<T extends Shape, E extends DType>(
      vector: Tensor<T, E> & Ok<RankedProductCheck<S, 'matrix', T, 'vector', 'mv'>>,
    ): Tensor<MatMul<S, T>, Promote<D, E>>;
    bmm<T extends Shape, E extends DType>(
      other: Tensor<T, E> & Ok<RankedProductCheck<S, 'matrices', T, 'matrices', 'bmm'>>,
    ): Tensor<MatMul<S, T>, Promote<D, E>>;
    outer<T extends Shape, E extends DType>(
      other: Tensor<T, E> & Ok<RankedCheck<T, 'vector', 'outer'>>,
    ): Tensor<Outer<S, T>, Promote<D, E>>;
    kron<T extends Shape, E extends DType>(other: Tensor<T, E>): Tensor<Kron<S, T>, Promote<D, E>>;
    // With type parameters of their own: with D the compiler could not prove that Tensor is covariant.
    addmm<X extends Shape, C extends DType, A extends Shape, E extends DType, B extends Shape, F extends DType>(
      this: Tensor<X, C>,
      a: Tensor<A, E> & Ok<AddedCheck<X, A, B, 'addmm'>>,
      b: Tensor<B, F> & Ok<RankedProductCheck<A, 'matrix', B, 'matrix', 'addmm'>>,
      options?: AddedProductOptions,
    ): Tensor<MatMul<A, B>, Promote<C, Promote<E, F>>>;
    baddbmm<X extends Shape, C extends DType, A extends Shape, E extends DType, B extends Shape, F extends DType>(
      this: Tensor<X, C>,
      a: Tensor<A, E> & Ok<AddedCheck<X, A, B, 'baddbmm'>>,
      b: Tensor<B, F> & Ok<RankedProductCheck<A, 'matrices', B, 'matrices', 'baddbmm'>>,
      options?: AddedProductOptions,
    ): Tensor<MatMul<A, B>, Promote<C, Promote<E, F>>>;
  }
}
installMethods({ dot, vecdot, mv, bmm, outer, kron, addmm, baddbmm });
