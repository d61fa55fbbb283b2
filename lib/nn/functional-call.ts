/** Modules as functions of their parameters, for what is learned through a step of learning. */
import { ArgumentError, ShapeError } from '../errors';
import { checkTensor } from '../ops/define';
import { describe } from '../tensor/describe';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { checkForward } from './container';
import { Module, type ForwardModule, type StateDict } from './module';

/**
 * What `module.forward(...inputs)` gives where `tensors` stand in the place of its parameters and buffers of these names; those that are not named stay. The
 * module itself is as before afterwards. Gradients flow to the tensors, through whatever made them: as in meta-learning, where they come from a step of
 * gradient descent. `forward` must do its work before it returns.
 *
 * @throws ArgumentError for a name that the module has not; ShapeError for a tensor of another shape.
 * @see Finn et al., 2017, Model-agnostic meta-learning for fast adaptation of deep networks.
 * @example
 * const model = new nn.Linear(2, 1);
 * nn.functionalCall(model, { weight: ones([1, 2]), bias: zeros([1]) }, ones([3, 2])).shape; // [3, 1]
 */
export function functionalCall<M extends ForwardModule>(
  module: M,
  tensors: Readonly<StateDict>,
  ...inputs: Parameters<M['forward']>
): ReturnType<M['forward']> {
  checkForward('functionalCall', 'module', module);
  if (typeof tensors !== 'object' || tensors === null) {
    throw new ArgumentError(`functionalCall: tensors: got ${describe(tensors)}, expected tensors by name`);
  }
  const own = module.stateDict();
  const replacements = new Map<AnyTensor, AnyTensor>();
  for (const [name, tensor] of Object.entries(tensors)) {
    checkTensor('functionalCall', tensor, name);
    const known = Object.hasOwn(own, name) ? own[name] : undefined;
    if (known === undefined) {
      throw new ArgumentError(
        `functionalCall: tensors: got ${name}, expected names among ${Object.keys(own).join(', ')}`,
      );
    }
    if (!sameShape(known.shape, tensor.shape)) {
      throw new ShapeError(`functionalCall: ${name}: got shape ${show(tensor.shape)}, expected ${show(known.shape)}`);
    }
    replacements.set(known, tensor);
  }
  const places = module
    .modules()
    .flatMap((each) => [...Module.placesOf(each)])
    .filter(([, , tensor]) => replacements.has(tensor));
  for (const [holder, key, tensor] of places) holder[key] = replacements.get(tensor);
  try {
    return module.forward(...(inputs as never[])) as ReturnType<M['forward']>;
  } finally {
    for (const [holder, key, tensor] of places) holder[key] = tensor;
  }
}
