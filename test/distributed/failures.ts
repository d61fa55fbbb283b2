// Run by each of two processes: what they do wrong together, each time in a group of its own, made over a fresh file of the folder that is given. Prints
// what each rank is told.
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';

import { distributed, ones, zeros, type AnyTensor } from '../../lib/index';
import { native } from '../../lib/runtime/native';
import { allReduceTensors } from '../../lib/distributed/collectives';

const { allReduce, barrier, broadcast } = distributed;
const folder = process.argv[2]!;
distributed.init({ timeout: 60_000 });
const rank = distributed.rank();

/** Joins a new group. */
function regroup(name: string, timeout = 60_000): void {
  const path = join(folder, name);
  closeSync(openSync(path, 'a')); // whoever comes first makes it
  native.joinGroup(0, path, 0, rank, 2, timeout);
}
const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const each = (first: () => AnyTensor | void, second: () => AnyTensor | void) => async (): Promise<void> => {
  const result = (rank === 0 ? first : second)();
  await (result ?? ones([])).data();
};

const scenarios: readonly (readonly [string, () => Promise<void>, timeout?: number])[] = [
  [
    'shapes',
    each(
      () => allReduce(zeros([2, 3])),
      () => allReduce(zeros([3])),
    ),
  ],
  [
    'dtypes',
    each(
      () => allReduce(zeros([2])),
      () => allReduce(zeros([2], { dtype: 'float64' })),
    ),
  ],
  [
    'ops',
    each(
      () => allReduce(zeros([2])),
      () => broadcast(zeros([2])),
    ),
  ],
  [
    'reductions',
    each(
      () => allReduce(zeros([2])),
      () => allReduce(zeros([2]), { reduction: 'max' }),
    ),
  ],
  [
    'roots',
    each(
      () => broadcast(zeros([2])),
      () => broadcast(zeros([2]), { root: 1 }),
    ),
  ],
  ['barriers', async () => (rank === 0 ? barrier() : void (await allReduce(zeros([])).data()))],
  [
    'lists',
    each(
      () => allReduceTensors([zeros([2, 3]), zeros([4])], 'sum'),
      () => allReduceTensors([zeros([3, 2]), zeros([4])], 'sum'),
    ),
  ],
  [
    'late',
    async () => {
      if (rank === 1) await sleep(500);
      await allReduce(zeros([2])).data();
    },
    200,
  ],
];

async function main(): Promise<void> {
  for (const [name, run, timeout] of scenarios) {
    regroup(name, timeout);
    const start = Date.now();
    const error = await run().then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    const took = Date.now() - start;
    // A group that has failed stays so, on every rank.
    const later = await allReduce(ones([]))
      .data()
      .then(
        () => undefined,
        (thrown: Error) => thrown,
      );
    const code = (error as { code?: string } | undefined)?.code;
    console.log(JSON.stringify({ name, rank, code, message: error?.message, later: later?.message, took }));
  }
}
void main();
