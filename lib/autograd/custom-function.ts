/** Functions with a gradient of the user's own, and checkpoints that trade time for memory. */
import { ArgumentError } from '../errors';
import { autocasting } from '../ops/autocast';
import { zeros } from '../ops/creation';
import { checkTensor } from '../ops/define';
import { getRandomState, setRandomState } from '../runtime/random';
import { checkFunction, checkList, checkMethods, checkString } from '../tensor/checks';
import { Edge, Node, recording, type Differentiable, type Gradients } from '../tensor/node';
import { isFloat } from '../tensor/dtype';
import type { AnyTensor } from '../tensor/tensor';
import { autocastAs } from './autocast';
import { propagate } from './backward';
import { enableGrad, noGrad } from './modes';

/** What `forward` leaves for `backward`. */
export type Saved = Record<string, unknown>;

type Outputs = AnyTensor | readonly AnyTensor[];

export interface FunctionDefinition<Inputs extends readonly AnyTensor[], O extends Outputs = AnyTensor> {
  /** Shown in errors. */
  readonly name?: string;
  /** Computes the result, or several as an array, unrecorded; may put what the gradient needs into `saved`. */
  forward(saved: Saved, ...inputs: Inputs): O;
  /**
   * The gradients of the inputs, undefined where there is none, from those of the results: zeros for one that nothing was made of. Write it over ops and it
   * can be differentiated again.
   */
  backward(saved: Saved, ...gradients: O extends AnyTensor ? [AnyTensor] : { [K in keyof O]: AnyTensor }): Gradients;
}

/**
 * Makes a function with the given gradient. Results of integers and bool have none.
 *
 * @throws ArgumentError when `forward` gives neither a tensor nor an array of tensors.
 * @example
 * const clipped = defineFunction({
 *   forward: (_, x) => x.clone(),
 *   backward: (_, g) => [g.clamp(-1, 1)], // a gradient that never explodes
 * });
 */
export function defineFunction<Inputs extends readonly AnyTensor[], const O extends Outputs = AnyTensor>(
  definition: FunctionDefinition<Inputs, O>,
): (...inputs: Inputs) => O {
  checkMethods('defineFunction', 'definition', definition, ['forward', 'backward']);
  const { name = 'function' } = definition;
  checkString('defineFunction', 'name', name);
  return (...inputs) => {
    inputs.forEach((input, i) => checkTensor(name, input, `inputs[${i}]`));
    const saved: Saved = {};
    const result: unknown = noGrad(() => definition.forward(saved, ...inputs));
    const results: readonly unknown[] = Array.isArray(result) ? result : [result];
    // The caller may have answered an input or a tensor with a history of its own.
    const outputs = results.map((each, i): AnyTensor => {
      checkTensor(name, each, Array.isArray(result) ? `forward[${i}]` : 'forward');
      return each.detach() as AnyTensor;
    });
    const smooth = outputs.filter(({ dtype }) => isFloat(dtype));
    if (recording.enabled && smooth.length > 0 && inputs.some((input) => input.requiresGrad)) {
      const kinds = outputs.map(({ shape, dtype, device }) => ({ shape, dtype, device }));
      const gradient = (first: AnyTensor, _: Node, rest: Gradients): Gradients => {
        const arrived = [first, ...rest];
        const all = kinds.map(({ shape, ...kind }) => {
          return (isFloat(kind.dtype) ? arrived.shift() : undefined) ?? zeros(shape, kind);
        });
        const found: unknown = definition.backward(saved, ...(all as never));
        checkList(name, 'backward', found);
        return found as Gradients;
      };
      attach(smooth, { name, gradient }, inputs);
    }
    return (Array.isArray(result) ? outputs : outputs[0]) as O;
  };
}

/** Makes `outputs` the results of a node. */
function attach(outputs: readonly AnyTensor[], op: Differentiable, inputs: readonly AnyTensor[]): void {
  const node: Node = new Node<unknown>(
    op,
    inputs.map((input) => input.edge),
    undefined,
  );
  if (recording.anomaly) node.trace = new Error(op.name).stack;
  node.outputEdges = outputs.map((output, i) => (output.edge = new Edge(node, i, output.shape, output.dtype)));
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
  attach([output], { name: 'checkpoint', gradient }, inputs);
  return output;
}
