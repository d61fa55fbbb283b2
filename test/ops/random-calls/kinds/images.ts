// Ops of images: pooling, sizes, patches, places between pixels.
import { ops, type Kind } from '../call';
import { count } from '../chance';

const { adaptiveAvgPool2d, adaptiveMaxPool2d, gridSample, interpolate, pixelShuffle, pixelUnshuffle, unfold } = ops;

export const images: Readonly<Record<string, Kind>> = {
  pooling(chance) {
    const rank = chance.between(1, 3);
    const planes = Array.from({ length: rank }, () => chance.size(40));
    const shape = [chance.size(8), chance.size(40), ...planes];
    if (count(shape) > chance.most) return;
    const kernel = planes.map((size) => Math.min(size, chance.pick(1, 2, 3, 4, 5, 7)));
    const stride = kernel.map((size) => chance.pick(1, 2, 3, size));
    const padding = kernel.map((size) => chance.pick(0, size >> 1));
    const [size, step, sides] = [kernel, stride, padding].map((each) => (rank === 1 ? each[0] : each));
    const op = `${chance.pick('maxPool', 'avgPool')}${rank}d` as 'maxPool1d';
    const options = { stride: step, padding: sides };
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => ops[op](x, size, options),
      options: { op, size, ...options },
      roundings: 4,
    };
  },
  'adaptive pooling'(chance) {
    const shape = [chance.size(6), chance.size(40), chance.size(50), chance.size(50)];
    if (count(shape) > chance.most) return;
    const size = [chance.size(20), chance.size(20)];
    const op = chance.pick(adaptiveAvgPool2d, adaptiveMaxPool2d);
    return { inputs: [chance.normal(...shape)], f: (x) => op(x, size), options: { op: op.name, size }, roundings: 4 };
  },
  interpolation(chance) {
    const shape = [chance.size(6), chance.size(40), chance.size(40), chance.size(40)];
    const size = [chance.size(60), chance.size(60)];
    if (count(shape) > chance.most || shape[0]! * shape[1]! * count(size) > chance.most) return;
    const mode = chance.pick('nearest', 'bilinear', 'bicubic');
    const options = { size, mode, antialias: mode !== 'nearest' && chance.happens(0.5) };
    return { inputs: [chance.normal(...shape)], f: (x) => interpolate(x, options), options, roundings: 2 };
  },
  patches(chance) {
    const shape = [chance.size(6), chance.size(20), 4 + chance.size(40), 4 + chance.size(40)];
    if (count(shape) > chance.most / 4) return;
    const kernel = chance.pick(2, 3, 4);
    const options = { stride: chance.pick(1, 2, kernel), padding: chance.pick(0, 1) };
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => unfold(x, kernel, options),
      options: { kernel, ...options },
      roundings: 2,
    };
  },
  'pixels and channels'(chance) {
    const factor = chance.pick(2, 3);
    const [batch, channels, height, width] = [6, 12, 20, 20].map((most) => chance.size(most)) as [
      number,
      number,
      number,
      number,
    ];
    const isShuffle = chance.happens(0.5);
    const shape = isShuffle
      ? [batch, channels * factor ** 2, height, width]
      : [batch, channels, height * factor, width * factor];
    const op = isShuffle ? pixelShuffle : pixelUnshuffle;
    return { inputs: [chance.normal(...shape)], f: (x) => op(x, factor), options: { op: op.name, factor } };
  },
  'places between pixels'(chance) {
    const [batch, channels] = [chance.size(5), chance.size(20)] as const;
    const [height, width, rows, columns] = [40, 40, 30, 30].map((most) => 1 + chance.size(most)) as [
      number,
      number,
      number,
      number,
    ];
    const grid = chance.normal(batch, rows, columns, 2).mul(0.7);
    const options = { padding: chance.pick('zeros', 'border', 'reflection'), alignCorners: chance.pick(true, false) };
    return {
      inputs: [chance.normal(batch, channels, height, width)],
      f: (x) => gridSample(x, grid.to(x.device).cast(x.dtype), options),
      options,
      // In 16 bits a place is off by up to a tenth of a pixel.
      dtypes: ['float32'],
      roundings: 2,
    };
  },
};
