/**
 * The page of a training run: HTML that needs nothing else, no network, no library, light or dark as the reader's system
 * is. It owns the sections of the page, for the report as a file and for the live page (run-page.ts); line-chart.ts draws
 * the curves, png.ts encodes the pictures.
 */
import { ShapeError } from '../errors';
import { replaceFile, writeFully } from '../io/atomic-file';
import { checkPath } from '../io/paths';
import { checkObject } from '../ops/define';
import { checkCount, checkList, checkString } from '../tensor/checks';
import { show } from '../tensor/shapes';
import { bytes, isBytes, isShare, significant } from './format';
import { drawLineChart, type Curve } from './line-chart';
import type { Picture } from './logger';
import { encodePng } from './png';
import { liveScript, script, styles } from './report-style';

/**
 * What was measured at one moment of the run, by name. Values of training and of validation may come at moments of their own: `valLoss` belongs
 * to `loss`, and so on. Accuracies and other shares are 0 to 1, names that end in `Bytes` are of memory.
 */
export interface HistoryPoint {
  readonly step: number;
  /** Epochs done so far, with a fraction; when every point has it, the curves are drawn over it. */
  readonly epoch?: number;
  readonly [name: string]: number | undefined;
}

/** A test image with what the model says of it. */
export interface ReportSample extends Picture {
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
  /** Pictures and texts that the model made, the latest of each name. */
  readonly pictures?: readonly (Picture & { readonly name: string; readonly step: number })[];
  readonly texts?: readonly { readonly name: string; readonly step: number; readonly text: string }[];
  /** Shown as they are: machine, versions, seed, parameters, time. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** Writes a report; see `buildReport`. The file is replaced in one step. */
export async function writeReport(path: string, report: Report): Promise<void> {
  checkPath('writeReport', path);
  const page = Buffer.from(buildReport(report));
  await replaceFile('writeReport', path, (file) => writeFully(file, page));
}

/**
 * A report as HTML: curves of all values, the confusion matrix, test images with predictions (wrong ones first), what the model made, facts.
 *
 * @throws ShapeError when the confusion matrix is none.
 */
export function buildReport(report: Report): string {
  checkReport('buildReport', report);
  return buildPage(report.title, renderSections(report), false);
}

/** A part of the page, by its id; '' where there is nothing to show. */
export type Sections = Readonly<Record<string, string>>;

export function renderSections(report: Report): Sections {
  const { history, confusion, classNames, samples = [], pictures = [], texts = [], facts = {} } = report;
  if (confusion) checkConfusion(confusion, classNames);
  const nameOf = (index: number): string => escape(classNames?.[index] ?? String(index));
  return {
    headline: headline(history, confusion),
    curves: curves(history),
    confusion: confusion ? (confusion.length <= MAX_TABLE ? confusionTable : confusionList)(confusion, nameOf) : '',
    samples: gallery(samples, nameOf),
    pictures: pictureWall(pictures),
    texts: textList(texts),
    facts: factList(facts),
  };
}

/** The whole page; a live one keeps itself up to date. */
export function buildPage(title: string, sections: Sections, isLive: boolean): string {
  // The browser itself sees to it that the page loads nothing, or hears from its own server alone.
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" +
    (isLive ? "; connect-src 'self'" : '');
  const parts = Object.entries(sections).map(([id, html]) => `<div id="${id}">${html}</div>`);
  return `<!doctype html>
<html lang="en"${isLive ? ' data-live="on"' : ''}>
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
${parts.join('\n')}
</main>
<script>${script}${isLive ? liveScript : ''}</script>
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
  const last = (key: string): number | undefined => history.findLast((point) => point[key] !== undefined)?.[key];
  const [valAccuracy, valLoss, loss, epoch, step] = ['valAccuracy', 'valLoss', 'loss', 'epoch', 'step'].map(last);
  if (!confusion && valAccuracy !== undefined) numbers.push(['validation accuracy', percent(valAccuracy, 2)]);
  if (valLoss !== undefined) numbers.push(['validation loss', significant(valLoss)]);
  else if (loss !== undefined) numbers.push(['training loss', significant(loss)]);
  if (epoch !== undefined) numbers.push([epoch === 1 ? 'epoch' : 'epochs', count(epoch)]);
  if (step !== undefined) numbers.push([step === 1 ? 'step' : 'steps', count(step)]);
  return definitions('headline', numbers);
}

/** What a chart shows: the names of its curves and what is written beside them. */
interface Chart {
  readonly title: string;
  readonly curves: readonly (readonly [key: string, name: string, kind: string])[];
}

const memoryChart: Chart = {
  title: 'Memory',
  curves: [
    ['tensorBytes', 'tensors', 'train'],
    ['processBytes', 'process', 'val'],
  ],
};

/** A chart for each value with that of its validation; the loss first, speed and memory last. */
function chartsOf(history: readonly HistoryPoint[]): Chart[] {
  const keys = [...new Set(history.flatMap((point) => Object.keys(point)))];
  const names = [...new Set(keys.map((key) => key.replace(/^val([A-Z])/, (_, first: string) => first.toLowerCase())))];
  const rank = (name: string): number =>
    name === 'loss' ? 0 : name === 'accuracy' ? 1 : name.endsWith('PerSecond') ? 4 : name === 'learningRate' ? 3 : 2;
  const own = names
    .filter((name) => !['step', 'epoch', 'tensorBytes', 'processBytes'].includes(name))
    .filter((name) => name !== 'stepsPerSecond' || !names.includes('samplesPerSecond'))
    .sort((a, b) => rank(a) - rank(b))
    .map((name): Chart => ({
      title: titleOf(name),
      curves: [
        [name, 'training', 'train'],
        [`val${name.charAt(0).toUpperCase()}${name.slice(1)}`, 'validation', 'val'],
      ],
    }));
  return [...own, memoryChart];
}

/** `learningRate` as `Learning rate`. */
const titleOf = (name: string): string =>
  escape(name.charAt(0).toUpperCase() + name.slice(1).replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`));

function formatOf(name: string): (value: number) => string {
  if (isShare(name)) return (value) => `${+(100 * value).toFixed(2)} %`;
  return isBytes(name) ? bytes : (value) => significant(value);
}

function curves(history: readonly HistoryPoint[]): string {
  const xLabel = history.every(({ epoch }) => epoch !== undefined) ? 'epoch' : 'step';
  const charts = chartsOf(history).map(({ title, curves }) => {
    const drawn = curves.map(([key, name, kind]): Curve => {
      const points = history.flatMap((point) => {
        const value = point[key];
        return value === undefined ? [] : [[point[xLabel] ?? NaN, value] as const];
      });
      return { name, kind, points };
    });
    const [name] = curves[0]!;
    return drawLineChart({
      title,
      xLabel,
      curves: drawn,
      format: formatOf(name),
      scale: name === 'loss' ? 'log' : 'linear',
      bounds: isShare(name) ? [0, 1] : isBytes(name) ? [0, Infinity] : [-Infinity, Infinity],
    });
  });
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
    const { width, height, label, prediction, confidence } = sample;
    const text = isWrong(sample) ? `${nameOf(label)} → ${nameOf(prediction)}` : nameOf(label);
    const description = `shows ${nameOf(label)}, taken for ${nameOf(prediction)} with ${percent(confidence, 1)}`;
    return (
      `<figure class="${isWrong(sample) ? 'wrong' : 'right'}" title="${description}">` +
      `<img src="${dataUrl(sample)}" alt="${description}" width="${width}" height="${height}">` +
      `<figcaption>${text} <small>${percent(confidence, 0)}</small></figcaption></figure>`
    );
  });
  const note =
    wrong.length === 0
      ? 'All of these are right.'
      : 'What the image shows → what the model takes it for, and how sure it is; the wrong ones first.';
  return section('Test images', note, `<div class="gallery">${figures.join('')}</div>`);
}

const encoded = new WeakMap<Uint8Array, string>();

/** The picture inside a page. A live page asks for it again and again. */
function dataUrl({ pixels, width, height }: Picture): string {
  const known = encoded.get(pixels) ?? `data:image/png;base64,${encodePng(pixels, width, height).toString('base64')}`;
  encoded.set(pixels, known);
  return known;
}

function pictureWall(pictures: NonNullable<Report['pictures']>): string {
  if (pictures.length === 0) return '';
  const figures = pictures.map((picture) => {
    const { name, step, width, height } = picture;
    return (
      `<figure><img src="${dataUrl(picture)}" alt="${escape(name)}" width="${width}" height="${height}">` +
      `<figcaption>${escape(name)} <small>step ${count(step)}</small></figcaption></figure>`
    );
  });
  return section('Pictures', '', `<div class="wall">${figures.join('')}</div>`);
}

function textList(texts: NonNullable<Report['texts']>): string {
  if (texts.length === 0) return '';
  const figures = texts.map(
    ({ name, step, text }) =>
      `<figure><figcaption>${escape(name)} <small>step ${count(step)}</small></figcaption><pre>${escape(text)}</pre></figure>`,
  );
  return section('Texts', '', `<div class="texts">${figures.join('')}</div>`);
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

/** Throws unless the report has the form of one. */
function checkReport(op: string, report: Report): void {
  checkObject(op, report, 'report');
  const { history, confusion, samples = [], pictures = [], texts = [] } = report;
  checkLabels(op, report);
  const lists: Readonly<Record<string, readonly unknown[]>> = { history, samples, pictures, texts };
  for (const [name, list] of Object.entries(lists)) {
    checkList(op, name, list);
    list.forEach((each, i) => checkObject(op, each, `${name}[${i}]`));
  }
  samples.forEach(({ label, prediction }, i) => {
    checkCount(op, `samples[${i}].label`, label, 0);
    checkCount(op, `samples[${i}].prediction`, prediction, 0);
  });
  for (const { name } of pictures) checkString(op, 'pictures: name', name);
  for (const { name, text } of texts) {
    checkString(op, 'texts: name', name);
    checkString(op, 'texts: text', text);
  }
  if (confusion === undefined) return;
  checkList(op, 'confusion', confusion);
  confusion.forEach((row, i) => checkList(op, `confusion[${i}]`, row));
}

/** Throws unless the title, the names and the facts of a report are strings. */
export function checkLabels(op: string, { title, classNames = [], facts = {} }: Partial<Report>): void {
  checkString(op, 'title', title);
  checkList(op, 'classNames', classNames);
  classNames.forEach((name, i) => checkString(op, `classNames[${i}]`, name));
  checkObject(op, facts, 'facts');
  for (const [name, fact] of Object.entries(facts)) checkString(op, `facts.${name}`, fact);
}
