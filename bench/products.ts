/** Matrix products in float32. */
import { matmul, nn, noGrad, scope } from 'hadal';

import { summary, wave, type Workload } from './harness';

function product(name: string, m: number, k: number, n: number): Workload {
  return {
    name,
    flops: 2 * m * k * n,
    prepare() {
      const [a, b] = [wave([m, k], 1), wave([k, n], 2)];
      return { step: () => scope(() => void matmul(a, b)), check: summary(matmul(a, b)) };
    },
  };
}

function linear(name: string, rows: number, inner: number, out: number): Workload {
  return {
    name,
    flops: 2 * rows * inner * out,
    prepare() {
      const [x, w, b] = [wave([rows, inner], 1), wave([out, inner], 2), wave([out], 3)];
      const run = () => noGrad(() => nn.functional.linear(x, w, b));
      return { step: () => scope(() => void run()), check: summary(run()) };
    },
  };
}

export const workloads: Workload[] = [
  product('gemm 256³', 256, 256, 256),
  product('gemm 512³', 512, 512, 512),
  product('gemm 1024³', 1024, 1024, 1024),
  product('gemm 2048³', 2048, 2048, 2048),
  linear('linear 4096×768×768', 4096, 768, 768),
  linear('linear 4096×768×3072', 4096, 768, 3072),
];
