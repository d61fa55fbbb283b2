/**
 * `hadal launch`: starts a script in several processes that find each other (lib/distributed), passes on their output and the signals that it gets, and ends
 * them all when one fails. It makes the file that they share memory through; on Linux it takes its name away at once: nothing is left, however they end.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { accessSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, constants as system, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { ArgumentError, HadalError } from '../errors';

export const launchUsage = `hadal launch --processes N [--threads N] script [arguments]

Runs a script in N processes of this machine, which compute together through hadal's \`distributed\`.

  -p, --processes N  how many
  -t, --threads N    threads of each; unless given, or HADAL_NUM_THREADS is set, the processors are shared out
`;

export interface LaunchOptions {
  readonly processes: number;
  readonly threads?: number;
  readonly script: string;
  readonly args: readonly string[];
}

const options = {
  processes: { type: 'string', short: 'p' },
  threads: { type: 'string', short: 't' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** What `hadal launch` is asked to do; undefined when it is asked for help. Throws `ArgumentError`. */
export function parseLaunch(argv: readonly string[]): LaunchOptions | undefined {
  // What follows the script is the script's.
  const { tokens } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: false, tokens: true });
  const script = tokens.find(({ kind }) => kind === 'positional');
  const end = script?.index ?? argv.length;
  let values;
  try {
    ({ values } = parseArgs({ args: argv.slice(0, end), options }));
  } catch (error) {
    throw new ArgumentError(`launch: ${(error as Error).message}`);
  }
  if (values.help === true) return undefined;
  const processes = count('--processes', values.processes, 64);
  if (script === undefined) throw new ArgumentError('launch: script: got none, expected the path of one');
  return {
    processes,
    ...(values.threads !== undefined && { threads: count('--threads', values.threads, 1024) }),
    script: argv[end]!,
    args: argv.slice(end + 1),
  };
}

function count(name: string, text: string | undefined, most: number): number {
  const value = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0;
  if (value >= 1 && value <= most) return value;
  throw new ArgumentError(`launch: ${name}: got ${text ?? 'nothing'}, expected a whole number from 1 to ${most}`);
}

/** What Node needs before a script: for TypeScript, tsx; nothing where Node reads it by itself. */
function loaderOf(script: string): string[] {
  if (!/\.[mc]?ts$/.test(script)) return [];
  for (const place of [script, join(process.cwd(), 'package.json'), __filename]) {
    try {
      return ['--import', pathToFileURL(createRequire(place).resolve('tsx')).href];
    } catch {
      // Not from there.
    }
  }
  if ((process.features as { readonly typescript?: unknown }).typescript) return [];
  throw new HadalError(
    `launch: ${script} is TypeScript, which this Node does not read: got no tsx, expected npm install --save-dev tsx`,
  );
}

/** A new file, where memory is if there is such a place. */
function sharedFile(): { path: string; file: number } {
  const folder = isWritable('/dev/shm') ? '/dev/shm' : tmpdir();
  const path = join(folder, `hadal-${randomUUID()}`);
  return { path, file: openSync(path, 'wx+', 0o600) };
}

/** Whether a process can open anew what it has as a descriptor only. (`/dev/fd` of macOS gives the same open file again, and with it the same locks.) */
const opensDescriptors = process.platform === 'linux';

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Puts a prefix before each line. */
class Prefixer extends Transform {
  readonly #decoder = new StringDecoder();
  #rest = '';

  constructor(readonly prefix: string) {
    super();
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop()!;
    done(null, lines.map((line) => `${this.prefix}${line}\n`).join(''));
  }

  override _flush(done: TransformCallback): void {
    const rest = this.#rest + this.#decoder.end();
    done(null, rest === '' ? '' : `${this.prefix}${rest}\n`);
  }
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const;

/** How long processes that are to end may take to do so, in milliseconds. */
const grace = 5_000;

/** Runs the script until all its processes have ended. Answers the exit code: that of the first that failed, else 0. */
export async function launch({ processes, threads, script, args }: LaunchOptions): Promise<number> {
  const path = resolve(script);
  const loader = loaderOf(path);
  const { path: rendezvous, file } = sharedFile();
  if (opensDescriptors) rmSync(rendezvous);
  const shared = Math.max(1, Math.floor(availableParallelism() / processes));
  const environment = {
    HADAL_NUM_THREADS: String(shared),
    ...process.env,
    ...(threads !== undefined && { HADAL_NUM_THREADS: String(threads) }),
    HADAL_WORLD_SIZE: String(processes),
    HADAL_LAUNCHER: String(process.pid),
    HADAL_RENDEZVOUS: opensDescriptors ? '/proc/self/fd/3' : rendezvous,
  };
  for (const output of [process.stdout, process.stderr]) output.setMaxListeners(processes + 10);
  // Groups of their own: a terminal's Ctrl-C reaches them once, through here.
  const children = Array.from({ length: processes }, (_, rank) =>
    spawn(process.execPath, [...loader, path, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', file],
      env: { ...environment, HADAL_RANK: String(rank) },
      detached: true,
    }),
  );
  closeSync(file);

  let code = 0;
  let timer: NodeJS.Timeout | undefined;
  const endAll = (): void => {
    for (const child of children) child.kill('SIGTERM');
    timer ??= setTimeout(() => children.forEach((child) => child.kill('SIGKILL')), grace);
  };
  const forward = (signal: NodeJS.Signals): void => {
    for (const child of children) child.kill(signal);
  };
  for (const signal of forwarded) process.on(signal, forward);
  try {
    await Promise.all(
      children.map(async (child, rank) => {
        const [status, signal] = await endOf(child, `[${rank}] `);
        if (status === 0 || code !== 0) return;
        code = status ?? 128 + system.signals[signal!];
        const how = signal === null ? `ended with code ${status}` : `was ended by ${signal}`;
        process.stderr.write(`launch: process ${rank} ${how}\n`);
        endAll();
      }),
    );
  } finally {
    clearTimeout(timer);
    for (const signal of forwarded) process.off(signal, forward);
    if (!opensDescriptors) rmSync(rendezvous, { force: true });
  }
  return code;
}

/** Passes on what a process writes; answers its exit code or the signal that ended it. */
async function endOf(child: ChildProcess, prefix: string): Promise<readonly [number | null, NodeJS.Signals | null]> {
  child.stdout!.pipe(new Prefixer(prefix)).pipe(process.stdout, { end: false });
  child.stderr!.pipe(new Prefixer(prefix)).pipe(process.stderr, { end: false });
  return new Promise((done) => {
    child.once('error', () => done([127, null])); // it could not be started
    child.once('exit', (status, signal) => done([status, signal]));
  });
}
