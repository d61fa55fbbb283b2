import { randn } from '../../lib/index';
import { channelsLastStrides, contiguousStrides, isChannelsLast } from '../../lib/tensor/shapes';

test('channels lie side by side with the positions around them', () => {
  expect(channelsLastStrides([2, 3, 4, 5])).toEqual([60, 1, 15, 3]);
  expect(channelsLastStrides([2, 3, 7])).toEqual([21, 1, 3]);
  expect(channelsLastStrides([2, 3, 4, 5, 6])).toEqual([360, 1, 90, 18, 3]);
});

test.each([
  [[2, 3, 4, 5], [60, 1, 15, 3], true],
  [[1, 3, 4, 5], [7, 1, 15, 3], true],
  [[2, 3, 1, 5], [15, 1, 99, 3], true],
  [[2, 3, 4, 5], [60, 20, 5, 1], false],
  [[2, 3, 4, 5], [120, 1, 30, 6], false],
  [[2, 3, 4, 5], [3, 1, 0, 0], false],
  [[2, 3, 1, 1], [3, 1, 3, 3], false],
  [[2, 1, 4, 5], [20, 1, 5, 1], false],
  [[2, 0, 4, 5], [0, 1, 0, 0], false],
  [[4, 3], [1, 4], false],
])('of shape %p strides %p tell whether they do, and not in row-major order: %p', (shape, strides, expected) => {
  expect(isChannelsLast(shape, strides)).toBe(expected);
});

test('images stay row-major on the CPU', () => {
  const x = randn([2, 6, 5, 4]).cast('bfloat16').permute([0, 3, 1, 2]);
  const y = x.conv2d(randn([8, 4, 3, 3]).cast('bfloat16'));
  for (const image of [y, x.relu(), y.maxPool2d(2)]) expect(image.strides).toEqual(contiguousStrides(image.shape));
});
