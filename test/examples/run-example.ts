// Runs a program of examples/ as a user would, and reads what it prints.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(__dirname, '../..');

/** What `npx tsx examples/NAME.ts …` prints. Anything that it writes goes to a folder that is deleted. */
export async function runExample(name: string, ...options: string[]): Promise<string> {
  const out = mkdtempSync(join(tmpdir(), 'hadal-'));
  try {
    const command = [
      '--import',
      'tsx',
      join('examples', `${name}.ts`),
      ...options.map((option) => option.replace('OUT', out)),
    ];
    const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root });
    return stdout;
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The first number behind a text in what a program printed. */
export function numberAfter(text: string, printed: string): number {
  const found = new RegExp(`${text}\\s*(-?[\\d.]+)`).exec(printed);
  if (found === null) throw new Error(`no number after ${JSON.stringify(text)} in: ${printed}`);
  return Number(found[1]);
}

/** Where a real data set is, and a test that is skipped, and says so, where it is not. */
export function withData(name: string): { folder: string; test: jest.It } {
  const folder = join(process.env['HADAL_DATA'] ?? join(root, '../shared/data'), name);
  if (existsSync(folder)) return { folder, test };
  process.stdout.write(`skipped: examples on ${name}: no ${folder}\n`);
  return { folder, test: test.skip as jest.It };
}
