/**
 * A run as a page: a logger that remembers what is to be shown, serves it live on this machine, and writes it as a report. What the page looks like is
 * report.ts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { checkPath } from '../io/paths';
import { checkGivenOptions, checkOptions } from '../ops/define';
import type { Values } from './callback';
import type { Logger, Picture } from './logger';
import {
  buildPage,
  checkLabels,
  renderSections,
  writeReport,
  type HistoryPoint,
  type Report,
  type ReportSample,
  type Sections,
} from './report';

export interface RunPageOptions {
  readonly title: string;
  /** Where the report is written when the run ends, and whenever {@link RunPage.flush} is called. */
  readonly report?: string;
  readonly classNames?: readonly string[];
  /** Shown as they are: data, seed, parameters, machine. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** A page that is being served. It does not keep the process alive. */
export interface LivePage extends AsyncDisposable {
  /** `http://localhost:6006/` */
  readonly url: string;
  close(): Promise<void>;
}

const MAX_POINTS = 4000; // ten for each that a chart draws
const UPDATE_INTERVAL = 500; // ms
const MAX_UNREAD = 2 ** 24; // bytes for a watcher that does not read

/**
 * The page of a run: curves, confusion matrix, pictures, texts, speed and memory. A logger of the trainer; in a loop of one's own, call its
 * methods.
 *
 * @example
 * const page = new train.RunPage({ title: 'Digits', report: 'runs/digits/report.html' });
 * const live = await page.serve({ port: 6006 });
 * console.log('Watch it at', live.url);
 * const trainer = new train.Trainer({ model, optimizer, step, loggers: [page] });
 */
export class RunPage implements Logger {
  #history: HistoryPoint[] = [];
  /** How many measurements make a point of the history, and those that wait for it. */
  #perPoint = 1;
  #latest: HistoryPoint[] = [];
  #confusion: Report['confusion'];
  #samples: readonly ReportSample[] = [];
  readonly #pictures = new Map<string, Picture & { readonly name: string; readonly step: number }>();
  readonly #texts = new Map<string, { readonly name: string; readonly step: number; readonly text: string }>();
  readonly #watchers = new Set<ServerResponse>();
  #sent: Sections = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(readonly options: RunPageOptions) {
    checkGivenOptions('RunPage', options);
    checkLabels('RunPage', options);
    if (options.report !== undefined) checkPath('RunPage', options.report, 'report');
  }

  scalars(step: number, values: Values): void {
    this.#latest.push({ ...values, step });
    if (this.#latest.length === this.#perPoint) {
      this.#history.push(joined(this.#latest));
      this.#latest = [];
    }
    if (this.#history.length === MAX_POINTS) {
      this.#history = Array.from({ length: MAX_POINTS / 2 }, (_, i) => joined(this.#history.slice(2 * i, 2 * i + 2)));
      this.#perPoint *= 2;
    }
    this.#changed();
  }

  text(step: number, name: string, text: string): void {
    this.#texts.set(name, { name, step, text });
    this.#changed();
  }

  image(step: number, name: string, picture: Picture): void {
    this.#pictures.set(name, { ...picture, name, step });
    this.#changed();
  }

  /** The latest one is shown. */
  confusion(_step: number, _name: string, matrix: readonly (readonly number[])[]): void {
    this.#confusion = matrix;
    this.#changed();
  }

  /** Shows pictures with what the model takes them for, in the place of those before. */
  samples(samples: readonly ReportSample[]): void {
    this.#samples = samples;
    this.#changed();
  }

  resume(step: number): void {
    this.#history = this.#history.filter((point) => point.step <= step);
    this.#latest = this.#latest.filter((point) => point.step <= step);
    this.#changed();
  }

  async flush(): Promise<void> {
    if (this.options.report !== undefined) await writeReport(this.options.report, this.report());
  }

  /** What the page shows now. */
  report(): Report {
    const { title, classNames, facts } = this.options;
    return {
      title,
      history: this.#latest.length === 0 ? this.#history : [...this.#history, joined(this.#latest)],
      samples: this.#samples,
      pictures: [...this.#pictures.values()],
      texts: [...this.#texts.values()],
      ...(this.#confusion !== undefined && { confusion: this.#confusion }),
      ...(classNames !== undefined && { classNames }),
      ...(facts !== undefined && { facts }),
    };
  }

  /**
   * Serves the page to this machine alone, on the given port or any that is free. It follows the run as it goes.
   *
   * @throws an error of the system, such as `EADDRINUSE`.
   */
  async serve(options: { readonly port?: number } = {}): Promise<LivePage> {
    checkOptions('RunPage', options, 'RunPage.serve');
    const { port = 0 } = options;
    const server = createServer((request, response) => this.#answer(request, response));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    server.unref();
    server.on('connection', (socket) => socket.unref());
    const close = (): Promise<void> => this.#close(server);
    const url = `http://localhost:${(server.address() as AddressInfo).port}/`;
    return { url, close, [Symbol.asyncDispose]: close };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // Another site's script may reach this port under a name of its own, which the browser tells.
    const isHere = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(request.headers.host ?? '');
    const path = isHere && request.method === 'GET' ? request.url : undefined;
    if (path === '/') {
      const page = buildPage(this.options.title, renderSections(this.report()), true);
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(page);
    } else if (path === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write(`retry: 2000\ndata: ${JSON.stringify(renderSections(this.report()))}\n\n`);
      this.#watchers.add(response);
      response.on('close', () => this.#watchers.delete(response));
    } else response.writeHead(isHere ? 404 : 403).end();
  }

  /** Sends what is new, a while later, so that many changes are one. */
  #changed(): void {
    if (this.#watchers.size === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#send(), UPDATE_INTERVAL).unref();
  }

  #send(): void {
    this.#timer = undefined;
    const sections = renderSections(this.report());
    const changed = Object.entries(sections).filter(([id, html]) => this.#sent[id] !== html);
    this.#sent = sections;
    if (changed.length === 0) return;
    const message = `data: ${JSON.stringify(Object.fromEntries(changed))}\n\n`;
    for (const watcher of this.#watchers) {
      watcher.write(message);
      if (watcher.writableLength > MAX_UNREAD) watcher.destroy(); // a browser asks again, and gets everything
    }
  }

  async #close(server: Server): Promise<void> {
    clearTimeout(this.#timer);
    this.#send();
    for (const watcher of this.#watchers) watcher.end();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await closed;
  }
}

/** One point for several: of each value the mean over those that have it. */
function joined(points: readonly HistoryPoint[]): HistoryPoint {
  const keys = new Set(points.flatMap((point) => Object.keys(point)));
  const means = Array.from(keys, (key) => {
    const values = points.flatMap((point) => point[key] ?? []);
    return [key, values.reduce((sum, value) => sum + value, 0) / values.length] as const;
  });
  return Object.fromEntries(means) as unknown as HistoryPoint;
}
