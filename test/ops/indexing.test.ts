// What indices refuse, and where they look at the same memory.
import * as hadal from '../../lib/index';
import { tensor, type AnyTensor } from '../../lib/index';

const x = hadal.arange(24).reshape([2, 3, 4]);
const int = (values: number[]) => tensor(values, { dtype: 'int32' });

test('positions and rising ranges are views, the rest copies', () => {
  expect(x.at(1, '1:', '::2').storage).toBe(x.storage);
  expect(x.at('...', null).storage).toBe(x.storage);
  expect(x.at('::-1').storage).not.toBe(x.storage);
  expect(x.at([1, 0]).storage).not.toBe(x.storage);
});

test.each<[string, () => unknown, string]>([
  ['too many', () => x.at(0, 0, 0, 0), 'at: too many indices: got 4, expected at most 3 for shape [2, 3, 4]'],
  ['a position outside', () => x.at(0, 3), 'at: index 3 out of range for axis 1 of shape [2, 3, 4]'],
  ['a fraction', () => x.at(0.5), 'at: index 0.5 out of range for axis 0 of shape [2, 3, 4]'],
  ['two ellipses', () => x.at('...', '...'), "at: indices: got more than one '...', expected at most one"],
  ['a word', () => x.at('all'), "at: index: got string all, expected a range such as '1:4' or '::2', or '...'"],
  [
    'a step of 0',
    () => x.at('::0'),
    'at: positions: got start undefined, stop undefined, step 0, expected integers and a step that is not 0',
  ],
  [
    'undefined',
    () => x.at(undefined as never),
    "at: index: got undefined, expected a position, a range, '...', null, or a tensor of int32, int64 or bool",
  ],
  ['a float tensor', () => x.at(tensor([0]) as never), 'at: index: got dtype float32, expected integers or bool'],
  ['a mask of another shape', () => x.atSync(tensor([true])), 'atSync: mask does not fit: got shape [1], expected [2]'],
  ['a list outside', () => x.at([0, 2]), 'at: index: got [0, 2], expected positions in 2 elements'],
  [
    'tensors that do not broadcast',
    () => x.at(int([0, 1]), int([0, 1, 2])),
    'at: shapes [2] and [3] do not broadcast: 2 vs 3 at axis -1',
  ],
  [
    'a value that does not fit',
    () => x.setAt([0], tensor([1, 2])),
    'setAt: shapes [2] and [3, 4] do not broadcast: 2 vs 4 at axis -1',
  ],
  [
    'a value that x cannot hold',
    () => hadal.zeros([2], { dtype: 'int32' }).setAt([0], 0.5),
    'setAt: the result does not fit into the tensor: got the number 0.5, expected what int32 holds',
  ],
  [
    'bools added to',
    () => hadal.zeros([2], { dtype: 'bool' }).setAt([0], true, { accumulate: true }),
    'setAt: dtype: got bool, expected float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8',
  ],
  ['indices that are no array', () => x.setAt(0 as never, 1), 'setAt: indices: got number 0, expected an array'],
])('%s', (_, call, message) => {
  expect(call).toThrow(message);
});

test('a position that a tensor names outside is an error at the next read', () => {
  expect(() => x.at(int([2])).dataSync()).toThrow(hadal.IndexError);
  expect(() => x.at(int([-3])).dataSync()).toThrow(hadal.IndexError);
  // Inside all elements of the two axes, but not of its own.
  expect(() => x.at(int([0]), int([4])).dataSync()).toThrow(hadal.IndexError);
});

test('setAt leaves x as it is, and gives gradients to what was not replaced and to the value', () => {
  const a = hadal.zeros([2, 3]).requiresGrad_();
  const b = tensor([1, 2]).requiresGrad_();
  const y = a.setAt([':', '::2'], b);
  expect(y.toArraySync()).toEqual([
    [1, 0, 2],
    [1, 0, 2],
  ]);
  expect(a.toArraySync()).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);
  y.sum().backward();
  expect(a.grad!.toArraySync()).toEqual([
    [0, 1, 0],
    [0, 1, 0],
  ]);
  expect(b.grad!.toArraySync()).toEqual([2, 2]);
});

test('the norm of zeros has the gradient 0', () => {
  for (const p of [0, 1, 2, 3, 0.5, Infinity]) {
    const zero = hadal.zeros([3]).requiresGrad_();
    (zero.norm(undefined, { p }) as AnyTensor).backward();
    expect([p, zero.grad!.toArraySync()]).toEqual([p, [0, 0, 0]]);
  }
});

test('NaN: the median and quantiles of a line that has one, and the k-th value', () => {
  const line = tensor([2, NaN, 1]);
  expect(line.median().itemSync()).toBeNaN();
  expect(line.quantile(0).itemSync()).toBeNaN();
  expect(line.kthValue(2)[0].itemSync()).toBe(2);
  expect(line.kthValue(3)[0].itemSync()).toBeNaN();
  expect(line.norm().itemSync()).toBeNaN();
  expect(tensor([1, 2]).searchSorted(NaN).itemSync()).toBe(2);
});

test('integers with one missing keep counting where float32 would stop', () => {
  const [counts] = hadal.zeros([2 ** 24 + 3], { dtype: 'int8' }).histogram(1, { range: [-1, 1] });
  expect(counts.itemSync()).toBe(Math.fround(2 ** 24 + 3));
});

test('a mask beside integer tensors is written to as it is read', () => {
  const x = hadal.arange(12).cast('float32').reshape([3, 4]);
  const rows = tensor([true, false, true]);
  const columns = tensor([1, 3], { dtype: 'int64' });
  const y = x.setAt([rows, columns], tensor([-1, -2]));
  expect(y.toArraySync()).toEqual([
    [0, -1, 2, 3],
    [4, 5, 6, 7],
    [8, 9, 10, -2],
  ]);
  expect(y.atSync(rows, columns).toArraySync()).toEqual([-1, -2]);
  expect(
    x
      .setAt([rows, [0]], 100, { accumulate: true })
      .select(1, 0)
      .toArraySync(),
  ).toEqual([100, 4, 108]);
  expect(() => x.setAt([rows, tensor([0, 1, 2], { dtype: 'int32' })], 1)).toThrow(hadal.ShapeError);
  const leaf = x.detach().requiresGrad_();
  leaf.setAt([rows, columns], 0).sum().backward();
  expect(leaf.grad!.toArraySync()).toEqual([
    [1, 0, 1, 1],
    [1, 1, 1, 1],
    [1, 1, 1, 0],
  ]);
});

test('true and false replace elements of bool tensors, and of no others', () => {
  const x = tensor([true, false, false, true]);
  const index = tensor([1, 3], { dtype: 'int64' });
  const bools = (y: AnyTensor): number[] => {
    expect(y.dtype).toBe('bool');
    return y.toArraySync() as number[];
  };
  expect(bools(x.setAt([index], true))).toEqual([1, 1, 0, 1]);
  expect(bools(x.setAt(['1:'], false))).toEqual([1, 0, 0, 0]);
  expect(bools(x.setAt([x], false))).toEqual([0, 0, 0, 0]);
  expect(bools(x.maskedFill(x.logicalNot(), true))).toEqual([1, 1, 1, 1]);
  expect(bools(x.indexFill(0, index, false))).toEqual([1, 0, 0, 0]);
  const y = tensor([1, 2, 3, 4]);
  expect(() => y.setAt([index], true as never)).toThrow(
    'setAt: value: got boolean true, expected a number or a tensor',
  );
  expect(() => y.maskedFill(x, true as never)).toThrow(
    'maskedFill: value: got boolean true, expected a number or a tensor',
  );
  expect(() => y.indexFill(0, index, true as never)).toThrow(
    'indexFill: value: got boolean true, expected a number or a tensor',
  );
});

test('1 and 0 replace elements of bools, and no other number does', () => {
  const x = tensor([true, false, false]);
  const index = tensor([0, 2], { dtype: 'int32' });
  for (const [y, expected] of [
    [x.setAt([index], 0), [0, 0, 0]],
    [x.setAt([1], 1), [1, 1, 0]],
    [x.maskedFill(x, 0), [0, 0, 0]],
    [x.indexFill(0, index, 1), [1, 0, 1]],
    [x.scatter(0, index, 1), [1, 0, 1]],
  ] as const) {
    expect(y.dtype).toBe('bool');
    expect(y.toArraySync()).toEqual(expected);
  }
  const held = 'expected what bool holds: true or false';
  expect(() => x.setAt([0], 2)).toThrow(`setAt: the result does not fit into the tensor: got the number 2, ${held}`);
  expect(() => x.setAt([0], tensor(1))).toThrow(`setAt: the result does not fit into the tensor: got float32, ${held}`);
});

test('nothing is split into no pieces, with gradients too', () => {
  expect(hadal.zeros([0, 2]).requiresGrad_().split([])).toEqual([]);
});
