/** Initialisers: they fill a tensor in place, without recording, and answer it. */
import { noGrad } from '../autograd/modes';
import { ArgumentError, ShapeError } from '../errors';
import { tensor } from '../ops/creation';
import { rand, randn } from '../ops/random';
import { scope } from '../tensor/scope';
import { show, sizeOf } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';

/** The nonlinearity that follows a layer, for its recommended gain. */
export type Nonlinearity = 'linear' | 'conv' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu';

/** The factor by which a nonlinearity shrinks the deviation of its input; `parameter` is the slope of `leakyRelu`. */
export function calculateGain(nonlinearity: Nonlinearity, parameter = 0.01): number {
  const gains: Record<Nonlinearity, number> = {
    linear: 1,
    conv: 1,
    sigmoid: 1,
    tanh: 5 / 3,
    relu: Math.SQRT2,
    leakyRelu: Math.sqrt(2 / (1 + parameter ** 2)),
    selu: 3 / 4,
  };
  if (!Object.hasOwn(gains, nonlinearity)) {
    throw new ArgumentError(
      `calculateGain: nonlinearity: got ${String(nonlinearity)}, expected ${Object.keys(gains).join(', ')}`,
    );
  }
  return gains[nonlinearity];
}

/** How many inputs feed an output of a weight [out, in, …], and how many outputs an input feeds. */
export function calculateFans(weight: AnyTensor): { fanIn: number; fanOut: number } {
  if (weight.rank < 2) throw new ShapeError(`init: fans: got shape ${show(weight.shape)}, expected at least two axes`);
  const receptive = sizeOf(weight.shape.slice(2));
  return { fanIn: weight.shape[1]! * receptive, fanOut: weight.shape[0]! * receptive };
}

export function uniform_<T extends AnyTensor>(x: T, low = 0, high = 1): T {
  noGrad(() => x.uniform_(low, high));
  return x;
}

export function normal_<T extends AnyTensor>(x: T, mean = 0, deviation = 1): T {
  noGrad(() => x.normal_(mean, deviation));
  return x;
}

/** Normal, cut off at `low` and `high`: the inverse of the distribution function at uniform numbers between its values there. */
export function truncNormal_<T extends AnyTensor>(x: T, mean = 0, deviation = 1, low = -2, high = 2): T {
  if (!(low < high && deviation > 0)) {
    throw new ArgumentError(
      `truncNormal_: bounds: got ${low} to ${high} with deviation ${deviation}, expected them in order and a positive deviation`,
    );
  }
  const scale = deviation * Math.SQRT2;
  noGrad(() =>
    scope(() => {
      const [from, to] = tensor([(low - mean) / scale, (high - mean) / scale])
        .erf()
        .unbind() as unknown as [AnyTensor, AnyTensor];
      const shares = rand(x.shape).mul(to.sub(from)).add(from) as AnyTensor;
      x.copy_(shares.erfinv().mul(scale).add(mean).clamp(low, high));
    }),
  );
  return x;
}

export function constant_<T extends AnyTensor>(x: T, value: number): T {
  noGrad(() => x.copy_(value));
  return x;
}

export function zeros_<T extends AnyTensor>(x: T): T {
  return constant_(x, 0);
}

export function ones_<T extends AnyTensor>(x: T): T {
  return constant_(x, 1);
}

/** Uniform on ±gain·√(6 / (fanIn + fanOut)). Glorot and Bengio, 2010. */
export function xavierUniform_<T extends AnyTensor>(x: T, gain = 1): T {
  const { fanIn, fanOut } = calculateFans(x);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(x, -bound, bound);
}

/** Normal with deviation gain·√(2 / (fanIn + fanOut)). Glorot and Bengio, 2010. */
export function xavierNormal_<T extends AnyTensor>(x: T, gain = 1): T {
  const { fanIn, fanOut } = calculateFans(x);
  return normal_(x, 0, gain * Math.sqrt(2 / (fanIn + fanOut)));
}

export interface HeOptions {
  /** Which signal keeps its variance: forward (`'fanIn'`, unless given) or backward. */
  readonly mode?: 'fanIn' | 'fanOut';
  /** `'leakyRelu'` unless given. */
  readonly nonlinearity?: Nonlinearity;
  /** Of `leakyRelu`; 0 unless given. */
  readonly slope?: number;
}

function heDeviation(x: AnyTensor, { mode = 'fanIn', nonlinearity = 'leakyRelu', slope = 0 }: HeOptions): number {
  return calculateGain(nonlinearity, slope) / Math.sqrt(calculateFans(x)[mode]);
}

/** Uniform with deviation gain / √fan; Kaiming's in PyTorch. He et al., 2015. */
export function heUniform_<T extends AnyTensor>(x: T, options: HeOptions = {}): T {
  const bound = Math.sqrt(3) * heDeviation(x, options);
  return uniform_(x, -bound, bound);
}

/** Normal with deviation gain / √fan. He et al., 2015. */
export function heNormal_<T extends AnyTensor>(x: T, options: HeOptions = {}): T {
  return normal_(x, 0, heDeviation(x, options));
}

/**
 * A (semi-)orthogonal matrix, the axes after the first taken as one, times `gain`. By Gram–Schmidt, twice, on normal rows. Saxe et al., 2013. Waits
 * for the device.
 */
export function orthogonal_<T extends AnyTensor>(x: T, gain = 1): T {
  if (x.rank < 2) throw new ShapeError(`orthogonal_: got shape ${show(x.shape)}, expected at least two axes`);
  const rows = x.shape[0]!;
  const columns = x.size / Math.max(rows, 1);
  const [count, length] = rows <= columns ? [rows, columns] : [columns, rows];
  const values = randn([count, length], { dtype: 'float64' }).dataSync();
  const vectors = Array.from({ length: count }, (_, i) => values.subarray(i * length, (i + 1) * length));
  vectors.forEach((vector, i) => {
    for (const other of [...vectors.slice(0, i), ...vectors.slice(0, i)]) {
      let dot = 0;
      for (let k = 0; k < length; k++) dot += vector[k]! * other[k]!;
      for (let k = 0; k < length; k++) vector[k]! -= dot * other[k]!;
    }
    const norm = Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0));
    for (let k = 0; k < length; k++) vector[k]! /= norm;
  });
  const flat = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++)
      flat[r * columns + c] = gain * (rows <= columns ? vectors[r]![c]! : vectors[c]![r]!);
  }
  noGrad(() => x.copy_(tensor(flat).reshape(x.shape)));
  return x;
}
