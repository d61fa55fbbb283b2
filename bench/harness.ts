/**
 * What every bench shares: workloads that run side by side with PyTorch, in turns (A B A B …), medians, and a check that both compute the same.
 * The peer is bench/peers/peer.py in the Python that HADAL_PEER_PYTHON names; without one, ours runs alone.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

import { noGrad, scope, synchronize, Tensor, tensor, type nn } from 'hadal';
import type { AnyTensor, DType } from 'hadal';

/** A workload that has been set up. */
export interface Prepared {
  /** One iteration; may leave work queued on the device. */
  step(): void;
  /** Numbers that the peer must agree with; it may give more. */
  readonly check: readonly number[];
}

export type Float = 'float32' | 'bfloat16';

export interface Workload {
  readonly name: string;
  /** The peer's side: the name of a workload in bench/peers/peer.py and its arguments. */
  readonly twin: readonly [name: string, ...args: unknown[]];
  prepare(): Prepared;
  /** How many operations one of our iterations holds; 1 unless given. */
  readonly per?: number;
  /** Times the JS thread alone: as many iterations as the queue takes without waiting, the device then left to finish untimed. */
  readonly burst?: number;
  /** Floating-point operations of an iteration, for a share of the machine's peak. */
  readonly flops?: number;
  /** What the products are of; float32 unless given. */
  readonly dtype?: Float;
  /** Bytes that an iteration must move. */
  readonly bytes?: number;
  /** Seconds of a turn; 0.3 unless given. */
  readonly turn?: number;
  /** How far checks may differ, relative; 1e-4 unless given. */
  readonly tolerance?: number;
  /** How many times as fast as the peer is asked for. */
  readonly reach?: number;
  /** The seconds that are asked for. */
  readonly budget?: number;
}

export interface Result {
  readonly name: string;
  /** Seconds of one iteration, medians. */
  readonly ours: number;
  readonly peer: number | undefined;
  /** Whether the peer's time is that of torch.compile, its better one. */
  readonly compiled: boolean | undefined;
  /** peer / ours */
  readonly ratio: number | undefined;
  readonly dtype: Float;
  readonly gflops: number | undefined;
  readonly gigabytesPerSecond: number | undefined;
  readonly agrees: boolean | undefined;
  readonly reach: number | undefined;
  readonly budget: number | undefined;
}

/** sin(0.7·i + seed)·scale as float32: the inputs that bench/peers/workload.py makes too. */
export function wave(shape: readonly number[], seed: number, scale = 1): AnyTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(Float32Array.from({ length: count }, (_, i) => scale * Math.sin(0.7 * i + seed))).reshape(shape);
}

/** 7·i mod `number`. */
export function classes(count: number, number: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 7) % number);
}

/** The start that the peer's models get too. */
export function fill(model: nn.Module): void {
  noGrad(() => {
    model.namedParameters().forEach(([name, parameter], i) => {
      const fan = parameter.size / parameter.shape[0]!;
      // Of ever higher frequency: rows of one wave would be combinations of two, and what follows would magnify rounding.
      const chirp = Float32Array.from({ length: parameter.size }, (_, j) => Math.sin(0.7 * j * j + i) / Math.sqrt(fan));
      if (parameter.rank >= 2) parameter.copy_(tensor(chirp).reshape(parameter.shape));
      else parameter.copy_(name.endsWith('weight') ? 1 : 0);
    });
  });
}

/** Checks of one result of an op, as the peer forms them. */
export function summary(y: AnyTensor): number[] {
  return scope(() => {
    const values = y.detach().cast('float32').flatten();
    const [sum, absolute] = [values.sum().itemSync(), values.abs().sum().itemSync()];
    return [sum / absolute, absolute / y.size, values.select(0, Math.floor(y.size / 3)).itemSync()];
  });
}

export interface Kernel {
  /** Tensors, or the shapes of waves. */
  readonly inputs: readonly (AnyTensor | readonly number[])[];
  readonly dtype?: Float;
  /** Whether gradients by the inputs are taken as well; then an iteration is both passes. */
  readonly backward?: boolean;
}

/** Sets up an op: `f` of the inputs, forward alone or with the gradients of all of them. */
export function prepareKernel(
  { inputs, dtype = 'float32', backward = false }: Kernel,
  f: (...inputs: AnyTensor[]) => AnyTensor,
): Prepared {
  const tensors = inputs.map((input, i) =>
    (input instanceof Tensor ? input : wave(input as readonly number[], i + 1))
      .cast(dtype as DType)
      .requiresGrad_(backward),
  );
  if (!backward) {
    const run = (): AnyTensor => noGrad(() => f(...tensors));
    return { step: () => scope(() => void run()), check: summary(run()) };
  }
  const y = noGrad(() => f(...tensors));
  const gradient = wave(y.shape, 9).cast(dtype as DType);
  const run = (): void => {
    for (const x of tensors) x.grad = undefined;
    f(...tensors).backward({ gradient });
  };
  run();
  return { step: () => scope(run), check: [y, ...tensors.map((x) => x.grad!)].flatMap(summary) };
}

const threads = process.env['HADAL_NUM_THREADS'] ?? '2';
process.env['HADAL_NUM_THREADS'] = threads;
// Both halve OpenBLAS where they are set.
delete process.env['OPENBLAS_CORETYPE'];
delete process.env['OPENBLAS_L2_SIZE'];

/** PyTorch in a process of its own. */
export class Peer {
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    this.reader = createInterface({ input: child.stdout });
    this.lines = this.reader[Symbol.asyncIterator]();
    child.stderr.pipe(process.stderr);
  }

  /** Starts it, if there is a Python with torch. */
  static start(eager: boolean): Peer | undefined {
    const python = process.env['HADAL_PEER_PYTHON'] ?? join(__dirname, '..', '.venv', 'bin', 'python');
    if (spawnSync(python, ['-c', 'import torch, numpy']).status !== 0) return undefined;
    return new Peer(spawn(python, [join(__dirname, 'peers', 'peer.py'), ...(eager ? ['--eager'] : [])]));
  }

  async request<T>(message: object): Promise<T> {
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error('the peer ended');
    return JSON.parse(value) as T;
  }

  stop(): void {
    this.child.stdin.end();
    this.reader.close();
  }
}

const turns = 9;

function timeOurs(prepared: Prepared, iterations: number, burst: number | undefined): number {
  if (burst === undefined) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < iterations; i++) prepared.step();
    synchronize();
    return Number(process.hrtime.bigint() - start) / 1e9;
  }
  let nanoseconds = 0n;
  for (let done = 0; done < iterations; done += burst) {
    const start = process.hrtime.bigint();
    for (let i = done; i < Math.min(done + burst, iterations); i++) prepared.step();
    nanoseconds += process.hrtime.bigint() - start;
    synchronize();
  }
  return Number(nanoseconds) / 1e9;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

/** Runs a workload in turns with its twin. */
export async function measure(workload: Workload, peer: Peer | undefined): Promise<Result> {
  const {
    name,
    twin,
    per = 1,
    turn: turnSeconds = 0.3,
    burst,
    dtype = 'float32',
    flops,
    bytes,
    reach,
    budget,
  } = workload;
  const { tolerance = dtype === 'float32' ? 1e-4 : 2e-2 } = workload;
  const prepared = workload.prepare();
  const setup =
    peer === undefined ? undefined : await peer.request<{ check: number[]; compiled: boolean }>({ setup: twin });
  const theirs = setup?.check;
  const agrees =
    theirs &&
    prepared.check.every((value, i) => Math.abs(value - theirs[i]!) <= tolerance * Math.max(1, Math.abs(theirs[i]!)));
  let count = 1;
  let seconds = timeOurs(prepared, 1, burst);
  while (seconds < turnSeconds / 4) seconds = timeOurs(prepared, (count *= 2), burst);
  count = Math.max(1, Math.round((count * turnSeconds) / seconds));
  let peerCount = 1;
  const timePeer = async (n: number): Promise<number> => (await peer!.request<{ seconds: number }>({ run: n })).seconds;
  if (peer !== undefined) {
    seconds = await timePeer(1);
    while (seconds < turnSeconds / 4) seconds = await timePeer((peerCount *= 2));
    peerCount = Math.max(1, Math.round((peerCount * turnSeconds) / seconds));
  }
  const ours: number[] = [];
  const peers: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    ours.push(timeOurs(prepared, count, burst) / count / per);
    if (peer !== undefined) peers.push((await timePeer(peerCount)) / peerCount);
    await new Promise((resolve) => setTimeout(resolve, 20)); // both sides' threads come to rest
  }
  const own = median(ours);
  const other = peer === undefined ? undefined : median(peers);
  return {
    name,
    ours: own,
    peer: other,
    compiled: setup?.compiled,
    ratio: other === undefined ? undefined : other / own,
    dtype,
    gflops: flops === undefined ? undefined : flops / own / 1e9,
    gigabytesPerSecond: bytes === undefined ? undefined : bytes / own / 1e9,
    agrees,
    reach,
    budget,
  };
}

/** Seconds as people read them. */
export function duration(seconds: number): string {
  if (seconds < 1e-6) return `${(seconds * 1e9).toFixed(0)} ns`;
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(seconds < 1e-5 ? 2 : 0)} µs`;
  return `${(seconds * 1e3).toFixed(2)} ms`;
}
