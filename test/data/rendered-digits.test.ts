import { ArgumentError } from '../../lib/errors';
import { renderDigits, type RenderedDigits } from '../../lib/data/rendered-digits';

const imageOf = ({ images, height, width }: RenderedDigits, i: number): Uint8Array =>
  images.subarray(i * height * width, (i + 1) * height * width);

/** The share of `test` whose label is that of the nearest mean image of `train`. */
function nearestMeanAccuracy(train: RenderedDigits, test: RenderedDigits): number {
  const pixels = train.height * train.width;
  const means = Array.from({ length: 10 }, () => new Float64Array(pixels));
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < train.count; i++) {
    const label = train.labels[i]!;
    counts[label]!++;
    imageOf(train, i).forEach((value, at) => (means[label]![at]! += value));
  }
  means.forEach((mean, label) => mean.forEach((sum, at) => (mean[at] = sum / counts[label]!)));
  let right = 0;
  for (let i = 0; i < test.count; i++) {
    const image = imageOf(test, i);
    const distances = means.map((mean) => mean.reduce((sum, value, at) => sum + (value - image[at]!) ** 2, 0));
    if (distances.indexOf(Math.min(...distances)) === test.labels[i]) right++;
  }
  return right / test.count;
}

test('the same seed gives the same pictures, another seed others', () => {
  const first = renderDigits(50, { seed: 3 });
  expect(renderDigits(50, { seed: 3 })).toEqual(first);
  for (const seed of [0, 4, 3 + 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const other = renderDigits(50, { seed });
    expect(other.labels).not.toEqual(first.labels);
    for (let i = 0; i < 50; i++) expect(imageOf(other, i)).not.toEqual(imageOf(first, i));
  }
});

test('a picture does not depend on how many are asked for', () => {
  const many = renderDigits(40, { seed: 5 });
  const few = renderDigits(15, { seed: 5 });
  expect(few.images).toEqual(many.images.subarray(0, few.images.length));
  expect(few.labels).toEqual(many.labels.subarray(0, 15));
});

test('all digits come equally often, and no two pictures are the same', () => {
  const { images, labels, count, height, width } = renderDigits(5000, { seed: 1 });
  expect([images.length, labels.length, count, height, width]).toEqual([5000 * 784, 5000, 5000, 28, 28]);
  const counts = Array.from({ length: 10 }, (_, digit) => labels.filter((label) => label === digit).length);
  // Five deviations of a binomial with 5000 trials and chance 0.1.
  for (const times of counts) expect(Math.abs(times - 500)).toBeLessThan(5 * Math.sqrt(450));
  const distinct = new Set(
    Array.from({ length: count }, (_, i) =>
      Buffer.from(imageOf({ images, labels, count, height, width }, i)).toString('latin1'),
    ),
  );
  expect(distinct.size).toBe(5000);
});

test('pictures show what their labels say, but not so plainly that a mean image tells', () => {
  const accuracy = nearestMeanAccuracy(renderDigits(3000, { seed: 1 }), renderDigits(500, { seed: 2 }));
  expect(accuracy).toBeGreaterThan(0.55); // chance is 0.1
  expect(accuracy).toBeLessThan(0.9);
});

test.each([16, 28, 64])('ink covers part of a picture of size %i and leaves its corners', (size) => {
  const { images, height, width } = renderDigits(200, { seed: 7, size });
  expect([height, width]).toEqual([size, size]);
  let ink = 0;
  let corners = 0;
  for (let i = 0; i < 200; i++) {
    const image = images.subarray(i * size * size, (i + 1) * size * size);
    expect(Math.max(...image)).toBeGreaterThan(120);
    ink += image.filter((value) => value > 100).length / (size * size);
    for (const at of [0, size - 1, size * (size - 1), size * size - 1]) corners += image[at]!;
  }
  expect(ink / 200).toBeGreaterThan(0.06);
  expect(ink / 200).toBeLessThan(0.25);
  expect(corners / 800).toBeLessThan(25);
});

test.each([
  [() => renderDigits(-1), 'renderDigits: count: got -1, expected an integer from 0 to 5478274'],
  [() => renderDigits(1.5), 'renderDigits: count: got 1.5, expected an integer from 0 to 5478274'],
  [() => renderDigits(NaN), 'renderDigits: count: got NaN, expected an integer from 0 to 5478274'],
  [() => renderDigits(1, { seed: -1 }), 'renderDigits: seed: got -1, expected an integer from 0 to 9007199254740991'],
  [() => renderDigits(1, { size: 4 }), 'renderDigits: size: got 4, expected an integer from 8 to 1024'],
  [() => renderDigits(1, { size: 0 }), 'renderDigits: size: got 0, expected an integer from 8 to 1024'],
])('a wrong argument %#', (render, message) => {
  expect(render).toThrow(new ArgumentError(message));
});

test('no pictures at all', () => {
  expect(renderDigits(0)).toEqual({
    images: new Uint8Array(0),
    labels: new Uint8Array(0),
    count: 0,
    height: 28,
    width: 28,
  });
});
