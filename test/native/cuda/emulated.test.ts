// Every CUDA kernel without a GPU: a sample of the checks that scripts/check-emulated.mjs makes, on the device that is emulated on the
// CPU. HADAL_EMULATED=all runs all of them, HADAL_EMULATED=off none.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Report } from './report';

const root = join(__dirname, '..', '..', '..');
const wanted = process.env['HADAL_EMULATED'] ?? 'sample';
const isServed =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  wanted !== 'off' &&
  spawnSync('cmake', ['--version']).status === 0 &&
  / (avx2|fma|f16c)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'hadal-emulated-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const served = isServed ? test : test.skip;

served(
  'kernels on an emulated device agree with float64 and the CPU',
  () => {
    const script = join(root, 'scripts', 'check-emulated.mjs');
    const every = wanted === 'all' ? '1' : '20';
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--every', every, '--out', folder], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout).toContain('emulated on the CPU');
    const { parts } = JSON.parse(readFileSync(join(folder, 'gpu-check.json'), 'utf8')) as Report;
    expect(parts.flatMap(({ failures }) => failures)).toEqual([]);
    expect([...new Set(parts.map(({ status }) => status))]).toEqual(['passed']);
    expect(parts.reduce((sum, { checks }) => sum + checks, 0)).toBeGreaterThan(500);
  },
  1_800_000,
);

// Built by the test before.
served('compiled functions run as CUDA graphs', () => {
  const out = join(root, 'build', 'emulator-80');
  const part = ['--import', 'tsx', join(__dirname, 'gpu-check.ts'), '--device', 'cuda:0', '--part', 'compile'];
  const { stdout, stderr } = spawnSync(process.execPath, part, {
    cwd: root,
    encoding: 'utf8',
    env: {
      ...process.env,
      HADAL_BINARY: join(out, 'hadal.node'),
      LD_LIBRARY_PATH: out,
      HADAL_CUDA_GRAPHS: 'log',
    },
  });
  expect(stdout.match(/"failure":.*/g)).toBeNull();
  expect(stdout).toContain('"done":true');
  // Once each: what changes between runs is written into the graph.
  expect(stderr.match(/^compile: .*$/gm)?.map((line) => line.replace(/\d+/, 'n'))).toEqual(
    Array.from({ length: 3 }, () => 'compile: captured n commands as a CUDA graph'),
  );
});

describe.each(['forward', 'reverse', '1', '2'])('the emulator, threads in the order %s', (order) => {
  const emulate = (what: string): { stdout: string; status: number | null } =>
    spawnSync(join(root, 'build', 'emulator-80', 'emulator-test'), [what], {
      encoding: 'utf8',
      env: { ...process.env, HADAL_EMULATOR_ORDER: order },
    });

  served('computes as a GPU does, and shows barriers that are missing', () => {
    const { stdout, status } = emulate('sound');
    expect(stdout).toMatch(/^\d+ checks\n$/);
    expect(status).toBe(0);
  });

  served('ends a kernel whose threads wait forever', () => {
    const { stdout, status } = emulate('divergent');
    expect(stdout).toContain('divergent_kernel(), block (0, 0, 0): threads wait forever: of 64, 0 have ended');
    expect(status).toBe(2);
  });

  served('ends a kernel that reads outside of its shared memory', () => {
    expect(emulate('outside').stdout).toMatch(/outside_kernel\(\), .*: outside of dynamic shared memory\n$/);
  });
});
