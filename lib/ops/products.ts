/** Products over axes and running products. Their gradients divide by nothing, so zeros among the factors are no exception. */
import { sumDType, type DType, type SumDType } from '../tensor/dtype';
import type { Axes, AxisCheck, Ok, Reduce, Shape } from '../tensor/shape-types';
import { normalizeAxes, normalizeAxis, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { operand } from './autocast';
import { ones } from './creation';
import { checkOptions, checkTensor, defineOp, installMethods, numbers, run, type NativeOp } from './define';
import { scan } from './linear-scan';
import { cat } from './movement';
import type { ReduceOptions } from './reduce';
import { wide } from './wide';

interface ProductContext {
  readonly axes: readonly number[];
  readonly kept: Shape;
}

const prodOp = defineOp<ProductContext>('prod', {
  dtypes: numbers,
  autocast: 'float32',
  saves: { inputs: true },
  gradient: (g, node) => {
    const { axes, kept } = node.context;
    const x = node.input(0);
    // The reduced axes as one, behind the others.
    const others = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const order = [...others, ...axes];
    const moved = x.permute(order);
    const flat = moved.reshape([...others.map((axis) => x.shape[axis]!), sizeOf(axes.map((axis) => x.shape[axis]!))]);
    const back = x.shape.map((_, axis) => order.indexOf(axis));
    return [productOfOthers(flat).reshape(moved.shape).permute(back).mul(g.reshape(kept))];
  },
});

/** What the kernels multiply: bool as numbers. */
const factors = <C>(op: NativeOp<C>, x: AnyTensor): AnyTensor =>
  x.dtype === 'bool' ? x.cast('uint8') : operand(op, x);

/** For every element along an axis the product of those before it. */
function productOfThoseBefore(x: AnyTensor, axis: number): AnyTensor {
  const one: AnyTensor = ones(
    x.shape.map((size, i) => (i === axis ? 1 : size)),
    { dtype: x.dtype, device: x.device },
  );
  return cat([one, x.narrow(axis, 0, x.shape[axis]! - 1).cumprod(axis)], axis);
}

/** For every element of the last axis the product of the others: of those before times of those behind. */
function productOfOthers(x: AnyTensor): AnyTensor {
  const last = x.rank - 1;
  if (x.shape[last] === 0) return x;
  return productOfThoseBefore(x, last).mul(productOfThoseBefore(x.flip(last), last).flip(last));
}

/**
 * The product over `axes`, all of them unless given: y = Π x. Integers and bool are multiplied in int64.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * prod(tensor([[1, 2], [3, 4]]), 0); // [3, 8]
 */
export function prod<
  S extends Shape,
  D extends DType,
  const A extends Axes = undefined,
  const K extends boolean = false,
>(
  x: Tensor<S, D>,
  axes?: A & Ok<AxisCheck<S, A, 'prod'>>,
  options?: ReduceOptions<K>,
): Tensor<Reduce<S, A, K>, SumDType<D>>;
export function prod(x: AnyTensor, axes?: Axes, options: ReduceOptions = {}): AnyTensor {
  checkOptions('prod', options);
  checkTensor('prod', x);
  x = factors(prodOp, x);
  const reduced = normalizeAxes('prod', axes, x.shape);
  const kept = x.shape.map((size, axis) => (reduced.includes(axis) ? 1 : size));
  const shape = options.keepDims === true ? kept : kept.filter((_, axis) => !reduced.includes(axis));
  const dtype = sumDType(x.dtype);
  return run(prodOp, [x], shape, dtype, undefined, { axes: reduced, kept }, dtype, kept);
}

const cumprodOp = defineOp<number>('cumprod', {
  dtypes: numbers,
  autocast: 'float32',
  saves: { inputs: true },
  gradient: (g, node) => {
    const axis = node.context;
    const x = wide(node.input(0));
    if (x.size === 0) return [g];
    // The products behind an element, each times its gradient: no division, so an element may be 0.
    const behind = scan(x, wide(g), axis, true);
    return [productOfThoseBefore(x, axis).mul(behind).cast(g.dtype)];
  },
});

/**
 * The running product along an axis: yᵢ = x₀ · … · xᵢ. Integers and bool are multiplied in int64.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * cumprod(tensor([1, 2, 3]), 0); // [1, 2, 6]
 */
export function cumprod<S extends Shape, D extends DType>(x: Tensor<S, D>, axis: number): Tensor<S, SumDType<D>>;
export function cumprod(x: AnyTensor, axis: number): AnyTensor {
  checkTensor('cumprod', x);
  x = factors(cumprodOp, x);
  if (x.rank === 0) return cumprod(x.reshape([1]), axis).reshape([]);
  const along = normalizeAxis('cumprod', axis, x.shape);
  return run(cumprodOp, [x], x.shape, sumDType(x.dtype), [along], along);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    prod<const A extends Axes = undefined, const K extends boolean = false>(
      axes?: A & Ok<AxisCheck<S, A, 'prod'>>,
      options?: ReduceOptions<K>,
    ): Tensor<Reduce<S, A, K>, SumDType<D>>;
    cumprod(axis: number): Tensor<S, SumDType<D>>;
  }
}
installMethods({ prod, cumprod });
