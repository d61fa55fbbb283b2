// clang takes the kernels as GCC does, and warns of nothing in them: those of v4, where most is spelled out, and those of arm64, as a Mac has them. It
// only reads them, in 25 s of one core each. Skipped where there is no clang, arm64 also where the cross compiler's headers are missing.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const native = join(__dirname, '../../native');
const kernels = readdirSync(join(native, 'cpu')).filter((name) => name.endsWith('.cc'));
// The oldest there is: it lacks most. Those to come may have warnings that nobody has seen yet.
const clang = [14, 15, 16, 17, 18, 19]
  .map((version) => `clang++-${version}`)
  .find((command) => spawnSync(command, ['--version']).status === 0);
const onLinuxX64 = process.platform === 'linux' && process.arch === 'x64' && clang !== undefined;
const withClang = onLinuxX64 ? test : test.skip;
const withHeaders = onLinuxX64 && existsSync('/usr/aarch64-linux-gnu/include/c++') ? test : test.skip;

function complaints(...target: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'hadal-clang-'));
  try {
    // Newer ones object to libstdc++ 12's own sorting.
    const warnings = ['-Wall', '-Wextra', '-Wno-deprecated-declarations'];
    const options = ['-std=c++20', `-I${native}`, ...warnings, ...target];
    // What most of them include is read once.
    const header = join(folder, 'common.pch');
    const input = '#include "cpu/rows.h"\n#include "cpu/simd.h"\n#include "kernels/math.h"\n';
    execFileSync(clang!, [...options, '-x', 'c++-header', '-', '-o', header], { input });
    const files = kernels.map((name) => join(native, 'cpu', name));
    return spawnSync(clang!, [...options, '-fsyntax-only', '-include-pch', header, ...files], { encoding: 'utf8' })
      .stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

withClang('clang compiles the kernels of v4', () => expect(complaints('-march=x86-64-v4')).toBe(''), 600_000);
withHeaders(
  'clang compiles the kernels of arm64',
  () => expect(complaints('--target=aarch64-linux-gnu')).toBe(''),
  600_000,
);
