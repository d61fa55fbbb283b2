/** Products of matrices. */
import * as ops from '../../ops';
import { isFloat } from '../../tensor/dtype';
import type { AnyTensor } from '../../tensor/tensor';
import type { Call, Operator } from '../call';

function gemm(call: Call): AnyTensor {
  const a = call.int('transA', 0) === 0 ? call.tensor(0) : call.tensor(0).transpose(0, 1);
  const b = call.tensor(1);
  const isTransposed = call.int('transB', 0) !== 0;
  const alpha = call.float('alpha', 1);
  const beta = call.float('beta', 1);
  const bias = call.optional(2);
  if (
    isTransposed &&
    alpha === 1 &&
    beta === 1 &&
    isFloat(a.dtype) &&
    bias?.rank === 1 &&
    bias.shape[0] === b.shape[0]
  ) {
    return ops.linear(a, b, bias);
  }
  const product = a.matmul(isTransposed ? b.transpose(0, 1) : b);
  const scaled = alpha === 1 ? product : product.mul(alpha).cast(product.dtype);
  if (bias === undefined) return scaled;
  return scaled.add(beta === 1 ? bias : bias.mul(beta).cast(bias.dtype));
}

/** What is behind an ellipsis in an equation stands in lower case letters that ops.einsum knows. */
const einsum: Operator = (call) => ops.einsum(call.string('equation').replaceAll(' ', ''), ...call.tensors());

export const products: Readonly<Record<string, Operator>> = {
  Det: (call) => ops.det(call.tensor(0)),
  Einsum: einsum,
  Gemm: gemm,
  MatMul: (call) => call.tensor(0).matmul(call.tensor(1)),
};
