// Kills training runs at random times and lets them go on. Called by killed-run.test.ts, and for many kills by hand:
//   npx tsx test/train/kill.ts 200
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { data, train } from '../../lib/index';

interface Outcome {
  /** Whether the run came to its end. */
  readonly done: boolean;
  /** The last step that was reported as saved. */
  readonly saved: number;
  /** Milliseconds of training. */
  readonly duration: number;
}

/** Starts the run, or lets it go on; it is killed so many milliseconds after it has begun to train. */
async function startRun(folder: string, steps: number, killAfter?: number): Promise<Outcome> {
  await mkdir(folder, { recursive: true });
  const script = join(__dirname, 'killed-run.ts');
  const child = spawn(process.execPath, ['--require', 'tsx/cjs', script, folder, String(steps)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  let [done, saved, start] = [false, 0, NaN];
  for await (const line of createInterface(child.stdout)) {
    if (line === 'starting') {
      start = performance.now();
      if (killAfter !== undefined) void sleep(killAfter).then(() => child.kill('SIGKILL'));
    } else if (line === 'done') done = true;
    else if (line.startsWith('saved ')) saved = Number(line.slice(6));
  }
  const duration = performance.now() - start;
  const [code, signal] = (await ended) as [number | null, string | null];
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the run ended with ${code ?? signal}`);
  return { done, saved, duration };
}

/** The loss of each step and of each validation. Throws when one that was computed again differs. */
async function lossesOf(folder: string): Promise<Map<string, number>> {
  const lines = (await readFile(join(folder, 'losses.jsonl'), 'utf8')).split('\n').slice(0, -1);
  const losses = new Map<string, number>();
  for (const line of lines) {
    const [step, loss, valLoss] = JSON.parse(line) as [number, number | null, number | null];
    const key = `${loss === null ? 'validation' : 'training'} loss of step ${step}`;
    const value = (loss ?? valLoss)!;
    const before = losses.get(key) ?? value;
    if (before !== value) throw new Error(`${key}: got ${value} after a kill, ${before} before`);
    losses.set(key, value);
  }
  return losses;
}

/** Everything in a run's last checkpoint but how fast it was. */
async function finalState(folder: string): Promise<unknown> {
  const plain = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if ('dataSync' in value) return (value as { dataSync(): unknown }).dataSync();
    if (Array.isArray(value)) return value.map(plain);
    const entries = Object.entries(value).filter(([name]) => !/PerSecond$|Bytes$/.test(name));
    return Object.fromEntries(entries.map(([name, each]) => [name, plain(each)]));
  };
  return plain(await train.loadCheckpoint(join(folder, 'final.safetensors')));
}

/** What is compared of a run that came to its end. */
const resultOf = async (folder: string): Promise<unknown> => [await lossesOf(folder), await finalState(folder)];

/**
 * Trains once without and often with kills at random times, until there were `kills`. Answers what the run without gave, and the ones with; throws
 * when a run does not go on from the last checkpoint that it had reported.
 */
export async function killRepeatedly(kills: number, steps: number): Promise<{ expected: unknown; got: unknown[] }> {
  const root = await mkdtemp(join(tmpdir(), 'hadal-kill-'));
  const random = new data.Random(kills);
  try {
    const whole = join(root, 'whole');
    const { duration } = await startRun(whole, steps);
    const got: unknown[] = [];
    for (let run = 0, killed = 0; killed < kills; run++) {
      const folder = join(root, `killed-${run}`);
      const checkpoints = new train.CheckpointFolder(join(folder, 'checkpoints'));
      let done = false;
      for (let reported = 0; !done;) {
        // A quarter of the run, so that each run is killed some times.
        const outcome = await startRun(folder, steps, killed < kills ? random.uniform() * 0.25 * duration : undefined);
        done = outcome.done;
        if (!done) killed++;
        reported = Math.max(reported, outcome.saved);
        const last = (await checkpoints.steps()).at(-1) ?? 0;
        if (last < reported) throw new Error(`step ${reported} was reported as saved, but the last one is ${last}`);
      }
      got.push(await resultOf(folder));
    }
    return { expected: await resultOf(whole), got };
  } finally {
    await rm(root, { recursive: true });
  }
}

async function main(): Promise<void> {
  const { isDeepStrictEqual } = await import('node:util');
  const kills = Number(process.argv[2]);
  const { expected, got } = await killRepeatedly(kills, 240);
  const same = got.filter((result) => isDeepStrictEqual(result, expected)).length;
  console.log(`${kills} kills in ${got.length} runs; ${same} of them ended with the bits of the run without kills`);
  if (same < got.length) process.exitCode = 1;
}

if (require.main === module) void main();
