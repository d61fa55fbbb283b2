/** Distances and similarities of vectors. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { toFloat, type DType, type ToFloat } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, normalizeAxis, show } from '../tensor/shapes';
import { recording } from '../tensor/node';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { fullPrecision, operandDType } from './autocast';
import { onesLike } from './creation';
import {
  checkOptions,
  checkTensor,
  defineOp,
  installMethods,
  nativeOps,
  run,
  withGradient,
  type NativeOp,
} from './define';
import { trianglePlaces } from './diagonal';
import { product } from './matmul';
import { cat } from './movement';
import { norm, power } from './norm';
import { where } from './pointwise-compare';
import './pointwise-unary'; // defines sqrt
import { wide } from './wide';

/** Throws unless `p` is the order of a norm. */
function checkOrder(op: string, p: number): void {
  if (!(p >= 0)) throw new ArgumentError(`${op}: p: got ${shown(p)}, expected a number of at least 0`);
}

/** Two tensors that broadcast, as floats of one dtype. */
function pairOf(op: string, a: AnyTensor, b: AnyTensor): [AnyTensor, AnyTensor] {
  checkTensor(op, a, 'a');
  checkTensor(op, b, 'b');
  broadcastShapes(op, a.shape, b.shape);
  return floatsOf(op, a, b);
}

/** Two tensors of one dtype as floats. */
function floatsOf(op: string, a: AnyTensor, b: AnyTensor): [AnyTensor, AnyTensor] {
  if (a.dtype !== b.dtype) throw new DTypeError(`${op}: b: got dtype ${b.dtype}, expected ${a.dtype} as a`);
  const dtype = operandDType(fullPrecision, toFloat(a.dtype));
  return [a.cast(dtype), b.cast(dtype)];
}

export interface NormalizeOptions {
  /** Of the norm; 2 unless given. */
  readonly p?: number;
  /** 1 unless given, as in PyTorch. */
  readonly axis?: number;
  /** The least norm that is divided by; 1e-12 unless given. */
  readonly epsilon?: number;
}

/**
 * x / max(‖x‖_p, ε) along an axis.
 *
 * @throws ShapeError when the axis is out of range; ArgumentError when p is no number.
 * @example
 * normalize(tensor([[3, 4]])); // [[0.6, 0.8]]
 */
export function normalize<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options?: NormalizeOptions,
): Tensor<S, ToFloat<D>>;
export function normalize(x: AnyTensor, options: NormalizeOptions = {}): AnyTensor {
  checkOptions('normalize', options);
  const { p = 2, axis = 1, epsilon = 1e-12 } = options;
  checkTensor('normalize', x);
  const input: AnyTensor = x.cast(operandDType(fullPrecision, toFloat(x.dtype)));
  const along = normalizeAxis('normalize', axis, x.shape);
  return input.div(norm(input, along, { p, keepDims: true }).clamp(epsilon));
}

export interface CosineSimilarityOptions {
  /** 1 unless given, as in PyTorch. */
  readonly axis?: number;
  /** The least product of norms that is divided by; 1e-8 unless given. */
  readonly epsilon?: number;
}

/**
 * a·b / max(‖a‖ ‖b‖, ε) along an axis of two tensors that broadcast.
 *
 * @throws ShapeError, DTypeError.
 * @example
 * cosineSimilarity(tensor([[1, 0]]), tensor([[1, 1]])); // [0.7071]
 */
export function cosineSimilarity(a: AnyTensor, b: AnyTensor, options: CosineSimilarityOptions = {}): AnyTensor {
  checkOptions('cosineSimilarity', options);
  const { axis = 1, epsilon = 1e-8 } = options;
  const op = 'cosineSimilarity';
  const [x, y] = pairOf(op, a, b);
  const shape = broadcastShapes(op, a.shape, b.shape);
  const along = normalizeAxis(op, axis, shape);
  // Each is divided by its own norm first, so that the product of norms cannot overflow.
  const rank = Math.max(x.rank, y.rank);
  const unit = (t: AnyTensor): AnyTensor => {
    if (along - rank + t.rank < 0)
      throw new ShapeError(`${op}: got shape ${show(t.shape)}, expected one with axis ${axis}`);
    // Along the axis itself a vector of one element stands for as many as the other has.
    const own = along - rank + t.rank;
    const whole = t.expand(t.shape.map((size, i) => (i === own ? shape[along]! : size))) as AnyTensor;
    return whole.div(norm(whole, own, { keepDims: true }).clamp(epsilon));
  };
  return unit(x).mul(unit(y)).sum(along);
}

export interface PairwiseDistanceOptions {
  /** Of the norm; 2 unless given. */
  readonly p?: number;
  /** Added to each difference; 1e-6 unless given. */
  readonly epsilon?: number;
  /** Whether the last axis stays, with size 1; false unless given. */
  readonly keepDims?: boolean;
}

/**
 * ‖a − b + ε‖_p along the last axis of two tensors that broadcast.
 *
 * @throws ShapeError, DTypeError; ArgumentError when p is no number.
 * @example
 * pairwiseDistance(tensor([[0, 0]]), tensor([[3, 4]])); // [5]
 */
export function pairwiseDistance(a: AnyTensor, b: AnyTensor, options: PairwiseDistanceOptions = {}): AnyTensor {
  checkOptions('pairwiseDistance', options);
  const { p = 2, epsilon = 1e-6, keepDims = false } = options;
  const op = 'pairwiseDistance';
  const [x, y] = pairOf(op, a, b);
  if (x.rank === 0 && y.rank === 0) throw new ShapeError(`${op}: got scalars, expected vectors [..., d]`);
  return norm(x.sub(y).add(epsilon) as AnyTensor, -1, { p, keepDims });
}

/** The square root, with the subgradient 0 where it is 0. */
const distanceOp = withGradient(
  nativeOps.get('sqrt')!,
  (g, node) => {
    const y = node.output();
    return [g.mul(0.5).div(where(y.equalTo(0), Infinity, y))];
  },
  { outputs: true },
);

const cdistOp: NativeOp<readonly number[]> = defineOp('cdist', {
  dtypes: ['float64', 'float32'],
  saves: { inputs: true, outputs: true },
  gradient: (g, node) => {
    const [a, b, y] = [node.input(0), node.input(1), node.output()];
    const p = node.context[0]!;
    if (recording.enabled) {
      const slopes = slopeOf(a.unsqueeze(-2).sub(b.unsqueeze(-3)), y.unsqueeze(-1), p).mul(g.unsqueeze(-1));
      return [slopes.sum(-2), slopes.sum(-3).neg()];
    }
    const back = (...inputs: [g: AnyTensor, a: AnyTensor, b: AnyTensor, y: AnyTensor]): AnyTensor =>
      run(cdistBackwardOp, inputs, inputs[1].shape, g.dtype, [p]);
    return [
      node.needs(0) ? back(g, a, b, y) : undefined,
      node.needs(1) ? back(g.transpose(), b, a, y.transpose()) : undefined,
    ];
  },
});
const cdistBackwardOp = defineOp('cdistBackward', { dtypes: cdistOp.dtypes });

/** How distances y move with differences, which they broadcast to; 0 where those are 0. */
function slopeOf(difference: AnyTensor, y: AnyTensor, p: number): AnyTensor {
  const sign: AnyTensor = difference.sign();
  if (p === 0) return sign.mul(0);
  if (p === 1) return sign;
  if (p === Infinity) return sign.mul(difference.abs().equalTo(y).cast(y.dtype));
  const share: AnyTensor = difference.div(where(y.equalTo(0), 1, y));
  return p === 2 ? share : sign.mul(power(share.abs(), p - 1));
}

/** The distances of every row of a from every row of b, without rounding in between. */
function distances(a: AnyTensor, b: AnyTensor, p: number): AnyTensor {
  const batch = broadcastShapes('cdist', a.shape.slice(0, -2), b.shape.slice(0, -2));
  // The kernels want adjacent rows.
  const [x, y] = [a, b].map((t): AnyTensor => {
    const whole: AnyTensor = wide(t).expand([...batch, ...t.shape.slice(-2)]);
    return whole.strides.at(-1) === 1 || whole.shape.at(-1)! <= 1 ? whole : whole.contiguous();
  }) as [AnyTensor, AnyTensor];
  return run(cdistOp, [x, y], [...batch, x.shape.at(-2)!, y.shape.at(-2)!], x.dtype, [p]).cast(a.dtype) as AnyTensor;
}

export interface CdistOptions {
  /** Of the norm; 2 unless given. */
  readonly p?: number;
}

/**
 * The distance ‖a_i − b_j‖_p of every row of a [..., n, d] from every row of b [..., m, d]: [..., n, m]. For p = 2 with more than 25 rows on a side
 * it is computed from the product of the matrices, as in PyTorch. Of equal largest differences each gets the whole gradient where p is infinite.
 *
 * @throws ShapeError, DTypeError; ArgumentError for a negative p.
 * @example
 * cdist(tensor([[0, 0], [1, 0]]), tensor([[0, 1]]), { p: 1 }); // [[1], [2]]
 */
export function cdist(a: AnyTensor, b: AnyTensor, options: CdistOptions = {}): AnyTensor {
  checkOptions('cdist', options);
  const { p = 2 } = options;
  const op = 'cdist';
  checkTensor(op, a, 'a');
  checkTensor(op, b, 'b');
  checkOrder(op, p);
  const size = a.shape[a.rank - 1];
  if (a.rank < 2 || b.rank < 2 || size !== b.shape[b.rank - 1]) {
    throw new ShapeError(
      `${op}: shapes do not fit: got a ${show(a.shape)} and b ${show(b.shape)}, expected [..., n, d] and [..., m, d]`,
    );
  }
  const [x, y] = floatsOf(op, a, b);
  if (p !== 2 || (a.shape[a.rank - 2]! <= 25 && b.shape[b.rank - 2]! <= 25)) return distances(x, y, p);
  const [rows, columns] = [wide(x), wide(y)];
  // ‖a‖² − 2 a·b + ‖b‖² as one product, [−2a, ‖a‖², 1] · [b, 1, ‖b‖²].
  const squares = (points: AnyTensor): AnyTensor => points.square().sum(-1, { keepDims: true }) as AnyTensor;
  const [of, and] = [squares(rows), squares(columns)];
  const left = cat([rows.mul(-2), of, onesLike(of)], -1) as AnyTensor;
  const right = cat([columns, onesLike(and), and], -1) as AnyTensor;
  const total = product(left, right.transpose() as AnyTensor).relu() as AnyTensor;
  return run(distanceOp, [total], total.shape, total.dtype).cast(x.dtype) as AnyTensor;
}

/**
 * The distance ‖x_i − x_j‖_p of every two rows i < j of x [n, d], in the order of i and then of j: [n (n − 1) / 2].
 *
 * @throws ShapeError, DTypeError; ArgumentError for a negative p.
 * @example
 * pdist(tensor([[0, 0], [3, 4], [3, 0]])); // [5, 3, 4]
 */
export function pdist<D extends DType>(x: Tensor<Shape, D>, options?: CdistOptions): Tensor<[number], ToFloat<D>>;
export function pdist(x: AnyTensor, options: CdistOptions = {}): AnyTensor {
  const op = 'pdist';
  checkOptions(op, options);
  const { p = 2 } = options;
  checkOrder(op, p);
  checkTensor(op, x);
  if (x.rank !== 2) throw new ShapeError(`${op}: got shape ${show(x.shape)}, expected [n, d]`);
  const [points] = floatsOf(op, x, x);
  const n = x.shape[0]!;
  const pairs = trianglePlaces({ rows: n, columns: n, offset: 1, isUpper: true }, x.device) as Tensor<
    [number],
    'int64'
  >;
  return distances(points, points, p).flatten().indexSelect(0, pairs);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    normalize(options?: NormalizeOptions): Tensor<S, ToFloat<D>>;
  }
}
installMethods({ normalize });
