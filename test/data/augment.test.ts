// Augmentations of batches of images: against loops in float64, and that a seed decides them.
import {
  arange,
  data,
  getRandomState,
  stack,
  tensor,
  where,
  zeros,
  rand,
  manualSeed,
  type AnyTensor,
} from '../../lib/index';
import { inverseAffine, warp } from '../../lib/data/augment/geometry';
import { adjust } from '../../lib/data/augment/colour';

const { augment, Random } = data;
const counting = (n: number, c: number, h: number, w: number): AnyTensor => arange(n * c * h * w).reshape([n, c, h, w]);
const values = (x: AnyTensor): any => x.toArraySync();
const numbers = (x: AnyTensor): number[] => Array.from(x.contiguous().dataSync() as Float32Array, Number);
const picture = (): AnyTensor => {
  manualSeed(1);
  return rand([4, 3, 9, 7]);
};
const expectNear = (x: AnyTensor, expected: readonly number[], within = 1e-5): void => {
  const got = numbers(x);
  expect(got).toHaveLength(expected.length);
  got.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(within));
};

describe('every augmentation', () => {
  const all: Record<string, data.augment.Augmentation> = {
    randomCrop: augment.randomCrop({ padding: 2, mode: 'reflect' }),
    randomResizedCrop: augment.randomResizedCrop([5, 6]),
    horizontalFlip: augment.horizontalFlip(),
    verticalFlip: augment.verticalFlip(),
    resize: augment.resize([5, 6]),
    centerCrop: augment.centerCrop(4),
    randomAffine: augment.randomAffine({ degrees: 30, translate: [0.1, 0.2], scale: [0.8, 1.2], shear: 10 }),
    randomRotation: augment.randomRotation(30, { mode: 'nearest' }),
    colorJitter: augment.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 }),
    randomGrayscale: augment.randomGrayscale(0.5),
    randomErasing: augment.randomErasing({ chance: 1 }),
    cutout: augment.cutout(4),
    normalize: augment.normalize([0.5, 0.4, 0.3], [0.1, 0.2, 0.3]),
    randAugment: augment.randAugment({ count: 3 }),
    compose: augment.compose(augment.randomCrop({ padding: 1 }), augment.horizontalFlip()),
  };

  test.each(Object.entries(all))('%s: a seed decides, dtype and gradients stay out of it', (_, change) => {
    const x = picture();
    const [a, b] = [change(x, new Random(3)), change(x, new Random(3))];
    expect(numbers(a)).toEqual(numbers(b));
    expect(a.shape.slice(0, 2)).toEqual([4, 3]);
    expect(numbers(a).every(Number.isFinite)).toBe(true);
    expect(numbers(picture())).toEqual(numbers(x));
    const half = change(x.to('bfloat16') as AnyTensor, new Random(3));
    expect(half.dtype).toBe('bfloat16');
    expect(change(picture().requiresGrad_(), new Random(3)).requiresGrad).toBe(false);
    expect(change(zeros([0, 3, 9, 7]), new Random(3)).shape[0]).toBe(0);
  });
  const drawing = [
    'randomCrop',
    'randomResizedCrop',
    'horizontalFlip',
    'randomAffine',
    'colorJitter',
    'randomErasing',
    'cutout',
    'randAugment',
  ];
  test.each(drawing)('%s: another seed gives something else', (name) => {
    expect(numbers(all[name]!(picture(), new Random(1)))).not.toEqual(numbers(all[name]!(picture(), new Random(2))));
  });
  test.each(drawing)('%s: without numbers of its own it draws as `manualSeed` has it', (name) => {
    const [x, change] = [picture(), all[name]!];
    const two = (): number[][] => {
      manualSeed(7);
      return [change(x), change(x)].map(numbers);
    };
    const [first, second] = two();
    expect(first).not.toEqual(second);
    expect(two()).toEqual([first, second]);
  });
  test.each(['resize', 'centerCrop', 'normalize'])('%s draws nothing', (name) => {
    const before = getRandomState();
    all[name]!(zeros([4, 3, 9, 7]));
    expect(getRandomState()).toEqual(before);
  });
});

test('crops are parts of the padded image', () => {
  const x = counting(20, 1, 4, 4).add(1) as AnyTensor;
  const places = new Set<string>();
  const y = values(augment.randomCrop({ padding: 1 })(x, new Random(5))) as number[][][][];
  y.forEach(([rows], i) => {
    const original = (r: number, c: number): number => (r < 0 || c < 0 || r > 3 || c > 3 ? 0 : 16 * i + 4 * r + c + 1);
    const found = [-1, 0, 1].flatMap((top) =>
      [-1, 0, 1]
        .filter((left) => rows!.every((row, r) => row.every((value, c) => value === original(r + top, c + left))))
        .map((left) => `${top},${left}`),
    );
    expect(found).toHaveLength(1);
    places.add(found[0]!);
  });
  expect(places.size).toBeGreaterThan(5);
});

describe('resized crops', () => {
  // A pixel is its row and its column: what a part shows says where it was.
  const places = (h: number, w: number): AnyTensor =>
    stack([arange(h).reshape([h, 1]).expand([h, w]), arange(w).expand([h, w])]).unsqueeze(0) as AnyTensor;
  const steps = (h: number, w: number, options: data.augment.RandomResizedCropOptions, seed: number): number[] => {
    const seen = values(augment.randomResizedCrop(16, options)(places(h, w), new Random(seed))) as number[][][][];
    return [seen[0]![0]![9]![8]! - seen[0]![0]![8]![8]!, seen[0]![1]![8]![9]! - seen[0]![1]![8]![8]!].map(
      (step) => step * 16,
    );
  };

  test('keep a share of the image, with an aspect in its range, anywhere', () => {
    const options = { scale: [0.2, 0.5], ratio: [0.5, 2] } as const;
    const sizes = Array.from({ length: 200 }, (_, seed) => steps(60, 80, options, seed));
    const [shares, aspects] = [sizes.map(([h, w]) => (h! * w!) / 4800), sizes.map(([h, w]) => h! / w!)];
    const range = (all: number[]): number[] => [Math.min(...all), Math.max(...all)];
    [0.2, 0.5].forEach((end, i) => expect(range(shares)[i]).toBeCloseTo(end, 1));
    [0.5, 2].forEach((end, i) => expect(Math.abs(range(aspects)[i]! / end - 1)).toBeLessThan(0.1));
  });

  test('are the whole image where nothing else fits, or the largest part in the middle', () => {
    expectNear(augment.randomResizedCrop([3, 4], { scale: [1, 1], ratio: [0.75, 0.75] })(places(3, 4), new Random(0)), numbers(places(3, 4))); // prettier-ignore
    const wide = augment.randomResizedCrop([2, 4], { scale: [1, 1], ratio: [0.5, 0.5] })(places(2, 8), new Random(0));
    expectNear(wide.select(1, 1) as AnyTensor, [2, 3, 4, 5, 2, 3, 4, 5]);
  });
});

test('a smaller image takes every pixel into account', () => {
  // Every fourth column is bright: without the others half of the places show nothing, or too much.
  const x = where(arange(32).remainder(4).equalTo(3), 1, 0).expand([1, 1, 8, 32]) as AnyTensor;
  const middle = values(augment.resize([2, 8])(x, new Random(0)).narrow(3, 1, 6) as AnyTensor);
  (middle as number[][][][]).flat(3).forEach((value) => expect(value).toBeCloseTo(0.25, 6));
});

test('flips: some, all, none; of bytes too', () => {
  const x = counting(1, 1, 2, 3).to('uint8') as AnyTensor;
  expect(values(augment.horizontalFlip(1)(x, new Random(0)))).toEqual([[[[2, 1, 0], [5, 4, 3]]]]); // prettier-ignore
  expect(values(augment.verticalFlip(1)(x, new Random(0)))).toEqual([[[[3, 4, 5], [0, 1, 2]]]]); // prettier-ignore
  expect(values(augment.horizontalFlip(0)(x, new Random(0)))).toEqual(values(x));
  const many = augment.horizontalFlip(0.3)(counting(1000, 1, 1, 2), new Random(0));
  const flipped = (values(many) as number[][][][]).filter((image) => image[0]![0]![0]! > image[0]![0]![1]!).length;
  expect(Math.abs(flipped - 300)).toBeLessThan(60);
});

test('warping: quarter turns, moves, and between pixels', () => {
  const x = counting(1, 1, 3, 3);
  const through = (parts: object, mode: 'bilinear' | 'nearest' = 'bilinear'): number[] =>
    numbers(warp(x, [inverseAffine(parts)], mode, -1)).map((v) => Math.round(v * 1e4) / 1e4);
  expect(through({ angle: 90 }, 'nearest')).toEqual([2, 5, 8, 1, 4, 7, 0, 3, 6]); // counter-clockwise
  expect(through({ right: 1 })).toEqual([-1, 0, 1, -1, 3, 4, -1, 6, 7]);
  expect(through({ down: 1 })).toEqual([-1, -1, -1, 0, 1, 2, 3, 4, 5]);
  expect(through({ right: -0.5 })).toEqual([0.5, 1.5, 0.5, 3.5, 4.5, 2, 6.5, 7.5, 3.5]);
  expect(through({ scale: 2 })).toEqual([2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6]);
  expect(through({ shear: 45 }, 'nearest')).toEqual([1, 2, -1, 3, 4, 5, -1, 6, 7]);
});

test('colours: each change against its formula', () => {
  const x = picture();
  const f = 1.3;
  const factor = tensor([f, f, f, f]).reshape([4, 1, 1, 1]) as AnyTensor;
  const data = values(x) as number[][][][];
  const each = (change: (r: number, g: number, b: number, mean: number) => number[]): number[] => {
    const out: number[] = [];
    for (const [r, g, b] of data as [number[][], number[][], number[][]][]) {
      const grey = r.map((row, i) => row.map((_, j) => 0.299 * r[i]![j]! + 0.587 * g[i]![j]! + 0.114 * b[i]![j]!));
      const mean = grey.flat().reduce((sum, v) => sum + v, 0) / grey.flat().length;
      for (let channel = 0; channel < 3; channel++)
        r.forEach((row, i) => row.forEach((_, j) => out.push(change(r[i]![j]!, g[i]![j]!, b[i]![j]!, mean)[channel]!)));
    }
    return out;
  };
  const clip = (v: number): number => Math.min(1, Math.max(0, v));
  expectNear(
    adjust.brightness(x, factor),
    each((...rgb) => rgb.slice(0, 3).map((v) => clip(v * f))),
  );
  expectNear(
    adjust.contrast(x, factor),
    each((r, g, b, mean) => [r, g, b].map((v) => clip(v * f + mean * (1 - f)))),
  );
  expectNear(
    adjust.saturation(x, factor),
    each((r, g, b) => [r, g, b].map((v) => clip(v * f + (0.299 * r + 0.587 * g + 0.114 * b) * (1 - f)))),
  );
  const third = tensor([1, 1, 1, 1]).div(3).reshape([4, 1, 1, 1]) as AnyTensor;
  // A third of the circle makes red what green was.
  expectNear(
    adjust.hue(x, third),
    each((r, g, b) => [b, r, g]),
  );
  expectNear(adjust.hue(x, third.mul(0) as AnyTensor), numbers(x));
});

test('erasing: the share, the value, and nothing else', () => {
  const x = zeros([200, 1, 20, 20]).add(1) as AnyTensor;
  const y = values(augment.randomErasing({ chance: 0.5, scale: [0.1, 0.2] })(x, new Random(1))) as number[][][][];
  const erased = y.map((image) => image.flat(2).filter((v) => v === 0).length / 400);
  expect(Math.abs(erased.filter((share) => share > 0).length - 100)).toBeLessThan(30);
  for (const share of erased.filter((s) => s > 0)) expect([share > 0.08, share < 0.23]).toEqual([true, true]);
  const cut = values(augment.cutout(4, { value: 7 })(x, new Random(1))) as number[][][][];
  for (const image of cut) expect(image.flat(2).filter((v) => v === 7).length).toBeLessThanOrEqual(16);
});

test('mixing images mixes their labels alike', () => {
  const x = zeros([8, 1, 10, 10]).add(arange(8).reshape([8, 1, 1, 1])) as AnyTensor;
  const y = arange(8).to('int64') as AnyTensor;
  for (const mix of [augment.mixUp({ classes: 8 }), augment.cutMix({ classes: 8, alpha: 0.7 })]) {
    const { images, labels } = mix(x, y, new Random(9));
    expect(labels.shape).toEqual([8, 8]);
    expectNear(labels.sum(1) as AnyTensor, new Array<number>(8).fill(1));
    // Image i holds i everywhere, so its mean is the expected class.
    expectNear(images.mean([1, 2, 3]) as AnyTensor, numbers(labels.mul(arange(8)).sum(1) as AnyTensor), 1e-4);
    expect(numbers(images)).not.toEqual(numbers(x));
  }
  const shares = Array.from({ length: 300 }, (_, seed) => {
    const { labels } = augment.mixUp({ classes: 8, alpha: 0.2 })(
      x.narrow(0, 0, 2) as AnyTensor,
      y.narrow(0, 0, 2) as AnyTensor,
      new Random(seed),
    );
    return numbers(labels)[0]!;
  });
  // Beta(0.2, 0.2) has most of its weight at the ends.
  expect(shares.filter((share) => share > 0.1 && share < 0.9).length).toBeLessThan(150);
});

test.each<[() => unknown, string]>([
  [
    () => augment.randomCrop({ size: 9 })(zeros([1, 1, 8, 8]), new Random(0)),
    'randomCrop: size: got [9, 9], expected at most [8, 8]',
  ],
  [() => augment.randomResizedCrop(4, { ratio: [0, 1] }), 'randomResizedCrop: ratio: got 0, expected more than 0'],
  [() => augment.horizontalFlip(2), 'horizontalFlip: chance: got 2, expected a number from 0 to 1'],
  [() => augment.cutout(1)(zeros([8, 8]), new Random(0)), 'cutout: images: got shape [8, 8], expected [n, c, h, w]'],
  [
    () => augment.resize([2, 2])(zeros([1, 1, 4, 4], { dtype: 'uint8' }), new Random(0)),
    'resize: images: got uint8, expected a floating dtype; toFloat() comes first',
  ],
  [() => augment.colorJitter({ hue: 0.6 }), 'colorJitter: hue: got [-0.6, 0.6], expected -0.5 to 0.5'],
  [
    () => augment.normalize([0], [1])(zeros([1, 3, 2, 2]), new Random(0)),
    'normalize: got 1 means and 1 deviations, expected 3 of each',
  ],
  [() => augment.randAugment({ magnitude: 31 }), 'randAugment: magnitude: got 31, expected a number from 0 to 30'],
  [() => augment.mixUp({ classes: 2, alpha: 0 }), 'mixUp: alpha: got 0, expected a number above 0'],
  [
    () => augment.mixUp({ classes: 2 })(zeros([2, 1, 1, 1]), zeros([3]), new Random(0)),
    'mixUp: labels: got shape [3], expected [2] or [2, 2]',
  ],
])('%#: refuses: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});
