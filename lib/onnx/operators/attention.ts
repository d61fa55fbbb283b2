/** Attention and rotary positions. */
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { outputs, type Call, type Outputs } from '../call';

/** [b, t, h · d] to [b, h, t, d]. */
const perHead = (x: AnyTensor, heads: number): AnyTensor =>
  x.reshape([x.shape[0]!, x.shape[1]!, heads, -1]).transpose(1, 2);

export function attention(call: Call): Outputs {
  const isFlat = call.tensor(0).rank === 3;
  const heads = isFlat ? call.int('q_num_heads') : call.tensor(0).shape[1]!;
  const keyHeads = isFlat ? call.int('kv_num_heads') : call.tensor(1).shape[1]!;
  const split = (i: number): AnyTensor =>
    isFlat ? perHead(call.tensor(i), i === 0 ? heads : keyHeads) : call.tensor(i);
  const withPast = (past: AnyTensor | undefined, now: AnyTensor): AnyTensor =>
    past === undefined ? now : ops.cat([past, now], 2);
  const q = split(0);
  const k = withPast(call.optional(4), split(1));
  const v = withPast(call.optional(5), split(2));
  const [b, , t, d] = q.shape as [number, number, number, number];
  const s = k.shape[2]!;
  const { device } = q;
  const past = call.optional(4)?.shape[2] ?? 0;
  const lengths = call.optional(6);
  const isCausal = call.int('is_causal', 0) !== 0;
  const [left, right] = [call.int('left_window_size', -1), call.int('right_window_size', -1)];
  const softCap = call.float('softcap', 0);
  const scale = call.float('scale', 1 / Math.sqrt(d));
  const given = maskOf(call.optional(3), s);
  const wanted = call.int('qk_matmul_output_mode', 0);
  if (softCap === 0 && !call.wants(3) && lengths === undefined && left < 0 && right < 0 && (!isCausal || past === 0)) {
    const y = ops.scaledDotProductAttention(q, k, v, {
      scale,
      causal: isCausal,
      mask: given?.dtype === 'bool' ? given : (given?.cast(q.dtype) as AnyTensor | undefined),
    }) as AnyTensor;
    return outputs(merged(y, isFlat), k, v);
  }

  // Each group of queries has its own head of keys.
  const shared = (x: AnyTensor): AnyTensor =>
    heads === x.shape[1] ? x : ops.repeatInterleave(x, heads / x.shape[1]!, { axis: 1 });
  const precision = call.attributes.protos.has('softmax_precision') || q.dtype === 'float16' || q.dtype === 'bfloat16';
  const wide = (x: AnyTensor): AnyTensor => (precision && x.dtype !== 'float64' ? x.cast('float32') : x);
  const scores = wide(q.mul(scale)).matmul(wide(shared(k)).transpose(-2, -1));
  // A bias, and places that must not be looked at.
  const masks: AnyTensor[] = [];
  if (given?.dtype === 'bool') masks.push(given);
  const row = ops.arange(t, { dtype: 'int64', device }).unsqueeze(1);
  const column = ops.arange(s, { dtype: 'int64', device });
  const offset = lengths === undefined ? past : lengths.cast('int64').sub(t).reshape([b, 1, 1, 1]);
  const position = row.add(offset);
  if (isCausal) masks.push(column.lessEqual(position));
  if (left >= 0) masks.push(position.sub(column).lessEqual(left));
  if (right >= 0) masks.push(column.sub(position).lessEqual(right));
  if (lengths !== undefined) masks.push(column.less(lengths.cast('int64').reshape([b, 1, 1, 1])));
  const capped = softCap === 0 ? scores : scores.div(softCap).tanh().mul(softCap);
  const biased = given === undefined || given.dtype === 'bool' ? capped : capped.add(given.cast(capped.dtype));
  const masked = masks.reduce((x, mask) => ops.where(mask, x, -Infinity), biased);
  const blind = masked.equalTo(-Infinity).all(-1, { keepDims: true });
  const safe = ops.where(blind, 0, masked);
  const weights = ops.where(blind, 0, ops.softmax(safe, -1)).cast(q.dtype);
  const y = weights.matmul(shared(v));
  const stages = [scores, capped, masked, weights];
  return outputs(merged(y, isFlat), k, v, stages[wanted]?.cast(q.dtype));
}

const merged = (y: AnyTensor, isFlat: boolean): AnyTensor => (isFlat ? y.transpose(1, 2).flatten(2) : y);

/** A mask for fewer keys than there are forbids the others. */
function maskOf(mask: AnyTensor | undefined, keys: number): AnyTensor | undefined {
  const missing = mask === undefined ? 0 : keys - mask.shape.at(-1)!;
  if (mask === undefined || missing <= 0 || mask.shape.at(-1) === 1) return mask;
  if (mask.dtype === 'bool')
    return mask
      .cast('uint8')
      .pad([[0, missing]])
      .cast('bool');
  return ops.pad(mask, [[0, missing]], { value: -Infinity });
}

function rotary(call: Call): AnyTensor {
  const x = call.tensor(0);
  const isFlat = x.rank === 3;
  const heads = call.int('num_heads', 0);
  const input = isFlat ? perHead(x, heads) : x; // [b, h, t, d]
  const d = input.shape[3]!;
  const size = call.int('rotary_embedding_dim', 0) || d;
  const table = (i: number): AnyTensor => {
    const rows = call.has(3) ? ops.embedding(call.tensor(i), call.tensor(3)) : call.tensor(i);
    return rows.unsqueeze(1); // [b, 1, t, size / 2]
  };
  const [cos, sin] = [table(1), table(2)];
  const turned = input.narrow(-1, 0, size);
  const isInterleaved = call.int('interleaved', 0) !== 0;
  const half = size / 2;
  const [a, b] = (
    isInterleaved
      ? [turned.slice(-1, 0, size, 2), turned.slice(-1, 1, size, 2)]
      : [turned.narrow(-1, 0, half), turned.narrow(-1, half, half)]
  ) as [AnyTensor, AnyTensor];
  const parts = [a.mul(cos).sub(b.mul(sin)), a.mul(sin).add(b.mul(cos))];
  const rotated = isInterleaved ? ops.stack(parts, -1).flatten(-2) : ops.cat(parts, -1);
  const y = size === d ? rotated : ops.cat([rotated, input.narrow(-1, size, d - size)], -1);
  return isFlat ? y.transpose(1, 2).reshape(x.shape) : y;
}

export const attentions = { Attention: attention, RotaryEmbedding: rotary };
