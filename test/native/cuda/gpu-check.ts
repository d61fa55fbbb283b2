/**
 * Everything that matters on a machine with a GPU: correctness, memory, speed beside PyTorch, sanitizers. Each part is a process of its own
 * with a limit, so that one that crashes or hangs costs that part alone. Writes gpu-check.json and gpu-check.md, anew after each part. Ends
 * with status 0 when all is well, 1 when something failed, 2 when there is no device.
 *
 *   node gpu-check.js [--device cuda] [--out .] [--budget 570] [--only name,…] [--every 1] [--patience 1] [--python python3]
 *
 * --every 10 checks a tenth of the samples; --patience 10 gives each part ten times its limit.
 *
 * Made into a folder that runs without node_modules by scripts/gpu-check.mjs.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { devices, setDefaultDevice, synchronize, train, type Device } from '../../../lib/index';
import { compiledToo, gpuWorkloads } from '../../../bench/cuda';
import type { Part, Reporter } from './checks';
import { groups, parts } from './parts';
import { isGood, markdown, type Figure, type PartResult, type Report, type Status } from './report';

/** What a part's process writes, a line for each. */
type Message =
  | { readonly check: string; readonly failure?: string }
  | { readonly note: string }
  | { readonly figure: Figure }
  | { readonly peer: string }
  | { readonly done: true };

const root = join(__dirname, '..', '..', '..');
const maxFailures = 200;

// --- In the process of a part ----------------------------------------------------------------------------------------------

const send = (message: Message): void => void process.stdout.write(`\n@ ${JSON.stringify(message)}\n`);

async function runPart(part: Part, device: Device, every: number): Promise<void> {
  const report: Reporter = {
    check: async (what, body) => {
      try {
        await body();
        send({ check: what });
      } catch (error) {
        send({ check: what, failure: (error as Error).message });
      }
    },
    note: (note) => send({ note }),
  };
  await part.run(device, report, every);
}

/** Seconds of one iteration: the median of five rounds of some 50 ms. */
function measure(step: () => void, device: Device): number {
  for (let i = 0; i < 3; i++) step();
  synchronize(device);
  const rounds: number[] = [];
  let count = 1;
  while (rounds.length < 5) {
    const begin = performance.now();
    for (let i = 0; i < count; i++) step();
    synchronize(device);
    const seconds = (performance.now() - begin) / 1000 / count;
    if (count === 1 && seconds < 0.05) count = Math.max(2, Math.min(1000, Math.round(0.05 / seconds)));
    else rounds.push(seconds);
  }
  return rounds.sort((a, b) => a - b)[2]!;
}

/** What runs again in another environment, as rows of their own. */
const variants = [
  { suffix: ', without cuDNN', rows: /^(convolution|causal attention)/, environment: { HADAL_CUDNN: '0' } },
  { suffix: ', all by cuDNN', rows: /^causal attention.*with gradient$/, environment: { HADAL_CUDNN: 'all' } },
];
const benchParts: readonly Part[] = [
  { suffix: '', rows: /./, environment: {}, limit: 150 },
  ...variants.map((variant) => ({ ...variant, limit: 60 })),
].map(({ suffix, rows, environment, limit }) => ({
  name: `speed${suffix}`,
  limit,
  environment,
  run: async (device, report) => {
    for (const { name, prepare, flops, bytes } of gpuWorkloads.filter(({ name }) => rows.test(name))) {
      await report.check(name, () => {
        send({ figure: { name: name + suffix, seconds: measure(prepare(), device), flops, bytes } });
      });
    }
  },
}));

/** Which ops the time of the large training steps goes to; each op is waited for, so that they do not overlap. */
const profiles: Part = {
  name: 'profile',
  limit: 60,
  run: async (device, report) => {
    for (const { name, prepare } of gpuWorkloads.filter(({ name }) =>
      /^(GPT|ResNet).* step, (?!.*compiled)/.test(name),
    )) {
      await report.check(name, async () => {
        const step = prepare();
        for (let i = 0; i < 3; i++) step();
        const profile = await train.profile(step, { device });
        for (const line of String(profile).split('\n')) report.note(`${name}: ${line}`);
      });
    }
  },
};

/** compute-sanitizer's tools, and how few samples of each op they have time for. */
const sanitizers = [
  { tool: 'memcheck', every: 25 },
  { tool: 'racecheck', every: 250 },
];
/** What runs under them: kernels of our own, not those of libraries, which are large and slow to check. */
const sanitized = parts.filter(({ name }) => /^(basics|ops|gradients|products|rows|.* without cuDNN)/.test(name));

// --- In the main process -----------------------------------------------------------------------------------------------------

interface Outcome extends PartResult {
  readonly peer?: string;
}

/** Runs a process whose lines are messages, or of PyTorch's side plain JSON. */
function run(
  name: string,
  command: string,
  args: readonly string[],
  limit: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const begin = performance.now();
  const failures: string[] = [];
  const figures: Figure[] = [];
  const notes: string[] = [];
  let checks = 0;
  let peer: string | undefined;
  let done = false;
  let ran = '';
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  const errors: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  createInterface({ input: child.stdout }).on('line', (line) => {
    const text = line.startsWith('@ ') ? line.slice(2) : line;
    if (!text.startsWith('{')) return;
    const message = JSON.parse(text) as Partial<Record<string, never>> & Message;
    if ('check' in message) {
      ran = message.check;
      checks++;
      if (message.failure !== undefined && failures.length < maxFailures) failures.push(`${ran}: ${message.failure}`);
    } else if ('note' in message) notes.push(message.note);
    else if ('figure' in message) figures.push(message.figure);
    else if ('peer' in message) peer = message.peer;
    else if ('done' in message) done = true;
    else if ('seconds' in message) figures.push(message as unknown as Figure);
    else if ('error' in message) notes.push(`${String(message['name'])}: ${String(message['error'])}`);
  });
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limit * 1000);
    const finish = (code: number | null, signal: string | null, problem?: string): void => {
      clearTimeout(timer);
      const crashed = problem !== undefined || (code !== 0 && !late);
      if (late) failures.push(`out of time after ${limit} s, behind '${ran}'`);
      if (crashed) {
        const tail = errors.join('').trim().split('\n').slice(-5).join(' / ');
        failures.push(problem ?? `ended with ${signal ?? `status ${code}`}, behind '${ran}': ${tail}`);
      }
      const status: Status = late
        ? 'out of time'
        : crashed || !done
          ? 'crashed'
          : failures.length > 0
            ? 'failed'
            : 'passed';
      const seconds = (performance.now() - begin) / 1000;
      resolve({ name, status, seconds, checks, failures, figures, notes, ...(peer === undefined ? {} : { peer }) });
    };
    child.on('error', ({ message }) => finish(null, null, message));
    child.on('close', finish);
  });
}

const leftOut = (name: string, why: string): PartResult => ({
  name,
  status: 'left out',
  seconds: 0,
  checks: 0,
  failures: [],
  figures: [],
  notes: [why],
});

/** PyTorch's time beside ours; of several for one name the fastest. */
function besidePeer(ours: PartResult, peer: PartResult): PartResult {
  const best = new Map<string, number>();
  for (const { name, seconds } of peer.figures) best.set(name, Math.min(seconds, best.get(name) ?? Infinity));
  const peerOf = ({ name }: Figure): number | undefined =>
    best.get(
      [compiledToo, ...variants.map(({ suffix }) => suffix)].reduce((own, suffix) => own.replace(suffix, ''), name),
    );
  return { ...ours, figures: ours.figures.map((figure) => ({ ...figure, peer: peerOf(figure) })) };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      device: { type: 'string', default: 'cuda:0' },
      out: { type: 'string', default: '.' },
      budget: { type: 'string', default: '570' },
      only: { type: 'string' },
      every: { type: 'string', default: '1' },
      patience: { type: 'string', default: '1' },
      python: { type: 'string', default: 'python3' },
      part: { type: 'string' },
    },
  });
  const device = values.device as Device;
  if (values.part !== undefined) {
    const part = [...parts, ...benchParts, profiles].find(({ name }) => name === values.part)!;
    setDefaultDevice(device);
    await runPart(part, device, Number(values.every));
    send({ done: true });
    process.exit(0);
  }

  const until = performance.now() + Number(values.budget) * 1000;
  const found = devices().find(({ name }) => name === device) ?? devices().at(-1)!;
  const results: PartResult[] = [];
  let peer = 'no PyTorch';
  const report = (): Report => ({
    device: found.available ? `${found.name}: ${found.description}` : `no CUDA device: ${found.description}`,
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    peer,
    parts: results,
  });
  mkdirSync(values.out, { recursive: true });
  const save = (...added: readonly PartResult[]): void => {
    results.push(...added);
    writeFileSync(join(values.out, 'gpu-check.json'), `${JSON.stringify(report(), null, 1)}\n`);
    writeFileSync(join(values.out, 'gpu-check.md'), markdown(report()));
    for (const { name, status, checks, failures, seconds } of added) {
      console.log(`${name}: ${status}, ${checks} checks, ${failures.length} failures, ${seconds.toFixed(1)} s`);
    }
  };
  const wanted = (name: string): boolean => values.only?.split(',').some((start) => name.startsWith(start)) ?? true;
  const left = (): number => (until - performance.now()) / 1000;
  const runIn = (
    name: string,
    limit: number,
    command: string,
    args: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): Promise<Outcome | PartResult> =>
    left() < 5
      ? Promise.resolve(leftOut(name, 'no time was left'))
      : run(name, command, args, Math.min(limit * Number(values.patience), left() - 2), environment);
  // In the repository this file is TypeScript, which the options of this process know how to load.
  const self = (name: string, every = Number(values.every)): string[] => [
    ...process.execArgv,
    ...[__filename, '--device', device, '--part', name, '--every', `${every}`],
  ];

  const runPartIn = ({ name, limit, environment }: Part): Promise<Outcome | PartResult> =>
    runIn(name, limit, process.execPath, self(name), environment);

  console.log(report().device);
  if (!found.available) {
    save();
    process.exit(2);
  }
  for (const group of groups) {
    const chosen = group.filter(({ name }) => wanted(name));
    save(...(await Promise.all(chosen.map(runPartIn))));
  }
  if (wanted('speed')) {
    const ours: PartResult[] = [];
    for (const part of benchParts) {
      ours.push(await runPartIn(part));
      save(ours.at(-1)!);
    }
    const theirs: Outcome | PartResult = await runIn('PyTorch', 200, values.python, [
      '-u',
      join(root, 'bench', 'peers', 'gpu.py'),
    ]);
    results.splice(-ours.length);
    if ('peer' in theirs && theirs.peer !== undefined) peer = theirs.peer;
    save(
      ...ours.map((part) => besidePeer(part, theirs)),
      ...(theirs.notes.length > 0 || theirs.figures.length === 0 ? [peerPart(theirs)] : []),
    );
  }
  if (wanted(profiles.name)) save(await runPartIn(profiles));
  for (const { tool, every } of sanitizers) {
    if (!wanted(tool)) continue;
    const command = ['/usr/local/cuda/bin/compute-sanitizer', '/usr/bin/compute-sanitizer'].find(existsSync);
    if (command === undefined) {
      save(leftOut(tool, 'compute-sanitizer is not there'));
      continue;
    }
    const args = ['--tool', tool, '--error-exitcode', '9', process.execPath];
    const runs = sanitized.map(
      ({ name, environment }) =>
      runIn(`${tool} of ${name}`, 150, command, [...args, ...self(name, Math.max(every, Number(values.every)))], environment), // prettier-ignore
    );
    save(...(await Promise.all(runs)));
  }
  console.log(`wrote ${join(values.out, 'gpu-check.json')} and gpu-check.md`);
  process.exitCode = isGood(report()) ? 0 : 1;
}

/** The peer's own row: that it did not come to an end is no failure of ours. */
const peerPart = ({ name, seconds, failures, notes }: PartResult): PartResult => ({
  ...leftOut(name, 'its figures are beside ours'),
  seconds,
  notes: [...notes, ...failures],
});

void main();
