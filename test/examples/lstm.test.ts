// The LSTM learns that a negation turns a judgement round, which no bag of words can.
import { numberAfter, runExample } from './run-example';

test('sentences made up by the program', async () => {
  const small = ['--epochs', '3', '--embedding', '32', '--hidden', '32', '--dropout', '0.1', '--lr', '0.01'];
  expect(numberAfter('Test accuracy', await runExample('lstm', ...small))).toBeGreaterThan(95);
});
