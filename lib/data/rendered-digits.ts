/**
 * Digits drawn by the library itself, so that the first training run needs no download: strokes of a pen under random
 * distortion. It owns the skeletons, the distortion and the rasteriser; it knows no tensors. The main example and tests
 * use it.
 *
 * Image i depends on the seed and i alone: asking for more images leaves the first ones as they are.
 */
import { ArgumentError } from '../errors';
import { checkOptions } from '../ops/define';
import { shown } from '../tensor/describe';
import { Random } from './random';

export interface RenderedDigits {
  /** Grey values 0 (paper) to 255 (ink), image after image, row after row. */
  readonly images: Uint8Array;
  /** The digit of each image, 0 to 9. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

// The ways to write each digit, as SVG paths (absolute M, L and C) in a box 60 wide and 100 high.
const skeletons: readonly (readonly string[])[] = [
  [
    'M30 0C10 0 2 25 2 50C2 77 11 100 30 100C49 100 58 77 58 50C58 25 50 0 30 0',
    'M42 5C20 -8 2 22 3 56C4 90 18 102 33 99C54 95 60 62 56 36C53 14 42 0 26 6',
    'M30 4C14 4 10 26 10 50C10 76 16 98 30 98C44 98 50 76 50 50C50 26 46 4 30 4',
  ],
  ['M30 0L30 100', 'M10 24C20 18 28 10 34 0L34 100', 'M12 22C20 16 28 8 32 0L32 100M8 100L56 100'],
  [
    'M4 24C6 6 18 0 30 0C48 0 57 12 56 26C55 48 30 68 4 100L58 100',
    'M6 22C10 4 24 -3 36 2C58 10 53 42 36 66C24 84 8 98 4 91C2 80 18 80 30 90C42 100 52 100 60 92',
    'M8 14C22 -4 54 -4 52 24C50 48 22 76 6 97C24 94 42 94 58 97',
  ],
  [
    'M6 12C14 2 24 0 31 0C46 0 54 10 54 24C54 40 42 48 24 48C44 48 58 56 58 74C58 92 44 100 28 100C16 100 8 96 2 86',
    'M6 0L54 0L26 38C48 38 58 52 58 70C58 90 44 100 28 100C14 100 6 94 2 86',
    'M10 6C30 -6 56 2 50 24C47 40 34 46 20 46C40 46 54 56 52 74C50 96 24 106 6 92',
  ],
  [
    'M12 0C11 22 7 40 3 56L58 56M46 14L44 100',
    'M40 100L42 0L2 66L60 66',
    'M6 4C8 24 4 46 8 52C18 60 38 56 50 48M52 2C48 34 46 66 46 100',
  ],
  [
    'M54 0L12 0L8 45C16 36 26 34 32 34C48 34 58 48 58 66C58 88 44 100 26 100C14 100 6 94 2 86',
    'M14 6L10 46C24 34 54 36 54 66C54 94 26 104 6 92M12 4L56 0',
    'M56 4C40 6 24 6 16 2C16 18 12 30 10 44C30 38 52 44 52 70C52 96 22 104 4 94',
  ],
  [
    'M46 2C20 14 4 40 4 68C4 90 16 100 32 100C48 100 56 88 56 74C56 58 46 50 32 50C18 50 8 60 5 72',
    'M52 10C44 -4 20 0 10 26C2 46 0 70 6 84C12 100 28 102 40 98C56 92 60 74 52 62C44 50 20 52 7 70',
    'M26 0C10 30 4 58 8 80C12 98 30 104 44 94C56 84 52 62 38 60C24 58 12 68 9 82',
  ],
  ['M2 0L56 0L22 100', 'M4 2L57 0C44 32 30 66 24 100M14 50L50 48', 'M4 14L6 0L56 0C40 30 27 62 24 100'],
  [
    'M30 48C14 42 8 32 8 22C8 8 18 0 30 0C42 0 52 8 52 22C52 32 46 42 30 48C10 55 2 64 2 76C2 92 14 100 30 100C46 100 58 92 58 76C58 64 50 55 30 48',
    'M50 14C44 -3 12 -4 10 19C10 38 52 52 54 76C54 105 6 106 6 76C8 54 46 40 50 14',
    'M54 8C40 -6 8 0 12 22C16 42 50 54 50 78C50 104 8 104 8 80C8 56 44 44 54 8',
  ],
  [
    'M55 28C50 44 40 50 28 50C12 50 4 40 4 26C4 10 14 0 30 0C46 0 56 12 56 34C56 62 44 88 16 100',
    'M52 26C48 43 36 50 26 50C10 50 4 38 4 26C4 10 16 0 28 0C44 0 52 12 54 24M55 4L50 100',
    'M54 20C46 -4 8 -4 6 24C4 50 38 54 50 32C54 24 54 14 54 14C54 44 52 74 40 100',
  ],
];

type Point = readonly [x: number, y: number];
/** A stroke is a chain of cubic curves: 3n + 1 points. A straight line is a curve too, so that it can bend. */
type Stroke = readonly Point[];

const digits: readonly (readonly (readonly Stroke[])[])[] = skeletons.map((styles) => styles.map(parsePath));

/**
 * Renders `count` pictures of digits, each in one of three ways to write it, with random slant, rotation, proportions,
 * place, stroke width, wobble, blur, ink, paper and noise. A small convolutional network gets about 99 % of them right.
 *
 * @example
 * const { images, labels } = renderDigits(1000, { seed: 1 }); // 1000 · 28 · 28 bytes, 1000 bytes
 */
export function renderDigits(
  count: number,
  options: { readonly seed?: number; readonly size?: number } = {},
): RenderedDigits {
  checkOptions('renderDigits', options);
  const { seed = 0, size = 28 } = options;
  expectInteger('size', size, 8, 1024);
  expectInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  expectInteger('count', count, 0, 2 ** 32 / (size * size)); // one array holds at most 4 GiB
  const images = new Uint8Array(count * size * size);
  const labels = new Uint8Array(count);
  const canvas = new Canvas(size);
  for (let i = 0; i < count; i++) {
    const random = new Random(seed, i);
    const digit = random.integer(10);
    labels[i] = digit;
    draw(canvas, digits[digit]!, random);
    canvas.develop(images.subarray(i * size * size, (i + 1) * size * size), random);
  }
  return { images, labels, count, height: size, width: size };
}

function expectInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ArgumentError(
    `renderDigits: ${name}: got ${shown(value)}, expected an integer from ${least} to ${Math.floor(most)}`,
  );
}

/** Bends, tilts and places a digit, then draws it. */
function draw(canvas: Canvas, styles: readonly (readonly Stroke[])[], random: Random): void {
  const strokes = styles[random.integer(styles.length)]!;
  const pixels = canvas.size;

  // Box units to pixels: the digit is about 19 of 28 pixels high, and anything between narrow and wide.
  const height = pixels * random.between(0.52, 0.76);
  const scaleY = height / 100;
  const scaleX = scaleY * random.between(0.62, 1.15);
  const angle = random.normal() * 0.13;
  const slant = 0.1 + random.normal() * 0.22; // most hands lean to the right
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const shiftX = pixels / 2 + random.normal() * 0.035 * pixels;
  const shiftY = pixels / 2 + random.normal() * 0.035 * pixels;
  const place = ([x, y]: Point): Point => {
    const fromX = (x - 30) * scaleX - (y - 50) * scaleY * slant;
    const fromY = (y - 50) * scaleY;
    return [shiftX + fromX * cos - fromY * sin, shiftY + fromX * sin + fromY * cos];
  };

  // Wobble moves every control point by itself; a pen presses more here and less there.
  const wobble = random.between(1, 4.5);
  const radius = pixels * random.between(0.022, 0.062);
  const pressure = random.between(0, 0.3);
  const phase = random.between(0, 2 * Math.PI);
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => place([x + wobble * random.normal(), y + wobble * random.normal()]));
    for (let i = 0; i + 3 < points.length; i += 3) {
      const [p, q, r, s] = points.slice(i, i + 4) as [Point, Point, Point, Point];
      canvas.curve(p, q, r, s, (t) => radius * (1 + pressure * Math.sin(phase + 1.5 * (i / 3 + t))));
    }
  }
  // A slip of the pen, now and then.
  if (random.uniform() < 0.1) {
    const [x, y] = [random.between(0, pixels), random.between(0, pixels)];
    const [dx, dy] = [random.normal() * 0.08 * pixels, random.normal() * 0.08 * pixels];
    canvas.segment(x, y, radius, x + dx, y + dy, radius * 0.7);
  }
}

/** For every pixel, how deep inside the ink its centre lies: pen radius minus distance to the stroke, in pixels. */
class Canvas {
  readonly #depth: Float32Array;

  constructor(readonly size: number) {
    this.#depth = new Float32Array(size * size).fill(OUTSIDE);
  }

  /** Draws a cubic curve as straight pieces; `radius` is the pen's at a point of it, 0 to 1. */
  curve(p: Point, q: Point, r: Point, s: Point, radius: (t: number) => number): void {
    const length = distance(p, q) + distance(q, r) + distance(r, s);
    const pieces = Math.max(2, Math.min(24, Math.ceil(length / 2)));
    let [x0, y0] = p;
    let radius0 = radius(0);
    for (let i = 1; i <= pieces; i++) {
      const t = i / pieces;
      const u = 1 - t;
      const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
      const x = a * p[0] + b * q[0] + c * r[0] + d * s[0];
      const y = a * p[1] + b * q[1] + c * r[1] + d * s[1];
      const radius1 = radius(t);
      this.segment(x0, y0, radius0, x, y, radius1);
      [x0, y0, radius0] = [x, y, radius1];
    }
  }

  /** Draws a straight piece whose pen radius changes evenly from one end to the other. */
  segment(x0: number, y0: number, radius0: number, x1: number, y1: number, radius1: number): void {
    const { size } = this;
    const depth = this.#depth;
    const reach = Math.max(radius0, radius1) + MAX_BLUR;
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - reach));
    const right = Math.min(size - 1, Math.ceil(Math.max(x0, x1) + reach));
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
    const bottom = Math.min(size - 1, Math.ceil(Math.max(y0, y1) + reach));
    const dx = x1 - x0;
    const dy = y1 - y0;
    const inverse = 1 / Math.max(dx * dx + dy * dy, 1e-6);
    for (let row = top; row <= bottom; row++) {
      const py = row + 0.5 - y0;
      for (let column = left; column <= right; column++) {
        const px = column + 0.5 - x0;
        const along = (px * dx + py * dy) * inverse;
        const t = along < 0 ? 0 : along > 1 ? 1 : along;
        const ex = px - t * dx;
        const ey = py - t * dy;
        const inside = radius0 + t * (radius1 - radius0) - sqrt(ex * ex + ey * ey);
        const at = row * size + column;
        if (inside > depth[at]!) depth[at] = inside;
      }
    }
  }

  /** Turns depth into grey values with blurred edges and noise, and clears the canvas. */
  develop(image: Uint8Array, random: Random): void {
    const depth = this.#depth;
    const blur = random.between(0.5, MAX_BLUR);
    const ink = random.between(170, 255);
    const paper = Math.max(0, random.normal() * 14);
    const noise = random.between(0, 26);
    for (let at = 0; at < depth.length; at++) {
      const edge = 0.5 + (0.5 * depth[at]!) / blur;
      const covered = edge < 0 ? 0 : edge > 1 ? 1 : edge;
      const grey = paper + covered * (ink - paper) + noise * random.roughlyNormal();
      image[at] = grey < 0 ? 0 : grey > 255 ? 255 : grey + 0.5;
      depth[at] = OUTSIDE;
    }
  }
}

const { sqrt } = Math; // in the innermost loops: looking up a global costs more than the function does
const OUTSIDE = -1e9;
const MAX_BLUR = 1.1; // pixels from half ink to none

function distance(p: Point, q: Point): number {
  return Math.hypot(q[0] - p[0], q[1] - p[1]);
}

function parsePath(path: string): Stroke[] {
  const strokes: Point[][] = [];
  for (const [, command, operands = ''] of path.matchAll(/([MLC])([^MLC]*)/g)) {
    const numbers = operands.trim().split(/\s+/).map(Number);
    const points = numbers.flatMap((x, i): Point[] => (i % 2 === 0 ? [[x, numbers[i + 1]!]] : []));
    const last = strokes.at(-1)?.at(-1);
    if (command === 'M') strokes.push(points);
    else if (command === 'C') strokes.at(-1)!.push(...points);
    else for (const end of points) strokes.at(-1)!.push(between(last!, end, 1 / 3), between(last!, end, 2 / 3), end);
  }
  return strokes;
}

function between(p: Point, q: Point, t: number): Point {
  return [p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])];
}
