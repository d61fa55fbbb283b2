// What stands in the place of options is refused and not ignored.
import * as hadal from '../../lib/index';
import { tensor } from '../../lib/index';

const x = tensor([
  [1, 2],
  [3, 4],
]);

test('a value in the place of an option, or null, is an error that says so', () => {
  expect(() => x.sum(0, true as never)).toThrow('sum: options: got boolean true, expected an object');
  expect(() => hadal.maxPool2d(hadal.ones([1, 4, 4]), 2, 2 as never)).toThrow(
    'maxPool2d: options: got number 2, expected an object',
  );
  expect(() => hadal.zeros([2], null as never)).toThrow('zeros: options: got null, expected an object');
  expect(() => hadal.mseLoss(x, x, 'sum' as never)).toThrow('mseLoss: options: got string sum, expected an object');
  expect(() => hadal.normalize(x, null as never)).toThrow(hadal.ArgumentError);
  expect(x.sum(0, undefined).toArraySync()).toEqual([4, 6]);
});
