// Layers that have learned how digits look need few steps to tell them apart: without, 30 % of these are right.
import { numberAfter, runExample } from './run-example';

test('rendered digits', async () => {
  const small = ['--train', '4000', '--hidden', '100,100', '--batch', '20', '--lr', '0.05', '--epochs', '3'];
  const printed = await runExample('dbn', ...small, '--labels', '1000', '--tune', '4', '--out', 'OUT');
  // Units that are always half on are off by 0.19.
  expect(numberAfter('Layer 1: reconstruction error', printed)).toBeLessThan(0.03);
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(45);
});
