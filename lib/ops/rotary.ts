/** Rotary position embedding. */
import { ArgumentError, ShapeError } from '../errors';
import { checkChoice, checkNumber } from '../tensor/checks';
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
      /** Those that turn fewer than `slow` times in the original context; those that turn more than `fast` times stay; between, in proportion. As Llama 3.1. */
      readonly kind: 'llama3';
      /** By which the slow ones' speeds are divided. */
      readonly factor: number;
      readonly slow: number;
      readonly fast: number;
      /** Positions in the first training. */
      readonly originalContext: number;
    };

export interface RotaryOptions {
  /** The slowest angle is position / base; 10,000 unless given. */
  readonly base?: number;
  /** Slows pairs down; none unless given. */
  readonly scaling?: RotaryScaling | undefined;
  /** Whether pairs are neighbours (2i, 2i + 1), as in RoFormer and GPT-J, or halves (i, i + d/2), as in GPT-NeoX and Llama; halves unless given. */
  readonly interleaved?: boolean;
  /** The position of the first row, where earlier ones are cached; 0 unless given. */
  readonly offset?: number;
  /** The position of each row, int32 or int64, that broadcasts to x.shape[:-1]; offset, offset + 1, … unless given. */
  readonly positions?: AnyTensor | undefined;
}

/** What the speed of each of `count` pairs is multiplied by. */
function speedFactors(op: string, scaling: RotaryScaling, base: number, count: number): number[] {
  checkObject(op, scaling, 'scaling');
  checkChoice(op, 'scaling.kind', scaling.kind, ['linear', 'llama3']);
  checkNumber(op, 'scaling.factor', scaling.factor, 1);
  if (scaling.kind === 'linear') return new Array<number>(count).fill(1 / scaling.factor);
  const { factor, slow, fast, originalContext } = scaling;
  for (const name of ['slow', 'fast', 'originalContext'] as const) checkNumber(op, `scaling.${name}`, scaling[name], 0);
  if (fast <= slow) throw new ArgumentError(`${op}: scaling.fast: got ${fast}, expected more than slow, ${slow}`);
  return Array.from({ length: count }, (_, i) => {
    const turns = (originalContext * base ** (-i / count)) / (2 * Math.PI);
    const kept = Math.min(Math.max((turns - slow) / (fast - slow), 0), 1);
    return kept + (1 - kept) / factor;
  });
}

/**
 * Rotates pairs of features of x [..., t, d] by angles position · base^(−2i/d), so that products of queries and keys depend on relative positions alone.
 *
 * @throws ShapeError for an odd d; DTypeError; ArgumentError for another scaling.
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
      : plain.mul(tensor(speedFactors(op, scaling, base, size / 2), { dtype, device: x.device }));
  const angles: AnyTensor = (positions as AnyTensor).cast(dtype).unsqueeze(-1).mul(speeds);
  const [cos, sin] = [angles.cos().cast(x.dtype), angles.sin().cast(x.dtype)];
  const pairs = interleaved ? x.reshape([...rows, size / 2, 2]) : undefined;
  const [a, b] = (
    pairs === undefined
      ? [x.narrow(-1, 0, size / 2), x.narrow(-1, size / 2, size / 2)]
      : [pairs.select(-1, 0), pairs.select(-1, 1)]
  ) as [AnyTensor, AnyTensor];
  const turned = [a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))];
  return pairs === undefined ? cat(turned, -1) : stack(turned, -1).reshape(x.shape);
}
