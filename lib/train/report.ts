// The report of a training run: one HTML file that needs nothing else, no network, no library, light or dark as the
// reader's system is. It owns the page; line-chart.ts draws the curves, png.ts encodes the pictures. The trainer and
// the examples call it.

import { ShapeError } from '../errors';
import { replaceFile, writeFully } from '../io/atomic-file';
import { show } from '../tensor/shapes';
import { drawLineChart, type Curve } from './line-chart';
import { encodePng } from './png';
import { script, styles } from './report-style';

/** What was measured at one moment of the run. Training and validation values may come at moments of their own. */
export interface HistoryPoint {
  readonly step: number;
  /** Epochs done so far, with a fraction; when every point has it, the curves are drawn over it. */
  readonly epoch?: number;
  readonly loss?: number;
  /** 0 to 1, as `valAccuracy`. */
  readonly accuracy?: number;
  readonly valLoss?: number;
  readonly valAccuracy?: number;
}

/** A test image with what the model says of it. */
export interface ReportSample {
  /** Bytes, row after row: one each for grey, three for red, green and blue. */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** The class it is, and the class that the model takes it for. */
  readonly label: number;
  readonly prediction: number;
  /** The probability that the model gives its prediction, 0 to 1. */
  readonly confidence: number;
}

export interface Report {
  readonly title: string;
  readonly history: readonly HistoryPoint[];
  /** `confusion[truth][prediction]`: how many test images. */
  readonly confusion?: readonly (readonly number[])[];
  readonly classNames?: readonly string[];
  readonly samples?: readonly ReportSample[];
  /** Shown as they are: machine, versions, seed, parameters, time. */
  readonly facts?: Readonly<Record<string, string>>;
}

// The browser itself sees to it that the page loads nothing.
const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/** Writes a report; see `buildReport`. The file is replaced in one step. */
export async function writeReport(path: string, report: Report): Promise<void> {
  const page = Buffer.from(buildReport(report));
  await replaceFile(path, (file) => writeFully(file, page));
}

/**
 * A report as HTML: curves of loss and accuracy, the confusion matrix, test images with predictions (wrong ones first),
 * facts.
 */
export function buildReport({ title, history, confusion, classNames, samples = [], facts = {} }: Report): string {
  if (confusion) checkConfusion(confusion, classNames);
  const nameOf = (index: number): string => escape(classNames?.[index] ?? String(index));
  const sections = [
    headline(history, confusion),
    curves(history),
    confusion && (confusion.length <= MAX_TABLE ? confusionTable : confusionList)(confusion, nameOf),
    gallery(samples, nameOf),
    factList(facts),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escape(title)}</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${sections.filter((section) => section !== undefined && section !== '').join('\n')}
</main>
<script>${script}</script>
</body>
</html>
`;
}

function checkConfusion(confusion: readonly (readonly number[])[], classNames?: readonly string[]): void {
  const size = classNames?.length ?? confusion.length;
  const wrong = confusion.find((row) => row.length !== size);
  if (confusion.length === size && !wrong) return;
  const got = show([confusion.length, (wrong ?? confusion[0])?.length ?? 0]);
  throw new ShapeError(`writeReport: confusion: got ${got}, expected ${show([size, size])}`);
}

/** The few numbers that one looks for first. */
function headline(history: readonly HistoryPoint[], confusion: Report['confusion']): string {
  const numbers: [name: string, value: string][] = [];
  if (confusion) {
    const total = sum(confusion.flat());
    const right = sum(confusion.map((row, i) => row[i] ?? 0));
    numbers.push(
      ['test accuracy', percent(right / total, 2)],
      ['test images wrong', `${count(total - right)} of ${count(total)}`],
    );
  }
  const last = (key: keyof HistoryPoint): number | undefined =>
    history.findLast((point) => point[key] !== undefined)?.[key];
  const [valLoss, loss, epoch, step] = [last('valLoss'), last('loss'), last('epoch'), last('step')];
  if (valLoss !== undefined) numbers.push(['validation loss', significant(valLoss)]);
  else if (loss !== undefined) numbers.push(['training loss', significant(loss)]);
  if (epoch !== undefined) numbers.push([epoch === 1 ? 'epoch' : 'epochs', count(epoch)]);
  if (step !== undefined) numbers.push([step === 1 ? 'step' : 'steps', count(step)]);
  return definitions('headline', numbers);
}

function curves(history: readonly HistoryPoint[]): string {
  const xLabel = history.every(({ epoch }) => epoch !== undefined) ? 'epoch' : 'step';
  const curve = (name: string, kind: string, key: keyof HistoryPoint): Curve => ({
    name,
    kind,
    points: history.flatMap((point) => {
      const value = point[key];
      return value === undefined ? [] : [[point[xLabel] ?? NaN, value] as const];
    }),
  });
  const charts = [
    drawLineChart({
      title: 'Loss',
      xLabel,
      curves: [curve('training', 'train', 'loss'), curve('validation', 'val', 'valLoss')],
      format: significant,
      scale: 'log',
      bounds: [-Infinity, Infinity],
    }),
    drawLineChart({
      title: 'Accuracy',
      xLabel,
      curves: [curve('training', 'train', 'accuracy'), curve('validation', 'val', 'valAccuracy')],
      format: (value) => `${+(100 * value).toFixed(2)} %`,
      scale: 'linear',
      bounds: [0, 1],
    }),
  ];
  return charts.some(Boolean) ? `<section class="charts">${charts.filter(Boolean).join('')}</section>` : '';
}

const MAX_TABLE = 40; // classes; a larger table cannot be read

function confusionTable(confusion: readonly (readonly number[])[], nameOf: (index: number) => string): string {
  const mostWrong = mistakesOf(confusion)[0]?.times ?? 1;
  const head = confusion.map((_, j) => `<th scope="col">${nameOf(j)}</th>`).join('');
  const rows = confusion.map((row, i) => {
    const total = sum(row);
    const cells = row.map((cell, j) => {
      // Mistakes are few beside what is right: they have a colour and a scale of their own.
      const share = i === j ? (0.85 * cell) / Math.max(total, 1) : 0.12 + 0.78 * Math.sqrt(cell / mostWrong);
      const kind = `${i === j ? 'right' : 'wrong'}${share > 0.75 ? ' strong' : ''}`;
      const title = `${nameOf(i)} taken for ${nameOf(j)}: ${count(cell)}`;
      return cell === 0
        ? '<td class="none">·</td>'
        : `<td class="${kind}" style="--share:${(100 * share).toFixed(0)}%" title="${title}">${count(cell)}</td>`;
    });
    const recall = total === 0 ? '–' : percent((row[i] ?? 0) / total, 1);
    return `<tr><th scope="row">${nameOf(i)}</th>${cells.join('')}<td class="recall">${recall}</td></tr>`;
  });
  const table =
    `<table class="confusion"><thead><tr><td></td>${head}<td></td></tr></thead>` +
    `<tbody>${rows.join('')}</tbody></table>`;
  const note =
    'Rows are what an image shows, columns what the model takes it for; on the right, the share that is right.';
  return section('Confusion matrix', note, `<div class="scroll">${table}</div>`);
}

/** What is taken for what, the most frequent first. */
function mistakesOf(confusion: readonly (readonly number[])[]): { truth: number; prediction: number; times: number }[] {
  return confusion
    .flatMap((row, truth) => row.map((times, prediction) => ({ truth, prediction, times })))
    .filter(({ truth, prediction, times }) => truth !== prediction && times > 0)
    .sort((a, b) => b.times - a.times);
}

function confusionList(confusion: readonly (readonly number[])[], nameOf: (index: number) => string): string {
  const rows = mistakesOf(confusion)
    .slice(0, MAX_TABLE)
    .map(({ truth, prediction, times }) => [`${nameOf(truth)} → ${nameOf(prediction)}`, count(times)] as const);
  const note = 'What an image shows → what the model takes it for.';
  return section('Most frequent confusions', note, definitions('facts', rows));
}

function gallery(samples: readonly ReportSample[], nameOf: (index: number) => string): string {
  if (samples.length === 0) return '';
  const isWrong = ({ label, prediction }: ReportSample): boolean => label !== prediction;
  const wrong = samples.filter(isWrong).sort((a, b) => b.confidence - a.confidence);
  const right = samples.filter((sample) => !isWrong(sample));
  const figures = [...wrong, ...right].map((sample) => {
    const { pixels, width, height, label, prediction, confidence } = sample;
    const source = encodePng(pixels, width, height).toString('base64');
    const text = isWrong(sample) ? `${nameOf(label)} → ${nameOf(prediction)}` : nameOf(label);
    const description = `shows ${nameOf(label)}, taken for ${nameOf(prediction)} with ${percent(confidence, 1)}`;
    return (
      `<figure class="${isWrong(sample) ? 'wrong' : 'right'}" title="${description}">` +
      `<img src="data:image/png;base64,${source}" alt="${description}" width="${width}" height="${height}">` +
      `<figcaption>${text} <small>${percent(confidence, 0)}</small></figcaption></figure>`
    );
  });
  const note =
    wrong.length === 0
      ? 'All of these are right.'
      : 'What the image shows → what the model takes it for, and how sure it is; the wrong ones first.';
  return section('Test images', note, `<div class="gallery">${figures.join('')}</div>`);
}

function factList(facts: Readonly<Record<string, string>>): string {
  const rows = Object.entries(facts).map(([name, value]) => [escape(name), escape(value)] as const);
  return rows.length === 0 ? '' : section('This run', '', definitions('facts', rows));
}

function section(title: string, note: string, body: string): string {
  return `<section><h2>${title}</h2>${note === '' ? '' : `<p class="note">${note}</p>`}${body}</section>`;
}

function definitions(kind: string, rows: readonly (readonly [name: string, value: string])[]): string {
  const items = rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return `<dl class="${kind}">${items.join('')}</dl>`;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 2 });
const significant = (value: number): string => String(+value.toPrecision(3));

/** A share as a percentage that says 100 % only when it is all. */
function percent(share: number, digits: number): string {
  const limit = 100 - 10 ** -digits;
  return `${(share < 1 ? Math.min(100 * share, limit) : 100).toFixed(digits)} %`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
