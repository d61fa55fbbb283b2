// A classifier that knows real digits is not sure of what an untrained generator draws, and sees always the same in it: a score of 1, the least that there is.
import { numberAfter, runExample } from './run-example';

test('rendered digits', async () => {
  const small = ['--train', '4000', '--epochs', '3', '--width', '12', '--lr', '0.001'];
  const printed = await runExample('gan', ...small, '--judge', '--out', 'OUT');
  expect(numberAfter('before training', printed)).toBeLessThan(1.5);
  expect(numberAfter('Inception score', printed)).toBeGreaterThan(4);
});
