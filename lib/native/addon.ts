/**
 * What the native addon exports: the whole boundary between TypeScript and C++, typed. Implemented in native/binding/addon.cc.
 * A storage is named by its slot and generation; `device` is a device's number; a record is what lib/runtime writes to the words.
 */
export interface NativeAddon {
  /** The hash of the op list that the binary was built from. */
  readonly opsFingerprint: number;
  /** The instruction-set level of the kernels in use, such as `v4`. */
  readonly cpuLevel: string;

  /** The memory through which records and small results cross: one for all copies of this library that a thread has loaded. */
  readonly words: Float64Array;
  /**
   * Checks the record in the words and hands it to its device's stream; answers what is wrong with it, if anything. Where its one output is a fresh one, it is
   * freed when `owner` is collected, as by {@link track}.
   */
  submit(owner?: object): NativeError | undefined;

  /**
   * Decodes records that follow each other, in which no output is fresh and a slot is the number of a binding, of at least `bindingBytes` bytes, or
   * after those of a place (offset and size in bytes) in the arena, the last binding. Every run gives the attributes of `liveRecords` anew.
   */
  createProgram(
    records: Float64Array,
    bindingBytes: Float64Array,
    places: Float64Array,
    liveRecords: Uint32Array,
  ): NativeProgram;
  /**
   * Runs a program with what the words hold: slot and generation of each binding; seedLow, seedHigh and offset of a random stream; the live
   * attributes.
   */
  replay(program: NativeProgram, device: number): void;

  /** Allocates a storage; its slot and generation are left in words 0 and 1. */
  allocate(device: number, bytes: number): void;
  /** The collection of `owner` frees the storage. */
  track(owner: object, slot: number, generation: number): void;
  /** Frees the storages named by the first `count` pairs of words. */
  release(count: number): void;

  write(slot: number, generation: number, byteOffset: number, source: ArrayBufferView): void;
  read(slot: number, generation: number, byteOffset: number, target: ArrayBuffer): Promise<ArrayBuffer>;
  readSync(slot: number, generation: number, byteOffset: number, target: ArrayBuffer): void;
  /** Copies `bytes` bytes to the start of a storage on another device, in the order of both streams. */
  transfer(
    slot: number,
    generation: number,
    byteOffset: number,
    bytes: number,
    toSlot: number,
    toGeneration: number,
  ): void;
  /** Waits for the device's stream and throws the error it kept, if any. */
  synchronize(device: number): void;
  /** Whether kernels of images of 16-bit floats [n, c, …] are faster where the channels of a position lie side by side. */
  hasTensorCores(device: number): boolean;

  memory(device: number): NativeMemory;
  resetPeak(device: number): void;
  releaseCache(device: number): void;
  setMemoryLimit(device: number, bytes: number): void;
  /** Begins to record when commands run, in the whole process; answers the present moment, in milliseconds of the spans' clock. */
  startProfile(): number;
  /** Of each span: thread (of the pool below 65,536, of a stream from there on), op, start and duration in milliseconds, bytes, floating-point operations. */
  stopProfile(): Float64Array;
  setThreadCount(count: number): void;
  threadCount(): number;
  /** Collectives on the device are from now on those of `size` processes, this one as `rank`, which map lane `lane` of the file; `timeout` in milliseconds. */
  joinGroup(device: number, path: string, lane: number, rank: number, size: number, timeout: number): void;
  /** Tells where the CUDA backend is if not beside the addon ('' for nowhere), and what helps where it is in neither place. */
  locateCuda(path: string, remedy: string): void;
  /** What CUDA devices there are; when there are none, `remedy` says why. */
  cudaDevices(): { readonly devices: readonly string[]; readonly remedy: string };
}

/** A program that the addon holds. */
export interface NativeProgram {
  readonly nominal: unique symbol;
}

export interface NativeMemory {
  readonly liveBytes: number;
  readonly cachedBytes: number;
  readonly peakBytes: number;
  readonly storages: number;
  readonly availableBytes: number;
}

/** An error thrown by the addon: `nativeCode` is the ErrorCode of native/runtime/error.h. */
export interface NativeError extends Error {
  readonly nativeCode: number;
}
