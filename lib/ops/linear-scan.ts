/** Linear recurrences along an axis. */
import { DTypeError, ShapeError } from '../errors';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, normalizeAxis, sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { fullPrecision, operandDType } from './autocast';
import { checkDType, checkOptions, checkTensor, defineOp, floats, run, type NativeOp } from './define';
import { wide } from './wide';

const linearScanOp: NativeOp<readonly [axis: number, reverse: number]> = defineOp('linearScan', {
  dtypes: ['float64', 'float32'],
  saves: { inputs: true, outputs: true },
  // The transpose of a scan is the one in reverse. Factor i joins terms i - 1 and i.
  gradient: (g, node) => {
    const [axis, reverse] = node.context;
    const [a, y] = [node.input(0), node.output()];
    const gb = scan(a, g, axis, reverse === 0);
    if (!node.needs(0)) return [undefined, gb];
    const joined = a.shape[axis]! - 1;
    const [first, second] = reverse === 0 ? [y, gb] : [gb, y];
    const products = first.narrow(axis, 0, joined).mul(second.narrow(axis, 1, joined));
    return [products.pad(a.shape.map((_, i) => [i === axis ? 1 : 0, 0] as const)), gb];
  },
});

/** yᵢ = bᵢ + aᵢ yᵢ₋₁ along an axis, or from the end yᵢ = bᵢ + aᵢ₊₁ yᵢ₊₁. */
export const scan = (a: AnyTensor, b: AnyTensor, axis: number, reverse: boolean): AnyTensor =>
  run(linearScanOp, [a, b], b.shape, b.dtype, [axis, reverse ? 1 : 0]);

export interface LinearScanOptions {
  /** The axis of the sequences; the last unless given. */
  readonly axis?: number;
  /** Whether the recurrence begins at the end: yᵢ = aᵢ·yᵢ₊₁ + bᵢ, as discounted returns; false unless given. */
  readonly reverse?: boolean;
}

/**
 * The linear recurrence yᵢ = aᵢ·yᵢ₋₁ + bᵢ along an axis, from y₀ = b₀ on: layers with a linear state (S4, Mamba, linear attention with decay), discounted returns,
 * moving averages. a broadcasts to b's shape, which y has. A state from before belongs in the first b. O(n), in a fixed order; 16-bit floats are computed in float32.
 *
 * @throws ShapeError when a does not broadcast to b, or for a scalar; DTypeError unless both have the same dtype of floats.
 * @see Blelloch, 1990, Prefix sums and their applications; Gu and Dao, 2023, Mamba: linear-time sequence modeling with selective state spaces.
 * @example
 * linearScan(tensor(0.5), tensor([1, 1, 1])); // [1, 1.5, 1.75]
 * // Returns of rewards [1, 0, 2], discounted by 0.9.
 * linearScan(tensor(0.9), tensor([1, 0, 2]), { reverse: true }); // [2.62, 1.8, 2]
 */
export function linearScan<S extends Shape, D extends DType>(
  a: Tensor<Shape, D>,
  b: Tensor<S, D>,
  options?: LinearScanOptions,
): Tensor<S, D>;
export function linearScan(a: AnyTensor, b: AnyTensor, options: LinearScanOptions = {}): AnyTensor {
  const op = 'linearScan';
  checkOptions(op, options);
  checkTensor(op, a, 'a');
  checkTensor(op, b, 'b');
  checkDType(op, b.dtype, floats);
  if (a.dtype !== b.dtype) throw new DTypeError(`${op}: a: got dtype ${a.dtype}, expected ${b.dtype} as b`);
  const { axis = -1, reverse = false } = options;
  const along = normalizeAxis(op, axis, b.shape);
  if (!sameShape(broadcastShapes(op, a.shape, b.shape), b.shape)) {
    throw new ShapeError(`${op}: a does not fit: got shape ${show(a.shape)}, expected one that broadcasts to ${show(b.shape)}`); // prettier-ignore
  }
  if (b.size === 0) return b.mul(a) as AnyTensor;
  const dtype = operandDType(fullPrecision, b.dtype);
  const [factors, terms] = [a.expand(b.shape), b].map((each) => wide(each.cast(dtype) as AnyTensor)) as [AnyTensor, AnyTensor]; // prettier-ignore
  if (!reverse) return scan(factors, terms, along, false).cast(dtype) as AnyTensor;
  // The native one joins an element with the one behind by the factor of the latter.
  const joined = b.shape[along]! - 1;
  const shifted = factors.narrow(along, 0, joined).pad(b.shape.map((_, i) => [i === along ? 1 : 0, 0] as const));
  return scan(shifted as AnyTensor, terms, along, true).cast(dtype) as AnyTensor;
}
