/** Ops that put elements elsewhere, composed of views and joins: repeating, rolling, turning, moving axes. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType, IndexDType } from '../tensor/dtype';
import type { AxisCheck, Ok, Reshape, ReshapeCheck, Shape } from '../tensor/shape-types';
import { checkShape, normalizeAxis, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, tensor } from './creation';
import { checkOptions, checkTensor, installMethods } from './define';
import { describe } from '../tensor/describe';
import { checkVector } from './index-select';
import { later, now, type KnownLater } from './known-later';
import { cat, resolveShape, viewStrides } from './movement';

/** A number or a list of them, as a list of integers. Throws `ArgumentError` for anything else. */
function integers(op: string, name: string, value: unknown): readonly number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.every((entry) => Number.isSafeInteger(entry))) return list as number[];
  throw new ArgumentError(
    `${op}: ${name}: got ${Array.isArray(value) ? `[${list.map(shown).join(', ')}]` : describe(value)}, expected integers`,
  );
}

/**
 * The same elements under another shape, as a view; one size may be -1. {@link reshape} copies where this throws.
 *
 * @throws ShapeError when the number of elements differs, or the layout allows no view.
 * @example
 * view(arange(6), [2, 3]); // [[0, 1, 2], [3, 4, 5]]
 */
export function view<S extends Shape, D extends DType, const T extends Shape>(
  x: Tensor<S, D>,
  shape: T & Ok<ReshapeCheck<S, T, 'view'>>,
): Tensor<Reshape<S, T>, D>;
export function view(x: AnyTensor, shape: Shape): AnyTensor {
  checkTensor('view', x);
  const target = resolveShape('view', x.shape, shape);
  if (viewStrides(x, target) === undefined) {
    throw new ShapeError(
      `view: the layout allows none: got shape ${show(x.shape)} with strides ${show(x.strides)}, expected reshape for ${show(target)}`,
    );
  }
  return x.reshape(target);
}

/**
 * One axis split into several, of which one size may be -1: the inverse of {@link flatten}. A view where the layout allows it.
 *
 * @throws ShapeError when the sizes do not multiply to that of the axis.
 * @example
 * unflatten(arange(6), 0, [2, -1]); // [[0, 1, 2], [3, 4, 5]]
 */
export function unflatten<S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'unflatten'>>,
  sizes: Shape,
): Tensor<Shape, D>;
export function unflatten(x: AnyTensor, axis: number, sizes: Shape): AnyTensor {
  checkTensor('unflatten', x);
  const along = normalizeAxis('unflatten', axis, x.shape);
  const split = resolveShape('unflatten', [x.shape[along]!], sizes);
  return x.reshape([...x.shape.slice(0, along), ...split, ...x.shape.slice(along + 1)]);
}

/**
 * Axes moved to other positions, the others in their order. A view.
 *
 * @throws ShapeError when an axis is out of range or given twice.
 * @example
 * moveAxis(zeros([2, 3, 4]), 0, -1).shape; // [3, 4, 2]
 */
export function moveAxis<D extends DType>(
  x: Tensor<Shape, D>,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor<Shape, D>;
export function moveAxis(
  x: AnyTensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): AnyTensor {
  checkTensor('moveAxis', x);
  const from = distinctAxes('source', source, x.shape);
  const to = distinctAxes('destination', destination, x.shape);
  if (from.length !== to.length) {
    throw new ArgumentError(
      `moveAxis: axes: got ${from.length} sources and ${to.length} destinations, expected as many`,
    );
  }
  const others = x.shape.map((_, axis) => axis).filter((axis) => !from.includes(axis));
  const order = x.shape.map((_, axis) => (to.includes(axis) ? from[to.indexOf(axis)]! : others.shift()!));
  return x.permute(order);
}

function distinctAxes(name: string, axes: number | readonly number[], shape: Shape): number[] {
  const list = integers('moveAxis', name, axes).map((axis) => normalizeAxis('moveAxis', axis, shape));
  if (new Set(list).size === list.length) return list;
  throw new ShapeError(`moveAxis: ${name}: got ${show(list)}, expected each axis once`);
}

/**
 * x laid side by side: as often along each axis as `repeats` says, from the last axis on; more entries than axes make new ones in front.
 *
 * @throws ShapeError when there are fewer entries than axes.
 * @example
 * repeat(tensor([1, 2]), [2, 2]); // [[1, 2, 1, 2], [1, 2, 1, 2]]
 */
export function repeat<D extends DType>(x: Tensor<Shape, D>, repeats: number | readonly number[]): Tensor<Shape, D> {
  checkTensor('repeat', x);
  const counts = integers('repeat', 'repeats', repeats);
  if (counts.length < x.rank) {
    throw new ShapeError(
      `repeat: repeats: got ${show(counts)}, expected at least one for each axis of ${show(x.shape)}`,
    );
  }
  return repeated('repeat', x, counts);
}

/**
 * x laid side by side, as {@link repeat}, but axes without an entry stay as they are, as in NumPy.
 *
 * @example
 * tile(tensor([[1, 2]]), 2); // [[1, 2, 1, 2]]
 */
export function tile<D extends DType>(x: Tensor<Shape, D>, repeats: number | readonly number[]): Tensor<Shape, D> {
  checkTensor('tile', x);
  const counts = integers('tile', 'repeats', repeats);
  return repeated('tile', x, [...new Array<number>(Math.max(x.rank - counts.length, 0)).fill(1), ...counts]);
}

function repeated<D extends DType>(op: string, x: Tensor<Shape, D>, counts: readonly number[]): Tensor<Shape, D>;
function repeated(op: string, x: AnyTensor, counts: readonly number[]): AnyTensor {
  const sizes = [...new Array<number>(counts.length - x.rank).fill(1), ...x.shape];
  const target = sizes.map((size, axis) => size * counts[axis]!);
  checkShape(op, counts);
  checkShape(op, target);
  let y: AnyTensor = x.reshape(sizes);
  counts.forEach((count, axis) => {
    if (count !== 1) y = spread(y, axis, axis, count);
  });
  return y === x ? x.clone() : y;
}

/** The axes from `at` on taken together and laid side by side `count` times; the size of `axis` grows. */
function spread(x: AnyTensor, at: number, axis: number, count: number): AnyTensor {
  const before = sizeOf(x.shape.slice(0, at));
  const behind = sizeOf(x.shape.slice(at));
  const parts = x.reshape([before, 1, behind]).expand([before, count, behind]) as AnyTensor;
  return parts.reshape(x.shape.map((size, i) => (i === axis ? size * count : size)));
}

export interface RepeatInterleaveOptions {
  /** The flattened tensor unless given. */
  readonly axis?: number;
}

function interleaved(x: AnyTensor, repeats: unknown, axis: number | undefined): KnownLater<AnyTensor> | AnyTensor {
  checkTensor('repeatInterleave', x);
  const source = axis === undefined ? x.flatten() : x;
  const along = axis === undefined ? 0 : normalizeAxis('repeatInterleave', axis, x.shape);
  const size = source.shape[along]!;
  if (typeof repeats === 'object' && !Array.isArray(repeats)) {
    checkVector('repeatInterleave', repeats);
    checkCounts(repeats.size, size);
    const counts = repeats.expand([size]) as AnyTensor;
    return { count: counts.sum(), build: (total) => interleave(source, along, counts, total) };
  }
  const given = integers('repeatInterleave', 'repeats', repeats);
  checkCounts(given.length, size);
  checkShape(
    'repeatInterleave',
    source.shape.map((n, i) => (i === along ? Math.max(n, 1) * Math.max(...given, 0) : n)),
  );
  const bad = given.find((count) => count < 0);
  if (bad !== undefined) {
    throw new ArgumentError(`repeatInterleave: repeats: got ${bad}, expected non-negative integers`);
  }
  if (given.length === 1) return spread(source, along + 1, along, given[0]!);
  const counts: AnyTensor = tensor(given as number[], { dtype: 'int64', device: x.device });
  return interleave(
    source,
    along,
    counts,
    given.reduce((sum, count) => sum + count, 0),
  );
}

function checkCounts(got: number, size: number): void {
  if (got === 1 || got === size) return;
  throw new ShapeError(`repeatInterleave: repeats: got ${got}, expected one or one for each of ${size}`);
}

function interleave(x: AnyTensor, axis: number, counts: AnyTensor, total: number): AnyTensor {
  const places = arange(total, { dtype: 'int64', device: x.device });
  return x.indexSelect(axis, counts.cumsum(0).searchSorted(places, { right: true }) as Tensor<Shape, 'int64'>);
}

/**
 * Every element, or slice along an axis, repeated in place: as often as one number says, or a list or tensor with one for each. Only the device knows the
 * size for a tensor, so that gives a promise.
 *
 * @throws ShapeError when the repeats do not fit the axis; ArgumentError when one is negative.
 * @example
 * repeatInterleave(tensor([5, 6]), [2, 1]); // [5, 5, 6]
 */
export function repeatInterleave<D extends DType>(
  x: Tensor<Shape, D>,
  repeats: number | readonly number[],
  options?: RepeatInterleaveOptions,
): Tensor<Shape, D>;
export function repeatInterleave<D extends DType>(
  x: Tensor<Shape, D>,
  repeats: Tensor<Shape, IndexDType>,
  options?: RepeatInterleaveOptions,
): Promise<Tensor<Shape, D>>;
export function repeatInterleave(
  x: AnyTensor,
  repeats: number | readonly number[] | AnyTensor,
  options: RepeatInterleaveOptions = {},
): AnyTensor | Promise<AnyTensor> {
  checkOptions('repeatInterleave', options);
  const result = interleaved(x, repeats, options.axis);
  return 'build' in result ? later(result) : result;
}

/**
 * The same as {@link repeatInterleave}, but blocks the thread where the repeats are a tensor.
 *
 * @example
 * repeatInterleaveSync(tensor([5, 6]), tensor([2, 1], { dtype: 'int32' })); // [5, 5, 6]
 */
export function repeatInterleaveSync<D extends DType>(
  x: Tensor<Shape, D>,
  repeats: number | readonly number[] | Tensor<Shape, IndexDType>,
  options?: RepeatInterleaveOptions,
): Tensor<Shape, D>;
export function repeatInterleaveSync(
  x: AnyTensor,
  repeats: number | readonly number[] | AnyTensor,
  options: RepeatInterleaveOptions = {},
): AnyTensor {
  checkOptions('repeatInterleaveSync', options);
  const result = interleaved(x, repeats, options.axis);
  return 'build' in result ? now(result) : result;
}

/**
 * The elements moved along axes by `shifts`, those that leave one end entering at the other; without axes along the flattened tensor.
 *
 * @throws ArgumentError when shifts and axes are not as many.
 * @example
 * roll(tensor([1, 2, 3, 4]), 1); // [4, 1, 2, 3]
 */
export function roll<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  shifts: number | readonly number[],
  axes?: number | readonly number[],
): Tensor<S, D>;
export function roll(x: AnyTensor, shifts: number | readonly number[], axes?: number | readonly number[]): AnyTensor {
  checkTensor('roll', x);
  const by = integers('roll', 'shifts', shifts);
  if (axes === undefined) {
    if (by.length !== 1)
      throw new ArgumentError(`roll: shifts: got ${by.length}, expected one where no axes are given`);
    return rolled(x.reshape([-1]), by[0]!, 0).reshape(x.shape);
  }
  const along = integers('roll', 'axes', axes).map((axis) => normalizeAxis('roll', axis, x.shape));
  if (along.length !== by.length) {
    throw new ArgumentError(`roll: shifts: got ${by.length}, expected one for each of ${along.length} axes`);
  }
  return along.reduce((y, axis, i) => rolled(y, by[i]!, axis), x);
}

function rolled(x: AnyTensor, shift: number, axis: number): AnyTensor {
  const size = x.shape[axis]!;
  const start = size === 0 ? 0 : ((-shift % size) + size) % size;
  return start === 0 ? x : cat([x.slice(axis, start), x.slice(axis, 0, start)], axis);
}

/**
 * Turned by 90 degrees `times` times, from the first of two axes towards the second.
 *
 * @throws ArgumentError for a number of times that is no integer; ShapeError unless the axes are two of x.
 * @example
 * rot90(tensor([[1, 2], [3, 4]])); // [[2, 4], [1, 3]]
 */
export function rot90<D extends DType>(
  x: Tensor<Shape, D>,
  times?: number,
  axes?: readonly [number, number],
): Tensor<Shape, D>;
export function rot90(x: AnyTensor, times = 1, axes: readonly [number, number] = [0, 1]): AnyTensor {
  checkTensor('rot90', x);
  if (!Number.isSafeInteger(times))
    throw new ArgumentError(`rot90: times: got ${describe(times)}, expected an integer`);
  const given = integers('rot90', 'axes', axes);
  if (given.length !== 2) throw new ArgumentError(`rot90: axes: got ${given.length}, expected two`);
  const [first, second] = given.map((axis) => normalizeAxis('rot90', axis, x.shape)) as [number, number];
  if (first === second) throw new ShapeError(`rot90: axis ${first} given twice for shape ${show(x.shape)}`);
  switch (((times % 4) + 4) % 4) {
    case 1:
      return x.flip(second).transpose(first, second);
    case 2:
      return x.flip([first, second]);
    case 3:
      return x.flip(first).transpose(first, second);
    default:
      return x;
  }
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    view<const T extends Shape>(shape: T & Ok<ReshapeCheck<S, T, 'view'>>): Tensor<Reshape<S, T>, D>;
    unflatten<const A extends number>(axis: A & Ok<AxisCheck<S, A, 'unflatten'>>, sizes: Shape): Tensor<Shape, D>;
    moveAxis(source: number | readonly number[], destination: number | readonly number[]): Tensor<Shape, D>;
    repeat(repeats: number | readonly number[]): Tensor<Shape, D>;
    tile(repeats: number | readonly number[]): Tensor<Shape, D>;
    repeatInterleave(repeats: number | readonly number[], options?: RepeatInterleaveOptions): Tensor<Shape, D>;
    repeatInterleave(repeats: Tensor<Shape, IndexDType>, options?: RepeatInterleaveOptions): Promise<Tensor<Shape, D>>;
    repeatInterleaveSync(
      repeats: number | readonly number[] | Tensor<Shape, IndexDType>,
      options?: RepeatInterleaveOptions,
    ): Tensor<Shape, D>;
    roll(shifts: number | readonly number[], axes?: number | readonly number[]): Tensor<S, D>;
    rot90(times?: number, axes?: readonly [number, number]): Tensor<Shape, D>;
  }
}
installMethods({ view, unflatten, moveAxis, repeat, tile, repeatInterleave, repeatInterleaveSync, roll, rot90 });
