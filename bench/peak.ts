/** The peaks of this machine, measured by bench/peak.cc, which the system's compiler builds for this processor. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Peaks {
  /** GFLOP/s of products in registers. */
  readonly f32: number;
  readonly bf16: number;
  /** GB/s read and written. */
  readonly memory: number;
}

/** On the benches' number of threads, the best of three runs; NaN without a compiler or the instructions. */
export function measurePeaks(): Peaks {
  const folder = mkdtempSync(join(tmpdir(), 'hadal-peak-'));
  try {
    const program = join(folder, 'peak');
    const flags = ['-O3', '-march=native', '-mprefer-vector-width=512', '-pthread', '-o', program];
    if (spawnSync('c++', [...flags, join(__dirname, 'peak.cc')]).status !== 0)
      return { f32: NaN, bf16: NaN, memory: NaN };
    const runs = [1, 2, 3].map(
      () =>
        JSON.parse(spawnSync(program, [process.env['HADAL_NUM_THREADS'] ?? '2']).stdout.toString()) as Record<
          keyof Peaks,
          number | null
        >,
    );
    const best = (of: keyof Peaks): number => Math.max(...runs.map((run) => run[of] ?? NaN));
    return { f32: best('f32'), bf16: best('bf16'), memory: best('memory') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
