/** Sums, means and maxima of bags of rows of a table. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, ones, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, run } from './define';
import { checkIndex, embedding, embeddingBackwardOp, noPadding, paddingRow } from './indexing';
import { where } from './pointwise-compare';
import { segmentMax, segmentMean, segmentSum } from './segments';
import { wide } from './wide';

export interface EmbeddingBagOptions {
  /** Where each bag begins in a vector of indices, [bags], int32 or int64, the first at 0. */
  readonly offsets?: AnyTensor | undefined;
  /** `'mean'` unless given. */
  readonly mode?: 'sum' | 'mean' | 'max';
  /** A factor for each row, in the shape of the index; for `'sum'`. */
  readonly perSampleWeights?: AnyTensor | undefined;
  /** A row that belongs to no bag; a negative one counts from the end. */
  readonly paddingIndex?: number | undefined;
}

/**
 * The rows of a table [count, d] at each bag's indices, joined to one: index [bags, k], or a vector with `offsets`: y [bags, d]. An empty bag gives zeros.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read when an index is outside the table.
 * @example
 * embeddingBag(eye(3), tensor([[0, 2]], { dtype: 'int32' }), { mode: 'sum' }); // [[1, 0, 1]]
 */
export function embeddingBag(weight: AnyTensor, index: AnyTensor, options: EmbeddingBagOptions = {}): AnyTensor {
  checkOptions('embeddingBag', options);
  const op = 'embeddingBag';
  checkTensor(op, weight, 'weight');
  checkDType(op, weight.dtype, floats);
  checkIndex(op, index);
  if (options.offsets !== undefined) checkIndex(op, options.offsets, 'offsets');
  const { offsets, mode = 'mean', perSampleWeights } = options;
  if (mode !== 'sum' && mode !== 'mean' && mode !== 'max') {
    throw new ArgumentError(`${op}: mode: got ${shown(mode)}, expected sum, mean or max`);
  }
  if (weight.rank !== 2 || index.rank !== (offsets === undefined ? 2 : 1)) {
    throw new ShapeError(
      `${op}: shapes do not fit: got weight ${show(weight.shape)} and index ${show(index.shape)}, expected [count, d] and [bags, k], or [k] with offsets`,
    );
  }
  if (perSampleWeights !== undefined) {
    checkTensor(op, perSampleWeights, 'perSampleWeights');
    if (mode !== 'sum') throw new ArgumentError(`${op}: perSampleWeights: got mode ${mode}, expected sum`);
    if (!sameShape(perSampleWeights.shape, index.shape)) {
      throw new ShapeError(
        `${op}: perSampleWeights do not fit: got shape ${show(perSampleWeights.shape)}, expected ${show(index.shape)}`,
      );
    }
  }
  const paddingIndex =
    options.paddingIndex === undefined ? undefined : paddingRow(op, options.paddingIndex, weight.shape[0]!);
  if (mode !== 'max' && perSampleWeights === undefined && paddingIndex === undefined) {
    if (offsets !== undefined) checkOffsets(op, offsets);
    const context = { index: index.detach(), offsets: offsets?.detach(), isMean: mode === 'mean' };
    const shape = [offsets === undefined ? index.shape[0]! : offsets.size, weight.shape[1]!];
    const rows = weight.strides[1] === 1 ? weight : weight.contiguous();
    return run(embeddingBagOp, [rows, index, offsets], shape, weight.dtype, [Number(context.isMean)], context);
  }
  const flat: AnyTensor = index.flatten();
  const bags = offsets === undefined ? index.shape[0]! : offsets.size;
  // Rows of the padding go to a bag of their own behind the others.
  let bag = offsets === undefined ? rowsOf(index) : bagsOf(op, offsets, flat);
  if (paddingIndex !== undefined) bag = where(flat.equalTo(paddingIndex), bags, bag) as AnyTensor;
  const segments = bags + (paddingIndex === undefined ? 0 : 1);
  const padding = paddingIndex === undefined ? {} : { paddingIndex };
  let rows: AnyTensor = embedding(weight as Tensor<Shape, 'float32'>, flat, padding);
  if (perSampleWeights !== undefined) {
    rows = wide(rows);
    rows = rows.mul(perSampleWeights.cast(rows.dtype).reshape([flat.size, 1]));
  }
  const join = { sum: segmentSum, mean: segmentMean, max: segmentMax }[mode];
  return join(rows, bag, segments).narrow(0, 0, bags).cast(weight.dtype) as AnyTensor;
}

interface BagContext {
  readonly index: AnyTensor;
  readonly offsets: AnyTensor | undefined;
  readonly isMean: boolean;
}

/** Sums and means of bags without padding or factors. */
const embeddingBagOp = defineOp<BagContext>('embeddingBag', {
  dtypes: floats,
  // Each row named gets its bag's gradient.
  gradient: (g, node) => {
    const { index, offsets, isMean } = node.context;
    const context = { index, paddingIndex: noPadding };
    const rowsOfGradient = (): AnyTensor => {
      if (offsets === undefined) {
        const size = index.shape[1]!;
        const share: AnyTensor = isMean ? g.div(Math.max(size, 1)) : g;
        return share.unsqueeze(1).expand([...index.shape, g.shape[1]!]) as AnyTensor;
      }
      const bag = bagsOf('embeddingBag', offsets, index);
      if (!isMean) return g.indexSelect(0, bag as Tensor<Shape, 'int64'>) as AnyTensor;
      const counts = countsOf(bag, offsets.size).clamp(1) as AnyTensor;
      const share = g.div(counts.cast(wide(g).dtype).unsqueeze(1)).cast(g.dtype) as AnyTensor;
      return share.indexSelect(0, bag as Tensor<Shape, 'int64'>) as AnyTensor;
    };
    return [
      run(embeddingBackwardOp, [rowsOfGradient(), index], node.shape(0), g.dtype, [noPadding], context),
      undefined,
      undefined,
    ];
  },
});

/** How many indices each bag has, [bags]. */
function countsOf(bag: AnyTensor, bags: number): AnyTensor {
  const { device } = bag;
  const one: AnyTensor = ones([1], { dtype: 'int64', device }).expand(bag.shape);
  return (zeros([bags], { dtype: 'int64', device }) as AnyTensor).indexAdd(0, bag, one);
}

function checkOffsets(op: string, offsets: AnyTensor): void {
  checkIndex(op, offsets, 'offsets');
  if (offsets.rank !== 1 || offsets.size === 0) {
    throw new ShapeError(`${op}: offsets: got shape ${show(offsets.shape)}, expected [bags]`);
  }
}

/** The row of each element of a matrix. */
function rowsOf(index: AnyTensor): AnyTensor {
  const [bags, size] = index.shape as [number, number];
  return arange(bags, { dtype: 'int64', device: index.device })
    .unsqueeze(1)
    .expand([bags, size])
    .flatten() as AnyTensor;
}

/** The bag of each index: how many offsets are at or before it, less one. */
function bagsOf(op: string, offsets: AnyTensor, index: AnyTensor): AnyTensor {
  checkOffsets(op, offsets);
  const { device } = index;
  // One place more, for bags that begin at the end.
  const begins: AnyTensor = zeros([index.size + 1], { dtype: 'int64', device }).indexAdd(
    0,
    offsets,
    ones([offsets.size], { dtype: 'int64', device }),
  );
  return begins.cumsum(0).sub(1).narrow(0, 0, index.size);
}
