// How long the event loop is kept while two threads make batches and tensors of them are used; prints JSON. Run by test/data/workers.test.ts.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { join } from 'node:path';

import { data, type AnyTensor } from '../../../lib/index';

async function main(): Promise<void> {
  await using set = await data.openWorkers(join(__dirname, 'items.ts'), {
    argument: 'numbered',
    execArgv: ['--require', 'tsx/cjs'],
  });
  const heavy = new data.Subset(
    set,
    Array.from({ length: 64 }, (_, i) => 95 + i),
  );
  const loader = new data.DataLoader(heavy, { batchSize: 4 });
  // The first pass fills the allocator's cache: the first touch of memory is slow.
  for await (const batch of loader) await (batch as unknown as { image: AnyTensor }).image.mean().item();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let sum = 0;
  for await (const batch of loader) sum += await (batch as unknown as { image: AnyTensor }).image.mean().item();
  delay.disable();
  const [p50, p99] = [50, 99].map((p) => delay.percentile(p) / 1e6 - 1);
  process.stdout.write(JSON.stringify({ sum, p50, p99 }));
}

void main();
