// Samples of views, of ops that move elements, and of ops that address them.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape, Tensor } from '../../../lib/index';
import { dtypes as everyDType, isFloat } from '../../../lib/tensor/dtype';
import { generated, mapped, ravel, type Draw, type Plain, type Sample, type Tolerance } from '../sample';

export type Index = Tensor<Shape, 'int64'>;
const numbers = everyDType.filter((dtype) => dtype !== 'bool');
export const read = (x: Plain, position: readonly number[]): number => x.values[ravel(position, x.shape)]!;

/** A result whose element at a position is an element of x, or a constant. */
export function moved(
  op: string,
  variant: string,
  from: Shape,
  to: Shape,
  call: (x: AnyTensor) => AnyTensor,
  source: (position: number[]) => readonly number[] | number,
): Sample {
  return {
    op,
    variant,
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor(from, dtype)],
    call: (x) => call(x),
    reference: (x) =>
      generated(to, (position) => {
        const at = source(position);
        return typeof at === 'number' ? at : read(x, at);
      }),
    order: 2,
  };
}
const flatTo = (from: Shape, to: Shape) => (position: number[]) => {
  let flat = ravel(position, to);
  const at = new Array<number>(from.length);
  for (let axis = from.length - 1; axis >= 0; axis--) {
    at[axis] = flat % from[axis]!;
    flat = Math.floor(flat / from[axis]!);
  }
  return at;
};
export const reshaped = (
  op: string,
  variant: string,
  from: Shape,
  to: Shape,
  call: (x: AnyTensor) => AnyTensor,
): Sample => moved(op, variant, from, to, call, flatTo(from, to));

const views: Sample[] = [
  reshaped('reshape', 'two axes', [4, 3], [2, 6], (x) => hadal.reshape(x, [2, 6])),
  reshaped('reshape', 'a size left out', [4, 3], [3, 4], (x) => hadal.reshape(x, [3, -1])),
  reshaped('reshape', 'to 0-d', [1, 1], [], (x) => hadal.reshape(x, [])),
  reshaped('reshape', 'empty', [0, 3], [3, 0, 2], (x) => hadal.reshape(x, [3, 0, 2])),
  reshaped('flatten', 'all', [2, 3, 2], [12], (x) => hadal.flatten(x)),
  reshaped('flatten', 'the last axes', [2, 3, 2], [2, 6], (x) => hadal.flatten(x, 1)),
  reshaped('flatten', '0-d', [], [1], (x) => hadal.flatten(x)),
  reshaped('squeeze', 'all', [1, 3, 1], [3], (x) => hadal.squeeze(x)),
  reshaped('squeeze', 'one', [1, 3, 1], [1, 3], (x) => hadal.squeeze(x, -1)),
  reshaped('unsqueeze', 'front', [3, 2], [1, 3, 2], (x) => hadal.unsqueeze(x, 0)),
  reshaped('unsqueeze', 'behind', [3, 2], [3, 2, 1], (x) => hadal.unsqueeze(x, -1)),
  moved(
    'permute',
    'three axes',
    [2, 3, 4],
    [4, 2, 3],
    (x) => hadal.permute(x, [2, 0, 1]),
    ([c, a, b]) => [a!, b!, c!],
  ),
  moved(
    'permute',
    'reversed',
    [2, 3, 4],
    [4, 3, 2],
    (x) => hadal.permute(x),
    ([c, b, a]) => [a!, b!, c!],
  ),
  moved(
    'transpose',
    'the last axes',
    [2, 3, 4],
    [2, 4, 3],
    (x) => hadal.transpose(x),
    ([a, c, b]) => [a!, b!, c!],
  ),
  moved(
    'transpose',
    'the outer axes',
    [2, 3, 4],
    [4, 3, 2],
    (x) => hadal.transpose(x, 0, 2),
    ([c, b, a]) => [a!, b!, c!],
  ),
  moved(
    'expand',
    'front and middle',
    [3, 1, 2],
    [2, 3, 4, 2],
    (x) => hadal.expand(x, [2, 3, 4, 2]),
    ([, a, , c]) => [a!, 0, c!],
  ),
  moved(
    'expand',
    '0-d',
    [],
    [2, 2],
    (x) => hadal.expand(x, [2, 2]),
    () => [],
  ),
  moved(
    'expand',
    'to nothing',
    [1],
    [0],
    (x) => hadal.expand(x, [0]),
    () => [0],
  ),
  moved(
    'slice',
    'a part',
    [6, 2],
    [3, 2],
    (x) => hadal.slice(x, 0, 1, 4),
    ([a, b]) => [a! + 1, b!],
  ),
  moved(
    'slice',
    'with a step',
    [2, 8],
    [2, 3],
    (x) => hadal.slice(x, 1, 1, 8, 3),
    ([a, b]) => [a!, 1 + 3 * b!],
  ),
  moved(
    'slice',
    'from the end',
    [5],
    [2],
    (x) => hadal.slice(x, 0, -2),
    ([a]) => [a! + 3],
  ),
  moved(
    'slice',
    'nothing',
    [5],
    [0],
    (x) => hadal.slice(x, 0, 3, 2),
    () => [0],
  ),
  moved(
    'slice',
    'with a negative step',
    [2, 7],
    [2, 3],
    (x) => hadal.slice(x, 1, -2, 0, -2),
    ([a, b]) => [a!, 5 - 2 * b!],
  ),
  moved(
    'slice',
    'reversed',
    [4],
    [4],
    (x) => hadal.slice(x, 0, undefined, undefined, -1),
    ([a]) => [3 - a!],
  ),
  moved(
    'narrow',
    'a part',
    [2, 5],
    [2, 2],
    (x) => hadal.narrow(x, 1, 2, 2),
    ([a, b]) => [a!, b! + 2],
  ),
  moved(
    'select',
    'middle axis',
    [2, 3, 4],
    [2, 4],
    (x) => hadal.select(x, 1, 2),
    ([a, c]) => [a!, 2, c!],
  ),
  moved(
    'select',
    'from the end',
    [3],
    [],
    (x) => hadal.select(x, 0, -1),
    () => [2],
  ),
  moved(
    'select',
    'behind nothing',
    [0, 2],
    [0],
    (x) => hadal.select(x, 1, 1),
    () => [0, 0],
  ),
  moved(
    'diagonal',
    'of a matrix',
    [3, 4],
    [3],
    (x) => hadal.diagonal(x),
    ([i]) => [i!, i!],
  ),
  moved(
    'diagonal',
    'above',
    [2, 3, 4],
    [2, 2],
    (x) => hadal.diagonal(x, { offset: 2 }),
    ([b, i]) => [b!, i!, i! + 2],
  ),
  moved(
    'diagonal',
    'below',
    [4, 2],
    [2],
    (x) => hadal.diagonal(x, { offset: -1 }),
    ([i]) => [i! + 1, i!],
  ),
  moved(
    'diagonal',
    'of other axes',
    [3, 2, 3],
    [2, 3],
    (x) => hadal.diagonal(x, { axes: [0, 2] }),
    ([b, i]) => [i!, b!, i!],
  ),
  moved(
    'diagonal',
    'beyond',
    [2, 2],
    [0],
    (x) => hadal.diagonal(x, { offset: 5 }),
    () => [0, 0],
  ),
];

const inRange = (position: readonly number[], shape: Shape): boolean =>
  position.every((p, axis) => p >= 0 && p < shape[axis]!);
const mirrored = (p: number, size: number): number => (p < 0 ? -p : p >= size ? 2 * (size - 1) - p : p);
const held = (p: number, size: number): number => Math.min(Math.max(p, 0), size - 1);
const wrapped = (p: number, size: number): number => ((p % size) + size) % size;

const moves: Sample[] = [
  moved(
    'contiguous',
    'of a transpose',
    [3, 2],
    [2, 3],
    (x) => hadal.contiguous<Shape, DType>(x.transpose()),
    ([b, a]) => [a!, b!],
  ),
  moved(
    'clone',
    'of a part',
    [4, 3],
    [4, 2],
    (x) => hadal.clone(x.slice(1, 0, 2)),
    ([a, b]) => [a!, b!],
  ),
  moved(
    'pad',
    'constant',
    [2, 3],
    [4, 6],
    (x) =>
      hadal.pad(
        x,
        [
          [1, 1],
          [2, 1],
        ],
        { value: 1 },
      ),
    ([a, b]) => (inRange([a! - 1, b! - 2], [2, 3]) ? [a! - 1, b! - 2] : 1),
  ),
  moved(
    'pad',
    'reflect',
    [2, 4],
    [2, 8],
    (x) => hadal.pad(x, [[3, 1]], { mode: 'reflect' }),
    ([a, b]) => [a!, mirrored(b! - 3, 4)],
  ),
  moved(
    'pad',
    'replicate',
    [2, 3],
    [2, 6],
    (x) => hadal.pad(x, [[1, 2]], { mode: 'replicate' }),
    ([a, b]) => [a!, held(b! - 1, 3)],
  ),
  moved(
    'pad',
    'circular',
    [3],
    [6],
    (x) => hadal.pad(x, [[1, 2]], { mode: 'circular' }),
    ([a]) => [wrapped(a! - 1, 3)],
  ),
  moved(
    'pad',
    'nothing',
    [2, 0],
    [2, 2],
    (x) => hadal.pad(x, [[1, 1]]),
    () => 0,
  ),
  moved(
    'flip',
    'one axis',
    [2, 3],
    [2, 3],
    (x) => hadal.flip(x, 1),
    ([a, b]) => [a!, 2 - b!],
  ),
  moved(
    'flip',
    'all axes',
    [2, 3],
    [2, 3],
    (x) => hadal.flip(x),
    ([a, b]) => [1 - a!, 2 - b!],
  ),
  moved(
    'tril',
    'on the diagonal',
    [2, 3, 3],
    [2, 3, 3],
    (x) => hadal.tril(x),
    ([n, a, b]) => (b! <= a! ? [n!, a!, b!] : 0),
  ),
  moved(
    'tril',
    'below',
    [4, 3],
    [4, 3],
    (x) => hadal.tril(x, -1),
    ([a, b]) => (b! <= a! - 1 ? [a!, b!] : 0),
  ),
  moved(
    'triu',
    'above',
    [3, 4],
    [3, 4],
    (x) => hadal.triu(x, 1),
    ([a, b]) => (b! >= a! + 1 ? [a!, b!] : 0),
  ),
  moved(
    'diag',
    'of a vector',
    [3],
    [4, 4],
    (x) => hadal.diag(x, 1),
    ([a, b]) => (b === a! + 1 ? [a!] : 0),
  ),
  moved(
    'diag',
    'of a matrix',
    [3, 2],
    [2],
    (x) => hadal.diag(x, -1),
    ([i]) => [i! + 1, i!],
  ),
];

const joins: Sample[] = [
  {
    op: 'cat',
    variant: 'three, one of them empty',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype), draw.tensor([2, 0], dtype), draw.tensor([2, 2], dtype)],
    call: (...xs) => hadal.cat(xs, 1),
    reference: (a, _, b) => generated([2, 5], ([i, j]) => (j! < 3 ? read(a, [i!, j!]) : read(b, [i!, j! - 3]))),
    order: 2,
  },
  {
    op: 'stack',
    variant: 'along the last axis',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype), draw.tensor([2, 3], dtype)],
    call: (...xs) => hadal.stack(xs, -1),
    reference: (a, b) => generated([2, 3, 2], ([i, j, k]) => read(k === 0 ? a : b, [i!, j!])),
    order: 2,
  },
  ...(
    [
      ['split', (x) => hadal.split(x, 2, 1)],
      ['chunk', (x) => hadal.chunk(x, 3, 1)],
    ] as [string, (x: AnyTensor) => AnyTensor[]][]
  ).map(([op, call]): Sample => ({
    op,
    variant: 'pieces of two, the last of one',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 5], dtype)],
    call: (x) => call(x),
    reference: (x) =>
      [0, 2, 4].map((start) => generated([2, Math.min(2, 5 - start)], ([i, j]) => read(x, [i!, start + j!]))),
    order: 2,
  })),
  {
    op: 'tensorSplit',
    variant: 'two pieces of five',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 5], dtype)],
    call: (x) => hadal.tensorSplit(x, 2, 1),
    reference: (x) => [0, 3].map((start) => generated([2, start === 0 ? 3 : 2], ([i, j]) => read(x, [i!, start + j!]))),
    order: 2,
  },
  {
    op: 'tensorSplit',
    variant: 'between places, of which one is too far and one before the other',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([2, 5], dtype)],
    call: (x) => hadal.tensorSplit(x, [-2, 9, 4], 1),
    reference: (x) =>
      [
        [0, 3],
        [3, 2],
        [5, 0],
        [4, 1],
      ].map(([start, size]) => generated([2, size!], ([i, j]) => read(x, [i!, start! + j!]))),
    order: 2,
  },
  {
    op: 'unravelIndex',
    variant: 'three axes',
    dtypes: ['int64', 'int32'],
    inputs: (draw, dtype) => [draw.tensor([3, 5], dtype, 0, 23)],
    call: (index) => hadal.unravelIndex(index as Index, [2, 3, 4]),
    reference: ({ shape, values }) => [
      { shape, values: values.map((value) => Math.floor(value / 12)) },
      { shape, values: values.map((value) => Math.floor(value / 4) % 3) },
      { shape, values: values.map((value) => value % 4) },
    ],
    result: () => 'int64',
    order: 0,
  },
  {
    op: 'unbind',
    variant: 'columns',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 2], dtype)],
    call: (x) => hadal.unbind(x, 1) as AnyTensor[],
    reference: (x) => [0, 1].map((j) => generated([3], ([i]) => read(x, [i!, j]))),
    order: 2,
  },
  ...everyDType.map((to): Sample => ({
    op: 'cast',
    variant: `to ${to}`,
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 3], dtype, 0, 5)],
    call: (x) => hadal.cast(x, to),
    reference: (x) =>
      mapped((value) => (to === 'bool' ? Number(value !== 0) : isFloat(to) ? value : Math.trunc(value)), x),
    result: () => to,
    order: to === 'float64' ? 2 : 0,
  })),
];

// A sum is rounded to 16 bits after every term, and terms of either sign cancel.
const summed = { float16: { rtol: 1e-3, atol: 4e-3 }, bfloat16: { rtol: 1.6e-2, atol: 3.2e-2 } };

interface Addressing {
  readonly op: string;
  readonly variant: string;
  readonly dtypes?: readonly DType[];
  readonly inputs: (draw: Draw, dtype: DType) => AnyTensor[];
  readonly call: (...xs: AnyTensor[]) => AnyTensor;
  readonly reference: (...xs: Plain[]) => Plain;
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
}
/** x with `source` added where `place` leads, in row-major order. */
function added(x: Plain, source: Plain, shape: Shape, place: (position: number[]) => readonly number[]): Plain {
  const values = [...x.values];
  generated(shape, (position) => (values[ravel(place(position), x.shape)]! += read(source, position)));
  return { shape: x.shape, values };
}
export const at = (position: readonly number[], axis: number, value: number): number[] =>
  position.map((p, a) => (a === axis ? value : p));

const addressing: Addressing[] = [
  ...([0, 1] as const).map((axis): Addressing => ({
    op: 'gather',
    variant: `axis ${axis}`,
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), draw.index(axis === 0 ? [5, 4] : [2, 6], axis === 0 ? 3 : 4)],
    call: (x, index) => hadal.gather(x, axis, index as Index),
    reference: (x, index) => generated(index.shape, (position) => read(x, at(position, axis, read(index, position)))),
  })),
  ...([0, 1] as const).map((axis): Addressing => ({
    op: 'scatterAdd',
    // Sums of up to three elements are rounded after each addition, so a small sum keeps the error of its large terms.
    tolerance: { float16: { rtol: 1e-3, atol: 1e-3 }, bfloat16: { rtol: 1.6e-2, atol: 1e-2 } },
    variant: `axis ${axis}, some places twice`,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), draw.index([3, 3], 3), draw.tensor([3, 4], dtype)],
    call: (x, index, source) => hadal.scatterAdd(x, axis, index as Index, source),
    reference: (x, index, source) =>
      added(x, source, index.shape, (position) => at(position, axis, read(index, position))),
  })),
  {
    op: 'indexSelect',
    variant: 'int32 index, rows twice',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), draw.index([5], 4, 'int32')],
    call: (x, index) => hadal.indexSelect(x, 1, index as Index),
    reference: (x, index) => generated([3, 5], ([i, j]) => read(x, [i!, index.values[j!]!])),
  },
  {
    op: 'indexAdd',
    variant: 'rows twice',
    tolerance: summed,
    inputs: (draw, dtype) => [draw.tensor([3, 4], dtype), draw.index([5], 3), draw.tensor([5, 4], dtype)],
    call: (x, index, source) => hadal.indexAdd(x, 0, index as Index, source),
    reference: (x, index, source) => added(x, source, source.shape, ([i, j]) => [index.values[i!]!, j!]),
  },
  {
    op: 'embedding',
    variant: 'rows',
    dtypes: everyDType,
    inputs: (draw, dtype) => [draw.tensor([4, 3], dtype), draw.index([2, 3], 4)],
    call: (weight, index) => hadal.embedding(weight, index as Index),
    reference: (weight, index) => generated([2, 3, 3], ([i, j, k]) => read(weight, [read(index, [i!, j!]), k!])),
  },
  {
    op: 'oneHot',
    variant: 'vector',
    dtypes: ['int64', 'int32'],
    inputs: (draw, dtype) => [draw.index([4], 3, dtype as 'int32')],
    call: (index) => hadal.oneHot(index as Index, 3, { dtype: 'int64' }).cast(index.dtype),
    reference: (index) => generated([4, 3], ([i, c]) => Number(index.values[i!] === c)),
  },
];

export const samples: Sample[] = [
  ...views,
  ...moves,
  ...joins,
  ...addressing.map((a): Sample => ({ dtypes: numbers, order: a.op === 'oneHot' ? 0 : 2, ...a })),
];
