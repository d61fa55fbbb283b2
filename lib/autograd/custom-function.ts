/** Functions with a gradient of the user's own, and checkpoints that trade time for memory. */
import { ArgumentError } from '../errors';
import { autocasting } from '../ops/autocast';
import { checkTensor } from '../ops/define';
import { getRandomState, setRandomState } from '../runtime/random';
import { checkFunction, checkList, checkMethods, checkString } from '../tensor/checks';
import { Edge, Node, recording, type Gradients } from '../tensor/node';
import type { AnyTensor } from '../tensor/tensor';
import { autocastAs } from './autocast';
import { propagate } from './backward';
import { enableGrad, noGrad } from './modes';

/** What `forward` leaves for `backward`. */
export type Saved = Record<string, unknown>;

export interface FunctionDefinition<Inputs extends readonly AnyTensor[]> {
  /** Shown in errors. */
  readonly name?: string;
  /** Computes the result, unrecorded; may put what the gradient needs into `saved`. */
  forward(saved: Saved, ...inputs: Inputs): AnyTensor;
  /** The gradients of the inputs, undefined where there is none, from that of the result. Write it over ops and it can be differentiated again. */
  backward(saved: Saved, gradient: AnyTensor): Gradients;
}

/**
 * Makes a function with the given gradient.
 *
 * @throws ArgumentError when `forward` gives no tensor.
 * @example
 * const clipped = defineFunction({
 *   forward: (_, x) => x.clone(),
 *   backward: (_, g) => [g.clamp(-1, 1)], // a gradient that never explodes
 * });
 */
export function defineFunction<Inputs extends readonly AnyTensor[]>(
  definition: FunctionDefinition<Inputs>,
): (...inputs: Inputs) => AnyTensor {
  checkMethods('defineFunction', 'definition', definition, ['forward', 'backward']);
  const { name = 'function' } = definition;
  checkString('defineFunction', 'name', name);
  return (...inputs) => {
    inputs.forEach((input, i) => checkTensor(name, input, `inputs[${i}]`));
    const saved: Saved = {};
    const result: unknown = noGrad(() => definition.forward(saved, ...inputs));
    checkTensor(name, result, 'forward');
    // The caller may have answered an input or a tensor with a history of its own.
    const output = result.detach() as AnyTensor;
    if (recording.enabled && inputs.some((input) => input.requiresGrad)) {
      const gradient = (g: AnyTensor): Gradients => {
        const found: unknown = definition.backward(saved, g);
        checkList(name, 'backward', found);
        return found as Gradients;
      };
      attach(output, { name, gradient }, inputs);
    }
    return output;
  };
}

/** Makes `output` the result of a node. */
function attach(
  output: AnyTensor,
  op: { readonly name: string; readonly gradient: (g: AnyTensor) => Gradients },
  inputs: readonly AnyTensor[],
): void {
  const node: Node = new Node<unknown>(
    op,
    inputs.map((input) => input.edge),
    undefined,
  );
  if (recording.anomaly) node.trace = new Error(op.name).stack;
  output.edge = new Edge(node, 0, output.shape, output.dtype);
  node.outputEdges = [output.edge];
}

/**
 * Runs `f` without keeping what its backward pass needs, and runs it again there: memory for time. Random numbers are drawn the same both times.
 * Tensors that `f` uses besides its inputs, such as parameters, collect their gradients in `grad`, also during `gradients()`.
 *
 * @see Chen et al., 2016, Training deep nets with sublinear memory cost.
 * @example
 * const y = checkpoint((x) => block.forward(x), x);
 */
export function checkpoint<Inputs extends readonly AnyTensor[]>(
  f: (...inputs: Inputs) => AnyTensor,
  ...inputs: Inputs
): AnyTensor {
  checkFunction('checkpoint', 'f', f);
  inputs.forEach((input, i) => checkTensor('checkpoint', input, `inputs[${i}]`));
  if (!recording.enabled) return f(...inputs);
  const random = getRandomState();
  const { dtype } = autocasting;
  const result: unknown = noGrad(() => f(...inputs));
  checkTensor('checkpoint', result, 'f');
  const output = result.detach();
  const gradient = (g: AnyTensor): Gradients => {
    if (recording.enabled)
      throw new ArgumentError('checkpoint: got backward with createGraph, expected a first-order backward');
    const now = getRandomState();
    setRandomState(random);
    const leaves = inputs.map((input) => (input.requiresGrad ? input.detach().requiresGrad_() : input));
    const wanted = inputs.flatMap((input, i) => (input.requiresGrad ? leaves[i]!.edge! : []));
    try {
      const again = autocastAs(dtype, () => enableGrad(() => f(...(leaves as unknown as Inputs))));
      const roots = again.edge === undefined ? [] : [{ edge: again.edge, gradient: g }];
      const found = propagate(roots, {}, wanted);
      return inputs.map((input) => (input.requiresGrad ? found.shift() : undefined));
    } finally {
      setRandomState(now);
    }
  };
  attach(output, { name: 'checkpoint', gradient }, inputs);
  return output;
}
