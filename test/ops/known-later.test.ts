// Ops whose result has a size that only the device knows: the forms that give a promise, and what they refuse.
import * as hadal from '../../lib/index';
import { tensor, type AnyTensor } from '../../lib/index';

const x = tensor([
  [0, 3, 0],
  [5, 0, 3],
]);
const numbersOf = async (result: Promise<AnyTensor>): Promise<unknown> => (await result).toArraySync();

test('the forms that do not block give what the blocking ones do', async () => {
  const mask = x.greater(0);
  expect(await numbersOf(hadal.nonzero(x))).toEqual(hadal.nonzeroSync(x).toArraySync());
  expect(await numbersOf(x.nonzero())).toEqual([
    [0, 1],
    [1, 0],
    [1, 2],
  ]);
  expect(await numbersOf(hadal.maskedSelect(x, mask))).toEqual([3, 5, 3]);
  expect(x.maskedSelectSync(mask).toArraySync()).toEqual([3, 5, 3]);
  expect(await numbersOf(x.at(mask))).toEqual([3, 5, 3]);
  expect(x.atSync(mask).toArraySync()).toEqual([3, 5, 3]);
  expect(await numbersOf(x.repeatInterleave(tensor([2, 1], { dtype: 'int64' }), { axis: 0 }))).toEqual([
    [0, 3, 0],
    [0, 3, 0],
    [5, 0, 3],
  ]);
  const { values, inverse, counts } = await x.unique();
  expect([values, inverse, counts].map((result) => result.toArraySync())).toEqual([
    [0, 3, 5],
    [
      [0, 1, 0],
      [2, 0, 1],
    ],
    [3, 2, 1],
  ]);
  expect(await numbersOf(tensor([3, 1, 1], { dtype: 'int32' }).bincount())).toEqual([0, 2, 0, 1]);
});

test('a promise is rejected for wrong arguments', async () => {
  await expect(hadal.maskedSelect(x, x as never)).rejects.toThrow(
    'maskedSelect: mask: got dtype float32, expected bool',
  );
  await expect(hadal.unique(x, { axis: 2 })).rejects.toThrow('unique: axis 2 out of range for shape [2, 3]');
  await expect(hadal.bincount(x)).rejects.toThrow('bincount: dtype: got float32, expected integers');
  await expect(hadal.nonzero(3 as never)).rejects.toThrow('nonzero: input: got number 3, expected a tensor');
});

test('a count of negative numbers is an error at the next read', () => {
  const counts = hadal.bincountSync(tensor([1, -1], { dtype: 'int32' }));
  expect(() => counts.dataSync()).toThrow(hadal.IndexError);
});

test('gradients flow through what a mask selects', () => {
  const leaf = tensor([1, 2, 3]).requiresGrad_();
  leaf.maskedSelectSync(leaf.detach().greater(1)).square().sum().backward();
  expect(leaf.grad!.toArraySync()).toEqual([0, 4, 6]);
});
