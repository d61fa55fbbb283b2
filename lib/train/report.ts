// The report of a training run: one HTML file that needs nothing else, no network, no library, light or dark as the reader's system is.
// It owns the page; line-chart.ts draws the curves, png.ts encodes the pictures. The trainer and the examples call it.

import { ShapeError } from '../errors';
import { replaceFile, writeFully } from '../io/atomic-file';
import { drawLineChart, type Curve } from './line-chart';
import { encodePng } from './png';

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

/** Writes a report; see `buildReport`. The file is replaced in one step. */
export async function writeReport(path: string, report: Report): Promise<void> {
  const page = Buffer.from(buildReport(report));
  await replaceFile(path, (file) => writeFully(file, page));
}

/** A report as HTML: curves of loss and accuracy, the confusion matrix, test images with predictions (wrong ones first), facts. */
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
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
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
  throw new ShapeError(
    `writeReport: confusion: got [${confusion.length}, ${(wrong ?? confusion[0])?.length ?? 0}], expected [${size}, ${size}]`,
  );
}

/** The few numbers that one looks for first. */
function headline(history: readonly HistoryPoint[], confusion: Report['confusion']): string {
  const numbers: [value: string, name: string][] = [];
  if (confusion) {
    const total = sum(confusion.flat());
    const right = sum(confusion.map((row, i) => row[i] ?? 0));
    numbers.push(
      [percent(right / total, 2), 'test accuracy'],
      [`${count(total - right)} of ${count(total)}`, 'test images wrong'],
    );
  }
  const last = (key: keyof HistoryPoint): number | undefined =>
    history.findLast((point) => point[key] !== undefined)?.[key];
  const [valLoss, loss, epoch, step] = [last('valLoss'), last('loss'), last('epoch'), last('step')];
  if (valLoss !== undefined) numbers.push([significant(valLoss), 'validation loss']);
  else if (loss !== undefined) numbers.push([significant(loss), 'training loss']);
  if (epoch !== undefined) numbers.push([count(epoch), epoch === 1 ? 'epoch' : 'epochs']);
  if (step !== undefined) numbers.push([count(step), 'steps']);
  return `<dl class="headline">${numbers.map(([value, name]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>`;
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
      const kind = i === j ? 'right' : 'wrong';
      // Mistakes are few beside what is right: they have a colour and a scale of their own.
      const share = i === j ? (0.85 * cell) / Math.max(total, 1) : 0.12 + 0.78 * Math.sqrt(cell / mostWrong);
      const title = `${nameOf(i)} taken for ${nameOf(j)}: ${count(cell)}`;
      return cell === 0
        ? '<td class="none">·</td>'
        : `<td class="${kind}${share > 0.75 ? ' strong' : ''}" style="--share:${(100 * share).toFixed(0)}%" title="${title}">${count(cell)}</td>`;
    });
    const recall = total === 0 ? '–' : percent((row[i] ?? 0) / total, 1);
    return `<tr><th scope="row">${nameOf(i)}</th>${cells.join('')}<td class="recall">${recall}</td></tr>`;
  });
  return (
    '<section><h2>Confusion matrix</h2><p class="note">Rows are what an image shows, columns what the model takes it for; on the right, ' +
    'the share of each row that is right.</p><div class="scroll"><table class="confusion">' +
    `<thead><tr><td></td>${head}<td></td></tr></thead><tbody>${rows.join('')}</tbody></table></div></section>`
  );
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
    .map(
      ({ truth, prediction, times }) =>
        `<div><dt>${nameOf(truth)} → ${nameOf(prediction)}</dt><dd>${count(times)}</dd></div>`,
    );
  return `<section><h2>Most frequent confusions</h2><p class="note">What an image shows → what the model takes it for.</p><dl class="facts">${rows.join('')}</dl></section>`;
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
      : 'What the image shows → what the model takes it for, and how sure it is; the wrong ones first, the surest on top.';
  return `<section><h2>Test images</h2><p class="note">${note}</p><div class="gallery">${figures.join('')}</div></section>`;
}

function factList(facts: Readonly<Record<string, string>>): string {
  const rows = Object.entries(facts).map(
    ([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`,
  );
  return rows.length === 0 ? '' : `<section><h2>This run</h2><dl class="facts">${rows.join('')}</dl></section>`;
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

const styles = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #667080; --line: #e3e6eb;
  --train: #2f6fde; --val: #e0751c; --right: #2f6fde; --wrong: #e0751c; }
@media (prefers-color-scheme: dark) { :root { --page: #101318; --card: #181c23; --ink: #e8eaee; --soft: #939dac; --line: #2a303a;
  --train: #6aa0ff; --val: #ff9d4d; --right: #4f8cf5; --wrong: #f08a3c; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 20px 64px; display: grid; gap: 20px; grid-template-columns: minmax(0, 1fr); }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -.01em; }
h2, .chart figcaption { font-size: 16px; font-weight: 600; }
section, .headline { min-width: 0; }
section:not(.charts), .chart { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; }
small { font-size: 12px; font-weight: 400; color: var(--soft); }
.note { color: var(--soft); font-size: 13.5px; margin: 2px 0 14px; }
.headline { display: flex; flex-wrap: wrap; gap: 6px 40px; }
.headline div { display: flex; flex-direction: column-reverse; }
.headline dt { color: var(--soft); font-size: 13.5px; }
.headline dd { font-size: 28px; font-weight: 600; line-height: 1.2; letter-spacing: -.01em; }
.charts { display: grid; gap: 20px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.chart { position: relative; }
.chart svg { display: block; width: 100%; height: auto; margin-top: 8px; overflow: visible; }
.legend { float: right; font-weight: 400; font-size: 13px; color: var(--soft); }
.key { margin-left: 16px; }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: middle; background: var(--hue); }
.train { --hue: var(--train); } .val { --hue: var(--val); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); stroke-opacity: .6; }
.tick { fill: var(--soft); font-size: 12px; }
.curve { fill: none; stroke: var(--hue); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.curve.raw { stroke-width: 1; opacity: .3; }
.dot { fill: var(--hue); stroke: var(--card); stroke-width: 1.5; }
.cross { stroke: var(--soft); stroke-dasharray: 3 3; }
.tip { position: absolute; pointer-events: none; padding: 6px 10px; border-radius: 6px; background: var(--ink); color: var(--page); font-size: 12.5px; white-space: nowrap; }
.tip .key { margin: 0; display: block; }
.scroll { overflow-x: auto; }
.confusion { border-spacing: 3px; margin: 0 auto; font-size: 14px; }
.confusion th { font-weight: 600; color: var(--soft); padding: 2px 8px; }
.confusion td { min-width: 48px; height: 34px; text-align: center; border-radius: 5px; }
.confusion tbody td:not(.recall) { background: color-mix(in srgb, var(--hue, transparent) var(--share, 0%), var(--page)); }
.confusion .right { --hue: var(--right); } .confusion .wrong { --hue: var(--wrong); }
.confusion .strong { color: #fff; font-weight: 600; }
.confusion .none { color: var(--soft); opacity: .5; }
.confusion .recall { padding-left: 10px; color: var(--soft); text-align: right; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 12px 10px; }
.gallery figure { text-align: center; font-size: 13.5px; line-height: 1.35; }
.gallery img { width: 100%; height: auto; image-rendering: pixelated; border-radius: 6px; display: block; margin-bottom: 4px; outline: 1px solid var(--line); }
.gallery .wrong img { outline: 2px solid var(--wrong); }
.gallery .wrong figcaption { color: var(--wrong); font-weight: 600; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 4px 40px; margin-top: 10px; }
.facts div { display: flex; justify-content: space-between; gap: 16px; border-bottom: 1px solid var(--line); padding: 5px 0; }
.facts dt { color: var(--soft); } .facts dd { text-align: right; overflow-wrap: anywhere; }
@media (max-width: 560px) { .tick { font-size: 17px; } }
@media print { body { background: none; } section, .chart { break-inside: avoid; } }
`;

// Shows the values at the pointer's place: the page is complete without it.
const script = `
for (const svg of document.querySelectorAll('svg[data-curves]')) {
  const curves = JSON.parse(svg.dataset.curves);
  const tip = document.createElement('div');
  const cross = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  tip.className = 'tip';
  cross.classList.add('cross');
  const hide = () => { tip.remove(); cross.remove(); };
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const unit = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * unit;
    const nearest = curves.map(({ points }) => points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    const closest = nearest.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
    for (const [key, value] of [['x1', closest[0]], ['x2', closest[0]], ['y1', 14], ['y2', 262]]) cross.setAttribute(key, value);
    svg.append(cross);
    tip.replaceChildren(svg.dataset.x + ' ' + closest[2], ...curves.map(({ name, kind }, i) => {
      const row = document.createElement('span');
      row.className = 'key ' + kind;
      row.textContent = name + ' ' + nearest[i][3];
      return row;
    }));
    svg.parentElement.append(tip);
    const frame = svg.parentElement.getBoundingClientRect();
    const right = event.clientX - box.left > box.width / 2;
    tip.style.top = box.top - frame.top + 12 + 'px';
    tip.style.left = box.left - frame.left + closest[0] / unit + (right ? -12 - tip.offsetWidth : 12) + 'px';
  });
}
`;
