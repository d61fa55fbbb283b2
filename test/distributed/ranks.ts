// Starts the programs of this folder in several processes, through `hadal launch` as a user does.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const root = join(__dirname, '../..');
export const cli = join(root, 'lib/cli/main.ts');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `hadal` with arguments; `started` gets the process. */
export async function hadal(
  args: readonly string[],
  started?: (child: ReturnType<typeof spawn>) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', cli, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HADAL_NUM_THREADS: '1' },
  });
  started?.(child);
  const ended = new Promise<readonly [number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await ended;
  return { code, signal, stdout, stderr };
}

/** What each rank of a program printed, line by line. Throws when it failed. */
export async function ranksOf(processes: number, script: string, ...args: string[]): Promise<string[][]> {
  const { code, stdout, stderr } = await hadal([
    'launch',
    '--processes',
    String(processes),
    join(__dirname, script),
    ...args,
  ]);
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${stdout}${stderr}`);
  const lines = stdout.split('\n').map((line) => /^\[(\d+)\] (.*)$/.exec(line));
  return Array.from({ length: processes }, (_, rank) =>
    lines.flatMap((match) => (match?.[1] === String(rank) ? [match[2]!] : [])),
  );
}
