/** Ops that move elements without computing: views (which cost no kernel), concatenation, padding, flipping. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { encode, isFloat, promote, type DType } from '../tensor/dtype';
import type { PromoteAll, ShapesOf } from '../tensor/operand-types';
import type {
  Axes,
  AxisCheck,
  Cat,
  CatCheck,
  Expand,
  ExpandCheck,
  Flatten,
  Insert,
  InsertCheck,
  Ok,
  Permute,
  PermuteCheck,
  Reshape,
  ReshapeCheck,
  Resize,
  Select,
  SelectCheck,
  Shape,
  Slice,
  Squeeze,
  Stack,
  StackCheck,
  Transpose,
} from '../tensor/shape-types';
import { checkShape, contiguousStrides, normalizeAxes, normalizeAxis, sameShape, show, sizeOf } from '../tensor/shapes';
import { recording } from '../tensor/node';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { zeros } from './creation';
import {
  allDTypes,
  checkOptions,
  checkTensor,
  defineOp,
  defineView,
  floats,
  installMethods,
  recordedParts,
  run,
  view,
  type NativeOp,
} from './define';
import { describe } from '../tensor/describe';

/** Array.isArray, without its effect on types. */
export const isList = (value: unknown): boolean => Array.isArray(value);

/** Strides under which the elements of `x` are seen in `shape` without a copy, if there are any. */
export function viewStrides(x: AnyTensor, shape: Shape): number[] | undefined {
  if (x.isContiguous) return contiguousStrides(shape);
  // Axes of size 1 have strides without a meaning.
  const kept = x.shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const sizes = kept.map((axis) => x.shape[axis]!);
  const steps = kept.map((axis) => x.strides[axis]!);
  const strides = new Array<number>(shape.length);
  let to = shape.length - 1;
  let from = sizes.length - 1;
  while (to >= 0 || from >= 0) {
    // The shortest runs of axes with equal element counts; inside one, the old axes must lie gapless in each other.
    let fromSize = sizes[from] ?? 1;
    let toSize = shape[to] ?? 1;
    const lastStride = steps[from] ?? 1;
    const toEnd = to;
    while (fromSize !== toSize) {
      if (fromSize < toSize) {
        if (from === 0) return undefined;
        from--;
        if (steps[from] !== lastStride * fromSize) return undefined;
        fromSize *= sizes[from]!;
      } else {
        to--;
        toSize *= shape[to]!;
      }
    }
    let stride = lastStride;
    for (let axis = toEnd; axis >= Math.max(to, 0); axis--) {
      strides[axis] = stride;
      stride *= shape[axis]!;
    }
    from--;
    to--;
  }
  return strides;
}

const reshapeOp = defineView<Shape>('reshape', (g, { context }) => [g.reshape(context)]);

/**
 * The same elements, in row-major order, under another shape; one size may be -1 and follows from the others. A view where the layout allows
 * it, else a copy.
 *
 * @throws ShapeError when the number of elements differs.
 * @example
 * arange(6).reshape([2, -1]); // [[0, 1, 2], [3, 4, 5]]
 */
export function reshape<S extends Shape, D extends DType, const T extends Shape>(
  x: Tensor<S, D>,
  shape: T & Ok<ReshapeCheck<S, T>>,
): Tensor<Reshape<S, T>, D>;
export function reshape(x: AnyTensor, shape: Shape): AnyTensor {
  checkTensor('reshape', x);
  const target = resolveShape('reshape', x.shape, shape);
  if (sameShape(target, x.shape)) return x;
  const strides = viewStrides(x, target);
  if (strides === undefined) return view(reshapeOp, x.contiguous(), target, contiguousStrides(target), 0, x.shape);
  return view(reshapeOp, x, target, strides, x.offset, x.shape);
}

/** `shape` with its -1 filled in. */
export function resolveShape(op: string, from: Shape, shape: Shape): Shape {
  if (!isList(shape)) throw new ArgumentError(`${op}: shape: got ${describe(shape)}, expected an array of sizes`);
  const unknown = shape.indexOf(-1);
  const total = sizeOf(from);
  let target = shape;
  if (unknown >= 0) {
    checkShape(
      op,
      shape.map((size, axis) => (axis === unknown ? 1 : size)),
    );
    const known = shape.reduce((product, size, axis) => (axis === unknown ? product : product * size), 1);
    if (known === 0 || total % known !== 0) {
      throw new ShapeError(
        `${op}: sizes do not divide: got shape ${show(from)} with ${total} elements, expected ${show(shape)}`,
      );
    }
    target = shape.map((size, axis) => (axis === unknown ? total / known : size));
  }
  checkShape(op, target);
  if (sizeOf(target) !== total) {
    throw new ShapeError(
      `${op}: number of elements differs: got shape ${show(from)} with ${total}, expected ${show(shape)} with ${sizeOf(target)}`,
      { op, from, shape },
    );
  }
  return target;
}

const permuteOp = defineView<readonly number[]>('permute', (g, { context }) => {
  const inverse = new Array<number>(context.length);
  context.forEach((from, to) => (inverse[from] = to));
  return [g.permute(inverse)];
});

/**
 * The axes in another order: axis `i` of the result is axis `axes[i]` of `x`. Reversed when `axes` is left out. A view.
 *
 * @example
 * zeros([2, 3, 4]).permute([2, 0, 1]).shape; // [4, 2, 3]
 */
export function permute<S extends Shape, D extends DType, const P extends readonly number[] | undefined = undefined>(
  x: Tensor<S, D>,
  axes?: P & Ok<PermuteCheck<S, P>>,
): Tensor<Permute<S, P>, D>;
export function permute(x: AnyTensor, axes?: readonly number[]): AnyTensor {
  checkTensor('permute', x);
  const { rank } = x;
  if (axes !== undefined && !isList(axes)) {
    throw new ArgumentError(`permute: axes: got ${describe(axes)}, expected an array of every axis`);
  }
  const order = axes?.map((axis) => normalizeAxis('permute', axis, x.shape)) ?? x.shape.map((_, i) => rank - 1 - i);
  if (order.length !== rank || new Set(order).size !== rank) {
    throw new ShapeError(`permute: axes: got ${show(axes!)}, expected every axis of shape ${show(x.shape)} once`);
  }
  const shape = order.map((axis) => x.shape[axis]!);
  const strides = order.map((axis) => x.strides[axis]!);
  return view(permuteOp, x, shape, strides, x.offset, order);
}

/**
 * Two axes exchanged, the last two unless given. A view.
 *
 * @example
 * zeros([2, 3]).transpose().shape; // [3, 2]
 */
export function transpose<S extends Shape, D extends DType, const A extends number = -2, const B extends number = -1>(
  x: Tensor<S, D>,
  a?: A & Ok<AxisCheck<S, A, 'transpose'>>,
  b?: B & Ok<AxisCheck<S, B, 'transpose'>>,
): Tensor<Transpose<S, A, B>, D>;
export function transpose(x: AnyTensor, a = -2, b = -1): AnyTensor {
  checkTensor('transpose', x);
  const first = normalizeAxis('transpose', a, x.shape);
  const second = normalizeAxis('transpose', b, x.shape);
  const order = x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis));
  return permute(x, order);
}

const expandOp = defineView<undefined>('expand', (g, node) => [g.sumTo(node.shape(0))]);

/**
 * `x` repeated along new leading axes and axes of size 1, up to `shape`; -1 keeps an axis. A view: nothing is copied.
 *
 * @throws ShapeError when an axis of another size than 1 would have to change.
 * @example
 * tensor([1, 2]).expand([3, 2]); // [[1, 2], [1, 2], [1, 2]]
 */
export function expand<S extends Shape, D extends DType, const T extends Shape>(
  x: Tensor<S, D>,
  shape: T & Ok<ExpandCheck<S, T>>,
): Tensor<Expand<S, T>, D>;
export function expand(x: AnyTensor, shape: Shape): AnyTensor {
  checkTensor('expand', x);
  if (!isList(shape)) throw new ArgumentError(`expand: shape: got ${describe(shape)}, expected an array of sizes`);
  const missing = shape.length - x.rank;
  const target = shape.map((size, axis) => (size === -1 && axis >= missing ? x.shape[axis - missing]! : size));
  checkShape('expand', target);
  if (sameShape(target, x.shape)) return x;
  const strides = target.map((size, axis) => {
    const own = x.shape[axis - missing] ?? 1;
    if (own === size) return x.strides[axis - missing] ?? 0;
    return own === 1 ? 0 : NaN;
  });
  if (missing < 0 || strides.includes(NaN)) {
    throw new ShapeError(
      `expand: shape does not fit: got ${show(x.shape)}, expected one that broadcasts to ${show(target)}`,
      {
        shape: x.shape,
        target,
      },
    );
  }
  return view(expandOp, x, target, strides, x.offset, undefined);
}

/** The shape of a slice; with a step its size is left open. */
type Stepped<
  S extends Shape,
  A extends number,
  I extends number | undefined,
  J extends number | undefined,
  K extends number,
> = K extends 1 ? Slice<S, A, I, J> : Resize<S, A, number>;

interface SliceContext {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
}

const sliceOp = defineView<SliceContext>('slice', (g, node) => {
  const { axis, start, step } = node.context;
  const total = node.shape(0)[axis]!;
  if (step > 1 && !recording.enabled) {
    const whole = zeros(node.shape(0), { dtype: g.dtype, device: g.device }) as AnyTensor;
    whole.slice(axis, start, start + g.shape[axis]! * step, step).copy_(g);
    return [whole];
  }
  let spread = g;
  const count = g.shape[axis]!;
  if (step > 1 && count > 0) {
    // Each element becomes the first of a group of `step`, the others zero.
    const rank = g.rank;
    const grouped = padded(
      g.unsqueeze(axis + 1),
      axes(rank + 1, axis + 1, 0),
      axes(rank + 1, axis + 1, step - 1),
      'constant',
      0,
    );
    const flat = grouped.reshape(g.shape.map((size, i) => (i === axis ? size * step : size)));
    spread = flat.slice(axis, 0, Math.min(count * step, total - start));
  }
  const after = total - start - spread.shape[axis]!;
  return [padded(spread, axes(g.rank, axis, start), axes(g.rank, axis, after), 'constant', 0)];
});

/** One number per axis: `value` at `axis`, else 0. */
const axes = (rank: number, axis: number, value: number): number[] =>
  Array.from({ length: rank }, (_, i) => (i === axis ? value : 0));

/** The positions that a slice picks: `count` from `first` on, `step` apart, and whether they are taken in the opposite order. */
export interface Run {
  readonly first: number;
  readonly count: number;
  readonly step: number;
  readonly reversed: boolean;
}

/** The positions of NumPy's slice start:stop:step of an axis. Throws unless they are integers and the step is not 0. */
export function runOf(op: string, size: number, start?: number, stop?: number, step = 1): Run {
  const isPosition = (position: unknown): boolean => position === undefined || Number.isInteger(position);
  if (!isPosition(start) || !(isPosition(stop) || stop === Infinity) || !Number.isSafeInteger(step) || step === 0) {
    throw new ArgumentError(
      `${op}: positions: got start ${shown(start)}, stop ${shown(stop)}, step ${shown(step)}, expected integers and a step that is not 0`,
    );
  }
  // Between -1, before the first, and `size`, behind the last; a falling run begins at one that is there.
  const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
  const clip = (position: number): number => Math.min(Math.max(position < 0 ? position + size : position, least), most);
  const from = start === undefined ? (step > 0 ? least : most) : clip(start);
  const to = stop === undefined ? (step > 0 ? most : least) : clip(stop);
  const count = Math.max(Math.ceil((to - from) / step), 0);
  return step > 0
    ? { first: from, count, step, reversed: false }
    : { first: count === 0 ? 0 : from + (count - 1) * step, count, step: -step, reversed: true };
}

/** The elements of a run along an axis, in rising order. A view. */
export function viewOfRun(x: AnyTensor, axis: number, { first, count, step }: Run): AnyTensor {
  if (count === x.shape[axis] && step === 1) return x;
  const shape = x.shape.map((n, i) => (i === axis ? count : n));
  const strides = x.strides.map((stride, i) => (i === axis ? stride * step : stride));
  const offset = x.offset + (count === 0 ? 0 : first * x.strides[axis]!);
  return view(sliceOp, x, shape, strides, offset, { axis, start: first, step });
}

/**
 * The elements `start, start + step, …` before `stop` of one axis. Negative positions count from the end; what lies outside is cut off, as in
 * NumPy. A view; with a negative step, which runs from the end to the start, a copy.
 *
 * @throws ShapeError for an axis that x does not have; ArgumentError for a step of 0.
 * @example
 * arange(10).slice(0, 2, 8, 3); // [2, 5]
 */
export function slice<
  S extends Shape,
  D extends DType,
  const A extends number,
  const I extends number | undefined = undefined,
  const J extends number | undefined = undefined,
  const K extends number = 1,
>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'slice'>>,
  start?: I,
  stop?: J,
  step?: K,
): Tensor<Stepped<S, A, I, J, K>, D>;
export function slice(x: AnyTensor, axis: number, start?: number, stop?: number, step?: number): AnyTensor {
  checkTensor('slice', x);
  const along = normalizeAxis('slice', axis, x.shape);
  const positions = runOf('slice', x.shape[along]!, start, stop, step);
  const part = viewOfRun(x, along, positions);
  return positions.reversed ? flip(part, along) : part;
}

/**
 * `length` elements of one axis from `start` on. A view.
 *
 * @throws ShapeError when they are not all there.
 */
export function narrow<S extends Shape, D extends DType, const A extends number, const N extends number>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'narrow'>>,
  start: number,
  length: N,
): Tensor<Resize<S, A, N>, D>;
export function narrow(x: AnyTensor, axis: number, start: number, length: number): AnyTensor {
  checkTensor('narrow', x);
  const size = x.shape[normalizeAxis('narrow', axis, x.shape)]!;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length)) {
    throw new ArgumentError(`narrow: range: got start ${shown(start)} and length ${shown(length)}, expected integers`);
  }
  const first = start < 0 ? start + size : start;
  if (!(first >= 0 && length >= 0 && first + length <= size)) {
    throw new ShapeError(
      `narrow: range out of the axis: got start ${start} and length ${length}, expected them within ${size}`,
    );
  }
  return slice(x, axis, first, first + length);
}

/**
 * One position of an axis, which disappears. A view.
 *
 * @throws ShapeError when the index is outside the axis.
 * @example
 * tensor([[1, 2], [3, 4]]).select(0, -1); // [3, 4]
 */
export function select<S extends Shape, D extends DType, const A extends number, const I extends number>(
  x: Tensor<S, D>,
  axis: A,
  index: I & Ok<SelectCheck<S, A, I>>,
): Tensor<Select<S, A>, D>;
export function select(x: AnyTensor, axis: number, index: number): AnyTensor {
  checkTensor('select', x);
  const along = normalizeAxis('select', axis, x.shape);
  const size = x.shape[along]!;
  if (!Number.isInteger(index) || index < -size || index >= size) {
    throw new ShapeError(`select: index ${shown(index)} out of range for axis ${axis} of shape ${show(x.shape)}`);
  }
  const at = index < 0 ? index + size : index;
  return squeeze(slice(x, along, at, at + 1), along);
}

/**
 * Without axes of size 1: all of them, or the given ones (which stay if their size is not 1). A view.
 *
 * @example
 * zeros([1, 3, 1]).squeeze().shape; // [3]
 * zeros([1, 3, 1, 1]).squeeze([0, 2]).shape; // [3, 1]
 */
export function squeeze<S extends Shape, D extends DType, const A extends Axes = undefined>(
  x: Tensor<S, D>,
  axes?: A,
): Tensor<Squeeze<S, A>, D>;
export function squeeze(x: AnyTensor, axes?: Axes): AnyTensor {
  checkTensor('squeeze', x);
  const along = normalizeAxes('squeeze', axes, x.shape);
  const kept = x.shape.flatMap((size, i) => (size !== 1 || !along.includes(i) ? [i] : []));
  if (kept.length === x.rank) return x;
  return view(
    reshapeOp,
    x,
    kept.map((i) => x.shape[i]!),
    kept.map((i) => x.strides[i]!),
    x.offset,
    x.shape,
  );
}

/**
 * With a new axis of size 1 at `axis` of the result. A view.
 *
 * @example
 * zeros([2, 3]).unsqueeze(-1).shape; // [2, 3, 1]
 */
export function unsqueeze<S extends Shape, D extends DType, const A extends number>(
  x: Tensor<S, D>,
  axis: A & Ok<InsertCheck<S, A>>,
): Tensor<Insert<S, A>, D>;
export function unsqueeze(x: AnyTensor, axis: number): AnyTensor {
  checkTensor('unsqueeze', x);
  const at = normalizeAxis('unsqueeze', axis, [...x.shape, 1]);
  const shape = [...x.shape.slice(0, at), 1, ...x.shape.slice(at)];
  const strides = [...x.strides.slice(0, at), (x.strides[at] ?? 1) * (x.shape[at] ?? 1), ...x.strides.slice(at)];
  checkShape('unsqueeze', shape);
  return view(reshapeOp, x, shape, strides, x.offset, x.shape);
}

/**
 * The axes from `start` to `end` (inclusive) merged into one. A view where the layout allows it.
 *
 * @example
 * zeros([2, 3, 4]).flatten(1).shape; // [2, 12]
 */
export function flatten<S extends Shape, D extends DType, const A extends number = 0, const B extends number = -1>(
  x: Tensor<S, D>,
  start?: A,
  end?: B,
): Tensor<Flatten<S, A, B>, D>;
export function flatten(x: AnyTensor, start = 0, end = -1): AnyTensor {
  checkTensor('flatten', x);
  if (x.rank === 0) return x.reshape([1]);
  const first = normalizeAxis('flatten', start, x.shape);
  const last = normalizeAxis('flatten', end, x.shape);
  if (first > last)
    throw new ArgumentError(`flatten: axes: got start ${start} after end ${end}, expected them in order`);
  const merged = sizeOf(x.shape.slice(first, last + 1));
  return x.reshape([...x.shape.slice(0, first), merged, ...x.shape.slice(last + 1)]);
}

interface CatContext {
  readonly axis: number;
  readonly sizes: readonly number[];
}

const catOp = defineOp<CatContext>('cat', {
  dtypes: allDTypes,
  channels: 'kept',
  gradient: (g, node) => {
    const { axis, sizes } = node.context;
    let start = 0;
    return sizes.map((size, i) => {
      const from = start;
      start += size;
      return node.needs(i) ? g.slice(axis, from, start) : undefined;
    });
  },
});

/**
 * Tensors joined along an existing axis. All other sizes must agree; dtypes are promoted.
 *
 * @throws ShapeError when a tensor does not fit the first.
 * @example
 * cat([ones([2, 3]), zeros([1, 3])]).shape; // [3, 3]
 */
export function cat<const Ts extends readonly AnyTensor[], const A extends number = 0>(
  tensors: Ts & Ok<CatCheck<ShapesOf<Ts>, A>>,
  axis?: A,
): Tensor<Cat<ShapesOf<Ts>, A>, PromoteAll<Ts>>;
export function cat(tensors: readonly AnyTensor[], axis = 0): AnyTensor {
  if (!isList(tensors) || tensors.length === 0) {
    throw new ArgumentError(
      `cat: tensors: got ${isList(tensors) ? 'none' : describe(tensors)}, expected an array of at least one`,
    );
  }
  tensors.forEach((tensor, i) => checkTensor('cat', tensor, `tensors[${i}]`));
  const first = tensors[0]!;
  const along = normalizeAxis('cat', axis, first.shape);
  let total = 0;
  tensors.forEach((tensor, i) => {
    const fits =
      tensor.rank === first.rank && tensor.shape.every((size, other) => other === along || size === first.shape[other]);
    if (!fits) {
      throw new ShapeError(
        `cat: tensors[${i}] does not fit along axis ${axis}: got shape ${show(tensor.shape)}, expected ${show(
          first.shape,
        )} except at that axis`,
      );
    }
    total += tensor.shape[along]!;
  });
  const shape = first.shape.map((size, other) => (other === along ? total : size));
  const context = { axis: along, sizes: tensors.map((tensor) => tensor.shape[along]!) };
  const dtype = tensors.map((tensor) => tensor.dtype).reduce((a, b) => promote(a, b));
  return run(
    catOp,
    tensors.map((tensor) => tensor.cast(dtype)),
    shape,
    dtype,
    [along],
    context,
  );
}

/**
 * Tensors of one shape joined along a new axis; dtypes are promoted.
 *
 * @throws ShapeError when the shapes differ.
 * @example
 * stack([tensor([1, 2]), tensor([3, 4])], 1); // [[1, 3], [2, 4]]
 */
export function stack<const Ts extends readonly AnyTensor[], const A extends number = 0>(
  tensors: Ts & Ok<StackCheck<ShapesOf<Ts>, A>>,
  axis?: A,
): Tensor<Stack<ShapesOf<Ts>, A>, PromoteAll<Ts>>;
export function stack(tensors: readonly AnyTensor[], axis = 0): AnyTensor {
  if (!isList(tensors) || tensors.length === 0) {
    throw new ArgumentError(
      `stack: tensors: got ${isList(tensors) ? 'none' : describe(tensors)}, expected an array of at least one`,
    );
  }
  const first = tensors[0]!;
  tensors.forEach((tensor, i) => {
    checkTensor('stack', tensor, `tensors[${i}]`);
    if (!sameShape(tensor.shape, first.shape)) {
      throw new ShapeError(
        `stack: tensors[${i}] has another shape: got ${show(tensor.shape)}, expected ${show(first.shape)}`,
      );
    }
  });
  const at = normalizeAxis('stack', axis, [...first.shape, 1]);
  return cat(
    tensors.map((tensor) => unsqueeze(tensor, at)),
    at,
  );
}

const padModes = { constant: 0, reflect: 1, replicate: 2, circular: 3 } as const;
export type PadMode = keyof typeof padModes;

interface PadContext {
  readonly mode: PadMode;
  readonly before: readonly number[];
}

const padOp: NativeOp<PadContext> = defineOp<PadContext>('pad', {
  dtypes: allDTypes,
  channels: 'kept',
  gradient: (g, node) => {
    const { mode, before } = node.context;
    if (mode !== 'constant') {
      return [run(padBackwardOp, [g], node.shape(0), g.dtype, [padModes[mode], ...before], node.context)];
    }
    let inner = g;
    node.shape(0).forEach((size, axis) => (inner = inner.slice(axis, before[axis], before[axis]! + size)));
    return [inner];
  },
});
const padBackwardOp: NativeOp<PadContext> = defineOp<PadContext>('padBackward', {
  dtypes: floats,
  channels: 'kept',
  gradient: (gg, node) => {
    const { mode, before } = node.context;
    return [run(padOp, [gg], node.shape(0), gg.dtype, [padModes[mode], 0, ...before], node.context)];
  },
});

/** Pads in front of and behind each axis, by no negative counts. */
function padded(
  x: AnyTensor,
  before: readonly number[],
  after: readonly number[],
  mode: PadMode,
  value: number,
): AnyTensor {
  if (before.every((count) => count === 0) && after.every((count) => count === 0)) return x;
  const shape = x.shape.map((size, axis) => before[axis]! + size + after[axis]!);
  return run(padOp, [x], shape, x.dtype, [padModes[mode], value, ...before], { mode, before });
}

export interface PadOptions {
  /** Where the new elements come from; `'constant'` unless given. */
  readonly mode?: PadMode;
  /** Of the new elements in mode `'constant'`; 0 unless given. */
  readonly value?: number;
}

/**
 * `x` with elements added before and after: `padding` holds one pair `[before, after]` per axis, for the last axes; a negative number removes as
 * many. Modes other than `'constant'` take the new ones from `x`: mirrored without its edge, its edge repeated, or from its other end.
 *
 * @throws ShapeError when a mode needs more elements than an axis has, or more are removed.
 * @example
 * tensor([1, 2, 3]).pad([[2, 1]], { mode: 'reflect' }); // [3, 2, 1, 2, 3, 2]
 */
export function pad<D extends DType>(
  x: Tensor<Shape, D>,
  padding: readonly (readonly [number, number])[],
  options?: PadOptions,
): Tensor<Shape, D>;
export function pad(
  x: AnyTensor,
  padding: readonly (readonly [number, number])[],
  options: PadOptions = {},
): AnyTensor {
  checkOptions('pad', options);
  checkTensor('pad', x);
  const { mode = 'constant', value = 0 } = options;
  if (!Object.hasOwn(padModes, mode)) {
    throw new ArgumentError(`pad: mode: got ${shown(mode)}, expected ${Object.keys(padModes).join(', ')}`);
  }
  const valid = (pair: unknown): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger);
  if (!isList(padding) || padding.length > x.rank || !padding.every(valid)) {
    throw new ArgumentError(
      `pad: padding: got ${shownPadding(padding)}, expected up to ${x.rank} pairs [before, after] of integers`,
    );
  }
  if (mode === 'constant' && !isFloat(x.dtype)) encode(x.dtype, [value], 'pad');
  const missing = x.rank - padding.length;
  const [before, after] = [0, 1].map((side) => x.shape.map((_, axis) => padding[axis - missing]?.[side] ?? 0));
  const cropped = (y: AnyTensor): AnyTensor =>
    y.shape.reduce((left, _, axis) => cropAxis(left, axis, before![axis]!, after![axis]!), y);
  const [more, behind] = [before!, after!].map((counts) => counts.map((count) => Math.max(count, 0)));
  // As in PyTorch: what is mirrored or repeated may be removed.
  const isLast = mode === 'reflect' || mode === 'replicate';
  const whole = isLast ? x : cropped(x);
  whole.shape.forEach((size, axis) => checkFits(mode, axis, size, more![axis]!, behind![axis]!));
  const y = padded(whole, more!, behind!, mode, value);
  return isLast ? cropped(y) : y;
}

function shownPadding(padding: unknown): string {
  const isPlain = Array.isArray(padding) && padding.flat().every((count) => typeof count === 'number');
  return isPlain ? JSON.stringify(padding) : describe(padding);
}

/** One axis without what a negative padding removes. */
function cropAxis(x: AnyTensor, axis: number, before: number, after: number): AnyTensor {
  if (before >= 0 && after >= 0) return x;
  const size = x.shape[axis]!;
  const [start, stop] = [Math.max(-before, 0), size + Math.min(after, 0)];
  if (start > stop) {
    throw new ShapeError(
      `pad: more is removed than there is: got padding [${before}, ${after}], expected at most ${size} at axis ${axis}`,
    );
  }
  return x.slice(axis, start, stop) as AnyTensor;
}

/** Throws unless an axis has the elements that padding it repeats. */
function checkFits(mode: PadMode, axis: number, size: number, before: number, after: number): void {
  if (mode === 'constant' || (before === 0 && after === 0)) return;
  const most = mode === 'reflect' ? size - 1 : mode === 'circular' ? size : size === 0 ? 0 : Infinity;
  if (before > most || after > most) {
    throw new ShapeError(
      `pad: ${mode} needs more elements: got padding [${before}, ${after}], expected at most ${most} at axis ${axis}`,
    );
  }
}

const flipOp = defineOp<readonly number[]>('flip', {
  dtypes: allDTypes,
  gradient: (g, { context }) => [g.flip(context)],
});

/**
 * The elements in reverse order along the given axes, all of them unless given.
 *
 * @example
 * tensor([1, 2, 3]).flip(); // [3, 2, 1]
 */
export function flip<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  axes?: number | readonly number[],
): Tensor<S, D> {
  checkTensor('flip', x);
  const along = normalizeAxes('flip', axes, x.shape);
  const mask = along.reduce((bits, axis) => bits | (1 << axis), 0);
  return run(flipOp, [x], x.shape, x.dtype, [mask], along) as unknown as Tensor<S, D>;
}

const splitView = defineView<number>('split', (g, { context: axis, outputEdges }, rest) => {
  const pieces = [g, ...rest].map(
    (piece, i) => piece ?? (zeros(outputEdges[i]!.shape, { dtype: g.dtype, device: g.device }) as AnyTensor),
  );
  return [(recording.enabled ? undefined : joined(pieces, axis)) ?? cat(pieces, axis)];
});

/** The row-major tensor that `pieces` are, one behind the other along an axis, where they lie in memory as its pieces do. */
function joined(pieces: readonly AnyTensor[], axis: number): AnyTensor | undefined {
  const [{ storage, dtype, shape, offset }] = pieces as [AnyTensor];
  const total = pieces.reduce((sum, piece) => sum + piece.shape[axis]!, 0);
  const whole = shape.map((size, i) => (i === axis ? total : size));
  const strides = contiguousStrides(whole);
  let start = offset;
  for (const piece of pieces) {
    if (piece.storage !== storage || piece.offset !== start || !sameShape(piece.strides, strides)) return undefined;
    start += piece.shape[axis]! * strides[axis]!;
  }
  return new Tensor(storage, dtype, whole, strides, offset, true);
}

/** Tensors that differ in the size of axis A: one for each of the sizes N, or any number of at most N. */
type Pieces<
  S extends Shape,
  D extends DType,
  N extends number | readonly number[],
  A extends number,
> = N extends readonly [number, ...number[]]
  ? { -readonly [I in keyof N]: Tensor<Resize<S, A, N[I] & number>, D> }
  : Tensor<Resize<S, A, number>, D>[];

/**
 * Pieces of at most `size` along an axis, or of the given sizes, which must add up to it. Views.
 *
 * @example
 * arange(5).split(2).map((piece) => piece.size); // [2, 2, 1]
 */
export function split<
  S extends Shape,
  D extends DType,
  const N extends number | readonly number[],
  const A extends number = 0,
>(x: Tensor<S, D>, size: N, axis?: A & Ok<AxisCheck<S, A, 'split'>>): Pieces<S, D, N, A>;
export function split(x: AnyTensor, size: number | readonly number[], axis = 0): AnyTensor[] {
  checkTensor('split', x);
  const along = normalizeAxis('split', axis, x.shape);
  const total = x.shape[along]!;
  if (!isList(size) && !(Number.isSafeInteger(size) && (size as number) > 0)) {
    throw new ArgumentError(
      `split: size: got ${typeof size === 'number' ? size : describe(size)}, expected a positive integer`,
    );
  }
  const pieces =
    typeof size === 'number'
      ? Array.from({ length: Math.max(Math.ceil(total / size), 1) }, (_, i) => Math.min(size, total - i * size))
      : size;
  if (!pieces.every(Number.isSafeInteger) || pieces.reduce((sum, piece) => sum + piece, 0) !== total) {
    throw new ShapeError(`split: sizes: got ${show(pieces)}, expected a sum of ${total}`);
  }
  const whole = x.detach();
  let start = 0;
  const results = pieces.map((piece) => narrow(whole, along, (start += piece) - piece, piece));
  recordedParts(splitView, x, results, along);
  return results;
}

/** `count` pieces along an axis, equal but for the last. Views. */
export function chunk<S extends Shape, D extends DType, const A extends number = 0>(
  x: Tensor<S, D>,
  count: number,
  axis?: A & Ok<AxisCheck<S, A, 'chunk'>>,
): Tensor<Resize<S, A, number>, D>[];
export function chunk(x: AnyTensor, count: number, axis = 0): AnyTensor[] {
  checkTensor('chunk', x);
  if (!(Number.isSafeInteger(count) && count > 0)) {
    throw new ArgumentError(`chunk: count: got ${shown(count)}, expected a positive integer`);
  }
  const total = x.shape[normalizeAxis('chunk', axis, x.shape)]!;
  return split(x, Math.max(Math.ceil(total / count), 1), axis);
}

/** Pieces of an axis that has fewer elements: a wrong number must not fill the memory. */
const MOST_EMPTY_PIECES = 65_536;

/**
 * `count` pieces along an axis whose sizes differ by one at most, the larger ones first, or the pieces between places. Views.
 *
 * @throws ArgumentError when the count or the places are none, or the count is beyond 65,536 and the elements.
 * @example
 * arange(5).tensorSplit(2).map((piece) => piece.size); // [3, 2]
 * arange(5).tensorSplit([1, 3]).map((piece) => piece.size); // [1, 2, 2]
 */
export function tensorSplit<S extends Shape, D extends DType, const A extends number = 0>(
  x: Tensor<S, D>,
  places: number | readonly number[],
  axis?: A & Ok<AxisCheck<S, A, 'tensorSplit'>>,
): Tensor<Resize<S, A, number>, D>[];
export function tensorSplit(x: AnyTensor, places: number | readonly number[], axis = 0): AnyTensor[] {
  checkTensor('tensorSplit', x);
  const along = normalizeAxis('tensorSplit', axis, x.shape);
  const total = x.shape[along]!;
  if (
    typeof places === 'number'
      ? !(Number.isSafeInteger(places) && places > 0)
      : !(Array.isArray(places) && places.every(Number.isSafeInteger))
  ) {
    throw new ArgumentError(
      `tensorSplit: places: got ${typeof places === 'number' ? shown(places) : describe(places)}, expected a positive integer or a list of integers`,
    );
  }
  if (typeof places !== 'number') {
    return [0, ...places].map((start, i) => slice(x, along, start, places[i] ?? total));
  }
  const most = Math.max(total, MOST_EMPTY_PIECES);
  if (places > most) throw new ArgumentError(`tensorSplit: places: got ${places}, expected at most ${most} pieces`);
  const [size, larger] = [Math.floor(total / places), total % places];
  return split(
    x,
    Array.from({ length: places }, (_, i) => size + (i < larger ? 1 : 0)),
    along,
  );
}

/** The slices along an axis, which disappears. Views. */
export function unbind<S extends Shape, D extends DType, const A extends number = 0>(
  x: Tensor<S, D>,
  axis?: A & Ok<AxisCheck<S, A, 'unbind'>>,
): Tensor<Select<S, A>, D>[];
export function unbind(x: AnyTensor, axis = 0): AnyTensor[] {
  checkTensor('unbind', x);
  const along = normalizeAxis('unbind', axis, x.shape);
  return x.shape[along] === 0 ? [] : split(x, 1, along).map((piece: AnyTensor) => piece.squeeze(along));
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    reshape<const T extends Shape>(shape: T & Ok<ReshapeCheck<S, T>>): Tensor<Reshape<S, T>, D>;
    permute<const P extends readonly number[] | undefined = undefined>(
      axes?: P & Ok<PermuteCheck<S, P>>,
    ): Tensor<Permute<S, P>, D>;
    transpose<const A extends number = -2, const B extends number = -1>(
      a?: A & Ok<AxisCheck<S, A, 'transpose'>>,
      b?: B & Ok<AxisCheck<S, B, 'transpose'>>,
    ): Tensor<Transpose<S, A, B>, D>;
    expand<const T extends Shape>(shape: T & Ok<ExpandCheck<S, T>>): Tensor<Expand<S, T>, D>;
    slice<
      const A extends number,
      const I extends number | undefined = undefined,
      const J extends number | undefined = undefined,
      const K extends number = 1,
    >(
      axis: A & Ok<AxisCheck<S, A, 'slice'>>,
      start?: I,
      stop?: J,
      step?: K,
    ): Tensor<Stepped<S, A, I, J, K>, D>;
    narrow<const A extends number, const N extends number>(
      axis: A & Ok<AxisCheck<S, A, 'narrow'>>,
      start: number,
      length: N,
    ): Tensor<Resize<S, A, N>, D>;
    select<const A extends number, const I extends number>(
      axis: A,
      index: I & Ok<SelectCheck<S, A, I>>,
    ): Tensor<Select<S, A>, D>;
    squeeze<const A extends Axes = undefined>(axes?: A): Tensor<Squeeze<S, A>, D>;
    unsqueeze<const A extends number>(axis: A & Ok<InsertCheck<S, A>>): Tensor<Insert<S, A>, D>;
    flatten<const A extends number = 0, const B extends number = -1>(start?: A, end?: B): Tensor<Flatten<S, A, B>, D>;
    pad(padding: readonly (readonly [number, number])[], options?: PadOptions): Tensor<Shape, D>;
    flip(axes?: number | readonly number[]): Tensor<S, D>;
    split<const N extends number | readonly number[], const A extends number = 0>(
      size: N,
      axis?: A & Ok<AxisCheck<S, A, 'split'>>,
    ): Pieces<S, D, N, A>;
    chunk<const A extends number = 0>(
      count: number,
      axis?: A & Ok<AxisCheck<S, A, 'chunk'>>,
    ): Tensor<Resize<S, A, number>, D>[];
    tensorSplit<const A extends number = 0>(
      places: number | readonly number[],
      axis?: A & Ok<AxisCheck<S, A, 'tensorSplit'>>,
    ): Tensor<Resize<S, A, number>, D>[];
    unbind<const A extends number = 0>(axis?: A & Ok<AxisCheck<S, A, 'unbind'>>): Tensor<Select<S, A>, D>[];
  }
}
installMethods({
  reshape,
  permute,
  transpose,
  expand,
  slice,
  narrow,
  select,
  squeeze,
  unsqueeze,
  flatten,
  pad,
  flip,
  split,
  chunk,
  tensorSplit,
  unbind,
});
