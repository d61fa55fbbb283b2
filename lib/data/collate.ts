/** How several items become a batch: stacked, or padded to the largest first. */
import { DTypeError, ShapeError } from '../errors';
import { tensor } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { pad, stack } from '../ops/movement';
import { isArrayItem, type ArrayItem } from '../tensor/array-item';
import { checkCount, checkFinite, checkList } from '../tensor/checks';
import { arrays, encode, type ArrayOf, type DType } from '../tensor/dtype';
import type { NestedDType } from '../tensor/operand-types';
import type { Shape } from '../tensor/shape-types';
import { contiguousStrides, sameShape, show, sizeOf } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** What {@link collate} makes of several items. */
export type Collated<Item> = unknown extends Item
  ? Item
  : [Item] extends [AnyTensor]
    ? Tensor<Shape, Item['dtype']>
    : [Item] extends [number]
      ? Tensor<Shape, 'int32' | 'float32'>
      : [Item] extends [boolean]
        ? Tensor<Shape, 'bool'>
        : [Item] extends [ArrayBufferView]
          ? Tensor<Shape, NestedDType<Item>>
          : [Item] extends [Omit<ArrayItem, 'dtype'> & { readonly dtype: string }]
            ? Tensor<Shape, DType & Item['dtype']>
            : [Item] extends [object]
              ? { -readonly [Key in keyof Item]: Collated<Item[Key]> }
              : Item[];

/** How arrays and tensors are joined; numbers and booleans come as arrays. */
export interface Joiner {
  arrays(items: readonly ArrayItem[]): unknown;
  tensors(items: readonly AnyTensor[]): unknown;
}

const asTensor = (item: ArrayItem): AnyTensor => tensor(item);

/**
 * Joins items to a batch, part by part: numbers to an int32 tensor if all are integers, else float32; booleans to bool; typed arrays, {@link ArrayItem}s
 * and tensors of one shape to a tensor with a new first axis; arrays and records by their entries; anything else to an array.
 *
 * @throws ShapeError when arrays differ in shape ({@link padCollate} joins those).
 * @example
 * data.collate([{ x: Float32Array.of(1, 2), y: 0 }, { x: Float32Array.of(3, 4), y: 1 }]); // { x: [[1, 2], [3, 4]], y: [0, 1] }
 */
export function collate<Item>(items: readonly Item[]): Collated<Item> {
  checkList('collate', 'items', items);
  return joinItems(items, tensorJoiner) as Collated<Item>;
}

/** Joins items as {@link collate} does, by other means of joining arrays. */
export function joinItems(items: readonly unknown[], joiner: Joiner): unknown {
  const first = items[0];
  if (first instanceof Tensor) return joiner.tensors(items as AnyTensor[]);
  if (typeof first === 'number') return joiner.arrays(numberItems(items as number[]));
  if (typeof first === 'boolean') return joiner.arrays(items.map((item) => flagItem(item)));
  if (ArrayBuffer.isView(first)) return joiner.arrays(items.map((item) => viewItem(item)));
  if (isArrayItem(first)) return joiner.arrays(items as ArrayItem[]);
  if (Array.isArray(first))
    return first.map((_, i) =>
      joinItems(
        (items as unknown[][]).map((item) => item[i]),
        joiner,
      ),
    );
  if (typeof first === 'object' && first !== null) {
    const records = items as Record<string, unknown>[];
    return Object.fromEntries(
      Object.keys(first).map((key) => [
        key,
        joinItems(
          records.map((item) => item[key]),
          joiner,
        ),
      ]),
    );
  }
  return items;
}

export interface PadCollateOptions {
  /** What fills the room behind a shorter array; 0 unless given. */
  readonly value?: number;
  /** An axis is made a multiple of this, for kernels that like round sizes; 1 unless given. */
  readonly multipleOf?: number;
}

/**
 * A collate function for arrays of one rank but several sizes: each is padded at the end of every axis to the largest of the batch. The rest is
 * joined as {@link collate} does; let items carry their lengths to know them later.
 *
 * @example
 * const join = data.padCollate({ value: -1 });
 * join([Int32Array.of(1, 2, 3), Int32Array.of(4)]); // [[1, 2, 3], [4, -1, -1]]
 */
export function padCollate(options: PadCollateOptions = {}): <Item>(items: readonly Item[]) => Collated<Item> {
  checkOptions('padCollate', options);
  const { value = 0, multipleOf = 1 } = options;
  checkFinite('padCollate', 'value', value);
  checkCount('padCollate', 'multipleOf', multipleOf);
  const largest = (shapes: readonly (readonly number[])[]): number[] =>
    shapes[0]!.map((_, axis) => Math.ceil(Math.max(...shapes.map((shape) => shape[axis]!)) / multipleOf) * multipleOf);
  const joiner: Joiner = {
    arrays: (items) => asTensor(paddedArrays(items, largest(rankChecked(items)), value)),
    tensors: (items) => {
      const shape = largest(rankChecked(items));
      const padded = items.map((x) =>
        pad(
          x,
          shape.map((size, axis) => [0, size - x.shape[axis]!] as const),
          { value },
        ),
      );
      return stack(padded);
    },
  };
  return <Item>(items: readonly Item[]) => {
    checkList('padCollate', 'items', items);
    return joinItems(items, joiner) as Collated<Item>;
  };
}

/** Arrays of one shape and dtype, one behind the other. */
export function stackArrays(items: readonly ArrayItem[]): ArrayItem {
  const { shape } = items[0]!;
  items.forEach((item, i) => {
    if (!sameShape(item.shape, shape)) {
      throw new ShapeError(
        `collate: item ${i} of the batch: got shape ${show(item.shape)}, expected ${show(shape)} as the first`,
      );
    }
  });
  return joined(items, shape, (data, item, start) => data.set(item.data as never, start));
}

function paddedArrays(items: readonly ArrayItem[], shape: readonly number[], value: number): ArrayItem {
  const strides = contiguousStrides(shape);
  return joined(items, shape, (data, item, start) => {
    if (!sameShape(item.shape, shape))
      data.fill((item.dtype === 'int64' ? BigInt(value) : value) as never, start, start + sizeOf(shape));
    copyInto(data, strides, start, item);
  });
}

/** Copies an array row by row into the corner of a larger one. */
function copyInto(
  data: ArrayOf<DType>,
  strides: readonly number[],
  start: number,
  { shape, data: source }: ArrayItem,
): void {
  const width = shape.at(-1) ?? 1;
  const rows = width === 0 ? 0 : source.length / width;
  const position = new Array<number>(Math.max(shape.length - 1, 0)).fill(0);
  for (let row = 0; row < rows; row++) {
    const place = position.reduce((sum, at, axis) => sum + at * strides[axis]!, start);
    data.set(source.subarray(row * width, (row + 1) * width) as never, place);
    for (let axis = position.length - 1; axis >= 0 && ++position[axis]! === shape[axis]; axis--) position[axis] = 0;
  }
}

function joined(
  items: readonly ArrayItem[],
  shape: readonly number[],
  place: (data: ArrayOf<DType>, item: ArrayItem, start: number) => void,
): ArrayItem {
  const { dtype } = items[0]!;
  const size = sizeOf(shape);
  const data: ArrayOf<DType> = new arrays[dtype](items.length * size);
  items.forEach((item, i) => {
    if (item.dtype !== dtype) {
      throw new DTypeError(`collate: item ${i} of the batch: got ${item.dtype}, expected ${dtype} as the first`);
    }
    if (item.data.length !== sizeOf(item.shape)) {
      const got = `${item.data.length} elements`;
      throw new ShapeError(`collate: item ${i} of the batch: got ${got}, expected those of shape ${show(item.shape)}`);
    }
    place(data, item, i * size);
  });
  return { dtype, shape: [items.length, ...shape], data };
}

function rankChecked(items: readonly { readonly shape: readonly number[] }[]): (readonly number[])[] {
  const rank = items[0]!.shape.length;
  items.forEach(({ shape }, i) => {
    if (shape.length !== rank) {
      throw new ShapeError(
        `padCollate: item ${i} of the batch: got rank ${shape.length}, expected ${rank} as the first`,
      );
    }
  });
  return items.map(({ shape }) => shape);
}

/** To a new first axis. */
export const tensorJoiner: Joiner = {
  arrays: (items) => asTensor(stackArrays(items)),
  tensors: (items) => stack(items),
};

/** Numbers as items of no axes. */
function numberItems(numbers: readonly number[]): ArrayItem[] {
  const dtype = numbers.every((n) => Number.isInteger(n)) ? 'int32' : 'float32';
  const data = encode(dtype, numbers, 'collate');
  return numbers.map((_, i) => ({ dtype, shape: [], data: data.subarray(i, i + 1) }));
}

const flagItem = (flag: unknown): ArrayItem => ({
  dtype: 'bool',
  shape: [],
  data: Uint8Array.of(flag === true ? 1 : 0),
});

const viewDTypes: Readonly<Record<string, DType>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
};

function viewItem(view: unknown): ArrayItem {
  const kind = Object.prototype.toString.call(view).slice(8, -1);
  const dtype = viewDTypes[kind];
  if (dtype === undefined) throw new DTypeError(`collate: got ${kind}, expected ${Object.keys(viewDTypes).join(', ')}`);
  const data = view as ArrayOf<DType>;
  return { dtype, shape: [data.length], data };
}
