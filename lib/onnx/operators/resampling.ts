/** Resampling of images and other grids, and what detectors do with boxes. */
import { FormatError } from '../../errors';
import * as ops from '../../ops';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, type Call } from '../call';
import { Known } from '../value';
import { axesOf } from './shapes';

/** How one axis is resampled. */
interface AxisPlan {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  /** Where an element of the result lies in the input. */
  readonly place: (i: number) => number;
}

const halfUp = (x: number): number => Math.floor(x + 0.5);

/** Sizes and scales of the axes that are resampled. */
function scalesOf(
  call: Call,
  shape: readonly number[],
): { axes: readonly number[]; to: readonly number[]; scales: readonly number[] } {
  const axes = axesOf(call, call.ints('axes') ?? shape.map((_, axis) => axis), shape);
  const old = call.version < 11;
  const sizes = old ? undefined : call.knownOptional(3);
  const scales = old ? (call.version < 9 ? call.floats('scales', []) : call.known(1)) : call.knownOptional(2);
  const given = sizes !== undefined && sizes.length > 0 ? sizes : scales;
  if (given?.length !== axes.length) {
    throw new FormatError(
      `${call.what}: sizes or scales: got ${given?.length ?? 0}, expected ${axes.length} for axes ${show(axes)}`,
    );
  }
  const from = axes.map((axis) => shape[axis]!);
  if (given === scales) return { axes, scales: given, to: from.map((size, i) => Math.floor(size * given[i]!)) };
  const own = given.map((size, i) => size / from[i]!);
  const policy = call.choice('keep_aspect_ratio_policy', 'stretch', 'not_larger', 'not_smaller');
  if (policy === 'stretch') return { axes, scales: own, to: given };
  const common = policy === 'not_larger' ? Math.min(...own) : Math.max(...own);
  return { axes, scales: own.map(() => common), to: from.map((size) => halfUp(size * common)) };
}

const coordinateModes = [
  'half_pixel',
  'asymmetric',
  'pytorch_half_pixel',
  'align_corners',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
  'half_pixel_symmetric',
] as const;

function plansOf(
  call: Call,
  shape: readonly number[],
): { plans: readonly AxisPlan[]; mode: (typeof coordinateModes)[number] } {
  const { axes, scales, to } = scalesOf(call, shape);
  const mode = call.version < 11 ? 'asymmetric' : call.choice('coordinate_transformation_mode', ...coordinateModes);
  const roi = mode === 'tf_crop_and_resize' ? call.known(1) : [];
  const plans = axes.map((axis, i): AxisPlan => {
    const from = shape[axis]!;
    const scale = scales[i]!;
    const size = to[i]!;
    if (!(size >= 0 && size * from <= 2 ** 28))
      call.refuse('size', `${from} to ${size}`, 'sizes that weights fit in memory for');
    // What sizes ask for is divided once.
    const isExact = Math.abs(from * scale - size) < 1e-9;
    const length = isExact ? size : from * scale;
    const back = (position: number): number => (isExact ? (position * from) / size : Math.fround(position / scale));
    const [start, end] = [roi[i] ?? 0, roi[i + axes.length] ?? 1];
    const place = (x: number): number => {
      switch (mode) {
        case 'half_pixel':
          return back(x + 0.5) - 0.5;
        case 'asymmetric':
          return back(x);
        case 'pytorch_half_pixel':
          return size > 1 ? back(x + 0.5) - 0.5 : 0;
        case 'align_corners':
          return size === 1 ? 0 : (x * (from - 1)) / (length - 1);
        case 'tf_half_pixel_for_nn':
          return back(x + 0.5);
        case 'tf_crop_and_resize':
          return size > 1
            ? start * (from - 1) + (x * (end - start) * (from - 1)) / (size - 1)
            : 0.5 * (start + end) * (from - 1);
        case 'half_pixel_symmetric':
          return (from / 2) * (1 - size / length) + back(x + 0.5) - 0.5;
      }
    };
    // Places are float32's, so that those half way are told as elsewhere.
    return { axis, from, to: size, scale, place: (x) => Math.fround(place(x)) };
  });
  return { plans, mode };
}

const nearest = {
  round_prefer_floor: (x: number) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x: number) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Keys' cubic. */
const cubic =
  (a: number) =>
  (distance: number): number => {
    const d = Math.abs(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
  };

/** How much each element of an axis counts for each of the result: [to, from]. */
function weightsOf(call: Call, { from, to, scale, place }: AxisPlan, mode: 'linear' | 'cubic'): Known {
  const kernel =
    mode === 'linear' ? (d: number) => Math.max(1 - Math.abs(d), 0) : cubic(call.float('cubic_coeff_a', -0.75));
  const excludes = call.int('exclude_outside', 0) !== 0;
  // Without aliases a kernel covers all elements that go into one of the result.
  const stretch = call.int('antialias', 0) === 0 ? 1 : Math.min(scale, 1);
  const reach = (mode === 'linear' ? 1 : 2) / stretch;
  const values = new Array<number>(to * from).fill(0);
  for (let i = 0; i < to; i++) {
    const center = place(i);
    const taps: [number, number][] = [];
    for (let j = Math.floor(center - reach); j <= Math.ceil(center + reach); j++) {
      const isOutside = j < 0 || j >= from;
      if (!(excludes && isOutside)) taps.push([Math.min(Math.max(j, 0), from - 1), kernel((j - center) * stretch)]);
    }
    const sum = taps.reduce((total, [, weight]) => total + weight, 0);
    for (const [j, weight] of taps) values[i * from + j]! += weight / sum;
  }
  return Known.of('float64', [to, from], values);
}

/** The op of the same result, for what PyTorch's exporter writes. */
function direct(
  call: Call,
  x: AnyTensor,
  plans: readonly AxisPlan[],
  mode: string,
  coordinates: string,
): AnyTensor | undefined {
  const space = plans.filter(({ axis }) => axis >= 2);
  const isSpatial = plans.every(({ axis, from, to, scale }) => axis >= 2 || (from === to && scale === 1));
  const isExact = space.every(({ from, to, scale }) => Math.abs(from * scale - to) < 1e-4 && from > 0 && to > 0);
  if (!isSpatial || !isExact || space.length !== x.rank - 2 || x.rank < 3 || x.rank > 5) return undefined;
  if (call.int('antialias', 0) !== 0 || call.int('exclude_outside', 0) !== 0) return undefined;
  const size = x.shape.slice(2);
  for (const { axis, to } of space) size[axis - 2] = to;
  const alignCorners = coordinates === 'align_corners';
  const isHalf =
    coordinates === 'half_pixel' || (coordinates === 'pytorch_half_pixel' && size.every((each) => each > 1));
  const linear = (['linear', 'bilinear', 'trilinear'] as const)[x.rank - 3]!;
  if (mode === 'linear' && (alignCorners || isHalf)) return ops.interpolate(x, { size, mode: linear, alignCorners });
  if (
    mode === 'cubic' &&
    (alignCorners || isHalf) &&
    x.rank === 4 &&
    Math.abs(call.float('cubic_coeff_a', -0.75) + 0.75) < 1e-6
  ) {
    return ops.interpolate(x, { size, mode: 'bicubic', alignCorners });
  }
  return undefined;
}

function resize(call: Call): AnyTensor {
  const x = call.tensor(0);
  const { plans, mode: coordinates } = plansOf(call, x.shape);
  const mode = call.choice('mode', 'nearest', 'linear', 'cubic');
  const made = mode === 'nearest' ? undefined : direct(call, x, plans, mode, coordinates);
  if (made !== undefined) return made;
  const { device } = x;
  const rounding =
    call.version < 11
      ? 'floor'
      : call.choice('nearest_mode', 'round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil');
  let y = x;
  let outside: AnyTensor | undefined;
  for (const plan of plans) {
    const { axis, from, to, scale, place } = plan;
    const places = Array.from({ length: to }, (_, i) => place(i));
    if (coordinates === 'tf_crop_and_resize') {
      const flags = Known.of(
        'bool',
        x.shape.map((_, i) => (i === axis ? to : 1)),
        places.map((p) => Number(p < 0 || p > from - 1)),
      );
      const own = flags.tensor(device);
      outside = outside === undefined ? own : outside.logicalOr(own);
    } else if (from === to && scale === 1) continue;
    if (mode === 'nearest') {
      const index = places.map((p) => Math.min(Math.max(nearest[rounding](p), 0), from - 1));
      y = y.indexSelect(axis, Known.of('int64', [to], index).tensor(device));
    } else {
      const weights = weightsOf(call, plan, mode).tensor(device).cast(y.dtype);
      y = y.moveAxis(axis, -1).matmul(weights.transpose(0, 1)).moveAxis(-1, axis);
    }
  }
  if (outside === undefined) return y;
  return ops.where(outside, call.float('extrapolation_value', 0), y).cast(x.dtype);
}

const gridModes = {
  linear: 'bilinear',
  bilinear: 'bilinear',
  nearest: 'nearest',
  cubic: 'bicubic',
  bicubic: 'bicubic',
} as const;

const gridSample = (call: Call): AnyTensor =>
  ops.gridSample(call.tensor(0), call.tensor(1), {
    mode: gridModes[call.choice('mode', 'linear', 'bilinear', 'nearest', 'cubic', 'bicubic')],
    padding: call.choice('padding_mode', 'zeros', 'border', 'reflection'),
    alignCorners: call.int('align_corners', 0) !== 0,
  });

/** Boxes as their lowest and highest corners. */
function corners(call: Call, boxes: AnyTensor): AnyTensor {
  const [a, b] = [boxes.narrow(-1, 0, 2), boxes.narrow(-1, 2, 2)] as [AnyTensor, AnyTensor];
  if (call.int('center_point_box', 0) !== 0) return ops.cat([a.sub(b.div(2)), a.add(b.div(2))], -1);
  return ops.cat([a.minimum(b), a.maximum(b)], -1);
}

/** [batch, class, box] of each box that is left. Their number is read: the thread blocks. */
function nonMaxSuppression(call: Call): AnyTensor {
  const boxes = corners(call, call.tensor(0));
  const scores = call.tensor(1);
  const maxCount = call.knownScalar(2, 0);
  const options = {
    maxCount,
    iouThreshold: call.knownScalar(3, 0),
    ...(call.has(4) && { scoreThreshold: call.knownScalar(4) }),
  };
  const [batches, classes] = scores.shape as [number, number];
  const device = boxes.device;
  const rows = Array.from({ length: batches * classes }, (_, i) => {
    const [batch, each] = [Math.floor(i / classes), i % classes];
    const own = boxes.select(0, batch);
    const kept = ops.nonMaxSuppressionSync(own, scores.select(0, batch).select(0, each), options);
    const count = kept.shape[0]!;
    const column = (value: number): AnyTensor => ops.full([count], value, { dtype: 'int64', device });
    return ops.stack([column(batch), column(each), kept], 1);
  });
  if (maxCount === 0 || rows.length === 0) return ops.zeros([0, 3], { dtype: 'int64', device });
  return ops.cat(rows, 0);
}

export const resampling = {
  AffineGrid: knowing([1], (call) =>
    ops.affineGrid(call.tensor(0), call.known(1), {
      alignCorners: call.int('align_corners', 0) !== 0,
    }),
  ),
  GridSample: gridSample,
  NonMaxSuppression: knowing([2, 3, 4], nonMaxSuppression),
  Resize: knowing([1, 2, 3], resize),
  Upsample: knowing([1], resize),
};
