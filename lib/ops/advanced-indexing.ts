/**
 * Indexing as in NumPy and PyTorch: `at` reads and `setAt` writes what positions, ranges, new axes, ellipses, integer tensors and masks pick. First
 * positions and ranges are looked at as a view; then the axes that tensors index are taken together as one, from which whole
 * slices are picked. take, takeAlongAxis, gatherNd and scatterNd are the same under other names.
 */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { isInt, type DType } from '../tensor/dtype';
import type { At, Index, IndexTensor, IndicesCheck, Picked, Range } from '../tensor/index-types';
import type { ReplacementCheck } from '../tensor/operand-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { broadcastShapes, checkShape, normalizeAxis, sameShape, show, sizeOf } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { full, tensor, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, defineView, installMethods, numbers, recorded } from './define';
import { describe } from '../tensor/describe';
import { checkIndex } from './indexing';
import { later, now, type KnownLater } from './known-later';
import { inOrder, nonzeroPlaces } from './masks';
import { runOf, viewOfRun } from './movement';
import { where } from './pointwise-compare';
import { fitted, replacing, type Replacement } from './pointwise-run';

type Places = Tensor<Shape, 'int64'>;

/** What an index comes to, for tensors of one shape. */
interface Plan {
  /** The view that positions, rising ranges and new axes make. */
  readonly look: (x: AnyTensor) => AnyTensor;
  /** The axes of the view that falling ranges reverse. */
  readonly reversed: readonly number[];
  /** Where tensors index the view: the first of their axes, and how many (0 for a mask of no axes, which gets a new one). */
  readonly tensors: readonly { readonly axis: number; readonly index: AnyTensor }[];
}

/** The number of axes that an entry is about. */
function axesOf(op: string, entry: unknown): number {
  if (entry === null || entry === '...') return 0;
  if (entry instanceof Tensor) return entry.dtype === 'bool' ? entry.rank : 1;
  if (typeof entry === 'number' || typeof entry === 'string' || (typeof entry === 'object' && entry !== null)) return 1;
  throw new ArgumentError(
    `${op}: index: got ${describe(entry)}, expected a position, a range, '...', null, or a tensor of int32, int64 or bool`,
  );
}

const rangePattern = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?$/;

/** A range as numbers. */
function rangeOf(
  op: string,
  entry: string | Range,
): readonly [start: number | undefined, stop: number | undefined, step: number | undefined] {
  if (typeof entry === 'object') return [entry.start, entry.stop, entry.step];
  const parts = rangePattern.exec(entry);
  if (parts === null) {
    throw new ArgumentError(`${op}: index: got string ${entry}, expected a range such as '1:4' or '::2', or '...'`);
  }
  return parts.slice(1).map((part?: string) => (part === undefined ? undefined : Number(part))) as [
    number | undefined,
    number | undefined,
    number | undefined,
  ];
}

function planOf(op: string, { shape, device }: AnyTensor, indices: readonly unknown[]): Plan {
  if (!Array.isArray(indices)) {
    throw new ArgumentError(`${op}: indices: got ${describe(indices)}, expected an array`);
  }
  const used = indices.reduce<number>((sum, entry) => sum + axesOf(op, entry), 0);
  if (used > shape.length) {
    throw new ShapeError(
      `${op}: too many indices: got ${used}, expected at most ${shape.length} for shape ${show(shape)}`,
    );
  }
  if (indices.filter((entry) => entry === '...').length > 1) {
    throw new ArgumentError(`${op}: indices: got more than one '...', expected at most one`);
  }
  const steps: ((x: AnyTensor) => AnyTensor)[] = [];
  const reversed: number[] = [];
  const tensors: { axis: number; index: AnyTensor }[] = [];
  // The axis of the view, and that of x, which come next.
  let axis = 0;
  let from = 0;
  for (const entry of indices as readonly Index[]) {
    const here = axis;
    if (entry === null) {
      steps.push((x) => x.unsqueeze(here));
      axis++;
    } else if (entry === '...') {
      axis += shape.length - used;
      from += shape.length - used;
    } else if (entry instanceof Tensor) {
      const index: AnyTensor = entry;
      if (index.dtype === 'bool') {
        if (!sameShape(index.shape, shape.slice(from, from + index.rank))) {
          throw new ShapeError(
            `${op}: mask does not fit: got shape ${show(index.shape)}, expected ${show(shape.slice(from, from + index.rank))}`,
          );
        }
        if (index.rank === 0) steps.push((x) => x.unsqueeze(here));
        tensors.push({ axis, index: index.rank === 0 ? index.reshape([1]) : index });
        axis += Math.max(index.rank, 1);
        from += index.rank;
      } else {
        if (!isInt(index.dtype)) {
          throw new DTypeError(`${op}: index: got dtype ${index.dtype}, expected integers or bool`);
        }
        tensors.push({ axis, index });
        axis++;
        from++;
      }
    } else if (Array.isArray(entry)) {
      const positions = entry as readonly unknown[];
      const size = shape[from]!;
      if (!positions.every((p) => Number.isInteger(p) && (p as number) >= -size && (p as number) < size)) {
        throw new ShapeError(
          `${op}: index: got [${positions.map(shown).join(', ')}], expected positions in ${size} elements`,
        );
      }
      tensors.push({
        axis,
        index: tensor(positions as number[], { dtype: 'int64', shape: [positions.length], device }),
      });
      axis++;
      from++;
    } else {
      const size = shape[from++]!;
      if (typeof entry === 'number') {
        if (!Number.isInteger(entry) || entry < -size || entry >= size) {
          throw new ShapeError(`${op}: index ${entry} out of range for axis ${from - 1} of shape ${show(shape)}`);
        }
        steps.push((x) => x.select(here, entry));
        continue;
      }
      const run = runOf(op, size, ...rangeOf(op, entry as string | Range));
      steps.push((x) => viewOfRun(x, here, run));
      if (run.reversed) reversed.push(here);
      axis++;
    }
  }
  checkShape(op, new Array<number>(axis + shape.length - from).fill(0));
  return { look: (x) => steps.reduce((y, step) => step(y), x), reversed, tensors };
}

/** How tensors index a view: its axes in the order that brings theirs together, how many these are and where they begin. */
interface Together {
  readonly order: readonly number[];
  readonly axis: number;
  readonly sizes: Shape;
  /** The shape that takes their place. */
  readonly shape: Shape;
  /** Places in the axes taken as one. */
  readonly places: Places;
}

/** Positions in an axis counted from the front; those outside stay outside. */
function fromFront(index: AnyTensor, size: number): AnyTensor {
  const wide = index.cast('int64') as AnyTensor;
  return where(wide.less(0), wide.add(size), wide) as AnyTensor;
}

function together(op: string, view: AnyTensor, tensors: readonly { axis: number; index: AnyTensor }[]): Together {
  const axes = tensors.map(({ axis }) => axis);
  const sizes = axes.map((axis) => view.shape[axis]!);
  const shape = tensors.reduce<Shape>((all, { index }) => broadcastShapes(op, all, index.shape), []);
  const others = view.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  // Axes that stand together are replaced where they are, others at the front.
  const isRun = axes.every((axis, i) => i === 0 || axis === axes[i - 1]! + 1);
  const axis = isRun ? axes[0]! : 0;
  const order = [...others.slice(0, axis), ...axes, ...others.slice(axis)];
  checkShape(op, [...others.map((other) => view.shape[other]!), ...shape]);
  const indices = tensors.map(({ index }, i) => fromFront(index, sizes[i]!));
  const places = indices.reduce((place, index, i) => place.mul(sizes[i]!).add(index) as AnyTensor);
  if (indices.length === 1) return { order, axis, sizes, shape, places: places as Places };
  // A position outside its own axis may be inside all of them taken as one.
  const isInside = indices
    .map((index, i) => index.greaterEqual(0).logicalAnd(index.less(sizes[i]!)) as AnyTensor)
    .reduce((a, b) => a.logicalAnd(b) as AnyTensor);
  const safe = where(isInside as Tensor<Shape, 'bool'>, places, -1) as AnyTensor;
  return { order, axis, sizes, shape, places: safe as Places };
}

/** The axes of a view in the order of `t`, with those that tensors index taken as one. */
function merged(view: AnyTensor, { order, axis, sizes }: Together): AnyTensor {
  const turned = isInOrder(order) ? view : (view.permute(order) as AnyTensor);
  if (sizes.length === 1) return turned;
  return turned.reshape([...turned.shape.slice(0, axis), sizeOf(sizes), ...turned.shape.slice(axis + sizes.length)]);
}

const isInOrder = (order: readonly number[]): boolean => order.every((axis, i) => axis === i);

/** A mask over several axes indexes them taken as one, at the places where it is true. */
function flatMask(view: AnyTensor, axis: number, mask: AnyTensor): AnyTensor {
  return view.reshape([...view.shape.slice(0, axis), mask.size, ...view.shape.slice(axis + mask.rank)]);
}

function pick(op: string, view: AnyTensor, tensors: Plan['tensors']): AnyTensor {
  if (tensors.length === 0) return view;
  const t = together(op, view, tensors);
  const whole = merged(view, t);
  const picked = whole.indexSelect(t.axis, t.places.reshape([-1])) as AnyTensor;
  return picked.reshape([...whole.shape.slice(0, t.axis), ...t.shape, ...whole.shape.slice(t.axis + 1)]);
}

const isMask = ({ index }: { readonly index: AnyTensor }): boolean => index.dtype === 'bool';

/** What an index reads; known later where it has masks. */
function read(op: string, x: AnyTensor, indices: readonly unknown[]): AnyTensor | KnownLater<AnyTensor> {
  checkTensor(op, x);
  const { look, reversed, tensors } = planOf(op, x, indices);
  const seen = look(x);
  const view: AnyTensor = reversed.length === 0 ? seen : seen.flip(reversed);
  const masks = tensors.filter(isMask);
  if (masks.length === 0) return pick(op, view, tensors);
  const { count, build } = unmasked(op, view, tensors);
  return {
    count,
    build: (n) => {
      const { flat, indices } = build(n);
      return pick(op, flat, indices);
    },
  };
}

/** The view with the axes of a mask taken as one, and integer positions in place of the mask. */
function unmasked(
  op: string,
  view: AnyTensor,
  tensors: Plan['tensors'],
): KnownLater<{ readonly flat: AnyTensor; readonly indices: Plan['tensors'] }> {
  const masks = tensors.filter(isMask);
  if (masks.length > 1) {
    throw new ArgumentError(`${op}: indices: got ${masks.length} masks, expected at most one beside integer tensors`);
  }
  const mask = masks[0]!;
  const { count, build } = nonzeroPlaces(mask.index);
  // The axes of the mask become one, so those behind it move forward.
  const moved = (axis: number): number => (axis > mask.axis ? axis - mask.index.rank + 1 : axis);
  return {
    count,
    build: (n) => ({
      flat: flatMask(view, mask.axis, mask.index),
      indices: tensors.map(({ axis, index }) => ({
        axis: moved(axis),
        index: index === mask.index ? build(n) : index,
      })),
    }),
  };
}

/**
 * What an index picks, with an entry for each axis: a position (its axis disappears), a range (`'1:4'`, `'::-1'`, `{ start, stop, step }`), `null` (a new axis),
 * `'...'` (all axes left), a list or tensor of integers (positions, negative ones from the end; several broadcast with each other), or a mask.
 * Positions and rising ranges give a view. Only the device knows how much a mask picks, so that gives a promise; {@link atSync} blocks.
 *
 * @throws ShapeError for too many indices or a position outside its axis; ArgumentError for what is no index; IndexError at the next read when an
 * integer tensor names a position outside.
 * @example
 * const x = tensor([[1, 2, 3], [4, 5, 6]]);
 * at(x, '...', '::-1'); // [[3, 2, 1], [6, 5, 4]]
 * at(x, [1, 0], [0, 2]); // [4, 3]
 */
export function at<S extends Shape, D extends DType, const Ix extends readonly Index[]>(
  x: Tensor<S, D>,
  ...indices: Ix & Ok<IndicesCheck<Ix, 'at'>>
): Picked<S, D, Ix>;
export function at(x: AnyTensor, ...indices: readonly Index[]): AnyTensor | Promise<AnyTensor> {
  const result = read('at', x, indices);
  return result instanceof Tensor ? result : later(result);
}

/**
 * The same as {@link at}, but blocks the thread where an index is a mask.
 *
 * @example
 * const x = tensor([1, 2, 3]);
 * atSync(x, x.greater(1)); // [2, 3]
 */
export function atSync<S extends Shape, D extends DType, const Ix extends readonly Index[]>(
  x: Tensor<S, D>,
  ...indices: Ix & Ok<IndicesCheck<Ix, 'atSync'>>
): Tensor<At<S, Ix>, D>;
export function atSync(x: AnyTensor, ...indices: readonly Index[]): AnyTensor {
  const result = read('atSync', x, indices);
  return result instanceof Tensor ? result : now(result);
}

// y is x, but where `look` leads it is the second operand.
const putOp = defineView<Plan['look']>('put', (g, node) => [
  node.needs(0) ? put(g, node.context, zeros([], { dtype: g.dtype, device: g.device })) : undefined,
  node.needs(1) ? (node.context(g).sumTo(node.shape(1)) as AnyTensor) : undefined,
]);

function put(x: AnyTensor, look: Plan['look'], value: AnyTensor): AnyTensor {
  const y = x.detach().clone() as AnyTensor;
  look(y).copy_(value.detach());
  return recorded(putOp, [x, value], y, look);
}

export interface SetAtOptions {
  /** Adds to what is there instead of replacing it; what falls on one place several times is added as often. */
  readonly accumulate?: boolean;
}

/**
 * x with `value`, which broadcasts to what the index picks, in its place; among bools `true` or `false`, or 1 or 0. The indices are those of {@link at}, in an
 * array. Without `accumulate` the last of several values for one place stays. For a mask, the value has as many elements as it picks, or broadcasts; a mask
 * beside integer tensors blocks the thread. Gradients go to x, but for what was replaced, and to the value.
 *
 * @throws ShapeError, ArgumentError as {@link at}, and when the value does not broadcast; DTypeError when x cannot hold it.
 * @example
 * setAt(zeros([2, 3]), ['...', '1:'], 7); // [[0, 7, 7], [0, 7, 7]]
 * setAt(zeros([3]), [tensor([0, 0], { dtype: 'int32' })], 1, { accumulate: true }); // [2, 0, 0]
 */
export function setAt<S extends Shape, D extends DType, V extends Replacement>(
  x: Tensor<S, D>,
  indices: readonly Index[],
  value: V & Ok<ReplacementCheck<V, D, 'setAt'>>,
  options?: SetAtOptions,
): Tensor<S, D>;
export function setAt(
  x: AnyTensor,
  indices: readonly Index[],
  value: Replacement,
  options: SetAtOptions = {},
): AnyTensor {
  checkOptions('setAt', options);
  checkTensor('setAt', x);
  const { accumulate = false } = options;
  if (accumulate) checkDType('setAt', x.dtype, numbers);
  const { look, reversed, tensors } = planOf('setAt', x, indices);
  const seen = look(x);
  const view: AnyTensor = reversed.length === 0 ? seen : seen.flip(reversed);
  const source = sourceOf(x, value);
  const masks = tensors.filter(isMask);
  const written = (all: AnyTensor, places: Plan['tensors']): AnyTensor =>
    placed(all, together('setAt', all, places), source, accumulate);
  let changed: AnyTensor;
  if (masks.length > 0 && tensors.length > 1) {
    const { flat, indices: places } = now(unmasked('setAt', view, tensors));
    changed = written(flat, places).reshape(view.shape);
  } else if (masks.length > 0) changed = masked(view, masks[0]!, source, accumulate);
  else if (tensors.length > 0) changed = written(view, tensors);
  else changed = accumulate ? (view.add(fit(source, view.shape)) as AnyTensor) : fit(source, view.shape);
  const region = (reversed.length === 0 ? changed : changed.flip(reversed)) as AnyTensor;
  return seen === x ? (region.expand(x.shape) as AnyTensor) : put(x, look, region);
}

/** A value as a tensor of x's dtype. */
function sourceOf(x: AnyTensor, value: Replacement): AnyTensor {
  if (value instanceof Tensor) {
    // Of any shape: the dtypes alone are compared.
    fitted('setAt', x, zeros([], { dtype: value.dtype, device: value.device }));
    return value.cast(x.dtype);
  }
  const element = replacing('setAt', x, value);
  return typeof element === 'number' ? full([], element, { dtype: x.dtype, device: x.device }) : element;
}

/** A value that broadcasts to a shape. */
function fit(value: AnyTensor, shape: Shape): AnyTensor {
  if (sameShape(broadcastShapes('setAt', value.shape, shape), shape)) return value;
  throw new ShapeError(
    `setAt: value does not fit: got shape ${show(value.shape)}, expected one that broadcasts to ${show(shape)}`,
  );
}

function placed(view: AnyTensor, t: Together, value: AnyTensor, accumulate: boolean): AnyTensor {
  const whole = merged(view, t);
  const [before, behind] = [whole.shape.slice(0, t.axis), whole.shape.slice(t.axis + 1)];
  const target = [...before, ...t.shape, ...behind];
  const source = fit(value, target)
    .expand(target)
    .reshape([...before, t.places.size, ...behind]) as AnyTensor;
  const places = t.places.reshape([-1]) as Places;
  const changed = accumulate ? whole.indexAdd(t.axis, places, source) : whole.indexCopy(t.axis, places, source);
  const turned = changed.reshape(t.order.map((axis) => view.shape[axis]!)) as AnyTensor;
  return isInOrder(t.order) ? turned : turned.permute(t.order.map((_, axis) => t.order.indexOf(axis)));
}

/** What a mask picks replaced: by slices in order where the value has an axis of them, else by one value. */
function masked(
  view: AnyTensor,
  { axis, index: mask }: Plan['tensors'][number],
  value: AnyTensor,
  accumulate: boolean,
): AnyTensor {
  const before = view.shape.slice(0, axis);
  const behind = view.shape.slice(axis + mask.rank);
  const picked = value.shape[value.rank - behind.length - 1] ?? 1;
  const source = fit(value, [...before, picked, ...behind]).expand([...before, picked, ...behind]) as AnyTensor;
  const spread =
    picked === 1 ? source.reshape([...before, ...mask.shape.map(() => 1), ...behind]) : inOrder(mask, source, axis);
  const isPicked = mask.reshape([...mask.shape, ...behind.map(() => 1)]) as Tensor<Shape, 'bool'>;
  return where(isPicked, accumulate ? view.add(spread) : spread, view) as AnyTensor;
}

/**
 * Elements of the flattened tensor: y[…] = x.flatten()[index[…]], of the index's shape. Negative positions count from the end.
 *
 * @throws DTypeError unless the index is int32 or int64; IndexError at the next read when a position is outside.
 * @example
 * take(tensor([[1, 2], [3, 4]]), tensor([3, 0], { dtype: 'int32' })); // [4, 1]
 */
export function take<D extends DType, I extends Shape, E extends DType>(
  x: Tensor<Shape, D>,
  index: IndexTensor<I, E, 'take'>,
): Tensor<I, D>;
export function take(x: AnyTensor, index: AnyTensor): AnyTensor {
  checkTensor('take', x);
  checkIndex('take', index);
  return pick('take', x.reshape([-1]), [{ axis: 0, index }]);
}

/**
 * Elements picked along an axis by an index that broadcasts with x elsewhere, as argmax and argsort give it; without an axis from the flattened
 * tensor. Negative positions count from the end.
 *
 * @throws ShapeError when the index does not fit; DTypeError unless it is int32 or int64; IndexError at the next read when a position is outside.
 * @example
 * const x = tensor([[3, 1], [2, 4]]);
 * takeAlongAxis(x, x.argsort(), -1); // [[1, 3], [2, 4]]
 */
export function takeAlongAxis<D extends DType, E extends DType>(
  x: Tensor<Shape, D>,
  index: IndexTensor<Shape, E, 'takeAlongAxis'>,
  axis?: number,
): Tensor<Shape, D>;
export function takeAlongAxis(x: AnyTensor, index: AnyTensor, axis?: number): AnyTensor {
  checkTensor('takeAlongAxis', x);
  checkIndex('takeAlongAxis', index);
  if (axis === undefined) return take(x, index.reshape([-1]) as Places);
  const along = normalizeAxis('takeAlongAxis', axis, x.shape);
  if (index.rank !== x.rank) {
    throw new ShapeError(`takeAlongAxis: index: got shape ${show(index.shape)}, expected the rank of ${show(x.shape)}`);
  }
  const sized = (shape: Shape, size: number): Shape => shape.map((n, i) => (i === along ? size : n));
  const others = broadcastShapes('takeAlongAxis', sized(x.shape, 1), sized(index.shape, 1));
  const places = fromFront(index.expand(sized(others, index.shape[along]!)), x.shape[along]!) as Places;
  return (x.expand(sized(others, x.shape[along]!)) as AnyTensor).gather(along, places);
}

/** The index tensors of the leading axes that the last axis of `indices` names. */
function named(op: string, shape: Shape, indices: AnyTensor): AnyTensor[] {
  checkIndex(op, indices, 'indices');
  const depth = indices.shape[indices.rank - 1] ?? NaN;
  if (depth >= 1 && depth <= shape.length) return indices.unbind(-1) as AnyTensor[];
  throw new ShapeError(
    `${op}: indices: got shape ${show(indices.shape)}, expected a last axis of 1 to ${shape.length} for shape ${show(shape)}`,
  );
}

/**
 * Slices picked by positions in the leading axes: y[…] = x[indices[…, 0], indices[…, 1], …], of shape [...indices.shape[:-1], ...the axes left].
 *
 * @throws ShapeError unless the last axis of the indices names axes of x; IndexError at the next read when a position is outside.
 * @example
 * gatherNd(tensor([[1, 2], [3, 4]]), tensor([[1, 0], [0, 1]], { dtype: 'int32' })); // [3, 2]
 */
export function gatherNd<D extends DType, E extends DType>(
  x: Tensor<Shape, D>,
  indices: IndexTensor<Shape, E, 'gatherNd'>,
): Tensor<Shape, D>;
export function gatherNd(x: AnyTensor, indices: AnyTensor): AnyTensor {
  checkTensor('gatherNd', x);
  return pick(
    'gatherNd',
    x,
    named('gatherNd', x.shape, indices).map((index, axis) => ({ axis, index })),
  );
}

/**
 * Zeros of a shape with `updates` added at positions in the leading axes: y[indices[…, 0], indices[…, 1], …] += updates[…]; the adjoint of {@link gatherNd}.
 *
 * @throws ShapeError unless the last axis of the indices names axes of the shape and the updates fit; DTypeError for bool.
 * @example
 * scatterNd(tensor([[1], [1]], { dtype: 'int32' }), tensor([2, 3]), [3]); // [0, 5, 0]
 */
export function scatterNd<D extends DType, E extends DType, const S extends Shape>(
  indices: IndexTensor<Shape, E, 'scatterNd'>,
  updates: Tensor<Shape, D>,
  shape: S,
): Tensor<S, D>;
export function scatterNd(indices: AnyTensor, updates: AnyTensor, shape: Shape): AnyTensor {
  checkTensor('scatterNd', updates, 'updates');
  checkShape('scatterNd', shape);
  const parts = named('scatterNd', shape, indices);
  const target = [...indices.shape.slice(0, -1), ...shape.slice(parts.length)];
  if (!sameShape(updates.shape, target)) {
    throw new ShapeError(`scatterNd: updates: got shape ${show(updates.shape)}, expected ${show(target)}`);
  }
  const nothing: AnyTensor = zeros(shape, { dtype: updates.dtype, device: updates.device });
  return setAt(nothing, parts as Places[], updates, { accumulate: true });
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    at<const Ix extends readonly Index[]>(...indices: Ix & Ok<IndicesCheck<Ix, 'at'>>): Picked<S, D, Ix>;
    atSync<const Ix extends readonly Index[]>(...indices: Ix & Ok<IndicesCheck<Ix, 'atSync'>>): Tensor<At<S, Ix>, D>;
    setAt<V extends Replacement>(
      indices: readonly Index[],
      value: V & Ok<ReplacementCheck<V, D, 'setAt'>>,
      options?: SetAtOptions,
    ): Tensor<S, D>;
    take<I extends Shape, E extends DType>(index: IndexTensor<I, E, 'take'>): Tensor<I, D>;
    takeAlongAxis<E extends DType>(index: IndexTensor<Shape, E, 'takeAlongAxis'>, axis?: number): Tensor<Shape, D>;
    gatherNd<E extends DType>(indices: IndexTensor<Shape, E, 'gatherNd'>): Tensor<Shape, D>;
  }
}
installMethods({ at, atSync, setAt, take, takeAlongAxis, gatherNd });
