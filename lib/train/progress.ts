/**
 * The progress line of a training run: on a terminal one line that is redrawn, elsewhere a plain line now and then. It
 * knows numbers and time only; the trainer and the examples feed it. The cursor is never hidden, so that nothing needs
 * to be restored, however the process ends.
 */
import { ArgumentError } from '../errors';
import { checkGivenOptions } from '../ops/define';
import { checkFinite, checkFunction, checkMethods, checkNumber } from '../tensor/checks';
import { shown } from '../tensor/describe';

/** Where the progress goes; `process.stderr` is one. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface ProgressOptions {
  /** How many items there are to do, over the whole run; NaN where that is not known. */
  readonly total: number;
  /** How many were done before, by a run that goes on; 0 unless given. */
  readonly done?: number;
  /** What is counted: `'images'`. */
  readonly unit?: string;
  /** Default: `process.stderr`. */
  readonly stream?: ProgressStream;
  /** Milliseconds between plain lines where there is no terminal; default 10,000. */
  readonly plainInterval?: number;
  /** Milliseconds since any fixed moment; default `performance.now`. */
  readonly now?: () => number;
}

const REDRAW_INTERVAL = 100; // ms: faster than that nobody reads
const RATE_WINDOW = 10_000; // ms: long enough to be steady, short enough to follow a change

/**
 * Shows how far a run is, its latest values, its speed over the last seconds, and the time left.
 *
 * @example
 * using progress = new ProgressBar({ total: epochs * images, unit: 'images' });
 * progress.update(done, { epoch: '2/5', loss: 0.031, accuracy: '98.7 %' });
 * progress.log('epoch 2: test accuracy 98.9 %');
 */
export class ProgressBar implements Disposable {
  readonly #total: number;
  readonly #unit: string;
  readonly #stream: ProgressStream;
  readonly #terminal: boolean;
  readonly #interval: number;
  readonly #now: () => number;
  readonly #start: number;
  #done: number;
  #values: Readonly<Record<string, number | string>> = {};
  /** Moments of the last seconds and what was done by then, the oldest first. */
  #samples: { readonly time: number; readonly done: number }[];
  #drawn: number;
  #shown = '';
  #stopped = false;

  constructor(options: ProgressOptions) {
    checkProgress('ProgressBar', options);
    const { total, done = 0, unit = 'items', stream = process.stderr } = options;
    const { plainInterval = 10_000, now = () => performance.now() } = options;
    if (typeof total !== 'number')
      throw new ArgumentError(`ProgressBar: total: got ${shown(total)}, expected a number`);
    checkFinite('ProgressBar', 'done', done);
    this.#total = total;
    this.#done = done;
    this.#unit = unit;
    this.#stream = stream;
    this.#terminal = stream.isTTY === true && process.env['TERM'] !== 'dumb';
    this.#interval = this.#terminal ? REDRAW_INTERVAL : plainInterval;
    this.#now = now;
    this.#start = now();
    this.#drawn = this.#start;
    this.#samples = [{ time: this.#start, done }];
  }

  /** Tells how many items are done by now. Cheap enough to be called after every step. */
  update(done: number, values: Readonly<Record<string, number | string>> = this.#values): void {
    this.#done = done;
    this.#values = values;
    const time = this.#now();
    if (time - (this.#samples.at(-1)?.time ?? 0) >= REDRAW_INTERVAL) {
      this.#samples.push({ time, done });
      while (time - (this.#samples[1]?.time ?? time) >= RATE_WINDOW) this.#samples.shift();
    }
    if (!this.#stopped && time - this.#drawn >= this.#interval) this.#draw(time);
  }

  /** Prints a line of its own; on a terminal it appears above the progress line. */
  log(line: string): void {
    if (!this.#terminal || this.#stopped) {
      this.#stream.write(`${line}\n`);
    } else {
      this.#stream.write(`\r\x1b[K${line}\n${this.#shown}`);
    }
  }

  /** Shows the last state and ends the line. */
  stop(): void {
    if (this.#stopped) return;
    this.#draw(this.#now());
    if (this.#terminal) this.#stream.write('\n');
    this.#stopped = true;
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #draw(time: number): void {
    this.#drawn = time;
    if (!this.#terminal) {
      this.#stream.write(`${this.#fields(time).join('  ')}\n`);
      return;
    }
    const columns = this.#stream.columns ?? 80;
    const [percent = '', ...rest] = this.#fields(time);
    const text = [percent.padStart(5), ...rest].join('  ');
    // The bar takes the room that is left; the last column stays free, because some terminals wrap there.
    const room = Math.min(30, columns - 3 - text.length);
    const line = room >= 8 && !Number.isNaN(this.#total) ? `${bar(this.#share(), room)} ${text}` : text;
    this.#shown = line.slice(0, Math.max(0, columns - 1));
    this.#stream.write(`\r${this.#shown}\x1b[K`);
  }

  #share(): number {
    if (Number.isNaN(this.#total)) return 0;
    return this.#total > 0 ? Math.min(1, Math.max(0, this.#done / this.#total)) : 1;
  }

  #fields(time: number): string[] {
    const isOpen = Number.isNaN(this.#total);
    const done = isOpen
      ? `${this.#done.toLocaleString('en-US')} ${this.#unit}`
      : `${Math.floor(100 * this.#share())} %`;
    const fields = [done];
    for (const [name, value] of Object.entries(this.#values)) fields.push(`${name} ${formatValue(value)}`);
    const oldest = this.#samples[0] ?? { time, done: this.#done };
    const rate = (this.#done - oldest.done) / (time - oldest.time); // per millisecond
    if (rate > 0 && Number.isFinite(rate)) fields.push(`${formatRate(1000 * rate)} ${this.#unit}/s`);
    if (this.#share() === 1) fields.push(`in ${formatDuration(time - this.#start)}`);
    else if (rate > 0 && !isOpen) fields.push(`${formatDuration((this.#total - this.#done) / rate)} left`);
    return fields;
  }
}

/** Throws unless stream, interval and clock are such where they are given. */
export function checkProgress(owner: string, options: Partial<ProgressOptions>): void {
  checkGivenOptions(owner, options);
  const { stream, plainInterval, now } = options;
  if (stream !== undefined) checkMethods(owner, 'stream', stream, ['write']);
  if (plainInterval !== undefined) checkNumber(owner, 'plainInterval', plainInterval, 0);
  if (now !== undefined) checkFunction(owner, 'now', now);
}

function bar(share: number, width: number): string {
  const filled = Math.round(share * width);
  return '━'.repeat(filled) + '─'.repeat(width - filled);
}

function formatValue(value: number | string): string {
  if (typeof value === 'string' || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  // As many digits at every step, so that the line does not tremble.
  return size >= 1e-3 && size < 1e6 ? value.toFixed(size < 1000 ? 4 : 1) : value.toExponential(2);
}

function formatRate(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en-US');
}

/** Milliseconds as `0:07`, `12:34` or `1:02:03`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
