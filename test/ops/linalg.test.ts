// What linear algebra refuses, at once or when the device meets it; and that nothing hangs or crashes on numbers that are none.
import * as hadal from '../../lib/index';
import {
  cholesky,
  det,
  DTypeError,
  eigh,
  eye,
  inv,
  LinAlgError,
  lstsq,
  matrixPower,
  ones,
  pinv,
  qr,
  slogdet,
  solve,
  svd,
  tensor,
  triangularSolve,
  zeros,
  type AnyTensor,
} from '../../lib/index';

const any = (x: unknown): AnyTensor => x as AnyTensor;
const stacked = (...matrices: number[][][]): AnyTensor => tensor(matrices) as AnyTensor;
const regular = [
  [2, 1],
  [1, 3],
];
const singular = [
  [1, 2],
  [2, 4],
];

describe('a matrix without an answer', () => {
  test.each([
    [() => inv(stacked(regular, singular)), 'inv: singular: got a zero at position 1 of the diagonal of U in matrix 1'],
    [
      () => solve(any(zeros([2, 2])), any(ones([2]))),
      'solve: singular: got a zero at position 0 of the diagonal of U in matrix 0',
    ],
    [() => inv(any(zeros([200, 200]))), 'inv: singular: got a zero at position 0 of the diagonal of U in matrix 0'],
    [
      () => matrixPower(any(tensor(singular)), -1),
      'inv: singular: got a zero at position 1 of the diagonal of U in matrix 0',
    ],
  ])('%#: singular', async (act, message) => {
    const expected = new LinAlgError(`${message}, expected a matrix that can be inverted`);
    await expect(act().data()).rejects.toThrow(expected);
    await expect(act().data()).rejects.toBeInstanceOf(LinAlgError);
  });

  test.each([
    [
      () =>
        cholesky(
          stacked(regular, regular, [
            [1, 2],
            [2, 1],
          ]),
        ),
      2,
      2,
    ],
    [() => cholesky(any(tensor([[NaN]]))), 1, 0],
    [
      () => cholesky(any(eye(300).mul(tensor(Float32Array.from({ length: 300 }, (_, i) => (i === 250 ? -1 : 1)))))),
      251,
      0,
    ],
  ])('%#: not positive definite', async (act, order, matrix) => {
    await expect(act().data()).rejects.toThrow(
      new LinAlgError(
        `cholesky: not positive definite: got a leading minor of order ${order} that is not positive in matrix ${matrix}, ` +
          'expected a positive-definite matrix',
      ),
    );
  });

  test.each([NaN, Infinity, -Infinity])('%s where an iteration would not end', async (value) => {
    const x = any(
      tensor([
        [1, 2],
        [2, value],
      ]),
    );
    const expected = (op: string): LinAlgError =>
      new LinAlgError(`${op}: not finite: got NaN or an infinity in matrix 0, expected finite numbers`);
    await expect(svd(x)[1].data()).rejects.toThrow(expected('svd'));
    await expect(hadal.svdvals(x).data()).rejects.toThrow(expected('svdvals'));
    await expect(eigh(x)[0].data()).rejects.toThrow(expected('eigh'));
    await expect(hadal.eigvalsh(x).data()).rejects.toThrow(expected('eigvalsh'));
    await expect(pinv(x).data()).rejects.toThrow(expected('pinv'));
    await expect(lstsq(x, any(ones([2]))).solution.data()).rejects.toThrow(expected('lstsq'));
    await expect(lstsq(any(ones([2, 2])), any(tensor([1, value]))).solution.data()).rejects.toThrow(expected('lstsq'));
  });
});

test.each([3, 70, 230])('NaN in %i rows passes through factorings that end by themselves', (n) => {
  const x = any(ones([n, n]).add(eye(n)).mul(NaN));
  for (const y of [inv(x), solve(x, any(ones([n]))), det(x), slogdet(x)[1], qr(x)[1].triu()]) {
    const values = Array.from(y.dataSync(), Number);
    expect(values.some(Number.isNaN)).toBe(true);
  }
});

test('the upper triangle is never read where the lower one counts', () => {
  const x = any(
    tensor([
      [4, NaN],
      [2, 5],
    ]),
  );
  expect(cholesky(x).toArraySync()).toEqual([
    [2, 0],
    [1, 2],
  ]);
  expect(
    eigh(
      any(
        tensor([
          [1, NaN],
          [0, 2],
        ]),
      ),
    )[0].toArraySync(),
  ).toEqual([1, 2]);
});

test('det and slogdet of singular matrices and of none', () => {
  expect(det(any(zeros([2, 2]))).itemSync()).toBe(0);
  expect(slogdet(any(zeros([2, 2]))).map((x) => x.itemSync())).toEqual([0, -Infinity]);
  expect(det(any(zeros([0, 0]))).itemSync()).toBe(1);
  expect(slogdet(any(zeros([3, 0, 0])))[0].toArraySync()).toEqual([1, 1, 1]);
});

test('the gradient of det is that of its cofactors, at rank n - 1 and below', () => {
  const gradientAt = (rows: number[][]): unknown => {
    const x = any(tensor(rows, { dtype: 'float64', requiresGrad: true }));
    det(x).backward();
    return any(x.grad!).mul(1e6).round().div(1e6).add(0).toArraySync();
  };
  expect(gradientAt(singular)).toEqual([
    [4, -2],
    [-2, 1],
  ]);
  expect(
    gradientAt([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]),
  ).toEqual([
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 1],
  ]);
  expect(
    gradientAt([
      [1, 1, 1],
      [1, 1, 1],
      [1, 1, 1],
    ]),
  ).toEqual([
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
});

test('the first of many failures is the one that is reported', async () => {
  const x = any(
    eye(3)
      .expand([5000, 3, 3])
      .mul(tensor(Float32Array.from({ length: 5000 }, (_, i) => (i >= 4321 ? 0 : 1))).reshape([5000, 1, 1])),
  );
  await expect(inv(x).data()).rejects.toThrow(/ in matrix 4321,/);
});

describe('what is refused at once', () => {
  test.each([
    [() => inv(any(ones([2, 3]))), 'inv: not square: got x of shape [2, 3], expected [..., n, n]'],
    [() => solve(any(ones([3])), any(ones([3]))), 'solve: not square: got a of shape [3], expected [..., n, n]'],
    [
      () => solve(any(eye(2)), any(ones([3]))),
      'solve: rows differ: got a [2, 2] and b [3], expected as many rows in both',
    ],
    [() => svd(any(ones([3]))), 'svd: no matrices: got x of shape [3], expected [..., m, n]'],
    [
      () => qr(any(ones([3, 3])), { mode: 'r' as 'reduced' }),
      "qr: mode: got string r, expected 'reduced' or 'complete'",
    ],
    [
      () => pinv(any(ones([3, 3])), { tolerance: -1 }),
      'pinv: tolerance: got number -1, expected a non-negative number',
    ],
    [() => matrixPower(any(eye(2)), 0.5), 'matrixPower: exponent: got number 0.5, expected an integer'],
    [() => inv(any(ones([2, 2], { dtype: 'int32' }))), 'inv: dtype: got int32, expected float64, float32'],
    [() => svd(any(ones([2, 2], { dtype: 'float16' }))), 'svd: dtype: got float16, expected float64, float32'],
    [
      () => solve(any(eye(2)), any(ones([2], { dtype: 'float64' }))),
      'solve: dtypes differ: got a float32 and b float64, expected one dtype',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });

  test('as errors of their kind', () => {
    expect(() => inv(any(ones([2, 2], { dtype: 'bfloat16' })))).toThrow(DTypeError);
    const x = any(ones([3, 2], { requiresGrad: true }));
    expect(() => qr(x, { mode: 'complete' })[0].sum().backward()).toThrow(
      new Error('backward: qr of a tall matrix in mode complete has no gradient: got [3, 2], expected mode reduced'),
    );
  });
});

test('as methods', () => {
  const x = any(tensor(regular));
  expect(x.inv().matmul(x).round().toArraySync()).toEqual([
    [1, 0],
    [0, 1],
  ]);
  expect(x.solve(any(tensor([3, 4]))).toArraySync()).toEqual([1, 1]);
  expect(
    x
      .tril()
      .triangularSolve(any(tensor([2, 4])))
      .toArraySync(),
  ).toEqual([1, 1]);
  expect([x.det().itemSync(), x.matrixRank().itemSync()].map(Math.round)).toEqual([5, 2]);
});

test('large systems give the same bits at any thread count', () => {
  const x = any(hadal.randn([256, 256]));
  const spd = x.matmul(x.transpose()).add(eye(256));
  const run = (threads: number): unknown[] => {
    hadal.setNumThreads(threads);
    return [inv(x), cholesky(spd), triangularSolve(x, x), svd(x)[1]].map((y) => y.dataSync());
  };
  const threads = hadal.getNumThreads();
  try {
    expect(run(3)).toEqual(run(1));
  } finally {
    hadal.setNumThreads(threads);
  }
});
