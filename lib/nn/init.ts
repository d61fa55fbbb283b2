/** Initialisers: they fill a tensor in place, without recording, and answer it. */
import { noGrad } from '../autograd/modes';
import { ArgumentError, ShapeError } from '../errors';
import { tensor } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { eye } from '../ops/diagonal';
import { qr } from '../ops/linalg-spectral';
import { rand, randn } from '../ops/random';
import { checkChoice, checkNumber } from '../tensor/checks';
import { shown } from '../tensor/describe';
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

/** Copies what `make` gives into x. */
function assigned<T extends AnyTensor>(x: T, make: () => AnyTensor): T {
  noGrad(() => scope(() => void x.copy_(make())));
  return x;
}

/** Uniform numbers in [low, high). */
export function uniform_<T extends AnyTensor>(x: T, low = 0, high = 1): T {
  noGrad(() => x.uniform_(low, high));
  return x;
}

/** Normal numbers. */
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
  return assigned(x, () => {
    const [from, to] = tensor([(low - mean) / scale, (high - mean) / scale])
      .erf()
      .unbind() as unknown as [AnyTensor, AnyTensor];
    const shares = rand(x.shape).mul(to.sub(from)).add(from) as AnyTensor;
    return shares.erfinv().mul(scale).add(mean).clamp(low, high);
  });
}

/** The same number everywhere. */
export function constant_<T extends AnyTensor>(x: T, value: number): T {
  noGrad(() => x.copy_(value));
  return x;
}

/** Zeros, as biases start. */
export function zeros_<T extends AnyTensor>(x: T): T {
  return constant_(x, 0);
}

/** Ones, as the scales of norms start. */
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

function heDeviation(
  op: string,
  x: AnyTensor,
  { mode = 'fanIn', nonlinearity = 'leakyRelu', slope = 0 }: HeOptions,
): number {
  checkChoice(op, 'mode', mode, ['fanIn', 'fanOut']);
  return calculateGain(nonlinearity, slope) / Math.sqrt(calculateFans(x)[mode]);
}

/** Uniform with deviation gain / √fan; Kaiming's in PyTorch. He et al., 2015. */
export function heUniform_<T extends AnyTensor>(x: T, options: HeOptions = {}): T {
  checkOptions('heUniform_', options);
  const bound = Math.sqrt(3) * heDeviation('heUniform_', x, options);
  return uniform_(x, -bound, bound);
}

/** Normal with deviation gain / √fan. He et al., 2015. */
export function heNormal_<T extends AnyTensor>(x: T, options: HeOptions = {}): T {
  checkOptions('heNormal_', options);
  return normal_(x, 0, heDeviation('heNormal_', x, options));
}

/**
 * A (semi-)orthogonal matrix, the axes after the first taken as one, times `gain`: from the QR decomposition of normal numbers. Saxe et al., 2013.
 *
 * @throws ShapeError for less than two axes.
 * @example
 * nn.init.orthogonal_(zeros([2, 3])); // rows of length 1 at right angles
 */
export function orthogonal_<T extends AnyTensor>(x: T, gain = 1): T {
  if (x.rank < 2) throw new ShapeError(`orthogonal_: got shape ${show(x.shape)}, expected at least two axes`);
  const rows = x.shape[0]!;
  const columns = x.size / Math.max(rows, 1);
  if (x.size === 0) return x;
  return assigned(x, () => {
    const [q, r] = qr(randn([Math.max(rows, columns), Math.min(rows, columns)], { dtype: 'float64' }));
    // With r's diagonal positive q is unique, and so uniform.
    const vectors: AnyTensor = q.mul(r.diagonal().sign()).mul(gain) as AnyTensor;
    return (rows < columns ? vectors.transpose() : vectors).reshape(x.shape);
  });
}

/** Ones on the diagonal of a matrix, zeros elsewhere. */
export function eye_<T extends AnyTensor>(x: T): T {
  if (x.rank !== 2) throw new ShapeError(`eye_: got shape ${show(x.shape)}, expected two axes`);
  return assigned(x, () => eye(x.shape[0]!, x.shape[1]!));
}

/**
 * The kernel of a convolution, [out, in / groups, …], that passes channels on as they are: 1 in the middle where a group's output and input are of the same number, else 0.
 *
 * @throws ShapeError unless there are three to five axes; ArgumentError when `groups` do not divide the outputs.
 * @example
 * nn.init.dirac_(zeros([2, 2, 3])); // [[[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]]
 */
export function dirac_<T extends AnyTensor>(x: T, groups = 1): T {
  if (x.rank < 3 || x.rank > 5) {
    throw new ShapeError(`dirac_: got shape ${show(x.shape)}, expected three to five axes`);
  }
  const [outputs, inputs, ...kernel] = x.shape as [number, number, ...number[]];
  if (!Number.isInteger(groups) || groups < 1 || outputs % groups !== 0) {
    throw new ArgumentError(`dirac_: groups: got ${shown(groups)}, expected a divisor of the ${outputs} outputs`);
  }
  return assigned(x, () => {
    const channels = eye(outputs / groups, inputs).tile([groups, 1]) as AnyTensor;
    const middle = kernel.map((size): [number, number] => [Math.floor(size / 2), size - 1 - Math.floor(size / 2)]);
    return channels.reshape([outputs, inputs, ...kernel.map(() => 1)]).pad([[0, 0], [0, 0], ...middle]) as AnyTensor;
  });
}

/**
 * Normal numbers of deviation `deviation`, of which a share of `sparsity` is 0 in each column. Martens, 2010.
 *
 * @throws ShapeError unless there are two axes; ArgumentError when `sparsity` is not in [0, 1].
 * @example
 * nn.init.sparse_(zeros([10, 3]), 0.7); // three numbers in each column
 */
export function sparse_<T extends AnyTensor>(x: T, sparsity: number, deviation = 0.01): T {
  if (x.rank !== 2) throw new ShapeError(`sparse_: got shape ${show(x.shape)}, expected two axes`);
  checkNumber('sparse_', 'sparsity', sparsity, 0, 1);
  const zeros = Math.ceil(sparsity * x.shape[0]!);
  return assigned(x, () => {
    const order = rand(x.shape).argsort({ axis: 0 }).argsort({ axis: 0 });
    return randn(x.shape).mul(order.greaterEqual(zeros)).mul(deviation) as AnyTensor;
  });
}
