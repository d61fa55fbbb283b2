// What of the CUDA backend can be tested without a GPU: that every op has a kernel in the sources, the host side's arithmetic, and
// the machinery of scripts/gpu-check.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { devices } from '../../../lib/index';
import { nativeOps } from '../../../lib/ops/define';
import { isGood, markdown, type PartResult, type Report } from './report';

const root = join(__dirname, '..', '..', '..');
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'hadal-cuda-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The names of the ops that the sources of a device register kernels for. */
function registered(device: 'cpu' | 'cuda'): string[] {
  const sources = readdirSync(join(root, 'native', device)).filter((name) => /\.(cc|cu)$/.test(name));
  const text = sources.map((name) => readFileSync(join(root, 'native', device, name), 'utf8')).join('\n');
  const macros = new Set<string>();
  // Macros of a file that register an op under the name they are given.
  for (const [, macro] of text.matchAll(
    /#define (\w+)\((?:[^)]*)\)[^\n]*\\\n(?:[^\n]*\\\n)*[^\n]*HADAL_(?:CPU|CUDA)_KERNEL\(\w+\)/g,
  )) {
    macros.add(macro!);
  }
  const calls = new RegExp(
    `^ *(?:HADAL_(?:CPU|CUDA)_KERNEL${[...macros].map((m) => `|${m}`).join('')})\\((\\w+)`,
    'gm',
  );
  return [...text.matchAll(calls)].map(([, name]) => name!);
}

test('every op has a CUDA kernel, or says that it runs on the CPU', () => {
  const kernels = new Set(registered('cuda'));
  const [onHost, onDevice] = [true, false].map((host) =>
    [...nativeOps.values()].filter(({ onHost }) => (onHost === true) === host).map(({ name }) => name),
  ) as [string[], string[]];
  expect(onDevice.filter((name) => !kernels.has(name))).toEqual([]);
  expect(onHost.filter((name) => kernels.has(name))).toEqual([]);
  expect([...kernels].filter((name) => !nativeOps.has(name as 'add'))).toEqual([]);
});

// The CUDA backend is for Linux, and what starts its checks a shell script.
const onWindows = process.platform === 'win32';

(onWindows ? test.skip : test)('work is shared out right at edge sizes', () => {
  const program = join(folder, 'launch-test');
  const source = join(__dirname, 'launch_test.cc');
  const compiler = process.env['CXX'] ?? 'c++';
  const built = spawnSync(compiler, ['-std=c++20', '-O1', `-I${join(root, 'native')}`, source, '-o', program]);
  expect(built.stderr.toString()).toBe('');
  const { stdout, status } = spawnSync(program);
  expect(stdout.toString()).toMatch(/^\d+ checks\n$/);
  expect(status).toBe(0);
});

const binary = process.env['HADAL_BINARY'] ?? join(root, 'build', 'Release', 'hadal.node');
const library = join(dirname(binary), 'libhadal-cuda.so');

(existsSync(library) ? test : test.skip)('the CUDA backend loads with every symbol it needs, GPU or none', () => {
  const load = `process.dlopen({ exports: {} }, ${JSON.stringify(library)}, require('os').constants.dlopen.RTLD_NOW)`;
  const { stderr } = spawnSync(process.execPath, ['-e', load], { encoding: 'utf8' });
  // It is no addon, which is all that Node may find wrong with it.
  expect(stderr).toContain('Module did not self-register');
});

const part = (name: string, more: Partial<PartResult>): PartResult => ({
  name,
  status: 'passed',
  seconds: 1.25,
  checks: 3,
  failures: [],
  figures: [],
  notes: [],
  ...more,
});
const report = (...parts: PartResult[]): Report => ({
  device: 'cuda:0: a GPU',
  date: '2026-01-02',
  node: '20.0.0',
  peer: 'PyTorch 2',
  parts,
});

test('a report as Markdown', () => {
  const figures = [
    { name: 'gemm', seconds: 0.002, peer: 0.0018, flops: 1e12 },
    { name: 'add', seconds: 5e-5, bytes: 1e8 },
    { name: 'step', seconds: 2 },
  ];
  const good = report(part('speed', { figures, notes: ['a | b'] }), part('racecheck', { status: 'left out' }));
  expect(isGood(good)).toBe(true);
  expect(markdown(good)).toBe(`cuda:0: a GPU. 2026-01-02, Node 20.0.0, PyTorch 2.

| part | status | checks | failures | seconds |
| --- | --- | ---: | ---: | ---: |
| speed | passed | 3 | 0 | 1.3 |
| racecheck | left out | 3 | 0 | 1.3 |

| figure | hadal | PyTorch | ratio | rate |
| --- | ---: | ---: | ---: | ---: |
| gemm | 2.000 ms | 1.800 ms | 0.90× | 500.0 TFLOP/s |
| add | 50.0 µs |  |  | 2000 GB/s |
| step | 2.00 s |  |  |  |

speed:

- a \\| b
`);
  const bad = report(part('ops', { status: 'failed', failures: ['add: got 1,\nexpected 2'] }));
  expect(isGood(bad)).toBe(false);
  expect(markdown(bad)).toContain('\nops:\n\n- failed: add: got 1, expected 2\n');
  expect(isGood(report(part('memory', { status: 'crashed' })))).toBe(false);
});

(onWindows ? describe.skip : describe)('the folder that scripts/gpu-check.mjs makes', () => {
  const check = (...args: string[]) =>
    spawnSync(join(folder, 'bundle', 'gpu-check'), args, {
      encoding: 'utf8',
      env: { ...process.env, HADAL_BINARY: binary },
    });

  beforeAll(() => {
    const script = join(root, 'scripts', 'gpu-check.mjs');
    const made = spawnSync(process.execPath, [script, '--no-binaries', '--out', join(folder, 'bundle')], {
      encoding: 'utf8',
    });
    expect(made.stderr).toBe('');
  });

  test('runs parts in processes of their own, here on the CPU', () => {
    const out = join(folder, 'cpu');
    const { stdout, status } = check('--device', 'cpu', '--only', 'basics', '--out', out);
    expect(stdout).toMatch(/^basics: passed, 5 checks, 0 failures, [\d.]+ s$/m);
    expect(status).toBe(0);
    const { parts } = JSON.parse(readFileSync(join(out, 'gpu-check.json'), 'utf8')) as Report;
    expect(parts.map(({ name, status }) => [name, status])).toEqual([['basics', 'passed']]);
  });

  const gpu = devices().some(({ name, available }) => name === 'cuda:0' && available);
  (gpu ? test.skip : test)('says that there is no device', () => {
    const { stdout, status } = check('--out', join(folder, 'none'));
    expect(stdout).toMatch(/^no CUDA device: \S.+$/m);
    expect(status).toBe(2);
    expect(readFileSync(join(folder, 'none', 'gpu-check.md'), 'utf8')).toMatch(/^no CUDA device: /);
  });
});
