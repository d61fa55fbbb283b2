// Samples of pooling in one to three axes.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, type Draw, type Plain, type Sample } from '../sample';
import { inside, places, positions, type Window } from '../windows';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

/** `join` gets the values of a window, how many of its positions lie in the padding, and where the values are. */
type Join = (values: number[], outside: number, positions: number[]) => number;

function pooled(x: Plain, w: Window, join: Join): Plain {
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  return generated([n, c, ...places(sizes, w)], ([image, channel, ...at]) => {
    const values: number[] = [];
    const where: number[] = [];
    let outside = 0;
    for (const { image: place } of positions(at, w)) {
      if (inside(place, sizes)) {
        values.push(x.values[ravel([image!, channel!, ...place], x.shape)]!);
        where.push(ravel(place, sizes));
        // Rounding up, a window may reach past the padding; what lies there does not count.
      } else if (place.every((p, i) => p < sizes[i]! + (w.padding?.[i] ?? 0))) outside++;
    }
    return join(values, outside, where);
  });
}

interface Pooling {
  readonly x: Shape;
  readonly window: Window;
  readonly options?: object;
}
const poolings: Record<string, Pooling> = {
  halves: { x: [2, 2, 4, 6], window: { kernel: [2, 2] } },
  'a rest': { x: [1, 2, 5, 4], window: { kernel: [2, 3] } },
  'windows that overlap': {
    x: [1, 2, 5, 5],
    window: { kernel: [3, 2], stride: [1, 2] },
    options: { stride: [1, 2] },
  },
  padding: {
    x: [1, 2, 4, 5],
    window: { kernel: [3, 3], stride: [2, 2], padding: [1, 1] },
    options: { stride: 2, padding: 1 },
  },
  'rounded up': {
    x: [1, 1, 6, 4],
    window: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], ceil: true },
    options: { stride: 2, padding: 1, ceilMode: true },
  },
  'no images': { x: [0, 2, 4, 4], window: { kernel: [2, 2] } },
  'a row': { x: [2, 3, 7], window: { kernel: [3], stride: [2], padding: [1] }, options: { stride: 2, padding: 1 } },
  'a row, rounded up': {
    x: [1, 2, 6],
    window: { kernel: [3], stride: [2], ceil: true },
    options: { stride: [2], ceilMode: true },
  },
  'a volume': { x: [1, 2, 4, 3, 4], window: { kernel: [2, 3, 2] } },
  'a volume, overlapping and padded': {
    x: [2, 1, 4, 5, 3],
    window: { kernel: [3, 2, 3], stride: [1, 2, 2], padding: [1, 1, 0], ceil: true },
    options: { stride: [1, 2, 2], padding: [1, 1, 0], ceilMode: true },
  },
  'no volumes': { x: [0, 2, 2, 2, 2], window: { kernel: [2, 2, 2] } },
};
type Pool = (x: AnyTensor, kernel: readonly number[] | number, options?: object) => AnyTensor;
type PoolMany = (x: AnyTensor, kernel: readonly number[], options?: object) => [AnyTensor, AnyTensor];
const maxPool = [hadal.maxPool1d, hadal.maxPool2d, hadal.maxPool3d] as unknown as Pool[];
const withIndices = [
  hadal.maxPool1dWithIndices,
  hadal.maxPool2dWithIndices,
  hadal.maxPool3dWithIndices,
] as unknown as PoolMany[];
const avgPool = [hadal.avgPool1d, hadal.avgPool2d, hadal.avgPool3d] as unknown as Pool[];
const lpPool = [hadal.lpPool1d, hadal.lpPool2d, hadal.lpPool3d] as unknown as ((
  x: AnyTensor,
  norm: number,
  kernel: readonly number[],
  options?: object,
) => AnyTensor)[];
const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
const mean: Join = (values, outside) => sum(values) / (values.length + outside);
const largest: Join = (values) => Math.max(...values);
const place: Join = (values, _, where) => where[values.indexOf(Math.max(...values))]!;

const poolingSamples: Sample[] = Object.entries(poolings).flatMap(
  ([variant, { x, window, options = {} }]): Sample[] => {
    const axes = x.length - 2;
    const base = { variant, dtypes: floats, order: 2 as const };
    const { padding = [] } = window;
    const lp: Sample[] = padding.some((size) => size > 0)
      ? []
      : [2, 3].map((norm) => ({
          ...base,
          op: `lpPool${axes}d`,
          variant: `${variant}, norm ${norm}`,
          inputs: (draw, dtype) => [draw.tensor(x, dtype, 0.5, 2)],
          call: (image) => lpPool[axes - 1]!(image!, norm, window.kernel, options),
          // As PyTorch: the mean times the whole window, also where rounding up made it smaller.
          reference: (image) =>
            pooled(image!, window, (values, outside) => {
              const average = sum(values.map((value) => value ** norm)) / (values.length + outside);
              return (average * window.kernel.reduce((a, b) => a * b, 1)) ** (1 / norm);
            }),
        }));
    return [
      {
        ...base,
        op: `maxPool${axes}d`,
        inputs: (draw, dtype) => [draw.distinct(x, dtype)],
        call: (image) => maxPool[axes - 1]!(image, window.kernel, options),
        reference: (image) => pooled(image, window, largest),
      },
      {
        ...base,
        op: `maxPool${axes}dWithIndices`,
        inputs: (draw, dtype) => [draw.distinct(x, dtype)],
        call: (image) => withIndices[axes - 1]!(image, window.kernel, options),
        reference: (image) => [pooled(image, window, largest), pooled(image, window, place)],
      },
      {
        ...base,
        op: `avgPool${axes}d`,
        inputs: (draw, dtype) => [draw.tensor(x, dtype)],
        call: (image) => avgPool[axes - 1]!(image, window.kernel, options),
        reference: (image) => pooled(image, window, mean),
      },
      {
        ...base,
        op: `avgPool${axes}d`,
        variant: `${variant}, zeros not counted`,
        inputs: (draw, dtype) => [draw.tensor(x, dtype)],
        call: (image) => avgPool[axes - 1]!(image, window.kernel, { ...options, countIncludePad: false }),
        reference: (image) => pooled(image, window, (values) => mean(values, 0, [])),
      },
      {
        ...base,
        op: `avgPool${axes}d`,
        variant: `${variant}, divided by 5`,
        inputs: (draw, dtype) => [draw.tensor(x, dtype)],
        call: (image) => avgPool[axes - 1]!(image, window.kernel, { ...options, divisorOverride: 5 }),
        reference: (image) => pooled(image, window, (values) => sum(values) / 5),
        // The window's mean is rounded before it is scaled.
        tolerance: { float16: { rtol: 2e-3, atol: 1e-5 }, bfloat16: { rtol: 1.6e-2, atol: 1e-4 } },
      },
      ...lp,
    ];
  },
);

const others: Sample[] = [
  {
    op: 'maxPool2d',
    variant: 'one image, dilated',
    dtypes: floats,
    inputs: (draw, dtype) => [draw.distinct([2, 5, 6], dtype)],
    call: (image) => withIndices[1]!(image, [2, 3], { stride: [1, 2], dilation: 2 }),
    reference: (image) => {
      const window: Window = { kernel: [2, 3], stride: [1, 2], dilation: [2, 2] };
      const batch = { shape: [1, ...image.shape], values: image.values };
      const squeezed = ({ shape, values }: Plain): Plain => ({ shape: shape.slice(1), values });
      return [squeezed(pooled(batch, window, largest)), squeezed(pooled(batch, window, place))];
    },
    order: 2,
  },
  {
    op: 'maxPool2d',
    variant: 'NaN and infinities',
    dtypes: floats,
    inputs: (_, dtype) => [
      hadal.tensor([1, NaN, -Infinity, -Infinity, 5, 2, 3, Infinity], { dtype, shape: [1, 1, 2, 4] }),
    ],
    call: (image) => maxPool[1]!(image, [2, 1]),
    reference: () => ({ shape: [1, 1, 1, 4], values: [5, NaN, 3, Infinity] }),
    order: 0,
  },
  {
    // The first of equal values wins; the last NaN does, as in PyTorch.
    op: 'maxPool3dWithIndices',
    variant: 'ties and NaN',
    dtypes: floats,
    inputs: (_, dtype) => [
      hadal.tensor([1, 1, 0, 1, 1, 1, 1, 1, NaN, 2, NaN, 0, 3, NaN, 4, 4], { dtype, shape: [1, 2, 2, 2, 2] }),
    ],
    call: (image) => withIndices[2]!(image, [2, 2, 2]),
    reference: () => [
      { shape: [1, 2, 1, 1, 1], values: [1, NaN] },
      { shape: [1, 2, 1, 1, 1], values: [0, 5] },
    ],
    order: 0,
  },
];

/** Windows at 0, 1 and the end of each axis: samples of 0 make the stair floor(i · alpha). */
const fractional: Sample[] = (
  [
    [2, hadal.fractionalMaxPool2d, hadal.fractionalMaxPool2dWithIndices],
    [3, hadal.fractionalMaxPool3d, hadal.fractionalMaxPool3dWithIndices],
  ] as unknown as [2 | 3, Pool, PoolMany][]
).flatMap(([rank, values, pairs]) => {
  const space = [5, 6, 4].slice(0, rank);
  const options = ({ device }: AnyTensor): object => ({
    outputSize: space.map(() => 3),
    samples: hadal.zeros([2, 1, rank], { dtype: 'float64', device }),
  });
  const starts = space.map((size) => [0, Math.floor((size - 2) / 2), size - 2]);
  const join = (x: Plain, choose: (value: number, place: number) => number): Plain =>
    generated([2, 1, ...space.map(() => 3)], ([n, , ...at]) => {
      let best = -Infinity;
      let where = -1;
      for (let corner = 0; corner < 2 ** rank; corner++) {
        const place = at.map((p, i) => starts[i]![p]! + ((corner >> (rank - 1 - i)) & 1));
        const value = x.values[ravel([n!, 0, ...place], x.shape)]!;
        if (value > best) [best, where] = [value, ravel(place, space)];
      }
      return choose(best, where);
    });
  const shared = {
    variant: 'samples of 0',
    dtypes: floats,
    inputs: (draw: Draw, dtype: DType) => [draw.distinct([2, 1, ...space], dtype)],
  };
  return [
    {
      ...shared,
      op: `fractionalMaxPool${rank}d`,
      call: (x: AnyTensor) => values(x, 2, options(x)),
      reference: (x: Plain) => join(x, (value) => value),
      order: 2 as const,
    },
    {
      ...shared,
      op: `fractionalMaxPool${rank}dWithIndices`,
      call: (x: AnyTensor) => pairs(x, [2, 2, 2].slice(0, rank), options(x)),
      reference: (x: Plain) => [join(x, (value) => value), join(x, (_, place) => place)],
      order: 0 as const,
    },
  ];
});

export const samples: Sample[] = [...fractional, ...poolingSamples, ...others];
