/** Gradients as functions: of given tensors, and of functions. */
import { ArgumentError, AutogradError } from '../errors';
import { zerosLike } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { checkFunction, checkList } from '../tensor/checks';
import type { Edge } from '../tensor/node';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { initialGradient, propagate } from './backward';
import { enableGrad } from './modes';

export interface GradientsOptions {
  /** The gradients of the outputs; 1 for outputs of one element, which all must have without it. */
  readonly gradients?: readonly AnyTensor[];
  readonly retainGraph?: boolean;
  readonly createGraph?: boolean;
}

/**
 * The gradients of the sum of `outputs` with respect to `inputs`, which may be leaves or results of ops; undefined for an input that the outputs do
 * not depend on. No `grad` changes.
 *
 * @throws AutogradError when an input requires no gradient or nothing was recorded.
 * @example
 * const x = tensor([3]).requiresGrad_();
 * const [g] = gradients([x.square().sum()], [x]); // [6]
 */
export function gradients(
  outputs: readonly AnyTensor[],
  inputs: readonly AnyTensor[],
  options: GradientsOptions = {},
): (AnyTensor | undefined)[] {
  checkList('gradients', 'outputs', outputs);
  checkList('gradients', 'inputs', inputs);
  checkOptions('gradients', options);
  if (options.gradients !== undefined) checkList('gradients', 'gradients', options.gradients);
  const roots = outputs.map((output, i) => ({
    edge: edgeOf('gradients', output, `outputs[${i}]`),
    gradient: initialGradient('gradients', output, options.gradients?.[i], 'gradients'),
  }));
  const wanted = inputs.map((input, i) => edgeOf('gradients', input, `inputs[${i}]`));
  return propagate(roots, options, wanted, false);
}

function edgeOf(op: string, tensor: AnyTensor, name: string): Edge {
  checkTensor(op, tensor, name);
  if (tensor.edge !== undefined) return tensor.edge;
  throw new AutogradError(
    `${op}: ${name}: got a tensor ${show(tensor.shape)} that does not require a gradient, expected one that does`,
  );
}

/** A function of tensors with one result. */
export type TensorFunction<Arguments extends readonly AnyTensor[]> = (...args: Arguments) => AnyTensor;

/** One entry per argument. */
type PerArgument<Arguments extends readonly AnyTensor[]> = { [I in keyof Arguments]: Arguments[I] };

/**
 * The function that computes f's value, which has one element, and its gradients with respect to all arguments. Inside another transform the result can be
 * differentiated again.
 *
 * @example
 * const [y, [gx]] = valueAndGrad((x) => x.square().sum())(tensor([1, 2])); // 5, [2, 4]
 */
export function valueAndGrad<Arguments extends readonly AnyTensor[]>(
  f: TensorFunction<Arguments>,
): (...args: Arguments) => [AnyTensor, PerArgument<Arguments>] {
  return valueAndGradOf('valueAndGrad', f);
}

function valueAndGradOf<Arguments extends readonly AnyTensor[]>(
  op: string,
  f: TensorFunction<Arguments>,
): (...args: Arguments) => [AnyTensor, PerArgument<Arguments>] {
  checkFunction(op, 'f', f);
  return (...args) => {
    args.forEach((argument, i) => checkTensor(op, argument, `inputs[${i}]`));
    const nested = args.some((argument) => argument.requiresGrad);
    const inputs = args.map((argument) => (argument.requiresGrad ? argument : argument.detach().requiresGrad_()));
    const value: unknown = enableGrad(() => f(...(inputs as unknown as Arguments)));
    checkTensor(op, value, 'f');
    if (value.size !== 1) {
      throw new ArgumentError(`${op}: f: got a result of shape ${show(value.shape)}, expected one element`);
    }
    const found = value.requiresGrad
      ? gradients([value], inputs, { createGraph: nested, retainGraph: nested })
      : inputs.map(() => undefined);
    const all = found.map((gradient, i) => gradient ?? zerosLike(inputs[i]!));
    return [nested ? value : value.detach(), all as unknown as PerArgument<Arguments>];
  };
}

/**
 * The function that computes the gradients of f, whose result has one element, with respect to all arguments: one tensor for a function of one
 * argument, else an array.
 *
 * @example
 * grad((x) => x.sin().sum())(tensor([0])); // cos 0 = [1]
 * grad((x) => grad((y) => y.pow(3).sum())(x).sum())(tensor([2])); // 6·2 = [12]
 */
export function grad<A extends AnyTensor>(f: (x: A) => AnyTensor): (x: A) => A;
export function grad<Arguments extends readonly [AnyTensor, AnyTensor, ...AnyTensor[]]>(
  f: TensorFunction<Arguments>,
): (...args: Arguments) => PerArgument<Arguments>;
export function grad(f: TensorFunction<AnyTensor[]>): (...args: AnyTensor[]) => AnyTensor | AnyTensor[] {
  const both = valueAndGradOf('grad', f);
  return (...args) => {
    const [, all] = both(...args);
    return args.length === 1 ? all[0]! : all;
  };
}
