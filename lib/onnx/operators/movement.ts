/** Operators that move elements: shapes, joins, pads, and what is picked or put by place. */
import * as ops from '../../ops';
import { broadcastShapes, sizeOf } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator, type Outputs } from '../call';
import { Known, mostKnown } from '../value';
import {
  axesOf,
  axisOf,
  concatenated,
  resolvedShape,
  sliceRuns,
  splitSizes,
  squeezedShape,
  unsqueezedShape,
} from './shapes';

const reshape = (call: Call, shape: readonly number[]): AnyTensor => call.tensor(0).reshape(shape);

function slice(call: Call): AnyTensor {
  let x = call.tensor(0);
  for (const { axis, start, step, count } of sliceRuns(call, x.shape)) {
    if (step > 0) {
      x = x.slice(axis, start, start + step * (count - 1) + (count > 0 ? 1 : 0), step);
      if (count === 0) x = x.narrow(axis, 0, 0);
      continue;
    }
    const first = start + step * (count - 1);
    x = count === 0 ? x.narrow(axis, 0, 0) : x.slice(axis, first, start + 1, -step).flip([axis]);
  }
  return x;
}

function split(call: Call): Outputs {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  return outputs(...(ops.split(x, splitSizes(call, x.shape, axis) as number[], axis) as AnyTensor[]));
}

function transpose(call: Call): AnyTensor {
  const perm = call.ints('perm');
  return call.tensor(0).permute(perm === undefined ? undefined : perm);
}

function flatten(call: Call): AnyTensor {
  const { shape } = call.tensor(0);
  const axis = call.int('axis', 1);
  const at = axis === shape.length ? axis : axisOf(call, axis, shape);
  return reshape(call, [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))]);
}

function tile(call: Call): AnyTensor {
  const x = call.tensor(0);
  if (call.version >= 6) return ops.tile(x, call.known(1));
  const axis = call.knownScalar(2);
  return ops.tile(
    x,
    x.shape.map((_, i) => (i === axis ? call.knownScalar(1) : 1)),
  );
}

const padModes = { constant: 'constant', reflect: 'reflect', edge: 'replicate', wrap: 'circular' } as const;

function pad(call: Call): AnyTensor {
  const x = call.tensor(0);
  const pads = (call.version < 11 ? call.ints(call.version < 2 ? 'paddings' : 'pads', []) : call.known(1)).slice();
  const value = call.version < 11 ? call.float('value', 0) : call.knownScalar(2, 0);
  const axes = axesOf(call, call.knownOptional(3) ?? x.shape.map((_, axis) => axis), x.shape);
  if (pads.length !== 2 * axes.length) {
    call.refuse('pads', `${pads.length} numbers`, `${2 * axes.length}, two for each axis`);
  }
  const padding = x.shape.map((_, axis): [number, number] => {
    const i = axes.indexOf(axis);
    return i < 0 ? [0, 0] : [pads[i]!, pads[i + axes.length]!];
  });
  const mode = padModes[call.choice('mode', 'constant', 'reflect', 'edge', 'wrap')];
  if (mode === 'constant' && x.dtype === 'bool') return x.cast('uint8').pad(padding, { value }).cast('bool');
  return x.pad(padding, mode === 'constant' ? { value } : { mode });
}

/** Negative places are from the end. */
const placed = (index: AnyTensor, size: number): AnyTensor =>
  ops.where(index.less(0), index.add(size), index).cast(index.dtype);

/** Places along an axis as a tensor of int64, none negative. */
function placesOf(call: Call, i: number, size: number): AnyTensor {
  const value = call.value(i);
  if (!(value instanceof Known)) return placed(call.tensor(i), size);
  const places = value.values.map((place) => (place < 0 ? place + size : place));
  return places.every((place, at) => place === value.values[at])
    ? call.tensor(i)
    : new Known(value.dtype, value.shape, places).tensor(call.running.device);
}

const indexed = (index: AnyTensor): AnyTensor =>
  index.dtype === 'int32' || index.dtype === 'int64' ? index : index.cast('int64');

function gather(call: Call): AnyTensor {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  const value = call.value(1);
  if (value instanceof Known && value.shape.length === 0) return x.select(axis, value.values[0]!);
  const index = indexed(placesOf(call, 1, x.shape[axis]!));
  if (axis === 0 && x.rank === 2) return ops.embedding(x, index);
  const picked = x.indexSelect(axis, index.reshape([-1]));
  return picked.reshape([...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)]);
}

function gatherElements(call: Call): AnyTensor {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  return ops.gather(x, axis, indexed(placesOf(call, 1, x.shape[axis]!)));
}

/** Places [..., depth] in the leading axes of a shape as places in these taken as one. */
function flatPlaces(call: Call, index: AnyTensor, sizes: readonly number[]): AnyTensor {
  const strides = sizes.map((_, axis) => sizeOf(sizes.slice(axis + 1)));
  const parts = sizes.map((size, axis) => placed(index.select(-1, axis), size).mul(strides[axis]!));
  if (parts.length > 0) return parts.reduce((a, b) => a.add(b));
  return ops.zeros(index.shape.slice(0, -1), { dtype: 'int64', device: index.device });
}

function gatherND(call: Call): AnyTensor {
  const x = call.tensor(0);
  const index = indexed(call.tensor(1));
  const batches = call.int('batch_dims', 0);
  const depth = index.shape.at(-1)!;
  const sizes = x.shape.slice(batches, batches + depth);
  const rest = x.shape.slice(batches + depth);
  const count = sizeOf(x.shape.slice(0, batches));
  const within = flatPlaces(call, index, sizes).reshape([count, -1]);
  const starts = ops.arange(count, { dtype: index.dtype as 'int64', device: index.device }).mul(sizeOf(sizes));
  const flat = x.reshape([count * sizeOf(sizes), ...rest]);
  const places = within.add(starts.unsqueeze(1)).reshape([-1]);
  return flat.indexSelect(0, places).reshape([...index.shape.slice(0, -1), ...rest]);
}

const reductions = { add: 'sum', mul: 'prod', max: 'amax', min: 'amin' } as const;

/** x with `source` put, or combined with what is there, at `index` along an axis. */
function scatterInto(call: Call, x: AnyTensor, axis: number, index: AnyTensor, source: AnyTensor): AnyTensor {
  const reduction = call.choice('reduction', 'none', 'add', 'mul', 'max', 'min');
  if (reduction === 'none') return ops.scatter(x, axis, index, source);
  if (reduction === 'add') return ops.scatterAdd(x, axis, index, source);
  return ops.scatterReduce(x, axis, index, source, reductions[reduction]);
}

function scatterElements(call: Call): AnyTensor {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  return scatterInto(call, x, axis, indexed(placesOf(call, 1, x.shape[axis]!)), call.tensor(2));
}

function scatterND(call: Call): AnyTensor {
  const x = call.tensor(0);
  const index = indexed(call.tensor(1));
  const depth = index.shape.at(-1)!;
  const rows = sizeOf(x.shape.slice(0, depth));
  const width = sizeOf(x.shape.slice(depth));
  const places = flatPlaces(call, index, x.shape.slice(0, depth)).reshape([-1, 1]);
  const source = call.tensor(2).reshape([places.shape[0]!, width]);
  const flat = x.reshape([rows, width]);
  const spread = places.expand([places.shape[0]!, width]);
  return scatterInto(call, flat, 0, spread, source).reshape(x.shape);
}

function depthToSpace(call: Call): AnyTensor {
  const x = call.tensor(0);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const b = call.int('blocksize');
  const d = c / (b * b);
  const byColumn = call.choice('mode', 'DCR', 'CRD') === 'DCR';
  const parts = x.reshape(byColumn ? [n, b, b, d, h, w] : [n, d, b, b, h, w]);
  return parts.permute(byColumn ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]).reshape([n, d, h * b, w * b]);
}

function spaceToDepth(call: Call): AnyTensor {
  const x = call.tensor(0);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const b = call.int('blocksize');
  const parts = x.reshape([n, c, h / b, b, w / b, b]);
  return parts
    .permute(call.choice('mode', 'DCR', 'CRD') === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4])
    .reshape([n, c * b * b, h / b, w / b]);
}

/** The first `lengths[b]` elements of each sequence in reverse order. */
export function reversed(x: AnyTensor, lengths: AnyTensor, time: number, batch: number): AnyTensor {
  const device = x.device;
  const steps = ops.arange(x.shape[time]!, { dtype: 'int64', device });
  const length = lengths.cast('int64').unsqueeze(1);
  const back = ops.where(steps.less(length), length.sub(1).sub(steps), steps); // [batch, time]
  const ordered = time < batch ? back.transpose(0, 1) : back;
  const shape = x.shape.map((size, axis) => (axis === time || axis === batch ? size : 1));
  return ops.gather(x, time, ordered.reshape(shape).expand(x.shape));
}

function centerCropPad(call: Call): AnyTensor {
  const x = call.tensor(0);
  const sizes = call.known(1);
  const axes = axesOf(call, call.ints('axes') ?? x.shape.map((_, axis) => axis), x.shape);
  const padding = x.shape.map((size, axis): [number, number] => {
    const i = axes.indexOf(axis);
    const more = i < 0 ? 0 : sizes[i]! - size;
    // What is cut or added is split in two, rounded towards the start where it is cut.
    const before = more < 0 ? -Math.floor(-more / 2) : Math.floor(more / 2);
    return [before, more - before];
  });
  return x.pad(padding);
}

function compress(call: Call): AnyTensor {
  const whole = call.tensor(0);
  const isFlat = !call.attributes.protos.has('axis');
  const x = isFlat ? whole.reshape([-1]) : whole;
  const axis = isFlat ? 0 : axisOf(call, call.int('axis'), x.shape);
  const condition = call.value(1);
  if (condition instanceof Known) {
    const places = condition.values.flatMap((value, i) => (value === 0 ? [] : [i]));
    return x.indexSelect(axis, Known.of('int64', [places.length], places).tensor(x.device));
  }
  const places = ops.nonzeroSync(call.tensor(1)).reshape([-1]);
  return x.indexSelect(axis, places);
}

function expand(call: Call): AnyTensor {
  const x = call.tensor(0);
  return x.expand(broadcastShapes(call.what, x.shape, call.known(1)));
}

function shape(call: Call): Known {
  const sizes = call.shape(0);
  const end = call.attributes.protos.has('end') ? call.int('end') : sizes.length;
  const part = sizes.slice(call.int('start', 0), end);
  return new Known('int64', [part.length], part);
}

const trilu: Operator = (call) => {
  const x = call.tensor(0);
  const offset = call.knownScalar(1, 0);
  return call.int('upper', 1) === 0 ? ops.tril(x, offset) : ops.triu(x, offset);
};

function nonZero(call: Call): AnyTensor | Known {
  const value = call.value(0);
  if (value instanceof Known && value.size * value.shape.length <= mostKnown && value.shape.length > 0) {
    const places = value.values.flatMap((each, i) => (each === 0 ? [] : [i]));
    const rows = value.shape.map((size, axis) => {
      const stride = sizeOf(value.shape.slice(axis + 1));
      return places.map((place) => Math.floor(place / stride) % size);
    });
    return new Known('int64', [rows.length, places.length], rows.flat());
  }
  return ops.nonzeroSync(call.tensor(0)).transpose(0, 1);
}

function unique(call: Call): Outputs {
  const x = call.tensor(0);
  const axis = call.attributes.protos.has('axis') ? axisOf(call, call.int('axis'), x.shape) : undefined;
  const { values, inverse, counts } = ops.uniqueSync(x, axis === undefined ? {} : { axis }) as unknown as Record<
    string,
    AnyTensor
  >;
  const count = counts!.shape[0]!;
  const from = inverse!.reshape([-1]);
  const places = ops.arange(from.shape[0]!, { dtype: 'int64', device: x.device });
  const limit = ops.full([count], from.shape[0]!, { dtype: 'int64', device: x.device });
  const first = ops.scatterReduce(limit, 0, from, places, 'amin');
  if (call.int('sorted', 1) !== 0) return outputs(values, first, from, counts);
  const order = ops.argsort(first) as unknown as AnyTensor;
  const rank = ops.argsort(order) as unknown as AnyTensor;
  return outputs(
    values!.indexSelect(axis ?? 0, order) as AnyTensor,
    first.indexSelect(0, order) as AnyTensor,
    rank.indexSelect(0, from) as AnyTensor,
    counts!.indexSelect(0, order) as AnyTensor,
  );
}

function tensorScatter(call: Call): AnyTensor {
  const x = call.tensor(0);
  const update = call.tensor(1);
  const axis = axisOf(call, call.int('axis', -2), x.shape);
  const size = x.shape[axis]!;
  const steps = ops.arange(update.shape[axis]!, { dtype: 'int64', device: x.device });
  const starts = call.optional(2)?.cast('int64') ?? ops.zeros([x.shape[0]!], { dtype: 'int64', device: x.device });
  const places = starts.unsqueeze(1).add(steps);
  const kept = call.choice('mode', 'linear', 'circular') === 'circular' ? places.remainder(size) : places;
  const index = kept.reshape(x.shape.map((_, i) => (i === 0 ? x.shape[0]! : i === axis ? update.shape[axis]! : 1)));
  return ops.scatter(x, axis, index.expand(update.shape), update);
}

export const movement: Readonly<Record<string, Operator>> = {
  CenterCropPad: knowing([1], centerCropPad),
  Compress: knowing([1], compress),
  Concat: (call) => {
    const inputs = call.tensors();
    return ops.cat(inputs, concatenated(call, inputs).axis);
  },
  DepthToSpace: depthToSpace,
  Expand: knowing([1], expand),
  Flatten: flatten,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  NonZero: nonZero,
  Pad: knowing([1, 2, 3], pad),
  Reshape: knowing([1], (call) => reshape(call, resolvedShape(call, call.tensor(0).shape))),
  ReverseSequence: (call) =>
    reversed(call.tensor(0), call.tensor(1), call.int('time_axis', 0), call.int('batch_axis', 1)),
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  Shape: shape,
  Size: (call) => new Known('int64', [], [sizeOf(call.shape(0))]),
  Slice: knowing([1, 2, 3, 4], slice),
  SpaceToDepth: spaceToDepth,
  Split: knowing([1], split),
  Squeeze: knowing([1], (call) => reshape(call, squeezedShape(call, call.tensor(0).shape))),
  TensorScatter: tensorScatter,
  Tile: knowing([1, 2], tile),
  Transpose: transpose,
  Trilu: knowing([1], trilu),
  Unique: unique,
  Unsqueeze: knowing([1], (call) => reshape(call, unsqueezedShape(call, call.tensor(0).shape))),
};
