// All samples: those of every file in samples/.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Sample } from './sample';

const folder = join(__dirname, 'samples');

export const samples: readonly Sample[] = readdirSync(folder)
  .filter((name) => /\.[jt]s$/.test(name))
  .sort()
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  .flatMap((name) => (require(join(folder, name)) as { samples: Sample[] }).samples);

/** The samples of each op, in the order of their files. */
export const samplesByOp: ReadonlyMap<string, readonly Sample[]> = new Map(
  [...new Set(samples.map(({ op }) => op))].map((op) => [op, samples.filter((sample) => sample.op === op)]),
);
