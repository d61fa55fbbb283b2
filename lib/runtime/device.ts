/** Owns the names of devices: what users write and what records carry. */
import { ArgumentError, DeviceError } from '../errors';
import { callNative, native } from './native';

/** Where tensors live and ops run: the processor, or a CUDA device by its number. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;

/** The number of a device in records: 0 is the CPU. */
export function deviceNumber(op: string, device: Device): number {
  if (device === 'cpu') return 0;
  const match = /^cuda(?::(\d{1,3}))?$/.exec(String(device));
  if (match === null)
    throw new DeviceError(`${op}: device: got ${String(device)}, expected cpu, cuda or cuda:<number>`);
  return 1 + Number(match[1] ?? 0);
}

/** What `devices()` tells of a device. */
export interface DeviceInfo {
  readonly name: Device;
  readonly description: string;
}

/** The devices of this machine, the CPU first. */
export function devices(): DeviceInfo[] {
  return [{ name: 'cpu', description: `${native.threadCount()} threads, instruction set ${native.cpuLevel}` }];
}

/** Memory of one device, in bytes. */
export interface MemoryInfo {
  /** In tensors that are alive. */
  readonly liveBytes: number;
  /** Kept for reuse. */
  readonly cachedBytes: number;
  /** The most that was alive at once, since the start or {@link resetPeakMemory}. */
  readonly peakBytes: number;
  /** What could still be had from the system. */
  readonly availableBytes: number;
  /** How many storages are alive; views share one. */
  readonly tensors: number;
}

/**
 * How much memory tensors use on a device, in this thread.
 *
 * @example
 * memory().liveBytes;
 */
export function memory(device: Device = 'cpu'): MemoryInfo {
  const { storages, ...bytes } = native.memory(deviceNumber('memory', device));
  return { ...bytes, tensors: storages };
}

/** Starts `peakBytes` of {@link memory} anew. */
export function resetPeakMemory(device: Device = 'cpu'): void {
  native.resetPeak(deviceNumber('resetPeakMemory', device));
}

/** Gives memory that is kept for reuse back to the system. Waits for the device. */
export function releaseMemory(device: Device = 'cpu'): void {
  native.releaseCache(deviceNumber('releaseMemory', device));
}

/** Bounds the memory that tensors of all threads may take, in bytes; nine tenths of the machine's unless set. */
export function setMemoryLimit(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new ArgumentError(`setMemoryLimit: bytes: got ${String(bytes)}, expected a positive integer`);
  }
  native.setMemoryLimit(bytes);
}

/** Sets how many threads kernels use, in the whole process. Results do not depend on it. */
export function setNumThreads(count: number): void {
  if (!Number.isSafeInteger(count) || count < 1 || count > 1024) {
    throw new ArgumentError(`setNumThreads: count: got ${String(count)}, expected an integer from 1 to 1024`);
  }
  native.setThreadCount(count);
}

/** How many threads kernels use. */
export function getNumThreads(): number {
  return native.threadCount();
}

/** Waits, blocking, until the device has done everything asked of it so far, and throws what went wrong there. */
export function synchronize(device: Device = 'cpu'): void {
  callNative(() => native.synchronize(deviceNumber('synchronize', device)), 'synchronize');
}
