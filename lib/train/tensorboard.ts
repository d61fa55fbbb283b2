/**
 * Event files that TensorBoard reads: records (TFRecord: length, data and their checksums) of Event messages in protocol buffers, of which these few
 * are written by hand. Field numbers are those of tensorflow/core/util/event.proto and framework/summary.proto.
 */
import { appendFile, mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { checkPath, refusal } from '../io/paths';
import type { Values } from './callback';
import type { Logger, Picture } from './logger';
import { encodePng } from './png';

/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78. */
const crcTable = Uint32Array.from({ length: 256 }, (_, i) => {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TFRecord's checksum: rotated and shifted, so that a checksum of data that holds checksums is not the data's. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function record(data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(16 + data.length);
  bytes.writeBigUInt64LE(BigInt(data.length), 0);
  bytes.writeUInt32LE(maskedCrc(bytes.subarray(0, 8)), 8);
  bytes.set(data, 12);
  bytes.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return bytes;
}

// Wire types of protocol buffers.
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

const key = (field: number, type: number): Buffer => varint(field * 8 + type);
const whole = (field: number, value: number): Buffer => Buffer.concat([key(field, VARINT), varint(value)]);
const bytes = (field: number, value: Uint8Array | string): Buffer => {
  const data = Buffer.from(value as string);
  return Buffer.concat([key(field, BYTES), varint(data.length), data]);
};
const message = (field: number, ...fields: Buffer[]): Buffer => bytes(field, Buffer.concat(fields));

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, FIXED64), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32), data]);
}

function doubles(field: number, values: readonly number[]): Buffer {
  return bytes(field, new Uint8Array(Float64Array.from(values).buffer));
}

const SUMMARY = 5; // of Event
const VALUE = 1; // of Summary
const TAG = 1; // of Summary.Value

/** How many files this process has begun: TensorBoard reads a folder's files in the order of their names. */
let made = 0;

/**
 * Writes a run as TensorBoard's event files: scalars, texts, pictures and histograms. Show them with `tensorboard --logdir runs`.
 *
 * @example
 * const logger = new train.TensorBoardLogger('runs/digits');
 * await logger.scalars(20, { loss: 0.25 });
 * await logger.histogram(20, 'weights', await model.weight.data());
 */
export class TensorBoardLogger implements Logger {
  /** The event file. */
  readonly path: string;
  #last: Promise<void>;

  constructor(readonly folder: string) {
    checkPath('TensorBoardLogger', folder, 'folder');
    // Several runs, also of one process, may write to a folder: each has a file of its own.
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${made++}`);
    this.#last = Promise.resolve();
    this.#last = this.#write(0, bytes(3, 'brain.Event:2'));
    this.#last.catch(() => {}); // heard of with the first value
  }

  scalars(step: number, values: Values): Promise<void> {
    const all = Object.entries(values).map(([tag, value]) => message(VALUE, bytes(TAG, tag), float(2, value)));
    return this.#write(step, message(SUMMARY, ...all));
  }

  text(step: number, name: string, text: string): Promise<void> {
    const metadata = message(9, message(1, bytes(1, 'text'))); // plugin_data.plugin_name
    const STRING = 7; // of DataType
    const tensor = message(8, whole(1, STRING), message(2, message(2, whole(1, 1))), bytes(8, text)); // shape [1]
    return this.#write(step, message(SUMMARY, message(VALUE, bytes(TAG, name), metadata, tensor)));
  }

  image(step: number, name: string, { pixels, width, height }: Picture): Promise<void> {
    const channels = pixels.length / (width * height);
    const png = encodePng(pixels, width, height);
    const image = message(4, whole(1, height), whole(2, width), whole(3, channels), bytes(4, png));
    return this.#write(step, message(SUMMARY, message(VALUE, bytes(TAG, name), image)));
  }

  /** Values that are not finite are left out. */
  histogram(step: number, name: string, values: ArrayLike<number>): Promise<void> {
    const finite = Float64Array.from(values).filter(Number.isFinite);
    const { edges, counts } = binned(finite);
    const sum = finite.reduce((total, value) => total + value, 0);
    const squares = finite.reduce((total, value) => total + value * value, 0);
    const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 0];
    const fields = [low, high, finite.length, sum, squares].map((value, i) => double(i + 1, value));
    const histogram = message(5, ...fields, doubles(6, edges.slice(1)), doubles(7, counts));
    return this.#write(step, message(SUMMARY, message(VALUE, bytes(TAG, name), histogram)));
  }

  /** What was logged beyond `step` is hidden by TensorBoard. */
  resume(step: number): Promise<void> {
    const START = 1;
    return this.#write(step + 1, message(7, whole(1, START))); // session_log.status
  }

  async flush(): Promise<void> {
    await this.#last;
  }

  #write(step: number, what: Buffer): Promise<void> {
    const event = record(Buffer.concat([double(1, Date.now() / 1000), whole(2, step), what]));
    const done = this.#last
      .then(async () => {
        await mkdir(this.folder, { recursive: true });
        await appendFile(this.path, event);
      })
      .catch((error: unknown) => {
        throw refusal('TensorBoardLogger', this.path, error);
      });
    this.#last = done;
    done.catch(() => {}); // the caller hears of it
    return done;
  }
}

const BINS = 30; // as many as TensorBoard shows

/** Counts in equal bins over the range of the values. */
function binned(values: Float64Array): { edges: number[]; counts: number[] } {
  if (values.length === 0) return { edges: [0, 0], counts: [0] };
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (low === high) return { edges: [low, high], counts: [values.length] };
  const counts = new Array<number>(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))]!++;
  return { edges: Array.from({ length: BINS + 1 }, (_, i) => low + ((high - low) * i) / BINS), counts };
}
