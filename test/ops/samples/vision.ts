// Samples of sampling grids, unpooling and boxes.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { count, generated, plain, ravel, unravel, type Draw, type Plain, type Sample } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

// ------------------------------------------------------------------------------------------------------------- gridSample

type Weights = readonly (readonly [place: number, factor: number])[];

const near = (x: number): number => (1.25 * x - 2.25) * x * x + 1;
const far = (x: number): number => ((-0.75 * x + 3.75) * x - 6) * x + 3;

/** Places and factors along an axis; what lies outside is left out. */
function along(coordinate: number, size: number, options: hadal.GridSampleOptions): Weights {
  const { mode = 'bilinear', padding = 'zeros', alignCorners = false } = options;
  const position = alignCorners ? ((coordinate + 1) / 2) * (size - 1) : ((coordinate + 1) * size - 1) / 2;
  const padded = (p: number): number => {
    if (padding === 'zeros') return p;
    const [low, high] = alignCorners ? [0, size - 1] : [-0.5, size - 0.5];
    if (padding === 'reflection')
      while (p < low || p > high) p = low === high ? low : p < low ? 2 * low - p : 2 * high - p;
    return Math.min(Math.max(p, 0), size - 1);
  };
  const start = Math.floor(mode === 'bicubic' ? position : padded(position));
  const t = (mode === 'bicubic' ? position : padded(position)) - start;
  const all: Weights = {
    nearest: [[start + (t > 0.5 ? 1 : 0), 1]] as Weights,
    bilinear: [
      [start, 1 - t],
      [start + 1, t],
    ] as Weights,
    bicubic: [far(1 + t), near(t), near(1 - t), far(2 - t)].map((f, k) => [padded(start - 1 + k), f]) as Weights,
  }[mode];
  return all.filter(([place]) => place >= 0 && place < size);
}

function gridSampled(x: Plain, grid: Plain, options: hadal.GridSampleOptions): Plain {
  const [n, c, ...space] = x.shape as [number, number, ...number[]];
  const out = grid.shape.slice(1, -1);
  return generated([n, c, ...out], ([image, channel, ...at]) => {
    let terms: [place: number[], factor: number][] = [[[], 1]];
    space.forEach((size, axis) => {
      const coordinate = grid.values[ravel([image!, ...at, space.length - 1 - axis], grid.shape)]!;
      terms = terms.flatMap(([place, factor]) =>
        along(coordinate, size, options).map(([p, f]): [number[], number] => [[...place, p], factor * f]),
      );
    });
    return terms.reduce((sum, [place, f]) => sum + f * x.values[ravel([image!, channel!, ...place], x.shape)]!, 0);
  });
}

/** A grid whose places, up to two elements outside, are not where a gradient jumps. */
function grid(draw: Draw, x: Shape, out: Shape, dtype: DType, corners = false): AnyTensor {
  const space = x.slice(2);
  const shape = [x[0]!, ...out, space.length];
  const values = Array.from({ length: count(shape) }, (_, flat) => {
    const size = space[space.length - 1 - (flat % space.length)]!;
    const position = Math.floor((size + 4) * draw.unit()) - 2 + 0.1 + 0.3 * draw.unit();
    return corners ? (size === 1 ? position : (2 * position) / (size - 1) - 1) : (2 * position + 1) / size - 1;
  });
  return hadal.tensor(values, { dtype, shape });
}

const samplings: Record<string, { x: Shape; out: Shape; options?: hadal.GridSampleOptions; order?: 2 }> = {
  bilinear: { x: [2, 2, 3, 4], out: [2, 3] },
  'bilinear, border': { x: [1, 2, 3, 4], out: [3, 2], options: { padding: 'border' } },
  'bilinear, reflection': { x: [1, 2, 3, 4], out: [3, 3], options: { padding: 'reflection' } },
  'bilinear, reflection, corners': {
    x: [1, 1, 3, 4],
    out: [3, 3],
    options: { padding: 'reflection', alignCorners: true },
  },
  'bilinear, corners, one row': { x: [1, 2, 1, 3], out: [2, 3], options: { alignCorners: true } },
  nearest: { x: [2, 1, 3, 4], out: [2, 3], options: { mode: 'nearest' } },
  'nearest, reflection': { x: [1, 2, 3, 4], out: [3, 2], options: { mode: 'nearest', padding: 'reflection' } },
  bicubic: { x: [1, 2, 4, 3], out: [2, 3], options: { mode: 'bicubic' } },
  'bicubic, border, corners': {
    x: [1, 1, 4, 3],
    out: [2, 2],
    options: { mode: 'bicubic', padding: 'border', alignCorners: true },
  },
  'bicubic, reflection': { x: [1, 1, 3, 3], out: [2, 2], options: { mode: 'bicubic', padding: 'reflection' } },
  'a volume': { x: [1, 2, 2, 3, 2], out: [2, 1, 2] },
  'a volume, border': { x: [1, 1, 2, 3, 2], out: [1, 2, 2], options: { padding: 'border' } },
  'a volume, nearest': { x: [1, 1, 2, 3, 2], out: [2, 2, 1], options: { mode: 'nearest', padding: 'border' } },
  'many places beside few elements': { x: [1, 5, 2, 2], out: [11, 12], options: { padding: 'border' } },
  'no images': { x: [0, 2, 3, 3], out: [2, 2] },
  'no places': { x: [1, 2, 3, 3], out: [0, 2] },
};
const gridSamples: Sample[] = Object.entries(samplings).map(([variant, { x, out, options = {} }]) => ({
  op: 'gridSample',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor(x, dtype), grid(draw, x, out, dtype, options.alignCorners)],
  call: (image, places) => hadal.gridSample(image!, places!, options),
  reference: (image, places) => gridSampled(image!, places!, options),
  order: 2,
  // Factors of far places cancel, of which each is rounded.
  tolerance: { float32: { rtol: 1e-5, atol: 1e-5 } },
}));

// -------------------------------------------------------------------------------------------------------------- affineGrid

const affineGrids: Sample[] = [
  { size: [2, 3, 2, 3], corners: false },
  { size: [1, 1, 3, 1], corners: true },
  { size: [2, 1, 2, 1, 3], corners: false },
  { size: [1, 2, 2, 3, 2], corners: true },
  { size: [0, 2, 2, 3], corners: false },
].map(({ size, corners }) => ({
  op: 'affineGrid',
  variant: `to [${size.join(', ')}]${corners ? ', corners' : ''}`,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor([size[0]!, size.length - 2, size.length - 1], dtype)],
  call: (theta) => hadal.affineGrid(theta!, size, { alignCorners: corners }),
  reference: (theta) => {
    const space = size.slice(2);
    return generated([size[0]!, ...space, space.length], ([n, ...at]) => {
      const row = at.pop()!;
      const place = at.map((i, axis) => {
        const length = space[axis]!;
        return corners ? (length === 1 ? 0 : (2 * i) / (length - 1) - 1) : (2 * i + 1) / length - 1;
      });
      return [...place.reverse(), 1].reduce(
        (sum, value, column) => sum + value * theta!.values[ravel([n!, row, column], theta!.shape)]!,
        0,
      );
    });
  },
  order: 2,
}));

// ------------------------------------------------------------------------------------------------------------- unpooling

type Unpool = (x: AnyTensor, indices: AnyTensor, kernel: number, options: hadal.MaxUnpoolOptions) => AnyTensor;
const unpool = [hadal.maxUnpool1d, hadal.maxUnpool2d, hadal.maxUnpool3d] as unknown as Unpool[];
const unpoolings: Record<
  string,
  { x: Shape; to: Shape; kernel: number; options?: hadal.MaxUnpoolOptions; rank?: number }
> = {
  'a row': { x: [2, 2, 3], to: [6], kernel: 2 },
  'a row, overlapping': { x: [1, 2, 3], to: [7], kernel: 3, options: { stride: 2 } },
  'a plane': { x: [2, 2, 2, 3], to: [4, 6], kernel: 2 },
  'a plane of another size': {
    x: [1, 2, 2, 3],
    to: [5, 7],
    kernel: 2,
    options: { outputSize: [5, 7] },
  },
  'a plane, padded': {
    x: [1, 1, 2, 3],
    to: [4, 5],
    kernel: 3,
    options: { stride: 2, padding: 1, outputSize: [1, 1, 4, 5] },
  },
  'one image': { x: [3, 2, 2], to: [4, 4], kernel: 2, rank: 2 },
  'a volume': { x: [1, 2, 2, 1, 2], to: [4, 2, 4], kernel: 2 },
  'no images': { x: [0, 2, 2, 2], to: [4, 4], kernel: 2 },
};
const unpools: Sample[] = Object.entries(unpoolings).map(([variant, { x, to, kernel, options = {}, rank }]) => {
  const axes = rank ?? x.length - 2;
  const each = count(x.slice(-axes));
  return {
    op: `maxUnpool${axes}d`,
    variant,
    dtypes: floats,
    inputs: (draw, dtype) => [
      draw.tensor(x, dtype),
      // Places that all differ within a plane.
      hadal.tensor(
        Array.from({ length: count(x) }, (_, i) => ((i % each) * Math.floor(count(to) / each) + (i % 2)) % count(to)),
        { dtype: 'int64', shape: x },
      ),
    ],
    call: (y, indices) => unpool[axes - 1]!(y!, indices!, kernel, options),
    reference: (y, indices) => {
      const values = new Array<number>((count(x) / (each || 1)) * count(to)).fill(0);
      y!.values.forEach((value, i) => (values[Math.floor(i / each) * count(to) + indices!.values[i]!] = value));
      return { shape: [...x.slice(0, -axes), ...to], values };
    },
    order: 2,
  };
});

// ------------------------------------------------------------------------------------------------------------------ boxes

/** The mean of bilinear samples of each bin. */
function aligned(x: Plain, boxes: Plain, options: hadal.RoiAlignOptions): Plain {
  const { outputSize = 1, spatialScale = 1, samplingRatio = 0, aligned: moved = false } = options;
  const size = typeof outputSize === 'number' ? [outputSize, outputSize] : outputSize;
  const [, c, ...space] = x.shape as [number, number, number, number];
  return generated([boxes.shape[0]!, c, ...size], ([k, channel, ...bin]) => {
    const [image, x1, y1, x2, y2] = boxes.values.slice(5 * k!, 5 * k! + 5) as [number, number, number, number, number];
    const starts = [y1, x1].map((side) => side * spatialScale - (moved ? 0.5 : 0));
    const lengths = [y2 - y1, x2 - x1].map((side) => (moved ? side * spatialScale : Math.max(side * spatialScale, 1)));
    const bins = lengths.map((length, axis) => length / size[axis]!);
    const counts = bins.map((length) => samplingRatio || Math.max(0, Math.ceil(length)));
    let sum = 0;
    for (let flat = 0; flat < count(counts); flat++) {
      const at = unravel(flat, counts).map(
        (i, axis) => starts[axis]! + bins[axis]! * (bin[axis]! + (i + 0.5) / counts[axis]!),
      );
      if (at.some((p, axis) => p < -1 || p > space[axis]!)) continue;
      const corners = at.map((p, axis) => {
        const inside = Math.min(Math.max(p, 0), space[axis]! - 1);
        const first = Math.floor(inside);
        return { first, last: Math.min(first + 1, space[axis]! - 1), t: inside - first };
      });
      for (const [a, b] of [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ] as const) {
        const [down, across] = corners as [(typeof corners)[0], (typeof corners)[0]];
        const factor = (a ? down.t : 1 - down.t) * (b ? across.t : 1 - across.t);
        const place = [image, channel!, a ? down.last : down.first, b ? across.last : across.first];
        sum += factor * x.values[ravel(place, x.shape)]!;
      }
    }
    return sum / Math.max(count(counts), 1);
  });
}

const rows = [
  [0, 0.5, 0.5, 4.25, 3],
  [1, -2, 1, 3, 9],
  [1, 2, 2, 2.25, 2.25],
  [0, 4, 3, 1, 1],
];
const roiOptions: Record<string, hadal.RoiAlignOptions> = {
  'one bin': {},
  bins: { outputSize: [2, 3] },
  'bins of given samples': { outputSize: 2, samplingRatio: 2 },
  'aligned and scaled': { outputSize: [3, 1], spatialScale: 0.5, samplingRatio: 3, aligned: true },
  'aligned, turned round': { outputSize: 2, aligned: true },
};
const roiAligns: Sample[] = [
  ...Object.entries(roiOptions).map(([variant, options]): Sample => ({
    op: 'roiAlign',
    variant,
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([2, 2, 4, 5], dtype)],
    call: (x) => hadal.roiAlign(x!, hadal.tensor(rows, { dtype: x!.dtype as 'float32' }), options),
    reference: (x) => aligned(x!, { shape: [4, 5], values: rows.flat() }, options),
    order: 2,
  })),
  {
    op: 'roiAlign',
    variant: 'wide images of many channels',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([1, 9, 10, 35], dtype)],
    call: (x) => {
      const boxes = hadal.tensor([rows[0]!, [0, 20, 2, 34, 9]], { dtype: x!.dtype as 'float32' });
      return hadal.roiAlign(x!, boxes, { outputSize: [2, 3] });
    },
    reference: (x) => aligned(x!, { shape: [2, 5], values: [...rows[0]!, 0, 20, 2, 34, 9] }, { outputSize: [2, 3] }),
    order: 1,
  },
  {
    op: 'roiAlign',
    variant: 'boxes of each image',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([2, 1, 3, 3], dtype)],
    call: (x) => hadal.roiAlign(x!, [hadal.zeros([0, 4]), hadal.tensor([[0, 0, 2, 2]])], { outputSize: 2 }),
    reference: (x) => aligned(x!, { shape: [1, 5], values: [1, 0, 0, 2, 2] }, { outputSize: 2 }),
    order: 2,
  },
  {
    op: 'roiAlign',
    variant: 'no boxes',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([1, 2, 3, 3], dtype)],
    call: (x) => hadal.roiAlign(x!, hadal.zeros([0, 5]), { outputSize: 2 }),
    reference: () => ({ shape: [0, 2, 2, 2], values: [] }),
    order: 2,
  },
];

const overlap = (a: readonly number[], b: readonly number[]): number => {
  const area = (box: readonly number[]): number => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  const [w, h] = [0, 1].map((i) => Math.max(0, Math.min(a[i + 2]!, b[i + 2]!) - Math.max(a[i]!, b[i]!)));
  return (w! * h!) / (area(a) + area(b) - w! * h!);
};
const rowsOf = (x: Plain): number[][] =>
  Array.from({ length: x.shape[0]! }, (_, i) => x.values.slice(4 * i, 4 * i + 4) as number[]);
/** Boxes with whole sides, moved by less than a quarter. */
const boxes = (draw: Draw, k: number, dtype: DType): AnyTensor => {
  const corners = draw
    .index([k, 2], 5)
    .cast(dtype)
    .add(draw.tensor([k, 2], dtype, 0, 0.25)) as AnyTensor;
  const sizes = draw
    .index([k, 2], 3)
    .cast(dtype)
    .add(draw.tensor([k, 2], dtype, 1, 1.25)) as AnyTensor;
  return hadal.cat([corners, corners.add(sizes)], 1).detach() as AnyTensor;
};

const overlaps: Sample[] = [
  [4, 3],
  [0, 2],
].map(([k, m]) => ({
  op: 'boxIou',
  variant: `${k} and ${m} boxes`,
  dtypes: floats,
  inputs: (draw, dtype) => [boxes(draw, k!, dtype), boxes(draw, m!, dtype)],
  call: (a, b) => hadal.boxIou(a!, b!),
  reference: (a, b) => {
    const [left, right] = [rowsOf(a!), rowsOf(b!)];
    return generated([k!, m!], ([i, j]) => overlap(left[i!]!, right[j!]!));
  },
  order: 2,
  // A small intersection is the difference of rounded sides.
  tolerance: { float32: { rtol: 1e-5, atol: 1e-5 } },
}));

const suppressions: Record<string, { k: number; options?: hadal.NonMaxSuppressionOptions }> = {
  'by 0.5': { k: 12 },
  'by 0.1': { k: 12, options: { iouThreshold: 0.1 } },
  'by score': { k: 10, options: { iouThreshold: 0.3, scoreThreshold: 0 } },
  'the first three': { k: 10, options: { iouThreshold: 0.1, maxCount: 3 } },
  'of each class': {
    k: 6,
    options: { iouThreshold: 0.05, classes: hadal.tensor([0, 1, 0, 2, 1, 0], { dtype: 'int64' }) },
  },
  'hundreds of boxes': { k: 600, options: { iouThreshold: 0.4 } },
  'no boxes': { k: 0 },
};
const suppressed: Sample[] = Object.entries(suppressions).map(([variant, { k, options = {} }]) => ({
  op: 'nonMaxSuppressionSync',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [boxes(draw, k, dtype), draw.distinct([k], dtype)],
  call: (all, scores) => {
    const classes = options.classes?.to(all!.device);
    return hadal.nonMaxSuppressionSync(all!, scores!, classes === undefined ? options : { ...options, classes });
  },
  reference: (all, scores) => {
    const { iouThreshold = 0.5, scoreThreshold = -Infinity, maxCount = Infinity } = options;
    const own = rowsOf(all!);
    const classes = options.classes ? plain(options.classes).values : own.map(() => 0);
    const kept: number[] = [];
    for (const i of own.map((_, j) => j).sort((a, b) => scores!.values[b]! - scores!.values[a]!)) {
      const isDropped = kept.some((j) => classes[i] === classes[j] && overlap(own[i]!, own[j]!) > iouThreshold);
      if (!isDropped && scores!.values[i]! > scoreThreshold && kept.length < maxCount) kept.push(i);
    }
    return { shape: [kept.length], values: kept };
  },
  result: () => 'int64',
  order: 0,
}));

export const samples: Sample[] = [...gridSamples, ...affineGrids, ...unpools, ...roiAligns, ...overlaps, ...suppressed];
