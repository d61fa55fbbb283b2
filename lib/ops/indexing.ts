/** Ops that address elements by integer tensors. Indices live on the device: one out of range is an `IndexError` at the next read. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { isIndex, type DType, type IndexDType } from '../tensor/dtype';
import type { IndexTensor } from '../tensor/index-types';
import type { Embedding } from '../tensor/layer-shape-types';
import type { AxisCheck, Ok, Shape } from '../tensor/shape-types';
import { checkShape, normalizeAxis, sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { ones, zeros } from './creation';
import { allDTypes, checkOptions, checkTensor, defineOp, installMethods, type NativeOp, run } from './define';
import { formOf } from './matrix-form';
import { wide } from './wide';

/** Throws unless `index` is an integer tensor that can address elements. */
export function checkIndex(op: string, index: unknown, name = 'index'): asserts index is Tensor<Shape, IndexDType> {
  checkTensor(op, index, name);
  if (!isIndex(index.dtype)) throw new DTypeError(`${op}: ${name}: got dtype ${index.dtype}, expected int32 or int64`);
}

/** No row: what kernels are told where every row gets a gradient. */
export const noPadding = -1;

export interface EmbeddingContext {
  readonly index: AnyTensor;
  readonly paddingIndex: number;
  /** Whether gradients are divided by how often their row was named. */
  readonly byFrequency: boolean;
}

const embeddingOp: NativeOp<EmbeddingContext> = defineOp<EmbeddingContext>('embedding', {
  dtypes: allDTypes,
  gradient: (g, node) => {
    const { context } = node;
    const scaled = context.byFrequency ? perOccurrence(g, context.index, node.shape(0)[0]!) : g;
    return [
      run(embeddingBackwardOp, [scaled, context.index], node.shape(0), g.dtype, [context.paddingIndex], context),
      undefined,
    ];
  },
});
export const embeddingBackwardOp = defineOp<EmbeddingContext>('embeddingBackward', {
  dtypes: allDTypes,
  gradient: (gg, { context }) => {
    const rows = run(
      embeddingOp,
      [gg, context.index],
      [...context.index.shape, ...gg.shape.slice(1)],
      gg.dtype,
      undefined,
      context,
    );
    if (context.paddingIndex === noPadding) return [rows, undefined];
    const kept = context.index.notEqual(context.paddingIndex).cast(gg.dtype);
    return [rows.mul(kept.reshape([...kept.shape, ...new Array<number>(gg.rank - 1).fill(1)])), undefined];
  },
});

/** Gradients of rows of a table divided by how often each row was named. */
function perOccurrence(g: AnyTensor, index: AnyTensor, rows: number): AnyTensor {
  const each = ones([1], { device: g.device }).expand(index.shape) as AnyTensor;
  const flat = index.reshape([-1]) as Tensor<Shape, IndexDType>;
  const counts = zeros([rows], { device: g.device }).scatterAdd(0, flat, each.reshape([-1]) as AnyTensor);
  const ofIndex = counts
    .indexSelect(0, flat)
    .reshape([...index.shape, ...new Array<number>(g.rank - index.rank).fill(1)]);
  return wide(g).div(ofIndex).cast(g.dtype) as AnyTensor;
}

export interface EmbeddingOptions {
  /** A row that gets no gradient; a negative one counts from the end. */
  readonly paddingIndex?: number;
  /** Divides the gradient of each row by how often the index names it; false unless given. */
  readonly scaleGradByFrequency?: boolean;
}

/** The row of a table of `rows` that a padding index means. */
export function paddingRow(op: string, paddingIndex: number, rows: number): number {
  if (Number.isInteger(paddingIndex) && paddingIndex >= -rows && paddingIndex < rows) {
    return paddingIndex < 0 ? paddingIndex + rows : paddingIndex;
  }
  throw new ArgumentError(`${op}: paddingIndex: got ${shown(paddingIndex)}, expected a row of ${rows}`);
}

/** The shape of rows of a table W at indices I. */
type Rows<W extends Shape, I extends Shape> = W extends readonly [number, number] ? Embedding<I, W[1]> : Shape;

/**
 * Rows of a table: y = weight[index], of shape [...index.shape, ...weight.shape[1:]].
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the table.
 * @example
 * embedding(eye(3), tensor([2, 0], { dtype: 'int32' })); // [[0, 0, 1], [1, 0, 0]]
 */
export function embedding<W extends Shape, D extends DType, I extends Shape, E extends DType>(
  weight: Tensor<W, D>,
  index: IndexTensor<I, E, 'embedding'>,
  options?: EmbeddingOptions,
): Tensor<Rows<W, I>, D>;
export function embedding(weight: AnyTensor, index: AnyTensor, options: EmbeddingOptions = {}): AnyTensor {
  checkOptions('embedding', options);
  checkIndex('embedding', index);
  const form = formOf(weight);
  if (form !== undefined) return form.rows(index);
  checkTensor('embedding', weight, 'weight');
  if (weight.rank < 1) throw new ShapeError(`embedding: weight: got a scalar, expected [rows, …]`);
  const paddingIndex =
    options.paddingIndex === undefined ? noPadding : paddingRow('embedding', options.paddingIndex, weight.shape[0]!);
  const shape = [...index.shape, ...weight.shape.slice(1)];
  const byFrequency = options.scaleGradByFrequency ?? false;
  const context = { index: index.detach(), paddingIndex, byFrequency };
  return run(embeddingOp, [weight, index], shape, weight.dtype, undefined, context);
}

export interface AxisContext {
  readonly axis: number;
}

/** For scatter.ts: throws unless index has x's rank and, but for `axis`, at most its sizes. */
export function checkGather(op: string, shape: Shape, index: AnyTensor, axis: number): void {
  const fits =
    index.rank === shape.length && index.shape.every((size, other) => other === axis || size <= shape[other]!);
  if (!fits) {
    throw new ShapeError(
      `${op}: index does not fit: got shape ${show(index.shape)}, expected the rank of ${show(shape)} and at most its sizes except at axis ${axis}`,
    );
  }
}

const gatherOp = defineOp<AxisContext>('gather', {
  dtypes: allDTypes,
  saves: { inputs: true },
  gradient: (g, node) => {
    const zero: AnyTensor = zeros([], { dtype: g.dtype, device: g.device });
    return [zero.expand(node.shape(0)).scatterAdd(node.context.axis, node.input(1), g), undefined];
  },
});

/**
 * Elements picked along one axis: y[i][j] = x[index[i][j]][j] for axis 0, and so on. `index` has x's rank; y has its shape.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * tensor([[1, 2], [3, 4]]).gather(1, tensor([[1], [0]], { dtype: 'int32' })); // [[2], [3]]
 */
export function gather<S extends Shape, D extends DType, const A extends number, I extends Shape, E extends DType>(
  x: Tensor<S, D>,
  axis: A & Ok<AxisCheck<S, A, 'gather'>>,
  index: IndexTensor<I, E, 'gather'>,
): Tensor<I, D>;
export function gather(x: AnyTensor, axis: number, index: AnyTensor): AnyTensor {
  checkTensor('gather', x);
  checkIndex('gather', index);
  const along = normalizeAxis('gather', axis, x.shape);
  checkGather('gather', x.shape, index, along);
  return run(gatherOp, [x, index], index.shape, x.dtype, [along], { axis: along });
}

/** How the kernel combines what falls on one place. */
export const combinations = { assign: 0, sum: 1, prod: 2, amax: 3, amin: 4 } as const;

/** For scatter.ts: throws unless source has index's rank and at least its sizes. */
export function checkSource(op: string, index: AnyTensor, source: AnyTensor): void {
  checkTensor(op, source, 'source');
  if (source.rank === index.rank && index.shape.every((size, i) => size <= source.shape[i]!)) return;
  throw new ShapeError(
    `${op}: source does not fit: got shape ${show(source.shape)}, expected at least ${show(index.shape)}`,
  );
}

/** The kernel of all scatters, with the rule of addition. */
export const scatterOp = defineOp<AxisContext>('scatter', {
  dtypes: allDTypes,
  saves: { inputs: true },
  gradient: (g, node) => [
    g,
    undefined,
    node.needs(2) ? takeBack(g, node.input(1), node.input(2), node.context.axis) : undefined,
  ],
});

/** The gradient of what was scattered: picked from where it went. */
export function takeBack(g: AnyTensor, index: AnyTensor, source: AnyTensor, axis: number): AnyTensor {
  const picked = g.gather(axis, index);
  if (sameShape(index.shape, source.shape)) return picked;
  return picked.pad(source.shape.map((size, i) => [0, size - index.shape[i]!]));
}

/**
 * x with `source` added where `index` points along one axis: y[index[i][j]][j] += source[i][j] for axis 0, and so on. Sums are formed in row-major
 * order of `index`, so the result is the same at any thread count.
 *
 * @throws ShapeError, DTypeError; IndexError at the next read when an index is outside the axis.
 * @example
 * zeros([3]).scatterAdd(0, tensor([0, 0, 2], { dtype: 'int32' }), ones([3])); // [2, 0, 1]
 */
export function scatterAdd<S extends Shape, D extends DType, E extends DType>(
  x: Tensor<S, D>,
  axis: number,
  index: IndexTensor<Shape, E, 'scatterAdd'>,
  source: AnyTensor,
): Tensor<S, D> {
  checkTensor('scatterAdd', x);
  checkIndex('scatterAdd', index);
  const along = normalizeAxis('scatterAdd', axis, x.shape);
  checkGather('scatterAdd', x.shape, index, along);
  checkSource('scatterAdd', index, source);
  const inputs = [x, index, source.cast(x.dtype)];
  return run(scatterOp, inputs, x.shape, x.dtype, [along, combinations.sum], { axis: along }) as unknown as Tensor<
    S,
    D
  >;
}

/**
 * Places in a flattened tensor of a shape as places along each of its axes, int64. Places outside of it give anything.
 *
 * @throws DTypeError unless the places are integers; ShapeError when the shape is none or has no elements.
 * @example
 * unravelIndex(tensor([5], { dtype: 'int32' }), [2, 3]); // [[1], [2]]
 */
export function unravelIndex<I extends Shape, E extends DType, const S extends Shape>(
  index: IndexTensor<I, E, 'unravelIndex'>,
  shape: S,
): { -readonly [A in keyof S]: Tensor<I, 'int64'> };
export function unravelIndex(index: AnyTensor, shape: Shape): AnyTensor[] {
  checkIndex('unravelIndex', index);
  checkShape('unravelIndex', shape);
  if (sizeOf(shape) === 0) {
    throw new ShapeError(`unravelIndex: shape: got ${show(shape)}, expected one with elements`);
  }
  const places = index.cast('int64') as AnyTensor;
  return shape.map((size, axis) => places.floorDivide(sizeOf(shape.slice(axis + 1))).remainder(size) as AnyTensor);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    gather<const A extends number, I extends Shape, E extends DType>(
      axis: A & Ok<AxisCheck<S, A, 'gather'>>,
      index: IndexTensor<I, E, 'gather'>,
    ): Tensor<I, D>;
    scatterAdd<E extends DType>(
      axis: number,
      index: IndexTensor<Shape, E, 'scatterAdd'>,
      source: AnyTensor,
    ): Tensor<S, D>;
  }
}
installMethods({ gather, scatterAdd });
