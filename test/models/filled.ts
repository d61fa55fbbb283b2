/** Weights that a formula gives, here and in test/golden/make-torchvision.py, and what tensors are told by where they are too large to store. */
import { createHash } from 'node:crypto';

import { nn, noGrad, tensor, type AnyTensor } from '../../lib/index';

/** Looked up once: globals are slow to reach in a test. */
const { imul } = Math;

/** float64 numbers in [-1, 1): a hash of their place, begun with a hash (FNV-1a) of the key. */
export function numbers(key: string, shape: readonly number[]): AnyTensor {
  let seed = 2166136261;
  for (const byte of Buffer.from(key)) seed = imul(seed ^ byte, 16777619);
  const values = new Float64Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) {
    let x = (imul(i, 0x9e3779b9) + seed) | 0;
    x = imul(x ^ (x >>> 16), 0x85ebca6b);
    x = imul(x ^ (x >>> 13), 0xc2b2ae35);
    values[i] = ((x ^ (x >>> 16)) >>> 0) / 2 ** 31 - 1;
  }
  return tensor(values).reshape(shape);
}

/** Matrices and kernels that keep variances, scales and variances about 1, all else about 0; integers stay. */
export function fill(model: nn.Module): void {
  noGrad(() => {
    for (const [name, x] of Object.entries(model.stateDict())) {
      if (x.dtype === 'int64') continue;
      const value = numbers(name, x.shape);
      if (x.rank > 1 && name.endsWith('weight')) x.copy_(value.mul(Math.sqrt((3 * x.shape[0]!) / x.size)));
      else if (/weight$|_var$|layer_scale$/.test(name)) x.copy_(value.div(2).add(1));
      else x.copy_(value.div(2));
    }
  });
}

/** Two numbers that hardly any other tensor has: its norm, and its product with numbers of the formula. */
export function digest(name: string, x: AnyTensor): [norm: number, product: number] {
  const wide = x.detach().cast('float64');
  return [
    wide.square().sum().sqrt().itemSync(),
    wide
      .mul(numbers(`${name} digest`, x.shape))
      .sum()
      .itemSync(),
  ];
}

/**
 * How many numbers are trained, a digest of the names and shapes of the state, epsilon and momentum of norms, and the sum of all probabilities of being dropped.
 */
export function listed(model: nn.Module): [parameters: number, sha: string, norms: number[][], dropped: number] {
  const lines = Object.entries(model.stateDict()).map(([name, { shape }]) => `${name} [${shape.join(', ')}]`);
  const norms = new Set<string>();
  let dropped = 0;
  for (const module of model.modules()) {
    if (module instanceof nn.BatchNorm) norms.add(`${module.options.epsilon ?? 1e-5} ${module.momentum}`);
    if (module instanceof nn.LayerNorm) norms.add(`${module.epsilon} 0`);
    if (module instanceof nn.Dropout || module instanceof nn.StochasticDepth) dropped += module.probability;
  }
  return [
    model.parameters().reduce((sum, { size }) => sum + size, 0),
    createHash('sha256').update(lines.sort().join('\n')).digest('hex'),
    [...norms].sort().map((each) => each.split(' ').map(Number)),
    Math.round(dropped * 1e9) / 1e9,
  ];
}
