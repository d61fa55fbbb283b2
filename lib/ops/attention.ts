/** Scaled dot-product attention, computed in tiles: the matrix of scores is never stored. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { nextRandom, noRandom } from '../runtime/random';
import { isFloat, type DType } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { Attention, AttentionCheck } from '../tensor/layer-shape-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show, stridesInOrderOf } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { lowerPrecision, operand } from './autocast';
import { empty, ones } from './creation';
import { where } from './pointwise-compare';
import { checkDType, checkOptions, checkTensor, defineOp, floats, runInto, runMany, type OutputSpec } from './define';

export interface AttentionOptions {
  /** Broadcasts to [b, h, t, s]: bool (true: attend) or floating (added to the scores). */
  readonly mask?: AnyTensor | undefined;
  /** Query i sees keys 0 … i only. */
  readonly causal?: boolean;
  /** Of the scores; 1 / √d unless given. */
  readonly scale?: number;
  /** The probability with which an attention weight is dropped; 0 unless given. */
  readonly dropout?: number;
}

interface AttentionContext {
  readonly attributes: readonly number[];
  readonly scale: number;
  readonly causal: boolean;
  readonly dropout: number;
}

const attentionOp = defineOp<AttentionContext>('attention', {
  dtypes: floats,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const [q, k, v] = [node.input(0), node.input(1), node.input(2)];
    const mask = node.operand(3) as AnyTensor | undefined;
    if (recording.enabled || node.needs(3)) return composedGradients(g, q, k, v, mask, node.context);
    const inputs = [g, q, k, v, mask, node.output(0), node.output(1)];
    const { attributes } = node.context;
    const parts = emptyParts([q, k, v]);
    if (parts === undefined) {
      return runMany(
        attentionBackwardOp,
        inputs,
        [q, k, v].map((x) => alike(x)),
        attributes,
      );
    }
    runInto(attentionBackwardOp, inputs, parts, attributes);
    return parts;
  },
});
const attentionBackwardOp = defineOp('attentionBackward', { dtypes: floats });

/** A result beside `x`: its axes lie in the order of those of `x`, so that heads that were split off come together again without a copy. */
const alike = ({ shape, dtype, strides }: AnyTensor, size = shape[3]!): OutputSpec => {
  const own = [...shape.slice(0, 3), size];
  return { shape: own, dtype, layout: stridesInOrderOf(strides, own) };
};

/** Where `xs` are all parts of one tensor, such parts of a fresh one: gradients in them come together again without a copy. */
function emptyParts(xs: readonly [AnyTensor, ...AnyTensor[]]): AnyTensor[] | undefined {
  const [{ storage, dtype, shape, strides, device, size }] = xs;
  const offsets = xs.map(({ offset }) => offset).sort((a, b) => a - b);
  const [first, second] = offsets as [number, number];
  const [wholeShape, wholeStrides] = [
    [xs.length, ...shape],
    [second - first, ...strides],
  ];
  const isWhole =
    offsets.every((offset, i) => offset === first + i * (second - first)) &&
    sameShape(stridesInOrderOf(wholeStrides, wholeShape), wholeStrides) &&
    xs.every((x) => x.storage === storage && sameShape(x.shape, shape) && sameShape(x.strides, strides));
  if (!isWhole) return undefined;
  const whole = empty([xs.length * size], { dtype, device });
  return xs.map(
    ({ offset, isContiguous }) => new Tensor(whole.storage, dtype, shape, strides, offset - first, isContiguous),
  );
}

/** The gradients of q, k, v and an added mask over ops, with the scores stored: for gradients of gradients and learned masks. */
function composedGradients(
  g: AnyTensor,
  q: AnyTensor,
  k: AnyTensor,
  v: AnyTensor,
  mask: AnyTensor | undefined,
  { scale, causal, dropout }: AttentionContext,
): AnyTensor[] {
  if (dropout > 0) {
    throw new ArgumentError(
      'attention: no composed gradient with dropout: got dropout > 0 with createGraph or a mask that requires a gradient',
    );
  }
  const [b, h, t] = q.shape as [number, number, number];
  const [, shared, s] = k.shape as [number, number, number];
  const repeat = h / Math.max(shared, 1);
  const perHead = (x: AnyTensor): AnyTensor =>
    repeat === 1 ? x : x.unsqueeze(2).expand([b, shared, repeat, s, x.shape[3]!]).reshape([b, h, s, x.shape[3]!]);
  const folded = (x: AnyTensor): AnyTensor =>
    repeat === 1 ? x : x.reshape([b, shared, repeat, s, x.shape[3]!]).sum(2);
  const [keys, values] = [perHead(k), perHead(v)];
  let scores: AnyTensor = q.matmul(keys.transpose()).mul(scale);
  if (causal) scores = where(ones([t, s], { dtype: 'bool', device: q.device }).tril(), scores, -Infinity);
  if (mask?.dtype === 'bool') scores = where(mask, scores, -Infinity);
  else if (mask !== undefined) scores = scores.add(mask);
  // A query that sees no key has no weights, as in the kernel; the softmax of nothing but −∞ would be NaN.
  const blind = scores.equalTo(-Infinity).all(-1, { keepDims: true });
  const weights = where(blind, 0, (where(blind, 0, scores) as AnyTensor).softmax(-1)) as AnyTensor;
  const gw = g.matmul(values.transpose());
  const gs = weights.mul(gw.sub(weights.mul(gw).sum(-1, { keepDims: true })));
  return [
    gs.matmul(keys).mul(scale),
    folded(gs.transpose().matmul(q)).mul(scale),
    folded(weights.transpose().matmul(g)),
    gs,
  ];
}

/**
 * softmax(q·kᵀ·scale + mask)·v for q [b, h, t, d], k [b, h', s, d] and v [b, h', s, e] with h' dividing h (grouped queries): y [b, h, t, e]. Inputs of
 * rank 3 are [h, t, d], those of rank 2 one head. A query that may attend to nothing gives zeros. Memory grows with t + s, not t · s.
 *
 * @throws ShapeError, DTypeError.
 * @see Vaswani et al., 2017, Attention is all you need; Dao et al., 2022, FlashAttention.
 * @example
 * const x = randn([2, 4, 16, 8]);
 * scaledDotProductAttention(x, x, x, { causal: true }).shape; // [2, 4, 16, 8]
 */
export function scaledDotProductAttention<Q extends Shape, D extends DType, K extends Shape, V extends Shape>(
  q: Tensor<Q, D>,
  k: Tensor<K, D>,
  v: Tensor<V, D> & Ok<AttentionCheck<Q, K, V>>,
  options?: AttentionOptions,
): Tensor<Attention<Q, V>, D>;
export function scaledDotProductAttention(
  q: AnyTensor,
  k: AnyTensor,
  v: AnyTensor,
  options: AttentionOptions = {},
): AnyTensor {
  checkOptions('scaledDotProductAttention', options);
  const op = 'scaledDotProductAttention';
  [q, k, v] = [operand(lowerPrecision, q), operand(lowerPrecision, k), operand(lowerPrecision, v)];
  const inputs = { q, k, v };
  for (const [name, x] of Object.entries(inputs)) {
    checkTensor(op, x, name);
    checkDType(op, x.dtype, floats);
    if (x.dtype !== q.dtype) throw new DTypeError(`${op}: ${name}: got dtype ${x.dtype}, expected ${q.dtype} as q`);
    if (x.rank !== q.rank || x.rank < 2 || x.rank > 4) {
      throw new ShapeError(
        `${op}: ${name}: got shape ${show(x.shape)}, expected [b, h, t, d], [h, t, d] or [t, d] for all of q, k and v`,
      );
    }
  }
  if (q.rank < 4) {
    return scaledDotProductAttention(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), options).squeeze(0);
  }
  const [b, h, t, d] = q.shape as [number, number, number, number];
  const [kb, shared, s, kd] = k.shape as [number, number, number, number];
  const fits = kb === b && kd === d && sameShape(v.shape.slice(0, 3), k.shape.slice(0, 3));
  if (!fits || (shared === 0 ? h !== 0 : h % shared !== 0)) {
    throw new ShapeError(
      `${op}: shapes do not fit: got q ${show(q.shape)}, k ${show(k.shape)}, v ${show(v.shape)}, expected [b, h, t, d], [b, h', s, d], [b, h', s, e] ` +
        "with h' dividing h",
      { q: q.shape, k: k.shape, v: v.shape },
    );
  }
  const { causal = false, scale = 1 / Math.sqrt(d), dropout = 0 } = options;
  if (!(dropout >= 0 && dropout < 1))
    throw new ArgumentError(`${op}: dropout: got ${dropout}, expected a probability below 1`);
  let { mask } = options;
  if (mask !== undefined) {
    checkTensor(op, mask, 'mask');
    const full = [b, h, t, s];
    if (!sameShape(broadcastShapes(op, mask.shape, full), full)) {
      throw new ShapeError(
        `${op}: mask does not fit: got ${show(mask.shape)}, expected one that broadcasts to ${show(full)}`,
      );
    }
    if (mask.dtype !== 'bool' && !isFloat(mask.dtype)) {
      throw new DTypeError(`${op}: mask: got dtype ${mask.dtype}, expected bool or a floating dtype`);
    }
    mask = (mask.dtype === 'bool' ? mask : mask.cast(q.dtype)).expand(full);
  }
  const random = dropout > 0 ? nextRandom(b * h * t * s) : noRandom;
  const attributes = [scale, Number(causal), dropout, ...random];
  const outputs = [
    alike(q, v.shape[3]),
    { shape: [b, h, t], dtype: q.dtype === 'float64' ? ('float64' as const) : ('float32' as const) },
  ];
  return runMany(attentionOp, [q, k, v, mask], outputs, attributes, { attributes, scale, causal, dropout })[0]!;
}
