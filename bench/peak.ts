/** The FMA peak of this machine, measured by bench/peak.cc, which the system's compiler builds for this processor. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** GFLOP/s in float32 on the benches' number of threads; NaN without a compiler. */
export function peakGflops(): number {
  const folder = mkdtempSync(join(tmpdir(), 'hadal-peak-'));
  try {
    const program = join(folder, 'peak');
    const flags = ['-O3', '-march=native', '-mprefer-vector-width=512', '-pthread', '-o', program];
    if (spawnSync('c++', [...flags, join(__dirname, 'peak.cc')]).status !== 0) return NaN;
    const run = (): number => Number(spawnSync(program, [process.env['HADAL_NUM_THREADS'] ?? '2']).stdout.toString());
    return Math.max(run(), run(), run());
  } finally {
    rmSync(folder, { recursive: true });
  }
}
