// What the encoder has learned without labels tells digits apart: one that has not sees colours, and guesses.
import { numberAfter, runExample } from './run-example';

test('coloured digits', async () => {
  const small = [
    '--train',
    '1000',
    '--test',
    '300',
    '--epochs',
    '12',
    '--batch',
    '64',
    '--width',
    '12',
    '--lr',
    '0.003',
  ];
  const printed = await runExample('simclr', ...small, '--labels', '100', '--tune', '160', '--out', 'OUT');
  const [learned, untrained] = ['test accuracy', 'untrained encoder'].map((text) => numberAfter(text, printed));
  expect(learned! - untrained!).toBeGreaterThan(10);
  const [transferred, scratch] = ['100 labels: test accuracy', 'scratch'].map((text) => numberAfter(text, printed));
  expect(transferred! - scratch!).toBeGreaterThan(2);
});
