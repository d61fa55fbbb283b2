/** Convolutions, pooling, and resampling of images. */
import { adaptiveWindows } from '../../ops/pool-planes';
import type { DType } from '../../tensor/dtype';
import { Varying, type Event, type Size, type Value } from '../trace';
import { real, type Attribute, type Graph, type Table, type Writer } from './graph';
import { operandOf } from './reduce';

/** Equal parts of a list of numbers, and what is left. */
function parts(numbers: readonly number[], size: number, count: number): number[][] {
  return Array.from({ length: count + 1 }, (_, i) => numbers.slice(i * size, i < count ? (i + 1) * size : undefined));
}

/** The stride, padding, dilation and groups of a convolution over `rank` axes. */
function geometryOf(graph: Graph, { attributes, outputs }: Event) {
  const rank = outputs[0]!.shape.length - 2;
  const [strides, pads, dilations, last] = parts(graph.fixedAll(attributes, 'a setting'), rank, 3);
  return { strides: strides!, pads: [...pads!, ...pads!], dilations: dilations!, group: last![0]! };
}

const convolution: Writer = (graph, event) =>
  graph.node('Conv', event.inputs.map((input) => graph.operand(input)), geometryOf(graph, event)); // prettier-ignore

/** The size at one of the sizes of the pass. */
const at = (size: Size, i: number): number => (size instanceof Varying ? size.values[i]! : size);
const countOf = (sizes: readonly Size[]): number => (sizes.find((size) => size instanceof Varying) as Varying | undefined)?.values.length ?? 1; // prettier-ignore

/** The adjoint of a convolution is the transposed one. */
const transposed: Writer = (graph, event) => {
  const [g, weight] = [operandOf(event, 0), operandOf(event, 1)];
  const geometry = geometryOf(graph, event);
  const { strides, pads, dilations } = geometry;
  const { shape } = event.outputs[0]!;
  const added = strides.map((stride, axis) => {
    const [from, to, extent] = [g.shape[2 + axis]!, shape[2 + axis]!, graph.fixed(weight.shape[2 + axis]!, 'a kernel')];
    const more = Array.from({ length: countOf([from, to]) }, (_, i) => {
      return at(to, i) - ((at(from, i) - 1) * stride - 2 * pads[axis]! + dilations[axis]! * (extent - 1) + 1);
    });
    return graph.fixed(more.every((count) => count === more[0]) ? more[0]! : new Varying(more), 'output padding');
  });
  return graph.node('ConvTranspose', [graph.name(g), graph.name(weight)], { ...geometry, output_padding: added });
};

interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly padding: readonly number[];
  readonly dilations: readonly number[];
}

/** How far the last windows reach beyond the padding at the end of each axis, where sizes are rounded up; undefined where that differs from size to size. */
function overhang(event: Event, { kernel, strides, padding, dilations }: Windows): (number | undefined)[] {
  const [from, to] = [operandOf(event).shape, event.outputs[0]!.shape];
  return strides.map((stride, axis) => {
    const [inner, outer] = [from[2 + axis]!, to[2 + axis]!];
    const over = Array.from({ length: countOf([inner, outer]) }, (_, i) => {
      const end = (at(outer, i) - 1) * stride + dilations[axis]! * (kernel[axis]! - 1) + 1;
      return Math.max(end - at(inner, i) - 2 * padding[axis]!, 0);
    });
    return over.every((count) => count === over[0]) ? over[0] : undefined;
  });
}

/** The attributes of windows; those that hang over are padding at the end, or rounding up where that differs from size to size. */
function windowsOf(event: Event, windows: Windows) {
  const { kernel, strides, padding, dilations } = windows;
  const over = overhang(event, windows);
  return {
    kernel_shape: kernel,
    strides,
    dilations: dilations.some((step) => step !== 1) ? dilations : undefined,
    pads: [...padding, ...padding.map((count, axis) => count + (over[axis] ?? 0))],
    ceil_mode: over.includes(undefined) ? 1 : undefined,
    isOver: over.some((count) => count !== 0),
  };
}

/** Maxima of windows that share the axes: of their elements, laid out one window after the other. */
function sharedMaxPool(graph: Graph, event: Event): string | string[] {
  const [x, [y, place]] = [operandOf(event), event.outputs];
  const from = graph.fixedAll(x.shape.slice(2), 'a size');
  const to = graph.fixedAll(y!.shape.slice(2), 'a size');
  const windows = from.map((size, axis) => adaptiveWindows(size, to[axis]!));
  const indices = (places: readonly number[]): string => graph.constant('int64', [places.length], places);
  const laidOut = windows.reduce(
    (name, { places }, axis) => graph.node('Gather', [name, indices(places)], { axis: 2 + axis }),
    graph.name(x),
  );
  const kernel = windows.map((window) => window.kernel);
  const attributes = { kernel_shape: kernel, strides: kernel };
  if (place?.used !== true) return graph.node('MaxPool', [laidOut], attributes);
  const [maxima, at] = graph.nodeOf('MaxPool', [laidOut], attributes, 2) as [string, string];
  const plane = windows.reduce((product, { places }) => product * places.length, 1);
  const origins = windows.reduce((flat, { places }, axis) => flat.flatMap((p) => places.map((q) => p * from[axis]! + q)), [0]); // prettier-ignore
  const within = graph.node('Mod', [at, graph.number(plane, 'int64')]);
  return [maxima, graph.cast(graph.node('Gather', [indices(origins), within]), 'int64', 'int32')];
}

const maxPool: Writer = (graph, event) => {
  const [kernel, strides, padding, dilations] = parts(graph.fixedAll(event.attributes, 'a window'), 2, 4);
  if (kernel!.includes(0)) return sharedMaxPool(graph, event);
  const { isOver: _, ...attributes } = windowsOf(event, { kernel: kernel!, strides: strides!, padding: padding!, dilations: dilations! }); // prettier-ignore
  const [x, [, place]] = [operandOf(event), event.outputs];
  if (place?.used !== true) return graph.node('MaxPool', [graph.name(x)], attributes);
  const [y, places] = graph.nodeOf('MaxPool', [graph.name(x)], attributes, 2) as [string, string];
  // ONNX counts through the whole tensor.
  const plane = graph.node('Mul', x.shape.slice(2).map((size) => graph.number(size, 'int64'))); // prettier-ignore
  return [y, graph.cast(graph.node('Mod', [places, plane]), 'int64', 'int32')];
};

const avgPool: Writer = (graph, event) => {
  const [kernel, strides, padding, last] = parts(graph.fixedAll(event.attributes, 'a window'), 2, 3);
  if (kernel!.includes(0)) return meanOfAreas(graph, operandOf(event), event.outputs[0]!.shape);
  const counted = last![0]!;
  const ones = kernel!.map(() => 1);
  const { isOver, ...attributes } = windowsOf(event, { kernel: kernel!, strides: strides!, padding: padding!, dilations: ones }); // prettier-ignore
  const name = graph.name(operandOf(event));
  if (counted === 0 || padding!.every((count) => count === 0) || !isOver) {
    return graph.node('AveragePool', [name], {
      ...attributes,
      count_include_pad: padding!.some((count) => count > 0) ? counted : 0,
    });
  }
  // The padding counts, what hangs over does not.
  const sides = graph.sizes([0, 0, ...padding!, 0, 0, ...padding!]);
  const { dtype } = event.outputs[0]!;
  const wider = graph.node('Pad', [name, sides, graph.number(0, dtype)]);
  const pads = attributes.pads.map((count, side) => count - padding![side % 2]!);
  return graph.node('AveragePool', [wider], { ...attributes, pads });
};

/** By the codes of interpolate.ts; means of areas have no node. */
const resampling: Readonly<Record<number, Readonly<Record<string, Attribute>>>> = {
  0: { mode: 'nearest', nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' },
  1: { mode: 'nearest', nearest_mode: 'round_prefer_ceil', coordinate_transformation_mode: 'half_pixel' },
  2: { mode: 'linear', coordinate_transformation_mode: 'half_pixel' },
  3: { mode: 'cubic', coordinate_transformation_mode: 'half_pixel', cubic_coeff_a: real(-0.75) },
  5: { mode: 'linear', antialias: 1, exclude_outside: 1 },
  6: { mode: 'cubic', antialias: 1, exclude_outside: 1, cubic_coeff_a: real(-0.5) },
};

const resample: Writer = (graph, event) => {
  const x = operandOf(event);
  const { shape } = event.outputs[0]!;
  const [mode, corners, ...ratios] = event.attributes as [number, number, ...Size[]];
  const how = resampling[mode];
  if (how === undefined) return meanOfAreas(graph, x, shape);
  // Axes that stay 1 are not there, for runtimes that resample images alone.
  const kept = [0, 1, 2].filter((axis) => x.shape[2 + axis] !== 1 || shape[2 + axis] !== 1);
  const space = kept.length === 0 ? [2] : kept;
  const [from, to] = [x.shape, shape].map((sizes) => [...sizes.slice(0, 2), ...space.map((axis) => sizes[2 + axis]!)]) as [Size[], Size[]]; // prettier-ignore
  const lower = graph.reshape(graph.name(x), x.shape, from);
  const factors = space.map((axis) => ratios[axis]!);
  const isByFactor =
    corners === 0 &&
    factors.every((ratio, i) => {
      if (typeof ratio !== 'number') return false;
      const count = countOf([from[2 + i]!, to[2 + i]!]);
      return Array.from({ length: count }, (_, k) => k).every((k) => Math.floor(at(from[2 + i]!, k) * Math.fround(1 / ratio)) === at(to[2 + i]!, k)); // prettier-ignore
    });
  const scales = isByFactor ? graph.constant('float32', [to.length], [1, 1, ...(factors as number[]).map((ratio) => 1 / ratio)]) : ''; // prettier-ignore
  // The first two sizes are those of x, which may differ.
  const sizes = isByFactor ? '' : graph.node('Concat', [graph.node('Shape', [lower], { start: 0, end: 2 }), graph.sizes(to.slice(2))], { axis: 0 }); // prettier-ignore
  const coordinates = corners === 1 ? { coordinate_transformation_mode: 'align_corners' } : {};
  const y = graph.node('Resize', [lower, '', scales, sizes], { ...how, ...coordinates });
  return graph.reshape(y, to, shape);
};

/** Along each axis a product with the shares of the elements in each mean. */
function meanOfAreas(graph: Graph, x: Value, shape: readonly Size[]): string {
  const rank = shape.length;
  return shape.slice(2).reduce<string>((name, _, i) => {
    const axis = 2 + i;
    const [from, to] = graph.fixedAll([x.shape[axis]!, shape[axis]!], 'a size') as [number, number];
    if (from === to) return name;
    const shares = Array.from({ length: to * from }, (_, place) => {
      const [out, inner] = [Math.floor(place / from), place % from];
      const [start, end] = [Math.floor((out * from) / to), Math.ceil(((out + 1) * from) / to)];
      return inner >= start && inner < end ? 1 / (end - start) : 0;
    });
    const order = Array.from({ length: rank }, (_, k) => (k === axis ? rank - 1 : k === rank - 1 ? axis : k));
    const moved = graph.node('Transpose', [name], { perm: order });
    const matrix = graph.node('Transpose', [graph.constant(x.dtype, [to, from], shares)], { perm: [1, 0] });
    return graph.node('Transpose', [graph.node('MatMul', [moved, matrix])], { perm: order });
  }, graph.name(x));
}

const gridSample: Writer = (graph, event) => {
  const [mode, padding, corners] = graph.fixedAll(event.attributes, 'a setting') as [number, number, number];
  const [x, grid] = [operandOf(event, 0), operandOf(event, 1)];
  // Images come as volumes of one plane.
  const isFlat = grid.shape.at(-1) === 2 && x.shape.length === 5;
  const names = isFlat
    ? [graph.node('Squeeze', [graph.name(x), graph.sizes([2])]), graph.node('Squeeze', [graph.name(grid), graph.sizes([1])])] // prettier-ignore
    : [graph.name(x), graph.name(grid)];
  const y = graph.node('GridSample', names, {
    mode: ['nearest', 'linear', 'cubic'][mode],
    padding_mode: ['zeros', 'border', 'reflection'][padding],
    align_corners: corners,
  });
  return isFlat ? graph.node('Unsqueeze', [y, graph.sizes([2])]) : y;
};

const roiAlign: Writer = (graph, event) => {
  const [scale, samples, aligned] = graph.fixedAll(event.attributes, 'a setting') as [number, number, number];
  const [x, boxes] = [operandOf(event, 0), operandOf(event, 1)];
  const [height, width] = graph.fixedAll(event.outputs[0]!.shape.slice(2), 'a size') as [number, number];
  const columns = (first: number, end: number): string =>
    graph.node('Slice', [graph.name(boxes), ...[[first], [end], [1]].map((sizes) => graph.sizes(sizes))]);
  const images = graph.cast(graph.node('Squeeze', [columns(0, 1), graph.sizes([1])]), boxes.dtype as DType, 'int64');
  return graph.node('RoiAlign', [graph.name(x), columns(1, 5), images], {
    output_height: height,
    output_width: width,
    sampling_ratio: samples,
    spatial_scale: real(scale),
    coordinate_transformation_mode: aligned === 1 ? 'half_pixel' : 'output_half_pixel',
  });
};

export const images: Table = {
  conv2d: convolution,
  conv3d: convolution,
  conv2dInputGrad: transposed,
  conv3dInputGrad: transposed,
  maxPool2d: maxPool,
  avgPool2d: avgPool,
  resample,
  gridSample,
  roiAlign,
};
