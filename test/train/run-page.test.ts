// The page of a run: served live and written as a report, also as a browser shows it where there is one (CHROMIUM names another than Debian's).
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';

import { train } from '../../lib/index';

const digit = (label: number): train.Picture => ({
  pixels: Uint8Array.from({ length: 64 }, (_, i) => (i % (label + 2) === 0 ? 255 : 20)),
  width: 8,
  height: 8,
});

/** Fills a page as a run of so many steps would. */
function fill(page: train.RunPage, steps: number): void {
  for (let step = 20; step <= steps; step += 20) {
    const fall = Math.exp(-step / 400);
    page.scalars(step, {
      epoch: step / 200,
      loss: 2.3 * fall + 0.05 + 0.03 * Math.sin(step),
      accuracy: 1 - 0.9 * fall,
      learningRate: 0.004 * Math.min(1, step / 200) * (1 - step / 2500),
      gradNorm: 1 + fall + 0.2 * Math.cos(step),
      stepsPerSecond: 60,
      samplesPerSecond: 7600 + 300 * Math.sin(step / 50),
      tensorBytes: 4.2e7,
      processBytes: 3.1e8 + step * 1e4,
    });
    if (step % 200 === 0)
      page.scalars(step, { epoch: step / 200, valLoss: 2.4 * fall + 0.08, valAccuracy: 1 - 0.95 * fall });
  }
  page.confusion(steps, 'valConfusion', [
    [96, 3, 1],
    [0, 99, 1],
    [2, 0, 98],
  ]);
  page.samples(
    Array.from({ length: 12 }, (_, i) => ({
      ...digit(i % 3),
      label: i % 3,
      prediction: i === 4 ? 0 : i % 3,
      confidence: 0.97,
    })),
  );
  page.image(steps, 'reconstruction', digit(1));
  page.text(steps, 'sample', 'To be, or not to be\n  that is <b>the</b> question.');
}

const pageOf = (report?: string): train.RunPage =>
  new train.RunPage({
    title: 'Three digits',
    classNames: ['zero', 'one', 'two'],
    facts: { Parameters: '206,922', Seed: '0', Processor: 'a machine with 2 threads' },
    ...(report !== undefined && { report }),
  });

function request(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, body }));
    }).once('error', reject);
  });
}

describe('the server', () => {
  test('gives the page, and nothing else, to this machine', async () => {
    const page = pageOf();
    fill(page, 400);
    await using live = await page.serve();
    const { status, body } = await request(live.url);
    expect(status).toBe(200);
    expect(body).toContain('<h1>Three digits</h1>');
    expect(body).toContain("connect-src 'self'");
    expect(body).toContain('To be, or not to be\n  that is &lt;b&gt;the&lt;/b&gt; question.');
    expect((await request(`${live.url}other`)).status).toBe(404);
    expect((await request(live.url, { host: 'evil.example' })).status).toBe(403);
  });

  test('sends what has changed, and only that', async () => {
    const page = pageOf();
    page.scalars(1, { loss: 1 });
    const live = await page.serve();
    const messages: Record<string, string>[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      get(`${live.url}events`, { agent: false }, (response) => {
        let rest = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const parts = (rest + chunk).split('\n\n');
          rest = parts.pop()!;
          for (const part of parts)
            messages.push(JSON.parse(part.replace(/^[^]*?data: /, '')) as Record<string, string>);
          if (messages.length === 1) page.scalars(2, { loss: 0.5 });
          if (messages.length === 2) {
            page.text(2, 'sample', 'new');
            void live.close(); // what is left is sent first
          }
        });
        response.on('end', resolve);
      }).once('error', reject);
    });
    await ended;
    expect(messages.map((message) => Object.keys(message))).toEqual([
      ['headline', 'curves', 'confusion', 'samples', 'pictures', 'texts', 'facts'],
      expect.arrayContaining(['headline', 'curves']),
      ['texts'],
    ]);
    await expect(request(live.url)).rejects.toThrow('ECONNREFUSED');
  });

  test('a port that is taken is an error', async () => {
    await using live = await pageOf().serve();
    await expect(pageOf().serve({ port: Number(new URL(live.url).port) })).rejects.toThrow('EADDRINUSE');
  });
});

test('a long run is remembered by means', () => {
  const page = pageOf();
  for (let step = 1; step <= 20_000; step++) page.scalars(step, { loss: step });
  const { history } = page.report();
  expect(history.length).toBeLessThanOrEqual(4000);
  expect(history.reduce((sum, point) => sum + point['loss']!, 0) / history.length).toBeCloseTo(10_000, -3);
  page.resume(10_000);
  expect(page.report().history.at(-1)!.step).toBeCloseTo(10_000, -2);
});

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const hasBrowser = existsSync(executablePath);

(hasBrowser ? describe : describe.skip)('in a browser (skipped without Chromium)', () => {
  let browser: Browser;
  let folder: string;
  beforeAll(async () => {
    const quiet = ['background-networking', 'component-update', 'sync'].map((name) => `--disable-${name}`);
    const args = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet];
    // What is preloaded into this process, a sanitizer for instance, is not for the browser.
    const env = { ...process.env, LD_PRELOAD: '' };
    browser = await chromium.launch({ executablePath, args, env });
    folder = await mkdtemp(join(tmpdir(), 'hadal-'));
  });
  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  /** Opens an address and gathers whatever the page complains of and asks for. */
  async function open(url: string): Promise<{ page: Page; complaints: string[]; requests: string[] }> {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(url);
    return { page, complaints, requests };
  }

  /** A picture for people to look at, where HADAL_SCREENSHOTS names a folder. */
  async function keep(page: Page, name: string): Promise<void> {
    const target = process.env['HADAL_SCREENSHOTS'];
    if (target !== undefined) await page.screenshot({ path: join(target, `${name}.png`), fullPage: true });
  }

  const titles = (page: Page): Promise<string[]> =>
    page
      .locator('.chart figcaption')
      .evaluateAll((all) => all.map((each) => each.firstChild?.textContent?.trim() ?? ''));

  test('the report shows everything, asks for nothing and complains of nothing', async () => {
    const path = join(folder, 'report.html');
    const runPage = pageOf(path);
    fill(runPage, 2000);
    await runPage.flush();
    expect(await readFile(path, 'utf8')).toBe(train.buildReport(runPage.report()));
    const url = pathToFileURL(path).href;
    const { page, complaints, requests } = await open(url);
    expect(await titles(page)).toEqual([
      'Loss',
      'Accuracy',
      'Grad norm',
      'Learning rate',
      'Samples per second',
      'Memory',
    ]);
    expect(await page.locator('h2').allTextContents()).toEqual([
      'Confusion matrix',
      'Test images',
      'Pictures',
      'Texts',
      'This run',
    ]);
    await page.locator('.chart svg').first().hover();
    expect(await page.locator('.tip').textContent()).toMatch(/^epoch [\d.]+training [\d.]+validation [\d.]+$/);
    // Nothing sticks out.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(1200);
    await page.mouse.move(0, 0);
    await keep(page, 'report');
    await page.emulateMedia({ colorScheme: 'dark' });
    await keep(page, 'report-dark');
    await page.setViewportSize({ width: 390, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await keep(page, 'report-narrow');
    expect([complaints, requests.filter((each) => !each.startsWith('data:'))]).toEqual([[], [url]]);
    await page.close();
  });

  test('the live page follows the run and says when it has ended', async () => {
    const runPage = pageOf();
    const live = await runPage.serve();
    const { page, complaints } = await open(live.url);
    expect(await titles(page)).toEqual([]);
    fill(runPage, 400);
    await page.locator('.chart').first().waitFor();
    await page.getByText('validation loss').waitFor();
    const before = await page.locator('.chart').first().innerHTML();
    runPage.scalars(420, { epoch: 2.1, loss: 1, accuracy: 0.5 });
    while ((await page.locator('.chart').first().innerHTML()) === before) await page.waitForTimeout(100);
    expect(await page.locator('html').getAttribute('data-live')).toBe('on');
    await keep(page, 'live');
    expect(complaints).toEqual([]);
    await live.close();
    await page.locator('html[data-live=off]').waitFor();
    await page.close();
  });
});
