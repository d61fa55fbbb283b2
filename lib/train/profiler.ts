/**
 * Where the time of a piece of code goes: which ops the device runs and how near they come to what the machine can do, and a trace of the threads. The
 * addon times commands and the loops of its thread pool (native/runtime/profiler.h), the recorder tells of submissions.
 */
import { ArgumentError } from '../errors';
import { replaceFile, writeFully } from '../io/atomic-file';
import { Op } from '../native/opcodes';
import { checkOptions } from '../ops/define';
import { ones, tensor } from '../ops/creation';
import { getDefaultDevice, type Device } from '../runtime/device';
import { native } from '../runtime/native';
import { observeSubmissions } from '../runtime/recorder';
import { checkFunction, checkString } from '../tensor/checks';
import { scope } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import { bytes, significant } from './format';

/** What one op took. */
export interface OpProfile {
  readonly name: string;
  readonly calls: number;
  /** Milliseconds on the device's stream, which runs one op at a time. */
  readonly time: number;
  /** Of the time of all ops, 0 to 1. */
  readonly share: number;
  /** Read and written, each element of a tensor counted once. */
  readonly bytes: number;
  /** Floating-point operations of products, convolutions and attention; 0 for other ops. */
  readonly flops: number;
  /** How near it came to the machine's memory bandwidth or arithmetic, whichever is nearer; undefined where no peak was measured. */
  readonly peakShare: number | undefined;
  /** Milliseconds that the JS thread took to submit the calls. */
  readonly submission: number;
}

/** What the machine can do, measured with a large copy and a large product of float32. */
export interface Peaks {
  readonly bytesPerSecond: number;
  readonly flopsPerSecond: number;
}

/** A stretch of time of one thread, in milliseconds since the profile began. */
export interface Span {
  readonly thread: string;
  readonly name: string;
  readonly start: number;
  readonly duration: number;
  readonly bytes: number;
  readonly flops: number;
}

const JS = 'JS';
const FIRST_STREAM = 65_536; // as in native/runtime/profiler.h
const opNames = Object.keys(Op);

/** What {@link profile} gives: print it, read `ops`, or look at the trace in https://ui.perfetto.dev or chrome://tracing. */
export class Profile<T = unknown> {
  /** By time, the longest first. */
  readonly ops: readonly OpProfile[];

  constructor(
    /** What the profiled function answered. */
    readonly result: T,
    /** Milliseconds from the beginning until the device was done. */
    readonly duration: number,
    readonly spans: readonly Span[],
    readonly peaks: Peaks | undefined,
  ) {
    const isStream = ({ thread }: Span): boolean => thread.startsWith('stream');
    const total = spans.filter(isStream).reduce((sum, { duration }) => sum + duration, 0);
    const byName = new Map<string, Span[]>();
    for (const span of spans) {
      const same = byName.get(span.name);
      if (same === undefined) byName.set(span.name, [span]);
      else same.push(span);
    }
    this.ops = [...byName]
      .flatMap(([name, all]): OpProfile[] => {
        const run = all.filter(isStream);
        if (run.length === 0) return [];
        const sum = (of: readonly Span[], key: 'duration' | 'bytes' | 'flops'): number =>
          of.reduce((value, span) => value + span[key], 0);
        const [time, moved, flops] = [sum(run, 'duration'), sum(run, 'bytes'), sum(run, 'flops')];
        const seconds = time / 1000;
        const peakShare =
          peaks && Math.max(moved / seconds / peaks.bytesPerSecond, flops / seconds / peaks.flopsPerSecond);
        const submission = sum(
          all.filter(({ thread }) => thread === JS),
          'duration',
        );
        return [{ name, calls: run.length, time, share: time / total, bytes: moved, flops, peakShare, submission }];
      })
      .sort((a, b) => b.time - a.time);
  }

  /** The ops as a table. */
  toString(): string {
    const head = ['op', 'calls', 'time', 'share', 'each', 'bytes', 'GB/s', 'GFLOP/s', 'of peak', 'submitting'];
    const rows = this.ops.map((op) => [
      op.name,
      String(op.calls),
      `${op.time.toFixed(2)} ms`,
      `${(100 * op.share).toFixed(1)} %`,
      `${significant((1000 * op.time) / op.calls)} µs`,
      bytes(op.bytes),
      significant(op.bytes / op.time / 1e6),
      op.flops === 0 ? '' : significant(op.flops / op.time / 1e6),
      op.peakShare === undefined ? '' : `${(100 * op.peakShare).toFixed(0)} %`,
      `${op.submission.toFixed(2)} ms`,
    ]);
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
    const lines = [head, ...rows].map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
    );
    const busy = this.ops.reduce((sum, { time }) => sum + time, 0);
    const share = ((100 * busy) / this.duration).toFixed(0);
    lines.push(`${this.duration.toFixed(1)} ms in all, ops ${busy.toFixed(1)} ms (${share} %)`);
    return lines.join('\n');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /** The spans in Chrome's trace event format. */
  trace(): { readonly traceEvents: readonly object[] } {
    const threads = [...new Set([JS, ...this.spans.map(({ thread }) => thread)])];
    const names = threads.map((name, tid) => ({ name: 'thread_name', ph: 'M', pid: 1, tid, args: { name } }));
    const events = this.spans.map(({ thread, name, start, duration, bytes, flops }) => ({
      name,
      ph: 'X',
      pid: 1,
      tid: threads.indexOf(thread),
      ts: 1000 * start, // microseconds
      dur: 1000 * duration,
      ...(bytes > 0 && { args: { bytes, ...(flops > 0 && { flops }) } }),
    }));
    return { traceEvents: [...names, ...events] };
  }

  /** Writes the trace as a file. */
  async writeTrace(path: string): Promise<void> {
    const text = Buffer.from(JSON.stringify(this.trace()));
    await replaceFile('writeTrace', path, (file) => writeFully(file, text));
  }
}

/** Spans of the JS thread, while a profile is taken. */
let recording: Span[] | undefined;

/**
 * Runs `f`, and waits for what it asked of the device. Ops of all threads of the process are timed meanwhile; on a CUDA device each op is
 * waited for, and the time is the device's own.
 *
 * @throws ArgumentError when another profile is being taken.
 * @example
 * const result = await train.profile(() => trainer.fit(loader, { maxSteps: 20 }));
 * console.log(String(result));
 * await result.writeTrace('trace.json');
 */
export async function profile<T>(
  f: () => T | Promise<T>,
  options: { readonly device?: Device; readonly peaks?: boolean } = {},
): Promise<Profile<T>> {
  if (recording !== undefined) {
    throw new ArgumentError('profile: f: got a profile inside another, expected one at a time');
  }
  checkFunction('profile', 'f', f);
  checkOptions('profile', options);
  const { device = getDefaultDevice(), peaks = true } = options;
  const measured = peaks ? await measurePeaks(device) : undefined;
  const { result, duration, spans } = await record(f, device);
  return new Profile(result, duration, spans, measured);
}

/**
 * Runs `f` under a name that appears in the trace of a profile. Without a profile it only runs `f`.
 *
 * @example
 * const logits = train.region('forward', () => model.forward(x));
 */
export function region<T>(name: string, f: () => T): T {
  checkString('region', 'name', name);
  checkFunction('region', 'f', f);
  if (recording === undefined) return f();
  const spans = recording;
  const start = performance.now();
  const end = (): void => {
    spans.push({ thread: JS, name, start, duration: performance.now() - start, bytes: 0, flops: 0 });
  };
  let result: T;
  try {
    result = f();
  } catch (error) {
    end();
    throw error;
  }
  if (!(result instanceof Promise)) {
    end();
    return result;
  }
  return result.finally(end) as T;
}

async function record<T>(f: () => T | Promise<T>, device: Device) {
  // Read at the end: the device answers once it has done what came before.
  const fence: AnyTensor = tensor(0, { device }).keep();
  await fence.item();
  const spans: Span[] = (recording = []);
  observeSubmissions((name, start, end) => {
    spans.push({ thread: JS, name, start, duration: end - start, bytes: 0, flops: 0 });
  });
  const start = performance.now();
  const nativeStart = native.startProfile();
  let words: Float64Array;
  try {
    const result = await f();
    await fence.item();
    const duration = performance.now() - start;
    words = native.stopProfile();
    const own = spans.map((span) => ({ ...span, start: span.start - start }));
    return { result, duration, spans: [...own, ...decode(words, nativeStart)] };
  } finally {
    observeSubmissions(undefined);
    recording = undefined;
    native.stopProfile(); // when `f` has failed
    fence.dispose();
  }
}

function decode(words: Float64Array, origin: number): Span[] {
  return Array.from({ length: words.length / 6 }, (_, i) => {
    const [thread, op, start, duration, bytes, flops] = words.subarray(6 * i) as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return {
      thread: thread >= FIRST_STREAM ? `stream ${thread - FIRST_STREAM}` : `pool ${thread}`,
      name: opNames[op]!,
      start: start - origin,
      duration,
      bytes,
      flops,
    };
  });
}

const knownPeaks = new Map<Device, Promise<Peaks>>();

/** The best of a few copies of 64 MB and of a few products of 1024 × 1024 matrices; measured once for each device. */
function measurePeaks(device: Device): Promise<Peaks> {
  const known = knownPeaks.get(device) ?? measure(device);
  knownPeaks.set(device, known);
  return known;
}

async function measure(device: Device): Promise<Peaks> {
  const { spans } = await record(() => {
    scope(() => {
      const matrix = ones([1024, 1024], { device });
      const large = ones([2 ** 24], { device });
      for (let i = 0; i < 5; i++) {
        scope(() => void matrix.matmul(matrix));
        scope(() => void large.clone());
      }
    });
  }, device);
  const best = (name: string, key: 'bytes' | 'flops'): number =>
    Math.max(
      ...spans.filter((span) => span.name === name && span.bytes > 0).map((span) => (1000 * span[key]) / span.duration),
    );
  return { bytesPerSecond: best('copy', 'bytes'), flopsPerSecond: best('matmul', 'flops') };
}
