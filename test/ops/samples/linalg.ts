// Samples of linear algebra. References are elimination in float64, or the property that defines a factor.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, type Draw, type Plain, type Sample } from '../sample';

export const dtypes: readonly DType[] = ['float64', 'float32'];
// float32 loses a few digits to the condition of a matrix.
export const tolerance = { float32: { rtol: 1e-4, atol: 1e-4 } };
// A sum over a whole matrix loses more.
export const looser = { float32: { rtol: 1e-4, atol: 2e-3 } };

type Unary = (x: AnyTensor) => AnyTensor;
type Binary = (a: AnyTensor, b: AnyTensor) => AnyTensor;
const ops = hadal as unknown as Record<string, (...args: unknown[]) => unknown>;
const unary = (op: string): Unary => ops[op] as Unary;

export const sizesOf = (shape: Shape): [batch: number, m: number, n: number] => {
  const [m, n] = shape.slice(-2) as [number, number];
  return [shape.slice(0, -2).reduce((product, size) => product * size, 1), m, n];
};

/** Matrix `i` of a batch as rows. */
export function rowsOf({ shape, values }: Plain, i: number): number[][] {
  const [, m, n] = sizesOf(shape);
  return Array.from({ length: m }, (_, row) => values.slice((i * m + row) * n, (i * m + row + 1) * n));
}

/** A function of each matrix that answers rows, as one of the batch. */
export function perMatrix(x: Plain, columns: number, f: (rows: number[][], i: number) => number[][]): Plain {
  const [batch, m] = sizesOf(x.shape);
  const values = Array.from({ length: batch }, (_, i) => f(rowsOf(x, i), i)).flat(2);
  return { shape: [...x.shape.slice(0, -2), m, columns], values };
}

/** Gauss-Jordan elimination of [A | B] with pivoting: A⁻¹·B, and det A. */
export function eliminate(a: number[][], b: number[][]): { solution: number[][]; det: number } {
  const rows = a.map((row, i) => [...row, ...b[i]!]);
  const n = a.length;
  let det = 1;
  for (let j = 0; j < n; j++) {
    let pivot = j;
    for (let i = j + 1; i < n; i++) if (Math.abs(rows[i]![j]!) > Math.abs(rows[pivot]![j]!)) pivot = i;
    if (pivot !== j) {
      [rows[j], rows[pivot]] = [rows[pivot]!, rows[j]!];
      det = -det;
    }
    const scale = rows[j]![j]!;
    det *= scale;
    rows[j] = rows[j]!.map((value) => value / scale);
    for (let i = 0; i < n; i++) {
      const factor = rows[i]![j]!;
      if (i !== j) rows[i] = rows[i]!.map((value, column) => value - factor * rows[j]![column]!);
    }
  }
  return { solution: rows.map((row) => row.slice(n)), det };
}

export const identityRows = (n: number): number[][] =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_unused, j) => (i === j ? 1 : 0)));

/** Matrices that are far from singular. */
export const regular = (draw: Draw, shape: Shape, dtype: DType): AnyTensor => {
  const n = shape[shape.length - 1]!;
  return draw.tensor(shape, dtype, -1, 1).add(hadal.eye(n, n, { dtype }).mul(2 + n / 3));
};

/** x·xᵀ + 1: positive definite, and a function of x, so that differences see symmetric changes. */
const definite: Unary = (x) => {
  const n = x.shape[x.rank - 1]!;
  return x.matmul(x.transpose()).add(hadal.eye(n, n, { dtype: x.dtype }));
};
const symmetric: Unary = (x) => x.add(x.transpose());

export const squares: readonly (readonly [string, Shape])[] = [
  ['a matrix', [3, 3]],
  ['one element', [1, 1]],
  ['a batch', [2, 2, 3, 3]],
  ['no elements', [0, 0]],
  ['an empty batch', [0, 2, 2]],
  ['a batch of empty matrices', [2, 0, 0]],
];
// Past the size from which a matrix is factored in panels.
const large: readonly [string, Shape] = ['a large matrix', [201, 201]];
const manyLarge: readonly [string, Shape] = ['many matrices in tasks of several', [70, 5, 5]];
export const orderOf = (shape: Shape): 0 | 2 => (shape[shape.length - 1]! > 3 || shape[0] === 70 ? 0 : 2);

const inverses: Sample[] = [...squares, large, manyLarge].map(([variant, shape]) => ({
  op: 'inv',
  variant,
  dtypes,
  inputs: (draw, dtype) => [regular(draw, shape, dtype)],
  call: unary('inv'),
  reference: (x) =>
    perMatrix(x, shape[shape.length - 1]!, (rows) => eliminate(rows, identityRows(rows.length)).solution),
  order: orderOf(shape),
  tolerance,
}));

// The powers of the largest are squared several times.
const exponentials: Sample[] = [...squares, ['a matrix of large norm', [4, 4]] as const].map(([variant, shape]) => {
  const scale = variant.endsWith('norm') ? 2 : 0.5;
  return {
    op: 'matrixExp',
    variant,
    dtypes,
    inputs: (draw, dtype) => [draw.tensor(shape, dtype, -scale, scale)],
    call: unary('matrixExp'),
    reference: (x) =>
      perMatrix(x, shape[shape.length - 1]!, (rows) => {
        let term = identityRows(rows.length);
        let sum = term;
        for (let k = 1; k < 80; k++) {
          const factor = term;
          term = factor.map((row) => row.map((_, j) => row.reduce((dot, v, i) => dot + v * rows[i]![j]!, 0) / k));
          sum = sum.map((row, i) => row.map((v, j) => v + term[i]![j]!));
        }
        return sum;
      }),
    order: orderOf(shape),
    tolerance,
  };
});

/** Of x·xᵀ, which is positive. */
const logarithms: Sample[] = (
  [
    ['one', [3, 3]],
    ['a batch', [2, 2, 2]],
    ['empty', [0, 2, 2]],
  ] as const
).map(([variant, shape]) => ({
  op: 'logdet',
  variant,
  dtypes,
  inputs: (draw, dtype) => [regular(draw, shape, dtype)],
  call: (x) => hadal.logdet(x.matmul(x.transpose())),
  reference: (x) => ({
    shape: shape.slice(0, -2),
    values: Array.from(
      { length: sizesOf(shape)[0] },
      (_, i) => 2 * Math.log(Math.abs(eliminate(rowsOf(x, i), rowsOf(x, i)).det)),
    ),
  }),
  order: 2,
  tolerance: { float32: { rtol: 1e-4, atol: 1e-4 } },
}));

const determinants: Sample[] = [...squares, manyLarge].flatMap(([variant, shape]): Sample[] => {
  const detOf = (x: Plain): Plain => ({
    shape: shape.slice(0, -2),
    values: Array.from({ length: sizesOf(shape)[0] }, (_, i) => eliminate(rowsOf(x, i), rowsOf(x, i)).det),
  });
  const shared = { variant, dtypes, order: orderOf(shape), tolerance: { float32: { rtol: 1e-4, atol: 1e-4 } } };
  return [
    {
      ...shared,
      op: 'det',
      inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
      call: unary('det'),
      reference: detOf,
    },
    {
      ...shared,
      op: 'slogdet',
      inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
      call: (x) => hadal.slogdet(x),
      reference: (x) => {
        const det = detOf(x);
        return [
          { shape: det.shape, values: det.values.map(Math.sign) },
          { shape: det.shape, values: det.values.map((value) => Math.log(Math.abs(value))) },
        ];
      },
    },
  ];
});

const singularDeterminants: Sample[] = ([2, 3] as const).map((rank) => ({
  op: 'det',
  variant: `a singular matrix of rank ${rank} of 4`,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor([4, rank], dtype, 0, 2).round(), draw.tensor([rank, 4], dtype, -2, 0).round()],
  // Whole numbers, so that elimination meets an exact zero.
  call: (a, b) => hadal.det(a.matmul(b)),
  reference: () => ({ shape: [], values: [0] }),
  order: 0,
}));

/** The solutions of x·z = y by elimination, under the rules of `solve` for vectors and batches. */
export function solved(x: Plain, y: Plain): Plain {
  const isVectors =
    y.shape.length === 1 ||
    (y.shape.length === x.shape.length - 1 && y.shape.every((size, axis) => size === x.shape[axis]));
  const right: Plain = isVectors ? { shape: [...y.shape, 1], values: y.values } : y;
  const [n, k] = right.shape.slice(-2) as [number, number];
  const [own, other] = [x.shape.slice(0, -2), right.shape.slice(0, -2)];
  const rank = Math.max(own.length, other.length);
  const sizeOf = (batch: readonly number[], axis: number): number => batch[axis - rank + batch.length] ?? 1;
  const batch = Array.from({ length: rank }, (_, axis) => {
    const size = sizeOf(own, axis);
    return size === 1 ? sizeOf(other, axis) : size;
  });
  const pick = (shape: readonly number[], position: readonly number[]): number =>
    ravel(
      shape.map((size, axis) => (size === 1 ? 0 : position[rank - shape.length + axis]!)),
      shape,
    );
  const known = new Map<string, number[][]>();
  const whole = generated([...batch, n, k], (position) => {
    const key = position.slice(0, rank).join();
    if (!known.has(key)) {
      const left = rowsOf(x, pick(own, position));
      known.set(key, eliminate(left, rowsOf(right, pick(other, position))).solution);
    }
    return known.get(key)![position[rank]!]![position[rank + 1]!]!;
  });
  return isVectors ? { shape: whole.shape.slice(0, -1), values: whole.values } : whole;
}

const solutions: Sample[] = (
  [
    ['a matrix', [3, 3], [3, 2]],
    ['a vector', [3, 3], [3]],
    ['a batch', [2, 3, 3], [2, 3, 2]],
    ['a vector per matrix', [2, 3, 3], [2, 3]],
    ['one matrix for a batch', [2, 2], [3, 2, 1]],
    ['one right-hand side for a batch', [2, 1, 2, 2], [3, 2, 2]],
    ['no right-hand sides', [2, 2], [2, 0]],
    ['no unknowns', [0, 0], [0, 3]],
    ['an empty batch', [0, 2, 2], [0, 2, 1]],
    ['a large matrix', [195, 195], [195, 70]],
  ] as const
).flatMap(([variant, a, b]): Sample[] => {
  const order = a[a.length - 1]! > 3 ? 0 : 2;
  const shared = { variant, dtypes, order, tolerance } as const;
  const triangle = (upper: boolean, unit: boolean) => (x: Plain, y: Plain) => {
    const cut = generated(x.shape, (position) => {
      const [i, j] = position.slice(-2) as [number, number];
      if (i === j && unit) return 1;
      return (upper ? i <= j : i >= j) ? x.values[ravel(position, x.shape)]! : 0;
    });
    return solved(cut, y);
  };
  return [
    {
      ...shared,
      op: 'solve',
      inputs: (draw, dtype) => [regular(draw, a, dtype), draw.tensor(b, dtype)],
      call: ops['solve'] as Binary,
      reference: solved,
    },
    ...([false, true] as const).flatMap((upper): Sample[] => [
      {
        ...shared,
        op: 'triangularSolve',
        variant: `${variant}, ${upper ? 'upper' : 'lower'}`,
        inputs: (draw, dtype) => [regular(draw, a, dtype), draw.tensor(b, dtype)],
        call: (x, y) => hadal.triangularSolve(x, y, { upper }),
        reference: triangle(upper, false),
      },
      {
        ...shared,
        op: 'triangularSolve',
        variant: `${variant}, ${upper ? 'upper' : 'lower'}, transposed, ones on the diagonal`,
        inputs: (draw, dtype) => [draw.tensor(a, dtype, -0.1, 0.1), draw.tensor(b, dtype)],
        call: (x, y) => hadal.triangularSolve(x, y, { upper, transpose: true, unitriangular: true }),
        reference: (x, y) => {
          const turned = generated(x.shape, (p) => {
            const [i, j] = p.slice(-2) as [number, number];
            return x.values[ravel([...p.slice(0, -2), j, i], x.shape)]!;
          });
          return triangle(!upper, true)(turned, y);
        },
      },
    ]),
  ];
});

const fromTheRight: Sample[] = [false, true].map((transpose) => ({
  op: 'triangularSolve',
  variant: `x on the left${transpose ? ', transposed' : ''}`,
  dtypes,
  inputs: (draw, dtype) => [regular(draw, [2, 3, 3], dtype), draw.tensor([2, 3], dtype)],
  call: (a, b) => {
    const x = hadal.triangularSolve(a, b, { left: false, transpose });
    return x.matmul(transpose ? a.tril().transpose() : a.tril()).sub(b.expand([2, 2, 3]));
  },
  reference: () => ({ shape: [2, 2, 3], values: new Array<number>(12).fill(0) }),
  order: 1,
  tolerance,
}));

const factors: Sample[] = [...squares, large, manyLarge].map(([variant, shape]) => ({
  op: 'cholesky',
  variant,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype, -1, 1)],
  call: (x) => hadal.cholesky(definite(x)),
  reference: (x) =>
    perMatrix(x, shape[shape.length - 1]!, (rows) => {
      const n = rows.length;
      const l = identityRows(n).map((row) => row.map(() => 0));
      for (let i = 0; i < n; i++) {
        for (let j = 0; j <= i; j++) {
          let sum = i === j ? 1 : 0;
          for (let k = 0; k < n; k++) sum += rows[i]![k]! * rows[j]![k]!;
          for (let k = 0; k < j; k++) sum -= l[i]![k]! * l[j]![k]!;
          l[i]![j] = i === j ? Math.sqrt(sum) : sum / l[j]![j]!;
        }
      }
      return l;
    }),
  order: orderOf(shape),
  tolerance,
}));
const upperFactor: Sample = {
  op: 'cholesky',
  variant: 'the upper factor, times its transpose',
  dtypes,
  inputs: (draw, dtype) => [draw.tensor([2, 3, 3], dtype, -1, 1)],
  call: (x) => {
    const u = hadal.cholesky(definite(x), { upper: true });
    return u.transpose().matmul(u).sub(definite(x)).add(u.sub(u.triu()));
  },
  reference: () => ({ shape: [2, 3, 3], values: new Array<number>(18).fill(0) }),
  order: 1,
  tolerance,
};

export const rectangles: readonly (readonly [string, Shape])[] = [
  ['a square matrix', [3, 3]],
  ['a tall matrix', [4, 2]],
  ['a wide matrix', [2, 4]],
  ['a batch', [2, 3, 2]],
  ['no rows', [0, 3]],
  ['no columns', [3, 0]],
  ['an empty batch', [0, 2, 3]],
  ['a matrix past one block', [70, 40]],
];
export const orderOfRectangle = (shape: Shape): 0 | 1 | 2 => (shape[0] === 70 ? 0 : shape.includes(0) ? 1 : 2);

/** Zeros in the shape of the only input. */
export const nothingLeft = (x: Plain): Plain => ({ shape: x.shape, values: x.values.map(() => 0) });
/** Far from rank-deficient, with singular values apart. */
export const spread = (draw: Draw, shape: Shape, dtype: DType): AnyTensor => {
  const [m, n] = shape.slice(-2) as [number, number];
  const scales = hadal.arange(1, n + 1, 1, { dtype });
  return draw.tensor(shape, dtype, -0.5, 0.5).add(hadal.eye(m, n, { dtype }).mul(scales).mul(2));
};

const orthogonal: Sample[] = rectangles.flatMap(([variant, shape]): Sample[] => {
  const shared = { dtypes, tolerance, inputs: (draw: Draw, dtype: DType) => [spread(draw, shape, dtype)] };
  const order = orderOfRectangle(shape);
  const gram = (q: AnyTensor): AnyTensor => {
    const n = q.shape[q.rank - 1]!;
    return q
      .transpose()
      .matmul(q)
      .sub(hadal.eye(n, n, { dtype: q.dtype }));
  };
  const zeroSum: Sample['reference'] = (x) => [nothingLeft(x), { shape: [], values: [0] }];
  return [
    { ...shared, op: 'qr', variant, call: (x) => hadal.qr(x), order },
    {
      ...shared,
      op: 'qr',
      variant: `${variant}, product and orthogonality`,
      call: (x) => {
        const [q, r] = hadal.qr(x, { mode: 'complete' });
        return [q.matmul(r).sub(x), gram(q).abs().sum().add(r.sub(r.triu()).abs().sum())];
      },
      reference: zeroSum,
      order: 0,
      tolerance: looser,
    },
    // Of the vectors only products that do not depend on their signs.
    {
      ...shared,
      op: 'svd',
      variant,
      call: (x) => {
        const [u, s, vt] = hadal.svd(x, { fullMatrices: false });
        const weights = hadal.arange(1, s.shape[s.rank - 1]! + 1, 1, { dtype: x.dtype });
        return [u.mul(weights.unsqueeze(0)).matmul(vt), s, u.square(), vt.square()];
      },
      order,
    },
    {
      ...shared,
      op: 'svd',
      variant: `${variant}, product and orthogonality`,
      call: (x) => {
        const [u, s, vt] = hadal.svd(x);
        const k = s.shape[s.rank - 1]!;
        const product = u
          .narrow(-1, 0, k)
          .mul(s.unsqueeze(-2))
          .matmul(vt.narrow(-2, 0, k));
        return [product.sub(x), gram(u).abs().sum().add(gram(vt).abs().sum())];
      },
      reference: zeroSum,
      order: 0,
      tolerance: looser,
    },
    { ...shared, op: 'svdvals', variant, call: unary('svdvals'), order },
    {
      ...shared,
      op: 'svdvals',
      variant: `${variant}, as svd has them`,
      call: (x) => hadal.svdvals(x).sub(hadal.svd(x)[1]),
      reference: (x) => {
        const [, m, n] = sizesOf(x.shape);
        return generated([...x.shape.slice(0, -2), Math.min(m, n)], () => 0);
      },
      order: 0,
    },
    { ...shared, op: 'pinv', variant, call: unary('pinv'), order: order === 0 ? 0 : order },
    {
      ...shared,
      op: 'pinv',
      variant: `${variant}, as Penrose defines it`,
      call: (x) => {
        const y = hadal.pinv(x);
        const [xy, yx] = [x.matmul(y), y.matmul(x)];
        const rest = y.matmul(xy).sub(y).abs().sum();
        const turned = xy.sub(xy.transpose()).abs().sum().add(yx.sub(yx.transpose()).abs().sum());
        return [xy.matmul(x).sub(x), rest.add(turned)];
      },
      reference: zeroSum,
      order: 0,
      tolerance: looser,
    },
    {
      ...shared,
      op: 'matrixRank',
      variant,
      call: (x) => hadal.matrixRank(x),
      reference: (x) => {
        const [, m, n] = sizesOf(x.shape);
        return generated(x.shape.slice(0, -2), () => Math.min(m, n));
      },
      result: () => 'int64',
      order: 0,
    },
  ];
});

const deficient: Sample[] = [
  {
    op: 'matrixRank',
    variant: 'a matrix of rank 2',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([5, 2], dtype), draw.tensor([2, 4], dtype)],
    call: (a, b) => hadal.matrixRank(a.matmul(b)),
    reference: () => ({ shape: [], values: [2] }),
    result: () => 'int64',
    order: 0,
  },
  {
    op: 'pinv',
    variant: 'a matrix of rank 2',
    dtypes,
    inputs: (draw, dtype) => [draw.tensor([4, 2], dtype), draw.tensor([2, 3], dtype)],
    call: (a, b) => hadal.pinv(a.matmul(b), { tolerance: 1e-4 }),
    order: 2,
    tolerance,
  },
];

const leastSquares: Sample[] = (
  [
    ['a tall matrix', [4, 2], [4, 3]],
    ['a wide matrix', [2, 4], [2, 1]],
    ['a vector', [3, 2], [3]],
    ['a vector per matrix', [2, 3, 2], [2, 3]],
    ['one matrix for a batch', [3, 2], [2, 3, 1]],
    ['no unknowns', [2, 0], [2, 1]],
  ] as const
).map(([variant, a, b]) => ({
  op: 'lstsq',
  variant,
  dtypes,
  inputs: (draw, dtype) => [spread(draw, a, dtype), draw.tensor(b, dtype)],
  call: (x, y) => {
    const { solution, residuals, singularValues } = hadal.lstsq(x, y);
    const isVectors = solution.rank < y.rank || y.rank === 1 || (y.rank === x.rank - 1 && y.shape[0] === x.shape[0]);
    const column = isVectors ? y.unsqueeze(-1) : y;
    const expected = hadal.pinv(x).matmul(column);
    const left = x.matmul(expected).sub(column).square().sum(-2);
    return [
      solution,
      solution.sub(isVectors ? expected.squeeze(-1) : expected),
      residuals.sub(isVectors ? left.squeeze(-1) : left),
      singularValues.sub(hadal.svdvals(x.detach())),
    ];
  },
  order: a.length === b.length && !(a as readonly number[]).includes(0) ? 2 : 1,
  tolerance,
}));

const eigen: Sample[] = squares.concat([['a larger matrix', [40, 40]]]).flatMap(([variant, shape]): Sample[] => {
  const n = shape[shape.length - 1]!;
  const shared = { dtypes, tolerance, inputs: (draw: Draw, dtype: DType) => [spread(draw, shape, dtype)] };
  const order = orderOf(shape);
  return [
    {
      ...shared,
      op: 'eigh',
      variant,
      call: (x) => {
        const [w, v] = hadal.eigh(symmetric(x));
        return [w, v.square()];
      },
      order,
    },
    {
      ...shared,
      op: 'eigh',
      variant: `${variant}, product and orthogonality`,
      call: (x) => {
        const [w, v] = hadal.eigh(symmetric(x));
        const gram = v
          .transpose()
          .matmul(v)
          .sub(hadal.eye(n, n, { dtype: x.dtype }));
        return [v.mul(w.unsqueeze(-2)).matmul(v.transpose()).sub(symmetric(x)), gram.abs().sum()];
      },
      reference: (x) => [nothingLeft(x), { shape: [], values: [0] }],
      order: 0,
      tolerance: looser,
    },
    {
      ...shared,
      op: 'eigvalsh',
      variant,
      call: (x) => hadal.eigvalsh(symmetric(x)),
      order,
    },
    {
      ...shared,
      op: 'eigvalsh',
      variant: `${variant}, of the lower triangle, as eigh has them`,
      call: (x) =>
        hadal.eigvalsh(x).sub(hadal.eigh(symmetric(x.tril()).sub(x.mul(hadal.eye(n, n, { dtype: x.dtype }))))[0]),
      reference: (x) => generated(x.shape.slice(0, -1), () => 0),
      order: 0,
    },
  ];
});

const powers: Sample[] = ([-2, -1, 0, 1, 5] as const).map((exponent) => ({
  op: 'matrixPower',
  variant: `to the ${exponent}`,
  dtypes,
  inputs: (draw, dtype) => [regular(draw, [2, 2, 2], dtype)],
  call: (x) => hadal.matrixPower(x, exponent),
  reference: (x) =>
    perMatrix(x, 2, (rows) => {
      const base = exponent < 0 ? eliminate(rows, identityRows(2)).solution : rows;
      let result = identityRows(2);
      for (let i = 0; i < Math.abs(exponent); i++) {
        result = result.map((row) => [0, 1].map((j) => row[0]! * base[0]![j]! + row[1]! * base[1]![j]!));
      }
      return result;
    }),
  order: 2,
  tolerance: { float32: { rtol: 1e-4, atol: 1e-3 } },
}));

export const samples: Sample[] = [
  ...inverses,
  ...exponentials,
  ...determinants,
  ...logarithms,
  ...singularDeterminants,
  ...solutions,
  ...fromTheRight,
  ...factors,
  upperFactor,
  ...orthogonal,
  ...deficient,
  ...leastSquares,
  ...eigen,
  ...powers,
];
