// Samples of ops that repeat, roll and turn, and of those that index: at, setAt, scatters and masks.
import * as hadal from '../../../lib/index';
import type { AnyTensor, Shape, Tensor } from '../../../lib/index';
import { dtypes as everyDType, isFloat } from '../../../lib/tensor/dtype';
import { generated, ravel, unravel, type Draw, type Plain, type Sample } from '../sample';
import { at, moved, read, reshaped, type Index } from './movement';

type Mask = Tensor<Shape, 'bool'>;
const numbers = everyDType.filter((dtype) => dtype !== 'bool');
const wrap = (p: number, size: number): number => ((p % size) + size) % size;

const rearranged: Sample[] = [
  reshaped('view', 'two axes', [4, 3], [2, 6], (x) => hadal.view(x.contiguous(), [2, -1])),
  reshaped('unflatten', 'middle axis', [2, 6, 2], [2, 3, 2, 2], (x) => hadal.unflatten(x, 1, [3, -1])),
  reshaped('unflatten', 'empty', [0, 2], [0, 3, 2], (x) => hadal.unflatten(x, 0, [0, 3])),
  moved(
    'moveAxis',
    'one',
    [2, 3, 4],
    [3, 4, 2],
    (x) => hadal.moveAxis(x, 0, -1),
    ([b, c, a]) => [a!, b!, c!],
  ),
  moved(
    'moveAxis',
    'two',
    [2, 3, 4],
    [3, 4, 2],
    (x) => hadal.moveAxis(x, [1, 2], [0, 1]),
    ([b, c, a]) => [a!, b!, c!],
  ),
  moved(
    'repeat',
    'a new axis',
    [2, 3],
    [2, 4, 3],
    (x) => hadal.repeat(x, [2, 2, 1]),
    ([, b, c]) => [b! % 2, c!],
  ),
  moved(
    'repeat',
    'none',
    [2],
    [0],
    (x) => hadal.repeat(x, 0),
    () => [0],
  ),
  moved(
    'tile',
    'the last axis',
    [2, 3],
    [2, 6],
    (x) => hadal.tile(x, 2),
    ([a, b]) => [a!, b! % 3],
  ),
  moved(
    'tile',
    '0-d',
    [],
    [3],
    (x) => hadal.tile(x, [3]),
    () => [],
  ),
  moved(
    'repeatInterleave',
    'a number along an axis',
    [2, 3],
    [2, 6],
    (x) => hadal.repeatInterleave(x, 2, { axis: 1 }),
    ([a, b]) => [a!, Math.floor(b! / 2)],
  ),
  moved(
    'repeatInterleave',
    'a list, flattened',
    [2, 2],
    [5],
    (x) => hadal.repeatInterleave(x, [2, 0, 1, 2]),
    ([i]) => unravel([0, 0, 2, 3, 3][i!]!, [2, 2]),
  ),
  moved(
    'repeatInterleaveSync',
    'a tensor along an axis',
    [2, 3],
    [3, 3],
    (x) => hadal.repeatInterleaveSync(x, hadal.tensor([1, 2], { dtype: 'int64' }), { axis: 0 }),
    ([a, b]) => [Math.min(a!, 1), b!],
  ),
  moved(
    'roll',
    'flattened',
    [2, 3],
    [2, 3],
    (x) => hadal.roll(x, 2),
    (p) => unravel(wrap(ravel(p, [2, 3]) - 2, 6), [2, 3]),
  ),
  moved(
    'roll',
    'two axes',
    [3, 4],
    [3, 4],
    (x) => hadal.roll(x, [-1, 5], [0, 1]),
    ([a, b]) => [wrap(a! + 1, 3), wrap(b! - 5, 4)],
  ),
  moved(
    'roll',
    'empty',
    [0, 2],
    [0, 2],
    (x) => hadal.roll(x, 1, 0),
    () => 0,
  ),
  ...[1, 2, 3, -4].map((times) =>
    moved(
      'rot90',
      `${times} times`,
      [2, 3],
      times % 2 === 0 ? [2, 3] : [3, 2],
      (x) => hadal.rot90(x, times),
      ([a, b]) => (times === 1 ? [b!, 2 - a!] : times === 2 ? [1 - a!, 2 - b!] : times === 3 ? [1 - b!, a!] : [a!, b!]),
    ),
  ),
];

const int = (values: readonly number[], shape: Shape = [values.length]): Tensor<Shape, 'int64'> =>
  hadal.tensor([...values], { dtype: 'int64', shape }) as Tensor<Shape, 'int64'>;
const bool = (values: readonly number[], shape: Shape = [values.length]): Mask =>
  hadal.tensor([...values], { dtype: 'bool', shape }) as Mask;

/** [variant, shape, indices, the shape picked, where each of its elements is]. */
type Pick = readonly [string, Shape, () => readonly hadal.Index[], Shape, (position: number[]) => readonly number[]];
const picks: readonly Pick[] = [
  ['positions and ranges', [4, 3, 5], () => [-1, ':', '1::2'], [3, 2], ([b, c]) => [3, b!, 1 + 2 * c!]],
  ['an ellipsis and a new axis', [2, 3, 4], () => ['...', null, 1], [2, 3, 1], ([a, b]) => [a!, b!, 1]],
  ['falling ranges', [4, 3], () => ['::-1', { start: 2, stop: 0, step: -1 }], [4, 2], ([a, b]) => [3 - a!, 2 - b!]],
  ['an empty range', [4, 3], () => ['3:1'], [0, 3], () => [0, 0]],
  ['0-d', [], () => ['...'], [], () => []],
  ['an integer tensor', [4, 3], () => [int([1, -1, 1])], [3, 3], ([a, b]) => [[1, 3, 1][a!]!, b!]],
  [
    'a matrix of integers',
    [3, 4],
    () => [':', int([0, -1, 2, 1], [2, 2])],
    [3, 2, 2],
    ([a, i, j]) => [a!, [0, 3, 2, 1][2 * i! + j!]!],
  ],
  [
    'two tensors that broadcast',
    [3, 4, 2],
    () => [int([0, 2], [2, 1]), int([1, -1, 0])],
    [2, 3, 2],
    ([i, j, c]) => [2 * i!, [1, 3, 0][j!]!, c!],
  ],
  [
    'tensors behind a range',
    [2, 3, 4],
    () => ['::-1', [0, 2], [3, 1]],
    [2, 2],
    ([a, i]) => [1 - a!, [0, 2][i!]!, [3, 1][i!]!],
  ],
  [
    'tensors apart',
    [2, 3, 4],
    () => [int([1, 0]), ':', int([3, 1])],
    [2, 3],
    ([i, b]) => [[1, 0][i!]!, b!, [3, 1][i!]!],
  ],
  ['no positions', [3, 2], () => [int([])], [0, 2], () => [0, 0]],
];
const maskPicks: readonly Pick[] = [
  [
    'a mask',
    [2, 3],
    () => [bool([1, 0, 1, 0, 1, 0], [2, 3])],
    [3],
    ([i]) =>
      [
        [0, 0],
        [0, 2],
        [1, 1],
      ][i!]!,
  ],
  ['a mask of an axis', [2, 3, 2], () => [1, bool([1, 0, 1])], [2, 2], ([i, c]) => [1, 2 * i!, c!]],
  [
    'a mask and a tensor',
    [2, 2, 3],
    () => [bool([0, 1, 1, 0], [2, 2]), int([2, 0])],
    [2],
    ([i]) =>
      [
        [0, 1, 2],
        [1, 0, 0],
      ][i!]!,
  ],
  ['nothing', [3], () => [bool([0, 0, 0])], [0], () => [0]],
  ['a mask without axes', [2], () => [bool([1], []), ':'], [1, 2], ([, b]) => [b!]],
];

const reads: Sample[] = [
  ...picks.map(([variant, shape, indices, to, place]) =>
    moved('at', variant, shape, to, (x) => hadal.at(x, ...indices()) as AnyTensor, place),
  ),
  ...maskPicks.map(([variant, shape, indices, to, place]) =>
    moved('atSync', variant, shape, to, (x) => hadal.atSync(x, ...indices()), place),
  ),
];

// Sums are rounded to 16 bits after every term.
const summed = { float16: { rtol: 2e-3, atol: 2e-3 }, bfloat16: { rtol: 1.6e-2, atol: 1.6e-2 } };

/** The same picks written to, from a source of their shape. */
const writes: Sample[] = [...picks, ...maskPicks.filter(([variant]) => variant !== 'a mask and a tensor')].flatMap(
  ([variant, shape, indices, to, place]) =>
    [false, true].map((accumulate): Sample => ({
      op: 'setAt',
      variant: `${variant}${accumulate ? ', added' : ''}`,
      dtypes: accumulate ? numbers : everyDType,
      inputs: (draw, dtype) => [draw.tensor(shape, dtype, -1, 1), draw.tensor(to, dtype, -1, 1)],
      call: (x, source) => hadal.setAt(x, indices(), source!, { accumulate }),
      reference: (x, source) => {
        const values = [...x.values];
        generated(to, (position) => {
          const flat = ravel(place(position), shape);
          const value = read(source!, position);
          return (values[flat] = accumulate ? values[flat]! + value : value);
        });
        return { shape, values };
      },
      // A place that is named twice has no one gradient when it is replaced.
      order: !accumulate && variant === 'an integer tensor' ? 0 : 2,
      tolerance: summed,
    })),
);
const others: Sample[] = [
  {
    op: 'setAt',
    variant: 'a number by a mask',
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype)],
    call: (x) => hadal.setAt(x, [bool([1, 0, 0, 1, 1, 0], [2, 3])], 1),
    reference: (x) => ({ shape: [2, 3], values: x.values.map((v, i) => ([1, 0, 0, 1, 1, 0][i] ? 1 : v)) }),
    order: 2,
  },
  {
    op: 'take',
    variant: 'from both ends',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype)],
    call: (x) => hadal.take(x, int([0, -1, 4, 1], [2, 2])),
    reference: (x) => ({ shape: [2, 2], values: [0, 5, 4, 1].map((i) => x.values[i]!) }),
    order: 2,
  },
  {
    op: 'takeAlongAxis',
    variant: 'broadcast',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 1, 2], dtype), draw.index([1, 2, 4], 2)],
    call: (x, index) => hadal.takeAlongAxis(x, index as Index, 2),
    reference: (x, index) => generated([3, 2, 4], ([a, b, c]) => read(x, [a!, 0, read(index, [0, b!, c!])])),
    order: 2,
  },
  {
    op: 'takeAlongAxis',
    variant: 'flattened',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype), draw.index([4], 6)],
    call: (x, index) => hadal.takeAlongAxis(x, index as Index),
    reference: (x, index) => generated([4], ([i]) => x.values[index.values[i!]!]!),
    order: 2,
  },
  {
    op: 'gatherNd',
    variant: 'slices',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 3, 2], dtype), draw.index([4, 2], 3, 'int32')],
    call: (x, index) => hadal.gatherNd(x, index as Index),
    reference: (x, index) => generated([4, 2], ([i, c]) => read(x, [read(index, [i!, 0]), read(index, [i!, 1]), c!])),
    order: 2,
  },
  {
    op: 'scatterNd',
    variant: 'some places twice',
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.index([5, 2], 2), draw.tensor([5, 3], dtype, -1, 1)],
    call: (index, updates) => hadal.scatterNd(index as Index, updates!, [2, 2, 3]),
    reference: (index, updates) => {
      const values = new Array<number>(12).fill(0);
      generated(
        [5, 3],
        ([i, c]) =>
          (values[ravel([read(index, [i!, 0]), read(index, [i!, 1]), c!], [2, 2, 3])]! += read(updates, [i!, c!])),
      );
      return { shape: [2, 2, 3], values };
    },
    tolerance: summed,
    order: 2,
  },
];

// ------------------------------------------------------------------------------------------------------------ scatters

/** What the elements that fall on each place along an axis come to. */
const grouped = (
  x: Plain,
  axis: number,
  index: Plain,
  source: Plain,
  f: (old: number, found: number[]) => number,
): Plain => {
  const found = x.values.map(() => [] as number[]);
  generated(index.shape, (position) =>
    found[ravel(at(position, axis, read(index, position)), x.shape)]!.push(read(source, position)),
  );
  return { shape: x.shape, values: x.values.map((old, i) => (found[i]!.length === 0 ? old : f(old, found[i]!))) };
};
const folds: Record<hadal.ScatterReduction, (values: number[]) => number> = {
  sum: (values) => values.reduce((a, b) => a + b, 0),
  prod: (values) => values.reduce((a, b) => a * b, 1),
  mean: (values) => values.reduce((a, b) => a + b, 0) / values.length,
  amax: (values) => Math.max(...values),
  amin: (values) => Math.min(...values),
};
const scattered: Sample[] = (Object.keys(folds) as hadal.ScatterReduction[]).flatMap((reduction) =>
  [true, false].map((includeSelf): Sample => ({
    op: 'scatterReduce',
    variant: `${reduction}${includeSelf ? '' : ' without self'}`,
    dtypes: numbers,
    // Values that differ, none of them 0; of small integers the product fits.
    inputs: (draw, dtype) => [
      isFloat(dtype) ? draw.distinct([3, 4], dtype).add(0.0625).mul(1.5) : draw.tensor([3, 4], dtype, 1, 3),
      draw.index([3, 3], 4),
      isFloat(dtype) ? draw.distinct([4, 3], dtype).add(0.03125) : draw.tensor([4, 3], dtype, 1, 3),
    ],
    call: (x, index, source) => hadal.scatterReduce(x, 1, index as Index, source!, reduction, { includeSelf }),
    reference: (x, index, source) =>
      grouped(x, 1, index, source, (old, found) => {
        const value = folds[reduction](includeSelf ? [old, ...found] : found);
        return Number.isInteger(old) && reduction === 'mean' && x.values.every(Number.isInteger)
          ? Math.floor(value)
          : value;
      }),
    tolerance: { ...summed, float16: { rtol: 4e-3, atol: 4e-3 } },
    order: 2,
  })),
);
const places: Sample[] = [
  {
    op: 'scatter',
    variant: 'from a larger source',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), draw.tensor([3, 4], dtype)],
    call: (x, source) => hadal.scatter(x, 1, int([3, 0, 1, 2], [2, 2]), source!),
    reference: (x, source) =>
      grouped(x, 1, { shape: [2, 2], values: [3, 0, 1, 2] }, source, (_, found) => found.at(-1)!),
    order: 2,
  },
  {
    op: 'scatter',
    variant: 'a number',
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.tensor([3, 2], dtype)],
    call: (x) => hadal.scatter(x, 0, int([1, 1], [1, 2]), 1),
    reference: (x) => ({ shape: [3, 2], values: x.values.map((v, i) => (i === 2 || i === 3 ? 1 : v)) }),
    order: 2,
  },
  {
    op: 'scatterReduce',
    variant: 'a product with zeros',
    dtypes: ['float64', 'float32'],
    inputs: (_, dtype) => [hadal.tensor([2, 0, 3, 0], { dtype }), hadal.tensor([0, 5, 0, 0, 7, 2], { dtype })],
    call: (x, source) => hadal.scatterReduce(x, 0, int([0, 0, 1, 2, 3, 2]), source!, 'prod'),
    reference: () => ({ shape: [4], values: [0, 0, 0, 0] }),
    order: 2,
  },
  {
    op: 'indexCopy',
    variant: 'columns',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 4], dtype), draw.tensor([2, 2], dtype)],
    call: (x, source) => hadal.indexCopy(x, 1, int([3, 0]), source!),
    reference: (x, source) =>
      generated([2, 4], ([i, j]) =>
        j === 3 ? read(source, [i!, 0]) : j === 0 ? read(source, [i!, 1]) : read(x, [i!, j!]),
      ),
    order: 2,
  },
];

// --------------------------------------------------------------------------------------------------------------- masks

const drawMask = (draw: Draw, shape: Shape): AnyTensor => draw.tensor(shape, 'bool');
const chosen = (x: Plain, mask: Plain): number[] => x.values.filter((_, i) => mask.values[i % mask.values.length]);
const masks: Sample[] = [
  {
    op: 'nonzeroSync',
    variant: 'positions',
    dtypes: everyDType,
    inputs: (draw, dtype) => [
      draw
        .tensor([2, 3, 4], dtype, 0, 1)
        .mul(draw.tensor([2, 3, 4], 'bool'))
        .cast(dtype),
    ],
    call: (x) => hadal.nonzeroSync(x),
    reference: (x) => {
      const found = x.values.flatMap((value, i) => (value === 0 ? [] : [unravel(i, x.shape)]));
      return { shape: [found.length, 3], values: found.flat() };
    },
    result: () => 'int64',
    order: 0,
  },
  {
    op: 'nonzeroSync',
    variant: 'long',
    dtypes: ['bool'],
    inputs: (draw) => [drawMask(draw, [100_000])],
    call: (x) => hadal.nonzeroSync(x).flatten(),
    reference: (x) => {
      const found = x.values.flatMap((value, i) => (value === 0 ? [] : [i]));
      return { shape: [found.length], values: found };
    },
    result: () => 'int64',
    order: 0,
  },
  {
    op: 'nonzeroSync',
    variant: '0-d',
    dtypes: numbers,
    inputs: (_, dtype) => [hadal.tensor(1, { dtype })],
    call: (x) => hadal.nonzeroSync(x),
    reference: () => ({ shape: [1, 0], values: [] }),
    result: () => 'int64',
    order: 0,
  },
  {
    op: 'maskedSelectSync',
    variant: 'broadcast',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), drawMask(draw, [4])],
    call: (x, mask) => hadal.maskedSelectSync(x, mask as Mask),
    reference: (x, mask) => {
      const values = chosen(x, mask);
      return { shape: [values.length], values };
    },
    order: 2,
  },
  {
    op: 'maskedFill',
    variant: 'a number',
    dtypes: numbers,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), drawMask(draw, [4])],
    call: (x, mask) => hadal.maskedFill(x, mask as Mask, 2),
    reference: (x, mask) => ({ shape: x.shape, values: x.values.map((v, i) => (mask.values[i % 4] ? 2 : v)) }),
    order: 2,
  },
  {
    op: 'maskedFill',
    variant: 'a tensor',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), drawMask(draw, [3, 4]), draw.tensor([], dtype)],
    call: (x, mask, value) => hadal.maskedFill(x, mask as Mask, value!),
    reference: (x, mask, value) => ({
      shape: x.shape,
      values: x.values.map((v, i) => (mask.values[i] ? value!.values[0]! : v)),
    }),
    order: 2,
  },
  {
    op: 'maskedScatter',
    variant: 'in order',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), drawMask(draw, [3, 4]), draw.tensor([12], dtype)],
    call: (x, mask, source) => hadal.maskedScatter(x, mask as Mask, source!),
    reference: (x, mask, source) => {
      let next = 0;
      return { shape: x.shape, values: x.values.map((v, i) => (mask.values[i] ? source!.values[next++]! : v)) };
    },
    order: 2,
  },
  {
    op: 'maskedScatter',
    variant: 'nothing from nothing',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3], dtype), hadal.zeros([0], { dtype })],
    call: (x, source) => hadal.maskedScatter(x, bool([0, 0, 0]), source!),
    reference: (x) => x,
    order: 2,
  },
];

export const samples: Sample[] = [...rearranged, ...reads, ...writes, ...others, ...scattered, ...places, ...masks];
