// A layer against PyTorch's: the names of its state, its output, and its gradients, from the same weights and inputs.
import { tensor, type AnyTensor, type nn } from '../../lib/index';
import { isFloat } from '../../lib/tensor/dtype';
import { expectNear, golden, under, weighted } from './golden';

export interface LayerCase {
  readonly make: () => nn.Module;
  readonly call?: (module: never, inputs: readonly AnyTensor[]) => AnyTensor;
  readonly eval?: boolean;
}

export async function compareLayer(
  name: string,
  { make, call, eval: evaluate = false }: LayerCase,
  file = 'nn',
): Promise<void> {
  const parts = await golden(name, file);
  const module = make();
  if (evaluate) module.eval();
  const state = under(parts, 'state.');
  expect(Object.keys(module.stateDict()).sort()).toEqual(Object.keys(state).sort());
  module.loadStateDict(state);
  const inputs = ['x0', 'x1', 'x2'].flatMap((key) => parts[key] ?? []).map((x) => x.clone());
  for (const x of inputs) if (isFloat(x.dtype)) x.requiresGrad_();

  const forward = call ?? ((layer: nn.Layer, [x]: readonly AnyTensor[]) => layer.forward(x!));
  const y = forward(module as never, inputs);
  expectNear(y, parts['y']!, `${name}: y`);
  weighted(y, tensor).backward();
  inputs.forEach((x, i) => {
    if (x.requiresGrad) expectNear(x.grad, parts[`g${i}`]!, `${name}: gradient of input ${i}`);
  });
  const gradients = under(parts, 'g.');
  const parameters = module.namedParameters();
  expect(parameters.map(([key]) => key).sort()).toEqual(Object.keys(gradients).sort());
  for (const [key, parameter] of parameters) expectNear(parameter.grad, gradients[key]!, `${name}: gradient of ${key}`);
  const after = under(parts, 'after.');
  for (const [key, buffer] of module.namedBuffers()) expectNear(buffer, after[key]!, `${name}: ${key} afterwards`);
}
