/** Fused steps over many tensors: one command updates parameters and states in place. Called by lib/optim. */
import { tape } from '../runtime/tape';
import type { AnyTensor } from '../tensor/tensor';
import { zeros } from './creation';
import { defineOp, floats, run, runInto, type NativeOp } from './define';

const fillOp = defineOp('fill', { dtypes: floats });
const sgdStepOp = defineOp('sgdStep', { dtypes: floats });
const adamStepOp = defineOp('adamStep', { dtypes: floats });
const adamaxStepOp = defineOp('adamaxStep', { dtypes: floats });
const adagradStepOp = defineOp('adagradStep', { dtypes: floats });
const adadeltaStepOp = defineOp('adadeltaStep', { dtypes: floats });
const rmsPropStepOp = defineOp('rmsPropStep', { dtypes: floats });
const lionStepOp = defineOp('lionStep', { dtypes: floats });
const lerpTensorsOp = defineOp('lerpTensors', { dtypes: floats });
const clampTensorsOp = defineOp('clampTensors', { dtypes: floats });
const gradNormOp = defineOp('gradNorm', { dtypes: floats });
const scaleTensorsOp = defineOp('scaleTensors', { dtypes: floats });

/** A record has room for some 10,000 tensors; longer lists go in pieces. */
const tensorsPerCommand = 1024;

/** The tensors of a step: entry i of every list belongs to parameter i. */
export interface StepTensors {
  readonly parameters: readonly AnyTensor[];
  readonly gradients: readonly AnyTensor[];
  /** In the order of the kernel. */
  readonly states: readonly (readonly AnyTensor[])[];
}

/** The settings of a step; asked again at each replay of a compiled step. */
type Live<Settings> = () => Settings;

/** What `value` gives; in a trace a tensor like `x` that is filled with it anew at each replay. */
export function liveNumber(x: AnyTensor, value: Live<number>): AnyTensor | number {
  if (tape === undefined) return value();
  const result = zeros([], { dtype: x.dtype, device: x.device }) as AnyTensor;
  runInto(fillOp, [], [result], () => [value()]);
  return result;
}

function step(
  op: NativeOp<readonly number[]>,
  tensors: StepTensors,
  attributes: Live<readonly (number | boolean)[]>,
): void {
  const { parameters, gradients, states } = tensors;
  const numbers = (): number[] => attributes().map(Number);
  inPieces(parameters.length, (from, to) => {
    const outputs = [parameters, ...states].flatMap((list) => list.slice(from, to));
    runInto(op, gradients.slice(from, to), outputs, numbers);
  });
}

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

/** One step of stochastic gradient descent; states: the momentum, unless that is 0. */
export function sgdStep(tensors: StepTensors, settings: Live<SgdStep>): void {
  step(sgdStepOp, tensors, () => {
    const { learningRate, momentum, dampening, weightDecay, nesterov, maximize, firstStep } = settings();
    return [learningRate, momentum, dampening, weightDecay, nesterov, maximize, firstStep];
  });
}

export interface AdamStep {
  readonly beta1: number;
  readonly beta2: number;
  /** What the parameter is multiplied with first. */
  readonly shrink: number;
  readonly decay: number;
  readonly gradientRate: number;
  readonly meanRate: number;
  readonly rootScale: number;
  readonly epsilon: number;
  readonly amsgrad: boolean;
  readonly maximize: boolean;
}

/**
 * One step of the family of Adam: p ← shrink·p − (gradientRate·g + meanRate·m) / (rootScale·√v + ε); states: the moving means m of the gradient and v of its
 * square, with `amsgrad` also the largest v.
 */
export function adamStep(tensors: StepTensors, settings: Live<AdamStep>): void {
  step(adamStepOp, tensors, () => {
    const { beta1, beta2, shrink, decay, gradientRate, meanRate, rootScale, epsilon, amsgrad, maximize } = settings();
    return [beta1, beta2, shrink, decay, gradientRate, meanRate, rootScale, epsilon, amsgrad, maximize];
  });
}

export interface AdamaxStep {
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly decay: number;
  readonly maximize: boolean;
}

/** One step of Adamax; states: the moving mean of the gradient and its decaying largest magnitude. */
export function adamaxStep(tensors: StepTensors, settings: Live<AdamaxStep>): void {
  step(adamaxStepOp, tensors, () => {
    const s = settings();
    return [s.rate, s.beta1, s.beta2, s.epsilon, s.decay, s.maximize];
  });
}

export interface AdagradStep {
  readonly rate: number;
  readonly epsilon: number;
  readonly decay: number;
  readonly maximize: boolean;
}

/** One step of Adagrad; states: the sum of squared gradients. */
export function adagradStep(tensors: StepTensors, settings: Live<AdagradStep>): void {
  step(adagradStepOp, tensors, () => {
    const s = settings();
    return [s.rate, s.epsilon, s.decay, s.maximize];
  });
}

export interface AdadeltaStep {
  readonly rate: number;
  readonly rho: number;
  readonly epsilon: number;
  readonly decay: number;
  readonly maximize: boolean;
}

/** One step of Adadelta; states: the moving means of the squared gradient and of the squared update. */
export function adadeltaStep(tensors: StepTensors, settings: Live<AdadeltaStep>): void {
  step(adadeltaStepOp, tensors, () => {
    const s = settings();
    return [s.rate, s.rho, s.epsilon, s.decay, s.maximize];
  });
}

export interface RmsPropStep {
  readonly rate: number;
  readonly alpha: number;
  readonly epsilon: number;
  readonly decay: number;
  readonly momentum: number;
  readonly centered: boolean;
  readonly maximize: boolean;
}

/** One step of RMSprop; states: the moving mean of the squared gradient, that of the gradient if centred, the momentum unless it is 0. */
export function rmsPropStep(tensors: StepTensors, settings: Live<RmsPropStep>): void {
  step(rmsPropStepOp, tensors, () => {
    const s = settings();
    return [s.rate, s.alpha, s.epsilon, s.decay, s.momentum, s.centered, s.maximize];
  });
}

export interface LionStep {
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly shrink: number;
  readonly maximize: boolean;
}

/** One step of Lion; states: the moving mean of the gradient. */
export function lionStep(tensors: StepTensors, settings: Live<LionStep>): void {
  step(lionStepOp, tensors, () => {
    const s = settings();
    return [s.rate, s.beta1, s.beta2, s.shrink, s.maximize];
  });
}

/** averages ← averages + (values − averages)·weight, in place. */
export function lerpTensors(averages: readonly AnyTensor[], values: readonly AnyTensor[], weight: number): void {
  step(lerpTensorsOp, { parameters: averages, gradients: values, states: [] }, () => [weight]);
}

/** Clamps all tensors to [−limit, limit] in place; a NaN stays. */
export function clampTensors(tensors: readonly AnyTensor[], limit: number): void {
  step(clampTensorsOp, { parameters: tensors, gradients: tensors, states: [] }, () => [limit]);
}

/** The norm of all tensors taken as one vector, a 0-d tensor; 0 of none. `order` is 1, 2 or Infinity. */
export function totalNorm(tensors: readonly AnyTensor[], order: number): AnyTensor {
  if (tensors.length === 0) return zeros([]);
  const dtype = tensors.some((tensor) => tensor.dtype === 'float64') ? 'float64' : 'float32';
  return run(gradNormOp, tensors, [], dtype, [order]);
}

/** Multiplies all tensors with `factor`, a 0-d tensor, in place. */
export function scaleTensors(tensors: readonly AnyTensor[], factor: AnyTensor): void {
  inPieces(tensors.length, (from, to) => runInto(scaleTensorsOp, [factor], tensors.slice(from, to), []));
}

function inPieces(count: number, run: (from: number, to: number) => void): void {
  for (let from = 0; from < count; from += tensorsPerCommand) run(from, Math.min(from + tensorsPerCommand, count));
}
