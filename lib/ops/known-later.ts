/**
 * Results whose size only the device knows, such as the elements that a mask picks. A function makes what counts them and what builds them
 * from that number; its two public forms read the number with and without blocking.
 */
import type { AnyTensor } from '../tensor/tensor';

export interface KnownLater<T> {
  /** A tensor of one element: the size. */
  readonly count: AnyTensor;
  readonly build: (count: number) => T;
}

/** The result, once the device has told its size. */
export async function later<T>({ count, build }: KnownLater<T>): Promise<T> {
  return build(await count.item());
}

/** The same, but blocks the thread. */
export function now<T>({ count, build }: KnownLater<T>): T {
  return build(count.itemSync());
}
