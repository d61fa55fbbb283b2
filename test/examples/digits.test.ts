// The network behind `npm start` learns digits, and writes its model and the report.
import { numberAfter, runExample } from './run-example';

test('rendered digits', async () => {
  const options = ['--train', '3000', '--test', '500', '--epochs', '3', '--batch', '64'];
  const printed = await runExample('digits', ...options, '--out', 'OUT');
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(85);
  expect(printed).toMatch(/report\.html$/m);
});
