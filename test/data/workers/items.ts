// Data sets that test/data/workers.test.ts opens in threads.
import { full, type data } from '../../../lib/index';

type Item = Record<string, unknown>;

/** The random numbers are drawn in the item, and the wait lets later batches overtake. */
async function plainItem(index: number, draw: data.Draw): Promise<Item> {
  await new Promise((resolve) => setTimeout(resolve, (index * 7) % 5));
  return { index, pixels: Uint8Array.of(index, 2 * index), noise: draw.random(index).uniform(), name: `item ${index}` };
}

/** About 10 ms of work for 3 MB. */
function heavyItem(index: number): Item {
  const end = performance.now() + 10;
  while (performance.now() < end);
  return { image: { dtype: 'float32', shape: [3, 512, 512], data: new Float32Array(3 * 512 * 512).fill(index) } };
}

const numbered: data.Dataset<unknown> = {
  length: 200,
  get(index, draw) {
    if (index < 90) return plainItem(index, draw!);
    if (index === 90) throw new RangeError('no such picture');
    if (index === 91) return process.exit(7);
    if (index < 95) return full([2], index);
    return heavyItem(index - 95);
  },
};

const streamed: data.IterableDataset<Item> = {
  *iterate({ worker, workers }) {
    for (let index = worker; index < 11; index += workers) yield { index };
  },
};

export default (kind: string): unknown => ({ numbered, streamed })[kind];
