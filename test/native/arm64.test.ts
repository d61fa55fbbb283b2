// What a build for arm64 has to be like, seen from x86-64: its vectors hold the same bits, and its product tiles stay in registers. Skipped where there
// is no cross compiler (aarch64-linux-gnu-g++, or a name that ends in its version); what runs is skipped without qemu-aarch64-static too.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const runs = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const cross = ['', '-15', '-14', '-13', '-12', '-11'].map((version) => `aarch64-linux-gnu-g++${version}`).find(runs);
const onX64 = process.arch === 'x64' && cross !== undefined;
const withCompiler = onX64 ? test : test.skip;
const withEmulator = onX64 && runs('qemu-aarch64-static') ? test : test.skip;

const compile = (compiler: string, args: string[], input?: string): string =>
  execFileSync(compiler, ['-std=c++20', `-I${join(root, 'native')}`, ...args], { encoding: 'utf8', input });

withEmulator('conversions, roundings, orders and random words have the bits of x86-64', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hadal-arm64-'));
  try {
    const source = join(root, 'test/native/lanes.cc');
    const [here, there] = [join(folder, 'x64'), join(folder, 'arm64')];
    compile(process.env['CXX'] ?? 'c++', ['-O2', '-march=x86-64-v2', source, '-o', here]);
    compile(cross!, ['-O2', '-static', source, '-o', there]);
    const ours = execFileSync(here, { encoding: 'utf8' });
    expect(ours.split('\n').length).toBeGreaterThan(30);
    expect(execFileSync('qemu-aarch64-static', [there], { encoding: 'utf8' })).toBe(ours);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

withCompiler.each([
  ['float', 'true'],
  ['float', 'false'],
  ['double', 'true'],
])('a tile of 8 × 3 vectors of %s keeps its sums in registers (adjacent rows: %s)', (type, unitRow) => {
  const source = `#include "cpu/gemm_tile_kernels.h"
    namespace hadal::cpu { TileKernel<${type}> tile = run_tile<${type}, 8, 3, ${unitRow}, false>; }`;
  const listing = compile(cross!, ['-O3', '-fPIC', '-S', '-x', 'c++', '-', '-o', '-'], source);
  // Straight pieces of code; two steps of the loop are the one with 2 × 24 multiply-adds.
  const pieces = listing.split(/^\.L\d+:$/m).map((piece) => piece.split('\n'));
  const steps = pieces.filter((lines) => lines.filter((line) => line.includes('fmla')).length === 48);
  expect(steps.length).toBeGreaterThan(0);
  for (const lines of steps) {
    const instructions = lines.slice(0, lines.findIndex((line) => line.includes('\tb')) + 1);
    expect(instructions.filter((line) => line.includes('[sp'))).toEqual([]);
  }
});
