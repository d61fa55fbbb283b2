/** Operators that make tensors: constants, ranges, windows and random numbers. */
import { FormatError } from '../../errors';
import * as ops from '../../ops';
import { sizeOf } from '../../tensor/shapes';
import { isFloat, type DType } from '../../tensor/dtype';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, type Call, type Operator } from '../call';
import { dtypeOf } from '../tensors';
import { Known, mostKnown, type Value } from '../value';

function constant(call: Call): Known {
  const { protos } = call.attributes;
  const tensor = call.constant('value');
  if (tensor !== undefined) return tensor;
  if (protos.has('value_float')) return Known.of('float32', [], [call.float('value_float')]);
  if (protos.has('value_int')) return new Known('int64', [], [call.int('value_int')]);
  if (protos.has('value_floats')) {
    const values = call.floats('value_floats', []);
    return Known.of('float32', [values.length], values);
  }
  if (protos.has('value_ints')) {
    const values = call.ints('value_ints', []);
    return new Known('int64', [values.length], values);
  }
  throw new FormatError(`${call.what}: attributes: got ${[...protos.keys()].join(', ')}, expected value as numbers`);
}

function filled(call: Call, shape: readonly number[], value: number, dtype: DType): Value {
  if (sizeOf(shape) <= mostKnown) return new Known(dtype, shape, new Array<number>(sizeOf(shape)).fill(value));
  return ops.full(shape, value, { dtype, device: call.running.device });
}

function range(call: Call): Value {
  const [start, limit, step] = [0, 1, 2].map((i) => call.knownScalar(i)) as [number, number, number];
  const count = Math.max(Math.ceil((limit - start) / step), 0);
  const { dtype } = call.value(0) as Known;
  if (!Number.isSafeInteger(count)) call.refuse('range', `${start} to ${limit} in steps of ${step}`, 'a finite one');
  if (count <= mostKnown)
    return Known.of(
      dtype,
      [count],
      Array.from({ length: count }, (_, i) => start + i * step),
    );
  const places = ops.arange(count, {
    dtype: isFloat(dtype) ? dtype : 'int64',
    device: call.running.device,
  });
  return places.mul(step).add(start).cast(dtype);
}

const sameDType = (call: Call, x: AnyTensor): DType =>
  call.attributes.protos.has('dtype') ? dtypeOf(call.what, call.int('dtype')) : x.dtype;

function eyeLike(call: Call): AnyTensor {
  const x = call.tensor(0);
  const [rows, columns] = x.shape as [number, number];
  const offset = call.int('k', 0);
  const column = ops.arange(columns, { dtype: 'int64', device: x.device }).sub(offset);
  const row = ops.arange(rows, { dtype: 'int64', device: x.device }).unsqueeze(1);
  return row.equalTo(column).cast(sameDType(call, x));
}

function oneHot(call: Call): AnyTensor {
  const depth = call.knownScalar(1);
  const given = call.tensor(0);
  const index = isFloat(given.dtype) ? given.cast('int64') : given;
  const axis = call.int('axis', -1);
  const classes = ops.arange(depth, { dtype: 'int64', device: index.device });
  // Places from -depth on; others have no one.
  const place = ops.where(index.less(0), index.cast('int64').add(depth), index.cast('int64'));
  const isHot = place.unsqueeze(-1).equalTo(classes).moveAxis(-1, axis);
  const values = call.tensor(2);
  return ops.where(isHot, values.select(0, 1), values.select(0, 0));
}

/** A cosine window a − b·cos 2πi/n + c·cos 4πi/n. */
const cosineWindow = (a: number, b: number, c: number): Operator =>
  knowing([0], (call) => {
    const size = call.knownScalar(0);
    const dtype = dtypeOf(call.what, call.int('output_datatype', 1));
    if (!(size <= 2 ** 24)) call.refuse('size', String(size), `at most ${2 ** 24}`);
    const span = call.int('periodic', 1) === 0 ? size - 1 : size;
    const values = Array.from({ length: size }, (_, i) => {
      const angle = (2 * Math.PI * i) / Math.max(span, 1);
      return a - b * Math.cos(angle) + c * Math.cos(2 * angle);
    });
    return Known.of(dtype, [size], values);
  });

/** Triangular filters over the bins of a spectrum: [bins, mels]. */
function melWeights(call: Call): Known {
  const [mels, length, rate, lowest, highest] = [0, 1, 2, 3, 4].map((i) => call.knownScalar(i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const bins = Math.floor(length / 2) + 1;
  const toMel = (frequency: number): number => 2595 * Math.log10(1 + frequency / 700);
  const step = (toMel(highest) - toMel(lowest)) / (mels + 2);
  const places = Array.from({ length: mels + 2 }, (_, i) => {
    const frequency = 700 * (10 ** ((i * step + toMel(lowest)) / 2595) - 1);
    return Math.floor(((length + 1) * frequency) / rate);
  });
  const weight = (bin: number, mel: number): number => {
    const [low, center, high] = places.slice(mel, mel + 3) as [number, number, number];
    if (low === center && bin === center) return 1;
    if (bin >= low && bin < center) return (bin - low) / (center - low);
    // The peak belongs to the falling side, and counts as 1.
    return bin >= center && bin < high ? (high - bin) / (high - center) : low !== center && bin === center ? 1 : 0;
  };
  const values = Array.from({ length: bins }, (_, bin) =>
    Array.from({ length: mels }, (__, mel) => weight(bin, mel)),
  ).flat();
  return Known.of(dtypeOf(call.what, call.int('output_datatype', 1)), [bins, mels], values);
}

/** Random numbers in the shape of an input, or of an attribute. */
const random =
  (draw: (call: Call, shape: readonly number[], dtype: DType) => AnyTensor, isLike: boolean): Operator =>
  (call) => {
    if (isLike) return draw(call, call.shape(0), sameDType(call, call.tensor(0)));
    return draw(call, call.ints('shape', []), dtypeOf(call.what, call.int('dtype', 1)));
  };
const normal = (call: Call, shape: readonly number[], dtype: DType): AnyTensor =>
  ops.normal(call.float('mean', 0), call.float('scale', 1), shape, {
    dtype: dtype as 'float32',
    device: call.running.device,
  });
const uniform = (call: Call, shape: readonly number[], dtype: DType): AnyTensor =>
  ops.uniform(call.float('low', 0), call.float('high', 1), shape, {
    dtype: dtype as 'float32',
    device: call.running.device,
  });

export const creation: Readonly<Record<string, Operator>> = {
  Bernoulli: (call) => ops.bernoulli(call.tensor(0)).cast(sameDType(call, call.tensor(0))),
  BlackmanWindow: cosineWindow(0.42, 0.5, 0.08),
  Constant: constant,
  ConstantOfShape: knowing([0], (call) => {
    const value = call.constant('value') ?? new Known('float32', [1], [0]);
    return filled(call, call.known(0), value.values[0] ?? 0, value.dtype);
  }),
  EyeLike: eyeLike,
  HammingWindow: cosineWindow(25 / 46, 1 - 25 / 46, 0),
  HannWindow: cosineWindow(0.5, 0.5, 0),
  MelWeightMatrix: knowing([0, 1, 2, 3, 4], melWeights),
  Multinomial: (call) =>
    ops
      .multinomial(call.tensor(0).exp(), call.int('sample_size', 1), { replacement: true })
      .cast(dtypeOf(call.what, call.int('dtype', 6))),
  OneHot: knowing([1], oneHot),
  RandomNormal: random(normal, false),
  RandomNormalLike: random(normal, true),
  RandomUniform: random(uniform, false),
  RandomUniformLike: random(uniform, true),
  Range: knowing([0, 1, 2], range),
};
