// Ops that move elements: to other places, together, apart, and back where several meet.
import * as hadal from '../../../../lib/index';
import type { AnyTensor } from '../../../../lib/index';
import { ops, type Kind } from '../call';

const { cat, embedding, embeddingBag, flip, pad, roll, scatterReduce, segmentSum, stack, tile, tril } = ops;

export const movement: Readonly<Record<string, Kind>> = {
  cat(chance) {
    const shape = chance.shape(4, 0.25);
    const axis = chance.between(0, shape.length - 1);
    const other = shape.with(axis, chance.size(30));
    return {
      inputs: [chance.normal(...shape), chance.normal(...other)],
      f: (x, y) => cat([x, y, x], axis),
      options: axis,
      roundings: 2,
    };
  },
  stack(chance) {
    const shape = chance.shape(3, 0.25);
    const axis = chance.between(0, shape.length);
    return {
      inputs: [chance.normal(...shape), chance.normal(...shape)],
      f: (x, y) => stack([x, y], axis),
      options: axis,
    };
  },
  'axes in another order'(chance) {
    const shape = chance.shape();
    const order = [...shape.keys()].sort(() => chance.between(0, 1) - 0.5);
    return { inputs: [chance.normal(...shape)], f: (x) => x.permute(order).contiguous(), options: order };
  },
  'a slice'(chance) {
    const shape = chance.shape();
    const axis = chance.between(0, shape.length - 1);
    const start = chance.between(0, shape[axis]! - 1);
    const options = { start, end: chance.between(start + 1, shape[axis]!), step: chance.pick(1, 1, 2, 3) };
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => x.slice(axis, options.start, options.end, options.step).mul(2),
      options: { axis, ...options },
    };
  },
  pad(chance) {
    const shape = chance.shape(3, 0.3);
    const mode = chance.pick('constant', 'reflect', 'replicate', 'circular');
    const axes = chance.between(1, Math.min(2, shape.length));
    const sides = shape.slice(-axes).map((size) => [0, 1].map(() => chance.between(0, Math.min(5, size - 1))));
    const rank = axes + 2;
    const x = chance
      .normal(...shape)
      .reshape([...Array.from({ length: Math.max(0, rank - shape.length) }, () => 1), ...shape]) as AnyTensor;
    return { inputs: [x], f: (image) => pad(image, sides, { mode }), options: { mode, sides }, roundings: 2 };
  },
  'turns and flips'(chance) {
    const shape = chance.shape();
    const axis = chance.between(0, shape.length - 1);
    const shift = chance.between(-3, shape[axis]!);
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => flip(roll(x, shift, axis), [axis]),
      options: { axis, shift },
    };
  },
  tile(chance) {
    const shape = chance.shape(3, 0.05);
    const times = shape.map(() => chance.between(1, 3));
    return { inputs: [chance.normal(...shape)], f: (x) => tile(x, times), options: times, roundings: 2 };
  },
  'a triangle'(chance) {
    const shape = [...chance.shape(2, 0.01), chance.size(60), chance.size(60)];
    const diagonal = chance.between(-5, 5);
    return { inputs: [chance.normal(...shape)], f: (x) => tril(x, diagonal), options: diagonal };
  },
  embedding(chance) {
    const [rows, width] = [chance.size(400), chance.size(200)] as const;
    const places = chance.below(rows, ...chance.shape(2, 1 / 256));
    return {
      inputs: [chance.normal(rows, width)],
      f: (table) => embedding(table, places.to(table.device)),
      roundings: 2,
    };
  },
  'bags of rows'(chance) {
    const [rows, width, bags, size] = [chance.size(400), chance.size(200), chance.size(40), chance.size(20)] as const;
    const mode = chance.pick('sum', 'mean');
    const isCut = chance.happens(0.5);
    const places = chance.below(rows, ...(isCut ? [bags * size] : [bags, size]));
    // Some bags have nothing, others twice as much.
    const offsets = isCut
      ? hadal
          .arange(bags, { dtype: 'int64' })
          .div(2)
          .floor()
          .mul(2 * size)
          .cast('int64')
      : undefined;
    return {
      inputs: [chance.normal(rows, width)],
      f: (table) =>
        embeddingBag(table, places.to(table.device), { mode, ...(offsets && { offsets: offsets.to(table.device) }) }),
      options: { mode, bags, size, isCut },
      roundings: 2,
    };
  },
  'an index'(chance) {
    const shape = chance.shape(3, 0.3);
    const axis = chance.between(0, shape.length - 1);
    const places = chance.below(shape[axis]!, chance.size(60));
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => x.indexSelect(axis, places.to(x.device)),
      options: axis,
      roundings: 2,
    };
  },
  gather(chance) {
    const shape = chance.shape(3, 0.2);
    const axis = chance.between(0, shape.length - 1);
    const places = chance.below(shape[axis]!, ...shape.with(axis, chance.size(50)));
    return {
      inputs: [chance.normal(...shape)],
      f: (x) => x.gather(axis, places.to(x.device)),
      options: axis,
      roundings: 2,
    };
  },
  'sums at places'(chance) {
    const shape = chance.shape(3, 0.2);
    const axis = chance.between(0, shape.length - 1);
    const values = shape.with(axis, chance.size(50));
    const places = chance.below(shape[axis]!, ...values);
    const f = (x: AnyTensor, y: AnyTensor): AnyTensor => x.scatterAdd(axis, places.to(x.device), y);
    return { inputs: [chance.normal(...shape), chance.normal(...values)], f, options: axis, roundings: 2 };
  },
  'means at places'(chance) {
    const shape = chance.shape(2, 0.2);
    const places = chance.below(shape[0]!, ...shape);
    const f = (x: AnyTensor, y: AnyTensor): AnyTensor => scatterReduce(x, 0, places.to(x.device), y, 'mean');
    return { inputs: [chance.normal(...shape), chance.normal(...shape)], f, roundings: 4 };
  },
  'sums of segments'(chance) {
    const [rows, width, segments] = [chance.size(400), chance.size(40), chance.size(50)] as const;
    const places = chance.below(segments, rows);
    return {
      inputs: [chance.normal(rows, width)],
      f: (x) => segmentSum(x, places.to(x.device), segments),
      options: segments,
      roundings: 2,
    };
  },
};
