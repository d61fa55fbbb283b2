// The graph network learns what a molecule's atoms and bonds say of it, in batches of graphs.
import { numberAfter, runExample, withData } from './run-example';

test('molecules made up by the program', async () => {
  const printed = await runExample('molecules', '--epochs', '4', '--width', '48');
  expect(numberAfter('R²', printed)).toBeGreaterThan(0.95);
});

const esol = withData('esol');
esol.test('ESOL', async () => {
  const printed = await runExample('molecules', '--data', esol.folder, '--epochs', '12', '--width', '48');
  expect(printed).toContain('1128 molecules');
  expect(numberAfter('R²', printed)).toBeGreaterThan(0.75);
});
