/** Operators of the domain com.microsoft: those that onnxruntime's tools fuse in transformers. */
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { outputs, type Call, type Operator } from '../call';
import { layerNorm } from './normalization';

const sum = (...parts: readonly (AnyTensor | undefined)[]): AnyTensor =>
  parts.filter((part) => part !== undefined).reduce((a, b) => a.add(b));

function fusedMatMul(call: Call): AnyTensor {
  const side = (i: number, name: string): AnyTensor => {
    const x = call.tensor(i);
    return call.int(name, 0) !== 0 && x.rank > 1 ? x.transpose(-2, -1) : x;
  };
  const product = side(0, 'transA').matmul(side(1, 'transB'));
  const alpha = call.float('alpha', 1);
  return alpha === 1 ? product : product.mul(alpha);
}

/** Skip and input are added, with a bias where there is one; the sum is the fourth output. */
const skipLayerNorm =
  (hasBeta: boolean): Operator =>
  (call) => {
    const total = sum(call.tensor(0), call.tensor(1), call.optional(hasBeta ? 4 : 3));
    const beta = hasBeta ? call.optional(3) : undefined;
    if (!hasBeta) {
      const epsilon = call.float('epsilon', 1e-12);
      return outputs(
        ops.rmsNorm(total, total.shape.slice(-1), call.tensor(2), { epsilon }),
        undefined,
        undefined,
        total,
      );
    }
    const { values } = layerNorm(call, total, call.tensor(2), beta, total.rank - 1, 1e-12);
    return outputs(values[0], values[1], values[2], total);
  };

const gelu = (x: AnyTensor, approximate: 'none' | 'tanh'): AnyTensor => ops.gelu(x, { approximate });

export const microsoft: Readonly<Record<string, Operator>> = {
  BiasGelu: (call) => gelu(sum(call.tensor(0), call.tensor(1)), 'none'),
  FastGelu: (call) => gelu(sum(call.tensor(0), call.optional(1)), 'tanh'),
  FusedMatMul: fusedMatMul,
  Gelu: (call) => gelu(call.tensor(0), 'none'),
  QuickGelu: (call) => {
    const x = call.tensor(0);
    return x.mul(x.mul(call.float('alpha', 1.702)).sigmoid());
  },
  SkipLayerNormalization: skipLayerNorm(true),
  SkipSimplifiedLayerNormalization: skipLayerNorm(false),
};
