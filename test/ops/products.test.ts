// What einsum and its relatives say of wrong arguments, and the order in which einsum multiplies.
import * as hadal from '../../lib/index';
import { einsum, ones, tensordot, type AnyTensor } from '../../lib/index';

const call = einsum as (equation: unknown, ...operands: unknown[]) => AnyTensor;
const matrix = ones([2, 3]);

describe('einsum refuses', () => {
  test.each([
    [() => call(3, matrix), "einsum: equation: got number 3, expected a string such as 'ij,jk->ik'"],
    [() => call('ij'), 'einsum: operands: got 0, expected 1 for ij'],
    [() => call('ij,jk', matrix), 'einsum: operands: got 1, expected 2 for ij,jk'],
    [() => call('ij', [[1]]), 'einsum: operands[0]: got an array, expected a tensor'],
    [
      () => call('i1', matrix),
      'einsum: equation: got i1 in i1, expected letters and at most one ellipsis for each operand, and one ->',
    ],
    [
      () => call('...i...', matrix),
      'einsum: equation: got ...i... in ...i..., expected letters and at most one ellipsis for each operand, and one ->',
    ],
    [
      () => call('ij->i->j', matrix),
      'einsum: equation: got -> in ij->i->j, expected letters and at most one ellipsis for each operand, and one ->',
    ],
    [() => call('ijk', matrix), 'einsum: operands[0]: wrong rank: got shape [2, 3], expected axes ijk of ijk'],
    [() => call('ij...k', matrix), 'einsum: operands[0]: wrong rank: got shape [2, 3], expected axes ij...k of ij...k'],
    [() => call('ij,jk', matrix, matrix), 'einsum: sizes of axes j differ: got 3 and 2, expected one size'],
    [() => call('ii', matrix), 'einsum: sizes of axes i differ: got 2 and 3, expected one size'],
    [() => call('ii', ones([1, 3])), 'einsum: sizes of axes i differ: got 1 and 3, expected one size'],
    [
      () => call('...,...', ones([2]), ones([3])),
      'einsum: sizes of an axis of the ellipsis differ: got 2 and 3, expected one size',
    ],
    [
      () => call('ij->ik', matrix),
      'einsum: equation: got k in the result of ij->ik, expected letters of the operands, each once',
    ],
    [
      () => call('ij->ii', matrix),
      'einsum: equation: got i in the result of ij->ii, expected letters of the operands, each once',
    ],
    [
      () => call('ij', ones([2, 3], { dtype: 'bool' })),
      'einsum: dtype: got bool, expected float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8',
    ],
    [
      () => call('abcde,fghij->abcdefghij', ones([1, 1, 1, 1, 1]), ones([1, 1, 1, 1, 1])),
      'einsum: too many axes: got 10, expected at most 8',
    ],
    [
      () => call('abcde,fghij,abcdefghij', ones([1, 1, 1, 1, 1]), ones([1, 1, 1, 1, 1]), ones([])),
      'einsum: operands[2]: wrong rank: got shape [], expected axes abcdefghij of abcde,fghij,abcdefghij',
    ],
  ])('%#', (f, message) => {
    expect(f).toThrow(new Error(message));
  });
});

test.each([
  [
    () => tensordot(matrix, matrix as AnyTensor, 1),
    'tensordot: sizes differ: got a [2, 3] and b [2, 3], expected axis 1 of a as axis 0 of b (3 vs 2)',
  ],
  [
    () => tensordot(matrix, matrix as AnyTensor, 3),
    'tensordot: axes: got 3 for a [2, 3] and b [2, 3], expected at most as many as both have',
  ],
  [
    () =>
      tensordot(matrix, matrix, [
        [0, 0],
        [0, 1],
      ]),
    'tensordot: axis 0 given twice for shape [2, 3]',
  ],
  [
    () => tensordot(matrix, matrix, [[0], [0, 1]]),
    'tensordot: axes: got other than two lists of one length, expected axes of a and of b',
  ],
  [() => hadal.dot(ones([2]), ones([3]) as AnyTensor), 'dot: inner sizes differ: a [2] · b [3] (2 vs 3)'],
  [() => hadal.mv(ones([3]) as AnyTensor, ones([3])), 'mv: a: wrong rank: got shape [3], expected [m, n]'],
  [
    () => hadal.bmm(ones([2, 2, 2]), ones([3, 2, 2]) as AnyTensor),
    'bmm: batches differ: got a [2, 2, 2] and b [3, 2, 2], expected one size',
  ],
  [() => hadal.outer(matrix as AnyTensor, ones([3])), 'outer: a: wrong rank: got shape [2, 3], expected [n]'],
  [
    () => hadal.addmm(ones([4]) as AnyTensor, matrix, ones([3, 2])),
    'addmm: shapes [4] and [2, 2] do not broadcast: 4 vs 2 at axis -1',
  ],
  [
    () => hadal.addmm(ones([3, 2, 2]) as AnyTensor, matrix, ones([3, 2])),
    'addmm: x does not fit: got shape [3, 2, 2], expected one that broadcasts to [2, 2]',
  ],
  [
    () => {
      const x = ones([2, 2], { dtype: 'int32' });
      return hadal.addmm(x, x, x, { alpha: 0.5 });
    },
    'addmm: alpha: got 0.5, expected an integer for int32',
  ],
  [() => hadal.kron(ones([1, 1, 1, 1, 1]), ones([])), 'kron: too many axes: got 5, expected at most 4'],
])('products refuse what does not fit: %#', (f, message) => {
  expect(f).toThrow(new Error(message));
});

test('beta 0 leaves NaN out', () => {
  const x = hadal.full([2], NaN);
  expect(hadal.addmm(x, matrix, ones([3, 2]), { beta: 0 }).toArraySync()).toEqual([
    [3, 3],
    [3, 3],
  ]);
});

/** How many elements the results of all matrix products have together. */
function multiplied(f: () => unknown): number {
  const sizes: number[] = [];
  const original = hadal.Tensor.prototype.matmul;
  hadal.Tensor.prototype.matmul = function (this: AnyTensor, other: AnyTensor) {
    sizes.push(this.size * other.shape[other.rank - 1]!);
    return original.call(this, other as never);
  } as never;
  try {
    f();
  } finally {
    hadal.Tensor.prototype.matmul = original;
  }
  return sizes.reduce((sum, size) => sum + size, 0);
}

test('einsum multiplies as little as it can', () => {
  // From the right; from the left it would be 30·2·30 and more.
  const chain = [ones([30, 2]), ones([2, 30]), ones([30, 2]), ones([2, 1])] as const;
  expect(multiplied(() => einsum('ab,bc,cd,de->ae', ...chain))).toBe(30 * 2 + 2 * 30 + 30 * 2);
  // The vectors first, wherever they stand.
  expect(multiplied(() => einsum('i,ij,jk,k->', ones([50]), ones([50, 50]), ones([50, 50]), ones([50])))).toBe(
    2 * 50 * 50 + 50,
  );
});
