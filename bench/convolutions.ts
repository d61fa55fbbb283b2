/** Convolutions, forward and backward; the peer's tensors are channels-last, its better layout. */
import { nn } from 'hadal';

import { prepareKernel, type Float, type Workload } from './harness';

interface Case {
  readonly batch: number;
  readonly from: number;
  readonly to: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
}

function convolution({ batch, from, to, size, kernel, stride }: Case, dtype: Float, backward: boolean): Workload {
  const padding = (kernel - 1) >> 1;
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const passes = backward ? 3 : 1;
  return {
    name: `conv ${kernel}×${kernel} ${from}→${to} ${size}²${backward ? ' fwd+bwd' : ''}${dtype === 'bfloat16' ? ' bf16' : ''}`,
    twin: ['convolution', batch, from, to, size, kernel, stride, padding, dtype, backward],
    dtype,
    reach: 1,
    flops: passes * 2 * batch * out ** 2 * to * from * kernel ** 2,
    prepare: () =>
      prepareKernel(
        {
          inputs: [
            [batch, from, size, size],
            [to, from, kernel, kernel],
          ],
          dtype,
          backward,
        },
        (x, weight) => nn.functional.conv2d(x, weight, undefined, { stride, padding }),
      ),
  };
}

const cases: readonly Case[] = [
  { batch: 16, from: 64, to: 64, size: 56, kernel: 3, stride: 1 },
  { batch: 16, from: 256, to: 256, size: 14, kernel: 3, stride: 1 },
  { batch: 16, from: 256, to: 64, size: 56, kernel: 1, stride: 1 },
  { batch: 16, from: 3, to: 64, size: 224, kernel: 7, stride: 2 },
];

export const workloads: Workload[] = (['float32', 'bfloat16'] as const).flatMap((dtype) =>
  cases.flatMap((of) => [false, true].map((backward) => convolution(of, dtype, backward))),
);
