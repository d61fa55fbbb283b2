// Threads that make batches: the same batches whatever their number, errors that say which item, and a main thread that stays free.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { HadalError } from '../../lib/errors';
import { data, type AnyTensor } from '../../lib/index';

const { DataLoader, Subset } = data;
const items = join(__dirname, 'workers/items.ts');
const execArgv = ['--require', 'tsx/cjs'];
const open = (workers: number, argument = 'numbered'): Promise<data.WorkerDataset<unknown>> =>
  data.openWorkers(items, { workers, argument, execArgv });
const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

type Batch = Record<'index' | 'pixels' | 'noise', AnyTensor> & { name: string[] };
const plain = ({ index, pixels, noise, name }: Batch): unknown => [
  index.toArraySync(),
  pixels.dtype,
  pixels.toArraySync(),
  noise.toArraySync(),
  name,
];
async function batchesOf(loader: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const batch of loader) found.push(plain(batch as Batch));
  return found;
}

let all: data.WorkerDataset<unknown>;
let plainItems: data.Subset<unknown>;
beforeAll(async () => {
  all = await open(2);
  plainItems = new Subset(all, range(0, 20));
});
afterAll(() => all.close());

test('the same batches on one thread and on two, epoch by epoch', async () => {
  await using one = await open(1);
  const options = { batchSize: 3, shuffle: true, seed: 5 };
  const [a, b] = [new DataLoader(new Subset(one, range(0, 20)), options), new DataLoader(plainItems, options)];
  const first = await batchesOf(a);
  expect(await batchesOf(b)).toEqual(first);
  expect(first).toHaveLength(7);
  const second = await batchesOf(a);
  expect(await batchesOf(b)).toEqual(second);
  expect(second).not.toEqual(first);

  // A thread that ends by itself fails what it owes, and later requests.
  await expect(one.getBatch([91])).rejects.toThrow('data: worker 0 ended with code 7');
  await expect(one.getBatch([0])).rejects.toThrow('data: worker 0 ended with code 7');
});

test('a loader restored in the middle goes on with the very batches', async () => {
  const options = { batchSize: 3, shuffle: true, seed: 5 };
  const expected = await batchesOf(new DataLoader(plainItems, options));
  const next = await batchesOf(Object.assign(new DataLoader(plainItems, options), { epoch: 1 }));

  const loader = new DataLoader(plainItems, options);
  let seen = 0;
  let state: data.LoaderState | undefined;
  for await (const _ of loader) {
    if (++seen < 4) continue;
    state = JSON.parse(JSON.stringify(loader.state())) as data.LoaderState;
    break;
  }
  expect(state).toEqual({ epoch: 0, batch: 4 });
  const resumed = new DataLoader(plainItems, options);
  resumed.restore(state!);
  expect(resumed.state()).toEqual(state);
  expect(await batchesOf(resumed)).toEqual(expected.slice(4));
  expect(resumed.state()).toEqual({ epoch: 1, batch: 0 });
  expect(await batchesOf(resumed)).toEqual(next);
});

test('a random split, whole batches and item by item', async () => {
  const [, held] = data.randomSplit(plainItems, [0.8, 0.2], { seed: 1 });
  const [batch] = await batchesOf(new DataLoader(held!, { batchSize: 4 }));
  expect((batch as [number[]])[0]).toEqual(held!.indices);
  expect(((await held!.get(0)) as { index: number }).index).toBe(held!.indices[0]);
});

test('tensors made in a thread arrive as tensors', async () => {
  const batch = (await all.getBatch([92, 93])) as AnyTensor;
  expect(batch.toArraySync()).toEqual([[92, 92], [93, 93]]); // prettier-ignore
});

test('what is only iterated comes from the threads in turn', async () => {
  await using set = await data.openIterableWorkers(items, { workers: 2, argument: 'streamed', execArgv });
  const run = async (state?: data.LoaderState): Promise<unknown[]> => {
    const loader = new DataLoader<{ index: AnyTensor }>(set, { batchSize: 2 });
    if (state) loader.restore(state);
    const found: unknown[] = [];
    for await (const { index } of loader) found.push(index.toArraySync());
    return found;
  };
  const expected = [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9]];
  expect(await run()).toEqual(expected);
  expect(await run({ epoch: 0, batch: 4 })).toEqual(expected.slice(4));
  for await (const _ of new DataLoader(set, { batchSize: 2 })) break;
  expect(await run()).toEqual(expected);
});

test('an item’s error says which item, and the threads go on to serve', async () => {
  const loader = new DataLoader(new Subset(all, [92, 93, 92, 93, 92, 90, 93, 93]), { batchSize: 2, prefetch: 4 });
  let seen = 0;
  const run = async (): Promise<void> => {
    for await (const _ of loader) seen++;
  };
  const error = await run().then(
    () => undefined,
    (thrown: HadalError) => thrown,
  );
  expect(error).toBeInstanceOf(HadalError);
  expect(error!.message).toMatch(/^data: item 90 \(worker [01]\): no such picture$/);
  expect(error!.fields).toMatchObject({ index: 90, cause: { name: 'RangeError', message: 'no such picture' } });
  expect(error!.stack).toMatch(/items\.ts/);
  expect(seen).toBe(2);
  expect(((await all.getBatch([93])) as AnyTensor).toArraySync()).toEqual([[93, 93]]);
});

test('an abort ends the wait', async () => {
  const controller = new AbortController();
  const loader = new DataLoader(new Subset(all, range(95, 155)), {
    batchSize: 20,
    prefetch: 0,
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(new Error('enough')), 20);
  await expect(loader[Symbol.asyncIterator]().next()).rejects.toThrow(new Error('enough'));
});

test('no more batches than asked for are made ahead', async () => {
  let asked = 0;
  const counting = {
    length: 100,
    get: (index: number, draw?: data.Draw) => all.get(index, draw),
    getBatch: (indices: readonly number[], draw?: data.Draw) => (asked++, all.getBatch(indices, draw)),
  };
  const iterator = new DataLoader(counting, { batchSize: 2, prefetch: 3 })[Symbol.asyncIterator]();
  await iterator.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked).toBe(4);
  await iterator.return();
});

test('a module without a data set, one that is not there, and the other kind', async () => {
  await expect(open(1, 'nothing')).rejects.toThrow(/default export: got undefined, expected a data set or a function/);
  await expect(data.openWorkers('/nowhere.mjs', { workers: 1, execArgv })).rejects.toThrow(
    /^data: worker 0: .*nowhere\.mjs/,
  );
  await expect(open(1, 'streamed')).rejects.toThrow('got a data set that is only iterated; use openIterableWorkers');
  await expect(open(0)).rejects.toThrow('openWorkers: workers: got 0, expected an integer from 1 to 256');
});

test('closing ends, also where nothing else keeps the process alive', async () => {
  const script = join(__dirname, 'workers/close.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script]);
  expect(stdout).toBe('closed\n');
});

test('threads that decode heavily leave the event loop free', async () => {
  const script = join(__dirname, 'workers/measure-delay.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script]);
  const { sum, p50 } = JSON.parse(stdout) as { sum: number; p50: number; p99: number };
  expect(sum).toBeCloseTo((16 * 63) / 2, 2);
  // The median, as the higher percentiles depend on what else the machine runs.
  expect(p50).toBeLessThan(10);
});
