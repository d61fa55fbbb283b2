/** Rotary position embedding. */
import { ArgumentError, ShapeError } from '../errors';
import { checkChoice, checkCount, checkList, checkNumber } from '../tensor/checks';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, tensor } from './creation';
import { checkDType, checkObject, checkOptions, checkTensor, floats } from './define';
import { checkIndex } from './indexing';
import { cat, stack } from './movement';

/** How pairs turn more slowly, for sequences longer than those of the first training. */
export type RotaryScaling =
  | {
      /** All of them, as Chen et al., 2023, Extending context window of large language models via position interpolation. */
      readonly kind: 'linear';
      /** By which speeds are divided. */
      readonly factor: number;
    }
  | {
      /**
       * By a base that grows with the sequence, from the original context on: dynamic NTK scaling. What has been rotated before stays as it is: keys in a cache were
       * turned by the base of their time, as in the library transformers.
       */
      readonly kind: 'dynamic';
      /** The slowest pair's speed is divided by 1 + factor · (length / originalContext − 1). */
      readonly factor: number;
      /** Positions in the first training. */
      readonly originalContext: number;
    }
  | {
      /** Those that turn fewer than `slow` times in the original context; those that turn more than `fast` times stay; between, in proportion. As Llama 3.1. */
      readonly kind: 'llama3';
      /** By which the slow ones' speeds are divided. */
      readonly factor: number;
      readonly slow: number;
      readonly fast: number;
      /** Positions in the first training. */
      readonly originalContext: number;
    }
  | {
      /** As `llama3`, but between, in proportion to the pair's number. Peng et al., 2023, YaRN: efficient context window extension of large language models. */
      readonly kind: 'yarn';
      /** By which the slow ones' speeds are divided. */
      readonly factor: number;
      /** 1 unless given. */
      readonly slow?: number;
      /** 32 unless given. */
      readonly fast?: number;
      /** Positions in the first training. */
      readonly originalContext: number;
      /** Multiplies all that is rotated, so that scores grow by its square; 0.1 · ln(factor) + 1 unless given. */
      readonly attentionFactor?: number;
      /** Whether the numbers of the first and the last pair between are rounded, down and up; true unless given. */
      readonly truncate?: boolean;
    }
  | {
      /**
       * Each by a number of its own, another in sequences longer than the original context. Ding et al., 2024, LongRoPE: extending LLM context window beyond 2
       * million tokens. What has been rotated before stays as it is, as with `dynamic`.
       */
      readonly kind: 'longrope';
      /** How many times longer than the original context the longest sequences are: gives `attentionFactor` alone. */
      readonly factor: number;
      /** By which the pairs' speeds are divided up to the original context. */
      readonly short: readonly number[];
      /** By which they are divided beyond it. */
      readonly long: readonly number[];
      /** Positions in the first training. */
      readonly originalContext: number;
      /** Multiplies all that is rotated, so that scores grow by its square; √(1 + ln(factor) / ln(originalContext)) unless given. */
      readonly attentionFactor?: number;
    };

export interface RotaryOptions {
  /** The slowest angle is position / base; 10,000 unless given. */
  readonly base?: number;
  /** Slows pairs down; none unless given. */
  readonly scaling?: RotaryScaling | undefined;
  /** How many features are rotated, the first ones; the others stay as they are. All unless given. */
  readonly size?: number | undefined;
  /** Whether pairs are neighbours (2i, 2i + 1), as in RoFormer and GPT-J, or halves (i, i + d/2), as in GPT-NeoX and Llama; halves unless given. */
  readonly interleaved?: boolean;
  /** The position of the first row, where earlier ones are cached; 0 unless given. Beside `positions`, how many rows come before these: it tells the length. */
  readonly offset?: number;
  /** The position of each row, int32 or int64, that broadcasts to x.shape[:-1]; offset, offset + 1, … unless given. */
  readonly positions?: AnyTensor | undefined;
}

/** What the speed of each of `count` pairs is multiplied by in a sequence of this length. */
function speedFactors(op: string, scaling: RotaryScaling, base: number, count: number, length: number): number[] {
  checkObject(op, scaling, 'scaling');
  checkChoice(op, 'scaling.kind', scaling.kind, ['linear', 'dynamic', 'llama3', 'yarn', 'longrope']);
  const { kind, factor } = scaling;
  checkNumber(op, 'scaling.factor', factor, 1);
  const ofPairs = (of: (pair: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i));
  if (kind === 'linear') return ofPairs(() => 1 / factor);
  const { originalContext } = scaling;
  checkNumber(op, 'scaling.originalContext', originalContext, 1);
  if (kind === 'dynamic') {
    const stretch = 1 + factor * Math.max(length / originalContext - 1, 0);
    return ofPairs((i) => stretch ** (-i / Math.max(count - 1, 1)));
  }
  if (kind === 'longrope') {
    const name = length > originalContext ? 'long' : 'short';
    const divisors = scaling[name];
    checkList(op, `scaling.${name}`, divisors);
    if (divisors.length !== count) {
      throw new ArgumentError(`${op}: scaling.${name}: got ${divisors.length} numbers, expected one for each of ${count} pairs`); // prettier-ignore
    }
    divisors.forEach((divisor, i) => checkNumber(op, `scaling.${name}[${i}]`, divisor, 0));
    return ofPairs((i) => 1 / divisors[i]!);
  }
  const { slow, fast } = kind === 'yarn' ? { slow: scaling.slow ?? 1, fast: scaling.fast ?? 32 } : scaling;
  checkNumber(op, 'scaling.slow', slow, 0);
  checkNumber(op, 'scaling.fast', fast, 0);
  if (fast <= slow) throw new ArgumentError(`${op}: scaling.fast: got ${fast}, expected more than slow, ${slow}`);
  const slowed = (kept: number): number => {
    const share = Math.min(Math.max(kept, 0), 1);
    return share + (1 - share) / factor;
  };
  const turns = originalContext / (2 * Math.PI);
  if (kind === 'llama3') return ofPairs((i) => slowed((turns * base ** (-i / count) - slow) / (fast - slow)));
  // The pairs, in fractions, that turn `fast` and `slow` times.
  const pairOf = (times: number): number => (count * Math.log(turns / times)) / Math.log(base);
  const [from, to] = [pairOf(fast), pairOf(slow)];
  const truncate = scaling.truncate ?? true;
  const first = Math.max(truncate ? Math.floor(from) : from, 0);
  const last = Math.min(truncate ? Math.ceil(to) : to, 2 * count - 1);
  return ofPairs((i) => slowed(1 - (i - first) / (last - first || 1)));
}

/** What that which is rotated is multiplied by. */
function attentionFactorOf(op: string, scaling: RotaryScaling | undefined): number {
  if (scaling?.kind !== 'yarn' && scaling?.kind !== 'longrope') return 1;
  const { kind, factor, originalContext } = scaling;
  const inferred =
    kind === 'yarn' ? 0.1 * Math.log(factor) + 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext));
  const { attentionFactor = inferred } = scaling;
  checkNumber(op, 'scaling.attentionFactor', attentionFactor, 0);
  return attentionFactor;
}

/**
 * Rotates pairs of features of x [..., t, d] by angles position · base^(−2i/d), so that products of queries and keys depend on relative positions alone.
 *
 * @throws ShapeError for an odd d; DTypeError; ArgumentError for another scaling, and for positions with one that depends on the length, but no offset.
 * @see Su et al., 2021, RoFormer.
 * @example
 * rotaryEmbedding(ones([2, 2])); // [[1, 1], [-0.3012, 1.3818]]
 */
export function rotaryEmbedding<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options?: RotaryOptions,
): Tensor<S, D>;
export function rotaryEmbedding(x: AnyTensor, options: RotaryOptions = {}): AnyTensor {
  checkOptions('rotaryEmbedding', options);
  const op = 'rotaryEmbedding';
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  const { base = 10_000, interleaved = false, offset = 0, scaling } = options;
  const { size: rotated, ...others } = options;
  if (rotated !== undefined && x.rank >= 2) {
    const all = x.shape.at(-1)!;
    checkCount(op, 'size', rotated, 0, all);
    return cat([rotaryEmbedding(x.narrow(-1, 0, rotated), others), x.narrow(-1, rotated, all - rotated)], -1);
  }
  if (x.rank < 2 || x.shape[x.rank - 1]! % 2 !== 0) {
    throw new ShapeError(`${op}: got shape ${show(x.shape)}, expected [..., t, d] with an even d`);
  }
  const [t, size] = x.shape.slice(-2) as [number, number];
  const rows = x.shape.slice(0, -1);
  const dtype = x.dtype === 'float64' ? 'float64' : 'float32';
  let { positions } = options;
  if (positions === undefined) positions = arange(offset, offset + t, { dtype: 'int64', device: x.device });
  else {
    checkIndex(op, positions, 'positions');
    if (options.offset === undefined && (scaling?.kind === 'dynamic' || scaling?.kind === 'longrope')) {
      throw new ArgumentError(
        `${op}: positions: got some with ${scaling.kind} scaling, expected an offset, which tells the length`,
      );
    }
    if (!sameShape(broadcastShapes(op, positions.shape, rows), rows)) {
      throw new ShapeError(
        `${op}: positions do not fit: got shape ${show(positions.shape)}, expected one that broadcasts to ${show(rows)}`,
      );
    }
  }
  const plain: AnyTensor = arange(0, size, 2, { dtype, device: x.device })
    .mul(-Math.log(base) / size)
    .exp();
  const speeds =
    scaling === undefined
      ? plain
      : plain.mul(tensor(speedFactors(op, scaling, base, size / 2, offset + t), { dtype, device: x.device }));
  const angles: AnyTensor = (positions as AnyTensor).cast(dtype).unsqueeze(-1).mul(speeds);
  const attentionFactor = attentionFactorOf(op, scaling);
  const scaled = (y: AnyTensor): AnyTensor => (attentionFactor === 1 ? y : y.mul(attentionFactor)).cast(x.dtype);
  const [cos, sin] = [scaled(angles.cos()), scaled(angles.sin())];
  const pairs = interleaved ? x.reshape([...rows, size / 2, 2]) : undefined;
  const [a, b] = (
    pairs === undefined
      ? [x.narrow(-1, 0, size / 2), x.narrow(-1, size / 2, size / 2)]
      : [pairs.select(-1, 0), pairs.select(-1, 1)]
  ) as [AnyTensor, AnyTensor];
  const turned = [a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))];
  return pairs === undefined ? cat(turned, -1) : stack(turned, -1).reshape(x.shape);
}
