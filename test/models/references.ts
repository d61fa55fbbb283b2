/** The small models of test/golden/transformers, and what the library transformers makes of them. */
import { join } from 'node:path';

import { io, type AnyTensor, type nn } from '../../lib/index';

export const folderOf = (name: string): string => join(__dirname, '../golden/transformers', name);

export const referenceOf = (name: string): Promise<nn.StateDict> =>
  io.readSafetensors(join(folderOf(name), 'reference.safetensors'));

/** The largest difference in terms of the largest value. */
export const difference = (a: AnyTensor, b: AnyTensor): number => a.sub(b).abs().max().div(b.abs().max()).itemSync();

export async function collect(tokens: AsyncIterable<number>): Promise<number[]> {
  const list: number[] = [];
  for await (const token of tokens) list.push(token);
  return list;
}

interface Published extends nn.Module {
  loadPublished(weights: nn.StateDict): void;
}

/** Compares the gradients of a model with those of the reference, which `other`, another such model, reads as if they were its weights. */
export function expectGradients(model: Published, other: Published, reference: nn.StateDict): void {
  const prefix = 'gradient.';
  const gradients = Object.entries(reference).filter(([key]) => key.startsWith(prefix));
  other.loadPublished(Object.fromEntries(gradients.map(([key, value]) => [key.slice(prefix.length), value])));
  const expected = other.stateDict();
  for (const [name, parameter] of model.namedParameters()) {
    expect([name, difference(parameter.grad!, expected[name]!) < 1e-5]).toEqual([name, true]);
  }
}
