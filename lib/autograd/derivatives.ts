/**
 * Derivatives of functions whose result has any shape: products of the Jacobian from either side, the Jacobian and the Hessian themselves. All are
 * backward passes; jvp is the derivative of one with respect to the gradient that it starts from.
 */
import { ArgumentError, ShapeError } from '../errors';
import { zeros, zerosLike } from '../ops/creation';
import { checkTensor } from '../ops/define';
import { eye } from '../ops/diagonal';
import { stack } from '../ops/movement';
import { checkFunction, checkList } from '../tensor/checks';
import { describe } from '../tensor/describe';
import { sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { enableGrad } from './modes';
import { gradients, valueAndGrad, type TensorFunction } from './transforms';

/** One entry per argument. */
type PerArgument<Arguments extends readonly AnyTensor[]> = { [I in keyof Arguments]: Arguments[I] };

/** A call of f that has been recorded. */
interface Recorded {
  readonly inputs: readonly AnyTensor[];
  readonly output: AnyTensor;
  /** Whether an argument was being differentiated already, so that what is found here must be differentiable too. */
  readonly nested: boolean;
}

function record(op: string, f: (...args: never[]) => unknown, args: readonly AnyTensor[]): Recorded {
  checkFunction(op, 'f', f);
  args.forEach((argument, i) => checkTensor(op, argument, `inputs[${i}]`));
  const nested = args.some((argument) => argument.requiresGrad);
  const inputs = args.map((argument) => (argument.requiresGrad ? argument : argument.detach().requiresGrad_()));
  const output = enableGrad(() => f(...(inputs as unknown as never[])));
  checkTensor(op, output, 'f');
  return { inputs, output, nested };
}

/** What backward finds for every input, zeros for one that the output does not depend on. */
function pulledBack({ inputs, output }: Recorded, gradient: AnyTensor, createGraph: boolean): AnyTensor[] {
  if (!output.requiresGrad) return inputs.map((x) => zerosLike(x));
  const found = gradients([output], inputs, { gradients: [gradient], retainGraph: true, createGraph });
  return found.map((g, i) => g ?? zerosLike(inputs[i]!));
}

const valueOf = ({ output, nested }: Recorded): AnyTensor => (nested ? output : output.detach());

/**
 * f's value and the function that takes a gradient of it back to the arguments: gᵀ·J, with the Jacobian J of f. That may be called any number of times.
 *
 * @throws ArgumentError unless f gives one tensor; ShapeError, when it is called, unless the gradient has the shape of f's value.
 * @example
 * const [y, pullback] = vjp((x) => x.square(), tensor([1, 2, 3]));
 * pullback(tensor([1, 0, 2])); // [[2, 0, 12]]
 */
export function vjp<Arguments extends readonly AnyTensor[]>(
  f: TensorFunction<Arguments>,
  ...inputs: Arguments
): [value: AnyTensor, pullback: (gradient: AnyTensor) => PerArgument<Arguments>] {
  const call = record('vjp', f, inputs);
  const pullback = (gradient: AnyTensor): PerArgument<Arguments> => {
    if (!(gradient instanceof Tensor) || !sameShape(gradient.shape, call.output.shape)) {
      const got = gradient instanceof Tensor ? `shape ${show((gradient as AnyTensor).shape)}` : describe(gradient);
      throw new ShapeError(`vjp: gradient: got ${got}, expected ${show(call.output.shape)}`);
    }
    const nested = call.nested || gradient.requiresGrad;
    return pulledBack(call, gradient, nested) as unknown as PerArgument<Arguments>;
  };
  return [valueOf(call), pullback];
}

/**
 * f's value and its directional derivative J·t, with the Jacobian J of f, for a tangent of each argument in its shape. The derivative of a backward pass with
 * respect to the gradient that it starts from, so every op must be twice differentiable.
 *
 * @throws ArgumentError unless f gives one tensor; ShapeError unless there is a tangent for every input, in its shape.
 * @example
 * const [y, dy] = jvp((x) => x.square(), [tensor([1, 2, 3])], [tensor([1, 0, 2])]);
 * dy; // [2, 0, 12]
 */
export function jvp<Arguments extends readonly AnyTensor[]>(
  f: TensorFunction<Arguments>,
  inputs: Arguments,
  tangents: PerArgument<Arguments>,
): [value: AnyTensor, tangent: AnyTensor] {
  const all = tangents as readonly AnyTensor[];
  checkList('jvp', 'inputs', inputs);
  checkList('jvp', 'tangents', tangents);
  if (inputs.length !== all.length) {
    throw new ArgumentError(`jvp: tangents: got ${all.length}, expected ${inputs.length}, one for each input`);
  }
  const call = record('jvp', f, inputs);
  all.forEach((tangent, i) => {
    if (tangent instanceof Tensor && sameShape(tangent.shape, call.inputs[i]!.shape)) return;
    const got = tangent instanceof Tensor ? `shape ${show((tangent as AnyTensor).shape)}` : describe(tangent);
    throw new ShapeError(`jvp: tangents[${i}]: got ${got}, expected ${show(call.inputs[i]!.shape)}`);
  });
  const nested = call.nested || all.some((tangent: AnyTensor) => tangent.requiresGrad);
  const start = zerosLike(call.output).requiresGrad_() as AnyTensor;
  const along = enableGrad(() => {
    const found = pulledBack(call, start, true);
    return found.map((g, i): AnyTensor => g.mul(all[i]!).sum()).reduce((a, b) => a.add(b));
  });
  const [tangent] = along.requiresGrad ? gradients([along], [start], { createGraph: nested, retainGraph: nested }) : [];
  return [valueOf(call), tangent ?? zerosLike(call.output)];
}

/** d output[i] / d input for every element i of the output: [...output.shape, ...input.shape], for every input. */
function jacobians(call: Recorded): AnyTensor[] {
  const { inputs, output, nested } = call;
  const { dtype, device, shape, size } = output;
  if (size === 0) return inputs.map((x) => zeros([...shape, ...x.shape], { dtype: x.dtype, device }) as AnyTensor);
  const directions = eye(size, size, { dtype, device }) as AnyTensor;
  const rows = Array.from({ length: size }, (_, i) =>
    pulledBack(call, directions.select(0, i).reshape(shape) as AnyTensor, nested),
  );
  return inputs.map((x, k) => {
    const whole = stack(rows.map((row) => row[k]!)) as AnyTensor;
    return whole.reshape([...shape, ...x.shape]) as AnyTensor;
  });
}

/**
 * The function that computes the Jacobian of f: ∂f[i] / ∂x[j] of shape [...f(x).shape, ...x.shape]; an array of them, one for each argument, for a function of
 * several. One backward pass for each element of f's value.
 *
 * @throws ArgumentError unless f gives one tensor.
 * @example
 * jacobian((x) => x.square())(tensor([1, 2])); // [[2, 0], [0, 4]]
 */
export function jacobian<A extends AnyTensor>(f: (x: A) => AnyTensor): (x: A) => AnyTensor;
export function jacobian<Arguments extends readonly [AnyTensor, AnyTensor, ...AnyTensor[]]>(
  f: TensorFunction<Arguments>,
): (...args: Arguments) => { [I in keyof Arguments]: AnyTensor };
export function jacobian(f: TensorFunction<AnyTensor[]>): (...args: AnyTensor[]) => AnyTensor | AnyTensor[] {
  checkFunction('jacobian', 'f', f);
  return (...args) => {
    const all = jacobians(record('jacobian', f, args));
    return args.length === 1 ? all[0]! : all;
  };
}

/**
 * The function that computes the Hessian of f, whose value has one element: ∂²f / ∂x[i]∂x[j] of shape [...x.shape, ...x.shape]; for a function of several arguments
 * the blocks of all pairs of them, in an array of arrays. One backward pass for each element of the arguments; every op must be twice differentiable.
 *
 * @throws ArgumentError unless f gives one element.
 * @example
 * hessian((x) => x.pow(3).sum())(tensor([1, 2])); // [[6, 0], [0, 12]]
 */
export function hessian<A extends AnyTensor>(f: (x: A) => AnyTensor): (x: A) => AnyTensor;
export function hessian<Arguments extends readonly [AnyTensor, AnyTensor, ...AnyTensor[]]>(
  f: TensorFunction<Arguments>,
): (...args: Arguments) => { [I in keyof Arguments]: { [J in keyof Arguments]: AnyTensor } };
export function hessian(f: TensorFunction<AnyTensor[]>): (...args: AnyTensor[]) => AnyTensor | AnyTensor[][] {
  checkFunction('hessian', 'f', f);
  const both = valueAndGrad(f);
  return (...args) => {
    const blocks = args.map((_, i) => jacobians(record('hessian', (...xs: AnyTensor[]) => both(...xs)[1][i], args)));
    return args.length === 1 ? blocks[0]![0]! : blocks;
  };
}
