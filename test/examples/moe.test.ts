// The experts learn to continue a text, and are used alike because the loss says so: without, some do most of the work.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { data } from 'hadal';

import { numberAfter, runExample } from './run-example';

const words =
  'the of and a layer learns what its inputs share while every gradient flows back through deep networks quickly but some weights stay near zero';
const busiest = 'Busiest expert of the first layer:';

test('words in a drawn order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
  try {
    const random = new data.Random(0);
    const vocabulary = words.split(' ');
    const text = Array.from({ length: 6000 }, () => vocabulary[random.integer(vocabulary.length)]).join(' ');
    writeFileSync(join(folder, 'text.txt'), text);
    const small = ['--steps', '150', '--batch', '16', '--width', '32', '--context', '32', '--lr', '0.01'];
    const [balanced, free] = [
      await runExample('moe', '--data', join(folder, 'text.txt'), ...small, '--balance', '1'),
      await runExample('moe', '--data', join(folder, 'text.txt'), ...small, '--balance', '0'),
    ];
    // Characters by their frequency alone cost 2.9 nats, drawn words at least log(25) / 5.7 = 0.57 per character; eight seeds gave 0.8 to 1.1.
    expect(numberAfter('Validation loss', balanced)).toBeLessThan(1.5);
    // Of eight experts each has 12.5 % when they are used alike: eight seeds gave 13.4 to 16.1 %, and 19 to 37 % without balance.
    expect(numberAfter(busiest, balanced)).toBeLessThan(17.5);
    expect(numberAfter(busiest, free)).toBeGreaterThan(17.5);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
