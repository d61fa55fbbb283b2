// Convolutions of any rank, in whatever form each is computed. Of float64 each is computed tap by tap.
import { ops, type Kind } from '../call';
import { count } from '../chance';

const convolution: Kind = (chance) => {
  const rank = chance.pick<1 | 2 | 3>(1, 2, 2, 2, 3);
  const isTransposed = chance.happens(0.3);
  const groups = chance.pick(1, 1, 1, 1, 2, 5);
  const [from, to] = [1, 2].map(() => groups * chance.pick(1, 2, 3, 8, 16, 17, 32, 64)) as [number, number];
  const each = <T>(f: () => T): T[] => Array.from({ length: rank }, f);
  const kernel = chance.happens(0.3) ? each(() => 3) : each(() => chance.pick(1, 2, 3, 4, 5));
  const isPatches = chance.happens(0.2);
  const stride = isPatches ? kernel : chance.happens(0.5) ? each(() => 1) : each(() => chance.pick(1, 2, 3));
  const dilation = isPatches ? 1 : chance.pick(1, 1, 2);
  const padding = kernel.map((size) => (isPatches ? 0 : chance.pick(0, size >> 1)));
  const planes = each(() => chance.pick(1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 28));
  const batch = chance.pick(1, 2, 3, 8, 17, 32, 64, 128);
  const pixels = batch * count(planes);
  // What is left of a plane between the first tap's place and the last's; transposed, of what it becomes between its edges.
  const left = (size: number, i: number): number => {
    const [reach, edges] = [dilation * (kernel[i]! - 1), 2 * padding[i]!];
    return isTransposed ? (size - 1) * stride[i]! + reach - edges : size + edges - reach - 1;
  };
  if (!planes.every((size, i) => left(size, i) >= 0)) return;
  if (
    (pixels * from * to * count(kernel)) / groups > 100 * chance.most ||
    pixels * Math.max(from, to) > 2 * chance.most
  )
    return;
  const op = `conv${isTransposed ? 'Transpose' : ''}${rank}d` as const;
  const [perAxis, sides] = rank === 1 ? [stride[0], padding[0]] : [stride, padding];
  const options = { stride: perAxis, padding: sides, dilation, groups };
  return {
    inputs: [
      chance.normal(batch, from, ...planes),
      chance.normal(...(isTransposed ? [from, to / groups] : [to, from / groups]), ...kernel),
    ],
    f: (x, weight) => ops[op](x, weight, undefined, options),
    options: { op, ...options },
    // Winograd's form has larger terms.
    roundings: 2,
  };
};

const depthwise: Kind = (chance) => {
  const channels = chance.size(60);
  const [size, stride] = [chance.pick(3, 5, 7), chance.pick(1, 2)];
  const x = [chance.size(10), channels, chance.size(40), chance.size(40)];
  if (count(x) > chance.most) return;
  const options = { groups: channels, padding: size >> 1, stride };
  return {
    inputs: [chance.normal(...x), chance.normal(channels, 1, size, size)],
    f: (image, weight) => ops.conv2d(image, weight, undefined, options),
    options,
    roundings: 2,
  };
};

export const convolutions: Readonly<Record<string, Kind>> = { convolution, 'depthwise convolution': depthwise };
