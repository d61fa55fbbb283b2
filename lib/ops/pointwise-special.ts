/** Special functions: of the normal and the gamma distribution, Bessel functions, Hurwitz' zeta function. */
import { AutogradError } from '../errors';
import type { DType, ToFloat } from '../tensor/dtype';
import { toFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Operand, Tensor } from '../tensor/tensor';
import { full } from './creation';
import { checkTensor, defineOp, floats, installMethods, type NativeOp } from './define';
import { where } from './pointwise-compare';
import {
  floating,
  floatingBinary,
  ofInput,
  ofOutput,
  type Fits,
  type FitsIn,
  type Quotient,
  type QuotientWith,
} from './pointwise-run';
import { wide } from './wide';

// ----------------------------------------------------------------------------------------------------- normal distribution

const erfcxOp = ofInput(
  'erfcx',
  (g, x) =>
    g.mul(
      erfcx(x)
        .mul(x)
        .mul(2)
        .sub(2 / Math.sqrt(Math.PI)),
    ),
  'float32',
);

/**
 * The scaled complementary error function `e^(x²) · erfc(x)`, which does not vanish for large x. Integers and bool become float32.
 *
 * @example
 * erfcx(tensor([0, 1, 100])); // [1, 0.4276, 0.0056]
 */
export function erfcx<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(erfcxOp, x);
}

const ndtriOp = ofOutput('ndtri', (g, y) => g.mul(y.square().mul(0.5).exp()).mul(Math.sqrt(2 * Math.PI)), 'float32');

/**
 * The quantile of the normal distribution, the inverse of {@link ndtr}; ±inf at 1 and 0, NaN outside. Integers and bool become float32.
 *
 * @example
 * ndtri(tensor([0.5, 0.975])); // [0, 1.96]
 */
export function ndtri<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(ndtriOp, x);
}

/**
 * The logarithm of {@link ndtr}, the normal distribution's probability of at most x, exact far below 0 too. Integers and bool become float32.
 *
 * @example
 * logNdtr(tensor([0, -20])); // [-0.6931, -203.9172]
 */
export function logNdtr<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>>;
export function logNdtr(x: AnyTensor): AnyTensor {
  checkTensor('logNdtr', x);
  const result = toFloat(x.dtype);
  const input = wide(x.cast(result));
  const isLow = input.less(-1) as Tensor<Shape, 'bool'>;
  // Each form sees only what it holds for: a gradient of NaN times 0 would be NaN.
  const low = where(isLow, input, -1) as AnyTensor;
  const high = where(isLow, -1, input) as AnyTensor;
  const below = erfcx(low.mul(-Math.SQRT1_2)).mul(0.5).log().sub(low.square().mul(0.5));
  const above = high.mul(Math.SQRT1_2).erfc().mul(-0.5).log1p();
  return where(isLow, below, above).cast(result) as AnyTensor;
}

// --------------------------------------------------------------------------------------------------------- Bessel functions

/** f(x) / x, and the limit 1/2 of I₁ at 0. */
function overX(y: AnyTensor, x: AnyTensor): AnyTensor {
  const isZero = x.equalTo(0);
  return where(isZero, 0.5, y.div(where(isZero, 1, x)));
}

const i0Op: NativeOp = ofInput('i0', (g, x) => g.mul(i1(x)), 'float32');
const i1Op: NativeOp = ofInput('i1', (g, x) => g.mul(i0(x).sub(overX(i1(x), x))), 'float32');
const i0eOp: NativeOp = ofInput('i0e', (g, x) => g.mul(i1e(x).sub(i0e(x).mul(x.sign()))));
const i1eOp: NativeOp = ofInput('i1e', (g, x) =>
  g.mul(
    i0e(x)
      .sub(overX(i1e(x), x))
      .sub(i1e(x).mul(x.sign())),
  ),
);

/**
 * The modified Bessel function of the first kind of order 0. Integers and bool become float32.
 *
 * @example
 * i0(tensor([0, 1])); // [1, 1.2661]
 */
export function i0<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(i0Op, x);
}

/**
 * `e^(-|x|)` times {@link i0}, which does not overflow. Integers and bool become float32.
 *
 * @example
 * i0e(tensor([0, 1000])); // [1, 0.0126]
 */
export function i0e<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(i0eOp, x);
}

/**
 * The modified Bessel function of the first kind of order 1. Integers and bool become float32.
 *
 * @example
 * i1(tensor([0, 1])); // [0, 0.5652]
 */
export function i1<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(i1Op, x);
}

/**
 * `e^(-|x|)` times {@link i1}, which does not overflow. Integers and bool become float32.
 *
 * @example
 * i1e(tensor([0, 1000])); // [0, 0.0126]
 */
export function i1e<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, ToFloat<D>> {
  return floating(i1eOp, x);
}

// ------------------------------------------------------------------------------------------------- gamma and zeta functions

/** An operand as a tensor beside x. */
const beside = (operand: Operand, { dtype, device }: AnyTensor): AnyTensor =>
  typeof operand === 'number' ? full([], operand, { dtype, device }) : wide(operand);

/** Throws if the first operand is to get a gradient, which has no closed form. */
function refuseFirst(op: string, name: string, needed: boolean): void {
  if (needed)
    throw new AutogradError(
      `${op}: ${name}: got a tensor that requires a gradient, expected one without: only the other has one`,
    );
}

/** The density of the gamma distribution, `x^(a-1) · e^-x / Γ(a)`: how the share below x grows. */
function gammaDensity(a: Operand, x: AnyTensor): AnyTensor {
  const shape = beside(a, x);
  return x.log().mul(shape.sub(1)).sub(x).sub(shape.lgamma()).exp();
}

function incompleteGamma(name: 'gammainc' | 'gammaincc', sign: 1 | -1): NativeOp {
  return defineOp(name, {
    dtypes: floats,
    pointwise: true,
    autocast: 'float32',
    saves: { inputs: true },
    gradient: (g, node) => {
      refuseFirst(name, 'a', node.needs(0));
      const density = gammaDensity(node.operand(0)!, wide(node.input(1)));
      return [undefined, g.mul(density.mul(sign).cast(g.dtype)).sumTo(node.shape(1))];
    },
  });
}
const gammaincOp = incompleteGamma('gammainc', 1);
const gammainccOp = incompleteGamma('gammaincc', -1);

/**
 * The regularised lower incomplete gamma function `P(a, x) = ∫₀ˣ t^(a-1) e^-t dt / Γ(a)` for a, x ≥ 0; NaN outside. Integers and bool become
 * float32. Only x has a gradient: asking for that of a throws.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * gammainc(tensor([1, 2]), tensor([1, 2])); // [0.6321, 0.594]
 */
export function gammainc<A extends Operand, B extends Operand>(a: A, x: B & Fits<A, B, 'gammainc'>): Quotient<A, B> {
  return floatingBinary(gammaincOp, a, x);
}

/**
 * The regularised upper incomplete gamma function, `1 - gammainc(a, x)` without the loss of digits. Integers and bool become float32. Only x has a
 * gradient: asking for that of a throws.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * gammaincc(tensor([1, 2]), tensor([1, 2])); // [0.3679, 0.406]
 */
export function gammaincc<A extends Operand, B extends Operand>(a: A, x: B & Fits<A, B, 'gammaincc'>): Quotient<A, B> {
  return floatingBinary(gammainccOp, a, x);
}

const zetaOp: NativeOp = defineOp('zeta', {
  dtypes: floats,
  pointwise: true,
  autocast: 'float32',
  saves: { inputs: true },
  gradient: (g, node) => {
    refuseFirst('zeta', 's', node.needs(0));
    const q = wide(node.input(1));
    const s = beside(node.operand(0)!, q);
    const slope: AnyTensor = zeta(s.add(1), q).mul(s.neg());
    return [undefined, g.mul(slope.cast(g.dtype)).sumTo(node.shape(1))];
  },
});

/**
 * Hurwitz' zeta function `ζ(s, q) = Σₖ (q + k)^-s`, k ≥ 0, for s > 1; Riemann's for q = 1. Integers and bool become float32. Only q has a gradient:
 * asking for that of s throws.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @example
 * zeta(tensor([2, 3]), 1); // [1.6449, 1.2021]
 */
export function zeta<A extends Operand, B extends Operand>(s: A, q: B & Fits<A, B, 'zeta'>): Quotient<A, B> {
  return floatingBinary(zetaOp, s, q);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    erfcx(): Tensor<S, ToFloat<D>>;
    ndtri(): Tensor<S, ToFloat<D>>;
    logNdtr(): Tensor<S, ToFloat<D>>;
    i0(): Tensor<S, ToFloat<D>>;
    i0e(): Tensor<S, ToFloat<D>>;
    i1(): Tensor<S, ToFloat<D>>;
    i1e(): Tensor<S, ToFloat<D>>;
    gammainc<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      x: O & FitsIn<A, O, 'gammainc'>,
    ): QuotientWith<A, E, O>;
    gammaincc<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      x: O & FitsIn<A, O, 'gammaincc'>,
    ): QuotientWith<A, E, O>;
    zeta<A extends Shape, E extends DType, O extends Operand>(
      this: Tensor<A, E>,
      q: O & FitsIn<A, O, 'zeta'>,
    ): QuotientWith<A, E, O>;
  }
}
installMethods({ erfcx, ndtri, logNdtr, i0, i0e, i1, i1e, gammainc, gammaincc, zeta });
