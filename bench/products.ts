/** Matrix products and linear layers. */
import { matmul, nn, scope } from 'hadal';

import { prepareKernel, type Float, type Workload } from './harness';

function product(m: number, k: number, n: number, dtype: Float, reach: number): Workload {
  const size = m === k && k === n ? `${m}³` : `${m}×${k}×${n}`;
  return {
    name: `gemm ${size}${dtype === 'bfloat16' ? ' bf16' : ''}`,
    twin: ['product', m, k, n, dtype],
    dtype,
    reach,
    flops: 2 * m * k * n,
    prepare: () =>
      prepareKernel(
        {
          inputs: [
            [m, k],
            [k, n],
          ],
          dtype,
        },
        matmul,
      ),
  };
}

function linear(rows: number, inner: number, out: number, dtype: Float, reach: number): Workload {
  return {
    name: `linear ${rows}×${inner}×${out}${dtype === 'bfloat16' ? ' bf16' : ''}`,
    twin: ['linear', rows, inner, out, dtype],
    dtype,
    reach,
    flops: 2 * rows * inner * out,
    prepare: () => prepareKernel({ inputs: [[rows, inner], [out, inner], [out]], dtype }, nn.functional.linear),
  };
}

/** Many small products share the cost of one scope, as those of a training step do. */
function smallProducts(size: number, reach: number): Workload {
  const count = 100;
  return {
    ...product(size, size, size, 'bfloat16', reach),
    per: count,
    prepare() {
      const one = product(size, size, size, 'bfloat16', reach).prepare();
      return {
        step: () => {
          scope(() => {
            for (let i = 0; i < count; i++) one.step();
          });
        },
        check: one.check,
      };
    },
  };
}

export const workloads: Workload[] = [
  ...[256, 512, 1024, 2048].map((size) => product(size, size, size, 'float32', 2)),
  linear(4096, 768, 768, 'float32', 2),
  linear(4096, 768, 3072, 'float32', 2),
  // As when a language model writes, token by token.
  linear(1, 4096, 4096, 'float32', 1.5),
  smallProducts(32, 5),
  ...[1024, 2048].map((size) => product(size, size, size, 'bfloat16', 1.05)),
  linear(4096, 768, 3072, 'bfloat16', 1.05),
  linear(1, 4096, 4096, 'bfloat16', 1.5),
];
