/** Sampling of images and volumes at the places of a grid (spatial transformers), and grids of affine maps. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { promote, type DType, type Promote } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { Ok, Shape } from '../tensor/shape-types';
import { checkShape, sameShape, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import type { AffineGrid, GridSample, GridSampleCheck } from '../tensor/vision-shape-types';
import { arange, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, installMethods, type NativeOp, run } from './define';
import { stack } from './movement';
import { where } from './pointwise-compare';
import { wide } from './wide';

/** The codes are native/kernels/grid_sample.h's. */
const modes = { nearest: 0, bilinear: 1, bicubic: 2 } as const;
const paddings = { zeros: 0, border: 1, reflection: 2 } as const;

export interface GridSampleOptions {
  /** How values between elements are made; `'bilinear'` (of volumes: trilinear) unless given. `'bicubic'` is for images. */
  readonly mode?: keyof typeof modes;
  /** What lies outside: zeros, the nearest element, or the mirror image; `'zeros'` unless given. */
  readonly padding?: keyof typeof paddings;
  /** Whether −1 and 1 are the centres of the first and the last element, instead of their outer edges; false unless given. */
  readonly alignCorners?: boolean;
}

interface Sampling {
  readonly mode: keyof typeof modes;
  readonly padding: keyof typeof paddings;
  readonly corners: boolean;
}

const attributesOf = ({ mode, padding, corners }: Sampling): number[] => [
  modes[mode],
  paddings[padding],
  Number(corners),
];

const gridSampleOp = defineOp<Sampling>('gridSample', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (g, node) => {
    const [x, grid] = [node.input(0), node.input(1)];
    if (recording.enabled) {
      const gradients = composedGradients(wide(g), wide(x), wide(grid), node.context);
      return gradients.map((gradient) => gradient.cast(x.dtype) as AnyTensor);
    }
    const attributes = attributesOf(node.context);
    return [
      node.needs(0) ? run(inputGradOp, [g, grid], x.shape, x.dtype, attributes) : undefined,
      node.needs(1) ? run(gridGradOp, [g, x, grid], grid.shape, x.dtype, attributes) : undefined,
    ];
  },
});
const inputGradOp: NativeOp = defineOp('gridSampleInputGrad', { dtypes: floats });
const gridGradOp: NativeOp = defineOp('gridSampleGridGrad', { dtypes: floats });

/** Elements that coordinates weigh along an axis: where they are, whether inside, their factors, and how these change with the coordinate. */
interface Taps {
  readonly place: AnyTensor;
  readonly inside: AnyTensor;
  readonly factor: AnyTensor;
  readonly slope: AnyTensor;
}

const even = (x: AnyTensor): AnyTensor => x.remainder(2).equalTo(0) as AnyTensor;

/** A position after padding, and the sign with which it follows the one before. */
function padded(position: AnyTensor, size: number, { padding, corners }: Sampling): [AnyTensor, AnyTensor] {
  const one: AnyTensor = position.detach().mul(0).add(1);
  if (padding === 'zeros') return [position, one];
  let [inside, sign] = [position, one];
  if (padding === 'reflection') {
    const low = corners ? 0 : -0.5;
    const span = corners ? size - 1 : size;
    if (span === 0) return [position.mul(0), one.mul(0)];
    const distance: AnyTensor = position.sub(low).abs();
    const turns: AnyTensor = distance.div(span).floor().detach();
    const rest: AnyTensor = distance.sub(turns.mul(span));
    const straight = even(turns) as Tensor<Shape, 'bool'>;
    inside = where(straight, rest.add(low), rest.neg().add(span + low)) as AnyTensor;
    const rising = position.less(low).notEqual(straight);
    sign = where(rising, one, one.neg()) as AnyTensor;
  }
  const within = inside.greater(0).logicalAnd(inside.less(size - 1));
  return [inside.clamp(0, size - 1) as AnyTensor, where(within, sign, 0) as AnyTensor];
}

/** Keys' cubic with a = −0.75 at a distance below 1 or from 1 to 2, and its derivative. */
const near = (x: AnyTensor): [AnyTensor, AnyTensor] => [
  x.mul(1.25).sub(2.25).mul(x).mul(x).add(1),
  x.mul(3.75).sub(4.5).mul(x),
];
const far = (x: AnyTensor): [AnyTensor, AnyTensor] => [
  x.mul(-0.75).add(3.75).mul(x).sub(6).mul(x).add(3),
  x.mul(-2.25).add(7.5).mul(x).sub(6),
];

/** The same as native/kernels/grid_sample.h, over ops. */
function tapsAlong(coordinate: AnyTensor, size: number, sampling: Sampling): Taps[] {
  const { mode, corners } = sampling;
  const scale = (corners ? size - 1 : size) / 2;
  const position: AnyTensor = coordinate
    .add(1)
    .mul(scale)
    .sub(corners ? 0 : 0.5);
  const tap = (place: AnyTensor, factor: AnyTensor, slope: AnyTensor): Taps => {
    const inside = place.greaterEqual(0).logicalAnd(place.lessEqual(size - 1));
    return { place: where(inside, place, 0).cast('int64'), inside, factor, slope } as Taps;
  };
  if (mode === 'bicubic') {
    const start: AnyTensor = position.floor().detach();
    const t: AnyTensor = position.sub(start);
    const back: AnyTensor = t.neg().add(1);
    return [far(t.add(1)), near(t), near(back), far(back.add(1))].map(([factor, slope], k) => {
      const [place] = padded(start.add(k - 1), size, sampling);
      return tap(place, factor, slope.mul(k < 2 ? scale : -scale));
    });
  }
  const [inside, sign] = padded(position, size, sampling);
  if (mode === 'nearest') return [tap(inside.detach().round(), inside.detach().mul(0).add(1), inside.mul(0))];
  const start: AnyTensor = inside.floor().detach();
  const t: AnyTensor = inside.sub(start);
  const slope: AnyTensor = sign.mul(scale);
  return [tap(start, t.neg().add(1), slope.neg()), tap(start.add(1), t, slope)];
}

/** The gradients over ops, in place of the kernels when the backward pass is recorded. */
function composedGradients(g: AnyTensor, x: AnyTensor, grid: AnyTensor, sampling: Sampling): AnyTensor[] {
  const [n, c] = x.shape as [number, number];
  const space = x.shape.slice(2);
  const outputs = sizeOf(grid.shape.slice(1, -1));
  const axes = grid.shape[4]!;
  // Axis 0 of a grid is the last of space.
  const along = Array.from({ length: axes }, (_, axis) =>
    tapsAlong(grid.select(-1, axis).reshape([n, 1, outputs]), space[2 - axis]!, sampling),
  );
  const boxes = along.reduce<Taps[][]>((all, taps) => all.flatMap((box) => taps.map((tap) => [...box, tap])), [[]]);
  const elements: AnyTensor = x.reshape([n, c, sizeOf(space)]);
  const weights: AnyTensor = g.reshape([n, c, outputs]);
  let gx = zeros(elements.shape, { dtype: x.dtype, device: x.device }) as AnyTensor;
  const ggrid = along.map(() => weights.mul(0).sum(1, { keepDims: true }) as AnyTensor);
  for (const box of boxes) {
    const inside = box.map((tap) => tap.inside).reduce((a, b) => a.logicalAnd(b) as AnyTensor);
    const flat = box.reduceRight<AnyTensor | undefined>(
      (place, tap, axis) => (place === undefined ? tap.place : place.mul(space[2 - axis]!).add(tap.place)) as AnyTensor,
      undefined,
    )!;
    const index = flat.expand([n, c, outputs]) as Tensor<Shape, 'int64'>;
    const product = (parts: AnyTensor[]): AnyTensor =>
      where(
        inside as Tensor<Shape, 'bool'>,
        parts.reduce((a, b) => a.mul(b)),
        0,
      ) as AnyTensor;
    gx = gx.scatterAdd(2, index, weights.mul(product(box.map((tap) => tap.factor)))) as AnyTensor;
    const values = elements.gather(2, index).mul(weights).sum(1, { keepDims: true }) as AnyTensor;
    box.forEach((_, axis) => {
      const slopes = box.map((tap, other) => (other === axis ? tap.slope : tap.factor));
      ggrid[axis] = ggrid[axis]!.add(values.mul(product(slopes)));
    });
  }
  return [gx.reshape(x.shape), stack(ggrid, -1).reshape(grid.shape)] as AnyTensor[];
}

function checkGrid(op: string, x: AnyTensor, grid: AnyTensor): void {
  checkTensor(op, x);
  checkTensor(op, grid, 'grid');
  checkDType(op, x.dtype, floats);
  checkDType(op, grid.dtype, floats);
  if (x.rank !== 4 && x.rank !== 5) {
    throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [n, c, h, w] or [n, c, d, h, w]`);
  }
  if (grid.rank !== x.rank || grid.shape[0] !== x.shape[0] || grid.shape[x.rank - 1] !== x.rank - 2) {
    throw new ShapeError(
      `${op}: grid does not fit: got shape ${show(grid.shape)} for x ${show(x.shape)}, ` +
        `expected [${x.shape[0]}, ${x.rank === 4 ? '' : 'd, '}h, w, ${x.rank - 2}]`,
      { grid: grid.shape, shape: x.shape },
    );
  }
  if (x.shape.slice(2).includes(0)) {
    throw new ShapeError(`${op}: nothing to sample: got shape ${show(x.shape)}, expected spatial sizes of at least 1`);
  }
}

function checkChoice(op: string, name: string, value: unknown, choices: object): void {
  if (typeof value === 'string' && Object.hasOwn(choices, value)) return;
  throw new ArgumentError(`${op}: ${name}: got ${shown(value)}, expected ${Object.keys(choices).join(', ')}`);
}

/**
 * x [n, c, h, w] (or [n, c, d, h, w]) sampled at the places of a grid [n, oh, ow, 2] (or [n, od, oh, ow, 3]): y [n, c, oh, ow]. A place is (x, y) or (x, y, z) from
 * −1, the first edge of the image, to 1, the last. A place that is not finite gives 0. In their common dtype.
 *
 * @throws ShapeError, DTypeError; ArgumentError for a mode or padding that is none.
 * @see Jaderberg et al., 2015, Spatial transformer networks; Keys, 1981, Cubic convolution interpolation for digital image processing.
 * @example
 * const x = tensor([[[[1, 2], [3, 4]]]]);
 * gridSample(x, tensor([[[[0, 0], [-0.5, 0.5]]]])); // [[[[2.5, 3]]]]
 */
export function gridSample<S extends Shape, D extends DType, G extends Shape, E extends DType>(
  x: Tensor<S, D>,
  grid: Tensor<G, E> & Ok<GridSampleCheck<S, G>>,
  options?: GridSampleOptions,
): Tensor<GridSample<S, G>, Promote<D, E>>;
export function gridSample(x: AnyTensor, grid: AnyTensor, options: GridSampleOptions = {}): AnyTensor {
  checkOptions('gridSample', options);
  const op = 'gridSample';
  checkGrid(op, x, grid);
  const { mode = 'bilinear', padding = 'zeros', alignCorners = false } = options;
  checkChoice(op, 'mode', mode, modes);
  checkChoice(op, 'padding', padding, paddings);
  if (mode === 'bicubic' && x.rank === 5) {
    throw new ArgumentError(`${op}: mode: got bicubic for shape ${show(x.shape)}, expected it for images [n, c, h, w]`);
  }
  const dtype = promote(x.dtype, grid.dtype);
  const [n, c] = x.shape as [number, number];
  const volume: AnyTensor = x.rank === 5 ? x : x.unsqueeze(2);
  const places: AnyTensor = x.rank === 5 ? grid : grid.unsqueeze(1);
  const sampling = { mode, padding, corners: Boolean(alignCorners) };
  const shape = [n, c, ...places.shape.slice(1, -1)];
  const inputs = [volume.cast(dtype) as AnyTensor, places.cast(dtype) as AnyTensor];
  const y = run(gridSampleOp, inputs, shape, dtype, attributesOf(sampling), sampling);
  return x.rank === 5 ? y : y.squeeze(2);
}

export interface AffineGridOptions {
  /** As in {@link gridSample}; false unless given. */
  readonly alignCorners?: boolean;
}

/**
 * The places that affine maps theta [n, 2, 3] (or [n, 3, 4]) send the elements of an output of size [n, c, h, w] (or [n, c, d, h, w]) to: a grid [n, h, w, 2] (or
 * [n, d, h, w, 3]) for {@link gridSample}.
 *
 * @throws ShapeError, DTypeError.
 * @see Jaderberg et al., 2015, Spatial transformer networks.
 * @example
 * affineGrid(tensor([[[1, 0, 0], [0, 1, 0]]]), [1, 1, 1, 2]); // [[[[-0.5, 0], [0.5, 0]]]]
 */
export function affineGrid<D extends DType, const Size extends Shape>(
  theta: Tensor<Shape, D>,
  size: Size,
  options?: AffineGridOptions,
): Tensor<AffineGrid<Size>, D>;
export function affineGrid(theta: AnyTensor, size: Shape, options: AffineGridOptions = {}): AnyTensor {
  checkOptions('affineGrid', options);
  const op = 'affineGrid';
  checkTensor(op, theta, 'theta');
  checkDType(op, theta.dtype, floats);
  checkShape(op, size);
  const axes = size.length - 2;
  if ((axes !== 2 && axes !== 3) || !sameShape(theta.shape, [size[0]!, axes, axes + 1])) {
    throw new ShapeError(
      `${op}: theta does not fit: got shape ${show(theta.shape)} for size ${show(size)}, ` +
        'expected [n, 2, 3] for [n, c, h, w] or [n, 3, 4] for [n, c, d, h, w]',
    );
  }
  const { alignCorners = false } = options;
  const maps = wide(theta);
  const space = size.slice(2);
  // What one coordinate of the output contributes to all of a place, along its own axis.
  const terms = space.map((count, i) => {
    const steps = arange(count, { dtype: 'float64', device: theta.device }) as AnyTensor;
    const scale = alignCorners ? (count === 1 ? 0 : 2 / (count - 1)) : 2 / count;
    const start = alignCorners ? (count === 1 ? 0 : -1) : 1 / count - 1;
    const coordinates = steps.mul(scale).add(start).cast(maps.dtype) as AnyTensor;
    const ones = new Array<number>(axes).fill(1);
    const along = coordinates.reshape([1, ...ones.map((one, axis) => (axis === i ? count : one)), 1]);
    return along.mul(maps.select(2, axes - 1 - i).reshape([size[0]!, ...ones, axes])) as AnyTensor;
  });
  const shift = maps.select(2, axes).reshape([size[0]!, ...space.map(() => 1), axes]);
  return terms.reduce((sum, term) => sum.add(term) as AnyTensor, shift).cast(theta.dtype) as AnyTensor;
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    gridSample<G extends Shape, E extends DType>(
      grid: Tensor<G, E> & Ok<GridSampleCheck<S, G>>,
      options?: GridSampleOptions,
    ): Tensor<GridSample<S, G>, Promote<D, E>>;
  }
}
installMethods({ gridSample });
