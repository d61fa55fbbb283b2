/** The different elements of a tensor, with where they went and how often they occur. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { normalizeAxis } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, full, ones, zeros } from './creation';
import { checkOptions, checkTensor, installMethods } from './define';
import { later, now, type KnownLater } from './known-later';
import { nonzeroPlaces } from './masks';
import { cat } from './movement';

export interface UniqueOptions {
  /** Compares slices along this axis; single elements of the flattened tensor unless given. */
  readonly axis?: number;
  /** Only merges equal neighbours, in the order they come in. */
  readonly consecutive?: boolean;
}

export interface Unique<D extends DType> {
  /** The different elements, or slices: ascending, unless `consecutive`. */
  readonly values: Tensor<Shape, D>;
  /** Where each element, or slice, of the input stands among the values: int64. Without an axis it has the input's shape. */
  readonly inverse: Tensor<Shape, 'int64'>;
  /** How many elements, or slices, each value stands for: int64. */
  readonly counts: Tensor<[number], 'int64'>;
}

function distinct<D extends DType>(x: Tensor<Shape, D>, options: UniqueOptions): KnownLater<Unique<D>>;
function distinct(x: AnyTensor, { axis, consecutive = false }: UniqueOptions): KnownLater<Unique<DType>> {
  checkTensor('unique', x);
  if (typeof consecutive !== 'boolean') {
    throw new ArgumentError(`unique: consecutive: got ${shown(consecutive)}, expected true or false`);
  }
  const along = axis === undefined ? undefined : normalizeAxis('unique', axis, x.shape);
  // One row for each element or slice. Bool has an order as uint8.
  const source = (x.dtype === 'bool' ? x.detach().cast('uint8') : x.detach()) as AnyTensor;
  const slices = along === undefined ? source.reshape([-1]) : source.moveAxis(along, 0);
  const total = slices.shape[0]!;
  const rows = slices.reshape([total, total === 0 ? 0 : slices.size / total]);
  const order = consecutive ? arange(total, { dtype: 'int64', device: x.device }) : rowOrder(rows);
  const sorted = rows.indexSelect(0, order as Index) as AnyTensor;
  const { device } = x;
  const isNew: AnyTensor =
    total === 0
      ? zeros([0], { dtype: 'bool', device })
      : cat([
          ones([1], { dtype: 'bool', device }),
          sorted
            .narrow(0, 1, total - 1)
            .notEqual(sorted.narrow(0, 0, total - 1))
            .any(1) as AnyTensor,
        ]);
  const group = isNew.cumsum(0).sub(1) as AnyTensor;
  const { count, build } = nonzeroPlaces(isNew);
  return {
    count,
    build: (n) => {
      const starts = build(n) as AnyTensor;
      const ends = cat([
        starts.narrow(0, Math.min(n, 1), Math.max(n - 1, 0)),
        full([Math.min(n, 1)], total, { dtype: 'int64', device }),
      ]);
      const values = slices.indexSelect(0, order.indexSelect(0, starts as Index) as Index);
      const places = zeros([total], { dtype: 'int64', device }).indexCopy(
        0,
        order as Index,
        group as Index,
      ) as AnyTensor;
      return {
        values: (along === undefined ? values : (values as AnyTensor).moveAxis(0, along)).cast(x.dtype),
        inverse: (along === undefined ? places.reshape(x.shape) : places) as Tensor<Shape, 'int64'>,
        counts: ends.sub(starts) as unknown as Tensor<[number], 'int64'>,
      };
    },
  };
}

type Index = Tensor<Shape, 'int64'>;

/** The order in which rows ascend, compared from their first element on: sorted by the last column first, and stably by each before it. */
function rowOrder(rows: AnyTensor): AnyTensor {
  const [total, width] = rows.shape as [number, number];
  let order: AnyTensor = arange(total, { dtype: 'int64', device: rows.device });
  for (let column = width - 1; column >= 0; column--) {
    const keys = rows.select(1, column).indexSelect(0, order as Index) as AnyTensor;
    order = order.indexSelect(0, keys.argsort() as Index) as AnyTensor;
  }
  return order;
}

/**
 * The different elements of x, ascending, with where each element went and how often each occurs; with an axis the different slices along it, in the
 * order of their elements. NaN equals nothing, not even NaN. Waits for the device without blocking.
 *
 * @throws ShapeError for an axis that x does not have.
 * @example
 * (await unique(tensor([3, 1, 3]))).values; // [1, 3]
 */
export async function unique<D extends DType>(x: Tensor<Shape, D>, options: UniqueOptions = {}): Promise<Unique<D>> {
  checkOptions('unique', options);
  return later(distinct(x, options));
}

/**
 * The same as {@link unique}, but blocks the thread.
 *
 * @example
 * uniqueSync(tensor([3, 3, 1, 3]), { consecutive: true }).counts; // [2, 1, 1]
 */
export function uniqueSync<D extends DType>(x: Tensor<Shape, D>, options: UniqueOptions = {}): Unique<D> {
  checkOptions('uniqueSync', options);
  return now(distinct(x, options));
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    unique(options?: UniqueOptions): Promise<Unique<D>>;
    uniqueSync(options?: UniqueOptions): Unique<D>;
  }
}
installMethods({ unique, uniqueSync });
