/** Single kernels, bound by memory or by transcendental functions, and attention. */
import { nn, noGrad, optim, scope, tensor } from 'hadal';
import type { AnyTensor } from 'hadal';

import { classes, prepareKernel, summary, wave, type Float, type Kernel, type Workload } from './harness';

const suffix = (dtype: Float, backward: boolean): string =>
  `${backward ? ' fwd+bwd' : ''}${dtype === 'bfloat16' ? ' bf16' : ''}`;

/** Many to a scope, as in a training step: the cost of the scope is not the kernel's. */
function pointwise(name: 'exp' | 'tanh' | 'gelu' | 'sigmoid' | 'log', reach: number): Workload {
  const count = 32768;
  const many = 20;
  return {
    name: `${name} 32k`,
    twin: ['pointwise', name, count],
    reach,
    per: many,
    prepare() {
      const x = noGrad(() => (name === 'log' ? wave([count], 1).abs().add(0.5) : wave([count], 1)));
      return {
        step: () => {
          scope(() => {
            for (let i = 0; i < many; i++) x[name]().dispose(); // at once, as the peer's result goes
          });
        },
        check: summary(x[name]()),
      };
    },
  };
}

function rows(
  name: string,
  twin: string,
  f: (x: AnyTensor) => AnyTensor,
  backward: boolean,
  reach: number,
  shape: readonly [number, number] = [8192, 768],
): Workload {
  const kernel: Kernel = { inputs: [shape], backward };
  return {
    name: `${name} ${shape.join('×')}${suffix('float32', backward)}`,
    twin: ['rows', twin, ...shape, backward],
    reach,
    // x in and y out; then the gradient and y in and the gradient by x out.
    bytes: (backward ? 5 : 2) * 4 * shape[0] * shape[1],
    prepare: () => prepareKernel(kernel, f),
  };
}

function crossEntropy(backward: boolean): Workload {
  const [count, number] = [8192, 50257];
  return {
    name: `cross entropy ${count}×${number}${suffix('float32', backward)}`,
    twin: ['cross_entropy', count, number, backward],
    reach: 1.5,
    bytes: (backward ? 3 : 1) * 4 * count * number,
    prepare() {
      const targets = tensor(classes(count, number));
      const x = wave([count, 1], 1).add(wave([1, number], 2));
      return prepareKernel({ inputs: [x], backward }, (x) => nn.functional.crossEntropy(x, targets));
    },
  };
}

/** Of the layer that gives a language model's logits, and their loss. */
function linearCrossEntropy(): Workload {
  const [count, width, number] = [2048, 768, 50257];
  return {
    name: `linear cross entropy ${count}×${width}×${number}${suffix('float32', true)}`,
    twin: ['linear_cross_entropy', count, width, number],
    flops: 6 * count * width * number,
    prepare() {
      const targets = tensor(classes(count, number));
      // Of larger weights the losses would be so large that most of their gradients are subnormal, which slows products down.
      const inputs = [[count, width], wave([number, width], 2, 0.02)];
      return prepareKernel({ inputs, backward: true }, (x, w) => nn.functional.linearCrossEntropy(x, w, targets));
    },
  };
}

function attention(dtype: Float, backward: boolean): Workload {
  const shape = [4, 12, 1024, 64];
  return {
    name: `causal attention B4 H12 T1024 d64${suffix(dtype, backward)}`,
    twin: ['attention', ...shape, dtype, backward],
    dtype,
    reach: backward ? 2.5 : 3,
    // Two products forward and five backward, of which the mask leaves half.
    flops: (backward ? 7 : 2) * 4 * 12 * 1024 * 1024 * 64,
    prepare: () =>
      prepareKernel({ inputs: [shape, shape, shape], dtype, backward }, (q, k, v) =>
        nn.functional.scaledDotProductAttention(q, k, v, { causal: true }),
      ),
  };
}

/** A new 64 MB result each time: nothing of it is in a cache. */
const bigGelu: Workload = {
  name: 'gelu 64 MB',
  twin: ['rows', 'gelu', 4096, 4096, false],
  reach: 4,
  bytes: 2 * 4 * 4096 * 4096,
  prepare: () => prepareKernel({ inputs: [[4096, 4096]] }, (x) => x.gelu()),
};

const adamW: Workload = {
  name: 'AdamW, 16 tensors of 1024²',
  twin: ['adamw', 16, 1024],
  reach: 1,
  bytes: 7 * 4 * 16 * 1024 * 1024,
  prepare() {
    const parameters = Array.from({ length: 16 }, (_, i) => wave([1024, 1024], i).requiresGrad_());
    parameters.forEach((p, i) => (p.grad = wave([1024, 1024], i + 1)));
    const optimizer = new optim.AdamW(parameters, { lr: 1e-3 });
    optimizer.step();
    return { step: () => optimizer.step(), check: summary(parameters[3]!.detach()) };
  },
};

export const workloads: Workload[] = [
  ...(['exp', 'tanh', 'gelu', 'sigmoid', 'log'] as const).map((name) => pointwise(name, 3)),
  bigGelu,
  ...[false, true].flatMap((backward) => [
    rows('softmax', 'softmax', (x) => x.softmax(-1), backward, 1.5),
    rows('layer norm', 'layer_norm', (x) => nn.functional.layerNorm(x, 768), backward, 1.05),
    crossEntropy(backward),
  ]),
  linearCrossEntropy(),
  rows('sum', 'sum', (x) => x.sum(), false, 1, [4096, 4096]),
  adamW,
  ...(['float32', 'bfloat16'] as const).flatMap((dtype) => [attention(dtype, false), attention(dtype, true)]),
];
