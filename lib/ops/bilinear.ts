/** The bilinear form of two inputs. */
import { ShapeError } from '../errors';
import { sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkDType, checkTensor, floats } from './define';

/**
 * y[o] = aᵀ·W[o]·b + bias[o], for a [..., i], b [..., j], weight [o, i, j] and bias [o].
 *
 * @throws ShapeError when the sizes differ; DTypeError.
 * @example
 * bilinear(ones([5, 2]), ones([5, 3]), ones([4, 2, 3])).shape; // [5, 4]
 */
export function bilinear(a: AnyTensor, b: AnyTensor, weight: AnyTensor, bias?: AnyTensor): AnyTensor {
  const op = 'bilinear';
  checkTensor(op, a, 'a');
  checkTensor(op, b, 'b');
  checkTensor(op, weight, 'weight');
  checkDType(op, a.dtype, floats);
  const rows = a.shape.slice(0, -1);
  const [out, i, j] = weight.shape as [number, number, number];
  if (weight.rank !== 3 || !sameShape(a.shape, [...rows, i]) || !sameShape(b.shape, [...rows, j])) {
    throw new ShapeError(
      `${op}: shapes do not fit: got a ${show(a.shape)}, b ${show(b.shape)} and weight ${show(weight.shape)}, expected [..., i], [..., j] and [o, i, j]`,
    );
  }
  if (bias !== undefined) {
    checkTensor(op, bias, 'bias');
    if (!sameShape(bias.shape, [out])) {
      throw new ShapeError(`${op}: bias does not fit: got shape ${show(bias.shape)}, expected [${out}]`);
    }
  }
  const count = sizeOf(rows);
  const turned = weight.permute([1, 0, 2]).reshape([i, out * j]);
  const left: AnyTensor = a.reshape([count, i]).matmul(turned).reshape([count, out, j]);
  const y: AnyTensor = left.matmul(b.reshape([count, j, 1])).reshape([...rows, out]);
  return bias === undefined ? y : y.add(bias);
}
