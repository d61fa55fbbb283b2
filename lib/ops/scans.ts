/** Running extremes and running sums of exponentials along one axis. */
import { toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { normalizeAxis } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { zeros } from './creation';
import { checkTensor, defineOp, floats, installMethods, numbers, run, runMany, type NativeOp } from './define';
import { where } from './pointwise-compare';
import { ofOrdered } from './sorting';
import { wide } from './wide';

function extremeOp(name: 'cummax' | 'cummin'): NativeOp<number> {
  return defineOp<number>(name, {
    dtypes: numbers,
    saves: { outputs: true },
    gradient: (g, node) => {
      const nothing: AnyTensor = zeros(node.shape(0), { dtype: g.dtype, device: g.device });
      return [nothing.scatterAdd(node.context, node.output(1) as Tensor<Shape, 'int64'>, g)];
    },
  });
}
const cummaxOp = extremeOp('cummax');
const cumminOp = extremeOp('cummin');

function extremes(op: NativeOp<number>, x: AnyTensor, axis: number): AnyTensor[] {
  checkTensor(op.name, x);
  if (x.rank === 0) return extremes(op, x.reshape([1]), axis).map((result) => result.reshape([]));
  const along = normalizeAxis(op.name, axis, x.shape);
  return ofOrdered(x, (elements) => {
    const outputs = [
      { shape: x.shape, dtype: elements.dtype },
      { shape: x.shape, dtype: 'int64' },
    ] as const;
    return runMany(op, [elements], outputs, [along], along);
  });
}

/**
 * The largest element so far along an axis, and where it stood: `[values, indices]`. The last one of equals; NaN counts as the largest.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * cummax(tensor([1, 3, 2]), 0)[0]; // [1, 3, 3]
 */
export function cummax<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  axis: number,
): [values: Tensor<S, D>, indices: Tensor<S, 'int64'>] {
  return extremes(cummaxOp, x, axis) as unknown as [Tensor<S, D>, Tensor<S, 'int64'>];
}

/**
 * The smallest element so far along an axis, and where it stood: `[values, indices]`. The last one of equals; NaN counts as the smallest.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * cummin(tensor([3, 1, 2]), 0)[0]; // [3, 1, 1]
 */
export function cummin<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  axis: number,
): [values: Tensor<S, D>, indices: Tensor<S, 'int64'>] {
  return extremes(cumminOp, x, axis) as unknown as [Tensor<S, D>, Tensor<S, 'int64'>];
}

const logCumSumExpOp = defineOp<number>('logCumSumExp', {
  dtypes: floats,
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const axis = node.context;
    const x = wide(node.input(0));
    // 16 bits would hold y to a few hundredths, which then stand in an exponent.
    const y = x.dtype === g.dtype ? node.output() : x.logCumSumExp(axis);
    // gxⱼ = Σ_{i ≥ j} gᵢ e^(xⱼ - yᵢ), with the sum from the end formed in logarithms: no factor overflows. Of g the parts of either sign; a y of
    // -∞ depends on nothing.
    const part = (share: AnyTensor): AnyTensor => {
      const none = share.lessEqual(0).logicalOr(y.equalTo(-Infinity)) as Tensor<Shape, 'bool'>;
      const logs: AnyTensor = where(none, -Infinity, (where(none, 1, share) as AnyTensor).log().sub(y));
      return logs.flip(axis).logCumSumExp(axis).flip(axis).add(x).exp();
    };
    const outer = wide(g);
    return [part(outer).sub(part(outer.neg())).cast(g.dtype)];
  },
});

/**
 * The running log Σ exp(x) along an axis, without overflow. Integers and bool become float32.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * logCumSumExp(tensor([0, 0, 0]), 0); // [0, 0.6931, 1.0986]
 */
export function logCumSumExp<S extends Shape, D extends DType>(x: Tensor<S, D>, axis: number): Tensor<S, ToFloat<D>>;
export function logCumSumExp(x: AnyTensor, axis: number): AnyTensor {
  checkTensor('logCumSumExp', x);
  if (x.rank === 0) return x.cast(toFloat(x.dtype));
  const along = normalizeAxis('logCumSumExp', axis, x.shape);
  const dtype = toFloat(x.dtype);
  return run(logCumSumExpOp, [x.cast(dtype)], x.shape, dtype, [along], along);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    cummax(axis: number): [values: Tensor<S, D>, indices: Tensor<S, 'int64'>];
    cummin(axis: number): [values: Tensor<S, D>, indices: Tensor<S, 'int64'>];
    logCumSumExp(axis: number): Tensor<S, ToFloat<D>>;
  }
}
installMethods({ cummax, cummin, logCumSumExp });
