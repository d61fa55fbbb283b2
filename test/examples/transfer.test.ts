// What was learned of some digits helps with others.
import { numberAfter, runExample } from './run-example';

test('features of digits 0 to 4 serve 5 to 9', async () => {
  const printed = await runExample('transfer', '--images', '4000', '--epochs', '2', '--steps', '60', '--draws', '2');
  const accuracy = (way: string): number => numberAfter(`of 25 images, ${way}:`, printed);
  const scratch = accuracy('from scratch');
  for (const way of ['a new head', 'all layers', 'adapters']) expect(accuracy(way)).toBeGreaterThan(scratch + 3);
});
