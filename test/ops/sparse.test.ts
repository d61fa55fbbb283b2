// Sparse products over several steps, and pointers and columns that lie.
import { csrFromCoo, ones, scope, spmm, tensor, type AnyTensor, type CsrMatrix } from '../../lib/index';

const int = (data: number[]): AnyTensor => tensor(data, { dtype: 'int64' });
const matrix = (): CsrMatrix => csrFromCoo(int([1, 0, 1]), int([0, 2, 1]), tensor([2, 3, 4]), [2, 3]);

test('the transpose that a gradient needs outlives the scope it was made in', () => {
  const fixed = matrix();
  const x = ones([3, 2]).requiresGrad_();
  for (let step = 1; step <= 3; step++) {
    scope(() => {
      spmm(fixed, x).sum().backward();
    });
    expect(x.grad!.toArraySync()).toEqual([2, 4, 3].map((v) => [v * step, v * step]));
  }
});

test('values may change under the same pattern', () => {
  const fixed = matrix();
  const values = tensor([1, 1, 1]).requiresGrad_();
  const x = tensor([[1], [2], [4]]);
  const y = spmm({ ...fixed, values }, x);
  expect(y.toArraySync()).toEqual([[4], [3]]);
  y.sum().backward();
  expect(values.grad!.toArraySync()).toEqual([4, 1, 2]);
});

test.each<[() => CsrMatrix, string]>([
  [() => ({ ...matrix(), columns: int([2, 3, 0]) }), 'csrMatmul: column 3 at position 1 out of range for 3'],
  [() => ({ ...matrix(), rowPointers: int([0, 1, 9]) }), 'csrMatmul: row 1 has entries 1 to 9 of 3'],
  [() => ({ ...matrix(), rowPointers: int([-5, 1, 3]) }), 'csrMatmul: row 0 has entries -5 to 1 of 3'],
])('%#, at the next read: %s', async (make, message) => {
  await expect(spmm(make(), ones([3, 2])).data()).rejects.toThrow(new Error(message));
});

test.each<[() => unknown, string]>([
  [() => spmm(matrix(), ones([2, 2])), 'spmm: inner sizes differ: sparse [2, 3] · dense [2, 2]'],
  [
    () => spmm({ ...matrix(), rowPointers: int([0, 3]) }, ones([3, 2])),
    'spmm: rowPointers do not fit: got shape [2], expected [3]',
  ],
  [
    () => csrFromCoo(int([0]), int([0, 1]), undefined, [2, 2]),
    'csrFromCoo: entries do not fit: got 1, 2, expected as many of each',
  ],
])('%#: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});
