// Samples of what linear algebra has beside factors and inverses: LU, eigenvalues of any matrix, norms, products of reflections, tensors as matrices.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, LuSolveOptions, MatrixNormOrder, Shape } from '../../../lib/index';
import { generated, mapped, ravel, type Draw, type Plain, type Sample } from '../sample';
import {
  dtypes,
  eliminate,
  identityRows,
  looser,
  nothingLeft,
  orderOf,
  orderOfRectangle,
  perMatrix,
  rectangles,
  regular,
  rowsOf,
  sizesOf,
  solved,
  spread,
  squares,
  tolerance,
} from './linalg';

const turned = (x: Plain): Plain =>
  x.shape.length < 2
    ? x
    : generated([...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!], (p) => {
        const [i, j] = p.slice(-2) as [number, number];
        return x.values[ravel([...p.slice(0, -2), j, i], x.shape)]!;
      });
const productOf = (a: number[][], b: number[][]): number[][] =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
const transposeOf = (a: number[][], columns: number): number[][] =>
  Array.from({ length: columns }, (_, j) => a.map((row) => row[j]!));
const total = (x: AnyTensor): AnyTensor => x.abs().sum();
const zeroSum: Sample['reference'] = (x) => [nothingLeft(x), { shape: [], values: [0] }];

/** Rows in an order that pivoting changes. */
const rolled = (draw: Draw, shape: Shape, dtype: DType): AnyTensor => spread(draw, shape, dtype).roll(1, -2);

const factorizations: Sample[] = [
  ...rectangles,
  // Past the size from which a matrix is factored in panels, with a last panel that is not full.
  ['a large matrix', [201, 201]] as const,
  ['a large wide matrix', [201, 270]] as const,
  ['a large tall matrix', [270, 201]] as const,
].flatMap(([variant, shape]): Sample[] => {
  const shared = { dtypes, tolerance, inputs: (draw: Draw, dtype: DType) => [rolled(draw, shape, dtype)] };
  const order = Math.max(...shape) > 70 ? 0 : orderOfRectangle(shape);
  return [
    { ...shared, op: 'lu', variant, call: (x) => hadal.lu(x).slice(1), order },
    { ...shared, op: 'luFactor', variant, call: (x) => hadal.luFactor(x), order },
    {
      ...shared,
      op: 'lu',
      variant: `${variant}, product and shapes of factors`,
      call: (x) => {
        const [p, l, u] = hadal.lu(x);
        const [m, k] = l.shape.slice(-2) as [number, number];
        const ones: AnyTensor = hadal.eye(m, k, { dtype: x.dtype });
        const outside = total(l.sub(l.tril(-1)).sub(ones)).add(total(u.sub(u.triu())));
        const large = l.abs().greater(1).sum().cast(x.dtype);
        return [p.matmul(l).matmul(u).sub(x), outside.add(large).add(total(p.sum(-1).sub(1)))];
      },
      reference: zeroSum,
      order: 0,
      tolerance: looser,
    },
  ];
});

const right: readonly (readonly [string, Shape, Shape])[] = [
  ['a matrix', [3, 3], [3, 2]],
  ['a vector', [3, 3], [3]],
  ['a batch', [2, 3, 3], [2, 3, 2]],
  ['one matrix for a batch', [2, 2], [3, 2, 1]],
  ['one right-hand side for a batch', [2, 1, 2, 2], [3, 2, 2]],
  ['no right-hand sides', [2, 2], [2, 0]],
  ['no unknowns', [0, 0], [0, 3]],
  ['an empty batch', [0, 2, 2], [0, 2, 1]],
];
/** With the matrix on the right. */
const left: typeof right = right.map(([variant, a, b]) => [
  `${variant}, on the right`,
  a,
  b.length < 2 ? b : [...b.slice(0, -2), b.at(-1)!, b.at(-2)!],
]);

const fromFactors: Sample[] = [false, true].flatMap((isLeft) =>
  (isLeft ? right : left).flatMap(([variant, a, b]): Sample[] => {
    const shared = { dtypes, tolerance, order: 2 } as const;
    const inputs = (draw: Draw, dtype: DType): AnyTensor[] => [
      regular(draw, a, dtype).roll(1, -2),
      draw.tensor(b, dtype),
    ];
    const reference =
      (transpose: boolean) =>
      (x: Plain, y: Plain): Plain =>
        isLeft ? solved(transpose ? turned(x) : x, y) : turned(solved(transpose ? x : turned(x), turned(y)));
    const luSolve = (x: AnyTensor, y: AnyTensor, options: LuSolveOptions): AnyTensor => {
      const [factors, pivots] = hadal.luFactor(x);
      return hadal.luSolve(factors, pivots, y, options);
    };
    return [
      ...(isLeft
        ? []
        : [
            {
              ...shared,
              op: 'solve',
              variant,
              inputs,
              call: (x: AnyTensor, y: AnyTensor) => hadal.solve(x, y, { left: false }),
              reference: reference(false),
            },
          ]),
      ...[false, true].map((transpose): Sample => ({
        ...shared,
        op: 'luSolve',
        variant: `${variant}${transpose ? ', transposed' : ''}`,
        inputs,
        call: (x, y) => luSolve(x, y, { left: isLeft, transpose }),
        reference: reference(transpose),
      })),
    ];
  }),
);

/** L·Lᵀ of the lower triangle, or Uᵀ·U of the upper one. */
const squareOf = (x: Plain, upper: boolean): Plain =>
  perMatrix(x, x.shape.at(-1)!, (rows) => {
    const n = rows.length;
    const factor = rows.map((row, i) => row.map((value, j) => ((upper ? i <= j : i >= j) ? value : 0)));
    return upper ? productOf(transposeOf(factor, n), factor) : productOf(factor, transposeOf(factor, n));
  });
const choleskySolutions: Sample[] = [false, true].flatMap((upper) => [
  ...right.map(([variant, a, b]): Sample => ({
    op: 'choleskySolve',
    variant: `${variant}${upper ? ', upper' : ''}`,
    dtypes,
    inputs: (draw, dtype) => [draw.tensor(b, dtype), regular(draw, a, dtype)],
    call: (y, l) => hadal.choleskySolve(y, l, { upper }),
    reference: (y, l) => solved(squareOf(l, upper), y),
    order: 2,
    tolerance,
  })),
  ...squares.map(([variant, shape]): Sample => ({
    op: 'choleskyInverse',
    variant: `${variant}${upper ? ', upper' : ''}`,
    dtypes,
    inputs: (draw, dtype) => [regular(draw, shape, dtype)],
    call: (l) => hadal.choleskyInverse(l, { upper }),
    reference: (l) =>
      perMatrix(squareOf(l, upper), shape.at(-1)!, (rows) => eliminate(rows, identityRows(rows.length)).solution),
    order: 2,
    tolerance,
  })),
]);

// --------------------------------------------------------------------------------------------------------- eigenvalues

/** x·v - v·diag w, of pairs. */
function eigenResidual(x: AnyTensor, w: AnyTensor, v: AnyTensor): AnyTensor {
  const [re, im] = v.unbind(-1) as [AnyTensor, AnyTensor];
  const [wr, wi] = w.unsqueeze(-3).unbind(-1) as [AnyTensor, AnyTensor];
  const real = x.matmul(re).sub(re.mul(wr).sub(im.mul(wi)));
  return real.abs().add(
    x
      .matmul(im)
      .sub(re.mul(wi).add(im.mul(wr)))
      .abs(),
  );
}

const eigen: Sample[] = [
  ...squares,
  ['a matrix with conjugate pairs', [4, 4]] as const,
  ['a larger matrix', [40, 40]] as const,
].flatMap(([variant, shape]): Sample[] => {
  // Rotations of planes, turned and stretched a little, have conjugate pairs.
  const inputs = (draw: Draw, dtype: DType): AnyTensor[] => {
    const x = draw.tensor(shape, dtype, -0.5, 0.5);
    const turn = [0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 2, 0, 0, -2, 1];
    return [variant.endsWith('pairs') ? x.div(4).add(hadal.tensor(turn, { shape, dtype })) : x];
  };
  const shared = { dtypes, tolerance, inputs };
  const order = variant.endsWith('pairs') ? 2 : orderOf(shape);
  return [
    // Magnitudes do not depend on the phase.
    {
      ...shared,
      op: 'eig',
      variant,
      call: (x) => {
        const [w, v] = hadal.eig(x);
        return [w, v.square().sum(-1)];
      },
      order,
    },
    {
      ...shared,
      op: 'eig',
      variant: `${variant}, product and lengths`,
      call: (x) => {
        const [w, v] = hadal.eig(x);
        return [eigenResidual(x, w, v), total(v.square().sum([-3, -1]).sub(1))];
      },
      reference: zeroSum,
      order: 0,
      tolerance: looser,
    },
    { ...shared, op: 'eigvals', variant, call: (x) => hadal.eigvals(x), order },
    {
      ...shared,
      op: 'eigvals',
      variant: `${variant}, as eig has them`,
      call: (x) => hadal.eigvals(x).sub(hadal.eig(x)[0]),
      reference: (x) => generated([...x.shape.slice(0, -1), 2], () => 0),
      order: 0,
    },
  ];
});

// --------------------------------------------------------------------------------------------------------------- norms

/** The norms that are made of sums of elements, by their definition. */
function normOf(rows: number[][], order: MatrixNormOrder, columns: number): number {
  if (order === 'fro') return Math.hypot(...rows.flat());
  const lines = Math.abs(order as number) === 1 ? transposeOf(rows, columns) : rows;
  const sums = lines.map((line) => line.reduce((sum, value) => sum + Math.abs(value), 0));
  return (order as number) > 0 ? Math.max(0, ...sums) : Math.min(...sums);
}
const orders: readonly MatrixNormOrder[] = ['fro', 1, -1, Infinity, -Infinity];
const spectralOrders: readonly MatrixNormOrder[] = ['nuc', 2, -2];

const norms: Sample[] = (
  [
    ['a matrix', [3, 4]],
    ['a tall matrix', [4, 2]],
    ['a batch', [2, 3, 3]],
    ['an empty batch', [0, 2, 3]],
  ] as const
).flatMap(([variant, shape]): Sample[] => [
  ...orders.map((order): Sample => ({
    op: 'matrixNorm',
    variant: `${variant}, ${order}`,
    dtypes: ['float64', 'float32', 'float16', 'bfloat16'],
    inputs: (draw, dtype) => [draw.tensor(shape, dtype, -2, 2, [0])],
    call: (x) => hadal.matrixNorm(x, order),
    reference: (x) => ({
      shape: shape.slice(0, -2),
      values: Array.from({ length: sizesOf(shape)[0] }, (_, i) => normOf(rowsOf(x, i), order, shape.at(-1)!)),
    }),
    order: 2,
    // A sum that is rounded before the largest is taken.
    tolerance: { float16: { rtol: 2e-3, atol: 1e-5 } },
  })),
  ...spectralOrders.map((order): Sample => ({
    op: 'matrixNorm',
    variant: `${variant}, ${order}`,
    dtypes,
    inputs: (draw, dtype) => [spread(draw, shape, dtype)],
    call: (x) => hadal.matrixNorm(x, order),
    order: 2,
    tolerance,
  })),
]);
const normsOfNothing: Sample[] = (['fro', 'nuc', 1, 2, Infinity] as const).map((order) => ({
  op: 'matrixNorm',
  variant: `no elements, ${order}`,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor([2, 0, 3], dtype)],
  call: (x) => hadal.matrixNorm(x, order),
  reference: () => ({ shape: [2], values: [0, 0] }),
  order: 1,
}));
const normsAlong: Sample[] = ([1, Infinity, 2] as const).map((order) => ({
  op: 'matrixNorm',
  variant: `axes of columns and rows that stay, ${order}`,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor([2, 3, 4], dtype)],
  call: (x) =>
    hadal
      .matrixNorm(x, order, { axes: [2, 0], keepDims: true })
      .sub(hadal.matrixNorm(x.permute([1, 2, 0]), order).reshape([1, 3, 1])),
  reference: () => ({ shape: [1, 3, 1], values: [0, 0, 0] }),
  order: 0,
}));

const conditions: Sample[] = (
  [
    ['a matrix', [3, 3]],
    ['a batch', [2, 2, 2]],
    ['no elements', [2, 0, 0]],
  ] as const
).flatMap(([variant, shape]): Sample[] => [
  ...orders.map((order): Sample => ({
    op: 'cond',
    variant: `${variant}, ${order}`,
    dtypes,
    inputs: (draw, dtype) => [regular(draw, shape, dtype)],
    call: (x) => hadal.cond(x, order),
    reference: (x) => ({
      shape: shape.slice(0, -2),
      values: Array.from({ length: sizesOf(shape)[0] }, (_, i) => {
        const rows = rowsOf(x, i);
        const n = rows.length;
        if (n === 0) return 0;
        return normOf(rows, order, n) * normOf(eliminate(rows, identityRows(n)).solution, order, n);
      }),
    }),
    order: shape[1] === 0 ? 1 : 2,
    tolerance,
  })),
  ...spectralOrders.map((order): Sample => ({
    op: 'cond',
    variant: `${variant}, ${order}`,
    dtypes,
    inputs: (draw, dtype) => [spread(draw, shape, dtype)],
    call: (x) => hadal.cond(x, order),
    order: shape[1] === 0 ? 1 : 2,
    tolerance,
  })),
]);
/** Products of norms by singular values: ‖x‖·‖x⁻¹‖. */
const conditionsByInverses: Sample[] = spectralOrders.map((order) => ({
  op: 'cond',
  variant: `as the product of two norms, ${order}`,
  dtypes,
  inputs: (draw, dtype) => [spread(draw, [3, 3], dtype)],
  call: (x) => hadal.cond(x, order).div(hadal.matrixNorm(x, order).mul(hadal.matrixNorm(hadal.inv(x), order))),
  reference: () => ({ shape: [], values: [1] }),
  order: 0,
  tolerance,
}));

// ------------------------------------------------------------------------------------------------- reflections, tensors

const reflections: Sample[] = (
  [
    ['a square matrix', [3, 3], [3]],
    ['a tall matrix', [4, 2], [2]],
    ['fewer reflections than columns', [4, 3], [2]],
    ['a batch', [2, 3, 2], [2, 2]],
    ['no reflections', [3, 2], [0]],
    ['no columns', [3, 0], [0]],
  ] as const
).map(([variant, shape, taus]) => ({
  op: 'householderProduct',
  variant,
  dtypes,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype), draw.tensor(taus, dtype)],
  call: (x, tau) => hadal.householderProduct(x, tau),
  reference: (x, tau) =>
    perMatrix(x, shape.at(-1)!, (rows, batch) => {
      const [m, k] = [rows.length, taus.at(-1)!];
      let product = identityRows(m);
      for (let i = 0; i < k; i++) {
        const v = rows.map((row, j) => (j < i ? 0 : j === i ? 1 : row[i]!));
        const scale = tau.values[batch * k + i]!;
        const reflection = v.map((a, j) => v.map((b, l) => (j === l ? 1 : 0) - scale * a * b));
        product = productOf(product, reflection);
      }
      return product.map((row) => row.slice(0, shape.at(-1)!));
    }),
  order: shape.at(-1) === 0 ? 1 : 2,
  tolerance,
}));
const ofFactors: Sample = {
  op: 'householderProduct',
  variant: 'the columns of Q are orthonormal where τ = 2 / v·v',
  dtypes,
  inputs: (draw, dtype) => [draw.tensor([5, 3], dtype)],
  call: (x) => {
    const v = x.tril(-1).add(hadal.eye(5, 3, { dtype: x.dtype }));
    const q = hadal.householderProduct(x, v.square().sum(0).reciprocal().mul(2));
    return q.transpose().matmul(q);
  },
  reference: () => ({ shape: [3, 3], values: identityRows(3).flat() }),
  order: 0,
  tolerance,
};

/** A tensor [2, 3, 6] that is far from singular. */
const cube = (draw: Draw, dtype: DType): AnyTensor => regular(draw, [6, 6], dtype).reshape([2, 3, 6]);
const flat = (x: Plain): Plain => ({ shape: [6, 6], values: x.values });
const tensors: Sample[] = [
  {
    op: 'tensorinv',
    variant: 'two axes against one',
    dtypes,
    inputs: (draw, dtype) => [cube(draw, dtype)],
    call: (x) => hadal.tensorinv(x),
    reference: (x) => ({ ...solved(flat(x), { shape: [6, 6], values: identityRows(6).flat() }), shape: [6, 2, 3] }),
    order: 2,
    tolerance,
  },
  {
    op: 'tensorinv',
    variant: 'one axis against two',
    dtypes,
    inputs: (draw, dtype) => [cube(draw, dtype).reshape([6, 3, 2])],
    call: (x) => hadal.tensordot(hadal.tensorinv(x, 1), x, 1),
    reference: () => ({ shape: [3, 2, 3, 2], values: identityRows(6).flat() }),
    order: 1,
    tolerance,
  },
  {
    op: 'tensorsolve',
    variant: 'two axes',
    dtypes,
    inputs: (draw, dtype) => [cube(draw, dtype), draw.tensor([2, 3], dtype)],
    call: (a, b) => hadal.tensorsolve(a, b),
    reference: (a, b) => solved(flat(a), { shape: [6], values: b.values }),
    order: 2,
    tolerance,
  },
  {
    op: 'tensorsolve',
    variant: 'axes behind the others',
    dtypes,
    inputs: (draw, dtype) => [cube(draw, dtype).permute([2, 0, 1]), draw.tensor([2, 3], dtype)],
    call: (a, b) => hadal.tensordot(a, hadal.tensorsolve(a, b, { axes: [0] }), [[0], [0]]),
    reference: (_, b) => b,
    order: 1,
    tolerance,
  },
];

const vecdots: Sample[] = (
  [
    ['vectors', [4], [4], -1],
    ['rows', [2, 3], [2, 3], -1],
    ['columns', [2, 3], [2, 3], 0],
    ['broadcast', [2, 1, 3], [4, 3], 1],
    ['no elements', [2, 0], [2, 0], -1],
  ] as const
).map(([variant, a, b, axis]) => ({
  op: 'vecdot',
  variant,
  dtypes: ['float64', 'float32', 'int32'],
  inputs: (draw, dtype) => [draw.tensor(a, dtype), draw.tensor(b, dtype)],
  call: (x, y) => hadal.vecdot(x, y, { axis }),
  result: (dtype) => (dtype === 'int32' ? 'int64' : dtype),
  reference: (x, y) => {
    const whole = mapped((p, q) => p * q, x, y);
    const along = axis < 0 ? whole.shape.length + axis : axis;
    return generated(
      whole.shape.filter((_, i) => i !== along),
      (position) =>
        Array.from({ length: whole.shape[along]! }, (_, i) => {
          const place = [...position.slice(0, along), i, ...position.slice(along)];
          return whole.values[ravel(place, whole.shape)]!;
        }).reduce((sum, value) => sum + value, 0),
    );
  },
  order: 2,
}));

export const samples: Sample[] = [
  ...factorizations,
  ...fromFactors,
  ...choleskySolutions,
  ...eigen,
  ...norms,
  ...normsOfNothing,
  ...normsAlong,
  ...conditions,
  ...conditionsByInverses,
  ...reflections,
  ofFactors,
  ...tensors,
  ...vecdots,
];
