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

/** A part of gpu-check on the device that the test before has built. */
function runPart(name: string, every: number, environment: Record<string, string>): { stdout: string; stderr: string } {
  const out = join(root, 'build', 'emulator-86');
  const part = ['--import', 'tsx', join(__dirname, 'gpu-check.ts'), '--device', 'cuda:0', '--part', name];
  return spawnSync(process.execPath, [...part, '--every', `${every}`], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, HADAL_BINARY: join(out, 'hadal.node'), LD_LIBRARY_PATH: out, ...environment },
  });
}

served('compiled functions run as CUDA graphs', () => {
  const { stdout, stderr } = runPart('compile', 1, { HADAL_CUDA_GRAPHS: 'log' });
  expect(stdout.match(/"failure":.*/g)).toBeNull();
  expect(stdout).toContain('"done":true');
  // Once each: what changes between runs is written into the graph.
  expect(stderr.match(/^compile: .*$/gm)?.map((line) => line.replace(/\d+/, 'n'))).toEqual(
    Array.from({ length: 3 }, () => 'compile: captured n commands as a CUDA graph'),
  );
});

describe('products by a stand-in for cuBLASLt', () => {
  const run = (environment: Record<string, string>, every = 3): { stdout: string; stderr: string } =>
    runPart('products', every, { HADAL_EMULATED_CUBLASLT: 'log', HADAL_CUDA_GRAPHS: 'log', ...environment });

  served('apply and sum what is described, in CUDA graphs too', () => {
    const { stdout, stderr } = run({});
    expect(stdout.match(/"failure":.*/g)).toBeNull();
    expect(stdout).toContain('"done":true');
    expect(stderr).toMatch(/compile: captured \d+ commands as a CUDA graph/);
    const epilogues = [...stderr.matchAll(/^cuBLASLt: runs (?!float64)\w+ with epilogue (\d+)$/gm)].map(([, each]) =>
      Number(each),
    );
    // Plain, with ReLU or GELU, with a bias; GELU beside what it is applied to; its slope; sums.
    expect([...new Set(epilogues)].sort((a, b) => a - b)).toEqual([1, 2, 4, 6, 32, 36, 160, 164, 192, 512]);
  });

  served('are measured, where that is wanted', () => {
    const { stdout } = run({ HADAL_CUDA_TUNE: '1' }, 10);
    expect(stdout.match(/"failure":.*/g)).toBeNull();
    expect(stdout).toContain('"done":true');
  });

  served('say what is wrong with a library that does not start', () => {
    const { stdout } = run({ HADAL_EMULATED_CUBLASLT: 'broken' }, 100);
    expect(stdout).toContain('cuBLASLt did not start: got CUBLAS_STATUS_NOT_INITIALIZED');
  });
});

/** Convolutions or attention by a stand-in for cuDNN: what gpu-check and compile say, and which engines were planned and run. */
function runCudnn(
  what: string,
  environment: Record<string, string>,
): { stdout: string; planned: string[]; ran: string[] } {
  const { stdout, stderr } = runPart(`${what} by cuDNN`, 3, {
    HADAL_EMULATED_CUDNN: 'log',
    HADAL_CUDA_GRAPHS: 'log',
    HADAL_CUDNN: 'all',
    ...environment,
  });
  const [planned, ran] = ['plans', 'runs'].map((verb) =>
    [...stderr.matchAll(new RegExp(`^cuDNN: ${verb} (.*)$`, 'gm'))].map(([, engine]) => engine!),
  ) as [string[], string[]];
  return { stdout: stdout + (stderr.match(/^compile: .*$/gm) ?? []).join('\n'), planned, ran };
}

describe.each(['convolutions', 'attention'])('%s by a stand-in for cuDNN', (what) => {
  const run = (environment: Record<string, string>): ReturnType<typeof runCudnn> => runCudnn(what, environment);

  served('takes the first engine that is deterministic and exact, once for a shape', () => {
    const { stdout, planned, ran } = run({});
    expect(stdout.match(/"failure":.*/g)).toBeNull();
    expect(stdout).toContain('"done":true');
    expect(stdout).toMatch(/compile: captured \d+ commands as a CUDA graph/);
    expect([...new Set(planned)].sort()).toEqual(['plain', 'tensor cores']);
    expect([...new Set(ran)].sort()).toEqual(['plain', 'tensor cores']);
    expect(ran.length).toBeGreaterThan(1.5 * planned.length);
  });

  served('measures those that are proposed, where that is wanted', () => {
    const { stdout, planned, ran } = run({ HADAL_CUDA_TUNE: '1' });
    expect(stdout.match(/"failure":.*/g)).toBeNull();
    expect(ran.length).toBeGreaterThan(4 * planned.length);
  });

  served('says what is wrong with a library that does not start', () => {
    const { stdout } = run({ HADAL_EMULATED_CUDNN: 'broken' });
    expect(stdout).toContain(
      'cuDNN did not start: got CUDNN_STATUS_NOT_INITIALIZED; mend it, or do without it by HADAL_CUDNN=0',
    );
  });

  served('is done without it with HADAL_CUDNN=0', () => {
    const { stdout, ran } = run({ HADAL_CUDNN: '0' });
    expect(stdout.match(/"failure":.*/g)).toBeNull();
    expect(stdout).toContain('"done":true');
    expect(ran).toEqual([]);
  });
});

served.each([{ HADAL_CUDNN: '' }, { HADAL_EMULATED_CUDNN: 'old' }])(
  'cuDNN is not asked for attention that is small, nor where it is old: %p',
  (environment) => {
    const { stdout, planned } = runCudnn('attention', environment as Record<string, string>);
    expect(stdout.match(/"failure":.*/g)).toBeNull();
    expect(stdout).toContain('"done":true');
    expect(planned).toEqual([]);
  },
);

describe.each(['forward', 'reverse', '1', '2'])('the emulator, threads in the order %s', (order) => {
  const emulate = (what: string): { stdout: string; status: number | null } =>
    spawnSync(join(root, 'build', 'emulator-86', 'emulator-test'), [what], {
      encoding: 'utf8',
      env: { ...process.env, HADAL_EMULATOR_ORDER: order },
    });

  served('computes as a GPU does', () => {
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

  served('ends a kernel that does not wait for its products', () => {
    for (const [what, message] of [
      ['unbegun', 'a product that was not begun'],
      ['unpublished', 'a product before the copies are made visible to it'],
      ['written sum', 'a sum was written while its product ran'],
      ['written left', 'a left factor was written while its product ran'],
      ['running', 'a product that is still running is used'],
      ['unwaited', 'the thread ended before its products'],
    ] as const) {
      const { stdout, status } = emulate(what);
      expect(stdout).toMatch(/^lost: .*warpgroup_kernel\(/);
      expect(stdout).toContain(message);
      expect(status).toBe(2);
    }
  });

  served('ends a kernel with a race', () => {
    for (const [what, message] of [
      ['unwritten', /it (reads|writes) byte \d+ of shared memory, which thread \d+ of this block has (read|written)/],
      ['shuffle', /it (reads|writes) byte \d+ of shared memory, which thread \d+ of this block has (read|written)/],
      ['overwritten', /it (reads|writes) byte \d+ of shared memory, which thread \d+ of this block has (read|written)/],
      ['atomic', /it writes byte 0 of an allocation, which thread \d+ of (this|another) block has written/],
      ['blocks', /it writes byte \d+ of an allocation, which thread \d+ of another block has written/],
      ['copy', /it (reads|writes) byte \d+ of shared memory, which thread \d+ of this block has (read|written)/],
    ] as const) {
      const { stdout, status } = emulate(what);
      expect(stdout).toMatch(/^lost: .*reversing_kernel\(.*a race: /);
      expect(stdout).toMatch(message);
      expect(status).toBe(2);
    }
    // A factor that is written while a product reads it, which products do at once where threads are in their order.
    if (order === 'reverse') expect(emulate('overwritten factor').stdout).toContain('a race: ');
  });

  served('ends a kernel whose threads hand over what is not there, out of turn or to nobody', () => {
    for (const [what, message] of [
      ['unpublished numbers', 'a thread arrives before what it has written is made visible'],
      ['early turn', 'a turn that does not come'],
      ['lonely', 'threads have arrived at a barrier where too few came'],
    ] as const) {
      const { stdout, status } = emulate(what);
      expect(stdout).toMatch(/^lost: .*handing_kernel\(/);
      expect(stdout).toContain(message);
      expect(status).toBe(2);
    }
  });
});
