/** Activations: the nonlinear functions between the layers of a network, and the fused kernels of their gradients. */
import { ArgumentError, ShapeError } from '../errors';
import { describe, shown } from '../tensor/describe';
import type { OpName } from '../native/opcodes';
import type { DType, PromoteNumber, ToFloat } from '../tensor/dtype';
import { isFloat, toFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, normalizeAxis, show } from '../tensor/shapes';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import {
  backward,
  clampBackwardOp,
  eluBackwardOp,
  geluBackwardOp,
  geluTanhBackwardOp,
  gluBackwardOp,
  hardsigmoidBackwardOp,
  hardswishBackwardOp,
  leakyReluBackwardOp,
  logSigmoidBackwardOp,
  mishBackwardOp,
  preluBackwardOp,
  preluWeightBackwardOp,
  reluBackwardOp,
  shrinkBackwardOp,
  sigmoidBackwardOp,
  siluBackwardOp,
  softplusBackwardOp,
  softsignBackwardOp,
  tanhBackwardOp,
  tanhshrinkBackwardOp,
  type Attributed,
} from './activation-slopes';
import { lowerPrecision, operand } from './autocast';
import {
  checkOptions,
  checkTensor,
  defineOp,
  floats,
  installMethods,
  nativeOps,
  numbers,
  run,
  withGradient,
  type NativeOp,
} from './define';
import { binary, checkNumber, floating, floatingBinary, unary, type Arithmetic } from './pointwise-run';
import { greaterEqual, lessEqual, where } from './pointwise-compare';
import './pointwise-binary';
import { wide } from './wide';

/** Defines an activation whose gradient is the kernel `of` applied to g and its input or output. */
function activation(
  name: OpName,
  of: Attributed,
  saved: 'input' | 'output',
  { dtypes = floats, autocast }: { readonly dtypes?: typeof floats; readonly autocast?: 'float32' } = {},
): Attributed {
  return defineOp<readonly number[]>(name, {
    dtypes,
    ...(autocast && { autocast }),
    pointwise: true,
    saves: saved === 'input' ? { inputs: true } : { outputs: true },
    gradient: (g, node) => [backward(of, g, saved === 'input' ? node.input(0) : node.output(), node.context)],
  });
}

// ----------------------------------------------------------------------------------------------------------------- sigmoids

const sigmoidOp = activation('sigmoid', sigmoidBackwardOp, 'output');

/**
 * The logistic function `1 / (1 + e^-x)`. Integers and bool become float32.
 *
 * @example
 * sigmoid(tensor([0, 2])); // [0.5, 0.8808]
 */
export function sigmoid<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(sigmoidOp, x);
}

const tanhOp = activation('tanh', tanhBackwardOp, 'output');

/**
 * The hyperbolic tangent `(e^x - e^-x) / (e^x + e^-x)`. Integers and bool become float32.
 *
 * @example
 * tanh(tensor([0, 1])); // [0, 0.7616]
 */
export function tanh<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(tanhOp, x);
}

const logSigmoidOp = activation('logSigmoid', logSigmoidBackwardOp, 'input');

/**
 * `ln(sigmoid(x)) = -ln(1 + e^-x)`, without overflow. Integers and bool become float32.
 *
 * @example
 * logSigmoid(tensor([0, -100])); // [-0.6931, -100]
 */
export function logSigmoid<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(logSigmoidOp, x);
}

const softplusOp = activation('softplus', softplusBackwardOp, 'input', { autocast: 'float32' });

export interface SoftplusOptions {
  /** How sharp the bend is; 1 unless given. */
  readonly beta?: number;
  /** From `beta · x` above this on, the function is x itself; 20 unless given. */
  readonly threshold?: number;
}

/**
 * A smooth relu, `ln(1 + e^(βx)) / β`, and x itself where `βx` is above the threshold. Integers and bool become float32.
 *
 * @example
 * softplus(tensor([0, 100])); // [0.6931, 100]
 */
export function softplus<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options: SoftplusOptions = {},
): Tensor<S, ToFloat<D>> {
  checkOptions('softplus', options);
  const { beta = 1, threshold = 20 } = options;
  checkNumber('softplus', 'beta', beta);
  checkNumber('softplus', 'threshold', threshold);
  return floating(softplusOp, x, [beta, threshold]);
}

const softsignOp = activation('softsign', softsignBackwardOp, 'input');

/**
 * `x / (1 + |x|)`. Integers and bool become float32.
 *
 * @example
 * softsign(tensor([0, 1, -3])); // [0, 0.5, -0.75]
 */
export function softsign<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(softsignOp, x);
}

const hardsigmoidOp = activation('hardsigmoid', hardsigmoidBackwardOp, 'input');

/**
 * The piecewise linear sigmoid `clamp(x + 3, 0, 6) / 6`. Integers and bool become float32.
 *
 * @example
 * hardsigmoid(tensor([-4, 0, 1.5])); // [0, 0.5, 0.75]
 */
export function hardsigmoid<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(hardsigmoidOp, x);
}

// -------------------------------------------------------------------------------------------------------------------- relus

const reluOp = activation('relu', reluBackwardOp, 'output', { dtypes: numbers });

/**
 * `max(x, 0)`; NaN stays NaN. All dtypes but bool.
 *
 * @throws DTypeError for bool.
 * @example
 * relu(tensor([-1, 0, 2])); // [0, 0, 2]
 */
export function relu<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  return unary(reluOp, x);
}

/**
 * `min(max(x, 0), 6)`. All dtypes but bool.
 *
 * @example
 * relu6(tensor([-1, 3, 8])); // [0, 3, 6]
 */
export function relu6<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D>;
export function relu6(x: AnyTensor): AnyTensor {
  return hardtanh(x, 0, 6);
}

const leakyReluOp = activation('leakyRelu', leakyReluBackwardOp, 'input');

/**
 * x where it is positive, else `slope · x`. Integers and bool become float32.
 *
 * @example
 * leakyRelu(tensor([-2, 3]), 0.1); // [-0.2, 3]
 */
export function leakyRelu<S extends Shape, D extends DType>(x: Tensor<S, D>, slope = 0.01): Tensor<S, ToFloat<D>> {
  checkNumber('leakyRelu', 'slope', slope);
  return floating(leakyReluOp, x, [slope]);
}

const preluOp = defineOp('prelu', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const [x, weight] = [node.input(0), node.input(1)];
    return [
      node.needs(0) ? run(preluBackwardOp, [g, x, weight], g.shape, g.dtype) : undefined,
      node.needs(1) ? run(preluWeightBackwardOp, [g, x], g.shape, g.dtype).sumTo(weight.shape) : undefined,
    ];
  },
});

/**
 * x where it is positive, else `weight · x`, with a learned weight: one value, or one per channel (axis 1 of x).
 *
 * @throws ShapeError when the weight fits neither.
 * @example
 * prelu(tensor([[-2, -3]]), tensor([0.1, 0.5])); // [[-0.2, -1.5]]
 */
export function prelu<S extends Shape, D extends DType>(x: Tensor<S, D>, weight: AnyTensor): Tensor<S, ToFloat<D>>;
export function prelu(x: AnyTensor, weight: AnyTensor): AnyTensor {
  checkTensor('prelu', x);
  checkTensor('prelu', weight, 'weight');
  const channels = x.rank > 1 ? x.shape[1]! : 1;
  if (weight.size !== 1 && !(weight.rank === 1 && weight.size === channels)) {
    throw new ShapeError(`prelu: weight does not fit: got ${show(weight.shape)}, expected [1] or [${channels}]`, {
      x: x.shape,
      weight: weight.shape,
    });
  }
  const input = operand(lowerPrecision, x);
  const slope = operand(lowerPrecision, weight).reshape(x.shape.map((_, axis) => (axis === 1 ? weight.size : 1)));
  return floatingBinary(preluOp, input, slope);
}

const eluOp = activation('elu', eluBackwardOp, 'input');

/**
 * x where it is positive, else `α (e^x - 1)`. Integers and bool become float32. [Clevert et al. 2015, arXiv:1511.07289]
 *
 * @example
 * elu(tensor([-1, 2])); // [-0.6321, 2]
 */
export function elu<S extends Shape, D extends DType>(x: Tensor<S, D>, alpha = 1): Tensor<S, ToFloat<D>> {
  checkNumber('elu', 'alpha', alpha);
  return floating(eluOp, x, [alpha, 1, 1]);
}

/** The fixed point of the moments of a unit normal variable. */
const seluConstants = [1.6732632423543772, 1.0507009873554805, 1];

/**
 * The self-normalising elu, `λ · elu(x, α)` with α ≈ 1.6733 and λ ≈ 1.0507. Integers and bool become float32.
 * [Klambauer et al. 2017, arXiv:1706.02515]
 *
 * @example
 * selu(tensor([-1, 2])); // [-1.1113, 2.1014]
 */
export function selu<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(eluOp, x, seluConstants);
}

/**
 * x where it is positive, else `α (e^(x/α) - 1)`, whose slope is continuous for every α. Integers and bool become float32.
 * [Barron 2017, arXiv:1704.07483]
 *
 * @throws ArgumentError for α = 0.
 * @example
 * celu(tensor([-1, 2]), 2); // [-0.7869, 2]
 */
export function celu<S extends Shape, D extends DType>(x: Tensor<S, D>, alpha = 1): Tensor<S, ToFloat<D>> {
  checkTensor('celu', x);
  checkNumber('celu', 'alpha', alpha);
  if (alpha === 0) throw new ArgumentError('celu: alpha: got 0, expected another number');
  return floating(eluOp, x, [alpha, 1, 1 / alpha]);
}

const geluOp = activation('gelu', geluBackwardOp, 'input');
const geluTanhOp = activation('geluTanh', geluTanhBackwardOp, 'input');

export interface GeluOptions {
  /** `'tanh'` replaces Φ by `(1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`; `'none'` unless given. */
  readonly approximate?: 'none' | 'tanh';
}

/**
 * `x Φ(x)`, where Φ is the distribution function of the normal distribution. Integers and bool become float32.
 * [Hendrycks and Gimpel 2016, arXiv:1606.08415]
 *
 * @example
 * gelu(tensor([-1, 0, 1])); // [-0.1587, 0, 0.8413]
 */
export function gelu<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options: GeluOptions = {},
): Tensor<S, ToFloat<D>> {
  checkOptions('gelu', options);
  const { approximate = 'none' } = options;
  if (approximate !== 'none' && approximate !== 'tanh') {
    throw new ArgumentError(`gelu: approximate: got ${shown(approximate)}, expected none or tanh`);
  }
  return floating(approximate === 'tanh' ? geluTanhOp : geluOp, x);
}

const siluOp = activation('silu', siluBackwardOp, 'input');

/**
 * `x · sigmoid(x)`, also called swish. Integers and bool become float32.
 *
 * @example
 * silu(tensor([-1, 0, 1])); // [-0.2689, 0, 0.7311]
 */
export function silu<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(siluOp, x);
}

const mishOp = activation('mish', mishBackwardOp, 'input');

/**
 * `x · tanh(softplus(x))`. Integers and bool become float32. [Misra 2019, arXiv:1908.08681]
 *
 * @example
 * mish(tensor([-1, 0, 1])); // [-0.3034, 0, 0.8651]
 */
export function mish<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(mishOp, x);
}

const hardswishOp = activation('hardswish', hardswishBackwardOp, 'input');

/**
 * `x · hardsigmoid(x)`. Integers and bool become float32. [Howard et al. 2019, arXiv:1905.02244]
 *
 * @example
 * hardswish(tensor([-4, 0, 1.5])); // [0, 0, 1.125]
 */
export function hardswish<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(hardswishOp, x);
}

// ---------------------------------------------------------------------------------------------------- shrinking and clipping

const clampOp = activation('clamp', clampBackwardOp, 'input', { dtypes: numbers });

/** The larger or smaller of x and a bound, which takes the gradient only where it takes the place of x. */
function bound(name: OpName, within: (x: Operand, bound: Operand) => AnyTensor): NativeOp {
  return withGradient(
    nativeOps.get(name)!,
    (g, node) => {
      const kept = within(node.operand(0)!, node.operand(1)!);
      return [
        node.needs(0) ? where(kept, g, 0).sumTo(node.shape(0)) : undefined,
        node.needs(1) ? where(kept, 0, g).sumTo(node.shape(1)) : undefined,
      ];
    },
    { inputs: true },
  );
}
const atLeastOp = bound('maximum', greaterEqual);
const atMostOp = bound('minimum', lessEqual);

/** What a bound makes of X. */
type Bounded<X, A> = A extends Operand ? Arithmetic<X, A> : X;

/**
 * `min(max(x, min), max)`, in the common dtype; NaN stays NaN. The bounds are numbers or tensors, which broadcast with x; one may be left
 * out. The gradient passes where x lies within the bounds, ends included, and else to a bound that is a tensor. All dtypes but bool; a fractional bound makes integers float32.
 *
 * @throws ArgumentError when both bounds are missing; ShapeError when the shapes do not broadcast.
 * @example
 * clamp(tensor([-2, 0.5, 3]), 0, 1); // [0, 0.5, 1]
 */
export function clamp<
  X extends AnyTensor,
  A extends Operand | undefined = undefined,
  B extends Operand | undefined = undefined,
>(x: X, min?: A, max?: B): Bounded<Bounded<X, A>, B>;
export function clamp(x: AnyTensor, min?: Operand, max?: Operand): AnyTensor {
  checkTensor('clamp', x);
  if (min === undefined && max === undefined) {
    throw new ArgumentError('clamp: got neither min nor max, expected at least one');
  }
  if (typeof min === 'object') {
    const raised = bounded(atLeastOp, x, min);
    return max === undefined ? raised : clamp(raised, undefined, max);
  }
  if (typeof max === 'object') return bounded(atMostOp, min === undefined ? x : clamp(x, min), max);
  return clampTo('clamp', clampOp, x, min ?? -Infinity, max ?? Infinity);
}

function bounded(op: NativeOp, x: AnyTensor, limit: AnyTensor): AnyTensor {
  checkTensor('clamp', limit, 'bound');
  broadcastShapes('clamp', x.shape, limit.shape);
  return binary(op, x, limit);
}

function clampTo(name: string, op: Attributed, x: AnyTensor, min: number, max: number): AnyTensor {
  checkTensor(name, x);
  if (typeof min !== 'number' || typeof max !== 'number') {
    throw new ArgumentError(`${name}: bounds: got ${describe(min)} and ${describe(max)}, expected numbers`);
  }
  const whole = (bound: number): boolean => Number.isInteger(bound) || Math.abs(bound) === Infinity;
  return unary(op, whole(min) && whole(max) ? x : x.cast(toFloat(x.dtype)), [min, max]);
}

/** clamp with no slope at the bounds themselves, where clamp has one. */
const hardtanhOp: Attributed = withGradient<readonly number[]>(
  clampOp,
  (g, node) => {
    const [min, max] = node.context as [number, number];
    return [backward(clampBackwardOp, g, node.input(0), [beyond(min, 1, g.dtype), beyond(max, -1, g.dtype)])];
  },
  clampOp.saves,
);

/** The number next to a bound, above or below it, of the kind that kernels compare in. */
function beyond(bound: number, direction: 1 | -1, dtype: DType): number {
  const values = dtype === 'float64' ? new Float64Array([bound]) : new Float32Array([bound]);
  const bits = dtype === 'float64' ? new BigInt64Array(values.buffer) : new Int32Array(values.buffer);
  if (values[0] === 0) return direction * (dtype === 'float64' ? 2 ** -1074 : 2 ** -149);
  if (Number.isFinite(bound)) {
    const step = bound > 0 === direction > 0 ? 1 : -1;
    if (bits instanceof BigInt64Array) bits[0]! += BigInt(step);
    else bits[0]! += step;
  }
  return values[0]!;
}

/**
 * `min(max(x, min), max)`, the piecewise linear tanh. All dtypes but bool; a fractional bound makes integers float32.
 *
 * @throws ArgumentError when min is above max.
 * @example
 * hardtanh(tensor([-2, 0.5, 3])); // [-1, 0.5, 1]
 */
export function hardtanh<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  min = -1,
  max = 1,
): Tensor<S, PromoteNumber<D, number>> {
  checkNumber('hardtanh', 'min', min);
  checkNumber('hardtanh', 'max', max);
  if (min > max) throw new ArgumentError(`hardtanh: bounds: got ${min} and ${max}, expected the lower one first`);
  return clampTo('hardtanh', hardtanhOp, x, min, max) as Tensor<S, PromoteNumber<D, number>>;
}

const softshrinkOp = activation('softshrink', shrinkBackwardOp, 'input');
const hardshrinkOp = activation('hardshrink', shrinkBackwardOp, 'input');

/**
 * 0 where `|x| ≤ lambda`, else x moved towards 0 by lambda. Integers and bool become float32.
 *
 * @example
 * softshrink(tensor([-2, 0.3, 1])); // [-1.5, 0, 0.5]
 */
export function softshrink<S extends Shape, D extends DType>(x: Tensor<S, D>, lambda = 0.5): Tensor<S, ToFloat<D>> {
  return shrunk('softshrink', softshrinkOp, x, lambda);
}

/**
 * 0 where `|x| ≤ lambda`, else x. Integers and bool become float32.
 *
 * @example
 * hardshrink(tensor([-2, 0.3, 1])); // [-2, 0, 1]
 */
export function hardshrink<S extends Shape, D extends DType>(x: Tensor<S, D>, lambda = 0.5): Tensor<S, ToFloat<D>> {
  return shrunk('hardshrink', hardshrinkOp, x, lambda);
}

function shrunk<S extends Shape, D extends DType>(
  name: string,
  op: Attributed,
  x: Tensor<S, D>,
  lambda: number,
): Tensor<S, ToFloat<D>> {
  checkTensor(name, x);
  if (typeof lambda !== 'number' || !(lambda >= 0))
    throw new ArgumentError(`${name}: lambda: got ${shown(lambda)}, expected a number of at least 0`);
  return floating(op, x, [lambda]);
}

const tanhshrinkOp = activation('tanhshrink', tanhshrinkBackwardOp, 'input');

/**
 * `x - tanh(x)`. Integers and bool become float32.
 *
 * @example
 * tanhshrink(tensor([0, 2])); // [0, 1.036]
 */
export function tanhshrink<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(tanhshrinkOp, x);
}

const thresholdOp = defineOp<readonly number[]>('threshold', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  // Compared with the bound as it is, not rounded to 16 bits.
  gradient: (g, node) => [where(wide(node.input(0)).lessEqual(node.context[0]!), 0, g)],
});

/**
 * x where it is above the bound, else `value`.
 *
 * @example
 * threshold(tensor([0.1, 0.5]), 0.2, -1); // [-1, 0.5]
 */
export function threshold<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  bound: number,
  value: number,
): Tensor<S, PromoteNumber<D, number>>;
export function threshold(x: AnyTensor, bound: number, value: number): AnyTensor {
  checkTensor('threshold', x);
  checkNumber('threshold', 'bound', bound);
  checkNumber('threshold', 'value', value);
  return isFloat(x.dtype) ? unary(thresholdOp, x, [bound, value]) : where(x.lessEqual(bound), value, x);
}

const gluOp: NativeOp = defineOp('glu', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (g, node) => {
    const [a, b] = [node.input(0), node.input(1)];
    return [
      node.needs(0) ? run(gluOp, [g, b], g.shape, g.dtype) : undefined,
      node.needs(1) ? run(gluBackwardOp, [g, a, b], g.shape, g.dtype) : undefined,
    ];
  },
});

/**
 * Gated linear unit: the first half of an axis times the sigmoid of the second. [Dauphin et al. 2016, arXiv:1612.08083]
 *
 * @throws ShapeError when the axis has an odd size.
 * @example
 * glu(tensor([4, 0])); // [2]
 */
export function glu<D extends DType>(x: Tensor<Shape, D>, axis?: number): Tensor<Shape, ToFloat<D>>;
export function glu(x: AnyTensor, axis = -1): AnyTensor {
  checkTensor('glu', x);
  const size = x.shape[normalizeAxis('glu', axis, x.shape)]!;
  if (size % 2 !== 0) {
    throw new ShapeError(`glu: odd size: got ${size} at axis ${axis} of shape ${show(x.shape)}, expected an even one`, {
      shape: x.shape,
      axis,
    });
  }
  const [values, gates] = x.split([size / 2, size / 2], axis) as [AnyTensor, AnyTensor];
  return floatingBinary(gluOp, values, gates);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    sigmoid(): Tensor<S, ToFloat<D>>;
    tanh(): Tensor<S, ToFloat<D>>;
    logSigmoid(): Tensor<S, ToFloat<D>>;
    softplus(options?: SoftplusOptions): Tensor<S, ToFloat<D>>;
    softsign(): Tensor<S, ToFloat<D>>;
    hardsigmoid(): Tensor<S, ToFloat<D>>;
    relu(): Tensor<S, D>;
    relu6(): Tensor<S, D>;
    leakyRelu(slope?: number): Tensor<S, ToFloat<D>>;
    prelu(weight: AnyTensor): Tensor<S, ToFloat<D>>;
    elu(alpha?: number): Tensor<S, ToFloat<D>>;
    selu(): Tensor<S, ToFloat<D>>;
    celu(alpha?: number): Tensor<S, ToFloat<D>>;
    gelu(options?: GeluOptions): Tensor<S, ToFloat<D>>;
    silu(): Tensor<S, ToFloat<D>>;
    mish(): Tensor<S, ToFloat<D>>;
    hardswish(): Tensor<S, ToFloat<D>>;
    clamp<A extends Operand | undefined = undefined, B extends Operand | undefined = undefined>(
      min?: A,
      max?: B,
    ): Bounded<Bounded<Tensor<S, D>, A>, B>;
    hardtanh(min?: number, max?: number): Tensor<S, PromoteNumber<D, number>>;
    softshrink(lambda?: number): Tensor<S, ToFloat<D>>;
    hardshrink(lambda?: number): Tensor<S, ToFloat<D>>;
    tanhshrink(): Tensor<S, ToFloat<D>>;
    threshold(bound: number, value: number): Tensor<S, PromoteNumber<D, number>>;
    glu(axis?: number): Tensor<Shape, ToFloat<D>>;
  }
}
// prettier-ignore
installMethods({
  sigmoid, tanh, logSigmoid, softplus, softsign, hardsigmoid, relu, relu6, leakyRelu, prelu, elu, selu, celu, gelu, silu, mish,
  hardswish, clamp, hardtanh, softshrink, hardshrink, tanhshrink, threshold, glu,
});
