// The experts learn to continue a text, and are used alike because the loss says so: without, some do most of the work.
import { numberAfter, runExample } from './run-example';

const busiest = 'Busiest expert of the first layer:';

test('this project’s guide', async () => {
  const small = ['--data', 'docs/architecture.md', '--steps', '150', '--batch', '16', '--width', '32', '--lr', '0.01'];
  const [balanced, free] = [
    await runExample('moe', ...small, '--balance', '0.1'),
    await runExample('moe', ...small, '--balance', '0'),
  ];
  // Characters by their frequency alone cost 3.2 nats. Of eight experts each has 12.5 % when they are used alike; how far they are from that depends on the text, which grows.
  expect(numberAfter('Validation loss', balanced)).toBeLessThan(2.9);
  expect(numberAfter(busiest, balanced)).toBeLessThan(20);
  expect(numberAfter(busiest, free)).toBeGreaterThan(1.15 * numberAfter(busiest, balanced));
});
