// Samples of unfold, fold, and of channels as space.
import * as hadal from '../../../lib/index';
import type { AnyTensor, Shape } from '../../../lib/index';
import { dtypes as everyDType } from '../../../lib/tensor/dtype';
import { generated, ravel, type Plain, type Sample } from '../sample';
import { moved, read } from './movement';

const numbers = everyDType.filter((dtype) => dtype !== 'bool');
// Sums of up to four elements are rounded to 16 bits after every term.
const summed = { float16: { rtol: 2e-3, atol: 4e-3 }, bfloat16: { rtol: 1.6e-2, atol: 3.2e-2 } };

interface Windows {
  readonly variant: string;
  readonly space: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}
const cases: readonly Windows[] = [
  { variant: 'plain', space: [3, 4], kernel: [2, 3], stride: 1, padding: 0, dilation: 1 },
  { variant: 'stride, padding and dilation', space: [5, 4], kernel: [2, 2], stride: 2, padding: 1, dilation: 2 },
];
const countsOf = ({ space, kernel, stride, padding, dilation }: Windows): number[] =>
  space.map((size, i) => Math.floor((size + 2 * padding - dilation * (kernel[i]! - 1) - 1) / stride) + 1);

/** Where an element of the patches [n, c · kh · kw, windows] stands in the image, if it is no padding. */
function source(w: Windows, [n, feature, window]: readonly number[]): number[] | undefined {
  const [, columns] = countsOf(w) as [number, number];
  const [kh, kw] = w.kernel;
  const place = (start: number, k: number): number => start * w.stride + k * w.dilation - w.padding;
  const y = place(Math.floor(window! / columns), Math.floor((feature! % (kh * kw)) / kw));
  const x = place(window! % columns, feature! % kw);
  if (y < 0 || x < 0 || y >= w.space[0] || x >= w.space[1]) return undefined;
  return [n!, Math.floor(feature! / (kh * kw)), y, x];
}

const patches: Sample[] = cases.flatMap((w): Sample[] => {
  const { variant, space, kernel, stride, padding, dilation } = w;
  const image = [2, 3, ...space];
  const columns = [2, 3 * kernel[0] * kernel[1], countsOf(w).reduce((a, b) => a * b)];
  const options = { stride, padding, dilation };
  return [
    {
      op: 'unfold',
      variant,
      dtypes: numbers,
      inputs: (draw, dtype) => [draw.tensor(image, dtype)],
      call: (x) => hadal.unfold(x, kernel, options),
      reference: (x) =>
        generated(columns, (position) => {
          const at = source(w, position);
          return at === undefined ? 0 : read(x, at);
        }),
      tolerance: summed,
      order: 2,
    },
    {
      op: 'fold',
      variant,
      dtypes: numbers,
      inputs: (draw, dtype) => [draw.tensor(columns, dtype)],
      call: (x) => hadal.fold(x, space, kernel, options),
      reference: (x): Plain => {
        const values = new Array<number>(image.reduce((a, b) => a * b)).fill(0);
        generated(columns, (position) => {
          const at = source(w, position);
          return at === undefined ? 0 : (values[ravel(at, image)]! += read(x, position));
        });
        return { shape: image, values };
      },
      tolerance: summed,
      order: 2,
    },
  ];
});

const shuffled = (op: string, from: Shape, to: Shape, call: (x: AnyTensor) => AnyTensor): Sample =>
  moved(op, 'two by two', from, to, call, (position) => {
    const [n, c, y, x] = position as [number, number, number, number];
    return op === 'pixelShuffle'
      ? [n, 4 * c + 2 * (y % 2) + (x % 2), Math.floor(y / 2), Math.floor(x / 2)]
      : [n, Math.floor(c / 4), 2 * y + Math.floor((c % 4) / 2), 2 * x + (c % 2)];
  });

export const samples: Sample[] = [
  ...patches,
  {
    op: 'unfold',
    variant: 'without a batch',
    dtypes: ['float64', 'float32'],
    inputs: (draw, dtype) => [draw.tensor([1, 2, 3], dtype)],
    call: (x) => hadal.unfold(x, 2),
    reference: ({ values }) => ({
      shape: [4, 2],
      values: [0, 1, 1, 2, 3, 4, 4, 5].map((i) => values[i]!),
    }),
    order: 2,
  },
  shuffled('pixelShuffle', [2, 8, 2, 3], [2, 2, 4, 6], (x) => hadal.pixelShuffle(x, 2)),
  moved(
    'channelShuffle',
    'three groups',
    [2, 6, 2, 2],
    [2, 6, 2, 2],
    (x) => hadal.channelShuffle(x, 3),
    ([n, c, i, j]) => [n!, 2 * (c! % 3) + Math.floor(c! / 3), i!, j!],
  ),
  shuffled('pixelUnshuffle', [2, 2, 4, 6], [2, 8, 2, 3], (x) => hadal.pixelUnshuffle(x, 2)),
];
