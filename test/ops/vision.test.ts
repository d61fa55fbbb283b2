// What sampling, unpooling and operations on boxes refuse, and what the samples do not show.
import * as hadal from '../../lib/index';
import { ones, tensor, zeros } from '../../lib/index';

const image = ones([1, 1, 3, 3]);

test('grids that do not fit are refused', () => {
  expect(() => hadal.gridSample(image, zeros([1, 2, 2, 3]) as never)).toThrow(
    'gridSample: grid does not fit: got shape [1, 2, 2, 3] for x [1, 1, 3, 3], expected [1, h, w, 2]',
  );
  expect(() => hadal.gridSample(ones([3, 3]) as never, zeros([1, 2, 2, 2]) as never)).toThrow(
    'gridSample: wrong rank: got shape [3, 3], expected [n, c, h, w] or [n, c, d, h, w]',
  );
  expect(() => hadal.gridSample(ones([1, 1, 0, 3]), zeros([1, 2, 2, 2]))).toThrow('gridSample: nothing to sample');
  expect(() => hadal.gridSample(ones([1, 1, 2, 2, 2]), zeros([1, 1, 1, 1, 3]), { mode: 'bicubic' })).toThrow(
    'gridSample: mode: got bicubic for shape [1, 1, 2, 2, 2], expected it for images [n, c, h, w]',
  );
  expect(() => hadal.gridSample(image, zeros([1, 1, 1, 2]), { padding: 'circular' as never })).toThrow(
    'gridSample: padding: got circular, expected zeros, border, reflection',
  );
  expect(() => hadal.affineGrid(zeros([1, 2, 3]), [2, 1, 3, 3])).toThrow(
    'affineGrid: theta does not fit: got shape [1, 2, 3] for size [2, 1, 3, 3]',
  );
});

test('a place that is not finite gives 0 in every padding', () => {
  const places = tensor([[[[NaN, 0], [0, Infinity], [-Infinity, -Infinity], [0, 0]]]]); // prettier-ignore
  for (const mode of ['nearest', 'bilinear', 'bicubic'] as const) {
    expect(hadal.gridSample(image, places, { mode }).toArraySync()).toEqual([[[[0, 0, 0, 1]]]]);
  }
});

test('an identity map gives the image back, and its dtype the wider of the two', () => {
  const x = hadal.rand([2, 3, 4, 5], { dtype: 'float64' });
  const same = tensor([[[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]]); // prettier-ignore
  const y = hadal.gridSample(x, hadal.affineGrid(same, [2, 3, 4, 5]));
  expect(y.dtype).toBe('float64');
  expect(hadal.allCloseSync(y, x, { atol: 1e-5 })).toBe(true);
});

test('interpolation refuses what does not go together', () => {
  const image = ones([1, 1, 6, 6]);
  const antialias = true;
  expect(() => hadal.interpolate(image, { size: 3, antialias })).toThrow(
    'interpolate: antialias: got true with mode nearest, expected a linear or cubic one',
  );
  expect(() => hadal.interpolate(image, { size: 3, mode: 'bilinear', antialias, alignCorners: true })).toThrow(
    'interpolate: alignCorners: got true with antialias, expected one of them',
  );
  expect(() => hadal.interpolate(image, { size: 3, mode: 'area', alignCorners: true })).toThrow(
    'interpolate: alignCorners: got true with mode area, expected a linear or cubic one',
  );
  expect(() => hadal.interpolate(image, { mode: 'bilinear' })).toThrow(
    'interpolate: size and scaleFactor: got neither',
  );
});

test('unpooling refuses places and sizes that are none', () => {
  const [y, indices] = hadal.maxPool2dWithIndices(ones([1, 1, 4, 4]), 2);
  expect(() => hadal.maxUnpool2d(y, indices.slice(2, 0, 1), 2)).toThrow(
    'maxUnpool2d: indices do not fit: got shape [1, 1, 1, 2], expected [1, 1, 2, 2]',
  );
  expect(() => hadal.maxUnpool2d(y, indices, 2, { outputSize: [6, 4] })).toThrow(
    'maxUnpool2d: outputSize: got [6, 4], expected less than [2, 2] from [4, 4]',
  );
  expect(() => hadal.maxUnpool2d(y, indices.add(99) as typeof indices, 2).dataSync()).toThrow(hadal.IndexError);
  const pool = new hadal.nn.MaxPool2d(2);
  const unpool = new hadal.nn.MaxUnpool2d(2);
  const back = unpool.forward(...pool.forwardWithIndices(ones([1, 1, 5, 4])), [5, 4]);
  expect(back.shape).toEqual([1, 1, 5, 4]);
});

test('adaptive pooling says which sizes it does not take', () => {
  expect(() => hadal.adaptiveAvgPool2d(ones([1, 1, 4, 4]), [2, -1])).toThrow(
    'adaptiveAvgPool2d: outputSize: got [2, -1], expected one or two integers of at least 1',
  );
  expect(() => hadal.adaptiveMaxPool1d(ones([1, 1, 4]), 0)).toThrow(
    'adaptiveMaxPool1d: outputSize: got 0, expected one integer of at least 1',
  );
});

test('boxes that are none are refused', () => {
  expect(() => hadal.roiAlign(image, zeros([2, 4]) as never)).toThrow(
    'roiAlign: boxes: got shape [2, 4], expected [k, 5]',
  );
  expect(() => hadal.roiAlign(image, [])).toThrow('roiAlign: boxes: got 0 tensors, expected one for each of 1 images');
  expect(() => hadal.roiAlign(image, tensor([[1, 0, 0, 1, 1]])).dataSync()).toThrow('box 0 names no image of 1');
  expect(() => hadal.roiAlign(image, tensor([[0, 0, NaN, 1, 1]])).dataSync()).toThrow('box 0 is not finite');
  expect(() => hadal.nonMaxSuppressionSync(zeros([2, 4]), zeros([3]))).toThrow(
    'nonMaxSuppression: scores: got shape [3], expected [2]',
  );
  expect(() => hadal.nonMaxSuppressionSync(zeros([2, 4]), zeros([2]), { maxCount: -1 })).toThrow(
    'nonMaxSuppression: maxCount: got -1, expected an integer of at least 0',
  );
});

test('a far and huge box takes no time', () => {
  const y = hadal.roiAlign(image, tensor([[0, -1e9, -1e9, 1e9, 1e9]]), { outputSize: 2 });
  expect(y.shape).toEqual([1, 1, 2, 2]);
  expect(Math.max(...(y.toArraySync() as number[][][][]).flat(3))).toBeLessThan(1e-6);
});

test('the promise of the best boxes gives what the blocking form does', async () => {
  const boxes = tensor([[0, 0, 4, 4], [0, 0, 4, 5], [6, 6, 8, 8]]); // prettier-ignore
  const scores = tensor([0.8, 0.9, 0.5]);
  const classes = tensor([0, 1, 0], { dtype: 'int32' });
  expect((await hadal.nonMaxSuppression(boxes, scores)).toArraySync()).toEqual([1, 2]);
  expect(hadal.nonMaxSuppressionSync(boxes, scores, { classes }).toArraySync()).toEqual([1, 0, 2]);
});
