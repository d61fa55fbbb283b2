// Samples of resampling: interpolation and adaptive pooling.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, type Plain, type Sample } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
type Factors = readonly (readonly [place: number, factor: number])[];
type Rule = (i: number, from: number, to: number, scale?: number) => Factors;

const near = (x: number): number => (1.25 * x - 2.25) * x * x + 1;
const far = (x: number): number => ((-0.75 * x + 3.75) * x - 6) * x + 3;
const position = (corners: boolean, i: number, from: number, to: number, scale = to / from): number =>
  corners ? (to === 1 ? 0 : (i * (from - 1)) / (to - 1)) : (i + 0.5) / scale - 0.5;
const inside = (place: number, size: number): number => Math.min(Math.max(place, 0), size - 1);

const linear =
  (corners: boolean): Rule =>
  (i, from, to, scale) => {
    const at = inside(position(corners, i, from, to, scale), from);
    const first = Math.floor(at);
    return [
      [first, 1 - (at - first)],
      [inside(first + 1, from), at - first],
    ];
  };
const cubic =
  (corners: boolean): Rule =>
  (i, from, to, scale) => {
    const at = position(corners, i, from, to, scale);
    const first = Math.floor(at);
    const t = at - first;
    return [far(1 + t), near(t), near(1 - t), far(2 - t)].map((factor, k) => [inside(first - 1 + k, from), factor]);
  };
const nearest =
  (shift: number): Rule =>
  (i, from, to, scale = to / from) => [[inside(Math.floor((i + shift) / scale), from), 1]];
const windowOf = (i: number, from: number, to: number): number[] => {
  const start = Math.floor((i * from) / to);
  return Array.from({ length: Math.ceil(((i + 1) * from) / to) - start }, (_, k) => start + k);
};
const area: Rule = (i, from, to) => {
  const window = windowOf(i, from, to);
  return window.map((place) => [place, 1 / window.length]);
};

/** All that lies within the kernel's reach of an output's centre, which grows as the axis shrinks. */
const smooth =
  (kernel: (distance: number) => number, reach: number): Rule =>
  (i, from, to, scale = to / from) => {
    const stretch = Math.max(1 / scale, 1);
    const places = Array.from({ length: from }, (_, place) => place);
    const distance = (place: number): number => Math.abs(place + 0.5 - (i + 0.5) / scale) / stretch;
    const terms = places.filter((place) => distance(place) < reach).map((place) => [place, kernel(distance(place))] as const); // prettier-ignore
    const sum = terms.reduce((total, [, factor]) => total + factor, 0);
    return terms.map(([place, factor]) => [place, factor / sum]);
  };
const smoothLinear = smooth((d) => 1 - d, 1);
const smoothCubic = smooth((d) => (d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2), 2);

/** Σ over the box of an output, axis by axis. */
function resampled(x: Plain, to: readonly number[], rule: Rule, scale: readonly number[] = []): Plain {
  const from = x.shape.slice(2);
  return generated([...x.shape.slice(0, 2), ...to], ([n, c, ...at]) => {
    let terms: { place: number[]; factor: number }[] = [{ place: [], factor: 1 }];
    at.forEach((i, axis) => {
      const factors = rule(i, from[axis]!, to[axis]!, scale[axis]);
      terms = terms.flatMap(({ place, factor }) =>
        factors.map(([p, f]) => ({ place: [...place, p], factor: factor * f })),
      );
    });
    return terms.reduce((sum, { place, factor }) => sum + factor * x.values[ravel([n!, c!, ...place], x.shape)]!, 0);
  });
}

interface Case {
  readonly x: Shape;
  readonly options: hadal.InterpolateOptions;
  readonly to: readonly number[];
  readonly rule: Rule;
  readonly scale?: readonly number[];
}
const cases: Record<string, Case> = {
  'nearest, a row': { x: [2, 2, 4], options: { size: 7 }, to: [7], rule: nearest(0) },
  'nearest, by a factor': { x: [1, 2, 3, 4], options: { scaleFactor: 2 }, to: [6, 8], rule: nearest(0) },
  'nearest, smaller': { x: [1, 2, 5, 7], options: { size: [2, 3] }, to: [2, 3], rule: nearest(0) },
  'nearest, a volume': { x: [1, 1, 2, 3, 2], options: { size: [3, 2, 4] }, to: [3, 2, 4], rule: nearest(0) },
  'nearest-exact': {
    x: [1, 2, 3, 5],
    options: { size: [5, 3], mode: 'nearest-exact' },
    to: [5, 3],
    rule: nearest(0.5),
  },
  linear: { x: [2, 2, 4], options: { size: 9, mode: 'linear' }, to: [9], rule: linear(false) },
  'linear, corners': {
    x: [2, 2, 4],
    options: { size: 3, mode: 'linear', alignCorners: true },
    to: [3],
    rule: linear(true),
  },
  bilinear: { x: [1, 2, 3, 4], options: { scaleFactor: 2, mode: 'bilinear' }, to: [6, 8], rule: linear(false) },
  'bilinear, a factor that does not divide': {
    x: [1, 2, 5, 4],
    options: { scaleFactor: [1.5, 0.6], mode: 'bilinear' },
    to: [7, 2],
    scale: [1.5, 0.6],
    rule: linear(false),
  },
  'bilinear, corners': {
    x: [1, 2, 3, 4],
    options: { size: [5, 2], mode: 'bilinear', alignCorners: true },
    to: [5, 2],
    rule: linear(true),
  },
  'bilinear, corners of one element': {
    x: [1, 1, 3, 1],
    options: { size: [1, 4], mode: 'bilinear', alignCorners: true },
    to: [1, 4],
    rule: linear(true),
  },
  bicubic: { x: [1, 2, 4, 3], options: { size: [7, 5], mode: 'bicubic' }, to: [7, 5], rule: cubic(false) },
  'bicubic, smaller': { x: [1, 1, 5, 6], options: { size: [3, 2], mode: 'bicubic' }, to: [3, 2], rule: cubic(false) },
  'bicubic, corners': {
    x: [1, 1, 4, 3],
    options: { size: [6, 2], mode: 'bicubic', alignCorners: true },
    to: [6, 2],
    rule: cubic(true),
  },
  trilinear: {
    x: [1, 2, 2, 3, 2],
    options: { size: [3, 4, 5], mode: 'trilinear' },
    to: [3, 4, 5],
    rule: linear(false),
  },
  'trilinear, corners': {
    x: [1, 1, 3, 2, 3],
    options: { scaleFactor: 2, mode: 'trilinear', alignCorners: true },
    to: [6, 4, 6],
    rule: linear(true),
  },
  area: { x: [1, 2, 5, 7], options: { size: [2, 3], mode: 'area' }, to: [2, 3], rule: area },
  'area, larger': { x: [1, 1, 3], options: { size: 5, mode: 'area' }, to: [5], rule: area },
  'linear, smooth': {
    x: [2, 1, 9],
    options: { size: 4, mode: 'linear', antialias: true },
    to: [4],
    rule: smoothLinear,
  },
  'bilinear, smooth': {
    x: [1, 2, 11, 3],
    options: { size: [4, 5], mode: 'bilinear', antialias: true },
    to: [4, 5],
    rule: smoothLinear,
  },
  'bilinear, smooth, many to one': {
    x: [1, 1, 40, 2],
    options: { size: [2, 1], mode: 'bilinear', antialias: true },
    to: [2, 1],
    rule: smoothLinear,
  },
  'bicubic, smooth': {
    x: [1, 2, 13, 4],
    options: { size: [5, 6], mode: 'bicubic', antialias: true },
    to: [5, 6],
    rule: smoothCubic,
  },
  'bicubic, smooth, a factor that does not divide': {
    x: [1, 1, 11, 7],
    options: { scaleFactor: [0.35, 0.6], mode: 'bicubic', antialias: true },
    to: [3, 4],
    scale: [0.35, 0.6],
    rule: smoothCubic,
  },
  'trilinear, smooth': {
    x: [1, 1, 5, 3, 6],
    options: { size: [2, 4, 3], mode: 'trilinear', antialias: true },
    to: [2, 4, 3],
    rule: smoothLinear,
  },
  'no images': { x: [0, 2, 3, 3], options: { scaleFactor: 2, mode: 'bilinear' }, to: [6, 6], rule: linear(false) },
};

const interpolations: Sample[] = Object.entries(cases).map(([variant, { x, options, to, rule, scale }]) => ({
  op: 'interpolate',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor(x, dtype)],
  call: (image) => hadal.interpolate(image!, options),
  reference: (image) => resampled(image!, to, rule, scale),
  order: 2,
}));

type Adaptive = (x: AnyTensor, size: number | readonly (number | null)[]) => AnyTensor;
type AdaptiveMany = (x: AnyTensor, size: number | readonly (number | null)[]) => [AnyTensor, AnyTensor];
const average = [hadal.adaptiveAvgPool1d, hadal.adaptiveAvgPool2d, hadal.adaptiveAvgPool3d] as unknown as Adaptive[];
const maximum = [hadal.adaptiveMaxPool1d, hadal.adaptiveMaxPool2d, hadal.adaptiveMaxPool3d] as unknown as Adaptive[];
const maximumAt = [
  hadal.adaptiveMaxPool1dWithIndices,
  hadal.adaptiveMaxPool2dWithIndices,
  hadal.adaptiveMaxPool3dWithIndices,
] as unknown as AdaptiveMany[];

function largest(x: Plain, to: readonly number[]): [Plain, Plain] {
  const from = x.shape.slice(2);
  const shape = [...x.shape.slice(0, 2), ...to];
  const search = ([n, c, ...at]: number[]): [number, number] => {
    let places: number[][] = [[]];
    at.forEach((i, axis) => {
      places = places.flatMap((place) => windowOf(i, from[axis]!, to[axis]!).map((p) => [...place, p]));
    });
    return places
      .map((place): [number, number] => [x.values[ravel([n!, c!, ...place], x.shape)]!, ravel(place, from)])
      .reduce((best, next) => (next[0] > best[0] ? next : best));
  };
  return [generated(shape, (p) => search(p)[0]), generated(shape, (p) => search(p)[1])];
}

const pools: Record<string, { x: Shape; size: number | readonly (number | null)[]; to: readonly number[] }> = {
  'a row': { x: [2, 2, 7], size: 3, to: [3] },
  'to one': { x: [2, 3, 4, 3], size: 1, to: [1, 1] },
  'equal windows': { x: [1, 2, 4, 6], size: [2, 3], to: [2, 3] },
  'windows that overlap': { x: [1, 2, 5, 7], size: [3, 4], to: [3, 4] },
  'larger than the input': { x: [1, 2, 2, 3], size: [5, null], to: [5, 3] },
  'a volume': { x: [1, 2, 3, 4, 5], size: [2, null, 3], to: [2, 4, 3] },
  'no images': { x: [0, 2, 5, 5], size: 3, to: [3, 3] },
};
const adaptives: Sample[] = Object.entries(pools).flatMap(([variant, { x, size, to }]): Sample[] => {
  const axes = x.length - 2;
  const base = { variant, dtypes: floats, order: 2 as const };
  return [
    {
      ...base,
      op: `adaptiveAvgPool${axes}d`,
      inputs: (draw, dtype) => [draw.tensor(x, dtype)],
      call: (image) => average[axes - 1]!(image!, size),
      reference: (image) => resampled(image!, to, area),
    },
    {
      ...base,
      op: `adaptiveMaxPool${axes}d`,
      inputs: (draw, dtype) => [draw.distinct(x, dtype)],
      call: (image) => maximum[axes - 1]!(image!, size),
      reference: (image) => largest(image!, to)[0],
    },
    {
      ...base,
      op: `adaptiveMaxPool${axes}dWithIndices`,
      inputs: (draw, dtype) => [draw.distinct(x, dtype)],
      call: (image) => maximumAt[axes - 1]!(image!, size),
      reference: (image) => largest(image!, to),
    },
  ];
});

export const samples: Sample[] = [...interpolations, ...adaptives];
