// Samples of the fused optimizer steps, on copies of their tensors.
import type { AnyTensor, DType } from '../../../lib/index';
import {
  adadeltaStep,
  adagradStep,
  adamaxStep,
  adamStep,
  clampTensors,
  lerpTensors,
  lionStep,
  rmsPropStep,
  scaleTensors,
  sgdStep,
  totalNorm,
  type StepTensors,
} from '../../../lib/ops/optimizer-steps';
import { mapped, type Draw, type Sample } from '../sample';

const written = (tensors: readonly AnyTensor[], write: (copies: AnyTensor[]) => void): AnyTensor[] => {
  const copies = tensors.map((x) => x.detach().clone());
  write(copies);
  return copies;
};
/** A step of one parameter: its gradient, the parameter and its states. */
const stepped =
  (step: (tensors: StepTensors) => void) =>
  (gradient: AnyTensor, ...rest: AnyTensor[]): AnyTensor[] =>
    written(rest, ([parameter, ...states]) =>
      step({ parameters: [parameter!], gradients: [gradient], states: states.map((state) => [state]) }),
    );
/** Gradient and parameter in [−1, 1], then states that are positive where `least` is. */
const vectors =
  (states: number, least = -1) =>
  (draw: Draw, dtype: DType): AnyTensor[] =>
    Array.from({ length: 2 + states }, (_, i) => draw.tensor([37], dtype, i < 2 ? -1 : least, 1));
const dtypes = ['float64', 'float32'] as const;

export const samples: Sample[] = [
  {
    op: 'sgdStep',
    variant: 'Nesterov momentum, decay',
    dtypes,
    inputs: vectors(1),
    call: stepped((tensors) =>
      sgdStep(tensors, () => ({
        learningRate: 0.1,
        momentum: 0.9,
        dampening: 0,
        weightDecay: 0.01,
        nesterov: true,
        maximize: false,
        firstStep: false,
      })),
    ),
    reference: (g, p, m) => {
      const gradient = mapped((d, x) => d + 0.01 * x, g, p);
      const momentum = mapped((v, d) => 0.9 * v + d, m, gradient);
      return [mapped((x, d, v) => x - 0.1 * (d + 0.9 * v), p, gradient, momentum), momentum];
    },
    order: 0,
  },
  {
    op: 'adamStep',
    variant: 'all terms',
    dtypes,
    inputs: vectors(2, 0.1),
    call: stepped((tensors) =>
      adamStep(tensors, () => ({
        beta1: 0.9,
        beta2: 0.99,
        shrink: 0.95,
        decay: 0.01,
        gradientRate: 0.02,
        meanRate: 0.3,
        rootScale: 1.5,
        epsilon: 1e-3,
        amsgrad: false,
        maximize: true,
      })),
    ),
    reference: (g, p, m, v) => {
      const shrunk = mapped((x) => 0.95 * x, p);
      const gradient = mapped((d, x) => -d + 0.01 * x, g, shrunk);
      const mean = mapped((a, d) => 0.9 * a + 0.1 * d, m, gradient);
      const square = mapped((a, d) => 0.99 * a + 0.01 * d * d, v, gradient);
      const step = (x: number, d: number, a: number, b: number): number =>
        x - (0.02 * d + 0.3 * a) / (1.5 * Math.sqrt(b) + 1e-3);
      return [mapped(step, shrunk, gradient, mean, square), mean, square];
    },
    order: 0,
  },
  {
    op: 'adamaxStep',
    variant: 'decay',
    dtypes,
    inputs: vectors(2, 0.1),
    call: stepped((tensors) =>
      adamaxStep(tensors, () => ({ rate: 0.1, beta1: 0.9, beta2: 0.5, epsilon: 1e-3, decay: 0.1, maximize: false })),
    ),
    reference: (g, p, m, u) => {
      const gradient = mapped((d, x) => d + 0.1 * x, g, p);
      const mean = mapped((a, d) => 0.9 * a + 0.1 * d, m, gradient);
      const largest = mapped((a, d) => Math.max(0.5 * a, Math.abs(d) + 1e-3), u, gradient);
      return [mapped((x, a, b) => x - (0.1 * a) / b, p, mean, largest), mean, largest];
    },
    order: 0,
  },
  {
    op: 'adagradStep',
    variant: 'ascending',
    dtypes,
    inputs: vectors(1, 0.1),
    call: stepped((tensors) => adagradStep(tensors, () => ({ rate: 0.1, epsilon: 1e-3, decay: 0.1, maximize: true }))),
    reference: (g, p, s) => {
      const gradient = mapped((d, x) => -d + 0.1 * x, g, p);
      const sum = mapped((a, d) => a + d * d, s, gradient);
      return [mapped((x, d, a) => x - (0.1 * d) / (Math.sqrt(a) + 1e-3), p, gradient, sum), sum];
    },
    order: 0,
  },
  {
    op: 'adadeltaStep',
    variant: 'decay',
    dtypes,
    inputs: vectors(2, 0.1),
    call: stepped((tensors) =>
      adadeltaStep(tensors, () => ({ rate: 0.5, rho: 0.8, epsilon: 1e-3, decay: 0.1, maximize: false })),
    ),
    reference: (g, p, s, d) => {
      const gradient = mapped((y, x) => y + 0.1 * x, g, p);
      const square = mapped((a, y) => 0.8 * a + 0.2 * y * y, s, gradient);
      const delta = mapped((y, a, b) => (y * Math.sqrt(b + 1e-3)) / Math.sqrt(a + 1e-3), gradient, square, d);
      return [mapped((x, y) => x - 0.5 * y, p, delta), square, mapped((a, y) => 0.8 * a + 0.2 * y * y, d, delta)];
    },
    order: 0,
  },
  {
    op: 'rmsPropStep',
    variant: 'centred, momentum',
    dtypes,
    inputs: (draw, dtype) => {
      const [g, p, mean, buffer] = vectors(2)(draw, dtype);
      return [g!, p!, draw.tensor([37], dtype, 1, 2), mean!, buffer!];
    },
    call: stepped((tensors) =>
      rmsPropStep(tensors, () => ({
        rate: 0.1,
        alpha: 0.9,
        epsilon: 1e-3,
        decay: 0.1,
        momentum: 0.5,
        centered: true,
        maximize: false,
      })),
    ),
    reference: (g, p, s, m, b) => {
      const gradient = mapped((d, x) => d + 0.1 * x, g, p);
      const square = mapped((a, d) => 0.9 * a + 0.1 * d * d, s, gradient);
      const mean = mapped((a, d) => 0.9 * a + 0.1 * d, m, gradient);
      const step = (v: number, d: number, a: number, c: number): number => 0.5 * v + d / (Math.sqrt(a - c * c) + 1e-3);
      const buffer = mapped(step, b, gradient, square, mean);
      return [mapped((x, v) => x - 0.1 * v, p, buffer), square, mean, buffer];
    },
    order: 0,
  },
  {
    op: 'lionStep',
    variant: 'decay',
    dtypes,
    inputs: vectors(1),
    call: stepped((tensors) =>
      lionStep(tensors, () => ({ rate: 0.1, beta1: 0.9, beta2: 0.8, shrink: 0.99, maximize: false })),
    ),
    reference: (g, p, m) => [
      mapped((x, d, a) => 0.99 * x - 0.1 * Math.sign(0.9 * a + 0.1 * d), p, g, m),
      mapped((d, a) => 0.8 * a + 0.2 * d, g, m),
    ],
    order: 0,
  },
  {
    op: 'lerpTensors',
    variant: 'a third of the way',
    dtypes,
    inputs: vectors(0),
    call: (value, average) => written([average], (copies) => lerpTensors(copies, [value], 1 / 3)),
    reference: (value, average) => [mapped((a, v) => a + (v - a) / 3, average, value)],
    order: 0,
  },
  {
    op: 'clampTensors',
    variant: 'two tensors',
    dtypes,
    inputs: vectors(0),
    call: (a, b) => written([a, b], (copies) => clampTensors(copies, 0.5)),
    reference: (a, b) => [a, b].map((x) => mapped((value) => Math.min(0.5, Math.max(-0.5, value)), x)),
    order: 0,
  },
  {
    op: 'scaleTensors',
    variant: 'two tensors, by their norm',
    dtypes,
    inputs: vectors(0),
    call: (a, b) => written([a, b], (copies) => scaleTensors(copies, totalNorm(copies, 2))),
    reference: (a, b) => {
      const norm = Math.hypot(...a.values, ...b.values);
      return [a, b].map((x) => mapped((value) => value * norm, x));
    },
    order: 0,
  },
];
