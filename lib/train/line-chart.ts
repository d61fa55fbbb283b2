/**
 * Line charts as SVG text, for reports. It owns scales, ticks, smoothing and drawing; what the curves mean is the
 * caller's.
 */
export interface Curve {
  readonly name: string;
  /** CSS class of its colour. */
  readonly kind: string;
  /** By rising x; points that are not finite are left out. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly curves: readonly Curve[];
  /** How values are written; x values are written as they are. */
  readonly format: (value: number) => string;
  /** 'log' is used only where every value is positive and they span more than a factor of 30. */
  readonly scale: 'linear' | 'log';
  /** The lowest and highest values that can be. */
  readonly bounds: readonly [low: number, high: number];
}

const WIDTH = 560;
const HEIGHT = 300;
const frame = { left: 54, right: WIDTH - 14, top: 14, bottom: HEIGHT - 38 };
const MAX_POINTS = 400; // about one per visible pixel of a curve
const SMOOTH_FROM = 20; // curves of fewer points are drawn as they are

/**
 * The chart as an `<svg>` element, or undefined when there is nothing to draw. A script of the page reads
 * `data-curves`.
 */
export function drawLineChart({ title, xLabel, curves, format, scale, bounds }: LineChart): string | undefined {
  const drawn = curves
    .map((curve) => ({ ...curve, points: thin(curve.points.filter((point) => point.every(Number.isFinite))) }))
    .filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return undefined;

  const xs = drawn.flatMap(({ points }) => points.map(([x]) => x));
  const x = makeScale(Math.min(0, ...xs), Math.max(...xs), frame.left, frame.right, false);
  const isLog = scale === 'log' && spansDecades(drawn);
  const y = makeScale(...valueRange(drawn, x, isLog, bounds), frame.bottom, frame.top, isLog);

  const parts: string[] = [];
  for (const tick of y.ticks) {
    const at = fix(y.at(tick));
    parts.push(`<line class="grid" x1="${frame.left}" x2="${frame.right}" y1="${at}" y2="${at}"/>`);
    parts.push(
      `<text class="tick" x="${frame.left - 8}" y="${at}" dy=".32em" text-anchor="end">${format(tick)}</text>`,
    );
  }
  for (const tick of x.ticks) {
    const at = fix(x.at(tick));
    parts.push(`<line class="axis" x1="${at}" x2="${at}" y1="${frame.bottom}" y2="${frame.bottom + 4}"/>`);
    parts.push(`<text class="tick" x="${at}" y="${frame.bottom + 17}" text-anchor="middle">${number(tick)}</text>`);
  }
  parts.push(`<line class="axis" x1="${frame.left}" x2="${frame.right}" y1="${frame.bottom}" y2="${frame.bottom}"/>`);
  parts.push(`<text class="tick" x="${frame.right}" y="${HEIGHT - 4}" text-anchor="end">${xLabel}</text>`);

  // What is cut off at a steep start must not be drawn over the axis; lines and dots may stand out by half their width.
  const clip = `clip-${title.toLowerCase().replace(/\W+/g, '-')}`;
  const [width, height] = [frame.right - frame.left + 8, frame.bottom - frame.top + 8];
  const window = `<rect x="${frame.left}" y="${frame.top - 4}" width="${width}" height="${height}"/>`;
  parts.push(`<clipPath id="${clip}">${window}</clipPath>`);
  parts.push(`<g clip-path="url(#${clip})">`);
  for (const { kind, points } of drawn) {
    const path = (of: readonly (readonly [number, number])[]): string =>
      of.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${fix(x.at(px))} ${fix(y.at(py))}`).join('');
    if (points.length >= SMOOTH_FROM) {
      parts.push(`<path class="curve raw ${kind}" d="${path(points)}"/>`);
      parts.push(`<path class="curve ${kind}" d="${path(smooth(points))}"/>`);
      continue;
    }
    parts.push(`<path class="curve ${kind}" d="${path(points)}"/>`);
    for (const [px, py] of points) {
      parts.push(`<circle class="dot ${kind}" cx="${fix(x.at(px))}" cy="${fix(y.at(py))}" r="3"/>`);
    }
  }
  parts.push('</g>');

  const legend = drawn.map(({ name, kind }) => `<span class="key ${kind}">${name}</span>`).join('');
  const hover = drawn.map(({ name, kind, points }) => ({
    name,
    kind,
    points: points.map(([px, py]) => [+fix(x.at(px)), +fix(Math.min(frame.bottom, y.at(py))), number(px), format(py)]),
  }));
  const caption = `${title}${isLog ? ' <small>log scale</small>' : ''}<span class="legend">${legend}</span>`;
  const data = JSON.stringify(hover).replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  return (
    `<figure class="chart"><figcaption>${caption}</figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title} by ${xLabel}" data-x="${xLabel}" ` +
    `data-top="${frame.top}" data-bottom="${frame.bottom}" data-curves="${data}">${parts.join('')}</svg></figure>`
  );
}

interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** Maps low…high to from…to, with ticks at round values. */
function makeScale(low: number, high: number, from: number, to: number, isLog: boolean): Scale {
  const map = isLog ? Math.log10 : (value: number): number => value;
  const [a, b] = [map(low), map(high)];
  const at = (value: number): number => from + ((map(value) - a) / (b - a || 1)) * (to - from);
  return { at, ticks: isLog ? logTicks(low, high) : linearTicks(low, high) };
}

function linearTicks(low: number, high: number): number[] {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough * 0.8) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => +((first + i) * step).toPrecision(12));
}

function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  const factors = decades > 3.5 ? [1] : decades > 2 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of factors) ticks.push(+(factor * 10 ** power).toPrecision(12));
  }
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

/** On a linear scale the range leaves out the steep start, so that the rest can be told apart; the start is cut off. */
function valueRange(
  curves: readonly Curve[],
  x: Scale,
  isLog: boolean,
  [lowest, highest]: readonly [number, number],
): [number, number] {
  const all = curves.flatMap(({ points }) => points);
  const early = isLog ? -Infinity : frame.left + 0.06 * (frame.right - frame.left);
  const settled = all.filter(([px]) => x.at(px) >= early);
  const values = (settled.length >= 20 ? settled : all).map(([, py]) => py);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = isLog ? 0 : 0.05 * (high - low) || 0.05 * Math.abs(high) || 1;
  return [Math.max(lowest, low - margin), Math.min(highest, high + margin)];
}

function spansDecades(curves: readonly Curve[]): boolean {
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y));
  return Math.min(...values) > 0 && Math.max(...values) > 30 * Math.min(...values);
}

/** At most MAX_POINTS points: means of neighbours. */
function thin(points: Curve['points']): Curve['points'] {
  if (points.length <= MAX_POINTS) return points;
  return Array.from({ length: MAX_POINTS }, (_, i) => {
    const start = Math.floor((i * points.length) / MAX_POINTS);
    const group = points.slice(start, Math.floor(((i + 1) * points.length) / MAX_POINTS));
    const mean = (axis: 0 | 1): number => group.reduce((sum, point) => sum + point[axis], 0) / group.length;
    return [mean(0), mean(1)] as const;
  });
}

/** The mean over a fifteenth of the curve around each point. */
function smooth(points: Curve['points']): Curve['points'] {
  const reach = Math.max(2, Math.round(points.length / 30));
  return points.map(([x], i) => {
    const near = Math.min(reach, i); // a steep start is followed closely
    const group = points.slice(i - near, i + near + 1);
    return [x, group.reduce((sum, [, y]) => sum + y, 0) / group.length] as const;
  });
}

const fix = (value: number): string => value.toFixed(1);
const number = (value: number): string => (+value.toPrecision(4)).toLocaleString('en-US', { maximumFractionDigits: 2 });
