/** Fused optimizer steps over many tensors: one command updates parameters and states in place. Called by lib/optim. */
import type { AnyTensor } from '../tensor/tensor';
import { defineOp, floats, run, runInto } from './define';

const sgdStepOp = defineOp('sgdStep', { dtypes: floats });
const adamStepOp = defineOp('adamStep', { dtypes: floats });
const gradNormOp = defineOp('gradNorm', { dtypes: floats });
const scaleToNormOp = defineOp('scaleToNorm', { dtypes: floats });

/** A record has room for some 10,000 tensors; longer lists go in pieces. */
const tensorsPerCommand = 1024;

export interface SgdStep {
  readonly learningRate: number;
  readonly momentum: number;
  readonly dampening: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
  readonly maximize: boolean;
  /** The momenta are empty: they become the gradients. */
  readonly firstStep: boolean;
}

/** One step of stochastic gradient descent; `momenta` is empty without momentum. */
export function sgdStep(
  parameters: readonly AnyTensor[],
  gradients: readonly AnyTensor[],
  momenta: readonly AnyTensor[],
  s: SgdStep,
): void {
  const attributes = [
    s.learningRate,
    s.momentum,
    s.dampening,
    s.weightDecay,
    Number(s.nesterov),
    Number(s.maximize),
    Number(s.firstStep),
  ];
  inPieces(parameters.length, (from, to) => {
    const outputs = [...parameters.slice(from, to), ...momenta.slice(from, to)];
    runInto(sgdStepOp, gradients.slice(from, to), outputs, attributes);
  });
}

export interface AdamStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Weight decay apart from the gradient, as in AdamW. */
  readonly decoupled: boolean;
  readonly amsgrad: boolean;
  readonly maximize: boolean;
  /** Counted from 1. */
  readonly step: number;
}

/** One step of Adam or AdamW; `maxima` is empty without AMSGrad. */
export function adamStep(
  parameters: readonly AnyTensor[],
  gradients: readonly AnyTensor[],
  means: readonly AnyTensor[],
  squares: readonly AnyTensor[],
  maxima: readonly AnyTensor[],
  s: AdamStep,
): void {
  const attributes = [
    s.learningRate,
    s.beta1,
    s.beta2,
    s.epsilon,
    s.weightDecay,
    Number(s.decoupled),
    Number(s.amsgrad),
    Number(s.maximize),
    s.step,
  ];
  inPieces(parameters.length, (from, to) => {
    const outputs = [parameters, means, squares, maxima].flatMap((list) => list.slice(from, to));
    runInto(adamStepOp, gradients.slice(from, to), outputs, attributes);
  });
}

/** The norm of all tensors taken as one vector, a 0-d tensor. `order` is 1, 2 or Infinity. */
export function totalNorm(tensors: readonly AnyTensor[], order: number): AnyTensor {
  const dtype = tensors.some((tensor) => tensor.dtype === 'float64') ? 'float64' : 'float32';
  return run(gradNormOp, tensors, [], dtype, [order]);
}

/** Scales all tensors in place by min(1, maxNorm / (norm + 1e-6)). */
export function scaleToNorm(tensors: readonly AnyTensor[], norm: AnyTensor, maxNorm: number): void {
  inPieces(tensors.length, (from, to) => runInto(scaleToNormOp, [norm], tensors.slice(from, to), [maxNorm]));
}

function inPieces(count: number, run: (from: number, to: number) => void): void {
  for (let from = 0; from < count; from += tensorsPerCommand) run(from, Math.min(from + tensorsPerCommand, count));
}
