/** The two orders of an image's axes. */
import type { AnyTensor } from '../tensor/tensor';

/** Images [n, c, h, w] as [n, h, w, c]. */
export const channelsLast = (x: AnyTensor): AnyTensor => x.permute([0, 2, 3, 1]);

/** Images [n, h, w, c] as [n, c, h, w]. */
export const channelsFirst = (x: AnyTensor): AnyTensor => x.permute([0, 3, 1, 2]);
