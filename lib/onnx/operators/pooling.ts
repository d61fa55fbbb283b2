/** Pools over windows, whole planes and regions. */
import * as ops from '../../ops';
import { sizeOf } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator, type Outputs } from '../call';
import { byRank, padded, symmetric, windowsOf, type Windows } from './windows';

type Pool<R> = (x: AnyTensor, kernel: readonly number[], options: object) => R;
type ByRank<F> = readonly [F, F, F];
const maxPools = [ops.maxPool1d, ops.maxPool2d, ops.maxPool3d] as unknown as ByRank<Pool<AnyTensor>>;
const maxPoolsWithIndices = [
  ops.maxPool1dWithIndices,
  ops.maxPool2dWithIndices,
  ops.maxPool3dWithIndices,
] as unknown as ByRank<Pool<[AnyTensor, AnyTensor]>>;
const avgPools = [ops.avgPool1d, ops.avgPool2d, ops.avgPool3d] as unknown as ByRank<Pool<AnyTensor>>;
const convolutions = [ops.conv1d, ops.conv2d, ops.conv3d] as unknown as ByRank<
  (x: AnyTensor, weight: AnyTensor, bias: undefined, options: object) => AnyTensor
>;

interface Pooling extends Windows {
  /** What is added after each axis so that the last window of ceil_mode stands within. */
  readonly tail: readonly number[];
}

function poolingOf(call: Call, x: AnyTensor): Pooling {
  const space = x.shape.slice(2);
  const windows = windowsOf(call, space);
  const isCeil = call.int('ceil_mode', 0) !== 0;
  const tail = space.map((size, i) => {
    const [before, after] = windows.pads[i]!;
    const stride = windows.stride[i]!;
    const extent = (windows.kernel[i]! - 1) * windows.dilation[i]! + 1;
    const steps = (size + before + after - extent) / stride;
    // A window that would begin behind the elements is left out.
    const last = isCeil && Math.ceil(steps) * stride < size + before ? Math.ceil(steps) : Math.floor(steps);
    return Math.max(last * stride + extent - (size + before + after), 0);
  });
  return { ...windows, tail };
}

const withTail = ({ pads, tail }: Pooling): Windows['pads'] =>
  pads.map(([before, after], i) => [before, after + tail[i]!] as const);

/** Padding that pools know themselves: the same on both sides, and at most half a window. */
function ownPadding(pooling: Pooling): readonly number[] | undefined {
  const padding = symmetric(withTail(pooling));
  return padding?.every((count, i) => count <= pooling.kernel[i]! / 2) === true ? padding : undefined;
}

function maxPool(call: Call): Outputs | AnyTensor {
  const x = call.tensor(0);
  const space = x.shape.slice(2);
  const pooling = poolingOf(call, x);
  const { kernel, stride, dilation } = pooling;
  const padding = ownPadding(pooling);
  const lowest = x.dtype === 'uint8' ? 0 : x.dtype === 'int8' ? -128 : -Infinity;
  const input = padding === undefined ? padded(x, withTail(pooling), lowest) : x;
  const options = { stride, dilation, padding: padding ?? space.map(() => 0) };
  if (!call.wants(1)) return byRank(call, space.length, maxPools)(input, kernel, options);
  const [values, places] = byRank(call, space.length, maxPoolsWithIndices)(input, kernel, options);
  const inner = placesWithin(places, input.shape.slice(2), space, pooling);
  return outputs(values, indexed(call, inner, x.shape));
}

/** Places in padded planes as places in the planes themselves. */
function placesWithin(
  places: AnyTensor,
  outer: readonly number[],
  space: readonly number[],
  { pads }: Pooling,
): AnyTensor {
  if (outer.every((size, i) => size === space[i])) return places;
  return space
    .map((_, i) => {
      const position = places.floorDivide(sizeOf(outer.slice(i + 1))).remainder(outer[i]!);
      return position.sub(pads[i]![0]).mul(sizeOf(space.slice(i + 1)));
    })
    .reduce((a, b) => a.add(b));
}

/** Places in planes as places in the whole tensor; with `storage_order` the planes' axes count from the first. */
function indexed(call: Call, places: AnyTensor, shape: readonly number[]): AnyTensor {
  const [n, c, ...space] = shape as [number, number, ...number[]];
  const plane = sizeOf(space);
  const starts = ops.arange(n * c, { dtype: 'int64', device: places.device }).mul(plane);
  const perPlane = starts.reshape([n, c, ...space.map(() => 1)]);
  if (call.int('storage_order', 0) === 0) return places.add(perPlane);
  const [rows, columns] = space as [number, number];
  const across = places.remainder(columns).mul(rows);
  return across.add(places.floorDivide(columns)).add(perPlane);
}

/** The sums of windows, divided by their size. */
function means(call: Call, x: AnyTensor, { kernel, stride, dilation }: Windows): AnyTensor {
  const space = x.shape.slice(2);
  if (dilation.every((step) => step === 1)) {
    return byRank(call, space.length, avgPools)(x, kernel, { stride });
  }
  const planes = x.reshape([-1, 1, ...space]);
  const weight = ops.full([1, 1, ...kernel], 1 / sizeOf(kernel), { dtype: x.dtype, device: x.device });
  const y = byRank(call, space.length, convolutions)(planes, weight, undefined, { stride, dilation });
  return y.reshape([...x.shape.slice(0, 2), ...y.shape.slice(2)]);
}

const avgPool: Operator = (call) => {
  const x = call.tensor(0);
  const space = x.shape.slice(2);
  const pooling = poolingOf(call, x);
  const { kernel, stride, dilation, pads, tail } = pooling;
  const countsPads = call.int('count_include_pad', 0) !== 0;
  const padding = ownPadding(pooling);
  if (padding !== undefined && tail.every((more) => more === 0) && dilation.every((step) => step === 1)) {
    return byRank(call, space.length, avgPools)(x, kernel, { stride, padding, countIncludePad: countsPads });
  }
  const sums = means(call, padded(x, withTail(pooling)), pooling);
  // Elements that count are those of the input, and of its pads where these count, but never those behind them.
  const counted = space.map((size, i) => (countsPads ? size + pads[i]![0] + pads[i]![1] : size));
  const ones = ops.ones([1, 1, ...counted], { dtype: x.dtype as 'float32', device: x.device });
  const around = pads.map(
    ([before, after], i) => (countsPads ? [0, tail[i]!] : [before, after + tail[i]!]) as [number, number],
  );
  return sums.div(means(call, padded(ones, around), pooling));
};

const lpPool: Operator = (call) => {
  const x = call.tensor(0);
  const p = call.int('p', 2);
  const pooling = poolingOf(call, x);
  const powers = padded(x.abs().pow(p), withTail(pooling));
  return means(call, powers, pooling)
    .mul(sizeOf(pooling.kernel))
    .pow(1 / p);
};

const globally =
  (f: (x: AnyTensor, axes: readonly number[], call: Call) => AnyTensor): Operator =>
  (call) => {
    const x = call.tensor(0);
    return f(
      x,
      x.shape.slice(2).map((_, i) => i + 2),
      call,
    );
  };

function maxUnpool(call: Call): AnyTensor {
  const x = call.tensor(0);
  const { kernel, stride, pads } = windowsOf(call, x.shape.slice(2));
  const own = x.shape.slice(2).map((size, i) => (size - 1) * stride[i]! + kernel[i]! - pads[i]![0] - pads[i]![1]);
  const natural = [...x.shape.slice(0, 2), ...own];
  const shape = call.has(2) ? call.known(2) : natural;
  // Places are those in a tensor of the natural shape, which lies at the start of a larger one.
  const flat = ops.zeros([sizeOf(natural)], { dtype: x.dtype as 'float32', device: x.device });
  const put = ops.scatter(flat, 0, call.tensor(1).reshape([-1]), x.reshape([-1]));
  if (sizeOf(shape) === sizeOf(natural)) return put.reshape(shape);
  return ops.pad(
    put.reshape(natural),
    shape.map((size, i) => [0, size - natural[i]!] as const),
  );
}

function roiAlign(call: Call): AnyTensor {
  const x = call.tensor(0);
  const numbers = call.tensor(2).cast(x.dtype).unsqueeze(1);
  const boxes = ops.cat([numbers, call.tensor(1)], 1);
  const isAligned =
    call.choice(
      'coordinate_transformation_mode',
      call.version < 16 ? 'output_half_pixel' : 'half_pixel',
      'half_pixel',
      'output_half_pixel',
    ) === 'half_pixel';
  if (call.choice('mode', 'avg', 'max') === 'max') call.refuse('mode', 'max', 'avg');
  return ops.roiAlign(x, boxes, {
    outputSize: [call.int('output_height', 1), call.int('output_width', 1)],
    spatialScale: call.float('spatial_scale', 1),
    samplingRatio: call.int('sampling_ratio', 0),
    aligned: isAligned,
  });
}

/** [n, c · window, windows] to [n, c, …space]. */
function col2Im(call: Call): AnyTensor {
  const x = call.tensor(0);
  const size = call.known(1);
  const kernel = call.known(2);
  const { stride, dilation, pads } = windowsOf(call, size, kernel);
  const rank = size.length;
  const [n, rows] = x.shape as [number, number];
  const channels = rows / sizeOf(kernel);
  const counts = size.map((each, i) => {
    const extent = (kernel[i]! - 1) * dilation[i]! + 1;
    return Math.floor((each + pads[i]![0] + pads[i]![1] - extent) / stride[i]!) + 1;
  });
  // The adjoint of taking patches apart: a transposed convolution with a window's places as channels.
  const patches = x.reshape([n, channels, sizeOf(kernel), ...counts]).flatten(0, 1);
  const places = ops.eye(sizeOf(kernel), undefined, { dtype: x.dtype as 'float32', device: x.device });
  const weight = places.reshape([sizeOf(kernel), 1, ...kernel]);
  const transposed = byRank(call, rank, [
    ops.convTranspose1d,
    ops.convTranspose2d,
    ops.convTranspose3d,
  ] as unknown as ByRank<(x: AnyTensor, weight: AnyTensor, bias: undefined, options: object) => AnyTensor>);
  const whole = transposed(patches, weight, undefined, { stride, dilation });
  const cut = pads.map(([before], i) => [-before, size[i]! - (whole.shape[2 + i]! - before)] as const);
  return padded(whole, cut).reshape([n, channels, ...size]);
}

export const pooling: Readonly<Record<string, Operator>> = {
  AveragePool: avgPool,
  Col2Im: knowing([1, 2], col2Im),
  GlobalAveragePool: globally((x, axes) => x.mean(axes, { keepDims: true })),
  GlobalLpPool: globally((x, axes, call) =>
    x
      .abs()
      .pow(call.int('p', 2))
      .sum(axes as number[], { keepDims: true })
      .pow(1 / call.int('p', 2)),
  ),
  GlobalMaxPool: globally((x, axes) => ops.amax(x, axes, { keepDims: true })),
  LpPool: lpPool,
  MaxPool: maxPool,
  MaxUnpool: knowing([2], maxUnpool),
  RoiAlign: roiAlign,
};
