/** Orders along one axis: sort, argsort, topk. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Resize, Shape } from '../tensor/shape-types';
import { normalizeAxis, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { zeros } from './creation';
import {
  checkDType,
  checkOptions,
  checkTensor,
  defineOp,
  installMethods,
  type NativeOp,
  numbers,
  runMany,
} from './define';

function orderOp(name: 'sort' | 'topk' | 'kthValue'): NativeOp<readonly number[]> {
  return defineOp<readonly number[]>(name, {
    dtypes: numbers,
    saves: { outputs: true },
    // What is picked out of x gives its gradient back to where it came from.
    gradient: (g, node) => {
      if (node.shape(0).length === 0) return [g];
      const nothing: AnyTensor = zeros(node.shape(0), { dtype: g.dtype, device: g.device });
      return [nothing.scatterAdd(node.context[0]!, node.output(1) as Tensor<Shape, 'int64'>, g)];
    },
  });
}
const sortOp = orderOp('sort');
const topkOp = orderOp('topk');
/** For order-statistics.ts. */
export const kthOp = orderOp('kthValue');

export interface SortOptions<A extends number = number> {
  /** The last axis unless given. */
  readonly axis?: A;
  /** The largest first; the smallest unless given. */
  readonly descending?: boolean;
}

/**
 * The elements of each line along an axis in order, and where they stood: `[values, indices]`. Equal elements keep their order, NaN counts as the
 * largest, true as larger than false.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * sort(tensor([3, 1, 2]))[0]; // [1, 2, 3]
 */
export function sort<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options?: SortOptions,
): [values: Tensor<S, D>, indices: Tensor<S, 'int64'>];
export function sort(x: AnyTensor, options: SortOptions = {}): AnyTensor[] {
  return sorted('sort', x, options);
}

function sorted(op: string, x: AnyTensor, options: SortOptions): AnyTensor[] {
  checkOptions(op, options);
  checkTensor(op, x);
  const { descending = false } = options;
  const axis = lineAxis(op, options.axis, x.shape);
  return ofOrdered(x, (elements) => picked(sortOp, elements, x.shape, axis, descending));
}

/** What `pick` makes of x: values and positions. The kernels take bool for numbers. */
export function ofOrdered(x: AnyTensor, pick: (elements: AnyTensor) => AnyTensor[]): AnyTensor[] {
  if (x.dtype !== 'bool') return pick(x);
  const [values, indices] = pick(x.cast('uint8')) as [AnyTensor, AnyTensor];
  return [values.cast('bool'), indices];
}

/**
 * The positions that put each line along an axis in order; see {@link sort}.
 *
 * @example
 * argsort(tensor([3, 1, 2])); // [1, 2, 0]
 */
export function argsort<S extends Shape>(x: Tensor<S, DType>, options?: SortOptions): Tensor<S, 'int64'>;
export function argsort(x: AnyTensor, options: SortOptions = {}): AnyTensor {
  return sorted('argsort', x, options)[1]!;
}

export interface TopkOptions<A extends number = number> {
  /** The last axis unless given. */
  readonly axis?: A;
  /** Whether the largest are wanted, or the smallest; the largest unless given. */
  readonly largest?: boolean;
}

/**
 * The `count` largest elements of each line along an axis, largest first, and where they stood: `[values, indices]`.
 *
 * @throws ShapeError when the axis is shorter than that, or is none of x; DTypeError for bool.
 * @example
 * topk(tensor([3, 1, 2]), 2)[0]; // [3, 2]
 */
export function topk<S extends Shape, D extends DType, const K extends number, const A extends number = -1>(
  x: Tensor<S, D>,
  count: K,
  options?: TopkOptions<A>,
): [values: Tensor<Resize<S, A, K>, D>, indices: Tensor<Resize<S, A, K>, 'int64'>];
export function topk(x: AnyTensor, count: number, options: TopkOptions = {}): AnyTensor[] {
  checkOptions('topk', options);
  checkTensor('topk', x);
  checkDType('topk', x.dtype, topkOp.dtypes);
  const { largest = true } = options;
  const axis = lineAxis('topk', options.axis, x.shape);
  const size = x.shape[axis] ?? 1;
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new ArgumentError(`topk: count: got ${shown(count)}, expected a non-negative integer`);
  }
  if (count > size) {
    throw new ShapeError(`topk: too many: got ${count}, expected at most ${size} at axis ${axis} of ${show(x.shape)}`, {
      count,
      shape: x.shape,
      axis,
    });
  }
  const shape = x.shape.map((length, i) => (i === axis ? count : length));
  return picked(topkOp, x, shape, axis, largest);
}

/** A scalar counts as one line. */
export function lineAxis(op: string, axis: number | undefined, shape: Shape): number {
  return shape.length === 0 && (axis ?? -1) === -1 ? 0 : normalizeAxis(op, axis ?? -1, shape);
}

/** Runs an op that picks elements along an axis. */
export function picked(
  op: NativeOp<readonly number[]>,
  x: AnyTensor,
  shape: Shape,
  axis: number,
  flag: boolean,
  ...rest: readonly number[]
): AnyTensor[] {
  const outputs = [
    { shape, dtype: x.dtype },
    { shape, dtype: 'int64' },
  ] as const;
  return runMany(op, [x], outputs, [axis, flag ? 1 : 0, ...rest]);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    sort(options?: SortOptions): [values: Tensor<S, D>, indices: Tensor<S, 'int64'>];
    argsort(options?: SortOptions): Tensor<S, 'int64'>;
    topk<const K extends number, const A extends number = -1>(
      count: K,
      options?: TopkOptions<A>,
    ): [values: Tensor<Resize<S, A, K>, D>, indices: Tensor<Resize<S, A, K>, 'int64'>];
  }
}
installMethods({ sort, argsort, topk });
