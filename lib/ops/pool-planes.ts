/**
 * How maximum and average pooling run. The kernels pool planes: a row is a plane of height 1, and a volume is pooled plane by plane, then along its
 * depth, which gives the same maxima (the first of equal ones, too) and means. The public functions are pooling.ts.
 */
import { ArgumentError } from '../errors';
import { bytesOf } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { tensor } from './creation';
import { checkDType, checkTensor, defineOp, floats, integers, run, runMany, type NativeOp } from './define';
import { wide } from './wide';
import { batched, perAxis, windowCount, type SpatialRank } from './window';

export interface PoolOptions<Stride = number | readonly number[], Padding = Stride, Ceil extends boolean = boolean> {
  /** Of the window; the window's size unless given. */
  readonly stride?: Stride;
  /** Added on each side, at most half the window; 0 unless given. */
  readonly padding?: Padding;
  /** Rounds the output's size up instead of down. */
  readonly ceilMode?: Ceil;
}

export interface MaxPoolOptions<
  Stride = number | readonly number[],
  Padding = Stride,
  Ceil extends boolean = boolean,
  Dilation = Stride,
> extends PoolOptions<Stride, Padding, Ceil> {
  /** Spacing of the window's elements; 1 unless given. */
  readonly dilation?: Dilation;
}

export interface AvgPoolOptions<
  Stride = number | readonly number[],
  Padding = Stride,
  Ceil extends boolean = boolean,
> extends PoolOptions<Stride, Padding, Ceil> {
  /** Whether zeros of the padding count in the divisor; true unless given. */
  readonly countIncludePad?: boolean;
  /** What sums are divided by, instead of the number of elements. */
  readonly divisorOverride?: number;
}

/** Sizes of windows, one number per spatial axis. */
interface Windows {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  /** How many there are. */
  readonly space: readonly number[];
}

function windowsOf(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  kernelSize: number | readonly number[],
  options: MaxPoolOptions,
): Windows {
  const kernel = perAxis(op, 'kernelSize', kernelSize, kernelSize, 1, rank);
  const stride = perAxis(op, 'stride', options.stride, kernel, 1, rank);
  const padding = perAxis(op, 'padding', options.padding, 0, 0, rank);
  const dilation = perAxis(op, 'dilation', options.dilation, 1, 1, rank);
  if (padding.some((count, i) => count > kernel[i]! / 2)) {
    throw new ArgumentError(`${op}: padding: got ${show(padding)}, expected at most half the window ${show(kernel)}`);
  }
  const space = kernel.map((size, i) => {
    const extent = dilation[i]! * (size - 1) + 1;
    return windowCount(op, x.shape[2 + i]!, extent, stride[i]!, padding[i]!, options.ceilMode);
  });
  return { kernel, stride, padding, dilation, space };
}

/** Windows, of planes, along some of their axes; `sizes` tells where those stand in a plane, and what stands in for others. */
const planar = (windows: Windows, sizes: (own: readonly number[], missing: number) => number[]): Windows => ({
  kernel: sizes(windows.kernel, 1),
  stride: sizes(windows.stride, 1),
  padding: sizes(windows.padding, 0),
  dilation: sizes(windows.dilation, 1),
  space: sizes(windows.space, 1),
});

/** Windows along a row, as those of a plane of height 1. */
const inRow = (windows: Windows): Windows => planar(windows, (own, missing) => [missing, own[0]!]);

/** Windows of a volume within its planes. */
const inPlane = (windows: Windows): Windows => planar(windows, (own) => own.slice(1));

/** Windows of a volume along its depth, where a plane's positions are a row. */
const alongDepth = (windows: Windows): Windows => ({
  ...planar(windows, (own, missing) => [own[0]!, missing]),
  space: [windows.space[0]!, windows.space[1]! * windows.space[2]!],
});

/** x [n, c, …] with its first two axes merged, followed by `shape`. */
const planesOf = (x: AnyTensor, shape: readonly number[]): AnyTensor =>
  x.reshape([x.shape[0]! * x.shape[1]!, ...shape]);

function prepare(op: string, rank: SpatialRank, x: AnyTensor): AnyTensor {
  checkDType(op, x.dtype, floats);
  return batched(op, x, rank);
}

const maxPool2dOp = defineOp('maxPool2d', {
  dtypes: floats,
  channels: 'kept',
  saves: { outputs: true },
  gradient: (g, node) => {
    const index = node.output(1);
    return [run(maxPool2dBackwardOp, [g, index], node.shape(0), g.dtype, node.context, { index })];
  },
});
const maxPool2dBackwardOp = defineOp<{ readonly index: AnyTensor }>('maxPool2dBackward', {
  dtypes: floats,
  channels: 'kept',
  // The adjoint of scattering to the maxima is gathering from them.
  gradient: (gg, { context: { index } }) => {
    const [n, c] = gg.shape as [number, number];
    const plane = gg.reshape([n, c, sizeOf(gg.shape.slice(2))]);
    const places = index.reshape([n, c, sizeOf(index.shape.slice(2))]) as Tensor<Shape, 'int32'>;
    return [plane.gather(2, places).reshape(index.shape)];
  },
});

/** Maxima of planes [n, c, h, w], and where they are. */
function maxOfPlanes(x: AnyTensor, windows: Windows): [AnyTensor, AnyTensor] {
  const { kernel, stride, padding, dilation, space } = windows;
  const shape = [x.shape[0]!, x.shape[1]!, space[0]!, space[1]!];
  const outputs = [
    { shape, dtype: x.dtype },
    { shape, dtype: 'int32' as const },
  ];
  return runMany(maxPool2dOp, [x], outputs, [...kernel, ...stride, ...padding, ...dilation]) as [AnyTensor, AnyTensor];
}

/** The maxima, and a function that makes their positions. */
export function maxPool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  kernelSize: number | readonly number[],
  options: MaxPoolOptions,
): { values: AnyTensor; index: () => AnyTensor } {
  checkTensor(op, x);
  if (integers.includes(x.dtype)) {
    // Floats hold what these do, int64 up to 2^53.
    const { values, index } = maxPool(
      op,
      rank,
      x.cast(bytesOf(x.dtype) > 2 ? 'float64' : 'float32'),
      kernelSize,
      options,
    );
    return { values: values.cast(x.dtype) as AnyTensor, index };
  }
  const input = prepare(op, rank, x);
  const windows = windowsOf(op, rank, input, kernelSize, options);
  const lowered = (y: AnyTensor): AnyTensor => (x.rank === input.rank ? y : y.squeeze(0));
  if (rank === 1) {
    const [values, index] = maxOfPlanes(input.unsqueeze(2), inRow(windows));
    return { values: lowered(values.squeeze(2)), index: () => lowered(index.squeeze(2).cast('int64') as AnyTensor) };
  }
  if (rank === 2) {
    const [values, index] = maxOfPlanes(input, windows);
    return { values: lowered(values), index: () => lowered(index.cast('int64') as AnyTensor) };
  }
  const [depth, height, width] = input.shape.slice(2) as [number, number, number];
  const [, rows, columns] = windows.space as [number, number, number];
  const [inner, place] = maxOfPlanes(planesOf(input, [depth, height, width]), inPlane(windows));
  const stacked = planesOf(input, [1, depth, height * width]).shape;
  const columnsOf = (y: AnyTensor): AnyTensor => y.reshape([stacked[0]!, 1, depth, rows * columns]);
  const [values, along] = maxOfPlanes(columnsOf(inner), alongDepth(windows));
  const shape = [input.shape[0]!, input.shape[1]!, ...windows.space];
  const index = (): AnyTensor => {
    const flat = along.reshape([stacked[0]!, sizeOf(windows.space)]).cast('int64');
    const within = place.reshape([stacked[0]!, depth * rows * columns]).gather(1, flat);
    const slice = flat.floorDivide(rows * columns);
    return lowered(
      slice
        .mul(height * width)
        .add(within)
        .reshape(shape) as AnyTensor,
    );
  };
  return { values: lowered(values.reshape(shape)), index };
}

interface AvgContext {
  readonly attributes: readonly number[];
}

const avgPool2dOp: NativeOp<AvgContext> = defineOp<AvgContext>('avgPool2d', {
  dtypes: floats,
  channels: 'kept',
  gradient: (g, node) => [run(avgPool2dBackwardOp, [g], node.shape(0), g.dtype, node.context.attributes, node.context)],
});
const avgPool2dBackwardOp = defineOp<AvgContext>('avgPool2dBackward', {
  dtypes: floats,
  channels: 'kept',
  gradient: (gg, node) => [run(avgPool2dOp, [gg], node.shape(0), gg.dtype, node.context.attributes, node.context)],
});

/** Means of planes [n, c, h, w]. */
function meanOfPlanes(x: AnyTensor, { kernel, stride, padding, space }: Windows, countPadding: boolean): AnyTensor {
  const attributes = [...kernel, ...stride, ...padding, Number(countPadding)];
  const shape = [x.shape[0]!, x.shape[1]!, space[0]!, space[1]!];
  return run(avgPool2dOp, [x], shape, x.dtype, attributes, { attributes });
}

/** Average pooling over `rank` axes, under the name `op`. */
export function avgPool(
  op: string,
  rank: SpatialRank,
  x: AnyTensor,
  kernelSize: number | readonly number[],
  options: AvgPoolOptions,
): AnyTensor {
  checkTensor(op, x);
  const input = prepare(op, rank, x);
  const windows = windowsOf(op, rank, input, kernelSize, options);
  const { divisorOverride: divisor } = options;
  if (divisor !== undefined && !(Number.isFinite(divisor) && divisor !== 0)) {
    throw new ArgumentError(`${op}: divisorOverride: got ${divisor}, expected a number other than 0`);
  }
  const counted = divisor !== undefined || (options.countIncludePad ?? true);
  let y: AnyTensor;
  if (rank === 1) y = meanOfPlanes(input.unsqueeze(2), inRow(windows), counted).squeeze(2);
  else if (rank === 2) y = meanOfPlanes(input, windows, counted);
  else {
    const inPlanes = meanOfPlanes(planesOf(wide(input), input.shape.slice(2)), inPlane(windows), counted);
    const columns = inPlanes.reshape([
      inPlanes.shape[0]!,
      1,
      inPlanes.shape[1]!,
      windows.space[1]! * windows.space[2]!,
    ]);
    y = meanOfPlanes(columns, alongDepth(windows), counted).cast(x.dtype) as AnyTensor;
    y = y.reshape([input.shape[0]!, input.shape[1]!, ...windows.space]);
  }
  if (divisor !== undefined) y = scaleToSums(y, input.shape.slice(2), windows, divisor);
  return x.rank === input.rank ? y : y.squeeze(0);
}

/** Means over padded windows as sums / divisor. Only rounded up, windows differ in how many elements they count. */
function scaleToSums(y: AnyTensor, sizes: readonly number[], windows: Windows, divisor: number): AnyTensor {
  const whole = sizeOf(windows.kernel) / divisor;
  const clipped = windows.space.map((count, axis) => {
    const { kernel, stride, padding } = windows;
    const end = sizes[axis]! + padding[axis]!;
    return Array.from({ length: count }, (_, i) => {
      const start = i * stride[axis]! - padding[axis]!;
      return (Math.min(start + kernel[axis]!, end) - start) / kernel[axis]!;
    });
  });
  return clipped.reduce(
    (scaled, factors, axis) => {
      if (factors.every((factor) => factor === 1)) return scaled;
      const shape = windows.space.map((size, i) => (i === axis ? size : 1));
      return scaled.mul(tensor(factors, { dtype: y.dtype as 'float32', shape, device: y.device })) as AnyTensor;
    },
    y.mul(whole) as AnyTensor,
  );
}

/** The windows of adaptive pooling, `sizes` of them, which share the axes of x. */
const sharedWindows = (x: AnyTensor, sizes: readonly number[]): [planes: AnyTensor, Windows] => {
  const none = sizes.map(() => 0);
  const steps = sizes.map(() => 1);
  const windows = { kernel: none, stride: steps, padding: none, dilation: steps, space: sizes };
  return sizes.length === 1 ? [x.unsqueeze(2), inRow(windows)] : [x, windows];
};

/** Means of windows that share the one or two axes of [n, c, …]. */
export function sharedAvgPool(x: AnyTensor, sizes: readonly number[]): AnyTensor {
  const y = meanOfPlanes(...sharedWindows(x, sizes), false);
  return sizes.length === 1 ? y.squeeze(2) : y;
}

/** The maxima of windows that share the one or two axes of [n, c, …], and a function that makes their positions. */
export function sharedMaxPool(x: AnyTensor, sizes: readonly number[]): { values: AnyTensor; index: () => AnyTensor } {
  const [values, index] = maxOfPlanes(...sharedWindows(x, sizes));
  const lowered = (y: AnyTensor): AnyTensor => (sizes.length === 1 ? y.squeeze(2) : y);
  return { values: lowered(values), index: () => lowered(index.cast('int64') as AnyTensor) };
}

/** The windows of an axis, laid out one after the other; short ones repeat their last element, which changes no maximum. */
export function adaptiveWindows(
  size: number,
  count: number,
): { readonly kernel: number; readonly places: readonly number[] } {
  const bounds = Array.from({ length: count }, (_, i) => [
    Math.floor((i * size) / count),
    Math.ceil(((i + 1) * size) / count),
  ]) as [number, number][];
  const kernel = Math.max(...bounds.map(([start, end]) => end - start));
  const places = bounds.flatMap(([start, end]) =>
    Array.from({ length: kernel }, (_, k) => Math.min(start + k, end - 1)),
  );
  return { kernel, places };
}
