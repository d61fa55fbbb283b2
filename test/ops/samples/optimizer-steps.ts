// Samples of the fused optimizer steps, on copies of their tensors.
import type { AnyTensor, DType } from '../../../lib/index';
import { adamStep, scaleToNorm, sgdStep, totalNorm } from '../../../lib/ops/optimizer-steps';
import { mapped, type Draw, type Sample } from '../sample';

const written = (tensors: readonly AnyTensor[], write: (copies: AnyTensor[]) => void): AnyTensor[] => {
  const copies = tensors.map((x) => x.detach().clone());
  write(copies);
  return copies;
};
const adam = {
  learningRate: 0.1,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  decoupled: true,
  amsgrad: false,
  maximize: false,
  step: 3,
};
const sgd = {
  learningRate: 0.1,
  momentum: 0.9,
  dampening: 0,
  weightDecay: 0.01,
  nesterov: true,
  maximize: false,
  firstStep: false,
};
const vectors =
  (names: number, low = -1) =>
  (draw: Draw, dtype: DType) =>
    Array.from({ length: names }, () => draw.tensor([37], dtype, low, 1));
export const samples: Sample[] = [
  {
    op: 'sgdStep',
    variant: 'Nesterov momentum, decay',
    dtypes: ['float64', 'float32'],
    inputs: vectors(3),
    call: (p, g, m) => written([p, m], ([x, y]) => sgdStep([x!], [g], [y!], sgd)),
    reference: (p, g, m) => {
      const gradient = mapped((x, d) => d + 0.01 * x, p, g);
      const momentum = mapped((v, d) => 0.9 * v + d, m, gradient);
      return [mapped((x, d, v) => x - 0.1 * (d + 0.9 * v), p, gradient, momentum), momentum];
    },
    order: 0,
  },
  {
    op: 'adamStep',
    variant: 'AdamW',
    dtypes: ['float64', 'float32'],
    inputs: (draw, dtype) => [...vectors(3)(draw, dtype), ...vectors(1, 0.1)(draw, dtype)],
    call: (p, g, m, v) => written([p, m, v], ([x, y, z]) => adamStep([x!], [g], [y!], [z!], [], adam)),
    reference: (p, g, m, v) => {
      const mean = mapped((a, d) => 0.9 * a + 0.1 * d, m, g);
      const square = mapped((a, d) => 0.99 * a + 0.01 * d * d, v, g);
      const step = (x: number, a: number, b: number): number =>
        x * (1 - 0.1 * 0.01) - (0.1 * (a / (1 - 0.9 ** 3))) / (Math.sqrt(b / (1 - 0.99 ** 3)) + 1e-8);
      return [mapped(step, p, mean, square), mean, square];
    },
    order: 0,
  },
  {
    op: 'scaleToNorm',
    variant: 'two tensors, down to 1',
    dtypes: ['float64', 'float32'],
    inputs: vectors(2),
    call: (a, b) => written([a, b], (copies) => scaleToNorm(copies, totalNorm(copies, 2), 1)),
    reference: (a, b) => {
      const norm = Math.hypot(...a.values, ...b.values);
      return [a, b].map((x) => mapped((value) => value * Math.min(1, 1 / (norm + 1e-6)), x));
    },
    order: 0,
  },
];
