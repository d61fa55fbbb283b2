// `hadal launch`: what it tells the processes, what becomes of their output, signals and exit codes. The scripts are plain programs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseLaunch } from '../../lib/cli/launch';
import { hadal } from '../distributed/ranks';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'hadal-launch-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const forever = 'setInterval(() => {}, 1000);';
const sorted = (text: string): string[] => text.split('\n').filter(Boolean).sort();

test('options end where the script begins', () => {
  expect(parseLaunch(['-p', '2', 'train.mjs', '--epochs', '3', '-p', '9'])).toEqual({
    processes: 2,
    script: 'train.mjs',
    args: ['--epochs', '3', '-p', '9'],
  });
  expect(parseLaunch(['--processes=4', '--threads', '2', 'train.ts'])).toEqual({
    processes: 4,
    threads: 2,
    script: 'train.ts',
    args: [],
  });
  expect(parseLaunch(['--help'])).toBeUndefined();
});

test.each([
  [['train.ts'], 'launch: --processes: got nothing, expected a whole number from 1 to 64'],
  [['--processes', '0', 'train.ts'], 'launch: --processes: got 0, expected a whole number from 1 to 64'],
  [['--processes', '65', 'train.ts'], 'launch: --processes: got 65, expected a whole number from 1 to 64'],
  [['-p', '2', '-t', 'all', 'train.ts'], 'launch: --threads: got all, expected a whole number from 1 to 1024'],
  [['-p', '2'], 'launch: script: got none, expected the path of one'],
])('wrong options: %j', (args, message) => {
  expect(() => parseLaunch(args)).toThrow(new Error(message));
});

test('an unknown option is an error', () => {
  expect(() => parseLaunch(['--procs', '2', 'train.ts'])).toThrow(/^launch: Unknown option '--procs'/);
});

test('each process knows its rank, and its lines begin with it', async () => {
  const path = script(
    'ranks.mjs',
    `const { HADAL_RANK: rank, HADAL_WORLD_SIZE: world } = process.env;
     console.log(\`\${rank} of \${world}: \${process.argv.slice(2)}\`);
     process.stdout.write('two\\nlines');
     console.error('é'.repeat(3));`,
  );
  const { code, stdout, stderr } = await hadal(['launch', '-p', '2', path, 'a', '-b']);
  expect(code).toBe(0);
  expect(sorted(stdout)).toEqual([
    '[0] 0 of 2: a,-b',
    '[0] lines',
    '[0] two',
    '[1] 1 of 2: a,-b',
    '[1] lines',
    '[1] two',
  ]);
  expect(sorted(stderr)).toEqual(['[0] ééé', '[1] ééé']);
});

test('one that fails ends all, with its exit code', async () => {
  const path = script('fails.mjs', `if (process.env.HADAL_RANK === '1') process.exit(7); ${forever}`);
  const { code, stderr } = await hadal(['launch', '-p', '3', path]);
  expect(code).toBe(7);
  expect(stderr).toBe('launch: process 1 ended with code 7\n');
});

// Windows has no signals: a process that is killed ends with a code, and a launcher that is killed cannot forward.
const withSignals = process.platform === 'win32' ? test.skip : test;

withSignals('one that is killed ends all, with the code that a shell has for it', async () => {
  const path = script(
    'killed.mjs',
    `if (process.env.HADAL_RANK === '0') process.kill(process.pid, 'SIGKILL'); ${forever}`,
  );
  const { code, stderr } = await hadal(['launch', '-p', '2', path]);
  expect(code).toBe(137);
  expect(stderr).toBe('launch: process 0 was ended by SIGKILL\n');
});

withSignals.each(['SIGTERM', 'SIGINT'] as const)('%s reaches every process once', async (signal) => {
  const path = script(
    `${signal}.mjs`,
    `let count = 0;
     process.on('${signal}', () => {
       count++;
       setTimeout(() => { console.log('count ' + count); process.exit(0); }, 100);
     });
     console.log('ready'); ${forever}`,
  );
  let seen = '';
  const { code, stdout } = await hadal(['launch', '-p', '2', path], (child) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      const before = seen.split('ready').length;
      seen += chunk.toString();
      if (before < 3 && seen.split('ready').length === 3) child.kill(signal);
    });
  });
  expect(code).toBe(0);
  expect(sorted(stdout)).toEqual(['[0] count 1', '[0] ready', '[1] count 1', '[1] ready']);
});

test('other commands are refused', async () => {
  const { code, stderr } = await hadal(['lunch']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^hadal: no such command: got lunch, expected launch\n/);
});
