/** Multi-head attention, with grouped queries, rotary positions, sliding windows and a cache of keys and values. Batches come first: x [b, t, size], or [t, size] without one. */
import { isGradEnabled } from '../autograd/modes';
import { ArgumentError, ShapeError } from '../errors';
import { scaledDotProductAttention } from '../ops/attention';
import { empty, ones, zeros } from '../ops/creation';
import { checkObject, checkOptions, checkTensor } from '../ops/define';
import { linear } from '../ops/matmul';
import { cat } from '../ops/movement';
import { where } from '../ops/pointwise-compare';
import { rotaryEmbedding, type RotaryOptions } from '../ops/rotary';
import { checkFinite } from '../tensor/checks';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { normal_, xavierUniform_ } from './init';
import { Linear } from './linear';
import { Module, Parameter } from './module';
import { RMSNorm, type RMSNormOptions } from './normalization';
import { checkPositive, checkProbability, checkSizes } from './options';

export interface QueryKeyNormOptions extends Pick<RMSNormOptions, 'epsilon' | 'zeroCentered'> {
  /** Whether the mean is that of all heads together, with a weight for each of their features, as in OLMo 2; false unless given. */
  readonly acrossHeads?: boolean;
}

export interface MultiHeadAttentionOptions {
  /** Of attention weights, in training; 0 unless given. */
  readonly dropout?: number;
  /** Whether the projections add biases; true unless given. */
  readonly bias?: boolean;
  /** Whether that of the joined heads adds one; as `bias` unless given. */
  readonly outputBias?: boolean;
  /** The heads of keys and values, each shared by as many queries; as many as there are heads unless given. */
  readonly keyHeads?: number;
  /** The features of each head; size / heads unless given. */
  readonly headSize?: number | undefined;
  /** The features of the keys; the size unless given. */
  readonly keySize?: number;
  /** The features of the values; the size unless given. */
  readonly valueSize?: number;
  /** Rotates queries and keys by their positions; see `nn.functional.rotaryEmbedding`. */
  readonly rotary?: boolean | Pick<RotaryOptions, 'base' | 'interleaved' | 'scaling' | 'size'>;
  /** Divides the queries and keys of each head by their root mean square, before the rotation (`nn.RMSNorm`); false unless given. */
  readonly queryKeyNorm?: boolean | QueryKeyNormOptions;
  /** Of the scores; 1 / √headSize unless given. */
  readonly scale?: number | undefined;
  /**
   * Keeps scores within ± so many, as softCap · tanh(score / softCap) before masks; none unless given. The scores are stored then, so memory grows with t · s:
   * `nn.functional.scaledDotProductAttention` has no such cap.
   */
  readonly softCap?: number | undefined;
  /** A query sees only the last `window` keys up to the one at its own position, and none after it; all keys unless given. */
  readonly window?: number | undefined;
  /** Whether a trained key and value are put behind the others; false unless given. */
  readonly addBiasKv?: boolean;
  /** Whether a key and value of zeros are put behind the others; false unless given. */
  readonly addZeroAttention?: boolean;
}

/** Rows that there is room for at first. */
const LEAST_ROOM = 16;

/**
 * Rows along axis 2 that grow in number, with room for more behind them: to add some costs the same however many there are. Where gradients are recorded, for which nobody may
 * write to what an op has seen, all are copied instead.
 */
class GrowingRows {
  #room: AnyTensor | undefined;
  rows: AnyTensor | undefined = undefined;

  append(more: AnyTensor): AnyTensor {
    const { rows } = this;
    if (isGradEnabled()) {
      this.#room = undefined;
      return (this.rows = (rows === undefined ? more.contiguous() : cat([rows, more], 2)).keep());
    }
    const [b, heads, count, d] = more.shape as [number, number, number, number];
    const { dtype, device } = more;
    const before = rows?.shape[2] ?? 0;
    const after = before + count;
    if (this.#room === undefined || this.#room.shape[2]! < after) {
      this.#room = empty([b, heads, Math.max(after, LEAST_ROOM, 2 * before), d], { dtype, device }).keep();
      if (rows !== undefined) this.#room.narrow(2, 0, before).copy_(rows);
    }
    this.#room.narrow(2, before, count).copy_(more);
    return (this.rows = this.#room.narrow(2, 0, after));
  }

  /** The same for those of the batch that `index` names. */
  select(index: AnyTensor): GrowingRows {
    const chosen = new GrowingRows();
    const of = (x: AnyTensor | undefined): AnyTensor | undefined => (x?.indexSelect(0, index) as AnyTensor)?.keep();
    chosen.#room = of(this.#room);
    chosen.rows = chosen.#room === undefined ? of(this.rows) : chosen.#room.narrow(2, 0, this.rows!.shape[2]!);
    return chosen;
  }

  /** Frees what nobody else has. */
  dispose(): void {
    this.#room?.dispose();
  }
}

/**
 * What a module of self-attention has seen: pass the same cache for each piece of a sequence. Everything is kept, also what has left a sliding window: the layer
 * passes over it.
 */
export class AttentionCache {
  #keys = new GrowingRows();
  #values = new GrowingRows();

  /** [b, heads, t, d] */
  get key(): AnyTensor | undefined {
    return this.#keys.rows;
  }
  /** [b, heads, t, d] */
  get value(): AnyTensor | undefined {
    return this.#values.rows;
  }

  /** How many positions are cached. */
  get length(): number {
    return this.key?.shape[2] ?? 0;
  }

  /** Puts keys and values behind those that are there; answers all. The tensors outlive scopes. */
  append(key: AnyTensor, value: AnyTensor): [key: AnyTensor, value: AnyTensor] {
    return [this.#keys.append(key), this.#values.append(value)];
  }

  /** The same for those of the batch that `rows` [n], int32 or int64, names, in its order: some may be there several times. It outlives scopes. */
  select(rows: AnyTensor): AttentionCache {
    const chosen = new AttentionCache();
    chosen.#keys = this.#keys.select(rows);
    chosen.#values = this.#values.select(rows);
    return chosen;
  }

  /** Forgets everything, and frees its memory: `key` and `value` of before are not to be used any more. */
  clear(): void {
    this.#keys.dispose();
    this.#values.dispose();
    this.#keys = new GrowingRows();
    this.#values = new GrowingRows();
  }
}

export interface AttentionCall {
  /** Broadcasts to [b, heads, t, s]: bool (true: attend) or added to the scores. One that requires a gradient gets it, with the scores stored for it. */
  readonly mask?: AnyTensor | undefined;
  /** Of the keys, [b, s]: bool (true: attend) or added to the scores. */
  readonly keyMask?: AnyTensor | undefined;
  /** Query i sees keys 0 … i only; with a cache also all that are cached. */
  readonly causal?: boolean;
  /** Keys and values so far; this call's are added to it. */
  readonly cache?: AttentionCache | undefined;
  /** Where queries and keys stand for the rotation, [b, t], int32 or int64: behind those in the cache unless given. */
  readonly positions?: AnyTensor | undefined;
}

/** Queries, keys and values per head, [b, heads, t, d], and what hides them. */
interface Attended {
  readonly q: AnyTensor;
  readonly k: AnyTensor;
  readonly v: AnyTensor;
  readonly mask: AnyTensor | undefined;
  readonly causal: boolean;
}

/** Both masks as one; a bool one hides where it is false. */
function joinMasks(a: AnyTensor | undefined, b: AnyTensor | undefined): AnyTensor | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.dtype === 'bool' && b.dtype === 'bool') return a.logicalAnd(b);
  if (a.dtype === 'bool') return where(a, b, -Infinity) as AnyTensor;
  if (b.dtype === 'bool') return where(b, a, -Infinity) as AnyTensor;
  return a.add(b);
}

/** The softmax over the last axis, zeros where all of it is −∞: a query that sees no key has no weights. */
function softmaxOfSeen(scores: AnyTensor): AnyTensor {
  const blind = scores.equalTo(-Infinity).all(-1, { keepDims: true });
  return where(blind, 0, (where(blind, 0, scores) as AnyTensor).softmax(-1)) as AnyTensor;
}

/**
 * Attention in several subspaces at once: softmax(q·kᵀ/√d)·v per head, over projections of the inputs, and a projection of the joined results. State names are
 * those of PyTorch's MultiheadAttention. Vaswani et al., 2017; grouped queries: Ainslie et al., 2023; windows: Beltagy et al., 2020; norms of queries and keys:
 * Henry et al., 2020; capped scores: Gemma team, 2024, Gemma 2.
 *
 * @example
 * const x = randn([2, 5, 16]);
 * new nn.MultiHeadAttention(16, 4).forward(x, x, x).shape; // [2, 5, 16]
 * new nn.MultiHeadAttention(16, 4, { keyHeads: 2, headSize: 6, rotary: true, window: 3 }).forward(x, x, x).shape; // [2, 5, 16]
 */
export class MultiHeadAttention extends Module {
  /** The projections of query, key and value, one above the other: [(heads + 2 · keyHeads) · headSize, size]. */
  readonly inProjWeight: Parameter | undefined;
  /** In place of that where keys or values have features of their own. */
  readonly qProjWeight: Parameter | undefined;
  readonly kProjWeight: Parameter | undefined;
  readonly vProjWeight: Parameter | undefined;
  readonly inProjBias: Parameter | undefined;
  readonly biasK: Parameter | undefined;
  readonly biasV: Parameter | undefined;
  readonly qNorm: RMSNorm | undefined;
  readonly kNorm: RMSNorm | undefined;
  readonly outProj: Linear;
  readonly dropout: number;
  readonly keyHeads: number;
  readonly headSize: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly #rotary: Pick<RotaryOptions, 'base' | 'interleaved' | 'scaling' | 'size'> | undefined;
  readonly #addZeroAttention: boolean;
  readonly #window: number | undefined;
  readonly #scale: number;
  readonly #softCap: number | undefined;

  constructor(
    readonly size: number,
    readonly heads: number,
    options: MultiHeadAttentionOptions = {},
  ) {
    super();
    checkOptions('MultiHeadAttention', options);
    const { dropout = 0, bias = true, keyHeads = heads, keySize = size, valueSize = size, rotary = false } = options;
    const { headSize = size / heads, outputBias = bias, queryKeyNorm = false, window, softCap } = options;
    checkSizes('MultiHeadAttention', { size, heads, keyHeads, keySize, valueSize });
    if (options.headSize !== undefined) checkSizes('MultiHeadAttention', { headSize });
    else if (size % heads !== 0) {
      throw new ArgumentError(`MultiHeadAttention: heads: got ${heads}, expected a divisor of the size ${size}`);
    }
    if (heads % keyHeads !== 0) {
      throw new ArgumentError(
        `MultiHeadAttention: keyHeads: got ${keyHeads}, expected a divisor of the ${heads} heads`,
      );
    }
    checkProbability('MultiHeadAttention', 'dropout', dropout);
    if (window !== undefined) checkSizes('MultiHeadAttention', { window });
    const { scale = 1 / Math.sqrt(headSize) } = options;
    checkFinite('MultiHeadAttention', 'scale', scale);
    if (softCap !== undefined) checkPositive('MultiHeadAttention', 'softCap', softCap);
    this.dropout = dropout;
    this.keyHeads = keyHeads;
    this.headSize = headSize;
    this.keySize = keySize;
    this.valueSize = valueSize;
    this.#rotary = rotary === true ? {} : rotary === false ? undefined : rotary;
    this.#addZeroAttention = options.addZeroAttention ?? false;
    this.#window = window;
    this.#scale = scale;
    this.#softCap = softCap;
    const [inner, width] = [heads * headSize, keyHeads * headSize];
    if (keySize === size && valueSize === size) {
      this.inProjWeight = new Parameter(xavierUniform_(empty([inner + 2 * width, size])));
    } else {
      this.qProjWeight = new Parameter(xavierUniform_(empty([inner, size])));
      this.kProjWeight = new Parameter(xavierUniform_(empty([width, keySize])));
      this.vProjWeight = new Parameter(xavierUniform_(empty([width, valueSize])));
    }
    if (bias) this.inProjBias = new Parameter(zeros([inner + 2 * width]));
    if (options.addBiasKv ?? false) {
      const deviation = Math.sqrt(2 / (1 + width));
      this.biasK = new Parameter(normal_(empty([1, 1, width]), 0, deviation));
      this.biasV = new Parameter(normal_(empty([1, 1, width]), 0, deviation));
    }
    if (queryKeyNorm !== false) {
      const given: QueryKeyNormOptions = queryKeyNorm === true ? {} : queryKeyNorm;
      checkObject('MultiHeadAttention', given, 'queryKeyNorm');
      const { acrossHeads = false, ...norm } = given;
      this.qNorm = new RMSNorm(acrossHeads ? inner : headSize, norm);
      this.kNorm = new RMSNorm(acrossHeads ? width : headSize, norm);
    }
    this.outProj = new Linear(inner, size, { bias: outputBias });
    if (this.outProj.bias !== undefined) this.outProj.bias.detach().copy_(0);
  }

  /**
   * query [b, t, size], key [b, s, keySize] and value [b, s, valueSize]: [b, t, size]. Key and value are the query unless given. All three, `keyMask` and
   * `positions` may be without the batch.
   */
  forward(query: AnyTensor, key: AnyTensor = query, value: AnyTensor = key, options: AttentionCall = {}): AnyTensor {
    const attended = this.prepare(query, key, value, options);
    const y = this.needsWeights(attended) ? this.attendWithWeights(attended).y : this.attend(attended);
    return this.outProj.forward(this.joined(y, query));
  }

  /** Those of the projections of the inputs, of the scores and of the sums over the values. */
  override multiplyAdds(inputs: readonly [AnyTensor, AnyTensor?, AnyTensor?]): number {
    const [query, key = query, value = key] = inputs;
    const [inner, width] = [this.heads * this.headSize, this.keyHeads * this.headSize];
    const ofScores = (query.size / this.size) * inner * key.shape.at(-2)!;
    return query.size * inner + key.size * width + value.size * width + 2 * ofScores;
  }

  /** The same with the attention weights, averaged over the heads: [b, t, s]. They are stored, so memory grows with t · s. */
  forwardWithWeights(
    query: AnyTensor,
    key: AnyTensor = query,
    value: AnyTensor = key,
    options: AttentionCall = {},
  ): { output: AnyTensor; weights: AnyTensor } {
    const { y, weights } = this.attendWithWeights(this.prepare(query, key, value, options));
    return {
      output: this.outProj.forward(this.joined(y, query)),
      weights: weights.mean(1).reshape([...query.shape.slice(0, -1), -1]),
    };
  }

  /** Whether the kernel has not all that it takes: a cap, or dropout beside the gradient of a mask. */
  private needsWeights({ mask }: Attended): boolean {
    const drops = this.training && this.dropout > 0;
    return this.#softCap !== undefined || (drops && mask !== undefined && mask.requiresGrad && isGradEnabled());
  }

  /** The sums over the values, [b, heads, t, d]. */
  private attend({ q, k, v, mask, causal }: Attended): AnyTensor {
    const dropout = this.training ? this.dropout : 0;
    return scaledDotProductAttention(q as never, k, v as never, { mask, causal, scale: this.#scale, dropout });
  }

  /** The same over ops, with the weights, [b, heads, t, s]. */
  private attendWithWeights({ q, k, v, mask, causal }: Attended): { y: AnyTensor; weights: AnyTensor } {
    const shared = (x: AnyTensor): AnyTensor =>
      x.repeatInterleave(this.heads / this.keyHeads, { axis: 1 }) as AnyTensor;
    const softCap = this.#softCap;
    let scores: AnyTensor = q.matmul(shared(k).transpose()).mul(this.#scale);
    if (softCap !== undefined) scores = scores.div(softCap).tanh().mul(softCap);
    const seen = causal ? ones(scores.shape.slice(-2), { dtype: 'bool', device: q.device }).tril() : undefined;
    const hidden = joinMasks(seen, mask);
    if (hidden?.dtype === 'bool') scores = where(hidden, scores, -Infinity) as AnyTensor;
    else if (hidden !== undefined) scores = scores.add(hidden);
    const weights: AnyTensor = mask === undefined ? scores.softmax(-1) : softmaxOfSeen(scores);
    const dropped: AnyTensor = weights.dropout(this.dropout, { training: this.training });
    return { y: dropped.matmul(shared(v)), weights };
  }

  /** Queries, keys and values per head, and what hides them. */
  private prepare(query: AnyTensor, key: AnyTensor, value: AnyTensor, options: AttentionCall): Attended {
    checkOptions('MultiHeadAttention', options, 'MultiHeadAttention.forward');
    const { mask, keyMask, positions, cache } = options;
    if (positions !== undefined) checkTensor('MultiHeadAttention', positions, 'positions');
    const window = this.#window ?? Infinity;
    const causal = (options.causal ?? false) || window < Infinity;
    const sizes = [this.size, this.keySize, this.valueSize];
    [query, key, value].forEach((x, i) => {
      checkTensor('MultiHeadAttention', x);
      if (x.rank !== query.rank || (x.rank !== 2 && x.rank !== 3) || x.shape.at(-1) !== sizes[i]) {
        const expected = x !== query && query.rank === 2 ? `[t, ${sizes[i]}]` : `[b, t, ${sizes[i]}]`;
        throw new ShapeError(`MultiHeadAttention: input: got shape ${show(x.shape)}, expected ${expected}`);
      }
    });
    if (query.rank === 2) {
      const batched = (x: AnyTensor | undefined): AnyTensor | undefined => x?.unsqueeze(0) as AnyTensor | undefined;
      const alone = { ...options, keyMask: batched(keyMask), positions: batched(positions) };
      return this.prepare(query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0), alone);
    }
    const past = cache?.length ?? 0;
    const projected = this.project(query, key, value) as [AnyTensor, AnyTensor, AnyTensor];
    let [q, k, v] = [
      this.perHead(projected[0], this.qNorm),
      this.perHead(projected[1], this.kNorm),
      this.perHead(projected[2]),
    ];
    if (this.#rotary !== undefined) {
      const rotary = { offset: past, positions: positions?.unsqueeze(1) as AnyTensor | undefined, ...this.#rotary };
      q = rotaryEmbedding(q, rotary);
      k = rotaryEmbedding(k, rotary);
    }
    if (cache !== undefined) [k, v] = cache.append(k, v);
    let hidden = joinMasks(mask, keyMask?.unsqueeze(1).unsqueeze(1));
    // No query of this call sees the keys that have left the window of its first one.
    const left = Math.max(past + 1 - window, 0);
    if (left > 0) {
      const count = k.shape[2]!;
      const rest = (x: AnyTensor, axis: number): AnyTensor => x.narrow(axis, left, count - left);
      [k, v] = [rest(k, 2), rest(v, 2)];
      if (hidden !== undefined) hidden = rest(hidden.expand([...hidden.shape.slice(0, -1), count]), -1);
    }
    // The first query of this call stands at this place among the keys that are left.
    const place = past - left;
    const [t, s] = [q.shape[2]!, k.shape[2]!];
    const added = [
      ...(this.biasK === undefined ? [] : [[this.biasK, this.biasV!]]),
      ...(this.#addZeroAttention ? [[this.zeroRow(k), this.zeroRow(v)]] : []),
    ] as [AnyTensor, AnyTensor][];
    // The kernel's own order begins with the first key.
    const ordered = causal && place === 0 && added.length === 0;
    const all = (): AnyTensor => ones([t, s], { dtype: 'bool', device: q.device });
    if (causal && !ordered && place + 1 < s) hidden = joinMasks(hidden, all().tril(place));
    if (place + t > window) hidden = joinMasks(hidden, all().triu(place + 1 - window));
    for (const [extraKey, extraValue] of added) {
      const rows = (x: AnyTensor): AnyTensor => this.perHead(x.expand([k.shape[0]!, 1, x.shape[2]!]) as AnyTensor);
      [k, v] = [cat([k, rows(extraKey)], 2), cat([v, rows(extraValue)], 2)];
    }
    if (hidden !== undefined && added.length > 0) {
      // What is added behind the keys is seen by all.
      const before = Array.from({ length: hidden.rank - 1 }, (): [number, number] => [0, 0]);
      hidden = hidden.pad([...before, [0, added.length]], { value: hidden.dtype === 'bool' ? 1 : 0 });
    }
    return { q, k, v, mask: hidden, causal: ordered };
  }

  private zeroRow(x: AnyTensor): AnyTensor {
    return zeros([1, 1, x.shape[1]! * x.shape[3]!], { dtype: x.dtype, device: x.device });
  }

  /** The projections of the inputs; one product where the inputs are the same tensor. */
  private project(query: AnyTensor, key: AnyTensor, value: AnyTensor): AnyTensor[] {
    const [inner, width] = [this.heads * this.headSize, this.keyHeads * this.headSize];
    const widths = [inner, width, width];
    const { inProjWeight, inProjBias } = this;
    if (inProjWeight !== undefined && key === query && value === query) {
      return linear(query, inProjWeight, inProjBias).split(widths, -1);
    }
    const starts = [0, inner, inner + width];
    return [query, key, value].map((x, i) => {
      const own = [this.qProjWeight, this.kProjWeight, this.vProjWeight][i];
      const weight: AnyTensor = own ?? inProjWeight!.narrow(0, starts[i]!, widths[i]!);
      return linear(x, weight, inProjBias?.narrow(0, starts[i]!, widths[i]!));
    });
  }

  /** [b, t, heads · d] as [b, heads, t, d], normalised where there is a norm: each head, or all together. */
  private perHead(x: AnyTensor, norm?: RMSNorm): AnyTensor {
    const [b, t, width] = x.shape as [number, number, number];
    const together: AnyTensor = norm === undefined ? x : norm.forward(x.reshape([b, t, -1, norm.shape[0]!]));
    return together.reshape([b, t, width / this.headSize, this.headSize]).transpose(1, 2);
  }

  /** [b, heads, t, d] as [b, t, heads · d], or without the batch where the query has none. */
  private joined(y: AnyTensor, query: AnyTensor): AnyTensor {
    return y.transpose(1, 2).reshape([...query.shape.slice(0, -1), this.heads * this.headSize]);
  }

  protected override describe(): string {
    return `${this.size}, ${this.heads} heads`;
  }
}
