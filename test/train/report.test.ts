import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { ShapeError } from '../../lib/errors';
import { drawLineChart, type LineChart } from '../../lib/train/line-chart';
import { encodePng } from '../../lib/train/png';
import { buildReport, writeReport, type Report, type ReportSample } from '../../lib/train/report';

const count = (text: string, part: string | RegExp): number => text.split(part).length - 1;

const sample = (label: number, prediction: number, confidence: number): ReportSample => ({
  pixels: Uint8Array.of(0, 255, label, prediction),
  width: 2,
  height: 2,
  label,
  prediction,
  confidence,
});

const report: Report = {
  title: 'Digits',
  history: [
    { step: 10, epoch: 0.5, loss: 2, accuracy: 0.5 },
    { step: 20, epoch: 1, loss: 0.5, accuracy: 0.8, valLoss: 0.75, valAccuracy: 0.75 },
    { step: 40, epoch: 2, valLoss: 0.25, valAccuracy: 0.9 },
  ],
  confusion: [
    [97, 3],
    [0, 100],
  ],
  samples: [sample(1, 1, 0.999), sample(0, 1, 0.6), sample(1, 0, 0.9)],
  facts: { Seed: '42' },
};

describe('the page', () => {
  test('needs nothing from anywhere', () => {
    const page = buildReport(report);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<link|@import|url\((?!#)|src="(?!data:)|href=/);
    expect(page.match(/https?:\/\/[^'"\s]+/g)).toEqual(['http://www.w3.org/2000/svg']); // a name, not an address
  });

  test('begins with the numbers that matter', () => {
    const numbers = [...buildReport(report).matchAll(/<dt>([^<]*)<\/dt><dd>([^<]*)<\/dd>/g)].map(([, name, value]) => [
      name,
      value,
    ]);
    expect(numbers).toEqual([
      ['test accuracy', '98.50 %'],
      ['test images wrong', '3 of 200'],
      ['validation loss', '0.25'],
      ['epochs', '2'],
      ['steps', '40'],
      ['Seed', '42'],
    ]);
  });

  test('does not round an accuracy up to 100 %', () => {
    const almost = buildReport({
      ...report,
      confusion: [
        [99_999, 1],
        [0, 100_000],
      ],
    });
    expect(almost).toContain('<dd>99.99 %</dd>');
    expect(
      buildReport({
        ...report,
        confusion: [
          [1, 0],
          [0, 1],
        ],
      }),
    ).toContain('<dd>100.00 %</dd>');
  });

  test('shows every count of the confusion matrix and the share of each row', () => {
    const page = buildReport({ ...report, classNames: ['cat', 'dog'] });
    expect(page).toContain('title="cat taken for dog: 3">3</td>');
    expect(page).toContain('title="dog taken for dog: 100">100</td>');
    expect(count(page, '<td class="none">')).toBe(1);
    expect([...page.matchAll(/"recall">([^<]*)</g)].map(([, share]) => share)).toEqual(['97.0 %', '100.0 %']);
  });

  test('lists the most frequent confusions where there are too many classes for a table', () => {
    const confusion = Array.from({ length: 1000 }, (_, i) =>
      Array.from({ length: 1000 }, (_, j): number => (i === j ? 50 : 0)),
    );
    confusion[3]![7] = 5;
    confusion[8]![2] = 9;
    const page = buildReport({ ...report, confusion });
    expect(page).not.toContain('<table');
    expect(page).toMatch(/<dt>8 → 2<\/dt><dd>9<\/dd><\/div><div><dt>3 → 7<\/dt><dd>5<\/dd>/);
    expect(page.length).toBeLessThan(20_000);
  });

  test('shows the wrong images first, the surest on top, and their pixels', () => {
    const page = buildReport(report);
    const shown = [
      ...page.matchAll(/<figure class="(\w+)" title="([^"]*)"><img src="data:image\/png;base64,([^"]*)"/g),
    ];
    expect(shown.map(([, kind, title]) => `${kind}: ${title}`)).toEqual([
      'wrong: shows 1, taken for 0 with 90.0 %',
      'wrong: shows 0, taken for 1 with 60.0 %',
      'right: shows 1, taken for 1 with 99.9 %',
    ]);
    expect(Buffer.from(shown[0]![3]!, 'base64')).toEqual(encodePng(Uint8Array.of(0, 255, 1, 0), 2, 2));
  });

  test('text from outside stays text', () => {
    const evil = '<script>alert("1")</script>&';
    const page = buildReport({ ...report, title: evil, classNames: [evil, "'"], facts: { [evil]: evil } });
    expect(count(page, '<script>')).toBe(1); // its own
    expect(page).toContain('<title>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;</title>');
    expect(page).toContain('<th scope="row">&#39;</th>');
  });

  test('leaves out what is not there', () => {
    const page = buildReport({ title: 'Nothing yet', history: [] });
    for (const part of ['<svg', '<table', '<img', '<h2', '<figure']) expect(page).not.toContain(part);
    expect(page).toContain('<h1>Nothing yet</h1>');
  });

  test.each([
    [[[1, 2], [3]], undefined, '[2, 1], expected [2, 2]'],
    [[[1, 2]], undefined, '[1, 2], expected [1, 1]'],
    [
      [
        [1, 2],
        [3, 4],
      ],
      ['a', 'b', 'c'],
      '[2, 2], expected [3, 3]',
    ],
  ])('a confusion matrix that does not fit: %j', (confusion, classNames, message) => {
    expect(() => buildReport({ ...report, confusion, ...(classNames && { classNames }) })).toThrow(
      new ShapeError(`writeReport: confusion: got ${message}`),
    );
  });

  test('is written in one step', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hadal-'));
    try {
      await writeReport(join(folder, 'report.html'), report);
      await writeReport(join(folder, 'report.html'), { ...report, title: 'Again' });
      expect(await readFile(join(folder, 'report.html'), 'utf8')).toBe(buildReport({ ...report, title: 'Again' }));
      expect(await readdir(folder)).toEqual(['report.html']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('charts', () => {
  const chart = (points: readonly (readonly [number, number])[], options: Partial<LineChart> = {}): string =>
    drawLineChart({
      title: 'Loss',
      xLabel: 'step',
      curves: [{ name: 'training', kind: 'train', points }],
      format: String,
      scale: 'linear',
      bounds: [-Infinity, Infinity],
      ...options,
    }) ?? '';
  /** The vertices of the boldest curve, in the coordinates of the picture. */
  const vertices = (svg: string): number[][] =>
    [...(/class="curve train" d="([^"]*)"/.exec(svg)?.[1] ?? '').matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)].map(
      ([, x, y]) => [Number(x), Number(y)],
    );
  const yTicks = (svg: string): string[] =>
    [...svg.matchAll(/text-anchor="end">([^<]*)<\/text>/g)].map(([, text]) => text!).slice(0, -1);

  test('values lie on the scale that the ticks show', () => {
    const svg = chart([
      [0, 0],
      [50, 5],
      [100, 10],
    ]);
    expect(yTicks(svg)).toEqual(['0', '2', '4', '6', '8', '10']);
    const [first, second, third] = vertices(svg) as [number[], number[], number[]];
    expect(second[0]).toBeCloseTo((first[0]! + third[0]!) / 2, 0);
    const tickY = (value: string): number =>
      Number(new RegExp(`y="([\\d.]+)" dy=".32em" text-anchor="end">${value}<`).exec(svg)?.[1]);
    expect(third[1]).toBeCloseTo(tickY('10'), 0);
    expect(first[1]).toBeCloseTo(tickY('0'), 0);
    expect(first[1]! - third[1]!).toBeGreaterThan(200); // up is less
  });

  test('a logarithmic scale only where all is positive and far apart', () => {
    expect(
      chart(
        [
          [0, 10],
          [1, 0.01],
        ],
        { scale: 'log' },
      ),
    ).toContain('log scale');
    expect(
      yTicks(
        chart(
          [
            [0, 10],
            [1, 0.1],
          ],
          { scale: 'log' },
        ),
      ),
    ).toEqual(['0.1', '0.2', '0.5', '1', '2', '5', '10']);
    expect(
      chart(
        [
          [0, 10],
          [1, 1],
        ],
        { scale: 'log' },
      ),
    ).not.toContain('log scale');
    expect(
      chart(
        [
          [0, 10],
          [1, 0],
        ],
        { scale: 'log' },
      ),
    ).not.toContain('log scale');
  });

  test('a steep start is cut off so that the rest can be told apart', () => {
    const points = Array.from({ length: 30 }, (_, i) => [i, i === 0 ? 0.1 : 0.97 + 0.001 * i] as const);
    const ticks = yTicks(chart(points, { bounds: [0, 1] })).map(Number);
    expect(Math.min(...ticks)).toBeGreaterThan(0.96);
    expect(Math.max(...ticks)).toBeLessThanOrEqual(1);
  });

  test('NaN and infinity leave a chart that is whole', () => {
    const svg = chart([
      [0, 1],
      [1, NaN],
      [2, Infinity],
      [3, 2],
    ]);
    expect(vertices(svg)).toHaveLength(2);
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(chart([[0, NaN]])).toBe('');
    expect(chart([])).toBe('');
  });

  test.each([
    [[[5, 3]]],
    [[[0, 3]]],
    [[[0, 0]]],
    [
      [
        [0, 7],
        [1, 7],
        [2, 7],
      ],
    ],
    [
      [
        [0, -5],
        [1, -5],
      ],
    ],
  ])('constant values: %j', (points) => {
    const svg = chart(points as [number, number][]);
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(vertices(svg)).toHaveLength(points.length);
    for (const [, y] of vertices(svg)) expect(y).toBeGreaterThan(0);
    expect(yTicks(svg).length).toBeGreaterThan(1);
  });

  test('a million points become few, and noise becomes a smooth line between its bounds', () => {
    const points = Array.from({ length: 1_000_000 }, (_, i) => [i, i % 2] as const);
    const svg = chart(points);
    expect(svg.length).toBeLessThan(60_000);
    expect(vertices(svg).length).toBe(400);
    const noisy = vertices(chart(Array.from({ length: 200 }, (_, i) => [i, i % 2] as const)));
    const ys = noisy.slice(20).map(([, y]) => y!);
    expect(Math.max(...ys) - Math.min(...ys)).toBeLessThan(60);
  });
});

describe('PNG', () => {
  /** Takes a PNG apart; checks lengths and order. */
  function chunks(png: Buffer): Map<string, Buffer> {
    expect(png.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
    const found = new Map<string, Buffer>();
    let at = 8;
    while (at < png.length) {
      const length = png.readUInt32BE(at);
      found.set(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length));
      at += 12 + length;
    }
    expect(at).toBe(png.length);
    expect([...found.keys()]).toEqual(['IHDR', 'IDAT', 'IEND']);
    return found;
  }

  test('grey pixels', () => {
    const found = chunks(encodePng(Uint8Array.of(1, 2, 3, 4, 5, 6), 3, 2));
    expect([...found.get('IHDR')!]).toEqual([0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0]);
    expect([...inflateSync(found.get('IDAT')!)]).toEqual([0, 1, 2, 3, 0, 4, 5, 6]);
  });

  test('colour pixels, and the checksum that the standard gives for an empty end', () => {
    const png = encodePng(Uint8Array.of(9, 8, 7), 1, 1);
    const found = chunks(png);
    expect(found.get('IHDR')![9]).toBe(2);
    expect([...inflateSync(found.get('IDAT')!)]).toEqual([0, 9, 8, 7]);
    expect(png.subarray(-4).toString('hex')).toBe('ae426082');
  });

  test('pixels that do not fit', () => {
    expect(() => encodePng(new Uint8Array(5), 2, 2)).toThrow(
      new ShapeError('encodePng: pixels: got 5 bytes, expected 4 (grey) or 12 (colour) for width 2 and height 2'),
    );
  });
});
