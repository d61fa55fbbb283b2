/** Copies and conversions: contiguous, clone, casts, and writing into existing tensors. */
import { ArgumentError, ShapeError } from '../errors';
import { deviceNumber, type Device } from '../runtime/device';
import { callNative, native } from '../runtime/native';
import { allocateStorage } from '../runtime/storage';
import { refuseInTrace } from '../runtime/tape';
import { shown } from '../tensor/describe';
import { bytesOf, isDType, type DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, isChannelsLast, sameShape, show } from '../tensor/shapes';
import { compacted, contiguousTensor, type Tensor, type AnyTensor, type Operand } from '../tensor/tensor';
import {
  allDTypes,
  checkTensor,
  defineOp,
  installMethods,
  recorded,
  run,
  runInto,
  type NativeOp,
  type ViewOp,
} from './define';

const copyOp = defineOp<DType>('copy', {
  dtypes: allDTypes,
  pointwise: true,
  // The context is the dtype of the input: the gradient goes back in it.
  gradient: (g, { context }) => [g.cast(context)],
});

// A clone is row-major.
const cloneOp: NativeOp<DType> = { ...copyOp, channels: undefined };

// What is cast for images was row-major, and so is its gradient.
const imageCastOp: NativeOp<DType> = {
  ...copyOp,
  channels: 'last',
  gradient: (g, { context }) => [run(cloneOp, [g], g.shape, context, [], g.dtype)],
};

/** `x` with its elements in row-major order: `x` itself if they are already. */
export function contiguous<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  checkTensor('contiguous', x);
  return x.isContiguous ? x : clone(x);
}

/** A copy of `x`, row-major. Gradients pass through. */
export function clone<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<S, D> {
  checkTensor('clone', x);
  return run(cloneOp, [x], x.shape, x.dtype, [], x.dtype) as unknown as Tensor<S, D>;
}

/** `x` [n, c, …] in another dtype as convolutions in it want it: with the channels of a position side by side where the device prefers that. */
export function castForImages<T extends AnyTensor>(x: T, dtype: DType): T {
  const op = isChannelsLast(x.shape, x.strides) ? copyOp : imageCastOp;
  return run(op, [x], x.shape, dtype, [], x.dtype) as T;
}

/**
 * `x` in another dtype: floats round to nearest, floats to integers truncate, anything to bool is `x != 0`. `x` itself if it has that dtype
 * already.
 *
 * @example
 * tensor([0.5, 2.7]).cast('int32'); // [0, 2]
 */
export function cast<S extends Shape, D extends DType>(x: Tensor<S, DType>, dtype: D): Tensor<S, D> {
  checkTensor('cast', x);
  if (!isDType(dtype)) throw new ArgumentError(`cast: dtype: got ${shown(dtype)}, expected ${allDTypes.join(', ')}`);
  if (x.dtype === dtype) return x as unknown as Tensor<S, D>;
  return run(copyOp, [x], x.shape, dtype, [], x.dtype) as unknown as Tensor<S, D>;
}

// No view: its elements lie elsewhere. The context is the device of the input, where the gradient goes back to.
const transferred: ViewOp<Device> = { name: 'to', gradient: (g, { context }) => [g.to(context)] };

/**
 * `x` on another device or in another dtype; `x` itself if it is there already. Copies between devices wait for neither of them. Gradients
 * go back where they came from.
 *
 * @throws DeviceError when there is no such device.
 * @example
 * tensor([1, 2]).to('cpu').to('float64').dtype; // 'float64'
 */
export function to<S extends Shape, D extends DType>(x: Tensor<S, D>, device: Device): Tensor<S, D>;
export function to<S extends Shape, D extends DType>(x: Tensor<S, DType>, dtype: D): Tensor<S, D>;
export function to(x: AnyTensor, target: Device | DType): AnyTensor {
  checkTensor('to', x);
  if (isDType(target)) return cast(x, target) as AnyTensor;
  const device = deviceNumber('to', target);
  if (device === x.storage.device) return x;
  refuseInTrace('to', 'moves a tensor between devices');
  const source = contiguous(x.detach());
  const bytes = x.size * bytesOf(x.dtype);
  const storage = allocateStorage(device, bytes, 'to');
  const { slot, generation } = source.storage;
  const start = source.offset * bytesOf(x.dtype);
  callNative(() => native.transfer(slot, generation, start, bytes, storage.slot, storage.generation), 'to');
  return recorded(transferred, [x], contiguousTensor(storage, x.dtype, x.shape), x.device);
}

/** Writes `source`, broadcast and converted, into `x` in place, from whichever device it is on. Answers `x`. */
export function copy_<T extends AnyTensor>(x: T, source: Operand): T {
  checkTensor('copy_', x);
  if (typeof source !== 'number') {
    checkTensor('copy_', source, 'source');
    if (!sameShape(broadcastShapes('copy_', x.shape, source.shape), x.shape)) {
      throw new ShapeError(
        `copy_: source does not fit: got ${show(source.shape)}, expected one that broadcasts to ${show(x.shape)}`,
      );
    }
  }
  const isElsewhere = typeof source !== 'number' && source.storage.device !== x.storage.device;
  runInto(copyOp, [isElsewhere ? to(source, x.device) : source], [x]);
  return x;
}

compacted.copy = (x) => clone(x);

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    contiguous(): Tensor<S, D>;
    clone(): Tensor<S, D>;
    cast<E extends DType>(dtype: E): Tensor<S, E>;
    to(device: Device): Tensor<S, D>;
    to<E extends DType>(dtype: E): Tensor<S, E>;
    copy_(source: Operand): this;
  }
}

installMethods({ contiguous, clone, cast, to, copy_ });
