/**
 * Random tensors and ops that draw numbers. The state of the generator is in lib/runtime/random.ts: `manualSeed` makes all of these
 * repeat, on every device and at any number of threads.
 */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { nextRandom, type RandomStream } from '../runtime/random';
import { toFloat, type DType, type IndexDType, type ToFloat } from '../tensor/dtype';
import type { Broadcast, Shape, ShapeOf, Sized } from '../tensor/shape-types';
import { checkShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { ones } from './creation';
import { creation, ownShape, type CreationOptions } from './creation-options';
import {
  allDTypes,
  checkDType,
  checkOptions,
  checkTensor,
  defineOp,
  floats,
  installMethods,
  type NativeOp,
  run,
  runInto,
} from './define';
import { describe } from '../tensor/describe';
import { where } from './pointwise-compare';
import { common, nary, type Arithmetic, type Fits } from './pointwise-run';
import { searchSorted } from './searching';
import { wide } from './wide';

const uniformOp = defineOp('uniform', { dtypes: floats });
const normalOp = defineOp('normal', { dtypes: floats });
const randintOp = defineOp('randint', { dtypes: allDTypes });
const randpermOp = defineOp('randperm', { dtypes: ['int64', 'int32'] });

/** Takes what a floating tensor draws. */
const streamOf = (dtype: DType, shape: Shape): RandomStream => nextRandom(sizeOf(shape), dtype === 'float64' ? 2 : 1);

/** A new floating tensor from a distribution of two parameters. */
function drawn(
  name: string,
  op: NativeOp,
  shape: Shape,
  parameters: readonly [number, number],
  options?: CreationOptions,
): AnyTensor {
  const { dtype, device, requiresGrad } = creation(name, options);
  checkDType(name, dtype, floats);
  const own = ownShape(name, shape);
  const attributes = [...parameters, ...streamOf(dtype, own)];
  const x = run(op, [], own, dtype, attributes, attributes, dtype, own, device);
  return requiresGrad ? x.requiresGrad_() : x;
}

function like(op: string, x: AnyTensor, options: CreationOptions = {}): CreationOptions {
  checkTensor(op, x);
  return { dtype: x.dtype, device: x.device, ...options };
}

function checkFinite(op: string, argument: string, value: unknown, least = -Infinity): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least) return;
  const bound = least === -Infinity ? '' : ` of at least ${least}`;
  throw new ArgumentError(`${op}: ${argument}: got ${describe(value)}, expected a finite number${bound}`);
}

function checkProbability(op: string, value: unknown): asserts value is number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return;
  throw new ArgumentError(`${op}: probability: got ${describe(value)}, expected a number in [0, 1]`);
}

// ----------------------------------------------------------------------------------------------------------- distributions

/**
 * Uniform random numbers in [0, 1). Floating dtypes.
 *
 * @throws ShapeError when an entry of the shape is no size.
 * @example
 * rand([2, 3]).shape; // [2, 3]
 */
export function rand<const S extends Shape, D extends DType = 'float32'>(
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  checkOptions('rand', options);
  return drawn('rand', uniformOp, shape, [0, 1], options) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/**
 * Uniform random numbers in [low, high). Floating dtypes.
 *
 * @throws ArgumentError unless low ≤ high, both finite.
 * @example
 * uniform(-1, 1, [4]).shape; // [4]
 */
export function uniform<const S extends Shape, D extends DType = 'float32'>(
  low: number,
  high: number,
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  checkOptions('uniform', options);
  checkRange('uniform', low, high);
  return drawn('uniform', uniformOp, shape, [low, high], options) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

function checkRange(op: string, low: number, high: number): void {
  checkFinite(op, 'low', low);
  checkFinite(op, 'high', high, low);
}

/**
 * Normal random numbers of mean 0 and deviation 1. Floating dtypes.
 *
 * @throws ShapeError when an entry of the shape is no size.
 * @example
 * randn([2, 3], { requiresGrad: true }).shape; // [2, 3]
 */
export function randn<const S extends Shape, D extends DType = 'float32'>(
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  checkOptions('randn', options);
  return drawn('randn', normalOp, shape, [0, 1], options) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/**
 * Normal random numbers. Mean and deviation are numbers, with the shape of the result, or tensors that broadcast; gradients go to those.
 *
 * @throws ArgumentError when a number is not finite or the deviation is negative.
 * @example
 * normal(5, 2, [3]).shape; // [3]
 * normal(tensor([0, 10]), 0.1).shape; // [2]
 */
export function normal<const S extends Shape, D extends DType = 'float32'>(
  mean: number,
  deviation: number,
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>>;
export function normal<A extends Operand, B extends Operand>(
  mean: A,
  deviation: B,
): Tensor<Broadcast<ShapeOf<A>, ShapeOf<B>>, DType>;
export function normal(mean: Operand, deviation: Operand, shape?: Shape, options?: CreationOptions): AnyTensor {
  checkOptions('normal', options);
  if (typeof mean === 'number') checkFinite('normal', 'mean', mean);
  if (typeof deviation === 'number') checkFinite('normal', 'deviation', deviation, 0);
  if (typeof mean === 'number' && typeof deviation === 'number') {
    return drawn('normal', normalOp, shape as Shape, [mean, deviation], options);
  }
  const { shape: together, dtype, device } = common('normal', [mean, deviation]);
  const noise: AnyTensor = randn(together, { dtype: toFloat(dtype), device });
  return noise.mul(deviation).add(mean);
}

/**
 * Random numbers of the exponential distribution, `p(x) = rate · e^(-rate · x)`. Floating dtypes.
 *
 * @throws ArgumentError unless the rate is a positive number.
 * @example
 * exponential([2], { rate: 3 }).shape; // [2]
 */
export function exponential<const S extends Shape, D extends DType = 'float32'>(
  shape: S,
  options: CreationOptions<D> & { readonly rate?: number } = {},
): Tensor<Sized<S>, NoInfer<D>> {
  checkOptions('exponential', options);
  const { rate = 1, requiresGrad = false, ...rest } = options;
  checkFinite('exponential', 'rate', rate, Number.MIN_VALUE);
  const x = drawn('exponential', uniformOp, shape, [0, 1], rest)
    .neg()
    .log1p()
    .mul(-1 / rate);
  return (requiresGrad ? x.requiresGrad_() : x) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/**
 * Random whole numbers in [low, high). int64 unless given.
 *
 * @throws ArgumentError unless both are integers within ±2^53 and low < high.
 * @example
 * randint(0, 10, [5], { dtype: 'int32' }).shape; // [5]
 */
export function randint<const S extends Shape, D extends DType = 'int64'>(
  low: number,
  high: number,
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  checkOptions('randint', options);
  const { dtype, device, requiresGrad } = creation('randint', options, 'int64');
  if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high) || low >= high) {
    throw new ArgumentError(`randint: range: got ${shown(low)} and ${shown(high)}, expected integers with low < high`);
  }
  const own = ownShape('randint', shape);
  const attributes = [low, high, ...nextRandom(sizeOf(own), 2)];
  const x = run(randintOp, [], own, dtype, attributes, attributes, dtype, own, device);
  return (requiresGrad ? x.requiresGrad_() : x) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/**
 * The numbers 0, 1, …, count - 1 in random order. int64 unless given; int32 is possible.
 *
 * @throws ShapeError when the count is no size; DTypeError for other dtypes.
 * @example
 * randperm(4).sum(); // 6
 */
export function randperm<const N extends number, D extends IndexDType = 'int64'>(
  count: N,
  options?: CreationOptions<D>,
): Tensor<[N], NoInfer<D>> {
  checkOptions('randperm', options);
  const { dtype, device } = creation('randperm', options, 'int64');
  checkDType('randperm', dtype, randpermOp.dtypes);
  checkShape('randperm', [count]);
  const attributes = nextRandom(count, 2);
  return run(randpermOp, [], [count], dtype, attributes, attributes, dtype, [count], device) as unknown as Tensor<
    [N],
    D
  >;
}

/**
 * 1 with the given probability, else 0: probabilities in a tensor, or one number and a shape.
 *
 * @throws ArgumentError for a number outside [0, 1].
 * @example
 * bernoulli(tensor([0, 1])); // [0, 1]
 * bernoulli(0.5, [8]).shape; // [8]
 */
export function bernoulli<S extends Shape, D extends DType>(probability: Tensor<S, D>): Tensor<S, D>;
export function bernoulli<const S extends Shape, D extends DType = 'float32'>(
  probability: number,
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>>;
export function bernoulli(probability: Operand, shape?: Shape, options?: CreationOptions): AnyTensor {
  checkOptions('bernoulli', options);
  if (typeof probability === 'number') {
    checkProbability('bernoulli', probability);
    const { dtype } = creation('bernoulli', options);
    const chance = drawn('bernoulli', uniformOp, shape as Shape, [0, 1], { ...options, dtype: 'float32' });
    return chance.less(probability).cast(dtype);
  }
  checkTensor('bernoulli', probability, 'probability');
  checkDType('bernoulli', probability.dtype, floats);
  return randLike(probability).less(probability.detach()).cast(probability.dtype);
}

const poissonOp = defineOp('poisson', { dtypes: ['float64'], pointwise: true });

/**
 * Random whole numbers of the Poisson distribution with the given rates, in their dtype; NaN for a negative rate. No gradient.
 *
 * @throws DTypeError unless the rates are floats.
 * @example
 * poisson(tensor([0, 4])).shape; // [2]
 */
export function poisson<S extends Shape, D extends DType>(rate: Tensor<S, D>): Tensor<S, D>;
export function poisson(rate: AnyTensor): AnyTensor {
  checkTensor('poisson', rate, 'rate');
  checkDType('poisson', rate.dtype, floats);
  return distributed(poissonOp, [rate]);
}

const binomialOp = defineOp('binomial', { dtypes: ['float64'], pointwise: true });

/**
 * Random numbers of the binomial distribution: how many of `count` trials succeed that do so with a probability of `probability` each, in the
 * common dtype of the two, which broadcast; NaN outside of what they can be. No gradient.
 *
 * @throws ShapeError when the shapes do not broadcast; DTypeError unless one of them is a tensor of floats.
 * @example
 * binomial(10, tensor([0, 0.5])).shape; // [2]
 */
export function binomial<A extends Operand, B extends Operand>(
  count: A,
  probability: B & Fits<A, B, 'binomial'>,
): Arithmetic<A, B>;
export function binomial(count: Operand, probability: Operand): AnyTensor {
  checkDType('binomial', common('binomial', [count, probability]).dtype, floats);
  return distributed(binomialOp, [count, probability]);
}

const standardGammaSlopeOp = defineOp('standardGammaSlope', { dtypes: ['float64'], pointwise: true });
const standardGammaOp: NativeOp = defineOp('standardGamma', {
  dtypes: ['float64'],
  pointwise: true,
  order: 1,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const slope: AnyTensor = nary(standardGammaSlopeOp, [node.input(0), node.output()], false);
    return [g.mul(slope).sumTo(node.shape(0))];
  },
});

/**
 * Random numbers of the gamma distribution with the given concentrations and rate 1, in their dtype; NaN for a negative concentration. The gradient is that of the number
 * whose probability to be exceeded stays.
 *
 * @throws DTypeError unless the concentrations are floats.
 * @see Marsaglia and Tsang, 2000, A simple method for generating gamma variables; Figurnov, Mohamed and Mnih, 2018, Implicit reparameterization gradients.
 * @example
 * standardGamma(tensor([0.5, 4])).shape; // [2]
 */
export function standardGamma<S extends Shape, D extends DType>(concentration: Tensor<S, D>): Tensor<S, D>;
export function standardGamma(concentration: AnyTensor): AnyTensor {
  checkTensor('standardGamma', concentration, 'concentration');
  checkDType('standardGamma', concentration.dtype, floats);
  return distributed(standardGammaOp, [concentration.cast('float64')]).cast(concentration.dtype) as AnyTensor;
}

/** Numbers of a distribution with these parameters, from a uniform number each. In float64: 16 or 32 bits of chance would show in the tails. */
function distributed(op: NativeOp, parameters: readonly Operand[]): AnyTensor {
  const { dtype, shape } = common(op.name, parameters);
  const device = parameters.find((parameter) => typeof parameter !== 'number')!.device;
  const uniform = rand(shape, { dtype: 'float64', device });
  return nary<AnyTensor, unknown>(op, [...parameters, uniform], false).cast(dtype) as AnyTensor;
}

export interface MultinomialOptions {
  /** Whether an index may be drawn again; not unless given. */
  readonly replacement?: boolean;
}

/**
 * `count` indices per row, drawn with probabilities in proportion to the row's weights, which are ≥ 0 and need not sum to 1. Without replacement by
 * the Gumbel-max trick. int64.
 *
 * @throws ShapeError unless the weights have one or two axes and, without replacement, at least `count` columns.
 * @example
 * multinomial(tensor([0, 1, 0]), 1); // [1]
 */
export function multinomial(
  weights: Tensor<Shape, DType>,
  count: number,
  options: MultinomialOptions = {},
): Tensor<Shape, 'int64'> {
  checkOptions('multinomial', options);
  checkTensor('multinomial', weights, 'weights');
  checkDType('multinomial', weights.dtype, floats);
  const { replacement = false } = options;
  const { shape } = weights;
  if (shape.length !== 1 && shape.length !== 2) {
    throw new ShapeError(`multinomial: weights: got shape ${show(shape)}, expected one or two axes`);
  }
  checkShape('multinomial', [count]);
  const columns = shape[shape.length - 1]!;
  if (columns === 0 || (!replacement && count > columns)) {
    throw new ShapeError(
      `multinomial: too few columns: got ${columns}, expected at least ${replacement ? 1 : count} for ${count} draws`,
      { shape, count },
    );
  }
  const p = weights.detach();
  if (!replacement) {
    // log w plus Gumbel noise: the order of -log(E) - log(-log u) draws one after another without replacement.
    const gumbel = randLike(p).neg().log1p().neg().log().neg();
    return p.log().add(gumbel).topk(count)[1];
  }
  // The first column whose running sum exceeds a uniform part of the total, which rounding must not make all of it.
  const sums = wide(p).cumsum(-1);
  const total = sums.narrow(-1, columns - 1, 1);
  const drawn = rand([...shape.slice(0, -1), count], { dtype: sums.dtype as 'float32', device: p.device });
  const parts = drawn.mul(total).minimum(total.nextAfter(0));
  return searchSorted(sums, parts, { right: true }).clamp(0, columns - 1) as unknown as Tensor<Shape, 'int64'>;
}

/**
 * Uniform random numbers in [0, 1) in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @example
 * randLike(zeros([2, 3])).shape; // [2, 3]
 */
export function randLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  checkOptions('randLike', options);
  checkTensor('randLike', x);
  return drawn('randLike', uniformOp, x.shape, [0, 1], like('randLike', x, options)) as unknown as Tensor<S, E>;
}

/**
 * Normal random numbers in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @example
 * randnLike(zeros([2, 3])).shape; // [2, 3]
 */
export function randnLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  checkOptions('randnLike', options);
  checkTensor('randnLike', x);
  return drawn('randnLike', normalOp, x.shape, [0, 1], like('randnLike', x, options)) as unknown as Tensor<S, E>;
}

/**
 * Random whole numbers in [low, high) in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @example
 * randintLike(zeros([4]), 0, 3).shape; // [4]
 */
export function randintLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  low: number,
  high: number,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  checkOptions('randintLike', options);
  checkTensor('randintLike', x);
  return randint(low, high, x.shape, like('randintLike', x, options)) as unknown as Tensor<S, E>;
}

// ----------------------------------------------------------------------------------------------------------------- in place

/**
 * Fills x with uniform random numbers in [low, high), in place. Not recorded. Floating dtypes.
 *
 * @throws ArgumentError unless low ≤ high, both finite.
 * @example
 * zeros([2]).uniform_(5, 6).floor(); // [5, 5]
 */
function uniform_<T extends AnyTensor>(x: T, low = 0, high = 1): T {
  checkRange('uniform_', low, high);
  return redrawn('uniform_', uniformOp, x, [low, high]);
}

/**
 * Fills x with normal random numbers, in place. Not recorded. Floating dtypes.
 *
 * @throws ArgumentError when a parameter is not finite or the deviation is negative.
 * @example
 * zeros([2]).normal_(5, 0); // [5, 5]
 */
function normal_<T extends AnyTensor>(x: T, mean = 0, deviation = 1): T {
  checkFinite('normal_', 'mean', mean);
  checkFinite('normal_', 'deviation', deviation, 0);
  return redrawn('normal_', normalOp, x, [mean, deviation]);
}

function redrawn<T extends AnyTensor>(name: string, op: NativeOp, x: T, parameters: readonly [number, number]): T {
  checkTensor(name, x);
  checkDType(name, x.dtype, floats);
  runInto(op, [], [x], [...parameters, ...streamOf(x.dtype, x.shape)]);
  return x;
}

// ------------------------------------------------------------------------------------------------------------------ dropout

const dropoutOp: NativeOp<readonly number[]> = defineOp<readonly number[]>('dropout', {
  dtypes: floats,
  pointwise: true,
  // The same elements are dropped again: the attributes hold the place in the random stream.
  gradient: (g, node) => [run(dropoutOp, [g], g.shape, g.dtype, node.context)],
});

export interface DropoutOptions {
  /** Without training x stays as it is; true unless given. */
  readonly training?: boolean;
}

/**
 * Each element becomes 0 with the given probability p, else `x / (1 - p)`. Integers and bool become float32.
 * [Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting]
 *
 * @throws ArgumentError for a probability outside [0, 1].
 * @example
 * dropout(tensor([1, 2]), 0.5, { training: false }); // [1, 2]
 */
export function dropout<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  probability?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function dropout(x: AnyTensor, probability = 0.5, options: DropoutOptions = {}): AnyTensor {
  checkOptions('dropout', options);
  const input = droppable('dropout', x, probability);
  if (options.training === false || probability === 0) return input;
  return run(dropoutOp, [input], input.shape, input.dtype, [probability, ...nextRandom(sizeOf(input.shape))]);
}

/**
 * x where it is not negative, else x times a slope: one that is drawn from [lower, upper) for each element in training, their mean otherwise.
 * Integers and bool become float32. [Xu et al. 2015, Empirical Evaluation of Rectified Activations in Convolutional Network]
 *
 * @throws ArgumentError unless lower is at most upper.
 * @example
 * rrelu(tensor([-2, 3]), 0.25, 0.75, { training: false }); // [-1, 3]
 */
export function rrelu<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  lower?: number,
  upper?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function rrelu(x: AnyTensor, lower = 1 / 8, upper = 1 / 3, options: DropoutOptions = {}): AnyTensor {
  checkTensor('rrelu', x);
  checkOptions('rrelu', options);
  if (!(typeof lower === 'number' && typeof upper === 'number' && lower <= upper)) {
    throw new ArgumentError(
      `rrelu: bounds: got ${shown(lower)} and ${shown(upper)}, expected numbers of which the first is at most the second`,
    );
  }
  const input: AnyTensor = x.cast(toFloat(x.dtype));
  if (options.training === false) return input.leakyRelu((lower + upper) / 2);
  // Drawn as float32, so that a seed gives the same slopes in every dtype.
  const slopes = randLike(input.detach(), { dtype: 'float32' })
    .mul(upper - lower)
    .add(lower)
    .cast(input.dtype) as AnyTensor;
  return where(input.less(0), input.mul(slopes), input) as AnyTensor;
}

function droppable(name: string, x: AnyTensor, probability: number): AnyTensor {
  checkTensor(name, x);
  checkProbability(name, probability);
  return x.cast(toFloat(x.dtype));
}

/**
 * Whole channels become 0 with the given probability p, else `x / (1 - p)`: x is [channels, length] or [batch, channels, length].
 * [Tompson et al. 2014, arXiv:1411.4280]
 *
 * @throws ArgumentError for a probability outside [0, 1]; ShapeError for another rank.
 * @example
 * dropout1d(ones([2, 3, 4]), 1).sum(); // 0
 */
export function dropout1d<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  probability?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function dropout1d(x: AnyTensor, probability = 0.5, options: DropoutOptions = {}): AnyTensor {
  checkOptions('dropout1d', options);
  return channelDropout('dropout1d', x, probability, options, 1);
}

/**
 * Whole channels become 0 with the given probability p, else `x / (1 - p)`: x is [channels, height, width] or [batch, channels, height,
 * width]. [Tompson et al. 2014, arXiv:1411.4280]
 *
 * @throws ArgumentError for a probability outside [0, 1]; ShapeError for another rank.
 * @example
 * dropout2d(ones([2, 3, 4, 4]), 0).sum(); // 96
 */
export function dropout2d<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  probability?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function dropout2d(x: AnyTensor, probability = 0.5, options: DropoutOptions = {}): AnyTensor {
  checkOptions('dropout2d', options);
  return channelDropout('dropout2d', x, probability, options, 2);
}

/**
 * Whole channels become 0 with the given probability p, else `x / (1 - p)`: x is [channels, depth, height, width] or [batch, channels, depth,
 * height, width]. [Tompson et al. 2014, arXiv:1411.4280]
 *
 * @throws ArgumentError for a probability outside [0, 1]; ShapeError for another rank.
 * @example
 * dropout3d(ones([2, 3, 4, 4, 4]), 0).sum(); // 384
 */
export function dropout3d<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  probability?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function dropout3d(x: AnyTensor, probability = 0.5, options: DropoutOptions = {}): AnyTensor {
  checkOptions('dropout3d', options);
  return channelDropout('dropout3d', x, probability, options, 3);
}

function channelDropout(
  name: string,
  x: AnyTensor,
  probability: number,
  options: DropoutOptions,
  spatial: number,
): AnyTensor {
  const input = droppable(name, x, probability);
  const { rank, shape } = input;
  if (rank !== spatial + 1 && rank !== spatial + 2) {
    throw new ShapeError(`${name}: got shape ${show(shape)}, expected ${spatial + 1} or ${spatial + 2} axes`, {
      shape,
    });
  }
  if (options.training === false || probability === 0) return input;
  const channels = shape.map((size, axis) => (axis < rank - spatial ? size : 1));
  const one = ones(channels, { dtype: input.dtype, device: input.device });
  const kept = run(dropoutOp, [one], channels, input.dtype, [probability, ...nextRandom(sizeOf(channels))]);
  return input.mul(kept);
}

/** What selu tends to for very negative inputs, `-λα`. */
const seluFloor = -1.7580993408473766;

/**
 * Dropout that keeps the mean and the variance of selu's outputs: dropped elements become selu's lowest value, and the result is scaled and
 * shifted. Integers and bool become float32. [Klambauer et al. 2017, arXiv:1706.02515]
 *
 * @throws ArgumentError for a probability outside [0, 1].
 * @example
 * alphaDropout(tensor([1, 2]), 0.5, { training: false }); // [1, 2]
 */
export function alphaDropout<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  probability?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function alphaDropout(x: AnyTensor, probability = 0.5, options: DropoutOptions = {}): AnyTensor {
  checkOptions('alphaDropout', options);
  checkTensor('alphaDropout', x);
  return dropToFloor('alphaDropout', x, probability, options, x.shape);
}

/**
 * {@link alphaDropout} of whole channels: x is [n, channels, …]. [Klambauer et al. 2017, arXiv:1706.02515]
 *
 * @throws ArgumentError for a probability outside [0, 1]; ShapeError for fewer than two axes.
 * @example
 * featureAlphaDropout(ones([2, 3, 4]), 0).sum(); // 24
 */
export function featureAlphaDropout<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  probability?: number,
  options?: DropoutOptions,
): Tensor<S, ToFloat<D>>;
export function featureAlphaDropout(x: AnyTensor, probability = 0.5, options: DropoutOptions = {}): AnyTensor {
  checkOptions('featureAlphaDropout', options);
  checkTensor('featureAlphaDropout', x);
  if (x.rank < 2) {
    throw new ShapeError(`featureAlphaDropout: got shape ${show(x.shape)}, expected [n, channels, …]`, {
      shape: x.shape,
    });
  }
  const channels = x.shape.map((size, axis) => (axis < 2 ? size : 1));
  return dropToFloor('featureAlphaDropout', x, probability, options, channels);
}

/** Dropout to selu's lowest value, decided once for each element of `shape`, which broadcasts to x. */
function dropToFloor(
  name: string,
  x: AnyTensor,
  probability: number,
  options: DropoutOptions,
  shape: Shape,
): AnyTensor {
  const input = droppable(name, x, probability);
  if (options.training === false || probability === 0) return input;
  if (probability === 1) return input.mul(0);
  const scale = 1 / Math.sqrt((1 - probability) * (1 + probability * seluFloor ** 2));
  const kept = bernoulli(1 - probability, shape, { dtype: 'bool', device: input.device });
  return input
    .where(kept, seluFloor)
    .mul(scale)
    .add(-scale * seluFloor * probability);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    bernoulli(): Tensor<S, D>;
    multinomial(count: number, options?: MultinomialOptions): Tensor<Shape, 'int64'>;
    dropout(probability?: number, options?: DropoutOptions): Tensor<S, ToFloat<D>>;
    uniform_(low?: number, high?: number): this;
    normal_(mean?: number, deviation?: number): this;
  }
}
installMethods({ bernoulli, multinomial, dropout, uniform_, normal_ });
