/**
 * What every distribution has: its shapes, moments, samples and densities; and the checks of its parameters. The distributions themselves are in the other
 * files of this folder, the only callers.
 */
import { noGrad } from '../autograd/modes';
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { full } from '../ops/creation';
import { ownShape } from '../ops/creation-options';
import { checkDType, checkGivenOptions, floats } from '../ops/define';
import { common } from '../ops/pointwise-run';
import { rand } from '../ops/random';
import { describe } from '../tensor/describe';
import { isFloat, type DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor, type Operand } from '../tensor/tensor';

/** The spacing of numbers at 1, the smallest normal number and the largest one. */
const limits: Partial<Record<DType, readonly [epsilon: number, tiny: number, largest: number]>> = {
  float64: [2 ** -52, 2 ** -1022, Number.MAX_VALUE],
  float32: [2 ** -23, 2 ** -126, (2 - 2 ** -23) * 2 ** 127],
  float16: [2 ** -10, 2 ** -14, 65504],
  bfloat16: [2 ** -7, 2 ** -126, (2 - 2 ** -7) * 2 ** 127],
};
export const limitsOf = (x: AnyTensor): readonly [epsilon: number, tiny: number, largest: number] => limits[x.dtype]!;

/** What may be sampled in any shape, and asked for the density of any value. */
export abstract class Distribution {
  /** Whether {@link rsample} can be asked for. */
  readonly hasRsample: boolean = false;

  /**
   * @param batchShape of the distributions that are side by side here.
   * @param eventShape of one value of one of them.
   * @param like a parameter: it has the dtype and device of samples.
   */
  protected constructor(
    readonly batchShape: Shape,
    readonly eventShape: Shape,
    /** @internal */ readonly like: AnyTensor,
  ) {}

  /** The mean, [...batchShape, ...eventShape]. */
  get mean(): AnyTensor {
    return this.missing('mean');
  }

  /** The variance, [...batchShape, ...eventShape]. */
  get variance(): AnyTensor {
    return this.missing('variance');
  }

  /** The square root of the variance. */
  get stddev(): AnyTensor {
    return this.variance.sqrt();
  }

  /** Where the density is largest. */
  get mode(): AnyTensor {
    return this.missing('mode');
  }

  /** Random values, [...shape, ...batchShape, ...eventShape], without a gradient. */
  sample(shape: Shape = []): AnyTensor {
    return noGrad(() => this.draw(this.extended('sample', shape)));
  }

  /** Random values whose gradient goes to the parameters. */
  rsample(shape: Shape = []): AnyTensor {
    const extended = this.extended('rsample', shape);
    if (!this.hasRsample) {
      throw new ArgumentError(`${this.named('rsample')}: samples do not depend smoothly on the parameters: use sample`);
    }
    return this.draw(extended);
  }

  /**
   * The logarithm of the density or probability of a value that broadcasts to [...batchShape, ...eventShape]; the result has no event axes. Whether the value can
   * occur is not looked at where the formula does not tell.
   */
  logProb(value: Operand): AnyTensor {
    return this.logDensity(this.checked('logProb', value));
  }

  /** The entropy in nats, of batchShape. */
  entropy(): AnyTensor {
    return this.missing('entropy');
  }

  /** The probability of at most `value`. */
  cdf(value: Operand): AnyTensor {
    return this.probabilityBelow(this.checked('cdf', value));
  }

  /** The inverse of {@link cdf}: the value at a probability in [0, 1]. */
  icdf(probability: Operand): AnyTensor {
    return this.quantile(this.checked('icdf', probability));
  }

  /**
   * All values that can occur, each for the whole batch: [values, ...batchShape, ...eventShape], or with ones for the batch unless `expand`.
   *
   * @throws ArgumentError where there are infinitely many, or another number in each of the batch.
   */
  enumerateSupport(expand = true): AnyTensor {
    const values = this.outcomes();
    const aligned = values.reshape([values.shape[0]!, ...this.batchShape.map(() => 1), ...this.eventShape]);
    return expand ? aligned.expand([values.shape[0]!, ...this.batchShape, ...this.eventShape]) : aligned;
  }

  /**
   * The same distribution with a batch of another shape, which this one's broadcasts to.
   *
   * @throws ShapeError when it does not.
   */
  expand(batchShape: Shape): this {
    const op = this.named('expand');
    const from = this.batchShape;
    const to = ownShape(op, batchShape);
    if (!sameShape(broadcastShapes(op, from, to), to)) {
      throw new ShapeError(`${op}: got batch shape ${show(to)}, expected one that ${show(from)} broadcasts to`);
    }
    const isOver = (shape: Shape): boolean => sameShape(shape.slice(0, from.length), from);
    const expanded = (value: unknown): unknown => {
      if (isTensor(value) && isOver(value.shape)) return value.expand([...to, ...value.shape.slice(from.length)]);
      if (value instanceof Distribution && isOver(value.batchShape)) {
        return value.expand([...to, ...value.batchShape.slice(from.length)]);
      }
      return isRecord(value) ? mapped(value) : value;
    };
    const mapped = (fields: object): object =>
      Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, expanded(value)]));
    return Object.assign(Object.create(Object.getPrototypeOf(this) as object) as this, mapped(this), {
      batchShape: to,
    });
  }

  /** What {@link enumerateSupport} lists, [values, ...eventShape]. */
  protected outcomes(): AnyTensor {
    return this.missing('enumerateSupport');
  }

  /** Values of the whole `shape`, which ends in batchShape and eventShape. By inversion unless overridden, in at least 32 bits. */
  protected draw(shape: Shape): AnyTensor {
    return this.quantile(openUniform(shape, this.like)).cast(this.like.dtype);
  }
  protected abstract logDensity(value: AnyTensor): AnyTensor;
  protected probabilityBelow(_value: AnyTensor): AnyTensor {
    return this.missing('cdf');
  }
  protected quantile(_probability: AnyTensor): AnyTensor {
    return this.missing('icdf');
  }

  /** A value as a tensor of floats that broadcasts with this distribution's shapes. */
  protected checked(method: string, value: Operand, dtypes: readonly DType[] = floats): AnyTensor {
    const op = this.named(method);
    if (typeof value === 'number') return full([], value, { dtype: this.like.dtype, device: this.like.device });
    const given: unknown = value;
    if (!(given instanceof Tensor)) fail(op, 'value', given, 'a tensor or a number');
    const { eventShape } = this;
    const { shape } = value;
    if (!sameShape(shape.slice(Math.max(0, shape.length - eventShape.length)), eventShape)) {
      throw new ShapeError(`${op}: value: got shape ${show(shape)}, expected one that ends in ${show(eventShape)}`);
    }
    broadcastShapes(op, shape, [...this.batchShape, ...eventShape]);
    return dtypes.includes(value.dtype) ? value : (value.cast(this.like.dtype) as AnyTensor);
  }

  protected extended(method: string, shape: Shape): Shape {
    return [...ownShape(this.named(method), shape), ...this.batchShape, ...this.eventShape];
  }

  /** What of the shape of samples is neither batch nor event. */
  protected outer(shape: Shape): Shape {
    return shape.slice(0, shape.length - this.batchShape.length - this.eventShape.length);
  }

  protected missing(what: string): never {
    throw new ArgumentError(`${this.named(what)}: there is no closed form`);
  }

  protected named(method: string): string {
    return `${this.constructor.name}.${method}`;
  }
}

const isTensor = (value: unknown): value is AnyTensor => value instanceof Tensor;
const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Samples with a gradient where there is one. */
export const drawnFrom = (base: Distribution, shape: Shape): AnyTensor =>
  base.hasRsample ? base.rsample(shape) : base.sample(shape);

/** Throws unless `value` is a distribution. */
export function checkDistribution(owner: string, name: string, value: unknown): asserts value is Distribution {
  if (!(value instanceof Distribution)) fail(owner, name, value, 'a distribution');
}

/** Uniform random numbers between 0 and 1, neither of them, in at least 32 bits: half a step of the generator stands for 0. */
export function openUniform(shape: Shape, like: AnyTensor): AnyTensor {
  const isDouble = like.dtype === 'float64';
  const drawn: AnyTensor = rand(shape, { dtype: isDouble ? 'float64' : 'float32', device: like.device });
  return drawn.clamp(isDouble ? 2 ** -54 : 2 ** -25);
}

/** x summed over its last `count` axes. */
export function sumLast(x: AnyTensor, count: number): AnyTensor {
  return count === 0 ? x : (x.sum(Array.from({ length: count }, (_, i) => -1 - i)) as AnyTensor);
}

/** x where it is a probability, kept from 0 and 1, so that its logarithms are finite. */
export function clampProbability(x: AnyTensor): AnyTensor {
  const [epsilon] = limitsOf(x);
  return x.clamp(epsilon, 1 - epsilon);
}

// --------------------------------------------------------------------------------------------------------------- parameters

/** Which numbers a parameter may be. Those in tensors are not read. */
export type Range = readonly [holds: (x: number) => boolean, words: string];
export const finite: Range = [Number.isFinite, 'a finite number'];
export const positive: Range = [(x) => x > 0 && x < Infinity, 'a positive number'];
export const nonNegative: Range = [(x) => x >= 0 && x < Infinity, 'a number of at least 0'];
export const probability: Range = [(x) => x >= 0 && x <= 1, 'a number from 0 to 1'];
export const count: Range = [(x) => Number.isSafeInteger(x) && x >= 0, 'a whole number of at least 0'];
export const number: Range = [(x) => !Number.isNaN(x), 'a number'];

/**
 * Parameters as tensors of one floating dtype and one shape, float32 where all are numbers.
 *
 * @param given the values by name, each with the numbers that it may be.
 */
export function parameters<K extends string>(
  owner: string,
  given: Readonly<Record<K, readonly [value: unknown, range: Range]>>,
): Record<K, AnyTensor> {
  const entries = Object.entries(given) as [K, readonly [unknown, Range]][];
  for (const [name, [value, [holds, words]]] of entries) {
    if (typeof value === 'number' ? !holds(value) : !(value instanceof Tensor)) {
      fail(owner, name, value, `${words} or a tensor`);
    }
    if (value instanceof Tensor && !isFloat(value.dtype as DType)) {
      throw new DTypeError(`${owner}: ${name}: got dtype ${value.dtype}, expected ${floats.join(', ')}`);
    }
  }
  const operands = entries.map(([, [value]]) => value as Operand);
  const first = operands.find((operand) => typeof operand !== 'number');
  const { dtype, shape } = first === undefined ? { dtype: 'float32' as const, shape: [] } : common(owner, operands);
  const options = { dtype, ...(first !== undefined && { device: first.device }) };
  const tensors = operands.map((operand): AnyTensor => {
    const x: AnyTensor = typeof operand === 'number' ? full([], operand, options) : operand.cast(dtype);
    return x.expand(shape);
  });
  return Object.fromEntries(entries.map(([name], i) => [name, tensors[i]])) as Record<K, AnyTensor>;
}

/** Probabilities, or their logarithms up to a constant (of one outcome: the logarithm of its odds): one of the two. */
export type ProbsOrLogits =
  { readonly probs: Operand; readonly logits?: undefined } | { readonly logits: Operand; readonly probs?: undefined };

/** Which of the two was given. */
export function oneOf<K extends string>(owner: string, given: Partial<Record<K, unknown>>, names: readonly K[]): K {
  checkGivenOptions(owner, given);
  const there = names.filter((name) => given[name] !== undefined);
  if (there.length === 1) return there[0]!;
  const got = there.length === 0 ? 'none of them' : there.join(' and ');
  throw new ArgumentError(`${owner}: options: got ${got}, expected one of ${names.join(', ')}`);
}

/** Throws unless the value is a tensor of floats that ends in `rank` axes that are not empty. */
export function checkParameter(owner: string, name: string, value: unknown, rank: 1 | 2): asserts value is AnyTensor {
  if (!(value instanceof Tensor)) fail(owner, name, value, 'a tensor');
  checkDType(`${owner}: ${name}`, value.dtype as DType, floats);
  const { shape } = value as AnyTensor;
  if (shape.length >= rank && !shape.slice(shape.length - rank).includes(0)) return;
  const expected = rank === 1 ? '[..., n]' : '[..., n, n]';
  throw new ShapeError(`${owner}: ${name}: got shape ${show(shape)}, expected ${expected} with n > 0`, { shape });
}

export function fail(owner: string, name: string, value: unknown, expected: string): never {
  throw new ArgumentError(`${owner}: ${name}: got ${describe(value)}, expected ${expected}`, { op: owner });
}
