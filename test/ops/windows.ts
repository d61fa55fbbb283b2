// Windows over any number of spatial axes, in plain loops: what the references of convolution and pooling are written with.
import { unravel } from './sample';

export interface Window {
  readonly kernel: readonly number[];
  /** The kernel's size unless given. */
  readonly stride?: readonly number[];
  /** Before the first element; as many behind the last, but for `after`. */
  readonly padding?: readonly number[];
  readonly after?: readonly number[];
  readonly dilation?: readonly number[];
  readonly ceil?: boolean;
}

/** How many windows there are along each axis. */
export function places(sizes: readonly number[], w: Window): number[] {
  return sizes.map((size, i) => {
    const stride = (w.stride ?? w.kernel)[i]!;
    const before = w.padding?.[i] ?? 0;
    const room = size + before + (w.after?.[i] ?? before) - (w.dilation?.[i] ?? 1) * (w.kernel[i]! - 1) - 1;
    const count = (w.ceil ? Math.ceil : Math.floor)(room / stride) + 1;
    return w.ceil && (count - 1) * stride >= size + before ? count - 1 : count;
  });
}

/** The positions of the window at `at`: in the kernel, and in the image (perhaps outside it). */
export function positions(at: readonly number[], w: Window): { kernel: number[]; image: number[] }[] {
  const total = w.kernel.reduce((product, size) => product * size, 1);
  return Array.from({ length: total }, (_, flat) => {
    const kernel = unravel(flat, w.kernel);
    const image = kernel.map(
      (k, i) => at[i]! * (w.stride ?? w.kernel)[i]! - (w.padding?.[i] ?? 0) + k * (w.dilation?.[i] ?? 1),
    );
    return { kernel, image };
  });
}

export const inside = (image: readonly number[], sizes: readonly number[]): boolean =>
  image.every((p, i) => p >= 0 && p < sizes[i]!);
