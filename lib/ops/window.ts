/** What convolution and pooling share: sizes of windows in one to three spatial axes, and how many windows an axis has room for. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';

/** One number, of an axis. */
export type Single = number | readonly [number];
/** One number for both spatial axes, or `[height, width]`. */
export type Pair = number | readonly [number, number];
/** One number for all three spatial axes, or `[depth, height, width]`. */
export type Triple = number | readonly [number, number, number];
/** How many axes of space there are. */
export type SpatialRank = 1 | 2 | 3;

const counts = { 1: 'one integer', 2: 'one or two integers', 3: 'one or three integers' } as const;
const spaces = { 1: 'length', 2: 'h, w', 3: 'd, h, w' } as const;

/** The numbers of `rank` axes, which must be integers of at least `least`. */
export function perAxis(
  op: string,
  name: string,
  value: number | readonly number[] | undefined,
  otherwise: number | readonly number[],
  least: number,
  rank: SpatialRank,
): number[] {
  const given = value ?? otherwise;
  const single: unknown = Array.isArray(given) && given.length === 1 ? given[0] : given;
  const result: unknown = typeof single === 'number' ? new Array<number>(rank).fill(single) : given;
  const valid = (list: unknown): list is readonly number[] =>
    Array.isArray(list) && list.length === rank && list.every((n) => Number.isSafeInteger(n) && n >= least);
  if (!valid(result)) {
    throw new ArgumentError(
      `${op}: ${name}: got ${Array.isArray(given) ? show(given) : shown(given)}, expected ${counts[rank]} of at least ${least}`,
    );
  }
  return [...result];
}

/** x as [n, c, …space]; a missing batch axis is added. */
export function batched(op: string, x: AnyTensor, rank: SpatialRank): AnyTensor {
  if (x.rank === rank + 2) return x;
  if (x.rank === rank + 1) return x.unsqueeze(0);
  const space = spaces[rank];
  throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, ${space}] or [c, ${space}]`);
}

/** The sizes that a window of `extent` takes along an axis of `size`. Throws when it does not fit once. */
export function windowCount(
  op: string,
  size: number,
  extent: number,
  stride: number,
  padding: number,
  ceilMode = false,
): number {
  const room = size + 2 * padding - extent;
  if (room < 0) {
    throw new ShapeError(
      `${op}: window larger than the input: got ${extent}, expected at most ${size + 2 * padding}, padding included`,
    );
  }
  const count = (ceilMode ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  // A last window that begins in the padding after the input is left out.
  return ceilMode && (count - 1) * stride >= size + padding ? count - 1 : count;
}
