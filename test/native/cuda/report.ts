// What gpu-check answers with, as JSON and as Markdown.

export type Status = 'passed' | 'failed' | 'crashed' | 'out of time' | 'left out';

/** A measurement; the peer's is PyTorch's of the same run. */
export interface Figure {
  readonly name: string;
  /** Seconds of one iteration. */
  readonly seconds: number;
  readonly peer?: number | undefined;
  readonly flops?: number | undefined;
  readonly bytes?: number | undefined;
}

export interface PartResult {
  readonly name: string;
  readonly status: Status;
  readonly seconds: number;
  /** How many things were checked. */
  readonly checks: number;
  readonly failures: readonly string[];
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
}

export interface Report {
  readonly device: string;
  readonly date: string;
  readonly node: string;
  readonly peer: string;
  readonly parts: readonly PartResult[];
}

/** A report is good when no part failed; parts that were left out do not count. */
export const isGood = ({ parts }: Report): boolean =>
  parts.every(({ status }) => status === 'passed' || status === 'left out');

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

function duration(seconds: number): string {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  if (seconds >= 1e-3) return `${(seconds * 1e3).toFixed(3)} ms`;
  return `${(seconds * 1e6).toFixed(1)} µs`;
}

function rate({ flops, bytes, seconds }: Figure): string {
  if (flops !== undefined) return `${(flops / seconds / 1e12).toFixed(1)} TFLOP/s`;
  if (bytes !== undefined) return `${(bytes / seconds / 1e9).toFixed(0)} GB/s`;
  return '';
}

/** The report as two tables, and what failed. */
export function markdown(report: Report): string {
  const lines = [
    `${report.device}. ${report.date}, Node ${report.node}, ${report.peer}.`,
    '',
    row('part', 'status', 'checks', 'failures', 'seconds'),
    '| --- | --- | ---: | ---: | ---: |',
    ...report.parts.map(({ name, status, checks, failures, seconds }) =>
      row(name, status, `${checks}`, `${failures.length}`, seconds.toFixed(1)),
    ),
  ];
  const figures = report.parts.flatMap((part) => part.figures);
  if (figures.length > 0) {
    lines.push('', row('figure', 'hadal', 'PyTorch', 'ratio', 'rate'), '| --- | ---: | ---: | ---: | ---: |');
    for (const figure of figures) {
      const { name, seconds, peer } = figure;
      const ratio = peer === undefined ? '' : `${(peer / seconds).toFixed(2)}×`;
      lines.push(row(name, duration(seconds), peer === undefined ? '' : duration(peer), ratio, rate(figure)));
    }
  }
  for (const { name, failures, notes } of report.parts) {
    if (failures.length + notes.length > 0) lines.push('', `${name}:`, '');
    for (const note of notes) lines.push(`- ${cell(note)}`);
    for (const failure of failures) lines.push(`- failed: ${cell(failure)}`);
  }
  return `${lines.join('\n')}\n`;
}
