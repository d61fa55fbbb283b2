// Reads what make-nn.py and make-neural.py stored: named tensors, grouped by case.
import { join } from 'node:path';

import { io, type AnyTensor } from '../../lib/index';

export type Parts = Readonly<Record<string, AnyTensor>>;

const files = new Map<string, Promise<Parts>>();

/** The tensors of a case, by what comes after its name. */
export async function golden(name: string, file = 'nn'): Promise<Parts> {
  const all = files.get(file) ?? io.readSafetensors(join(__dirname, `${file}.safetensors`));
  files.set(file, all);
  const parts = under(await all, `${name}/`);
  if (Object.keys(parts).length === 0) throw new Error(`no golden case ${name}`);
  return parts;
}

/** The entries whose names begin with `prefix`, without it. */
export const under = (parts: Parts, prefix: string): Parts =>
  Object.fromEntries(
    Object.entries(parts)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, x]) => [name.slice(prefix.length), x]),
  );

/** Fails unless `got` has the shape of `expected` and every element is within 1e-6 of it, or within `rtol` of the largest element. */
export function expectNear(got: AnyTensor | undefined, expected: AnyTensor, what: string, rtol = 3e-6): void {
  if (got === undefined) throw new Error(`${what}: got nothing`);
  expect([what, got.shape]).toEqual([what, expected.shape]);
  const numbers = (x: AnyTensor): number[] => Array.from(x.dataSync(), Number);
  const want = numbers(expected);
  const bound = 1e-6 + rtol * Math.max(0, ...want.map(Math.abs));
  numbers(got).forEach((value, i) => {
    if (!(Math.abs(value - want[i]!) <= bound)) {
      throw new Error(`${what} at ${i}: got ${value}, expected ${want[i]!} within ${bound}`);
    }
  });
}

/** Σ y·w with w = sin of the flat position: what the stored gradients are those of. */
export function weighted(y: AnyTensor, tensor: (data: Float32Array) => AnyTensor): AnyTensor {
  const weights = Float32Array.from({ length: y.size }, (_, i) => Math.sin(i));
  return y.mul(tensor(weights).reshape(y.shape)).sum();
}
