/** Single kernels, bound by memory or by transcendental functions. */
import { nn, scope } from 'hadal';
import type { AnyTensor } from 'hadal';

import { summary, wave, type Workload } from './harness';

function op(name: string, f: (x: AnyTensor) => AnyTensor, shape: readonly number[], bytes?: number): Workload {
  return {
    name,
    ...(bytes !== undefined && { bytes }),
    prepare() {
      const x = wave(shape, 1);
      return { step: () => scope(() => void f(x)), check: summary(f(x)) };
    },
  };
}

export const workloads: Workload[] = [
  op('exp 32k', (x) => x.exp(), [32768]),
  op('tanh 32k', (x) => x.tanh(), [32768]),
  op('gelu 32k', (x) => x.gelu(), [32768]),
  op('softmax 8192×768', (x) => x.softmax(-1), [8192, 768], 2 * 4 * 8192 * 768),
  op('layer norm 8192×768', (x) => nn.functional.layerNorm(x, 768), [8192, 768], 2 * 4 * 8192 * 768),
  op('sum 64 MB', (x) => x.sum(), [4096, 4096], 4 * 4096 * 4096),
  op(
    'attention B4 H12 T1024 d64',
    (x) => nn.functional.scaledDotProductAttention(x, x, x, { causal: true }),
    [4, 12, 1024, 64],
  ),
];
