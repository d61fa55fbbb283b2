/** Elements chosen by a mask: where they are, what they are, and what takes their place. */
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { MaskTensor } from '../tensor/index-types';
import type { ReplacementCheck } from '../tensor/operand-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { broadcastShapes, contiguousStrides, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { allDTypes, checkTensor, defineOp, installMethods, run } from './define';
import { later, now, type KnownLater } from './known-later';
import { stack } from './movement';
import { where } from './pointwise-compare';
import { replacing, type Replacement } from './pointwise-run';

/** Throws unless `mask` is a bool tensor. */
export function checkMask(op: string, mask: unknown): asserts mask is Tensor<Shape, 'bool'> {
  checkTensor(op, mask, 'mask');
  if (mask.dtype !== 'bool') throw new DTypeError(`${op}: mask: got dtype ${mask.dtype}, expected bool`);
}

const nonzeroOp = defineOp('nonzero', { dtypes: allDTypes });

/** The places of the elements of x that are not 0, in the flattened tensor. */
export function nonzeroPlaces(x: AnyTensor): KnownLater<Tensor<[number], 'int64'>> {
  return {
    count: x.cast('bool').sum(),
    build: (count) => run(nonzeroOp, [x], [count], 'int64') as unknown as Tensor<[number], 'int64'>,
  };
}

function positions(x: AnyTensor): KnownLater<Tensor<[number, number], 'int64'>> {
  checkTensor('nonzero', x);
  const { count, build } = nonzeroPlaces(x);
  const strides = contiguousStrides(x.shape);
  return {
    count,
    build: (n) => {
      const places = build(n) as AnyTensor;
      const along = strides.map((stride, axis): AnyTensor => {
        const steps = stride === 1 ? places : (places.floorDivide(stride) as AnyTensor);
        return axis === 0 ? steps : (steps.remainder(x.shape[axis]!) as AnyTensor);
      });
      const all = along.length === 0 ? places.narrow(0, 0, 0).reshape([n, 0]) : stack(along, 1);
      return all as unknown as Tensor<[number, number], 'int64'>;
    },
  };
}

/**
 * The positions of the elements that are not 0, one in each row, in row-major order: int64 of shape [count, x.rank]. Waits for the device without
 * blocking.
 *
 * @example
 * await nonzero(tensor([[1, 0], [0, 2]])); // [[0, 0], [1, 1]]
 */
export async function nonzero(x: AnyTensor): Promise<Tensor<[number, number], 'int64'>> {
  return later(positions(x));
}

/** The same as {@link nonzero}, but blocks the thread. */
export function nonzeroSync(x: AnyTensor): Tensor<[number, number], 'int64'> {
  return now(positions(x));
}

function selected<D extends DType>(x: Tensor<Shape, D>, mask: AnyTensor): KnownLater<Tensor<[number], D>> {
  checkTensor('maskedSelect', x);
  checkMask('maskedSelect', mask);
  const shape = broadcastShapes('maskedSelect', x.shape, mask.shape);
  const { count, build } = nonzeroPlaces(mask.expand(shape) as AnyTensor);
  const elements = x.expand(shape).reshape([-1]);
  return { count, build: (n) => elements.indexSelect(0, build(n)) as unknown as Tensor<[number], D> };
}

/**
 * The elements of x where a mask, which broadcasts with it, is true, as a vector. Waits for the device without blocking.
 *
 * @throws ShapeError when they do not broadcast; DTypeError unless the mask is bool.
 * @example
 * await maskedSelect(tensor([1, 2, 3]), tensor([true, false, true])); // [1, 3]
 */
export async function maskedSelect<D extends DType, E extends DType>(
  x: Tensor<Shape, D>,
  mask: MaskTensor<E, 'maskedSelect'>,
): Promise<Tensor<[number], D>> {
  return later(selected(x, mask));
}

/** The same as {@link maskedSelect}, but blocks the thread. */
export function maskedSelectSync<D extends DType, E extends DType>(
  x: Tensor<Shape, D>,
  mask: MaskTensor<E, 'maskedSelectSync'>,
): Tensor<[number], D> {
  return now(selected(x, mask));
}

/** Throws unless the mask broadcasts to the shape of x. */
function checkFits(op: string, x: AnyTensor, mask: AnyTensor): void {
  checkTensor(op, x);
  checkMask(op, mask);
  if (sameShape(broadcastShapes(op, x.shape, mask.shape), x.shape)) return;
  throw new ShapeError(
    `${op}: mask does not fit: got shape ${show(mask.shape)}, expected one that broadcasts to ${show(x.shape)}`,
    { mask: mask.shape, shape: x.shape },
  );
}

/**
 * x with `value` where a mask, which broadcasts to its shape, is true. A tensor as value broadcasts too; bools may be replaced by `true` or `false`, or 1 or 0.
 *
 * @throws ShapeError when something does not broadcast; DTypeError unless the mask is bool and x can hold the value.
 * @example
 * maskedFill(tensor([1, 2, 3]), tensor([true, false, true]), 0); // [0, 2, 0]
 */
export function maskedFill<S extends Shape, D extends DType, E extends DType, V extends Replacement>(
  x: Tensor<S, D>,
  mask: MaskTensor<E, 'maskedFill'>,
  value: V & Ok<ReplacementCheck<V, D, 'maskedFill'>>,
): Tensor<S, D>;
export function maskedFill(x: AnyTensor, mask: Tensor<Shape, 'bool'>, value: Replacement): AnyTensor {
  checkFits('maskedFill', x, mask);
  return where(mask, replacing('maskedFill', x, value), x) as AnyTensor;
}

/**
 * x with the elements of `source`, one after the other in row-major order, where a mask, which broadcasts to its shape, is true.
 *
 * @throws ShapeError when the mask does not fit; DTypeError unless it is bool; IndexError at the next read when the source has too few elements.
 * @example
 * maskedScatter(zeros([4]), tensor([true, false, true, true]), tensor([7, 8, 9])); // [7, 0, 8, 9]
 */
export function maskedScatter<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  mask: MaskTensor<E, 'maskedScatter'>,
  source: Tensor<Shape, D>,
): Tensor<S, D>;
export function maskedScatter(x: AnyTensor, mask: Tensor<Shape, 'bool'>, source: AnyTensor): AnyTensor {
  checkFits('maskedScatter', x, mask);
  checkTensor('maskedScatter', source, 'source');
  const whole = mask.expand(x.shape) as AnyTensor;
  return where(whole as Tensor<Shape, 'bool'>, inOrder(whole, source.cast(x.dtype).reshape([-1]), 0), x) as AnyTensor;
}

/**
 * The slices of `source` along `axis` spread over the shape of a mask, which takes the place of that axis: the first where the mask is
 * first true, and so on; anything where it is false.
 */
export function inOrder(mask: AnyTensor, source: AnyTensor, axis: number): AnyTensor {
  // Where nothing is true an element of an empty source is named all the same: it gets one, and true places name the next.
  const isEmpty = source.shape[axis] === 0;
  const readable = isEmpty ? source.pad(source.shape.map((_, i) => [0, i === axis ? 1 : 0])) : source;
  const flat = mask.reshape([-1]) as Tensor<Shape, 'bool'>;
  const index = where(flat, flat.cumsum(0).sub(isEmpty ? 0 : 1), 0) as Tensor<Shape, 'int64'>;
  return readable
    .indexSelect(axis, index)
    .reshape([...source.shape.slice(0, axis), ...mask.shape, ...source.shape.slice(axis + 1)]);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    nonzero(): Promise<Tensor<[number, number], 'int64'>>;
    nonzeroSync(): Tensor<[number, number], 'int64'>;
    maskedSelect<E extends DType>(mask: MaskTensor<E, 'maskedSelect'>): Promise<Tensor<[number], D>>;
    maskedSelectSync<E extends DType>(mask: MaskTensor<E, 'maskedSelectSync'>): Tensor<[number], D>;
    maskedFill<E extends DType, V extends Replacement>(
      mask: MaskTensor<E, 'maskedFill'>,
      value: V & Ok<ReplacementCheck<V, D, 'maskedFill'>>,
    ): Tensor<S, D>;
    maskedScatter<E extends DType>(mask: MaskTensor<E, 'maskedScatter'>, source: AnyTensor): Tensor<S, D>;
  }
}
installMethods({ nonzero, nonzeroSync, maskedSelect, maskedSelectSync, maskedFill, maskedScatter });
