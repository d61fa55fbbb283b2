// Copies of permuted views against loops in JavaScript: rows of few elements, which move as one, of every width, from even and odd places.
import { tensor, type AnyTensor } from 'hadal';

const typedArrays = { uint8: Uint8Array, int16: Int16Array, float32: Float32Array, float64: Float64Array };
type Width = keyof typeof typedArrays;

/** A view of a shape, of 0, 1, … modulo 251: `skipped` elements lie before it, and `left` behind each row. */
function counted(dtype: Width, shape: readonly number[], skipped: number, left: number): AnyTensor {
  const whole = [...shape.slice(0, -1), shape.at(-1)! + left];
  const size = whole.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size + skipped }, (_, i) => (i + 251 - skipped) % 251);
  return tensor(new typedArrays[dtype](values))
    .slice(0, skipped)
    .reshape(whole)
    .narrow(-1, 0, shape.at(-1)!) as AnyTensor;
}

function permuted(shape: readonly number[], order: readonly number[], left: number): number[] {
  const whole = [...shape.slice(0, -1), shape.at(-1)! + left];
  const strides = whole.map((_, axis) => whole.slice(axis + 1).reduce((a, b) => a * b, 1));
  const walk = (depth: number, offset: number): number[] => {
    if (depth === order.length) return [offset % 251];
    const axis = order[depth]!;
    return Array.from({ length: shape[axis]! }, (_, i) => walk(depth + 1, offset + i * strides[axis]!)).flat();
  };
  return walk(0, 0);
}

const patches = (size: number): [readonly number[], readonly number[]] => [
  [2, 5, 3, size, 9, size],
  [0, 2, 4, 1, 3, 5],
];
const cases: [readonly number[], readonly number[]][] = [
  ...[1, 2, 3, 4, 6, 8].map(patches),
  // Back from patches, and channels into pixels.
  [[2, 3, 9, 5, 2, 2], [0, 3, 1, 4, 2, 5]], // prettier-ignore
  [[2, 3, 9, 5, 4, 4], [0, 3, 1, 4, 2, 5]], // prettier-ignore
  [[2, 4, 2, 2, 7, 11], [0, 1, 4, 2, 5, 3]], // prettier-ignore
  // Transposes, of pairs too.
  [[70, 33], [1, 0]], // prettier-ignore
  [[70, 33, 2], [1, 0, 2]], // prettier-ignore
  [[9, 12, 4], [1, 0, 2]], // prettier-ignore
  [[3, 40, 2], [2, 0, 1]], // prettier-ignore
  [[300, 2], [1, 0]], // prettier-ignore
];

const places = [0, 1, 2].flatMap((skipped) => [0, 1].map((left) => [skipped, left] as const));

describe.each(Object.keys(typedArrays) as Width[])('%s', (dtype) => {
  test.each(cases)('%j in the order %j', async (shape, order) => {
    for (const [skipped, left] of places) {
      const expected = permuted(shape, order, left);
      const view = counted(dtype, shape, skipped, left).permute(order) as AnyTensor;
      expect(Array.from((await view.contiguous().data()) as ArrayLike<number>)).toEqual(expected);
      // Written in another order than row-major.
      const target = tensor(new typedArrays[dtype](view.size)).reshape(order.map((axis) => shape[axis]!)) as AnyTensor;
      const inverse = order.map((_, axis) => order.indexOf(axis));
      (target.permute(inverse) as AnyTensor).copy_(counted(dtype, shape, skipped, left));
      expect(Array.from((await target.data()) as ArrayLike<number>)).toEqual(expected);
    }
  });
});
