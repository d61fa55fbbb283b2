/** Owns the names of devices: what users write and what records carry. */
import { ArgumentError, DeviceError } from '../errors';
import { callNative, native } from './native';

/** Where tensors live and ops run: the processor, or a CUDA device by its number. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;

/** The number of a device in records: 0 is the CPU. */
export function deviceNumber(op: string, device: Device): number {
  if (device === 'cpu') return 0;
  const name = typeof device === 'string' ? device : typeof device;
  const match = /^cuda(?::(\d{1,3}))?$/.exec(name);
  if (match === null) throw new DeviceError(`${op}: device: got ${name}, expected cpu, cuda or cuda:<number>`);
  return 1 + Number(match[1] ?? 0);
}

/** The name of a device by its number. */
export function deviceName(device: number): Device {
  return device === 0 ? 'cpu' : `cuda:${device - 1}`;
}

const tensorCores: (boolean | undefined)[] = [];

/**
 * Whether a device, by its number, multiplies 16-bit floats by tensor cores, which want images [n, c, …] with the channels of a position side by side
 * and rows of matrices that begin at multiples of 16 bytes.
 */
export function hasTensorCores(device: number): boolean {
  return (tensorCores[device] ??= native.hasTensorCores(device));
}

/** What `devices()` tells of a device. */
export interface DeviceInfo {
  readonly name: Device;
  readonly available: boolean;
  /** What it is or, where it is not available, why not and what helps. */
  readonly description: string;
}

/**
 * The devices of this machine, the CPU first. Where no CUDA device can be used, one entry says why.
 *
 * @example
 * devices()[0].name; // 'cpu'
 */
export function devices(): DeviceInfo[] {
  const cpu = `${native.threadCount()} threads, instruction set ${native.cpuLevel}`;
  const cuda = native.cudaDevices();
  return [
    { name: 'cpu', available: true, description: cpu },
    ...cuda.devices.map((description, i) => ({ name: `cuda:${i}`, available: true, description }) as const),
    ...(cuda.devices.length > 0 ? [] : [{ name: 'cuda', available: false, description: cuda.remedy } as const]),
  ];
}

let defaultDevice: Device = 'cpu';

/**
 * Makes `device` the one where tensors are created when no other is asked for.
 *
 * @throws DeviceError when there is no such device.
 */
export function setDefaultDevice(device: Device): void {
  callNative(() => native.synchronize(deviceNumber('setDefaultDevice', device)), 'setDefaultDevice');
  defaultDevice = device;
}

/** Where tensors are created when no device is asked for. */
export function getDefaultDevice(): Device {
  return defaultDevice;
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
export function memory(device: Device = defaultDevice): MemoryInfo {
  const { storages, ...bytes } = native.memory(deviceNumber('memory', device));
  return { ...bytes, tensors: storages };
}

/** Starts `peakBytes` of {@link memory} anew. */
export function resetPeakMemory(device: Device = defaultDevice): void {
  native.resetPeak(deviceNumber('resetPeakMemory', device));
}

/** Gives memory that is kept for reuse back to the system. Waits for the device. */
export function releaseMemory(device: Device = defaultDevice): void {
  native.releaseCache(deviceNumber('releaseMemory', device));
}

/** Bounds the memory that tensors of all threads may take on a device, in bytes; nine tenths of the machine's unless set. */
export function setMemoryLimit(bytes: number, device: Device = 'cpu'): void {
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new ArgumentError(`setMemoryLimit: bytes: got ${String(bytes)}, expected a positive integer`);
  }
  native.setMemoryLimit(deviceNumber('setMemoryLimit', device), bytes);
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
export function synchronize(device: Device = defaultDevice): void {
  callNative(() => native.synchronize(deviceNumber('synchronize', device)), 'synchronize');
}
