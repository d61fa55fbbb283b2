/** The fused kernels that multiply a gradient by the slope of an activation. Called by pointwise-activation.ts and feed-forward.ts. */
import type { OpName } from '../native/opcodes';
import type { AnyTensor } from '../tensor/tensor';
import { defineOp, floats, run, type NativeOp } from './define';
import { where } from './pointwise-compare';

export type Attributed = NativeOp<readonly number[]>;

/**
 * Defines an op `(g, x) → g · f'(x)`. In g it is its own gradient; `second` answers `f''(x)`, nothing where that is zero almost
 * everywhere.
 */
function backwardOp(name: OpName, second?: (x: AnyTensor, attributes: readonly number[]) => AnyTensor): Attributed {
  const op: Attributed = defineOp<readonly number[]>(name, {
    dtypes: floats,
    pointwise: true,
    saves: { inputs: true },
    gradient: (gg, node) => {
      const x = node.input(1);
      return [
        node.needs(0) ? backward(op, gg, x, node.context) : undefined,
        node.needs(1) && second ? gg.mul(node.input(0)).mul(second(x, node.context)) : undefined,
      ];
    },
  });
  return op;
}

/** g times the slope that `op` stands for. */
export function backward(op: Attributed, g: AnyTensor, x: AnyTensor, attributes?: readonly number[]): AnyTensor {
  return run(op, [g, x], g.shape, g.dtype, attributes);
}

const rootTwoOverPi = Math.sqrt(2 / Math.PI);
/** The cubic coefficient of the tanh form of gelu. */
const geluCubic = 0.044715;

// Written from the output: f' is 1 - y² for tanh and y (1 - y) for sigmoid, and these are their derivatives in y.
export const tanhBackwardOp = backwardOp('tanhBackward', (y) => y.mul(-2));
export const sigmoidBackwardOp = backwardOp('sigmoidBackward', (y) => y.mul(-2).add(1));
export const reluBackwardOp = backwardOp('reluBackward');
export const leakyReluBackwardOp = backwardOp('leakyReluBackward');
export const clampBackwardOp = backwardOp('clampBackward');
export const eluBackwardOp = backwardOp('eluBackward', (x, [alpha, scale, inputScale]) =>
  where(
    x.lessEqual(0),
    x
      .mul(inputScale!)
      .exp()
      .mul(alpha! * scale! * inputScale! ** 2),
    0,
  ),
);
export const geluBackwardOp = backwardOp('geluBackward', (x) => {
  const square = x.square();
  return square
    .mul(-0.5)
    .exp()
    .mul(square.neg().add(2))
    .mul(rootTwoOverPi / 2);
});
export const geluTanhBackwardOp = backwardOp('geluTanhBackward', (x) => {
  const square = x.square();
  const t = x.mul(square.mul(geluCubic).add(1)).mul(rootTwoOverPi).tanh();
  const du = square
    .mul(3 * geluCubic)
    .add(1)
    .mul(rootTwoOverPi);
  const ddu = x.mul(6 * geluCubic * rootTwoOverPi);
  return t
    .square()
    .neg()
    .add(1)
    .mul(du.add(x.mul(ddu.mul(0.5).sub(t.mul(du.square())))));
});
export const siluBackwardOp = backwardOp('siluBackward', (x) => {
  const s = x.sigmoid();
  const slope = s.mul(s.neg().add(1));
  return slope.mul(x.mul(s.mul(-2).add(1)).add(2));
});
export const mishBackwardOp = backwardOp('mishBackward', (x) => {
  const s = x.sigmoid();
  const t = x.softplus().tanh();
  const inner = s.mul(t.square().neg().add(1));
  return inner.mul(x.mul(s.neg().add(1).sub(s.mul(t).mul(2))).add(2));
});
export const softplusBackwardOp = backwardOp('softplusBackward', (x, [beta, threshold]) => {
  const z = x.mul(beta!);
  return where(z.greater(threshold!), 0, z.sigmoid().mul(z.neg().sigmoid()).mul(beta!));
});
export const logSigmoidBackwardOp = backwardOp('logSigmoidBackward', (x) => x.sigmoid().mul(x.neg().sigmoid()).neg());
export const hardsigmoidBackwardOp = backwardOp('hardsigmoidBackward');
export const hardswishBackwardOp = backwardOp('hardswishBackward', (x) =>
  where(x.abs().less(3), 1 / 3, 0).cast(x.dtype),
);
export const softsignBackwardOp = backwardOp('softsignBackward', (x) => x.sign().mul(x.abs().add(1).pow(-3)).mul(-2));
export const logitBackwardOp = backwardOp('logitBackward', (x, [epsilon]) => {
  const rest = x.neg().add(1);
  const slope = rest.pow(-2).sub(x.pow(-2));
  return epsilon === 0 ? slope : where(x.greaterEqual(epsilon!).logicalAnd(x.lessEqual(1 - epsilon!)), slope, 0);
});
export const shrinkBackwardOp = backwardOp('shrinkBackward');
export const tanhshrinkBackwardOp = backwardOp('tanhshrinkBackward', (x) => {
  const t = x.tanh();
  return t.mul(2).mul(t.square().neg().add(1));
});

/** `(g, x, w) → g` where x is positive, else `g · w`. */
export const preluBackwardOp: NativeOp = defineOp('preluBackward', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const [g, x, weight] = [node.input(0), node.input(1), node.input(2)];
    return [
      node.needs(0) ? run(preluBackwardOp, [gg, x, weight], gg.shape, gg.dtype) : undefined,
      undefined,
      node.needs(2) ? where(x.greater(0), 0, gg.mul(g)).sumTo(weight.shape) : undefined,
    ];
  },
});
/** `(g, x) → 0` where x is positive, else `g · x`. */
export const preluWeightBackwardOp: NativeOp = defineOp('preluWeightBackward', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const [g, x] = [node.input(0), node.input(1)];
    return [
      node.needs(0) ? run(preluWeightBackwardOp, [gg, x], gg.shape, gg.dtype).sumTo(g.shape) : undefined,
      node.needs(1) ? where(x.greater(0), 0, gg.mul(g)) : undefined,
    ];
  },
});
/** `(g, a, b) → g · a · s(b) (1 - s(b))` for the sigmoid s. */
export const gluBackwardOp: NativeOp = defineOp('gluBackward', {
  dtypes: floats,
  pointwise: true,
  saves: { inputs: true },
  gradient: (gg, node) => {
    const [g, a, b] = [node.input(0), node.input(1), node.input(2)];
    const slope = (x: AnyTensor): AnyTensor => run(gluBackwardOp, [gg, x, b], gg.shape, gg.dtype);
    return [
      node.needs(0) ? slope(a) : undefined,
      node.needs(1) ? slope(g) : undefined,
      // s'' = s' (1 - 2s).
      node.needs(2) ? slope(g).mul(a).mul(b.sigmoid().mul(-2).add(1)) : undefined,
    ];
  },
});
