/**
 * The tensor: a typed view of device memory with its place in the autograd graph. Ops add their methods to it by interface merging
 * (lib/ops), as do printing (print.ts) and backward (lib/autograd), so this file imports none of them.
 */
import { ArgumentError, ShapeError } from '../errors';
import { native, translated } from '../runtime/native';
import { deviceName, type Device } from '../runtime/device';
import { detachFromScopes, disposedError } from '../runtime/storage';
import type { Storage } from '../runtime/storage';
import { refuseInTrace } from '../runtime/tape';
import { checkFunction } from './checks';
import { describe } from './describe';
import { arrays, codeOf, decode, isFloat, sizes } from './dtype';
import type { ArrayOf, DType } from './dtype';
import { collectingChanges, gradientChanges, newLeaf, type Edge, type GradientHook } from './node';
import type { Shape } from './shape-types';
import { contiguousStrides, sameShape, show, sizeOf } from './shapes';

/** Of leaves that have stopped collecting gradients. */
const frozen = new WeakMap<AnyTensor, Edge>();

/**
 * Where a tensor's gradient is, also while it requires none.
 * @internal
 */
export const leafEdge = (tensor: AnyTensor): Edge | undefined => tensor.edge ?? frozen.get(tensor);

/**
 * An n-dimensional array of one dtype on one device. Made by creation functions and ops, never by `new`.
 *
 * @example
 * const x = tensor([[1, 2], [3, 4]]);
 * console.log(x.shape, x.dtype, await x.sum().item()); // [2, 2] 'float32' 10
 */
export class Tensor<out S extends Shape = Shape, out D extends DType = 'float32'> {
  declare private readonly nominal: void;
  /** @internal */ declare readonly storage: Storage;
  declare readonly dtype: D;
  declare readonly shape: S;
  /** In elements. */
  declare readonly strides: readonly number[];
  /** Of the first element in its storage, in elements. */
  declare readonly offset: number;
  /** Whether the elements lie in row-major order without gaps. */
  declare readonly isContiguous: boolean;
  /** @internal */ declare readonly dtypeCode: number;
  /** @internal */ declare edge: Edge | undefined;

  /** @internal */
  constructor(storage: Storage, dtype: D, shape: S, strides: readonly number[], offset: number, isContiguous: boolean) {
    this.storage = storage;
    this.dtype = dtype;
    this.shape = shape;
    this.strides = strides;
    this.offset = offset;
    this.isContiguous = isContiguous;
    this.dtypeCode = codeOf(dtype);
    this.edge = undefined;
  }

  /** The number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** The number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Where the elements live: `'cpu'`. */
  get device(): Device {
    return deviceName(this.storage.device);
  }

  /** Whether operations on this tensor are recorded for `backward`. */
  get requiresGrad(): boolean {
    return this.edge !== undefined;
  }

  /** Whether the tensor was not made by a recorded op. */
  get isLeaf(): boolean {
    return this.edge?.node === undefined;
  }

  /** The gradient that `backward` has collected in this leaf. */
  get grad(): Tensor<S, D> | undefined {
    const edge = leafEdge(this as AnyTensor);
    if (edge?.grad === undefined) return undefined;
    edge.gradSeen = true;
    return edge.grad as unknown as Tensor<S, D>;
  }
  set grad(value: Tensor<S, D> | undefined) {
    if (value !== undefined) checkGradient(this as AnyTensor, value);
    const edge = this.edge ?? (this.requiresGrad_().edge as Edge);
    gradientChanges(edge, false);
    if (value !== edge.grad) edge.dropGrad('by setting grad');
    edge.grad = value;
    edge.gradSeen = value !== undefined;
  }

  /** Makes this leaf collect gradients, or stop doing so: what it has collected and its hooks stay. Floating dtypes only. */
  requiresGrad_(value = true): this {
    if (!this.isLeaf)
      throw new ArgumentError('requiresGrad_: only a leaf can be changed: got the result of a recorded op');
    if (value && !isFloat(this.dtype)) {
      throw new ArgumentError(`requiresGrad_: dtype: got ${this.dtype}, expected a floating dtype`);
    }
    collectingChanges(this.storage, value);
    if (value) {
      this.edge ??= frozen.get(this as AnyTensor) ?? newLeaf(this as AnyTensor);
    } else if (this.edge !== undefined) {
      frozen.set(this as AnyTensor, this.edge);
      this.edge = undefined;
    }
    return this;
  }

  /** Keeps the gradient of this tensor in `grad` although it is no leaf. */
  retainGrad(): this {
    if (this.edge === undefined) throw new ArgumentError('retainGrad: the tensor does not require a gradient');
    this.edge.retainsGrad = true;
    return this;
  }

  /**
   * Calls `hook` with this tensor's gradient during `backward`; what it returns replaces the gradient. Answers a function that removes the
   * hook.
   */
  registerHook(hook: GradientHook): () => void {
    const { edge } = this;
    if (edge === undefined) throw new ArgumentError('registerHook: the tensor does not require a gradient');
    checkFunction('registerHook', 'hook', hook);
    const own: GradientHook = (gradient) => hook(gradient);
    (edge.hooks ??= []).push(own);
    return () => {
      edge.hooks = edge.hooks?.filter((other) => other !== own);
    };
  }

  /** Calls `hook` whenever `backward` has added to the `grad` of this leaf. Answers a function that removes the hook. */
  registerPostAccumulateGradHook(hook: () => void): () => void {
    const { edge } = this;
    if (edge === undefined || !this.isLeaf) {
      const got = edge === undefined ? 'a tensor that requires no gradient' : 'the result of a recorded op';
      throw new ArgumentError(`registerPostAccumulateGradHook: got ${got}, expected a leaf that requires one`);
    }
    checkFunction('registerPostAccumulateGradHook', 'hook', hook);
    const own = (): void => hook();
    (edge.collected ??= []).push(own);
    return () => {
      edge.collected = edge.collected?.filter((other) => other !== own);
    };
  }

  /** The same elements, cut off from the graph. Shares storage. */
  detach(): Tensor<S, D> {
    return new Tensor(this.storage, this.dtype, this.shape, this.strides, this.offset, this.isContiguous);
  }

  /** Frees the memory now, for every view of it. Using the tensor afterwards throws `DisposedError`. */
  dispose(): void {
    this.storage.release('by dispose()');
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Keeps this tensor alive beyond the scopes it was made in; the garbage collector frees it. */
  keep(): this {
    detachFromScopes(this.storage);
    return this;
  }

  /** A copy of the elements, row-major, once the device has computed them. Waits without blocking the event loop. */
  async data(): Promise<ArrayOf<D>> {
    const source = this.readable('data');
    const { storage } = source;
    const bytes = new ArrayBuffer(source.size * sizes[this.dtype]);
    const start = source.offset * sizes[this.dtype];
    try {
      await native.read(storage.slot, storage.generation, start, bytes);
    } catch (error) {
      throw translated(error);
    }
    return new arrays[this.dtype](bytes, 0, source.size);
  }

  /** The same as {@link data}, but blocks the thread. */
  dataSync(): ArrayOf<D> {
    const source = this.readable('dataSync');
    const { storage } = source;
    const bytes = new ArrayBuffer(source.size * sizes[this.dtype]);
    try {
      native.readSync(storage.slot, storage.generation, source.offset * sizes[this.dtype], bytes);
    } catch (error) {
      throw translated(error);
    }
    return new arrays[this.dtype](bytes, 0, source.size);
  }

  /** The only element, as a number. Throws unless the tensor has exactly one. */
  async item(): Promise<number> {
    this.expectOneElement('item');
    return decode(this.dtype, await this.data())[0]!;
  }

  /** The same as {@link item}, but blocks the thread. */
  itemSync(): number {
    this.expectOneElement('itemSync');
    return decode(this.dtype, this.dataSync())[0]!;
  }

  /** The elements as nested arrays of numbers (a number for a 0-d tensor). */
  async toArray(): Promise<Nested<S>> {
    return nest(decode(this.dtype, await this.data()), this.shape) as Nested<S>;
  }

  /** The same as {@link toArray}, but blocks the thread. */
  toArraySync(): Nested<S> {
    return nest(decode(this.dtype, this.dataSync()), this.shape) as Nested<S>;
  }

  private expectOneElement(op: string): void {
    if (this.size !== 1) throw new ArgumentError(`${op}: got shape [${this.shape.join(', ')}], expected one element`);
  }

  private readable(op: string): AnyTensor {
    if (this.storage.released !== undefined) throw disposedError(op, this.storage, this.shape);
    refuseInTrace(op, 'reads what a tensor holds');
    return this.isContiguous ? this : compacted.copy(this.detach());
  }
}

/** Any tensor: every shape, every dtype. */
export type AnyTensor = Tensor<Shape, DType>;

/** A tensor, or a number that broadcasts to any shape. */
export type Operand = AnyTensor | number;

/** Numbers nested as deep as the tensor has axes. */
export type NestedNumbers = number | NestedNumbers[];

/** The elements of a tensor of shape S. */
export type Nested<S extends Shape> = S extends readonly []
  ? number
  : S extends readonly [number, ...infer Rest extends Shape]
    ? Nested<Rest>[]
    : NestedNumbers;

/** How a strided tensor becomes contiguous; filled in by lib/ops/copy.ts, which floors above this one. */
export const compacted: { copy: (tensor: AnyTensor) => AnyTensor } = {
  copy: () => {
    throw new ArgumentError('copy: lib/ops is not loaded');
  },
};

function nest(values: ArrayLike<number>, shape: Shape): NestedNumbers {
  let at = 0;
  const level = (axis: number): NestedNumbers =>
    axis === shape.length ? values[at++]! : Array.from({ length: shape[axis]! }, () => level(axis + 1));
  return level(0);
}

/** Throws unless `value` has the shape and the dtype of `x`, whose gradient it is to be. */
function checkGradient(x: AnyTensor, value: unknown): void {
  if (value instanceof Tensor && value.dtype === x.dtype && sameShape(value.shape, x.shape)) return;
  const got = value instanceof Tensor ? `${value.dtype} ${show(value.shape)}` : describe(value);
  throw new ShapeError(`grad: gradient does not fit: got ${got}, expected ${x.dtype} ${show(x.shape)}`);
}

/** A new contiguous tensor over `storage`. */
export function contiguousTensor(storage: Storage, dtype: DType, shape: Shape): AnyTensor {
  return new Tensor(storage, dtype, shape, contiguousStrides(shape), 0, true);
}
