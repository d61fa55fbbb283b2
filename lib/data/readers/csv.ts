/** Tables as CSV, parsed by the package csv-parse; what is no number where one is wanted is named by line and column. */
import { Readable } from 'node:stream';
import { isUtf8 } from 'node:buffer';
import { ArgumentError, FormatError } from '../../errors';
import { readUnpacked } from '../../io/gzip';
import { excerpt, malformed } from '../../io/malformed';
import { checkOptions } from '../../ops/define';
import type { ArrayItem } from '../../tensor/array-item';
import { checkList } from '../../tensor/checks';
import { describe } from '../../tensor/describe';
import { optionalPackage } from '../../io/optional-package';

export interface CsvOptions {
  /** `','` unless given. */
  readonly delimiter?: string;
  /** Whether the first line names the columns; true unless given. Without, columns are called 0, 1, … */
  readonly header?: boolean;
}

/** A file may have several kinds. */
const lineEnds = ['\r\n', '\n', '\r'];

/** A decimal number, or infinity as Python writes it too; NaN for all else. */
function numberOf(text: string): number {
  if (/^[-+]?inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return /^0[box]/i.test(text) ? NaN : Number(text);
}

interface Parsed {
  readonly record: string[];
  readonly info: { readonly lines: number };
}
interface CsvParse {
  parse(options: object): NodeJS.ReadWriteStream & AsyncIterable<Parsed>;
}

/** The rows of a file, as text and as numbers. */
export class CsvTable {
  readonly #places: ReadonlyMap<string, number>;

  /** @internal */
  constructor(
    readonly path: string,
    readonly columns: readonly string[],
    readonly rows: readonly (readonly string[])[],
    /** Where each row ends. */
    private readonly lines: readonly number[],
  ) {
    this.#places = new Map(columns.map((name, i) => [name, i]));
  }

  /** A column's texts. */
  column(name: string): string[] {
    const place = this.place(name);
    return this.rows.map((row) => row[place]!);
  }

  /**
   * Columns as numbers: float32 of shape [rows, columns]. A field without text is `missing`, where that is given.
   *
   * @throws FormatError naming line and column of what is no number.
   */
  numbers(names: readonly string[] = this.columns, options: { readonly missing?: number } = {}): ArrayItem<'float32'> {
    checkList('CsvTable', 'names', names);
    checkOptions('CsvTable', options, 'CsvTable.numbers');
    const { missing } = options;
    const data = new Float32Array(this.rows.length * names.length);
    const places = names.map((name) => this.place(name));
    let at = 0;
    this.rows.forEach((row, i) => {
      for (const place of places) {
        const text = row[place]!.trim();
        const value = text === '' ? (missing ?? NaN) : numberOf(text);
        if (Number.isNaN(value) && !(text === '' ? missing !== undefined : /^[-+]?nan$/i.test(text))) {
          const where = `line ${this.lines[i]}, column ${excerpt(this.columns[place]!)}`;
          const expected = text === '' ? 'a number, or `missing` to be given for empty fields' : 'a number';
          throw malformed('readCsv', this.path, where, 'field', excerpt(text), expected);
        }
        data[at++] = value;
      }
    });
    return { dtype: 'float32', shape: [this.rows.length, names.length], data };
  }

  private place(name: string): number {
    const place = this.#places.get(name);
    if (place !== undefined) return place;
    throw new ArgumentError(
      `CsvTable: column: got ${typeof name === 'string' ? JSON.stringify(name) : describe(name)}, expected one of ${this.columns.join(', ')}`,
    );
  }
}

/**
 * Reads a CSV file (RFC 4180), gzipped or not, without blocking the event loop for long.
 *
 * @throws FormatError naming the line, when quotes or the number of fields are wrong; HadalError when csv-parse is not installed.
 * @example
 * const table = await data.readCsv('housing.csv');
 * const x = tensor(table.numbers(['longitude', 'latitude'])); // float32 [rows, 2]
 */
export async function readCsv(path: string, options: CsvOptions = {}): Promise<CsvTable> {
  checkOptions('readCsv', options);
  const { delimiter = ',', header = true } = options;
  if (typeof delimiter !== 'string' || delimiter === '') {
    throw new ArgumentError(
      `readCsv: delimiter: got ${JSON.stringify(delimiter)}, expected a string that is not empty`,
    );
  }
  const { parse } = optionalPackage<CsvParse>('readCsv', 'csv-parse');
  const bytes = await readUnpacked('readCsv', path);
  if (!isUtf8(bytes)) throw malformed('readCsv', path, 0, 'text', 'invalid UTF-8', 'UTF-8');
  const parser = parse({ delimiter, record_delimiter: lineEnds, bom: true, info: true, skip_empty_lines: true });
  const rows: string[][] = [];
  const lines: number[] = [];
  try {
    for await (const { record, info } of Readable.from(pieces(bytes)).pipe(parser) as AsyncIterable<Parsed>) {
      rows.push(record);
      lines.push(info.lines);
    }
  } catch (error) {
    const { code = '', message, lines: line } = error as NodeJS.ErrnoException & { lines?: number };
    if (!/^(CSV_|INVALID_OPENING_QUOTE)/.test(code)) throw error;
    throw new FormatError(`readCsv: ${path}: line ${line ?? 1}: ${message}`, { file: path, line, cause: error });
  }
  const first = rows[0];
  if (first === undefined) throw malformed('readCsv', path, 'line 1', 'file', 'nothing', header ? 'a header' : 'a row');
  const columns = header ? first : first.map((_, i) => String(i));
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) throw malformed('readCsv', path, 'line 1', 'column', `${excerpt(twice)} twice`, 'each once');
  return new CsvTable(path, columns, rows.slice(header ? 1 : 0), lines.slice(header ? 1 : 0));
}

function* pieces(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
