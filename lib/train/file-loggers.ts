/** Loggers that write lines: to the console, as CSV and as JSON lines. */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { replaceFile, writeFully } from '../io/atomic-file';
import { FormatError } from '../errors';
import { checkPath, refusal } from '../io/paths';
import { checkFunction } from '../tensor/checks';
import type { Values } from './callback';
import { shownValue } from './format';
import type { Logger } from './logger';

/**
 * Prints values as lines.
 *
 * @example
 * const logger = new train.ConsoleLogger();
 * logger.scalars(20, { loss: 0.25, accuracy: 0.9 }); // step 20  loss 0.25  accuracy 90 %
 */
export class ConsoleLogger implements Logger {
  constructor(private readonly print: (line: string) => void = console.log) {
    checkFunction('ConsoleLogger', 'print', print);
  }

  scalars(step: number, values: Values): void {
    const list = Object.entries(values).map(([name, value]) => `${name} ${shownValue(name, value)}`);
    this.print([`step ${step}`, ...list].join('  '));
  }

  text(step: number, name: string, text: string): void {
    this.print(`step ${step}  ${name}: ${text}`);
  }
}

/** Lines appended to a file, in order; what is missing of its folder is made. */
class LineFile {
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly owner: string,
    readonly path: string,
  ) {
    checkPath(owner, path);
  }

  /** The complete lines of the file; none when there is no file. A line that a killed process did not end is left out. */
  async lines(): Promise<string[]> {
    const text = await readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw refusal(this.owner, this.path, error);
    });
    return text.split('\n').slice(0, -1);
  }

  append(lines: readonly string[]): Promise<void> {
    return this.#then(async () => {
      await mkdir(dirname(this.path), { recursive: true });
      await appendFile(this.path, lines.map((line) => `${line}\n`).join(''));
    });
  }

  /** Replaces the file by what `change` makes of its lines. */
  rewrite(change: (lines: string[]) => readonly string[]): Promise<void> {
    return this.#then(async () => {
      await mkdir(dirname(this.path), { recursive: true });
      const lines = change(await this.lines());
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      await replaceFile(this.owner, this.path, (file) => writeFully(file, bytes));
    });
  }

  #then(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work).catch((error: unknown) => {
      throw refusal(this.owner, this.path, error);
    });
    this.#last = done.catch(() => {}); // the caller hears of it; what follows is tried again
    return done;
  }
}

/**
 * Writes values as a CSV table (RFC 4180): a column for the step and one for each name, in the order of their appearance. A name that appears later
 * gets a column with empty cells above. An existing table is continued.
 *
 * @example
 * const logger = new train.CsvLogger('runs/digits/values.csv');
 */
export class CsvLogger implements Logger {
  readonly #file: LineFile;
  #columns: string[] | undefined;

  constructor(readonly path: string) {
    this.#file = new LineFile('CsvLogger', path);
  }

  async scalars(step: number, values: Values): Promise<void> {
    this.#columns ??= columnsOf((await this.#file.lines())[0]);
    const columns = this.#columns;
    const added = Object.keys(values).filter((name) => !columns.includes(name));
    if (added.length > 0) {
      const cells = ','.repeat(added.length);
      const isNew = columns.length === 0;
      columns.push(...(isNew ? ['step'] : []), ...added);
      const head = columns.map(quoted).join(',');
      if (isNew) await this.#file.append([head]);
      else await this.#file.rewrite((lines) => [head, ...lines.slice(1).map((line) => line + cells)]);
    }
    const row = columns.map((name) => (name === 'step' ? step : (values[name] ?? '')));
    await this.#file.append([row.join(',')]);
  }

  async resume(step: number): Promise<void> {
    this.#columns = undefined;
    await this.#file.rewrite(([head, ...rows]) =>
      head === undefined ? [] : [head, ...rows.filter((row) => Number.parseInt(row, 10) <= step)],
    );
  }
}

const quoted = (name: string): string => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);

/** The names in a head that this logger wrote. */
const columnsOf = (head = ''): string[] =>
  [...head.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]+))/g)].map(([, inQuotes, plain]) =>
    inQuotes === undefined ? plain! : inQuotes.replaceAll('""', '"'),
  );

/**
 * Writes values and texts as JSON lines: `{"step":20,"time":1732752000.5,"loss":0.25}`, `time` in seconds since 1970. Numbers that are not finite
 * are written as strings. An existing file is continued.
 *
 * @example
 * const logger = new train.JsonLinesLogger('runs/digits/values.jsonl');
 */
export class JsonLinesLogger implements Logger {
  readonly #file: LineFile;

  constructor(readonly path: string) {
    this.#file = new LineFile('JsonLinesLogger', path);
  }

  scalars(step: number, values: Values): Promise<void> {
    return this.#append(step, values);
  }

  text(step: number, name: string, text: string): Promise<void> {
    return this.#append(step, { [name]: text });
  }

  #append(step: number, values: Readonly<Record<string, number | string>>): Promise<void> {
    const spelled = (_: string, value: unknown): unknown =>
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
    return this.#file.append([JSON.stringify({ step, time: Date.now() / 1000, ...values }, spelled)]);
  }

  resume(step: number): Promise<void> {
    return this.#file.rewrite((lines) => lines.filter((line, i) => this.#stepOf(line, i) <= step));
  }

  #stepOf(line: string, i: number): number {
    try {
      return (JSON.parse(line) as { step: number }).step;
    } catch (error) {
      const { message } = error as Error;
      throw new FormatError(`JsonLinesLogger: ${this.path}: line ${i + 1}: invalid JSON: ${message}`, {
        file: this.path,
        line: i + 1,
        cause: error,
      });
    }
  }
}
