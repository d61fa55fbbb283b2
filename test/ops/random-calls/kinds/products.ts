// Products of matrices, and what is made of them.
import { quantizeMatrix } from '../../../../lib/index';
import { ops, type Kind } from '../call';
import { count } from '../chance';

const { addmm, bilinear, cdist, einsum, feedForward, linear, matmul, outer, pdist, quantizedLinear, tensordot } = ops;

export const products: Readonly<Record<string, Kind>> = {
  matmul(chance) {
    const [m, k, n] = [chance.size(), chance.size(), chance.size()] as const;
    const batch = chance.pick([], [], [chance.size(20)], [chance.size(6), chance.size(6)]);
    const other = chance.pick(batch, batch, [], chance.narrowed(batch));
    if (count(batch) * (m * k + k * n + m * n) > chance.most) return;
    // A factor that is broadcast has a gradient that is rounded before it is summed.
    return {
      inputs: [chance.normal(...batch, m, k), chance.normal(...other, k, n)],
      f: (a, b) => matmul(a, b),
      roundings: 2,
    };
  },
  'a long sum of products'(chance) {
    const [m, k, n] = [chance.size(40), chance.size(8000), chance.size(40)] as const;
    if (k * (m + n) > chance.most) return;
    return { inputs: [chance.normal(k, m), chance.normal(k, n)], f: (a, b) => matmul(a.transpose(), b) };
  },
  'a matrix and a vector'(chance) {
    const [m, k] = [chance.size(900), chance.size(900)] as const;
    if (m * k > chance.most) return;
    const [matrix, vector] = [chance.normal(m, k), chance.normal(k)];
    return chance.happens(0.5)
      ? { inputs: [matrix, vector], f: (a, b) => matmul(a, b) }
      : { inputs: [vector, matrix], f: (a, b) => matmul(a, b.transpose()) };
  },
  'two vectors'(chance) {
    const k = chance.size(5000);
    return { inputs: [chance.normal(k), chance.normal(k)], f: (a, b) => matmul(a, b) };
  },
  outer(chance) {
    const [m, n] = [chance.size(), chance.size()];
    return { inputs: [chance.normal(m), chance.normal(n)], f: (a, b) => outer(a, b), roundings: 4 };
  },
  linear(chance) {
    const rows = chance.shape(3, 1 / 64);
    const [from, to] = [chance.size(400), chance.size(400)] as const;
    if (count(rows) * (from + to) > chance.most) return;
    const inputs = [chance.normal(...rows, from), chance.normal(to, from), chance.normal(to)];
    return { inputs, f: (x, weight, bias) => linear(x, weight, bias) };
  },
  'a feed-forward network'(chance) {
    const [rows, from, hidden] = [chance.size(), chance.size(200), chance.size(400)] as const;
    if (rows * (from + hidden) > chance.most) return;
    const activation = chance.pick('relu', 'gelu', 'silu', 'geluTanh');
    const inputs = [[rows, from], [hidden, from], [hidden], [from, hidden], [from]].map((shape) =>
      chance.normal(...shape),
    );
    return {
      inputs,
      f: (...given) => feedForward(...given, { activation }),
      options: activation,
      // The hidden units, their slopes and the gradient of them are rounded too.
      roundings: 16,
    };
  },
  addmm(chance) {
    const [m, k, n] = [chance.size(), chance.size(), chance.size()] as const;
    const [alpha, beta] = [chance.pick(1, 0.5), chance.pick(1, 2)];
    const c = chance.narrowed([m, n]);
    const inputs = [chance.normal(...c), chance.normal(m, k), chance.normal(k, n)];
    return { inputs, f: (x, a, b) => addmm(x, a, b, { alpha, beta }), options: { alpha, beta }, roundings: 2 };
  },
  einsum(chance) {
    const sizes: Record<string, number> = {
      b: chance.size(8),
      i: chance.size(40),
      j: chance.size(40),
      k: chance.size(40),
    };
    const equation = chance.pick(
      'bik,bjk->bij',
      'bij,jk,bk->i',
      'ijb,kbj->ki',
      'bij,bkj->bik',
      'ib,jb->ijb',
      'bi,bi->b',
      'kji,b->bijk',
    );
    const inputs = equation
      .split('->')[0]!
      .split(',')
      .map((axes) => chance.normal(...[...axes].map((axis) => sizes[axis]!)));
    if (equation.includes('ijk') && count(Object.values(sizes)) > chance.most) return;
    return { inputs, f: (...xs) => einsum(equation, ...xs), options: equation, roundings: 4 };
  },
  tensordot(chance) {
    const [i, j, k, l] = [30, 30, 30, 30].map((most) => chance.size(most)) as [number, number, number, number];
    if (i * j * k > chance.most || j * k * l > chance.most) return;
    return {
      inputs: [chance.normal(i, j, k), chance.normal(k, j, l)],
      f: (a, b) =>
        tensordot(a, b, [
          [1, 2],
          [1, 0],
        ]),
    };
  },
  'a matrix of few bits'(chance) {
    const group = chance.pick(32, 64, 96);
    const [m, n, k] = [chance.size(60), chance.size(200), group * chance.size(12)] as const;
    if (n * k > chance.most || m * k > chance.most) return;
    const options = { bits: chance.pick(8 as const, 4 as const), group };
    const matrix = quantizeMatrix(chance.normal(n, k), options);
    // As every dtype holds them.
    const scales = matrix.scales.cast('bfloat16');
    return {
      inputs: [chance.normal(m, k), chance.normal(n)],
      f: (x, bias) => {
        const own = { codes: matrix.codes.to(x.device), scales: scales.to(x.device).cast(x.dtype) };
        return quantizedLinear(x, own as never, bias);
      },
      options,
      // The matrix as floats, by which many rows and gradients are multiplied, is rounded too.
      roundings: 4,
    };
  },
  bilinear(chance) {
    const [rows, a, b, to] = [50, 20, 20, 20].map((most) => chance.size(most)) as [number, number, number, number];
    const inputs = [chance.normal(rows, a), chance.normal(rows, b), chance.normal(to, a, b), chance.normal(to)];
    return { inputs, f: (x, y, weight, bias) => bilinear(x, y, weight, bias), roundings: 8 };
  },
  cdist(chance) {
    const [m, n, features] = [chance.size(100), chance.size(100), chance.size(60)] as const;
    // The product of points stands in for differences, of which one feature leaves next to nothing.
    if (features < 3) return;
    return {
      inputs: [chance.normal(m, features), chance.normal(n, features)],
      f: (a, b) => cdist(a, b),
      dtypes: ['float32'],
      roundings: 4,
      varies: true,
    };
  },
  'distances by differences'(chance) {
    const [batch, m, n, features] = [chance.size(4), chance.size(60), chance.size(60), chance.size(80)] as const;
    const p = chance.pick(1, 3, Infinity);
    // One feature gives rows that are next to each other.
    if (features < 3) return;
    return {
      inputs: [chance.normal(...chance.narrowed([batch]), m, features), chance.normal(batch, n, features)],
      f: (a, b) => cdist(a, b, { p }),
      options: p,
      roundings: 8,
      varies: true,
    };
  },
  pdist(chance) {
    const [rows, features] = [chance.size(60), chance.size(80)] as const;
    const p = chance.pick(1, 2, Infinity);
    if (rows < 2 || features < 3) return;
    return {
      inputs: [chance.normal(rows, features)],
      f: (x) => pdist(x, { p }),
      options: p,
      dtypes: ['float32'],
      roundings: 8,
      varies: true,
    };
  },
};
