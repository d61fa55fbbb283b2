/** More than one copy of the library in a thread: as modules loaded anew, by test runners and hot reload, share one addon. */
import type * as hadal from '../../lib';

type Hadal = typeof hadal;

function anotherCopy(): Hadal {
  let copy: Hadal;
  jest.isolateModules(() => {
    copy = jest.requireActual<Hadal>('../../lib');
  });
  return copy!;
}

test('two copies of the library work side by side', async () => {
  const [one, other] = [anotherCopy(), anotherCopy()];
  expect(one.Tensor).not.toBe(other.Tensor);
  const [a, b] = [one.ones([2, 3]), other.ones([4])];
  const sums = [one.scope(() => a.add(1).sum()), other.scope(() => b.mul(5).sum())];
  expect(await Promise.all(sums.map((sum) => sum.item()))).toEqual([12, 20]);
});

test('a tensor of another copy is named as such', () => {
  const [one, other] = [anotherCopy(), anotherCopy()];
  expect(() => one.ones([2]).add(other.ones([2]) as never)).toThrow(
    'add: second operand: got a Tensor, expected one of this copy of hadal: two are loaded',
  );
});
