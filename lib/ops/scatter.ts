/** Writing to places that a tensor of indices names along one axis. Indices are checked by the kernel. */
import { ArgumentError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { IndexTensor } from '../tensor/index-types';
import { isFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { normalizeAxis } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { full, ones, zeros } from './creation';
import {
  checkDType,
  checkOptions,
  checkTensor,
  installMethods,
  type NativeOp,
  numbers,
  run,
  withGradient,
} from './define';
import { describe } from '../tensor/describe';
import { checkSlices, checkVector } from './index-select';
import { checkGather, checkIndex, checkSource, combinations, scatterOp, takeBack, type AxisContext } from './indexing';
import { where } from './pointwise-compare';
import { replacing } from './pointwise-run';

// What is overwritten gets no gradient. Where two elements fall on one place, both get that of the place.
const assignOp = withGradient<AxisContext>(
  scatterOp as NativeOp,
  (g, node) => {
    const { axis } = node.context;
    const index = node.input(1);
    return [
      node.needs(0) ? (g.scatter(axis, index, 0) as AnyTensor) : undefined,
      undefined,
      node.needs(2) ? takeBack(g, index, node.input(2), axis) : undefined,
    ];
  },
  { inputs: true },
);

/** Elements that tie share the gradient. */
const extremeOp = withGradient<AxisContext>(
  scatterOp as NativeOp,
  (g, node) => {
    const { axis } = node.context;
    const [x, index, source] = [node.input(0), node.input(1), firstOf(node.input(2), node.input(1))];
    const y = node.output();
    const isOld = x.equalTo(y).cast(g.dtype) as AnyTensor;
    const isNew = source.equalTo(y.gather(axis, index)).cast(g.dtype) as AnyTensor;
    const share = g.div(isOld.scatterAdd(axis, index, isNew)) as AnyTensor;
    return [isOld.mul(share), undefined, takeBack(share, index, node.input(2), axis).mul(padded(isNew, node.input(2)))];
  },
  { inputs: true, outputs: true },
);

// The product of the others: of all that are not 0 divided by the element; times the one other that is 0, whose slope it has, and 0 for more.
const productOp = withGradient<AxisContext>(
  scatterOp as NativeOp,
  (g, node) => {
    const { axis } = node.context;
    const [x, index, source] = [node.input(0), node.input(1), firstOf(node.input(2), node.input(1))];
    const without = (v: AnyTensor): AnyTensor => where(v.equalTo(0), 1, v) as AnyTensor;
    const zeroes = (v: AnyTensor): AnyTensor => v.equalTo(0).cast('int64') as AnyTensor;
    const zero = (v: AnyTensor): AnyTensor => where(v.equalTo(0), v, 0) as AnyTensor;
    const count = zeroes(x).scatterAdd(axis, index, zeroes(source)) as AnyTensor;
    const total = zero(x).scatterAdd(axis, index, zero(source)) as AnyTensor;
    const product = g.mul(scattered(productOp, without(x), axis, index, without(source), 'prod')) as AnyTensor;
    const others = (v: AnyTensor, [p, n, t]: readonly AnyTensor[]): AnyTensor => {
      const left = n!.sub(zeroes(v));
      const quotient = p!.div(without(v));
      return where(left.equalTo(0), quotient, where(left.equalTo(1), quotient.mul(t!.sub(zero(v))), 0)) as AnyTensor;
    };
    const each = [product, count, total];
    const ofSource = others(
      source,
      each.map((y) => y.gather(axis, index) as AnyTensor),
    );
    return [others(x, each), undefined, padded(ofSource, node.input(2))];
  },
  { inputs: true },
);

const ops = { sum: scatterOp, prod: productOp, amax: extremeOp, amin: extremeOp, assign: assignOp };

/** The part of a source that an index reaches. */
function firstOf(source: AnyTensor, index: AnyTensor): AnyTensor {
  return index.shape.reduce<AnyTensor>((part, size, axis) => part.slice(axis, 0, size) as AnyTensor, source);
}

/** With zeros up to the shape of the source. */
function padded(part: AnyTensor, source: AnyTensor): AnyTensor {
  return part.pad(source.shape.map((size, axis) => [0, size - part.shape[axis]!]));
}

function scattered(
  op: NativeOp<AxisContext>,
  x: AnyTensor,
  axis: number,
  index: AnyTensor,
  source: AnyTensor,
  combination: keyof typeof combinations,
): AnyTensor {
  return run(op, [x, index, source], x.shape, x.dtype, [axis, combinations[combination]], { axis });
}

/** A source as a tensor that the index fits into; a number is seen everywhere. */
function sourceOf(op: string, x: AnyTensor, index: AnyTensor, source: AnyTensor | number): AnyTensor {
  if (typeof source !== 'number') {
    checkSource(op, index, source);
    return source.cast(x.dtype);
  }
  replacing(op, x, source, 'source');
  return full([], source, { dtype: x.dtype, device: x.device }).expand(index.shape) as AnyTensor;
}

/**
 * x with `source`, a tensor or a number, put where `index` points along one axis: y[index[i][j]][j] = source[i][j] for axis 0, and so on. Of elements that
 * fall on one place the last one in row-major order stays.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * scatter(zeros([3]), 0, tensor([2, 0], { dtype: 'int32' }), tensor([5, 7])); // [7, 0, 5]
 */
export function scatter<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'scatter'>,
  source: AnyTensor | number,
): Tensor<S, D>;
export function scatter(x: AnyTensor, axis: number, index: AnyTensor, source: AnyTensor | number): AnyTensor {
  checkTensor('scatter', x);
  checkIndex('scatter', index);
  const along = normalizeAxis('scatter', axis, x.shape);
  checkGather('scatter', x.shape, index, along);
  return scattered(assignOp, x, along, index, sourceOf('scatter', x, index, source), 'assign');
}

export type ScatterReduction = 'sum' | 'prod' | 'mean' | 'amax' | 'amin';

export interface ScatterReduceOptions {
  /** Whether the element of x is one of those that are combined; it is unless given. */
  readonly includeSelf?: boolean;
}

/**
 * x with the elements of `source` that fall on one place along an axis combined with the element there: their sum, product, mean, largest or smallest.
 * Places that no index names keep their element. Elements that tie for an extreme share the gradient.
 *
 * @throws ShapeError, ArgumentError; DTypeError for bool; IndexError at the next read when an index is outside the axis.
 * @example
 * scatterReduce(zeros([2]), 0, tensor([0, 0, 1], { dtype: 'int32' }), tensor([2, 4, 5]), 'mean', { includeSelf: false }); // [3, 5]
 */
export function scatterReduce<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'scatterReduce'>,
  source: AnyTensor,
  reduction: ScatterReduction,
  options?: ScatterReduceOptions,
): Tensor<S, D>;
export function scatterReduce(
  x: AnyTensor,
  axis: number,
  index: AnyTensor,
  source: AnyTensor,
  reduction: ScatterReduction,
  options: ScatterReduceOptions = {},
): AnyTensor {
  checkOptions('scatterReduce', options);
  checkTensor('scatterReduce', x);
  checkDType('scatterReduce', x.dtype, numbers);
  checkIndex('scatterReduce', index);
  checkSource('scatterReduce', index, source);
  const along = normalizeAxis('scatterReduce', axis, x.shape);
  checkGather('scatterReduce', x.shape, index, along);
  const values = source.cast(x.dtype) as AnyTensor;
  const { includeSelf = true } = options;
  const start = (value: number): AnyTensor => (includeSelf ? x : x.scatter(along, index, value)) as AnyTensor;
  switch (reduction) {
    case 'sum':
      return scattered(scatterOp, start(0), along, index, values, 'sum');
    case 'prod':
      return scattered(productOp, start(1), along, index, values, 'prod');
    case 'mean':
      return meanOf(scattered(scatterOp, start(0), along, index, values, 'sum'), along, index, includeSelf);
    case 'amax':
    case 'amin': {
      const worst = reduction === 'amax' ? -Infinity : Infinity;
      // Integers have no infinity: any element of the source will do, as it is combined once more.
      const base =
        isFloat(x.dtype) || includeSelf ? start(worst) : scattered(assignOp, x, along, index, values, 'assign');
      return scattered(ops[reduction], base, along, index, values, reduction);
    }
    default:
      throw new ArgumentError(
        `scatterReduce: reduction: got ${describe(reduction)}, expected sum, prod, mean, amax, amin`,
      );
  }
}

/** Sums divided by the number of elements in each; integers rounded down. */
function meanOf(sums: AnyTensor, axis: number, index: AnyTensor, includeSelf: boolean): AnyTensor {
  const { shape, device } = sums;
  const one: AnyTensor = ones([1], { dtype: 'int64', device });
  const first = includeSelf ? ones(shape, { dtype: 'int64', device }) : zeros(shape, { dtype: 'int64', device });
  const whole = one.expand(index.shape) as AnyTensor;
  const count = (first as AnyTensor).scatterAdd(axis, index, whole).maximum(1).cast(sums.dtype) as AnyTensor;
  return (isFloat(sums.dtype) ? sums.div(count) : sums.floorDivide(count)) as AnyTensor;
}

/**
 * x with slices of `source` combined with those at `index` along an axis: their sum, product, mean, largest or smallest elements, as {@link scatterReduce} does
 * it. Slices that no index names stay.
 *
 * @throws ShapeError, ArgumentError; DTypeError for bool; IndexError at the next read when an index is outside the axis.
 * @example
 * indexReduce(ones([2]), 0, tensor([1, 1], { dtype: 'int32' }), tensor([3, 4]), 'prod'); // [1, 12]
 */
export function indexReduce<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'indexReduce'>,
  source: AnyTensor,
  reduction: ScatterReduction,
  options?: ScatterReduceOptions,
): Tensor<S, D>;
export function indexReduce(
  x: AnyTensor,
  axis: number,
  index: AnyTensor,
  source: AnyTensor,
  reduction: ScatterReduction,
  options: ScatterReduceOptions = {},
): AnyTensor {
  checkOptions('indexReduce', options);
  checkTensor('indexReduce', x);
  checkDType('indexReduce', x.dtype, numbers);
  const [along, places] = placesOf('indexReduce', x, axis, index, source);
  return scatterReduce(x, along, places as never, source, reduction, options);
}

/** The axis, and the index beside each element of slices that are to be put there. */
function placesOf(op: string, x: AnyTensor, axis: number, index: AnyTensor, source: AnyTensor): [number, AnyTensor] {
  checkVector(op, index);
  const along = normalizeAxis(op, axis, x.shape);
  checkSlices(op, x, along, index, source);
  const line = index.reshape(x.shape.map((_, i) => (i === along ? index.size : 1))) as AnyTensor;
  return [along, line.expand(source.shape) as AnyTensor];
}

/**
 * x with slices of `source` put at `index` along an axis: y[…, index[i], …] = source[…, i, …]. Of slices that fall on one place the last one stays.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * indexCopy(zeros([3]), 0, tensor([2, 0], { dtype: 'int32' }), tensor([5, 7])); // [7, 0, 5]
 */
export function indexCopy<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'indexCopy'>,
  source: AnyTensor,
): Tensor<S, D>;
export function indexCopy(x: AnyTensor, axis: number, index: AnyTensor, source: AnyTensor): AnyTensor {
  checkTensor('indexCopy', x);
  const [along, places] = placesOf('indexCopy', x, axis, index, source);
  return scattered(assignOp, x, along, places, source.cast(x.dtype), 'assign');
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    scatter<E extends DType>(
      axis: number,
      index: IndexTensor<Shape, E, 'scatter'>,
      source: AnyTensor | number,
    ): Tensor<S, D>;
    scatterReduce<E extends DType>(
      axis: number,
      index: IndexTensor<Shape, E, 'scatterReduce'>,
      source: AnyTensor,
      reduction: ScatterReduction,
      options?: ScatterReduceOptions,
    ): Tensor<S, D>;
    indexReduce<E extends DType>(
      axis: number,
      index: IndexTensor<Shape, E, 'indexReduce'>,
      source: AnyTensor,
      reduction: ScatterReduction,
      options?: ScatterReduceOptions,
    ): Tensor<S, D>;
    indexCopy<E extends DType>(
      axis: number,
      index: IndexTensor<Shape, E, 'indexCopy'>,
      source: AnyTensor,
    ): Tensor<S, D>;
  }
}
installMethods({ scatter, scatterReduce, indexReduce, indexCopy });
