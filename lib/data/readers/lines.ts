/** Text files line by line, and lines of JSON: streamed, so that a file may be larger than memory. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { FormatError } from '../../errors';
import { malformed } from '../../io/malformed';
import { checkPath, refusal } from '../../io/paths';
import type { IterableDataset, Pass } from '../dataset';

interface Line {
  readonly text: string;
  /** Counted from 1. */
  readonly number: number;
}

/** The lines of a file in UTF-8, gzipped when its name ends in .gz; without their ends. */
async function* linesOf(op: string, path: string): AsyncGenerator<Line, void, undefined> {
  const file = createReadStream(path);
  const isZipped = path.endsWith('.gz');
  const gunzip = createGunzip();
  const source = isZipped ? file.on('error', (error) => gunzip.destroy(error)).pipe(gunzip) : file;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  let parts: string[] = [];
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      const text = decoder.decode(chunk, { stream: true });
      let start = 0;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
        parts.push(text.slice(start, end));
        yield { text: withoutReturn(parts.join('')), number: ++number };
        parts = [];
        start = end + 1;
      }
      if (start < text.length) parts.push(text.slice(start));
    }
    parts.push(decoder.decode());
    const rest = parts.join('');
    if (rest !== '') yield { text: withoutReturn(rest), number: ++number };
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw malformed(op, path, `line ${number + 1} or behind`, 'text', 'invalid UTF-8', 'UTF-8');
    }
    if (code.startsWith('Z_')) {
      throw new FormatError(`${op}: ${path}: damaged gzip data: ${message}`, { file: path, cause: error });
    }
    throw refusal(op, path, error);
  } finally {
    file.destroy();
    gunzip.destroy();
  }
}

const withoutReturn = (text: string): string => (text.endsWith('\r') ? text.slice(0, -1) : text);

/**
 * A file's lines as a data set that is iterated; with several threads each takes every so many. Gzipped when its name ends in .gz.
 *
 * @example
 * for await (const lines of new data.DataLoader(new data.TextLines('names.txt'), { batchSize: 32 })) console.log(lines);
 */
export class TextLines implements IterableDataset<string> {
  constructor(readonly path: string) {
    checkPath('TextLines', path);
  }

  async *iterate({ worker, workers }: Partial<Pass> = {}): AsyncGenerator<string, void, undefined> {
    for await (const { text, number } of linesOf('TextLines', this.path)) {
      if (isMine(number, worker, workers)) yield text;
    }
  }

  /** All lines. */
  async read(): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of this.iterate()) lines.push(line);
    return lines;
  }
}

/**
 * A file with a JSON value in each line (https://jsonlines.org), as a data set that is iterated; empty lines are left out.
 *
 * @throws FormatError naming the line that is no JSON.
 * @example
 * const all = await new data.JsonLines('train.jsonl').read();
 */
export class JsonLines<Item = unknown> implements IterableDataset<Item> {
  constructor(readonly path: string) {
    checkPath('JsonLines', path);
  }

  async *iterate({ worker, workers }: Partial<Pass> = {}): AsyncGenerator<Item, void, undefined> {
    for await (const { text, number } of linesOf('JsonLines', this.path)) {
      if (!isMine(number, worker, workers) || text.trim() === '') continue;
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch (error) {
        const { message } = error as Error;
        throw new FormatError(`JsonLines: ${this.path}: line ${number}: invalid JSON: ${message}`, {
          file: this.path,
          line: number,
          cause: error,
        });
      }
      yield value as Item;
    }
  }

  /** All values. */
  async read(): Promise<Item[]> {
    const values: Item[] = [];
    for await (const value of this.iterate()) values.push(value);
    return values;
  }
}

const isMine = (number: number, worker = 0, workers = 1): boolean => (number - 1) % workers === worker;
