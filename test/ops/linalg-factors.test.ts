// LU factors, eigenvalues of any matrix, matrix norms and tensors as matrices: what they refuse, singular matrices, numbers that are none, and what is known of them
// in closed form. Products, references and gradients: samples/linalg-more.ts, and golden/ops/factors.
import * as hadal from '../../lib/index';
import {
  choleskyInverse,
  choleskySolve,
  cond,
  eig,
  eigvals,
  eye,
  householderProduct,
  LinAlgError,
  lu,
  luFactor,
  luSolve,
  matrixNorm,
  ones,
  solve,
  tensor,
  tensorinv,
  tensorsolve,
  triangularSolve,
  vecdot,
  zeros,
  type AnyTensor,
} from '../../lib/index';

const any = (x: unknown): AnyTensor => x as AnyTensor;
const matrix = (rows: number[][] | number[][][], requiresGrad = false): AnyTensor =>
  any(tensor(rows, { dtype: 'float64', requiresGrad }));
const pivotsOf = (rows: number[]): hadal.Tensor<hadal.Shape, 'int32'> => tensor(rows, { dtype: 'int32' });
const rounded = (x: unknown): unknown => any(x).mul(1e9).round().div(1e9).add(0).toArraySync();
const singular = [
  [1, 2],
  [2, 4],
];
const regular = [
  [4, 0],
  [0, 2],
];

describe('a singular matrix', () => {
  test('has factors, and solutions with them are not finite', () => {
    const [p, l, u] = lu(matrix(singular));
    expect([p, l, u].map((x) => x.toArraySync())).toEqual([
      [
        [0, 1],
        [1, 0],
      ],
      [
        [1, 0],
        [0.5, 1],
      ],
      [
        [2, 4],
        [0, 0],
      ],
    ]);
    const [factors, pivots] = luFactor(any(zeros([3, 3])));
    expect(any(factors).abs().sum().itemSync()).toBe(0);
    expect(pivots.toArraySync()).toEqual([1, 2, 3]);
    expect(
      Array.from(luSolve(...luFactor(matrix(singular)), matrix([[1], [1]]) as never).dataSync() as Float64Array).some(
        Number.isFinite,
      ),
    ).toBe(false);
  });

  test.each(['fro', 1, -1, Infinity, -Infinity] as const)('has an infinite condition of order %s alone', (order) => {
    const x = matrix([singular, regular], true);
    const y = cond(x, order);
    const expected =
      order === 'fro' ? Math.sqrt(20) * Math.hypot(0.25, 0.5) : typeof order === 'number' && order > 0 ? 2 : 0.5;
    expect(y.toArraySync()).toEqual([Infinity, expect.closeTo(expected, 12) as number]);
    any(y).sum().backward();
    const gradient = any(x.grad!);
    expect(gradient.select(0, 0).abs().sum().itemSync()).toBe(0);
    expect(gradient.isFinite().all().itemSync()).toBe(1);
  });

  test('has a condition by singular values that is infinite or very large', () => {
    expect(cond(matrix(singular)).itemSync()).toBeGreaterThan(1e15);
    expect(
      cond(
        matrix([
          [0, 0],
          [0, 1],
        ]),
      ).itemSync(),
    ).toBe(Infinity);
    expect(
      cond(
        matrix([
          [0, 0],
          [0, 1],
        ]),
        -2,
      ).itemSync(),
    ).toBe(0);
  });

  test('as eigenvectors have no gradient, and no crash', async () => {
    const x = matrix(
      [
        [2, 1],
        [0, 2],
      ],
      true,
    );
    const [w] = eig(x);
    expect(w.toArraySync()).toEqual([
      [2, 0],
      [2, 0],
    ]);
    // The vectors are parallel, up to rounding.
    any(w).select(-1, 0).sum().backward();
    await any(x.grad!)
      .data()
      .catch((error: unknown) => {
        expect(error).toBeInstanceOf(LinAlgError);
      });
  });
});

describe('numbers that are none', () => {
  test.each([NaN, Infinity, -Infinity])('%s where an iteration would not end', async (value) => {
    const x = any(
      tensor([
        eye(2).toArraySync(),
        [
          [1, 2],
          [value, 3],
        ],
      ] as number[][][]),
    );
    for (const [op, y] of [
      ['eig', () => eig(x)[0]],
      ['eig', () => eig(x)[1]],
      ['eigvals', () => eigvals(x)],
      ['eig', () => eigvals(x.detach().requiresGrad_())],
      ['svdvals', () => matrixNorm(x, 'nuc')],
      ['svdvals', () => cond(x)],
    ] as const) {
      await expect(y().data()).rejects.toThrow(
        new LinAlgError(`${op}: not finite: got NaN or an infinity in matrix 1, expected finite numbers`),
      );
    }
  });

  // A panel of its own from 192 rows on.
  test.each([3, 70, 230])('NaN in %i rows passes through LU and norms of sums', (n) => {
    const x = any(ones([n, n]).add(eye(n)).mul(NaN));
    const [factors, pivots] = luFactor(x);
    const values = [
      any(factors),
      any(lu(x)[2]),
      luSolve(factors as never, pivots as never, any(ones([n]))),
      matrixNorm(x),
      matrixNorm(x, 1),
      matrixNorm(x, -Infinity),
      cond(x, 1),
    ];
    for (const y of values) expect(any(y).isNaN().any().itemSync()).toBe(1);
    expect(any(pivots).greater(n).any().itemSync()).toBe(0);
  });
});

describe('what is known in closed form', () => {
  test('the eigenvalues of a companion matrix are the roots of its polynomial', () => {
    // x³ - 2x² + x - 2 = (x - 2)·(x² + 1)
    const x = matrix([
      [2, -1, 2],
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const roots = rounded(eigvals(x)) as number[][];
    expect(roots.sort(([a], [b]) => a! - b!)).toEqual([
      [0, 1],
      [0, -1],
      [2, 0],
    ]);
  });

  test('conjugate vectors belong to conjugate eigenvalues, the one above the real axis first', () => {
    const [w, v] = eig(
      matrix([
        [0, 1],
        [-1, 0],
      ]),
    );
    expect(rounded(w)).toEqual([
      [0, 1],
      [0, -1],
    ]);
    const [first, second] = any(v).unbind(-2) as [AnyTensor, AnyTensor];
    expect(rounded(first.sub(second.mul(tensor([1, -1], { dtype: 'float64' }))))).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test('the sum of eigenvalues is the trace: its gradient is the identity, that of the imaginary parts nothing', () => {
    const x = any(hadal.randn([3, 5, 5], { dtype: 'float64' })).requiresGrad_();
    const [real, imaginary] = any(eigvals(x)).unbind(-1) as [AnyTensor, AnyTensor];
    const [ofReal, ofImaginary] = [real, imaginary].map(
      (y) => hadal.gradients([y.sum()], [x], { retainGraph: true })[0]!,
    );
    expect(any(ofReal).sub(eye(5)).abs().max().itemSync()).toBeLessThan(1e-10);
    expect(any(ofImaginary).abs().max().itemSync()).toBeLessThan(1e-10);
  });

  test('eigenvectors of many rows', () => {
    const x = any(hadal.randn([200, 200], { dtype: 'float64' }));
    const [w, v] = eig(x);
    const [re, im] = any(v).unbind(-1) as [AnyTensor, AnyTensor];
    const [wr, wi] = any(w).unbind(-1) as [AnyTensor, AnyTensor];
    const residual = x.matmul(re).sub(re.mul(wr).sub(im.mul(wi)));
    // Entries of length 1 times about √200 eigenvalues' magnitude, rounded some 200 times.
    expect(residual.abs().max().itemSync()).toBeLessThan(1e-11);
  });

  test('norms of a diagonal matrix', () => {
    const x = matrix([
      [3, 0],
      [0, -4],
    ]);
    const found = (['fro', 'nuc', 1, -1, 2, -2, Infinity, -Infinity] as const).map((order) =>
      matrixNorm(x, order).itemSync(),
    );
    [5, 7, 4, 3, 4, 3, 4, 3].forEach((value, i) => {
      expect(found[i]).toBeCloseTo(value, 12);
    });
  });

  test('columns that tie share the gradient of a norm, and zero has none', () => {
    const x = matrix(
      [
        [1, -2],
        [3, 2],
      ],
      true,
    );
    any(matrixNorm(x, 1)).backward();
    expect(x.grad!.toArraySync()).toEqual([
      [0.5, -0.5],
      [0.5, 0.5],
    ]);
    const zero = matrix(
      [
        [0, 0],
        [0, 0],
      ],
      true,
    );
    any(matrixNorm(zero)).backward();
    expect(zero.grad!.toArraySync()).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });
});

describe('pivots', () => {
  test('are those of LAPACK, counted from 1, and may be strided', () => {
    const x = matrix([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(luFactor(x)[1].toArraySync()).toEqual([3, 3]);
    const [factors, pivots] = luFactor(
      matrix([
        [0, 2, 1],
        [1, 0, 0],
        [0, 0, 4],
      ]),
    );
    const doubled = any(hadal.stack([any(pivots), any(pivots)], -1)).select(-1, 0);
    expect(doubled.isContiguous).toBe(false);
    expect(rounded(luSolve(factors as never, doubled as never, any(tensor([3, 1, 4], { dtype: 'float64' }))))).toEqual([
      1, 1, 1,
    ]);
  });

  test.each([0, -1, 3, 2 ** 31 - 1])('%d is no row of two', async (pivot) => {
    const x = luSolve(any(eye(2)), pivotsOf([1, pivot]), any(ones([2])));
    const expected = new hadal.IndexError(`luSolve: pivot: got ${pivot}, expected one from 1 to 2`);
    await expect(x.data()).rejects.toThrow(expected);
  });
});

test('vectors on the left of a batch are rows of a matrix, whatever the size of the batch', () => {
  // As many matrices as rows: with the matrix on the left, b would be one vector per matrix.
  const a = any(eye(2)).mul(tensor([2, 4]).reshape([2, 1, 1]));
  const b = any(
    tensor([
      [2, 4],
      [6, 8],
    ]),
  );
  const expected = [
    [
      [1, 2],
      [3, 4],
    ],
    [
      [0.5, 1],
      [1.5, 2],
    ],
  ];
  expect(solve(a, b, { left: false }).toArraySync()).toEqual(expected);
  expect(triangularSolve(a, b, { left: false }).toArraySync()).toEqual(expected);
  expect(luSolve(...(luFactor(a) as [never, never]), b, { left: false }).toArraySync()).toEqual(expected);
  expect(solve(a, b).toArraySync()).toEqual([
    [1, 2],
    [1.5, 2],
  ]);
});

describe('what is refused at once', () => {
  const factors = any(eye(2));
  const pivots = pivotsOf([1, 2]);
  test.each([
    [() => lu(any(ones([3]))), 'lu: no matrices: got x of shape [3], expected [..., m, n]'],
    [() => luFactor(any(ones([2, 2], { dtype: 'int32' }))), 'luFactor: dtype: got int32, expected float64, float32'],
    [
      () => luSolve(any(ones([2, 3])), pivots, any(ones([2]))),
      'luSolve: not square: got lu of shape [2, 3], expected [..., n, n]',
    ],
    [
      () => luSolve(factors, pivotsOf([1]), any(ones([2]))),
      'luSolve: pivots do not fit: got shape [1] for lu [2, 2], expected [2]',
    ],
    [() => luSolve(factors, any(ones([2])) as never, any(ones([2]))), 'luSolve: dtype: got float32, expected int32'],
    [() => luSolve(factors, 1 as never, any(ones([2]))), 'luSolve: pivots: got number 1, expected a tensor'],
    [
      () => luSolve(factors, pivots, any(ones([3, 2]))),
      'luSolve: rows differ: got lu [2, 2] and b [3, 2], expected as many rows in both',
    ],
    [
      () => luSolve(factors, pivots, any(ones([2, 3])), { left: false }),
      'luSolve: columns differ: got lu [2, 2] and b [2, 3], expected as many columns in both',
    ],
    [
      () => solve(factors, any(ones([2, 3])), { left: false }),
      'solve: columns differ: got a [2, 2] and b [2, 3], expected as many columns in both',
    ],
    [
      () => solve(factors, any(tensor(1)), { left: false }),
      'solve: columns differ: got a [2, 2] and b [], expected as many columns in both',
    ],
    [
      () => choleskySolve(any(ones([3])), factors),
      'choleskySolve: rows differ: got l [2, 2] and b [3], expected as many rows in both',
    ],
    [
      () => choleskySolve(any(ones([2], { dtype: 'float64' })), factors),
      'choleskySolve: dtypes differ: got l float32 and b float64, expected one dtype',
    ],
    [
      () => choleskyInverse(any(ones([2, 3]))),
      'choleskyInverse: not square: got l of shape [2, 3], expected [..., n, n]',
    ],
    [() => eig(any(ones([2, 3]))), 'eig: not square: got x of shape [2, 3], expected [..., n, n]'],
    [() => eigvals(any(ones([2, 2], { dtype: 'float16' }))), 'eigvals: dtype: got float16, expected float64, float32'],
    [() => eig(any(ones([1, 1, 1, 1, 1, 1, 1, 1]))), 'eig: too many axes: got 9, expected at most 8'],
    [
      () => matrixNorm(factors, 3),
      'matrixNorm: order: got 3, expected one of fro, nuc, Infinity, -Infinity, 1, -1, 2, -2',
    ],
    [() => cond(factors, 0), 'cond: order: got 0, expected one of fro, nuc, Infinity, -Infinity, 1, -1, 2, -2'],
    [() => matrixNorm(any(ones([3]))), 'matrixNorm: axis -2 out of range for shape [3]'],
    [
      () => matrixNorm(factors, 1, { axes: [0] as never }),
      'matrixNorm: axes: got 1 for shape [2, 2], expected 2, of rows and of columns',
    ],
    [() => matrixNorm(factors, 1, { axes: [0, -2] as never }), 'matrixNorm: axis 0 given twice for shape [2, 2]'],
    [
      () => matrixNorm(any(ones([2, 2], { dtype: 'float16' })), 2),
      'matrixNorm: dtype: got float16, expected float64, float32',
    ],
    [
      () => matrixNorm(any(ones([2, 2], { dtype: 'int32' }))),
      'matrixNorm: dtype: got int32, expected float64, float32, float16, bfloat16',
    ],
    [
      () => matrixNorm(any(ones([0, 3])), -Infinity),
      'matrixNorm: nothing to reduce: got size 0 at axis 0 of shape [0], expected at least 1',
    ],
    [() => cond(any(ones([2, 3])), 1), 'cond: not square: got x of shape [2, 3], expected [..., n, n]'],
    [
      () => householderProduct(any(ones([2, 3])), any(ones([2]))),
      'householderProduct: tau does not fit: got x [2, 3] and tau [2], expected [..., m, n] and [..., k] with m >= n >= k',
    ],
    [
      () => householderProduct(any(ones([5, 3, 2])), any(ones([2]))),
      'householderProduct: tau does not fit: got x [5, 3, 2] and tau [2], expected [..., m, n] and [..., k] with m >= n >= k',
    ],
    [
      () => householderProduct(any(ones([3, 2])), any(ones([2], { dtype: 'float64' }))),
      'householderProduct: dtypes differ: got x float32 and tau float64, expected one dtype',
    ],
    [
      () => tensorinv(any(ones([2, 3, 4]))),
      'tensorinv: not square: got [2, 3] and [4] (6 vs 4), expected as many elements',
    ],
    [() => tensorinv(factors, 0), 'tensorinv: axes: got 0, expected a positive integer'],
    [
      () => tensorsolve(any(ones([2, 2, 4])), any(ones([2, 3]))),
      'tensorsolve: b does not fit: got shape [2, 3] for a [2, 2, 4], expected [2, 2]',
    ],
    [
      () => vecdot(any(ones([2, 3])), any(ones([4]))),
      'vecdot: shapes [2, 3] and [4] do not broadcast: 3 vs 4 at axis -1',
    ],
    [() => vecdot(any(ones([3])), any(ones([3])), { axis: 1 }), 'vecdot: axis 1 out of range for shape [3]'],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });
});

test('as methods', () => {
  const x = any(tensor(regular));
  const b = any(tensor([8, 6]));
  const [factors, pivots] = x.luFactor();
  expect(
    any(factors)
      .luSolve(pivots as never, b)
      .toArraySync(),
  ).toEqual([2, 3]);
  expect(x.lu()[2].toArraySync()).toEqual(regular);
  expect(b.choleskySolve(x.cholesky()).round().toArraySync()).toEqual([2, 3]);
  expect(x.cholesky().choleskyInverse().mul(4).round().toArraySync()).toEqual([
    [1, 0],
    [0, 2],
  ]);
  expect(x.solve(b, { left: false }).toArraySync()).toEqual([2, 3]);
  expect([x.matrixNorm(1).itemSync(), x.cond(1).itemSync()]).toEqual([4, 2]);
  expect([x.eigvals().shape, x.eig()[1].shape]).toEqual([
    [2, 2],
    [2, 2, 2],
  ]);
  expect(x.householderProduct(any(zeros([2]))).toArraySync()).toEqual([
    [1, 0],
    [0, 1],
  ]);
  expect(x.tensorinv(1).toArraySync()).toEqual([
    [0.25, 0],
    [0, 0.5],
  ]);
  expect(x.tensorsolve(b).toArraySync()).toEqual([2, 3]);
  expect(x.vecdot(b).toArraySync()).toEqual([32, 12]);
});

test('large matrices give the same bits at any thread count', () => {
  const inputs = [
    [256, 256],
    [270, 200],
    [200, 270],
    [40, 9, 9],
  ].map((shape) => any(hadal.randn(shape)));
  const run = (threads: number): unknown[] => {
    hadal.setNumThreads(threads);
    return [...inputs.flatMap((x) => luFactor(x)), eigvals(inputs[3]!)].map((y) => y.dataSync());
  };
  const threads = hadal.getNumThreads();
  try {
    expect(run(3)).toEqual(run(1));
  } finally {
    hadal.setNumThreads(threads);
  }
});
