/** Tensors out of nothing and out of data: filled, counted, and from arrays. */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { allocateStorage, writeStorage } from '../runtime/storage';
import { isArrayItem, type ArrayItem } from '../tensor/array-item';
import { shown } from '../tensor/describe';
import { arrays, decode, encode, isDType, isFloat, sizes, type ArrayOf, type DType } from '../tensor/dtype';
import type { IndexTensor } from '../tensor/index-types';
import type { OneHot } from '../tensor/layer-shape-types';
import type { NestedArray, NestedCheck, NestedDType, NestedShape } from '../tensor/operand-types';
import type { Ok, Shape, Sized } from '../tensor/shape-types';
import { checkShape, maxRank, show, sizeOf } from '../tensor/shapes';
import { contiguousTensor, type Tensor, type AnyTensor } from '../tensor/tensor';
import { creation, ownShape, type CreationOptions } from './creation-options';
import { checkOptions, allDTypes, checkTensor, defineOp, run, runInto, installMethods } from './define';
import { checkChoice } from '../tensor/checks';
import { describe } from '../tensor/describe';

export type { CreationOptions };

const finish = (x: AnyTensor, requiresGrad: boolean): AnyTensor => (requiresGrad ? x.requiresGrad_() : x);

// ------------------------------------------------------------------------------------------------------------------- filled

const fillOp = defineOp('fill', { dtypes: allDTypes });

function filled(op: string, shape: Shape, value: number, options?: CreationOptions, otherwise?: DType): AnyTensor {
  const { dtype, device, requiresGrad } = creation(op, options, otherwise);
  return finish(fill(ownShape(op, shape), value, dtype, device), requiresGrad);
}

function fill(shape: Shape, value: number, dtype: DType, device: number): AnyTensor {
  return run(fillOp, [], shape, dtype, [value], undefined, dtype, shape, device);
}

/**
 * Zeros.
 *
 * @throws ShapeError when an entry of the shape is no size.
 * @example
 * zeros([2, 2]); // [[0, 0], [0, 0]]
 */
export function zeros<const S extends Shape, D extends DType = 'float32'>(
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  return filled('zeros', shape, 0, options) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/**
 * Ones.
 *
 * @throws ShapeError when an entry of the shape is no size.
 * @example
 * ones([2], { dtype: 'int32' }); // [1, 1]
 */
export function ones<const S extends Shape, D extends DType = 'float32'>(
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  return filled('ones', shape, 1, options) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/**
 * One value everywhere. The dtype is float32 for a number and bool for a boolean unless given; a fraction is cut off for integers.
 *
 * @throws ShapeError when an entry of the shape is no size.
 * @throws DTypeError when the dtype cannot hold the value.
 * @example
 * full([2], 7); // [7, 7]
 */
export function full<
  const S extends Shape,
  V extends number | boolean,
  D extends DType = V extends boolean ? 'bool' : 'float32',
>(shape: S, value: V, options?: CreationOptions<D>): Tensor<Sized<S>, NoInfer<D>> {
  const otherwise = typeof value === 'boolean' ? 'bool' : 'float32';
  const element = elementOf('full', value, options?.dtype ?? otherwise);
  return filled('full', shape, element, options, otherwise) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

/** A value as an element of `dtype`. */
function elementOf(op: string, value: number | boolean, dtype: DType): number {
  // What is no dtype is refused where the tensor is made.
  if (!isDType(dtype)) return 0;
  if (isFloat(dtype) && (typeof value === 'number' || typeof value === 'boolean')) return Number(value);
  return Number(encode(dtype, [value], op)[0]);
}

/**
 * Memory as it is: fill it before reading.
 *
 * @throws ShapeError when an entry of the shape is no size.
 * @example
 * empty([2, 3]).shape; // [2, 3]
 */
export function empty<const S extends Shape, D extends DType = 'float32'>(
  shape: S,
  options?: CreationOptions<D>,
): Tensor<Sized<S>, NoInfer<D>> {
  const { dtype, device, requiresGrad } = creation('empty', options);
  const own = ownShape('empty', shape);
  const storage = allocateStorage(device, sizeOf(own) * sizes[dtype], 'empty');
  return finish(contiguousTensor(storage, dtype, own), requiresGrad) as unknown as Tensor<Sized<S>, NoInfer<D>>;
}

function like(op: string, x: AnyTensor, options: CreationOptions = {}): CreationOptions {
  checkOptions(op, options);
  checkTensor(op, x);
  return { dtype: x.dtype, device: x.device, ...options };
}

/**
 * Zeros in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @example
 * zerosLike(tensor([1, 2])); // [0, 0]
 */
export function zerosLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  checkTensor('zerosLike', x);
  return filled('zerosLike', x.shape, 0, like('zerosLike', x, options)) as unknown as Tensor<S, E>;
}

/**
 * Ones in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @example
 * onesLike(tensor([3, 2])); // [1, 1]
 */
export function onesLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  checkTensor('onesLike', x);
  return filled('onesLike', x.shape, 1, like('onesLike', x, options)) as unknown as Tensor<S, E>;
}

/**
 * One value everywhere, in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @throws DTypeError when the dtype cannot hold the value.
 * @example
 * fullLike(tensor([1, 2]), 5); // [5, 5]
 */
export function fullLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  value: number | boolean,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  const merged = like('fullLike', x, options);
  const element = elementOf('fullLike', value, creation('fullLike', merged).dtype);
  return filled('fullLike', x.shape, element, merged) as unknown as Tensor<S, E>;
}

/**
 * Memory as it is, in the shape, dtype and device of x, where the options do not say otherwise.
 *
 * @example
 * emptyLike(tensor([1, 2])).shape; // [2]
 */
export function emptyLike<S extends Shape, D extends DType, E extends DType = D>(
  x: Tensor<S, D>,
  options?: CreationOptions<E>,
): Tensor<S, NoInfer<E>> {
  checkTensor('emptyLike', x);
  return empty(x.shape, like('emptyLike', x, options)) as unknown as Tensor<S, E>;
}

/**
 * Sets every element of x to `value`, in place. Not recorded.
 *
 * @throws DTypeError when the dtype cannot hold the value.
 * @example
 * zeros([2]).fill_(3); // [3, 3]
 */
function fill_<T extends AnyTensor>(x: T, value: number | boolean): T {
  checkTensor('fill_', x);
  runInto(fillOp, [], [x], [elementOf('fill_', value, x.dtype)]);
  return x;
}

/**
 * Sets every element of x to 0, in place. Not recorded.
 *
 * @example
 * ones([2]).zero_(); // [0, 0]
 */
function zero_<T extends AnyTensor>(x: T): T {
  checkTensor('zero_', x);
  runInto(fillOp, [], [x], [0]);
  return x;
}

// ------------------------------------------------------------------------------------------------------------------ counted

const arangeOp = defineOp('arange', { dtypes: allDTypes });
const linspaceOp = defineOp('linspace', { dtypes: allDTypes });

/**
 * The numbers from `start` up to, but without, `end`: `start, start + step, …`.
 *
 * @throws ArgumentError when the bounds are not finite, the step is 0 or points away from the end, or they do not fit an integer dtype.
 * @example
 * arange(2, 10, 3); // [2, 5, 8]
 */
export function arange<D extends DType = 'float32'>(
  end: number,
  options?: CreationOptions<D>,
): Tensor<[number], NoInfer<D>>;
export function arange<D extends DType = 'float32'>(
  start: number,
  end: number,
  options?: CreationOptions<D>,
): Tensor<[number], NoInfer<D>>;
export function arange<D extends DType = 'float32'>(
  start: number,
  end: number,
  step: number,
  options?: CreationOptions<D>,
): Tensor<[number], NoInfer<D>>;
export function arange(...given: (number | CreationOptions | undefined)[]): AnyTensor {
  const options = given.find((argument): argument is CreationOptions => typeof argument === 'object');
  const numbers = given.filter((argument): argument is number => typeof argument === 'number');
  const [start = NaN, end = NaN, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  const { dtype, device, requiresGrad } = creation('arange', options);
  for (const value of [start, end, step]) {
    if (!Number.isFinite(value) || (!isFloat(dtype) && !Number.isInteger(value))) {
      throw new ArgumentError(
        `arange: bounds: got start ${start}, end ${end}, step ${step}, expected finite numbers that fit ${dtype}`,
      );
    }
  }
  if (step === 0 || (end - start) * step < 0) {
    throw new ArgumentError(`arange: step: got ${step}, expected one that leads from ${start} to ${end}`);
  }
  const shape = [Math.ceil((end - start) / step)];
  checkShape('arange', shape);
  const attributes = [start, step];
  return finish(run(arangeOp, [], shape, dtype, attributes, attributes, dtype, shape, device), requiresGrad);
}

/**
 * `count` numbers at equal distances from `start` to `end`, both included.
 *
 * @throws ArgumentError when the bounds are not finite; ShapeError when the count is no size.
 * @example
 * linspace(0, 1, 5); // [0, 0.25, 0.5, 0.75, 1]
 */
export function linspace<const N extends number, D extends DType = 'float32'>(
  start: number,
  end: number,
  count: N,
  options?: CreationOptions<D>,
): Tensor<[N], NoInfer<D>> {
  return spaced('linspace', start, end, count, options ?? {}) as unknown as Tensor<[N], NoInfer<D>>;
}

export interface LogspaceOptions<D extends DType = DType> extends CreationOptions<D> {
  /** 10 unless given. */
  readonly base?: number;
}

/**
 * `base` to the power of `count` numbers at equal distances from `start` to `end`.
 *
 * @throws ArgumentError when the bounds are not finite; ShapeError when the count is no size.
 * @example
 * logspace(0, 2, 3); // [1, 10, 100]
 */
export function logspace<const N extends number, D extends DType = 'float32'>(
  start: number,
  end: number,
  count: N,
  options: LogspaceOptions<D> = {},
): Tensor<[N], NoInfer<D>> {
  checkOptions('logspace', options);
  const { base = 10, requiresGrad = false, ...rest } = options;
  const { dtype } = creation('logspace', rest);
  const wide = { ...rest, dtype: 'float64' } as const;
  const exponents = spaced('logspace', start, end, count, wide);
  for (const bound of [start, end]) elementOf('logspace', base ** bound, dtype);
  // Rounded to narrower floats the quicker power is as exact.
  const isQuick = isFloat(dtype) && dtype !== 'float64' && base > 0;
  const powers = isQuick ? exponents.mul(Math.log2(base)).exp2() : full([], base, wide).pow(exponents as never);
  const y = powers.cast(dtype) as AnyTensor;
  return (requiresGrad ? y.requiresGrad_() : y) as unknown as Tensor<[N], NoInfer<D>>;
}

/** Numbers at equal distances, between bounds that fit the dtype. */
function spaced(op: string, start: number, end: number, count: number, options: CreationOptions): AnyTensor {
  const { dtype, device, requiresGrad } = creation(op, options);
  if (!Number.isFinite(start) || !Number.isFinite(end)) {
    throw new ArgumentError(`${op}: bounds: got ${shown(start)} and ${shown(end)}, expected finite numbers`);
  }
  const shape = [count];
  checkShape(op, shape);
  for (const bound of [start, end]) elementOf(op, bound, dtype);
  const attributes = [start, end];
  return finish(run(linspaceOp, [], shape, dtype, attributes, attributes, dtype, shape, device), requiresGrad);
}

export interface MeshgridOptions {
  /** `'ij'`: vector i varies along axis i; `'xy'`: the first one along the columns, the second along the rows, as of images. `'ij'` unless given. */
  readonly indexing?: 'ij' | 'xy';
}

/**
 * The grid of several vectors: tensor i of the result has the shape of all lengths, and varies along axis i as vector i does. Views.
 *
 * @throws ShapeError when one is no vector; ArgumentError.
 * @example
 * meshgrid([tensor([1, 2]), tensor([3, 4])])[1]; // [[3, 4], [3, 4]]
 * meshgrid([tensor([1, 2]), tensor([3, 4])], { indexing: 'xy' })[1]; // [[3, 3], [4, 4]]
 */
export function meshgrid<D extends DType>(
  vectors: readonly Tensor<Shape, D>[],
  options?: MeshgridOptions,
): Tensor<Shape, D>[];
export function meshgrid(vectors: readonly AnyTensor[], options: MeshgridOptions = {}): AnyTensor[] {
  checkOptions('meshgrid', options);
  const { indexing = 'ij' } = options;
  checkChoice('meshgrid', 'indexing', indexing, ['ij', 'xy']);
  if (!Array.isArray(vectors)) {
    throw new ArgumentError(`meshgrid: vectors: got ${describe(vectors)}, expected an array of tensors`);
  }
  const shape = (vectors as readonly AnyTensor[]).map((vector, i) => {
    checkTensor('meshgrid', vector, `vectors[${i}]`);
    if (vector.rank > 1) {
      throw new ShapeError(`meshgrid: vectors[${i}]: got shape ${show(vector.shape)}, expected one axis`);
    }
    return vector.size;
  });
  const spread = (vector: AnyTensor, along: number): AnyTensor =>
    vector.reshape(shape.map((size, axis) => (axis === along ? size : 1))).expand(shape);
  if (indexing === 'ij' || shape.length < 2) return (vectors as readonly AnyTensor[]).map(spread);
  const [first, second, ...rest] = vectors as readonly AnyTensor[];
  [shape[0], shape[1]] = [shape[1]!, shape[0]!];
  return [spread(first!, 1), spread(second!, 0), ...rest.map((vector, i) => spread(vector, i + 2))];
}

const oneHotOp = defineOp('oneHot', { dtypes: ['int64', 'int32'] });

/**
 * Rows of zeros with a one at each index: y[…, c] = 1 where index[…] = c, in float32 unless given.
 *
 * @throws DTypeError unless the index is int32 or int64. IndexError, at the next read, for an index outside [0, classes).
 * @example
 * oneHot(tensor([1, 0], { dtype: 'int32' }), 3); // [[0, 1, 0], [1, 0, 0]]
 */
export function oneHot<S extends Shape, E extends DType, const N extends number, D extends DType = 'float32'>(
  index: IndexTensor<S, E, 'oneHot'>,
  classes: N,
  options: { readonly dtype?: D } = {},
): Tensor<OneHot<S, N>, NoInfer<D>> {
  checkTensor('oneHot', index, 'index');
  const { dtype } = creation('oneHot', options);
  if (!oneHotOp.dtypes.includes(index.dtype)) {
    throw new DTypeError(`oneHot: index: got ${index.dtype}, expected int64 or int32`);
  }
  const shape = [...index.shape, classes];
  checkShape('oneHot', shape);
  return run(oneHotOp, [index], shape, dtype) as unknown as Tensor<OneHot<S, N>, NoInfer<D>>;
}

// --------------------------------------------------------------------------------------------------------------- from data

export interface TensorOptions<D extends DType = DType> extends CreationOptions<D> {
  /** For flat data: the shape it has in row-major order. */
  readonly shape?: Shape;
}

/** The dtype that a typed array has by itself. */
const ownDTypes: readonly (readonly [new (length: number) => ArrayBufferView, DType])[] = [
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
  [BigInt64Array, 'int64'],
  [Int32Array, 'int32'],
  [Int16Array, 'int16'],
  [Int8Array, 'int8'],
  [Uint8Array, 'uint8'],
  [Uint8ClampedArray, 'uint8'],
];

/**
 * A tensor of the given data: a number, boolean or bigint, arrays of them nested to any depth, a typed array (a Buffer is one of bytes), or what readers
 * answer, `{ dtype, shape, data }`. The dtype is that of the data unless given: float32 for numbers, bool for booleans, int64 for bigints, its own for a
 * typed array. For float16 and bfloat16 a Uint16Array holds their bits. The data is copied.
 *
 * @throws ShapeError when the arrays are ragged or do not fill `shape`.
 * @throws DTypeError when a value does not fit the dtype; ArgumentError when one is no number.
 * @example
 * tensor([[1, 2], [3, 4]]); // [[1, 2], [3, 4]]
 * tensor(new Float32Array(6), { shape: [2, 3] }).shape; // [2, 3]
 * tensor({ dtype: 'uint8', shape: [1, 2], data: Uint8Array.of(7, 8) }); // [[7, 8]]
 */
export function tensor<
  A extends NestedArray | ArrayItem,
  D extends DType = NestedDType<A>,
  const T extends Shape | undefined = undefined,
>(
  data: A & Ok<NestedCheck<A>>,
  options?: CreationOptions<D> & { readonly shape?: T },
): Tensor<T extends Shape ? Sized<T> : NestedShape<A>, NoInfer<D>>;
export function tensor(data: unknown, options: TensorOptions = {}): AnyTensor {
  checkOptions('tensor', options);
  if (isArrayItem(data)) {
    const { dtype = data.dtype, shape = data.shape } = options;
    const values = dtype === data.dtype ? data.data : decode(data.dtype, data.data);
    return upload('tensor', typedArray(values as ArrayBufferView), shape, { ...options, dtype });
  }
  if (ArrayBuffer.isView(data)) {
    const values = typedArray(data);
    return upload('tensor', values, options.shape ?? [values.length], options, ownDType(values, options.dtype));
  }
  const shape = nestedShape(data);
  const count = sizeOf(shape);
  if (options.shape !== undefined) checkCount(count, options.shape);
  const dtype = options.dtype;
  if (dtype === undefined || dtype === 'float32' || dtype === 'float64') {
    // Nearly all data is numbers for a float tensor: those are written without a list in between.
    const values = dtype === 'float64' ? new Float64Array(count) : new Float32Array(count);
    if (fillNumbers(data, shape, values)) return upload('tensor', values, options.shape ?? shape, options);
  }
  const leaves: (number | bigint | boolean)[] = [];
  collect(data, shape, leaves);
  return upload('tensor', leaves, options.shape ?? shape, options, leafDType(leaves));
}

type TypedArray = ArrayLike<number | bigint> & ArrayBufferView;

function typedArray(data: ArrayBufferView): TypedArray {
  if (data instanceof DataView) throw new ArgumentError('tensor: data: got a DataView, expected a typed array');
  return data as TypedArray;
}

function ownDType(values: TypedArray, given: DType | undefined): DType {
  const own = ownDTypes.find(([arrayClass]) => values instanceof arrayClass)?.[1] ?? given;
  if (own !== undefined) return own;
  throw new ArgumentError(
    `tensor: data: got ${describe(values)}, which has no dtype of its own, expected options with a dtype`,
  );
}

/** The shape that the first elements at each level span. */
function nestedShape(data: unknown): number[] {
  const shape: number[] = [];
  let level = data;
  // One axis too many is enough for checkShape, and an array that holds itself has no end.
  while (shape.length <= maxRank && (Array.isArray(level) || ArrayBuffer.isView(level))) {
    const { length } = level as unknown as ArrayLike<unknown>;
    shape.push(length);
    level = (level as unknown as ArrayLike<unknown>)[0];
  }
  checkShape('tensor', shape);
  return shape;
}

/** Writes the numbers of `data`; answers false when something else is among them. */
function fillNumbers(data: unknown, shape: Shape, values: Float32Array | Float64Array): boolean {
  let at = 0;
  const last = shape.length - 1;
  const position: number[] = [];
  const level = (entry: unknown, axis: number): boolean => {
    if (axis > last) {
      if (typeof entry !== 'number') return false;
      values[at++] = entry;
      return true;
    }
    const row = rowOf(entry, shape, axis, position);
    for (let i = 0; i < row.length; i++) {
      const value = row[i];
      if (axis === last) {
        if (typeof value !== 'number') return false;
        values[at++] = value;
      } else {
        position[axis] = i;
        if (!level(value, axis + 1)) return false;
      }
    }
    return true;
  };
  return level(data, 0);
}

/** Gathers the elements of `data`, whatever they are. */
function collect(data: unknown, shape: Shape, leaves: unknown[]): void {
  const position: number[] = [];
  const level = (entry: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (Array.isArray(entry) || ArrayBuffer.isView(entry)) {
        throw ragged(position, axis, describe(entry), 'a number');
      }
      leaves.push(entry);
      return;
    }
    const row = rowOf(entry, shape, axis, position);
    for (let i = 0; i < row.length; i++) {
      position[axis] = i;
      level(row[i], axis + 1);
    }
  };
  level(data, 0);
}

function rowOf(entry: unknown, shape: Shape, axis: number, position: readonly number[]): ArrayLike<unknown> {
  if (!Array.isArray(entry) && !ArrayBuffer.isView(entry)) {
    throw ragged(position, axis, describe(entry), `an array of length ${shape[axis]}`);
  }
  const row = entry as unknown as ArrayLike<unknown>;
  if (row.length !== shape[axis]) throw ragged(position, axis, `length ${row.length}`, `length ${shape[axis]}`);
  return row;
}

function ragged(position: readonly number[], axis: number, got: string, expected: string): ShapeError {
  const at = position.slice(0, axis);
  return new ShapeError(
    `tensor: ragged array: got ${got} at ${at.map((i) => `[${i}]`).join('')}, expected ${expected}`,
    { position: at },
  );
}

function leafDType(leaves: readonly unknown[]): DType {
  if (leaves.length === 0) return 'float32';
  if (leaves.every((leaf) => typeof leaf === 'boolean')) return 'bool';
  return leaves.every((leaf) => typeof leaf === 'bigint') ? 'int64' : 'float32';
}

function checkCount(count: number, shape: Shape): void {
  checkShape('tensor', shape);
  if (sizeOf(shape) === count) return;
  throw new ShapeError(
    `tensor: data does not fill the shape: got ${count} elements, expected ${sizeOf(shape)} for ${show(shape)}`,
    { count, shape },
  );
}

function upload(
  op: string,
  values: ArrayLike<number | bigint | boolean>,
  shape: Shape,
  options: CreationOptions | undefined,
  otherwise?: DType,
): AnyTensor {
  const { dtype, device, requiresGrad } = creation(op, options, otherwise);
  checkCount(values.length, shape);
  const isBits = values instanceof Uint16Array && (dtype === 'float16' || dtype === 'bfloat16');
  const isOwn = dtype !== 'bool' && values instanceof arrays[dtype] && !(values instanceof Uint16Array);
  const bytes = isBits || isOwn ? (values as unknown as ArrayOf<DType>) : encode(dtype, values, op);
  return finish(uploadBytes(op, bytes, dtype, [...shape], device), requiresGrad);
}

function uploadBytes(op: string, bytes: ArrayBufferView, dtype: DType, shape: Shape, device: number): AnyTensor {
  const storage = allocateStorage(device, bytes.byteLength, op);
  if (bytes.byteLength > 0) writeStorage(storage, 0, bytes, op);
  return contiguousTensor(storage, dtype, shape);
}

export interface FromBufferOptions<D extends DType = DType> extends CreationOptions<D> {
  /** One axis over all elements unless given. */
  readonly shape?: Shape;
}

/**
 * A tensor over a copy of raw bytes: elements of the dtype in this machine's byte order, row-major.
 *
 * @throws ShapeError when the bytes are not those of the shape.
 * @example
 * fromBuffer(Buffer.from([1, 0, 2, 0]), { dtype: 'int16' }); // [1, 2]
 */
export function fromBuffer<D extends DType = 'float32'>(
  bytes: ArrayBufferView | ArrayBuffer,
  options?: FromBufferOptions<D>,
): Tensor<Shape, D>;
export function fromBuffer(bytes: ArrayBufferView | ArrayBuffer, options: FromBufferOptions = {}): AnyTensor {
  checkOptions('fromBuffer', options);
  const { dtype, device, requiresGrad } = creation('fromBuffer', options);
  if (!ArrayBuffer.isView(bytes) && !(bytes instanceof ArrayBuffer)) {
    throw new ArgumentError(`fromBuffer: bytes: got ${describe(bytes)}, expected a Buffer, ArrayBuffer or typed array`);
  }
  const shape = ownShape('fromBuffer', options.shape ?? [Math.floor(bytes.byteLength / sizes[dtype])]);
  if (sizeOf(shape) * sizes[dtype] !== bytes.byteLength) {
    throw new ShapeError(
      `fromBuffer: bytes do not fill the shape: got ${bytes.byteLength} bytes, expected ${sizeOf(shape) * sizes[dtype]} ` +
        `for ${show(shape)} of ${dtype}`,
      { shape },
    );
  }
  const view = ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes);
  return finish(uploadBytes('fromBuffer', view, dtype, shape, device), requiresGrad);
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    fill_(value: number | boolean): this;
    zero_(): this;
  }
}
installMethods({ fill_, zero_ });
